//! `remuda status`, against a `kubectl` that answers what a test says; and the fingerprints that it compares.

mod common;
#[path = "common/kubectl.rs"]
mod kubectl;

use common::{Project, ok, remuda, text};
use kubectl::{Kubectl, configs, manifest, node};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::process::Output;
use std::time::{Duration, Instant};

const PROFILE: &str = "\
cluster: small
target: burmillaos-2.0
line: kubernetes-1.37
network: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}
nodes:
  m-1: {role: control-plane, address: 10.0.0.11}
  w-[1-2]: {role: worker, address: 10.0.1.1}
";

/// A sealed cluster, and the played `kubectl`.
struct Played(Project, Kubectl);

impl Played {
    fn new() -> Self {
        let project = Project::with_seed(PROFILE);
        ok(project.path(), &["gen", "p.yaml", "--no-images"]);
        let kubectl = Kubectl::in_folder(project.path(), "10.0.0.11");
        kubectl.nodes(&configs(project.path()));
        Self(project, kubectl)
    }

    fn run(&self, more: &[&str]) -> Output {
        remuda(self.0.path()).env("PATH", self.1.path()).args(["status", "p.yaml"]).args(more).output().unwrap()
    }

    /// What it prints, with this exit code.
    fn says(&self, code: i32, more: &[&str]) -> String {
        let output = self.run(more);
        let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{all}");
        all
    }
}

#[test]
fn a_cluster_that_is_as_the_tree_says() {
    let played = Played::new();
    let says = played.says(0, &[]);
    assert!(says.starts_with("small: 3 nodes, all as out/small says\n"), "{says}");
    assert!(
        configs(played.0.path()).iter().all(|(name, config)| says.contains(&format!("\n{name}   Ready  {config}  1.37.2\n"))),
        "{says}"
    );
    for (name, config) in configs(played.0.path()) {
        let sealed = fs::read_to_string(played.0.path().join(format!("out/small/sealed/{name}/cloud-config.yml"))).unwrap();
        assert!(sealed.contains(&config), "{name} boots with it");
    }
    let value: Value = serde_json::from_str(&played.says(0, &["--format", "json"])).unwrap();
    assert_eq!((&value["is_as_the_tree_says"], &value["nodes"][0]["state"]), (&json!(true), &json!("ready")));
    let asked = fs::read_to_string(played.0.path().join("asked")).unwrap();
    assert!(asked.lines().all(|line| line.starts_with("--kubeconfig=out/small/sealed/admin.kubeconfig --request-timeout=")), "{asked}");
    fs::write(played.0.path().join("other"), "").unwrap();
    played.says(0, &["--kubeconfig", "other"]);
    assert!(fs::read_to_string(played.0.path().join("asked")).unwrap().contains("--kubeconfig=other "));
}

#[test]
fn a_node_with_another_config_one_that_is_off_one_that_is_missing() {
    let played = Played::new();
    let mut changed = configs(played.0.path());
    changed.insert("w-1".to_owned(), "0123456789abcdef".to_owned());
    let mut nodes: Vec<Value> = changed.iter().take(2).map(node).collect();
    nodes[0]["status"]["conditions"] = json!([{"type": "Ready", "status": "Unknown", "lastHeartbeatTime": "2026-11-27T13:00:00Z"}]);
    played.1.list(&nodes);
    let leases = json!({"items": [{"metadata": {"name": "m-1"}, "spec": {"renewTime": "2026-11-27T13:04:05.678901Z"}}]});
    played.1.answer("leases", &leases.to_string());
    let says = played.says(1, &[]);
    assert!(says.starts_with("small: 3 of 3 nodes aren't as out/small says\n"), "{says}");
    for part in ["not Ready", "last heard of 2026-11-27 13:04:05 UTC", "the tree has ", "w-2   missing"] {
        assert!(says.contains(part), "{part}: {says}");
    }
    let value: Value = serde_json::from_str(&played.says(1, &["--format", "json"])).unwrap();
    assert_eq!(value["nodes"][1]["config"]["runs"], "0123456789abcdef");
}

