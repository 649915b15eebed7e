//! What an API server says of objects, and whether one is as it says.

use super::Object;
use crate::diagnostic::{Span, closest};
use crate::line::Entry;
use crate::yaml::{Ambiguous, Kind, Node, Tag, yaml11};
use std::collections::{BTreeMap, BTreeSet};

/// What is expected where a text must be: anything can become one.
pub const TEXT: &str = "a text";

/// The kinds that an API server serves, and their fields.
#[derive(Debug, Default)]
pub struct Schema {
    /// By `GROUP/VERSION/KIND`: the type.
    kinds: BTreeMap<String, String>,
    /// Those of `kinds` that are in no namespace.
    of_cluster: BTreeSet<String>,
    /// By type: its fields.
    types: BTreeMap<String, BTreeMap<String, Field>>,
}

#[derive(Debug)]
struct Field {
    kind: Type,
    is_required: bool,
}

#[derive(Debug)]
enum Type {
    Any,
    Text,
    Integer,
    Number,
    Bool,
    /// A number, or a text with a unit.
    Quantity,
    IntegerOrText,
    List(Box<Type>),
    Mapping(Box<Type>),
    Of(String),
}

/// How an object isn't as the API server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// It doesn't serve the kind in this version: what is meant, as `apiVersion` and kind.
    Kind(Option<(String, String)>),
    /// The type has no such field; the one that is meant.
    Field(String, Option<String>),
    /// A field must be there.
    Missing(String, String),
    /// A value of another type: what is expected, and found.
    Value(&'static str, String),
}

impl Type {
    fn of(word: &str) -> Self {
        if let Some(item) = word.strip_prefix("[]") {
            return Self::List(Box::new(Self::of(item)));
        }
        if let Some(value) = word.strip_prefix("{}") {
            return Self::Mapping(Box::new(Self::of(value)));
        }
        match word {
            "any" => Self::Any,
            "string" => Self::Text,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Bool,
            "quantity" => Self::Quantity,
            "int-or-string" => Self::IntegerOrText,
            name => Self::Of(name.to_owned()),
        }
    }
}

