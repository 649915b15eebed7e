//! Component images: how they reach the nodes, what each is called and what it is made of.

use super::containers::refused;
use super::{Image, Images, Login};
use crate::component::{self, ComponentImage, Place};
use crate::diagnostic::{Diagnostic, Diagnostics, Sources, Span, closest};
use crate::image::{self, Base, Local, Root};
use crate::line::{Line, Templates};
use crate::profile::{Arch, Delivery, EngineName, Profile};
use crate::service::{Command, Text, form};
use crate::yaml::{Field, Given, Map, Spanned};
use camino::Utf8PathBuf;
use minijinja::context;
use std::collections::{BTreeMap, BTreeSet};

/// How images reach the nodes, and their names. What they are made of comes later: [`contents`].
pub fn decide(profile: &Profile, line: Option<&Line>, found: &mut Diagnostics) -> Option<Images> {
    let given = &profile.images;
    if matches!(given.delivery, Given::Bad) {
        return None;
    }
    let delivery = given.delivery.value().copied().unwrap_or(Delivery::Preload);
    if let (Some(chosen), true) = (given.delivery.get(), delivery == Delivery::Registry && given.registry.is_absent()) {
        found.push(
            Diagnostic::error("no-registry", chosen.span, "no registry is named to pull the component images from")
                .why("no public registry has them: no node could start")
                .mend("add `registry: HOST:PORT`, or use `delivery: preload`"),
        );
    }
    if let (Some(chosen), true) = (given.delivery.get(), delivery == Delivery::Url && given.url.is_absent()) {
        found.push(
            Diagnostic::error("no-images-url", chosen.span, "no URL is named to fetch the image tarballs from")
                .why("no node could start anything")
                .mend("add `url: http://HOST:PORT/…`, where OUT/CLUSTER/images is served"),
        );
    }
    if let (Some(url), true) = (given.url.get(), delivery != Delivery::Url) {
        found.push(
            Diagnostic::warning("unused-images-url", url.span, format!("`url` is not used with `delivery: {delivery}`"))
                .why("nodes would wait for tarballs that nobody brings")
                .mend("add `delivery: url`, or leave it out"),
        );
    }
    let unused = |span, what: &str, why: &str, mend: &str| Diagnostic::warning("no-effect", span, what).why(why).mend(mend);
    if let (Some(registry), true) = (given.registry.get(), delivery != Delivery::Registry && given.login.span.is_none()) {
        found.push(unused(
            registry.span,
            &format!("`registry` is not used with `delivery: {delivery}`"),
            "nothing is pulled from it: images keep the names that the line gives them",
            "add `delivery: registry`, or leave it out",
        ));
    }
    if let (Some(gzip), true) = (given.gzip.get(), delivery == Delivery::Registry) {
        found.push(unused(
            gzip.span,
            "`gzip` is not used with `delivery: registry`",
            "no tarball goes to a node: the layers in a registry are gzipped always",
            "leave it out",
        ));
    }
    let prefix = given.registry.value().filter(|_| delivery == Delivery::Registry).map(|host| format!("{host}/")).unwrap_or_default();
    let name = |(name, component): (&Spanned<String>, &ComponentImage)| {
        let own = component.name.value().map(|name| name.text.clone());
        let version = component.version.value().map_or("", |version| version.text.as_str());
        (name.value.clone(), format!("{prefix}{}", own.unwrap_or_else(|| format!("remuda/{}:{version}", name.value))))
    };
    let line = line?;
    let components = components(profile, line);
    check(&components, line, found);
    Some(Images {
        delivery,
        names: components.iter().map(name).collect(),
        mirror: given.mirror.value().map(|url| url.0.clone()),
        insecure: given.insecure.values().map(|host| host.0.clone()).collect(),
        login: login(profile, found),
        url: given.url.value().map(|url| url.0.trim_end_matches('/').to_owned()),
        gzip: delivery != Delivery::Registry && given.gzip.value().is_some_and(|gzip| gzip.0),
        contents: Vec::new(),
        archives: Vec::new(),
    })
}

