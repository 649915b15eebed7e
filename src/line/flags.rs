//! The flags that a program knows, from `flags/NAME`, and the feature gates, from `flags/gates`.
//!
//! Lines of several versions share a list: an entry that not all of these know says since or until which it is known.

use crate::line::version;
use std::collections::BTreeMap;

/// What is known of a flag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flag {
    /// Whether the program ignores it, because a config file says the same.
    pub is_unread: bool,
    /// What its value must be; any text if there is none.
    pub kind: Option<ValueKind>,
    /// The words that its value is a list of; any if there are none.
    pub words: Vec<String>,
}

/// What Go's flag parsers take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it.
pub enum ValueKind {
    Bool,
    Int,
    Float,
    Duration,
    Ip,
    Gates,
}

impl ValueKind {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "bool" => Self::Bool,
            "int" => Self::Int,
            "float" => Self::Float,
            "duration" => Self::Duration,
            "ip" => Self::Ip,
            "gates" => Self::Gates,
            _ => return None,
        })
    }

    /// What to write.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Bool => "`true` or `false`",
            Self::Int => "a whole number, like `10`",
            Self::Float => "a number, like `0.5`",
            Self::Duration => "a duration with its unit, like `30s` or `1h30m`",
            Self::Ip => "an address, like `10.0.0.1`",
            Self::Gates => "feature gates, like `NAME=true,OTHER=false`",
        }
    }

    /// Whether Go's `strconv`, `time` and `net` read the text as this.
    pub fn takes(self, text: &str) -> bool {
        match self {
            Self::Bool => matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True" | "0" | "f" | "F" | "false" | "FALSE" | "False"),
            Self::Int => is_integer(text),
            Self::Float => text.parse::<f64>().is_ok(),
            Self::Duration => is_duration(text.strip_prefix(['-', '+']).unwrap_or(text)),
            Self::Ip => text.parse::<std::net::IpAddr>().is_ok(),
            Self::Gates => {
                text.split(',').all(|gate| gate.trim().is_empty() || gate.split_once('=').is_some_and(|(_, value)| Self::Bool.takes(value)))
            }
        }
    }
}

/// In any base that Go's literals have.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let prefixed = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    match prefixed.into_iter().find_map(|(prefix, base)| Some((digits.strip_prefix(prefix)?, base))) {
        Some((digits, base)) => i64::from_str_radix(digits, base).is_ok() && !digits.starts_with(['-', '+']),
        None => text.parse::<i64>().is_ok() && !(digits.len() > 1 && digits.starts_with('0') && digits.contains(['8', '9'])),
    }
}

/// `0`, or numbers with units: Go's time.ParseDuration.
fn is_duration(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (digits, after) = rest.split_at(number);
        let unit = after.len() - after.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.').len();
        let (unit, after) = after.split_at(unit);
        if digits.parse::<f64>().is_err() || !matches!(unit, "ns" | "us" | "µs" | "ms" | "s" | "m" | "h") {
            return text == "0";
        }
        rest = after;
    }
    !text.is_empty()
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
    let mut flags = BTreeMap::new();
    for entry in entries(list, of) {
        let wrong = || entry.isnt("FLAG [unread] [TYPE] [of WORD,WORD]");
        let mut words = entry.words.iter().copied();
        let name = words.next().filter(|name| !name.is_empty()).ok_or_else(wrong)?;
        let mut flag = Flag::default();
        while let Some(word) = words.next() {
            match word {
                "unread" => flag.is_unread = true,
                "of" => flag.words = words.next().ok_or_else(wrong)?.split(',').map(str::to_owned).collect(),
                _ => flag.kind = Some(ValueKind::of(word).ok_or_else(wrong)?),
            }
        }
        flags.insert(name.to_owned(), flag);
    }
    Ok(flags)
}

/// Each feature gate that can be set in this version, with its stage.
pub(super) fn gates(list: &str, of: &str) -> Result<BTreeMap<String, String>, String> {
    let gate = |entry: Entry| match entry.words[..] {
        [name, stage] => Ok((name.to_owned(), stage.to_owned())),
        _ => Err(entry.isnt("GATE STAGE")),
    };
    entries(list, of).map(gate).collect()
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
        let flag = &known("a int of 1,2 since 1.0", "1.0").unwrap()["a"];
        assert_eq!((flag.kind, &flag.words[..]), (Some(ValueKind::Int), &["1".to_owned(), "2".to_owned()][..]));
        assert!(gates("a", "1.0").is_err() && gates("A ALPHA sometimes", "1.0").is_err());
        assert_eq!(gates("A ALPHA until 1.1\nA BETA since 1.2", "1.3").unwrap()["A"], "BETA");
    }

    /// What Go's parsers said of these.
    #[test]
    fn values_are_what_go_takes() {
        let cases: [(ValueKind, &[&str], &[&str]); 5] = [
            (ValueKind::Bool, &["true", "False", "1", "t"], &["yes", "on", "2", "", "tRue"]),
            (ValueKind::Int, &["0", "-1", "+5", "007", "0x1F"], &["", "1.0", "1k", "ten", "0x", "08", "9223372036854775808"]),
            (ValueKind::Float, &["1", "0.5", "-1e3", "inf"], &["", "1,5", "half"]),
            (ValueKind::Duration, &["0", "30s", "1h30m", "-1.5h", "100ms", ".5s"], &["", "30", "s", "1d", "5 s", "1h30", "-"]),
            (ValueKind::Ip, &["10.0.0.1", "::1"], &["", "10.0.0", "localhost", "10.0.0.0/8"]),
        ];
        for (kind, good, bad) in cases {
            good.iter().for_each(|text| assert!(kind.takes(text), "{kind:?} {text:?}"));
            bad.iter().for_each(|text| assert!(!kind.takes(text), "{kind:?} {text:?}"));
        }
    }
}
