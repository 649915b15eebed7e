//! Network boot: iPXE identifies each machine and loads the kernel, the initrd and its config.
//!
//! A server serves the whole folder `sealed/pxe.d`: the scripts, and each config at a path that
//! nobody can guess. `media/pxe` has the same scripts for git, with the paths' names instead.
//! Everything in a script is relative to the location of `boot.ipxe`.

use super::kernel;
use crate::node::{KEY, Keys, Secret};
use crate::plan::{Cluster, ClusterNode, NodeRef, Pxe};
use crate::terms::{Arch, ByArch, Delivery};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The folder below `sealed` that is served. No node can have this name.
pub const SERVED: &str = "pxe.d";
/// The folder below `sealed` with matchbox's files.
const MATCHBOX: &str = "matchbox.d";

/// A file of network boot: its path for git, its path below `sealed`, and its content.
pub struct File {
    /// Its path in the tree, for git.
    pub public: String,
    /// Its path below `sealed/`.
    pub sealed: String,
    /// Its content.
    pub content: Secret,
}

/// The archive with the tarballs that all machines preload; `None` with another delivery, or if
/// they aren't packed yet. The name depends on the content, so a machine never gets older images
/// than its script names.
pub fn images(cluster: &Cluster, arch: Arch) -> Option<String> {
    let archives = super::archives(cluster, arch);
    if cluster.media.pxe.is_none() || cluster.images.delivery != Delivery::Preload || archives.is_empty() {
        return None;
    }
    let hashes: String = archives.iter().map(|image| format!("{} {}\n", image.engine, image.sha256)).collect();
    Some(format!("images-{}.cpio.gz", &crate::terms::sha256(hashes.as_bytes())[..12]))
}

/// Whether a file has the name of such an archive.
pub fn is_images(file: &str) -> bool {
    file.strip_prefix("images-").and_then(|rest| rest.strip_suffix(".cpio.gz")).is_some_and(|hash| hash.len() == 12)
}

/// The suffix of the file at a node's unguessable path.
pub fn suffix(of: NodeRef, pxe: &Pxe) -> &'static str {
    if kernel::rides_initrd(of, pxe.config) { ".cpio.gz" } else { ".yml" }
}

/// The files of one node's machine: a script under each of its names.
pub fn node_files(of: NodeRef, pxe: &Pxe, keys: &Keys) -> Vec<File> {
    let node = of.node;
    let own = |text: &str| Secret::marked(text, &keys.boot_path());
    let script = script(of, pxe);
    let mut files: Vec<File> = names(node)
        .into_iter()
        .map(|name| File { public: format!("media/pxe/{name}.ipxe"), sealed: format!("{SERVED}/{name}.ipxe"), content: own(&script) })
        .collect();
    if pxe.matchbox {
        for (folder, value) in [("profiles", profile(of, pxe)), ("groups", group(node))] {
            let path = format!("{folder}/{}.json", node.name);
            files.push(File {
                public: format!("media/matchbox/{path}"),
                sealed: format!("{MATCHBOX}/{path}"),
                content: own(&format!("{value:#}\n")),
            });
        }
    }
    files
}

/// The names under which `boot.ipxe` looks for this node's script; the host name only if nothing else is known.
fn names(node: &ClusterNode) -> Vec<String> {
    let mac = node.mac.map(|mac| format!("mac-{}", mac.to_string().replace(':', "-")));
    let uuid = node.uuid.as_ref().map(|uuid| format!("uuid-{uuid}"));
    let serial = node.serial.as_ref().map(|serial| format!("serial-{serial}"));
    let known: Vec<String> = [mac, uuid, serial].into_iter().flatten().collect();
    if known.is_empty() { vec![format!("hostname-{}", node.name)] } else { known }
}

/// The kernel's command line.
fn words(of: NodeRef, pxe: &Pxe) -> Vec<String> {
    let mut words = vec!["initrd=initrd".to_owned()];
    if kernel::rides_initrd(of, pxe.config) {
        // UEFI's kernel stub loads the initrds named here; a BIOS loader has already loaded all of them.
        words.push("initrd=config".to_owned());
    }
    if images(of.cluster, of.class.arch).is_some() {
        words.push("initrd=images".to_owned());
    }
    if !kernel::rides_initrd(of, pxe.config) {
        words.push(format!("rancher.cloud_init.datasources=[url:{}/{KEY}.yml]", pxe.url));
        words.extend(kernel::network(of));
    }
    words.extend(kernel::parameters(of));
    words
}

