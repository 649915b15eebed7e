//! Build: a project → its cluster → its files.
//!
//! [`Project::open`] reads all that a project is, once: the profile, the lock and the vault beside it, and what
//! the out tree says is packed. [`Project::cluster`] decides it into a whole [`Cluster`](crate::plan::Cluster); [`Files`] are the
//! files of that cluster, for git and, with a [`Keyring`](crate::pki::Keyring), sealed; [`write`] puts them into
//! the out tree. [`pack`] makes the image archives that a [`Draft`](crate::plan::Draft) says.
//!
//! Nothing here knows a command line, and nothing prints: what went wrong is a value, how far long work is goes
//! to a [`Progress`].

mod drawing;
mod expiry;
mod explain;
mod fetch;
mod files;
mod images;
mod out;
mod project;
mod secrets;

pub use drawing::start_order;
pub use expiry::{day, expiring};
pub use explain::{NoService, node_page, service_page};
pub use fetch::{NetworkAccess, fetch, pin};
pub use files::{File, Files, check};
pub use images::{ImageSources, MissingComponents, missing, pack};
pub use out::{IMAGES, SEALED, Written, sealed_with, write};
pub use project::{Paths, Project};
pub use secrets::{keyring, open_vault, read_vault};

use crate::diagnostic::{self, Diagnostics, Style};
use crate::disk::DiskError;
use crate::image::ImageError;
use crate::media::MediaError;
use crate::tree::TreeError;
use camino::Utf8PathBuf;

/// Why nothing could be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The profile, its release line or its lock is wrong.
    #[error("{0}")]
    Source(SourceError),
    /// With these deliveries each config names what is packed, and nobody knows yet.
    #[error(
        "with `delivery: {delivery}` each config names what is packed by its SHA-256, and that isn't known: {root} has no manifest that says.\nRun `remuda gen` once where the components are"
    )]
    NotPacked { delivery: crate::terms::Delivery, root: Utf8PathBuf },
    #[error(transparent)]
    Missing(#[from] MissingComponents),
    #[error("{0}")]
    NotFetched(String),
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A node can't be rendered; [`Files::found`] says why.
    #[error("{0} can't be rendered")]
    NotRendered(String),
    #[error("{file}: {problem}")]
    Vault { file: Utf8PathBuf, problem: String },
    #[error(
        "the secret {name} was encrypted with another seed than this one (fingerprint {fingerprint})\nFind that seed, or delete the secret's line and set it again"
    )]
    OtherSeed { name: String, fingerprint: String },
    #[error("a file of the release line can't be rendered: {0:#}")]
    Template(minijinja::Error),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Media(#[from] MediaError),
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// All that is wrong with a source. Its text is what a person reads, without colour.
#[derive(Debug, thiserror::Error)]
#[error("{}", diagnostic::text(.found, .sources, Style::Plain))]
pub struct SourceError {
    pub found: Diagnostics,
    pub sources: diagnostic::Sources,
}

/// Told how far long work is.
pub trait Progress: Sync {
    /// Work on `what` begins; `total` bytes, or 0 if that isn't known yet.
    fn begin(&self, _what: &str, _total: u64) {}
    /// `done` of `total` bytes.
    fn set(&self, _done: u64, _total: u64) {}
    /// So many bytes more; fewer, when something begins again.
    fn advance(&self, _bytes: i64) {}
    /// It is over.
    fn end(&self) {}
    /// A line for a person: something is done.
    fn say(&self, _line: &str) {}
}

/// Nobody is told.
pub struct Silent;

impl Progress for Silent {}
