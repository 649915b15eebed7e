//! What Pod Security refuses of a pod, by level (k8s.io/pod-security-admission, policy/).

use super::object::CONTAINERS;
use crate::diagnostic::Span;
use crate::terms::PodLevel;
use crate::yaml::Node;

/// The label of a namespace that says its level.
pub const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// What a container may add to its capabilities at level baseline, and nothing but the last at level restricted.
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
    "NET_BIND_SERVICE",
];
/// The kernel parameters that a pod may set.
const SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];
/// Those that it may set from 1.37 on.
const SYSCTLS_37: [&str; 2] = ["net.ipv4.tcp_notsent_lowat", "net.ipv4.tcp_slow_start_after_idle"];
/// The types of SELinux.
const SELINUX: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
/// The volumes of level restricted.
const VOLUMES: [&str; 9] =
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"];
/// The profiles of AppArmor, and those of seccomp at level restricted.
const CONFINED: [&str; 2] = ["RuntimeDefault", "Localhost"];
/// The annotation that was AppArmor's before it had a field, and the values that it may have.
const APPARMOR: (&str, [&str; 2]) = ("container.apparmor.security.beta.kubernetes.io/", ["runtime/default", "localhost/"]);

/// What a level of Kubernetes 1.`minor` refuses in a pod: each place, and what is there. `template` has the pod's
/// `metadata` and `spec`.
pub fn refused(template: &Node, level: PodLevel, minor: u32) -> Vec<(Span, String)> {
    let Some(pod) = template.get("spec") else { return Vec::new() };
    let mut wrong = Vec::new();
    if level >= PodLevel::Baseline {
        baseline(template, pod, level, minor, &mut wrong);
    }
    // Its rules are about Linux.
    if level >= PodLevel::Restricted && at(pod, "os.name").and_then(Node::text) != Some("windows") {
        restricted(pod, &mut wrong);
    }
    wrong.sort();
    wrong
}

fn at<'n>(node: &'n Node, path: &str) -> Option<&'n Node> {
    path.split('.').try_fold(node, |node, key| node.get(key))
}

fn all<'n>(node: &'n Node, path: &str) -> &'n [Node] {
    at(node, path).map(Node::items).unwrap_or_default()
}

/// The value at a path, if it is there and passes.
fn value<'n>(node: &'n Node, path: &str, is: impl Fn(&str) -> bool) -> Option<(Span, &'n str)> {
    at(node, path).and_then(|value| Some((value.span, value.text()?))).filter(|(_, text)| is(text))
}

fn containers(pod: &Node) -> impl Iterator<Item = &Node> {
    CONTAINERS.iter().flat_map(|key| all(pod, key))
}

/// The pod itself and its containers: each may have a `securityContext`.
fn bearers(pod: &Node) -> impl Iterator<Item = &Node> {
    std::iter::once(pod).chain(containers(pod))
}

