//! `remuda explain`

use super::project::{self, ProfileArgs, ProfileOption};
use super::{Failure, Outcome, print};
use crate::build;
use camino::Utf8PathBuf;
use clap::{Args, ValueHint};

/// Show what a node gets: its services in the order they start, or one service whole
#[derive(Debug, Args)]
pub struct Explain {
    /// The node's name
    node: String,
    /// One of its services
    service: Option<String>,
    #[command(flatten)]
    source: ProfileOption,
    /// Where the out tree is, OUT/CLUSTER: its manifest says which image tarballs are packed
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
}

impl Explain {
    pub fn run(self) -> Outcome {
        let (project, draft) = ProfileArgs::from(self.source).draft(Some(&self.out))?;
        let archives = project.packed_so_far(&draft);
        if archives.is_empty() && draft.images().delivery.names_content() {
            eprintln!("no image tarballs are packed yet: where a config names them by their SHA-256, they are missing here");
        }
        let cluster = draft.with(archives);
        let of = project::node(&cluster, &self.node)?;
        match &self.service {
            None => print(&build::node_page(of)),
            Some(service) => {
                let page = build::service_page(of, service, &project.sources);
                print(&page.map_err(|error| Failure::Usage(error.to_string()))?)
            }
        }
    }
}
