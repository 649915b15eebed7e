//! How machines come to boot: what doesn't go together.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::plan::cluster::ClusterNode;
use crate::plan::decide::fleet::Fleet;
use crate::profile::{Interface, Profile};
use crate::terms::{Delivery, Role};
use crate::yaml::Field;

/// Reports settings that contradict each other.
pub(crate) fn check(profile: &Profile, fleet: &Fleet, delivery: Option<Delivery>, found: &mut Diagnostics) {
    for kind in &fleet.classes {
        let settings = &kind.settings;
        let install = settings.install.get().filter(|install| install.value.0);
        if let (Some(install), true) = (install, settings.disk.is_absent()) {
            found.push(
                Diagnostic::new(Code::InstallWithoutDisk, install.span, "`install` is set, but no disk")
                    .why("`ros install` must know which disk it may wipe")
                    .help("add `disk: /dev/sda`"),
            );
        }
        if let (Some(url), true, true) = (profile.media.url.get(), settings.disk.is_absent(), kind.roles.contains(&Role::Etcd)) {
            found.push(
                Diagnostic::new(Code::EtcdInMemory, kind.span, "this node has etcd's data and boots from the network, but has no disk")
                    .related(url.span, "network boot")
                    .why("it loses everything when it is switched off: a single member loses all objects of the cluster, and one of three comes back empty and is refused by the others")
                    .help("add `disk: /dev/sda`, or ignore this if the node already uses its disk"),
            );
        }
        if let (Some(url), Some(disk), None, Some(Delivery::Preload)) = (profile.media.url.get(), settings.disk.get(), install, delivery) {
            found.push(
                Diagnostic::new(
                    Code::PreloadFromNetwork,
                    disk.span,
                    "these nodes boot from the network, keep their state on a disk, and preload images",
                )
                .related(url.span, "network boot")
                .why("preloaded images from the network are in memory, and are lost when the OS switches to the disk: nothing would start")
                .help("add `install: true`, or let the nodes fetch the images: `images: {delivery: url, url: …}`"),
            );
        }
    }
    let takes_eth0 = |node: &ClusterNode| {
        let settings = &fleet.classes[node.class].settings;
        let is_it = |member: &Interface| member.0 == "eth0";
        let is_member = settings.interfaces.iter().any(|(_, one)| one.bond.members.values().chain(one.bridge.members.values()).any(is_it));
        let has_address = settings.interfaces.get("eth0").is_some_and(|one| !one.addresses.is_empty());
        (node.mac.is_none() && settings.interface.is_absent()) || is_member || has_address
    };
    if let (Some(given), Some(node)) = (profile.media.vagrant.box_name.get(), fleet.nodes.iter().find(|node| takes_eth0(node))) {
        let names_none = fleet.classes[node.class].settings.interface.is_absent();
        let problem = if names_none { "names no network interface and would use eth0" } else { "would use eth0" };
        found.push(
            Diagnostic::new(Code::VagrantInterface, given.span, format!("{} {problem}", node.name))
                .why("Vagrant itself uses eth0: a node that sets another address there can't be reached")
                .help("add `defaults: {interface: eth1, dhcp: [eth0]}`, or a `mac` to each node"),
        );
    }
}
