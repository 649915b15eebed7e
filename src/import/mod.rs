//! Cloud-configs that somebody wrote by hand → the text of a profile that makes the same nodes.
//!
//! [`import`] takes the texts of the configs. It reads each into a [`Machine`], separates what all
//! have from what only some have, and gives the profile's text. What remuda decides is left out, with a comment; what
//! the OS doesn't read and what is secret is a warning. Nothing here reads or writes files, and no secret is in a
//! message.

mod files;
mod interfaces;
mod keys;
mod machine;
mod services;
mod split;
#[cfg(test)]
mod tests;
mod text;
mod value;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceId, Sources, Span};
use crate::line::{Line, Lines};
use crate::plan;
use crate::profile::{ClusterName, Name};
use crate::target::Target;
use crate::terms::{EngineName, Role};
use crate::yaml::{self, Kind, Node, Scalar};
use keys::Config;
use machine::{Machine, Note};
use std::collections::BTreeMap;
use std::fmt::Write;
use value::{Map, Value, set};

/// The maximal size of a cloud-config, in bytes.
pub const BYTES: u64 = 4 << 20;
/// The maximal number of cloud-configs.
pub const CONFIGS: usize = 1000;

/// The maximal number of comments about what was left out.
const NOTES: usize = 200;
/// A cloud-config: the path that messages show, and its bytes.
#[derive(Debug)]
pub struct Input {
    /// Its path. The file or its folder names the node if the config doesn't.
    pub path: String,
    /// At most [`BYTES`] of them are read; one more shows that there are too many.
    pub bytes: Vec<u8>,
}

/// An imported profile.
#[derive(Debug)]
pub struct Imported {
    /// The profile, as YAML.
    pub text: String,
    /// The number of nodes in it.
    pub nodes: usize,
}

/// Makes a profile for the cluster `name` of all `inputs`. Without a `target`, the configs' own images and keys say
/// which OS they are for. `None` if a config can't be imported; `found` then has all errors, and otherwise warnings.
pub fn import(
    inputs: Vec<Input>,
    name: &str,
    target: Option<&'static Target>,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Option<Imported> {
    let trees: Vec<(SourceId, Node)> = inputs.into_iter().filter_map(|input| tree(input, sources, found)).collect();
    let (target, target_note) = match target {
        Some(target) => (target, None),
        None => guessed_target(&trees, sources)?,
    };
    let (line, line_note) = guessed_line(&trees, target, sources, found)?;
    let mut notes = Vec::new();
    let mut machines = Vec::new();
    for (source, tree) in &trees {
        let machine = Machine::new(*source, &sources.get(*source).name);
        machines.push(Config { target, line: &line, found, notes: &mut notes, machine }.read(tree));
    }
    check_names(&machines, found);
    if found.has_errors() || machines.is_empty() {
        return None;
    }
    let nodes = machines.len();
    let profile = Draft { name, target, target_note, line: &line.name, line_note, machines, notes }.text(sources, found);
    Some(Imported { text: profile, nodes })
}

/// A cluster's name made of any text, like a file's name.
pub fn cluster_name(text: &str) -> String {
    let mut name = label(text);
    name.truncate(40);
    let name = name.trim_end_matches('-').to_owned();
    if ClusterName::parse(&name).is_ok() { name } else { "imported".to_owned() }
}

