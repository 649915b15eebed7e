//! What a profile changes in the services of the line and of the OS.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, closest};
use crate::line::{Demand, Flag, Gate, LineService, Opening, ValueKind, flag_of, has_word, value};
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
fn exits(name: &str, span: Option<Span>, problem: String, help: String) -> Diagnostic {
    Diagnostic::new(Code::FlagValue, span, problem).why(format!("{name} exits on it and is restarted indefinitely")).help(help)
}

fn misfit(name: &str, flag: &str, known: &Flag, value: &Spanned<Text>) -> Option<Diagnostic> {
    let misfit = known.kind.as_ref()?.misfit(&value.text)?;
    let problem = match misfit.word {
        Some(word) => format!("`--{flag}` knows no `{word}`"),
        None => format!("`--{flag}` takes no `{}`", value.text),
    };
    Some(exits(name, value.span, problem, misfit.help))
}

/// Feature gates on which the version exits, and those that may go with the next one.
fn unusual_gates(name: &str, gates: &BTreeMap<String, Gate>, value: &Spanned<Text>) -> Vec<Diagnostic> {
    let unusual = value::gates(&value.text).filter_map(|(gate, is_on)| match gates.get(gate) {
        None => Some(exits(
            name,
            value.span,
            format!("{name} of this line has no feature gate `{gate}`"),
            closest(gate, gates.keys().map(String::as_str)).map_or_else(
                || "remove it: it came later, or what it switched is always on or gone".to_owned(),
                |meant| format!("did you mean `{meant}`?"),
            ),
        )),
        Some(Gate { locked: Some(only), .. }) if is_on.is_some_and(|is_on| is_on != *only) => {
            Some(exits(name, value.span, format!("the feature gate `{gate}` is always {only} in this version"), "remove it".to_owned()))
        }
        Some(Gate { stage: Some(stage), .. }) if stage == "ALPHA" => Some(
            Diagnostic::new(Code::FeatureGate, value.span, format!("the feature gate `{gate}` is an alpha of this version"))
                .why("it may lose data, and the next version may not have it: its components would exit")
                .help(format!("remove it; if you mean it, say so: `# remuda: allow {}`", Code::FeatureGate.name())),
        ),
        Some(_) => None,
    });
    unusual.collect()
}

/// What the program gets of a flag, unless only the node knows it.
fn given<'w>(words: &'w [Spanned<Text>], flag: &str) -> Option<&'w str> {
    let word = words.iter().find(|word| flag_of(&word.text) == Some(flag))?;
    word.text.split_once('=').map(|(_, value)| value).filter(|value| !value.contains(['{', '$']))
}

/// Reports flags that the profile sets or takes away, and that don't go with what the program gets of the others.
fn check_demands(name: &str, args: &Map<Given<Text>>, words: &[Spanned<Text>], known: &BTreeMap<String, Flag>, found: &mut Diagnostics) {
    let place = |flag: &str| {
        let set = args.iter().find(|(given, _)| given.value == flag).map(|(given, value)| value.span().or(given.span));
        set.or_else(|| args.removals().find(|(given, _)| given.value == flag).map(|(given, _)| given.span))
    };
    let value = |flag: &str| given(words, flag).or(known.get(flag)?.default.as_deref());
    let number = |flag: &str| known.get(flag)?.kind.as_ref()?.number(value(flag)?);
    for (flag, demand) in known.iter().flat_map(|(flag, known)| known.demands.iter().map(move |demand| (flag, demand))) {
        let (Demand::Above { other, .. } | Demand::Needs { other, .. }) = demand;
        let Some(span) = place(flag).or_else(|| place(other)) else { continue };
        match demand {
            Demand::Above { times, is_more, .. } => {
                let (Some(one), Some(least)) = (number(flag), number(other)) else { continue };
                if one > least * times || one == least * times && !is_more {
                    continue;
                }
                let shown = |flag: &str| format!("`--{flag}={}`", value(flag).unwrap_or_default());
                let least = if *is_more { "more than" } else { "at least" };
                let times = if *times == 1.0 { String::new() } else { format!("{times} times ") };
                let problem = format!("{} isn't {least} {times}{}", shown(flag), shown(other));
                found.push(exits(name, span, problem, format!("set `{flag}` and `{other}` so that they go together")));
            }
            Demand::Needs { word, other, value: needed } => {
                let has = value(flag).is_some_and(|value| value.split(',').any(|one| one == word));
                let is_there = match needed {
                    Some(needed) => value(other).is_some_and(|value| has_word(value, needed)),
                    None => words.iter().any(|word| flag_of(&word.text) == Some(other) && !word.text.ends_with('=')),
                };
                if has && !is_there {
                    let needed = needed.as_ref().map_or_else(|| other.clone(), |needed| format!("{other}={needed}"));
                    let problem = format!("`{word}` of `--{flag}` needs `--{needed}`");
                    found.push(exits(name, span, problem, format!("set `{other}` too, or take `{word}` out of `{flag}`")));
                }
            }
        }
    }
}

