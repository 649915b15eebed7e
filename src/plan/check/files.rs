//! Files: what would not be written, or not where and when it is needed.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, closest};
use crate::line::Line;
use crate::plan::cluster::{Class, Graph, Origin, PlannedFile, PlannedService};
use crate::plan::context::Context;
use crate::plan::decide::engine::OURS;
use crate::plan::decide::files::{HOOK, Writers, decoded, is_on_base_image};
use crate::plan::decide::fleet::DeclaredClass;
use crate::plan::folders::{is_below, volatile};
use crate::profile::{AbsPath, File};
use crate::service::AFTER;
use crate::service::form::Volume;
use crate::service::{DETACH, Text};
use crate::target::Target;
use crate::yaml::{Field, Scalar, Spanned};
use std::collections::BTreeSet;

/// The files of a class: who writes them, where they lie, and when they are there.
pub fn check(declared: &DeclaredClass, class: &Class, line: &Line, context: &Context, found: &mut Diagnostics) {
    let (given, target, base_image) = (&declared.settings.files, context.target, context.base_image(declared));
    let writers = Writers { services: &class.services, target, ours: &line.file_writer, base_image: &base_image };
    check_writer(&writers, declared, found);
    for (path, file) in given.iter().filter(|(path, _)| AbsPath::parse(&path.value).is_ok()) {
        check_place(path, file, found);
        if let Some(owner) = file.owner.get().filter(|owner| !owner.varies()) {
            found.extend_with(check_owner(&owner.text, target, owner.span));
        }
        if let Some(volatile) = volatile(&path.value).filter(|folder| matches!(*folder, "/proc" | "/sys" | "/dev")) {
            found.push(
                Diagnostic::new(Code::FileNotSeen, path.span, format!("{} lies in {volatile}", path.value))
                    .why("that is no folder for files: the kernel makes it up")
                    .help("use `sysctl` for kernel parameters, or another path"),
            );
        }
    }
    check_folders(given.iter().map(|(path, _)| path), &class.files, found);
    if !found.has_errors() {
        check_order(&class.files, &class.services, &class.graph, found);
    }
}

/// The release line's own must still write its files, before anything reads them.
fn check_writer(writers: &Writers, kind: &DeclaredClass, found: &mut Diagnostics) {
    let planned = writers.services.iter().find(|planned| planned.name == writers.ours);
    let problem = match planned.map(|planned| &*planned.service) {
        None => "is taken away",
        Some(service) if !is_on_base_image(service, writers.base_image) => "isn't on the OS's base image",
        Some(service) if !service.entrypoint.is_absent() => "has another entrypoint than `ros entrypoint`",
        Some(service) if service.label(DETACH) != Some("false") => "isn't waited for: the label io.rancher.os.detach is not \"false\"",
        Some(service) if !writers.mounts(service).contains("/run") => "doesn't see the host's folders",
        Some(_) => return,
    };
    let span = planned.map_or(kind.span, |planned| planned.service.span);
    let span = kind.settings.services.removed().find(|name| name.value == writers.ours).map_or(span, |name| name.span);
    found.push(
        Diagnostic::new(Code::FileWriter, span, format!("{} {problem}", writers.ours))
            .why("it writes the keys and configs of all the others: none of them could start")
            .help("leave it as it is; for files of your own, use `files`"),
    );
}

/// What a service mounts must be there when it starts: Docker makes a folder of a file that isn't.
fn check_order(files: &[PlannedFile], services: &[PlannedService], graph: &Graph, found: &mut Diagnostics) {
    for planned in services.iter().filter(|planned| planned.origin != Origin::Os) {
        let hosts = |volume: &Spanned<Text>| Some((Volume::parse(&volume.text).ok()?.host?.to_owned(), volume.span));
        let hosts: Vec<_> = planned.service.volumes.iter().filter_map(hosts).collect();
        let is_there = |path: &str| {
            // A folder that a one-shot takes its own program from counts too.
            let counts =
                |host: &str| path == host || planned.origin == Origin::User && planned.service.is_one_shot() && is_below(path, host);
            hosts.iter().find(|(host, _)| counts(host)).map(|(_, span)| *span)
        };
        let mounted: Vec<_> = files.iter().filter_map(|file| Some((file, is_there(&file.path)?))).collect();
        if mounted.is_empty() {
            continue;
        }
        let before = graph.before(&planned.name);
        // Nothing in system-docker can wait until the console has written its files; user Docker does.
        let is_written =
            |writer: &str| before.contains(writer) && writer != "console" || writer == "console" && !planned.service.is_system();
        for (file, span) in mounted.into_iter().filter(|(file, _)| file.container != planned.name && !is_written(&file.container)) {
            let help = match file.container.as_str() {
                "console" => "use a path below /opt/kubernetes, and the label `io.rancher.os.after: kubernetes-files`".to_owned(),
                writer => format!("add the label `{AFTER}: {writer}`"),
            };
            found.push(
                Diagnostic::new(Code::FileRace, span, format!("{} may start before {} is written", planned.name, file.path))
                    .why("Docker makes a folder where a file that it mounts isn't there yet, and then the file can't be written, at later boots too; a program that isn't there fails")
                    .help(help),
            );
        }
    }
}

