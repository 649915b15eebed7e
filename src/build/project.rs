//! Reads a project, once.

use super::manifests::{self, Beside};
use super::{BuildError, Committed, SourceError, secrets};
use crate::change::{self, Before, Facts, Manifest};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Sources};
use crate::disk::{self, Doing};
use crate::image::{ImageSpec, Lock, MadeFrom, Need, Roots, Unlocked};
use crate::line::Lines;
use crate::pki::Vault;
use crate::plan::{self, Archive, Cluster, Draft, EtcdRecord, Known, PlannedImage};
use crate::profile::{self, Profile};
use crate::tree;
use camino::{Utf8Path, Utf8PathBuf};

/// The built-in profile: the cluster of the 2015 post.
const BUILT_IN: &str = include_str!("../../profiles/vagrant.yaml");
/// Its file name, from which others are derived: `vagrant.lock`.
const BUILT_IN_NAME: &str = "vagrant.yaml";
/// The folder of components, if none is named.
const COMPONENTS: &str = "components";
/// The maximal size of a lock, in bytes.
const LARGEST_LOCK: u64 = 64 << 20;

/// The paths of a project.
#[derive(Debug, Clone, Default)]
pub struct Paths {
    /// `None` for the built-in profile.
    pub profile: Option<Utf8PathBuf>,
    /// A folder of release lines, which come before the built-in ones.
    pub templates: Option<Utf8PathBuf>,
    /// The folder of the out trees: each cluster's is a folder in it.
    pub out: Option<Utf8PathBuf>,
    /// Whether an unreadable lock counts as a missing one, because it will be made again.
    pub ignores_bad_lock: bool,
}

impl Paths {
    /// The project of the profile at `path`.
    pub fn of(path: impl Into<Utf8PathBuf>) -> Self {
        Self { profile: Some(path.into()), ..Self::default() }
    }

    /// The lock: `cluster.lock` next to `cluster.yaml`.
    pub fn lock(&self) -> Utf8PathBuf {
        self.beside("lock")
    }

    /// The vault: `cluster.secrets` next to `cluster.yaml`.
    pub fn vault(&self) -> Utf8PathBuf {
        self.beside("secrets")
    }

    /// The folders of local sources. Components are in the named folder; if none is named, in the one next to the
    /// profile or, if there is none, in the current folder's.
    pub fn roots(&self, components: Option<&Utf8Path>) -> Roots {
        let profile = self.folder().to_owned();
        let beside = || Some(profile.join(COMPONENTS)).filter(|folder| folder.is_dir());
        let components = components.map(Utf8Path::to_owned).or_else(beside).unwrap_or_else(|| COMPONENTS.into());
        Roots { components, profile }
    }

    /// The profile's folder.
    fn folder(&self) -> &Utf8Path {
        self.profile.as_ref().and_then(|profile| profile.parent()).unwrap_or(Utf8Path::new(""))
    }

    fn beside(&self, extension: &str) -> Utf8PathBuf {
        self.profile.as_deref().unwrap_or(Utf8Path::new(BUILT_IN_NAME)).with_extension(extension)
    }

    /// `remuda VERB PROFILE`, for messages.
    pub fn command(&self, verb: &str) -> String {
        let profile = self.profile.as_ref().map(|profile| format!(" {profile}")).unwrap_or_default();
        format!("remuda {verb}{profile}")
    }
}

/// A profile and the files next to it.
#[derive(Debug)]
pub struct Project {
    /// Where its files are.
    pub paths: Paths,
    /// Every text that was read, for diagnostics.
    pub sources: Sources,
    /// The diagnostics so far.
    pub found: Diagnostics,
    /// `None` if it doesn't exist.
    pub lock: Option<Lock>,
    profile: Option<Profile>,
    vault: Vault,
    /// Who is in etcd by another tree than the one that is there.
    base: Option<Option<EtcdRecord>>,
}

impl Project {
    /// Reads the profile, its lock and its vault. Mistakes in them are in `found`; an error means
    /// that a file can't be read at all.
    pub fn open(paths: Paths) -> Result<Self, BuildError> {
        let (name, bytes) = match &paths.profile {
            None => (format!("profiles/{BUILT_IN_NAME} (built in)"), BUILT_IN.into()),
            Some(path) => (path.to_string(), fs_err::read(path).doing("reading the profile", path)?),
        };
        let mut project = Self::new(paths);
        match String::from_utf8(bytes) {
            Ok(text) => project.read(&name, text),
            Err(error) => project.found.push(not_utf8(&name, &error)),
        }
        project.vault = secrets::read_vault(&project.paths.vault())?;
        project.read_lock()?;
        Ok(project)
    }

