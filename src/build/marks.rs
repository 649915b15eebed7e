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

/// A sealed file.
pub(super) struct Sealed {
    pub bytes: Vec<u8>,
    /// Of its bytes.
    pub sha256: String,
    /// Whether it is there already.
    pub is_read: bool,
}

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

    /// The sealed file at `path`: the one that is there, if it was made of the same. Otherwise it is made now.
    pub(super) fn sealed<E>(
        &self,
        keyring: &Keyring,
        path: &str,
        made_of: &impl Serialize,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Sealed, E> {
        let made_of = serde_json::to_vec(made_of).expect("it consists of texts, numbers, lists and mappings");
        let mark = |bytes: &[u8], hash: &str| keyring.mark(&[path.as_bytes(), &made_of, bytes, hash.as_bytes()]);
        let there = self.there(path).filter(|(old, bytes, hash)| **old == mark(bytes, hash));
        let (mark, sealed) = match there {
            Some((old, bytes, hash)) => (old.to_owned(), Sealed { bytes, sha256: hash.to_owned(), is_read: true }),
            None => {
                let bytes = make()?;
                let sha256 = sha256(&bytes);
                (mark(&bytes, &sha256), Sealed { bytes, sha256, is_read: false })
            }
        };
        self.new.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(path.to_owned(), mark);
        Ok(sealed)
    }

    /// The mark, bytes and hash that are there, whatever somebody made of them.
    fn there(&self, path: &str) -> Option<(&str, Vec<u8>, &str)> {
        let (mark, hash) = (self.old.get(path)?, self.hashes.get(path)?);
        let path = self.folder.join(path);
        // Opening a pipe would wait.
        let size = path.symlink_metadata().ok().filter(|there| there.is_file() && there.len() < LARGEST)?.len();
        // One more, so that its end is seen without another room.
        let mut bytes = Vec::with_capacity(size as usize + 1);
        File::open(path).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
        Some((mark, bytes, hash))
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
        let sealed = marks.sealed::<()>(&keyring, path, &made_of, || {
            is_made = true;
            Ok(format!("sealed {made_of}").into_bytes())
        });
        let (sealed, text) = (sealed.unwrap(), format!("sealed {made_of}"));
        assert_eq!((&sealed.bytes[..], sealed.sha256), (text.as_bytes(), sha256(text.as_bytes())));
        assert_ne!(sealed.is_read, is_made);
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
