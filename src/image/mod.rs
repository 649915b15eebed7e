//! Component images → one archive that `docker load` accepts, made without Docker and root,
//! identical on every machine.
//!
//! The way of an image: [`ImageSpec`], as a line or a profile says it → [`lock`], which says what its URLs and
//! names of images stood for → [`Store`], where all of it lies, verified → [`Ready`], layers of files that
//! lie here → [`pack`].
//!
//! The layout is `docker save`'s (image spec v1.2: `manifest.json` names configs and layers), which
//! system-docker 17.06, Docker 20.10 and 28 and skopeo read. It is written in one pass, without
//! temporary copies: a layer's size is known from its sources before its first byte.

mod bom;
mod debian;
mod delta;
mod http;
mod layer;
mod lock;
mod login;
mod pack;
mod part;
mod push;
mod ready;
mod recipe;
mod registry;
mod sink;
mod store;
mod unpack;
mod url;
mod view;
mod walk;

pub use bom::bom;
pub use delta::{Delta, delta};
pub use http::{Client, Fetch, FetchError, HttpSettings, refusal};
pub use lock::{Lock, LockedFile, LockedImage, LockedToken, Made, Need, Unlocked};
pub use pack::{Archive, Known, Packed, bill_of, id, pack, retire};
pub use push::PushedArchive;
pub use ready::{Materials, Ready, locals};
pub use recipe::MadeFrom;
pub use registry::Registry;
pub use store::{Blob, Store};

use crate::component::rootfs::Layout as RootfsLayout;
use crate::diagnostic::Span;
use crate::disk::DiskError;
use crate::terms::{Arch, Digest, ImageName};
use camino::{Utf8Path, Utf8PathBuf};
use std::collections::BTreeMap;
use std::io;

/// An image to make, as a line or a profile describes it, for one architecture.
#[derive(Debug, Clone)]
pub struct ImageSpec {
    /// With its tag: `remuda/etcd:3.4.23`.
    pub name: String,
    /// The processor that it is for.
    pub arch: Arch,
    /// What it starts with, below its files.
    pub from: Option<Base>,
    /// What is put on top, by absolute path in the image.
    pub files: BTreeMap<String, FileSource>,
    /// `None` for the base image's own.
    pub entrypoint: Option<Vec<String>>,
    /// Paths that must be in it, because a node uses them.
    pub needs: Vec<String>,
}

/// A file, a folder, or one of these within an archive.
#[derive(Debug, Clone)]
pub struct FileSource {
    /// Where it comes from.
    pub place: Place,
    /// The path within the archive; a folder's ends in a slash.
    pub member: Option<String>,
    /// Its place in the profile or the line.
    pub span: Span,
}

/// Where a source is.
#[derive(Debug, Clone)]
pub enum Place {
    /// On this machine.
    Local(Local),
    /// At a URL, with the digest that it must have.
    #[allow(missing_docs)] // Said above.
    Url { url: String, digest: Option<Digest> },
}

impl Place {
    /// The URL, if it is at one.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Url { url, .. } => Some(url),
            Self::Local(_) => None,
        }
    }
}

/// A path on this machine.
#[derive(Debug, Clone)]
pub struct Local {
    /// The folder that the path is relative to.
    pub root: Root,
    /// The path.
    pub path: Utf8PathBuf,
}

/// The root of a relative path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// The components folder.
    Components,
    /// The profile's folder.
    Profile,
}

/// The paths of the roots.
#[derive(Debug, Clone)]
pub struct Roots {
    /// The folder of the line's components.
    pub components: Utf8PathBuf,
    /// The folder of the profile.
    pub profile: Utf8PathBuf,
}

impl Roots {
    /// The path on this machine.
    pub fn path(&self, local: &Local) -> Utf8PathBuf {
        match local.root {
            Root::Components => self.components.join(&local.path),
            Root::Profile => self.profile.join(&local.path),
        }
    }
}

/// An image's base.
#[derive(Debug, Clone)]
pub enum Base {
    /// A root filesystem: a tar archive.
    Rootfs(FileSource),
    /// An image in a registry.
    #[allow(missing_docs)] // Said above.
    Registry { reference: ImageName, span: Option<Span> },
    /// An image in an archive by `docker save`, and its name if there are several.
    #[allow(missing_docs)] // Said above.
    Archive { source: FileSource, image: Option<String> },
    /// An image in the folder of an OCI layout, and its tag if there are several.
    #[allow(missing_docs)] // Said above.
    Layout { path: Local, image: Option<String>, span: Option<Span> },
    /// A root filesystem of Debian's packages, and its name.
    #[allow(missing_docs)] // Said above.
    Debian { name: String, packages: Vec<DebianPackage>, layout: RootfsLayout },
}

