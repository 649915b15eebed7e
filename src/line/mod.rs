//! Release lines: each is a folder under `templates/`, with a `line.yaml`, a definition per service
//! and a template per file. Adding a line changes no Rust.
//!
//! A definition is YAML whose *texts* are templates. It is parsed once, before anything is
//! rendered. So a rendered value can never change the structure of a service, and an error points
//! into the file that somebody wrote.

mod addon;
mod debian;
mod document;
mod flags;
mod pki;
mod releases;
mod template;
#[cfg(test)]
mod tests;
pub mod value;

pub use addon::{Claim, Claimed};
pub use debian::Debian;
use document::{Documents, parsed};
pub use flags::{Demand, Entry, Flag, Gate, entries};
pub use pki::{CertificateSource, KeyMaterial, Pki};
pub use releases::Releases;
pub use template::{Templates, template_error};
pub use value::ValueKind;

use crate::component::ComponentImage;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Sources, closest};
use crate::profile::{AddOns, Settings, Taint};
use crate::service::{Command, Loss, Service, Text};
use crate::target::Target;
use crate::terms::{Backend, Delivery, EngineName, PodLevel, Role};
use crate::yaml::{Field, Given, Map, Reader, Spanned};
use camino::Utf8PathBuf;
use include_dir::{Dir, include_dir};
use indexmap::IndexMap;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

/// The files of `templates/`, by path.
static EMBEDDED: LazyLock<HashMap<&str, &[u8]>> = LazyLock::new(|| {
    static TEMPLATES: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates");
    let (mut files, mut folders) = (HashMap::new(), vec![&TEMPLATES]);
    while let Some(folder) = folders.pop() {
        files.extend(folder.files().filter_map(|file| Some((file.path().to_str()?, file.contents()))));
        folders.extend(folder.dirs());
    }
    files
});

/// The folder of services and files that all lines share.
const SHARED: &str = "shared";

/// The sources of lines: the user's folder, if any, before the ones embedded in remuda.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    /// The folder of `--templates`, which has a folder for each line, like `templates/`.
    pub folder: Option<Utf8PathBuf>,
}

