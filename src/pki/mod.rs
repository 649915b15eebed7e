//! One seed → every key, certificate and secret of a cluster.
//!
//! Nothing is stored: the same seed, cluster name, purpose, node and generation always give the
//! same key ([`derive`]), and a certificate is a function of that key and of its content
//! ([`certificate`]). A config has a [`Reference`] in place of key material; a [`Keyring`] fills it
//! in.

mod certificate;
mod derive;
mod reference;
mod seed;
#[cfg(test)]
mod tests;
mod vault;

pub use reference::{Authority, Certificate, Form, Item, KeyName, Reference, Usage, Validity};
pub use seed::{Envelope, Seed, SeedError, create};
pub use vault::{Opened, Vault};

use crate::terms::SshKey;
use base64::Engine as _;
use p256::SecretKey;
use ssh_key::private::Ed25519Keypair;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

/// The seed for one cluster. Keys that many certificates need are derived once.
pub struct Keyring<'s> {
    seed: &'s Seed,
    cluster: &'s str,
    given: Opened,
    authorities: Mutex<HashMap<KeyName, Arc<SecretKey>>>,
}

impl<'s> Keyring<'s> {
    /// `given`: the secrets of the vault.
    pub fn new(seed: &'s Seed, cluster: &'s str, given: Opened) -> Self {
        Self { seed, cluster, given, authorities: Mutex::default() }
    }

    /// The text that replaces a reference in a sealed config.
    pub fn fill(&self, reference: &Reference) -> Zeroizing<String> {
        let text = self.text(&reference.item);
        match reference.form {
            Form::Plain => text,
            // Without dashes: iPXE takes a name that begins with one for an option.
            Form::Path => Zeroizing::new(text.replace(['+', '/'], "_")),
            Form::Base64 => Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(text.as_bytes())),
            Form::Json => Zeroizing::new(serde_json::Value::from(text.as_str()).to_string()),
        }
    }

    fn text(&self, item: &Item) -> Zeroizing<String> {
        match item {
            Item::Key(name) => derive::private_pem(&self.key(name)),
            Item::Public(names) => Zeroizing::new(names.iter().map(|name| derive::public_pem(&self.key(name))).collect()),
            Item::SshKey(SshKey::Ecdsa, name) => derive::private_pem(&self.key(name)),
            Item::SshKey(SshKey::Ed25519, name) => derive::private_ssh(self.ssh_key(name)),
            Item::SshPublic(SshKey::Ecdsa, name) => Zeroizing::new(derive::public_ecdsa(&self.key(name))),
            Item::SshPublic(SshKey::Ed25519, name) => Zeroizing::new(derive::public_ed25519(&self.ssh_key(name))),
            Item::Secret { name, bytes } => {
                Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(derive::secret(self.seed, self.cluster, name, *bytes)))
            }
            Item::Given { name, .. } => self.given.get(name).cloned().expect("the opened vault has every secret that is referred to"),
            Item::Bundle(authorities) => {
                let own = |authority: &Authority| certificate::authority(authority, &self.authority(authority));
                Zeroizing::new(authorities.iter().map(own).collect())
            }
            Item::Certificate(certificate) => {
                let issuer = self.authority(&certificate.authority);
                Zeroizing::new(certificate::leaf(certificate, &self.key(&certificate.key).public_key(), &issuer))
            }
        }
    }

    fn key(&self, name: &KeyName) -> SecretKey {
        derive::key(self.seed, self.cluster, name)
    }

    fn ssh_key(&self, name: &KeyName) -> Ed25519Keypair {
        derive::ssh_key(self.seed, self.cluster, name)
    }

    fn authority(&self, authority: &Authority) -> Arc<SecretKey> {
        let mut known = self.authorities.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        known.entry(authority.key.clone()).or_insert_with(|| Arc::new(self.key(&authority.key))).clone()
    }
}
