//! What a profile changes in the services of the line and of the OS.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, closest};
use crate::line::{Flag, LineService, ValueKind, flag_of};
use crate::plan::cluster::PlannedService;
use crate::plan::context::Context;
use crate::plan::effects::{Effects, nothing_removed};
use crate::plan::folders::mode_less;
use crate::profile::Settings;
use crate::service::{AFTER, BEFORE, Command, Service, Text};
use crate::target::Target;
use crate::yaml::{Field, Given, Map, Spanned};
use std::collections::BTreeMap;
use std::sync::Arc;

/// In a change to one of the OS's own services, a list or an ordering label replaces the OS's. So
/// additions are appended to the OS's entries here, and none of these may be dropped.
pub(crate) fn keep_what_the_os_mounts(planned: &mut PlannedService, target: &Target, found: &mut Diagnostics) {
    let Some(built_in) = target.services.get(&planned.name) else { return };
    let inside = |volume: &str| volume.split(':').nth(1).unwrap_or_default().to_owned();
    let service = Arc::make_mut(&mut planned.service);
    for (label, own) in [(AFTER, &built_in.after), (BEFORE, &built_in.before)] {
        keep_order(service, label, own);
    }
    for (list, own, is_same) in [
        (&mut service.volumes, &built_in.volumes, &(|a: &str, b: &str| inside(a) == inside(b)) as &dyn Fn(&str, &str) -> bool),
        (&mut service.volumes_from, &built_in.volumes_from, &|a: &str, b: &str| mode_less(a) == mode_less(b)),
    ] {
        let missing = own.iter().filter(|own| !list.items.iter().any(|item| is_same(&item.text, own)));
        let missing: Vec<_> = missing.map(|own| Spanned::unwritten(Text::plain(own))).collect();
        if list.is_absent() || missing.is_empty() {
            continue;
        }
        if list.overrides() {
            let span = list.items.first().map_or(service.span, |item| item.span);
            found.push(
                Diagnostic::new(Code::OsMountsLost, span, format!("{} of the OS would lose {}", planned.name, missing[0].text))
                    .why("the OS's own services and those on its base image need it: the node would not start")
                    .help("remove `!override`: your items are appended"),
            );
        }
        list.items.splice(0..0, missing);
    }
}

/// A changed environment replaces the OS's, in which it looks the proxy up.
pub(crate) fn keep_the_proxy(planned: &mut PlannedService, context: &Context) {
    let (Some(proxy), Some(built_in)) = (&context.proxy, context.target.services.get(&planned.name)) else { return };
    if planned.service.environment.is_absent() {
        return;
    }
    let environment = &mut Arc::make_mut(&mut planned.service).environment;
    for name in &built_in.environment {
        if let (Some(value), false) = (proxy.variable(name), environment.names(name)) {
            environment.values.insert(Spanned::unwritten(name.clone()), Given::Is(Spanned::unwritten(Text::plain(&value))));
        }
    }
}

/// Names are added to what a service starts after or before, never removed.
fn keep_order(service: &mut Service, label: &str, own: &[String]) {
    if let Some(theirs) = service.labels.values.get_mut(label).and_then(Given::get_mut).filter(|theirs| !theirs.varies()) {
        let missing = own.iter().filter(|own| !theirs.text.split(',').any(|name| name.trim() == **own));
        let all: Vec<String> = missing.chain([&theirs.text]).filter(|name| !name.is_empty()).cloned().collect();
        theirs.value.text = all.join(",");
    }
}

/// The profile's flags and changes to a service of the line.
pub(crate) fn change(
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
        let before = service.clone();
        service.merge(change);
        for label in [AFTER, BEFORE] {
            let own: Vec<String> = before.label(label).unwrap_or_default().split(',').map(str::to_owned).collect();
            keep_order(service, label, &own);
        }
    }
}

