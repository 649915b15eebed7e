//! Selects keys: the generations in use and the accepted ones, and the validity of certificates.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, closest};
use crate::line::Line;
use crate::pki::Validity;
use crate::plan::cluster::{Pki, PkiUser};
use crate::profile::{Day, Lifetime, Profile, is_user};
use crate::yaml::Scalar;
use std::collections::BTreeMap;

/// More accepted generations than this at a time are a mistake.
const MOST_TRUSTED: usize = 8;

pub(crate) fn decide(profile: &Profile, line: &Line, found: &mut Diagnostics) -> Pki {
    let given = &profile.pki;
    let not_before = given.not_before.value().copied().unwrap_or_else(|| Day::parse("2025-01-01").expect("a day"));
    let lifetime = given.lifetime.value().cloned().unwrap_or_else(|| Lifetime("20y".to_owned()));
    let generation = given.generation.value().map_or(1, |generation| generation.0);
    let mut purposes = BTreeMap::new();
    for (purpose, one) in given.purposes.iter() {
        if !line.pki.purposes().any(|known| known == purpose.value) {
            let help = match closest(&purpose.value, line.pki.purposes()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("{} has {}", line.name, line.pki.purposes().collect::<Vec<_>>().join(", ")),
            };
            found.push(
                Diagnostic::new(Code::UnknownPurpose, purpose.span, format!("`{}` isn't the purpose of a key", purpose.value))
                    .why("no key would change")
                    .help(help),
            );
            continue;
        }
        let mut generations = vec![one.generation.value().map_or(generation, |generation| generation.0)];
        for trusted in one.trust.iter() {
            let problem = if !line.pki.takes_trust(&purpose.value) {
                "a certificate is accepted because of its authority, not because of its generation".to_owned()
            } else if generations.contains(&trusted.value.0) {
                format!("generation {} is already accepted", trusted.value.0)
            } else if generations.len() > MOST_TRUSTED {
                format!("more than {MOST_TRUSTED} generations are accepted in addition to the one in use")
            } else {
                generations.push(trusted.value.0);
                continue;
            };
            found.push(
                Diagnostic::new(Code::Trust, trusted.span, problem)
                    .why("it would change nothing on a node, or keep accepting old keys")
                    .help("remove it"),
            );
        }
        purposes.insert(purpose.value.clone(), generations);
    }
    Pki {
        users: users(profile, line, (not_before, &lifetime), found),
        validity: validity_of(not_before, &lifetime),
        span: given.lifetime.span().or(given.not_before.span()),
        generation,
        purposes,
        ssh_host_keys: given.ssh_host_keys.value().is_some_and(|flag| flag.0),
    }
}

fn validity_of(not_before: Day, lifetime: &Lifetime) -> Validity {
    Validity { not_before: not_before.seconds(), not_after: lifetime.end(not_before).seconds() - 1 }
}

/// The people and programs that use the API; `default` is what the cluster's certificates have.
fn users(profile: &Profile, line: &Line, default: (Day, &Lifetime), found: &mut Diagnostics) -> Vec<PkiUser> {
    let given = &profile.pki.users;
    if let (Some((name, _)), None) = (given.iter().next(), &line.user_file) {
        found.push(
            Diagnostic::new(Code::NoUsers, name.span, format!("{} knows no users", line.name))
                .why("its API server asks nobody who they are")
                .help("remove `users`"),
        );
    }
    let mut users = Vec::new();
    for (name, user) in given.iter() {
        let reserved = user.groups.iter().find(|group| group.value.0.starts_with("system:"));
        if let Err(problem) =
            is_user(&name.value).and_then(|()| if name.value.contains(':') { Err(format!("`{}` has a colon", name.value)) } else { Ok(()) })
        {
            found.push(
                Diagnostic::new(Code::InvalidName, name.span, problem)
                    .why("the name is that of a file and of a user in role bindings; `system:…` is Kubernetes' own")
                    .help("use letters, digits and `-_.@`"),
            );
            continue;
        }
        if let Some(group) = reserved {
            found.push(
                Diagnostic::new(
                    Code::ReservedGroup,
                    group.span,
                    format!("{} would be in `{}`, a group of Kubernetes itself", name.value, group.value.0),
                )
                .why("its rights are built in: until the certificate ends, nothing can take them away")
                .help("use a group of your own, and bind it to a role: `kubectl create clusterrolebinding …`"),
            );
        }
        let (not_before, lifetime) = (user.not_before.value().copied().unwrap_or(default.0), user.lifetime.value().unwrap_or(default.1));
        users.push(PkiUser {
            name: name.value.clone(),
            groups: user.groups.values().map(|group| group.0.clone()).collect(),
            validity: validity_of(not_before, lifetime),
            span: user.lifetime.span().or(name.span),
            generation: user.generation.value().map_or(1, |generation| generation.0),
        });
    }
    users
}