/// A package of a root filesystem.
#[derive(Debug, Clone)]
pub struct DebianPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The short names of its licenses, if it says them.
    pub licenses: Vec<String>,
    /// Where it is fetched.
    pub source: FileSource,
}

impl ImageSpec {
    /// Every file and folder that it is made from.
    pub fn sources(&self) -> impl Iterator<Item = &FileSource> {
        let (base, packages) = match &self.from {
            Some(Base::Rootfs(source) | Base::Archive { source, .. }) => (Some(source), &[][..]),
            Some(Base::Debian { packages, .. }) => (None, &packages[..]),
            _ => (None, &[][..]),
        };
        base.into_iter().chain(packages.iter().map(|package| &package.source)).chain(self.files.values())
    }

    /// Its sources on this machine.
    pub fn locals(&self) -> impl Iterator<Item = &Local> {
        self.placed().map(|(local, _)| local)
    }

    /// Its sources on this machine, and where the profile or line names each.
    pub fn placed(&self) -> impl Iterator<Item = (&Local, Option<Span>)> {
        let layout = match &self.from {
            Some(Base::Layout { path, span, .. }) => Some((path, *span)),
            _ => None,
        };
        let places = self.sources().filter_map(|source| match &source.place {
            Place::Local(local) => Some((local, Some(source.span))),
            Place::Url { .. } => None,
        });
        layout.into_iter().chain(places)
    }

    /// Where the profile or line names a part of it.
    pub fn span_of(&self, part: &Part) -> Option<Span> {
        match part {
            Part::Base => match &self.from {
                Some(Base::Rootfs(source) | Base::Archive { source, .. }) => Some(source.span),
                Some(Base::Registry { span, .. } | Base::Layout { span, .. }) => *span,
                Some(Base::Debian { packages, .. }) => packages.first().map(|package| package.source.span),
                None => self.files.values().map(|source| source.span).next(),
            },
            // A file in a folder of `files`, or a folder above what is in `files`.
            Part::File(path) => {
                let is_in =
                    |path: &str, folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                let files = self.files.iter().map(|(to, source)| (to.trim_end_matches('/'), source.span));
                files.filter(|(to, _)| is_in(path, to) || is_in(to, path)).max_by_key(|(to, _)| to.len()).map(|(_, span)| span)
            }
        }
    }

    /// Whether a lock pins all of it.
    pub fn is_pinned(&self) -> bool {
        self.locals().next().is_none()
    }
}

/// The sources of a layer, all on this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// A root filesystem: the content of a folder (`` for all) in a plain tar archive.
    /// All below a folder of a tar archive.
    #[allow(missing_docs)] // Said above.
    Rootfs { tar: Utf8PathBuf, below: String },
    /// By absolute path in the image.
    Files(BTreeMap<String, Content>),
    /// A layer of another image, byte for byte.
    /// A layer as it is, with its digest.
    #[allow(missing_docs)] // Said above.
    Whole { tar: Region, hash: Digest },
}

/// What an entry has in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// A part of a file on this machine, and its mode.
    #[allow(missing_docs)] // Said above.
    File { from: Region, mode: u32 },
    /// A symbolic link to this.
    Symlink(String),
    /// A folder.
    Folder,
}

/// A part of a file, or the whole file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region {
    /// The path.
    pub path: Utf8PathBuf,
    /// Its first byte.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
}

impl Layer {
    /// Its digest, if it was checked when it entered the store.
    fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Whole { hash, .. } => Some(hash),
            _ => None,
        }
    }

    /// The files that it is made from.
    pub fn sources(&self) -> Box<dyn Iterator<Item = &Utf8PathBuf> + '_> {
        match self {
            Self::Rootfs { tar, .. } => Box::new(std::iter::once(tar)),
            Self::Whole { tar, .. } => Box::new(std::iter::once(&tar.path)),
            Self::Files(files) => Box::new(files.values().filter_map(|content| match content {
                Content::File { from, .. } => Some(&from.path),
                _ => None,
            })),
        }
    }
}

/// The part of an image that an error is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What it starts with: its base, or the first of its files.
    Base,
    /// What is at this path, and comes from its files.
    File(String),
}

