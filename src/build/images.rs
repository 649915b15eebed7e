//! A cluster's image archives: one for each engine and architecture, each with a bill of materials.

use super::{BuildError, NetworkAccess, Progress, SourceError, fetch};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Sources};
use crate::disk;
use crate::image::{self, ImageError, Known, Lock, Made, Materials, Ready, Root, Roots, Store};
use crate::plan::{Archive, ClusterImages};
use crate::terms::{Arch, Digest, EngineName};
use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// The places of everything that a cluster's images are made from.
pub struct ImageSources<'s> {
    /// The folders of local sources.
    pub roots: &'s Roots,
    /// What remote sources are pinned to.
    pub lock: &'s Lock,
    /// The cache of remote sources.
    pub store: &'s Store,
    /// How remote sources are fetched.
    pub network: &'s NetworkAccess,
    /// The texts that name them, for messages.
    pub texts: &'s Sources,
}

/// Local files that images need but that don't exist.
#[derive(Debug, thiserror::Error)]
#[error(
    "these components are missing in {components}:\n  {}\nRun {} to build them from source, or name another folder with `--components DIR`;\n`images: {{source: released}}` in the profile takes what their projects release; `gen --no-images` writes only the configs",
    .files.iter().map(|file| file.as_str()).collect::<Vec<_>>().join("\n  "), .commands.join(" and ")
)]
pub struct MissingComponents {
    /// Their paths.
    pub files: Vec<Utf8PathBuf>,
    /// The folder of components.
    pub components: Utf8PathBuf,
    /// The commands that build them.
    pub commands: Vec<String>,
}

/// The remote sources of images.
pub fn missing(images: &ClusterImages, roots: &Roots) -> Option<MissingComponents> {
    let files: Vec<Utf8PathBuf> = images.locals(roots).into_iter().filter(|path| !path.exists()).collect();
    let lacks = |spec: &&image::ImageSpec| spec.locals().any(|local| files.contains(&roots.path(local)));
    let arches = images.specs().filter(lacks).map(|spec| spec.arch);
    let commands = arches.collect::<BTreeSet<_>>().into_iter().map(|arch| match arch {
        Arch::Amd64 => format!("`scripts/components -o {}`", roots.components),
        Arch::Arm64 => format!("`scripts/components -o {} --arch {arch}`", roots.components),
    });
    let commands = commands.collect();
    (!files.is_empty()).then(|| MissingComponents { files, components: roots.components.clone(), commands })
}

/// Copies what comes from the components folder into another one, whole or not at all.
pub fn carry(images: &ClusterImages, roots: &Roots, to: &Utf8Path) -> Result<(), BuildError> {
    if let Some(missing) = missing(images, roots) {
        return Err(missing.into());
    }
    let locals = images.specs().flat_map(image::ImageSpec::locals).filter(|local| local.root == Root::Components);
    for path in locals.map(|local| &local.path).collect::<BTreeSet<_>>() {
        let (from, to) = (roots.components.join(path), to.join(path));
        copy(&from, &to).map_err(disk::DiskError::of("copying", from))?;
    }
    Ok(())
}

