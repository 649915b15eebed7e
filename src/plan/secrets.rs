//! Keys and passwords in what goes into git.

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::profile::INTO_GIT;
use crate::service::Text;

pub(super) fn looks_like_a_key(text: &str) -> bool {
    text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----")
}

/// Key material in a profile ends up in git, wherever it is.
pub(super) fn key_in_profile(span: Option<Span>, problem: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code::SecretInProfile, span, problem).why(INTO_GIT).help("keep it out of the profile")
}

/// A URL with a password in it.
pub(super) fn login_in_url(text: &Text, span: Option<Span>) -> Option<Diagnostic> {
    let authority = text.text.split_once("://")?.1.split(['/', ' ']).next()?;
    let (login, _) = authority.split_once('@')?;
    login.contains(':').then(|| {
        Diagnostic::new(Code::PasswordInUrl, span, "this URL contains a password")
            .why(INTO_GIT)
            .help("use an account that may be public, or none")
    })
}
