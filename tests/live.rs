//! `remuda plan --live`: from what each node runs, by a `kubectl` that answers what a test says, in a repository with
//! several commits.

mod common;
#[path = "common/kubectl.rs"]
mod kubectl;

use common::{Project, files, git, ok, remuda, text};
use kubectl::{Kubectl, configs, node};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const PROFILE: &str = "\
cluster: small
target: burmillaos-2.0
line: kubernetes-1.35
network: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}
api: {endpoint: 10.0.0.10}
nodes:
  m-[1-3]: {role: control-plane, address: 10.0.0.11}
  w-[1-3]: {role: worker, address: 10.0.1.1}
";

type Configs = BTreeMap<String, String>;

/// A cluster in a repository.
struct Cluster {
    project: Project,
    kubectl: Kubectl,
}

impl Cluster {
    fn new() -> Self {
        let project = Project::new(PROFILE);
        git(project.path(), &["init", "-q"]);
        let kubectl = Kubectl::in_folder(project.path(), "10.0.0.11");
        fs::write(project.path().join("ops.yaml"), "a secret of the kubeconfig").unwrap();
        Self { project, kubectl }
    }

    fn folder(&self) -> &Path {
        self.project.path()
    }

    /// Writes the profile's tree; gives the fingerprints.
    fn written(&self, profile: &str, more: &[&str]) -> Configs {
        self.profile(profile);
        ok(self.folder(), &[&["gen", "p.yaml", "--no-images"], more].concat());
        configs(self.folder())
    }

    /// The same, and commits it.
    fn committed(&self, profile: &str, more: &[&str]) -> Configs {
        let configs = self.written(profile, more);
        git(self.folder(), &["add", "-A", "out", "p.yaml"]);
        git(self.folder(), &["commit", "-qm", "a tree"]);
        configs
    }

    fn profile(&self, profile: &str) {
        fs::write(self.folder().join("p.yaml"), profile).unwrap();
    }

    /// The name of a commit's tree.
    fn tree(&self, commit: &str) -> String {
        let output = Command::new("git").current_dir(self.folder()).args(["rev-parse", commit]).output().unwrap();
        format!("out/small at {}", &text(&output.stdout)[..12])
    }

    fn run(&self, more: &[&str]) -> Output {
        let words = ["plan", "p.yaml", "--live", "--kubeconfig", "ops.yaml"];
        remuda(self.folder()).env("PATH", self.kubectl.path()).args(words).args(more).output().unwrap()
    }

    fn says(&self, code: i32, more: &[&str]) -> String {
        let written = || self.folder().join("out").exists().then(|| files(&self.folder().join("out")));
        let before = written();
        let output = self.run(more);
        assert_eq!(before, written(), "a plan writes nothing");
        let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{all}");
        assert!(!all.contains("a secret of the kubeconfig"), "{all}");
        all
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.says(0, &["--format", "json"])).unwrap()
    }
}

/// The line of these minors.
fn of(minor: u32) -> String {
    PROFILE.replace("kubernetes-1.35", &format!("kubernetes-1.{minor}"))
}

/// Each node with the config of the first one that names it.
fn mixed(parts: &[(&[&str], &Configs)]) -> Configs {
    let of_part = |(names, configs): &(&[&str], &Configs)| names.iter().map(|name| ((*name).to_owned(), configs[*name].clone())).collect();
    parts.iter().flat_map(|part| -> Vec<(String, String)> { of_part(part) }).collect()
}

/// The nodes of each step, in order.
fn steps(plan: &Value) -> Vec<Vec<&str>> {
    plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect())
        .collect()
}

const ALL: [&str; 6] = ["m-1", "m-2", "m-3", "w-1", "w-2", "w-3"];

#[test]
fn nodes_that_run_what_the_profile_says_need_nothing() {
    let cluster = Cluster::new();
    cluster.kubectl.nodes(&cluster.committed(&of(36), &[]));
    let says = cluster.says(0, &[]);
    assert!(says.starts_with("small: nothing to do: what runs is what the profile says\n"), "{says}");
    assert!(says.contains("What runs\n  m-1, m-2, m-3, w-1, w-2, w-3: what the profile says\n"), "{says}");
    // Also if it isn't committed yet: only that is to do.
    let cluster = Cluster::new();
    cluster.committed(&of(35), &[]);
    cluster.kubectl.nodes(&cluster.written(&of(36), &[]));
    let plan = cluster.json();
    assert_eq!((steps(&plan), &plan["nodes"]), (vec![vec![""; 0]], &json!({})));
    assert!(plan["steps"][0]["run"].as_array().unwrap().contains(&json!("git add out/small && git commit")), "{plan:#}");
}

