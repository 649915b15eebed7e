//! The profile's manifests: what the cluster would refuse, or would have twice.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, closest};
use crate::line::{Claimed, Condition, Line, entries, value};
use crate::manifest::{self, Misfit, Object, Piece, Schema, TEXT};
use crate::plan::check::addons::title;
use crate::plan::check::services::FLANNEL;
use crate::plan::cluster::{Class, Known, Origin, PlannedManifests};
use crate::plan::context::Context;
use crate::profile::Profile;
use crate::service::Command;
use crate::service::form::Ports;
use crate::terms::PodLevel;
use crate::yaml::Scalar;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;

/// The namespaces that every cluster has.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];
/// The maximal size of what a node applies, in bytes.
const LARGEST: usize = 32 << 20;
/// The maximal size of the names of all objects: a ConfigMap keeps those of the old ones and the new ones, and has 1 MiB.
const NAMES: usize = 400 << 10;
/// The largest object that etcd takes, unless a flag of it says another size: 1.5 MiB.
const OBJECT: usize = 3 << 19;
/// The flag.
const OBJECT_FLAG: &str = "--max-request-bytes";
/// What the API server takes at most.
const REQUEST: usize = 3 << 20;
/// How many more places of a pod are shown.
const MORE: usize = 8;
/// The ports of services of type NodePort, unless a flag of kube-apiserver says others.
const NODE_PORTS: RangeInclusive<u16> = 30000..=32767;
/// The flag.
const NODE_PORTS_FLAG: &str = "--service-node-port-range";

/// Everything that needs more than one object, the line or the nodes.
pub(crate) fn check(
    profile: &Profile,
    line: &Line,
    classes: &[Class],
    context: &Context,
    known: &Known,
    applied: Option<&PlannedManifests>,
    found: &mut Diagnostics,
) {
    let objects = &known.manifests;
    let Some(written) = profile.manifests.span else { return };
    if !line.services.iter().any(|service| service.when.contains(&Condition::Manifests)) {
        found.push(
            Diagnostic::new(Code::NoManifests, written, format!("nodes of {} apply no manifests", line.name))
                .why("the cluster would have none of them")
                .help("use a line whose pods run in containerd, like `kubernetes-1.37`, or remove `manifests`"),
        );
        return;
    }
    check_sizes(objects, applied, classes, written, found);
    check_twice(objects, found);
    check_namespaces(objects, found);
    check_versions(objects, line, found);
    check_fields(objects, line, classes, found);
    check_ports(objects, line, classes, context, found);
    check_secrets(objects, known, found);
    check_policies(objects, written, context, found);
    check_security(objects, line, classes, found);
    check_accounts(objects, written, found);
}

fn check_sizes(objects: &[Object], applied: Option<&PlannedManifests>, classes: &[Class], written: Span, found: &mut Diagnostics) {
    let size: usize =
        applied.iter().flat_map(|planned| &planned.objects).map(|piece| if let Piece::Text(text) = piece { text.len() } else { 0 }).sum();
    let names = manifest::names(objects.iter()).len();
    for (what, size, limit, why) in [
        ("the manifests have, as nodes apply them,", size, LARGEST, "every control-plane node has all of them in its config"),
        ("the names of all objects have", names, NAMES, "the cluster notes them in one ConfigMap, which has room for no more"),
    ] {
        if size > limit {
            found.push(
                Diagnostic::new(Code::TooLarge, written, format!("{what} {size} bytes; the limit is {limit}"))
                    .why(why)
                    .help("leave out what can be applied later, by `kubectl apply`"),
            );
        }
    }
    let largest = flag_of(classes, "etcd", OBJECT_FLAG).and_then(|(given, _)| given.parse().ok()).unwrap_or(OBJECT).min(REQUEST);
    for object in objects {
        let Some((place, what, size, limit)) = object.oversized(largest) else { continue };
        found.push(
            Diagnostic::new(Code::TooLarge, place, format!("{} has {size} {what}; the limit is {limit}", object.title()))
                .why("the API server refuses the object, at every boot")
                .help("split it into several objects, or leave parts of it out"),
        );
    }
}

