//! The manifest of the tree that is there. It may have been edited or merged, or be an older remuda's.

use super::Facts;
use crate::plan::{Cluster, EtcdRecord};
use crate::profile::is_label;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a manifest says of the cluster.
#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    /// The version of remuda that wrote it.
    pub remuda: String,
    /// The cluster's name.
    pub cluster: String,
    /// The name of the OS line.
    pub target: String,
    /// The OS's version.
    pub os_version: String,
    /// The release line's name.
    pub line: String,
    /// Component → image with tag.
    #[serde(default)]
    pub images: BTreeMap<String, String>,
    /// What the cluster relies on; `None` if an older remuda wrote it.
    pub facts: Option<Facts>,
    /// Path → SHA-256 of every file for git.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Node → the fingerprint of its config; empty if the line has none, `None` if an older remuda wrote it.
    pub configs: Option<BTreeMap<String, String>>,
    /// `cluster`, or `user NAME` → the last day of its certificates.
    #[serde(default)]
    pub certificates: BTreeMap<String, String>,
    /// The fingerprint of the seed, if the tree is sealed.
    pub seed: Option<String>,
    /// Who is in etcd. What remuda didn't write there counts as nothing.
    #[serde(default, deserialize_with = "lenient")]
    pub etcd: Option<EtcdRecord>,
}

fn lenient<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<EtcdRecord>, D::Error> {
    serde_json::Value::deserialize(reader).map(|value| serde_json::from_value(value).ok())
}

/// Why a manifest can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}:{column}: this isn't a manifest of remuda's: {problem}\nRestore it from git{}", if *.is_merged { ": it has the marks of a merge that isn't resolved" } else { "" })]
pub struct NotAManifest {
    /// Its name.
    pub file: String,
    /// The place of the mistake, from 1.
    pub line: usize,
    /// The same.
    pub column: usize,
    /// What is wrong there.
    pub problem: String,
    /// Whether git left the marks of a conflict in it.
    pub is_merged: bool,
}

impl Manifest {
    /// Reads a manifest's text; `file` is its name for messages.
    pub fn read(file: &str, text: &str) -> Result<Self, NotAManifest> {
        let is_merged = text.lines().any(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> "));
        let wrong = |line: usize, column: usize, problem: String| NotAManifest {
            file: file.to_owned(),
            line: line.max(1),
            column: column.max(1),
            problem,
            is_merged,
        };
        let manifest: Self = serde_json::from_str(text).map_err(|error| {
            let whole = error.to_string();
            let place = format!(" at line {} column {}", error.line(), error.column());
            wrong(error.line(), error.column(), whole.strip_suffix(&place).unwrap_or(&whole).to_owned())
        })?;
        // What it says reaches terminals and command lines.
        let is_odd = |line: &str| line.find(|c: char| c.is_control() && !matches!(c, '\t' | '\r')).or_else(|| line.find("\\u00"));
        if let Some((line, column)) = text.lines().enumerate().find_map(|(number, line)| Some((number + 1, is_odd(line)? + 1))) {
            return Err(wrong(line, column, "a control character".to_owned()));
        }
        let facts = manifest.facts.iter().flat_map(|facts| facts.nodes.keys());
        if let Some(odd) = facts.map(String::as_str).chain(manifest.nodes()).find(|name| is_label(name, 63).is_err()) {
            let line = text.lines().position(|line| line.contains(odd)).map_or(1, |at| at + 1);
            return Err(wrong(line, 1, format!("`{odd}` can't be a node's name")));
        }
        Ok(manifest)
    }

    /// What the manifest of a decided cluster says, but for its files and its seed.
    pub fn of(cluster: &Cluster) -> Self {
        Self {
            remuda: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: cluster.name.clone(),
            target: cluster.target.name.to_owned(),
            os_version: cluster.os_version.clone(),
            line: cluster.line.name.clone(),
            images: cluster.images.names.clone(),
            facts: Some(Facts::of(cluster)),
            files: BTreeMap::new(),
            configs: None,
            certificates: BTreeMap::new(),
            seed: None,
            etcd: Some(cluster.etcd.record(&cluster.nodes)),
        }
    }

    /// The nodes with a config, in the order of their paths.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.files.keys().filter_map(|path| path.strip_prefix("nodes/")?.strip_suffix("/cloud-config.yml"))
    }

    /// What is known of the cluster: of an older remuda's, only what the tags of its images tell.
    pub fn known(&self) -> Facts {
        let of_tag = |(component, image): (&String, &String)| Some((component.clone(), image.rsplit_once(':')?.1.to_owned()));
        self.facts.clone().unwrap_or_else(|| Facts { versions: self.images.iter().filter_map(of_tag).collect(), ..Facts::default() })
    }
}
