//! The lock: what URLs and names of images stood for when they were pinned. It is made for review
//! in git: stable order, one fact per line.

use super::store::Blob;
use super::{Base, ImageSpec, Place};
use crate::diagnostic::Span;
use crate::terms::{Arch, Digest, ImageName};
use serde::{Deserialize, Serialize};

/// The head of a lock file.
const HEAD: &str = "\
# What the URLs and images of the profile stood for when `remuda lock` pinned them. For git: nodes get
# exactly this. Made by remuda; `remuda lock --update` pins anew.
";
const VERSION: u32 = 1;

/// What a profile is pinned to: `PROFILE.lock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    /// The content of URLs.
    #[serde(default)]
    pub files: Vec<LockedFile>,
    /// The images of registries.
    #[serde(default)]
    pub images: Vec<LockedImage>,
    /// The resulting images, except those with content that is only on this machine.
    #[serde(default)]
    pub made: Vec<Made>,
    /// The cluster's token from a discovery service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<LockedToken>,
}

/// The token by which the members of etcd find each other, and the request for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedToken {
    /// The URL of the discovery service.
    pub service: String,
    /// The name of the cluster that it was made for.
    pub cluster: String,
    /// The number of its members of etcd.
    pub size: u8,
    /// A URL.
    pub token: String,
}

/// The content of a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    /// The URL.
    pub url: String,
    /// The SHA-256 of its content.
    pub digest: Digest,
    /// The SHA-512, if a profile or line names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha512: Option<Digest>,
    /// Its size in bytes.
    pub size: u64,
}

/// An image in a registry, for one architecture.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedImage {
    /// Its reference, as the profile or line writes it.
    pub image: String,
    /// The processor.
    pub arch: Arch,
    /// The digest that the name stood for: of an index or of the manifest.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: Blob,
    /// Its config.
    pub config: Blob,
    /// Its layers, the lowest first.
    pub layers: Vec<Blob>,
}

/// An image of a component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// The component.
    pub component: String,
    /// The processor.
    pub arch: Arch,
    /// The image's ID: the digest of its config.
    pub id: Digest,
}

impl Default for Lock {
    fn default() -> Self {
        Self { version: VERSION, files: Vec::new(), images: Vec::new(), made: Vec::new(), discovery: None }
    }
}

/// Something remote that an image is made from.
#[derive(Debug, Clone)]
pub enum Need {
    /// The content of a URL.
    #[allow(missing_docs)] // Said above.
    Url { url: String, digest: Option<Digest>, span: Option<Span> },
    /// An image in a registry.
    #[allow(missing_docs)] // Said above.
    Image { reference: ImageName, arch: Arch, span: Option<Span> },
}

impl Need {
    /// All needs of `images`, each once, in a stable order.
    pub fn of<'a>(images: impl IntoIterator<Item = &'a ImageSpec>) -> Vec<Self> {
        let mut needs: Vec<Self> = Vec::new();
        for image in images {
            let urls = image.sources().filter_map(|source| match &source.place {
                Place::Url { url, digest } => Some(Self::Url { url: url.clone(), digest: digest.clone(), span: Some(source.span) }),
                Place::Local(_) => None,
            });
            let base = match &image.from {
                Some(Base::Registry { reference, span }) => {
                    Some(Self::Image { reference: reference.clone(), arch: image.arch, span: *span })
                }
                _ => None,
            };
            needs.extend(urls.chain(base));
        }
        needs.sort_by_key(Self::key);
        needs.dedup_by_key(|need| need.key());
        needs
    }

    fn key(&self) -> (String, Option<Arch>, Option<Digest>) {
        match self {
            Self::Url { url, digest, .. } => (url.clone(), None, digest.clone()),
            Self::Image { reference, arch, .. } => (reference.to_string(), Some(*arch), None),
        }
    }

    /// Whether its digest is known before it is pinned.
    pub fn is_known(&self) -> bool {
        match self {
            Self::Url { digest, .. } => digest.is_some(),
            Self::Image { reference, .. } => reference.digest.is_some(),
        }
    }

    /// Its URL, if it is the content of one.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Url { url, .. } => Some(url),
            Self::Image { .. } => None,
        }
    }

    /// Where the source says so.
    pub fn span(&self) -> Option<Span> {
        match self {
            Self::Url { span, .. } | Self::Image { span, .. } => *span,
        }
    }
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url { url, .. } => f.write_str(url),
            Self::Image { reference, arch, .. } => write!(f, "{reference} for {arch}"),
        }
    }
}

