//! The kernel's command line: what a machine must know before it has its config. The OS reads keys of its
//! config there too, and they are the strongest (rancher/os, config/cmdline), so only what the config says
//! alike is said.

use crate::plan::NodeRef;
use crate::terms::ConfigBy;

/// The parameters of one node, but for where its config is.
pub fn parameters(of: NodeRef) -> Vec<String> {
    let class = of.class;
    let mut words = Vec::new();
    if let (Some(disk), false) = (&class.disk, class.machine.install) {
        words.push("rancher.state.dev=LABEL=RANCHER_STATE".to_owned());
        // Only a disk whose first MiB is zero is formatted (auto-format.sh); with another one the node would
        // run in memory, and etcd would forget: `required` stops it instead.
        words.push(format!("rancher.state.autoformat=[{disk}]"));
        words.push("rancher.state.required=true".to_owned());
    }
    words.extend(boot_words(of));
    words
}

/// Consoles, and what the profile adds: for an installed system too.
pub fn boot_words(of: NodeRef) -> Vec<String> {
    let machine = &of.class.machine;
    let consoles = machine.console.iter().flat_map(|console| ["console=tty0".to_owned(), format!("console={console}")]);
    consoles.chain(machine.kernel_args.iter().cloned()).collect()
}

/// The network as the config will have it, for a node that fetches its config. Where the interface is known
/// by its MAC address alone, the command line can't say it (its keys end at `=`), and the OS asks for DHCP on
/// every interface, as it does by default.
pub fn network(NodeRef { cluster, node, class }: NodeRef) -> Vec<String> {
    let Some(interface) = &class.interface else { return Vec::new() };
    let key = format!("rancher.network.interfaces.{interface}");
    let mut words = match node.address {
        Some(address) => vec![format!("{key}.address={address}/{}", cluster.network.nodes.prefix())],
        None => vec![format!("{key}.dhcp=true")],
    };
    words.extend(cluster.network.gateway.filter(|_| node.address.is_some()).map(|gateway| format!("{key}.gateway={gateway}")));
    let servers: Vec<String> = cluster.network.nameservers.iter().map(ToString::to_string).collect();
    if !servers.is_empty() {
        words.push(format!("rancher.network.dns.nameservers=[{}]", servers.join(",")));
    }
    words
}

/// Whether the node's config comes in the initrd. One that is installed has what installs it there too.
pub fn rides_initrd(of: NodeRef, config: ConfigBy) -> bool {
    config == ConfigBy::Initrd || of.class.machine.install
}
