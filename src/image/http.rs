//! Fetches into the cache. A partial download survives a broken connection, and nothing counts
//! before its digest is checked.

use super::store::{Blob, Store};
use super::{ImageError, Io, url};
use crate::terms::{Digest, Hasher};
use camino::Utf8Path;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;
use ureq::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, SendBody};
use zeroize::Zeroizing;

/// The maximal size of a download of unknown size, in bytes.
const LARGEST: u64 = 64 << 30;
/// The bytes that a transfer must gain so that a break doesn't count as a failure.
const STEP: u64 = 64 << 10;
/// The maximal number of redirects.
const REDIRECTS: usize = 10;
/// The maximal time that a server may ask us to wait.
const PATIENCE: Duration = Duration::from_secs(120);

/// Limits for the network.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// The number of retries of a transfer that breaks off without progress.
    pub retries: u32,
    /// The time that a server may stay silent.
    pub silence: Duration,
}

/// Why something wasn't fetched. The message doesn't name the thing.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum FetchError {
    #[error("the server answers {}{}", .status.as_u16(), meaning(*.status))]
    Status { status: StatusCode, wait: Option<Duration> },
    #[error("{}", network(.0))]
    Network(ureq::Error),
    #[error("the connection broke after {0} bytes: {1}")]
    Broken(u64, io::Error),
    #[error("it has {got} bytes, but the lock says {wanted}")]
    Size { got: u64, wanted: u64 },
    #[error("it ended after {got} of {wanted} bytes")]
    Short { got: u64, wanted: u64 },
    #[error("its digest is {got}, not {wanted}: somebody changed it, or the transfer damaged it")]
    Digest { got: Digest, wanted: Digest },
    #[error("it has more than {LARGEST} bytes")]
    Endless,
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Here(#[from] ImageError),
}

fn meaning(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => ": it needs a login (run `docker login` or `skopeo login`), or it doesn't exist",
        404 | 410 => ": it doesn't exist",
        429 => ": too many requests; try again later",
        500..=599 => ": the server has a problem",
        _ => "",
    }
}

fn network(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "the server stays silent".to_owned(),
        ureq::Error::TooManyRedirects => "it redirects endlessly".to_owned(),
        ureq::Error::HostNotFound => "unknown host".to_owned(),
        other => other.to_string(),
    }
}

impl FetchError {
    /// Whether a retry may succeed.
    fn passes(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::Network(error) => {
                matches!(error, ureq::Error::Timeout(_) | ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::Protocol(_))
            }
            Self::Broken(..) | Self::Short { .. } => true,
            _ => false,
        }
    }
}

/// The URL that an answer is from, after all redirects.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub url: String,
}

impl Answered {
    pub(super) fn of(response: &Response<Body>) -> &str {
        response.extensions().get::<Self>().map_or("", |answered| &answered.url)
    }
}

/// Sends requests to servers.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    settings: HttpSettings,
}

impl Client {
    /// A client with a pool of connections of its own.
    pub fn new(settings: HttpSettings) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .tls_config(tls)
            .user_agent(concat!("remuda/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(settings.silence))
            .timeout_recv_response(Some(settings.silence))
            .timeout_per_read(Some(settings.silence))
            .timeout_per_write(Some(settings.silence))
            .build();
        Self { agent: config.new_agent(), settings }
    }

    /// Sends one request without a body. Any answer counts, only a network failure is an error.
    pub fn get(&self, url: &str, headers: &HeaderMap) -> Result<Response<Body>, FetchError> {
        self.send(&Method::GET, url, headers, &SendBody::none)
    }

    /// Sends one request, and follows redirects. What proves who we are goes to the first URL's server only.
    pub fn send(
        &self,
        method: &Method,
        first: &str,
        headers: &HeaderMap,
        body: &dyn Fn() -> SendBody<'static>,
    ) -> Result<Response<Body>, FetchError> {
        self.follow(method, first, headers, body, &|_| true)
    }

    /// Posts a form with a secret. Follows redirects within the URL's server only.
    pub(super) fn post_secret(&self, url: &str, form: &Zeroizing<String>) -> Result<Response<Body>, FetchError> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert("content-length", HeaderValue::from(form.len()));
        let body = || SendBody::from_owned_reader(io::Cursor::new(Zeroizing::new(form.as_bytes().to_vec())));
        self.follow(&Method::POST, url, &headers, &body, &|next| url::is_same_origin(url, next))
    }

