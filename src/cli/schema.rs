//! `remuda schema`

use super::{Outcome, print};
use crate::profile;
use clap::Args;

/// Print the JSON schema of profiles for editors, or their reference
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Print the reference, docs/profile.md, instead
    #[arg(long)]
    reference: bool,
}

impl Schema {
    pub(super) fn run(self) -> Outcome {
        if self.reference {
            return print(&profile::reference());
        }
        print(&format!("{:#}\n", profile::schema().as_value()))
    }
}