fn script(of: NodeRef, pxe: &Pxe) -> String {
    let (cluster, name) = (of.cluster, &of.node.name);
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line("#!ipxe".to_owned());
    line(format!("# {name} of cluster {}. Made by remuda: change the profile, not this file.", cluster.name));
    line(format!("echo {name} of cluster {}", cluster.name));
    line(format!("kernel --name vmlinuz {} {} || goto failed", of_node(of, &pxe.kernel), words(of, pxe).join(" ")));
    line(format!("initrd --name initrd {} || goto failed", of_node(of, &pxe.initrd)));
    if kernel::rides_initrd(of, pxe.config) {
        line(format!("initrd --name config {KEY}.cpio.gz || goto failed"));
    }
    if let Some(images) = images(of.cluster, of.class.arch) {
        line(format!("initrd --name images {images} || goto failed"));
    }
    line("boot || goto failed".to_owned());
    line(":failed".to_owned());
    line(format!("echo {name}: not all that it boots from could be had; trying again in 30 s"));
    line("imgfree".to_owned());
    line("sleep 30".to_owned());
    line("chain --replace boot.ipxe".to_owned());
    text
}

/// The one for a node's processor: each among the nodes has one.
fn of_node<'p>(of: NodeRef, locations: &'p ByArch<String>) -> &'p str {
    locations.of(of.class.arch).map_or("", String::as_str)
}

/// A location as a URL: itself if it is one, otherwise below the served URL.
fn absolute(pxe: &Pxe, location: &str) -> String {
    if location.contains("://") { location.to_owned() } else { format!("{}/{location}", pxe.url) }
}

fn profile(of: NodeRef, pxe: &Pxe) -> Value {
    let (cluster, name) = (of.cluster, &of.node.name);
    let mut initrd = vec![format!("--name initrd {}", absolute(pxe, of_node(of, &pxe.initrd)))];
    if kernel::rides_initrd(of, pxe.config) {
        initrd.push(format!("--name config {}/{KEY}.cpio.gz", pxe.url));
    }
    initrd.extend(images(of.cluster, of.class.arch).map(|images| format!("--name images {}/{images}", pxe.url)));
    json!({
        "id": name,
        "name": format!("{name} of cluster {}", cluster.name),
        "boot": { "kernel": absolute(pxe, of_node(of, &pxe.kernel)), "initrd": initrd, "args": words(of, pxe) },
    })
}

/// matchbox matches selectors against what iPXE reports of a machine (matchbox/http/ipxe.go).
fn group(node: &ClusterNode) -> Value {
    let mut selector = serde_json::Map::new();
    let mac = node.mac.map(|mac| mac.to_string());
    match (&mac, &node.uuid, &node.serial) {
        (Some(mac), ..) => selector.insert("mac".to_owned(), json!(mac)),
        (_, Some(uuid), _) => selector.insert("uuid".to_owned(), json!(uuid)),
        (_, _, Some(serial)) => selector.insert("serial".to_owned(), json!(serial)),
        _ => selector.insert("hostname".to_owned(), json!(node.name)),
    };
    json!({ "id": node.name, "profile": node.name, "selector": selector })
}

