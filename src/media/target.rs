//! The target of an image: a file that exists completely or not at all, or a device.

use super::MediaError;
use crate::disk::folder_of;
use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use tempfile::NamedTempFile;

/// An unfinished file. If it is dropped before [`Target::finish`], or the process is killed,
/// nothing remains: until then the file has no name.
#[derive(Debug)]
pub struct Target {
    path: Utf8PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Unnamed(File),
    /// For filesystems without unnamed files.
    Named(NamedTempFile),
    Device(File),
}

/// The prefix of unfinished files, while they have a name.
const PREFIX: &str = ".remuda-";

impl Target {
    /// Opens `path`; the file has mode 0600 from its creation. An existing file is replaced with
    /// `force`, or if it is `ours`. A device is written only with `force`, and never while
    /// something uses it.
    pub fn open(path: &Utf8Path, force: bool, ours: impl FnOnce(&Utf8Path) -> bool) -> Result<Self, MediaError> {
        let there = std::fs::symlink_metadata(path).ok();
        let behind = std::fs::metadata(path).ok();
        let place = match (there, behind) {
            (_, Some(behind)) if behind.file_type().is_block_device() => {
                if !force {
                    return Err(MediaError::refused(
                        path,
                        "it is a device, and everything on it would be lost; use `--force` to write to it",
                    ));
                }
                Place::Device(device(path)?)
            }
            (Some(there), _) if !there.is_file() && !there.is_symlink() => {
                return Err(MediaError::refused(path, "it exists and is neither a file nor a device"));
            }
            (Some(there), _) if !force && (there.is_symlink() || !ours(path)) => {
                return Err(MediaError::refused(path, "it exists, and remuda didn't write it for this node; use `--force` to replace it"));
            }
            _ => unnamed(path)?,
        };
        Ok(Self { path: path.to_owned(), place })
    }

    /// The open file, to write and to read back.
    pub fn file(&self) -> Result<File, MediaError> {
        let file = match &self.place {
            Place::Unnamed(file) | Place::Device(file) => file.try_clone(),
            Place::Named(file) => file.as_file().try_clone(),
        };
        file.map_err(MediaError::io("writing", &self.path))
    }

    /// Gives the file its name.
    pub fn finish(self) -> Result<(), MediaError> {
        let failed = MediaError::io("writing", &self.path);
        match self.place {
            Place::Device(file) => file.sync_all().map_err(failed),
            Place::Named(file) => file.persist(&self.path).map(|_| ()).map_err(|error| failed(error.error)),
            Place::Unnamed(file) => {
                let folder = folder_of(&self.path);
                // A link can't replace a file, a rename can.
                let name = tempfile::Builder::new()
                    .prefix(PREFIX)
                    .make_in(folder, |name| {
                        let from = format!("/proc/self/fd/{}", file.as_raw_fd());
                        Ok(linkat(CWD, from, CWD, name, AtFlags::SYMLINK_FOLLOW)?)
                    })
                    .map_err(MediaError::io("writing in", folder))?;
                name.persist(&self.path).map(|_| ()).map_err(|error| failed(error.error))
            }
        }
    }
}

fn unnamed(path: &Utf8Path) -> Result<Place, MediaError> {
    let folder = folder_of(path);
    match openat(CWD, folder.as_std_path(), OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR) {
        Ok(file) if std::path::Path::new("/proc/self/fd").exists() => Ok(Place::Unnamed(File::from(file))),
        _ => tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder).map(Place::Named).map_err(MediaError::io("writing in", folder)),
    }
}

/// With O_EXCL, the kernel itself refuses a device if it, or a partition of it, is mounted or
/// otherwise in use (open(2)).
fn device(path: &Utf8Path) -> Result<File, MediaError> {
    let opened = File::options().read(true).write(true).custom_flags(OFlags::EXCL.bits() as i32).open(path);
    opened.map_err(|error| match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::BUSY) => MediaError::refused(path, "the device is mounted or in use; unmount it and its partitions"),
        _ => MediaError::io("opening", path)(error),
    })
}
