//! The keys of a cloud-config → those of a profile.

use super::machine::{Machine, Note};
use super::value::{Map, Value, set};
use super::{KEYS, label};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, closest, contains_secret, is_private_key, names_secret};
use crate::line::Line;
use crate::plan::DOCKERD_FLAGS;
use crate::profile::refused_os_key;
use crate::target::{Kind as Type, Target};
use crate::yaml::{Ambiguous, Entry, Kind, Node, Reader, yaml11};
use base64::Engine as _;

/// The maximal number of items in a list or mapping: that of a profile's lists.
const ITEMS: usize = 2000;

/// Keys that other systems read from a cloud-config, and what to do instead.
const FOREIGN: &[(&str, &str)] = &[
    ("apt", "the OS has no packages: run what you need as a service"),
    ("chpasswd", "log in with `ssh_keys`"),
    ("coreos", "write its units as `services`"),
    ("fqdn", "the name is `hostname`"),
    ("groups", "the OS has its own user, `rancher`; use `ssh_keys`"),
    ("manage_etc_hosts", "nothing: the OS writes /etc/hosts itself"),
    ("network", "it is `rancher.network`"),
    ("ntp", "write the file /etc/ntp.conf, with `container: ntp`"),
    ("package_update", "the OS has no packages: run what you need as a service"),
    ("package_upgrade", "the OS has no packages: run what you need as a service"),
    ("packages", "the OS has no packages: run what you need as a service"),
    ("password", "log in with `ssh_keys`"),
    ("ssh-authorized-keys", "it is `ssh_authorized_keys`; write the keys as `ssh_keys` into the profile"),
    ("ssh_pwauth", "log in with `ssh_keys`"),
    ("timezone", "set it in each service: `environment: {TZ: …}`"),
    ("user", "the OS has its own user, `rancher`; use `ssh_keys`"),
    ("users", "the OS has its own user, `rancher`; use `ssh_keys`"),
    ("write-files", "it is `write_files`; write the files as `files` into the profile"),
];

/// A cloud-config, while it is read.
pub(super) struct Config<'a> {
    pub(super) target: &'a Target,
    pub(super) line: &'a Line,
    pub(super) found: &'a mut Diagnostics,
    pub(super) notes: &'a mut Vec<Note>,
    pub(super) machine: Machine,
}

