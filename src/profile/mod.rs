//! Read: YAML text → [`Profile`], as written, each value with its place.
//!
//! This phase reports values that are wrong by themselves. `plan` finds those that are wrong only
//! together with other values. No default is set here.

mod chart;
mod families;
mod interfaces;
mod os;
mod reference;
mod value;

pub use chart::{Chart, ChartPlace, ChartValues};
pub use families::Families;
pub use interfaces::{Bond, BondMode, Bridge, HashPolicy, HostAddress, InterfaceSettings, LacpRate, Miimon, Proxy, Vlan, route};
pub use os::{Os, OsAccount, OsEntry, OsKeys, OsValue};
pub(crate) use os::{check_parameter, refused_os_key};
pub use reference::reference;
pub use value::{
    AbsPath, AddOnSetting, Address, BY_MAC, BaseUrl, BoxName, BoxVersion, ByDhcp, Cidr, ClusterName, Console, Cpus, Day, DiskPath, Domain,
    Encoding, EndpointText, Every, FileContent, FilePath, Generation, Host, Interface, InterfacePattern, Ipv4, Ipv6, Ipv6Cidr,
    Ipv6PrefixLen, KernelArg, LabelValue, Lifetime, Location, Mac, ManifestPath, MemberCount, Memory, Mirror, Mode, Mtu, Name, NameServer,
    NoProxy, NodeNames, PlainHost, PodMirror, Port, PrefixLen, ProxyUrl, Serial, SnapshotCount, SshKey, Taint, Url, User, UserGroup, Uuid,
    VlanId, Vni, Word, interface_key, is_domain, is_label, is_label_key, is_user,
};

use crate::component;
use crate::diagnostic::{Diagnostics, SourceId, Sources};
use crate::service::{Flag, Service, Text};
use crate::terms::{Arch, Backend, ByArch, ConfigBy, Delivery, Provenance, Role};
use crate::yaml::{self, Field, Given, List, Map, Reader, record};

record! {
    /// A cluster: one page of YAML, from which every node's config is made.
    pub struct Profile {
        /// The cluster's name: its folder in the out tree, and part of every key's derivation.
        pub cluster: Given<ClusterName>,
        /// The OS on the nodes: `rancheros-1.5`, `burmillaos-2.0`, or the beta `burmillaos-3.0`.
        pub target: Given<Word>,
        /// The OS's exact version, like `v2.0.5`: the tag of the base image that every node has.
        /// Default: the target's latest.
        pub os_version: Given<Word>,
        /// The release line: a Kubernetes minor with the component versions that go with it, like
        /// `kubernetes-1.20`.
        pub line: Given<Word>,
        /// Addresses and names.
        pub network: Network,
        /// The address of the Kubernetes API.
        pub api: Api,
        /// The cluster's store, etcd.
        pub etcd: Etcd,
        /// How component images reach the nodes.
        pub images: Images,
        /// Add-ons by name, each with its settings: `metrics-server: {}`. The line has some by itself; `~` takes one away.
        /// docs/addons.md has all.
        pub addons: AddOns,
        /// Kubernetes objects of your own, which the cluster starts with.
        pub manifests: Manifests,
        /// Keys and certificates.
        pub pki: Pki,
        /// How machines boot: from the network, in Vagrant.
        pub media: Media,
        /// Settings for all nodes: the weakest level after the release line's own.
        pub defaults: Settings,
        /// Settings by role: stronger than `defaults`. If a node has several roles, worker is
        /// stronger than control-plane, and control-plane stronger than etcd.
        pub roles: Map<Settings>,
        /// Settings by group: stronger than `roles`. A node names its group.
        pub groups: Map<Group>,
        /// The nodes by name: the strongest level. `worker-[0001-1000]` declares a thousand nodes.
        pub nodes: Map<NodeDecl>,
    }
}

