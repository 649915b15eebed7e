//! `remuda plan`

use super::accept::AcceptArgs;
use super::ask::AskArgs;
use super::project::{self, ProfileArgs};
use super::{Failure, Format, Outcome, print};
use crate::build::{self, Committed, History, Origin, Project, SourceError, sealed_with};
use crate::change::{Commands, Plan, markdown, text};
use crate::diagnostic::{self, Code, Diagnostic};
use crate::plan::Draft;
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueHint};
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  remuda plan cluster.yaml                     since the last commit
  remuda plan cluster.yaml --from origin/main  since another one
  remuda plan cluster.yaml --from v1 --markdown   as a comment of a pull request
  remuda plan cluster.yaml --at-once 3         workers in threes
  remuda plan cluster.yaml --live              since what each node runs, by the cluster's API

Exit codes: 0 a plan, or nothing to do; 1 the source is wrong, or a change ends the cluster; 2 wrong usage; 3 git, the
committed tree or the API can't be read.";

/// In how many commits of a tree its nodes' configs are looked for.
const COMMITS: usize = 500;

/// Show what a change means for the nodes, and the steps that make it, one at a time
///
/// Begins with the committed tree: OUT/CLUSTER at git's HEAD, or on disk if git doesn't have it. With
/// `--live` it begins with what each node runs: it asks the cluster's API through `kubectl`, and finds
/// the tree of each node in git's history. Writes nothing, and needs no seed. A change that ends the running cluster is refused unless its code is
/// accepted.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PlanVerb {
    #[command(flatten)]
    pub source: ProfileArgs,
    /// The folder of the out tree, which is DIR/CLUSTER
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
    /// Begin with the tree in this folder, or with OUT/CLUSTER at this commit
    #[arg(long, value_name = "DIR|COMMIT")]
    from: Option<String>,
    /// Begin with what each node runs, and go on with a change that was left half-way
    #[arg(long, conflicts_with = "from")]
    live: bool,
    #[command(flatten)]
    ask: AskArgs,
    /// How many workers may be away at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,
    /// Print Markdown, for a pull request
    #[arg(long, conflicts_with = "format")]
    markdown: bool,
    #[command(flatten)]
    accept: AcceptArgs,
}

impl PlanVerb {
    pub(super) fn run(self) -> Outcome {
        if self.ask.kubeconfig.is_some() && !self.live {
            return Err(Failure::Usage("`--kubeconfig` is for `--live`: add that, or leave it out".to_owned()));
        }
        let mut project = self.source.open(Some(&self.out))?;
        let find = |name: &str| Committed::find(&project.root(name), name, self.from.as_deref());
        let committed = project.name().map(find).transpose()?.flatten();
        project.begin_with(committed.as_ref());
        let draft = project.draft()?;
        self.source.warn(&mut project);
        let root = project.root(draft.name());
        let history = self.history(&root, &draft)?;
        let Some(committed) = committed else {
            return self.say_new(project, &draft, &root);
        };
        if committed.manifest.facts.is_none() {
            eprintln!(
                "note: an older remuda made {}: changes of networks, addresses and keys are shown, but none is refused",
                committed.name
            );
        }
        let other_seed = other_seed(&committed, &root);
        let cluster = project.packed_so_far(&draft)?.complete(draft);
        let mut origin = match history {
            None => Origin::of(committed),
            Some(history) => {
                let answers = self.ask.ask(&root, &project.paths.command("seal"))?;
                build::live(&cluster, &root, committed, &history, &answers)?
            }
        };
        let mut ends = project.ends(&origin.before, &cluster);
        ends.extend(other_seed);
        let refused = self.accept.refused(ends)?;
        if refused.has_errors() {
            return Err(Failure::Source(SourceError { found: refused, sources: project.sources }));
        }
        let (comparison, found) = build::changes(&cluster, &mut origin)?;
        project.found.extend(found);
        project.found.extend(project::expiring(&cluster));
        project.sound()?;
        project.found.check_allowed();
        self.source.warn(&mut project);
        let accepted = self.accept.names().map(str::to_owned).collect();
        let commands = commands(&project, &self.out, &root, usize::from(self.at_once), accepted);
        let plan = Plan::of(&cluster, origin.before, comparison, &commands);
        if cluster.images.lacks_archives() && cluster.images.delivery.names_content() {
            eprintln!("note: no image tarballs are packed yet; texts with their SHA-256 lack it here");
        }
        match (self.source.format, self.markdown) {
            (Format::Json, _) => print(&format!("{:#}\n", as_json(&plan, &project))),
            (Format::Text, true) => print(&markdown(&plan)),
            (Format::Text, false) => print(&text(&plan)),
        }
    }