/// flannel enforces no policies. Something in the manifests may, so this can be acknowledged, at the profile's `manifests`.
fn check_policies(objects: &[Object], written: Span, context: &Context, found: &mut Diagnostics) {
    let policy = objects.iter().find(|object| object.kind.value == "NetworkPolicy" && object.group() == "networking.k8s.io");
    if let Some(policy) = policy.filter(|_| context.backend.is_flannel()) {
        found.push(
            Diagnostic::new(Code::UnenforcedPolicy, written, format!("nothing enforces {}", policy.title()))
                .related(policy.kind.span, "this policy")
                .why("flannel knows no policies: every pod still reaches every other, and the API server says nothing")
                .help("use a network plugin that enforces it, with `network: {backend: none}`; if a program of the cluster enforces it beside flannel, say so: `# remuda: allow unenforced-policy`"),
        );
    }
}

fn check_twice(objects: &[Object], found: &mut Diagnostics) {
    let mut seen: HashMap<_, &Object> = HashMap::new();
    for object in objects {
        if let Some(first) = seen.insert(object.id(), object) {
            found.push(
                Diagnostic::new(Code::ManifestTwice, object.name.span, format!("{} is in the manifests twice", object.title()))
                    .related(first.name.span, "first here")
                    .why("the cluster would have the one that is applied last")
                    .help("keep one of them, or give it another name or namespace"),
            );
        }
    }
}

fn check_namespaces(objects: &[Object], found: &mut Diagnostics) {
    let own = objects.iter().filter(|object| object.kind.value == "Namespace").map(|object| object.name.as_str());
    let known: BTreeSet<&str> = own.chain(NAMESPACES).collect();
    let mut said = BTreeSet::new();
    for namespace in objects.iter().filter_map(|object| object.namespace.as_ref()) {
        if known.contains(namespace.as_str()) || !said.insert(namespace.as_str()) {
            continue;
        }
        let make = format!("add `{{apiVersion: v1, kind: Namespace, metadata: {{name: {}}}}}`", namespace.value);
        found.push(
            Diagnostic::new(Code::UnknownNamespace, namespace.span, format!("no manifest makes the namespace `{}`", namespace.value))
                .why("until something makes it, the API server refuses all that is in it")
                .help(closest(namespace, known.iter().copied()).map_or(make, |meant| format!("did you mean `{meant}`?"))),
        );
    }
}

/// What Pod Security refuses, by the levels that the namespaces have.
fn check_security(objects: &[Object], line: &Line, classes: &[Class], found: &mut Diagnostics) {
    let (Some(default), Some(minor)) = (&line.pod_security, line.minor()) else { return };
    let flag = |name: &str| flag_of(classes, "kube-apiserver", name).map(|(given, _)| given).unwrap_or_default();
    let is_own = |class: &Class| class.files.iter().any(|file| file.path == default.config && file.span.is_some());
    let is_off = flag("--disable-admission-plugins").split(',').any(|plugin| plugin == "PodSecurity");
    if is_off || flag("--admission-control-config-file") != default.config || classes.iter().any(is_own) {
        return;
    }
    let made: BTreeMap<&str, &Object> =
        objects.iter().filter(|object| object.kind.value == "Namespace").map(|object| (object.name.as_str(), object)).collect();
    for level in made.values().filter_map(|maker| maker.label(manifest::ENFORCE)) {
        if let Err(problem) = PodLevel::parse(level.value) {
            found.push(
                Diagnostic::new(Code::PodSecurity, level.span, problem)
                    .why("the API server refuses the namespace, and with it everything in it")
                    .help(format!("write {}", PodLevel::expected())),
            );
        }
    }
    for object in objects {
        let namespace = object.namespace.as_ref().map_or("default", |namespace| namespace.as_str());
        let maker = made.get(namespace);
        // Whoever makes it may give it a level.
        if default.exempt.iter().any(|exempt| exempt == namespace) || maker.is_none() && !NAMESPACES.contains(&namespace) {
            continue;
        }
        let level =
            maker.and_then(|maker| maker.label(manifest::ENFORCE)).map_or(Some(default.level), |level| PodLevel::parse(level.value).ok());
        let (Some(template), Some(level)) = (object.pod_template(), level) else { continue };
        let mut refused = manifest::refused(template, level, minor).into_iter();
        let Some((span, what)) = refused.next() else { continue };
        let says = format!("Pod Security refuses the pods of {}: {what}", object.title());
        let (label, name) = (manifest::ENFORCE, level.as_str());
        let all = Diagnostic::new(Code::PodSecurity, span, says)
            .why(format!("the namespace `{namespace}` takes pods of level `{name}` only: the API server would make none of them"));
        let all = match maker {
            Some(maker) => all
                .related(maker.name.span, "the namespace")
                .help(format!("write the pod so that the level takes it, or give the namespace the label `{label}: privileged`")),
            None => all.help(format!(
                "write the pod so that the level takes it, or put it into a namespace of its own with the label `{label}: privileged`"
            )),
        };
        found.push(refused.take(MORE).fold(all, |all, (span, what)| all.related(span, what)));
    }
}

