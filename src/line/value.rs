//! What the values of flags must be, as a program reads and checks them: a small vocabulary, in which `values/NAME` says
//! what each flag of a program takes.

use crate::diagnostic::closest;

/// What a program takes as a flag's value.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // The names say it.
pub enum ValueKind {
    Bool,
    Int(Range),
    Float(Range),
    Duration(Range),
    Ip,
    /// One or several of them; of Kubernetes itself, if there are none here.
    Gates(Vec<String>),
    /// `8Gi`, `100m`.
    Quantity,
    /// What a part of something may be: `10%`, or a quantity.
    Threshold,
    /// `FIRST-LAST`, `FIRST+COUNT` or one port.
    Ports,
    Urls,
    /// `0-3,5`.
    Cpus,
    /// Names with `=` and a kind of value; any name, if there are none here.
    Pairs(Box<ValueKind>, Vec<String>),
    /// Signals with `<` and a threshold.
    Signals(Vec<String>),
    /// `KEY[=VALUE]:EFFECT`.
    Taints,
    /// `[COMPONENT=]MAJOR.MINOR`, between these two.
    Version(Range),
    One(Vec<String>),
    List(Vec<String>),
    /// A list in which no word is twice.
    Once(Vec<String>),
    /// `GROUP/VERSION[/RESOURCE]`, each with `=` and whether it is served.
    Apis(Vec<String>),
    /// As a list, and `*` for all, `-WORD` for all but one.
    Switches(Vec<String>),
    /// Patterns in which `*` is any text.
    Like(Vec<String>),
    /// Both of them do.
    Either(Box<ValueKind>, Box<ValueKind>),
}

/// Between two numbers, each with its text; `..` is any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Range {
    least: Option<(f64, String)>,
    most: Option<(f64, String)>,
}

/// Why a value isn't taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The word in it, if the rest is fine.
    pub word: Option<String>,
    /// What to write instead.
    pub help: String,
}

impl Range {
    fn of(text: &str, read: impl Fn(&str) -> Option<f64>) -> Option<Self> {
        let (least, most) = text.split_once("..")?;
        let bound = |text: &str| match text {
            "" => Some(None),
            _ => Some(Some((read(text)?, text.to_owned()))),
        };
        Some(Self { least: bound(least)?, most: bound(most)? })
    }

    fn has(&self, number: f64) -> bool {
        self.least.as_ref().is_none_or(|(least, _)| number >= *least) && self.most.as_ref().is_none_or(|(most, _)| number <= *most)
    }

    /// `, like …`, or where it begins and ends.
    fn expected(&self, example: &str) -> String {
        match (&self.least, &self.most) {
            (None, None) => format!(", like {example}"),
            (Some((_, least)), None) => format!(", `{least}` or more"),
            (None, Some((_, most))) => format!(", `{most}` or less"),
            (Some((_, least)), Some((_, most))) => format!(" from `{least}` to `{most}`"),
        }
    }
}

