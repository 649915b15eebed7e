//! Lower: a [`Cluster`] and one of its nodes → a [`NodeConfig`]: files, services, engine, network, all in
//! plain values. Templates are rendered here. Nothing here knows a target's own words.

mod context;
mod keys;
mod network;
#[cfg(test)]
mod tests;
mod written;

use context::{Common, Kept, Own};
pub use context::{Contexts, admins};
pub use keys::Keys;
pub use network::{Interface, NodeNetwork};
pub use written::Written;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Sources, Span};
use crate::line::{ManifestFile, Templates, template_error};
use crate::manifest::{self, Piece};
use crate::pki::{Form, Keyring, Reference};
use crate::plan::{Class, Cluster, Content, NodeRef, PlannedFile, check_mounts, check_owner, lost, refused};
use crate::profile::{Name, OsEntry, OsValue};
use crate::service::form::{self, Misfit};
use crate::service::{self, Command, Loss, Text, unfit};
use crate::terms::SshKey;
use crate::yaml::Spanned;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Error, ErrorKind};
use serde::Serialize;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// A machine's complete configuration.
#[derive(Debug, Clone)]
pub struct NodeConfig<'a> {
    /// The node's name.
    pub hostname: &'a str,
    /// Who may log in, a line of authorized_keys each.
    pub ssh_keys: &'a [String],
    /// The machine's ssh host key, if it is derived from the seed.
    pub ssh_host_key: Option<SshHostKey>,
    /// Everything that the OS writes.
    pub files: Vec<Arc<Written<File>>>,
    /// In the order of the plan. Each has its keys in the order of the service definition.
    pub services: Vec<(&'a str, Vec<Arc<Written<Setting>>>)>,
    /// Settings of user Docker.
    pub engine: Engine,
    /// Its interfaces and name servers.
    pub network: NodeNetwork<'a>,
    /// Kernel parameters by name.
    pub sysctl: Vec<(String, String)>,
    /// Kernel modules, with their parameters.
    pub modules: Vec<String>,
    /// Variables for services that name them.
    pub environment: Vec<(String, String)>,
    /// Where images come from.
    pub registries: Registries<'a>,
    /// Whether the OS waits until the preloaded images are loaded.
    pub preload_wait: bool,
    /// The commands that the console runs when it is up.
    pub commands: Vec<String>,
    /// Further keys of the OS's own config, by the profile.
    pub os: serde_json::Map<String, serde_json::Value>,
}

/// An account at a registry.
#[derive(Debug, Clone)]
pub struct Login<'a> {
    /// `HOST[:PORT]`
    pub host: &'a str,
    /// The user.
    pub username: &'a str,
    /// The password.
    pub password: Secret,
}

/// A file that the OS writes.
#[derive(Debug, Clone)]
pub struct File {
    /// The absolute path.
    pub path: String,
    /// The mode in octal.
    pub permissions: String,
    /// `USER[:GROUP]`, if not root.
    pub owner: Option<String>,
    /// The service that writes it.
    pub container: String,
    /// What is in it.
    pub content: FileContent,
}

impl File {
    /// The same file with another content.
    pub fn with(&self, content: FileContent) -> Self {
        let Self { path, permissions, owner, container, .. } = self;
        Self { path: path.clone(), permissions: permissions.clone(), owner: owner.clone(), container: container.clone(), content }
    }
}

/// The content of a file.
#[derive(Debug, Clone)]
pub enum FileContent {
    /// A text.
    Text(String),
    /// Bytes in base64.
    Base64(String),
    /// May contain key material.
    Secret(Secret),
    /// The fingerprint of this config, which isn't known before all of it is.
    Fingerprint,
}

/// A text with key material, which is a name until the node is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Secret(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
enum Part {
    Text(String),
    Key(Reference),
}

impl Part {
    fn plain(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Key(_) => None,
        }
    }
}

/// Marks the place of key material in a text for [`Secret::marked`].
pub const KEY: char = MARK[0];

impl Secret {
    fn whole(reference: Reference) -> Self {
        Self(vec![Part::Key(reference)])
    }

