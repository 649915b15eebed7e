//! `remuda lock`

use super::Outcome;
use super::bar::Bar;
use super::project::{ImageArgs, ProfileArgs};
use crate::build::{self, ImageSources, Paths};
use crate::disk;
use crate::image::{Lock, Store};
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
        let draft = project.draft()?;
        self.source.warn(&mut project);
        let there = project.lock.clone().unwrap_or_default();
        let discovery = there.discovery.clone();
        let old = if self.update { Lock::default() } else { there };
        let needs = draft.images().needs();
        if needs.is_empty() {
            eprintln!("all components of this profile come from files on this machine: nothing to lock");
            return Ok(());
        }
        let (store, network, progress) = (Store::of_user()?, self.images.network.of(&draft), Bar::default());
        let mut lock = build::pin(&old, &needs, &store, &network, &project.sources, &progress)?;
        build::fetch(&lock, &needs, &store, &network, &project.sources, &progress)?;
        let roots = self.images.roots(&project.paths);
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
}