impl ValueKind {
    /// Reads what it is from a list's words, and takes those that belong to it.
    pub(super) fn read<'w>(word: &str, words: &mut (impl Iterator<Item = &'w str> + Clone)) -> Option<Self> {
        // A range is there only where it narrows something.
        fn range<'w>(words: &mut (impl Iterator<Item = &'w str> + Clone), read: impl Fn(&str) -> Option<f64>) -> Option<Range> {
            match words.clone().next().filter(|word| word.contains("..")) {
                Some(text) => {
                    words.next();
                    Range::of(text, read)
                }
                None => Some(Range::default()),
            }
        }
        let mut names = |between: char| Some(words.next()?.split(between).map(str::to_owned).collect::<Vec<_>>());
        Some(match word {
            "bool" => Self::Bool,
            "int" => Self::Int(range(words, integer)?),
            "float" => Self::Float(range(words, float)?),
            "duration" => Self::Duration(range(words, duration)?),
            "version" => Self::Version(range(words, minor)?),
            "ip" => Self::Ip,
            "gates" => Self::Gates(Vec::new()),
            "gates-of" => Self::Gates(names(',')?),
            "quantity" => Self::Quantity,
            "ports" => Self::Ports,
            "urls" => Self::Urls,
            "cpus" => Self::Cpus,
            "taints" => Self::Taints,
            "quantities" => Self::Pairs(Box::new(Self::Quantity), Vec::new()),
            "quantities-of" => Self::Pairs(Box::new(Self::Quantity), names(',')?),
            "integers" => Self::Pairs(Box::new(Self::Int(Range::default())), Vec::new()),
            "bools" => Self::Pairs(Box::new(Self::Bool), Vec::new()),
            "durations-of" => Self::Pairs(Box::new(Self::Duration(Range::default())), names(',')?),
            "signals-of" => Self::Signals(names(',')?),
            "thresholds-of" => Self::Pairs(Box::new(Self::Threshold), names(',')?),
            "one" => Self::One(names(',')?),
            "of" => Self::List(names(',')?),
            "once" => Self::Once(names(',')?),
            "apis" => Self::Apis(names(',')?),
            "switches" => Self::Switches(names(',')?),
            "like" => Self::Like(names('|')?),
            "either" => {
                let mut kind = || {
                    let word = words.next()?;
                    Self::read(word, words)
                };
                Self::Either(Box::new(kind()?), Box::new(kind()?))
            }
            _ => return None,
        })
    }

    /// What to write.
    pub fn expected(&self) -> String {
        let names = |names: &[String]| match names {
            [] => String::new(),
            _ => format!(", of {}", names.join(", ")),
        };
        match self {
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Int(range) => format!("a whole number{}", range.expected("`10`")),
            Self::Float(range) => format!("a number{}", range.expected("`0.5`")),
            Self::Duration(range) => format!("a duration with its unit{}", range.expected("`30s` or `1h30m`")),
            Self::Version(range) => format!("a version{}", range.expected("`1.36`")),
            Self::Ip => "an address, like `10.0.0.1`".to_owned(),
            Self::Gates(_) => "feature gates, like `NAME=true,OTHER=false`".to_owned(),
            Self::Quantity => "a quantity, like `500m` or `1Gi`".to_owned(),
            Self::Threshold => "a share or a quantity, like `10%` or `500Mi`".to_owned(),
            Self::Ports => "two ports, like `30000-32767`".to_owned(),
            Self::Urls => "URLs, like `http://127.0.0.1:2381`".to_owned(),
            Self::Cpus => "numbers of processors, like `0-3,5`".to_owned(),
            Self::Pairs(kind, of) => format!("`NAME=VALUE` with commas between them{}; a value is {}", names(of), kind.expected()),
            Self::Signals(of) => format!("`SIGNAL<THRESHOLD` with commas between them, like `memory.available<100Mi`{}", names(of)),
            Self::Taints => "taints, like `KEY=VALUE:NoSchedule`".to_owned(),
            Self::One(words) => format!("one of {}", words.join(", ")),
            Self::Apis(_) => "API groups and versions, like `GROUP/VERSION=true`".to_owned(),
            Self::List(words) | Self::Once(words) | Self::Switches(words) => {
                format!("some of {}, with commas and without spaces between them", words.join(", "))
            }
            Self::Like(patterns) => {
                patterns.iter().map(|pattern| format!("`{}`", pattern.replace('*', "…"))).collect::<Vec<_>>().join(" or ")
            }
            Self::Either(one, other) => format!("{}, or {}", one.expected(), other.expected()),
        }
    }

    /// Whether, and why not, a program takes the text as this.
    pub fn misfit(&self, text: &str) -> Option<Misfit> {
        if self.takes(text) {
            return None;
        }
        let known = |word: &str, words: &[String]| {
            let help = match closest(word, words.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("it knows {}", words.join(", ")),
            };
            Some(Misfit { word: Some(word.to_owned()), help })
        };
        let unknown = |words: &[String]| text.split(',').find(|word| !words.iter().any(|known| known == word)).map(str::to_owned);
        let word = match self {
            Self::One(words) => known(text, words),
            Self::List(words) | Self::Once(words) => unknown(words).and_then(|word| known(&word, words)),
            Self::Switches(words) => {
                text.split(',').find(|word| !is_switch(word, words)).and_then(|word| known(word.strip_prefix('-').unwrap_or(word), words))
            }
            Self::Gates(names) if !names.is_empty() && Self::Gates(Vec::new()).takes(text) => {
                gates(text).find(|(name, _)| !names.iter().any(|known| known == name)).and_then(|(name, _)| known(name, names))
            }
            _ => None,
        };
        Some(word.unwrap_or_else(|| Misfit { word: None, help: format!("write {}", self.expected()) }))
    }

    fn takes(&self, text: &str) -> bool {
        let has = |words: &[String], word: &str| words.iter().any(|known| known == word);
        match self {
            Self::Bool => bool(text).is_some(),
            Self::Int(range) => integer(text).is_some_and(|number| range.has(number)),
            Self::Float(range) => float(text).is_some_and(|number| range.has(number)),
            Self::Duration(range) => duration(text).is_some_and(|number| range.has(number)),
            Self::Version(range) => text
                .split(',')
                .all(|one| minor(one.split_once('=').map_or(one, |(_, version)| version)).is_some_and(|minor| range.has(minor))),
            Self::Ip => text.parse::<std::net::IpAddr>().is_ok(),
            Self::Gates(names) => {
                let form =
                    |gate: &str| gate.trim().is_empty() || gate.split_once('=').is_some_and(|(_, value)| bool(value.trim()).is_some());
                text.split(',').all(form) && (names.is_empty() || gates(text).all(|(name, _)| has(names, name)))
            }
            Self::Quantity => quantity(text),
            Self::Threshold => text.strip_suffix('%').map_or_else(|| quantity(text), |share| share.parse::<f64>().is_ok()),
            Self::Ports => ports(text).is_some(),
            Self::Urls => text.split(',').all(is_url),
            Self::Cpus => text.split(',').all(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                first.parse::<u16>().ok().zip(last.parse::<u16>().ok()).is_some_and(|(first, last)| first <= last)
            }),
            Self::Pairs(kind, names) => pairs(text, '=').all(|pair| {
                pair.is_some_and(|(name, value)| !name.is_empty() && (names.is_empty() || has(names, name)) && kind.takes(value))
            }),
            Self::Signals(names) => {
                pairs(text, '<').all(|pair| pair.is_some_and(|(name, value)| has(names, name) && Self::Threshold.takes(value)))
            }
            Self::Taints => text.split(',').all(|taint| {
                taint.split_once(':').is_some_and(|(key, effect)| {
                    !key.is_empty() && !key.starts_with('=') && matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute")
                })
            }),
            Self::One(words) => has(words, text),
            Self::List(words) => text.is_empty() || text.split(',').all(|word| has(words, word)),
            Self::Once(words) => {
                let mut given: Vec<&str> = text.split(',').collect();
                given.sort_unstable();
                given.iter().all(|word| has(words, word)) && given.windows(2).all(|pair| pair[0] != pair[1])
            }
            Self::Apis(groups) => text.split(',').filter(|api| !api.is_empty()).all(|api| {
                let (api, served) = api.split_once('=').unwrap_or((api, "true"));
                let group = api.split_once('/').map(|(group, _)| group);
                bool(served.trim()).is_some() && group.is_none_or(|group| has(groups, group.trim()))
            }),
            Self::Switches(words) => text.is_empty() || text.split(',').all(|word| is_switch(word, words)),
            Self::Like(patterns) => patterns.iter().any(|pattern| is_like(pattern, text)),
            Self::Either(one, other) => one.takes(text) || other.takes(text),
        }
    }

    /// The value as a number, to compare it with another one.
    pub(crate) fn number(&self, text: &str) -> Option<f64> {
        match self {
            Self::Int(_) => integer(text),
            Self::Float(_) => float(text),
            Self::Duration(_) => duration(text),
            _ => None,
        }
    }
}

