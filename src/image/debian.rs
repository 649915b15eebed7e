//! Debian's packages → a root filesystem, as a tar in the store. No script of a package is run.

use super::layer::{self, Entries, Entry};
use super::ready::part;
use super::store::Store;
use super::unpack;
use super::view;
use super::walk::EntryKind;
use super::{DebianPackage, ImageError, Io, Region};
use crate::component::rootfs::{Layout, matches};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

/// The notes in the cache of what packages are laid out to.
const NOTES: &str = "debian";
/// The first bytes of an archive of `ar`, and the size of a member's head.
const MAGIC: &[u8] = b"!<arch>\n";
const HEAD: u64 = 60;

/// The root filesystem of packages that are at these paths.
pub(super) fn rootfs(packages: &[(&DebianPackage, Utf8PathBuf)], layout: &Layout, store: &Store) -> Result<Utf8PathBuf, ImageError> {
    let names: Vec<&str> = packages.iter().filter_map(|(_, path)| path.file_name()).collect();
    // Another version of remuda may lay them out in another way.
    let key = json!({ "remuda": env!("CARGO_PKG_VERSION"), "packages": names, "layout": layout }).to_string();
    if let Some(blob) = store.noted(NOTES, &key) {
        return Ok(store.path(&blob.digest));
    }
    let mut tree = Tree { layout, entries: Entries::new(), owners: BTreeMap::new(), content: Content::new()? };
    for (package, path) in packages {
        let shown = Utf8Path::new(package.source.place.url().unwrap_or(&package.name));
        let content = tree.content.path.clone();
        tree.unpack(package, path).map_err(|error| error.of(shown, |inner| inner == path || inner == content))?;
    }
    let (entries, _content) = tree.lay_out()?;
    let mut out = BufWriter::with_capacity(256 << 10, tempfile::tempfile().doing("making", "a temporary file")?);
    layer::write_entries(&entries, &mut out)?;
    let mut tar = out.into_inner().map_err(|error| error.into_error()).doing("writing", "a temporary file")?;
    tar.seek(SeekFrom::Start(0)).doing("reading", "a temporary file")?;
    let blob = store.put(&mut tar)?;
    store.note(NOTES, &key, &blob)?;
    Ok(store.path(&blob.digest))
}

/// The archive of files in a package (deb(5), format 2).
fn data(path: &Utf8Path) -> Result<Region, ImageError> {
    let refuse =
        |problem: &str| ImageError::Archive { archive: path.to_owned(), problem: format!("this isn't a Debian package: {problem}") };
    let whole = layer::whole(path)?;
    let mut part = part(&whole)?;
    let mut read = |at: u64, size: u64| {
        let mut bytes = Vec::new();
        part.seek(SeekFrom::Start(at)).and_then(|_| (&mut part).take(size).read_to_end(&mut bytes)).doing("reading", path)?;
        Ok::<_, ImageError>(bytes)
    };
    if read(0, MAGIC.len() as u64)? != MAGIC {
        return Err(refuse("it isn't an archive of `ar`"));
    }
    let (mut at, mut is_first, mut found) = (MAGIC.len() as u64, true, None);
    while at < whole.size {
        let (name, size) = member(&read(at, HEAD)?).ok_or_else(|| refuse("the head of a member is malformed"))?;
        let start = at + HEAD;
        let end = start.checked_add(size).filter(|end| *end <= whole.size).ok_or_else(|| refuse("it ends too early"))?;
        match name.as_str() {
            "debian-binary" if is_first && !read(start, size.min(2))?.starts_with(b"2.") => {
                return Err(refuse("its format isn't version 2"));
            }
            "debian-binary" if is_first => {}
            _ if is_first => return Err(refuse("its first member isn't `debian-binary`")),
            "data.tar" | "data.tar.gz" | "data.tar.xz" | "data.tar.zst" if found.is_none() => {
                found = Some(Region { path: path.to_owned(), offset: start, size });
            }
            "control.tar" | "control.tar.gz" | "control.tar.xz" | "control.tar.zst" => {}
            // To be ignored, wherever it is.
            other if other.starts_with('_') => {}
            other => return Err(refuse(&format!("it has a member `{}`", other.escape_debug()))),
        }
        is_first = false;
        at = end.saturating_add(size % 2);
    }
    found.ok_or_else(|| refuse("it has no `data.tar`"))
}

/// The name and size of a member with this head.
fn member(head: &[u8]) -> Option<(String, u64)> {
    let head = head.strip_suffix(b"`\n").filter(|_| head.len() as u64 == HEAD)?;
    let (name, size) = (String::from_utf8_lossy(&head[..16]), str::from_utf8(&head[48..]).ok()?);
    Some((name.trim_end_matches([' ', '/']).to_owned(), size.trim_end().parse().ok()?))
}

