//! Network interfaces: what nobody makes, what contradicts itself, and addresses that lead to the wrong place.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, closest};
use crate::plan::decide::fleet::{DeclaredClass, Fleet};
use crate::plan::decide::interfaces::{ETHERNET, own, vlan};
use crate::plan::decide::network::{Named, all_named, is_host};
use crate::profile::{BY_MAC, Interface, InterfaceSettings, Profile, interface_key, route};
use crate::target::Target;
use crate::yaml::{Field, Scalar, Spanned};
use ipnetwork::Ipv4Network;
use std::collections::HashMap;
use std::net::Ipv4Addr;

/// Checks the interfaces of every class, and then that no two nodes have an address in common.
pub(crate) fn check(profile: &Profile, fleet: &Fleet, target: Option<&Target>, found: &mut Diagnostics) {
    for kind in &fleet.classes {
        let mut class = Class { kind, profile, target, found };
        class.names();
        for (name, given) in kind.settings.interfaces.iter() {
            class.kinds(name, given);
            class.members(name, given);
            class.vlan(name, given);
            class.dhcp(name, given);
            class.networks(name, given);
            class.gateways(name, given);
            class.mtu(name, given);
        }
        class.gateway();
        class.routes();
    }
    own_by_mac(fleet, found);
    addresses(profile, fleet, found);
}

fn contradiction(span: Option<Span>, problem: String) -> Diagnostic {
    Diagnostic::new(Code::ContradictingInterfaces, span, problem)
}

struct Class<'c, 'd> {
    kind: &'c DeclaredClass,
    profile: &'c Profile,
    target: Option<&'c Target>,
    found: &'d mut Diagnostics,
}

