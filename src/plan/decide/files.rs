//! Files, and the container that writes each of them.
//!
//! The OS writes a file inside the container that the file names, when this container starts, and
//! only if the container's entrypoint is `ros entrypoint`. A file reaches the host if the container
//! mounts a folder above it from the host.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::line::{Line, LineFile};
use crate::plan::cluster::{Content, Origin, PlannedFile, PlannedService};
use crate::plan::context::Context;
use crate::plan::decide::fleet::DeclaredClass;
use crate::plan::folders::{is_below, mode_less, same_place};
use crate::plan::secrets::{key_in_profile, looks_like_a_key};
use crate::profile::{File, FilePath};
use crate::service::form::Volume;
use crate::service::{CREATE_ONLY, Service, Text};
use crate::target::Target;
use crate::yaml::{Field, List, Spanned};
use base64::Engine as _;
use std::collections::HashSet;

/// All files of a kind of node: the line's, then the user's.
pub(crate) fn decide(
    kind: &DeclaredClass,
    line: &Line,
    services: &[PlannedService],
    context: &Context,
    found: &mut Diagnostics,
) -> Vec<PlannedFile> {
    let target = context.target;
    let given = &kind.settings.files;
    let mut files = Vec::new();
    let is_here = |(_, file): &(&String, &LineFile)| {
        context.delivers(&file.delivery) && context.holds(&file.when, kind) && file.on.iter().any(|role| kind.roles.contains(&role.role()))
    };
    for (path, file) in line.files.iter().filter(is_here) {
        let replaced = given.iter().find(|(given, _)| given.value == *path);
        let content = match (&file.template, &file.sealed, file.manifests, &file.names, file.fingerprint) {
            (Some(template), None, None, None, false) => Content::Line { template: template.clone(), with: file.with.clone() },
            (None, Some(name), None, None, false) => Content::Sealed(name.clone()),
            (None, None, Some(part), None, false) => Content::Manifests(part),
            (None, None, None, Some(folders), false) => Content::Names(folders.clone()),
            (None, None, None, None, true) => Content::Fingerprint,
            _ => {
                let says = format!("{}: {path} needs one of `template`, `sealed`, `manifests`, `names` and `fingerprint`", line.name);
                found.push(Diagnostic::new(Code::Line, None, says));
                continue;
            }
        };
        if let Some((given, _)) = replaced {
            found.push(match content {
                Content::Sealed(_) => Diagnostic::new(Code::SealedFile, given.span, format!("{path} is key material that remuda makes"))
                    .why("a key in the profile would be in git")
                    .help("remove it"),
                _ => Diagnostic::new(Code::FileReplaced, given.span, format!("this replaces {path} of {}", line.name))
                    .why("it has what remuda decides: with other content, services of the line don't start or start wrongly")
                    .help("remove it, or make sure that it has everything that `remuda explain NODE` shows"),
            });
            if path == HOOK {
                found.push(
                    Diagnostic::new(Code::FileOfOs, given.span, format!("{HOOK} gives dockerd the subnet that this node leases"))
                        .why("pods would be on another network than the one to which the other nodes have a route")
                        .help("use `docker: {extra_args: […]}` for arguments of dockerd"),
                );
            }
            continue;
        }
        let permissions = file.permissions.clone().unwrap_or_else(|| "0644".to_owned());
        files.push(PlannedFile { path: path.clone(), content, permissions, owner: None, container: line.file_writer.clone(), span: None });
    }
    if let Some(engine) = &target.engine_image {
        if let Some((given, _)) = given.iter().find(|(given, _)| given.value == engine.mark) {
            found.push(
                Diagnostic::new(Code::FileOfOs, given.span, format!("{} tells the OS that user Docker has run", engine.mark))
                    .why("remuda writes it on each node: with both, the OS writes one over the other")
                    .help("remove it"),
            );
        }
        files.push(PlannedFile {
            path: engine.mark.clone(),
            content: Content::Text { text: "{{ node.engine_id }}".to_owned(), template: true, span: None },
            permissions: "0600".to_owned(),
            owner: None,
            container: "console".to_owned(),
            span: None,
        });
    }
    let base_image = context.base_image(kind);
    let writers = Writers { services, target, ours: &line.file_writer, base_image: &base_image };
    for (path, file) in given.iter() {
        files.extend(user_file(path, file, &writers, found));
    }
    files
}

