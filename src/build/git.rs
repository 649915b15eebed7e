//! What git says: where a folder is in a repository, and whether git would take a file.

use super::BuildError;
use crate::disk::{self, Doing, folder_of};
use crate::program::{self, ProgramError};
use camino::{Utf8Path, Utf8PathBuf};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// The names of what git must not take from a folder.
pub const IGNORE: &str = ".gitignore";
/// The maximal size of such a file, in bytes.
const LARGEST: u64 = 1 << 20;
/// The most that git may say, in bytes, and the time that it may take.
const MOST: u64 = 16 << 20;
const TIME: Duration = Duration::from_secs(60);
/// How git says that there is no repository.
const NO_REPOSITORY: &str = "not a git repository";

/// git in a folder, which asks nobody anything.
pub(super) fn git(folder: &Utf8Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0");
    command.env("GIT_NO_LAZY_FETCH", "1");
    command
}

/// What git says, without the end of the line; `Err` with its message if it fails.
pub(super) fn said(mut command: Command) -> Result<Result<String, String>, BuildError> {
    let output = match program::run(&mut command, MOST, Instant::now() + TIME) {
        Ok(output) => output,
        Err(ProgramError::Absent) => return Ok(Err(format!("{NO_REPOSITORY}, and there is no git"))),
        Err(error) => return Err(BuildError::Git(format!("git: {error}"))),
    };
    let text = if output.is_success { String::from_utf8_lossy(&output.stdout) } else { output.stderr.as_str().into() };
    let text = text.trim_end().to_owned();
    Ok(if output.is_success { Ok(text) } else { Err(text) })
}

/// The nearest folder of `root` that is there, and the path of `root` in git's repository; `None` if that is in none.
pub(super) fn within(root: &Utf8Path) -> Result<Option<(Utf8PathBuf, String)>, BuildError> {
    let mut there = root;
    while !there.is_dir() {
        match there.parent() {
            Some(_) => there = folder_of(there),
            None => return Ok(None),
        }
    }
    let rest = root.strip_prefix(there).map_or_else(|_| root.as_str(), Utf8Path::as_str);
    let mut command = git(there);
    command.args(["rev-parse", "--show-prefix"]);
    let within = match said(command)? {
        Ok(within) => within,
        Err(problem) if problem.contains(NO_REPOSITORY) => return Ok(None),
        Err(problem) => return Err(BuildError::Git(format!("git at {there}: {problem}"))),
    };
    let path = Utf8Path::new(&within).join(rest);
    Ok(Some((there.to_owned(), path.as_str().trim_end_matches('/').to_owned())))
}

/// Makes sure that git doesn't take a file that will be at `path`. If its folder is in a repository and git doesn't ignore
/// the name yet, the folder's `.gitignore` gets it, and its path is returned. It is an error if git would take the file in
/// any case.
pub fn keep_out(path: &Utf8Path) -> Result<Option<Utf8PathBuf>, BuildError> {
    let (folder, Some(name)) = (folder_of(path), path.file_name()) else { return Ok(None) };
    let refused = |why: String| BuildError::InGit { path: path.to_owned(), why };
    if within(folder)?.is_none() {
        let real = folder.canonicalize_utf8().doing("looking at", folder)?;
        return match real.ancestors().any(|above| above.join(".git").exists()) && program::find("git").is_none() {
            true => Err(refused("it is in a repository, and there is no git that could say whether it ignores it".to_owned())),
            false => Ok(None),
        };
    }
    let is_so = |words: &[&str]| -> Result<bool, BuildError> {
        let mut command = git(folder);
        command.args(words).arg("--").arg(format!("./{name}"));
        Ok(said(command)?.is_ok())
    };
    if is_so(&["--literal-pathspecs", "ls-files", "--error-unmatch"])? {
        return Err(refused("git tracks a file of this name".to_owned()));
    }
    let is_ignored = || is_so(&["check-ignore", "--quiet"]);
    if is_ignored()? {
        return Ok(None);
    }
    let ignore = folder.join(IGNORE);
    add(&ignore, &[pattern(name)])?;
    if is_ignored()? { Ok(Some(ignore)) } else { Err(refused(format!("git takes it although it is in {ignore}"))) }
}

/// Adds lines to a `.gitignore`, but for those that it has. Gives what was in it; `None` if it wasn't there.
pub fn add(path: &Utf8Path, lines: &[String]) -> Result<Option<Vec<u8>>, BuildError> {
    let (before, mode) = match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (None, 0o644),
        Err(error) => return Err(disk::DiskError::of("looking at", path)(error).into()),
        Ok(there) if there.is_file() && there.len() <= LARGEST => {
            (Some(std::fs::read(path).doing("reading", path)?), there.permissions().mode() & 0o777)
        }
        Ok(_) => return Err(BuildError::Git(format!("{path} isn't a small file; git follows no link there"))),
    };
    let mut text = before.clone().unwrap_or_default();
    for line in lines {
        if text.split(|byte| *byte == b'\n').any(|there| there == line.as_bytes()) {
            continue;
        }
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    disk::write(path, &text, mode)?;
    Ok(before)
}

/// The line for a file that is beside the `.gitignore`.
fn pattern(name: &str) -> String {
    let mut line = "/".to_owned();
    for c in name.chars() {
        if "*?[]\\ ".contains(c) {
            line.push('\\');
        }
        line.push(c);
    }
    line
}
