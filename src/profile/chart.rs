//! Helm charts among a profile's manifests.

use super::{ManifestPath, Name, Url};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::terms::schema;
use crate::yaml::{Field, Given, Kind, List, Node, Reader, Scalar, Tag, record};
use std::borrow::Cow;

record! {
    /// A Helm chart. remuda renders it by `helm template`, wherever it runs; no node has Helm.
    pub struct Chart {
        hints: &[
            ("path", "write `chart`"),
            ("url", "write `chart`"),
            ("repo", "write the URL of the chart's archive as `chart`"),
            ("version", "name the archive of that version as `chart`"),
            ("set", "write `values`, a mapping"),
            ("file", "write `values_files`, a list")
        ];
        /// A folder or a `.tgz` archive next to the profile, or an archive's URL, which `remuda lock` pins.
        pub chart: Given<ChartPlace>,
        /// The namespace of its objects. Default `default`.
        pub namespace: Given<Name>,
        /// Files of values, relative to the profile's folder; later ones are stronger.
        pub values_files: List<ManifestPath>,
        /// Values, stronger than those of the files: `{replicas: 2}`. Helm gets them as they are.
        pub values: ChartValues,
    }
}

/// Where a chart is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChartPlace {
    /// Next to the profile.
    Path(ManifestPath),
    /// At an http or https URL.
    Url(Url),
}

impl Scalar for ChartPlace {
    fn expected() -> Cow<'static, str> {
        "a folder or .tgz archive next to the profile, like `charts/page`, or an archive's URL".into()
    }

    fn parse(text: &str) -> Result<Self, String> {
        if !text.contains("://") {
            return ManifestPath::parse(text).map(Self::Path);
        }
        if text.starts_with("oci://") {
            return Err("remuda takes charts from http and https servers, not from registries".to_owned());
        }
        let url = Url::parse(text)?;
        if text.split('/').nth(2).unwrap_or_default().contains('@') {
            return Err("this URL has a login in it, which would be in git, in the profile and in the lock".to_owned());
        }
        Ok(Self::Url(url))
    }
}
schema!(ChartPlace, { "type": "string", "title": "a chart's path next to the profile, or its URL" });

/// The values of a chart: any mapping, of which only the chart knows what it means.
#[derive(Debug, Clone, Default)]
pub struct ChartValues(
    /// The mapping, if there is one.
    pub Option<Node>,
);

impl Field for ChartValues {
    fn fill(&mut self, node: &Node, reader: &mut Reader) {
        if !matches!(node.kind, Kind::Mapping(_)) {
            return reader.wrong_type(node, "a mapping");
        }
        let mut tagged = Vec::new();
        node.walk(&mut |node| tagged.extend((node.tag != Tag::None).then_some(node.span)));
        for span in tagged {
            reader.found.push(
                Diagnostic::new(Code::NoTemplate, span, "no tag has a meaning in a chart's values")
                    .why("Helm gets the values as they are, once for all nodes")
                    .help("remove the tag; a chart takes a secret by the name of a Secret, which a manifest can have with `!secret`"),
            );
        }
        self.0 = Some(node.clone());
    }

    fn merge(&mut self, stronger: &Self) {
        if !stronger.is_absent() {
            *self = stronger.clone();
        }
    }

    fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    fn places(&self, see: &mut dyn FnMut(Span)) {
        self.0.iter().for_each(|node| see(node.span));
    }
}
schema!(ChartValues, { "type": "object", "title": "any mapping" });