record! {
    /// The cluster's networks. They must not overlap. `nodes`, `pods` and `services` together can have a second one, of
    /// IPv6: docs/network.md.
    pub struct Network {
        /// The network of the nodes' own addresses.
        pub nodes: Families<Cidr, Ipv6Cidr>,
        /// The network of the pods' addresses; each node gets a subnet of it. Default 10.244.0.0/16.
        pub pods: Families<Cidr, Ipv6Cidr>,
        /// Prefix length of a node's subnet of `pods`. Default 24, for IPv6 64.
        pub node_prefix: Families<PrefixLen, Ipv6PrefixLen>,
        /// The network of the services' addresses. Default 10.96.0.0/16.
        pub services: Families<Cidr, Ipv6Cidr>,
        /// The pods' name server: an IPv4 address in `services`. Default: the tenth.
        pub dns: Given<Ipv4>,
        /// The cluster's DNS domain. Default `cluster.local`.
        pub domain: Given<Domain>,
        /// How pods reach pods on other nodes: `vxlan` (default), `host-gw` (no encapsulation; all
        /// nodes must be on one Ethernet segment) or `wireguard` (encrypted) by flannel; or `none`: by a
        /// network plugin of your own, in `manifests`.
        pub backend: Given<Backend>,
        /// The VXLAN network identifier. Default 1.
        pub vni: Given<Vni>,
        /// The MTU of the nodes' network. Default 1500; pods get 50 less with `vxlan` (70 with IPv6), 80 less
        /// with `wireguard`. Where the address comes by DHCP, the server may set another one (option 26), which
        /// must be the same.
        pub mtu: Given<Mtu>,
        /// The nodes' default gateway. Without it, the OS finds one by DHCP on another interface.
        pub gateway: Families<Ipv4, Ipv6>,
        /// The nodes' name servers.
        pub nameservers: List<NameServer>,
        /// The nodes' search domains.
        pub search: List<Domain>,
        /// The DNS domain in which NODE.DOMAIN is always that node's address, because your DHCP
        /// server or your DNS ensures it. Other nodes find a control-plane node or an etcd member
        /// with `address: dhcp` by this name.
        pub node_domain: Given<Domain>,
        /// The proxy through which nodes reach what is outside, registries above all.
        pub proxy: Proxy,
    }
}

record! {
    /// The address of the Kubernetes API, for everything outside a control-plane node.
    pub struct Api {
        /// A control-plane node's name, an address that your load balancer owns (VIP), or a DNS
        /// name. Default: `vip`, or the control-plane node, if there is exactly one.
        pub endpoint: Given<EndpointText>,
        /// A free address of the nodes' network that the control-plane nodes hold themselves: when its
        /// holder fails, another one takes it.
        pub vip: Given<Ipv4>,
        /// The port. Default 6443.
        pub port: Given<Port>,
        /// Further names and addresses for the API server's certificate.
        pub names: List<EndpointText>,
    }
}

record! {
    /// The cluster's store, etcd. Its members are the nodes with the role `etcd`; if no node has
    /// it, the control-plane nodes.
    pub struct Etcd {
        /// Where the members keep their data. Default /var/lib/etcd.
        pub data_dir: Given<AbsPath>,
        /// The members that made the cluster when it first started: names of nodes, or ranges like
        /// `m-[1-3]`. Default: all members. A member that isn't a founder joins the cluster that it
        /// finds. `[]`: the cluster exists, and every node without data joins it.
        pub founders: List<NodeNames>,
        /// How the members find each other when they first start. By default, each node's config
        /// names all members.
        pub bootstrap: Bootstrap,
        /// Snapshots that each member saves of itself: `{}` for the defaults. They are the cluster's backup: copy them
        /// from a node.
        pub snapshots: Snapshots,
        /// After all members lost their disks: a new cluster begins with a snapshot of the old one.
        pub restore: Restore,
    }
}

record! {
    /// Snapshots of etcd. One has all objects of the cluster.
    pub struct Snapshots {
        /// How often one is saved: `30m`, `6h`, `1d`. Default 6h.
        pub every: Given<Every>,
        /// How many stay. Default 28.
        pub keep: Given<SnapshotCount>,
        /// The folder on the node. Default /var/lib/etcd-snapshots.
        pub directory: Given<AbsPath>,
    }
}

record! {
    /// The way back from a snapshot of etcd. It applies only while nobody has data: take it away when the cluster runs.
    pub struct Restore {
        /// The member that restores. It founds the cluster alone; the others join it.
        pub member: Given<NodeNames>,
        /// The folder on that node where you put the snapshot. Of several, the last one by name is taken. Default
        /// /var/lib/etcd-restore.
        pub directory: Given<AbsPath>,
    }
}

record! {
    /// A discovery service, which the nodes with the role `etcd` ask for etcd's members: the first
    /// `size` nodes become members, the others clients (or proxies, if this version of etcd has
    /// them).
    pub struct Bootstrap {
        /// The service, like https://discovery.etcd.io or your own. `remuda discovery new` asks it
        /// for a token and keeps the token in the lock.
        pub discovery: Given<BaseUrl>,
        /// The number of etcd's members.
        pub size: Given<MemberCount>,
    }
}

