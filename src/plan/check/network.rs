//! The cluster's networks: what would send a packet to the wrong place.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::line::Line;
use crate::plan::cluster::{Class, Known};
use crate::plan::context::Context;
use crate::plan::decide::network;
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
        check_pods(pods, node_prefix, given.node_prefix.span(), network::backend(profile), found);
    }
    if let Some(nodes) = &nodes {
        gateway(profile, nodes, found);
    }
    let backend = network::backend(profile);
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

fn check_pods(pods: &Named, node_prefix: u8, span: Option<Span>, backend: Backend, found: &mut Diagnostics) {
    let prefix = pods.network.prefix();
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