    /// A project of only a profile's text.
    pub fn of_text(name: &str, text: impl Into<String>) -> Self {
        let mut project = Self::new(Paths::of(name));
        project.read(name, text.into());
        project
    }

    fn new(paths: Paths) -> Self {
        let (sources, found, vault) = (Sources::default(), Diagnostics::default(), Vault::default());
        Self { paths, sources, found, lock: None, profile: None, vault, base: None }
    }

    fn read(&mut self, name: &str, text: String) {
        self.profile = profile::read(&mut self.sources, name, text, &mut self.found);
    }

    fn read_lock(&mut self) -> Result<(), BuildError> {
        let path = self.paths.lock();
        let Some(text) = disk::read_text(&path, LARGEST_LOCK)? else { return Ok(()) };
        match Lock::parse(&text) {
            Ok(lock) => self.lock = Some(lock),
            Err(_) if self.paths.ignores_bad_lock => {}
            Err(error) => self.found.push(
                Diagnostic::new(Code::BadLock, None, format!("{path}: {error}"))
                    .why("the pins in it are unknown, and nothing else may go onto the nodes")
                    .help(format!("restore it from git, or run `{}`", self.paths.command("lock --update"))),
            ),
        }
        Ok(())
    }

    /// Decides everything except the image archives. Reads the manifests, and renders kustomizations and charts.
    pub fn draft(&mut self) -> Result<Draft, SourceError> {
        let lines = Lines { folder: self.paths.templates.clone() };
        let beside = Beside {
            folder: self.paths.folder(),
            lines: &lines,
            lock: self.lock.as_ref(),
            lock_file: self.paths.lock(),
            command: &|verb| self.paths.command(verb),
        };
        let read = |profile| manifests::read(profile, &beside, &mut self.sources, &mut self.found);
        let manifests = self.profile.as_ref().map(read).unwrap_or_default();
        let known = Known {
            vault: self.vault.clone(),
            vault_file: self.paths.vault().into_string(),
            manifests,
            token: self.lock.as_ref().and_then(|lock| lock.discovery.clone()),
            etcd: self.recorded(),
        };
        let decided = match &self.profile {
            Some(profile) => plan::decide(profile, &lines, known, &mut self.sources, &mut self.found),
            None => None,
        };
        self.sound()?;
        decided.ok_or_else(|| self.wrong())
    }

    /// The whole cluster, with the image archives of the out tree's manifest. It is an error if
    /// they must be known but aren't.
    pub fn cluster(&mut self) -> Result<Cluster, BuildError> {
        let draft = self.draft().map_err(BuildError::Source)?;
        let packed = self.packed(&draft)?;
        Ok(packed.complete(draft))
    }

    /// The image archives of the out tree's manifest.
    pub fn packed(&self, draft: &Draft) -> Result<Packed, BuildError> {
        let packed = self.packed_so_far(draft)?;
        let (images, root) = (draft.images(), self.root(draft.name()));
        if packed.archives.is_empty() && !images.contents.is_empty() && images.delivery.names_content() {
            return Err(BuildError::NotPacked { delivery: images.delivery, root, why: packed.lacking.join("\n  ") });
        }
        Ok(packed)
    }

    /// The same; without archives if none are known, or if they don't have what the profile says now.
    pub fn packed_so_far(&self, draft: &Draft) -> Result<Packed, BuildError> {
        let manifest = tree::manifest(&self.root(draft.name())).unwrap_or_default();
        let archives: Vec<Archive> = manifest.get("archives").unwrap_or_default();
        let earlier: MadeFrom = manifest.get("made_from").unwrap_or_default();
        let images = draft.images();
        let made_from = self.made_from(draft)?;
        if archives.is_empty() {
            return Ok(Packed { archives, made_from, lacking: Vec::new() });
        }
        let lacking: Vec<String> = images.contents.iter().filter_map(|image| lacking(image, &archives, &made_from, &earlier)).collect();
        let specs: Vec<&ImageSpec> = images.specs().collect();
        let archives = if lacking.is_empty() { archives } else { Vec::new() };
        Ok(Packed { archives, made_from: made_from.and(&earlier, &specs), lacking })
    }

