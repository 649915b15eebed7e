//! A Vagrantfile: a virtual machine per node, which boots from its config drive. Vagrant provisions nothing.

use crate::plan::{Cluster, NodeRef};
use std::fmt::Write;

/// Written to `media/Vagrantfile`: the drives are at `../sealed`.
pub(super) fn file(cluster: &Cluster, name: &str, version: Option<&str>) -> String {
    let mut nodes = String::new();
    for NodeRef { node, class, .. } in cluster.node_refs() {
        let machine = &class.machine;
        let mac = node.mac.map(|mac| format!(", mac: \"{}\"", mac.to_string().replace(':', "").to_uppercase())).unwrap_or_default();
        let address = node.address.map(|address| format!("ip: \"{address}\", ")).unwrap_or_default();
        let _ = writeln!(nodes, "  \"{}\" => {{ {address}memory: {}, cpus: {}{mac} }},", node.name, machine.memory, machine.cpus);
    }
    let version = version.map(|version| format!("  config.vm.box_version = \"{version}\"\n")).unwrap_or_default();
    FILE.replace("@CLUSTER@", &cluster.name)
        .replace("@NODES@", &nodes)
        .replace("@BOX@", name)
        .replace("@VERSION@", &version)
        .replace("@NETMASK@", &cluster.network.nodes.mask().to_string())
}

const FILE: &str = include_str!("files/Vagrantfile");