/// A value on which the program exits.
fn misfit(name: &str, flag: &str, known: &Flag, value: &Spanned<Text>) -> Option<Diagnostic> {
    let wrong = |problem: String, help: String| {
        Diagnostic::new(Code::FlagValue, value.span, problem).why(format!("{name} exits on it and is restarted indefinitely")).help(help)
    };
    if let Some(kind) = known.kind.filter(|kind| !kind.takes(&value.text)) {
        return Some(wrong(format!("`--{flag}` takes no `{}`", value.text), format!("write {}", kind.expected())));
    }
    let words = value.text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let unknown =
        (!known.words.is_empty()).then(|| words.into_iter().find(|word| !known.words.iter().any(|known| known == word))).flatten()?;
    let help = match closest(unknown, known.words.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("it knows {}", known.words.join(", ")),
    };
    Some(wrong(format!("`--{flag}` knows no `{unknown}`"), help))
}

/// Feature gates that the version doesn't list, and those that may go with the next one.
fn unusual_gates(name: &str, gates: &BTreeMap<String, String>, value: &Spanned<Text>) -> Vec<Diagnostic> {
    let given =
        value.text.split(',').filter_map(|gate| gate.split_once('=')).map(|(gate, _)| gate.rsplit(':').next().unwrap_or_default().trim());
    let unusual = given.filter_map(|gate| {
        let diagnostic =
            |says: String, why: &str, help: String| Some(Diagnostic::new(Code::FeatureGate, value.span, says).why(why).help(help));
        match gates.get(gate).map(String::as_str) {
            None => diagnostic(
                format!("{name} of this line lists no feature gate `{gate}`"),
                "it exits on one that it doesn't know; one that is no longer a choice it accepts with a warning",
                closest(gate, gates.keys().map(String::as_str))
                    .map_or_else(|| "remove it".to_owned(), |meant| format!("did you mean `{meant}`?")),
            ),
            Some("ALPHA") => diagnostic(
                format!("the feature gate `{gate}` is an alpha of this version"),
                "it may lose data, and the next version may not have it: its components would exit",
                format!("remove it; if you mean it, say so: `# remuda: allow {}`", Code::FeatureGate.name()),
            ),
            Some(_) => None,
        }
    });
    unusual.collect()
}

