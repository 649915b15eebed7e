//! `remuda secret`

use super::project::ProfileArgs;
use super::seed::SeedArgs;
use super::{Failure, Outcome, print};
use crate::build;
use crate::disk;
use crate::profile::Name;
use crate::service::unfit;
use crate::yaml::Scalar;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use std::io::{self, IsTerminal, Read};
use zeroize::Zeroizing;

/// The maximal size of a secret, in bytes.
const LARGEST: u64 = 1 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum Secret {
    /// Ask for a secret, or read it from stdin, and keep it encrypted next to the profile
    ///
    /// The file may be in git: only the seed decrypts it. A profile refers to the secret by its
    /// name, as in `images: {login: {username: ops, secret: NAME}}`.
    Set(Set),
    /// List the secrets, each with a digest of its ciphertext
    List(List),
}

#[derive(Debug, Args)]
pub(super) struct Set {
    /// The secret's name: lower-case letters, digits and dashes
    name: String,
    #[command(flatten)]
    pub source: ProfileArgs,
    #[command(flatten)]
    seed: SeedArgs,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    pub source: ProfileArgs,
}

impl Secret {
    pub(super) fn source(&self) -> &ProfileArgs {
        match self {
            Self::Set(set) => &set.source,
            Self::List(list) => &list.source,
        }
    }

    pub(super) fn run(self) -> Outcome {
        match self {
            Self::Set(set) => set.run(),
            Self::List(list) => {
                let vault = build::read_vault(&list.source.paths(None)?.vault())?;
                print(&vault.names().map(|name| format!("{name} {}\n", vault.digest(name).unwrap_or_default())).collect::<String>())
            }
        }
    }
}

impl Set {
    fn run(self) -> Outcome {
        Name::parse(&self.name).map_err(Failure::Usage)?;
        let paths = self.source.paths(None)?;
        if paths.profile.is_none() {
            return Err(Failure::Usage(format!("name the secret's profile: `remuda secret set {} PROFILE`", self.name)));
        }
        let Some(seed) = self.seed.find()? else {
            return Err(Failure::world(format!("no seed at {} to encrypt it with; run `remuda seed new` once", self.seed.path())));
        };
        let file = paths.vault();
        let mut vault = build::read_vault(&file)?;
        build::open_vault(&vault, &seed).with_context(|| format!("{file} was not changed"))?;
        vault.set(&seed, &self.name, &ask(&self.name)?).context("the secret can't be encrypted")?;
        disk::write(&file, vault.text().as_bytes(), 0o600)?;
        eprintln!("{file}: {} is set; the file may be in git", self.name);
        Ok(())
    }
}

fn ask(name: &str) -> anyhow::Result<Zeroizing<String>> {
    let secret = if io::stdin().is_terminal() {
        Zeroizing::new(rpassword::prompt_password(format!("{name}: "))?)
    } else {
        let mut text = Zeroizing::new(String::new());
        io::stdin().take(LARGEST).read_to_string(&mut text).context("stdin isn't text")?;
        let end = text.strip_suffix('\n').unwrap_or(&text).len();
        text.truncate(end);
        text
    };
    if secret.is_empty() || secret.contains('\n') || unfit(&secret).is_some() {
        bail!("the secret isn't one line of printable ASCII, which a node's config requires");
    }
    Ok(secret)
}
