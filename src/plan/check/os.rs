//! The OS's own keys: values that keep user Docker, a service or an account from working.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::line::Line;
use crate::plan::cluster::{Class, Origin};
use crate::plan::context::Context;
use crate::plan::decide::fleet::DeclaredClass;
use crate::plan::folders::is_below;
use crate::plan::secrets::{key_in_profile, login_in_url, looks_like_a_key};
use crate::profile::{INTO_GIT, OsValue, Profile};
use crate::service::form::{self, Volume};
use crate::target::Target;
use crate::yaml::Field;

/// Checks each level by itself: a weaker level's value may be wrong although a stronger one replaces it.
pub(crate) fn check_levels(profile: &Profile, target: Option<&Target>, found: &mut Diagnostics) {
    let Some(target) = target else { return };
    let roles = profile.roles.iter().map(|(_, settings)| settings);
    let groups = profile.groups.iter().map(|(_, group)| &group.settings);
    let nodes = profile.nodes.iter().map(|(_, node)| &node.settings);
    // An account may be complete only when all levels are merged.
    for settings in [&profile.defaults].into_iter().chain(roles).chain(groups).chain(nodes) {
        let mut own = Diagnostics::default();
        settings.os.read(target, &mut own);
        found.extend_with(own.sorted().into_iter().filter(|one| one.code != Code::HalfALogin).cloned());
    }
}

/// Checks the keys of a class.
pub(crate) fn check(declared: &DeclaredClass, class: &Class, line: &Line, context: &Context, found: &mut Diagnostics) {
    class.os.for_each_text(|text, span| {
        if looks_like_a_key(&text.text) {
            found.push(key_in_profile(span, "this contains a private key"));
        } else {
            found.extend_with(login_in_url(text, span));
        }
    });
    check_values(class, context.target, found);
    check_ssh(class, line, context, found);
    check_system_docker(class, context.target, found);
    check_debug(class, found);
    check_commands(class, found);
    check_mounts(class, context, found);
    if let Some((key, _)) = class.os.get(&["bootcmd"]).filter(|_| declared.settings.disk.is_absent()) {
        found.push(
            Diagnostic::new(Code::NoEffect, key.span, "`bootcmd` isn't run on a node without `disk`")
                .why("the OS runs it only while it can't mount the state partition, and these nodes have none")
                .help("use `runcmd`, or add `disk: /dev/…`"),
        );
    }
}

/// What the OS fetches when it boots, and what remuda can't check.
fn check_values(class: &Class, target: &Target, found: &mut Diagnostics) {
    if class.os.keys.is_empty() {
        return;
    }
    for (path, key) in target.config().iter() {
        let names: Vec<&str> = path.split('.').collect();
        let Some((name, value)) = class.os.get(&names) else { continue };
        if let Some(what) = &key.fetched {
            let fetched: Vec<(&str, Option<Span>)> = match value {
                OsValue::Text(text) if text.text != "default" => vec![(&text.text, text.span)],
                OsValue::Map(entries) => {
                    let is_on = |value: &OsValue| matches!(value, OsValue::Flag(true));
                    let on = entries.iter().filter(|(name, value)| is_on(value) && !name.value.starts_with('/'));
                    on.map(|(name, _)| (name.value.as_str(), name.span)).collect()
                }
                _ => Vec::new(),
            };
            found.extend_with(fetched.into_iter().map(|(name, span)| {
                Diagnostic::new(Code::FetchedByOs, span, format!("`{name}` isn't on the node: the OS fetches {what} when it boots"))
                    .why("a node that doesn't reach the OS's repository and Docker Hub boots without it")
                    .help("make sure that the nodes reach them, or remove it")
            }));
        }
        if let Some(why) = &key.hurts {
            found.push(
                Diagnostic::new(Code::RiskyOsKey, name.span, format!("remuda can't check the value of the OS's `{path}`"))
                    .why(why)
                    .help("try it on one node first, or remove it"),
            );
        }
    }
}

