//! Facts about kinds, as data.

use crate::yaml;
use serde::Deserialize;
use std::sync::LazyLock;

static REMOVED: LazyLock<Vec<Removed>> = LazyLock::new(|| yaml::embedded(include_str!("removed.yaml")));
static IMAGES: LazyLock<Vec<ImageFields>> = LazyLock::new(|| yaml::embedded(include_str!("images.yaml")));

/// A version of an API that Kubernetes no longer serves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removed {
    api: String,
    #[serde(default)]
    kinds: Vec<String>,
    /// The first minor of Kubernetes 1 without it.
    pub since: u32,
    /// The version that replaced it, if one did.
    #[serde(rename = "use")]
    pub replacement: Option<String>,
}

/// Whether Kubernetes 1.`minor` no longer serves a kind in this version.
pub fn removed(api_version: &str, kind: &str, minor: u32) -> Option<&'static Removed> {
    let is_it = |one: &&Removed| one.api == api_version && (one.kinds.is_empty() || one.kinds.iter().any(|known| known == kind));
    REMOVED.iter().find(is_it).filter(|one| one.since <= minor)
}

/// The fields of a custom resource that name an image.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageFields {
    group: String,
    kind: String,
    fields: Vec<String>,
}

/// The paths, like `spec.image`, of the fields of a custom resource that name an image.
pub(super) fn image_fields(group: &str, kind: &str) -> &'static [String] {
    IMAGES.iter().find(|one| one.group == group && one.kind == kind).map_or(&[], |one| &one.fields)
}
