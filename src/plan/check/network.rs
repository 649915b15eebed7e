//! The cluster's networks: what would send a packet to the wrong place.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::line::Line;
use crate::plan::cluster::{Class, ClusterNetwork, Known};
use crate::plan::context::Context;
use crate::plan::decide::fleet::Fleet;
use crate::plan::decide::network;
use crate::plan::decide::network::{Named, all_named, all_named_ipv6, is_host, is_ipv6_host};
use crate::profile::Profile;
use crate::target::Target;
use crate::terms::Backend;
use crate::yaml::Field;
use ipnetwork::{Ipv4Network, Ipv6Network};
use std::fmt::Display;
use std::net::IpAddr;

/// Checks the networks against each other, and the addresses in them.
pub(crate) fn check(profile: &Profile, target: Option<&Target>, found: &mut Diagnostics) {
    let given = &profile.network;
    let backend = network::backend(profile);
    let all = all_named(profile);
    overlaps(&all, Ipv4Network::overlaps, found);
    reserved(&all, target, found);
    let [nodes, pods, services] = all;
    if let Some(services) = &services {
        check_services(services, services.network.prefix(), [12, 16, 28], found);
    }
    if let Some(pods) = &pods {
        let (node_prefix, span) = (given.node_prefix.v4.value().map_or(24, |prefix| prefix.0), given.node_prefix.v4.span());
        check_pods(pods, pods.network.prefix(), node_prefix, span, backend, found);
    }
    if let (Some(nodes), Some(gateway)) = (&nodes, given.gateway.v4.get()) {
        let is_inside = is_host(nodes.network, gateway.value.0);
        check_gateway(gateway.value.0, gateway.span, nodes, is_inside, found);
    }
    let all = all_named_ipv6(profile);
    overlaps(&all, Ipv6Network::overlaps, found);
    let [nodes, pods, services] = all;
    if let Some(services) = &services {
        // kube-apiserver takes at most 20 bits of addresses.
        check_services(services, services.network.prefix(), [108, 112, 124], found);
    }
    if let Some(pods) = &pods {
        let (node_prefix, span) = (given.node_prefix.v6.value().map_or(64, |prefix| prefix.0), given.node_prefix.v6.span());
        check_pods(pods, pods.network.prefix(), node_prefix, span, backend, found);
        if !backend.is_flannel() && node_prefix > pods.network.prefix() + 16 {
            let says = format!("the pod network {} has more than 65,536 subnets with a prefix length of {node_prefix}", pods.network);
            found.push(
                Diagnostic::new(Code::PodNetworkLarge, span.or(pods.span), says)
                    .why("kube-controller-manager, which gives each node a subnet, counts no more of IPv6, and exits again and again")
                    .help(format!("use a `node_prefix` of {} or less, or a smaller pod network", pods.network.prefix() + 16)),
            );
        }
    }
    if let (Some(nodes), Some(gateway)) = (&nodes, given.gateway.v6.get()) {
        let is_inside = is_ipv6_host(nodes.network, gateway.value.0);
        check_gateway(gateway.value.0, gateway.span, nodes, is_inside, found);
    }
    if let Some(vni) = given.vni.get().filter(|_| backend != Backend::Vxlan) {
        found.push(
            Diagnostic::new(Code::NoEffect, vni.span, format!("`vni` is not used with `backend: {backend}`"))
                .why("only packets of VXLAN have a number")
                .help("remove it"),
        );
    }
}

/// Whether the line and the nodes' kernels have the backend, and whether pods get a network without one.
pub(crate) fn check_backend(profile: &Profile, line: &Line, classes: &[Class], context: &Context, known: &Known, found: &mut Diagnostics) {
    let (backend, span, target) = (context.backend, profile.network.backend.span(), context.target);
    let no_backend = |says: String, why: &str, help: &str| Diagnostic::new(Code::NoBackend, span, says).why(why).help(help);
    let has_kernel = |class: &Class| target.wireguard.contains(&class.arch);
    if !line.backends.contains(&backend) {
        let others: Vec<String> = line.backends.iter().map(|other| format!("`{other}`")).collect();
        let help = format!("use one of {}, or another line", others.join(", "));
        found.push(match backend {
            Backend::None => no_backend(
                format!("pods of {} have flannel's network only", line.name),
                "they are on the bridge of user Docker, which knows no network plugins: pods on different nodes could not reach each other",
                "use a line whose pods run in containerd, like `kubernetes-1.37`, or remove `backend`",
            ),
            _ => no_backend(
                format!("the flannel of {} has no backend `{backend}`", line.name),
                "it exits again and again: pods on different nodes could not reach each other",
                &help,
            ),
        });
    } else if let Some(class) = classes.iter().find(|class| backend == Backend::Wireguard && class.is_kubernetes() && !has_kernel(class)) {
        found.push(no_backend(
            format!("the kernel of {} for {} has no WireGuard", target.title, class.arch),
            "flannel exits again and again: pods on different nodes could not reach each other",
            "use `backend: vxlan`, or `host-gw` if all nodes are on one Ethernet segment",
        ));
    } else if backend == Backend::None && known.manifests.is_empty() && !found.has_errors() {
        found.push(
            Diagnostic::new(Code::NoNetworkPlugin, span, "`backend: none`, but the profile has no manifests")
                .why("until somebody applies a network plugin, no node becomes Ready, and no pod starts but those on their nodes' network")
                .help("add `manifests: {files: [FILE]}` with the plugin; if you apply it yourself, say so: `# remuda: allow no-network-plugin`"),
        );
    }
}

