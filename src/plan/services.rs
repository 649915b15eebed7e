//! What runs on the nodes of a kind: the line's services, the profile's changes to them, the
//! user's own. And the checks of what the OS would drop or misread without a word.

use super::graph::Graph;
use super::nodes::{Fleet, Kind};
use super::{Class, Engine, Origin, PlannedService, containers, files};
use crate::diagnostic::{Diagnostic, Diagnostics, Span, closest};
use crate::line::{Condition, Line, LineService, Templates};
use crate::os::Target;
use crate::profile::{Arch, Delivery, EngineName, InterfacePattern, Profile, Role, Settings, is_label_key};
use crate::service::{AFTER, BEFORE, Command, DETACH, SCOPE, Service, Text, Value, form, unfit};
use crate::yaml::{Field, Given, Map, Spanned};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What the checks need to know of the rest of the cluster.
pub struct Context {
    pub target: &'static Target,
    pub os_version: String,
    pub delivery: Option<Delivery>,
    /// The API's port, and where the profile says it.
    pub port: (u16, Option<Span>),
    /// Whether some node learns its address when it boots.
    pub is_dynamic: bool,
    /// Whether the members of etcd find one another by a discovery service.
    pub has_discovery: bool,
    /// Whether the control plane publishes where the API is.
    pub is_published: bool,
    /// The images that are packed: component, name, and the engine that loads it.
    pub packed: Vec<(String, String, EngineName)>,
    /// How many pods have an address on a node.
    pub room: u32,
    /// Where the profile says so.
    pub room_span: Option<Span>,
    /// The components of which the profile changes the image: another version may have other flags.
    pub repacked: Vec<String>,
}

impl Context {
    /// The image that is always on a node, for the nodes of a kind.
    pub fn base_image(&self, kind: &Kind) -> String {
        self.target.base_image(&self.os_version, kind.settings.arch.value().map_or("amd64", |arch| arch.as_str()))
    }

    /// Whether what is for these deliveries of images (none: for all) is for the cluster's.
    pub fn delivers(&self, deliveries: &[Delivery]) -> bool {
        deliveries.is_empty() || self.delivery.is_some_and(|own| deliveries.contains(&own))
    }

    /// Whether all of a line's conditions hold on nodes of this kind.
    pub fn holds(&self, conditions: &[Condition], kind: &Kind) -> bool {
        conditions.iter().all(|condition| match condition {
            Condition::Dynamic => kind.is_dynamic,
            Condition::Static => !kind.is_dynamic,
            Condition::DynamicCluster => self.is_dynamic,
            Condition::Discovery => self.has_discovery,
            Condition::ApiPublished => self.is_published,
        })
    }
}

/// A class for each kind of the fleet.
pub fn decide(profile: &Profile, line: &mut Line, fleet: &Fleet, context: &Context, found: &mut Diagnostics) -> Vec<Class> {
    check_component_names(profile, line, found);
    let mut effects = Effects::default();
    let classes: Vec<Class> = fleet.kinds.iter().map(|kind| class(kind, line, context, &mut effects, found)).collect();
    effects.report(found);
    warn(profile, &classes, found);
    compile(&classes, line, found);
    classes
}

/// What is absent and missed later; not said beside errors, which may be the reason.
fn warn(profile: &Profile, classes: &[Class], found: &mut Diagnostics) {
    if found.has_errors() || classes.is_empty() {
        return;
    }
    if classes.iter().all(|class| class.ssh_keys.is_empty()) {
        found.push(
            Diagnostic::warning("no-ssh-keys", None, "no ssh key may log in")
                .why("a node that doesn't come up can be looked into on its console alone")
                .mend("add `defaults: {ssh_keys: [ssh-ed25519 …]}`"),
        );
    }
    if let (Some(nodes), true, true) = (
        profile.network.nodes.get(),
        profile.network.gateway.is_absent(),
        classes.iter().any(|class| class.dhcp.is_empty() && !class.is_dynamic),
    ) {
        found.push(
            Diagnostic::warning("no-default-route", nodes.span, "the nodes have no default route: neither `network.gateway` nor an interface with `dhcp`")
                .why("each boot waits 20 s for one, nothing outside of the node network is reached, and programs on a node itself can't reach services")
                .mend("add `gateway: ADDRESS`, or `defaults: {interface: eth1, dhcp: [eth0]}` where another interface leads out"),
        );
    }
}

