//! What a line's `line.yaml` says, on top of the `base.yaml` of what it extends, and so on.
//!
//! They merge like everything: mappings key by key, lists are appended to, `~` removes, anything else replaces.

use super::addon::{Base, Claim, Fragment};
use super::{Api, Engine, Ipv6, LineFile, Lines, Moves, Needs, OperatorFile, Pki, PodSecurity, SHARED, ServiceEntry, Skew, UserFile};
use crate::component::ComponentImage;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Sources};
use crate::profile::AddOns;
use crate::terms::{Backend, EngineName};
use crate::yaml::{self, Field, Given, Map, Node, Reader, Spanned};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The documents of a line, its own first, and the fragments on top of them.
pub(super) struct Documents {
    line: Vec<Document>,
    addons: Vec<Fragment>,
}

struct Document {
    /// Below the folder of lines.
    folder: String,
    /// Its name for messages.
    file: String,
    tree: Node,
    value: Value,
}

impl Document {
    /// `None` if it can't be read, which is in `found`.
    fn read(folder: String, path: &str, lines: &Lines, sources: &mut Sources, found: &mut Diagnostics) -> Option<Self> {
        let (text, file) = match lines.file(path) {
            Ok(Some(there)) => there,
            Ok(None) => return failed(format!("the release line has no file {path}"), found),
            Err(error) => return failed(error.to_string(), found),
        };
        let tree = parsed(sources, &file, text, found)?;
        Some(Self { folder, file, value: tree.value(), tree })
    }
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
    pub ipv6: Option<Ipv6>,
    #[serde(default)]
    pub modules: Vec<String>,
    #[serde(default)]
    pub control_plane_taints: Vec<String>,
    #[serde(default)]
    pub moves: BTreeMap<String, Moves>,
    pub skew: Option<Skew>,
    pub pod_security: Option<PodSecurity>,
}

impl Documents {
    /// `None` if one doesn't exist or can't be read, which is in `found`.
    pub(super) fn of(name: &str, lines: &Lines, sources: &mut Sources, found: &mut Diagnostics) -> Option<Self> {
        let mut documents: Vec<Document> = Vec::new();
        let mut next = Some(name.to_owned());
        while let Some(folder) = next {
            let path = format!("{folder}/{}", if documents.is_empty() { "line.yaml" } else { "base.yaml" });
            if documents.iter().any(|one| one.folder == folder) {
                return failed(format!("{path} extends itself"), found);
            }
            let mut document = Document::read(folder, &path, lines, sources, found)?;
            next = match document.value.as_object_mut().and_then(|keys| keys.shift_remove("extends")) {
                None => None,
                Some(Value::String(base)) => Some(base),
                Some(_) => return failed(format!("{}: `extends` isn't a folder's name", document.file), found),
            };
            documents.push(document);
        }
        Some(Self { line: documents, addons: Vec::new() })
    }

    /// Puts the line's own add-ons on top of it, as the profile's change them, and the profile's others.
    pub(super) fn add(&mut self, of_profile: &AddOns, lines: &Lines, sources: &mut Sources, found: &mut Diagnostics) -> Option<()> {
        let mut of_line = AddOns::default();
        for document in self.line.iter_mut().rev() {
            if document.value.as_object_mut().and_then(|keys| keys.shift_remove("addons")).is_some() {
                of_line.merge(&filled(&document.tree, "addons", found));
            }
        }
        let mut versions = self.line.iter().map(|document| &document.value["components"]["kube-apiserver"]["version"]);
        let kubernetes = versions.find_map(Value::as_str).unwrap_or_default();
        let base = Base { name: &self.line[0].folder, kubernetes, lines };
        self.addons = base.fragments(&of_line, of_profile, sources, found);
        self.templates_are_of_one(lines, found)
    }

