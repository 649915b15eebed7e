//! The reference of the profile language, docs/profile.md, generated from the types.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;

const HEAD: &str = include_str!("reference.md");

/// The reference as Markdown, from the schema.
pub fn reference(root: &Value) -> String {
    let mut page = HEAD.to_owned();
    let mut seen = BTreeSet::new();
    let mut queue = vec![("Profile".to_owned(), root.clone())];
    while let Some((name, record)) = queue.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let mut inner = section(&mut page, &name, &record);
        inner.reverse();
        let defs = &root["$defs"];
        queue.extend(inner.into_iter().map(|name| (name.clone(), defs[&name].clone())));
    }
    page
}

/// Writes one record's section. Returns the names of the records that it mentions.
fn section(page: &mut String, name: &str, record: &Value) -> Vec<String> {
    let _ = writeln!(page, "\n## {name}\n\n{}\n", text(&record["description"]));
    let _ = writeln!(page, "| key | value | meaning |\n|---|---|---|");
    let mut mentioned = Vec::new();
    if name == super::os::NAME {
        inner_keys(page, "", record);
        return mentioned;
    }
    for (key, field) in record["properties"].as_object().into_iter().flatten() {
        let kind = kind(field, &mut mentioned);
        let _ = writeln!(page, "| `{key}` | {kind} | {} |", text(&field["description"]));
        // Add-ons have a type each.
        for (name, inner) in field["properties"].as_object().into_iter().flatten() {
            let _ = writeln!(page, "| `{key}.{name}` | mapping, or `~` | {} |", text(&inner["description"]));
            inner_keys(page, &format!("{key}.{name}."), inner);
        }
    }
    mentioned
}

/// The keys of a mapping with fixed keys, and of those within it, by path.
fn inner_keys(page: &mut String, section: &str, record: &Value) {
    for (key, field) in record["properties"].as_object().into_iter().flatten() {
        let path = format!("{section}{key}");
        match field["title"].as_str() {
            Some(title) => {
                let _ = writeln!(page, "| `{path}` | {} | {} |", title.replace('|', "\\|"), text(&field["description"]));
            }
            None => inner_keys(page, &format!("{path}."), field),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

/// What a field accepts, in words.
fn kind(field: &Value, mentioned: &mut Vec<String>) -> String {
    if let Some(reference) = field["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default().to_owned();
        mentioned.push(name.clone());
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some([_, second]) = field["anyOf"][1]["prefixItems"].as_array().map(Vec::as_slice) {
        return format!("{}, or a list of it and {}", kind(&field["anyOf"][0], mentioned), kind(second, mentioned));
    }
    for key in ["allOf", "anyOf"] {
        if let Some(first) = field[key].as_array().and_then(|all| all.first()) {
            return kind(first, mentioned);
        }
    }
    if let Some(words) = field["enum"].as_array() {
        return words.iter().map(|word| format!("`{}`", word.as_str().unwrap_or_default())).collect::<Vec<_>>().join(", ");
    }
    if let Some(title) = field["title"].as_str() {
        return title.replace('|', "\\|");
    }
    match field["type"].as_str() {
        Some("array") => format!("list of: {}", kind(&field["items"], mentioned)),
        Some("object") if field["properties"].is_object() => "mapping".to_owned(),
        Some("object") => format!("mapping of: {}", kind(&field["additionalProperties"], mentioned)),
        Some("boolean") => "`true`, `false`".to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some("string") if field["format"] == "ipv4" => "IPv4 address".to_owned(),
        Some("string") if field["pattern"].is_string() => "mode like `\"0644\"`".to_owned(),
        _ => "text".to_owned(),
    }
}
