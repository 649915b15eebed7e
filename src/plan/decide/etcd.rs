//! Who is in etcd.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::plan::cluster::{Discovery, Etcd, Snapshots};
use crate::plan::decide::fleet::Fleet;
use crate::plan::decide::names::{NODES, Pattern};
use crate::profile::NodeNames;
use crate::profile::Profile;
use crate::terms::Role;
use crate::yaml::{Given, Spanned};
use std::collections::{BTreeSet, HashMap};

/// etcd's members, and the folder of its data.
pub(crate) fn etcd(profile: &Profile, fleet: &Fleet, found: &mut Diagnostics) -> Option<Etcd> {
    let members: Vec<usize> = (0..fleet.nodes.len()).filter(|index| fleet.has_role(*index, Role::Etcd)).collect();
    let discovery = discovery(profile, members.len(), fleet, found);
    let count = discovery.as_ref().map_or(members.len(), |discovery| usize::from(discovery.size));
    if let Some(last) = members.last().filter(|_| count.is_multiple_of(2) && count > 0) {
        let span = profile.etcd.bootstrap.size.span().or_else(|| fleet.declaration(*last));
        found.push(
            Diagnostic::new(Code::EvenEtcd, span, format!("etcd has {count} members"))
                .why(format!("etcd needs a majority of {}: {count} members survive no more failures than {}", count / 2 + 1, count - 1))
                .help("use one, three or five"),
        );
    }
    if count > 7 {
        let span = profile.etcd.bootstrap.size.span().or_else(|| fleet.declaration(members[7]));
        found.push(
            Diagnostic::new(Code::ManyEtcd, span, format!("etcd has {count} members"))
                .why("every write waits for a majority of them; etcd's authors recommend at most seven")
                .help("use three or five"),
        );
    }
    let data_dir = profile.etcd.data_dir.value().map_or_else(|| "/var/lib/etcd".to_owned(), |given| given.0.clone());
    let restores = profile.etcd.restore.span.is_some();
    let founders = match profile.etcd.restore.member.get() {
        Some(member) => founders([member], fleet, found),
        None if profile.etcd.founders.span.is_some() => founders(profile.etcd.founders.iter(), fleet, found),
        None => members.clone(),
    };
    let given = &profile.etcd.snapshots;
    let snapshots = given.span.map(|_| Snapshots {
        every: given.every.value().map_or(6 * 3600, |every| every.seconds()),
        keep: given.keep.value().map_or(28, |keep| keep.0),
        directory: given.directory.value().map_or_else(|| "/var/lib/etcd-snapshots".to_owned(), |given| given.0.clone()),
    });
    let directory = || profile.etcd.restore.directory.value().map_or_else(|| "/var/lib/etcd-restore".to_owned(), |given| given.0.clone());
    Some(Etcd { members, founders, data_dir, discovery, snapshots, restore: restores.then(directory) })
}

/// The nodes that these names are of.
fn founders<'p>(names: impl IntoIterator<Item = &'p Spanned<NodeNames>>, fleet: &Fleet, found: &mut Diagnostics) -> Vec<usize> {
    let by_name: HashMap<&str, usize> = fleet.nodes.iter().enumerate().map(|(index, node)| (node.name.as_str(), index)).collect();
    let (mut founders, mut named) = (BTreeSet::new(), 0);
    for item in names {
        let pattern = match Pattern::parse(&item.value.0) {
            Ok(pattern) => pattern,
            Err(problem) => {
                found.push(Diagnostic::new(Code::InvalidName, item.span, problem).why("no node can have such a name").help(NAMES));
                continue;
            }
        };
        named += pattern.len();
        if named > NODES {
            found.push(Diagnostic::new(Code::TooLarge, item.span, format!("more than {NODES} founders")).help(NAMES));
            break;
        }
        for name in (0..pattern.len()).map(|index| pattern.name(index)) {
            let problem = match by_name.get(name.as_str()) {
                Some(index) if fleet.has_role(*index, Role::Etcd) => {
                    founders.insert(*index);
                    continue;
                }
                Some(_) => format!("{name} founds etcd, but it doesn't have the role `etcd`"),
                None if fleet.broken => continue,
                None => format!("{name} founds etcd, but no node has that name"),
            };
            found.push(
                Diagnostic::new(Code::UnknownFounder, item.span, problem)
                    .why("the founders count each other when the cluster first starts; they would wait for one that never comes")
                    .help("name members of etcd; if a founder has left a cluster that runs, write `founders: []`"),
            );
            break;
        }
    }
    founders.into_iter().collect()
}

const NAMES: &str = "write the members' names, or ranges like `m-[1-3]`";

fn discovery(profile: &Profile, nodes: usize, fleet: &Fleet, found: &mut Diagnostics) -> Option<Discovery> {
    let given = &profile.etcd.bootstrap;
    let (service, size) = match (given.discovery.get(), given.size.get()) {
        (Some(service), Some(size)) => (service, size),
        (None, None) => return None,
        (service, size) => {
            let (missing, span) = match (service, size) {
                (None, size) => ("`discovery`, the service's URL", size.and_then(|size| size.span)),
                (service, _) => ("`size`, the number of members", service.and_then(|service| service.span)),
            };
            if !matches!(given.discovery, Given::Bad) && !matches!(given.size, Given::Bad) {
                found.push(
                    Diagnostic::new(Code::MissingKey, span, format!("`etcd.bootstrap` has no {missing}"))
                        .why("the nodes could not find etcd's members")
                        .help("write `bootstrap: {discovery: https://discovery.etcd.io, size: 3}`, or remove `bootstrap`: then each config names all members"),
                );
            }
            return None;
        }
    };
    if usize::from(size.0) > nodes && !fleet.broken {
        found.push(
            Diagnostic::new(
                Code::DiscoverySize,
                size.span,
                format!("only {nodes} nodes can be in etcd, but it must have {} members", size.0),
            )
            .why("those nodes would wait for the others indefinitely")
            .help("use a smaller `size`, or give more nodes the role `etcd`"),
        );
    }
    let span = service.span;
    Some(Discovery { service: service.0.trim_end_matches('/').to_owned(), size: size.0, token: None, span })
}
