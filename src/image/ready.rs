//! An image as described → one whose layers are made of files on this machine.

use super::debian;
use super::layer::{self, Prepared};
use super::lock::Lock;
use super::part::Part;
use super::store::Store;
use super::unpack;
use super::view::View;
use super::walk::EntryKind;
use super::{Base, Content, FileSource, ImageError, ImageSpec, Io, Layer, Part as ImagePart, Place, Region, Roots};
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
/// The maximal depth of indexes within indexes, and of links to links in an archive.
pub(super) const NESTED: usize = 5;
const LINKS: usize = 8;

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
    /// Where each layer is from, for messages.
    pub origins: Vec<Utf8PathBuf>,
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
        let mut ready = Ready {
            name: image.name.clone(),
            arch: image.arch,
            base: None,
            layers: Vec::new(),
            origins: Vec::new(),
            entrypoint: image.entrypoint.clone(),
        };
        if let Some(base) = &image.from {
            let shown = self.shown_base(base);
            self.start(&mut ready, base, &shown).map_err(|error| self.named(error, &shown).in_image(&image.name, ImagePart::Base))?;
        }
        let mut files = BTreeMap::new();
        for (to, source) in &image.files {
            let of_file = |error| self.named(error, &self.shown(source)).in_image(&image.name, ImagePart::File(to.clone()));
            self.put(to, source, &mut files).map_err(of_file)?;
        }
        if !files.is_empty() {
            ready.layers.push(Layer::Files(files));
            ready.origins.push(Utf8PathBuf::from("its files"));
        }
        ready.check(&image.needs)?;
        Ok(ready)
    }

    /// Adds the layers of a base.
    fn start(&self, ready: &mut Ready, base: &Base, shown: &Utf8Path) -> Result<(), ImageError> {
        match base {
            Base::Rootfs(source) => {
                ready.layers.push(self.rootfs(source)?);
                ready.origins.push(shown.to_owned());
                Ok(())
            }
            Base::Registry { reference, .. } => {
                let locked = self.lock.image(reference, ready.arch).ok_or_else(|| ImageError::NotFetched(reference.to_string()))?;
                let config = document(&whole(&self.store.path(&locked.config.digest))?)?;
                let blobs = locked.layers.iter().map(|blob| whole(&self.store.path(&blob.digest)));
                self.base(ready, config, blobs.collect::<Result<_, _>>()?, shown)
            }
            Base::Archive { source, image: name } => self.archive(ready, source, name.as_deref()),
            Base::Debian { packages, layout, .. } => {
                let placed = packages.iter().map(|package| Ok((package, self.place(&package.source)?)));
                let tar = debian::rootfs(&placed.collect::<Result<Vec<_>, ImageError>>()?, layout, self.store)?;
                ready.layers.push(Layer::Rootfs { tar, below: String::new() });
                ready.origins.push(shown.to_owned());
                Ok(())
            }
            Base::Layout { path, image: name, .. } => {
                let root = self.roots.path(path);
                // An archive of a layout, as podman and buildx write it.
                let layout = if root.is_dir() { Layout::Folder(root) } else { Layout::Tar(whole(&unpack::plain(self.store, &root)?)?) };
                self.layout(ready, &layout, shown, name.as_deref())
            }
        }
    }

    /// Names the source instead of a file in the cache.
    fn named(&self, error: ImageError, shown: &Utf8Path) -> ImageError {
        error.of(shown, |inner| inner.starts_with(self.store.root()))
    }

    /// A source as messages name it.
    fn shown(&self, source: &FileSource) -> Utf8PathBuf {
        match &source.place {
            Place::Local(local) => self.roots.path(local),
            Place::Url { url, .. } => Utf8PathBuf::from(url),
        }
    }

    fn shown_base(&self, base: &Base) -> Utf8PathBuf {
        match base {
            Base::Rootfs(source) | Base::Archive { source, .. } => self.shown(source),
            Base::Registry { reference, .. } => Utf8PathBuf::from(reference.to_string()),
            Base::Layout { path, .. } => self.roots.path(path),
            Base::Debian { name, .. } => Utf8PathBuf::from(name),
        }
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
                    EntryKind::File(from) => Content::File { from, mode: mode(entry.attributes.mode) },
                    EntryKind::Symlink(to) => Content::Symlink(to),
                    EntryKind::Hardlink(other) => match linked(&tar, &other)? {
                        EntryKind::File(from) => Content::File { from, mode: mode(entry.attributes.mode) },
                        EntryKind::Symlink(to) => Content::Symlink(to),
                        _ => {
                            return Err(ImageError::Archive {
                                archive: tar.path.clone(),
                                problem: format!("{path} links to {other}, which isn't a file"),
                            });
                        }
                    },
                    EntryKind::Sparse(..) | EntryKind::Device => continue,
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
        let path = self.shown(source);
        let refuse = |problem: String| ImageError::Absent { archive: path.clone(), problem };
        let list = match one_file(&tar, "manifest.json") {
            Err(_) if one_file(&tar, "index.json").is_ok() => return self.layout(ready, &Layout::Tar(tar), &path, name),
            list => list?,
        };
        let manifests: Vec<SavedImage> = parse(&document(&list)?, &path)?;
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

    /// An image from an OCI layout.
    fn layout(&self, ready: &mut Ready, layout: &Layout, shown: &Utf8Path, name: Option<&str>) -> Result<(), ImageError> {
        let refuse = |problem: String| ImageError::Archive { archive: shown.to_owned(), problem };
        let absent = |problem: String| ImageError::Absent { archive: shown.to_owned(), problem };
        let none = || absent(format!("it has no image {} for {}", name.unwrap_or("at all"), ready.arch));
        let index: Index = parse(&document(&layout.file("index.json")?)?, shown)?;
        let there: BTreeSet<&str> = index.manifests.iter().flat_map(Descriptor::names).collect();
        let there = Vec::from_iter(there).join(", ");
        let named: Vec<&Descriptor> =
            index.manifests.iter().filter(|entry| name.is_none_or(|name| entry.names().any(|own| own == name))).collect();
        let mut one = match &named[..] {
            // What names it may say nothing of platforms.
            [one] => (*one).clone(),
            all => {
                let fitting = fitting(all.iter().copied(), ready.arch);
                let one = *fitting.first().ok_or_else(|| match there.as_str() {
                    "" => none(),
                    there => absent(format!("it doesn't have {} for {}, but {there}", name.unwrap_or("an image"), ready.arch)),
                })?;
                if name.is_none() && fitting.iter().any(|other| other.digest != one.digest) {
                    return Err(absent(format!("it has several images for {}; select one with `image`: {there}", ready.arch)));
                }
                one.clone()
            }
        };
        for _ in 0..NESTED {
            let bytes = layout.blob(&one, shown)?;
            if let Ok(index) = serde_json::from_slice::<Index>(&bytes) {
                one = choose(&index.manifests, ready.arch).ok_or_else(none)?.clone();
                continue;
            }
            let manifest: Manifest = parse(&bytes, shown)?;
            manifest.check().map_err(refuse)?;
            let config = layout.blob(&manifest.config, shown)?;
            let layers = manifest.layers.iter().map(|layer| layout.file(&blob_path(&layer.digest)));
            return self.base(ready, config, layers.collect::<Result<_, _>>()?, shown);
        }
        Err(none())
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
        for (number, (region, hash)) in layers.into_iter().zip(read.rootfs.diff_ids).enumerate() {
            let blob = match self.store.noted("layers", hash.as_str()) {
                Some(blob) => blob,
                None => {
                    let blob = self.store.put(&mut unpack::decompressed(part(&region)?, region.size, &region.path)?)?;
                    if blob.digest != hash {
                        self.store.remove(&blob.digest)?;
                        let number = number + 1;
                        return Err(refuse(format!("its layer {number} is {}, but its config says {hash}: it was changed", blob.digest)));
                    }
                    self.store.note("layers", hash.as_str(), &blob)?;
                    blob
                }
            };
            let path = self.store.path(&blob.digest);
            ready.layers.push(Layer::Whole { tar: Region { path, offset: 0, size: blob.size }, hash });
            ready.origins.push(format!("{from}, layer {}", number + 1).into());
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
pub(super) fn folder(from: &Utf8Path, to: &str, below: &str, files: &mut BTreeMap<String, Content>) -> Result<(), ImageError> {
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

pub(super) fn part(region: &Region) -> Result<Part, ImageError> {
    let file = File::open(&region.path).doing("reading", &region.path)?;
    Ok(Part::of(file, region.offset, region.size))
}

/// An OCI layout: a folder, or a tar archive of one.
enum Layout {
    Folder(Utf8PathBuf),
    Tar(Region),
}

/// A blob's path in an OCI layout.
fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}", digest.as_str().replace(':', "/"))
}

impl Layout {
    fn file(&self, name: &str) -> Result<Region, ImageError> {
        match self {
            Self::Folder(root) => whole(&root.join(name)),
            Self::Tar(tar) => one_file(tar, name),
        }
    }

    /// A document, checked against its name.
    fn blob(&self, descriptor: &Descriptor, shown: &Utf8Path) -> Result<Vec<u8>, ImageError> {
        let name = blob_path(&descriptor.digest);
        let bytes = document(&self.file(&name)?)?;
        let got = Digest::of(&bytes);
        if descriptor.digest.is_sha256() && got != descriptor.digest {
            return Err(ImageError::Archive { archive: shown.to_owned(), problem: format!("{name} has the digest {got}: it was changed") });
        }
        Ok(bytes)
    }
}

/// What a hard link in an archive leads to, through further ones.
fn linked(tar: &Region, member: &str) -> Result<EntryKind, ImageError> {
    let mut name = member.to_owned();
    for _ in 0..LINKS {
        match layer::member(tar, &name)?.remove("").map(|entry| entry.kind) {
            Some(EntryKind::Hardlink(to)) => name = to,
            Some(kind) => return Ok(kind),
            None => break,
        }
    }
    Err(ImageError::Archive { archive: tar.path.clone(), problem: format!("its member {member} isn't a file") })
}

/// A file in a plain tar. Links within the tar are followed.
fn one_file(tar: &Region, member: &str) -> Result<Region, ImageError> {
    let mut name = member.to_owned();
    for _ in 0..LINKS {
        name = match linked(tar, &name)? {
            EntryKind::File(region) => return Ok(region),
            EntryKind::Symlink(to) if !to.starts_with('/') => {
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
    media_type: String,
    pub digest: Digest,
    pub size: u64,
    platform: Option<Platform>,
    #[serde(rename = "artifactType")]
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    variant: Option<String>,
}

impl Descriptor {
    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Its names in an OCI layout, as the tools write them.
    fn names(&self) -> impl Iterator<Item = &str> {
        ["org.opencontainers.image.ref.name", "io.containerd.image.name"].into_iter().filter_map(|key| self.annotation(key))
    }

    /// Whether an image may be behind it: not an attestation of one, an artifact or something unknown.
    fn may_be_image(&self) -> bool {
        let known = ["application/vnd.oci.image.", "application/vnd.docker.distribution.manifest."];
        let is_known = self.media_type.is_empty() || known.iter().any(|kind| self.media_type.starts_with(kind));
        let is_image = self.artifact_type.as_deref().is_none_or(|kind| CONFIGS.contains(&kind));
        is_known && is_image && self.annotation("vnd.docker.reference.type").is_none()
    }
}

/// What an image's config calls itself; the empty one is no word on it.
const CONFIGS: [&str; 4] =
    ["", "application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json", "application/octet-stream"];

/// The images for an architecture among these entries, all equally good. Of those that don't tell their platform the config
/// tells it, so they come last. One for newer processors (`amd64/v3`) isn't for every node.
fn fitting<'d>(entries: impl Iterator<Item = &'d Descriptor> + Clone, arch: Arch) -> Vec<&'d Descriptor> {
    let variants = match arch {
        Arch::Amd64 => ["", "v1"],
        Arch::Arm64 => ["v8", ""],
    };
    let images = entries.filter(|entry| entry.may_be_image());
    let of = |variant: &str| {
        let is_it = |one: &Platform| {
            one.os == "linux" && one.architecture == arch.as_str() && one.variant.as_deref().unwrap_or_default() == variant
        };
        images.clone().filter(|entry| entry.platform.as_ref().is_some_and(is_it)).collect()
    };
    let unknown = || images.clone().filter(|entry| entry.platform.is_none()).collect();
    variants.into_iter().map(of).find(|found: &Vec<_>| !found.is_empty()).unwrap_or_else(unknown)
}

/// The image for an architecture among an index's entries: of several that fit, the first.
pub(super) fn choose(entries: &[Descriptor], arch: Arch) -> Option<&Descriptor> {
    fitting(entries.iter(), arch).first().copied()
}

/// An index: a manifest for each platform.
#[derive(Debug)]
pub(super) struct Index {
    pub manifests: Vec<Descriptor>,
}

impl<'de> Deserialize<'de> for Index {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            manifests: Vec<Value>,
            layers: Option<Value>,
        }
        let Raw { manifests: entries, layers } = Raw::deserialize(deserializer)?;
        if layers.is_some() {
            return Err(serde::de::Error::custom(BOTH));
        }
        // An entry that can't be read, with a digest of an unknown kind, is none of ours.
        Ok(Self { manifests: entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok()).collect() })
    }
}