record! {
    /// How component images reach the nodes.
    pub struct Images {
        /// `preload` (default): as tarballs in the node's preload folders. `registry`: pulled from
        /// a registry. `url`: each node fetches the tarballs over HTTP when it first boots.
        /// `drive`: each node loads them from `images/` on its config drive, a file system labelled
        /// `config-2`.
        pub delivery: Given<Delivery>,
        /// Whose bytes the components are: `built` (default), which `scripts/components` makes; or
        /// `released`, which their projects publish, pinned by `remuda lock`.
        pub source: Given<Provenance>,
        /// For `delivery: url`: where OUT/CLUSTER/images is served, like `http://10.0.0.2:8080/images`.
        pub url: Given<BaseUrl>,
        /// The registry of the component images: `HOST[:PORT][/PATH]`.
        pub registry: Given<Host>,
        /// A mirror of Docker Hub for both engines, like `http://10.0.0.2:5000`.
        pub mirror: Given<Mirror>,
        /// Where pods' images of other registries are asked for first, by the registry's host, like
        /// `{registry.k8s.io: http://10.0.0.2:5000}`. A path is the whole root of the mirror's API:
        /// `https://harbor.example.com/v2/quay`. Only with lines whose pods run in containerd.
        pub mirrors: Map<Given<PodMirror>>,
        /// Registries that speak plain HTTP.
        pub insecure: List<PlainHost>,
        /// Whether the tarballs are gzipped: this takes a third of the space and more time. Default
        /// false; not used with `delivery: registry`.
        pub gzip: Given<Flag>,
        /// What the images are made of, by component. An entry changes that of the release line; a
        /// new name is an image of your own, packed with the others.
        pub components: Map<component::ComponentImage>,
        /// The account for `registry`, if it needs one. Both engines and the kubelet use it.
        pub login: Login,
    }
}

record! {
    /// Kubernetes objects of your own. The control-plane nodes apply them when they start, and remove what is no
    /// longer in them; with `files: []` all of it. The images that they name are pinned and packed like those of
    /// components.
    pub struct Manifests {
        hints: &[
            ("paths", "write `files`"),
            ("path", "write `files`, a list"),
            ("folder", "write `files: [FOLDER]`"),
            ("kustomizations", "name their folders in `files`"),
            ("helm", "write `charts`")
        ];
        /// Files, and folders with `.yaml`, `.yml` and `.json` files, relative to the profile's folder. A file has
        /// any number of objects. A folder with a `kustomization.yaml` is rendered by `kustomize`, or `kubectl`.
        pub files: List<ManifestPath>,
        /// Helm charts, by the names of their releases.
        pub charts: Map<Chart>,
        /// Nodes don't apply manifests that the cluster had before other ones, because their config
        /// may be old. To go back to such manifests, raise this number. Default 1.
        pub generation: Given<Generation>,
    }
}

record! {
    /// An account at a registry.
    pub struct Login {
        hints: &[
            ("password", "write `secret`, the name of a secret that `remuda secret set NAME` keeps encrypted next to the profile"),
            ("auth", "write `username`, and `secret` for the password: `remuda secret set NAME` keeps it encrypted next to the profile"),
            ("email", "remove it: no registry reads it any more")
        ];
        /// The user's name.
        pub username: Given<User>,
        /// The name of the secret with the password: `remuda secret set NAME` keeps it encrypted in
        /// a file next to the profile.
        pub secret: Given<Name>,
    }
}

record! {
    /// Keys and certificates. All are derived from the seed; these settings select them, and contain no key.
    pub struct Pki {
        /// The first day on which certificates are valid, like 2026-01-31. A node whose clock is
        /// behind it refuses them, so choose a day in the past. Default 2025-01-01.
        pub not_before: Given<Day>,
        /// How long certificates are valid: `10y`, `90d`. Default 20y: a date must not lock out a
        /// node that nobody can reach.
        pub lifetime: Given<Lifetime>,
        /// The generation of all keys. A higher one replaces all keys. Default 1.
        pub generation: Given<Generation>,
        /// Settings for one purpose: `kubernetes-ca`, `kubelet`, `service-account`, … as `remuda
        /// pki list` names them.
        pub purposes: Map<Purpose>,
        /// People and programs that use the API, each with a kubeconfig of its own, `sealed/users/NAME.kubeconfig`. What
        /// they may do, roles in the cluster say.
        pub users: Map<PkiUser>,
        /// Whether the nodes' ssh host keys are derived from the seed too, so that
        /// `sealed/known_hosts` has them before the nodes first boot. Default false: each node
        /// makes its own.
        pub ssh_host_keys: Given<Flag>,
    }
}