    /// Where to look for what nodes run; `None` if they aren't asked.
    fn history(&self, root: &Utf8Path, draft: &Draft) -> Result<Option<History>, Failure> {
        if !self.live {
            return Ok(None);
        }
        let line = &draft.unpacked().line;
        if line.fingerprint_file().is_none() {
            return Err(Failure::Usage(format!("nodes of {} don't say which config they run", line.name)));
        }
        let history = History::of(root, COMMITS)?;
        let help = "`--live` finds what nodes run in git's history; without it, `--from DIR` begins with the tree in a folder";
        history.map(Some).ok_or_else(|| Failure::world(format!("{root} isn't in a git repository, or there is no git: {help}")))
    }

    /// Nothing runs yet.
    fn say_new(&self, project: Project, draft: &Draft, root: &Utf8Path) -> Outcome {
        let refused = self.accept.refused(project.renamed(root, draft.unpacked()).into_iter().collect())?;
        if refused.has_errors() {
            return Err(Failure::Source(SourceError { found: refused, sources: project.sources }));
        }
        let says = format!(
            "{}: no tree is there, in git or at {root}: the first `remuda gen` makes the cluster, and nothing runs yet",
            draft.name()
        );
        match self.source.format {
            Format::Json => print(&format!("{:#}\n", json!({ "cluster": draft.name(), "from": Value::Null, "steps": [] }))),
            Format::Text => print(&format!("{says}\n")),
        }
    }
}

/// What to type for a plan.
pub(super) fn commands(project: &Project, out: &Utf8Path, root: &Utf8Path, at_once: usize, accepted: Vec<String>) -> Commands {
    let word = |text: &str| shlex::try_quote(text).map_or_else(|_| "''".to_owned(), |word| word.into_owned());
    let profile = project.paths.profile.as_ref().map(|profile| word(profile.as_str()));
    let mut generate = "remuda gen".to_owned();
    generate.extend(profile.iter().map(|profile| format!(" {profile}")));
    if out != "out" {
        generate.push_str(&format!(" -o {}", word(out.as_str())));
    }
    // `gen` compares with what is on disk, and that has the seed already.
    let of_gen = accepted.iter().filter(|code| *code != Code::SeedChange.name());
    let accept = of_gen.map(|code| format!(" --accept {code}")).collect();
    Commands { generate, accept, profile, root: word(root.as_str()), at_once, accepted }
}

/// A seed that isn't the committed tree's.
pub(super) fn other_seed(committed: &Committed, root: &Utf8Path) -> Option<Diagnostic> {
    let (old, new) = (committed.manifest.seed.as_ref()?, sealed_with(root)?);
    (*old != new).then(|| {
        Diagnostic::new(Code::SeedChange, None, format!("the seed changes: {} was sealed with {old}, and {root} is with {new}", committed.name))
            .why("every key of the cluster is another one: no node accepts another's certificate, and nobody can log in")
            .help("seal with the old seed; for new keys, raise generations as docs/keys.md says; if no machine runs the cluster yet, add `--accept seed-change`")
    })
}

fn as_json(plan: &Plan, project: &Project) -> Value {
    let mut value = serde_json::to_value(plan).unwrap_or_default();
    value["diagnostics"] = diagnostic::json(&project.found, &project.sources)["diagnostics"].take();
    value
}
