//! The proxy, and what is reached without it.

use crate::plan::cluster::Proxy;
use crate::plan::decide::network::{all_named, all_named_ipv6};
use crate::plan::decide::servers::{Server, servers};
use crate::profile::Profile;
use std::net::Ipv4Addr;

/// The proxy of the nodes, if the profile has one.
pub(crate) fn decide(profile: &Profile) -> Option<Proxy> {
    let given = &profile.network.proxy;
    let http = given.http.value().map(|url| url.0.trim_end_matches('/').to_owned());
    let https = given.https.value().map(|url| url.0.trim_end_matches('/').to_owned()).or_else(|| http.clone());
    https.as_ref()?;
    let mut no_proxy: Vec<String> = Vec::new();
    let mut add = |one: String| {
        if !no_proxy.contains(&one) {
            no_proxy.push(one);
        }
    };
    ["localhost", "127.0.0.1"].into_iter().for_each(|own| add(own.to_owned()));
    all_named(profile).into_iter().flatten().for_each(|named| add(named.network.to_string()));
    all_named_ipv6(profile).into_iter().flatten().for_each(|named| add(named.network.to_string()));
    let domain = profile.network.domain.value().map_or("cluster.local", |domain| domain.0.as_str());
    add(format!(".{domain}"));
    profile.network.node_domain.value().into_iter().for_each(|domain| add(format!(".{}", domain.0)));
    // Programs of before Go 1.11, like system-docker (Docker 17.06), know no networks here: servers are named too.
    let is_for_http = |server: &Server| !server.key.starts_with("network.");
    for server in servers(profile).into_iter().filter(|server| is_for_http(server) && is_near(server, profile)) {
        add(server.host);
    }
    given.no_proxy.values().for_each(|one| add(one.0.clone()));
    Some(Proxy { http, https, no_proxy })
}

/// Whether a server is in the node network, or is where a machine gets its config: it has that before it knows a proxy.
fn is_near(server: &Server, profile: &Profile) -> bool {
    let nodes = profile.network.nodes.v4.value();
    let is_node = profile.nodes.iter().any(|(name, _)| name.value == server.host);
    let is_inside = |address: Ipv4Addr| nodes.is_some_and(|nodes| nodes.0.contains(address));
    server.key == "media.url" || is_node || server.host.parse().is_ok_and(is_inside)
}
