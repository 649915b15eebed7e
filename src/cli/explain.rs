//! `remuda explain`

use super::project::{self, ProfileArgs, ProfileOption};
use super::{Failure, Outcome, print};
use crate::build;
use crate::diagnostic::{self, Code, closest};
use crate::plan::Cluster;
use camino::Utf8PathBuf;
use clap::{Args, ValueHint};

/// Explain a diagnostic, or show what a node gets: its services in order, or one service whole
///
/// What a node gets are its services, its files, and the rest of its config, each with the lines of the profile that say
/// so.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// A diagnostic's code, such as `unknown-service`, or a node's name; with --profile always a node's
    #[arg(value_name = "CODE|NODE", required_unless_present = "reference")]
    subject: Option<String>,
    /// One of the node's services
    service: Option<String>,
    /// Print the reference of all diagnostics, docs/diagnostics.md
    #[arg(long, exclusive = true)]
    reference: bool,
    #[command(flatten)]
    source: ProfileOption,
    /// The folder of the out tree, which is DIR/CLUSTER: its manifest names the packed image tarballs
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
}

impl Explain {
    pub(super) fn run(self) -> Outcome {
        let Some(subject) = &self.subject else { return print(&diagnostic::reference()) };
        let may_be_code = self.service.is_none() && !self.source.is_given();
        match Code::find(subject).filter(|_| may_be_code) {
            Some(code) => print(&diagnostic::page(code)),
            None => self.node(subject, may_be_code),
        }
    }

    fn node(&self, name: &str, may_be_code: bool) -> Outcome {
        let (project, draft) = ProfileArgs::from(self.source.clone()).draft(Some(&self.out))?;
        let cluster = project.packed_so_far(&draft)?.complete(draft);
        if cluster.images.lacks_archives() && cluster.images.delivery.names_content() {
            eprintln!("no image tarballs are packed yet; texts with their SHA-256 lack it here");
        }
        let of = match cluster.node(name) {
            None if may_be_code => return Err(unknown(name, &cluster, project.paths.profile.is_some())),
            _ => project::node(&cluster, name)?,
        };
        match &self.service {
            None => print(&build::node_page(of, &project)),
            Some(service) => {
                let page = build::service_page(of, service, &project.sources);
                print(&page.map_err(|error| Failure::Usage(error.to_string()))?)
            }
        }
    }
}

/// The failure for a name that is neither a diagnostic's nor a node's.
fn unknown(subject: &str, cluster: &Cluster, is_users: bool) -> Failure {
    let mut names: Vec<&str> = Code::all().map(Code::name).collect();
    names.extend(cluster.nodes.iter().map(|node| node.name.as_str()));
    let hint = match closest(subject, names) {
        Some(meant) => format!("; did you mean {meant}?"),
        None if is_users => String::new(),
        None => "; for a node of your cluster, add `--profile PROFILE`".to_owned(),
    };
    let whose = if is_users { cluster.name.as_str() } else { "the built-in cluster" };
    Failure::Usage(format!("no diagnostic and no node of {whose} is called {subject}{hint}"))
}
