//! The words that several phases share: architecture, engine, role, delivery, digest.
//!
//! Each is a type that can hold only valid values. They are below `profile`, `component` and
//! `image`, which all use them, and know none of these.

mod digest;
mod image_name;
mod word;

pub use digest::{Digest, Hasher, NoDigest, hex, sha256};
pub use image_name::{ImageName, NoImageName, is_repository_part};
pub(crate) use word::{schema, word_value};

word_value!(
    /// A node's role.
    Role {
        /// A member of the store.
        Etcd = "etcd",
        /// Runs the API server, the controller manager and the scheduler.
        ControlPlane = "control-plane",
        /// Runs pods.
        Worker = "worker",
    }
);
word_value!(
    /// A processor's architecture.
    Arch { Amd64 = "amd64", Arm64 = "arm64" }
);
word_value!(
    /// One of a node's engines.
    EngineName { SystemDocker = "system-docker", Docker = "docker", Containerd = "containerd" }
);
word_value!(
    /// The kind of a machine's ssh host key, as `rancher.ssh.keys` names it.
    SshKey { Ecdsa = "ecdsa", Ed25519 = "ed25519" }
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
    /// Whether an engine loads images from archives, instead of pulling them.
    pub fn is_loaded(self) -> bool {
        self != Self::Registry
    }

    /// Whether a node's config names the tarballs by their hashes.
    pub fn names_content(self) -> bool {
        self != Self::Preload
    }
}

word_value!(
    /// How a machine that boots from the network gets its config.
    ConfigBy { Initrd = "initrd", Url = "url" }
);
