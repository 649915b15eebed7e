//! The plan of a change: what changes, and the steps.

use super::steps::{self, Step};
use super::{Comparison, Facts, Manifest, NodeChange};
use crate::plan::Cluster;
use serde::Serialize;
use std::collections::BTreeMap;

/// The words of commands that only the caller knows.
#[derive(Debug, Clone)]
pub struct Commands {
    /// Generates: `remuda gen cluster.yaml`.
    pub generate: String,
    /// What the first run needs behind that: ` --accept CODE` for each code that `gen` would refuse.
    pub accept: String,
    /// Any other verb: `remuda iso` and its like need the profile.
    pub profile: Option<String>,
    /// The out tree.
    pub root: String,
    /// How many workers go at a time.
    pub at_once: usize,
    /// The codes of what is accepted although it ends the cluster.
    pub accepted: Vec<String>,
}

/// What changes, and the steps that make it so.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// The cluster.
    pub cluster: String,
    /// The tree that it begins with, in words.
    pub from: String,
    /// Versions that change: component, old and new.
    pub versions: Vec<(String, String, String)>,
    /// Images that nodes need and don't have yet.
    pub images: Vec<String>,
    /// By name; those that stay as they are aren't here.
    pub nodes: BTreeMap<String, NodeChange>,
    /// Other files for git that change.
    pub files: Vec<String>,
    /// What to type once, before the first step.
    pub setup: Vec<String>,
    /// One after the other.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The plan of a comparison. `before` is the manifest of the tree `from`.
    pub fn of(cluster: &Cluster, before: &Manifest, from: String, comparison: Comparison, commands: &Commands) -> Self {
        let (known, facts) = (before.known(), Facts::of(cluster));
        let moved = |(component, new): (&String, &String)| {
            let old = known.versions.get(component).filter(|old| *old != new)?;
            Some((component.clone(), old.clone(), new.clone()))
        };
        let versions: Vec<_> = facts.versions.iter().filter_map(moved).collect();
        let had: Vec<&String> = before.images.values().collect();
        let mut images: Vec<String> = cluster.images.names.values().filter(|image| !had.contains(image)).cloned().collect();
        images.dedup();
        let ways = steps::Ways {
            cluster,
            known: &known,
            facts: &facts,
            commands,
            has_new_images: !images.is_empty(),
            has_new_os: before.os_version != cluster.os_version,
            versions: &versions,
        };
        let (setup, steps) = if comparison.is_empty() { Default::default() } else { ways.steps(&comparison) };
        let Comparison { nodes, files } = comparison;
        Self { cluster: cluster.name.clone(), from, versions, images, nodes, files, setup, steps }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.files.is_empty()
    }
}
