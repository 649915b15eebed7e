//! Images → one archive. What was packed is noted beside it, so that nothing is read again while no
//! source changes.

use super::layer::{self, Entries, Kind};
use super::sink::{Hashing, Sink};
use super::{Image, ImageError, Layer};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use tar::EntryType;

/// An archive that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Its file's name: `STEM-<the first 12 digits of its hash>.tar`.
    pub file: String,
    pub size: u64,
    /// SHA-256 of the whole file.
    pub sha256: String,
    pub images: Vec<Packed>,
    /// Whether it was there already.
    #[serde(skip)]
    pub unchanged: bool,
}

/// An image in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    pub name: String,
    /// The engine's image ID: SHA-256 of the image's config.
    pub id: String,
    /// SHA-256 of each layer's archive, the lowest first.
    pub layers: Vec<String>,
}

/// The sources that aren't there as files.
pub fn missing(images: &[Image]) -> BTreeSet<Utf8PathBuf> {
    let sources = images.iter().flat_map(|image| &image.layers).flat_map(Layer::sources);
    sources.filter(|path| !path.is_file()).cloned().collect()
}

/// Packs `images` into the folder `out`. `progress` is told bytes written so far and in all.
pub fn pack(images: &[Image], out: &Utf8Path, stem: &str, progress: &mut dyn FnMut(u64, u64)) -> Result<Archive, ImageError> {
    fs_err::create_dir_all(out).map_err(ImageError::io("making", out))?;
    let stamp_path = out.join(format!(".{stem}.json"));
    let key = key(images)?;
    let old = Stamp::read(&stamp_path);
    if let Some(Stamp { archive, .. }) = old.as_ref().filter(|old| old.key == key) {
        let there = out.join(&archive.file).metadata();
        if there.is_ok_and(|there| there.is_file() && there.len() == archive.size) {
            return Ok(Archive { unchanged: true, ..archive.clone() });
        }
    }
    let temporary =
        tempfile::Builder::new().prefix(&format!(".{stem}-")).suffix(".tmp").tempfile_in(out).map_err(ImageError::io("writing in", out))?;
    let file = temporary.reopen().map_err(ImageError::io("writing in", out))?;
    let archive = write(images, file, stem, progress)?;
    // The same images must not stay the same while a source was exchanged under way.
    if self::key(images)? != key {
        return Err(ImageError::Archive { archive: out.join(&archive.file), problem: "a source changed while it was packed".to_owned() });
    }
    let path = out.join(&archive.file);
    fs_err::set_permissions(temporary.path(), std::fs::Permissions::from_mode(0o644)).map_err(ImageError::io("writing", &path))?;
    temporary.persist(&path).map_err(|error| ImageError::Io { doing: "writing", path: path.clone(), error: error.error })?;
    if let Some(old) = old.filter(|old| old.archive.file != archive.file && is_ours(&old.archive.file, stem)) {
        let _ = fs_err::remove_file(out.join(&old.archive.file));
    }
    Stamp { key, archive: archive.clone() }.write(&stamp_path)?;
    Ok(archive)
}

/// What is noted beside an archive: what it was made of, as far as a look without reading tells.
#[derive(Serialize, Deserialize)]
struct Stamp {
    key: String,
    archive: Archive,
}

impl Stamp {
    fn read(path: &Utf8Path) -> Option<Self> {
        serde_json::from_slice(&fs_err::read(path).ok()?).ok()
    }

    fn write(&self, path: &Utf8Path) -> Result<(), ImageError> {
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        fs_err::write(path, text).map_err(ImageError::io("writing", path))
    }
}

/// Whether a name that a stamp gives is one that this module makes.
fn is_ours(file: &str, stem: &str) -> bool {
    let digits = file.strip_prefix(stem).and_then(|rest| rest.strip_prefix('-')?.strip_suffix(".tar"));
    digits.is_some_and(|digits| digits.len() == 12 && digits.chars().all(|c| c.is_ascii_hexdigit()))
}

