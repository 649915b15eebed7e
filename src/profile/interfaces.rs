//! Network interfaces and proxies, as a profile describes them.

use super::value::{Interface, Mtu, VlanId};
use super::{Ipv4, NoProxy, ProxyUrl};
use crate::service::Flag;
use crate::terms::{schema, word_value};
use crate::yaml::{Given, List, Map, Scalar, record};
use ipnetwork::Ipv4Network;
use std::borrow::Cow;

record! {
    /// An HTTP proxy. It is set for system-docker, for user Docker and for shells on the console.
    pub struct Proxy {
        hints: &[
            ("http_proxy", "write `http`"),
            ("https_proxy", "write `https`"),
            ("url", "write `http`"),
            ("exclude", "write `no_proxy`")
        ];
        /// The proxy for http URLs, like `http://10.0.0.3:3128`.
        pub http: Given<ProxyUrl>,
        /// The proxy for https URLs. Default: that of `http`.
        pub https: Given<ProxyUrl>,
        /// What is reached without the proxy: hosts, domains and networks. These are always in it:
        /// the networks of nodes, pods and services, the domains of the cluster and its nodes, and
        /// what `images` and `media` name in them.
        pub no_proxy: List<NoProxy>,
    }
}

record! {
    /// A network interface: a network card, by its name or as `mac=52:54:00:12:34:56`; or a bond, a
    /// bridge or a VLAN, which exists because it is declared here. An interface called `eth0.100` is the
    /// VLAN 100 of eth0.
    pub struct InterfaceSettings {
        hints: &[
            ("address", "write `addresses`, a list"),
            ("ip", "write `addresses`, a list"),
            ("members", "write `bond: {members: […]}` or `bridge: {members: […]}`"),
            ("vlans", "declare each VLAN itself, like `eth0.100: {addresses: […]}`"),
            ("bond_opts", "write the options beside `members` in `bond: {…}`"),
            ("dhcp4", "write `dhcp`"),
            ("gateway4", "write `gateway`"),
            ("nameservers", "write `network: {nameservers: […]}`")
        ];
        /// Its addresses, each with a prefix length, like 10.1.0.11/24. For several nodes of a range,
        /// the first node's, which are then counted up. The node's own interface has them in addition
        /// to `address`.
        pub addresses: List<HostAddress>,
        /// Whether it gets its address by DHCP. Default false.
        pub dhcp: Given<Flag>,
        /// The node's default gateway, if it is on this interface. Default: `network.gateway`, on the
        /// node's own interface.
        pub gateway: Given<Ipv4>,
        /// Its MTU. Default: `network.mtu` on the node's own interface, 1500 on others; a VLAN's parent
        /// and a bridge's members have at least theirs.
        pub mtu: Given<Mtu>,
        /// Static routes: for each network, the gateway in one of this interface's networks.
        pub routes: Map<Given<Ipv4>>,
        /// Makes it a bond of other interfaces.
        pub bond: Bond,
        /// Makes it a bridge between other interfaces.
        pub bridge: Bridge,
        /// Makes it a VLAN, if its name doesn't say so.
        pub vlan: Vlan,
    }
}

record! {
    /// A bond: several network cards as one.
    pub struct Bond {
        hints: &[("interfaces", "write `members`"), ("slaves", "write `members`"), ("lacp-rate", "write `lacp_rate`")];
        /// The network cards. They have no settings of their own.
        pub members: List<Interface>,
        /// How the cards share the work. Default `active-backup`, which needs nothing of the switch;
        /// `802.3ad` is LACP.
        pub mode: Given<BondMode>,
        /// How often the cards' links are looked at, in milliseconds. Default 100.
        pub miimon: Given<Miimon>,
        /// How often LACP speaks with the switch: `slow` (default, every 30 s) or `fast` (every second).
        pub lacp_rate: Given<LacpRate>,
        /// By what a packet's card is chosen, in the modes `balance-xor`, `802.3ad` and `balance-tlb`.
        /// Default `layer2`.
        pub xmit_hash_policy: Given<HashPolicy>,
        /// The preferred card, in the modes `active-backup`, `balance-tlb` and `balance-alb`.
        pub primary: Given<Interface>,
    }
}

record! {
    /// A bridge.
    pub struct Bridge {
        hints: &[("interfaces", "write `members`"), ("ports", "write `members`")];
        /// Network cards, bonds and VLANs. They have no addresses of their own.
        pub members: List<Interface>,
    }
}

record! {
    /// A VLAN of another interface.
    pub struct Vlan {
        hints: &[("link", "write `parent`"), ("of", "write `parent`")];
        /// Its number.
        pub id: Given<VlanId>,
        /// The interface that carries it: a network card, a bond or a bridge.
        pub parent: Given<Interface>,
    }
}

word_value!(
    /// How a bond's members share the work.
    BondMode {
        BalanceRr = "balance-rr",
        ActiveBackup = "active-backup",
        BalanceXor = "balance-xor",
        Broadcast = "broadcast",
        Lacp = "802.3ad",
        BalanceTlb = "balance-tlb",
        BalanceAlb = "balance-alb",
    }
);
word_value!(
    /// How often LACP speaks.
    LacpRate { Slow = "slow", Fast = "fast" }
);
word_value!(
    /// By what a bond chooses a packet's member.
    HashPolicy {
        Layer2 = "layer2",
        Layer23 = "layer2+3",
        Layer34 = "layer3+4",
        Encap23 = "encap2+3",
        Encap34 = "encap3+4",
    }
);

pub use super::value::Miimon;

/// An interface's address, with the prefix length of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostAddress(pub Ipv4Network);

impl Scalar for HostAddress {
    fn expected() -> Cow<'static, str> {
        "an IPv4 address with a prefix length, like 10.1.0.11/24".into()
    }
    fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').ok_or_else(|| format!("`{text}` has no prefix length"))?;
        let network = network(address, prefix, text)?;
        if network.prefix() < 31 && (network.ip() == network.network() || network.ip() == network.broadcast()) {
            return Err(format!("`{text}` is the first or last address of its network: no machine can have it"));
        }
        Ok(Self(network))
    }
}
schema!(HostAddress, { "type": "string", "title": "an IPv4 address with a prefix length, like 10.1.0.11/24" });

/// The network of a static route: a key of `routes`.
pub fn route(text: &str) -> Result<Ipv4Network, String> {
    let (address, prefix) = text.split_once('/').ok_or_else(|| format!("`{text}` has no prefix length; a single address has 32"))?;
    let route = network(address, prefix, text)?;
    if route.ip() != route.network() {
        return Err(format!("`{text}` has host bits set; the network is {}/{prefix}", route.network()));
    }
    Ok(route)
}

fn network(address: &str, prefix: &str, text: &str) -> Result<Ipv4Network, String> {
    let length = prefix.parse().ok().filter(|length: &u8| (1..=32).contains(length) && length.to_string() == prefix);
    let length = length.ok_or_else(|| format!("`/{prefix}` is not a prefix length, 1 to 32"))?;
    let address = address.parse().map_err(|_| format!("`{text}` is not an IPv4 address with a prefix length"))?;
    Ipv4Network::new(address, length).map_err(|error| error.to_string())
}
