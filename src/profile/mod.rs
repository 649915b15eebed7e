//! Read: YAML text → [`Profile`], as written, every value with its place.
//!
//! A value that is wrong by itself is reported here; what is wrong only beside other values is
//! `plan`'s to find. No default is invented here.

mod reference;
mod value;

pub use reference::reference;
pub use value::{
    AbsPath, Address, BaseUrl, BoxName, BoxVersion, ByDhcp, Cidr, ClusterName, Console, Cpus, Day, DiskPath, Domain, Encoding,
    EndpointText, FileContent, Generation, Host, Interface, InterfacePattern, Ipv4, KernelArg, LabelValue, Lifetime, Location, Mac,
    MemberCount, Memory, Mirror, Mode, Mtu, Name, NameServer, PlainHost, Port, PrefixLen, Serial, SshKey, Taint, Url, User, Uuid, Vni,
    Word, is_domain, is_label, is_label_key,
};

use crate::component;
use crate::diagnostic::{Diagnostics, SourceId, Sources};
use crate::service::{Flag, Service, Text};
use crate::terms::{Arch, Backend, ConfigBy, Delivery, Role};
use crate::yaml::{self, Field, Given, List, Map, Reader, record};

record! {
    /// A cluster: one page of YAML, from which every node's config is made.
    pub struct Profile {
        /// The cluster's name: its folder in the out tree, and part of every key's derivation.
        pub cluster: Given<ClusterName>,
        /// The OS line on the nodes: `rancheros-1.5` or `burmillaos-2.0`.
        pub target: Given<Word>,
        /// The OS's exact version, like `v2.0.5`: the tag of the base image that is always on a
        /// node. Default: the last of the target.
        pub os_version: Given<Word>,
        /// The release line: a Kubernetes minor with the component versions that go with it, like
        /// `kubernetes-1.20`.
        pub line: Given<Word>,
        /// Addresses and names.
        pub network: Network,
        /// Where the Kubernetes API is.
        pub api: Api,
        /// The cluster's store.
        pub etcd: Etcd,
        /// How component images reach the nodes.
        pub images: Images,
        /// Keys and certificates.
        pub pki: Pki,
        /// How machines come to boot: from the network, in Vagrant.
        pub media: Media,
        /// Settings for all nodes: the weakest level after the release line's own.
        pub defaults: Settings,
        /// Settings by role: stronger than `defaults`. Where a node has several roles: etcd, then
        /// control-plane, then worker, the last the strongest.
        pub roles: Map<Settings>,
        /// Settings by group: stronger than `roles`. A node names its group.
        pub groups: Map<Group>,
        /// The nodes by name: the strongest level. `worker-[0001-1000]` is a thousand of them.
        pub nodes: Map<NodeDecl>,
    }
}

record! {
    /// The cluster's networks. They must not overlap one another.
    pub struct Network {
        /// The network that the nodes' own addresses are in.
        pub nodes: Given<Cidr>,
        /// The network that pods get their addresses from; each node gets a subnet of it. Default
        /// 10.244.0.0/16.
        pub pods: Given<Cidr>,
        /// Prefix length of a node's subnet of `pods`. Default 24.
        pub node_prefix: Given<PrefixLen>,
        /// The network that services get their addresses from. Default 10.96.0.0/16.
        pub services: Given<Cidr>,
        /// The name server of pods: an address in `services`. Default its tenth.
        pub dns: Given<Ipv4>,
        /// The cluster's DNS domain. Default `cluster.local`.
        pub domain: Given<Domain>,
        /// How pods reach pods on other nodes: `vxlan` (default) or `host-gw` (no encapsulation; all
        /// nodes on one Ethernet segment).
        pub backend: Given<Backend>,
        /// The VXLAN network identifier. Default 1.
        pub vni: Given<Vni>,
        /// The MTU of the nodes' network. Default 1500; pods get 50 less with `vxlan`.
        pub mtu: Given<Mtu>,
        /// The nodes' default gateway. Without one, the OS finds its own, by DHCP on another
        /// interface.
        pub gateway: Given<Ipv4>,
        /// The nodes' name servers.
        pub nameservers: List<NameServer>,
        /// The nodes' search domains.
        pub search: List<Domain>,
        /// The DNS domain in which NODE.DOMAIN always is that node's address, because your DHCP server or
        /// your DNS sees to it. Others find a control-plane node or an etcd member with `address: dhcp`
        /// by that name.
        pub node_domain: Given<Domain>,
    }
}

