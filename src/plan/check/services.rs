//! Checks for what silently keeps a service from starting or makes it start wrongly: values that an
//! engine refuses, keys that contradict each other, services that conflict.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, closest};
use crate::line::Line;
use crate::plan::cluster::{Origin, PlannedService};
use crate::plan::context::Context;
use crate::plan::folders::{mode_less, volatile};
use crate::plan::refused::{lost, no_template, refused};
use crate::plan::secrets::{key_in_profile, login_in_url, looks_like_a_key};
use crate::service::form::Ports;
use crate::service::form::Volume;
use crate::service::{AFTER, CREATE_ONLY, Command, DETACH, SCOPE, Service, Text, Value, form, unfit};
use crate::target::Target;
use crate::terms::{Delivery, EngineName};
use crate::yaml::{Field, Given, List, Map, Spanned};
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// What takes the backend's port.
pub(crate) const FLANNEL: &str = "flannel";

/// Checks all services of a kind of node, each by itself and against the others.
pub(crate) fn check(
    services: &[PlannedService],
    node_ports: &RangeInclusive<u16>,
    context: &Context,
    line: &Line,
    base_image: &str,
    environment: &Map<Given<Text>>,
    found: &mut Diagnostics,
) {
    let is_lossy = line.loss_on(context.target).is_some();
    for planned in services {
        check_one(planned, context, base_image, environment, found);
        if planned.origin == Origin::User {
            found.extend_with(anonymous_volumes(planned));
        }
        // `check::line` has said what is lost of the line's own.
        if planned.origin != Origin::Line || !is_lossy {
            found.extend_with(context.target.dialect.losses(&planned.service).map(|(loss, span)| lost(loss, span)));
        }
    }
    for (_, value) in environment.iter() {
        found.extend_with(value.get().and_then(|value| login_in_url(&value.value, value.span)));
    }
    check_ports(services, node_ports, line, context, found);
    check_links(services, found);
}

/// Docker doesn't link containers on the host's network.
fn check_links(services: &[PlannedService], found: &mut Diagnostics) {
    let on_host = |name: &str| {
        let other = services.iter().find(|planned| planned.name == name);
        other.and_then(|planned| planned.service.net.value()).is_some_and(|net| net.text == "host")
    };
    for planned in services {
        for link in planned.service.links.iter().filter(|link| on_host(mode_less(&link.text))) {
            found.push(
                Diagnostic::new(Code::LinksOnHostNetwork, link.span, format!("`{}` is on the host's network", mode_less(&link.text)))
                    .why(format!("Docker doesn't link such a container: {} would never start", planned.name))
                    .help("remove the link, and reach it at the node's address"),
            );
        }
    }
}

fn check_one(planned: &PlannedService, context: &Context, base_image: &str, environment: &Map<Given<Text>>, found: &mut Diagnostics) {
    let (name, service) = (&planned.name, &*planned.service);
    check_values(name, service, context.target, found);
    check_secrets(service, found);
    check_labels(name, service, context.target, found);
    check_order(service, found);
    check_volumes(service, found);
    check_environment(name, service, environment, context, found);
    if planned.origin != Origin::Line {
        check_commands(name, service, found);
    }
    check_sorted(name, service, found);
    if planned.origin == Origin::User {
        check_image(name, service, context, base_image, found);
        check_engine(name, service, context, found);
    }
    check_network(name, service, context, found);
    check_limits(service, context.target, found);
    check_log(name, service, found);
    check_changed(planned, context, found);
}

/// Checks each value as written; rendered values are checked when a node is rendered.
fn check_values(name: &str, service: &Service, target: &Target, found: &mut Diagnostics) {
    let one = |key: &str, text: &Text, span: Option<Span>| {
        let misfit = Some(text).filter(|text| !text.varies()).and_then(|text| target.misfit((name, service.is_system()), key, &text.text));
        misfit.map(|misfit| refused(name, misfit, span))
    };
    service.visit(|key, value| match value {
        Value::Text(text) => found.extend_with(one(key, &text.value, text.span)),
        Value::Command(command) => match &command.value {
            Command::Line(text) => found.extend_with(one(key, text, command.span)),
            Command::Words(_) => {}
        },
        Value::List(list) => found.extend_with(list.iter().filter_map(|item| one(key, &item.value, item.span))),
        Value::Map(map) => check_keys(map, found),
        Value::Vars(vars) => check_keys(&vars.values, found),
        Value::Flag(_) => {}
        Value::Int(number) => found.extend_with(form::misfit_number(key, number.value.0).map(|misfit| refused(name, misfit, number.span))),
        Value::Ints(map) => {
            let misfits = map.iter().filter_map(|(limit, _)| Some((form::misfit_ulimit(&limit.value)?, limit.span)));
            found.extend_with(misfits.map(|(misfit, span)| refused(name, misfit, span)));
        }
    });
}