#[test]
fn an_upgrade_that_stopped_half_way_is_gone_on_with() {
    let cluster = Cluster::new();
    let old = cluster.committed(&of(35), &[]);
    let new = cluster.committed(&of(36), &[]);
    // The tree is committed, so a plan from there sees nothing.
    let planned = ok(cluster.folder(), &["plan", "p.yaml"]);
    assert!(text(&planned.stdout).contains("nothing to do"));
    cluster.kubectl.nodes(&mixed(&[(&["m-1", "m-2"], &new), (&["m-3", "w-1", "w-2", "w-3"], &old)]));
    let plan = cluster.json();
    assert_eq!(steps(&plan), [vec![], vec!["m-3"], vec!["w-1", "w-2", "w-3"]]);
    assert_eq!(plan["running"]["m-1"]["tree"], "what the profile says");
    assert_eq!(plan["running"]["m-3"]["tree"], cluster.tree("HEAD~1"));
    let write = plan["steps"][0]["run"].to_string();
    assert!(!write.contains("git commit") && write.contains("snapshot save"), "it is committed: {write}");
    let page = cluster.says(0, &[]);
    assert!(page.starts_with("small: 4 nodes change, 3 steps (since what runs)\n"), "{page}");
    assert!(page.contains("  kube-apiserver 1.35.4 → 1.36.3\n") && page.contains("image: remuda/kubelet:1.35"), "{page}");
    let page = cluster.says(0, &["--markdown"]);
    assert!(
        page.starts_with("## `small`: 4 nodes change") && page.contains("### What runs\n\n- `m-1`, `m-2`: what the profile says\n"),
        "{page}"
    );
    // Only workers are left: the version of what holds the data moves no more.
    cluster.kubectl.nodes(&mixed(&[(&["m-1", "m-2", "m-3", "w-1"], &new), (&["w-2", "w-3"], &old)]));
    let plan = cluster.json();
    assert_eq!(steps(&plan), [vec![], vec!["w-2", "w-3"]]);
    let versions = plan["versions"].to_string();
    assert!(versions.contains("kubelet") && !versions.contains("etcd") && !versions.contains("kube-apiserver"), "{versions}");
    assert!(!plan["steps"][0]["run"].to_string().contains("snapshot"), "{plan:#}");
}

#[test]
fn versions_are_judged_by_what_runs() {
    let cluster = Cluster::new();
    let old = cluster.committed(&of(35), &[]);
    let middle = cluster.committed(&of(36), &[]);
    let new = cluster.committed(&of(37), &[]);
    // A kubelet may be two minors behind, a member of etcd and an API server may not.
    cluster.kubectl.nodes(&mixed(&[(&["m-1"], &new), (&["m-2", "m-3", "w-1"], &middle), (&["w-2", "w-3"], &old)]));
    let plan = cluster.json();
    assert_eq!(steps(&plan), [vec![], vec!["m-2"], vec!["m-3"], vec!["w-1", "w-2", "w-3"]]);
    assert_eq!(plan["running"]["w-3"]["tree"], cluster.tree("HEAD~2"));
    cluster.kubectl.nodes(&mixed(&[(&["m-1"], &new), (&["m-2", "w-1", "w-2", "w-3"], &middle), (&["m-3"], &old)]));
    let says = cluster.says(1, &[]);
    assert!(says.contains("error[version-step]") && says.contains(&format!("; m-3 runs {}", cluster.tree("HEAD~2"))), "{says}");
    assert!(!says.contains("w-1"), "{says}");
    cluster.says(0, &["--accept", "version-step"]);
    // HEAD doesn't matter where nobody runs it: back to 1.36 is no step down if no node has gone to 1.37.
    cluster.kubectl.nodes(&middle);
    cluster.profile(&of(36));
    assert_eq!(cluster.json()["nodes"], json!({}));
}

