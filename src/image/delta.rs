//! A delta: an archive of images without the layers that earlier archives have.
//!
//! Docker looks for a layer's chain before it opens the layer's file (`image/tarexport/load.go`, unchanged in this since
//! 1.10), so it loads an archive without the layers that it has, if it has all below them too. containerd insists on the
//! files of an archive by `docker save`, but reads an OCI layout by the digests, wherever the blobs come from. So a delta is
//! both at once: a layout whose blobs `manifest.json` names too. All images are in it, so an engine that loads it has
//! them all; one that lacks a layer refuses it.

use super::layer::{self, header};
use super::push::{Held, PushedArchive, manifest};
use super::sink::Sink;
use super::{Blob, ImageError, Io};
use crate::terms::{Digest, ImageName};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use tar::EntryType;

/// What a delta has.
#[derive(Debug)]
pub struct Delta {
    /// Its size in bytes.
    pub size: u64,
    /// Each image's name, the number of its layers in the delta, and of all its layers.
    pub images: Vec<(String, usize, usize)>,
}

/// Writes a delta: what `new` has, without the layers of `old`.
pub fn delta(old: &[PushedArchive], new: &PushedArchive, to: File, gzip: bool) -> Result<Delta, ImageError> {
    let mut chains: BTreeSet<Vec<Digest>> = BTreeSet::new();
    for archive in old {
        for image in archive.held()? {
            let digests = image.digests();
            chains.extend((1..=digests.len()).map(|end| digests[..end].to_vec()));
        }
    }
    let images = new.held()?;
    let mut brought: BTreeMap<&Digest, &str> = BTreeMap::new();
    let mut counts = Vec::new();
    for image in &images {
        let digests = image.digests();
        let there = (1..=digests.len()).rev().find(|end| chains.contains(&digests[..*end])).unwrap_or(0);
        brought.extend(image.layers[there..].iter().map(|(digest, path)| (digest, path.as_str())));
        counts.push((image.name.clone(), digests.len() - there, digests.len()));
    }
    let mut progress = |_| {};
    let mut sink = Sink::new(to, gzip, &mut progress);
    let doing = |outcome: io::Result<()>| outcome.doing("writing", "a delta");
    for (digest, path) in brought {
        let mut part = new.part(path)?;
        let size = part.size();
        doing(begin(&mut sink, &blob_path(digest), size))?;
        io::copy(&mut part, &mut sink).doing("reading", new.path())?;
        doing(layer::pad_out(&mut sink, size))?;
    }
    let (mut index, mut list) = (Vec::new(), Vec::new());
    for image in &images {
        let config = Blob { digest: Digest::of(&image.config), size: image.config.len() as u64 };
        let blob = |(digest, path): &(Digest, String)| Ok::<_, ImageError>(Blob { digest: digest.clone(), size: new.part(path)?.size() });
        let layers: Vec<Blob> = image.layers.iter().map(blob).collect::<Result<_, _>>()?;
        let manifest = manifest(&config, &layers);
        doing(put(&mut sink, &blob_path(&config.digest), &image.config))?;
        doing(put(&mut sink, &blob_path(&Digest::of(&manifest)), &manifest))?;
        index.push(entry(image, &manifest, new)?);
        list.push(json!({
            "Config": blob_path(&config.digest),
            "RepoTags": [image.name],
            "Layers": image.layers.iter().map(|(digest, _)| blob_path(digest)).collect::<Vec<_>>(),
        }));
    }
    let index = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": index });
    doing(put(&mut sink, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#))?;
    doing(put(&mut sink, "index.json", index.to_string().as_bytes()))?;
    doing(put(&mut sink, "manifest.json", Value::Array(list).to_string().as_bytes()))?;
    doing(sink.write_all(&[0; 1024]))?;
    let written = sink.finish().doing("writing", "a delta")?;
    Ok(Delta { size: written.size, images: counts })
}

/// A manifest in the layout's index, with the names by which containerd knows its image.
fn entry(image: &Held, manifest: &[u8], archive: &PushedArchive) -> Result<Value, ImageError> {
    let name: ImageName = image.name.parse().map_err(|error| archive.refuse(&format!("{error}")))?;
    let tag = name.tag.as_deref().unwrap_or("latest");
    let config: Value = serde_json::from_slice(&image.config).unwrap_or_default();
    Ok(json!({
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "digest": Digest::of(manifest).as_str(),
        "size": manifest.len(),
        "annotations": {
            "io.containerd.image.name": format!("{}/{}:{tag}", name.registry, name.repository),
            "org.opencontainers.image.ref.name": tag,
        },
        "platform": { "os": config["os"], "architecture": config["architecture"] },
    }))
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn begin(sink: &mut Sink, name: &str, size: u64) -> io::Result<()> {
    sink.write_all(header(name, "", EntryType::Regular, 0o644, (0, 0), size).as_bytes())
}

fn put(sink: &mut Sink, name: &str, bytes: &[u8]) -> io::Result<()> {
    begin(sink, name, bytes.len() as u64)?;
    sink.write_all(bytes)?;
    layer::pad_out(sink, bytes.len() as u64)
}
