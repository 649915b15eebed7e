//! `remuda completions`

use super::{Cli, Outcome, print};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Print a completion script for your shell
///
/// For bash: remuda completions bash > ~/.local/share/bash-completion/completions/remuda
#[derive(Debug, Args)]
pub(super) struct Completions {
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "remuda", &mut script);
        print(&String::from_utf8_lossy(&script))
    }
}