    /// Sends one request, and follows the redirects that it may.
    fn follow(
        &self,
        method: &Method,
        first: &str,
        headers: &HeaderMap,
        body: &dyn Fn() -> SendBody<'static>,
        may: &dyn Fn(&str) -> bool,
    ) -> Result<Response<Body>, FetchError> {
        let mut url = first.to_owned();
        for _ in 0..REDIRECTS {
            let mut request = Request::builder().method(method.clone()).uri(&url);
            for (name, value) in headers {
                if *name != "authorization" || url::is_same_origin(first, &url) {
                    request = request.header(name, value);
                }
            }
            let request = request.body(body()).map_err(|_| FetchError::Refused("it leads to something that isn't a URL".to_owned()))?;
            let mut response = self.agent.run(request).map_err(FetchError::Network)?;
            let next = response.headers().get("location").and_then(|value| value.to_str().ok());
            let is_followed = match response.status().as_u16() {
                301..=303 => matches!(*method, Method::GET | Method::HEAD),
                307 | 308 => true,
                _ => false,
            };
            match next.filter(|_| is_followed).map(|next| url::resolve(&url, next)).filter(|next| may(next)) {
                Some(next) => url = next,
                None => {
                    response.extensions_mut().insert(Answered { url });
                    return Ok(response);
                }
            }
        }
        Err(FetchError::Network(ureq::Error::TooManyRedirects))
    }

    /// Calls `once` until it succeeds, fails permanently, or has failed too often.
    pub fn patiently<T>(&self, mut once: impl FnMut() -> Result<T, FetchError>) -> Result<T, FetchError> {
        let mut failed = 0;
        loop {
            match once() {
                Err(error) if error.passes() && failed < self.settings.retries => {
                    std::thread::sleep(pause(&error, failed));
                    failed += 1;
                }
                outcome => return outcome,
            }
        }
    }
}

/// An answer that isn't a success, as an error.
pub fn refusal(response: &Response<Body>) -> FetchError {
    let wait = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    FetchError::Status { status: response.status(), wait }
}

fn pause(error: &FetchError, failed: u32) -> Duration {
    match error {
        FetchError::Status { wait: Some(wait), .. } => (*wait).min(PATIENCE),
        _ => Duration::from_millis(250 << failed.min(6)),
    }
}

/// A thing to fetch.
pub struct Fetch<'a> {
    /// Its key until its digest is known.
    pub key: &'a str,
    /// What it must hash to, if that is known.
    pub digest: Option<&'a Digest>,
    /// Its size in bytes, if that is known.
    pub size: Option<u64>,
    /// Requests it, with these headers.
    pub ask: &'a dyn Fn(&HeaderMap) -> Result<Response<Body>, FetchError>,
    /// Called with the number of new bytes, which is negative if the download starts again.
    pub progress: &'a dyn Fn(i64),
}

impl Client {
    /// Fetches into the store.
    pub fn fetch(&self, store: &Store, fetch: &Fetch) -> Result<Blob, FetchError> {
        let path = store.partial(fetch.key)?;
        let file = alone(&path)?;
        if let Some(blob) = fetch.known().filter(|blob| store.has(blob)) {
            (fetch.progress)(blob.size as i64);
            let _ = fs_err::remove_file(&path);
            return Ok(blob);
        }
        let mut partial = Partial { path: &path, file, got: 0, validator: None };
        let outcome = self.gather(&mut partial, fetch);
        let is_full = |error: &FetchError| matches!(error, FetchError::Here(ImageError::Disk(disk)) if disk.error.kind() == io::ErrorKind::StorageFull);
        match outcome {
            Ok(blob) => {
                store.adopt(&path, &blob.digest)?;
                Ok(blob)
            }
            Err(error) => {
                // A partial download is kept only if it makes sense to continue it.
                if !error.passes() || partial.got == 0 || is_full(&error) {
                    let _ = fs_err::remove_file(&path);
                    let _ = fs_err::remove_file(partial.note());
                }
                Err(error)
            }
        }
    }

    /// Fills the partial file, however often the transfer breaks off.
    fn gather(&self, partial: &mut Partial, fetch: &Fetch) -> Result<Blob, FetchError> {
        partial.take_up(fetch)?;
        let (mut failed, mut resumed) = (0, partial.got > 0);
        loop {
            let before = partial.got;
            let outcome = if fetch.size == Some(partial.got) { Ok(()) } else { partial.get(fetch) };
            let error = match outcome {
                Ok(()) => match partial.check(fetch) {
                    // Its beginning may be from an older version.
                    Err(FetchError::Digest { .. } | FetchError::Size { .. }) if resumed => {
                        resumed = false;
                        partial.drop_all(fetch)?;
                        continue;
                    }
                    outcome => return outcome,
                },
                Err(error) => error,
            };
            if !error.passes() {
                return Err(error);
            }
            failed = if partial.got >= before + STEP { 0 } else { failed + 1 };
            if failed > self.settings.retries {
                return Err(error);
            }
            resumed |= partial.got > 0;
            std::thread::sleep(pause(&error, failed));
        }
    }
}

/// Opens a partial file. If another remuda is using it, waits until that one is done.
fn alone(path: &Utf8Path) -> Result<File, ImageError> {
    loop {
        let open = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = open.doing("writing", path)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).map_err(io::Error::from).doing("locking", path)?;
        // The other one may have moved the opened file into the store.
        let own = file.metadata().doing("reading", path)?.ino();
        if path.metadata().is_ok_and(|there| there.ino() == own) {
            return Ok(file);
        }
    }
}

impl Fetch<'_> {
    fn known(&self) -> Option<Blob> {
        let digest = self.digest.filter(|digest| digest.is_sha256())?;
        Some(Blob { digest: digest.clone(), size: self.size? })
    }
}

