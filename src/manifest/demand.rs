//! What an object's pods demand of the node that runs them, and whether a node meets it (kube-scheduler's filters
//! NodeName, NodeAffinity, TaintToleration and NodeResourcesFit, as far as they are about the node itself).

use super::Object;
use crate::diagnostic::Span;
use crate::yaml::{Kind, Node};
use std::collections::BTreeMap;

/// The key of the label with a node's own name.
const HOSTNAME: &str = "kubernetes.io/hostname";
/// Ends of the keys of taints that something in the cluster takes away when the node is ready for pods.
const PASSING: [&str; 3] = ["not-ready", "unready", "uninitialized"];
/// The taints of conditions, which come and go.
const CONDITIONS: &str = "node.kubernetes.io/";

/// A node, as the scheduler sees it when it has registered.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'c> {
    /// Its name.
    pub name: &'c str,
    /// What it has in common with others.
    pub kind: &'c NodeKind<'c>,
}

/// What nodes have in common.
#[derive(Debug)]
pub struct NodeKind<'c> {
    /// Their labels, besides the one with their names.
    pub labels: BTreeMap<&'c str, &'c str>,
    /// `KEY[=VALUE]:EFFECT`.
    pub taints: &'c [String],
    /// How many processors each has, if the profile says it.
    pub cpus: Option<f64>,
    /// The bytes of memory, if the profile says it.
    pub memory: Option<f64>,
}

/// A demand, and where the manifest has it.
#[derive(Debug)]
pub struct Demand<'o> {
    /// The place.
    pub span: Option<Span>,
    /// The demand.
    pub of: DemandOf<'o>,
}

/// What is demanded.
#[derive(Debug)]
#[allow(missing_docs)] // The names say it.
pub enum DemandOf<'o> {
    Name(&'o str),
    Label {
        key: &'o str,
        value: &'o str,
    },
    /// One of these terms of a node affinity.
    Affinity(&'o [Node]),
    /// No taint but what these tolerate.
    Tolerated(&'o [Node]),
    Cpus(f64),
    Memory(f64),
}

impl Candidate<'_> {
    /// The value of one of its labels.
    pub fn label<'c>(&'c self, key: &str) -> Option<&'c str> {
        if key == HOSTNAME { Some(self.name) } else { self.kind.labels.get(key).copied() }
    }

    fn meets_term(&self, term: &Node) -> bool {
        let expressions = || term.get("matchExpressions").map(Node::items).unwrap_or_default();
        let fields = || term.get("matchFields").map(Node::items).unwrap_or_default();
        let is = |one: &Node, value: Option<&str>| {
            let values: Vec<&str> = one.get("values").map(Node::items).unwrap_or_default().iter().filter_map(scalar).collect();
            let compared = || Some((value?.parse::<i64>().ok()?, values.first()?.parse::<i64>().ok()?));
            match one.get("operator").and_then(Node::text) {
                Some("In") => value.is_some_and(|value| values.contains(&value)),
                Some("NotIn") => value.is_none_or(|value| !values.contains(&value)),
                Some("Exists") => value.is_some(),
                Some("DoesNotExist") => value.is_none(),
                Some("Gt") => compared().is_some_and(|(has, than)| has > than),
                Some("Lt") => compared().is_some_and(|(has, than)| has < than),
                // The API server refuses it.
                _ => true,
            }
        };
        let key = |one: &Node| one.get("key").and_then(Node::text).unwrap_or_default().to_owned();
        // A term without anything matches nothing.
        !(expressions().is_empty() && fields().is_empty())
            && expressions().iter().all(|one| is(one, self.label(&key(one))))
            && fields().iter().all(|one| key(one) != "metadata.name" || is(one, Some(self.name)))
    }

    /// The first taint that keeps pods with these tolerations away.
    pub fn repels(&self, tolerations: &[Node]) -> Option<&str> {
        let mut repelling =
            self.kind.taints.iter().filter(|taint| repels(taint)).filter(|taint| !tolerations.iter().any(|one| tolerates(one, taint)));
        repelling.next().map(String::as_str)
    }

    /// Whether it meets a demand.
    pub fn meets(&self, demand: &Demand) -> bool {
        match demand.of {
            DemandOf::Name(name) => self.name == name,
            DemandOf::Label { key, value } => self.label(key) == Some(value),
            DemandOf::Affinity(terms) => terms.iter().any(|term| self.meets_term(term)),
            DemandOf::Tolerated(tolerations) => self.repels(tolerations).is_none(),
            DemandOf::Cpus(wanted) => self.kind.cpus.is_none_or(|has| wanted <= has),
            DemandOf::Memory(wanted) => self.kind.memory.is_none_or(|has| wanted <= has),
        }
    }
}

/// Whether a taint keeps pods that don't tolerate it away, and stays.
pub fn repels(taint: &str) -> bool {
    let (key, _, effect) = parts(taint);
    effect != "PreferNoSchedule" && !key.starts_with(CONDITIONS) && !PASSING.iter().any(|end| key.ends_with(end))
}