/// The options of the service's log driver.
fn check_log(name: &str, service: &Service, found: &mut Diagnostics) {
    let driver = service.log_driver.value().map(|driver| driver.text.as_str());
    for (option, value) in service.log_opt.iter() {
        let Some(value) = value.get().filter(|value| !value.varies()) else { continue };
        let misfit = form::misfit_log_opt(driver, &option.value, &value.text, service.is_system());
        found.extend_with(misfit.map(|misfit| refused(name, misfit, option.span)));
    }
}

fn check_secrets(service: &Service, found: &mut Diagnostics) {
    service.for_each_text(|text, span| {
        if looks_like_a_key(&text.text) {
            found.push(key_in_profile(span, "this contains a private key"));
        } else {
            found.extend_with(login_in_url(text, span));
        }
    });
}

/// Keys are in a node's config just like values.
pub(crate) fn check_keys<V>(map: &Map<V>, found: &mut Diagnostics) {
    for (key, _) in map.iter() {
        if let Some((problem, why)) = unfit(&key.value) {
            found.push(Diagnostic::new(Code::UnfitValue, key.span, problem).why(why).help("use another name, in printable ASCII"));
        }
    }
}

fn check_labels(name: &str, service: &Service, target: &Target, found: &mut Diagnostics) {
    let known = || target.labels.iter().map(String::as_str);
    let is_known = |label: &str| known().any(|known| known == label);
    for (label, value) in service.labels.values.iter() {
        if label.value.starts_with("io.rancher.os") && !is_known(&label.value) {
            found.push(
                Diagnostic::new(Code::UnknownLabel, label.span, format!("unknown OS label `{}`", label.value))
                    .why("the OS silently ignores it, and the service starts differently than you intend")
                    .help(
                        closest(&label.value, known())
                            .map_or(format!("the labels are {}", target.labels.join(", ")), |meant| format!("did you mean `{meant}`?")),
                    ),
            );
        }
        let Some(value) = value.get() else { continue };
        if is_known(&label.value) && value.varies() {
            found.push(no_template(&label.value, value.span));
            continue;
        }
        let expected: &[&str] = match label.value.as_str() {
            SCOPE => &["system"],
            DETACH | CREATE_ONLY | "io.rancher.os.reloadconfig" => &["true", "false"],
            _ => continue,
        };
        if !expected.contains(&value.text.as_str()) {
            found.push(
                Diagnostic::new(Code::InvalidValue, value.span, format!("`{}` of {name} is `{}`", label.value, value.text))
                    .why("the OS compares it literally and treats anything else as absent")
                    .help(format!("write {}", expected.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or "))),
            );
        }
    }
    let always = service.restart.get().filter(|restart| restart.text == "always");
    if let (true, Some(restart)) = (service.is_one_shot(), always) {
        found.push(
            Diagnostic::new(Code::OneShotRestarts, restart.span, format!("{name} is a one-shot, but has `restart: always`"))
                .why("dependents continue when it has exited once, but it is restarted indefinitely")
                .help("remove `restart`, and let the program itself retry"),
        );
    }
}

/// Keys that link containers also decide the start order.
fn check_order(service: &Service, found: &mut Diagnostics) {
    for (key, list) in [("links", &service.links), ("volumes_from", &service.volumes_from)] {
        for item in list.iter().filter(|item| item.varies()) {
            found.push(no_template(key, item.span));
        }
    }
    if let Some(net) = service.net.get().filter(|net| net.varies()) {
        found.push(no_template("net", net.span));
    }
}

/// Two mounts at the same path in a container.
pub fn check_mounts<'v>(volumes: impl Iterator<Item = (&'v str, Option<Span>)>, found: &mut Diagnostics) {
    let mut mounted: Vec<(Vec<&str>, Option<Span>)> = Vec::new();
    for (text, span) in volumes {
        let Ok(volume) = Volume::parse(text) else { continue };
        let inside: Vec<&str> = volume.inside.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if let Some((_, first)) = mounted.iter().find(|(other, _)| *other == inside) {
            let help = match volume.inside.trim_end_matches('/') {
                "/var/lib/etcd" => "remove it; `etcd: {data_dir: …}` sets the folder of the data",
                _ => "keep one of them; `!override […]` replaces the list of a weaker level",
            };
            found.push(
                Diagnostic::new(Code::DuplicateMount, span, format!("two mounts at {}", volume.inside))
                    .related(*first, "the other")
                    .why("Docker refuses the container (\"Duplicate mount point\"): it would never start")
                    .help(help),
            );
        }
        mounted.push((inside, span));
    }
}

