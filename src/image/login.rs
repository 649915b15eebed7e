//! The logins that `docker login` and `podman login` wrote, and credential helpers.

use crate::program;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::Utf8PathBuf;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// A credential helper may ask its user.
const HELPER_TIME: Duration = Duration::from_secs(120);
/// The longest answer of a credential helper, in bytes.
const HELPER_ANSWER: u64 = 1 << 20;

/// A file of logins.
#[derive(Default, Deserialize)]
struct Logins {
    #[serde(default, deserialize_with = "readable")]
    auths: BTreeMap<String, Auth>,
    #[serde(default, rename = "credHelpers", deserialize_with = "readable")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

/// The entries that can be read: what another registry's says is no reason to know none.
fn readable<'de, T: serde::de::DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error> {
    let all = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(all.into_iter().filter_map(|(key, value)| Some((key, serde_json::from_value(value).ok()?))).collect())
}

#[derive(Deserialize)]
struct Auth {
    auth: Option<Zeroizing<String>>,
    username: Option<Zeroizing<String>>,
    password: Option<Zeroizing<String>>,
    #[serde(rename = "identitytoken")]
    identity: Option<Zeroizing<String>>,
}

/// How a user proves who they are. At least one of a password and an identity token exists.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Login {
    /// Empty if only an identity token is known.
    user: Zeroizing<String>,
    password: Option<Zeroizing<String>>,
    /// A refresh token, which the registry's token server exchanges for others (`docker login` at some registries).
    pub identity: Option<Zeroizing<String>>,
}

impl Login {
    fn of(user: Zeroizing<String>, password: Option<Zeroizing<String>>, identity: Option<Zeroizing<String>>) -> Option<Self> {
        let identity = identity.filter(|token| !token.is_empty());
        // An empty password beside a token is none.
        let password = password.filter(|password| !user.is_empty() && (identity.is_none() || !password.is_empty()));
        (password.is_some() || identity.is_some()).then_some(Self { user, password, identity })
    }

    /// The password as the value of a header; `None` if there is none.
    pub(super) fn basic(&self) -> Option<Zeroizing<String>> {
        self.password.as_ref().map(|password| self.header(password))
    }

    /// The same with the identity token in place of a missing password, as some token servers want it.
    pub(super) fn token_as_password(&self) -> Option<Zeroizing<String>> {
        self.password.as_ref().or(self.identity.as_ref()).map(|password| self.header(password))
    }

    fn header(&self, password: &Zeroizing<String>) -> Zeroizing<String> {
        let both = Zeroizing::new(format!("{}:{}", *self.user, **password));
        Zeroizing::new(format!("Basic {}", *Zeroizing::new(STANDARD.encode(both.as_bytes()))))
    }
}

/// The login for a repository of a registry; `None` if the user isn't logged in there.
pub(super) fn login(registry: &str, repository: &str) -> Option<Login> {
    let from = |name: &str, rest: &str| std::env::var(name).ok().map(|value| Utf8PathBuf::from(value).join(rest));
    let places = [
        std::env::var("REGISTRY_AUTH_FILE").ok().map(Utf8PathBuf::from),
        from("XDG_RUNTIME_DIR", "containers/auth.json")
            .or_else(|| Some(format!("/run/containers/{}/auth.json", rustix::process::getuid().as_raw()).into())),
        from("XDG_CONFIG_HOME", "containers/auth.json").or_else(|| from("HOME", ".config/containers/auth.json")),
        from("DOCKER_CONFIG", "config.json").or_else(|| from("HOME", ".docker/config.json")),
    ];
    places.into_iter().flatten().find_map(|path| {
        let logins: Logins = serde_json::from_slice(&Zeroizing::new(fs_err::read(path).ok()?)).ok()?;
        logins.of(registry, repository)
    })
}

/// The registry that a key names by a URL, as older versions of Docker wrote it: `https://HOST/v1/`.
fn host_of(key: &str) -> Option<&str> {
    let is_url = key.contains("://");
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    (is_url || matches!(path.trim_end_matches('/'), "" | "v1" | "v2")).then_some(host)
}

impl Logins {
    fn of(&self, registry: &str, repository: &str) -> Option<Login> {
        let hosts = match registry {
            "docker.io" => vec!["docker.io", "index.docker.io", "registry-1.docker.io"],
            registry => vec![registry],
        };
        // The most specific key counts: HOST/NAMESPACE/NAME, HOST/NAMESPACE, HOST.
        let full = format!("{registry}/{repository}");
        let ends = full.match_indices('/').map(|(at, _)| at).chain([full.len()]).rev();
        for key in ends.map(|end| &full[..end]) {
            if let Some(login) = self.at(key) {
                return Some(login);
            }
        }
        let by_url = |key: &&String| host_of(key).is_some_and(|host| hosts.contains(&host));
        let keys = self.helpers.keys().chain(self.auths.keys()).filter(by_url);
        let found = keys.clone().find_map(|key| self.at(key));
        // The one store has a registry's login under its name, Docker Hub's under a URL.
        let stored = || {
            let name = if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry };
            self.store.as_ref().and_then(|store| keys.map(String::as_str).chain([name]).find_map(|name| ask_helper(store, name)))
        };
        found.or_else(stored)
    }

    /// The login under exactly this key.
    fn at(&self, key: &str) -> Option<Login> {
        let helped = self.helpers.get(key).and_then(|helper| ask_helper(helper, key));
        helped.or_else(|| self.auths.get(key)?.login())
    }
}