/// Readers disagree on what it is (CVE-2021-41190).
const BOTH: &str = "one of its documents is both an index and an image";

/// A manifest: an image for one platform.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    #[serde(rename = "artifactType")]
    artifact_type: Option<String>,
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
    manifests: Option<Value>,
}

impl Manifest {
    /// Refuses what a registry or a layout keeps beside images.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.manifests.is_some() {
            return Err(BOTH.to_owned());
        }
        let kind = self.artifact_type.as_deref().filter(|kind| !kind.is_empty()).unwrap_or(&self.config.media_type);
        if CONFIGS.contains(&kind) || self.artifact_type.is_none() && !kind.starts_with("application/vnd.") {
            return Ok(());
        }
        Err(format!("it is no image but an artifact, `{kind}`"))
    }
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
    /// Scans a layer; `lower` is what is below it.
    pub(super) fn scan(&self, index: usize, lower: &View) -> Result<Prepared, ImageError> {
        let layer = &self.layers[index];
        let origin = self.origins.get(index).map_or(Utf8Path::new("its layer"), |origin| origin);
        let is_inner = |inner: &Utf8Path| !matches!(layer, Layer::Files(_)) && layer.sources().any(|source| source == inner);
        layer::prepare(layer, lower).map_err(|error| error.of(origin, is_inner)).map_err(|error| {
            let part = error.path().map_or(ImagePart::Base, |path| ImagePart::File(path.to_owned()));
            error.in_image(&self.name, part)
        })
    }

    /// Refuses an image that lacks one of these paths.
    fn check(&self, needs: &[String]) -> Result<(), ImageError> {
        if needs.is_empty() {
            return Ok(());
        }
        let mut seen = View::default();
        for index in 0..self.layers.len() {
            seen.add(&self.scan(index, &seen)?.entries);
        }
        let lacking: Vec<&str> = needs.iter().map(String::as_str).filter(|path| !seen.has(path)).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        Err(ImageError::Lacks { paths: lacking.join(" and no ") }.in_image(&self.name, ImagePart::Base))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of the entry that is taken of these: each a platform's variant, or what an artifact calls itself.
    fn chosen(arch: Arch, entries: &[Value]) -> Option<usize> {
        let entry = |(number, further): (usize, &Value)| {
            let mut entry = serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::of(&[number as u8]), "size": 1,
                "platform": { "os": "linux", "architecture": arch.as_str() },
            });
            match further.as_str() {
                Some(kind) if kind.contains('/') => entry["artifactType"] = kind.into(),
                Some(variant) => entry["platform"]["variant"] = variant.into(),
                None => {}
            }
            serde_json::from_value(entry).unwrap()
        };
        let entries: Vec<Descriptor> = entries.iter().enumerate().map(entry).collect();
        let chosen = choose(&entries, arch)?.digest.clone();
        entries.iter().position(|entry| entry.digest == chosen)
    }

    #[test]
    fn an_image_for_newer_processors_is_not_for_every_node() {
        let texts =
            |all: &[&str]| all.iter().map(|text| if text.is_empty() { Value::Null } else { (*text).into() }).collect::<Vec<Value>>();
        let of = |arch, all: &[&str]| chosen(arch, &texts(all));
        assert_eq!(of(Arch::Amd64, &["v3", ""]), Some(1));
        assert_eq!(of(Arch::Amd64, &["v2", "v1"]), Some(1));
        assert_eq!(of(Arch::Amd64, &["v3", "v2"]), None);
        assert_eq!(of(Arch::Arm64, &["", "v8"]), Some(1));
        assert_eq!(of(Arch::Arm64, &["v9", ""]), Some(1));
        assert_eq!(of(Arch::Amd64, &["application/vnd.example+json", "application/vnd.oci.image.config.v1+json"]), Some(1));
    }

    #[test]
    fn what_is_both_an_index_and_an_image_is_neither() {
        let both = serde_json::json!({
            "manifests": [], "layers": [],
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(b""), "size": 0 },
        });
        assert!(serde_json::from_value::<Index>(both.clone()).is_err());
        assert!(serde_json::from_value::<Manifest>(both).unwrap().check().unwrap_err().contains("both an index and an image"));
    }
}
