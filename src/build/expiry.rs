//! Certificates, and which of them end soon or have ended. The clock affects only messages, never what is written.

use super::BuildError;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::node::{Contexts, Keys};
use crate::pki::Certificate;
use crate::plan::{Cluster, Content};

/// How long before the end the warnings start, in seconds.
const MONTH: i64 = 30 * 24 * 3600;

/// Certificates that, at `now` (in seconds since 1970), aren't valid yet or end within a month.
pub fn expiring(cluster: &Cluster, now: i64) -> Diagnostics {
    let mut found = Diagnostics::default();
    let (validity, span) = (cluster.pki.validity, cluster.pki.span);
    if validity.not_before > now {
        found.push(
            Diagnostic::new(Code::CertificatesBegin, span, format!("no certificate is valid before {}", day(validity.not_before)))
                .why("until then, no component accepts another one, and nobody can log in")
                .help("set an earlier `pki.not_before`, also for nodes whose clock is behind"),
        );
    }
    let left = validity.not_after - now;
    if left < MONTH {
        let end = day(validity.not_after);
        let (code, says) = match left < 0 {
            true => (Code::CertificatesEnded, format!("all certificates ended on {end}")),
            false => (Code::CertificatesEnd, format!("all certificates end on {end}")),
        };
        found.push(Diagnostic::new(code, span, says).why("from then on, no component accepts another one, and nobody can log in").help(
            "set a later `pki.not_before` or a longer `pki.lifetime`, run `remuda gen`, and restart the nodes with their new configs",
        ));
    }
    for user in &cluster.pki.users {
        let (left, end) = (user.validity.not_after - now, day(user.validity.not_after));
        if left < MONTH {
            let says = if left < 0 {
                format!("the certificate of {} ended on {end}", user.name)
            } else {
                format!("the certificate of {} ends on {end}", user.name)
            };
            found.push(
                Diagnostic::new(Code::UserEnds, user.span, says)
                    .why("from then on, the API server accepts it no more")
                    .help("set a later `not_before` and run `remuda gen`, or remove the user"),
            );
        }
    }
    found
}

/// Every certificate of every node, then those of the whole cluster.
pub fn certificates(cluster: &Cluster) -> Result<Vec<Certificate>, BuildError> {
    let contexts = Contexts::new(cluster);
    let mut all = Vec::new();
    for of in cluster.node_refs() {
        let context = contexts.node(of);
        let keys = Keys { cluster, node: &of.node.name, context: &context, user: None };
        let purposes = of.class.files.iter().filter_map(|file| match &file.content {
            Content::Sealed(name) => name.strip_suffix(".crt"),
            _ => None,
        });
        for purpose in purposes {
            if let Some(source) = cluster.line.pki.certificates.get(purpose) {
                all.push(keys.certificate(purpose, source).map_err(BuildError::Template)?);
            }
        }
    }
    let context = contexts.shared();
    let keys = Keys { cluster, node: "", context: &context, user: None };
    for (purpose, source) in cluster.line.pki.certificates.iter().filter(|(_, source)| source.shared) {
        all.push(keys.certificate(purpose, source).map_err(BuildError::Template)?);
    }
    for user in &cluster.pki.users {
        all.push(keys.of_user(user).map_err(BuildError::Template)?);
    }
    Ok(all)
}

/// `2026-01-31`, in UTC.
pub fn day(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "never".to_owned(), |time| time.strftime("%F").to_string())
}
