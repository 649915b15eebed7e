//! Writes a cloud-config as text that every known YAML reader (candiedyaml, PyYAML, yaml.v2 and v3)
//! reads back as exactly the same values.
//!
//! Texts that a YAML 1.1 reader could take for something else are quoted. Texts of several lines
//! are literal blocks where that is safe, so that a diff in git is readable. Texts that no quoting
//! saves were refused or encoded earlier.

use super::config::CloudConfig;
use crate::yaml::yaml11;
use serde_json::Value;
use std::fmt::Write;

/// The whole file: `#cloud-config` first, then `comment`, then the values.
pub fn emit(config: &CloudConfig, comment: &str) -> String {
    let mut out = String::with_capacity(16 << 10);
    out.push_str("#cloud-config\n");
    for line in comment.lines() {
        let _ = writeln!(out, "# {line}");
    }
    mapping(&mut out, &config.value(), 0);
    out
}

/// Only the services, for a person to read.
pub fn emit_services(config: &CloudConfig) -> String {
    let mut out = String::new();
    let value = serde_json::to_value(&config.rancher.services).expect("services consist of texts, numbers, lists and mappings");
    mapping(&mut out, &value, 0);
    out
}

/// Everything but services and files, for a person to read.
pub fn emit_rest(config: &CloudConfig) -> String {
    let (mut out, mut value) = (String::new(), config.value());
    if let Value::Object(keys) = &mut value {
        keys.shift_remove("write_files");
    }
    if let Some(Value::Object(keys)) = value.get_mut("rancher") {
        keys.shift_remove("services");
    }
    mapping(&mut out, &value, 0);
    out
}

/// The entries of a mapping, each on its own line at `indent`.
fn mapping(out: &mut String, value: &Value, indent: usize) {
    let Value::Object(entries) = value else { return };
    for (key, value) in entries {
        pad(out, indent);
        entry(out, key, value, indent);
    }
}

fn entry(out: &mut String, key: &str, value: &Value, indent: usize) {
    text(out, key, None);
    out.push(':');
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            out.push('\n');
            mapping(out, value, indent + 2);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            items.iter().for_each(|item| self::item(out, item, indent + 2));
        }
        _ => {
            out.push(' ');
            scalar(out, value, indent + 2);
        }
    }
}

fn item(out: &mut String, value: &Value, indent: usize) {
    pad(out, indent);
    if let Value::Array(items) = value
        && !items.is_empty()
    {
        out.push_str("-\n");
        items.iter().for_each(|item| self::item(out, item, indent + 2));
        return;
    }
    out.push_str("- ");
    match value {
        Value::Object(entries) => {
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    pad(out, indent + 2);
                }
                entry(out, key, value, indent + 2);
            }
        }
        _ => scalar(out, value, indent + 2),
    }
}

/// A value at the end of its line; a block's lines are at `indent`.
fn scalar(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::String(value) => text(out, value, Some(indent)),
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        other => {
            let _ = write!(out, "{other}");
        }
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

fn pad(out: &mut String, indent: usize) {
    (0..indent).for_each(|_| out.push(' '));
}

fn text(out: &mut String, text: &str, block_indent: Option<usize>) {
    match block_indent {
        Some(indent) if is_block(text) => block(out, text, indent),
        _ if is_plain(text) => out.push_str(text),
        _ => quoted(out, text),
    }
}

/// Whether a literal block preserves the text: it ends in one line break, and no line begins or
/// ends with a blank that a reader or an editor could lose.
fn is_block(text: &str) -> bool {
    text.len() > 1
        && text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
        && text.lines().all(|line| !line.ends_with(' '))
        && text.chars().all(|c| matches!(c, ' '..='~' | '\n'))
}

fn block(out: &mut String, text: &str, indent: usize) {
    out.push_str("|\n");
    for line in text.lines() {
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// Whether the text needs no quotes: it has nothing that means something to any reader.
fn is_plain(text: &str) -> bool {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '/' || c == '_';
    let inner = |c: char| c.is_ascii_alphanumeric() || "/_.-+=@,".contains(c);
    text.len() < 1000 && text.starts_with(starts) && text.chars().all(inner) && yaml11(text).is_none() || is_path_pair(text)
}

/// `/run:/run:shared`: a colon without a blank after it is part of the text.
fn is_path_pair(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "/_.-".contains(c));
    text.starts_with('/') && text.split(':').all(part)
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            // Such texts were refused or encoded earlier. JSON's escapes are also YAML's.
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04X}");
                }
            }
        }
    }
    out.push('"');
}
