//! What the nodes of a cluster say → which tree each of them runs: the new one, the committed one, the one on the disk,
//! or one of git's history.

use super::changes::Configs;
use super::{BuildError, Committed, Files, History, Origin};
use crate::change::{Asked, Before, Manifest, Tree};
use crate::plan::Cluster;
use crate::status::{Answers, Node, Unready};
use crate::terms::Role;
use camino::Utf8Path;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The indices of the trees that are always there.
const NEW: usize = 0;
const COMMITTED: usize = 1;

/// What each node of the cluster runs, by the answers of its API. `committed` and `history` are of the tree `root`.
pub fn live(cluster: &Cluster, root: &Utf8Path, committed: Committed, history: &History, answers: &Answers) -> Result<Origin, BuildError> {
    let mut new = Manifest::of(cluster);
    new.configs = Some(fingerprints(cluster)?);
    let mut search = Search::new(answers);
    search.look("what the profile says".to_owned(), new, Configs::New);
    search.look(committed.name.clone(), committed.manifest.clone(), Configs::Committed);
    let on_disk = Committed::on_disk(root).ok().flatten();
    let mut looked = 0;
    for tree in on_disk.into_iter().map(|tree| (tree, 0)).chain(history.trees().map(|tree| (tree, 1))) {
        if search.open.is_empty() {
            break;
        }
        looked += tree.1;
        search.look(tree.0.name.clone(), tree.0.manifest.clone(), Configs::Of(Box::new(tree.0)));
    }
    let nobody = format!("{looked} commit{} of {root}", if looked == 1 { "" } else { "s" });
    let (mut nodes, mut asked) = (BTreeMap::new(), BTreeMap::new());
    let names: BTreeSet<&String> = [NEW, COMMITTED].iter().flat_map(|index| search.trees[*index].facts().nodes.keys()).collect();
    for name in names.into_iter().chain(answers.nodes.keys()).collect::<BTreeSet<_>>() {
        let known = [COMMITTED, NEW].into_iter().find(|index| search.trees[*index].facts().node(name).is_some());
        let place = Place { cluster, name, found: search.found.get(name).copied(), known, nobody: &nobody, search: &search };
        let (index, says) = match answers.nodes.get(name) {
            Some(node) => place.there(node),
            None => place.absent(),
        };
        let is_known = search.found.contains_key(name) || !answers.nodes.contains_key(name);
        let tree = index.filter(|_| is_known).map(|index| search.trees[index].name.clone());
        let config = answers.nodes.get(name).and_then(|node| node.config.clone());
        let is_away = answers.nodes.get(name).is_some_and(|node| node.unready.is_some());
        nodes.extend(index.map(|index| (name.clone(), index)));
        if index.is_some() || !says.is_empty() {
            asked.insert(name.clone(), Asked { config, tree, is_away, says });
        }
    }
    let cautions = cautions(answers);
    let Search { trees, configs, .. } = search;
    Ok(Origin::asked(committed, Before::asked(trees, nodes, asked, cautions), configs))
}

/// The fingerprints of the configs that the profile makes now.
fn fingerprints(cluster: &Cluster) -> Result<BTreeMap<String, String>, BuildError> {
    let files = Files::of(cluster, None);
    files.par_iter().try_for_each(|file| match file {
        // Who compares the files says what is wrong.
        Err(BuildError::NotRendered(_)) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    })?;
    Ok(files.fingerprints().into_iter().map(|(name, config)| (name.to_owned(), config)).collect())
}

fn cautions(answers: &Answers) -> Vec<String> {
    let failed = (!answers.failed.is_empty())
        .then(|| format!("the API isn't ready: {}. Look at the members of etcd first (docs/status.md).", answers.failed.join(", ")));
    failed.into_iter().collect()
}

/// Trees, and whose configs were found in them.
struct Search<'a> {
    trees: Vec<Tree>,
    configs: Vec<Configs>,
    /// Node → its tree's index.
    found: BTreeMap<String, usize>,
    /// Node → its config, of those that aren't found.
    open: BTreeMap<&'a String, &'a String>,
}

