//! What images are made from, as the verbs need it: the lock beside the profile, the cache, the network.

use super::{Failure, Outcome, Source, compile};
use crate::diagnostic::{Diagnostic, Diagnostics, Sources};
use crate::image::{Client, FetchError, Habits, Lock, Need, Registry, Roots, Store, Unlocked};
use crate::plan::Cluster;
use anyhow::anyhow;
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueHint};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

/// How many things are fetched at a time.
const AT_A_TIME: usize = 4;

/// Where images come from.
#[derive(Debug, Clone, Args)]
pub struct Supplies {
    /// Where the component binaries are (scripts/components fills it)
    #[arg(long, value_name = "DIR", default_value = "components", value_hint = ValueHint::DirPath)]
    pub components: Utf8PathBuf,
    #[command(flatten)]
    pub network: Network,
}

impl Supplies {
    pub fn roots(&self, source: &Source) -> Roots {
        let beside = source.profile.as_ref().and_then(|profile| profile.parent());
        Roots { components: self.components.clone(), profile: beside.unwrap_or(Utf8Path::new("")).to_owned() }
    }

    pub fn larder(&self, source: &Source, lock: Lock) -> Larder {
        Larder { roots: self.roots(source), lock, network: self.network.clone() }
    }
}

/// Where everything that a cluster's images are made from is.
pub struct Larder {
    pub roots: Roots,
    pub lock: Lock,
    pub network: Network,
}

/// How the network is used.
#[derive(Debug, Clone, Args)]
pub struct Network {
    /// Never touch the network
    #[arg(long)]
    pub offline: bool,
    /// Ask URL for images of REGISTRY before REGISTRY itself, like docker.io=http://10.0.0.2:5000
    #[arg(long, value_name = "REGISTRY=URL", value_parser = mirror)]
    pub mirror: Vec<(String, String)>,
    /// How often a transfer that broke off is taken up again
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub retries: u32,
    /// How many seconds a server may say nothing
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
}

fn mirror(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((registry, url)) if url.starts_with("http://") || url.starts_with("https://") => Ok((registry.to_owned(), url.to_owned())),
        _ => Err("write REGISTRY=http://HOST or REGISTRY=https://HOST".to_owned()),
    }
}

impl Network {
    pub fn client(&self) -> Client {
        Client::new(Habits { retries: self.retries, silence: Duration::from_secs(self.timeout) })
    }

    pub fn registry<'a>(&self, client: &'a Client, cluster: &Cluster) -> Registry<'a> {
        let mut mirrors: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (registry, url) in &self.mirror {
            mirrors.entry(registry.clone()).or_default().push(url.clone());
        }
        Registry::new(client, cluster.images.insecure.clone(), mirrors)
    }
}

/// The lock's file: `cluster.lock` beside `cluster.yaml`.
pub fn lock_path(source: &Source) -> Utf8PathBuf {
    source.profile.as_deref().unwrap_or(Utf8Path::new("vagrant.yaml")).with_extension("lock")
}

pub fn read_lock(source: &Source) -> Result<Option<Lock>, Failure> {
    let path = lock_path(source);
    let text = match fs_err::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Lock::parse(&text).map(Some).map_err(|error| {
        eprintln!("error: {path}: {error}\n`{}` makes it anew", command(source, "lock --update"));
        Failure::Source
    })
}

/// `remuda VERB PROFILE`, for messages.
pub fn command(source: &Source, verb: &str) -> String {
    let profile = source.profile.as_ref().map(|profile| format!(" {profile}")).unwrap_or_default();
    format!("remuda {verb}{profile}")
}

/// The lock, which must have all that the cluster needs. Where there is no lock, one that has nothing,
/// unless it `must` be there.
pub fn lock(source: &Source, cluster: &Cluster, sources: &Sources, must: bool) -> Result<Lock, Failure> {
    let lock = read_lock(source)?;
    if must || lock.as_ref().is_some_and(|lock| !lock.pins_nothing()) {
        compile::report(&unlocked(source, cluster, lock.as_ref()), sources, source.format)?;
    }
    Ok(lock.unwrap_or_default())
}

