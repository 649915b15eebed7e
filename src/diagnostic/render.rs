//! Diagnostics as text for a person and as JSON for a program.

use super::{Diagnostic, Diagnostics, Severity, Sources, Span};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

/// How text may look: colour is for terminals only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Coloured,
}

/// All of `diagnostics` as a person reads them, ending in a line that counts them; empty if there are none.
pub fn text(diagnostics: &Diagnostics, sources: &Sources, style: Style) -> String {
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Coloured => Renderer::styled(),
    };
    let mut out = String::new();
    for diagnostic in diagnostics.sorted() {
        out.push_str(&renderer.render(&report(diagnostic, sources)));
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
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
    let mut group = match diagnostic.span {
        None => Group::with_title(title),
        Some(span) => {
            let mut primary = AnnotationKind::Primary.span(range(span, sources));
            if let Some(label) = &diagnostic.label {
                primary = primary.label(label.as_str());
            }
            let mut snippet = snippet(span, sources).annotation(primary);
            for (place, what) in &diagnostic.related {
                if place.source == span.source {
                    snippet = snippet.annotation(AnnotationKind::Context.span(range(*place, sources)).label(what.as_str()));
                }
            }
            let mut group = title.element(snippet);
            for (place, what) in &diagnostic.related {
                if place.source != span.source {
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
    if let Some(mend) = &diagnostic.mend {
        group = group.element(Level::HELP.with_name(Some("mend")).message(mend.as_str()));
    }
    vec![group]
}

fn snippet<'a>(span: Span, sources: &'a Sources) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let source = sources.get(span.source);
    Snippet::source(source.text.as_str()).path(source.name.as_str())
}

/// The span's bytes, kept inside the text, on character boundaries, and never past its first line:
/// a mapping of forty lines is marked where it begins.
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
/// Lines and columns count from 1, offsets are bytes.
pub fn json(diagnostics: &Diagnostics, sources: &Sources) -> Value {
    let all: Vec<Value> = diagnostics.sorted().into_iter().map(|found| one(found, sources)).collect();
    json!({ "diagnostics": all, "left_out": diagnostics.left_out() })
}

fn one(diagnostic: &Diagnostic, sources: &Sources) -> Value {
    let related: Vec<Value> = diagnostic
        .related
        .iter()
        .map(|(span, what)| {
            let mut value = place(*span, sources);
            value["what"] = json!(what);
            value
        })
        .collect();
    let mut value = json!({
        "severity": match diagnostic.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "code": diagnostic.code,
        "message": diagnostic.message,
        "why": diagnostic.why,
        "mend": diagnostic.mend,
        "related": related,
    });
    if let (Some(span), Some(fields)) = (diagnostic.span, value.as_object_mut())
        && let Value::Object(place) = place(span, sources)
    {
        fields.extend(place);
    }
    value
}

fn place(span: Span, sources: &Sources) -> Value {
    let (line, column) = sources.position(span.source, span.start);
    let (end_line, end_column) = sources.position(span.source, span.end);
    json!({
        "file": sources.get(span.source).name,
        "line": line, "column": column, "end_line": end_line, "end_column": end_column,
        "start": span.start, "end": span.end,
    })
}
