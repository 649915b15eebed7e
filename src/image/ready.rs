//! An image as described → one whose layers are made of files on this machine.

use super::layer::{self, EntryKind};
use super::lock::Lock;
use super::part::Part;
use super::store::Store;
use super::unpack;
use super::{Base, Content, FileSource, ImageError, ImageSpec, Io, Layer, Local, Place, Region, Roots};
use crate::terms::{Arch, Digest};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;

/// The maximal size of a manifest, index or image config, in bytes.
pub(super) const DOCUMENT: u64 = 8 << 20;

/// An image whose sources are all on this machine.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Its name with the tag.
    pub name: String,
    /// The processor.
    pub arch: Arch,
    /// The config of its base image, byte for byte.
    pub base: Option<Vec<u8>>,
    /// The lowest first. Layers that several images share are stored once.
    pub layers: Vec<Layer>,
    /// The program that it runs, if not that of its base.
    pub entrypoint: Option<Vec<String>>,
}

/// The local files and folders that images are made from.
pub fn locals<'a>(images: impl IntoIterator<Item = &'a ImageSpec>, roots: &Roots) -> BTreeSet<Utf8PathBuf> {
    images.into_iter().flat_map(ImageSpec::locals).map(|local| roots.path(local)).collect()
}

/// The places of everything that images are made from.
pub struct Materials<'a> {
    /// The folders of local sources.
    pub roots: &'a Roots,
    /// What remote sources are pinned to.
    pub lock: &'a Lock,
    /// The cache of remote sources.
    pub store: &'a Store,
}

