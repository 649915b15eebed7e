//! Add-ons: each is a folder `addons/NAME/` beside the lines, with an `addon.yaml`. That is a fragment of a line, which
//! is merged into the line of a cluster that has the add-on, and says before it what the add-on is, needs and can be set.

use super::document::{merge, parsed};
use super::{Lines, version};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Sources, Span, closest};
use crate::profile::{AbsPath, AddOnSetting, AddOns};
use crate::yaml::{Field, Given, Map, Node, Scalar, Spanned};
use serde::Deserialize;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The folder of add-ons.
const FOLDER: &str = "addons";
/// The keys of `line.yaml` that an add-on may have.
const KEYS: [&str; 6] = ["components", "services", "files", "pki", "sysctl", "modules"];

/// What an add-on says of itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    title: String,
    #[serde(default)]
    needs: Needs,
    /// What a cluster lacks whose line has the add-on, and whose profile takes it away.
    missed: Option<String>,
    #[serde(default)]
    settings: BTreeMap<String, Rule>,
    /// By a minor of Kubernetes: what is different in it and in older ones.
    #[serde(default)]
    until: BTreeMap<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Needs {
    /// The lowest version of the line's kube-apiserver.
    kubernetes: Option<String>,
}

/// What a setting's value must be, and what it is if the profile doesn't have it.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
enum Rule {
    /// A whole number within bounds.
    Number { from: u32, to: u32, default: String },
    /// An absolute path on a node.
    Path { default: String },
    /// A folder on nodes, in which pods of the add-on keep data.
    Folder { default: String },
    /// A TCP port that pods of the add-on take on nodes.
    Port { default: String },
    /// One of these words.
    Choice { of: Vec<String>, default: String },
}

impl Rule {
    fn default(&self) -> &str {
        match self {
            Self::Number { default, .. }
            | Self::Path { default }
            | Self::Folder { default }
            | Self::Port { default }
            | Self::Choice { default, .. } => default,
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Number { from, to, .. } => format!("a number from {from} to {to}"),
            Self::Path { .. } | Self::Folder { .. } => AbsPath::expected().into_owned(),
            Self::Port { .. } => "a port from 1 to 65535".to_owned(),
            Self::Choice { of, .. } => of.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or "),
        }
    }

    fn takes(&self, text: &str) -> bool {
        match self {
            Self::Number { from, to, .. } => is_number(text, *from, *to),
            Self::Port { .. } => is_number(text, 1, 65_535),
            Self::Path { .. } | Self::Folder { .. } => AbsPath::parse(text).is_ok(),
            Self::Choice { of, .. } => of.iter().any(|word| word == text),
        }
    }

    /// For editors, and the reference: the type of a value.
    fn schema(&self) -> Value {
        let title = format!("{}, default {}", self.expected(), self.default());
        match self {
            Self::Number { from, to, .. } => json!({ "title": title, "type": ["integer", "string"], "minimum": from, "maximum": to }),
            Self::Port { .. } => json!({ "title": title, "type": ["integer", "string"], "minimum": 1, "maximum": 65_535 }),
            Self::Path { .. } | Self::Folder { .. } => json!({ "title": title, "type": "string", "pattern": "^/" }),
            Self::Choice { of, .. } => json!({ "title": title, "enum": of }),
        }
    }

    /// What the add-on takes of nodes by this value.
    fn claims(&self, text: &str) -> Option<Claimed> {
        match self {
            Self::Folder { .. } => Some(Claimed::Folder(text.to_owned())),
            Self::Port { .. } => text.parse().ok().map(Claimed::Port),
            _ => None,
        }
    }
}

fn is_number(text: &str, from: u32, to: u32) -> bool {
    text.parse::<u32>().is_ok_and(|number| (from..=to).contains(&number) && number.to_string() == text)
}

/// What pods of an add-on take of the nodes that they are on.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The add-on.
    pub addon: String,
    /// The setting.
    pub setting: String,
    /// What it takes.
    pub of: Claimed,
    /// Where the profile sets it, or has the add-on.
    pub span: Option<Span>,
}

/// See [`Claim`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// A folder with data.
    Folder(String),
    /// A TCP port.
    Port(u16),
}

