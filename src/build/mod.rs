//! Build: a project → its cluster → its files.
//!
//! [`Project::open`] reads a project once: the profile, the lock and the vault next to it, and
//! which archives the out tree's manifest names. [`Project::cluster`] decides it into a whole
//! [`Cluster`](crate::plan::Cluster); [`Files`] are the files of that cluster, for git and, with a
//! [`Keyring`](crate::pki::Keyring), sealed; [`write`](fn@write) puts them into the out tree. [`pack`] makes
//! the image archives of a [`Draft`](crate::plan::Draft).
//!
//! Nothing here knows a command line, and nothing prints: errors are values, and the progress of
//! long work goes to a [`Progress`].

mod bundle;
mod changes;
mod committed;
mod drawing;
mod expiry;
mod explain;
mod fetch;
mod files;
mod git;
mod images;
mod live;
mod manifests;
mod marks;
mod out;
mod project;
mod readme;
mod render;
mod report;
mod secrets;
pub mod start;

pub use bundle::{Bundled, BundledSource, Wanter, bundle};
pub use changes::{Origin, changes};
pub use committed::{Committed, History};
pub use drawing::start_order;
pub use expiry::{certificates, day, expiring};
pub use explain::{NoService, node_page, service_page};
pub use fetch::{NetworkAccess, fetch, pin};
pub use files::{File, Files, check};
pub use git::{IGNORE, add as ignore, keep_out};
pub use images::{ImageSources, MissingComponents, carry, missing, pack};
pub use live::live;
pub use out::{IMAGES, SEALED, Written, sealed_with, write};
pub use project::{Packed, Paths, Project};
pub use report::{Report, Upcoming};
pub use secrets::{keyring, open_vault, read_vault};

use crate::change::{NotAManifest, Unreadable};
use crate::diagnostic::{self, Diagnostics, Style};
use crate::disk::DiskError;
use crate::image::ImageError;
use crate::media::MediaError;
use crate::tree::TreeError;
use camino::Utf8PathBuf;

/// Why a cluster couldn't be built.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum BuildError {
    /// The profile, its release line or its lock is wrong.
    #[error("{0}")]
    Source(SourceError),
    /// With these deliveries, each config names the packed archives, which aren't known yet, or not as they are now.
    #[error(
        "with `delivery: {delivery}` each config has the SHA-256 of the tarballs, which is unknown: {}.\nRun `remuda gen` once where the components are",
        if .why.is_empty() { format!("{root} has no manifest with it") } else { format!("those in the manifest of {root} are older than the profile:\n  {why}") }
    )]
    NotPacked { delivery: crate::terms::Delivery, root: Utf8PathBuf, why: String },
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
    #[error(transparent)]
    Manifest(#[from] NotAManifest),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("{0}")]
    Git(String),
    /// Nodes may run what is there, but nobody knows what that is.
    #[error(
        "{tree} has nodes, but no manifest.json: what a change does to them can't be known\nRestore the file from git; or, if no machine runs this cluster, delete the tree, and commit that if it is in git"
    )]
    NoManifest { tree: String },
    #[error(
        "{path}: {why}.\nGit would take the seed with the next commit, and whoever reads the repository could become the cluster's administrator.\nName a path outside of the repository, or encrypt the seed with `--recipient` or `--passphrase`"
    )]
    InGit { path: Utf8PathBuf, why: String },
}

/// All diagnostics of a source. It displays them for a person, without colour.
#[derive(Debug, thiserror::Error)]
#[error("{}", diagnostic::text(.found, .sources, Style::Plain))]
pub struct SourceError {
    /// What is wrong.
    pub found: Diagnostics,
    /// The texts that it points into.
    pub sources: diagnostic::Sources,
}

/// Receives the progress of long work.
pub trait Progress: Sync {
    /// Work on `what` begins. `total` is its bytes, or 0 if unknown.
    fn begin(&self, _what: &str, _total: u64) {}
    /// `done` of `total` bytes.
    fn set(&self, _done: u64, _total: u64) {}
    /// A number of further bytes; negative if something starts again.
    fn advance(&self, _bytes: i64) {}
    /// The work ends.
    fn end(&self) {}
    /// A line for a person about something that is done.
    fn say(&self, _line: &str) {}
}

/// Reports nothing.
pub struct Silent;

impl Progress for Silent {}
