//! Decide: a [`Profile`], its release line and its target → a [`Cluster`], in which nothing is left
//! to decide: every address, subnet, name, endpoint, image and port.
//!
//! Every check that needs more than one value is made here, points at the place that it is about,
//! and all are made in one run. Nothing here knows YAML or how a target writes its config.

mod changes;
mod containers;
mod effects;
mod engine;
mod files;
mod graph;
mod images;
mod kernel;
mod media;
mod names;
mod network;
mod nodes;
mod pki;
mod services;
#[cfg(test)]
mod tests;

pub use containers::{check_mounts, refused};
pub use files::check_owner;
pub use graph::{Dependency, Graph};
pub use media::{Machine, Media, Pxe};
pub use pki::Pki;

use crate::diagnostic::{Diagnostic, Diagnostics, Sources, Span, closest};
use crate::image::Digest;
use crate::line::{Line, Shelf};
use crate::os::Target;
use crate::pki::Vault;
use crate::profile::{Arch, Delivery, EngineName, Mac, Name, Profile, Role};
use crate::service::{Service, Text};
use crate::yaml::{Field, Spanned};
use ipnetwork::Ipv4Network;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// A cluster, wholly decided.
#[derive(Debug)]
pub struct Cluster {
    pub name: String,
    pub target: &'static Target,
    pub os_version: String,
    pub line: Line,
    pub network: Network,
    pub api: Api,
    pub etcd: Etcd,
    pub images: Images,
    pub pki: Pki,
    pub media: Media,
    /// Secrets that somebody gave.
    pub vault: Vault,
    pub classes: Vec<Class>,
    /// In the order of the profile.
    pub nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
pub struct Network {
    pub nodes: Ipv4Network,
    pub pods: Ipv4Network,
    /// Prefix length of a node's subnet of `pods`.
    pub node_prefix: u8,
    pub services: Ipv4Network,
    pub dns: Ipv4Addr,
    pub domain: String,
    pub backend: crate::profile::Backend,
    pub vni: u32,
    pub mtu: u16,
    pub pod_mtu: u16,
    pub gateway: Option<Ipv4Addr>,
    pub nameservers: Vec<Ipv4Addr>,
    pub search: Vec<String>,
    /// The domain in which the nodes' names follow their addresses.
    pub node_domain: Option<String>,
    /// The part of `pods` that flannel leases nothing of: for the subnets of nodes with known addresses, in
    /// a cluster that has others.
    pub reserved: Option<Ipv4Network>,
}

/// Where the API is for everything outside of a control-plane node.
#[derive(Debug, Clone)]
pub struct Api {
    /// `None`: the control plane publishes where it is.
    pub host: Option<String>,
    pub port: u16,
    /// Further names and addresses for the API server's certificate.
    pub names: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Etcd {
    /// Index of each member into [`Cluster::nodes`].
    pub members: Vec<usize>,
    pub data_dir: String,
    pub discovery: Option<Discovery>,
}

/// How the members of etcd find one another, where the profile doesn't say it.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// The service's URL.
    pub service: String,
    /// How many of the nodes become members.
    pub size: u8,
    /// The URL that the service gave for this cluster, if it was asked.
    pub token: Option<String>,
    /// Where the profile says so.
    pub span: Option<Span>,
}

#[derive(Debug, Clone)]
pub struct Images {
    pub delivery: Delivery,
    /// Component → image with tag.
    pub names: BTreeMap<String, String>,
    pub mirror: Option<String>,
    pub insecure: Vec<String>,
    pub login: Option<Login>,
    /// Where nodes fetch the archives, with delivery by URL.
    pub url: Option<String>,
    /// Whether the archives are gzipped.
    pub gzip: bool,
    /// What they are made of, for each architecture among the nodes.
    pub contents: Vec<Image>,
    /// The archives, as far as they are packed.
    pub archives: Vec<Archive>,
}

/// A component's image for one architecture.
#[derive(Debug, Clone)]
pub struct Image {
    pub component: String,
    pub engine: EngineName,
    pub content: crate::image::Image,
}

impl Images {
    /// What a component's image is called on a node: where it is pulled, by digest as far as that is known.
    pub fn reference(&self, component: &str, arch: Arch) -> String {
        let name = &self.names[component];
        let digest = || self.archives.iter().filter(|archive| archive.arch == arch).find_map(|archive| archive.images.get(name));
        match digest().filter(|_| self.delivery == Delivery::Registry) {
            Some(digest) => format!("{}@{digest}", name.rsplit_once(':').map_or(name.as_str(), |(name, _)| name)),
            None => name.clone(),
        }
    }
}

/// A registry's account.
#[derive(Debug, Clone)]
pub struct Login {
    /// `HOST[:PORT]`
    pub host: String,
    pub username: String,
    /// The secret's name in the vault.
    pub secret: Spanned<Name>,
}

/// A `docker load` archive with component images.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Archive {
    pub engine: EngineName,
    pub arch: Arch,
    pub file: String,
    pub size: u64,
    pub sha256: String,
    /// The digest that each image in it has in a registry, by name.
    #[serde(default)]
    pub images: BTreeMap<String, Digest>,
}

