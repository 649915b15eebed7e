//! The arrows among the rooms of `src/` run one way: a room uses only rooms above it in the list of `src/lib.rs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const HOUSE: &str = include_str!("../src/lib.rs");

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The rooms as `src/lib.rs` lists them.
fn rooms() -> Vec<&'static str> {
    HOUSE.lines().filter_map(|line| line.strip_prefix("//! - [`")?.split('`').next()).collect()
}

/// Every Rust file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(path);
        }
    }
    all.sort();
    all
}

/// The code of a file: no comments, and none of its unit tests, which may use the whole house.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The rooms that a text names, as `crate::ROOM`.
fn named(text: &str) -> BTreeSet<&str> {
    let rest = text.split("crate::").skip(1);
    rest.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()).collect()
}

/// The rooms that `text`, code of `room`, uses and that don't stand above it.
fn against<'t>(rooms: &[&str], room: &str, text: &'t str) -> Vec<&'t str> {
    let place = |name: &str| rooms.iter().position(|room| *room == name);
    let own = place(room).unwrap_or_else(|| panic!("src/lib.rs doesn't list {room}"));
    named(text).into_iter().filter(|used| place(used).is_none_or(|used| used > own)).collect()
}

#[test]
fn every_room_is_in_the_list_once() {
    let listed = rooms();
    let there: BTreeSet<String> =
        HOUSE.lines().filter_map(|line| Some(line.strip_prefix("pub mod ")?.trim_end_matches(';').to_owned())).collect();
    assert_eq!(listed.len(), there.len());
    assert_eq!(listed.iter().map(|room| (*room).to_owned()).collect::<BTreeSet<_>>(), there);
}

#[test]
fn a_room_uses_only_rooms_above_it() {
    let rooms = rooms();
    let mut seen = 0;
    for path in files(&src()) {
        let below = path.strip_prefix(src()).unwrap();
        let room = below.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if ["lib", "main"].contains(&room) || below.ends_with("tests.rs") {
            continue;
        }
        let code = code(&std::fs::read_to_string(&path).unwrap());
        let against = against(&rooms, room, &code);
        assert!(against.is_empty(), "{} uses {against:?}, which src/lib.rs lists below {room}", below.display());
        seen += named(&code).len();
    }
    assert!(seen > 200, "{seen}");
}

/// In `plan/`, what decides doesn't know what checks.
#[test]
fn no_room_that_decides_uses_one_that_checks() {
    let deciding = files(&src().join("plan/decide"));
    assert!(deciding.len() > 10);
    for path in deciding {
        let code = code(&std::fs::read_to_string(&path).unwrap());
        assert!(!code.contains("check::"), "{} uses a room of plan/check", path.display());
    }
}

#[test]
fn an_arrow_the_other_way_is_seen() {
    let rooms = rooms();
    assert_eq!(against(&rooms, "profile", "use crate::plan::Cluster;"), ["plan"]);
    assert_eq!(against(&rooms, "os", "use crate::{diagnostic};\nlet x = crate::cli::run;"), ["", "cli"]);
    assert!(against(&rooms, "plan", "use crate::profile::Profile;\nuse crate::plan::Node;").is_empty());
}
