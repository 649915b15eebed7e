//! What a profile changes in the services of the line and of the OS, and what it may not change there.

use super::effects::{Effects, nothing_removed};
use super::services::Context;
use super::{PlannedService, files};
use crate::diagnostic::{Diagnostic, Diagnostics, Span, closest};
use crate::line::{Line, LineService};
use crate::os::Target;
use crate::profile::Settings;
use crate::service::{AFTER, BEFORE, Command, DETACH, SCOPE, Service, Text, Value};
use crate::yaml::{Field, Given, Map, Spanned};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the OS starts, and what the line writes, can't be taken away.
pub fn check_removed(settings: &Settings, line: &Line, context: &Context, found: &mut Diagnostics) {
    let of_line = |name: &str| line.services.iter().any(|service| service.name == name);
    let of_os = |name: &str| context.target.facts.services.contains_key(name) && !of_line(name);
    for name in settings.services.removed().filter(|name| of_os(&name.value)) {
        found.push(
            Diagnostic::error("not-removable", name.span, format!("{} is a service of the OS", name.value))
                .why("the OS starts its own services whether a config names them or not")
                .mend("take the line out"),
        );
    }
    let is_needed = |name: &str| line.services.iter().any(|service| service.name == name && service.needed);
    for name in settings.services.removed().filter(|name| is_needed(&name.value)) {
        found.push(
            Diagnostic::error("not-removable", name.span, format!("{} is needed by the other services of {}", name.value, line.name))
                .why("they would wait for ever, or start without what they need")
                .mend("take the line out"),
        );
    }
    for path in settings.files.removed().filter(|path| line.files.iter().any(|file| file.path == path.value)) {
        found.push(
            Diagnostic::error("not-removable", path.span, format!("{} is a file of {}", path.value, line.name))
                .why("the services of the line read it: they would not start without it")
                .mend("take the line out"),
        );
    }
}

/// A list in a change of one of the OS's own services, or a label that orders, takes the place of the OS's:
/// what is added there is added to it here. Nothing of the OS's may go.
pub fn keep_what_the_os_mounts(planned: &mut PlannedService, target: &Target, found: &mut Diagnostics) {
    let Some(built_in) = target.facts.services.get(&planned.name) else { return };
    let inside = |volume: &str| volume.split(':').nth(1).unwrap_or_default().to_owned();
    let service = Arc::make_mut(&mut planned.service);
    for (label, own) in [(AFTER, &built_in.after), (BEFORE, &built_in.before)] {
        keep_order(service, label, own);
    }
    for (list, own, is_same) in [
        (&mut service.volumes, &built_in.volumes, &(|a: &str, b: &str| inside(a) == inside(b)) as &dyn Fn(&str, &str) -> bool),
        (&mut service.volumes_from, &built_in.volumes_from, &|a: &str, b: &str| files::mode_less(a) == files::mode_less(b)),
    ] {
        let missing = own.iter().filter(|own| !list.items.iter().any(|item| is_same(&item.text, own)));
        let missing: Vec<_> = missing.map(|own| Spanned::unwritten(Text::plain(own))).collect();
        if list.is_absent() || missing.is_empty() {
            continue;
        }
        if list.overrides() {
            let span = list.items.first().map_or(service.span, |item| item.span);
            found.push(
                Diagnostic::error("os-mounts-lost", span, format!("{} of the OS would lose {}", planned.name, missing[0].text))
                    .why("the OS's own services and those on its base image need it: the node would not come up")
                    .mend("leave `!override` out: what you list is added"),
            );
        }
        list.items.splice(0..0, missing);
    }
}

/// What a service starts after or before is added to, never less.
fn keep_order(service: &mut Service, label: &str, own: &[String]) {
    if let Some(theirs) = service.labels.values.get_mut(label).and_then(Given::get_mut).filter(|theirs| !theirs.varies()) {
        let missing = own.iter().filter(|own| !theirs.text.split(',').any(|name| name.trim() == **own));
        let all: Vec<String> = missing.chain([&theirs.text]).filter(|name| !name.is_empty()).cloned().collect();
        theirs.value.text = all.join(",");
    }
}

