//! The vendor's ISO, customized: it boots one node, or installs it. The vendor's files stay where
//! they are and new ones follow after them. The boot menu gets our entry as its default.

use super::iso::{self, Counted, Drive, IMAGES, Iso, LABEL, Progress, application, attributes};
use super::menu::{self, Entry, FOLDER, GRUB, ISOLINUX};
use super::target::Target;
use super::{MediaError, Tarballs, overlay};
use crate::node::NodeConfig;
use crate::plan::{Cluster, NodeRef};
use crate::terms::{Arch, Delivery};
use camino::{Utf8Path, Utf8PathBuf};
use hadris_fs::{Content, Node as Entity, host};
use hadris_iso::SessionMode;
use hadris_iso::sync::Session;
use hadris_iso::{IsoId, IsoOptions};
use hadris_storage::host::FileDevice;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// What is added to make the ISO one node's.
pub struct Customized<'c> {
    /// The node.
    pub of: NodeRef<'c>,
    /// The node in plain values.
    pub node: &'c NodeConfig<'c>,
    /// Its sealed config.
    pub config: &'c [u8],
    /// Its tarballs, and where they go.
    pub images: &'c Tarballs<'c>,
    /// The folder of the tarballs.
    pub folder: &'c Utf8Path,
    /// A folder for a temporary file without a name, which is as secret as the config.
    pub scratch: &'c Utf8Path,
}

/// A vendor's ISO whose layout remuda knows.
#[derive(Debug)]
pub struct Vendor {
    path: Utf8PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// The label of its file system.
    pub label: String,
    isolinux: Option<String>,
    grub: Vec<String>,
}

impl Vendor {
    /// Opens an ISO. Refuses one that it can't add to.
    pub fn open(path: &Utf8Path) -> Result<Self, MediaError> {
        let iso = Iso::open(path)?;
        let refused = |problem: &str| Err(MediaError::refused(path, problem));
        if iso.made_for.is_some() {
            return refused("remuda made it; give the vendor's own");
        }
        if iso.boots.is_empty() {
            return refused("it doesn't boot: it has no El Torito catalog");
        }
        let there = |paths: &[&str]| -> Result<Vec<String>, MediaError> {
            let mut found = Vec::new();
            for one in paths {
                if iso.read(one)?.is_some() {
                    found.push((*one).to_owned());
                }
            }
            Ok(found)
        };
        let (isolinux, grub) = (there(&ISOLINUX)?.into_iter().next(), there(&GRUB)?);
        if isolinux.is_none() && grub.is_empty() {
            return refused(&format!("it has no boot menu that remuda knows: {} or {}", ISOLINUX.join(", "), GRUB.join(", ")));
        }
        for name in [FOLDER, "openstack", IMAGES] {
            if iso.has(name) {
                return refused(&format!("it already has a /{name}"));
            }
        }
        let size = fs_err::metadata(path).map_err(MediaError::io("reading", path))?.len();
        Ok(Self { path: path.to_owned(), size, label: iso.label, isolinux, grub })
    }