/// Why a lock doesn't meet a need.
#[derive(Debug, PartialEq, Eq)]
pub enum Unlocked {
    /// The lock doesn't have it.
    Absent,
    /// The source names another digest.
    Differs(Digest),
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("{0}")]
    Read(String),
    #[error("it has version {0}, but this remuda knows version {VERSION}")]
    Version(u32),
}

impl Lock {
    /// Reads the text of a lock.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let lock: Self = serde_saphyr::from_str(text).map_err(|error| LockError::Read(error.to_string()))?;
        if lock.version == VERSION { Ok(lock) } else { Err(LockError::Version(lock.version)) }
    }

    /// The text of the lock: the same for the same content.
    pub fn text(&self) -> String {
        let mut sorted = self.clone();
        sorted.files.sort();
        sorted.images.sort();
        sorted.made.sort();
        format!("{HEAD}{}", serde_saphyr::to_string(&sorted).unwrap_or_default())
    }

    /// Whether it pins neither a URL nor an image.
    pub fn pins_nothing(&self) -> bool {
        self.files.is_empty() && self.images.is_empty()
    }

    /// What a URL is pinned to.
    pub fn file(&self, url: &str) -> Option<&LockedFile> {
        self.files.iter().find(|file| file.url == url)
    }

    /// What a reference is pinned to.
    pub fn image(&self, reference: &ImageName, arch: Arch) -> Option<&LockedImage> {
        let name = reference.to_string();
        self.images.iter().find(|image| image.image == name && image.arch == arch)
    }

    /// The ID that the image of a component must have.
    pub fn made(&self, component: &str, arch: Arch) -> Option<&Made> {
        self.made.iter().find(|made| made.component == component && made.arch == arch)
    }

    /// The digest that a need is pinned to, for messages.
    pub fn digest(&self, need: &Need) -> String {
        let digest = match need {
            Need::Url { url, .. } => self.file(url).map(|file| &file.digest),
            Need::Image { reference, arch, .. } => self.image(reference, *arch).map(|image| &image.digest),
        };
        digest.map(ToString::to_string).unwrap_or_default()
    }

    /// Whether a need is met.
    pub fn check(&self, need: &Need) -> Result<(), Unlocked> {
        match need {
            Need::Url { url, digest, .. } => {
                let file = self.file(url).ok_or(Unlocked::Absent)?;
                let Some(wanted) = digest else { return Ok(()) };
                let has = if wanted.is_sha256() { Some(&file.digest) } else { file.sha512.as_ref() };
                match has {
                    Some(has) if has == wanted => Ok(()),
                    Some(has) => Err(Unlocked::Differs(has.clone())),
                    None => Err(Unlocked::Absent),
                }
            }
            Need::Image { reference, arch, .. } => self.image(reference, *arch).map(|_| ()).ok_or(Unlocked::Absent),
        }
    }

    /// Every blob that the images need, with its purpose.
    pub fn blobs<'a>(&'a self, needs: &'a [Need]) -> Vec<(&'a Need, Blob)> {
        let mut blobs: Vec<(&Need, Blob)> = Vec::new();
        for need in needs {
            let of_need: Vec<Blob> = match need {
                Need::Url { url, .. } => self.file(url).map(LockedFile::blob).into_iter().collect(),
                Need::Image { reference, arch, .. } => self.image(reference, *arch).map(LockedImage::blobs).unwrap_or_default(),
            };
            for blob in of_need {
                if !blobs.iter().any(|(_, known)| known.digest == blob.digest) {
                    blobs.push((need, blob));
                }
            }
        }
        blobs
    }
}

impl LockedFile {
    /// What the cache has it as.
    pub fn blob(&self) -> Blob {
        Blob { digest: self.digest.clone(), size: self.size }
    }
}

impl LockedImage {
    fn blobs(&self) -> Vec<Blob> {
        std::iter::once(&self.config).chain(&self.layers).cloned().collect()
    }
}
