//! `remuda image`, and what `gen` does with images.

use super::generate::IMAGES;
use super::stock::{self, Larder, Supplies};
use super::{Failure, Outcome, Source, compile, print};
use crate::image::{self as images, Archive, Blob, Image as Content, Lock, Pantry, Ready, Registry, Roots, Store};
use crate::plan::{self, Cluster};
use crate::terms::{Arch, Delivery, EngineName};
use crate::tree;
use anyhow::anyhow;
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand, ValueHint};
use std::collections::BTreeMap;

/// Component images
#[derive(Debug, Subcommand)]
pub enum Image {
    /// Pack the component images into OUT/CLUSTER/images
    Build(Build),
    /// Fetch all that the lock names into the cache
    Fetch(Fetch),
    /// Push the packed images to the registry that the nodes pull from
    Push(Push),
    /// Show what the images are made from, its size, and what is missing
    List(List),
    /// Hash everything in the cache that the lock names again
    Verify(Verify),
}

impl Image {
    pub fn run(self) -> Outcome {
        match self {
            Self::Build(verb) => verb.run(),
            Self::Fetch(verb) => verb.run(),
            Self::Push(verb) => verb.run(),
            Self::List(verb) => verb.run(),
            Self::Verify(verb) => verb.run(),
        }
    }
}

/// Pack the component images into OUT/CLUSTER/images
///
/// One `docker load`-able tarball for system-docker and one for user Docker, for each architecture among
/// the nodes. What comes from URLs and registries is what the lock says; what of it isn't in the cache
/// is fetched.
#[derive(Debug, Args)]
pub struct Build {
    #[command(flatten)]
    source: Source,
    /// Where the out tree is: OUT/CLUSTER
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
    #[command(flatten)]
    supplies: Supplies,
}

impl Build {
    fn run(self) -> Outcome {
        let (cluster, _, sources) = compile::cluster(&self.source)?;
        let larder = self.supplies.larder(&self.source, stock::lock(&self.source, &cluster, &sources, true)?);
        if let Some(missing) = missing(&cluster, &larder.roots) {
            return Err(Failure::World(anyhow!(missing)));
        }
        pack(&cluster, &larder, &self.out.join(&cluster.name)).map(|_| ())
    }
}

/// Fetch all that the lock names into the cache
///
/// Several things at a time; what broke off goes on where it was. Nothing counts before its digest was
/// checked.
#[derive(Debug, Args)]
pub struct Fetch {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    network: stock::Network,
}

impl Fetch {
    fn run(self) -> Outcome {
        let (cluster, _, sources) = compile::cluster(&self.source)?;
        let lock = stock::lock(&self.source, &cluster, &sources, true)?;
        let needs = stock::needs(&cluster);
        let store = Store::of_user()?;
        stock::fetch(&lock, &needs, &store, &self.network, &cluster)?;
        let blobs = lock.blobs(&needs);
        let size: u64 = blobs.iter().map(|(_, blob)| blob.size).sum();
        eprintln!("{}: all {} things are there, {} MB", store.root(), blobs.len(), size / 1_000_000);
        Ok(())
    }
}

/// Push the packed images to the registry that the nodes pull from
///
/// For `images: {delivery: registry, registry: HOST/PATH}`: run `remuda gen` first. What the registry has
/// already isn't sent again. The login is the one that `docker login` or `skopeo login` wrote.
#[derive(Debug, Args)]
pub struct Push {
    #[command(flatten)]
    source: Source,
    /// Where the out tree is: OUT/CLUSTER
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
    #[command(flatten)]
    network: stock::Network,
}

impl Push {
    fn run(self) -> Outcome {
        let (cluster, ..) = compile::cluster(&self.source)?;
        let delivery = cluster.images.delivery;
        if delivery != Delivery::Registry {
            return Err(Failure::World(anyhow!("with `delivery: {delivery}` no node pulls them; there is no registry to push to")));
        }
        if self.network.offline {
            return Err(Failure::World(anyhow!("--offline leaves nothing that could be pushed to")));
        }
        let root = self.out.join(&cluster.name);
        let client = self.network.client();
        let registry = Registry::to_push(&client, cluster.images.insecure.clone());
        for archive in archives(&cluster, None, &root)? {
            let path = root.join(IMAGES).join(&archive.file);
            let source = images::Pushed::open(&path)?;
            let bar = stock::bar(archive.engine.as_str(), source.size());
            let pushed = registry.push(&source, archive.arch.as_str(), &|more| bar.inc(more));
            bar.finish_and_clear();
            for (name, digest) in pushed.map_err(|error| anyhow!("{path} can't be pushed: {error}"))? {
                if archive.images.values().all(|known| *known != digest) {
                    return Err(Failure::World(anyhow!(
                        "{path} is not what {root} was generated with; run `{}`",
                        stock::command(&self.source, "gen")
                    )));
                }
                eprintln!("{name} {digest}");
            }
        }
        Ok(())
    }
}