    /// A text with the key material of `reference` at each [`KEY`].
    pub fn marked(text: &str, reference: &Reference) -> Self {
        let mut parts = Vec::new();
        for piece in text.split(KEY) {
            if !parts.is_empty() {
                parts.push(Part::Key(reference.clone()));
            }
            parts.push(Part::Text(piece.to_owned()));
        }
        Self(parts)
    }

    /// With names in place of key material, as in git; once sealed, as a node needs it.
    pub fn text(&self) -> String {
        self.0.iter().fold(String::new(), |text, part| match part {
            Part::Text(more) => text + more,
            Part::Key(reference) => text + &reference.to_string(),
        })
    }

    /// With key material, as a node needs it.
    pub fn fill(&self, keyring: &Keyring) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for part in &self.0 {
            match part {
                Part::Text(more) => text.push_str(more),
                Part::Key(reference) => text.push_str(&keyring.fill(reference)),
            }
        }
        text
    }

    fn sealed(&self, keyring: &Keyring) -> Self {
        Self(vec![Part::Text(std::mem::take(&mut self.fill(keyring)))])
    }

    /// Whether a node has its own key in it.
    fn is_of_node(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Key(reference) if reference.item.is_of_node()))
    }
}

/// The key by which ssh knows a machine.
#[derive(Debug, Clone)]
pub struct SshHostKey {
    /// Its kind.
    pub kind: SshKey,
    /// The key, as sshd reads it.
    pub private: Secret,
    /// Its public half, as known_hosts has it.
    pub public: Secret,
}

impl NodeConfig<'_> {
    /// Everything that [`NodeConfig::seal`] replaces, by its place.
    pub fn secrets(&self) -> Vec<(&str, &Secret)> {
        let in_files = self.files.iter().filter_map(|file| match &file.content {
            FileContent::Secret(secret) => Some((file.path.as_str(), secret)),
            _ => None,
        });
        let in_ssh = self.ssh_host_key.iter().flat_map(|key| [("private", &key.private), ("public", &key.public)]);
        let in_login = self.registries.logins.iter().map(|login| (login.host, &login.password));
        in_files.chain(in_ssh).chain(in_login).collect()
    }

    /// Replaces names with key material.
    pub fn seal(&mut self, keyring: &Keyring) {
        for file in &mut self.files {
            if let FileContent::Secret(secret) = &file.content {
                *file = Written::of(file.with(FileContent::Secret(secret.sealed(keyring))));
            }
        }
        let in_ssh = self.ssh_host_key.iter_mut().flat_map(|key| [&mut key.private, &mut key.public]);
        let in_login = self.registries.logins.iter_mut().map(|login| &mut login.password);
        in_ssh.chain(in_login).for_each(|secret| *secret = secret.sealed(keyring));
    }
}

/// A key of a service, and its value.
pub type Setting = (&'static str, Value);

/// A value in a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// Texts by name.
    Pairs(Vec<(String, String)>),
    /// Yes or no.
    Flag(bool),
    /// A number.
    Int(i64),
    /// Numbers by name.
    Ints(Vec<(String, i64)>),
}

/// User Docker.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    /// The bridge's address with its prefix length.
    pub bip: Option<String>,
    /// Further arguments of dockerd.
    pub extra_args: Vec<String>,
    /// How images are stored.
    pub storage_driver: Option<String>,
    /// Where logs go.
    pub log_driver: Option<String>,
    /// Options of the log driver.
    pub log_opts: Vec<(String, String)>,
    /// Whether containers outlive dockerd.
    pub live_restore: Option<bool>,
}

/// The registries of both engines.
#[derive(Debug, Clone, Default)]
pub struct Registries<'a> {
    /// The mirrors of Docker Hub, by URL.
    pub mirror: Option<&'a str>,
    /// Registries that speak plain HTTP.
    pub insecure: &'a [String],
    /// The accounts, each at another registry.
    pub logins: Vec<Login<'a>>,
}

