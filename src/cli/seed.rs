//! `remuda seed`, and the arguments of every verb that seals.

use super::{Failure, Outcome};
use crate::build::{self, sealed_with};
use crate::pki::{self, Envelope, SeedError};
use crate::tree::MANIFEST;
use age::secrecy::{ExposeSecret, SecretString};
use anyhow::{Context, bail};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand, ValueHint};
use std::io::{self, IsTerminal};

pub(super) const DEFAULT: &str = "remuda.seed";

#[derive(Debug, Subcommand)]
pub(super) enum Seed {
    /// Make a seed: 32 random bytes in a file that only you can read
    ///
    /// Every key of a cluster is derived from it. Keep a copy: without it, a cluster can't be
    /// changed any more. One seed may serve many clusters; their keys are independent.
    ///
    /// In a git repository, the seed's name is added to the `.gitignore` next to it. A place where git
    /// would take it is refused, unless it is encrypted.
    New(New),
}

#[derive(Debug, Args)]
pub(super) struct New {
    /// The seed's file
    #[arg(default_value = DEFAULT, value_hint = ValueHint::FilePath)]
    file: Utf8PathBuf,
    /// Encrypt it with a passphrase (age), so that it may be in git
    #[arg(long, conflicts_with = "recipients")]
    passphrase: bool,
    /// Encrypt it to an age recipient, age1…, so that it may be in git; can be repeated
    #[arg(long = "recipient", value_name = "RECIPIENT")]
    recipients: Vec<String>,
    /// The folder of the out trees: those that are sealed already have a seed
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
}

impl Seed {
    pub(super) fn run(self) -> Outcome {
        let Self::New(new) = self;
        refuse_another(&new.out)?;
        let envelope = match (new.passphrase, new.recipients.is_empty()) {
            (true, _) => Envelope::Passphrase(new_passphrase()?),
            (false, false) => Envelope::Recipients(new.recipients),
            (false, true) => Envelope::Plain,
        };
        let is_bare = matches!(envelope, Envelope::Plain);
        if is_bare
            && new.file.symlink_metadata().is_err()
            && let Some(ignore) = build::keep_out(&new.file)?
        {
            eprintln!("{ignore}: now names {}, so that git doesn't take it", new.file);
        }
        let seed = pki::create(&new.file, &envelope)?;
        eprintln!("{}: a new seed, fingerprint {}", new.file, seed.fingerprint());
        eprintln!("Keep a copy in another place: without it, the cluster can't be changed any more.");
        if is_bare {
            eprintln!("It isn't encrypted: don't commit it to git.");
        }
        Ok(())
    }
}

/// Refuses a new seed where trees in `out` are sealed with one.
pub(super) fn refuse_another(out: &Utf8Path) -> Outcome {
    for tree in out.read_dir_utf8().into_iter().flatten().flatten() {
        if let Some(fingerprint) = sealed_with(tree.path()) {
            return Err(Failure::world(format!(
                "{} is already sealed with a seed (fingerprint {fingerprint}); another one would lock you out of that cluster.\n\
                 Find that seed. To rebuild the cluster from scratch, remove `seed` from its {MANIFEST} first",
                tree.path()
            )));
        }
    }
    Ok(())
}

fn new_passphrase() -> anyhow::Result<SecretString> {
    if !io::stdin().is_terminal() {
        bail!("remuda asks for a passphrase at a terminal, but there is none; use `--recipient`");
    }
    let first = SecretString::from(rpassword::prompt_password("Passphrase: ")?);
    if first.expose_secret().chars().count() < 12 {
        bail!("a passphrase of fewer than 12 characters doesn't protect a file that others can read");
    }
    let again = SecretString::from(rpassword::prompt_password("Again: ")?);
    if first.expose_secret() != again.expose_secret() {
        bail!("the two passphrases differ");
    }
    Ok(first)
}

/// The seed of a verb that seals.
#[derive(Debug, Args)]
pub(super) struct SeedArgs {
    /// The seed's file
    #[arg(long, value_name = "FILE", default_value = DEFAULT, env = "REMUDA_SEED_FILE", value_hint = ValueHint::FilePath)]
    seed: Utf8PathBuf,
    /// The age key that decrypts the seed, as age-keygen writes it
    #[arg(long, value_name = "FILE", env = "REMUDA_IDENTITY_FILE", value_hint = ValueHint::FilePath)]
    identity: Option<Utf8PathBuf>,
}

impl SeedArgs {
    pub(super) fn path(&self) -> &Utf8Path {
        &self.seed
    }

    /// The seed, if its file exists.
    pub(super) fn find(&self) -> Result<Option<pki::Seed>, SeedError> {
        if self.seed.symlink_metadata().is_err() {
            return Ok(None);
        }
        pki::Seed::read(&self.seed, self.identity.as_deref(), || {
            if !io::stdin().is_terminal() {
                return Err(io::Error::other("remuda asks for its passphrase at a terminal, but there is none"));
            }
            rpassword::prompt_password(format!("Passphrase of {}: ", self.seed)).map(SecretString::from)
        })
        .map(Some)
    }
}

/// Refuses a seed that isn't the tree's.
pub(super) fn check(seed: &pki::Seed, args: &SeedArgs, tree: &Utf8Path, profile: Option<&Utf8Path>) -> anyhow::Result<()> {
    match sealed_with(tree) {
        Some(wanted) if wanted != seed.fingerprint() => Err(anyhow::anyhow!(
            "{tree} is sealed with another seed: its fingerprint is {wanted}, that of {} is {}.\n\
             With this one, every key of the running cluster would change, and nobody could log in any more.\n\
             Find the right one and name it with `--seed`. To rebuild the cluster from scratch, remove `seed` from its {MANIFEST}",
            args.path(),
            seed.fingerprint()
        ))
        .with_context(|| format!("{} isn't sealed", profile.unwrap_or(Utf8Path::new("the built-in profile")))),
        _ => Ok(()),
    }
}