/// The profile's flags and changes to a service of the line.
pub fn change(
    service: &mut Service,
    of_line: &LineService,
    settings: &Settings,
    context: &Context,
    effects: &mut Effects,
    found: &mut Diagnostics,
) {
    let name = &of_line.name;
    let change = settings.services.get(name);
    if let Some(component) = settings.components.get(name).filter(|_| of_line.is_component()) {
        let is_the_lines = !context.repacked.contains(name) && change.is_none_or(|change| change.image.is_absent());
        let known = of_line.flags.as_ref().filter(|_| is_the_lines);
        change_flags(service, of_line, &component.args, known, change, effects, found);
    }
    if let Some(change) = change {
        if let (Given::Is(_), Given::Is(theirs)) = (&service.command, &change.command) {
            found.push(
                Diagnostic::warning("command-replaced", theirs.span, format!("this replaces the whole command of {name}"))
                    .why("every flag that remuda decides is lost with it")
                    .mend(format!("to change a flag, use `components: {{{name}: {{args: …}}}}`")),
            );
        }
        let before = service.clone();
        service.merge(change);
        for label in [AFTER, BEFORE] {
            let own: Vec<String> = before.label(label).unwrap_or_default().split(',').map(str::to_owned).collect();
            keep_order(service, label, &own);
        }
        match context.target.facts.services.get(name) {
            Some(built_in) => check_os_service(name, change, built_in.one_shot, found),
            None => {
                check_decided(name, &before, change, found);
                check_labels_kept(name, change, |label| before.label(label).map(str::to_owned), found);
            }
        }
    }
}

/// Labels that say when a service of the line or the OS starts, and where, stay as they are.
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
            Diagnostic::error("decided-label", span, format!("`{label}` of {name} can't be taken away or changed"))
                .why("others would start before what they need is there, or it would start in the other engine")
                .mend("leave it out; what is written in `io.rancher.os.after` or `.before` is added"),
        );
    }
}

/// Keys of a service of the OS's own that it can't start without.
pub fn check_os_service(name: &str, change: &Service, is_one_shot: bool, found: &mut Diagnostics) {
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
            Diagnostic::error("decided-key", span, format!("`{key}` of {name} is the OS's to say"))
                .why("the node's own services start as the OS made them, or the node doesn't come up")
                .mend(format!("leave it out; what can be changed is {}", MAY.join(", "))),
        );
    });
    let ours = |label: &str| match label {
        SCOPE => Some("system".to_owned()),
        DETACH => is_one_shot.then(|| "false".to_owned()),
        _ => None,
    };
    check_labels_kept(name, change, ours, found);
}