/// A file for each container that reads it.
fn user_file(path: &Spanned<String>, file: &File, writers: &Writers, found: &mut Diagnostics) -> Vec<PlannedFile> {
    if let Err(problem) = <FilePath as crate::yaml::Scalar>::parse(&path.value) {
        found.push(
            Diagnostic::new(Code::InvalidName, path.span, problem)
                .why("the OS would write it somewhere else, or nowhere")
                .help("write an absolute path, like `/opt/app/config.ini`"),
        );
        return Vec::new();
    }
    let content = content(path, file, found);
    let containers = match writers.target.readers(&path.value) {
        Some(readers) if file.container.is_absent() => readers.to_vec(),
        _ => writers.choose(path, file, found).into_iter().collect(),
    };
    let Some(content) = content else { return Vec::new() };
    let written_by = |container: String| PlannedFile {
        path: path.value.clone(),
        content: content.clone(),
        permissions: file.permissions.value().map_or_else(|| "0644".to_owned(), |mode| mode.0.clone()),
        owner: file.owner.get().cloned(),
        container,
        span: path.span,
    };
    containers.into_iter().map(written_by).collect()
}

/// The file that `ros docker-init` sources before it starts dockerd.
pub(crate) const HOOK: &str = "/var/lib/rancher/conf/docker";

/// A file's content, whether the profile has it as text or as base64.
pub(crate) fn decoded(given: &str, file: &File) -> String {
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
                Diagnostic::new(Code::NoContent, path.span, format!("{} has no content", path.value))
                    .help("add `content: …`; for an empty file `content: \"\"`"),
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
            Diagnostic::new(Code::NoTemplate, given.span, format!("{} is both base64 and a template", path.value))
                .why("base64 is decoded, not rendered")
                .help("remove `encoding`: remuda encodes the content if necessary"),
        );
        return None;
    }
    let text: String = given.text.split_ascii_whitespace().collect();
    if let Err(error) = base64::engine::general_purpose::STANDARD.decode(&text) {
        found.push(
            Diagnostic::new(Code::InvalidValue, given.span, format!("this is not base64: {error}"))
                .why("the OS logs an error and writes no file")
                .help("encode it with `base64`, or remove `encoding`"),
        );
        return None;
    }
    Some(Content::Base64(text))
}

/// The containers that can write files on a node.
pub(crate) struct Writers<'a> {
    pub services: &'a [PlannedService],
    pub target: &'a Target,
    pub ours: &'a str,
    pub base_image: &'a str,
}

