//! The decided cluster: types and their methods. Nothing is decided or checked here.

use crate::diagnostic::Span;
use crate::image;
use crate::image::{ImageSpec, LockedToken, MadeFrom, Need, Roots};
use crate::line::{Line, ManifestFile};
use crate::manifest::{Object, Piece};
use crate::pki::{Validity, Vault};
use crate::profile::{BY_MAC, Mac, Name, OsKeys};
use crate::service::{Service, Text};
use crate::target::Target;
use crate::terms::{Arch, Backend, ByArch, ConfigBy, Delivery, Digest, EngineName, Provenance, Role, sha256};
use crate::yaml::Spanned;
use camino::Utf8PathBuf;
use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// A cluster, completely decided.
#[derive(Debug)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// The OS on its nodes.
    pub target: &'static Target,
    /// The version of the OS, like `v2.0.5`.
    pub os_version: String,
    /// The release line.
    pub line: Line,
    /// Its networks.
    pub network: ClusterNetwork,
    /// Where the API is.
    pub api: Api,
    /// The store.
    pub etcd: Etcd,
    /// The images of its components.
    pub images: ClusterImages,
    /// The generations of its keys.
    pub pki: Pki,
    /// What its nodes apply when they start, if the profile has manifests.
    pub manifests: Option<PlannedManifests>,
    /// How machines boot.
    pub media: Media,
    /// The secrets of the vault.
    pub vault: Vault,
    /// What its nodes have in common.
    pub classes: Vec<Class>,
    /// In the order of the profile.
    pub nodes: Vec<ClusterNode>,
}

/// The networks of a cluster.
#[derive(Debug, Clone)]
pub struct ClusterNetwork {
    /// Of the nodes.
    pub nodes: Ipv4Network,
    /// Of the pods; each node has a subnet of it.
    pub pods: Ipv4Network,
    /// Prefix length of a node's subnet of `pods`.
    pub node_prefix: u8,
    /// Of the services.
    pub services: Ipv4Network,
    /// The same of IPv6, if nodes, pods and services have it too.
    pub ipv6: Option<Ipv6Networks>,
    /// The address of the cluster's DNS.
    pub dns: Ipv4Addr,
    /// The domain of services, like `cluster.local`.
    pub domain: String,
    /// How pods reach pods on other nodes.
    pub backend: Backend,
    /// The identifier of the VXLAN.
    pub vni: u32,
    /// Of the nodes' network, in bytes.
    pub mtu: u16,
    /// Of the pods' network, in bytes.
    pub pod_mtu: u16,
    /// The default route.
    pub gateway: Option<Ipv4Addr>,
    /// In the order in which they are asked.
    pub nameservers: Vec<IpAddr>,
    /// Domains that are tried for short names.
    pub search: Vec<String>,
    /// The domain in which a node's name is always its address.
    pub node_domain: Option<String>,
    /// The way out, if it is through a proxy.
    pub proxy: Option<Proxy>,
    /// The part of `pods` from which flannel must not lease: it is for nodes with known addresses,
    /// in a cluster that has other nodes too.
    pub reserved: Option<Ipv4Network>,
}

impl ClusterNetwork {
    /// A network of both families, as the profile has it.
    pub fn both(&self, first: Ipv4Network, second: impl Fn(&Ipv6Networks) -> Ipv6Network) -> String {
        let second = self.ipv6.as_ref().map(|ipv6| format!(", {}", second(ipv6)));
        format!("{first}{}", second.unwrap_or_default())
    }
}

/// The networks of IPv6.
#[derive(Debug, Clone)]
pub struct Ipv6Networks {
    /// Of the nodes.
    pub nodes: Ipv6Network,
    /// Of the pods; each node has a subnet of it.
    pub pods: Ipv6Network,
    /// Prefix length of a node's subnet of `pods`.
    pub node_prefix: u8,
    /// Of the services.
    pub services: Ipv6Network,
    /// The default route.
    pub gateway: Option<Ipv6Addr>,
}

