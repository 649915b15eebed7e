//! The cloud-config of the OS's JSON schema: a type for each object.

use crate::node::{self, FileContent, NodeConfig, Setting, Value, Written};
use crate::plan::{Made, Master};
use crate::terms::sha256;
use base64::Engine as _;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;
use std::sync::Arc;

/// A cloud-config, of keys that every target's schema has.
#[derive(Debug, Clone, Serialize)]
pub struct CloudConfig {
    /// `hostname`
    pub hostname: String,
    /// `ssh_authorized_keys`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh_authorized_keys: Vec<String>,
    /// `rancher`
    pub rancher: Rancher,
    /// `write_files`
    #[serde(skip_serializing_if = "Files::is_empty")]
    pub write_files: Files,
    /// `runcmd`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runcmd: Vec<String>,
    /// Further keys, by the profile.
    #[serde(skip)]
    pub further: serde_json::Map<String, serde_json::Value>,
}

impl CloudConfig {
    /// The whole config: remuda's keys first, then the further ones by name, in each mapping.
    pub fn value(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(self).expect("a cloud-config consists of texts, numbers, lists and mappings");
        if let serde_json::Value::Object(config) = &mut value {
            add(config, &self.further);
        }
        value
    }

    /// Its services, its files, and the rest, which is small, as values: remuda's keys first, then the further ones by
    /// name, in each mapping. In it, `rancher.services` is empty.
    pub fn parts(mut self) -> (serde_json::Map<String, serde_json::Value>, Services, Files) {
        let (services, files) = (std::mem::take(&mut self.rancher.services), std::mem::take(&mut self.write_files));
        let serde_json::Value::Object(rest) = self.value() else { unreachable!("a struct becomes a mapping") };
        (rest, services, files)
    }

    /// A digest of its values, without [`CloudConfig::mark`]: 16 hexadecimal digits. Of a config for git it changes
    /// exactly when the node would run something else.
    pub fn fingerprint(&self) -> String {
        let values = serde_json::to_vec(&(self, &self.further)).expect("a cloud-config consists of texts, numbers, lists and mappings");
        sha256(&values)[..16].to_owned()
    }

    /// Writes a fingerprint into the file for it.
    pub fn mark(&mut self, fingerprint: &str) {
        for file in self.write_files.0.iter_mut().filter(|file| matches!(file.content, FileContent::Fingerprint)) {
            *file = Written::of(file.with(FileContent::Text(fingerprint.to_owned())));
        }
    }
}

