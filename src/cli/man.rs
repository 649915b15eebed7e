//! `remuda man`, for packagers

use super::{Cli, Outcome};
use camino::Utf8PathBuf;
use clap::{Args, CommandFactory, ValueHint};

/// Write the manual pages, one per verb, into a folder
#[derive(Debug, Args)]
pub(super) struct Man {
    /// The folder; it is made if need be
    #[arg(value_hint = ValueHint::DirPath)]
    folder: Utf8PathBuf,
}

impl Man {
    pub(super) fn run(self) -> Outcome {
        fs_err::create_dir_all(&self.folder)?;
        Ok(clap_mangen::generate_to(Cli::command(), &self.folder)?)
    }
}
