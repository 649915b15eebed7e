//! The cluster's networks.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::plan::cluster::ClusterNetwork;
use crate::plan::decide::proxy;
use crate::profile::{Cidr, Profile};
use crate::terms::Backend;
use crate::yaml::Given;
use ipnetwork::Ipv4Network;
use std::net::Ipv4Addr;

/// A network, with its place if it is in the profile.
pub(crate) struct Named {
    pub what: &'static str,
    pub network: Ipv4Network,
    pub span: Option<Span>,
}

/// The cluster's networks; `None` if one of them is invalid by itself.
pub(crate) fn decide(profile: &Profile, found: &mut Diagnostics) -> Option<ClusterNetwork> {
    let given = &profile.network;
    let [nodes, pods, services] = all_named(profile);
    let node_prefix = given.node_prefix.value().map_or(24, |prefix| prefix.0);
    let dns = dns(profile, services.as_ref(), found);
    let nodes = nodes?;
    let proxy = proxy::decide(profile);
    let mtu = given.mtu.value().map_or(1500, |mtu| mtu.0);
    let backend = backend(profile);
    Some(ClusterNetwork {
        nodes: nodes.network,
        pods: pods?.network,
        node_prefix,
        services: services?.network,
        dns: dns?,
        domain: given.domain.value().map_or_else(|| "cluster.local".to_owned(), |domain| domain.0.clone()),
        backend,
        vni: given.vni.value().map_or(1, |vni| vni.0),
        mtu,
        pod_mtu: mtu - backend.overhead(),
        gateway: given.gateway.value().map(|address| address.0),
        nameservers: given.nameservers.values().map(|address| address.0).collect(),
        search: given.search.values().map(|domain| domain.0.clone()).collect(),
        node_domain: given.node_domain.value().map(|domain| domain.0.clone()),
        proxy,
        reserved: None,
    })
}

/// How pods reach pods on other nodes.
pub(crate) fn backend(profile: &Profile) -> Backend {
    profile.network.backend.value().copied().unwrap_or(Backend::Vxlan)
}

/// The networks of nodes, pods and services; `None` for one that is wrong by itself.
pub(crate) fn all_named(profile: &Profile) -> [Option<Named>; 3] {
    let given = &profile.network;
    [
        named("node network", &given.nodes, None),
        named("pod network", &given.pods, Some("10.244.0.0/16")),
        named("service network", &given.services, Some("10.96.0.0/16")),
    ]
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

pub(crate) fn lower_half(network: Ipv4Network) -> Ipv4Network {
    Ipv4Network::new(network.network(), network.prefix() + 1).expect("a pod network has at least two subnets")
}
