//! `remuda seal`

use super::generate::Gen;
use super::project::ProfileArgs;
use super::seed::SeedArgs;
use super::{Failure, Outcome};
use camino::Utf8PathBuf;
use clap::{Args, ValueHint};

/// Write every node's config with key material to OUT/CLUSTER/sealed
///
/// For an out tree from git, which must be what the profile says. Writes only `sealed/`, and the
/// seed's fingerprint in the manifest. If the seed exists, `gen` seals too.
#[derive(Debug, Args)]
pub(super) struct Seal {
    #[command(flatten)]
    pub source: ProfileArgs,
    #[command(flatten)]
    seed: SeedArgs,
    /// The folder of the out tree, which is DIR/CLUSTER
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
}

impl Seal {
    pub(super) fn run(self) -> Outcome {
        if self.seed.path().symlink_metadata().is_err() {
            return Err(Failure::world(format!(
                "no seed at {}; remuda never makes one silently.\nName the cluster's seed with `--seed`; for a new cluster, run `remuda seed new {}`",
                self.seed.path(),
                self.seed.path()
            )));
        }
        Gen::sealing(self.source, self.seed, self.out).run()
    }
}