impl Lines {
    /// A file's text, and its name for messages.
    fn file(&self, path: &str) -> Result<Option<(String, String)>, std::io::Error> {
        if let Some(folder) = &self.folder {
            let path = folder.join(path);
            match fs_err::read_to_string(&path) {
                Ok(text) => return Ok(Some((text, path.into_string()))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let embedded = EMBEDDED.get(path).and_then(|bytes| str::from_utf8(bytes).ok());
        Ok(embedded.map(|text| (text.to_owned(), format!("templates/{path}"))))
    }

    /// The file in the first of these folders that has it.
    fn first(&self, folders: &[String], path: &str) -> Result<Option<(String, String)>, std::io::Error> {
        for folder in folders {
            if let Some(file) = self.file(&format!("{folder}/{path}"))? {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// The names of all lines.
    pub fn names(&self) -> Vec<String> {
        self.folders_with("", "line.yaml")
    }

    /// The names of the folders in `within` that have this file.
    fn folders_with(&self, within: &str, file: &str) -> Vec<String> {
        let inner = |path: &&'static str| match within {
            "" => Some(*path),
            _ => path.strip_prefix(within)?.strip_prefix('/'),
        };
        let embedded = EMBEDDED.keys().filter_map(inner).filter_map(|path| path.split_once('/').filter(|(_, rest)| *rest == file));
        let embedded = embedded.map(|(name, _)| name.to_owned());
        let own = self.folder.iter().flat_map(|folder| folder.join(within).read_dir_utf8().into_iter().flatten().flatten());
        let own = own.filter(|entry| entry.path().join(file).exists()).map(|entry| entry.file_name().to_owned());
        let mut names: Vec<String> = embedded.chain(own).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// A release line, read and parsed, but not rendered.
#[derive(Debug)]
pub struct Line {
    /// The folder's name, like `kubernetes-1.20`, which is the value of a profile's `line`.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Why the line has no security; `None` if it has.
    pub insecure: Option<String>,
    /// Since when nobody fixes its programs, and what to use; `None` if they are fixed.
    pub outdated: Option<String>,
    /// What the cluster takes of pods; `None` if it takes all.
    pub pod_security: Option<PodSecurity>,
    /// The requirements on the target.
    pub needs: Needs,
    /// The processors that it runs on, as a profile's `arch` names them.
    pub architectures: Vec<String>,
    /// The API's default address.
    pub api: Api,
    /// The list `objects`: what its API server says of objects, if the line knows.
    pub objects: Option<String>,
    /// What each component's image is made of, by the component's name.
    pub components: Map<ComponentImage>,
    /// What public records say of what the components are made of.
    pub releases: Releases,
    /// The components that an add-on brings: component → add-on.
    pub of_addons: BTreeMap<String, String>,
    /// What pods of add-ons take of the nodes that they are on.
    pub claims: Vec<Claim>,
    /// In the order in which they are written.
    pub services: Vec<LineService>,
    /// The files on the nodes by path, in the order in which they are written.
    pub files: IndexMap<String, LineFile>,
    /// Whether a node can join the etcd that it finds: etcd has learners since 3.4.
    pub etcd_is_joined: bool,
    /// The files of `sealed/` for the people who run the cluster.
    pub operator_files: Vec<OperatorFile>,
    /// What each of a profile's users gets; `None` if there can be none.
    pub user_file: Option<UserFile>,
    /// The key material that its components need.
    pub pki: Pki,
    /// The service that writes its files.
    pub file_writer: String,
    /// The ways that its pods can reach pods on other nodes.
    pub backends: Vec<Backend>,
    /// The engine that runs its pods.
    pub pods_in: EngineName,
    /// Its settings of user Docker; `None` if its nodes have none.
    pub docker: Option<Engine>,
    /// Kernel parameters of nodes with pods, by name as `sysctl` writes it.
    pub sysctl: BTreeMap<String, String>,
    /// What nodes with pods need for IPv6 beside IPv4; `None` if their pods can't have it.
    pub ipv6: Option<Ipv6>,
    /// Kernel modules of nodes with pods.
    pub modules: Vec<String>,
    /// Taints of nodes that run the control plane but no pods of users.
    pub control_plane_taints: Vec<String>,
    /// By component: how far its version may move under a running cluster. Others may move freely.
    pub moves: BTreeMap<String, Moves>,
    /// How far versions of components may be apart.
    pub skew: Option<Skew>,
    /// Its files and texts, compiled.
    pub templates: Templates,
}

/// What nodes need for a second family.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ipv6 {
    /// Further kernel parameters.
    pub sysctl: BTreeMap<String, String>,
}

/// What a line requires of the target, compared as versions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// The lowest version of Linux, like `3.10`.
    pub kernel: String,
    /// The cgroup hierarchy that it runs on; `None` for any.
    pub cgroups: Option<Cgroups>,
    /// The versions of user Docker that it runs on; `None` if it needs none.
    pub docker: Option<Versions>,
}

/// What a namespace that says nothing takes of pods, as a file of the line says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodSecurity {
    /// The file, which is kube-apiserver's `admission-control-config-file`.
    pub config: String,
    /// The level.
    pub level: PodLevel,
    /// The namespaces that take everything.
    pub exempt: Vec<String>,
}

/// How far a component's version may move at once, in minors. It never changes its major.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moves {
    /// To a newer minor.
    pub up: u64,
    /// To an older one.
    pub down: u64,
    /// To an older one that another node still runs: a step that stopped half-way is taken back.
    #[serde(default)]
    pub back: u64,
    /// What goes wrong beyond.
    pub why: String,
}

/// How many minors older than another component each may be; none may be newer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skew {
    /// The other component.
    pub than: String,
    /// By component.
    pub older: BTreeMap<String, u64>,
    /// What goes wrong beyond.
    pub why: String,
}

/// The only cgroup hierarchy that a line runs on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cgroups {
    /// 1 or 2.
    pub version: u8,
    /// What goes wrong on the other one.
    pub why: String,
}

/// A range of versions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// The lowest, like `1.13`.
    pub from: String,
    /// The first that is too new, like `28`.
    pub before: String,
    /// What goes wrong from there on.
    pub why: String,
}

