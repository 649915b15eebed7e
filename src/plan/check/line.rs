//! What a release line needs of the OS, and that it is no line to trust.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::line::Line;
use crate::profile::Profile;
use crate::target::Target;

/// Whether the OS has what the line needs, and whether the line is safe to use.
pub fn check(profile: &Profile, target: Option<&Target>, line: Option<&Line>, found: &mut Diagnostics) {
    let (Some(line), Some(given)) = (line, profile.line.get()) else { return };
    if let Some(target) = target {
        fits(target, line, given.span, found);
    }
    if let Some(why) = &line.insecure {
        found.push(
            Diagnostic::new(Code::NoSecurity, given.span, format!("{} HAS NO SECURITY", given.0))
                .why(why.clone())
                .help("keep the cluster on an isolated network and put nothing important in it, or use a current line"),
        );
    }
}

fn fits(target: &Target, line: &Line, span: Option<Span>, found: &mut Diagnostics) {
    for (what, has, needs) in [("Linux", &target.kernel, &line.needs.kernel), ("Docker", &target.docker, &line.needs.docker)] {
        if version(has) < version(needs) {
            let fitting = Target::names().filter(|name| {
                Target::find(name).is_some_and(|other| {
                    version(&other.kernel) >= version(&line.needs.kernel) && version(&other.docker) >= version(&line.needs.docker)
                })
            });
            let fitting: Vec<_> = fitting.collect();
            let help = if fitting.is_empty() {
                "use an older line".to_owned()
            } else {
                format!("use an older line, or `target: {}`", fitting.join(" or "))
            };
            found.push(
                Diagnostic::new(
                    Code::LineNeeds,
                    span,
                    format!("{} needs {what} {needs} or newer, but {} has {has}", line.name, target.title),
                )
                .why("its components would exit immediately on every node")
                .help(help),
            );
        }
    }
}

fn version(text: &str) -> Vec<u64> {
    text.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0)).collect()
}
