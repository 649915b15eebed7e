//! The tree of a cluster as it was committed: in a folder, or at a commit of git. Only the manifest and the configs
//! are read, each bounded. It may have been edited or merged.

use super::BuildError;
use super::git::{git, said, within};
use crate::change::Manifest;
use crate::disk::Doing;
use crate::tree::{LARGEST_MANIFEST, MANIFEST};
use camino::{Utf8Path, Utf8PathBuf};
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::rc::Rc;

/// The folder with the nodes' configs.
const NODES: &str = "nodes";
/// The maximal size of a config, in bytes.
const LARGEST_CONFIG: u64 = 64 << 20;

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
    Git(At),
}

impl Committed {
    /// The tree of a cluster. Without `from` it is `root` at git's HEAD, or on the disk if git doesn't have it; `None` if
    /// nobody has. `from` names a folder, which is a tree or has that of `cluster`, or a commit.
    pub fn find(root: &Utf8Path, cluster: &str, from: Option<&str>) -> Result<Option<Self>, BuildError> {
        let Some(from) = from else {
            if let Some(objects) = At::of(root, "HEAD")? {
                let name = format!("{root} at HEAD");
                if let Some(found) = Self::read(name, Files::Git(objects))? {
                    return Ok(Some(found));
                }
            }
            return Self::on_disk(root);
        };
        let folder = Utf8Path::new(from);
        if folder.is_dir() {
            let tree = if folder.join(MANIFEST).exists() { folder.to_owned() } else { folder.join(cluster) };
            let found = Self::read(tree.to_string(), Files::Folder(tree.clone()))?;
            return found.map(Some).ok_or_else(|| BuildError::Git(format!("{tree} has no {MANIFEST}: it isn't an out tree")));
        }
        let objects = At::of(root, from)?;
        let objects =
            objects.ok_or_else(|| BuildError::Git(format!("{from} is neither a folder nor a commit that git knows at {root}")))?;
        let found = Self::read(format!("{root} at {from}"), Files::Git(objects))?;
        found.map(Some).ok_or_else(|| BuildError::Git(format!("{root} isn't in git at {from}")))
    }

    fn read(name: String, mut files: Files) -> Result<Option<Self>, BuildError> {
        let Some(bytes) = files.read(MANIFEST, LARGEST_MANIFEST)? else {
            // A folder isn't a file; that it is there is enough.
            return if files.read(NODES, 0).is_ok_and(|nodes| nodes.is_none()) {
                Ok(None)
            } else {
                Err(BuildError::NoManifest { tree: name })
            };
        };
        let manifest = Manifest::read(&format!("{name}/{MANIFEST}"), &String::from_utf8_lossy(&bytes))?;
        Ok(Some(Self { name, manifest, files }))
    }

    /// The tree at git's HEAD, for a folder in a repository; `None` if git doesn't have it, or can't be asked.
    pub(super) fn at_head(root: &Utf8Path) -> Result<Option<Self>, BuildError> {
        // The ancestors of a relative path end with an empty one.
        let real = root.ancestors().find_map(|there| there.join(".").canonicalize_utf8().ok());
        // To start git takes longer than to look.
        if real.is_none_or(|real| !real.ancestors().any(|above| above.join(".git").exists())) {
            return Ok(None);
        }
        let Ok(Some(objects)) = At::of(root, "HEAD") else { return Ok(None) };
        match Self::read(format!("{root} at HEAD"), Files::Git(objects)) {
            Err(BuildError::Git(_)) => Ok(None),
            found => found,
        }
    }

    /// The tree on the disk; `None` if there is none.
    pub(super) fn on_disk(root: &Utf8Path) -> Result<Option<Self>, BuildError> {
        Self::read(format!("{root} on disk"), Files::Folder(root.to_owned()))
    }

    /// Whether it is at a commit.
    pub fn is_in_git(&self) -> bool {
        matches!(self.files, Files::Git(_))
    }

    /// A node's config; `None` if the tree doesn't have it.
    pub fn config(&mut self, path: &str) -> Result<Option<Vec<u8>>, BuildError> {
        self.files.read(path, LARGEST_CONFIG)
    }
}

