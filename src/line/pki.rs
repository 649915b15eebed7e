//! What key material a line's components need, as its `pki` section writes it.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::pki::Usage;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The `pki` section of a line. Each name is a purpose: keys are derived from it, and a profile can raise its
/// generation. None may be there twice.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pki {
    /// Certificate authorities. Their private keys are on no node.
    pub authorities: Vec<String>,
    /// By name; each has a key pair of its own.
    pub certificates: BTreeMap<String, CertificateSource>,
    /// Key pairs without a certificate; all nodes have the same.
    #[serde(default)]
    pub key_pairs: Vec<String>,
    /// Secrets that are no keys, and how many bytes each has; all nodes have the same.
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
    /// Addresses and DNS names; one text may render to several, with blanks between them.
    #[serde(default)]
    pub names: Vec<String>,
    /// What it is for; not empty.
    pub usage: Vec<Usage>,
    /// The cluster has one of it, instead of each node its own.
    #[serde(default)]
    pub shared: bool,
}

/// What a name with its suffix stands for: `etcd-ca.crt`, `kubelet.key`, `service-account.pub`.
#[derive(Debug, Clone, Copy)]
pub enum KeyMaterial<'l> {
    /// An authority's certificates, of all accepted generations.
    Bundle,
    /// A certificate.
    Certificate(&'l CertificateSource),
    /// A private key.
    Key {
        /// Whether the cluster has one of it, instead of each node its own.
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
    /// The purpose and kind of `name`; `None` if nothing makes it. An authority's key is never given.
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

    /// All names that a generation can be set for.
    pub fn purposes(&self) -> impl Iterator<Item = &str> {
        let lists = self.authorities.iter().chain(&self.key_pairs);
        lists.chain(self.certificates.keys()).chain(self.secrets.keys()).map(String::as_str)
    }

    /// Whether more than one generation of it can be accepted at a time.
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
