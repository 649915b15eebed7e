//! The remote sources of images: pins them in the lock, and fetches them into the cache.

use super::{BuildError, Progress};
use crate::diagnostic::{Sources, Span};
use crate::image::{Client, Fetch, FetchError, HttpSettings, Lock, LockedFile, LockedImage, Need, Registry, Store};
use std::collections::BTreeMap;
use std::sync::Mutex;
use ureq::Body;
use ureq::http::{HeaderMap, Response};

/// The number of simultaneous downloads.
const AT_A_TIME: usize = 4;

/// Use of the network.
#[derive(Debug, Clone)]
pub struct NetworkAccess {
    /// Never.
    pub is_off: bool,
    /// The mirrors of registries, and of the hosts of URLs: URLs by registry or host.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Registries that speak plain HTTP.
    pub insecure: Vec<String>,
    /// How servers are asked.
    pub http: HttpSettings,
}

impl NetworkAccess {
    fn registry<'a>(&self, client: &'a Client) -> Registry<'a> {
        Registry::new(client, self.insecure.clone(), self.mirrors.clone())
    }

    /// Asks the mirrors of the URL's host, then the host.
    fn get(&self, client: &Client, url: &str, headers: &HeaderMap) -> Result<Response<Body>, FetchError> {
        let (host, path) = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).unwrap_or_default();
        for mirror in self.mirrors.get(host).into_iter().flatten() {
            if let Ok(response) = client.get(&format!("{}/{path}", mirror.trim_end_matches('/')), headers)
                && response.status().is_success()
            {
                return Ok(response);
            }
        }
        client.get(url, headers)
    }
}

/// Ensures that everything in the lock is in the store.
pub fn fetch(
    lock: &Lock,
    needs: &[Need],
    store: &Store,
    network: &NetworkAccess,
    texts: &Sources,
    progress: &dyn Progress,
) -> Result<(), BuildError> {
    let mut missing = Vec::new();
    for (need, blob) in lock.blobs(needs) {
        if !store.obtain(&blob)? {
            missing.push((need, blob));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    if network.is_off {
        let names: Vec<String> = missing.iter().map(|(need, blob)| format!("  {}{need} ({})", place(need, texts), blob.digest)).collect();
        return Err(BuildError::NotFetched(format!(
            "these files aren't in the cache, and `--offline` forbids to fetch them:\n{}\nRun `remuda image fetch --to DIR` on a machine with a network, and bring DIR here as `--components DIR`",
            names.join("\n")
        )));
    }
    let client = Client::new(network.http.clone());
    let registry = network.registry(&client);
    let total = missing.iter().map(|(_, blob)| blob.size).sum();
    let jobs = missing.iter().map(|job| (job.0, job)).collect();
    at_once(jobs, total, texts, progress, |(need, blob), advance| match need {
        Need::Url { url, .. } => {
            let ask = |headers: &_| network.get(&client, url, headers);
            let what = Fetch { key: url, digest: Some(&blob.digest), size: Some(blob.size), ask: &ask, progress: advance };
            client.fetch(store, &what).map(|_| ())
        }
        Need::Image { reference, .. } => registry.blob(reference, blob, store, advance),
    })?;
    Ok(())
}

/// The result of a need.
enum Pinned {
    File(LockedFile),
    Image(LockedImage),
}

/// A lock of `needs`: existing pins in `old` stay, and the rest is pinned now.
pub fn pin(
    old: &Lock,
    needs: &[Need],
    store: &Store,
    network: &NetworkAccess,
    texts: &Sources,
    progress: &dyn Progress,
) -> Result<Lock, BuildError> {
    let mut lock = Lock::default();
    let mut jobs = Vec::new();
    for need in needs {
        match (old.check(need), need) {
            (Ok(()), Need::Url { url, .. }) => lock.files.extend(old.file(url).cloned()),
            (Ok(()), Need::Image { reference, arch, .. }) => lock.images.extend(old.image(reference, *arch).cloned()),
            (Err(_), _) => jobs.push((need, need)),
        }
    }
    if network.is_off && !jobs.is_empty() {
        let names: Vec<String> = jobs.iter().map(|(need, _)| format!("{}{need}", place(need, texts))).collect();
        return Err(BuildError::NotFetched(format!("`--offline` forbids to pin these:\n  {}", names.join("\n  "))));
    }
    let client = Client::new(network.http.clone());
    let registry = network.registry(&client);
    let pinned = at_once(jobs, 0, texts, progress, |need, advance| match need {
        Need::Url { url, digest, .. } => {
            let ask = |headers: &_| network.get(&client, url, headers);
            let blob = client.fetch(store, &Fetch { key: url, digest: digest.as_ref(), size: None, ask: &ask, progress: advance })?;
            let sha512 = digest.clone().filter(|digest| !digest.is_sha256());
            Ok(Pinned::File(LockedFile { url: url.clone(), digest: blob.digest, sha512, size: blob.size }))
        }
        Need::Image { reference, arch, .. } => registry.resolve(reference, *arch, store).map(Pinned::Image),
    })?;
    for one in pinned {
        match one {
            Pinned::File(file) => lock.files.push(file),
            Pinned::Image(image) => lock.images.push(image),
        }
    }
    Ok(lock)
}

/// Where the profile or line names a need: `FILE:LINE:COLUMN: `, or nothing.
fn place(need: &Need, texts: &Sources) -> String {
    let place = |span: Span| {
        let (line, column) = texts.position(span.source, span.start);
        format!("{}:{line}:{column}: ", texts.get(span.source).name)
    };
    need.span().map(place).unwrap_or_default()
}

/// Does all `jobs`, each for a need, several at a time. Returns all errors.
fn at_once<J: Sync, T: Send>(
    jobs: Vec<(&Need, J)>,
    total: u64,
    texts: &Sources,
    progress: &dyn Progress,
    each: impl Fn(&J, &dyn Fn(i64)) -> Result<T, FetchError> + Sync,
) -> Result<Vec<T>, BuildError> {
    progress.begin("fetching", total);
    let next = Mutex::new(0..jobs.len());
    let done: Mutex<BTreeMap<usize, Result<T, FetchError>>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(jobs.len()) {
            scope.spawn(|| {
                while let Some(index) = next.lock().ok().and_then(|mut next| next.next()) {
                    let (need, job) = &jobs[index];
                    let outcome = each(job, &|more| progress.advance(more));
                    if outcome.is_ok() {
                        progress.say(&format!("fetched {need}"));
                    }
                    if let Ok(mut done) = done.lock() {
                        done.insert(index, outcome);
                    }
                }
            });
        }
    });
    progress.end();
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for (index, outcome) in done.into_inner().unwrap_or_default() {
        match outcome {
            Ok(result) => results.push(result),
            Err(error) => errors.push(format!("{}{}: {error}", place(jobs[index].0, texts), jobs[index].0)),
        }
    }
    if errors.is_empty() { Ok(results) } else { Err(BuildError::NotFetched(format!("some downloads failed\n{}", errors.join("\n")))) }
}
