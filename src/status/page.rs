//! A status as text.

use super::{NodeStatus, State, Status};
use std::fmt::Write;

const RED: [&str; 2] = ["\u{1b}[31m", "\u{1b}[0m"];

/// A status for a person. Each node has a line; `is_coloured` makes red what isn't as the tree says.
pub fn text(status: &Status, is_coloured: bool) -> String {
    let red = |text: String, is_wrong: bool| if is_coloured && is_wrong { format!("{}{text}{}", RED[0], RED[1]) } else { text };
    let mut page = String::new();
    let _ = writeln!(page, "{}: {}\n", status.cluster, short(status));
    let rows: Vec<[&str; 4]> = [["NODE", "STATE", "CONFIG", "KUBELET"]].into_iter().chain(status.nodes.iter().map(row)).collect();
    let widths = [0, 1, 2, 3].map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    for (row, node) in rows.iter().zip([None].into_iter().chain(status.nodes.iter().map(Some))) {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let says = node.map_or_else(Vec::new, |node| [node.problems.as_slice(), node.notes.as_slice()].concat());
        let line = format!("{}  {}", cells.join("  "), says.join("; "));
        let _ = writeln!(page, "{}", red(line.trim_end().to_owned(), node.is_some_and(|node| !node.problems.is_empty())));
    }
    let servers = &status.servers;
    let away = if servers.down.is_empty() { String::new() } else { format!("; away on {}", servers.down.join(", ")) };
    let up = if servers.up.is_empty() { "on no node of the tree".to_owned() } else { format!("on {}", servers.up.join(", ")) };
    let _ = writeln!(page, "\n{}", red(format!("API servers   {up}{away}"), !servers.down.is_empty()));
    let health = match servers.failed[..] {
        [] => "ready".to_owned(),
        _ => format!("not ready: {}", servers.failed.join(", ")),
    };
    let _ = writeln!(page, "{}", red(format!("API and etcd  {health}; members {}", servers.etcd.join(", ")), !servers.failed.is_empty()));
    for (whose, end) in &status.certificates {
        let _ = writeln!(page, "certificates  {whose}: until {end}");
    }
    page
}

fn short(status: &Status) -> String {
    let wrong = status.nodes.iter().filter(|node| !node.problems.is_empty()).count();
    let all = status.nodes.len();
    let nodes = if all == 1 { "1 node".to_owned() } else { format!("{all} nodes") };
    match (wrong, status.is_as_the_tree_says) {
        (_, true) => format!("{nodes}, all as {} says", status.tree),
        (0, false) => format!("{nodes} as {} says, but the API isn't ready", status.tree),
        (1, false) => format!("1 of {nodes} isn't as {} says", status.tree),
        (wrong, false) => format!("{wrong} of {nodes} aren't as {} says", status.tree),
    }
}

fn row(node: &NodeStatus) -> [&str; 4] {
    let state = match node.state {
        State::Ready => "Ready",
        State::NotReady => "not Ready",
        State::Missing => "missing",
        State::EtcdOnly => "-",
    };
    [&node.name, state, node.config.runs.as_deref().unwrap_or("-"), node.kubelet.as_deref().unwrap_or("-")]
}
