//! P-256 key pairs and their signatures, by RFC 6979: the same key and text give the same bytes.
//!
//! Each takes one multiplication of the curve's base point, and most of its time is in that. graviola has it in verified
//! assembly, for processors of the last ten years; on others, the `p256` crate does it, as it does everything else here.
//! Both take the same time whatever the key.

use p256::ecdsa::signature::{Keypair, Signer};
use p256::ecdsa::{DerSignature, Error, Signature};
use p256::elliptic_curve::ops::{Invert, Reduce};
use p256::elliptic_curve::point::AffineCoordinates;
use p256::pkcs8::ObjectIdentifier;
use p256::pkcs8::spki::{self, AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier};
use p256::{FieldBytes, NonZeroScalar, PublicKey, Scalar};
use ring::digest::{SHA256, digest};
use ring::hmac::{self, HMAC_SHA256};
use zeroize::{Zeroize, Zeroizing};

const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// A private key and its public half.
pub(super) struct Pair {
    secret: NonZeroScalar,
    public: PublicKey,
}

impl Pair {
    /// `None` if the number isn't a scalar of the group.
    pub(super) fn of(number: &[u8; 32]) -> Option<Self> {
        let secret = NonZeroScalar::from_repr((*number).into()).into_option()?;
        Some(Self { public: times_base(&secret), secret })
    }

    /// The private key.
    pub(super) fn secret(&self) -> Zeroizing<FieldBytes> {
        Zeroizing::new(self.secret.into())
    }

    /// Its public half.
    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a SHA-256 (FIPS 186-5, 6.4.1).
    fn signed(&self, hash: &[u8; 32]) -> Signature {
        let message = Scalar::reduce(&FieldBytes::from(*hash));
        let mut numbers = Numbers::new(&self.secret(), &FieldBytes::from(message));
        loop {
            let Some(k) = NonZeroScalar::from_repr((*numbers.next()).into()).into_option().map(Zeroizing::new) else { continue };
            let r = Scalar::reduce(&times_base(&k).as_affine().x());
            let s = *Invert::invert(&*k) * (message + r * *self.secret);
            if let Ok(signature) = Signature::from_scalars(r, s) {
                return signature;
            }
        }
    }
}

/// The numbers that RFC 6979, 3.2, draws for a private key and a message; the first that fits is taken.
struct Numbers {
    key: hmac::Key,
    value: Zeroizing<[u8; 32]>,
    is_new: bool,
}

impl Numbers {
    fn new(secret: &[u8], message: &[u8]) -> Self {
        let mut all = Self { key: hmac::Key::new(HMAC_SHA256, &[0; 32]), value: Zeroizing::new([1; 32]), is_new: true };
        all.mix(&[&[0], secret, message]);
        all.mix(&[&[1], secret, message]);
        all
    }

    fn next(&mut self) -> &[u8; 32] {
        if !std::mem::take(&mut self.is_new) {
            self.mix(&[&[0]]);
        }
        self.step();
        &self.value
    }

    /// Another key, and the value after it.
    fn mix(&mut self, parts: &[&[u8]]) {
        let mut mixed = hmac::Context::with_key(&self.key);
        mixed.update(&*self.value);
        parts.iter().for_each(|part| mixed.update(part));
        self.key = hmac::Key::new(HMAC_SHA256, mixed.sign().as_ref());
        self.step();
    }

    fn step(&mut self) {
        let next = hmac::sign(&self.key, &*self.value);
        self.value.copy_from_slice(next.as_ref());
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// The base point, `scalar` times.
fn times_base(scalar: &NonZeroScalar) -> PublicKey {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if has_instructions() {
        let bytes = Zeroizing::new(FieldBytes::from(*scalar));
        let key = graviola::key_agreement::p256::StaticPrivateKey::from_bytes(&bytes).expect("it is a scalar of the group");
        return PublicKey::from_sec1_bytes(&key.public_key_uncompressed()).expect("it is a point of the curve");
    }
    PublicKey::from_secret_scalar(scalar)
}

/// Whether the processor has what graviola 0.4 asserts (`src/low/*/cpu.rs`), and the `mulx` that comes with it.
#[cfg(target_arch = "x86_64")]
fn has_instructions() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("adx") && has!("aes") && has!("avx") && has!("avx2") && has!("bmi1") && has!("bmi2") && has!("pclmulqdq")
}

/// The same.
#[cfg(target_arch = "aarch64")]
fn has_instructions() -> bool {
    use std::arch::is_aarch64_feature_detected as has;
    has!("neon") && has!("aes") && has!("pmull") && has!("sha2")
}

impl Keypair for Pair {
    type VerifyingKey = PublicKey;

    fn verifying_key(&self) -> PublicKey {
        self.public
    }
}

impl DynSignatureAlgorithmIdentifier for Pair {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        Ok(AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None })
    }
}

impl Signer<DerSignature> for Pair {
    fn try_sign(&self, text: &[u8]) -> Result<DerSignature, Error> {
        let hash = digest(&SHA256, text).as_ref().try_into().expect("a SHA-256 has 32 bytes");
        Ok(self.signed(&hash).to_der())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::SigningKey;
    use p256::elliptic_curve::Curve;
    use p256::{NistP256, ProjectivePoint, U256};
    use rfc6979::KGenerator;
    use sha2::{Digest, Sha256};

    /// Whatever the processor has: keys and signatures are those of the `p256` crate.
    #[test]
    fn both_ways_give_the_same() {
        for number in 0..500_u32 {
            let secret: [u8; 32] = Sha256::digest(number.to_be_bytes()).into();
            let (pair, other) = (Pair::of(&secret).unwrap(), SigningKey::from_slice(&secret).unwrap());
            assert_eq!(*pair.public(), other.verifying_key().into());
            assert_eq!(*pair.public(), PublicKey::from_secret_scalar(&pair.secret));
            let text = number.to_le_bytes();
            let (ours, theirs): (DerSignature, DerSignature) = (pair.sign(&text), other.sign(&text));
            assert_eq!(ours.as_bytes(), theirs.as_bytes());
        }
    }

    /// Where a number doesn't fit, the next ones are the standard's too: here of a group in which every other fits.
    #[test]
    fn all_numbers_are_those_of_the_standard() {
        let (secret, message, order) = ([7; 32], [9; 32], U256::ONE << 255);
        let (mut ours, mut theirs) = (Numbers::new(&secret, &message), KGenerator::<Sha256, U256>::new(&secret, &message, &[], &order));
        for _ in 0..50 {
            let mut number = [0; 32];
            theirs.fill_next_k(&mut number);
            while *ours.next() != number {
                assert!(ours.value[0] >= 0x80, "it fits, so it is taken");
            }
        }
    }

    #[test]
    fn a_number_outside_the_group_is_no_key() {
        let order: [u8; 32] = NistP256::ORDER.to_be_bytes().into();
        assert!(Pair::of(&[0; 32]).is_none() && Pair::of(&order).is_none() && Pair::of(&[0xff; 32]).is_none());
        // One and the order less one: the base point and its negative.
        let (mut one, mut last) = ([0; 32], order);
        (one[31], last[31]) = (1, last[31] - 1);
        let [one, last] = [one, last].map(|number| Pair::of(&number).unwrap().public().to_projective());
        assert_eq!((one, last), (ProjectivePoint::GENERATOR, -ProjectivePoint::GENERATOR));
    }
}