fn check_ssh(class: &Class, line: &Line, context: &Context, found: &mut Diagnostics) {
    if let Some((key, OsValue::Flag(false))) = class.os.get(&["rancher", "ssh", "daemon"]) {
        found.push(
            Diagnostic::new(Code::RiskyOsKey, key.span, "without sshd nobody can log in over the network")
                .why("you could examine a node that doesn't start only on its console")
                .help("remove it"),
        );
    }
    let Some((key, OsValue::Int(port))) = class.os.get(&["rancher", "ssh", "port"]) else { return };
    let takes = |taken: &String| if taken.contains("api.port") { i64::from(context.port.0) == *port } else { taken.parse() == Ok(*port) };
    let planned = class.services.iter().filter(|planned| planned.origin == Origin::Line).map(|planned| &planned.name);
    let of_line = planned.filter_map(|name| line.services.iter().find(|service| service.name == *name));
    for service in of_line.filter(|service| service.ports.iter().any(takes)) {
        found.push(
            Diagnostic::new(Code::PortClash, key.span, format!("{} already takes port {port} of the node", service.name))
                .why("the second one to start exits again and again")
                .help("use another port"),
        );
    }
}

/// What system-docker would exit on.
fn check_system_docker(class: &Class, target: &Target, found: &mut Diagnostics) {
    let get = |key| class.os.get(&["rancher", "system_docker", key]).map(|(_, value)| value);
    let driver = match get("log_driver") {
        Some(OsValue::Text(driver)) if !driver.varies() => Some(driver),
        _ => None,
    };
    let refuse = |span, misfit: form::Misfit| {
        Diagnostic::new(Code::InvalidValue, span, misfit.problem)
            .why("system-docker exits on it: the node starts nothing")
            .help(misfit.help)
    };
    found
        .extend_with(driver.and_then(|driver| {
            Some(refuse(driver.span, form::misfit_system_log_driver(&driver.text, &target.system_docker_log_drivers)?))
        }));
    if let Some(OsValue::Map(options)) = get("log_opts") {
        for (name, value) in options {
            let OsValue::Text(value) = value else { continue };
            let misfit = form::misfit_log_opt(driver.map(|driver| driver.text.as_str()), &name.value, &value.text, true);
            found.extend_with(misfit.filter(|_| !value.varies()).map(|misfit| refuse(name.span, misfit)));
        }
    }
}

/// What the OS turns on itself with `rancher.debug` (config/disk.go, applyDebugFlags).
fn check_debug(class: &Class, found: &mut Diagnostics) {
    if !matches!(class.os.get(&["rancher", "debug"]), Some((_, OsValue::Flag(true)))) {
        return;
    }
    for path in [&["rancher", "log"][..], &["rancher", "docker", "debug"], &["rancher", "system_docker", "debug"]] {
        if let Some((key, OsValue::Flag(false))) = class.os.get(path) {
            found.push(
                Diagnostic::new(Code::NoEffect, key.span, format!("`{}` stays on", path.join(".")))
                    .why("with `rancher.debug: true` the OS turns it on, whatever its value is")
                    .help("remove it, or remove `debug: true`"),
            );
        }
    }
}

/// What the console runs before user Docker starts.
fn check_commands(class: &Class, found: &mut Diagnostics) {
    for command in class.os.list(&["runcmd"]) {
        let (text, span) = match command {
            OsValue::Text(text) => (text.text.clone(), text.span),
            OsValue::List(words) => {
                let words = words.iter().filter_map(|word| if let OsValue::Text(word) = word { Some(word) } else { None });
                let texts: Vec<&str> = words.clone().map(|word| word.text.as_str()).collect();
                (texts.join(" "), words.map(|word| word.span).next().flatten())
            }
            _ => continue,
        };
        if text.contains("chpasswd") && text.contains("echo") {
            found.push(
                Diagnostic::new(Code::SecretInProfile, span, "this command contains a password")
                    .why(INTO_GIT)
                    .help("log in with `ssh_keys`"),
            );
        }
        let commands = simple_commands(&text);
        // Beside other commands, it may depend on a condition.
        if let [words] = &commands[..]
            && matches!(base_name(words), "reboot" | "poweroff" | "halt" | "shutdown")
        {
            found.push(
                Diagnostic::new(Code::BreakingOsKey, span, format!("`{}` ends each boot", base_name(words)))
                    .why("the console runs it at every boot: the node never stays up")
                    .help("remove it, or make it depend on something: `[ -e /opt/done ] || { touch /opt/done; reboot; }`"),
            );
        }
        if text.trim_end().ends_with('&') {
            continue;
        }
        let is_docker = |words: &&Vec<&str>| matches!(base_name(words), "docker" | "docker-compose" | "wait-for-docker");
        if let Some(words) = commands.iter().find(is_docker) {
            found.push(
                Diagnostic::new(Code::CommandBeforeDocker, span, format!("`{}` runs before user Docker starts", base_name(words)))
                    .why("user Docker starts when all commands have returned: this one fails, and the OS runs none after it")
                    .help("make a service of it, `services: {NAME: {image: …}}`; `system-docker` runs already"),
            );
        } else if commands.iter().any(|words| may_not_return(words)) || loops(&text) {
            found.push(
                Diagnostic::new(Code::CommandHoldsDocker, span, "this command may not return")
                    .why("user Docker starts when all commands have returned: until then no pod runs")
                    .help("let it run in the background, `… &`, or make a service of it"),
            );
        }
    }
}