record! {
    /// A person or a program that uses the API. Its name is the user's in role bindings.
    pub struct PkiUser {
        /// Its groups in role bindings.
        pub groups: List<UserGroup>,
        /// The first day on which its certificate is valid. Default: `pki.not_before`.
        pub not_before: Given<Day>,
        /// How long it is valid. Default: `pki.lifetime`. Nothing but its end makes a certificate invalid: keep it short.
        pub lifetime: Given<Lifetime>,
        /// The generation of its key. Default 1.
        pub generation: Given<Generation>,
    }
}

record! {
    /// One purpose of keys.
    pub struct Purpose {
        /// Its generation. Default: `pki.generation`.
        pub generation: Given<Generation>,
        /// Further generations that nodes accept during a rotation: for an authority, a key pair or a secret.
        pub trust: List<Generation>,
    }
}

record! {
    /// How machines boot. Config drives and ISOs need none of these settings.
    pub struct Media {
        /// For network boot: where OUT/CLUSTER/sealed/pxe.d is served, like `http://10.0.0.2:8080`.
        /// With it, `gen` writes the files that iPXE, dnsmasq and the machines need.
        pub url: Given<BaseUrl>,
        /// The OS's kernel: a path below `url`, or a URL; by architecture if the nodes have several: `{amd64: …,
        /// arm64: …}`. Default `vmlinuz`.
        pub kernel: Given<ByArch<Location>>,
        /// The OS's initrd, in the same way. Default `initrd`.
        pub initrd: Given<ByArch<Location>>,
        /// How a machine that boots from the network gets its config. `initrd` (default): iPXE
        /// loads it with the OS's initrd. `url`: the OS fetches it; every pod can read its URL in
        /// /proc/cmdline.
        pub config: Given<ConfigBy>,
        /// Whether `gen` also writes groups and profiles for matchbox. Default false.
        pub matchbox: Given<Flag>,
        /// Settings of the Vagrantfile.
        pub vagrant: Vagrant,
    }
}

record! {
    /// Virtual machines with Vagrant.
    pub struct Vagrant {
        hints: &[("box", "write `box_name`"), ("version", "write `box_version`")];
        /// The box with the OS, like `rancheros`. With it, `gen` writes `media/Vagrantfile`.
        pub box_name: Given<BoxName>,
        /// The box's version. Default: any.
        pub box_version: Given<BoxVersion>,
    }
}

record! {
    /// Settings of all nodes, a role, a group or a node. From weak to strong: the release line,
    /// `defaults`, `roles`, `groups`, `nodes`.
    pub struct Settings {
        /// The processor: `amd64` (default) or `arm64`.
        pub arch: Given<Arch>,
        /// The network interface with the node's address, like `eth1`, or a bond, a bridge or a VLAN
        /// that `interfaces` declares. Without it, the node's `mac` selects the interface; without both,
        /// it is `eth0` or, with `address: dhcp`, the one with the default route.
        pub interface: Given<Interface>,
        /// Further interfaces, which get an address by DHCP: `eth0`, `eth*`, `mac=52:54:00:12:34:56`. By
        /// default, the OS configures only the node's own interface.
        pub dhcp: List<InterfacePattern>,
        /// Further interfaces by name, with their addresses and routes; bonds, bridges and VLANs; and
        /// what the node's own interface has in addition to `address`.
        pub interfaces: Map<InterfaceSettings>,
        /// The disk with the OS, or with the state of a machine that boots from the network, like
        /// `/dev/sda`. Without one, such a machine runs in memory and keeps nothing.
        pub disk: Given<DiskPath>,
        /// Whether a machine that boots from the network or a boot ISO installs the OS on `disk`,
        /// once, and reboots into it. Default false: the OS runs from the boot medium, with its
        /// state on `disk`.
        pub install: Given<Flag>,
        /// The kernel's console in addition to the screen, like `ttyS0,115200n8`.
        pub console: Given<Console>,
        /// Further kernel parameters, for network boot, boot ISOs and installs.
        pub kernel_args: List<KernelArg>,
        /// Memory of a virtual machine, in MiB. Default 4096 with the control plane, otherwise 2048.
        pub memory: Given<Memory>,
        /// Processors of a virtual machine. Default 2.
        pub cpus: Given<Cpus>,
        /// Kubernetes labels.
        pub labels: Map<Given<LabelValue>>,
        /// Kubernetes taints, `KEY[=VALUE]:EFFECT`, set when the node registers. Change them later
        /// with `kubectl taint`: a node may not taint itself.
        pub taints: List<Taint>,
        /// Public ssh keys that may log in as `rancher`.
        pub ssh_keys: List<SshKey>,
        /// Changes to remuda's own components: etcd, flannel, kube-apiserver, …
        pub components: Map<Component>,
        /// Your own services. An entry with the name of a service of remuda or the OS changes that service.
        pub services: Map<Service>,
        /// Your own files, by path.
        pub files: Map<File>,
        /// User Docker's settings.
        pub docker: Docker,
        /// Kernel parameters.
        pub sysctl: Map<Given<Text>>,
        /// Kernel modules to load.
        pub modules: List<Text>,
        /// `rancher.environment`: variables that services look up.
        pub environment: Map<Given<Text>>,
        /// Keys of the OS's own cloud-config that have no key here: `{runcmd: […], rancher: {…}}`.
        pub os: Os,
    }
}

