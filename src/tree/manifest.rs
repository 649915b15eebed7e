//! `manifest.json` of the tree as it is: untrusted, it may have been merged or edited.

use super::{MANIFEST, TreeError};
use camino::Utf8Path;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A manifest of more bytes than this isn't ours.
const LARGEST: u64 = 256 << 20;

#[derive(Debug, Default)]
pub struct Manifest {
    files: BTreeMap<String, String>,
    is_ours: bool,
}

impl Manifest {
    /// Reads the manifest in `root`; empty if there is none, or what is there isn't one.
    pub fn read(root: &Utf8Path) -> Result<Self, TreeError> {
        let path = root.join(MANIFEST);
        match fs_err::symlink_metadata(&path) {
            Ok(there) if there.is_file() && there.len() <= LARGEST => {}
            _ => return Ok(Self::default()),
        }
        let text = fs_err::read(&path).map_err(TreeError::io("reading", &path))?;
        let Ok(Value::Object(mut top)) = serde_json::from_slice(&text) else { return Ok(Self::default()) };
        let (true, Some(Value::Object(files))) = (top.contains_key("remuda"), top.remove("files")) else {
            return Ok(Self::default());
        };
        let entries = files.into_iter().filter_map(|(path, hash)| Some((path, hash.as_str()?.to_owned())));
        Ok(Self { files: entries.filter(|(path, _)| is_path(path)).collect(), is_ours: true })
    }

    pub fn owns(&self, path: &str) -> bool {
        self.files.contains_key(path) || path == MANIFEST && self.is_ours
    }

    pub fn hash(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }
}

/// Whether it is a path within a tree: relative, without `.` and `..`.
pub fn is_path(path: &str) -> bool {
    !path.is_empty() && path.len() < 4096 && !path.contains('\0') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
