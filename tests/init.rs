//! `remuda init`: all that it offers can be generated at once, it writes everything or nothing, and it asks on a terminal.

mod common;

use camino::Utf8Path;
use common::{Project, ok, run, text};
use remuda::build::start::{QUESTIONS, Start};
use remuda::build::{self, Paths};
use remuda::tree::Intent;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const FILES: [&str; 4] = [".github/workflows/remuda.yml", ".gitignore", "cluster.yaml", "remuda.seed"];
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFTJ28Ikn/rKI7glUlJrK2Oet0yDwInuE0VNaJj6K3qC me@here";

fn number(flag: &str) -> usize {
    QUESTIONS.iter().position(|question| question.flag == flag).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    common::files(folder).keys().map(|path| path.to_str().unwrap().to_owned()).filter(|path| !path.starts_with(".git/")).collect()
}

/// The answers so far, with every choice of the questions from `next` on that has choices.
fn all(start: Start, next: usize) -> Vec<Start> {
    if next == QUESTIONS.len() {
        return vec![start];
    }
    if !start.asks(next) {
        return all(start, next + 1);
    }
    let choices = start.choices(next);
    if choices.is_empty() {
        return all(start.by_default(next).unwrap(), next + 1);
    }
    choices.iter().flat_map(|(word, _)| all(start.clone().answered(next, word).unwrap(), next + 1)).collect()
}

#[test]
fn all_that_is_offered_can_be_generated() {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(folder.path()).unwrap();
    let start = Start::new(path, "site", Vec::new()).unwrap();
    let words = |flag: &str| start.choices(number(flag)).into_iter().map(|(word, _)| word).collect::<Vec<_>>();
    // The best first; nothing that no line runs on.
    assert_eq!(words("target"), ["burmillaos-2.0", "rancheros-1.5"]);
    let mut seen = Vec::new();
    for start in all(start, 0) {
        let profile = path.join("cluster.yaml");
        fs::write(&profile, start.profile()).unwrap();
        let mut project = build::Project::open(Paths { out: Some(path.join("out")), ..Paths::of(profile.as_str()) }).unwrap();
        let cluster = project.cluster().unwrap_or_else(|error| panic!("{error}\n{}", start.profile()));
        let written = build::write(&cluster, &path.join("out/site"), Intent::Write { force: false }, None).unwrap();
        assert!(!written.found.has_errors(), "{}", start.profile());
        let config = fs::read_to_string(path.join("out/site/nodes/control-1/cloud-config.yml")).unwrap();
        assert!(config.contains("kube-apiserver"));
        let media = [
            cluster.media.pxe.is_some(),
            cluster.media.vagrant.is_some(),
            cluster.classes[0].machine.install,
            cluster.classes[0].disk.is_some(),
        ];
        seen.push((cluster.target.name, cluster.line.name.clone(), cluster.etcd.members.len(), media));
        fs::remove_dir_all(path.join("out")).unwrap();
    }
    // Each pair of target and line, with one, three or five, in five ways.
    for (target, line) in [
        ("burmillaos-2.0", "kubernetes-1.37"),
        ("burmillaos-2.0", "kubernetes-1.36"),
        ("burmillaos-2.0", "kubernetes-1.35"),
        ("burmillaos-2.0", "kubernetes-1.20"),
        ("rancheros-1.5", "kubernetes-1.20"),
        ("rancheros-1.5", "kubernetes-2015"),
    ] {
        for members in [1, 3, 5] {
            let offered = seen.iter().filter(|one| one.0 == target && one.1 == line && one.2 == members).count();
            assert!(offered == 5, "{target} {line} {members}: {offered}");
        }
    }
    for media in
        [[false; 4], [false, true, false, false], [true, false, true, true], [false, false, true, true], [false, false, false, true]]
    {
        assert_eq!(seen.iter().filter(|one| one.3 == media).count(), seen.len() / 5, "{media:?}");
    }
}