impl<'c> Class<'c, '_> {
    fn declared(&self, name: &str) -> Option<&'c InterfaceSettings> {
        self.kind.settings.interfaces.get(name)
    }

    fn is_own(&self, name: &str) -> bool {
        own(self.kind) == Some(name)
    }

    /// Names that an interface can't have, and names of interfaces that nothing makes.
    fn names(&mut self) {
        let settings = &self.kind.settings;
        for (name, _) in settings.interfaces.iter() {
            if let Err(problem) = interface_key(&name.value) {
                self.found.push(
                    Diagnostic::new(Code::InvalidName, name.span, problem)
                        .why("the OS would configure no interface by this name, or the wrong one")
                        .help("write the name of a network card, `mac=52:54:00:12:34:56`, or a name of your own for a bond, a bridge or a VLAN"),
                );
            } else if Interface::parse(&name.value).is_ok_and(|name| name.is_made()) && !self.is_made(&name.value) {
                self.undeclared(name.span, &name.value, "has neither `bond`, `bridge` nor `vlan`");
            }
        }
        let own = settings.interface.get().map(|own| (&own.value, own.span));
        for (name, span) in own.into_iter() {
            self.exists(name, span);
        }
        for pattern in settings.dhcp.iter().filter(|pattern| !pattern.0.contains('*')) {
            if let Ok(name) = Interface::parse(&pattern.0) {
                self.exists(&name, pattern.span);
            }
        }
    }

    fn is_made(&self, name: &str) -> bool {
        self.declared(name).is_some_and(|given| is_made(name, given))
    }

    /// An interface that isn't a network card must be declared.
    fn exists(&mut self, name: &Interface, span: Option<Span>) {
        if name.is_made() && self.declared(&name.0).is_none() {
            self.undeclared(span, &name.0, "isn't in `interfaces`");
        }
    }

    fn undeclared(&mut self, span: Option<Span>, name: &str, problem: &str) {
        let example = match name.rsplit_once('.').filter(|(_, id)| id.parse::<u16>().is_ok()) {
            Some(_) => format!("add `interfaces: {{{name}: {{}}}}`"),
            None if name.starts_with("br") => format!("add `interfaces: {{{name}: {{bridge: {{members: [eth0]}}}}}}`"),
            None if name.contains('.') || name.starts_with("vlan") => {
                format!("add `interfaces: {{{name}: {{vlan: {{id: 100, parent: eth0}}}}}}`")
            }
            None => format!("add `interfaces: {{{name}: {{bond: {{members: [eth0, eth1]}}}}}}`"),
        };
        let names = self.kind.settings.interfaces.iter().map(|(name, _)| name.value.as_str()).filter(|one| *one != name);
        let help = closest(name, names).map_or(example.clone(), |meant| format!("did you mean `{meant}`? Otherwise {example}"));
        self.found.push(
            Diagnostic::new(Code::UndeclaredInterface, span, format!("the interface {name} {problem}"))
                .why("no machine has a bond, a bridge or a VLAN by itself: nothing on the node would make it, and it would have no address")
                .help(help),
        );
    }

    /// An interface is one thing, with all that this needs.
    fn kinds(&mut self, name: &Spanned<String>, given: &InterfaceSettings) {
        let kinds = [(given.bond.is_absent(), "bond"), (given.bridge.is_absent(), "bridge"), (given.vlan.is_absent(), "vlan")];
        let kinds: Vec<&str> = kinds.into_iter().filter(|(is_absent, _)| !is_absent).map(|(_, kind)| kind).collect();
        if let [one, other, ..] = kinds[..] {
            self.found.push(
                contradiction(name.span, format!("{} is both a {one} and a {other}", name.value))
                    .why("the OS makes only one of them")
                    .help("declare two interfaces; one can be a member or the parent of the other"),
            );
        }
        if name.value.starts_with(BY_MAC) && !kinds.is_empty() {
            self.found.push(
                contradiction(name.span, format!("{} is a network card and a {}", name.value, kinds[0]))
                    .why("a MAC address selects a network card, and doesn't name a new interface")
                    .help("write a name, like bond0"),
            );
        }
        let memberless =
            [("bond", &given.bond.members, given.bond.is_absent()), ("bridge", &given.bridge.members, given.bridge.is_absent())];
        for (kind, members, is_absent) in memberless {
            if !is_absent && members.is_empty() {
                self.incomplete(name, &format!("the {kind} {} has no members", name.value), "members: [eth0, eth1]");
            }
        }
        if !given.vlan.is_absent() && !given.vlan.is_bad() && vlan(&name.value, given).is_none() {
            self.incomplete(name, &format!("the VLAN {} has no number or no parent", name.value), "vlan: {id: 100, parent: eth0}");
        }
    }

    fn incomplete(&mut self, name: &Spanned<String>, problem: &str, example: &str) {
        self.found.push(
            Diagnostic::new(Code::UndeclaredInterface, name.span, problem)
                .why("nothing on the node would make it, and it would have no address")
                .help(format!("add `{example}`")),
        );
    }

    /// Members of bonds and bridges have no settings of their own.
    fn members(&mut self, name: &Spanned<String>, given: &InterfaceSettings) {
        let settings = &self.kind.settings;
        let of_bond = given.bond.members.iter().map(|member| (member, true));
        for (member, is_bond) in of_bond.chain(given.bridge.members.iter().map(|member| (member, false))) {
            self.exists(&member.value, member.span);
            let theirs = self.declared(&member.0);
            let has_settings = |one: &InterfaceSettings| {
                let is_bare = one.addresses.is_absent() && one.dhcp.is_absent() && one.gateway.is_absent() && one.routes.is_absent();
                !is_bare || !one.bridge.is_absent()
            };
            let is_member_of = |(other, one): &(&Spanned<String>, &InterfaceSettings)| {
                let is_in = |members: &crate::yaml::List<Interface>| members.values().any(|one| *one == member.value);
                other.value != name.value && (is_in(&one.bond.members) || is_in(&one.bridge.members))
            };
            let carries = |(other, one): &(&Spanned<String>, &InterfaceSettings)| {
                vlan(&other.value, one).is_some_and(|(_, parent)| parent == member.0.as_str())
            };
            let problem = if member.0 == name.value {
                Some("itself".to_owned())
            } else if self.is_own(&member.0) {
                Some("the node's own interface".to_owned())
            } else if theirs.is_some_and(|one| is_bond || has_settings(one)) {
                Some("also configured by itself".to_owned())
            } else if settings.dhcp.values().any(|pattern| pattern.0 == member.0) {
                Some("also in `dhcp`".to_owned())
            } else if let Some((other, _)) = settings.interfaces.iter().find(is_member_of) {
                Some(format!("also a member of {}", other.value))
            } else {
                settings.interfaces.iter().find(carries).map(|(other, _)| format!("also the parent of {}", other.value))
            };
            if let Some(problem) = problem {
                self.found.push(
                    contradiction(member.span, format!("{}, a member of {}, is {problem}", member.0, name.value))
                        .why(format!("packets for it arrive at {}: the OS drops a member's own settings", name.value))
                        .help(format!("say it of {} instead, or use another member", name.value)),
                );
            }
        }
        if let Some(primary) = given.bond.primary.get().filter(|primary| !given.bond.members.values().any(|one| *one == primary.value)) {
            self.found.push(
                contradiction(primary.span, format!("{}, preferred in {}, isn't one of its members", primary.0, name.value))
                    .why("the kernel ignores it")
                    .help("write one of `members`"),
            );
        }
    }

    fn vlan(&mut self, name: &Spanned<String>, given: &InterfaceSettings) {
        let Some((id, parent)) = vlan(&name.value, given).filter(|_| interface_key(&name.value).is_ok()) else { return };
        let span = given.vlan.parent.span().or(name.span);
        if !(1..=4094).contains(&id) {
            self.found.push(
                Diagnostic::new(Code::InvalidName, name.span, format!("{} would be the VLAN {id}", name.value))
                    .why("VLANs have the numbers 1 to 4094: the kernel refuses another one")
                    .help("use a name like eth0.100"),
            );
        }
        match Interface::parse(&parent) {
            Ok(parent) => self.exists(&parent, span),
            Err(problem) => self.found.push(
                Diagnostic::new(Code::InvalidName, span, format!("{} can't be a VLAN of {parent}: {problem}", name.value))
                    .why("the OS would not find the parent and would not make the VLAN")
                    .help("use a network card, a bond or a bridge"),
            ),
        }
        if self.declared(&parent).is_some_and(|one| vlan(&parent, one).is_some()) {
            self.found.push(
                contradiction(span, format!("{} is a VLAN of the VLAN {parent}", name.value))
                    .why(
                        "the OS makes all VLANs at once, and one whose parent doesn't exist yet fails (pkg/netconf, createSlaveInterfaces)",
                    )
                    .help("use a network card, a bond or a bridge as the parent"),
            );
        }
        let is_same = |(other, one): &(&Spanned<String>, &InterfaceSettings)| {
            other.value != name.value && vlan(&other.value, one).is_some_and(|theirs| theirs == (id, parent.clone()))
        };
        if let Some((other, _)) = self.kind.settings.interfaces.iter().find(is_same)
            && other.span > name.span
        {
            self.found.push(
                contradiction(other.span, format!("{} and {} are both the VLAN {id} of {parent}", name.value, other.value))
                    .related(name.span, "the other")
                    .why("the kernel refuses the second one")
                    .help("give each its own number"),
            );
        }
    }

    /// Where DHCP runs, the OS applies nothing else.
    fn dhcp(&mut self, name: &Spanned<String>, given: &InterfaceSettings) {
        let is_own = self.is_own(&name.value);
        let is_dynamic = is_own && self.kind.is_dynamic;
        let by_dhcp = given.dhcp.value().is_some_and(|dhcp| dhcp.0);
        let listed = self.kind.settings.dhcp.iter().find(|pattern| pattern.0 == name.value);
        if let Some(listed) = listed {
            self.found.push(
                contradiction(listed.span, format!("{} is in `dhcp` and in `interfaces`", name.value))
                    .related(name.span, "here")
                    .why("the OS has one entry for an interface")
                    .help(format!("write `interfaces: {{{}: {{dhcp: true}}}}`", name.value)),
            );
        }
        if is_own && by_dhcp && !self.kind.is_dynamic {
            self.found.push(
                contradiction(given.dhcp.span(), format!("{} has the node's own address but would also get one by DHCP", name.value))
                    .why("the OS would use only DHCP, so the node's address would differ from the one in the other nodes' configs")
                    .help("remove it, or write `address: dhcp`"),
            );
        }
        if !by_dhcp && !is_dynamic {
            return;
        }
        let address = given.addresses.iter().next().map(|address| address.span);
        for (span, what) in address.map(|span| (span, "addresses")).into_iter().chain(given.gateway.get().map(|one| (one.span, "gateway")))
        {
            self.found.push(
                contradiction(span, format!("{} has DHCP and `{what}`", name.value))
                    .why("where DHCP runs, the OS sets neither addresses nor a gateway (pkg/netconf, applyOuter)")
                    .help("keep one of them; the DHCP server can also announce a gateway"),
            );
        }
    }

    /// Networks of further addresses overlap no other one.
    fn networks(&mut self, name: &Spanned<String>, given: &InterfaceSettings) {
        let [nodes, pods, services] = all_named(self.profile);
        let nodes = nodes.filter(|_| !self.is_own(&name.value));
        for address in given.addresses.iter() {
            let network = address.value.0;
            let named = [&nodes, &pods, &services].into_iter().flatten().find(|named: &&Named| named.network.overlaps(network));
            let reserved = self.target.iter().flat_map(|target| &target.reserved).find(|reserved| reserved.network.overlaps(network));
            let of_others = || {
                let others = self.kind.settings.interfaces.iter().filter(|(other, _)| other.value != name.value);
                let mut addresses = others.flat_map(|(other, one)| one.addresses.iter().map(move |address| (other, address)));
                let found = addresses.find(|(_, theirs)| theirs.span < address.span && theirs.0.overlaps(network));
                found.map(|(other, theirs)| (other, theirs.0))
            };
            let (what, why) = if let Some(named) = named {
                (
                    format!("the {} {}", named.what, named.network),
                    "packets to an address in both would leave through the wrong interface".to_owned(),
                )
            } else if let Some(reserved) = reserved {
                (format!("{}, {}", reserved.network, reserved.owner), reserved.why.clone())
            } else if let Some((other, theirs)) = of_others() {
                (format!("{theirs} of {}", other.value), "the kernel would use only one of the two interfaces to reach it".to_owned())
            } else {
                continue;
            };
            self.found.push(
                Diagnostic::new(Code::InterfaceNetwork, address.span, format!("{network} of {} is in {what}", name.value))
                    .why(why)
                    .help("use a network that nothing else uses"),
            );
        }
    }

    /// A gateway is reached directly, or the kernel refuses it.
    fn gateways(&mut self, name: &Spanned<String>, given: &InterfaceSettings) {
        let mut networks: Vec<Ipv4Network> = given.addresses.values().map(|address| address.0).collect();
        if self.is_own(&name.value) {
            networks.extend(self.profile.network.nodes.v4.value().map(|nodes| nodes.0));
        }
        let is_learned = given.dhcp.value().is_some_and(|dhcp| dhcp.0) || (self.is_own(&name.value) && self.kind.is_dynamic);
        if is_learned || (name.value.starts_with(BY_MAC) && self.kind.have_macs) {
            return;
        }
        let valid = given.routes.iter().filter(|(to, _)| route(&to.value).is_ok());
        let routes = valid.filter_map(|(to, via)| Some((format!("{}'s gateway", to.value), via.get()?)));
        for (what, via) in given.gateway.get().map(|gateway| ("the gateway".to_owned(), gateway)).into_iter().chain(routes) {
            let address = via.value.0;
            let is_near = |network: &Ipv4Network| network.contains(address) && (network.prefix() > 30 || is_host(*network, address));
            if !networks.iter().any(is_near) {
                self.found.push(
                    Diagnostic::new(Code::GatewayOutside, via.span, format!("{what} {address} isn't in a network of {}", name.value))
                        .why("the kernel refuses a gateway that it can't reach directly: the node would have no such route")
                        .help(match networks.first() {
                            Some(own) => {
                                format!("use an address in {}/{}, or add one in the gateway's network", own.network(), own.prefix())
                            }
                            None => "add `addresses` in the gateway's network".to_owned(),
                        }),
                );
            }
        }
    }

    /// The kernel keeps one default gateway; the OS adds each without a priority.
    fn gateway(&mut self) {
        let given = self.kind.settings.interfaces.iter().filter_map(|(name, one)| Some((name, one.gateway.get()?)));
        let given: Vec<_> = given.collect();
        if let [(first, one), (second, other), ..] = given[..] {
            self.found.push(
                contradiction(other.span, format!("{} and {} both have a `gateway`", first.value, second.value))
                    .related(one.span, "the other")
                    .why("the kernel keeps the first default route and refuses the second one")
                    .help("keep one, and write `routes` for what the other one leads to"),
            );
        }
    }

    fn routes(&mut self) {
        let mut seen: HashMap<Ipv4Network, Option<Span>> = HashMap::new();
        for (to, span, is_set) in
            self.kind.settings.interfaces.iter().flat_map(|(_, one)| one.routes.iter().map(|(to, via)| (to, to.span, via.get().is_some())))
        {
            let network = match route(&to.value) {
                Ok(network) => network,
                Err(problem) => {
                    self.found.push(
                        Diagnostic::new(Code::InvalidName, span, problem)
                            .why("the node would have no such route")
                            .help("write a network like 10.9.0.0/16; a default route is `gateway`"),
                    );
                    continue;
                }
            };
            let is_within = |named: &&Named| named.network.contains(network.network()) && named.network.prefix() <= network.prefix();
            let networks = all_named(self.profile);
            let named = networks.iter().flatten().find(is_within);
            let reserved = self
                .target
                .iter()
                .flat_map(|target| &target.reserved)
                .find(|one| one.network.overlaps(network) && network.prefix() >= one.network.prefix());
            if let Some(what) = named.map(|named| format!("the {}", named.what)).or(reserved.map(|one| one.owner.clone())) {
                self.found.push(
                    Diagnostic::new(Code::NetworkOverlap, span, format!("the route to {network} leads into {what}"))
                        .why("packets to nodes, pods or the node itself would be sent to the gateway")
                        .help("use a network outside the cluster"),
                );
            }
            if let (Some(first), true) = (seen.insert(network, span), is_set) {
                self.found.push(
                    contradiction(span, format!("two interfaces have a route to {network}"))
                        .related(first, "the other")
                        .why("only the last one counts")
                        .help("keep one of them"),
                );
            }
        }
    }

    /// MTUs that the kernel refuses; the OS then leaves the interface down.
    fn mtu(&mut self, name: &Spanned<String>, given: &InterfaceSettings) {
        let of_network = self.profile.network.mtu.value().map_or(ETHERNET, |mtu| mtu.0);
        if let Some(mtu) = given.mtu.get().filter(|mtu| self.is_own(&name.value) && mtu.value.0 != of_network) {
            self.found.push(
                contradiction(mtu.span, format!("{} is the node's own interface, but its MTU isn't that of `network.mtu`", name.value))
                    .why("pods have the MTU that follows from `network.mtu`: larger packets than fit would be lost")
                    .help(format!("write `network: {{mtu: {}}}`, for all nodes", mtu.value.0)),
            );
        }
        let Some((_, parent)) = vlan(&name.value, given) else { return };
        let is_own = self.is_own(&name.value);
        let Some(mtu) = given.mtu.value().map(|mtu| mtu.0).or(is_own.then_some(of_network)) else { return };
        let theirs = self.declared(&parent);
        let of_parent = match (self.is_own(&parent), theirs.and_then(|one| one.mtu.value())) {
            (true, _) => of_network,
            (_, Some(theirs)) => theirs.0,
            // It has the VLAN's; but the OS can't give a bridge a large MTU before its members.
            (_, None) if theirs.is_some_and(|one| !one.bridge.is_absent()) => ETHERNET,
            (_, None) => return,
        };
        let is_bridge = theirs.is_some_and(|one| !one.bridge.is_absent());
        if mtu > of_parent || (is_bridge && mtu > ETHERNET) {
            self.found.push(
                Diagnostic::new(Code::InterfaceMtu, given.mtu.span().or(name.span), format!("the VLAN {} has the MTU {mtu}", name.value))
                    .why(format!(
                        "the kernel refuses more than {parent} has when the OS sets it up, {}, and the OS then leaves the VLAN down",
                        if is_bridge { ETHERNET } else { of_parent }
                    ))
                    .help(match is_bridge {
                        true => "make VLANs of the network card, and a bridge of a VLAN".to_owned(),
                        false => format!("use at most {of_parent}, or a larger `mtu` for {parent}"),
                    }),
            );
        }
    }
}

