//! Servers at addresses where a node would find only itself.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::plan::cluster::ClusterNode;
use crate::plan::decide::fleet::Fleet;
use crate::plan::decide::network::{all_named, all_named_ipv6};
use crate::plan::decide::servers::{Server, host, servers};
use crate::profile::Profile;
use crate::target::Target;
use crate::terms::Delivery;
use crate::yaml::Field;
use std::net::{IpAddr, Ipv4Addr};

/// Checks the address of every server that the profile names.
pub(crate) fn check(profile: &Profile, target: Option<&Target>, found: &mut Diagnostics) {
    for server in servers(profile) {
        let own = (server.host == "localhost").then_some(Ipv4Addr::LOCALHOST.into());
        let Some(address) = server.host.parse().ok().or(own) else { continue };
        if let Some((place, why)) = nowhere(address, profile, target) {
            found.push(
                Diagnostic::new(Code::ServerInside, server.span, format!("{} {} is in {place}", server.what, server.host))
                    .why(why)
                    .help(help(&server)),
            );
        }
    }
    search(profile, found);
}

/// The registries of the profile's own services.
pub(crate) fn check_images(profile: &Profile, fleet: &Fleet, target: Option<&Target>, found: &mut Diagnostics) {
    for (_, service) in fleet.classes.iter().flat_map(|kind| kind.settings.services.iter()) {
        let Some(image) = service.image.get().filter(|image| !image.varies()) else { continue };
        let Some((registry, _)) = image.text.split_once('/') else { continue };
        // Unlike other servers, a registry on the node itself can be meant: another service may be one.
        let Some(address) = host(registry).parse().ok().filter(|address: &IpAddr| !address.is_loopback()) else { continue };
        if let Some((place, why)) = nowhere(address, profile, target) {
            found.push(
                Diagnostic::new(Code::ServerInside, image.span, format!("the registry {registry} is in {place}"))
                    .why(why)
                    .help("use the address that it has in the nodes' network or outside"),
            );
        }
    }
}

/// Servers of images that are nodes: they must have what they serve before they start.
pub(crate) fn check_own(profile: &Profile, fleet: &Fleet, found: &mut Diagnostics) {
    let delivery = profile.images.delivery.value();
    for server in servers(profile) {
        // An engine goes on without a mirror.
        let is_needed = match server.key {
            "images.url" => delivery == Some(&Delivery::Url),
            "images.registry" => delivery == Some(&Delivery::Registry),
            "images.mirror" | "images.mirrors" => false,
            _ => continue,
        };
        let is_it = |node: &&ClusterNode| node.address.is_some_and(|address| address.to_string() == server.host);
        let Some(node) = fleet.nodes.iter().find(is_it) else { continue };
        found.push(if is_needed && fleet.nodes.len() == 1 {
            Diagnostic::new(
                Code::ImagesFromItself,
                server.span,
                format!("{} {} is at the address of the only node", server.what, server.host),
            )
            .why("it has no image before it has fetched it from itself: nothing would start")
            .help("write the address of another machine, or use `delivery: preload`")
        } else {
            Diagnostic::new(
                Code::ImagesFromNode,
                server.span,
                format!("{} {} is at the address of {}", server.what, server.host, node.name),
            )
            .why(format!("after a power cut at the site the nodes wait for {}, which may wait for its own images", node.name))
            .help("write the address of a machine outside the cluster; a node that serves without images of the cluster can be meant")
        });
    }
}

/// A network in which no server of the nodes can be, and why.
fn nowhere(address: IpAddr, profile: &Profile, target: Option<&Target>) -> Option<(String, String)> {
    let ([_, pods, services], [_, ipv6_pods, ipv6_services]) = (all_named(profile), all_named_ipv6(profile));
    let inside = match address {
        IpAddr::V4(address) => [pods, services].into_iter().flatten().find(|named| named.network.contains(address)).map(|named| named.what),
        IpAddr::V6(address) => {
            [ipv6_pods, ipv6_services].into_iter().flatten().find(|named| named.network.contains(address)).map(|named| named.what)
        }
    };
    if let Some(what) = inside {
        let why = "the nodes need it before anything in the cluster can answer";
        return Some((format!("the {what}"), why.to_owned()));
    }
    let own = "each node would look for it on itself".to_owned();
    let IpAddr::V4(address) = address else { return address.is_loopback().then(|| ("::1/128, every node's own address".to_owned(), own)) };
    let reserved = target?.reserved.iter().find(|reserved| reserved.network.contains(address))?;
    let why = match address.is_loopback() {
        true => own,
        false => reserved.why.clone(),
    };
    Some((format!("{}, {}", reserved.network, reserved.owner), why))
}

fn help(server: &Server) -> String {
    match server.key {
        "network.nameservers" => "use a server outside the cluster; pods use `network.dns` anyway".to_owned(),
        _ => "use the address that it has in the nodes' network or outside".to_owned(),
    }
}

/// As soon as a search domain is set, the OS writes resolv.conf from the config only (cmd/network, ApplyNetworkConfig).
fn search(profile: &Profile, found: &mut Diagnostics) {
    let network = &profile.network;
    if let (Some(first), true) = (network.search.iter().next(), network.nameservers.is_absent()) {
        found.push(
            Diagnostic::new(Code::NoNameservers, first.span, "`search` is set, but no `nameservers`")
                .why("the OS then writes only the search domains into /etc/resolv.conf, without DHCP's name servers or its own default: the nodes find no name")
                .help("add `nameservers: [ADDRESS]`, or remove `search`: DHCP can also set it"),
        );
    }
}