record! {
    /// Where the Kubernetes API is, for everything outside of a control-plane node.
    pub struct Api {
        /// A control-plane node's name, an address that your load balancer owns (VIP), or a DNS
        /// name. Default: the control-plane node, if there is one alone.
        pub endpoint: Given<EndpointText>,
        /// The port. Default 6443.
        pub port: Given<Port>,
        /// Further names and addresses for the API server's certificate.
        pub names: List<EndpointText>,
    }
}

record! {
    /// The cluster's store. Its members are the nodes with the role `etcd`, or else the
    /// control-plane nodes.
    pub struct Etcd {
        /// Where the members keep their data. Default /var/lib/etcd.
        pub data_dir: Given<AbsPath>,
        /// How the members find one another when they first start. By default each is told all of them.
        pub bootstrap: Bootstrap,
    }
}

record! {
    /// A discovery service, which the nodes with the role `etcd` ask who is in etcd: the first to come are
    /// its members, the others clients (or proxies, where etcd has them).
    pub struct Bootstrap {
        /// The service, like https://discovery.etcd.io or one of your own. `remuda discovery new` asks it for
        /// a token, which the lock keeps.
        pub discovery: Given<BaseUrl>,
        /// How many members etcd has.
        pub size: Given<MemberCount>,
    }
}

record! {
    /// How component images reach the nodes.
    pub struct Images {
        /// `preload` (default): as tarballs in the node's preload folders. `registry`: pulled. `url`: each
        /// node fetches the tarballs over HTTP when it first boots. `drive`: it takes them from `images/`
        /// on its config drive, a file system labelled `config-2`.
        pub delivery: Given<Delivery>,
        /// For `delivery: url`: where OUT/CLUSTER/images is served, like `http://10.0.0.2:8080/images`.
        pub url: Given<BaseUrl>,
        /// The registry that component images are pulled from: `HOST[:PORT][/PATH]`.
        pub registry: Given<Host>,
        /// A mirror of the Docker Hub for both engines, like `http://10.0.0.2:5000`.
        pub mirror: Given<Mirror>,
        /// Registries that speak plain HTTP.
        pub insecure: List<PlainHost>,
        /// Whether the tarballs are gzipped: they take a third of the room, and some time more. Default false; a
        /// registry gets its layers from plain ones.
        pub gzip: Given<Flag>,
        /// What the images are made of, by component: what is written here changes the release line's; a new
        /// name is an image of your own, packed with the others.
        pub components: Map<component::ComponentImage>,
        /// Who logs in to `registry`, where it wants that: both engines and the kubelet.
        pub login: Login,
    }
}

record! {
    /// A registry's account.
    pub struct Login {
        hints: &[("password", "it is `secret`, the name of what `remuda secret set NAME` keeps encrypted beside the profile")];
        /// The user.
        pub username: Given<User>,
        /// The name of the secret that is the password: `remuda secret set NAME` keeps it encrypted in a
        /// file beside the profile.
        pub secret: Given<Name>,
    }
}

record! {
    /// Keys and certificates. All come from the seed; what is set here says which, never what they are.
    pub struct Pki {
        /// The day that certificates are valid from, like 2026-01-31. Nodes whose clock is behind it
        /// refuse them: choose one in the past. Default 2025-01-01.
        pub not_before: Given<Day>,
        /// How long certificates are valid: `10y`, `90d`. Default 20y: a node that nobody can reach
        /// must not be locked out by a date.
        pub lifetime: Given<Lifetime>,
        /// The generation of all keys. Raising it makes all anew. Default 1.
        pub generation: Given<Generation>,
        /// What is different for one purpose: `kubernetes-ca`, `kubelet`, `service-account`, … as
        /// `remuda pki list` names them.
        pub purposes: Map<Purpose>,
        /// Whether the nodes' ssh host keys come from the seed too, so that `sealed/known_hosts` knows
        /// them before they first boot. Default false: each node makes its own.
        pub ssh_host_keys: Given<Flag>,
    }
}

