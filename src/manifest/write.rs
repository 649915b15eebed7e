//! Objects → the text that a node applies.
//!
//! Every value is written such that kubectl reads it as it would read the manifest itself: a plain scalar stays one.

use super::Object;
use crate::diagnostic::Span;
use crate::yaml::{Kind, Node, Tag, yaml11};
use std::collections::BTreeMap;

/// A part of the text that a node applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Text(String),
    /// The name of a component's image on the node.
    Image(String),
    /// The value of a secret, as a JSON text.
    Secret(String),
}

/// The text of all objects: namespaces and definitions first, the others in their order.
///
/// `images` has the component whose image is packed for each place that names one. Numbers of replicas are left out.
pub fn pieces<'o>(objects: impl Iterator<Item = &'o Object>, images: &BTreeMap<Span, String>) -> Vec<Piece> {
    let mut objects: Vec<&Object> = objects.collect();
    objects.sort_by_key(|object| rank(object));
    let mut writer = Writer { images, omitted: None, pieces: Vec::new() };
    for object in objects {
        writer.omitted = object.replicas().map(|replicas| replicas.span);
        writer.push("---\n");
        writer.entries(&object.node, 0, false);
    }
    writer.pieces
}

/// A mapping as a text of its own.
pub fn text(node: &Node) -> String {
    let mut writer = Writer { images: &BTreeMap::new(), omitted: None, pieces: Vec::new() };
    writer.entries(node, 0, false);
    let text = writer.pieces.into_iter().map(|piece| match piece {
        Piece::Text(text) | Piece::Image(text) | Piece::Secret(text) => text,
    });
    text.collect()
}

/// The bytes of a value as JSON.
pub(super) fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::Mapping(entries) => 2 + entries.iter().map(|entry| entry.key.len() + 4 + size(&entry.value)).sum::<usize>(),
        Kind::List(items) => 2 + items.iter().map(|item| size(item) + 1).sum::<usize>(),
        Kind::Scalar { text, plain } => {
            let escapes = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\') || byte.is_ascii_control()).count();
            text.len() + if *plain { 0 } else { 2 + escapes }
        }
    }
}

/// The numbers of replicas that the objects want, as objects with nothing else; empty if none wants any.
pub fn replicas<'o>(objects: impl Iterator<Item = &'o Object>) -> String {
    let mut text = String::new();
    for (object, replicas) in objects.filter_map(|object| Some((object, object.replicas()?))) {
        let namespace = object.namespace.as_ref().map(|namespace| format!(", namespace: {}", scalar(namespace, false))).unwrap_or_default();
        let Kind::Scalar { text: number, plain } = &replicas.kind else { continue };
        text.push_str(&format!(
            "---\napiVersion: {}\nkind: {}\nmetadata: {{name: {}{namespace}}}\nspec: {{replicas: {}}}\n",
            scalar(&object.api_version, false),
            scalar(&object.kind, false),
            scalar(&object.name, false),
            scalar(number, *plain)
        ));
    }
    text
}

/// A line for each object, KIND.VERSION.GROUP/NAMESPACE/NAME, by which a node removes it when it is no longer there.
pub fn names<'o>(objects: impl Iterator<Item = &'o Object>) -> String {
    let name = |object: &Object| {
        let (group, kind, namespace, name) = object.id();
        let version = object.api_version.rsplit('/').next().unwrap_or_default();
        format!("{kind}.{version}.{group}/{namespace}/{name}\n")
    };
    objects.map(name).collect()
}

/// What others need comes first.
fn rank(object: &Object) -> u8 {
    match object.kind.as_str() {
        "Namespace" => 0,
        "CustomResourceDefinition" => 1,
        _ => 2,
    }
}

struct Writer<'w> {
    images: &'w BTreeMap<Span, String>,
    /// The value that isn't written.
    omitted: Option<Span>,
    pieces: Vec<Piece>,
}

