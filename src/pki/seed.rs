//! The seed: 32 bytes in a small text file that only its owner can read, or encrypted with age.

use super::derive;
use crate::disk::{self, DiskError};
use crate::terms::hex;
use age::secrecy::SecretString;
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;
use zeroize::Zeroizing;

const HEADER: &str = "\
# The seed of remuda clusters: every private key of theirs comes from the line below.
# Whoever reads it can become their administrator. Without it they can't be changed any more:
# keep a copy where a fire doesn't reach both. It belongs in git only when encrypted with age.
";
const WORD: &str = "remuda-seed-1";
/// The maximal size of a seed file, in bytes: enough for an encrypted one with a hundred recipients.
const LARGEST: u64 = 64 << 10;

/// What is wrong with a seed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum SeedError {
    #[error("{0} already exists; remuda never replaces a seed, because a new one would give every cluster other keys")]
    Exists(Utf8PathBuf),
    #[error(
        "{0} can be read by other users (mode {1:04o}); run `chmod 600 {0}`, and if there are other users on this machine, treat the seed as leaked"
    )]
    Readable(Utf8PathBuf, u32),
    #[error("{0} isn't a seed: {1}")]
    Broken(Utf8PathBuf, &'static str),
    #[error("{0} is encrypted; {1}")]
    Locked(Utf8PathBuf, String),
    #[error("{0:?} isn't an age recipient: {1}")]
    Recipient(String, &'static str),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The one secret.
pub struct Seed {
    bytes: Zeroizing<[u8; 32]>,
    /// What everything is expanded from.
    key: Zeroizing<[u8; 32]>,
}

/// How a new seed is stored.
pub enum Envelope {
    /// As it is, in a file that only its owner reads.
    Plain,
    /// Encrypted with a passphrase.
    Passphrase(SecretString),
    /// `age1…`
    Recipients(Vec<String>),
}

/// Makes a seed and writes it to `path`, with mode 0600 from its creation.
pub fn create(path: &Utf8Path, envelope: &Envelope) -> Result<Seed, SeedError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|error| io::Error::other(error.to_string()))?;
    let seed = Seed::from(bytes);
    let text = match envelope {
        Envelope::Plain => seed.text().as_bytes().to_vec(),
        Envelope::Passphrase(passphrase) => encrypt(&age::scrypt::Recipient::new(passphrase.clone()), &seed)?,
        Envelope::Recipients(recipients) => encrypt_to(recipients, &seed)?,
    };
    match disk::create(path, &Zeroizing::new(text), 0o600) {
        Err(problem) if problem.error.kind() == io::ErrorKind::AlreadyExists => Err(SeedError::Exists(path.to_owned())),
        Err(problem) => Err(problem.into()),
        Ok(()) => Ok(seed),
    }
}

fn encrypt(recipient: &impl age::Recipient, seed: &Seed) -> Result<Vec<u8>, SeedError> {
    let armored = age::encrypt_and_armor(recipient, seed.text().as_bytes()).map_err(io::Error::other)?;
    Ok(armored.into_bytes())
}

fn encrypt_to(recipients: &[String], seed: &Seed) -> Result<Vec<u8>, SeedError> {
    let parse = |text: &String| age::x25519::Recipient::from_str(text).map_err(|problem| SeedError::Recipient(text.clone(), problem));
    let recipients: Vec<_> = recipients.iter().map(parse).collect::<Result<_, _>>()?;
    let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|one| one as &dyn age::Recipient)).map_err(io::Error::other)?;
    let mut out = Vec::new();
    let armor = age::armor::ArmoredWriter::wrap_output(&mut out, age::armor::Format::AsciiArmor)?;
    let mut writer = encryptor.wrap_output(armor)?;
    writer.write_all(seed.text().as_bytes())?;
    writer.finish().and_then(|armor| armor.finish())?;
    Ok(out)
}