/// Each gate with its value; a gate may have its component before it.
pub(crate) fn gates(text: &str) -> impl Iterator<Item = (&str, Option<bool>)> {
    let given = text.split(',').filter_map(|gate| gate.split_once('='));
    given.map(|(gate, value)| (gate.rsplit(':').next().unwrap_or_default().trim(), bool(value.trim())))
}

/// Go's strconv.ParseBool.
pub fn bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// In any base that Go's literals have.
fn integer(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let prefixed = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2), ("0", 8)];
    let (digits, base) = prefixed
        .into_iter()
        .find_map(|(prefix, base)| Some((digits.strip_prefix(prefix).filter(|rest| !rest.is_empty())?, base)))
        .unwrap_or((digits, 10));
    let number = i64::from_str_radix(digits, base).ok().filter(|_| !digits.starts_with(['-', '+']))?;
    #[allow(clippy::cast_precision_loss)] // Bounds are small.
    let number = number as f64;
    Some(if text.starts_with('-') { -number } else { number })
}

fn float(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Go's time.ParseDuration, in seconds: `0`, or numbers with units.
fn duration(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mut rest, mut sum) = (unsigned, 0.0);
    while !rest.is_empty() {
        let (digits, after) = rest.split_at(rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len());
        let (unit, after) = after.split_at(after.len() - after.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.').len());
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "" if rest == unsigned && rest == "0" => 0.0,
            _ => return None,
        };
        sum += digits.parse::<f64>().ok()? * seconds;
        rest = after;
    }
    // Go counts nanoseconds in 64 bits.
    (!unsigned.is_empty() && sum < 9_223_372_036.0).then_some(if text.starts_with('-') { -sum } else { sum })
}

