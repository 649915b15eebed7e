//! The values of templates: `cluster`, `network`, `api`, `etcd`, `images`, `os`, `node`.

use super::{File, Setting, Written};
use crate::manifest::{parts, repels};
use crate::plan::{Class, Cluster, ClusterNode, NodeRef, server_of};
use crate::service::Service;
use crate::terms::{Arch, Delivery, Role, sha256};
use minijinja::value::{Enumerator, Object};
use minijinja::{Value, context};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, RwLock};

/// What nodes share of contexts and configs. It is made once.
#[derive(Debug)]
pub struct Contexts {
    shared: Value,
    classes: Vec<Common>,
}

/// What the nodes of a class share.
#[derive(Debug)]
pub(super) struct Common {
    /// The context, without `node`.
    context: Value,
    /// What they share of `node`.
    node: Value,
    /// The files that are the same on all of them.
    pub files: Vec<Kept<File>>,
    /// The same of each service's keys.
    pub services: Vec<Vec<Kept<Setting>>>,
    /// The templates of single texts that render to the same on all of them, with that.
    pub texts: RwLock<HashMap<String, String>>,
}

/// What is the same on all nodes of a class, made for the first of them; `None` in it for what renders to nothing.
pub(super) type Kept<T> = OnceLock<Option<Arc<Written<T>>>>;

/// `node` in a template. It notes whether anything was read that isn't the same on all nodes of its class.
#[derive(Debug)]
pub(super) struct Own {
    common: Value,
    own: Value,
    is_read: AtomicBool,
}

impl Own {
    /// Notes that something of the node's own was read.
    pub(super) fn note(&self) {
        self.is_read.store(true, Ordering::Relaxed);
    }

    /// Whether anything of the node's own was read while `make` was at work.
    pub(super) fn is_read_by<T>(&self, make: impl FnOnce() -> T) -> (T, bool) {
        let before = self.is_read.swap(false, Ordering::Relaxed);
        let made = make();
        (made, self.is_read.fetch_or(before, Ordering::Relaxed))
    }
}

