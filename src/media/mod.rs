//! From the out tree to machines: config drives, boot ISOs, network boot, Vagrant, installation.
//!
//! Takes a decided [`Cluster`] and its generated files; gives named files and
//! images. It decides nothing about a node and doesn't know YAML.

pub mod install;
pub mod iso;
mod kernel;
mod menu;
pub mod overlay;
pub mod pxe;
pub mod target;
mod vagrant;
mod vendor;

pub use menu::FOLDER;
pub use vendor::{Customized, Vendor};

use crate::disk::DiskError;
use crate::node::{Keys, NodeConfig};
use crate::os;
use crate::plan::{Archive, Cluster, NodeRef, Pxe};
use crate::terms::Arch;
use camino::{Utf8Path, Utf8PathBuf};
use overlay::Overlay;
use std::io;

/// The files of the whole cluster for git, without secrets: path and text.
pub fn files(cluster: &Cluster) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut put = |path: &str, text: String| files.push((format!("media/{path}"), text));
    if let Some(commands) = install::commands(cluster) {
        put("install.txt", commands);
    }
    if let Some(pxe) = &cluster.media.pxe {
        put("pxe/boot.ipxe", pxe::boot_script(cluster));
        put("pxe/dnsmasq.conf", pxe::dnsmasq(cluster, pxe));
    }
    if let Some((name, version)) = &cluster.media.vagrant {
        put("Vagrantfile", vagrant::file(cluster, name, version.as_deref()));
    }
    files
}

/// The scripts of one node for network boot, with a name in place of its config's path.
pub fn node_files(of: NodeRef, keys: &Keys) -> Vec<pxe::File> {
    of.cluster.media.pxe.iter().flat_map(|pxe| pxe::node_files(of, pxe, keys)).collect()
}

/// The file at a node's unguessable path: its sealed config, or an overlay with it.
pub fn served(of: NodeRef, pxe: &Pxe, node: &NodeConfig, config: &[u8]) -> Result<Vec<u8>, MediaError> {
    if pxe::suffix(of, pxe) == ".yml" {
        return Ok(config.to_vec());
    }
    let mut bytes = Vec::new();
    let images = Tarballs::of(of.cluster, of.class.arch);
    overlay(of, node, config, &images, &mut bytes)?;
    Ok(bytes)
}

/// How tarballs get to a machine that boots from our medium.
pub enum Tarballs<'i> {
    /// Not on the medium.
    Elsewhere,
    /// In the initrd, in another archive.
    Beside(Vec<&'i Archive>),
    /// In the initrd, in the same archive, from this folder.
    Within(Vec<&'i Archive>, &'i Utf8Path),
    /// On the ISO with this label.
    Iso(Vec<&'i Archive>, &'i str),
}

/// The tarballs for machines with this processor.
pub fn archives(cluster: &Cluster, arch: Arch) -> Vec<&Archive> {
    cluster.images.archives.iter().filter(|archive| archive.arch == arch).collect()
}

impl<'i> Tarballs<'i> {
    /// At network boot, preloaded tarballs are in an archive that all machines share.
    fn of(cluster: &'i Cluster, arch: Arch) -> Self {
        if pxe::images(cluster, arch).is_some() { Self::Beside(archives(cluster, arch)) } else { Self::Elsewhere }
    }
}

/// Writes a node's overlay, which runs the node or, if the profile says so, installs it.
pub fn overlay(of: NodeRef, node: &NodeConfig, config: &[u8], images: &Tarballs, out: &mut impl io::Write) -> Result<(), MediaError> {
    let within = |overlay: Overlay, out| match images {
        Tarballs::Within(archives, folder) => {
            overlay.with_images(archives.iter().map(|image| (*image, folder.join(&image.file)))).write(out)
        }
        _ => overlay.write(out),
    };
    if !of.class.machine.install {
        return within(Overlay::running(config), out);
    }
    let installer = os::cloud_config(install::installer(node.clone()));
    let comment = format!("Installs {} of cluster {}, once. Made by remuda.", node.hostname, of.cluster.name);
    let installer = os::emit(installer, &comment);
    let (copied, in_memory, label): (&[&Archive], bool, _) = match images {
        Tarballs::Elsewhere => (&[], false, None),
        Tarballs::Beside(archives) | Tarballs::Within(archives, _) => (archives, true, None),
        Tarballs::Iso(archives, label) => (archives, false, Some(*label)),
    };
    let script = install::script(of, copied, label);
    let stamped = if in_memory { copied } else { &[] };
    within(Overlay::installing(config, installer.as_bytes(), script.as_bytes(), stamped), out)
}

/// Why a medium couldn't be made.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum MediaError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{path}: {problem}")]
    Refused { path: Utf8PathBuf, problem: String },
    #[error("writing {path}: {problem}")]
    Image { path: Utf8PathBuf, problem: String },
}

impl MediaError {
    /// For an error of the system.
    pub fn io(doing: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> MediaError {
        let of = DiskError::of(doing, path);
        move |error| of(error).into()
    }

    fn refused(path: impl Into<Utf8PathBuf>, problem: impl ToString) -> MediaError {
        MediaError::Refused { path: path.into(), problem: problem.to_string() }
    }

    fn image(path: impl Into<Utf8PathBuf>) -> impl FnOnce(hadris_fs::PathError) -> MediaError {
        let path = path.into();
        move |error| MediaError::Image { path, problem: error.to_string() }
    }
}
