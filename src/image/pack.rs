//! Images → one archive. A stamp next to it records its sources, so that nothing is read again
//! while no source changes.

use super::layer::{self, Entries, Prepared};
use super::sink::Sink;
use super::unpack;
use super::view::View;
use super::{Blob, ImageError, Io, Layer, Ready};
use crate::disk;
use crate::terms::{Digest, Hasher};
use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use tar::EntryType;

/// An archive that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Its file's name: `STEM-<the first 12 digits of its hash>.tar`, or `.tar.gz`.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of the whole file.
    pub sha256: String,
    /// What is in it.
    pub images: Vec<Packed>,
    /// Whether it already existed.
    #[serde(skip)]
    pub unchanged: bool,
}

/// An image in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Its name with the tag.
    pub name: String,
    /// The engine's image ID: SHA-256 of the image's config.
    pub id: String,
    /// SHA-256 of each layer's archive, the lowest first.
    pub layers: Vec<String>,
    /// Its digest in a registry, see [`super::push`].
    pub manifest: Digest,
}

/// The digests of layers that earlier archives of a build have, by [`state`].
pub type Known = BTreeMap<Digest, Digest>;

/// Packs `images` into the folder `out`. Those in `ids` must get these IDs. Layers in `known` aren't
/// hashed again. `progress` gets the bytes written so far and the total.
pub fn pack(
    images: &[Ready],
    ids: &BTreeMap<String, Digest>,
    out: &Utf8Path,
    stem: &str,
    gzip: bool,
    known: &mut Known,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Archive, ImageError> {
    fs_err::create_dir_all(out).doing("making", out)?;
    let stamp_path = out.join(format!(".{stem}.json"));
    let before = key(images, gzip)?;
    let old = Stamp::read(&stamp_path);
    if let Some(Stamp { archive, .. }) = old.as_ref().filter(|old| old.key == before) {
        let there = out.join(&archive.file).metadata();
        if there.is_ok_and(|there| there.is_file() && there.len() == archive.size) {
            check(archive, ids)?;
            return Ok(Archive { unchanged: true, ..archive.clone() });
        }
    }
    let temporary = tempfile::Builder::new().prefix(&format!(".{stem}-")).suffix(".tmp").tempfile_in(out).doing("writing in", out)?;
    let file = temporary.reopen().doing("writing in", out)?;
    let archive = write(images, file, stem, gzip, known, progress)?;
    check(&archive, ids)?;
    // A source that was replaced during the packing must not count as unchanged.
    if key(images, gzip)? != before {
        return Err(ImageError::Archive { archive: out.join(&archive.file), problem: "a source changed while it was packed".to_owned() });
    }
    let path = out.join(&archive.file);
    fs_err::set_permissions(temporary.path(), std::fs::Permissions::from_mode(0o644)).doing("writing", &path)?;
    temporary.persist(&path).map_err(|error| error.error).doing("writing", &path)?;
    if let Some(old) = old.filter(|old| old.archive.file != archive.file && is_ours(&old.archive.file, stem)) {
        remove(out, &old.archive.file);
    }
    Stamp { key: before, archive: archive.clone() }.write(&stamp_path)?;
    Ok(archive)
}

fn check(archive: &Archive, ids: &BTreeMap<String, Digest>) -> Result<(), ImageError> {
    for packed in &archive.images {
        if let Some(wanted) = ids.get(&packed.name).filter(|wanted| **wanted != packed.digest()) {
            return Err(ImageError::OtherImage { image: packed.name.clone(), got: packed.digest(), wanted: wanted.clone() });
        }
    }
    Ok(())
}

/// The stamp next to an archive: its sources, as far as they can be checked without reading them.
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
        Ok(disk::write(path, &text, 0o644)?)
    }
}

