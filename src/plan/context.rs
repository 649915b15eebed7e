//! What the classes of a cluster have in common.

use crate::diagnostic::Span;
use crate::line::Condition;
use crate::plan::cluster::Proxy;
use crate::plan::decide::fleet::DeclaredClass;
use crate::target::Target;
use crate::terms::{Backend, Delivery, EngineName};

/// What deciding and checking a class need to know of the rest of the cluster.
pub(super) struct Context {
    pub target: &'static Target,
    pub os_version: String,
    pub delivery: Option<Delivery>,
    /// The API's port, and its place in the profile.
    pub port: (u16, Option<Span>),
    /// Whether some node learns its address when it boots.
    pub is_dynamic: bool,
    /// Whether the members of etcd find each other through a discovery service.
    pub has_discovery: bool,
    /// Whether the members of etcd save snapshots.
    pub has_snapshots: bool,
    /// Where members of etcd keep their data.
    pub etcd_data: String,
    /// Whether the control plane publishes the API's address.
    pub is_published: bool,
    /// Whether the control-plane nodes hold an address of the API in turn.
    pub has_vip: bool,
    /// Whether each node has a balancer before several API servers.
    pub is_balanced: bool,
    /// Whether the profile has manifests.
    pub has_manifests: bool,
    /// How pods reach pods on other nodes.
    pub backend: Backend,
    /// The images that are packed: component, name, and the engine that loads it.
    pub packed: Vec<(String, String, EngineName)>,
    /// The MTU of the nodes' network.
    pub mtu: u16,
    pub proxy: Option<Proxy>,
    /// The number of pod addresses on a node.
    pub room: u32,
    /// Its place in the profile.
    pub room_span: Option<Span>,
    /// The components whose image the profile changes: another version may have other flags.
    pub repacked: Vec<String>,
}

impl Context {
    /// The image that every node of a kind has.
    pub(super) fn base_image(&self, kind: &DeclaredClass) -> String {
        self.target.base_image(&self.os_version, kind.settings.arch.value().map_or("amd64", |arch| arch.as_str()))
    }

    /// Whether something for these deliveries of images (none means all) applies to the cluster's.
    pub(super) fn delivers(&self, deliveries: &[Delivery]) -> bool {
        deliveries.is_empty() || self.delivery.is_some_and(|own| deliveries.contains(&own))
    }

    /// Whether all of a line's conditions hold on nodes of this kind.
    pub(super) fn holds(&self, conditions: &[Condition], kind: &DeclaredClass) -> bool {
        conditions.iter().all(|condition| match condition {
            Condition::Dynamic => kind.is_dynamic,
            Condition::Static => !kind.is_dynamic,
            Condition::DynamicCluster => self.is_dynamic,
            Condition::Discovery => self.has_discovery,
            Condition::Founders => !self.has_discovery,
            Condition::ApiPublished => self.is_published,
            Condition::Snapshots => self.has_snapshots,
            Condition::Vip => self.has_vip,
            Condition::Balanced => self.is_balanced,
            Condition::Flannel => self.backend.is_flannel(),
            Condition::Manifests => self.has_manifests,
            Condition::EngineImage => self.target.engine_image.is_some(),
        })
    }
}