/// Service accounts that pods run as and nothing makes. A program of the cluster's may, so this can be acknowledged, at the
/// profile's `manifests`.
fn check_accounts(objects: &[Object], written: Span, found: &mut Diagnostics) {
    let namespace = |object: &Object| object.namespace.as_ref().map_or("default".to_owned(), |namespace| namespace.value.clone());
    let accounts = objects.iter().filter(|object| object.kind.value == "ServiceAccount");
    let made: BTreeSet<(String, &str)> = accounts.map(|object| (namespace(object), object.name.as_str())).collect();
    let mut said = BTreeSet::new();
    for object in objects {
        let Some(account) = object.service_account() else { continue };
        let (place, Some(name)) = (account.span, account.text()) else { continue };
        let of = namespace(object);
        if name.is_empty() || name == "default" || made.contains(&(of.clone(), name)) || !said.insert((of.clone(), name)) {
            continue;
        }
        let others = made.iter().filter(|(other, _)| *other == of).map(|(_, name)| *name);
        let make = format!("add `{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: {name}, namespace: {of}}}}}`");
        found.push(
            Diagnostic::new(Code::UnknownServiceAccount, written, format!("no manifest makes the service account `{name}` of `{of}`"))
                .related(place, object.title())
                .why("until something makes it, the API server makes none of these pods")
                .help(match closest(name, others) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("{make}; if a program of the cluster makes it, say so: `# remuda: allow unknown-service-account`"),
                }),
        );
    }
}

fn check_versions(objects: &[Object], line: &Line, found: &mut Diagnostics) {
    let Some(minor) = line.minor() else { return };
    for object in objects {
        let Some(removed) = manifest::removed(&object.api_version, &object.kind, minor) else { continue };
        let says = format!("Kubernetes 1.{minor} has no {} in {}", object.kind.value, object.api_version.value);
        found.push(
            Diagnostic::new(Code::RemovedApi, object.api_version.span, says)
                .why(format!("it was removed in 1.{}: the API server refuses the object", removed.since))
                .help(match &removed.replacement {
                    Some(version) => format!(
                        "write `apiVersion: {version}`, and what the Deprecated API Migration Guide of Kubernetes says of its fields"
                    ),
                    None => "remove it: nothing replaced it".to_owned(),
                }),
        );
    }
}

/// What the line's API server says of objects.
fn check_fields(objects: &[Object], line: &Line, classes: &[Class], found: &mut Diagnostics) {
    let api_server = line.components.get("kube-apiserver").and_then(|component| component.version.value());
    let (Some(list), Some(version), Some(minor)) = (&line.objects, api_server, line.minor()) else { return };
    let schema = match Schema::read(entries(list, &version.text)) {
        Ok(schema) => schema,
        Err(problem) => return found.push(Diagnostic::new(Code::Line, None, format!("{}: objects: {problem}", line.name))),
    };
    for object in objects.iter().filter(|object| manifest::removed(&object.api_version, &object.kind, minor).is_none()) {
        for (span, misfit) in schema.misfits(object) {
            // What it serves besides, nobody knows here.
            if matches!(misfit, Misfit::Kind(_)) && flag_of(classes, "kube-apiserver", "--runtime-config").is_some() {
                continue;
            }
            found.push(misfit_of(&misfit, object, span, minor));
        }
    }
}

