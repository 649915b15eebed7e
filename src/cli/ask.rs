//! How a cluster's API is asked.

use super::Failure;
use crate::build::SEALED;
use crate::status::{Answers, Kubectl, ask};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueHint};
use std::time::{Duration, Instant};

/// With which identity, and how long.
#[derive(Debug, Args)]
pub(super) struct AskArgs {
    /// The identity to ask with (default: OUT/CLUSTER/sealed/admin.kubeconfig)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub kubeconfig: Option<Utf8PathBuf>,
    /// How many seconds the API may take for all answers together
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

impl AskArgs {
    /// The answers of the cluster of the tree `root`. `seal` is the command that makes its kubeconfig.
    pub(super) fn ask(&self, root: &Utf8Path, seal: &str) -> Result<Answers, Failure> {
        let kubeconfig = self.kubeconfig(root, seal)?;
        let kubectl = Kubectl { kubeconfig, deadline: Instant::now() + Duration::from_secs(self.timeout) };
        ask(&kubectl).map_err(Failure::world)
    }

    fn kubeconfig(&self, root: &Utf8Path, seal: &str) -> Result<Utf8PathBuf, Failure> {
        let (path, help) = match &self.kubeconfig {
            Some(path) => (path.clone(), String::new()),
            None => (root.join(SEALED).join("admin.kubeconfig"), format!(": give `--kubeconfig FILE`, or run `{seal}` where the seed is")),
        };
        if path.is_file() { Ok(path) } else { Err(Failure::Usage(format!("{path} doesn't exist{help}"))) }
    }
}
