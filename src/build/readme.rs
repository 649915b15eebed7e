//! `README.md` of the out tree: the cluster for a person who finds the folder in git.

use super::day;
use super::out::{IMAGES, SEALED};
use crate::media::{install, pxe};
use crate::plan::{Archive, Cluster, NodeRef, Pxe};
use crate::terms::Delivery;
use std::fmt::Write;

/// The page, in Markdown.
pub(super) fn page(cluster: &Cluster) -> String {
    let mut page = format!("# {}\n\nMade by remuda: change the profile, not this file.\n\n", cluster.name);
    table(&mut page, ["", ""], facts(cluster));
    page.push_str("\n## Nodes\n\n");
    table(&mut page, ["node", "roles", "address", "pods"], cluster.node_refs().map(node));
    page.push_str("\n## Images\n\n");
    table(&mut page, ["component", "version", "image"], versions(cluster));
    page.push_str(&tarballs(cluster));
    page.push_str("\n## What to do next\n\n");
    for (number, step) in steps(cluster).iter().enumerate() {
        let _ = writeln!(page, "{}. {step}", number + 1);
    }
    page
}

/// A row for each item. What would end a cell is escaped.
fn table<const N: usize>(page: &mut String, head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let mut line = |cells: &[String]| {
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    };
    line(&head.map(str::to_owned));
    line(&head.map(|_| "---".to_owned()));
    for row in rows {
        line(&row.map(|cell| cell.replace('|', "\\|")));
    }
}

/// The cluster in a few lines, in Markdown: what is typed or read literally is in backticks.
pub(super) fn facts(cluster: &Cluster) -> Vec<[String; 2]> {
    let (network, api) = (&cluster.network, &cluster.api);
    let host = match &api.host {
        Some(host) => format!("`{host}:{}`", api.port),
        None => "published by the control plane when it boots".to_owned(),
    };
    let held = if api.vip.is_some() { ", which the control-plane nodes hold in turn" } else { "" };
    let members: Vec<&str> = cluster.etcd.members.iter().map(|index| cluster.nodes[*index].name.as_str()).collect();
    let mut facts = vec![
        ("OS", format!("{} {} (`{}`)", cluster.target.title, cluster.os_version, cluster.target.name)),
        ("release line", format!("{} (`{}`)", cluster.line.title, cluster.line.name)),
        ("API", format!("{host}{held}")),
        ("etcd", members.join(", ")),
        ("nodes' network", network.both(network.nodes, |ipv6| ipv6.nodes)),
        ("pods' network", format!("{}, by `{}`", network.both(network.pods, |ipv6| ipv6.pods), network.backend)),
        ("services' network", network.both(network.services, |ipv6| ipv6.services)),
        ("DNS", format!("{}, for `{}`", network.dns, network.domain)),
    ];
    if !cluster.line.pki.certificates.is_empty() {
        facts.push(("certificates", format!("until {}", day(cluster.pki.validity.not_after))));
    }
    facts.into_iter().map(|(name, value)| [name.to_owned(), value]).collect()
}

fn node(of: NodeRef) -> [String; 4] {
    let roles: Vec<&str> = of.class.roles.iter().map(|role| role.as_str()).collect();
    let pods = match of.node.subnet {
        Some(subnet) => of.node.ipv6_subnet.map_or(subnet.to_string(), |second| format!("{subnet}, {second}")),
        None if of.class.is_kubernetes() => "leased at boot".to_owned(),
        None => "none".to_owned(),
    };
    [of.node.name.clone(), roles.join(", "), of.node.addresses(), pods]
}

/// Every component with its image, by its digest too where that is known.
fn versions(cluster: &Cluster) -> Vec<[String; 3]> {
    let images = &cluster.images;
    let row = |(component, name): (&String, &String)| {
        let digests = images.archives.iter().filter_map(|archive| Some((archive.arch, archive.images.get(name)?)));
        let digests: String = digests.map(|(arch, digest)| format!("<br>{arch}: `{digest}`")).collect();
        [component.clone(), images.versions.get(component).cloned().unwrap_or_default(), format!("`{name}`{digests}")]
    };
    images.names.iter().map(row).collect()
}

