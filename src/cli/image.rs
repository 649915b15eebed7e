//! `remuda image`

use super::bar::{Bar, bar};
use super::project::{ImageArgs, NetworkArgs, ProfileArgs};
use super::{Failure, Format, Outcome, print};
use crate::build::{self, Bundled, BundledSource, IMAGES, ImageSources, Wanter};
use crate::image::{self, Blob, Lock, PushedArchive, Registry, Store};
use crate::terms::Delivery;
use anyhow::anyhow;
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand, ValueHint};
use serde_json::json;

/// Component images
#[derive(Debug, Subcommand)]
pub(super) enum ImageVerb {
    Build(Build),
    Fetch(Fetch),
    Push(Push),
    List(List),
    Verify(Verify),
    Diff(Diff),
}

impl ImageVerb {
    pub(super) fn format(&self) -> Format {
        match self {
            Self::Build(verb) => verb.source.format,
            Self::Fetch(verb) => verb.source.format,
            Self::Push(verb) => verb.source.format,
            Self::List(verb) => verb.source.format,
            Self::Verify(verb) => verb.source.format,
            Self::Diff(_) => Format::Text,
        }
    }

    pub(super) fn run(self) -> Outcome {
        match self {
            Self::Build(verb) => verb.run(),
            Self::Fetch(verb) => verb.run(),
            Self::Push(verb) => verb.run(),
            Self::List(verb) => verb.run(),
            Self::Verify(verb) => verb.run(),
            Self::Diff(verb) => verb.run(),
        }
    }
}

/// Pack the component images into OUT/CLUSTER/images
///
/// Writes a tarball for `docker load` for system-docker and one for user Docker, for each
/// architecture among the nodes. Files from URLs and registries are those in the lock; those that
/// the cache doesn't have are fetched.
#[derive(Debug, Args)]
pub(super) struct Build {
    #[command(flatten)]
    pub source: ProfileArgs,
    /// The folder of the out tree, which is DIR/CLUSTER
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
    #[command(flatten)]
    images: ImageArgs,
}

impl Build {
    fn run(self) -> Outcome {
        let (mut project, draft) = self.source.draft(Some(&self.out))?;
        let (roots, network) = (self.images.roots(&project.paths), self.images.network.of(&draft));
        let (lock, store) = (project.pinned(&draft)?, Store::of_user()?.beside(&roots.components));
        let sources = ImageSources { roots: &roots, lock: &lock, store: &store, network: &network, texts: &project.sources };
        build::pack(draft.images(), &sources, &project.root(draft.name()).join(IMAGES), &Bar::default())?;
        Ok(())
    }
}

/// Fetch everything in the lock into the cache
///
/// Fetches several files at a time, and continues downloads that broke off. Nothing counts before
/// its digest is checked. With `--to DIR`, DIR gets all of it too: carry it to a machine without a
/// network, and use it there as `--components DIR`.
#[derive(Debug, Args)]
pub(super) struct Fetch {
    #[command(flatten)]
    pub source: ProfileArgs,
    /// Also fill this folder, for a machine without a network
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    to: Option<Utf8PathBuf>,
    #[command(flatten)]
    images: ImageArgs,
}

impl Fetch {
    fn run(self) -> Outcome {
        let (store, mut project) = (Store::of_user()?, self.source.open(None)?);
        let charts = project.lock.clone().unwrap_or_default();
        build::fetch(&charts, &project.chart_needs(), &store, &self.images.network.access(), &project.sources, &Bar::default())?;
        let draft = project.draft()?;
        self.source.warn(&mut project);
        let lock = project.pinned(&draft)?;
        let needs = project.needs(&draft);
        build::fetch(&lock, &needs, &store, &self.images.network.of(&draft), &project.sources, &Bar::default())?;
        let blobs = lock.blobs(&needs);
        let size: u64 = blobs.iter().map(|(_, blob)| blob.size).sum();
        eprintln!("{}: all {} files are in the cache, {} MB", store.root(), blobs.len(), size / 1_000_000);
        if let Some(folder) = &self.to {
            blobs.iter().try_for_each(|(_, blob)| store.carry(blob, folder))?;
            build::carry(draft.images(), &self.images.roots(&project.paths), folder)?;
            eprintln!("{folder}: has them too; where there is no network, use `--components` with this folder, and `--offline`");
        }
        Ok(())
    }
}

/// Push the packed images to the registry that the nodes pull from
///
/// For `images: {delivery: registry, registry: HOST/PATH}`: run `remuda gen` first. Layers that the
/// registry already has aren't sent again. The login is the one of `docker login` or `skopeo
/// login`.
#[derive(Debug, Args)]
pub(super) struct Push {
    #[command(flatten)]
    pub source: ProfileArgs,
    /// The folder of the out tree, which is DIR/CLUSTER
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
}

