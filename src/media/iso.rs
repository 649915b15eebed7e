//! ISO 9660 images: a node's config drive, and reading what an image contains.
//!
//! A config drive is a filesystem with the label `config-2` and the node's config in it, like
//! OpenStack's (rancher/os, config/cloudinit/datasource/configdrive). The OS looks for it by
//! default.

use super::MediaError;
use super::target::Target;
use crate::terms::sha256;
use camino::{Utf8Path, Utf8PathBuf};
use hadris_fs::sync::Volume;
use hadris_fs::{Content, MountOptions, NoClock, Node, Owner, PathError, Permissions, SetAttr, Tree, host};
use hadris_iso::sync::IsoFs;
use hadris_iso::{IsoId, IsoLevel, IsoOptions};
use hadris_storage::host::FileDevice;
use hadris_storage::sync::BlockDevice;
use hadris_storage::{BlockIndex, BlockSize};
use serde_json::json;
use std::io;
use zeroize::Zeroizing;

/// The label by which the OS finds a config drive.
pub const LABEL: &str = "config-2";
/// Where the OS looks for the config.
pub const USER_DATA: &str = "openstack/latest/user_data";
const META_DATA: &str = "openstack/latest/meta_data.json";
/// The folder with image tarballs.
pub const IMAGES: &str = "images";
/// The maximal size of a config, in bytes.
const LARGEST: u64 = 64 << 20;

/// The content of a node's config drive.
#[derive(Debug)]
pub struct Drive<'d> {
    /// The name of the cluster.
    pub cluster: &'d str,
    /// The name of the node.
    pub node: &'d str,
    /// Its sealed config.
    pub config: &'d [u8],
    /// Tarballs to put on it.
    pub images: &'d [Utf8PathBuf],
}

/// Called with the number of bytes written since the last call.
pub type Progress<'p> = &'p (dyn Fn(u64) + Sync);

/// Writes a config drive. The same contents give the same bytes on every machine.
pub fn write(drive: &Drive, target: Target, path: &Utf8Path, progress: Progress) -> Result<(), MediaError> {
    let failed = || MediaError::image(path);
    let mut tree = Tree::new();
    insert(&mut tree, drive).map_err(failed())?;
    let options = IsoOptions::new()
        .with_id(IsoId::Volume, LABEL)
        .with_id(IsoId::Application, &application(drive.cluster, drive.node))
        .with_level(IsoLevel::L3)
        .with_joliet()
        .with_rock_ridge()
        .with_time(NoClock::TIME);
    let device = Counted { inner: FileDevice::new(target.file()?).map_err(MediaError::io("writing", path))?, progress };
    hadris_iso::sync::write(device, &tree, &options).map_err(failed())?;
    target.finish()
}

/// Adds a drive's files to an image's tree.
pub fn insert(tree: &mut Tree, drive: &Drive) -> Result<(), PathError> {
    let folder = || Node::dir().with_attrs(attributes(0o755));
    let secret = |bytes: &[u8]| Node::file(Content::bytes(bytes)).with_attrs(attributes(0o400));
    tree.insert("openstack", folder())?;
    tree.insert("openstack/latest", folder())?;
    tree.insert(USER_DATA, secret(drive.config))?;
    tree.insert(META_DATA, secret(meta_data(drive).as_bytes()))?;
    if !drive.images.is_empty() {
        tree.insert(IMAGES, folder())?;
    }
    for image in drive.images {
        let at = format!("{IMAGES}/{}", image.file_name().unwrap_or_default());
        tree.insert(at, Node::file(host::file(image)?).with_attrs(attributes(0o444)))?;
    }
    Ok(())
}

/// Owned by root, dated 1980 like everything here, which is the writer's default.
pub fn attributes(mode: u32) -> SetAttr {
    SetAttr::new().with_permissions(Permissions::new(mode)).with_owner(Owner::new(0, 0)).with_modified(NoClock::TIME)
}

