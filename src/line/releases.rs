//! Public records of what projects released: `releases.yaml` beside the lines.

use super::Lines;
use super::document::parsed;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Sources};
use crate::terms::Digest;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The file, in the folder of lines.
const FILE: &str = "releases.yaml";

/// Digests by URL, or by image as `HOST/NAME:TAG`.
#[derive(Debug, Default)]
pub struct Releases(BTreeMap<String, Digest>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// Who published the digest: a file of a project, or of somebody who checks what they fetch.
    #[serde(rename = "record")]
    _record: String,
    digests: BTreeMap<String, Digest>,
}

impl Releases {
    /// `None` if they can't be read, which is in `found`.
    pub(super) fn read(lines: &Lines, sources: &mut Sources, found: &mut Diagnostics) -> Option<Self> {
        let wrong = |problem: String| Diagnostic::new(Code::Line, None, problem);
        let file = lines.file(FILE).map_err(|error| found.push(wrong(error.to_string()))).ok()?;
        let Some((text, file)) = file else { return Some(Self::default()) };
        let tree = parsed(sources, &file, text, found)?;
        Self::of(tree.value()).map_err(|problem| found.push(wrong(format!("{file}: {problem}")))).ok()
    }

    fn of(records: Value) -> Result<Self, String> {
        let records: Vec<Record> = serde_path_to_error::deserialize(records).map_err(|error| error.to_string())?;
        let mut all = BTreeMap::new();
        for (name, digest) in records.into_iter().flat_map(|record| record.digests) {
            if all.get(&name).is_some_and(|other| *other != digest) {
                return Err(format!("two digests of {name}"));
            }
            all.insert(name, digest);
        }
        Ok(Self(all))
    }

    /// The digest on record; `None` if there is no record.
    pub fn digest(&self, name: &str) -> Option<&Digest> {
        self.0.get(name)
    }
}