/// Why an image couldn't be made.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum ImageError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{archive}: {problem}")]
    Archive { archive: Utf8PathBuf, problem: String },
    /// It doesn't have what the profile names.
    #[error("{archive}: {problem}")]
    Absent { archive: Utf8PathBuf, problem: String },
    #[error("it can't be unpacked: {0}")]
    Unreadable(io::Error),
    #[error("{image}: {error}")]
    Of { image: String, part: Part, error: Box<ImageError> },
    #[error("{0} changed while it was read")]
    Changed(Utf8PathBuf),
    #[error("{path} is a link in a lower layer and a folder in a higher one, which would hide the link's target")]
    HidesLink { path: String },
    #[error("{path} is a file in the base image, so nothing can be put below it")]
    HidesFile { path: String },
    #[error("{path} is a folder in the base image, and a file in its place would hide all that is in it")]
    HidesFolder { path: String },
    #[error("{path} is below {above}, which isn't a folder")]
    Below { path: String, above: String },
    #[error("{0} would be taken for the removal of a file: engines read names with `.wh.` so")]
    Whiteout(String),
    #[error("it has no {paths}, which a node needs of it")]
    Lacks { paths: String },
    #[error("{0:?} can't be a path in an image")]
    BadPath(String),
    #[error("the cache has no place: neither XDG_CACHE_HOME nor HOME is set")]
    NoCache,
    #[error("{0} isn't what its name says: it was damaged on the way; carry it again")]
    Damaged(Utf8PathBuf),
    #[error("{0} isn't in the cache")]
    NotFetched(String),
    #[error(
        "{image} has the ID {got}, but the lock says {wanted}: this version of remuda packs the same sources differently; run `remuda lock` to pin the new ID"
    )]
    OtherImage { image: String, got: Digest, wanted: Digest },
}

impl ImageError {
    /// Names what a person knows instead of a file in the cache or no file at all.
    fn of(self, shown: &Utf8Path, is_inner: impl Fn(&Utf8Path) -> bool) -> Self {
        let archive = || shown.to_owned();
        match self {
            Self::Archive { archive: inner, problem } if is_inner(&inner) => Self::Archive { archive: archive(), problem },
            Self::Absent { archive: inner, problem } if is_inner(&inner) => Self::Absent { archive: archive(), problem },
            Self::Changed(inner) if is_inner(&inner) => Self::Changed(archive()),
            Self::Unreadable(error) => Self::Archive { archive: archive(), problem: format!("it can't be unpacked: {error}") },
            other => other,
        }
    }

    /// Names the image, and what of it the error is about.
    fn in_image(self, image: &str, part: Part) -> Self {
        match self {
            Self::Of { .. } => self,
            error => Self::Of { image: image.to_owned(), part, error: Box::new(error) },
        }
    }

    /// The path in the image that the error is about.
    fn path(&self) -> Option<&str> {
        match self {
            Self::HidesLink { path } | Self::HidesFile { path } | Self::HidesFolder { path } | Self::Below { path, .. } => Some(path),
            Self::Whiteout(path) | Self::BadPath(path) => Some(path),
            _ => None,
        }
    }

    /// What the profile's mistake does on a node, and how it is fixed. `None` if it isn't the profile's.
    pub fn explained(&self) -> Option<(&'static str, &'static str)> {
        const CAN_BE: &str = "docs/images.md says what archives may contain";
        Some(match self {
            Self::Of { error, .. } => return error.explained(),
            Self::Archive { .. } | Self::Unreadable(_) => {
                ("the engine would refuse the image, or its containers would find other files than these", CAN_BE)
            }
            Self::Absent { .. } => ("without it the image can't be packed, and no node has it", "name one that the archive has"),
            Self::Disk(error) => match error.error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
                    ("without it the image can't be packed, and no node has it", "put it there, or correct the path")
                }
                _ => return None,
            },
            Self::HidesLink { .. } => ("what is behind the link would be gone in every container", "write the path that the link leads to"),
            Self::HidesFile { .. } | Self::Below { .. } => ("the engine would refuse to load the image", "write a path in a folder"),
            Self::HidesFolder { .. } => {
                ("what the base image has in the folder would be gone in every container", "write a path in the folder")
            }
            Self::Whiteout(_) => ("the file wouldn't be in any container, and another one would be missing", "give it another name"),
            Self::BadPath(_) => ("the engine would refuse to load the image", "write an absolute path without `..`"),
            Self::Lacks { .. } => (
                "the OS takes these from the image, and what it starts with them would fail",
                "add them with `files`, or name another base",
            ),
            Self::Changed(_) | Self::Damaged(_) | Self::NoCache | Self::NotFetched(_) | Self::OtherImage { .. } => return None,
        })
    }
}

/// Adds to an I/O error what was being done.
trait Io<T> {
    fn doing(self, doing: &'static str, path: impl Into<Utf8PathBuf>) -> Result<T, ImageError>;
}

impl<T> Io<T> for io::Result<T> {
    fn doing(self, doing: &'static str, path: impl Into<Utf8PathBuf>) -> Result<T, ImageError> {
        self.map_err(DiskError::of(doing, path)).map_err(ImageError::from)
    }
}