/// A text as a label: lower case, with dashes for what can't be in one.
fn label(text: &str) -> String {
    let dashed: String = text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    dashed.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// The keys by which a mapping is taken for a cloud-config of the OS.
const KEYS: [&str; 7] = ["hostname", "ssh_authorized_keys", "write_files", "mounts", "runcmd", "bootcmd", "rancher"];

/// The tree of a cloud-config. Anything else is refused.
fn tree(input: Input, sources: &mut Sources, found: &mut Diagnostics) -> Option<(SourceId, Node)> {
    let (is_gzip, is_large) = (input.bytes.starts_with(&[0x1f, 0x8b]), input.bytes.len() as u64 > BYTES);
    let text = String::from_utf8(input.bytes);
    let is_text = text.is_ok();
    let source = sources.add(input.path, text.unwrap_or_default(), false);
    let text = sources.get(source).text.as_str();
    let start = Span { source, start: 0, end: u32::try_from(text.lines().next().unwrap_or_default().len()).unwrap_or(0) };
    let refuse = |(problem, help): (&str, &str)| {
        Diagnostic::new(Code::NotACloudConfig, start, problem).why("nothing of it can become a node of the profile").help(help)
    };
    let refusal = match is_text {
        _ if is_large => Some(Diagnostic::new(Code::TooLarge, start, "this file has more than 4 MiB").help("leave it out")),
        false if is_gzip => Some(refuse(("this file is gzipped", "unpack it"))),
        false => Some(refuse(("this file isn't UTF-8 text", "leave it out"))),
        true => no_yaml(text).map(refuse),
    };
    if let Some(refusal) = refusal {
        found.push(refusal);
        return None;
    }
    let mut own = Diagnostics::default();
    let tree = yaml::parse_foreign(text, source, &mut own);
    if own.sorted().iter().any(|one| is_of_a_template(one, text)) {
        found.push(refuse(("this file is a template", "import what the node boots from: the text that is made of it")));
        return None;
    }
    found.extend(own);
    let tree = tree?;
    if let Some(problem) = not_of_the_os(&tree) {
        found.push(refuse(problem));
        return None;
    }
    Some((source, tree))
}

/// Whether a mistake is on a line that a template has and YAML hasn't.
fn is_of_a_template(mistake: &Diagnostic, text: &str) -> bool {
    let Some(span) = mistake.span else { return false };
    let (above, rest) = text.split_at_checked(span.start as usize).unwrap_or((text, ""));
    let start = above.rfind('\n').map_or(0, |at| at + 1);
    let line = &text[start..above.len() + rest.find('\n').unwrap_or(rest.len())];
    line.contains("{{") || line.contains("{%")
}

/// What a text is, if it isn't a YAML mapping, and what to do.
fn no_yaml(text: &str) -> Option<(&'static str, &'static str)> {
    let is_empty = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    match text {
        _ if text.starts_with("#!") => Some(("this file is a script", "leave it out; a command of it can be in `runcmd`")),
        _ if text.starts_with("MIME-Version:") || text.starts_with("Content-Type:") => {
            Some(("this file is a MIME archive", "save the part with the cloud-config as its own file"))
        }
        _ if text.lines().all(is_empty) => Some(("this file has no keys", "leave it out")),
        _ => None,
    }
}

/// What a tree is, if it isn't a cloud-config of the OS, and what to do.
fn not_of_the_os(tree: &Node) -> Option<(&'static str, &'static str)> {
    let Kind::Mapping(entries) = &tree.kind else {
        return Some(("this file isn't a mapping", "a cloud-config begins with `#cloud-config`, and has keys like `rancher:`"));
    };
    let has = |key: &str| entries.iter().any(|entry| entry.key == key);
    if has("cluster") && has("nodes") {
        return Some(("this file is a profile already", "leave it out"));
    }
    let help = "leave it out; a cloud-config of the OS has `rancher:` or `hostname:`";
    (!KEYS.iter().any(|key| has(key))).then_some(("no key of this file is one of the OS's", help))
}

/// The target that the configs are for, by images and keys, and a note about it.
fn guessed_target(trees: &[(SourceId, Node)], sources: &Sources) -> Option<(&'static Target, Option<String>)> {
    for (_, tree) in trees {
        if let Some(span) = of_burmilla(tree) {
            let note = format!("by {}", place(span, sources));
            return Some((Target::find("burmillaos-2.0")?, Some(note)));
        }
    }
    Some((Target::find("rancheros-1.5")?, Some("no config names BurmillaOS".to_owned())))
}

/// The release line that the configs are for, and a note about it: that of the Kubernetes that they run; the newest with
/// user Docker if they need it; or the newest.
fn guessed_line(trees: &[(SourceId, Node)], target: &Target, sources: &Sources, found: &mut Diagnostics) -> Option<(Line, String)> {
    let pairs = plan::pairs(&Lines::default(), &mut Sources::default(), found);
    let mut all: Vec<Line> =
        pairs.into_iter().filter(|pair| pair.target.name == target.name && pair.line.insecure.is_none()).map(|pair| pair.line).collect();
    all.sort_by_key(Line::minor);
    let services =
        || trees.iter().flat_map(|(_, tree)| tree.get("rancher").and_then(|own| own.get("services")).map(Node::entries)).flatten();
    let run = services().find_map(|service| {
        let (minor, span) = services::kubernetes(&service.value)?;
        Some((all.iter().position(|line| line.minor() == Some(minor))?, span))
    });
    if let Some((index, span)) = run {
        return Some((all.swap_remove(index), format!("by {}", place(span, sources))));
    }
    if let Some(user) = services().find(|service| services::is_for_user_docker(&service.value)) {
        let line = all.into_iter().rfind(|line| line.pods_in == EngineName::Docker)?;
        return Some((line, format!("it has user Docker, which {} needs ({})", user.key, place(user.key_span, sources))));
    }
    Some((all.pop()?, format!("the newest on {}", target.name)))
}

/// `FILE:LINE`
fn place(span: Span, sources: &Sources) -> String {
    let (line, _) = sources.position(span.source, span.start);
    format!("{}:{line}", file(span.source, sources))
}

/// A config's path, in one line.
fn file(source: SourceId, sources: &Sources) -> String {
    sources.get(source).name.replace(char::is_control, " ")
}

/// The first place that only a config for BurmillaOS has.
fn of_burmilla(node: &Node) -> Option<Span> {
    match &node.kind {
        Kind::Scalar { text, .. } => (text.starts_with("burmilla/") || text.contains("/burmilla/")).then_some(node.span),
        Kind::List(items) => items.iter().find_map(of_burmilla),
        Kind::Mapping(entries) => entries.iter().find_map(|entry| match entry.key.as_str() {
            "data_root" | "userns_enabled" => Some(entry.key_span),
            _ => of_burmilla(&entry.value),
        }),
    }
}

/// Each node has a name, and only one.
fn check_names(machines: &[Machine], found: &mut Diagnostics) {
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for machine in machines {
        if let Err(problem) = Name::parse(&machine.name) {
            let diagnostic = Diagnostic::new(Code::InvalidName, machine.named, format!("no node can have this name: {problem}"));
            found.push(diagnostic.why("a node's name is its host name").help("write `hostname: NAME` into the config, or rename the file"));
        } else if let Some(first) = seen.insert(&machine.name, machine.named) {
            found.push(
                Diagnostic::new(Code::DuplicateName, machine.named, format!("two configs are for the node {}", machine.name))
                    .related(first, "the other one")
                    .why("nodes are known by their names")
                    .help("give each config its own `hostname`, or leave one out"),
            );
        }
    }
}

/// Everything that the profile's text is made of.
struct Draft<'a> {
    name: &'a str,
    target: &'a Target,
    target_note: Option<String>,
    line: &'a str,
    line_note: String,
    machines: Vec<Machine>,
    notes: Vec<Note>,
}

