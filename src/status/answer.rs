//! What the API says of its nodes and of itself.

use super::kubectl::refused;
use super::{Kubectl, NoAnswer};
use crate::program::plain;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The annotation with the fingerprint of the config that a node has booted with: files/node-labels.sh writes it.
const CONFIG: &str = "remuda/config";

/// The answers of a cluster's API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// By name.
    pub nodes: BTreeMap<String, Node>,
    /// The checks of the API server's readiness that fail.
    pub failed: Vec<String>,
    /// The addresses of the API servers that live, each with a working etcd behind it.
    pub servers: Vec<String>,
}

/// A node, as the API knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// The fingerprint of its config.
    pub config: Option<String>,
    /// The kubelet's version, without `v`.
    pub kubelet: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// `None` if it is ready, otherwise the reason.
    pub unready: Option<Unready>,
    /// Whether no new pods may come.
    pub is_cordoned: bool,
}

/// Why a node isn't ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unready {
    /// Its kubelet says so.
    Says(String),
    /// Its kubelet is silent since then, if that is known.
    Silent(Option<String>),
}

/// Asks the API. Its readiness comes first: without etcd, everything else is silence.
pub fn ask(kubectl: &Kubectl) -> Result<Answers, NoAnswer> {
    let failed = readiness(kubectl)?;
    match (objects(kubectl), failed.is_empty()) {
        (Ok((nodes, servers)), _) => Ok(Answers { nodes, failed, servers }),
        (Err(error), true) => Err(error),
        (Err(error), false) => Err(NoAnswer::NotReady { failed: failed.join(", "), error: Box::new(error) }),
    }
}

/// The nodes, and the addresses of the API servers.
fn objects(kubectl: &Kubectl) -> Result<(BTreeMap<String, Node>, Vec<String>), NoAnswer> {
    let list: List<NodeObject> = get(kubectl, "/api/v1/nodes")?;
    let mut nodes: BTreeMap<String, Node> = list.items.into_iter().map(|node| (plain(&node.metadata.name), node.into())).collect();
    let mut silent: Vec<(&String, &mut Option<String>)> = nodes
        .iter_mut()
        .filter_map(|(name, node)| match &mut node.unready {
            Some(Unready::Silent(since)) => Some((name, since)),
            _ => None,
        })
        .collect();
    // A lease is renewed every ten seconds, a node's state only every five minutes. Not everybody may read leases.
    if !silent.is_empty()
        && let Ok(leases) = get::<List<Lease>>(kubectl, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")
    {
        let renewed = leases.items.into_iter().filter_map(|lease| Some((lease.metadata.name, moment(&lease.spec.renew_time?))));
        let mut renewed: BTreeMap<String, String> = renewed.collect();
        for (name, since) in &mut silent {
            **since = renewed.remove(*name).or(since.take());
        }
    }
    Ok((nodes, servers(kubectl)?))
}

/// A time in seconds. It may be anything.
fn moment(text: &str) -> String {
    text.parse::<jiff::Timestamp>().map_or_else(|_| plain(text), |time| time.strftime("%F %T UTC").to_string())
}

fn get<T: DeserializeOwned>(kubectl: &Kubectl, path: &'static str) -> Result<T, NoAnswer> {
    let output = kubectl.get(path)?;
    if !output.is_success {
        return Err(refused(&output));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| NoAnswer::Odd { path, problem: plain(&error.to_string()) })
}

/// The checks that fail. If any does, kubectl fails, and has the list in its message.
fn readiness(kubectl: &Kubectl) -> Result<Vec<String>, NoAnswer> {
    let output = kubectl.get("/readyz?verbose")?;
    if output.is_success {
        return Ok(Vec::new());
    }
    let text = output.stderr.replace("\\n", "\n");
    let failed: Vec<String> = text.split("[-]").skip(1).map(|rest| rest.split_whitespace().next().map(plain).unwrap_or_default()).collect();
    if failed.is_empty() { Err(refused(&output)) } else { Ok(failed) }
}

/// Each API server renews its address there through its etcd, and is taken out if it doesn't.
fn servers(kubectl: &Kubectl) -> Result<Vec<String>, NoAnswer> {
    // The older of two kinds: Kubernetes 1.20 has the newer one only as a beta.
    let endpoints: Endpoints = get(kubectl, "/api/v1/namespaces/default/endpoints/kubernetes")?;
    let mut servers: Vec<String> = endpoints.subsets.into_iter().flat_map(|one| one.addresses).map(|one| one.ip).collect();
    servers.sort();
    Ok(servers)
}

#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct NodeObject {
    metadata: Metadata,
    #[serde(default)]
    spec: NodeSpec,
    #[serde(default)]
    status: NodeObjectStatus,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct NodeSpec {
    #[serde(default)]
    unschedulable: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeObjectStatus {
    conditions: Vec<Condition>,
    addresses: Vec<Address>,
    node_info: NodeInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    r#type: String,
    status: String,
    #[serde(default)]
    message: String,
    last_heartbeat_time: Option<String>,
}

#[derive(Deserialize)]
struct Address {
    address: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeInfo {
    kubelet_version: String,
}

#[derive(Deserialize)]
struct Lease {
    metadata: Metadata,
    spec: LeaseSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeaseSpec {
    renew_time: Option<String>,
}

#[derive(Deserialize)]
struct Endpoints {
    #[serde(default)]
    subsets: Vec<Subset>,
}

#[derive(Deserialize)]
struct Subset {
    #[serde(default)]
    addresses: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    ip: String,
}

impl From<NodeObject> for Node {
    fn from(mut node: NodeObject) -> Self {
        let ready = node.status.conditions.into_iter().find(|condition| condition.r#type == "Ready");
        let unready = match ready {
            Some(ready) if ready.status == "True" => None,
            Some(ready) if ready.status == "False" => Some(Unready::Says(plain(&ready.message))),
            ready => Some(Unready::Silent(ready.and_then(|ready| ready.last_heartbeat_time).map(|time| moment(&time)))),
        };
        Self {
            config: node.metadata.annotations.remove(CONFIG).map(|text| plain(&text)).filter(|text| !text.is_empty()),
            kubelet: plain(node.status.node_info.kubelet_version.trim_start_matches('v')),
            addresses: node.status.addresses.into_iter().map(|one| one.address).collect(),
            unready,
            is_cordoned: node.spec.unschedulable,
        }
    }
}
