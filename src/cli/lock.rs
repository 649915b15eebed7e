//! `remuda lock`

use super::stock::{self, Supplies};
use super::{Failure, Outcome, Source, compile};
use crate::image::{self, Fetch, FetchError, Lock, LockedFile, LockedImage, Made, Need, Pantry, Store};
use crate::plan::Cluster;
use anyhow::anyhow;
use clap::Args;

/// Pin every URL and image that the components come from, in PROFILE.lock
///
/// What is pinned already stays; what the profile doesn't name any more goes. Check the file into git:
/// `gen` and `image build` use nothing else.
#[derive(Debug, Args)]
pub struct LockVerb {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    supplies: Supplies,
    /// Pin everything anew: what a tag or a URL stands for now
    #[arg(long)]
    update: bool,
}

/// What a need turned out to be.
enum Pinned {
    File(LockedFile),
    Image(LockedImage),
}

impl LockVerb {
    pub fn run(self) -> Outcome {
        let (cluster, ..) = compile::cluster(&self.source)?;
        let path = stock::lock_path(&self.source);
        let there = stock::read_lock(&self.source)?.unwrap_or_default();
        let discovery = there.discovery.clone();
        let old = if self.update { Lock::default() } else { there };
        let needs = stock::needs(&cluster);
        if needs.is_empty() {
            eprintln!("all components of this profile come from files of this machine: there is nothing to lock");
            return Ok(());
        }
        let store = Store::of_user()?;
        let lock = self.pin(&cluster, &old, &needs, &store)?;
        let mut lock = self.with_ids(lock, &cluster, &needs, &store)?;
        lock.discovery = discovery;
        let text = lock.text();
        if fs_err::read_to_string(&path).is_ok_and(|there| there == text) {
            eprintln!("{path}: unchanged, {} files and {} images", lock.files.len(), lock.images.len());
            return Ok(());
        }
        stock::write(&path, &text)?;
        eprintln!("{path}: {} files and {} images; commit it", lock.files.len(), lock.images.len());
        Ok(())
    }

    /// What is pinned and still needed, and the rest pinned now.
    fn pin(&self, cluster: &Cluster, old: &Lock, needs: &[Need], store: &Store) -> Result<Lock, Failure> {
        let mut lock = Lock::default();
        let mut jobs = Vec::new();
        for need in needs {
            match (old.check(need), need) {
                (Ok(()), Need::Url { url, .. }) => lock.files.extend(old.file(url).cloned()),
                (Ok(()), Need::Image { reference, arch, .. }) => lock.images.extend(old.image(reference, *arch).cloned()),
                (Err(_), _) => jobs.push((need.to_string(), need)),
            }
        }
        if self.supplies.network.offline && !jobs.is_empty() {
            let names: Vec<&str> = jobs.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Failure::World(anyhow!("with --offline nothing is asked what these stand for:\n  {}", names.join("\n  "))));
        }
        let client = self.supplies.network.client();
        let registry = self.supplies.network.registry(&client, cluster);
        let pinned = stock::at_once(jobs, 0, |need, progress| match need {
            Need::Url { url, digest, .. } => {
                let ask = |headers: &_| client.get(url, headers);
                let blob = client.fetch(store, &Fetch { key: url, digest: digest.as_ref(), size: None, ask: &ask, progress })?;
                let sha512 = digest.clone().filter(|digest| !digest.is_sha256());
                Ok::<_, FetchError>(Pinned::File(LockedFile { url: url.clone(), digest: blob.digest, sha512, size: blob.size }))
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

    /// The IDs of the images that are made of what is pinned alone.
    fn with_ids(&self, mut lock: Lock, cluster: &Cluster, needs: &[Need], store: &Store) -> Result<Lock, Failure> {
        stock::fetch(&lock, needs, store, &self.supplies.network, cluster)?;
        let roots = self.supplies.roots(&self.source);
        let mut made = Vec::new();
        for one in cluster.images.contents.iter().filter(|one| one.content.is_pinned()) {
            let ready = Pantry { roots: &roots, lock: &lock, store }.ready(&one.content)?;
            made.push(Made { component: one.component.clone(), arch: one.content.arch, id: image::id(&ready)? });
        }
        lock.made = made;
        Ok(lock)
    }
}
