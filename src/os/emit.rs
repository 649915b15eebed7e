//! Writes a cloud-config as text that every known YAML reader (candiedyaml, PyYAML, yaml.v2 and v3)
//! reads back as exactly the same values.
//!
//! Texts that a YAML 1.1 reader could take for something else are quoted. Texts of several lines
//! are literal blocks where that is safe, so that a diff in git is readable. Texts that no quoting
//! saves were refused or encoded earlier.

use super::config::{CloudConfig, File};
use crate::node::{self, Setting, Written};
use crate::service::is_printable;
use crate::yaml::yaml11;
use serde_json::Value;
use std::fmt::Write;
use std::sync::Arc;

/// The whole file: `#cloud-config` first, then `comment`, then the values.
pub fn emit(config: CloudConfig, comment: &str) -> String {
    let (rest, services, files) = config.parts();
    let files: Vec<&str> = files.0.iter().map(|file| file.yaml(|file| text_of(|out| self::file(out, &File::of(file))))).collect();
    // The rest is small.
    let mut out = String::with_capacity(files.iter().map(|text| text.len()).sum::<usize>() + (16 << 10));
    out.push_str("#cloud-config\n");
    for line in comment.lines() {
        let _ = writeln!(out, "# {line}");
    }
    for (key, value) in &rest {
        if let ("rancher", Value::Object(entries)) = (key.as_str(), value) {
            out.push_str("rancher:\n");
            for (key, value) in entries {
                pad(&mut out, 2);
                match key.as_str() {
                    "services" if !services.0.is_empty() => {
                        out.push_str("services:\n");
                        for (name, keys) in &services.0 {
                            service(&mut out, name, keys, 4);
                            out.extend(keys.iter().map(|one| one.yaml(|one| text_of(|out| setting(out, one, 6)))));
                        }
                    }
                    _ => entry(&mut out, key, value, 2),
                }
            }
            if !files.is_empty() {
                out.push_str("write_files:\n");
                out.extend(files.iter().copied());
            }
        } else {
            entry(&mut out, key, value, 0);
        }
    }
    out
}

/// Only the services, for a person to read.
pub fn emit_services(config: &CloudConfig) -> String {
    text_of(|out| {
        for (name, keys) in &config.rancher.services.0 {
            service(out, name, keys, 0);
            keys.iter().for_each(|one| setting(out, one, 2));
        }
    })
}

/// Everything but services and files, for a person to read.
pub fn emit_rest(config: CloudConfig) -> String {
    let (mut rest, ..) = config.parts();
    if let Some(Value::Object(keys)) = rest.get_mut("rancher") {
        keys.shift_remove("services");
    }
    let mut out = String::new();
    rest.iter().for_each(|(key, value)| entry(&mut out, key, value, 0));
    out
}

fn text_of(write: impl FnOnce(&mut String)) -> String {
    let mut out = String::new();
    write(&mut out);
    out
}

/// The line before a service's keys.
fn service(out: &mut String, name: &str, keys: &[Arc<Written<Setting>>], indent: usize) {
    pad(out, indent);
    text(out, name, None);
    out.push_str(if keys.is_empty() { ": {}\n" } else { ":\n" });
}

fn setting(out: &mut String, (key, value): &Setting, indent: usize) {
    pad(out, indent);
    text(out, key, None);
    out.push(':');
    of_service(out, value, indent + 2);
}

/// A value in a service, after its key; the lines of a list or mapping are at `indent`.
fn of_service(out: &mut String, value: &node::Value, indent: usize) {
    use node::Value::{Flag, Int, Ints, Pairs, Text, Texts};
    match value {
        Text(value) => line(out, " ", value, indent),
        Texts(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                pad(out, indent);
                line(out, "- ", item, indent + 2);
            }
        }
        Pairs(pairs) if !pairs.is_empty() => {
            out.push('\n');
            pairs.iter().for_each(|(key, value)| pair(out, key, value, indent));
        }
        Ints(pairs) if !pairs.is_empty() => {
            out.push('\n');
            for (key, number) in pairs {
                pad(out, indent);
                text(out, key, None);
                let _ = writeln!(out, ": {number}");
            }
        }
        Texts(_) => out.push_str(" []\n"),
        Pairs(_) | Ints(_) => out.push_str(" {}\n"),
        Flag(flag) => out.push_str(if *flag { " true\n" } else { " false\n" }),
        Int(number) => {
            let _ = writeln!(out, " {number}");
        }
    }
}

fn file(out: &mut String, file: &File) {
    line(out, "  - path: ", file.path, 6);
    let further = [("owner", file.owner), ("container", Some(file.container)), ("encoding", file.encoding)];
    pair(out, "permissions", file.permissions, 4);
    further.into_iter().for_each(|(key, value)| value.into_iter().for_each(|value| pair(out, key, value, 4)));
    pair(out, "content", &file.content, 4);
}

/// `key: value`
fn pair(out: &mut String, key: &str, value: &str, indent: usize) {
    pad(out, indent);
    text(out, key, None);
    line(out, ": ", value, indent + 2);
}

/// The end of a line, or a block whose lines are at `indent`.
fn line(out: &mut String, before: &str, value: &str, indent: usize) {
    out.push_str(before);
    text(out, value, Some(indent));
    if !out.ends_with('\n') {
        out.push('\n');
    }
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
        Value::String(value) => return line(out, "", value, indent),
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        other => {
            let _ = write!(out, "{other}");
        }
    }
    out.push('\n');
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
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
        && is_printable(text)
        && !text.contains(" \n")
}

fn block(out: &mut String, text: &str, indent: usize) {
    out.push_str("|\n");
    for line in text.split_inclusive('\n') {
        if line != "\n" {
            pad(out, indent);
        }
        out.push_str(line);
    }
}

/// Whether the text needs no quotes: it has nothing that means something to any reader.
fn is_plain(text: &str) -> bool {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '/' || c == '_';
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'.' | b'-' | b'+' | b'=' | b'@' | b',');
    text.len() < 1000 && text.starts_with(starts) && text.bytes().all(inner) && yaml11(text).is_none() || is_path_pair(text)
}

/// `/run:/run:shared`: a colon without a blank after it is part of the text.
fn is_path_pair(text: &str) -> bool {
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'.' | b'-'));
    text.starts_with('/') && text.split(':').all(part)
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(next) = rest.find(|c: char| !matches!(c, ' '..='~') || c == '"' || c == '\\') {
        let (before, after) = rest.split_at(next);
        out.push_str(before);
        let mut after = after.chars();
        match after.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\t') => out.push_str("\\t"),
            // Such texts were refused or encoded earlier. JSON's escapes are also YAML's.
            other => {
                for unit in other.unwrap_or_default().encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04X}");
                }
            }
        }
        rest = after.as_str();
    }
    out.push_str(rest);
    out.push('"');
}
