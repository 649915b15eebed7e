//! `remuda plan`: the cases in `plan/CASE/`, each with the profile before (`from.yaml`) and now (`to.yaml`), further
//! arguments (`args.txt`, if there is one) and what remuda prints (`expected.txt`).
//! `INSTA_UPDATE=always cargo test --test plan` rewrites the last.

mod common;

use common::{Project, files, git, ok, run, text};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan");
    let mut cases: Vec<PathBuf> = folder.read_dir().unwrap().map(|case| case.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() > 20);
    cases
}

/// A folder with the tree of one profile, and another profile.
fn between(from: &str, to: &str) -> Project {
    let folder = Project::new(from);
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    fs::write(folder.path().join("p.yaml"), to).unwrap();
    folder
}

fn plan(folder: &Path, more: &[&str]) -> Output {
    run(folder, &[&["plan", "p.yaml"], more].concat())
}

/// What it prints, which must be a plan.
fn planned(folder: &Path, more: &[&str]) -> String {
    let output = plan(folder, more);
    assert_eq!(output.status.code(), Some(0), "{more:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn as_json(folder: &Path) -> serde_json::Value {
    serde_json::from_str(&planned(folder, &["--format", "json"])).unwrap()
}

fn read(case: &Path, file: &str) -> String {
    fs::read_to_string(case.join(file)).unwrap_or_default()
}

#[test]
fn each_case_gives_the_plan_beside_it() {
    for case in cases() {
        let folder = between(&read(&case, "from.yaml"), &read(&case, "to.yaml"));
        let before = files(folder.path());
        let args = read(&case, "args.txt");
        let output = plan(folder.path(), &args.split_whitespace().collect::<Vec<_>>());
        assert_eq!(before, files(folder.path()), "a plan writes nothing");
        let is = format!("exit code {}\n{}{}", output.status.code().unwrap(), text(&output.stdout), text(&output.stderr));
        let file = case.join("expected.txt");
        if std::env::var_os("INSTA_UPDATE").is_some_and(|value| value == "always") {
            fs::write(&file, &is).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        let difference = similar::TextDiff::from_lines(expected.as_str(), is.as_str());
        assert!(expected == is, "{}: INSTA_UPDATE=always rewrites it\n{}", file.display(), difference.unified_diff());
    }
}

/// Every command of every case is one that a shell reads.
#[test]
fn a_shell_reads_every_command() {
    for case in cases() {
        let folder = between(&read(&case, "from.yaml"), &read(&case, "to.yaml"));
        let args = read(&case, "args.txt");
        let mut words: Vec<&str> = args.split_whitespace().filter(|word| !["--markdown", "--format", "json"].contains(word)).collect();
        words.extend(["--format", "json"]);
        let output = plan(folder.path(), &words);
        if output.status.code() != Some(0) {
            continue;
        }
        let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let lists = plan["steps"].as_array().unwrap().iter().flat_map(|step| [&step["run"], &step["until"]]);
        for command in lists.chain([&plan["setup"]]).flat_map(|list| list.as_array().unwrap()) {
            let command = command.as_str().unwrap();
            let read = Command::new("bash").args(["-n", "-c", command]).output().unwrap();
            assert!(read.status.success() && read.stderr.is_empty(), "{command}: {}", text(&read.stderr));
        }
    }
}

const PROFILE: &str = "\
cluster: small
target: burmillaos-2.0
line: kubernetes-1.36
network: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}
api: {endpoint: 10.0.0.10}
nodes:
  m-[1-3]: {role: control-plane, address: 10.0.0.11}
  w-[1-3]: {role: worker, address: 10.0.1.1}
";

/// A repository with the tree of [`PROFILE`] in its only commit, also tagged `v1`.
fn committed() -> Project {
    let folder = Project::new(PROFILE);
    git(folder.path(), &["init", "-q"]);
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-qm", "a tree"]);
    git(folder.path(), &["tag", "v1"]);
    folder
}

#[test]
fn it_begins_with_the_last_commit_also_if_the_tree_is_written_already() {
    let folder = committed();
    assert!(planned(folder.path(), &[]).starts_with("small: nothing to do: out/small at HEAD is what the profile says"));
    fs::write(folder.path().join("p.yaml"), PROFILE.replace("w-[1-3]", "w-[1-4]")).unwrap();
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    assert!(planned(folder.path(), &[]).starts_with("small: 1 node comes, 2 steps (since out/small at HEAD)\n"));
    assert!(planned(folder.path(), &["--from", "out"]).starts_with("small: nothing to do: out/small is"));
    git(folder.path(), &["commit", "-qam", "another"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-qm", "all of it"]);
    assert!(planned(folder.path(), &[]).contains("nothing to do"));
    assert!(planned(folder.path(), &["--from", "v1"]).contains("1 node comes, 2 steps (since out/small at v1)"));
    fs::remove_dir_all(folder.path().join("out")).unwrap();
    assert!(planned(folder.path(), &[]).contains("nothing to do: out/small at HEAD"), "the tree needn't be checked out");
}

#[test]
fn a_repository_below_whose_root_the_project_is_and_one_without_the_tree() {
    let folder = Project::empty();
    let inner = folder.path().join("clusters/a");
    fs::create_dir_all(&inner).unwrap();
    fs::write(inner.join("p.yaml"), PROFILE).unwrap();
    git(folder.path(), &["init", "-q"]);
    assert!(planned(&inner, &[]).contains("nothing runs yet"), "no commit");
    ok(&inner, &["gen", "p.yaml", "--no-images"]);
    assert!(planned(&inner, &[]).contains("out/small on disk is what the profile says"), "nothing is committed");
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-qm", "a tree"]);
    assert!(planned(&inner, &[]).contains("out/small at HEAD is what the profile says"));
}

#[test]
fn what_from_names_must_be_there() {
    let folder = committed();
    for (from, says) in [
        ("v2", "neither a folder nor a commit that git knows"),
        ("--help-me", "neither a folder nor a commit"),
        (".git", "isn't an out tree"),
        ("v1:out", "neither a folder nor a commit"),
    ] {
        let output = plan(folder.path(), &[&format!("--from={from}")]);
        assert_eq!(output.status.code(), Some(3));
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
    fs::write(folder.path().join("p.yaml"), PROFILE.replace("cluster: small", "cluster: other")).unwrap();
    let output = plan(folder.path(), &["--from", "v1"]);
    assert!(text(&output.stderr).contains("out/other isn't in git at v1"));
    assert!(text(&plan(folder.path(), &["--from", "out/small"]).stderr).contains("error[other-cluster]"));
}

#[test]
fn garbage_of_a_merge_or_of_an_editor_is_named_with_its_place() {
    let folder = committed();
    fs::write(folder.path().join("p.yaml"), PROFILE.replace("1.36", "1.37")).unwrap();
    let root = folder.path().join("out/small");
    let breaks = |file: &str, change: &dyn Fn(&str) -> String, says: &str| {
        let path = root.join(file);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, change(&whole)).unwrap();
        git(folder.path(), &["commit", "-qam", "broken"]);
        for more in [&[][..], &["--from", "out"]] {
            let output = plan(folder.path(), more);
            assert_eq!(output.status.code(), Some(3), "{}", text(&output.stdout));
            assert!(text(&output.stderr).contains(says), "{says}: {}", text(&output.stderr));
        }
        fs::write(&path, whole).unwrap();
    };
    let marked = |text: &str| text.replacen("  \"line\"", "<<<<<<< HEAD\n  \"line\"", 1);
    breaks("manifest.json", &marked, "/manifest.json:6:1: this isn't a manifest of remuda's");
    breaks("manifest.json", &|text| text.replace("\"w-3\"", "\"w-3; reboot\""), "`w-3; reboot` can't be a node's name");
    breaks("manifest.json", &|text| text.replace("v2.0.5", "\\u001b[2J"), "a control character");
    breaks(
        "manifest.json",
        &|text| text.replace("\"nodes/w-3/cloud-config.yml\"", "\"nodes/a b/cloud-config.yml\""),
        "`a b` can't be a node's name",
    );
    breaks("nodes/w-2/cloud-config.yml", &|text| text.replacen("hostname:", "<<<<<<< HEAD\nhostname:", 1), "nodes/w-2/cloud-config.yml:");
    breaks("nodes/w-2/cloud-config.yml", &|_| String::new(), "the source is empty");
    breaks("nodes/w-2/cloud-config.yml", &|_| "\u{0}\u{1}".repeat(100), "nodes/w-2/cloud-config.yml");
    breaks("nodes/w-2/cloud-config.yml", &|_| "a".repeat(65 << 20), "remuda reads up to 67108864");
}

#[test]
fn a_config_that_the_manifest_names_must_be_there() {
    let folder = committed();
    git(folder.path(), &["rm", "-q", "out/small/nodes/w-3/cloud-config.yml"]);
    git(folder.path(), &["commit", "-qm", "lost"]);
    for more in [&[][..], &["--from", "out"]] {
        let output = plan(folder.path(), more);
        assert_eq!(output.status.code(), Some(3));
        assert!(text(&output.stderr).contains("has no nodes/w-3/cloud-config.yml, but its manifest names it"));
    }
}

/// A config of another shape than remuda writes is compared all the same, and nothing of it reaches the terminal raw.
#[test]
fn a_config_of_another_shape_is_compared() {
    let folder = committed();
    let path = folder.path().join("out/small/nodes/w-2/cloud-config.yml");
    let config = "#cloud-config\nhostname: w-2\nrancher: {services: [1], network: 7, \"e\\e[2J\": \"x\\e[2J\"}\nwrite_files: {a: b}\n";
    fs::write(&path, config).unwrap();
    git(folder.path(), &["commit", "-qam", "edited"]);
    let page = planned(folder.path(), &[]);
    assert!(page.starts_with("small: 1 node changes") && page.contains("\\u{1b}[2J") && !page.contains('\u{1b}'), "{page}");
}

#[test]
fn a_secret_that_somebody_committed_is_not_shown() {
    let folder = committed();
    let path = folder.path().join("out/small/nodes/w-2/cloud-config.yml");
    let config = fs::read_to_string(&path).unwrap();
    let config = config.replacen("rancher:\n", "rancher:\n  password: hunter2hunter2\n  environment: {API_TOKEN: hunter3hunter3}\n", 1);
    let key = "write_files:\n  - path: /k\n    content: \"-----BEGIN PRIVATE KEY-----hunter4-----END PRIVATE KEY-----\"\n";
    fs::write(&path, config.replacen("write_files:\n", key, 1)).unwrap();
    git(folder.path(), &["commit", "-qam", "oh"]);
    for more in [&[][..], &["--markdown"], &["--format", "json"]] {
        let page = planned(folder.path(), more);
        assert!(page.contains("rancher.password") && !page.contains("hunter"), "{page}");
    }
}

#[test]
fn another_seed_than_the_committed_tree_has_is_refused() {
    let folder = Project::with_seed(PROFILE);
    git(folder.path(), &["init", "-q"]);
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    git(folder.path(), &["add", "out", "p.yaml"]);
    git(folder.path(), &["commit", "-qm", "a tree"]);
    assert!(planned(folder.path(), &[]).contains("nothing to do"));
    let manifest = folder.path().join("out/small/manifest.json");
    let whole = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, whole.replacen("\"seed\": \"", "\"seed\": \"00", 1)).unwrap();
    let output = plan(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("error[seed-change]"));
    let page = planned(folder.path(), &["--accept", "seed-change"]);
    assert!(page.contains("  2. Switch all machines off, and on again with the new configs\n"), "{page}");
}

/// The tree of a remuda whose admin was in `system:masters`: the new kubeconfig may do nothing at first, and no binding is
/// left of the old one.
#[test]
fn an_admin_that_gets_a_group_keeps_the_old_kubeconfig_for_the_steps() {
    let folder = between(PROFILE, PROFILE);
    let manifest = folder.path().join("out/small/manifest.json");
    let mut old: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    assert_eq!(old["facts"].as_object_mut().unwrap().shift_remove("admins"), Some("remuda:admins:1".into()));
    fs::write(&manifest, old.to_string()).unwrap();
    for name in ["m-1", "m-2", "m-3"] {
        let config = folder.path().join(format!("out/small/nodes/{name}/cloud-config.yml"));
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, text.replace("remuda:admins:1", "remuda:nobody")).unwrap();
    }
    let plan = as_json(folder.path());
    let setup = plan["setup"].as_array().unwrap();
    assert_eq!(setup[0], "export KUBECONFIG=$(mktemp) && cp out/small/sealed/admin.kubeconfig \"$KUBECONFIG\"");
    assert!(plan["steps"][0]["notes"].to_string().contains("may do nothing until a control-plane node has booted"), "{plan:#}");
    assert_eq!(plan["steps"].as_array().unwrap().len(), 4, "{plan:#}");
}

/// By the steps of a plan: control-plane nodes one by one, before any worker.
#[test]
fn members_go_one_by_one_and_before_the_workers() {
    let folder = between(PROFILE, &PROFILE.replace("1.36", "1.37"));
    let plan = as_json(folder.path());
    let steps = plan["steps"].as_array().unwrap();
    let nodes = |step: &serde_json::Value| {
        step["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let order: Vec<Vec<String>> = steps.iter().map(nodes).collect();
    assert_eq!(
        order,
        [vec![], vec!["m-1".to_owned()], vec!["m-2".to_owned()], vec!["m-3".to_owned()], ["w-1", "w-2", "w-3"].map(str::to_owned).to_vec()]
    );
    assert!(steps.iter().all(|step| step["at_once"] == 1));
}

/// An edit of the profile: what is replaced, by what.
fn edits() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let edit = prop::sample::select(vec![
        ("kubernetes-1.36", "kubernetes-1.37"),
        ("m-[1-3]: {role: control-plane, address: 10.0.0.11}", "m-[2-4]: {role: control-plane, address: 10.0.0.12}"),
        ("m-[1-3]", "m-[1-5]"),
        ("w-[1-3]: {role: worker, address: 10.0.1.1}", "x-[1-3]: {role: worker, address: 10.0.1.1}"),
        ("w-[1-3]: {role: worker,", "w-[1-3]: {roles: [control-plane, worker],"),
        ("w-[1-3]", "w-[1-40]"),
        ("  w-[1-3]: {role: worker, address: 10.0.1.1}\n", ""),
        ("api: {endpoint: 10.0.0.10}", "api: {vip: 10.0.0.10}"),
        ("gateway:", "mtu: 1400, gateway:"),
        ("nodes:\n", "defaults: {sysctl: {vm.swappiness: \"1\"}, disk: /dev/vda}\nnodes:\n"),
        ("nodes:\n", "media: {url: \"http://10.0.0.9\"}\nnodes:\n"),
        ("nodes:\n", "pki: {ssh_host_keys: true, purposes: {kubelet: {generation: 3}}}\nnodes:\n"),
    ]);
    prop::collection::vec(edit, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is edited, the plan names every node whose config differs, and no other.
    #[test]
    fn a_plan_names_every_node_that_changes(edits in edits()) {
        let to = edits.iter().fold(PROFILE.to_owned(), |text, (from, to)| text.replacen(from, to, 1));
        let folder = between(PROFILE, &to);
        let output = plan(folder.path(), &["--format", "json"]);
        let said = text(&output.stderr);
        prop_assert!(!said.contains("panicked"), "{said}");
        let diff = run(folder.path(), &["gen", "p.yaml", "--diff", "--format", "json"]);
        let diff: serde_json::Value = serde_json::from_slice(&diff.stdout).unwrap();
        if output.status.code() == Some(1) {
            prop_assert!(diff["diagnostics"].as_array().is_some_and(|all| all.iter().any(|one| one["severity"] == "error")), "{diff:#}");
            return Ok(());
        }
        prop_assert_eq!(output.status.code(), Some(0), "{}", said);
        let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let planned: Vec<String> = plan["nodes"].as_object().unwrap().keys().cloned().collect();
        let mut changed: Vec<String> = diff["changed_nodes"].as_array().unwrap().iter().map(|node| node.as_str().unwrap().to_owned()).collect();
        changed.sort();
        prop_assert_eq!(planned, changed);
        for (name, node) in plan["nodes"].as_object().unwrap() {
            let in_steps = plan["steps"].as_array().unwrap().iter().filter(|step| step["nodes"].as_array().unwrap().iter().any(|one| one["name"] == name.as_str())).count();
            prop_assert_eq!(in_steps, usize::from(node["state"] != "changed" || node["effect"] != "next-boot"), "{}", name);
        }
    }
}