/// The proxy of the engines.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// For `http://`.
    pub http: Option<String>,
    /// For `https://`.
    pub https: Option<String>,
    /// What is reached without it.
    pub no_proxy: Vec<String>,
}

impl Proxy {
    /// The value of the variable by which programs know it, in upper or lower case.
    pub fn variable(&self, name: &str) -> Option<String> {
        match name.to_ascii_lowercase().as_str() {
            "http_proxy" => self.http.clone(),
            "https_proxy" => self.https.clone(),
            "no_proxy" => Some(self.no_proxy.join(",")),
            _ => None,
        }
    }

    /// Whether a host is reached without it.
    pub fn spares(&self, host: &str) -> bool {
        let address = host.parse::<IpAddr>().ok();
        self.no_proxy.iter().any(|one| {
            let is_suffix = one.starts_with('.') && (host.ends_with(one.as_str()) || host == &one[1..]);
            let contains = |address| one.parse::<IpNetwork>().is_ok_and(|network| network.contains(address));
            one == host || is_suffix || address.is_some_and(contains)
        })
    }
}

/// The API's address for everything outside a control-plane node.
#[derive(Debug, Clone)]
pub struct Api {
    /// `None` if the control plane publishes the address.
    pub host: Option<String>,
    /// Its TCP port.
    pub port: u16,
    /// Further names and addresses for the API server's certificate.
    pub names: Vec<String>,
    /// The address that the control-plane nodes hold in turn.
    pub vip: Option<Ipv4Addr>,
    /// The port of each node's own balancer, on its loopback address, if there is one.
    pub balancer: Option<u16>,
}

/// The store, and who is in it.
#[derive(Debug, Clone)]
pub struct Etcd {
    /// Index of each member into [`Cluster::nodes`].
    pub members: Vec<usize>,
    /// The members that make the cluster when it first starts; empty if it exists.
    pub founders: Vec<usize>,
    /// The folder of its data on a node.
    pub data_dir: String,
    /// The service through which its members find each other.
    pub discovery: Option<Discovery>,
    /// What each member saves.
    pub snapshots: Option<Snapshots>,
    /// The folder of the snapshot that the only founder restores.
    pub restore: Option<String>,
}

/// The snapshots that a member of etcd saves of itself.
#[derive(Debug, Clone)]
pub struct Snapshots {
    /// The seconds between two.
    pub every: u32,
    /// How many stay.
    pub keep: u32,
    /// Their folder on the node.
    pub directory: String,
}

impl Etcd {
    /// For the out tree's manifest.
    pub fn record(&self, nodes: &[ClusterNode]) -> EtcdRecord {
        let names = |of: &[usize]| of.iter().map(|index| nodes[*index].name.clone()).collect();
        let founders = self.discovery.is_none().then(|| names(&self.founders));
        EtcdRecord { founders, members: names(&self.members) }
    }
}

/// Who is in etcd, as the out tree's manifest has it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EtcdRecord {
    /// The names of those that make the cluster; `None` if a discovery service chooses them.
    pub founders: Option<BTreeSet<String>>,
    /// The names of all who can be in it.
    pub members: BTreeSet<String>,
}

/// How the members of etcd find each other, if the profile doesn't name them.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// The service's URL.
    pub service: String,
    /// The number of nodes that become members.
    pub size: u8,
    /// The URL that the service gave for this cluster, if there is one in the lock.
    pub token: Option<String>,
    /// Its place in the profile.
    pub span: Option<Span>,
}

impl Discovery {
    /// Whether a token was requested for this cluster as it is now.
    pub fn is_for(&self, token: &LockedToken, cluster: &str) -> bool {
        token.cluster == cluster && token.service == self.service && token.size == self.size
    }
}

