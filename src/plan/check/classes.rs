//! What the nodes of a class would miss.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, closest};
use crate::line::Line;
use crate::plan::cluster::{Class, Origin};
use crate::plan::context::Context;
use crate::plan::decide::fleet::DeclaredClass;
use crate::profile::Profile;
use crate::service::{form, unfit};
use crate::yaml::{Field, Spanned};

/// Warns of absent settings that will be missed later, but not if there are errors, which may be the reason.
pub(crate) fn warn(profile: &Profile, classes: &[Class], found: &mut Diagnostics) {
    if found.has_errors() || classes.is_empty() {
        return;
    }
    if classes.iter().all(|class| class.ssh_keys.is_empty()) {
        found.push(
            Diagnostic::new(Code::NoSshKeys, None, "no ssh key may log in")
                .why("you could examine a node that doesn't start only on its console")
                .help("add `defaults: {ssh_keys: [ssh-ed25519 …]}`"),
        );
    }
    if let (Some(nodes), true, true) = (
        profile.network.nodes.v4.get(),
        profile.network.gateway.is_absent(),
        classes.iter().any(|class| {
            let leads_out = class.interfaces.iter().any(|one| one.by_dhcp || one.gateway.is_some());
            class.dhcp.is_empty() && !class.is_dynamic && !leads_out
        }),
    ) {
        found.push(
            Diagnostic::new(Code::NoDefaultRoute, nodes.span, "the nodes have no default route: no `network.gateway` and no interface with `dhcp`")
                .why("each boot waits 20 s for one, nodes reach nothing outside the node network, and programs on a node itself can't reach services")
                .help("add `gateway: ADDRESS`, or `defaults: {interface: eth1, dhcp: [eth0]}` if another interface leads out"),
        );
    }
}

pub(crate) fn check_component_names(profile: &Profile, line: &Line, found: &mut Diagnostics) {
    let levels = [&profile.defaults].into_iter().chain(profile.roles.iter().map(|(_, settings)| settings));
    let levels = levels.chain(profile.groups.iter().map(|(_, group)| &group.settings));
    for settings in levels.chain(profile.nodes.iter().map(|(_, node)| &node.settings)) {
        for (name, _) in settings.components.iter() {
            let known = || line.services.iter().filter(|service| service.is_component()).map(|service| service.name.as_str());
            if !known().any(|known| known == name.value) {
                let help = match closest(&name.value, known()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("the components of {} are {}", line.name, known().collect::<Vec<_>>().join(", ")),
                };
                found.push(
                    Diagnostic::new(Code::UnknownComponent, name.span, format!("{} has no component `{}`", line.name, name.value))
                        .help(help),
                );
            }
        }
    }
}

fn check_service_name(name: &Spanned<String>, found: &mut Diagnostics) {
    if form::misfit_name(&name.value).is_some() || name.value.len() > 63 || unfit(&name.value).is_some() {
        found.push(
            Diagnostic::new(Code::InvalidName, name.span, format!("{:?} can't be a service's name", name.value))
                .why("it becomes the container's name, which Docker refuses")
                .help("use two or more letters, digits, dashes, dots and underscores, beginning with a letter or digit"),
        );
    }
}

/// A kubelet accepts pods that have no address, unless it knows how many addresses there are.
fn check_room(kind: &DeclaredClass, class: &Class, context: &Context, found: &mut Diagnostics) {
    let given = kind.settings.components.get("kubelet").and_then(|kubelet| kubelet.args.get("max-pods")?.get());
    let most = given.map_or(Some(110), |given| given.text.parse().ok()).unwrap_or(0);
    if most > context.room && class.services.iter().any(|planned| planned.name == "kubelet") {
        found.push(
            Diagnostic::new(
                Code::FewPods,
                given.and_then(|given| given.span).or(context.room_span),
                format!("a node's subnet has room for {} pods, but a kubelet accepts {most}", context.room),
            )
            .why("the pods beyond would wait for an address indefinitely")
            .help(format!("use a smaller `node_prefix`, or `components: {{kubelet: {{args: {{max-pods: {}}}}}}}`", context.room)),
        );
    }
}

/// The names of the user's services, and room for pods.
pub(crate) fn check(declared: &DeclaredClass, class: &Class, context: &Context, found: &mut Diagnostics) {
    let is_ours = |name: &str| class.services.iter().any(|planned| planned.name == name && planned.origin == Origin::Line);
    let given = declared.settings.services.iter().map(|(name, _)| name);
    for name in given.filter(|name| !is_ours(&name.value) && class.services.iter().any(|planned| planned.name == name.value)) {
        check_service_name(name, found);
    }
    check_room(declared, class, context, found);
}
