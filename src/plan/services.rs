//! What is on the nodes of a kind: the line's services, the profile's changes to them, the user's own, labels,
//! interfaces.

use super::effects::Effects;
use super::graph::Graph;
use super::nodes::{Fleet, Kind};
use super::{Class, Origin, PlannedService, changes, containers, engine, files, kernel};
use crate::diagnostic::{Diagnostic, Diagnostics, Span, closest};
use crate::line::{Condition, Line, LineService, Templates};
use crate::os::Target;
use crate::profile::{Arch, Delivery, EngineName, InterfacePattern, Profile, Settings, is_label_key};
use crate::service::{Text, form, unfit};
use crate::yaml::{Field, Given, Map, Spanned};
use std::collections::HashMap;
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

fn compile_one(text: &Text, span: Option<Span>, templates: &mut Templates, found: &mut Diagnostics) {
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
        changes::change(&mut service, of_line, settings, context, effects, found);
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
            changes::check_os_service(&name.value, &service, built_in.one_shot, found);
        }
        let origin = if built_in.is_some() { Origin::Os } else { Origin::User };
        services.push(PlannedService { name: name.value.clone(), service: Arc::new(service), origin });
    }
    let base_image = context.base_image(kind);
    for planned in &mut services {
        changes::keep_what_the_os_mounts(planned, context.target, found);
    }
    containers::check(&services, context, line, &base_image, &settings.environment, found);
    containers::check_keys(&settings.environment, found);
    containers::check_keys(&settings.docker.log_opts, found);
    changes::check_removed(settings, line, context, found);
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
        engine: engine::engine(kind, line, context, found),
        sysctl: texts(&settings.sysctl),
        modules: settings.modules.items.clone(),
        environment: texts(&settings.environment),
        roles: kind.roles.clone(),
        services,
        graph,
    };
    if !found.has_errors() {
        files::check_order(&class.files, &class.services, &class.graph, found);
    }
    check_room(kind, &class, context, found);
    kernel::check_sysctl(&class, found);
    kernel::check_switches(&class, settings, line, found);
    kernel::check_modules(&class, found);
    class
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
            found.push(
                Diagnostic::error("duplicate-taint", taint.span, format!("the taint `{key}` with the effect {effect} is there twice"))
                    .related(first, "first here")
                    .why("the API server wants key and effect unique, and refuses the node: it never registers")
                    .mend("keep one of them; what the release line sets is taken away by `taints: !override […]`"),
            );
        }
    }
    settings.taints.values().map(|taint| taint.0.clone()).collect()
}

pub fn texts(given: &Map<Given<Text>>) -> Vec<(String, Spanned<Text>)> {
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
                given.and_then(|given| given.span).or(context.room_span),
                format!("a node's subnet has room for {} pods, and a kubelet takes {most}", context.room),
            )
            .why("those beyond would wait for an address for ever")
            .mend(format!("use a smaller `node_prefix`, or `components: {{kubelet: {{args: {{max-pods: {}}}}}}}`", context.room)),
        );
    }
}