/// Lowers one node. Texts that can't be rendered are in `found`, with their places.
pub fn lower<'a>(of: NodeRef<'a>, contexts: &Contexts, found: &mut Diagnostics) -> NodeConfig<'a> {
    let NodeRef { cluster, node, class } = of;
    let (context, own) = contexts.with_own(of);
    let keys = Keys { cluster, node: &node.name, context: &context, user: None };
    let mut render = Render { cluster, keys, own, class, common: contexts.common(of), found };
    NodeConfig {
        hostname: &node.name,
        ssh_keys: &class.ssh_keys,
        ssh_host_key: cluster.pki.ssh_host_keys.then(|| {
            let (private, public) = keys.ssh_host_key();
            SshHostKey { kind: cluster.target.ssh_host_key, private: Secret::whole(private), public: Secret::whole(public) }
        }),
        files: (0..class.files.len()).filter_map(|number| render.file(number)).collect(),
        services: class.services.iter().enumerate().map(|(number, planned)| (planned.name.as_str(), render.service(number))).collect(),
        engine: render.engine(class),
        network: network::network(of),
        sysctl: render.named(&class.sysctl),
        modules: render.distinct(class.modules.iter()),
        environment: render.named(&class.environment),
        registries: Registries {
            mirror: cluster.images.mirror.as_deref(),
            insecure: &cluster.images.insecure,
            logins: logins(cluster, class, keys),
        },
        preload_wait: cluster.images.delivery.is_loaded(),
        commands: Vec::new(),
        os: render.os_entries(&class.os.keys),
    }
}

/// The account of the component images' registry, and those of the OS itself.
fn logins<'a>(cluster: &'a Cluster, class: &'a Class, keys: Keys) -> Vec<Login<'a>> {
    let own = cluster.images.login.iter().map(|login| (&login.host, &login.username, &login.secret));
    let of_os = class.os.accounts.iter().map(|account| (&account.host.value, &account.username, &account.secret));
    let password = |secret: &Spanned<Name>| Secret::whole(keys.given(&secret.0, Form::Plain));
    own.chain(of_os).map(|(host, username, secret)| Login { host, username, password: password(secret) }).collect()
}

/// Renders a node's texts. A text that renders to nothing is left out, so that a template can be conditional.
struct Render<'r, 'd> {
    cluster: &'r Cluster,
    keys: Keys<'r>,
    /// `node` in the context.
    own: Arc<Own>,
    class: &'r Class,
    /// What its nodes share.
    common: &'r Common,
    found: &'d mut Diagnostics,
}

impl Render<'_, '_> {
    fn text(&mut self, text: &Text, span: Option<Span>) -> Option<String> {
        if !text.template {
            return Some(text.text.clone());
        }
        let rendered = match self.template(&text.text) {
            Ok(rendered) => rendered,
            Err(error) => {
                let failed = self.failure(&error, span);
                self.found.push(if span.is_some() { failed } else { failed.why(format!("the release line says: {}", text.text)) });
                return None;
            }
        };
        if let Some((problem, why)) = unfit(&rendered) {
            self.found.push(Diagnostic::new(Code::UnfitValue, span, format!("rendered, {problem}")).why(why));
            return None;
        }
        (!rendered.is_empty() || text.text.is_empty()).then_some(rendered)
    }

    /// A template, rendered once for all nodes of the class if it says nothing of the node's own.
    fn template(&self, template: &str) -> Result<String, Error> {
        if let Some(text) = self.common.texts.read().unwrap_or_else(PoisonError::into_inner).get(template) {
            return Ok(text.clone());
        }
        let (rendered, is_own) = self.own.is_read_by(|| self.cluster.line.templates.render(template, self.keys.context));
        if let (Ok(text), false) = (&rendered, is_own) {
            self.common.texts.write().unwrap_or_else(PoisonError::into_inner).insert(template.to_owned(), text.clone());
        }
        rendered
    }

