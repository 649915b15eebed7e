//! What is on the nodes of a class: the line's services, the profile's changes to them, the user's own, labels,
//! interfaces.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::line::{Line, LineService};
use crate::plan::cluster::{Class, Made, Origin, PlannedInterface, PlannedService};
use crate::plan::context::Context;
use crate::plan::decide::fleet::DeclaredClass;
use crate::plan::decide::fleet::Fleet;
use crate::plan::decide::interfaces::{self, own};
use crate::plan::decide::{changes, engine, files, media, order};
use crate::plan::effects::Effects;
use crate::profile::{InterfacePattern, Settings, is_label_key};
use crate::service::Text;
use crate::terms::Arch;
use crate::yaml::{Field, Given, Map, Spanned};
use std::collections::HashMap;
use std::sync::Arc;

/// A class for each that the fleet declares; what its levels say is noted in `effects`.
pub(crate) fn decide(line: &Line, fleet: &Fleet, context: &Context, effects: &mut Effects, found: &mut Diagnostics) -> Vec<Class> {
    fleet.classes.iter().map(|declared| class(declared, line, context, effects, found)).collect()
}

fn class(kind: &DeclaredClass, line: &Line, context: &Context, effects: &mut Effects, found: &mut Diagnostics) -> Class {
    let settings = &kind.settings;
    let is = |role| kind.roles.contains(&role);
    let mut services: Vec<PlannedService> = Vec::new();
    let removed: Vec<&str> = settings.services.removed().map(|name| name.value.as_str()).collect();
    let runs_here = |service: &&LineService| {
        let is_meant = context.delivers(&service.delivery) && context.holds(&service.when, kind);
        is_meant && service.on.iter().any(|role| is(*role)) && !removed.contains(&service.name.as_str())
    };
    // A service of the OS is there, whether the line changes it or not.
    let of_os = |name: &str| context.target.services.contains_key(name);
    let absent = line.services.iter().filter(|service| !runs_here(service) && !of_os(&service.name));
    let absent: Vec<&str> = absent.map(|service| service.name.as_str()).collect();
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
        if let Some(of_line) = line.services.iter().find(|service| service.name == name.value && !of_os(&service.name)) {
            // A role or group may change a service that only some of its nodes have. On the others,
            // the change isn't a service.
            if service.image.is_absent() {
                continue;
            }
            found.push(
                Diagnostic::new(
                    Code::NameTaken,
                    name.span,
                    format!("{} is a service of {} that doesn't run on this node", of_line.name, line.name),
                )
                .why("nobody could tell two different services with one name apart")
                .help("give your service another name"),
            );
        }
        let mut service = service.clone();
        service.forget(&absent);
        let origin = if of_os(&name.value) { Origin::Os } else { Origin::User };
        services.push(PlannedService { name: name.value.clone(), service: Arc::new(service), origin });
    }
    let base_image = context.base_image(kind);
    for planned in &mut services {
        changes::keep_what_the_os_mounts(planned, context.target, found);
        changes::keep_the_proxy(planned, context);
    }
    effects.settings(kind, &services, line);
    let graph = order::of(&services, context.target, &base_image, found);
    let interfaces = interfaces::decide(kind, context.mtu);
    Class {
        is_dynamic: kind.is_dynamic,
        arch: arch(kind, line, found),
        interface: settings.interface.value().map(|name| name.0.clone()),
        dhcp: dhcp(kind, found),
        modules: modules(settings, &interfaces),
        interfaces,
        disk: settings.disk.value().map(|path| path.0.clone()),
        machine: media::machine(kind),
        labels: labels(settings, found),
        taints: taints(settings, found),
        ssh_keys: settings.ssh_keys.values().map(|key| key.0.clone()).collect(),
        files: files::decide(kind, line, &services, context, found),
        engine: engine::engine(kind, line, context, found),
        sysctl: texts(&settings.sysctl),
        environment: texts(&settings.environment),
        os: settings.os.read(context.target, found),
        places: settings.written(),
        roles: kind.roles.clone(),
        services,
        graph,
    }
}

fn arch(kind: &DeclaredClass, line: &Line, found: &mut Diagnostics) -> Arch {
    let arch = kind.arch();
    if let Some(given) = kind.settings.arch.get().filter(|given| !line.architectures.iter().any(|known| known == given.as_str())) {
        found.push(
            Diagnostic::new(Code::LineNeeds, given.span, format!("{} has no components for {}", line.name, given.value))
                .why("none of its programs would start there")
                .help(format!("its architectures are {}", line.architectures.join(", "))),
        );
    }
    arch
}

/// The kernel's own way to a module for VLANs isn't sure to work as early as the OS makes them.
fn modules(settings: &Settings, interfaces: &[PlannedInterface]) -> Vec<Spanned<Text>> {
    let has_vlans = interfaces.iter().any(|one| one.made == Made::Vlan);
    let for_vlans = has_vlans.then(|| Spanned::unwritten(Text::plain("8021q")));
    settings.modules.items.iter().cloned().chain(for_vlans).collect()
}

fn dhcp(kind: &DeclaredClass, found: &mut Diagnostics) -> Vec<String> {
    let settings = &kind.settings;
    let own = own(kind);
    let is_own = |pattern: &InterfacePattern| own == Some(pattern.0.as_str());
    for pattern in settings.dhcp.iter() {
        if is_own(pattern) && !kind.is_dynamic {
            found.push(
                Diagnostic::new(
                    Code::ContradictingInterfaces,
                    pattern.span,
                    format!("{} has the node's own address but would also get one by DHCP", pattern.value),
                )
                .why("the OS would use only DHCP, so the node's address would differ from the one in the other nodes' configs")
                .help("name only the other interfaces; the node's own is `interface: NAME`, or `eth0`"),
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

/// Whether a kubelet may set the label on its own node.
pub(crate) fn may_label(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(prefix, _)| prefix);
    let is_in = |domains: [&str; 2]| domains.iter().any(|own| domain == *own || domain.ends_with(&format!(".{own}")));
    !is_in(["kubernetes.io", "k8s.io"]) || OWN_LABELS.contains(&key) || is_in(["kubelet.kubernetes.io", "node.kubernetes.io"])
}

fn labels(settings: &Settings, found: &mut Diagnostics) -> Vec<String> {
    let mut labels = Vec::new();
    for (key, value) in settings.labels.iter() {
        if let Err(problem) = is_label_key(&key.value) {
            found.push(
                Diagnostic::new(Code::InvalidLabel, key.span, problem)
                    .why("the kubelet exits on a label that Kubernetes refuses")
                    .help("use a name like `disk` or `example.com/disk`"),
            );
            continue;
        }
        if !may_label(&key.value) {
            found.push(
                Diagnostic::new(Code::ReservedLabel, key.span, format!("a kubelet may not set the label `{}` on its own node", key.value))
                    .why("it exits with \"unknown 'kubernetes.io' or 'k8s.io' labels specified\": the node never registers")
                    .help("use your own name, or one under node.kubernetes.io/"),
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
                Diagnostic::new(Code::DuplicateTaint, taint.span, format!("duplicate taint `{key}` with the effect {effect}"))
                    .related(first, "first here")
                    .why("the API server requires key and effect to be unique and refuses the node: it never registers")
                    .help("keep one of them; `taints: !override […]` drops those of the release line"),
            );
        }
    }
    settings.taints.values().map(|taint| taint.0.clone()).collect()
}

pub(crate) fn texts(given: &Map<Given<Text>>) -> Vec<(String, Spanned<Text>)> {
    given.iter().filter_map(|(name, value)| Some((name.value.clone(), value.get()?.clone()))).collect()
}
