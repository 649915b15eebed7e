//! Write: named files → the out tree, written, checked or diffed. It doesn't know the meaning of a file.
//!
//! The tree changes as a whole or not at all, even if the process is killed. Changed files are
//! written to a staging folder next to it, the rest is hard-linked there, and one system call
//! exchanges the two folders. A file whose bytes would not change isn't touched.
//!
//! `manifest.json` names every file that remuda wrote, with its SHA-256. remuda neither overwrites
//! nor removes any other file without force.
//!
//! One folder can be private: its files have mode 0600 from their creation, its own manifest names
//! them, and no diff shows their content.

mod commit;
mod difference;
mod manifest;
mod private;

pub use difference::Difference;
pub use manifest::{LARGEST_MANIFEST, Top};
pub use private::{Private, PrivateError};

use crate::disk::DiskError;
use crate::terms::sha256;
use camino::{Utf8Path, Utf8PathBuf};
use manifest::Manifest;
use rayon::iter::ParallelIterator;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

/// The name of the file that lists all others.
pub const MANIFEST: &str = "manifest.json";

/// What a run does with its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Makes the tree.
    Write {
        /// Whether files that remuda didn't write may be overwritten and removed.
        force: bool,
    },
    /// Report what would change; write nothing.
    Compare,
}

/// Why the tree couldn't be written or compared.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum TreeError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{0} exists and isn't a folder")]
    NotAFolder(Utf8PathBuf),
    #[error("another remuda is writing to {0}")]
    Busy(Utf8PathBuf),
    #[error("remuda didn't write these files, or they were changed since; use `--force` to overwrite them: {}", list(.0))]
    Foreign(Vec<String>),
    #[error("{0} is neither a file nor a folder nor a link, so it can't be carried over")]
    Special(Utf8PathBuf),
    #[error("{0} is generated twice")]
    Twice(String),
    #[error("{0:?} can't be a path in the out tree")]
    BadPath(String),
    #[error("{0} is a mount point; the out tree can't be one, because a new tree takes its place")]
    MountPoint(Utf8PathBuf),
}