fn check_volumes(service: &Service, found: &mut Diagnostics) {
    check_mounts(service.volumes.iter().filter(|given| !given.varies()).map(|given| (given.text.as_str(), given.span)), found);
    for given in service.volumes.iter() {
        let Ok(volume) = Volume::parse(&given.text) else { continue };
        let Some((host, folder)) = volume.host.and_then(|host| Some((host, volatile(host)?))) else { continue };
        let is_data = ["/data", "/var/lib", "/srv", "/var/db"].iter().any(|data| volume.inside.starts_with(data)) || folder == "/tmp";
        let is_read = volume.mode.split(',').any(|mode| mode == "ro") || volume.inside.ends_with(".sock");
        if is_data && volume.inside != host && !is_read {
            found.push(
                Diagnostic::new(Code::VolatileData, given.span, format!("{} is on the host in {host}", volume.inside))
                    .why(format!("{folder} is empty after every boot"))
                    .help("use a path on the state partition, below /opt or /var/lib"),
            );
        }
    }
}

fn check_environment(name: &str, service: &Service, environment: &Map<Given<Text>>, context: &Context, found: &mut Diagnostics) {
    // The OS also finds the proxy there (pkg/docker, environmentFromCloudConfig).
    let of_proxy = |wanted: &str| context.proxy.as_ref().is_some_and(|proxy| proxy.variable(wanted).is_some());
    for bare in service.environment.bare.iter() {
        // As the OS looks it up: first for this service, then for all services; `NAME*` is every
        // name with this prefix.
        let has = |wanted: &str| match wanted.strip_suffix('*') {
            Some(start) => environment.iter().any(|(name, _)| name.value.starts_with(start)),
            None => environment.get(wanted).is_some() || of_proxy(wanted),
        };
        if !bare.varies() && !has(&bare.text) && !has(&format!("{name}/{}", bare.text)) {
            found.push(
                Diagnostic::new(Code::EmptyVariable, bare.span, format!("`{}` has no value, neither here nor in `environment`", bare.text))
                    .why("the node looks it up in rancher.environment, where it would be empty")
                    .help(format!("write `{}=VALUE`, or set it under `environment`", bare.text)),
            );
        }
    }
    for (variable, value) in service.environment.values.iter() {
        let Some(value) = value.get().filter(|value| value.text.is_empty()) else { continue };
        let others = [format!("{name}/{}", variable.value), variable.value.clone()];
        let arrives = match others.iter().find_map(|other| environment.get(other)) {
            Some(_) => format!("it would get the value that the node's `environment` has for {}", variable.value),
            None => "the service wouldn't have the variable at all".to_owned(),
        };
        found.push(
            Diagnostic::new(Code::EmptyVariable, value.span, format!("`{}` is empty", variable.value))
                .why(format!("the OS looks up a variable without a value in rancher.environment: {arrives}"))
                .help("remove it; a program that needs it empty can be started by `env NAME= PROGRAM`"),
        );
    }
    for label in service.labels.bare.iter() {
        found.push(
            Diagnostic::new(Code::InvalidValue, label.span, format!("the label `{}` has no value", label.text)).help("write NAME=VALUE"),
        );
    }
}

