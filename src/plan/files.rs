//! Files, and the container that writes each.
//!
//! The OS writes a file when the container that it names starts, inside that container, and only
//! in containers whose entrypoint is `ros entrypoint`. A file reaches the host when the container
//! mounts a folder above it from the host.

use super::nodes::{Kind, volatile};
use super::services::Context;
use super::{Content, Graph, Origin, PlannedFile, PlannedService};
use crate::diagnostic::{Diagnostic, Diagnostics, Span, closest};
use crate::line::{Line, LineFile, Templates};
use crate::os::Target;
use crate::profile::File;
use crate::service::form::Volume;
use crate::service::{AFTER, CREATE_ONLY, DETACH, Service, Text};
use crate::yaml::{Field, Spanned};
use base64::Engine as _;
use std::collections::{BTreeSet, HashSet};

/// All files of a kind of node: the line's, then the user's.
pub fn decide(kind: &Kind, line: &Line, services: &[PlannedService], context: &Context, found: &mut Diagnostics) -> Vec<PlannedFile> {
    let target = context.target;
    let given = &kind.settings.files;
    let mut files = Vec::new();
    let is_here = |file: &&LineFile| {
        context.delivers(&file.delivery) && context.holds(&file.when, kind) && file.on.iter().any(|role| kind.roles.contains(&role.role()))
    };
    for file in line.files.iter().filter(is_here) {
        let replaced = given.iter().find(|(path, _)| path.value == file.path);
        let content = match (&file.template, &file.sealed) {
            (Some(template), None) => Content::Line { template: template.clone(), with: file.with.clone() },
            (None, Some(name)) => Content::Sealed(name.clone()),
            _ => {
                found.push(Diagnostic::error("line", None, format!("{}: {} wants either `template` or `sealed`", line.name, file.path)));
                continue;
            }
        };
        if let Some((path, _)) = replaced {
            found.push(match content {
                Content::Sealed(_) => {
                    Diagnostic::error("sealed-file", path.span, format!("{} is key material that remuda makes", path.value))
                        .why("a key in the profile would go into git")
                        .mend("leave it out")
                }
                _ => Diagnostic::warning("file-replaced", path.span, format!("this replaces {} of {}", path.value, line.name))
                    .why("what remuda decides stands in it: with less or other in it, services of the line don't start, or start wrong")
                    .mend("leave it out, or see that all is in it that `remuda explain NODE` shows"),
            });
            if file.path == HOOK {
                found.push(
                    Diagnostic::error("file-of-os", path.span, format!("{HOOK} tells dockerd the subnet that this node leases"))
                        .why("pods would be on another network than the one that the others have a route to")
                        .mend("use `docker: {extra_args: […]}` for arguments of dockerd"),
                );
            }
            continue;
        }
        let permissions = file.permissions.clone().unwrap_or_else(|| "0644".to_owned());
        files.push(PlannedFile { path: file.path.clone(), content, permissions, owner: None, container: line.file_writer.clone() });
    }
    let base_image = context.base_image(kind);
    let writers = Writers { services, target, ours: &line.file_writer, base_image: &base_image };
    writers.check_ours(kind, found);
    for (path, file) in given.iter() {
        files.extend(user_file(path, file, &writers, found));
    }
    check_folders(given.iter().map(|(path, _)| path), &files, found);
    files
}

/// What a service mounts must be there when it starts: Docker makes a folder of a file that isn't.
pub fn check_order(files: &[PlannedFile], services: &[PlannedService], graph: &Graph, found: &mut Diagnostics) {
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
            let mend = match file.container.as_str() {
                "console" => "use a path below /opt/kubernetes, and the label `io.rancher.os.after: kubernetes-files`".to_owned(),
                writer => format!("add the label `{AFTER}: {writer}`"),
            };
            found.push(
                Diagnostic::warning("file-race", span, format!("{} may start before {} is written", planned.name, file.path))
                    .why("Docker makes a folder where a file that it mounts isn't there yet, and then the file can't be written, at later boots too; a program that isn't there fails")
                    .mend(mend),
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
                Diagnostic::error("file-clash", path.span, format!("{} is {same}: /var/run is a link to /run", path.value))
                    .why("two files are written to one place, and the second stays")
                    .mend("leave one of them out"),
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
            Diagnostic::error("file-clash", path.span, problem)
                .why("the OS writes one of them, logs a failure for the other and goes on")
                .mend("give one of them another path"),
        );
    }
}

