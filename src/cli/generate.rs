//! `remuda gen`

use super::seed::{self, SeedArgs};
use super::stock::{self, Supplies};
use super::{Failure, Format, Outcome, Source, compile, discovery, graph, image, iso, print, secret};
use crate::diagnostic::Diagnostics;
use crate::media::{self, pxe};
use crate::node::{self, Contexts};
use crate::os;
use crate::pki::{Keyring, Seed};
use crate::plan::Cluster;
use crate::tree::{Intent, Report, Run, TreeError};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueHint};
use rayon::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// Make every node's config, and the image tarballs if the components are there
///
/// Writes OUT/CLUSTER. What is for git has no secret in it; nothing is written when the profile has
/// an error, and a file whose bytes would not change isn't touched.
#[derive(Debug, Args)]
pub struct Gen {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    seed: SeedArgs,
    /// Where the out tree goes: OUT/CLUSTER
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
    /// Write nothing; exit 1 and show how, if the out tree isn't what the profile says
    #[arg(long, conflicts_with_all = ["diff", "force"])]
    check: bool,
    /// Write nothing; show what would change, and on which nodes
    #[arg(long, conflicts_with = "force")]
    diff: bool,
    /// Overwrite and remove files in OUT/CLUSTER that remuda didn't write
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    supplies: Supplies,
    /// Make the configs alone, no image tarballs
    #[arg(long)]
    no_images: bool,
    /// Make the tree for git alone, even if the seed is there
    #[arg(long)]
    no_seal: bool,
    /// Whether the tree for git must be what the profile says already.
    #[arg(skip)]
    only_seal: bool,
}

/// The folder with key material.
pub const SEALED: &str = "sealed";
/// The folder with image tarballs, which others write.
pub const IMAGES: &str = "images";

impl Gen {
    pub fn run(self) -> Outcome {
        let (mut cluster, mut found, sources) = compile::cluster(&self.source)?;
        compile::report(&discovery::missing(&self.source, &cluster)?, &sources, self.source.format)?;
        let root = self.out.join(&cluster.name);
        let intent = if self.check || self.diff { Intent::Compare } else { Intent::Write { force: self.force } };
        let seed = if intent == Intent::Compare || self.no_seal { None } else { self.seed.find()? };
        if let Some(seed) = &seed {
            seed::check(seed, &self.seed, &root, self.source.profile.as_deref())?;
        }
        let packs = intent != Intent::Compare && !self.no_images;
        let larder = self.supplies.larder(&self.source, stock::lock(&self.source, &cluster, &sources, packs)?);
        cluster.images.archives = image::archives(&cluster, packs.then_some(&larder), &root)?;
        if self.only_seal {
            check(&cluster, &root, "it isn't sealed")?;
        }
        let report = match generate(&cluster, &root, intent, seed.as_ref()) {
            Ok(Ok(report)) => report,
            // What was found before is said already, but in JSON it is one text.
            Ok(Err(rendered)) => {
                let mut unsaid = if self.source.format == Format::Json { found } else { Diagnostics::default() };
                unsaid.extend(rendered);
                return compile::report(&unsaid, &sources, self.source.format);
            }
            Err(failure) => return Err(failure),
        };
        let expiring = compile::expiring(&cluster);
        compile::report(&expiring, &sources, Format::Text)?;
        found.extend(expiring);
        match self.source.format {
            Format::Json => print(&format!("{:#}\n", as_json(&report, &found, &sources)))?,
            Format::Text => self.say(&report, &cluster, &root)?,
        }
        if self.check && !report.is_clean() {
            return Err(Failure::Source);
        }
        if intent == Intent::Compare {
            return Ok(());
        }
        self.say_sealed(seed.is_some(), &report, &root);
        say_pxe(&cluster, &root.join(SEALED));
        iso::say_stale(&cluster, &root);
        Ok(())
    }

    /// `gen` as `seal` wants it.
    pub fn sealing(source: Source, seed: SeedArgs, out: Utf8PathBuf) -> Self {
        let supplies = Supplies::default();
        Self { source, seed, out, supplies, check: false, diff: false, force: false, no_images: true, no_seal: false, only_seal: true }
    }

    fn say_sealed(&self, is_sealed: bool, report: &Report, root: &Utf8Path) {
        let sealed = root.join(SEALED);
        if is_sealed {
            eprintln!("{sealed}: sealed; keep it out of git");
        } else if sealed.exists() {
            let behind = if report.is_clean() { "" } else { " and is behind what was written now" };
            eprintln!("{sealed}: was not sealed anew{behind}; run `remuda seal` where the seed is");
        } else if !self.no_seal {
            eprintln!("{sealed}: not there: a node boots from a sealed config, and there is no seed at {}", self.seed.path());
            eprintln!("run `remuda seed new` once, keep the seed safe, and run `remuda gen` again");
        }
    }

