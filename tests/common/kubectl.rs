//! A `kubectl` that answers what a test says, in a project's folder.
#![allow(dead_code, unreachable_pub)]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Answers with the file of a path's last word, if there is one; otherwise with the script `otherwise`.
const KUBECTL: &str = r#"#!/bin/sh
echo "$@" >>asked
for word; do last=$word; done
name=${last##*/}
if [ -e "answers/$name" ]; then cat "answers/$name"; else . ./otherwise; fi
"#;

/// The played `kubectl` of a folder.
pub struct Kubectl(PathBuf);

impl Kubectl {
    /// The API is ready, its server has this address, and there are no nodes.
    pub fn in_folder(folder: &Path, server: &str) -> Self {
        let played = Self(folder.to_owned());
        fs::create_dir_all(folder.join("bin")).unwrap();
        fs::create_dir_all(folder.join("answers")).unwrap();
        let kubectl = folder.join("bin/kubectl");
        fs::write(&kubectl, KUBECTL).unwrap();
        fs::set_permissions(kubectl, fs::Permissions::from_mode(0o755)).unwrap();
        played.otherwise("echo 'Error from server (NotFound): nothing' >&2; exit 1");
        played.answer("readyz?verbose", "ok");
        played.answer("kubernetes", &json!({"subsets": [{"addresses": [{"ip": server}]}]}).to_string());
        played.list(&[]);
        played
    }

    pub fn answer(&self, name: &str, text: &str) {
        fs::write(self.0.join("answers").join(name), text).unwrap();
    }

    pub fn otherwise(&self, script: &str) {
        fs::write(self.0.join("otherwise"), script).unwrap();
    }

    /// The only answer is from now on the script's.
    pub fn always(&self, script: &str) {
        fs::remove_dir_all(self.0.join("answers")).unwrap();
        self.otherwise(script);
    }

    /// These nodes, all ready, with these configs.
    pub fn nodes(&self, configs: &BTreeMap<String, String>) {
        self.list(&configs.iter().map(node).collect::<Vec<_>>());
    }

    /// These objects.
    pub fn list(&self, nodes: &[Value]) {
        self.answer("nodes", &json!({ "items": nodes }).to_string());
    }

    /// The PATH with it.
    pub fn path(&self) -> String {
        format!("{}:{}", self.0.join("bin").display(), std::env::var("PATH").unwrap())
    }
}

/// A node that is ready.
pub fn node((name, config): (&String, &String)) -> Value {
    json!({
        "metadata": {"name": name, "annotations": {"remuda/config": config}},
        "status": {
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
            "addresses": [{"type": "Hostname", "address": name}],
            "nodeInfo": {"kubeletVersion": "v1.37.2"},
        },
    })
}

/// The manifest of the cluster `small`.
pub fn manifest(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("out/small/manifest.json")).unwrap()).unwrap()
}

/// The fingerprints in it.
pub fn configs(folder: &Path) -> BTreeMap<String, String> {
    serde_json::from_value(manifest(folder)["configs"].take()).unwrap()
}
