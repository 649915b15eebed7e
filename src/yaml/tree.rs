//! YAML text → [`Node`]s. Bounded: depth, number of nodes, aliases.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceId, Span};
use granit_parser::{Event, Options, Parser, ScalarStyle};
use serde_json::Value;
use std::collections::HashMap;

/// The maximal depth of lists and mappings.
const DEPTH: usize = 64;
/// The maximal number of nodes in a document, including those that an alias repeats or that are kept for one.
const NODES: usize = 1_000_000;
/// The maximal length of a key, in bytes.
const KEY: usize = 512;
/// The maximal length of a source, in bytes.
const BYTES: usize = 64 << 20;

/// A value with its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its kind and content.
    pub kind: Kind,
    /// From its first to its last character; for an alias, of the value that it names.
    pub span: Span,
    /// The tag before it.
    pub tag: Tag,
}

/// A node's role.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A single value.
    Scalar {
        /// The text, without quotes and with escapes resolved.
        text: String,
        /// Neither quoted nor a block: a YAML 1.1 reader may take it for something other than text.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the source, with unique keys.
    Mapping(Vec<Entry>),
}

/// A key of a mapping, and its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// The key's place.
    pub key_span: Span,
    /// The key's value.
    pub value: Node,
}

/// The tags that a source may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tag {
    /// No tag.
    #[default]
    None,
    /// `!override`: the weaker level's list or mapping is dropped instead of merged (Docker Compose's word).
    Override,
    /// `!template`: the text is a template, rendered for each node.
    Template,
    /// `!secret`, in a manifest: the text is the name of a secret, which stands for its value.
    Secret,
}

impl Node {
    /// The value of a mapping's key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// A mapping's entries; nothing's and any other value's are none.
    pub fn entries(&self) -> &[Entry] {
        if let Kind::Mapping(entries) = &self.kind { entries } else { &[] }
    }

    /// A list's items; nothing's and any other value's are none.
    pub fn items(&self) -> &[Node] {
        if let Kind::List(items) = &self.kind { items } else { &[] }
    }

    /// A single value's text, if it is anything.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// `~`, `null` or nothing.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Calls `see` with it and all in it, which is at most as deep as a text may be.
    pub fn walk<'n>(&'n self, see: &mut impl FnMut(&'n Node)) {
        see(self);
        self.entries().iter().map(|entry| &entry.value).chain(self.items()).for_each(|inner| inner.walk(see));
    }

    /// What it says, without places and tags. A plain scalar is what YAML 1.2 takes it for (its core schema), but numbers
    /// are decimal, and those that a program might write otherwise, like `007`, are texts.
    pub fn value(&self) -> Value {
        match &self.kind {
            Kind::List(items) => items.iter().map(Self::value).collect(),
            Kind::Mapping(entries) => Value::Object(entries.iter().map(|entry| (entry.key.clone(), entry.value.value())).collect()),
            Kind::Scalar { .. } if self.is_null() => Value::Null,
            Kind::Scalar { text, plain: true } => match text.as_str() {
                "true" | "True" | "TRUE" => true.into(),
                "false" | "False" | "FALSE" => false.into(),
                text if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                    serde_json::from_str(text).unwrap_or_else(|_| text.into())
                }
                text => text.into(),
            },
            Kind::Scalar { text, .. } => text.as_str().into(),
        }
    }

    /// What it is, for a message: "a list".
    pub fn what(&self) -> &'static str {
        match &self.kind {
            Kind::List(_) => "a list",
            Kind::Mapping(_) => "a mapping",
            Kind::Scalar { .. } if self.is_null() => "nothing",
            Kind::Scalar { .. } => "a single value",
        }
    }
}

/// Reads the only document of a profile, or of a file of a release line. `None` if it isn't YAML, is empty or too
/// large; `found` then says why. Duplicate keys, merge keys and unknown tags are reported, but the tree is returned.
pub fn parse(text: &str, source: SourceId, found: &mut Diagnostics) -> Option<Node> {
    document(text, source, true, found)
}

/// The same for a text that isn't remuda's: no tag has a meaning, and no help names a profile's keys.
pub fn parse_foreign(text: &str, source: SourceId, found: &mut Diagnostics) -> Option<Node> {
    document(text, source, false, found)
}

/// Reads all documents of manifests, without the empty ones. The only tag in them is `!secret`. Where it isn't YAML or too large, `found`
/// says why, and the documents before that are returned.
pub fn parse_manifests(text: &str, source: SourceId, found: &mut Diagnostics) -> Vec<Node> {
    let mut documents = Vec::new();
    if let Some(mut builder) = builder(text, source, false, found) {
        builder.has_secrets = true;
        while let Ok(Some(document)) = builder.next_document() {
            documents.extend(Some(document).filter(|document| !document.is_null()));
        }
    }
    documents
}

fn document(text: &str, source: SourceId, is_own: bool, found: &mut Diagnostics) -> Option<Node> {
    builder(text, source, is_own, found)?.document()
}

