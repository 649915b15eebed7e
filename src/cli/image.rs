//! `remuda image`, and what `gen` does with images.

use super::{Failure, Outcome, Source, compile};
use crate::image::{self as images, Archive, Image as Packable, Layer};
use crate::line::{EngineName, LayerSource};
use crate::plan::{self, Cluster};
use crate::tree;
use anyhow::anyhow;
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand, ValueHint};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// Component images
#[derive(Debug, Subcommand)]
pub enum Image {
    /// Pack the component images into OUT/CLUSTER/images
    Build(Build),
}

impl Image {
    pub fn run(self) -> Outcome {
        match self {
            Self::Build(build) => build.run(),
        }
    }
}

/// Pack the component images into OUT/CLUSTER/images
///
/// One `docker load`-able tarball for system-docker and one for user Docker.
#[derive(Debug, Args)]
pub struct Build {
    #[command(flatten)]
    source: Source,
    /// Where the out tree is: OUT/CLUSTER
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
    /// Where the component binaries are (scripts/components fills it)
    #[arg(long, value_name = "DIR", default_value = "components", value_hint = ValueHint::DirPath)]
    components: Utf8PathBuf,
}

impl Build {
    fn run(self) -> Outcome {
        let (cluster, ..) = compile::cluster(&self.source)?;
        let all = packable(&cluster, &self.components);
        if let Some(missing) = missing(&all, &self.components) {
            return Err(Failure::World(anyhow!(missing)));
        }
        pack(&all, &self.out.join(&cluster.name)).map(|_| ())
    }
}

/// The archives of a cluster: packed if `components` are to be used and all there; else those that the
/// out tree's manifest names.
pub fn archives(cluster: &Cluster, components: Option<&Utf8Path>, root: &Utf8Path) -> Result<Vec<plan::Archive>, Failure> {
    let problem = match components {
        None => "no component is read with --check, --diff, --no-images and `seal`".to_owned(),
        Some(components) => {
            let all = packable(cluster, components);
            match missing(&all, components) {
                None => return pack(&all, root),
                Some(missing) => {
                    eprintln!("no image tarballs: {missing}");
                    "components are missing".to_owned()
                }
            }
        }
    };
    let known = tree::manifest(root).and_then(|mut manifest| manifest.remove("archives"));
    let known: Vec<plan::Archive> = known.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
    if known.is_empty() && cluster.images.delivery.names_archives() {
        return Err(Failure::World(anyhow!(
            "with `delivery: {}` each config names the tarballs and their SHA-256, and these aren't known: {problem}, and {root} has no manifest that says.\nRun `remuda gen` once where the components are",
            cluster.images.delivery
        )));
    }
    Ok(known)
}

/// Each engine's images.
fn packable(cluster: &Cluster, components: &Utf8Path) -> Vec<(EngineName, Vec<Packable>)> {
    let layer = |source: &LayerSource| match source {
        LayerSource::Rootfs(path) => Layer::Rootfs(components.join(path)),
        LayerSource::Files(files) => Layer::Files(files.iter().map(|(to, from)| (to.clone(), components.join(from))).collect()),
    };
    let of_engine = |engine| {
        let own = cluster.line.components.iter().filter(move |(_, component)| component.engine == engine);
        own.map(|(name, component)| Packable {
            name: cluster.images.names[name].clone(),
            arch: "amd64".to_owned(),
            entrypoint: component.entrypoint.clone(),
            layers: component.layers.iter().map(layer).collect(),
        })
        .collect()
    };
    [EngineName::SystemDocker, EngineName::Docker].into_iter().map(|engine| (engine, of_engine(engine))).collect()
}

/// What to say if components aren't there.
fn missing(all: &[(EngineName, Vec<Packable>)], components: &Utf8Path) -> Option<String> {
    let missing: Vec<String> = all.iter().flat_map(|(_, images)| images::missing(images)).map(|path| format!("  {path}")).collect();
    if missing.is_empty() {
        return None;
    }
    Some(format!(
        "these components are missing:\n{}\nlooked for in {components}; `scripts/components -o {components}` makes them from source, `--components DIR` names another folder",
        missing.join("\n")
    ))
}

fn pack(all: &[(EngineName, Vec<Packable>)], root: &Utf8Path) -> Result<Vec<plan::Archive>, Failure> {
    let folder = root.join("images");
    let mut archives = Vec::new();
    for (engine, images) in all {
        let bar = bar(engine.as_str());
        let archive = images::pack(images, &folder, engine.as_str(), &mut |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        let archive = archive?;
        say(&archive, &folder);
        archives.push(plan::Archive { engine: engine.as_str().to_owned(), file: archive.file, size: archive.size, sha256: archive.sha256 });
    }
    Ok(archives)
}

/// A progress bar in bytes; on a terminal alone.
pub fn bar(what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_message(what)
}

fn say(archive: &Archive, folder: &Utf8Path) {
    let state = if archive.unchanged { ", unchanged" } else { "" };
    eprintln!("{folder}/{}: {} images, {} MB{state}", archive.file, archive.images.len(), archive.size / 1_000_000);
}
