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
        let archives = project.packed_so_far(&draft);
        let cluster = draft.with(archives);
        project.found.extend_once(build::check(&cluster));
        project.found.extend(project::expiring(&cluster));
        project.sound()?;
        if self.source.format == Format::Json {
            return print(&format!("{:#}\n", diagnostic::json(&project.found, &project.sources)));
        }
        self.source.warn(&mut project);
        eprintln!("{}: {} nodes, no mistakes found", cluster.name, cluster.nodes.len());
        Ok(())
    }
}