/// An add-on, read and set.
pub(super) struct Fragment {
    /// Its name.
    pub name: String,
    /// Its folder, below the folder of lines.
    pub folder: String,
    /// Its name for messages.
    pub file: String,
    /// What its file says, and on top of it what is different in the line's Kubernetes.
    pub trees: Vec<Node>,
    /// What it adds to the line.
    pub value: Value,
    /// What its settings take of nodes.
    pub claims: Vec<Claim>,
}

impl Fragment {
    /// Puts on top what is different in this Kubernetes: what holds until the newest minor first.
    fn differ(&mut self, until: &BTreeMap<String, Value>, kubernetes: &str) {
        let minor: Vec<u64> = version(kubernetes).into_iter().take(2).collect();
        let mut of_older: Vec<_> = until.iter().filter(|(last, _)| minor <= version(last)).collect();
        of_older.sort_by_key(|(last, _)| Reverse(version(last)));
        for (last, value) in of_older {
            self.trees.extend(self.trees[0].get("until").and_then(|until| until.get(last)).cloned());
            merge(&mut self.value, value.clone());
        }
    }
}

/// The line that add-ons are put on.
pub(super) struct Base<'b> {
    pub name: &'b str,
    /// The version of its kube-apiserver.
    pub kubernetes: &'b str,
    pub lines: &'b Lines,
}

impl Base<'_> {
    /// The add-ons of a cluster: the line's, and on top of them the profile's. What is wrong with them is in `found`.
    pub(super) fn fragments(&self, of_line: &AddOns, of_profile: &AddOns, sources: &mut Sources, found: &mut Diagnostics) -> Vec<Fragment> {
        let mut all = of_line.clone();
        all.merge(of_profile);
        for (name, is_hit) in all.removals() {
            self.taken_away(name, is_hit, sources, found);
        }
        all.iter().filter_map(|(name, settings)| self.fragment(name, settings, sources, found)).collect()
    }

    /// An add-on's head, and the rest of its file.
    fn read(&self, name: &Spanned<String>, sources: &mut Sources, found: &mut Diagnostics) -> Option<(Head, Fragment)> {
        let names = self.lines.addons();
        if !names.contains(&name.value) {
            let help = match closest(&name.value, names.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the add-ons are {}", names.join(", ")),
            };
            found.push(Diagnostic::new(Code::UnknownAddon, name.span, format!("no add-on is named `{}`", name.value)).help(help));
            return None;
        }
        self.lines.addon(&name.value, sources, found)
    }

    fn fragment(
        &self,
        name: &Spanned<String>,
        settings: &Map<Given<AddOnSetting>>,
        sources: &mut Sources,
        found: &mut Diagnostics,
    ) -> Option<Fragment> {
        let (head, mut fragment) = self.read(name, sources, found)?;
        if let Some(needed) = head.needs.kubernetes.filter(|needed| version(self.kubernetes) < version(needed)) {
            found.push(
                Diagnostic::new(
                    Code::AddonNeeds,
                    name.span,
                    format!("the add-on `{}` needs Kubernetes {needed} or newer, but {} has {}", name.value, self.name, self.kubernetes),
                )
                .why(format!("no node of this line would put it into the cluster: {}", head.title))
                .help(format!("remove it, or use a newer `line`, like `kubernetes-{needed}`")),
            );
            return None;
        }
        fragment.differ(&head.until, self.kubernetes);
        let mut with: BTreeMap<&str, (&str, Option<Span>)> =
            head.settings.iter().map(|(key, rule)| (key.as_str(), (rule.default(), name.span))).collect();
        for (key, given) in settings.iter() {
            let Some((known, rule)) = head.settings.get_key_value(&key.value) else {
                let known = || head.settings.keys().map(String::as_str);
                let help = match closest(&key.value, known()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None if head.settings.is_empty() => format!("it has none: write `{}: {{}}`", name.value),
                    None => format!("its settings are {}", known().collect::<Vec<_>>().join(", ")),
                };
                let unknown = format!("the add-on `{}` has no setting `{}`", name.value, key.value);
                found.push(Diagnostic::new(Code::UnknownKey, key.span, unknown).why("it would be silently ignored").help(help));
                continue;
            };
            let Some(given) = given.get() else { continue };
            if !rule.takes(&given.0) {
                found.push(
                    Diagnostic::new(Code::InvalidValue, given.span, format!("`{}` is not {}", given.0, rule.expected()))
                        .why("the add-on's objects would be wrong, and the API server would refuse them on every boot")
                        .help(format!("write {}", rule.expected())),
                );
                continue;
            }
            with.insert(known, (&given.0, given.span));
        }
        let claim = |(key, rule): (&String, &Rule)| {
            let (text, span) = *with.get(key.as_str())?;
            Some(Claim { addon: name.value.clone(), setting: key.clone(), of: rule.claims(text)?, span })
        };
        fragment.claims = head.settings.iter().filter_map(claim).collect();
        // The files of an add-on see its settings.
        for file in fragment.value.get_mut("files").and_then(Value::as_object_mut).into_iter().flat_map(|files| files.values_mut()) {
            if let Some(file) = file.as_object_mut().filter(|file| file.contains_key("template")) {
                let own = file.entry("with").or_insert_with(|| Value::Object(serde_json::Map::new()));
                if let Some(own) = own.as_object_mut() {
                    own.extend(with.iter().map(|(key, (value, _))| ((*key).to_owned(), Value::from(*value))));
                }
            }
        }
        Some(fragment)
    }

    fn taken_away(&self, name: &Spanned<String>, is_hit: bool, sources: &mut Sources, found: &mut Diagnostics) {
        let Some((head, _)) = self.read(name, sources, found) else { return };
        if !is_hit {
            found.push(
                Diagnostic::new(
                    Code::NoEffect,
                    name.span,
                    format!("this removes nothing: {} has no add-on `{}` by itself", self.name, name.value),
                )
                .help("remove it"),
            );
        } else if let Some(missed) = head.missed {
            found.push(
                Diagnostic::new(Code::AddonOff, name.span, format!("this takes away {}", head.title))
                    .why(missed)
                    .help("if something else does its work, like a manifest, acknowledge it: `# remuda: allow addon-off`"),
            );
        }
    }
}

