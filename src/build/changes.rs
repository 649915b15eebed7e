//! What a change begins with and a cluster → what changes on its nodes.

use super::{BuildError, Committed, Files};
use crate::change::{Before, Change, Comparison, Facts};
use crate::diagnostic::Diagnostics;
use crate::plan::Cluster;
use crate::terms::sha256;
use std::collections::{BTreeMap, BTreeSet};

/// What a change begins with: the committed tree, and what each node runs.
#[derive(Debug)]
pub struct Origin {
    /// The tree that the new one replaces.
    pub committed: Committed,
    /// What each node runs.
    pub before: Before,
    /// The configs of the trees in `before`, by index.
    configs: Vec<Configs>,
}

/// Where a tree's configs are.
#[derive(Debug)]
pub(super) enum Configs {
    /// The committed tree's.
    Committed,
    /// Another tree's.
    Of(Box<Committed>),
    /// They are the new ones.
    New,
}

impl Origin {
    /// All nodes run the committed tree.
    pub fn of(committed: Committed) -> Self {
        let before = Before::tree(committed.name.clone(), committed.manifest.clone());
        Self { committed, before, configs: vec![Configs::Committed] }
    }

    /// Each node runs its own. `configs` are those of the trees in `before`.
    pub(super) fn asked(committed: Committed, before: Before, configs: Vec<Configs>) -> Self {
        Self { committed, before, configs }
    }

    /// Whether a node runs the committed tree.
    fn runs_committed(&self, node: &str) -> bool {
        self.before.index(node).is_some_and(|index| matches!(self.configs.get(index), Some(Configs::Committed)))
    }

    /// The config that a node runs, and its name; `None` if it is the new one.
    fn config(&mut self, node: &str, path: &str) -> Result<Option<(String, Vec<u8>)>, BuildError> {
        let tree = match self.before.index(node).and_then(|index| self.configs.get_mut(index)) {
            Some(Configs::Committed) => &mut self.committed,
            Some(Configs::Of(tree)) => tree,
            Some(Configs::New) | None => return Ok(None),
        };
        let old = tree.config(path)?;
        let old = old.ok_or_else(|| BuildError::Git(format!("{} has no {path}, but its manifest names it", tree.name)))?;
        Ok(Some((format!("{}/{path}", tree.name), old)))
    }
}

/// What changes, and the diagnostics of rendering. If there is an error among them, the comparison is empty.
pub fn changes(cluster: &Cluster, origin: &mut Origin) -> Result<(Comparison, Diagnostics), BuildError> {
    let generated = Files::of(cluster, None);
    let ignored = cluster.line.fingerprint_file();
    let mut changed: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    let mut others = Vec::new();
    let mut made = BTreeSet::new();
    let mut is_committed = origin.committed.is_in_git();
    for file in generated.iter() {
        let file = match file {
            Err(BuildError::NotRendered(_)) => continue,
            file => file?,
        };
        let is_new = origin.committed.manifest.files.get(&file.path) != Some(&sha256(&file.bytes));
        is_committed &= !is_new;
        match node_of(&file.path) {
            Some(node) if origin.before.is_unclear(node) || !origin.before.has(node) => {}
            Some(node) => match origin.config(node, &file.path)? {
                Some((name, old)) if old != file.bytes => {
                    is_committed &= !origin.runs_committed(node);
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    changed.insert(node.to_owned(), Comparison::changes(&name, &text(&old), &text(&file.bytes), ignored)?);
                }
                Some(_) => {}
                None if is_new => others.push(file.path.clone()),
                None => {}
            },
            None if is_new => others.push(file.path.clone()),
            None => {}
        }
        made.insert(file.path);
    }
    let found = generated.found();
    if found.has_errors() {
        return Ok((Comparison::default(), found));
    }
    let gone: Vec<&String> = origin.committed.manifest.files.keys().filter(|path| !made.contains(*path)).collect();
    is_committed &= gone.is_empty();
    // That a node goes is said of the node.
    others.extend(gone.into_iter().filter(|path| node_of(path).is_none_or(|node| !origin.before.has(node))).cloned());
    others.sort();
    Ok((Comparison::of(&origin.before, &Facts::of(cluster), changed, others, is_committed), found))
}

/// The node whose config a path is.
fn node_of(path: &str) -> Option<&str> {
    path.strip_prefix("nodes/")?.strip_suffix("/cloud-config.yml")
}
