//! ClusterImages: what no node could start.

use crate::component::ComponentImage;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, closest};
use crate::image::{ImageSpec, Root};
use crate::line::{self, Line};
use crate::plan::cluster::{Class, ClusterImages, Known};
use crate::plan::decide::images::components;
use crate::plan::refused::refused;
use crate::profile::{Host, Profile};
use crate::service::form;
use crate::target::Target;
use crate::terms::{Delivery, EngineName, Provenance};
use crate::yaml::{Field, Given, Map, Scalar};
use std::collections::{BTreeMap, BTreeSet};

/// What the profile says of the way of images, and of what they are made of.
pub(crate) fn check(profile: &Profile, line: Option<&Line>, target: Option<&Target>, found: &mut Diagnostics) {
    if matches!(profile.images.delivery, Given::Bad) {
        return;
    }
    check_delivery(profile, found);
    check_mirrors(profile, line, found);
    if let (Some(line), Some(target)) = (line, target) {
        check_engine(profile, line, target, found);
        let components = components(profile, line, target);
        check_names(&components, line, found);
        check_components(&components, line, found);
        check_versions(profile, &components, line, found);
    }
}

/// An OS with its own user Docker takes no other.
fn check_engine(profile: &Profile, line: &Line, target: &Target, found: &mut Diagnostics) {
    let given = profile.images.components.iter().map(|(name, _)| name);
    let Some(name) = given.into_iter().find(|name| Some(&name.value) == line.docker_component()) else { return };
    if let Some(own) = &target.docker {
        found.push(
            Diagnostic::new(Code::NoEffect, name.span, format!("{} has its own user Docker, {}", target.title, own.version))
                .why("its nodes run that one, and no image with another")
                .help("remove it"),
        );
    }
}

fn check_delivery(profile: &Profile, found: &mut Diagnostics) {
    let given = &profile.images;
    let delivery = given.delivery.value().copied().unwrap_or(Delivery::Preload);
    if let (Some(chosen), true) = (given.delivery.get(), delivery == Delivery::Registry && given.registry.is_absent()) {
        found.push(
            Diagnostic::new(Code::NoRegistry, chosen.span, "no registry is set for the component images")
                .why("no public registry has them: no node could start anything")
                .help("add `registry: HOST:PORT`, or use `delivery: preload`"),
        );
    }
    if let (Some(chosen), true) = (given.delivery.get(), delivery == Delivery::Url && given.url.is_absent()) {
        found.push(
            Diagnostic::new(Code::NoImagesUrl, chosen.span, "no URL is set for the image tarballs")
                .why("no node could start anything")
                .help("add `url: http://HOST:PORT/…`, where OUT/CLUSTER/images is served"),
        );
    }
    if let (Some(url), true) = (given.url.get(), delivery != Delivery::Url) {
        found.push(
            Diagnostic::new(Code::UnusedImagesUrl, url.span, format!("`url` is not used with `delivery: {delivery}`"))
                .why("nodes would wait for tarballs that never come")
                .help("add `delivery: url`, or remove it"),
        );
    }
    let unused = |span, what: &str, why: &str, help: &str| Diagnostic::new(Code::NoEffect, span, what).why(why).help(help);
    if let (Some(registry), true) = (given.registry.get(), delivery != Delivery::Registry && given.login.span.is_none()) {
        found.push(unused(
            registry.span,
            &format!("`registry` is not used with `delivery: {delivery}`"),
            "nothing is pulled from it: images keep the names of the release line",
            "add `delivery: registry`, or remove it",
        ));
    }
    if let (Some(gzip), true) = (given.gzip.get(), delivery == Delivery::Registry) {
        found.push(unused(
            gzip.span,
            "`gzip` is not used with `delivery: registry`",
            "nodes get no tarball, and the layers in a registry are always gzipped",
            "remove it",
        ));
    }
}

/// Mirrors of registries other than Docker Hub.
fn check_mirrors(profile: &Profile, line: Option<&Line>, found: &mut Diagnostics) {
    for (host, _) in profile.images.mirrors.iter() {
        if host.value.contains('/') || <Host as Scalar>::parse(&host.value).is_err() {
            found.push(
                Diagnostic::new(Code::InvalidValue, host.span, format!("`{}` isn't a registry's host", host.value))
                    .why("no image has this registry in its name: nothing would be pulled from the mirror")
                    .help("write the host as it stands in images' names, like `registry.k8s.io`"),
            );
        } else if matches!(host.value.as_str(), "docker.io" | "index.docker.io" | "registry-1.docker.io") {
            found.push(
                Diagnostic::new(Code::InvalidValue, host.span, "the mirror of Docker Hub has a key of its own")
                    .why("the OS's engines would not use this one")
                    .help("write `mirror: URL` in `images`, for all engines of a node"),
            );
        } else if let Some(line) = line.filter(|line| line.pods_in != EngineName::Containerd) {
            found.push(
                Diagnostic::new(
                    Code::NoEffect,
                    host.span,
                    format!("pods of {} run in Docker, which has mirrors of Docker Hub only", line.name),
                )
                .why("their images would be asked for at the registry itself")
                .help("name the images as the mirror has them, or take a line whose pods run in containerd"),
            );
        }
    }
}

