//! What a cloud-config says, as keys of a profile.

use super::label;
use super::value::{Map, Value};
use crate::diagnostic::{SourceId, Span};
use camino::Utf8Path;
use ipnetwork::Ipv4Network;

/// File names that name no node: its folder does.
const NAMELESS: [&str; 8] = ["cloud-config", "cloud-init", "cloudinit", "cloud_config", "config", "user-data", "user_data", "user_config"];

/// A node, as its cloud-config has it.
#[derive(Debug)]
pub(super) struct Machine {
    /// Its config.
    pub(super) source: SourceId,
    /// Its name.
    pub(super) name: String,
    /// The place of its name: `hostname`, otherwise the config's first character.
    pub(super) named: Span,
    /// Its settings, as `nodes` has them.
    pub(super) settings: Map,
    /// What a profile has once for all nodes: path, value, place.
    pub(super) once: Vec<(String, Value, Span)>,
    /// The network of its address.
    pub(super) network: Option<Ipv4Network>,
    /// The place of a service of the control plane.
    pub(super) api: Option<Span>,
    /// The place of an etcd.
    pub(super) etcd: Option<Span>,
}

impl Machine {
    /// With nothing but a name, from the config's path.
    pub(super) fn new(source: SourceId, path: &str) -> Self {
        let path = Utf8Path::new(path);
        let folder = || path.parent().and_then(Utf8Path::file_name);
        let stem = path.file_stem().unwrap_or_default();
        let name = if NAMELESS.contains(&stem) { folder().unwrap_or(stem) } else { stem };
        Self {
            source,
            name: label(name),
            named: Span { source, start: 0, end: 0 },
            settings: Map::new(),
            once: Vec::new(),
            network: None,
            api: None,
            etcd: None,
        }
    }
}

/// Something that isn't in the profile although nothing is wrong with it, or that only the profile has.
#[derive(Debug)]
pub(super) struct Note {
    /// Whether the profile has it, not the config.
    pub(super) is_added: bool,
    /// The key.
    pub(super) what: String,
    /// Why it was left out or added.
    pub(super) why: String,
    pub(super) span: Span,
}
