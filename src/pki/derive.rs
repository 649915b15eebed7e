//! HKDF-SHA256 (RFC 5869) from the seed to keys.
//!
//! **These few lines must never change their results**: that would give every running cluster new
//! keys. The tests pin vectors of them.

use super::pair::Pair;
use super::{KeyName, Seed};
use base64::Engine as _;
use hkdf::Hkdf;
use p256::NistP256;
use p256::elliptic_curve::ALGORITHM_OID;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::pkcs8::{AlgorithmIdentifierRef, AssociatedOid, EncodePublicKey, LineEnding, PrivateKeyInfoRef, SecretDocument};
use sec1::EcPrivateKey;
use sha2::Sha256;
use ssh_key::private::Ed25519Keypair;
use ssh_key::{PrivateKey, PublicKey};
use x509_cert::der::Encode;
use x509_cert::der::asn1::OctetStringRef;
use x509_cert::der::pem::PemLabel;
use zeroize::Zeroizing;

const SALT: &[u8] = b"remuda pki 1";
/// Another version may seal otherwise, so its marks are others. To be raised when sealing the same gives other bytes;
/// a test pins both.
pub(super) const VERSION: &[u8] = concat!(env!("CARGO_PKG_VERSION"), " 1").as_bytes();

/// The pseudorandom key of a seed, which is the same for all keys.
pub(super) fn extract(seed: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(Hkdf::<Sha256>::extract(Some(SALT), seed).0.into())
}

/// Fills `bytes` for `kind` and `parts`. Each part is preceded by its length, so that other parts
/// give other bytes.
fn expand(seed: &Seed, kind: &str, parts: &[&[u8]], bytes: &mut [u8]) {
    let mut info = Vec::new();
    for part in [kind.as_bytes()].iter().chain(parts) {
        info.extend((part.len() as u64).to_be_bytes());
        info.extend(*part);
    }
    let expander = Hkdf::<Sha256>::from_prk(seed.key()).expect("it has the length of a hash");
    expander.expand(&info, bytes).expect("fewer than 255 blocks are requested");
}

/// The P-256 key pair of this name. Candidates are drawn until one is a scalar of the group (FIPS 186-5,
/// A.2.2); the first one fails once in 2³².
pub(super) fn key(seed: &Seed, cluster: &str, name: &KeyName) -> Pair {
    let generation = name.generation.to_be_bytes();
    let mut candidate = Zeroizing::new([0; 32]);
    for attempt in 0..=u8::MAX {
        let parts = [cluster.as_bytes(), name.purpose.as_bytes(), name.node.as_bytes(), &generation, &[attempt]];
        expand(seed, "p256", &parts, &mut *candidate);
        if let Some(pair) = Pair::of(&candidate) {
            return pair;
        }
    }
    unreachable!("256 candidates in a row outside the group: less likely than 2 to the minus 8000")
}

/// A secret of this name that isn't a key pair.
pub(super) fn secret(seed: &Seed, cluster: &str, name: &KeyName, bytes: usize) -> Zeroizing<Vec<u8>> {
    let mut secret = Zeroizing::new(vec![0; bytes]);
    let parts = [cluster.as_bytes(), name.purpose.as_bytes(), name.node.as_bytes(), &name.generation.to_be_bytes()];
    expand(seed, "secret", &parts, &mut secret);
    secret
}

/// The key that encrypts the secrets of a vault.
pub(super) fn vault(seed: &Seed) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    expand(seed, "vault", &[], &mut *key);
    key
}

/// Distinguishes seeds without revealing anything about them.
pub(super) fn fingerprint(seed: &Seed) -> [u8; 16] {
    let mut fingerprint = [0; 16];
    expand(seed, "fingerprint", &[], &mut fingerprint);
    fingerprint
}

/// The key of the marks of a cluster's sealed files.
pub(super) fn mark_key(seed: &Seed, cluster: &str) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    expand(seed, "mark", &[VERSION, cluster.as_bytes()], &mut *key);
    key
}

/// PKCS #8, with the public half. The curve's own crate writes the same, but computes the public half again.
pub(super) fn private_pem(key: &Pair) -> Zeroizing<String> {
    const SOUND: &str = "a P-256 key has a PKCS #8 form";
    let (private, public) = (key.secret(), key.public().to_sec1_point(false));
    let key = EcPrivateKey { private_key: &private, parameters: None, public_key: Some(public.as_bytes()) };
    let key = Zeroizing::new(key.to_der().expect(SOUND));
    let algorithm = AlgorithmIdentifierRef { oid: ALGORITHM_OID, parameters: Some((&NistP256::OID).into()) };
    let whole = PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&key).expect(SOUND));
    SecretDocument::encode_msg(&whole).and_then(|whole| whole.to_pem(PrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)).expect(SOUND)
}

pub(super) fn public_pem(key: &Pair) -> String {
    key.public().to_public_key_pem(LineEnding::LF).expect("a P-256 key has an SPKI form")
}

/// The Ed25519 key of this name, for ssh.
pub(super) fn ssh_key(seed: &Seed, cluster: &str, name: &KeyName) -> Ed25519Keypair {
    let mut bytes = Zeroizing::new([0; 32]);
    let parts = [cluster.as_bytes(), name.purpose.as_bytes(), name.node.as_bytes(), &name.generation.to_be_bytes()];
    expand(seed, "ed25519", &parts, &mut *bytes);
    Ed25519Keypair::from_seed(&bytes)
}

/// OpenSSH's own format: it knows no other for Ed25519.
pub(super) fn private_ssh(key: Ed25519Keypair) -> Zeroizing<String> {
    PrivateKey::from(key).to_openssh(ssh_key::LineEnding::LF).expect("an unencrypted key has a text")
}

/// The format of authorized_keys and ssh_host_ed25519_key.pub (RFC 8709, section 4).
pub(super) fn public_ed25519(key: &Ed25519Keypair) -> String {
    PublicKey::from(key.public).to_openssh().expect("a public key has a text") + "\n"
}

/// The format of authorized_keys and ssh_host_ecdsa_key.pub (RFC 5656, section 3.1).
pub(super) fn public_ecdsa(key: &Pair) -> String {
    const KIND: &str = "ecdsa-sha2-nistp256";
    let point = key.public().to_sec1_point(false);
    let mut blob = Vec::new();
    for part in [KIND.as_bytes(), b"nistp256", point.as_bytes()] {
        blob.extend((part.len() as u32).to_be_bytes());
        blob.extend(part);
    }
    format!("{KIND} {}\n", base64::engine::general_purpose::STANDARD.encode(blob))
}
