//! The out tree of a cluster: OUT/CLUSTER, with a manifest that records what it was made with.

use super::marks::Marks;
use super::{BuildError, Files, day, keyring};
use crate::change::Facts;
use crate::diagnostic::Diagnostics;
use crate::pki::Seed;
use crate::plan::Cluster;
use crate::terms::Provenance;
use crate::tree::{self, Intent, Report, Run};
use camino::Utf8Path;
use rayon::prelude::*;
use serde_json::{Map, Value, json};

/// The folder with key material.
pub const SEALED: &str = "sealed";
/// The folder with image archives, which [`pack`](super::pack) writes.
pub const IMAGES: &str = "images";

/// What the manifest says in place of archives that aren't known.
const NOT_PACKED: &str = "not packed: `gen --no-images`";

/// The result of writing a tree.
#[derive(Debug)]
pub struct Written {
    /// What was written, or would be.
    pub report: Report,
    /// Warnings of rendering, or errors, in which case nothing was written.
    pub found: Diagnostics,
}

/// Writes the tree of a cluster to `root`, or compares it; with a seed, also the sealed half.
pub fn write(cluster: &Cluster, root: &Utf8Path, intent: Intent, seed: Option<&Seed>) -> Result<Written, BuildError> {
    let (carried, private): (&[&str], _) = if seed.is_some() { (&[IMAGES], Some(SEALED)) } else { (&[IMAGES, SEALED], None) };
    let run = Run::begin(root, intent, carried, private)?;
    let keyring = seed.map(|seed| keyring(cluster, seed)).transpose()?;
    let marks = if seed.is_some() { Marks::of(root) } else { Marks::default() };
    let files = Files::of(cluster, keyring.as_ref()).marked(marks);
    // A node that can't be rendered is reported with all others, below.
    let rendered = files.par_iter().filter(|file| !matches!(file, Err(BuildError::NotRendered(_))));
    run.take(rendered.map(|file| file.map(|file| (file.path, file.bytes, file.sha256))))?;
    let found = files.found();
    if found.has_errors() {
        return Ok(Written { report: Report::default(), found });
    }
    let fingerprint = seed.map(Seed::fingerprint).or_else(|| sealed_with(root));
    Ok(Written { report: run.finish(header(cluster, &files, fingerprint), files.marks())?, found })
}

/// The fingerprint of the seed that an out tree is sealed with.
pub fn sealed_with(root: &Utf8Path) -> Option<String> {
    tree::manifest(root)?.get("seed")?.as_str().map(str::to_owned)
}

/// The manifest's content besides the files.
fn header(cluster: &Cluster, files: &Files, fingerprint: Option<String>) -> Map<String, Value> {
    let header = [
        ("remuda", json!(env!("CARGO_PKG_VERSION"))),
        ("cluster", json!(cluster.name)),
        ("target", json!(cluster.target.name)),
        ("os_version", json!(cluster.os_version)),
        ("line", json!(cluster.line.name)),
        ("facts", json!(Facts::of(cluster))),
        ("etcd", json!(cluster.etcd.record(&cluster.nodes))),
        ("images", json!(cluster.images.names)),
        ("archives", if cluster.images.lacks_archives() { json!(NOT_PACKED) } else { json!(cluster.images.archives) }),
        ("made_from", json!(cluster.images.made_from)),
        ("configs", json!(files.fingerprints())),
        ("certificates", json!(ends(cluster))),
    ];
    let released = (cluster.images.provenance == Provenance::Released).then(|| ("components", json!(Provenance::Released)));
    let seed = fingerprint.map(|fingerprint| ("seed", Value::String(fingerprint)));
    header.into_iter().chain(released).chain(seed).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The last days of certificates: the cluster's own, and each user's.
fn ends(cluster: &Cluster) -> Map<String, Value> {
    let pki = &cluster.pki;
    let own = (!cluster.line.pki.certificates.is_empty()).then(|| ("cluster".to_owned(), pki.validity));
    let users = pki.users.iter().map(|user| (format!("user {}", user.name), user.validity));
    own.into_iter().chain(users).map(|(whose, validity)| (whose, json!(day(validity.not_after)))).collect()
}
