//! The start order on a node: the services of the plan and the OS's own.
//!
//! The OS silently drops a dependency on an unknown name; here that is an error.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, closest};
use crate::plan::cluster::{Dependency, Graph, Origin, PlannedService};
use crate::plan::decide::files::is_on_base_image;
use crate::plan::folders::mode_less;
use crate::service::{AFTER, BEFORE, CREATE_ONLY, Service};
use crate::target::Target;
use std::collections::{BTreeMap, HashSet};

/// The start order of a class.
pub(crate) fn of(services: &[PlannedService], target: &Target, base_image: &str, found: &mut Diagnostics) -> Graph {
    Graph::of(services, target, base_image, found)
}

/// A service as the graph sees it.
struct Vertex {
    is_system: bool,
    create_only: bool,
    is_one_shot: bool,
}

impl Graph {
    fn of(services: &[PlannedService], target: &Target, base_image: &str, found: &mut Diagnostics) -> Self {
        let mut vertices: BTreeMap<&str, Vertex> = BTreeMap::new();
        let mut graph = Self::default();
        for (name, built_in) in &target.services {
            vertices.insert(name, Vertex { is_system: true, create_only: built_in.create_only, is_one_shot: built_in.one_shot });
            for earlier in built_in.after.iter().chain(&built_in.volumes_from) {
                graph.add(earlier, name, None);
            }
            for later in &built_in.before {
                graph.add(name, later, None);
            }
        }
        for planned in services.iter().filter(|planned| !is_override(planned, target)) {
            let create_only = planned.service.label(CREATE_ONLY) == Some("true");
            vertices.insert(
                &planned.name,
                Vertex { is_system: planned.service.is_system(), create_only, is_one_shot: planned.service.is_one_shot() },
            );
        }
        for planned in services {
            graph.add_service(planned, &vertices, target, found);
        }
        graph.add_missing_images(services, base_image);
        graph.dependencies.sort();
        graph.dependencies.dedup_by(|a, b| a.earlier == b.earlier && a.later == b.later);
        graph
    }

    fn add(&mut self, earlier: &str, later: &str, span: Option<Span>) {
        self.dependencies.push(Dependency { earlier: earlier.to_owned(), later: later.to_owned(), span });
    }

    fn add_service(&mut self, planned: &PlannedService, vertices: &BTreeMap<&str, Vertex>, target: &Target, found: &mut Diagnostics) {
        let (name, service) = (planned.name.as_str(), &*planned.service);
        let mut references = Vec::new();
        references.extend(ordered(service, AFTER, target).map(|(other, span)| (Reference::After, other, span)));
        references.extend(ordered(service, BEFORE, target).map(|(other, span)| (Reference::Before, other, span)));
        for (key, list) in [("links", &service.links), ("volumes_from", &service.volumes_from)] {
            let known = list.iter().filter(|item| !item.varies());
            references.extend(known.map(|item| (Reference::Needs(key), first(&item.text), item.span)));
        }
        for (key, given) in [("net", &service.net), ("pid", &service.pid), ("ipc", &service.ipc)] {
            if let Some((given, other)) = given.get().and_then(|given| Some((given, given.text.strip_prefix("container:")?))) {
                references.push((Reference::Needs(key), other.to_owned(), given.span));
            }
        }
        for (kind, other, span) in references {
            let Some(vertex) = vertices.get(other.as_str()) else {
                found.push(unknown(name, &kind, &other, span, vertices));
                continue;
            };
            match kind {
                Reference::After => self.add(&other, name, span),
                Reference::Before => self.add(name, &other, span),
                Reference::Needs(key) => {
                    self.add(&other, name, span);
                    if !is_override(planned, target) && vertex.is_system != service.is_system() {
                        found.push(other_engine(name, key, &other, span, vertex));
                    } else if (vertex.create_only || vertex.is_one_shot) && key != "volumes_from" {
                        let how = if vertex.create_only { "is created but never started" } else { "has exited by then" };
                        found.push(
                            Diagnostic::new(
                                Code::NeverStarted,
                                span,
                                format!("{name} needs {other} to be running (`{key}`), but it {how}"),
                            )
                            .why("Docker refuses to join a container that isn't running")
                            .help("use a service that keeps running"),
                        );
                    }
                }
            }
        }
        if !is_override(planned, target) && !service.is_system() {
            self.add("docker", name, None);
        }
        if let Some(driver) = service.log_driver.get().filter(|driver| driver.text == "syslog") {
            self.add("syslog", name, driver.span);
        }
    }

    /// If a service's image isn't on the node yet, the OS starts the service after `network`, and
    /// aborts on a cycle. So this dependency counts if `network` waits for such a service.
    fn add_missing_images(&mut self, services: &[PlannedService], base_image: &str) {
        let is_missing = |planned: &&PlannedService| planned.origin == Origin::User && !is_on_base_image(&planned.service, base_image);
        let before_network: HashSet<String> =
            self.dependencies.iter().filter(|one| one.later == "network").map(|one| one.earlier.clone()).collect();
        for planned in services.iter().filter(is_missing) {
            if planned.service.label(BEFORE).is_some() || before_network.contains(&planned.name) {
                self.add("network", &planned.name, planned.service.image.span());
            }
        }
    }
}

enum Reference {
    After,
    Before,
    /// The key with the dependency.
    Needs(&'static str),
}

/// A change to one of the OS's own services has no image: the service starts as the OS defines it.
fn is_override(planned: &PlannedService, target: &Target) -> bool {
    planned.origin == Origin::Os || target.services.contains_key(&planned.name)
}

/// The names in a label that orders, with the label's place.
fn ordered<'a>(service: &'a Service, label: &str, target: &'a Target) -> impl Iterator<Item = (String, Option<Span>)> + 'a {
    service.labels.get(label).into_iter().filter(|text| !text.varies()).flat_map(move |text| {
        let names = text.text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(move |name| (target.service_called(name).to_owned(), text.span))
    })
}

/// `name` of `name:alias` and `name:ro`.
fn first(text: &str) -> String {
    mode_less(text).to_owned()
}

fn unknown(name: &str, kind: &Reference, other: &str, span: Option<Span>, vertices: &BTreeMap<&str, Vertex>) -> Diagnostic {
    let (how, why) = match kind {
        Reference::After => ("starts after", "the OS silently drops such a dependency: the service would start immediately"),
        Reference::Before => ("starts before", "the OS silently drops such a dependency: the other service would not wait"),
        Reference::Needs(_) => ("needs", "the OS can't create the container: the service would never start"),
    };
    let help = match closest(other, vertices.keys().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "use a service of this node or of the OS; `remuda explain NODE` lists them".to_owned(),
    };
    Diagnostic::new(Code::UnknownService, span, format!("{name} {how} `{other}`, but this node has no such service")).why(why).help(help)
}

fn other_engine(name: &str, key: &str, other: &str, span: Option<Span>, vertex: &Vertex) -> Diagnostic {
    let engine = |is_system| if is_system { "system-docker" } else { "user Docker" };
    Diagnostic::new(
        Code::OtherEngine,
        span,
        format!("{name} runs in {} but needs {other} (`{key}`), which runs in {}", engine(!vertex.is_system), engine(vertex.is_system)),
    )
    .why("an engine doesn't see the other engine's containers: the service would never start")
    .help("run both in one engine (the label `io.rancher.os.scope: system`), or mount the host's folder")
}
