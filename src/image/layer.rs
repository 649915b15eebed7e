//! A layer: its entries, sorted, and their bytes as a tar archive with nothing of this machine in
//! it: no times, no names of users, no order of a directory.

use super::{ImageError, Layer};
use camino::{Utf8Path, Utf8PathBuf};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use tar::{EntryType, Header};

/// How many entries an archive may have, and how long a path in it may be.
const ENTRIES: usize = 1_000_000;
const LONGEST: usize = 4096;
const BLOCK: u64 = 512;

/// An entry by its path, without a leading slash; folders without a trailing one.
pub type Entries = BTreeMap<String, Entry>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    mode: u32,
    owner: (u64, u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Folder,
    /// `size` bytes from `offset` on in the file `from`.
    File {
        from: Utf8PathBuf,
        offset: u64,
        size: u64,
    },
    Symlink(String),
    /// A second name of the file at this path.
    Hardlink(String),
}

/// The entries of a layer.
pub fn entries(layer: &Layer) -> Result<Entries, ImageError> {
    match layer {
        Layer::Rootfs(path) => rootfs(path),
        Layer::Files(files) => {
            let mut entries = Entries::new();
            for (to, from) in files {
                let path = inner(to.strip_prefix('/').unwrap_or_default()).ok_or_else(|| ImageError::BadPath(to.clone()))?;
                let there = fs_err::metadata(from).map_err(ImageError::io("reading", from))?;
                add_parents(&mut entries, &path);
                let kind = Kind::File { from: from.clone(), offset: 0, size: there.len() };
                entries.insert(path, Entry { kind, mode: 0o755, owner: (0, 0) });
            }
            Ok(entries)
        }
    }
}

fn add_parents(entries: &mut Entries, path: &str) {
    for (at, _) in path.match_indices('/') {
        entries.entry(path[..at].to_owned()).or_insert(Entry { kind: Kind::Folder, mode: 0o755, owner: (0, 0) });
    }
}

/// A path within an image, without `.`; `None` if it leads outside.
fn inner(path: &str) -> Option<String> {
    if path.len() > LONGEST || path.contains('\0') || path.starts_with('/') {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

/// Reads where everything is in an archive; the bytes stay in it.
fn rootfs(path: &Utf8Path) -> Result<Entries, ImageError> {
    let refuse = |problem: String| ImageError::Archive { archive: path.to_owned(), problem };
    let unreadable = |error: io::Error| refuse(format!("this is no readable tar archive: {error}"));
    let file = File::open(path).map_err(ImageError::io("reading", path))?;
    let mut entries = Entries::new();
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries_with_seek().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = String::from_utf8(entry.path_bytes().into_owned()).map_err(|_| refuse("a path is not UTF-8".to_owned()))?;
        let inner_path = inner(&name).ok_or_else(|| refuse(format!("{name:?} leads out of the image")))?;
        if inner_path.is_empty() {
            continue;
        }
        if entries.len() >= ENTRIES {
            return Err(refuse(format!("more than {ENTRIES} entries")));
        }
        let header = entry.header();
        let link = || -> Result<String, ImageError> {
            let link = entry.link_name_bytes().ok_or_else(|| refuse(format!("{name:?} links to nothing")))?;
            String::from_utf8(link.into_owned()).map_err(|_| refuse(format!("{name:?} links to what is not UTF-8")))
        };
        let kind = match header.entry_type() {
            EntryType::Directory => Kind::Folder,
            EntryType::Regular | EntryType::Continuous => {
                Kind::File { from: path.to_owned(), offset: entry.raw_file_position(), size: entry.size() }
            }
            EntryType::Symlink => Kind::Symlink(link()?),
            EntryType::Link => Kind::Hardlink(inner(&link()?).ok_or_else(|| refuse(format!("{name:?} links out of the image")))?),
            other => return Err(refuse(format!("{name:?} is no file, folder or link ({other:?})"))),
        };
        let mode = header.mode().map_err(unreadable)? & 0o7777;
        let owner = (header.uid().map_err(unreadable)?, header.gid().map_err(unreadable)?);
        if entries.insert(inner_path, Entry { kind, mode, owner }).is_some() {
            return Err(refuse(format!("{name:?} is there twice")));
        }
    }
    check_links(&entries).map_err(refuse)?;
    let paths: Vec<String> = entries.keys().cloned().collect();
    paths.iter().for_each(|path| add_parents(&mut entries, path));
    Ok(entries)
}

/// A hard link must name a file of the archive, and nothing may lie below what is no folder.
fn check_links(entries: &Entries) -> Result<(), String> {
    for (path, entry) in entries {
        if let Kind::Hardlink(to) = &entry.kind
            && !matches!(entries.get(to), Some(Entry { kind: Kind::File { .. }, .. }))
        {
            return Err(format!("{path:?} is a link to {to:?}, which is no file in it"));
        }
        for (at, _) in path.match_indices('/') {
            if entries.get(&path[..at]).is_some_and(|above| above.kind != Kind::Folder) {
                return Err(format!("{path:?} lies below {:?}, which is no folder", &path[..at]));
            }
        }
    }
    Ok(())
}

/// How many bytes the layer's archive has.
pub fn size(entries: &Entries) -> u64 {
    let one = |(path, entry): (&String, &Entry)| {
        let (link, data) = match &entry.kind {
            Kind::Folder => ("", 0),
            Kind::File { size, .. } => ("", padded(*size)),
            Kind::Symlink(to) | Kind::Hardlink(to) => (to.as_str(), 0),
        };
        let name = path.len() + usize::from(entry.kind == Kind::Folder);
        long_size(name) + long_size(link.len()) + BLOCK + data
    };
    entries.iter().map(one).sum::<u64>() + 2 * BLOCK
}

pub fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK)
}

