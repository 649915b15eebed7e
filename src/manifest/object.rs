//! Objects: read from a text, and asked what they need of a cluster.

use super::kinds::image_fields;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceId, Span, is_private_key};
use crate::yaml::{self, Entry, Kind, Node, Spanned, Tag};

/// The keys whose lists are containers, in pods and in templates of pods.
pub(super) const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];
/// The maximal length of an object's name (RFC 1123; metadata.name).
const NAME: usize = 253;

/// A Kubernetes object, as written.
#[derive(Debug, Clone)]
pub struct Object {
    /// `apps/v1`
    pub api_version: Spanned<String>,
    /// `Deployment`
    pub kind: Spanned<String>,
    /// Its name.
    pub name: Spanned<String>,
    /// Its namespace, if it says one.
    pub namespace: Option<Spanned<String>>,
    /// All of it.
    pub node: Node,
}

/// A port that a pod takes on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodPort {
    /// The number.
    pub port: u16,
    /// Where the manifest says it.
    pub span: Span,
    /// Whether it is the container's own, because the pod is on the node's network.
    pub is_own: bool,
    /// Whether it is for UDP; otherwise for TCP or SCTP.
    pub is_udp: bool,
}

/// A port that a service takes on every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodePort {
    /// The number.
    pub port: u16,
    /// Where the manifest says it.
    pub span: Span,
    /// Whether it is for UDP; otherwise for TCP or SCTP.
    pub is_udp: bool,
}

/// Reads the objects of a text: YAML, with any number of documents, or JSON. What is no object is in `found`.
pub fn read(text: &str, source: SourceId, found: &mut Diagnostics) -> Vec<Object> {
    let mut objects = Vec::new();
    for document in yaml::parse_manifests(text, source, found) {
        // A list of objects, as `kubectl get -o yaml` prints it.
        let items = document.get("items").filter(|_| document.get("kind").and_then(Node::text).is_some_and(|kind| kind.ends_with("List")));
        match items {
            Some(items) => objects.extend(items.items().iter().filter_map(|item| object(item, text, found))),
            None => objects.extend(object(&document, text, found)),
        }
    }
    objects
}

fn object(node: &Node, text: &str, found: &mut Diagnostics) -> Option<Object> {
    if !matches!(node.kind, Kind::Mapping(_)) {
        found.push(no_object(node.span, format!("expected a Kubernetes object, found {}", node.what())));
        return None;
    }
    let mut lacks = |of: &Node, path: &[&str]| {
        let value = path.iter().try_fold(of, |node, key| node.get(key));
        let known = value.and_then(|value| Some(Spanned::at(value.span, value.text()?.to_owned())));
        if known.is_none() {
            let place = value.map_or(Span { end: node.span.start, ..node.span }, |value| value.span);
            found.push(no_object(place, format!("this object has no `{}`", path.join("."))));
        }
        known
    };
    let (api_version, kind, name) = (lacks(node, &["apiVersion"]), lacks(node, &["kind"]), lacks(node, &["metadata", "name"]));
    let (api_version, kind, name) = (api_version?, kind?, name?);
    // A node's script knows objects by these words.
    let is_word =
        |text: &str, more: &str| (1..=NAME).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    for (word, more, may_have) in [
        (&api_version, "./-", "letters, digits, dots, dashes and a slash"),
        (&kind, "", "letters and digits"),
        (&name, ".:_-", "letters, digits, dots, colons, dashes and underscores"),
    ] {
        if !is_word(word, more) {
            found.push(no_object(word.span?, format!("`{}` isn't 1 to {NAME} {may_have}", word.value)));
            return None;
        }
    }
    if api_version.starts_with("kustomize.config.k8s.io/") {
        found.push(
            Diagnostic::new(Code::NoManifest, kind.span, "this is a kustomization, not an object")
                .why("no API server knows it: it would never be applied")
                .help("name its folder in `files`, with the file as `kustomization.yaml`"),
        );
        return None;
    }
    let namespace = node.get("metadata").and_then(|metadata| metadata.get("namespace"));
    let namespace = namespace.and_then(|value| Some(Spanned::at(value.span, value.text()?.to_owned())));
    if let Some(namespace) = namespace.as_ref().filter(|namespace| !is_word(namespace, "-")) {
        found.push(no_object(namespace.span?, format!("`{}` isn't 1 to {NAME} letters, digits and dashes", namespace.value)));
        return None;
    }
    let object = Object { api_version, kind, name, namespace, node: node.clone() };
    object.keeps_secrets(text, found).then_some(object)
}

