//! What a release line needs of the OS, and that it is no line to trust.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::line::{Line, Versions};
use crate::profile::Profile;
use crate::target::Target;

/// Whether the OS has what the line needs, and whether the line is safe to use.
pub(crate) fn check(profile: &Profile, target: Option<&Target>, line: Option<&Line>, found: &mut Diagnostics) {
    let (Some(line), Some(given)) = (line, profile.line.get()) else { return };
    if let Some(target) = target {
        check_kernel(target, line, given.span, found);
        if let Some(needs) = &line.needs.docker {
            check_docker(target, line, needs, profile, given.span, found);
        }
    }
    if let Some(why) = &line.insecure {
        found.push(
            Diagnostic::new(Code::NoSecurity, given.span, format!("{} HAS NO SECURITY", given.0))
                .why(why.clone())
                .help("keep the cluster on an isolated network and put nothing important in it, or use a current line"),
        );
    }
}

fn check_kernel(target: &Target, line: &Line, span: Option<Span>, found: &mut Diagnostics) {
    if version(&target.kernel) >= version(&line.needs.kernel) {
        return;
    }
    let needs = &line.needs.kernel;
    let fits = |target: &Target| version(&target.kernel) >= version(needs);
    found.push(
        Diagnostic::new(
            Code::LineNeeds,
            span,
            format!("{} needs Linux {needs} or newer, but {} has {}", line.name, target.title, target.kernel),
        )
        .why("its components would exit immediately on every node")
        .help(other_targets(fits)),
    );
}

/// The user Docker that nodes run: the OS's own, or the line's.
fn check_docker(target: &Target, line: &Line, needs: &Versions, profile: &Profile, span: Option<Span>, found: &mut Diagnostics) {
    let fits = |has: &str| version(has) >= version(&needs.from) && version(has) < version(&needs.before);
    let fitting = |target: &Target| target.docker.as_ref().is_none_or(|own| fits(&own.version));
    let of_line = line.docker_component();
    let given = of_line.and_then(|component| profile.images.components.get(component)?.version.get());
    let ours = of_line.and_then(|component| line.components.get(component)?.version.value());
    let (has, whose, span) = match (&target.docker, given, ours) {
        (Some(own), ..) => (&own.version, target.title.as_str(), span),
        (None, Some(given), _) => (&given.text, "this profile", given.span),
        (None, None, Some(ours)) => (&ours.text, line.name.as_str(), span),
        (None, None, None) => {
            found.push(
                Diagnostic::new(
                    Code::LineNeeds,
                    span,
                    format!("{} has no user Docker in its image, and {} brings none", target.title, line.name),
                )
                .why("no pod would run on any node")
                .help(other_targets(|target| target.docker.is_some() && fitting(target))),
            );
            return;
        }
    };
    if !fits(has) {
        let help = if given.is_some() { "write another version of it".to_owned() } else { other_targets(fitting) };
        found.push(
            Diagnostic::new(
                Code::LineNeeds,
                span,
                format!("{} runs on Docker {} or newer, but older than {}; {whose} has {has}", line.name, needs.from, needs.before),
            )
            .why(needs.why.clone())
            .help(help),
        );
    }
}

fn other_targets(fits: impl Fn(&Target) -> bool) -> String {
    let fitting: Vec<_> = Target::names().filter(|name| Target::find(name).is_some_and(&fits)).collect();
    if fitting.is_empty() { "use another line".to_owned() } else { format!("use another line, or `target: {}`", fitting.join(" or ")) }
}

fn version(text: &str) -> Vec<u64> {
    text.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0)).collect()
}