/// Only a shell reads `$NAME`.
fn check_commands(name: &str, service: &Service, found: &mut Diagnostics) {
    let words = |command: &Command| match command {
        Command::Line(text) => shlex::split(&text.text).unwrap_or_default(),
        Command::Words(words) => words.iter().map(|word| word.text.clone()).collect(),
    };
    let commands = [&service.entrypoint, &service.command].into_iter().filter_map(Given::get);
    let commands: Vec<_> = commands.map(|command| (command.span, words(&command.value))).collect();
    let is_shell = |word: &String| matches!(word.rsplit('/').next(), Some("sh" | "ash" | "bash" | "dash"));
    if commands.iter().any(|(_, words)| words.iter().any(is_shell)) {
        return;
    }
    for (span, words) in commands {
        if let Some(variable) = words.iter().find_map(|word| variable_in(word)) {
            found.push(
                Diagnostic::new(Code::UnreadVariable, span, format!("no shell replaces `{variable}` in this command of {name}"))
                    .why("the OS starts the program itself, which gets this text instead of the variable's value")
                    .help("run it in a shell: `[sh, -c, \"exec PROGRAM …\"]`; or write the value, with `!template` if it differs from node to node"),
            );
        }
    }
}

/// The first `$NAME` or `${NAME}` in a text.
fn variable_in(text: &str) -> Option<&str> {
    text.match_indices('$').find_map(|(at, _)| {
        let rest = &text[at + 1..];
        let name = rest.strip_prefix('{').unwrap_or(rest);
        let length = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        let is_name = length > 0 && !name.starts_with(|c: char| c.is_ascii_digit());
        let closed = name.len() == rest.len() || name[length..].starts_with('}');
        let end = at + 1 + (rest.len() - name.len()) * 2 + length;
        (is_name && closed).then(|| &text[at..end])
    })
}

/// The OS sorts these lists.
fn check_sorted(name: &str, service: &Service, found: &mut Diagnostics) {
    for (key, list) in [("dns", &service.dns), ("dns_search", &service.dns_search)] {
        if list.values().any(Text::varies) || list.values().map(|item| &item.text).is_sorted() {
            continue;
        }
        let mut sorted: Vec<&str> = list.values().map(|item| item.text.as_str()).collect();
        sorted.sort_unstable();
        found.push(
            Diagnostic::new(Code::SortedList, list.iter().next().and_then(|item| item.span), format!("{name}'s `{key}` loses its order"))
                .why(format!("the OS sorts it as texts: {} would come first", sorted[0]))
                .help("write it sorted, or only its first item"),
        );
    }
}

