//! Templates, compiled once and rendered for each node. An undefined value is an error.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value};

/// All templates of a run: the line's files, by name, and single texts.
#[derive(Debug, Clone)]
pub struct Templates {
    environment: Environment<'static>,
}

impl Default for Templates {
    fn default() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build().expect("the default delimiters are valid"));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        // It prints a hash map, in a different order each time.
        environment.remove_global("debug");
        environment.set_recursion_limit(64);
        environment.set_fuel(Some(1_000_000));
        Self { environment }
    }
}

impl Templates {
    /// Adds a file of the line. `render_file(name)` renders it.
    pub fn add_file(&mut self, name: &str, text: String, found: &mut Diagnostics) {
        if let Err(error) = self.environment.add_template_owned(file_key(name), text) {
            found.push(Diagnostic::new(Code::Template, None, format!("the template files/{name}: {error:#}")));
        }
    }

    /// Adds a text that is a template, at `span`. `render(text)` renders it.
    pub fn add(&mut self, text: &str, span: impl Into<Option<Span>>, found: &mut Diagnostics) {
        if !is_template(text) || self.environment.get_template(text).is_ok() {
            return;
        }
        if let Err(error) = self.environment.add_template_owned(text.to_owned(), text.to_owned()) {
            found.push(template_error(&error, span.into()));
        }
    }

    /// Renders a text that was added. A text without `{{` and `{%` is returned as it is.
    pub fn render(&self, text: &str, context: &Value) -> Result<String, minijinja::Error> {
        if !is_template(text) {
            return Ok(text.to_owned());
        }
        self.environment.get_template(text)?.render(context)
    }

    /// Renders a file that was added by [`Templates::add_file`].
    pub fn render_file(&self, name: &str, context: &Value) -> Result<String, minijinja::Error> {
        self.environment.get_template(&file_key(name))?.render(context)
    }
}

/// Texts and file names share a namespace; no text contains a NUL.
fn file_key(name: &str) -> String {
    format!("\0{name}")
}

/// Whether there is anything to render in `text`.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// A template that can't be compiled or rendered, as a diagnostic.
pub fn template_error(error: &minijinja::Error, span: Option<Span>) -> Diagnostic {
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    Diagnostic::new(Code::Template, span, format!("this template fails: {}{detail}", error.kind()))
        .help("the values are described in docs/adding-a-line.md: `cluster`, `node`, `network`, `api`, `etcd`, `images`, `os`")
}
