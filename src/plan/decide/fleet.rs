//! Declarations → nodes and classes as declared: names and addresses counted out, roles, settings merged.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::line::Line;
use crate::plan::cluster::ClusterNode;
use crate::plan::decide::names::{NODES, Pattern};
use crate::plan::decide::network::{is_host, is_ipv6_host};
use crate::profile::{Address, Group, Ipv4, Ipv6, Mac, NodeDecl, Profile, Settings};
use crate::terms::{Arch, Role};
use crate::yaml::{Field, Given, List, Scalar, Spanned};
use std::collections::HashMap;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The nodes, and what the nodes of a declaration have in common.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    pub nodes: Vec<ClusterNode>,
    pub classes: Vec<DeclaredClass>,
    /// Whether mistakes were reported, which may be why something is missing.
    pub broken: bool,
}

/// What the nodes of a declaration have in common. Declarations that differ only in name and address share one.
#[derive(Debug)]
pub(crate) struct DeclaredClass {
    pub roles: Vec<Role>,
    /// Whether its nodes learn their addresses when they boot.
    pub is_dynamic: bool,
    /// All levels merged.
    pub settings: Settings,
    /// Whether every node has a MAC address.
    pub have_macs: bool,
    /// The place of the (first) declaration.
    pub span: Option<Span>,
}

impl DeclaredClass {
    /// The processor of its nodes.
    pub(crate) fn arch(&self) -> Arch {
        self.settings.arch.value().copied().unwrap_or(Arch::Amd64)
    }
}

impl Fleet {
    pub(crate) fn has_role(&self, node: usize, role: Role) -> bool {
        self.classes[self.nodes[node].class].roles.contains(&role)
    }

    /// Whether some node learns its address when it boots.
    pub(crate) fn is_dynamic(&self) -> bool {
        self.classes.iter().any(|kind| kind.is_dynamic)
    }

    pub(crate) fn declaration(&self, node: usize) -> Option<Span> {
        self.classes.get(self.nodes.get(node)?.class)?.span
    }
}

/// All nodes that the profile declares.
pub(crate) fn expand(profile: &Profile, line: Option<&Line>, found: &mut Diagnostics) -> Fleet {
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
                    Diagnostic::new(Code::InvalidName, name.span, problem)
                        .why("the name is the machine's host name, its name in Kubernetes and part of its certificate")
                        .help("use lower-case letters, digits and dashes; a range is `worker-[01-20]`"),
                );
                continue;
            }
        };
        if fleet.nodes.len() + pattern.len() > NODES {
            fleet.broken = true;
            found.push(Diagnostic::new(Code::TooLarge, name.span, format!("more than {NODES} nodes")).help("make two clusters of it"));
            continue;
        }
        let group = node.group.value().map(|group| group.0.clone());
        let is_dynamic = match &node.address.v4 {
            Given::Is(address) => address.value == Address::Dhcp,
            _ => group.as_ref().and_then(|group| profile.groups.get(group)).is_some_and(|group| group.address.value().is_some()),
        };
        let key = (roles.clone(), group, is_dynamic);
        let kind = match shared.get(&key) {
            Some(kind) if node.settings.is_absent() => *kind,
            _ => {
                fleet.classes.push(DeclaredClass {
                    settings: settings(profile, line, node, &roles),
                    have_macs: true,
                    roles,
                    is_dynamic,
                    span: name.span,
                });
                if node.settings.is_absent() {
                    shared.insert(key, fleet.classes.len() - 1);
                }
                fleet.classes.len() - 1
            }
        };
        fleet.classes[kind].have_macs &= !node.mac.is_absent();
        place(name, node, &pattern, kind, profile, &mut seen, &mut fleet, found);
    }
    fleet
}

fn roles(profile: &Profile, name: &Spanned<String>, node: &NodeDecl, found: &mut Diagnostics) -> Vec<Role> {
    let group = node.group.value().and_then(|group| profile.groups.get(&group.0));
    let own = chosen(&node.role, &node.roles, found);
    let of_group = |group: &Group, found: &mut Diagnostics| chosen(&group.role, &group.roles, found);
    let roles = own.or_else(|| group.and_then(|group| of_group(group, found)));
    let bad = matches!(node.role, Given::Bad) || group.is_some_and(|group| matches!(group.role, Given::Bad));
    if roles.is_none() && !bad {
        found.push(
            Diagnostic::new(Code::NoRole, name.span, format!("{} has no role", name.value))
                .why("nothing would run on it")
                .help("add `role: worker`, `role: control-plane` or `roles: [control-plane, worker]`"),
        );
    }
    roles.unwrap_or_default()
}

