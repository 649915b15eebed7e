//! The command line: a file per verb, which parses its arguments, calls [`build`](crate::build) and
//! prints. Data goes to stdout, everything else to stderr. A verb's failure is a value, which
//! `failure` prints.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod accept;
mod ask;
mod bar;
mod completions;
mod discovery;
mod explain;
mod failure;
mod generate;
mod graph;
mod image;
mod import;
mod init;
mod iso;
mod lock;
mod man;
mod pki;
mod plan;
mod project;
mod pxe;
mod report;
mod schema;
mod seal;
mod secret;
mod seed;
mod status;
mod r#try;
mod validate;

use clap::{Parser, Subcommand, ValueEnum};
use failure::Failure;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  remuda init site                            your first profile, its seed and its CI, by questions
  remuda gen                                  the built-in three-node cluster, into out/vagrant
  remuda gen profiles/bare-metal.yaml         your own cluster, into out/bare-metal
  remuda gen cluster.yaml --diff              what would change, and on which nodes
  remuda gen cluster.yaml --check             in CI: exit with 1 if out/ differs
  remuda plan cluster.yaml                    what a change means for the nodes, step by step
  remuda report cluster.yaml >report.html     the cluster as one page for a browser
  remuda status cluster.yaml                  what nodes run, and what isn't as the tree says
  remuda seed new                             make the secret of all keys; then `gen` also seals
  remuda validate cluster.yaml --format json  every mistake, for an editor
  remuda try cluster.yaml                     the cluster on this machine, until Enter or Ctrl-C
  remuda iso --all                            a config drive per node, in OUT/CLUSTER/sealed
  remuda import node-*.yml -o cluster.yaml    a profile of cloud-configs that you have
  remuda explain node-01 kubelet              what a node runs, and when it starts
  remuda explain unknown-service              what a diagnostic means, and how it is fixed

Exit codes: 0 done; 1 the source is wrong, or --check or status found a difference; 2 wrong usage;
3 the world failed (network, disk, missing component).";

/// Compile one page of YAML to a cloud-config for every RancherOS or BurmillaOS node, with the
/// whole Kubernetes stack in it, and to tarballs of the component images for `docker load`
#[derive(Debug, Parser)]
#[command(name = "remuda", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Init),
    Gen(generate::Gen),
    Plan(plan::PlanVerb),
    Status(status::StatusVerb),
    /// The secret from which all keys are derived
    #[command(subcommand)]
    Seed(seed::Seed),
    Seal(seal::Seal),
    /// Keys and certificates
    #[command(subcommand)]
    Pki(pki::Pki),
    /// Secrets from elsewhere, like a registry's password
    #[command(subcommand)]
    Secret(secret::Secret),
    /// Tokens of an etcd discovery service
    #[command(subcommand)]
    Discovery(discovery::DiscoveryVerb),
    Validate(validate::Validate),
    Import(import::Import),
    Explain(explain::Explain),
    Graph(graph::Graph),
    Report(report::ReportVerb),
    /// Component images
    #[command(subcommand)]
    Image(image::ImageVerb),
    Lock(lock::LockVerb),
    Try(r#try::Try),
    Iso(iso::Iso),
    /// Network boot
    #[command(subcommand)]
    Pxe(pxe::Pxe),
    Schema(schema::Schema),
    Completions(completions::Completions),
    #[command(hide = true)]
    Man(man::Man),
}

/// The format of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// For a person, to stderr
    #[default]
    Text,
    /// One JSON object, to stdout
    Json,
}

type Outcome = Result<(), Failure>;

/// Runs the program.
pub fn run() -> ExitCode {
    let verb = Cli::parse().verb;
    let format = verb.format();
    match verb.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(format),
    }
}

impl Verb {
    fn run(self) -> Outcome {
        match self {
            Self::Init(verb) => verb.run(),
            Self::Gen(verb) => verb.run(),
            Self::Plan(verb) => verb.run(),
            Self::Status(verb) => verb.run(),
            Self::Validate(verb) => verb.run(),
            Self::Import(verb) => verb.run(),
            Self::Explain(verb) => verb.run(),
            Self::Discovery(verb) => verb.run(),
            Self::Graph(verb) => verb.run(),
            Self::Report(verb) => verb.run(),
            Self::Seed(verb) => verb.run(),
            Self::Seal(verb) => verb.run(),
            Self::Secret(verb) => verb.run(),
            Self::Pki(verb) => verb.run(),
            Self::Image(verb) => verb.run(),
            Self::Lock(verb) => verb.run(),
            Self::Try(verb) => verb.run(),
            Self::Iso(verb) => verb.run(),
            Self::Pxe(verb) => verb.run(),
            Self::Schema(verb) => verb.run(),
            Self::Completions(verb) => verb.run(),
            Self::Man(verb) => verb.run(),
        }
    }

    /// The format of its failures.
    fn format(&self) -> Format {
        match self {
            Self::Gen(verb) => verb.source.format,
            Self::Plan(verb) => verb.source.format,
            Self::Status(verb) => verb.source.format,
            Self::Validate(verb) => verb.source.format,
            Self::Discovery(verb) => verb.source().format,
            Self::Graph(verb) => verb.source.format,
            Self::Report(verb) => verb.source.format,
            Self::Seal(verb) => verb.source.format,
            Self::Secret(verb) => verb.source().format,
            Self::Pki(verb) => verb.source().format,
            Self::Image(verb) => verb.format(),
            Self::Lock(verb) => verb.source.format,
            Self::Try(verb) => verb.source.format,
            Self::Import(_)
            | Self::Init(_)
            | Self::Seed(_)
            | Self::Explain(_)
            | Self::Iso(_)
            | Self::Pxe(_)
            | Self::Schema(_)
            | Self::Completions(_)
            | Self::Man(_) => Format::Text,
        }
    }
}

/// Writes data to stdout.
fn print(text: &str) -> Outcome {
    use anyhow::Context;
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    Ok(out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("writing to stdout")?)
}
