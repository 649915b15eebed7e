//! The words that several phases share: a processor, an engine, a role, how images reach a node, a digest.
//!
//! Each is a type that can hold only what is right. They lie below `profile`, `component` and `image`, which
//! all speak of them, and know none of those.

mod digest;
mod image_name;
mod word;

pub use digest::{Digest, Hasher, NoDigest, hex, sha256};
pub use image_name::{ImageName, NoImageName, is_repository_part};
pub(crate) use word::{schema, word_value};

word_value!(
    /// What a node is.
    Role {
        /// A member of the store.
        Etcd = "etcd",
        /// It runs the API server, the controller manager and the scheduler.
        ControlPlane = "control-plane",
        /// It runs pods.
        Worker = "worker",
    }
);
word_value!(
    /// A processor's architecture.
    Arch { Amd64 = "amd64", Arm64 = "arm64" }
);
word_value!(
    /// Which of a node's two engines.
    EngineName { SystemDocker = "system-docker", Docker = "docker" }
);
word_value!(
    /// How pods reach pods on other nodes.
    Backend { Vxlan = "vxlan", HostGw = "host-gw" }
);
word_value!(
    /// How component images reach a node.
    Delivery { Preload = "preload", Registry = "registry", Url = "url", Drive = "drive" }
);

impl Delivery {
    /// Whether images reach an engine as archives that are loaded, and not by a pull.
    pub fn is_loaded(self) -> bool {
        self != Self::Registry
    }

    /// Whether a node's config says what is packed, by its hash.
    pub fn names_content(self) -> bool {
        self != Self::Preload
    }
}

word_value!(
    /// How a machine that boots from the network gets its config.
    ConfigBy { Initrd = "initrd", Url = "url" }
);
