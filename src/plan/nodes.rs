//! Declarations → nodes: names and addresses counted out, roles, settings merged, pod subnets.

use super::files::is_below;
use super::names::{NODES, Pattern};
use super::network::is_host;
use super::{Class, Discovery, Etcd, Network, Node};
use crate::diagnostic::{Diagnostic, Diagnostics, Span, closest};
use crate::line::Line;
use crate::profile::{Address, Group, Ipv4, Mac, NodeDecl, Profile, Role, Settings};
use crate::yaml::{Field, Given, List, Scalar, Spanned};
use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

/// The nodes, and what those of one declaration have in common.
#[derive(Debug, Default)]
pub struct Fleet {
    pub nodes: Vec<Node>,
    pub kinds: Vec<Kind>,
    /// Something was wrong, and was reported: what is missing may be due to it.
    pub broken: bool,
}

/// What the nodes of a declaration have in common. Declarations that differ in name and address
/// alone share one.
#[derive(Debug)]
pub struct Kind {
    pub roles: Vec<Role>,
    /// Whether its nodes learn their addresses when they boot.
    pub is_dynamic: bool,
    /// All levels merged.
    pub settings: Settings,
    /// Whether each of them has a MAC address.
    pub have_macs: bool,
    /// Where the (first) declaration stands.
    pub span: Option<Span>,
}

impl Fleet {
    pub fn has_role(&self, node: usize, role: Role) -> bool {
        self.kinds[self.nodes[node].class].roles.contains(&role)
    }

    /// Whether some node learns its address when it boots.
    pub fn is_dynamic(&self) -> bool {
        self.kinds.iter().any(|kind| kind.is_dynamic)
    }

    pub fn declaration(&self, node: usize) -> Option<Span> {
        self.kinds.get(self.nodes.get(node)?.class)?.span
    }
}

/// All nodes that the profile declares.
pub fn expand(profile: &Profile, line: Option<&Line>, network: Option<&Network>, found: &mut Diagnostics) -> Fleet {
    check_levels(profile, found);
    let mut fleet = Fleet::default();
    let declared: Vec<_> = profile.nodes.iter().map(|(name, node)| (name, node, roles(profile, name, node, found))).collect();
    let etcd_is_named = declared.iter().any(|(_, _, roles)| roles.contains(&Role::Etcd));
    let mut shared: HashMap<(Vec<Role>, Option<String>, bool), usize> = HashMap::new();
    let mut seen = Seen::default();
    for (name, node, mut roles) in declared {
        if roles.is_empty() {
            fleet.broken = true;
            continue;
        }
        if !etcd_is_named && roles.contains(&Role::ControlPlane) {
            roles.insert(0, Role::Etcd);
        }
        let pattern = match Pattern::parse(&name.value) {
            Ok(pattern) => pattern,
            Err(problem) => {
                fleet.broken = true;
                found.push(
                    Diagnostic::error("invalid-name", name.span, problem)
                        .why("the name is the machine's host name, its name in Kubernetes and part of its certificate")
                        .mend("use lower-case letters, digits and dashes; a range is `worker-[01-20]`"),
                );
                continue;
            }
        };
        if fleet.nodes.len() + pattern.len() > NODES {
            fleet.broken = true;
            found.push(Diagnostic::error("too-large", name.span, format!("more than {NODES} nodes")).mend("make two clusters of it"));
            continue;
        }
        let group = node.group.value().map(|group| group.0.clone());
        let is_dynamic = match &node.address {
            Given::Is(address) => address.value == Address::Dhcp,
            _ => group.as_ref().and_then(|group| profile.groups.get(group)).is_some_and(|group| group.address.value().is_some()),
        };
        let key = (roles.clone(), group, is_dynamic);
        let kind = match shared.get(&key) {
            Some(kind) if node.settings.is_absent() => *kind,
            _ => {
                fleet.kinds.push(Kind {
                    settings: settings(profile, line, node, &roles),
                    have_macs: true,
                    roles,
                    is_dynamic,
                    span: name.span,
                });
                if node.settings.is_absent() {
                    shared.insert(key, fleet.kinds.len() - 1);
                }
                fleet.kinds.len() - 1
            }
        };
        fleet.kinds[kind].have_macs &= !node.mac.is_absent();
        place(name, node, &pattern, kind, network, profile, &mut seen, &mut fleet, found);
    }
    fleet
}