fn misfit_of(misfit: &Misfit, object: &Object, span: Span, minor: u32) -> Diagnostic {
    const REFUSED: &str = "the API server refuses the whole object";
    match misfit {
        Misfit::Kind(meant) => {
            let says = format!("the API server of 1.{minor} serves no {} in {}", object.kind.value, object.api_version.value);
            let unless = "write a kind and version that it serves; alphas and betas need `runtime-config` of kube-apiserver";
            Diagnostic::new(Code::UnknownKind, span, says).why(REFUSED).help(match meant {
                Some((version, kind)) => format!("did you mean `apiVersion: {version}` and `kind: {kind}`?"),
                None => unless.to_owned(),
            })
        }
        Misfit::Field(of, meant) => {
            Diagnostic::new(Code::ManifestField, span, format!("{of} has no such field in 1.{minor}")).why(REFUSED).help(match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "remove it, or move it to where it belongs; often the indentation is wrong".to_owned(),
            })
        }
        Misfit::Missing(of, field) => Diagnostic::new(Code::ManifestFieldMissing, span, format!("this {of} has no `{field}`"))
            .why("the API server needs it, and most likely refuses the object")
            .help(format!("add `{field}`")),
        Misfit::Value(expected, is) => {
            let help = if *expected == TEXT { "write it in quotes".to_owned() } else { format!("write {expected}") };
            Diagnostic::new(Code::ManifestField, span, format!("this is {is}, not {expected}")).why(REFUSED).help(help)
        }
    }
}

/// A port of a node, and whether it is for UDP: who has it, and the place in a source.
pub(super) type Taken = BTreeMap<(u16, bool), (String, Option<Span>)>;

fn check_ports(objects: &[Object], line: &Line, classes: &[Class], context: &Context, found: &mut Diagnostics) {
    let mut taken = of_services(line, classes, context);
    taken.extend(line.claims.iter().filter_map(|claim| match claim.of {
        Claimed::Port(port) => Some(((port, false), (title(claim), claim.span))),
        Claimed::Folder(_) => None,
    }));
    let range = node_ports(classes);
    let mut given: BTreeMap<(u16, bool), (&Object, Span)> = BTreeMap::new();
    for object in objects {
        let in_pods = object.pod_ports().into_iter().map(|one| (one.port, one.is_udp, one.span));
        let on_nodes = object.node_ports().into_iter().map(|one| (one.port, one.is_udp, one.span));
        for (port, is_udp, span) in in_pods.chain(on_nodes) {
            if let Some((who, place)) = taken.get(&(port, is_udp)) {
                found.push(
                    Diagnostic::new(Code::ManifestPort, span, format!("{who} already takes port {port} of the node"))
                        .related(*place, "taken here")
                        .why("whoever comes second fails, or gets no packets")
                        .help("use another port"),
                );
            }
        }
        for one in object.node_ports() {
            if !range.contains(&one.port) {
                found.push(
                    Diagnostic::new(
                        Code::ManifestPort,
                        one.span,
                        format!("port {} isn't one of {} to {}", one.port, range.start(), range.end()),
                    )
                    .why("the API server refuses the service")
                    .help("use a port in between, or set `service-node-port-range` of kube-apiserver"),
                );
            }
            if let Some((other, place)) = given.insert((one.port, one.is_udp), (object, one.span))
                && place != one.span
            {
                found.push(
                    Diagnostic::new(Code::ManifestPort, one.span, format!("{} has node port {} too", other.title(), one.port))
                        .related(place, "also here")
                        .why("the API server refuses the second service")
                        .help("use another port"),
                );
            }
        }
    }
}

