//! The content of an archive as a CycloneDX 1.5 bill of materials: every image with its ID and
//! layers, and the origin of each file. It contains nothing of this machine or moment.

use super::{Archive, Base, DebianPackage, FileSource, ImageSpec, Lock, Place, Ready};
use serde_json::{Value, json};

/// The maximal length of a label's value, in characters.
const LABEL: usize = 1000;

/// The bill of materials of an archive that was packed from `images`.
pub fn bom<'a>(archive: &Archive, images: impl Iterator<Item = (&'a ImageSpec, &'a Ready)>, lock: &Lock) -> String {
    let components: Vec<Value> = images
        .map(|(image, ready)| {
            let packed = archive.images.iter().find(|packed| packed.name == image.name);
            let layers = packed.iter().flat_map(|packed| &packed.layers).map(|layer| property("layer", &format!("sha256:{layer}")));
            let files = image.files.iter().map(|(to, source)| origin(to, source, lock));
            let (name, version) = image.name.rsplit_once(':').unwrap_or((&image.name, ""));
            json!({
                "type": "container",
                "bom-ref": image.name,
                "name": name,
                "version": version,
                "hashes": packed.map(|packed| sha256(&packed.id)),
                "properties": std::iter::once(property("arch", image.arch.as_str())).chain(layers).collect::<Vec<_>>(),
                "components": image.from.iter().map(|from| base(from, image, ready, lock)).chain(files).collect::<Vec<_>>(),
            })
        })
        .collect();
    let bom = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "tools": { "components": [{ "type": "application", "name": "remuda", "version": env!("CARGO_PKG_VERSION") }] },
            "component": { "type": "file", "name": archive.file, "hashes": sha256(&archive.sha256) },
        },
        "components": components,
    });
    format!("{bom:#}\n")
}

fn sha256(hex: &str) -> Value {
    json!([{ "alg": "SHA-256", "content": hex }])
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": format!("remuda:{name}"), "value": value })
}

/// A file or folder, and its origin.
fn origin(name: &str, source: &FileSource, lock: &Lock) -> Value {
    let mut one = json!({ "type": "file", "name": name });
    let mut properties: Vec<Value> = source.member.iter().map(|member| property("member", member)).collect();
    match &source.place {
        Place::Local(local) => properties.push(property("path", local.path.as_str())),
        Place::Url { url, .. } => {
            let hashes = lock.file(url).map(|file| sha256(file.digest.hex()));
            one["externalReferences"] = json!([{ "type": "distribution", "url": url, "hashes": hashes }]);
        }
    }
    one["properties"] = Value::Array(properties);
    one
}

/// A package of Debian, by its package URL too (purl-spec, types/deb-definition).
fn package(package: &DebianPackage, lock: &Lock) -> Value {
    let DebianPackage { name, version, licenses, source } = package;
    let mut one = origin(name, source, lock);
    one["type"] = json!("library");
    one["version"] = json!(version);
    one["purl"] = json!(format!("pkg:deb/debian/{}@{}", encoded(name), encoded(version)));
    if !licenses.is_empty() {
        one["licenses"] = licenses.iter().map(|license| json!({ "license": { "name": license } })).collect();
    }
    one
}

/// A part of a package URL.
fn encoded(text: &str) -> String {
    let keep = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_~".contains(byte);
    text.bytes().map(|byte| if keep(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn base(base: &Base, image: &ImageSpec, ready: &Ready, lock: &Lock) -> Value {
    let mut one = match base {
        Base::Rootfs(source) => origin("/", source, lock),
        Base::Archive { source, image: name } => origin(name.as_deref().unwrap_or("/"), source, lock),
        Base::Layout { path, image: name, .. } => {
            json!({ "type": "container", "name": name.as_deref().unwrap_or("/"), "properties": [property("path", path.path.as_str())] })
        }
        Base::Registry { reference, .. } => {
            let name = format!("{}/{}", reference.registry, reference.repository);
            let hashes = lock.image(reference, image.arch).map(|locked| sha256(locked.manifest.digest.hex()));
            json!({ "type": "container", "name": name, "version": reference.tag, "hashes": hashes, "properties": [] })
        }
        Base::Debian { name, packages, .. } => {
            let packages: Vec<Value> = packages.iter().map(|one| package(one, lock)).collect();
            json!({ "type": "file", "name": "/", "properties": [property("debian", name)], "components": packages })
        }
    };
    let config = ready.base_config().unwrap_or_default();
    // The labels by which an image says what it is (image spec, annotations.md).
    let label = |name: &str| {
        let text = config["config"]["Labels"][format!("org.opencontainers.image.{name}")].as_str()?;
        Some(text.chars().take(LABEL).collect::<String>()).filter(|text| !text.is_empty())
    };
    if let Some(licenses) = label("licenses") {
        one["licenses"] = json!([{ "license": { "name": licenses } }]);
    }
    if let (Some(version), Some(properties)) = (label("version"), one["properties"].as_array_mut()) {
        properties.push(property("version", &version));
    }
    one
}