/// What stands at `roles` and `groups` must be roles, and groups that some node is in.
fn check_levels(profile: &Profile, found: &mut Diagnostics) {
    for (name, _) in profile.roles.iter() {
        if !Role::ALL.iter().any(|role| role.as_str() == name.value) {
            let names = Role::ALL.iter().map(|role| role.as_str());
            found.push(
                Diagnostic::error("unknown-role", name.span, format!("there is no role `{}`", name.value))
                    .why("no node would ever get these settings")
                    .mend(
                        closest(&name.value, names)
                            .map_or("the roles are etcd, control-plane and worker".to_owned(), |meant| format!("did you mean `{meant}`?")),
                    ),
            );
        }
    }
    let used: HashSet<&str> = profile.nodes.iter().filter_map(|(_, node)| node.group.value()).map(|group| group.0.as_str()).collect();
    for (name, _) in profile.groups.iter().filter(|(name, _)| !used.contains(name.value.as_str())) {
        found.push(
            Diagnostic::warning("unused-group", name.span, format!("no node is in the group `{}`", name.value))
                .why("its settings reach no node")
                .mend("add `group: NAME` to its nodes, or remove it"),
        );
    }
    for name in profile.nodes.removed() {
        found.push(
            Diagnostic::error("no-role", name.span, format!("{} is declared, and nothing is said of it", name.value))
                .why("nothing would be made for it")
                .mend("add `role: worker` and `address: ADDRESS`, or take the line away"),
        );
    }
    for (name, node) in profile.nodes.iter() {
        let Some(group) = node.group.get() else { continue };
        if profile.groups.get(&group.0).is_none() {
            let names: Vec<&str> = profile.groups.iter().map(|(name, _)| name.value.as_str()).collect();
            found.push(
                Diagnostic::error("unknown-group", group.span, format!("{} is in a group `{}` that there isn't", name.value, group.0))
                    .mend(closest(&group.0, names).map_or("add it under `groups`".to_owned(), |meant| format!("did you mean `{meant}`?"))),
            );
        }
    }
}

fn roles(profile: &Profile, name: &Spanned<String>, node: &NodeDecl, found: &mut Diagnostics) -> Vec<Role> {
    let group = node.group.value().and_then(|group| profile.groups.get(&group.0));
    let own = chosen(&node.role, &node.roles, found);
    let of_group = |group: &Group, found: &mut Diagnostics| chosen(&group.role, &group.roles, found);
    let roles = own.or_else(|| group.and_then(|group| of_group(group, found)));
    let bad = matches!(node.role, Given::Bad) || group.is_some_and(|group| matches!(group.role, Given::Bad));
    if roles.is_none() && !bad {
        found.push(
            Diagnostic::error("no-role", name.span, format!("{} has no role", name.value))
                .why("nothing would run on it")
                .mend("add `role: worker`, `role: control-plane` or `roles: [control-plane, worker]`"),
        );
    }
    roles.unwrap_or_default()
}

/// What `role` and `roles` say together, the weakest first.
fn chosen(role: &Given<Role>, roles: &List<Role>, found: &mut Diagnostics) -> Option<Vec<Role>> {
    if let (Some(role), Some(first)) = (role.get(), roles.items.first()) {
        found.push(
            Diagnostic::error("contradicting-roles", role.span, "`role` and `roles` are both given")
                .related(first.span, "the others")
                .why("which of them counts can't be told")
                .mend("keep `roles` for several, `role` for one"),
        );
    }
    let mut all: Vec<Role> = role.value().into_iter().chain(roles.values()).copied().collect();
    all.sort();
    all.dedup();
    (!all.is_empty()).then_some(all)
}