#[test]
fn it_writes_everything_and_gen_takes_it() {
    let folder = Project::empty();
    let path = folder.path();
    fs::create_dir_all(path.join("home/.ssh")).unwrap();
    fs::write(path.join("home/.ssh/id.pub"), format!("{KEY}\n")).unwrap();
    let site = path.join("my-site");
    let output =
        common::remuda(path).args(["init", "my-site", "--yes", "--control-planes", "3"]).env("HOME", path.join("home")).output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&output.stderr));
    assert_eq!(names(&site), FILES);
    let profile = fs::read_to_string(site.join("cluster.yaml")).unwrap();
    for part in
        ["cluster: my-site\n", "vip: 192.168.10.10 ", "control-[1-3]: {role: control-plane, address: 192.168.10.11}", KEY, "# services: "]
    {
        assert!(profile.contains(part), "{part}: {profile}");
    }
    assert_eq!(fs::metadata(site.join("remuda.seed")).unwrap().permissions().mode() & 0o777, 0o600);
    let validated = ok(&site, &["validate"]);
    assert!(
        text(&validated.stderr).contains("no mistakes found") && !text(&validated.stderr).contains("warning"),
        "{}",
        text(&validated.stderr)
    );
    ok(&site, &["gen", "--no-images"]);
    ok(&site, &["gen", "--check", "--no-images"]);
    // Of all this, git takes the profile and the tree for git.
    common::git(&site, &["init", "-q"]);
    common::git(&site, &["add", "."]);
    common::git(&site, &["commit", "-qm", "x"]);
    let tracked = std::process::Command::new("git").current_dir(&site).arg("ls-files").output().unwrap();
    let tracked = text(&tracked.stdout);
    assert!(tracked.contains("cluster.yaml\n") && tracked.contains("out/my-site/nodes/worker-1/cloud-config.yml\n"), "{tracked}");
    assert!(!tracked.contains("seed") && !tracked.contains("sealed"), "{tracked}");
    // Nothing is overwritten.
    let before = common::files(&site);
    let again = run(path, &["init", "my-site", "--yes"]);
    assert!(again.status.code() == Some(2) && text(&again.stderr).contains("cluster.yaml exists"), "{}", text(&again.stderr));
    assert!(common::files(&site) == before);
}

#[test]
fn without_a_terminal_what_is_missing_is_named_by_its_flag() {
    let folder = Project::empty();
    let said = |words: &[&str]| {
        let output = run(folder.path(), words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", text(&output.stderr));
        assert_eq!(names(folder.path()), [""; 0], "{words:?}");
        text(&output.stderr)
    };
    let missing = said(&["init", "--boot", "pxe", "--workers", "1"]);
    for flag in ["name", "target", "line", "control-planes", "network", "gateway", "first-address", "url", "disk", "ssh-key", "yes"] {
        assert!(missing.contains(&format!("`--{flag}`")), "{flag}: {missing}");
    }
    assert!(!missing.contains("--boot") && !missing.contains("--vip") && !missing.contains("--box"), "{missing}");
    for (words, part) in [
        (&["--target", "burmillaos-3.0"][..], "isn't one of burmillaos-2.0, rancheros-1.5"),
        (&["--target", "rancheros-1.5", "--line", "kubernetes-1.37"], "isn't one of kubernetes-1.20, kubernetes-2015"),
        (&["--control-planes", "2"], "isn't one of 1, 3, 5"),
        (&["--network", "10.0.0.0"], "isn't a network"),
        (&["--network", "10.0.0.1/24"], "the network is 10.0.0.0/24"),
        (&["--network", "10.0.0.0/31"], "has no room for machines"),
        (&["--network", "10.244.0.0/16"], "10.244.0.0/16"),
        (&["--first-address", "10.9.9.9"], "isn't a machine's address in the node network"),
        (&["--first-address", "192.168.10.1"], "gateway"),
        (&["--control-planes", "3", "--vip", "192.168.10.12"], "is the address of control-2"),
        (&["--vip", "192.168.10.12"], "has no use with these answers"),
        (&["--workers", "many"], "isn't a number"),
        (&["--name", "No Name"], "--name"),
        (&["--ssh-key", "Cargo.toml"], "neither a public key nor a file"),
    ] {
        let said = said(&[&["init", "--yes"], words].concat());
        assert!(said.contains(part), "{words:?}: {said}");
    }
    // What isn't a public key is never shown.
    let secret = Project::empty();
    fs::write(secret.path().join("id"), "-----BEGIN OPENSSH PRIVATE KEY-----\nhush\n").unwrap();
    let said = said(&["init", "--yes", "--ssh-key", secret.path().join("id").to_str().unwrap()]);
    assert!(said.contains("no public ssh key") && !said.contains("hush"), "{said}");
}

#[test]
fn it_writes_everything_or_nothing() {
    let folder = Project::empty();
    let path = folder.path();
    // The workflow's folder can't be made.
    fs::write(path.join(".github"), "a file").unwrap();
    let refused = run(path, &["init", "--yes"]);
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused.stderr));
    assert_eq!(names(path), [".github"]);
    // git would take the seed; a `.gitignore` gets back what was in it.
    fs::remove_file(path.join(".github")).unwrap();
    fs::write(path.join(".gitignore"), "target").unwrap();
    fs::write(path.join("remuda.seed"), "x").unwrap();
    common::git(path, &["init", "-q"]);
    common::git(path, &["add", "-f", "remuda.seed"]);
    fs::remove_file(path.join("remuda.seed")).unwrap();
    let refused = run(path, &["init", "--yes"]);
    assert!(refused.status.code() == Some(3) && text(&refused.stderr).contains("git tracks"), "{}", text(&refused.stderr));
    assert_eq!(names(path), [".gitignore"]);
    assert_eq!(fs::read_to_string(path.join(".gitignore")).unwrap(), "target");
    common::git(path, &["rm", "-q", "--cached", "remuda.seed"]);
    ok(path, &["init", "--yes", "--name", "a"]);
    assert_eq!(names(path), FILES);
    assert!(fs::read_to_string(path.join(".gitignore")).unwrap().starts_with("target\n/remuda.seed\n"));
    // A folder in which the other profile is would have two.
    let other = Project::empty();
    fs::write(other.path().join("remuda.yaml"), "x").unwrap();
    assert_eq!(run(other.path(), &["init", "--yes"]).status.code(), Some(2));
    assert_eq!(names(other.path()), ["remuda.yaml"]);
}

