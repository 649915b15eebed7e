//! Decides the API's address.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, closest};
use crate::line::Line;
use crate::plan::cluster::{Api, ClusterNetwork, ClusterNode};
use crate::plan::decide::fleet::Fleet;
use crate::plan::decide::network::is_host;
use crate::profile::{EndpointText, Profile};
use crate::target::Target;
use crate::terms::Role;
use crate::yaml::{Field, Given, Spanned};
use std::net::Ipv4Addr;

/// Decides the API's address.
pub(crate) fn api(
    profile: &Profile,
    fleet: &Fleet,
    line: Option<&Line>,
    network: Option<&ClusterNetwork>,
    target: Option<&Target>,
    found: &mut Diagnostics,
) -> Option<Api> {
    let control_plane: Vec<usize> = (0..fleet.nodes.len()).filter(|index| fleet.has_role(*index, Role::ControlPlane)).collect();
    if control_plane.is_empty() && !fleet.broken && !profile.nodes.is_empty() {
        found.push(
            Diagnostic::new(Code::NoControlPlane, None, "no node has the role `control-plane`")
                .why("without an API, no node could register")
                .help("add `role: control-plane` to one or three nodes"),
        );
    }
    let port = profile.api.port.value().map_or_else(|| line.map_or(6443, |line| line.api.port), |port| port.0);
    let publishes = line.is_some_and(|line| line.api.published);
    let names = profile.api.names.values().map(|host| host.0.clone()).collect();
    let vip = vip(profile, fleet, line, network, &control_plane, found);
    let is_known = |index: &usize| fleet.nodes[*index].address.is_some();
    let is_balanced = control_plane.len() > 1 && control_plane.iter().all(is_known);
    let balancer = line.and_then(|line| line.api.balancer).filter(|_| is_balanced);
    let is_unknown = |index: &usize| fleet.nodes[*index].address.is_none() && profile.network.node_domain.is_absent();
    let host = match &profile.api.endpoint {
        Given::Bad => None,
        Given::Absent if publishes && control_plane.first().is_some_and(is_unknown) => {
            return Some(Api { host: None, port, names, vip: None, balancer: None });
        }
        Given::Absent if profile.api.vip.is_absent() => {
            if let [first, _, ..] = control_plane[..] {
                found.push(
                    Diagnostic::new(
                        Code::NoEndpoint,
                        fleet.declaration(first),
                        format!("{} control-plane nodes, but no `api.endpoint`", control_plane.len()),
                    )
                    .why(while_down(&fleet.nodes[first].name, balancer))
                    .help(format!("add {}", line.map_or(OWN_BALANCER, shared_address))),
                );
            }
            control_plane.first().and_then(|index| Some(fleet.nodes[*index].host(network?)))
        }
        Given::Absent => vip.map(|vip| vip.to_string()),
        Given::Is(given) => endpoint(given, fleet, network, &control_plane, target, balancer, found),
    };
    Some(Api { host: Some(host?), port, names, vip, balancer })
}

const OWN_BALANCER: &str = "`api: {endpoint: ADDRESS}` with an address or name that your load balancer owns";

/// How the API gets one address for all of its servers.
fn shared_address(line: &Line) -> &'static str {
    if line.holds_addresses() {
        "`api: {vip: ADDRESS}` with a free address of the nodes' network, which the control-plane nodes then hold themselves"
    } else {
        OWN_BALANCER
    }
}

/// What it means that only this node's API has an address that others know.
fn while_down(node: &str, balancer: Option<u16>) -> String {
    match balancer {
        None => format!("while {node} is down, the cluster can't be changed and its nodes become NotReady"),
        Some(_) => format!("while {node} is down, nobody outside the nodes reaches the API: admin.kubeconfig names only this address"),
    }
}