/// All levels merged, from weak to strong: line, defaults, roles, group, node.
fn settings(profile: &Profile, line: Option<&Line>, node: &NodeDecl, roles: &[Role]) -> Settings {
    let mut merged = line.map(|line| line.settings(roles)).unwrap_or_default();
    merged.merge(&profile.defaults);
    for role in roles {
        if let Some(settings) = profile.roles.get(role.as_str()) {
            merged.merge(settings);
        }
    }
    if let Some(group) = node.group.value().and_then(|group| profile.groups.get(&group.0)) {
        merged.merge(&group.settings);
    }
    merged.merge(&node.settings);
    merged
}

#[derive(Default)]
struct Seen {
    names: HashMap<String, Option<Span>>,
    addresses: HashMap<Ipv4Addr, Option<Span>>,
    macs: HashMap<Mac, Option<Span>>,
    /// Serial numbers and UUIDs.
    identities: HashMap<String, Option<Span>>,
}

#[allow(clippy::too_many_arguments)]
fn place(
    name: &Spanned<String>,
    node: &NodeDecl,
    pattern: &Pattern,
    kind: usize,
    network: Option<&Network>,
    profile: &Profile,
    seen: &mut Seen,
    fleet: &mut Fleet,
    found: &mut Diagnostics,
) {
    let first = match &node.address {
        Given::Is(Spanned { value: Address::Known(address), span }) => Some(Spanned { value: *address, span: *span }),
        _ => None,
    };
    let is_dynamic = fleet.kinds[kind].is_dynamic;
    if node.address.is_absent() && !is_dynamic {
        found.push(
            Diagnostic::error("no-address", name.span, format!("{} has no address", name.value))
                .why("etcd, the certificates and flannel are told it at build time")
                .mend("add `address: ADDRESS`, in `network.nodes`; for a range, the first one's. Or `address: dhcp`"),
        );
    }
    fleet.broken |= first.is_none() && !is_dynamic;
    let serial = identity(node.serial.get().map(|one| (one.0.clone(), one.span)), "serial number", name, pattern, seen, found);
    let uuid = identity(node.uuid.get().map(|one| (one.0.clone(), one.span)), "UUID", name, pattern, seen, found);
    for index in 0..pattern.len() {
        let host = pattern.name(index);
        if let Some(first) = seen.names.insert(host.clone(), name.span) {
            found.push(
                Diagnostic::error("duplicate-name", name.span, format!("there are two nodes {host}"))
                    .related(first, "the other")
                    .why("the second machine would take the first one's place in Kubernetes and etcd")
                    .mend("give each node a name of its own"),
            );
            return;
        }
        let address = match &first {
            None if is_dynamic => None,
            None => continue,
            Some(first) => match address(first, index, &host, network, profile, seen, found) {
                Some(address) => Some(address),
                None => {
                    fleet.broken = true;
                    return;
                }
            },
        };
        let mac = match node.mac.get() {
            None => None,
            Some(first) => match mac(first, index, &host, seen, found) {
                Some(mac) => Some(mac),
                None => {
                    fleet.broken = true;
                    return;
                }
            },
        };
        let (serial, uuid) = (serial.clone(), uuid.clone());
        fleet.nodes.push(Node { name: host, address, mac, serial, uuid, class: kind, subnet: None });
    }
}

