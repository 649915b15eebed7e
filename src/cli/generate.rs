//! `remuda gen`

use super::accept::AcceptArgs;
use super::bar::Bar;
use super::project::{self, ImageArgs, ProfileArgs};
use super::seed::{self, SeedArgs};
use super::{Failure, Format, Outcome, iso, print};
use crate::build::{self, BuildError, IMAGES, ImageSources, Packed, Project, SEALED, SourceError};
use crate::change::Before;
use crate::diagnostic::{self, Diagnostics, Sources};
use crate::image::{Lock, Store};
use crate::media::pxe;
use crate::plan::{Cluster, Draft};
use crate::tree::{Intent, Report};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueHint};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Write every node's config, and the image tarballs
///
/// Writes OUT/CLUSTER. Files for git contain no secrets. If the profile has an error, nothing is
/// written. A file whose bytes would not change isn't touched.
///
/// A change that ends the cluster that runs from OUT/CLUSTER, like another pod network, is refused
/// unless its code is accepted.
#[derive(Debug, Args)]
pub(super) struct Gen {
    #[command(flatten)]
    pub source: ProfileArgs,
    #[command(flatten)]
    seed: SeedArgs,
    /// The folder of the out tree, which is DIR/CLUSTER
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
    /// Write nothing; if the out tree isn't what the profile says, show the differences and exit with 1
    #[arg(long, conflicts_with_all = ["diff", "force"])]
    check: bool,
    /// Write nothing; show what would change, and on which nodes
    #[arg(long, conflicts_with = "force")]
    diff: bool,
    /// Overwrite and remove files in OUT/CLUSTER that remuda didn't write
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    images: ImageArgs,
    /// Write only the configs, no image tarballs
    #[arg(long)]
    no_images: bool,
    /// Write only the files for git, even if the seed exists
    #[arg(long)]
    no_seal: bool,
    #[command(flatten)]
    accept: AcceptArgs,
    /// Whether the tree for git must already be what the profile says.
    #[arg(skip)]
    only_seal: bool,
}

impl Gen {
    pub(super) fn run(self) -> Outcome {
        let (mut project, draft) = self.source.draft(Some(&self.out))?;
        project.check_token(&draft);
        project.sound()?;
        let root = project.root(draft.name());
        let intent = if self.check || self.diff { Intent::Compare } else { Intent::Write { force: self.force } };
        let seed = if intent == Intent::Compare || self.no_seal { None } else { self.seed.find()? };
        if let Some(seed) = &seed {
            seed::check(seed, &self.seed, &root, project.paths.profile.as_deref())?;
        }
        let ends = self.judge(&project, &draft, &root)?;
        if !ends.is_empty() && intent != Intent::Compare {
            return Err(Failure::Source(SourceError { found: ends, sources: project.sources }));
        }
        let packs = intent != Intent::Compare && !self.no_images;
        let packed = if packs { self.pack(&mut project, &draft)? } else { self.packed(&mut project, &draft)? };
        let lacking = packed.lacking.clone();
        let cluster = packed.complete(draft);
        if self.only_seal {
            check(&cluster, &root, "it isn't sealed")?;
        }
        project.found.extend(project::expiring(&cluster));
        project.sound()?;
        let written = build::write(&cluster, &root, intent, seed.as_ref())?;
        project.found.extend(written.found);
        project.sound()?;
        project.found.check_allowed();
        self.source.warn(&mut project);
        let is_refused = !ends.is_empty();
        let report = written.report;
        match self.source.format {
            Format::Json => {
                project.found.extend(ends);
                print(&format!("{:#}\n", as_json(&report, &project.found, &project.sources)))?;
            }
            Format::Text => {
                self.say(&report, &cluster, &root, &lacking, &project.paths.command("gen"))?;
                project::warn(&ends, &project.sources);
            }
        }
        if is_refused || self.check && !report.is_clean() {
            return Err(Failure::Check(String::new()));
        }
        if intent == Intent::Compare {
            return Ok(());
        }
        self.say_sealed(seed.is_some(), &report, &root);
        say_pxe(&cluster, &root.join(SEALED));
        iso::say_stale(&cluster, &root);
        Ok(())
    }