    fn say(&self, report: &Report, cluster: &Cluster, root: &Utf8Path) -> Outcome {
        if !self.check && !self.diff {
            eprintln!(
                "{root}: {} nodes, {} files written, {} removed, {} unchanged",
                cluster.nodes.len(),
                report.written.len(),
                report.removed.len(),
                report.unchanged
            );
            return Ok(());
        }
        let mut text = String::new();
        report.differences.iter().for_each(|difference| text.push_str(&difference.text));
        for path in &report.removed {
            text.push_str(&format!("{path}: no longer generated\n"));
        }
        print(&text)?;
        if report.is_clean() {
            eprintln!("{root}: is what the profile says ({} files)", report.unchanged);
            return Ok(());
        }
        let hidden = report.written.len() - report.differences.len().min(report.written.len());
        if hidden > 0 {
            eprintln!("… and {hidden} more files");
        }
        let nodes = changed_nodes(report);
        let word = if self.check { "differs from what the profile says" } else { "would change" };
        eprintln!("{root}: {word}: {} files written, {} removed", report.written.len(), report.removed.len());
        eprintln!("nodes that change: {}", if nodes.is_empty() { "none".to_owned() } else { shorten(&nodes) });
        if self.check {
            eprintln!(
                "run `remuda gen {}` and commit what it writes",
                self.source.profile.as_deref().unwrap_or(Utf8Path::new("")).as_str().trim()
            );
        }
        Ok(())
    }
}

/// Ends the verb if the tree for git isn't what the profile says.
pub fn check(cluster: &Cluster, root: &Utf8Path, so: &str) -> Outcome {
    let report = generate(cluster, root, Intent::Compare, None)?.unwrap_or_default();
    if report.is_clean() {
        return Ok(());
    }
    let paths: Vec<&str> = report.written.iter().chain(&report.removed).map(String::as_str).collect();
    eprintln!("error: {root} isn't what the profile says, so {so}: {}", shorten(&paths));
    eprintln!("run `remuda gen`, look at what changed, and commit it");
    Err(Failure::Source)
}

/// What is to be known before machines boot from the network.
fn say_pxe(cluster: &Cluster, sealed: &Utf8Path) {
    let (Some(wanted), served) = (&cluster.media.pxe, sealed.join(pxe::SERVED)) else { return };
    if !served.exists() {
        return;
    }
    if wanted.url.starts_with("http://") {
        eprintln!("{served}: is served in the clear at {}: who can listen there has the nodes' keys (docs/pxe.md)", wanted.url);
    }
    let images = cluster.arches().into_iter().filter_map(|arch| pxe::images(cluster, arch));
    for images in images.filter(|images| !served.join(images).exists()) {
        eprintln!("{served}/{images}: not there, and the boot scripts name it: run `remuda pxe wrap`");
    }
}

fn shorten(names: &[&str]) -> String {
    match names.len() {
        0..=50 => names.join(", "),
        more => format!("{} and {} more", names[..50].join(", "), more - 50),
    }
}

/// The nodes whose config is among what changes.
fn changed_nodes(report: &Report) -> Vec<&str> {
    let paths = report.written.iter().chain(&report.removed);
    let nodes: BTreeSet<&str> = paths.filter_map(|path| path.strip_prefix("nodes/")?.split('/').next()).collect();
    nodes.into_iter().collect()
}

/// Everything of the out tree but images; the sealed half too where there is a seed.
fn generate(cluster: &Cluster, root: &Utf8Path, intent: Intent, seed: Option<&Seed>) -> Result<Result<Report, Diagnostics>, Failure> {
    let (carried, private): (&[&str], _) = if seed.is_some() { (&[IMAGES], Some(SEALED)) } else { (&[IMAGES, SEALED], None) };
    let run = Run::begin(root, intent, carried, private)?;
    let open = |seed| secret::open(&cluster.vault, seed).map(|given| Keyring::new(seed, &cluster.name, given));
    let keyring = seed.map(open).transpose()?;
    let rendered = configs(cluster, &run, keyring.as_ref())?;
    if rendered.has_errors() {
        return Ok(Err(rendered));
    }
    for (path, text) in media::files(cluster) {
        run.put(&path, text.as_bytes())?;
        if let (Some(_), "media/pxe/boot.ipxe") = (seed, path.as_str()) {
            run.put(&format!("{SEALED}/{}/boot.ipxe", pxe::SERVED), text.as_bytes())?;
        }
    }
    run.put("graph.svg", graph::svg(cluster).as_bytes())?;
    run.put(".gitignore", b"# Not for git: key material, image tarballs, and what Vagrant notes.\n/sealed/\n/images/\n/media/.vagrant/\n")?;
    let fingerprint = seed.map(Seed::fingerprint).or_else(|| seed::fingerprint_in(root));
    Ok(Ok(run.finish(header(cluster, fingerprint)).map_err(explain)?))
}