fn check_image(name: &str, service: &Service, context: &Context, base_image: &str, found: &mut Diagnostics) {
    let Some(image) = service.image.get() else {
        if service.image.is_absent() {
            found.push(
                Diagnostic::new(Code::NoImage, service.span, format!("{name} has no image"))
                    .why("the OS silently skips a service that it can't load")
                    .help("add `image: NAME:TAG`"),
            );
        }
        return;
    };
    if image.text.is_empty() {
        return;
    }
    let last = image.text.rsplit('/').next().unwrap_or_default();
    let is_base = last.starts_with("os-base") || image.text.contains("os.base_image");
    let has_ros = service.volumes_from.values().any(|from| matches!(mode_less(&from.text), "command-volumes" | "all-volumes"))
        || service.volumes.values().any(|volume| volume.text.contains("/usr/bin/ros"));
    if is_base && !has_ros {
        found.push(
            Diagnostic::new(Code::BaseWithoutRos, image.span, format!("{name} runs on the OS's base image without `ros`"))
                .why("its entrypoint is `ros entrypoint`, but the image doesn't contain `ros`: it doesn't start")
                .help("add `volumes_from: [command-volumes]`"),
        );
    }
    if !image.template && !last.contains(':') && !image.text.contains('@') || last.ends_with(":latest") {
        found.push(
            Diagnostic::new(Code::UnpinnedImage, image.span, format!("`{}` has no version", image.text))
                .why("two nodes, or one node after a reboot, may run different images")
                .help("add a tag or a digest"),
        );
    }
    let is_base = is_base && (image.template || image.text == base_image);
    let packed = context.packed.iter().filter(|(name, one, _)| *one == image.text || image.template && names_component(&image.text, name));
    let engines: Vec<EngineName> = packed.map(|(_, _, engine)| *engine).collect();
    let own = if service.is_system() { EngineName::SystemDocker } else { EngineName::Docker };
    let elsewhere = if is_base { !service.is_system() } else { !engines.is_empty() && !engines.contains(&own) };
    if elsewhere && (is_base || context.delivery.is_some_and(Delivery::is_loaded)) {
        found.push(
            Diagnostic::new(Code::OtherEngine, image.span, format!("{name} runs in {own}, but its image is in the other engine"))
                .why("an engine doesn't see the other engine's images: the service fails, and isn't tried again until the next boot")
                .help(format!(
                    "add the label `{SCOPE}: system` for system-docker, or remove it for user Docker; or pack the image for {own} too"
                )),
        );
        return;
    }
    let after = service.label(AFTER).unwrap_or_default();
    let waits = after.split(',').any(|after| after.trim() == "component-images");
    if service.is_system() && engines.contains(&own) && !waits && matches!(context.delivery, Some(Delivery::Url | Delivery::Drive)) {
        found.push(
            Diagnostic::new(
                Code::PreloadRace,
                service.labels.get(AFTER).map_or(service.span, |after| after.span),
                format!("{name} doesn't wait for this node's images"),
            )
            .why("at the first boot, its image isn't loaded yet; a service without its image fails until the next boot")
            .help(format!("add the label `{AFTER}: component-images`")),
        );
    }
    let is_packed = is_base || !engines.is_empty() || image.template && image.text.contains("images");
    if !is_packed && context.delivery.is_some_and(Delivery::is_loaded) {
        found.push(
            Diagnostic::new(Code::ImageNotPacked, image.span, format!("remuda doesn't pack the image of {name}"))
                .why("if the node can't pull it in time, the service fails and isn't tried again until the next boot")
                .help("add it under `images.components` (with `name`, `engine` and `from`), put it into the node's preload folder yourself, or make sure that the node reaches its registry"),
        );
    }
}

/// Whether a template is the image of a component: `{{ images.NAME }}` or `{{ images['NAME'] }}`.
fn names_component(template: &str, name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    template.split("images").skip(1).any(|rest| rest.trim_start_matches(['.', '[', '\'', '"']).split(|c| !word(c)).next() == Some(name))
}

fn check_engine(name: &str, service: &Service, context: &Context, found: &mut Diagnostics) {
    let after = service.label(AFTER).unwrap_or_default();
    let waits = after.split(',').any(|after| after.trim() == "preload-user-images");
    if !service.is_system() && context.delivery.is_some_and(Delivery::is_loaded) && !waits {
        found.push(
            Diagnostic::new(Code::PreloadRace, service.labels.get(AFTER).map_or(service.span, |after| after.span), format!("{name} runs in user Docker and doesn't wait for its preloaded images"))
                .why("it starts as soon as user Docker answers, while images may still be loading; a service without its image fails until the next boot")
                .help(format!("add the label `{AFTER}: preload-user-images`, or `{SCOPE}: system` to run it in system-docker")),
        );
    }
}

fn check_network(name: &str, service: &Service, context: &Context, found: &mut Diagnostics) {
    let net = service.net.value().map_or("", |net| net.text.as_str());
    // What isn't set has no place.
    let mut contradicts = |code, key: &str, span: Option<Span>, net: &str, why: &str| {
        if let Some(span) = span {
            found.push(Diagnostic::new(code, span, format!("{name} has both `{key}` and `{net}`")).why(why).help("remove one of them"));
        }
    };
    const REFUSED: &str = "Docker refuses the container: the two contradict each other";
    let first = |list: &List<Text>| list.items.first().and_then(|item| item.span);
    let is_joined = net.starts_with("container:");
    if net == "none" {
        contradicts(Code::ContradictingNetwork, "ports", first(&service.ports), "net: none", "no packet ever reaches the ports");
    }
    if net == "host" || is_joined {
        let shown = if is_joined { "net: container:…" } else { "net: host" };
        contradicts(Code::LinksOnHostNetwork, "links", first(&service.links), shown, REFUSED);
        contradicts(Code::ContradictingNetwork, "mac_address", service.mac_address.span(), shown, REFUSED);
        let why =
            if is_joined { REFUSED } else { "Docker silently ignores the ports: the service listens on the ports that it opens itself" };
        contradicts(Code::PortsOnHostNetwork, "ports", first(&service.ports), shown, why);
    }
    if is_joined {
        let alone = [("expose", &service.expose), ("dns", &service.dns), ("extra_hosts", &service.extra_hosts)];
        for (key, list) in alone {
            contradicts(Code::ContradictingNetwork, key, first(list), "net: container:…", REFUSED);
        }
        contradicts(Code::ContradictingNetwork, "hostname", service.hostname.span(), "net: container:…", REFUSED);
    }
    if service.uts.value().is_some_and(|uts| uts.text == "host") {
        contradicts(Code::ContradictingNetwork, "hostname", service.hostname.span(), "uts: host", REFUSED);
    }
    let starts = matches!(&service.image, Given::Is(_)) && service.label(CREATE_ONLY) != Some("true");
    if service.is_system() && matches!(net, "" | "bridge" | "default") && !context.target.system_docker_bridge && starts {
        found.push(
            Diagnostic::new(Code::NoNetwork, service.net.get().map_or(service.span, |net| net.span), format!("{name} has no network"))
                .why(format!("system-docker of {} has no bridge", context.target.title))
                .help("write `net: host`, or `net: none` if it needs no network"),
        );
    }
}

