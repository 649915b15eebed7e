//! `write_files` → `files`.

use super::keys::Config;
use super::value::{Map, Value};
use crate::diagnostic::{Code, Diagnostic};
use crate::yaml::{Kind, Node};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use std::io::Read;

/// The maximal size of a file, in bytes: that of a profile's files.
const BYTES: u64 = 1 << 20;

impl Config<'_> {
    /// The files that a config writes.
    pub(super) fn files(&mut self, node: &Node) {
        let mut files = Map::new();
        for item in self.items(node) {
            let Some((path, file)) = self.file(item) else { continue };
            if files.insert(path.clone(), Value::Map(file)).is_some() {
                self.found.push(
                    Diagnostic::new(Code::KeyNotImported, item.span, format!("`{path}` is written twice"))
                        .why("the second one replaced the first on the node, and only the second is in the profile")
                        .help("look at the file's content in the profile"),
                );
            }
        }
        self.put("files", Value::Map(files));
    }

    fn file(&mut self, node: &Node) -> Option<(String, Map)> {
        let (mut path, mut content, mut encoding) = (None, None, String::new());
        let mut file = Map::new();
        for entry in self.entries(node) {
            let value = &entry.value;
            match entry.key.as_str() {
                _ if value.is_null() => {}
                "path" => path = self.text("path", value),
                "content" => match &value.kind {
                    Kind::Scalar { text, .. } => content = Some((text, value.span)),
                    _ => self.wrong_type(value, "a text"),
                },
                "encoding" => encoding = self.text("encoding", value)?,
                "permissions" => {
                    let mode = self.text("permissions", value)?;
                    let digits = mode.trim_start_matches("0o").trim_start_matches('0');
                    file.insert("permissions".to_owned(), Value::Text(format!("0{digits:0>3}")));
                }
                "owner" | "container" => {
                    let text = self.text(&entry.key, value)?;
                    if !matches!(text.as_str(), "root" | "console") {
                        file.insert(entry.key.clone(), Value::Text(text));
                    }
                }
                key => self.not_imported(
                    &format!("write_files.{key}"),
                    entry.key_span,
                    "the keys here are path, content, encoding, permissions, owner, container",
                ),
            }
        }
        let Some(path) = path else {
            self.found.push(
                Diagnostic::new(Code::KeyNotImported, node.span, "a file has no `path`")
                    .why("the OS didn't write it, and it isn't in the profile")
                    .help("add `path`, or remove the item"),
            );
            return None;
        };
        if self.line.files.contains_key(&path) {
            self.note(&path, "the release line writes it", node.span);
            return None;
        }
        if self.target.engine_image.as_ref().is_some_and(|engine| engine.mark == path) {
            self.note(&path, "remuda writes it itself", node.span);
            return None;
        }
        let (text, span) = content.map_or(("", node.span), |(text, span)| (text.as_str(), span));
        match decoded(text, &encoding) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => {
                    if !self.may_have(&path, &text, span) {
                        return None;
                    }
                    file.insert("content".to_owned(), Value::Text(text));
                }
                Err(binary) => {
                    file.insert("encoding".to_owned(), Value::text("base64"));
                    file.insert("content".to_owned(), Value::Text(STANDARD.encode(binary.as_bytes())));
                }
            },
            Err(problem) => {
                self.found.push(
                    Diagnostic::new(Code::InvalidValue, span, format!("the content of {path} can't be decoded: {problem}"))
                        .why("the node didn't write the file either")
                        .help("correct `content` or `encoding`, or remove the file"),
                );
                return None;
            }
        }
        Some((path, file))
    }
}

/// A file's bytes, as the OS decodes them.
fn decoded(text: &str, encoding: &str) -> Result<Vec<u8>, String> {
    let base64 = |text: &str| {
        let text: String = text.split_whitespace().collect();
        STANDARD.decode(text).map_err(|_| "it isn't base64".to_owned())
    };
    match encoding {
        "" => Ok(text.as_bytes().to_vec()),
        "base64" | "b64" => base64(text),
        "gz" | "gzip" => unpacked(text.as_bytes()),
        "gz+base64" | "gzip+base64" | "gz+b64" | "gzip+b64" => unpacked(&base64(text)?),
        other => Err(format!("the OS knows no encoding `{other}`")),
    }
}

fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    MultiGzDecoder::new(bytes).take(BYTES + 1).read_to_end(&mut out).map_err(|_| "it isn't gzip".to_owned())?;
    if out.len() as u64 > BYTES { Err("it has more than 1 MiB".to_owned()) } else { Ok(out) }
}