/// The images of components: their names and the way to the nodes.
#[derive(Debug, Clone)]
pub struct ClusterImages {
    /// How they reach the nodes.
    pub delivery: Delivery,
    /// Component → image with tag.
    pub names: BTreeMap<String, String>,
    /// Component → version.
    pub versions: BTreeMap<String, String>,
    /// The URL that is asked first for images of docker.io.
    pub mirror: Option<String>,
    /// Where containerd asks first for images of other registries, by their host.
    pub mirrors: BTreeMap<String, String>,
    /// Registries without TLS, as `HOST[:PORT]`.
    pub insecure: Vec<String>,
    /// The account at the registry.
    pub login: Option<Login>,
    /// The URL of the archives, with delivery by URL.
    pub url: Option<String>,
    /// Whose bytes the components are.
    pub provenance: Provenance,
    /// Whether the archives are gzipped.
    pub gzip: bool,
    /// What the images are made of, for each architecture among the nodes.
    pub contents: Vec<PlannedImage>,
    /// The archives; empty if nothing is packed and no config needs to name them.
    pub archives: Vec<Archive>,
    /// What the images are made from.
    pub made_from: MadeFrom,
}

/// A component's image for one architecture.
#[derive(Debug, Clone)]
pub struct PlannedImage {
    /// The component.
    pub component: String,
    /// The engine that loads it.
    pub engine: EngineName,
    /// What it is made of.
    pub spec: ImageSpec,
}

impl ClusterImages {
    /// The remote sources of the images.
    pub fn needs(&self) -> Vec<Need> {
        Need::of(self.specs())
    }

    /// The local files and folders that they are made from.
    pub fn locals(&self, roots: &Roots) -> BTreeSet<Utf8PathBuf> {
        image::locals(self.specs(), roots)
    }

    /// What they are made of.
    pub fn specs(&self) -> impl Iterator<Item = &ImageSpec> {
        self.contents.iter().map(|image| &image.spec)
    }

    /// Whether images are made, but the archives with them aren't known.
    pub fn lacks_archives(&self) -> bool {
        !self.contents.is_empty() && self.archives.is_empty()
    }

    /// The name of a component's image on a node. A pulled image is named by its digest, if it is known.
    pub fn reference(&self, component: &str, arch: Arch) -> String {
        let name = &self.names[component];
        let digest = || self.archives.iter().filter(|archive| archive.arch == arch).find_map(|archive| archive.images.get(name));
        match digest().filter(|_| self.delivery == Delivery::Registry) {
            Some(digest) => format!("{}@{digest}", name.rsplit_once(':').map_or(name.as_str(), |(name, _)| name)),
            None => name.clone(),
        }
    }
}

/// An account at a registry.
#[derive(Debug, Clone)]
pub struct Login {
    /// `HOST[:PORT]`
    pub host: String,
    /// The user.
    pub username: String,
    /// The secret's name in the vault.
    pub secret: Spanned<Name>,
}

/// A `docker load` archive with component images.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Archive {
    /// The engine that loads it.
    pub engine: EngineName,
    /// The processor.
    pub arch: Arch,
    /// Its name in `images/`.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// In hexadecimal.
    pub sha256: String,
    /// The registry digest of each image in it, by name.
    #[serde(default)]
    pub images: BTreeMap<String, Digest>,
}

/// What nodes with the same declaration have in common.
#[derive(Debug)]
pub struct Class {
    /// What its nodes are.
    pub roles: Vec<Role>,
    /// Whether its nodes learn their addresses when they boot.
    pub is_dynamic: bool,
    /// The processor.
    pub arch: Arch,
    /// The interface with a node's own address; the OS's first one if there is none.
    pub interface: Option<String>,
    /// Further interfaces, by DHCP.
    pub dhcp: Vec<String>,
    /// Further interfaces, and what the node's own has besides its address.
    pub interfaces: Vec<PlannedInterface>,
    /// Where the OS is installed.
    pub disk: Option<String>,
    /// What the machine is like.
    pub machine: Machine,
    /// `KEY=VALUE`.
    pub labels: Vec<String>,
    /// `KEY[=VALUE]:EFFECT`.
    pub taints: Vec<String>,
    /// Who may log in, a line of authorized_keys each.
    pub ssh_keys: Vec<String>,
    /// In the order in which they are written.
    pub services: Vec<PlannedService>,
    /// In the order in which they are written.
    pub files: Vec<PlannedFile>,
    /// Settings of user Docker.
    pub engine: Engine,
    /// Kernel parameters by name.
    pub sysctl: Vec<(String, Spanned<Text>)>,
    /// Kernel modules, with their parameters.
    pub modules: Vec<Spanned<Text>>,
    /// Variables for services that name them.
    pub environment: Vec<(String, Spanned<Text>)>,
    /// The OS's own keys that the profile sets.
    pub os: OsKeys,
    /// Who starts after whom.
    pub graph: Graph,
    /// Every place that sets something of all this, sorted.
    pub places: Vec<Span>,
}