/// The API's default address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// The API server's port, unless the profile sets another.
    pub port: u16,
    /// The port on a node's loopback address where it reaches whichever API server lives.
    pub balancer: Option<u16>,
    /// Whether the control plane publishes its endpoint and workers read it, if no address is known.
    #[serde(default)]
    pub published: bool,
}

/// A condition of a service or file of a line, in addition to its roles and delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// The node learns its address when it boots.
    Dynamic,
    /// The node's address is known.
    Static,
    /// Some node of the cluster learns its address when it boots.
    DynamicCluster,
    /// The members of etcd find each other through a discovery service.
    Discovery,
    /// The profile has the members of etcd, and which of them found it.
    Founders,
    /// The control plane publishes the API's endpoint.
    ApiPublished,
    /// The OS has no user Docker in its image, and gets the line's.
    EngineImage,
    /// The control-plane nodes hold an address of the API in turn.
    Vip,
    /// The profile has manifests of its own.
    Manifests,
    /// flannel routes the pods' network.
    Flannel,
    /// The members of etcd save snapshots.
    Snapshots,
    /// There are several API servers, and each node has a balancer of its own before them.
    Balanced,
}

/// A service of a line.
#[derive(Debug)]
pub struct LineService {
    /// Its name on the nodes.
    pub name: String,
    /// The roles that have it: a node with any of these.
    pub on: Vec<Role>,
    /// The component whose image it uses, if it isn't on the OS's base image.
    pub component: Option<String>,
    /// The deliveries of images with which it exists; empty for all.
    pub delivery: Vec<Delivery>,
    /// All must hold; empty for always.
    pub when: Vec<Condition>,
    /// Templates of port numbers.
    pub ports: Vec<String>,
    /// Flags that no profile may change, because files, data or other services rely on them.
    pub keeps: Vec<String>,
    /// Whether a profile can't remove it.
    pub needed: bool,
    /// By flag: the flags with which its program doesn't start.
    pub excludes: BTreeMap<String, Vec<String>>,
    /// By flag: values that open the cluster to strangers.
    pub opens: BTreeMap<String, Opening>,
    /// By flag: a word that it must have.
    pub holds: BTreeMap<String, Held>,
    /// Every flag that its program knows, if the line lists them.
    pub flags: Option<BTreeMap<String, Flag>>,
    /// The feature gates that its program knows; empty if the line lists none.
    pub gates: Arc<BTreeMap<String, Gate>>,
    /// Its definition; all texts in it are templates.
    pub service: Service,
}

impl LineService {
    /// Whether it runs a component whose flags a profile may change.
    pub fn is_component(&self) -> bool {
        self.component.as_ref() == Some(&self.name)
    }
}

/// A file of a line, which is below its absolute path on the node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineFile {
    /// The roles that have it: a node with any of these.
    pub on: Vec<RoleName>,
    /// Its template below `files/`; a file has either this, `sealed`, `manifests`, `names` or `fingerprint`.
    pub template: Option<String>,
    /// What the template sees as `with`.
    #[serde(default)]
    pub with: BTreeMap<String, String>,
    /// The key material that is its content, by the name for [`Pki::find`].
    pub sealed: Option<String>,
    /// The part of the profile's manifests that is its content.
    pub manifests: Option<ManifestFile>,
    /// The folders of manifests whose paths and objects are its content, each with a slash at its end.
    pub names: Option<Vec<String>>,
    /// Whether its content is the fingerprint of the node's config.
    #[serde(default)]
    pub fingerprint: bool,
    /// The deliveries of images with which it exists; empty for all.
    #[serde(default)]
    pub delivery: Vec<Delivery>,
    /// All must hold; empty for always.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// Its mode in octal. Default 0644.
    pub permissions: Option<String>,
}

