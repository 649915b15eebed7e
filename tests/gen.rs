//! `remuda gen` as a process: the out tree, its checks, its exit codes, and what a kill leaves.

mod common;

use common::{Project, files, ok, python, remuda, run, text};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn modified(folder: &Path) -> BTreeMap<PathBuf, (i64, i64, u64)> {
    files(folder)
        .into_keys()
        .map(|path| {
            let there = fs::metadata(folder.join(&path)).unwrap();
            (path, (there.mtime(), there.mtime_nsec(), there.ino()))
        })
        .collect()
}

const PROFILE: &str = "\
cluster: small
target: rancheros-1.5
line: kubernetes-1.20
network: {nodes: 10.0.0.0/16, pods: 10.128.0.0/10, gateway: 10.0.0.1}
nodes:
  m: {role: control-plane, address: 10.0.0.2}
  w-[1-4]: {role: worker, address: 10.0.1.1}
";

#[test]
fn without_a_profile_the_posts_cluster_is_made() {
    let folder = Project::empty();
    ok(folder.path(), &["gen", "--no-images"]);
    let names: Vec<_> = files(&folder.path().join("out/vagrant")).into_keys().map(|path| path.display().to_string()).collect();
    let nodes = ["node-01", "node-02", "node-03"].map(|node| format!("nodes/{node}/cloud-config.yml"));
    let mut expected: Vec<String> = [".gitignore", "README.md", "graph.svg", "manifest.json", "media/Vagrantfile"]
        .map(str::to_owned)
        .into_iter()
        .chain(nodes)
        .collect();
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn the_built_in_profile_and_the_file_say_the_same() {
    let folder = Project::empty();
    ok(folder.path(), &["gen", "--no-images"]);
    let before = files(&folder.path().join("out"));
    ok(folder.path(), &["gen", concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/vagrant.yaml"), "--no-images"]);
    assert_eq!(before, files(&folder.path().join("out")));
}

#[test]
fn a_line_without_fixes_is_noted_and_a_current_one_is_not() {
    let folder = Project::new(PROFILE);
    let said = |folder: &Path| text(&run(folder, &["gen", "p.yaml", "--no-images"]).stderr).to_owned();
    assert!(said(folder.path()).contains("note: Kubernetes 1.20 has had no fixes since"));
    let current = include_str!("../profiles/burmillaos.yaml");
    assert!(!said(Project::new(current).path()).contains("note:"));
}

#[test]
fn the_examples_are_what_gen_makes_of_the_profiles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let profiles = fs::read_dir(root.join("profiles")).unwrap().map(|entry| entry.unwrap().path());
    let profiles: Vec<_> = profiles.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    assert_eq!(profiles.len(), fs::read_dir(root.join("examples")).unwrap().count());
    for profile in profiles {
        ok(root, &["gen", profile.to_str().unwrap(), "-o", "examples", "--no-images", "--check"]);
    }
}

/// The line's own YAML files are read by Kubernetes' parser, which takes `0777` and `on` for other things than text.
#[test]
fn a_cluster_may_be_called_what_yaml_takes_for_a_number() {
    let folder = Project::new(&PROFILE.replace("cluster: small", "cluster: \"0777\"").replace("gateway:", "domain: \"on\", gateway:"));
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    let config = fs::read_to_string(folder.path().join("out/0777/nodes/w-1/cloud-config.yml")).unwrap();
    const SCRIPT: &str = "
import sys, json, yaml
for file in yaml.safe_load(json.load(sys.stdin))['write_files']:
    content = file['content']
    if file['path'].endswith(('.kubeconfig', '/kubelet.yaml')):
        said = yaml.safe_load(content)
        print(json.dumps([said['clusters'][0]['name'], said['contexts'][0]['context']['cluster']] if 'clusters' in said else [said['clusterDomain']]))";
    let said = python(SCRIPT, &config);
    assert_eq!(said, [serde_json::json!(["on"]), serde_json::json!(["0777", "0777"]), serde_json::json!(["0777", "0777"])]);
}

#[test]
fn a_second_run_touches_nothing() {
    let folder = Project::new(PROFILE);
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    let before = modified(folder.path());
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    assert_eq!(before, modified(folder.path()));
}

#[test]
fn a_changed_byte_fails_the_check_and_is_shown() {
    let folder = Project::new(PROFILE);
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    ok(folder.path(), &["gen", "p.yaml", "--check"]);
    let config = folder.path().join("out/small/nodes/w-3/cloud-config.yml");
    fs::write(&config, fs::read_to_string(&config).unwrap().replace("10.0.1.3/16", "10.0.1.4/16")).unwrap();
    let before = files(folder.path());
    let output = run(folder.path(), &["gen", "p.yaml", "--check"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stdout);
    assert!(shown.contains("-        address: \"10.0.1.4/16\"\n+        address: \"10.0.1.3/16\"\n"), "{shown}");
    assert!(text(&output.stderr).contains("nodes that change: w-3"));
    assert_eq!(before, files(folder.path()), "a check writes nothing");
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    ok(folder.path(), &["gen", "p.yaml", "--check"]);
}

#[test]
fn a_diff_names_the_nodes_that_a_new_profile_changes_and_writes_nothing() {
    let folder = Project::new(PROFILE);
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    let before = files(&folder.path().join("out"));
    fs::write(folder.path().join("p.yaml"), PROFILE.to_owned() + "  v: {role: worker, address: 10.0.2.1, labels: {a: b}}\n").unwrap();
    let output = ok(folder.path(), &["gen", "p.yaml", "--diff"]);
    assert!(text(&output.stderr).contains("nodes that change: v\n"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("+        - \"--node-labels=a=b\"\n"));
    assert_eq!(before, files(&folder.path().join("out")));
}

#[test]
fn a_node_that_leaves_the_profile_leaves_the_tree_and_no_other_changes() {
    let folder = Project::new(PROFILE);
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    let before = modified(&folder.path().join("out/small/nodes"));
    fs::write(folder.path().join("p.yaml"), PROFILE.replace("w-[1-4]", "w-[1-3]")).unwrap();
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    let mut expected = before.clone();
    expected.remove(Path::new("w-4/cloud-config.yml"));
    assert_eq!(expected, modified(&folder.path().join("out/small/nodes")));
    assert!(!folder.path().join("out/small/nodes/w-4").exists());
}

#[test]
fn files_of_others_are_never_touched_without_force() {
    let folder = Project::new(PROFILE);
    let (foreign, note) = (folder.path().join("out/small/graph.svg"), folder.path().join("out/small/notes/mine.txt"));
    fs::create_dir_all(note.parent().unwrap()).unwrap();
    fs::write(&foreign, "mine").unwrap();
    fs::write(&note, "mine").unwrap();
    let output = run(folder.path(), &["gen", "p.yaml", "--no-images"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("graph.svg"));
    assert_eq!(files(&folder.path().join("out")).len(), 2, "nothing else was written");
    ok(folder.path(), &["gen", "p.yaml", "--no-images", "--force"]);
    assert_ne!(fs::read(&foreign).unwrap(), b"mine");
    assert_eq!(fs::read(&note).unwrap(), b"mine");
}

#[test]
fn thread_count_umask_time_zone_and_place_do_not_show() {
    let profile = PROFILE.replace("w-[1-4]", "w-[1-300]");
    let one = Project::new(&profile);
    let mut many = remuda(one.path());
    many.args(["gen", "p.yaml", "--no-images"]).env("RAYON_NUM_THREADS", "8").env("TZ", "Asia/Tokyo").env("LC_ALL", "tr_TR.UTF-8");
    assert!(many.status().unwrap().success());
    let other = Project::new(&profile);
    let script = format!(
        "umask 077; RAYON_NUM_THREADS=1 TZ=UTC LC_ALL=C '{}' gen p.yaml --no-images -o 'another place'",
        env!("CARGO_BIN_EXE_remuda")
    );
    assert!(Command::new("sh").current_dir(other.path()).args(["-c", &script]).status().unwrap().success());
    let (a, b) = (one.path().join("out/small"), other.path().join("another place/small"));
    assert_eq!(files(&a), files(&b));
    for root in [&a, &b] {
        for path in files(root).into_keys() {
            let full = root.join(&path);
            assert_eq!(full.metadata().unwrap().permissions().mode() & 0o777, 0o644, "{path:?}");
            let parent = full.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(parent, 0o755, "{path:?}");
        }
    }
}

#[test]
fn the_manifest_has_every_file_with_its_hash() {
    use sha2::Digest;
    let folder = Project::new(PROFILE);
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    let root = folder.path().join("out/small");
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(root.join("manifest.json")).unwrap()).unwrap();
    let mut all = files(&root);
    all.remove(Path::new("manifest.json"));
    let listed = manifest["files"].as_object().unwrap();
    assert_eq!(listed.len(), all.len());
    for (path, bytes) in all {
        let hash: String = sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(listed[path.to_str().unwrap()], hash);
    }
}

#[test]
fn other_founders_than_the_trees_are_refused() {
    let profile = |etcd: &str, nodes: &str| {
        // A node that stays keeps its address.
        let first = nodes.chars().find(char::is_ascii_digit).unwrap();
        format!(
            "cluster: grown\ntarget: rancheros-1.5\nline: kubernetes-1.20\nnetwork: {{nodes: 10.0.0.0/24, gateway: 10.0.0.1}}\napi: {{endpoint: 10.0.0.9}}\n{etcd}\ndefaults: {{ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y a@b]}}\nnodes:\n  {nodes}: {{role: control-plane, address: 10.0.0.1{first}}}\n"
        )
    };
    let folder = Project::with_seed(&profile("", "m-1"));
    let says = |etcd: &str, nodes: &str| profile(etcd, &format!("\"m-[{nodes}]\""));
    let refused = |etcd: &str, nodes: &str, help: &str| {
        fs::write(folder.path().join("p.yaml"), says(etcd, nodes)).unwrap();
        let before = files(folder.path());
        for words in [&["gen", "p.yaml", "--no-images"][..], &["gen", "p.yaml", "--check"], &["validate", "p.yaml"], &["seal", "p.yaml"]] {
            let output = run(folder.path(), words);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
            assert!(said.contains("error[other-founders]") && said.contains(help), "{words:?}: {said}");
        }
        assert_eq!(files(folder.path()), before);
    };
    let accepted = |etcd: &str, nodes: &str| {
        fs::write(folder.path().join("p.yaml"), says(etcd, nodes)).unwrap();
        ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    };
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    refused("", "1-3", "write `etcd: {founders: [m-1]}`");
    refused("etcd: {founders: [m-2]}", "1-3", "write `etcd: {founders: [m-1]}`");
    accepted("etcd: {founders: [m-1]}", "1-3");
    // The founder leaves.
    refused("", "2-4", "write `etcd: {founders: []}`");
    accepted("etcd: {founders: []}", "2-4");
    refused("", "2-4", "write `etcd: {founders: []}`");
    refused("etcd: {bootstrap: {discovery: \"http://10.0.0.8\", size: 3}}", "2-4", "write `etcd: {founders: []}`");
    // No tree, nothing to compare with.
    fs::remove_dir_all(folder.path().join("out")).unwrap();
    accepted("", "2-4");
}

#[test]
fn exit_codes_are_those_of_the_design() {
    let folder = Project::new(PROFILE);
    assert_eq!(run(folder.path(), &["gen", "p.yaml", "--no-images"]).status.code(), Some(0));
    fs::write(folder.path().join("bad.yaml"), "cluster: [").unwrap();
    assert_eq!(run(folder.path(), &["gen", "bad.yaml"]).status.code(), Some(1));
    fs::write(folder.path().join("bytes.yaml"), b"cluster: \xff").unwrap();
    assert_eq!(run(folder.path(), &["gen", "bytes.yaml"]).status.code(), Some(1));
    assert_eq!(run(folder.path(), &["gen", "--chek"]).status.code(), Some(2));
    assert_eq!(run(folder.path(), &["gen", "absent.yaml"]).status.code(), Some(3));
    let output = run(folder.path(), &["image", "build", "p.yaml"]);
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    assert!(said.contains("components/kubernetes-1.20.2/kubelet") && said.contains("scripts/components"), "{said}");
}

#[test]
fn an_error_leaves_the_old_tree_as_it_was() {
    let folder = Project::new(PROFILE);
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    let before = modified(&folder.path().join("out"));
    // Found only while rendering the second node.
    fs::write(
        folder.path().join("p.yaml"),
        PROFILE.to_owned() + "defaults: {files: {/opt/a: {content: !template \"{% if node.is_worker %}{{ nothing }}{% endif %}\"}}}\n",
    )
    .unwrap();
    let output = run(folder.path(), &["gen", "p.yaml", "--no-images"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("p.yaml:8:"), "{}", text(&output.stderr));
    assert_eq!(before, modified(&folder.path().join("out")));
    assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 1, "no staging folder stays");
}

/// The tree is the old one or the new one, whenever the process is killed. The moments close in on the one at
/// which the tree changes, however fast or busy the machine is.
#[test]
fn a_kill_at_any_moment_leaves_the_old_tree_or_the_new_one() {
    let folder = Project::new(&PROFILE.replace("w-[1-4]", "w-[1-600]"));
    let root = folder.path().join("out/small");
    let started = std::time::Instant::now();
    let versions = ["a", "b"].map(|version| {
        let profile =
            fs::read_to_string(folder.path().join("p.yaml")).unwrap() + &format!("defaults: {{labels: {{version: {version}}}}}\n");
        let name = format!("{version}.yaml");
        fs::write(folder.path().join(&name), profile).unwrap();
        ok(folder.path(), &["gen", &name, "--no-images"]);
        (name, files(&root))
    });
    let mut delay = started.elapsed() / 4;
    let mut there = 1;
    let mut seen = [0, 0];
    for round in 0..50_u32 {
        let wanted = 1 - there;
        let (name, _) = &versions[wanted];
        let mut child = remuda(folder.path()).args(["gen", name, "--no-images"]).stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(delay);
        let _ = child.kill();
        let _ = child.wait();
        let now = files(&root);
        there = versions.iter().position(|(_, tree)| *tree == now).unwrap_or_else(|| panic!("round {round}: the tree is neither"));
        let is_new = there == wanted;
        seen[usize::from(is_new)] += 1;
        delay =
            if is_new { delay.mul_f64(0.3 + f64::from(round * 37 % 50) / 80.0) } else { delay.mul_f64(1.3).max(Duration::from_millis(1)) };
    }
    assert!(seen.iter().all(|times| *times > 0), "kept the old tree, got the new one: {seen:?}");
    let (name, tree) = &versions[0];
    ok(folder.path(), &["gen", name, "--no-images"]);
    assert_eq!(*tree, files(&root));
    assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 1, "what killed runs left is gone");
}

#[test]
fn each_machine_boots_what_is_made_for_its_processor() {
    let folder = Project::new(
        "\
cluster: mixed
target: burmillaos-2.0
line: kubernetes-1.37
network: {nodes: 10.0.0.0/24, gateway: 10.0.0.1}
media: {url: 'http://10.0.0.9:8080', kernel: {amd64: vmlinuz, arm64: arm/vmlinuz}, initrd: {amd64: initrd, arm64: 'http://10.0.0.9/initrd'}}
nodes:
  one: {roles: [control-plane, worker], address: 10.0.0.2, mac: '52:54:00:00:00:01'}
  two: {role: worker, address: 10.0.0.3, mac: '52:54:00:00:00:02', arch: arm64}
",
    );
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    let file = |name: &str| fs::read_to_string(folder.path().join("out/mixed/media/pxe").join(name)).unwrap();
    for (machine, kernel, initrd) in [("01", "vmlinuz", "initrd"), ("02", "arm/vmlinuz", "http://10.0.0.9/initrd")] {
        let script = file(&format!("mac-52-54-00-00-00-{machine}.ipxe"));
        assert!(script.contains(&format!("kernel --name vmlinuz {kernel} ")), "{script}");
        assert!(script.contains(&format!("initrd --name initrd {initrd} ")), "{script}");
    }
    let servers = file("dnsmasq.conf");
    assert!(servers.contains(",ARM64_EFI,\"iPXE\",ipxe-arm64.efi\n") && servers.contains(",x86PC,\"iPXE\",undionly.kpxe\n"), "{servers}");
}

#[test]
fn the_reference_in_docs_is_what_the_types_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reference = text(&ok(root, &["schema", "--reference"]).stdout);
    let path = root.join("docs/profile.md");
    if std::env::var_os("INSTA_UPDATE").is_some_and(|value| value == "always") {
        fs::write(&path, &reference).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), reference, "INSTA_UPDATE=always cargo test writes it anew");
}

#[test]
fn the_schema_accepts_the_profiles_and_refuses_an_unknown_key() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = text(&ok(root, &["schema"]).stdout);
    let profiles = [
        serde_json::json!({ "cluster": "a", "nodes": { "a": { "role": "worker", "address": "10.0.0.1", "labels": { "a": "b" } } } }),
        serde_json::json!({ "cluster": "a", "node": {} }),
        serde_json::json!({ "nodes": { "a": { "rol": "worker" } } }),
        serde_json::json!({ "addons": { "dns": { "replicas": 3 }, "storage": {}, "ingress": null } }),
        serde_json::json!({ "addons": { "dms": {} } }),
        serde_json::json!({ "addons": { "dns": { "replica": 3 } } }),
        serde_json::json!({ "addons": { "dns": { "replicas": 101 } } }),
    ];
    const SCRIPT: &str = "
import sys, json, jsonschema
schema, profiles = json.load(sys.stdin)
schema = json.loads(schema)
validator = jsonschema.validators.validator_for(schema)(schema)
for profile in profiles:
    print(json.dumps(validator.is_valid(profile)))";
    assert_eq!(python(SCRIPT, &(schema, profiles)), [true, false, false, true, false, false, false]);
}

