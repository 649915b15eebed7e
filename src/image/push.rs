//! The writing half of the OCI distribution API 1.1: an archive's images → a registry.
//!
//! An image is pushed as Docker's schema 2, which system-docker 17.06 also pulls, with its layers
//! as they are in the archive. So its digest is known when it is packed, before any registry has
//! it, and a node's config can use it.

use super::http::{Answered, FetchError, refusal};
use super::part::Part;
use super::ready::DOCUMENT;
use super::registry::Registry;
use super::url::{resolve, with_parameter};
use super::{Blob, ImageError, Io, Store, unpack};
use crate::terms::{Digest, ImageName};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::sync::Arc;
use ureq::http::{HeaderMap, HeaderValue, Method, Response};
use ureq::{Body, SendBody};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The manifest of an image (image manifest version 2, schema 2).
pub(super) fn manifest(config: &Blob, layers: &[Blob]) -> Vec<u8> {
    let blob = |kind: &str, blob: &Blob| json!({ "mediaType": kind, "size": blob.size, "digest": blob.digest });
    let layers: Vec<_> = layers.iter().map(|layer| blob("application/vnd.docker.image.rootfs.diff.tar", layer)).collect();
    let config = blob("application/vnd.docker.container.image.v1+json", config);
    json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers }).to_string().into_bytes()
}

/// A packed archive, read.
pub struct PushedArchive {
    path: Utf8PathBuf,
    file: Arc<File>,
    /// Path in it → offset and size.
    places: HashMap<String, (u64, u64)>,
    images: Vec<InArchive>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InArchive {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    rootfs: Rootfs,
}

#[derive(Deserialize)]
struct Rootfs {
    diff_ids: Vec<Digest>,
}

/// An image in an archive.
pub(super) struct Held {
    /// Its name with the tag.
    pub name: String,
    /// Its config, byte for byte.
    pub config: Vec<u8>,
    /// Each layer's digest and path in the archive, the lowest first.
    pub layers: Vec<(Digest, String)>,
}

impl Held {
    pub(super) fn digests(&self) -> Vec<Digest> {
        self.layers.iter().map(|(digest, _)| digest.clone()).collect()
    }
}

impl PushedArchive {
    /// Reads the index of an archive, unpacked in the store if it is compressed.
    pub fn open(path: &Utf8Path, store: &Store) -> Result<Self, ImageError> {
        let plain = unpack::plain(store, path)?;
        let file = Arc::new(File::open(&plain).doing("reading", path)?);
        let mut source = Self { path: path.to_owned(), file: file.clone(), places: HashMap::new(), images: Vec::new() };
        let mut archive = tar::Archive::new(&*file);
        for entry in archive.entries_with_seek().doing("reading", path)? {
            let entry = entry.doing("reading", path)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            source.places.insert(name, (entry.raw_file_position(), entry.size()));
        }
        let list = source.document("manifest.json")?;
        source.images = serde_json::from_slice(&list).map_err(|_| source.refuse("its manifest.json lists no images"))?;
        Ok(source)
    }

    pub(super) fn path(&self) -> &Utf8Path {
        &self.path
    }

    pub(super) fn refuse(&self, problem: &str) -> ImageError {
        ImageError::Archive { archive: self.path.clone(), problem: format!("remuda didn't pack this archive: {problem}") }
    }

    /// Its images.
    pub(super) fn held(&self) -> Result<Vec<Held>, ImageError> {
        self.images.iter().map(|image| self.held_one(image)).collect()
    }

    fn held_one(&self, image: &InArchive) -> Result<Held, ImageError> {
        let name = image.repo_tags.first().ok_or_else(|| self.refuse("an image has no name"))?.clone();
        let config = self.document(&image.config)?;
        let read: Config = serde_json::from_slice(&config).map_err(|_| self.refuse("an image's config can't be read"))?;
        if read.rootfs.diff_ids.len() != image.layers.len() {
            return Err(self.refuse("an image's config names other layers"));
        }
        Ok(Held { name, config, layers: read.rootfs.diff_ids.into_iter().zip(image.layers.iter().cloned()).collect() })
    }

    /// The total size of its images' layers in bytes; a shared layer counts for each image.
    pub fn size(&self) -> u64 {
        self.images.iter().flat_map(|image| &image.layers).filter_map(|layer| Some(self.places.get(layer)?.1)).sum()
    }

    /// A file in the archive.
    pub(super) fn part(&self, name: &str) -> Result<Part, ImageError> {
        let (offset, size) = *self.places.get(name).ok_or_else(|| self.refuse(&format!("it has no {name}")))?;
        Ok(Part::of(self.file.clone(), offset, size))
    }

