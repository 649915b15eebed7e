//! The project that a verb is about, and the network that it may use.

use super::failure::style;
use super::{Failure, Format};
use crate::build::start::PROFILE;
use crate::build::{self, NetworkAccess, Paths, Project};
use crate::diagnostic::{self, Diagnostics, Sources, closest};
use crate::image::{Client, HttpSettings, Roots};
use crate::plan::{Cluster, Draft, NodeRef};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueHint};
use std::collections::BTreeMap;
use std::time::Duration;

/// The names that a profile has where none is named.
pub(super) const NAMES: [&str; 2] = [PROFILE, "remuda.yaml"];

/// The arguments of every verb with a profile.
#[derive(Debug, Args)]
pub(super) struct ProfileArgs {
    /// The cluster profile, also as `--profile`
    #[arg(value_hint = ValueHint::FilePath, conflicts_with = "path")]
    profile: Option<Utf8PathBuf>,
    #[command(flatten)]
    option: ProfileOption,
    /// The format of messages
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// The same for verbs whose arguments are names: the profile is an option.
#[derive(Debug, Clone, Args)]
pub(super) struct ProfileOption {
    /// The cluster profile (default: `cluster.yaml` or `remuda.yaml` in the current folder; without them, the built-in
    /// cluster of the 2015 post)
    #[arg(short, long = "profile", value_name = "PROFILE", value_hint = ValueHint::FilePath)]
    path: Option<Utf8PathBuf>,
    /// A folder of release lines, which come before the built-in ones
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    templates: Option<Utf8PathBuf>,
}

impl ProfileOption {
    /// Whether the command line names a profile.
    pub(super) fn is_given(&self) -> bool {
        self.path.is_some()
    }
}

impl From<ProfileOption> for ProfileArgs {
    fn from(option: ProfileOption) -> Self {
        Self { profile: None, option, format: Format::Text }
    }
}

/// The profile that is in the current folder; `None` if there is none.
fn profile_here() -> Result<Option<Utf8PathBuf>, Failure> {
    let mut here = NAMES.map(Utf8PathBuf::from).into_iter().filter(|name| name.symlink_metadata().is_ok());
    match (here.next(), here.next()) {
        (Some(one), Some(other)) => {
            Err(Failure::Usage(format!("{one} and {other} are both in this folder: name the one that you mean with `--profile`")))
        }
        (found, _) => Ok(found),
    }
}

impl ProfileArgs {
    /// The project's paths. `out` is the verb's out folder, if it has one. Says which profile it is if the command line
    /// doesn't.
    pub(super) fn paths(&self, out: Option<&Utf8Path>) -> Result<Paths, Failure> {
        let templates = self.option.templates.clone();
        let profile = match self.profile.as_ref().or(self.option.path.as_ref()) {
            Some(named) => Some(named.clone()),
            None => {
                let found = profile_here()?;
                match &found {
                    Some(path) => eprintln!("profile: {path}"),
                    None => eprintln!("profile: the built-in one; neither {} nor {} is in this folder", NAMES[0], NAMES[1]),
                }
                found
            }
        };
        Ok(Paths { profile, templates, out: out.map(Utf8Path::to_owned), ignores_bad_lock: false })
    }

    /// The project, read.
    pub(super) fn open(&self, out: Option<&Utf8Path>) -> Result<Project, Failure> {
        self.open_at(self.paths(out)?)
    }

    /// The same, at `paths`.
    pub(super) fn open_at(&self, paths: Paths) -> Result<Project, Failure> {
        if let Some(folder) = self.option.templates.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(Failure::Usage(format!("no folder {folder}: `--templates` needs a folder of release lines")));
        }
        Ok(Project::open(paths)?)
    }

    /// The project and its draft. Prints warnings.
    pub(super) fn draft(&self, out: Option<&Utf8Path>) -> Result<(Project, Draft), Failure> {
        let mut project = self.open(out)?;
        let draft = project.draft()?;
        self.warn(&mut project);
        Ok((project, draft))
    }

    /// The project and its whole cluster. Prints warnings.
    pub(super) fn cluster(&self, out: Option<&Utf8Path>) -> Result<(Project, Cluster), Failure> {
        let mut project = self.open(out)?;
        let cluster = project.cluster()?;
        self.warn(&mut project);
        Ok((project, cluster))
    }

    /// Prints the diagnostics, which are warnings. JSON output is one text at the end.
    pub(super) fn warn(&self, project: &mut Project) {
        if self.format == Format::Text {
            warn(&project.found.take(), &project.sources);
        }
    }
}

/// Prints warnings.
pub(super) fn warn(found: &Diagnostics, sources: &Sources) {
    eprint!("{}", diagnostic::text(found, sources, style()));
}

/// A node by its name.
pub(super) fn node<'c>(cluster: &'c Cluster, name: &str) -> Result<NodeRef<'c>, Failure> {
    cluster.node(name).ok_or_else(|| {
        let names = cluster.nodes.iter().map(|node| node.name.as_str());
        let hint = closest(name, names).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        Failure::Usage(format!("{} has no node {name}{hint}", cluster.name))
    })
}

/// The sources of images.
#[derive(Debug, Clone, Args)]
pub(super) struct ImageArgs {
    /// The folder of the component binaries, which scripts/components fills (default: `components` next to the profile
    /// or, if there is none, in the current folder)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    components: Option<Utf8PathBuf>,
    #[command(flatten)]
    pub network: NetworkArgs,
}

impl ImageArgs {
    pub(super) fn roots(&self, paths: &Paths) -> Roots {
        paths.roots(self.components.as_deref())
    }
}

impl Default for ImageArgs {
    fn default() -> Self {
        let network = NetworkArgs { offline: true, mirror: Vec::new(), retries: 0, timeout: 30 };
        Self { components: None, network }
    }
}

/// Use of the network.
#[derive(Debug, Clone, Args)]
pub(super) struct NetworkArgs {
    /// Never touch the network
    #[arg(long)]
    pub offline: bool,
    /// Ask URL first for images of the registry HOST, and for files of the host HOST, like
    /// docker.io=http://10.0.0.2:5000
    #[arg(long, value_name = "HOST=URL", value_parser = mirror)]
    pub mirror: Vec<(String, String)>,
    /// How often to retry a transfer that broke off
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub retries: u32,
    /// How many seconds a server may stay silent
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
}

fn mirror(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((registry, url)) if url.starts_with("http://") || url.starts_with("https://") => Ok((registry.to_owned(), url.to_owned())),
        _ => Err("write HOST=http://MIRROR or HOST=https://MIRROR".to_owned()),
    }
}

impl NetworkArgs {
    fn http(&self) -> HttpSettings {
        HttpSettings { retries: self.retries, silence: Duration::from_secs(self.timeout) }
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.http())
    }

    /// For a cluster's images.
    pub(super) fn of(&self, draft: &Draft) -> NetworkAccess {
        NetworkAccess { insecure: draft.images().insecure.clone(), ..self.access() }
    }

    /// For URLs.
    pub(super) fn access(&self) -> NetworkAccess {
        let mut mirrors: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (registry, url) in &self.mirror {
            mirrors.entry(registry.clone()).or_default().push(url.clone());
        }
        NetworkAccess { is_off: self.offline, mirrors, insecure: Vec::new(), http: self.http() }
    }
}

/// Warnings of certificates, by this machine's clock.
pub(super) fn expiring(cluster: &Cluster) -> Diagnostics {
    build::expiring(cluster, jiff::Timestamp::now().as_second())
}
