//! The out tree of a cluster: OUT/CLUSTER, with a manifest that records what it was made with.

use super::marks::Marks;
use super::{BuildError, File, Files, day, keyring};
use crate::change::Facts;
use crate::diagnostic::Diagnostics;
use crate::image::MadeFrom;
use crate::pki::Seed;
use crate::plan::{Archive, Cluster, EtcdRecord};
use crate::terms::Provenance;
use crate::tree::{self, Given, Intent, Report, Run};
use camino::Utf8Path;
use indexmap::IndexMap;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

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
    run.take(rendered.map(|file| {
        let File { path, bytes, sha256, is_read, .. } = file?;
        Ok::<_, BuildError>(Given { path, bytes, sha256, is_read })
    }))?;
    let found = files.found();
    if found.has_errors() {
        return Ok(Written { report: Report::default(), found });
    }
    let fingerprint = seed.map(Seed::fingerprint).or_else(|| sealed_with(root));
    Ok(Written { report: run.finish(header(cluster, &files, fingerprint), files.marks())?, found })
}

/// The fingerprint of the seed that an out tree is sealed with.
pub fn sealed_with(root: &Utf8Path) -> Option<String> {
    tree::manifest(root)?.get("seed")
}

/// The manifest's content besides the files.
#[derive(Serialize)]
struct Header<'c> {
    remuda: &'static str,
    cluster: &'c str,
    target: &'c str,
    os_version: &'c str,
    line: &'c str,
    facts: Facts,
    etcd: EtcdRecord,
    images: &'c BTreeMap<String, String>,
    archives: Archives<'c>,
    made_from: &'c MadeFrom,
    configs: BTreeMap<&'c str, String>,
    certificates: IndexMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<Provenance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Archives<'c> {
    Packed(&'c [Archive]),
    Unknown(&'static str),
}

fn header<'c>(cluster: &'c Cluster, files: &Files<'c>, fingerprint: Option<String>) -> Header<'c> {
    let images = &cluster.images;
    Header {
        remuda: env!("CARGO_PKG_VERSION"),
        cluster: &cluster.name,
        target: cluster.target.name,
        os_version: &cluster.os_version,
        line: &cluster.line.name,
        facts: Facts::of(cluster),
        etcd: cluster.etcd.record(&cluster.nodes),
        images: &images.names,
        archives: if images.lacks_archives() { Archives::Unknown(NOT_PACKED) } else { Archives::Packed(&images.archives) },
        made_from: &images.made_from,
        configs: files.fingerprints(),
        certificates: ends(cluster),
        components: (images.provenance == Provenance::Released).then_some(Provenance::Released),
        seed: fingerprint,
    }
}

/// The last days of certificates: the cluster's own, and each user's.
fn ends(cluster: &Cluster) -> IndexMap<String, String> {
    let pki = &cluster.pki;
    let own = (!cluster.line.pki.certificates.is_empty()).then(|| ("cluster".to_owned(), pki.validity));
    let users = pki.users.iter().map(|user| (format!("user {}", user.name), user.validity));
    own.into_iter().chain(users).map(|(whose, validity)| (whose, day(validity.not_after))).collect()
}
