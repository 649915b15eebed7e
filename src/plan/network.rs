//! Networks and the API's endpoint.

use super::nodes::Fleet;
use super::{Api, Network};
use crate::diagnostic::{Diagnostic, Diagnostics, Span, closest};
use crate::line::Line;
use crate::os::Target;
use crate::profile::{Backend, Cidr, Profile, Role};
use crate::yaml::{Field, Given};
use ipnetwork::Ipv4Network;
use std::net::Ipv4Addr;

/// A network with its place, if the profile gives it.
struct Named {
    what: &'static str,
    network: Ipv4Network,
    span: Option<Span>,
}

/// The cluster's networks; `None` when one of them was wrong by itself.
pub fn decide(profile: &Profile, target: Option<&Target>, found: &mut Diagnostics) -> Option<Network> {
    let given = &profile.network;
    let nodes = named("node network", &given.nodes, None);
    let pods = named("pod network", &given.pods, Some("10.244.0.0/16"));
    let services = named("service network", &given.services, Some("10.96.0.0/16"));
    overlaps([&nodes, &pods, &services], target, found);
    if let Some(services) = &services {
        check_services(services, found);
    }
    let node_prefix = given.node_prefix.value().map_or(24, |prefix| prefix.0);
    if let Some(pods) = &pods {
        check_pods(pods, node_prefix, given.node_prefix.span(), found);
    }
    let dns = dns(profile, services.as_ref(), found);
    for server in given.nameservers.iter() {
        let inside = [&pods, &services].into_iter().flatten().find(|network| network.network.contains(server.value.0));
        if let Some(network) = inside {
            found.push(
                Diagnostic::error("server-inside", server.span, format!("the name server {} is in the {}", server.value.0, network.what))
                    .why("the nodes need names before anything in the cluster can answer")
                    .mend("name a server outside of the cluster; pods ask `network.dns` by themselves"),
            );
        }
    }
    let nodes = nodes?;
    gateway(profile, &nodes, found);
    let mtu = given.mtu.value().map_or(1500, |mtu| mtu.0);
    let backend = given.backend.value().copied().unwrap_or(Backend::Vxlan);
    if let (Backend::HostGw, Some(vni)) = (backend, given.vni.get()) {
        found.push(
            Diagnostic::warning("no-effect", vni.span, "`vni` is not used with `backend: host-gw`")
                .why("nothing is encapsulated")
                .mend("leave it out"),
        );
    }
    Some(Network {
        nodes: nodes.network,
        pods: pods?.network,
        node_prefix,
        services: services?.network,
        dns: dns?,
        domain: given.domain.value().map_or_else(|| "cluster.local".to_owned(), |domain| domain.0.clone()),
        backend,
        vni: given.vni.value().map_or(1, |vni| vni.0),
        mtu,
        pod_mtu: match backend {
            // An outer Ethernet header's worth of VXLAN, UDP and IP (flannel, backend/vxlan).
            Backend::Vxlan => mtu - 50,
            Backend::HostGw => mtu,
        },
        gateway: given.gateway.value().map(|address| address.0),
        nameservers: given.nameservers.values().map(|address| address.0).collect(),
        search: given.search.values().map(|domain| domain.0.clone()).collect(),
        node_domain: given.node_domain.value().map(|domain| domain.0.clone()),
        reserved: None,
    })
}

fn named(what: &'static str, given: &Given<Cidr>, default: Option<&str>) -> Option<Named> {
    match given {
        Given::Bad => None,
        Given::Is(cidr) => Some(Named { what, network: cidr.value.0, span: cidr.span }),
        Given::Absent => default.map(|text| Named { what, network: text.parse().expect("a default is a network"), span: None }),
    }
}

fn overlaps(networks: [&Option<Named>; 3], target: Option<&Target>, found: &mut Diagnostics) {
    let networks: Vec<&Named> = networks.into_iter().flatten().collect();
    for (index, one) in networks.iter().enumerate() {
        for other in &networks[index + 1..] {
            if !one.network.overlaps(other.network) {
                continue;
            }
            let (one, other) = if other.span.is_some() { (other, one) } else { (one, other) };
            let mut diagnostic = Diagnostic::error(
                "network-overlap",
                one.span,
                format!("the {} {} overlaps the {} {}", one.what, one.network, other.what, other.network),
            )
            .why("an address in both would be sent to the wrong place: pods, services or whole nodes can't be reached")
            .mend("choose networks that share no address");
            diagnostic = match other.span {
                Some(span) => diagnostic.related(span, format!("the {}", other.what)),
                None => diagnostic.label(format!("the {} is {} by default", other.what, other.network)),
            };
            found.push(diagnostic);
        }
        for reserved in target.iter().flat_map(|target| &target.facts.reserved) {
            if one.network.overlaps(reserved.network) {
                found.push(
                    Diagnostic::error(
                        "reserved-network",
                        one.span,
                        format!("the {} {} overlaps {}, {}", one.what, one.network, reserved.owner, reserved.network),
                    )
                    .why(reserved.why.clone())
                    .mend("choose another network"),
                );
            }
        }
    }
}

