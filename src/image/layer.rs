//! A layer: its entries, sorted, and their bytes as a tar archive. Nothing of this machine is in
//! it: no times, no user names, no directory order.

use super::part::Part;
use super::{Content, ImageError, Io, Layer, Region};
use camino::{Utf8Path, Utf8PathBuf};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use tar::{EntryType, Header};

/// The maximal number of entries in an archive, and the maximal length of a path in bytes.
pub(super) const ENTRIES: usize = 1_000_000;
const LONGEST: usize = 4096;
/// The maximal size of an extended header or a long name, which the reader holds in memory.
const EXTENSION: u64 = 1 << 20;
const BLOCK: u64 = 512;

/// Entries by path, without a leading slash and, for folders, without a trailing one.
pub(super) type Entries = BTreeMap<String, Entry>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub kind: EntryKind,
    pub mode: u32,
    owner: (u64, u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EntryKind {
    Folder,
    File(Region),
    Symlink(String),
    /// Another name of the file at this path.
    Hardlink(String),
}

/// A scanned layer.
#[derive(Debug)]
pub(super) struct Prepared {
    pub entries: Entries,
    /// The size of its archive, in bytes.
    pub size: u64,
}

/// Scans a layer's sources, without reading the content of files.
pub(super) fn prepare(layer: &Layer) -> Result<Prepared, ImageError> {
    let entries = match layer {
        Layer::Rootfs { tar, below } => rootfs(tar, below)?,
        Layer::Whole { tar, .. } => return Ok(Prepared { entries: scan(tar)?, size: tar.size }),
        Layer::Files(files) => {
            let mut entries = Entries::new();
            for (to, content) in files {
                let path = inner(to.strip_prefix('/').unwrap_or_default()).ok_or_else(|| ImageError::BadPath(to.clone()))?;
                add_parents(&mut entries, &path);
                let (kind, mode) = match content {
                    Content::File { from, mode } => (EntryKind::File(from.clone()), *mode),
                    Content::Symlink(to) => (EntryKind::Symlink(to.clone()), 0o777),
                    Content::Folder => (EntryKind::Folder, 0o755),
                };
                entries.insert(path, Entry { kind, mode, owner: (0, 0) });
            }
            check_links(&entries).map_err(|problem| ImageError::BadPath(problem.clone()))?;
            entries
        }
    };
    Ok(Prepared { size: size(&entries), entries })
}

fn add_parents(entries: &mut Entries, path: &str) {
    for (at, _) in path.match_indices('/') {
        entries.entry(path[..at].to_owned()).or_insert(Entry { kind: EntryKind::Folder, mode: 0o755, owner: (0, 0) });
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

/// Refuses large headers, which a reader of tar archives would hold in memory.
fn check_extensions(tar: &mut (impl Read + Seek)) -> io::Result<()> {
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries_with_seek()?.raw(true) {
        let entry = entry?;
        let kind = entry.header().entry_type();
        let is_extension =
            kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_pax_local_extensions() || kind.is_pax_global_extensions();
        if is_extension && entry.size() > EXTENSION {
            return Err(io::Error::other(format!("one of its names or headers has {} bytes", entry.size())));
        }
    }
    Ok(())
}

/// An entry of an archive. `None` for devices and the like.
struct Found {
    name: String,
    entry: Option<Entry>,
}

/// Visits an archive's entries, without copying their bytes. Offsets are those of the file.
fn walk(tar: &Region, each: &mut dyn FnMut(Found) -> Result<(), ImageError>) -> Result<(), ImageError> {
    let refuse = |problem: String| ImageError::Archive { archive: tar.path.clone(), problem };
    let unreadable = |error: io::Error| refuse(format!("this isn't a readable tar archive: {error}"));
    let file = File::open(&tar.path).doing("reading", &tar.path)?;
    let mut part = Part::of(file, tar.offset, tar.size);
    check_extensions(&mut part).map_err(unreadable)?;
    part.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let mut archive = tar::Archive::new(part);
    for (count, entry) in archive.entries_with_seek().map_err(unreadable)?.enumerate() {
        let entry = entry.map_err(unreadable)?;
        if count >= ENTRIES {
            return Err(refuse(format!("more than {ENTRIES} entries")));
        }
        let name = String::from_utf8(entry.path_bytes().into_owned()).map_err(|_| refuse("a path is not UTF-8".to_owned()))?;
        let header = entry.header();
        let link = || -> Result<String, ImageError> {
            let link = entry.link_name_bytes().ok_or_else(|| refuse(format!("{name:?} links to nothing")))?;
            String::from_utf8(link.into_owned()).map_err(|_| refuse(format!("{name:?} links to a path that isn't UTF-8")))
        };
        let kind = match header.entry_type() {
            EntryType::Directory => Some(EntryKind::Folder),
            EntryType::Regular | EntryType::Continuous => {
                let from = Region { path: tar.path.clone(), offset: tar.offset + entry.raw_file_position(), size: entry.size() };
                Some(EntryKind::File(from))
            }
            EntryType::Symlink => Some(EntryKind::Symlink(link()?)),
            EntryType::Link => {
                Some(EntryKind::Hardlink(inner(&link()?).ok_or_else(|| refuse(format!("{name:?} links out of the image")))?))
            }
            EntryType::XGlobalHeader => continue,
            _ => None,
        };
        let mode = header.mode().map_err(unreadable)? & 0o7777;
        let owner = (header.uid().map_err(unreadable)?, header.gid().map_err(unreadable)?);
        each(Found { entry: kind.map(|kind| Entry { kind, mode, owner }), name })?;
    }
    Ok(())
}

/// A root filesystem's entries: those below the folder `below`, strictly checked.
fn rootfs(path: &Utf8Path, below: &str) -> Result<Entries, ImageError> {
    let refuse = |problem: String| ImageError::Archive { archive: path.to_owned(), problem };
    let mut entries = Entries::new();
    let mut is_below = below.is_empty();
    walk(&whole(path)?, &mut |found| {
        let name = found.name;
        let inner_path = inner(&name).ok_or_else(|| refuse(format!("{name:?} leads out of the image")))?;
        let Some(inner_path) = cut(&inner_path, below) else { return Ok(()) };
        is_below = true;
        let mut entry = found.entry.ok_or_else(|| refuse(format!("{name:?} isn't a file, folder or link")))?;
        if inner_path.is_empty() {
            return Ok(());
        }
        if let EntryKind::Hardlink(to) = &mut entry.kind {
            *to = cut(to, below).ok_or_else(|| refuse(format!("{name:?} links out of {below}")))?.to_owned();
        }
        if entries.insert(inner_path.to_owned(), entry).is_some() {
            return Err(refuse(format!("{name:?} is a duplicate")));
        }
        Ok(())
    })?;
    if !is_below {
        return Err(refuse(format!("it has nothing below {below}")));
    }
    check_links(&entries).map_err(refuse)?;
    let paths: Vec<String> = entries.keys().cloned().collect();
    paths.iter().for_each(|path| add_parents(&mut entries, path));
    Ok(entries)
}

/// A path relative to a folder; the folder itself is the empty path.
fn cut<'a>(path: &'a str, below: &str) -> Option<&'a str> {
    if below.is_empty() || path == below {
        return Some(if below.is_empty() { path } else { "" });
    }
    path.strip_prefix(below)?.strip_prefix('/')
}

/// A whole file.
pub(super) fn whole(path: &Utf8Path) -> Result<Region, ImageError> {
    Ok(Region { path: path.to_owned(), offset: 0, size: fs_err::metadata(path).doing("reading", path)?.len() })
}

/// The entries of another image's layer, which stays as it is. The engine extracts it, so whatever
/// the engine would refuse is refused here.
fn scan(tar: &Region) -> Result<Entries, ImageError> {
    let mut entries = Entries::new();
    walk(tar, &mut |found| {
        let path = inner(found.name.trim_start_matches('/'));
        let path = path.ok_or_else(|| ImageError::Archive {
            archive: tar.path.clone(),
            problem: format!("{:?} leads out of the image", found.name),
        })?;
        if let (Some(entry), false) = (found.entry, path.is_empty()) {
            entries.insert(path, entry);
        }
        Ok(())
    })?;
    Ok(entries)
}

/// The entry `member` of a plain tar: a file, or the content of a folder (whose name ends in a slash).
pub(super) fn member(tar: &Region, member: &str) -> Result<BTreeMap<String, Entry>, ImageError> {
    let refuse = |problem: String| ImageError::Archive { archive: tar.path.clone(), problem };
    let wanted = inner(member).ok_or_else(|| refuse(format!("{member:?} isn't a path in an archive")))?;
    let is_folder = member.ends_with('/');
    let (mut entries, mut near) = (BTreeMap::new(), None);
    walk(tar, &mut |found| {
        let Some(path) = inner(found.name.trim_start_matches('/')) else { return Ok(()) };
        let Some(rest) = cut(&path, &wanted) else {
            if near.is_none() && path.rsplit('/').next() == wanted.rsplit('/').next() {
                near = Some(path);
            }
            return Ok(());
        };
        match found.entry {
            Some(Entry { kind: EntryKind::Folder, .. }) if !is_folder && rest.is_empty() => {
                return Err(refuse(format!("its member {member} is a folder; write {member}/ for everything in it")));
            }
            Some(entry) => {
                entries.insert(rest.to_owned(), entry);
            }
            None => return Err(refuse(format!("{path} isn't a file, folder or link"))),
        }
        Ok(())
    })?;
    if entries.is_empty() {
        let hint = near.map(|near| format!("; it has {near}")).unwrap_or_default();
        return Err(refuse(format!("it has no {member}{hint}")));
    }
    Ok(entries)
}

/// A hard link must name a file of the archive, and only folders may have entries below them.
fn check_links(entries: &Entries) -> Result<(), String> {
    for (path, entry) in entries {
        if let EntryKind::Hardlink(to) = &entry.kind
            && !matches!(entries.get(to), Some(Entry { kind: EntryKind::File(_), .. }))
        {
            return Err(format!("{path:?} is a link to {to:?}, which isn't a file in the archive"));
        }
        for (at, _) in path.match_indices('/') {
            if entries.get(&path[..at]).is_some_and(|above| above.kind != EntryKind::Folder) {
                return Err(format!("{path:?} is below {:?}, which isn't a folder", &path[..at]));
            }
        }
    }
    Ok(())
}

/// The size of the layer's archive, in bytes.
fn size(entries: &Entries) -> u64 {
    let one = |(path, entry): (&String, &Entry)| {
        let (link, data) = match &entry.kind {
            EntryKind::Folder => ("", 0),
            EntryKind::File(from) => ("", padded(from.size)),
            EntryKind::Symlink(to) | EntryKind::Hardlink(to) => (to.as_str(), 0),
        };
        let name = path.len() + usize::from(entry.kind == EntryKind::Folder);
        long_size(name) + long_size(link.len()) + BLOCK + data
    };
    entries.iter().map(one).sum::<u64>() + 2 * BLOCK
}

pub(super) fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK)
}

