//! Keys and passwords in what goes into git.

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::service::Text;

/// Why nothing secret may stand in a profile.
pub const INTO_GIT: &str = "the profile and what is made of it go into git, where everybody with the repository reads it";

pub fn looks_like_a_key(text: &str) -> bool {
    text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----")
}

/// Key material goes into git wherever it stands in a profile.
pub fn key_in_profile(span: Option<Span>, problem: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code::SecretInProfile, span, problem).why(INTO_GIT).help("keep it out of the profile")
}

/// A URL with a password in it.
pub fn login_in_url(text: &Text, span: Option<Span>) -> Option<Diagnostic> {
    let authority = text.text.split_once("://")?.1.split(['/', ' ']).next()?;
    let (login, _) = authority.split_once('@')?;
    login.contains(':').then(|| {
        Diagnostic::new(Code::PasswordInUrl, span, "this URL has a password in it")
            .why(INTO_GIT)
            .help("use an account that may be known, or none")
    })
}