/// Show what the images are made from, its size, and what is missing
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    supplies: Supplies,
}

impl List {
    fn run(self) -> Outcome {
        let (cluster, ..) = compile::cluster(&self.source)?;
        let lock = stock::read_lock(&self.source)?.unwrap_or_default();
        let store = Store::of_user()?;
        let needs = stock::needs(&cluster);
        let mut rows: Vec<[String; 3]> = Vec::new();
        for need in &needs {
            if lock.check(need).is_err() {
                rows.push(["not in the lock".to_owned(), String::new(), need.to_string()]);
                continue;
            }
            for (_, Blob { digest, size }) in lock.blobs(std::slice::from_ref(need)) {
                let is_there = store.has(&Blob { digest: digest.clone(), size });
                let state = if is_there { "in the cache" } else { "missing" };
                rows.push([state.to_owned(), size.to_string(), format!("{need} {digest}")]);
            }
        }
        let roots = self.supplies.roots(&self.source);
        for path in images::locals(contents(&cluster), &roots) {
            let there = path.metadata();
            let size = there.as_ref().map(|there| if there.is_file() { there.len().to_string() } else { String::new() });
            let state = if there.is_ok() { "here" } else { "missing" };
            rows.push([state.to_owned(), size.unwrap_or_default(), path.into_string()]);
        }
        match self.source.format {
            super::Format::Text => {
                print(&rows.iter().map(|[state, size, what]| format!("{state:<15} {size:>12}  {what}\n")).collect::<String>())
            }
            super::Format::Json => {
                let rows: Vec<_> = rows
                    .iter()
                    .map(|[state, size, what]| serde_json::json!({ "state": state, "size": size.parse::<u64>().ok(), "source": what }))
                    .collect();
                print(&format!("{:#}\n", serde_json::json!({ "sources": rows })))
            }
        }
    }
}

/// Hash everything in the cache that the lock names again
///
/// What is no more what its name says is removed; `remuda image fetch` gets it anew. With --all, everything
/// in the cache, whoever needs it.
#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    source: Source,
    /// Everything in the cache
    #[arg(long)]
    all: bool,
}

impl Verify {
    fn run(self) -> Outcome {
        let store = Store::of_user()?;
        let blobs: Vec<Blob> = if self.all {
            store.all()
        } else {
            let (cluster, _, sources) = compile::cluster(&self.source)?;
            let lock = stock::lock(&self.source, &cluster, &sources, true)?;
            lock.blobs(&stock::needs(&cluster)).into_iter().map(|(_, blob)| blob).collect()
        };
        let bar = stock::bar("hashing", blobs.iter().map(|blob| blob.size).sum());
        let (mut sound, mut absent, mut broken) = (0, Vec::new(), Vec::new());
        for blob in blobs {
            if !store.path(&blob.digest).exists() {
                absent.push(blob.digest);
            } else if store.has(&blob) && store.is_sound(&blob.digest)? {
                sound += 1;
            } else {
                store.remove(&blob.digest)?;
                broken.push(blob.digest);
            }
            bar.inc(blob.size);
        }
        bar.finish_and_clear();
        for digest in &absent {
            eprintln!("missing: {digest}");
        }
        for digest in &broken {
            eprintln!("damaged, removed: {digest}");
        }
        eprintln!("{}: {sound} sound, {} damaged, {} missing", store.root(), broken.len(), absent.len());
        if broken.is_empty() && absent.is_empty() {
            return Ok(());
        }
        Err(Failure::World(anyhow!("`{}` gets what is missing", stock::command(&self.source, "image fetch"))))
    }
}