fn user_file(path: &Spanned<String>, file: &File, writers: &Writers, found: &mut Diagnostics) -> Option<PlannedFile> {
    if let Err(problem) = <crate::profile::AbsPath as crate::yaml::Scalar>::parse(&path.value) {
        found.push(
            Diagnostic::error("invalid-name", path.span, problem)
                .why("the OS would write it somewhere else, or nowhere")
                .mend("write an absolute path, like `/opt/app/config.ini`"),
        );
        return None;
    }
    let content = content(path, file, found);
    let container = writers.choose(path, file, found);
    check_place(path, file, found);
    if let Some(owner) = file.owner.get().filter(|owner| !owner.varies()) {
        found.extend_with(check_owner(&owner.text, owner.span));
    }
    if let Some(volatile) = volatile(&path.value).filter(|folder| matches!(*folder, "/proc" | "/sys" | "/dev")) {
        found.push(
            Diagnostic::error("file-not-seen", path.span, format!("{} lies in {volatile}", path.value))
                .why("that is no folder for files: the kernel makes it up")
                .mend("use `sysctl` for kernel parameters, or another path"),
        );
    }
    Some(PlannedFile {
        path: path.value.clone(),
        content: content?,
        permissions: file.permissions.value().map_or_else(|| "0644".to_owned(), |mode| mode.0.clone()),
        owner: file.owner.get().cloned(),
        container: container?,
    })
}

/// What `ros docker-init` sources before it starts dockerd.
const HOOK: &str = "/var/lib/rancher/conf/docker";

/// Files that the OS reads or writes for itself.
fn check_place(path: &Spanned<String>, file: &File, found: &mut Diagnostics) {
    const CONFIG: &str = "/var/lib/rancher/conf/cloud-config";
    let given = file.content.value().map_or("", |content| content.text.as_str());
    let text = decoded(given, file);
    let is_decided = |word: &str| {
        let name = word.trim_start_matches("DOCKER_OPTS=").trim_matches(['"', '\'']).split('=').next().unwrap_or_default();
        name.starts_with('-') && super::engine::OURS.contains(&name.trim_start_matches('-'))
    };
    let (problem, why, mend) = match path.value.as_str() {
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
                Diagnostic::warning("file-of-os", path.span, format!("{} is a file that the OS writes itself", path.value))
                    .why("which of the two is there after a boot is a matter of luck")
                    .mend("use `network: {nameservers: […], search: […]}` for names of servers, `extra_hosts` for what one service is to know"),
            );
            return;
        }
        _ => return,
    };
    found.push(Diagnostic::error("file-of-os", path.span, format!("{} {problem}", path.value)).why(why).mend(mend));
}

/// `USER[:GROUP]`, as chown takes it. The users are those of the OS's base image (images/01-base/Dockerfile).
pub fn check_owner(owner: &str, span: Option<Span>) -> Option<Diagnostic> {
    const KNOWN: [&str; 10] = ["root", "rancher", "docker", "sudo", "daemon", "bin", "sys", "mail", "www-data", "nobody"];
    let parts: Vec<&str> = owner.split(':').collect();
    let is_number = |part: &str| part.parse::<u32>().is_ok() && part.chars().all(|c| c.is_ascii_digit());
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    };
    if parts.len() > 2 || !parts.iter().all(|part| is_number(part) || is_name(part)) {
        return Some(
            Diagnostic::error("invalid-value", span, format!("`{owner}` is no owner"))
                .why("chown refuses it, and then the OS doesn't write the file at all")
                .mend("write `USER` or `USER:GROUP`, names or numbers"),
        );
    }
    let unknown = parts.iter().find(|part| !is_number(part) && !KNOWN.contains(part))?;
    Some(
        Diagnostic::warning("unknown-owner", span, format!("the OS has no user or group `{unknown}`"))
            .why("where chown fails, the OS doesn't write the file at all")
            .mend(closest(unknown, KNOWN).map_or("write its number: numbers always work".to_owned(), |meant| {
                format!("did you mean `{meant}`? Numbers always work")
            })),
    )
}

/// What a file will hold, whether the profile gives it as text or as base64.
fn decoded(given: &str, file: &File) -> String {
    if file.encoding.get().is_none() {
        return given.to_owned();
    }
    let text: String = given.split_ascii_whitespace().collect();
    String::from_utf8_lossy(&base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()).into_owned()
}