#[test]
fn an_upgrade_is_taken_back_while_a_ready_node_runs_the_older_version() {
    let cluster = Cluster::new();
    let old = cluster.committed(&of(36), &[]);
    let new = cluster.committed(&of(37), &[]);
    git(cluster.folder(), &["revert", "--no-edit", "HEAD"]);
    cluster.kubectl.nodes(&mixed(&[(&["m-1", "m-2"], &new), (&ALL[2..], &old)]));
    let plan = cluster.json();
    assert_eq!(steps(&plan), [vec![], vec!["m-1"], vec!["m-2"]]);
    assert!(plan["versions"].as_array().unwrap().contains(&json!(["etcd", "3.7.3", "3.6.16"])), "{plan:#}");
    let refused = |wanted: &[&str]| {
        let says = cluster.says(1, &[]);
        for part in wanted {
            assert!(says.contains(part), "{part}: {says}");
        }
    };
    // All API servers and members are newer: only workers are left, which don't hold the data.
    cluster.kubectl.nodes(&mixed(&[(&ALL[..3], &new), (&ALL[3..], &old)]));
    let way = "keep 3.7.3: go on with the newer version, or restore a snapshot (docs/backup.md)";
    refused(&["`etcd` changes from 3.7.3 to 3.6.16: 1 minor down", "`kube-apiserver` changes from 1.37.2 to 1.36.3", way]);
    // The last older one isn't Ready: nobody knows what it runs by now.
    let mut nodes: Vec<Value> = mixed(&[(&["m-1", "m-2"], &new), (&ALL[2..], &old)]).iter().map(node).collect();
    nodes[2]["status"]["conditions"] = json!([{"type": "Ready", "status": "Unknown"}]);
    cluster.kubectl.list(&nodes);
    refused(&["error[version-step]", "; m-1, m-2 run out/small at"]);
    // It says nothing.
    nodes[2] = node((&"m-3".to_owned(), &old["m-3"]));
    nodes[2]["metadata"]["annotations"] = json!({});
    cluster.kubectl.list(&nodes);
    refused(&["error[version-step]"]);
    // Two minors are too far in any case.
    let older = cluster.committed(&of(35), &["--accept", "version-step"]);
    cluster.kubectl.nodes(&mixed(&[(&["m-1"], &new), (&ALL[1..], &older)]));
    refused(&["2 minors down"]);
}

#[test]
fn a_node_that_is_not_ready_gets_its_config_first_whatever_it_said_last() {
    let cluster = Cluster::new();
    let old = cluster.committed(&of(36), &[]);
    cluster.committed(&of(37), &[]);
    git(cluster.folder(), &["revert", "--no-edit", "HEAD"]);
    // The step of m-2 failed: its disk has the newer config, and it never came so far as to say so.
    let mut nodes: Vec<Value> = old.iter().map(node).collect();
    for index in [1, 4] {
        nodes[index]["status"]["conditions"] = json!([{"type": "Ready", "status": "Unknown"}]);
    }
    cluster.kubectl.list(&nodes);
    let plan = cluster.json();
    assert_eq!(steps(&plan), [vec![], vec!["m-2"], vec!["w-2"]]);
    assert_eq!(plan["nodes"]["m-2"]["state"], "away");
    let step = &plan["steps"][1];
    assert_eq!(step["title"], "Bring m-2 back");
    let run = step["run"].to_string();
    assert!(run.contains("remuda iso m-2") && run.contains("ssh rancher@10.0.0.12 sudo reboot"), "{step:#}");
    assert!(!run.contains("drain") && !run.contains("health"), "neither works while it is away: {step:#}");
    assert!(step["until"].to_string().contains("kubectl uncordon m-2"), "{step:#}");
    let page = cluster.says(0, &[]);
    assert!(
        page.contains(
            "m-2 (etcd, control-plane): isn't Ready; gets its config again, and is rebooted
"
        ),
        "{page}"
    );
    // With another change, it still comes first; one that goes is neither drained nor asked to switch itself off.
    cluster.profile(
        &of(36)
            .replace("w-[1-3]: {role: worker, address: 10.0.1.1}", "w-1: {role: worker, address: 10.0.1.1}")
            .replace("gateway:", "mtu: 1400, gateway:"),
    );
    let plan = cluster.json();
    assert_eq!(steps(&plan), [vec![], vec!["m-2"], vec!["m-1"], vec!["m-3"], vec!["w-1"], vec!["w-2"], vec!["w-3"]]);
    let run = plan["steps"][5]["run"].to_string();
    assert!(!run.contains("drain") && !run.contains("ssh") && run.contains("kubectl delete node w-2"), "{run}");
    assert!(plan["steps"][6]["run"].to_string().contains("kubectl drain w-3"), "{plan:#}");
}