/// The volume's names, which say who made it for which node.
pub fn application(cluster: &str, node: &str) -> String {
    format!("remuda {cluster}/{node}")
}

/// cloud-init uses `uuid` as the instance's ID; it is derived from the names.
fn meta_data(drive: &Drive) -> String {
    let hex = sha256(application(drive.cluster, drive.node).as_bytes());
    // Version 8 of RFC 9562: a custom UUID.
    let uuid = format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]);
    format!("{:#}\n", json!({ "uuid": uuid, "hostname": drive.node, "name": drive.node }))
}

/// A device that reports how much was written to it.
pub struct Counted<'p> {
    /// Where it is written.
    pub inner: FileDevice,
    /// Who hears how far it is.
    pub progress: Progress<'p>,
}

impl hadris_io::ErrorType for Counted<'_> {
    type Error = io::Error;
}

impl BlockDevice for Counted<'_> {
    fn block_size(&self) -> BlockSize {
        self.inner.block_size()
    }

    fn block_count(&self) -> u64 {
        self.inner.block_count()
    }

    fn max_block_count(&self) -> u64 {
        self.inner.max_block_count()
    }

    fn writable(&self) -> bool {
        self.inner.writable()
    }

    fn read_blocks(&mut self, first: BlockIndex, buf: &mut [u8]) -> Result<(), hadris_io::Error<io::Error>> {
        self.inner.read_blocks(first, buf)
    }

    fn write_blocks(&mut self, first: BlockIndex, buf: &[u8]) -> Result<(), hadris_io::Error<io::Error>> {
        (self.progress)(buf.len() as u64);
        self.inner.write_blocks(first, buf)
    }
}

/// An image opened for reading.
pub struct Iso {
    path: Utf8PathBuf,
    volume: Volume<IsoFs<FileDevice>>,
    /// The label of its file system.
    pub label: String,
    /// The cluster and the node that remuda made it for.
    pub made_for: Option<(String, String)>,
    /// The ways in which it boots.
    pub boots: Vec<String>,
}

impl Iso {
    /// Reads what an ISO is.
    pub fn open(path: &Utf8Path) -> Result<Self, MediaError> {
        let device = FileDevice::open(path).map_err(MediaError::io("reading", path))?;
        let mut iso = IsoFs::mount(device, MountOptions::new().read_only())
            .map_err(|error| MediaError::refused(path, format!("it isn't an ISO 9660 image: {error}")))?;
        let id = |id| String::from_utf8_lossy(iso.info().id(id)).trim_end().to_owned();
        let (label, application) = (id(IsoId::Volume), id(IsoId::Application));
        let made_for = application.strip_prefix("remuda ").and_then(|names| names.split_once('/'));
        let made_for = made_for.map(|(cluster, node)| (cluster.to_owned(), node.to_owned()));
        let boots = boots(&mut iso);
        Ok(Self { path: path.to_owned(), volume: Volume::new(iso), label, made_for, boots })
    }

    /// A file's bytes; `None` if it doesn't exist.
    pub fn read(&self, path: &str) -> Result<Option<Zeroizing<Vec<u8>>>, MediaError> {
        let Ok(there) = self.volume.metadata(path) else { return Ok(None) };
        if there.len() > LARGEST {
            return Err(MediaError::refused(&self.path, format!("its file {path} has {} bytes", there.len())));
        }
        let bytes =
            self.volume.read(path).map_err(|error| MediaError::refused(&self.path, format!("its file {path} can't be read: {error}")))?;
        Ok(Some(Zeroizing::new(bytes)))
    }

    /// Whether the file is on it.
    pub fn has(&self, path: &str) -> bool {
        self.volume.metadata(path).is_ok()
    }

    /// The first bytes of a file of any size, enough for a menu; `None` if it doesn't exist.
    pub fn start(&self, path: &str) -> Option<Vec<u8>> {
        let file = self.volume.open(path, hadris_fs::OpenOptions::new().read()).ok()?;
        let mut bytes = vec![0; 1 << 20];
        let mut filled = 0;
        while let Ok(more @ 1..) = file.read_at(filled as u64, &mut bytes[filled..]) {
            filled += more;
        }
        bytes.truncate(filled);
        Some(bytes)
    }

