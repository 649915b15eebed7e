//! A value for each of IPv4 and IPv6.

use super::value::is_ipv6;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::yaml::{Field, Given, Kind, Node, Reader, Scalar};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// A value of each family: one of IPv4, or a list of it and one of IPv6.
#[derive(Debug, Clone)]
pub struct Families<Four, Six> {
    /// Of IPv4, the cluster's first family.
    pub v4: Given<Four>,
    /// Of IPv6.
    pub v6: Given<Six>,
}

impl<Four, Six> Default for Families<Four, Six> {
    fn default() -> Self {
        Self { v4: Given::Absent, v6: Given::Absent }
    }
}

impl<Four: Scalar, Six: Scalar> Field for Families<Four, Six> {
    fn fill(&mut self, node: &Node, reader: &mut Reader) {
        let (first, second) = match &node.kind {
            Kind::List(items) => match &items[..] {
                [first] => (first, None),
                [first, second] => (first, Some(second)),
                _ => {
                    self.v4 = Given::Bad;
                    return reader.wrong_type(node, &format!("{}, or a list of it and {}", Four::expected(), Six::expected()));
                }
            },
            _ => (node, None),
        };
        match &first.kind {
            Kind::Scalar { text, .. } if is_ipv6(text) => {
                self.v4 = Given::Bad;
                let example = format!("write a list: {}, then {}", Four::expected(), Six::expected());
                reader.found.push(
                    Diagnostic::new(Code::InvalidValue, first.span, format!("`{text}` is of IPv6, and IPv4 must come first"))
                        .why(
                            "etcd, the API and each node's first address are of IPv4, and everything on the nodes relies on the same order",
                        )
                        .help(example),
                );
            }
            _ => self.v4.fill(first, reader),
        }
        if let Some(second) = second {
            self.v6.fill(second, reader);
        }
    }

    fn merge(&mut self, stronger: &Self) {
        if !stronger.is_absent() {
            *self = stronger.clone();
        }
    }

    fn is_absent(&self) -> bool {
        self.v4.is_absent() && self.v6.is_absent()
    }

    fn places(&self, see: &mut dyn FnMut(Span)) {
        self.v4.places(see);
        self.v6.places(see);
    }

    fn is_bad(&self) -> bool {
        self.v4.is_bad() || self.v6.is_bad()
    }
}

impl<Four: JsonSchema, Six: JsonSchema> JsonSchema for Families<Four, Six> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Families_of_{}", Four::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (first, second) = (generator.subschema_for::<Four>(), generator.subschema_for::<Six>());
        json_schema!({
            "anyOf": [first, { "type": "array", "prefixItems": [first, second], "items": false, "minItems": 1 }]
        })
    }
}