fn content(path: &Spanned<String>, file: &File, found: &mut Diagnostics) -> Option<Content> {
    let Some(given) = file.content.get() else {
        if file.content.is_absent() {
            found.push(
                Diagnostic::error("no-content", path.span, format!("{} has no content", path.value))
                    .mend("add `content: …`; for an empty file `content: \"\"`"),
            );
        }
        return None;
    };
    if looks_like_a_key(&decoded(&given.text, file)) {
        found.push(key_in_profile(given.span, format!("{} holds a private key", path.value)));
        return None;
    }
    if file.encoding.get().is_none() {
        return Some(Content::Text { text: given.text.clone(), template: given.template, span: given.span });
    }
    if given.template {
        found.push(
            Diagnostic::error("no-template", given.span, format!("{} is in base64 and a template", path.value))
                .why("what is in base64 is taken as it stands")
                .mend("leave `encoding` out: remuda encodes what needs it"),
        );
        return None;
    }
    let text: String = given.text.split_ascii_whitespace().collect();
    if let Err(error) = base64::engine::general_purpose::STANDARD.decode(&text) {
        found.push(
            Diagnostic::error("invalid-value", given.span, format!("this is not base64: {error}"))
                .why("the OS logs an error and writes no file")
                .mend("encode it with `base64`, or leave `encoding` out"),
        );
        return None;
    }
    Some(Content::Base64(text))
}

/// Key material goes into git wherever it stands in a profile.
pub fn key_in_profile(span: Option<Span>, problem: impl Into<String>) -> Diagnostic {
    Diagnostic::error("secret-in-profile", span, problem).why(INTO_GIT).mend("keep it out of the profile")
}

/// Why nothing secret may stand in a profile.
pub const INTO_GIT: &str = "the profile and what is made of it go into git, where everybody with the repository reads it";

pub fn looks_like_a_key(text: &str) -> bool {
    text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----")
}

/// Who can write files on a node.
struct Writers<'a> {
    services: &'a [PlannedService],
    target: &'a Target,
    ours: &'a str,
    base_image: &'a str,
}

