//! `remuda try`

use super::project::{ImageArgs, ProfileArgs};
use super::seed::{DEFAULT, SeedArgs};
use super::{Failure, Outcome};
use crate::plan::Cluster;
use crate::terms::Delivery;
use anyhow::anyhow;
use clap::Args;
use serde_json::json;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What plays a node's operating system. The test beds use the same.
const PLAY: [(&str, &str); 8] = [
    ("cgroups.py", include_str!("../../play/cgroups.py")),
    ("forward.py", include_str!("../../play/forward.py")),
    ("machine.py", include_str!("../../play/machine.py")),
    ("played.py", include_str!("../../play/played.py")),
    ("programs.py", include_str!("../../play/programs.py")),
    ("ros.py", include_str!("../../play/ros.py")),
    ("runtime", include_str!("../../play/runtime")),
    ("up.py", include_str!("../../play/up.py")),
];
/// Debian's own, which has its PyYAML.
const PYTHON: &str = "/usr/bin/python3";
/// On a disk, also where /tmp is in memory: the tarballs, and what each node's engines unpack, are gigabytes.
const PLACE: &str = "/var/tmp";

const EXAMPLES: &str = "\
Examples:
  sudo remuda try                  the built-in three-node cluster
  sudo remuda try cluster.yaml     yours, until Enter or Ctrl-C
  remuda try cluster.yaml </dev/null   in CI: until all nodes are Ready

Exit codes: 0 all nodes were Ready; 1 the source is wrong; 2 wrong usage, or what can't be played; 3 this machine lacks
something, or the nodes weren't Ready in time; 130 interrupted.";

/// Bring the cluster up on this machine, and take it down at Enter or Ctrl-C
///
/// Each node is a set of namespaces that boots from its sealed config and its tarballs, as a machine does. The nodes'
/// operating system is played; its engines, etcd, flannel and Kubernetes are real. The nodes' network exists only among
/// them: nothing else on this machine reaches it, and it takes no address from anybody. Without a seed it makes one for
/// this run. Needs root, an x86-64 machine with Docker and some of Debian's packages; it lists what is missing.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Try {
    #[command(flatten)]
    pub source: ProfileArgs,
    #[command(flatten)]
    seed: SeedArgs,
    #[command(flatten)]
    images: ImageArgs,

    /// How long the nodes may take until all are Ready
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait: u32,
}

impl Try {
    pub(super) fn run(self) -> Outcome {
        let mut project = self.source.open(None)?;
        let draft = project.draft()?;
        let cluster = draft.unpacked();
        refuse(cluster)?;
        let has_seed = self.seed.path().exists();
        if !has_seed && self.seed.path() != DEFAULT {
            return Err(Failure::Usage(format!("{}: there is no such seed", self.seed.path())));
        }
        let folder = tempfile::Builder::new().prefix("remuda-try-").tempdir_in(PLACE)?;
        for (name, text) in PLAY {
            fs_err::write(folder.path().join(name), text)?;
        }
        fs_err::set_permissions(folder.path().join("runtime"), std::fs::Permissions::from_mode(0o755))?;
        let endpoint = cluster.api.host.as_deref().filter(|host| cluster.api.vip.is_none() && !is_node(cluster, host));
        let order = json!({
            "remuda": std::env::current_exe()?,
            "gen": for_gen(std::env::args().skip(2)),
            "wait": self.wait,
            "has_seed": has_seed,
            "components": self.images.roots(&project.paths).components.as_str(),
            "kubernetes": cluster.images.versions.get("kube-apiserver"),
            "cgroups": cluster.line.needs.cgroups.as_ref().map(|needs| needs.version),
            "address": address_here(cluster)?,
            "endpoint": endpoint.map(|host| (host, cluster.api.port)),
        });
        // From here on the folder is the other program's, which removes it also when it is interrupted.
        let folder = folder.keep();
        let error = Command::new(PYTHON).arg(folder.join("up.py")).arg(&folder).arg(order.to_string()).exec();
        fs_err::remove_dir_all(&folder)?;
        Err(Failure::World(anyhow!(error).context(format!("running {PYTHON}"))))
    }
}

/// What `gen` is called with: it takes everything that this verb takes, but not how long to wait.
fn for_gen(mut words: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if word == "--wait" {
            words.next();
        } else if !word.starts_with("--wait=") {
            kept.push(word);
        }
    }
    kept
}

/// Refuses what isn't played.
fn refuse(cluster: &Cluster) -> Outcome {
    let delivery = cluster.images.delivery;
    let problem = if cluster.line.pki.certificates.is_empty() {
        format!("{} has no certificates, and so no kubeconfig by which to see whether it runs", cluster.line.name)
    } else if delivery != Delivery::Preload {
        format!("with `delivery: {delivery}` nodes get their images from elsewhere: use a copy of the profile with `preload`")
    } else if cluster.classes.iter().any(|class| class.is_dynamic) {
        "nodes get their addresses by DHCP: use a copy of the profile with addresses".to_owned()
    } else {
        return Ok(());
    };
    Err(Failure::Usage(format!("{} can't be played here: {problem}", cluster.name)))
}

fn is_node(cluster: &Cluster, host: &str) -> bool {
    cluster.nodes.iter().any(|node| node.name == host || node.host(&cluster.network) == host)
}

/// This machine's address on the nodes' network: the gateway's, or the last one that no node has.
fn address_here(cluster: &Cluster) -> Result<String, Failure> {
    let network = &cluster.network;
    let is_free = |address: &Ipv4Addr| cluster.api.vip != Some(*address) && cluster.nodes.iter().all(|node| node.address != Some(*address));
    let (first, last) = (u32::from(network.nodes.network()), u32::from(network.nodes.broadcast()));
    let free = (first + 1..last).rev().map(Ipv4Addr::from).find(is_free);
    let address =
        network.gateway.or(free).ok_or_else(|| Failure::Usage(format!("{} has no free address for this machine", network.nodes)))?;
    Ok(format!("{address}/{}", network.nodes.prefix()))
}