/// Key, value and effect of `KEY[=VALUE]:EFFECT`.
pub fn parts(taint: &str) -> (&str, &str, &str) {
    let (rest, effect) = taint.rsplit_once(':').unwrap_or((taint, ""));
    let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
    (key, value, effect)
}

fn tolerates(toleration: &Node, taint: &str) -> bool {
    let (key, value, effect) = parts(taint);
    let given = |name: &str| toleration.get(name).and_then(scalar).unwrap_or_default();
    let is_same = given("effect").is_empty() || given("effect") == effect;
    is_same
        && match given("operator") {
            "" | "Equal" => given("key") == key && given("value") == value,
            "Exists" => given("key").is_empty() || given("key") == key,
            // Comparisons, which newer versions of Kubernetes have.
            _ => given("key") == key,
        }
}

/// A single value's text, also an empty one.
fn scalar(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

impl Object {
    /// The pod that it makes, with `metadata` and `spec`, if it is a pod or one of the kinds that make some.
    pub fn pod_template(&self) -> Option<&Node> {
        let path: &[&str] = match (self.group(), self.kind.as_str()) {
            ("", "Pod") => &[],
            ("", "ReplicationController") | ("batch", "Job") => &["spec", "template"],
            ("apps", "Deployment" | "StatefulSet" | "ReplicaSet" | "DaemonSet") => &["spec", "template"],
            ("batch", "CronJob") => &["spec", "jobTemplate", "spec", "template"],
            _ => return None,
        };
        path.iter().try_fold(&self.node, |node, key| node.get(key))
    }

    /// The `spec` of the pod that it makes.
    fn pod(&self) -> Option<&Node> {
        self.pod_template()?.get("spec")
    }

    /// What its pods demand of their nodes. Empty if it makes no pods.
    pub fn demands(&self) -> Vec<Demand<'_>> {
        let Some(pod) = self.pod() else { return Vec::new() };
        let mut all = Vec::new();
        if let Some(node) = pod.get("nodeName")
            && let Some(name) = node.text()
        {
            all.push(Demand { span: Some(node.span), of: DemandOf::Name(name) });
        } else {
            // The scheduler gives pods to no node with such taints; who names a node bypasses it.
            let tolerations = pod.get("tolerations").map(Node::items).unwrap_or_default();
            all.push(Demand { span: self.kind.span, of: DemandOf::Tolerated(tolerations) });
        }
        for entry in pod.get("nodeSelector").map(Node::entries).unwrap_or_default() {
            let value = scalar(&entry.value).unwrap_or_default();
            all.push(Demand { span: Some(entry.value.span), of: DemandOf::Label { key: &entry.key, value } });
        }
        let required = ["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"];
        if let Some(terms) = required.iter().try_fold(pod, |node, key| node.get(key)) {
            all.push(Demand { span: Some(terms.span), of: DemandOf::Affinity(terms.items()) });
        }
        let (cpus, memory) = (requested(pod, "cpu"), requested(pod, "memory"));
        all.extend(cpus.map(|(sum, span)| Demand { span: Some(span), of: DemandOf::Cpus(sum) }));
        all.extend(memory.map(|(sum, span)| Demand { span: Some(span), of: DemandOf::Memory(sum) }));
        all
    }

    /// Whether it makes a pod for each node that meets its demands, so that no pod waits for one.
    pub fn is_per_node(&self) -> bool {
        self.kind.value == "DaemonSet" && self.group() == "apps"
    }

    /// Whether it wants no pods now.
    pub fn is_scaled_to_zero(&self) -> bool {
        self.replicas().and_then(Node::text) == Some("0")
    }
}

/// How much of a resource a pod requests at least, and where: all its containers together, or one that runs before them.
fn requested(pod: &Node, resource: &str) -> Option<(f64, Span)> {
    let of = |one: &Node| {
        let resources = one.get("resources")?;
        // A limit without a request is one.
        let node = ["requests", "limits"].into_iter().find_map(|kind| resources.get(kind)?.get(resource))?;
        Some((quantity(node.text()?)?, node.span))
    };
    let sum = |(sum, _): (f64, Span), (more, span): (f64, Span)| (sum + more, span);
    let each = |key: &str| pod.get(key).map(Node::items).unwrap_or_default().iter().filter_map(of);
    let together = of(pod).or_else(|| each("containers").reduce(sum));
    together.into_iter().chain(each("initContainers")).max_by(|(one, _), (other, _)| one.total_cmp(other))
}

/// A quantity of Kubernetes: a decimal number with a suffix or an exponent.
fn quantity(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let suffixed = SUFFIXES.iter().find_map(|(suffix, times)| Some((text.strip_suffix(suffix)?, *times)));
    let (number, times) = suffixed.unwrap_or((text, 1.0));
    number.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number * times)
}