/// Puts further entries into a mapping. A list is added to; nothing that is there is replaced.
fn add(config: &mut serde_json::Map<String, serde_json::Value>, further: &serde_json::Map<String, serde_json::Value>) {
    use serde_json::Value::{Array, Object};
    for (key, value) in further {
        match (config.get_mut(key), value) {
            (Some(Object(inner)), Object(more)) => add(inner, more),
            (Some(Array(items)), Array(more)) => items.extend(more.iter().cloned()),
            (Some(_), _) => {}
            (None, _) => {
                config.insert(key.clone(), value.clone());
            }
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct Rancher {
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub environment: Pairs,
    pub network: NetworkSection,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub sysctl: Pairs,
    #[serde(skip_serializing_if = "is_false")]
    pub preload_wait: bool,
    /// system-docker's settings; the others are the OS's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_docker: Option<Registries>,
    pub docker: Engine,
    #[serde(skip_serializing_if = "RegistryAuths::is_empty")]
    pub registry_auths: RegistryAuths,
    pub services: Services,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh: Option<Ssh>,
}

/// `rancher.registry_auths`: the accounts of the engines, for images that the OS itself pulls.
#[derive(Debug, Clone)]
pub struct RegistryAuths(pub Vec<(String, Account)>);

impl RegistryAuths {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct Account {
    pub username: String,
    pub password: String,
}

/// `rancher.ssh`: the machine's host keys, by kind.
#[derive(Debug, Clone, Serialize)]
pub struct Ssh {
    pub keys: Pairs,
}

/// `rancher.network`.
#[derive(Debug, Clone, Serialize)]
pub struct NetworkSection {
    pub interfaces: Interfaces,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<Dns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_proxy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https_proxy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    /// Commands after all interfaces are configured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub post_cmds: Vec<String>,
}

/// Interfaces by name, pattern or `mac=…`.
#[derive(Debug, Clone)]
pub struct Interfaces(pub Vec<(String, Interface)>);

#[derive(Debug, Clone, Default, Serialize)]
pub struct Interface {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_ipv6: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// The bond of which it is a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bond: Option<String>,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub bond_opts: Pairs,
    /// The bridge of which it is a member; `true` for a bridge itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    /// `ID:NAME`, with commas between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlans: Option<String>,
    /// Commands before anything else is done with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pre_up: Vec<String>,
    pub dhcp: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct Dns {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
}

/// `rancher.docker`: what every target takes. `graph` and `selinux_enabled` of RancherOS, `data_root` and
/// `userns_enabled` of BurmillaOS stay as the OS has them.
#[derive(Debug, Clone, Serialize)]
pub struct Engine {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bip: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_args: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_driver: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_driver: Option<String>,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub log_opts: Pairs,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_restore: Option<bool>,
    #[serde(flatten)]
    pub registries: Registries,
}

/// The registries in an engine's section: the OS starts each engine with only its own section.
#[derive(Debug, Clone, Serialize)]
pub struct Registries {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_mirror: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub insecure_registry: Vec<String>,
}

/// An entry of `write_files`.
#[derive(Debug, Serialize)]
pub(super) struct File<'n> {
    pub path: &'n str,
    pub permissions: &'n str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<&'n str>,
    pub container: &'n str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
    pub content: Cow<'n, str>,
}

/// `write_files`. Nodes share those that are the same on all of them.
#[derive(Debug, Clone, Default)]
pub struct Files(pub Vec<Arc<Written<node::File>>>);

impl Files {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A mapping of texts, in order.
#[derive(Debug, Clone, Default)]
pub struct Pairs(pub Vec<(String, String)>);

impl Pairs {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `rancher.services`: each service has libcompose's keys, which its type guarantees. Nodes share those that are the same
/// on all of them.
#[derive(Debug, Clone, Default)]
pub struct Services(pub Vec<(String, Vec<Arc<Written<Setting>>>)>);

fn is_false(value: &bool) -> bool {
    !value
}

/// What a node's config says, in the OS's own words.
pub fn cloud_config(node: NodeConfig) -> CloudConfig {
    let registries =
        Registries { registry_mirror: node.registries.mirror.map(str::to_owned), insecure_registry: node.registries.insecure.to_vec() };
    let has_registries = registries.registry_mirror.is_some() || !registries.insecure_registry.is_empty();
    let system_docker = has_registries.then(|| registries.clone());
    CloudConfig {
        hostname: node.hostname.to_owned(),
        ssh_authorized_keys: node.ssh_keys.to_vec(),
        rancher: Rancher {
            environment: Pairs(node.environment),
            network: network(node.network),
            modules: node.modules,
            sysctl: Pairs(node.sysctl),
            preload_wait: node.preload_wait,
            system_docker,
            docker: engine(node.engine, registries),
            registry_auths: RegistryAuths(node.registries.logins.iter().map(account).collect()),
            ssh: node.ssh_host_key.map(|key| Ssh {
                keys: Pairs(vec![(key.kind.to_string(), key.private.text()), (format!("{}-pub", key.kind), key.public.text())]),
            }),
            services: Services(node.services.into_iter().map(|(name, keys)| (name.to_owned(), keys)).collect()),
        },
        write_files: Files(node.files),
        runcmd: node.commands,
        further: node.os,
    }
}

fn account(login: &node::Login) -> (String, Account) {
    (login.host.to_owned(), Account { username: login.username.to_owned(), password: login.password.text() })
}

fn engine(engine: node::Engine, registries: Registries) -> Engine {
    Engine {
        bip: engine.bip,
        extra_args: engine.extra_args.into_iter().map(shell_word).collect(),
        storage_driver: engine.storage_driver.map(shell_word),
        log_driver: engine.log_driver.map(shell_word),
        log_opts: Pairs(engine.log_opts.into_iter().map(|(option, value)| (shell_word(option), shell_word(value))).collect()),
        live_restore: engine.live_restore,
        registries,
    }
}

/// A text that a shell reads as this text: `ros docker-init` joins dockerd's arguments by blanks, and starts it by
/// `bash -c` (cmd/control/docker_init.go). An empty one stays empty: the OS leaves it out.
fn shell_word(text: String) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-+=@%:,./".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn network(network: node::NodeNetwork) -> NetworkSection {
    let texts = |addresses: &[std::net::IpAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
    let dns = Dns { nameservers: texts(network.nameservers), search: network.search.to_vec() };
    let post_cmds = network.interfaces.iter().flat_map(|(name, interface)| late_commands(name, interface)).collect();
    let proxy = |name| network.proxy.and_then(|proxy| proxy.variable(name));
    let early: Vec<_> = network.interfaces.iter().map(|(name, own)| early_members(name, own, &network.interfaces)).collect();
    let interfaces = network.interfaces.into_iter().zip(early).map(|((name, own), early)| {
        let mut written = interface(own);
        written.pre_up.extend(early);
        (name, written)
    });
    NetworkSection {
        http_proxy: proxy("http_proxy"),
        https_proxy: proxy("https_proxy"),
        no_proxy: proxy("no_proxy"),
        interfaces: Interfaces(interfaces.collect()),
        dns: (!dns.nameservers.is_empty() || !dns.search.is_empty()).then_some(dns),
        post_cmds,
    }
}

/// The MTU of Ethernet, which an interface has without any setting.
const ETHERNET: u16 = 1500;

fn interface(own: node::Interface) -> Interface {
    let mut addresses = own.addresses.iter().map(ToString::to_string);
    let is_bridge = own.made == Made::Bridge;
    let master = own.master.as_ref();
    // Where DHCP runs and on a bridge's members, the OS doesn't apply `mtu` (pkg/netconf, applyInterfaceConfig).
    let early_mtu = own.mtu.filter(|mtu| *mtu != ETHERNET && !is_bridge && (own.by_dhcp || matches!(master, Some(Master::Bridge(_)))));
    let mut pre_up: Vec<String> = early_mtu.map(|mtu| format!("ip link set dev $iface mtu {mtu}")).into_iter().collect();
    // A VLAN can't be up before its parent, and on RancherOS nothing waits for DHCP.
    if own.by_dhcp && !own.vlans.is_empty() {
        pre_up.push("ip link set dev $iface up".to_owned());
    }
    Interface {
        dhcp: own.by_dhcp,
        address: addresses.next(),
        addresses: addresses.collect(),
        gateway: own.gateway.map(|address| address.to_string()),
        gateway_ipv6: own.ipv6_gateway.map(|address| address.to_string()),
        mtu: own.mtu.filter(|mtu| !is_bridge || *mtu == ETHERNET),
        bond: master.and_then(|master| if let Master::Bond(bond) = master { Some(bond.clone()) } else { None }),
        bridge: match master {
            Some(Master::Bridge(bridge)) => Some(bridge.clone()),
            _ => is_bridge.then(|| "true".to_owned()),
        },
        bond_opts: match own.made {
            Made::Bond(options) => Pairs(options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            _ => Pairs::default(),
        },
        vlans: (!own.vlans.is_empty()).then(|| own.vlans.iter().map(|(id, name)| format!("{id}:{name}")).collect::<Vec<_>>().join(",")),
        pre_up,
    }
}

/// Commands that give a bridge its members before it asks for an address: the OS configures interfaces in the order in
/// which they were made, so that DHCP would run, and on BurmillaOS end, before a bond or a VLAN is a member.
fn early_members(name: &str, own: &node::Interface, all: &[(String, node::Interface)]) -> Vec<String> {
    let is_early = |other: &node::Interface| other.made != Made::Card && other.master == Some(Master::Bridge(name.to_owned()));
    let members = all.iter().filter(|(_, other)| own.made == Made::Bridge && own.by_dhcp && is_early(other));
    let parent =
        |member: &str| all.iter().find(|(_, other)| other.made != Made::Card && other.vlans.iter().any(|(_, vlan)| vlan == member));
    let up = |name: &str| format!("ip link set dev {name} up");
    let commands = members.flat_map(|(member, _)| {
        let parent = parent(member).map(|(parent, _)| up(parent));
        [format!("ip link set dev {member} master {name}")].into_iter().chain(parent).chain([up(member)])
    });
    commands.collect()
}

/// What the OS has no key for, or would do too early: a bridge's MTU is set when its members are there, and routes
/// when all interfaces are up.
fn late_commands(name: &str, own: &node::Interface) -> Vec<String> {
    let mtu = own.mtu.filter(|mtu| own.made == Made::Bridge && *mtu != ETHERNET);
    let mtu = mtu.map(|mtu| format!("ip link set dev {name} mtu {mtu}"));
    let routes = own.routes.iter().map(|(to, via)| format!("ip route replace {to} via {via}"));
    mtu.into_iter().chain(routes).collect()
}

impl<'n> File<'n> {
    /// A node's file, in the OS's words.
    pub(super) fn of(file: &'n node::File) -> Self {
        let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let (encoding, content) = match &file.content {
            FileContent::Fingerprint => (None, "".into()),
            FileContent::Text(text) if survives(text) => (None, text.into()),
            FileContent::Text(text) => (Some("base64"), encoded(text).into()),
            FileContent::Base64(text) => (Some("base64"), text.into()),
            FileContent::Secret(secret) => (None, secret.text().into()),
        };
        Self {
            path: &file.path,
            permissions: &file.permissions,
            owner: file.owner.as_deref(),
            container: &file.container,
            encoding,
            content,
        }
    }
}

/// Whether a file's text arrives unchanged as text: printable ASCII, no name that the OS replaces,
/// nothing that its reader takes for null, no tab at the start of a block.
fn survives(text: &str) -> bool {
    crate::service::unfit(text).is_none()
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Serialize for RegistryAuths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(host, account)| (host, account)))
    }
}

impl Serialize for Interfaces {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, interface)| (name, interface)))
    }
}

impl Serialize for Services {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, keys)| (name, Keys(keys))))
    }
}

impl Serialize for Files {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|file| file.json(|file| raw(&File::of(file)))))
    }
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("it consists of texts, numbers, lists and mappings")
}

/// A service's keys.
struct Keys<'n>(&'n [Arc<Written<Setting>>]);

impl Serialize for Keys<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|setting| (setting.0, setting.json(|(_, value)| raw(value)))))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Texts(texts) => serializer.collect_seq(texts),
            Self::Pairs(pairs) => serializer.collect_map(pairs.iter().map(|(key, value)| (key, value))),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Ints(numbers) => serializer.collect_map(numbers.iter().map(|(key, value)| (key, value))),
        }
    }
}