/// The minor of `1.36` or `1.36.2`.
fn minor(text: &str) -> Option<f64> {
    let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    (major == "1" && parts.next().is_none_or(|patch| patch.parse::<u16>().is_ok())).then(|| minor.parse::<u16>().ok().map(f64::from))?
}

/// Kubernetes' resource.ParseQuantity.
fn quantity(text: &str) -> bool {
    const SUFFIXES: [&str; 16] = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (number, suffix) = unsigned.split_at(unsigned.len() - unsigned.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len());
    let is_exponent = || suffix.strip_prefix(['e', 'E']).is_some_and(|exponent| exponent.parse::<i8>().is_ok());
    number.parse::<f64>().is_ok() && (SUFFIXES.contains(&suffix) || is_exponent())
}

/// Kubernetes' net.ParsePortRange; `0-0` and nothing are the default.
pub fn ports(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let text = text.trim();
    let (first, last): (u16, u16) = if let Some((first, last)) = text.split_once('-') {
        (first.parse().ok()?, last.parse().ok()?)
    } else if let Some((first, more)) = text.split_once('+') {
        let first = first.parse::<u16>().ok()?;
        (first, first.checked_add(more.parse().ok()?)?)
    } else {
        (text.parse().ok()?, text.parse().ok()?)
    };
    (first <= last).then_some(first..=last)
}

/// etcd's types.NewURLs.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.trim().split_once("://") else { return false };
    let is_there = || rest.rsplit_once(':').is_some_and(|(host, port)| !host.contains('/') && port.parse::<u16>().is_ok());
    matches!(scheme, "unix" | "unixs") || matches!(scheme, "http" | "https") && is_there()
}

fn pairs(text: &str, between: char) -> impl Iterator<Item = Option<(&str, &str)>> {
    let each = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    each.map(move |pair| pair.split_once(between).map(|(name, value)| (name.trim(), value.trim())))
}

fn is_switch(word: &str, words: &[String]) -> bool {
    word == "*" || words.iter().any(|known| known == word.strip_prefix('-').unwrap_or(word))
}