impl Materials<'_> {
    /// Finds everything that the image is made of.
    pub fn ready(&self, image: &ImageSpec) -> Result<Ready, ImageError> {
        self.gather(image).map_err(|error| ImageError::Of { image: image.name.clone(), error: Box::new(error) })
    }

    fn gather(&self, image: &ImageSpec) -> Result<Ready, ImageError> {
        let mut ready =
            Ready { name: image.name.clone(), arch: image.arch, base: None, layers: Vec::new(), entrypoint: image.entrypoint.clone() };
        match &image.from {
            None => {}
            Some(Base::Rootfs(source)) => ready.layers.push(self.rootfs(source)?),
            Some(Base::Registry { reference, .. }) => {
                let locked = self.lock.image(reference, image.arch).ok_or_else(|| ImageError::NotFetched(reference.to_string()))?;
                let config = document(&whole(&self.store.path(&locked.config.digest))?)?;
                let blobs = locked.layers.iter().map(|blob| whole(&self.store.path(&blob.digest)));
                self.base(&mut ready, config, blobs.collect::<Result<_, _>>()?, &Utf8PathBuf::from(reference.to_string()))?;
            }
            Some(Base::Archive { source, image: name }) => self.archive(&mut ready, source, name.as_deref())?,
            Some(Base::Layout { path, image: name }) => self.layout(&mut ready, path, name.as_deref())?,
        }
        let mut files = BTreeMap::new();
        for (to, source) in &image.files {
            self.put(to, source, &mut files)?;
        }
        if !files.is_empty() {
            ready.layers.push(Layer::Files(files));
        }
        ready.check(&image.needs)?;
        Ok(ready)
    }

    /// The local path of a source's own bytes.
    fn place(&self, source: &FileSource) -> Result<Utf8PathBuf, ImageError> {
        match &source.place {
            Place::Local(local) => Ok(self.roots.path(local)),
            Place::Url { url, .. } => {
                let file = self.lock.file(url).filter(|file| self.store.has(&file.blob()));
                file.map(|file| self.store.path(&file.digest)).ok_or_else(|| ImageError::NotFetched(url.clone()))
            }
        }
    }

    fn plain(&self, source: &FileSource) -> Result<Region, ImageError> {
        whole(&unpack::plain(self.store, &self.place(source)?)?)
    }

    fn rootfs(&self, source: &FileSource) -> Result<Layer, ImageError> {
        let tar = self.plain(source)?;
        let Some(member) = &source.member else { return Ok(Layer::Rootfs { tar: tar.path, below: String::new() }) };
        if let Some(folder) = member.strip_suffix('/') {
            return Ok(Layer::Rootfs { tar: tar.path, below: folder.trim_start_matches("./").to_owned() });
        }
        // An archive within an archive.
        let region = one_file(&tar, member)?;
        let part = part(&region)?;
        let blob = self.store.put(&mut unpack::decompressed(part, region.size, &region.path)?)?;
        Ok(Layer::Rootfs { tar: self.store.path(&blob.digest), below: String::new() })
    }

    /// Adds a source at `to` in the image.
    fn put(&self, to: &str, source: &FileSource, files: &mut BTreeMap<String, Content>) -> Result<(), ImageError> {
        let to = to.trim_end_matches('/');
        if let Some(member) = &source.member {
            let tar = self.plain(source)?;
            if !member.ends_with('/') {
                files.insert(to.to_owned(), Content::File { from: one_file(&tar, member)?, mode: 0o755 });
                return Ok(());
            }
            for (path, entry) in layer::member(&tar, member)? {
                let content = match entry.kind {
                    EntryKind::Folder => Content::Folder,
                    EntryKind::File(from) => Content::File { from, mode: mode(entry.mode) },
                    EntryKind::Symlink(to) => Content::Symlink(to),
                    EntryKind::Hardlink(other) => Content::File { from: one_file(&tar, &other)?, mode: mode(entry.mode) },
                };
                insert(files, to, &path, content);
            }
            return Ok(());
        }
        let from = self.place(source)?;
        let there = fs_err::metadata(&from).doing("reading", &from)?;
        if there.is_dir() {
            return folder(&from, to, "", files);
        }
        files.insert(to.to_owned(), Content::File { from: whole(&from)?, mode: 0o755 });
        Ok(())
    }

    /// An image from an archive that `docker save` or skopeo wrote.
    fn archive(&self, ready: &mut Ready, source: &FileSource, name: Option<&str>) -> Result<(), ImageError> {
        let tar = self.plain(source)?;
        let path = self.place(source)?;
        let refuse = |problem: String| ImageError::Archive { archive: path.clone(), problem };
        let manifests: Vec<SavedImage> = parse(&document(&one_file(&tar, "manifest.json")?)?, &path)?;
        let names = |image: &SavedImage| image.tags.clone().unwrap_or_default();
        let saved = match (name, &manifests[..]) {
            (None, [one]) => one,
            (None, _) => {
                let all: Vec<String> = manifests.iter().flat_map(names).collect();
                return Err(refuse(format!("it has {} images; select one with `image`: {}", manifests.len(), all.join(", "))));
            }
            (Some(name), _) => {
                let all: Vec<String> = manifests.iter().flat_map(names).collect();
                let found = manifests.iter().find(|image| names(image).iter().any(|tag| tag == name));
                found.ok_or_else(|| refuse(format!("it doesn't have {name}, but {}", all.join(", "))))?
            }
        };
        let config = document(&one_file(&tar, &saved.config)?)?;
        let layers = saved.layers.iter().map(|layer| one_file(&tar, layer)).collect::<Result<Vec<_>, _>>()?;
        self.base(ready, config, layers, &path)
    }

    /// An image from the folder of an OCI layout.
    fn layout(&self, ready: &mut Ready, local: &Local, name: Option<&str>) -> Result<(), ImageError> {
        let root = self.roots.path(local);
        let refuse = |problem: String| ImageError::Archive { archive: root.clone(), problem };
        let index: Index = parse(&document(&whole(&root.join("index.json"))?)?, &root)?;
        let tag =
            |entry: &&Descriptor| name.is_none() || entry.annotations.get("org.opencontainers.image.ref.name").map(String::as_str) == name;
        let mut chosen = index.manifests.iter().filter(tag).cloned().collect::<Vec<_>>();
        // An index may refer to another one, by architecture.
        for _ in 0..4 {
            chosen = match &chosen[..] {
                [one] if one.is_index() => parse::<Index>(&self.blob(&root, one)?, &root)?.manifests,
                [_] => break,
                _ => chosen.into_iter().filter(|entry| entry.is_for(ready.arch)).take(1).collect(),
            };
        }
        let [one] = &chosen[..] else {
            return Err(refuse(format!("it has no image {} for {}", name.unwrap_or("at all"), ready.arch)));
        };
        let manifest: Manifest = parse(&self.blob(&root, one)?, &root)?;
        let config = self.blob(&root, &manifest.config)?;
        let layers = manifest.layers.iter().map(|layer| whole(&root.join("blobs").join(layer.digest.as_str().replace(':', "/"))));
        self.base(ready, config, layers.collect::<Result<_, _>>()?, &root)
    }

    /// A document of an OCI layout, checked against its name.
    fn blob(&self, root: &Utf8Path, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
        let path = root.join("blobs").join(descriptor.digest.as_str().replace(':', "/"));
        let bytes = document(&whole(&path)?)?;
        let got = Digest::of(&bytes);
        if descriptor.digest.is_sha256() && got != descriptor.digest {
            return Err(ImageError::Archive { archive: path, problem: format!("its digest is {got}: it was changed") });
        }
        Ok(bytes)
    }

    /// The layers of another image. Each must have the hash in that image's config.
    fn base(&self, ready: &mut Ready, config: Vec<u8>, layers: Vec<Region>, from: &Utf8Path) -> Result<(), ImageError> {
        let refuse = |problem: String| ImageError::Archive { archive: from.to_owned(), problem };
        let read: Config = parse(&config, from)?;
        if read.os != "linux" || read.architecture != ready.arch.as_str() {
            return Err(refuse(format!("it is an image for {}/{}, not for linux/{}", read.os, read.architecture, ready.arch)));
        }
        if read.rootfs.diff_ids.len() != layers.len() {
            return Err(refuse(format!("it has {} layers, but its config names {}", layers.len(), read.rootfs.diff_ids.len())));
        }
        for (region, hash) in layers.into_iter().zip(read.rootfs.diff_ids) {
            let blob = match self.store.noted("layers", hash.as_str()) {
                Some(blob) => blob,
                None => {
                    let blob = self.store.put(&mut unpack::decompressed(part(&region)?, region.size, &region.path)?)?;
                    if blob.digest != hash {
                        self.store.remove(&blob.digest)?;
                        return Err(refuse(format!("one of its layers is {}, but its config says {hash}: it was changed", blob.digest)));
                    }
                    self.store.note("layers", hash.as_str(), &blob)?;
                    blob
                }
            };
            let path = self.store.path(&blob.digest);
            ready.layers.push(Layer::Whole { tar: Region { path, offset: 0, size: blob.size }, hash });
        }
        ready.base = Some(config);
        Ok(())
    }
}