/// Runs the program on a terminal. Each answer is typed when it has asked.
const TERMINAL: &str = r"
import json, os, pty, select, sys
program, folder, environment, answers = json.load(sys.stdin)
pid, terminal = pty.fork()
if not pid:
    os.chdir(folder)
    os.execve(program, [program, 'init', 'site'], environment)
said = b''
def read(until):
    global said
    start = len(said)
    while not until(said[start:]):
        if not select.select([terminal], [], [], 300)[0]:
            sys.exit('nothing comes: ' + said.decode())
        try:
            more = os.read(terminal, 65536)
        except OSError:
            return False
        if not more:
            return False
        said += more
    return True
for answer in answers:
    if not read(lambda text: text.endswith(b'] ')):
        break
    os.write(terminal, b'\x04' if answer is None else answer.encode() + b'\n')
read(lambda text: False)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()]))
";

fn on_terminal(folder: &Path, no_color: &str, answers: &[Option<&str>]) -> (i64, String) {
    let environment = serde_json::json!({ "HOME": folder.join("home"), "NO_COLOR": no_color, "PATH": std::env::var("PATH").unwrap() });
    let input = (env!("CARGO_BIN_EXE_remuda"), folder.to_str().unwrap(), environment, answers);
    let output = &common::python(TERMINAL, &input)[0];
    (output[0].as_i64().unwrap(), output[1].as_str().unwrap().to_owned())
}

#[test]
fn on_a_terminal_it_asks_until_an_answer_fits() {
    let folder = Project::empty();
    let path = folder.path();
    fs::create_dir_all(path.join("home/.ssh")).unwrap();
    fs::write(path.join("home/.ssh/id.pub"), format!("{KEY}\n")).unwrap();
    // The end of the input: nothing is written.
    let (code, said) = on_terminal(path, "1", &[Some("lab"), None]);
    assert!(code == 2 && said.contains("nothing was written") && !path.join("site").exists(), "{said}");
    let answers = [
        "lab",
        "windows",
        "rancheros-1.5",
        "kubernetes-1.37",
        "",
        "pxe",
        "3",
        "1",
        "10.96.0.0/16",
        "10.1.0.0/16",
        "",
        "10.2.0.9",
        "10.1.5.1",
        "",
        "",
        "sda",
        "/dev/vda",
        "",
    ];
    let (code, said) = on_terminal(path, "1", &answers.map(Some));
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains('\x1b'), "no colour: {said}");
    for part in [
        "`windows` isn't one of burmillaos-2.0, rancheros-1.5",
        "`kubernetes-1.37` isn't one of kubernetes-1.20, kubernetes-2015",
        "control-1's address 10.2.0.9 isn't a machine's address",
        "The API's address",
        "[http://10.1.0.2:8080] ",
        "[/dev/sda] ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let profile = fs::read_to_string(path.join("site/cluster.yaml")).unwrap();
    for part in [
        "cluster: lab\n",
        "target: rancheros-1.5\nline: kubernetes-1.20\n",
        "endpoint: 10.1.5.0 ",
        "disk: \"/dev/vda\"",
        "control-3: {role: control-plane, address: 10.1.5.3}",
        KEY,
    ] {
        assert!(profile.contains(part), "{part}: {profile}");
    }
    assert_eq!(names(&path.join("site")), FILES);
    fs::remove_dir_all(path.join("site")).unwrap();
    let (_, said) = on_terminal(path, "", &[None]);
    assert!(said.contains("\x1b[1mThe cluster's name\x1b[0m"), "{said}");
}
