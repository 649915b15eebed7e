//! YAML text → a tree in which every key and value has its place → records.
//!
//! It reads the profile, a line's service templates and, for `import`, cloud-configs. The parser is the one below
//! serde-saphyr. A derived `Deserialize` would stop at the first mistake and lose how a scalar was written (`yes`
//! or `"yes"`); both matter here.

mod any;
mod record;
mod scalar;
#[cfg(test)]
mod tests;
mod tree;

pub use any::Any;
pub(crate) use record::record;
pub use record::{Field, Given, List, Map, Reader, Record, Scalar, Spanned, View};
pub use scalar::{Ambiguous, yaml11};
pub use tree::{Entry, Kind, Node, Tag, parse, parse_foreign, parse_manifests};