/// The mode of a file in an image: executable or not.
fn mode(mode: u32) -> u32 {
    if mode & 0o111 == 0 { 0o644 } else { 0o755 }
}

fn insert(files: &mut BTreeMap<String, Content>, to: &str, path: &str, content: Content) {
    let path = if path.is_empty() { to.to_owned() } else { format!("{to}/{path}") };
    if !path.is_empty() {
        files.insert(path, content);
    }
}

/// Adds the content of a local folder, below `to`.
fn folder(from: &Utf8Path, to: &str, below: &str, files: &mut BTreeMap<String, Content>) -> Result<(), ImageError> {
    insert(files, to, below, Content::Folder);
    for entry in from.read_dir_utf8().doing("reading", from)? {
        let entry = entry.doing("reading", from)?;
        let path = entry.path();
        let inner = if below.is_empty() { entry.file_name().to_owned() } else { format!("{below}/{}", entry.file_name()) };
        let there = fs_err::symlink_metadata(path).doing("reading", path)?;
        if there.is_dir() {
            folder(path, to, &inner, files)?;
        } else if there.is_symlink() {
            let link = path.read_link_utf8().doing("reading", path)?;
            insert(files, to, &inner, Content::Symlink(link.into_string()));
        } else if there.is_file() {
            let content = Content::File { from: whole(path)?, mode: mode(there.permissions().mode()) };
            insert(files, to, &inner, content);
        } else {
            return Err(ImageError::Archive { archive: path.to_owned(), problem: "it isn't a file, folder or link".to_owned() });
        }
    }
    Ok(())
}

fn whole(path: &Utf8Path) -> Result<Region, ImageError> {
    layer::whole(path)
}

