//! `remuda iso`

use super::bar::bar;
use super::generate;
use super::project::{self, ProfileArgs, ProfileOption};
use super::{Failure, Outcome, print};
use crate::build::{IMAGES, SEALED};
use crate::diagnostic::Diagnostics;
use crate::media::iso::{self, Drive, Progress};
use crate::media::target::Target;
use crate::media::{self, Customized, MediaError, Tarballs, Vendor};
use crate::node::{self, Contexts};
use crate::plan::{Archive, Cluster, NodeRef};
use crate::terms::{Arch, Delivery, Hasher};
use crate::tree::{Private, PrivateError};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand, ValueHint};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const EXAMPLES: &str = "\
Examples:
  remuda iso node-01                    out/vagrant/sealed/node-01.iso
  remuda iso --all -p cluster.yaml      one for each node
  remuda iso node-01 --images           with the image tarballs on it
  remuda iso node-01 --to /dev/sdX --force
                                        onto a USB stick
  remuda iso node-01 --from rancheros.iso
                                        out/vagrant/sealed/node-01.boot.iso: boots by itself
  remuda iso show out/vagrant/sealed/node-01.iso";

/// Write ISOs: a config drive per node, or the vendor's ISO customized for the node
///
/// Writes OUT/CLUSTER/sealed/NODE.iso, with the label config-2 and the node's sealed config in it:
/// attach it to a machine that has the OS. With `--from`, writes OUT/CLUSTER/sealed/NODE.boot.iso,
/// which boots the OS as this node, or installs it if the profile says so. Both are as secret as
/// the config. The out tree must be what the profile says, and sealed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Iso {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    make: Make,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what an ISO contains, without secrets
    Show {
        /// The ISO's path, or a device
        #[arg(value_hint = ValueHint::FilePath)]
        file: Utf8PathBuf,
    },
}

#[derive(Debug, Args)]
struct Make {
    /// The nodes' names
    #[arg(value_name = "NODE", required_unless_present = "all")]
    nodes: Vec<String>,
    /// Every node
    #[arg(long, conflicts_with = "nodes")]
    all: bool,
    #[command(flatten)]
    profile: ProfileOption,
    /// The folder of the out tree, which is DIR/CLUSTER
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
    /// The vendor's ISO, from which to make a boot ISO that runs or installs the node
    #[arg(long, value_name = "ISO", value_hint = ValueHint::FilePath)]
    from: Option<Utf8PathBuf>,
    /// The path of the file or device to write, for one node
    #[arg(long, value_name = "FILE", conflicts_with = "all", value_hint = ValueHint::FilePath)]
    to: Option<Utf8PathBuf>,
    /// Replace a file that remuda didn't write for this node, or write to a device
    #[arg(long)]
    force: bool,
    /// Include the image tarballs, as `delivery: drive` always does
    #[arg(long)]
    images: bool,
    /// Use a tree that was generated without image tarballs: the nodes get the images from you
    #[arg(long, conflicts_with = "images")]
    no_images: bool,
}

impl Iso {
    pub(super) fn run(self) -> Outcome {
        match self.action {
            Some(Action::Show { file }) => show(&file),
            None => self.make.run(),
        }
    }
}

