//! `remuda validate`

use super::project::{self, ProfileArgs};
use super::{Format, Outcome, print};
use crate::build;
use crate::diagnostic;
use clap::Args;

/// Check a profile and report every mistake
///
/// Writes nothing. Compiles every node, so that templates are checked too.
#[derive(Debug, Args)]
pub(super) struct Validate {
    #[command(flatten)]
    pub source: ProfileArgs,
}

impl Validate {
    pub(super) fn run(self) -> Outcome {
        let mut project = self.source.open(None)?;
        let draft = project.draft()?;
        project.check_token(&draft);
        project.check_lock(&draft);
        let cluster = project.packed_so_far(&draft)?.complete(draft);
        project.found.extend_once(build::check(&cluster));
        project.found.extend(project::expiring(&cluster));
        project.sound()?;
        project.found.check_allowed();
        if self.source.format == Format::Json {
            return print(&format!("{:#}\n", diagnostic::json(&project.found, &project.sources)));
        }
        self.source.warn(&mut project);
        let nodes = cluster.nodes.len();
        eprintln!("{}: {nodes} node{}, no mistakes found", cluster.name, if nodes == 1 { "" } else { "s" });
        Ok(())
    }
}
