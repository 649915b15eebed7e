//! Reads the private folder. It returns only files that are as they were written and that belong to
//! the public files next to them.

use super::commit::{self, Lock};
use super::manifest::{self, Manifest};
use super::{Intent, MANIFEST, TreeError};
use camino::{Utf8Path, Utf8PathBuf};
use std::os::unix::fs::MetadataExt;
use zeroize::Zeroizing;

/// Why nothing sealed was written or used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum PrivateError {
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("{0} doesn't exist")]
    Missing(Utf8PathBuf),
    #[error("{0} was made with other files than those next to it")]
    Behind(Utf8PathBuf),
    #[error("{0} was changed since remuda wrote it, or other users can read it")]
    Changed(Utf8PathBuf),
}

/// The private folder of a tree. While it is open, no run changes the tree.
#[derive(Debug)]
pub struct Private {
    folder: Utf8PathBuf,
    manifest: Manifest,
    _lock: Lock,
}

impl Private {
    /// Opens the private folder `name` of the tree `root`.
    pub fn open(root: &Utf8Path, name: &str) -> Result<Self, PrivateError> {
        let root = commit::resolve(root)?;
        let lock = Lock::take(&root, Intent::Write { force: false })?;
        commit::recover(&root, Intent::Compare)?;
        let folder = root.join(name);
        let own = folder.join(MANIFEST);
        if folder.is_symlink() {
            return Err(PrivateError::Changed(folder));
        }
        let Some(top) = manifest::read(&own)? else { return Err(PrivateError::Missing(own)) };
        let public = Manifest::read(&root, "")?;
        if top.get(manifest::PUBLIC) != Some(manifest::of_public(public.files())) {
            return Err(PrivateError::Behind(folder));
        }
        Ok(Self { manifest: Manifest::read(&folder, "")?, folder, _lock: lock })
    }

    /// The folder.
    pub fn folder(&self) -> &Utf8Path {
        &self.folder
    }

    /// A file's bytes, exactly as they were written.
    pub fn read(&self, path: &str) -> Result<Zeroizing<Vec<u8>>, PrivateError> {
        let full = self.folder.join(path);
        let Some(hash) = self.manifest.hash(path) else { return Err(PrivateError::Missing(full)) };
        let is_private = |there: &std::fs::Metadata| there.is_file() && there.mode() & 0o777 == 0o600;
        match fs_err::symlink_metadata(&full) {
            Err(_) => return Err(PrivateError::Missing(full)),
            Ok(there) if !is_private(&there) || commit::passes_link(&self.folder, path) => return Err(PrivateError::Changed(full)),
            Ok(_) => {}
        }
        let bytes = Zeroizing::new(fs_err::read(&full).map_err(TreeError::io("reading", &full))?);
        if crate::terms::sha256(&bytes) == hash { Ok(bytes) } else { Err(PrivateError::Changed(full)) }
    }
}
