//! remuda as a container image, which a release has: `container/pack`, by the program itself.

mod common;

use common::{Project, text};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The bytes of a file in a tar archive.
fn member(archive: &Path, name: &str) -> Vec<u8> {
    let output = Command::new("tar").arg("-xOf").arg(archive).arg(name).output().unwrap();
    assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    output.stdout
}

#[test]
fn it_packs_itself_with_what_it_needs_of_a_root() {
    let folder = Project::empty();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let program = env!("CARGO_BIN_EXE_remuda");
    let packed = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/container/pack")).arg(program).arg(&out).output().unwrap();
    assert!(packed.status.success(), "{}", text(&packed.stderr));
    let archive = text(&packed.stdout);
    let archive = Path::new(archive.trim_end());
    let version = env!("CARGO_PKG_VERSION");
    let manifest: serde_json::Value = serde_json::from_slice(&member(archive, "manifest.json")).unwrap();
    assert_eq!(manifest[0]["RepoTags"], serde_json::json!([format!("remuda:{version}")]));
    let config: serde_json::Value = serde_json::from_slice(&member(archive, manifest[0]["Config"].as_str().unwrap())).unwrap();
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/usr/local/bin/remuda"]));
    assert_eq!(config["architecture"], if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" });
    let layers: Vec<_> = manifest[0]["Layers"].as_array().unwrap().iter().map(|layer| layer.as_str().unwrap()).collect();
    let (root, own) = (folder.path().join("root.tar"), folder.path().join("own.tar"));
    fs::write(&root, member(archive, layers[0])).unwrap();
    fs::write(&own, member(archive, layers[1])).unwrap();
    let listed = Command::new("tar").arg("-tvf").arg(&root).output().unwrap();
    assert!(
        text(&listed.stdout).lines().any(|line| line.starts_with("drwxrwxrwt 0/0 ") && line.ends_with(" tmp/")),
        "{}",
        text(&listed.stdout)
    );
    assert_eq!(member(&root, "etc/ssl/certs/ca-certificates.crt"), fs::read("/etc/ssl/certs/ca-certificates.crt").unwrap());
    assert!(member(&own, "usr/local/bin/remuda") == fs::read(program).unwrap(), "another program");
    let checked = Command::new("sh").args(["-c", "sha256sum --check --quiet *.sha256"]).current_dir(&out).status().unwrap();
    assert!(checked.success());
}
