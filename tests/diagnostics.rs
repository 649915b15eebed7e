//! Every diagnostic: a bad profile in `diagnostics/AREA/`, and beside it what remuda says of it. The profile's first
//! line names the codes that it is there for: `# shows: CODE, CODE`.
//! `INSTA_UPDATE=always cargo test --test diagnostics` rewrites the expected renderings.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A bad profile: its folder, and its file's name without `.yaml`.
struct Bad {
    folder: PathBuf,
    name: String,
}

impl Bad {
    fn validate(&self, more: &[&str]) -> Output {
        let mut remuda = Command::new(env!("CARGO_BIN_EXE_remuda"));
        let file = format!("{}.yaml", self.name);
        remuda.current_dir(&self.folder).arg("validate").arg(file).args(more).env_remove("NO_COLOR").output().expect("remuda runs")
    }

    /// What it's told, as `--format json` has it.
    fn diagnostics(&self) -> Vec<serde_json::Value> {
        let output = self.validate(&["--format", "json"]);
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

#[test]
fn each_bad_profile_is_refused_or_warned_of_as_expected() {
    for bad in bad_profiles() {
        let name = &bad.name;
        let output = bad.validate(&[]);
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
    let known = codes_in_source();
    // This needs a broken release line: it is tested beside its code.
    let unshown: Vec<_> = known.iter().filter(|code| !shown.contains(*code) && *code != "line").collect();
    assert!(unshown.is_empty(), "no bad profile shows {unshown:?}");
}

/// Every `Diagnostic::error("code"` and `warning("code"` in src.
fn codes_in_source() -> BTreeSet<String> {
    fn visit(folder: &Path, codes: &mut BTreeSet<String>) {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, codes);
            } else if path.extension().is_some_and(|extension| extension == "rs") && path.file_stem().unwrap() != "tests" {
                let text = std::fs::read_to_string(path).unwrap();
                for (at, _) in text.match_indices("Diagnostic::error(").chain(text.match_indices("Diagnostic::warning(")) {
                    let rest = text[at..].split_once('(').unwrap().1.trim_start();
                    if let Some(code) = rest.strip_prefix('"') {
                        codes.insert(code.split('"').next().unwrap().to_owned());
                    }
                }
            }
        }
    }
    let mut codes = BTreeSet::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut codes);
    assert!(codes.len() > 60);
    codes
}

#[test]
fn ten_mistakes_are_ten_errors_in_one_run() {
    let bad = bad_profiles().into_iter().find(|bad| bad.name == "ten-mistakes").unwrap();
    let errors: Vec<_> = bad.diagnostics().into_iter().filter(|one| one["severity"] == "error").collect();
    assert_eq!(errors.len(), 10, "{errors:#?}");
    for error in errors {
        assert!(error["line"].as_u64().unwrap() > 0 && error["column"].as_u64().unwrap() > 0);
        assert!(error["mend"].is_string() && error["why"].is_string(), "{error:#}");
    }
}