impl Config<'_> {
    /// The node of a config.
    pub(super) fn read(mut self, tree: &Node) -> Machine {
        self.section("", tree);
        self.machine.settings.entry("address".to_owned()).or_insert_with(|| Value::text("dhcp"));
        self.machine
    }

    /// The entries of the section at `path`.
    fn section(&mut self, path: &str, node: &Node) {
        for entry in self.entries(node) {
            let inner = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
            if entry.value.is_null() {
                self.note(&inner, "it has no value", entry.key_span);
            } else {
                self.key(&inner, entry);
            }
        }
    }

    fn key(&mut self, path: &str, entry: &Entry) {
        let node = &entry.value;
        match path {
            "hostname" => self.hostname(node),
            "ssh_authorized_keys" => self.list_setting("ssh_keys", path, node),
            "write_files" => self.files(node),
            "rancher.services" => self.services(node),
            "rancher.sysctl" => self.sysctl(node),
            "rancher.modules" => self.modules(node),
            "rancher.environment" => self.environment(path, node),
            "rancher.network.dns" => self.section(path, node),
            "rancher.network.dns.nameservers" => self.once("network.nameservers", path, node),
            "rancher.network.dns.search" => self.once("network.search", path, node),
            "rancher.network.interfaces" => self.interfaces(node),
            "rancher.network.http_proxy" => self.proxy("http", path, node),
            "rancher.network.https_proxy" => self.proxy("https", path, node),
            "rancher.network.no_proxy" => self.no_proxy(path, node),
            "rancher.docker.extra_args" => self.docker_args(path, node),
            "rancher.docker.live_restore" => self.flag_setting("docker.live_restore", node),
            "rancher.docker.log_driver" => self.setting("docker.log_driver", path, node),
            "rancher.docker.log_opts" => self.setting("docker.log_opts", path, node),
            "rancher.docker.storage_driver" => self.setting("docker.storage_driver", path, node),
            "rancher.docker.insecure_registry" | "rancher.system_docker.insecure_registry" => self.once("images.insecure", path, node),
            "rancher.docker.registry_mirror" | "rancher.system_docker.registry_mirror" => self.once("images.mirror", path, node),
            "rancher.state" => self.state(node),
            _ => self.other(path, entry),
        }
    }

    /// A key that the profile has as the OS has it, or not at all.
    fn other(&mut self, path: &str, entry: &Entry) {
        let (config, node) = (self.target.config(), &entry.value);
        if entry.key.is_empty() || entry.key.contains('.') {
            self.unknown(path, entry);
        } else if let Some(key) = config.get(path) {
            match key.kind {
                Type::Accounts => self.accounts(node),
                Type::Flag => self.flag_setting(&format!("os.{path}"), node),
                Type::Switches => self.switches(path, node),
                _ => self.setting(&format!("os.{path}"), path, node),
            }
        } else if let Some(refusal) = refused_os_key(path, entry.key_span) {
            self.refused(path, refusal);
        } else if config.within(path).is_empty() {
            self.unknown(path, entry);
        } else {
            self.section(path, node);
        }
    }

    /// A key that a profile can't set under `os`.
    fn refused(&mut self, path: &str, refusal: Diagnostic) {
        let span = refusal.span;
        match refusal.code {
            Code::SecretInProfile => self.secret_left_out(&format!("`{path}`"), span, &refusal.help.unwrap_or_default()),
            Code::BreakingOsKey | Code::UnreadOsKey => {
                let mut warning = Diagnostic::new(Code::KeyNotImported, span, refusal.message);
                (warning.why, warning.help) = (refusal.why, refusal.help);
                self.found.push(warning);
            }
            _ => {
                let ours = refusal.message.starts_with("remuda decides");
                let why = if ours { refusal.why } else { refusal.help };
                self.note(path, &why.unwrap_or_default(), span.unwrap_or(self.machine.named));
            }
        }
    }

    /// A key that the OS doesn't know, so that no node has ever read it.
    fn unknown(&mut self, path: &str, entry: &Entry) {
        let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
        let foreign = FOREIGN.iter().find(|(name, _)| section.is_empty() && *name == key).map(|(_, help)| (*help).to_owned());
        let known = match section {
            "" => KEYS.to_vec(),
            "rancher.network.dns" => vec!["nameservers", "search"],
            _ => self.target.config().within(section),
        };
        let ends = |path: &&str| path.rsplit('.').next() == Some(key);
        let elsewhere = || KEYS.into_iter().chain(self.target.config().iter().map(|(path, _)| path)).find(ends);
        let help = foreign
            .or_else(|| Some(format!("did you mean `{}`?", closest(key, known.iter().copied())?)))
            .or_else(|| Some(format!("it is `{}`: write it into the profile, under `os`", elsewhere()?)))
            .unwrap_or_else(|| format!("remove it; the OS's keys here are {}", known.join(", ")));
        self.not_imported(path, entry.key_span, help);
    }

    pub(super) fn not_imported(&mut self, what: &str, span: Span, help: impl Into<String>) {
        self.found.push(
            Diagnostic::new(Code::KeyNotImported, span, format!("{} has no key `{what}`", self.target.title))
                .why("it did nothing on the node, and isn't in the profile")
                .help(help),
        );
    }

    fn hostname(&mut self, node: &Node) {
        let Some(name) = self.text("hostname", node) else { return };
        self.machine.named = node.span;
        let (host, domain) = name.split_once('.').unwrap_or((&name, ""));
        self.machine.name = label(host);
        if self.machine.name != name {
            let why = if domain.is_empty() {
                "a node's name has lower-case letters, digits and dashes"
            } else {
                "a node's name has no domain; `network.search` may have it"
            };
            self.note(&format!("the form of the hostname {name}"), why, node.span);
        }
    }

    fn environment(&mut self, path: &str, node: &Node) {
        if let Some(variables) = self.mapping(path, node) {
            self.put("environment", Value::Map(variables));
        }
    }

    fn sysctl(&mut self, node: &Node) {
        let Some(mut own) = self.mapping("rancher.sysctl", node) else { return };
        own.retain(|name, value| self.line.sysctl.get(name).is_none_or(|ours| *value != Value::text(ours.as_str())));
        for entry in self.entries(node).iter().filter(|entry| !own.contains_key(&entry.key) && !entry.value.is_null()) {
            self.note(&format!("sysctl {}", entry.key), "the release line sets it", entry.key_span);
        }
        self.put("sysctl", Value::Map(own));
    }

    fn modules(&mut self, node: &Node) {
        let Some(Value::List(mut own)) = self.list("rancher.modules", node) else { return };
        let ours: Vec<Value> = self.line.modules.iter().map(Value::text).collect();
        if own.iter().any(|module| ours.contains(module)) {
            self.note("some of rancher.modules", "the release line loads them", node.span);
        }
        own.retain(|module| !ours.contains(module));
        self.put("modules", Value::List(own));
    }

    fn state(&mut self, node: &Node) {
        for entry in self.entries(node) {
            let disk = match &entry.value.kind {
                Kind::List(disks) if entry.key == "autoformat" => disks.first(),
                _ => None,
            };
            match disk.and_then(|disk| self.text("rancher.state.autoformat", disk)) {
                Some(disk) => self.put("disk", Value::Text(disk)),
                None => self.note(&format!("rancher.state.{}", entry.key), "remuda decides it from `disk`", entry.key_span),
            }
        }
    }

    /// Arguments of dockerd. Some have keys of their own.
    fn docker_args(&mut self, path: &str, node: &Node) {
        let Some(Value::List(args)) = self.list(path, node) else { return };
        let mut own = Vec::new();
        for arg in args {
            let Value::Text(text) = &arg else { continue };
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            match name.trim_start_matches('-') {
                "insecure-registry" => self.machine.once.push(("images.insecure".to_owned(), Value::texts([value]), node.span)),
                "registry-mirror" => self.machine.once.push(("images.mirror".to_owned(), Value::text(value), node.span)),
                "storage-driver" | "s" if !value.is_empty() => self.put("docker.storage_driver", Value::text(value)),
                ours if DOCKERD_FLAGS.contains(&ours) => {
                    self.note(&format!("dockerd's {name}"), "remuda decides it", node.span);
                }
                _ => own.push(arg),
            }
        }
        self.put("docker.extra_args", Value::List(own));
    }

    fn proxy(&mut self, key: &str, path: &str, node: &Node) {
        if matches!(&node.kind, Kind::Scalar { text, .. } if text.contains('@')) {
            return self.secret_left_out("the proxy's login", Some(node.span), "use a proxy without a login: a profile can't have one");
        }
        let Some(url) = self.text(path, node) else { return };
        self.machine.once.push((format!("network.proxy.{key}"), Value::Text(url), node.span));
    }

    fn no_proxy(&mut self, path: &str, node: &Node) {
        let Some(hosts) = self.text(path, node) else { return };
        let hosts = hosts.split(',').map(str::trim).filter(|host| !host.is_empty());
        self.machine.once.push(("network.proxy.no_proxy".to_owned(), Value::texts(hosts), node.span));
    }

    fn switches(&mut self, path: &str, node: &Node) {
        let mut on = Map::new();
        for entry in self.entries(node) {
            on.extend(self.flag(&entry.value).map(|flag| (entry.key.clone(), Value::Text(flag))));
        }
        set(&mut self.machine.settings, &format!("os.{path}"), Value::Map(on));
    }

    /// Accounts at registries, without their passwords.
    fn accounts(&mut self, node: &Node) {
        let mut accounts = Map::new();
        for entry in self.entries(node) {
            let host = match entry.key.as_str() {
                key if key.contains("docker.io") => "https://index.docker.io/v1/",
                key => key.split_once("://").map_or(key, |(_, rest)| rest).split('/').next().unwrap_or_default(),
            };
            let secret = label(host.trim_start_matches("https://").trim_end_matches("/v1/"));
            let mut account = Map::from([("secret".to_owned(), Value::text(secret.as_str()))]);
            for key in self.entries(&entry.value) {
                let Kind::Scalar { text, .. } = &key.value.kind else { continue };
                let decoded = || base64::engine::general_purpose::STANDARD.decode(text.trim()).ok();
                let user = match key.key.as_str() {
                    "username" => Some(text.clone()),
                    "auth" => decoded().and_then(|login| Some(String::from_utf8(login).ok()?.split_once(':')?.0.to_owned())),
                    _ => None,
                };
                account.extend(user.map(|user| ("username".to_owned(), Value::Text(user))));
            }
            let help = format!("keep it next to the profile: `remuda secret set {secret}`");
            self.secret_left_out(&format!("the password for {host}"), Some(entry.key_span), &help);
            accounts.insert(host.to_owned(), Value::Map(account));
        }
        set(&mut self.machine.settings, "os.rancher.registry_auths", Value::Map(accounts));
    }

    /// The value at `path`, as a setting of the node.
    fn setting(&mut self, setting: &str, path: &str, node: &Node) {
        if let Some(value) = self.value(path, node) {
            self.put(setting, value);
        }
    }

    fn list_setting(&mut self, setting: &str, path: &str, node: &Node) {
        if let Some(list) = self.list(path, node) {
            self.put(setting, list);
        }
    }

    fn flag_setting(&mut self, setting: &str, node: &Node) {
        if let Some(flag) = self.flag(node) {
            self.put(setting, Value::Text(flag));
        }
    }

    /// The value at `path`, as something that a profile has once.
    fn once(&mut self, once: &str, path: &str, node: &Node) {
        let is_single = once == "images.mirror";
        let value = if is_single { self.text(path, node).map(Value::Text) } else { self.list(path, node) };
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.machine.once.push((once.to_owned(), value, node.span));
        }
    }

    pub(super) fn put(&mut self, setting: &str, value: Value) {
        if !value.is_empty() {
            set(&mut self.machine.settings, setting, value);
        }
    }

    /// The entries of a mapping; reports anything else.
    pub(super) fn entries<'n>(&mut self, node: &'n Node) -> &'n [Entry] {
        match &node.kind {
            Kind::Mapping(entries) if self.fits(entries.len(), node) => return entries,
            Kind::Mapping(_) => {}
            _ => self.wrong_type(node, "a mapping"),
        }
        &[]
    }

    /// The items of a list; reports anything else.
    pub(super) fn items<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        match &node.kind {
            Kind::List(items) if self.fits(items.len(), node) => return items,
            Kind::List(_) => {}
            _ => self.wrong_type(node, "a list"),
        }
        &[]
    }

    fn fits(&mut self, length: usize, node: &Node) -> bool {
        if length > ITEMS {
            self.found.push(
                Diagnostic::new(Code::TooLarge, node.span, format!("{} with {length} items; the limit is {ITEMS}", node.what()))
                    .why("a profile can't have it, and a node's config would become too large to load")
                    .help("put it into an image, or leave it out"),
            );
        }
        length <= ITEMS
    }

    pub(super) fn list(&mut self, path: &str, node: &Node) -> Option<Value> {
        if let Kind::List(_) = &node.kind {
            return self.value(path, node);
        }
        self.wrong_type(node, "a list");
        None
    }

    fn mapping(&mut self, path: &str, node: &Node) -> Option<Map> {
        match self.value(path, node) {
            Some(Value::Map(map)) => Some(map),
            Some(_) => {
                self.wrong_type(node, "a mapping");
                None
            }
            None => None,
        }
    }

    /// A value as it is, without what is empty and without private keys.
    pub(super) fn value(&mut self, path: &str, node: &Node) -> Option<Value> {
        Some(match &node.kind {
            Kind::Scalar { .. } => Value::Text(self.text(path, node)?),
            Kind::List(_) => Value::List(self.items(node).iter().filter_map(|item| self.value(path, item)).collect()),
            Kind::Mapping(_) => {
                let entries = self.entries(node).iter();
                Value::Map(entries.filter_map(|entry| Some((entry.key.clone(), self.value(&entry.key, &entry.value)?))).collect())
            }
        })
    }

    /// A text, unless it is a private key. Warns of what looks like a secret.
    pub(super) fn text(&mut self, path: &str, node: &Node) -> Option<String> {
        let Kind::Scalar { text, .. } = &node.kind else {
            self.wrong_type(node, "a text");
            return None;
        };
        if node.is_null() {
            return None;
        }
        self.may_have(path, text, node.span).then(|| text.clone())
    }

    /// Whether the profile may have a text. Warns of what looks like a secret.
    pub(super) fn may_have(&mut self, path: &str, text: &str, span: Span) -> bool {
        if is_private_key(text) {
            self.secret_left_out(&format!("the private key in `{path}`"), Some(span), "bring the key onto the node in another way");
            return false;
        }
        if names_secret(path) && !text.is_empty() || contains_secret(text) {
            self.found.push(
                Diagnostic::new(Code::SecretImported, span, format!("`{path}` looks like a secret, and is in the profile now"))
                    .why("the profile and what is made of it go into git, where everybody with the repository reads it")
                    .help("remove it from the profile if it is one, and use another one from now on"),
            );
        }
        true
    }

    pub(super) fn secret_left_out(&mut self, what: &str, span: Option<Span>, help: &str) {
        self.found.push(
            Diagnostic::new(Code::SecretNotImported, span, format!("{what} is a secret, and isn't in the profile"))
                .why("the profile and what is made of it go into git, where everybody with the repository reads it")
                .help(help),
        );
    }

    /// True or false, as YAML 1.1 reads it.
    pub(super) fn flag(&mut self, node: &Node) -> Option<String> {
        let word = match &node.kind {
            Kind::Scalar { text, .. } if yaml11(text) == Some(Ambiguous::Bool) => text.to_lowercase(),
            _ => {
                self.wrong_type(node, "true or false");
                return None;
            }
        };
        Some(matches!(word.as_str(), "true" | "yes" | "on" | "y").to_string())
    }

    pub(super) fn wrong_type(&mut self, node: &Node, expected: &str) {
        Reader { found: self.found, templates: false }.wrong_type(node, expected);
    }

    pub(super) fn note(&mut self, what: &str, why: &str, span: Span) {
        self.notes.push(Note { is_added: false, what: what.to_owned(), why: why.to_owned(), span });
    }
}