#[test]
fn what_no_commit_knows_is_said_with_what_to_do() {
    let cluster = Cluster::new();
    let old = cluster.committed(&of(36), &[]);
    let new = cluster.committed(&PROFILE.replace("1.35", "1.36").replace("w-[1-3]", "w-[1-4]"), &[]);
    let mut nodes: Vec<Value> = new.iter().filter(|(name, _)| *name != "w-4").map(node).collect();
    nodes[1]["metadata"]["annotations"] = json!({});
    nodes[2]["status"]["conditions"] = json!([{"type": "Ready", "status": "False", "message": "no network"}]);
    nodes[3]["metadata"]["annotations"]["remuda/config"] = json!("0123456789abcdef");
    nodes[4]["spec"] = json!({"unschedulable": true});
    nodes.push(node((&"x-1".to_owned(), &old["w-1"])));
    cluster.kubectl.list(&nodes);
    let page = cluster.says(0, &[]);
    for part in [
        "  m-1, w-3: what the profile says\n",
        "  m-2: nothing that it says\n    it doesn't say which config it runs (kubelet 1.37.2): wait a minute",
        "  m-3: what the profile says\n    it isn't Ready (no network): look at its console",
        ". Bring m-3 back\n",
        "  w-1: the config 0123456789abcdef, which nobody knows\n    neither the profile, nor the tree on the disk, nor 2 commits of out/small made",
        "  w-2: what the profile says\n    it takes no pods: `kubectl uncordon w-2`",
        "  w-4: nothing that it says\n    it isn't in the cluster: it never started",
        "    neither the profile nor a tree has it: `kubectl delete node x-1` if",
        "  m-2 (etcd, control-plane): drained and rebooted; nobody knows what changes\n",
        "What it runs is unknown: look first, with `ssh rancher@10.0.0.12 sudo system-docker ps`",
        ". Give m-2 the new config\n",
        ". Add w-4\n",
        ". Give w-1 the new config\n",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let plan = cluster.json();
    assert_eq!(steps(&plan), [vec![], vec!["m-3"], vec!["m-2"], vec!["w-4"], vec!["w-1"]]);
    assert_eq!((&plan["nodes"]["w-1"]["state"], &plan["running"]["w-1"]["tree"]), (&json!("unclear"), &Value::Null));
    assert!(plan["nodes"].get("x-1").is_none());
}

#[test]
fn a_node_that_left_the_profile_is_taken_out_as_the_commit_knows_it() {
    let cluster = Cluster::new();
    let old = cluster.committed(&of(36), &[]);
    let fewer = of(36).replace("w-[1-3]", "w-[1-2]");
    let new = cluster.committed(&fewer, &[]);
    cluster.kubectl.nodes(&mixed(&[(&ALL[..5], &new), (&["w-3"], &old)]));
    let plan = cluster.json();
    assert_eq!(steps(&plan), [vec![], vec!["w-3"]]);
    assert_eq!(plan["steps"][1]["nodes"][0]["address"], "10.0.1.3");
    cluster.kubectl.nodes(&new);
    assert!(cluster.says(0, &[]).contains("nothing to do"));
}

#[test]
fn a_node_only_in_etcd_is_assumed_to_run_the_committed_tree() {
    let cluster = Cluster::new();
    let profile = "\
cluster: small
target: burmillaos-2.0
line: kubernetes-1.36
network: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}
nodes:
  e-1: {role: etcd, address: 10.0.0.21}
  m-1: {roles: [control-plane], address: 10.0.0.11}
  w-1: {role: worker, address: 10.0.1.1}
";
    let mut known = cluster.committed(profile, &[]);
    let config = known.remove("e-1").unwrap();
    cluster.kubectl.nodes(&known);
    let page = cluster.says(0, &[]);
    assert!(page.starts_with("small: nothing to do"), "{page}");
    let look = "this is assumed: see that `ssh rancher@10.0.0.21 sudo cat /";
    assert!(page.contains("  e-1: out/small at HEAD\n") && page.contains(look) && page.contains(&format!("` prints {config}\n")), "{page}");
    cluster.profile(&profile.replace("1.36", "1.37"));
    assert_eq!(steps(&cluster.json()), [vec![], vec!["e-1"], vec!["m-1"], vec!["w-1"]]);
}