/// What nodes with the same declaration have in common.
#[derive(Debug)]
pub struct Class {
    pub roles: Vec<Role>,
    /// Whether its nodes learn their addresses when they boot.
    pub is_dynamic: bool,
    pub arch: Arch,
    pub interface: Option<String>,
    /// Further interfaces, by DHCP.
    pub dhcp: Vec<String>,
    pub disk: Option<String>,
    pub machine: Machine,
    /// `KEY=VALUE`.
    pub labels: Vec<String>,
    /// `KEY[=VALUE]:EFFECT`.
    pub taints: Vec<String>,
    pub ssh_keys: Vec<String>,
    pub services: Vec<PlannedService>,
    pub files: Vec<PlannedFile>,
    pub engine: Engine,
    pub sysctl: Vec<(String, Spanned<Text>)>,
    pub modules: Vec<Spanned<Text>>,
    pub environment: Vec<(String, Spanned<Text>)>,
    pub graph: Graph,
}

impl Class {
    pub fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether it runs pods or the control plane: it is on the pod network.
    pub fn is_kubernetes(&self) -> bool {
        self.is(Role::ControlPlane) || self.is(Role::Worker)
    }
}

#[derive(Debug, Clone)]
pub struct PlannedService {
    pub name: String,
    pub service: Arc<Service>,
    pub origin: Origin,
}

/// Whose service it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The release line's, perhaps changed by the profile.
    Line,
    /// The OS's own, changed.
    Os,
    /// The user's.
    User,
}

#[derive(Debug, Clone)]
pub struct PlannedFile {
    pub path: String,
    pub content: Content,
    pub permissions: String,
    pub owner: Option<Spanned<Text>>,
    /// The container that writes it.
    pub container: String,
}

#[derive(Debug, Clone)]
pub enum Content {
    /// A file of the release line, with values of its own.
    Line { template: String, with: BTreeMap<String, String> },
    /// A text of the profile; a template if tagged so.
    Text { text: String, template: bool, span: Option<Span> },
    /// Bytes that the profile gives as base64.
    Base64(String),
    /// Key material, by name.
    Sealed(String),
}

/// User Docker.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    /// Template of the bridge's address, on nodes with pods.
    pub bip: Option<String>,
    pub extra_args: Vec<Spanned<Text>>,
    pub storage_driver: Option<Spanned<Text>>,
    pub log_driver: Option<Spanned<Text>>,
    pub log_opts: Vec<(String, Spanned<Text>)>,
    pub live_restore: Option<bool>,
}

#[derive(Debug)]
pub struct Node {
    pub name: String,
    /// `None`: it learns its address when it boots.
    pub address: Option<Ipv4Addr>,
    pub mac: Option<Mac>,
    pub serial: Option<String>,
    pub uuid: Option<String>,
    /// Index into [`Cluster::classes`].
    pub class: usize,
    /// Its subnet of the pod network; `None` where it has no pods, or flannel leases it one.
    pub subnet: Option<Ipv4Network>,
}

impl Node {
    /// What the others call it: its address, or else a name.
    pub fn host(&self, network: &Network) -> String {
        match (self.address, &network.node_domain) {
            (Some(address), _) => address.to_string(),
            (None, Some(domain)) => format!("{}.{domain}", self.name),
            (None, None) => self.name.clone(),
        }
    }

