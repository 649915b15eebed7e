//! Component images: how they reach the nodes, their names, and what they are made of.

use crate::component;
use crate::component::rootfs::{Package, Rootfs};
use crate::component::{ComponentImage, Place};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Sources, Span, closest};
use crate::image;
use crate::image::{Base, Local, MadeFrom, Root};
use crate::line::{Condition, Line, Releases, Templates};
use crate::plan::cluster::{ClusterImages, Login, PlannedImage};
use crate::plan::decide::network;
use crate::plan::refused::refused;
use crate::profile::Profile;
use crate::service::{Command, Text, form};
use crate::target::Target;
use crate::terms::{Arch, Delivery, Digest, EngineName, ImageName, Provenance};
use crate::yaml::{Field, Given, Map, Spanned};
use camino::{Utf8Path, Utf8PathBuf};
use minijinja::context;
use std::collections::{BTreeMap, BTreeSet};

/// How images reach the nodes, and their names. [`contents`] adds what they are made of.
pub(crate) fn decide(profile: &Profile, line: Option<&Line>, target: Option<&Target>, found: &mut Diagnostics) -> Option<ClusterImages> {
    let given = &profile.images;
    if matches!(given.delivery, Given::Bad) {
        return None;
    }
    let delivery = given.delivery.value().copied().unwrap_or(Delivery::Preload);
    let prefix = given.registry.value().filter(|_| delivery == Delivery::Registry).map(|host| format!("{host}/")).unwrap_or_default();
    let name = |(name, component): (&Spanned<String>, &ComponentImage)| {
        let own = component.name.value().map(|name| name.text.clone());
        let version = component.version.value().map_or("", |version| version.text.as_str());
        (name.value.clone(), format!("{prefix}{}", own.unwrap_or_else(|| format!("remuda/{}:{version}", name.value))))
    };
    let version =
        |(name, component): (&Spanned<String>, &ComponentImage)| Some((name.value.clone(), component.version.value()?.text.clone()));
    let components = components(profile, line?, target?);
    Some(ClusterImages {
        delivery,
        names: components.iter().map(name).collect(),
        versions: components.iter().filter_map(version).collect(),
        mirror: given.mirror.value().map(|url| url.0.clone()),
        mirrors: given.mirrors.iter().filter_map(|(host, url)| Some((host.value.clone(), url.value()?.0.clone()))).collect(),
        insecure: given.insecure.values().map(|host| host.0.clone()).collect(),
        login: login(profile, found),
        url: given.url.value().map(|url| url.0.trim_end_matches('/').to_owned()),
        provenance: provenance(profile),
        gzip: delivery != Delivery::Registry && given.gzip.value().is_some_and(|gzip| gzip.0),
        contents: Vec::new(),
        archives: Vec::new(),
        made_from: MadeFrom::default(),
    })
}

/// A login must be complete and have a registry.
fn login(profile: &Profile, found: &mut Diagnostics) -> Option<Login> {
    let (given, registry) = (&profile.images.login, profile.images.registry.value());
    let written = given.span?;
    for (absent, what) in [
        (given.username.is_absent(), "`login` has no `username`"),
        (given.secret.is_absent(), "`login` has no `secret`"),
        (profile.images.registry.is_absent(), "`login` is set, but no `registry`"),
    ] {
        if absent {
            found.push(
                Diagnostic::new(Code::HalfALogin, written, what)
                    .why("no engine could log in")
                    .help("write `registry: HOST` and `login: {username: NAME, secret: NAME}`"),
            );
        }
    }
    let host = registry?.0.split('/').next().unwrap_or_default().to_owned();
    Some(Login { host, username: given.username.value()?.0.clone(), secret: given.secret.get()?.clone() })
}

/// The line's components with the profile's changes.
pub(crate) fn components(profile: &Profile, line: &Line, target: &Target) -> Map<ComponentImage> {
    let mut components = line.components_on(target);
    if !network::backend(profile).is_flannel() {
        line.components_for(Condition::Flannel).for_each(|unused| components.remove(unused));
    }
    let mut given = profile.images.components.clone();
    let provenance = provenance(profile);
    components.values_mut().chain(given.values_mut()).for_each(|component| component.decide(provenance));
    components.merge(&given);
    components
}

