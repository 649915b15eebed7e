//! What runs on the nodes of a kind: the line's services, the profile's changes to them, the
//! user's own. And the checks of what the OS would drop or misread without a word.

use super::graph::Graph;
use super::nodes::{Fleet, Kind, volatile};
use super::{Class, Engine, Origin, PlannedService, files};
use crate::diagnostic::{Diagnostic, Diagnostics, Span, closest};
use crate::line::{Condition, Line, LineService, Templates};
use crate::os::Target;
use crate::profile::{Arch, Delivery, InterfacePattern, Profile, Settings, is_label_key};
use crate::service::{AFTER, BEFORE, CREATE_ONLY, Command, DETACH, SCOPE, Service, Text, Value, unfit};
use crate::yaml::{Field, Given, Map, Spanned};
use std::collections::HashMap;
use std::sync::Arc;

/// What the checks need to know of the rest of the cluster.
pub struct Context {
    pub target: &'static Target,
    pub os_version: String,
    pub delivery: Option<Delivery>,
    /// The API's port.
    pub port: u16,
    /// Whether some node learns its address when it boots.
    pub is_dynamic: bool,
    /// Whether the members of etcd find one another by a discovery service.
    pub has_discovery: bool,
    /// Whether the control plane publishes where the API is.
    pub is_published: bool,
    /// The names of the images that are packed.
    pub packed: Vec<String>,
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
    let classes: Vec<Class> = fleet.kinds.iter().map(|kind| class(kind, line, context, found)).collect();
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
            let known = || line.services.iter().filter(|service| service.component.is_some()).map(|service| service.name.as_str());
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

fn class(kind: &Kind, line: &Line, context: &Context, found: &mut Diagnostics) -> Class {
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
        change(&mut service, &of_line.name, settings, found);
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
        let origin = if context.target.facts.services.contains_key(&name.value) { Origin::Os } else { Origin::User };
        services.push(PlannedService { name: name.value.clone(), service: Arc::new(service), origin });
    }
    let base_image = context.base_image(kind);
    for planned in &mut services {
        keep_what_the_os_mounts(planned, context.target, found);
    }
    for planned in &services {
        check(planned, context, &base_image, &settings.environment, found);
    }
    check_keys(&settings.environment, found);
    check_keys(&settings.docker.log_opts, found);
    let graph = Graph::of(&services, context.target, &base_image, found);
    check_ports(&services, line, context.port, found);
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
        engine: engine(kind, line, found),
        sysctl: texts(&settings.sysctl),
        modules: settings.modules.items.clone(),
        environment: texts(&settings.environment),
        roles: kind.roles.clone(),
        services,
        graph,
    };
    check_sysctl(&class, found);
    class
}

