//! Secrets that can't be derived from the seed, such as a registry's password. Each is encrypted
//! with a key from the seed (XChaCha20-Poly1305, with its name authenticated), so it may be in git,
//! in a file next to the profile.

use super::{Seed, derive};
use crate::terms::hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::io;
use zeroize::Zeroizing;

const HEADER: &str = "\
# Secrets of the profile beside this file, each encrypted with the seed's key: they may lie in git.
# `remuda secret set NAME PROFILE` writes one; to remove one, delete its line.
";
const NONCE: usize = 24;

/// Encrypted secrets by name: nonce, then ciphertext.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vault(BTreeMap<String, Vec<u8>>);

/// The decrypted secrets of a vault.
pub type Opened = HashMap<String, Zeroizing<String>>;

impl Vault {
    /// Reads the text of a vault's file: `NAME: BASE64` on each line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut secrets = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = line.split_once(": ").and_then(|(name, value)| Some((name, STANDARD.decode(value.trim()).ok()?)));
            let Some((name, bytes)) = entry.filter(|(_, bytes)| bytes.len() > NONCE) else {
                return Err(format!("line {} isn't `NAME: BASE64`", index + 1));
            };
            if secrets.insert(name.to_owned(), bytes).is_some() {
                return Err(format!("line {}: {name} is a duplicate", index + 1));
            }
        }
        Ok(Self(secrets))
    }

    /// The file's text.
    pub fn text(&self) -> String {
        self.0.iter().fold(HEADER.to_owned(), |mut text, (name, bytes)| {
            let _ = writeln!(text, "{name}: {}", STANDARD.encode(bytes));
            text
        })
    }

    /// The names of its secrets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A digest of the encrypted secret, which reveals nothing about it.
    pub fn digest(&self, name: &str) -> Option<String> {
        let bytes = self.0.get(name)?;
        Some(hex(&Sha256::digest(bytes)[..8]))
    }

    /// Encrypts a secret. It replaces one with the same name.
    pub fn set(&mut self, seed: &Seed, name: &str, secret: &str) -> io::Result<()> {
        let mut sealed = vec![0; NONCE];
        getrandom::fill(&mut sealed).map_err(|error| io::Error::other(error.to_string()))?;
        let nonce = XNonce::try_from(&sealed[..]).expect("it has the length of a nonce");
        let payload = Payload { msg: secret.as_bytes(), aad: name.as_bytes() };
        let ciphertext = cipher(seed).encrypt(&nonce, payload).map_err(|_| io::Error::other("the secret is too long"))?;
        sealed.extend(ciphertext);
        self.0.insert(name.to_owned(), sealed);
        Ok(())
    }

    /// Decrypts all secrets. `Err` is the name of one that this seed can't decrypt.
    pub fn open(&self, seed: &Seed) -> Result<Opened, String> {
        let cipher = cipher(seed);
        let open = |name: &String, sealed: &Vec<u8>| {
            let nonce = XNonce::try_from(&sealed[..NONCE]).ok()?;
            let plain = cipher.decrypt(&nonce, Payload { msg: &sealed[NONCE..], aad: name.as_bytes() }).ok()?;
            String::from_utf8(plain).ok().map(Zeroizing::new)
        };
        self.0.iter().map(|(name, sealed)| open(name, sealed).map(|secret| (name.clone(), secret)).ok_or_else(|| name.clone())).collect()
    }
}

fn cipher(seed: &Seed) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new_from_slice(&*derive::vault(seed)).expect("the key has the cipher's length")
}