/// Removes the archives in `out` that this module made and whose stem isn't in `stems`.
pub fn retire(out: &Utf8Path, stems: &[String]) {
    for entry in out.read_dir_utf8().into_iter().flatten().flatten() {
        let stem = entry.file_name().strip_prefix('.').and_then(|name| name.strip_suffix(".json"));
        let Some(stem) = stem.filter(|stem| !stems.iter().any(|known| known == stem)) else { continue };
        if let Some(stamp) = Stamp::read(entry.path()).filter(|stamp| is_ours(&stamp.archive.file, stem)) {
            remove(out, &stamp.archive.file);
            let _ = fs_err::remove_file(entry.path());
        }
    }
}

/// The name of an archive's bill of materials.
pub fn bill_of(file: &str) -> String {
    let stem = file.strip_suffix(".gz").unwrap_or(file);
    format!("{}.cdx.json", stem.strip_suffix(".tar").unwrap_or(stem))
}

fn remove(out: &Utf8Path, file: &str) {
    let _ = fs_err::remove_file(out.join(file));
    let _ = fs_err::remove_file(out.join(bill_of(file)));
}

/// Whether a name in a stamp is one that this module makes.
fn is_ours(file: &str, stem: &str) -> bool {
    let digits = file.strip_prefix(stem).and_then(|rest| rest.strip_suffix(".gz").unwrap_or(rest).strip_prefix('-')?.strip_suffix(".tar"));
    digits.is_some_and(|digits| digits.len() == 12 && digits.chars().all(|c| c.is_ascii_hexdigit()))
}

/// A hash over the images' description and the state of their layers' sources.
fn key(images: &[Ready], gzip: bool) -> Result<String, ImageError> {
    let mut hash = Hasher::sha256();
    hash.update(format!("5 {} {gzip} {images:?}", env!("CARGO_PKG_VERSION")).as_bytes());
    images.iter().flat_map(|image| &image.layers).try_for_each(|layer| stat(layer, &mut hash))?;
    Ok(hash.finish().hex().to_owned())
}

/// A hash over all that a layer's bytes depend on: what it is of, and the entries that this becomes.
fn state(layer: &Layer, entries: &Entries) -> Result<Digest, ImageError> {
    let mut hash = Hasher::sha256();
    hash.update(format!("{layer:?}").as_bytes());
    if let Layer::Files(_) = layer {
        // They depend on what is below them.
        hash.update(format!("{entries:?}").as_bytes());
    }
    stat(layer, &mut hash)?;
    Ok(hash.finish())
}

/// Adds each source's state.
fn stat(layer: &Layer, hash: &mut Hasher) -> Result<(), ImageError> {
    layer.sources().try_for_each(|source| {
        let there = fs_err::metadata(source).doing("reading", source)?;
        hash.update(format!("{source} {}\n", unpack::state(&there)).as_bytes());
        Ok(())
    })
}

/// Each distinct layer's entries, numbered in the order of their first use.
struct Layers<'a> {
    order: Vec<(&'a Layer, Prepared)>,
    /// The numbers of each image's layers.
    images: Vec<Vec<usize>>,
}

impl<'a> Layers<'a> {
    fn of(images: &'a [Ready]) -> Result<Self, ImageError> {
        let mut layers = Self { order: Vec::new(), images: Vec::new() };
        let mut known: BTreeMap<&Layer, usize> = BTreeMap::new();
        for image in images {
            let (mut lower, mut numbers) = (View::default(), Vec::new());
            for (index, layer) in image.layers.iter().enumerate() {
                // What files become depends on what is below them.
                let is_alike = !matches!(layer, Layer::Files(_)) || index == 0;
                let number = match known.get(layer).filter(|_| is_alike) {
                    Some(number) => *number,
                    None => layers.number(layer, image.scan(index, &lower)?),
                };
                if is_alike {
                    known.insert(layer, number);
                }
                numbers.push(number);
                if image.layers[index + 1..].iter().any(|layer| matches!(layer, Layer::Files(_))) {
                    lower.add(&layers.order[number].1.entries);
                }
            }
            layers.images.push(numbers);
        }
        Ok(layers)
    }