/// Whose bytes the components are.
fn provenance(profile: &Profile) -> Provenance {
    profile.images.source.value().copied().unwrap_or(Provenance::Built)
}

/// The engine that loads each component's image.
fn engines(profile: &Profile, line: &Line, target: &Target) -> BTreeMap<String, EngineName> {
    let engine = |(name, component): (&Spanned<String>, &ComponentImage)| Some((name.value.clone(), *component.engine.value()?));
    components(profile, line, target).iter().filter_map(engine).collect()
}

/// The images that are packed: component, name, and the engine that loads it.
pub(crate) fn packed(profile: &Profile, line: &Line, target: &Target, images: &ClusterImages) -> Vec<(String, String, EngineName)> {
    let engines = engines(profile, line, target);
    let packed = images.names.iter().filter_map(|(component, name)| Some((component.clone(), name.clone(), *engines.get(component)?)));
    packed.collect()
}

/// What each image is made of, for each architecture among the nodes.
pub(crate) fn contents(
    profile: &Profile,
    line: &Line,
    target: &Target,
    names: &BTreeMap<String, String>,
    arches: &BTreeSet<Arch>,
    sources: &Sources,
    found: &mut Diagnostics,
) -> Vec<PlannedImage> {
    let mut templates = Templates::default();
    let mut images = Vec::new();
    for arch in arches {
        for (name, component) in components(profile, line, target).iter() {
            let version = component.version.value().map_or("", |version| version.text.as_str());
            let mut decide = Decide {
                arch: *arch,
                context: context! { arch => arch.as_str(), version },
                templates: &mut templates,
                releases: &line.releases,
                sources,
                found,
            };
            let from = component.from.value().and_then(|base| decide.base(base));
            let files = component.files.iter().filter_map(|(path, source)| Some((path.value.clone(), decide.source(source.value()?)?)));
            let files = files.collect();
            let entrypoint = component.entrypoint.get().map(|command| decide.words(&command.value, command.span));
            let Some(engine) = component.engine.value() else { continue };
            let of_engine = target.engine_image.as_ref().filter(|_| line.docker_component() == Some(&name.value));
            let mut needs = of_engine.map(|image| image.needs.clone()).unwrap_or_default();
            needs.extend(entrypoint.iter().flatten().next().filter(|program| program.starts_with('/')).cloned());
            let spec = image::ImageSpec { name: names[&name.value].clone(), arch: *arch, from, files, entrypoint, needs };
            images.push(PlannedImage { component: name.value.clone(), engine: *engine, spec });
        }
    }
    images
}