/// Nodes whose own interface only a MAC address says. The OS goes by it before any name: it would take a member or a
/// parent away.
fn own_by_mac(fleet: &Fleet, found: &mut Diagnostics) {
    let mut seen: Vec<usize> = Vec::new();
    for node in &fleet.nodes {
        let settings = &fleet.classes[node.class].settings;
        let Some(mac) = node.mac.filter(|_| settings.interface.is_absent()) else { continue };
        let name = format!("{BY_MAC}{mac}");
        let by_dhcp = settings.interfaces.get(&name).and_then(|own| own.dhcp.get()).filter(|dhcp| dhcp.value.0).map(|dhcp| dhcp.span);
        let listed = settings.dhcp.iter().find(|pattern| pattern.0 == name).map(|pattern| pattern.span);
        if let Some(span) = by_dhcp.or(listed).filter(|_| node.address.is_some()) {
            found.push(
                contradiction(span, format!("{name} has {}'s own address but would also get one by DHCP", node.name))
                    .why("the OS would use only DHCP, so the node's address would differ from the one in the other nodes' configs")
                    .help("remove it, or write `address: dhcp`"),
            );
        }
        if seen.contains(&node.class) {
            continue;
        }
        seen.push(node.class);
        if let Some((made, _)) = settings.interfaces.iter().find(|(name, given)| is_made(&name.value, given)) {
            found.push(
                contradiction(made.span, format!("these nodes have {}, but only their MAC addresses say which interface is their own", made.value))
                    .why("the OS goes by a MAC address before any name (pkg/netconf, findMatch): the card with it would be no member and carry no VLAN, and a bridge has its member's MAC address")
                    .help(format!("add `interface: {}`, or the name of the node's own interface", made.value)),
            );
        }
    }
}