fn change_flags(
    service: &mut Service,
    of_line: &LineService,
    args: &Map<Given<Text>>,
    known: Option<&BTreeMap<String, Flag>>,
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
        effects
            .note(flag.span, hit || words.len() < before, || nothing_removed(flag, &format!("remuda gives {name} no `--{}`", flag.value)));
    }
    for (flag, value) in args.iter() {
        let Some(value) = value.get() else { continue };
        if flag.value.starts_with('-') || flag.value.contains(['=', ' ']) || flag.value.is_empty() {
            found.push(Diagnostic::new(Code::InvalidName, flag.span, format!("`{}` isn't a flag's name", flag.value)).help(format!(
                "write it without dashes: `{}: …`",
                flag.value.trim_start_matches('-').split(['=', ' ']).next().unwrap_or_default()
            )));
            continue;
        }
        if of_line.keeps.contains(&flag.value) {
            found.push(kept(name, flag));
            continue;
        }
        if known.and_then(|known| known.get(&flag.value)).is_some_and(|known| known.is_unread) {
            found.push(
                Diagnostic::new(Code::UnreadFlag, flag.span, format!("{name} has a config file and ignores `--{}`", flag.value))
                    .why("it accepts the flag, ignores it, and behaves differently than you intend")
                    .help(format!("write the file of its `--config` under `files`; `remuda explain NODE {name}` shows the path")),
            );
            continue;
        }
        if let Some(known) = known.filter(|known| !known.contains_key(&flag.value)) {
            let meant = closest(&flag.value, known.keys().map(String::as_str));
            found.push(
                Diagnostic::new(Code::UnknownFlag, flag.span, format!("{name} of this line has no flag `--{}`", flag.value))
                    .why("it exits on an unknown flag and is restarted indefinitely")
                    .help(meant.map_or(format!("`{name} --help` lists its flags"), |meant| format!("did you mean `{meant}`?"))),
            );
            continue;
        }
        if let Some(of_flag) = known.and_then(|known| known.get(&flag.value)).filter(|_| !value.varies()) {
            found.extend_with(misfit(name, &flag.value, of_flag, value));
            if of_flag.kind == Some(ValueKind::Gates) && !of_line.gates.is_empty() {
                found.extend_with(unusual_gates(name, &of_line.gates, value));
            }
        }
        if let Some(path) = Some(&value.text).filter(|path| path.starts_with('/') && !path.starts_with("/dev/"))
            && !volumes.iter().any(|volume| sees(&volume.text, path))
        {
            found.push(
                Diagnostic::new(Code::FlagNotSeen, value.span, format!("{name} mounts nothing at {path}"))
                    .why("it would look inside its own container, where the path doesn't exist, and what it writes is lost with the container")
                    .help(format!("add `services: {{{name}: {{volumes: [FOLDER:FOLDER]}}}}`, and use a path below it")),
            );
        }
        let text = Text { text: format!("--{}={}", flag.value, value.text), template: value.template };
        let word = Spanned { value: text, span: value.span };
        match words.iter_mut().find(|word| flag_of(&word.text) == Some(&flag.value)) {
            Some(ours) => {
                if ours.text.contains("{{") {
                    found.push(
                        Diagnostic::new(Code::FlagReplaced, flag.span, format!("remuda decides `--{}` of {name}", flag.value))
                            .why("other components get the same value, and a different one here would contradict them")
                            .help("change it in its own place in the profile, or remove it"),
                    );
                }
                *ours = word;
            }
            None => words.push(word),
        }
    }
    let removed = args.removals().map(|(flag, _)| (&flag.value, flag.span, None::<&Spanned<Text>>));
    let set = args.iter().filter_map(|(flag, value)| Some((&flag.value, flag.span, Some(value.get()?))));
    for (flag, span, value) in removed.chain(set) {
        if value.is_some_and(|value| value.varies()) {
            continue;
        }
        let Some(opening) = of_line.opens.get(flag).filter(|opening| opening.is_by(value.map(|value| value.text.as_str()))) else {
            continue;
        };
        let shown = value.map_or_else(|| format!("without `--{flag}`"), |value| format!("with `--{flag}={}`", value.text));
        found.push(
            Diagnostic::new(Code::OpensCluster, span, format!("{name} {shown} opens the cluster"))
                .why(&opening.why)
                .help(format!("remove it; if you mean it, say so behind it: `# remuda: allow {}`", Code::OpensCluster.name())),
        );
    }
    for (flag, others) in &of_line.excludes {
        if !words.iter().any(|word| flag_of(&word.text) == Some(flag)) {
            continue;
        }
        for (other, _) in args.iter().filter(|(other, value)| value.get().is_some() && others.contains(&other.value)) {
            found.push(
                Diagnostic::new(
                    Code::FlagsExclude,
                    other.span,
                    format!("{name} doesn't take `--{}` beside `--{flag}`, which the line gives it", other.value),
                )
                .why("it exits on the two together and is restarted indefinitely")
                .help(format!("write what the flag says into a file of your own for `--{flag}`, or remove that one: `{flag}: ~`")),
            );
        }
    }
}

/// Whether a mount, which may be a template, is at `path` or at a folder above it.
fn sees(volume: &str, path: &str) -> bool {
    let inside = |part: &str| {
        part.starts_with('/') && path.strip_prefix(part.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    volume.split([':', '{', '}', '%']).skip(1).any(inside)
}

fn kept(name: &str, flag: &Spanned<String>) -> Diagnostic {
    Diagnostic::new(Code::DecidedFlag, flag.span, format!("remuda decides `--{}` of {name}", flag.value))
        .why("the node's files, its data or other components rely on this flag: with another value, the cluster doesn't start or loses its data")
        .help("remove it; the profile has its own keys for what can be changed, like `etcd: {data_dir: …}`")
}
