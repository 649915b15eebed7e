//! What dockerd would exit on, and what is meant for a dockerd that no node has.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::line::Line;
use crate::plan::cluster::{Class, Origin, PlannedService};
use crate::profile::Docker;
use crate::service::{SCOPE, Text, form};
use crate::yaml::Spanned;

/// Reports an argument on which dockerd exits.
pub(crate) fn check(given: &Docker, found: &mut Diagnostics) {
    const STORAGE: [&str; 7] = ["overlay2", "overlay", "aufs", "btrfs", "devicemapper", "vfs", "zfs"];
    let mut exits = |span, problem: String, help: &str| {
        found.push(Diagnostic::new(Code::InvalidValue, span, problem).why("dockerd exits on it: no pod would run").help(help));
    };
    if let Some(driver) = given.storage_driver.get().filter(|driver| !driver.varies() && !STORAGE.contains(&driver.text.as_str())) {
        exits(
            driver.span,
            format!("`{}` isn't a storage driver", driver.text),
            "remove it (the default is overlay2), or write another driver's name",
        );
    }
    if let Some(driver) = given.log_driver.get().filter(|driver| !driver.varies())
        && let Some(misfit) = form::misfit("log_driver", &driver.text)
    {
        exits(driver.span, misfit.problem, misfit.help);
    }
    let driver = given.log_driver.value().map(|driver| driver.text.as_str());
    for (option, value) in given.log_opts.iter() {
        let Some(value) = value.get().filter(|value| !value.varies()) else { continue };
        if let Some(misfit) = form::misfit_log_opt(driver, &option.value, &value.text, false) {
            exits(option.span, misfit.problem, misfit.help);
        }
    }
}

/// Published ports need the rules that dockerd writes.
pub(crate) fn check_rules(given: &Docker, class: &Class, found: &mut Diagnostics) {
    let is_off = |arg: &&Spanned<Text>| matches!(arg.text.trim_start_matches('-'), "iptables=false" | "iptables=0" | "iptables=f");
    let publishes = |planned: &&PlannedService| !planned.service.is_system() && planned.service.ports.iter().next().is_some();
    if let (Some(off), Some(planned)) = (given.extra_args.iter().find(is_off), class.services.iter().find(publishes)) {
        found.push(
            Diagnostic::new(
                Code::PortsWithoutRules,
                off.span,
                format!("without its rules, dockerd doesn't publish the ports of {}", planned.name),
            )
            .related(planned.service.ports.iter().next().and_then(|port| port.span), "these ports")
            .why("packets from outside the node don't reach the container, and its own leave with an address that nobody answers")
            .help("remove the argument, or run the service with `net: host`"),
        );
    }
}

/// Reports what only user Docker would run or read, where the line starts none.
pub(crate) fn check_absent(given: &Docker, class: &Class, line: &Line, found: &mut Diagnostics) {
    if line.docker.is_some() {
        return;
    }
    let no_docker = |span, what: String, why: &str| {
        Diagnostic::new(Code::NoUserDocker, span, format!("{what}, but nodes of {} don't run it", line.name)).why(why)
    };
    let mut written = vec![given.storage_driver.span(), given.log_driver.span(), given.live_restore.span()];
    written.extend(given.extra_args.iter().map(|arg| arg.span).chain(given.log_opts.iter().map(|(name, _)| name.span)));
    if let Some(span) = written.into_iter().flatten().next() {
        found.push(no_docker(Some(span), "this configures user Docker".to_owned(), "nothing reads it").help("remove `docker`"));
    }
    for planned in class.services.iter().filter(|planned| planned.origin == Origin::User && !planned.service.is_system()) {
        let help = format!("add the label `{SCOPE}: system` to run it in system-docker, or deploy it as a pod");
        found.push(no_docker(planned.service.span, format!("`{}` runs in user Docker", planned.name), "it would never start").help(help));
    }
}
