//! `--accept CODE`: changes that end a running cluster, if somebody means them.

use super::Failure;
use crate::diagnostic::{AREAS, Code, Diagnostic, Diagnostics, closest};
use clap::Args;

/// The area of the codes that can be accepted.
const AREA: &str = "change";

#[derive(Debug, Clone, Default, Args)]
pub(super) struct AcceptArgs {
    /// Accept a change that ends a running cluster, by its code, like pod-network-change; can be repeated
    #[arg(long = "accept", value_name = "CODE", value_parser = code)]
    codes: Vec<Code>,
}

fn code(name: &str) -> Result<Code, String> {
    let codes: Vec<Code> = AREAS.iter().filter(|area| area.name == AREA).flat_map(|area| area.codes).copied().collect();
    codes.iter().find(|code| code.name() == name).copied().ok_or_else(|| {
        let names = codes.iter().map(|code| code.name());
        match closest(name, names.clone()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("the codes are {}", names.collect::<Vec<_>>().join(", ")),
        }
    })
}

impl AcceptArgs {
    /// The codes, as they are written.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.codes.iter().map(|code| code.name())
    }

    /// What of it isn't accepted. Notes what is; a code that nothing has is a wrong use.
    pub(super) fn refused(&self, ends: Vec<Diagnostic>) -> Result<Diagnostics, Failure> {
        if let Some(unused) = self.codes.iter().find(|code| !ends.iter().any(|end| end.code == **code)) {
            return Err(Failure::Usage(format!("`--accept {}`: no such change is made; leave it out", unused.name())));
        }
        let (accepted, refused): (Vec<_>, Vec<_>) = ends.into_iter().partition(|end| self.codes.contains(&end.code));
        for end in accepted {
            eprintln!("note: accepted: {} [{}]", end.message, end.code.name());
        }
        let mut found = Diagnostics::default();
        found.extend_with(refused);
        Ok(found)
    }
}
