//! What a profile is made of, before it is text.

use std::collections::BTreeMap;

/// A mapping. The order in which its keys are written is `text`'s.
pub(super) type Map = BTreeMap<String, Value>;

/// A value of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A text, a number, or true or false.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A mapping.
    Map(Map),
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    /// Whether it is an empty list or mapping.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::List(items) => items.is_empty(),
            Self::Map(entries) => entries.is_empty(),
        }
    }
}

/// Sets the value at a path, like `rancher.ssh.port`, and makes the mappings on the way.
pub(super) fn set(map: &mut Map, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            map.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = map.entry(first.to_owned()).or_insert_with(|| Value::Map(Map::new()));
            if let Value::Map(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}
