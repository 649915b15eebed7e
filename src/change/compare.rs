//! Two configs of a node → its changes: key by key, flag by flag, item by item.

use super::config::{Config, Said, Thing};
use crate::diagnostic::{contains_secret, names_secret};
use serde::Serialize;
use similar::{ChangeTag, TextDiff};
use std::collections::{BTreeMap, BTreeSet};

/// Longer texts are only counted, not compared line by line; in bytes.
const COMPARED: usize = 1 << 20;
/// Longer values are cut; in characters.
const SHOWN: usize = 160;

/// One change of a node's config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it is about.
    #[serde(flatten)]
    pub thing: Thing,
    /// A key, a flag, or nothing for the whole.
    pub key: String,
    /// What was there; `None` if it is new.
    pub old: Option<String>,
    /// What is there now; `None` if it is gone.
    pub new: Option<String>,
}

/// The changes from one config to another, in the order of their things.
pub(super) fn compare(old: &Config, new: &Config) -> Vec<Change> {
    let things: BTreeSet<&Thing> = old.0.keys().chain(new.0.keys()).collect();
    let none = BTreeMap::new();
    let of_thing = |thing: &Thing| match (old.0.get(thing), new.0.get(thing)) {
        (Some(old), None) if *thing != Thing::Setting => vec![whole(thing, Some(old), None)],
        (None, Some(new)) if *thing != Thing::Setting => vec![whole(thing, None, Some(new))],
        (old, new) => keys(thing, old.unwrap_or(&none), new.unwrap_or(&none)),
    };
    things.into_iter().flat_map(of_thing).collect()
}

/// A service or file that comes or goes.
fn whole(thing: &Thing, old: Option<&BTreeMap<String, Said>>, new: Option<&BTreeMap<String, Said>>) -> Change {
    let what = |keys: &BTreeMap<String, Said>| match keys.get("image") {
        Some(Said::One(image)) => image.clone(),
        _ => String::new(),
    };
    Change { thing: thing.clone(), key: String::new(), old: old.map(what), new: new.map(what) }
}

fn keys(thing: &Thing, old: &BTreeMap<String, Said>, new: &BTreeMap<String, Said>) -> Vec<Change> {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut changes = Vec::new();
    for key in keys {
        let (was, is) = (old.get(key), new.get(key));
        if was == is {
            continue;
        }
        let mut push = |key: &str, old: Option<String>, new: Option<String>| {
            let (old, new) = (old.map(|value| shown(key, value)), new.map(|value| shown(key, value)));
            changes.push(Change { thing: thing.clone(), key: key.to_owned(), old, new });
        };
        match (was, is) {
            (Some(Said::Many(was)), Some(Said::Many(is))) => lists(key, was, is, &mut push),
            (Some(Said::Many(was)), None) => lists(key, was, &[], &mut push),
            (None, Some(Said::Many(is))) => lists(key, &[], is, &mut push),
            (was, is) => {
                let (was, is) = (was.map(one), is.map(one));
                match (&was, &is) {
                    (Some(was), Some(is)) if was.contains('\n') || is.contains('\n') => {
                        let (old, new) = lines(was, is);
                        push(key, Some(old), Some(new));
                    }
                    _ => push(key, was, is),
                }
            }
        }
    }
    changes
}

fn one(said: &Said) -> String {
    match said {
        Said::One(text) => text.clone(),
        Said::Many(items) => items.join(", "),
    }
}

/// Items that come and go. A flag with another value is one change.
fn lists(key: &str, was: &[String], is: &[String], push: &mut impl FnMut(&str, Option<String>, Option<String>)) {
    let (gone, come) = (without(was, is), without(is, was));
    if gone.is_empty() && come.is_empty() {
        push(key, Some("in another order".to_owned()), Some("as it is now".to_owned()));
        return;
    }
    let mut come: Vec<Option<&String>> = come.into_iter().map(Some).collect();
    for gone in gone {
        let name = named(gone);
        let same =
            name.and_then(|(name, _)| come.iter_mut().find(|one| one.and_then(|one| named(one)).is_some_and(|(other, _)| other == name)));
        match (name, same.and_then(Option::take).and_then(|new| named(new))) {
            (Some((name, old)), Some((_, new))) => push(name, Some(old.to_owned()), Some(new.to_owned())),
            _ => push(key, Some(gone.clone()), None),
        }
    }
    for new in come.into_iter().flatten() {
        push(key, None, Some(new.clone()));
    }
}

/// The items of `all` that aren't in `other`, as often as there are more of them.
fn without<'a>(all: &'a [String], other: &[String]) -> Vec<&'a String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    other.iter().for_each(|item| *counts.entry(item).or_default() += 1);
    let is_more = |item: &&String| match counts.get_mut(*item) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    all.iter().filter(is_more).collect()
}

/// Name and value of `--flag=value` and of `VARIABLE=value`.
fn named(item: &str) -> Option<(&str, &str)> {
    let (name, value) = item.split_once('=')?;
    (!name.is_empty() && !name.contains(' ')).then_some((name, value))
}

/// What to say of two texts of several lines.
fn lines(was: &str, is: &str) -> (String, String) {
    let count = |text: &str| format!("{} lines", text.lines().count());
    if was.len().max(is.len()) > COMPARED {
        return (count(was), count(is));
    }
    let diff = TextDiff::from_lines(was, is);
    let tagged = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    (count(was), format!("{} ({} removed, {} added)", count(is), tagged(ChangeTag::Delete), tagged(ChangeTag::Insert)))
}

/// A value as it may be shown: cut, in one line, and no secret that somebody put where none belongs.
fn shown(key: &str, value: String) -> String {
    let is_reference = value.starts_with('/') || value.starts_with("sealed:");
    if !is_reference && (names_secret(key) || contains_secret(&value) || crate::diagnostic::is_private_key(&value)) {
        return "…".to_owned();
    }
    let line = value.replace('\n', "\\n");
    if line.chars().count() > SHOWN { format!("{}…", line.chars().take(SHOWN).collect::<String>()) } else { line }
}