/// Keys by which a service of the line reaches the node and the others reach it.
fn check_decided(name: &str, ours: &Service, change: &Service, found: &mut Diagnostics) {
    let mut decided = |key: &str, span: Option<Span>| {
        found.push(
            Diagnostic::warning("decided-key", span, format!("remuda decides `{key}` of {name}"))
                .why("it is what the program needs to see of the node, or what others need to reach it")
                .mend("leave it out, or see on one node that it still works"),
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

fn change_flags(
    service: &mut Service,
    of_line: &LineService,
    args: &Map<Given<Text>>,
    known: Option<&BTreeMap<String, bool>>,
    added: Option<&Service>,
    effects: &mut Effects,
    found: &mut Diagnostics,
) {
    let name = &of_line.name;
    let volumes: Vec<Spanned<Text>> =
        service.volumes.iter().chain(added.into_iter().flat_map(|change| change.volumes.iter())).cloned().collect();
    let Given::Is(Spanned { value: Command::Words(words), .. }) = &mut service.command else { return };
    for (flag, hit) in args.removals() {
        if of_line.keeps.contains(&flag.value) {
            found.push(kept(name, flag));
            continue;
        }
        let before = words.len();
        words.retain(|word| flag_of(&word.text) != Some(&flag.value));
        effects.note(flag.span, hit || words.len() < before, || nothing_removed(flag, &format!("remuda gives {name} no --{}", flag.value)));
    }
    for (flag, value) in args.iter() {
        let Some(value) = value.get() else { continue };
        if flag.value.starts_with('-') || flag.value.contains(['=', ' ']) || flag.value.is_empty() {
            found.push(Diagnostic::error("invalid-name", flag.span, format!("`{}` is no flag's name", flag.value)).mend(format!(
                "write it without dashes: `{}: …`",
                flag.value.trim_start_matches('-').split(['=', ' ']).next().unwrap_or_default()
            )));
            continue;
        }
        if of_line.keeps.contains(&flag.value) {
            found.push(kept(name, flag));
            continue;
        }
        if known.and_then(|known| known.get(&flag.value)) == Some(&false) {
            found.push(
                Diagnostic::error("unread-flag", flag.span, format!("{name} has a config file and doesn't read --{}", flag.value))
                    .why("it takes the flag, ignores it, and goes on otherwise than meant")
                    .mend(format!("write the file that its `--config` names under `files`; `remuda explain NODE {name}` shows where")),
            );
            continue;
        }
        if let Some(known) = known.filter(|known| !known.contains_key(&flag.value)) {
            let meant = closest(&flag.value, known.keys().map(String::as_str));
            found.push(
                Diagnostic::error("unknown-flag", flag.span, format!("{name} of this line has no flag --{}", flag.value))
                    .why("it exits on a flag that it doesn't know, and is started again, for ever")
                    .mend(meant.map_or(format!("`{name} --help` lists its flags"), |meant| format!("did you mean `{meant}`?"))),
            );
            continue;
        }
        if let Some(path) = Some(&value.text).filter(|path| path.starts_with('/') && !path.starts_with("/dev/"))
            && !volumes.iter().any(|volume| sees(&volume.text, path))
        {
            found.push(
                Diagnostic::warning("flag-not-seen", value.span, format!("{name} mounts nothing at {path}"))
                    .why("it looks inside of its own container: nothing is there, and what it writes goes with the container")
                    .mend(format!("add `services: {{{name}: {{volumes: [FOLDER:FOLDER]}}}}`, and use a path below it")),
            );
        }
        let text = Text { text: format!("--{}={}", flag.value, value.text), template: value.template };
        let word = Spanned { value: text, span: value.span };
        match words.iter_mut().find(|word| flag_of(&word.text) == Some(&flag.value)) {
            Some(ours) => {
                if ours.text.contains("{{") {
                    found.push(
                        Diagnostic::warning("decided-flag", flag.span, format!("remuda decides --{} of {name}", flag.value))
                            .why("other components are told the same value: with another one here they contradict each other")
                            .mend("change it where the profile says it, or leave it out"),
                    );
                }
                *ours = word;
            }
            None => words.push(word),
        }
    }
}

/// Whether a mount, which may be a template, goes to a folder above `path`, or to it.
fn sees(volume: &str, path: &str) -> bool {
    let inside = |part: &str| {
        part.starts_with('/') && path.strip_prefix(part.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    volume.split([':', '{', '}', '%']).skip(1).any(inside)
}

fn kept(name: &str, flag: &Spanned<String>) -> Diagnostic {
    Diagnostic::error("decided-flag", flag.span, format!("remuda decides --{} of {name}", flag.value))
        .why("the node's files, its data or the other components are where this flag says: with another value the cluster doesn't come up, or forgets")
        .mend("leave it out; what can be different is said elsewhere in the profile, like `etcd: {data_dir: …}`")
}

/// `name` in `--name=value`, also behind a template's `{% if %}`.
fn flag_of(word: &str) -> Option<&str> {
    let word = match word.strip_prefix("{%") {
        Some(rest) => rest.split_once("%}")?.1,
        None => word,
    };
    word.strip_prefix("--").map(|rest| rest.split('=').next().unwrap_or(rest))
}
