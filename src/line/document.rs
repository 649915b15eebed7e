//! What a line's `line.yaml` says, on top of the `base.yaml` of what it extends, and so on.
//!
//! They merge like everything: mappings key by key, lists are appended to, `~` removes, anything else replaces.

use super::{Api, Engine, LineFile, Lines, Moves, Needs, OperatorFile, Pki, SHARED, ServiceEntry, UserFile};
use crate::component::ComponentImage;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Sources};
use crate::terms::Backend;
use crate::yaml::{self, Field, Kind, Map, Reader};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The documents of a line, its own first.
pub(super) struct Documents(Vec<Document>);

struct Document {
    /// Below the folder of lines.
    folder: String,
    /// Its name for messages.
    file: String,
    text: String,
    value: Value,
}

/// All documents of a line, merged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LineYaml {
    pub title: String,
    pub insecure: Option<String>,
    pub outdated: Option<String>,
    pub needs: Needs,
    pub architectures: Vec<String>,
    pub api: Api,
    /// Read by [`Documents::components`], because its values need their places.
    #[serde(rename = "components")]
    _components: serde::de::IgnoredAny,
    pub services: IndexMap<String, ServiceEntry>,
    pub files: IndexMap<String, LineFile>,
    #[serde(default)]
    pub etcd_is_joined: bool,
    #[serde(default)]
    pub operator_files: Vec<OperatorFile>,
    pub user_file: Option<UserFile>,
    #[serde(default)]
    pub pki: Pki,
    pub file_writer: String,
    pub backends: Vec<Backend>,
    pub docker: Option<Engine>,
    #[serde(default)]
    pub sysctl: BTreeMap<String, String>,
    #[serde(default)]
    pub modules: Vec<String>,
    #[serde(default)]
    pub control_plane_taints: Vec<String>,
    #[serde(default)]
    pub moves: BTreeMap<String, Moves>,
}

impl Documents {
    /// `None` if one doesn't exist or can't be read, which is in `found`.
    pub(super) fn of(name: &str, lines: &Lines, found: &mut Diagnostics) -> Option<Self> {
        let mut documents: Vec<Document> = Vec::new();
        let mut next = Some(name.to_owned());
        while let Some(folder) = next {
            let path = format!("{folder}/{}", if documents.is_empty() { "line.yaml" } else { "base.yaml" });
            let document = match lines.file(&path) {
                _ if documents.iter().any(|one| one.folder == folder) => Err(format!("{path} extends itself")),
                Ok(Some((text, file))) => match serde_saphyr::from_str(&text) {
                    Ok(value) => Ok(Document { folder, file, text, value }),
                    Err(error) => Err(format!("{file}: {error}")),
                },
                Ok(None) => Err(format!("the release line has no file {path}")),
                Err(error) => Err(error.to_string()),
            };
            let extended = document.and_then(|mut document| {
                let extends = document.value.as_object_mut().and_then(|keys| keys.shift_remove("extends"));
                let base = match extends {
                    None => None,
                    Some(Value::String(base)) => Some(base),
                    Some(_) => return Err(format!("{}: `extends` isn't a folder's name", document.file)),
                };
                documents.push(document);
                Ok(base)
            });
            next = extended.map_err(|problem| found.push(Diagnostic::new(Code::Line, None, problem))).ok()?;
        }
        Some(Self(documents))
    }

    /// The folders of the line's files, its own first.
    pub(super) fn folders(&self) -> Vec<String> {
        self.0.iter().map(|document| document.folder.clone()).chain([SHARED.to_owned()]).collect()
    }

    /// The line's own file, for messages.
    pub(super) fn file(&self) -> &str {
        &self.0[0].file
    }

    /// What they say together.
    pub(super) fn merged(&self, found: &mut Diagnostics) -> Option<LineYaml> {
        let mut merged = Value::Null;
        for document in self.0.iter().rev() {
            merge(&mut merged, document.value.clone());
        }
        match serde_path_to_error::deserialize(merged) {
            Ok(line) => Some(line),
            Err(error) => {
                let files: Vec<&str> = self.0.iter().map(|document| document.file.as_str()).collect();
                found.push(Diagnostic::new(Code::Line, None, format!("{}: {error}", files.join(", which extends "))));
                None
            }
        }
    }

    /// What each component's image is made of.
    pub(super) fn components(self, sources: &mut Sources, found: &mut Diagnostics) -> Option<Map<ComponentImage>> {
        let mut components = Map::default();
        for document in self.0.into_iter().rev() {
            let source = sources.add(document.file, document.text, false);
            let tree = yaml::parse(&sources.get(source).text, source, found)?;
            if let Kind::Mapping(entries) = &tree.kind
                && let Some(entry) = entries.iter().find(|entry| entry.key == "components")
            {
                let mut own = Map::default();
                own.fill(&entry.value, &mut Reader { found, templates: true });
                components.merge(&own);
            }
        }
        Some(components)
    }
}

fn merge(weaker: &mut Value, stronger: Value) {
    match (weaker, stronger) {
        (Value::Object(weaker), Value::Object(stronger)) => {
            for (key, value) in stronger {
                match value {
                    Value::Null => drop(weaker.shift_remove(&key)),
                    value => merge(weaker.entry(key).or_insert(Value::Null), value),
                }
            }
        }
        (Value::Array(weaker), Value::Array(stronger)) => weaker.extend(stronger),
        (weaker, stronger) => *weaker = stronger,
    }
}