impl Push {
    fn run(self) -> Outcome {
        if self.network.offline {
            return Err(Failure::Usage("`--offline` forbids to push".to_owned()));
        }
        let (project, draft) = self.source.draft(Some(&self.out))?;
        let delivery = draft.images().delivery;
        if delivery != Delivery::Registry {
            return Err(Failure::Usage(format!("with `delivery: {delivery}` no node pulls images, so there is no registry to push to")));
        }
        let root = project.root(draft.name());
        let client = self.network.client();
        let (registry, store) = (Registry::to_push(&client, draft.images().insecure.clone()), Store::of_user()?);
        for archive in project.packed(&draft)?.archives {
            let path = root.join(IMAGES).join(&archive.file);
            let source = PushedArchive::open(&path, &store)?;
            let bar = bar(archive.engine.as_str(), source.size());
            let pushed = registry.push(&source, archive.arch.as_str(), &|more| bar.inc(more));
            bar.finish_and_clear();
            for (name, digest) in pushed.map_err(|error| anyhow!("{path} can't be pushed: {error}"))? {
                if archive.images.values().all(|known| *known != digest) {
                    return Err(Failure::world(format!(
                        "{path} isn't the tarball with which {root} was generated; run `{}`",
                        project.paths.command("gen")
                    )));
                }
                eprintln!("{name} {digest}");
            }
        }
        Ok(())
    }
}

/// Show every image of the cluster, who wants it, and what it is made of
///
/// The digest is the image's in a registry, once it is packed. The size is that of all that it is made of, as it
/// is fetched.
/// Exits with 3 if anything is missing.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    pub source: ProfileArgs,
    /// The folder of the out tree, which is DIR/CLUSTER
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
    #[command(flatten)]
    images: ImageArgs,
}

impl List {
    fn run(self) -> Outcome {
        let (project, draft) = self.source.draft(Some(&self.out))?;
        let lock = project.lock.clone().unwrap_or_default();
        let roots = self.images.roots(&project.paths);
        let store = Store::of_user()?.beside(&roots.components);
        let archives = project.packed_so_far(&draft)?.archives;
        let bundle = build::bundle(draft.unpacked(), &archives, &project.sources, &lock, &store, &roots);
        match self.source.format {
            Format::Text => print(&bundle.iter().map(page).collect::<String>())?,
            Format::Json => print(&format!("{:#}\n", json!({ "images": bundle.iter().map(value).collect::<Vec<_>>() })))?,
        }
        let sources = bundle.iter().flat_map(|one| &one.sources);
        let (all, absent) = (sources.clone().count(), sources.filter(|source| !source.state.is_there()).count());
        if absent > 0 {
            eprintln!(
                "{absent} of {all} sources are missing: `{}` pins and fetches what comes from elsewhere; scripts/components makes the programs",
                project.paths.command("lock")
            );
            return Err(Failure::Missing);
        }
        Ok(())
    }
}

/// An image of the bundle, for a person.
fn page(one: &Bundled) -> String {
    let (spec, engine) = (&one.image.spec, one.image.engine);
    let size = one.size().map(|size| format!(", {size} bytes")).unwrap_or_default();
    let digest = one.digest.as_ref().map_or("not packed".to_owned(), ToString::to_string);
    let mut page = format!("{}\n  {engine}, {}{size}, {digest}\n", spec.name, spec.arch);
    let wanted: Vec<String> = one.wanted_by.iter().map(ToString::to_string).collect();
    let nobody = wanted.is_empty().then(|| "nobody".to_owned());
    wanted.into_iter().chain(nobody).for_each(|who| page.push_str(&format!("  for {who}\n")));
    for BundledSource { state, size, name } in &one.sources {
        let size = size.map(|size| size.to_string()).unwrap_or_default();
        page.push_str(&format!("  {:<15} {size:>12}  {name}\n", state.as_str()));
    }
    page
}

/// An image of the bundle, for a program.
fn value(one: &Bundled) -> serde_json::Value {
    let who = |wanter: &Wanter| match wanter {
        Wanter::Service(name) => json!({ "service": name }),
        Wanter::Addon(name) => json!({ "addon": name }),
        Wanter::File(path) => json!({ "path": path }),
        Wanter::Object { title, file, line } => json!({ "object": title, "file": file, "line": line }),
    };
    let source = |BundledSource { state, size, name }: &BundledSource| json!({ "state": state.as_str(), "size": size, "source": name });
    json!({
        "image": one.image.spec.name,
        "component": one.image.component,
        "engine": one.image.engine.as_str(),
        "arch": one.image.spec.arch.as_str(),
        "digest": one.digest.as_ref().map(|digest| digest.as_str()),
        "size": one.size(),
        "wanted_by": one.wanted_by.iter().map(who).collect::<Vec<_>>(),
        "sources": one.sources.iter().map(source).collect::<Vec<_>>(),
    })
}