/// The address that the control-plane nodes hold in turn.
fn vip(
    profile: &Profile,
    fleet: &Fleet,
    line: Option<&Line>,
    network: Option<&ClusterNetwork>,
    control_plane: &[usize],
    found: &mut Diagnostics,
) -> Option<Ipv4Addr> {
    let (vip, span) = (profile.api.vip.value()?.0, profile.api.vip.span());
    if let Some(line) = line.filter(|line| !line.holds_addresses()) {
        found.push(
            Diagnostic::new(Code::VipLine, span, format!("nodes of {} can't hold the API's address themselves", line.name))
                .why("nothing on them would answer for it: no node would find the API")
                .help("use `endpoint` with an address that your load balancer owns, or a line with containerd"),
        );
    }
    if let Some(node) = control_plane.iter().map(|index| &fleet.nodes[*index]).find(|node| node.address.is_none()) {
        let name = &node.name;
        found.push(
            Diagnostic::new(Code::VipDynamic, span, format!("{name} is to hold {vip}, but its own address is unknown before it boots"))
                .why("the nodes that hold the address in turn must know each other: two would hold it at once")
                .help(format!("give {name} an `address`")),
        );
    }
    let owner = fleet.nodes.iter().find(|node| node.address == Some(vip));
    let network = network?;
    let problem = if let Some(owner) = owner {
        Some((format!("is the address of {}", owner.name), "two machines would answer for it"))
    } else if network.gateway == Some(vip) {
        Some(("is the gateway".to_owned(), "two machines would answer for it, and the nodes would lose their way out"))
    } else if profile.network.nameservers.values().any(|server| server.0 == vip) {
        Some(("is a name server's address".to_owned(), "two machines would answer for it, and the nodes would find no names"))
    } else if !network.nodes.contains(vip) {
        Some((format!("isn't in the nodes' network {}", network.nodes), "no node could hold it in a way that others find"))
    } else if !is_host(network.nodes, vip) {
        Some((format!("is the first or last address of {}", network.nodes), "no machine can have it"))
    } else {
        None
    };
    if let Some((problem, why)) = problem {
        let help = format!("use an address of {} that no machine has and no DHCP server gives", network.nodes);
        found.push(Diagnostic::new(Code::VipAddress, span, format!("{vip} {problem}")).why(why).help(help));
    }
    Some(vip)
}

fn endpoint(
    given: &Spanned<EndpointText>,
    fleet: &Fleet,
    network: Option<&ClusterNetwork>,
    control_plane: &[usize],
    target: Option<&Target>,
    balancer: Option<u16>,
    found: &mut Diagnostics,
) -> Option<String> {
    let (text, span) = (given.0.as_str(), given.span);
    let address = text.parse::<Ipv4Addr>().ok();
    let is_its = |node: &ClusterNode| node.name == text || (address.is_some() && node.address == address);
    let owner = fleet.nodes.iter().position(|node| is_its(node) || network.is_some_and(|network| node.host(network) == text));
    let Some(owner) = owner else {
        if let (Some(address), Some(network)) = (address, network) {
            for (what, taken) in [("pod", network.pods), ("service", network.services)] {
                if taken.contains(address) {
                    found.push(
                        Diagnostic::new(Code::EndpointInside, span, format!("the endpoint {address} is in the {what} network {taken}"))
                            .why("no load balancer outside the cluster can own it: no node would find the API")
                            .help("use an address that your load balancer owns"),
                    );
                }
            }
        }
        let problem = match address {
            Some(address) => (target.into_iter().flat_map(|target| &target.reserved))
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
                        format!("no node is named `{text}`; did you mean `{meant}`?"),
                        "it would be used as a DNS name: no node would find the API".to_owned(),
                    )
                })
            }
        };
        if let Some((problem, why)) = problem {
            found.push(
                Diagnostic::new(Code::EndpointNowhere, span, problem)
                    .why(why)
                    .help("use a control-plane node's name, or an address or a full DNS name that your load balancer owns"),
            );
        }
        return Some(text.to_owned());
    };
    if !control_plane.contains(&owner) {
        found.push(
            Diagnostic::new(
                Code::EndpointNotControlPlane,
                span,
                format!("the endpoint is {}, which isn't a control-plane node", fleet.nodes[owner].name),
            )
            .why("no API server runs there: no node could register")
            .help(match control_plane.first() {
                Some(index) => format!("use {}, or an address that your load balancer owns", fleet.nodes[*index].name),
                None => "use a control-plane node".to_owned(),
            }),
        );
    } else if control_plane.len() > 1 {
        found.push(
            Diagnostic::new(Code::SingleEndpoint, span, format!("the endpoint is one of {} control-plane nodes", control_plane.len()))
                .why(while_down(&fleet.nodes[owner].name, balancer))
                .help("use an address or a name that your load balancer owns"),
        );
    }
    Some(fleet.nodes[owner].host(network?))
}
