//! The cluster's networks.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::plan::cluster::{ClusterNetwork, Ipv6Networks};
use crate::plan::decide::proxy;
use crate::profile::{Cidr, Ipv6Cidr, Profile};
use crate::terms::Backend;
use crate::yaml::Given;
use ipnetwork::{Ipv4Network, Ipv6Network};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A network, with its place if it is in the profile.
pub(crate) struct Named<Network = Ipv4Network> {
    pub what: &'static str,
    pub network: Network,
    pub span: Option<Span>,
}

/// The cluster's networks; `None` if one of them is invalid by itself.
pub(crate) fn decide(profile: &Profile, found: &mut Diagnostics) -> Option<ClusterNetwork> {
    let given = &profile.network;
    let [nodes, pods, services] = all_named(profile);
    let node_prefix = given.node_prefix.v4.value().map_or(24, |prefix| prefix.0);
    let dns = dns(profile, services.as_ref(), found);
    let nodes = nodes?;
    let proxy = proxy::decide(profile);
    let mtu = given.mtu.value().map_or(1500, |mtu| mtu.0);
    let backend = backend(profile);
    let ipv6 = ipv6(profile);
    let pod_mtu = mtu.saturating_sub(backend.overhead(ipv6.is_some()));
    Some(ClusterNetwork {
        nodes: nodes.network,
        pods: pods?.network,
        node_prefix,
        services: services?.network,
        ipv6,
        dns: dns?,
        domain: given.domain.value().map_or_else(|| "cluster.local".to_owned(), |domain| domain.0.clone()),
        backend,
        vni: given.vni.value().map_or(1, |vni| vni.0),
        mtu,
        pod_mtu,
        gateway: given.gateway.v4.value().map(|address| address.0),
        nameservers: given.nameservers.values().map(|address| address.0).collect(),
        search: given.search.values().map(|domain| domain.0.clone()).collect(),
        node_domain: given.node_domain.value().map(|domain| domain.0.clone()),
        proxy,
        reserved: None,
    })
}

/// The networks of IPv6; `None` if one of them is missing or invalid.
fn ipv6(profile: &Profile) -> Option<Ipv6Networks> {
    let given = &profile.network;
    let [nodes, pods, services] = all_named_ipv6(profile).map(|named| named.map(|named| named.network));
    let node_prefix = given.node_prefix.v6.value().map_or(64, |prefix| prefix.0);
    let gateway = given.gateway.v6.value().map(|address| address.0);
    Some(Ipv6Networks { nodes: nodes?, pods: pods?, node_prefix, services: services?, gateway })
}

/// How pods reach pods on other nodes.
pub(crate) fn backend(profile: &Profile) -> Backend {
    profile.network.backend.value().copied().unwrap_or(Backend::Vxlan)
}

/// The networks of nodes, pods and services; `None` for one that is wrong by itself.
pub(crate) fn all_named(profile: &Profile) -> [Option<Named>; 3] {
    let given = &profile.network;
    [
        named("node network", &given.nodes.v4, None),
        named("pod network", &given.pods.v4, Some("10.244.0.0/16")),
        named("service network", &given.services.v4, Some("10.96.0.0/16")),
    ]
}

/// The same of IPv6, which have no default.
pub(crate) fn all_named_ipv6(profile: &Profile) -> [Option<Named<Ipv6Network>>; 3] {
    let given = &profile.network;
    let named = |what, given: &Given<Ipv6Cidr>| given.get().map(|cidr| Named { what, network: cidr.value.0, span: cidr.span });
    [named("node network", &given.nodes.v6), named("pod network", &given.pods.v6), named("service network", &given.services.v6)]
}

fn named(what: &'static str, given: &Given<Cidr>, default: Option<&str>) -> Option<Named> {
    match given {
        Given::Bad => None,
        Given::Is(cidr) => Some(Named { what, network: cidr.value.0, span: cidr.span }),
        Given::Absent => default.map(|text| Named { what, network: text.parse().expect("a default is a network"), span: None }),
    }
}

fn dns(profile: &Profile, services: Option<&Named>, found: &mut Diagnostics) -> Option<Ipv4Addr> {
    let services = services?;
    let first = u32::from(services.network.network());
    let Some(given) = profile.network.dns.get() else {
        return (!matches!(profile.network.dns, Given::Bad)).then(|| Ipv4Addr::from(first.saturating_add(10)));
    };
    let address = given.value.0;
    let problem = if !services.network.contains(address) {
        Some(format!("{address} isn't in the service network {}", services.network))
    } else if u32::from(address) <= first + 1 || address == services.network.broadcast() {
        Some(format!("{address} is in use: the first addresses of the service network are its own and the API's"))
    } else {
        None
    };
    if let Some(problem) = problem {
        found.push(
            Diagnostic::new(Code::DnsAddress, given.span, problem)
                .why("pods would send every query to this address, but no service could have it")
                .help(format!("use an address like {}, or remove it", Ipv4Addr::from(first.saturating_add(10)))),
        );
    }
    Some(address)
}

/// Whether a machine can have `address` in `network`.
pub(crate) fn is_host(network: Ipv4Network, address: Ipv4Addr) -> bool {
    network.contains(address) && address != network.network() && address != network.broadcast()
}

/// The same of IPv6, in which the first address is any router's (RFC 4291, section 2.6.1).
pub(crate) fn is_ipv6_host(network: Ipv6Network, address: Ipv6Addr) -> bool {
    network.contains(address) && address != network.network()
}

pub(crate) fn lower_half(network: Ipv4Network) -> Ipv4Network {
    Ipv4Network::new(network.network(), network.prefix() + 1).expect("a pod network has at least two subnets")
}