/// A file can't lie below another file.
fn check_folders<'f>(given: impl Iterator<Item = &'f Spanned<String>>, files: &[PlannedFile], found: &mut Diagnostics) {
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    for path in given {
        if let Some(same) = path.value.strip_prefix("/var").filter(|rest| rest.starts_with("/run/") && paths.contains(rest)) {
            found.push(
                Diagnostic::new(Code::FileClash, path.span, format!("{} is {same}: /var/run is a link to /run", path.value))
                    .why("two files are written to one place, and the second stays")
                    .help("leave one of them out"),
            );
        }
        let folder = format!("{}/", path.value);
        let above = path.value.match_indices('/').map(|(at, _)| &path.value[..at]).find(|above| paths.contains(above));
        let below = paths.range(folder.as_str()..).next().filter(|below| below.starts_with(&folder)).copied();
        let problem = match (above, below) {
            (Some(above), _) => format!("{} lies below {above}, which is a file", path.value),
            (None, Some(below)) => format!("{} is a file, and {below} lies below it", path.value),
            (None, None) => continue,
        };
        found.push(
            Diagnostic::new(Code::FileClash, path.span, problem)
                .why("the OS writes one of them, logs a failure for the other and goes on")
                .help("give one of them another path"),
        );
    }
}

/// Files that the OS reads or writes for itself.
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
            "is the sign that the console is done",
            "user Docker and all that waits for it would start before its files are there",
            "use another path",
        ),
        path if path.starts_with(CONFIG) => (
            "is a config that the OS merges over this one at the next boot",
            "the node would come up differently the second time than the first",
            "put what it says into the profile",
        ),
        "/etc/docker/daemon.json" | "/etc/docker/system-docker.json" => (
            "is the engine's own config, and the OS gives it flags",
            "dockerd exits on what it is told twice",
            "use `docker: {…}`: its settings, and `extra_args` for others",
        ),
        path if ["/usr/", "/run/docker.sock", "/var/run/docker.sock", "/run/system-docker.sock", "/var/run/system-docker.sock"]
            .iter()
            .any(|of_os| path.starts_with(of_os)) =>
        {
            ("is the OS's own", "it is copied or made anew at every boot, and the node doesn't come up without it", "use another path")
        }
        HOOK if text.split_whitespace().any(is_decided) => (
            "gives dockerd arguments that remuda decides",
            "given twice, or differently, dockerd doesn't start or pods have no network",
            "use `docker: {extra_args: […]}` for other arguments",
        ),
        "/etc/hosts" | "/etc/hostname" | "/etc/resolv.conf" => {
            found.push(
                Diagnostic::new(Code::FileRewritten, path.span, format!("{} is a file that the OS writes itself", path.value))
                    .why("which of the two is there after a boot is a matter of luck")
                    .help("use `network: {nameservers: […], search: […]}` for names of servers, `extra_hosts` for what one service is to know"),
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
            Diagnostic::new(Code::InvalidValue, span, format!("`{owner}` is no owner"))
                .why("chown refuses it, and then the OS doesn't write the file at all")
                .help("write `USER` or `USER:GROUP`, names or numbers"),
        );
    }
    let unknown = parts.iter().find(|part| !is_number(part) && !known().any(|known| known == **part))?;
    Some(
        Diagnostic::new(Code::UnknownOwner, span, format!("the OS has no user or group `{unknown}`"))
            .why("where chown fails, the OS doesn't write the file at all")
            .help(closest(unknown, known()).map_or("write its number: numbers always work".to_owned(), |meant| {
                format!("did you mean `{meant}`? Numbers always work")
            })),
    )
}