/// `boot.ipxe`: identifies the machine and loads its script.
pub fn boot_script(cluster: &Cluster) -> String {
    let mut text = format!(
        "#!ipxe\n# Finds each machine's own script of cluster {}. Made by remuda: change the profile, not this file.\n:start\n",
        cluster.name
    );
    let any = |of: fn(&ClusterNode) -> bool| cluster.nodes.iter().any(of);
    if any(|node| node.mac.is_some()) {
        text.push_str("isset ${netX/mac} && chain --replace mac-${netX/mac:hexhyp}.ipxe ||\n");
        for card in 0..4 {
            let _ = writeln!(text, "isset ${{net{card}/mac}} && chain --replace mac-${{net{card}/mac:hexhyp}}.ipxe ||");
        }
    }
    if any(|node| node.uuid.is_some()) {
        text.push_str("isset ${uuid} && chain --replace uuid-${uuid}.ipxe ||\n");
    }
    if any(|node| node.serial.is_some()) {
        text.push_str("isset ${serial} && chain --replace serial-${serial:uristring}.ipxe ||\n");
    }
    if any(|node| node.mac.is_none() && node.uuid.is_none() && node.serial.is_none()) {
        text.push_str("isset ${hostname} && chain --replace hostname-${hostname:uristring}.ipxe ||\n");
    }
    let _ = writeln!(text, "echo\necho This machine is no node of cluster {}. What it says of itself:", cluster.name);
    text.push_str(UNKNOWN);
    text
}

/// The page for an unknown machine: everything by which a profile could identify it.
const UNKNOWN: &str = "\
echo   mac       ${netX/mac}  (the card that it booted from)
isset ${net0/mac} && echo   net0      ${net0/mac} ${net0/chip} ||
isset ${net1/mac} && echo   net1      ${net1/mac} ${net1/chip} ||
isset ${net2/mac} && echo   net2      ${net2/mac} ${net2/chip} ||
isset ${net3/mac} && echo   net3      ${net3/mac} ${net3/chip} ||
echo   uuid      ${uuid}
echo   serial    ${serial}
echo   asset     ${asset}
echo   hostname  ${hostname}
echo   address   ${netX/ip}
echo   machine   ${manufacturer} ${product} ${buildarch} ${platform}
echo
echo To make it a node, put one of these into the profile, as in
echo   NAME: {role: worker, address: ADDRESS, mac: \"${netX/mac}\"}
echo then run: remuda gen
echo A key opens iPXE's shell; in 60 s it looks again.
prompt --timeout 60000 && shell ||
goto start
";

/// What dnsmasq calls the firmware of an architecture, and the iPXE for it: of Debian's package `ipxe` for amd64.
fn firmware(arch: Arch) -> &'static [(&'static str, &'static str)] {
    match arch {
        Arch::Amd64 => &[("x86PC", "undionly.kpxe"), ("BC_EFI", "ipxe.efi"), ("X86-64_EFI", "ipxe.efi")],
        Arch::Arm64 => &[("ARM64_EFI", "ipxe-arm64.efi")],
    }
}

/// dnsmasq: proxy DHCP and TFTP next to a DHCP server that assigns the addresses.
pub fn dnsmasq(cluster: &Cluster, pxe: &Pxe) -> String {
    let nodes = cluster.network.nodes;
    let arches: BTreeSet<Arch> = cluster.classes.iter().map(|class| class.arch).collect();
    let (mut loaders, mut scripts) = (String::new(), String::new());
    for (firmware, ipxe) in arches.iter().flat_map(|arch| firmware(*arch)) {
        let _ = writeln!(loaders, "pxe-service=tag:!ipxe,{firmware},\"iPXE\",{ipxe}");
        let _ = writeln!(scripts, "pxe-service=tag:ipxe,{firmware},\"{}\",{}/boot.ipxe", cluster.name, pxe.url);
    }
    let built = if arches.contains(&Arch::Arm64) { "\n# Debian has no ipxe-arm64.efi: build it from iPXE's source." } else { "" };
    format!(
        "\
# Network boot of cluster {name}, beside the network's own DHCP server. Made by remuda: change the profile,
# not this file. Debian: apt-get install dnsmasq-base ipxe; copy undionly.kpxe and ipxe.efi from
# /usr/lib/ipxe to /srv/tftp; dnsmasq --no-daemon --conf-file=THIS.{built}

# No DNS.
port=0
# Answer what concerns booting, hand out no address.
dhcp-range={network},proxy,{mask}
log-dhcp

# A machine's own firmware gets iPXE by TFTP …
enable-tftp
tftp-root=/srv/tftp
dhcp-userclass=set:ipxe,iPXE
{loaders}
# … and iPXE the script that finds its node.
{scripts}",
        name = cluster.name,
        network = nodes.network(),
        mask = nodes.mask(),
    )
}
