//! What `gen` refuses of a change under a running cluster, by the manifest of the tree that is there.

mod common;

use common::{Project, files, git, ok, run, text};
use std::fs;
use std::path::Path;

const PROFILE: &str = "\
cluster: small
target: burmillaos-2.0
line: kubernetes-1.36
network: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}
nodes:
  m-[1-3]: {role: control-plane, address: 10.0.0.2}
  w-[1-2]: {role: worker, address: 10.0.1.1}
api: {endpoint: 10.0.0.10}
";

/// A folder with the tree of [`PROFILE`], and then another profile.
fn changed(from: &str, to: &str) -> Project {
    let folder = Project::new(PROFILE);
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    write(folder.path(), &PROFILE.replace(from, to));
    folder
}

fn write(folder: &Path, profile: &str) {
    fs::write(folder.join("p.yaml"), profile).unwrap();
}

fn gen_says(folder: &Path, more: &[&str], code: i32) -> String {
    let words: Vec<&str> = ["gen", "p.yaml", "--no-images"].iter().chain(more).copied().collect();
    let output = run(folder, &words);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{more:?}: {said}");
    said
}

#[test]
fn what_ends_a_cluster_is_refused_until_it_is_accepted_and_then_done() {
    let folder = changed("gateway:", "pods: 10.32.0.0/16, gateway:");
    let before = files(folder.path());
    assert!(gen_says(folder.path(), &[], 1).contains("error[pod-network-change]"));
    assert_eq!(before, files(folder.path()));
    let said = gen_says(folder.path(), &["--accept", "pod-network-change"], 0);
    assert!(said.contains("note: accepted: `network.pods` changes from 10.244.0.0/16 to 10.32.0.0/16 [pod-network-change]"), "{said}");
    assert!(!gen_says(folder.path(), &[], 0).contains("note: accepted"));
}

#[test]
fn only_the_accepted_codes_pass() {
    let folder = changed("gateway:", "pods: 10.32.0.0/16, domain: other.example, gateway:");
    let said = gen_says(folder.path(), &["--accept", "pod-network-change"], 1);
    assert!(said.contains("error[dns-domain-change]") && !said.contains("error[pod-network-change]"), "{said}");
    gen_says(folder.path(), &["--accept", "pod-network-change", "--accept", "dns-domain-change"], 0);
}

#[test]
fn a_code_that_is_none_and_one_that_nothing_has_are_wrong_use() {
    let folder = changed("w-[1-2]", "w-[1-3]");
    let said = gen_says(folder.path(), &["--accept", "pod-network-change"], 2);
    assert!(said.contains("no such change is made"), "{said}");
    assert!(gen_says(folder.path(), &["--accept", "pod-network-chnge"], 2).contains("did you mean pod-network-change?"));
    assert!(gen_says(folder.path(), &["--accept", "unknown-key"], 2).contains("the codes are pod-network-change, "));
    gen_says(folder.path(), &[], 0);
}

