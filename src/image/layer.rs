//! A layer: its entries, sorted, and their bytes as a tar archive. Nothing of this machine is in
//! it: no times, no user names, no directory order.

use super::view::{self, View};
use super::walk::{Attributes, BLOCK, EntryKind, Found, is_utf8, shown, walk};
use super::{Content, ImageError, Io, Layer, Region};
use camino::{Utf8Path, Utf8PathBuf};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use tar::{EntryType, Header};

/// The longest path of an entry, in bytes: engines put a folder before it, and Linux takes 4096.
const DEEPEST: usize = 4000;

/// Entries by path, without a leading slash and, for folders, without a trailing one. The empty path
/// is the image's root.
pub(super) type Entries = BTreeMap<String, Entry>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub kind: EntryKind,
    pub attributes: Attributes,
}

impl Entry {
    pub(super) fn plain(kind: EntryKind, mode: u32) -> Self {
        Self { kind, attributes: Attributes::plain(mode) }
    }
}

/// A scanned layer.
#[derive(Debug)]
pub(super) struct Prepared {
    pub entries: Entries,
    /// The size of its archive, in bytes.
    pub size: u64,
}

/// Scans a layer's sources, without reading the content of files. `lower` is what is below it.
pub(super) fn prepare(layer: &Layer, lower: &View) -> Result<Prepared, ImageError> {
    let entries = match layer {
        Layer::Rootfs { tar, below } => rootfs(&whole(tar)?, below)?,
        Layer::Whole { tar, .. } => return Ok(Prepared { entries: scan(tar)?, size: tar.size }),
        Layer::Files(files) => put(files, lower)?,
    };
    Ok(Prepared { size: size(&entries), entries })
}

/// The entries of files that are put on what is below them. A folder that is there keeps its mode,
/// owner and times, as with a Dockerfile's `COPY`.
fn put(files: &BTreeMap<String, Content>, lower: &View) -> Result<Entries, ImageError> {
    let mut entries = Entries::new();
    for (to, content) in files {
        let path = inner(to.strip_prefix('/').unwrap_or_default()).filter(|path| !path.contains('\0'));
        let path = path.ok_or_else(|| ImageError::BadPath(to.clone()))?;
        if view::is_whiteout(&path) {
            return Err(ImageError::Whiteout(to.clone()));
        }
        add_parents(&mut entries, &path);
        let entry = match content {
            Content::File { from, mode } => Entry::plain(EntryKind::File(from.clone()), *mode),
            Content::Symlink(to) => Entry::plain(EntryKind::Symlink(to.clone()), 0o777),
            Content::Folder => Entry::plain(EntryKind::Folder, 0o755),
        };
        entries.insert(path, entry);
    }
    check_links(&entries).map_err(|(path, above)| ImageError::Below { path: format!("/{path}"), above: format!("/{above}") })?;
    for (path, entry) in &mut entries {
        let Some(below) = lower.get(path) else { continue };
        match (&entry.kind, &below.kind) {
            (EntryKind::Folder, EntryKind::Folder) => entry.attributes = below.attributes.clone(),
            (EntryKind::Folder, EntryKind::Symlink(_)) => return Err(ImageError::HidesLink { path: format!("/{path}") }),
            (EntryKind::Folder, _) => return Err(ImageError::HidesFile { path: format!("/{path}") }),
            (_, EntryKind::Folder) => return Err(ImageError::HidesFolder { path: format!("/{path}") }),
            _ => {}
        }
    }
    Ok(entries)
}

fn add_parents(entries: &mut Entries, path: &str) {
    for above in view::above(path) {
        entries.entry(above.to_owned()).or_insert_with(|| Entry::plain(EntryKind::Folder, 0o755));
    }
}

