//! `rancher.network.interfaces` → the node's address and interface, and the interfaces that it has besides.

use super::keys::Config;
use super::value::{Map, Value};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::profile::{BY_MAC, Mac};
use crate::yaml::{Entry, Node, Scalar};
use ipnetwork::{IpNetwork, Ipv4Network};

/// The MTU of Ethernet, which an interface has without any setting.
const ETHERNET: &str = "1500";
/// Why IPv6 isn't imported.
const IPV6: &str = "a cluster of both families has IPv6 for its pods and services too, which you choose in `network`";
/// Modes of bonds by their numbers.
const MODES: [&str; 7] = ["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"];

/// An interface, as the config has it.
#[derive(Debug)]
struct Card {
    name: String,
    span: Span,
    addresses: Vec<Ipv4Network>,
    gateway: Option<(Value, Span)>,
    dhcp: bool,
    mtu: Option<(String, Span)>,
    /// The bridge of which it is a member; `true` for a bridge itself.
    bridge: Option<String>,
    bond: Option<String>,
    bond_opts: Map,
    /// Numbers and names of VLANs on it.
    vlans: Vec<(String, String)>,
}

impl Card {
    fn new(span: Span) -> Self {
        Self {
            name: String::new(),
            span,
            addresses: Vec::new(),
            gateway: None,
            dhcp: false,
            mtu: None,
            bridge: None,
            bond: None,
            bond_opts: Map::new(),
            vlans: Vec::new(),
        }
    }

    fn is_member(&self) -> bool {
        self.bond.is_some() || self.bridge.as_ref().is_some_and(|bridge| bridge != "true")
    }
}

/// The smallest network with all of `networks` in it, and whether these are several; `None` for none.
pub(super) fn around(networks: &[Ipv4Network]) -> Option<(Ipv4Network, bool)> {
    let first = *networks.first()?;
    let mut prefix = first.prefix();
    let base = |prefix: u8| Ipv4Network::new(first.network(), prefix).ok().and_then(|one| Ipv4Network::new(one.network(), prefix).ok());
    let holds = |around: Ipv4Network| networks.iter().all(|one| around.contains(one.network()) && around.contains(one.broadcast()));
    while prefix > 1 && !base(prefix).is_some_and(holds) {
        prefix -= 1;
    }
    Some((base(prefix)?, networks.iter().any(|one| *one != first)))
}

/// The interface with the node's address: the one with the gateway, otherwise the first one with an address.
fn own(cards: &[Card]) -> Option<&String> {
    let free = || cards.iter().filter(|card| !card.is_member());
    let with_address = || free().filter(|card| !card.addresses.is_empty());
    let found = with_address().find(|card| card.gateway.is_some()).or_else(|| with_address().next());
    found.or_else(|| free().find(|card| card.dhcp)).map(|card| &card.name)
}

/// The VLANs, by name. The name of one like `eth0.100` says the rest.
fn vlans(cards: &[Card]) -> Map {
    let mut vlans = Map::new();
    for card in cards {
        for (id, name) in &card.vlans {
            let vlan = [("id".to_owned(), Value::text(id.as_str())), ("parent".to_owned(), Value::text(card.name.as_str()))];
            let is_named = *name == format!("{}.{id}", card.name);
            let own = if is_named { Map::new() } else { Map::from([("vlan".to_owned(), Value::Map(Map::from(vlan)))]) };
            vlans.insert(name.clone(), Value::Map(own));
        }
    }
    vlans
}

