//! Where the bytes of an image come from.

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::service::Text;
use crate::terms::{Arch, Digest};
use crate::yaml::{Field, Given, Kind, Node, Reader, Scalar, Spanned, record};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// A file, a folder, or one of those within an archive.
#[derive(Debug, Clone)]
pub struct ComponentSource {
    /// Where it, or the archive with it, lies.
    pub place: Place,
    /// What the bytes at a URL must be.
    pub digests: Given<Digests>,
    /// The path within the archive that is there; a folder's ends in a slash.
    pub member: Given<Text>,
    /// Where the source is written.
    pub span: Span,
}

/// Where bytes lie; the texts may be templates.
#[derive(Debug, Clone)]
pub enum Place {
    /// In the components folder if a line says it, beside the profile if that does.
    Path(Spanned<Text>),
    /// An http or https URL.
    Url(Spanned<Text>),
}

/// What an image begins with.
#[derive(Debug, Clone)]
pub enum Base {
    /// A root filesystem, as a tar archive.
    Rootfs(ComponentSource),
    /// An image in a registry: `[HOST/]NAME[:TAG][@DIGEST]`.
    Registry(Spanned<Text>),
    /// A `docker save` archive, and which image in it.
    Archive {
        /// The archive.
        source: ComponentSource,
        /// Which image in it, by its name.
        image: Given<Text>,
    },
    /// The folder of an OCI layout, and the tag of an image in it.
    Layout {
        /// The folder.
        path: Spanned<Text>,
        /// Which image in it, by its tag.
        image: Given<Text>,
    },
}

impl Scalar for ComponentSource {
    fn expected() -> Cow<'static, str> {
        "a path, or a mapping with `path` or `url`".into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        if let Kind::Scalar { .. } = node.kind {
            let path = Spanned::at(node.span, Text::read(node, reader)?);
            return Some(Self { place: Place::Path(path), digests: Given::Absent, member: Given::Absent, span: node.span });
        }
        let mut keys = self::keys::Source::default();
        keys.fill(node, reader);
        if keys.is_bad() {
            return None;
        }
        let digests = match (keys.sha256, keys.sha512) {
            (Given::Is(one), _) => Given::Is(Spanned { value: one.value.0, span: one.span }),
            (_, Given::Is(one)) => Given::Is(Spanned { value: one.value.0, span: one.span }),
            _ => Given::Absent,
        };
        let place = match (keys.path, keys.url) {
            (Given::Is(path), Given::Absent) => Place::Path(path),
            (Given::Absent, Given::Is(url)) => Place::Url(url),
            _ => {
                reader.found.push(
                    Diagnostic::new(Code::ComponentSource, node.span, "a source wants either `path` or `url`")
                        .why("where the bytes come from must be said once")
                        .help("write `path: FILE` or `url: https://…`"),
                );
                return None;
            }
        };
        if let (Place::Path(_), Given::Is(digest)) = (&place, &digests) {
            reader.found.push(
                Diagnostic::new(Code::ComponentSource, digest.span, "a digest is for a `url`")
                    .why("a file that lies here is taken as it is")
                    .help("leave it out"),
            );
            return None;
        }
        Some(Self { place, digests, member: keys.member, span: node.span })
    }
}

impl Scalar for Base {
    fn expected() -> Cow<'static, str> {
        "a mapping with `rootfs`, `image`, `archive` or `layout`".into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let mut keys = self::keys::Base::default();
        keys.fill(node, reader);
        if keys.is_bad() {
            return None;
        }
        match (keys.rootfs, keys.archive, keys.layout, keys.image) {
            (Given::Is(source), Given::Absent, Given::Absent, Given::Absent) => Some(Self::Rootfs(source.value)),
            (Given::Absent, Given::Is(source), Given::Absent, image) => Some(Self::Archive { source: source.value, image }),
            (Given::Absent, Given::Absent, Given::Is(path), image) => Some(Self::Layout { path, image }),
            (Given::Absent, Given::Absent, Given::Absent, Given::Is(image)) => Some(Self::Registry(image)),
            _ => {
                reader.found.push(
                    Diagnostic::new(Code::ComponentSource, node.span, "`from` wants one of `rootfs`, `image`, `archive`, `layout`")
                        .why("an image begins with one thing")
                        .help("write `from: {rootfs: FILE}` or `from: {image: REGISTRY/NAME:TAG}`; `image` beside `archive` or `layout` says which of the images in it"),
                );
                None
            }
        }
    }
}