impl Writers<'_> {
    /// The container that writes the file: the named one, or the first one that sees its path.
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
                    Diagnostic::new(
                        Code::FileNotSeen,
                        path.span,
                        format!("{} reads {} from the host, but nothing writes it there", reader.name, path.value),
                    )
                    .why("the console would write it into its own folder")
                    .help("use a path below /opt, or set `container` to a service on the OS's base image that mounts the folder too"),
                );
            }
            return Some("console".to_owned());
        };
        let name = named.text.as_str();
        let problem = match self.services.iter().find(|planned| planned.name == name && planned.origin != Origin::Os) {
            None if self.target.services.get(name).is_some_and(|service| service.writes_files) => None,
            None if self.target.services.contains_key(name) => Some(format!("{name} is never started, or isn't on the OS's base image")),
            None => Some(format!("this node has no service `{name}`")),
            Some(planned) if planned.service.label(CREATE_ONLY) == Some("true") => Some(format!("{name} is created but never started")),
            Some(planned) if !is_on_base_image(&planned.service, self.base_image) || !planned.service.entrypoint.is_absent() => {
                Some(format!("{name} isn't on the OS's base image"))
            }
            Some(planned) if !self.mounts(&planned.service).iter().any(|mount| is_below(&path.value, mount)) => {
                found.push(
                    Diagnostic::new(Code::FileNotSeen, named.span, format!("{name} mounts no folder above {} from the host", path.value))
                        .related(path.span, "this file")
                        .why("the file would be written only inside the container, and disappear with it")
                        .help("add the folder to its `volumes`, or remove `container`"),
                );
                None
            }
            Some(_) => None,
        };
        if let Some(problem) = problem {
            found.push(
                Diagnostic::new(Code::FileNeverWritten, named.span, problem)
                    .related(path.span, "this file")
                    .why("only a container with the entrypoint `ros entrypoint` writes files: this one would never be written")
                    .help(format!("remove `container`, or use `{}` or `console`", self.ours)),
            );
            return None;
        }
        Some(name.to_owned())
    }

    /// The host's folders that one of the OS's own services mounts at the same path.
    fn built_in_mounts(&self, name: &str) -> HashSet<String> {
        let from = Service { volumes_from: List::of([Text::plain(name)]), ..Service::default() };
        self.mounts(&from)
    }

    /// The host's folders that a service mounts at the same path, including those by `volumes_from`.
    pub(crate) fn mounts(&self, service: &Service) -> HashSet<String> {
        let mut mounts: HashSet<String> = service.volumes.values().filter_map(|volume| same_place(&volume.text)).collect();
        let mut from: Vec<String> = service.volumes_from.values().map(|from| mode_less(&from.text).to_owned()).collect();
        let mut seen = HashSet::new();
        while let Some(name) = from.pop().filter(|name| seen.len() < 64 && seen.insert(name.clone())) {
            if let Some(planned) = self.services.iter().find(|planned| planned.name == name) {
                mounts.extend(planned.service.volumes.values().filter_map(|volume| same_place(&volume.text)));
                from.extend(planned.service.volumes_from.values().map(|from| mode_less(&from.text).to_owned()));
            } else if let Some(built_in) = self.target.services.get(&name) {
                mounts.extend(built_in.volumes.iter().filter_map(|volume| same_place(volume)));
                from.extend(built_in.volumes_from.iter().cloned());
            }
        }
        mounts
    }
}

/// Whether a service uses the image that every node has.
pub(crate) fn is_on_base_image(service: &Service, base_image: &str) -> bool {
    service.image.get().is_some_and(|image| image.text.contains("os.base_image") || image.text == base_image)
}

#[cfg(test)]
mod tests {
    use crate::build::Project;

    /// The containers that write this file on a node.
    fn written_by(target: &str, path: &str) -> Vec<String> {
        let source = format!(
            "
cluster: a
target: {target}
line: kubernetes-1.20
network: {{nodes: 10.0.0.0/16, gateway: 10.0.0.1}}
defaults: {{files: {{{path:?}: {{content: x}}}}}}
nodes: {{one: {{roles: [control-plane, worker], address: 10.0.0.2}}}}
"
        );
        let cluster = Project::of_text("p.yaml", source).cluster().unwrap();
        let files = cluster.classes[0].files.iter().filter(|file| file.path == path);
        files.map(|file| file.container.clone()).collect()
    }

    #[test]
    fn a_file_is_written_where_it_is_read() {
        // The line doesn't run on other cgroup hierarchies.
        for target in crate::target::Target::all().filter(|target| target.cgroups == 1).map(|target| target.name) {
            assert_eq!(written_by(target, "/etc/ntp.conf"), ["ntp"]);
            assert_eq!(written_by(target, "/etc/udev/rules.d/10-disk.rules"), ["udev-cold", "udev"]);
            assert_eq!(written_by(target, "/etc/modprobe.d/a.conf"), ["udev-cold", "udev", "console"]);
            assert_eq!(written_by(target, "/etc/ntp.conf.d/a"), ["console"]);
            assert_eq!(written_by(target, "/etc/docker/certs.d/registry.example:5000/ca.crt"), ["kubernetes-files"]);
        }
    }
}
