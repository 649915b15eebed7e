//! Files: what would not be written, or not where and when it is needed.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, closest};
use crate::line::Line;
use crate::plan::cluster::{Class, Graph, Origin, PlannedFile, PlannedService};
use crate::plan::context::Context;
use crate::plan::decide::engine::OURS;
use crate::plan::decide::files::{HOOK, Writers, decoded, is_on_base_image};
use crate::plan::decide::fleet::DeclaredClass;
use crate::plan::folders::{is_below, volatile};
use crate::profile::{File, FilePath};
use crate::service::AFTER;
use crate::service::form::Volume;
use crate::service::{DETACH, Text};
use crate::target::Target;
use crate::terms::EngineName;
use crate::yaml::{Field, Scalar, Spanned};
use std::collections::BTreeSet;

/// Checks the files of a class: their writers, their paths, and when they exist.
pub(crate) fn check(declared: &DeclaredClass, class: &Class, line: &Line, context: &Context, found: &mut Diagnostics) {
    let (given, target, base_image) = (&declared.settings.files, context.target, context.base_image(declared));
    let writers = Writers { services: &class.services, target, ours: &line.file_writer, base_image: &base_image };
    check_writer(&writers, declared, found);
    for (path, file) in given.iter().filter(|(path, _)| FilePath::parse(&path.value).is_ok()) {
        check_place(path, file, found);
        if let Some(owner) = file.owner.get().filter(|owner| !owner.varies()) {
            found.extend_with(check_owner(&owner.text, target, owner.span));
        }
        if let Some(volatile) = volatile(&path.value).filter(|folder| matches!(*folder, "/proc" | "/sys" | "/dev")) {
            found.push(
                Diagnostic::new(Code::FileNotSeen, path.span, format!("{} is in {volatile}", path.value))
                    .why("it isn't a folder for files: the kernel generates its content")
                    .help("use `sysctl` for kernel parameters, or another path"),
            );
        }
    }
    // All that reads it sees the host's /run/kubernetes/cni at this path, or its image's own folder.
    let of_networks = given.iter().map(|(path, _)| path).filter(|path| is_below(&path.value, "/etc/cni"));
    for path in of_networks.filter(|_| line.pods_in == EngineName::Containerd) {
        found.push(
            Diagnostic::new(Code::FileNotSeen, path.span, format!("{} is in the console's own folder", path.value))
                .why("containerd doesn't see it: it reads the configs of networks in the host's /run/kubernetes/cni")
                .help("write it there, with `network: {backend: none}`"),
        );
    }
    check_folders(given.iter().map(|(path, _)| path), &class.files, found);
    if !found.has_errors() {
        check_order(&class.files, &class.services, &class.graph, found);
    }
}

/// The release line's file writer must still write its files before anything reads them.
fn check_writer(writers: &Writers, kind: &DeclaredClass, found: &mut Diagnostics) {
    let planned = writers.services.iter().find(|planned| planned.name == writers.ours);
    let problem = match planned.map(|planned| &*planned.service) {
        None => "is removed",
        Some(service) if !is_on_base_image(service, writers.base_image) => "isn't on the OS's base image",
        Some(service) if !service.entrypoint.is_absent() => "has another entrypoint than `ros entrypoint`",
        Some(service) if service.label(DETACH) != Some("false") => "isn't waited for: the label io.rancher.os.detach isn't \"false\"",
        Some(service) if !writers.mounts(service).contains("/run") => "doesn't see the host's folders",
        Some(_) => return,
    };
    let span = planned.map_or(kind.span, |planned| planned.service.span);
    let span = kind.settings.services.removed().find(|name| name.value == writers.ours).map_or(span, |name| name.span);
    found.push(
        Diagnostic::new(Code::FileWriter, span, format!("{} {problem}", writers.ours))
            .why("it writes the keys and configs of all other services: none of them could start")
            .help("leave it as it is; use `files` for your own files"),
    );
}

/// A file that a service mounts must exist when the service starts: in place of a missing file,
/// Docker creates a folder.
fn check_order(files: &[PlannedFile], services: &[PlannedService], graph: &Graph, found: &mut Diagnostics) {
    for planned in services.iter().filter(|planned| planned.origin != Origin::Os) {
        let hosts = |volume: &Spanned<Text>| Some((Volume::parse(&volume.text).ok()?.host?.to_owned(), volume.span));
        let hosts: Vec<_> = planned.service.volumes.iter().filter_map(hosts).collect();
        let is_there = |path: &str| {
            // The folder of a one-shot's own program also counts.
            let counts =
                |host: &str| path == host || planned.origin == Origin::User && planned.service.is_one_shot() && is_below(path, host);
            hosts.iter().find(|(host, _)| counts(host)).map(|(_, span)| *span)
        };
        let mounted: Vec<_> = files.iter().filter_map(|file| Some((file, is_there(&file.path)?))).collect();
        if mounted.is_empty() {
            continue;
        }
        let before = graph.before(&planned.name);
        // Nothing in system-docker can wait until the console has written its files. User Docker does.
        let is_written =
            |writer: &str| before.contains(writer) && writer != "console" || writer == "console" && !planned.service.is_system();
        for (file, span) in mounted.into_iter().filter(|(file, _)| file.container != planned.name && !is_written(&file.container)) {
            let help = match file.container.as_str() {
                "console" => "use a path below /opt/kubernetes, and the label `io.rancher.os.after: kubernetes-files`".to_owned(),
                writer => format!("add the label `{AFTER}: {writer}`"),
            };
            found.push(
                Diagnostic::new(Code::FileRace, span, format!("{} may start before {} is written", planned.name, file.path))
                    .why("Docker creates a folder in place of a missing file that it mounts, and then the file can't be written, even at later boots; a missing program fails")
                    .help(help),
            );
        }
    }
}

