//! The keys of an OS's cloud-config: type and meaning.

use serde::Deserialize;
use std::collections::BTreeMap;

/// The keys by path: `rancher.console`. A path that only longer ones begin with is a section.
#[derive(Debug, Default, Deserialize)]
pub struct ConfigKeys(BTreeMap<String, ConfigKey>);

/// A key of the OS's cloud-config.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigKey {
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What it means, in Markdown.
    pub about: String,
    /// What its value names, if the OS fetches that from the network when the node boots.
    pub fetched: Option<String>,
    /// What a mistake in its value does to a node.
    pub hurts: Option<String>,
    /// The only values that the OS knows; any, if there are none.
    #[serde(default)]
    pub words: Vec<String>,
}

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number, 0 or more.
    Count,
    /// A port.
    Port,
    /// A text.
    Text,
    /// A text that a program on the node must read as one word.
    Word,
    /// An absolute path.
    Path,
    /// A URL.
    Url,
    /// A list of texts, each once.
    Texts,
    /// A list of words.
    Words,
    /// A list of `NAME=value`.
    Variables,
    /// A list of a program's arguments.
    Arguments,
    /// A list of commands: a text for a shell, or a list of words.
    Commands,
    /// A list of `[DEVICE, PATH, TYPE, OPTIONS]`.
    Mounts,
    /// Texts by name.
    Pairs,
    /// `true` or `false` by name.
    Switches,
    /// Repositories by name, each with its `url`.
    Repositories,
    /// Accounts by registry.
    Accounts,
}

impl ConfigKeys {
    /// The key at this path.
    pub fn get(&self, path: &str) -> Option<&ConfigKey> {
        self.0.get(path)
    }

    /// Every path with its key, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ConfigKey)> {
        self.0.iter().map(|(path, key)| (path.as_str(), key))
    }

    /// The names of the keys and sections in a section; `""` is the whole config.
    pub fn within(&self, section: &str) -> Vec<&str> {
        let rest = |path| match section {
            "" => Some(path),
            _ => str::strip_prefix(path, section)?.strip_prefix('.'),
        };
        let mut names: Vec<&str> = self.0.keys().filter_map(|path| rest(path.as_str())?.split('.').next()).collect();
        names.dedup();
        names
    }
}