/// The archives of a cluster: packed if there is a `larder` to pack them from; else those that the out
/// tree's manifest names.
pub fn archives(cluster: &Cluster, larder: Option<&Larder>, root: &Utf8Path) -> Result<Vec<plan::Archive>, Failure> {
    let problem = match larder {
        None => "no component is read with --check, --diff, --no-images and `seal`".to_owned(),
        Some(larder) => match missing(cluster, &larder.roots) {
            None => return pack(cluster, larder, root),
            Some(missing) => {
                eprintln!("no image tarballs: {missing}");
                "components are missing".to_owned()
            }
        },
    };
    let known = tree::manifest(root).and_then(|mut manifest| manifest.remove("archives"));
    let known: Vec<plan::Archive> = known.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
    if known.is_empty() && cluster.images.delivery.names_content() {
        return Err(Failure::World(anyhow!(
            "with `delivery: {}` each config names what is packed by its SHA-256, and that isn't known: {problem}, and {root} has no manifest that says.\nRun `remuda gen` once where the components are",
            cluster.images.delivery
        )));
    }
    Ok(known)
}

fn contents(cluster: &Cluster) -> impl Iterator<Item = &Content> {
    cluster.images.contents.iter().map(|image| &image.content)
}

/// What to say if components aren't there.
fn missing(cluster: &Cluster, roots: &Roots) -> Option<String> {
    let missing: Vec<String> =
        images::locals(contents(cluster), roots).into_iter().filter(|path| !path.exists()).map(|path| format!("  {path}")).collect();
    if missing.is_empty() {
        return None;
    }
    let components = &roots.components;
    Some(format!(
        "these components are missing:\n{}\nlooked for in {components}; `scripts/components -o {components}` makes them from source, `--components DIR` names another folder",
        missing.join("\n")
    ))
}

/// What goes into one archive, and the IDs that the lock wants.
#[derive(Default)]
struct Group<'a> {
    contents: Vec<&'a Content>,
    images: Vec<Ready>,
    ids: BTreeMap<String, crate::terms::Digest>,
}

/// Packs an archive for each engine and architecture.
fn pack(cluster: &Cluster, larder: &Larder, root: &Utf8Path) -> Result<Vec<plan::Archive>, Failure> {
    let Larder { roots, lock, network } = larder;
    let store = Store::of_user()?;
    stock::fetch(lock, &stock::needs(cluster), &store, network, cluster)?;
    let folder = root.join(IMAGES);
    let pantry = Pantry { roots, lock, store: &store };
    let mut groups: BTreeMap<(EngineName, Arch), Group> = BTreeMap::new();
    for image in &cluster.images.contents {
        let group = groups.entry((image.engine, image.content.arch)).or_default();
        if let Some(made) = lock.made(&image.component, image.content.arch) {
            group.ids.insert(image.content.name.clone(), made.id.clone());
        }
        group.contents.push(&image.content);
        group.images.push(pantry.ready(&image.content)?);
    }
    let mut archives = Vec::new();
    let stems: Vec<String> = groups.keys().map(|(engine, arch)| format!("{engine}-{arch}")).collect();
    for ((engine, arch), group) in groups {
        let bar = stock::bar(engine.as_str(), 0);
        let archive =
            images::pack(&group.images, &group.ids, &folder, &format!("{engine}-{arch}"), cluster.images.gzip, &mut |done, total| {
                bar.set_length(total);
                bar.set_position(done);
            });
        bar.finish_and_clear();
        let archive = archive?;
        bill(&archive, &folder, &group.contents, lock)?;
        say(&archive, &folder);
        let images = archive.images.into_iter().map(|image| (image.name, image.manifest)).collect();
        archives.push(plan::Archive { engine, arch, file: archive.file, size: archive.size, sha256: archive.sha256, images });
    }
    images::retire(&folder, &stems);
    Ok(archives)
}

/// Writes what is in an archive beside it; what is the same stays untouched.
fn bill(archive: &Archive, folder: &Utf8Path, contents: &[&Content], lock: &Lock) -> Outcome {
    let path = folder.join(images::bill_of(&archive.file));
    let bom = images::bom(archive, contents.iter().copied(), lock);
    if fs_err::read_to_string(&path).is_ok_and(|there| there == bom) {
        return Ok(());
    }
    stock::write(&path, &bom)
}

fn say(archive: &Archive, folder: &Utf8Path) {
    let state = if archive.unchanged { ", unchanged" } else { "" };
    eprintln!("{folder}/{}: {} images, {} MB{state}", archive.file, archive.images.len(), archive.size / 1_000_000);
}
