//! What a running cluster relies on, in words that a manifest can keep: each a line, so that git can merge them.

use crate::node::admins;
use crate::plan::{Cluster, ClusterNode};
use crate::terms::{Backend, Role};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The word for an address that the node learns when it boots.
const LEARNED: &str = "dhcp";

/// What a running cluster relies on. Nothing of it is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Settings of the whole cluster, by their keys in the profile.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// The engine that runs its pods.
    #[serde(default)]
    pub pods_in: Option<String>,
    /// Component → version.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// Purpose → generations that are accepted, with blanks between them, the one in use first. Only of what can
    /// have several: authorities, key pairs, secrets.
    #[serde(default)]
    pub keys: BTreeMap<String, String>,
    /// The group of the admin kubeconfig, if its rights come from a role binding; otherwise they are built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admins: Option<String>,
    /// Node → its address, or `dhcp`, and its roles.
    #[serde(default)]
    pub nodes: BTreeMap<String, String>,
}

/// A node, as its fact says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFact {
    /// `None` if the node learns it.
    pub address: Option<String>,
    /// What it is; words that aren't roles are left out.
    pub roles: Vec<Role>,
}

impl NodeFact {
    fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let address = words.next().filter(|address| address.parse::<Ipv4Addr>().is_ok()).map(str::to_owned);
        let role = |word| [Role::Etcd, Role::ControlPlane, Role::Worker].into_iter().find(|role| role.as_str() == word);
        Self { address, roles: words.filter_map(role).collect() }
    }

    /// Whether it has the role.
    pub fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether others rely on its address: it is a member of etcd, or runs the API server.
    pub fn is_relied_on(&self) -> bool {
        self.is(Role::Etcd) || self.is(Role::ControlPlane)
    }
}

impl Facts {
    /// The facts of a decided cluster.
    pub fn of(cluster: &Cluster) -> Self {
        let network = &cluster.network;
        let api = cluster.api.host.as_ref().map(|host| format!("{host}:{}", cluster.api.port));
        let ipv6_prefix = network.ipv6.as_ref().map(|ipv6| format!(", {}", ipv6.node_prefix));
        let settings = [
            ("network.pods", Some(network.both(network.pods, |ipv6| ipv6.pods))),
            ("network.node_prefix", Some(format!("{}{}", network.node_prefix, ipv6_prefix.unwrap_or_default()))),
            ("network.backend", Some(network.backend.to_string())),
            ("network.vni", (network.backend == Backend::Vxlan).then(|| network.vni.to_string())),
            ("network.services", Some(network.both(network.services, |ipv6| ipv6.services))),
            ("network.dns", Some(network.dns.to_string())),
            ("network.domain", Some(network.domain.clone())),
            ("api.endpoint", api),
            ("api.port", Some(cluster.api.port.to_string())),
            ("api.vip", cluster.api.vip.map(|vip| vip.to_string())),
            ("etcd.data_dir", Some(cluster.etcd.data_dir.clone())),
        ];
        let purposes = cluster.line.pki.purposes().filter(|purpose| cluster.line.pki.takes_trust(purpose));
        let generations = |purpose| cluster.pki.generations(purpose).iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        Self {
            settings: settings.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect(),
            pods_in: Some(cluster.line.pods_in.to_string()),
            versions: cluster.images.versions.clone(),
            keys: purposes.map(|purpose| (purpose.to_owned(), generations(purpose))).collect(),
            admins: admins(cluster),
            nodes: cluster.nodes.iter().map(|node| (node.name.clone(), node_fact(cluster, node))).collect(),
        }
    }

    /// What a node's fact says.
    pub fn node(&self, name: &str) -> Option<NodeFact> {
        self.nodes.get(name).map(|text| NodeFact::parse(text))
    }

    /// The nodes with a role, by name.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter(move |(_, text)| NodeFact::parse(text).is(role)).map(|(name, _)| name.as_str())
    }

    /// The generations of a purpose that are accepted, the one in use first.
    pub fn generations(&self, purpose: &str) -> Option<Vec<&str>> {
        self.keys.get(purpose).map(|text| text.split_whitespace().collect())
    }
}

fn node_fact(cluster: &Cluster, node: &ClusterNode) -> String {
    let address = node.address.map_or_else(|| LEARNED.to_owned(), |address| address.to_string());
    let roles = cluster.classes[node.class].roles.iter().map(|role| role.as_str());
    [address.as_str()].into_iter().chain(roles).collect::<Vec<_>>().join(" ")
}
