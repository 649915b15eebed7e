//! The reading half of the OCI distribution API 1.1: resolves names, and fetches blobs by digest.
//!
//! Tokens and passwords stay here: they are in no error, log or file.

use super::http::{Client, Fetch, FetchError, refusal};
use super::lock::LockedImage;
use super::ready::{Config, DOCUMENT, Descriptor, Index, Manifest};
use super::store::{Blob, Store};
use crate::terms::{Arch, Digest, ImageName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::Utf8PathBuf;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use ureq::Body;
use ureq::http::{HeaderMap, HeaderValue, Response, StatusCode};
use zeroize::Zeroizing;

const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// The host of Docker Hub's registry.
const HUB: &str = "registry-1.docker.io";

/// Registries, and how to reach them.
pub struct Registry<'a> {
    client: &'a Client,
    /// Registries that speak plain HTTP; those on this machine always do.
    insecure: Vec<String>,
    /// Registry → URLs of mirrors, which are asked before it.
    mirrors: BTreeMap<String, Vec<String>>,
    /// The scope of tokens: `pull`, or `pull,push`.
    actions: &'static str,
    /// URL and repository → the authorization for it.
    proofs: Mutex<HashMap<(String, String), Zeroizing<String>>>,
}

impl<'a> Registry<'a> {
    /// Registries as a profile and the command line name them.
    pub fn new(client: &'a Client, insecure: Vec<String>, mirrors: BTreeMap<String, Vec<String>>) -> Self {
        Self { client, insecure, mirrors, actions: "pull", proofs: Mutex::default() }
    }

    /// A registry to write to.
    pub fn to_push(client: &'a Client, insecure: Vec<String>) -> Self {
        Self { actions: "pull,push", ..Self::new(client, insecure, BTreeMap::new()) }
    }

    /// Resolves an image's name for one architecture. Its config enters the store.
    pub fn resolve(&self, reference: &ImageName, arch: Arch, store: &Store) -> Result<LockedImage, FetchError> {
        let name = reference.digest.as_ref().map(Digest::as_str).or(reference.tag.as_deref()).unwrap_or("latest");
        let (bytes, mut digest) = self.manifest(reference, name)?;
        let refuse = |problem: String| FetchError::Refused(problem);
        let named = digest.clone();
        let mut bytes = bytes;
        if let Ok(index) = serde_json::from_slice::<Index>(&bytes) {
            let one = index.manifests.iter().find(|one| one.is_for(arch) && !one.is_index());
            let one = one.ok_or_else(|| refuse(format!("this name has no image for linux/{arch}")))?;
            (bytes, digest) = self.manifest(reference, one.digest.as_str())?;
        }
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| refuse(format!("the registry's answer isn't an image manifest: {error}")))?;
        let blob = |one: &Descriptor| match one.digest.is_sha256() {
            true => Ok(Blob { digest: one.digest.clone(), size: one.size }),
            false => Err(refuse(format!("{}: remuda only reads images whose digests are sha256", one.digest))),
        };
        let config = blob(&manifest.config)?;
        if config.size > DOCUMENT {
            return Err(refuse(format!("its config has {} bytes", config.size)));
        }
        self.blob(reference, &config, store, &|_| {})?;
        let read: Option<Config> = fs_err::read(store.path(&config.digest)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let read = read.ok_or_else(|| refuse("its config isn't that of a container image".to_owned()))?;
        if (read.os.as_str(), read.architecture.as_str()) != ("linux", arch.as_str()) {
            return Err(refuse(format!("it is for {}/{}, not for linux/{arch}", read.os, read.architecture)));
        }
        Ok(LockedImage {
            image: reference.to_string(),
            arch,
            digest: named,
            manifest: Blob { digest, size: bytes.len() as u64 },
            config,
            layers: manifest.layers.iter().map(blob).collect::<Result<_, _>>()?,
        })
    }

    /// Fetches a blob into the store.
    pub fn blob(&self, reference: &ImageName, blob: &Blob, store: &Store, progress: &dyn Fn(i64)) -> Result<(), FetchError> {
        let ask = |headers: &HeaderMap| self.ask(reference, &format!("blobs/{}", blob.digest), headers);
        let fetch = Fetch { key: blob.digest.as_str(), digest: Some(&blob.digest), size: Some(blob.size), ask: &ask, progress };
        self.client.fetch(store, &fetch).map(|_| ())
    }

