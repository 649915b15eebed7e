//! The command line: which profile a verb takes, where components are, exit codes, help.

mod common;

use common::{Project, ok, run, text};
use std::fs;

const SMALL: &str = "\
cluster: small
target: rancheros-1.5
line: kubernetes-1.20
network: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}
nodes: {m: {roles: [control-plane, worker], address: 10.0.0.2}}
";

/// Every verb that reads a profile, with the words that it needs besides. What it can't do here is said after the
/// profile was read.
const VERBS: [&[&str]; 20] = [
    &["gen", "--no-images"],
    &["plan"],
    &["status"],
    &["seal"],
    &["pki", "list"],
    &["secret", "list"],
    &["discovery", "new"],
    &["discovery", "check"],
    &["validate"],
    &["explain", "m"],
    &["graph"],
    &["report"],
    &["image", "build"],
    &["image", "fetch"],
    &["image", "list"],
    &["image", "push"],
    &["lock"],
    &["iso", "m"],
    &["pxe", "wrap"],
    &["image", "verify"],
];

/// Those that have another positional argument.
const NAMED: [&str; 3] = ["explain", "iso", "pxe"];

#[test]
fn every_verb_finds_the_profile_in_the_same_way() {
    let missing = |said: &str| said.contains("absent.yaml") && said.contains("No such file");
    for words in VERBS {
        let folder = Project::empty();
        let path = folder.path();
        common::git(path, &["init", "-q"]);
        let said = |more: &[&str]| {
            let output = run(path, &[words, more].concat());
            (output.status.code(), text(&output.stderr))
        };
        // What reads only the vault, or looks for the seed first, never opens the profile.
        let opens = !["secret", "seal"].contains(&words[0]);
        let (_, named) = said(&["-p", "absent.yaml"]);
        assert!(!opens || missing(&named), "{words:?}: {named}");
        if !NAMED.contains(&words[0]) {
            let (_, named) = said(&["absent.yaml"]);
            assert!(!opens || missing(&named), "{words:?}: {named}");
            let (code, both) = said(&["absent.yaml", "-p", "absent.yaml"]);
            assert!(code == Some(2) && both.contains("cannot be used with"), "{words:?}: {both}");
        }
        if words[0] == "seal" {
            continue;
        }
        let (_, none) = said(&[]);
        assert!(none.contains("profile: the built-in one"), "{words:?}: {none}");
        for name in ["cluster.yaml", "remuda.yaml"] {
            fs::write(path.join(name), SMALL).unwrap();
            let (_, here) = said(&[]);
            assert!(here.contains(&format!("profile: {name}\n")), "{words:?}: {here}");
            fs::rename(path.join(name), path.join("other.yaml")).unwrap();
        }
        fs::write(path.join("cluster.yaml"), SMALL).unwrap();
        fs::write(path.join("remuda.yaml"), SMALL).unwrap();
        let (code, both) = said(&[]);
        assert!(code == Some(2) && both.contains("cluster.yaml and remuda.yaml are both in this folder"), "{words:?}: {both}");
        let (_, named) = said(&["-p", "cluster.yaml"]);
        assert!(!named.contains("profile: "), "{words:?}: {named}");
    }
}

