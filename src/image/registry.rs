//! The reading half of the OCI distribution API 1.1: resolves names, and fetches blobs by digest.
//!
//! Tokens and passwords stay here: they are in no error, log or file.

use super::http::{Answered, Client, Fetch, FetchError, refusal};
use super::lock::LockedImage;
use super::login::{Login, login};
use super::ready::{Config, DOCUMENT, Descriptor, Index, Manifest, NESTED, choose};
use super::store::{Blob, Store};
use super::url::{is_same_origin, resolve, with_parameter};
use crate::terms::{Arch, Digest, ImageName};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::Mutex;
use ureq::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use ureq::{Body, SendBody};
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
        for _ in 0..NESTED {
            let Ok(index) = serde_json::from_slice::<Index>(&bytes) else { break };
            let one = choose(&index.manifests, arch).ok_or_else(|| refuse(format!("this name has no image for linux/{arch}")))?;
            (bytes, digest) = self.manifest(reference, one.digest.as_str())?;
        }
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| refuse(format!("the registry's answer isn't an image manifest: {error}")))?;
        manifest.check().map_err(refuse)?;
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
            if !response.status().is_success() {
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
        self.proven(base, reference, (&Method::GET, &url), headers, &SendBody::none)
    }

    /// Sends a request with the known authorization, and once more if the answer is a challenge. Another
    /// server than the one at `base`, to which an upload may lead, gets no authorization and can't ask for one.
    pub(super) fn proven(
        &self,
        base: &str,
        reference: &ImageName,
        (method, url): (&Method, &str),
        headers: &HeaderMap,
        body: &dyn Fn() -> SendBody<'static>,
    ) -> Result<Response<Body>, FetchError> {
        if !is_same_origin(base, url) {
            return self.client.send(method, url, headers, body);
        }
        let key = (base.to_owned(), reference.repository.clone());
        let proof = self.proofs.lock().ok().and_then(|proofs| proofs.get(&key).cloned());
        let response = self.client.send(method, url, &with(headers, proof)?, body)?;
        if response.status() != StatusCode::UNAUTHORIZED || !is_same_origin(base, Answered::of(&response)) {
            return Ok(response);
        }
        let values = response.headers().get_all("www-authenticate").iter().filter_map(|value| value.to_str().ok());
        let challenges: Vec<Challenge> = values.flat_map(challenges).collect();
        for challenge in &challenges {
            if let Some(proof) = self.prove(challenge, base, reference)? {
                if let Ok(mut proofs) = self.proofs.lock() {
                    proofs.insert(key, proof.clone());
                }
                return self.client.send(method, url, &with(headers, Some(proof))?, body);
            }
        }
        Ok(response)
    }

    /// The answer to a challenge: a token or the password. `None` if it doesn't exist.
    fn prove(&self, challenge: &Challenge, base: &str, reference: &ImageName) -> Result<Option<Zeroizing<String>>, FetchError> {
        // A mirror gets its own login, not the registry's.
        let host = base.split("://").last().and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let login = login(if host == HUB { "docker.io" } else { host }, &reference.repository);
        if challenge.scheme == "basic" {
            return Ok(login.and_then(|login| login.basic()));
        }
        let Some(realm) = challenge.parameters.get("realm").filter(|_| challenge.scheme == "bearer") else { return Ok(None) };
        let realm = resolve(base, realm);
        if base.starts_with("https://") && !realm.starts_with("https://") {
            return Err(FetchError::Refused("it asks to send a password unencrypted to another server".to_owned()));
        }
        let service = challenge.parameters.get("service").map(String::as_str).unwrap_or_default();
        let own = format!("repository:{}:{}", reference.repository, self.actions);
        // Some registries want a scope beside the repository's.
        let asked = challenge.parameters.get("scope").filter(|asked| !asked.is_empty() && **asked != own);
        let scopes: Vec<&str> = [own.as_str()].into_iter().chain(asked.map(String::as_str)).collect();
        let mut response = self.ask_for_token(&realm, service, &scopes, login.as_ref())?;
        if !response.status().is_success() {
            return Err(refusal(&response));
        }
        #[derive(Deserialize)]
        struct Token {
            token: Option<Zeroizing<String>>,
            access_token: Option<Zeroizing<String>>,
        }
        let token: Option<Token> = serde_json::from_slice(&small(&mut response)?).ok();
        let token = token.and_then(|token| [token.token, token.access_token].into_iter().flatten().find(|token| !token.is_empty()));
        Ok(token.map(|token| Zeroizing::new(format!("Bearer {}", *token))))
    }

    /// Asks the token server of a registry: with an identity token by OAuth 2's refresh, or with a password, or as nobody.
    fn ask_for_token(&self, realm: &str, service: &str, scopes: &[&str], login: Option<&Login>) -> Result<Response<Body>, FetchError> {
        if let Some(identity) = login.and_then(|login| login.identity.as_ref()) {
            let form = Zeroizing::new(format!(
                "grant_type=refresh_token&client_id=remuda&service={}&scope={}&refresh_token={}",
                escape(service),
                escape(&scopes.join(" ")),
                *Zeroizing::new(escape(identity))
            ));
            let response = self.client.post_secret(realm, &form)?;
            // What token servers answer that know no POST, or take the token for a password only.
            if !matches!(response.status().as_u16(), 400 | 401 | 404 | 405) {
                return Ok(response);
            }
        }
        let mut url = realm.to_owned();
        if !service.is_empty() {
            url = with_parameter(&url, &format!("service={}", escape(service)));
        }
        for scope in scopes {
            url = with_parameter(&url, &format!("scope={}", escape(scope)));
        }
        self.client.get(&url, &with(&HeaderMap::new(), login.and_then(Login::token_as_password))?)
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

/// What a server wants to be shown (RFC 9110, section 11.3).
#[derive(Debug, Default, PartialEq, Eq)]
struct Challenge {
    /// In lower case.
    scheme: String,
    /// By name in lower case.
    parameters: BTreeMap<String, String>,
}

/// The challenges in a header: `SCHEME NAME="VALUE", NAME=VALUE, SCHEME …`.
fn challenges(text: &str) -> Vec<Challenge> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c);
    let mut all: Vec<Challenge> = Vec::new();
    let mut rest = text.trim_start_matches([',', ' ', '\t']);
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
        let value = after.trim_start_matches([' ', '\t']).strip_prefix('=').map(|value| value.trim_start_matches([' ', '\t']));
        rest = match (value, all.last_mut()) {
            (Some(value), Some(last)) if !word.is_empty() => {
                let (value, left) = match value.strip_prefix('"') {
                    Some(quoted) => unquote(quoted),
                    None => {
                        let (value, left) = value.split_at(value.find([',', ' ', '\t']).unwrap_or(value.len()));
                        (value.to_owned(), left)
                    }
                };
                last.parameters.entry(word.to_ascii_lowercase()).or_insert(value);
                left
            }
            _ if word.is_empty() => rest.get(rest.chars().next().map_or(1, char::len_utf8)..).unwrap_or_default(),
            _ => {
                all.push(Challenge { scheme: word.to_ascii_lowercase(), ..Challenge::default() });
                after
            }
        };
        rest = rest.trim_start_matches([',', ' ', '\t']);
    }
    all
}

/// A quoted text after its first quote, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

/// Encodes a text for a query.
fn escape(text: &str) -> String {
    text.bytes()
        .map(|c| if c.is_ascii_alphanumeric() || b"-._~:/".contains(&c) { char::from(c).to_string() } else { format!("%{c:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::challenges;

    #[test]
    fn challenges_are_read_whatever_their_order_and_quotes() {
        let read = challenges(
            r#"Negotiate abc==, Basic realm="a, \"b\" c", Bearer realm="https://auth.example.com/token?a=b",service="r, one" , scope=x"#,
        );
        assert_eq!(read.iter().map(|one| one.scheme.as_str()).collect::<Vec<_>>(), ["negotiate", "basic", "bearer"]);
        assert_eq!(read[1].parameters["realm"], "a, \"b\" c");
        assert_eq!(read[2].parameters["realm"], "https://auth.example.com/token?a=b");
        assert_eq!((read[2].parameters["service"].as_str(), read[2].parameters["scope"].as_str()), ("r, one", "x"));
    }
}
