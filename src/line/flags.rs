//! The flags that a program knows, from `flags/NAME`, and the feature gates, from `flags/gates`: what programs say of
//! themselves. `values/NAME` adds what only their validation says: bounds, forms, what must go together.
//!
//! Lines of several versions share a list: an entry that not all of these know says since or until which it is known.

use crate::line::value::ValueKind;
use crate::line::version;
use std::collections::BTreeMap;

/// What is known of a flag.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flag {
    /// Whether the program ignores it, because a config file says the same.
    pub is_unread: bool,
    /// What its value must be; any text if there is none.
    pub kind: Option<ValueKind>,
    /// What the program has if nobody sets it.
    pub default: Option<String>,
    /// What it must have to do with other flags.
    pub demands: Vec<Demand>,
}

/// What a flag's value must have to do with another flag.
#[derive(Debug, Clone, PartialEq)]
pub enum Demand {
    /// The value is at least so many times another flag's; `is_more` if it may not be the same.
    Above {
        /// How many times.
        times: f64,
        /// The other flag.
        other: String,
        /// Whether it must be more.
        is_more: bool,
    },
    /// A word of the value needs another flag.
    Needs {
        /// The word.
        word: String,
        /// The other flag.
        other: String,
        /// What it must be; any value if there is none.
        value: Option<String>,
    },
}

/// A feature gate of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Its stage, if the program's help shows it.
    pub stage: Option<String>,
    /// The only value that it can have.
    pub locked: Option<bool>,
}

/// An entry of a list that this version knows.
#[derive(Debug)]
pub struct Entry<'l> {
    line: &'l str,
    number: usize,
    /// Its words, without since and until when it is known.
    pub words: Vec<&'l str>,
}

impl Entry<'_> {
    /// For an error: it doesn't have this form.
    pub fn isnt(&self, form: &str) -> String {
        format!("line {}: `{}` isn't `{form} [since VERSION] [until VERSION]`", self.number, self.line)
    }
}

/// The entries of a list that this version knows.
pub fn entries<'l>(list: &'l str, of: &str) -> impl Iterator<Item = Entry<'l>> {
    let of = minor(of);
    list.lines().enumerate().filter_map(move |(index, line)| {
        let mut words: Vec<&str> = line.split(' ').collect();
        while let [_, .., word @ ("since" | "until"), bound] = words[..] {
            let bound = minor(bound);
            if if word == "since" { of < bound } else { of > bound } {
                return None;
            }
            words.truncate(words.len() - 2);
        }
        Some(Entry { line, number: index + 1, words })
    })
}

/// Each flag that this version knows, without its dashes. An error says which line of the list is wrong.
pub(super) fn known(list: &str, of: &str) -> Result<BTreeMap<String, Flag>, String> {
    let flag = |entry: Entry| {
        let wrong = || entry.isnt("FLAG [unread] [KIND]");
        let mut words = entry.words.iter().copied();
        let name = words.next().filter(|name| !name.is_empty()).ok_or_else(wrong)?;
        let mut flag = Flag::default();
        while let Some(word) = words.next() {
            match word {
                "unread" => flag.is_unread = true,
                _ => flag.kind = Some(ValueKind::read(word, &mut words).ok_or_else(wrong)?),
            }
        }
        Ok((name.to_owned(), flag))
    };
    // Collected, which is faster than one after the other: lists are sorted.
    entries(list, of).map(flag).collect()
}

/// Adds what `values/NAME` says of these flags. Lines that begin with `#` are comments.
pub(super) fn values(list: &str, of: &str, flags: &mut BTreeMap<String, Flag>) -> Result<(), String> {
    for entry in entries(list, of).filter(|entry| entry.words[0] != "#") {
        let wrong = || entry.isnt("FLAG [KIND] [default VALUE] [from|over [TIMES*]FLAG] [WORD needs FLAG[=VALUE]]");
        let mut words = entry.words.iter().copied().peekable();
        let name = words.next().filter(|name| !name.is_empty()).ok_or_else(wrong)?;
        let mut flag = Flag::default();
        while let Some(word) = words.next() {
            let mut next = || words.next().ok_or_else(wrong);
            match word {
                "default" => flag.default = Some(next()?.to_owned()),
                "from" | "over" => {
                    let other = next()?;
                    let (times, other) = other.split_once('*').unwrap_or(("1", other));
                    let times = times.parse().map_err(|_| wrong())?;
                    flag.demands.push(Demand::Above { times, other: other.to_owned(), is_more: word == "over" });
                }
                _ if words.peek() == Some(&"needs") => {
                    words.next();
                    let other = words.next().ok_or_else(wrong)?;
                    let (other, value) = other.split_once('=').map_or((other, None), |(other, value)| (other, Some(value.to_owned())));
                    flag.demands.push(Demand::Needs { word: word.to_owned(), other: other.to_owned(), value });
                }
                _ => flag.kind = Some(ValueKind::read(word, &mut words).ok_or_else(wrong)?),
            }
        }
        // Versions of a program share a list, and not each has all of its flags.
        if let Some(known) = flags.get_mut(name) {
            let is_unread = known.is_unread;
            *known = Flag { is_unread, kind: flag.kind.or(known.kind.take()), ..flag };
        }
    }
    Ok(())
}

