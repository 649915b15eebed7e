//! Installs the OS on a node's disk: the command, and the boot that does it unattended, once.

use super::{kernel, overlay};
use crate::node::NodeConfig;
use crate::plan::{Archive, Cluster, NodeRef};

/// `ros install` as a person types it on the node, next to its sealed config.
pub fn command(of: NodeRef) -> Option<String> {
    let disk = of.class.disk.as_ref()?;
    Some(format!("sudo ros install -t generic -d {disk} -c cloud-config.yml{}", append(of)))
}

/// The kernel parameters of the installed system; `ros install` writes them into its boot menu.
fn append(of: NodeRef) -> String {
    let words = kernel::boot_words(of);
    if words.is_empty() { String::new() } else { format!(" --append \"{}\"", words.join(" ")) }
}

/// The command of every node with a disk.
pub fn commands(cluster: &Cluster) -> Option<String> {
    let lines = cluster.node_refs().filter_map(|of| Some(format!("{}: {}\n", of.node.name, command(of)?)));
    let lines: String = lines.collect();
    let head = format!(
        "# Installing the nodes of cluster {} by hand: on the node, booted from the vendor's ISO, with its own\n\
         # sealed/NODE/cloud-config.yml there. All that is on the disk is lost. Made by remuda: change the profile,\n\
         # not this file.\n",
        cluster.name
    );
    (!lines.is_empty()).then_some(head + &lines)
}

/// The config of a machine during its installation: reachable as the node, without services of the cluster.
pub fn installer(node: NodeConfig) -> NodeConfig {
    NodeConfig {
        ssh_host_key: None,
        files: Vec::new(),
        services: Vec::new(),
        engine: Default::default(),
        sysctl: Vec::new(),
        modules: Vec::new(),
        environment: Vec::new(),
        preload_wait: false,
        os: Default::default(),
        commands: vec![format!("sh /{}/install.sh", overlay::OWN)],
        ..node
    }
}

/// The script that the console runs. `label` is the boot ISO's, if the tarballs are on it and not in memory.
pub fn script(of: NodeRef, images: &[&Archive], label: Option<&str>) -> String {
    let put = |image: &&Archive| format!("put {} {} {}\n", image.engine, image.file, image.sha256);
    SCRIPT
        .replace("@NODE@", &of.node.name)
        .replace("@DISK@", of.class.disk.as_deref().unwrap_or_default())
        .replace("@OWN@", overlay::OWN)
        .replace("@APPEND@", &append(of))
        .replace("@LABEL@", label.unwrap_or_default())
        .replace("@TARBALLS@\n", &images.iter().map(put).collect::<String>())
}

/// It installs only if no state partition exists: a machine that boots from the same medium again
/// stays as it is, whatever its boot order is.
const SCRIPT: &str = include_str!("files/install.sh");
