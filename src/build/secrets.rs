//! The vault next to a profile, and the keyring that seals.

use super::BuildError;
use crate::disk;
use crate::pki::{Keyring, Opened, Seed, Vault};
use crate::plan::Cluster;
use camino::Utf8Path;

/// The maximal size of a vault, in bytes.
const LARGEST: u64 = 1 << 20;

/// The content of a vault's file; empty if it doesn't exist.
pub fn read_vault(file: &Utf8Path) -> Result<Vault, BuildError> {
    let Some(text) = disk::read_text(file, LARGEST)? else { return Ok(Vault::default()) };
    Vault::parse(&text).map_err(|problem| BuildError::Vault { file: file.to_owned(), problem })
}

/// Decrypts a vault. Another seed than the one that encrypted it is an error.
pub fn open_vault(vault: &Vault, seed: &Seed) -> Result<Opened, BuildError> {
    vault.open(seed).map_err(|name| BuildError::OtherSeed { name, fingerprint: seed.fingerprint() })
}

/// Puts key material into this cluster's configs.
pub fn keyring<'s>(cluster: &'s Cluster, seed: &'s Seed) -> Result<Keyring<'s>, BuildError> {
    Ok(Keyring::new(seed, &cluster.name, open_vault(&cluster.vault, seed)?))
}
