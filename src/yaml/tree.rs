//! YAML text → [`Node`]s. Bounded: depth, number of nodes, aliases.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceId, Span};
use granit_parser::{Event, Options, Parser, ScalarStyle};
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
}

impl Node {
    /// `~`, `null` or nothing.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
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

/// Reads the only document of `text`. `None` if it isn't YAML, is empty or too large; `found` then
/// says why. Duplicate keys, merge keys and unknown tags are reported, but the tree is returned.
pub fn parse(text: &str, source: SourceId, found: &mut Diagnostics) -> Option<Node> {
    if text.len() > BYTES {
        found.push(
            Diagnostic::new(Code::TooLarge, None, format!("the source has {} bytes", text.len()))
                .why("remuda reads sources of up to 64 MiB")
                .help("declare similar nodes by a range, `worker-[0001-1000]`"),
        );
        return None;
    }
    let mut options = Options::default();
    options.emit_comments = false;
    options.flow_nesting_limit = DEPTH;
    options.block_nesting_limit = DEPTH;
    let mut builder = Builder {
        parser: Parser::new_from_str_with_options(text, options),
        text,
        source,
        found,
        anchors: HashMap::new(),
        nodes: 0,
        kept: 0,
        depth: 0,
        end: 0,
    };
    builder.document()
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
        loop {
            match self.next().ok()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => {
                    self.found.push(
                        Diagnostic::new(Code::Empty, self.span_at(0), "the source is empty")
                            .help("begin with `cluster: NAME`; `remuda gen` without a profile shows an example"),
                    );
                    return None;
                }
                (event, span) => {
                    let root = self.node(event, span).ok()?;
                    return self.nothing_follows().ok().map(|()| root);
                }
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
                    .help("use groups and ranges instead of aliases"),
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
                .help("use groups and ranges instead of aliases"),
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
                        .help("put shared settings under `defaults`, `roles` or `groups`"),
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
