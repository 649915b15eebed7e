//! `remuda explain`

use super::{Outcome, ProfileOption, compile, print};
use crate::diagnostic::{Diagnostics, Sources, Span, closest};
use crate::media::install;
use crate::node::{self, Contexts};
use crate::os;
use crate::plan::{Class, Cluster, Origin};
use clap::Args;
use std::fmt::Write;

/// Show what a node gets: its services in the order they start, or one service whole
#[derive(Debug, Args)]
pub struct Explain {
    /// The node's name
    node: String,
    /// One of its services
    service: Option<String>,
    #[command(flatten)]
    source: ProfileOption,
}

impl Explain {
    pub fn run(self) -> Outcome {
        let (cluster, _, sources) = compile::cluster(&self.source.into())?;
        let index = compile::node(&cluster, &self.node)?;
        match &self.service {
            None => print(&node_page(&cluster, index)),
            Some(service) => print(&service_page(&cluster, index, service, &sources)?),
        }
    }
}

fn node_page(cluster: &Cluster, index: usize) -> String {
    let node = &cluster.nodes[index];
    let class = &cluster.classes[node.class];
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
    if let (Some(subnet), Some(bridge)) = (node.subnet, node.bridge()) {
        line("pods", format!("{subnet}, Docker's bridge has {bridge}"));
    }
    line("os", format!("{} {}", cluster.target.facts.title, cluster.os_version));
    line("line", cluster.line.title.clone());
    if let Some(command) = install::command(cluster, index) {
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
    page
}

fn after(class: &Class, name: &str) -> String {
    let earlier: Vec<&str> = class.graph.dependencies.iter().filter(|one| one.later == name).map(|one| one.earlier.as_str()).collect();
    if earlier.is_empty() { "nothing".to_owned() } else { earlier.join(", ") }
}

fn service_page(cluster: &Cluster, index: usize, name: &str, sources: &Sources) -> Result<String, anyhow::Error> {
    let class = &cluster.classes[cluster.nodes[index].class];
    let Some(planned) = class.services.iter().find(|planned| planned.name == name) else {
        let names: Vec<&str> = class.services.iter().map(|planned| planned.name.as_str()).collect();
        let hint = closest(name, names.iter().copied())
            .map_or(format!("; it has {}", names.join(", ")), |meant| format!("; did you mean {meant}?"));
        anyhow::bail!("{} has no service {name}{hint}", cluster.nodes[index].name);
    };
    let mut found = Diagnostics::default();
    let mut node = node::lower(cluster, &Contexts::new(cluster), index, &mut found);
    node.services.retain(|(service, _)| *service == name);
    node.files.clear();
    let config = os::cloud_config(node, cluster.target.dialect);
    let mut page = format!("# after {}\n", after(class, name));
    page.push_str(&os::emit_services(&config));
    page.push_str("# said in:\n");
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

/// The lines of each file, runs of them as `3-7`.
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
