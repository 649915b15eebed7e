//! The marks of sealed files. A file with its mark is right, and isn't sealed again: the mark is of everything that the
//! file is made of and of its bytes, and it takes the seed to make one. The manifest of `sealed/` has them.

use super::out::SEALED;
use crate::pki::Keyring;
use crate::terms::sha256;
use crate::tree;
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::sync::Mutex;

/// Their key in the manifest.
const MARKS: &str = "marks";

/// What the manifest has of them.
#[derive(Serialize)]
pub(super) struct Header {
    marks: BTreeMap<String, String>,
}

/// The largest file that isn't sealed again, in bytes.
const LARGEST: u64 = 16 << 20;

/// The marks of a tree's sealed files, by their paths below `sealed/`: as they are, and as they become.
#[derive(Default)]
pub(super) struct Marks {
    folder: Utf8PathBuf,
    old: BTreeMap<String, String>,
    /// The files' SHA-256 as the manifest has it: a mark is of that too.
    hashes: BTreeMap<String, String>,
    new: Mutex<BTreeMap<String, String>>,
}

impl Marks {
    /// Those of the tree at `root`; none if it isn't sealed.
    pub(super) fn of(root: &Utf8Path) -> Self {
        let folder = root.join(SEALED);
        let manifest = tree::manifest(&folder).unwrap_or_default();
        let [old, hashes] = [MARKS, "files"].map(|key| manifest.get(key).unwrap_or_default());
        Self { folder, old, hashes, new: Mutex::default() }
    }

    /// The bytes of the sealed file at `path`, and their SHA-256: those that are there, if they were made of the same.
    /// Otherwise they are made now.
    pub(super) fn sealed<E>(
        &self,
        keyring: &Keyring,
        path: &str,
        made_of: &impl Serialize,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<(Vec<u8>, String), E> {
        let made_of = serde_json::to_vec(made_of).expect("it consists of texts, numbers, lists and mappings");
        let marked = |bytes: Vec<u8>, hash: String| (keyring.mark(&[path.as_bytes(), &made_of, &bytes, hash.as_bytes()]), bytes, hash);
        let there = self.there(path).map(|(old, bytes, hash)| (old, marked(bytes, hash)));
        let (mark, bytes, hash) = match there.filter(|(old, (mark, ..))| old == mark) {
            Some((_, kept)) => kept,
            None => make().map(|bytes| (sha256(&bytes), bytes)).map(|(hash, bytes)| marked(bytes, hash))?,
        };
        self.new.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(path.to_owned(), mark);
        Ok((bytes, hash))
    }

    /// The mark, bytes and hash that are there, whatever somebody made of them.
    fn there(&self, path: &str) -> Option<(&str, Vec<u8>, String)> {
        let (mark, hash) = (self.old.get(path)?, self.hashes.get(path)?);
        let path = self.folder.join(path);
        // Opening a pipe would wait.
        let is_file = path.symlink_metadata().is_ok_and(|there| there.is_file());
        let mut bytes = Vec::new();
        File::open(is_file.then_some(path)?).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
        Some((mark, bytes, hash.clone()))
    }

    /// Those of the files sealed so far, for the manifest.
    pub(super) fn header(&self) -> Header {
        Header { marks: std::mem::take(&mut self.new.lock().unwrap_or_else(|poisoned| poisoned.into_inner())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Opened, Seed};
    use serde_json::{Map, Value, json};

    /// What a run on the tree in `folder` writes for a file made of `made_of`, and whether it was made now.
    fn run(folder: &Utf8Path, seed: u8, path: &str, made_of: &str) -> (bool, Map<String, Value>) {
        let marks = Marks::of(folder);
        let (seed, mut is_made) = (Seed::of([seed; 32]), false);
        let keyring = Keyring::new(&seed, "golden", Opened::new());
        let bytes = marks.sealed::<()>(&keyring, path, &made_of, || {
            is_made = true;
            Ok(format!("sealed {made_of}").into_bytes())
        });
        let text = format!("sealed {made_of}");
        assert_eq!(bytes.unwrap(), (text.clone().into_bytes(), sha256(text.as_bytes())));
        let Ok(Value::Object(header)) = serde_json::to_value(marks.header()) else { panic!() };
        (is_made, header)
    }

    #[test]
    fn a_file_is_sealed_again_only_if_it_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let (is_made, mut manifest) = run(folder, 0, "a", "x");
        assert!(is_made);
        manifest.extend(
            [("remuda", "0".into()), ("files", json!({ "a": sha256(b"sealed x"), "b": sha256(b"sealed x") }))]
                .map(|(key, value)| (key.to_owned(), value)),
        );
        manifest[MARKS]["b"] = manifest[MARKS]["a"].clone();
        fs_err::create_dir(folder.join(SEALED)).unwrap();
        fs_err::write(folder.join(SEALED).join(tree::MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
        let put = |text: &str| ["a", "b"].iter().for_each(|name| fs_err::write(folder.join(SEALED).join(name), text).unwrap());
        assert!(run(folder, 0, "a", "x").0, "it is missing");
        put("sealed x");
        let (is_made, header) = run(folder, 0, "a", "x");
        assert!(!is_made);
        assert_eq!(header[MARKS]["a"], manifest[MARKS]["a"]);
        assert!(run(folder, 0, "a", "y").0, "made of something else");
        assert!(run(folder, 1, "a", "x").0, "with another seed");
        assert!(run(folder, 0, "b", "x").0, "at another place");
        put("sealed y");
        assert!(run(folder, 0, "a", "x").0, "with other bytes");
    }
}
