//! Changes that end a running cluster, or that nobody can take back.

use super::{Before, Facts, Manifest, Running};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::line::{Moves, version};
use crate::plan::{Cluster, ClusterNode};
use crate::profile::Profile;
use crate::terms::Role;
use std::collections::BTreeMap;

/// A setting that the whole cluster shares.
struct Shared {
    key: &'static str,
    code: Code,
    why: &'static str,
    span: fn(&Profile) -> Option<Span>,
}

const PODS: &str =
    "nodes with the new value and nodes with the old one don't reach each other's pods, and what runs keeps its old addresses";

/// If only IPv6 comes, goes or changes.
const OF_IPV6: &str = "what runs keeps the addresses that it has, and nodes with the new config and nodes with the old one don't reach each other's pods by IPv6";

const SHARED: [Shared; 8] = [
    Shared { key: "network.pods", code: Code::PodNetworkChange, why: PODS, span: |profile| profile.network.pods.v4.span() },
    Shared { key: "network.node_prefix", code: Code::PodNetworkChange, why: PODS, span: |profile| profile.network.node_prefix.v4.span() },
    Shared { key: "network.backend", code: Code::PodNetworkChange, why: PODS, span: |profile| profile.network.backend.span() },
    Shared { key: "network.vni", code: Code::PodNetworkChange, why: PODS, span: |profile| profile.network.vni.span() },
    Shared {
        key: "network.services",
        code: Code::ServiceNetworkChange,
        why: "each service keeps the address that it has, also the API's own: with the new range nothing reaches it",
        span: |profile| profile.network.services.v4.span(),
    },
    Shared {
        key: "network.dns",
        code: Code::ServiceNetworkChange,
        why: "the cluster's DNS keeps the address that it has, and pods that start ask another one",
        span: |profile| profile.network.dns.span(),
    },
    Shared {
        key: "network.domain",
        code: Code::DnsDomainChange,
        why: "names of services end otherwise, and the API server refuses every token that a running pod has: its issuer has the domain in it",
        span: |profile| profile.network.domain.span(),
    },
    Shared {
        key: "etcd.data_dir",
        code: Code::EtcdDataDirChange,
        why: "each member of etcd starts with an empty folder: without its data, the cluster is gone",
        span: |profile| profile.etcd.data_dir.span(),
    },
];

/// What of `cluster` ends the cluster that runs. `profile` is where it is written, and `facts` are the cluster's.
/// Each tree that nodes run is judged by itself.
pub fn ends(before: &Before, cluster: &Cluster, facts: &Facts, profile: &Profile) -> Vec<Diagnostic> {
    let mut ends = Vec::new();
    for running in before.running() {
        let known = running.facts;
        let mut of_tree = whole(&running.tree.manifest, known, cluster, profile);
        of_tree.extend(settings(known, facts, profile));
        of_tree.extend(api(known, facts, cluster, profile));
        of_tree.extend(versions(before, &running, cluster, profile));
        of_tree.extend(keys(known, facts, cluster, profile));
        for end in &mut of_tree {
            end.message.extend(running.who.iter().map(|who| format!("; {who}")));
        }
        ends.extend(of_tree);
    }
    ends.extend(nodes(before, facts, cluster));
    for end in &mut ends {
        let accept = format!("if no machine runs the cluster of that tree, or you mean it, add `--accept {}`", end.code.name());
        let help = end.help.take().map_or(accept.clone(), |help| format!("{help}; {accept}"));
        end.help = Some(help);
    }
    ends
}