/// A network interface besides the node's own, or what its own has besides its address.
#[derive(Debug, Clone, Default)]
pub struct PlannedInterface {
    /// `eth1`, or `mac=…`.
    pub name: String,
    /// The addresses on the first node of a range; they are counted up for the others.
    pub addresses: Vec<Ipv4Network>,
    /// Whether DHCP gives it an address.
    pub by_dhcp: bool,
    /// The node's default gateway, if it is on this interface.
    pub gateway: Option<Ipv4Addr>,
    /// `None` for the kernel's own.
    pub mtu: Option<u16>,
    /// Networks, each with its gateway.
    pub routes: Vec<(Ipv4Network, Ipv4Addr)>,
    /// What kind of interface it is.
    pub made: Made,
    /// The bond or bridge that it belongs to.
    pub master: Option<Master>,
    /// Number and name of each VLAN that it carries.
    pub vlans: Vec<(u16, String)>,
}

/// What an interface is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Made {
    /// A network card.
    #[default]
    Card,
    /// Other interfaces as one; with the kernel's options, the mode first.
    Bond(Vec<(&'static str, String)>),
    /// A bridge.
    Bridge,
    /// A VLAN on another interface.
    Vlan,
}

/// The interface of which another one is a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Master {
    /// The bond of this name.
    Bond(String),
    /// The bridge of this name.
    Bridge(String),
}

impl Class {
    /// The interface with this name, if the profile says something about it.
    pub fn interface(&self, name: &str) -> Option<&PlannedInterface> {
        self.interfaces.iter().find(|one| one.name == name)
    }

    /// The nodes' own interface, if it is a bond, a bridge or a VLAN.
    pub fn made_interface(&self) -> Option<&PlannedInterface> {
        self.interface(self.interface.as_ref()?).filter(|own| own.made != Made::Card)
    }

    /// Whether its nodes have the role.
    pub fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether its nodes run pods or the control plane, and so are on the pod network.
    pub fn is_kubernetes(&self) -> bool {
        self.is(Role::ControlPlane) || self.is(Role::Worker)
    }
}

/// A service on the nodes of a class.
#[derive(Debug, Clone)]
pub struct PlannedService {
    /// Its name.
    pub name: String,
    /// Its definition; its texts are rendered for each node.
    pub service: Arc<Service>,
    /// Whose it is.
    pub origin: Origin,
}

/// The origin of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The release line's, with or without changes by the profile.
    Line,
    /// The OS's own, changed by the profile.
    Os,
    /// The user's.
    User,
}

/// A file on the nodes of a class.
#[derive(Debug, Clone)]
pub struct PlannedFile {
    /// The absolute path.
    pub path: String,
    /// What is in it.
    pub content: Content,
    /// The mode in octal.
    pub permissions: String,
    /// `USER[:GROUP]`, if not root.
    pub owner: Option<Spanned<Text>>,
    /// The container that writes the file.
    pub container: String,
    /// The place of its path in the profile; `None` if the line has it.
    pub span: Option<Span>,
}

