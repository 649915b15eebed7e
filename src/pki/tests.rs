use super::*;
use crate::terms::hex;
use camino::Utf8PathBuf;
use hkdf::Hkdf;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::os::unix::fs::PermissionsExt;

fn name(purpose: &str, node: &str, generation: u32) -> KeyName {
    KeyName { purpose: purpose.to_owned(), node: node.to_owned(), generation }
}

/// The seed of all vectors: the bytes 0, 1, 2, … 31.
fn seed() -> Seed {
    Seed::of(std::array::from_fn(|index| index as u8))
}

#[test]
fn hkdf_gives_the_first_vector_of_rfc_5869() {
    let mut okm = [0; 42];
    let salt: Vec<u8> = (0..=0x0c).collect();
    let info: Vec<u8> = (0xf0..=0xf9).collect();
    Hkdf::<Sha256>::new(Some(&salt), &[0x0b; 22]).expand(&info, &mut okm).unwrap();
    assert_eq!(hex(&okm), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
}

#[test]
fn ecdsa_gives_the_vector_of_rfc_6979_for_p256_and_sha256() {
    let key = [
        0xC9, 0xAF, 0xA9, 0xD8, 0x45, 0xBA, 0x75, 0x16, 0x6B, 0x5C, 0x21, 0x57, 0x67, 0xB1, 0xD6, 0x93, 0x4E, 0x50, 0xC3, 0xDB, 0x36, 0xE8,
        0x9B, 0x12, 0x7B, 0x8A, 0x62, 0x2B, 0x12, 0x0F, 0x67, 0x21,
    ];
    let signature: Signature = SigningKey::from_slice(&key).unwrap().sign(b"sample");
    assert_eq!(
        hex(&signature.to_bytes()),
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    );
}

/// Whoever has to change one of these gives every running cluster new keys. All but the last two were
/// computed by a second implementation too (tests/derivation.py). For the last two, `derive::VERSION` must be raised too.
#[test]
fn the_derivation_is_pinned() {
    let key = derive::key(&seed(), "golden", &name("kubelet", "node-01", 1));
    assert_eq!(hex(&key.secret()), "f7076d8229497391b800568d1320323a9eebcf86cd4b9e3ee1c78cc9fd74b71a");
    let secret = derive::secret(&seed(), "golden", &name("encryption-at-rest", "", 2), 32);
    assert_eq!(hex(&secret), "5df1f56ade4e1f5c6c0b6a7e9d1b744727ea46e135de5d4b33d28f603fbf9811");
    let ssh = derive::ssh_key(&seed(), "golden", &name("ssh-host", "node-01", 1));
    assert_eq!(hex(&ssh.private.to_bytes()), "b8e833e6acdede69a37372664860e3b82ebc934789b9474e19f302a7307bb783");
    assert_eq!(seed().fingerprint(), "0f8ffdca282d2eb0db51f7519844c040");
    assert_eq!(hex(&*derive::vault(&seed())), "a040c68cd95ca612f6401191d396fdab051d4f00bb0d0bd7e40b40f3bd415ee3");
    let authority = Authority { key: name("kubernetes-ca", "", 1), name: "golden kubernetes-ca 1".to_owned(), validity: VALIDITY };
    let certificate = Certificate {
        key: name("kubelet-server", "node-01", 1),
        authority: authority.clone(),
        name: "system:node:node-01".to_owned(),
        organizations: vec!["system:nodes".to_owned()],
        names: vec!["node-01".to_owned(), "10.0.0.11".to_owned()],
        usage: vec![Usage::Server],
        validity: VALIDITY,
    };
    let seed = seed();
    let keyring = Keyring::new(&seed, "golden", Opened::new());
    let digest = |item| {
        let reference = Reference { name: "x".to_owned(), item, form: Form::Plain };
        hex(&Sha256::digest(keyring.fill(&reference).as_bytes()))
    };
    assert_eq!(digest(Item::Bundle(vec![authority])), "437406d6bfcbd64ed47eae0e88f765df5243d5f7f32611bc1088b952dcc8e16a");
    assert_eq!(digest(Item::Certificate(Box::new(certificate))), "94413393d805ce29feca3a5feb34d6ab5f8d2edb9ef50f9e8272e05459b59584");
}

/// What is sealed, in each of its forms: the marks of sealed files rely on the version.
#[test]
fn what_is_sealed_is_pinned_with_its_version() {
    let authority = Authority { key: name("kubernetes-ca", "", 1), name: "golden kubernetes-ca 1".to_owned(), validity: VALIDITY };
    let certificate = |usage, names: &[&str], organizations: &[&str]| {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        Item::Certificate(Box::new(Certificate {
            key: name("kubelet", "node-01", 2),
            authority: authority.clone(),
            name: "system:node:node-01".to_owned(),
            organizations: texts(organizations),
            names: texts(names),
            usage,
            validity: VALIDITY,
        }))
    };
    let items = [
        Item::Key(name("kubelet", "node-01", 1)),
        Item::Public(vec![name("service-account", "", 2), name("service-account", "", 1)]),
        Item::SshKey(SshKey::Ed25519, name("ssh-host", "node-01", 1)),
        Item::SshPublic(SshKey::Ed25519, name("ssh-host", "node-01", 1)),
        Item::SshKey(SshKey::Ecdsa, name("ssh-host", "node-01", 1)),
        Item::SshPublic(SshKey::Ecdsa, name("ssh-host", "node-01", 1)),
        Item::Secret { name: name("encryption-at-rest", "", 1), bytes: 32 },
        Item::Bundle(vec![authority.clone(), Authority { key: name("kubernetes-ca", "", 2), ..authority.clone() }]),
        certificate(vec![Usage::Server, Usage::Client], &["node-01", "10.0.0.11"], &["system:nodes"]),
        certificate(vec![Usage::Client], &[], &[]),
    ];
    let seed = seed();
    let keyring = Keyring::new(&seed, "golden", Opened::new());
    let mut digest = Sha256::new();
    for (item, form) in items.iter().flat_map(|item| [Form::Plain, Form::Base64, Form::Json].map(|form| (item, form))) {
        digest.update(keyring.fill(&Reference { name: "x".to_owned(), item: item.clone(), form }).as_bytes());
    }
    let version = String::from_utf8_lossy(derive::VERSION).into_owned();
    assert_eq!(
        (version.rsplit(' ').next().unwrap(), hex(&digest.finalize()).as_str()),
        ("1", "c83107ffada02af3090d8aca42413cec6916f8c532e0058d45ced83d364c98e7"),
        "trees that are sealed already would keep what an older remuda made: raise `derive::VERSION`, and write both here"
    );
}

const VALIDITY: Validity = Validity { not_before: 1_735_689_600, not_after: 2_366_841_599 };

#[test]
fn a_private_key_is_written_as_its_own_crate_writes_it() {
    for node in ["node-01", "node-02"] {
        let key = derive::key(&seed(), "golden", &name("kubelet", node, 1));
        let theirs = p256::SecretKey::from_slice(&key.secret()).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
        assert_eq!(*derive::private_pem(&key), *theirs);
    }
}

fn part() -> impl Strategy<Value = String> {
    "[a-c-]{0,4}"
}

proptest! {
    #[test]
    fn no_two_names_share_a_key(
        one in (part(), part(), part(), 1..4u32),
        other in (part(), part(), part(), 1..4u32),
    ) {
        let seed = seed();
        let key = |(cluster, purpose, node, generation): &(String, String, String, u32)| {
            hex(&derive::key(&seed, cluster, &name(purpose, node, *generation)).secret())
        };
        prop_assert_eq!(key(&one) == key(&other), one == other);
    }

    #[test]
    fn a_path_has_no_character_that_a_boot_loader_takes_for_something_else(node in "[a-z]{1,8}") {
        let item = Item::Secret { name: name("boot-path", &node, 1), bytes: 18 };
        let seed = seed();
        let keyring = Keyring::new(&seed, "golden", Opened::new());
        let path = keyring.fill(&Reference { name: "x".to_owned(), item, form: Form::Path });
        prop_assert!(path.len() == 24 && path.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{}", *path);
    }

    #[test]
    fn a_seed_file_with_one_other_character_is_no_seed(at in 14..87usize, other in "[0-9a-f:g ]") {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(folder.path().join("seed")).unwrap();
        create(&path, &Envelope::Plain).unwrap();
        let text = fs_err::read_to_string(&path).unwrap();
        let (comments, line) = text.split_at(text.find("remuda-seed-1").unwrap());
        prop_assume!(line[at..=at] != other);
        let line = format!("{}{other}{}", &line[..at], &line[at + 1..]);
        fs_err::write(&path, format!("{comments}{line}")).unwrap();
        prop_assert!(matches!(Seed::read(&path, None, no_passphrase), Err(SeedError::Broken(..))));
    }
}

fn no_passphrase() -> std::io::Result<age::secrecy::SecretString> {
    Err(std::io::Error::other("nobody is asked"))
}

#[test]
fn a_seed_is_read_back_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::try_from(folder.path().join("seed")).unwrap();
    let made = create(&path, &Envelope::Plain).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Seed::read(&path, None, no_passphrase).unwrap().key(), made.key());
    let before = fs_err::read(&path).unwrap();
    assert!(matches!(create(&path, &Envelope::Plain), Err(SeedError::Exists(_))));
    assert_eq!(fs_err::read(&path).unwrap(), before);
}

