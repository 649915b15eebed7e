//! Reads and writes files for all modules: completely or not at all, with errors that say what was being done.

use camino::{Utf8Path, Utf8PathBuf};
use std::fs::Permissions;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use tempfile::NamedTempFile;

/// An I/O error, with what was being done to which path.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {path}: {error}")]
pub struct DiskError {
    /// As in "reading PATH: …".
    pub doing: &'static str,
    /// The file or folder.
    pub path: Utf8PathBuf,
    /// What the system said.
    pub error: io::Error,
}

impl DiskError {
    /// An error of what was being done, for `map_err`.
    pub fn of(doing: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self { doing, path, error }
    }
}

/// Adds to an I/O error what was being done.
pub trait Doing<T> {
    /// Says what was being done, and to what.
    fn doing(self, doing: &'static str, path: impl Into<Utf8PathBuf>) -> Result<T, DiskError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str, path: impl Into<Utf8PathBuf>) -> Result<T, DiskError> {
        self.map_err(DiskError::of(doing, path))
    }
}

/// Reads a file as text; `None` if it doesn't exist. Reads at most `most` bytes.
pub fn read_text(path: &Utf8Path, most: u64) -> Result<Option<String>, DiskError> {
    let mut text = String::new();
    match fs_err::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DiskError::of("reading", path)(error)),
        Ok(file) => file.take(most).read_to_string(&mut text).doing("reading", path)?,
    };
    Ok(Some(text))
}

/// Writes a small file in one step: the old file stays until the new one is completely on the disk.
pub fn write(path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
    beside(path, bytes, mode).and_then(|file| Ok(file.persist(path)?)).doing("writing", path).map(drop)
}

/// Writes a small file in one step, only if none is there: the error's kind is `AlreadyExists` then.
pub fn create(path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
    beside(path, bytes, mode).and_then(|file| Ok(file.persist_noclobber(path)?)).doing("writing", path).map(drop)
}

/// A file under another name in the same folder, completely on the disk. Until it has its mode, it is 0600.
fn beside(path: &Utf8Path, bytes: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder_of(path))?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// The parent folder of a path; `.` for a bare name.
pub fn folder_of(path: &Utf8Path) -> &Utf8Path {
    path.parent().filter(|folder| !folder.as_str().is_empty()).unwrap_or(Utf8Path::new("."))
}