/// A part of the profile's manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManifestFile {
    /// The objects, without the numbers of replicas.
    Objects,
    /// The numbers of replicas.
    Replicas,
    /// What each object is and its name.
    Names,
}

/// A file for the people who run the cluster, below `sealed/`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorFile {
    /// The path below `sealed/`.
    pub path: String,
    /// Its template below `files/`; a file has either this or `sealed`.
    pub template: Option<String>,
    /// The key material that is its content.
    pub sealed: Option<String>,
}

/// A user's kubeconfig.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserFile {
    /// The template below `files/`: of the user `user`, with the key material `key`.crt and `key`.key.
    pub template: String,
    /// Who signs the user's certificate.
    pub authority: String,
}

/// User Docker's settings on nodes with one of the roles `on`; the texts are templates.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// The roles whose nodes have pods in user Docker's network.
    pub on: Vec<RoleName>,
    /// A template of the bridge's address with its prefix length.
    pub bip: String,
    /// Templates of further arguments of dockerd.
    pub extra_args: Vec<String>,
    /// The component that is user Docker on an OS without one.
    pub component: Option<String>,
    /// Every flag of that component's dockerd, long and short, without dashes: `flags/COMPONENT`.
    #[serde(skip)]
    pub flags: Vec<String>,
}

/// A role in `line.yaml`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleName {
    /// `etcd`
    Etcd,
    /// `control-plane`
    ControlPlane,
    /// `worker`
    Worker,
}

impl RoleName {
    /// The role that it names.
    pub fn role(self) -> Role {
        match self {
            Self::Etcd => Role::Etcd,
            Self::ControlPlane => Role::ControlPlane,
            Self::Worker => Role::Worker,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceEntry {
    on: Vec<RoleName>,
    component: Option<String>,
    #[serde(default)]
    delivery: Vec<Delivery>,
    #[serde(default)]
    when: Vec<Condition>,
    #[serde(default)]
    ports: Vec<Port>,
    #[serde(default)]
    keeps: Vec<String>,
    #[serde(default)]
    needed: bool,
    /// Flags on top of the definition's, as templates; `None` takes one away.
    #[serde(default)]
    args: IndexMap<String, Option<String>>,
    /// Mounts on top of the definition's, as templates.
    #[serde(default)]
    volumes: Vec<String>,
    #[serde(default)]
    excludes: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    opens: BTreeMap<String, Opening>,
    #[serde(default)]
    holds: BTreeMap<String, Held>,
}

/// A word that a flag, a list of words, must have for the cluster to work.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The word.
    pub word: String,
    /// What happens without it.
    pub why: String,
}

/// When a flag, a list of words, opens the cluster to strangers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// Words that do it.
    #[serde(default)]
    pub with: Vec<String>,
    /// Words without which it does.
    #[serde(default)]
    pub without: Vec<String>,
    /// What the program takes if nobody gives it the flag.
    #[serde(default)]
    pub default: String,
    /// Flags with which it doesn't, each with its word; `*` is any.
    #[serde(default)]
    pub unless: BTreeMap<String, String>,
    /// What a stranger can do then.
    pub why: String,
}

impl Opening {
    /// Whether a value opens it; `given` is what the program gets of another flag.
    pub fn is_by(&self, value: &str, given: impl Fn(&str) -> Option<String>) -> bool {
        let has = |word: &String| has_word(value, word);
        let is_off = self.unless.iter().any(|(flag, word)| given(flag).is_some_and(|value| word == "*" || has_word(&value, word)));
        !is_off && (self.with.iter().any(has) || !self.without.is_empty() && !self.without.iter().any(has))
    }
}

/// Whether a list of words has one, in any spelling: Go reads booleans in several.
pub(crate) fn has_word(value: &str, word: &str) -> bool {
    value
        .split(',')
        .map(str::trim)
        .any(|one| one.eq_ignore_ascii_case(word) || value::bool(word).is_some_and(|word| value::bool(one) == Some(word)))
}

impl ServiceEntry {
    /// Puts what the entry says on top of the service's definition.
    fn change(&self, service: &mut Service) -> Result<(), &'static str> {
        let template = |text: String| Spanned::unwritten(Text { text, template: true });
        if !self.args.is_empty() {
            let Given::Is(Spanned { value: Command::Words(words), .. }) = &mut service.command else {
                return Err("has `args`, but its `command` isn't a list");
            };
            words.retain(|word| flag_of(&word.text).is_none_or(|flag| !self.args.contains_key(flag)));
            words.extend(self.args.iter().filter_map(|(flag, value)| Some(template(format!("--{flag}={}", value.as_ref()?)))));
        }
        service.volumes.items.extend(self.volumes.iter().cloned().map(template));
        Ok(())
    }
}