/// Lowers, emits and writes every node's config, on all cores.
fn configs(cluster: &Cluster, run: &Run, keyring: Option<&Keyring>) -> Result<Diagnostics, Failure> {
    let contexts = Contexts::new(cluster);
    let found = Mutex::new(BTreeMap::new());
    (0..cluster.nodes.len()).into_par_iter().try_for_each(|index| -> anyhow::Result<()> {
        let mut own = Diagnostics::default();
        let node = node::lower(cluster, &contexts, index, &mut own);
        if !own.is_empty() {
            found.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(index, own);
            return Ok(());
        }
        let keys = node::Keys { cluster, node: node.hostname, context: &Default::default() };
        if let Some(keyring) = keyring {
            let mut sealed = node.clone();
            sealed.seal(keyring);
            let path = format!("{SEALED}/{}/cloud-config.yml", node.hostname);
            let config = os::emit(&os::cloud_config(sealed), &comment(cluster, index, true));
            run.put(&path, config.as_bytes())?;
            if let Some(pxe) = &cluster.media.pxe {
                let path =
                    format!("{SEALED}/{}/{}{}", pxe::SERVED, keyring.fill(&keys.boot_path()).as_str(), pxe::suffix(cluster, pxe, index));
                run.put(&path, &media::served(cluster, pxe, index, &node, config.as_bytes())?)?;
            }
        }
        for file in media::node_files(cluster, index, &keys) {
            run.put(&file.public, file.content.text().as_bytes())?;
            if let Some(keyring) = keyring {
                run.put(&format!("{SEALED}/{}", file.sealed), file.content.fill(keyring).as_bytes())?;
            }
        }
        let path = format!("nodes/{}/cloud-config.yml", node.hostname);
        let config = os::cloud_config(node);
        Ok(run.put(&path, os::emit(&config, &comment(cluster, index, false)).as_bytes())?)
    })?;
    for (path, secret) in node::operator_files(cluster, &contexts).map_err(anyhow::Error::from)? {
        if let Some(keyring) = keyring {
            run.put(&format!("{SEALED}/{path}"), secret.fill(keyring).as_bytes())?;
        }
    }
    let mut all = Diagnostics::default();
    found.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).into_values().for_each(|own| all.extend_once(own));
    Ok(all)
}

fn comment(cluster: &Cluster, index: usize, is_sealed: bool) -> String {
    let node = &cluster.nodes[index];
    let roles: Vec<&str> = cluster.classes[node.class].roles.iter().map(|role| role.as_str()).collect();
    format!(
        "{} of cluster {} ({}), {} on {} {}.\nMade by remuda: change the profile, not this file. {}",
        node.name,
        cluster.name,
        roles.join(", "),
        cluster.line.name,
        cluster.target.title,
        cluster.os_version,
        if is_sealed {
            "This copy holds the node's keys: not for git."
        } else {
            "This copy is for git: where a key or certificate\nbelongs it says `sealed:`. A node boots from the sealed copy."
        }
    )
}

/// What the manifest says besides the files.
fn header(cluster: &Cluster, fingerprint: Option<String>) -> Map<String, Value> {
    let header = json!({
        "remuda": env!("CARGO_PKG_VERSION"),
        "cluster": cluster.name,
        "target": cluster.target.name,
        "os_version": cluster.os_version,
        "line": cluster.line.name,
        "images": cluster.images.names,
        "archives": cluster.images.archives,
    });
    match header {
        Value::Object(mut header) => {
            if let Some(fingerprint) = fingerprint {
                header.insert("seed".to_owned(), Value::String(fingerprint));
            }
            header
        }
        _ => Map::new(),
    }
}

fn as_json(report: &Report, found: &Diagnostics, sources: &crate::diagnostic::Sources) -> Value {
    let mut value = crate::diagnostic::json(found, sources);
    // The names in the served folder are what nobody may guess.
    let is_told = |path: &&String| !path.starts_with(&format!("{SEALED}/{}/", pxe::SERVED));
    value["written"] = json!(report.written.iter().filter(is_told).collect::<Vec<_>>());
    value["removed"] = json!(report.removed.iter().filter(is_told).collect::<Vec<_>>());
    value["unchanged"] = json!(report.unchanged);
    value["changed_nodes"] = json!(changed_nodes(report));
    value
}

fn explain(error: TreeError) -> anyhow::Error {
    let is_foreign = matches!(error, TreeError::Foreign(_));
    let error = anyhow::Error::from(error);
    if is_foreign { error.context("nothing was written; move these files away, or use --force to replace them") } else { error }
}
