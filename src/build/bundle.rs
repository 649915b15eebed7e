//! The whole bundle of a cluster's images: what each is, what it is made of, and who wants it.

use crate::diagnostic::{Diagnostics, Sources};
use crate::image::{Base, Blob, ImageSpec, Lock, Need, Roots, Store};
use crate::node::{self, Contexts, FileContent, NodeConfig, Value};
use crate::plan::{Archive, Cluster, Content, PlannedImage};
use crate::terms::Digest;
use std::collections::BTreeSet;

/// An image of the bundle.
#[derive(Debug)]
pub struct Bundled<'c> {
    /// What it is.
    pub image: &'c PlannedImage,
    /// Its digest in a registry, if it is packed as the profile says now.
    pub digest: Option<Digest>,
    /// In the order of their names.
    pub wanted_by: BTreeSet<Wanter>,
    /// What it is made of.
    pub sources: Vec<BundledSource>,
}

/// Who wants an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanter {
    /// The service of this name.
    Service(String),
    /// The add-on of this name.
    Addon(String),
    /// A file of the node, by its path, like the configuration of containerd.
    File(String),
    /// An object in the profile's manifests.
    #[allow(missing_docs)] // Said above.
    Object { title: String, file: String, line: usize },
}

impl std::fmt::Display for Wanter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service(name) => write!(f, "service {name}"),
            Self::Addon(name) => write!(f, "add-on {name}"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Object { title, file, line } => write!(f, "{title}, {file}:{line}"),
        }
    }
}

/// A source of an image.
#[derive(Debug)]
pub struct BundledSource {
    /// Whether it is here, and where.
    pub state: SourceState,
    /// In bytes; `None` for a folder, and for what isn't known.
    pub size: Option<u64>,
    /// Its path; or its URL or image, with the digest of the part.
    pub name: String,
}

/// Where a source is, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceState {
    /// At its path.
    Here,
    /// In the cache.
    Cached,
    /// Nowhere, and what it should be isn't known.
    Unlocked,
    /// Nowhere.
    Missing,
}

impl SourceState {
    /// Whether the image can be made of it.
    pub fn is_there(self) -> bool {
        matches!(self, Self::Here | Self::Cached)
    }

    /// A few words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Cached => "in the cache",
            Self::Unlocked => "not in the lock",
            Self::Missing => "missing",
        }
    }
}

impl Bundled<'_> {
    /// The size of all that it is made of, in bytes; `None` if any of it isn't known.
    pub fn size(&self) -> Option<u64> {
        self.sources.iter().map(|source| source.size).sum()
    }
}

/// The bundle of a cluster, whose image archives are these.
pub fn bundle<'c>(
    cluster: &'c Cluster,
    archives: &[Archive],
    texts: &Sources,
    lock: &Lock,
    store: &Store,
    roots: &Roots,
) -> Vec<Bundled<'c>> {
    let wanted = Wanted::of(cluster, texts);
    let bundled = |image: &'c PlannedImage| {
        let spec = &image.spec;
        let mut own = archives.iter().filter(|archive| archive.engine == image.engine && archive.arch == spec.arch);
        let digest = own.find_map(|archive| archive.images.get(&spec.name).cloned());
        Bundled { image, digest, wanted_by: wanted.by(image), sources: sources(spec, lock, store, roots) }
    };
    cluster.images.contents.iter().map(bundled).collect()
}

