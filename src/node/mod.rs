//! Lower: a [`Cluster`] and one of its nodes → a [`Node`]: files, services, engine, network, all in
//! plain values. Templates are rendered here. Nothing here knows a target's dialect.

mod context;
#[cfg(test)]
mod tests;

pub use context::Contexts;

use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::line::template_error;
use crate::plan::{Class, Cluster, Content, PlannedFile};
use crate::service::{self, Command, Text, unfit};
use crate::yaml::Spanned;
use std::net::Ipv4Addr;

/// A machine's whole configuration.
#[derive(Debug)]
pub struct Node<'a> {
    pub hostname: &'a str,
    pub ssh_keys: &'a [String],
    pub files: Vec<File>,
    /// In the order of the plan; each with its keys in the order of the service definition.
    pub services: Vec<(&'a str, Vec<(&'static str, Value)>)>,
    pub engine: Engine,
    pub network: Network<'a>,
    pub sysctl: Vec<(String, String)>,
    pub modules: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// Whether the OS waits until preloaded images are loaded.
    pub preload_wait: bool,
}

#[derive(Debug)]
pub struct File {
    pub path: String,
    pub permissions: String,
    pub owner: Option<String>,
    pub container: String,
    pub content: FileContent,
}

#[derive(Debug)]
pub enum FileContent {
    Text(String),
    Base64(String),
    /// Key material, by name.
    Sealed(String),
}

/// A value in a service.
#[derive(Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Texts(Vec<String>),
    Pairs(Vec<(String, String)>),
    Flag(bool),
    Int(i64),
    Ints(Vec<(String, i64)>),
}

/// User Docker.
#[derive(Debug, Default)]
pub struct Engine {
    pub bip: Option<String>,
    pub extra_args: Vec<String>,
    pub storage_driver: Option<String>,
    pub log_driver: Option<String>,
    pub log_opts: Vec<(String, String)>,
    pub live_restore: Option<bool>,
    pub registry_mirror: Option<String>,
    pub insecure_registry: Vec<String>,
}

#[derive(Debug)]
pub struct Network<'a> {
    /// `eth1`, or `mac=…`: what `rancher.network.interfaces` takes for a key.
    pub interface: String,
    /// With its prefix length.
    pub address: String,
    /// Further interfaces, by DHCP.
    pub dhcp: &'a [String],
    pub gateway: Option<Ipv4Addr>,
    pub mtu: u16,
    pub nameservers: &'a [Ipv4Addr],
    pub search: &'a [String],
}

/// Lowers one node. What can't be rendered is in `found`, with its place.
pub fn lower<'a>(cluster: &'a Cluster, contexts: &Contexts, index: usize, found: &mut Diagnostics) -> Node<'a> {
    let node = &cluster.nodes[index];
    let class = &cluster.classes[node.class];
    let mut render = Render { cluster, context: contexts.node(cluster, index), found };
    Node {
        hostname: &node.name,
        ssh_keys: &class.ssh_keys,
        files: class.files.iter().filter_map(|file| render.file(file)).collect(),
        services: class.services.iter().map(|planned| (planned.name.as_str(), render.service(&planned.service))).collect(),
        engine: render.engine(class),
        network: network(cluster, index),
        sysctl: render.named(&class.sysctl),
        modules: class.modules.iter().filter_map(|module| render.text(&module.value, module.span)).collect(),
        environment: render.named(&class.environment),
        preload_wait: cluster.images.delivery == crate::profile::Delivery::Preload,
    }
}

fn network(cluster: &Cluster, index: usize) -> Network<'_> {
    let node = &cluster.nodes[index];
    let interface = match (&cluster.classes[node.class].interface, node.mac) {
        (Some(name), _) => name.clone(),
        (None, Some(mac)) => format!("mac={mac}"),
        (None, None) => "eth0".to_owned(),
    };
    Network {
        interface,
        dhcp: &cluster.classes[node.class].dhcp,
        address: format!("{}/{}", node.address, cluster.network.nodes.prefix()),
        gateway: cluster.network.gateway,
        mtu: cluster.network.mtu,
        nameservers: &cluster.network.nameservers,
        search: &cluster.network.search,
    }
}

/// Renders a node's texts. A text that renders to nothing is left out: so a template says `if`.
struct Render<'r, 'd> {
    cluster: &'r Cluster,
    context: minijinja::Value,
    found: &'d mut Diagnostics,
}

