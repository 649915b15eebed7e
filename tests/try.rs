//! `remuda try`: what it refuses before it starts anything. `tests/bed/cluster` runs what it runs.

mod common;

use common::{Project, remuda, run, text};
use std::collections::BTreeSet;
use std::fs;

const PROFILE: &str = "\
cluster: small
target: burmillaos-2.0
line: kubernetes-1.37
network: {nodes: 10.0.0.0/24, gateway: 10.0.0.1}
nodes: {m: {roles: [control-plane, worker], address: 10.0.0.2}}
";

/// The folders of runs.
fn folders() -> BTreeSet<String> {
    let names = fs::read_dir("/var/tmp").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap_or_default());
    names.filter(|name| name.starts_with("remuda-try-")).collect()
}

#[test]
fn what_is_not_played_is_refused() {
    for (from, to, says) in [
        ("nodes: {m", "images: {delivery: url, url: http://10.0.0.9}\nnodes: {m", "can't be played here: with `delivery: url`"),
        ("}}", "}, w: {role: worker, address: dhcp}}", "can't be played here: nodes get their addresses by DHCP"),
    ] {
        let folder = Project::new(&PROFILE.replace(from, to));
        let refused = run(folder.path(), &["try", "p.yaml"]);
        let said = text(&refused.stderr);
        assert!(refused.status.code() == Some(2) && said.contains(says), "{says}: {said}");
    }
    let refused = run(Project::empty().path(), &["try", concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/post-2015.yaml")]);
    assert!(refused.status.code() == Some(2) && text(&refused.stderr).contains("no kubeconfig"), "{}", text(&refused.stderr));
    let folder = Project::new(PROFILE);
    let refused = run(folder.path(), &["try", "p.yaml", "--seed", "absent"]);
    assert!(refused.status.code() == Some(2) && text(&refused.stderr).contains("absent"), "{}", text(&refused.stderr));
}

#[test]
fn what_this_machine_lacks_is_told_at_once_and_nothing_stays() {
    let folder = Project::new(PROFILE);
    let before = folders();
    let output = remuda(folder.path()).args(["try", "p.yaml"]).env("PATH", folder.path()).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("this machine lacks:\n"), "{said}");
    assert!(said.contains("`apt-get install bash busybox-static dnsmasq-base docker.io iproute2 iptables jq procps"), "{said}");
    assert_eq!(folders(), before);
}