impl Auth {
    fn login(&self) -> Option<Login> {
        let (user, password) = match self.auth.as_ref().filter(|auth| !auth.is_empty()) {
            Some(auth) => {
                let digits = Zeroizing::new(auth.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<u8>>());
                let decoded = Zeroizing::new(STANDARD.decode(&*digits).ok()?);
                let text = Zeroizing::new(String::from_utf8(decoded.to_vec()).ok()?);
                let (user, password) = text.split_once(':')?;
                (Zeroizing::new(user.to_owned()), Some(Zeroizing::new(password.trim_end_matches('\0').to_owned())))
            }
            None => (self.username.clone().unwrap_or_default(), self.password.clone()),
        };
        Login::of(user, password, self.identity.clone())
    }
}

/// Asks a credential helper, as Docker does: the name is its input, JSON its output.
fn ask_helper(helper: &str, name: &str) -> Option<Login> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: Zeroizing<String>,
    }
    let mut program = Command::new(format!("docker-credential-{helper}"));
    let output = program::ask(program.arg("get"), name, HELPER_ANSWER, Instant::now() + HELPER_TIME).ok()?;
    let text = Zeroizing::new(output.stdout);
    let answer: Answer = serde_json::from_slice(&text).ok().filter(|_| output.is_success)?;
    // Docker's word for a secret that is an identity token.
    match answer.username.as_str() {
        "<token>" => Login::of(Zeroizing::default(), None, Some(answer.secret)),
        _ => Login::of(Zeroizing::new(answer.username), Some(answer.secret), None),
    }
}

#[cfg(test)]
mod tests {
    use super::{Login, Logins};

    #[test]
    fn the_most_specific_login_counts_and_a_namespace_has_no_other_repositories() {
        let text = r#"{"auths": {"r.example/a": {"auth": "YTox"}, "r.example/a/b": {"username": "b", "password": "2:3"},
            "https://u.example/v1/": {"auth": "dT\r\no0\n"}, "r.example/no": {}, "https://index.docker.io/v1/": {"auth": "ZDo1"},
            "other": null, "numbers.example": {"username": 5}}, "credHelpers": null}"#;
        let logins: Logins = serde_json::from_str(text).unwrap();
        let login =
            |registry, repository| logins.of(registry, repository).map(|login| format!("{}:{}", *login.user, *login.password.unwrap()));
        assert_eq!(login("r.example", "a/x").as_deref(), Some("a:1"));
        assert_eq!(login("r.example", "a/b").as_deref(), Some("b:2:3"));
        assert_eq!(login("r.example", "ab"), None);
        assert_eq!(login("u.example", "a/b/c").as_deref(), Some("u:4"));
        assert_eq!(login("docker.io", "library/busybox").as_deref(), Some("d:5"));
        assert_eq!(login("example", "a"), None);
    }

    #[test]
    fn an_identity_token_is_a_login_with_or_without_a_password() {
        let text = r#"{"auths": {"only.example": {"identitytoken": "t"}, "docker.example": {"auth": "dTo=", "identitytoken": "t"},
            "both.example": {"auth": "dTpw", "identitytoken": "t"}, "none.example": {"auth": "dTo=", "identitytoken": ""},
            "nobody.example": {"identitytoken": ""}}}"#;
        let logins: Logins = serde_json::from_str(text).unwrap();
        let owned = |text: &str| text.to_owned().into();
        let login = |user, password: Option<&str>, token: Option<&str>| {
            Some(Login { user: owned(user), password: password.map(owned), identity: token.map(owned) })
        };
        assert_eq!(logins.of("only.example", "a"), login("", None, Some("t")));
        assert_eq!(logins.of("docker.example", "a"), login("u", None, Some("t")));
        assert_eq!(logins.of("both.example", "a"), login("u", Some("p"), Some("t")));
        assert_eq!(logins.of("none.example", "a"), login("u", Some(""), None));
        assert_eq!(logins.of("nobody.example", "a"), None);
        // base64 of `u:t`.
        assert_eq!(logins.of("docker.example", "a").and_then(|login| login.token_as_password()).unwrap().as_str(), "Basic dTp0");
    }
}