/// A file that fills.
struct Partial<'a> {
    path: &'a Utf8Path,
    file: File,
    got: u64,
    /// The ETag of its content, if no digest identifies it.
    validator: Option<String>,
}

impl Partial<'_> {
    fn note(&self) -> camino::Utf8PathBuf {
        camino::Utf8PathBuf::from(format!("{}.etag", self.path))
    }

    /// Continues the file of an earlier run, if it certainly has the same content.
    fn take_up(&mut self, fetch: &Fetch) -> Result<(), FetchError> {
        self.got = self.file.metadata().doing("reading", self.path)?.len();
        self.validator = fs_err::read_to_string(self.note()).ok();
        let is_known = fetch.digest.is_some() || self.validator.is_some();
        if !is_known || fetch.size.is_some_and(|size| self.got > size) {
            return self.drop_all(fetch);
        }
        (fetch.progress)(self.got as i64);
        Ok(())
    }

    fn drop_all(&mut self, fetch: &Fetch) -> Result<(), FetchError> {
        (fetch.progress)(-(self.got as i64));
        self.got = 0;
        self.validator = None;
        let _ = fs_err::remove_file(self.note());
        Ok(self.file.set_len(0).doing("writing", self.path)?)
    }

    /// One request, from where the file ends.
    fn get(&mut self, fetch: &Fetch) -> Result<(), FetchError> {
        if self.got > 0 && fetch.digest.is_none() && self.validator.is_none() {
            self.drop_all(fetch)?;
        }
        let mut headers = HeaderMap::new();
        let header = |text: String| text.parse().map_err(|_| FetchError::Refused(format!("{text:?} can't be a header")));
        if self.got > 0 {
            headers.insert("range", header(format!("bytes={}-", self.got))?);
            if let (Some(validator), None) = (&self.validator, fetch.digest) {
                headers.insert("if-range", header(validator.clone())?);
            }
        }
        let mut response = (fetch.ask)(&headers)?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if starts_at(&response, self.got) => {}
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if self.got > 0 => {
                self.drop_all(fetch)?;
                return self.get(fetch);
            }
            StatusCode::OK => self.drop_all(fetch)?,
            _ => return Err(refusal(&response)),
        }
        let validator = response.headers().get("etag").and_then(|value| value.to_str().ok()).filter(|tag| !tag.starts_with("W/"));
        if let (Some(validator), None) = (validator, fetch.digest) {
            self.validator = Some(validator.to_owned());
            fs_err::write(self.note(), validator).doing("writing", self.note())?;
        }
        let total = response.body().content_length().map(|length| self.got + length);
        if let (Some(got), Some(wanted)) = (total, fetch.size)
            && got != wanted
        {
            return Err(FetchError::Size { got, wanted });
        }
        self.copy(&mut response.body_mut().with_config().limit(u64::MAX).reader(), total, fetch)
    }

    fn copy(&mut self, body: &mut dyn Read, total: Option<u64>, fetch: &Fetch) -> Result<(), FetchError> {
        let most = fetch.size.unwrap_or(LARGEST);
        self.file.seek(SeekFrom::Start(self.got)).doing("writing", self.path)?;
        let mut buffer = vec![0; 128 << 10];
        loop {
            let got = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(got) => got,
                Err(error) => return Err(FetchError::Broken(self.got, error)),
            };
            if self.got + got as u64 > most {
                return Err(fetch.size.map_or(FetchError::Endless, |wanted| FetchError::Size { got: self.got + got as u64, wanted }));
            }
            self.file.write_all(&buffer[..got]).doing("writing", self.path)?;
            self.got += got as u64;
            (fetch.progress)(got as i64);
        }
        match total.or(fetch.size) {
            Some(wanted) if self.got < wanted => Err(FetchError::Short { got: self.got, wanted }),
            _ => Ok(()),
        }
    }

    /// Whether the whole file has its digest.
    fn check(&mut self, fetch: &Fetch) -> Result<Blob, FetchError> {
        let mut hash = Hasher::sha256();
        let mut other = fetch.digest.filter(|digest| !digest.is_sha256()).map(Hasher::like);
        self.file.seek(SeekFrom::Start(0)).doing("reading", self.path)?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let got = self.file.read(&mut buffer).doing("reading", self.path)?;
            if got == 0 {
                break;
            }
            hash.update(&buffer[..got]);
            if let Some(other) = &mut other {
                other.update(&buffer[..got]);
            }
        }
        let digest = hash.finish();
        let got = other.map_or_else(|| digest.clone(), Hasher::finish);
        match fetch.digest {
            Some(wanted) if got != *wanted => Err(FetchError::Digest { got, wanted: wanted.clone() }),
            _ => {
                let _ = fs_err::remove_file(self.note());
                Ok(Blob { digest, size: self.got })
            }
        }
    }
}

/// Whether a partial answer begins at the requested offset.
fn starts_at(response: &Response<Body>, offset: u64) -> bool {
    let range = response.headers().get("content-range").and_then(|range| range.to_str().ok());
    range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()) == Some(offset)
}
