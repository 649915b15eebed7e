//! Proxies: what doesn't use them.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::plan::cluster::ClusterNetwork;
use crate::plan::decide::fleet::Fleet;
use crate::plan::decide::servers::host;
use crate::profile::Profile;
use crate::yaml::Field;

const VARIABLES: [&str; 3] = ["http_proxy", "https_proxy", "no_proxy"];

/// Reports a proxy that doesn't reach everything that needs it.
pub(crate) fn check(profile: &Profile, fleet: &Fleet, network: Option<&ClusterNetwork>, found: &mut Diagnostics) {
    for settings in fleet.classes.iter().map(|kind| &kind.settings) {
        let names = settings.environment.iter().map(|(name, _)| name);
        for name in names.filter(|name| VARIABLES.contains(&name.value.to_ascii_lowercase().as_str())) {
            found.push(
                Diagnostic::new(Code::ProxyInEnvironment, name.span, format!("`{}` is set in `environment`", name.value))
                    .why("user Docker and the console get it, but not system-docker, which pulls all other images")
                    .help("write `network: {proxy: {http: URL, no_proxy: […]}}`"),
            );
        }
    }
    let given = &profile.network.proxy;
    if let (Some(first), true, true) = (given.no_proxy.iter().next(), given.http.is_absent(), given.https.is_absent()) {
        found.push(
            Diagnostic::new(Code::NoEffect, first.span, "`no_proxy` is set, but no proxy")
                .why("everything is reached without a proxy anyway")
                .help("add `http: http://HOST:PORT`, or remove it"),
        );
    }
    let Some(proxy) = network.and_then(|network| network.proxy.as_ref()) else { return };
    if let Some(url) = profile.etcd.bootstrap.discovery.get().filter(|url| !proxy.spares(host(&url.0))) {
        found.push(
            Diagnostic::new(Code::DirectDiscovery, url.span, format!("etcd asks {} without the proxy", host(&url.0)))
                .why("where nodes reach nothing outside without the proxy, they would wait for the discovery service indefinitely")
                .help("use a discovery service that the nodes reach, and add its host to `network.proxy.no_proxy`; or name the members"),
        );
    }
}
