//! Keys of the OS's cloud-config that `os` refuses: the profile has another key for them, remuda decides them, or they
//! would break a node.

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::profile::INTO_GIT;

/// Why a key is refused, and what to do instead.
enum Refusal {
    /// The profile has its own key.
    Own(&'static str),
    /// remuda decides it: why, and what to do.
    Ours(&'static str, &'static str),
    /// It breaks a node: how, and what to do.
    Breaks(&'static str, &'static str),
    /// It is a secret, or useless without one.
    Secret(&'static str),
    /// Nothing in the OS reads it from a config.
    Unread(&'static str),
}

use Refusal::{Breaks, Ours, Own, Secret, Unread};

const BOOTS: &str = "the OS boots with it: after a mistake in it, the node doesn't boot";
const PLACE: &str =
    "the OS itself and the release line's services look for system-docker where the OS puts it: the node would start nothing";
const SOCKET: &str = "system-docker's socket stays on the node: over the network it would hand out all of the node's keys";
const DOCKER_PLACE: &str = "the OS and the kubelet look for user Docker where the OS puts it: no pod would run";
const REMOVE: &str = "remove it";
const NO_KEYS: &str = "make the key on the node, `sudo ros tls gen`; `tls: true` uses what is in /etc/docker/tls";

/// Paths, each with everything below it.
const REFUSED: &[(&str, Refusal)] = &[
    ("hostname", Own("a node's name is its host name")),
    ("ssh_authorized_keys", Own("use `ssh_keys: […]`")),
    ("write_files", Own("use `files: {PATH: {content: …}}`")),
    ("rancher.autoformat", Unread("use `disk: /dev/…`")),
    ("rancher.autologin", Unread("the OS reads it from the kernel's command line: `kernel_args: [rancher.autologin=tty1]`")),
    ("rancher.bootstrap", Breaks(BOOTS, "use `services: {…}`")),
    ("rancher.bootstrap_docker", Breaks(BOOTS, "use `rancher.system_docker` or `docker: {…}`")),
    ("rancher.cloud_init", Own("use `media: {config: …}`; a config drive needs no setting")),
    ("rancher.cloud_init_services", Breaks(BOOTS, "use `services: {…}`")),
    ("rancher.defaults.docker", Own("use `docker: {…}`, or `rancher.docker` here")),
    ("rancher.defaults.hostname", Own("a node's name is its host name")),
    ("rancher.defaults.network", Own("use `network: {nameservers: […], search: […]}`, or `rancher.network` here")),
    ("rancher.docker.args", Unread("use `docker: {extra_args: […]}`")),
    (
        "rancher.docker.bip",
        Ours("it is the node's subnet of `network.pods`: with another one, pods on other nodes can't be reached", REMOVE),
    ),
    ("rancher.docker.bridge", Ours("pods are on user Docker's own bridge: on another one, they can't be reached", REMOVE)),
    ("rancher.docker.ca_cert", Secret(NO_KEYS)),
    ("rancher.docker.ca_key", Secret(NO_KEYS)),
    ("rancher.docker.config_file", Ours("dockerd exits if a file and an argument both set something", "use `docker: {…}`")),
    ("rancher.docker.data_root", Ours(DOCKER_PLACE, "remove it; `disk: /dev/…` is where all data of a node is")),
    (
        "rancher.docker.engine",
        Ours(
            "a release line runs on some versions of Docker only, and this one would come from the network, under running pods",
            "remove it; for an OS without user Docker, `images: {components: {docker-engine: {…}}}` is the engine",
        ),
    ),
    ("rancher.docker.exec", Unread(REMOVE)),
    ("rancher.docker.exec_root", Ours(DOCKER_PLACE, REMOVE)),
    ("rancher.docker.extra_args", Own("use `docker: {extra_args: […]}`")),
    ("rancher.docker.graph", Ours(DOCKER_PLACE, "remove it; `disk: /dev/…` is where all data of a node is")),
    ("rancher.docker.host", Ours(DOCKER_PLACE, "remove it; `tls: true` opens port 2376 too")),
    ("rancher.docker.insecure_registry", Own("use `images: {insecure: […]}`")),
    ("rancher.docker.live_restore", Own("use `docker: {live_restore: …}`")),
    ("rancher.docker.log_driver", Own("use `docker: {log_driver: …}`")),
    ("rancher.docker.log_opts", Own("use `docker: {log_opts: {…}}`")),
    ("rancher.docker.pid_file", Ours(DOCKER_PLACE, REMOVE)),
    ("rancher.docker.registry_mirror", Own("use `images: {mirror: URL}`")),
    ("rancher.docker.restart", Breaks("the OS passes it as `--restart`, on which dockerd exits: no pod would run", REMOVE)),
    ("rancher.docker.server_cert", Secret(NO_KEYS)),
    ("rancher.docker.server_key", Secret(NO_KEYS)),
    ("rancher.docker.storage_context", Ours("what a node needs of user Docker is in the console's container", REMOVE)),
    ("rancher.docker.storage_driver", Own("use `docker: {storage_driver: …}`")),
    ("rancher.docker.userland_proxy", Ours("the release line sets it: dockerd exits if it is set twice", REMOVE)),
    ("rancher.docker.userns_enabled", Breaks("Docker then refuses privileged pods and pods on the host's network", REMOVE)),
    ("rancher.environment", Own("use `environment: {…}`")),
    ("rancher.modules", Own("use `modules: […]`")),
    ("rancher.network.dns", Own("use `network: {nameservers: […], search: […]}`")),
    ("rancher.network.http_proxy", Own("use `network: {proxy: {http: URL}}`")),
    ("rancher.network.https_proxy", Own("use `network: {proxy: {https: URL}}`")),
    (
        "rancher.network.interfaces",
        Own("use the node's `address`, `interface`, `mac`, `dhcp` and `interfaces`, and `network: {gateway: …, mtu: …}`"),
    ),
    ("rancher.network.modem_networks", Ours("a cluster's nodes reach each other by Ethernet", REMOVE)),
    ("rancher.network.no_proxy", Own("use `network: {proxy: {no_proxy: […]}}`")),
    ("rancher.network.wifi_networks", Secret("connect the node by cable")),
    ("rancher.no_sharedroot", Breaks("volumes that the kubelet mounts are then not seen in pods", REMOVE)),
    ("rancher.password", Secret("log in with `ssh_keys`")),
    ("rancher.preload_wait", Ours("services must not start before their images are loaded", REMOVE)),
    ("rancher.recovery", Breaks("each boot stops in the recovery console", "type it at the boot loader, for one boot")),
    ("rancher.services", Own("use `services: {…}`")),
    ("rancher.ssh.keys", Own("use `pki: {ssh_host_keys: true}`")),
    ("rancher.state", Own("use `disk: /dev/…` and `install`")),
    ("rancher.sysctl", Own("use `sysctl: {…}`")),
    ("rancher.system_docker.args", Unread("use `extra_args`")),
    ("rancher.system_docker.bip", Ours("remuda keeps the cluster's networks apart from the one that the OS gives system-docker", REMOVE)),
    (
        "rancher.system_docker.bridge",
        Ours("remuda checks services against the bridge that the OS gives system-docker, or its absence", REMOVE),
    ),
    ("rancher.system_docker.ca_cert", Unread(REMOVE)),
    ("rancher.system_docker.ca_key", Secret(REMOVE)),
    ("rancher.system_docker.config_file", Ours(PLACE, REMOVE)),
    ("rancher.system_docker.containerd", Ours(PLACE, REMOVE)),
    ("rancher.system_docker.data_root", Ours(PLACE, REMOVE)),
    ("rancher.system_docker.engine", Unread("system-docker is part of the OS: `os_version` selects it")),
    ("rancher.system_docker.exec", Ours(PLACE, REMOVE)),
    ("rancher.system_docker.exec_root", Ours(PLACE, REMOVE)),
    ("rancher.system_docker.graph", Ours(PLACE, REMOVE)),
    ("rancher.system_docker.group", Ours(PLACE, REMOVE)),
    ("rancher.system_docker.host", Ours(PLACE, REMOVE)),
    ("rancher.system_docker.insecure_registry", Own("use `images: {insecure: […]}`")),
    ("rancher.system_docker.live_restore", Ours("the OS starts system-docker as the first process, and nothing restarts it", REMOVE)),
    ("rancher.system_docker.pid_file", Ours(PLACE, REMOVE)),
    ("rancher.system_docker.registry_mirror", Own("use `images: {mirror: URL}`")),
    (
        "rancher.system_docker.restart",
        Ours("the OS starts the services in their order, and system-docker must not do so by itself", REMOVE),
    ),
    ("rancher.system_docker.server_cert", Unread(REMOVE)),
    ("rancher.system_docker.server_key", Secret(REMOVE)),
    ("rancher.system_docker.storage_context", Unread(REMOVE)),
    ("rancher.system_docker.tls", Ours(SOCKET, REMOVE)),
    ("rancher.system_docker.tls_args", Ours(SOCKET, REMOVE)),
    ("rancher.system_docker.userns_enabled", Breaks("Docker then refuses the OS's own services", REMOVE)),
    ("rancher.upgrade.policy", Unread(REMOVE)),
    ("rancher.upgrade.rollback", Unread(REMOVE)),
];

/// The message for a key that `os` refuses.
pub(crate) fn refused(path: &str, span: Span) -> Option<Diagnostic> {
    let (_, refusal) = REFUSED.iter().find(|(refused, _)| *refused == path)?;
    let new = |code, message: String| Diagnostic::new(code, span, message);
    Some(match refusal {
        Own(help) => new(Code::DecidedOsKey, format!("the profile has its own key for the OS's `{path}`"))
            .why("remuda checks and merges that one; a second place could contradict it")
            .help(*help),
        Ours(why, help) => new(Code::DecidedOsKey, format!("remuda decides the OS's `{path}`")).why(*why).help(*help),
        Breaks(why, help) => new(Code::BreakingOsKey, format!("the OS's `{path}` breaks a node of a cluster")).why(*why).help(*help),
        Secret(help) => new(Code::SecretInProfile, format!("the OS's `{path}` holds secrets")).why(INTO_GIT).help(*help),
        Unread(help) => new(Code::UnreadOsKey, format!("nothing in the OS reads `{path}` from a node's config"))
            .why("the setting would be silently ignored")
            .help(*help),
    })
}

/// The names of refused keys in a section.
pub(super) fn within(section: &str) -> impl Iterator<Item = &'static str> {
    let prefix = if section.is_empty() { String::new() } else { format!("{section}.") };
    REFUSED.iter().filter_map(move |(path, _)| path.strip_prefix(&prefix)).filter(|name| !name.contains('.'))
}
