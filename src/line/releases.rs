//! Public records of what projects released: `releases.yaml` beside the lines.

use super::Lines;
use crate::terms::Digest;
use serde::Deserialize;
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
    pub(super) fn read(lines: &Lines) -> Result<Self, String> {
        let Some((text, file)) = lines.file(FILE).map_err(|error| error.to_string())? else { return Ok(Self::default()) };
        let records: Vec<Record> = serde_saphyr::from_str(&text).map_err(|error| format!("{file}: {error}"))?;
        let mut all = BTreeMap::new();
        for (name, digest) in records.into_iter().flat_map(|record| record.digests) {
            if all.get(&name).is_some_and(|other| *other != digest) {
                return Err(format!("{file}: two digests of {name}"));
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
