//! The tree of a cluster as it was committed: in a folder, or at a commit of git. Only the manifest and the configs
//! are read, each bounded. It may have been edited or merged.

use super::BuildError;
use crate::change::Manifest;
use crate::disk::{Doing, folder_of};
use crate::tree::{LARGEST_MANIFEST, MANIFEST};
use camino::{Utf8Path, Utf8PathBuf};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The maximal size of a config, in bytes.
const LARGEST_CONFIG: u64 = 16 << 20;

/// A tree to compare with.
#[derive(Debug)]
pub struct Committed {
    /// What it is, in words: `out/CLUSTER at HEAD`.
    pub name: String,
    /// What its manifest says.
    pub manifest: Manifest,
    files: Files,
}

#[derive(Debug)]
enum Files {
    Folder(Utf8PathBuf),
    Git(Objects),
}

impl Committed {
    /// The tree of a cluster. Without `from` it is `root` at git's HEAD, or on the disk if git doesn't have it; `None` if
    /// nobody has. `from` names a folder, which is a tree or has that of `cluster`, or a commit.
    pub fn find(root: &Utf8Path, cluster: &str, from: Option<&str>) -> Result<Option<Self>, BuildError> {
        let Some(from) = from else {
            if let Some(objects) = Objects::of(root, "HEAD")? {
                let name = format!("{root} at HEAD");
                if let Some(found) = Self::read(name, Files::Git(objects))? {
                    return Ok(Some(found));
                }
            }
            return Self::read(format!("{root} on disk"), Files::Folder(root.to_owned()));
        };
        let folder = Utf8Path::new(from);
        if folder.is_dir() {
            let tree = if folder.join(MANIFEST).exists() { folder.to_owned() } else { folder.join(cluster) };
            let found = Self::read(tree.to_string(), Files::Folder(tree.clone()))?;
            return found.map(Some).ok_or_else(|| BuildError::Committed(format!("{tree} has no {MANIFEST}: it isn't an out tree")));
        }
        let objects = Objects::of(root, from)?;
        let objects =
            objects.ok_or_else(|| BuildError::Committed(format!("{from} is neither a folder nor a commit that git knows at {root}")))?;
        let found = Self::read(format!("{root} at {from}"), Files::Git(objects))?;
        found.map(Some).ok_or_else(|| BuildError::Committed(format!("{root} isn't in git at {from}")))
    }

    fn read(name: String, mut files: Files) -> Result<Option<Self>, BuildError> {
        let Some(bytes) = files.read(MANIFEST, LARGEST_MANIFEST)? else { return Ok(None) };
        let manifest = Manifest::read(&format!("{name}/{MANIFEST}"), &String::from_utf8_lossy(&bytes))?;
        Ok(Some(Self { name, manifest, files }))
    }

    /// A node's config; `None` if the tree doesn't have it.
    pub fn config(&mut self, path: &str) -> Result<Option<Vec<u8>>, BuildError> {
        self.files.read(path, LARGEST_CONFIG)
    }
}

impl Files {
    fn read(&mut self, path: &str, most: u64) -> Result<Option<Vec<u8>>, BuildError> {
        let too_large = |name: &str, size: u64| BuildError::Committed(format!("{name} has {size} bytes; remuda reads up to {most}"));
        match self {
            Self::Git(objects) => objects.read(path, most),
            Self::Folder(root) => {
                let path = root.join(path);
                let file = match fs_err::File::open(&path) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    file => file.doing("reading", &path)?,
                };
                let there = file.metadata().doing("reading", &path)?;
                if !there.is_file() {
                    return Err(BuildError::Committed(format!("{path} isn't a file")));
                }
                if there.len() > most {
                    return Err(too_large(path.as_str(), there.len()));
                }
                let mut bytes = Vec::new();
                file.take(most).read_to_end(&mut bytes).doing("reading", &path)?;
                Ok(Some(bytes))
            }
        }
    }
}

/// The files of a folder at a commit, as git gives them.
#[derive(Debug)]
struct Objects {
    child: Child,
    ask: Option<ChildStdin>,
    answer: BufReader<ChildStdout>,
    /// `COMMIT:PATH/`
    prefix: String,
}

fn git(folder: &Utf8Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0");
    command.env("GIT_NO_LAZY_FETCH", "1").stdin(Stdio::null());
    command
}

/// What git says, without the end of the line; `Err` with its message if it fails.
fn said(mut command: Command) -> Result<Result<String, String>, BuildError> {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Err("not a git repository, and there is no git".to_owned()));
        }
        Err(error) => return Err(BuildError::Committed(format!("running git: {error}"))),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    Ok(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) })
}

impl Objects {
    /// The folder `root`, which needn't be there now, at a commit; `None` if git doesn't know that.
    fn of(root: &Utf8Path, commit: &str) -> Result<Option<Self>, BuildError> {
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
            Err(problem) if problem.contains("not a git repository") => return Ok(None),
            Err(problem) => return Err(BuildError::Committed(format!("git at {there}: {problem}"))),
        };
        let mut command = git(there);
        command.args(["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{commit}^{{commit}}")]);
        let Ok(id) = said(command)? else { return Ok(None) };
        let path = Utf8Path::new(&within).join(rest);
        let path = path.as_str().trim_end_matches('/');
        let mut command = git(there);
        let started = command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = started.map_err(|error| BuildError::Committed(format!("running git: {error}")))?;
        let (ask, answer) = (child.stdin.take(), child.stdout.take());
        let answer = answer.map(BufReader::new).ok_or_else(|| BuildError::Committed("git gives no output".to_owned()))?;
        let prefix = if path.is_empty() { format!("{id}:") } else { format!("{id}:{path}/") };
        Ok(Some(Self { child, ask, answer, prefix }))
    }

    fn read(&mut self, path: &str, most: u64) -> Result<Option<Vec<u8>>, BuildError> {
        let name = format!("{}{path}", self.prefix);
        let failed = |error: std::io::Error| BuildError::Committed(format!("reading {name} from git: {error}"));
        if name.contains('\n') {
            return Ok(None);
        }
        let ask = self.ask.as_mut().ok_or_else(|| BuildError::Committed(format!("reading {name} from git: it has ended")))?;
        ask.write_all(format!("{name}\n").as_bytes()).and_then(|()| ask.flush()).map_err(failed)?;
        let mut header = String::new();
        (&mut self.answer).take(8192).read_line(&mut header).map_err(failed)?;
        let words: Vec<&str> = header.split_whitespace().collect();
        let size = match words[..] {
            [.., "missing"] => return Ok(None),
            [_, "blob", size] => size.parse::<u64>().unwrap_or(u64::MAX),
            _ => return Err(BuildError::Committed(format!("{name} in git isn't a file"))),
        };
        if size > most {
            return Err(BuildError::Committed(format!("{name} has {size} bytes; remuda reads up to {most}")));
        }
        let mut bytes = Vec::new();
        (&mut self.answer).take(size + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.pop() != Some(b'\n') {
            return Err(BuildError::Committed(format!("reading {name} from git: it was cut")));
        }
        Ok(Some(bytes))
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        drop(self.ask.take());
        // It ends by itself when nobody asks; if it were stuck in an answer, nobody would read that.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
