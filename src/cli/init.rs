//! `remuda init`

use super::project::{NAMES, warn};
use super::{Failure, Outcome, failure, seed};
use crate::build::start::{PROFILE, QUESTIONS, Question, Start, not_for_git, workflow};
use crate::build::{self, IGNORE, SourceError};
use crate::disk::{self, Doing};
use crate::pki::{self, Envelope};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, ValueHint};
use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal, Read};

/// Where GitHub looks for it, from the top of a repository.
const WORKFLOW: &str = ".github/workflows/remuda.yml";
/// The maximal length of an answer, in bytes.
const ANSWER: u64 = 4096;

const EXAMPLES: &str = "\
Examples:
  remuda init                        asks for what it must know, and writes into this folder
  remuda init site --yes             into the folder site, with the default of every question
  remuda init site --yes --boot pxe --control-planes 3 --network 10.0.0.0/24
                                     the same, but for what is said";

/// Write a first profile, its seed, a `.gitignore` and a workflow that checks the out tree
///
/// Asks on a terminal for what the options don't say, and offers only what goes together. Writes DIR/cluster.yaml,
/// DIR/remuda.seed, DIR/.gitignore and DIR/.github/workflows/remuda.yml: all of them or none. It never overwrites a file;
/// a `.gitignore` that exists gets the lines that it lacks.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Init {
    /// The folder; it is made if need be
    #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    folder: Utf8PathBuf,
    /// Ask nothing: the default for what no option says
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    said: Said,
}