/// The swap limit covers memory and swap together.
fn check_limits(service: &Service, target: &Target, found: &mut Diagnostics) {
    if service.is_system() && !target.system_docker_limits {
        let limits = [
            ("mem_limit", service.mem_limit.span()),
            ("memswap_limit", service.memswap_limit.span()),
            ("cpu_quota", service.cpu_quota.span()),
            ("cpu_shares", service.cpu_shares.span()),
            ("cpuset", service.cpuset.span()),
        ];
        for (key, span) in limits.into_iter().filter(|(_, span)| span.is_some()) {
            found.push(
                Diagnostic::new(Code::NoEffect, span, format!("`{key}` limits nothing in system-docker"))
                    .why(format!("system-docker of {} has no cgroups: the service can take all of the node", target.title))
                    .help("remove it, or run the service in user Docker"),
            );
        }
    }
    let memory = service.mem_limit.value().map_or(0, |limit| limit.0);
    if let Some(swap) = service.memswap_limit.get().filter(|swap| swap.0 > 0 && (memory == 0 || swap.0 < memory)) {
        found.push(
            Diagnostic::new(Code::InvalidValue, swap.span, "`memswap_limit` is less than `mem_limit`, or there is no `mem_limit`")
                .why("Docker refuses the container: it limits memory and swap together")
                .help("set `mem_limit`, and `memswap_limit` to at least as much"),
        );
    }
}

/// A port of the host: its address (empty for all), the service that takes it, and its place.
type Taken<'s> = HashMap<(u16, &'static str), Vec<(&'s str, &'s str, Option<Span>)>>;

fn check_ports(services: &[PlannedService], node_ports: &RangeInclusive<u16>, line: &Line, context: &Context, found: &mut Diagnostics) {
    let (mut taken, api_port) = (Taken::default(), context.port);
    for (port, program) in &context.target.ports {
        taken.insert((*port, "tcp"), vec![("", program, None)]);
    }
    taken.extend(context.backend.port().map(|port| ((port, "udp"), vec![("", FLANNEL, None)])));
    if api_port.1.is_some() {
        found.extend_with(node_port(api_port.0..=api_port.0, api_port.1, "the API server", node_ports, line));
    }
    let ours = |port: &str| if port.contains("api.port") { Some(api_port.0) } else { port.parse().ok() };
    for planned in services {
        let of_line = line.services.iter().filter(|service| planned.origin == Origin::Line && service.name == planned.name);
        for port in of_line.flat_map(|service| &service.ports).filter_map(|port| ours(port)) {
            let takers = taken.entry((port, "tcp")).or_default();
            if let Some((_, other, _)) = takers.first() {
                found.push(
                    Diagnostic::new(Code::PortClash, api_port.1, format!("{} and {other} both take port {port}", planned.name))
                        .why("the second one to start exits again and again")
                        .help("change `api.port`"),
                );
            }
            takers.push(("", &planned.name, None));
        }
    }
    for planned in services {
        for given in planned.service.ports.iter() {
            let Ok(ports) = Ports::parse(&given.text) else { continue };
            found.extend_with(unusual_ports(&ports, given, planned, node_ports, line));
            let address = if ports.address == "0.0.0.0" { "" } else { ports.address };
            for port in ports.taken().into_iter().flatten() {
                let takers = taken.entry((port, ports.protocol)).or_default();
                let clash = takers.iter().find(|(other, ..)| other.is_empty() || address.is_empty() || *other == address);
                if let Some((_, other, span)) = clash {
                    found.push(
                        Diagnostic::new(Code::PortClash, given.span, format!("{other} already takes port {port} of the node"))
                            .related(*span, "taken here")
                            .why("the second one to start fails, and isn't tried again until the next boot")
                            .help("use another port"),
                    );
                    break;
                }
                takers.push((address, &planned.name, given.span));
            }
        }
    }
}

