//! Diagnostics as text for a person and as JSON for a program.

use super::secret::{contains_secret, is_in_secret};
use super::{Code, Diagnostic, Diagnostics, Severity, Sources, Span};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

/// The style of text. Colour is only for terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As plain text.
    Plain,
    /// With the colours of a terminal.
    Coloured,
}

/// All of `diagnostics` for a person, with a final line that counts them; empty if there are none.
pub fn text(diagnostics: &Diagnostics, sources: &Sources, style: Style) -> String {
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Coloured => Renderer::styled(),
    };
    let mut out = String::new();
    for diagnostic in diagnostics.sorted() {
        out.push_str(&renderer.render(&report(&masked(diagnostic), sources)));
        out.push_str("\n\n");
    }
    if !diagnostics.is_empty() {
        out.push_str(&summary(diagnostics));
    }
    out
}

fn summary(diagnostics: &Diagnostics) -> String {
    let count = |severity, word: &str| match diagnostics.count(severity) {
        0 => None,
        1 => Some(format!("1 {word}")),
        n => Some(format!("{n} {word}s")),
    };
    let mut parts: Vec<String> = [count(Severity::Error, "error"), count(Severity::Warning, "warning")].into_iter().flatten().collect();
    if diagnostics.left_out() > 0 {
        parts.push(format!("{} more not shown", diagnostics.left_out()));
    }
    format!("{}\n", parts.join(", "))
}

fn report<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Vec<Group<'a>> {
    let level = match diagnostic.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code.name());
    let mut group = match diagnostic.span {
        None => match sources.profile() {
            Some(name) => title.element(Origin::path(name)),
            None => Group::with_title(title),
        },
        Some(span) if is_private(span, sources) || is_about_secret(diagnostic) => {
            let (line, column) = sources.position(span.source, span.start);
            let place = Origin::path(sources.get(span.source).name.as_str()).line(line).char_column(column);
            title.element(place)
        }
        Some(span) => {
            let mut primary = AnnotationKind::Primary.span(range(span, sources));
            if let Some(label) = &diagnostic.label {
                primary = primary.label(label.as_str());
            }
            let mut snippet = snippet(span, sources).annotation(primary);
            for (place, what) in &diagnostic.related {
                if is_private(*place, sources) {
                    continue;
                }
                if place.source == span.source {
                    snippet = snippet.annotation(AnnotationKind::Context.span(range(*place, sources)).label(what.as_str()));
                }
            }
            let mut group = title.element(snippet);
            for (place, what) in &diagnostic.related {
                if place.source != span.source && !is_private(*place, sources) {
                    let context = AnnotationKind::Context.span(range(*place, sources)).label(what.as_str());
                    group = group.element(self::snippet(*place, sources).annotation(context));
                }
            }
            group
        }
    };
    if let Some(why) = &diagnostic.why {
        group = group.element(Level::NOTE.with_name(Some("why")).message(why.as_str()));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    vec![group]
}

/// Whether the line of a diagnostic has a secret for certain, in whatever form.
fn is_about_secret(diagnostic: &Diagnostic) -> bool {
    matches!(diagnostic.code, Code::SecretImported | Code::SecretNotImported)
}

/// Whether a place's line contains something that no message may show.
fn is_private(span: Span, sources: &Sources) -> bool {
    let text = &sources.get(span.source).text;
    let range = range(span, sources);
    let start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[range.end..].find('\n').map_or(text.len(), |at| range.end + at);
    let line = &text[start..end];
    ["password:", "PASSWORD:", "token:", "TOKEN:"].iter().any(|name| line.contains(name))
        || contains_secret(line)
        || hidden(line).is_some()
        || is_in_secret(text, start)
}

/// A text without its logins and keys: `http://NAME:PASSWORD@HOST`, a password for the kernel, a private key.
fn hidden(text: &str) -> Option<String> {
    if text.contains("PRIVATE KEY") {
        return Some("…".to_owned());
    }
    let mut found = false;
    let mut word = |word: &str| -> String {
        let login = word.split_once('@').filter(|(login, rest)| login.contains(':') && !rest.starts_with("sha"));
        if let Some((login, rest)) = login {
            found = true;
            let quote = login.len() - login.trim_start_matches(|c: char| !c.is_alphanumeric()).len();
            let start = login.rfind("//").map_or(quote, |at| at + 2);
            return format!("{}…@{rest}", &login[..start]);
        }
        if let Some((name, _)) = word.split_once("rancher.password=") {
            found = true;
            return format!("{name}rancher.password=…");
        }
        word.to_owned()
    };
    let shown: Vec<String> = text.split(' ').map(&mut word).collect();
    found.then(|| shown.join(" "))
}

fn masked(diagnostic: &Diagnostic) -> Diagnostic {
    let mut shown = diagnostic.clone();
    for text in [Some(&mut shown.message), shown.why.as_mut(), shown.help.as_mut()].into_iter().flatten() {
        if let Some(without) = hidden(text) {
            *text = without;
        }
    }
    shown
}

fn snippet<'a>(span: Span, sources: &'a Sources) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let source = sources.get(span.source);
    Snippet::source(source.text.as_str()).path(source.name.as_str())
}

/// The span's bytes, limited to the text, to character boundaries and to the first line: a mapping
/// of forty lines is marked where it begins.
fn range(span: Span, sources: &Sources) -> std::ops::Range<usize> {
    let text = &sources.get(span.source).text;
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start as usize);
    let end = floor(span.end as usize).max(start);
    let first_line = text[start..end].find('\n').map_or(end, |at| start + at);
    start..start + text[start..first_line].trim_end().len()
}

/// `{"diagnostics": [{severity, code, message, file, line, column, …}], "left_out": n}`.
/// Lines and columns count from 1, offsets are bytes; all are null where the place is the profile as a whole,
/// and `file` too where no profile could be read.
pub fn json(diagnostics: &Diagnostics, sources: &Sources) -> Value {
    let all: Vec<Value> = diagnostics.sorted().into_iter().map(|found| one(&masked(found), sources)).collect();
    json!({ "diagnostics": all, "left_out": diagnostics.left_out() })
}

fn one(diagnostic: &Diagnostic, sources: &Sources) -> Value {
    let related: Vec<Value> = diagnostic
        .related
        .iter()
        .map(|(span, what)| {
            let mut value = place(Some(*span), sources);
            value["what"] = json!(what);
            value
        })
        .collect();
    let mut value = json!({
        "severity": match diagnostic.severity() { Severity::Error => "error", Severity::Warning => "warning" },
        "code": diagnostic.code.name(),
        "message": diagnostic.message,
        "why": diagnostic.why,
        "help": diagnostic.help,
        "related": related,
    });
    if let (Value::Object(fields), Value::Object(place)) = (&mut value, place(diagnostic.span, sources)) {
        fields.extend(place);
    }
    value
}

fn place(span: Option<Span>, sources: &Sources) -> Value {
    let Some(span) = span else {
        return json!({
            "file": sources.profile(),
            "line": null, "column": null, "end_line": null, "end_column": null,
            "start": null, "end": null,
        });
    };
    let (line, column) = sources.position(span.source, span.start);
    let (end_line, end_column) = sources.position(span.source, span.end);
    json!({
        "file": sources.get(span.source).name,
        "line": line, "column": column, "end_line": end_line, "end_column": end_column,
        "start": span.start, "end": span.end,
    })
}
