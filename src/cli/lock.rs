//! `remuda lock`

use super::bar::Bar;
use super::project::{ImageArgs, ProfileArgs};
use super::{Failure, Outcome};
use crate::build::{self, ImageSources, Paths, Project};
use crate::disk;
use crate::image::{Lock, LockedFile, Need, Store};
use camino::Utf8Path;
use clap::Args;

/// Pin every URL and image that the components come from, in PROFILE.lock
///
/// Pins stay as they are; those that the profile no longer needs are removed. Commit the file:
/// `gen` and `image build` use nothing else.
#[derive(Debug, Args)]
pub(super) struct LockVerb {
    #[command(flatten)]
    pub source: ProfileArgs,
    #[command(flatten)]
    images: ImageArgs,
    /// Pin everything again: what tags and URLs stand for now
    #[arg(long)]
    update: bool,
}

impl LockVerb {
    pub(super) fn run(self) -> Outcome {
        let paths = Paths { ignores_bad_lock: self.update, ..self.source.paths(None)? };
        let mut project = self.source.open_at(paths)?;
        let there = project.lock.clone().unwrap_or_default();
        let discovery = there.discovery.clone();
        let mut old = if self.update { Lock::default() } else { there.clone() };
        let charts = self.charts(&mut project, &old, there)?;
        old.files.extend(charts);
        let draft = project.draft()?;
        self.source.warn(&mut project);
        let needs = project.needs(&draft);
        if needs.is_empty() {
            eprintln!("all components of this profile come from files on this machine: nothing to lock");
            return Ok(());
        }
        let roots = self.images.roots(&project.paths);
        let (store, network, progress) = (Store::of_user()?.beside(&roots.components), self.images.network.of(&draft), Bar::default());
        let mut lock = build::pin(&old, &needs, &store, &network, &project.sources, &progress)?;
        build::fetch(&lock, &needs, &store, &network, &project.sources, &progress)?;
        say_trusted(&lock, needs.iter().filter(|need| old.check(need).is_err()), &project.paths.lock());
        let sources = ImageSources { roots: &roots, lock: &lock, store: &store, network: &network, texts: &project.sources };
        lock.made = sources.ids(draft.images())?;
        lock.discovery = discovery;
        let (path, text) = (project.paths.lock(), lock.text());
        if fs_err::read_to_string(&path).is_ok_and(|there| there == text) {
            eprintln!("{path}: unchanged, {} files and {} images", lock.files.len(), lock.images.len());
            return Ok(());
        }
        disk::write(&path, text.as_bytes(), 0o644)?;
        eprintln!("{path}: {} files and {} images; commit it", lock.files.len(), lock.images.len());
        Ok(())
    }

    /// Pins and fetches charts: what they need is known when they are rendered.
    fn charts(&self, project: &mut Project, old: &Lock, mut lock: Lock) -> Result<Vec<LockedFile>, Failure> {
        let needs = project.chart_needs();
        if needs.is_empty() {
            return Ok(Vec::new());
        }
        let (store, network, progress) = (Store::of_user()?, self.images.network.access(), Bar::default());
        let files = build::pin(old, &needs, &store, &network, &project.sources, &progress)?.files;
        lock.files.clone_from(&files);
        build::fetch(&lock, &needs, &store, &network, &project.sources, &progress)?;
        project.lock = Some(lock);
        Ok(files)
    }
}

/// Names what was pinned now and had no digest before: nothing vouches for it but the server.
fn say_trusted<'n>(lock: &Lock, pinned: impl Iterator<Item = &'n Need>, path: &Utf8Path) {
    let trusted: Vec<String> = pinned.filter(|need| !need.is_known()).map(|need| format!("  {need} {}", lock.digest(need))).collect();
    if !trusted.is_empty() {
        eprintln!(
            "warning: no digest of these is on record, so they are pinned to what the servers gave now; before you commit {path}, \
             compare them with what their projects publish:\n{}",
            trusted.join("\n")
        );
    }
}