record! {
    /// One purpose of keys.
    pub struct Purpose {
        /// Its generation. Default: the generation of all.
        pub generation: Given<Generation>,
        /// Further generations that are accepted while nodes change over: for an authority, a key pair
        /// or a secret.
        pub trust: List<Generation>,
    }
}

record! {
    /// How machines come to boot. Config drives and ISOs need nothing of it.
    pub struct Media {
        /// For network boot: where OUT/CLUSTER/sealed/pxe.d is served, like `http://10.0.0.2:8080`. With it,
        /// `gen` writes what iPXE, dnsmasq and machines need.
        pub url: Given<BaseUrl>,
        /// The OS's kernel: a path below `url`, or a URL. Default `vmlinuz`.
        pub kernel: Given<Location>,
        /// The OS's initrd: a path below `url`, or a URL. Default `initrd`.
        pub initrd: Given<Location>,
        /// How a machine that boots from the network gets its config. `initrd` (default): iPXE loads it
        /// beside the OS's initrd. `url`: the OS fetches it; every pod can read its URL in /proc/cmdline.
        pub config: Given<ConfigBy>,
        /// Whether groups and profiles for matchbox are written too. Default false.
        pub matchbox: Given<Flag>,
        /// For a Vagrantfile.
        pub vagrant: Vagrant,
    }
}

record! {
    /// Virtual machines by Vagrant.
    pub struct Vagrant {
        hints: &[("box", "it is `box_name`"), ("version", "it is `box_version`")];
        /// The box with the OS, like `rancheros`. With it, `gen` writes `media/Vagrantfile`.
        pub box_name: Given<BoxName>,
        /// Its version. Default: any.
        pub box_version: Given<BoxVersion>,
    }
}

record! {
    /// What can be set for all nodes, a role, a group or a node. From weak to strong: the release
    /// line, `defaults`, `roles`, `groups`, `nodes`.
    pub struct Settings {
        /// The processor: `amd64` (default) or `arm64`.
        pub arch: Given<Arch>,
        /// The network interface with the node's address, like `eth1`. Without it, the node's `mac`
        /// names the interface, or else it is `eth0`; with `address: dhcp`, the one with the default route.
        pub interface: Given<Interface>,
        /// Further interfaces, which get an address by DHCP: `eth0`, `eth*`. Without them, the OS
        /// configures no interface but the node's own.
        pub dhcp: List<InterfacePattern>,
        /// The disk that the OS is on, or the state of a machine that boots from the network, like
        /// `/dev/sda`. Without one, such a machine runs in memory, and forgets.
        pub disk: Given<DiskPath>,
        /// Whether a machine that boots from the network or a boot ISO installs the OS on `disk`, once, and
        /// reboots into it. Default false: the OS runs from where it was booted, with its state on `disk`.
        pub install: Given<Flag>,
        /// The kernel's console besides the screen, like `ttyS0,115200n8`.
        pub console: Given<Console>,
        /// Further kernel parameters, for network boot, boot ISOs and installs.
        pub kernel_args: List<KernelArg>,
        /// Memory of a virtual machine, in MiB. Default 4096 with the control plane, else 2048.
        pub memory: Given<Memory>,
        /// Processors of a virtual machine. Default 2.
        pub cpus: Given<Cpus>,
        /// Kubernetes labels.
        pub labels: Map<Given<LabelValue>>,
        /// Kubernetes taints, `KEY[=VALUE]:EFFECT`: set when the node registers; later ones with `kubectl
        /// taint`, which a node may not do to itself.
        pub taints: List<Taint>,
        /// Public keys that may log in as `rancher`.
        pub ssh_keys: List<SshKey>,
        /// What is changed in remuda's own components: etcd, flannel, kube-apiserver, …
        pub components: Map<Component>,
        /// Your own services; under the name of a service that remuda or the OS has, changes to it.
        pub services: Map<Service>,
        /// Your own files, by path.
        pub files: Map<File>,
        /// User Docker's settings.
        pub docker: Docker,
        /// Kernel parameters.
        pub sysctl: Map<Given<Text>>,
        /// Kernel modules to load.
        pub modules: List<Text>,
        /// `rancher.environment`: what services look up.
        pub environment: Map<Given<Text>>,
    }
}