/// Checks the names of the images, and the engines that have them.
fn check_names(components: &Map<ComponentImage>, line: &Line, found: &mut Diagnostics) {
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for (component, given) in components.iter() {
        let own = given.name.get().filter(|name| !name.varies());
        let version = given.version.get().filter(|version| !version.varies());
        let called = own
            .map(|name| (name.text.clone(), name.span))
            .or(version.map(|version| (format!("remuda/{}:{}", component.value, version.text), version.span)));
        let Some((called, span)) = called else { continue };
        if let Some(misfit) = form::misfit("image", &called) {
            found.push(refused("what is in the image", misfit, span));
        } else if !called.rsplit('/').next().is_some_and(|name| name.contains(':')) {
            found.push(
                Diagnostic::new(Code::InvalidValue, span, format!("the image's name `{called}` has no tag"))
                    .why("engines know what they load by name and tag: they refuse the tarball, and nothing in it is there")
                    .help("write `NAME:TAG`"),
            );
        }
        if let Some(other) = names.insert(called.clone(), &component.value) {
            found.push(
                Diagnostic::new(
                    Code::ComponentSource,
                    span,
                    format!("the images of {} and {other} are both named {called}", component.value),
                )
                .why("an engine keeps only one of them under this name: the other service would run the wrong program")
                .help("give each its own `name` or `version`"),
            );
        }
        let of_line = line.components.get(&component.value).and_then(|of_line| of_line.engine.value());
        if let (Some(theirs), Some(ours)) = (given.engine.get(), of_line)
            && theirs.value != *ours
        {
            found.push(
                Diagnostic::new(Code::OtherEngine, theirs.span, format!("the image of {} is for {ours}", component.value))
                    .why("its service runs in the other engine: it would find no image, and isn't tried again until the next boot")
                    .help("remove `engine`"),
            );
        }
    }
}

fn check_components(components: &Map<ComponentImage>, line: &Line, found: &mut Diagnostics) {
    for (name, component) in components.iter() {
        let meant = || match closest(&name.value, line.components.iter().map(|(known, _)| known.value.as_str())) {
            Some(meant) if meant != name.value => format!("; did you mean `{meant}`?"),
            _ => String::new(),
        };
        let mut lacks = |what: &str, help: &str| {
            found.push(
                Diagnostic::new(Code::ComponentSource, name.span, format!("the component `{}` has no {what}", name.value))
                    .why("remuda can't make an image of it")
                    .help(format!("add {help}{}", meant())),
            );
        };
        if component.from.is_absent() && component.files.iter().next().is_none() {
            lacks("content", "`from: {image: REGISTRY/NAME:TAG}`, or `files: {/PATH: SOURCE}`");
        } else if component.version.is_absent() && component.name.is_absent() {
            lacks("version", "`version: …`, or `name: NAME:TAG`");
        } else if component.engine.is_absent() {
            lacks("engine", &format!("`engine: system-docker` for services there, or `engine: {}` for pods", line.pods_in));
        }
        let has = |engine: EngineName| engine == EngineName::SystemDocker || line.pods_in == engine;
        if let Some(engine) = component.engine.get().filter(|engine| !has(engine.value)) {
            found.push(
                Diagnostic::new(Code::NoUserDocker, engine.span, format!("nodes of {} don't run {}", line.name, engine.value))
                    .why("nothing would load the image")
                    .help(format!("write `engine: system-docker` for services, or `engine: {}` for pods", line.pods_in)),
            );
        }
        for (path, _) in component.files.iter() {
            if !path.value.starts_with('/') || path.value.split('/').any(|part| part == ".." || part == ".") || path.value.contains('\0') {
                found.push(
                    Diagnostic::new(Code::InvalidValue, path.span, format!("`{}` isn't an absolute path", path.value))
                        .why("it is the file's path in the image")
                        .help("write a path like /usr/local/bin/etcd"),
                );
            }
        }
    }
}