/// The roles from `role` and `roles`, the weakest first.
fn chosen(role: &Given<Role>, roles: &List<Role>, found: &mut Diagnostics) -> Option<Vec<Role>> {
    if let (Some(role), Some(first)) = (role.get(), roles.items.first()) {
        found.push(
            Diagnostic::new(Code::ContradictingRoles, role.span, "`role` and `roles` are both given")
                .related(first.span, "the others")
                .why("remuda can't know which of them counts")
                .help("keep `roles` for several roles, or `role` for one"),
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
    addresses: HashMap<IpAddr, Option<Span>>,
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
    profile: &Profile,
    seen: &mut Seen,
    fleet: &mut Fleet,
    found: &mut Diagnostics,
) {
    let first = match &node.address.v4 {
        Given::Is(Spanned { value: Address::Known(address), span }) => Some(Spanned { value: *address, span: *span }),
        _ => None,
    };
    let is_dynamic = fleet.classes[kind].is_dynamic;
    if node.address.is_absent() && !is_dynamic {
        found.push(
            Diagnostic::new(Code::NoAddress, name.span, format!("{} has no address", name.value))
                .why("etcd, the certificates and flannel need the address at build time")
                .help("add `address: ADDRESS` in `network.nodes` (for a range, the first node's), or `address: dhcp`"),
        );
    }
    fleet.broken |= first.is_none() && !is_dynamic;
    let serial = identity(node.serial.get().map(|one| (one.0.clone(), one.span)), "serial number", name, pattern, seen, found);
    let uuid = identity(node.uuid.get().map(|one| (one.0.clone(), one.span)), "UUID", name, pattern, seen, found);
    for index in 0..pattern.len() {
        let host = pattern.name(index);
        if let Some(first) = seen.names.insert(host.clone(), name.span) {
            found.push(
                Diagnostic::new(Code::DuplicateName, name.span, format!("two nodes have the name {host}"))
                    .related(first, "the other")
                    .why("the second machine would replace the first one in Kubernetes and etcd")
                    .help("give each node its own name"),
            );
            return;
        }
        let (address, ipv6) = match &first {
            None if is_dynamic => (None, None),
            None => continue,
            Some(first) => match addresses(first, node.address.v6.get(), index, &host, profile, seen, found) {
                Some((address, ipv6)) => (Some(address), ipv6),
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
        let span = first.as_ref().map_or(name.span, |first| first.span);
        let offset = index as u32;
        fleet.nodes.push(ClusterNode {
            name: host,
            address,
            ipv6,
            mac,
            serial,
            uuid,
            class: kind,
            offset,
            subnet: None,
            ipv6_subnet: None,
            span,
        });
    }
}

/// The node's addresses; `None` if one is invalid, in which case the rest of the range isn't checked.
fn addresses(
    first: &Spanned<Ipv4>,
    second: Option<&Spanned<Ipv6>>,
    index: usize,
    host: &str,
    profile: &Profile,
    seen: &mut Seen,
    found: &mut Diagnostics,
) -> Option<(Ipv4Addr, Option<Ipv6Addr>)> {
    let (nodes, gateway) = (&profile.network.nodes, &profile.network.gateway);
    let counted = u32::try_from(index).ok().and_then(|index| u32::from(first.value.0).checked_add(index)).map(Ipv4Addr::from);
    let within = nodes.v4.value().map(|nodes| (nodes.0, format!("use an address in {}, not its first or last", nodes.0)));
    let is_outside = |address| within.as_ref().is_some_and(|(nodes, _)| !is_host(*nodes, address));
    let help = within.as_ref().map(|(_, help)| help.clone()).filter(|_| counted.is_some_and(is_outside));
    let gateway_v4 = gateway.v4.value().map(|gateway| gateway.0);
    let address = seen.address(counted, first.span, help, gateway_v4, host, found)?;
    let (Some((nodes, _)), Some(ipv6)) = (within, nodes.v6.value().map(|ipv6| ipv6.0)) else { return Some((address, None)) };
    // The same number in its network as the other address in its own, if the profile doesn't have it.
    let number = u128::from(u32::from(address) - u32::from(nodes.network()));
    let (start, number, span) = second.map_or((ipv6.network(), number, first.span), |second| (second.value.0, index as u128, second.span));
    let counted = u128::from(start).checked_add(number).map(Ipv6Addr::from);
    let help = counted.filter(|address| !is_ipv6_host(ipv6, *address)).map(|_| match second {
        Some(_) => format!("use an address in {ipv6}, not its first"),
        None => format!(
            "use a larger network than {ipv6}, or write both addresses: `address: [{address}, {}]`",
            ipv6.nth(1).unwrap_or(ipv6.ip())
        ),
    });
    let gateway_v6 = gateway.v6.value().map(|gateway| gateway.0);
    Some((address, Some(seen.address(counted, span, help, gateway_v6, host, found)?)))
}

impl Seen {
    /// An address, counted up, if one node has it and the node network is around it; `outside` says what to do if it isn't.
    fn address<A: Copy + Display + PartialEq + Into<IpAddr>>(
        &mut self,
        counted: Option<A>,
        span: Option<Span>,
        outside: Option<String>,
        gateway: Option<A>,
        host: &str,
        found: &mut Diagnostics,
    ) -> Option<A> {
        let text = counted.map_or("(counted up)".to_owned(), |address| address.to_string());
        let outside = outside.or_else(|| counted.is_none().then(|| "begin the range with a lower address".to_owned()));
        if let Some(help) = outside {
            found.push(
                Diagnostic::new(
                    Code::AddressOutside,
                    span,
                    format!("{host}'s address {text} isn't a machine's address in the node network"),
                )
                .why("the node would have an address, and certificates for it, to which the other nodes have no route")
                .help(help),
            );
            return None;
        }
        let address = counted?;
        if gateway == Some(address) {
            found.push(
                Diagnostic::new(Code::AddressIsGateway, span, format!("{host} has the gateway's address {address}"))
                    .why("every node would send it the packets that leave the network")
                    .help("give it another address"),
            );
        }
        if let Some(other) = self.addresses.insert(address.into(), span) {
            found.push(
                Diagnostic::new(Code::DuplicateAddress, span, format!("{host}'s address {address} is also another node's"))
                    .related(other, "the other")
                    .why("packets for one would reach the other")
                    .help("give each node its own address; a range counts up from the first one"),
            );
            return None;
        }
        Some(address)
    }
}

fn mac(first: &Spanned<Mac>, index: usize, host: &str, seen: &mut Seen, found: &mut Diagnostics) -> Option<Mac> {
    let mac = Mac(first.value.0 + index as u64);
    if mac.0 >> 48 != 0 || Mac::parse(&mac.to_string()).is_err() {
        found.push(
            Diagnostic::new(Code::InvalidValue, first.span, format!("{host}'s MAC address, counted up, isn't one that a machine can have"))
                .why("no network card has it, so network boot would not identify the machine")
                .help("begin the range with a lower one"),
        );
        return None;
    }
    if let Some(other) = seen.macs.insert(mac, first.span) {
        found.push(
            Diagnostic::new(Code::DuplicateMac, first.span, format!("{host}'s MAC address {mac} is also another node's"))
                .related(other, "the other")
                .why("at network boot, both machines would get the same config and be the same node")
                .help("give each node the address of its own network card"),
        );
        return None;
    }
    Some(mac)
}

/// A serial number or UUID, which only one machine has.
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
            Diagnostic::new(Code::IdentityOfRange, span, format!("{} declares several nodes with one {what}", name.value))
                .why("at network boot, one machine would be all of them")
                .help("declare these nodes one by one"),
        );
    } else if let Some(other) = seen.identities.insert(format!("{what} {identity}"), span) {
        found.push(
            Diagnostic::new(Code::DuplicateIdentity, span, format!("the {what} {identity} is also another node's"))
                .related(other, "the other")
                .why("at network boot, both machines would get the same config and be the same node")
                .help("give each node the value that its firmware reports; if it reports none, use `mac`"),
        );
    }
    Some(identity)
}
