//! Component images → one archive that `docker load` takes, made without Docker and without root,
//! the same to the bit on every machine.
//!
//! The layout is `docker save`'s (image spec v1.2: `manifest.json` names configs and layers), which
//! system-docker 17.06, Docker 20.10 and 28 and skopeo read. It is written in one pass, without a
//! temporary copy of anything: a layer's size is known from its sources before its first byte.
//!
//! Takes [`Image`]s whose sources are files; knows neither lines nor nodes.

mod layer;
mod pack;
mod sink;

pub use pack::{Archive, Packed, missing, pack};

use camino::Utf8PathBuf;
use std::collections::BTreeMap;
use std::io;

/// An image to be made.
#[derive(Debug, Clone)]
pub struct Image {
    /// With its tag: `remuda/etcd:3.4.23`.
    pub name: String,
    /// `amd64` or `arm64`.
    pub arch: String,
    pub entrypoint: Vec<String>,
    /// The lowest first. Equal layers of several images are stored once.
    pub layers: Vec<Layer>,
}

/// What a layer is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// A root filesystem, as a tar archive.
    Rootfs(Utf8PathBuf),
    /// Executable files: absolute path in the image → file here.
    Files(BTreeMap<String, Utf8PathBuf>),
}

impl Layer {
    /// The files that it is made from.
    pub fn sources(&self) -> impl Iterator<Item = &Utf8PathBuf> {
        let (one, many) = match self {
            Self::Rootfs(path) => (Some(path), None),
            Self::Files(files) => (None, Some(files.values())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("{doing} {path}: {error}")]
    Io { doing: &'static str, path: Utf8PathBuf, error: io::Error },
    #[error("{archive}: {problem}")]
    Archive { archive: Utf8PathBuf, problem: String },
    #[error("{0} changed while it was read")]
    Changed(Utf8PathBuf),
    #[error("{image}: {path} is a link in a lower layer and a folder in a higher one, which would hide what the link leads to")]
    HidesLink { image: String, path: String },
    #[error("{0:?} can't be a path in an image")]
    BadPath(String),
}

impl ImageError {
    fn io(doing: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> ImageError {
        let path = path.into();
        move |error| ImageError::Io { doing, path, error }
    }
}
