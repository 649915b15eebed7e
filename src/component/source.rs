//! The sources of an image's bytes.

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::service::Text;
use crate::terms::{ByArch, Digest};
use crate::yaml::{Field, Given, Kind, Node, Reader, Scalar, Spanned, record};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// A file, a folder, or one of these within an archive.
#[derive(Debug, Clone)]
pub struct ComponentSource {
    /// The place of it, or of the archive with it.
    pub place: Place,
    /// The digest that the bytes at a URL must have.
    pub digests: Given<ByArch<Digest>>,
    /// The path within the archive; a folder's ends in a slash.
    pub member: Given<Text>,
    /// The source's place in the profile or line.
    pub span: Span,
}

/// The place of bytes; the texts may be templates.
#[derive(Debug, Clone)]
pub enum Place {
    /// Relative to the components folder in a line, to the profile's folder in a profile.
    Path(Spanned<Text>),
    /// An http or https URL.
    Url(Spanned<Text>),
}

/// An image's base.
#[derive(Debug, Clone)]
pub enum Base {
    /// A root filesystem, as a tar archive.
    Rootfs(ComponentSource),
    /// An image in a registry: `[HOST/]NAME[:TAG][@DIGEST]`.
    Registry(Spanned<Text>),
    /// A `docker save` archive, and the name of an image in it.
    Archive {
        /// The archive.
        source: ComponentSource,
        /// The name of an image in it.
        image: Given<Text>,
    },
    /// The folder of an OCI layout, and the tag of an image in it.
    Layout {
        /// The folder.
        path: Spanned<Text>,
        /// The tag of an image in it.
        image: Given<Text>,
    },
    /// A root filesystem of Debian's packages.
    Debian {
        /// Its name.
        name: Spanned<Text>,
        /// The base's place in the profile or line.
        span: Span,
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
                    Diagnostic::new(Code::ComponentSource, node.span, "a source needs either `path` or `url`")
                        .why("the bytes must come from exactly one place")
                        .help("write `path: FILE` or `url: https://…`"),
                );
                return None;
            }
        };
        if let (Place::Path(_), Given::Is(digest)) = (&place, &digests) {
            reader.found.push(
                Diagnostic::new(Code::ComponentSource, digest.span, "a digest is for a `url`")
                    .why("a file on this machine is used as it is")
                    .help("remove it"),
            );
            return None;
        }
        Some(Self { place, digests, member: keys.member, span: node.span })
    }
}

impl Scalar for Base {
    fn expected() -> Cow<'static, str> {
        "a mapping with `rootfs`, `debian`, `image`, `archive` or `layout`".into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let mut keys = self::keys::Base::default();
        keys.fill(node, reader);
        if keys.is_bad() {
            return None;
        }
        use Given::{Absent, Is};
        match (keys.rootfs, keys.debian, keys.archive, keys.layout, keys.image) {
            (Is(source), Absent, Absent, Absent, Absent) => Some(Self::Rootfs(source.value)),
            (Absent, Is(name), Absent, Absent, Absent) => Some(Self::Debian { name, span: node.span }),
            (Absent, Absent, Is(source), Absent, image) => Some(Self::Archive { source: source.value, image }),
            (Absent, Absent, Absent, Is(path), image) => Some(Self::Layout { path, image }),
            (Absent, Absent, Absent, Absent, Is(image)) => Some(Self::Registry(image)),
            _ => {
                reader.found.push(
                    Diagnostic::new(Code::ComponentSource, node.span, "`from` needs one of `rootfs`, `debian`, `image`, `archive`, `layout`")
                        .why("an image has exactly one base")
                        .help("write `from: {rootfs: FILE}` or `from: {image: REGISTRY/NAME:TAG}`; with `archive` or `layout`, `image` selects one of its images"),
                );
                None
            }
        }
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
            Diagnostic::new(Code::InvalidValue, node.span, format!("`{text}` isn't a {algorithm} in hexadecimal"))
                .why("no download could match it")
                .help(format!("write the {} digits that `{algorithm}sum` prints", if algorithm == "sha256" { 64 } else { 128 })),
        );
    }
    digest.ok()
}

macro_rules! digests {
    ($name:ident, $algorithm:literal) => {
        #[doc = concat!("Digests by ", $algorithm, ".")]
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(super) struct $name(pub(super) ByArch<Digest>);

        impl Scalar for $name {
            fn expected() -> Cow<'static, str> {
                concat!("a ", $algorithm, " in hexadecimal").into()
            }
            fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
                ByArch::read_each(node, reader, |node, reader| digest($algorithm, node, reader)).map(Self)
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
        /// The source of a file or folder. A single text is a `path`.
        pub struct Source {
            hints: &[("digest", "write `sha256` or `sha512`"), ("file", "write `path`"), ("archive", "write `path` or `url`, and `member`")];
            /// A file or folder. In a release line it is relative to the components folder, in a
            /// profile to the profile's folder.
            pub path: Given<Text>,
            /// The URL to fetch it from.
            pub url: Given<Text>,
            /// The SHA-256 of the download, in hexadecimal; by architecture if it differs: `{amd64:
            /// …, arm64: …}`.
            pub sha256: Given<Sha256>,
            /// The SHA-512 instead.
            pub sha512: Given<Sha512>,
            /// The path of the file or folder within the archive (tar, tar.gz, tar.xz, tar.zst,
            /// zip); a folder's ends in a slash.
            pub member: Given<Text>,
        }
    }

    record! {
        /// An image's base: one of `rootfs`, `debian`, `archive`, `layout`, or `image` without the others.
        pub struct Base {
            hints: &[("path", "write `rootfs`, `archive` or `layout`"), ("url", "write `rootfs: {url: …}`"), ("registry", "write `image`")];
            /// A root filesystem: a tar archive, compressed or not.
            pub rootfs: Given<super::ComponentSource>,
            /// A root filesystem that remuda makes of Debian's packages: `userland-12`, the tools that the components
            /// call, or `balancer-12`, haproxy and keepalived.
            pub debian: Given<Text>,
            /// An image in a registry, `[HOST/]NAME[:TAG][@DIGEST]`. With `archive` or `layout`:
            /// the image in it.
            pub image: Given<Text>,
            /// An archive as `docker save` writes it, or of an OCI image layout.
            pub archive: Given<super::ComponentSource>,
            /// The folder of an OCI image layout, or an archive of it.
            pub layout: Given<Text>,
        }
    }
}
