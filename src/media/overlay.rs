//! An overlay: a cpio archive with a node's config, which a boot loader loads after the OS's initrd.
//!
//! The kernel unpacks both into the same root, one after the other
//! (Documentation/driver-api/early-userspace/buffer-format.rst). The overlay's `boot.yml` is the
//! file that the OS saves from a datasource, and the OS copies exactly this file to a state
//! partition (pkg/init/configfiles). So a node in memory and a node with a disk read the same
//! config.

use super::MediaError;
use crate::plan::Archive;
use camino::{Utf8Path, Utf8PathBuf};
use cpio::newc;
use flate2::{Compression, GzBuilder};
use std::io::{self, Read, Write};

/// The folder in which the OS keeps configs.
const CONFIGS: &str = "var/lib/rancher/conf/cloud-config.d";
/// The folder with a node's config during the installation.
pub const OWN: &str = "var/lib/rancher/remuda";

/// The folder from which the OS loads tarballs, with a folder per engine.
const PRELOAD: &str = "var/lib/rancher/preload";

/// The content of an overlay.
#[derive(Debug, Default)]
pub struct Overlay<'o> {
    /// Path, mode and bytes.
    files: Vec<(String, u32, &'o [u8])>,
    /// Path and source.
    images: Vec<(String, Utf8PathBuf)>,
}

impl<'o> Overlay<'o> {
    /// The overlay of a node that runs from the boot medium.
    pub fn running(config: &'o [u8]) -> Self {
        Self { files: vec![(format!("{CONFIGS}/boot.yml"), 0o400, config)], images: Vec::new() }
    }

    /// A node that is installed: `installer` is the config of the boot that does it, with the
    /// script. Tarballs that are in memory are marked as loaded, because they are for the disk.
    pub fn installing(config: &'o [u8], installer: &'o [u8], script: &'o [u8], images: &[&Archive]) -> Self {
        let mut files = vec![
            (format!("{CONFIGS}/install.yml"), 0o400, installer),
            (format!("{OWN}/cloud-config.yml"), 0o600, config),
            (format!("{OWN}/install.sh"), 0o700, script),
        ];
        let stamp = |image: &&Archive| (format!("{PRELOAD}/{}/{}.done", image.engine, image.file), 0o644, &b""[..]);
        files.extend(images.iter().map(stamp));
        Self { files, images: Vec::new() }
    }

    /// The same with tarballs, by engine. They stay in memory: when the OS switches its root to a
    /// state partition, it keeps only `/usr` and a few configs of an initrd.
    #[must_use]
    pub fn with_images<'i>(mut self, images: impl IntoIterator<Item = (&'i Archive, Utf8PathBuf)>) -> Self {
        self.images.extend(images.into_iter().map(|(image, path)| (format!("{PRELOAD}/{}/{}", image.engine, image.file), path)));
        self
    }

    /// Writes the archive: folders first, everything owned by root and dated 1970. It has gzip's
    /// format, but isn't compressed. If loaders append one archive to another, the kernel silently
    /// skips a bare one that doesn't start at a multiple of four (init/initramfs.c). The bytes of a
    /// compressed one would depend on the processor.
    pub fn write(&self, out: &mut impl Write) -> Result<(), MediaError> {
        let failed = || MediaError::io("writing", Utf8Path::new("an overlay"));
        let mut envelope = GzBuilder::new().write(out, Compression::none());
        let mut archive = Cpio { out: &mut envelope, inode: 0 };
        let mut folders: Vec<&str> = Vec::new();
        let paths = self.files.iter().map(|(path, ..)| path).chain(self.images.iter().map(|(path, _)| path));
        for path in paths {
            folders.extend(Utf8Path::new(path).ancestors().skip(1).map(Utf8Path::as_str).filter(|folder| !folder.is_empty()));
        }
        folders.sort_unstable();
        folders.dedup();
        for folder in folders {
            let is_private = folder.starts_with("var/lib/rancher/conf") || folder.starts_with(OWN);
            archive.entry(folder, 0o040_000 | if is_private { 0o700 } else { 0o755 }, 2, 0, &mut io::empty()).map_err(failed())?;
        }
        for (path, mode, bytes) in &self.files {
            archive.entry(path, 0o100_000 | mode, 1, bytes.len() as u64, &mut &bytes[..]).map_err(failed())?;
        }
        for (path, source) in &self.images {
            let mut file = fs_err::File::open(source).map_err(MediaError::io("reading", source))?;
            let size = file.metadata().map_err(MediaError::io("reading", source))?.len();
            archive.entry(path, 0o100_444, 1, size, &mut file).map_err(MediaError::io("reading", source))?;
        }
        newc::trailer(&mut envelope).map_err(failed())?;
        envelope.finish().map(|_| ()).map_err(failed())
    }
}

struct Cpio<'w, W: Write> {
    out: &'w mut W,
    inode: u32,
}

impl<W: Write> Cpio<'_, W> {
    fn entry(&mut self, path: &str, mode: u32, links: u32, size: u64, content: &mut impl Read) -> io::Result<()> {
        let size = u32::try_from(size).map_err(|_| io::Error::other("a cpio archive can't hold a file of 4 GiB or more"))?;
        self.inode += 1;
        let builder = newc::Builder::new(path).ino(self.inode).mode(mode).nlink(links).uid(0).gid(0).mtime(0);
        let mut writer = builder.write(&mut *self.out, size);
        if io::copy(&mut content.take(u64::from(size) + 1), &mut writer)? != u64::from(size) {
            return Err(io::Error::other("it changed while it was read"));
        }
        writer.finish().map(|_| ())
    }
}
