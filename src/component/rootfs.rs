//! What a root filesystem of Debian's packages is made of, as the data beside the lines describes it.

use crate::terms::Digest;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A package, for one processor.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its version, with the epoch.
    pub version: String,
    /// Its path on the server of snapshots: `debian/pool/…`, or `debian-security/pool/…`.
    pub path: String,
    /// Its SHA-256.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// The short names of its licenses; empty if the package doesn't say them in a form for programs.
    pub licenses: Vec<String>,
}

/// What becomes of the packages' files. Paths are relative to the root.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Layout {
    /// Folders whose content goes into another one; each becomes a link to it.
    pub merged: BTreeMap<String, String>,
    /// By path: the pattern of the files whose contents are joined there, in the order of their paths.
    pub joined: BTreeMap<String, String>,
    /// Patterns of what is removed then, with all that is below.
    pub removed: Vec<String>,
    /// Links in place of what packages have.
    pub links: BTreeMap<String, String>,
    /// Folders that must be there, and their modes in octal digits.
    pub folders: BTreeMap<String, Mode>,
    /// Texts in place of what packages have.
    pub files: BTreeMap<String, String>,
    /// Links for commands that no package has.
    pub commands: Option<Commands>,
}

/// A mode, written in octal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(pub u32);

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(digits: String) -> Result<Self, String> {
        let mode = u32::from_str_radix(&digits, 8).ok().filter(|mode| *mode <= 0o7777);
        mode.map(Self).ok_or_else(|| format!("`{digits}` isn't a mode"))
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        format!("{:04o}", mode.0)
    }
}

/// Links for commands that no package has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commands {
    /// What the links lead to.
    pub to: String,
    /// The folders in which a package may have the command. The links are in the first.
    #[serde(rename = "in")]
    pub folders: Vec<String>,
    /// The commands.
    #[serde(default)]
    pub names: Vec<String>,
}

impl Layout {
    /// This one with what is particular to a root filesystem.
    #[must_use]
    pub fn and(mut self, own: Self) -> Self {
        self.merged.extend(own.merged);
        self.joined.extend(own.joined);
        self.removed.extend(own.removed);
        self.links.extend(own.links);
        self.folders.extend(own.folders);
        self.files.extend(own.files);
        self.commands = own.commands.or(self.commands);
        self
    }
}

/// A root filesystem for one processor.
#[derive(Debug)]
pub struct Rootfs<'a> {
    /// Its packages by name, in the order in which they are laid out.
    pub packages: IndexMap<&'a str, &'a Package>,
    /// What becomes of their files.
    pub layout: Layout,
}

/// Whether a text matches a pattern, in which each `*` is any number of characters but `/`.
pub fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, rest)) => text.strip_prefix(before).is_some_and(|text| {
            let end = text.find('/').unwrap_or(text.len());
            (0..=end).filter(|at| text.is_char_boundary(*at)).any(|at| matches(rest, &text[at..]))
        }),
    }
}