    /// What ends the cluster of the tree that is there, without what is accepted.
    fn judge(&self, project: &Project, draft: &Draft, root: &Utf8Path) -> Result<Diagnostics, Failure> {
        if self.only_seal {
            return Ok(Diagnostics::default());
        }
        let before = match project.before(root) {
            Ok(before) => before,
            Err(BuildError::Manifest(error)) if self.force || self.check || self.diff => {
                eprintln!("{error}\nWhat changes is unknown, so none of it is refused");
                None
            }
            Err(error) => return Err(error.into()),
        };
        if before.as_ref().is_some_and(|(_, before)| before.facts.is_none()) {
            eprintln!("note: an older remuda made {root}: changes of networks, addresses and keys are unknown, so none is refused");
        }
        let cluster = draft.unpacked();
        self.accept.refused(match before {
            Some((name, manifest)) => project.ends(&Before::tree(name, manifest), cluster),
            None => project.renamed(root, cluster).into_iter().collect(),
        })
    }

    /// The archives, packed now.
    fn pack(&self, project: &mut Project, draft: &Draft) -> Result<Packed, Failure> {
        let lock: Lock = project.pinned(draft)?;
        let roots = self.images.roots(&project.paths);
        let (store, network) = (Store::of_user()?.beside(&roots.components), self.images.network.of(draft));
        let sources = ImageSources { roots: &roots, lock: &lock, store: &store, network: &network, texts: &project.sources };
        let folder = project.root(draft.name()).join(IMAGES);
        let archives = build::pack(draft.images(), &sources, &folder, &Bar::default())?;
        Ok(Packed { archives, made_from: project.made_from(draft)?, lacking: Vec::new() })
    }

    /// The archives of the manifest, if they have what the profile says.
    fn packed(&self, project: &mut Project, draft: &Draft) -> Result<Packed, Failure> {
        if self.no_images {
            project.check_lock(draft);
            project.sound()?;
        } else {
            project.pinned(draft)?;
        }
        match project.packed(draft) {
            Err(error @ BuildError::NotPacked { .. }) if self.check => Err(Failure::Check(error.to_string())),
            packed => Ok(packed?),
        }
    }

    /// `gen` with the options of `seal`.
    pub(super) fn sealing(source: ProfileArgs, seed: SeedArgs, out: Utf8PathBuf) -> Self {
        let images = ImageArgs::default();
        let accept = AcceptArgs::default();
        Self {
            source,
            seed,
            out,
            images,
            accept,
            check: false,
            diff: false,
            force: false,
            no_images: true,
            no_seal: false,
            only_seal: true,
        }
    }

    fn say_sealed(&self, is_sealed: bool, report: &Report, root: &Utf8Path) {
        let sealed = root.join(SEALED);
        if is_sealed {
            eprintln!("{sealed}: sealed; keep it out of git");
        } else if sealed.exists() {
            let behind = if report.is_clean() { "" } else { " and is older than the files written now" };
            eprintln!("{sealed}: not sealed again{behind}; run `remuda seal` where the seed is");
        } else if !self.no_seal {
            eprintln!("{sealed}: doesn't exist: nodes boot from sealed configs, but there is no seed at {}", self.seed.path());
            eprintln!("run `remuda seed new` once, keep the seed safe, and run `remuda gen` again");
        }
    }

