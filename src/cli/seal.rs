//! `remuda seal`

use super::generate::Gen;
use super::project::ProfileArgs;
use super::seed::SeedArgs;
use super::{Failure, Outcome};
use camino::Utf8PathBuf;
use clap::{Args, ValueHint};

/// Put key material into every node's config, in OUT/CLUSTER/sealed
///
/// For where the out tree comes from git: it must be what the profile says, and nothing but `sealed/`
/// (and the seed's fingerprint in the manifest) is written. `gen` seals too when the seed is there.
#[derive(Debug, Args)]
pub struct Seal {
    #[command(flatten)]
    pub source: ProfileArgs,
    #[command(flatten)]
    seed: SeedArgs,
    /// Where the out tree is: OUT/CLUSTER
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
}

impl Seal {
    pub fn run(self) -> Outcome {
        if self.seed.path().symlink_metadata().is_err() {
            return Err(Failure::world(format!(
                "there is no seed at {}; none is ever made silently.\nName the cluster's seed by --seed; for a new cluster, run `remuda seed new {}`",
                self.seed.path(),
                self.seed.path()
            )));
        }
        Gen::sealing(self.source, self.seed, self.out).run()
    }
}
