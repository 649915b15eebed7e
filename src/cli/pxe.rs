//! `remuda pxe`

use super::iso::{images, unsealed};
use super::project::{self, ProfileArgs, ProfileOption};
use super::{Failure, Outcome, generate};
use crate::build::{IMAGES, SEALED};
use crate::diagnostic::Diagnostics;
use crate::media::overlay::Overlay;
use crate::media::target::Target;
use crate::media::{self, MediaError, Tarballs, pxe};
use crate::node::{self, Contexts};
use crate::plan::Cluster;
use crate::terms::Arch;
use crate::tree::Private;
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand, ValueHint};
use std::io::{self, BufWriter, Write};

/// Network boot
#[derive(Debug, Subcommand)]
pub(super) enum Pxe {
    Wrap(Wrap),
}

const EXAMPLES: &str = "\
Examples:
  remuda pxe wrap -p cluster.yaml                the tarballs, for all machines that boot from the network
  remuda pxe wrap node-01 --to node-01.cpio.gz   a node's config, to load after the OS's initrd
  remuda pxe wrap node-01 --images --initrd initrd --to initrd-node-01
                                                 all in one file, for a loader that accepts only one";

/// Make an overlay, which a boot loader loads after the OS's initrd
///
/// Without a node: the image tarballs, once for all machines, in OUT/CLUSTER/sealed/pxe.d, where
/// the boot scripts look for them. With a node: its sealed config, in its own file, which is as
/// secret as the config.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Wrap {
    /// The node's name
    #[arg(requires = "to")]
    node: Option<String>,
    #[command(flatten)]
    profile: ProfileOption,
    /// The folder of the out tree, which is DIR/CLUSTER
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
    /// The overlay's path
    #[arg(long, value_name = "FILE", requires = "node", value_hint = ValueHint::FilePath)]
    to: Option<Utf8PathBuf>,
    /// Include the image tarballs
    #[arg(long, requires = "node")]
    images: bool,
    /// Use a tree that was generated without image tarballs: the nodes get the images from you
    #[arg(long, requires = "node", conflicts_with = "images")]
    no_images: bool,
    /// The OS's initrd, to put before the overlay
    #[arg(long, value_name = "FILE", requires = "node", value_hint = ValueHint::FilePath)]
    initrd: Option<Utf8PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

impl Pxe {
    pub(super) fn run(self) -> Outcome {
        let Self::Wrap(wrap) = self;
        wrap.run()
    }
}

impl Wrap {
    fn run(self) -> Outcome {
        let (project, cluster) = ProfileArgs::from(self.profile).cluster(Some(&self.out))?;
        let root = project.root(&cluster.name);
        generate::check(&cluster, &root, "no overlay is made of it")?;
        let folder = root.join(IMAGES);
        let (Some(name), Some(to)) = (self.node, self.to) else { return wrap_images(&cluster, &root, &folder) };
        let of = project::node(&cluster, &name)?;
        generate::check_packed(&cluster, &root, self.no_images)?;
        let sealed = Private::open(&root, SEALED).map_err(|error| unsealed(error, &root))?;
        let config = sealed.read(&format!("{name}/cloud-config.yml")).map_err(|error| unsealed(error, &root))?;
        let mut found = Diagnostics::default();
        let node = node::lower(of, &Contexts::new(&cluster), &mut found);
        let target = Target::open(&to, self.force, |_| false)?;
        let mut out = BufWriter::new(target.file()?);
        if let Some(initrd) = &self.initrd {
            let mut from = fs_err::File::open(initrd)?;
            let size = io::copy(&mut from, &mut out).map_err(MediaError::io("reading", initrd))?;
            // The kernel requires archives to start at a multiple of four.
            out.write_all(&[0; 4][..usize::try_from((4 - size % 4) % 4).unwrap_or_default()])?;
        }
        let arch = of.class.arch;
        let images = match self.images {
            true => images(&cluster, &root, arch).map(|_| Tarballs::Within(media::archives(&cluster, arch), &folder))?,
            false => Tarballs::Elsewhere,
        };
        media::overlay(of, &node, &config, &images, &mut out)?;
        out.flush()?;
        drop(out);
        target.finish()?;
        eprintln!("{to}: written; as secret as the config in it");
        Ok(())
    }
}

/// The tarballs for machines that preload: an archive for each architecture.
fn wrap_images(cluster: &Cluster, root: &Utf8Path, folder: &Utf8Path) -> Outcome {
    let wanted: Vec<(Arch, String)> = cluster.arches().into_iter().filter_map(|arch| Some((arch, pxe::images(cluster, arch)?))).collect();
    if wanted.is_empty() {
        return Err(Failure::world(format!(
            "no machine of {} boots from the network and preloads images: this needs `media.url`, `delivery: preload`, and tarballs from `remuda gen`",
            cluster.name
        )));
    }
    let sealed = Private::open(root, SEALED).map_err(|error| unsealed(error, root))?;
    let served = sealed.folder().join(pxe::SERVED);
    for (arch, file) in &wanted {
        images(cluster, root, *arch)?;
        // Its name has the hash of its content.
        let target = Target::open(&served.join(file), false, |_| true)?;
        let archives = media::archives(cluster, *arch);
        let overlay = Overlay::default().with_images(archives.into_iter().map(|image| (image, folder.join(&image.file))));
        let mut out = BufWriter::new(target.file()?);
        overlay.write(&mut out)?;
        out.flush()?;
        drop(out);
        target.finish()?;
        eprintln!("{}/{}/{file}: written", root.join(SEALED), pxe::SERVED);
    }
    let is_old = |name: &str| pxe::is_images(name) && wanted.iter().all(|(_, file)| file != name);
    for old in served.read_dir_utf8()?.flatten().filter(|old| is_old(old.file_name())) {
        fs_err::remove_file(old.path())?;
    }
    Ok(())
}
