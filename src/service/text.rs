//! The values in a service.

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::yaml::{Ambiguous, Field, Given, Kind, List, Map, Node, Reader, Scalar, Spanned, Tag, yaml11};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// A text that is a value in a node's config.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Text {
    /// As written, without quotes and tag.
    pub text: String,
    /// Rendered for each node: every text of a release line, and those that a profile tags `!template`.
    pub template: bool,
}

impl Text {
    /// A text that isn't a template.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), template: false }
    }

    /// Whether it may differ from node to node.
    pub fn varies(&self) -> bool {
        self.template && ["{{", "{%", "{#"].iter().any(|mark| self.text.contains(mark))
    }
}

/// Whether it consists of printable ASCII and line breaks. Without an early end, which is many times faster: every text of
/// every node is looked at.
pub fn is_printable(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| all & matches!(byte, b' '..=b'~' | b'\n'))
}

/// Why `text` can't be a value in a config: `(what is wrong, what a node would do)`; `None` if it
/// can. Seen on the OS's own reading path (candiedyaml, twice).
pub fn unfit(text: &str) -> Option<(String, &'static str)> {
    if matches!(text, "null" | "Null" | "NULL" | "~") {
        return Some((
            format!("the text `{text}` can't be a value"),
            "it would arrive empty, even in quotes: the node's reader takes it for null",
        ));
    }
    if !is_printable(text)
        && let Some(bad) = text.chars().find(|c| !matches!(c, ' '..='~' | '\n'))
    {
        return Some((
            format!("the character {:?} (U+{:04X}) can't be in a value", bad, u32::from(bad)),
            "the node's YAML writer fails on anything but printable ASCII, and the node drops its whole config",
        ));
    }
    let names = ["$public_ipv4", "$private_ipv4", "$public_ipv6", "$private_ipv6"];
    for name in names.into_iter().filter(|_| text.contains('$')) {
        if text.contains(name) {
            return Some((
                format!("`{name}` can't be in a value"),
                "the node replaces it in the raw text with a metadata address or with nothing",
            ));
        }
    }
    None
}

/// What templates can name, at the beginning of `{{ … }}`.
pub const TEMPLATE_NAMES: [&str; 14] = [
    "node",
    "cluster",
    "network",
    "api",
    "etcd",
    "control_plane",
    "control_plane_taints",
    "tolerations",
    "manifests",
    "pki",
    "registry",
    "images_from",
    "images",
    "os",
];

/// The value of remuda's that a text seems to name, as a template does.
fn names_a_value(text: &str) -> Option<&'static str> {
    text.match_indices("{{").find_map(|(at, mark)| {
        let inner = text[at + mark.len()..].trim_start_matches('-').trim_start();
        TEMPLATE_NAMES.into_iter().find(|name| inner.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', '['])))
    })
}

/// Whether a text is rendered for each node. Warns of one that only looks so.
pub fn is_template(node: &Node, text: &str, reader: &mut Reader) -> bool {
    let is_one = reader.templates || node.tag == Tag::Template;
    if let Some(named) = names_a_value(text).filter(|_| !is_one) {
        reader.found.push(
            Diagnostic::new(Code::NotATemplate, node.span, format!("`{{{{ {named}… }}}}` goes onto the node as it is written"))
                .why("remuda puts values only into texts with the tag `!template`")
                .help("write `!template` before the text"),
        );
    }
    is_one
}

/// Whether plain `text` reads the same in YAML 1.1 as it is written: text, `true`, `false`, or a
/// number in its shortest form.
fn unambiguous(text: &str) -> Result<(), Ambiguous> {
    match yaml11(text) {
        None => Ok(()),
        Some(Ambiguous::Bool) if matches!(text, "true" | "false") => Ok(()),
        Some(Ambiguous::Integer) if text.parse::<i64>().is_ok_and(|number| number.to_string() == text) => Ok(()),
        Some(Ambiguous::Float) if text.parse::<f64>().is_ok_and(|number| number.to_string() == text) => Ok(()),
        Some(other) => Err(other),
    }
}

impl Scalar for Text {
    fn expected() -> Cow<'static, str> {
        "a text".into()
    }

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::plain(text))
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Kind::Scalar { text, plain } = &node.kind else {
            reader.wrong_type(node, &Self::expected());
            return None;
        };
        if *plain && let Err(other) = unambiguous(text) {
            reader.found.push(
                Diagnostic::new(Code::Yaml11, node.span, format!("YAML 1.1 reads `{text}` as {}, not as this text", other.what()))
                    .why("remuda can't know which one is meant, and the node's reader follows YAML 1.1")
                    .help(match other {
                        Ambiguous::Null => "remove it, or write \"\" for an empty text".to_owned(),
                        _ => format!("write \"{text}\" in quotes if you mean the text"),
                    }),
            );
            return None;
        }
        if let Some((problem, why)) = unfit(text) {
            let help = if text.contains("_ipv4") || text.contains("_ipv6") {
                "use `!template` with {{ node.address }}, or a file, whose content is written as base64"
            } else {
                "put it into a file, whose content is written as base64, or remove it"
            };
            reader.found.push(Diagnostic::new(Code::UnfitValue, node.span, problem).why(why).help(help));
            return None;
        }
        Some(Self { text: text.clone(), template: is_template(node, text, reader) })
    }
}