    /// All that the others may call it, its name first.
    pub fn names(&self, network: &Network) -> Vec<String> {
        let mut names = vec![self.name.clone()];
        names.extend(network.node_domain.iter().map(|domain| format!("{}.{domain}", self.name)));
        names.extend(self.address.map(|address| address.to_string()));
        names
    }

    /// The address of its bridge in its subnet, with the prefix length.
    pub fn bridge(&self) -> Option<String> {
        let subnet = self.subnet?;
        Some(format!("{}/{}", Ipv4Addr::from(u32::from(subnet.network()) + 1), subnet.prefix()))
    }
}

/// Decides everything, or says all that is wrong in `found`.
pub fn decide(profile: &Profile, shelf: &Shelf, sources: &mut Sources, found: &mut Diagnostics) -> Option<Cluster> {
    for (given, key, example) in [
        (profile.cluster.is_absent(), "cluster", "cluster: my-cluster"),
        (profile.target.is_absent(), "target", "target: rancheros-1.5"),
        (profile.line.is_absent(), "line", "line: kubernetes-1.20"),
        (profile.network.nodes.is_absent(), "network.nodes", "network: {nodes: 192.168.1.0/24}"),
        (profile.nodes.is_empty(), "nodes", "nodes: {node-01: {roles: [control-plane, worker], address: 192.168.1.11}}"),
    ] {
        if given {
            found.push(
                Diagnostic::error("missing-key", None, format!("the profile has no `{key}`"))
                    .why("it can't be guessed")
                    .mend(format!("add `{example}`")),
            );
        }
    }
    let target = target(profile, found);
    let line = line(profile, shelf, sources, found);
    if let (Some(target), Some(line), Some(given)) = (target, &line, profile.line.get()) {
        fits(target, line, given.span, found);
    }
    if let (Some(why), Some(given)) = (line.as_ref().and_then(|line| line.insecure.as_ref()), profile.line.get()) {
        found.push(
            Diagnostic::warning("no-security", given.span, format!("{} HAS NO SECURITY", given.0))
                .why(why.clone())
                .mend("keep it on a network that nobody else is on, and nothing in it that matters; or take a line of today"),
        );
    }
    let os_version = os_version(profile, target, found);
    let mut network = network::decide(profile, target, found);
    let mut fleet = nodes::expand(profile, line.as_ref(), network.as_ref(), found);
    if let Some(network) = &mut network {
        network.reserved = fleet.is_dynamic().then(|| network::lower_half(network.pods));
    }
    nodes::check_found(profile, &fleet, line.as_ref(), found);
    let api = network::api(profile, &fleet, line.as_ref(), network.as_ref(), target, found);
    let etcd = nodes::etcd(profile, &fleet, found);
    let images = images::decide(profile, line.as_ref(), found);
    let pki = line.as_ref().map(|line| pki::decide(profile, line, found));
    let (target, mut line, pki) = (target?, line?, pki?);
    let (port, is_published) = api.as_ref().map_or((line.api.port, false), |api| (api.port, api.host.is_none()));
    let delivery = images.as_ref().map(|images| images.delivery);
    let media = media::decide(profile, found);
    media::check(profile, &fleet, delivery, found);
    let has_discovery = etcd.as_ref().is_some_and(|etcd| etcd.discovery.is_some());
    let engines = images::engines(profile, &line);
    let packed = images.iter().flat_map(|images| &images.names);
    let packed = packed.filter_map(|(component, name)| Some((component.clone(), name.clone(), *engines.get(component)?))).collect();
    let prefix = network.as_ref().map_or(24, |network| network.node_prefix);
    let context = services::Context {
        target,
        os_version: os_version.clone().unwrap_or_default(),
        delivery,
        port: (port, profile.api.port.span()),
        is_dynamic: fleet.is_dynamic(),
        has_discovery,
        is_published,
        packed,
        room: (1_u32 << (32 - prefix)).saturating_sub(3),
        room_span: profile.network.node_prefix.span(),
        repacked: profile.images.components.iter().map(|(name, _)| name.value.clone()).collect(),
    };
    let classes = services::decide(profile, &mut line, &fleet, &context, found);
    let (network, os_version, api, etcd, mut images) = (network?, os_version?, api?, etcd?, images?);
    let arches = classes.iter().map(|class| class.arch).collect::<BTreeSet<_>>();
    images.contents = images::contents(profile, &line, &images.names, &arches, sources, found);
    nodes::subnets(&mut fleet, &classes, &network, profile, found);
    let name = profile.cluster.value()?.0.clone();
    if found.has_errors() {
        return None;
    }
    let vault = Vault::default();
    Some(Cluster { name, target, os_version, line, network, api, etcd, images, pki, media, vault, classes, nodes: fleet.nodes })
}

