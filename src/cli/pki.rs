//! `remuda pki`

use super::{Format, Outcome, Source, compile, print};
use crate::node::{Contexts, Keys};
use crate::pki::{Certificate, Usage};
use crate::plan::Cluster;
use clap::Subcommand;
use serde_json::json;
use std::fmt::Write;

#[derive(Debug, Subcommand)]
pub enum Pki {
    /// Show every certificate: for whom, until when, which generation; no seed is needed
    List(Source),
}

impl Pki {
    pub fn run(self) -> Outcome {
        let Self::List(source) = self;
        let (cluster, ..) = compile::cluster(&source)?;
        let certificates = certificates(&cluster)?;
        let until = day(cluster.pki.validity.not_after);
        let text = match source.format {
            Format::Json => {
                let all: Vec<_> = certificates.iter().map(as_json).collect();
                format!("{:#}\n", json!({ "certificates": all }))
            }
            Format::Text => table(&certificates, &until),
        };
        print(&text)
    }
}

/// Every certificate of every node, then those that the cluster has one of.
fn certificates(cluster: &Cluster) -> anyhow::Result<Vec<Certificate>> {
    let contexts = Contexts::new(cluster);
    let mut all = Vec::new();
    for (index, node) in cluster.nodes.iter().enumerate() {
        let context = contexts.node(cluster, index);
        let keys = Keys { cluster, node: &node.name, context: &context };
        let files = cluster.classes[node.class].files.iter();
        let purposes = files.filter_map(|file| match &file.content {
            crate::plan::Content::Sealed(name) => name.strip_suffix(".crt"),
            _ => None,
        });
        for purpose in purposes {
            if let Some(source) = cluster.line.pki.certificates.get(purpose) {
                all.push(keys.certificate(purpose, source)?);
            }
        }
    }
    let context = contexts.shared();
    let keys = Keys { cluster, node: "", context: &context };
    for (purpose, source) in cluster.line.pki.certificates.iter().filter(|(_, source)| source.shared) {
        all.push(keys.certificate(purpose, source)?);
    }
    Ok(all)
}

fn table(certificates: &[Certificate], until: &str) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{:<24} {:<24} {:<4} {:<18} {:<11} SUBJECT", "NODE", "PURPOSE", "GEN", "SIGNED BY", "UNTIL");
    for one in certificates {
        let node = if one.key.node.is_empty() { "(operator)" } else { &one.key.node };
        let by = format!("{} {}", one.authority.key.purpose, one.authority.key.generation);
        let organization = one.organization.as_ref().map(|text| format!("O={text}, ")).unwrap_or_default();
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
        "organization": one.organization,
        "names": one.names,
        "usage": one.usage.iter().map(usage).collect::<Vec<_>>(),
        "not_before": day(one.validity.not_before),
        "not_after": day(one.validity.not_after),
    })
}

/// `2026-01-31`, in UTC.
pub fn day(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "never".to_owned(), |time| time.strftime("%F").to_string())
}
