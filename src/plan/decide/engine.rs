//! User Docker's settings.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, closest};
use crate::line::Line;
use crate::plan::cluster::Engine;
use crate::plan::context::Context;
use crate::plan::decide::classes::texts;
use crate::plan::decide::fleet::DeclaredClass;
use crate::service::Text;
use crate::yaml::Spanned;

/// Flags that remuda or the OS sets already, or that would move the engine away from where the
/// kubelet looks for it.
pub(crate) const OURS: [&str; 23] = [
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

pub(crate) fn engine(kind: &DeclaredClass, line: &Line, context: &Context, found: &mut Diagnostics) -> Engine {
    let given = &kind.settings.docker;
    let mut engine = Engine::default();
    if let Some(docker) = &line.docker
        && docker.on.iter().any(|role| kind.roles.contains(&role.role()))
    {
        engine.bip = Some(docker.bip.clone());
        let of_line = |text: &String| Spanned::unwritten(Text { text: text.clone(), template: true });
        engine.extra_args = docker.extra_args.iter().map(of_line).collect();
    }
    for arg in given.extra_args.iter() {
        let flag = arg.text.split('=').next().unwrap_or_default();
        let name = flag.trim_start_matches('-');
        if !arg.template && (!arg.text.starts_with('-') || name.is_empty() || name.contains(char::is_whitespace)) {
            found.push(
                Diagnostic::new(Code::InvalidValue, arg.span, format!("`{}` isn't a single argument of dockerd", arg.text))
                    .why("dockerd exits on it: no pod would run")
                    .help("write each argument as its own item, `--name=value`"),
            );
        } else if OURS.contains(&name) {
            found.push(
                Diagnostic::new(Code::DecidedFlag, arg.span, format!("remuda decides dockerd's `{flag}`"))
                    .why("if it is given twice or differs, dockerd doesn't start or pods have no network")
                    .help(match name {
                        "registry-mirror" => "use `images: {mirror: …}`",
                        "storage-driver" | "s" => "use `docker: {storage_driver: …}`",
                        _ => "remove it",
                    }),
            );
        } else if let Some(known) = flags(line, context).filter(|known| !arg.varies() && !known.iter().any(|flag| flag == name)) {
            let known = known.iter().map(String::as_str);
            found.push(
                Diagnostic::new(Code::UnknownFlag, arg.span, format!("dockerd on {} has no flag `{flag}`", context.target.title))
                    .why("dockerd exits on an unknown flag: no pod would run")
                    .help(
                        closest(name, known)
                            .map_or("`dockerd --help` lists its flags".to_owned(), |meant| format!("did you mean `--{meant}`?")),
                    ),
            );
        }
        engine.extra_args.push(arg.clone());
    }
    engine.storage_driver = given.storage_driver.get().cloned();
    engine.log_driver = given.log_driver.get().cloned();
    engine.live_restore = given.live_restore.value().map(|flag| flag.0);
    engine.log_opts = texts(&given.log_opts);
    // The OS passes json-file's options, on which other drivers exit; it omits empty ones.
    if engine.log_driver.as_ref().is_some_and(|driver| !matches!(driver.text.as_str(), "json-file" | "local")) {
        for of_os in context.target.docker_log_opts.iter().filter(|of_os| given.log_opts.get(of_os).is_none()) {
            engine.log_opts.push((of_os.clone(), Spanned::unwritten(Text::plain(""))));
        }
    }
    engine
}

/// The flags of the dockerd that nodes run; `None` if the profile packs another one.
fn flags<'l>(line: &'l Line, context: &Context) -> Option<&'l [String]> {
    if let Some(own) = &context.target.docker {
        return Some(&own.flags);
    }
    let docker = line.docker.as_ref()?;
    (!context.repacked.contains(docker.component.as_ref()?)).then_some(&docker.flags)
}
