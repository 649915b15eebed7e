//! Each node's subnets of the pod networks.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::plan::cluster::{Class, ClusterNetwork, ClusterNode};
use crate::plan::decide::fleet::Fleet;
use crate::profile::Profile;
use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Gives each node with pods its subnet of each family. The number of a node's subnet is the offset of its address
/// in the node network, so adding a node changes no other node. If two offsets share a subnet (in a
/// node network with more addresses than subnets), the later node takes the next free one. flannel
/// skips the first subnet (its SubnetMin, subnet/config.go), and so does this. If some nodes learn
/// their addresses, the lower half is for the others, and flannel leases from the upper half. Without flannel, the
/// controller manager gives each node a subnet of the whole network when it registers.
pub(crate) fn subnets(fleet: &mut Fleet, classes: &[Class], network: &ClusterNetwork, profile: &Profile, found: &mut Diagnostics) {
    let is_flannel = network.backend.is_flannel();
    let of = &profile.network.pods;
    let leases = network.reserved.is_some();
    let Some(mut pool) = Pool::new(network.pods.into(), network.node_prefix, is_flannel, leases, of.v4.span()) else { return };
    let ipv6 = network.ipv6.as_ref();
    let mut ipv6_pool = ipv6.and_then(|ipv6| Pool::new(ipv6.pods.into(), ipv6.node_prefix, is_flannel, false, of.v6.span()));
    let (dynamic, known): (Vec<&ClusterNode>, Vec<&ClusterNode>) =
        fleet.nodes.iter().filter(|node| classes[node.class].is_kubernetes()).partition(|node| is_flannel && node.address.is_none());
    let missing = [Some(&pool), ipv6_pool.as_ref()].into_iter().flatten().find_map(|pool| pool.lacks(pool.usable, known.len(), ""));
    if let Some(missing) = missing.or_else(|| pool.lacks(pool.leased, dynamic.len(), " that get their addresses by DHCP")) {
        found.push(missing);
        return;
    }
    if !is_flannel {
        return;
    }
    let start = u32::from(network.nodes.network());
    for node in fleet.nodes.iter_mut().filter(|node| classes[node.class].is_kubernetes()) {
        let Some(address) = node.address else { continue };
        let offset = u128::from(u32::from(address) - start);
        let first = u32::try_from(pool.take(offset)).unwrap_or(u32::MAX);
        node.subnet = Ipv4Network::new(Ipv4Addr::from(first), network.node_prefix).ok();
        if let (Some(pool), Some(ipv6)) = (&mut ipv6_pool, ipv6) {
            node.ipv6_subnet = Ipv6Network::new(Ipv6Addr::from(pool.take(offset)), ipv6.node_prefix).ok();
        }
    }
}

/// The subnets of a pod network.
struct Pool {
    pods: IpNetwork,
    node_prefix: u8,
    span: Option<Span>,
    /// How many remuda gives to nodes, and how many flannel leases.
    usable: u128,
    leased: u128,
    /// The numbers of those that nodes have.
    taken: HashSet<u128>,
}

impl Pool {
    /// `None` if the network has no subnet.
    fn new(pods: IpNetwork, node_prefix: u8, is_flannel: bool, leases: bool, span: Option<Span>) -> Option<Self> {
        let count = 1_u128 << node_prefix.checked_sub(pods.prefix())?;
        let leased = if leases { count / 2 } else { 0 };
        let usable = count - leased - u128::from(is_flannel);
        Some(Self { pods, node_prefix, span, usable, leased, taken: HashSet::new() })
    }

    /// A message if `has` subnets aren't enough.
    fn lacks(&self, has: u128, nodes: usize, whose: &str) -> Option<Diagnostic> {
        let says = || {
            let (pods, prefix) = (self.pods, self.node_prefix);
            format!("the pod network {pods} has {has} subnets with a prefix length of {prefix} for {nodes} nodes{whose}")
        };
        let of = || {
            Diagnostic::new(Code::PodNetworkSmall, self.span, says())
                .why("a node without a subnet can't run pods")
                .help("use a larger pod network, or a larger `node_prefix`")
        };
        (nodes as u128 > has).then(of)
    }

    /// The first address of the subnet for the node with this offset. There must be a free one.
    fn take(&mut self, offset: u128) -> u128 {
        let mut number = offset.saturating_sub(1) % self.usable;
        while !self.taken.insert(number) {
            number = (number + 1) % self.usable;
        }
        let (base, bits) = match self.pods {
            IpNetwork::V4(pods) => (u128::from(u32::from(pods.network())), 32),
            IpNetwork::V6(pods) => (u128::from(pods.network()), 128),
        };
        base + ((number + 1) << (bits - self.node_prefix))
    }
}