/// A login must say all, and where.
fn login(profile: &Profile, found: &mut Diagnostics) -> Option<Login> {
    let (given, registry) = (&profile.images.login, profile.images.registry.value());
    let written = given.span?;
    for (absent, what) in [
        (given.username.is_absent(), "`login` has no `username`"),
        (given.secret.is_absent(), "`login` has no `secret`"),
        (profile.images.registry.is_absent(), "there is a `login`, and no `registry` that it is for"),
    ] {
        if absent {
            found.push(
                Diagnostic::error("half-a-login", written, what)
                    .why("no engine could log in with it")
                    .mend("write `registry: HOST` and `login: {username: NAME, secret: NAME}`"),
            );
        }
    }
    let host = registry?.0.split('/').next().unwrap_or_default().to_owned();
    Some(Login { host, username: given.username.value()?.0.clone(), secret: given.secret.get()?.clone() })
}

/// The line's components, as the profile changes them.
fn components(profile: &Profile, line: &Line) -> Map<ComponentImage> {
    let mut components = line.components.clone();
    components.merge(&profile.images.components);
    components
}

/// The engine that loads each component's image.
pub fn engines(profile: &Profile, line: &Line) -> BTreeMap<String, EngineName> {
    let engine = |(name, component): (&Spanned<String>, &ComponentImage)| Some((name.value.clone(), *component.engine.value()?));
    components(profile, line).iter().filter_map(engine).collect()
}

/// What engines make of the names, and of who has which.
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
        }
        if let Some(other) = names.insert(called.clone(), &component.value) {
            found.push(
                Diagnostic::error(
                    "component-source",
                    span,
                    format!("the images of {} and {other} are both called {called}", component.value),
                )
                .why("an engine keeps one of them under this name: the other service would run the wrong program")
                .mend("give each its own `name` or `version`"),
            );
        }
        let of_line = line.components.get(&component.value).and_then(|of_line| of_line.engine.value());
        if let (Some(theirs), Some(ours)) = (given.engine.get(), of_line)
            && theirs.value != *ours
        {
            found.push(
                Diagnostic::error("other-engine", theirs.span, format!("the image of {} is for {ours}", component.value))
                    .why("what runs it is there: it would find no image, and wouldn't be tried again until the next boot")
                    .mend("leave `engine` out"),
            );
        }
    }
}

fn check(components: &Map<ComponentImage>, line: &Line, found: &mut Diagnostics) {
    check_names(components, line, found);
    for (name, component) in components.iter() {
        let meant = || match closest(&name.value, line.components.iter().map(|(known, _)| known.value.as_str())) {
            Some(meant) if meant != name.value => format!("; did you mean `{meant}`?"),
            _ => String::new(),
        };
        let mut lacks = |what: &str, mend: &str| {
            found.push(
                Diagnostic::error("component-source", name.span, format!("the component `{}` has no {what}", name.value))
                    .why("no image can be made of it")
                    .mend(format!("add {mend}{}", meant())),
            );
        };
        if component.from.is_absent() && component.files.iter().next().is_none() {
            lacks("content", "`from: {image: REGISTRY/NAME:TAG}`, or `files: {/PATH: SOURCE}`");
        } else if component.version.is_absent() && component.name.is_absent() {
            lacks("version", "`version: …`, or `name: NAME:TAG`");
        } else if component.engine.is_absent() {
            lacks("engine", "`engine: system-docker`, or `engine: docker` for what user Docker runs");
        }
        for (path, _) in component.files.iter() {
            if !path.value.starts_with('/') || path.value.split('/').any(|part| part == ".." || part == ".") || path.value.contains('\0') {
                found.push(
                    Diagnostic::error("invalid-value", path.span, format!("`{}` is no absolute path", path.value))
                        .why("it is where the file goes in the image")
                        .mend("write a path like /usr/local/bin/etcd"),
                );
            }
        }
    }
}

/// What every image is made of, for each architecture among the nodes.
pub fn contents(
    profile: &Profile,
    line: &Line,
    names: &BTreeMap<String, String>,
    arches: &BTreeSet<Arch>,
    sources: &Sources,
    found: &mut Diagnostics,
) -> Vec<Image> {
    let mut templates = Templates::default();
    let mut images = Vec::new();
    for arch in arches {
        for (name, component) in components(profile, line).iter() {
            let version = component.version.value().map_or("", |version| version.text.as_str());
            let mut decide =
                Decide { arch: *arch, context: context! { arch => arch.as_str(), version }, templates: &mut templates, sources, found };
            let from = component.from.value().and_then(|base| decide.base(base));
            let files = component.files.iter().filter_map(|(path, source)| Some((path.value.clone(), decide.source(source.value()?)?)));
            let files = files.collect();
            let entrypoint = component.entrypoint.get().map(|command| decide.words(&command.value, command.span));
            let Some(engine) = component.engine.value() else { continue };
            let content = image::Image { name: names[&name.value].clone(), arch: *arch, from, files, entrypoint };
            images.push(Image { component: name.value.clone(), engine: *engine, content });
        }
    }
    images
}