/// A list in a change of one of the OS's own services takes the place of the OS's list: what is added there
/// is added to it here. Nothing of the OS's may go.
fn keep_what_the_os_mounts(planned: &mut PlannedService, target: &Target, found: &mut Diagnostics) {
    let Some(built_in) = target.facts.services.get(&planned.name) else { return };
    let inside = |volume: &str| volume.split(':').nth(1).unwrap_or_default().to_owned();
    let service = Arc::make_mut(&mut planned.service);
    for (list, own, is_same) in [
        (&mut service.volumes, &built_in.volumes, &(|a: &str, b: &str| inside(a) == inside(b)) as &dyn Fn(&str, &str) -> bool),
        (&mut service.volumes_from, &built_in.volumes_from, &|a: &str, b: &str| a.split(':').next() == b.split(':').next()),
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

/// The profile's flags and changes to a service of the line.
fn change(service: &mut Service, name: &str, settings: &Settings, found: &mut Diagnostics) {
    if let Some(component) = settings.components.get(name) {
        change_flags(service, name, &component.args, found);
    }
    if let Some(change) = settings.services.get(name) {
        if let (Given::Is(_), Given::Is(theirs)) = (&service.command, &change.command) {
            found.push(
                Diagnostic::warning("command-replaced", theirs.span, format!("this replaces the whole command of {name}"))
                    .why("every flag that remuda decides is lost with it")
                    .mend(format!("to change a flag, use `components: {{{name}: {{args: …}}}}`")),
            );
        }
        service.merge(change);
    }
}

fn change_flags(service: &mut Service, name: &str, args: &Map<Given<Text>>, found: &mut Diagnostics) {
    let Given::Is(Spanned { value: Command::Words(words), .. }) = &mut service.command else { return };
    for flag in args.removed() {
        words.retain(|word| flag_of(&word.text) != Some(&flag.value));
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

/// `name` in `--name=value`, also behind a template's `{% if %}`.
fn flag_of(word: &str) -> Option<&str> {
    let word = match word.strip_prefix("{%") {
        Some(rest) => rest.split_once("%}")?.1,
        None => word,
    };
    word.strip_prefix("--").map(|rest| rest.split('=').next().unwrap_or(rest))
}

fn check_service_name(name: &Spanned<String>, found: &mut Diagnostics) {
    let fits = !name.value.is_empty()
        && name.value.len() <= 63
        && name.value.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.value.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if !fits || unfit(&name.value).is_some() {
        found.push(
            Diagnostic::error("invalid-name", name.span, format!("{:?} can't be a service's name", name.value))
                .why("it becomes the container's name, and Docker refuses it")
                .mend("use letters, digits, dashes, dots and underscores"),
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
const OWN_LABELS: [&str; 9] = [
    "kubernetes.io/hostname",
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

fn engine(kind: &Kind, line: &Line, found: &mut Diagnostics) -> Engine {
    /// Flags that remuda or the OS sets already, or that would take the engine from where the
    /// kubelet looks for it.
    const OURS: [&str; 19] = [
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
    ];
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
                    .mend("leave it out"),
            );
        }
        engine.extra_args.push(arg.clone());
    }
    engine.storage_driver = given.storage_driver.get().cloned();
    engine.log_driver = given.log_driver.get().cloned();
    engine.live_restore = given.live_restore.value().map(|flag| flag.0);
    engine.log_opts = texts(&given.log_opts);
    engine
}

fn texts(given: &Map<Given<Text>>) -> Vec<(String, Spanned<Text>)> {
    given.iter().filter_map(|(name, value)| Some((name.value.clone(), value.get()?.clone()))).collect()
}

fn check_sysctl(class: &Class, found: &mut Diagnostics) {
    let bridges = class.modules.iter().any(|module| module.text == "br_netfilter");
    for (name, value) in &class.sysctl {
        // What the release line says has no place in the profile.
        let span = Some(value.span).filter(|span| *span != Span::default());
        let fits = name.contains('.') && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
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

fn check(planned: &PlannedService, context: &Context, base_image: &str, environment: &Map<Given<Text>>, found: &mut Diagnostics) {
    let (name, service) = (&planned.name, &*planned.service);
    service.visit(|_, value| match value {
        Value::Map(map) => check_keys(map, found),
        Value::Ints(map) => check_keys(map, found),
        Value::Vars(vars) => check_keys(&vars.values, found),
        _ => {}
    });
    check_labels(name, service, found);
    check_restart(name, service, found);
    check_volumes(service, found);
    check_environment(service, environment, found);
    if planned.origin == Origin::User {
        check_image(name, service, context, base_image, found);
        check_engine(name, service, context, found);
    }
    check_network(name, service, context, found);
    check_changed(planned, context, found);
}

/// A change may not keep one of the line's or the OS's own services from starting.
fn check_changed(planned: &PlannedService, context: &Context, found: &mut Diagnostics) {
    let service = &*planned.service;
    if planned.origin == Origin::User {
        return;
    }
    let built_in = context.target.facts.services.get(&planned.name);
    let created = service.labels.get(CREATE_ONLY).filter(|label| label.text == "true");
    if let Some(label) = created.filter(|_| built_in.is_none_or(|built_in| !built_in.create_only)) {
        found.push(
            Diagnostic::error("never-started", label.span, format!("{} would be made and never started", planned.name))
                .why("what starts after it would go on without it")
                .mend("leave the label out"),
        );
    }
    if planned.origin == Origin::Line && built_in.is_none() && !service.is_system() {
        found.push(
            Diagnostic::error("other-engine", service.span, format!("{} would run in user Docker", planned.name))
                .why("its image and what it works with are in system-docker: it would never start, or find nothing")
                .mend("keep the label `io.rancher.os.scope: system`"),
        );
    }
}

/// Keys stand in a node's config as values do.
fn check_keys<V>(map: &Map<V>, found: &mut Diagnostics) {
    for (key, _) in map.iter() {
        if let Some((problem, why)) = unfit(&key.value) {
            found.push(Diagnostic::error("unfit-value", key.span, problem).why(why).mend("use another name, of printable ASCII"));
        }
    }
}

fn check_labels(name: &str, service: &Service, found: &mut Diagnostics) {
    const KNOWN: [&str; 8] =
        [AFTER, BEFORE, SCOPE, DETACH, CREATE_ONLY, "io.rancher.os.reloadconfig", "io.rancher.os.console", "io.rancher.os.hidden"];
    for (label, value) in service.labels.values.iter() {
        if label.value.starts_with("io.rancher.os") && !KNOWN.contains(&label.value.as_str()) {
            found.push(
                Diagnostic::error("unknown-label", label.span, format!("the OS knows no label `{}`", label.value))
                    .why("it would be ignored without a word, and the service would start in another way than meant")
                    .mend(
                        closest(&label.value, KNOWN)
                            .map_or(format!("the labels are {}", KNOWN.join(", ")), |meant| format!("did you mean `{meant}`?")),
                    ),
            );
        }
        let Some(value) = value.get() else { continue };
        let expected: &[&str] = match label.value.as_str() {
            SCOPE => &["system"],
            DETACH | CREATE_ONLY | "io.rancher.os.reloadconfig" => &["true", "false"],
            _ => continue,
        };
        if !expected.contains(&value.text.as_str()) && !value.template {
            found.push(
                Diagnostic::error("invalid-value", value.span, format!("`{}` of {name} is `{}`", label.value, value.text))
                    .why("the OS compares it to the letter and takes anything else for absent")
                    .mend(format!("write {}", expected.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or "))),
            );
        }
    }
    let always = service.restart.get().filter(|restart| restart.text == "always");
    if let (true, Some(restart)) = (service.is_one_shot(), always) {
        found.push(
            Diagnostic::warning("one-shot-restarts", restart.span, format!("{name} is a one-shot with `restart: always`"))
                .why("dependents go on when it has exited once, and it is started again for ever")
                .mend("leave `restart` out, and let it try again by itself"),
        );
    }
}

fn check_restart(name: &str, service: &Service, found: &mut Diagnostics) {
    let Some(restart) = service.restart.get() else { return };
    let text = restart.text.as_str();
    let counted = text.strip_prefix("on-failure:").is_some_and(|count| count.parse::<u32>().is_ok());
    if !counted && !matches!(text, "always" | "no" | "on-failure" | "unless-stopped") && !restart.template {
        found.push(
            Diagnostic::error("invalid-value", restart.span, format!("`{text}` is no restart policy"))
                .why(format!("Docker refuses the container: {name} would never start"))
                .mend("write `always`, `on-failure`, `unless-stopped` or `\"no\"`"),
        );
    }
}

fn check_volumes(service: &Service, found: &mut Diagnostics) {
    for volume in service.volumes.iter() {
        let mut parts = volume.text.split(':');
        let (Some(host), Some(inside)) = (parts.next(), parts.next()) else { continue };
        if !inside.starts_with('/') {
            found.push(
                Diagnostic::error("invalid-value", volume.span, format!("`{inside}` is not an absolute path"))
                    .why("Docker refuses the container")
                    .mend("write HOST:CONTAINER[:ro|:shared], with absolute paths"),
            );
        }
        let Some(folder) = volatile(host) else { continue };
        let is_data = ["/data", "/var/lib", "/srv", "/var/db"].iter().any(|data| inside.starts_with(data));
        if is_data && inside != host || folder == "/tmp" {
            found.push(
                Diagnostic::warning("volatile-data", volume.span, format!("what is written to {inside} lies in {host}"))
                    .why(format!("{folder} is empty after every boot"))
                    .mend("use a path on the state partition, below /opt or /var/lib"),
            );
        }
    }
}

fn check_environment(service: &Service, environment: &Map<Given<Text>>, found: &mut Diagnostics) {
    for bare in service.environment.bare.iter() {
        if environment.get(&bare.text).is_none() {
            found.push(
                Diagnostic::warning("empty-variable", bare.span, format!("`{}` has no value here and none in `environment`", bare.text))
                    .why("the node looks it up in rancher.environment; it would be empty")
                    .mend(format!("write `{}=VALUE`, or set it under `environment`", bare.text)),
            );
        }
    }
    for label in service.labels.bare.iter() {
        found.push(
            Diagnostic::error("invalid-value", label.span, format!("the label `{}` has no value", label.text)).mend("write NAME=VALUE"),
        );
    }
}

fn check_image(name: &str, service: &Service, context: &Context, base_image: &str, found: &mut Diagnostics) {
    let Some(image) = service.image.get() else {
        if service.image.is_absent() {
            found.push(
                Diagnostic::error("no-image", service.span, format!("{name} has no image"))
                    .why("the OS skips a service that it can't load, without a word")
                    .mend("add `image: NAME:TAG`"),
            );
        }
        return;
    };
    let last = image.text.rsplit('/').next().unwrap_or_default();
    let is_base = last.starts_with("os-base") || image.text.contains("os.base_image");
    let has_ros = service.volumes_from.values().any(|from| matches!(files::mode_less(&from.text), "command-volumes" | "all-volumes"))
        || service.volumes.values().any(|volume| volume.text.contains("/usr/bin/ros"));
    if is_base && !has_ros {
        found.push(
            Diagnostic::error("base-without-ros", image.span, format!("{name} runs on the OS's base image without `ros`"))
                .why("its entrypoint is `ros entrypoint`, and `ros` isn't in the image: it doesn't start")
                .mend("add `volumes_from: [command-volumes]`"),
        );
    }
    if !image.template && !last.contains(':') && !image.text.contains('@') || last.ends_with(":latest") {
        found.push(
            Diagnostic::warning("unpinned-image", image.span, format!("`{}` names no version", image.text))
                .why("two nodes, or one node twice, may run different things")
                .mend("add a tag or a digest"),
        );
    }
    let is_base = is_base && (image.template || image.text == base_image);
    let is_packed = is_base || context.packed.contains(&image.text) || image.template && image.text.contains("images");
    if !is_packed && context.delivery.is_some_and(Delivery::is_loaded) {
        found.push(
            Diagnostic::warning("image-not-packed", image.span, format!("remuda doesn't pack the image of {name}"))
                .why("where the node can't pull it when its turn comes, the service fails and isn't tried again until the next boot")
                .mend("add it under `images.components` (with `name`, `engine` and `from`), put it into the node's preload folder yourself, or see that the node reaches its registry"),
        );
    }
}

fn check_engine(name: &str, service: &Service, context: &Context, found: &mut Diagnostics) {
    let after = service.label(AFTER).unwrap_or_default();
    let waits = after.split(',').any(|after| after.trim() == "preload-user-images");
    if !service.is_system() && context.delivery.is_some_and(Delivery::is_loaded) && !waits {
        found.push(
            Diagnostic::error("preload-race", service.labels.get(AFTER).map_or(service.span, |after| after.span), format!("{name} runs in user Docker and doesn't wait for its preloaded images"))
                .why("it starts as soon as user Docker answers, while images may still be loading; a service whose image isn't there fails until the next boot")
                .mend(format!("add the label `{AFTER}: preload-user-images`, or `{SCOPE}: system` to run it in system-docker")),
        );
    }
}

fn check_network(name: &str, service: &Service, context: &Context, found: &mut Diagnostics) {
    let net = service.net.value().map_or("", |net| net.text.as_str());
    if net == "host" {
        if let Some(link) = service.links.items.first() {
            found.push(
                Diagnostic::error("links-on-host-network", link.span, format!("{name} has links and `net: host`"))
                    .why("Docker refuses the container")
                    .mend("use addresses instead of links, or leave `net: host` out"),
            );
        }
        if let Some(port) = service.ports.items.first() {
            found.push(
                Diagnostic::error("ports-on-host-network", port.span, format!("{name} has ports and `net: host`"))
                    .why("Docker ignores the ports without a word: it listens on whatever it opens itself")
                    .mend("leave one of them out"),
            );
        }
    } else if service.is_system()
        && net.is_empty()
        && context.target.dialect == crate::os::Dialect::BurmillaOs20
        && matches!(&service.image, Given::Is(_))
        && service.label(CREATE_ONLY) != Some("true")
    {
        found.push(
            Diagnostic::warning("no-network", service.span, format!("{name} has no network"))
                .why("system-docker of BurmillaOS has no bridge")
                .mend("add `net: host`, or `net: none` if none is meant"),
        );
    }
}

fn check_ports(services: &[PlannedService], line: &Line, api_port: u16, found: &mut Diagnostics) {
    let mut taken: HashMap<(u16, &str), (String, Option<Span>)> = HashMap::new();
    let ours = |port: &str| if port.contains("api.port") { Some(api_port) } else { port.parse().ok() };
    for planned in services {
        let of_line = line.services.iter().filter(|service| planned.origin == Origin::Line && service.name == planned.name);
        for port in of_line.flat_map(|service| &service.ports).filter_map(|port| ours(port)) {
            if let Some((other, _)) = taken.insert((port, "tcp"), (planned.name.clone(), None)) {
                found.push(
                    Diagnostic::error("port-clash", None, format!("{} and {other} both take port {port}", planned.name))
                        .why("the second to start exits, for ever")
                        .mend("change `api.port`"),
                );
            }
        }
    }
    for planned in services {
        for port in planned.service.ports.iter() {
            let Some((number, protocol)) = host_port(&port.text) else { continue };
            let previous = taken.insert((number, protocol), (planned.name.clone(), Some(port.span)));
            let Some((other, span)) = previous else { continue };
            let mut clash = Diagnostic::error("port-clash", port.span, format!("{other} takes port {number} of the node already"))
                .why("the second to start fails, and isn't tried again until the next boot")
                .mend("use another port");
            if let Some(span) = span {
                clash = clash.related(span, "taken here");
            }
            found.push(clash);
        }
    }
}

/// The host's port in `[ADDRESS:]HOST:CONTAINER[/PROTOCOL]`, if one is named.
fn host_port(text: &str) -> Option<(u16, &'static str)> {
    let (ports, protocol) = match text.split_once('/') {
        Some((ports, "udp")) => (ports, "udp"),
        Some((ports, _)) => (ports, "tcp"),
        None => (text, "tcp"),
    };
    let mut parts: Vec<&str> = ports.split(':').collect();
    parts.pop();
    Some((parts.pop()?.parse().ok()?, protocol))
}
