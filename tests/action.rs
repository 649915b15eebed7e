//! `action.yml`: its script on a git repository with a change, and a played GitHub.

mod common;

use common::{Project, git, ok, text};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

const PROFILE: &str = "\
cluster: c
target: rancheros-1.5
line: kubernetes-1.20
network: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}
defaults:
  ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y a@b]
nodes:
  one: {roles: [control-plane, worker], address: 10.0.0.2}
";

/// The comments of pull request 7, and what each request was.
#[derive(Default)]
struct GitHub {
    comments: Vec<serde_json::Value>,
    asked: Vec<String>,
    is_closed: bool,
}

fn start(github: &Arc<Mutex<GitHub>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let github = Arc::clone(github);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = answer(&mut stream, &github);
        }
    });
    url
}

fn answer(stream: &mut TcpStream, github: &Mutex<GitHub>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut one = [0];
        stream.read_exact(&mut one).ok()?;
        head.push(one[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    if head.to_ascii_lowercase().contains("expect: 100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    let mut github = github.lock().unwrap();
    let request = head.lines().next()?.to_owned();
    assert!(head.contains("Authorization: Bearer t0k\r\n"), "{head}");
    github.asked.push(request.clone());
    let sent = || serde_json::from_slice::<serde_json::Value>(&body).unwrap()["body"].clone();
    let ours = "/repos/o/r/issues/7/comments";
    let (status, answer) = if github.is_closed {
        ("403 Forbidden", "{}".to_owned())
    } else if request.starts_with(&format!("GET {ours}?per_page=100&page=1 ")) {
        ("200 OK", serde_json::to_string(&github.comments).unwrap())
    } else if request.starts_with(&format!("POST {ours} ")) {
        let id = github.comments.len();
        github.comments.push(serde_json::json!({ "id": id, "body": sent() }));
        ("201 Created", "{}".to_owned())
    } else if let Some(id) = request.strip_prefix("PATCH /repos/o/r/issues/comments/") {
        let id: usize = id.split(' ').next()?.parse().ok()?;
        github.comments[id]["body"] = sent();
        ("200 OK", "{}".to_owned())
    } else {
        ("404 Not Found", "{}".to_owned())
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}", answer.len()).ok()
}

#[test]
fn a_pull_request_gets_one_comment_with_what_it_means() {
    let github = Arc::new(Mutex::new(GitHub::default()));
    github.lock().unwrap().comments.push(serde_json::json!({ "id": 0, "body": "a person's" }));
    let url = start(&github);
    let project = Project::new(PROFILE);
    let folder = project.path();
    let generate = || ok(folder, &["gen", "p.yaml", "--no-images", "--no-seal"]);
    let commit = |what| {
        git(folder, &["add", "-A"]);
        git(folder, &["commit", "--quiet", "-m", what]);
    };
    generate();
    git(folder, &["init", "--quiet"]);
    commit("before");
    let base = Command::new("git").current_dir(folder).args(["rev-parse", "HEAD"]).output().unwrap();
    let base = text(&base.stdout).trim().to_owned();
    let run = |number: &str| -> Output {
        let bin = Path::new(env!("CARGO_BIN_EXE_remuda")).parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("action/run"));
        script.current_dir(folder).env("PATH", path).env("GITHUB_API_URL", &url).env("GITHUB_REPOSITORY", "o/r");
        script.env("GITHUB_STEP_SUMMARY", folder.join("out/summary")).env("TOKEN", "t0k").env("PROFILE", "p.yaml").env("OUT", "out");
        script.env("BASE", &base).env("NUMBER", number).output().unwrap()
    };
    let says = |output: &Output| text(&output.stdout) + &text(&output.stderr);
    let comments = || github.lock().unwrap().comments.iter().map(|one| one["body"].as_str().unwrap().to_owned()).collect::<Vec<_>>();

    let changed = format!("{PROFILE}  two: {{roles: [worker], address: 10.0.0.3}}\n");
    std::fs::write(folder.join("p.yaml"), &changed).unwrap();
    generate();
    commit("after");
    let output = run("7");
    assert!(output.status.success(), "{}", says(&output));
    let all = comments();
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[1].starts_with("<!-- remuda plan p.yaml -->\n") && all[1].contains("two"), "{}", all[1]);
    assert!(std::fs::read_to_string(folder.join("out/summary")).unwrap().contains(&all[1]));

    // The same comment, written anew; and a tree that isn't what the profile says.
    std::fs::write(folder.join("p.yaml"), changed.replace("two:", "three:")).unwrap();
    let output = run("7");
    assert_eq!(output.status.code(), Some(1), "{}", says(&output));
    assert!(says(&output).contains("::error::"), "{}", says(&output));
    let all = comments();
    assert!(all.len() == 2 && all[0] == "a person's" && all[1].contains("three"), "{all:?}");

    // A change that ends the cluster.
    std::fs::write(folder.join("p.yaml"), PROFILE.replace("gateway: 10.0.0.1", "gateway: 10.0.0.1, pods: 10.99.0.0/16")).unwrap();
    let output = run("7");
    assert_eq!(output.status.code(), Some(1), "{}", says(&output));
    assert!(comments()[1].contains("The change is refused"), "{}", comments()[1]);

    // A fork's token can't write, and a push has nothing to comment.
    std::fs::write(folder.join("p.yaml"), &changed).unwrap();
    github.lock().unwrap().is_closed = true;
    let output = run("7");
    assert!(output.status.success() && says(&output).contains("::warning::"), "{}", says(&output));
    github.lock().unwrap().asked.clear();
    let output = run("");
    assert!(output.status.success(), "{}", says(&output));
    assert!(github.lock().unwrap().asked.is_empty());
}
