//! A cloud-config's text → what it says, by service, file and setting. It may have been edited or merged.

use crate::diagnostic::{self, Diagnostics, Sources, Style};
use crate::yaml::{self, Entry, Kind, Node};
use std::collections::BTreeMap;

/// What a config says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Config(pub BTreeMap<Thing, BTreeMap<String, Said>>);

/// What something of a config is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(tag = "of", content = "name", rename_all = "kebab-case")]
pub enum Thing {
    /// A key of the OS's own.
    Setting,
    /// A service, by its name.
    Service(String),
    /// A file, by its path.
    File(String),
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    One(String),
    Many(Vec<String>),
}

const SERVICES: &str = "services";
const FILES: &str = "write_files";

impl Config {
    /// Reads a config, or says what is wrong with it and where; `name` is its name for messages.
    pub(super) fn read(name: &str, text: &str) -> Result<Self, String> {
        let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
        let source = sources.add(name, text.to_owned(), true);
        let tree = yaml::parse_foreign(&sources.get(source).text, source, &mut found);
        match tree {
            Some(tree) if !found.has_errors() => Ok(Self::of(&tree)),
            _ => Err(diagnostic::text(&found, &sources, Style::Plain)),
        }
    }

    fn of(tree: &Node) -> Self {
        let mut config = Self::default();
        for entry in entries(tree) {
            match entry.key.as_str() {
                FILES => config.files(&entry.value),
                "rancher" => entries(&entry.value).iter().for_each(|inner| match inner.key.as_str() {
                    SERVICES => entries(&inner.value).iter().for_each(|service| {
                        config.put(Thing::Service(plain(&service.key)), "", &service.value);
                    }),
                    key => config.put(Thing::Setting, &format!("rancher.{}", plain(key)), &inner.value),
                }),
                key => config.put(Thing::Setting, &plain(key), &entry.value),
            }
        }
        config
    }

    fn files(&mut self, list: &Node) {
        let Kind::List(files) = &list.kind else { return self.put(Thing::Setting, FILES, list) };
        for file in files {
            let path = entries(file).iter().find(|entry| entry.key == "path").map(|entry| inline(&entry.value));
            self.put(Thing::File(path.unwrap_or_default()), "", file);
        }
    }

    /// Puts a value, and all that is in it, below `key`.
    fn put(&mut self, thing: Thing, key: &str, value: &Node) {
        let said = match &value.kind {
            Kind::Mapping(inner) if !inner.is_empty() => {
                for entry in inner {
                    let inner = plain(&entry.key);
                    let key = if key.is_empty() { inner } else { format!("{key}.{inner}") };
                    self.put(thing.clone(), &key, &entry.value);
                }
                return;
            }
            Kind::List(items) => Said::Many(items.iter().map(inline).collect()),
            _ => Said::One(inline(value)),
        };
        self.0.entry(thing).or_default().insert(key.to_owned(), said);
    }
}

fn entries(node: &Node) -> &[Entry] {
    if let Kind::Mapping(entries) = &node.kind { entries } else { &[] }
}

/// A text without what a terminal would act on.
fn plain(text: &str) -> String {
    let is_plain = |c: char| !c.is_control() || c == '\n';
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    text.chars().map(|c| if is_plain(c) { c.to_string() } else { c.escape_default().to_string() }).collect()
}

/// A value as a text.
fn inline(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar { text, .. } => plain(text),
        Kind::List(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Kind::Mapping(entries) => {
            let inner = entries.iter().map(|entry| format!("{}: {}", entry.key, inline(&entry.value)));
            format!("{{{}}}", inner.collect::<Vec<_>>().join(", "))
        }
    }
}