#[test]
fn odd_answers_are_errors_and_no_panics() {
    let played = Played::new();
    for odd in
        ["", "x", "[]", "{}", "null", r#"{"items": 1}"#, r#"{"items": [{}]}"#, r#"{"items": [{"metadata": {"name": 1}}]}"#, "{\"items\": ["]
    {
        played.1.answer("nodes", odd);
        let says = played.says(3, &[]);
        assert!(says.starts_with("error: what the API answers at /api/v1/nodes can't be read: "), "{odd}: {says}");
        let value: Value = serde_json::from_str(&played.says(3, &["--format", "json"])).unwrap();
        assert!(value["error"].is_string(), "{odd}");
    }
    let bare = json!({"items": [{"metadata": {"name": "w-1\u{1b}[2J\n"}}]}).to_string();
    played.1.answer("nodes", &bare);
    let says = played.says(1, &[]);
    assert!(says.contains("never heard of") && !says.contains('\u{1b}'), "{says}");
    played.1.answer("nodes", r#"{"items": []}"#);
    assert_eq!(played.says(1, &[]).matches("the API doesn't know it").count(), 3);
    played.1.nodes(&configs(played.0.path()));
    played.1.answer("kubernetes", "{}");
    assert!(played.says(1, &[]).contains("away on m-1"));
}

#[test]
fn a_readiness_that_fails() {
    let played = Played::new();
    fs::remove_file(played.0.path().join("answers/readyz?verbose")).unwrap();
    let refusal = r#"printf '%s' 'Error from server (InternalError): an error on the server ("[+]ping ok\n[-]etcd failed: reason withheld\n[-]etcd-readiness failed: reason withheld\nreadyz check failed") has prevented the request from succeeding' >&2; exit 1"#;
    played.1.otherwise(refusal);
    let says = played.says(1, &[]);
    assert!(says.contains("API and etcd  not ready: etcd, etcd-readiness; members m-1"), "{says}");
    played.1.always(refusal);
    let says = played.says(3, &[]);
    assert!(says.starts_with("error: the API server isn't ready, and gives no answer: etcd, etcd-readiness"), "{says}");
}

#[test]
fn an_api_that_is_away_or_silent_takes_a_bounded_time() {
    let played = Played::new();
    played.1.always("echo tried >&2; echo 'The connection to the server 10.0.0.11:6443 was refused' >&2; exit 1");
    let says = played.says(3, &[]);
    assert_eq!(says, "error: the API can't be asked: kubectl says: The connection to the server 10.0.0.11:6443 was refused\n");
    // Also if a program that it started holds its output, or it closes that and stays.
    for silent in ["exec sleep 60", "sleep 60 & exit 0", "exec >&- 2>&-; exec sleep 60"] {
        played.1.otherwise(silent);
        let began = Instant::now();
        let says = played.says(3, &["--timeout", "1"]);
        assert!(says.starts_with("error: the API gives no answer in time"), "{says}");
        assert!(began.elapsed() < Duration::from_secs(10), "{silent}");
    }
}

#[test]
fn what_it_needs_is_said() {
    let played = Played::new();
    let output = remuda(played.0.path()).env("PATH", "/nowhere").args(["status", "p.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).starts_with("error: `kubectl` isn't on the PATH: install it"));
    assert!(played.says(2, &["--kubeconfig", "nowhere"]).contains("nowhere doesn't exist"));
    played.says(2, &["--timeout", "0"]);
    fs::remove_dir_all(played.0.path().join("out/small/sealed")).unwrap();
    let says = played.says(2, &[]);
    assert!(
        says.contains("out/small/sealed/admin.kubeconfig doesn't exist: give `--kubeconfig FILE`, or run `remuda seal p.yaml`"),
        "{says}"
    );
    let mut older = manifest(played.0.path());
    older.as_object_mut().unwrap().remove("configs");
    fs::write(played.0.path().join("out/small/manifest.json"), older.to_string()).unwrap();
    assert!(played.says(3, &[]).contains("an older remuda made out/small: run `remuda gen p.yaml`"));
    fs::remove_dir_all(played.0.path().join("out")).unwrap();
    assert!(played.says(3, &[]).contains("out/small has no manifest"));
    let of_2015 = Project::new(&PROFILE.replace("kubernetes-1.37", "kubernetes-2015").replace("burmillaos-2.0", "rancheros-1.5"));
    ok(of_2015.path(), &["gen", "p.yaml", "--no-images"]);
    let output = common::run(of_2015.path(), &["status", "p.yaml"]);
    assert_eq!(text(&output.stderr), "error: nodes of kubernetes-2015 don't say which config they run\n");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_profile_with_a_mistake_still_has_a_cluster_that_runs() {
    let played = Played::new();
    fs::write(played.0.path().join("p.yaml"), format!("{PROFILE}  w-9: {{role: wroker, address: 10.0.9.9}}\n")).unwrap();
    played.says(0, &[]);
}

/// The fingerprints of a profile's nodes.
fn fingerprints(profile: &str) -> BTreeMap<String, String> {
    let project = Project::new(profile);
    ok(project.path(), &["gen", "p.yaml", "--no-images"]);
    for (name, config) in configs(project.path()) {
        let text = fs::read_to_string(project.path().join(format!("out/small/nodes/{name}/cloud-config.yml"))).unwrap();
        assert!(config.len() == 16 && text.contains(&config), "the config has its own: {name} {config}");
    }
    configs(project.path())
}

#[test]
fn a_fingerprint_changes_with_its_nodes_config_and_only_then() {
    let before = fingerprints(PROFILE);
    assert_eq!(before.len(), 3);
    assert_eq!(before.values().collect::<std::collections::BTreeSet<_>>().len(), 3);
    assert_eq!(fingerprints(PROFILE), before);
    let changed = |profile: &str| -> Vec<String> {
        let after = fingerprints(profile);
        after.into_iter().filter(|(name, config)| before.get(name) != Some(config)).map(|(name, _)| name).collect()
    };
    let with = |settings: &str| PROFILE.replace("  w-[1-2]: {role: worker,", &format!("  w-[1-2]: {{role: worker, {settings},"));
    assert_eq!(changed(&with("labels: {a.example/b: c}")), ["w-1", "w-2"]);
    assert_eq!(changed(&with("sysctl: {vm.swappiness: '1'}")), ["w-1", "w-2"]);
    assert_eq!(changed(&with("files: {/opt/a: {content: a}}")), ["w-1", "w-2"]);
    assert_eq!(changed(&format!("{PROFILE}pki: {{purposes: {{kube-scheduler: {{generation: 2}}}}}}\n")), ["m-1"]);
    assert_eq!(changed(&format!("{PROFILE}pki: {{lifetime: 10y}}\n")), ["m-1", "w-1", "w-2"], "the ends of certificates");
    assert_eq!(changed(&PROFILE.replace("w-[1-2]", "w-[1-3]")), ["w-3"]);
    assert_eq!(changed(&format!("# a comment\n{PROFILE}")), [""; 0]);
}

#[test]
fn a_plan_doesnt_show_the_fingerprint() {
    let project = Project::new(PROFILE);
    ok(project.path(), &["gen", "p.yaml", "--no-images"]);
    let keys = "defaults: {ssh_keys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y a@b']}\n";
    fs::write(project.path().join("p.yaml"), format!("{PROFILE}{keys}")).unwrap();
    let plan = text(&ok(project.path(), &["plan", "p.yaml"]).stdout);
    assert!(!plan.contains("config-fingerprint") && plan.contains("nothing until it boots the next time"), "{plan}");
}
