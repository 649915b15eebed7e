//! The phases that every verb with a profile begins with, and what they found, said.

use super::{Failure, Format, Source, discovery, pki, print, secret};
use crate::diagnostic::{self, Diagnostic, Diagnostics, Sources, Style};
use crate::line::Shelf;
use crate::plan::{self, Cluster};
use crate::profile;
use anyhow::Context;
use std::io::IsTerminal;

/// The profile that `remuda` has built in: the cluster of the 2015 post.
const DEFAULT: &str = include_str!("../../profiles/vagrant.yaml");

/// A profile, compiled as far as it goes.
pub struct Compiled {
    pub sources: Sources,
    pub found: Diagnostics,
    /// `None` if there are errors.
    pub cluster: Option<Cluster>,
}

/// Reads and decides.
pub fn compile(source: &Source) -> Result<Compiled, Failure> {
    let (name, text) = match &source.profile {
        None => ("profiles/vagrant.yaml (built in)".to_owned(), DEFAULT.to_owned()),
        Some(path) => (path.to_string(), read(path)?),
    };
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let shelf = Shelf { folder: source.templates.clone() };
    let profile = profile::read(&mut sources, &name, text, &mut found);
    let mut cluster = profile.and_then(|profile| plan::decide(&profile, &shelf, &mut sources, &mut found));
    if let Some(cluster) = &mut cluster {
        let file = secret::vault_file(source.profile.as_deref());
        cluster.bring(secret::read(&file)?, file.as_str(), &mut found);
        if let Some(discovery) = &mut cluster.etcd.discovery {
            discovery.token = discovery::find(source, &cluster.name, discovery)?;
        }
    }
    let cluster = cluster.filter(|_| !found.has_errors());
    Ok(Compiled { sources, found, cluster })
}

fn read(path: &camino::Utf8Path) -> Result<String, Failure> {
    let bytes = fs_err::read(path).context("the profile can't be read")?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        anyhow::anyhow!("{path}:{line}: the profile is not UTF-8 text")
    });
    match text {
        Ok(text) => Ok(text),
        Err(error) => {
            eprintln!("error: {error}");
            Err(Failure::Source)
        }
    }
}

/// Says what was found. An error ends the verb.
pub fn report(found: &Diagnostics, sources: &Sources, format: Format) -> Result<(), Failure> {
    match format {
        Format::Text => eprint!("{}", diagnostic::text(found, sources, style())),
        Format::Json if found.has_errors() => print(&format!("{:#}\n", diagnostic::json(found, sources)))?,
        Format::Json => {}
    }
    if found.has_errors() { Err(Failure::Source) } else { Ok(()) }
}

/// The cluster, or everything that is wrong.
pub fn cluster(source: &Source) -> Result<(Cluster, Diagnostics, Sources), Failure> {
    let compiled = compile(source)?;
    report(&compiled.found, &compiled.sources, source.format)?;
    match compiled.cluster {
        Some(cluster) => Ok((cluster, compiled.found, compiled.sources)),
        None => Err(Failure::World(anyhow::anyhow!("no cluster came of this profile, and no reason was found: please report it"))),
    }
}

/// A node's place in the cluster, by its name.
pub fn node(cluster: &Cluster, name: &str) -> anyhow::Result<usize> {
    cluster.nodes.iter().position(|node| node.name == name).ok_or_else(|| {
        let names = cluster.nodes.iter().map(|node| node.name.as_str());
        let hint = diagnostic::closest(name, names).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        anyhow::anyhow!("{} has no node {name}{hint}", cluster.name)
    })
}

/// A month before certificates end is the time to say so, and before they begin. The clock shows in messages alone, never in
/// what is generated.
pub fn expiring(cluster: &Cluster) -> Diagnostics {
    const MONTH: i64 = 30 * 24 * 3600;
    let mut found = Diagnostics::default();
    let now = jiff::Timestamp::now().as_second();
    if cluster.pki.validity.not_before > now {
        let begin = pki::day(cluster.pki.validity.not_before);
        found.push(
            Diagnostic::warning("certificates-begin", cluster.pki.span, format!("no certificate is valid before {begin}"))
                .why("until then no component talks to another one, and nobody can log in")
                .mend("set an earlier `pki.not_before`, for nodes whose clock is behind too"),
        );
    }
    let left = cluster.pki.validity.not_after - now;
    if left < MONTH {
        let end = pki::day(cluster.pki.validity.not_after);
        let says = if left < 0 { format!("all certificates ended on {end}") } else { format!("all certificates end on {end}") };
        found.push(
            Diagnostic::warning("certificates-end", cluster.pki.span, says)
                .why("from then on no component talks to another one, and nobody can log in")
                .mend(
                    "set a later `pki.not_before` or a longer `pki.lifetime`, run `remuda gen`, and restart the nodes with what it writes",
                ),
        );
    }
    found
}

/// Colour is for terminals, and never with NO_COLOR.
fn style() -> Style {
    let wanted = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted { Style::Coloured } else { Style::Plain }
}