/// The files of packages, one archive after the other, and of texts.
struct Content {
    file: tempfile::NamedTempFile,
    path: Utf8PathBuf,
    size: u64,
}

impl Content {
    fn new() -> Result<Self, ImageError> {
        let file = tempfile::NamedTempFile::new().doing("making", "a temporary file")?;
        let path = Utf8PathBuf::from_path_buf(file.path().to_owned()).map_err(|path| ImageError::BadPath(path.display().to_string()))?;
        Ok(Self { file, path, size: 0 })
    }

    fn add(&mut self, from: &mut dyn Read) -> Result<Region, ImageError> {
        let size = io::copy(from, &mut self.file).map_err(ImageError::Unreadable)?;
        let region = Region { path: self.path.clone(), offset: self.size, size };
        self.size += size;
        Ok(region)
    }
}

struct Tree<'a> {
    layout: &'a Layout,
    entries: Entries,
    /// The package that each path is of, for messages.
    owners: BTreeMap<String, &'a str>,
    content: Content,
}

impl<'a> Tree<'a> {
    /// Adds a package's files. A folder that several have is as in the first of them.
    fn unpack(&mut self, package: &'a DebianPackage, deb: &Utf8Path) -> Result<(), ImageError> {
        let data = data(deb)?;
        let tar = self.content.add(&mut unpack::decompressed(part(&data)?, data.size, deb)?)?;
        for (path, mut entry) in layer::rootfs(&tar, "")? {
            let path = self.moved(&path);
            if let EntryKind::Hardlink(to) = &mut entry.kind {
                *to = self.moved(to);
            }
            entry.attributes.owner = (0, 0);
            if let Some(there) = self.entries.get(&path) {
                if (&there.kind, &entry.kind) != (&EntryKind::Folder, &EntryKind::Folder) {
                    let other = self.owners.get(&path).copied().unwrap_or_default();
                    let problem = format!("{path:?} is in {other} too");
                    return Err(ImageError::Archive { archive: tar.path, problem });
                }
                continue;
            }
            self.owners.insert(path.clone(), &package.name);
            self.entries.insert(path, entry);
        }
        Ok(())
    }

    /// A path below a folder that goes into another one.
    fn moved(&self, path: &str) -> String {
        let inner = |(from, to): (&String, &String)| match layer::cut(path, from)? {
            "" => Some(to.clone()),
            inner => Some(format!("{to}/{inner}")),
        };
        self.layout.merged.iter().find_map(inner).unwrap_or_else(|| path.to_owned())
    }

    /// Does what the layout says. The entries need the content.
    fn lay_out(mut self) -> Result<(Entries, Content), ImageError> {
        let Self { layout, entries, content, .. } = &mut self;
        for (path, pattern) in &layout.joined {
            let files = entries.iter().filter(|(path, _)| matches(pattern, path)).filter_map(|(_, entry)| match &entry.kind {
                EntryKind::File(region) => Some(region.clone()),
                _ => None,
            });
            let mut size = 0;
            let at = |region: Region| {
                let at = size;
                size += region.size;
                (at, region)
            };
            let pieces: Vec<_> = files.map(at).collect();
            if pieces.is_empty() {
                return Err(ImageError::Absent { archive: "its packages".into(), problem: format!("none has a file {pattern}") });
            }
            entries.insert(path.clone(), Entry::plain(EntryKind::Sparse(size, pieces), 0o644));
        }
        let goes = |path: &str| layout.removed.iter().any(|pattern| matches(pattern, path));
        entries.retain(|path, _| !view::above(path).chain([path.as_str()]).any(goes));
        for (path, mode) in &layout.folders {
            entries.insert(path.clone(), Entry::plain(EntryKind::Folder, mode.0));
        }
        for (from, to) in &layout.merged {
            entries.entry(to.clone()).or_insert_with(|| Entry::plain(EntryKind::Folder, 0o755));
            entries.insert(from.clone(), link(to));
        }
        for (path, to) in &layout.links {
            entries.insert(path.clone(), link(to));
        }
        for (path, text) in &layout.files {
            entries.insert(path.clone(), Entry::plain(EntryKind::File(content.add(&mut text.as_bytes())?), 0o644));
        }
        if let Some(commands) = &layout.commands
            && let Some(first) = commands.folders.first()
        {
            for name in &commands.names {
                if !commands.folders.iter().any(|folder| entries.contains_key(&format!("{folder}/{name}"))) {
                    entries.insert(format!("{first}/{name}"), link(&commands.to));
                }
            }
        }
        content.file.flush().doing("writing", &content.path)?;
        Ok((layer::sorted_links(self.entries), self.content))
    }
}

fn link(to: &str) -> Entry {
    Entry::plain(EntryKind::Symlink(to.to_owned()), 0o777)
}