fn sources(spec: &ImageSpec, lock: &Lock, store: &Store, roots: &Roots) -> Vec<BundledSource> {
    let (mut all, mut of_debian) = (Vec::new(), Vec::new());
    let packages = match &spec.from {
        Some(Base::Debian { packages, .. }) => &packages[..],
        _ => &[],
    };
    for need in Need::of([spec]) {
        let is_package = packages.iter().any(|package| package.source.place.url() == need.url());
        let all = if is_package { &mut of_debian } else { &mut all };
        if lock.check(&need).is_err() {
            all.push(BundledSource { state: SourceState::Unlocked, size: None, name: need.to_string() });
            continue;
        }
        for (_, blob) in lock.blobs(std::slice::from_ref(&need)) {
            let state = if store.is_near(&blob) { SourceState::Cached } else { SourceState::Missing };
            let Blob { digest, size } = blob;
            all.push(BundledSource { state, size: Some(size), name: format!("{need} {digest}") });
        }
    }
    // Dozens, which come and go together.
    if let (Some(Base::Debian { name, .. }), Some(state)) = (&spec.from, of_debian.iter().map(|source| source.state).max()) {
        let size = of_debian.iter().map(|source| source.size).sum();
        all.push(BundledSource { state, size, name: format!("{name}: {} packages of Debian", of_debian.len()) });
    }
    let paths: BTreeSet<_> = spec.locals().map(|local| roots.path(local)).collect();
    for path in paths {
        let there = path.metadata().ok();
        let state = if there.is_some() { SourceState::Here } else { SourceState::Missing };
        let size = there.filter(|there| there.is_file()).map(|there| there.len());
        all.push(BundledSource { state, size, name: path.into_string() });
    }
    all
}

/// What names images.
struct Wanted<'c> {
    cluster: &'c Cluster,
    texts: &'c Sources,
    /// One node of each class: its nodes have the same services and files.
    nodes: Vec<(usize, NodeConfig<'c>)>,
}

impl<'c> Wanted<'c> {
    fn of(cluster: &'c Cluster, texts: &'c Sources) -> Self {
        let contexts = Contexts::new(cluster);
        let first = |class: usize| cluster.nodes.iter().position(|node| node.class == class);
        let nodes = (0..cluster.classes.len()).filter_map(first);
        // What can't be rendered is told by the verbs that write it.
        let lowered = |index: usize| (index, node::lower(cluster.node_at(index), &contexts, &mut Diagnostics::default()));
        Self { cluster, texts, nodes: nodes.map(lowered).collect() }
    }

    fn by(&self, image: &PlannedImage) -> BTreeSet<Wanter> {
        let (cluster, name) = (self.cluster, image.spec.name.as_str());
        let mut all: BTreeSet<Wanter> = cluster.line.of_addons.get(&image.component).cloned().map(Wanter::Addon).into_iter().collect();
        let is_of_addon = !all.is_empty();
        for (index, node) in &self.nodes {
            let class = cluster.node_at(*index).class;
            if class.arch != image.spec.arch {
                continue;
            }
            let runs =
                node.services.iter().filter(|(_, keys)| keys.iter().any(|one| one.0 == "image" && one.1 == Value::Text(name.to_owned())));
            all.extend(runs.map(|(service, _)| Wanter::Service((*service).to_owned())));
            let is_own = |path: &str| class.files.iter().any(|file| file.path == path && !matches!(file.content, Content::Manifests(_)));
            let files = node.files.iter().filter(|file| !is_of_addon && is_own(&file.path) && names(&file.content, name));
            all.extend(files.map(|file| Wanter::File(file.path.clone())));
        }
        let objects =
            cluster.manifests.iter().flat_map(|manifests| &manifests.images).filter(|(component, ..)| *component == image.component);
        all.extend(objects.map(|(_, title, span)| {
            let (file, line) = (self.texts.get(span.source).name.clone(), self.texts.position(span.source, span.start).0);
            Wanter::Object { title: title.clone(), file, line }
        }));
        all
    }
}

/// Whether a file names the image, and not one whose name begins so.
fn names(content: &FileContent, image: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || "._-".contains(c));
    let has = |text: &str| text.match_indices(image).any(|(at, _)| !goes_on(&text[at + image.len()..]));
    match content {
        FileContent::Text(text) => has(text),
        FileContent::Secret(secret) => has(&secret.text()),
        FileContent::Base64(_) | FileContent::Fingerprint => false,
    }
}