impl Make {
    fn run(self) -> Outcome {
        if self.to.is_some() && self.nodes.len() > 1 {
            return Err(Failure::Usage(format!("`--to` is for one node, but there are {}", self.nodes.len())));
        }
        let (project, cluster) = ProfileArgs::from(self.profile).cluster(Some(&self.out))?;
        let root = project.root(&cluster.name);
        let mut names: Vec<&str> = match self.all {
            true => cluster.nodes.iter().map(|node| node.name.as_str()).collect(),
            false => self.nodes.iter().map(String::as_str).collect(),
        };
        names.sort_unstable();
        names.dedup();
        let nodes = names.iter().map(|name| project::node(&cluster, name)).collect::<Result<Vec<_>, _>>()?;
        generate::check(&cluster, &root, "no ISO is made of it")?;
        generate::check_packed(&cluster, &root, self.no_images)?;
        let sealed = Private::open(&root, SEALED).map_err(|error| unsealed(error, &root))?;
        // With this delivery, the nodes look for the tarballs there.
        let wants_images = self.images || cluster.images.delivery == Delivery::Drive;
        let (vendor, folder) = (self.from.as_deref().map(Vendor::open).transpose()?, root.join(IMAGES));
        let takes_images = |of: &&NodeRef| match &vendor {
            None => wants_images,
            Some(vendor) => vendor.images(**of, &folder).is_ok_and(|brings| !matches!(brings, Tarballs::Elsewhere)),
        };
        let arches: BTreeSet<Arch> = nodes.iter().filter(takes_images).map(|of| of.class.arch).collect();
        let images = arches.into_iter().map(|arch| Ok((arch, images(&cluster, &root, arch)?))).collect::<Result<_, Failure>>()?;
        let bar = bar("ISOs", 0);
        let maker = Maker {
            root: &root,
            sealed: &sealed,
            images,
            vendor,
            contexts: Contexts::new(&cluster),
            to: self.to.as_deref(),
            force: self.force,
            progress: &|bytes| bar.inc(bytes),
        };
        bar.set_length(nodes.iter().map(|of| maker.size(*of)).sum());
        let written = nodes.par_iter().try_for_each(|of| maker.make(*of));
        bar.finish_and_clear();
        written?;
        let place = self.to.unwrap_or_else(|| root.join(SEALED));
        let what = if self.from.is_some() { "boot ISO" } else { "config drive" };
        eprintln!("{place}: {} written; as secret as the configs in them", count(names.len(), what));
        Ok(())
    }
}

/// What all ISOs of a run have in common.
struct Maker<'m> {
    root: &'m Utf8Path,
    sealed: &'m Private,
    /// The tarballs of architectures whose nodes get them.
    images: BTreeMap<Arch, Vec<Utf8PathBuf>>,
    vendor: Option<Vendor>,
    contexts: Contexts,
    to: Option<&'m Utf8Path>,
    force: bool,
    progress: Progress<'m>,
}