/// The extra blocks of a name that doesn't fit into the header.
fn long_size(length: usize) -> u64 {
    if length <= 100 { 0 } else { BLOCK + padded(length as u64 + 1) }
}

/// Writes the layer's archive.
pub fn write(entries: &Entries, out: &mut impl Write) -> Result<(), ImageError> {
    let mut sources = Sources::default();
    for (path, entry) in entries {
        let name = if entry.kind == Kind::Folder { format!("{path}/") } else { path.clone() };
        let (entry_type, link, size) = match &entry.kind {
            Kind::Folder => (EntryType::Directory, "", 0),
            Kind::File { size, .. } => (EntryType::Regular, "", *size),
            Kind::Symlink(to) => (EntryType::Symlink, to.as_str(), 0),
            Kind::Hardlink(to) => (EntryType::Link, to.as_str(), 0),
        };
        let failed = |error| ImageError::Io { doing: "writing", path: name.clone().into(), error };
        long(out, &name, b'L').map_err(failed)?;
        long(out, link, b'K').map_err(failed)?;
        out.write_all(header(&name, link, entry_type, entry.mode, entry.owner, size).as_bytes()).map_err(failed)?;
        if let Kind::File { from, offset, size } = &entry.kind {
            sources.copy(from, *offset, *size, out)?;
        }
    }
    out.write_all(&[0; 2 * BLOCK as usize]).map_err(ImageError::io("writing", "a layer"))
}

/// A GNU header; times are 1970, users have numbers alone.
pub fn header(name: &str, link: &str, entry_type: EntryType, mode: u32, owner: (u64, u64), size: u64) -> Header {
    fn short(field: &mut [u8], text: &str) {
        let length = text.len().min(field.len());
        field[..length].copy_from_slice(&text.as_bytes()[..length]);
    }
    let mut header = Header::new_gnu();
    header.set_entry_type(entry_type);
    header.set_mode(mode);
    header.set_uid(owner.0);
    header.set_gid(owner.1);
    header.set_mtime(0);
    header.set_size(size);
    short(&mut header.as_old_mut().name, name);
    short(&mut header.as_old_mut().linkname, link);
    header.set_cksum();
    header
}

/// A name of over 100 bytes goes before its entry, as GNU tar does it.
fn long(out: &mut impl Write, name: &str, kind: u8) -> io::Result<()> {
    if name.len() <= 100 {
        return Ok(());
    }
    let size = name.len() as u64 + 1;
    out.write_all(header("././@LongLink", "", EntryType::new(kind), 0o644, (0, 0), size).as_bytes())?;
    out.write_all(name.as_bytes())?;
    pad(out, size - 1)
}

/// Fills up to a whole block, with one byte at least where a name wants its end.
fn pad(out: &mut impl Write, size: u64) -> io::Result<()> {
    let rest = BLOCK - size % BLOCK;
    out.write_all(&[0; BLOCK as usize][..rest as usize])
}

/// Files being read; an archive stays open from entry to entry.
#[derive(Default)]
struct Sources {
    open: Option<(Utf8PathBuf, File)>,
    buffer: Vec<u8>,
}

impl Sources {
    fn copy(&mut self, from: &Utf8Path, offset: u64, size: u64, out: &mut impl Write) -> Result<(), ImageError> {
        if self.open.as_ref().is_none_or(|(path, _)| path != from) {
            let file = File::open(from).map_err(ImageError::io("reading", from))?;
            self.open = Some((from.to_owned(), file));
        }
        let Some((_, file)) = &mut self.open else { return Ok(()) };
        file.seek(SeekFrom::Start(offset)).map_err(ImageError::io("reading", from))?;
        self.buffer.resize(256 << 10, 0);
        let mut left = size;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let got = file.read(&mut self.buffer[..wanted]).map_err(ImageError::io("reading", from))?;
            if got == 0 {
                return Err(ImageError::Changed(from.to_owned()));
            }
            out.write_all(&self.buffer[..got]).map_err(ImageError::io("writing what is in", from))?;
            left -= got as u64;
        }
        if !size.is_multiple_of(BLOCK) {
            pad(out, size).map_err(ImageError::io("writing what is in", from))?;
        }
        Ok(())
    }
}