/// The line's own programs must have versions that are some, and that go together.
fn check_versions(profile: &Profile, components: &Map<ComponentImage>, line: &Line, found: &mut Diagnostics) {
    let version = |name: &str| components.get(name)?.version.value().filter(|version| !version.varies());
    let minor = |name: &str| {
        let parts = line::version(&version(name)?.text);
        Some((*parts.first()?, *parts.get(1)?))
    };
    for (name, component) in components.iter().filter(|(name, _)| line.components.get(&name.value).is_some()) {
        let Some(given) = component.version.get() else { continue };
        let is_number = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
        // With files of its own, any name will do.
        let own = profile.images.components.get(&name.value);
        let is_packed = own.is_some_and(|own| own.from.is_absent() && own.files.iter().next().is_none());
        if is_packed && !given.varies() && !given.text.trim_start_matches('v').split('.').all(is_number) {
            found.push(
                Diagnostic::new(Code::InvalidValue, given.span, format!("`{}` isn't a version of {}", given.text, name.value))
                    .why("no program of that version is in the components folder, and none can be fetched: its service would have no image")
                    .help(format!("write it in numbers{}", version_of(line, &name.value))),
            );
            continue;
        }
        let Some(skew) = line.skew.as_ref() else { continue };
        let (Some(older), Some(own), Some(other)) = (skew.older.get(&name.value), minor(&name.value), minor(&skew.than)) else { continue };
        let place = given.span.or_else(|| components.get(&skew.than).and_then(|than| than.version.span()));
        let problem = if own > other {
            "is newer than".to_owned()
        } else if own.0 != other.0 || other.1 - own.1 > *older {
            format!("is more than {older} minor{} older than", if *older == 1 { "" } else { "s" })
        } else {
            continue;
        };
        let (own, other) = (&given.text, version(&skew.than).map_or("", |version| &version.text));
        found.push(
            Diagnostic::new(Code::VersionSkew, place, format!("{} {own} {problem} {} {other}", name.value, skew.than))
                .why(&skew.why)
                .help("give both the same version, or take the line of that version"),
        );
    }
}

/// `, like 3.7.3`: the line's own.
fn version_of(line: &Line, component: &str) -> String {
    let own = line.components.get(component).and_then(|own| own.version.value());
    own.map_or_else(String::new, |own| format!(", like {}", own.text))
}

/// What nobody releases comes from the components folder, also beside what is released.
pub(crate) fn check_built(profile: &Profile, images: &ClusterImages, found: &mut Diagnostics) {
    let Some(source) = profile.images.source.get().filter(|source| source.value == Provenance::Released) else { return };
    let locals = images.specs().flat_map(ImageSpec::locals).filter(|local| local.root == Root::Components);
    let built: BTreeSet<String> = locals.map(|local| format!("`{}`", local.path)).collect();
    if !built.is_empty() {
        let all = built.into_iter().collect::<Vec<_>>().join(", ");
        found.push(
            Diagnostic::new(Code::BuiltParts, source.span, format!("no project releases {all}"))
                .why("these come from the components folder, built, and are in the same images as what is released")
                .help("build them with `scripts/components --only NAME`; if that is what you want, acknowledge it: `# remuda: allow built-parts`"),
        );
    }
}

/// The profile must name secrets that there are, and each registry's account once.
pub(crate) fn check_secrets(images: &ClusterImages, classes: &[Class], known: &Known, found: &mut Diagnostics) {
    let accounts = || classes.iter().flat_map(|class| &class.os.accounts);
    for account in accounts().filter(|account| images.login.as_ref().is_some_and(|login| login.host == account.host.value)) {
        found.push(
            Diagnostic::new(
                Code::DecidedOsKey,
                account.host.span,
                format!("`images.login` is already the account at {}", account.host.value),
            )
            .why("the OS has one account for each registry")
            .help("remove one of them"),
        );
    }
    let wanted = images.login.iter().map(|login| &login.secret).chain(accounts().map(|account| &account.secret));
    for secret in wanted.filter(|secret| known.vault.digest(&secret.value.0).is_none()) {
        let set = format!("`remuda secret set {} PROFILE` asks for it and keeps it encrypted", secret.value.0);
        let says = format!("no secret `{}` in {}", secret.value.0, known.vault_file);
        found.push(
            Diagnostic::new(Code::UnknownSecret, secret.span, says)
                .why("the node could not log in, so it would have no images")
                .help(closest(&secret.value.0, known.vault.names()).map_or(set, |meant| format!("did you mean `{meant}`?"))),
        );
    }
}
