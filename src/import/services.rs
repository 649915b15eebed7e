//! `rancher.services` → `services`.

use super::keys::Config;
use super::machine::Note;
use super::value::{Map, Value};
use crate::diagnostic::{Code, Diagnostic, Span, closest};
use crate::profile::Cidr;
use crate::service::{AFTER, SCOPE, Service};
use crate::terms::ImageName;
use crate::yaml::{Entry, Kind, Node, Record, Scalar};

/// Images of Kubernetes and what it needs, besides those with a name of the line's services.
const KUBERNETES: [&str; 5] = ["hyperkube", "hyperkube-amd64", "kubernetes", "flanneld", "kube-addon-manager"];
/// What only a node of the control plane runs.
const CONTROL_PLANE: [&str; 7] =
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "apiserver", "controller-manager", "k8s-master", "kube-master"];
/// The service after which preloaded images are in user Docker.
const IMAGES: &str = "preload-user-images";
/// Flags of Kubernetes with the cluster's networks.
const NETWORKS: [(&str, &str); 5] = [
    ("--cluster-cidr=", "network.pods"),
    ("--cluster_cidr=", "network.pods"),
    ("--service-cluster-ip-range=", "network.services"),
    ("--service_cluster_ip_range=", "network.services"),
    ("--portal_net=", "network.services"),
];
const FLAGS: [&str; 4] = ["privileged", "read_only", "stdin_open", "tty"];

impl Config<'_> {
    /// The services that a config has, except for those of remuda itself.
    pub(super) fn services(&mut self, node: &Node) {
        let mut services = Map::new();
        for entry in self.entries(node) {
            self.look_for_role(entry);
            if entry.value.is_null() {
                self.found.push(
                    Diagnostic::new(Code::KeyNotImported, entry.key_span, format!("the service `{}` is empty", entry.key))
                        .why("the OS's reader breaks off at it: the node ran without its whole config")
                        .help("remove it"),
                );
            } else if let Some(why) = self.ours(entry) {
                self.note(&format!("the service {}", entry.key), &why, entry.key_span);
            } else {
                let mut service = self.service(&entry.key, &entry.value);
                self.wait_for_images(&entry.key, &mut service, entry.key_span);
                if !service.is_empty() {
                    services.insert(entry.key.clone(), Value::Map(service));
                }
            }
        }
        self.put("services", Value::Map(services));
    }

    /// Why remuda runs the service, or what does its work, by itself.
    fn ours(&self, entry: &Entry) -> Option<String> {
        let is_ours = |name: &str| self.line.services.iter().any(|service| service.name == name);
        if is_ours(&entry.key) {
            return Some("remuda makes it itself".to_owned());
        }
        let image = image_of(&entry.value)?;
        (KUBERNETES.contains(&image.as_str()) || is_ours(&image)).then(|| format!("remuda runs {image} itself"))
    }

    /// Remembers a service that says which role the node had, and the networks that it names.
    fn look_for_role(&mut self, entry: &Entry) {
        let image = image_of(&entry.value).unwrap_or_default();
        let mut words = vec![entry.key.clone(), image];
        if let Kind::Mapping(keys) = &entry.value.kind {
            keys.iter().filter(|key| key.key == "command").for_each(|key| texts(&key.value, &mut words));
        }
        for word in words.iter().flat_map(|word| word.split(' ')) {
            let flag = NETWORKS.iter().find_map(|(flag, network)| Some((network, word.strip_prefix(flag)?)));
            let once = flag.map(|(network, value)| ((*network).to_owned(), Value::text(value), entry.key_span));
            self.machine.once.extend(once.filter(|(_, value, _)| matches!(value, Value::Text(text) if Cidr::parse(text).is_ok())));
        }
        let names = |known: &[&str]| words.iter().any(|word| word.split([' ', '/']).any(|part| known.contains(&part)));
        let span: Span = entry.key_span;
        if names(&CONTROL_PLANE) {
            self.machine.api.get_or_insert(span);
        } else if names(&["etcd"]) {
            self.machine.etcd.get_or_insert(span);
        }
    }

    fn service(&mut self, name: &str, node: &Node) -> Map {
        let mut service = Map::new();
        for entry in self.entries(node) {
            let (key, value) = (entry.key.as_str(), &entry.value);
            let hint = Service::HINTS.iter().find(|(hinted, _)| *hinted == key).map(|(_, hint)| (*hint).to_owned());
            let known = Service::keys();
            if value.is_null() {
                self.note(&format!("{key} of the service {name}"), "it has no value", entry.key_span);
            } else if !known.contains(&key) {
                let meant = || closest(key, known.iter().copied()).map(|meant| format!("did you mean `{meant}`?"));
                let help = hint.or_else(meant).unwrap_or_else(|| "look for it in docs/profile.md".to_owned());
                self.found.push(
                    Diagnostic::new(Code::KeyNotImported, entry.key_span, format!("`{key}` of {name} isn't in the profile"))
                        .why("the OS silently ignores it in a service")
                        .help(help),
                );
            } else if FLAGS.contains(&key) {
                service.extend(self.flag(value).map(|flag| (key.to_owned(), Value::Text(flag))));
            } else if matches!(key, "environment" | "labels") {
                service.extend(self.pairs(key, value).map(|pairs| (key.to_owned(), pairs)));
            } else {
                service.extend(self.value(key, value).map(|value| (key.to_owned(), value)));
            }
        }
        service
    }

    /// A service in user Docker starts after the preloaded images are there.
    fn wait_for_images(&mut self, name: &str, service: &mut Map, span: Span) {
        if !service.contains_key("image") || self.target.services.contains_key(name) {
            return;
        }
        let labels = service.entry("labels".to_owned()).or_insert_with(|| Value::Map(Map::new()));
        let Value::Map(labels) = labels else { return };
        if labels.get(SCOPE) == Some(&Value::text("system")) {
            return;
        }
        let after = match labels.get(AFTER) {
            Some(Value::Text(after)) if after.contains(IMAGES) => return,
            Some(Value::Text(after)) => format!("{after},{IMAGES}"),
            _ => IMAGES.to_owned(),
        };
        labels.insert(AFTER.to_owned(), Value::Text(after));
        self.notes.push(Note {
            is_added: true,
            what: format!("the label {AFTER}: {IMAGES} of {name}"),
            why: "user Docker starts services while it may still be loading images".to_owned(),
            span,
        });
    }

    /// Names with values: a mapping, also where the config has a list of `NAME=value`.
    fn pairs(&mut self, key: &str, node: &Node) -> Option<Value> {
        let Kind::List(_) = &node.kind else { return self.value(key, node) };
        let mut pairs = Map::new();
        for item in self.items(node) {
            let Kind::Scalar { text, .. } = &item.kind else { return self.value(key, node) };
            // A name without a value is looked up by the OS, and only a list can have it.
            let Some((name, value)) = text.split_once('=') else { return self.value(key, node) };
            if pairs.contains_key(name) {
                return self.value(key, node);
            }
            pairs.insert(name.to_owned(), Value::text(value));
        }
        pairs.retain(|name, value| matches!(value, Value::Text(text) if self.may_have(name, text, node.span)));
        Some(Value::Map(pairs))
    }
}

