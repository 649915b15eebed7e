//! Each node's subnet of the pod network.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::plan::cluster::{Class, ClusterNetwork, ClusterNode};
use crate::plan::decide::fleet::Fleet;
use crate::profile::Profile;
use std::collections::HashSet;
use std::net::Ipv4Addr;

/// Gives each node with pods its subnet. The number of a node's subnet is the offset of its address
/// in the node network, so adding a node changes no other node. If two offsets share a subnet (in a
/// node network with more addresses than subnets), the later node takes the next free one. flannel
/// skips the first subnet (its SubnetMin, subnet/config.go), and so does this. If some nodes learn
/// their addresses, the lower half is for the others, and flannel leases from the upper half. Without flannel, the
/// controller manager gives each node a subnet of the whole network when it registers.
pub(crate) fn subnets(fleet: &mut Fleet, classes: &[Class], network: &ClusterNetwork, profile: &Profile, found: &mut Diagnostics) {
    let Some(bits) = network.node_prefix.checked_sub(network.pods.prefix()) else { return };
    let count = 1u64 << bits;
    let leased = if network.reserved.is_some() { count / 2 } else { 0 };
    let is_flannel = network.backend.is_flannel();
    let usable = count - leased - u64::from(is_flannel);
    let (dynamic, known): (Vec<&ClusterNode>, Vec<&ClusterNode>) =
        fleet.nodes.iter().filter(|node| classes[node.class].is_kubernetes()).partition(|node| is_flannel && node.address.is_none());
    for (wanting, has, whose) in [(known.len() as u64, usable, ""), (dynamic.len() as u64, leased, " that get their addresses by DHCP")] {
        if wanting > has {
            found.push(
                Diagnostic::new(
                    Code::PodNetworkSmall,
                    profile.network.pods.span(),
                    format!(
                        "the pod network {} has {has} subnets with a prefix length of {} for {wanting} nodes{whose}",
                        network.pods, network.node_prefix
                    ),
                )
                .why("a node without a subnet can't run pods")
                .help("use a larger pod network, or a larger `node_prefix`"),
            );
            return;
        }
    }
    if !is_flannel {
        return;
    }
    let base = u64::from(u32::from(network.pods.network()));
    let first = u64::from(u32::from(network.nodes.network()));
    let mut taken: HashSet<u64> = HashSet::new();
    for node in fleet.nodes.iter_mut().filter(|node| classes[node.class].is_kubernetes()) {
        let Some(address) = node.address else { continue };
        let offset = u64::from(u32::from(address)) - first;
        let mut number = offset.saturating_sub(1) % usable;
        while !taken.insert(number) {
            number = (number + 1) % usable;
        }
        let size = 1u64 << (32 - network.node_prefix);
        let start = u32::try_from(base + (number + 1) * size).unwrap_or(u32::MAX);
        node.subnet = ipnetwork::Ipv4Network::new(Ipv4Addr::from(start), network.node_prefix).ok();
    }
}
