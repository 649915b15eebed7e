//! Certificates, signed by RFC 6979: the same key and content give the same bytes.

use super::pair::Pair;
use super::reference::{describe_authority, describe_certificate};
use super::{Authority, Certificate, Usage, Validity};
use p256::PublicKey;
use p256::ecdsa::DerSignature;
use p256::ecdsa::signature::Signer;
use p256::pkcs8::spki::{DynSignatureAlgorithmIdentifier, SignatureBitStringEncoding};
use p256::pkcs8::{EncodePublicKey, LineEnding, ObjectIdentifier};
use ring::digest::{SHA256, digest};
use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder, Result};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::{GeneralizedTime, Ia5String, OctetString, SetOfVec, UtcTime};
use x509_cert::der::pem::{self, PemLabel};
use x509_cert::der::{self, Any, Encode, Tag};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use x509_cert::time::Time;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// An authority's own certificate, PEM. The authority signs only leaf certificates.
pub(super) fn authority(authority: &Authority, key: &Pair) -> String {
    let words = Words { subject: name(&authority.name, &[]), issuer: None, leaf: None };
    let mut content = Vec::new();
    describe_authority(authority, &mut |text| add(&mut content, text));
    build(words, content, authority.validity, key.public(), key)
}

/// A certificate for `public`, signed with the authority's `key`, PEM.
pub(super) fn leaf(certificate: &Certificate, public: &PublicKey, key: &Pair) -> String {
    let words = Words {
        subject: name(&certificate.name, &certificate.organizations),
        issuer: Some(name(&certificate.authority.name, &[])),
        leaf: Some(certificate),
    };
    let mut content = Vec::with_capacity(1 << 10);
    describe_certificate(certificate, &mut |text| add(&mut content, text));
    build(words, content, certificate.validity, public, key)
}

/// Adds a text and its length to the content of which a serial number is made.
fn add(content: &mut Vec<u8>, text: &str) {
    write!(content, "{} {text}", text.len()).expect("a vector takes everything");
}

fn build(words: Words, mut content: Vec<u8>, validity: Validity, public: &PublicKey, key: &Pair) -> String {
    const SOUND: &str = "names and dates were checked when the profile was read";
    let spki = SubjectPublicKeyInfo::from_key(public).expect(SOUND);
    content.extend(public.to_public_key_der().expect(SOUND).as_bytes());
    // Positive, and of 16 bytes: RFC 5280 requires at most 20 and forbids zero.
    let mut serial: [u8; 16] = digest(&SHA256, &content).as_ref()[..16].try_into().expect("a hash has 32 bytes");
    serial[0] = serial[0] & 0x7f | 0x40;
    let validity = x509_cert::time::Validity::new(time(validity.not_before), time(validity.not_after));
    let serial = SerialNumber::new(&serial).expect(SOUND);
    let mut builder = CertificateBuilder::new(words, serial, validity, spki).expect(SOUND);
    signed(&builder.finalize(key).expect(SOUND), key).expect(SOUND)
}

/// The PEM of `content` and the signature of it (RFC 5280, section 4.1). `builder.build` would write the content twice more.
fn signed(content: &[u8], key: &Pair) -> Result<String> {
    let signature: DerSignature = key.try_sign(content)?;
    let algorithm = key.signature_algorithm_identifier()?.to_der()?;
    let all = [content, &algorithm, &signature.to_bitstring()?.to_der()?].concat();
    let all = Any::new(Tag::Sequence, all)?.to_der()?;
    Ok(pem::encode_string(x509_cert::Certificate::PEM_LABEL, LineEnding::LF, &all).map_err(der::Error::from)?)
}

/// UTCTime until 2049, GeneralizedTime from then on (RFC 5280, section 4.1.2.5).
fn time(seconds: i64) -> Time {
    let since = Duration::from_secs(seconds.max(0) as u64);
    match UtcTime::from_unix_duration(since) {
        Ok(time) => Time::UtcTime(time),
        Err(_) => Time::GeneralTime(GeneralizedTime::from_unix_duration(since).expect("dates end before the year 9999")),
    }
}

fn name(common: &str, organizations: &[String]) -> Name {
    let part = |(oid, text): (ObjectIdentifier, &str)| {
        let value = Any::new(Tag::Utf8String, text.as_bytes()).expect("a name is short");
        let set = SetOfVec::try_from(vec![AttributeTypeAndValue { oid, value }]).expect("one is a set");
        RelativeDistinguishedName::from(set)
    };
    let parts = organizations.iter().map(|text| (ORGANIZATION, text.as_str())).chain([(COMMON_NAME, common)]);
    Name::hazmat_from_rdn_sequence(RdnSequence::from(parts.map(part).collect::<Vec<_>>()))
}

/// The content of a certificate besides key, serial number and dates.
struct Words<'c> {
    subject: Name,
    /// `None` for an authority, which signs itself.
    issuer: Option<Name>,
    leaf: Option<&'c Certificate>,
}

impl BuilderProfile for Words<'_> {
    fn get_issuer(&self, subject: &Name) -> Name {
        self.issuer.as_ref().unwrap_or(subject).clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        own: SubjectPublicKeyInfoRef<'_>,
        issuer: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> Result<Vec<Extension>> {
        let mut all = Vec::new();
        let mut add = |extension: Extension| all.push(extension);
        let none: [Extension; 0] = [];
        let Some(leaf) = self.leaf else {
            add(BasicConstraints { ca: true, path_len_constraint: Some(0) }.to_extension(tbs.subject(), &none)?);
            add(KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign).to_extension(tbs.subject(), &none)?);
            add(SubjectKeyIdentifier::try_from(own)?.to_extension(tbs.subject(), &none)?);
            return Ok(all);
        };
        add(BasicConstraints { ca: false, path_len_constraint: None }.to_extension(tbs.subject(), &none)?);
        add(KeyUsage(KeyUsages::DigitalSignature.into()).to_extension(tbs.subject(), &none)?);
        let usage = leaf.usage.iter().map(|usage| match usage {
            Usage::Server => SERVER_AUTH,
            Usage::Client => CLIENT_AUTH,
        });
        add(ExtendedKeyUsage(usage.collect()).to_extension(tbs.subject(), &none)?);
        add(SubjectKeyIdentifier::try_from(own)?.to_extension(tbs.subject(), &none)?);
        add(AuthorityKeyIdentifier::try_from(issuer)?.to_extension(tbs.subject(), &none)?);
        if !leaf.names.is_empty() {
            let names: Result<Vec<GeneralName>> = leaf.names.iter().map(|name| general_name(name)).collect();
            add(SubjectAltName(names?).to_extension(tbs.subject(), &none)?);
        }
        Ok(all)
    }
}

fn general_name(text: &str) -> Result<GeneralName> {
    Ok(match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => GeneralName::IpAddress(OctetString::new(address.octets())?),
        Ok(IpAddr::V6(address)) => GeneralName::IpAddress(OctetString::new(address.octets())?),
        Err(_) => GeneralName::DnsName(Ia5String::new(text)?),
    })
}