    /// A small file in the archive.
    fn document(&self, name: &str) -> Result<Vec<u8>, ImageError> {
        let mut part = self.part(name)?;
        if part.size() > DOCUMENT {
            return Err(self.refuse(&format!("its {name} has {} bytes", part.size())));
        }
        let mut bytes = Vec::new();
        part.read_to_end(&mut bytes).doing("reading", &self.path)?;
        Ok(bytes)
    }
}

impl Registry<'_> {
    /// Pushes all images of an archive, each by its name, with `-SUFFIX` appended to its tag.
    /// `progress` gets the number of new bytes. Returns names and digests.
    pub fn push(&self, source: &PushedArchive, suffix: &str, progress: &dyn Fn(u64)) -> Result<Vec<(ImageName, Digest)>, FetchError> {
        source.held()?.iter().map(|image| self.push_one(source, image, suffix, progress)).collect()
    }

    fn push_one(
        &self,
        source: &PushedArchive,
        image: &Held,
        suffix: &str,
        progress: &dyn Fn(u64),
    ) -> Result<(ImageName, Digest), FetchError> {
        let mut to: ImageName = image.name.parse().map_err(|error| FetchError::Refused(format!("{error}")))?;
        let tag = format!("{}-{suffix}", to.tag.as_deref().unwrap_or("latest"));
        let mut layers = Vec::new();
        for (digest, layer) in &image.layers {
            let size = source.part(layer)?.size();
            let blob = Blob { digest: digest.clone(), size };
            self.put_blob(&to, &blob, &|| source.part(layer).map_or(SendBody::none(), SendBody::from_owned_reader))?;
            progress(size);
            layers.push(blob);
        }
        let own = Blob { digest: Digest::of(&image.config), size: image.config.len() as u64 };
        self.put_blob(&to, &own, &|| SendBody::from_owned_reader(Cursor::new(image.config.clone())))?;
        let manifest = manifest(&own, &layers);
        let url = format!("{}/v2/{}/manifests/{tag}", self.base(&to), to.repository);
        let body = || SendBody::from_owned_reader(Cursor::new(manifest.clone()));
        let put = || self.expect(&to, (&Method::PUT, &url), MANIFEST, manifest.len() as u64, &body);
        let answer = self.client().patiently(put)?;
        let (digest, said) = (Digest::of(&manifest), answer.headers().get("docker-content-digest"));
        let said = said.and_then(|value| value.to_str().ok()?.parse::<Digest>().ok());
        if let Some(got) = said.filter(|said| said.is_sha256() && *said != digest) {
            return Err(FetchError::Digest { got, wanted: digest });
        }
        to.tag = Some(tag);
        Ok((to, digest))
    }

    /// Uploads a blob, if the registry doesn't have it.
    fn put_blob(&self, to: &ImageName, blob: &Blob, body: &dyn Fn() -> SendBody<'static>) -> Result<(), FetchError> {
        let blobs = format!("{}/v2/{}/blobs", self.base(to), to.repository);
        let there = format!("{blobs}/{}", blob.digest);
        if self.write(to, (&Method::HEAD, &there), "", 0, &SendBody::none)?.status().is_success() {
            return Ok(());
        }
        self.client().patiently(|| {
            let begun = self.expect(to, (&Method::POST, &format!("{blobs}/uploads/")), "", 0, &SendBody::none)?;
            let location = begun.headers().get("location").and_then(|value| value.to_str().ok());
            let location = location.ok_or_else(|| FetchError::Refused("the registry gives no URL for the upload".to_owned()))?;
            let location = resolve(Answered::of(&begun), location);
            if self.base(to).starts_with("https://") && !location.starts_with("https://") {
                return Err(FetchError::Refused("it asks to send an image unencrypted".to_owned()));
            }
            let url = with_parameter(&location, &format!("digest={}", blob.digest));
            self.expect(to, (&Method::PUT, &url), "application/octet-stream", blob.size, body).map(|_| ())
        })
    }

    /// A request that must succeed. Registries give other successes than the specification's.
    fn expect(
        &self,
        to: &ImageName,
        request: (&Method, &str),
        kind: &'static str,
        size: u64,
        body: &dyn Fn() -> SendBody<'static>,
    ) -> Result<Response<Body>, FetchError> {
        let response = self.write(to, request, kind, size, body)?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(&response)) }
    }

    /// A request with a body of `size` bytes of the media type `kind`.
    fn write(
        &self,
        to: &ImageName,
        (method, url): (&Method, &str),
        kind: &'static str,
        size: u64,
        body: &dyn Fn() -> SendBody<'static>,
    ) -> Result<Response<Body>, FetchError> {
        let mut headers = HeaderMap::new();
        if *method != Method::HEAD {
            headers.insert("content-length", HeaderValue::from(size));
        }
        if !kind.is_empty() {
            headers.insert("content-type", HeaderValue::from_static(kind));
        }
        self.proven(&self.base(to), to, (method, url), &headers, body)
    }
}
