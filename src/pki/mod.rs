//! One seed → every key, certificate and secret of a cluster.
//!
//! Nothing is stored: the same seed, cluster name, purpose, node and generation always give the
//! same key ([`derive`]), and a certificate is a function of that key and of its content
//! ([`certificate`]). A config has a [`Reference`] in place of key material; a [`Keyring`] fills it
//! in.

mod certificate;
mod derive;
mod pair;
mod reference;
mod seed;
#[cfg(test)]
mod tests;
mod vault;

pub use reference::{Authority, Certificate, Form, Item, KeyName, Reference, Usage, Validity};
pub use seed::{Envelope, Seed, SeedError, create};
pub use vault::{Opened, Vault};

use crate::terms::{SshKey, hex};
use base64::Engine as _;
use pair::Pair;
use ssh_key::private::Ed25519Keypair;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// The seed for one cluster.
pub struct Keyring<'s> {
    seed: &'s Seed,
    cluster: &'s str,
    given: Opened,
    mark_key: Zeroizing<[u8; 32]>,
    /// The key pairs of late: those of authorities, and of nodes that are being sealed.
    pairs: Mutex<HashMap<KeyName, Arc<Pair>>>,
    /// The certificates of authorities.
    authorities: Mutex<HashMap<Authority, Arc<str>>>,
}

/// The most key pairs that a keyring remembers. A node has about twenty.
const PAIRS: usize = 1024;

impl<'s> Keyring<'s> {
    /// `given`: the secrets of the vault.
    pub fn new(seed: &'s Seed, cluster: &'s str, given: Opened) -> Self {
        let mark_key = derive::mark_key(seed, cluster);
        Self { seed, cluster, given, mark_key, pairs: Mutex::default(), authorities: Mutex::default() }
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

    /// One mark of all these parts. It takes the seed to make one, and it reveals nothing about the parts.
    pub fn mark(&self, parts: &[&[u8]]) -> String {
        let mut mark = blake3::Hasher::new_keyed(&self.mark_key);
        for part in parts {
            mark.update(&(part.len() as u64).to_be_bytes()).update(part);
        }
        hex(&mark.finalize().as_bytes()[..16])
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
                Zeroizing::new(authorities.iter().map(|authority| self.authority(authority).to_string()).collect())
            }
            Item::Certificate(certificate) => {
                let (pair, signs) = (self.key(&certificate.key), self.key(&certificate.authority.key));
                Zeroizing::new(certificate::leaf(certificate, pair.public(), &signs))
            }
        }
    }

    /// Two threads may compute the same; neither waits for the other.
    fn key(&self, name: &KeyName) -> Arc<Pair> {
        if let Some(pair) = unpoisoned(&self.pairs).get(name) {
            return pair.clone();
        }
        let pair = Arc::new(derive::key(self.seed, self.cluster, name));
        let mut pairs = unpoisoned(&self.pairs);
        if pairs.len() >= PAIRS {
            pairs.clear();
        }
        pairs.insert(name.clone(), pair.clone());
        pair
    }

    fn authority(&self, authority: &Authority) -> Arc<str> {
        let mut known = unpoisoned(&self.authorities);
        known.entry(authority.clone()).or_insert_with(|| certificate::authority(authority, &self.key(&authority.key)).into()).clone()
    }

    fn ssh_key(&self, name: &KeyName) -> Ed25519Keypair {
        derive::ssh_key(self.seed, self.cluster, name)
    }
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