    /// A service's value. A rendered value is checked like one in the profile.
    fn value(&mut self, of: (&str, bool), key: &'static str, text: &Text, span: Option<Span>) -> Option<String> {
        let rendered = self.text(text, span);
        if text.varies() && span.is_some() {
            let misfit = rendered.as_deref().and_then(|rendered| self.cluster.target.misfit(of, key, rendered));
            let misfit = misfit.or_else(|| form::misfit(key, "").filter(|_| key == "image" && rendered.is_none()));
            let dialect = self.cluster.target.dialect;
            if let Some(loss) = rendered.as_deref().and_then(|rendered| dialect.loss(key, rendered)) {
                self.found.push(lost(Loss { what: format!("rendered for {}, {}", self.keys.node, loss.what), ..loss }, span));
            }
            if let Some(misfit) = misfit {
                self.found.push(refused(
                    of.0,
                    Misfit { problem: format!("rendered for {}, {}", self.keys.node, misfit.problem), ..misfit },
                    span,
                ));
            }
        }
        rendered
    }

    fn texts<'t>(&mut self, texts: impl Iterator<Item = &'t Spanned<Text>>) -> Vec<String> {
        texts.filter_map(|text| self.text(&text.value, text.span)).collect()
    }

    /// Each text once: the OS's schema refuses duplicates in its own lists.
    fn distinct<'t>(&mut self, texts: impl Iterator<Item = &'t Spanned<Text>>) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for text in self.texts(texts) {
            if !all.contains(&text) {
                all.push(text);
            }
        }
        all
    }

    fn named(&mut self, named: &[(String, Spanned<Text>)]) -> Vec<(String, String)> {
        named.iter().filter_map(|(name, text)| Some((name.clone(), self.text(&text.value, text.span)?))).collect()
    }

    fn service(&mut self, number: usize) -> Vec<Arc<Written<Setting>>> {
        let (planned, mut kept) = (&self.class.services[number], self.common.services[number].iter());
        let of = (planned.name.as_str(), planned.service.is_system());
        let mut keys = Vec::with_capacity(kept.len());
        planned.service.visit(|key, value| {
            let kept = kept.next().expect("a service has its keys on all nodes");
            keys.extend(self.kept(kept, |render| Some((key, render.setting(of, key, value)?))));
        });
        keys
    }

    fn setting(&mut self, of: (&str, bool), key: &'static str, value: service::Value) -> Option<Value> {
        Some(match value {
            service::Value::Text(text) => Value::Text(self.value(of, key, &text.value, text.span)?),
            service::Value::Command(command) => match &command.value {
                Command::Line(text) => split(self.value(of, key, text, command.span)?),
                Command::Words(words) => Value::Texts(self.texts(words.iter())),
            },
            service::Value::List(list) => {
                let items = list.iter().filter_map(|item| Some((self.value(of, key, &item.value, item.span)?, item.span)));
                let items: Vec<(String, Option<Span>)> = items.collect();
                if key == "volumes" && list.iter().any(|item| item.varies()) {
                    check_mounts(items.iter().map(|(text, span)| (text.as_str(), *span)), self.found);
                }
                Value::Texts(items.into_iter().map(|(text, _)| text).collect())
            }
            service::Value::Map(map) => Value::Pairs(self.pairs(map)),
            service::Value::Vars(vars) if key == "environment" => {
                let mut items: Vec<String> = self.pairs(&vars.values).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
                items.extend(self.texts(vars.bare.iter()));
                Value::Texts(items)
            }
            service::Value::Vars(vars) => Value::Pairs(self.pairs(&vars.values)),
            service::Value::Flag(flag) => Value::Flag(flag),
            service::Value::Int(number) => Value::Int(number.value.0),
            service::Value::Ints(map) => {
                Value::Ints(map.iter().filter_map(|(name, number)| Some((name.value.clone(), number.value()?.0))).collect())
            }
        })
    }

    fn pairs(&mut self, map: &crate::yaml::Map<crate::yaml::Given<Text>>) -> Vec<(String, String)> {
        let given = map.iter().filter_map(|(name, text)| Some((name, text.get()?)));
        given.filter_map(|(name, text)| Some((name.value.clone(), self.text(&text.value, text.span)?))).collect()
    }

    fn engine(&mut self, class: &Class) -> Engine {
        let engine = &class.engine;
        Engine {
            bip: engine.bip.as_ref().and_then(|bip| self.text(&Text { text: bip.clone(), template: true }, None)),
            extra_args: self.distinct(engine.extra_args.iter()),
            storage_driver: engine.storage_driver.as_ref().and_then(|text| self.text(&text.value, text.span)),
            log_driver: engine.log_driver.as_ref().and_then(|text| self.text(&text.value, text.span)),
            log_opts: self.named(&engine.log_opts),
            live_restore: engine.live_restore,
        }
    }

    /// The OS's own keys, without what renders to nothing.
    fn os_entries(&mut self, entries: &[OsEntry]) -> serde_json::Map<String, serde_json::Value> {
        entries.iter().filter_map(|(name, value)| Some((name.value.clone(), self.os_value(value)?))).collect()
    }

    fn os_value(&mut self, value: &OsValue) -> Option<serde_json::Value> {
        Some(match value {
            OsValue::Flag(flag) => (*flag).into(),
            OsValue::Int(number) => (*number).into(),
            OsValue::Text(text) => self.text(&text.value, text.span)?.into(),
            OsValue::List(items) => {
                let items: Vec<_> = items.iter().filter_map(|item| self.os_value(item)).collect();
                if items.is_empty() {
                    return None;
                }
                items.into()
            }
            OsValue::Mount(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| self.text(&part.value, part.span).unwrap_or_default()).collect();
                if parts[0].is_empty() {
                    return None;
                }
                parts.into()
            }
            OsValue::Map(entries) => {
                let entries = self.os_entries(entries);
                if entries.is_empty() {
                    return None;
                }
                entries.into()
            }
        })
    }

    fn owner(&mut self, owner: &Spanned<Text>) -> Option<String> {
        let rendered = self.text(&owner.value, owner.span)?;
        if owner.varies() {
            self.found.extend_with(check_owner(&rendered, self.cluster.target, owner.span));
        }
        Some(rendered)
    }

    fn failure(&self, error: &Error, place: Option<Span>) -> Diagnostic {
        if !self.class.is_dynamic || error.kind() != ErrorKind::UndefinedError {
            return template_error(error, place);
        }
        let name = self.keys.node;
        Diagnostic::new(
            Code::KnownAtBoot,
            place,
            format!("this template needs an unknown value: {name} learns its address when it boots"),
        )
        .why("`node.address`, `node.subnet` and `node.bridge` are known only if the node has an address in the profile")
        .help("use `node.name` or `node.host`, or put `{% if not node.is_dynamic %}` around it; a program on the node can find the address itself")
    }

    fn failed<T>(&mut self, problem: String) -> Option<T> {
        self.found.push(Diagnostic::new(Code::Template, None, problem));
        None
    }

    fn file(&mut self, number: usize) -> Option<Arc<Written<File>>> {
        let (kept, planned) = (&self.common.files[number], &self.class.files[number]);
        self.kept(kept, |render| render.made_file(planned))
    }

    /// What all nodes of the class share is made once, and what shows a mistake for each, which it names.
    fn kept<T>(&mut self, kept: &Kept<T>, make: impl FnOnce(&mut Self) -> Option<T>) -> Option<Arc<Written<T>>> {
        if let Some(kept) = kept.get() {
            return kept.clone();
        }
        let own = self.own.clone();
        let (made, is_own) = own.is_read_by(|| make(self).map(Written::of));
        if is_own || !self.found.is_empty() {
            return made;
        }
        kept.get_or_init(|| made).clone()
    }

    fn made_file(&mut self, file: &PlannedFile) -> Option<File> {
        let content = match &file.content {
            Content::Base64(text) => FileContent::Base64(text.clone()),
            Content::Fingerprint => FileContent::Fingerprint,
            Content::Sealed(name) => match self.keys.reference(name, Form::Plain, None) {
                Ok(reference) => FileContent::Secret(Secret::whole(reference)),
                Err(error) => return self.failed(format!("sealed: {name} for {}: {error:#}", file.path)),
            },
            Content::Text { text, template: false, .. } => FileContent::Text(text.clone()),
            Content::Text { text, span, .. } => match self.cluster.line.templates.render(text, self.keys.context) {
                Ok(text) => FileContent::Text(text),
                Err(error) => {
                    self.found.push(self.failure(&error, *span));
                    return None;
                }
            },
            // Also an empty one: nothing takes away what an earlier config left on the disk.
            Content::Manifests(part) => self.manifests(*part),
            Content::Names(folders) => FileContent::Text(self.names(folders)?),
            Content::Line { template, with } => {
                let context = minijinja::context! { with => with, ..self.keys.context.clone() };
                match rendered(&self.cluster.line.templates, template, &context, self.keys) {
                    Ok(FileContent::Text(text)) if text.trim().is_empty() => return None,
                    Ok(content) => content,
                    Err(error) => return self.failed(format!("files/{template} for {}: {error:#}", file.path)),
                }
            }
        };
        if matches!(&content, FileContent::Secret(secret) if secret.is_of_node()) {
            self.own.note();
        }
        Some(File {
            path: file.path.clone(),
            permissions: file.permissions.clone(),
            owner: file.owner.as_ref().and_then(|owner| self.owner(owner)),
            container: file.container.clone(),
            content,
        })
    }
}

