//! Runs `kubectl`: it knows every kind of kubeconfig and certificate. No answer takes longer than the time that is
//! left, and none is larger than a limit. Its arguments have no secret in them.

use crate::program::{self, Output, ProgramError, plain};
use camino::Utf8PathBuf;
use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

/// The maximal size of an answer, in bytes: the objects of 10,000 nodes have about a fifth of it.
const LARGEST: u64 = 1 << 30;

/// The way to a cluster's API.
#[derive(Debug, Clone)]
pub struct Kubectl {
    /// The kubeconfig.
    pub kubeconfig: Utf8PathBuf,
    /// When every question must be answered.
    pub deadline: Instant,
}

/// Why the API gives no answer.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum NoAnswer {
    #[error("`kubectl` isn't on the PATH: install it (https://kubernetes.io/docs/tasks/tools/), remuda asks the cluster through it")]
    NoKubectl,
    #[error("running kubectl: {0}")]
    NotRun(io::Error),
    #[error(
        "the API gives no answer in time: see that its control-plane nodes are on and that this machine reaches them, or raise `--timeout`"
    )]
    Silent,
    #[error("the API can't be asked: kubectl says: {0}")]
    Refused(String),
    #[error("the API server isn't ready, and gives no answer: {failed} (`/readyz` says so); {error}")]
    NotReady { failed: String, error: Box<NoAnswer> },
    #[error("what the API answers at {path} can't be read: {problem}")]
    Odd { path: &'static str, problem: String },
}

impl From<ProgramError> for NoAnswer {
    fn from(error: ProgramError) -> Self {
        match error {
            ProgramError::Absent => Self::NoKubectl,
            ProgramError::Silent => Self::Silent,
            ProgramError::NotRun(error) => Self::NotRun(error),
            ProgramError::TooLarge(_) => Self::NotRun(io::Error::other(error)),
        }
    }
}

/// What a failed run says: its last line, because those before tell what it tried.
pub(super) fn refused(output: &Output) -> NoAnswer {
    let last = output.stderr.lines().map(str::trim).rfind(|line| !line.is_empty());
    NoAnswer::Refused(plain(last.unwrap_or("nothing")))
}

impl Kubectl {
    /// Asks for a path of the API.
    pub(super) fn get(&self, path: &str) -> Result<Output, NoAnswer> {
        let left = self.left()?;
        let mut command = Command::new("kubectl");
        command.arg(format!("--kubeconfig={}", self.kubeconfig)).arg(format!("--request-timeout={}s", left.as_secs().max(1)));
        command.arg("get").arg(format!("--raw={path}"));
        Ok(program::run(&mut command, LARGEST, self.deadline)?)
    }

    fn left(&self) -> Result<Duration, NoAnswer> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(NoAnswer::Silent) } else { Ok(left) }
    }
}
