//! YAML text → a tree in which every key and value has its place → records.
//!
//! It reads the profile, lines, targets and, for `import`, cloud-configs. The parser is the one below
//! serde-saphyr. A derived `Deserialize` would stop at the first mistake and lose how a scalar was written (`yes`
//! or `"yes"`); both matter here.

mod any;
mod record;
mod scalar;
#[cfg(test)]
mod tests;
mod tree;

use crate::diagnostic::{Diagnostics, Sources};
pub use any::Any;
pub(crate) use record::record;
pub use record::{Field, Given, List, Map, Reader, Record, Scalar, Spanned, View};
pub use scalar::{Ambiguous, yaml11};
pub use tree::{Entry, Kind, Node, Tag, parse, parse_foreign, parse_manifests};

/// A text of remuda's own that needs no places, like a table: a test reads each of them.
pub(crate) fn embedded<T: serde::de::DeserializeOwned>(text: &str) -> T {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let source = sources.add("an embedded text", text.to_owned(), false);
    let node = parse(text, source, &mut found).filter(|_| found.is_empty());
    let value = node.unwrap_or_else(|| panic!("{:?}", found.sorted())).value();
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}"))
}