    /// The content of an overlay: paths and sizes of its files.
    pub fn overlay(&self, path: &str) -> Result<Vec<(String, u64)>, MediaError> {
        let failed = |error: &dyn std::fmt::Display| MediaError::refused(&self.path, format!("its file {path} can't be read: {error}"));
        let file = self.volume.open(path, hadris_fs::OpenOptions::new().read()).map_err(|error| failed(&error))?;
        let mut inner = flate2::read::GzDecoder::new(file);
        let mut files = Vec::new();
        while files.len() < 1000 {
            let entry = cpio::newc::Reader::new(inner).map_err(|error| failed(&error))?;
            let header = entry.entry();
            if header.is_trailer() {
                break;
            }
            if header.mode() & 0o170_000 == 0o100_000 {
                files.push((header.name().to_owned(), u64::from(header.file_size())));
            }
            inner = entry.finish().map_err(|error| failed(&error))?;
        }
        Ok(files)
    }

    /// The files of a folder with their sizes, sorted; empty if it doesn't exist.
    pub fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, MediaError> {
        if !self.volume.metadata(folder).is_ok_and(|there| there.file_type() == hadris_fs::FileType::Dir) {
            return Ok(Vec::new());
        }
        let failed = |error: &dyn std::fmt::Display| MediaError::refused(&self.path, format!("its folder {folder} can't be read: {error}"));
        let mut files = Vec::new();
        for entry in self.volume.read_dir(folder).map_err(|error| failed(&error))? {
            let entry = entry.map_err(|error| failed(&error))?;
            let name = String::from_utf8_lossy(entry.name().as_bytes()).into_owned();
            files.push((name, entry.metadata().len()));
        }
        files.sort();
        Ok(files)
    }
}

fn boots(iso: &mut IsoFs<FileDevice>) -> Vec<String> {
    let mut buffer = [0; 2048];
    let Ok(Some(catalog)) = iso.boot_catalog(&mut buffer) else { return Vec::new() };
    let name = |platform| match platform {
        hadris_iso::Platform::X86 => "BIOS".to_owned(),
        hadris_iso::Platform::Efi => "UEFI".to_owned(),
        other => format!("platform {:#04x}", other.id()),
    };
    catalog.entries().map(|entry| name(entry.platform())).collect()
}

/// The ISOs in a sealed folder that are older than the folder's configs and tarballs: file and problem.
pub fn stale(sealed: &Utf8Path, archives: &[crate::plan::Archive]) -> Vec<(String, String)> {
    let entries = sealed.read_dir_utf8().into_iter().flatten().flatten();
    let mut files: Vec<String> = entries.map(|entry| entry.file_name().to_owned()).filter(|name| name.ends_with(".iso")).collect();
    files.sort();
    let problem = |file: &String| problem(sealed, file, archives).map(|problem| (file.clone(), problem));
    files.iter().filter_map(problem).collect()
}

fn problem(sealed: &Utf8Path, file: &str, archives: &[crate::plan::Archive]) -> Option<String> {
    let iso = Iso::open(&sealed.join(file)).ok()?;
    let (_, node) = iso.made_for.as_ref()?;
    let now = fs_err::read(sealed.join(node).join("cloud-config.yml")).map(Zeroizing::new).ok();
    let Some(now) = now else { return Some(format!("the config of {node} next to it no longer exists")) };
    if iso.read(USER_DATA).ok().flatten() != Some(now) {
        return Some(format!("has another config of {node} than the one next to it"));
    }
    let is_known = |(name, _): &(String, u64)| archives.iter().any(|archive| archive.file == *name);
    let known = archives.is_empty() || iso.list(IMAGES).ok()?.iter().all(is_known);
    (!known).then(|| "has other image tarballs than the cluster".to_owned())
}