impl Schema {
    /// Of a line's list: `GROUP/VERSION/KIND SCOPE TYPE`, and `TYPE FIELD TYPE [required]`. An error says which entry is
    /// wrong.
    pub fn read<'l>(entries: impl Iterator<Item = Entry<'l>>) -> Result<Self, String> {
        let mut schema = Self::default();
        for entry in entries {
            match entry.words[..] {
                [kind, scope @ ("namespaced" | "cluster"), name] if kind.contains('/') => {
                    schema.of_cluster.extend((scope == "cluster").then(|| kind.to_owned()));
                    schema.kinds.insert(kind.to_owned(), name.to_owned());
                }
                [of, field, kind, ref required @ ..] if matches!(required, [] | ["required"]) => {
                    let known = Field { kind: Type::of(kind), is_required: !required.is_empty() };
                    schema.types.entry(of.to_owned()).or_default().insert(field.to_owned(), known);
                }
                _ => return Err(entry.isnt("GROUP/VERSION/KIND SCOPE TYPE, or TYPE FIELD TYPE [required],")),
            }
        }
        Ok(schema)
    }

    /// What it serves, as Helm names it: each `GROUP/VERSION` and each `GROUP/VERSION/KIND`.
    pub fn served(&self) -> BTreeSet<&str> {
        self.kinds.keys().flat_map(|kind| [Some(kind.as_str()), kind.rsplit_once('/').map(|(version, _)| version)]).flatten().collect()
    }

    /// How the object isn't as the API server says, and where. Custom resources are never wrong.
    pub fn misfits(&self, object: &Object) -> Vec<(Span, Misfit)> {
        let mut found = Vec::new();
        let name = name_of(object);
        match self.kinds.get(&name) {
            Some(of) => self.record(&object.node, of, &mut found),
            None if self.is_own(object.group()) => {
                let place = if self.kinds.keys().any(|kind| is_in(kind, &object.api_version)) { &object.kind } else { &object.api_version };
                found.extend(place.span.map(|span| (span, Misfit::Kind(self.meant(object)))));
            }
            None => {}
        }
        found
    }

    /// Whether the API server itself has the object's kind, in no namespace.
    pub fn is_of_cluster(&self, object: &Object) -> bool {
        self.of_cluster.contains(&name_of(object))
    }

    /// Whether the API server itself has the group. `k8s.io` alone isn't a sign: gateway.networking.k8s.io is custom.
    fn is_own(&self, group: &str) -> bool {
        self.kinds.keys().any(|kind| group_of(kind) == group)
    }

    fn meant(&self, object: &Object) -> Option<(String, String)> {
        let split = |kind: &str| kind.rsplit_once('/').map(|(version, kind)| (version.to_owned(), kind.to_owned()));
        let same = self.kinds.keys().filter(|kind| kind.rsplit('/').next() == Some(&object.kind.value));
        // The newest version of the same group comes first, then other groups.
        let mut same: Vec<&String> = same.collect();
        same.sort_by_key(|kind| (group_of(kind) != object.group(), std::cmp::Reverse((*kind).clone())));
        let like = || {
            let there: Vec<&str> = self.kinds.keys().filter(|kind| group_of(kind) == object.group()).map(String::as_str).collect();
            let names = there.iter().filter_map(|kind| kind.rsplit('/').next());
            let name = closest(&object.kind, names)?;
            there.iter().copied().find(|kind| kind.rsplit('/').next() == Some(name))
        };
        same.first().map(|kind| kind.as_str()).or_else(like).and_then(split)
    }

    fn record(&self, node: &Node, of: &str, found: &mut Vec<(Span, Misfit)>) {
        let Some(fields) = self.types.get(of) else { return };
        let title = || of.rsplit('.').next().unwrap_or(of).to_owned();
        let Kind::Mapping(entries) = &node.kind else {
            found.push((node.span, Misfit::Value("a mapping", found_is(node))));
            return;
        };
        for entry in entries {
            match fields.get(&entry.key) {
                Some(field) => self.value(&entry.value, &field.kind, found),
                None => {
                    let meant = closest(&entry.key, fields.keys().map(String::as_str)).map(str::to_owned);
                    found.push((entry.key_span, Misfit::Field(title(), meant)));
                }
            }
        }
        let lacks = |(name, field): (&String, &Field)| (field.is_required && node.get(name).is_none()).then(|| name.clone());
        for name in fields.iter().filter_map(lacks) {
            // At its first key, so that an excerpt is short.
            let place = entries.first().map_or(node.span, |first| first.key_span);
            found.push((place, Misfit::Missing(title(), name)));
        }
    }

    fn value(&self, node: &Node, kind: &Type, found: &mut Vec<(Span, Misfit)>) {
        if node.is_null() || node.tag == Tag::Secret {
            return;
        }
        let is = as_json(node);
        let expected = match kind {
            Type::Any => return,
            Type::Of(name) => return self.record(node, name, found),
            Type::List(item) => match &node.kind {
                Kind::List(items) => return items.iter().for_each(|node| self.value(node, item, found)),
                _ => "a list",
            },
            Type::Mapping(value) => match &node.kind {
                Kind::Mapping(entries) => return entries.iter().for_each(|entry| self.value(&entry.value, value, found)),
                _ => "a mapping",
            },
            Type::Text if is == Some(Json::Text) => return,
            Type::Text => TEXT,
            Type::Integer if is == Some(Json::Integer) => return,
            Type::Integer => "an integer",
            Type::Number if matches!(is, Some(Json::Integer | Json::Float)) => return,
            Type::Number => "a number",
            Type::Bool if is == Some(Json::Bool) => return,
            Type::Bool => "`true` or `false` without quotes",
            Type::Quantity if matches!(is, Some(Json::Integer | Json::Float | Json::Text)) => return,
            Type::Quantity => "a quantity, like `100m` or `1Gi`",
            Type::IntegerOrText if matches!(is, Some(Json::Integer | Json::Text)) => return,
            Type::IntegerOrText => "an integer or a text",
        };
        found.push((node.span, Misfit::Value(expected, found_is(node))));
    }
}

/// `GROUP/VERSION/KIND`
fn name_of(object: &Object) -> String {
    format!("{}/{}", object.api_version.value, object.kind.value)
}

fn is_in(kind: &str, api_version: &str) -> bool {
    kind.rsplit_once('/').is_some_and(|(version, _)| version == api_version)
}

/// The group of `GROUP/VERSION/KIND`; empty for the core's.
fn group_of(kind: &str) -> &str {
    kind.rsplitn(3, '/').nth(2).unwrap_or_default()
}

/// What kubectl makes of a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Json {
    Text,
    Integer,
    Float,
    Bool,
}

/// `None` for a list and a mapping.
fn as_json(node: &Node) -> Option<Json> {
    let Kind::Scalar { text, plain } = &node.kind else { return None };
    Some(match yaml11(text).filter(|_| *plain) {
        // kubectl reads no base 60, and takes a date for a text.
        Some(Ambiguous::Integer) if !text.contains(':') => Json::Integer,
        Some(Ambiguous::Float) if !text.contains(':') => Json::Float,
        Some(Ambiguous::Bool) => Json::Bool,
        _ => Json::Text,
    })
}

/// For a message: what was found.
fn found_is(node: &Node) -> String {
    match (&node.kind, as_json(node)) {
        (Kind::Scalar { text, .. }, Some(Json::Integer | Json::Float)) => format!("the number `{text}`"),
        (Kind::Scalar { text, .. }, Some(Json::Bool)) => format!("the boolean `{text}`"),
        (Kind::Scalar { .. }, _) => "a text".to_owned(),
        _ => node.what().to_owned(),
    }
}
