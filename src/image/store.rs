//! The cache: content by its SHA-256. All content is hashed when it enters.
//!
//! ```text
//! $XDG_CACHE_HOME/remuda/
//!   blobs/sha256/ab/abcd…   what was fetched, and archives unpacked from it
//!   plain/…                 which blob is an archive's plain tar
//!   partial/…               downloads that aren't whole yet
//! ```

use super::{ImageError, Io};
use crate::disk;
use crate::terms::{Digest, Hasher, sha256};
use camino::{Utf8Path, Utf8PathBuf};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;

/// The cache of what was fetched, by SHA-256.
#[derive(Debug, Clone)]
pub struct Store {
    root: Utf8PathBuf,
    /// A folder that was filled by [`Store::carry`], perhaps elsewhere.
    carried: Option<Utf8PathBuf>,
}

/// A blob's identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blob {
    /// Its SHA-256.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
}

impl Store {
    /// The user's own: `$XDG_CACHE_HOME/remuda`, or otherwise `~/.cache/remuda`.
    pub fn of_user() -> Result<Self, ImageError> {
        let from = |name: &str| std::env::var(name).ok().filter(|value| value.starts_with('/')).map(Utf8PathBuf::from);
        let cache = from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")));
        Ok(Self::at(cache.ok_or(ImageError::NoCache)?.join("remuda")))
    }

    /// A cache in this folder, which need not exist.
    pub fn at(root: impl Into<Utf8PathBuf>) -> Self {
        Self { root: root.into(), carried: None }
    }

    /// The same, which also takes what was carried here in this folder.
    #[must_use]
    pub fn beside(self, folder: &Utf8Path) -> Self {
        Self { carried: Some(folder.to_owned()), ..self }
    }

    /// The path of the content with this SHA-256, if the cache has it.
    pub fn path(&self, digest: &Digest) -> Utf8PathBuf {
        let hex = digest.hex();
        self.root.join("blobs/sha256").join(&hex[..2]).join(hex)
    }

    /// Whether it is there, with the right size.
    pub fn has(&self, blob: &Blob) -> bool {
        self.path(&blob.digest).metadata().is_ok_and(|there| there.is_file() && there.len() == blob.size)
    }

    /// Whether it is there, or was carried here.
    pub fn is_near(&self, blob: &Blob) -> bool {
        self.has(blob) || self.carried(blob).is_some()
    }

    /// Where it is, if it was carried here.
    fn carried(&self, blob: &Blob) -> Option<Utf8PathBuf> {
        let carried = Self::at(self.carried.as_ref()?);
        carried.has(blob).then(|| carried.path(&blob.digest))
    }

    /// Whether it is there now. If it was carried here, it is hashed and copied.
    pub fn obtain(&self, blob: &Blob) -> Result<bool, ImageError> {
        let Some(from) = self.carried(blob).filter(|_| !self.has(blob)) else { return Ok(self.has(blob)) };
        let put = self.put(&mut fs_err::File::open(&from).doing("reading", &from)?)?;
        if put.digest == blob.digest {
            return Ok(true);
        }
        self.remove(&put.digest)?;
        Err(ImageError::Damaged(from))
    }

    /// Copies a blob into a folder that is carried elsewhere.
    pub fn carry(&self, blob: &Blob, folder: &Utf8Path) -> Result<(), ImageError> {
        let carried = Self::at(folder);
        if !carried.has(blob) {
            let from = self.path(&blob.digest);
            carried.put(&mut fs_err::File::open(&from).doing("reading", &from)?)?;
        }
        Ok(())
    }

    /// The partial file of the download `key`.
    pub fn partial(&self, key: &str) -> Result<Utf8PathBuf, ImageError> {
        let folder = self.root.join("partial");
        fs_err::create_dir_all(&folder).doing("making", &folder)?;
        Ok(folder.join(sha256(key.as_bytes())))
    }

    /// Moves a complete file with a known hash into the cache.
    pub fn adopt(&self, file: &Utf8Path, digest: &Digest) -> Result<(), ImageError> {
        let to = self.path(digest);
        let folder = to.parent().unwrap_or(&self.root);
        fs_err::create_dir_all(folder).doing("making", folder)?;
        // After a power failure, a name must not stand for incomplete content.
        let synced = fs_err::File::open(file).and_then(|file| file.sync_data());
        synced.doing("writing", file)?;
        fs_err::set_permissions(file, std::fs::Permissions::from_mode(0o444)).doing("writing", file)?;
        fs_err::rename(file, &to).doing("writing", &to)
    }

    /// Adds the bytes that `content` yields.
    pub fn put(&self, content: &mut dyn Read) -> Result<Blob, ImageError> {
        let folder = self.root.join("partial");
        fs_err::create_dir_all(&folder).doing("making", &folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&folder).doing("writing in", &folder)?;
        let mut hash = Hasher::sha256();
        let mut size = 0;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let got = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ImageError::Unreadable(error)),
            };
            hash.update(&buffer[..got]);
            file.write_all(&buffer[..got]).doing("writing in", &folder)?;
            size += got as u64;
        }
        let digest = hash.finish();
        let path = file.into_temp_path();
        let utf8 = Utf8Path::from_path(&path).ok_or(ImageError::NoCache)?;
        self.adopt(utf8, &digest)?;
        // It no longer exists.
        let _ = path.keep();
        Ok(Blob { digest, size })
    }

    /// The note under `key` of the kind `kind`.
    pub fn noted(&self, kind: &str, key: &str) -> Option<Blob> {
        let path = self.root.join(kind).join(sha256(key.as_bytes()));
        serde_json::from_slice(&fs_err::read(path).ok()?).ok().filter(|blob| self.has(blob))
    }

    /// Notes that a key stands for this blob.
    pub fn note(&self, kind: &str, key: &str, blob: &Blob) -> Result<(), ImageError> {
        let folder = self.root.join(kind);
        fs_err::create_dir_all(&folder).doing("making", &folder)?;
        let path = folder.join(sha256(key.as_bytes()));
        Ok(disk::write(&path, &serde_json::to_vec(blob).unwrap_or_default(), 0o600)?)
    }

    /// Hashes a blob again. Returns whether it matches its name.
    pub fn is_sound(&self, digest: &Digest) -> Result<bool, ImageError> {
        let path = self.path(digest);
        let mut file = fs_err::File::open(&path).doing("reading", &path)?;
        Ok(Hasher::like(digest).all(&mut file).doing("reading", &path)? == *digest)
    }

    /// Every blob in the cache.
    pub fn all(&self) -> Vec<Blob> {
        let folder = self.root.join("blobs/sha256");
        let folders = folder.read_dir_utf8().into_iter().flatten().flatten();
        let files = folders.flat_map(|folder| folder.path().read_dir_utf8().into_iter().flatten().flatten());
        let blob = |file: camino::Utf8DirEntry| {
            Some(Blob { digest: format!("sha256:{}", file.file_name()).parse().ok()?, size: file.metadata().ok()?.len() })
        };
        let mut all: Vec<Blob> = files.filter_map(blob).collect();
        all.sort();
        all
    }

    /// Its folder.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Removes a blob.
    pub fn remove(&self, digest: &Digest) -> Result<(), ImageError> {
        let path = self.path(digest);
        fs_err::remove_file(&path).doing("removing", &path)
    }
}
