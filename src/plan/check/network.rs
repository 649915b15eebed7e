//! The cluster's networks: what would send a packet to the wrong place.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::plan::decide::network::{Named, all_named, is_host};
use crate::profile::Profile;
use crate::target::Target;
use crate::terms::Backend;

/// Checks the networks against each other, and the addresses in them.
pub(crate) fn check(profile: &Profile, target: Option<&Target>, found: &mut Diagnostics) {
    let given = &profile.network;
    let [nodes, pods, services] = all_named(profile);
    overlaps([&nodes, &pods, &services], target, found);
    if let Some(services) = &services {
        check_services(services, found);
    }
    if let Some(pods) = &pods {
        let node_prefix = given.node_prefix.value().map_or(24, |prefix| prefix.0);
        check_pods(pods, node_prefix, given.node_prefix.span(), found);
    }
    if let Some(nodes) = &nodes {
        gateway(profile, nodes, found);
    }
    let backend = given.backend.value().copied().unwrap_or(Backend::Vxlan);
    if let (Backend::HostGw, Some(vni)) = (backend, given.vni.get()) {
        found.push(
            Diagnostic::new(Code::NoEffect, vni.span, "`vni` is not used with `backend: host-gw`")
                .why("nothing is encapsulated")
                .help("remove it"),
        );
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

fn check_services(services: &Named, found: &mut Diagnostics) {
    let prefix = services.network.prefix();
    if prefix > 28 {
        found.push(
            Diagnostic::new(
                Code::ServiceNetworkSmall,
                services.span,
                format!("the service network {} is too small for its first addresses", services.network),
            )
            .why("the API gets the first address and the name server the tenth; other services would get none")
            .help("use a prefix length of 28 or less; 16 is usual"),
        );
    }
    if prefix < 12 {
        found.push(
            Diagnostic::new(Code::ServiceNetworkLarge, services.span, format!("the service network {} is too large", services.network))
                .why("kube-apiserver exits when --service-cluster-ip-range has a prefix length below 12")
                .help("use a prefix length of 12 or more; 16 is usual"),
        );
    }
}

fn check_pods(pods: &Named, node_prefix: u8, span: Option<Span>, found: &mut Diagnostics) {
    if node_prefix < pods.network.prefix() + 2 {
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

fn gateway(profile: &Profile, nodes: &Named, found: &mut Diagnostics) {
    let Some(gateway) = profile.network.gateway.get() else { return };
    if !is_host(nodes.network, gateway.value.0) {
        found.push(
            Diagnostic::new(
                Code::GatewayOutside,
                gateway.span,
                format!("the gateway {} isn't an address in the node network {}", gateway.value.0, nodes.network),
            )
            .why("the kernel refuses a gateway that it can't reach directly: the node would have no default route")
            .help(format!("use an address in {}", nodes.network)),
        );
    }
}
