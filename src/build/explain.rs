//! Descriptions of a node for a person.

use super::Project;
use crate::diagnostic::{Diagnostics, Sources, Span, closest};
use crate::media::install;
use crate::node::{self, Contexts};
use crate::os;
use crate::plan::{Class, Made, Master, NodeRef, Origin, PlannedInterface};
use crate::profile::{Group, NodeDecl, Profile};
use crate::yaml::Field;
use std::fmt::Write;

/// What a node gets: its services in start order, its files, and the rest of its config; with the lines of the
/// profile that say so.
pub fn node_page(of: NodeRef, project: &Project) -> String {
    let NodeRef { cluster, node, class } = of;
    let roles: Vec<&str> = class.roles.iter().map(|role| role.as_str()).collect();
    let mut page = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(page, "{name:<10} {value}");
    };
    line("node", format!("{} ({})", node.name, roles.join(", ")));
    line("address", node.addresses());
    if let Some(mac) = node.mac {
        line("mac", mac.to_string());
    }
    for interface in &class.interfaces {
        line("interface", interface_line(of, interface));
    }
    if let Some(proxy) = &cluster.network.proxy {
        line("proxy", format!("{}, not for {}", proxy.https.as_deref().unwrap_or_default(), proxy.no_proxy.join(", ")));
    }
    if let (Some(subnet), Some(bridge)) = (node.subnet, node.bridge()) {
        let ipv6 = node.ipv6_subnet.map(|subnet| format!(", {subnet}")).unwrap_or_default();
        line("pods", format!("{subnet}{ipv6}, Docker's bridge has {bridge}"));
    }
    line("os", format!("{} {}", cluster.target.title, cluster.os_version));
    line("line", cluster.line.title.clone());
    for label in &class.labels {
        line("label", label.clone());
    }
    for taint in &class.taints {
        line("taint", taint.clone());
    }
    if let Some(command) = install::command(of) {
        line("install", command);
    }
    let sources = &project.sources;
    let set_in = |places: Vec<Span>| {
        let places: Vec<Span> = places.into_iter().filter(|span| sources.get(span.source).is_profile).collect();
        by_file(&places, sources).into_iter().map(|(file, lines)| format!("; set in {file}: {lines}")).collect::<String>()
    };
    let _ = writeln!(page, "\nservices, each after those it waits for:");
    for planned in &class.services {
        let whose = match planned.origin {
            Origin::Line => "",
            Origin::Os => " (the OS's own, changed)",
            Origin::User => " (yours)",
        };
        let set_in = set_in(planned.service.written());
        let _ = writeln!(page, "  {:<26} after {}{whose}{set_in}", planned.name, after(class, &planned.name));
    }
    let _ = writeln!(page, "\nfiles:");
    for file in &class.files {
        let owner = file.owner.as_ref().map(|owner| format!(", of {}", owner.text)).unwrap_or_default();
        let set_in = set_in(file.span.into_iter().collect());
        let _ = writeln!(page, "  {} {:<56} by {}{owner}{set_in}", file.permissions, file.path, file.container);
    }
    let config = os::cloud_config(node::lower(of, &Contexts::new(cluster), &mut Diagnostics::default()));
    let _ = writeln!(page, "\nthe rest of its config:");
    for line in os::emit_rest(config).lines() {
        let _ = writeln!(page, "  {line}");
    }
    let Some(profile) = project.profile() else { return page };
    for (whose, places) in [("this node", of_node(of, profile)), ("the whole cluster", of_cluster(profile))] {
        let _ = writeln!(page, "\nset for {whose} in:");
        for (file, lines) in by_file(&places, sources) {
            let _ = writeln!(page, "  {file}: {lines}");
        }
    }
    page
}

/// Where the profile says what this node is and gets.
fn of_node(of: NodeRef, profile: &Profile) -> Vec<Span> {
    let mut places = of.class.places.clone();
    let is_its = |decl: &NodeDecl, name: Option<Span>| of.node.span == name || of.node.span == decl.address.v4.span();
    for (name, decl) in profile.nodes.iter().filter(|(name, decl)| is_its(decl, name.span)) {
        places.extend(name.span);
        places.extend(decl.written());
        if let Some(group) = decl.group.value().and_then(|group| profile.groups.get(&group.0)) {
            places.extend(Group { settings: Default::default(), ..group.clone() }.written());
        }
    }
    places
}

/// Where it says what all nodes have in common, apart from levels of settings.
fn of_cluster(profile: &Profile) -> Vec<Span> {
    let (defaults, roles, groups, nodes) = Default::default();
    Profile { defaults, roles, groups, nodes, ..profile.clone() }.written()
}

