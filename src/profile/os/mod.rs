//! `os`: keys of the OS's own cloud-config, as a profile writes them. Their types are the target's, so that they are
//! read when the target is known: [`Os::read`].

mod read;
mod refused;
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use refused::refused as refused_os_key;
pub(super) use schema::NAME;

use super::{Login, Name};
use crate::diagnostic::{Code, Diagnostics, Span};
use crate::service::Text;
use crate::target::Target;
use crate::yaml::{Any, Entry, Field, Kind, Map, Node, Reader, Spanned, Tag};

/// Keys of the OS's own cloud-config, as written.
#[derive(Debug, Clone, Default)]
pub struct Os(Any);

/// The same, typed.
#[derive(Debug, Clone, Default)]
pub struct OsKeys {
    /// The keys and sections of the config, by name.
    pub keys: Vec<OsEntry>,
    /// `rancher.registry_auths`, by registry.
    pub accounts: Vec<OsAccount>,
}

/// A key of a mapping, and its value.
pub type OsEntry = (Spanned<String>, OsValue);

/// A value of the OS's cloud-config.
#[derive(Debug, Clone)]
pub enum OsValue {
    /// True or false.
    Flag(bool),
    /// A number.
    Int(i64),
    /// A text, which may be a template.
    Text(Spanned<Text>),
    /// A list.
    List(Vec<OsValue>),
    /// `[DEVICE, PATH, TYPE, OPTIONS]`.
    Mount([Spanned<Text>; 4]),
    /// A mapping, by name.
    Map(Vec<OsEntry>),
}

/// An account at a registry, for the OS itself.
#[derive(Debug, Clone)]
pub struct OsAccount {
    /// The registry, as the OS looks it up.
    pub host: Spanned<String>,
    /// The user's name.
    pub username: String,
    /// The name of the secret with the password.
    pub secret: Spanned<Name>,
}

impl Os {
    /// Every value, by the types of the target's config. What doesn't fit is in `found`.
    pub fn read(&self, target: &Target, found: &mut Diagnostics) -> OsKeys {
        let mut keys = OsKeys::default();
        if let Some(node) = self.0.node() {
            let mut reader = Reader { found, templates: false };
            keys.keys = read::Config { target, reader: &mut reader, accounts: &mut keys.accounts }.section("", &node);
        }
        keys
    }

    /// Every key with the value `~`, and whether it removed something.
    pub fn removals(&self) -> Vec<(&Spanned<String>, bool)> {
        self.0.removals()
    }
}

/// Checks `rancher.KEY=VALUE` on the kernel's command line like that key under `os`: a value of another type there keeps
/// the OS from reading any config (config/disk.go, LoadConfigWithPrefix).
pub(crate) fn check_parameter(text: &str, span: Span, target: &Target, found: &mut Diagnostics) {
    let (path, value) = text.split_once('=').unwrap_or((text, "true"));
    // The OS reads this one from nowhere else.
    if !path.starts_with("rancher.") || path == "rancher.autologin" {
        return;
    }
    let node = |kind| Node { kind, span, tag: Tag::None };
    // A text may look like something else there: the OS takes it as it is.
    let scalar = |text: &str| node(Kind::Scalar { text: text.trim().to_owned(), plain: false });
    let value = match value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
        Some(list) => node(Kind::List(list.split(',').map(scalar).collect())),
        None => scalar(value),
    };
    let config =
        path.rsplit('.').fold(value, |value, name| node(Kind::Mapping(vec![Entry { key: name.to_owned(), key_span: span, value }])));
    let mut own = Diagnostics::default();
    let mut reader = Reader { found: &mut own, templates: false };
    read::Config { target, reader: &mut reader, accounts: &mut Vec::new() }.section("", &config);
    found.extend_with(own.sorted().into_iter().cloned().map(|mut one| {
        // The schema is for files.
        if one.code == Code::UnknownKey {
            one.why = Some("the OS ignores it".to_owned());
        }
        one
    }));
}

impl OsKeys {
    /// The value at a path.
    pub fn get(&self, path: &[&str]) -> Option<&OsEntry> {
        let (name, rest) = path.split_first()?;
        rest.iter().try_fold(entry(&self.keys, name)?, |(_, value), name| match value {
            OsValue::Map(entries) => entry(entries, name),
            _ => None,
        })
    }

    /// The items of the list at a path.
    pub fn list(&self, path: &[&str]) -> &[OsValue] {
        match self.get(path) {
            Some((_, OsValue::List(items))) => items,
            _ => &[],
        }
    }

    /// Calls `visit` with every text, and its place.
    pub fn for_each_text(&self, mut visit: impl FnMut(&Text, Option<Span>)) {
        self.keys.iter().for_each(|(_, value)| value.for_each_text(&mut visit));
    }
}

fn entry<'e>(entries: &'e [OsEntry], name: &str) -> Option<&'e OsEntry> {
    entries.iter().find(|(key, _)| key.value == name)
}

impl OsValue {
    /// Calls `visit` with every text in it, and its place.
    pub fn for_each_text(&self, visit: &mut impl FnMut(&Text, Option<Span>)) {
        match self {
            Self::Flag(_) | Self::Int(_) => {}
            Self::Text(text) => visit(&text.value, text.span),
            Self::List(items) => items.iter().for_each(|item| item.for_each_text(visit)),
            Self::Mount(parts) => parts.iter().for_each(|part| visit(&part.value, part.span)),
            Self::Map(entries) => entries.iter().for_each(|(_, value)| value.for_each_text(visit)),
        }
    }
}

/// Lists in which an item can come again: a node may run the same command twice.
const COMMANDS: [&str; 2] = ["bootcmd", "runcmd"];

impl Os {
    fn at(&self, key: &str) -> Option<&Any> {
        let Any::Map { entries, .. } = &self.0 else { return None };
        entries.get(key)
    }

    /// Puts the commands of a weaker level before all those of a stronger one, which the merge has left out if the
    /// weaker has them too.
    fn repeat(&mut self, key: &str, weaker: Vec<Node>, stronger: Option<&Any>) {
        let Any::Map { entries, .. } = &mut self.0 else { return };
        let (Some(Any::List { items, .. }), Some(Any::List { items: more, overrides: false, .. })) = (entries.get_mut(key), stronger)
        else {
            return;
        };
        let is_appended = |first: &Node| items.first().is_some_and(|item| item.span == first.span);
        if weaker.first().is_some_and(is_appended) {
            *items = weaker.into_iter().chain(more.iter().cloned()).collect();
        }
    }
}

impl Field for Os {
    fn fill(&mut self, node: &Node, reader: &mut Reader) {
        match &node.kind {
            Kind::Mapping(_) => self.0.fill(node, reader),
            _ if node.is_null() => reader.nothing(node),
            _ => {
                reader.wrong_type(node, "a mapping with keys of the OS's cloud-config, like `rancher: {debug: true}`");
                self.0 = Any::Map { entries: Map::default(), span: node.span };
            }
        }
    }

    fn merge(&mut self, stronger: &Self) {
        let weaker = COMMANDS.map(|key| match self.at(key) {
            Some(Any::List { items, .. }) => items.clone(),
            _ => Vec::new(),
        });
        self.0.merge(&stronger.0);
        for (key, weaker) in COMMANDS.into_iter().zip(weaker) {
            self.repeat(key, weaker, stronger.at(key));
        }
    }

    fn is_absent(&self) -> bool {
        self.0.is_absent()
    }

    fn places(&self, see: &mut dyn FnMut(Span)) {
        self.0.places(see);
    }
}