/// A hash over the description and each source's size, time and inode.
fn key(images: &[Image]) -> Result<String, ImageError> {
    let mut hash = Sha256::new();
    hash.update(format!("1 {} {images:?}", env!("CARGO_PKG_VERSION")));
    for source in images.iter().flat_map(|image| &image.layers).flat_map(Layer::sources) {
        let there = fs_err::metadata(source).map_err(ImageError::io("reading", source))?;
        hash.update(format!("{source} {} {} {} {}\n", there.len(), there.mtime(), there.mtime_nsec(), there.ino()));
    }
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Each distinct layer's entries, numbered in the order of their first use.
struct Layers<'a> {
    order: Vec<(&'a Layer, Entries)>,
    numbers: BTreeMap<&'a Layer, usize>,
}

impl<'a> Layers<'a> {
    fn of(images: &'a [Image]) -> Result<Self, ImageError> {
        let mut layers = Self { order: Vec::new(), numbers: BTreeMap::new() };
        for image in images {
            for layer in &image.layers {
                if !layers.numbers.contains_key(layer) {
                    layers.numbers.insert(layer, layers.order.len());
                    layers.order.push((layer, layer::entries(layer)?));
                }
            }
            layers.check(image)?;
        }
        Ok(layers)
    }

    /// No layer may put a folder where a lower one has a link.
    fn check(&self, image: &Image) -> Result<(), ImageError> {
        let all: Vec<&Entries> = image.layers.iter().map(|layer| &self.order[self.numbers[layer]].1).collect();
        for (index, upper) in all.iter().enumerate() {
            for (path, _) in upper.iter().filter(|(_, entry)| entry.kind == Kind::Folder) {
                let hides = |lower: &&Entries| lower.get(path).is_some_and(|entry| matches!(entry.kind, Kind::Symlink(_)));
                if all[..index].iter().any(hides) {
                    return Err(ImageError::HidesLink { image: image.name.clone(), path: format!("/{path}") });
                }
            }
        }
        Ok(())
    }
}

fn write(images: &[Image], file: std::fs::File, stem: &str, progress: &mut dyn FnMut(u64, u64)) -> Result<Archive, ImageError> {
    let layers = Layers::of(images)?;
    let total = layers.order.iter().map(|(_, entries)| layer::size(entries)).sum();
    let mut sink = Sink::new(file);
    let failed = || ImageError::io("writing", format!("{stem}.tar"));
    let mut hashes = Vec::new();
    for (number, (_, entries)) in layers.order.iter().enumerate() {
        let size = layer::size(entries);
        sink.write_all(layer::header(&layer_name(number), "", EntryType::Regular, 0o644, (0, 0), size).as_bytes()).map_err(failed())?;
        let mut reporting = Reporting { inner: &mut sink, total, progress: &mut *progress };
        let mut hashing = Hashing { inner: &mut reporting, hash: Sha256::new() };
        layer::write(entries, &mut hashing)?;
        hashes.push(hex(&hashing.hash.finalize()));
    }
    let mut packed = Vec::new();
    let mut manifest = Vec::new();
    for image in images {
        let numbers: Vec<usize> = image.layers.iter().map(|layer| layers.numbers[layer]).collect();
        let diffs: Vec<&str> = numbers.iter().map(|number| hashes[*number].as_str()).collect();
        let config = config(image, &diffs);
        let id = hex(&Sha256::digest(&config));
        append(&mut sink, &format!("{id}.json"), &config).map_err(failed())?;
        manifest.push(json!({
            "Config": format!("{id}.json"),
            "RepoTags": [image.name],
            "Layers": numbers.iter().map(|number| layer_name(*number)).collect::<Vec<_>>(),
        }));
        packed.push(Packed { name: image.name.clone(), id, layers: diffs.into_iter().map(str::to_owned).collect() });
    }
    append(&mut sink, "manifest.json", Value::Array(manifest).to_string().as_bytes()).map_err(failed())?;
    sink.write_all(&[0; 1024]).map_err(failed())?;
    let size = sink.written;
    let (_, hash) = sink.finish().map_err(failed())?;
    let sha256 = hex(&hash);
    Ok(Archive { file: format!("{stem}-{}.tar", &sha256[..12]), size, sha256, images: packed, unchanged: false })
}

fn layer_name(number: usize) -> String {
    format!("layer-{number:02}.tar")
}

fn append(sink: &mut Sink, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    sink.write_all(layer::header(name, "", EntryType::Regular, 0o644, (0, 0), bytes.len() as u64).as_bytes())?;
    sink.write_all(bytes)?;
    let rest = layer::padded(bytes.len() as u64) - bytes.len() as u64;
    sink.write_all(&[0; 512][..rest as usize])
}

/// The image's config (image spec v1.2).
fn config(image: &Image, diffs: &[&str]) -> Vec<u8> {
    let diffs: Vec<String> = diffs.iter().map(|diff| format!("sha256:{diff}")).collect();
    let history: Vec<Value> = diffs.iter().map(|_| json!({ "created": "1970-01-01T00:00:00Z", "created_by": "remuda" })).collect();
    let config = json!({
        "architecture": image.arch,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Entrypoint": if image.entrypoint.is_empty() { Value::Null } else { json!(image.entrypoint) },
        },
        "rootfs": { "type": "layers", "diff_ids": diffs },
        "history": history,
    });
    config.to_string().into_bytes()
}

/// Tells how far the archive is.
struct Reporting<'a> {
    inner: &'a mut Sink,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl Write for Reporting<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = self.inner.write(bytes)?;
        (self.progress)(self.inner.written.min(self.total), self.total);
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