fn overlaps<N: Copy + Display>(networks: &[Option<Named<N>>; 3], overlap: fn(N, N) -> bool, found: &mut Diagnostics) {
    let networks: Vec<&Named<N>> = networks.iter().flatten().collect();
    for (index, one) in networks.iter().enumerate() {
        for other in &networks[index + 1..] {
            if !overlap(one.network, other.network) {
                continue;
            }
            let (one, other) = if other.span.is_some() { (other, one) } else { (one, other) };
            let mut diagnostic = Diagnostic::new(
                Code::NetworkOverlap,
                one.span,
                format!("the {} {} overlaps the {} {}", one.what, one.network, other.what, other.network),
            )
            .why("packets to an address in both would go astray: pods, services or whole nodes could not be reached")
            .help("use networks that don't overlap");
            diagnostic = match other.span {
                Some(span) => diagnostic.related(span, format!("the {}", other.what)),
                None => diagnostic.label(format!("the {} is {} by default", other.what, other.network)),
            };
            found.push(diagnostic);
        }
    }
}

fn reserved(networks: &[Option<Named>; 3], target: Option<&Target>, found: &mut Diagnostics) {
    for one in networks.iter().flatten() {
        for reserved in target.iter().flat_map(|target| &target.reserved) {
            if one.network.overlaps(reserved.network) {
                found.push(
                    Diagnostic::new(
                        Code::ReservedNetwork,
                        one.span,
                        format!("the {} {} overlaps {}, {}", one.what, one.network, reserved.owner, reserved.network),
                    )
                    .why(reserved.why.clone())
                    .help("use another network"),
                );
            }
        }
    }
}

/// The largest, a usual and the smallest network have these prefix lengths.
fn check_services<N: Display>(services: &Named<N>, prefix: u8, [largest, usual, smallest]: [u8; 3], found: &mut Diagnostics) {
    if prefix > smallest {
        found.push(
            Diagnostic::new(
                Code::ServiceNetworkSmall,
                services.span,
                format!("the service network {} is too small for its first addresses", services.network),
            )
            .why("the API gets the first address and the name server the tenth; other services would get none")
            .help(format!("use a prefix length of {smallest} or less; {usual} is usual")),
        );
    }
    if prefix < largest {
        found.push(
            Diagnostic::new(Code::ServiceNetworkLarge, services.span, format!("the service network {} is too large", services.network))
                .why(format!("kube-apiserver exits when --service-cluster-ip-range has a prefix length below {largest}"))
                .help(format!("use a prefix length of {largest} or more; {usual} is usual")),
        );
    }
}

fn check_pods<N: Display>(pods: &Named<N>, prefix: u8, node_prefix: u8, span: Option<Span>, backend: Backend, found: &mut Diagnostics) {
    if !backend.is_flannel() && node_prefix < prefix {
        found.push(
            Diagnostic::new(
                Code::PodNetworkSmall,
                span.or(pods.span),
                format!("the pod network {} has no subnet with a prefix length of {node_prefix}", pods.network),
            )
            .why("kube-controller-manager, which gives each node a subnet, exits again and again")
            .help(format!("use a `node_prefix` larger than {prefix}")),
        );
    }
    if backend.is_flannel() && node_prefix < prefix + 2 {
        found.push(
            Diagnostic::new(
                Code::PodNetworkSmall,
                pods.span.or(span),
                format!("the pod network {} has fewer than four subnets with a prefix length of {node_prefix}", pods.network),
            )
            .why("flannel needs four, of which it skips the first (subnet/config.go), and exits otherwise: no node would have pods")
            .help(format!(
                "use a larger network, with a prefix length of {} or less, or a larger `node_prefix`",
                node_prefix.saturating_sub(8).max(1)
            )),
        );
    }
}