#[test]
fn components_are_beside_the_profile_or_here() {
    let folder = Project::empty();
    let path = folder.path();
    fs::create_dir_all(path.join("site")).unwrap();
    fs::write(path.join("site/p.yaml"), SMALL).unwrap();
    let listed = || {
        let output = run(path, &["image", "list", "site/p.yaml"]);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(" missing: "));
        text(&output.stdout)
    };
    let all_in = |listed: &str, folder: &str| {
        let sources: Vec<_> = listed.lines().filter(|line| line.trim_start().starts_with("missing")).collect();
        !sources.is_empty() && sources.iter().all(|line| line.contains(folder))
    };
    assert!(all_in(&listed(), " components/"), "{}", listed());
    fs::create_dir(path.join("site/components")).unwrap();
    assert!(all_in(&listed(), " site/components/"), "{}", listed());
    let named = text(&run(path, &["image", "list", "site/p.yaml", "--components", "there"]).stdout);
    assert!(all_in(&named, " there/"), "{named}");
    let json = run(path, &["image", "list", "site/p.yaml", "--format", "json"]);
    let bundle: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let sources: Vec<_> = bundle["images"].as_array().unwrap().iter().flat_map(|image| image["sources"].as_array().unwrap()).collect();
    assert!(json.status.code() == Some(3) && sources[0]["state"] == "missing");
    // With all of them there, nothing is missing.
    for source in sources {
        let file = path.join(source["source"].as_str().unwrap());
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let is_archive = file.extension().is_some_and(|extension| extension == "tar");
        fs::write(file, if is_archive { [0; 1024].to_vec() } else { b"program".to_vec() }).unwrap();
    }
    ok(path, &["image", "list", "site/p.yaml"]);
    // The tree's README then names the tarballs and the images in them.
    ok(path, &["gen", "site/p.yaml"]);
    let readme = fs::read_to_string(path.join("out/small/README.md")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(path.join("out/small/manifest.json")).unwrap()).unwrap();
    let archives = manifest["archives"].as_array().unwrap();
    assert!(!archives.is_empty());
    for archive in archives {
        let row = format!("| `images/{}` | ", archive["file"].as_str().unwrap());
        assert!(readme.contains(&row) && readme.contains(archive["sha256"].as_str().unwrap()), "{row}: {readme}");
        for (name, digest) in archive["images"].as_object().unwrap() {
            assert!(readme.contains(&format!("| `{name}`<br>amd64: `{}` |", digest.as_str().unwrap())), "{name}: {readme}");
        }
    }
}

#[test]
fn a_tree_says_what_it_is_and_what_to_do_next() {
    let steps = |more: &str| {
        let folder = Project::new(&format!("{SMALL}{more}"));
        ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
        let readme = fs::read_to_string(folder.path().join("out/small/README.md")).unwrap();
        for part in [
            "# small\n",
            "| API | `10.0.0.2:6443` |",
            "| m | etcd, control-plane, worker | 10.0.0.2 | 10.244.",
            "No tarballs are packed yet",
        ] {
            assert!(readme.contains(part), "{part}: {readme}");
        }
        let checked = run(folder.path(), &["gen", "p.yaml", "--no-images", "--check"]);
        assert!(checked.status.success());
        fs::write(folder.path().join("out/small/README.md"), "mine").unwrap();
        let checked = run(folder.path(), &["gen", "p.yaml", "--no-images", "--check"]);
        assert!(checked.status.code() == Some(1) && text(&checked.stdout).contains("README.md"));
        readme.split_once("## What to do next\n").unwrap().1.to_owned()
    };
    let has = |more: &str, parts: &[&str]| {
        let steps = steps(more);
        let mut rest = steps.as_str();
        for part in parts {
            rest = rest.split_once(part).unwrap_or_else(|| panic!("no {part} there: {steps}")).1;
        }
    };
    has("", &["Commit this folder", "a config drive for each machine", "preload/ENGINE", "kubectl"]);
    has("defaults: {disk: /dev/sda}\n", &["media/install.txt", "preload/ENGINE", "kubectl"]);
    has("defaults: {disk: /dev/sda, install: true}\n", &["--from ISO", "kubectl"]);
    let network = "media: {url: 'http://10.0.0.9:8080'}\ndefaults: {disk: /dev/sda, install: true}\n";
    has(network, &["remuda pxe wrap", "at `http://10.0.0.9:8080`", "kubectl"]);
    has(
        "media: {vagrant: {box_name: box}}\ndefaults: {interface: eth1, dhcp: [eth0]}\n",
        &["remuda iso --all", "vagrant up", "preload/ENGINE"],
    );
}