impl Lines {
    /// The names of all add-ons.
    pub fn addons(&self) -> Vec<String> {
        self.folders_with(FOLDER, "addon.yaml")
    }

    /// The JSON schema of a profile's `addons`; of an add-on that can't be read, anything.
    pub fn addons_schema(&self) -> Value {
        let of = |name: String| {
            let Some((head, _)) = self.addon(&name, &mut Sources::default(), &mut Diagnostics::default()) else { return (name, json!({})) };
            let settings: serde_json::Map<_, _> = head.settings.iter().map(|(key, rule)| (key.clone(), rule.schema())).collect();
            (name, json!({ "type": ["object", "null"], "description": head.title, "additionalProperties": false, "properties": settings }))
        };
        let all: serde_json::Map<_, _> = self.addons().into_iter().map(of).collect();
        json!({ "type": "object", "additionalProperties": false, "properties": all })
    }

    /// An add-on's head, and the rest of its file; `None` if it can't be read, which is in `found`.
    fn addon(&self, name: &str, sources: &mut Sources, found: &mut Diagnostics) -> Option<(Head, Fragment)> {
        let folder = format!("{FOLDER}/{name}");
        let there = self.file(&format!("{folder}/addon.yaml")).map_err(|error| error.to_string());
        let there = there.and_then(|there| there.ok_or_else(|| format!("{folder} has no file addon.yaml")));
        let wrong = |problem: String| Diagnostic::new(Code::Line, None, problem);
        let (text, file) = there.map_err(|problem| found.push(wrong(problem))).ok()?;
        let tree = parsed(sources, &file, text, found)?;
        let (head, value) = head(tree.value()).map_err(|problem| found.push(wrong(format!("{file}: {problem}")))).ok()?;
        Some((head, Fragment { name: name.to_owned(), folder, file, trees: vec![tree], value, claims: Vec::new() }))
    }
}

/// What an add-on says of itself, and what it adds to the line.
fn head(mut value: Value) -> Result<(Head, Value), String> {
    let keys = value.as_object_mut().ok_or("expected a mapping")?;
    let (mut head, own): (serde_json::Map<_, _>, _) = std::mem::take(keys).into_iter().partition(|(key, _)| !KEYS.contains(&key.as_str()));
    *keys = own;
    head.retain(|_, value| !value.is_null());
    let head: Head = serde_path_to_error::deserialize(Value::Object(head)).map_err(|error| error.to_string())?;
    match head.settings.iter().find(|(_, rule)| !rule.takes(rule.default())) {
        Some((setting, rule)) => Err(format!("settings.{setting}: the default isn't {}", rule.expected())),
        None => Ok((head, value)),
    }
}