/// The content of a file.
#[derive(Debug, Clone)]
pub enum Content {
    /// A file of the release line, with its own values.
    /// A template of the line's.
    #[allow(missing_docs)] // Said above.
    Line { template: String, with: BTreeMap<String, String> },
    /// A text of the profile, which may be a template.
    /// A text of the profile.
    #[allow(missing_docs)] // Said above.
    Text { text: String, template: bool, span: Option<Span> },
    /// Bytes that the profile has as base64.
    Base64(String),
    /// Key material, by name.
    Sealed(String),
    /// Manifests of the profile.
    Manifests(ManifestFile),
    /// The node's files below these folders, and the names of the objects in them.
    Names(Vec<String>),
    /// The fingerprint of the node's config.
    Fingerprint,
}

/// User Docker.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    /// Template of the bridge's address, on nodes with pods.
    pub bip: Option<String>,
    /// Further arguments of dockerd.
    pub extra_args: Vec<Spanned<Text>>,
    /// How images are stored.
    pub storage_driver: Option<Spanned<Text>>,
    /// Where logs go.
    pub log_driver: Option<Spanned<Text>>,
    /// Options of the log driver.
    pub log_opts: Vec<(String, Spanned<Text>)>,
    /// Whether containers outlive dockerd.
    pub live_restore: Option<bool>,
}

/// One node.
#[derive(Debug)]
pub struct ClusterNode {
    /// Its name.
    pub name: String,
    /// `None` if the node learns its address when it boots.
    pub address: Option<Ipv4Addr>,
    /// Its IPv6 address, if the cluster has both families.
    pub ipv6: Option<Ipv6Addr>,
    /// By which network boot and the OS know its machine.
    pub mac: Option<Mac>,
    /// The machine's serial number, for network boot.
    pub serial: Option<String>,
    /// The machine's UUID, for network boot.
    pub uuid: Option<String>,
    /// Index into [`Cluster::classes`].
    pub class: usize,
    /// How many nodes of its range are before it.
    pub offset: u32,
    /// Its subnet of the pod network; `None` if it has no pods or flannel leases the subnet.
    pub subnet: Option<Ipv4Network>,
    /// The same of IPv6.
    pub ipv6_subnet: Option<Ipv6Network>,
    /// The place of its address in the profile, or of its name.
    pub span: Option<Span>,
}

impl ClusterNode {
    /// One of its addresses, counted up from the one of its range's first node.
    pub fn counted(&self, first: Ipv4Network) -> Option<Ipv4Network> {
        let address = u32::from(first.ip()).checked_add(self.offset)?;
        Ipv4Network::new(address.into(), first.prefix()).ok()
    }

    /// How other nodes reach it: its address, or otherwise a name.
    pub fn host(&self, network: &ClusterNetwork) -> String {
        match (self.address, &network.node_domain) {
            (Some(address), _) => address.to_string(),
            (None, Some(domain)) => format!("{}.{domain}", self.name),
            (None, None) => self.name.clone(),
        }
    }

    /// All its names and addresses, its own name first.
    pub fn names(&self, network: &ClusterNetwork) -> Vec<String> {
        let mut names = vec![self.name.clone()];
        names.extend(network.node_domain.iter().map(|domain| format!("{}.{domain}", self.name)));
        names.extend(self.address.map(|address| address.to_string()));
        names.extend(self.ipv6.map(|address| address.to_string()));
        names
    }

    /// Its addresses, as a person reads them.
    pub fn addresses(&self) -> String {
        match (self.address, self.ipv6) {
            (Some(first), Some(second)) => format!("{first}, {second}"),
            (Some(first), None) => first.to_string(),
            (None, _) => "by DHCP".to_owned(),
        }
    }

    /// The address of its bridge, with the prefix length.
    pub fn bridge(&self) -> Option<String> {
        let subnet = self.subnet?;
        Some(format!("{}/{}", Ipv4Addr::from(u32::from(subnet.network()) + 1), subnet.prefix()))
    }

    /// The same of IPv6.
    pub fn ipv6_bridge(&self) -> Option<String> {
        let subnet = self.ipv6_subnet?;
        Some(format!("{}/{}", Ipv6Addr::from(u128::from(subnet.network()) + 1), subnet.prefix()))
    }
}

