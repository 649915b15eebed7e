//! The table of codes: each with its severity, its name and its explanation, by area.
//!
//! The comments are what `remuda explain CODE` prints and what docs/diagnostics.md has: what the code means, in a
//! sentence; what that does on a node; how to fix it. `tests/diagnostics/AREA/CODE.yaml` is the example.

use super::Severity;
use super::code::{Explanation, codes, example};

/// Codes about one thing.
#[derive(Debug)]
pub struct Area {
    /// Its folder in tests/diagnostics.
    pub name: &'static str,
    /// Its heading in the reference.
    pub title: &'static str,
    /// Its codes.
    pub codes: &'static [Code],
}

impl Code {
    /// All codes, in the order of the reference.
    pub fn all() -> impl Iterator<Item = Self> {
        AREAS.iter().flat_map(|area| area.codes).copied()
    }

    /// Whether a profile may say, by a comment, that it is meant: warnings, and errors that somebody can want.
    pub fn may_be_allowed(self) -> bool {
        self.severity() == Severity::Warning && self != Self::UnusedAllow || self == Self::OpensCluster
    }

    /// The code of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::all().find(|code| code.name() == name)
    }
}

codes! {
    "yaml": "YAML: keys, values and tags" {
        /// The text is not YAML.
        ///
        /// Nothing can be read of it, so nothing else is checked. RancherOS drops a config that it
        /// can't read with no more than a line in its log, and the node boots without it.
        ///
        /// Look at the indentation, quotes and brackets at the marked place and on the line above
        /// it. A missing closing bracket is often noticed many lines later.
        Error Yaml = "yaml";

        /// The source has nothing in it.
        ///
        /// A profile needs at least a cluster name, a target, a release line, a node network and
        /// one node. An empty service in a release line would be worse: the OS's reader panics on
        /// one.
        ///
        /// Start from one of the profiles in profiles/, or take the file out.
        Error Empty = "empty";

        /// The source has more than one YAML document.
        ///
        /// One profile describes one cluster. If the documents after `---` were ignored, the nodes
        /// in them would be missing without a message.
        ///
        /// Make a file of each document, or remove the `---`.
        Error SecondDocument = "second-document";

        /// A mapping has the same key twice.
        ///
        /// YAML readers disagree on which of the two counts, so another tool may see another
        /// cluster than remuda.
        ///
        /// Keep one of the two. If both have content, move it below one key.
        Error DuplicateKey = "duplicate-key";

        /// A list has the same item twice.
        ///
        /// The OS's schema wants the items of its lists unique and refuses a config with the same
        /// one twice.
        ///
        /// Keep one of them. If a weaker level says it too, `!override […]` replaces that level's
        /// list.
        Error DuplicateItem = "duplicate-item";

        /// A YAML merge key (`<<`) is used.
        ///
        /// The node's YAML reader doesn't know merge keys and would take `<<` for an ordinary key.
        /// remuda doesn't read them either, so that a profile means the same everywhere.
        ///
        /// Put what nodes share under `defaults`, `roles` or `groups`. Plain anchors and aliases
        /// work.
        Error MergeKey = "merge-key";

        /// A YAML tag has no meaning at this place.
        ///
        /// remuda knows two tags: `!override` before a list or mapping replaces what weaker levels
        /// say instead of adding to it, and `!template` before a text renders it for each node. A
        /// tag that was ignored would leave nodes with something else than you wrote.
        ///
        /// Remove the tag, or move it to the list, mapping or text that it is for.
        Error UnknownTag = "unknown-tag";

        /// A plain word is something else than text to a YAML 1.1 reader.
        ///
        /// The node reads YAML 1.1, where `yes`, `on`, `0644`, `1e3` and `12:30` are booleans and
        /// numbers. It would get another value than you see, or drop its whole config over the
        /// wrong type.
        ///
        /// Put the text in quotes. For a boolean or a number where text is expected, quote it too:
        /// `"true"`, `"17"`.
        Error Yaml11 = "yaml-1.1";
    }

    "profile": "Keys and values of the profile" {
        /// There is no such key at this place.
        ///
        /// Most often it is a typing mistake, or is a level too high or too low. The OS ignores
        /// keys that it doesn't know, so a mistyped `restart` would only show when a service stays
        /// down.
        ///
        /// Write the key that the message suggests, or look it up in docs/profile.md. `remuda
        /// schema` gives editors the list.
        Error UnknownKey = "unknown-key";

        /// A comment `# remuda: allow CODE` acknowledges nothing.
        ///
        /// A warning that is read and meant is acknowledged where it stands, by a comment behind
        /// it, on a line of its own above it, or at the profile's head if the warning points to no
        /// line. One that covers nothing would hide a later warning that nobody has read.
        ///
        /// Remove the comment, or move it to the line that the warning points to. Errors can't be
        /// acknowledged, except those whose explanation says so.
        Warning UnusedAllow = "unused-allow";

        /// A key that the profile can't do without is missing.
        ///
        /// What it says can't be guessed, and a default would be wrong for most clusters.
        ///
        /// Add the key, as the message shows it.
        Error MissingKey = "missing-key";

        /// A value has another type than its key takes.
        ///
        /// On a node, one value of the wrong type anywhere makes the OS drop the whole config: it
        /// boots without its services, its address and your SSH keys.
        ///
        /// Write what the message expects. docs/profile.md lists the type of each key.
        Error WrongType = "wrong-type";

        /// A value has the right type but not the right form.
        ///
        /// Docker, dockerd, a component or the OS would refuse the value, mostly with no more than
        /// a line in a log on the node: the service never starts, or the setting has no effect.
        ///
        /// Write the value in the form that the message describes.
        Error InvalidValue = "invalid-value";

        /// A name has a form or characters that it can't have.
        ///
        /// Names become host names, service names, paths and flags. One that its reader refuses
        /// takes away what it names: a service that isn't started, a file that is written
        /// elsewhere, a kernel parameter that isn't set.
        ///
        /// Choose a name of the form that the message describes.
        Error InvalidName = "invalid-name";

        /// A text would not arrive on the node as it is written.
        ///
        /// The node reads its config, writes it again and reads the result. On the way, `null` and
        /// `~` become empty even in quotes, anything but printable ASCII makes the writer fail so
        /// that the whole config is lost, and `$private_ipv4` and its like are replaced in the raw
        /// text.
        ///
        /// Put the text into a file under `files`: file contents are sent as base64 where they need
        /// it. For a node's address, use `!template` with `{{ node.address }}`.
        Error UnfitValue = "unfit-value";

        /// Something is larger than a node or remuda can take.
        ///
        /// The limits are far above what a cluster needs. They keep a short text with many aliases
        /// from growing to gigabytes, and a node's config small enough to be read at boot.
        ///
        /// Split it: two clusters instead of one with too many nodes, a component image instead of
        /// a file of many megabytes.
        Error TooLarge = "too-large";

        /// Something in the profile changes nothing.
        ///
        /// It is for something that this cluster doesn't have, or takes away what isn't there. You
        /// probably expect something of it that doesn't happen on any node.
        ///
        /// Remove it, or move it to where it has an effect.
        Warning NoEffect = "no-effect";

        /// The profile names a target that remuda doesn't know.
        ///
        /// The target says which OS the nodes run. It decides how their configs are written, so
        /// nothing can be made without it.
        ///
        /// Use one of the targets that the message names.
        Error UnknownTarget = "unknown-target";

        /// The profile names a release line that doesn't exist.
        ///
        /// A release line is the folder with a Kubernetes minor's components, services and files.
        /// Without it there is nothing to put on a node.
        ///
        /// Use one of the lines that the message names. For a line of your own, give its folder
        /// with `--templates DIR`.
        Error UnknownLine = "unknown-line";

        /// No add-on has this name.
        ///
        /// remuda has its add-ons, and those of a folder that `--templates` names.
        ///
        /// Use one of those that the message lists, or one of your own: docs/addons.md.
        Error UnknownAddon = "unknown-addon";

        /// The add-on needs another release line.
        ///
        /// The services of this line don't put add-ons into the cluster, or its Kubernetes doesn't have what the add-on's
        /// objects need. It would never run.
        ///
        /// Remove the add-on, or use a newer line.
        Error AddonNeeds = "addon-needs";

        /// The profile takes away an add-on that clusters usually have.
        ///
        /// When a control-plane node boots with the new config, it removes the add-on's objects from the cluster. What
        /// relied on them fails at once: without `dns`, no pod finds anything by name.
        ///
        /// Remove the `~`. If something else does the add-on's work, acknowledge it: `# remuda: allow addon-off`.
        Warning AddonOff = "addon-off";

        /// A folder in which an add-on keeps data doesn't keep it.
        ///
        /// Folders such as /run and /tmp are empty after every boot. Pods see only those folders of the host that
        /// containerd and the kubelet mount: anything else is in their containers, and lost with them.
        ///
        /// Use a path that the disk keeps: below /opt, /home, /mnt or /media.
        Error AddonFolder = "addon-folder";

        /// A port that an add-on's pods take on nodes is somebody else's.
        ///
        /// A service of the node has it, or another add-on, or it is one of those that the API server gives to
        /// services of type NodePort. Whoever comes second fails, or gets no packets.
        ///
        /// Set the add-on's port to another one.
        Error AddonPort = "addon-port";

        /// The release line needs something that the target or a node doesn't have.
        ///
        /// Its components are built for certain processors, and need a kernel and a Docker of a
        /// certain age, and the cgroup hierarchy that they know. On another one, or on another
        /// processor, they exit as soon as they start or run no pods, on every node.
        ///
        /// Use another line, or one of the targets that the message names; for a processor, one of
        /// those that the line has components for.
        Error LineNeeds = "line-needs";

        /// The release line is from a time without security.
        ///
        /// Its components talk to each other without certificates. Whoever reaches the nodes'
        /// network can read and change everything in the cluster, and run programs on every node.
        ///
        /// Keep such a cluster on a network that nobody else is on, with nothing in it that
        /// matters. For anything else, use a line of today.
        Warning NoSecurity = "no-security";

        /// The target has no release yet but betas.
        ///
        /// What remuda knows of it is read from sources that still change. A node can behave
        /// differently than remuda expects, and differently after an upgrade of the OS.
        ///
        /// Use a target with a release for nodes that matter. On others, set `os_version` to the
        /// version that they run, and try the next one on a single node first.
        Warning BetaTarget = "beta-target";

        /// This version of the OS doesn't exist.
        ///
        /// Services on the OS's base image name it with its version. No node has the image, so the
        /// service that writes all files doesn't start, and nothing after it does.
        ///
        /// Write the version that `ros --version` prints on the node. Versions of another series
        /// belong to another target.
        Error NoOsVersion = "no-os-version";

        /// remuda doesn't know this version of the OS.
        ///
        /// Services on the OS's base image name it with its version. If that version isn't on the
        /// node, the service that writes all files doesn't start, and nothing after it does.
        ///
        /// Write the version that `ros --version` prints on the node. If it is newer than this
        /// remuda, and you know that it is right, leave it.
        Warning UnknownOsVersion = "unknown-os-version";
    }

    "templates": "Templates and release lines" {
        /// A text names a value of remuda's, but isn't a template.
        ///
        /// The node gets it with its braces: a program looks for a host called `{{ node.name }}`.
        ///
        /// Write the tag `!template` before the text. If the braces are meant for another program,
        /// acknowledge it: `# remuda: allow not-a-template`.
        Warning NotATemplate = "not-a-template";

        /// A file of the release line itself is wrong.
        ///
        /// This is about the folder of the release line, not about your profile: a file is missing
        /// in it, or one has something in it that remuda can't use. Every cluster of this line
        /// would be wrong in the same way.
        ///
        /// Fix the file that the message names. docs/adding-a-line.md describes what a release line
        /// contains. If the line is built in, please report it.
        Error Line = "line" without example;

        /// A template can't be rendered.
        ///
        /// It has a syntax error, uses a value that doesn't exist, or takes too long. Undefined
        /// values are errors so that a typing mistake can't put an empty address into a node's
        /// config.
        ///
        /// Correct the template at the marked place. docs/adding-a-line.md lists the values that
        /// templates can use.
        Error Template = "template";

        /// This value can't be a template.
        ///
        /// It is needed before anything is rendered for a single node: the start order of services,
        /// for example, is checked for all nodes of a kind together. It would be used as written,
        /// braces included.
        ///
        /// Write the value itself. If it differs between nodes, say so under `roles`, `groups` or
        /// `nodes`.
        Error NoTemplate = "no-template";

        /// A template needs a value that the node only learns when it boots.
        ///
        /// This node gets its address by DHCP. Its address, its pod subnet and the bridge's address
        /// are not known when its config is made.
        ///
        /// Use `node.name` or `node.host` instead, or put `{% if not node.is_dynamic %}` around it.
        /// A program on the node can find the address by itself.
        Error KnownAtBoot = "known-at-boot";
    }

    "nodes": "Nodes, roles and groups" {
        /// Settings are given for a role that doesn't exist.
        ///
        /// The roles are `etcd`, `control-plane` and `worker`. No node can have another one, so
        /// these settings would reach nobody.
        ///
        /// Correct the name, or use a group: `groups` can have any name.
        Error UnknownRole = "unknown-role";

        /// A node has no role.
        ///
        /// The role decides which services run on a node. Without one, it would boot and do
        /// nothing.
        ///
        /// Add `role: worker`, `role: control-plane` or `roles: […]` to the node or to its group.
        Error NoRole = "no-role";

        /// Both `role` and `roles` are given.
        ///
        /// They say the same thing in two ways, and nothing tells which of them counts. The node
        /// could get a control plane that you didn't want, or miss one.
        ///
        /// Keep `role` for one role or `roles` for several.
        Error ContradictingRoles = "contradicting-roles";

        /// No node has the role `control-plane`.
        ///
        /// Without an API server no node can register and no pod can be started.
        ///
        /// Give at least one node `role: control-plane`, or `roles: [control-plane, worker]` if it
        /// runs pods too.
        Error NoControlPlane = "no-control-plane";

        /// A node is in a group that isn't declared.
        ///
        /// The node would miss all settings of the group that you meant, perhaps its disk or its
        /// labels.
        ///
        /// Correct the name, or declare the group under `groups`.
        Error UnknownGroup = "unknown-group";

        /// No node is in this group.
        ///
        /// Its settings reach no node. If some nodes were meant to be in it, they boot without
        /// them.
        ///
        /// Add `group: NAME` to its nodes, or remove the group.
        Warning UnusedGroup = "unused-group";

        /// Two nodes have the same name.
        ///
        /// Kubernetes and etcd know a node by its name. Of two with the same one, each would
        /// overwrite the other's state, and there is only one config for both.
        ///
        /// Give each node its own name. A range such as `node-[01-03]` must not cover a name that
        /// is declared by itself.
        Error DuplicateName = "duplicate-name";

        /// Two nodes have the same UUID or serial number.
        ///
        /// At network boot a machine is recognised by it. Both machines would get the same config
        /// and be the same node twice.
        ///
        /// Write what each machine's own firmware says. A machine whose firmware says nothing
        /// useful can be recognised by its `mac`.
        Error DuplicateIdentity = "duplicate-identity";

        /// Several nodes of a range share one UUID or serial number.
        ///
        /// A UUID or serial number belongs to one machine and can't be counted up. At network boot
        /// that machine would be every node of the range.
        ///
        /// Declare these nodes one by one.
        Error IdentityOfRange = "identity-of-range";

        /// A node label has a form that Kubernetes refuses.
        ///
        /// The kubelet exits on such a label and is started again and again. The node never
        /// registers.
        ///
        /// Use a name such as `disk` or `example.com/disk`, and a value of at most 63 letters,
        /// digits, `-`, `_` and `.`.
        Error InvalidLabel = "invalid-label";

        /// A kubelet may not set this label on its own node.
        ///
        /// Kubernetes keeps most names under `kubernetes.io` and `k8s.io` for itself. The kubelet
        /// exits with "unknown 'kubernetes.io' or 'k8s.io' labels specified", and the node never
        /// registers.
        ///
        /// Use a name of your own or one under `node.kubernetes.io/`. Labels such as
        /// `node-role.kubernetes.io/worker` can be set with `kubectl label` once the node is there.
        Error ReservedLabel = "reserved-label";

        /// A node has the same taint twice.
        ///
        /// The API server wants each pair of key and effect once and refuses the node otherwise: it
        /// never registers.
        ///
        /// Keep one of them. To replace those that the release line sets, write `taints: !override
        /// […]`.
        Error DuplicateTaint = "duplicate-taint";

        /// A kernel parameter that pods need is changed.
        ///
        /// The release line turns on IP forwarding and the like. Without them the kernel passes no
        /// packets between pods, nodes and services, and everything looks healthy except that
        /// nothing can be reached.
        ///
        /// Remove the line. A parameter has several spellings: `net/ipv4/ip_forward` is the same as
        /// `net.ipv4.ip_forward`.
        Error DecidedSysctl = "decided-sysctl";

        /// A kernel parameter needs a module that isn't loaded.
        ///
        /// Parameters below `net.bridge` exist only while the module `br_netfilter` is loaded. The
        /// OS logs that it couldn't set the parameter, and goes on without it.
        ///
        /// Add `modules: [br_netfilter]` where the parameter is set.
        Error SysctlModule = "sysctl-module";
    }

    "network": "Addresses, networks and the API's endpoint" {
        /// A node has no address.
        ///
        /// Certificates, etcd's list of members and the routes of the others all say where a node
        /// is, so its address must be known before it boots.
        ///
        /// Add `address: ADDRESS`. If the node gets its address by DHCP, say so with `address:
        /// dhcp`; docs/dynamic.md describes what else such a cluster needs.
        Error NoAddress = "no-address";

        /// A node's address is not a machine's address in the node network.
        ///
        /// The other nodes have no route to it, and its certificate is for an address at which it
        /// can't be reached. The network's first and last address belong to no machine.
        ///
        /// Use an address inside `network.nodes`, or correct `network.nodes`.
        Error AddressOutside = "address-outside";

        /// A node has the gateway's address.
        ///
        /// Two machines would answer for one address. Traffic to the outside ends at the node, and
        /// traffic to the node at the gateway, in turns.
        ///
        /// Give the node another address, or correct `network.gateway`.
        Error AddressIsGateway = "address-is-gateway";

        /// Two nodes have the same address.
        ///
        /// Whichever of them answered last gets the traffic of both. etcd and the API are reached
        /// on one machine now and on the other a moment later.
        ///
        /// Give each node its own address. A range of nodes counts its first address up, so it may
        /// run into a later node's.
        Error DuplicateAddress = "duplicate-address";

        /// Two nodes have the same MAC address.
        ///
        /// The MAC address tells which machine is which node, at network boot and when the OS
        /// chooses the interface. Both machines would boot as the same node.
        ///
        /// Write each machine's own MAC address. A range of nodes counts its first one up, so it
        /// may run into a later node's.
        Error DuplicateMac = "duplicate-mac";

        /// A node that others must find gets its address by DHCP and has no name that follows it.
        ///
        /// The other nodes must be told where etcd and the API are, and their certificates must say
        /// so. A certificate for any address would let every machine on the network pass for this
        /// node.
        ///
        /// Give the node a fixed address. Or set `network: {node_domain: DOMAIN}`, if your DNS or
        /// DHCP server sees to it that NODE.DOMAIN always is its address.
        Error DhcpWithoutName = "dhcp-without-name";

        /// Two of the cluster's networks overlap.
        ///
        /// An address that lies in both is sent to the wrong place: depending on the address, pods,
        /// services or whole nodes can't be reached.
        ///
        /// Choose networks for nodes, pods and services that share no address.
        Error NetworkOverlap = "network-overlap";

        /// A network overlaps one that the OS uses for itself.
        ///
        /// The bridge of system-docker, for example, is at 172.18.42.1/16. A node whose network
        /// contains an address of its own bridge can't reach the machines there, and may never come
        /// up.
        ///
        /// Choose another network.
        Error ReservedNetwork = "reserved-network";

        /// The pod network is too small for its nodes.
        ///
        /// Every node gets its own part of the pod network. flannel also wants room for at least
        /// four parts, leaves out the first and exits if there are fewer. A node without its part
        /// runs no pods.
        ///
        /// Use a larger pod network, or a larger `node_prefix`, which makes each node's part
        /// smaller.
        Error PodNetworkSmall = "pod-network-small";

        /// The IPv6 network of the pods is too large for `backend: none`.
        ///
        /// Without flannel, kube-controller-manager gives each node its part of the pod network. Of IPv6 it manages at most
        /// 65,536 parts (pkg/controller/nodeipam), and exits if there are more.
        ///
        /// Use a smaller `node_prefix`, which makes each node's part larger, or a smaller pod network.
        Error PodNetworkLarge = "pod-network-large";

        /// Something is of IPv6 in a cluster that has IPv4 elsewhere.
        ///
        /// Nodes, pods and services have IPv6 together or not at all: a pod without an address of IPv6 reaches no
        /// service of it, and a node without one has no way to the pods of others.
        ///
        /// Give `network.nodes`, `network.pods` and `network.services` a list of two networks each, the one of
        /// IPv4 first; or remove what is of IPv6.
        Error OneFamily = "one-family";

        /// The cluster's networks are of both families, and its nodes can't have IPv6.
        ///
        /// Pods get their second address from containerd's network plugins, and nodes from the profile: user Docker has
        /// no such plugins, and DHCP gives the OS an address of IPv4 only.
        ///
        /// Use a line whose pods run in containerd and nodes with fixed addresses, or only IPv4.
        Error NoDualStack = "no-dual-stack";

        /// The pods' MTU is too small for IPv6.
        ///
        /// The kernel turns IPv6 off on an interface with an MTU below 1280: pods would have one address.
        ///
        /// Use a larger `network.mtu`.
        Error Ipv6Mtu = "ipv6-mtu";

        /// The release line or the nodes' kernel doesn't have the backend of the pod network.
        ///
        /// WireGuard needs Linux 5.6 or newer, built with it. A network plugin of your own needs a line
        /// whose pods run in containerd. docs/pod-network.md has a table.
        ///
        /// Use a backend that the message names, or another line or target.
        Error NoBackend = "no-backend";

        /// The profile has `backend: none`, and no manifests with a network plugin.
        ///
        /// Without flannel, a node becomes Ready when a network plugin has written its config on it. Until
        /// then only pods on their nodes' network run.
        ///
        /// Name the plugin's manifest in `manifests.files`, or remove `backend: none`. If you apply the
        /// plugin yourself, acknowledge it: `# remuda: allow no-network-plugin`.
        Warning NoNetworkPlugin = "no-network-plugin";

        /// The service network has no room for the addresses that every cluster needs.
        ///
        /// Its first address is the API's and its tenth the cluster DNS's. If there are hardly
        /// more, new services get no address.
        ///
        /// Use a prefix length of 28 or less; 16 is usual.
        Error ServiceNetworkSmall = "service-network-small";

        /// The service network is larger than kube-apiserver takes.
        ///
        /// kube-apiserver exits when the prefix length of `--service-cluster-ip-range` is below 12,
        /// and without it nothing works.
        ///
        /// Use a prefix length of 12 or more; 16 is usual.
        Error ServiceNetworkLarge = "service-network-large";

        /// The cluster's DNS address can't be a service's address.
        ///
        /// Pods are told to ask this address for every name. If no service can have it, because it
        /// is outside the service network or is the API's own, no name is ever found in a pod.
        ///
        /// Use an address inside the service network that isn't one of the first two, or leave
        /// `dns` out: the default fits.
        Error DnsAddress = "dns-address";

        /// A server that nodes need is at an address where they find only themselves.
        ///
        /// Name servers, registries and other servers are needed before flannel and kube-proxy run,
        /// so nothing answers at an address of pods or services. Docker's own networks are routed to
        /// the node's bridges, and loopback addresses to the node itself.
        ///
        /// Use the address that the server has in the nodes' network or outside. Pods are told of the
        /// cluster's DNS by `network.dns`.
        Error ServerInside = "server-inside";

        /// The only node would fetch its images from itself.
        ///
        /// Nothing on it serves them before they are there: nothing would start.
        ///
        /// Serve them from another machine, or use `delivery: preload`.
        Error ImagesFromItself = "images-from-itself";

        /// The server of the images is one of the nodes.
        ///
        /// After a power cut at the site the nodes wait for one that may wait for its own images.
        ///
        /// Serve from a machine outside the cluster. If the node serves without images of the
        /// cluster, acknowledge it: `# remuda: allow images-from-node`.
        Warning ImagesFromNode = "images-from-node";

        /// Search domains are set without name servers.
        ///
        /// The OS then writes /etc/resolv.conf from the config only. It has the search domains, but
        /// neither the name servers that DHCP announces nor the OS's default ones: no name is found
        /// on the node.
        ///
        /// Set `network.nameservers` too, or remove `search`.
        Error NoNameservers = "no-nameservers";

        /// A proxy is set among the variables of services.
        ///
        /// The OS looks these variables up for user Docker and the console. system-docker, which
        /// pulls the images of all other services, has its proxy from another place.
        ///
        /// Use `network: {proxy: {http: URL}}`, which reaches both engines.
        Warning ProxyInEnvironment = "proxy-in-environment";

        /// etcd asks its discovery service without the proxy.
        ///
        /// The proxy is for the engines. etcd and its start script open connections of their own; if
        /// these reach nothing outside, no member of etcd ever starts.
        ///
        /// Use a discovery service in the nodes' network and add its host to
        /// `network.proxy.no_proxy`, or do without discovery.
        Warning DirectDiscovery = "direct-discovery";

        /// A bond, a bridge or a VLAN is used that nothing on the node makes.
        ///
        /// The OS makes those that its config declares, with their members or their parent. What it
        /// doesn't make gets no address, and what relies on it has no network.
        ///
        /// Declare it in `interfaces`, complete: a bond and a bridge with `members`, a VLAN as
        /// `PARENT.NUMBER` or with `vlan: {id: …, parent: …}`.
        Error UndeclaredInterface = "undeclared-interface";

        /// The network of a further interface overlaps another network.
        ///
        /// A machine reaches a network through one interface only. Packets to the other one's
        /// addresses leave in the wrong place, or never leave the node.
        ///
        /// Use a network that neither the cluster, another interface nor the OS uses.
        Error InterfaceNetwork = "interface-network";

        /// A VLAN has a larger MTU than its parent.
        ///
        /// The kernel refuses it. The OS then stops before it brings the VLAN up, so the VLAN stays
        /// down.
        ///
        /// Use a smaller `mtu`, or a larger one for the parent.
        Error InterfaceMtu = "interface-mtu";

        /// A gateway is not an address in a network of its interface.
        ///
        /// The kernel refuses a gateway that it can't reach directly. The node would not have the
        /// route: without a default route, nothing outside the node network could be reached.
        ///
        /// Use an address inside `network.nodes`, or, for a gateway of another interface, inside one of
        /// its networks.
        Error GatewayOutside = "gateway-outside";

        /// The nodes have no default route.
        ///
        /// Each boot waits 20 s for a default route. Without one, nothing outside the node network
        /// can be reached, and programs on the node itself can't reach services.
        ///
        /// Set `network.gateway`, or let another interface get its address, and with it the route,
        /// by `dhcp`.
        Warning NoDefaultRoute = "no-default-route";

        /// What is set for an interface contradicts itself.
        ///
        /// The OS has one entry for an interface and silently drops what doesn't go with the rest of
        /// it: an address beside DHCP, a member's own settings, a second default gateway. The node
        /// then has another network than its certificates and the other nodes say.
        ///
        /// Keep one of the two settings, as the message says. Under `dhcp`, list only other interfaces
        /// than the node's own, which is `interface: NAME`, or `eth0`.
        Error ContradictingInterfaces = "contradicting-interfaces";

        /// A kubelet takes more pods than its node has addresses for.
        ///
        /// The scheduler goes by the kubelet's number. Pods beyond the last address are placed on
        /// the node and wait there indefinitely.
        ///
        /// Use a smaller `node_prefix`, or set the kubelet's `max-pods` to what there is room for.
        Warning FewPods = "few-pods";

        /// Several control-plane nodes have no common endpoint.
        ///
        /// All nodes would use the API of the first one. While that node is down, nothing in the
        /// cluster can be changed and its nodes become NotReady, although the other API servers
        /// run.
        ///
        /// Set `api: {vip: ADDRESS}` to a free address that the control-plane nodes then hold
        /// themselves, or `api: {endpoint: ADDRESS}` to an address or name of a load balancer in
        /// front of all of them.
        Warning NoEndpoint = "no-endpoint";

        /// The endpoint is one of several control-plane nodes.
        ///
        /// While this one node is down, nothing in the cluster can be changed and its nodes become
        /// NotReady, although the other API servers run.
        ///
        /// Use an address or name of a load balancer, or a virtual address that moves between the
        /// nodes.
        Warning SingleEndpoint = "single-endpoint";

        /// The line's nodes can't hold the API's address themselves.
        ///
        /// Nothing on them would answer for it, so no node would find the API.
        ///
        /// Use `endpoint` with an address that a load balancer owns, or a line with containerd.
        Error VipLine = "vip-line";

        /// A node that is to hold the API's address learns its own address when it boots.
        ///
        /// The nodes that hold the address in turn talk to each other by their own addresses.
        /// Without these, two would hold it at once, and connections would break at random.
        ///
        /// Give the control-plane nodes addresses.
        Error VipDynamic = "vip-dynamic";

        /// The API's moving address is one that no node can hold.
        ///
        /// It belongs to another machine, or isn't one of the nodes' network. Two machines would
        /// answer for it, or none.
        ///
        /// Use an address of the nodes' network that no machine has and no DHCP server gives.
        Error VipAddress = "vip-address";

        /// The endpoint is inside the pod or service network.
        ///
        /// Nodes need the API before pods and services have addresses, and no load balancer outside
        /// the cluster can have an address in there. No node would find the API.
        ///
        /// Use an address that your load balancer has in the nodes' network or outside.
        Error EndpointInside = "endpoint-inside";

        /// The endpoint is an address or name at which no API server can be.
        ///
        /// It is the gateway, the network's own address, `localhost`, an address that the OS uses
        /// for itself, or a mistyped node name that would be taken for a DNS name. No node could
        /// register.
        ///
        /// Use the name of a control-plane node, or an address or full DNS name of your load
        /// balancer.
        Error EndpointNowhere = "endpoint-nowhere";

        /// The endpoint is a node that has no API server.
        ///
        /// The API server runs on control-plane nodes only. Every node would try to register at one
        /// that refuses the connection.
        ///
        /// Use a control-plane node or your load balancer, or give this node the role
        /// `control-plane`.
        Error EndpointNotControlPlane = "endpoint-not-control-plane";
    }

    "etcd": "etcd" {
        /// The line saves no snapshots of etcd.
        ///
        /// Its etcd has no service that does it, so there would be no backup when it is needed.
        ///
        /// Remove `etcd.snapshots`, and copy the data folder of a member that is switched off.
        Error NoSnapshots = "no-snapshots";

        /// etcd has an even number of members.
        ///
        /// etcd needs more than half of its members. Four survive the loss of one, no more than
        /// three do, and have one more machine that can fail; two survive no loss at all.
        ///
        /// Use one, three or five.
        Warning EvenEtcd = "even-etcd";

        /// etcd has more members than are of use.
        ///
        /// Every write waits for more than half of the members. Beyond five, each further member
        /// costs speed and adds safety that hardly anyone needs.
        ///
        /// Use three or five; other control-plane nodes can do without the role `etcd`.
        Warning ManyEtcd = "many-etcd";

        /// etcd's data folder is emptied at every boot.
        ///
        /// Folders such as /run and /tmp lie in memory. After a reboot the member comes back
        /// without its data; when all have rebooted, the cluster has lost all of its objects.
        ///
        /// Use a path on the state partition, such as /var/lib/etcd.
        Error VolatileEtcd = "volatile-etcd";

        /// A member of etcd boots from the network and has no disk.
        ///
        /// Everything it keeps is in memory and is gone when it is switched off. A single member
        /// loses the whole cluster that way. One of three comes back empty, and the others refuse
        /// it.
        ///
        /// Add `disk: /dev/sda` to the node. If the machine finds its disk by itself, because it
        /// was formatted before, you can leave it.
        Warning EtcdInMemory = "etcd-in-memory";

        /// A founder of etcd isn't a member of it.
        ///
        /// The founders count each other when the cluster first starts. They would wait for a node
        /// that doesn't exist, or that doesn't run etcd.
        ///
        /// Name nodes with etcd. If a founder has left a cluster that runs, write `founders: []`:
        /// the others stay in it, and nodes without data join it.
        Error UnknownFounder = "unknown-founder";

        /// Founders are given where nobody would ask for them.
        ///
        /// With a discovery service, the first nodes that come to it found the cluster. On a
        /// release line whose etcd is older than 3.4, all members found it together, because no
        /// node can join later without being counted at once.
        ///
        /// Remove `founders`, or `bootstrap`.
        Error MisplacedFounders = "misplaced-founders";

        /// etcd's founders aren't those of the out tree.
        ///
        /// The nodes that were made from the tree run a cluster, or will. A node that counts as a
        /// founder but isn't in that cluster makes a second one, alone or with others like it: both
        /// are healthy, each has half of the truth, and no message says so. This is what happens
        /// when one control-plane node becomes three.
        ///
        /// Write the founders of the tree, as the message has them: further members join the
        /// cluster by themselves. If one of the founders has left the cluster, write `founders:
        /// []`. docs/members.md describes growing, replacing and shrinking. Where no node has ever
        /// booted from the tree, delete the cluster's folder in it, and its founders are what the
        /// profile says.
        Error OtherFounders = "other-founders";

        /// A restore that can't be.
        ///
        /// The member that restores a snapshot makes a new cluster with itself as the only member, and all others
        /// join it. Two that restore would be two clusters, both healthy. A discovery service would choose
        /// founders by itself, and on a release line whose etcd is older than 3.4 no node can join later.
        ///
        /// Name one member, and remove `bootstrap` and `founders`.
        Error MisplacedRestore = "misplaced-restore";

        /// The profile says that a snapshot of etcd is restored.
        ///
        /// That is right while a lost cluster is brought back. The member restores only if a majority of the
        /// members has no data, and nobody has any. If that happens again a year later, an old
        /// state would come back, without a word.
        ///
        /// Once the cluster runs, write `founders: [NAME]` in place of `restore`. docs/backup.md has the steps.
        Warning RestoreStays = "restore-stays";

        /// The discovery service waits for more members than can come.
        ///
        /// etcd forms its cluster when `size` members have asked the discovery service. Those that
        /// came would wait for the others indefinitely.
        ///
        /// Use a smaller `size`, or give more nodes the role `etcd`.
        Error DiscoverySize = "discovery-size";

        /// The lock has no discovery token for this cluster.
        ///
        /// A token is for one cluster, once. Without one the members wait indefinitely; with
        /// another cluster's they try to join that one.
        ///
        /// Run `remuda discovery new PROFILE` and commit the lock.
        Error NoDiscoveryToken = "no-discovery-token";
    }

    "services": "Services" {
        /// The engine chooses the port of the node.
        ///
        /// `ports: [80]` publishes port 80 of the container at a port of the node that nobody
        /// knows, and that is another one each time the container is made.
        ///
        /// Write `HOST:CONTAINER`, like `8080:80`. Without a need from outside the node, use
        /// `expose`, or nothing.
        Warning RandomPort = "random-port";

        /// A published port is one that Kubernetes gives to services of type NodePort.
        ///
        /// kube-proxy takes the packets as soon as a service gets this port, and the program of
        /// yours gets none. It may happen years later.
        ///
        /// Use a port outside the range, which is 30000-32767 unless kube-apiserver is told
        /// otherwise.
        Warning NodePort = "node-port";

        /// Kubernetes would give services ports that the nodes' own programs take.
        ///
        /// When a service gets such a port, kube-proxy takes the packets for it on every node, and
        /// what listens there isn't reached any more: the API server, etcd or a kubelet.
        ///
        /// Use another `service-node-port-range` of kube-apiserver, like 30000-32767.
        Error NodePortRange = "node-port-range";

        /// A volume is a folder of the container, not of the node.
        ///
        /// `volumes: [/opt/www]` doesn't mount the node's /opt/www. The engine makes an empty
        /// folder each time the container is made, as at a new config, and keeps all old ones.
        ///
        /// Write `HOST:CONTAINER`, like `/opt/www:/opt/www`.
        Warning AnonymousVolume = "anonymous-volume";

        /// A service depends on one that isn't on its node.
        ///
        /// The OS drops such a dependency without a message. With `io.rancher.os.after` the service
        /// starts at once instead of waiting; with `links` or `net: container:…` it can't be
        /// created at all.
        ///
        /// Correct the name. `remuda explain NODE` lists the services of a node; the service may
        /// run only on nodes of another role.
        Error UnknownService = "unknown-service";

        /// Services start after one another in a circle.
        ///
        /// The OS reports "Cycle detected" and starts none of its services, or breaks the circle at
        /// a place of its own choice. Either way the node doesn't come up as meant.
        ///
        /// Remove one of the marked dependencies. A service in user Docker always starts after
        /// `docker`, and one whose image isn't on the node starts after `network`.
        Error ServiceCycle = "service-cycle";

        /// A service is never started, or needs the container of one that isn't running.
        ///
        /// Docker can't join the network or link of a container that isn't running. A container
        /// with `io.rancher.os.createonly` never runs, and a one-shot has exited when its
        /// dependents start.
        ///
        /// Name a service that keeps running, or remove `io.rancher.os.createonly`. Mounts can come
        /// from a container that doesn't run: `volumes_from`.
        Error NeverStarted = "never-started";

        /// The OS loses a part of a service's value on the way to the engine.
        ///
        /// The target's OS puts services into types that have no place for it: the mode of a mount
        /// other than `ro`, a range of ports in the container, a second address of a host's name.
        /// It says nothing, and the container runs without it.
        ///
        /// Write the value in one of the forms that arrive, which the message names, or use another
        /// target.
        Error LostValue = "lost-value";

        /// A service or container name belongs to another service.
        ///
        /// Two services of one name can't be told apart: the profile's would change the other
        /// instead of being added, or Docker refuses the second container of that name.
        ///
        /// Give your service another name.
        Error NameTaken = "name-taken";

        /// A service has no image.
        ///
        /// The OS skips a service that it can't load without a message, and starts the others.
        /// Nothing on the node shows that one is missing.
        ///
        /// Add `image: NAME:TAG`. If you meant to change a service of the line or of the OS,
        /// correct its name.
        Error NoImage = "no-image";

        /// A service is on the OS's base image and doesn't mount `ros`.
        ///
        /// The entrypoint of the base image is `ros entrypoint`, but `ros` isn't in the image: it
        /// comes from the host. Without it the container doesn't start.
        ///
        /// Add `volumes_from: [command-volumes]`.
        Error BaseWithoutRos = "base-without-ros";

        /// A one-shot has `restart: always`.
        ///
        /// The OS lets dependents go on after the one-shot has exited once, whatever its exit code,
        /// and the engine starts it again indefinitely.
        ///
        /// Remove `restart`, and let the program itself retry until it has succeeded. If it isn't a
        /// one-shot, remove the label `io.rancher.os.detach`.
        Warning OneShotRestarts = "one-shot-restarts";

        /// The OS has no label of this name.
        ///
        /// The OS ignores labels under `io.rancher.os` that it doesn't know. The service would
        /// start in the wrong engine or in the wrong order.
        ///
        /// Correct the name. For a label of your own, use another prefix.
        Error UnknownLabel = "unknown-label";

        /// A label by which remuda orders a service is changed.
        ///
        /// The labels decide the engine in which a service runs and what it waits for. With other
        /// ones, services would start before what they need is there.
        ///
        /// Remove the line. What you write in `io.rancher.os.after` or `io.rancher.os.before` is
        /// added to what the service waits for already.
        Error DecidedLabel = "decided-label";

        /// A key of one of the OS's own services is changed that must stay as it is.
        ///
        /// The node's own services, such as `network`, `console` and `docker`, start as the OS made
        /// them. With another image or command, the node doesn't come up, and nobody can log in to
        /// find out why.
        ///
        /// Remove the key. The message lists the keys that can be changed, such as `labels`,
        /// `environment` and `volumes`.
        Error DecidedKey = "decided-key";

        /// A key of a service of the line is changed that its program relies on.
        ///
        /// Components need the host's network, privileges or mounts to see the node, and others
        /// reach them through these. The service may start and then fail in ways that are hard to
        /// trace.
        ///
        /// Remove the key. If you need it, try it on one node first.
        Warning KeyReplaced = "key-replaced";

        /// The whole command of a service of the line is replaced.
        ///
        /// Every flag that remuda decides is lost: addresses, certificates, the cluster's networks.
        /// A later remuda can't add a flag to this command either.
        ///
        /// To change or add a flag, use `components: {NAME: {args: {FLAG: VALUE}}}`.
        Warning CommandReplaced = "command-replaced";

        /// Something is removed that others need.
        ///
        /// Services of the line read its files and wait for its services, and the OS's own services
        /// belong to the node. Without one of them, others wait indefinitely or start without what
        /// they need.
        ///
        /// Remove the line with `~`. A service that isn't needed can be made harmless with its
        /// settings instead.
        Error NotRemovable = "not-removable";

        /// A service of the OS would lose one of its mounts.
        ///
        /// `!override` replaces the OS's list of mounts. Its own services, and those on its base
        /// image, find their binaries and configs through these mounts: the node wouldn't come up.
        ///
        /// Leave `!override` out: what you list is added to the OS's mounts.
        Error OsMountsLost = "os-mounts-lost";

        /// Two mounts have the same place in a container.
        ///
        /// Docker refuses the container with "Duplicate mount point", and the service never starts.
        ///
        /// Keep one of them. `!override […]` replaces the mounts of weaker levels. For etcd's data,
        /// use `etcd: {data_dir: …}`.
        Error DuplicateMount = "duplicate-mount";

        /// A service keeps data in a folder that is emptied at every boot.
        ///
        /// /run, /tmp and the like are in memory. The data is gone after a reboot, which on a
        /// machine that runs for months is noticed late.
        ///
        /// Use a path on the state partition: below /opt or /var/lib.
        Warning VolatileData = "volatile-data";

        /// An environment variable has no value.
        ///
        /// A bare name, without `=`, is looked up in `rancher.environment` on the node. There is
        /// none of that name, so the variable would be empty or missing in the container.
        ///
        /// Write `NAME=VALUE`, or set the variable under `environment`.
        Warning EmptyVariable = "empty-variable";

        /// A command has a variable that no shell reads.
        ///
        /// The OS starts a program with its words as they are written. Only a shell replaces
        /// `$NAME`: without one, the program gets the text `$NAME` itself.
        ///
        /// Run the command in a shell (`[sh, -c, "exec PROGRAM $NAME"]`), or write the value with
        /// `!template`.
        Warning UnreadVariable = "unread-variable";

        /// A list arrives on the node in another order.
        ///
        /// The OS sorts a service's `dns` and `dns_search` as texts. The first name server is asked
        /// first, so the node would ask another one.
        ///
        /// Write the items in that order, or only the first.
        Warning SortedList = "sorted-list";

        /// A key contradicts the network that the container is on.
        ///
        /// A container on the host's or on another container's network has no host name, MAC
        /// address or DNS settings of its own. Docker refuses the combination, and the service
        /// never starts. With `net: none`, ports are accepted and never reached.
        ///
        /// Remove the key or change `net`.
        Error ContradictingNetwork = "contradicting-network";

        /// Ports are published for a container that has no network of its own.
        ///
        /// On the host's network the container listens on the node itself, and Docker ignores
        /// `ports` without a message. On another container's network, Docker refuses the container.
        ///
        /// Remove `ports`, and tell the program which port to use.
        Error PortsOnHostNetwork = "ports-on-host-network";

        /// A link has a container on the host's network at one end.
        ///
        /// Docker doesn't link such containers: the service would never start.
        ///
        /// Remove the link. A service on the host's network is reached at the node's address.
        Error LinksOnHostNetwork = "links-on-host-network";

        /// A service has no network at all on this target.
        ///
        /// The system-docker of BurmillaOS has no bridge. A container that doesn't ask for another
        /// network gets only a loopback interface: it can neither reach anything nor be reached.
        ///
        /// Write `net: host`. If the service really needs no network, write `net: none`.
        Warning NoNetwork = "no-network";

        /// Two services use the same port of a node.
        ///
        /// The second to start exits because the port is taken, and is started again and again.
        /// Which one that is can change from boot to boot.
        ///
        /// Give one of them another port. Components' ports belong to the line; the API's is
        /// `api.port`.
        Error PortClash = "port-clash";
    }

    "files": "Files" {
        /// A file has no content.
        ///
        /// A file without `content` may be a typing mistake or meant to be empty, and programs take
        /// the two passphrases differently.
        ///
        /// Add `content: …`. For an empty file, write `content: ""`.
        Error NoContent = "no-content";

        /// A file is given that remuda makes as key material.
        ///
        /// remuda derives keys and certificates from the seed and puts them only into sealed
        /// configs. A key in the profile would be in git for everybody who reads the repository.
        ///
        /// Remove the file. To get new keys, raise their generation under `pki.purposes`.
        Error SealedFile = "sealed-file";

        /// A file of the release line is replaced.
        ///
        /// It contains what remuda decided: addresses, paths, the cluster's networks. If something
        /// is missing in your version, components don't start or do the wrong thing.
        ///
        /// Remove the file, or make sure that everything is in yours that `remuda explain NODE`
        /// shows.
        Warning FileReplaced = "file-replaced";

        /// The file belongs to the OS.
        ///
        /// The OS reads it or writes it itself: sockets, flags of the engines, configs that it
        /// merges at the next boot, or /run/console-done, for which user Docker waits. The node
        /// would start wrongly, or differently the second time.
        ///
        /// Use the keys of the profile instead, such as `docker`, or another path.
        Error FileOfOs = "file-of-os";

        /// The OS rewrites this file itself.
        ///
        /// /etc/hosts, /etc/hostname and /etc/resolv.conf are written by the OS at each boot, too.
        /// Which of the two versions is there afterwards depends on timing.
        ///
        /// Use `network: {nameservers: […], search: […]}` for name servers, and `extra_hosts` for
        /// names that one service needs.
        Warning FileRewritten = "file-rewritten";

        /// etcd's data folder belongs to the OS or to another service.
        ///
        /// etcd takes all rights to its data folder away from everybody else. Whatever else is in
        /// it can't be read any more.
        ///
        /// Use a folder that only etcd uses, such as /var/lib/etcd.
        Error FolderOfOthers = "folder-of-others";

        /// Two files can't both be written.
        ///
        /// One is a folder in the other's path, or both are the same file under two names, because
        /// /var/run is a link to /run. The OS writes one, logs a failure for the other at most, and
        /// goes on.
        ///
        /// Give one of them another path, or remove it.
        Error FileClash = "file-clash";

        /// A file is written where its reader doesn't see it.
        ///
        /// Files are written inside a container. Unless it mounts the folder from the host, the
        /// file stays in that container and vanishes with it; nothing else ever sees it.
        ///
        /// Use a path below /opt, or name a `container` on the OS's base image that mounts the
        /// folder.
        Error FileNotSeen = "file-not-seen";

        /// The container that should write a file never does.
        ///
        /// The OS writes files when a container with the entrypoint `ros entrypoint` starts: the
        /// console, and services on the OS's base image. Other containers, and those that never
        /// start, write nothing.
        ///
        /// Leave `container` out, and remuda chooses one. Or use `console`.
        Error FileNeverWritten = "file-never-written";

        /// A service may start before a file that it mounts is written.
        ///
        /// Where a file isn't there yet, Docker creates a folder of its name for the mount. From
        /// then on the file can't be written, at later boots either.
        ///
        /// Add the label `io.rancher.os.after` with the container that writes the file. Nothing in
        /// system-docker can wait for the console's files: use a path below /opt/kubernetes for
        /// these.
        Warning FileRace = "file-race";

        /// The service that writes the line's files is changed so that it can't.
        ///
        /// It writes the keys and configs of all components before they start. If it doesn't run,
        /// isn't waited for or doesn't see the host's folders, none of them starts.
        ///
        /// Leave the service as it is. For files of your own, use `files`.
        Error FileWriter = "file-writer";

        /// A file's owner is a user or group that the OS doesn't have.
        ///
        /// The OS runs chown with the name. If that fails, it doesn't write the file at all.
        ///
        /// Use a name that the OS has, or numbers: these always work.
        Warning UnknownOwner = "unknown-owner";
    }

    "flags": "Flags of components and of dockerd" {
        /// A flag's value is none that the program takes.
        ///
        /// Components exit on a value of another type or out of range, on a word or a feature gate
        /// that they don't know, on a gate that can't be switched any more, and on values that
        /// don't go together. They are started again and again. Without `Node` among its
        /// authorization modes, the API server runs, but no kubelet has rights.
        ///
        /// Write what the message expects. What a flag takes comes from the programs of the line.
        Error FlagValue = "flag-value";

        /// A feature gate is an alpha.
        ///
        /// It may lose data, and may be gone in the next version, whose components then exit.
        ///
        /// Remove the gate. If it is meant, acknowledge it: `# remuda: allow feature-gate`.
        Warning FeatureGate = "feature-gate";

        /// Ports are published by a dockerd that writes no rules for them.
        ///
        /// With `--iptables=false` no packet from outside the node reaches the container, and its
        /// own leave with an address of Docker's bridge, which nobody answers.
        ///
        /// Remove the argument, or run the service on the host's network.
        Warning PortsWithoutRules = "ports-without-rules";

        /// A program has no flag of this name.
        ///
        /// Components and dockerd exit when they get a flag that they don't know, and are started
        /// again and again.
        ///
        /// Correct the name. Flags come and go between versions: remuda knows those of the version
        /// that the line runs.
        Error UnknownFlag = "unknown-flag";

        /// A flag opens the cluster to strangers.
        ///
        /// Without authentication, authorization or NodeRestriction, whoever reaches a port or
        /// breaks one node has the cluster.
        ///
        /// Remove the change. If it is meant, for a test say, acknowledge it where it stands:
        /// `# remuda: allow opens-cluster`.
        Error OpensCluster = "opens-cluster";

        /// A flag doesn't go with another one that the line gives the program.
        ///
        /// The program exits on the two together. It is restarted indefinitely, and what needs it
        /// waits.
        ///
        /// Put what the flag says into a file of your own for the line's flag, or remove the line's
        /// flag with `~`.
        Error FlagsExclude = "flags-exclude";

        /// A program ignores this flag.
        ///
        /// It has a config file and accepts some flags only for compatibility. It starts, and does
        /// something else than the flag says.
        ///
        /// Set it in the config file instead. `remuda explain NODE SERVICE` shows where `--config`
        /// is.
        Error UnreadFlag = "unread-flag";

        /// A flag is changed that only remuda sets.
        ///
        /// It says where the node's files and data are, or what other components are told too. With
        /// another value the cluster doesn't come up, or loses its data.
        ///
        /// Remove the flag. What can be changed has a key in the profile, such as `etcd.data_dir`
        /// or `images.mirror`.
        Error DecidedFlag = "decided-flag";

        /// A flag gets another value than remuda calculates for it.
        ///
        /// remuda gives the same value to other components. With two different values they
        /// contradict each other, and pods, services or nodes can't reach one another.
        ///
        /// Change the value where the profile has it, under `network` or `api` for example, or
        /// remove the flag.
        Warning FlagReplaced = "flag-replaced";

        /// A flag names a path that the container doesn't see.
        ///
        /// The program looks inside its own container. It finds nothing there, and what it writes
        /// is gone with the container.
        ///
        /// Add a mount, `services: {NAME: {volumes: [FOLDER:FOLDER]}}`, and use a path in that
        /// folder.
        Warning FlagNotSeen = "flag-not-seen";
    }

    "images": "Images" {
        /// The release line has no component of this name.
        ///
        /// Settings for a component that the line doesn't have reach no program.
        ///
        /// Correct the name. `remuda explain NODE` lists what runs on a node.
        Error UnknownComponent = "unknown-component";

        /// What an image is made of isn't said, or not completely.
        ///
        /// Without its content, name, version or engine no image can be made; without a digest for
        /// a processor that a node has, what is downloaded couldn't be checked. Of two images with
        /// one name, the engine keeps only one.
        ///
        /// Add what the message names. docs/images.md describes the sources.
        Error ComponentSource = "component-source";

        /// Two components have versions that don't go together.
        ///
        /// A kubelet, a controller manager, a scheduler or a kube-proxy is never newer than the API
        /// server, and only so many minors older as Kubernetes supports.
        ///
        /// Give them the same version, or take the line of that version.
        Error VersionSkew = "version-skew";

        /// An image can't be made of what the profile or the release line names for it.
        ///
        /// The file doesn't exist, an archive has something that an engine refuses or would change, or a file would
        /// hide what the base image has. Packed anyhow, the image wouldn't load on the node, or its containers would
        /// find other files than yours.
        ///
        /// Correct the path, make the archive again without what the message names, or put the file elsewhere in the
        /// image. docs/images.md says what archives may contain.
        Error ImageContent = "image-content" without example;

        /// An image has no fixed version.
        ///
        /// Without a tag, or with `latest`, two nodes may run different versions, and so may one
        /// node after it was installed again.
        ///
        /// Add a tag or, better, a digest.
        Warning UnpinnedImage = "unpinned-image";

        /// A service's image is not among those that remuda packs.
        ///
        /// The node must pull it when the service starts. If it can't reach the registry at that
        /// moment, the service fails, and the OS doesn't try again until the next boot.
        ///
        /// Add it under `images.components` with `name`, `engine` and `from`, or make sure that
        /// every node reaches its registry at boot.
        Warning ImageNotPacked = "image-not-packed";

        /// With `images: {source: released}`, parts of the images still come from the components folder.
        ///
        /// User Docker for BurmillaOS (`docker-engine`, on `kubernetes-1.20`) isn't released in a form that the OS takes.
        /// The images then have bytes of two kinds: what projects release, pinned in the lock, and what
        /// `scripts/components` built.
        ///
        /// `scripts/components --only docker` builds it. Acknowledge it with `# remuda: allow built-parts`.
        Warning BuiltParts = "built-parts";

        /// What a service needs is in the other engine.
        ///
        /// system-docker and user Docker don't see each other's images and containers. A service
        /// whose image is in the other one fails and isn't tried again until the next boot; one
        /// that joins a container of the other never starts.
        ///
        /// Move one of them: the label `io.rancher.os.scope: system` puts a service into
        /// system-docker. Or pack the image for the engine that runs it.
        Error OtherEngine = "other-engine";

        /// Something is meant for user Docker, which the nodes of this release line don't run.
        ///
        /// Pods run in the cluster's own containerd there. The OS's `docker` service is created but never started, so
        /// a service in user Docker would never start, and nothing reads `docker` or loads an image for it.
        ///
        /// Run the service in system-docker, with the label `io.rancher.os.scope: system`, or as a pod.
        Error NoUserDocker = "no-user-docker";

        /// A service may start before its image is loaded.
        ///
        /// Images that are preloaded, downloaded or read from a drive take a while to load. A
        /// service whose image isn't there yet fails, and the OS doesn't try again until the next
        /// boot.
        ///
        /// Add the label that the message names: `io.rancher.os.after: preload-user-images` in user
        /// Docker, `io.rancher.os.after: component-images` in system-docker.
        Error PreloadRace = "preload-race";

        /// Nodes with a disk boot from the network and preload their images.
        ///
        /// What the network brings to be preloaded is in memory. When the OS switches to the disk
        /// it is gone, and no service finds its image.
        ///
        /// Add `install: true`, or let the nodes download the images: `images: {delivery: url, url:
        /// …}`.
        Error PreloadFromNetwork = "preload-from-network";

        /// Images come from a registry, but none is named.
        ///
        /// No public registry has the images that remuda packs. The nodes would have nothing to
        /// start.
        ///
        /// Add `registry: HOST:PORT`, or use another `delivery`.
        Error NoRegistry = "no-registry";

        /// Images come from a URL, but none is given.
        ///
        /// The nodes wouldn't know where to download the tarballs from, and would have nothing to
        /// start.
        ///
        /// Add `url: http://HOST/…`, the address at which you serve OUT/CLUSTER/images.
        Error NoImagesUrl = "no-images-url";

        /// A URL for images is given that the delivery doesn't use.
        ///
        /// The nodes expect the images in another way. They would wait for tarballs that nobody
        /// puts there.
        ///
        /// Add `delivery: url`, or remove the URL.
        Warning UnusedImagesUrl = "unused-images-url";

        /// A registry's login isn't complete.
        ///
        /// An engine needs the registry, a user name and a secret to log in. Without one of them,
        /// pulling fails on every node.
        ///
        /// Write `registry: HOST` and `login: {username: NAME, secret: NAME}`. The secret is the
        /// name of one that `remuda secret set` keeps.
        Error HalfALogin = "half-a-login";

        /// Something that is downloaded isn't pinned in the lock.
        ///
        /// Without its digest, two builds may put different programs on the nodes, and nobody would
        /// notice a changed file.
        ///
        /// Run `remuda lock PROFILE` and commit the lock. `gen --no-images` makes only the configs.
        Error NotLocked = "not-locked";

        /// The lock can't be read.
        ///
        /// It pins what goes onto the nodes. If remuda ignored it, a build would silently use other
        /// programs than the last one.
        ///
        /// Get the lock from git again, or make a new one: `remuda lock PROFILE --update`.
        Error BadLock = "bad-lock";
    }

    "manifests": "Manifests" {
        /// A file or folder of `manifests.files` can't be read.
        ///
        /// The cluster would lack what is in it, and nobody would notice before it is used.
        ///
        /// Write the path of a file, or of a folder with files that end in `.yaml`, `.yml` or `.json`,
        /// relative to the profile's folder. Subfolders aren't read: name each of them. A
        /// kustomization or a chart must be rendered first, by `kubectl kustomize` or `helm template`.
        Error NoManifestFile = "no-manifest-file";

        /// Something in a manifest isn't an object of Kubernetes.
        ///
        /// kubectl can't apply it, so the cluster would never have it.
        ///
        /// An object has `apiVersion`, `kind` and `metadata.name`. A `generateName` would make another
        /// object at each boot.
        Error NoManifest = "no-manifest";

        /// Two manifests have the same object.
        ///
        /// The cluster would have the one that is applied last, and the nodes would change it at each
        /// boot.
        ///
        /// Keep one of them, or give it another name or namespace.
        Error ManifestTwice = "manifest-twice";

        /// A manifest holds a secret in plain text.
        ///
        /// It would be in git, in the manifest and in the config of each control-plane node.
        ///
        /// Run `remuda secret set NAME PROFILE`, which keeps it encrypted next to the profile, and write
        /// `!secret NAME` in its place in `stringData`: remuda puts it in when it seals the configs. What
        /// isn't secret can be in a ConfigMap.
        Error SecretInManifest = "secret-in-manifest";

        /// A manifest uses a version of an API that the line's Kubernetes no longer has.
        ///
        /// The API server refuses the object.
        ///
        /// Write the version that replaced it. Some fields have changed too: the Deprecated API
        /// Migration Guide on kubernetes.io says which.
        Error RemovedApi = "removed-api";

        /// A manifest has a kind or a version that the line's API server doesn't serve.
        ///
        /// It refuses the object, so the cluster would never have it. Alpha and beta versions of an API are
        /// off unless kube-apiserver is told to serve them.
        ///
        /// Write a kind and version that it serves. Custom resources of other groups aren't checked.
        Error UnknownKind = "unknown-kind";

        /// A manifest has a field that the object's type doesn't have, or a value of another type.
        ///
        /// The API server refuses the whole object, so the cluster would never have it.
        ///
        /// Often the indentation is wrong, or a value that must be a text looks like a number: write it in
        /// quotes. The fields are those of the line's own Kubernetes.
        Error ManifestField = "manifest-field";

        /// A manifest lacks a field that the object's type needs.
        ///
        /// The API server most likely refuses the object.
        ///
        /// Add the field.
        Warning ManifestFieldMissing = "manifest-field-missing";

        /// A port in a manifest clashes with another one, or can't be used.
        ///
        /// A pod with a host port that a service of the node has doesn't start, or takes it away from
        /// that service. The API server refuses a node port that is outside its range or given twice.
        ///
        /// Use another port.
        Error ManifestPort = "manifest-port";

        /// An object is in a namespace that no manifest makes.
        ///
        /// The nodes apply the manifests again and again until something makes the namespace. Until
        /// then the object doesn't exist.
        ///
        /// Add a manifest of kind Namespace, or ignore this if a program in the cluster makes it.
        Warning UnknownNamespace = "unknown-namespace";

        /// The pods of an object ask for more than their namespace takes.
        ///
        /// A namespace without the label `pod-security.kubernetes.io/enforce` takes pods of level `baseline`: none that
        /// is privileged, or has the node's network, processes, ports or folders. The API server makes none of the
        /// pods, and the object is there without them.
        ///
        /// Write the pods so that the level takes them; Kubernetes' page "Pod Security Standards" says how. Those that need
        /// the node, like agents of a network or of monitoring, go into a namespace with the label
        /// `pod-security.kubernetes.io/enforce: privileged`.
        Error PodSecurity = "pod-security";

        /// Pods run as a service account that no manifest makes.
        ///
        /// Until something makes it, the API server makes none of the pods.
        ///
        /// Add a manifest of kind ServiceAccount. If a program in the cluster makes it, acknowledge it:
        /// `# remuda: allow unknown-service-account`.
        Warning UnknownServiceAccount = "unknown-service-account";

        /// The manifests have a NetworkPolicy, and flannel is the pods' network.
        ///
        /// flannel routes packets and knows no policies. The API server takes a policy and says nothing,
        /// while every pod still reaches every other.
        ///
        /// Use a network plugin that enforces policies, with `network: {backend: none}`. If a program in
        /// the cluster enforces them beside flannel, acknowledge it: `# remuda: allow unenforced-policy`.
        Warning UnenforcedPolicy = "unenforced-policy";

        /// The program that renders a kustomization or a chart isn't on the PATH.
        ///
        /// No node has it either: the cluster would lack these objects.
        ///
        /// Install kustomize, kubectl or Helm, also where `gen --check` runs. Or render it elsewhere, by
        /// `kubectl kustomize FOLDER` or `helm template NAME CHART`, and name the file in `manifests.files`.
        Error NoProgram = "no-program";

        /// A kustomization or a chart can't be rendered.
        ///
        /// The cluster would lack these objects.
        ///
        /// Correct what the program says. What it names must be beside the profile or in the lock: a program that
        /// renders fetches nothing.
        Error NotRendered = "not-rendered";

        /// A chart is rendered to something else each time.
        ///
        /// Its templates make something up, like a password, a certificate or the time of day. Each run would give
        /// the nodes other objects, and `gen --check` would never be content.
        ///
        /// Set by `values` what the chart makes up, or the name of a Secret that has it. A manifest can have that
        /// Secret, with `!secret`.
        Error ChartVaries = "chart-varies";

        /// A chart has hooks: objects that Helm makes before or after an installation.
        ///
        /// Nodes have no Helm, and nobody else makes them.
        ///
        /// Switch them off by `values`, or do what they do in another way. If the chart works without them,
        /// acknowledge it: `# remuda: allow chart-hook`.
        Warning ChartHook = "chart-hook";

        /// No node of the cluster can hold an object's pods.
        ///
        /// The pods would stay Pending: the scheduler waits indefinitely for a node with the labels that
        /// `nodeSelector` or the required node affinity names, without a taint that they don't tolerate, and with
        /// the processors and the memory that they request, as far as the profile says what a node has.
        ///
        /// Correct what the object demands, or give a node the `labels`, the role or the size. Also a label that
        /// a program in the cluster sets can be in the profile.
        Error NoNode = "no-node";

        /// No node of the cluster can hold a DaemonSet's pods.
        ///
        /// It would make no pod, and nothing would say so.
        ///
        /// Correct what it demands of nodes. If it is meant for nodes of other clusters, acknowledge it:
        /// `# remuda: allow idle-daemonset`.
        Warning IdleDaemonset = "idle-daemonset";

        /// The release line has nothing that applies manifests.
        ///
        /// The cluster would have none of them.
        ///
        /// Use a line whose pods run in containerd; docs/lines.md has a table. On another line, apply
        /// them by `kubectl apply` from your machine.
        Error NoManifests = "no-manifests";
    }

    "change": "Changes that end a running cluster" {
        /// The pod network of a running cluster changes.
        ///
        /// Nodes with the new network, subnet size, backend or VXLAN identifier don't reach the pods of nodes with
        /// the old one, and pods that run keep their old addresses.
        ///
        /// Keep the value of the running cluster. If no machine runs it yet, or you switch all of them off
        /// first: `gen --accept pod-network-change`.
        Error PodNetworkChange = "pod-network-change";

        /// The service network of a running cluster changes, or the address of its DNS.
        ///
        /// A service keeps the address that it got. Nodes with the new range have no route to it, and
        /// the API's own service is one of them.
        ///
        /// Keep the value of the running cluster. If no machine runs it yet: `gen --accept
        /// service-network-change`.
        Error ServiceNetworkChange = "service-network-change";

        /// The DNS domain of a running cluster changes.
        ///
        /// The names of services end otherwise, so programs don't find each other. The domain is also
        /// in the issuer of tokens: the API server refuses those that running pods have.
        ///
        /// Keep the domain. If no machine runs the cluster yet: `gen --accept dns-domain-change`.
        Error DnsDomainChange = "dns-domain-change";

        /// The folder of etcd's data changes.
        ///
        /// Each member starts with an empty folder. Nothing of what the cluster stored is in it.
        ///
        /// Keep the folder. To move it, move the data on each node while it is off, and then use `gen
        /// --accept etcd-data-dir-change`.
        Error EtcdDataDirChange = "etcd-data-dir-change";

        /// The out tree is another cluster's.
        ///
        /// All keys are derived from the cluster's name. Machines that get the new configs have
        /// certificates that the others refuse, and etcd keeps them apart.
        ///
        /// Keep the name, or generate into another folder. If the tree is no longer needed: `gen
        /// --accept other-cluster`.
        Error OtherCluster = "other-cluster";

        /// The target of a running cluster changes.
        ///
        /// A config for another OS doesn't change the OS. The images that the services need are not
        /// on the node, and another reader reads the config.
        ///
        /// Install the nodes again, one after the other, as new nodes; or make a new cluster beside this
        /// one. `gen --accept target-change` writes the configs.
        Error TargetChange = "target-change";

        /// The engine that runs the pods of a running cluster changes.
        ///
        /// The new engine knows nothing of the old one's pods. Each node loses all of its pods when it
        /// gets its config, and its network for pods is set up in another way.
        ///
        /// Make a new cluster beside this one, and move what runs there. To install node after node
        /// all the same: `gen --accept engine-change`.
        Error EngineChange = "engine-change";

        /// A component's version moves further than it may under a running cluster.
        ///
        /// Kubernetes and etcd convert what is stored by one minor version at a time, and upwards
        /// only. A program that can't read what is there doesn't start, or loses some of it.
        ///
        /// Go one minor at a time, on all nodes each time. Where no line has the versions between, there
        /// is no way in place: make a new cluster beside this one. An upgrade that stopped half-way goes
        /// back while a node still runs the older version: docs/plan.md, "Back again".
        Error VersionStep = "version-step";

        /// An authority is replaced, and nodes don't accept the old and the new one together.
        ///
        /// While some nodes have the new config and others don't, they refuse each other's
        /// certificates: etcd loses its majority, and no kubelet reaches the API.
        ///
        /// Change it in the three steps of docs/keys.md. To switch all nodes off and on again with the
        /// new configs: `gen --accept untrusted-authority`.
        Error UntrustedAuthority = "untrusted-authority";

        /// A key pair or a secret is replaced, and the old one isn't accepted any more.
        ///
        /// Without the old service-account key, the tokens of all running pods are refused. Without the
        /// old encryption key, no secret in etcd can be read.
        ///
        /// Write the old generation into `trust`, until nothing uses it. If nothing was stored yet: `gen
        /// --accept lost-key`.
        Error LostKey = "lost-key";

        /// The out tree is sealed with another seed than the committed one.
        ///
        /// All keys are derived from the seed. With another one no node accepts another's certificate,
        /// and nobody can log in.
        ///
        /// Seal with the old seed. For new keys, raise generations as docs/keys.md says. If somebody has
        /// seen the seed, follow docs/second-day.md.
        Error SeedChange = "seed-change" without example;

        /// A member of etcd or a control-plane node gets another address.
        ///
        /// The members of etcd have each other's addresses in their data, and all nodes have them in
        /// their configs. The node is lost for both, and with most of them the cluster.
        ///
        /// Keep the address. To move a machine, take the node out of the profile, and add it with
        /// another name and the new address.
        Error ControlPlaneAddress = "control-plane-address";

        /// A node gets an address that another node has now.
        ///
        /// Until both have booted with their new configs, two machines have one address. Commands for the one
        /// reach the other, which then gets a config and keys that aren't its own.
        ///
        /// Give the node a free address, or change the other one first and this one when that has booted. To
        /// exchange two addresses, use a free one in between. To switch all machines off and on again: `gen
        /// --accept address-in-use`.
        Error AddressInUse = "address-in-use";

        /// The API's port changes, or an address of the API that all nodes use.
        ///
        /// Every node has it in its config, and nodes get their new configs one after the other. Until then they
        /// don't reach the API servers that have moved, and Kubernetes takes them for dead.
        ///
        /// Keep it. To switch all machines off and on again with the new configs: `gen --accept api-moved`.
        Error ApiMoved = "api-moved";

        /// None of etcd's members stays.
        ///
        /// A new member gets the data from an old one. Without any, the new members are an empty
        /// cluster.
        ///
        /// Keep at least one. Add the new members first; take the old ones out when these have joined.
        Error EtcdReplaced = "etcd-replaced";
    }

    "import": "Importing cloud-configs" {
        /// A file that `remuda import` should read isn't a cloud-config of the OS.
        ///
        /// Its keys are another program's, or it is a script: a node that booted from it ran
        /// without any of it.
        ///
        /// Leave the file out. A cloud-config of the OS is YAML and has keys like `rancher` and
        /// `hostname`.
        Error NotACloudConfig = "not-a-cloud-config" without example;

        /// A key of a cloud-config isn't in the imported profile.
        ///
        /// The OS doesn't read it, or a profile has nothing for it: nodes made of the profile do
        /// without it.
        ///
        /// If the node needs what it was for, add it to the profile as the message says.
        Warning KeyNotImported = "key-not-imported" without example;

        /// The cloud-configs differ in what a profile has once for all nodes.
        ///
        /// The first one's value is in the profile, so some nodes get another one than they had.
        ///
        /// Decide on one value, or make two clusters of the configs.
        Warning ConfigsDiffer = "configs-differ" without example;

        /// A secret of a cloud-config isn't in the imported profile.
        ///
        /// The profile and what is made of it go into git, where everybody with the repository
        /// reads it.
        ///
        /// Bring it onto the node as the message says. If the cloud-config was in git, replace the
        /// secret.
        Warning SecretNotImported = "secret-not-imported" without example;

        /// The imported profile contains what looks like a secret.
        ///
        /// remuda can't know whether it is one, and the node may not work without it. The profile
        /// and what is made of it go into git, where everybody with the repository reads it.
        ///
        /// If it is a secret, remove it from the profile before you commit it, and replace it.
        Warning SecretImported = "secret-imported" without example;
    }

    "keys": "Keys, certificates and secrets" {
        /// The line's API server knows no users.
        ///
        /// It asks nobody who they are, so a kubeconfig of one's own says nothing.
        ///
        /// Remove `pki.users`.
        Error NoUsers = "no-users";

        /// A user is in a group of Kubernetes itself.
        ///
        /// The rights of groups like `system:masters` are built in. A certificate can't be revoked,
        /// so whoever has the file has these rights until it ends.
        ///
        /// Use a group of your own, and bind it to a role. The binding can be removed on any day.
        Warning ReservedGroup = "reserved-group";

        /// A user's certificate ends within a month, or has ended.
        ///
        /// The API server then refuses the user. Nothing else ends with it.
        ///
        /// Set a later `not_before`, run `remuda gen`, and give the user the new file; or remove the
        /// user from the profile.
        Warning UserEnds = "user-ends";

        /// A secret is in the profile.
        ///
        /// The profile and what is made of it go into git, where everybody with the repository
        /// reads it. A key that was committed once has to be replaced.
        ///
        /// Remove it. Keys of the cluster come from the seed; `remuda secret set` keeps a secret
        /// that you got from somebody.
        Error SecretInProfile = "secret-in-profile";

        /// A URL in the profile has a password in it.
        ///
        /// The profile and what is made of it go into git, where everybody with the repository
        /// reads the password. It is in the node's config, too, which every process with access to
        /// the host can read.
        ///
        /// Use an account that may be known, or a server that needs none.
        Warning PasswordInUrl = "password-in-url";

        /// The vault has no secret of this name.
        ///
        /// The nodes couldn't log in to the registry and would have no image to start.
        ///
        /// Run `remuda secret set NAME PROFILE`, or correct the name.
        Error UnknownSecret = "unknown-secret";

        /// The release line has no key for this purpose.
        ///
        /// Nothing would get a new key: the one that you meant stays as it is, and you may believe
        /// it replaced.
        ///
        /// Correct the name. `remuda pki list` shows what the keys are for.
        Error UnknownPurpose = "unknown-purpose";

        /// A generation can't be trusted beside the one in use.
        ///
        /// `trust` is for authorities and keys that are accepted by a list. For others it has no
        /// effect; with too many generations, keys that should be gone are still accepted.
        ///
        /// Remove it from the list. docs/keys.md shows how keys are rotated.
        Error Trust = "trust";

        /// No certificate is valid yet.
        ///
        /// Until `pki.not_before`, components refuse each other and nobody can log in. A node whose
        /// clock is behind refuses them even longer.
        ///
        /// Set an earlier `pki.not_before`.
        Warning CertificatesBegin = "certificates-begin";

        /// The certificates have ended.
        ///
        /// No component accepts another one, so no node of these configs joins a cluster, and
        /// nobody can log in.
        ///
        /// Set a later `pki.not_before` or a longer `pki.lifetime`, and run `remuda gen`.
        Error CertificatesEnded = "certificates-ended";

        /// The certificates end within a month.
        ///
        /// From that day on components refuse each other and nobody can log in. Running pods go on,
        /// but nothing about them can be changed.
        ///
        /// Set a later `pki.not_before` or a longer `pki.lifetime`, run `remuda gen`, and restart
        /// the nodes one by one with their new configs.
        Warning CertificatesEnd = "certificates-end" without example;

        /// No SSH key can log in to the nodes.
        ///
        /// When a node doesn't come up, only its console is left to find out why, and without a
        /// password in the kernel command line that doesn't let anybody in either.
        ///
        /// Add `defaults: {ssh_keys: [ssh-ed25519 …]}`.
        Warning NoSshKeys = "no-ssh-keys";
    }

    "media": "Network boot, installing and Vagrant" {
        /// `install` would install on a partition.
        ///
        /// The OS's installer writes a partition table and a boot loader to `disk`. In a partition,
        /// the firmware finds neither.
        ///
        /// Write the whole disk, like `/dev/sda`. All that is on it will be lost.
        Error PartitionAsDisk = "partition-as-disk";

        /// The server for network boot is one of the nodes.
        ///
        /// A node can't load its own kernel from itself, and after a power cut at the site the
        /// others wait for a node that may wait for them.
        ///
        /// Serve from a machine outside the cluster. If the node is installed on its disk and
        /// serves the others, acknowledge it: `# remuda: allow boots-from-itself`.
        Warning BootsFromItself = "boots-from-itself";

        /// A kernel parameter overrules the node's config.
        ///
        /// The OS reads keys of its config (`rancher.…`, `cc.…`) on the kernel's command line too, and
        /// merges them over the config. The node would then differ from its config in git, and from
        /// what other nodes expect of it. What follows `--` goes to init, and the OS doesn't see it.
        ///
        /// Use the profile's own key; the message names it.
        Error DecidedKernelArg = "decided-kernel-arg";

        /// Network boot is described without the URL that it needs.
        ///
        /// Machines download the kernel, the initrd and their config from `media.url`. Without it
        /// nothing is made for network boot.
        ///
        /// Add `url: http://HOST:PORT`, the address at which you serve OUT/CLUSTER/sealed/pxe.d.
        Error NoMediaUrl = "no-media-url";

        /// A Vagrant box has a version and no name.
        ///
        /// Without the name of the box remuda generates no Vagrantfile.
        ///
        /// Add `box_name: NAME`, as `vagrant box list` shows it.
        Error NoBox = "no-box";

        /// A node should install the OS, and no disk is named.
        ///
        /// `ros install` erases the disk that it gets, so remuda chooses none by itself.
        ///
        /// Add `disk: /dev/sda`, or whatever the disk is called on these machines.
        Error InstallWithoutDisk = "install-without-disk";

        /// A node's own address would take Vagrant's interface.
        ///
        /// Vagrant reaches a machine through eth0. A node that gives eth0 another address can't be
        /// reached by Vagrant any more, so `vagrant up` never ends.
        ///
        /// Add `defaults: {interface: eth1, dhcp: [eth0]}`, or a `mac` for each node.
        Error VagrantInterface = "vagrant-interface";
    }

    "os": "The OS's own keys" {
        /// A kernel parameter or module that remuda doesn't know.
        ///
        /// The OS goes on without one that the kernel doesn't have, with a line in its log.
        /// remuda knows those of Linux 4.14 to 6.18, as far as common kernels have them.
        ///
        /// Correct the name. If a module or kernel of your own brings it, acknowledge it:
        /// `# remuda: allow unknown-kernel-name`.
        Warning UnknownKernelName = "unknown-kernel-name";

        /// A key under `os` is one that remuda decides, or for which the profile has its own key.
        ///
        /// remuda checks and merges its own key, and the nodes, their certificates and the pod network
        /// rely on what it decides. A second place could contradict it.
        ///
        /// Use the profile's own key; the message names it.
        Error DecidedOsKey = "decided-os-key";

        /// A key under `os` breaks a node of a cluster.
        ///
        /// The OS accepts it, but with it a node doesn't boot, user Docker doesn't start, or pods
        /// don't run.
        ///
        /// Remove it. The message says what it breaks, and what to use instead.
        Error BreakingOsKey = "breaking-os-key";

        /// A key under `os` is in the OS's schema, but nothing in the OS reads it from a node's config.
        ///
        /// The setting would be silently ignored.
        ///
        /// Use what the message names, or remove it.
        Error UnreadOsKey = "unread-os-key";

        /// A mistake in the value of this key stops the node, and remuda can't check the value.
        ///
        /// system-docker and dockerd exit on an argument that they don't know, and on a driver that the
        /// disk or the kernel doesn't support.
        ///
        /// Try the value on one node first, with a console at hand.
        Warning RiskyOsKey = "risky-os-key";

        /// The OS fetches what this key names from the network when the node boots.
        ///
        /// Consoles, engines and services of the OS's repositories aren't on the node. Where the node
        /// doesn't reach the repository and the registry, it boots without them.
        ///
        /// Remove it if the nodes have no way out. Otherwise make sure that they reach the OS's
        /// repository and Docker Hub, or set `rancher.repositories` and `images.mirror` to your own.
        Warning FetchedByOs = "fetched-by-os";

        /// A command of `runcmd` needs user Docker.
        ///
        /// The console runs `runcmd` first, and user Docker starts afterwards. The command fails, and
        /// the OS runs none of the commands after it; if it waits for Docker, it waits indefinitely.
        ///
        /// Make a service of it: without the label `io.rancher.os.scope: system` it runs in user Docker.
        Warning CommandBeforeDocker = "command-before-docker";

        /// A command of `runcmd` may not return.
        ///
        /// User Docker starts when all commands have returned. Until then no pod runs and nobody can
        /// log in on the console.
        ///
        /// Let it run in the background, `… &`, or make a service of it.
        Warning CommandHoldsDocker = "command-holds-docker";

        /// A mount of the console isn't seen by a service in system-docker.
        ///
        /// The console mounts it when these services have started already, and in its own container:
        /// only what is below /mnt and /media is shared with others. The service writes to the disk
        /// below the mount, or finds nothing there.
        ///
        /// Mount it below /mnt, and let the service mount that path with `:shared`.
        Warning MountNotSeen = "mount-not-seen";
    }
}