    /// How tarballs get from this ISO to the node, if at all. `Err` says why the node couldn't start.
    pub fn images<'i>(&'i self, of: NodeRef<'i>, folder: &'i Utf8Path) -> Result<Tarballs<'i>, String> {
        let (class, archives) = (of.class, super::archives(of.cluster, of.class.arch));
        if class.arch != Arch::Amd64 && self.grub.is_empty() {
            return Err(format!(
                "the ISO's boot loader, isolinux, starts amd64 machines, and this one is {}; attach a config drive to a machine that has the OS, or boot it from the network",
                class.arch
            ));
        }
        match (of.cluster.images.delivery, class.machine.install, &class.disk) {
            (Delivery::Registry | Delivery::Url, ..) => Ok(Tarballs::Elsewhere),
            (_, true, _) => Ok(Tarballs::Iso(archives, &self.label)),
            (Delivery::Drive, false, _) if self.grub.is_empty() => Ok(Tarballs::Iso(archives, LABEL)),
            (Delivery::Drive, false, _) => Err("the node looks for its images on a drive labelled config-2, and GRUB may look for this ISO by its own label; attach a config drive instead".to_owned()),
            (Delivery::Preload, false, Some(_)) => Err(
                "the node keeps its state on a disk, but tarballs that a boot ISO preloads stay in memory: nothing would start. Set `install: true` or `images: {delivery: drive}` in the profile".to_owned()
            ),
            (Delivery::Preload, false, None) => Ok(Tarballs::Within(archives, folder)),
        }
    }

    /// Writes the ISO of one node.
    pub fn customize(&self, own: &Customized, target: Target, path: &Utf8Path, progress: Progress) -> Result<(), MediaError> {
        let Customized { of, node, config, images, folder, scratch } = *own;
        let (cluster, name) = (of.cluster, &of.node.name);
        let failed = || MediaError::image(path);
        let file = self.copy(&target, path, progress)?;
        let table = Isohybrid::take(&file).map_err(MediaError::io("writing", path))?;
        let device = Counted { inner: FileDevice::new(file).map_err(MediaError::io("writing", path))?, progress };
        let mut session = Session::open(device).map_err(|error| MediaError::refused(&self.path, error))?;
        let rides = tempfile::tempfile_in(scratch).map_err(MediaError::io("writing in", scratch))?;
        let mut out = BufWriter::new(rides.try_clone().map_err(MediaError::io("writing in", scratch))?);
        overlay(of, node, config, images, &mut out)?;
        out.flush().map_err(MediaError::io("writing in", scratch))?;
        drop(out);

        let tree = session.tree_mut();
        let at = format!("{FOLDER}/{name}.cpio.gz");
        let content = host::file(format!("/proc/self/fd/{}", rides.as_raw_fd())).map_err(failed())?;
        tree.insert(FOLDER, Entity::dir().with_attrs(attributes(0o755))).map_err(failed())?;
        tree.insert(&at, Entity::file(content).with_attrs(attributes(0o400))).map_err(failed())?;
        let on_iso: Vec<Utf8PathBuf> = match images {
            Tarballs::Iso(archives, _) => archives.iter().map(|image| folder.join(&image.file)).collect(),
            _ => Vec::new(),
        };
        iso::insert(tree, &Drive { cluster: &cluster.name, node: name, config, images: &on_iso }).map_err(failed())?;
        let words = super::kernel::parameters(of);
        let title = format!("{name} of cluster {}", cluster.name);
        for (at, text) in self.menus(&Entry { title: &title, words: &words, overlay: &at })? {
            let entity = Entity::file(Content::bytes(text.into_bytes())).with_attrs(attributes(0o644));
            if tree.get(&at).is_some() { tree.replace(&at, entity) } else { tree.insert(&at, entity) }.map_err(failed())?;
        }
        let report = session.write(&self.options(&session.options(), cluster, name, images), SessionMode::Rewrite).map_err(failed())?;
        let file = session.into_inner().inner.into_inner();
        table.map_or(Ok(()), |table| table.put_back(&file, report.size())).map_err(MediaError::io("writing", path))?;
        target.finish()
    }

    /// The vendor's volume names, except for the node's name; and the label by which the node finds its images.
    fn options(&self, options: &IsoOptions, cluster: &Cluster, name: &str, images: &Tarballs) -> IsoOptions {
        let options = options.clone().with_id(IsoId::Application, &application(&cluster.name, name));
        match images {
            Tarballs::Iso(_, label) => options.with_id(IsoId::Volume, label),
            _ => options,
        }
    }

    /// The files of the menus, including ours.
    fn menus(&self, entry: &Entry) -> Result<Vec<(String, String)>, MediaError> {
        let iso = Iso::open(&self.path)?;
        let read = |path: &str| iso.start(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let refused = |problem| MediaError::refused(&self.path, problem);
        let mut files = Vec::new();
        if let Some(path) = &self.isolinux {
            let (menu, own) = menu::isolinux(path, &read, entry).map_err(refused)?;
            files.extend([(path.clone(), menu), (format!("{FOLDER}/isolinux.cfg"), own)]);
        }
        for path in &self.grub {
            let text = read(path).unwrap_or_default();
            files.push((path.clone(), menu::grub(path, &text, entry).map_err(refused)?));
        }
        Ok(files)
    }

    fn copy(&self, target: &Target, path: &Utf8Path, progress: Progress) -> Result<File, MediaError> {
        let mut from = fs_err::File::open(&self.path).map_err(MediaError::io("reading", &self.path))?;
        let mut to = target.file()?;
        let bytes = io::copy(&mut from, &mut to).map_err(MediaError::io("writing", path))?;
        progress(bytes);
        target.file()
    }
}

/// The partition table of an ISO that boots from a stick by isolinux (`isohybrid`): one partition
/// over the whole image, from its first sector on. The ISO writer can't handle a partition that
/// contains the table itself, so the table is removed first and written back with the new size.
struct Isohybrid([u8; 66]);

impl Isohybrid {
    const AT: u64 = 446;

    fn take(file: &File) -> io::Result<Option<Self>> {
        let mut start = [0; 520];
        file.read_exact_at(&mut start, 0)?;
        let table = <[u8; 66]>::try_from(&start[446..512]).unwrap_or([0; 66]);
        let begins_at_zero = table[8..12] == [0; 4] && table[4] != 0;
        if table[64..] != [0x55, 0xAA] || !begins_at_zero || &start[512..] == b"EFI PART" {
            return Ok(None);
        }
        file.write_all_at(&[0; 66], Self::AT)?;
        Ok(Some(Self(table)))
    }

    fn put_back(mut self, file: &File, size: u64) -> io::Result<()> {
        // Cylinder, head and sector beyond their range; then the number of sectors.
        self.0[5..8].copy_from_slice(&[0xFE, 0xFF, 0xFF]);
        let sectors =
            u32::try_from(size.div_ceil(512)).map_err(|_| io::Error::other("it is too large for a stick's partition table: 2 TiB"))?;
        self.0[12..16].copy_from_slice(&sectors.to_le_bytes());
        file.write_all_at(&self.0, Self::AT)
    }
}
