//! The command line: a file per verb, each parses nothing and decides nothing; it calls the phases
//! and prints. Data goes to stdout, everything else to stderr.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod compile;
mod completions;
mod discovery;
mod explain;
mod generate;
mod graph;
mod image;
mod iso;
mod lock;
mod man;
mod pki;
mod pxe;
mod schema;
mod seal;
mod secret;
mod seed;
mod stock;
mod validate;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  remuda gen                                  the built-in three-node cluster, into out/vagrant
  remuda gen profiles/bare-metal.yaml         your own, into out/bare-metal
  remuda gen cluster.yaml --diff              what would change, and on which nodes
  remuda gen cluster.yaml --check             in CI: exit 1 if out/ isn't what the profile says
  remuda seed new                             the secret that all keys come from; then `gen` seals too
  remuda validate cluster.yaml --format json  all mistakes, for an editor
  remuda iso --all                            a config drive per node, in OUT/CLUSTER/sealed
  remuda explain node-01 kubelet              what a node runs, and when it starts

Exit codes: 0 done; 1 the source is wrong, or --check found a difference; 2 wrong usage;
3 the world failed (network, disk, missing component).";

/// One page of YAML in; a cloud-config for every RancherOS or BurmillaOS node out, with the whole
/// Kubernetes stack in it, and the component images as a `docker load` tarball.
#[derive(Debug, Parser)]
#[command(name = "remuda", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make every node's config, and the image tarballs if the components are there
    Gen(generate::Gen),
    /// The secret that all keys come from
    #[command(subcommand)]
    Seed(seed::Seed),
    /// Put key material into every node's config, in OUT/CLUSTER/sealed
    Seal(seal::Seal),
    /// Keys and certificates
    #[command(subcommand)]
    Pki(pki::Pki),
    /// Secrets that somebody gave you, like a registry's password
    #[command(subcommand)]
    Secret(secret::Secret),
    /// Tokens of an etcd discovery service
    #[command(subcommand)]
    Discovery(discovery::DiscoveryVerb),
    /// Check a profile and say all that is wrong with it
    Validate(validate::Validate),
    /// Show what a node gets: its services in the order they start, or one service whole
    Explain(explain::Explain),
    /// Draw who starts after whom, per role, as SVG
    Graph(graph::Graph),
    /// Component images
    #[command(subcommand)]
    Image(image::Image),
    /// Pin every URL and image that the components come from, in PROFILE.lock
    Lock(lock::LockVerb),
    /// Config drives: an ISO per node, from which it boots as itself
    Iso(iso::Iso),
    /// Network boot
    #[command(subcommand)]
    Pxe(pxe::Pxe),
    /// Print the JSON schema of profiles, for editors, or their reference
    Schema(schema::Schema),
    /// Print a completion script for your shell
    Completions(completions::Completions),
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Man(man::Man),
}

/// What every verb with a profile takes.
#[derive(Debug, Args)]
struct Source {
    /// The cluster profile; without one, the built-in cluster of the 2015 post
    #[arg(value_hint = ValueHint::FilePath)]
    profile: Option<Utf8PathBuf>,
    /// A folder of release lines that comes before the built-in ones
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    templates: Option<Utf8PathBuf>,
    /// How messages are written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The same for verbs whose arguments are names, with the profile as an option.
#[derive(Debug, Args)]
struct ProfileOption {
    /// The cluster profile; without one, the built-in cluster of the 2015 post
    #[arg(short, long = "profile", value_name = "PROFILE", value_hint = ValueHint::FilePath)]
    path: Option<Utf8PathBuf>,
    /// A folder of release lines that comes before the built-in ones
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    templates: Option<Utf8PathBuf>,
}

impl From<ProfileOption> for Source {
    fn from(option: ProfileOption) -> Self {
        Self { profile: option.path, templates: option.templates, format: Format::Text }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// For a person, to stderr
    #[default]
    Text,
    /// One JSON object, to stdout
    Json,
}

/// Why a verb ends early.
enum Failure {
    /// The source is wrong, or a check found a difference; all was said.
    Source,
    /// The world failed.
    World(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::World(error.into())
    }
}

type Outcome = Result<(), Failure>;

/// Runs the program.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Gen(verb) => verb.run(),
        Verb::Validate(verb) => verb.run(),
        Verb::Explain(verb) => verb.run(),
        Verb::Discovery(verb) => verb.run(),
        Verb::Graph(verb) => verb.run(),
        Verb::Seed(verb) => verb.run(),
        Verb::Seal(verb) => verb.run(),
        Verb::Secret(verb) => verb.run(),
        Verb::Pki(verb) => verb.run(),
        Verb::Image(verb) => verb.run(),
        Verb::Lock(verb) => verb.run(),
        Verb::Iso(verb) => verb.run(),
        Verb::Pxe(verb) => verb.run(),
        Verb::Schema(verb) => verb.run(),
        Verb::Completions(verb) => verb.run(),
        Verb::Man(verb) => verb.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Source) => ExitCode::from(1),
        Err(Failure::World(error)) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure::World(error)) => {
            eprintln!("error: {error:#}");
            ExitCode::from(3)
        }
    }
}

/// `remuda … | head`: nobody reads on, which is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Writes data to stdout.
fn print(text: &str) -> Outcome {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
