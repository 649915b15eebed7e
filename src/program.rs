//! Other programs, run without a shell and within bounds: no run takes longer than its time, and no answer is larger
//! than a limit.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How often to look whether a program has ended, once it has said everything.
const PAUSE: Duration = Duration::from_millis(10);

/// What a run gave.
#[derive(Debug)]
pub struct Output {
    /// Whether the program says that all went well.
    pub is_success: bool,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it said beside.
    pub stderr: String,
}

/// Why a run gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// No such program is on the PATH.
    #[error("it isn't on the PATH")]
    Absent,
    /// It can't be run, or heard.
    #[error("it can't be run: {0}")]
    NotRun(#[from] io::Error),
    /// Its time is over.
    #[error("it hasn't ended in time")]
    Silent,
    /// It prints more than this number of bytes.
    #[error("it prints more than {0} bytes")]
    TooLarge(u64),
}

/// The path of the program of this name: the first that may be run in a folder of the PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let may_run = |path: &PathBuf| path.metadata().is_ok_and(|there| there.is_file() && there.permissions().mode() & 0o111 != 0);
    let folders = std::env::var_os("PATH")?;
    // Where it is run, a relative folder would be another one.
    std::env::split_paths(&folders).filter_map(|folder| std::path::absolute(folder.join(name)).ok()).find(may_run)
}

/// Runs a program to its end, with nothing to read.
pub fn run(command: &mut Command, largest: u64, deadline: Instant) -> Result<Output, ProgramError> {
    ask(command, "", largest, deadline)
}

/// The same with a question, of at most 4 kB: a pipe takes it whether the program reads it or not.
pub fn ask(command: &mut Command, question: &str, largest: u64, deadline: Instant) -> Result<Output, ProgramError> {
    command.stdin(if question.is_empty() { Stdio::null() } else { Stdio::piped() }).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ProgramError::Absent,
        _ => ProgramError::NotRun(error),
    })?;
    // A program that doesn't want it closes the pipe.
    child.stdin.take().map(|mut pipe| pipe.write_all(question.as_bytes()));
    let run = Run { largest, deadline };
    let (stdout, stderr) = (child.stdout.take().map(|pipe| run.read(pipe)), child.stderr.take().map(|pipe| run.read(pipe)));
    let output = run.collect(&mut child, stdout, stderr);
    if output.is_err() {
        // Its pipes aren't waited for: what it started may hold them.
        let _ = child.kill();
        let _ = child.wait();
    }
    output
}

struct Run {
    largest: u64,
    deadline: Instant,
}

type Reading = Receiver<io::Result<Vec<u8>>>;

impl Run {
    /// Everything from a pipe, once it is closed or has said too much.
    fn read(&self, pipe: impl Read + Send + 'static) -> Reading {
        let (sender, receiver) = channel();
        let most = self.largest + 1;
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = pipe.take(most).read_to_end(&mut bytes).map(|_| bytes);
            let _ = sender.send(read);
        });
        receiver
    }

    fn collect(&self, child: &mut Child, stdout: Option<Reading>, stderr: Option<Reading>) -> Result<Output, ProgramError> {
        let stdout = self.wait(stdout)?;
        let stderr = self.wait(stderr)?;
        let status = self.end(child)?;
        Ok(Output { is_success: status.success(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
    }

    fn left(&self) -> Result<Duration, ProgramError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ProgramError::Silent) } else { Ok(left) }
    }

    fn wait(&self, reading: Option<Reading>) -> Result<Vec<u8>, ProgramError> {
        let Some(reading) = reading else { return Ok(Vec::new()) };
        match reading.recv_timeout(self.left()?) {
            Ok(Ok(bytes)) if bytes.len() as u64 > self.largest => Err(ProgramError::TooLarge(self.largest)),
            Ok(read) => Ok(read?),
            Err(RecvTimeoutError::Timeout) => Err(ProgramError::Silent),
            Err(RecvTimeoutError::Disconnected) => Ok(Vec::new()),
        }
    }

    fn end(&self, child: &mut Child) -> Result<ExitStatus, ProgramError> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(PAUSE.min(self.left()?));
        }
    }
}

/// A text without what a terminal would act on.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::{ProgramError, run};
    use std::process::Command;
    use std::time::{Duration, Instant};

    fn shell(script: &str, largest: u64, time: Duration) -> Result<super::Output, ProgramError> {
        run(Command::new("sh").arg("-c").arg(script), largest, Instant::now() + time)
    }

    #[test]
    fn a_run_is_bounded() {
        let long = Duration::from_secs(600);
        let output = shell("echo said; echo beside >&2; exit 3", 100, long).unwrap();
        assert_eq!((output.is_success, &output.stdout[..], output.stderr.as_str()), (false, &b"said\n"[..], "beside\n"));
        let flood = "while :; do echo again; done";
        assert!(matches!(shell(flood, 100, long), Err(ProgramError::TooLarge(100))));
        assert!(matches!(shell(&format!("exec >&2; {flood}"), 100, long), Err(ProgramError::TooLarge(100))));
        assert!(matches!(shell("while :; do :; done", 100, Duration::from_millis(300)), Err(ProgramError::Silent)));
        let absent = run(&mut Command::new("/nowhere/program"), 100, Instant::now() + long);
        assert!(matches!(absent, Err(ProgramError::Absent)));
    }
}