fn part(region: &Region) -> Result<Part, ImageError> {
    let file = File::open(&region.path).doing("reading", &region.path)?;
    Ok(Part::of(file, region.offset, region.size))
}

/// A file in a plain tar. Links within the tar are followed.
fn one_file(tar: &Region, member: &str) -> Result<Region, ImageError> {
    let mut name = member.to_owned();
    for _ in 0..8 {
        let entry = layer::member(tar, &name)?.remove("");
        name = match entry.map(|entry| entry.kind) {
            Some(EntryKind::File(region)) => return Ok(region),
            Some(EntryKind::Hardlink(to)) => to,
            Some(EntryKind::Symlink(to)) if !to.starts_with('/') => {
                let mut parts: Vec<&str> = name.split('/').collect();
                parts.pop();
                for part in to.split('/') {
                    match part {
                        ".." => drop(parts.pop()),
                        "." | "" => {}
                        part => parts.push(part),
                    }
                }
                parts.join("/")
            }
            _ => break,
        };
    }
    Err(ImageError::Archive { archive: tar.path.clone(), problem: format!("its member {member} isn't a file") })
}

/// A small file, whole.
fn document(region: &Region) -> Result<Vec<u8>, ImageError> {
    if region.size > DOCUMENT {
        return Err(ImageError::Archive {
            archive: region.path.clone(),
            problem: format!("one of its documents has {} bytes", region.size),
        });
    }
    let mut bytes = Vec::new();
    part(region)?.read_to_end(&mut bytes).doing("reading", &region.path)?;
    Ok(bytes)
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8], from: &Utf8Path) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|error| ImageError::Archive {
        archive: from.to_owned(),
        problem: format!("it doesn't have the layout of an image: {error}"),
    })
}

/// An image in a `manifest.json`.
#[derive(Debug, Deserialize)]
struct SavedImage {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "RepoTags")]
    tags: Option<Vec<String>>,
    #[serde(rename = "Layers")]
    layers: Vec<String>,
}

/// A reference to a blob (OCI image spec 1.1, descriptor).
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Descriptor {
    #[serde(rename = "mediaType", default)]
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

impl Descriptor {
    pub(super) fn is_index(&self) -> bool {
        self.media_type.contains("index") || self.media_type.contains("manifest.list")
    }

    pub(super) fn is_for(&self, arch: Arch) -> bool {
        self.platform.as_ref().is_some_and(|platform| platform.os == "linux" && platform.architecture == arch.as_str())
    }
}

/// An index: a manifest for each platform.
#[derive(Debug, Deserialize)]
pub(super) struct Index {
    pub manifests: Vec<Descriptor>,
}

/// A manifest: an image for one platform.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
}

/// The parts of an image's config that are checked.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    pub architecture: String,
    pub os: String,
    pub rootfs: Layers,
    /// The parts that change when something is put on top. They must conform to the specification.
    #[serde(rename = "config")]
    _config: Option<serde_json::Map<String, Value>>,
    #[serde(rename = "history")]
    _history: Option<Vec<Value>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Layers {
    pub diff_ids: Vec<Digest>,
}

impl Ready {
    /// Refuses an image that lacks one of these paths.
    fn check(&self, needs: &[String]) -> Result<(), ImageError> {
        let mut lacking: BTreeSet<&str> = needs.iter().map(String::as_str).collect();
        for layer in &self.layers {
            if lacking.is_empty() {
                break;
            }
            let there = layer::prepare(layer)?.entries;
            lacking.retain(|path| !there.contains_key(path.trim_start_matches('/')));
        }
        if lacking.is_empty() {
            return Ok(());
        }
        Err(ImageError::Lacks { image: self.name.clone(), paths: lacking.into_iter().collect::<Vec<_>>().join(" and no ") })
    }

    /// Whether it is another image, unchanged.
    pub fn is_other(&self) -> bool {
        self.entrypoint.is_none() && self.layers.iter().all(|layer| matches!(layer, Layer::Whole { .. }))
    }

    /// The config of its base image.
    pub fn base_config(&self) -> Option<Value> {
        serde_json::from_slice(self.base.as_ref()?).ok()
    }
}
