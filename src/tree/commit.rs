//! Staging and the exchange of the old tree for the new one.

use super::{Intent, MANIFEST, TreeError};
use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use std::collections::{BTreeMap, HashSet};
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::sync::OnceLock;

/// The real path of `root`, after creating its parent folders.
pub(super) fn resolve(root: &Utf8Path) -> Result<Utf8PathBuf, TreeError> {
    if let Ok(real) = root.canonicalize_utf8() {
        return Ok(real);
    }
    let name = root.file_name().ok_or_else(|| TreeError::BadPath(root.to_string()))?;
    let parent = match root.parent() {
        Some(parent) if !parent.as_str().is_empty() => parent,
        _ => Utf8Path::new("."),
    };
    Ok(existing(parent)?.join(name))
}

/// A folder's real path. For a comparison, which makes no folders, it need not be there.
fn existing(folder: &Utf8Path) -> Result<Utf8PathBuf, TreeError> {
    match folder.canonicalize_utf8() {
        Ok(real) => Ok(real),
        Err(error) if error.kind() == io::ErrorKind::NotFound => camino::absolute_utf8(folder).map_err(TreeError::io("finding", folder)),
        Err(error) => Err(TreeError::io("finding", folder)(error)),
    }
}

/// Whether a folder between `root` and `path` is a link. remuda reads, writes and removes nothing through one.
pub(super) fn passes_link(root: &Utf8Path, path: &str) -> bool {
    let mut folder = root.to_owned();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        folder.push(part);
        if parts.peek().is_some() && folder.is_symlink() {
            return true;
        }
    }
    false
}

/// Held during a run. The lock is on the parent folder itself, so no file remains.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code)] Option<File>);

impl Lock {
    pub(super) fn take(root: &Utf8Path, intent: Intent) -> Result<Self, TreeError> {
        let parent = root.parent().unwrap_or(root);
        let operation = match intent {
            Intent::Write { .. } => {
                fs_err::create_dir_all(parent).map_err(TreeError::io("making", parent))?;
                FlockOperation::NonBlockingLockExclusive
            }
            Intent::Compare if !parent.exists() => return Ok(Self(None)),
            Intent::Compare => FlockOperation::NonBlockingLockShared,
        };
        let folder = File::open(parent).map_err(TreeError::io("opening", parent))?;
        match flock(&folder, operation) {
            Ok(()) => Ok(Self(Some(folder))),
            Err(Errno::WOULDBLOCK) => Err(TreeError::Busy(root.to_owned())),
            // A filesystem without locks: here the user must avoid two runs at once.
            Err(_) => Ok(Self(None)),
        }
    }
}

/// Cleans up after a killed run: restores the old tree, removes staging folders.
pub(super) fn recover(root: &Utf8Path, intent: Intent) -> Result<(), TreeError> {
    let aside = aside(root);
    if !root.exists() && aside.exists() {
        fs_err::rename(&aside, root).map_err(TreeError::io("restoring", root))?;
    }
    let (Intent::Write { .. }, Some(parent)) = (intent, root.parent()) else { return Ok(()) };
    let prefix = stage_prefix(root);
    for entry in parent.read_dir_utf8().map_err(TreeError::io("reading", parent))?.flatten() {
        if entry.file_name().starts_with(&prefix) {
            fs_err::remove_dir_all(entry.path()).map_err(TreeError::io("removing", entry.path()))?;
        }
    }
    Ok(())
}

fn stage_prefix(root: &Utf8Path) -> String {
    format!(".remuda-{}-", root.file_name().unwrap_or("out"))
}

/// The old tree's temporary path on a filesystem that can't exchange two folders.
fn aside(root: &Utf8Path) -> Utf8PathBuf {
    root.with_file_name(format!("{}old", stage_prefix(root)))
}

/// The folder in which the new tree is assembled. It is created when the first file changes, and
/// removed if the exchange doesn't happen.
#[derive(Debug)]
pub(super) struct Stage {
    parent: Utf8PathBuf,
    prefix: String,
    folder: OnceLock<Result<tempfile::TempDir, String>>,
    /// Whether the umask removes bits that must be set again on each file.
    restore_modes: OnceLock<bool>,
}

