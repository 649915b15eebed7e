//! Pictures of a terminal in the docs: what the program really says at one, as SVG.
//!
//! `INSTA_UPDATE=always cargo test --test screens` remakes them.

mod common;

use anstyle_svg::Term;
use common::Project;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What somebody types at a shell in a folder with `cluster.yaml`, and what comes of it, as a terminal gets it.
fn typed(profile: &str, lines: &[&str]) -> String {
    let project = Project::with_seed(profile);
    fs::rename(project.path().join("p.yaml"), project.path().join("cluster.yaml")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_remuda")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut screen = String::new();
    for line in lines {
        screen += &format!("\x1b[32m$\x1b[0m {line}\n");
        let said = Command::new("script")
            .args(["--quiet", "--return", "--command", &format!("stty cols 100; {line}"), "/dev/null"])
            .current_dir(project.path())
            .env("PATH", &path)
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("COLUMNS")
            .env_remove("NO_COLOR")
            .env_remove("REMUDA_SEED_FILE")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(said.stderr.is_empty(), "{line}: {}", String::from_utf8_lossy(&said.stderr));
        screen += &String::from_utf8(said.stdout).unwrap().replace("\r\n", "\n");
    }
    screen
}

fn shown(name: &str, screen: &str) {
    let svg = Term::new().render_svg(screen);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("INSTA_UPDATE").is_some_and(|value| value == "always") {
        fs::write(&path, &svg).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == svg, "INSTA_UPDATE=always cargo test remakes docs/{name}; a terminal shows now\n{screen}");
}

#[test]
fn mistakes_then_a_tree() {
    let profile = "\
cluster: rack
target: burmillaos-2.0
line: kubernetes-1.37
network: {nodes: 10.0.0.0/24, gateway: 10.0.0.1}
defaults:
  ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIAUUmPhvuLz9sLjqSQkHHKRgIvCvCFWGpcGjyIGUZE admin]
  components: {kubelet: {args: {max-pod: 50}}}
nodes:
  cp-1: {role: control-plane, address: 10.0.0.11}
  w-[1-2]: {role: worker, address: 10.0.1.21}
";
    let mend = "sed -i 's/max-pod/max-pods/; s/10.0.1.21/10.0.0.21/' cluster.yaml";
    shown(
        "screen.svg",
        &typed(profile, &["cat cluster.yaml", "remuda gen --no-images", mend, "remuda gen --no-images", "ls out/rack/*/*"]),
    );
}