/// The extra blocks of a name that doesn't fit into the header.
fn long_size(length: usize) -> u64 {
    if length <= 100 { 0 } else { BLOCK + padded(length as u64 + 1) }
}

/// Writes the layer's archive.
pub(super) fn write(layer: &Layer, entries: &Entries, out: &mut impl Write) -> Result<(), ImageError> {
    let mut sources = Sources::default();
    if let Layer::Whole { tar, .. } = layer {
        return sources.copy(tar, out);
    }
    for (path, entry) in entries {
        let name = if entry.kind == EntryKind::Folder { format!("{path}/") } else { path.clone() };
        let (entry_type, link, size) = match &entry.kind {
            EntryKind::Folder => (EntryType::Directory, "", 0),
            EntryKind::File(from) => (EntryType::Regular, "", from.size),
            EntryKind::Symlink(to) => (EntryType::Symlink, to.as_str(), 0),
            EntryKind::Hardlink(to) => (EntryType::Link, to.as_str(), 0),
        };
        put_header(out, &name, link, entry_type, entry.mode, entry.owner, size).doing("writing", &name)?;
        if let EntryKind::File(from) = &entry.kind {
            sources.copy(from, out)?;
            pad_out(out, from.size).doing("writing the content of", &from.path)?;
        }
    }
    out.write_all(&[0; 2 * BLOCK as usize]).doing("writing", "a layer")
}