    fn number(&mut self, layer: &'a Layer, prepared: Prepared) -> usize {
        let same = |(known, there): &(&Layer, Prepared)| *known == layer && there.entries == prepared.entries;
        self.order.iter().position(same).unwrap_or_else(|| {
            self.order.push((layer, prepared));
            self.order.len() - 1
        })
    }
}

fn write(
    images: &[Ready],
    file: std::fs::File,
    stem: &str,
    gzip: bool,
    known: &mut Known,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Archive, ImageError> {
    let layers = Layers::of(images)?;
    let total = layers.order.iter().map(|(_, prepared)| prepared.size).sum();
    let mut report = |done: u64| progress(done.min(total), total);
    let mut sink = Sink::new(file, gzip, &mut report);
    let name = format!("{stem}.tar");
    let doing = |outcome: std::io::Result<()>| outcome.doing("writing", &name);
    let mut digests = Vec::new();
    for (number, (layer, prepared)) in layers.order.iter().enumerate() {
        let header = layer::header(&layer_name(number), "", EntryType::Regular, 0o644, (0, 0), prepared.size);
        doing(sink.write_all(header.as_bytes()))?;
        let state = state(layer, &prepared.entries)?;
        let known = layer.digest().or(known.get(&state)).cloned();
        if known.is_none() {
            sink.begin_layer();
        }
        layer::write(layer, &prepared.entries, &mut sink)?;
        digests.push((state, known.ok_or_else(|| sink.end_layer())));
        doing(layer::pad_out(&mut sink, prepared.size))?;
    }
    doing(sink.pass_on())?;
    let mut hashes = Vec::new();
    for ((_, prepared), (state, digest)) in layers.order.iter().zip(digests) {
        let digest = digest.or_else(|coming| coming.recv().map_err(|_| sink.failure())).doing("writing", &name)?;
        known.insert(state, digest.clone());
        hashes.push(Blob { digest, size: prepared.size });
    }
    let mut packed = Vec::new();
    let mut manifest = Vec::new();
    for (image, numbers) in images.iter().zip(&layers.images) {
        let (one, config) = finish(image, numbers.iter().map(|number| hashes[*number].clone()).collect());
        doing(append(&mut sink, &format!("{}.json", one.id), &config))?;
        manifest.push(json!({
            "Config": format!("{}.json", one.id),
            "RepoTags": [image.name],
            "Layers": numbers.iter().map(|number| layer_name(*number)).collect::<Vec<_>>(),
        }));
        packed.push(one);
    }
    doing(append(&mut sink, "manifest.json", Value::Array(manifest).to_string().as_bytes()))?;
    doing(sink.write_all(&[0; 1024]))?;
    let written = sink.finish().doing("writing", &name)?;
    let (size, sha256) = (written.size, written.hash.hex().to_owned());
    let end = if gzip { ".tar.gz" } else { ".tar" };
    Ok(Archive { file: format!("{stem}-{}{end}", &sha256[..12]), size, sha256, images: packed, unchanged: false })
}

/// The ID that an image will have, computed without writing it.
pub fn id(image: &Ready) -> Result<Digest, ImageError> {
    let layers = Layers::of(std::slice::from_ref(image))?;
    let blob = |number: &usize| {
        let (layer, prepared) = &layers.order[*number];
        let digest = match layer.digest() {
            Some(digest) => digest.clone(),
            None => {
                let mut hash = Hasher::sha256();
                layer::write(layer, &prepared.entries, &mut hash)?;
                hash.finish()
            }
        };
        Ok::<_, ImageError>(Blob { digest, size: prepared.size })
    };
    let (packed, _) = finish(image, layers.images.iter().flatten().map(blob).collect::<Result<_, _>>()?);
    Ok(packed.digest())
}

/// An image's entry in the archive, and its config.
fn finish(image: &Ready, layers: Vec<Blob>) -> (Packed, Vec<u8>) {
    let digests: Vec<Digest> = layers.iter().map(|layer| layer.digest.clone()).collect();
    let config = config(image, &digests);
    let own = Blob { digest: Digest::of(&config), size: config.len() as u64 };
    let packed = Packed {
        name: image.name.clone(),
        id: own.digest.hex().to_owned(),
        layers: digests.iter().map(|digest| digest.hex().to_owned()).collect(),
        manifest: Digest::of(&super::push::manifest(&own, &layers)),
    };
    (packed, config)
}

impl Packed {
    /// Its SHA-256.
    pub fn digest(&self) -> Digest {
        Digest::sha256_of_hex(&self.id)
    }
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

/// The image's config (image spec v1.2). An unchanged base image keeps its config byte for byte,
/// and so its ID. What is put on top of a base is added to its config.
fn config(image: &Ready, layers: &[Digest]) -> Vec<u8> {
    const EPOCH: &str = "1970-01-01T00:00:00Z";
    if let (Some(base), true) = (&image.base, image.is_other()) {
        return base.clone();
    }
    let history = |_: &Digest| json!({ "created": EPOCH, "created_by": "remuda" });
    let entrypoint = image.entrypoint.as_ref().filter(|words| !words.is_empty()).map_or(Value::Null, |words| json!(words));
    let Some(mut base) = image.base_config() else {
        let config = json!({
            "architecture": image.arch.as_str(),
            "os": "linux",
            "created": EPOCH,
            "config": {
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Entrypoint": entrypoint,
            },
            "rootfs": { "type": "layers", "diff_ids": layers },
            "history": layers.iter().map(history).collect::<Vec<_>>(),
        });
        return config.to_string().into_bytes();
    };
    base["rootfs"]["diff_ids"] = json!(layers);
    let own = image.layers.iter().zip(layers).filter(|(layer, _)| !matches!(layer, Layer::Whole { .. })).map(|(_, hash)| history(hash));
    match base["history"].as_array_mut() {
        Some(known) => known.extend(own),
        None => base["history"] = layers.iter().map(history).collect(),
    }
    if image.entrypoint.is_some() {
        // As with a Dockerfile's ENTRYPOINT, the base image's arguments are dropped with its program.
        base["config"]["Entrypoint"] = entrypoint;
        base["config"]["Cmd"] = Value::Null;
    }
    base.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::{Content, Region};
    use super::*;
    use crate::terms::Arch;

    #[test]
    fn what_a_layer_of_an_earlier_archive_hashed_to_is_not_hashed_again() {
        let folder = tempfile::tempdir().unwrap();
        let out = Utf8Path::from_path(folder.path()).unwrap();
        let path = out.join("program");
        let mut known = Known::new();
        let packed = |stem: &str, known: &mut Known| {
            let from = Region { path: path.clone(), offset: 0, size: path.metadata().unwrap().len() };
            let image = Ready {
                name: format!("{stem}:1"),
                arch: Arch::Amd64,
                base: None,
                layers: vec![Layer::Files(BTreeMap::from([("/program".to_owned(), Content::File { from, mode: 0o755 })]))],
                origins: vec![path.clone()],
                entrypoint: None,
            };
            let archive = pack(&[image], &BTreeMap::new(), out, stem, false, known, &mut |_, _| {}).unwrap();
            archive.images[0].layers.concat()
        };
        fs_err::write(&path, "one").unwrap();
        let own = packed("first", &mut known);
        // A digest that no layer has shows where the next archive takes it from.
        let planted = Digest::of(b"planted");
        assert_eq!(known.len(), 1);
        known.values_mut().for_each(|digest| *digest = planted.clone());
        assert_eq!(packed("again", &mut known), planted.hex());
        fs_err::write(&path, "another").unwrap();
        let other = packed("other", &mut known);
        assert!(other != own && other != planted.hex());
    }
}