/// The commands in a shell's text, each as its words, without keywords and `sudo`.
fn simple_commands(text: &str) -> Vec<Vec<&str>> {
    const BEFORE: [&str; 12] = ["!", "do", "else", "exec", "if", "nohup", "sudo", "then", "time", "until", "while", "-c"];
    let of = |part| {
        let words = str::split_whitespace(part).map(|word| word.trim_matches(['"', '\''])).filter(|word| !word.is_empty());
        let words: Vec<&str> = words.collect();
        let shell = words.iter().position(|word| *word == "-c").map_or(0, |at| at + 1);
        words.into_iter().skip(shell).skip_while(|word| BEFORE.contains(word)).collect::<Vec<_>>()
    };
    text.split([';', '|', '&', '\n', '(', ')', '{', '}', '`']).map(of).filter(|words| !words.is_empty()).collect()
}

fn base_name<'w>(words: &[&'w str]) -> &'w str {
    words.first().and_then(|word| word.rsplit('/').next()).unwrap_or_default()
}

fn may_not_return(words: &[&str]) -> bool {
    match base_name(words) {
        "sleep" => words.get(1).is_some_and(|time| time.starts_with("inf")),
        "tail" => words.iter().any(|word| matches!(*word, "-f" | "-F" | "--follow")),
        _ => false,
    }
}

/// Whether a shell's text has a loop without an end of its own.
fn loops(text: &str) -> bool {
    let words: Vec<&str> = text.split([' ', ';', '\n', '\t', '(', ')', '"', '\'']).filter(|word| !word.is_empty()).collect();
    words.windows(2).any(|pair| pair[0] == "until" || pair[0] == "while" && matches!(pair[1], "true" | ":" | "!" | "1"))
}

/// Mounts of the console that a service in system-docker doesn't see.
fn check_mounts(class: &Class, context: &Context, found: &mut Diagnostics) {
    for mount in class.os.list(&["mounts"]) {
        let OsValue::Mount([_, path, kind, _]) = mount else { continue };
        let is_shared = ["/mnt", "/media"].iter().any(|shared| is_below(&path.text, shared));
        if kind.text == "swap" || is_shared || path.varies() {
            continue;
        }
        // User Docker's data has this path in the console.
        let place = match path.text.strip_prefix("/var/lib/docker") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("/var/lib/user-docker{rest}"),
            _ => path.text.clone(),
        };
        let overlaps = |host: &str| host == place || is_below(host, &place) || is_below(&place, host);
        let sees = |volume: &str| {
            let volume = volume.replace("{{ etcd.data_dir }}", &context.etcd_data);
            Volume::parse(&volume).ok().and_then(|volume| volume.host).is_some_and(overlaps)
        };
        let mut services = class.services.iter().filter(|planned| planned.origin != Origin::Os && planned.service.is_system());
        let service = services.find(|planned| planned.service.volumes.iter().any(|volume| sees(&volume.text)));
        if let Some(service) = service {
            found.push(
                Diagnostic::new(Code::MountNotSeen, path.span, format!("{} doesn't see what is mounted on {}", service.name, path.text))
                    .why("the console mounts it in its own container: the service writes to the disk below it, or finds nothing there")
                    .help("mount it below /mnt, which is shared with all services"),
            );
        }
    }
}