/// What a container runs. It is one value: a stronger level replaces it as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Split into words as a shell does.
    Line(Text),
    /// The words as they are; the first is the program.
    Words(Vec<Spanned<Text>>),
}

impl Scalar for Command {
    fn expected() -> Cow<'static, str> {
        "a text or a list of texts".into()
    }

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::Line(Text::plain(text)))
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &node.kind {
            Kind::List(items) => {
                let word = |item: &Node, reader: &mut Reader| Text::read(item, reader).map(|value| Spanned::at(item.span, value));
                let words: Vec<_> = items.iter().map(|item| word(item, reader)).collect();
                words.into_iter().collect::<Option<Vec<_>>>().map(Self::Words)
            }
            Kind::Scalar { .. } => Text::read(node, reader).map(Self::Line),
            Kind::Mapping(_) => {
                reader.wrong_type(node, &Self::expected());
                None
            }
        }
    }
}

/// `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag(pub bool);

impl Scalar for Flag {
    fn expected() -> Cow<'static, str> {
        "true or false".into()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(Self(true)),
            "false" => Ok(Self(false)),
            _ => Err(format!("`{text}` is neither true nor false")),
        }
    }
}

/// A whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Int(pub i64);

impl Scalar for Int {
    fn expected() -> Cow<'static, str> {
        "a whole number".into()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<i64>() {
            Ok(number) if number.to_string() == text => Ok(Self(number)),
            _ => Err(format!("`{text}` is not a whole number")),
        }
    }
}

/// Names with values, written as a mapping or as a list of `NAME=value`.
#[derive(Debug, Clone, Default)]
pub struct Vars {
    /// By name, whichever form they have in the source.
    pub values: Map<Given<Text>>,
    /// List items without `=`.
    pub bare: List<Text>,
    overrides: bool,
}

impl Vars {
    /// The value of `name`; `None` if there is none, or only the bare name.
    pub fn get(&self, name: &str) -> Option<&Spanned<Text>> {
        self.values.get(name).and_then(Given::get)
    }

    /// Whether it has an entry for the variable, even a removing one.
    pub fn names(&self, name: &str) -> bool {
        let mut named = self.values.iter().map(|(name, _)| name).chain(self.values.removed());
        named.any(|one| one.value == name) || self.bare.values().any(|bare| bare.text == name)
    }
}

impl Field for Vars {
    fn fill(&mut self, node: &Node, reader: &mut Reader) {
        self.overrides = node.tag == Tag::Override;
        let Kind::List(items) = &node.kind else {
            self.values.fill(node, reader);
            for (name, _) in self.values.iter() {
                check_name(&name.value, name.span, reader);
            }
            return;
        };
        for item in items {
            let Some(text) = Text::read(item, reader) else { continue };
            let span = item.span;
            let name = text.text.split('=').next().unwrap_or_default();
            let bare = self.bare.iter().find(|bare| bare.text == name);
            if let Some(first) = bare.or(self.get(name)) {
                reader.found.push(
                    Diagnostic::new(Code::DuplicateItem, span, format!("`{name}` is in the list twice"))
                        .related(first.span, "first here")
                        .why("which of the two counts depends on the program that looks it up")
                        .help("keep one of them"),
                );
                continue;
            }
            match text.text.split_once('=') {
                None => self.bare.items.push(Spanned::at(span, text)),
                Some((name, value)) => {
                    let value = Text { text: value.to_owned(), template: text.template };
                    check_name(name, Some(span), reader);
                    self.values.insert(Spanned::at(span, name.to_owned()), Given::Is(Spanned::at(span, value)));
                }
            }
        }
    }

    fn merge(&mut self, stronger: &Self) {
        if stronger.overrides {
            *self = Self { overrides: true, ..Self::default() };
        }
        let (gone, kept) = std::mem::take(&mut self.bare.items).into_iter().partition(|bare| stronger.names(&bare.text));
        self.bare.items = kept;
        stronger.bare.values().for_each(|bare| self.values.remove(&bare.text));
        self.values.merge(&stronger.values);
        gone.iter().for_each(|bare: &Spanned<Text>| self.values.hit(&bare.text));
        self.bare.merge(&stronger.bare);
    }

    fn is_absent(&self) -> bool {
        self.values.is_absent() && self.bare.is_absent() && !self.overrides
    }

    fn places(&self, see: &mut dyn FnMut(Span)) {
        self.values.places(see);
        self.bare.places(see);
    }
}

fn check_name(name: &str, span: Option<Span>, reader: &mut Reader) {
    if name.is_empty() || name.contains(|c: char| !c.is_ascii_graphic() || c == '=') {
        reader.found.push(
            Diagnostic::new(Code::InvalidName, span, format!("{name:?} can't be the name of a variable or label"))
                .help("use printable ASCII without spaces and `=`"),
        );
    }
}

macro_rules! schema {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

schema!(Text, "text", { "type": ["string", "integer", "number", "boolean"], "title": "text" });
schema!(Command, "command", { "type": ["string", "array"], "items": { "type": ["string", "integer"] }, "title": "text or list of texts" });
schema!(Flag, "flag", { "type": "boolean" });
schema!(Int, "int", { "type": "integer" });
schema!(Vars, "vars", {
    "type": ["object", "array"],
    "additionalProperties": { "type": ["string", "integer", "number", "boolean", "null"] },
    "items": { "type": "string" },
    "title": "mapping, or list of NAME=value"
});