impl Object for Own {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let value = |of: &Value| of.get_item(key).ok().filter(|value| !value.is_undefined());
        value(&self.common).or_else(|| {
            self.note();
            value(&self.own)
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.note();
        let keys: BTreeSet<Value> = [&self.common, &self.own].into_iter().flat_map(Value::try_iter).flatten().collect();
        Enumerator::Values(keys.into_iter().collect())
    }
}

impl Contexts {
    /// Of a whole cluster.
    pub fn new(cluster: &Cluster) -> Self {
        let network = &cluster.network;
        let peer = |node: &ClusterNode| context! { name => node.name.as_str(), host => node.host(network), names => node.names(network) };
        let members = || cluster.etcd.members.iter().map(|index| &cluster.nodes[*index]);
        let endpoints: Vec<String> = members().map(|node| format!("https://{}:2379", node.host(network))).collect();
        let control_plane = cluster.node_refs().filter(|of| of.class.is(Role::ControlPlane));
        let control_plane: Vec<Value> = control_plane.map(|of| peer(of.node)).collect();
        let archive = |one: &crate::plan::Archive| context! { engine => one.engine.as_str(), arch => one.arch.as_str(), file => one.file.as_str(), sha256 => one.sha256.as_str() };
        let archives: Vec<Value> = cluster.images.archives.iter().map(archive).collect();
        let shared = context! {
            cluster => context! { name => cluster.name.as_str(), is_dynamic => cluster.classes.iter().any(|class| class.is_dynamic) },
            network => context! {
                nodes => network.nodes.to_string(),
                pods => network.pods.to_string(),
                services => network.services.to_string(),
                node_prefix => network.node_prefix,
                dns => network.dns.to_string(),
                ipv6 => network.ipv6.as_ref().map(|ipv6| context! {
                    nodes => ipv6.nodes.to_string(),
                    pods => ipv6.pods.to_string(),
                    services => ipv6.services.to_string(),
                    node_prefix => ipv6.node_prefix,
                }),
                domain => network.domain.as_str(),
                backend => network.backend.as_str(),
                vni => network.vni,
                mtu => network.mtu,
                pod_mtu => network.pod_mtu,
                reserved => network.reserved.map(|network| network.to_string()),
                api => Ipv4Addr::from(u32::from(network.services.network()) + 1).to_string(),
            },
            api => context! {
                host => known(cluster.api.host.clone()),
                port => cluster.api.port,
                names => cluster.api.names.clone(),
                url => known(cluster.api.host.as_ref().map(|host| format!("https://{host}:{}", cluster.api.port))),
                is_published => cluster.api.host.is_none(),
                vip => cluster.api.vip.map(|vip| vip.to_string()),
                balancer => cluster.api.balancer,
            },
            etcd => context! {
                members => members().map(peer).collect::<Vec<_>>(),
                founders => cluster.etcd.founders.iter().map(|index| cluster.nodes[*index].name.clone()).collect::<Vec<_>>(),
                endpoints => endpoints.join(","),
                data_dir => cluster.etcd.data_dir.as_str(),
                snapshots => cluster.etcd.snapshots.as_ref().map(|snapshots| context! {
                    every => snapshots.every,
                    keep => snapshots.keep,
                    directory => snapshots.directory.as_str(),
                }),
                restore => cluster.etcd.restore.as_deref(),
                // A profile without a token can be validated, but nothing is generated.
                discovery => cluster.etcd.discovery.as_ref().map(|discovery| context! {
                    token => discovery.token.as_deref().unwrap_or_default(),
                    size => discovery.size,
                }),
            },
            control_plane => control_plane,
            control_plane_taints => taints(cluster.line.control_plane_taints.iter()),
            tolerations => tolerations(cluster),
            manifests => context! { fingerprint => cluster.manifests_fingerprint() },
            pki => pki(cluster),
            registry => context! {
                mirror => cluster.images.mirror.as_deref(),
                mirrors => cluster.images.mirrors.iter().map(|(host, url)| format!("{host}={url}")).collect::<Vec<_>>(),
                insecure => cluster.images.insecure.clone(),
                login => cluster.images.login.as_ref().map(|login| context! {
                    host => login.host.as_str(),
                    username => login.username.as_str(),
                    secret => login.secret.0.as_str(),
                }),
            },
            images_from => context! {
                source => match cluster.images.delivery {
                    Delivery::Drive => "drive",
                    _ => cluster.images.url.as_deref().unwrap_or_default(),
                },
                archives => archives,
                // The start script fetches tarballs itself.
                proxy => fetch_proxy(cluster),
            },
        };
        let images = |arch: &Arch| {
            let names = cluster.images.names.keys().map(|name| (name.as_str(), cluster.images.reference(name, *arch)));
            (*arch, Value::from_pairs(names))
        };
        let images: BTreeMap<Arch, Value> = Arch::ALL.iter().map(images).collect();
        let common = |class: &Class| Common {
            context: context! {
                images => images[&class.arch].clone(),
                os => context! {
                    base_image => cluster.target.base_image(&cluster.os_version, class.arch.as_str()),
                    version => cluster.os_version.as_str(),
                },
                ..shared.clone()
            },
            node: context! {
                is_dynamic => class.is_dynamic,
                interface => class.interface.as_deref(),
                roles => class.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(),
                is_etcd => class.is(Role::Etcd),
                is_control_plane => class.is(Role::ControlPlane),
                is_worker => class.is(Role::Worker),
                arch => class.arch.as_str(),
                labels => class.labels.clone(),
                taints => class.taints.clone(),
            },
            files: class.files.iter().map(|_| OnceLock::new()).collect(),
            services: class.services.iter().map(|planned| keys(&planned.service)).collect(),
            texts: RwLock::default(),
        };
        Self { classes: cluster.classes.iter().map(common).collect(), shared }
    }

    /// The context of files that don't belong to a node.
    pub fn shared(&self) -> Value {
        self.shared.clone()
    }

    /// What the nodes of this node's class share.
    pub(super) fn common(&self, of: NodeRef) -> &Common {
        &self.classes[of.node.class]
    }

