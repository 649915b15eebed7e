//! What a change of a config means where it runs, as data. A node reads its config only when it boots.

use super::compare::Change;
use super::config::Thing;
use serde::Serialize;

/// What a node does when it takes its config, from harmless to heavy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing now: it can wait for the next boot, whenever that is.
    NextBoot,
    /// It reboots; it has no pods.
    Reboot,
    /// It reboots, and its pods must go elsewhere first.
    Drain,
    /// It reboots, and the cluster's only API server with it.
    ApiAway,
}

impl Effect {
    /// In a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::NextBoot => "nothing until it boots the next time",
            Self::Reboot => "rebooted",
            Self::Drain => "drained and rebooted",
            Self::ApiAway => "rebooted; the API is away meanwhile",
        }
    }
}

/// The keys, services and files whose changes can wait for the next boot.
const CAN_WAIT: [&str; 4] = ["ssh_authorized_keys", "rancher.ssh.", "rancher.preload_wait", "rancher.registry_auths."];

/// What happens to a service while its node reboots; others start again with it.
const SERVICES: [(&str, &str); 9] = [
    ("etcd", "a member of etcd is away"),
    ("kube-apiserver", "this node's API server is away"),
    ("kube-controller-manager", "another node's takes over"),
    ("kube-scheduler", "another node's takes over"),
    ("kubelet", "pods on the node aren't looked after"),
    ("containerd", "all containers of pods start again"),
    ("docker", "user Docker and all its containers start again"),
    ("flannel", "the node's pods are cut off until it is back"),
    ("kube-proxy", "services are reached by the old rules until it is back"),
];

/// The same for the OS's keys.
const SETTINGS: [(&str, &str); 7] = [
    ("rancher.network", "the node's network is set up again"),
    ("rancher.docker", "user Docker starts with it"),
    ("rancher.sysctl", "set when the node boots"),
    ("rancher.modules", "loaded when the node boots"),
    ("rancher.system_docker", "system-docker, and so every service, starts with it"),
    ("ssh_authorized_keys", "who may log in, from the next boot on; the OS removes no key"),
    ("hostname", "the node's name in Kubernetes and etcd"),
];

/// Whether a change can wait for the next boot.
pub(super) fn can_wait(change: &Change) -> bool {
    change.thing == Thing::Setting && CAN_WAIT.iter().any(|key| change.key.starts_with(key))
}

/// What a thing's change means; nothing where that is plain.
pub(super) fn says(thing: &Thing, key: &str) -> Option<&'static str> {
    let (table, name): (&[(&str, &str)], &str) = match thing {
        Thing::Service(name) => (&SERVICES, name),
        Thing::Setting => (&SETTINGS, key),
        Thing::File(_) => return None,
    };
    let is = |entry: &str| name == entry || name.strip_prefix(entry).is_some_and(|rest| rest.starts_with('.'));
    table.iter().find(|(entry, _)| is(entry)).map(|(_, says)| *says)
}
