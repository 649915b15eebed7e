//! What a release line needs of the OS, and what nobody should trust: the line, or the OS.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Sources, Span};
use crate::line::{Line, Lines, Versions, version};
use crate::profile::{AddOns, Profile};
use crate::target::Target;

/// Whether the OS has what the line needs, and whether the OS and the line are safe to use.
pub(crate) fn check(profile: &Profile, target: Option<&Target>, line: Option<&Line>, found: &mut Diagnostics) {
    if let Some(target) = target {
        check_beta(target, profile.target.span(), found);
    }
    let (Some(line), Some(given)) = (line, profile.line.get()) else { return };
    if let Some(target) = target {
        check_kernel(target, line, given.span, found);
        check_cgroups(target, line, given.span, found);
        if let Some(needs) = &line.needs.docker {
            check_docker(target, line, needs, profile, given.span, found);
        }
        check_losses(target, line, given.span, found);
    }
    if let Some(why) = &line.insecure {
        found.push(
            Diagnostic::new(Code::NoSecurity, given.span, format!("{} HAS NO SECURITY", given.0))
                .why(why.clone())
                .help("keep the cluster on an isolated network and put nothing important in it, or use a current line"),
        );
    }
}

fn check_beta(target: &Target, span: Option<Span>, found: &mut Diagnostics) {
    if let Some(why) = &target.beta {
        found.push(
            Diagnostic::new(Code::BetaTarget, span, format!("{} is a beta", target.title))
                .why(why.clone())
                .help("try each of its releases on a node that you can lose, or use another target"),
        );
    }
}

fn check_kernel(target: &Target, line: &Line, span: Option<Span>, found: &mut Diagnostics) {
    if !has_kernel(target, line) {
        let problem = format!("{} needs Linux {} or newer, but {} has {}", line.name, line.needs.kernel, target.title, target.kernel);
        found.push(
            Diagnostic::new(Code::LineNeeds, span, problem)
                .why("its components would exit immediately on every node")
                .help(other_targets(line)),
        );
    }
}

fn check_cgroups(target: &Target, line: &Line, span: Option<Span>, found: &mut Diagnostics) {
    if let Some(needs) = line.needs.cgroups.as_ref().filter(|needs| needs.version != target.cgroups) {
        let problem = format!("{} needs cgroup v{}, but {} has only v{}", line.name, needs.version, target.title, target.cgroups);
        found.push(Diagnostic::new(Code::LineNeeds, span, problem).why(needs.why.clone()).help(other_targets(line)));
    }
}

/// The user Docker that nodes run: the OS's own, or the line's.
fn check_docker(target: &Target, line: &Line, needs: &Versions, profile: &Profile, span: Option<Span>, found: &mut Diagnostics) {
    let given = line.docker_component().and_then(|component| profile.images.components.get(component)?.version.get());
    let (has, whose, span) = match (&target.docker, given, docker_of(target, line)) {
        (Some(own), ..) => (own.version.as_str(), target.title.as_str(), span),
        (None, Some(given), _) => (given.text.as_str(), "this profile", given.span),
        (None, None, Some(ours)) => (ours, line.name.as_str(), span),
        (None, None, None) => {
            let problem = format!("{} has no user Docker in its image, and {} brings none", target.title, line.name);
            found.push(Diagnostic::new(Code::LineNeeds, span, problem).why("no pod would run on any node").help(other_targets(line)));
            return;
        }
    };
    if !fits(needs, has) {
        let help = if given.is_some() { "write another version of it".to_owned() } else { other_targets(line) };
        let problem = format!("{} runs on Docker {} or newer, but older than {}; {whose} has {has}", line.name, needs.from, needs.before);
        found.push(Diagnostic::new(Code::LineNeeds, span, problem).why(needs.why.clone()).help(help));
    }
}

/// Values of the line's services that don't reach the target's engines.
fn check_losses(target: &Target, line: &Line, span: Option<Span>, found: &mut Diagnostics) {
    if let Some((service, loss)) = line.loss_on(target) {
        let problem = format!("{service} of {} needs {}, which {} loses", line.name, loss.what, target.title);
        found.push(Diagnostic::new(Code::LineNeeds, span, problem).why(loss.why).help(other_targets(line)));
    }
}

/// Whether a target has what a line needs.
pub(crate) fn runs_on(line: &Line, target: &Target) -> bool {
    let has_docker = || line.needs.docker.as_ref().is_none_or(|needs| docker_of(target, line).is_some_and(|version| fits(needs, version)));
    let has_cgroups = || line.needs.cgroups.as_ref().is_none_or(|needs| needs.version == target.cgroups);
    has_kernel(target, line) && has_cgroups() && has_docker() && line.loss_on(target).is_none()
}

/// A release line, and a target that has what it needs.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) target: &'static Target,
    pub(crate) line: Line,
}

/// Every target with every line that runs on it, the best first: what is insecure or outdated comes last.
pub(crate) fn pairs(lines: &Lines, sources: &mut Sources, found: &mut Diagnostics) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for name in lines.names() {
        for target in Target::all() {
            let line = Line::load(&name, &AddOns::default(), lines, sources, found).filter(|line| runs_on(line, target));
            pairs.extend(line.map(|line| Pair { target, line }));
        }
    }
    pairs.sort_by_key(|Pair { target, line }| {
        (line.insecure.is_some(), line.outdated.is_some(), target.beta.is_some(), std::cmp::Reverse((line.minor(), target.kernel.clone())))
    });
    pairs
}

fn other_targets(line: &Line) -> String {
    let fitting: Vec<_> = Target::all().filter(|target| runs_on(line, target)).map(|target| target.name).collect();
    if fitting.is_empty() {
        "use another line".to_owned()
    } else {
        format!("use another line, or `target: {}`", fitting.join("` or `target: "))
    }
}

fn has_kernel(target: &Target, line: &Line) -> bool {
    version(&target.kernel) >= version(&line.needs.kernel)
}

/// The version of the OS's user Docker, or otherwise of the line's.
fn docker_of<'a>(target: &'a Target, line: &'a Line) -> Option<&'a str> {
    let ours = || Some(line.components.get(line.docker_component()?)?.version.value()?.text.as_str());
    target.docker.as_ref().map(|own| own.version.as_str()).or_else(ours)
}

fn fits(needs: &Versions, docker: &str) -> bool {
    version(docker) >= version(&needs.from) && version(docker) < version(&needs.before)
}