/// What an interface is and has, in a line.
fn interface_line(of: NodeRef, interface: &PlannedInterface) -> String {
    let mut parts: Vec<String> = Vec::new();
    let is_member = |one: &&PlannedInterface| match &one.master {
        Some(Master::Bond(name) | Master::Bridge(name)) => *name == interface.name,
        None => false,
    };
    let members: Vec<&str> = of.class.interfaces.iter().filter(is_member).map(|one| one.name.as_str()).collect();
    match &interface.made {
        Made::Bond(options) => parts.push(format!("bond of {} ({})", members.join(", "), options[0].1)),
        Made::Bridge => parts.push(format!("bridge of {}", members.join(", "))),
        Made::Vlan => {
            let carrier = of.class.interfaces.iter().find_map(|one| {
                let (id, _) = one.vlans.iter().find(|(_, name)| *name == interface.name)?;
                Some(format!("VLAN {id} of {}", one.name))
            });
            parts.extend(carrier);
        }
        Made::Card => {}
    }
    match &interface.master {
        Some(Master::Bond(name) | Master::Bridge(name)) => parts.push(format!("member of {name}")),
        None if interface.name == of.interface() => parts.push("the node's own".to_owned()),
        None => {}
    }
    parts.extend(interface.addresses.iter().filter_map(|first| of.node.counted(*first)).map(|address| address.to_string()));
    parts.extend(interface.by_dhcp.then(|| "by DHCP".to_owned()));
    parts.extend(interface.gateway.map(|gateway| format!("default gateway {gateway}")));
    parts.extend(interface.mtu.map(|mtu| format!("MTU {mtu}")));
    parts.extend(interface.routes.iter().map(|(to, via)| format!("{to} via {via}")));
    if parts.is_empty() { interface.name.clone() } else { format!("{}: {}", interface.name, parts.join(", ")) }
}

fn after(class: &Class, name: &str) -> String {
    let earlier: Vec<&str> = class.graph.dependencies.iter().filter(|one| one.later == name).map(|one| one.earlier.as_str()).collect();
    if earlier.is_empty() { "nothing".to_owned() } else { earlier.join(", ") }
}

/// The node has no service with this name.
#[derive(Debug, thiserror::Error)]
#[error("{node} has no service {service}{hint}")]
pub struct NoService {
    node: String,
    service: String,
    hint: String,
}

impl NoService {
    fn of(of: NodeRef, service: &str) -> Self {
        let names: Vec<&str> = of.class.services.iter().map(|planned| planned.name.as_str()).collect();
        let hint = closest(service, names.iter().copied())
            .map_or(format!("; it has {}", names.join(", ")), |meant| format!("; did you mean {meant}?"));
        Self { node: of.node.name.clone(), service: service.to_owned(), hint }
    }
}

/// One service of the node's config, with what it starts after and the places that set it.
pub fn service_page(of: NodeRef, name: &str, sources: &Sources) -> Result<String, NoService> {
    let NodeRef { cluster, class, .. } = of;
    let planned = class.services.iter().find(|planned| planned.name == name).ok_or_else(|| NoService::of(of, name))?;
    let mut found = Diagnostics::default();
    let mut node = node::lower(of, &Contexts::new(cluster), &mut found);
    node.services.retain(|(service, _)| *service == name);
    node.files.clear();
    let config = os::cloud_config(node);
    let mut page = format!("# after {}\n", after(class, name));
    page.push_str(&os::emit_services(&config));
    page.push_str("# set in:\n");
    for (file, lines) in by_file(&planned.service.written(), sources) {
        let _ = writeln!(page, "#   {file}: {lines}");
    }
    Ok(page)
}

/// The lines of each file in which these places are, with ranges like `3-7`.
fn by_file(places: &[Span], sources: &Sources) -> Vec<(String, String)> {
    let line = |span: &Span, offset| sources.position(span.source, offset).0;
    let mut lines: Vec<(&str, usize, usize)> = places
        .iter()
        .map(|span| {
            (sources.get(span.source).name.as_str(), line(span, span.start), line(span, span.start.max(span.end.saturating_sub(1))))
        })
        .collect();
    lines.sort_unstable();
    let mut files: Vec<(String, Vec<(usize, usize)>)> = Vec::new();
    for (file, first, end) in lines {
        match files.last_mut() {
            Some((last, runs)) if last == file => match runs.last_mut() {
                Some(run) if first <= run.1 + 1 => run.1 = run.1.max(end),
                _ => runs.push((first, end)),
            },
            _ => files.push((file.to_owned(), vec![(first, end)])),
        }
    }
    let run = |(first, last): (usize, usize)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    files.into_iter().map(|(file, runs)| (file, runs.into_iter().map(run).collect::<Vec<_>>().join(", "))).collect()
}