impl Maker<'_> {
    fn make(&self, of: NodeRef) -> Outcome {
        let (cluster, name) = (of.cluster, of.node.name.as_str());
        let config = self.sealed.read(&format!("{name}/cloud-config.yml")).map_err(|error| unsealed(error, self.root))?;
        let suffix = if self.vendor.is_some() { "boot.iso" } else { "iso" };
        let path = self.to.map_or_else(|| self.sealed.folder().join(format!("{name}.{suffix}")), Utf8Path::to_owned);
        let ours = |path: &Utf8Path| made_for(path).is_some_and(|made| made == (cluster.name.clone(), of.node.name.clone()));
        let Some(vendor) = &self.vendor else {
            let images = self.images.get(&of.class.arch).map_or(&[][..], Vec::as_slice);
            let drive = Drive { cluster: &cluster.name, node: name, config: &config, images };
            return Ok(iso::write(&drive, Target::open(&path, self.force, ours)?, &path, self.progress)?);
        };
        let folder = self.root.join(IMAGES);
        let brings = vendor.images(of, &folder);
        let brings = brings.map_err(|problem| Failure::world(format!("no boot ISO for {name}: {problem}")))?;
        let mut found = Diagnostics::default();
        let node = node::lower(of, &self.contexts, &mut found);
        let source = Customized { of, node: &node, config: &config, images: &brings, folder: &folder, scratch: self.sealed.folder() };
        Ok(vendor.customize(&source, Target::open(&path, self.force, ours)?, &path, self.progress)?)
    }

    /// The approximate number of bytes for a node.
    fn size(&self, of: NodeRef) -> u64 {
        let images = media::archives(of.cluster, of.class.arch).iter().map(|image| image.size).sum();
        let vendor = self.vendor.as_ref().map_or(0, |vendor| vendor.size);
        vendor + if self.images.contains_key(&of.class.arch) { images } else { 0 }
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn made_for(path: &Utf8Path) -> Option<(String, String)> {
    iso::Iso::open(path).ok()?.made_for
}

/// The tarballs of nodes with this architecture, which must exist, and be what their names say.
pub(super) fn images(cluster: &Cluster, root: &Utf8Path, arch: Arch) -> Result<Vec<Utf8PathBuf>, Failure> {
    let archives = media::archives(cluster, arch);
    let folder = root.join(IMAGES);
    let is_whole =
        |archive: &&Archive| folder.join(&archive.file).metadata().is_ok_and(|there| there.is_file() && there.len() == archive.size);
    if archives.is_empty() || !archives.iter().all(is_whole) {
        return Err(Failure::world(format!(
            "the image tarballs for {arch} aren't all in {folder}; run `remuda gen` where the components are"
        )));
    }
    let whole = |archive: &&Archive| {
        let path = folder.join(&archive.file);
        let mut file = fs_err::File::open(&path).map_err(MediaError::io("reading", &path))?;
        let hash = Hasher::sha256().all(&mut file).map_err(MediaError::io("reading", &path))?;
        match hash.hex() == archive.sha256 {
            true => Ok(path),
            false => Err(Failure::world(format!(
                "{path} isn't what its name says: it was damaged, and a node would refuse it\nhelp: delete it, and run `remuda gen` where the components are"
            ))),
        }
    };
    archives.par_iter().map(whole).collect()
}

pub(super) fn unsealed(error: PrivateError, root: &Utf8Path) -> Failure {
    let help = match &error {
        PrivateError::Tree(_) => "",
        PrivateError::Changed(_) => "; a machine would boot from an unknown config. Run `remuda seal`",
        PrivateError::Missing(_) | PrivateError::Behind(_) => "; a machine boots from a sealed config. Run `remuda seal` where the seed is",
    };
    Failure::world(format!("{root} can't be used: {error}{help}"))
}

/// Warns of ISOs that are older than the tree, because they aren't generated with it.
pub(super) fn say_stale(cluster: &Cluster, root: &Utf8Path) {
    let sealed = root.join(SEALED);
    let stale = iso::stale(&sealed, &cluster.images.archives);
    for (file, problem) in stale.iter().take(10) {
        eprintln!("{sealed}/{file}: {problem}");
    }
    match stale.len() {
        0 => {}
        more @ 11.. => eprintln!("{sealed}: and {} more; run `remuda iso --all`", more - 10),
        _ => eprintln!("a machine that boots from it gets its old content; run `remuda iso` again, or remove it"),
    }
}

fn show(file: &Utf8Path) -> Outcome {
    let iso = iso::Iso::open(file)?;
    let mut page = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(page, "{name:<10} {value}");
    };
    line("label", &iso.label);
    match &iso.made_for {
        Some((cluster, node)) => line("made for", &format!("{node} of cluster {cluster}, by remuda")),
        None => line("made for", "unknown: remuda didn't make it"),
    }
    line("boots", &if iso.boots.is_empty() { "not by itself".to_owned() } else { iso.boots.join(", ") });
    match iso.read(iso::USER_DATA)? {
        Some(config) => line("config", &format!("{} bytes, SHA-256 {}", config.len(), crate::terms::sha256(&config))),
        None => line("config", &format!("none at {}", iso::USER_DATA)),
    }
    for (name, size) in iso.list(iso::IMAGES)? {
        line("image", &format!("{name}, {size} bytes"));
    }
    for (name, _) in iso.list(media::FOLDER)?.into_iter().filter(|(name, _)| name.ends_with(".cpio.gz")) {
        for (file, size) in iso.overlay(&format!("{}/{name}", media::FOLDER))? {
            line("initrd", &format!("/{file}, {size} bytes"));
        }
    }
    print(&page)
}