/// Hash the lock's files in the cache again
///
/// Removes files that don't match their hash; `remuda image fetch` fetches them again. With
/// `--all`, checks everything in the cache.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    pub source: ProfileArgs,
    /// Check everything in the cache
    #[arg(long)]
    all: bool,
}

impl Verify {
    fn run(self) -> Outcome {
        let store = Store::of_user()?;
        let (blobs, command): (Vec<Blob>, _) = if self.all {
            (store.all(), "remuda image fetch".to_owned())
        } else {
            let (mut project, draft) = self.source.draft(None)?;
            let lock: Lock = project.pinned(&draft)?;
            let needs = project.needs(&draft);
            (lock.blobs(&needs).into_iter().map(|(_, blob)| blob).collect(), project.paths.command("image fetch"))
        };
        let bar = bar("hashing", blobs.iter().map(|blob| blob.size).sum());
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
        Err(Failure::world(format!("run `{command}` to fetch what is missing")))
    }
}

/// Make tarballs of only the layers that the nodes don't have yet
///
/// For sites behind thin lines. OLD is what the nodes have, NEW what they must get: an out tree, its
/// folder of images, or one tarball. Each new tarball becomes one of the same name in DIR, without
/// the layers of the old one. Put it where the new one would go. An engine that lacks a layer of OLD
/// refuses it as a whole.
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The out tree, folder or tarball that the nodes have
    #[arg(value_hint = ValueHint::AnyPath)]
    old: Utf8PathBuf,
    /// The one that they must get
    #[arg(value_hint = ValueHint::AnyPath)]
    new: Utf8PathBuf,
    /// The folder of the smaller tarballs
    #[arg(long, value_name = "DIR", default_value = "delta", value_hint = ValueHint::DirPath)]
    to: Utf8PathBuf,
}

impl Diff {
    fn run(self) -> Outcome {
        let (store, old, new) = (Store::of_user()?, tarballs(&self.old)?, tarballs(&self.new)?);
        fs_err::create_dir_all(&self.to)?;
        for path in &new {
            let name = path.file_name().unwrap_or_default();
            let earlier: Vec<&Utf8PathBuf> = old.iter().filter(|old| self.old.is_file() || stem(old) == stem(path)).collect();
            if earlier.iter().any(|old| old.file_name() == Some(name)) {
                eprintln!("{name}: unchanged");
                continue;
            }
            if earlier.is_empty() {
                eprintln!("{name}: {} has no tarball like it; the nodes need the whole one", self.old);
                continue;
            }
            let to = self.to.join(name);
            if to.canonicalize().is_ok_and(|to| path.canonicalize().is_ok_and(|path| path == to)) {
                return Err(Failure::Usage(format!("{to} is the new tarball itself; name another folder with `--to`")));
            }
            let earlier = earlier.into_iter().map(|old| PushedArchive::open(old, &store)).collect::<Result<Vec<_>, _>>()?;
            let new = PushedArchive::open(path, &store)?;
            let temporary = tempfile::Builder::new().prefix(".delta-").suffix(".tmp").tempfile_in(&self.to)?;
            let delta = image::delta(&earlier, &new, temporary.reopen()?, name.ends_with(".gz"))?;
            fs_err::set_permissions(temporary.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
            temporary.persist(&to).map_err(|error| error.error)?;
            let whole = fs_err::metadata(path)?.len();
            eprintln!("{to}: {:.1} MB instead of {:.1} MB", delta.size as f64 / 1e6, whole as f64 / 1e6);
            for (name, brought, layers) in delta.images.iter().filter(|(_, brought, _)| *brought > 0) {
                eprintln!("  {name}: {brought} of {layers} layers");
            }
        }
        Ok(())
    }
}

/// The packed tarballs of an out tree or a folder, or the one at the path itself.
fn tarballs(path: &Utf8Path) -> Result<Vec<Utf8PathBuf>, Failure> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let folder = Some(path.join(IMAGES)).filter(|inner| inner.is_dir()).unwrap_or_else(|| path.to_owned());
    let mut found = Vec::new();
    for entry in fs_err::read_dir(&folder)? {
        let entry = Utf8PathBuf::try_from(entry?.path()).map_err(anyhow::Error::from)?;
        if !entry.file_name().unwrap_or_default().starts_with('.')
            && (entry.as_str().ends_with(".tar") || entry.as_str().ends_with(".tar.gz"))
        {
            found.push(entry);
        }
    }
    found.sort();
    if found.is_empty() { Err(Failure::Usage(format!("{folder} has no tarballs"))) } else { Ok(found) }
}

/// The engine and architecture in a tarball's name: `ENGINE-ARCH`.
fn stem(path: &Utf8Path) -> &str {
    path.file_name().and_then(|name| name.rsplit_once('-')).map_or("", |(stem, _)| stem)
}