record! {
    /// What is changed in a component.
    pub struct Component {
        hints: &[("extra_args", "it is `args`, a mapping: `v: 2`"), ("flags", "it is `args`, a mapping: `v: 2`")];
        /// Command-line flags without their dashes: `v: 2`. `~` takes away one of remuda's.
        pub args: Map<Given<Text>>,
    }
}

record! {
    /// A group of nodes.
    pub struct Group {
        /// What its nodes are.
        pub role: Given<Role>,
        /// What its nodes are, when they are several things at once.
        pub roles: List<Role>,
        /// `dhcp`: its nodes learn their addresses when they boot.
        pub address: Given<ByDhcp>,
        ..settings: Settings,
    }
}

record! {
    /// A node, or as many as the range in its name says.
    pub struct NodeDecl {
        /// What it is: `control-plane`, `worker` or `etcd`.
        pub role: Given<Role>,
        /// What it is, when it is several things at once.
        pub roles: List<Role>,
        /// The group whose settings it has.
        pub group: Given<Name>,
        /// Its address in `network.nodes`; for a range the first one's, counted up. Or `dhcp`: it learns
        /// its address when it boots, and flannel leases it its subnet of `network.pods`.
        pub address: Given<Address>,
        /// Its network card's MAC address; for a range the first one's, counted up.
        pub mac: Given<Mac>,
        /// Its serial number, by which it is known at network boot too.
        pub serial: Given<Serial>,
        /// Its UUID, by which it is known at network boot too.
        pub uuid: Given<Uuid>,
        ..settings: Settings,
    }
}

record! {
    /// A file on the node.
    pub struct File {
        hints: &[("mode", "it is `permissions`, like \"0644\""), ("text", "it is `content`")];
        /// What is in it.
        pub content: Given<FileContent>,
        /// How `content` is written here: `base64` for what isn't text.
        pub encoding: Given<Encoding>,
        /// Its mode. Default "0644".
        pub permissions: Given<Mode>,
        /// `USER:GROUP`. Default root.
        pub owner: Given<Text>,
        /// The service that writes it: one on the OS's own base image, or `console`. By default
        /// remuda picks the one that sees the path.
        pub container: Given<Text>,
    }
}

record! {
    /// User Docker's settings, on top of what the release line sets.
    pub struct Docker {
        hints: &[
            ("graph", "it is `data_root` here; remuda writes what the target calls it"),
            ("bip", "remuda decides it: the node's subnet of `network.pods`"),
            ("mtu", "remuda decides it from `network.mtu`"),
            ("registry_mirror", "it is `images.mirror`"),
            ("insecure_registry", "it is `images.insecure`")
        ];
        /// Further arguments of dockerd.
        pub extra_args: List<Text>,
        /// The storage driver.
        pub storage_driver: Given<Text>,
        /// The log driver.
        pub log_driver: Given<Text>,
        /// Its options.
        pub log_opts: Map<Given<Text>>,
        /// Whether containers go on while dockerd restarts.
        pub live_restore: Given<Flag>,
    }
}

/// Reads a profile. `None` if it isn't YAML; what else is wrong is in `found`, beside a profile
/// that holds whatever could be read.
pub fn read(sources: &mut Sources, name: &str, text: String, found: &mut Diagnostics) -> Option<Profile> {
    let source: SourceId = sources.add(name, text, true);
    let tree = yaml::parse(&sources.get(source).text, source, found)?;
    let mut profile = Profile::default();
    profile.fill(&tree, &mut Reader { found, templates: false });
    Some(profile)
}

/// The JSON schema of a profile, for editors.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Profile)
}
