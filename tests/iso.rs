//! `remuda iso` as a process: what it refuses, what it says, what a kill leaves. What other programs make
//! of its images is tests/bed/media's to see.

mod common;

use common::{Project, files, ok, remuda, run, sha256, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

const SEALED: &str = "out/vagrant/sealed";

/// With the built-in profile's cluster, sealed.
fn sealed() -> Project {
    let folder = Project::empty();
    ok(folder.path(), &["seed", "new"]);
    ok(folder.path(), &["gen", "--no-images"]);
    folder
}

fn iso(folder: &Path, node: &str) -> PathBuf {
    folder.join(SEALED).join(format!("{node}.iso"))
}

fn profile(folder: &Path, more: &str) {
    let own = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/vagrant.yaml")).unwrap();
    fs::write(folder.join("p.yaml"), own + more).unwrap();
}

#[test]
fn an_iso_is_made_of_a_tree_that_is_sealed_and_what_the_profile_says() {
    let folder = Project::empty();
    let said = |words: &[&str], status| {
        let output = run(folder.path(), words);
        assert_eq!(output.status.code(), Some(status), "{words:?}");
        text(&output.stderr)
    };
    assert!(said(&["iso", "--all", "--no-images"], 1).contains("isn't what the profile says"));
    ok(folder.path(), &["gen", "--no-images"]);
    assert!(said(&["iso", "--all", "--no-images"], 3).contains("remuda seal"));
    ok(folder.path(), &["seed", "new"]);
    ok(folder.path(), &["seal"]);
    assert!(said(&["iso", "node-1", "--no-images"], 2).contains("did you mean node-01?"));
    ok(folder.path(), &["iso", "--all", "--no-images"]);
    // Generated anew without the seed: the sealed configs are older.
    profile(folder.path(), "  node-04: {role: worker, address: 192.168.56.104}\n");
    ok(folder.path(), &["gen", "p.yaml", "--no-images", "--no-seal"]);
    let behind = said(&["iso", "--all", "--no-images", "-p", "p.yaml"], 3);
    assert!(behind.contains("was made with other files") && behind.contains("remuda seal"), "{behind}");
    ok(folder.path(), &["seal", "p.yaml"]);
    ok(folder.path(), &["iso", "--all", "--no-images", "-p", "p.yaml"]);
    let config = folder.path().join(SEALED).join("node-02/cloud-config.yml");
    fs::write(&config, "#cloud-config\n").unwrap();
    assert!(said(&["iso", "node-02", "--no-images", "-p", "p.yaml"], 3).contains("was changed since remuda wrote it"));
}

#[test]
fn sealing_keeps_isos_and_says_which_are_old() {
    let folder = sealed();
    ok(folder.path(), &["iso", "--all", "--no-images"]);
    let before = fs::read(iso(folder.path(), "node-01")).unwrap();
    let quiet = text(&ok(folder.path(), &["gen", "--no-images"]).stderr);
    assert!(!quiet.contains(".iso"), "{quiet}");
    profile(folder.path(), "roles: {worker: {labels: {a: b}}}\n");
    let said = text(&ok(folder.path(), &["gen", "p.yaml", "--no-images"]).stderr);
    assert!(said.contains("node-02.iso: has another config of node-02") && said.contains("node-03.iso"), "{said}");
    assert!(!said.contains("node-01.iso"), "{said}");
    assert_eq!(before, fs::read(iso(folder.path(), "node-01")).unwrap());
    ok(folder.path(), &["iso", "--all", "--no-images", "-p", "p.yaml"]);
    assert!(!text(&ok(folder.path(), &["gen", "p.yaml", "--no-images"]).stderr).contains(".iso"));
}

#[test]
fn a_file_of_somebody_else_is_replaced_with_force_alone() {
    let folder = sealed();
    let path = iso(folder.path(), "node-01");
    fs::write(&path, "mine").unwrap();
    let refused = run(folder.path(), &["iso", "node-01", "--no-images"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(text(&refused.stderr).contains("--force"));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    ok(folder.path(), &["iso", "node-01", "--no-images", "--force"]);
    ok(folder.path(), &["iso", "node-01", "--no-images"]);
    // Another node's is not this one's.
    fs::copy(iso(folder.path(), "node-01"), folder.path().join("stick.iso")).unwrap();
    assert_eq!(run(folder.path(), &["iso", "node-02", "--no-images", "--to", "stick.iso"]).status.code(), Some(3));
    fs::create_dir(folder.path().join("folder")).unwrap();
    assert_eq!(run(folder.path(), &["iso", "node-02", "--no-images", "--to", "folder", "--force"]).status.code(), Some(3));
}

#[test]
fn what_it_shows_has_no_secret() {
    let folder = sealed();
    ok(folder.path(), &["iso", "node-01", "--no-images"]);
    let shown = text(&ok(folder.path(), &["iso", "show", &format!("{SEALED}/node-01.iso")]).stdout);
    for expected in ["config-2", "node-01 of cluster vagrant", "not by itself", "SHA-256"] {
        assert!(shown.contains(expected), "{shown}");
    }
    assert!(!shown.contains("PRIVATE") && shown.len() < 1000);
    let other = run(folder.path(), &["iso", "show", "remuda.seed"]);
    assert_eq!(other.status.code(), Some(3));
    assert!(text(&other.stderr).contains("isn't an ISO 9660 image"));
}

#[test]
fn a_kill_at_any_moment_leaves_no_half_image() {
    let folder = sealed();
    let images = folder.path().join("out/vagrant/images");
    fs::create_dir(&images).unwrap();
    fs::File::create(images.join("containerd-0.tar")).unwrap().set_len(96 << 20).unwrap();
    let manifest = folder.path().join("out/vagrant/manifest.json");
    let mut top: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    let digest = || serde_json::json!(format!("sha256:{}", "0".repeat(64)));
    let names: serde_json::Map<_, _> =
        top["images"].as_object().unwrap().values().map(|name| (name.as_str().unwrap().to_owned(), digest())).collect();
    fs::write(images.join("system-docker-0.tar"), "small").unwrap();
    let archive = |engine: &str| {
        let file = format!("{engine}-0.tar");
        let bytes = fs::read(images.join(&file)).unwrap();
        serde_json::json!({ "engine": engine, "arch": "amd64", "file": file, "size": bytes.len(), "sha256": sha256(&bytes), "images": names })
    };
    top["archives"] = serde_json::json!([archive("containerd"), archive("system-docker")]);
    fs::write(&manifest, serde_json::to_string_pretty(&top).unwrap() + "\n").unwrap();
    // The tree's README names the tarballs.
    ok(folder.path(), &["gen", "--no-images"]);
    let before = files(&folder.path().join(SEALED));
    let started = Instant::now();
    ok(folder.path(), &["iso", "node-01", "--images"]);
    let took = started.elapsed();
    let whole = fs::read(iso(folder.path(), "node-01")).unwrap();
    let mut unfinished = 0;
    for round in 0..20_u32 {
        fs::remove_file(iso(folder.path(), "node-01")).unwrap_or_default();
        let mut child = remuda(folder.path()).args(["iso", "node-01", "--images"]).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(took.mul_f64(f64::from(round) / 20.0).max(Duration::from_millis(1)));
        let _ = child.kill();
        let _ = child.wait();
        let mut now = files(&folder.path().join(SEALED));
        match now.remove(Path::new("node-01.iso")) {
            Some(bytes) => assert!(bytes == whole, "round {round}: a half image"),
            None => unfinished += 1,
        }
        assert!(now == before, "round {round}: {:?}", now.keys());
    }
    assert!(unfinished > 0);
}

#[test]
fn where_a_config_lies_at_network_boot_is_said_to_nobody_but_its_machine() {
    let folder = Project::empty();
    ok(folder.path(), &["seed", "new"]);
    let profile = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/bare-metal.yaml");
    let output = ok(folder.path(), &["gen", profile, "--no-images", "--format", "json"]);
    let root = folder.path().join("out/bare-metal");
    let served = files(&root.join("sealed/pxe.d"));
    let paths: Vec<String> = served.keys().filter_map(|path| path.to_str().unwrap().strip_suffix(".cpio.gz")).map(str::to_owned).collect();
    assert_eq!(paths.len(), 9);
    let names = |bytes: &[u8]| paths.iter().filter(|path| bytes.windows(path.len()).any(|part| part == path.as_bytes())).count();
    let scripts: Vec<usize> =
        served.iter().filter(|(path, _)| path.to_str().unwrap().starts_with("mac-")).map(|(_, bytes)| names(bytes)).collect();
    assert_eq!(scripts, [1; 9], "each script names one path");
    for (path, bytes) in files(&root).into_iter().filter(|(path, _)| !path.starts_with("sealed")) {
        assert_eq!(names(&bytes), 0, "{path:?}");
    }
    assert_eq!(names(&output.stdout) + names(&output.stderr), 0);
}