impl Files {
    fn read(&mut self, path: &str, most: u64) -> Result<Option<Vec<u8>>, BuildError> {
        let too_large = |name: &str, size: u64| BuildError::Git(format!("{name} has {size} bytes; remuda reads up to {most}"));
        match self {
            Self::Git(at) => at.read(path, most),
            Self::Folder(root) => {
                let path = root.join(path);
                let file = match fs_err::File::open(&path) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    file => file.doing("reading", &path)?,
                };
                let there = file.metadata().doing("reading", &path)?;
                if !there.is_file() {
                    return Err(BuildError::Git(format!("{path} isn't a file")));
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

/// The commits that changed a tree, the newest first.
#[derive(Debug)]
pub struct History {
    root: Utf8PathBuf,
    head: At,
    commits: Vec<String>,
}

impl History {
    /// The last `most` commits from git's HEAD that changed the manifest of the tree `root`; `None` if `root` is in no
    /// repository, or there is no git.
    pub fn of(root: &Utf8Path, most: usize) -> Result<Option<Self>, BuildError> {
        let Some((folder, path)) = within(root)? else { return Ok(None) };
        let Some(head) = At::of(root, "HEAD")? else {
            return Err(BuildError::Git(format!("git at {folder} has no commit: commit the tree that the nodes have booted from")));
        };
        let mut command = git(&folder);
        // A side branch may be what a node has booted from, also if nothing of it was kept.
        command.args(["log", "--full-history", "--format=%H", &format!("--max-count={most}"), "HEAD", "--"]);
        command.arg(format!(":(top,literal){}", below(&path, MANIFEST)));
        let commits = said(command)?.map_err(|problem| BuildError::Git(format!("git at {folder}: {problem}")))?;
        Ok(Some(Self { root: root.to_owned(), head, commits: commits.lines().map(str::to_owned).collect() }))
    }

    /// The number of commits.
    pub fn len(&self) -> usize {
        self.commits.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    /// The trees at these commits, but for those that aren't trees: a merge may have been committed unresolved.
    pub fn trees(&self) -> impl Iterator<Item = Committed> {
        self.commits.iter().filter_map(|commit| {
            let name = format!("{} at {}", self.root, commit.get(..12).unwrap_or(commit));
            Committed::read(name, Files::Git(self.head.at(commit))).ok().flatten()
        })
    }
}

/// The files of a folder at a commit.
#[derive(Debug)]
struct At {
    objects: Rc<RefCell<Objects>>,
    commit: String,
    path: String,
}

/// What git gives of its files.
#[derive(Debug)]
struct Objects {
    child: Child,
    ask: Option<ChildStdin>,
    answer: BufReader<ChildStdout>,
}

/// A path below a folder, which may be the top.
fn below(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

impl At {
    /// The folder `root`, which needn't be there now, at a commit; `None` if git doesn't know that.
    fn of(root: &Utf8Path, commit: &str) -> Result<Option<Self>, BuildError> {
        let Some((folder, path)) = within(root)? else { return Ok(None) };
        let mut command = git(&folder);
        command.args(["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{commit}^{{commit}}")]);
        let Ok(commit) = said(command)? else { return Ok(None) };
        Ok(Some(Self { objects: Rc::new(RefCell::new(Objects::of(&folder)?)), commit, path }))
    }

    /// The same folder at another commit.
    fn at(&self, commit: &str) -> Self {
        Self { objects: Rc::clone(&self.objects), commit: commit.to_owned(), path: self.path.clone() }
    }

    fn read(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>, BuildError> {
        let name = format!("{}:{}", self.commit, below(&self.path, path));
        self.objects.borrow_mut().read(&name, most)
    }
}

impl Objects {
    fn of(folder: &Utf8Path) -> Result<Self, BuildError> {
        let mut command = git(folder);
        let started = command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = started.map_err(|error| BuildError::Git(format!("running git: {error}")))?;
        let (ask, answer) = (child.stdin.take(), child.stdout.take());
        let answer = answer.map(BufReader::new).ok_or_else(|| BuildError::Git("git gives no output".to_owned()))?;
        Ok(Self { child, ask, answer })
    }

    fn read(&mut self, name: &str, most: u64) -> Result<Option<Vec<u8>>, BuildError> {
        let failed = |error: std::io::Error| BuildError::Git(format!("reading {name} from git: {error}"));
        if name.contains('\n') {
            return Ok(None);
        }
        let ask = self.ask.as_mut().ok_or_else(|| BuildError::Git(format!("reading {name} from git: it has ended")))?;
        ask.write_all(format!("{name}\n").as_bytes()).and_then(|()| ask.flush()).map_err(failed)?;
        let mut header = String::new();
        (&mut self.answer).take(8192).read_line(&mut header).map_err(failed)?;
        let words: Vec<&str> = header.split_whitespace().collect();
        let (kind, size) = match words[..] {
            [.., "missing"] => return Ok(None),
            [_, kind, size] => (kind, size.parse::<u64>().unwrap_or(u64::MAX)),
            _ => return Err(BuildError::Git(format!("{name} in git isn't a file"))),
        };
        if kind != "blob" || size > most {
            // The next answer is behind this one.
            std::io::copy(&mut (&mut self.answer).take(size.saturating_add(1)), &mut std::io::sink()).map_err(failed)?;
            let problem =
                if kind == "blob" { format!("has {size} bytes; remuda reads up to {most}") } else { "in git isn't a file".to_owned() };
            return Err(BuildError::Git(format!("{name} {problem}")));
        }
        let mut bytes = Vec::new();
        (&mut self.answer).take(size + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.pop() != Some(b'\n') {
            return Err(BuildError::Git(format!("reading {name} from git: it was cut")));
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