    /// A file is looked for by its name, in all folders.
    fn templates_are_of_one(&self, lines: &Lines, found: &mut Diagnostics) -> Option<()> {
        let folders = self.folders();
        for addon in &self.addons {
            let files = addon.value["files"].as_object().into_iter().flat_map(|files| files.values());
            for template in files.filter_map(|file| file["template"].as_str()) {
                let has = |folder: &&String| lines.file(&format!("{folder}/files/{template}")).is_ok_and(|file| file.is_some());
                if let Some(other) = folders.iter().filter(|folder| **folder != addon.folder).find(has) {
                    let says = format!("{}: {other} has a file {template} too: give it another name", addon.file);
                    found.push(Diagnostic::new(Code::Line, None, says));
                    return None;
                }
            }
        }
        Some(())
    }

    /// The folders of the line's files, its own first.
    pub(super) fn folders(&self) -> Vec<String> {
        let line = self.line.iter().map(|document| &document.folder);
        line.chain(self.addons.iter().map(|addon| &addon.folder)).cloned().chain([SHARED.to_owned()]).collect()
    }

    /// The line's own file, for messages.
    pub(super) fn file(&self) -> &str {
        &self.line[0].file
    }

    /// What they say together.
    pub(super) fn merged(&self, found: &mut Diagnostics) -> Option<LineYaml> {
        let mut merged = Value::Null;
        let addons = self.addons.iter().map(|addon| &addon.value);
        for value in self.line.iter().rev().map(|document| &document.value).chain(addons) {
            merge(&mut merged, value.clone());
        }
        match serde_path_to_error::deserialize(merged) {
            Ok(line) => Some(line),
            Err(error) => {
                let files: Vec<&str> = self.line.iter().map(|document| document.file.as_str()).collect();
                let addons: String = self.addons.iter().map(|addon| format!(", with {}", addon.file)).collect();
                found.push(Diagnostic::new(Code::Line, None, format!("{}{addons}: {error}", files.join(", which extends "))));
                None
            }
        }
    }

    /// The components that add-ons bring: component → add-on.
    pub(super) fn of_addons(&self) -> BTreeMap<String, String> {
        let mut of_addons = BTreeMap::new();
        for addon in &self.addons {
            let components = addon.value["components"].as_object().into_iter().flat_map(|components| components.keys());
            of_addons.extend(components.map(|component| (component.clone(), addon.name.clone())));
        }
        of_addons
    }

    /// What pods of add-ons take of nodes.
    pub(super) fn claims(&self) -> Vec<Claim> {
        self.addons.iter().flat_map(|addon| addon.claims.iter().cloned()).collect()
    }

    /// What each component's image is made of. An add-on's runs in pods, unless the add-on names its engine.
    pub(super) fn components(&self, pods_in: EngineName, found: &mut Diagnostics) -> Map<ComponentImage> {
        let mut components: Map<ComponentImage> = Map::default();
        let addons = self.addons.iter().flat_map(|addon| &addon.trees);
        for tree in self.line.iter().rev().map(|document| &document.tree).chain(addons) {
            components.merge(&filled(tree, "components", found));
        }
        for name in self.of_addons().keys() {
            if let Some(component) = components.get_mut(name).filter(|component| component.engine.is_absent()) {
                component.engine = Given::Is(Spanned::unwritten(pods_in));
            }
        }
        components
    }
}

fn failed<T>(problem: String, found: &mut Diagnostics) -> Option<T> {
    found.push(Diagnostic::new(Code::Line, None, problem));
    None
}

/// The tree of a file of a line.
pub(super) fn parsed(sources: &mut Sources, file: &str, text: String, found: &mut Diagnostics) -> Option<Node> {
    let source = sources.add(file, text, false);
    yaml::parse(&sources.get(source).text, source, found)
}

/// What one key of a document says; nothing if it doesn't have the key.
fn filled<F: Field>(document: &Node, key: &str, found: &mut Diagnostics) -> F {
    let mut field = F::default();
    if let Some(value) = document.get(key) {
        field.fill(value, &mut Reader { found, templates: true });
    }
    field
}

pub(super) fn merge(weaker: &mut Value, stronger: Value) {
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