impl Config<'_> {
    /// The interfaces of a node.
    pub(super) fn interfaces(&mut self, node: &Node) {
        let cards = self.cards(node);
        let own = own(&cards);
        let mut interfaces = vlans(&cards);
        let mut by_dhcp = Vec::new();
        for card in &cards {
            let is_own = own == Some(&card.name);
            let mut settings = self.settings(card, &cards, is_own);
            let all = settings.len();
            if card.is_member() {
                settings.retain(|key, _| matches!(key.as_str(), "bond" | "bridge"));
            } else if card.dhcp && !is_own {
                if settings.is_empty() && !interfaces.contains_key(&card.name) {
                    by_dhcp.push(card.name.clone());
                    continue;
                }
                settings.insert("dhcp".to_owned(), Value::text("true"));
            }
            let what = format!("interface {}", card.name);
            if settings.len() < all {
                self.note(&format!("settings of {what}"), "a member of a bond or a bridge has none of its own", card.span);
            } else if settings.is_empty() && !is_own && !card.is_member() && !interfaces.contains_key(&card.name) {
                self.note(&what, "the OS configures only interfaces that the profile has", card.span);
            }
            if !settings.is_empty()
                && let Value::Map(there) = interfaces.entry(card.name.clone()).or_insert_with(|| Value::Map(Map::new()))
            {
                there.extend(settings);
            }
        }
        self.put("dhcp", Value::texts(by_dhcp));
        self.put("interfaces", Value::Map(interfaces));
    }

    /// The interfaces in a config, and the bonds and bridges that only their members name.
    fn cards(&mut self, node: &Node) -> Vec<Card> {
        let mut cards = Vec::new();
        for entry in self.entries(node) {
            match entry.key.as_str() {
                "lo" => self.note("interface lo", "the OS makes it itself", entry.key_span),
                "dns" => self.not_an_interface(entry),
                _ if entry.value.is_null() => self.note(&format!("interface {}", entry.key), "it has no value", entry.key_span),
                _ => cards.push(self.card(entry)),
            }
        }
        let named = cards.iter().flat_map(|card| [(&card.bond, card.span), (&card.bridge, card.span)]);
        let named: Vec<(String, Span)> = named.filter_map(|(master, span)| Some((master.clone()?, span))).collect();
        for (name, span) in named {
            if name != "true" && !cards.iter().any(|card| card.name == name) {
                cards.push(Card { name, ..Card::new(span) });
            }
        }
        cards
    }

    /// A mistake that many configs have: the OS would take `dns` for an interface's name.
    fn not_an_interface(&mut self, entry: &Entry) {
        self.found.push(
            Diagnostic::new(Code::KeyNotImported, entry.key_span, "`dns` is in `interfaces`, where the OS takes it for an interface")
                .why("the node never had these name servers")
                .help("write them into the profile: `network: {nameservers: […]}`"),
        );
    }

    fn card(&mut self, entry: &Entry) -> Card {
        let mut card = Card { name: entry.key.clone(), ..Card::new(entry.key_span) };
        for key in self.entries(&entry.value) {
            let (name, value) = (key.key.as_str(), &key.value);
            if value.is_null() {
                continue;
            }
            let text = |config: &mut Self| config.text(name, value);
            match name {
                "address" => self.address(&mut card, value),
                "addresses" => self.items(value).iter().for_each(|item| self.address(&mut card, item)),
                "gateway" => card.gateway = text(self).map(|gateway| (Value::Text(gateway), value.span)),
                "dhcp" => card.dhcp = self.flag(value).is_some_and(|flag| flag == "true"),
                "mtu" => card.mtu = text(self).map(|mtu| (mtu, value.span)),
                "bridge" => card.bridge = text(self),
                "bond" => card.bond = text(self),
                "bond_opts" => card.bond_opts = self.bond_opts(value),
                "match" => card.name = text(self).unwrap_or(card.name),
                "vlans" => {
                    let list = text(self).unwrap_or_default();
                    for vlan in list.split(',').map(str::trim).filter(|vlan| !vlan.is_empty()) {
                        let (id, name) = vlan.split_once(':').unwrap_or((vlan, ""));
                        let name = if name.is_empty() { format!("{}.{id}", card.name) } else { name.to_owned() };
                        card.vlans.push((id.to_owned(), name));
                    }
                }
                "gateway_ipv6" => self.note(&format!("{name} of interface {}", card.name), IPV6, key.key_span),
                "ipv4ll" => self.note(&format!("{name} of interface {}", card.name), "nodes have addresses of a network", key.key_span),
                "pre_up" | "post_up" | "dhcp_args" => {
                    self.left_out(name, &card.name, key.key_span, "use `os: {rancher: {network: {post_cmds: […]}}}`, or `runcmd`")
                }
                _ => self.left_out(
                    name,
                    &card.name,
                    key.key_span,
                    "the OS's keys here are address, addresses, gateway, dhcp, mtu, bridge, bond, bond_opts, vlans",
                ),
            }
        }
        card
    }

    fn left_out(&mut self, key: &str, interface: &str, span: Span, help: &str) {
        self.found.push(
            Diagnostic::new(Code::KeyNotImported, span, format!("`{key}` of interface {interface} isn't in the profile"))
                .why("the profile has no key for it")
                .help(help),
        );
    }

    fn address(&mut self, card: &mut Card, node: &Node) {
        let Some(text) = self.text("address", node) else { return };
        match text.parse::<IpNetwork>() {
            Ok(IpNetwork::V4(address)) if text.contains('/') => card.addresses.push(address),
            Ok(IpNetwork::V6(_)) => self.note(&format!("an IPv6 address of interface {}", card.name), IPV6, node.span),
            _ => self.found.push(
                Diagnostic::new(Code::InvalidValue, node.span, format!("`{text}` isn't an IPv4 address with a prefix length"))
                    .why("the OS gives the interface no address")
                    .help("write it like 192.168.1.10/24"),
            ),
        }
    }

    fn bond_opts(&mut self, node: &Node) -> Map {
        let mut options = Map::new();
        for entry in self.entries(node) {
            let Some(text) = self.text(&entry.key, &entry.value) else { continue };
            match entry.key.as_str() {
                "mode" => {
                    let mode = text.parse::<usize>().ok().and_then(|number| MODES.get(number)).map(|mode| (*mode).to_owned());
                    options.insert("mode".to_owned(), Value::Text(mode.unwrap_or(text)));
                }
                "miimon" | "lacp_rate" | "xmit_hash_policy" | "primary" => {
                    options.insert(entry.key.clone(), Value::Text(text));
                }
                key => {
                    self.left_out(key, "a bond", entry.key_span, "the profile has mode, miimon, lacp_rate, xmit_hash_policy and primary")
                }
            }
        }
        options
    }

    /// The settings of an interface. The node's own gives the node its address; what is left is returned.
    fn settings(&mut self, card: &Card, cards: &[Card], is_own: bool) -> Map {
        let mut settings = Map::new();
        let members = |of: fn(&Card) -> Option<&String>| {
            let names = cards.iter().filter(|member| of(member) == Some(&card.name)).map(|member| member.name.clone());
            names.collect::<Vec<_>>()
        };
        let (bonded, bridged) = (members(|card| card.bond.as_ref()), members(|card| card.bridge.as_ref()));
        if !bonded.is_empty() {
            let mut bond = card.bond_opts.clone();
            bond.insert("members".to_owned(), Value::texts(bonded));
            settings.insert("bond".to_owned(), Value::Map(bond));
        }
        if card.bridge.as_deref() == Some("true") && bridged.is_empty() {
            let problem = format!("`bridge` of interface {} isn't in the profile", card.name);
            self.found.push(
                Diagnostic::new(Code::KeyNotImported, card.span, problem)
                    .why("no interface is a member of this bridge: the OS used a card of this name as it was")
                    .help("if it is a bridge, give it its members in the profile: `bridge: {members: [eth0]}`"),
            );
        }
        if !bridged.is_empty() {
            settings.insert("bridge".to_owned(), Value::Map(Map::from([("members".to_owned(), Value::texts(bridged))])));
        }
        let mut addresses = card.addresses.iter();
        let mtu = card.mtu.as_ref().filter(|(mtu, _)| mtu != ETHERNET);
        if is_own {
            self.own(card, addresses.next());
            let once = &mut self.machine.once;
            once.extend(card.gateway.as_ref().map(|(gateway, span)| ("network.gateway".to_owned(), gateway.clone(), *span)));
            once.extend(mtu.map(|(mtu, span)| ("network.mtu".to_owned(), Value::text(mtu.as_str()), *span)));
        } else {
            settings.extend(card.gateway.as_ref().map(|(gateway, _)| ("gateway".to_owned(), gateway.clone())));
            settings.extend(mtu.map(|(mtu, _)| ("mtu".to_owned(), Value::text(mtu.as_str()))));
        }
        let addresses = Value::texts(addresses.map(|address| address.to_string()));
        if !addresses.is_empty() {
            settings.insert("addresses".to_owned(), addresses);
        }
        settings
    }

    /// The node's own interface, and its address.
    fn own(&mut self, card: &Card, address: Option<&Ipv4Network>) {
        match card.name.strip_prefix(BY_MAC) {
            Some(mac) => {
                let mac = Mac::parse(mac).map_or(mac.to_owned(), |mac| mac.to_string());
                self.put("mac", Value::Text(mac));
            }
            None if card.name.contains('*') => {}
            None => self.put("interface", Value::text(card.name.as_str())),
        }
        let Some(address) = address else { return };
        if card.dhcp {
            self.note(&format!("dhcp of interface {}", card.name), "it has an address without it", card.span);
        }
        self.put("address", Value::text(address.ip().to_string()));
        if address.prefix() <= 30 {
            self.machine.network = Ipv4Network::new(address.network(), address.prefix()).ok();
        }
    }
}
