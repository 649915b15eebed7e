//! An image's name, read as Docker reads it.

use super::Digest;
use std::fmt;
use std::str::FromStr;

/// `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`, with defaults for missing parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageName {
    /// `HOST[:PORT]`; Docker Hub is `docker.io`.
    pub registry: String,
    /// The name within the registry: `library/busybox`.
    pub repository: String,
    /// `latest` if there is neither a tag nor a digest.
    pub tag: Option<String>,
    /// The digest behind `@`.
    pub digest: Option<Digest>,
}

/// A text that is no reference to an image.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no image's name: {problem}")]
pub struct NoImageName {
    text: String,
    problem: &'static str,
}

impl FromStr for ImageName {
    type Err = NoImageName;

    /// Reads a name by the grammar of Docker (docker/distribution, reference).
    fn from_str(text: &str) -> Result<Self, NoImageName> {
        let wrong = |problem| NoImageName { text: text.to_owned(), problem };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(digest.parse().map_err(|_| wrong("behind `@` goes sha256:… or sha512:…, in small letters"))?))
            }
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong("a tag has at most 128 letters, digits, dots, dashes and underscores"));
        }
        if name.is_empty() || name.len() > 255 {
            return Err(wrong("a name has 1 to 255 characters"));
        }
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), path),
            _ => (None, name),
        };
        if host.is_some_and(|host| !is_host(host)) {
            return Err(wrong("before the first `/` comes a registry's HOST or HOST:PORT"));
        }
        if !path.split('/').all(is_repository_part) {
            return Err(wrong("it consists of lower-case letters and digits, with single dots, dashes or underscores between them"));
        }
        let registry = host.filter(|host| *host != "index.docker.io").unwrap_or("docker.io").to_owned();
        let is_official = host.is_none() && !path.contains('/');
        let repository = if is_official { format!("library/{path}") } else { path.to_owned() };
        let tag = tag.map(str::to_owned).or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Self { registry, repository, tag, digest })
    }
}

fn is_tag(tag: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=128).contains(&tag.len()) && !tag.starts_with(['.', '-']) && tag.chars().all(inner)
}

/// `HOST[:PORT]`.
fn is_host(host: &str) -> bool {
    let (host, port) = host.split_once(':').unwrap_or((host, "0"));
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.chars().all(inner)
    };
    host.split('.').all(label) && !port.is_empty() && port.chars().all(|c| c.is_ascii_digit())
}

/// A part of an image's name: runs of lower-case letters and digits, with `.`, `_`, `__` or dashes
/// between them.
pub fn is_repository_part(part: &str) -> bool {
    let ends_well = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends_well(part.chars().next())
        && ends_well(part.chars().last())
        && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
        && !["..", "._", "_.", ".-", "-.", "_-", "-_", "___"].iter().any(|run| part.contains(run))
}

impl fmt::Display for ImageName {
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
    use super::ImageName;

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
            assert_eq!(text.parse::<ImageName>().unwrap().to_string(), whole);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in ["", "A", "a:", "a/", "/a", "a//b", "a:b:c", "a@sha256:1", "a b", "http://a/b", "a/../b", "h:5000/", "a:-1"] {
            assert!(bad.parse::<ImageName>().is_err(), "{bad}");
        }
    }
}