impl Writer<'_> {
    fn push(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    /// The entries of a mapping, each on a line; the first without indentation if it follows a dash.
    fn entries(&mut self, node: &Node, depth: usize, follows_dash: bool) {
        let packs = |key: &str| node.get(key).is_some_and(|image| self.images.contains_key(&image.span));
        // The image is on the node, or in the registry under its digest: it is the same whenever it is pulled.
        let (image, policy) = if packs("reference") { ("reference", "pullPolicy") } else { ("image", "imagePullPolicy") };
        let is_packed = packs(image);
        let mut starts_line = !follows_dash;
        for entry in node.entries() {
            if self.omitted == Some(entry.value.span) || is_packed && entry.key == policy {
                continue;
            }
            if starts_line {
                self.push(&" ".repeat(depth));
            }
            starts_line = true;
            self.push(&scalar(&entry.key, false));
            self.push(":");
            self.value(&entry.value, depth);
            if is_packed && entry.key == image {
                self.push(&format!("{}{policy}: IfNotPresent\n", " ".repeat(depth)));
            }
        }
    }

    /// A value behind a key or a dash at `depth`, to the end of its last line.
    fn value(&mut self, node: &Node, depth: usize) {
        match &node.kind {
            Kind::Mapping(entries) if entries.iter().all(|entry| self.omitted == Some(entry.value.span)) => self.push(" {}\n"),
            Kind::Mapping(_) => {
                self.push("\n");
                self.entries(node, depth + 2, false);
            }
            Kind::List(items) if items.is_empty() => self.push(" []\n"),
            Kind::List(items) => {
                self.push("\n");
                for item in items {
                    self.push(&format!("{}-", " ".repeat(depth + 2)));
                    if item.entries().is_empty() {
                        self.value(item, depth + 2);
                    } else {
                        self.push(" ");
                        self.entries(item, depth + 4, true);
                    }
                }
            }
            Kind::Scalar { text, plain } => {
                self.push(" ");
                match self.images.get(&node.span) {
                    Some(component) => self.pieces.push(Piece::Image(component.clone())),
                    None if node.tag == Tag::Secret => self.pieces.push(Piece::Secret(text.clone())),
                    None => match block(text, depth + 2).filter(|_| !plain) {
                        Some(block) => return self.push(&block),
                        None => self.push(&scalar(text, *plain)),
                    },
                }
                self.push("\n");
            }
        }
    }
}

/// A single value on one line. A text that was quoted stays a text.
fn scalar(text: &str, plain: bool) -> String {
    let is_safe = text.chars().all(|c| c.is_ascii_alphanumeric() || "._+~-/".contains(c));
    let is_text = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && yaml11(text).is_none();
    match is_safe && (plain || is_text) {
        true if text.is_empty() => "null".to_owned(),
        true => text.to_owned(),
        false => quoted(text),
    }
}

/// In double quotes, as both JSON and YAML read it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // A reader of YAML takes these for the end of a line, or refuses them.
            c if c.is_control() || "\u{2028}\u{2029}\u{FEFF}\u{FFFE}\u{FFFF}".contains(c) => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)))
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A text of several lines as a block, if a block keeps it as it is.
fn block(text: &str, depth: usize) -> Option<String> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let is_kept = |line: &str| line.is_empty() || !line.trim().is_empty();
    let is_plain = |c: char| c == '\n' || !c.is_control() && !"\u{2028}\u{2029}\u{FEFF}\u{FFFE}\u{FFFF}".contains(c);
    let fits = text.contains('\n')
        && !text.starts_with([' ', '\n'])
        && !body.ends_with('\n')
        && body.split('\n').all(is_kept)
        && text.chars().all(is_plain);
    fits.then(|| {
        let indented = body.split('\n').map(|line| if line.is_empty() { String::new() } else { format!("{}{line}", " ".repeat(depth)) });
        let lines: Vec<String> = indented.collect();
        format!("{}\n{}\n", if text.ends_with('\n') { "|" } else { "|-" }, lines.join("\n"))
    })
}