fn list(paths: &[String]) -> String {
    let shown: Vec<&str> = paths.iter().take(10).map(String::as_str).collect();
    match paths.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

impl TreeError {
    fn io(doing: &'static str, path: impl AsRef<Utf8Path>) -> impl FnOnce(io::Error) -> TreeError {
        let of = DiskError::of(doing, path.as_ref().to_owned());
        move |error| of(error).into()
    }
}

/// A file for the tree.
#[derive(Debug)]
pub struct Given {
    /// Its path in the tree.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// The SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// Whether the content was read from the file that is there: it isn't read again.
    pub is_read: bool,
}

/// What a run did, or would do.
#[derive(Debug, Default)]
pub struct Report {
    /// New files and files with changed bytes, sorted.
    pub written: Vec<String>,
    /// Files that remuda wrote but no longer generates, sorted.
    pub removed: Vec<String>,
    /// How many files stayed as they were.
    pub unchanged: usize,
    /// Their differences in the order of their paths; only the first ones, see [`Difference`].
    pub differences: Vec<Difference>,
}

impl Report {
    /// Whether the tree is what it should be.
    pub fn is_clean(&self) -> bool {
        self.written.is_empty() && self.removed.is_empty()
    }
}

/// A run over one out tree.
#[derive(Debug)]
pub struct Run {
    root: Utf8PathBuf,
    intent: Intent,
    /// Top-level folders of other writers. They are carried over, never listed.
    carried: Vec<String>,
    /// The private top-level folder.
    private: Option<String>,
    old: Manifest,
    /// Whether no tree exists yet, so that there is nothing to compare with.
    is_new: bool,
    state: Mutex<State>,
    stage: commit::Stage,
    _lock: commit::Lock,
}

#[derive(Debug, Default)]
struct State {
    /// Every file given, with its hash.
    files: BTreeMap<String, String>,
    written: Vec<String>,
    foreign: Vec<String>,
    differences: Vec<Difference>,
}

impl Run {
    /// Begins a run over `root`, the folder of one cluster. `carried` are the names of top-level
    /// folders of other writers, `private` is the name of the folder with secrets.
    pub fn begin(root: &Utf8Path, intent: Intent, carried: &[&str], private: Option<&str>) -> Result<Self, TreeError> {
        let root = commit::resolve(root)?;
        let lock = commit::Lock::take(&root, intent)?;
        commit::recover(&root, intent)?;
        match fs_err::symlink_metadata(&root) {
            Ok(there) if !there.is_dir() => return Err(TreeError::NotAFolder(root)),
            _ => {}
        }
        let mut old = Manifest::read(&root, "")?;
        if let Some(folder) = private {
            old.extend(Manifest::read(&root, &format!("{folder}/"))?);
        }
        Ok(Self {
            old,
            private: private.map(str::to_owned),
            is_new: !root.exists(),
            stage: commit::Stage::beside(&root),
            carried: carried.iter().map(|name| (*name).to_owned()).collect(),
            state: Mutex::default(),
            root,
            intent,
            _lock: lock,
        })
    }

    /// Gives the tree all `files`; the first error among them ends it.
    pub fn take<E: From<TreeError> + Send>(&self, files: impl ParallelIterator<Item = Result<Given, E>>) -> Result<(), E> {
        files.try_for_each(|file| file.and_then(|file| Ok(self.put(file)?)))
    }

    /// Adds one file to the tree. It is called from many threads and keeps no content.
    fn put(&self, file: Given) -> Result<(), TreeError> {
        let path = &file.path;
        let first = path.split('/').next().unwrap_or_default();
        if !manifest::is_path(path)
            || path == MANIFEST
            || self.private_manifest().is_some_and(|own| own == *path)
            || self.carried.iter().any(|carried| carried == first)
        {
            return Err(TreeError::BadPath(file.path));
        }
        self.put_checked(file)
    }

    fn put_checked(&self, Given { path, bytes, sha256, is_read }: Given) -> Result<(), TreeError> {
        let mode = if self.is_private(&path) { 0o600 } else { 0o644 };
        let there = self.there(&path, bytes.len())?;
        let same = matches!(there, There::Same) && (is_read || self.has(&path, &bytes)?);
        let is_ours = self.old.owns(&path);
        let mut difference = None;
        if !same {
            match self.intent {
                Intent::Write { .. } => self.stage.write(&path, &bytes, mode)?,
                Intent::Compare if mode == 0o600 => {}
                Intent::Compare => difference = Some(Difference::between(&path, self.old_text(&path), &bytes)),
            }
        }
        let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if !same && !is_ours && !matches!(there, There::Nothing) {
            state.foreign.push(path.clone());
        }
        if !same {
            state.written.push(path.clone());
        }
        if let Some(difference) = difference {
            difference::keep(&mut state.differences, difference);
        }
        match state.files.entry(path) {
            Entry::Vacant(place) => {
                place.insert(sha256);
                Ok(())
            }
            Entry::Occupied(place) => Err(TreeError::Twice(place.key().clone())),
        }
    }

    /// What is at `path`, where a file with so many bytes is wanted.
    fn there(&self, path: &str, wanted: usize) -> Result<There, TreeError> {
        if self.is_new {
            return Ok(There::Nothing);
        }
        let full = self.root.join(path);
        let there = match fs_err::symlink_metadata(&full) {
            Ok(there) => there,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(There::Nothing),
            Err(error) => return Err(TreeError::io("looking at", &full)(error)),
        };
        let lax = self.is_private(path) && there.mode() & 0o777 != 0o600;
        if !there.is_file() || lax || commit::passes_link(&self.root, path) || there.len() != wanted as u64 {
            return Ok(There::Other);
        }
        Ok(There::Same)
    }

    /// Whether the file at `path` has these bytes.
    fn has(&self, path: &str, bytes: &[u8]) -> Result<bool, TreeError> {
        let full = self.root.join(path);
        fs_err::read(&full).map(|there| there == bytes).map_err(TreeError::io("reading", &full))
    }

    fn old_text(&self, path: &str) -> Option<Vec<u8>> {
        if commit::passes_link(&self.root, path) {
            return None;
        }
        difference::read_some(&self.root.join(path))
    }

    fn is_private(&self, path: &str) -> bool {
        self.private.as_ref().is_some_and(|folder| path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/')))
    }

    fn private_manifest(&self) -> Option<String> {
        self.private.as_ref().map(|folder| format!("{folder}/{MANIFEST}"))
    }

    /// Writes the manifest, which begins with `header`, and the private folder's, which begins with `private`, removes
    /// files that are no longer generated, and puts the new tree into place.
    pub fn finish(self, header: impl Serialize, private: impl Serialize) -> Result<Report, TreeError> {
        let mut state = std::mem::take(&mut *self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        let unchanged = state.files.len() - state.written.len();
        let stale = self.stale(&state);
        let all = || state.files.iter().map(|(path, hash)| (path.as_str(), hash.as_str()));
        let public = all().filter(|(path, _)| !self.is_private(path));
        let own = self.private.as_deref().map(|folder| {
            let inner = all().filter_map(|(path, hash)| Some((path.strip_prefix(folder)?.strip_prefix('/')?, hash)));
            manifest::text(manifest::PrivateHeader::new(public.clone(), private), inner)
        });
        let texts = [Some((MANIFEST.to_owned(), manifest::text(header, public))), self.private_manifest().zip(own)];
        {
            *self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = state;
            for (path, bytes) in texts.into_iter().flatten() {
                self.put_checked(Given { path, bytes, sha256: String::new(), is_read: false })?;
            }
            state = std::mem::take(&mut *self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        }
        let mut removed = Vec::new();
        for path in stale {
            if self.changed_since(&path)? {
                state.foreign.push(path.clone());
            }
            removed.push(path);
        }
        state.foreign.sort();
        state.written.sort();
        state.differences.sort_by(|a, b| a.path.cmp(&b.path));
        if let Intent::Write { force } = self.intent {
            if !force && !state.foreign.is_empty() {
                return Err(TreeError::Foreign(state.foreign));
            }
            if !state.written.is_empty() || !removed.is_empty() {
                self.stage.commit(&self.root, &state.files, &removed, self.private.as_deref())?;
            }
        }
        Ok(Report { written: state.written, removed, unchanged, differences: state.differences })
    }

    /// Files that remuda wrote, that still exist, and that it no longer generates.
    fn stale(&self, state: &State) -> Vec<String> {
        let gone = self.old.paths().filter(|path| !state.files.contains_key(*path));
        let gone = gone.filter(|path| !commit::passes_link(&self.root, path) && fs_err::symlink_metadata(self.root.join(path)).is_ok());
        gone.map(str::to_owned).collect()
    }

    /// Whether a file of remuda's has other bytes than remuda wrote.
    fn changed_since(&self, path: &str) -> Result<bool, TreeError> {
        let full = self.root.join(path);
        if !fs_err::symlink_metadata(&full).is_ok_and(|there| there.is_file()) {
            return Ok(true);
        }
        let bytes = fs_err::read(&full).map_err(TreeError::io("reading", &full))?;
        Ok(self.old.hash(path) != Some(sha256(&bytes).as_str()))
    }
}

/// The content of an out tree's manifest; `None` if there is none, or it isn't remuda's.
pub fn manifest(root: &Utf8Path) -> Option<Top> {
    manifest::read(&root.join(MANIFEST)).ok()?
}

#[derive(Debug)]
enum There {
    Nothing,
    /// A file with as many bytes, and the mode that it must have.
    Same,
    /// Anything else: a file of another length, a link, a folder.
    Other,
}
