//! Runs `kubectl`: it knows every kind of kubeconfig and certificate. No answer takes longer than the time that is
//! left, and none is larger than a limit. Its arguments have no secret in them.

use camino::Utf8PathBuf;
use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The maximal size of an answer, in bytes: the objects of 10,000 nodes have about a fifth of it.
const LARGEST: u64 = 1 << 30;
/// How often to look whether it has ended, once it has said everything.
const PAUSE: Duration = Duration::from_millis(10);

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

/// What a run of `kubectl` gave.
pub(super) struct Output {
    pub is_success: bool,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Output {
    /// What it says of its failure: its last line, because those before tell what it tried.
    pub(super) fn refused(&self) -> NoAnswer {
        let last = self.stderr.lines().map(str::trim).rfind(|line| !line.is_empty());
        NoAnswer::Refused(plain(last.unwrap_or("nothing")))
    }
}

impl Kubectl {
    /// Asks for a path of the API.
    pub(super) fn get(&self, path: &str) -> Result<Output, NoAnswer> {
        let left = self.left()?;
        let mut command = Command::new("kubectl");
        command.arg(format!("--kubeconfig={}", self.kubeconfig)).arg(format!("--request-timeout={}s", left.as_secs().max(1)));
        command.arg("get").arg(format!("--raw={path}")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => NoAnswer::NoKubectl,
            _ => NoAnswer::NotRun(error),
        })?;
        let (stdout, stderr) = (child.stdout.take().map(read), child.stderr.take().map(read));
        let output = self.collect(&mut child, stdout, stderr);
        if output.is_err() {
            // Its pipes aren't waited for: what it started may hold them.
            let _ = child.kill();
            let _ = child.wait();
        }
        output
    }

    fn collect(&self, child: &mut Child, stdout: Option<Reading>, stderr: Option<Reading>) -> Result<Output, NoAnswer> {
        let stdout = self.wait(stdout)?;
        let stderr = self.wait(stderr)?;
        let status = self.end(child)?;
        Ok(Output { is_success: status.success(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
    }

    fn left(&self) -> Result<Duration, NoAnswer> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(NoAnswer::Silent) } else { Ok(left) }
    }

    fn wait(&self, reading: Option<Reading>) -> Result<Vec<u8>, NoAnswer> {
        let Some(reading) = reading else { return Ok(Vec::new()) };
        match reading.recv_timeout(self.left()?) {
            Ok(read) => read.map_err(NoAnswer::NotRun),
            Err(RecvTimeoutError::Timeout) => Err(NoAnswer::Silent),
            Err(RecvTimeoutError::Disconnected) => Ok(Vec::new()),
        }
    }

    fn end(&self, child: &mut Child) -> Result<ExitStatus, NoAnswer> {
        loop {
            if let Some(status) = child.try_wait().map_err(NoAnswer::NotRun)? {
                return Ok(status);
            }
            thread::sleep(PAUSE.min(self.left()?));
        }
    }
}

type Reading = Receiver<io::Result<Vec<u8>>>;

/// Everything from a pipe, once it is closed.
fn read(pipe: impl Read + Send + 'static) -> Reading {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.take(LARGEST).read_to_end(&mut bytes).map(|_| bytes);
        let _ = sender.send(read);
    });
    receiver
}

/// A text without what a terminal would act on.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