impl Render<'_, '_> {
    fn text(&mut self, text: &Text, span: Span) -> Option<String> {
        if !text.template {
            return Some(text.text.clone());
        }
        let rendered = match self.cluster.line.templates.render(&text.text, &self.context) {
            Ok(rendered) => rendered,
            Err(error) => {
                self.found.push(template_error(&error, Some(span)));
                return None;
            }
        };
        if let Some((problem, why)) = unfit(&rendered) {
            self.found.push(Diagnostic::error("unfit-value", span, format!("rendered, {problem}")).why(why));
            return None;
        }
        (!rendered.is_empty() || text.text.is_empty()).then_some(rendered)
    }

    fn texts<'t>(&mut self, texts: impl Iterator<Item = &'t Spanned<Text>>) -> Vec<String> {
        texts.filter_map(|text| self.text(&text.value, text.span)).collect()
    }

    fn named(&mut self, named: &[(String, Spanned<Text>)]) -> Vec<(String, String)> {
        named.iter().filter_map(|(name, text)| Some((name.clone(), self.text(&text.value, text.span)?))).collect()
    }

    fn service(&mut self, service: &service::Service) -> Vec<(&'static str, Value)> {
        let mut keys = Vec::new();
        service.visit(|key, value| {
            let value = match value {
                service::Value::Text(text) => match self.text(&text.value, text.span) {
                    Some(text) => Value::Text(text),
                    None => return,
                },
                service::Value::Command(command) => match &command.value {
                    Command::Line(text) => match self.text(text, command.span) {
                        Some(text) => Value::Text(text),
                        None => return,
                    },
                    Command::Words(words) => Value::Texts(self.texts(words.iter())),
                },
                service::Value::List(list) => Value::Texts(self.texts(list.iter())),
                service::Value::Map(map) => Value::Pairs(self.pairs(map)),
                service::Value::Vars(vars) if key == "environment" => {
                    let mut items: Vec<String> =
                        self.pairs(&vars.values).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
                    items.extend(self.texts(vars.bare.iter()));
                    Value::Texts(items)
                }
                service::Value::Vars(vars) => Value::Pairs(self.pairs(&vars.values)),
                service::Value::Flag(flag) => Value::Flag(flag),
                service::Value::Int(number) => Value::Int(number),
                service::Value::Ints(map) => {
                    Value::Ints(map.iter().filter_map(|(name, number)| Some((name.value.clone(), number.value()?.0))).collect())
                }
            };
            keys.push((key, value));
        });
        keys
    }

    fn pairs(&mut self, map: &crate::yaml::Map<crate::yaml::Given<Text>>) -> Vec<(String, String)> {
        let given = map.iter().filter_map(|(name, text)| Some((name, text.get()?)));
        given.filter_map(|(name, text)| Some((name.value.clone(), self.text(&text.value, text.span)?))).collect()
    }

    fn engine(&mut self, class: &Class) -> Engine {
        let engine = &class.engine;
        let nowhere = Span::default();
        Engine {
            bip: engine.bip.as_ref().and_then(|bip| self.text(&Text { text: bip.clone(), template: true }, nowhere)),
            extra_args: engine.extra_args.iter().filter_map(|arg| self.text(arg, nowhere)).collect(),
            storage_driver: engine.storage_driver.as_ref().and_then(|text| self.text(text, nowhere)),
            log_driver: engine.log_driver.as_ref().and_then(|text| self.text(text, nowhere)),
            log_opts: engine.log_opts.iter().filter_map(|(key, text)| Some((key.clone(), self.text(text, nowhere)?))).collect(),
            live_restore: engine.live_restore,
            registry_mirror: self.cluster.images.mirror.clone(),
            insecure_registry: self.cluster.images.insecure.clone(),
        }
    }

    fn file(&mut self, file: &PlannedFile) -> Option<File> {
        let content = match &file.content {
            Content::Base64(text) => FileContent::Base64(text.clone()),
            Content::Sealed(name) => FileContent::Sealed(name.clone()),
            Content::Text { text, template: false, .. } => FileContent::Text(text.clone()),
            Content::Text { text, span, .. } => match self.cluster.line.templates.render(text, &self.context) {
                Ok(text) => FileContent::Text(text),
                Err(error) => {
                    self.found.push(template_error(&error, Some(*span)));
                    return None;
                }
            },
            Content::Line { template, with } => {
                let context = minijinja::context! { with => with, ..self.context.clone() };
                match self.cluster.line.templates.render_file(template, &context) {
                    Ok(text) => FileContent::Text(text),
                    Err(error) => {
                        self.found.push(Diagnostic::error("template", None, format!("files/{template} for {}: {error:#}", file.path)));
                        return None;
                    }
                }
            }
        };
        Some(File {
            path: file.path.clone(),
            permissions: file.permissions.clone(),
            owner: file.owner.as_ref().and_then(|owner| self.text(&owner.value, owner.span)),
            container: file.container.clone(),
            content,
        })
    }
}
