//! Which OS and which release line.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Sources, closest};
use crate::line::{Line, Lines};
use crate::profile::Profile;
use crate::target::Target;

pub(crate) fn target(profile: &Profile, found: &mut Diagnostics) -> Option<&'static Target> {
    let given = profile.target.get()?;
    let target = Target::find(&given.0);
    if target.is_none() {
        let help = match closest(&given.0, Target::names()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the targets are {}", Target::names().collect::<Vec<_>>().join(" and ")),
        };
        found.push(Diagnostic::new(Code::UnknownTarget, given.span, format!("no target is named `{}`", given.0)).help(help));
    }
    target
}

pub(crate) fn line(profile: &Profile, lines: &Lines, sources: &mut Sources, found: &mut Diagnostics) -> Option<Line> {
    let given = profile.line.get()?;
    if !lines.names().contains(&given.0) {
        found.push(
            Diagnostic::new(Code::UnknownLine, given.span, format!("no release line is named `{}`", given.0))
                .help(crate::line::unknown(&given.0, lines)),
        );
        return None;
    }
    Line::load(&given.0, &profile.addons, lines, sources, found)
}

/// Whether a version that remuda doesn't know may have been released: it is of the same line, which goes on or had it.
fn may_exist(target: &Target, version: &str) -> bool {
    let series = |version: &str| version.split('.').take(2).map(str::to_owned).collect::<Vec<_>>();
    let is_of_series = target.versions.first().is_some_and(|known| series(known) == series(version)) && version.split('.').count() > 2;
    target.other_versions.as_ref().map_or(is_of_series, |others| others.iter().any(|other| other == version))
}

pub(crate) fn os_version(profile: &Profile, target: Option<&'static Target>, found: &mut Diagnostics) -> Option<String> {
    let versions = &target?.versions;
    let Some(given) = profile.os_version.get() else { return versions.first().cloned() };
    if !versions.contains(&given.0) && !may_exist(target?, &given.0) {
        found.push(
            Diagnostic::new(Code::NoOsVersion, given.span, format!("there is no {} {}", target?.title, given.0))
                .why("services on the OS's base image use this version in its name: no file would be written, and nothing would start")
                .help(format!("write the version that `ros --version` prints on the node; remuda knows {}", versions.join(", "))),
        );
    } else if !versions.contains(&given.0) {
        found.push(
            Diagnostic::new(Code::UnknownOsVersion, given.span, format!("unknown version: {} {}", target?.title, given.0))
                .why("services on the OS's base image use this version in its name; if the node doesn't have it, no file is written and nothing starts")
                .help(format!("write the version that `ros --version` prints on the node; remuda knows {}", versions.join(", "))),
        );
    }
    Some(given.0.clone())
}
