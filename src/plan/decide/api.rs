//! Decides the API's address.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, closest};
use crate::line::Line;
use crate::plan::cluster::{Api, ClusterNetwork, ClusterNode};
use crate::plan::decide::fleet::Fleet;
use crate::plan::decide::network::is_host;
use crate::profile::Profile;
use crate::target::Target;
use crate::terms::Role;
use crate::yaml::{Field, Given};
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
    let is_unknown = |index: &usize| fleet.nodes[*index].address.is_none() && profile.network.node_domain.is_absent();
    let host = match &profile.api.endpoint {
        Given::Bad => None,
        Given::Absent if publishes && control_plane.first().is_some_and(is_unknown) => {
            return Some(Api { host: None, port, names });
        }
        Given::Absent => {
            if let [first, _, ..] = control_plane[..] {
                found.push(
                    Diagnostic::new(
                        Code::NoEndpoint,
                        fleet.declaration(first),
                        format!("{} control-plane nodes, but no `api.endpoint`", control_plane.len()),
                    )
                    .why(format!(
                        "all nodes would use only {}: while it is down, the cluster can't be changed and its nodes become NotReady",
                        fleet.nodes[first].name
                    ))
                    .help("add `api: {endpoint: ADDRESS}` with an address or name that your load balancer owns"),
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
    network: Option<&ClusterNetwork>,
    control_plane: &[usize],
    target: Option<&Target>,
    found: &mut Diagnostics,
) -> Option<String> {
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
                .why(format!("while {} is down, the cluster can't be changed and its nodes become NotReady", fleet.nodes[owner].name))
                .help("use an address or a name that your load balancer owns"),
        );
    }
    Some(fleet.nodes[owner].host(network?))
}