impl Stage {
    pub(super) fn beside(root: &Utf8Path) -> Self {
        let parent = root.parent().unwrap_or(root).to_owned();
        Self { parent, prefix: stage_prefix(root), folder: OnceLock::new(), restore_modes: OnceLock::new() }
    }

    fn folder(&self) -> Result<&Utf8Path, TreeError> {
        let made = self
            .folder
            .get_or_init(|| tempfile::Builder::new().prefix(&self.prefix).tempdir_in(&self.parent).map_err(|error| error.to_string()));
        match made {
            Ok(folder) => Utf8Path::from_path(folder.path()).ok_or_else(|| TreeError::BadPath(self.parent.to_string())),
            Err(error) => Err(TreeError::io("making a folder in", &self.parent)(io::Error::other(error.clone()))),
        }
    }

    /// Writes a file of the new tree with mode 0644 or 0600, whatever the umask. Folders of private
    /// files have mode 0700.
    pub(super) fn write(&self, path: &str, bytes: &[u8], mode: u32) -> Result<(), TreeError> {
        let full = self.folder()?.join(path);
        if let Some(folder) = full.parent() {
            let made = DirBuilder::new().recursive(true).mode(if mode == 0o600 { 0o700 } else { 0o777 }).create(folder);
            made.map_err(TreeError::io("making", folder))?;
        }
        let failed = TreeError::io("writing", &full);
        self.write_file(&full, bytes, mode).map_err(failed)
    }

    fn write_file(&self, path: &Utf8Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let mut file = File::options().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        let fits = |file: &File| file.metadata().is_ok_and(|there| there.mode() & 0o777 == mode);
        let restore = if mode == 0o600 { !fits(&file) } else { *self.restore_modes.get_or_init(|| !fits(&file)) };
        if restore {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    /// Completes the new tree from the old one and puts it into place.
    pub(super) fn commit(
        mut self,
        root: &Utf8Path,
        files: &BTreeMap<String, String>,
        removed: &[String],
        private: Option<&str>,
    ) -> Result<(), TreeError> {
        let stage = self.folder()?.to_owned();
        let carry = Carry { root, stage: &stage, removed: removed.iter().map(String::as_str).collect() };
        if root.exists() {
            carry.folder("")?;
        }
        if self.restore_modes.get() == Some(&true) {
            set_modes(&stage, files, private)?;
        }
        if let Some(folder) = private.map(|folder| stage.join(folder)).filter(|folder| folder.exists()) {
            fs_err::set_permissions(&folder, Permissions::from_mode(0o700)).map_err(TreeError::io("writing", &folder))?;
        }
        let mode = root.metadata().map_or(0o755, |there| there.mode() & 0o7777);
        fs_err::set_permissions(&stage, Permissions::from_mode(mode)).map_err(TreeError::io("writing", &stage))?;
        exchange(&stage, root)?;
        // The stage's path now has the old tree, or nothing. It is removed with the stage.
        if let Some(Ok(folder)) = self.folder.take() {
            let _ = folder.close();
        }
        Ok(())
    }
}

/// Folders of generated files have mode 0755, whatever the umask, except those of private files.
fn set_modes(stage: &Utf8Path, files: &BTreeMap<String, String>, private: Option<&str>) -> Result<(), TreeError> {
    let mut seen = HashSet::new();
    let is_public = |path: &&String| private.is_none_or(|folder| path.split('/').next() != Some(folder));
    for path in files.keys().filter(is_public) {
        for folder in Utf8Path::new(path).ancestors().skip(1).filter(|folder| !folder.as_str().is_empty()) {
            if !seen.insert(folder.to_owned()) {
                break;
            }
            let full = stage.join(folder);
            fs_err::set_permissions(&full, Permissions::from_mode(0o755)).map_err(TreeError::io("writing", &full))?;
        }
    }
    Ok(())
}

/// Carries over what the new tree keeps from the old one.
struct Carry<'a> {
    root: &'a Utf8Path,
    stage: &'a Utf8Path,
    removed: HashSet<&'a str>,
}

impl Carry<'_> {
    fn folder(&self, inner: &str) -> Result<(), TreeError> {
        let from = self.root.join(inner);
        let entries = from.read_dir_utf8().map_err(TreeError::io("reading", &from))?;
        let entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(TreeError::io("reading", &from))?;
        entries.par_iter().try_for_each(|entry| {
            let inner = if inner.is_empty() { entry.file_name().to_owned() } else { format!("{inner}/{}", entry.file_name()) };
            let kind = entry.file_type().map_err(TreeError::io("looking at", entry.path()))?;
            if kind.is_dir() { self.subfolder(&inner, entry.path()) } else { self.file(&inner, entry.path(), kind) }
        })
    }