/// What a cluster is as a whole: its name, its OS, its engine.
fn whole(before: &Manifest, known: &Facts, cluster: &Cluster, profile: &Profile) -> Vec<Diagnostic> {
    let mut ends = Vec::new();
    if before.cluster != cluster.name {
        ends.push(
            Diagnostic::new(
                Code::OtherCluster,
                profile.cluster.span(),
                format!("the tree is of the cluster `{}`, and this is `{}`", before.cluster, cluster.name),
            )
            .why("every key is derived from the name, and etcd keeps clusters with other names apart: none of its machines works with another")
            .help(format!("write `cluster: {}`, or generate into another folder", before.cluster)),
        );
    }
    if before.target != cluster.target.name {
        ends.push(
            Diagnostic::new(
                Code::TargetChange,
                profile.target.span(),
                format!("the target changes from `{}` to `{}`", before.target, cluster.target.name),
            )
            .why("a node gets another OS only by being installed again: its disk, with etcd's data and the images, is lost")
            .help(format!("write `target: {}`", before.target)),
        );
    }
    let pods_in = cluster.line.pods_in.to_string();
    if let Some(engine) = known.pods_in.as_ref().filter(|engine| **engine != pods_in) {
        ends.push(
            Diagnostic::new(Code::EngineChange, profile.line.span(), format!("the engine of the pods changes from `{engine}` to `{pods_in}`"))
                .why("the new engine knows none of the pods and images of the old one: each node loses all its pods, and pods that stay on other nodes are on a network that it sets up otherwise")
                .help("make a new cluster beside this one, and move what runs there"),
        );
    }
    ends
}

fn settings(known: &Facts, facts: &Facts, profile: &Profile) -> Vec<Diagnostic> {
    let changed = |shared: &'static Shared| {
        let (old, new) = (known.settings.get(shared.key)?, facts.settings.get(shared.key)?);
        let says = || format!("`{}` changes from {old} to {new}", shared.key);
        let first = |networks: &str| networks.split(',').next() == old.split(',').next();
        let why = if first(new) { OF_IPV6 } else { shared.why };
        let of = || Diagnostic::new(shared.code, (shared.span)(profile), says()).why(why).help(format!("keep {old}"));
        (old != new).then(of)
    };
    let changed: Vec<Diagnostic> = SHARED.iter().filter_map(changed).collect();
    // A default that follows another setting's change has no place, and nothing to say.
    let follows = |one: &Diagnostic| one.span.is_none() && changed.iter().any(|other| other.code == one.code && other.span.is_some());
    changed.iter().filter(|one| !follows(one)).cloned().collect()
}

/// The API's port, and an address of the API that nodes use and that goes.
fn api(known: &Facts, facts: &Facts, cluster: &Cluster, profile: &Profile) -> Option<Diagnostic> {
    let pair = |key: &str| (known.settings.get(key), facts.settings.get(key));
    if let (Some(old), Some(new)) = pair("api.port")
        && old != new
    {
        let of = Diagnostic::new(Code::ApiMoved, profile.api.port.span(), format!("the API's port changes from {old} to {new}"));
        return Some(
            of.why("each node has the port in its config: nodes with the old one don't reach an API server with the new one, and after five minutes their pods are moved away")
                .help(format!("keep {old}")),
        );
    }
    // With several API servers each node asks them through its own balancer.
    match pair("api.vip") {
        (Some(old), new) if new != Some(old) && cluster.api.balancer.is_none() => {
            let new = new.map_or_else(|| "none".to_owned(), Clone::clone);
            let of = Diagnostic::new(Code::ApiMoved, profile.api.vip.span(), format!("the API's address changes from {old} to {new}"));
            Some(
                of.why("nobody holds the old address any more when the control-plane node has its new config, and all other nodes ask there until they have theirs")
                    .help(format!("keep {old}")),
            )
        }
        _ => None,
    }
}

fn versions(before: &Before, running: &Running<'_>, cluster: &Cluster, profile: &Profile) -> Vec<Diagnostic> {
    let line = profile.line.span();
    let moved = cluster.line.moves.iter().filter(|(component, _)| running.has(&cluster.line.roles_of(component)));
    let too_far = moved.filter_map(|(component, moves)| {
        let (old, new) = (running.facts.versions.get(component)?, cluster.images.versions.get(component)?);
        // As long as one node runs the older version, the others write nothing that it can't read.
        let runs_it = |one: &&String| minor(one).is_some_and(|one| Some(one) == minor(new));
        let is_half_way = before.versions_seen(component, &cluster.line.roles_of(component)).iter().any(runs_it);
        let problem = too_far(old, new, moves, if is_half_way { moves.back } else { moves.down })?;
        let span = profile.images.components.get(component).and_then(|given| given.version.span()).or(line);
        let of = Diagnostic::new(Code::VersionStep, span, format!("`{component}` changes from {old} to {new}: {problem}"));
        Some(of.why(moves.why.clone()).help(way(old, new, moves)))
    });
    too_far.collect()
}

