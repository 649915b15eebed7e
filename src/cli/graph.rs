//! `remuda graph`

use super::project::ProfileArgs;
use super::{Outcome, print};
use crate::build;
use clap::Args;

/// Draw the start order of each role as SVG
#[derive(Debug, Args)]
pub(super) struct Graph {
    #[command(flatten)]
    pub source: ProfileArgs,
}

impl Graph {
    pub(super) fn run(self) -> Outcome {
        let (_, draft) = self.source.draft(None)?;
        print(&build::start_order(draft.unpacked()))
    }
}