impl Seed {
    /// Reads a seed file. An encrypted one is decrypted with a key of `identities`, a file as
    /// age-keygen writes it, or with the result of `passphrase`.
    pub fn read(
        path: &Utf8Path,
        identities: Option<&Utf8Path>,
        passphrase: impl FnOnce() -> io::Result<SecretString>,
    ) -> Result<Self, SeedError> {
        // From here on, the memory contains secrets: no other process may read it.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let mut file = fs_err::File::open(path)?;
        let there = file.metadata()?;
        if !there.is_file() || there.len() > LARGEST {
            return Err(SeedError::Broken(path.to_owned(), "it isn't a small file"));
        }
        let mut text = Zeroizing::new(Vec::with_capacity(there.len() as usize + 1));
        Read::take(&mut file, LARGEST).read_to_end(&mut text)?;
        if text.starts_with(b"-----BEGIN AGE") || text.starts_with(b"age-encryption.org/") {
            let plain = decrypt(path, &text, identities, passphrase)?;
            return Self::parse(&plain).map_err(|problem| SeedError::Broken(path.to_owned(), problem));
        }
        if there.mode() & 0o077 != 0 {
            return Err(SeedError::Readable(path.to_owned(), there.mode() & 0o777));
        }
        Self::parse(&text).map_err(|problem| SeedError::Broken(path.to_owned(), problem))
    }

    /// `remuda-seed-1:HEX:CHECK`, after comments.
    fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(text).map_err(|_| "it isn't text")?;
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (Some(line), None) = (lines.next(), lines.next()) else { return Err("it must have exactly one line besides comments") };
        let mut parts = line.split(':');
        if parts.next() != Some(WORD) {
            return Err("its line doesn't begin with remuda-seed-1");
        }
        let (Some(hex), Some(check), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err("its line doesn't have three parts");
        };
        let mut bytes = Zeroizing::new([0; 32]);
        if hex.len() != 64 || !hex.is_ascii() {
            return Err("it doesn't have 64 hexadecimal digits");
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[index * 2..index * 2 + 2], 16).map_err(|_| "it doesn't have 64 hexadecimal digits")?;
        }
        if checksum(&bytes) != check {
            return Err("its check digits don't match: a digit was changed or lost");
        }
        Ok(Self::from(bytes))
    }

    fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(HEADER.len() + 128));
        text.push_str(HEADER);
        text.push_str(WORD);
        text.push(':');
        for byte in self.bytes.iter() {
            text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or_default());
            text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or_default());
        }
        text.push(':');
        text.push_str(&checksum(&self.bytes));
        text.push('\n');
        text
    }

    /// The fingerprint in the manifest, which identifies the seed. The seed can't be computed from it.
    pub fn fingerprint(&self) -> String {
        hex(&derive::fingerprint(self))
    }

    pub(super) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    #[cfg(test)]
    pub(crate) fn of(bytes: [u8; 32]) -> Self {
        Self::from(Zeroizing::new(bytes))
    }
}

impl From<Zeroizing<[u8; 32]>> for Seed {
    fn from(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self { key: derive::extract(&bytes), bytes }
    }
}

/// Four bytes of SHA-256 over the format's name and the seed's bytes, to find typing errors.
fn checksum(bytes: &[u8; 32]) -> String {
    let digest = Sha256::new_with_prefix(WORD).chain_update(bytes).finalize();
    hex(&digest[..4])
}

fn decrypt(
    path: &Utf8Path,
    text: &[u8],
    identities: Option<&Utf8Path>,
    passphrase: impl FnOnce() -> io::Result<SecretString>,
) -> Result<Zeroizing<Vec<u8>>, SeedError> {
    let locked = |why: String| SeedError::Locked(path.to_owned(), why);
    let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(text)).map_err(|error| locked(error.to_string()))?;
    let identities: Vec<Box<dyn age::Identity>> = match (decryptor.is_scrypt(), identities) {
        (true, _) => {
            let passphrase = passphrase().map_err(|error| locked(error.to_string()))?;
            vec![Box::new(age::scrypt::Identity::new(passphrase))]
        }
        (false, None) => return Err(locked("name the file with your age key with `--identity`".to_owned())),
        (false, Some(file)) => {
            let read = age::IdentityFile::from_file(file.to_string()).map_err(|error| locked(format!("{file}: {error}")))?;
            let identities = read.into_identities().map_err(|error| locked(format!("{file}: {error}")))?;
            identities.into_iter().map(|identity| identity as Box<dyn age::Identity>).collect()
        }
    };
    let mut plain = Zeroizing::new(Vec::with_capacity(4096));
    let mut reader = decryptor
        .decrypt(identities.iter().map(|identity| &**identity as &dyn age::Identity))
        .map_err(|error| locked(format!("it can't be decrypted: {error}")))?;
    reader.by_ref().take(LARGEST).read_to_end(&mut plain)?;
    Ok(plain)
}
