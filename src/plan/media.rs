//! How machines come to boot.

use super::Node;
use super::nodes::{Fleet, Kind};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::profile::{ConfigBy, Delivery, Profile, Role};
use crate::yaml::Field;

#[derive(Debug, Clone, Default)]
pub struct Media {
    /// Network boot, if it is wanted.
    pub pxe: Option<Pxe>,
    /// Name and version of the box, if a Vagrantfile is wanted.
    pub vagrant: Option<(String, Option<String>)>,
}

#[derive(Debug, Clone)]
pub struct Pxe {
    /// Where the folder for machines is served, without a slash at its end.
    pub url: String,
    /// Paths below `url`, or URLs.
    pub kernel: String,
    pub initrd: String,
    pub config: ConfigBy,
    pub matchbox: bool,
}

/// What a machine of a kind is and how it boots.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Whether it installs the OS on its disk when it first boots.
    pub install: bool,
    pub console: Option<String>,
    pub kernel_args: Vec<String>,
    /// MiB.
    pub memory: u32,
    pub cpus: u16,
}

pub fn decide(profile: &Profile, found: &mut Diagnostics) -> Media {
    let given = &profile.media;
    if given.url.is_absent() {
        let spans = [given.kernel.span(), given.initrd.span(), given.config.span(), given.matchbox.span()];
        if let Some(span) = spans.into_iter().flatten().next() {
            found.push(
                Diagnostic::error("no-media-url", span, "this is for network boot, and `media` has no `url`")
                    .why("nothing is made for network boot: no machine would find its kernel or its config")
                    .mend("add `url: http://HOST:PORT`, where OUT/CLUSTER/sealed/pxe.d is served"),
            );
        }
    }
    if let (true, Some(version)) = (given.vagrant.box_name.is_absent(), given.vagrant.box_version.get()) {
        found.push(
            Diagnostic::error("no-box", version.span, "a version is given, and no box")
                .why("no Vagrantfile is made")
                .mend("add `box_name: NAME`, as `vagrant box list` shows it"),
        );
    }
    let location = |given: &crate::yaml::Given<crate::profile::Location>, default: &str| {
        given.value().map_or_else(|| default.to_owned(), |location| location.0.clone())
    };
    let pxe = given.url.value().map(|url| Pxe {
        url: url.0.trim_end_matches('/').to_owned(),
        kernel: location(&given.kernel, "vmlinuz"),
        initrd: location(&given.initrd, "initrd"),
        config: given.config.value().copied().unwrap_or(ConfigBy::Initrd),
        matchbox: given.matchbox.value().is_some_and(|flag| flag.0),
    });
    let vagrant = &given.vagrant;
    let version = vagrant.box_version.value().map(|version| version.0.clone());
    Media { pxe, vagrant: vagrant.box_name.value().map(|name| (name.0.clone(), version)) }
}

pub fn machine(kind: &Kind) -> Machine {
    let settings = &kind.settings;
    let is_control_plane = kind.roles.contains(&Role::ControlPlane);
    Machine {
        install: settings.install.value().is_some_and(|install| install.0),
        console: settings.console.value().map(|console| console.0.clone()),
        kernel_args: settings.kernel_args.values().map(|word| word.0.clone()).collect(),
        memory: settings.memory.value().map_or(if is_control_plane { 4096 } else { 2048 }, |memory| memory.0),
        cpus: settings.cpus.value().map_or(2, |cpus| cpus.0),
    }
}

/// What doesn't go together.
pub fn check(profile: &Profile, fleet: &Fleet, delivery: Option<Delivery>, found: &mut Diagnostics) {
    for kind in &fleet.kinds {
        let settings = &kind.settings;
        let install = settings.install.get().filter(|install| install.value.0);
        if let (Some(install), true) = (install, settings.disk.is_absent()) {
            found.push(
                Diagnostic::error("install-without-disk", install.span, "the OS is to be installed, and no disk is named")
                    .why("`ros install` must be told which disk it may wipe")
                    .mend("add `disk: /dev/sda`"),
            );
        }
        if let (Some(url), true, true) = (profile.media.url.get(), settings.disk.is_absent(), kind.roles.contains(&Role::Etcd)) {
            found.push(
                Diagnostic::warning("volatile-data", kind.span, "this node keeps etcd's data, boots from the network and has no disk")
                    .related(url.span, "network boot")
                    .why("it forgets everything when it is switched off; alone, the cluster loses all of its objects, and of three it is refused by the others when it comes back empty")
                    .mend("add `disk: /dev/sda`; leave this as it is if its disk is known to it already"),
            );
        }
        if let (Some(url), Some(disk), None, Some(Delivery::Preload)) = (profile.media.url.get(), settings.disk.get(), install, delivery) {
            found.push(
                Diagnostic::error("preload-from-network", disk.span, "these nodes boot from the network, keep their state on a disk, and preload images")
                    .related(url.span, "network boot")
                    .why("what the network brings to be preloaded lies in memory and is gone when the OS changes over to the disk: nothing would start")
                    .mend("add `install: true`, or let the nodes fetch the images: `images: {delivery: url, url: …}`"),
            );
        }
    }
    let takes_eth0 = |node: &Node| node.mac.is_none() && fleet.kinds[node.class].settings.interface.is_absent();
    if let (Some(given), Some(node)) = (profile.media.vagrant.box_name.get(), fleet.nodes.iter().find(|node| takes_eth0(node))) {
        found.push(
            Diagnostic::error("vagrant-interface", given.span, format!("{} names no network interface, and would take eth0", node.name))
                .why("eth0 is Vagrant's own way in: a node that gives itself another address there can be reached by nobody")
                .mend("add `defaults: {interface: eth1, dhcp: [eth0]}`, or a `mac` to each node"),
        );
    }
}
