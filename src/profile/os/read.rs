//! Reads the values of `os` by the types of a target's config.

use super::refused::{self, refused};
use super::{Login, OsAccount, OsEntry, OsValue};
use crate::diagnostic::{Code, Diagnostic, Span, closest};
use crate::profile::{PlainHost, Port, Url};
use crate::service::{Command, Flag, Int, Text, unfit};
use crate::target::{ConfigKey, Kind as Type, Target};
use crate::yaml::{Entry, Field, Given, Kind, List, Map, Node, Reader, Scalar, Spanned};

/// The name by which the OS looks up an account at Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A mapping of the config, while it is read.
pub(super) struct Config<'r, 'd> {
    pub target: &'r Target,
    pub reader: &'r mut Reader<'d>,
    pub accounts: &'r mut Vec<OsAccount>,
}

impl Config<'_, '_> {
    /// The entries of the section at `path`, by name.
    pub(super) fn section(&mut self, path: &str, node: &Node) -> Vec<OsEntry> {
        let config = self.target.config();
        let expected = || format!("a mapping with the keys {}", config.within(path).join(", "));
        let Some(entries) = self.mapping(node, expected) else { return Vec::new() };
        let mut read = Vec::new();
        for entry in entries {
            let inner = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
            let name = Spanned::at(entry.key_span, entry.key.clone());
            // A path with dots is the key of a mapping within a mapping, not of this one.
            if entry.key.is_empty() || entry.key.contains('.') {
                self.unknown(path, entry);
            } else if let Some(refusal) = refused(&inner, entry.key_span) {
                self.reader.found.push(refusal);
            } else if let Some(key) = config.get(&inner) {
                read.extend(self.value(key, &entry.value).map(|value| (name, value)));
            } else if config.within(&inner).is_empty() {
                self.unknown(path, entry);
            } else {
                read.push((name, OsValue::Map(self.section(&inner, &entry.value))));
            }
        }
        read.retain(|(_, value)| !matches!(value, OsValue::Map(entries) if entries.is_empty()));
        read.sort_by(|(one, _), (other, _)| one.value.cmp(&other.value));
        read
    }

    fn unknown(&mut self, section: &str, entry: &Entry) {
        let config = self.target.config();
        let known = config.within(section);
        let elsewhere =
            || config.iter().map(|(path, _)| path).find(|path| path.rsplit('.').next() == Some(&entry.key) || *path == entry.key);
        let mut meant = known.clone();
        for name in refused::within(section) {
            meant.push(name);
        }
        let help = match (closest(&entry.key, meant), elsewhere()) {
            (_, Some(path)) => format!("it is `{}`", nested(path)),
            (Some(meant), None) => format!("did you mean `{meant}`?"),
            (None, None) => format!("the keys here are {}", known.join(", ")),
        };
        self.reader.found.push(
            Diagnostic::new(Code::UnknownKey, entry.key_span, format!("{} has no key `{}` here", self.target.title, entry.key))
                .why("the OS's schema refuses the whole config")
                .help(help),
        );
    }

    fn value(&mut self, key: &ConfigKey, node: &Node) -> Option<OsValue> {
        Some(match key.kind {
            Type::Flag => OsValue::Flag(Flag::read(node, self.reader)?.0),
            Type::Count => self.count(node)?,
            Type::Port => OsValue::Int(Port::read(node, self.reader)?.0.into()),
            Type::Text | Type::Word | Type::Path | Type::Url => OsValue::Text(self.text(key, node)?),
            Type::Texts | Type::Words | Type::Variables | Type::Arguments => self.texts(key, node),
            Type::Commands => OsValue::List(self.items(node, "a command, a text or a list of words", Self::command)),
            Type::Mounts => OsValue::List(self.items(node, "`[DEVICE, PATH, TYPE, OPTIONS]`", Self::mount)),
            Type::Pairs => self.named(node, |text: Spanned<Text>| OsValue::Text(text)),
            Type::Switches => self.named(node, |flag: Spanned<Flag>| OsValue::Flag(flag.0)),
            Type::Repositories => self.repositories(node),
            Type::Accounts => {
                self.read_accounts(node);
                return None;
            }
        })
    }

    fn count(&mut self, node: &Node) -> Option<OsValue> {
        let number = Int::read(node, self.reader)?.0;
        if u32::try_from(number).is_err() {
            self.misfit(node.span, format!("`{number}` isn't a number from 0 to {}", u32::MAX), "write a whole number, 0 or more");
            return None;
        }
        Some(OsValue::Int(number))
    }

    fn text(&mut self, key: &ConfigKey, node: &Node) -> Option<Spanned<Text>> {
        let text = Text::read(node, self.reader)?;
        self.check(key, &text, node.span);
        Some(Spanned::at(node.span, text))
    }