/// The node's address; `None` when it is wrong (then the rest of the range isn't looked at).
fn address(
    first: &Spanned<Ipv4>,
    index: usize,
    host: &str,
    network: Option<&Network>,
    profile: &Profile,
    seen: &mut Seen,
    found: &mut Diagnostics,
) -> Option<Ipv4Addr> {
    let address = u32::try_from(index).ok().and_then(|index| u32::from(first.value.0).checked_add(index)).map(Ipv4Addr::from);
    let nodes = match (network, profile.network.nodes.value()) {
        (Some(network), _) => Some(network.nodes),
        (None, Some(cidr)) => Some(cidr.0),
        _ => None,
    };
    let outside = |address: String| {
        Diagnostic::error(
            "address-outside",
            first.span,
            format!("{host}'s address {address} is not a machine's address in the node network"),
        )
        .why("the node would have an address that the others have no route to, and certificates for it")
    };
    let Some(address) = address else {
        found.push(outside("(counted up)".to_owned()).mend("begin the range with a lower address"));
        return None;
    };
    if let Some(nodes) = nodes.filter(|nodes| !is_host(*nodes, address)) {
        found.push(outside(address.to_string()).mend(format!("use an address in {nodes}, not its first or last")));
        return None;
    }
    if profile.network.gateway.value().is_some_and(|gateway| gateway.0 == address) {
        found.push(
            Diagnostic::error("address-is-gateway", first.span, format!("{host} has the gateway's address {address}"))
                .why("every node would send what leaves the network to it")
                .mend("give it another address"),
        );
    }
    if let Some(other) = seen.addresses.insert(address, first.span) {
        found.push(
            Diagnostic::error("duplicate-address", first.span, format!("{host}'s address {address} is another node's too"))
                .related(other, "the other")
                .why("packets for one would reach the other")
                .mend("give each node an address of its own; ranges count up from the first"),
        );
        return None;
    }
    Some(address)
}

fn mac(first: &Spanned<Mac>, index: usize, host: &str, seen: &mut Seen, found: &mut Diagnostics) -> Option<Mac> {
    let mac = Mac(first.value.0 + index as u64);
    if mac.0 >> 48 != 0 || Mac::parse(&mac.to_string()).is_err() {
        found.push(
            Diagnostic::error("invalid-value", first.span, format!("{host}'s MAC address, counted up, is none that a machine can have"))
                .why("no card answers to it: the machine would not be known at network boot")
                .mend("begin with a lower one"),
        );
        return None;
    }
    if let Some(other) = seen.macs.insert(mac, first.span) {
        found.push(
            Diagnostic::error("duplicate-mac", first.span, format!("{host}'s MAC address {mac} is another node's too"))
                .related(other, "the other")
                .why("at network boot both machines would get the same config, and be the same node")
                .mend("give each node the address of its own network card"),
        );
        return None;
    }
    Some(mac)
}

/// A serial number or UUID, which one machine has.
fn identity(
    given: Option<(String, Option<Span>)>,
    what: &str,
    name: &Spanned<String>,
    pattern: &Pattern,
    seen: &mut Seen,
    found: &mut Diagnostics,
) -> Option<String> {
    let (identity, span) = given?;
    if pattern.len() > 1 {
        found.push(
            Diagnostic::error("identity-of-range", span, format!("{} are several nodes with one {what}", name.value))
                .why("at network boot one machine would be all of them")
                .mend("declare these nodes one by one"),
        );
    } else if let Some(other) = seen.identities.insert(format!("{what} {identity}"), span) {
        found.push(
            Diagnostic::error("duplicate-identity", span, format!("the {what} {identity} is another node's too"))
                .related(other, "the other")
                .why("at network boot both machines would get the same config, and be the same node")
                .mend("give each node what its own firmware tells; a machine whose firmware tells nothing is known by its `mac`"),
        );
    }
    Some(identity)
}

/// Refuses a node that others must find and that has neither a known address nor a name that follows it.
pub fn check_found(profile: &Profile, fleet: &Fleet, line: Option<&Line>, found: &mut Diagnostics) {
    let Some(line) = line.filter(|_| profile.network.node_domain.is_absent()) else { return };
    let finds_etcd = line.pki.certificates.is_empty() && !profile.etcd.bootstrap.discovery.is_absent();
    let finds_api = line.api.published || !profile.api.endpoint.is_absent();
    for kind in fleet.kinds.iter().filter(|kind| kind.is_dynamic) {
        let is = |role| kind.roles.contains(&role);
        let what = match (is(Role::Etcd) && !finds_etcd, is(Role::ControlPlane) && !finds_api) {
            (true, _) => "a member of etcd",
            (false, true) => "where the API is",
            (false, false) => continue,
        };
        found.push(
            Diagnostic::error("dhcp-without-name", kind.span, format!("this node is {what}, and nobody knows its address before it boots"))
                .why("the others must be told where it is, and its certificate must say so: one for any address would let every machine on the network pass for it")
                .mend("give it an address; or `network: {node_domain: DOMAIN}`, where NODE.DOMAIN always is its address, by your DHCP server's or DNS's doing"),
        );
    }
}

