//! The plan of a change: what changes, and the steps.

use super::steps::{self, Step};
use super::{Asked, Before, Comparison, Facts, NodeChange};
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
    /// What it begins with, in words.
    pub from: String,
    /// What to know of the whole cluster before anything is done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cautions: Vec<String>,
    /// What each node says that it runs, if they were asked.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub running: BTreeMap<String, Asked>,
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
    /// The plan of a comparison with what runs before.
    pub fn of(cluster: &Cluster, before: Before, comparison: Comparison, commands: &Commands) -> Self {
        let (line, facts) = (&cluster.line, Facts::of(cluster));
        let moved = |(component, new): (&String, &String)| {
            let old = before.versions(component, &line.roles_of(component));
            old.into_iter().filter(|old| *old != new).map(|old| (component.clone(), old.clone(), new.clone())).collect::<Vec<_>>()
        };
        let versions: Vec<_> = facts.versions.iter().flat_map(moved).collect();
        let is_new = |(component, image): &(&String, &String)| before.lacks_image(image, &line.roles_of(component));
        let mut images: Vec<String> = cluster.images.names.iter().filter(is_new).map(|(_, image)| image.clone()).collect();
        images.dedup();
        let ways = steps::Ways {
            cluster,
            before: &before,
            facts: &facts,
            commands,
            new_images: &images,
            is_committed: comparison.is_committed,
            versions: &versions,
        };
        // Another seed changes no file for git.
        let is_empty = comparison.is_empty() && commands.accepted.is_empty();
        let (setup, steps) = if is_empty { Default::default() } else { ways.steps(&comparison) };
        let Comparison { nodes, files, .. } = comparison;
        let Before { name: from, asked: running, cautions, .. } = before;
        Self { cluster: cluster.name.clone(), from, cautions, running, versions, images, nodes, files, setup, steps }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.files.is_empty() && self.steps.is_empty()
    }
}