/// `name` in `--name=value`, also after a template's `{% if %}`.
pub(crate) fn flag_of(word: &str) -> Option<&str> {
    let word = match word.strip_prefix("{%") {
        Some(rest) => rest.split_once("%}")?.1,
        None => word,
    };
    word.strip_prefix("--").map(|rest| rest.split('=').next().unwrap_or(rest))
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Template(String),
}

/// Reads a list for a program of this version, if there is one and the version is known.
fn listed(
    lines: &Lines,
    folders: &[String],
    path: &str,
    of: Option<&str>,
    parse: &mut dyn FnMut(&str, &str) -> Result<(), String>,
    found: &mut Diagnostics,
) {
    let list = lines.first(folders, path).map_err(|error| error.to_string());
    let parsed = list.and_then(|list| match list.zip(of) {
        Some(((text, file), of)) => parse(&text, of).map_err(|error| format!("{file}: {error}")),
        None => Ok(()),
    });
    if let Err(error) = parsed {
        found.push(Diagnostic::new(Code::Line, None, error));
    }
}

impl Line {
    /// Reads the line `name`, with these add-ons on top of its own. `None` if it doesn't exist or has an error, which is
    /// in `found`.
    pub fn load(name: &str, addons: &AddOns, lines: &Lines, sources: &mut Sources, found: &mut Diagnostics) -> Option<Line> {
        let mut documents = Documents::of(name, lines, sources, found)?;
        documents.add(addons, lines, sources, found)?;
        let parsed = documents.merged(found)?;
        let (folders, own) = (documents.folders(), documents.file().to_owned());
        let read = |path: &str, found: &mut Diagnostics| read(lines, &folders, path, found);
        let (of_addons, claims) = (documents.of_addons(), documents.claims());
        let pods_in = if parsed.docker.is_some() { EngineName::Docker } else { EngineName::Containerd };
        let components = documents.components(pods_in, found);
        let releases = Releases::read(lines, sources, found)?;
        let mut docker = parsed.docker;
        if let Some(docker) = &mut docker
            && let Some(component) = &docker.component
        {
            docker.flags = read(&format!("flags/{component}"), found)?.0.lines().map(str::to_owned).collect();
        }
        let mut templates = Templates::default();
        let mut services = Vec::new();
        // Programs of one version have the same.
        let mut gates_of: BTreeMap<Option<&str>, Arc<BTreeMap<String, Gate>>> = BTreeMap::new();
        for (service, entry) in parsed.services {
            let (text, file) = read(&format!("services/{service}.yaml"), found)?;
            let program = entry.component.as_ref().and_then(|component| components.get(component)?.version.value());
            let of = program.map(|program| program.text.as_str());
            let mut listed = |name: &str, parse: &mut dyn FnMut(&str, &str) -> Result<(), String>| {
                listed(lines, &folders, name, of, parse, found);
            };
            let mut flags = None;
            listed(&format!("flags/{service}"), &mut |list, of| flags::known(list, of).map(|known| flags = Some(known)));
            let mut gates = Arc::default();
            if let Some(flags) = &mut flags {
                listed(&format!("values/{service}"), &mut |list, of| flags::values(list, of, flags));
                if flags.values().any(|flag| flag.kind == Some(ValueKind::Gates(Vec::new()))) {
                    gates = gates_of
                        .entry(of)
                        .or_insert_with(|| {
                            let mut gates = BTreeMap::new();
                            listed("flags/gates", &mut |list, of| flags::gates(list, of).map(|listed| gates = listed));
                            listed("values/gates", &mut |list, of| flags::locks(list, of, &mut gates));
                            gates.into()
                        })
                        .clone();
                }
            }
            let mut definition = definition(&file, text, sources, found)?;
            if let Err(problem) = entry.change(&mut definition) {
                found.push(Diagnostic::new(Code::Line, None, format!("{own}: {service} {problem}")));
            }
            services.push(LineService {
                flags,
                gates,
                keeps: entry.keeps,
                needed: entry.needed,
                excludes: entry.excludes,
                opens: entry.opens,
                holds: entry.holds,
                service: definition,
                name: service,
                on: entry.on.into_iter().map(RoleName::role).collect(),
                component: entry.component,
                delivery: entry.delivery,
                when: entry.when,
                ports: entry.ports.into_iter().map(Port::template).collect(),
            });
        }
        let templated = parsed.files.values().filter_map(|file| file.template.as_deref());
        let templated: BTreeSet<&str> = templated.chain(parsed.operator_files.iter().filter_map(|file| file.template.as_deref())).collect();
        for file in templated.into_iter().chain(parsed.user_file.iter().map(|file| file.template.as_str())).collect::<BTreeSet<_>>() {
            let (text, _) = read(&format!("files/{file}"), found)?;
            templates.add_file(file, text, found);
        }
        let objects = lines.first(&folders, "objects").unwrap_or_else(|error| {
            found.push(Diagnostic::new(Code::Line, None, error.to_string()));
            None
        });
        parsed.pki.check(&own, found);
        parsed.pki.texts().for_each(|text| templates.add(text, None, found));
        let sealed = parsed.files.values().filter_map(|file| file.sealed.as_deref());
        for name in sealed.chain(parsed.operator_files.iter().filter_map(|file| file.sealed.as_deref())) {
            if parsed.pki.find(name).is_none() {
                found.push(Diagnostic::new(Code::Line, None, format!("{own}: `pki` doesn't make `sealed: {name}`")));
            }
        }
        Some(Line {
            name: name.to_owned(),
            title: parsed.title,
            insecure: parsed.insecure,
            outdated: parsed.outdated,
            pod_security: parsed.pod_security,
            needs: parsed.needs,
            architectures: parsed.architectures,
            api: parsed.api,
            objects: objects.map(|(text, _)| text),
            components,
            releases,
            of_addons,
            claims,
            services,
            files: parsed.files,
            etcd_is_joined: parsed.etcd_is_joined,
            operator_files: parsed.operator_files,
            user_file: parsed.user_file,
            pki: parsed.pki,
            file_writer: parsed.file_writer,
            backends: parsed.backends,
            pods_in,
            docker,
            sysctl: parsed.sysctl,
            ipv6: parsed.ipv6,
            modules: parsed.modules,
            control_plane_taints: parsed.control_plane_taints,
            moves: parsed.moves,
            skew: parsed.skew,
            templates,
        })
    }

