//! The API's answers beside the tree's manifest.

use super::answer::{Answers, Node, Unready};
use crate::change::{Facts, Manifest};
use crate::terms::Role;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a cluster runs, and how it differs from its tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its name.
    pub cluster: String,
    /// The out tree.
    pub tree: String,
    /// Whether everything is as the tree says.
    pub is_as_the_tree_says: bool,
    /// Each node of the tree and of the cluster, by name.
    pub nodes: Vec<NodeStatus>,
    /// The API servers and etcd.
    pub servers: Servers,
    /// `cluster`, or `user NAME` → the last day of its certificates.
    pub certificates: BTreeMap<String, String>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Its roles in the tree.
    pub roles: Vec<Role>,
    /// How it is.
    pub state: State,
    /// Its config.
    pub config: Config,
    /// The version of its kubelet, if the API knows the node.
    pub kubelet: Option<String>,
    /// How it differs from the tree, and what to do.
    pub problems: Vec<String>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its kubelet says that it takes pods.
    Ready,
    /// Its kubelet says that it doesn't, or is silent.
    NotReady,
    /// The tree has it, but the API doesn't know it.
    Missing,
    /// It is only in etcd, so the API can't know it.
    EtcdOnly,
}

/// The fingerprints of a node's configs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// Of the config that it has booted with.
    pub runs: Option<String>,
    /// Of its config in the tree.
    pub tree: Option<String>,
}

/// The API servers, and etcd behind them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Servers {
    /// The nodes whose API server lives, and so its way to etcd.
    pub up: Vec<String>,
    /// The control-plane nodes whose API server doesn't.
    pub down: Vec<String>,
    /// The members of etcd, by the tree.
    pub etcd: Vec<String>,
    /// The checks of the API server's readiness that fail, like `etcd`.
    pub failed: Vec<String>,
}

impl Status {
    /// Compares the answers with the manifest of the tree `tree`.
    pub fn of(tree: &str, manifest: &Manifest, answers: &Answers) -> Self {
        let facts = manifest.known();
        let of_tree = || manifest.nodes().map(str::to_owned);
        let names: BTreeSet<String> = of_tree().chain(answers.nodes.keys().cloned()).collect();
        let known: BTreeSet<String> = of_tree().collect();
        let servers = servers(&facts, answers);
        let nodes: Vec<NodeStatus> = names
            .into_iter()
            .map(|name| node_status(manifest, &facts, &servers, known.contains(&name), answers.nodes.get(&name), name))
            .collect();
        let is_as_the_tree_says = servers.failed.is_empty() && servers.down.is_empty() && nodes.iter().all(|node| node.problems.is_empty());
        let (cluster, certificates) = (manifest.cluster.clone(), manifest.certificates.clone());
        Self { cluster, tree: tree.to_owned(), is_as_the_tree_says, nodes, servers, certificates }
    }
}

fn servers(facts: &Facts, answers: &Answers) -> Servers {
    let names = |role| facts.with_role(role).map(str::to_owned);
    let is_up = |name: &String| {
        let of_tree = facts.node(name).and_then(|node| node.address);
        let of_api = answers.nodes.get(name).into_iter().flat_map(|node| node.addresses.iter());
        of_api.chain(&of_tree).any(|address| answers.servers.binary_search(address).is_ok())
    };
    let (up, down) = names(Role::ControlPlane).partition(is_up);
    Servers { up, down, etcd: names(Role::Etcd).collect(), failed: answers.failed.clone() }
}

fn node_status(manifest: &Manifest, facts: &Facts, servers: &Servers, is_in_tree: bool, node: Option<&Node>, name: String) -> NodeStatus {
    let roles = facts.node(&name).map(|node| node.roles).unwrap_or_default();
    let config = Config {
        runs: node.and_then(|node| node.config.clone()),
        tree: manifest.configs.as_ref().and_then(|configs| configs.get(&name)).cloned(),
    };
    let (mut problems, mut notes) = (Vec::new(), Vec::new());
    let state = match node {
        Some(node) if node.unready.is_none() => State::Ready,
        Some(_) => State::NotReady,
        None if roles == [Role::Etcd] => State::EtcdOnly,
        None => State::Missing,
    };
    match node.and_then(|node| node.unready.as_ref()) {
        Some(Unready::Silent(Some(since))) => problems.push(format!("last heard of {since}")),
        Some(Unready::Silent(None)) => problems.push("never heard of".to_owned()),
        Some(Unready::Says(why)) => problems.push(if why.is_empty() { "its kubelet says so".to_owned() } else { why.clone() }),
        None => {}
    }
    match (node, state) {
        (Some(_), _) if !is_in_tree => problems.push(format!("not in the tree: `kubectl delete node {name}` if it is gone for good")),
        (Some(node), _) => {
            problems.extend(config.problem());
            let version = facts.versions.get("kubelet").filter(|version| **version != node.kubelet);
            problems.extend(version.map(|version| format!("the tree has kubelet {version}")));
            if node.is_cordoned {
                notes.push("cordoned".to_owned());
            }
        }
        (None, State::EtcdOnly) => notes.push("only in etcd: the API doesn't know such nodes".to_owned()),
        (None, _) => problems.push("the API doesn't know it: it never started, or it was deleted".to_owned()),
    }
    if servers.down.contains(&name) && state != State::Missing {
        problems.push("its API server is away".to_owned());
    }
    NodeStatus { kubelet: node.map(|node| node.kubelet.clone()), name, roles, state, config, problems, notes }
}

impl Config {
    /// How the configs differ, of a node that is in the tree and in the cluster.
    fn problem(&self) -> Option<String> {
        match (&self.runs, &self.tree) {
            (_, None) => Some("the tree has no fingerprint of its config: run `remuda gen`".to_owned()),
            (None, Some(_)) => Some("it doesn't say which config it runs: one of an older remuda, or it is still starting".to_owned()),
            (Some(runs), Some(tree)) if runs != tree => Some(format!("the tree has {tree}: it hasn't booted with it")),
            (Some(_), Some(_)) => None,
        }
    }
}
