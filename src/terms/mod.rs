//! The words that several phases share: architecture, engine, role, delivery, digest.
//!
//! Each is a type that can hold only valid values. They are below `profile`, `component` and
//! `image`, which all use them, and know none of these.

mod by_arch;
mod digest;
mod image_name;
mod word;

pub use by_arch::ByArch;
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
    /// What a namespace takes of its pods, as Pod Security names it: everything, nothing of the node's, or nothing of
    /// root's either.
    PodLevel { Privileged = "privileged", Baseline = "baseline", Restricted = "restricted" }
);
word_value!(
    /// How pods reach pods on other nodes.
    Backend { Vxlan = "vxlan", HostGw = "host-gw", Wireguard = "wireguard", None = "none" }
);

impl Backend {
    /// Whether it is one of flannel's.
    pub fn is_flannel(self) -> bool {
        self != Self::None
    }

    /// The bytes of a packet between nodes that aren't the pod's; with IPv6, those of the longer one.
    pub fn overhead(self, has_ipv6: bool) -> u16 {
        match self {
            // The outer headers of VXLAN, UDP and IP and the inner Ethernet header (flannel, backend/vxlan).
            Self::Vxlan => {
                if has_ipv6 {
                    70
                } else {
                    50
                }
            }
            // flannel leaves room for IPv6 too (backend/wireguard).
            Self::Wireguard => 80,
            Self::HostGw | Self::None => 0,
        }
    }

    /// The UDP port of each node to which other nodes send the packets of pods.
    pub fn port(self) -> Option<u16> {
        match self {
            // The kernel's, which flannel doesn't change.
            Self::Vxlan => Some(8472),
            Self::Wireguard => Some(51820),
            Self::HostGw | Self::None => None,
        }
    }
}

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
    /// Whose bytes the components are.
    Provenance {
        /// Built by `scripts/components`.
        Built = "built",
        /// Released by their projects.
        Released = "released",
    }
);

word_value!(
    /// How a machine that boots from the network gets its config.
    ConfigBy { Initrd = "initrd", Url = "url" }
);
