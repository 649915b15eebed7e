//! The name of an image in a registry, read as Docker reads it.

use crate::terms::Digest;
use std::fmt;
use std::str::FromStr;

/// `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`, with what was left out filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// `HOST[:PORT]`; the Docker Hub is `docker.io`.
    pub registry: String,
    /// The name within the registry: `library/busybox`.
    pub repository: String,
    /// `latest` if neither it nor a digest was given.
    pub tag: Option<String>,
    pub digest: Option<Digest>,
}

#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no image's name: {problem}")]
pub struct NoReference {
    text: String,
    problem: &'static str,
}

impl FromStr for Reference {
    type Err = NoReference;

    fn from_str(text: &str) -> Result<Self, NoReference> {
        let refuse = |problem| NoReference { text: text.to_owned(), problem };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|_| refuse("behind the @ must be sha256:… or sha512:…"))?)),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        let is_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
        let (registry, repository) = match name.split_once('/') {
            Some((first, path)) if is_host(first) => (first, path.to_owned()),
            Some(_) => ("docker.io", name.to_owned()),
            None => ("docker.io", format!("library/{name}")),
        };
        if !registry.bytes().all(|c| c.is_ascii_alphanumeric() || b".-:".contains(&c)) {
            return Err(refuse("the registry must be HOST or HOST:PORT"));
        }
        let is_part = |part: &str| {
            let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
            part.bytes().all(|c| inner(c) || b"._-".contains(&c))
                && part.bytes().next().is_some_and(inner)
                && part.bytes().last().is_some_and(inner)
        };
        if repository.len() > 255 || !repository.split('/').all(is_part) {
            return Err(refuse("names have lower-case letters, digits, dots, dashes and underscores"));
        }
        let is_tag = |tag: &str| {
            (1..=128).contains(&tag.len())
                && tag.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c))
                && !tag.starts_with(['.', '-'])
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(refuse("a tag has letters, digits, dots, dashes and underscores"));
        }
        let tag = tag.map(str::to_owned).or_else(|| digest.is_none().then(|| "latest".to_owned()));
        let registry = if registry == "index.docker.io" { "docker.io" } else { registry };
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn names_are_read_as_docker_reads_them() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, whole) in [
            ("busybox", "docker.io/library/busybox:latest".to_owned()),
            ("prom/node-exporter:v1.0.1", "docker.io/prom/node-exporter:v1.0.1".to_owned()),
            ("localhost/a", "localhost/a:latest".to_owned()),
            ("127.0.0.1:5000/a/b:1", "127.0.0.1:5000/a/b:1".to_owned()),
            (&format!("quay.io/coreos/etcd@{digest}"), format!("quay.io/coreos/etcd@{digest}")),
            (&format!("quay.io/coreos/etcd:v3@{digest}"), format!("quay.io/coreos/etcd:v3@{digest}")),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), whole);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in ["", "A", "a:", "a/", "/a", "a//b", "a:b:c", "a@sha256:1", "a b", "http://a/b", "a/../b", "h:5000/", "a:-1"] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
