//! The key material that a line's components need: its `pki` section.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::pki::Usage;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The `pki` section of a line. Each name is a purpose: keys are derived from it, and a profile can
/// raise its generation. Names must be unique.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pki {
    /// Certificate authorities. Their private keys are on no node.
    pub authorities: Vec<String>,
    /// By name; each has its own key pair.
    pub certificates: BTreeMap<String, CertificateSource>,
    /// Key pairs without a certificate, the same on all nodes.
    #[serde(default)]
    pub key_pairs: Vec<String>,
    /// Secrets that aren't keys, with their lengths in bytes; the same on all nodes.
    #[serde(default)]
    pub secrets: BTreeMap<String, usize>,
}

/// A certificate; its texts are templates.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateSource {
    /// The name of the authority that signs it.
    pub authority: String,
    /// The subject's common name.
    pub name: String,
    /// The subject's organization.
    pub organization: Option<String>,
    /// Addresses and DNS names. A text may render to several, separated by blanks.
    #[serde(default)]
    pub names: Vec<String>,
    /// What it is for; not empty.
    pub usage: Vec<Usage>,
    /// Whether the whole cluster shares it, instead of one for each node.
    #[serde(default)]
    pub shared: bool,
}

/// The meaning of a name with its suffix: `etcd-ca.crt`, `kubelet.key`, `service-account.pub`.
#[derive(Debug, Clone, Copy)]
pub enum KeyMaterial<'l> {
    /// An authority's certificates, of all accepted generations.
    Bundle,
    /// A certificate.
    Certificate(&'l CertificateSource),
    /// A private key.
    Key {
        /// Whether the whole cluster shares it, instead of one for each node.
        shared: bool,
    },
    /// The public halves of a key pair, of all accepted generations.
    Public,
    /// A secret.
    Secret {
        /// Its length.
        bytes: usize,
    },
}

impl Pki {
    /// The purpose and kind of `name`; `None` if `pki` doesn't make it. An authority's key is never available.
    pub fn find<'l>(&'l self, name: &'l str) -> Option<(&'l str, KeyMaterial<'l>)> {
        if let Some(bytes) = self.secrets.get(name) {
            return Some((name, KeyMaterial::Secret { bytes: *bytes }));
        }
        let (purpose, suffix) = name.rsplit_once('.')?;
        let has = |names: &[String]| names.iter().any(|one| one == purpose);
        let certificate = self.certificates.get(purpose);
        let kind = match (suffix, certificate) {
            ("crt", Some(certificate)) => KeyMaterial::Certificate(certificate),
            ("crt", None) if has(&self.authorities) => KeyMaterial::Bundle,
            ("key", Some(certificate)) => KeyMaterial::Key { shared: certificate.shared },
            ("key", None) if has(&self.key_pairs) => KeyMaterial::Key { shared: true },
            ("pub", None) if has(&self.key_pairs) => KeyMaterial::Public,
            _ => return None,
        };
        Some((purpose, kind))
    }

    /// All purposes that have a generation.
    pub fn purposes(&self) -> impl Iterator<Item = &str> {
        let lists = self.authorities.iter().chain(&self.key_pairs);
        lists.chain(self.certificates.keys()).chain(self.secrets.keys()).map(String::as_str)
    }

    /// Whether several generations of it can be accepted at a time.
    pub fn takes_trust(&self, purpose: &str) -> bool {
        !self.certificates.contains_key(purpose)
    }

    /// All texts that are templates.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.certificates.values().flat_map(|one| one.names.iter().chain([&one.name]).chain(&one.organization).map(String::as_str))
    }

    /// Reports what contradicts itself. Messages begin with `file`, the name of the line's file.
    pub fn check(&self, file: &str, found: &mut Diagnostics) {
        let mut wrong = |problem: String| found.push(Diagnostic::new(Code::Line, None, format!("{file}: {problem}")));
        let mut seen = BTreeSet::new();
        for purpose in self.purposes() {
            if !seen.insert(purpose) {
                wrong(format!("`pki` has {purpose} twice"));
            }
        }
        for (name, certificate) in &self.certificates {
            if !self.authorities.contains(&certificate.authority) {
                wrong(format!("the certificate {name} has the authority {}, which `pki` doesn't list", certificate.authority));
            }
            if certificate.usage.is_empty() {
                wrong(format!("the certificate {name} has no usage"));
            }
        }
        for (name, bytes) in &self.secrets {
            if !(16..=1024).contains(bytes) {
                wrong(format!("the secret {name} has {bytes} bytes, not 16 to 1024"));
            }
        }
    }
}
