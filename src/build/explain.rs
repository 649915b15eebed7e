//! Descriptions of a node for a person.

use crate::diagnostic::{Diagnostics, Sources, Span, closest};
use crate::media::install;
use crate::node::{self, Contexts};
use crate::os;
use crate::plan::{Class, Made, Master, NodeRef, Origin, PlannedInterface};
use std::fmt::Write;

/// What a node gets: its services in start order, its files, and the OS's own keys.
pub fn node_page(of: NodeRef) -> String {
    let NodeRef { cluster, node, class } = of;
    let roles: Vec<&str> = class.roles.iter().map(|role| role.as_str()).collect();
    let mut page = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(page, "{name:<10} {value}");
    };
    line("node", format!("{} ({})", node.name, roles.join(", ")));
    line("address", node.address.map_or("by DHCP".to_owned(), |address| address.to_string()));
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
        line("pods", format!("{subnet}, Docker's bridge has {bridge}"));
    }
    line("os", format!("{} {}", cluster.target.title, cluster.os_version));
    line("line", cluster.line.title.clone());
    if let Some(command) = install::command(of) {
        line("install", command);
    }
    let _ = writeln!(page, "\nservices, each after those it waits for:");
    for planned in &class.services {
        let whose = match planned.origin {
            Origin::Line => "",
            Origin::Os => " (the OS's own, changed)",
            Origin::User => " (yours)",
        };
        let _ = writeln!(page, "  {:<26} after {}{whose}", planned.name, after(class, &planned.name));
    }
    let _ = writeln!(page, "\nfiles:");
    for file in &class.files {
        let _ = writeln!(page, "  {} {:<56} by {}", file.permissions, file.path, file.container);
    }
    let further = node::lower(of, &Contexts::new(cluster), &mut Diagnostics::default()).os;
    if !further.is_empty() {
        let _ = writeln!(page, "\nthe OS's own keys:");
        for line in os::emit_keys(&further).lines() {
            let _ = writeln!(page, "  {line}");
        }
    }
    page
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
    let mut places: Vec<Span> = Vec::new();
    planned.service.for_each_text(|_, span| places.extend(span));
    let mut lines: Vec<(String, usize)> =
        places.into_iter().map(|span| (sources.get(span.source).name.clone(), sources.position(span.source, span.start).0)).collect();
    lines.sort();
    lines.dedup();
    for (file, lines) in by_file(&lines) {
        let _ = writeln!(page, "#   {file}: {lines}");
    }
    Ok(page)
}

/// The lines of each file, with ranges like `3-7`.
fn by_file(lines: &[(String, usize)]) -> Vec<(String, String)> {
    let mut files: Vec<(String, Vec<(usize, usize)>)> = Vec::new();
    for (file, line) in lines {
        match files.last_mut() {
            Some((last, runs)) if last == file => match runs.last_mut() {
                Some(run) if run.1 + 1 == *line => run.1 = *line,
                _ => runs.push((*line, *line)),
            },
            _ => files.push((file.clone(), vec![(*line, *line)])),
        }
    }
    let run = |(first, last): (usize, usize)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    files.into_iter().map(|(file, runs)| (file, runs.into_iter().map(run).collect::<Vec<_>>().join(", "))).collect()
}