impl Render<'_, '_> {
    /// A line for each of the node's manifests below these folders, and for each object in them.
    fn names(&mut self, folders: &[String]) -> Option<String> {
        let mut lines = Vec::new();
        let class = self.class;
        for (number, file) in class.files.iter().enumerate().filter(|(_, file)| folders.iter().any(|folder| file.path.starts_with(folder)))
        {
            let made = self.file(number);
            let text: String = match made.as_deref().map(|file| &file.content) {
                Some(FileContent::Text(text)) => text.clone(),
                Some(FileContent::Base64(text)) => String::from_utf8_lossy(&STANDARD.decode(text).unwrap_or_default()).into_owned(),
                // Keys are in no name.
                Some(FileContent::Secret(secret)) => secret.0.iter().filter_map(Part::plain).collect(),
                _ => continue,
            };
            let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
            let source = sources.add(file.path.as_str(), text, false);
            let objects = manifest::read(&sources.get(source).text, source, &mut found);
            if let Some(wrong) = found.sorted().first() {
                return self.failed(format!("{} isn't a manifest: {}", file.path, wrong.message));
            }
            lines.push(file.path.clone());
            lines.extend(manifest::names(objects.iter()).lines().map(str::to_owned));
        }
        let mut seen = HashSet::new();
        lines.retain(|line| seen.insert(line.clone()));
        Some(lines.iter().map(|line| format!("{line}\n")).collect())
    }