    /// A manifest or index by tag or digest, and its digest.
    fn manifest(&self, reference: &ImageName, name: &str) -> Result<(Vec<u8>, Digest), FetchError> {
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static(MANIFESTS));
        self.client.patiently(|| {
            let mut response = self.ask(reference, &format!("manifests/{name}"), &headers)?;
            if response.status() != StatusCode::OK {
                return Err(refusal(&response));
            }
            let said = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok()?.parse::<Digest>().ok());
            let bytes = small(&mut response)?;
            let got = Digest::of(&bytes);
            match name.parse::<Digest>().ok().or(said).filter(|wanted| wanted.is_sha256() && *wanted != got) {
                Some(wanted) => Err(FetchError::Digest { got, wanted }),
                None => Ok((bytes, got)),
            }
        })
    }

    /// Asks the registry's mirrors, then the registry.
    fn ask(&self, reference: &ImageName, path: &str, headers: &HeaderMap) -> Result<Response<Body>, FetchError> {
        let mirrors = self.mirrors.get(&reference.registry).into_iter().flatten();
        for mirror in mirrors {
            if let Ok(response) = self.ask_one(mirror.trim_end_matches('/'), reference, path, headers)
                && response.status().is_success()
            {
                return Ok(response);
            }
        }
        self.ask_one(&self.base(reference), reference, path, headers)
    }

    pub(super) fn client(&self) -> &Client {
        self.client
    }

    /// `https://HOST` of the registry itself.
    pub(super) fn base(&self, reference: &ImageName) -> String {
        let host = if reference.registry == "docker.io" { HUB } else { &reference.registry };
        let name = host.split(':').next().unwrap_or_default();
        let is_here = name == "localhost" || name.starts_with("127.");
        let scheme = if is_here || self.insecure.iter().any(|known| known.split('/').next() == Some(host)) { "http" } else { "https" };
        format!("{scheme}://{host}")
    }

    fn ask_one(&self, base: &str, reference: &ImageName, path: &str, headers: &HeaderMap) -> Result<Response<Body>, FetchError> {
        let url = format!("{base}/v2/{}/{path}", reference.repository);
        self.proven(base, reference, headers, &|headers| self.client.get(&url, headers))
    }

    /// Sends a request with the known authorization, and once more if the answer is a challenge.
    pub(super) fn proven(
        &self,
        base: &str,
        reference: &ImageName,
        headers: &HeaderMap,
        ask: &dyn Fn(&HeaderMap) -> Result<Response<Body>, FetchError>,
    ) -> Result<Response<Body>, FetchError> {
        let key = (base.to_owned(), reference.repository.clone());
        let proof = self.proofs.lock().ok().and_then(|proofs| proofs.get(&key).cloned());
        let response = ask(&with(headers, proof)?)?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let Some(challenge) = response.headers().get("www-authenticate").and_then(|value| value.to_str().ok()) else { return Ok(response) };
        let Some(proof) = self.prove(challenge, base, reference)? else { return Ok(response) };
        if let Ok(mut proofs) = self.proofs.lock() {
            proofs.insert(key, proof.clone());
        }
        ask(&with(headers, Some(proof))?)
    }

    /// The answer to a challenge: a token or the password. `None` if it doesn't exist.
    fn prove(&self, challenge: &str, base: &str, reference: &ImageName) -> Result<Option<Zeroizing<String>>, FetchError> {
        // A mirror gets its own login, not the registry's.
        let host = base.split("://").last().and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let login = login(if host == HUB { "docker.io" } else { host });
        let basic = login.map(|login| Zeroizing::new(format!("Basic {}", STANDARD.encode(login.as_bytes()))));
        let (scheme, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Ok(basic);
        }
        let parameters = parameters(rest);
        let Some(realm) = parameters.get("realm").filter(|_| scheme.eq_ignore_ascii_case("bearer")) else { return Ok(None) };
        if base.starts_with("https://") && !realm.starts_with("https://") {
            return Err(FetchError::Refused("it asks to send a password unencrypted to another server".to_owned()));
        }
        let scope = format!("repository:{}:{}", reference.repository, self.actions);
        let service = parameters.get("service").map(String::as_str).unwrap_or_default();
        let mark = if realm.contains('?') { '&' } else { '?' };
        let url = format!("{realm}{mark}service={}&scope={}", escape(service), escape(&scope));
        let mut response = self.client.get(&url, &with(&HeaderMap::new(), basic)?)?;
        if response.status() != StatusCode::OK {
            return Err(refusal(&response));
        }
        #[derive(Deserialize)]
        struct Token {
            token: Option<Zeroizing<String>>,
            access_token: Option<Zeroizing<String>>,
        }
        let token: Option<Token> = serde_json::from_slice(&small(&mut response)?).ok();
        let token = token.and_then(|token| token.token.or(token.access_token));
        Ok(token.map(|token| Zeroizing::new(format!("Bearer {}", *token))))
    }
}