#[test]
fn a_seed_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::try_from(folder.path().join("seed")).unwrap();
    create(&path, &Envelope::Plain).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o644] {
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(Seed::read(&path, None, no_passphrase), Err(SeedError::Readable(..))), "{mode:o}");
    }
}

#[test]
fn an_encrypted_seed_opens_with_the_right_passphrase_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::try_from(folder.path().join("seed")).unwrap();
    let made = create(&path, &Envelope::Passphrase("correct horse".to_owned().into())).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(!fs_err::read_to_string(&path).unwrap().contains("remuda-seed"));
    let opened = Seed::read(&path, None, || Ok("correct horse".to_owned().into())).unwrap();
    assert_eq!(opened.key(), made.key());
    assert!(matches!(Seed::read(&path, None, || Ok("wrong horse".to_owned().into())), Err(SeedError::Locked(..))));
}

#[test]
fn a_vault_opens_with_its_seed_alone_and_each_secret_in_its_place_alone() {
    let mut vault = Vault::default();
    vault.set(&seed(), "one", "first").unwrap();
    vault.set(&seed(), "two", "second").unwrap();
    let read = Vault::parse(&vault.text()).unwrap();
    assert_eq!(read, vault);
    let opened = read.open(&seed()).unwrap();
    assert_eq!((opened["one"].as_str(), opened["two"].as_str()), ("first", "second"));
    assert_eq!(vault.open(&Seed::of([7; 32])), Err("one".to_owned()));
    let text = vault.text();
    let swapped = text.replace("one: ", "x: ").replace("two: ", "one: ").replace("x: ", "two: ");
    assert!(Vault::parse(&swapped).unwrap().open(&seed()).is_err(), "a secret moved to another name");
    for (damaged, problem) in [("one: AAAA\n", "line 1"), ("one\n", "line 1"), (&*format!("{text}{text}"), "duplicate")] {
        assert!(Vault::parse(damaged).unwrap_err().contains(problem), "{damaged}");
    }
}
