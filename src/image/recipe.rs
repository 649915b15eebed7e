//! What an image is made from, as far as the repository says it. An out tree keeps it, so that a later run can tell
//! whether the archives that were packed then still hold what the profile says now, also where the components aren't.

use super::lock::Lock;
use super::{Base, Content, FileSource, ImageError, ImageSpec, Local, Place, Root, Roots, ready};
use crate::disk::Doing;
use crate::terms::{Digest, Hasher};
use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a cluster's images are made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MadeFrom {
    /// Image and architecture, like `remuda/etcd:3.4.23 amd64` → a digest of all that the line, the profile and the
    /// lock say of its content.
    pub images: BTreeMap<String, Digest>,
    /// The files and folders beside the profile that are in an image → a digest of their content. One that isn't
    /// there is left out: it may not be in git.
    pub files: BTreeMap<String, Digest>,
}

impl MadeFrom {
    /// What these images are made from.
    pub fn of<'s>(specs: impl Iterator<Item = &'s ImageSpec>, lock: &Lock, roots: &Roots) -> Result<Self, ImageError> {
        let mut made = Self::default();
        for spec in specs {
            made.images.insert(key(spec), Digest::of(recipe(spec, lock).to_string().as_bytes()));
            for local in beside(spec) {
                let path = roots.path(local);
                if !made.files.contains_key(local.path.as_str()) && path.exists() {
                    made.files.insert(local.path.to_string(), content(&path)?);
                }
            }
        }
        Ok(made)
    }

    /// The first thing in an image that isn't as it was when `earlier` was noted, for a message.
    pub fn change(&self, spec: &ImageSpec, earlier: &Self) -> Option<String> {
        let key = key(spec);
        if self.images.get(&key) != earlier.images.get(&key) {
            return Some("is made of something else now".to_owned());
        }
        let is_other = |path: &&str| self.files.get(*path).zip(earlier.files.get(*path)).is_some_and(|(now, then)| now != then);
        let mut changed = beside(spec).map(|local| local.path.as_str()).filter(is_other);
        changed.next().map(|path| format!("has {path} in it, which has changed"))
    }

    /// The same, with what `earlier` knew of files that aren't there now.
    #[must_use]
    pub fn and(mut self, earlier: &Self, specs: &[&ImageSpec]) -> Self {
        for path in specs.iter().flat_map(|spec| beside(spec)).map(|local| local.path.as_str()) {
            if let Some(digest) = earlier.files.get(path) {
                self.files.entry(path.to_owned()).or_insert_with(|| digest.clone());
            }
        }
        self
    }
}

/// What of the image lies beside the profile.
fn beside(spec: &ImageSpec) -> impl Iterator<Item = &Local> {
    spec.locals().filter(|local| local.root == Root::Profile)
}

fn key(spec: &ImageSpec) -> String {
    format!("{} {}", spec.name, spec.arch)
}

fn recipe(spec: &ImageSpec, lock: &Lock) -> Value {
    let source = |source: &FileSource| json!({ "place": place(&source.place, lock), "member": source.member });
    let from = spec.from.as_ref().map(|base| match base {
        Base::Rootfs(rootfs) => json!({ "rootfs": source(rootfs) }),
        Base::Archive { source: archive, image } => json!({ "archive": source(archive), "image": image }),
        Base::Layout { path, image, .. } => json!({ "layout": local(path), "image": image }),
        Base::Debian { packages, layout, .. } => {
            json!({ "packages": packages.iter().map(|package| source(&package.source)).collect::<Vec<_>>(), "layout": layout })
        }
        Base::Registry { reference, .. } => {
            let pinned = lock.image(reference, spec.arch).map(|image| image.manifest.digest.as_str());
            json!({ "registry": reference.to_string(), "pinned": pinned })
        }
    });
    let files: BTreeMap<&String, Value> = spec.files.iter().map(|(path, file)| (path, source(file))).collect();
    json!({ "from": from, "files": files, "entrypoint": spec.entrypoint })
}

fn place(place: &Place, lock: &Lock) -> Value {
    match place {
        Place::Local(path) => local(path),
        Place::Url { url, digest } => {
            let pinned = digest.as_ref().or_else(|| lock.file(url).map(|file| &file.digest));
            json!({ "url": url, "pinned": pinned.map(Digest::as_str) })
        }
    }
}

fn local(local: &Local) -> Value {
    let root = match local.root {
        Root::Components => "components",
        Root::Profile => "profile",
    };
    json!({ root: local.path.as_str() })
}

/// A digest of a file, or of all in a folder: paths, contents, links, and what may be run.
fn content(path: &Utf8Path) -> Result<Digest, ImageError> {
    if !path.is_dir() {
        return file(path);
    }
    let mut entries = BTreeMap::new();
    ready::folder(path, "", "", &mut entries)?;
    let mut list = String::new();
    for (name, entry) in entries {
        let what = match entry {
            Content::File { from, mode } => format!("{mode:o} {}", file(&from.path)?),
            Content::Symlink(to) => format!("link {to}"),
            Content::Folder => "folder".to_owned(),
        };
        list.push_str(&format!("{what} {name}\n"));
    }
    Ok(Digest::of(list.as_bytes()))
}

fn file(path: &Utf8Path) -> Result<Digest, ImageError> {
    let mut file = fs_err::File::open(path).doing("reading", path)?;
    Ok(Hasher::sha256().all(&mut file).doing("reading", path)?)
}
