//! What a profile may not change in the services of the line and of the OS.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::line::Line;
use crate::plan::cluster::{Class, Origin};
use crate::plan::context::Context;
use crate::plan::decide::fleet::DeclaredClass;
use crate::profile::Settings;
use crate::service::{AFTER, BEFORE, DETACH, SCOPE, Service, Value};
use crate::yaml::Given;

/// The profile's changes to the services of the line and of the OS that run on a class.
pub(crate) fn check(declared: &DeclaredClass, class: &Class, line: &Line, context: &Context, found: &mut Diagnostics) {
    for (name, change) in declared.settings.services.iter() {
        let name = &name.value;
        let runs_here = class.services.iter().any(|planned| planned.name == *name && planned.origin == Origin::Line);
        let of_line = line.services.iter().find(|service| runs_here && service.name == *name).map(|of_line| &of_line.service);
        match (context.target.services.get(name), of_line) {
            (Some(built_in), _) => check_os_service(name, change, built_in.one_shot, found),
            (None, Some(ours)) => {
                check_decided(name, ours, change, found);
                check_labels_kept(name, change, |label| ours.label(label).map(str::to_owned), found);
            }
            (None, None) => {}
        }
        if let Some(ours) = of_line {
            check_command(name, ours, change, found);
        }
    }
    check_removed(&declared.settings, line, context, found);
}

fn check_command(name: &str, service: &Service, change: &Service, found: &mut Diagnostics) {
    if let (Given::Is(_), Given::Is(theirs)) = (&service.command, &change.command) {
        found.push(
            Diagnostic::new(Code::CommandReplaced, theirs.span, format!("this replaces the whole command of {name}"))
                .why("all the flags that remuda decides would be lost")
                .help(format!("to change a flag, use `components: {{{name}: {{args: …}}}}`")),
        );
    }
}

/// A profile can't remove services of the OS, nor services and files that the line needs.
fn check_removed(settings: &Settings, line: &Line, context: &Context, found: &mut Diagnostics) {
    let of_os = |name: &str| context.target.services.contains_key(name);
    for name in settings.services.removed().filter(|name| of_os(&name.value)) {
        found.push(
            Diagnostic::new(Code::NotRemovable, name.span, format!("{} is a service of the OS", name.value))
                .why("the OS starts its own services even if no config names them")
                .help("remove the line"),
        );
    }
    let is_needed = |name: &str| !of_os(name) && line.services.iter().any(|service| service.name == name && service.needed);
    for name in settings.services.removed().filter(|name| is_needed(&name.value)) {
        found.push(
            Diagnostic::new(Code::NotRemovable, name.span, format!("{} is needed by the other services of {}", name.value, line.name))
                .why("they would wait indefinitely, or start without what they need")
                .help("remove the line"),
        );
    }
    for path in settings.files.removed().filter(|path| line.files.contains_key(&path.value)) {
        found.push(
            Diagnostic::new(Code::NotRemovable, path.span, format!("{} is a file of {}", path.value, line.name))
                .why("the services of the line read it and would not start without it")
                .help("remove the line"),
        );
    }
}

/// Labels that decide when and where a service of the line or the OS starts stay as they are.
fn check_labels_kept(name: &str, change: &Service, ours: impl Fn(&str) -> Option<String>, found: &mut Diagnostics) {
    let given = |label: &str| {
        change.labels.values.iter().find(|(key, _)| key.value == label).and_then(|(key, text)| Some((key.span, text.get()?.text.clone())))
    };
    let removed = |label: &str| change.labels.values.removed().find(|key| key.value == label).map(|key| (key.span, String::new()));
    for label in [AFTER, BEFORE, DETACH, SCOPE] {
        let is_order = [AFTER, BEFORE].contains(&label);
        let Some((span, _)) = removed(label).or(given(label).filter(|(_, text)| !is_order && Some(text) != ours(label).as_ref())) else {
            continue;
        };
        found.push(
            Diagnostic::new(Code::DecidedLabel, span, format!("the label `{label}` of {name} can't be changed or removed"))
                .why("other services would start too early, or it would start in the other engine")
                .help("remove it; names in `io.rancher.os.after` or `.before` are added"),
        );
    }
}

/// Keys of the OS's own services that the node can't start without.
fn check_os_service(name: &str, change: &Service, is_one_shot: bool, found: &mut Diagnostics) {
    const MAY: [&str; 10] =
        ["labels", "environment", "volumes", "volumes_from", "log_driver", "log_opt", "cpu_shares", "cpuset", "mem_limit", "ulimits"];
    change.visit(|key, value| {
        if MAY.contains(&key) {
            return;
        }
        let span = match value {
            Value::Text(text) => text.span,
            Value::Command(command) => command.span,
            Value::List(list) => list.items.first().map_or(change.span, |item| item.span),
            _ => change.span,
        };
        found.push(
            Diagnostic::new(Code::DecidedKey, span, format!("the OS decides `{key}` of {name}"))
                .why("with other values of its own services, the node doesn't start")
                .help(format!("remove it; you can change {}", MAY.join(", "))),
        );
    });
    let ours = |label: &str| match label {
        SCOPE => Some("system".to_owned()),
        DETACH => is_one_shot.then(|| "false".to_owned()),
        _ => None,
    };
    check_labels_kept(name, change, ours, found);
}

/// Keys through which a service of the line reaches the node, and other services reach it.
fn check_decided(name: &str, ours: &Service, change: &Service, found: &mut Diagnostics) {
    let mut decided = |key: &str, span: Option<Span>| {
        found.push(
            Diagnostic::new(Code::KeyReplaced, span, format!("remuda decides `{key}` of {name}"))
                .why("the program needs it to see the node, or other programs need it to reach this one")
                .help("remove it, or check on one node that it still works"),
        );
    };
    let texts = [
        ("net", &ours.net, &change.net),
        ("pid", &ours.pid, &change.pid),
        ("ipc", &ours.ipc, &change.ipc),
        ("uts", &ours.uts, &change.uts),
        ("restart", &ours.restart, &change.restart),
        ("user", &ours.user, &change.user),
        ("working_dir", &ours.working_dir, &change.working_dir),
    ];
    for (key, ours, theirs) in texts {
        if let Some(theirs) = theirs.get().filter(|theirs| ours.value().is_none_or(|ours| ours.text != theirs.text)) {
            decided(key, theirs.span);
        }
    }
    for (key, ours, theirs) in [("privileged", &ours.privileged, &change.privileged), ("read_only", &ours.read_only, &change.read_only)] {
        if let Some(theirs) = theirs.get().filter(|theirs| ours.value().is_some_and(|ours| ours.0) != theirs.0) {
            decided(key, theirs.span);
        }
    }
    if let Some(entrypoint) = change.entrypoint.get() {
        decided("entrypoint", entrypoint.span);
    }
    for (key, list) in [("volumes", &change.volumes), ("volumes_from", &change.volumes_from)] {
        if list.overrides() {
            decided(key, list.items.first().map_or(change.span, |item| item.span));
        }
    }
}