/// A digest, or one for each architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Digests {
    /// For every architecture the same.
    All(Digest),
    /// By architecture.
    Each(Vec<(Arch, Digest)>),
}

impl Digests {
    /// The digest for `arch`, if there is one.
    pub fn of(&self, arch: Arch) -> Option<&Digest> {
        match self {
            Self::All(digest) => Some(digest),
            Self::Each(all) => all.iter().find(|(known, _)| *known == arch).map(|(_, digest)| digest),
        }
    }

    fn read(algorithm: &'static str, node: &Node, reader: &mut Reader) -> Option<Self> {
        let Kind::Mapping(entries) = &node.kind else {
            return digest(algorithm, node, reader).map(Self::All);
        };
        let mut all = Vec::new();
        for entry in entries {
            let key = Node { kind: Kind::Scalar { text: entry.key.clone(), plain: true }, span: entry.key_span, tag: Default::default() };
            all.push((Arch::read(&key, reader)?, digest(algorithm, &entry.value, reader)?));
        }
        Some(Self::Each(all))
    }
}

/// Reads the digits of a digest.
fn digest(algorithm: &'static str, node: &Node, reader: &mut Reader) -> Option<Digest> {
    let Kind::Scalar { text, .. } = &node.kind else {
        reader.wrong_type(node, "a digest in hexadecimal");
        return None;
    };
    let digest = format!("{algorithm}:{text}").parse();
    if digest.is_err() {
        reader.found.push(
            Diagnostic::new(Code::InvalidValue, node.span, format!("`{text}` is no {algorithm} in hexadecimal"))
                .why("nothing that is fetched could match it")
                .help(format!("write the {} digits that `{algorithm}sum` prints", if algorithm == "sha256" { 64 } else { 128 })),
        );
    }
    digest.ok()
}

macro_rules! digests {
    ($name:ident, $algorithm:literal) => {
        #[doc = concat!("Digests by ", $algorithm, ".")]
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(pub Digests);

        impl Scalar for $name {
            fn expected() -> Cow<'static, str> {
                concat!("a ", $algorithm, " in hexadecimal").into()
            }
            fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
                Digests::read($algorithm, node, reader).map(Self)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                $algorithm.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": ["string", "object"], "additionalProperties": { "type": "string" }, "title": concat!($algorithm, ", or one by architecture") })
            }
        }
    };
}

digests!(Sha256, "sha256");
digests!(Sha512, "sha512");

impl JsonSchema for ComponentSource {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Source".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = generator.subschema_for::<keys::Source>();
        json_schema!({ "anyOf": [keys, { "type": "string" }] })
    }
}

impl JsonSchema for Base {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Base".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<keys::Base>().clone()
    }
}

/// The mappings as they are written.
mod keys {
    use super::{Given, Sha256, Sha512, Text, record};

    record! {
        /// Where a file or folder comes from. A text alone is a `path`.
        pub struct Source {
            hints: &[("digest", "it is `sha256` or `sha512`"), ("file", "it is `path`"), ("archive", "it is `path` or `url`, and `member`")];
            /// A file or folder: a release line's lies in the components folder, a profile's beside the profile.
            pub path: Given<Text>,
            /// Where it is fetched from.
            pub url: Given<Text>,
            /// The SHA-256 of what is there, in hexadecimal; by architecture where it differs: `{amd64: …, arm64: …}`.
            pub sha256: Given<Sha256>,
            /// The SHA-512, instead.
            pub sha512: Given<Sha512>,
            /// What is meant in the archive that is there (tar, tar.gz, tar.xz, tar.zst, zip): a path; a folder's
            /// ends in a slash.
            pub member: Given<Text>,
        }
    }

    record! {
        /// What an image begins with: one of `rootfs`, `image` alone, `archive`, `layout`.
        pub struct Base {
            hints: &[("path", "it is `rootfs`, `archive` or `layout`"), ("url", "it is `rootfs: {url: …}`"), ("registry", "it is `image`")];
            /// A root filesystem: a tar archive, perhaps compressed.
            pub rootfs: Given<super::ComponentSource>,
            /// An image in a registry, `[HOST/]NAME[:TAG][@DIGEST]`. With `archive` or `layout`: which image in it.
            pub image: Given<Text>,
            /// An archive as `docker save` writes it.
            pub archive: Given<super::ComponentSource>,
            /// The folder of an OCI image layout.
            pub layout: Given<Text>,
        }
    }
}