    fn say(&self, report: &Report, cluster: &Cluster, root: &Utf8Path, lacking: &[String], generate: &str) -> Outcome {
        if let Some(why) = &cluster.line.outdated {
            eprintln!("note: {why}");
        }
        if !lacking.is_empty() {
            eprintln!(
                "{root}: the tarballs that its manifest names don't have the images as the profile says:\n  {}",
                lacking.join("\n  ")
            );
        }
        if !self.check && !self.diff {
            eprintln!(
                "{root}: {} nodes, {} files written, {} removed, {} unchanged",
                cluster.nodes.len(),
                report.written.len(),
                report.removed.len(),
                report.unchanged
            );
            if cluster.images.lacks_archives() {
                eprintln!("{root}: no image tarballs; before nodes boot, run `remuda gen` where the components are");
            }
            return Ok(());
        }
        let mut text = String::new();
        report.differences.iter().for_each(|difference| text.push_str(&difference.text));
        for path in &report.removed {
            text.push_str(&format!("{path}: no longer generated\n"));
        }
        print(&text)?;
        if report.is_clean() {
            eprintln!("{root}: is what the profile says ({} files)", report.unchanged);
            return Ok(());
        }
        let hidden = report.written.len() - report.differences.len().min(report.written.len());
        if hidden > 0 {
            eprintln!("… and {hidden} more files");
        }
        let nodes = changed_nodes(report);
        let word = if self.check { "differs from what the profile says" } else { "would change" };
        eprintln!("{root}: {word}: {} files to write, {} to remove", report.written.len(), report.removed.len());
        eprintln!("nodes that change: {}", if nodes.is_empty() { "none".to_owned() } else { shorten(&nodes) });
        if self.check {
            eprintln!("run `{generate}` and commit the changes");
        }
        Ok(())
    }
}

/// Ends the verb if the tree for git isn't what the profile says.
pub(super) fn check(cluster: &Cluster, root: &Utf8Path, so: &str) -> Outcome {
    let report = build::write(cluster, root, Intent::Compare, None)?.report;
    if report.is_clean() {
        return Ok(());
    }
    let paths: Vec<&str> = report.written.iter().chain(&report.removed).map(String::as_str).collect();
    Err(Failure::Check(format!(
        "{root} isn't what the profile says, so {so}: {}\nrun `remuda gen`, review the changes, and commit them",
        shorten(&paths)
    )))
}

/// Ends a verb that brings configs to machines if nobody knows the tarballs with the images that they name.
pub(super) fn check_packed(cluster: &Cluster, root: &Utf8Path, no_images: bool) -> Outcome {
    if no_images || !cluster.images.lacks_archives() {
        return Ok(());
    }
    Err(Failure::world(format!(
        "{root} was generated without image tarballs, so no node can start what its config names.\nRun `remuda gen` where the components are; or, if the nodes get the images from you, write `--no-images`"
    )))
}

/// Notes for network boot.
fn say_pxe(cluster: &Cluster, sealed: &Utf8Path) {
    let (Some(wanted), served) = (&cluster.media.pxe, sealed.join(pxe::SERVED)) else { return };
    if !served.exists() {
        return;
    }
    if wanted.url.starts_with("http://") {
        eprintln!("{served}: served unencrypted at {}: whoever can listen there can read the nodes' keys (docs/pxe.md)", wanted.url);
    }
    let images = cluster.arches().into_iter().filter_map(|arch| pxe::images(cluster, arch));
    for images in images.filter(|images| !served.join(images).exists()) {
        eprintln!("{served}/{images}: missing, but the boot scripts need it; run `remuda pxe wrap`");
    }
}

fn shorten(names: &[&str]) -> String {
    match names.len() {
        0..=50 => names.join(", "),
        more => format!("{} and {} more", names[..50].join(", "), more - 50),
    }
}

/// The nodes whose config changes.
fn changed_nodes(report: &Report) -> Vec<&str> {
    let paths = report.written.iter().chain(&report.removed);
    let nodes: BTreeSet<&str> = paths.filter_map(|path| path.strip_prefix("nodes/")?.split('/').next()).collect();
    nodes.into_iter().collect()
}

fn as_json(report: &Report, found: &Diagnostics, sources: &Sources) -> Value {
    let mut value = diagnostic::json(found, sources);
    // Nobody may guess the names in the served folder.
    let is_told = |path: &&String| !path.starts_with(&format!("{SEALED}/{}/", pxe::SERVED));
    value["written"] = json!(report.written.iter().filter(is_told).collect::<Vec<_>>());
    value["removed"] = json!(report.removed.iter().filter(is_told).collect::<Vec<_>>());
    value["unchanged"] = json!(report.unchanged);
    value["changed_nodes"] = json!(changed_nodes(report));
    value
}