    /// Whether a text, or an item of a list of texts, has the form that its key requires.
    fn check(&mut self, key: &ConfigKey, text: &Text, span: Span) {
        if text.varies() {
            return;
        }
        let text = text.text.as_str();
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let (fits, form) = match key.kind {
            Type::Word | Type::Words => (is_word(text), "write only letters, digits and `_-+=@%:,./`: the node must read it as one word"),
            Type::Path => (text.starts_with('/'), "write an absolute path"),
            Type::Url => (Url::parse(text).is_ok(), "write a URL, like `http://10.0.0.2:8080/releases.yml`"),
            Type::Variables => (text.split_once('=').is_some_and(|(name, _)| is_name(name)), "write `NAME=value`"),
            Type::Arguments => (text.starts_with('-') && !text.contains(' '), "write each argument as its own item, `--name=value`"),
            _ => (true, ""),
        };
        if !key.words.is_empty() && !key.words.iter().any(|word| word == text) {
            let words = format!("the values that {} knows are {}", self.target.title, key.words.join(", "));
            self.misfit(span, format!("`{text}` isn't one of the values"), &words);
        } else if !fits {
            self.misfit(span, format!("{text:?} doesn't have the form of this key"), form);
        }
    }

    fn texts(&mut self, key: &ConfigKey, node: &Node) -> OsValue {
        let mut list = List::<Text>::default();
        list.fill(node, self.reader);
        for item in list.iter() {
            self.check(key, item, item.span.unwrap_or(node.span));
        }
        OsValue::List(list.items.into_iter().map(OsValue::Text).collect())
    }

    fn items(&mut self, node: &Node, expected: &str, read: fn(&mut Self, &Node) -> Option<OsValue>) -> Vec<OsValue> {
        match &node.kind {
            Kind::List(items) => items.iter().filter_map(|item| read(self, item)).collect(),
            _ => {
                self.reader.wrong_type(node, &format!("a list (each item {expected})"));
                Vec::new()
            }
        }
    }

    fn command(&mut self, node: &Node) -> Option<OsValue> {
        let command = Command::read(node, self.reader)?;
        let is_empty = match &command {
            Command::Line(text) => text.text.trim().is_empty(),
            Command::Words(words) => words.first().is_none_or(|word| word.text.is_empty()),
        };
        if is_empty {
            self.misfit(node.span, "this command is empty".to_owned(), "write a command, or remove the item");
            return None;
        }
        Some(match command {
            Command::Line(text) => OsValue::Text(Spanned::at(node.span, text)),
            Command::Words(words) => OsValue::List(words.into_iter().map(OsValue::Text).collect()),
        })
    }

    fn mount(&mut self, node: &Node) -> Option<OsValue> {
        let Kind::List(parts) = &node.kind else {
            self.reader.wrong_type(node, "a list, `[DEVICE, PATH, TYPE, OPTIONS]`");
            return None;
        };
        if parts.len() != 4 {
            self.reader.found.push(
                Diagnostic::new(Code::InvalidValue, node.span, format!("a mount has four parts, not {}", parts.len()))
                    .why("the console stops at it: nobody could log in, and user Docker wouldn't start")
                    .help("write `[DEVICE, PATH, TYPE, OPTIONS]`; without options, the last is `\"\"`"),
            );
            return None;
        }
        let text = |part: &Node, reader: &mut Reader| Text::read(part, reader).map(|text| Spanned::at(part.span, text));
        let parts: Vec<_> = parts.iter().filter_map(|part| text(part, self.reader)).collect();
        let parts: [Spanned<Text>; 4] = parts.try_into().ok()?;
        if !parts[1].varies() && !parts[1].text.starts_with('/') && parts[2].text != "swap" {
            self.misfit(node.span, format!("{:?} isn't an absolute path", parts[1].text), "write `[DEVICE, PATH, TYPE, OPTIONS]`");
        }
        if parts[0].text.is_empty() || parts[2].text.is_empty() {
            self.misfit(node.span, "this mount has no device or no type".to_owned(), "write `[DEVICE, PATH, TYPE, OPTIONS]`");
        }
        Some(OsValue::Mount(parts))
    }

    /// A mapping with free names.
    fn named<T: Scalar>(&mut self, node: &Node, value: fn(Spanned<T>) -> OsValue) -> OsValue {
        let mut map = Map::<Given<T>>::default();
        map.fill(node, self.reader);
        let mut entries = Vec::new();
        for (name, given) in map.iter() {
            self.check_name(name);
            entries.extend(given.get().map(|given| (name.clone(), value(given.clone()))));
        }
        sorted(entries)
    }

