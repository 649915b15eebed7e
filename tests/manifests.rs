//! Objects that a cluster starts with: who wants which image.

mod common;

use common::{Project, ok, text};
use serde_json::{Value, json};
use std::fs;

const PROFILE: &str = "\
cluster: c
target: burmillaos-2.0
line: kubernetes-1.37
network: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}
defaults:
  ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y a@b]
nodes:
  one: {roles: [control-plane, worker], address: 10.0.0.2}
";

/// The image of this name, as `image list` has it.
fn listed(project: &Project, name: &str) -> Value {
    let output = ok(project.path(), &["image", "list", "p.yaml", "--format", "json"]);
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = all["images"].as_array().unwrap().clone();
    all.into_iter().find(|one| one["image"].as_str().unwrap().starts_with(name)).unwrap_or_else(|| panic!("{name} isn't there"))
}

#[test]
fn each_image_is_listed_with_who_wants_it() {
    let manifests = "addons: {metrics-server: {}}\nmanifests: {files: [a.yaml]}\n";
    let project = Project::new(&format!("{PROFILE}{manifests}"));
    let pod = |name: &str, image: &str| {
        format!("---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  containers:\n    - {{name: a, image: {image}}}\n")
    };
    let coredns = listed_name(&Project::new(PROFILE), "coredns");
    let objects = [pod("one", "example.com/a:1"), pod("two", "example.com/a:1"), pod("three", &coredns)].concat();
    fs::write(project.path().join("a.yaml"), objects).unwrap();
    let wants = |name: &str| listed(&project, name)["wanted_by"].clone();
    let object = |name: &str, line: u32| json!({"object": format!("Pod {name}"), "file": "a.yaml", "line": line});
    assert_eq!(wants("example.com/a:1"), json!([object("one", 7), object("two", 14)]));
    assert_eq!(wants("remuda/coredns:"), json!([{"addon": "dns"}, object("three", 21)]));
    assert_eq!(wants("remuda/metrics-server:"), json!([{"addon": "metrics-server"}]));
    let kubelet = wants("remuda/kubelet:");
    assert!(kubelet.as_array().unwrap().contains(&json!({"service": "kubelet"})), "{kubelet}");
    let etcd = listed(&project, "remuda/etcd:");
    assert_eq!((&etcd["engine"], &etcd["arch"], &etcd["digest"]), (&json!("system-docker"), &json!("amd64"), &Value::Null));
    // containerd's configuration has it, and nothing else.
    let pause = wants("remuda/pause:");
    assert!(pause.as_array().unwrap().iter().any(|who| who["path"].as_str().is_some_and(|path| path.contains("containerd"))), "{pause}");
    let page = text(&ok(project.path(), &["image", "list", "p.yaml"]).stdout);
    assert!(
        page.contains("example.com/a:1\n  containerd, amd64, not packed\n  for Pod one, a.yaml:7\n  for Pod two, a.yaml:14\n"),
        "{page}"
    );
    assert!(page.contains("\n  not in the lock               example.com/a:1 for amd64\n"), "{page}");
    assert!(!page.contains("for nobody"), "{page}");
}

fn listed_name(project: &Project, component: &str) -> String {
    listed(project, &format!("remuda/{component}:"))["image"].as_str().unwrap().to_owned()
}
