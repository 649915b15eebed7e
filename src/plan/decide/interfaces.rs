//! The interfaces of a class: those that the profile declares, and the network cards of which bonds, bridges and
//! VLANs are made.

use crate::plan::cluster::{Made, Master, PlannedInterface};
use crate::plan::decide::fleet::DeclaredClass;
use crate::profile::{Bond, InterfaceSettings, Settings, route};
use crate::yaml::{Field, Map};
use std::borrow::Cow;

/// The MTU of Ethernet, which an interface has without any setting.
pub(crate) const ETHERNET: u16 = 1500;

/// The interfaces, in the order of the profile; `mtu` is that of the nodes' network. The node's own is here only if it
/// has more than its address.
pub(crate) fn decide(kind: &DeclaredClass, mtu: u16) -> Vec<PlannedInterface> {
    let settings = &kind.settings;
    let mut all: Vec<PlannedInterface> = settings.interfaces.iter().map(|(name, given)| declared(&name.value, given)).collect();
    for (name, given) in settings.interfaces.iter() {
        let of_bond = given.bond.members.values().map(|member| (member, Master::Bond(name.value.clone())));
        let of_bridge = given.bridge.members.values().map(|member| (member, Master::Bridge(name.value.clone())));
        for (member, master) in of_bond.chain(of_bridge) {
            let member = of_name(&mut all, &member.0, kind, mtu);
            // Where DHCP runs, the OS makes nothing a member.
            (member.master, member.by_dhcp) = (Some(master), false);
        }
    }
    for (name, given) in settings.interfaces.iter() {
        if let Some((id, parent)) = vlan(&name.value, given) {
            of_name(&mut all, &parent, kind, mtu).vlans.push((id, name.value.clone()));
        }
    }
    carry_mtus(&mut all, own(kind), mtu);
    all
}

/// The name of the nodes' own interface; `None` if a MAC address selects it on some.
pub(crate) fn own(kind: &DeclaredClass) -> Option<&str> {
    // Without a name and a MAC address, it is the first interface or, with DHCP, any.
    let first = if kind.is_dynamic { "eth*" } else { "eth0" };
    kind.settings.interface.value().map(|own| own.0.as_str()).or((!kind.have_macs).then_some(first))
}

/// The number and the parent of a VLAN, said by its settings or by its name.
pub(crate) fn vlan<'n>(name: &'n str, given: &'n InterfaceSettings) -> Option<(u16, Cow<'n, str>)> {
    let of_name = name.rsplit_once('.').and_then(|(parent, id)| Some((id.parse().ok()?, parent)));
    let id = given.vlan.id.value().map(|id| id.0).or(of_name.map(|(id, _)| id))?;
    let parent = given.vlan.parent.value().map(|parent| parent.0.as_str()).or(of_name.map(|(_, parent)| parent))?;
    Some((id, parent.into()))
}

fn declared(name: &str, given: &InterfaceSettings) -> PlannedInterface {
    PlannedInterface {
        name: name.to_owned(),
        addresses: given.addresses.values().map(|address| address.0).collect(),
        by_dhcp: given.dhcp.value().is_some_and(|dhcp| dhcp.0),
        gateway: given.gateway.value().map(|gateway| gateway.0),
        mtu: given.mtu.value().map(|mtu| mtu.0),
        routes: routes(&given.routes),
        made: match (given.bond.is_absent(), given.bridge.is_absent(), vlan(name, given)) {
            (false, ..) => Made::Bond(options(&given.bond)),
            (_, false, _) => Made::Bridge,
            (.., Some(_)) => Made::Vlan,
            (.., None) => Made::Card,
        },
        ..PlannedInterface::default()
    }
}

fn routes(given: &Map<crate::yaml::Given<crate::profile::Ipv4>>) -> Vec<(ipnetwork::Ipv4Network, std::net::Ipv4Addr)> {
    given.iter().filter_map(|(to, via)| Some((route(&to.value).ok()?, via.value()?.0))).collect()
}

/// The bond's options, by the kernel's names.
fn options(bond: &Bond) -> Vec<(&'static str, String)> {
    let mode = bond.mode.value().map_or("active-backup", |mode| mode.as_str());
    let mut options = vec![("mode", mode.to_owned()), ("miimon", bond.miimon.value().map_or(100, |miimon| miimon.0).to_string())];
    options.extend(bond.lacp_rate.value().map(|rate| ("lacp_rate", rate.to_string())));
    options.extend(bond.xmit_hash_policy.value().map(|policy| ("xmit_hash_policy", policy.to_string())));
    options.extend(bond.primary.value().map(|primary| ("primary", primary.to_string())));
    options
}

/// The interface with this name. One that nobody declared keeps what a pattern of `dhcp` says of it: the OS applies
/// only the entry that fits best.
fn of_name<'a>(all: &'a mut Vec<PlannedInterface>, name: &str, kind: &DeclaredClass, mtu: u16) -> &'a mut PlannedInterface {
    let index = all.iter().position(|one| one.name == name).unwrap_or_else(|| {
        let is_any = own(kind) == Some("eth*") && glob("eth*", name);
        all.push(PlannedInterface {
            name: name.to_owned(),
            by_dhcp: is_any || by_dhcp(&kind.settings, name),
            mtu: is_any.then_some(mtu).filter(|mtu| *mtu != ETHERNET),
            ..PlannedInterface::default()
        });
        all.len() - 1
    });
    &mut all[index]
}

/// Whether `dhcp` lists the interface, or a pattern for it.
pub(crate) fn by_dhcp(settings: &Settings, name: &str) -> bool {
    settings.dhcp.values().any(|pattern| glob(&pattern.0, name))
}

/// Whether a pattern of the OS fits: `*` is anything.
fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => name.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
        None => pattern == name,
    }
}

/// A bridge's members have its MTU, and a VLAN's parent at least the VLAN's: the kernel refuses anything else.
fn carry_mtus(all: &mut [PlannedInterface], own: Option<&str>, mtu: u16) {
    let of = |one: &PlannedInterface| if own == Some(one.name.as_str()) { Some(mtu) } else { one.mtu };
    let bridges: Vec<(String, u16)> = all.iter().filter_map(|one| Some((one.name.clone(), of(one)?))).collect();
    for one in all.iter_mut().filter(|one| one.mtu.is_none()) {
        let Some(Master::Bridge(bridge)) = &one.master else { continue };
        one.mtu = bridges.iter().find(|(name, _)| name == bridge).map(|(_, mtu)| *mtu).filter(|mtu| *mtu != ETHERNET);
    }
    let vlans: Vec<(String, u16)> = all.iter().filter_map(|one| Some((one.name.clone(), of(one)?))).collect();
    for one in all.iter_mut().filter(|one| one.mtu.is_none() && own != Some(one.name.as_str())) {
        let theirs = one.vlans.iter().filter_map(|(_, vlan)| vlans.iter().find(|(name, _)| name == vlan));
        one.mtu = theirs.map(|(_, mtu)| *mtu).max().filter(|mtu| *mtu > ETHERNET);
    }
}
