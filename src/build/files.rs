//! A cluster's files: everything in the out tree except image archives.

use super::BuildError;
use super::git::IGNORE;
use super::marks::{self, Marks, Sealed};
use super::out::SEALED;
use super::{drawing, readme};
use crate::diagnostic::Diagnostics;
use crate::media::{self, pxe};
use crate::node::{self, Contexts, Keys, Secret};
use crate::os;
use crate::pki::Keyring;
use crate::plan::{Cluster, NodeRef};
use crate::terms::sha256;
use rayon::prelude::*;
use serde::Serialize;
use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A file of the out tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Below the cluster's folder.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// The SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// Whether it contains key material; otherwise it is for git.
    pub is_sealed: bool,
    /// Whether it is in the tree already, and was read there.
    pub is_read: bool,
}

impl File {
    fn public(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self { path: path.into(), sha256: sha256(&bytes), bytes, is_sealed: false, is_read: false }
    }
}

/// All files of a cluster, each made on demand: those for git and, with a keyring, also the sealed ones.
pub struct Files<'c> {
    cluster: &'c Cluster,
    keyring: Option<&'c Keyring<'c>>,
    contexts: Contexts,
    /// Diagnostics of rendered nodes, by their numbers.
    found: Mutex<BTreeMap<usize, Diagnostics>>,
    /// The fingerprints of rendered configs, by node.
    fingerprints: Mutex<BTreeMap<&'c str, String>>,
    marks: Marks,
}

impl<'c> Files<'c> {
    /// The files of a cluster; the sealed ones too if there is a keyring.
    pub fn of(cluster: &'c Cluster, keyring: Option<&'c Keyring<'c>>) -> Self {
        Self {
            cluster,
            keyring,
            contexts: Contexts::new(cluster),
            found: Mutex::default(),
            fingerprints: Mutex::default(),
            marks: Marks::default(),
        }
    }

    /// The same files, but what is sealed already, and still right, isn't sealed again.
    pub(super) fn marked(self, marks: Marks) -> Self {
        Self { marks, ..self }
    }

    /// The files, one after the other. A node that can't be rendered gives an error in place of its files.
    pub fn iter(&self) -> impl Iterator<Item = Result<File, BuildError>> {
        (0..self.parts()).flat_map(|number| listed(self.part(number)))
    }

    /// The same, made on all cores, in any order.
    pub fn par_iter(&self) -> impl ParallelIterator<Item = Result<File, BuildError>> {
        (0..self.parts()).into_par_iter().flat_map_iter(|number| listed(self.part(number)))
    }

    /// The diagnostics of the files made so far, in the order of the nodes: warnings, and the
    /// errors of nodes that can't be rendered.
    pub fn found(&self) -> Diagnostics {
        let mut all = Diagnostics::default();
        let mut found = self.found.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        std::mem::take(&mut *found).into_values().for_each(|own| all.extend_once(own));
        all
    }

    /// The fingerprints of the configs made so far, by node: equal for equal configs, whatever their comments.
    pub fn fingerprints(&self) -> BTreeMap<&'c str, String> {
        self.fingerprints.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// The marks of the sealed files made so far, for the manifest.
    pub(super) fn marks(&self) -> marks::Header {
        self.marks.header()
    }

    /// A file below `sealed/`.
    fn sealed(
        &self,
        keyring: &Keyring,
        path: &str,
        made_of: &impl Serialize,
        make: impl FnOnce() -> Result<Vec<u8>, BuildError>,
    ) -> Result<File, BuildError> {
        let Sealed { bytes, sha256, is_read } = self.marks.sealed(keyring, path, made_of, make)?;
        Ok(File { path: format!("{SEALED}/{path}"), bytes, sha256, is_sealed: true, is_read })
    }

    /// A file below `sealed/` that is nothing but this text.
    fn filled(&self, keyring: &Keyring, path: &str, secret: &Secret) -> Result<File, BuildError> {
        self.sealed(keyring, path, secret, || Ok(secret.fill(keyring).as_bytes().to_vec()))
    }

    /// A part for each node, and one for the cluster's own files.
    fn parts(&self) -> usize {
        self.cluster.nodes.len() + 1
    }

    fn part(&self, number: usize) -> Result<Vec<File>, BuildError> {
        // Not `node_refs().nth(number)`, which would count up to it.
        if number < self.cluster.nodes.len() { self.of_node(number, self.cluster.node_at(number)) } else { self.of_cluster() }
    }