/// Every text of a class that is a template is compiled once.
fn compile(classes: &[Class], line: &mut Line, found: &mut Diagnostics) {
    let mut templates = std::mem::take(&mut line.templates);
    for text in [&line.docker.bip].into_iter().chain(&line.docker.extra_args) {
        templates.add(text, None, found);
    }
    for class in classes {
        for planned in &class.services {
            planned.service.for_each_text(|text, span| compile_one(text, span, &mut templates, found));
        }
        let engine = &class.engine;
        let named = class.sysctl.iter().chain(&class.environment).chain(&engine.log_opts).map(|(_, text)| text);
        let listed = class.modules.iter().chain(&engine.extra_args).chain(&engine.storage_driver).chain(&engine.log_driver);
        for text in named.chain(listed) {
            compile_one(&text.value, text.span, &mut templates, found);
        }
        files::compile(&class.files, &mut templates, found);
    }
    line.templates = templates;
}

fn compile_one(text: &Text, span: Span, templates: &mut Templates, found: &mut Diagnostics) {
    if text.template {
        templates.add(&text.text, span, found);
    }
}

fn check_component_names(profile: &Profile, line: &Line, found: &mut Diagnostics) {
    let levels = [&profile.defaults].into_iter().chain(profile.roles.iter().map(|(_, settings)| settings));
    let levels = levels.chain(profile.groups.iter().map(|(_, group)| &group.settings));
    for settings in levels.chain(profile.nodes.iter().map(|(_, node)| &node.settings)) {
        for (name, _) in settings.components.iter() {
            let known = || line.services.iter().filter(|service| service.is_component()).map(|service| service.name.as_str());
            if !known().any(|known| known == name.value) {
                let mend = match closest(&name.value, known()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("the components of {} are {}", line.name, known().collect::<Vec<_>>().join(", ")),
                };
                found.push(
                    Diagnostic::error("unknown-component", name.span, format!("{} has no component `{}`", line.name, name.value))
                        .mend(mend),
                );
            }
        }
    }
}

