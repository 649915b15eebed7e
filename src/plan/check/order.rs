//! The start order: cycles.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::plan::cluster::Graph;
use petgraph::algo::kosaraju_scc;
use petgraph::graphmap::DiGraphMap;

/// Services that wait for each other: the OS silently breaks or aborts on a cycle.
pub(crate) fn check(order: &Graph, found: &mut Diagnostics) {
    let edges = order.dependencies.iter().map(|one| (one.earlier.as_str(), one.later.as_str(), ()));
    let graph: DiGraphMap<&str, ()> = DiGraphMap::from_edges(edges);
    for mut cycle in kosaraju_scc(&graph) {
        let loops = cycle.len() == 1 && graph.contains_edge(cycle[0], cycle[0]);
        if cycle.len() < 2 && !loops {
            continue;
        }
        cycle.sort_unstable();
        let within = order.dependencies.iter().filter(|one| cycle.contains(&one.earlier.as_str()) && cycle.contains(&one.later.as_str()));
        let mut spans: Vec<Span> = within.filter_map(|one| one.span).collect();
        spans.sort();
        spans.dedup();
        let message =
            if loops { format!("{} starts after itself", cycle[0]) } else { format!("{} start after each other", cycle.join(", ")) };
        let mut diagnostic = Diagnostic::new(Code::ServiceCycle, spans.first().copied(), message)
            .why("the OS aborts the whole start (\"Cycle detected\"), or breaks the cycle at an arbitrary place")
            .help("remove one of these; a user-scope service always starts after `docker`");
        for span in spans.iter().skip(1).take(5) {
            diagnostic = diagnostic.related(*span, "and here");
        }
        found.push(diagnostic);
    }
}