fn baseline(template: &Node, pod: &Node, level: PodLevel, minor: u32, wrong: &mut Vec<(Span, String)>) {
    let is_true = |text: &str| text == "true";
    for (key, what) in [("hostNetwork", "the node's network"), ("hostPID", "the node's processes"), ("hostIPC", "the node's IPC")] {
        wrong.extend(value(pod, key, is_true).map(|(span, _)| (span, what.to_owned())));
    }
    for volume in all(pod, "volumes") {
        wrong.extend(at(volume, "hostPath").map(|host| (host.get("path").unwrap_or(host).span, "a path of the node".to_owned())));
    }
    for sysctl in all(pod, "securityContext.sysctls") {
        let is_unsafe = |name: &str| !(SYSCTLS.contains(&name) || minor >= 37 && SYSCTLS_37.contains(&name));
        wrong.extend(value(sysctl, "name", is_unsafe).map(|(span, _)| (span, "this kernel parameter".to_owned())));
    }
    for entry in at(template, "metadata.annotations").map(Node::entries).unwrap_or_default() {
        let (annotation, [default, own]) = APPARMOR;
        let value = entry.value.text().unwrap_or_default();
        if entry.key.starts_with(annotation) && !value.is_empty() && value != default && !value.starts_with(own) {
            wrong.push((entry.value.span, "no AppArmor profile".to_owned()));
        }
    }
    for bearer in bearers(pod) {
        let context = |path: &str| format!("securityContext.{path}");
        let mut push = |path: &str, what: &str, is: &dyn Fn(&str) -> bool| {
            wrong.extend(value(bearer, &context(path), is).map(|(span, _)| (span, what.to_owned())));
        };
        push("appArmorProfile.type", "no AppArmor profile", &|kind| !CONFINED.contains(&kind));
        push("seccompProfile.type", "no seccomp profile", &|kind| kind == "Unconfined");
        push("seLinuxOptions.type", "this type of SELinux", &|kind| !SELINUX.contains(&kind));
        push("seLinuxOptions.user", "a user of SELinux", &|user| !user.is_empty());
        push("seLinuxOptions.role", "a role of SELinux", &|role| !role.is_empty());
        push("windowsOptions.hostProcess", "a process of the node", &is_true);
    }
    for container in containers(pod) {
        wrong.extend(value(container, "securityContext.privileged", is_true).map(|(span, _)| (span, "a privileged container".to_owned())));
        let hides = |kind: &str| kind != "Default" && (level >= PodLevel::Restricted || !has_own_users(pod));
        wrong.extend(value(container, "securityContext.procMount", hides).map(|(span, _)| (span, "all of /proc".to_owned())));
        for capability in all(container, "securityContext.capabilities.add") {
            let allowed = if level >= PodLevel::Restricted { &CAPABILITIES[CAPABILITIES.len() - 1..] } else { &CAPABILITIES };
            if capability.text().is_some_and(|name| !allowed.contains(&name)) {
                wrong.push((capability.span, "this capability".to_owned()));
            }
        }
        for port in all(container, "ports") {
            wrong.extend(value(port, "hostPort", |port| port != "0").map(|(span, _)| (span, "a port of the node".to_owned())));
        }
        for asks in ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop"] {
            for host in ["httpGet.host", "tcpSocket.host"] {
                let asked = value(container, &format!("{asks}.{host}"), |host| !host.is_empty());
                wrong.extend(asked.map(|(span, _)| (span, "another host than the pod".to_owned())));
            }
        }
    }
}

/// Whether its root isn't the node's.
fn has_own_users(pod: &Node) -> bool {
    at(pod, "hostUsers").and_then(Node::text) == Some("false")
}

fn restricted(pod: &Node, wrong: &mut Vec<(Span, String)>) {
    for volume in all(pod, "volumes") {
        let other = volume.entries().iter().find(|entry| entry.key != "name" && !VOLUMES.contains(&entry.key.as_str()));
        wrong.extend(other.filter(|entry| entry.key != "hostPath").map(|entry| (entry.key_span, "this kind of volume".to_owned())));
    }
    let says = |bearer: &Node, path: &str, is: &dyn Fn(&str) -> bool| value(bearer, path, is).is_some();
    let (is_confined, is_root) = (|kind: &str| CONFINED.contains(&kind), |user: &str| user == "0");
    let confines = |bearer: &Node| says(bearer, "securityContext.seccompProfile.type", &is_confined);
    let is_user = |bearer: &Node| says(bearer, "securityContext.runAsNonRoot", &|is| is == "true");
    let is_lax = has_own_users(pod);
    for bearer in bearers(pod).filter(|_| !is_lax) {
        wrong.extend(value(bearer, "securityContext.runAsUser", is_root).map(|(span, _)| (span, "root".to_owned())));
        wrong.extend(value(bearer, "securityContext.runAsNonRoot", |is| is == "false").map(|(span, _)| (span, "root".to_owned())));
    }
    for container in containers(pod) {
        let span = container.get("name").unwrap_or(container).span;
        let drops = all(container, "securityContext.capabilities.drop").iter().any(|one| one.text() == Some("ALL"));
        let gains = !says(container, "securityContext.allowPrivilegeEscalation", &|may| may == "false");
        let asks_user = is_lax || is_user(container) || is_user(pod) || at(container, "securityContext.runAsNonRoot").is_some();
        let lacking = [
            (gains, "`allowPrivilegeEscalation: false`"),
            (!drops, "`capabilities: {drop: [ALL]}`"),
            (!asks_user, "`runAsNonRoot: true`"),
            (!confines(container) && !confines(pod), "`seccompProfile: {type: RuntimeDefault}`"),
        ];
        let lacking: Vec<&str> = lacking.into_iter().filter(|(lacks, _)| *lacks).map(|(_, what)| what).collect();
        if !lacking.is_empty() {
            wrong.push((span, format!("no {} in `securityContext`", lacking.join(", "))));
        }
    }
}
