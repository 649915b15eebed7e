//! A profile's text: block style for mappings, flow style for short lists, quotes only where needed.

use super::value::{Map, Value};
use crate::profile::{Bond, File, Login, Network, NodeDecl, Vlan};
use crate::service::Service;
use crate::yaml::{Record, yaml11};
use std::fmt::Write;
use std::sync::OnceLock;

/// The longest line of a comment, in characters.
const WIDTH: usize = 110;
/// The longest list in flow style, in characters.
const FLOW: usize = 100;

/// A section at the top level; nothing if it is empty.
pub(super) fn section(out: &mut String, name: &str, section: &Map) {
    if !section.is_empty() {
        heading(out, name);
        map(out, section, 2);
    }
}

/// The heading of a section, after an empty line.
pub(super) fn heading(out: &mut String, name: &str) {
    // A block that keeps its last line breaks would take one more for its own.
    if !out.ends_with("\n\n") {
        out.push('\n');
    }
    let _ = writeln!(out, "{name}:");
}

/// A comment, wrapped; further lines are indented.
pub(super) fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.replace(char::is_control, " ").split_whitespace() {
        if line.chars().count() + word.chars().count() >= WIDTH {
            let _ = writeln!(out, "{line}");
            line = String::from("#  ");
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(out, "{line}");
}

/// The entries of a mapping, each on its own line at `indent`.
pub(super) fn map(out: &mut String, map: &Map, indent: usize) {
    let order = if map.contains_key("image") { &order()[1] } else { &order()[0] };
    let rank = |key: &str| order.iter().position(|name| *name == key).unwrap_or(order.len());
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| rank(key));
    for (key, value) in entries {
        let _ = write!(out, "{:indent$}{}:", "", self::key(key));
        self::value(out, value, indent);
    }
}

/// The order of keys, as the reference has them: first everywhere, then in a service. Other names come after these.
fn order() -> &'static [Vec<&'static str>; 2] {
    static ORDER: OnceLock<[Vec<&str>; 2]> = OnceLock::new();
    ORDER.get_or_init(|| {
        // A file's content comes after what is said of it.
        let file = File::keys().into_iter().filter(|key| *key != "content").chain(["content"]);
        let network = ["addresses", "routes", "bond", "bridge", "vlan"].into_iter().chain(Bond::keys()).chain(Vlan::keys());
        let everywhere =
            ["nodes", "pods"].into_iter().chain(NodeDecl::keys()).chain(Network::keys()).chain(network).chain(Login::keys()).chain(file);
        [everywhere.collect(), Service::keys()]
    })
}

/// A value behind its key or dash, with the line's end.
fn value(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Text(text) => {
            out.push(' ');
            scalar(out, text, indent + 2);
        }
        Value::List(items) => match flow(value).filter(|_| !items.iter().any(is_sentence)) {
            Some(flow) => {
                let _ = writeln!(out, " {flow}");
            }
            None => {
                out.push('\n');
                for item in items {
                    let _ = write!(out, "{:1$}-", "", indent + 2);
                    self::value(out, item, indent + 2);
                }
            }
        },
        Value::Map(entries) if entries.is_empty() => out.push_str(" {}\n"),
        Value::Map(entries) => {
            out.push('\n');
            map(out, entries, indent + 2);
        }
    }
}

/// Whether it is a text of several words: each has its own line.
fn is_sentence(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.contains(' '))
}

/// A short list of short texts on one line.
fn flow(value: &Value) -> Option<String> {
    let written = match value {
        Value::List(items) => format!("[{}]", items.iter().map(flow).collect::<Option<Vec<_>>>()?.join(", ")),
        Value::Text(text) if text.contains('\n') => return None,
        Value::Text(text) => key(text),
        Value::Map(_) => return None,
    };
    (written.len() <= FLOW).then_some(written)
}

/// A text that may be anywhere: as a key, in a list, between brackets.
pub(super) fn key(text: &str) -> String {
    if is_plain(text) && !text.contains([',', '[', ']', '{', '}', ':', ' ']) { text.to_owned() } else { quoted(text) }
}

/// A text to the end of its line, or as a block whose lines are at `indent`.
fn scalar(out: &mut String, text: &str, indent: usize) {
    if let Some(mark) = block(text) {
        let _ = writeln!(out, "|{mark}");
        for line in text.split_inclusive('\n') {
            let _ = match line {
                "\n" => writeln!(out),
                _ => write!(out, "{:indent$}{line}", ""),
            };
        }
        if !text.ends_with('\n') {
            out.push('\n');
        }
        return;
    }
    out.push_str(&if is_plain(text) { text.to_owned() } else { quoted(text) });
    out.push('\n');
}

/// How a block keeps the text's last line breaks; `None` if the text can't be a block.
fn block(text: &str) -> Option<&'static str> {
    let is_visible = |c: char| c == '\n' || c == '\t' || !c.is_control() && !matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
    let is_line = |line: &str| line.is_empty() || !line.trim().is_empty();
    let fits = text.contains('\n') && !text.starts_with([' ', '\t', '\n']) && text.chars().all(is_visible) && text.lines().all(is_line);
    fits.then(|| match text.len() - text.trim_end_matches('\n').len() {
        0 => "-",
        1 => "",
        _ => "+",
    })
}

/// Whether a text needs no quotes at the end of a line: no reader takes it for anything else.
fn is_plain(text: &str) -> bool {
    let is_word = match yaml11(text) {
        None => true,
        Some(_) => matches!(text, "true" | "false") || text.parse::<i64>().is_ok_and(|number| number.to_string() == text),
    };
    let starts = |c: char| c.is_ascii_alphanumeric() || c == '/' || c == '_';
    is_word
        && (text.starts_with(starts) || text.parse::<i64>().is_ok())
        && text.chars().all(|c| matches!(c, ' '..='~'))
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