    fn repositories(&mut self, node: &Node) -> OsValue {
        let Some(repositories) = self.mapping(node, || "a mapping of `NAME: {url: URL}`".to_owned()) else {
            return OsValue::Map(Vec::new());
        };
        let mut entries = Vec::new();
        for repository in repositories {
            let name = Spanned::at(repository.key_span, repository.key.clone());
            self.check_name(&name);
            let Some(keys) = self.mapping(&repository.value, || "`{url: URL}`".to_owned()) else { continue };
            let mut own = Vec::new();
            for key in keys {
                if key.key == "url" {
                    let url = Text::read(&key.value, self.reader).map(|url| Spanned::at(key.value.span, url));
                    if let Some(url) = url.as_ref().filter(|url| !url.varies() && Url::parse(&url.text).is_err()) {
                        self.misfit(
                            key.value.span,
                            format!("{:?} isn't a URL", url.text),
                            "write a URL, like `http://10.0.0.2:8080/os-services`",
                        );
                    }
                    own.extend(url.map(|url| (Spanned::at(key.key_span, key.key.clone()), OsValue::Text(url))));
                } else {
                    self.reader.found.push(
                        Diagnostic::new(Code::UnknownKey, key.key_span, format!("unknown key `{}`", key.key))
                            .why("the OS would silently ignore it")
                            .help("a repository has only a `url`"),
                    );
                }
            }
            entries.push((name, OsValue::Map(own)));
        }
        sorted(entries)
    }

    fn read_accounts(&mut self, node: &Node) {
        let Some(accounts) = self.mapping(node, || "a mapping of `HOST: {username: NAME, secret: NAME}`".to_owned()) else { return };
        for account in accounts {
            let host = Spanned::at(account.key_span, account.key.clone());
            let is_hub = matches!(host.as_str(), "docker.io" | "index.docker.io" | "registry-1.docker.io" | "hub.docker.com");
            if host.value != DOCKER_HUB && (is_hub || PlainHost::parse(&host.value).is_err()) {
                let help = if is_hub { format!("write {DOCKER_HUB}") } else { format!("write `HOST[:PORT]`; Docker Hub is {DOCKER_HUB}") };
                let problem = format!("the OS looks up no registry by the name `{}`", host.value);
                let diagnostic = Diagnostic::new(Code::InvalidValue, account.key_span, problem);
                self.reader.found.push(diagnostic.why("it would not find this account, and pull without a login").help(help));
            }
            let mut login = Login::default();
            login.fill(&account.value, self.reader);
            match (login.username.value(), login.secret.get()) {
                (Some(username), Some(secret)) => {
                    self.accounts.push(OsAccount { host, username: username.0.clone(), secret: secret.clone() });
                }
                _ if login.is_bad() => {}
                _ => self.reader.found.push(
                    Diagnostic::new(
                        Code::HalfALogin,
                        account.value.span,
                        format!("the account at {} has no `username` or no `secret`", host.value),
                    )
                    .why("the OS could not log in")
                    .help(
                        "write `{username: NAME, secret: NAME}`; `remuda secret set NAME` keeps the password encrypted next to the profile",
                    ),
                ),
            }
        }
        self.accounts.sort_by(|one, other| one.host.value.cmp(&other.host.value));
    }

    fn check_name(&mut self, name: &Spanned<String>) {
        if let Some((problem, why)) = unfit(&name.value) {
            self.reader
                .found
                .push(Diagnostic::new(Code::UnfitValue, name.span, problem).why(why).help("use another name, in printable ASCII"));
        } else if name.value.is_empty() {
            self.reader.found.push(Diagnostic::new(Code::InvalidName, name.span, "this name is empty").help("write a name"));
        }
    }

    /// The entries of a mapping; reports anything else.
    fn mapping<'n>(&mut self, node: &'n Node, expected: impl FnOnce() -> String) -> Option<&'n [Entry]> {
        if let Kind::Mapping(entries) = &node.kind {
            return Some(entries);
        }
        self.reader.wrong_type(node, &expected());
        None
    }

    fn misfit(&mut self, span: Span, problem: String, help: &str) {
        let diagnostic = Diagnostic::new(Code::InvalidValue, span, problem);
        self.reader.found.push(diagnostic.why("the node would refuse it or misread it").help(help));
    }
}

/// Whether a shell reads the text as one word, as it is.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-+=@%:,./".contains(c))
}

fn sorted(mut entries: Vec<OsEntry>) -> OsValue {
    entries.sort_by(|(one, _), (other, _)| one.value.cmp(&other.value));
    OsValue::Map(entries)
}

/// `rancher: {console: …}` of `rancher.console`.
fn nested(path: &str) -> String {
    match path.split_once('.') {
        Some((section, rest)) => format!("{section}: {{{}}}", nested(rest)),
        None => format!("{path}: …"),
    }
}