#[test]
fn help_of_a_verb_within_a_verb_is_the_long_one() {
    let folder = Project::empty();
    for (words, part) in [
        (&["image", "build"][..], "for each architecture among the nodes"),
        (&["image", "fetch"], "continues downloads that broke off"),
        (&["image", "push"], "docker login"),
        (&["image", "verify"], "Removes files that don't match"),
        (&["image", "diff"], "For sites behind thin lines"),
        (&["gen"], "A file whose bytes would not change"),
        (&["iso"], "The out tree must be what the profile says"),
        (&["pxe", "wrap"], "which is as secret as the config"),
    ] {
        let help = text(&ok(folder.path(), &[words, &["--help"]].concat()).stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(part), "{words:?}: {help}");
    }
}

#[test]
fn git_never_takes_a_new_seed() {
    let folder = Project::empty();
    let path = folder.path();
    // In no repository, nothing is written beside it.
    ok(path, &["seed", "new", "plain.seed"]);
    assert!(!path.join(".gitignore").exists());
    let repository = path.join("repository");
    fs::create_dir_all(repository.join("site")).unwrap();
    common::git(&repository, &["init", "-q"]);
    let taken = |name: &str| {
        let words = ["-C", repository.to_str().unwrap(), "status", "--porcelain", "-uall", "--", name];
        text(&std::process::Command::new("git").args(words).output().unwrap().stdout)
    };
    fs::write(repository.join("site/.gitignore"), "other").unwrap();
    for name in ["site/remuda.seed", "site/my [odd] seed*", "site/!back", "site/#not", "site/tail "] {
        ok(&repository, &["seed", "new", name]);
        assert_eq!(taken("."), "?? site/.gitignore\n", "{name}");
    }
    assert!(fs::read_to_string(repository.join("site/.gitignore")).unwrap().starts_with("other\n/remuda.seed\n"));
    // What is ignored already stays as it is.
    fs::write(repository.join(".gitignore"), "*.seed\n").unwrap();
    ok(&repository, &["seed", "new", "ignored.seed"]);
    assert_eq!(fs::read_to_string(repository.join(".gitignore")).unwrap(), "*.seed\n");
    // A seed that exists is the mistake that is told, and nothing is added for it.
    let refused = run(&repository, &["seed", "new", "ignored.seed"]);
    assert!(refused.status.code() == Some(3) && text(&refused.stderr).contains("already exists"));
    // A name that git tracks, also if the file is gone.
    fs::write(repository.join("tracked"), "x").unwrap();
    common::git(&repository, &["add", "tracked"]);
    fs::remove_file(repository.join("tracked")).unwrap();
    let refused = run(&repository, &["seed", "new", "tracked"]);
    let said = text(&refused.stderr);
    assert!(
        refused.status.code() == Some(3) && said.contains("git tracks a file of this name") && said.contains("administrator"),
        "{said}"
    );
    assert!(!repository.join("tracked").exists());
    // A place where nothing can be ignored: the `.gitignore` is a link, which git doesn't follow.
    fs::create_dir(repository.join("linked")).unwrap();
    std::os::unix::fs::symlink("../.gitignore", repository.join("linked/.gitignore")).unwrap();
    let refused = run(&repository, &["seed", "new", "linked/mine"]);
    assert!(refused.status.code() == Some(3) && text(&refused.stderr).contains("isn't a small file"), "{}", text(&refused.stderr));
    assert!(!repository.join("linked/mine").exists());
    // Without git, nobody can say whether it would be taken.
    let output = common::remuda(&repository).args(["seed", "new", "unknown"]).env("PATH", "").output().unwrap();
    assert!(output.status.code() == Some(3) && text(&output.stderr).contains("there is no git"), "{}", text(&output.stderr));
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    ok(&repository, &["seed", "new", "encrypted", "--recipient", recipient]);
    assert!(taken("encrypted").starts_with("??"), "an encrypted one may be in git");
}