/// A port that nobody can know, or that a service of Kubernetes may get.
fn unusual_ports(
    ports: &Ports,
    given: &Spanned<Text>,
    planned: &PlannedService,
    node_ports: &RangeInclusive<u16>,
    line: &Line,
) -> Option<Diagnostic> {
    let Some(taken) = ports.taken() else {
        return Some(
            Diagnostic::new(Code::RandomPort, given.span, format!("the engine chooses the node's port for {}", given.text))
                .why(format!("it is another one each time that {} is made: nobody can know where to reach it", planned.name))
                .help(format!("write `HOST:CONTAINER`, like `{0}:{0}`", ports.container.start())),
        );
    };
    node_port(taken, given.span, &planned.name, node_ports, line)
}

/// A port that Kubernetes may give to a service.
fn node_port(
    taken: RangeInclusive<u16>,
    span: Option<Span>,
    name: &str,
    node_ports: &RangeInclusive<u16>,
    line: &Line,
) -> Option<Diagnostic> {
    let is_within = taken.start() <= node_ports.end() && taken.end() >= node_ports.start();
    (is_within && line.services.iter().any(|service| service.name == "kube-proxy")).then(|| {
        Diagnostic::new(Code::NodePort, span, format!("port {} is one that Kubernetes gives to services of type NodePort", taken.start()))
            .why(format!("when a service gets it, kube-proxy takes the packets, and {name} gets none"))
            .help(format!("use a port outside {}-{}", node_ports.start(), node_ports.end()))
    })
}

/// A volume without a name, in which data is lost.
fn anonymous_volumes(planned: &PlannedService) -> impl Iterator<Item = Diagnostic> {
    let is_anonymous = |volume: &&Spanned<Text>| Volume::parse(&volume.text).is_ok_and(|volume| volume.host.is_none());
    planned.service.volumes.iter().filter(is_anonymous).map(|volume| {
        Diagnostic::new(Code::AnonymousVolume, volume.span, format!("{} names a folder of the container only", volume.text))
            .why(format!(
                "it isn't the node's folder: each time that {} is made again, it gets an empty one, and the old one fills the disk",
                planned.name
            ))
            .help(format!("to mount the node's folder, write `{0}:{0}`", volume.text))
    })
}

/// A change must not keep one of the line's or the OS's own services from starting.
fn check_changed(planned: &PlannedService, context: &Context, found: &mut Diagnostics) {
    let service = &*planned.service;
    if planned.origin == Origin::User {
        return;
    }
    let built_in = context.target.services.get(&planned.name);
    let created = service.labels.get(CREATE_ONLY).filter(|label| label.text == "true");
    // A line may keep the OS from starting a service of its own.
    let is_meant = built_in.is_some_and(|built_in| built_in.create_only || planned.origin == Origin::Line);
    if let Some(label) = created.filter(|_| !is_meant) {
        found.push(
            Diagnostic::new(Code::NeverStarted, label.span, format!("{} would be created but never started", planned.name))
                .why("services that start after it would continue without it")
                .help("remove the label"),
        );
    }
    if planned.origin == Origin::Line && built_in.is_none() && !service.is_system() {
        found.push(
            Diagnostic::new(Code::OtherEngine, service.span, format!("{} would run in user Docker", planned.name))
                .why("its image and the services that it needs are in system-docker: it would never start or not find them")
                .help("keep the label `io.rancher.os.scope: system`"),
        );
    }
}
