//! What may differ between processors.

use super::Arch;
use crate::yaml::{Kind, Node, Reader, Scalar};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// A value, or one for each architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByArch<T> {
    /// The same for every architecture.
    All(T),
    /// By architecture.
    Each(Vec<(Arch, T)>),
}

impl<T> ByArch<T> {
    /// The value for `arch`, if there is one.
    pub fn of(&self, arch: Arch) -> Option<&T> {
        match self {
            Self::All(value) => Some(value),
            Self::Each(all) => all.iter().find(|(known, _)| *known == arch).map(|(_, value)| value),
        }
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        let (one, all) = match self {
            Self::All(value) => (Some(value), &[][..]),
            Self::Each(all) => (None, &all[..]),
        };
        one.into_iter().chain(all.iter().map(|(_, value)| value))
    }

    /// Reads a value, or a mapping from architectures to values.
    pub(crate) fn read_each(node: &Node, reader: &mut Reader, mut one: impl FnMut(&Node, &mut Reader) -> Option<T>) -> Option<Self> {
        let Kind::Mapping(entries) = &node.kind else { return one(node, reader).map(Self::All) };
        let mut all = Vec::new();
        for entry in entries {
            let key = Node { kind: Kind::Scalar { text: entry.key.clone(), plain: true }, span: entry.key_span, tag: Default::default() };
            all.push((Arch::read(&key, reader)?, one(&entry.value, reader)?));
        }
        Some(Self::Each(all))
    }
}

impl<T: Scalar> Scalar for ByArch<T> {
    fn expected() -> Cow<'static, str> {
        format!("{}; or one by architecture", T::expected()).into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        Self::read_each(node, reader, T::read)
    }
}

impl<T: Scalar> JsonSchema for ByArch<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        Self::expected()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "object"], "additionalProperties": { "type": "string" }, "title": Self::expected() })
    }
}