/// A path within an image, without `.`; `None` if it leads outside.
fn inner(path: &str) -> Option<String> {
    if path.len() > DEEPEST || path.starts_with('/') {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

/// A root filesystem's entries: those below the folder `below`, strictly checked.
pub(super) fn rootfs(tar: &Region, below: &str) -> Result<Entries, ImageError> {
    let refuse = |problem: String| ImageError::Archive { archive: tar.path.clone(), problem };
    let mut entries = Entries::new();
    let mut seen = BTreeSet::new();
    let mut is_below = below.is_empty();
    walk(tar, &mut |found| {
        let name = shown(&found.name);
        if !is_utf8(&found.name) {
            return Err(refuse(format!("the name {name} isn't UTF-8")));
        }
        let inner_path = inner(&found.name).ok_or_else(|| refuse(format!("{name} leads out of the image")))?;
        let Some(to) = cut(&inner_path, below).map(str::to_owned) else { return Ok(()) };
        is_below = true;
        if !seen.insert(to.clone()) {
            return Err(refuse(format!("{name} is a duplicate")));
        }
        if view::is_whiteout(&to) {
            return Err(refuse(format!("{name} would be taken for the removal of a file: engines read names with `.wh.` so")));
        }
        add(&mut entries, to, found, below).map_err(refuse)
    })?;
    if !is_below {
        return Err(refuse(format!("it has nothing below {below}")));
    }
    let root = entries.get("");
    if root.is_some_and(|root| root.attributes == Attributes::plain(0o755)) {
        entries.remove("");
    }
    check_links(&entries).map_err(|(path, above)| refuse(format!("{path:?} is below {above:?}, which isn't a folder")))?;
    let paths: Vec<String> = entries.keys().cloned().collect();
    paths.iter().for_each(|path| add_parents(&mut entries, path));
    Ok(sorted_links(entries))
}

/// Adds an entry of a root filesystem. A link is another name of a file before it, and gives that
/// file its own mode and owner: so does an engine.
fn add(entries: &mut Entries, to: String, found: Found, below: &str) -> Result<(), String> {
    let name = shown(&found.name);
    let attributes = Attributes { time: None, ..found.attributes };
    let link = match found.kind {
        EntryKind::Device => return Err(format!("{name} isn't a file, folder or link")),
        EntryKind::Symlink(link) if !is_utf8(&link) => return Err(format!("{name} links to {}, which isn't UTF-8", shown(&link))),
        EntryKind::Hardlink(link) => link,
        kind if to.is_empty() && kind != EntryKind::Folder => return Err(format!("{name} isn't a folder")),
        kind => {
            entries.insert(to, Entry { kind, attributes });
            return Ok(());
        }
    };
    let target = inner(&link).filter(|_| is_utf8(&link)).ok_or_else(|| format!("{name} links out of the image"))?;
    let target = cut(&target, below).ok_or_else(|| format!("{name} links out of {below}"))?;
    let first = match entries.get(target).map(|entry| &entry.kind) {
        Some(EntryKind::Hardlink(first)) => first.clone(),
        Some(EntryKind::File(_) | EntryKind::Sparse(..) | EntryKind::Symlink(_)) => target.to_owned(),
        Some(_) => return Err(format!("{name} is a hard link to {target:?}, which is a folder")),
        None => return Err(format!("{name} is a link to {target:?}, which isn't a file in the archive before it")),
    };
    if let Some(entry) = entries.get_mut(&first) {
        let own = &mut entry.attributes;
        own.owner = attributes.owner;
        if !matches!(entry.kind, EntryKind::Symlink(_)) {
            own.mode = attributes.mode;
        }
        // A change of the owner takes capabilities away.
        own.xattrs.remove("security.capability");
        own.xattrs.extend(attributes.xattrs.clone());
    }
    entries.insert(to, Entry { kind: EntryKind::Hardlink(first), attributes });
    Ok(())
}

/// Entries are written by name; a link must come after its file. So the first name has the content.
pub(super) fn sorted_links(mut entries: Entries) -> Entries {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, entry) in &entries {
        if let EntryKind::Hardlink(to) = &entry.kind {
            names.entry(to.clone()).or_default().push(path.clone());
        }
    }
    for (file, mut links) in names {
        let Some(entry) = entries.get(&file).cloned() else { continue };
        links.push(file);
        links.sort();
        let first = links.remove(0);
        for link in links {
            entries.insert(link, Entry { kind: EntryKind::Hardlink(first.clone()), attributes: entry.attributes.clone() });
        }
        entries.insert(first, entry);
    }
    entries
}

/// A path relative to a folder; the folder itself is the empty path.
pub(super) fn cut<'a>(path: &'a str, below: &str) -> Option<&'a str> {
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
    let refuse = |problem: String| ImageError::Archive { archive: tar.path.clone(), problem };
    let mut entries = Entries::new();
    let mut seen = BTreeSet::new();
    walk(tar, &mut |found| {
        let path = inner(found.name.trim_start_matches('/'));
        let path = path.ok_or_else(|| refuse(format!("{} leads out of the image", shown(&found.name))))?;
        if !seen.insert((found.name.starts_with('/'), path.clone())) {
            return Err(refuse(format!("{} is in the layer twice, and engines refuse to load such a layer", shown(&found.name))));
        }
        if found.is_old_sparse {
            return Err(refuse(format!("{} is a sparse file in a form that engines refuse to load", shown(&found.name))));
        }
        follows(&entries, &path, &found).map_err(refuse)?;
        entries.insert(path, Entry { kind: found.kind, attributes: found.attributes });
        Ok(())
    })?;
    Ok(entries)
}