fn check_services(services: &Named, found: &mut Diagnostics) {
    let prefix = services.network.prefix();
    if prefix > 28 {
        found.push(
            Diagnostic::error(
                "service-network-small",
                services.span,
                format!("the service network {} has no room for its first addresses", services.network),
            )
            .why("the first address is the API's, the tenth the name server's; further services could get none")
            .mend("use a prefix length of 28 or less; 16 is usual"),
        );
    }
    if prefix < 12 {
        found.push(
            Diagnostic::error("service-network-large", services.span, format!("the service network {} is too large", services.network))
                .why("kube-apiserver exits when --service-cluster-ip-range has a prefix length below 12")
                .mend("use a prefix length of 12 or more; 16 is usual"),
        );
    }
}

fn check_pods(pods: &Named, node_prefix: u8, span: Option<Span>, found: &mut Diagnostics) {
    if node_prefix < pods.network.prefix() + 2 {
        found.push(
            Diagnostic::error(
                "pod-network-small",
                pods.span.or(span),
                format!("the pod network {} has no four subnets with a prefix length of {node_prefix}", pods.network),
            )
            .why("flannel wants room for four (subnet/config.go), leaves out the first, and exits otherwise: no node would have pods")
            .mend(format!(
                "use a larger network, with a prefix length of {} or less, or a larger `node_prefix`",
                node_prefix.saturating_sub(8).max(1)
            )),
        );
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
        Some(format!("{address} is not in the service network {}", services.network))
    } else if u32::from(address) <= first + 1 || address == services.network.broadcast() {
        Some(format!("{address} is taken: the service network's first addresses are its own and the API's"))
    } else {
        None
    };
    if let Some(problem) = problem {
        found.push(
            Diagnostic::error("dns-address", given.span, problem)
                .why("no service could have this address, and pods would ask it for every name")
                .mend(format!("use an address like {}, or leave it out", Ipv4Addr::from(first.saturating_add(10)))),
        );
    }
    Some(address)
}

fn gateway(profile: &Profile, nodes: &Named, found: &mut Diagnostics) {
    let Some(gateway) = profile.network.gateway.get() else { return };
    if !is_host(nodes.network, gateway.value.0) {
        found.push(
            Diagnostic::error(
                "gateway-outside",
                gateway.span,
                format!("the gateway {} is not an address in the node network {}", gateway.value.0, nodes.network),
            )
            .why("the kernel refuses a gateway that it can't reach directly: the node would have no default route")
            .mend(format!("use an address in {}", nodes.network)),
        );
    }
}

/// Whether a machine can have `address` in `network`.
pub fn is_host(network: Ipv4Network, address: Ipv4Addr) -> bool {
    network.contains(address) && address != network.network() && address != network.broadcast()
}

pub fn lower_half(network: Ipv4Network) -> Ipv4Network {
    Ipv4Network::new(network.network(), network.prefix() + 1).expect("a network of nodes' subnets can be halved")
}

/// Where the API is.
pub fn api(
    profile: &Profile,
    fleet: &Fleet,
    line: Option<&Line>,
    network: Option<&Network>,
    target: Option<&Target>,
    found: &mut Diagnostics,
) -> Option<Api> {
    let control_plane: Vec<usize> = (0..fleet.nodes.len()).filter(|index| fleet.has_role(*index, Role::ControlPlane)).collect();
    if control_plane.is_empty() && !fleet.broken && !profile.nodes.is_empty() {
        found.push(
            Diagnostic::error("no-control-plane", None, "no node has the role `control-plane`")
                .why("there would be no API: no node could register")
                .mend("give one or three nodes `role: control-plane`"),
        );
    }
    let port = profile.api.port.value().map_or_else(|| line.map_or(6443, |line| line.api.port), |port| port.0);
    let publishes = line.is_some_and(|line| line.api.published);
    let names = profile.api.names.values().map(|host| host.0.clone()).collect();
    let is_unknown = |index: &usize| fleet.nodes[*index].address.is_none() && profile.network.node_domain.is_absent();
    let host = match &profile.api.endpoint {
        Given::Bad => None,
        Given::Absent if publishes && control_plane.first().is_some_and(is_unknown) => {
            return Some(Api { host: None, port, names });
        }
        Given::Absent => {
            if let [first, _, ..] = control_plane[..] {
                found.push(
                    Diagnostic::warning(
                        "no-endpoint",
                        fleet.declaration(first),
                        format!("{} control-plane nodes and no `api.endpoint`", control_plane.len()),
                    )
                    .why(format!(
                        "all nodes would use {} alone: while it is down, the cluster can't be changed and its nodes become NotReady",
                        fleet.nodes[first].name
                    ))
                    .mend("add `api: {endpoint: ADDRESS}` with an address or name that your load balancer owns"),
                );
            }
            control_plane.first().and_then(|index| Some(fleet.nodes[*index].host(network?)))
        }
        Given::Is(given) => endpoint(&given.0, given.span, fleet, network, &control_plane, target, found),
    };
    Some(Api { host: Some(host?), port, names })
}