/// A cluster in which everything is decided except its image archives, which are packed from it.
#[derive(Debug)]
pub struct Draft(pub(super) Cluster);

impl Draft {
    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The cluster, without its archives.
    pub fn unpacked(&self) -> &Cluster {
        &self.0
    }

    /// Its images.
    pub fn images(&self) -> &ClusterImages {
        &self.0.images
    }

    /// The discovery service of etcd.
    pub fn discovery(&self) -> Option<&Discovery> {
        self.0.etcd.discovery.as_ref()
    }

    /// The same, with what its images are made from.
    #[must_use]
    pub fn made_from(mut self, made_from: MadeFrom) -> Self {
        self.0.images.made_from = made_from;
        self
    }

    /// The whole cluster, with the packed archives.
    #[must_use]
    pub fn with(mut self, archives: Vec<Archive>) -> Cluster {
        self.0.images.archives = archives;
        self.0
    }
}

impl Cluster {
    /// A digest of the manifests with their images and secrets: the same on every node, and another one for other content.
    pub fn manifests_fingerprint(&self) -> Option<String> {
        let manifests = self.manifests.as_ref()?;
        let mut text = format!("{}\n{}", manifests.generation, manifests.replicas);
        for piece in &manifests.objects {
            match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Secret(name) => text.push_str(&self.vault.digest(name).unwrap_or_default()),
                Piece::Image(component) => {
                    Arch::ALL.iter().for_each(|arch| text.push_str(&self.images.reference(component, *arch)));
                }
            }
        }
        Some(sha256(text.as_bytes())[..16].to_owned())
    }

    /// The processors that its nodes have.
    pub fn arches(&self) -> BTreeSet<Arch> {
        self.classes.iter().map(|class| class.arch).collect()
    }

    /// Each node, in the order of the profile.
    pub fn node_refs(&self) -> impl Iterator<Item = NodeRef<'_>> {
        (0..self.nodes.len()).map(|index| self.node_at(index))
    }

    /// The node with this name.
    pub fn node(&self, name: &str) -> Option<NodeRef<'_>> {
        self.node_refs().find(|of| of.node.name == name)
    }

    /// The node with this number, which must exist.
    pub fn node_at(&self, index: usize) -> NodeRef<'_> {
        let node = &self.nodes[index];
        NodeRef { cluster: self, node, class: &self.classes[node.class] }
    }
}

/// A node, with its cluster and what it has in common with others.
#[derive(Debug, Clone, Copy)]
pub struct NodeRef<'c> {
    /// The cluster.
    pub cluster: &'c Cluster,
    /// The node.
    pub node: &'c ClusterNode,
    /// What it has in common with others.
    pub class: &'c Class,
}

impl NodeRef<'_> {
    /// The node's own interface, as the OS selects it: `eth1`, `mac=…`, or a pattern.
    pub fn interface(&self) -> String {
        match (&self.class.interface, self.node.mac, self.node.address) {
            (Some(name), ..) => name.clone(),
            (None, Some(mac), _) => format!("{BY_MAC}{mac}"),
            (None, None, Some(_)) => "eth0".to_owned(),
            // As the OS itself does.
            (None, None, None) => "eth*".to_owned(),
        }
    }

    /// The default gateway on the node's own interface. Another one's replaces the cluster's: the kernel keeps one.
    pub fn gateway(&self) -> Option<Ipv4Addr> {
        let given = self.class.interfaces.iter().find(|one| one.gateway.is_some());
        match given {
            Some(given) => given.gateway.filter(|_| given.name == self.interface()),
            None => self.cluster.network.gateway.filter(|_| self.node.address.is_some()),
        }
    }
}

/// The files next to a profile that the decision needs.
#[derive(Debug, Default)]
pub struct Known {
    /// The secrets of the vault, and its file.
    pub vault: Vault,
    /// The vault's name for messages.
    pub vault_file: String,
    /// The objects in the manifests that the profile names.
    pub manifests: Vec<Object>,
    /// The token from a discovery service, for this cluster or another one.
    pub token: Option<LockedToken>,
    /// Who is in etcd by the out tree's manifest, if there is one.
    pub etcd: Option<EtcdRecord>,
}

