//! A node's network interfaces.

use crate::plan::{Made, Master, NodeRef, PlannedInterface, Proxy};
use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Interfaces, name servers and the proxy.
#[derive(Debug, Clone)]
pub struct NodeNetwork<'a> {
    /// By name, pattern or `mac=…`; the node's own first.
    pub interfaces: Vec<(String, Interface)>,
    /// In the order in which they are asked.
    pub nameservers: &'a [IpAddr],
    /// Domains that are tried for short names.
    pub search: &'a [String],
    /// The way out, if it is through a proxy.
    pub proxy: Option<&'a Proxy>,
}

/// What an interface has, and what it is made of.
#[derive(Debug, Clone, Default)]
pub struct Interface {
    /// With their prefix lengths, the node's own first, of IPv4 before IPv6.
    pub addresses: Vec<IpNetwork>,
    /// Whether DHCP gives it an address.
    pub by_dhcp: bool,
    /// The node's default gateway.
    pub gateway: Option<Ipv4Addr>,
    /// The same of IPv6.
    pub ipv6_gateway: Option<Ipv6Addr>,
    /// `None` for the kernel's own.
    pub mtu: Option<u16>,
    /// Networks, each with its gateway.
    pub routes: Vec<(Ipv4Network, Ipv4Addr)>,
    /// What kind of interface it is.
    pub made: Made,
    /// The bond or bridge that it belongs to.
    pub master: Option<Master>,
    /// Number and name of each VLAN that it carries.
    pub vlans: Vec<(u16, String)>,
}

/// The network of one node.
pub(super) fn network(of: NodeRef<'_>) -> NodeNetwork<'_> {
    let NodeRef { cluster, node, class } = of;
    let name = of.interface();
    let (nodes, ipv6) = (cluster.network.nodes, cluster.network.ipv6.as_ref());
    let first = node.address.and_then(|address| Ipv4Network::new(address, nodes.prefix()).ok()).map(IpNetwork::from);
    let second = node.ipv6.zip(ipv6).and_then(|(address, ipv6)| Ipv6Network::new(address, ipv6.nodes.prefix()).ok()).map(IpNetwork::from);
    let mut own = class.interface(&name).map(|more| interface(of, more)).unwrap_or_default();
    own.addresses.splice(0..0, first.into_iter().chain(second));
    own.by_dhcp = node.address.is_none();
    own.gateway = of.gateway();
    own.ipv6_gateway = ipv6.and_then(|ipv6| ipv6.gateway);
    own.mtu = Some(cluster.network.mtu);
    let is_other = |pattern: &&String| **pattern != name && class.interface(pattern).is_none();
    let others: Vec<&String> = class.dhcp.iter().filter(is_other).collect();
    let mut interfaces = vec![(name, own)];
    for pattern in others {
        interfaces.push((pattern.clone(), Interface { by_dhcp: true, ..Interface::default() }));
    }
    for more in &class.interfaces {
        if more.name != interfaces[0].0 {
            interfaces.push((more.name.clone(), interface(of, more)));
        }
    }
    NodeNetwork {
        interfaces,
        nameservers: &cluster.network.nameservers,
        search: &cluster.network.search,
        proxy: cluster.network.proxy.as_ref(),
    }
}

fn interface(of: NodeRef, planned: &PlannedInterface) -> Interface {
    Interface {
        addresses: planned.addresses.iter().filter_map(|first| of.node.counted(*first).map(IpNetwork::from)).collect(),
        by_dhcp: planned.by_dhcp,
        gateway: planned.gateway,
        ipv6_gateway: None,
        mtu: planned.mtu,
        routes: planned.routes.clone(),
        made: planned.made.clone(),
        master: planned.master.clone(),
        vlans: planned.vlans.clone(),
    }
}
