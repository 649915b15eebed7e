//! A cluster's files: everything in the out tree except image archives.

use super::BuildError;
use super::git::IGNORE;
use super::out::SEALED;
use super::{drawing, readme};
use crate::diagnostic::Diagnostics;
use crate::media::{self, pxe};
use crate::node::{self, Contexts, Keys};
use crate::os;
use crate::pki::Keyring;
use crate::plan::{Cluster, NodeRef};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A file of the out tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Below the cluster's folder.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whether it contains key material; otherwise it is for git.
    pub is_sealed: bool,
}

impl File {
    fn public(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), bytes: bytes.into(), is_sealed: false }
    }

    /// A file below `sealed/`.
    fn sealed(path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: format!("{SEALED}/{path}"), bytes: bytes.into(), is_sealed: true }
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
}

impl<'c> Files<'c> {
    /// The files of a cluster; the sealed ones too if there is a keyring.
    pub fn of(cluster: &'c Cluster, keyring: Option<&'c Keyring<'c>>) -> Self {
        Self { cluster, keyring, contexts: Contexts::new(cluster), found: Mutex::default(), fingerprints: Mutex::default() }
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

    /// A part for each node, and one for the cluster's own files.
    fn parts(&self) -> usize {
        self.cluster.nodes.len() + 1
    }

    fn part(&self, number: usize) -> Result<Vec<File>, BuildError> {
        match self.cluster.node_refs().nth(number) {
            Some(node) => self.of_node(number, node),
            None => self.of_cluster(),
        }
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
        if let Some((keyring, node)) = for_sealing {
            let mut sealed = node.clone();
            sealed.seal(keyring);
            let mut sealed = os::cloud_config(sealed);
            sealed.mark(&fingerprint);
            let config = os::emit(&sealed, &comment(of, true));
            if let Some(pxe) = &cluster.media.pxe {
                let path = format!("{}/{}{}", pxe::SERVED, keyring.fill(&keys.boot_path()).as_str(), pxe::suffix(of, pxe));
                files.push(File::sealed(&path, media::served(of, pxe, &node, config.as_bytes())?));
            }
            files.push(File::sealed(&format!("{}/cloud-config.yml", keys.node), config));
        }
        for file in media::node_files(of, &keys) {
            files.push(File::public(file.public, file.content.text()));
            files.extend(self.keyring.map(|keyring| File::sealed(&file.sealed, file.content.fill(keyring).as_bytes())));
        }
        files.push(File::public(format!("nodes/{}/cloud-config.yml", keys.node), os::emit(&public, &comment(of, false))));
        if cluster.line.fingerprint_file().is_some() {
            self.fingerprints.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(&of.node.name, fingerprint);
        }
        Ok(files)
    }

    fn of_cluster(&self) -> Result<Vec<File>, BuildError> {
        let mut files = Vec::new();
        for (path, secret) in node::operator_files(self.cluster, &self.contexts).map_err(BuildError::Template)? {
            files.extend(self.keyring.map(|keyring| File::sealed(&path, secret.fill(keyring).as_bytes())));
        }
        for (path, text) in media::files(self.cluster) {
            if self.keyring.is_some() && path == "media/pxe/boot.ipxe" {
                files.push(File::sealed(&format!("{}/boot.ipxe", pxe::SERVED), text.clone()));
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
