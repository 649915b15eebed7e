//! Checks declarations: settings for nobody, and nodes that nobody could find.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, closest};
use crate::line::Line;
use crate::plan::decide::fleet::Fleet;
use crate::profile::Profile;
use crate::terms::Role;
use crate::yaml::Field;
use std::collections::HashSet;

/// The keys of `roles` must be roles, and those of `groups` must be groups with nodes.
pub(crate) fn check_levels(profile: &Profile, found: &mut Diagnostics) {
    for (name, _) in profile.roles.iter() {
        if !Role::ALL.iter().any(|role| role.as_str() == name.value) {
            let names = Role::ALL.iter().map(|role| role.as_str());
            found.push(
                Diagnostic::new(Code::UnknownRole, name.span, format!("`{}` isn't a role", name.value))
                    .why("no node would get these settings")
                    .help(
                        closest(&name.value, names)
                            .map_or("the roles are etcd, control-plane and worker".to_owned(), |meant| format!("did you mean `{meant}`?")),
                    ),
            );
        }
    }
    let used: HashSet<&str> = profile.nodes.iter().filter_map(|(_, node)| node.group.value()).map(|group| group.0.as_str()).collect();
    for (name, _) in profile.groups.iter().filter(|(name, _)| !used.contains(name.value.as_str())) {
        found.push(
            Diagnostic::new(Code::UnusedGroup, name.span, format!("the group `{}` has no nodes", name.value))
                .why("no node would get its settings")
                .help("add `group: NAME` to its nodes, or remove it"),
        );
    }
    for name in profile.nodes.removed() {
        found.push(
            Diagnostic::new(Code::NoRole, name.span, format!("{} is declared without settings", name.value))
                .why("remuda would generate nothing for it")
                .help("add `role: worker` and `address: ADDRESS`, or remove the line"),
        );
    }
    for (name, node) in profile.nodes.iter() {
        let Some(group) = node.group.get() else { continue };
        if profile.groups.get(&group.0).is_none() {
            let names: Vec<&str> = profile.groups.iter().map(|(name, _)| name.value.as_str()).collect();
            found.push(
                Diagnostic::new(
                    Code::UnknownGroup,
                    group.span,
                    format!("{} is in the group `{}`, which isn't declared", name.value, group.0),
                )
                .help(closest(&group.0, names).map_or("add it under `groups`".to_owned(), |meant| format!("did you mean `{meant}`?"))),
            );
        }
    }
}

/// Refuses a node that others must find but that has neither a known address nor a name that
/// follows its address.
pub(crate) fn check_found(profile: &Profile, fleet: &Fleet, line: Option<&Line>, found: &mut Diagnostics) {
    let Some(line) = line.filter(|_| profile.network.node_domain.is_absent()) else { return };
    let finds_etcd = line.pki.certificates.is_empty() && !profile.etcd.bootstrap.discovery.is_absent();
    let finds_api = line.api.published || !profile.api.endpoint.is_absent();
    for kind in fleet.classes.iter().filter(|kind| kind.is_dynamic) {
        let is = |role| kind.roles.contains(&role);
        let what = match (is(Role::Etcd) && !finds_etcd, is(Role::ControlPlane) && !finds_api) {
            (true, _) => "a member of etcd",
            (false, true) => "the API's endpoint",
            (false, false) => continue,
        };
        found.push(
            Diagnostic::new(Code::DhcpWithoutName, kind.span, format!("this node is {what}, but its address is unknown before it boots"))
                .why("the other nodes and its certificate need its address or name; a certificate for any address would let every machine on the network pass for it")
                .help("give it an address, or add `network: {node_domain: DOMAIN}` if your DHCP server or DNS ensures that NODE.DOMAIN is always its address"),
        );
    }
}
