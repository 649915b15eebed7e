//! Public records of what projects released, `releases.yaml` beside the lines, and what nobody released but Debian.

use super::document::parsed;
use super::{Debian, Lines};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Sources};
use crate::terms::Digest;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The file, in the folder of lines.
const FILE: &str = "releases.yaml";

/// What components are made of with `images: {source: released}`.
#[derive(Debug)]
pub struct Releases {
    /// By URL, or by image as `HOST/NAME:TAG`.
    digests: BTreeMap<String, Digest>,
    lines: Lines,
    /// Read when somebody asks for it: most clusters don't.
    debian: OnceLock<Result<Debian, String>>,
}

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
        let digests = match file {
            Some((text, file)) => {
                let tree = parsed(sources, &file, text, found)?;
                digests(tree.value()).map_err(|problem| found.push(wrong(format!("{file}: {problem}")))).ok()?
            }
            None => BTreeMap::new(),
        };
        Some(Self { digests, lines: lines.clone(), debian: OnceLock::new() })
    }

    /// The digest on record; `None` if there is no record.
    pub fn digest(&self, name: &str) -> Option<&Digest> {
        self.digests.get(name)
    }

    /// Root filesystems of Debian's packages, or what is wrong with their files.
    pub fn debian(&self) -> Result<&Debian, &String> {
        self.debian.get_or_init(|| Debian::read(&self.lines)).as_ref()
    }
}

fn digests(records: Value) -> Result<BTreeMap<String, Digest>, String> {
    let records: Vec<Record> = serde_path_to_error::deserialize(records).map_err(|error| error.to_string())?;
    let mut all = BTreeMap::new();
    for (name, digest) in records.into_iter().flat_map(|record| record.digests) {
        if all.get(&name).is_some_and(|other| *other != digest) {
            return Err(format!("two digests of {name}"));
        }
        all.insert(name, digest);
    }
    Ok(all)
}
