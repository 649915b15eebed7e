//! Facts about the OS lines that nodes run: a file for each, next to this one.
//!
//! Other modules ask for a fact (does system-docker have a bridge?), never for an OS's name:
//! another OS line is another file. Nothing is decided here, and nothing here knows how a config is
//! written.

mod config;

pub use config::{ConfigKey, ConfigKeys, Kind};

use crate::terms::SshKey;
use ipnetwork::Ipv4Network;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The targets by name, each with its facts and the keys of its cloud-config.
const TARGETS: [(&str, &str, &str); 2] = [
    ("rancheros-1.5", include_str!("rancheros-1.5.yaml"), include_str!("rancheros-1.5.config.yaml")),
    ("burmillaos-2.0", include_str!("burmillaos-2.0.yaml"), include_str!("burmillaos-2.0.config.yaml")),
];

/// An OS line and its facts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its name in a profile: `rancheros-1.5`.
    #[serde(skip)]
    pub name: &'static str,
    /// The keys of its cloud-config that a profile may set itself.
    #[serde(skip)]
    pub config: ConfigKeys,
    /// Its name for people.
    pub title: String,
    /// Released versions, the last first.
    pub versions: Vec<String>,
    /// The prefix of its images: `rancher` in `rancher/os-base:v1.5.8`.
    pub image_prefix: String,
    /// The version of Linux, like `5.10`.
    pub kernel: String,
    /// The user Docker in its image; `None` if it has none, and a node gets the line's.
    pub docker: Option<OwnDocker>,
    /// What it wants of another user Docker, if it has none itself.
    pub engine_image: Option<EngineImage>,
    /// Whether system-docker has a bridge for containers without `net`.
    pub system_docker_bridge: bool,
    /// The kind of ssh host key that its sshd takes from a config.
    pub ssh_host_key: SshKey,
    /// Options of json-file that the OS passes to user Docker, whatever the log driver.
    pub docker_log_opts: Vec<String>,
    /// Networks that a cluster must not use.
    pub reserved: Vec<Reserved>,
    /// Users and groups of the base image.
    pub users: Vec<String>,
    /// TCP ports of the host that the OS takes, and the program that takes them.
    pub ports: BTreeMap<u16, String>,
    /// Labels `io.rancher.os.…` that the OS knows.
    pub labels: Vec<String>,
    /// Other names of services in ordering labels.
    pub aliases: BTreeMap<String, String>,
    /// Files and folders that services of the OS read in their own containers, and these services.
    pub read_in: BTreeMap<String, Vec<String>>,
    /// The services that the OS itself starts in system-docker.
    pub services: BTreeMap<String, BuiltIn>,
}

/// The user Docker in an OS's image.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnDocker {
    /// `19.03`
    pub version: String,
    /// The flags of its dockerd, long and short, without dashes.
    pub flags: Vec<String>,
}

/// How an OS takes an image with user Docker.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineImage {
    /// Paths in the image that the OS copies and starts.
    pub needs: Vec<String>,
    /// The file by which the OS knows that an engine has run: without it, it fetches one from the network.
    pub mark: String,
}

/// A network that the OS, or every machine, uses for something else.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reserved {
    /// The network.
    pub network: Ipv4Network,
    /// What uses it.
    pub owner: String,
    /// What would go wrong.
    pub why: String,
}

/// A service of the OS.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BuiltIn {
    /// It starts after these.
    pub after: Vec<String>,
    /// It starts before these.
    pub before: Vec<String>,
    /// The containers whose mounts it shares.
    pub volumes_from: Vec<String>,
    /// What it mounts.
    pub volumes: Vec<String>,
    /// Created but never started.
    pub create_only: bool,
    /// Dependents wait until the service has exited.
    pub one_shot: bool,
    /// Variables that the OS looks up for it: those of a proxy.
    pub environment: Vec<String>,
    /// It writes the `write_files` that have its name as `container`.
    pub writes_files: bool,
}

impl Target {
    /// All targets.
    pub fn all() -> &'static [Target] {
        static ALL: OnceLock<Vec<Target>> = OnceLock::new();
        let load = |(name, text, keys)| {
            let facts: Target = serde_saphyr::from_str(text).expect("a test reads every file of facts");
            Target { name, config: ConfigKeys::load(keys), ..facts }
        };
        ALL.get_or_init(|| TARGETS.map(load).into())
    }

    /// The target with this name.
    pub fn find(name: &str) -> Option<&'static Target> {
        Self::all().iter().find(|target| target.name == name)
    }

    /// The names of all targets.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TARGETS.iter().map(|(name, ..)| *name)
    }

    /// The image with a shell and `ros` support that every node has.
    pub fn base_image(&self, version: &str, arch: &str) -> String {
        let suffix = if arch == "amd64" { String::new() } else { format!("_{arch}") };
        format!("{}/os-base:{version}{suffix}", self.image_prefix)
    }

    /// The services that read a file in their own containers; `None` for any other file.
    pub fn readers(&self, path: &str) -> Option<&[String]> {
        let is_within = |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.read_in.iter().find(|(place, _)| is_within(place)).map(|(_, readers)| readers.as_slice())
    }

    /// The service that `name` means in an ordering label.
    pub fn service_called<'n>(&'n self, name: &'n str) -> &'n str {
        self.aliases.get(name).map_or(name, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn what_is_said_of_a_target_holds_together() {
        assert_eq!(Target::names().count(), 2);
        for name in Target::names() {
            let target = Target::find(name).unwrap();
            assert!(!target.versions.is_empty());
            assert_ne!(target.docker.is_some(), target.engine_image.is_some(), "{name}: its own Docker, or another");
            let named =
                target.services.values().flat_map(|service| service.after.iter().chain(&service.before).chain(&service.volumes_from));
            for reader in target.read_in.values().flatten() {
                assert!(target.services[reader].writes_files, "{name}: {reader}");
            }
            for other in named.chain(target.aliases.values()) {
                assert!(target.services.contains_key(other), "{name}: {other}");
            }
        }
        assert!(Target::find("rancheros").is_none());
    }

    #[test]
    fn the_base_image_names_version_and_processor() {
        let image = |target, version, arch| Target::find(target).unwrap().base_image(version, arch);
        assert_eq!(image("rancheros-1.5", "v1.5.8", "amd64"), "rancher/os-base:v1.5.8");
        assert_eq!(image("burmillaos-2.0", "v2.0.5", "arm64"), "burmilla/os-base:v2.0.5_arm64");
    }
}