/// A verb that fails of the source, of its usage and of the world says it as JSON when asked to, and with the exit
/// code that `remuda --help` names.
#[test]
fn what_a_verb_fails_of_is_said_as_json_too() {
    let folder = Project::new(PROFILE);
    let fails = |code, words: &[&str]| {
        let output = run(folder.path(), words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", text(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    };
    fs::write(folder.path().join("p.lock"), "version: [").unwrap();
    for words in [["gen", "p.yaml", "--format", "json"], ["validate", "p.yaml", "--format", "json"]] {
        let said = fails(1, &words);
        assert_eq!(said["diagnostics"][0]["code"], "bad-lock", "{said:#}");
    }
    fs::remove_file(folder.path().join("p.lock")).unwrap();
    let said = fails(2, &["gen", "p.yaml", "--format", "json", "--templates", "nowhere"]);
    assert!(said["error"].as_str().unwrap().contains("no folder nowhere"), "{said:#}");
    let said = fails(3, &["gen", "none.yaml", "--format", "json"]);
    assert!(said["error"].as_str().unwrap().contains("none.yaml"), "{said:#}");
    fs::write(folder.path().join("p.yaml"), b"cluster: a\nline: \xff\n").unwrap();
    let said = fails(1, &["gen", "p.yaml", "--format", "json"]);
    assert!(said["diagnostics"][0]["message"].as_str().unwrap().contains("p.yaml:2: the profile isn't UTF-8 text"), "{said:#}");
}

#[test]
fn a_name_that_there_is_not_is_wrong_usage() {
    let folder = Project::new(PROFILE);
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    for (words, part) in [
        (&["explain", "w-11", "-p", "p.yaml"][..], "did you mean w-1?"),
        (&["explain", "w-1", "kubelt", "-p", "p.yaml"], "did you mean kubelet?"),
        (&["iso", "w-11", "-p", "p.yaml"], "did you mean w-1?"),
        (&["pxe", "wrap", "w-11", "--to", "w.cpio.gz", "-p", "p.yaml"], "did you mean w-1?"),
        (&["iso", "w-1", "w-2", "--to", "w.iso", "-p", "p.yaml"], "`--to` is for one node"),
        (&["image", "push", "p.yaml"], "there is no registry to push to"),
        (&["image", "push", "p.yaml", "--offline"], "--offline"),
        (&["secret", "set", "Bad_Name", "p.yaml"], "Bad_Name"),
        (&["gen", "p.yaml", "--templates", "nowhere"], "no folder nowhere"),
    ] {
        let output = run(folder.path(), words);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains("error: ") && said.contains(part), "{words:?}: {said}");
    }
}

#[test]
fn a_lock_that_cannot_be_read_is_made_again_when_asked_for() {
    let folder = Project::new(
        &PROFILE
            .replace("nodes:\n", "images: {components: {mine: {version: '1', engine: docker, from: {image: 'a.example/b:1'}}}}\nnodes:\n"),
    );
    fs::write(folder.path().join("p.lock"), "version: [").unwrap();
    let output = run(folder.path(), &["lock", "p.yaml", "--offline"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let output = run(folder.path(), &["lock", "p.yaml", "--offline", "--update"]);
    assert_eq!(output.status.code(), Some(3), "it goes on to ask the registry: {}", text(&output.stderr));
}