/// Whether an entry of a layer can be made after those before it, as Docker makes them. The error says why not.
fn follows(entries: &Entries, path: &str, found: &Found) -> Result<(), String> {
    let name = shown(&found.name);
    let kind = |path: &str| entries.get(path).map(|entry| &entry.kind);
    if let Some(file) = view::above(path).find(|above| !matches!(kind(above), None | Some(EntryKind::Folder | EntryKind::Symlink(_)))) {
        return Err(format!("{name} is below {file:?}, which isn't a folder: engines refuse to load such a layer"));
    }
    if let Some(gone) = view::removed(path).filter(|gone| entries.contains_key(gone)) {
        return Err(format!("the layer removes {gone:?} after bringing it, and engines refuse to load such a layer"));
    }
    let EntryKind::Hardlink(to) = &found.kind else { return Ok(()) };
    let target = inner(to.trim_start_matches('/')).ok_or_else(|| format!("{name} links out of the image"))?;
    // Through a link of the layer it may be anywhere.
    let is_direct = view::above(&target).all(|above| matches!(kind(above), None | Some(EntryKind::Folder)));
    if is_direct && matches!(kind(&target), None | Some(EntryKind::Folder)) {
        let why = "which isn't a file before it in the layer: Docker refuses to load such a layer";
        return Err(format!("{name} is a hard link to {target:?}, {why}"));
    }
    Ok(())
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
        let problem = match &found.kind {
            EntryKind::Folder if !is_folder && rest.is_empty() => {
                format!("its member {member} is a folder; write {member}/ for everything in it")
            }
            EntryKind::Device => format!("{path} isn't a file, folder or link"),
            EntryKind::Sparse(..) => format!("its member {path} is a sparse file; make the archive without `--sparse`"),
            EntryKind::Symlink(to) | EntryKind::Hardlink(to) if !is_utf8(to) => format!("{path} links to {}, which isn't UTF-8", shown(to)),
            _ if !is_utf8(&path) => format!("the name {} isn't UTF-8", shown(&path)),
            _ if !found.attributes.xattrs.is_empty() => {
                let names: Vec<&str> = found.attributes.xattrs.keys().map(String::as_str).collect();
                format!("its member {path} has extended attributes ({}), which only a `rootfs` keeps", names.join(", "))
            }
            _ => {
                // The last of several is the one that remains when the archive is unpacked.
                entries.insert(rest.to_owned(), Entry { kind: found.kind, attributes: found.attributes });
                return Ok(());
            }
        };
        Err(refuse(problem))
    })?;
    if entries.is_empty() {
        let hint = near.map(|near| format!("; it has {near}")).unwrap_or_default();
        return Err(ImageError::Absent { archive: tar.path.clone(), problem: format!("it has no {member}{hint}") });
    }
    Ok(entries)
}

/// Only folders may have entries below them. The error is a path, and what is above it.
fn check_links(entries: &Entries) -> Result<(), (String, String)> {
    for path in entries.keys() {
        let is_other = |above: &&str| entries.get(*above).is_some_and(|above| above.kind != EntryKind::Folder);
        if let Some(above) = view::above(path).find(is_other) {
            return Err((path.clone(), above.to_owned()));
        }
    }
    Ok(())
}

/// An entry's name in the archive, its type, the target of a link, and the size of a file.
fn described<'a>(path: &str, entry: &'a Entry) -> (String, EntryType, &'a str, u64) {
    match &entry.kind {
        EntryKind::Folder => (if path.is_empty() { "./".to_owned() } else { format!("{path}/") }, EntryType::Directory, "", 0),
        EntryKind::File(from) => (path.to_owned(), EntryType::Regular, "", from.size),
        EntryKind::Sparse(size, _) => (path.to_owned(), EntryType::Regular, "", *size),
        EntryKind::Symlink(to) => (path.to_owned(), EntryType::Symlink, to.as_str(), 0),
        EntryKind::Hardlink(to) => (path.to_owned(), EntryType::Link, to.as_str(), 0),
        // Only other images' layers have devices, and they aren't written by their entries.
        EntryKind::Device => (path.to_owned(), EntryType::Fifo, "", 0),
    }
}

/// The size of the layer's archive, in bytes.
fn size(entries: &Entries) -> u64 {
    let one = |(path, entry): (&String, &Entry)| {
        let (name, _, link, size) = described(path, entry);
        let records = records(&name, link, &entry.attributes).len() as u64;
        let before = if records > 0 { BLOCK + padded(records) } else { long_size(name.len()) + long_size(link.len()) };
        before + BLOCK + padded(size)
    };
    entries.iter().map(one).sum::<u64>() + 2 * BLOCK
}

