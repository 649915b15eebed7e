//! The profile's manifests: the images that they name, and what the nodes apply.

use crate::component::{Base, ComponentImage};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::line::Line;
use crate::manifest::{self, Object};
use crate::plan::cluster::PlannedManifests;
use crate::plan::decide::images;
use crate::profile::Profile;
use crate::service::Text;
use crate::target::Target;
use crate::terms::ImageName;
use crate::yaml::{Field, Given, Map, Spanned};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The images that manifests name.
#[derive(Debug, Default)]
pub(crate) struct OfManifests {
    /// The component for each place that names an image.
    places: BTreeMap<Span, String>,
    /// Those that are neither the line's nor the profile's own.
    components: Map<ComponentImage>,
}

/// Finds the component of each image: one that the cluster has anyway, or one made of the image in its registry.
pub(crate) fn components(
    profile: &Profile,
    line: Option<&Line>,
    target: Option<&Target>,
    objects: &[Object],
    found: &mut Diagnostics,
) -> OfManifests {
    let mut all = OfManifests::default();
    let (Some(line), Some(target)) = (line, target) else { return all };
    let named = |(component, image): (&Spanned<String>, &ComponentImage)| {
        let own = image.name.value().map(|name| name.text.clone());
        let version = image.version.value().map_or("", |version| version.text.as_str());
        let name = own.unwrap_or_else(|| format!("remuda/{}:{version}", component.value));
        Some((name.parse::<ImageName>().ok()?, component.value.clone()))
    };
    let there: BTreeMap<ImageName, String> = images::components(profile, line, target).iter().filter_map(named).collect();
    for image in objects.iter().flat_map(Object::images) {
        let Some(text) = image.text() else { continue };
        let reference = match text.parse::<ImageName>() {
            Ok(reference) => reference,
            Err(problem) => {
                found.push(
                    Diagnostic::new(Code::InvalidValue, image.span, problem.to_string())
                        .why("the pod would never start")
                        .help("write [HOST/]NAME:TAG, like docker.io/library/nginx:1.29"),
                );
                continue;
            }
        };
        let component = there.get(&reference).cloned().unwrap_or_else(|| reference.to_string());
        if !there.contains_key(&reference) && all.components.get(&component).is_none() {
            let place = Some(image.span);
            let is = |text: String| Spanned { value: Text { text, template: false }, span: place };
            let packed = ComponentImage {
                engine: Given::Is(Spanned::unwritten(line.pods_in)),
                name: Given::Is(is(name(&reference))),
                from: Given::Is(Spanned::at(image.span, Base::Registry(is(text.to_owned())))),
                ..ComponentImage::default()
            };
            all.components.insert(Spanned::at(image.span, component.clone()), packed);
        }
        all.places.insert(image.span, component);
    }
    all
}

/// The image's name on the nodes: an archive has no digests, and a registry's path no port.
fn name(reference: &ImageName) -> String {
    let registry = reference.registry.replace(':', "-");
    let digest = reference.digest.as_ref().map(|digest| digest.as_str().replace(':', "-").chars().take(19).collect::<String>());
    let tag: Vec<String> = reference.tag.iter().cloned().chain(digest).collect();
    let tag: String = tag.join("-").chars().take(128).collect();
    format!("{registry}/{}:{tag}", reference.repository)
}

/// The profile, with these images as if it had them in `images.components`.
pub(crate) fn with_images<'p>(profile: &'p Profile, of_manifests: &OfManifests) -> Cow<'p, Profile> {
    if of_manifests.components.is_empty() {
        return Cow::Borrowed(profile);
    }
    let mut profile = profile.clone();
    profile.images.components.merge(&of_manifests.components);
    Cow::Owned(profile)
}

/// What the nodes apply.
pub(crate) fn decide(profile: &Profile, objects: &[Object], of_manifests: &OfManifests) -> Option<PlannedManifests> {
    profile.manifests.span?;
    Some(PlannedManifests {
        objects: manifest::pieces(objects.iter(), &of_manifests.places),
        replicas: manifest::replicas(objects.iter()),
        names: manifest::names(objects.iter()),
        images: objects.iter().flat_map(|object| named(object, of_manifests)).collect(),
        generation: profile.manifests.generation.value().map_or(1, |generation| generation.0),
    })
}

/// The images that an object names: component, object and place.
fn named<'o>(object: &'o Object, of_manifests: &'o OfManifests) -> impl Iterator<Item = (String, String, Span)> {
    object.images().into_iter().filter_map(|image| Some((of_manifests.places.get(&image.span)?.clone(), object.title(), image.span)))
}