/// Who is in etcd, and where its data lies.
pub fn etcd(profile: &Profile, fleet: &Fleet, found: &mut Diagnostics) -> Option<Etcd> {
    let members: Vec<usize> = (0..fleet.nodes.len()).filter(|index| fleet.has_role(*index, Role::Etcd)).collect();
    let discovery = discovery(profile, members.len(), fleet, found);
    let count = discovery.as_ref().map_or(members.len(), |discovery| usize::from(discovery.size));
    if let Some(last) = members.last().filter(|_| count.is_multiple_of(2) && count > 0) {
        let span = profile.etcd.bootstrap.size.span().or_else(|| fleet.declaration(*last));
        found.push(
            Diagnostic::warning("even-etcd", span, format!("etcd has {count} members"))
                .why(format!("a majority of {} is needed: {count} members bear no more failures than {}", count / 2 + 1, count - 1))
                .mend("use one, three or five"),
        );
    }
    if count > 7 {
        let span = profile.etcd.bootstrap.size.span().or_else(|| fleet.declaration(members[7]));
        found.push(
            Diagnostic::warning("many-etcd", span, format!("etcd has {count} members"))
                .why("every write waits for a majority of them; etcd's authors advise at most seven")
                .mend("use three or five"),
        );
    }
    let data_dir = match profile.etcd.data_dir.get() {
        None => "/var/lib/etcd".to_owned(),
        Some(given) => {
            if let Some(volatile) = volatile(&given.0) {
                found.push(
                    Diagnostic::error("volatile-data", given.span, format!("etcd's data is to lie in {}, below {volatile}", given.0))
                        .why(format!("{volatile} is empty after every boot: the cluster would lose all of its objects"))
                        .mend("use a path on the state partition, like /var/lib/etcd"),
                );
            }
            let holds_others = |folder: &&str| given.0 == **folder || is_below(folder, &given.0);
            if below_others(&given.0) || OF_OTHERS.iter().any(holds_others) {
                found.push(
                    Diagnostic::error("folder-of-others", given.span, format!("{} is a folder of the OS or of other services", given.0))
                        .why("etcd takes all rights to its folder from everybody else")
                        .mend("use a folder of its own, like /var/lib/etcd"),
                );
            }
            given.0.clone()
        }
    };
    Some(Etcd { members, data_dir, discovery })
}

/// Whether a folder lies in one where nothing of ours may.
fn below_others(path: &str) -> bool {
    const ALL: [&str; 13] = [
        "/bin",
        "/boot",
        "/etc",
        "/lib",
        "/sbin",
        "/usr",
        "/root",
        "/home/rancher",
        "/opt/kubernetes",
        "/var/log",
        "/var/lib/kubelet",
        "/var/lib/rancher",
        "/var/lib/user-docker",
    ];
    ALL.iter().any(|folder| is_below(path, folder))
}

/// Folders that more than one thing on a node works with; those above them are too.
const OF_OTHERS: [&str; 17] = [
    "/bin",
    "/boot",
    "/etc/docker",
    "/etc/ssl/certs",
    "/home/rancher",
    "/lib/modules",
    "/media",
    "/mnt",
    "/opt/kubernetes",
    "/root",
    "/sbin",
    "/usr/bin",
    "/usr/share/ros",
    "/var/lib/kubelet",
    "/var/lib/rancher/conf",
    "/var/lib/user-docker",
    "/var/lib/system-docker",
];