#[test]
fn a_diff_and_a_check_show_what_is_refused_beside_what_changes() {
    let folder = changed("gateway:", "pods: 10.32.0.0/16, gateway:");
    let output = run(folder.path(), &["gen", "p.yaml", "--diff"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("--cluster-cidr=10.32.0.0/16") && text(&output.stderr).contains("error[pod-network-change]"));
    assert!(gen_says(folder.path(), &["--check"], 1).contains("error[pod-network-change]"));
    gen_says(folder.path(), &["--diff", "--accept", "pod-network-change"], 0);
    let output = run(folder.path(), &["gen", "p.yaml", "--diff", "--format", "json"]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said["diagnostics"].as_array().unwrap().iter().any(|one| one["code"] == "pod-network-change"), "{said:#}");
    assert_eq!(said["changed_nodes"].as_array().unwrap().len(), 5);
}

#[test]
fn what_a_running_cluster_stands_is_not_refused() {
    for (from, to) in [
        ("w-[1-2]", "w-[1-9]"),
        ("kubernetes-1.36", "kubernetes-1.37"),
        (
            "nodes:\n  m-[1-3]: {role: control-plane, address: 10.0.0.2}",
            "etcd: {founders: []}\nnodes:\n  m-[2-4]: {role: control-plane, address: 10.0.0.3}",
        ),
        ("  w-[1-2]: {role: worker, address: 10.0.1.1}\n", "  w-[1-2]: {role: worker, address: 10.0.1.9}\n"),
        ("api: {endpoint: 10.0.0.10}", "api: {endpoint: 10.0.0.10}\npki: {purposes: {kubernetes-ca: {generation: 1, trust: [2]}}}"),
        (
            "api: {endpoint: 10.0.0.10}",
            "api: {endpoint: 10.0.0.10}\npki: {purposes: {service-account: {generation: 1, trust: [2]}, kubelet: {generation: 7}}}",
        ),
    ] {
        gen_says(changed(from, to).path(), &[], 0);
    }
}

/// The steps of docs/keys.md pass, and leaving one out doesn't.
#[test]
fn what_nodes_share_changes_in_three_steps() {
    for (purpose, nodes, forgotten) in [
        ("etcd-ca", "all nodes", "write `trust: [2]` until all nodes use the new one"),
        ("encryption-at-rest", "all control-plane nodes", "write `encryption-at-rest: {generation: 3, trust: [2]}`"),
        ("service-account", "all control-plane nodes", "write `service-account: {generation: 3, trust: [2]}`"),
    ] {
        let folder = Project::new(PROFILE);
        let step = |of: &str| write(folder.path(), &format!("{PROFILE}pki: {{purposes: {{{purpose}: {of}}}}}\n"));
        gen_says(folder.path(), &[], 0);
        for of in ["{generation: 1, trust: [2]}", "{generation: 2, trust: [1]}", "{generation: 2}"] {
            step(of);
            gen_says(folder.path(), &[], 0);
        }
        step("{generation: 3, trust: [2]}");
        let said = gen_says(folder.path(), &[], 1);
        assert!(said.contains(&format!("first `{purpose}: {{generation: 2, trust: [3]}}` on {nodes}")), "{said}");
        step("{generation: 2, trust: [3]}");
        gen_says(folder.path(), &[], 0);
        step("{generation: 3}");
        let said = gen_says(folder.path(), &[], 1);
        assert!(said.contains(forgotten), "{said}");
    }
}

#[test]
fn a_single_api_server_gets_another_key_in_one_step() {
    let profile = PROFILE.replace("m-[1-3]", "m-1").replace("api: {endpoint: 10.0.0.10}\n", "");
    let folder = Project::new(&profile);
    gen_says(folder.path(), &[], 0);
    write(folder.path(), &format!("{profile}pki: {{purposes: {{encryption-at-rest: {{generation: 2, trust: [1]}}}}}}\n"));
    gen_says(folder.path(), &[], 0);
}

#[test]
fn an_address_that_another_node_has_now_is_refused() {
    let nodes = "  w-[1-2]: {role: worker, address: 10.0.1.1}\n";
    for (to, refused) in [
        // Exchanged; handed on to one that was there, and to a new one; from one that goes, to one that stays.
        ("  w-1: {role: worker, address: 10.0.1.2}\n  w-2: {role: worker, address: 10.0.1.1}\n", 2),
        ("  w-1: {role: worker, address: 10.0.1.2}\n  w-2: {role: worker, address: 10.0.1.3}\n", 1),
        (
            "  w-1: {role: worker, address: 10.0.1.1}\n  w-2: {role: worker, address: 10.0.1.3}\n  w-3: {role: worker, address: 10.0.1.2}\n",
            1,
        ),
        ("  w-1: {role: worker, address: 10.0.1.2}\n", 1),
        // On the machine of one that goes; a free one.
        ("  w-1: {role: worker, address: 10.0.1.1}\n  w-3: {role: worker, address: 10.0.1.2}\n", 0),
        ("  w-1: {role: worker, address: 10.0.1.1}\n  w-2: {role: worker, address: 10.0.1.3}\n", 0),
    ] {
        let said = gen_says(changed(nodes, to).path(), &[], i32::from(refused > 0));
        assert_eq!(said.matches("error[address-in-use]").count(), refused, "{to}: {said}");
    }
}

#[test]
fn a_member_that_changes_its_role_keeps_its_address() {
    let nodes = "  m-[1-3]: {role: control-plane, address: 10.0.0.2}\n";
    let other = "  m-[1-2]: {role: control-plane, address: 10.0.0.2}\n  m-3: {role: worker, address: 10.0.0.9}\n  m-4: {role: control-plane, address: 10.0.0.4}\netcd: {founders: []}\n";
    let folder = changed(nodes, "");
    write(folder.path(), &(PROFILE.replace(nodes, &other.replace("etcd: {founders: []}\n", "")) + "etcd: {founders: []}\n"));
    let said = gen_says(folder.path(), &[], 1);
    assert!(said.contains("error[control-plane-address]") && said.contains("m-4 gets the address 10.0.0.4, which m-3 has now"), "{said}");
}

#[test]
fn the_apis_port_stays_and_its_vip_where_nodes_use_it() {
    let port = "api: {endpoint: 10.0.0.10, port: 443}";
    assert!(gen_says(changed("api: {endpoint: 10.0.0.10}", port).path(), &[], 1).contains("the API's port changes from 6443 to 443"));
    // Each node has a balancer of its own.
    let three = PROFILE.replace("endpoint: 10.0.0.10", "vip: 10.0.0.10");
    let one = three.replace("m-[1-3]", "m-1");
    for (before, refused) in [(three, false), (one, true)] {
        let folder = Project::new(&before);
        gen_says(folder.path(), &[], 0);
        write(folder.path(), &before.replace("10.0.0.10", "10.0.0.11"));
        let said = gen_says(folder.path(), &[], i32::from(refused));
        assert_eq!(said.contains("the API's address changes from 10.0.0.10 to 10.0.0.11"), refused, "{said}");
    }
}

/// A tree that was deleted from the disk is still what nodes run.
#[test]
fn what_git_has_of_a_deleted_tree_counts() {
    let one = PROFILE.replace("m-[1-3]", "m-1").replace("api: {endpoint: 10.0.0.10}\n", "");
    let folder = Project::new(&one);
    gen_says(folder.path(), &[], 0);
    git(folder.path(), &["init", "-q"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-qm", "a tree"]);
    fs::remove_dir_all(folder.path().join("out")).unwrap();
    let says = |profile: &str, verb: &str| {
        write(folder.path(), profile);
        let output = run(folder.path(), if verb == "gen" { &["gen", "p.yaml", "--no-images"] } else { &["plan", "p.yaml"] });
        assert_eq!(output.status.code(), Some(1), "{verb}");
        text(&output.stderr).to_owned()
    };
    for verb in ["gen", "plan"] {
        assert!(says(PROFILE, verb).contains("etcd is founded by m-1, m-2, m-3, but in the out tree by m-1"));
        assert!(says(&one.replace("gateway:", "pods: 10.32.0.0/16, gateway:"), verb).contains("error[pod-network-change]"));
    }
    // The tree of the disk is another one, and what `plan` begins with counts.
    fs::remove_dir_all(folder.path().join(".git")).unwrap();
    gen_says(folder.path(), &[], 0);
    let said = run(folder.path(), &["plan", "p.yaml"]);
    assert_eq!(said.status.code(), Some(0), "{}", text(&said.stderr));
}

#[test]
fn a_tree_whose_manifest_is_gone_is_not_taken_for_none() {
    let folder = changed("w-[1-2]", "w-[1-3]");
    git(folder.path(), &["init", "-q"]);
    fs::remove_file(folder.path().join("out/small/manifest.json")).unwrap();
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-qm", "without its manifest"]);
    for words in [&["plan", "p.yaml"][..], &["gen", "p.yaml", "--no-images"]] {
        let output = run(folder.path(), words);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{words:?}: {said}");
        assert!(said.contains("out/small at HEAD has nodes, but no manifest.json"), "{words:?}: {said}");
    }
}

#[test]
fn a_cluster_that_runs_cannot_get_another_name() {
    let folder = changed("cluster: small", "cluster: other");
    assert!(
        gen_says(folder.path(), &[], 1).contains("out/small is of the cluster `small`, with the same control plane, and this is `other`")
    );
    let planned = run(folder.path(), &["plan", "p.yaml"]);
    assert_eq!(planned.status.code(), Some(1));
    assert!(text(&planned.stderr).contains("error[other-cluster]"));
    gen_says(folder.path(), &["--accept", "other-cluster"], 0);
    // Another cluster, beside it.
    write(folder.path(), &PROFILE.replace("cluster: small", "cluster: third").replace("10.0.0.2}", "10.0.0.20}"));
    gen_says(folder.path(), &[], 0);
}

#[test]
fn a_manifest_that_is_merged_or_cut_is_named_with_its_place() {
    let folder = changed("w-[1-2]", "w-[1-3]");
    let manifest = folder.path().join("out/small/manifest.json");
    let whole = fs::read_to_string(&manifest).unwrap();
    let merged = whole.replacen("  \"target\"", "<<<<<<< HEAD\n  \"target\"", 1);
    for (text, says) in [
        (merged.as_str(), "out/small/manifest.json:4:1: this isn't a manifest of remuda's"),
        (merged.as_str(), "marks of a merge"),
        (&whole[..200], "manifest.json:"),
        ("[]", "manifest.json:1:"),
        ("", "manifest.json:1:1:"),
        (&whole.replace("\"nodes\": {", "\"nodes\": 7, \"x\": {"), "invalid type"),
    ] {
        fs::write(&manifest, text).unwrap();
        let said = gen_says(folder.path(), &[], 3);
        assert!(said.contains(says), "{said}");
    }
    gen_says(folder.path(), &["--force"], 0);
}

#[test]
fn an_older_manifest_tells_versions_and_what_it_does_not_tell_is_said() {
    let folder = changed("kubernetes-1.36", "kubernetes-1.37");
    let manifest = folder.path().join("out/small/manifest.json");
    let mut old: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    old.as_object_mut().unwrap().shift_remove("facts");
    fs::write(&manifest, old.to_string()).unwrap();
    let said = gen_says(folder.path(), &["--diff"], 0);
    assert!(said.contains("note: an older remuda made out/small"), "{said}");
    write(folder.path(), &PROFILE.replace("kubernetes-1.36", "kubernetes-1.35"));
    assert!(gen_says(folder.path(), &[], 1).contains("error[version-step]"));
}
