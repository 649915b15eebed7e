//! Facts about the OS lines that nodes run: a file for each, next to this one. A file has what differs from the
//! target that it `extends`: mappings are merged, other values are replaced, and `~` removes one.
//!
//! Other modules ask for a fact (does system-docker have a bridge?), never for an OS's name:
//! another OS line is another file. Nothing is decided here, and nothing here knows how a config is
//! written.

mod config;

pub use config::{ConfigKey, ConfigKeys, Kind};

use crate::service::Dialect;
use crate::service::form::{self, Misfit};
use crate::terms::{Arch, SshKey};
use crate::yaml;
use ipnetwork::Ipv4Network;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A target's name, its facts, and the keys of its cloud-config.
type Files = (&'static str, &'static str, &'static str);

const TARGETS: [Files; 3] = [
    ("rancheros-1.5", include_str!("rancheros-1.5.yaml"), include_str!("rancheros-1.5.config.yaml")),
    ("burmillaos-2.0", include_str!("burmillaos-2.0.yaml"), include_str!("burmillaos-2.0.config.yaml")),
    ("burmillaos-3.0", include_str!("burmillaos-3.0.yaml"), include_str!("burmillaos-3.0.config.yaml")),
];

/// An OS line and its facts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its name in a profile: `rancheros-1.5`.
    #[serde(skip)]
    pub name: &'static str,
    /// Its name for people.
    pub title: String,
    /// What to expect of it, if it has no release but betas.
    pub beta: Option<String>,
    /// Released versions that the facts were checked with, the last first.
    pub versions: Vec<String>,
    /// Further released versions, if no other will ever be released.
    pub other_versions: Option<Vec<String>>,
    /// The prefix of its images: `rancher` in `rancher/os-base:v1.5.8`.
    pub image_prefix: String,
    /// The version of Linux, like `5.10`.
    pub kernel: String,
    /// The version of its cgroup hierarchy, 1 or 2.
    pub cgroups: u8,
    /// The processors for which its kernel has WireGuard.
    pub wireguard: Vec<Arch>,
    /// The user Docker in its image; `None` if it has none, and a node gets the line's.
    pub docker: Option<OwnDocker>,
    /// What it wants of another user Docker, if it has none itself.
    pub engine_image: Option<EngineImage>,
    /// Whether system-docker has a bridge for containers without `net`.
    pub system_docker_bridge: bool,
    /// Whether system-docker limits the memory and CPU of its containers.
    pub system_docker_limits: bool,
    /// The log drivers of system-docker, besides `none`.
    pub system_docker_log_drivers: Vec<String>,
    /// What reads its services.
    pub dialect: Dialect,
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
    pub fn all() -> impl Iterator<Item = &'static Target> {
        Self::names().filter_map(Self::find)
    }

    /// The target with this name, read when it is first asked for.
    pub fn find(name: &str) -> Option<&'static Target> {
        static READ: [OnceLock<Target>; TARGETS.len()] = [const { OnceLock::new() }; TARGETS.len()];
        let number = number(name)?;
        let (name, ..) = TARGETS[number];
        Some(READ[number].get_or_init(|| Target { name, ..read(name, |(_, facts, _)| facts) }))
    }

    /// The keys of its cloud-config that a profile may set itself, read when they are first asked for.
    pub fn config(&self) -> &'static ConfigKeys {
        static READ: [OnceLock<ConfigKeys>; TARGETS.len()] = [const { OnceLock::new() }; TARGETS.len()];
        READ[number(self.name).expect("it is one of them")].get_or_init(|| read(self.name, |(.., keys)| keys))
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

    /// What the engine of a service refuses in `text` under the service's key `key`. The service is given by its name
    /// and whether its label says that it is system-docker's: the OS's own are in any case.
    pub fn misfit(&self, (name, is_system): (&str, bool), key: &str, text: &str) -> Option<Misfit> {
        if is_system || self.services.contains_key(name) {
            form::misfit_in_system_docker(key, text, &self.system_docker_log_drivers)
        } else {
            form::misfit(key, text)
        }
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

fn number(name: &str) -> Option<usize> {
    TARGETS.iter().position(|(one, ..)| *one == name)
}

/// What one of a target's files says.
fn read<T: DeserializeOwned>(name: &str, file: fn(&Files) -> &'static str) -> T {
    serde_json::from_value(merged(name, file).into()).expect("a test reads every file")
}

/// The same, on top of what the file of the target that it extends says.
fn merged(name: &str, file: fn(&Files) -> &'static str) -> Map<String, Value> {
    let number = number(name).expect("a target extends another one");
    let mut own: Map<String, Value> = yaml::embedded(file(&TARGETS[number]));
    match own.remove("extends") {
        Some(base) => over(merged(base.as_str().expect("a target's name"), file), own),
        None => own,
    }
}

/// Puts entries over those of a base.
fn over(mut base: Map<String, Value>, entries: Map<String, Value>) -> Map<String, Value> {
    for (key, value) in entries {
        let value = match (base.remove(&key), value) {
            (_, Value::Null) => continue,
            (Some(Value::Object(below)), Value::Object(above)) => Value::Object(over(below, above)),
            (_, value) => value,
        };
        base.insert(key, value);
    }
    base
}

#[cfg(test)]
mod tests {
    use super::{Target, over};

    #[test]
    fn what_is_said_of_a_target_holds_together() {
        assert_eq!(Target::names().count(), 3);
        for name in Target::names() {
            let target = Target::find(name).unwrap();
            assert!(!target.versions.is_empty());
            assert!(target.config().get("rancher.console").is_some());
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
    fn a_target_has_what_it_extends_and_what_differs() {
        let map = |text: &str| serde_json::from_str(text).unwrap();
        let merged = over(map(r#"{"a": {"b": 1, "c": [1, 2]}, "d": 1, "e": 1}"#), map(r#"{"a": {"c": [3]}, "d": null, "f": {"g": 1}}"#));
        assert_eq!(merged, map(r#"{"a": {"b": 1, "c": [3]}, "e": 1, "f": {"g": 1}}"#));
        let [of_2, of_3] = ["burmillaos-2.0", "burmillaos-3.0"].map(|name| Target::find(name).unwrap());
        assert_eq!((of_2.services.len(), of_2.config().iter().count()), (of_3.services.len(), of_3.config().iter().count()));
        assert_eq!(of_3.services["console"].after, ["network"]);
        assert!(!of_3.services.contains_key("subscriber"));
        assert_ne!(of_2.cgroups, of_3.cgroups);
    }

    #[test]
    fn system_docker_has_the_log_drivers_that_it_was_built_with() {
        let refuses = |target, service, driver| Target::find(target).unwrap().misfit(service, "log_driver", driver).is_some();
        for target in Target::names() {
            assert!(!refuses(target, ("a", true), "json-file") && !refuses(target, ("a", true), "none"));
            assert!(refuses(target, ("a", true), "fluentd") && refuses(target, ("console", false), "local"));
            assert!(!refuses(target, ("a", false), "fluentd") && !refuses(target, ("a", false), "local"));
            assert_eq!(refuses(target, ("a", true), "syslog"), target != "burmillaos-3.0", "{target}");
        }
    }

    #[test]
    fn the_base_image_names_version_and_processor() {
        let image = |target, version, arch| Target::find(target).unwrap().base_image(version, arch);
        assert_eq!(image("rancheros-1.5", "v1.5.8", "amd64"), "rancher/os-base:v1.5.8");
        assert_eq!(image("burmillaos-2.0", "v2.0.5", "arm64"), "burmilla/os-base:v2.0.5_arm64");
    }
}
