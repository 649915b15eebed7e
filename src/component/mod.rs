//! A component's vocabulary: what its image is made of, and the sources of that.
//!
//! A release line's components and a profile's changes to them (`images.components`) have this one
//! type. So they merge and are checked in the same way, and a diagnostic points to the file with
//! the mistake.

pub mod rootfs;
mod source;

pub use source::{Base, ComponentSource, Place};

use crate::service::{Command, Text};
use crate::terms::{EngineName, Provenance};
use crate::yaml::{Field, Given, Map, record};

record! {
    /// A component: what its image is made of.
    pub struct ComponentImage {
        hints: &[
            ("layers", "write `from` for the base, and `files` for what is put on top"),
            ("image", "write `from: {image: REGISTRY/NAME:TAG}`; `name` is the image's name on the nodes"),
            ("url", "write `files: {/PATH/IN/IMAGE: {url: …}}`, or `from: {rootfs: {url: …}}`"),
            ("rootfs", "write `from: {rootfs: …}`")
        ];
        /// The component's version: the tag of its image, and `version` in templates.
        pub version: Given<Text>,
        /// The engine that runs it: `system-docker`, `docker` for user Docker, or `containerd` for pods.
        pub engine: Given<EngineName>,
        /// The image's name on the nodes. Default remuda/COMPONENT:VERSION.
        pub name: Given<Text>,
        /// The base below `files`: a root filesystem or an image. It is one value: a stronger level
        /// replaces it as a whole.
        pub from: Given<Base>,
        /// What is put on top, by absolute path in the image: a file, which becomes executable, or a folder.
        pub files: Map<Given<ComponentSource>>,
        /// The program that the image runs, if it isn't the base image's own.
        pub entrypoint: Given<Command>,
        /// What replaces `from` and entries of `files` with `images.source: released`.
        pub released: Released,
    }
}

record! {
    /// Where a component's project releases it.
    pub struct Released {
        /// Instead of the component's `from`.
        pub from: Given<Base>,
        /// On top of the component's `files`, by path; `~` removes one.
        pub files: Map<Given<ComponentSource>>,
    }
}

impl ComponentImage {
    /// Decides what it is made of in a cluster whose components are of this provenance.
    pub fn decide(&mut self, provenance: Provenance) {
        let released = std::mem::take(&mut self.released);
        if provenance == Provenance::Released {
            self.from.merge(&released.from);
            self.files.merge(&released.files);
        }
    }
}