    /// The profile's manifests. Secrets in them are names until the node is sealed.
    fn manifests(&self, part: ManifestFile) -> FileContent {
        let Some(manifests) = &self.cluster.manifests else { return FileContent::Text(String::new()) };
        match part {
            ManifestFile::Replicas => return FileContent::Text(manifests.replicas.clone()),
            ManifestFile::Names => return FileContent::Text(manifests.names.clone()),
            ManifestFile::Objects => {}
        }
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => Part::Text(text.clone()),
            Piece::Image(component) => Part::Text(self.cluster.images.reference(component, self.class.arch)),
            Piece::Secret(name) => Part::Key(self.keys.given(name, Form::Json)),
        };
        let secret = Secret(manifests.objects.iter().map(piece).collect());
        let is_secret = secret.0.iter().any(|part| matches!(part, Part::Key(_)));
        if is_secret { FileContent::Secret(secret) } else { FileContent::Text(secret.text()) }
    }
}

/// A command's words: the OS would lose backslashes where it splits a text. Words that can't be values of their own,
/// and an empty text, stay in one.
fn split(text: String) -> Value {
    match shlex::split(&text) {
        Some(words) if !words.is_empty() && words.iter().all(|word| unfit(word).is_none()) => Value::Texts(words),
        _ => Value::Text(text),
    }
}