/// The answers on the command line, by flag: an option for each question.
#[derive(Debug, Default)]
struct Said(BTreeMap<&'static str, String>);

impl FromArgMatches for Said {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let said = |flag| Some((flag, matches.get_one::<String>(flag)?.clone()));
        Ok(Self(QUESTIONS.iter().filter_map(|question| said(question.flag)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Said {
    fn augment_args(command: Command) -> Command {
        let arg = |one: &Question| Arg::new(one.flag).long(one.flag).value_name(one.value).help(one.words);
        QUESTIONS.iter().fold(command, |command, question| command.arg(arg(question)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl Init {
    pub(super) fn run(self) -> Outcome {
        let folder = &self.folder;
        let there = NAMES.into_iter().chain([seed::DEFAULT, WORKFLOW]).map(|name| folder.join(name));
        if let Some(there) = there.into_iter().find(|path| path.symlink_metadata().is_ok()) {
            return Err(Failure::Usage(format!("{there} exists, and init doesn't overwrite it; name another folder, or move it away")));
        }
        seed::refuse_another(&folder.join("out"))?;
        let full = std::path::absolute(folder).doing("looking at", folder)?;
        let name = full.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let start = self.answers(Start::new(folder, &name, keys())?)?;
        let (sources, found) = start.check();
        if found.has_errors() {
            return Err(Failure::Source(SourceError { found, sources }));
        }
        write(folder, &start)?;
        warn(&found, &sources);
        // No name of a folder has a NUL, which alone can't be quoted.
        let quoted = shlex::try_quote(folder.as_str()).unwrap_or_default();
        let change = if folder.as_str() == "." { String::new() } else { format!("cd -- {quoted} && ") };
        eprintln!("{}: the profile; {} keeps the rest out of git", folder.join(PROFILE), folder.join(IGNORE));
        eprintln!(
            "{}: the one secret; keep a copy in another place: without it, the cluster can't be changed any more",
            folder.join(seed::DEFAULT)
        );
        eprintln!("{}: checks out/ where GitHub runs it: at the top of a repository", folder.join(WORKFLOW));
        eprintln!(
            "next: `{change}remuda gen` where the components are, or with `--no-images`; out/{}/README.md says how to go on",
            start.cluster()
        );
        Ok(())
    }

    /// An answer to every question.
    fn answers(&self, mut start: Start) -> Result<Start, Failure> {
        let is_asking = !self.yes && io::stdin().is_terminal() && io::stderr().is_terminal();
        let mut missing = Vec::new();
        for (index, question) in QUESTIONS.iter().enumerate() {
            let flag = question.flag;
            let said = self.said.0.get(flag);
            start = match said {
                Some(text) if start.asks(index) => {
                    start.answered(index, text).map_err(|why| Failure::Usage(format!("`--{flag} {text}`: {why}")))?
                }
                Some(_) => return Err(Failure::Usage(format!("`--{flag}` has no use with these answers; leave it out"))),
                None if !start.asks(index) => start,
                None if is_asking => ask(&start, index)?,
                None => {
                    missing.push(format!("`--{flag}`"));
                    start.by_default(index).map_err(|why| Failure::Usage(format!("`--{flag}`: {why}")))?
                }
            };
        }
        match missing.is_empty() || self.yes {
            true => Ok(start),
            false => Err(Failure::Usage(format!(
                "there is no terminal to ask at; add {}, or `--yes` for the defaults of all that isn't said",
                missing.join(", ")
            ))),
        }
    }
}

/// Asks until an answer fits.
fn ask(start: &Start, index: usize) -> Result<Start, Failure> {
    let (bold, plain) = if failure::is_coloured(&io::stderr()) { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let (words, default) = (QUESTIONS[index].words, start.default(index));
    eprintln!("{bold}{words}{plain}");
    for (word, means) in start.choices(index) {
        eprintln!("  {word:<16} {means}");
    }
    loop {
        eprint!("[{default}] ");
        let mut line = Vec::new();
        io::stdin().lock().take(ANSWER).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            eprintln!();
            return Err(Failure::Usage("the questions have no answer, so nothing was written".to_owned()));
        }
        let line = String::from_utf8_lossy(&line);
        let text = if line.trim().is_empty() { default.as_str() } else { line.trim() };
        match start.clone().answered(index, text) {
            Ok(next) => return Ok(next),
            Err(why) => eprintln!("  {why}"),
        }
    }
}

/// The public ssh keys of this user.
fn keys() -> Vec<Utf8PathBuf> {
    let Some(folder) = std::env::var("HOME").ok().map(|home| Utf8PathBuf::from(home).join(".ssh")) else { return Vec::new() };
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    let mut keys: Vec<Utf8PathBuf> = entries.map(|entry| entry.into_path()).filter(|path| path.extension() == Some("pub")).collect();
    keys.sort();
    keys
}

/// What was made, and is taken back unless all of it was.
#[derive(Default)]
struct Undo {
    made: Vec<Utf8PathBuf>,
    /// A `.gitignore` that was there, with what was in it.
    before: Option<(Utf8PathBuf, Vec<u8>)>,
}

impl Undo {
    fn folder(&mut self, path: &Utf8Path) -> Outcome {
        let mut absent: Vec<&Utf8Path> =
            path.ancestors().take_while(|folder| !folder.as_str().is_empty() && folder.symlink_metadata().is_err()).collect();
        while let Some(folder) = absent.pop() {
            fs_err::create_dir(folder)?;
            self.made.push(folder.to_owned());
        }
        Ok(())
    }

    fn file(&mut self, path: &Utf8Path, text: &str) -> Outcome {
        disk::create(path, text.as_bytes(), 0o644)?;
        self.made.push(path.to_owned());
        Ok(())
    }

    fn ignore(&mut self, path: &Utf8Path, lines: &[String]) -> Outcome {
        match build::ignore(path, lines)? {
            Some(before) => self.before = Some((path.to_owned(), before)),
            None => self.made.push(path.to_owned()),
        }
        Ok(())
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for path in self.made.iter().rev() {
            // A folder that has something else in it stays.
            let _ = if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
        }
        if let Some((path, text)) = &self.before {
            let _ = disk::write(path, text, 0o644);
        }
    }
}

/// All files, or none.
fn write(folder: &Utf8Path, start: &Start) -> Outcome {
    let mut undo = Undo::default();
    let (workflow_file, seed_file) = (folder.join(WORKFLOW), folder.join(seed::DEFAULT));
    undo.folder(folder)?;
    undo.folder(disk::folder_of(&workflow_file))?;
    undo.file(&folder.join(PROFILE), &start.profile())?;
    undo.file(&workflow_file, &workflow())?;
    undo.ignore(&folder.join(IGNORE), &not_for_git(seed::DEFAULT))?;
    build::keep_out(&seed_file)?;
    pki::create(&seed_file, &Envelope::Plain)?;
    undo.made.clear();
    undo.before = None;
    Ok(())
}
