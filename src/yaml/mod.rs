//! YAML text → a tree in which every key and value knows its place → records.
//!
//! The profile and a line's service templates are read by it. The parser is the one below
//! serde-saphyr; deriving `Deserialize` instead would stop at the first mistake and lose how a
//! scalar was written (`yes` or `"yes"`), and both matter here.

mod record;
mod scalar;
#[cfg(test)]
mod tests;
mod tree;

pub(crate) use record::record;
pub use record::{Field, Given, List, Map, Reader, Record, Scalar, Spanned, View};
pub use scalar::{Ambiguous, yaml11};
pub use tree::{Entry, Kind, Node, Tag, parse};
