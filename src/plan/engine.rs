//! User Docker's settings, and what dockerd would exit on.

use super::Engine;
use super::nodes::Kind;
use super::services::{Context, texts};
use crate::diagnostic::{Diagnostic, Diagnostics, closest};
use crate::line::Line;
use crate::service::{Text, form};
use crate::yaml::Spanned;

/// Flags that remuda or the OS sets already, or that would take the engine from where the
/// kubelet looks for it.
pub const OURS: [&str; 23] = [
    "bip",
    "mtu",
    "ip-masq",
    "userland-proxy",
    "data-root",
    "graph",
    "g",
    "host",
    "H",
    "bridge",
    "b",
    "exec-opt",
    "exec-root",
    "pidfile",
    "p",
    "config-file",
    "storage-driver",
    "s",
    "registry-mirror",
    "userns-remap",
    "version",
    "v",
    "help",
];

pub fn engine(kind: &Kind, line: &Line, context: &Context, found: &mut Diagnostics) -> Engine {
    let given = &kind.settings.docker;
    let on_pod_network = line.docker.on.iter().any(|role| kind.roles.contains(&role.role()));
    let mut engine = Engine::default();
    if on_pod_network {
        engine.bip = Some(line.docker.bip.clone());
        let of_line = |text: &String| Spanned::unwritten(Text { text: text.clone(), template: true });
        engine.extra_args = line.docker.extra_args.iter().map(of_line).collect();
    }
    for arg in given.extra_args.iter() {
        let name = arg.text.trim_start_matches('-').split('=').next().unwrap_or_default();
        if !arg.template && (!arg.text.starts_with('-') || name.is_empty() || arg.text.contains(' ')) {
            found.push(
                Diagnostic::error("invalid-value", arg.span, format!("`{}` is not one argument of dockerd", arg.text))
                    .why("dockerd exits on it: no pod would run")
                    .mend("write each as `--name=value`, an item each"),
            );
        } else if OURS.contains(&name) {
            found.push(
                Diagnostic::error("decided-flag", arg.span, format!("remuda decides dockerd's --{name}"))
                    .why("given twice, or differently, dockerd doesn't start or pods have no network")
                    .mend(match name {
                        "registry-mirror" => "use `images: {mirror: …}`",
                        "storage-driver" | "s" => "use `docker: {storage_driver: …}`",
                        _ => "leave it out",
                    }),
            );
        } else if !arg.varies() && !context.target.facts.docker_flags.iter().any(|flag| flag == name) {
            let known = context.target.facts.docker_flags.iter().map(String::as_str);
            found.push(
                Diagnostic::error("unknown-flag", arg.span, format!("dockerd of {} has no flag --{name}", context.target.facts.title))
                    .why("it exits on a flag that it doesn't know: no pod would run")
                    .mend(
                        closest(name, known)
                            .map_or("`dockerd --help` lists its flags".to_owned(), |meant| format!("did you mean `--{meant}`?")),
                    ),
            );
        }
        engine.extra_args.push(arg.clone());
    }
    check_engine(given, found);
    engine.storage_driver = given.storage_driver.get().cloned();
    engine.log_driver = given.log_driver.get().cloned();
    engine.live_restore = given.live_restore.value().map(|flag| flag.0);
    engine.log_opts = texts(&given.log_opts);
    // The OS gives json-file's options, and other drivers exit on them; it leaves empty ones out.
    if engine.log_driver.as_ref().is_some_and(|driver| !matches!(driver.text.as_str(), "json-file" | "local")) {
        for of_os in ["max-size", "max-file"].into_iter().filter(|of_os| given.log_opts.get(of_os).is_none()) {
            engine.log_opts.push((of_os.to_owned(), Spanned::unwritten(Text::plain(""))));
        }
    }
    engine
}

/// What dockerd exits on.
fn check_engine(given: &crate::profile::Docker, found: &mut Diagnostics) {
    const STORAGE: [&str; 7] = ["overlay2", "overlay", "aufs", "btrfs", "devicemapper", "vfs", "zfs"];
    let mut exits = |span, problem: String, mend: &str| {
        found.push(Diagnostic::error("invalid-value", span, problem).why("dockerd exits on it: no pod would run").mend(mend));
    };
    if let Some(driver) = given.storage_driver.get().filter(|driver| !driver.varies() && !STORAGE.contains(&driver.text.as_str())) {
        exits(driver.span, format!("there is no storage driver `{}`", driver.text), "leave it out (overlay2), or write another one's name");
    }
    if let Some(driver) = given.log_driver.get().filter(|driver| !driver.varies())
        && let Some(misfit) = form::misfit("log_driver", &driver.text).filter(|_| driver.text != "local")
    {
        exits(driver.span, misfit.problem, misfit.mend);
    }
    let driver = given.log_driver.value().map(|driver| driver.text.as_str());
    for (option, value) in given.log_opts.iter() {
        let Some(value) = value.get().filter(|value| !value.varies()) else { continue };
        if let Some(misfit) = form::misfit_log_opt(driver, &option.value, &value.text, false) {
            exits(option.span, misfit.problem, misfit.mend);
        }
    }
}
