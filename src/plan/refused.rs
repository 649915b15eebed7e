//! What an engine refuses.

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::service::form::Misfit;

/// What an engine, or the OS before it, says no to.
pub fn refused(name: &str, misfit: Misfit, span: Option<Span>) -> Diagnostic {
    Diagnostic::new(Code::InvalidValue, span, misfit.problem)
        .why(format!("Docker refuses the container: {name} would never start"))
        .help(misfit.help)
}

/// What decides the start order can't wait until a node is rendered.
pub fn no_template(what: &str, span: Option<Span>) -> Diagnostic {
    Diagnostic::new(Code::NoTemplate, span, format!("`{what}` can't be a template"))
        .why("the start order is checked for all nodes of a kind, before anything is rendered for one")
        .help("write what it is; what is different on some nodes goes under `roles`, `groups` or `nodes`")
}
