//! What `os` may hold, as a JSON schema: the keys of every target.

use super::Os;
use crate::target::{ConfigKey, Kind, Target};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The name of the schema's definition.
pub(crate) const NAME: &str = "Os";

impl JsonSchema for Os {
    fn schema_name() -> Cow<'static, str> {
        NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut root = section();
        root["description"] = Value::from(
            "Keys of the OS's own cloud-config that remuda doesn't decide, as the OS writes them. They are checked against the \
             cloud-config of the profile's target, merged like all settings, and written into the node's config as they are.",
        );
        for (path, (key, targets)) in keys() {
            let mut inner = &mut root;
            let (sections, name) = path.rsplit_once('.').unwrap_or(("", path));
            for name in sections.split('.').filter(|name| !name.is_empty()) {
                let entries = inner["properties"].as_object_mut().expect("every section has properties");
                inner = entries.entry(name).or_insert_with(section);
            }
            inner["properties"][name] = schema(key, &targets);
        }
        root.try_into().expect("it is an object")
    }
}

/// The keys of all targets by path, each with the titles of the targets that have it.
fn keys() -> BTreeMap<&'static str, (&'static ConfigKey, Vec<&'static str>)> {
    let mut all: BTreeMap<_, (_, Vec<_>)> = BTreeMap::new();
    for target in Target::all() {
        for (path, key) in target.config().iter() {
            all.entry(path).or_insert_with(|| (key, Vec::new())).1.push(target.title.as_str());
        }
    }
    all
}

fn section() -> Value {
    json!({ "type": ["object", "null"], "additionalProperties": false, "properties": {} })
}

fn schema(key: &ConfigKey, targets: &[&str]) -> Value {
    let text = json!({ "type": ["string", "integer", "number", "boolean"] });
    let list = |items: Value| json!({ "type": ["array", "null"], "items": items });
    let map = |values: Value| json!({ "type": ["object", "null"], "additionalProperties": values });
    let record = |names: [&str; 1]| {
        let properties: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), text.clone())).collect();
        json!({ "type": "object", "additionalProperties": false, "properties": properties })
    };
    let (mut schema, title) = match key.kind {
        Kind::Flag => (json!({ "type": ["boolean", "null"] }), "`true`, `false`"),
        Kind::Count => (json!({ "type": ["integer", "null"], "minimum": 0 }), "whole number"),
        Kind::Port => (json!({ "type": ["integer", "null"], "minimum": 1, "maximum": 65535 }), "a port, 1 to 65535"),
        Kind::Text => (json!({ "type": ["string", "integer", "number", "boolean", "null"] }), "text"),
        Kind::Word => (json!({ "type": ["string", "integer", "null"] }), "text without blanks and quotes"),
        Kind::Path => (json!({ "type": ["string", "null"] }), "an absolute path"),
        Kind::Url => (json!({ "type": ["string", "null"] }), "a URL"),
        Kind::Texts => (list(text.clone()), "list of: text"),
        Kind::Words => (list(text.clone()), "list of: text without blanks and quotes"),
        Kind::Variables => (list(json!({ "type": "string" })), "list of: `NAME=value`"),
        Kind::Arguments => (list(json!({ "type": "string" })), "list of: `--name=value`"),
        Kind::Commands => (list(json!({ "type": ["string", "array"], "items": text })), "list of: text or list of texts"),
        Kind::Mounts => {
            (list(json!({ "type": "array", "items": text, "minItems": 4, "maxItems": 4 })), "list of: `[DEVICE, PATH, TYPE, OPTIONS]`")
        }
        Kind::Pairs => (map(text.clone()), "mapping of: text"),
        Kind::Switches => (map(json!({ "type": ["boolean", "null"] })), "mapping of: `true`, `false`"),
        Kind::Repositories => (map(record(["url"])), "mapping of: `{url: URL}`"),
        Kind::Accounts => {
            let account = json!({ "type": "object", "additionalProperties": false, "properties": { "username": text, "secret": text } });
            (map(account), "mapping of: `{username: NAME, secret: NAME}`")
        }
    };
    let only = if targets.len() < Target::names().count() { format!(" Only {}.", targets.join(", ")) } else { String::new() };
    schema["title"] = Value::from(title);
    schema["description"] = Value::from(format!("{}{only}", key.about));
    schema
}
