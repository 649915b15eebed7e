//! Certificates that end soon, or have ended. The clock affects only messages, never what is written.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::plan::Cluster;

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

/// `2026-01-31`, in UTC.
pub fn day(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "never".to_owned(), |time| time.strftime("%F").to_string())
}