impl Draft<'_> {
    fn text(mut self, sources: &Sources, found: &mut Diagnostics) -> String {
        let (network, images) = (self.network(found), self.once("images", found));
        let roles = self.roles(sources);
        let only = self.machines.len() == 1;
        let settings: Vec<&mut Map> = self.machines.iter_mut().map(|machine| &mut machine.settings).collect();
        let defaults = split::common(settings, only);

        let mut out = self.head(sources);
        let _ = writeln!(out, "cluster: {}", self.name);
        let guess = self.target_note.as_ref().map(|note| format!("   # a guess: {note}")).unwrap_or_default();
        let _ = writeln!(out, "target: {}{guess}", self.target.name);
        let _ = writeln!(out, "line: {}   # a guess: {}", self.line, self.line_note);
        if !network.contains_key("nodes") {
            out.push_str("\n# To be decided: `network.nodes`, the network of the nodes' addresses. No config has it.");
            out.push_str(if network.is_empty() { "\n" } else { "" });
        }
        for (name, section) in [("network", &network), ("images", &images), ("defaults", &defaults)] {
            text::section(&mut out, name, section);
        }
        text::heading(&mut out, "nodes");
        for (machine, (roles, note)) in self.machines.iter().zip(roles) {
            let _ = writeln!(out, "  {}:   # {}", text::key(&machine.name), file(machine.source, sources));
            let _ = writeln!(out, "    {roles}   # a guess: {note}");
            text::map(&mut out, &machine.settings, 4);
        }
        out
    }

    /// The comment at the top: what was left out or added, and where.
    fn head(&self, sources: &Sources) -> String {
        let mut out = "# Made by `remuda import`. Read it, change it, then run `remuda validate` with it.\n".to_owned();
        for (is_added, title) in [(false, "Left out"), (true, "Added")] {
            let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
            let mut all: Vec<(&Note, Vec<Span>)> = Vec::new();
            for note in self.notes.iter().filter(|note| note.is_added == is_added) {
                let index = *seen.entry((&note.what, &note.why)).or_insert(all.len());
                if index == all.len() {
                    all.push((note, Vec::new()));
                }
                all[index].1.push(note.span);
            }
            if !all.is_empty() {
                let _ = writeln!(out, "#\n# {title}:");
            }
            for (note, spans) in all.iter().take(NOTES) {
                let places: Vec<String> = spans.iter().take(3).map(|span| place(*span, sources)).collect();
                let more = if spans.len() > 3 { format!(" and {} more", spans.len() - 3) } else { String::new() };
                text::comment(&mut out, &format!("- {} ({}{more}): {}", note.what, places.join(", "), note.why));
            }
            if all.len() > NOTES {
                let _ = writeln!(out, "# - and {} more", all.len() - NOTES);
            }
        }
        out
    }

    /// Each node's roles as they are written, with the reason.
    fn roles(&self, sources: &Sources) -> Vec<(String, String)> {
        let has_api = self.machines.iter().any(|machine| machine.api.is_some());
        let has_etcd = self.machines.iter().any(|machine| machine.etcd.is_some());
        let alone = self.machines.len() == 1;
        let role = |(index, machine): (usize, &Machine)| match (machine.api, machine.etcd) {
            (Some(span), _) => (Role::ControlPlane, format!("it ran a part of the control plane ({})", place(span, sources))),
            (None, Some(span)) if !has_api => (Role::ControlPlane, format!("it ran etcd ({})", place(span, sources))),
            _ if !has_api && !has_etcd && index == 0 => (Role::ControlPlane, "a cluster needs one, and this is the first node".to_owned()),
            _ => (Role::Worker, "it ran nothing of a control plane".to_owned()),
        };
        let write = |(role, note): (Role, String)| match alone {
            true => (format!("roles: [{}, {}]", Role::ControlPlane, Role::Worker), "the only node does everything".to_owned()),
            false => (format!("role: {role}"), note),
        };
        self.machines.iter().enumerate().map(role).map(write).collect()
    }

    /// `network`, with the network of all nodes' addresses.
    fn network(&mut self, found: &mut Diagnostics) -> Map {
        let networks: Vec<_> = self.machines.iter().filter_map(|machine| machine.network).collect();
        let mut section = self.once("network", found);
        if let Some((network, differ)) = interfaces::around(&networks) {
            section.insert("nodes".to_owned(), Value::Text(network.to_string()));
            if differ {
                let span = self.machines.iter().find(|machine| machine.network != self.machines[0].network).map(|one| one.named);
                found.push(
                    Diagnostic::new(Code::ConfigsDiffer, span, "the nodes' addresses are in several networks")
                        .why("a profile has one network for all nodes, and the smallest around all of them may contain others")
                        .help(format!("look at `network.nodes`, {network}")),
                );
            }
        }
        section
    }

    /// What a profile has once for all nodes: the first config's value, or all items of lists that may be joined.
    fn once(&mut self, section: &str, found: &mut Diagnostics) -> Map {
        let mut all: BTreeMap<String, Value> = BTreeMap::new();
        let mut spans: BTreeMap<String, Span> = BTreeMap::new();
        for (path, value, span) in self.machines.iter().flat_map(|machine| &machine.once) {
            let Some(key) = path.strip_prefix(section).and_then(|rest| rest.strip_prefix('.')) else { continue };
            match (all.get_mut(key), value) {
                (None, _) => {
                    all.insert(key.to_owned(), value.clone());
                    spans.insert(key.to_owned(), *span);
                }
                (Some(Value::List(have)), Value::List(more)) if key == "insecure" => {
                    let new: Vec<Value> = more.iter().filter(|item| !have.contains(item)).cloned().collect();
                    have.extend(new);
                }
                (Some(have), _) if have != value => found.push(
                    Diagnostic::new(Code::ConfigsDiffer, *span, format!("another config has another value for `{path}`"))
                        .related(spans[key], "this one is in the profile")
                        .why("a profile has it once, for all nodes")
                        .help(format!("decide on one value of `{path}`")),
                ),
                _ => {}
            }
        }
        let mut nested = Map::new();
        all.into_iter().for_each(|(path, value)| set(&mut nested, &path, value));
        nested
    }
}