/// Whether a text has the pattern's parts in their order.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let (between, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in between.split('*') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> ValueKind {
        let mut words = text.split(' ');
        let kind = ValueKind::read(words.next().unwrap(), &mut words).unwrap();
        assert_eq!(words.next(), None, "{text}");
        kind
    }

    /// What the programs said of these.
    #[test]
    fn values_are_what_programs_take() {
        let cases: [(&str, &[&str], &[&str]); 26] = [
            ("bool", &["true", "False", "1", "t"], &["yes", "on", "2", "", "tRue"]),
            ("int", &["0", "-1", "+5", "007", "0x1F"], &["", "1.0", "1k", "ten", "0x", "08", "--1", "9223372036854775808"]),
            ("int 1..50000", &["1", "50000"], &["0", "-1", "50001", "100ms"]),
            ("float", &["1", "0.5", "-1e3", "inf"], &["", "1,5", "half"]),
            ("float 0..0.02", &["0", "0.02"], &["0.5", "-1", "NaN"]),
            ("duration", &["0", "30s", "1h30m", "-1.5h", "100ms", ".5s"], &["", "30", "s", "1d", "5 s", "1h30", "-", "0s0", "9999999h"]),
            ("duration 1h..4294967296s", &["1h", "60m"], &["1m", "-1h", "1200000h"]),
            ("ip", &["10.0.0.1", "::1"], &["", "10.0.0", "localhost", "10.0.0.0/8"]),
            ("gates", &["A=true", "kube:A=false, B=1", ""], &["A", "A=maybe"]),
            ("gates-of A,B", &["A=true", "kube:A=false"], &["C=true", "A"]),
            ("quantity", &["8Gi", "100m", "1e3", "-5", "0.5"], &["", "abc", "8GiB", "1.2.3", "Gi"]),
            ("ports", &["30000-32767", "30000", "30000+100", "0-0"], &["40000-30000", "1-70000", "a-b", "", "65000+1000"]),
            ("urls", &["http://127.0.0.1:2381", "https://[::1]:1,unix://x:1"], &["nope", "http://a", "ftp://a:1", "http://a/b:1"]),
            ("cpus", &["0-3,5", "1"], &["a-b", "", "3-1"]),
            ("quantities-of cpu,memory", &["cpu=100m,memory=1Gi", ""], &["cpu=abc", "gpu=1", "cpu"]),
            ("integers", &["a=1", "a=1,b=2"], &["x", "a=b", "=1"]),
            (
                "signals-of memory.available,nodefs.available",
                &["memory.available<100Mi,nodefs.available<10%"],
                &["foo", "foo<1", "memory.available<x"],
            ),
            ("taints", &["a=b:NoSchedule", "a:NoExecute"], &["foo", "a=b:Never", "=b:NoSchedule"]),
            ("version 1.34..1.37", &["1.36", "kube=1.37", "1.36.2"], &["1.20", "1.38", "2.36", "x"]),
            ("one a,b", &["a", "b"], &["", "a,b", "c"]),
            ("of a,b", &["a", "a,b", ""], &["c", "a, b", "a,"]),
            ("once a,b", &["a", "b,a"], &["c", "a,a", ""]),
            ("apis apps,api", &["apps/v1=true", "v1=false", "api/all=true", "apps/v1", ""], &["foo/v1=true", "api/all=maybe"]),
            ("switches a,b", &["*,-a", "a", "-b,*", ""], &["c", "*,c", "-c"]),
            ("like simple|jwt,*=*", &["simple", "jwt,a=b"], &["simple,", "jwt,a", "foo"]),
            ("either int 0.. duration", &["5", "1h"], &["x", "1h30"]),
        ];
        for (word, good, bad) in cases {
            let kind = kind(word);
            good.iter().for_each(|text| assert_eq!(kind.misfit(text), None, "{word} {text:?}"));
            bad.iter().for_each(|text| assert!(kind.misfit(text).is_some(), "{word} {text:?}"));
        }
    }

    #[test]
    fn what_to_write_is_said() {
        let misfit = |word: &str, text: &str| kind(word).misfit(text).map(|misfit| (misfit.word.unwrap_or_default(), misfit.help)).unwrap();
        let said = |word: &str, help: &str| (word.to_owned(), help.to_owned());
        assert_eq!(misfit("int 1..50000", "0"), said("", "write a whole number from `1` to `50000`"));
        assert_eq!(misfit("duration 1h..", "1m"), said("", "write a duration with its unit, `1h` or more"));
        assert_eq!(misfit("of RBAC,Node", "Node,RBCA"), said("RBCA", "did you mean `RBAC`?"));
        assert_eq!(misfit("switches job,node", "*,-jobb"), said("jobb", "did you mean `job`?"));
        assert_eq!(misfit("one json,text", "yaml"), said("yaml", "it knows json, text"));
    }

    #[test]
    fn a_kind_that_is_written_wrong_is_none() {
        for wrong in ["int a..b", "one", "either int", "sometimes"] {
            let mut words = wrong.split(' ');
            assert_eq!(ValueKind::read(words.next().unwrap(), &mut words), None, "{wrong}");
        }
    }
}