impl<'a> Search<'a> {
    fn new(answers: &'a Answers) -> Self {
        let open = answers.nodes.iter().filter_map(|(name, node)| Some((name, node.config.as_ref()?))).collect();
        Self { trees: Vec::new(), configs: Vec::new(), found: BTreeMap::new(), open }
    }

    /// Finds the nodes that run this tree. It is kept if any does, or if it is one of the first two.
    fn look(&mut self, name: String, manifest: Manifest, configs: Configs) {
        let of_tree = |node: &str| manifest.configs.as_ref()?.get(node);
        let same: Vec<&String> = self.open.iter().filter(|(node, config)| of_tree(node) == Some(**config)).map(|(node, _)| *node).collect();
        if same.is_empty() && self.trees.len() > COMMITTED {
            return;
        }
        for node in same {
            self.open.remove(node);
            self.found.insert(node.clone(), self.trees.len());
        }
        self.trees.push(Tree::new(name, manifest));
        self.configs.push(configs);
    }
}

/// A node, and what is known of it.
struct Place<'p> {
    cluster: &'p Cluster,
    name: &'p str,
    /// The index of the tree with its config.
    found: Option<usize>,
    /// The index of the tree that has it, if only its name is asked.
    known: Option<usize>,
    /// Which trees don't have its config, in words.
    nobody: &'p str,
    search: &'p Search<'p>,
}

impl Place<'_> {
    fn is_new(&self) -> bool {
        self.cluster.node(self.name).is_some()
    }

    /// A node of the API: the index of its tree, or of the one that it is assumed to be made of, and what there is to
    /// say. One that no tree has is nobody's.
    fn there(&self, node: &Node) -> (Option<usize>, Vec<String>) {
        let name = self.name;
        let mut says = Vec::new();
        let index = self.found.or(self.known);
        match &node.unready {
            Some(Unready::Silent(since)) => {
                let since = since.as_ref().map_or_else(|| "it was never heard of".to_owned(), |since| format!("last heard of {since}"));
                says.push(format!("it isn't Ready, {since}: {BACK}"));
            }
            Some(Unready::Says(why)) => says.push(format!("it isn't Ready ({why}): {BACK}")),
            None => {}
        }
        match (self.found, &node.config) {
            _ if index.is_none() => {
                says.push(format!("neither the profile nor a tree has it: `kubectl delete node {name}` if it is gone for good"));
            }
            (Some(_), _) => {}
            (None, Some(_)) => says.push(format!(
                "neither the profile, nor the tree on the disk, nor {} made its config (kubelet {}): it was changed by hand, or comes from elsewhere. If you have the tree, see `--from DIR`; otherwise look at the node before its step",
                self.nobody, node.kubelet
            )),
            (None, None) => says.push(format!(
                "it doesn't say which config it runs (kubelet {}): wait a minute if it has just booted, and plan again; an older remuda's config, or one without `node-labels`, never says it",
                node.kubelet
            )),
        }
        if node.is_cordoned {
            says.push(format!("it takes no pods: `kubectl uncordon {name}`, if a step was left before its end"));
        }
        (index, says)
    }

    /// A node that the API doesn't know.
    fn absent(&self) -> (Option<usize>, Vec<String>) {
        let committed = &self.search.trees[COMMITTED];
        let was = committed.facts().node(self.name);
        match was {
            Some(was) if was.roles == [Role::Etcd] => {
                let config = committed.manifest.configs.as_ref().and_then(|configs| configs.get(self.name));
                let look = config.zip(self.cluster.line.fingerprint_file()).map(|(config, file)| {
                    let address = was.address.as_deref().unwrap_or(self.name);
                    format!(": see that `ssh rancher@{address} sudo cat {file}` prints {config}")
                });
                let says = format!("it is only in etcd, so the API doesn't know it; this is assumed{}", look.unwrap_or_default());
                (Some(COMMITTED), vec![says])
            }
            _ if self.is_new() => {
                (None, vec!["it isn't in the cluster: it never started, or its Node was deleted; a step adds it".to_owned()])
            }
            _ => (None, Vec::new()),
        }
    }
}

/// What to do with a node that isn't ready.
const BACK: &str = "look at its console, and bring it back before another node that others rely on is away";
