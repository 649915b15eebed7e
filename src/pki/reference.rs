//! Descriptions of key material, without any of it: names, generations and the content of certificates.
//!
//! The config for git has a reference in place of key material. It changes exactly when the key
//! material does, so a diff in git names the nodes that a rotation affects.

use crate::terms::{SshKey, hex};
use ring::digest::SHA256;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The name of a key. Another cluster, purpose, node or generation has another key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct KeyName {
    /// `etcd-server`, `kubernetes-ca`, …
    pub purpose: String,
    /// The node that has its own key; empty if the whole cluster shares one.
    pub node: String,
    /// Counts from 1; raised to replace a key.
    pub generation: u32,
}

/// Seconds since 1970, in UTC; both ends are included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Validity {
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
}

/// A certificate authority.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Authority {
    /// The key that it is for.
    pub key: KeyName,
    /// Its common name.
    pub name: String,
    /// From when until when.
    pub validity: Validity,
}

/// What a certificate is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Usage {
    /// TLS servers.
    Server,
    /// TLS clients.
    Client,
}

/// A certificate that an authority signs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Certificate {
    /// The key that it is for.
    pub key: KeyName,
    /// Who signs it.
    pub authority: Authority,
    /// The subject's common name.
    pub name: String,
    /// The subject's organizations.
    pub organizations: Vec<String>,
    /// Addresses and DNS names.
    pub names: Vec<String>,
    /// What it is for.
    pub usage: Vec<Usage>,
    /// From when until when.
    pub validity: Validity,
}

/// One piece of key material.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub enum Item {
    /// A private key, PEM.
    Key(KeyName),
    /// Public keys, PEM: the first is in use, the others are also accepted.
    Public(Vec<KeyName>),
    /// A host key in a format that sshd reads.
    SshKey(SshKey, KeyName),
    /// Its public half, as known_hosts has it.
    SshPublic(SshKey, KeyName),
    /// Random bytes, as base64.
    /// Bytes from the seed.
    #[allow(missing_docs)] // Said above.
    Secret { name: KeyName, bytes: usize },
    /// A secret from the vault, and the digest of its ciphertext.
    /// A secret that a person gave, and the digest of its encrypted form.
    #[allow(missing_docs)] // Said above.
    Given { name: String, digest: String },
    /// Certificates of authorities, PEM: the first signs, the others are also accepted.
    Bundle(Vec<Authority>),
    /// A certificate, PEM.
    Certificate(Box<Certificate>),
}

impl Item {
    /// Whether each node has another.
    pub fn is_of_node(&self) -> bool {
        match self {
            Self::Key(name) | Self::SshKey(_, name) | Self::SshPublic(_, name) | Self::Secret { name, .. } => !name.node.is_empty(),
            Self::Public(names) => names.iter().any(|name| !name.node.is_empty()),
            Self::Certificate(certificate) => !certificate.key.node.is_empty(),
            Self::Given { .. } | Self::Bundle(_) => false,
        }
    }
}

/// How the material is encoded in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Form {
    /// As it is.
    Plain,
    /// The PEM text as base64, as a kubeconfig requires it.
    Base64,
    /// Base64 with the URL-safe alphabet (RFC 4648, section 5).
    Path,
    /// A JSON text, with its quotes.
    Json,
}

/// Key material by name: what stands in its place until a config is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Reference {
    /// The name in the release line: `etcd-server.crt`.
    pub name: String,
    /// What it is.
    pub item: Item,
    /// How it is written.
    pub form: Form,
}

impl fmt::Display for Reference {
    /// `sealed:kubelet.crt 1 of kubernetes-ca 2, 3f2a9c10d4e5b607`: name and generation; for a
    /// certificate also its authority and a digest of its content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sealed:{} ", self.name)?;
        let list = |f: &mut fmt::Formatter, generations: &mut dyn Iterator<Item = u32>| {
            generations.enumerate().try_for_each(|(index, generation)| {
                let plus = if index > 0 { "+" } else { "" };
                write!(f, "{plus}{generation}")
            })
        };
        match &self.item {
            Item::Key(name) | Item::SshKey(_, name) | Item::SshPublic(_, name) | Item::Secret { name, .. } => {
                write!(f, "{}", name.generation)
            }
            Item::Given { digest, .. } => f.write_str(digest),
            Item::Public(names) => list(f, &mut names.iter().map(|name| name.generation)),
            Item::Bundle(authorities) => {
                list(f, &mut authorities.iter().map(|authority| authority.key.generation))?;
                write!(f, ", {}", digest(&self.item))
            }
            Item::Certificate(certificate) => {
                let by = &certificate.authority.key;
                write!(f, "{} of {} {}, {}", certificate.key.generation, by.purpose, by.generation, digest(&self.item))
            }
        }
    }
}

/// The content of a certificate as unambiguous bytes, without its key.
fn digest(item: &Item) -> String {
    let mut all = Vec::with_capacity(1 << 10);
    let mut part = |text: &str| {
        all.extend((text.len() as u64).to_be_bytes());
        all.extend(text.as_bytes());
    };
    describe(item, &mut part);
    hex(&ring::digest::digest(&SHA256, &all).as_ref()[..8])
}

fn describe(item: &Item, part: &mut impl FnMut(&str)) {
    match item {
        Item::Bundle(authorities) => authorities.iter().for_each(|one| describe_authority(one, part)),
        Item::Certificate(one) => describe_certificate(one, part),
        _ => {}
    }
}

fn describe_key(key: &KeyName, part: &mut impl FnMut(&str)) {
    part(&key.purpose);
    part(&key.node);
    part(&key.generation.to_string());
}

pub(super) fn describe_authority(one: &Authority, part: &mut impl FnMut(&str)) {
    part("authority");
    describe_key(&one.key, part);
    part(&one.name);
    part(&format!("{} {}", one.validity.not_before, one.validity.not_after));
}

pub(super) fn describe_certificate(one: &Certificate, part: &mut impl FnMut(&str)) {
    part("certificate");
    describe_key(&one.key, part);
    describe_authority(&one.authority, part);
    part(&one.name);
    part(&one.organizations.join("\n"));
    part(&one.names.len().to_string());
    one.names.iter().for_each(|name| part(name));
    part(&format!("{:?} {} {}", one.usage, one.validity.not_before, one.validity.not_after));
}