/// Renders a component for one architecture.
struct Decide<'a> {
    arch: Arch,
    context: minijinja::Value,
    templates: &'a mut Templates,
    releases: &'a Releases,
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
                    Diagnostic::new(Code::Template, span, format!("this template fails: {}{detail}", error.kind()))
                        .help("the values here are `arch` (amd64, arm64) and `version`, the component's"),
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
        let path = Utf8PathBuf::from(self.text(&path.value, path.span)?);
        // As `scripts/components --arch` lays them out.
        let of_arch = root == Root::Components && self.arch != Arch::Amd64;
        Some(Local { root, path: if of_arch { Utf8Path::new(self.arch.as_str()).join(path) } else { path } })
    }

    fn source(&mut self, source: &component::ComponentSource) -> Option<image::FileSource> {
        let place = match &source.place {
            Place::Path(path) => image::Place::Local(self.local(path)?),
            Place::Url(given) => {
                let url = self.text(&given.value, given.span)?;
                if let Err(problem) = <crate::profile::Url as crate::yaml::Scalar>::parse(&url) {
                    self.found.push(
                        Diagnostic::new(Code::InvalidValue, given.span, problem)
                            .why("the component couldn't be fetched")
                            .help("write https://HOST/PATH"),
                    );
                    return None;
                }
                let authority = url.split('/').nth(2).unwrap_or_default();
                if authority.contains('@') {
                    self.found.push(
                        Diagnostic::new(Code::SecretInProfile, given.span, "this URL has a login in it")
                            .why("it would be in git, in the profile and in the lock")
                            .help("put the file where no login is needed, or next to the profile as a `path`"),
                    );
                    return None;
                }
                let digest = self.digest(source)?.or_else(|| self.on_record(&url, given.span));
                image::Place::Url { url, digest }
            }
        };
        Some(image::FileSource { place, member: self.given(&source.member), span: source.span })
    }

    /// `None` if a required one is missing.
    fn digest(&mut self, source: &component::ComponentSource) -> Option<Option<Digest>> {
        let Some(given) = source.digests.get() else { return Some(None) };
        let digest = given.of(self.arch);
        if digest.is_none() {
            self.found.push(
                Diagnostic::new(Code::ComponentSource, given.span, format!("no digest for {}", self.arch))
                    .why("a node of the cluster has this processor, and remuda could not check its download")
                    .help(format!("add `{}: …`", self.arch)),
            );
        }
        digest.map(|digest| Some(digest.clone()))
    }

    /// What a public record has of something that a line names. What a profile names is the profile's.
    fn on_record(&self, name: &str, span: Option<Span>) -> Option<Digest> {
        let is_lines = span.is_some_and(|span| !self.sources.get(span.source).is_profile);
        self.releases.digest(name).filter(|_| is_lines).cloned()
    }

    fn base(&mut self, base: &component::Base) -> Option<Base> {
        Some(match base {
            component::Base::Rootfs(source) => Base::Rootfs(self.source(source)?),
            component::Base::Archive { source, image } => Base::Archive { source: self.source(source)?, image: self.given(image) },
            component::Base::Layout { path, image } => Base::Layout { path: self.local(path)?, image: self.given(image), span: path.span },
            component::Base::Debian { name, span } => {
                let name = self.text(&name.value, name.span)?;
                self.debian(&name, *span)?
            }
            component::Base::Registry(given) => match self.text(&given.value, given.span)?.parse::<ImageName>() {
                Ok(reference) => {
                    let digest = self.on_record(&reference.to_string(), given.span);
                    Base::Registry { reference: ImageName { digest: reference.digest.or(digest), ..reference }, span: given.span }
                }
                Err(problem) => {
                    self.found.push(
                        Diagnostic::new(Code::InvalidValue, given.span, format!("{problem}"))
                            .why("the image couldn't be pulled")
                            .help("write [HOST/]NAME:TAG, like quay.io/coreos/etcd:v3.4.23"),
                    );
                    return None;
                }
            },
        })
    }

    /// A root filesystem of Debian's packages.
    fn debian(&mut self, name: &str, span: Span) -> Option<Base> {
        let debian = match self.releases.debian() {
            Ok(debian) => debian,
            Err(problem) => {
                self.found.push(Diagnostic::new(Code::Line, None, problem.clone()));
                return None;
            }
        };
        let Some(Rootfs { packages, layout }) = debian.rootfs(name, self.arch) else {
            let known: Vec<&str> = debian.names().collect();
            let help = match closest(name, known.iter().copied()) {
                Some(meant) if meant != name => format!("did you mean `{meant}`?"),
                _ => format!("write one of {}", known.join(", ")),
            };
            self.found.push(
                Diagnostic::new(
                    Code::ComponentSource,
                    span,
                    format!("no root filesystem of Debian's packages is named `{name}` for {}", self.arch),
                )
                .why("remuda can't make the image")
                .help(help),
            );
            return None;
        };
        let package = |(name, package): (&str, &Package)| {
            let place = image::Place::Url { url: debian.url(package), digest: Some(package.digest.clone()) };
            image::DebianPackage {
                name: name.to_owned(),
                version: package.version.clone(),
                licenses: package.licenses.clone(),
                source: image::FileSource { place, member: None, span },
            }
        };
        Some(Base::Debian { name: name.to_owned(), packages: packages.into_iter().map(package).collect(), layout })
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