/// The profile's manifests, as the control-plane nodes apply them.
#[derive(Debug, Clone)]
pub struct PlannedManifests {
    /// Their text, without the numbers of replicas.
    pub objects: Vec<Piece>,
    /// The numbers of replicas, as objects with nothing else.
    pub replicas: String,
    /// What each object is and its name, a line each.
    pub names: String,
    /// Each image that they name: its component, the object, and the place.
    pub images: Vec<(String, String, Span)>,
    /// Of the manifests: a higher one puts back some that the cluster had before.
    pub generation: u32,
}

/// How machines boot.
#[derive(Debug, Clone, Default)]
pub struct Media {
    /// Network boot, if the profile has it.
    pub pxe: Option<Pxe>,
    /// Name and version of the box, if the profile has one.
    pub vagrant: Option<(String, Option<String>)>,
}

/// How machines boot from the network.
#[derive(Debug, Clone)]
pub struct Pxe {
    /// The URL of the served folder, without a slash at the end.
    pub url: String,
    /// The OS's kernel, for each architecture among the nodes: a path below `url`, or a URL.
    pub kernel: ByArch<String>,
    /// The OS's initrd, in the same way.
    pub initrd: ByArch<String>,
    /// How a machine gets its config.
    pub config: ConfigBy,
    /// Whether groups and profiles for matchbox are written.
    pub matchbox: bool,
}

/// The machine of a kind of node, and how it boots.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Whether it installs the OS on its disk when it first boots.
    pub install: bool,
    /// The serial console, like `ttyS0,115200n8`.
    pub console: Option<String>,
    /// Further words of the kernel command line.
    pub kernel_args: Vec<String>,
    /// MiB.
    pub memory: u32,
    /// The number of its processors, for Vagrant.
    pub cpus: u16,
}

/// The generations of keys, and how long certificates last.
#[derive(Debug, Clone)]
pub struct Pki {
    /// From when until when certificates are valid.
    pub validity: Validity,
    /// The place of the lifetime in the profile, for messages about the end.
    pub span: Option<Span>,
    /// The generation of every purpose without its own.
    pub generation: u32,
    /// The generations of each purpose: the one in use, then those that are still accepted.
    pub purposes: BTreeMap<String, Vec<u32>>,
    /// Whether nodes get ssh host keys.
    pub ssh_host_keys: bool,
    /// People and programs that use the API.
    pub users: Vec<PkiUser>,
}

/// A person or a program that uses the API.
#[derive(Debug, Clone)]
pub struct PkiUser {
    /// Its name.
    pub name: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// From when until when its certificate is valid.
    pub validity: Validity,
    /// The place of its lifetime in the profile, or of its name.
    pub span: Option<Span>,
    /// The generation of its key.
    pub generation: u32,
}

impl Pki {
    /// The generation in use, then the accepted ones.
    pub fn generations<'p>(&'p self, purpose: &str) -> &'p [u32] {
        self.purposes.get(purpose).map_or(std::slice::from_ref(&self.generation), Vec::as_slice)
    }
}

/// `later` starts when `earlier` has started.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    /// What starts first.
    pub earlier: String,
    /// What waits for it.
    pub later: String,
    /// The place of the dependency, if it isn't the OS's own.
    pub span: Option<Span>,
}

/// The start order of a kind of node.
#[derive(Debug, Default)]
pub struct Graph {
    /// Every pair.
    pub dependencies: Vec<Dependency>,
}

impl Graph {
    /// Everything that starts before `name`.
    pub fn before(&self, name: &str) -> BTreeSet<&str> {
        let mut all = BTreeSet::new();
        let mut next = vec![name];
        while let Some(later) = next.pop() {
            for one in self.dependencies.iter().filter(|one| one.later == later) {
                if all.insert(one.earlier.as_str()) {
                    next.push(&one.earlier);
                }
            }
        }
        all
    }
}
