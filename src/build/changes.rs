//! A committed tree and a cluster → what changes on its nodes.

use super::{BuildError, Committed, Files};
use crate::change::{Change, Comparison, Facts};
use crate::diagnostic::Diagnostics;
use crate::plan::Cluster;
use crate::terms::sha256;
use std::collections::{BTreeMap, BTreeSet};

/// What changes, and the diagnostics of rendering. If there is an error among them, the comparison is empty.
pub fn changes(cluster: &Cluster, committed: &mut Committed) -> Result<(Comparison, Diagnostics), BuildError> {
    let generated = Files::of(cluster, None);
    let ignored = cluster.line.fingerprint_file();
    let mut changed: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    let mut others = Vec::new();
    let mut made = BTreeSet::new();
    for file in generated.iter() {
        let file = match file {
            Err(BuildError::NotRendered(_)) => continue,
            file => file?,
        };
        let node = file.path.strip_prefix("nodes/").and_then(|rest| rest.strip_suffix("/cloud-config.yml"));
        let known = committed.manifest.files.contains_key(&file.path);
        match node.filter(|_| known) {
            Some(node) => {
                let old = committed.config(&file.path)?;
                let old = old
                    .ok_or_else(|| BuildError::Committed(format!("{} has no {}, but its manifest names it", committed.name, file.path)))?;
                if old != file.bytes {
                    let name = format!("{}/{}", committed.name, file.path);
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    changed.insert(node.to_owned(), Comparison::changes(&name, &text(&old), &text(&file.bytes), ignored)?);
                }
            }
            None if committed.manifest.files.get(&file.path) != Some(&sha256(&file.bytes)) && node.is_none() => {
                others.push(file.path.clone())
            }
            None => {}
        }
        made.insert(file.path);
    }
    let found = generated.found();
    if found.has_errors() {
        return Ok((Comparison::default(), found));
    }
    let is_config = |path: &str| path.starts_with("nodes/") && path.ends_with("/cloud-config.yml");
    others.extend(committed.manifest.files.keys().filter(|path| !made.contains(*path) && !is_config(path)).cloned());
    others.sort();
    let mut nodes: Vec<String> = committed.manifest.nodes().map(str::to_owned).collect();
    nodes.sort();
    Ok((Comparison::of(&nodes, &committed.manifest, &Facts::of(cluster), changed, others), found))
}
