//! `remuda pki`

use super::project::ProfileArgs;
use super::{Format, Outcome, print};
use crate::build::{certificates, day};
use crate::pki::{Certificate, Usage};
use clap::Subcommand;
use serde_json::json;
use std::fmt::Write;

#[derive(Debug, Subcommand)]
pub(super) enum Pki {
    /// Show every certificate: its owner, end and generation; needs no seed
    List(ProfileArgs),
}

impl Pki {
    pub(super) fn source(&self) -> &ProfileArgs {
        match self {
            Self::List(source) => source,
        }
    }

    pub(super) fn run(self) -> Outcome {
        let Self::List(source) = self;
        let (_, draft) = source.draft(None)?;
        let certificates = certificates(draft.unpacked())?;
        let text = match source.format {
            Format::Json => {
                let all: Vec<_> = certificates.iter().map(as_json).collect();
                format!("{:#}\n", json!({ "certificates": all }))
            }
            Format::Text => table(&certificates),
        };
        print(&text)
    }
}

fn table(certificates: &[Certificate]) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{:<24} {:<24} {:<4} {:<18} {:<11} SUBJECT", "NODE", "PURPOSE", "GEN", "SIGNED BY", "UNTIL");
    for one in certificates {
        let node = if one.key.node.is_empty() { "(operator)" } else { &one.key.node };
        let by = format!("{} {}", one.authority.key.purpose, one.authority.key.generation);
        let organization: String = one.organizations.iter().map(|text| format!("O={text}, ")).collect();
        let until = day(one.validity.not_after);
        let names = if one.names.is_empty() { String::new() } else { format!("; {}", one.names.join(" ")) };
        let _ = writeln!(
            text,
            "{node:<24} {:<24} {:<4} {by:<18} {until:<11} {organization}CN={}{names}",
            one.key.purpose, one.key.generation, one.name
        );
    }
    text
}

fn as_json(one: &Certificate) -> serde_json::Value {
    let usage = |usage: &Usage| match usage {
        Usage::Server => "server",
        Usage::Client => "client",
    };
    json!({
        "node": (!one.key.node.is_empty()).then_some(&one.key.node),
        "purpose": one.key.purpose,
        "generation": one.key.generation,
        "authority": one.authority.key.purpose,
        "authority_generation": one.authority.key.generation,
        "common_name": one.name,
        "organizations": one.organizations,
        "names": one.names,
        "usage": one.usage.iter().map(usage).collect::<Vec<_>>(),
        "not_before": day(one.validity.not_before),
        "not_after": day(one.validity.not_after),
    })
}
