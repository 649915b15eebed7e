use super::refused::{self, refused};
use crate::diagnostic::{SourceId, Span};
use crate::target::{Kind, Target};
use serde_json::Value;
use std::collections::BTreeMap;

const SPAN: Span = Span { source: SourceId(0), start: 0, end: 0 };

/// The OS's own schema of a target's config.
fn os_schema(target: &Target) -> Value {
    let text = match target.name {
        "rancheros-1.5" => include_str!("../../../tests/schema/rancheros-1.5.8.json"),
        // BurmillaOS 3.0 has the types of 2.0.
        _ => include_str!("../../../tests/schema/burmillaos-2.0.json"),
    };
    serde_json::from_str(text).unwrap()
}

/// The type of each key in the schema, by path.
fn leaves(root: &Value, path: &str, at: &Value, all: &mut BTreeMap<String, String>) {
    let at = match at["$ref"].as_str() {
        Some(reference) => &root["definitions"][reference.rsplit('/').next().unwrap()],
        None => at,
    };
    let Some(properties) = at["properties"].as_object() else {
        let kind = at["type"].as_str().or(at["type"][0].as_str()).unwrap();
        all.insert(path.to_owned(), kind.to_owned());
        return;
    };
    for (name, inner) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        leaves(root, &path, inner, all);
    }
}

/// Whether `os` refuses the key, or a section that it is in.
fn is_refused(path: &str) -> bool {
    let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
    ends.into_iter().any(|end| refused(&path[..end], SPAN).is_some())
}

#[test]
fn every_key_of_the_oss_schema_is_known_or_refused() {
    for target in Target::all() {
        let schema = os_schema(target);
        let mut keys = BTreeMap::new();
        leaves(&schema, "", &schema, &mut keys);
        assert!(keys.len() > 100, "{}", keys.len());
        for path in keys.keys() {
            assert_ne!(target.config().get(path).is_some(), is_refused(path), "{}: {path}", target.name);
        }
        for (path, key) in target.config().iter() {
            let expected = match key.kind {
                Kind::Flag => "boolean",
                Kind::Count | Kind::Port => "integer",
                Kind::Text | Kind::Word | Kind::Path | Kind::Url => "string",
                Kind::Texts | Kind::Words | Kind::Variables | Kind::Arguments | Kind::Commands | Kind::Mounts => "array",
                Kind::Pairs | Kind::Switches | Kind::Repositories | Kind::Accounts => "object",
            };
            assert_eq!(keys.get(path).map(String::as_str), Some(expected), "{}: {path}", target.name);
            assert!(key.about.ends_with('.'), "{path}");
        }
    }
}

#[test]
fn the_targets_agree_on_the_type_of_a_key() {
    let [one, others @ ..] = &Target::all().collect::<Vec<_>>()[..] else { panic!("no targets") };
    for (path, key) in one.config().iter() {
        for same in others.iter().filter_map(|other| other.config().get(path)) {
            assert_eq!(key.kind, same.kind, "{path}");
        }
    }
}

#[test]
fn a_section_names_its_keys_and_refused_ones_are_suggested_too() {
    let config = Target::find("rancheros-1.5").unwrap().config();
    assert_eq!(config.within(""), ["bootcmd", "mounts", "rancher", "runcmd"]);
    assert_eq!(config.within("rancher.ssh"), ["daemon", "listen_address", "port"]);
    assert!(config.within("rancher.ss").is_empty());
    assert!(refused::within("").any(|name| name == "hostname"));
    assert!(refused::within("rancher.ssh").eq(["keys"]));
}