    /// What the images are made from.
    pub fn made_from(&self, draft: &Draft) -> Result<MadeFrom, BuildError> {
        let lock = self.lock.clone().unwrap_or_default();
        Ok(MadeFrom::of(draft.images().specs(), &lock, &self.paths.roots(None))?)
    }

    /// The tree at `root` that nodes may run, by its name and its manifest: the one on the disk or, if that was deleted, the
    /// one at git's HEAD; `None` if there is none.
    pub fn before(&self, root: &Utf8Path) -> Result<Option<(String, Manifest)>, BuildError> {
        let path = root.join(tree::MANIFEST);
        if let Some(text) = disk::read_text(&path, tree::LARGEST_MANIFEST)? {
            return Ok(Some((root.to_string(), Manifest::read(path.as_str(), &text)?)));
        }
        Ok(Committed::at_head(root)?.map(|tree| (tree.name, tree.manifest)))
    }

    /// What of the cluster ends the one that runs.
    pub fn ends(&self, before: &Before, cluster: &Cluster) -> Vec<Diagnostic> {
        let profile = self.profile.as_ref();
        profile.map(|profile| change::ends(before, cluster, &Facts::of(cluster), profile)).unwrap_or_default()
    }

    /// Of a cluster without a tree: whether a tree beside `root` is this cluster's under another name, because it has the
    /// same control plane.
    pub fn renamed(&self, root: &Utf8Path, cluster: &Cluster) -> Option<Diagnostic> {
        let facts = Facts::of(cluster);
        let mut beside: Vec<Utf8PathBuf> = disk::folder_of(root).read_dir_utf8().ok()?.flatten().map(|entry| entry.into_path()).collect();
        beside.sort();
        let manifest = |folder: Utf8PathBuf| {
            let path = folder.join(tree::MANIFEST);
            let text = disk::read_text(&path, tree::LARGEST_MANIFEST).ok()??;
            Some((folder, Manifest::read(path.as_str(), &text).ok()?))
        };
        let is_same = |(_, other): &(Utf8PathBuf, Manifest)| {
            let known = other.known();
            let mut relied = known.nodes.keys().filter(|name| known.node(name).is_some_and(|node| node.is_relied_on())).peekable();
            let stays = |name: &String| {
                let at = |facts: &Facts| facts.node(name).and_then(|node| node.address);
                at(&known).is_some() && at(&known) == at(&facts)
            };
            other.cluster != cluster.name && relied.peek().is_some() && relied.all(stays)
        };
        let (folder, other) = beside.into_iter().filter_map(manifest).find(is_same)?;
        let span = self.profile.as_ref().and_then(|profile| profile.cluster.span());
        let says = format!("{folder} is of the cluster `{}`, with the same control plane, and this is `{}`", other.cluster, cluster.name);
        Some(
            Diagnostic::new(Code::OtherCluster, span, says)
                .why("a cluster that runs can't get another name: every key is derived from it, and etcd keeps clusters with other names apart")
                .help(format!("write `cluster: {}`; if it is another cluster on machines of its own, add `--accept other-cluster`", other.cluster)),
        )
    }

    /// Who is in etcd by the tree that nodes may run. What remuda didn't write there counts as nothing.
    fn recorded(&self) -> Option<EtcdRecord> {
        if let Some(base) = &self.base {
            return base.clone();
        }
        let root = self.root(self.name()?);
        match tree::manifest(&root) {
            Some(there) => there.get("etcd"),
            None => Committed::at_head(&root).ok().flatten()?.manifest.etcd,
        }
    }

    /// Compares with this tree instead of the one that is there.
    pub fn begin_with(&mut self, tree: Option<&Committed>) {
        self.base = Some(tree.and_then(|tree| tree.manifest.etcd.clone()));
    }

    /// The cluster's name, if the profile has one that can be read.
    pub fn name(&self) -> Option<&str> {
        self.profile.as_ref()?.cluster.value().map(|name| name.0.as_str())
    }

