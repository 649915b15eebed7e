//! `remuda secret`, and the vault beside a profile.

use super::seed::SeedArgs;
use super::{Failure, Outcome, Source, print};
use crate::pki::{Opened, Seed, Vault};
use crate::profile::Name;
use crate::service::unfit;
use crate::yaml::Scalar;
use anyhow::{Context, anyhow, bail};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand};
use std::io::{self, IsTerminal, Read, Write};
use zeroize::Zeroizing;

/// No secret and no vault is larger.
const LARGEST: u64 = 1 << 20;

#[derive(Debug, Subcommand)]
pub enum Secret {
    /// Encrypt a secret and keep it beside the profile; it is asked for, or read from stdin
    ///
    /// It may lie in git: the seed alone opens it. A profile uses it by its name, as in
    /// `images: {login: {username: ops, secret: NAME}}`.
    Set(Set),
    /// Show which secrets there are, and a digest of each as it is encrypted
    List(List),
}

#[derive(Debug, Args)]
pub struct Set {
    /// The secret's name: lower-case letters, digits and dashes
    name: String,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    seed: SeedArgs,
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    source: Source,
}

impl Secret {
    pub fn run(self) -> Outcome {
        match self {
            Self::Set(set) => set.run(),
            Self::List(list) => {
                let vault = read(&vault_file(list.source.profile.as_deref()))?;
                print(&vault.names().map(|name| format!("{name} {}\n", vault.digest(name).unwrap_or_default())).collect::<String>())
            }
        }
    }
}

impl Set {
    fn run(self) -> Outcome {
        Name::parse(&self.name).map_err(|problem| anyhow!(problem))?;
        let Some(profile) = &self.source.profile else {
            return Err(Failure::World(anyhow!("name the profile that the secret is for: `remuda secret set {} PROFILE`", self.name)));
        };
        let Some(seed) = self.seed.find()? else {
            return Err(Failure::World(anyhow!("there is no seed at {} to encrypt it with; run `remuda seed new` once", self.seed.path())));
        };
        let file = vault_file(Some(profile));
        let mut vault = read(&file)?;
        open(&vault, &seed).with_context(|| format!("{file} was not changed"))?;
        vault.set(&seed, &self.name, &ask(&self.name)?).context("the secret can't be encrypted")?;
        write(&file, &vault.text())?;
        eprintln!("{file}: {} is set; the file may lie in git", self.name);
        Ok(())
    }
}

fn ask(name: &str) -> anyhow::Result<Zeroizing<String>> {
    let secret = if io::stdin().is_terminal() {
        Zeroizing::new(rpassword::prompt_password(format!("{name}: "))?)
    } else {
        let mut text = Zeroizing::new(String::new());
        io::stdin().take(LARGEST).read_to_string(&mut text).context("stdin is no text")?;
        let end = text.strip_suffix('\n').unwrap_or(&text).len();
        text.truncate(end);
        text
    };
    if secret.is_empty() || secret.contains('\n') || unfit(&secret).is_some() {
        bail!("the secret is not one line of printable ASCII: a node's config couldn't carry it");
    }
    Ok(secret)
}

/// Puts the text in the file's place in one step.
fn write(file: &Utf8Path, text: &str) -> anyhow::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(file).with_context(|| format!("{file} can't be written"))?;
    Ok(())
}

/// The vault's file: `cluster.secrets` for `cluster.yaml`.
pub fn vault_file(profile: Option<&Utf8Path>) -> Utf8PathBuf {
    profile.unwrap_or(Utf8Path::new("vagrant.yaml")).with_extension("secrets")
}

/// What is in a vault's file; nothing, if there is none.
pub fn read(file: &Utf8Path) -> anyhow::Result<Vault> {
    let mut text = String::new();
    match fs_err::File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vault::default()),
        Err(error) => return Err(error.into()),
        Ok(open) => open.take(LARGEST).read_to_string(&mut text)?,
    };
    Vault::parse(&text).map_err(|problem| anyhow!("{file}: {problem}"))
}

/// Opens a vault.
pub fn open(vault: &Vault, seed: &Seed) -> anyhow::Result<Opened> {
    vault.open(seed).map_err(|name| {
        anyhow!(
            "the secret {name} was encrypted with another seed than this one (fingerprint {})\n             Find that seed, or delete the secret's line and set it anew",
            seed.fingerprint()
        )
    })
}
