//! How machines come to boot: what doesn't go together.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::plan::cluster::ClusterNode;
use crate::plan::decide::fleet::Fleet;
use crate::plan::decide::servers::host as server_of;
use crate::profile::{Interface, Profile};
use crate::terms::{Arch, ByArch, Delivery, Role};
use crate::yaml::{Field, Given};
use std::collections::BTreeMap;

/// The disk of a partition: `/dev/sda` of `/dev/sda1`, `/dev/nvme0n1` of `/dev/nvme0n1p2`; `None` if it is a disk.
fn disk_of(device: &str) -> Option<&str> {
    let disk = device.trim_end_matches(|c: char| c.is_ascii_digit());
    let name = disk.strip_prefix("/dev/").filter(|_| disk != device)?;
    let is_letters = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase());
    if ["sd", "hd", "vd", "xvd"].iter().any(|kind| name.strip_prefix(kind).is_some_and(is_letters)) {
        return Some(disk);
    }
    let is_numbered = ["nvme", "mmcblk"].iter().any(|kind| name.starts_with(kind));
    disk.strip_suffix('p').filter(|disk| is_numbered && disk.ends_with(|c: char| c.is_ascii_digit()))
}

/// Devices that nobody can write a file system to.
const NO_DISKS: [&str; 16] = [
    "/dev/console",
    "/dev/fd",
    "/dev/full",
    "/dev/kmsg",
    "/dev/mem",
    "/dev/null",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/random",
    "/dev/shm",
    "/dev/stderr",
    "/dev/stdin",
    "/dev/stdout",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
];

/// Why `ros install` fails on a disk, and what to do: it takes only `/dev/NAME`, and calls the first partition `NAME1`, or
/// `NAMEp1` on an NVMe disk (cmd/control/install.go, setDiskpartitions and GetDefaultPartition).
fn not_installable(device: &str) -> Option<(&'static str, &'static str)> {
    let name = device.strip_prefix("/dev/")?;
    if name.contains('/') {
        return Some((
            "it takes only names like `/dev/sda`, and stops",
            "write the kernel's name of the disk, like `/dev/sda` or `/dev/nvme0n1`",
        ));
    }
    let is_numbered = name.ends_with(|c: char| c.is_ascii_digit()) && !name.contains("nvme");
    is_numbered.then_some((
        "it looks for the first partition under another name than the kernel's, and stops",
        "remove `install`: the OS then runs from the boot medium, with its state on this disk",
    ))
}

/// Each processor among the nodes needs a kernel and an initrd of its own.
fn check_boot_files(profile: &Profile, fleet: &Fleet, found: &mut Diagnostics) {
    let Some(url) = profile.media.url.get() else { return };
    let arches: BTreeMap<Arch, Option<Span>> = fleet.classes.iter().rev().map(|kind| (kind.arch(), kind.span)).collect();
    for (key, default, given) in [("kernel", "vmlinuz", &profile.media.kernel), ("initrd", "initrd", &profile.media.initrd)] {
        if matches!(given, Given::Bad) {
            continue;
        }
        let written = given.value();
        let is_shared = matches!(written, None | Some(ByArch::All(_))) && arches.len() > 1;
        let missing = |arch: &Arch| is_shared || written.is_some_and(|each| each.of(*arch).is_none());
        let Some((arch, declared)) = arches.iter().find(|(arch, _)| missing(arch)) else { continue };
        let span = given.span().or(url.span);
        let problem = match is_shared {
            true => format!("one `{key}` for nodes with different processors"),
            false => format!("no `{key}` for {arch}"),
        };
        let each: Vec<String> = arches.keys().map(|arch| format!("{arch}: {arch}/{default}")).collect();
        let mut says = Diagnostic::new(Code::InvalidValue, span, problem);
        if let (false, Some(declared)) = (is_shared, declared) {
            says = says.related(*declared, "a node with this processor");
        }
        found.push(
            says.why("a processor starts only a kernel that is made for it: these machines would stop when they boot from the network")
                .help(format!("write `{key}: {{{}}}`", each.join(", "))),
        );
    }
}

/// Reports settings that contradict each other.
pub(crate) fn check(profile: &Profile, fleet: &Fleet, delivery: Option<Delivery>, found: &mut Diagnostics) {
    check_boot_files(profile, fleet, found);
    for kind in &fleet.classes {
        let settings = &kind.settings;
        let install = settings.install.get().filter(|install| install.value.0);
        let is_none = |disk: &str| NO_DISKS.contains(&disk.trim_end_matches(|c: char| c.is_ascii_digit())) || disk.starts_with("/dev/sr");
        if let Some(disk) = settings.disk.get().filter(|disk| is_none(&disk.value.0)) {
            found.push(
                Diagnostic::new(Code::InvalidValue, disk.span, format!("{} isn't a disk that keeps data", disk.value.0))
                    .why("the OS finds no file system on it: the node's state, etcd's data too, would be in memory only")
                    .help("write the kernel's name of the disk, like `/dev/sda` or `/dev/nvme0n1`"),
            );
            continue;
        }
        if let (Some(install), true) = (install, settings.disk.is_absent()) {
            found.push(
                Diagnostic::new(Code::InstallWithoutDisk, install.span, "`install` is set, but no disk")
                    .why("`ros install` must know which disk it may wipe")
                    .help("add `disk: /dev/sda`"),
            );
        }
        let partition = settings.disk.get().and_then(|disk| Some((disk, disk_of(&disk.value.0)?)));
        if let (Some((disk, whole)), Some(install)) = (partition, install) {
            found.push(
                Diagnostic::new(Code::PartitionAsDisk, disk.span, format!("{} is a partition", disk.value.0))
                    .related(install.span, "what makes partitions of its own on it")
                    .why("`ros install` writes a partition table and a boot loader to it, and no machine boots from a partition's")
                    .help(format!("write the whole disk: `{whole}`")),
            );
        } else if let (Some(disk), Some(install)) = (settings.disk.get(), install)
            && let Some((why, help)) = not_installable(&disk.value.0)
        {
            found.push(
                Diagnostic::new(Code::InvalidValue, disk.span, format!("`ros install` can't use {}", disk.value.0))
                    .related(install.span, "what runs it")
                    .why(format!("{why}: nothing would be installed"))
                    .help(help),
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
    let server = profile.media.url.get().map(|url| (url.span, server_of(&url.0)));
    let is_it = |node: &&ClusterNode, host: &str| node.address.is_some_and(|address| address.to_string() == host);
    if let Some((span, host)) = server
        && let Some(node) = fleet.nodes.iter().find(|node| is_it(node, host))
    {
        found.push(
            Diagnostic::new(Code::BootsFromItself, span, format!("the server for network boot is at the address of {}", node.name))
                .why(format!("{} must be up before it can boot, and the others wait for it", node.name))
                .help("write the address of a server outside the cluster; a node that is installed and serves the others can be meant"),
        );
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
