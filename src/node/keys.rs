//! Names of key material → references: the key, its generation, the content of a certificate.

use crate::line::{CertificateSource, KeyMaterial};
use crate::pki::{Authority, Certificate, Form, Item, KeyName, Reference, Usage};
use crate::plan::{Cluster, PkiUser};
use minijinja::{Error, ErrorKind, Value};
use std::net::IpAddr;

/// The prefix of a secret of the vault in a release line: `secret/NAME`.
const GIVEN: &str = "secret/";

/// Makes references for one node, or for the whole cluster if `node` is empty.
#[derive(Clone, Copy)]
pub struct Keys<'k> {
    /// The cluster.
    pub cluster: &'k Cluster,
    /// The node's name.
    pub node: &'k str,
    /// The values of templates.
    pub context: &'k Value,
    /// The user whose file it is.
    pub user: Option<&'k PkiUser>,
}

impl Keys<'_> {
    /// The reference of `name`, as a release line writes it. `generation` selects another one than
    /// that in use, for secrets and key pairs with several accepted generations.
    pub fn reference(&self, name: &str, form: Form, generation: Option<u32>) -> Result<Reference, Error> {
        if let Some(given) = name.strip_prefix(GIVEN) {
            return Ok(self.given(given, form));
        }
        if let (Some(user), Some(kind)) = (self.user, name.strip_prefix("user.")) {
            let item = if kind == "key" { Item::Key(user_key(user)) } else { Item::Certificate(Box::new(self.of_user(user)?)) };
            return Ok(Reference { name: name.to_owned(), item, form });
        }
        let Some((purpose, kind)) = self.cluster.line.pki.find(name) else {
            return Err(Error::new(ErrorKind::InvalidOperation, format!("the line's `pki` doesn't make `{name}`")));
        };
        let generations = self.cluster.pki.generations(purpose);
        let own = generation.unwrap_or(generations[0]);
        let item = match kind {
            KeyMaterial::Bundle => Item::Bundle(generations.iter().map(|generation| self.authority(purpose, *generation)).collect()),
            KeyMaterial::Certificate(source) => Item::Certificate(Box::new(self.certificate(purpose, source)?)),
            KeyMaterial::Key { shared } => Item::Key(self.key(purpose, shared, own)),
            KeyMaterial::Public => Item::Public(generations.iter().map(|generation| self.key(purpose, true, *generation)).collect()),
            KeyMaterial::Secret { bytes } => Item::Secret { name: self.key(purpose, true, own), bytes },
        };
        Ok(Reference { name: name.to_owned(), item, form })
    }

    /// A secret of the vault.
    pub fn given(&self, name: &str, form: Form) -> Reference {
        let digest = self.cluster.vault.digest(name).unwrap_or_default();
        Reference { name: format!("{GIVEN}{name}"), item: Item::Given { name: name.to_owned(), digest }, form }
    }

    /// A node's ssh host key, and the public half.
    pub fn ssh_host_key(&self) -> (Reference, Reference) {
        let key = self.key("ssh-host", false, self.cluster.pki.generation);
        let reference = |name: &str, item| Reference { name: name.to_owned(), item, form: Form::Plain };
        let kind = self.cluster.target.ssh_host_key;
        (reference("ssh-host.key", Item::SshKey(kind, key.clone())), reference("ssh-host.pub", Item::SshPublic(kind, key)))
    }

    /// The path, which nobody can guess, of a machine's config at network boot.
    pub fn boot_path(&self) -> Reference {
        let name = self.key("boot-path", false, self.cluster.pki.generation);
        Reference { name: "boot-path".to_owned(), item: Item::Secret { name, bytes: 18 }, form: Form::Path }
    }

    /// A certificate of this node.
    pub fn certificate(&self, purpose: &str, source: &CertificateSource) -> Result<Certificate, Error> {
        let render = |text: &String| self.cluster.line.templates.render(text, self.context);
        let mut names: Vec<String> = Vec::new();
        for text in &source.names {
            for name in render(text)?.split_whitespace().map(str::to_owned) {
                check_name(&name)?;
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        Ok(Certificate {
            key: self.key(purpose, source.shared, self.cluster.pki.generations(purpose)[0]),
            authority: self.authority(&source.authority, self.cluster.pki.generations(&source.authority)[0]),
            name: subject(render(&source.name)?)?,
            organizations: source.organization.iter().map(|text| subject(render(text)?)).collect::<Result<_, _>>()?,
            names,
            usage: source.usage.clone(),
            validity: self.cluster.pki.validity,
        })
    }

    /// The certificate of a person or program outside the cluster.
    pub fn of_user(&self, user: &PkiUser) -> Result<Certificate, Error> {
        let authority = self.cluster.line.user_file.as_ref().map_or("", |file| file.authority.as_str());
        Ok(Certificate {
            key: user_key(user),
            authority: self.authority(authority, self.cluster.pki.generations(authority)[0]),
            name: user.name.clone(),
            organizations: user.groups.clone(),
            names: Vec::new(),
            usage: vec![Usage::Client],
            validity: user.validity,
        })
    }

    fn authority(&self, purpose: &str, generation: u32) -> Authority {
        Authority {
            key: self.key(purpose, true, generation),
            name: format!("{} {purpose} {generation}", self.cluster.name),
            validity: self.cluster.pki.validity,
        }
    }

    fn key(&self, purpose: &str, shared: bool, generation: u32) -> KeyName {
        let node = if shared { "" } else { self.node };
        KeyName { purpose: purpose.to_owned(), node: node.to_owned(), generation }
    }
}

fn user_key(user: &PkiUser) -> KeyName {
    KeyName { purpose: format!("user/{}", user.name), node: String::new(), generation: user.generation }
}

fn check_name(name: &str) -> Result<(), Error> {
    let fits = name.parse::<IpAddr>().is_ok() || crate::profile::is_domain(name).is_ok();
    fits.then_some(()).ok_or_else(|| Error::new(ErrorKind::InvalidOperation, format!("`{name}` can't be a name in a certificate")))
}

/// A common name has at most 64 characters (RFC 5280, appendix A). Consumers compare it as text.
fn subject(text: String) -> Result<String, Error> {
    let limit = 64 + "system:node:".len();
    let fits = (1..=limit).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    if fits { Ok(text) } else { Err(Error::new(ErrorKind::InvalidOperation, format!("{text:?} can't be a certificate's subject"))) }
}