    /// Whether its control-plane nodes can hold an address of the API in turn.
    pub fn holds_addresses(&self) -> bool {
        self.services.iter().any(|service| service.when.contains(&Condition::Vip))
    }

    /// The minor of its Kubernetes 1.
    pub fn minor(&self) -> Option<u32> {
        self.components.get("kube-apiserver")?.version.value()?.text.split('.').nth(1)?.parse().ok()
    }

    /// The path of the file with the fingerprint of a node's config.
    pub fn fingerprint_file(&self) -> Option<&str> {
        self.files.iter().find(|(_, file)| file.fingerprint).map(|(path, _)| path.as_str())
    }

    /// The roles of the nodes on which a component is a service; empty if it runs in pods.
    pub fn roles_of(&self, component: &str) -> Vec<Role> {
        let own = self.services.iter().filter(|service| service.is_component() && service.name == component);
        own.flat_map(|service| service.on.iter().copied()).collect()
    }

    /// The component that is user Docker on an OS without one.
    pub fn docker_component(&self) -> Option<&String> {
        self.docker.as_ref()?.component.as_ref()
    }

    /// The first service of which this OS loses a value, and what it loses.
    pub fn loss_on(&self, target: &Target) -> Option<(&str, Loss)> {
        let of_service = |service: &LineService| target.dialect.losses(&service.service).next().map(|(loss, _)| loss);
        self.services.iter().find_map(|service| Some((service.name.as_str(), of_service(service)?)))
    }