    fn of_node(&self, number: usize, of: NodeRef<'c>) -> Result<Vec<File>, BuildError> {
        let cluster = self.cluster;
        let mut found = Diagnostics::default();
        let node = node::lower(of, &self.contexts, &mut found);
        let is_wrong = found.has_errors();
        if !found.is_empty() {
            self.found.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(number, found);
        }
        if is_wrong {
            return Err(BuildError::NotRendered(of.node.name.clone()));
        }
        let keys = Keys { cluster, node: node.hostname, context: &Default::default(), user: None };
        let mut files = Vec::new();
        let for_sealing = self.keyring.map(|keyring| (keyring, node.clone()));
        let mut public = os::cloud_config(node);
        let fingerprint = public.fingerprint();
        public.mark(&fingerprint);
        let for_git = File::public(format!("nodes/{}/cloud-config.yml", keys.node), os::emit(public, &comment(of, false)));
        if let Some((keyring, node)) = for_sealing {
            let comment = comment(of, true);
            let config = LazyCell::new(|| {
                let mut sealed = node.clone();
                sealed.seal(keyring);
                let mut sealed = os::cloud_config(sealed);
                sealed.mark(&fingerprint);
                os::emit(sealed, &comment)
            });
            let (path, secrets) = (format!("{}/cloud-config.yml", keys.node), node.secrets());
            files.push(self.sealed(keyring, &path, &(&for_git.sha256, &comment, &secrets), || Ok(config.as_bytes().to_vec()))?);
            if let Some(pxe) = &cluster.media.pxe {
                let path = format!("{}/{}{}", pxe::SERVED, keyring.fill(&keys.boot_path()).as_str(), pxe::suffix(of, pxe));
                let served = |config: &[u8]| media::served(of, pxe, &node, config);
                let made_of = (sha256(&served(&for_git.bytes)?), &comment, &secrets);
                files.push(self.sealed(keyring, &path, &made_of, || Ok(served(config.as_bytes())?))?);
            }
        }
        for file in media::node_files(of, &keys) {
            files.push(File::public(file.public, file.content.text()));
            files.extend(self.keyring.map(|keyring| self.filled(keyring, &file.sealed, &file.content)).transpose()?);
        }
        files.push(for_git);
        if cluster.line.fingerprint_file().is_some() {
            self.fingerprints.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(&of.node.name, fingerprint);
        }
        Ok(files)
    }

    fn of_cluster(&self) -> Result<Vec<File>, BuildError> {
        let mut files = Vec::new();
        for (path, secret) in node::operator_files(self.cluster, &self.contexts).map_err(BuildError::Template)? {
            files.extend(self.keyring.map(|keyring| self.filled(keyring, &path, &secret)).transpose()?);
        }
        for (path, text) in media::files(self.cluster) {
            if let Some(keyring) = self.keyring.filter(|_| path == "media/pxe/boot.ipxe") {
                files.push(self.sealed(keyring, &format!("{}/boot.ipxe", pxe::SERVED), &text, || Ok(text.clone().into_bytes()))?);
            }
            files.push(File::public(path, text));
        }
        files.push(File::public("graph.svg", drawing::start_order(self.cluster)));
        files.push(File::public("README.md", readme::page(self.cluster)));
        files.push(File::public(IGNORE, IGNORED));
        Ok(files)
    }
}

const IGNORED: &str = "# Not for git: key material, image tarballs, and what Vagrant notes.\n/sealed/\n/images/\n/media/.vagrant/\n";

fn listed(part: Result<Vec<File>, BuildError>) -> Vec<Result<File, BuildError>> {
    match part {
        Ok(files) => files.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }
}

/// The diagnostics of rendering every node, without writing anything.
pub fn check(cluster: &Cluster) -> Diagnostics {
    let contexts = Contexts::new(cluster);
    let mut all = Diagnostics::default();
    for of in cluster.node_refs() {
        let mut own = Diagnostics::default();
        node::lower(of, &contexts, &mut own);
        all.extend_once(own);
    }
    all
}

/// The comment at the head of a config.
fn comment(of: NodeRef, is_sealed: bool) -> String {
    let cluster = of.cluster;
    let roles: Vec<&str> = of.class.roles.iter().map(|role| role.as_str()).collect();
    format!(
        "{} of cluster {} ({}), {} on {} {}.\nMade by remuda: change the profile, not this file. {}",
        of.node.name,
        cluster.name,
        roles.join(", "),
        cluster.line.name,
        cluster.target.title,
        cluster.os_version,
        if is_sealed {
            "This copy holds the node's keys: not for git."
        } else {
            "This copy is for git: where a key or certificate\nbelongs it says `sealed:`. A node boots from the sealed copy."
        }
    )
}