/// A file can't be below another file.
fn check_folders<'f>(given: impl Iterator<Item = &'f Spanned<String>>, files: &[PlannedFile], found: &mut Diagnostics) {
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    for path in given {
        if let Some(same) = path.value.strip_prefix("/var").filter(|rest| rest.starts_with("/run/") && paths.contains(rest)) {
            found.push(
                Diagnostic::new(Code::FileClash, path.span, format!("{} is {same}: /var/run is a link to /run", path.value))
                    .why("two files have the same path, and the second overwrites the first")
                    .help("remove one of them"),
            );
        }
        let folder = format!("{}/", path.value);
        let above = path.value.match_indices('/').map(|(at, _)| &path.value[..at]).find(|above| paths.contains(above));
        let below = paths.range(folder.as_str()..).next().filter(|below| below.starts_with(&folder)).copied();
        let problem = match (above, below) {
            (Some(above), _) => format!("{} is below {above}, which is a file", path.value),
            (None, Some(below)) => format!("{} is a file, but {below} is below it", path.value),
            (None, None) => continue,
        };
        found.push(
            Diagnostic::new(Code::FileClash, path.span, problem)
                .why("the OS writes one of them, logs a failure for the other, and continues")
                .help("give one of them another path"),
        );
    }
}

/// Files that the OS itself reads or writes.
fn check_place(path: &Spanned<String>, file: &File, found: &mut Diagnostics) {
    const CONFIG: &str = "/var/lib/rancher/conf/cloud-config";
    let given = file.content.value().map_or("", |content| content.text.as_str());
    let text = decoded(given, file);
    let is_decided = |word: &str| {
        let name = word.trim_start_matches("DOCKER_OPTS=").trim_matches(['"', '\'']).split('=').next().unwrap_or_default();
        name.starts_with('-') && OURS.contains(&name.trim_start_matches('-'))
    };
    let (problem, why, help) = match path.value.as_str() {
        "/run/console-done" | "/var/run/console-done" => (
            "is the mark that the console is done",
            "user Docker, and all that waits for it, would start before its files exist",
            "use another path",
        ),
        path if path.starts_with(CONFIG) => (
            "is a config that the OS merges over this one at the next boot",
            "the node's second boot would differ from its first",
            "write its settings in the profile",
        ),
        "/etc/docker/daemon.json" | "/etc/docker/system-docker.json" => (
            "is the engine's own config, but the OS sets its flags",
            "dockerd exits if a setting is in both",
            "use `docker: {…}`: its settings, and `extra_args` for others",
        ),
        path if ["/usr/", "/run/docker.sock", "/var/run/docker.sock", "/run/system-docker.sock", "/var/run/system-docker.sock"]
            .iter()
            .any(|of_os| path.starts_with(of_os)) =>
        {
            ("is the OS's own", "the OS copies or recreates it at every boot, and the node doesn't start without it", "use another path")
        }
        HOOK if text.split_whitespace().any(is_decided) => (
            "sets dockerd's arguments, which remuda decides",
            "if it is given twice or differs, dockerd doesn't start or pods have no network",
            "use `docker: {extra_args: […]}` for other arguments",
        ),
        "/etc/hosts" | "/etc/hostname" | "/etc/resolv.conf" => {
            found.push(
                Diagnostic::new(Code::FileRewritten, path.span, format!("{} is a file that the OS writes itself", path.value))
                    .why("after a boot, either of the two may be there")
                    .help("use `network: {nameservers: […], search: […]}` for name servers, or `extra_hosts` for the names that one service needs"),
            );
            return;
        }
        _ => return,
    };
    found.push(Diagnostic::new(Code::FileOfOs, path.span, format!("{} {problem}", path.value)).why(why).help(help));
}

/// `USER[:GROUP]`, as chown takes it.
pub fn check_owner(owner: &str, target: &Target, span: Option<Span>) -> Option<Diagnostic> {
    let known = || target.users.iter().map(String::as_str);
    let parts: Vec<&str> = owner.split(':').collect();
    let is_number = |part: &str| part.parse::<u32>().is_ok() && part.chars().all(|c| c.is_ascii_digit());
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    };
    if parts.len() > 2 || !parts.iter().all(|part| is_number(part) || is_name(part)) {
        return Some(
            Diagnostic::new(Code::InvalidValue, span, format!("`{owner}` isn't an owner"))
                .why("chown fails, and then the OS doesn't write the file at all")
                .help("write `USER` or `USER:GROUP`, names or numbers"),
        );
    }
    let unknown = parts.iter().find(|part| !is_number(part) && !known().any(|known| known == **part))?;
    Some(
        Diagnostic::new(Code::UnknownOwner, span, format!("the OS has no user or group `{unknown}`"))
            .why("chown would fail, and then the OS doesn't write the file at all")
            .help(closest(unknown, known()).map_or("write its number: numbers always work".to_owned(), |meant| {
                format!("did you mean `{meant}`? Numbers always work")
            })),
    )
}