/// Its major and minor version, if it is one.
fn minor(text: &str) -> Option<(u64, u64)> {
    let is_version = text.starts_with(|c: char| c.is_ascii_digit() || c == 'v');
    let numbers = version(text);
    Some((*numbers.first()?, *numbers.get(1)?)).filter(|_| is_version)
}

/// What is wrong with a step from one version to another; `None` if it may be made, or can't be judged.
fn too_far(old: &str, new: &str, moves: &Moves, most_down: u64) -> Option<String> {
    let ((old_major, old), (new_major, new)) = (minor(old)?, minor(new)?);
    if old_major != new_major {
        return Some("another major version".to_owned());
    }
    let minors = |count: u64| format!("{count} minor{}", if count == 1 { "" } else { "s" });
    match (new.saturating_sub(old), old.saturating_sub(new)) {
        (up, 0) if up > moves.up => Some(format!("{} up at once", minors(up))),
        (_, down) if down > most_down => Some(format!("{} down", minors(down))),
        _ => None,
    }
}

fn way(old: &str, new: &str, moves: &Moves) -> String {
    let (from, to) = (version(old), version(new));
    let is_upwards = from.first() == to.first() && from < to;
    let is_one_back = from.first() == to.first() && from.get(1) > to.get(1) && too_far(old, new, moves, moves.back).is_none();
    match from.get(1).filter(|_| is_upwards && moves.up > 0) {
        Some(minor) => format!(
            "go to {}.{} first, on every node, and so on, with a line or `images.components` for each; where there is none, make a new cluster beside this one",
            from[0],
            minor + moves.up
        ),
        None if is_one_back => format!(
            "keep {old}: go on with the newer version, or restore a snapshot (docs/backup.md); you can go back to {new} only while a Ready node still runs it, which only `remuda plan --live` knows"
        ),
        None => format!("keep {old}, or make a new cluster beside this one"),
    }
}

fn keys(known: &Facts, facts: &Facts, cluster: &Cluster, profile: &Profile) -> Vec<Diagnostic> {
    let lost = facts.keys.keys().filter_map(|purpose| {
        let (old, new) = (known.generations(purpose)?, facts.generations(purpose)?);
        let (old_used, new_used) = (*old.first()?, *new.first()?);
        let given = profile.pki.purposes.get(purpose.as_str());
        let span = given.and_then(|given| given.generation.span()).or(profile.pki.generation.span());
        let is_authority = cluster.line.pki.authorities.contains(purpose);
        let forgets = !new.contains(&old_used);
        // What one API server writes with another key, the others can't read until they have it.
        let is_shared = is_authority || [known, facts].iter().all(|facts| facts.with_role(Role::ControlPlane).count() > 1);
        let is_unknown = is_shared && !old.contains(&new_used);
        let what = match (is_authority, forgets || is_unknown) {
            (_, false) => return None,
            (true, true) => Diagnostic::new(
                Code::UntrustedAuthority,
                span,
                format!("the authority `{purpose}` changes from generation {old_used} to {new_used}, and nodes don't accept both"),
            )
            .why("a node with the new config and a node with the old one refuse each other's certificates: until all have it, etcd has no majority and no kubelet reaches the API")
            .help(if is_unknown {
                format!("first `{purpose}: {{generation: {old_used}, trust: [{new_used}]}}` on all nodes; docs/keys.md has the three steps")
            } else {
                format!("write `trust: [{old_used}]` until all nodes use the new one; docs/keys.md has the three steps")
            }),
            (false, true) if !forgets => Diagnostic::new(
                Code::LostKey,
                span,
                format!("`{purpose}` changes from generation {old_used} to {new_used}, which other control-plane nodes don't know yet"),
            )
            .why("until all have the new config, an API server refuses the tokens that another one signed, or can't read the secrets that it wrote")
            .help(format!("first `{purpose}: {{generation: {old_used}, trust: [{new_used}]}}` on all control-plane nodes, then `{{generation: {new_used}, trust: [{old_used}]}}`; docs/keys.md has the steps")),
            (false, true) => Diagnostic::new(
                Code::LostKey,
                span,
                format!("`{purpose}` changes from generation {old_used} to {}, and {old_used} isn't accepted any more", new.join(" and ")),
            )
            .why("what was signed or encrypted with the old one is worth nothing: the tokens of running pods, or every secret in etcd")
            .help(format!("write `{purpose}: {{generation: {new_used}, trust: [{old_used}]}}`; docs/keys.md says when to remove `trust`")),
        };
        Some(what)
    });
    lost.collect()
}

