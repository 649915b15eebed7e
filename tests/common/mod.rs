//! The program as a process, in a folder.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A seed of which every byte is known.
pub const SEED: &str = "remuda-seed-1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f:b4544743\n";

/// A folder to run the program in, which goes away with this.
pub struct Project(tempfile::TempDir);

impl Project {
    pub fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a profile in it: `p.yaml`.
    pub fn new(profile: &str) -> Self {
        let project = Self::empty();
        fs::write(project.path().join("p.yaml"), profile).unwrap();
        project
    }

    /// With a profile, and [`SEED`] where the program looks for a seed.
    pub fn with_seed(profile: &str) -> Self {
        let project = Self::new(profile);
        let seed = project.path().join("remuda.seed");
        fs::write(&seed, SEED).unwrap();
        fs::set_permissions(seed, fs::Permissions::from_mode(0o600)).unwrap();
        project
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

pub fn remuda(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remuda"));
    command.current_dir(folder).env_remove("REMUDA_SEED_FILE");
    command
}

pub fn run(folder: &Path, words: &[&str]) -> Output {
    remuda(folder).args(words).output().unwrap()
}

pub fn ok(folder: &Path, words: &[&str]) -> Output {
    let output = run(folder, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// git, as somebody, in a folder.
pub fn git(folder: &Path, words: &[&str]) {
    let mut git = Command::new("git");
    git.current_dir(folder).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(words);
    let output = git.output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
}

/// In hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    <sha2::Sha256 as sha2::Digest>::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Every file below `folder`, with its bytes.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    all
}

/// Runs a Python script on `input`, as JSON; each line that it prints is a JSON value.
pub fn python(script: &str, input: &impl serde::Serialize) -> Vec<serde_json::Value> {
    let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        Command::new(python).args(["-c", "import yaml, jsonschema"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    });
    let python = python.expect("these tests need PyYAML and jsonschema: apt-get install python3-yaml python3-jsonschema");
    let mut child = Command::new(python).args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let input = serde_json::to_vec(input).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