/// What the cluster needs and the lock doesn't pin.
pub fn unlocked(source: &Source, cluster: &Cluster, lock: Option<&Lock>) -> Diagnostics {
    let mut found = Diagnostics::default();
    let path = lock_path(source);
    for need in needs(cluster) {
        let says = match lock.map(|lock| lock.check(&need)) {
            Some(Ok(())) => continue,
            None => format!("{need} is not pinned: there is no {path}"),
            Some(Err(Unlocked::Absent)) => format!("{need} is not in {path}"),
            Some(Err(Unlocked::Differs(has))) => format!("{need}: {path} has {has}, not what is written here"),
        };
        let configs_alone = if lock.is_none() { "; `gen --no-images` makes the configs alone" } else { "" };
        found.push(
            Diagnostic::error("not-locked", need.span(), says)
                .why("without its digest, two builds may put different things on the nodes")
                .mend(format!("run `{}` and commit {path}{configs_alone}", command(source, "lock"))),
        );
    }
    found
}

/// What the cluster's images need that isn't here.
pub fn needs(cluster: &Cluster) -> Vec<Need> {
    Need::of(cluster.images.contents.iter().map(|image| &image.content))
}

/// Sees that everything that the lock names is in the store.
pub fn fetch(lock: &Lock, needs: &[Need], store: &Store, network: &Network, cluster: &Cluster) -> Result<(), Failure> {
    let missing: Vec<_> = lock.blobs(needs).into_iter().filter(|(_, blob)| !store.has(blob)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if network.offline {
        let names: Vec<String> = missing.iter().map(|(need, blob)| format!("  {need} ({})", blob.digest)).collect();
        return Err(Failure::World(anyhow!(
            "these aren't in the cache, and with --offline nothing is fetched:\n{}\n`remuda image fetch` gets them where there is a network",
            names.join("\n")
        )));
    }
    let client = network.client();
    let registry = network.registry(&client, cluster);
    let total = missing.iter().map(|(_, blob)| blob.size).sum();
    let jobs = missing.iter().map(|job| (job.0.to_string(), job)).collect();
    at_once(jobs, total, |(need, blob), progress| match need {
        Need::Url { url, .. } => {
            let ask = |headers: &_| client.get(url, headers);
            client
                .fetch(store, &crate::image::Fetch { key: url, digest: Some(&blob.digest), size: Some(blob.size), ask: &ask, progress })
                .map(|_| ())
        }
        Need::Image { reference, .. } => registry.blob(reference, blob, store, progress),
    })?;
    Ok(())
}

/// Does all `jobs` (with their names), some at a time, and shows how far they are. All errors are told.
pub fn at_once<J: Sync, T: Send>(
    jobs: Vec<(String, J)>,
    total: u64,
    each: impl Fn(&J, &dyn Fn(i64)) -> Result<T, FetchError> + Sync,
) -> Result<Vec<T>, Failure> {
    let bar = bar("fetching", total);
    let next = Mutex::new(0..jobs.len());
    let done: Mutex<BTreeMap<usize, Result<T, FetchError>>> = Mutex::default();
    let progress = |more: i64| match u64::try_from(more) {
        Ok(more) => bar.inc(more),
        Err(_) => bar.dec(more.unsigned_abs()),
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(jobs.len()) {
            scope.spawn(|| {
                while let Some(index) = next.lock().ok().and_then(|mut next| next.next()) {
                    let (name, job) = &jobs[index];
                    let outcome = each(job, &progress);
                    if outcome.is_ok() {
                        bar.suspend(|| eprintln!("fetched {name}"));
                    }
                    if let Ok(mut done) = done.lock() {
                        done.insert(index, outcome);
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for (index, outcome) in done.into_inner().unwrap_or_default() {
        match outcome {
            Ok(result) => results.push(result),
            Err(error) => errors.push(format!("{}: {error}", jobs[index].0)),
        }
    }
    if errors.is_empty() { Ok(results) } else { Err(Failure::World(anyhow!("not everything could be fetched\n{}", errors.join("\n")))) }
}

/// Writes a small file: all of it or nothing.
pub fn write(path: &Utf8Path, text: &str) -> Outcome {
    let folder = path.parent().filter(|folder| !folder.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    fs_err::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(path).map_err(|error| anyhow!("writing {path}: {}", error.error))?;
    Ok(())
}

/// A bar on a terminal; nothing elsewhere.
pub fn bar(what: &'static str, total: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec}");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_message(what)
}

impl Default for Supplies {
    fn default() -> Self {
        let network = Network { offline: true, mirror: Vec::new(), retries: 0, timeout: 30 };
        Self { components: Utf8PathBuf::from("components"), network }
    }
}