/// `None` if the text is too large.
fn builder<'a, 'd>(text: &'a str, source: SourceId, is_own: bool, found: &'d mut Diagnostics) -> Option<Builder<'a, 'd>> {
    let help = Help { is_own };
    if text.len() > BYTES {
        found.push(
            Diagnostic::new(Code::TooLarge, None, format!("the source has {} bytes", text.len()))
                .why("remuda reads sources of up to 64 MiB")
                .help(help.or("declare similar nodes by a range, `worker-[0001-1000]`", "leave out what the node doesn't need")),
        );
        return None;
    }
    let mut options = Options::default();
    options.emit_comments = false;
    options.flow_nesting_limit = DEPTH;
    options.block_nesting_limit = DEPTH;
    Some(Builder {
        parser: Parser::new_from_str_with_options(text, options),
        text,
        source,
        help,
        has_secrets: false,
        found,
        anchors: HashMap::new(),
        nodes: 0,
        kept: 0,
        depth: 0,
        end: 0,
    })
}

/// The help for a text of remuda's own languages, or for another one.
#[derive(Debug, Clone, Copy)]
struct Help {
    is_own: bool,
}

impl Help {
    fn or(self, own: &'static str, other: &'static str) -> &'static str {
        if self.is_own { own } else { other }
    }

    fn instead_of_aliases(self) -> &'static str {
        self.or("use groups and ranges instead of aliases", "write the value itself instead of the alias")
    }
}

/// The nodes that an alias repeats.
struct Anchored {
    node: Node,
    /// The number of nodes in it.
    size: usize,
    /// The depth of lists and mappings in it.
    height: usize,
}

/// The number of nodes in `node`, and the depth of lists and mappings in it.
fn measure(node: &Node) -> (usize, usize) {
    let within: Vec<(usize, usize)> = match &node.kind {
        Kind::Scalar { .. } => return (1, 0),
        Kind::List(items) => items.iter().map(measure).collect(),
        Kind::Mapping(entries) => entries.iter().map(|entry| measure(&entry.value)).map(|(size, height)| (size + 1, height)).collect(),
    };
    let add = |(size, height): (usize, usize), (more, deep): (usize, usize)| (size + more, height.max(deep + 1));
    within.into_iter().fold((1, 1), add)
}

/// Parsing has stopped; the reason was reported.
struct Stop;

struct Builder<'a, 'd> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    text: &'a str,
    source: SourceId,
    help: Help,
    /// Whether `!secret` is known.
    has_secrets: bool,
    found: &'d mut Diagnostics,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    /// The number of nodes in `anchors`.
    kept: usize,
    /// The number of open lists and mappings.
    depth: usize,
    end: u32,
}