fn nodes(before: &Before, facts: &Facts, cluster: &Cluster) -> Vec<Diagnostic> {
    let mut ends = Vec::new();
    for node in &cluster.nodes {
        let (Some(old), Some(new)) = (before.node(&node.name), facts.node(&node.name)) else { continue };
        let is_said = node.span.is_some() && ends.iter().any(|end: &Diagnostic| end.span == node.span);
        if old.address == new.address || !old.is_relied_on() && !new.is_relied_on() || is_said {
            continue;
        }
        let word = |address: &Option<String>| address.clone().unwrap_or_else(|| "DHCP's".to_owned());
        let help = match old.is_relied_on() && new.is_relied_on() {
            true => "keep the address; to move a machine, take the node out, and add it with another name and address",
            false => {
                "change the roles and the address one after the other, each with a plan of its own; or take the node out, and add it with another name and address"
            }
        };
        ends.push(
            Diagnostic::new(
                Code::ControlPlaneAddress,
                node.span,
                format!("the address of {} changes from {} to {}", node.name, word(&old.address), word(&new.address)),
            )
            .why("etcd's members know each other by their addresses, and every other node has this one in its config: the member is lost, and with a majority of them the cluster")
            .help(help),
        );
    }
    for taken in taken_addresses(before, facts, cluster) {
        if taken.span.is_none() || !ends.iter().any(|end| end.span == taken.span) {
            ends.push(taken);
        }
    }
    let had: Vec<&str> = before.nodes().filter(|name| before.node(name).is_some_and(|node| node.is(Role::Etcd))).collect();
    if !had.is_empty() && !had.iter().any(|name| facts.node(name).is_some_and(|node| node.is(Role::Etcd))) {
        let first = cluster.etcd.members.first().and_then(|index| cluster.nodes[*index].span);
        ends.push(
            Diagnostic::new(Code::EtcdReplaced, first, format!("none of etcd's members stays: {}", had.join(", ")))
                .why("new members have nobody to get the data from: they would be an empty cluster")
                .help("keep at least one; add the new members first, and take the old ones out afterwards"),
        );
    }
    ends
}

/// Nodes that get the address of another one, which is still there with it. A new node on the machine of one that goes
/// isn't among them.
fn taken_addresses(before: &Before, facts: &Facts, cluster: &Cluster) -> Vec<Diagnostic> {
    let had: BTreeMap<String, &str> = before.nodes().filter_map(|name| Some((before.node(name)?.address?, name))).collect();
    let taken = |node: &ClusterNode| {
        let address = facts.node(&node.name)?.address?;
        let owner = *had.get(&address)?;
        let is_handed_on = owner == node.name || !facts.nodes.contains_key(owner) && !before.has(&node.name);
        let of = || {
            Diagnostic::new(Code::AddressInUse, node.span, format!("{} gets the address {address}, which {owner} has now", node.name))
                .why(
                    "until both have booted with their new configs two machines have one address, and commands for the one reach the other",
                )
                .help(format!("give {} a free address; or change {owner} first, with a plan of its own", node.name))
        };
        (!is_handed_on).then(of)
    };
    cluster.nodes.iter().filter_map(taken).collect()
}
