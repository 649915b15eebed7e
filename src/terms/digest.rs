//! A digest that identifies content: `sha256:…` or `sha512:…`, as the OCI writes it.

use ring::digest::{Context, SHA256, SHA512};
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

/// `ALGORITHM:HEX`, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(String);

/// A text that is no digest.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` isn't a sha256 or sha512 digest")]
pub struct NoDigest(String);

impl Digest {
    /// A SHA-256 from its 64 digits.
    pub fn sha256_of_hex(hex: &str) -> Self {
        Self(format!("sha256:{hex}"))
    }

    /// The SHA-256 of the bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::sha256_of_hex(&sha256(bytes))
    }

    /// `ALGORITHM:HEX`
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a SHA-256.
    pub fn is_sha256(&self) -> bool {
        self.0.starts_with("sha256:")
    }

    /// Only the digits.
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }
}

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let (algorithm, hex) = text.split_once(':').unwrap_or_default();
        let digits = match algorithm {
            "sha256" => 64,
            "sha512" => 128,
            _ => return Err(NoDigest(text.to_owned())),
        };
        let is_hex = hex.len() == digits && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_hex { Ok(Self(text.to_owned())) } else { Err(NoDigest(text.to_owned())) }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The SHA-256 of `bytes`, as 64 digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&SHA256, bytes).as_ref())
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |number: u8| char::from(b"0123456789abcdef"[usize::from(number)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Hashes with a digest's algorithm.
#[derive(Clone)]
pub struct Hasher(Context);

impl Hasher {
    /// SHA-256.
    pub fn sha256() -> Self {
        Self(Context::new(&SHA256))
    }

    /// For content that must have `digest`.
    pub fn like(digest: &Digest) -> Self {
        Self(Context::new(if digest.is_sha256() { &SHA256 } else { &SHA512 }))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that `from` gives.
    pub fn all(mut self, from: &mut impl Read) -> io::Result<Digest> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            match from.read(&mut buffer)? {
                0 => return Ok(self.finish()),
                got => self.update(&buffer[..got]),
            }
        }
    }

    /// The digest of all of them.
    pub fn finish(self) -> Digest {
        let hash = self.0.finish();
        let name = if *hash.algorithm() == SHA256 { "sha256" } else { "sha512" };
        Digest(format!("{name}:{}", hex(hash.as_ref())))
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
