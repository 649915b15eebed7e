//! Reads `manifest.json` of an existing tree. It is untrusted: it may have been merged or edited.

use super::{MANIFEST, TreeError};
use crate::terms::sha256;
use camino::Utf8Path;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The maximal size of a manifest, in bytes.
pub const LARGEST_MANIFEST: u64 = 256 << 20;

#[derive(Debug, Default)]
pub(super) struct Manifest {
    files: BTreeMap<String, String>,
    /// Manifests that remuda wrote, and that it may therefore replace.
    own: Vec<String>,
}

impl Manifest {
    /// Reads the manifest of the folder `inner` (empty, or ending in a slash) of `root`. The result
    /// is empty if there is no manifest or the file isn't one.
    pub(super) fn read(root: &Utf8Path, inner: &str) -> Result<Self, TreeError> {
        let own = format!("{inner}{MANIFEST}");
        if super::commit::passes_link(root, &own) {
            return Ok(Self::default());
        }
        let Some(Value::Object(files)) = read(&root.join(&own))?.and_then(|mut top| top.remove("files")) else {
            return Ok(Self::default());
        };
        let entries = files.into_iter().filter_map(|(path, hash)| Some((format!("{inner}{path}"), hash.as_str()?.to_owned())));
        Ok(Self { files: entries.filter(|(path, _)| is_path(path)).collect(), own: vec![own] })
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.files.extend(other.files);
        self.own.extend(other.own);
    }

    pub(super) fn owns(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.own.iter().any(|own| own == path)
    }

    pub(super) fn hash(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Paths and hashes, in the order of the paths.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, hash)| (path.as_str(), hash.as_str()))
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }
}

/// The content of a manifest; `None` if it isn't remuda's.
pub(super) fn read(path: &Utf8Path) -> Result<Option<Map<String, Value>>, TreeError> {
    match fs_err::symlink_metadata(path) {
        Ok(there) if there.is_file() && there.len() <= LARGEST_MANIFEST => {}
        _ => return Ok(None),
    }
    let text = fs_err::read(path).map_err(TreeError::io("reading", path))?;
    match serde_json::from_slice(&text) {
        Ok(Value::Object(top)) if top.contains_key("remuda") => Ok(Some(top)),
        _ => Ok(None),
    }
}

/// A manifest's text: `header`, then the files, with paths below `folder`.
pub(super) fn text(mut header: Map<String, Value>, files: &[(&String, &String)], folder: Option<&str>) -> String {
    let inner = |path: &str| folder.and_then(|folder| path.strip_prefix(folder)?.strip_prefix('/')).unwrap_or(path).to_owned();
    let files: Map<String, Value> = files.iter().map(|(path, hash)| (inner(path), Value::String((*hash).clone()))).collect();
    header.insert("files".to_owned(), Value::Object(files));
    let mut text = serde_json::to_string_pretty(&Value::Object(header)).unwrap_or_default();
    text.push('\n');
    text
}

/// The header of a private folder's manifest. It identifies the public files that were made
/// together with the private ones, so that a later run can check whether they still belong
/// together.
pub(super) fn private_header<'f>(public: impl Iterator<Item = (&'f str, &'f str)>, further: Map<String, Value>) -> Map<String, Value> {
    let header = [("remuda", env!("CARGO_PKG_VERSION").to_owned()), (PUBLIC, of_public(public))];
    header.into_iter().map(|(key, value)| (key.to_owned(), Value::String(value))).chain(further).collect()
}

/// A key in a private folder's manifest: the hash of all public paths and hashes.
pub(super) const PUBLIC: &str = "public";

/// One hash over paths and hashes, in the order of the paths.
pub(super) fn of_public<'f>(files: impl Iterator<Item = (&'f str, &'f str)>) -> String {
    let lines: Vec<String> = files.map(|(path, hash)| format!("{hash}  {path}\n")).collect();
    sha256(lines.concat().as_bytes())
}

/// Whether `path` is a path within a tree: relative, without `.` and `..`.
pub(super) fn is_path(path: &str) -> bool {
    !path.is_empty() && path.len() < 4096 && !path.contains('\0') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