/// Writes everything before an entry's content.
pub(super) fn put_header(
    out: &mut impl Write,
    name: &str,
    link: &str,
    entry_type: EntryType,
    mode: u32,
    owner: (u64, u64),
    size: u64,
) -> io::Result<()> {
    long(out, name, b'L')?;
    long(out, link, b'K')?;
    out.write_all(header(name, link, entry_type, mode, owner, size).as_bytes())
}

/// Pads the last block of a content.
pub(super) fn pad_out(out: &mut impl Write, size: u64) -> io::Result<()> {
    out.write_all(&[0; BLOCK as usize][..(padded(size) - size) as usize])
}

/// A GNU header. Times are 1970, users have only numbers.
pub(super) fn header(name: &str, link: &str, entry_type: EntryType, mode: u32, owner: (u64, u64), size: u64) -> Header {
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

/// A name of more than 100 bytes precedes its entry, as in GNU tar.
fn long(out: &mut impl Write, name: &str, kind: u8) -> io::Result<()> {
    if name.len() <= 100 {
        return Ok(());
    }
    let size = name.len() as u64 + 1;
    out.write_all(header("././@LongLink", "", EntryType::new(kind), 0o644, (0, 0), size).as_bytes())?;
    out.write_all(name.as_bytes())?;
    out.write_all(&[0])?;
    pad_out(out, size)
}

/// Open files: an archive stays open from entry to entry.
#[derive(Default)]
struct Sources {
    open: Option<(Utf8PathBuf, File)>,
    buffer: Vec<u8>,
}

impl Sources {
    fn copy(&mut self, region: &Region, out: &mut impl Write) -> Result<(), ImageError> {
        let from = &region.path;
        if self.open.as_ref().is_none_or(|(path, _)| path != from) {
            let file = File::open(from).doing("reading", from)?;
            self.open = Some((from.to_owned(), file));
        }
        let Some((_, file)) = &mut self.open else { return Ok(()) };
        file.seek(SeekFrom::Start(region.offset)).doing("reading", from)?;
        self.buffer.resize(256 << 10, 0);
        let mut left = region.size;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let got = file.read(&mut self.buffer[..wanted]).doing("reading", from)?;
            if got == 0 {
                return Err(ImageError::Changed(from.to_owned()));
            }
            out.write_all(&self.buffer[..got]).doing("writing the content of", from)?;
            left -= got as u64;
        }
        Ok(())
    }
}
