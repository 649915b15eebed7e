//! `remuda status`

use super::ask::AskArgs;
use super::failure::is_coloured;
use super::project::ProfileArgs;
use super::{Failure, Format, Outcome, print};
use crate::status::{Status, text};
use camino::Utf8PathBuf;
use clap::{Args, ValueHint};
use std::io::stdout;

const EXAMPLES: &str = "\
Examples:
  remuda status cluster.yaml                         with out/CLUSTER/sealed/admin.kubeconfig
  remuda status cluster.yaml --kubeconfig ops.yaml   with another identity
  remuda status cluster.yaml --format json           for a program

Exit codes: 0 all is as the tree says; 1 something isn't; 2 wrong usage; 3 the API can't be asked.";

/// Show which config each node runs, and what isn't as the out tree says
///
/// Asks the cluster's API through `kubectl`, and compares with the manifest of OUT/CLUSTER. Changes nothing, and
/// needs no seed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct StatusVerb {
    #[command(flatten)]
    pub source: ProfileArgs,
    /// The folder of the out tree, which is DIR/CLUSTER
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
    #[command(flatten)]
    ask: AskArgs,
}

impl StatusVerb {
    pub(super) fn run(self) -> Outcome {
        let mut project = self.source.open(Some(&self.out))?;
        // A profile that is being changed still has a cluster that runs.
        let name = match project.name() {
            Some(name) => name.to_owned(),
            None => project.draft()?.name().to_owned(),
        };
        let root = project.root(&name);
        let Some((_, manifest)) = project.before(&root)? else {
            return Err(Failure::world(format!(
                "{root} has no manifest: run `{}` where the cluster was made",
                project.paths.command("gen")
            )));
        };
        match &manifest.configs {
            Some(configs) if !configs.is_empty() => {}
            Some(_) => return Err(Failure::Usage(format!("nodes of {} don't say which config they run", manifest.line))),
            None => {
                let generate = project.paths.command("gen");
                let says = format!("an older remuda made {root}: run `{generate}`, and restart the nodes with their new configs");
                return Err(Failure::world(says));
            }
        }
        let answers = self.ask.ask(&root, &project.paths.command("seal"))?;
        let status = Status::of(root.as_str(), &manifest, &answers);
        match self.source.format {
            Format::Json => print(&format!("{:#}\n", serde_json::to_value(&status).unwrap_or_default()))?,
            Format::Text => print(&text(&status, is_coloured(&stdout())))?,
        }
        if status.is_as_the_tree_says { Ok(()) } else { Err(Failure::Check(String::new())) }
    }
}