fn class(kind: &Kind, line: &Line, context: &Context, effects: &mut Effects, found: &mut Diagnostics) -> Class {
    let settings = &kind.settings;
    let is = |role| kind.roles.contains(&role);
    let mut services: Vec<PlannedService> = Vec::new();
    let removed: Vec<&str> = settings.services.removed().map(|name| name.value.as_str()).collect();
    let runs_here = |service: &&LineService| {
        let is_meant = context.delivers(&service.delivery) && context.holds(&service.when, kind);
        is_meant && service.on.iter().any(|role| is(*role)) && !removed.contains(&service.name.as_str())
    };
    let absent: Vec<&str> = line.services.iter().filter(|service| !runs_here(service)).map(|service| service.name.as_str()).collect();
    for of_line in line.services.iter().filter(runs_here) {
        let mut service = of_line.service.clone();
        service.forget(&absent);
        change(&mut service, of_line, settings, context, effects, found);
        services.push(PlannedService { name: of_line.name.clone(), service: Arc::new(service), origin: Origin::Line });
    }
    for (name, service) in settings.services.iter() {
        if services.iter().any(|planned| planned.name == name.value) {
            continue;
        }
        if let Some(of_line) = line.services.iter().find(|service| service.name == name.value) {
            // A role or group may change what only some of its nodes have; alone it is no service.
            if service.image.is_absent() {
                continue;
            }
            found.push(
                Diagnostic::error(
                    "name-taken",
                    name.span,
                    format!("{} is a service of {}, and doesn't run on this node", of_line.name, line.name),
                )
                .why("two different services with one name can't be told apart")
                .mend("give your service another name"),
            );
        }
        check_service_name(name, found);
        let mut service = service.clone();
        service.forget(&absent);
        let built_in = context.target.facts.services.get(&name.value);
        if let Some(built_in) = built_in {
            check_os_service(&name.value, &service, built_in.one_shot, found);
        }
        let origin = if built_in.is_some() { Origin::Os } else { Origin::User };
        services.push(PlannedService { name: name.value.clone(), service: Arc::new(service), origin });
    }
    let base_image = context.base_image(kind);
    for planned in &mut services {
        keep_what_the_os_mounts(planned, context.target, found);
    }
    containers::check(&services, context, line, &base_image, &settings.environment, found);
    containers::check_keys(&settings.environment, found);
    containers::check_keys(&settings.docker.log_opts, found);
    check_removed(settings, line, context, found);
    effects.settings(kind, &services, line);
    let graph = Graph::of(&services, context.target, &base_image, found);
    let class = Class {
        is_dynamic: kind.is_dynamic,
        arch: arch(kind, line, found),
        interface: settings.interface.value().map(|name| name.0.clone()),
        dhcp: dhcp(kind, found),
        disk: settings.disk.value().map(|path| path.0.clone()),
        machine: super::media::machine(kind),
        labels: labels(settings, found),
        taints: taints(settings, found),
        ssh_keys: settings.ssh_keys.values().map(|key| key.0.clone()).collect(),
        files: files::decide(kind, line, &services, context, found),
        engine: engine(kind, line, context, found),
        sysctl: texts(&settings.sysctl),
        modules: settings.modules.items.clone(),
        environment: texts(&settings.environment),
        roles: kind.roles.clone(),
        services,
        graph,
    };
    files::check_order(&class.files, &class.services, &class.graph, found);
    check_room(kind, &class, context, found);
    check_sysctl(&class, found);
    check_switches(&class, settings, line, found);
    check_modules(&class, found);
    class
}