/// The last part of a service's image, without tag: `etcd`.
fn image_of(node: &Node) -> Option<String> {
    let Kind::Mapping(keys) = &node.kind else { return None };
    let image = keys.iter().find(|key| key.key == "image")?;
    let Kind::Scalar { text, .. } = &image.value.kind else { return None };
    let image: ImageName = text.parse().ok()?;
    Some(image.repository.rsplit('/').next().unwrap_or_default().to_owned())
}

/// The minor of the Kubernetes 1 that a service runs, and where its image says so.
pub(super) fn kubernetes(service: &Node) -> Option<(u32, Span)> {
    let image = service.get("image")?;
    let name: ImageName = image.text()?.parse().ok()?;
    let program = name.repository.rsplit('/').next()?;
    let is_kubernetes = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"].contains(&program);
    let version = name.tag.as_deref().filter(|_| is_kubernetes || KUBERNETES[..3].contains(&program))?;
    let minor = version.trim_start_matches('v').strip_prefix("1.")?.split('.').next()?.parse().ok()?;
    Some((minor, image.span))
}

/// Whether a service runs in user Docker.
pub(super) fn is_for_user_docker(service: &Node) -> bool {
    let Some(labels) = service.get("labels") else { return !service.entries().is_empty() };
    let system = |node: &Node| node.text() == Some("system");
    let is_system = labels.get(SCOPE).is_some_and(system)
        || labels.items().iter().filter_map(Node::text).any(|label| label.split_once('=') == Some((SCOPE, "system")));
    !is_system
}

/// All texts in a value.
fn texts(node: &Node, all: &mut Vec<String>) {
    match &node.kind {
        Kind::Scalar { text, .. } => all.push(text.clone()),
        Kind::List(items) => items.iter().for_each(|item| texts(item, all)),
        Kind::Mapping(_) => {}
    }
}