record! {
    /// Changes to a component.
    pub struct Component {
        hints: &[("extra_args", "write `args`, a mapping: `v: 2`"), ("flags", "write `args`, a mapping: `v: 2`")];
        /// Command-line flags without their dashes: `v: 2`. `~` removes one of remuda's.
        pub args: Map<Given<Text>>,
    }
}

record! {
    /// A group of nodes.
    pub struct Group {
        /// The nodes' role.
        pub role: Given<Role>,
        /// The nodes' roles, if they have several.
        pub roles: List<Role>,
        /// `dhcp`: the nodes learn their addresses when they boot.
        pub address: Given<ByDhcp>,
        ..settings: Settings,
    }
}

record! {
    /// A node, or the nodes of a range.
    pub struct NodeDecl {
        /// The node's role: `control-plane`, `worker` or `etcd`.
        pub role: Given<Role>,
        /// The node's roles, if it has several.
        pub roles: List<Role>,
        /// The node's group, whose settings it gets.
        pub group: Given<Name>,
        /// The node's address in `network.nodes`; for a range, the first node's, which is then
        /// counted up. Or `dhcp`: the node learns its address when it boots, and flannel leases its
        /// subnet of `network.pods`. The IPv6 address has, by default, the same number in its network as the
        /// IPv4 address in its own.
        pub address: Families<Address, Ipv6>,
        /// The MAC address of the node's network card; for a range, the first node's, which is then counted up.
        pub mac: Given<Mac>,
        /// The machine's serial number, which also identifies it at network boot.
        pub serial: Given<Serial>,
        /// The machine's UUID, which also identifies it at network boot.
        pub uuid: Given<Uuid>,
        ..settings: Settings,
    }
}

record! {
    /// A file on the node.
    pub struct File {
        hints: &[("mode", "write `permissions`, like \"0644\""), ("text", "write `content`")];
        /// The file's content.
        pub content: Given<FileContent>,
        /// How `content` is written here: `base64` if it isn't text.
        pub encoding: Given<Encoding>,
        /// The file's mode. Default "0644".
        pub permissions: Given<Mode>,
        /// `USER:GROUP`. Default root.
        pub owner: Given<Text>,
        /// The service that writes the file: one on the OS's own base image, or `console`. By
        /// default, remuda chooses one that sees the path.
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
        /// Whether containers keep running while dockerd restarts.
        pub live_restore: Given<Flag>,
    }
}

/// Add-ons by name, each with its settings. Their names and types are the add-ons' own: `line` checks them.
pub type AddOns = Map<Map<Given<AddOnSetting>>>;

/// Why a profile must not contain secrets.
pub const INTO_GIT: &str = "the profile and the files generated from it go into git, where everybody with the repository can read them";

/// Reads a profile. `None` if it isn't YAML. Other mistakes are in `found`; the profile then has
/// whatever could be read.
pub fn read(sources: &mut Sources, name: &str, text: String, found: &mut Diagnostics) -> Option<Profile> {
    let source: SourceId = sources.add(name, text, true);
    found.allow(source, &sources.get(source).text);
    let tree = yaml::parse(&sources.get(source).text, source, found)?;
    let mut profile = Profile::default();
    profile.fill(&tree, &mut Reader { found, templates: false });
    Some(profile)
}

/// The JSON schema of a profile, for editors. That of `addons` is theirs.
pub fn schema(addons: &serde_json::Value) -> serde_json::Value {
    let mut schema = schemars::schema_for!(Profile).to_value();
    let own = addons.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
    if let Some(field) = schema.pointer_mut("/properties/addons").and_then(serde_json::Value::as_object_mut) {
        field.retain(|key, _| key == "description" || key == "default");
        field.extend(own);
    }
    schema
}
