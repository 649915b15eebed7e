//! What is known of an OS line: data in `targets/`, read by `plan` for its checks.

use ipnetwork::Ipv4Network;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The dialect of a target's cloud-config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    RancherOs15,
    BurmillaOs20,
}

/// The targets by name, with their dialect and their facts.
const TARGETS: [(&str, Dialect, &str); 2] = [
    ("rancheros-1.5", Dialect::RancherOs15, include_str!("targets/rancheros-1.5.yaml")),
    ("burmillaos-2.0", Dialect::BurmillaOs20, include_str!("targets/burmillaos-2.0.yaml")),
];

/// An OS line.
#[derive(Debug)]
pub struct Target {
    pub name: &'static str,
    pub dialect: Dialect,
    pub facts: Facts,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    pub title: String,
    /// Released versions, the last first.
    pub versions: Vec<String>,
    /// Where its images are: `rancher` in `rancher/os-base:v1.5.8`.
    pub image_prefix: String,
    pub kernel: String,
    pub docker: String,
    /// The flags of user Docker's dockerd, long and short, without dashes.
    pub docker_flags: Vec<String>,
    /// Networks that a cluster must not use.
    pub reserved: Vec<Reserved>,
    /// What the OS starts by itself in system-docker.
    pub services: BTreeMap<String, BuiltIn>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reserved {
    pub network: Ipv4Network,
    pub owner: String,
    pub why: String,
}

/// A service of the OS's own.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BuiltIn {
    pub after: Vec<String>,
    pub before: Vec<String>,
    pub volumes_from: Vec<String>,
    pub volumes: Vec<String>,
    /// Made and never started.
    pub create_only: bool,
    /// Dependents wait until it has exited.
    pub one_shot: bool,
    /// `write_files` with its name as `container` are written by it.
    pub writes_files: bool,
}

impl Target {
    /// The target of that name.
    pub fn find(name: &str) -> Option<&'static Target> {
        static ALL: OnceLock<Vec<Target>> = OnceLock::new();
        let all = ALL.get_or_init(|| {
            let load = |(name, dialect, text)| Target {
                name,
                dialect,
                facts: serde_saphyr::from_str(text).expect("targets/*.yaml is checked by a test"),
            };
            TARGETS.map(load).into()
        });
        all.iter().find(|target| target.name == name)
    }

    pub fn names() -> impl Iterator<Item = &'static str> {
        TARGETS.iter().map(|(name, ..)| *name)
    }

    /// The image with a shell and `ros` support that is always on a node.
    pub fn base_image(&self, version: &str, arch: &str) -> String {
        let suffix = if arch == "amd64" { String::new() } else { format!("_{arch}") };
        format!("{}/os-base:{version}{suffix}", self.facts.image_prefix)
    }
}
