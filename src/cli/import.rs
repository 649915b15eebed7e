//! `remuda import`

use super::failure::style;
use super::project::warn;
use super::{Failure, Outcome, print};
use crate::build::{self, Project};
use crate::diagnostic::{self, Diagnostics, Sources};
use crate::disk::Doing;
use crate::import::{self, Input};
use crate::target::Target;
use camino::Utf8PathBuf;
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueHint};
use std::io::{Read, Write};

const EXAMPLES: &str = "\
Examples:
  remuda import node-01.yml node-02.yml         the profile, on stdout
  remuda import */cloud-config.yml -o p.yaml    folders name the nodes that have no `hostname`
  remuda import --target burmillaos-2.0 a.yml   for another OS than the configs show

Exit codes: 0 the profile is valid; 1 a config can't be imported and nothing was written,
or the profile was written and the messages say what is left to decide.";

/// Make a profile of cloud-configs that somebody wrote by hand
///
/// What all nodes have in common goes to `defaults`, the rest to `nodes`. What remuda decides is left out, and a
/// comment says so. Secrets, and keys that the OS doesn't read, are left out with a warning. The profile is then
/// checked as `remuda validate` does.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Import {
    /// The cloud-configs, one for each node
    #[arg(required = true, value_name = "CLOUD-CONFIG", value_hint = ValueHint::FilePath)]
    configs: Vec<Utf8PathBuf>,
    /// Write the profile to FILE, which must not exist; its name is the cluster's (default: stdout)
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<Utf8PathBuf>,
    /// The OS of the nodes (default: burmillaos-2.0 if the configs name its images or keys, otherwise rancheros-1.5)
    #[arg(long, value_parser = PossibleValuesParser::new(Target::names()))]
    target: Option<String>,
}

impl Import {
    pub(super) fn run(self) -> Outcome {
        if self.configs.len() > import::CONFIGS {
            return Err(Failure::Usage(format!("{} cloud-configs; at most {} at a time", self.configs.len(), import::CONFIGS)));
        }
        if let Some(output) = self.output.as_ref().filter(|output| output.exists()) {
            return Err(Failure::Usage(format!("{output} exists, and import doesn't overwrite it")));
        }
        let mut inputs = Vec::new();
        for path in &self.configs {
            let mut bytes = Vec::new();
            let file = fs_err::File::open(path).doing("reading", path)?;
            file.take(import::BYTES + 1).read_to_end(&mut bytes).doing("reading", path)?;
            inputs.push(Input { path: path.to_string(), bytes });
        }
        let name = import::cluster_name(self.output.as_ref().and_then(|output| output.file_stem()).unwrap_or("imported"));
        let target = self.target.as_deref().and_then(Target::find);
        let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
        let Some(imported) = import::import(inputs, &name, target, &mut sources, &mut found) else {
            return Err(Failure::Source(build::SourceError { found, sources }));
        };
        warn(&found, &sources);
        match &self.output {
            None => print(&imported.text)?,
            Some(output) => {
                let file = fs_err::OpenOptions::new().write(true).create_new(true).open(output);
                file.and_then(|mut file| file.write_all(imported.text.as_bytes())).doing("writing", output)?;
            }
        }
        let written = self.output.as_ref().map_or("profile.yaml", |output| output.as_str());
        let left = check(written, imported.text);
        eprint!("{}", diagnostic::text(&left.found, &left.sources, style()));
        if left.found.has_errors() {
            return Err(Failure::Check(format!("decide what the messages name in {written}, then run `remuda validate` with it")));
        }
        eprintln!("{written}: {} nodes, no mistakes found", imported.nodes);
        Ok(())
    }
}

/// What `remuda validate` finds in the profile.
fn check(name: &str, text: String) -> build::SourceError {
    let mut project = Project::of_text(name, text);
    match project.draft() {
        Err(wrong) => wrong,
        Ok(draft) => {
            let cluster = draft.with(Vec::new());
            project.found.extend_once(build::check(&cluster));
            build::SourceError { found: project.found, sources: project.sources }
        }
    }
}
