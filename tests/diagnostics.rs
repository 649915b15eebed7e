//! Every diagnostic: a bad profile in `diagnostics/AREA/`, and beside it what remuda says of it. The profile's first
//! line names the codes that it is there for: `# shows: CODE, CODE`.
//! `INSTA_UPDATE=always cargo test --test diagnostics` rewrites the expected renderings.

use remuda::diagnostic::{AREAS, Code};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A bad profile: its folder, and its file's name without `.yaml`.
struct Bad {
    folder: PathBuf,
    name: String,
}

impl Bad {
    /// What `validate` says of it, or `gen` where a cluster runs already.
    fn judge(&self, more: &[&str]) -> Output {
        if self.folder.ends_with("change") {
            return self.change(more);
        }
        let mut remuda = Command::new(env!("CARGO_BIN_EXE_remuda"));
        let file = format!("{}.yaml", self.name);
        // A Helm that is played, and neither kustomize nor kubectl.
        remuda.env("PATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/programs"));
        remuda.current_dir(&self.folder).arg("validate").arg(file).args(more).env_remove("NO_COLOR").output().expect("remuda runs")
    }

    /// What `gen` says of it in a tree that was made of `CODE.before.yml` or `before.yml`.
    fn change(&self, more: &[&str]) -> Output {
        let work = tempfile::tempdir().unwrap();
        let copy = |from: &Path, to: &str| std::fs::copy(from, work.path().join(to)).unwrap();
        let file = format!("{}.yaml", self.name);
        let own = self.folder.join(format!("{}.before.yml", self.name));
        copy(&if own.exists() { own } else { self.folder.join("before.yml") }, "before.yml");
        copy(&self.folder.join(&file), &file);
        let generate = |words: &[&str]| {
            let mut remuda = Command::new(env!("CARGO_BIN_EXE_remuda"));
            remuda.current_dir(work.path()).args(["gen", "--no-images"]).args(words).env_remove("NO_COLOR").env_remove("REMUDA_SEED_FILE");
            remuda.output().expect("remuda runs")
        };
        assert!(generate(&["before.yml"]).status.success(), "{}", self.name);
        let text = std::fs::read_to_string(work.path().join(&file)).unwrap();
        let cluster = text.lines().find_map(|line| line.strip_prefix("cluster: ")).unwrap();
        std::fs::rename(work.path().join("out/running"), work.path().join("out").join(cluster)).unwrap();
        let mut words = vec![file.as_str()];
        words.extend(more);
        generate(&words)
    }

    /// What it's told, as `--format json` has it.
    fn diagnostics(&self) -> Vec<serde_json::Value> {
        let output = self.judge(&["--format", "json"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        json["diagnostics"].as_array().unwrap().clone()
    }

    /// The codes in its first line.
    fn shows(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.join(format!("{}.yaml", self.name))).unwrap();
        let codes = text.lines().next().and_then(|line| line.strip_prefix("# shows: "));
        let codes = codes.unwrap_or_else(|| panic!("the first line of {} isn't `# shows: CODE`", self.name));
        codes.split(", ").map(str::to_owned).collect()
    }
}

fn bad_profiles() -> Vec<Bad> {
    let areas = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut found = Vec::new();
    for folder in areas.read_dir().unwrap().map(|area| area.unwrap().path()) {
        let files = folder.read_dir().unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let names = files.filter_map(|file| file.strip_suffix(".yaml").map(str::to_owned));
        found.extend(names.map(|name| Bad { folder: folder.clone(), name }));
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(found.len() > 70);
    found
}

/// Codes that no profile has: `certificates-end` needs a day of its own (tests/pki.rs), `image-content` images to pack
/// (tests/images.rs), `line` a broken release line (src/line/tests.rs has several), `seed-change` another seed (tests/plan.rs), and those of cloud-configs are in
/// tests/import.
fn of_no_profile() -> Vec<&'static str> {
    let import = AREAS.iter().filter(|area| area.name == "import").flat_map(|area| area.codes);
    import.map(|code| code.name()).chain(["certificates-end", "image-content", "line", "seed-change"]).collect()
}

