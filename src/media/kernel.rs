//! The kernel's command line: what a machine must know before it has its config. The OS also reads
//! config keys there, and they are the strongest (rancher/os, config/cmdline). So the command line
//! only repeats what the config says.

use crate::plan::NodeRef;
use crate::terms::ConfigBy;

/// The parameters of one node, except for the location of its config.
pub(super) fn parameters(of: NodeRef) -> Vec<String> {
    let class = of.class;
    let mut words = Vec::new();
    if let (Some(disk), false) = (&class.disk, class.machine.install) {
        words.push("rancher.state.dev=LABEL=RANCHER_STATE".to_owned());
        // The OS formats only a disk whose first MiB is zero (auto-format.sh). With another disk
        // the node would run in memory, and etcd would lose its data: `required` stops it instead.
        words.push(format!("rancher.state.autoformat=[{disk}]"));
        words.push("rancher.state.required=true".to_owned());
    }
    words.extend(boot_words(of));
    words
}

/// Consoles and the profile's parameters, also for an installed system.
pub(super) fn boot_words(of: NodeRef) -> Vec<String> {
    let machine = &of.class.machine;
    let consoles = machine.console.iter().flat_map(|console| ["console=tty0".to_owned(), format!("console={console}")]);
    consoles.chain(machine.kernel_args.iter().cloned()).collect()
}

/// The network as in the config, for a node that fetches its config. If only the interface's MAC
/// address is known, the command line can't express it (its keys end at `=`), and the OS uses its
/// default: DHCP on every interface. So it is with a bond, a bridge or a VLAN, which would need more than an address.
pub(super) fn network(of: NodeRef) -> Vec<String> {
    let NodeRef { cluster, node, class } = of;
    let Some(interface) = class.interface.as_ref().filter(|_| class.made_interface().is_none()) else { return Vec::new() };
    let key = format!("rancher.network.interfaces.{interface}");
    let mut words = match node.address {
        Some(address) => vec![format!("{key}.address={address}/{}", cluster.network.nodes.prefix())],
        None => vec![format!("{key}.dhcp=true")],
    };
    words.extend(of.gateway().map(|gateway| format!("{key}.gateway={gateway}")));
    let servers: Vec<String> = cluster.network.nameservers.iter().map(ToString::to_string).collect();
    if !servers.is_empty() {
        words.push(format!("rancher.network.dns.nameservers=[{}]", servers.join(",")));
    }
    words
}

/// Whether the node's config is in the initrd. A node to be installed also has its installer there.
pub(super) fn rides_initrd(of: NodeRef, config: ConfigBy) -> bool {
    config == ConfigBy::Initrd || of.class.machine.install
}
