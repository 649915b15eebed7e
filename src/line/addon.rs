//! Add-ons: each is a folder `addons/NAME/` beside the lines, with an `addon.yaml`. That is a fragment of a line, which
//! is merged into the line of a cluster that has the add-on, and says before it what the add-on is, needs and can be set.

use super::{Lines, version};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, closest};
use crate::profile::{AbsPath, AddOnSetting, AddOns};
use crate::yaml::{Field, Given, Map, Scalar, Spanned};
use serde::Deserialize;
use serde_json::Value;
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
    /// One of these words.
    Choice { of: Vec<String>, default: String },
}

impl Rule {
    fn default(&self) -> &str {
        match self {
            Self::Number { default, .. } | Self::Path { default } | Self::Choice { default, .. } => default,
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Number { from, to, .. } => format!("a number from {from} to {to}"),
            Self::Path { .. } => AbsPath::expected().into_owned(),
            Self::Choice { of, .. } => of.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or "),
        }
    }

    fn takes(&self, text: &str) -> bool {
        match self {
            Self::Number { from, to, .. } => {
                text.parse::<u32>().is_ok_and(|number| (*from..=*to).contains(&number) && number.to_string() == text)
            }
            Self::Path { .. } => AbsPath::parse(text).is_ok(),
            Self::Choice { of, .. } => of.iter().any(|word| word == text),
        }
    }
}

/// An add-on, read and set.
pub(super) struct Fragment {
    /// Its name.
    pub name: String,
    /// Its folder, below the folder of lines.
    pub folder: String,
    /// Its name for messages.
    pub file: String,
    pub text: String,
    /// What it adds to the line.
    pub value: Value,
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
    pub(super) fn fragments(&self, of_line: &AddOns, of_profile: &AddOns, found: &mut Diagnostics) -> Vec<Fragment> {
        let mut all = of_line.clone();
        all.merge(of_profile);
        for (name, is_hit) in all.removals() {
            self.taken_away(name, is_hit, found);
        }
        all.iter().filter_map(|(name, settings)| self.fragment(name, settings, found)).collect()
    }

    /// An add-on's head, and the rest of its file.
    fn read(&self, name: &Spanned<String>, found: &mut Diagnostics) -> Option<(Head, Fragment)> {
        let names = self.lines.addons();
        if !names.contains(&name.value) {
            let help = match closest(&name.value, names.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the add-ons are {}", names.join(", ")),
            };
            found.push(Diagnostic::new(Code::UnknownAddon, name.span, format!("no add-on is named `{}`", name.value)).help(help));
            return None;
        }
        let folder = format!("{FOLDER}/{}", name.value);
        let read = || -> Result<(Head, Fragment), String> {
            let (text, file) = self.lines.file(&format!("{folder}/addon.yaml")).map_err(|error| error.to_string())?.ok_or("no file")?;
            let within = |error: String| format!("{file}: {error}");
            let mut value: Value = serde_saphyr::from_str(&text).map_err(|error| within(error.to_string()))?;
            let keys = value.as_object_mut().ok_or_else(|| within("expected a mapping".to_owned()))?;
            let (mut head, own): (serde_json::Map<_, _>, _) =
                std::mem::take(keys).into_iter().partition(|(key, _)| !KEYS.contains(&key.as_str()));
            *keys = own;
            head.retain(|_, value| !value.is_null());
            let head: Head = serde_path_to_error::deserialize(Value::Object(head)).map_err(|error| within(error.to_string()))?;
            if let Some((setting, rule)) = head.settings.iter().find(|(_, rule)| !rule.takes(rule.default())) {
                return Err(within(format!("settings.{setting}: the default isn't {}", rule.expected())));
            }
            Ok((head, Fragment { name: name.value.clone(), folder, file, text, value }))
        };
        read().map_err(|problem| found.push(Diagnostic::new(Code::Line, None, problem))).ok()
    }

    fn fragment(&self, name: &Spanned<String>, settings: &Map<Given<AddOnSetting>>, found: &mut Diagnostics) -> Option<Fragment> {
        let (head, mut fragment) = self.read(name, found)?;
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
        let mut with: BTreeMap<&str, &str> = head.settings.iter().map(|(key, rule)| (key.as_str(), rule.default())).collect();
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
            }
            with.insert(known, &given.0);
        }
        // The files of an add-on see its settings.
        for file in fragment.value.get_mut("files").and_then(Value::as_object_mut).into_iter().flat_map(|files| files.values_mut()) {
            if let Some(file) = file.as_object_mut().filter(|file| file.contains_key("template")) {
                let own = file.entry("with").or_insert_with(|| Value::Object(serde_json::Map::new()));
                if let Some(own) = own.as_object_mut() {
                    own.extend(with.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))));
                }
            }
        }
        Some(fragment)
    }

    fn taken_away(&self, name: &Spanned<String>, is_hit: bool, found: &mut Diagnostics) {
        let Some((head, _)) = self.read(name, found) else { return };
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
}
