//! Pods of the profile's manifests that no node of the cluster can hold.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, closest};
use crate::manifest::{Candidate, Demand, DemandOf, NodeKind, Object};
use crate::plan::cluster::{Class, ClusterNode};
use crate::plan::decide::classes::may_label;
use crate::plan::decide::fleet::{DeclaredClass, Fleet};
use crate::profile::Profile;
use std::collections::BTreeSet;

/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;
/// Why it is an error.
const WAITS: &str = "its pods would stay Pending: the scheduler waits indefinitely for a node that can hold them";

/// The same of pods that name their node.
const ORPHANS: &str = "no kubelet would run its pods, and the cluster would remove them again and again";

/// Reports objects whose pods no node can hold.
pub(crate) fn check(profile: &Profile, objects: &[Object], fleet: &Fleet, classes: &[Class], found: &mut Diagnostics) {
    if fleet.broken || objects.is_empty() {
        return;
    }
    let is_vagrant = profile.media.vagrant.box_name.value().is_some();
    let kinds: Vec<NodeKind> = classes.iter().zip(&fleet.classes).map(|(class, declared)| kind(class, declared, is_vagrant)).collect();
    let has_pods = |node: &&ClusterNode| classes.get(node.class).is_some_and(Class::is_kubernetes);
    let candidates = fleet.nodes.iter().filter(has_pods).map(|node| Candidate { name: &node.name, kind: &kinds[node.class] });
    let candidates: Vec<Candidate> = candidates.collect();
    for object in objects.iter().filter(|object| !object.is_scaled_to_zero()) {
        let demands = object.demands();
        if candidates.iter().any(|node| demands.iter().all(|demand| node.meets(demand))) {
            continue;
        }
        let unmet = demands.iter().filter(|demand| !candidates.iter().any(|node| node.meets(demand)));
        let mut wrong: Vec<Diagnostic> = unmet.map(|demand| unmet_by_all(object, demand, &candidates)).collect();
        if wrong.is_empty() && !demands.is_empty() {
            let says = format!("no node meets all that {} demands", object.title());
            let several = Diagnostic::new(Code::NoNode, object.kind.span, says);
            let places = demands.iter().filter_map(|demand| demand.span).filter(|span| Some(*span) != object.kind.span);
            let several = places.fold(several, |all, span| all.related(span, "some nodes meet this"));
            wrong.push(several.why(WAITS).help("demand less, or give one node all of it: labels, no taint, enough memory"));
        }
        for one in wrong {
            // Nothing waits then. The manifest may be one for many clusters, so this can be acknowledged, in the profile.
            found.push(match (object.is_per_node(), profile.manifests.span) {
                (true, Some(written)) => Diagnostic { code: Code::IdleDaemonset, span: Some(written), ..one.clone() }
                    .related(one.span, object.title())
                    .why("it would make no pod, and nothing says so")
                    .help("correct what it demands; if it is meant for other clusters, say so: `# remuda: allow idle-daemonset`"),
                _ => one,
            });
        }
    }
}

/// Nodes of a class, as the scheduler sees them.
fn kind<'c>(class: &'c Class, declared: &DeclaredClass, is_vagrant: bool) -> NodeKind<'c> {
    let (arch, os) = (class.arch.as_str(), "linux");
    let own = [("kubernetes.io/arch", arch), ("beta.kubernetes.io/arch", arch), ("kubernetes.io/os", os), ("beta.kubernetes.io/os", os)];
    // A machine's size is only known where the profile says it.
    let has = |given: bool| given || is_vagrant;
    NodeKind {
        labels: own.into_iter().chain(class.labels.iter().filter_map(|label| label.split_once('='))).collect(),
        taints: &class.taints,
        cpus: has(declared.settings.cpus.value().is_some()).then(|| f64::from(class.machine.cpus)),
        memory: has(declared.settings.memory.value().is_some()).then(|| f64::from(class.machine.memory) * MIB),
    }
}

/// A demand that every node fails.
fn unmet_by_all(object: &Object, demand: &Demand, nodes: &[Candidate]) -> Diagnostic {
    let named = |name: &str| {
        let names = nodes.iter().map(|node| node.name);
        closest(name, names).map_or("name one of the profile's nodes with pods".to_owned(), |meant| format!("did you mean `{meant}`?"))
    };
    let (says, help) = match &demand.of {
        DemandOf::Name(name) => (format!("no node with pods is named `{name}`"), named(name)),
        DemandOf::Label { key, value } => {
            let label = if value.is_empty() { (*key).to_owned() } else { format!("{key}: {value}") };
            (format!("no node has the label `{label}`"), labelled(key, value, nodes))
        }
        DemandOf::Affinity(_) => (
            "no node meets one of these terms of the node affinity".to_owned(),
            "correct it, or give nodes the labels that it names, by `labels` of a node, a group or `defaults`".to_owned(),
        ),
        DemandOf::Tolerated(tolerations) => {
            let taint = nodes.iter().find_map(|node| node.repels(tolerations)).unwrap_or_default();
            let key = taint.split(['=', ':']).next().unwrap_or_default();
            (
                format!("every node has a taint that {} doesn't tolerate, like `{taint}`", object.title()),
                format!(
                    "add `tolerations: [{{key: {key}, operator: Exists}}]` to the pod, or a node without the taint; a control-plane node with `roles: [control-plane, worker]` has none"
                ),
            )
        }
        DemandOf::Cpus(wanted) => {
            (format!("no node has {wanted} processors, which its pod requests"), "request less, or raise `cpus` of a node".to_owned())
        }
        DemandOf::Memory(wanted) => {
            let mib = (wanted / MIB).ceil();
            (format!("no node has {mib} MiB of memory, which its pod requests"), "request less, or raise `memory` of a node".to_owned())
        }
    };
    let why = if matches!(demand.of, DemandOf::Name(_)) { ORPHANS } else { WAITS };
    Diagnostic::new(Code::NoNode, demand.span, says).why(why).help(help)
}

fn labelled(key: &str, value: &str, nodes: &[Candidate]) -> String {
    let values: BTreeSet<&str> = nodes.iter().filter_map(|node| node.label(key)).collect();
    let keys: BTreeSet<&str> = nodes.iter().flat_map(|node| node.kind.labels.keys().copied()).collect();
    match (closest(value, values.iter().copied()), closest(key, keys.into_iter().filter(|other| *other != key))) {
        (Some(meant), _) => format!("did you mean `{key}: {meant}`?"),
        (None, Some(meant)) if values.is_empty() => format!("did you mean the label `{meant}`?"),
        _ if !may_label(key) => {
            format!("no kubelet may give itself `{key}`: select by a label of your own, and give it to nodes by `labels`")
        }
        _ if values.is_empty() => {
            let value = if value.is_empty() { "\"\"" } else { value };
            format!("write `labels: {{{key}: {value}}}` in a node, a group or `defaults`")
        }
        _ => format!(
            "write a value that a node has: {}",
            values.into_iter().take(10).map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ")
        ),
    }
}