/// Renders what a component says, for one architecture.
struct Decide<'a> {
    arch: Arch,
    context: minijinja::Value,
    templates: &'a mut Templates,
    sources: &'a Sources,
    found: &'a mut Diagnostics,
}

impl Decide<'_> {
    fn text(&mut self, text: &Text, span: Option<Span>) -> Option<String> {
        if !text.template {
            return Some(text.text.clone());
        }
        self.templates.add(&text.text, span, self.found);
        match self.templates.render(&text.text, &self.context) {
            Ok(text) => Some(text),
            Err(error) => {
                let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
                self.found.push(
                    Diagnostic::error("template", span, format!("this template fails: {}{detail}", error.kind()))
                        .mend("the values here are `arch` (amd64, arm64) and `version`, the component's"),
                );
                None
            }
        }
    }

    fn given(&mut self, given: &Given<Text>) -> Option<String> {
        let given = given.get()?;
        self.text(&given.value, given.span)
    }

    fn local(&mut self, path: &Spanned<Text>) -> Option<Local> {
        let root = if path.span.is_some_and(|span| self.sources.get(span.source).is_profile) { Root::Profile } else { Root::Components };
        Some(Local { root, path: Utf8PathBuf::from(self.text(&path.value, path.span)?) })
    }

    fn source(&mut self, source: &component::Source) -> Option<image::Source> {
        let place = match &source.place {
            Place::Path(path) => image::Place::Local(self.local(path)?),
            Place::Url(given) => {
                let url = self.text(&given.value, given.span)?;
                if let Err(problem) = <crate::profile::Url as crate::yaml::Scalar>::parse(&url) {
                    self.found.push(
                        Diagnostic::error("invalid-value", given.span, problem)
                            .why("the component couldn't be fetched")
                            .mend("write https://HOST/PATH"),
                    );
                    return None;
                }
                let authority = url.split('/').nth(2).unwrap_or_default();
                if authority.contains('@') {
                    self.found.push(
                        Diagnostic::error("secret-in-profile", given.span, "this URL has a login in it")
                            .why("it would lie in git, and stand in the lock")
                            .mend("put the file where no login is needed, or beside the profile as a `path`"),
                    );
                    return None;
                }
                image::Place::Url { url, digest: self.digest(source)? }
            }
        };
        Some(image::Source { place, member: self.given(&source.member), span: source.span })
    }

    /// `None`: there should be one and isn't.
    fn digest(&mut self, source: &component::Source) -> Option<Option<image::Digest>> {
        let Some(given) = source.digests.get() else { return Some(None) };
        let digest = given.of(self.arch);
        if digest.is_none() {
            self.found.push(
                Diagnostic::error("component-source", given.span, format!("there is no digest for {}", self.arch))
                    .why("a node of the cluster has this processor, and what is fetched for it couldn't be checked")
                    .mend(format!("add `{}: …`", self.arch)),
            );
        }
        digest.map(|digest| Some(digest.clone()))
    }

    fn base(&mut self, base: &component::Base) -> Option<Base> {
        Some(match base {
            component::Base::Rootfs(source) => Base::Rootfs(self.source(source)?),
            component::Base::Archive { source, image } => Base::Archive { source: self.source(source)?, image: self.given(image) },
            component::Base::Layout { path, image } => Base::Layout { path: self.local(path)?, image: self.given(image) },
            component::Base::Registry(given) => match self.text(&given.value, given.span)?.parse() {
                Ok(reference) => Base::Registry { reference, span: given.span },
                Err(problem) => {
                    self.found.push(
                        Diagnostic::error("invalid-value", given.span, format!("{problem}"))
                            .why("the image couldn't be pulled")
                            .mend("write [HOST/]NAME:TAG, like quay.io/coreos/etcd:v3.4.23"),
                    );
                    return None;
                }
            },
        })
    }

    fn words(&mut self, command: &Command, span: Option<Span>) -> Vec<String> {
        match command {
            Command::Line(text) => {
                let Some(line) = self.text(text, span) else { return Vec::new() };
                self.found.extend_with(form::misfit("entrypoint", &line).map(|misfit| refused("what is in the image", misfit, span)));
                shlex::split(&line).unwrap_or_default()
            }
            Command::Words(words) => words.iter().filter_map(|word| self.text(&word.value, word.span)).collect(),
        }
    }
}