fn copy(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    if from.is_dir() {
        for entry in from.read_dir_utf8()? {
            let entry = entry?;
            copy(entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    let folder = disk::folder_of(to);
    std::fs::create_dir_all(folder)?;
    let whole = tempfile::NamedTempFile::new_in(folder)?;
    std::fs::copy(from, whole.path())?;
    whole.persist(to).map(|_| ()).map_err(|error| error.error)
}

/// The content of one archive, and the IDs that the lock requires.
#[derive(Default)]
struct Group<'a> {
    specs: Vec<&'a image::ImageSpec>,
    images: Vec<Ready>,
    ids: BTreeMap<String, Digest>,
}

/// Packs the images into `folder`, an archive for each engine and architecture, with its bill of materials.
pub fn pack(
    images: &ClusterImages,
    sources: &ImageSources,
    folder: &Utf8Path,
    progress: &dyn Progress,
) -> Result<Vec<Archive>, BuildError> {
    sources.refuse(sources.absent(images))?;
    if let Some(missing) = missing(images, sources.roots) {
        return Err(missing.into());
    }
    fetch(sources.lock, &images.needs(), sources.store, sources.network, sources.texts, progress)?;
    let (materials, mut found) = (sources.materials(), Diagnostics::default());
    let mut groups: BTreeMap<(EngineName, Arch), Group> = BTreeMap::new();
    for image in &images.contents {
        let group = groups.entry((image.engine, image.spec.arch)).or_default();
        if let Some(made) = sources.lock.made(&image.component, image.spec.arch) {
            group.ids.insert(image.spec.name.clone(), made.id.clone());
        }
        group.specs.push(&image.spec);
        match materials.ready(&image.spec) {
            Ok(ready) => group.images.push(ready),
            Err(error) => found.push(placed(error, images)?),
        }
    }
    sources.refuse(found)?;
    let stems: Vec<String> = groups.keys().map(|(engine, arch)| format!("{engine}-{arch}")).collect();
    let (mut archives, mut known) = (Vec::new(), Known::new());
    for ((engine, arch), group) in groups {
        progress.begin(engine.as_str(), 0);
        let stem = format!("{engine}-{arch}");
        let mut report = |done, total| progress.set(done, total);
        let packed = image::pack(&group.images, &group.ids, folder, &stem, images.gzip, &mut known, &mut report);
        progress.end();
        let packed = packed.or_else(|error| sources.refused(error, images))?;
        bill(&packed, folder, &group, sources.lock)?;
        let state = if packed.unchanged { ", unchanged" } else { "" };
        progress.say(&format!("{folder}/{}: {} images, {} MB{state}", packed.file, packed.images.len(), packed.size / 1_000_000));
        let images = packed.images.into_iter().map(|image| (image.name, image.manifest)).collect();
        archives.push(Archive { engine, arch, file: packed.file, size: packed.size, sha256: packed.sha256, images });
    }
    image::retire(folder, &stems);
    Ok(archives)
}

impl ImageSources<'_> {
    fn materials(&self) -> Materials<'_> {
        Materials { roots: self.roots, lock: self.lock, store: self.store }
    }

    /// The IDs of the images that are made only of pinned sources.
    pub fn ids(&self, images: &ClusterImages) -> Result<Vec<Made>, BuildError> {
        let pinned = images.contents.iter().filter(|one| one.spec.is_pinned());
        // One after the other: images have archives in common, which are unpacked once.
        let ready: Vec<_> = pinned.map(|one| (one, self.materials().ready(&one.spec))).collect();
        let ids: Vec<_> = ready.into_par_iter().map(|(one, ready)| (one, ready.and_then(|ready| image::id(&ready)))).collect();
        let made = ids.into_iter().map(|(one, id)| {
            let id = id.or_else(|error| self.refused(error, images))?;
            Ok(Made { component: one.component.clone(), arch: one.spec.arch, id })
        });
        made.collect()
    }

    /// The files beside the profile that images need but that don't exist.
    fn absent(&self, images: &ClusterImages) -> Diagnostics {
        let mut found = Diagnostics::default();
        let beside = images.specs().flat_map(|spec| spec.placed().map(move |named| (spec, named)));
        for (spec, (local, span)) in beside.filter(|(_, (local, _))| local.root == Root::Profile) {
            let path = self.roots.path(local);
            if !path.exists() {
                found.push(
                    Diagnostic::new(Code::ImageContent, span, format!("{}: {path} doesn't exist", spec.name))
                        .why("without it the image can't be packed, and no node has it")
                        .help("put it there, or correct the path"),
                );
            }
        }
        found
    }

    /// An image's error, where the profile or the line names what it is about.
    fn refused<T>(&self, error: ImageError, images: &ClusterImages) -> Result<T, BuildError> {
        let mut found = Diagnostics::default();
        found.push(placed(error, images)?);
        Err(self.wrong(found))
    }

    /// An error if anything was found.
    fn refuse(&self, found: Diagnostics) -> Result<(), BuildError> {
        if found.is_empty() { Ok(()) } else { Err(self.wrong(found)) }
    }

    fn wrong(&self, found: Diagnostics) -> BuildError {
        BuildError::Source(SourceError { found, sources: self.texts.clone() })
    }
}

/// An image's error at the line that names the image's source. One that isn't that line's fault stays an error.
fn placed(error: ImageError, images: &ClusterImages) -> Result<Diagnostic, ImageError> {
    let span = match &error {
        ImageError::Of { image, part, .. } => images.specs().find(|spec| spec.name == *image).and_then(|spec| spec.span_of(part)),
        _ => None,
    };
    match (span, error.explained()) {
        (Some(span), Some((why, help))) => Ok(Diagnostic::new(Code::ImageContent, span, error.to_string()).why(why).help(help)),
        _ => Err(error),
    }
}

/// Writes an archive's bill of materials next to it. An unchanged one stays untouched.
fn bill(archive: &image::Archive, folder: &Utf8Path, group: &Group, lock: &Lock) -> Result<(), BuildError> {
    let path = folder.join(image::bill_of(&archive.file));
    let bom = image::bom(archive, group.specs.iter().copied().zip(&group.images), lock);
    if fs_err::read_to_string(&path).is_ok_and(|there| there == bom) {
        return Ok(());
    }
    Ok(disk::write(&path, bom.as_bytes(), 0o644)?)
}