fn with(headers: &HeaderMap, proof: Option<Zeroizing<String>>) -> Result<HeaderMap, FetchError> {
    let mut headers = headers.clone();
    if let Some(proof) = proof {
        let mut value = HeaderValue::from_str(&proof).map_err(|_| FetchError::Refused("its token can't be a header".to_owned()))?;
        value.set_sensitive(true);
        headers.insert("authorization", value);
    }
    Ok(headers)
}

/// The body of a small answer.
fn small(response: &mut Response<Body>) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    let mut body = response.body_mut().with_config().limit(u64::MAX).reader().take(DOCUMENT + 1);
    body.read_to_end(&mut bytes).map_err(|error| FetchError::Broken(bytes.len() as u64, error))?;
    if bytes.len() as u64 > DOCUMENT { Err(FetchError::Endless) } else { Ok(bytes) }
}

/// `NAME="VALUE", …` of a challenge (RFC 9110, section 11.2).
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').map_or((after, ""), |(value, left)| (value, left)),
        };
        all.insert(name.trim().to_ascii_lowercase(), value.to_owned());
        rest = left.trim_start_matches([',', ' ']);
    }
    all
}

/// Encodes a text for a query.
fn escape(text: &str) -> String {
    text.bytes()
        .map(|c| if c.is_ascii_alphanumeric() || b"-._~:/".contains(&c) { char::from(c).to_string() } else { format!("%{c:02X}") })
        .collect()
}

/// The logins that `docker login` and `podman login` wrote.
#[derive(Default, Deserialize)]
struct Logins {
    #[serde(default)]
    auths: HashMap<String, Auth>,
    #[serde(default, rename = "credHelpers")]
    helpers: HashMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Deserialize)]
struct Auth {
    auth: Option<Zeroizing<String>>,
}

/// `USER:PASSWORD` for a registry; `None` if the user isn't logged in.
fn login(registry: &str) -> Option<Zeroizing<String>> {
    let from = |name: &str, rest: &str| std::env::var(name).ok().map(|value| Utf8PathBuf::from(value).join(rest));
    let places = [
        std::env::var("REGISTRY_AUTH_FILE").ok().map(Utf8PathBuf::from),
        from("XDG_RUNTIME_DIR", "containers/auth.json"),
        from("DOCKER_CONFIG", "config.json").or_else(|| from("HOME", ".docker/config.json")),
    ];
    let names = match registry {
        "docker.io" => vec!["https://index.docker.io/v1/", "docker.io", "index.docker.io"],
        registry => vec![registry],
    };
    places.into_iter().flatten().find_map(|path| {
        let logins: Logins = serde_json::from_slice(&Zeroizing::new(fs_err::read(path).ok()?)).ok()?;
        names.iter().find_map(|name| logins.of(name).or_else(|| logins.of(&format!("https://{name}"))))
    })
}

impl Logins {
    fn of(&self, name: &str) -> Option<Zeroizing<String>> {
        if let Some(auth) = self.auths.get(name).and_then(|auth| auth.auth.as_ref()).filter(|auth| !auth.is_empty()) {
            let decoded = Zeroizing::new(STANDARD.decode(auth.as_bytes()).ok()?);
            return Some(Zeroizing::new(String::from_utf8(decoded.to_vec()).ok()?));
        }
        let helper = self.helpers.get(name).or(self.store.as_ref().filter(|_| self.auths.contains_key(name)))?;
        ask_helper(helper, name)
    }
}

/// Asks a credential helper, as Docker does: the name is its input, JSON its output.
fn ask_helper(helper: &str, name: &str) -> Option<Zeroizing<String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: Zeroizing<String>,
    }
    let program = format!("docker-credential-{helper}");
    let mut child = Command::new(program).arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    child.stdin.take()?.write_all(name.as_bytes()).ok()?;
    let output = Zeroizing::new(child.wait_with_output().ok()?.stdout);
    let answer: Answer = serde_json::from_slice(&output).ok()?;
    Some(Zeroizing::new(format!("{}:{}", answer.username, *answer.secret)))
}

#[cfg(test)]
mod tests {
    use super::parameters;

    #[test]
    fn a_challenge_is_read_whatever_its_order_and_quotes() {
        let read = parameters(r#"realm="https://auth.example.com/token?a=b",service="r, one",scope=x"#);
        assert_eq!(read["realm"], "https://auth.example.com/token?a=b");
        assert_eq!(read["service"], "r, one");
        assert_eq!(read["scope"], "x");
        assert!(parameters("").is_empty());
    }
}
