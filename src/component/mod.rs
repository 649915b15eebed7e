//! A component's vocabulary: what its image is made of, and where that comes from.
//!
//! A release line's components and what a profile changes in them (`images.components`) are this one
//! type, so they merge and are checked alike, and a diagnostic points to whoever said it.

mod source;

pub use source::{Base, ComponentSource, Digests, Place};

use crate::service::{Command, Text};
use crate::terms::EngineName;
use crate::yaml::{Given, Map, record};

record! {
    /// A component: what its image is made of.
    pub struct ComponentImage {
        hints: &[
            ("layers", "it is `from`, what lies below, and `files`, what is put on top"),
            ("image", "it is `from: {image: REGISTRY/NAME:TAG}`; what the image is called on the nodes is `name`"),
            ("url", "it is `files: {/PATH/IN/IMAGE: {url: …}}`, or `from: {rootfs: {url: …}}`"),
            ("rootfs", "it is `from: {rootfs: …}`")
        ];
        /// Its version: the tag of its image, and `version` in templates.
        pub version: Given<Text>,
        /// The engine that runs it: `system-docker`, or `docker` for what the user's engine runs.
        pub engine: Given<EngineName>,
        /// What the image is called on the nodes. Default remuda/COMPONENT:VERSION.
        pub name: Given<Text>,
        /// What lies below `files`: a root filesystem or an image. One value: a stronger level's replaces it
        /// as a whole.
        pub from: Given<Base>,
        /// What is put on top, by absolute path in the image: a file, which becomes executable, or a folder.
        pub files: Map<Given<ComponentSource>>,
        /// The program that the image runs, where it isn't the base image's own.
        pub entrypoint: Given<Command>,
    }
}
