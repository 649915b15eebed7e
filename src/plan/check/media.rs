//! How machines come to boot: what doesn't go together.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::plan::cluster::ClusterNode;
use crate::plan::decide::fleet::Fleet;
use crate::profile::Profile;
use crate::terms::{Delivery, Role};
use crate::yaml::Field;

/// What doesn't go together.
pub fn check(profile: &Profile, fleet: &Fleet, delivery: Option<Delivery>, found: &mut Diagnostics) {
    for kind in &fleet.classes {
        let settings = &kind.settings;
        let install = settings.install.get().filter(|install| install.value.0);
        if let (Some(install), true) = (install, settings.disk.is_absent()) {
            found.push(
                Diagnostic::new(Code::InstallWithoutDisk, install.span, "the OS is to be installed, and no disk is named")
                    .why("`ros install` must be told which disk it may wipe")
                    .help("add `disk: /dev/sda`"),
            );
        }
        if let (Some(url), true, true) = (profile.media.url.get(), settings.disk.is_absent(), kind.roles.contains(&Role::Etcd)) {
            found.push(
                Diagnostic::new(Code::EtcdInMemory, kind.span, "this node keeps etcd's data, boots from the network and has no disk")
                    .related(url.span, "network boot")
                    .why("it forgets everything when it is switched off; alone, the cluster loses all of its objects, and of three it is refused by the others when it comes back empty")
                    .help("add `disk: /dev/sda`; leave this as it is if its disk is known to it already"),
            );
        }
        if let (Some(url), Some(disk), None, Some(Delivery::Preload)) = (profile.media.url.get(), settings.disk.get(), install, delivery) {
            found.push(
                Diagnostic::new(Code::PreloadFromNetwork, disk.span, "these nodes boot from the network, keep their state on a disk, and preload images")
                    .related(url.span, "network boot")
                    .why("what the network brings to be preloaded lies in memory and is gone when the OS changes over to the disk: nothing would start")
                    .help("add `install: true`, or let the nodes fetch the images: `images: {delivery: url, url: …}`"),
            );
        }
    }
    let takes_eth0 = |node: &ClusterNode| node.mac.is_none() && fleet.classes[node.class].settings.interface.is_absent();
    if let (Some(given), Some(node)) = (profile.media.vagrant.box_name.get(), fleet.nodes.iter().find(|node| takes_eth0(node))) {
        found.push(
            Diagnostic::new(Code::VagrantInterface, given.span, format!("{} names no network interface, and would take eth0", node.name))
                .why("eth0 is Vagrant's own way in: a node that gives itself another address there can be reached by nobody")
                .help("add `defaults: {interface: eth1, dhcp: [eth0]}`, or a `mac` to each node"),
        );
    }
}