/// What the OS starts, and what the line writes, can't be taken away.
fn check_removed(settings: &Settings, line: &Line, context: &Context, found: &mut Diagnostics) {
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
fn keep_what_the_os_mounts(planned: &mut PlannedService, target: &Target, found: &mut Diagnostics) {
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
        let missing: Vec<_> = missing.map(|own| Spanned { value: Text::plain(own), span: Span::default() }).collect();
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
fn change(
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
        change_flags(service, of_line, &component.args, known, effects, found);
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
    let mut decided = |key: &str, span: Span| {
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
    effects: &mut Effects,
    found: &mut Diagnostics,
) {
    let name = &of_line.name;
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

fn kept(name: &str, flag: &Spanned<String>) -> Diagnostic {
    Diagnostic::error("decided-flag", flag.span, format!("remuda decides --{} of {name}", flag.value))
        .why("the node's files, its data or the other components are where this flag says: with another value the cluster doesn't come up, or forgets")
        .mend("leave it out; what can be different is said elsewhere in the profile, like `etcd: {data_dir: …}`")
}

/// What levels say, and whether it does something on some node: what does nothing anywhere is said when all
/// kinds of nodes are known.
#[derive(Default)]
struct Effects {
    used: BTreeSet<Span>,
    unused: BTreeMap<Span, Diagnostic>,
}

impl Effects {
    fn note(&mut self, span: Span, does_something: bool, otherwise: impl FnOnce() -> Diagnostic) {
        if span == Span::default() {
        } else if does_something {
            self.used.insert(span);
        } else {
            self.unused.entry(span).or_insert_with(otherwise);
        }
    }

    /// Not beside errors, which may be the reason.
    fn report(self, found: &mut Diagnostics) {
        if found.has_errors() {
            return;
        }
        found.extend_with(self.unused.into_iter().filter(|(span, _)| !self.used.contains(span)).map(|(_, diagnostic)| diagnostic));
    }

    /// What is taken away in mappings.
    fn removals<V>(&mut self, map: &Map<V>, what: &str) {
        for (key, hit) in map.removals() {
            self.note(key.span, hit, || nothing_removed(key, &format!("no weaker level has the {what} `{}`", key.value)));
        }
    }

    fn settings(&mut self, kind: &Kind, services: &[PlannedService], line: &Line) {
        let settings = &kind.settings;
        self.removals(&settings.labels, "label");
        self.removals(&settings.environment, "variable");
        self.removals(&settings.sysctl, "kernel parameter");
        self.removals(&settings.docker.log_opts, "option");
        self.removals(&settings.files, "file");
        for key in settings.components.removed() {
            self.note(key.span, false, || {
                nothing_removed(key, "a component isn't taken away here")
                    .mend(format!("`services: {{{}: ~}}` takes its service away", key.value))
            });
        }
        for (key, hit) in settings.services.removals() {
            let of_line = || line.services.iter().map(|service| service.name.as_str());
            self.note(key.span, hit || of_line().any(|name| name == key.value), || {
                let nothing = nothing_removed(key, &format!("there is no service `{}` to take away", key.value));
                match closest(&key.value, of_line()) {
                    Some(meant) => nothing.mend(format!("did you mean `{meant}`?")),
                    None => nothing,
                }
            });
        }
        for planned in services {
            self.removals(&planned.service.environment.values, "variable");
            self.removals(&planned.service.labels.values, "label");
            self.removals(&planned.service.log_opt, "option");
            self.removals(&planned.service.ulimits, "limit");
        }
        let has = |name: &str| services.iter().any(|planned| planned.name == name);
        for (name, _) in settings.components.iter() {
            self.note(name.span, has(&name.value), || {
                no_effect(name.span, &format!("no node that this is for has the component {}", name.value))
            });
        }
        let runs_pods = kind.roles.iter().any(|role| *role != Role::Etcd);
        let of_kubernetes = settings.labels.iter().map(|(key, _)| key.span).chain(settings.taints.iter().map(|taint| taint.span));
        for span in of_kubernetes {
            self.note(span, runs_pods, || no_effect(span, "no node that this is for is in Kubernetes"));
        }
    }
}

fn nothing_removed(key: &Spanned<String>, problem: &str) -> Diagnostic {
    Diagnostic::warning("no-effect", key.span, format!("`~` takes nothing away: {problem}"))
        .why("what was to go stays, under whatever name it has")
        .mend("take the line out, or write the name as the weaker level does")
}

fn no_effect(span: Span, problem: &str) -> Diagnostic {
    Diagnostic::warning("no-effect", span, problem).why("it changes nothing anywhere").mend("set it for nodes that have it, or take it out")
}

/// `name` in `--name=value`, also behind a template's `{% if %}`.
fn flag_of(word: &str) -> Option<&str> {
    let word = match word.strip_prefix("{%") {
        Some(rest) => rest.split_once("%}")?.1,
        None => word,
    };
    word.strip_prefix("--").map(|rest| rest.split('=').next().unwrap_or(rest))
}

fn check_service_name(name: &Spanned<String>, found: &mut Diagnostics) {
    if form::misfit("container_name", &name.value).is_some()
        || name.value.is_empty()
        || name.value.len() > 63
        || unfit(&name.value).is_some()
    {
        found.push(
            Diagnostic::error("invalid-name", name.span, format!("{:?} can't be a service's name", name.value))
                .why("it becomes the container's name, and Docker refuses it")
                .mend("use two or more letters, digits, dashes, dots and underscores, a letter or digit first"),
        );
    }
}

fn arch(kind: &Kind, line: &Line, found: &mut Diagnostics) -> Arch {
    let arch = kind.settings.arch.value().copied().unwrap_or(Arch::Amd64);
    if let Some(given) = kind.settings.arch.get().filter(|given| !line.architectures.iter().any(|known| known == given.as_str())) {
        found.push(
            Diagnostic::error("line-needs", given.span, format!("{} has no components for {}", line.name, given.value))
                .why("no binary of it would start there")
                .mend(format!("its architectures are {}", line.architectures.join(", "))),
        );
    }
    arch
}

fn dhcp(kind: &Kind, found: &mut Diagnostics) -> Vec<String> {
    let settings = &kind.settings;
    // Without a name and without a MAC address, it is the first, or by DHCP any.
    let first = if kind.is_dynamic { "eth*" } else { "eth0" };
    let own = settings.interface.value().map(|own| own.0.as_str()).or((!kind.have_macs).then_some(first));
    let is_own = |pattern: &InterfacePattern| own == Some(pattern.0.as_str());
    for pattern in settings.dhcp.iter() {
        if is_own(pattern) && !kind.is_dynamic {
            found.push(
                Diagnostic::error(
                    "contradicting-interfaces",
                    pattern.span,
                    format!("{} has the node's own address and is to get one by DHCP", pattern.value),
                )
                .why("the OS would ask DHCP alone: the node has another address than the others are told")
                .mend("name the other interfaces alone; the node's own is `interface: NAME`, or `eth0`"),
            );
        }
    }
    settings.dhcp.values().filter(|pattern| !is_own(pattern)).map(|pattern| pattern.0.clone()).collect()
}

/// Label namespaces that a kubelet may set on its own node: kubelet's `--node-labels` check
/// (cmd/kubelet/app/options, pkg/kubelet/apis/well_known_labels.go).
const OWN_LABELS: [&str; 11] = [
    "kubernetes.io/hostname",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

fn labels(settings: &Settings, found: &mut Diagnostics) -> Vec<String> {
    let mut labels = Vec::new();
    for (key, value) in settings.labels.iter() {
        if let Err(problem) = is_label_key(&key.value) {
            found.push(
                Diagnostic::error("invalid-label", key.span, problem)
                    .why("the kubelet exits on a label that Kubernetes doesn't take")
                    .mend("use a name like `disk` or `example.com/disk`"),
            );
            continue;
        }
        let domain = key.value.split_once('/').map_or("", |(prefix, _)| prefix);
        let is_theirs = ["kubernetes.io", "k8s.io"].iter().any(|theirs| domain == *theirs || domain.ends_with(&format!(".{theirs}")));
        let may = OWN_LABELS.contains(&key.value.as_str())
            || ["kubelet.kubernetes.io", "node.kubernetes.io"].iter().any(|own| domain == *own || domain.ends_with(&format!(".{own}")));
        if is_theirs && !may {
            found.push(
                Diagnostic::error("reserved-label", key.span, format!("a kubelet may not set the label `{}` on its own node", key.value))
                    .why("it exits with \"unknown 'kubernetes.io' or 'k8s.io' labels specified\": the node never registers")
                    .mend("use a name of your own, or one under node.kubernetes.io/"),
            );
        }
        if let Some(value) = value.value() {
            labels.push(format!("{}={value}", key.value));
        }
    }
    labels
}

fn taints(settings: &Settings, found: &mut Diagnostics) -> Vec<String> {
    let mut seen = HashMap::new();
    for taint in settings.taints.iter() {
        let (key, effect) = taint.0.rsplit_once(':').unwrap_or((&taint.0, ""));
        let key = key.split('=').next().unwrap_or_default();
        if let Some(first) = seen.insert((key, effect), taint.span) {
            let mut twice =
                Diagnostic::error("duplicate-taint", taint.span, format!("the taint `{key}` with the effect {effect} is there twice"))
                    .why("the API server wants key and effect unique, and refuses the node: it never registers")
                    .mend("keep one of them; what the release line sets is taken away by `taints: !override […]`");
            if first != Span::default() {
                twice = twice.related(first, "first here");
            }
            found.push(twice);
        }
    }
    settings.taints.values().map(|taint| taint.0.clone()).collect()
}

/// Flags that remuda or the OS sets already, or that would take the engine from where the
/// kubelet looks for it.
pub const OURS: [&str; 20] = [
    "bip",
    "mtu",
    "ip-masq",
    "userland-proxy",
    "data-root",
    "graph",
    "g",
    "host",
    "H",
    "bridge",
    "b",
    "exec-opt",
    "exec-root",
    "pidfile",
    "p",
    "config-file",
    "storage-driver",
    "s",
    "registry-mirror",
    "userns-remap",
];

fn engine(kind: &Kind, line: &Line, context: &Context, found: &mut Diagnostics) -> Engine {
    let given = &kind.settings.docker;
    let on_pod_network = line.docker.on.iter().any(|role| kind.roles.contains(&role.role()));
    let mut engine = Engine::default();
    if on_pod_network {
        engine.bip = Some(line.docker.bip.clone());
        let of_line = |text: &String| Spanned { value: Text { text: text.clone(), template: true }, span: Span::default() };
        engine.extra_args = line.docker.extra_args.iter().map(of_line).collect();
    }
    for arg in given.extra_args.iter() {
        let name = arg.text.trim_start_matches('-').split('=').next().unwrap_or_default();
        if !arg.template && (!arg.text.starts_with('-') || name.is_empty() || arg.text.contains(' ')) {
            found.push(
                Diagnostic::error("invalid-value", arg.span, format!("`{}` is not one argument of dockerd", arg.text))
                    .why("dockerd exits on it: no pod would run")
                    .mend("write each as `--name=value`, an item each"),
            );
        } else if OURS.contains(&name) {
            found.push(
                Diagnostic::error("decided-flag", arg.span, format!("remuda decides dockerd's --{name}"))
                    .why("given twice, or differently, dockerd doesn't start or pods have no network")
                    .mend(match name {
                        "registry-mirror" => "use `images: {mirror: …}`",
                        "storage-driver" | "s" => "use `docker: {storage_driver: …}`",
                        _ => "leave it out",
                    }),
            );
        } else if !arg.varies() && !context.target.facts.docker_flags.iter().any(|flag| flag == name) {
            let known = context.target.facts.docker_flags.iter().map(String::as_str);
            found.push(
                Diagnostic::error("unknown-flag", arg.span, format!("dockerd of {} has no flag --{name}", context.target.facts.title))
                    .why("it exits on a flag that it doesn't know: no pod would run")
                    .mend(
                        closest(name, known)
                            .map_or("`dockerd --help` lists its flags".to_owned(), |meant| format!("did you mean `--{meant}`?")),
                    ),
            );
        }
        engine.extra_args.push(arg.clone());
    }
    check_engine(given, found);
    engine.storage_driver = given.storage_driver.get().cloned();
    engine.log_driver = given.log_driver.get().cloned();
    engine.live_restore = given.live_restore.value().map(|flag| flag.0);
    engine.log_opts = texts(&given.log_opts);
    engine
}

/// What dockerd exits on.
fn check_engine(given: &crate::profile::Docker, found: &mut Diagnostics) {
    const STORAGE: [&str; 7] = ["overlay2", "overlay", "aufs", "btrfs", "devicemapper", "vfs", "zfs"];
    let mut exits = |span, problem: String, mend: &str| {
        found.push(Diagnostic::error("invalid-value", span, problem).why("dockerd exits on it: no pod would run").mend(mend));
    };
    if let Some(driver) = given.storage_driver.get().filter(|driver| !driver.varies() && !STORAGE.contains(&driver.text.as_str())) {
        exits(driver.span, format!("there is no storage driver `{}`", driver.text), "leave it out (overlay2), or write another one's name");
    }
    if let Some(driver) = given.log_driver.get().filter(|driver| !driver.varies()) {
        if let Some(misfit) = form::misfit("log_driver", &driver.text) {
            exits(driver.span, misfit.problem, misfit.mend);
        }
    }
    let driver = given.log_driver.value().map(|driver| driver.text.as_str());
    for (option, value) in given.log_opts.iter() {
        let Some(value) = value.get().filter(|value| !value.varies()) else { continue };
        if let Some(misfit) = form::misfit_log_opt(driver, &option.value, &value.text) {
            exits(option.span, misfit.problem, misfit.mend);
        }
    }
}

fn texts(given: &Map<Given<Text>>) -> Vec<(String, Spanned<Text>)> {
    given.iter().filter_map(|(name, value)| Some((name.value.clone(), value.get()?.clone()))).collect()
}

/// A kubelet takes pods that have no address, if it isn't told how many do.
fn check_room(kind: &Kind, class: &Class, context: &Context, found: &mut Diagnostics) {
    let given = kind.settings.components.get("kubelet").and_then(|kubelet| kubelet.args.get("max-pods")?.get());
    let most = given.map_or(Some(110), |given| given.text.parse().ok()).unwrap_or(0);
    if most > context.room && class.services.iter().any(|planned| planned.name == "kubelet") {
        found.push(
            Diagnostic::warning(
                "few-pods",
                given.map(|given| given.span).or(context.room_span),
                format!("a node's subnet has room for {} pods, and a kubelet takes {most}", context.room),
            )
            .why("those beyond would wait for an address for ever")
            .mend(format!("use a smaller `node_prefix`, or `components: {{kubelet: {{args: {{max-pods: {}}}}}}}`", context.room)),
        );
    }
}

/// What the line turns on, pods need.
fn check_switches(class: &Class, settings: &Settings, line: &Line, found: &mut Diagnostics) {
    for (name, _) in line.sysctl.iter().filter(|(_, value)| *value == "1" && class.is_kubernetes()) {
        // One file in /proc/sys has several names.
        let is_it = |given: &str| {
            let given = given.replace('/', ".");
            given == *name || (given == "net.ipv4.conf.all.forwarding" && name == "net.ipv4.ip_forward")
        };
        let changed = class.sysctl.iter().filter(|(given, value)| is_it(given) && value.text != "1").map(|(_, value)| value.span);
        let removed = settings.sysctl.removed().filter(|key| key.value == *name).map(|key| key.span);
        found.extend_with(changed.chain(removed).map(|span| {
            Diagnostic::error("decided-sysctl", span, format!("pods need {name} on"))
                .why("without it the kernel passes no packets on between pods, nodes and services")
                .mend("leave it out")
        }));
    }
}

/// The OS splits a module's line at blanks and gives modprobe the words.
fn check_modules(class: &Class, found: &mut Diagnostics) {
    for module in class.modules.iter().filter(|module| !module.varies()) {
        let mut words = module.text.split(' ');
        let is_name =
            |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) && !word.starts_with('-');
        if !words.next().is_some_and(is_name) || !words.all(|word| word.split_once('=').is_some_and(|(name, _)| is_name(name))) {
            found.push(
                Diagnostic::error("invalid-value", module.span, format!("{:?} is no kernel module", module.text))
                    .why("modprobe fails on it, and the OS goes on without it")
                    .mend("write a module's name, or `NAME PARAMETER=VALUE`"),
            );
        }
    }
}

fn check_sysctl(class: &Class, found: &mut Diagnostics) {
    let bridges = class.modules.iter().any(|module| module.text == "br_netfilter");
    for (name, value) in &class.sysctl {
        // What the release line says has no place in the profile.
        let span = Some(value.span).filter(|span| *span != Span::default());
        let parts = name.split(['.', '/']);
        let fits = parts.clone().count() > 1
            && parts.clone().all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)));
        if !fits {
            found.push(
                Diagnostic::error("invalid-name", value.span, format!("`{name}` is no kernel parameter's name"))
                    .why("the OS logs a failure and goes on without it")
                    .mend("write it as `sysctl -a` does, like net.ipv4.ip_forward"),
            );
        } else if name.starts_with("net.bridge.") && !bridges {
            found.push(
                Diagnostic::error("sysctl-module", span, format!("`{name}` needs the module br_netfilter"))
                    .why("without it the kernel has no such parameter, and the OS goes on without it")
                    .mend("add `modules: [br_netfilter]`"),
            );
        }
    }
}