/// Delimits the number of a reference while a template is rendered. No text contains it.
const MARK: [char; 2] = ['\u{E000}', '\u{E001}'];

/// Renders a file of the line. In it, `sealed(NAME)` stands for key material, with `base64=true` as
/// base64, with `json=true` as a JSON text, with `generation=N` of another generation. A file that
/// renders to nothing is left out.
fn rendered(templates: &Templates, template: &str, context: &minijinja::Value, keys: Keys) -> Result<FileContent, Error> {
    // The function outlives every borrow, so it only collects names. The references are made afterwards.
    type Noted = Vec<(String, Form, Option<u32>)>;
    let noted: Arc<Mutex<Noted>> = Arc::default();
    let notes = noted.clone();
    let sealed = move |name: String, options: minijinja::value::Kwargs| -> Result<String, Error> {
        let form = match (options.get::<Option<bool>>("base64")?, options.get::<Option<bool>>("json")?) {
            (Some(true), _) => Form::Base64,
            (_, Some(true)) => Form::Json,
            _ => Form::Plain,
        };
        let generation = options.get::<Option<u32>>("generation")?;
        options.assert_all_used()?;
        let mut notes = notes.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        notes.push((name, form, generation));
        Ok(format!("{}{}{}", MARK[0], notes.len() - 1, MARK[1]))
    };
    let context = minijinja::context! { sealed => minijinja::Value::from_function(sealed), ..context.clone() };
    let text = templates.render_file(template, &context)?;
    let noted = std::mem::take(&mut *noted.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
    if noted.is_empty() {
        return Ok(FileContent::Text(text));
    }
    let mut parts = Vec::new();
    for (index, piece) in text.split(MARK).enumerate() {
        parts.push(match (index % 2, piece.parse::<usize>().ok().and_then(|number| noted.get(number))) {
            (1, Some((name, form, generation))) => Part::Key(keys.reference(name, *form, *generation)?),
            _ => Part::Text(piece.to_owned()),
        });
    }
    Ok(FileContent::Secret(Secret(parts)))
}

/// The files for the people who run the cluster: path below `sealed/` and content.
pub fn operator_files(cluster: &Cluster, contexts: &Contexts) -> Result<Vec<(String, Secret)>, Error> {
    let context = contexts.shared();
    let keys = Keys { cluster, node: "", context: &context, user: None };
    let mut files = Vec::new();
    let kubeconfig = |template: &str, user: &str, keys: Keys| -> Result<Secret, Error> {
        let context = minijinja::context! { user, key => if keys.user.is_some() { "user" } else { user }, ..context.clone() };
        Ok(match rendered(&cluster.line.templates, template, &context, keys)? {
            FileContent::Secret(secret) => secret,
            FileContent::Text(text) | FileContent::Base64(text) => Secret(vec![Part::Text(text)]),
            FileContent::Fingerprint => Secret(Vec::new()),
        })
    };
    for file in &cluster.line.operator_files {
        let secret = match (&file.template, &file.sealed) {
            (_, Some(name)) => Secret::whole(keys.reference(name, Form::Plain, None)?),
            (Some(template), None) => kubeconfig(template, "admin", keys)?,
            (None, None) => continue,
        };
        files.push((file.path.clone(), secret));
    }
    if let Some(file) = &cluster.line.user_file {
        for user in &cluster.pki.users {
            let secret = kubeconfig(&file.template, &user.name, Keys { user: Some(user), ..keys })?;
            files.push((format!("users/{}.kubeconfig", user.name), secret));
        }
    }
    if cluster.pki.ssh_host_keys {
        let mut known_hosts = Vec::new();
        for node in &cluster.nodes {
            known_hosts.push(Part::Text(format!("{} ", node.names(&cluster.network).join(","))));
            known_hosts.push(Part::Key(Keys { node: &node.name, ..keys }.ssh_host_key().1));
        }
        files.push(("known_hosts".to_owned(), Secret(known_hosts)));
    }
    Ok(files)
}