    fn subfolder(&self, inner: &str, from: &Utf8Path) -> Result<(), TreeError> {
        let to = self.stage.join(inner);
        let was_empty = from.read_dir_utf8().map_err(TreeError::io("reading", from))?.next().is_none();
        let existed = to.is_dir();
        if to.is_file() {
            return Ok(());
        }
        fs_err::create_dir_all(&to).map_err(TreeError::io("making", &to))?;
        self.folder(inner)?;
        let emptied = !was_empty && to.read_dir_utf8().map_err(TreeError::io("reading", &to))?.next().is_none();
        if emptied && !existed {
            return fs_err::remove_dir(&to).map_err(TreeError::io("removing", &to));
        }
        let mode = from.metadata().map_err(TreeError::io("looking at", from))?.mode() & 0o7777;
        fs_err::set_permissions(&to, Permissions::from_mode(mode)).map_err(TreeError::io("writing", &to))
    }

    fn file(&self, inner: &str, from: &Utf8Path, kind: std::fs::FileType) -> Result<(), TreeError> {
        let to = self.stage.join(inner);
        if self.removed.contains(inner) || to.symlink_metadata().is_ok() {
            return Ok(());
        }
        if !kind.is_file() && !kind.is_symlink() {
            return Err(TreeError::Special(from.to_owned()));
        }
        match fs_err::hard_link(from, &to) {
            Ok(()) => Ok(()),
            Err(error) if kind.is_file() && inner != MANIFEST && can_copy(&error) => copy(from, &to),
            Err(error) => Err(TreeError::io("linking", from)(error)),
        }
    }
}

/// Whether the filesystem has no hard links.
fn can_copy(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::PERM | Errno::XDEV | Errno::MLINK | Errno::OPNOTSUPP | Errno::NOSYS)
    ) || error.kind() == io::ErrorKind::Unsupported
}

/// A copy with the original's modification time.
fn copy(from: &Utf8Path, to: &Utf8Path) -> Result<(), TreeError> {
    fs_err::copy(from, to).map_err(TreeError::io("copying", from))?;
    let modified = from.metadata().and_then(|there| there.modified()).map_err(TreeError::io("looking at", from))?;
    let file = File::options().write(true).open(to).map_err(TreeError::io("writing", to))?;
    file.set_modified(modified).map_err(TreeError::io("writing", to))
}

/// Exchanges the new tree and the old one in one system call.
fn exchange(stage: &Utf8Path, root: &Utf8Path) -> Result<(), TreeError> {
    let flags = if root.exists() { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
    match renameat_with(CWD, stage.as_std_path(), CWD, root.as_std_path(), flags) {
        Ok(()) => Ok(()),
        Err(Errno::BUSY) => Err(TreeError::MountPoint(root.to_owned())),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => in_two_steps(stage, root),
        Err(error) => Err(TreeError::io("replacing", root)(error.into())),
    }
}

/// For filesystems that can't exchange two folders: a run killed in between leaves the old tree at
/// its temporary path, and the next run restores it.
fn in_two_steps(stage: &Utf8Path, root: &Utf8Path) -> Result<(), TreeError> {
    let aside = aside(root);
    if root.exists() {
        fs_err::rename(root, &aside).map_err(TreeError::io("replacing", root))?;
    }
    fs_err::rename(stage, root).map_err(TreeError::io("replacing", root))?;
    let _ = fs_err::remove_dir_all(&aside);
    Ok(())
}