#[test]
fn each_bad_profile_is_refused_or_warned_of_as_expected() {
    for bad in bad_profiles() {
        let name = &bad.name;
        let output = bad.judge(&[]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.stdout.is_empty(), "{name}: messages go to stderr");
        let is_error = text.contains("\nerror[") || text.starts_with("error[");
        assert_eq!(output.status.code(), Some(i32::from(is_error)), "{name}: {text}");
        insta::with_settings!({ snapshot_path => &bad.folder, prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name.as_str(), text);
        });
    }
}

#[test]
fn each_bad_profile_shows_what_its_first_line_says_and_each_code_has_one() {
    let mut shown = BTreeSet::new();
    for bad in bad_profiles() {
        let codes: BTreeSet<String> = bad.diagnostics().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect();
        for code in bad.shows() {
            assert!(codes.contains(&code), "{} doesn't show {code}, only {codes:?}", bad.name);
            shown.insert(code);
        }
    }
    let unshown: Vec<_> = Code::all().map(Code::name).filter(|code| !shown.contains(*code) && !of_no_profile().contains(code)).collect();
    assert!(unshown.is_empty(), "no bad profile shows {unshown:?}");
}

#[test]
fn ten_mistakes_are_ten_errors_in_one_run() {
    let bad = bad_profiles().into_iter().find(|bad| bad.name == "ten-mistakes").unwrap();
    let errors: Vec<_> = bad.diagnostics().into_iter().filter(|one| one["severity"] == "error").collect();
    assert_eq!(errors.len(), 10, "{errors:#?}");
    for error in errors {
        assert!(error["line"].as_u64().unwrap() > 0 && error["column"].as_u64().unwrap() > 0);
        assert!(error["help"].is_string() && error["why"].is_string(), "{error:#}");
    }
}

#[test]
fn the_reference_in_docs_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diagnostics.md");
    let reference = explain(&["--reference"]).0;
    if std::env::var_os("INSTA_UPDATE").is_some_and(|value| value == "always") {
        std::fs::write(&path, &reference).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), reference, "INSTA_UPDATE=always cargo test rewrites it");
}

#[test]
fn each_code_is_explained_with_a_profile_that_has_it() {
    for code in Code::all() {
        let (page, _) = explain(&[code.name()]);
        assert!(page.contains(&format!("[{}]\n", code.name())), "{page}");
        let Some(bad) = bad_profiles().into_iter().find(|bad| bad.name == code.name()) else {
            assert!(of_no_profile().contains(&code.name()), "{}", code.name());
            continue;
        };
        assert!(bad.shows().iter().any(|shown| shown == code.name()), "{}", code.name());
        let profile = std::fs::read_to_string(bad.folder.join(format!("{}.yaml", bad.name))).unwrap();
        for line in profile.lines().skip(1) {
            assert!(page.contains(&format!("\n    {line}\n")), "{page}");
        }
        assert!(!page.contains("# shows"), "{page}");
    }
}

#[test]
fn a_name_that_is_no_code_is_a_nodes_and_with_a_profile_always() {
    assert!(explain(&["node-01"]).0.starts_with("node       node-01 "));
    let (page, message) = explain(&["unknown-servise"]);
    assert!(page.is_empty() && message.contains("did you mean unknown-service?"), "{message}");
    let (page, message) = explain(&["unknown-service", "--profile", "profiles/edge.yaml"]);
    assert!(page.is_empty() && message.contains("has no node unknown-service"), "{message}");
    let (page, message) = explain(&["unknown-service", "kubelet"]);
    assert!(page.is_empty() && message.contains("has no node unknown-service"), "{message}");
}

/// What `remuda explain` prints, and what it says of a failure.
fn explain(args: &[&str]) -> (String, String) {
    let mut remuda = Command::new(env!("CARGO_BIN_EXE_remuda"));
    let output = remuda.current_dir(env!("CARGO_MANIFEST_DIR")).arg("explain").args(args).output().expect("remuda runs");
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}
