//! `remuda schema`

use super::{Outcome, print};
use crate::line::Lines;
use crate::profile;
use camino::Utf8PathBuf;
use clap::{Args, ValueHint};

/// Print the JSON schema of profiles for editors, or their reference
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Print the reference, docs/profile.md, instead
    #[arg(long)]
    reference: bool,
    /// A folder of release lines and add-ons, which come before the built-in ones
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    templates: Option<Utf8PathBuf>,
}

impl Schema {
    pub(super) fn run(self) -> Outcome {
        let schema = profile::schema(&Lines { folder: self.templates }.addons_schema());
        if self.reference {
            return print(&profile::reference(&schema));
        }
        print(&format!("{schema:#}\n"))
    }
}