#[test]
fn a_tree_that_was_only_written_is_known_and_a_broken_commit_is_passed_over() {
    let cluster = Cluster::new();
    let old = cluster.committed(&of(36), &[]);
    let manifest = cluster.folder().join("out/small/manifest.json");
    let whole = fs::read_to_string(&manifest).unwrap();
    for broken in [format!("<<<<<<< HEAD\n{whole}"), String::new()] {
        fs::write(&manifest, broken).unwrap();
        git(cluster.folder(), &["commit", "-qam", "broken"]);
    }
    fs::write(&manifest, &whole).unwrap();
    let with = |setting: &str| of(36).replace("role: worker,", &format!("role: worker, {setting},"));
    cluster.committed(&with("labels: {a.example/b: c}"), &[]);
    let written = cluster.written(&with("labels: {a.example/b: d}"), &[]);
    cluster.profile(&with("labels: {a.example/b: e}"));
    cluster.kubectl.nodes(&mixed(&[(&ALL[..4], &old), (&["w-2", "w-3"], &written)]));
    let plan = cluster.json();
    assert_eq!(plan["running"]["w-2"]["tree"], "out/small on disk");
    assert_eq!(plan["running"]["w-1"]["tree"], cluster.tree("HEAD~3"));
    assert_eq!(plan["running"]["m-1"]["tree"], "what the profile says");
    let labels = |name: &str| plan["nodes"][name]["changes"].to_string();
    assert!(labels("w-2").contains("a.example/b=d") && !labels("w-1").contains("a.example/b=d"), "{plan:#}");
}

#[test]
fn an_api_that_isnt_ready_is_said_before_anything() {
    let cluster = Cluster::new();
    cluster.kubectl.nodes(&cluster.committed(&of(36), &[]));
    fs::remove_file(cluster.folder().join("answers/readyz?verbose")).unwrap();
    cluster.kubectl.otherwise(r"printf '%s' 'Error: [+]ping ok\n[-]etcd failed: reason withheld' >&2; exit 1");
    assert!(cluster.says(0, &[]).contains("Before anything else: the API isn't ready: etcd. Look at"));
}

#[test]
fn what_it_needs_is_said() {
    let cluster = Cluster::new();
    cluster.profile(&of(36));
    assert!(cluster.says(3, &[]).contains("has no commit"));
    cluster.kubectl.nodes(&cluster.committed(&of(36), &[]));
    let output = remuda(cluster.folder()).args(["plan", "p.yaml", "--kubeconfig", "ops.yaml"]).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).contains("`--kubeconfig` is for `--live`")), (Some(2), true));
    assert_eq!(cluster.run(&["--from", "HEAD"]).status.code(), Some(2));
    let output = remuda(cluster.folder()).args(["plan", "p.yaml", "--live"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("out/small/sealed/admin.kubeconfig doesn't exist: give `--kubeconfig FILE`"));
    // git, and no kubectl.
    let git = Command::new("sh").args(["-c", "command -v git"]).output().unwrap();
    std::os::unix::fs::symlink(text(&git.stdout).trim(), cluster.folder().join("git")).unwrap();
    let words = ["plan", "p.yaml", "--live", "--kubeconfig", "ops.yaml"];
    let output = remuda(cluster.folder()).env("PATH", cluster.folder()).args(words).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("error: `kubectl` isn't on the PATH: install it"), "{}", text(&output.stderr));
    cluster.kubectl.always("echo 'The connection to the server 10.0.0.11:6443 was refused' >&2; exit 1");
    assert!(cluster.says(3, &[]).contains("error: the API can't be asked: kubectl says: The connection"));
    fs::remove_dir_all(cluster.folder().join(".git")).unwrap();
    assert!(cluster.says(3, &[]).contains("error: out/small isn't in a git repository, or there is no git: `--live` finds"));
    cluster.profile(&of(36).replace("kubernetes-1.36", "kubernetes-2015").replace("burmillaos-2.0", "rancheros-1.5"));
    assert!(cluster.says(2, &[]).contains("nodes of kubernetes-2015 don't say which config they run"));
}
