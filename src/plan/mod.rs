//! Decide: a [`Profile`], its release line and its target → a [`Cluster`], which has every address,
//! subnet, name, endpoint, image and port. Nothing is left to decide.
//!
//! `cluster` has the types. The rooms of `decide` fill them; those of `check` look at what was decided, and no room
//! that decides knows one that checks. Every check points at the place that it is about, and all are made in one
//! run. Nothing here knows YAML or how a target writes its config.

mod check;
mod cluster;
mod context;
mod decide;
mod effects;
mod folders;
mod refused;
mod secrets;
#[cfg(test)]
mod tests;

pub use check::files::check_owner;
pub(crate) use check::line::{Pair, pairs};
pub use check::services::check_mounts;
pub use cluster::{
    Api, Archive, Class, Cluster, ClusterImages, ClusterNetwork, ClusterNode, Content, Dependency, Discovery, Draft, Engine, Etcd,
    EtcdRecord, Graph, Ipv6Networks, Known, Login, Machine, Made, Master, Media, NodeRef, Origin, Pki, PkiUser, PlannedFile, PlannedImage,
    PlannedInterface, PlannedManifests, PlannedService, Proxy, Pxe,
};
pub(crate) use decide::engine::OURS as DOCKERD_FLAGS;
pub use decide::servers::host as server_of;
pub use refused::{lost, refused};

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity, Sources};
use crate::line::{Line, Lines};
use crate::profile::Profile;
use crate::terms::Arch;
use crate::yaml::Field;
use context::Context;
use decide::fleet::Fleet;
use effects::Effects;
use std::collections::BTreeSet;

/// Decides everything but the image archives, or says all that is wrong in `found`.
pub fn decide(profile: &Profile, lines: &Lines, known: Known, sources: &mut Sources, found: &mut Diagnostics) -> Option<Draft> {
    check_keys(profile, lines, found);
    let target = decide::target::target(profile, found);
    let mut line = decide::target::line(profile, lines, sources, found);
    let of_manifests = decide::manifests::components(profile, line.as_ref(), target, &known.manifests, found);
    let profile = &*decide::manifests::with_images(profile, &of_manifests);
    check::line::check(profile, target, line.as_ref(), found);
    let os_version = decide::target::os_version(profile, target, found);
    let mut network = decide::network::decide(profile, found);
    if let (Some(line), Some(_)) = (&mut line, network.as_ref().and_then(|network| network.ipv6.as_ref())) {
        line.sysctl.extend(line.ipv6.iter().flat_map(|ipv6| ipv6.sysctl.clone()));
    }
    check::network::check(profile, target, found);
    check::servers::check(profile, target, found);
    check::fleet::check_levels(profile, found);
    check::os::check_levels(profile, target, found);
    let mut fleet = decide::fleet::expand(profile, line.as_ref(), found);
    if let Some(network) = &mut network {
        let leases = fleet.is_dynamic() && network.backend.is_flannel();
        network.reserved = leases.then(|| decide::network::lower_half(network.pods));
    }
    check::fleet::check_found(profile, &fleet, line.as_ref(), found);
    check::network::check_ipv6(profile, &fleet, line.as_ref(), network.as_ref(), found);
    check::interfaces::check(profile, &fleet, target, found);
    check::servers::check_images(profile, &fleet, target, found);
    check::servers::check_own(profile, &fleet, found);
    check::proxy::check(profile, &fleet, network.as_ref(), found);
    let api = decide::api::api(profile, &fleet, line.as_ref(), network.as_ref(), target, found);
    let mistakes = found.count(Severity::Error);
    let etcd = decide::etcd::etcd(profile, &fleet, found);
    // Wrong ones aren't compared with those of the tree.
    let committed = known.etcd.as_ref().filter(|_| found.count(Severity::Error) == mistakes && !fleet.broken);
    check::etcd::data_dir(profile, found);
    check::etcd::snapshots(profile, etcd.as_ref(), line.as_ref(), found);
    check::etcd::restore(profile, etcd.as_ref(), line.as_ref(), found);
    check::etcd::founders(profile, &fleet, etcd.as_ref(), line.as_ref(), committed, found);
    let images = decide::images::decide(profile, line.as_ref(), target, found);
    check::images::check(profile, line.as_ref(), target, found);
    let pki = line.as_ref().map(|line| decide::pki::decide(profile, line, found));
    let (target, mut line, pki) = (target?, line?, pki?);
    let media = decide::media::decide(profile, found);
    check::media::check(profile, &fleet, images.as_ref().map(|images| images.delivery), found);
    let context = Context {
        target,
        os_version: os_version.clone().unwrap_or_default(),
        delivery: images.as_ref().map(|images| images.delivery),
        port: (api.as_ref().map_or(line.api.port, |api| api.port), profile.api.port.span()),
        is_dynamic: fleet.is_dynamic(),
        has_discovery: etcd.as_ref().is_some_and(|etcd| etcd.discovery.is_some()),
        has_snapshots: etcd.as_ref().is_some_and(|etcd| etcd.snapshots.is_some()),
        etcd_data: etcd.as_ref().map(|etcd| etcd.data_dir.clone()).unwrap_or_default(),
        is_published: api.as_ref().is_some_and(|api| api.host.is_none()),
        has_manifests: profile.manifests.span.is_some(),
        has_vip: api.as_ref().is_some_and(|api| api.vip.is_some()),
        is_balanced: api.as_ref().is_some_and(|api| api.balancer.is_some()),
        backend: decide::network::backend(profile),
        packed: images.as_ref().map(|images| decide::images::packed(profile, &line, target, images)).unwrap_or_default(),
        mtu: network.as_ref().map_or(decide::interfaces::ETHERNET, |network| network.mtu),
        proxy: network.as_ref().and_then(|network| network.proxy.clone()),
        room: room(network.as_ref()),
        room_span: profile.network.node_prefix.v4.span(),
        repacked: profile.images.components.iter().map(|(name, _)| name.value.clone()).collect(),
    };
    let classes = classes(profile, &mut line, &fleet, &context, found);
    let manifests = decide::manifests::decide(profile, &known.manifests, &of_manifests);
    check::manifests::check_node_ports(&line, &classes, &context, found);
    check::addons::check(&line, &classes, &context, etcd.as_ref(), found);
    check::manifests::check(profile, &line, &classes, &context, &known, manifests.as_ref(), found);
    check::placement::check(profile, &known.manifests, &fleet, &classes, found);
    check::network::check_backend(profile, &line, &classes, &context, &known, found);
    let (network, os_version, api, mut etcd, mut images) = (network?, os_version?, api?, etcd?, images?);
    let arches: BTreeSet<Arch> = classes.iter().map(|class| class.arch).collect();
    images.contents = decide::images::contents(profile, &line, target, &images.names, &arches, sources, found);
    check::images::check_built(profile, &images, found);
    decide::subnets::subnets(&mut fleet, &classes, &network, profile, found);
    let name = profile.cluster.value()?.0.clone();
    check::images::check_secrets(&images, &classes, &known, found);
    if found.has_errors() {
        return None;
    }
    if let Some(discovery) = &mut etcd.discovery {
        discovery.token = known.token.filter(|token| discovery.is_for(token, &name)).map(|token| token.token);
    }
    let (vault, nodes) = (known.vault, fleet.nodes);
    Some(Draft(Cluster { name, target, os_version, line, network, api, etcd, images, manifests, pki, media, vault, classes, nodes }))
}