fn check_gateway<N: Display>(gateway: impl Display, span: Option<Span>, nodes: &Named<N>, is_inside: bool, found: &mut Diagnostics) {
    if !is_inside {
        let says = format!("the gateway {gateway} isn't an address in the node network {}", nodes.network);
        found.push(
            Diagnostic::new(Code::GatewayOutside, span, says)
                .why("the kernel refuses a gateway that it can't reach directly: the node would have no default route")
                .help(format!("use an address in {}", nodes.network)),
        );
    }
}

/// The smallest MTU of a link with IPv6 (RFC 8200, section 5).
const IPV6_MTU: u16 = 1280;

/// Whether nodes, pods and services have IPv6 together, and nothing else is of IPv6 without them.
pub(crate) fn check_ipv6(profile: &Profile, fleet: &Fleet, line: Option<&Line>, network: Option<&ClusterNetwork>, found: &mut Diagnostics) {
    let given = &profile.network;
    let all = [("nodes", &given.nodes), ("pods", &given.pods), ("services", &given.services)];
    let examples = ["fd00::/64", "fd00:10:244::/48", "fd00:10:96::/112"];
    let (with, without): (Vec<_>, Vec<_>) =
        all.into_iter().zip(all_named(profile)).zip(examples).partition(|(((_, of), _), _)| !of.v6.is_absent());
    let Some((((_, first), _), _)) = with.first() else { return without_ipv6(profile, found) };
    let span = first.v6.span();
    for (((key, of), named), example) in without.iter().filter(|(((_, of), _), _)| !of.is_bad()) {
        let first = named.as_ref().map_or("IPV4".to_owned(), |named| named.network.to_string());
        found.push(
            Diagnostic::new(Code::OneFamily, of.v4.span().or(span), format!("`network.{key}` has no network of IPv6, and others have"))
                .why("a Kubernetes of both families gives both to its nodes, pods and services: what has one address only can't reach what has the other one only")
                .help(format!("write `{key}: [{first}, {example}]` with a network of yours, or remove all networks of IPv6")),
        );
    }
    if let Some(line) = line.filter(|line| line.ipv6.is_none()) {
        let help = "use a line whose pods run in containerd, like `kubernetes-1.37`, or remove the networks of IPv6";
        found.push(
            Diagnostic::new(Code::NoDualStack, span, format!("pods of {} have addresses of IPv4 only", line.name))
                .why("they are on the bridge of user Docker, which gives them no other address: services of IPv6 would lead nowhere")
                .help(help),
        );
    }
    if let Some(class) = fleet.classes.iter().find(|class| class.is_dynamic) {
        found.push(
            Diagnostic::new(Code::NoDualStack, class.span, "a node that gets its address by DHCP has no address of IPv6")
                .why("where DHCP runs, the OS asks for an IPv4 address and sets no other one (pkg/netconf, applyOuter)")
                .help("give it an `address`, or remove the networks of IPv6"),
        );
    }
    if let Some(network) = network.filter(|network| network.ipv6.is_some() && network.pod_mtu < IPV6_MTU) {
        found.push(
            Diagnostic::new(Code::Ipv6Mtu, given.mtu.span(), format!("with an MTU of {}, pods have {}", network.mtu, network.pod_mtu))
                .why(format!("on a network with an MTU below {IPV6_MTU} the kernel turns IPv6 off"))
                .help(format!("use an MTU of {} or more, or remove the networks of IPv6", IPV6_MTU + (network.mtu - network.pod_mtu))),
        );
    }
}

/// What is of IPv6 in a cluster that has none.
fn without_ipv6(profile: &Profile, found: &mut Diagnostics) {
    let network = &profile.network;
    let servers = network.nameservers.iter().filter(|server| matches!(server.value.0, IpAddr::V6(_)));
    let servers = servers.map(|server| ("this name server", server.span));
    let addresses = profile.nodes.iter().filter_map(|(_, node)| Some(("`address`", node.address.v6.get()?.span)));
    let keys =
        [("`gateway`", network.gateway.v6.get().map(|one| one.span)), ("`node_prefix`", network.node_prefix.v6.get().map(|one| one.span))];
    let keys = keys.into_iter().filter_map(|(key, span)| Some((key, span?)));
    found.extend_with(keys.chain(servers).chain(addresses).map(|(what, span)| {
        Diagnostic::new(Code::OneFamily, span, format!("{what} is of IPv6, and the cluster's networks are of IPv4"))
            .why("no node has an address from which it could be reached")
            .help("remove it, or write `nodes`, `pods` and `services` as lists of two networks")
    }));
}