    /// The components of which only services with this condition make use.
    pub fn components_for(&self, condition: Condition) -> impl Iterator<Item = &str> {
        let is_one = move |name: &&str| {
            let mut users = self.services.iter().filter(|service| service.component.as_deref() == Some(*name)).peekable();
            users.peek().is_some() && users.all(|service| service.when.contains(&condition))
        };
        self.components.iter().map(|(name, _)| name.value.as_str()).filter(is_one)
    }

    /// The components of nodes with this OS.
    pub fn components_on(&self, target: &Target) -> Map<ComponentImage> {
        let mut components = self.components.clone();
        if let Some(own) = self.docker_component().filter(|_| target.docker.is_some()) {
            components.remove(own);
        }
        components
    }

    /// The settings of a node with these roles, which are the weakest level.
    pub fn settings(&self, roles: &[Role]) -> Settings {
        let mut settings = Settings::default();
        if roles.contains(&Role::ControlPlane) && !roles.contains(&Role::Worker) {
            settings.taints.items = self.control_plane_taints.iter().map(|taint| Spanned::unwritten(Taint(taint.clone()))).collect();
        }
        if roles.iter().any(|role| *role != Role::Etcd) {
            settings.modules.items = self.modules.iter().map(|module| Spanned::unwritten(Text::plain(module))).collect();
            for (name, value) in &self.sysctl {
                settings.sysctl.insert(Spanned::unwritten(name.clone()), Given::Is(Spanned::unwritten(Text::plain(value))));
            }
        }
        settings
    }
}

impl Port {
    fn template(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Template(text) => text,
        }
    }
}

/// A version's numbers, to be compared.
pub(crate) fn version(text: &str) -> Vec<u64> {
    text.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

/// A file's text and its name for messages, from the first folder that has it.
fn read(lines: &Lines, folders: &[String], path: &str, found: &mut Diagnostics) -> Option<(String, String)> {
    let problem = match lines.first(folders, path) {
        Ok(Some(file)) => return Some(file),
        Ok(None) => format!("the release line has no file {}/{path}", folders[0]),
        Err(error) => error.to_string(),
    };
    found.push(Diagnostic::new(Code::Line, None, problem));
    None
}

fn definition(file: &str, text: String, sources: &mut Sources, found: &mut Diagnostics) -> Option<Service> {
    let tree = parsed(sources, file, text, found)?;
    let mut service = Service::default();
    service.fill(&tree, &mut Reader { found, templates: true });
    Some(service)
}

/// Help for the name of a line that doesn't exist.
pub fn unknown(name: &str, lines: &Lines) -> String {
    let names = lines.names();
    match closest(name, names.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the lines are {}", names.join(", ")),
    }
}