fn is_made(name: &str, given: &InterfaceSettings) -> bool {
    !given.bond.is_absent() || !given.bridge.is_absent() || vlan(name, given).is_some()
}

/// Addresses of ranges, counted up: each is a machine's, and only one machine's.
fn addresses(profile: &Profile, fleet: &Fleet, found: &mut Diagnostics) {
    let mut seen: HashMap<Ipv4Addr, Option<Span>> = HashMap::new();
    let own = fleet.nodes.iter().filter_map(|node| Some((node.address?, fleet.classes[node.class].span)));
    if !fleet.classes.iter().any(|kind| !kind.settings.interfaces.is_empty()) {
        return;
    }
    seen.extend(own);
    seen.extend(profile.network.gateway.v4.get().map(|gateway| (gateway.value.0, gateway.span)));
    let mut mine: HashMap<Ipv4Addr, (usize, Option<Span>)> = HashMap::new();
    for (index, node) in fleet.nodes.iter().enumerate() {
        for (name, given) in fleet.classes[node.class].settings.interfaces.iter() {
            for address in given.addresses.iter() {
                let counted = node.counted(address.value.0).filter(|counted| {
                    let network = address.value.0;
                    network.contains(counted.ip()) && (network.prefix() > 30 || is_host(network, counted.ip()))
                });
                let Some(counted) = counted else {
                    found.push(
                        Diagnostic::new(
                            Code::AddressOutside,
                            address.span,
                            format!("the address of {} on {}, counted up, isn't a machine's address in its network", name.value, node.name),
                        )
                        .why("the node would have an address at which the others in the network don't find it")
                        .help("begin with a lower address, or use a larger network"),
                    );
                    return;
                };
                let other = seen.get(&counted.ip()).copied().or_else(|| {
                    let (of, span) = mine.insert(counted.ip(), (index, address.span))?;
                    (of != index || span != address.span).then_some(span)
                });
                if let Some(other) = other {
                    found.push(
                        Diagnostic::new(
                            Code::DuplicateAddress,
                            address.span,
                            format!("{}'s address {} on {} is also another one's", node.name, counted.ip(), name.value),
                        )
                        .related(other.filter(|other| Some(*other) != address.span), "the other")
                        .why("packets for one would reach the other")
                        .help("set `addresses` for each node or range; a range counts them up from its first node's"),
                    );
                    return;
                }
            }
        }
    }
}
