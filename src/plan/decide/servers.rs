//! The servers outside the cluster that a profile names.

use crate::diagnostic::Span;
use crate::profile::{NameServer, Profile};
use crate::yaml::Spanned;

/// A server that nodes reach.
pub(crate) struct Server {
    /// Its key in the profile.
    pub key: &'static str,
    /// What it is: "the registry".
    pub what: &'static str,
    /// An address or a name.
    pub host: String,
    pub span: Option<Span>,
}

/// All that the profile names, in its order; the API's endpoint is checked by itself.
pub(crate) fn servers(profile: &Profile) -> Vec<Server> {
    let (network, images, media) = (&profile.network, &profile.images, &profile.media);
    // An address of IPv6 has colons, which end a host elsewhere.
    let name_server = |server: &Spanned<NameServer>| {
        let host = server.value.0.to_string();
        Server { key: "network.nameservers", what: "the name server", host, span: server.span }
    };
    let mut all: Vec<Server> = network.nameservers.iter().map(name_server).collect();
    let mut add = |key, what, text: &str, span| {
        let host = host(text).to_owned();
        all.push(Server { key, what, host, span });
    };
    for proxy in [&network.proxy.http, &network.proxy.https].into_iter().filter_map(|proxy| proxy.get()) {
        add("network.proxy", "the proxy", &proxy.0, proxy.span);
    }
    if let Some(url) = profile.etcd.bootstrap.discovery.get() {
        add("etcd.bootstrap.discovery", "the discovery service", &url.0, url.span);
    }
    if let Some(url) = images.url.get() {
        add("images.url", "the server of the image tarballs", &url.0, url.span);
    }
    if let Some(registry) = images.registry.get() {
        add("images.registry", "the registry", &registry.0, registry.span);
    }
    if let Some(mirror) = images.mirror.get() {
        add("images.mirror", "the mirror", &mirror.0, mirror.span);
    }
    for mirror in images.mirrors.iter().filter_map(|(_, url)| url.get()) {
        add("images.mirrors", "the mirror", &mirror.value.0, mirror.span);
    }
    for registry in images.insecure.iter() {
        add("images.insecure", "the registry", &registry.0, registry.span);
    }
    if let Some(url) = media.url.get() {
        add("media.url", "the server for network boot", &url.0, url.span);
    }
    for locations in [&media.kernel, &media.initrd].into_iter().filter_map(|locations| locations.get()) {
        for location in locations.value.values().filter(|location| location.0.contains("://")) {
            add("media", "the server for network boot", &location.0, locations.span);
        }
    }
    all
}

/// The host of `[SCHEME://]HOST[:PORT][/PATH]`.
pub fn host(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.split(['/', ':', '?', '#']).next().unwrap_or_default()
}