/// Each feature gate that this version's help shows, with its stage.
pub(super) fn gates(list: &str, of: &str) -> Result<BTreeMap<String, Gate>, String> {
    let gate = |entry: Entry| match entry.words[..] {
        [name, stage] => Ok((name.to_owned(), Gate { stage: Some(stage.to_owned()), locked: None })),
        _ => Err(entry.isnt("GATE STAGE")),
    };
    entries(list, of).map(gate).collect()
}

/// Adds the gates that `values/gates` has: those that no help shows, and the only value of those that are locked.
pub(super) fn locks(list: &str, of: &str, gates: &mut BTreeMap<String, Gate>) -> Result<(), String> {
    for entry in entries(list, of).filter(|entry| entry.words[0] != "#") {
        let (name, locked) = match entry.words[..] {
            [name, "free"] => (name, None),
            [name, "true"] => (name, Some(true)),
            [name, "false"] => (name, Some(false)),
            _ => return Err(entry.isnt("GATE free|true|false")),
        };
        gates.entry(name.to_owned()).or_insert(Gate { stage: None, locked: None }).locked = locked;
    }
    Ok(())
}

fn minor(of: &str) -> Vec<u64> {
    let mut parts = version(of);
    parts.truncate(2);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_of_several_versions() {
        let list = "address\nold until 1.36\nnew unread since 1.36\nbetween since 1.10 until 1.35";
        let names = |of| known(list, of).unwrap().into_keys().collect::<Vec<_>>();
        assert_eq!(names("1.35.4"), ["address", "between", "old"]);
        assert_eq!(names("1.36.3"), ["address", "new", "old"]);
        assert_eq!(names("1.37.0"), ["address", "new"]);
        assert!(known(list, "1.36.3").unwrap()["new"].is_unread);
    }

    #[test]
    fn a_line_of_a_list_is_well_formed() {
        for wrong in ["a\n\nb", "a since", "a soon", "a  unread", "a of"] {
            assert!(known(wrong, "1.0").is_err(), "{wrong}");
        }
        let flag = &known("a of 1,2 since 1.0", "1.0").unwrap()["a"];
        assert_eq!(flag.kind, Some(ValueKind::List(vec!["1".to_owned(), "2".to_owned()])));
        assert!(gates("a", "1.0").is_err() && gates("A ALPHA sometimes", "1.0").is_err());
        assert_eq!(gates("A ALPHA until 1.1\nA BETA since 1.2", "1.3").unwrap()["A"].stage.as_deref(), Some("BETA"));
    }

    #[test]
    fn values_are_added_to_flags() {
        let mut flags = known("a int\nb unread\nc of x,y", "1.0").unwrap();
        values("# from its source\na int 1..5 default 2 over 1.5*b since 1.0\nb default 1\nc x needs a=1\nother int", "1.0", &mut flags)
            .unwrap();
        assert_eq!(flags.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(flags["a"].default.as_deref(), Some("2"));
        assert_eq!(flags["a"].demands, [Demand::Above { times: 1.5, other: "b".to_owned(), is_more: true }]);
        assert!(flags["b"].is_unread && flags["c"].kind.is_some());
        assert_eq!(flags["c"].demands, [Demand::Needs { word: "x".to_owned(), other: "a".to_owned(), value: Some("1".to_owned()) }]);
        for wrong in ["a default", "a over", "a over x*b", "a x needs", "a int 1..x", "a soon"] {
            assert!(values(wrong, "1.0", &mut flags).is_err(), "{wrong}");
        }
        let mut gates = gates("A ALPHA\nB BETA", "1.0").unwrap();
        locks("# hidden\nB true\nC free\nD false since 1.1", "1.0", &mut gates).unwrap();
        assert_eq!(gates.len(), 3);
        assert_eq!(gates["B"], Gate { stage: Some("BETA".to_owned()), locked: Some(true) });
        assert!(locks("A maybe", "1.0", &mut gates).is_err());
    }
}