impl<'a> Builder<'a, '_> {
    fn document(&mut self) -> Option<Node> {
        let Some(root) = self.next_document().ok()? else {
            self.found.push(
                Diagnostic::new(Code::Empty, self.span_at(0), "the source is empty")
                    .help(self.help.or("begin with `cluster: NAME`; `remuda gen` without a profile shows an example", "leave it out")),
            );
            return None;
        };
        self.nothing_follows().ok().map(|()| root)
    }

    /// `None` at the end of the text.
    fn next_document(&mut self) -> Result<Option<Node>, Stop> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(None),
                (event, span) => return self.node(event, span).map(Some),
            }
        }
    }

    fn nothing_follows(&mut self) -> Result<(), Stop> {
        loop {
            match self.next()? {
                (Event::DocumentStart(..), span) => {
                    self.found.push(
                        Diagnostic::new(Code::SecondDocument, span, "a second document begins here")
                            .why("a source has one document; the rest would be ignored")
                            .help("put it into its own file"),
                    );
                    return Err(Stop);
                }
                (Event::StreamEnd, _) => return Ok(()),
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let span = self.span(span.start, span.end);
                self.end = span.end;
                Ok((event, span))
            }
            Some(Err(error)) => {
                let span = self.span(*error.marker(), *error.marker());
                self.found.push(
                    Diagnostic::new(Code::Yaml, span, format!("this is not YAML: {}", error.info()))
                        .help("check the indentation, the quotes and the brackets here and on the line above"),
                );
                Err(Stop)
            }
            None => Ok((Event::StreamEnd, self.span_at(self.text.len()))),
        }
    }

    fn span(&self, start: granit_parser::Marker, end: granit_parser::Marker) -> Span {
        let offset = |marker: granit_parser::Marker| u32::try_from(marker.byte_offset().unwrap_or(self.text.len())).unwrap_or(u32::MAX);
        Span { source: self.source, start: offset(start), end: offset(end) }
    }

    fn span_at(&self, offset: usize) -> Span {
        let at = u32::try_from(offset).unwrap_or(u32::MAX);
        Span { source: self.source, start: at, end: at }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Stop> {
        self.count(1, span)?;
        let (kind, anchor, tag) = match event {
            Event::Alias(id) => return self.alias(id, span),
            Event::Scalar(text, style, anchor, tag) => {
                let kind = Kind::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                (kind, anchor, tag)
            }
            Event::SequenceStart(_, anchor, tag) => (Kind::List(self.items()?), anchor, tag),
            Event::MappingStart(_, anchor, tag) => (Kind::Mapping(self.entries()?), anchor, tag),
            _ => {
                self.found.push(Diagnostic::new(Code::Yaml, span, "a value is missing here"));
                return Err(Stop);
            }
        };
        let end = if matches!(kind, Kind::Scalar { .. }) { span.end } else { self.end };
        let tag = match tag {
            None => Tag::None,
            Some(tag) => self.tag(&tag.original(), span, &kind),
        };
        let node = Node { kind, span: Span { end, ..span }, tag };
        if anchor != 0 {
            let (size, height) = measure(&node);
            self.kept += size;
            self.count(0, span)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), size, height });
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<Node, Stop> {
        let Some(Anchored { size, height, .. }) = self.anchors.get(&id) else {
            self.found.push(Diagnostic::new(Code::Yaml, span, "an alias inside the value that it names").why("the value would be endless"));
            return Err(Stop);
        };
        if self.depth + height > DEPTH {
            self.found.push(
                Diagnostic::new(Code::TooLarge, span, format!("with the value of this alias, values nest deeper than {DEPTH}"))
                    .help(self.help.instead_of_aliases()),
            );
            return Err(Stop);
        }
        self.count(*size, span)?;
        Ok(self.anchors[&id].node.clone())
    }

    fn count(&mut self, more: usize, span: Span) -> Result<(), Stop> {
        self.nodes += more;
        if self.nodes + self.kept <= NODES {
            return Ok(());
        }
        self.found.push(
            Diagnostic::new(Code::TooLarge, span, format!("more than {NODES} values"))
                .why("the value of an alias is counted each time it is used")
                .help(self.help.instead_of_aliases()),
        );
        Err(Stop)
    }

    fn items(&mut self) -> Result<Vec<Node>, Stop> {
        self.depth += 1;
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => {
                    self.depth -= 1;
                    return Ok(items);
                }
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn entries(&mut self) -> Result<Vec<Entry>, Stop> {
        self.depth += 1;
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, Span> = HashMap::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => {
                    self.depth -= 1;
                    return Ok(entries);
                }
                (event, span) => self.node(event, span)?,
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            if let Some(key_text) = self.key(&key) {
                if let Some(first) = seen.insert(key_text.clone(), key.span) {
                    self.found.push(
                        Diagnostic::new(Code::DuplicateKey, key.span, format!("duplicate key `{key_text}`"))
                            .related(first, "first here")
                            .why("YAML readers disagree on which of the two counts")
                            .help("keep one of them"),
                    );
                    seen.insert(key_text, first);
                    continue;
                }
                entries.push(Entry { key: key_text, key_span: key.span, value });
            }
        }
    }

    fn key(&mut self, key: &Node) -> Option<String> {
        match &key.kind {
            Kind::Scalar { text, plain: true } if text == "<<" => {
                self.found.push(
                    Diagnostic::new(Code::MergeKey, key.span, "merge keys (`<<`) aren't supported")
                        .why("the node's own reader doesn't support them either")
                        .help(self.help.or("put shared settings under `defaults`, `roles` or `groups`", "write the keys themselves here")),
                );
                None
            }
            Kind::Scalar { text, .. } if text.len() > KEY => {
                self.found.push(
                    Diagnostic::new(Code::TooLarge, key.span, format!("this key has {} bytes; the limit is {KEY}", text.len()))
                        .why("a YAML reader accepts no key over 1024 characters: the node would drop its whole config"),
                );
                None
            }
            Kind::Scalar { text, .. } => Some(text.clone()),
            _ => {
                self.found.push(Diagnostic::new(Code::WrongType, key.span, format!("a key can't be {}", key.what())));
                None
            }
        }
    }

    fn tag(&mut self, tag: &str, span: Span, kind: &Kind) -> Tag {
        let (message, help) = match (tag, kind) {
            ("!secret", Kind::Scalar { .. }) if self.has_secrets => return Tag::Secret,
            _ if self.has_secrets => ("this tag has no meaning here", "remove it; the only known tag is `!secret` before a secret's name"),
            _ if !self.help.is_own => ("this tag has no meaning here", "remove it"),
            ("!override", Kind::List(_) | Kind::Mapping(_)) => return Tag::Override,
            ("!template", Kind::Scalar { .. }) => return Tag::Template,
            ("!override", _) => ("`!override` goes before a list or a mapping", "remove it: a single value always replaces the weaker one"),
            ("!template", _) => ("`!template` goes before a text", "put it before each text that is a template"),
            _ => ("this tag has no meaning here", "remove it; the known tags are `!override` and `!template`"),
        };
        self.found.push(Diagnostic::new(Code::UnknownTag, span, message).label(format!("tagged {tag}")).help(help));
        Tag::None
    }
}