fn endpoint(
    text: &str,
    span: Option<Span>,
    fleet: &Fleet,
    network: Option<&Network>,
    control_plane: &[usize],
    target: Option<&Target>,
    found: &mut Diagnostics,
) -> Option<String> {
    let address = text.parse::<Ipv4Addr>().ok();
    let is_its = |node: &super::Node| node.name == text || (address.is_some() && node.address == address);
    let owner = fleet.nodes.iter().position(|node| is_its(node) || network.is_some_and(|network| node.host(network) == text));
    let Some(owner) = owner else {
        if let (Some(address), Some(network)) = (address, network) {
            for (what, taken) in [("pod", network.pods), ("service", network.services)] {
                if taken.contains(address) {
                    found.push(
                        Diagnostic::error("endpoint-inside", span, format!("the endpoint {address} is in the {what} network {taken}"))
                            .why("no load balancer outside of the cluster can own it: no node would find the API")
                            .mend("use an address that your load balancer owns"),
                    );
                }
            }
        }
        let problem = match address {
            Some(address) => (target.into_iter().flat_map(|target| &target.facts.reserved))
                .find(|reserved| reserved.network.contains(address))
                .map(|reserved| (format!("the endpoint {address} is in {}: {}", reserved.network, reserved.owner), reserved.why.clone()))
                .or_else(|| {
                    let nodes =
                        network.map(|network| network.nodes).filter(|nodes| nodes.contains(address) && !is_host(*nodes, address))?;
                    Some((format!("the endpoint {address} is the first or last address of {nodes}"), "no machine can have it".to_owned()))
                })
                .or_else(|| {
                    let gateway = network.and_then(|network| network.gateway).filter(|gateway| *gateway == address)?;
                    Some((format!("the endpoint {gateway} is the gateway"), "no API server runs there: no node could register".to_owned()))
                }),
            None if text == "localhost" => {
                Some(("the endpoint is `localhost`".to_owned(), "each node would look for the API on itself".to_owned()))
            }
            None => {
                closest(text, fleet.nodes.iter().take(1000).map(|node| node.name.as_str())).filter(|_| !text.contains('.')).map(|meant| {
                    (
                        format!("no node is called `{text}`; did you mean `{meant}`?"),
                        "it would be taken for a DNS name: no node would find the API".to_owned(),
                    )
                })
            }
        };
        if let Some((problem, why)) = problem {
            found.push(
                Diagnostic::error("endpoint-nowhere", span, problem)
                    .why(why)
                    .mend("use a control-plane node's name, or an address or a whole DNS name that your load balancer owns"),
            );
        }
        return Some(text.to_owned());
    };
    if !control_plane.contains(&owner) {
        found.push(
            Diagnostic::error(
                "endpoint-not-control-plane",
                span,
                format!("the endpoint is {}, which is no control-plane node", fleet.nodes[owner].name),
            )
            .why("no API server runs there: no node could register")
            .mend(match control_plane.first() {
                Some(index) => format!("use {}, or an address that your load balancer owns", fleet.nodes[*index].name),
                None => "use a control-plane node".to_owned(),
            }),
        );
    } else if control_plane.len() > 1 {
        found.push(
            Diagnostic::warning("single-endpoint", span, format!("the endpoint is one of {} control-plane nodes", control_plane.len()))
                .why(format!("while {} is down, the cluster can't be changed and its nodes become NotReady", fleet.nodes[owner].name))
                .mend("use an address or a name that your load balancer owns"),
        );
    }
    Some(fleet.nodes[owner].host(network?))
}