fn discovery(profile: &Profile, nodes: usize, fleet: &Fleet, found: &mut Diagnostics) -> Option<Discovery> {
    let given = &profile.etcd.bootstrap;
    let (service, size) = match (given.discovery.get(), given.size.get()) {
        (Some(service), Some(size)) => (service, size),
        (None, None) => return None,
        (service, size) => {
            let (missing, span) = match (service, size) {
                (None, size) => ("`discovery`, the service's URL", size.and_then(|size| size.span)),
                (service, _) => ("`size`, the number of members", service.and_then(|service| service.span)),
            };
            if !matches!(given.discovery, Given::Bad) && !matches!(given.size, Given::Bad) {
                found.push(
                    Diagnostic::error("missing-key", span, format!("`etcd.bootstrap` has no {missing}"))
                        .why("the nodes could not tell who is in etcd")
                        .mend("write `bootstrap: {discovery: https://discovery.etcd.io, size: 3}`, or leave it out: each member is told all of them"),
                );
            }
            return None;
        }
    };
    if usize::from(size.0) > nodes && !fleet.broken {
        found.push(
            Diagnostic::error("discovery-size", size.span, format!("{nodes} nodes can be in etcd, and it is to have {} members", size.0))
                .why("those that came would wait for the others for ever")
                .mend("use a smaller `size`, or give more nodes the role `etcd`"),
        );
    }
    let span = service.span;
    Some(Discovery { service: service.0.trim_end_matches('/').to_owned(), size: size.0, token: None, span })
}

/// The folder that is empty after each boot, if `path` lies in one.
pub fn volatile(path: &str) -> Option<&'static str> {
    ["/run", "/var/run", "/tmp", "/dev", "/proc", "/sys"].into_iter().find(|folder| path == *folder || is_below(path, folder))
}

/// Gives each node with pods its subnet. The number of a node's subnet is its address's offset in
/// the node network, so that adding a node changes no other; where two offsets fall on one subnet
/// (a node network with more addresses than there are subnets), the later node takes the next free.
/// flannel leaves out the first subnet (its SubnetMin, subnet/config.go), and so does this. Where some nodes
/// learn their addresses, the lower half is for those that don't, and flannel leases from the other.
pub fn subnets(fleet: &mut Fleet, classes: &[Class], network: &Network, profile: &Profile, found: &mut Diagnostics) {
    let Some(bits) = network.node_prefix.checked_sub(network.pods.prefix()) else { return };
    let count = 1u64 << bits;
    let leased = if network.reserved.is_some() { count / 2 } else { 0 };
    let usable = count - leased - 1;
    let (dynamic, known): (Vec<&Node>, Vec<&Node>) =
        fleet.nodes.iter().filter(|node| classes[node.class].is_kubernetes()).partition(|node| node.address.is_none());
    for (wanting, has, whose) in [(known.len() as u64, usable, ""), (dynamic.len() as u64, leased, " whose addresses come by DHCP")] {
        if wanting > has {
            found.push(
                Diagnostic::error(
                    "pod-network-small",
                    profile.network.pods.span(),
                    format!(
                        "the pod network {} has {has} subnets with a prefix length of {} for {wanting} nodes{whose}",
                        network.pods, network.node_prefix
                    ),
                )
                .why("nodes without a subnet can't run pods")
                .mend("use a larger pod network, or a larger `node_prefix`"),
            );
            return;
        }
    }
    let base = u64::from(u32::from(network.pods.network()));
    let first = u64::from(u32::from(network.nodes.network()));
    let mut taken: HashSet<u64> = HashSet::new();
    for node in fleet.nodes.iter_mut().filter(|node| classes[node.class].is_kubernetes()) {
        let Some(address) = node.address else { continue };
        let offset = u64::from(u32::from(address)) - first;
        let mut number = offset.saturating_sub(1) % usable;
        while !taken.insert(number) {
            number = (number + 1) % usable;
        }
        let size = 1u64 << (32 - network.node_prefix);
        let start = u32::try_from(base + (number + 1) * size).unwrap_or(u32::MAX);
        node.subnet = ipnetwork::Ipv4Network::new(Ipv4Addr::from(start), network.node_prefix).ok();
    }
}