/// Reports what of the profile's flags opens the cluster, or lacks what the cluster needs.
fn check_openings(
    of_line: &LineService,
    args: &Map<Given<Text>>,
    taken: &[&Spanned<String>],
    words: &[Spanned<Text>],
    found: &mut Diagnostics,
) {
    let name = &of_line.name;
    let removed = taken.iter().map(|flag| (&flag.value, flag.span, None::<&Spanned<Text>>));
    let set = args.iter().filter_map(|(flag, value)| Some((&flag.value, flag.span, Some(value.get()?))));
    for (flag, span, value) in removed.chain(set).filter(|(_, _, value)| value.is_none_or(|value| !value.varies())) {
        if let Some(value) = value
            && let Some(held) = of_line.holds.get(flag).filter(|held| !value.text.split(',').any(|word| word == held.word))
        {
            found.push(
                Diagnostic::new(Code::FlagValue, value.span, format!("`--{flag}` of {name} has no `{}`", held.word))
                    .why(&held.why)
                    .help(format!("add `{}` to it", held.word)),
            );
        }
        let by = |opening: &&Opening| {
            let value = value.map_or(opening.default.as_str(), |value| &value.text);
            opening.is_by(value, |flag| given(words, flag).map(str::to_owned))
        };
        let Some(opening) = of_line.opens.get(flag).filter(by) else { continue };
        let shown = value.map_or_else(|| format!("without `--{flag}`"), |value| format!("with `--{flag}={}`", value.text));
        found.push(
            Diagnostic::new(Code::OpensCluster, span, format!("{name} {shown} opens the cluster"))
                .why(&opening.why)
                .help(format!("remove it; if you mean it, say so behind it: `# remuda: allow {}`", Code::OpensCluster.name())),
        );
    }
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
    let mut taken = Vec::new();
    for (flag, hit) in args.removals() {
        if of_line.keeps.contains(&flag.value) {
            found.push(kept(name, flag));
            continue;
        }
        let before = words.len();
        words.retain(|word| flag_of(&word.text) != Some(&flag.value));
        if words.len() < before {
            taken.push(flag);
        }
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
            if of_flag.kind == Some(ValueKind::Gates(Vec::new())) && !of_line.gates.is_empty() {
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
    check_openings(of_line, args, &taken, words, found);
    if let Some(known) = known {
        check_demands(name, args, words, known, found);
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
                .help(format!(
                    "write what the flag says into a file of your own for `--{flag}`, or remove that one: {}",
                    without(of_line, flag)
                )),
            );
        }
    }
}

/// How to remove a flag without opening the cluster.
fn without(of_line: &LineService, flag: &str) -> String {
    let closing = of_line.opens.get(flag).into_iter().flat_map(|opening| &opening.unless).filter(|(_, word)| *word != "*");
    let all = std::iter::once(format!("`{flag}: ~`")).chain(closing.map(|(flag, word)| format!("`{flag}: \"{word}\"`")));
    all.collect::<Vec<_>>().join(" with ")
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