    /// The context of one node.
    pub fn node(&self, of: NodeRef) -> Value {
        self.with_own(of).0
    }

    /// The same, and the `node` in it.
    pub(super) fn with_own(&self, of: NodeRef) -> (Value, Arc<Own>) {
        let (NodeRef { cluster, node, .. }, common) = (of, self.common(of));
        let own = context! {
            name => node.name.as_str(),
            address => known(node.address.map(|address| address.to_string())),
            host => node.host(&cluster.network),
            names => node.names(&cluster.network),
            mac => node.mac.map(|mac| mac.to_string()),
            subnet => known(node.subnet.map(|subnet| subnet.to_string())),
            bridge => known(node.bridge()),
            ipv6 => node.ipv6.map(|address| context! {
                address => address.to_string(),
                subnet => known(node.ipv6_subnet.map(|subnet| subnet.to_string())),
                bridge => known(node.ipv6_bridge()),
            }),
            engine_id => engine_id(&cluster.name, &node.name),
        };
        let own = Arc::new(Own { common: common.node.clone(), own, is_read: AtomicBool::new(false) });
        (context! { node => Value::from_dyn_object(own.clone()), ..common.context.clone() }, own)
    }
}

/// A place for each of a service's keys.
fn keys(service: &Service) -> Vec<Kept<Setting>> {
    let mut keys = Vec::new();
    service.visit(|_, _| keys.push(OnceLock::new()));
    keys
}

/// The group of the admin kubeconfig whose rights a role binding gives; `None` if they are built in, or there is no such
/// kubeconfig.
pub fn admins(cluster: &Cluster) -> Option<String> {
    let organization = cluster.line.pki.certificates.get("admin")?.organization.as_ref()?;
    let group = cluster.line.templates.render(organization, &context! { pki => pki(cluster) }).ok()?;
    (!group.starts_with("system:")).then_some(group)
}

/// What is in use of a cluster's keys.
fn pki(cluster: &Cluster) -> Value {
    let generations = cluster.line.pki.purposes().map(|name| (name, cluster.pki.generations(name).to_vec()));
    context! { generations => Value::from_pairs(generations) }
}

/// The proxy for the tarballs' server, unless it is one that is reached without it.
fn fetch_proxy(cluster: &Cluster) -> Option<Value> {
    let proxy = cluster.network.proxy.as_ref()?;
    let url = cluster.images.url.as_deref().filter(|_| cluster.images.delivery == Delivery::Url)?;
    let value = |name: &str| proxy.variable(name).unwrap_or_default();
    let needs_it = !proxy.spares(server_of(url));
    needs_it.then(|| context! { http => value("http_proxy"), https => value("https_proxy") })
}

/// The taints that pods of add-ons must tolerate to run somewhere: none if some node keeps no pods away.
fn tolerations(cluster: &Cluster) -> Vec<Value> {
    let with_pods = || cluster.classes.iter().filter(|class| class.is_kubernetes());
    if with_pods().any(|class| !class.taints.iter().any(|taint| repels(taint))) {
        return Vec::new();
    }
    taints(with_pods().flat_map(|class| &class.taints).filter(|taint| repels(taint)))
}

/// Keys and effects of taints.
fn taints<'t>(taints: impl Iterator<Item = &'t String>) -> Vec<Value> {
    let taints: BTreeSet<(&str, &str)> = taints.map(|taint| parts(taint)).map(|(key, _, effect)| (key, effect)).collect();
    taints.into_iter().map(|(key, effect)| context! { key, effect }).collect()
}

/// An unknown value is undefined: a template that uses it fails, instead of rendering to nothing.
fn known(value: Option<String>) -> Value {
    value.map_or(Value::UNDEFINED, Value::from)
}

/// The ID of a node's user Docker, which it would otherwise make up: a UUID (RFC 9562, version 8).
fn engine_id(cluster: &str, node: &str) -> String {
    let hash = sha256(format!("engine {cluster}/{node}").as_bytes());
    format!("{}-{}-8{}-8{}-{}", &hash[..8], &hash[8..12], &hash[12..15], &hash[15..18], &hash[18..30])
}