/// The ports that services of the nodes take.
pub(super) fn of_services(line: &Line, classes: &[Class], context: &Context) -> Taken {
    let of_os = context.target.ports.iter().map(|(port, program)| ((*port, false), (program.clone(), None)));
    let of_flannel = context.backend.port().map(|port| ((port, true), (FLANNEL.to_owned(), None)));
    let mut taken: Taken = of_os.chain(of_flannel).collect();
    for planned in classes.iter().flat_map(|class| &class.services) {
        let of_line = line.services.iter().filter(|service| planned.origin == Origin::Line && service.name == planned.name);
        for port in of_line.flat_map(|service| &service.ports) {
            let port = if port.contains("api.port") { Some(context.port.0) } else { port.parse().ok() };
            taken.extend(port.map(|port| ((port, false), (planned.name.clone(), None))));
        }
        for given in planned.service.ports.iter() {
            let Ok(ports) = Ports::parse(&given.text) else { continue };
            let all = ports.taken().into_iter().flatten();
            taken.extend(all.map(|port| ((port, ports.protocol == "udp"), (planned.name.clone(), given.span))));
        }
    }
    taken
}

/// The value of a flag that a service has, as `--FLAG=VALUE`, and its place.
fn flag_of(classes: &[Class], service: &str, flag: &str) -> Option<(String, Option<Span>)> {
    let services = classes.iter().flat_map(|class| &class.services).filter(|planned| planned.name == service);
    let mut words = services.filter_map(|planned| planned.service.command.value()).flat_map(|command| match command {
        Command::Words(words) => words.iter().map(|word| (word.text.clone(), word.span)).collect(),
        Command::Line(text) => shlex::split(&text.text).unwrap_or_default().into_iter().map(|word| (word, None)).collect::<Vec<_>>(),
    });
    words.find_map(|(word, span)| Some((word.strip_prefix(flag)?.strip_prefix('=')?.to_owned(), span)))
}

/// The node ports that a flag of the API server names, and its place.
fn given_node_ports(classes: &[Class]) -> Option<(RangeInclusive<u16>, Option<Span>)> {
    let (given, span) = flag_of(classes, "kube-apiserver", NODE_PORTS_FLAG)?;
    Some((value::ports(&given)?, span))
}

/// The node ports that the API server gives.
pub(crate) fn node_ports(classes: &[Class]) -> RangeInclusive<u16> {
    given_node_ports(classes).map_or(NODE_PORTS, |(range, _)| range)
}

/// A range of node ports with a port that the nodes' own services take.
pub(crate) fn check_node_ports(line: &Line, classes: &[Class], context: &Context, found: &mut Diagnostics) {
    let Some((range, span)) = given_node_ports(classes) else { return };
    // Ports that the profile publishes have a place, and a warning of their own.
    let taken = of_services(line, classes, context).into_iter().filter(|(_, (_, place))| place.is_none());
    let inside: Vec<(u16, String)> = taken.filter(|((port, _), _)| range.contains(port)).map(|((port, _), (who, _))| (port, who)).collect();
    if let Some((port, who)) = inside.first() {
        let more = if inside.len() > 1 { format!(" and {} more", inside.len() - 1) } else { String::new() };
        found.push(
            Diagnostic::new(Code::NodePortRange, span, format!("{} to {} has port {port} of {who}{more}", range.start(), range.end()))
                .why("when a service gets such a port, kube-proxy takes the packets: nodes lose the API, etcd or their kubelets")
                .help("use a range in which no program of the nodes listens, like 30000-32767"),
        );
    }
}

fn check_secrets(objects: &[Object], known: &Known, found: &mut Diagnostics) {
    for secret in objects.iter().flat_map(Object::secrets).filter(|secret| known.vault.digest(secret).is_none()) {
        let set = format!("`remuda secret set {} PROFILE` asks for it and keeps it encrypted", secret.value);
        let says = format!("no secret `{}` in {}", secret.value, known.vault_file);
        found.push(
            Diagnostic::new(Code::UnknownSecret, secret.span, says)
                .why("the object would have nothing in its place")
                .help(closest(&secret, known.vault.names()).map_or(set, |meant| format!("did you mean `{meant}`?"))),
        );
    }
}