fn no_object(span: Span, problem: String) -> Diagnostic {
    Diagnostic::new(Code::NoManifest, span, problem)
        .why("kubectl can't apply it, so the cluster would never have it")
        .help("write `apiVersion`, `kind` and `metadata: {name: …}`")
}

/// Why a secret mustn't be in a manifest.
const INTO_GIT: &str = "the manifest and the configs made from it go into git, where everybody with the repository can read them";

impl Object {
    /// The group of its API; empty for the core's.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// What no two objects of a cluster have in common.
    pub fn id(&self) -> (&str, &str, &str, &str) {
        (self.group(), &self.kind, self.namespace.as_ref().map_or("default", |namespace| namespace.as_str()), &self.name)
    }

    /// For a message: "Deployment web".
    pub fn title(&self) -> String {
        format!("{} {}", self.kind.value, self.name.value)
    }

    /// The value of one of its annotations.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.node.get("metadata")?.get("annotations")?.get(key)?.text()
    }

    /// The value of one of its labels.
    pub fn label(&self, key: &str) -> Option<Spanned<&str>> {
        let node = self.node.get("metadata")?.get("labels")?.get(key)?;
        Some(Spanned::at(node.span, node.text()?))
    }

    /// The service account that its pods run as, if it says one.
    pub fn service_account(&self) -> Option<&Node> {
        let pod = self.pod_template()?.get("spec")?;
        pod.get("serviceAccountName").or_else(|| pod.get("serviceAccount"))
    }

    /// The group and the kind that it defines, if that is one of objects in no namespace.
    pub fn cluster_kind(&self) -> Option<(String, String)> {
        let spec = self.node.get("spec").filter(|_| self.kind.value == "CustomResourceDefinition")?;
        let word = |node: Option<&Node>| node.and_then(Node::text).map(str::to_owned);
        spec.get("scope").filter(|scope| scope.text() == Some("Cluster"))?;
        Some((word(spec.get("group"))?, word(spec.get("names")?.get("kind"))?))
    }

    /// What serves the custom resources that it defines: each `GROUP/VERSION` and each `GROUP/VERSION/KIND`.
    pub fn defines(&self) -> Vec<String> {
        let serves = || {
            let spec = self.node.get("spec").filter(|_| self.kind.value == "CustomResourceDefinition")?;
            let (group, kind) = (spec.get("group")?.text()?, spec.get("names")?.get("kind")?.text()?);
            let versions = spec.get("versions")?.items().iter();
            let served = versions.filter(|version| version.get("served").and_then(Node::text) != Some("false"));
            let names = served.filter_map(|version| version.get("name")?.text());
            Some(names.flat_map(|version| [format!("{group}/{version}"), format!("{group}/{version}/{kind}")]).collect())
        };
        serves().unwrap_or_default()
    }

    /// What is larger than the API server or etcd takes: the place, what it has too much of, how much, and the limit.
    /// `largest` is etcd's limit of a whole object.
    pub fn oversized(&self, largest: usize) -> Option<(Span, &'static str, usize, usize)> {
        /// Of all values of a ConfigMap or a Secret (validation.go: MaxSecretSize).
        const DATA: usize = 1 << 20;
        /// Of all annotations (objectmeta.go: TotalAnnotationSizeLimitB).
        const ANNOTATIONS: usize = 256 << 10;
        let holds_data = matches!((self.group(), self.kind.as_str()), ("", "ConfigMap" | "Secret"));
        let of = |node: Option<&Node>, in_base64: bool, counts_keys: bool| {
            let entries = node.map(Node::entries).unwrap_or_default().iter();
            let bytes = entries.map(|entry| {
                let value = entry.value.text().map_or(0, str::len);
                (if in_base64 { value / 4 * 3 } else { value }) + if counts_keys { entry.key.len() } else { 0 }
            });
            bytes.sum::<usize>()
        };
        let data = || {
            let in_base64 = |key: &str| key == "binaryData" || key == "data" && self.kind.value == "Secret";
            ["data", "binaryData", "stringData"].iter().map(|key| of(self.node.get(key), in_base64(key), false)).sum::<usize>()
        };
        let annotations = self.node.get("metadata").and_then(|metadata| metadata.get("annotations"));
        let place = self.kind.span?;
        let sizes = [
            (place, "bytes of data", if holds_data { data() } else { 0 }, DATA),
            (annotations.map_or(place, |node| node.span), "bytes of annotations", of(annotations, false, true), ANNOTATIONS),
            (place, "bytes", super::write::size(&self.node), largest),
        ];
        sizes.into_iter().find(|(_, _, size, limit)| size > limit)
    }

    /// Puts it into a namespace, as if it said so.
    pub fn put_into(&mut self, namespace: &Spanned<String>) {
        let Kind::Mapping(entries) = &mut self.node.kind else { return };
        let Some(Kind::Mapping(metadata)) = entries.iter_mut().find(|entry| entry.key == "metadata").map(|entry| &mut entry.value.kind)
        else {
            return;
        };
        let Some(span) = namespace.span else { return };
        let value = Node { kind: Kind::Scalar { text: namespace.value.clone(), plain: false }, span, tag: Tag::None };
        metadata.retain(|entry| entry.key != "namespace");
        metadata.push(Entry { key: "namespace".to_owned(), key_span: span, value });
        self.namespace = Some(namespace.clone());
    }

    /// Whether it is a Secret of the core.
    fn is_secret(&self) -> bool {
        self.kind.value == "Secret" && self.api_version.value == "v1"
    }

    /// The secrets that it names.
    pub fn secrets(&self) -> Vec<Spanned<String>> {
        let values = self.node.get("stringData").map(Node::entries).unwrap_or_default().iter().map(|entry| &entry.value);
        let named = values.filter(|value| value.tag == Tag::Secret);
        named.filter_map(|value| Some(Spanned::at(value.span, value.text()?.to_owned()))).collect()
    }

    /// Reports secrets that would be in git. No message shows a line with one.
    fn keeps_secrets(&self, text: &str, found: &mut Diagnostics) -> bool {
        let string_data = self.node.get("stringData").filter(|_| self.is_secret());
        let is_in_place = |node: &Node| string_data.is_some_and(|data| data.entries().iter().any(|entry| entry.value.span == node.span));
        let mut misplaced = Vec::new();
        let mut has_key = false;
        self.node.walk(&mut |node| {
            misplaced.extend(Some(node.span).filter(|_| node.tag == Tag::Secret && !is_in_place(node)));
            has_key |= node.text().is_some_and(is_private_key);
        });
        for span in &misplaced {
            found.push(
                Diagnostic::new(Code::NoManifest, *span, "`!secret` is only known in `stringData` of a Secret")
                    .why("anything else is shown to everybody who may read the object")
                    .help("put it into a Secret, and let the pod read that: `envFrom: [{secretRef: {name: …}}]`"),
            );
        }
        let data = ["data", "stringData"].into_iter().filter(|_| self.is_secret());
        let values = data
            .filter_map(|key| Some((key, self.node.get(key)?)))
            .flat_map(|(key, data)| data.entries().iter().map(move |entry| (key, entry)));
        let plain = values.filter(|(_, entry)| entry.value.tag != Tag::Secret && entry.value.text().is_some_and(|text| !text.is_empty()));
        let plain: Vec<_> = plain.collect();
        let says = match plain.first() {
            Some((data, entry)) => format!("Secret {} has the value of `{}` in `{data}`", self.name.value, entry.key),
            None if has_key => format!("{} holds a private key", self.title()),
            None => return misplaced.is_empty(),
        };
        // On a line of its own, the kind shows nothing of the values.
        let (start, end) = (self.kind.span.map_or(0, |span| span.start as usize), self.kind.span.map_or(0, |span| span.end as usize));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[end..].find('\n').map_or(text.len(), |at| end + at);
        let shows = text[line_start..line_end].contains(['{', ',']);
        let help = match plain.first() {
            Some((_, entry)) => format!(
                "run `remuda secret set NAME PROFILE`, which keeps it encrypted next to the profile, and write `stringData: {{{}: !secret NAME}}`",
                entry.key
            ),
            None => {
                "put it into a Secret, by `stringData: {KEY: !secret NAME}`; `remuda secret set NAME PROFILE` keeps it encrypted".to_owned()
            }
        };
        found.push(Diagnostic::new(Code::SecretInManifest, self.kind.span.filter(|_| !shows), says).why(INTO_GIT).help(help));
        false
    }

    /// The values that name the images that it runs.
    pub fn images(&self) -> Vec<&Node> {
        let mut images = Vec::new();
        let field = |path: &String| path.split('.').try_fold(&self.node, |node, key| node.get(key));
        images.extend(image_fields(self.group(), &self.kind).iter().filter_map(field));
        self.node.walk(&mut |node| {
            for containers in CONTAINERS.iter().filter_map(|key| node.get(key)) {
                images.extend(containers.items().iter().filter_map(|container| container.get("image")));
            }
            let volumes = node.get("volumes").map(Node::items).unwrap_or_default();
            images.extend(volumes.iter().filter_map(|volume| volume.get("image")?.get("reference")));
        });
        images.retain(|image| image.text().is_some());
        images
    }

    /// The ports that its pods take on their nodes.
    pub fn pod_ports(&self) -> Vec<PodPort> {
        let mut ports = Vec::new();
        self.node.walk(&mut |pod| {
            let is_own = pod.get("hostNetwork").and_then(Node::text) == Some("true");
            let containers = CONTAINERS.iter().filter_map(|key| pod.get(key)).flat_map(Node::items);
            for given in containers.filter_map(|container| container.get("ports")).flat_map(Node::items) {
                let port = if is_own { given.get("hostPort").or(given.get("containerPort")) } else { given.get("hostPort") };
                ports.extend(port.and_then(number).map(|(port, span)| PodPort { port, span, is_own, is_udp: is_udp(given) }));
            }
        });
        ports.retain(|one| one.port > 0);
        ports
    }

    /// The ports that it takes on every node.
    pub fn node_ports(&self) -> Vec<NodePort> {
        if self.kind.value != "Service" || self.api_version.value != "v1" {
            return Vec::new();
        }
        let ports = self.node.get("spec").and_then(|spec| spec.get("ports")).map(Node::items).unwrap_or_default();
        let port = |given: &Node| {
            let (port, span) = number(given.get("nodePort")?)?;
            Some(NodePort { port, span, is_udp: is_udp(given) })
        };
        ports.iter().filter_map(port).filter(|one| one.port > 0).collect()
    }

    /// The number of pods that it wants, of the kinds that people scale.
    pub fn replicas(&self) -> Option<&Node> {
        let scales = matches!(
            (self.group(), self.kind.as_str()),
            ("apps", "Deployment" | "StatefulSet" | "ReplicaSet") | ("", "ReplicationController")
        );
        self.node.get("spec").filter(|_| scales)?.get("replicas").filter(|replicas| replicas.text().is_some())
    }
}

fn is_udp(port: &Node) -> bool {
    port.get("protocol").and_then(Node::text) == Some("UDP")
}

fn number(node: &Node) -> Option<(u16, Span)> {
    Some((node.text()?.parse().ok()?, node.span))
}
