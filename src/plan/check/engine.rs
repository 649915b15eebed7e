//! What dockerd would exit on, and what is meant for a dockerd that no node has.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::line::Line;
use crate::line::value::bool;
use crate::plan::cluster::{Class, Origin, PlannedService};
use crate::plan::context::Context;
use crate::profile::Docker;
use crate::service::{SCOPE, Text, form};
use crate::yaml::Spanned;

/// The flags of dockerd that are booleans (`dockerd --help` of Docker 25; 19.03 has fewer).
const BOOLS: [&str; 20] = [
    "cri-containerd",
    "debug",
    "experimental",
    "help",
    "icc",
    "init",
    "ip-forward",
    "ip-masq",
    "ip6tables",
    "iptables",
    "ipv6",
    "live-restore",
    "no-new-privileges",
    "raw-logs",
    "rootless",
    "selinux-enabled",
    "tls",
    "tlsverify",
    "userland-proxy",
    "validate",
];

/// Reports an argument on which dockerd exits.
pub(crate) fn check(given: &Docker, line: &Line, context: &Context, found: &mut Diagnostics) {
    static STORAGE: [&str; 8] = ["overlay2", "btrfs", "vfs", "zfs", "fuse-overlayfs", "overlay", "aufs", "devicemapper"];
    // Docker 24 has no overlay and no aufs any more, 25 no devicemapper; 19.03 has no fuse-overlayfs.
    let component = line.docker.as_ref().and_then(|docker| docker.component.as_ref());
    let storage = match &context.target.docker {
        Some(_) => STORAGE.iter().filter(|driver| **driver != "fuse-overlayfs").collect::<Vec<_>>(),
        None if component.is_some_and(|component| context.repacked.contains(component)) => STORAGE.iter().collect(),
        None => STORAGE[..5].iter().collect(),
    };
    let mut exits = |span, problem: String, help: &str| {
        found.push(Diagnostic::new(Code::InvalidValue, span, problem).why("dockerd exits on it: no pod would run").help(help));
    };
    if let Some(driver) = given.storage_driver.get().filter(|driver| !driver.varies() && !storage.contains(&&driver.text.as_str())) {
        exits(
            driver.span,
            format!("`{}` isn't a storage driver of the Docker that nodes run", driver.text),
            "remove it (the default is overlay2), or write another driver's name",
        );
    }
    if let Some(driver) = given.log_driver.get().filter(|driver| !driver.varies())
        && let Some(misfit) = form::misfit("log_driver", &driver.text)
    {
        exits(driver.span, misfit.problem, misfit.help);
    }
    for arg in given.extra_args.iter().filter(|arg| !arg.varies()) {
        let Some((name, value)) = arg.text.trim_start_matches('-').split_once('=') else { continue };
        if BOOLS.contains(&name) && bool(value).is_none() {
            exits(arg.span, format!("dockerd's `--{name}` takes no `{value}`"), "write `true` or `false`");
        }
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
    // Of several, dockerd takes the last.
    let sets = |arg: &Spanned<Text>| arg.text.strip_prefix("--iptables").filter(|rest| rest.is_empty() || rest.starts_with('=')).is_some();
    let is_off = |arg: &&Spanned<Text>| arg.text.split_once('=').and_then(|(_, value)| bool(value)) == Some(false);
    let publishes = |planned: &&PlannedService| !planned.service.is_system() && planned.service.ports.iter().next().is_some();
    if let (Some(off), Some(planned)) =
        (given.extra_args.iter().rfind(|arg| sets(arg)).filter(is_off), class.services.iter().find(publishes))
    {
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