fn tarballs(cluster: &Cluster) -> String {
    if cluster.images.lacks_archives() {
        return "\nNo tarballs are packed yet: `remuda gen` packs them where the components are.\n".to_owned();
    }
    let row = |archive: &Archive| {
        let size = format!("{:.1} MB", archive.size as f64 / 1e6);
        [format!("`{IMAGES}/{}`", archive.file), size, format!("`{}`", archive.sha256)]
    };
    let mut page = "\n".to_owned();
    table(&mut page, ["tarball", "size", "SHA-256"], cluster.images.archives.iter().map(row));
    page
}

/// From this folder to a cluster that runs.
fn steps(cluster: &Cluster) -> Vec<String> {
    let mut steps = vec![
        format!("Commit this folder. `.gitignore` keeps `{SEALED}/`, which has keys, and `{IMAGES}/` out of git."),
        format!("Where the seed is, `remuda gen PROFILE` writes `{SEALED}/`, from which machines boot."),
    ];
    let images = &cluster.images;
    match images.delivery {
        Delivery::Url => steps.push(format!(
            "Serve `{IMAGES}/` at `{}`: each node fetches the tarballs from there when it first boots.",
            images.url.as_deref().unwrap_or_default()
        )),
        Delivery::Registry => steps.push("Fill the registry before nodes boot: `remuda image push PROFILE`.".to_owned()),
        Delivery::Drive | Delivery::Preload => {}
    }
    steps.extend(boot(cluster));
    if images.delivery == Delivery::Preload && cluster.media.pxe.is_none() && !installs(cluster) {
        steps.push(format!("Copy each `{IMAGES}/ENGINE-*.tar` to `/var/lib/rancher/preload/ENGINE` on each node's state partition."));
    }
    steps.push(format!("Ask the cluster: `kubectl --kubeconfig {SEALED}/admin.kubeconfig get nodes`, and `remuda status PROFILE`."));
    steps
}

/// How the machines get their configs.
fn boot(cluster: &Cluster) -> Vec<String> {
    if let Some(network) = &cluster.media.pxe {
        return from_network(cluster, network);
    }
    if cluster.media.vagrant.is_some() {
        return vec![
            "Make a config drive for each machine, `remuda iso --all -p PROFILE`, and start them: `vagrant up` in `media/`.".to_owned(),
        ];
    }
    if installs(cluster) {
        return vec![
            "Make an ISO for each machine from the vendor's: `remuda iso --all --from ISO -p PROFILE`. A machine that boots from it \
             installs the OS on its disk, once. Everything on the disk is lost."
                .to_owned(),
        ];
    }
    let by_hand = "Install the OS on each machine's disk: `media/install.txt` has the commands. Everything on the disk is lost.";
    let drives = "Make a config drive for each machine, `remuda iso --all -p PROFILE`, and attach it.";
    vec![if cluster.node_refs().any(|of| install::command(of).is_some()) { by_hand } else { drives }.to_owned()]
}

/// Whether the machines install the OS by themselves.
fn installs(cluster: &Cluster) -> bool {
    cluster.classes.iter().any(|class| class.machine.install)
}

fn from_network(cluster: &Cluster, network: &Pxe) -> Vec<String> {
    let mut steps = Vec::new();
    if cluster.images.delivery == Delivery::Preload {
        steps.push("Put the tarballs behind the initrd: `remuda pxe wrap -p PROFILE`.".to_owned());
    }
    let files = network.kernel.values().chain(network.initrd.values()).map(|file| format!("`{file}`"));
    let files: Vec<String> = files.collect();
    steps.push(format!(
        "Serve `{SEALED}/{}` at `{}`, with the OS's {}. `media/pxe/dnsmasq.conf` brings machines there.",
        pxe::SERVED,
        network.url,
        files.join(" and ")
    ));
    steps
}
