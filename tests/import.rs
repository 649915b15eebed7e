//! `remuda import`: the cloud-configs in `import/CASE/`, and beside them the profile that remuda makes of them
//! (`profile.yaml`, if it makes one) and what it says (`messages.txt`).
//! `INSTA_UPDATE=always cargo test --test import` rewrites both.

mod common;

use common::{Project, run, text};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import");
    let mut cases: Vec<PathBuf> = folder.read_dir().unwrap().map(|case| case.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() > 15);
    cases
}

/// The configs of a case, by path in it.
fn configs(case: &Path) -> Vec<String> {
    let mut configs: Vec<String> = common::files(case).into_keys().map(|path| path.to_str().unwrap().to_owned()).collect();
    configs.retain(|path| !["profile.yaml", "messages.txt"].contains(&path.as_str()));
    configs
}

fn import(case: &Path, more: &[&str]) -> Output {
    let configs = configs(case);
    let words: Vec<&str> = ["import"].into_iter().chain(configs.iter().map(String::as_str)).chain(more.iter().copied()).collect();
    run(case, &words)
}

/// Compares with what is expected, or rewrites it; nothing is expected to be no file.
fn expect(file: &Path, is: &str) {
    if std::env::var_os("INSTA_UPDATE").is_some_and(|value| value == "always") {
        let _ = std::fs::remove_file(file);
        if !is.is_empty() {
            std::fs::write(file, is).unwrap();
        }
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        expected == is,
        "{}: INSTA_UPDATE=always rewrites it\n{}",
        file.display(),
        similar::TextDiff::from_lines(expected.as_str(), is).unified_diff()
    );
}

#[test]
fn each_case_gives_the_profile_and_the_messages_beside_it() {
    for case in cases() {
        let output = import(&case, &[]);
        let (profile, messages) = (text(&output.stdout), text(&output.stderr));
        assert!(!messages.contains("not-a-real"), "{}: a secret is in a message\n{messages}", case.display());
        assert!(!messages.contains("panicked"), "{}: {messages}", case.display());
        expect(&case.join("profile.yaml"), &profile);
        expect(&case.join("messages.txt"), &messages);
        let has_errors = messages.contains("\nerror[") || messages.starts_with("error[");
        assert_eq!(output.status.code(), Some(i32::from(has_errors)), "{}: {messages}", case.display());
    }
}

#[test]
fn validate_says_the_same_of_the_profile() {
    for case in cases() {
        let output = import(&case, &[]);
        if output.stdout.is_empty() {
            continue;
        }
        let project = Project::empty();
        std::fs::write(project.path().join("profile.yaml"), &output.stdout).unwrap();
        let validated = run(project.path(), &["validate", "profile.yaml"]);
        assert_eq!(output.status.code(), validated.status.code(), "{}: {}", case.display(), text(&validated.stderr));
        let mut heads: BTreeSet<String> = heads(&text(&validated.stderr));
        heads.retain(|head| !text(&output.stderr).contains(head.as_str()));
        assert!(heads.is_empty(), "{}: {heads:?}", case.display());
    }
}

/// The first lines of all messages.
fn heads(messages: &str) -> BTreeSet<String> {
    messages.lines().filter(|line| line.starts_with("error[") || line.starts_with("warning[")).map(str::to_owned).collect()
}

#[test]
fn no_private_key_or_password_is_in_a_profile_unless_a_warning_says_so() {
    let case = cases().into_iter().find(|case| case.ends_with("secrets")).unwrap();
    let output = import(&case, &[]);
    let (profile, messages) = (text(&output.stdout), text(&output.stderr));
    assert!(!profile.contains("PRIVATE KEY"));
    let kept = profile.matches("not-a-real").count();
    assert_eq!(kept, messages.matches("warning[secret-imported]").count(), "{messages}");
    assert!(messages.matches("warning[secret-not-imported]").count() >= 7, "{messages}");
}

#[test]
fn the_profile_goes_to_a_new_file_whose_name_is_the_clusters() {
    let case = cases().into_iter().find(|case| case.ends_with("bonds")).unwrap();
    let project = Project::empty();
    let output = project.path().join("My_Rack.yaml");
    let first = import(&case, &["-o", output.to_str().unwrap()]);
    assert!(first.stdout.is_empty());
    let profile = std::fs::read_to_string(&output).unwrap();
    assert!(profile.contains("\ncluster: my-rack\n"), "{profile}");
    assert!(text(&first.stderr).contains("My_Rack.yaml"), "messages name the file: {}", text(&first.stderr));
    let second = import(&case, &["-o", output.to_str().unwrap()]);
    assert_eq!(second.status.code(), Some(2));
    assert!(text(&second.stderr).contains("doesn't overwrite"), "{}", text(&second.stderr));
    assert_eq!(std::fs::read_to_string(&output).unwrap(), profile);
}

#[test]
fn the_target_is_the_configs_own_or_as_asked() {
    let case = |name: &str| cases().into_iter().find(|case| case.ends_with(name)).unwrap();
    assert!(text(&import(&case("mounts"), &[]).stdout).contains("\ntarget: burmillaos-2.0   # a guess: by config.yml:"));
    assert!(text(&import(&case("bonds"), &[]).stdout).contains("\ntarget: rancheros-1.5   # a guess"));
    assert!(text(&import(&case("bonds"), &["--target", "burmillaos-2.0"]).stdout).contains("\ntarget: burmillaos-2.0\n"));
    assert_eq!(import(&case("bonds"), &["--target", "other"]).status.code(), Some(2));
}

#[test]
fn what_cant_be_read_is_an_error_of_the_world() {
    let project = Project::empty();
    let output = run(project.path(), &["import", "nothing.yml"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("nothing.yml"), "{}", text(&output.stderr));
    std::fs::write(project.path().join("large.yml"), vec![b'#'; (4 << 20) + 1]).unwrap();
    let output = run(project.path(), &["import", "large.yml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("error[too-large]"), "{}", text(&output.stderr));
}

/// The configs that remuda itself makes: a profile of them makes the same again.
#[test]
fn remudas_own_configs_become_a_profile_that_makes_them_again() {
    for cluster in ["vagrant", "rancheros"] {
        let nodes = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{cluster}/nodes"));
        let project = Project::empty();
        let profile = project.path().join(format!("{cluster}.yaml"));
        let configs = ["node-01/cloud-config.yml", "node-02/cloud-config.yml", "node-03/cloud-config.yml"];
        let words = [&["import", "-o", profile.to_str().unwrap()], &configs[..]].concat();
        let output = run(&nodes, &words);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(!std::fs::read_to_string(&profile).unwrap().contains("\n    services:"));
        common::ok(project.path(), &["gen", profile.to_str().unwrap(), "--no-images", "--no-seal"]);
        for config in configs {
            let made = std::fs::read_to_string(project.path().join(format!("out/{cluster}/nodes/{config}"))).unwrap();
            assert!(std::fs::read_to_string(nodes.join(config)).unwrap() == made, "{cluster}: {config} differs");
        }
    }
}

#[test]
fn each_code_of_import_is_in_a_case() {
    let messages: String = cases().iter().map(|case| std::fs::read_to_string(case.join("messages.txt")).unwrap_or_default()).collect();
    for code in remuda::diagnostic::AREAS.iter().filter(|area| area.name == "import").flat_map(|area| area.codes) {
        assert!(messages.contains(&format!("[{}]", code.name())), "no case shows {}", code.name());
    }
}