impl Cluster {
    /// The processors that its nodes have.
    pub fn arches(&self) -> BTreeSet<Arch> {
        self.classes.iter().map(|class| class.arch).collect()
    }

    /// Brings the secrets of the vault beside the profile, which `file` is.
    pub fn bring(&mut self, vault: Vault, file: &str, found: &mut Diagnostics) {
        let wanted = self.images.login.iter().map(|login| &login.secret);
        for secret in wanted.filter(|secret| vault.digest(&secret.value.0).is_none()) {
            let set = format!("`remuda secret set {} PROFILE` asks for it and keeps it encrypted", secret.value.0);
            found.push(
                Diagnostic::error("unknown-secret", secret.span, format!("there is no secret `{}` in {file}", secret.value.0))
                    .why("the node couldn't log in: it would have no image to start anything from")
                    .mend(closest(&secret.value.0, vault.names()).map_or(set, |meant| format!("did you mean `{meant}`?"))),
            );
        }
        self.vault = vault;
    }
}

fn target(profile: &Profile, found: &mut Diagnostics) -> Option<&'static Target> {
    let given = profile.target.get()?;
    let target = Target::find(&given.0);
    if target.is_none() {
        let mend = match closest(&given.0, Target::names()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the targets are {}", Target::names().collect::<Vec<_>>().join(" and ")),
        };
        found.push(Diagnostic::error("unknown-target", given.span, format!("there is no target `{}`", given.0)).mend(mend));
    }
    target
}

fn line(profile: &Profile, shelf: &Shelf, sources: &mut Sources, found: &mut Diagnostics) -> Option<Line> {
    let given = profile.line.get()?;
    if !shelf.lines().contains(&given.0) {
        found.push(
            Diagnostic::error("unknown-line", given.span, format!("there is no release line `{}`", given.0))
                .mend(crate::line::unknown(&given.0, shelf)),
        );
        return None;
    }
    Line::load(&given.0, shelf, sources, found)
}

fn fits(target: &Target, line: &Line, span: Option<Span>, found: &mut Diagnostics) {
    for (what, has, needs) in [("Linux", &target.facts.kernel, &line.needs.kernel), ("Docker", &target.facts.docker, &line.needs.docker)] {
        if version(has) < version(needs) {
            let fitting = Target::names().filter(|name| {
                Target::find(name).is_some_and(|other| {
                    version(&other.facts.kernel) >= version(&line.needs.kernel)
                        && version(&other.facts.docker) >= version(&line.needs.docker)
                })
            });
            let fitting: Vec<_> = fitting.collect();
            let mend = if fitting.is_empty() {
                "take an older line".to_owned()
            } else {
                format!("take an older line, or `target: {}`", fitting.join(" or "))
            };
            found.push(
                Diagnostic::error(
                    "line-needs",
                    span,
                    format!("{} needs {what} {needs} or newer; {} has {has}", line.name, target.facts.title),
                )
                .why("its components would exit at once, on every node")
                .mend(mend),
            );
        }
    }
}

fn version(text: &str) -> Vec<u64> {
    text.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

fn os_version(profile: &Profile, target: Option<&'static Target>, found: &mut Diagnostics) -> Option<String> {
    let versions = &target?.facts.versions;
    let Some(given) = profile.os_version.get() else { return versions.first().cloned() };
    if !versions.contains(&given.0) {
        found.push(
            Diagnostic::warning("unknown-os-version", given.span, format!("no {} {} is known", target?.facts.title, given.0))
                .why("services on the OS's base image name it with this version; where it isn't on the node, no file is written and nothing starts")
                .mend(format!("write the version that `ros --version` prints on the node; known are {}", versions.join(", "))),
        );
    }
    Some(given.0.clone())
}