impl Writers<'_> {
    /// The release line's own must still write its files, before anything reads them.
    fn check_ours(&self, kind: &Kind, found: &mut Diagnostics) {
        let planned = self.services.iter().find(|planned| planned.name == self.ours);
        let problem = match planned.map(|planned| &*planned.service) {
            None => "is taken away",
            Some(service) if !is_on_base_image(service, self.base_image) => "isn't on the OS's base image",
            Some(service) if !service.entrypoint.is_absent() => "has another entrypoint than `ros entrypoint`",
            Some(service) if service.label(DETACH) != Some("false") => "isn't waited for: the label io.rancher.os.detach is not \"false\"",
            Some(service) if !self.mounts(service).contains("/run") => "doesn't see the host's folders",
            Some(_) => return,
        };
        let span = planned.map_or(kind.span, |planned| planned.service.span);
        let span = kind.settings.services.removed().find(|name| name.value == self.ours).map_or(span, |name| name.span);
        found.push(
            Diagnostic::error("file-writer", span, format!("{} {problem}", self.ours))
                .why("it writes the keys and configs of all the others: none of them could start")
                .mend("leave it as it is; for files of your own, use `files`"),
        );
    }

    /// The container that writes the file: the one named, or the first that sees its path.
    fn choose(&self, path: &Spanned<String>, file: &File, found: &mut Diagnostics) -> Option<String> {
        let Some(named) = file.container.get() else {
            let ours = self.services.iter().find(|planned| planned.name == self.ours);
            let sees = |service: &Service| self.mounts(service).iter().any(|mount| is_below(&path.value, mount));
            if ours.is_some_and(|planned| sees(&planned.service)) {
                return Some(self.ours.to_owned());
            }
            let reads = |service: &Service| {
                let hosts = service.volumes.values().filter_map(|volume| Volume::parse(&volume.text).ok()?.host);
                hosts.into_iter().any(|host| host == path.value || is_below(&path.value, host))
            };
            let reader = self.services.iter().find(|planned| planned.origin != Origin::Os && reads(&planned.service));
            if let Some(reader) = reader.filter(|_| !self.built_in_mounts("console").iter().any(|mount| is_below(&path.value, mount))) {
                found.push(
                    Diagnostic::error(
                        "file-not-seen",
                        path.span,
                        format!("{} reads {} from the host, and nothing writes it there", reader.name, path.value),
                    )
                    .why("the console would write it, into a folder that is its own")
                    .mend("use a path below /opt, or name a `container` on the OS's base image that mounts the folder too"),
                );
            }
            return Some("console".to_owned());
        };
        let name = named.text.as_str();
        let problem = match self.services.iter().find(|planned| planned.name == name && planned.origin != Origin::Os) {
            None if self.target.facts.services.get(name).is_some_and(|service| service.writes_files) => None,
            None if self.target.facts.services.contains_key(name) => {
                Some(format!("{name} is never started, or isn't on the OS's base image"))
            }
            None => Some(format!("there is no service `{name}` on this node")),
            Some(planned) if planned.service.label(CREATE_ONLY) == Some("true") => Some(format!("{name} is made and never started")),
            Some(planned) if !is_on_base_image(&planned.service, self.base_image) || !planned.service.entrypoint.is_absent() => {
                Some(format!("{name} isn't on the OS's base image"))
            }
            Some(planned) if !self.mounts(&planned.service).iter().any(|mount| is_below(&path.value, mount)) => {
                found.push(
                    Diagnostic::error("file-not-seen", named.span, format!("{name} mounts no folder above {} from the host", path.value))
                        .related(path.span, "this file")
                        .why("the file would be written inside of the container alone, and vanish with it")
                        .mend("add the folder to its `volumes`, or leave `container` out"),
                );
                None
            }
            Some(_) => None,
        };
        if let Some(problem) = problem {
            found.push(
                Diagnostic::error("file-never-written", named.span, problem)
                    .related(path.span, "this file")
                    .why("only a container whose entrypoint is `ros entrypoint` writes files: nobody would ever write this one")
                    .mend(format!("leave `container` out, or use `{}` or `console`", self.ours)),
            );
            return None;
        }
        Some(name.to_owned())
    }

    /// The host's folders that one of the OS's own services mounts at the same place.
    fn built_in_mounts(&self, name: &str) -> HashSet<String> {
        let from = Service { volumes_from: crate::yaml::List::of([crate::service::Text::plain(name)]), ..Service::default() };
        self.mounts(&from)
    }

    /// The host's folders that a service mounts at the same place, those by `volumes_from` included.
    fn mounts(&self, service: &Service) -> HashSet<String> {
        let mut mounts: HashSet<String> = service.volumes.values().filter_map(|volume| same_place(&volume.text)).collect();
        let mut from: Vec<String> = service.volumes_from.values().map(|from| mode_less(&from.text).to_owned()).collect();
        let mut seen = HashSet::new();
        while let Some(name) = from.pop().filter(|name| seen.len() < 64 && seen.insert(name.clone())) {
            if let Some(planned) = self.services.iter().find(|planned| planned.name == name) {
                mounts.extend(planned.service.volumes.values().filter_map(|volume| same_place(&volume.text)));
                from.extend(planned.service.volumes_from.values().map(|from| mode_less(&from.text).to_owned()));
            } else if let Some(built_in) = self.target.facts.services.get(&name) {
                mounts.extend(built_in.volumes.iter().filter_map(|volume| same_place(volume)));
                from.extend(built_in.volumes_from.iter().cloned());
            }
        }
        mounts
    }
}

/// `name` of `name:ro`.
pub fn mode_less(from: &str) -> &str {
    from.split(':').next().unwrap_or_default()
}

/// The path in `PATH:PATH[:shared]`; what is mounted read-only or elsewhere doesn't count.
fn same_place(volume: &str) -> Option<String> {
    let mut parts = volume.split(':');
    let (host, inside) = (parts.next()?, parts.next()?);
    let read_only = parts.any(|option| option.split(',').any(|option| option == "ro"));
    (host == inside && !read_only).then(|| host.to_owned())
}

/// Whether a path lies in a folder, at any depth.
pub fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether a service is on the image that is always on a node.
pub fn is_on_base_image(service: &Service, base_image: &str) -> bool {
    service.image.get().is_some_and(|image| image.text.contains("os.base_image") || image.text == base_image)
}

/// Compiles what is a template.
pub fn compile(files: &[PlannedFile], templates: &mut Templates, found: &mut Diagnostics) {
    for file in files {
        if let Content::Text { text, template: true, span } = &file.content {
            templates.add(text, *span, found);
        }
        if let Some(owner) = file.owner.as_ref().filter(|owner| owner.template) {
            templates.add(&owner.text, owner.span, found);
        }
    }
}