/// The PAX records that an entry needs: for attributes that no header has room for. Nothing for most.
fn records(name: &str, link: &str, attributes: &Attributes) -> Vec<u8> {
    let time = attributes.time.as_ref().filter(|_| seconds(attributes).is_none());
    if attributes.xattrs.is_empty() && time.is_none() {
        return Vec::new();
    }
    let mut all: Vec<(String, &[u8])> = Vec::new();
    if name.len() > 100 {
        all.push(("path".to_owned(), name.as_bytes()));
    }
    if link.len() > 100 {
        all.push(("linkpath".to_owned(), link.as_bytes()));
    }
    all.extend(time.map(|time| ("mtime".to_owned(), time.as_bytes())));
    all.extend(attributes.xattrs.iter().map(|(key, value)| (format!("SCHILY.xattr.{key}"), value.as_slice())));
    let mut bytes = Vec::new();
    for (key, value) in all {
        // The length counts its own digits.
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        bytes.extend(format!("{length} {key}=").bytes());
        bytes.extend(value);
        bytes.push(b'\n');
    }
    bytes
}

/// The time that fits into a header.
fn seconds(attributes: &Attributes) -> Option<u64> {
    attributes.time.as_ref().map_or(Some(0), |time| time.parse().ok()).filter(|time| *time < 1 << 33)
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
    match layer {
        Layer::Whole { tar, .. } => Sources::default().copy(tar, out),
        _ => write_entries(entries, out),
    }
}

/// Writes an archive of entries.
pub(super) fn write_entries(entries: &Entries, out: &mut impl Write) -> Result<(), ImageError> {
    let mut sources = Sources::default();
    for (path, entry) in entries {
        let (name, entry_type, link, size) = described(path, entry);
        let attributes = &entry.attributes;
        let records = records(&name, link, attributes);
        let mut own = header(&name, link, entry_type, attributes.mode, attributes.owner, size);
        own.set_mtime(seconds(attributes).unwrap_or_default());
        own.set_cksum();
        let mut put = || -> io::Result<()> {
            if records.is_empty() {
                long(out, &name, b'L')?;
                long(out, link, b'K')?;
            } else {
                let size = records.len() as u64;
                out.write_all(header("././@PaxHeader", "", EntryType::XHeader, 0o644, (0, 0), size).as_bytes())?;
                out.write_all(&records)?;
                pad_out(out, size)?;
            }
            out.write_all(own.as_bytes())
        };
        put().doing("writing", &name)?;
        match &entry.kind {
            EntryKind::File(from) => sources.copy(from, out)?,
            EntryKind::Sparse(_, pieces) => {
                let mut done = 0;
                for (at, piece) in pieces {
                    zeros(out, at - done).doing("writing", &name)?;
                    sources.copy(piece, out)?;
                    done = at + piece.size;
                }
                zeros(out, size - done).doing("writing", &name)?;
            }
            _ => {}
        }
        pad_out(out, size).doing("writing", &name)?;
    }
    out.write_all(&[0; 2 * BLOCK as usize]).doing("writing", "a layer")
}

fn zeros(out: &mut impl Write, size: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(size), out).map(drop)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a layer of these entries: names, types and links.
    fn wrong(entries: &[(&str, EntryType, &str)]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("layer.tar")).unwrap();
        let headers = entries.iter().flat_map(|(name, kind, link)| *header(name, link, *kind, 0o755, (0, 0), 0).as_bytes());
        std::fs::write(&path, headers.chain([0; 1024]).collect::<Vec<u8>>()).unwrap();
        scan(&whole(&path).unwrap()).err().map(|error| error.to_string())
    }

    #[test]
    fn a_layer_is_refused_that_docker_would_not_load() {
        use EntryType::{Directory, Link, Regular, Symlink};
        for (entries, says) in [
            (&[("f", Regular, ""), ("f/g", Regular, "")][..], "\"f/g\" is below \"f\""),
            (&[("f", Regular, ""), (".wh.f", Regular, "")], "removes \"f\" after bringing it"),
            (&[("d/", Directory, ""), ("d/e", Regular, ""), (".wh.d", Regular, "")], "removes \"d\" after bringing it"),
            (&[("l", Link, "f")], "isn't a file before it"),
            (&[("l", Link, "f"), ("f", Regular, "")], "isn't a file before it"),
            (&[("d/", Directory, ""), ("l", Link, "d")], "isn't a file before it"),
            (&[("l", Link, "../f")], "links out of the image"),
        ] {
            let said = wrong(entries).unwrap_or_default();
            assert!(said.contains(says), "{says}: {said}");
        }
        for entries in [
            &[("f", Regular, ""), ("l", Link, "f"), ("m", Link, "/l")][..],
            &[(".wh.f", Regular, ""), ("f", Regular, "")],
            &[("lib", Symlink, "usr/lib"), ("lib/f", Regular, ""), ("l", Link, "lib/f"), ("m", Link, "lib/other")],
            &[("d/.wh..wh..opq", Regular, ""), ("d/f", Regular, "")],
        ] {
            assert_eq!(wrong(entries), None);
        }
    }
}
