//! Reads `manifest.json` of an existing tree, and writes that of a new one. The old one is untrusted: it may have been
//! merged or edited.

use super::{MANIFEST, TreeError};
use crate::terms::Hasher;
use camino::Utf8Path;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io;

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
        let files = read(&root.join(&own))?.and_then(|top| top.get::<BTreeMap<String, Entry>>("files"));
        let Some(files) = files else { return Ok(Self::default()) };
        let entries = files.into_iter().filter_map(|(path, hash)| match hash {
            Entry::Hash(hash) => Some((format!("{inner}{path}"), hash)),
            Entry::Other(_) => None,
        });
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

/// What stands beside a path.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Hash(String),
    Other(IgnoredAny),
}

/// The content of a manifest. Of its values, which may be large, only those that somebody asks for are read.
#[derive(Debug, Default)]
pub struct Top(BTreeMap<String, Box<RawValue>>);

impl Top {
    /// The value of a key; `None` if it is another one than expected, or absent.
    pub fn get<T: for<'v> Deserialize<'v>>(&self, key: &str) -> Option<T> {
        serde_json::from_str(self.0.get(key)?.get()).ok()
    }
}

/// The content of a manifest; `None` if it isn't remuda's.
pub(super) fn read(path: &Utf8Path) -> Result<Option<Top>, TreeError> {
    match fs_err::symlink_metadata(path) {
        Ok(there) if there.is_file() && there.len() <= LARGEST_MANIFEST => {}
        _ => return Ok(None),
    }
    let text = fs_err::read(path).map_err(TreeError::io("reading", path))?;
    Ok(serde_json::from_slice(&text).ok().filter(|top: &BTreeMap<_, _>| top.contains_key("remuda")).map(Top))
}

/// A manifest's text: `header`, then the files, path and hash of each.
pub(super) fn text<'f>(header: impl Serialize, files: impl Iterator<Item = (&'f str, &'f str)> + Clone) -> Vec<u8> {
    #[derive(Serialize)]
    struct Whole<H, F> {
        #[serde(flatten)]
        header: H,
        files: F,
    }
    let whole = Whole { header, files: Files(files) };
    let write =
        |to: &mut dyn io::Write| serde_json::to_writer_pretty(to, &whole).expect("a manifest consists of texts, lists and mappings");
    let mut size = Size(0);
    write(&mut size);
    let mut text = Vec::with_capacity(size.0 + 1);
    write(&mut text);
    text.push(b'\n');
    text
}

struct Files<F>(F);

impl<'f, F: Iterator<Item = (&'f str, &'f str)> + Clone> Serialize for Files<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone())
    }
}

/// Counts bytes: a manifest of many nodes isn't to be moved while it grows.
struct Size(usize);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The header of a private folder's manifest. It identifies the public files that were made
/// together with the private ones, so that a later run can check whether they still belong
/// together.
#[derive(Serialize)]
pub(super) struct PrivateHeader<H> {
    remuda: &'static str,
    public: String,
    #[serde(flatten)]
    further: H,
}

impl<H> PrivateHeader<H> {
    pub(super) fn new<'f>(public: impl Iterator<Item = (&'f str, &'f str)>, further: H) -> Self {
        Self { remuda: env!("CARGO_PKG_VERSION"), public: of_public(public), further }
    }
}

/// A key in a private folder's manifest: the hash of all public paths and hashes.
pub(super) const PUBLIC: &str = "public";

/// One hash over paths and hashes, in the order of the paths.
pub(super) fn of_public<'f>(files: impl Iterator<Item = (&'f str, &'f str)>) -> String {
    let mut hash = Hasher::sha256();
    files.for_each(|(path, of_file)| [of_file, "  ", path, "\n"].iter().for_each(|part| hash.update(part.as_bytes())));
    hash.finish().hex().to_owned()
}

/// Whether `path` is a path within a tree: relative, without `.` and `..`.
pub(super) fn is_path(path: &str) -> bool {
    !path.is_empty() && path.len() < 4096 && !path.contains('\0') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