/// The classes, decided and then checked. Settings that no node has are reported at the end.
fn classes(profile: &Profile, line: &mut Line, fleet: &Fleet, context: &Context, found: &mut Diagnostics) -> Vec<Class> {
    check::classes::check_component_names(profile, line, found);
    let mut effects = Effects::default();
    let classes = decide::classes::decide(line, fleet, context, &mut effects, found);
    let node_ports = check::manifests::node_ports(&classes);
    for (declared, class) in fleet.classes.iter().zip(&classes) {
        let base_image = context.base_image(declared);
        let environment = &declared.settings.environment;
        check::services::check(&class.services, &node_ports, context, line, &base_image, environment, found);
        check::services::check_keys(environment, found);
        check::services::check_keys(&declared.settings.docker.log_opts, found);
        check::changes::check(declared, class, line, context, found);
        check::engine::check(&declared.settings.docker, line, context, found);
        check::engine::check_rules(&declared.settings.docker, class, found);
        check::engine::check_absent(&declared.settings.docker, class, line, found);
        check::order::check(&class.graph, found);
        check::classes::check(declared, class, context, found);
        check::kernel::check_args(&declared.settings, profile, context.target, found);
        check::kernel::check_sysctl(class, found);
        check::kernel::check_ipv6(class, profile, found);
        check::kernel::check_switches(class, &declared.settings, line, found);
        check::kernel::check_modules(class, found);
        check::files::check(declared, class, line, context, found);
        check::os::check(declared, class, line, context, found);
    }
    effects.report(found);
    check::classes::warn(profile, &classes, found);
    decide::templates::compile(&classes, line, found);
    classes
}

/// How many pods have an address on a node: its subnet's, without the first, the bridge's and the last.
fn room(network: Option<&ClusterNetwork>) -> u32 {
    let bits = network.map_or(8, |network| 32 - network.node_prefix);
    let ipv6_bits = network.and_then(|network| network.ipv6.as_ref()).map_or(32, |ipv6| 128 - ipv6.node_prefix);
    (1_u32 << bits.min(ipv6_bits)).saturating_sub(3)
}

/// A target and a line for who gave none: the best that go together, and with what was given.
fn examples(profile: &Profile, lines: &Lines) -> (String, String) {
    let (target, line) = (profile.target.get(), profile.line.get());
    if target.is_some() && line.is_some() {
        return Default::default();
    }
    let pairs = pairs(lines, &mut Sources::default(), &mut Diagnostics::default());
    let fits = |pair: &&Pair| target.is_none_or(|given| given.0 == pair.target.name) && line.is_none_or(|given| given.0 == pair.line.name);
    let best = pairs.iter().find(fits).or(pairs.first());
    best.map(|Pair { target, line }| (format!("target: {}", target.name), format!("line: {}", line.name))).unwrap_or_default()
}

/// Keys that every profile must have.
fn check_keys(profile: &Profile, lines: &Lines, found: &mut Diagnostics) {
    let (target, line) = examples(profile, lines);
    for (is_absent, key, example) in [
        (profile.cluster.is_absent(), "cluster", "cluster: my-cluster"),
        (profile.target.is_absent(), "target", &target),
        (profile.line.is_absent(), "line", &line),
        (profile.network.nodes.is_absent(), "network.nodes", "network: {nodes: 192.168.1.0/24}"),
        (profile.nodes.is_empty(), "nodes", "nodes: {node-01: {roles: [control-plane, worker], address: 192.168.1.11}}"),
    ] {
        if is_absent {
            found.push(
                Diagnostic::new(Code::MissingKey, None, format!("the profile has no `{key}`"))
                    .why("remuda can't guess it")
                    .help(format!("add `{example}`")),
            );
        }
    }
}
