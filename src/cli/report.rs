//! `remuda report`

use super::plan::{commands, other_seed};
use super::project::{ImageArgs, ProfileArgs};
use super::{Failure, Outcome, print};
use crate::build::{self, Committed, Origin, Project, Report, Upcoming};
use crate::change::{self, Plan};
use crate::diagnostic::{self, Diagnostics, Style};
use crate::image::Store;
use crate::plan::Cluster;
use crate::profile::Day;
use crate::yaml::Scalar;
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueHint};

const EXAMPLES: &str = "\
Examples:
  remuda report cluster.yaml >report.html                      then open it in a browser
  remuda report cluster.yaml --today $(date -I) >report.html   with today among the certificates";

/// Show the cluster as one page of HTML, on stdout
///
/// The page has the nodes and their networks, the start order of each role, the images with their sizes, the
/// certificates on a time line, and what `remuda plan` would change since the last commit. It has no secret, needs no
/// seed, and a browser needs nothing else for it: no network, no script, no font.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReportVerb {
    #[command(flatten)]
    pub source: ProfileArgs,
    /// The folder of the out tree, which is DIR/CLUSTER
    #[arg(short, long, value_name = "DIR", default_value = "out", value_hint = ValueHint::DirPath)]
    out: Utf8PathBuf,
    /// Mark this day among the certificates, and those that end within a month of it
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = Day::parse)]
    today: Option<Day>,
    #[command(flatten)]
    images: ImageArgs,
}

impl ReportVerb {
    pub(super) fn run(self) -> Outcome {
        let (mut project, draft) = self.source.draft(Some(&self.out))?;
        let cluster = project.packed_so_far(&draft)?.complete(draft);
        let roots = self.images.roots(&project.paths);
        let (lock, store) = (project.lock.clone().unwrap_or_default(), Store::of_user()?.beside(&roots.components));
        let images = build::bundle(&cluster, &cluster.images.archives, &project.sources, &lock, &store, &roots);
        let upcoming = upcoming(&mut project, &self.out, &cluster)?;
        self.source.warn(&mut project);
        print(&Report { cluster: &cluster, images: &images, upcoming, today: self.today }.html()?)
    }
}

/// What a plan since the last commit says.
fn upcoming(project: &mut Project, out: &Utf8Path, cluster: &Cluster) -> Result<Upcoming, Failure> {
    let root = project.root(&cluster.name);
    let Some(committed) = Committed::find(&root, &cluster.name, None)?.filter(Committed::is_in_git) else {
        return Ok(Upcoming::Unknown(format!("{root} isn't committed in git: after that, this is what `remuda plan` would change.")));
    };
    let other_seed = other_seed(&committed, &root);
    let mut origin = Origin::of(committed);
    let mut refused = Diagnostics::default();
    project.ends(&origin.before, cluster).into_iter().chain(other_seed).for_each(|one| refused.push(one));
    if refused.has_errors() {
        return Ok(Upcoming::Refused(diagnostic::text(&refused, &project.sources, Style::Plain)));
    }
    let (comparison, found) = build::changes(cluster, &mut origin)?;
    project.found.extend(found);
    project.sound()?;
    let commands = commands(project, out, &root, 1, Vec::new());
    Ok(Upcoming::Plan(change::text(&Plan::of(cluster, origin.before, comparison, &commands))))
}
