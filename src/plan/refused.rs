//! What an engine refuses.

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::service::Loss;
use crate::service::form::Misfit;

/// Reports what an engine, or the OS before it, refuses.
pub fn refused(name: &str, misfit: Misfit, span: Option<Span>) -> Diagnostic {
    Diagnostic::new(Code::InvalidValue, span, misfit.problem)
        .why(format!("Docker refuses the container: {name} would never start"))
        .help(misfit.help)
}

/// Reports what the OS loses of a value.
pub fn lost(loss: Loss, span: Option<Span>) -> Diagnostic {
    Diagnostic::new(Code::LostValue, span, format!("{} is lost", loss.what)).why(loss.why).help(loss.help)
}

/// What decides the start order must be known before a node is rendered.
pub(super) fn no_template(what: &str, span: Option<Span>) -> Diagnostic {
    Diagnostic::new(Code::NoTemplate, span, format!("`{what}` can't be a template"))
        .why("remuda checks the start order for all nodes of a kind, before it renders any of them")
        .help("write the value; set what differs between nodes under `roles`, `groups` or `nodes`")
}