    /// The profile, if it can be read.
    pub(super) fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref()
    }

    /// The out tree of a cluster.
    pub fn root(&self, cluster: &str) -> Utf8PathBuf {
        self.paths.out.as_deref().unwrap_or(Utf8Path::new("out")).join(cluster)
    }

    /// Reports a missing token of the discovery service, or another cluster's.
    pub fn check_token(&mut self, draft: &Draft) {
        let Some(discovery) = draft.discovery().filter(|discovery| discovery.token.is_none()) else { return };
        let (path, cluster) = (self.paths.lock(), draft.name());
        let says = match self.lock.as_ref().and_then(|lock| lock.discovery.as_ref()) {
            None => format!("{path} has no discovery token"),
            Some(other) => format!(
                "the discovery token in {path} is for cluster {}, {} members, from {}; this is cluster {cluster}, {} members, from {}",
                other.cluster, other.size, other.service, discovery.size, discovery.service
            ),
        };
        self.found.push(
            Diagnostic::new(Code::NoDiscoveryToken, discovery.span, says)
                .why("a token is for one cluster, once: without one, the nodes wait indefinitely; with another cluster's, they join that cluster")
                .help(format!("run `{}` and commit {path}", self.paths.command("discovery new"))),
        );
    }

    /// What the manifests need from URLs: charts. Nothing can be decided before it is in the cache.
    pub fn chart_needs(&self) -> Vec<Need> {
        self.profile.as_ref().map(manifests::needs).unwrap_or_default()
    }

    /// All that comes from URLs and registries.
    pub fn needs(&self, draft: &Draft) -> Vec<Need> {
        let images = draft.images().needs();
        let is_other = |chart: &Need| images.iter().all(|image| image.to_string() != chart.to_string());
        let charts: Vec<Need> = self.chart_needs().into_iter().filter(is_other).collect();
        images.into_iter().chain(charts).collect()
    }

    /// The lock, which must pin everything that the cluster's images need.
    pub fn pinned(&mut self, draft: &Draft) -> Result<Lock, SourceError> {
        self.check_pinned(&draft.images().needs());
        self.sound()?;
        Ok(self.lock.clone().unwrap_or_default())
    }

    /// Reports what the cluster's images need but a lock that pins anything doesn't pin.
    pub fn check_lock(&mut self, draft: &Draft) {
        if self.lock.as_ref().is_some_and(|lock| !lock.pins_nothing()) {
            self.check_pinned(&draft.images().needs());
        }
    }

    fn check_pinned(&mut self, needs: &[Need]) {
        let path = self.paths.lock();
        for need in needs {
            let says = match self.lock.as_ref().map(|lock| lock.check(need)) {
                Some(Ok(())) => continue,
                None => format!("{need} isn't pinned: {path} doesn't exist"),
                Some(Err(Unlocked::Absent)) => format!("{need} isn't in {path}"),
                Some(Err(Unlocked::Differs(has))) => format!("{need}: {path} has {has}, not the digest here"),
            };
            let configs_alone = if self.lock.is_none() { "; `gen --no-images` writes only the configs" } else { "" };
            self.found.push(
                Diagnostic::new(Code::NotLocked, need.span(), says)
                    .why("without its digest, two builds may put different bytes on the nodes")
                    .help(format!("run `{}` and commit {path}{configs_alone}", self.paths.command("lock"))),
            );
        }
    }

    /// An error with all diagnostics, if there is an error among them.
    pub fn sound(&mut self) -> Result<(), SourceError> {
        if self.found.has_errors() { Err(self.wrong()) } else { Ok(()) }
    }

    /// Takes all diagnostics.
    fn wrong(&mut self) -> SourceError {
        SourceError { found: self.found.take(), sources: self.sources.clone() }
    }
}

/// The image archives of an out tree, and whether they have what the profile says.
#[derive(Debug, Default)]
pub struct Packed {
    /// Empty if they lack anything.
    pub archives: Vec<Archive>,
    /// What the images are made from now.
    pub made_from: MadeFrom,
    /// The images that the manifest's archives don't have as the profile says, each with the reason.
    pub lacking: Vec<String>,
}

impl Packed {
    /// The whole cluster.
    pub fn complete(self, draft: Draft) -> Cluster {
        draft.made_from(self.made_from).with(self.archives)
    }
}

/// Why no archive has the image as it is now.
fn lacking(image: &PlannedImage, archives: &[Archive], now: &MadeFrom, earlier: &MadeFrom) -> Option<String> {
    let spec = &image.spec;
    let is_in = |archive: &Archive| archive.engine == image.engine && archive.arch == spec.arch && archive.images.contains_key(&spec.name);
    let why = if archives.iter().any(is_in) { now.change(spec, earlier)? } else { "isn't in any of them".to_owned() };
    Some(format!("{} for {} {why}", spec.name, spec.arch))
}

fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Diagnostic {
    let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
    Diagnostic::new(Code::Yaml, None, format!("{name}:{line}: the profile isn't UTF-8 text"))
        .why("remuda can't read any of it")
        .help("save it as UTF-8")
}
