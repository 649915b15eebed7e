//! What a change begins with: which tree each node runs. Nodes of a committed tree all run that one; nodes that were
//! asked may each run another, one that nobody knows, or none yet.

use super::{Facts, Manifest, NodeFact};
use crate::terms::Role;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The nodes that are there, each with its tree.
#[derive(Debug)]
pub struct Before {
    /// What it is, in words.
    pub name: String,
    trees: Vec<Tree>,
    /// Node → its tree's index.
    nodes: BTreeMap<String, usize>,
    /// What the nodes said, by name; empty if they weren't asked.
    pub asked: BTreeMap<String, Asked>,
    /// What to know of the whole cluster before anything is done.
    pub cautions: Vec<String>,
}

/// A tree that nodes run.
#[derive(Debug)]
pub struct Tree {
    /// What it is, in words.
    pub name: String,
    /// Its manifest.
    pub manifest: Manifest,
    facts: Facts,
}

/// What a node says that it runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Asked {
    /// The fingerprint of its config.
    pub config: Option<String>,
    /// The tree with that config.
    pub tree: Option<String>,
    /// Whether it isn't Ready: its disk may have another config than it said last.
    pub is_away: bool,
    /// What is to be known of it, and what to do.
    pub says: Vec<String>,
}

/// A tree, and the nodes that run it.
#[derive(Debug)]
pub struct Running<'b> {
    /// The tree.
    pub tree: &'b Tree,
    /// What it is known by.
    pub facts: &'b Facts,
    nodes: Vec<&'b str>,
    /// Who runs it, in words; `None` if all nodes run the same tree.
    pub who: Option<String>,
}

impl Tree {
    /// A tree by its manifest.
    pub fn new(name: String, manifest: Manifest) -> Self {
        Self { name, facts: manifest.known(), manifest }
    }

    /// What it is known by.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Running<'_> {
    /// Whether one of its nodes has one of the roles, or may have it.
    pub fn has(&self, roles: &[Role]) -> bool {
        let has = |name: &&str| self.facts.node(name).is_none_or(|node| roles.iter().any(|role| node.is(*role)));
        roles.is_empty() || self.nodes.iter().any(has)
    }
}

impl Before {
    /// All nodes of a tree run it.
    pub fn tree(name: String, manifest: Manifest) -> Self {
        let nodes = manifest.nodes().map(|node| (node.to_owned(), 0)).collect();
        Self { trees: vec![Tree::new(name.clone(), manifest)], name, nodes, asked: BTreeMap::new(), cautions: Vec::new() }
    }

    /// Each node runs the tree with its index.
    pub fn asked(trees: Vec<Tree>, nodes: BTreeMap<String, usize>, asked: BTreeMap<String, Asked>, cautions: Vec<String>) -> Self {
        Self { name: "what runs".to_owned(), trees, nodes, asked, cautions }
    }

    /// The nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    /// Whether the node is there.
    pub fn has(&self, name: &str) -> bool {
        self.nodes.contains_key(name)
    }

    /// The index of the node's tree.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.nodes.get(name).copied()
    }

    /// The node's tree.
    pub fn tree_of(&self, name: &str) -> Option<&Tree> {
        self.trees.get(self.index(name)?)
    }

    /// Whether the node runs something that nobody knows. What it is otherwise is assumed.
    pub fn is_unclear(&self, name: &str) -> bool {
        self.has(name) && self.asked.get(name).is_some_and(|asked| asked.tree.is_none())
    }

    /// Whether the node is known, and isn't Ready.
    pub fn is_away(&self, name: &str) -> bool {
        self.has(name) && self.asked.get(name).is_some_and(|asked| asked.is_away)
    }

    /// The versions of a component that nodes with one of the roles say that they run, of those that are Ready.
    pub(super) fn versions_seen(&self, component: &str, roles: &[Role]) -> BTreeSet<&String> {
        let is_seen = |name: &&String| self.asked.get(*name).is_some_and(|asked| asked.config.is_some() && !asked.is_away);
        let has_role = |name: &&String| self.node(name).is_some_and(|node| roles.iter().any(|role| node.is(*role)));
        let seen = self.nodes.keys().filter(is_seen).filter(has_role);
        seen.filter_map(|name| self.tree_of(name)?.facts.versions.get(component)).collect()
    }

    /// What the node was made as.
    pub fn node(&self, name: &str) -> Option<NodeFact> {
        self.tree_of(name)?.facts.node(name)
    }

    /// The trees that are in use.
    pub fn running(&self) -> Vec<Running<'_>> {
        let used: BTreeSet<usize> = self.nodes.values().copied().collect();
        let is_only = used.len() < 2 && self.asked.is_empty();
        let running = |index: usize| {
            let tree = self.trees.get(index)?;
            let nodes: Vec<&str> = self.nodes.iter().filter(|(_, of)| **of == index).map(|(name, _)| name.as_str()).collect();
            let verb = if nodes.len() == 1 { "runs" } else { "run" };
            let who = (!is_only).then(|| format!("{} {verb} {}", nodes.join(", "), tree.name));
            Some(Running { tree, facts: &tree.facts, nodes, who })
        };
        used.into_iter().filter_map(running).collect()
    }

    /// The groups of admin kubeconfigs that the control plane knows, `None` for rights that are built in.
    pub(super) fn admins(&self) -> BTreeSet<Option<&String>> {
        self.running()
            .into_iter()
            .filter(|running| running.has(&[Role::ControlPlane]))
            .map(|running| running.facts.admins.as_ref())
            .collect()
    }

    /// The versions of a component that nodes with one of the roles run.
    pub(super) fn versions(&self, component: &str, roles: &[Role]) -> BTreeSet<&String> {
        let with_role = self.running().into_iter().filter(|running| running.has(roles));
        with_role.filter_map(|running| running.facts.versions.get(component)).collect()
    }

    /// Whether a node with one of the roles runs a tree without the image.
    pub(super) fn lacks_image(&self, image: &String, roles: &[Role]) -> bool {
        let running = self.running();
        let of_roles: Vec<&Running<'_>> = running.iter().filter(|running| running.has(roles)).collect();
        let judged = if of_roles.is_empty() { running.iter().collect() } else { of_roles };
        judged.is_empty() || judged.iter().any(|running| !running.tree.manifest.images.values().any(|had| had == image))
    }
}
