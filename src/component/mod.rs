//! A component's vocabulary: what its image is made of, and the sources of that.
//!
//! A release line's components and a profile's changes to them (`images.components`) have this one
//! type. So they merge and are checked in the same way, and a diagnostic points to the file with
//! the mistake.

mod source;

pub use source::{Base, ComponentSource, Digests, Place};

use crate::service::{Command, Text};
use crate::terms::EngineName;
use crate::yaml::{Given, Map, record};

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
    }
}
