//! The one type of messages about a source.
//!
//! A [`Diagnostic`] says what is wrong and where, why it would hurt on a node, and how to fix it.
//! Diagnostics are values: the phases collect them in [`Diagnostics`] and go on, so that one run
//! reports everything. Nothing here knows what a profile or a node is.

mod allowed;
mod code;
mod reference;
mod render;
mod secret;
mod table;
#[cfg(test)]
mod tests;

pub use code::Explanation;
pub use reference::{page, reference};
pub use render::{Style, json, text};
pub use secret::{contains_secret, is_private_key, names_secret};
pub use table::{AREAS, Area, Code};

use allowed::Allowed;
use std::sync::Arc;

/// A place in a source: byte offsets into the text of one of [`Sources`]. There is none for what nobody
/// wrote: whatever may be a default or the release line's has an `Option<Span>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The text that it is in.
    pub source: SourceId,
    /// Its first byte.
    pub start: u32,
    /// The byte after its last one.
    pub end: u32,
}

/// The source of a [`Span`], in [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u16);

/// A text to which diagnostics can point.
#[derive(Debug)]
pub struct SourceText {
    /// The name that messages show: a path, mostly.
    pub name: String,
    /// All of it.
    pub text: String,
    /// True for the user's profile; false for texts that are embedded in remuda or from `--templates`.
    pub is_profile: bool,
}

/// All texts of a run, by [`SourceId`].
#[derive(Debug, Default, Clone)]
pub struct Sources(Vec<Arc<SourceText>>);

impl Sources {
    /// Adds a text; `is_profile` if a person wrote it for this cluster.
    pub fn add(&mut self, name: impl Into<String>, text: String, is_profile: bool) -> SourceId {
        let id = u16::try_from(self.0.len()).expect("fewer than 65,536 sources in a run");
        self.0.push(Arc::new(SourceText { name: name.into(), text, is_profile }));
        SourceId(id)
    }

    /// The text that [`Sources::add`] gave this ID.
    pub fn get(&self, id: SourceId) -> &SourceText {
        &self.0[usize::from(id.0)]
    }

    /// The name of the profile, once there is one.
    pub fn profile(&self) -> Option<&str> {
        self.0.iter().find(|source| source.is_profile).map(|source| source.name.as_str())
    }

    /// Line and column, both from 1; the column counts characters.
    pub fn position(&self, source: SourceId, offset: u32) -> (usize, usize) {
        let text = &self.get(source).text;
        let mut end = (offset as usize).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// Whether anything is generated in spite of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The node would not boot, or not as the profile says.
    Error,
    /// Valid but risky.
    Warning,
}

/// A message about a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The kind of mistake.
    pub code: Code,
    /// What is wrong, in one clause.
    pub message: String,
    /// The place it is about; `None` where it is about what nobody wrote: something that is missing, a
    /// default, the release line's own. Then it is the profile's as a whole.
    pub span: Option<Span>,
    /// A label of the marked place, if the message doesn't explain it.
    pub label: Option<String>,
    /// Related places, each with a label.
    pub related: Vec<(Span, String)>,
    /// What would happen on a node.
    pub why: Option<String>,
    /// What to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A diagnostic without a reason or help yet.
    pub fn new(code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span: span.into(), label: None, related: Vec::new(), why: None, help: None }
    }

    /// Its code's.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// A few words for the place itself.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Another place that belongs to it; left out if nobody wrote that.
    #[must_use]
    pub fn related(mut self, span: impl Into<Option<Span>>, what: impl Into<String>) -> Self {
        self.related.extend(span.into().map(|span| (span, what.into())));
        self
    }

    /// Its effect on a node or in the cluster, in one sentence.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// What to do, as an imperative or a question.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The diagnostics of a run so far.
#[derive(Debug, Default)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
    left_out: usize,
    allowed: Allowed,
}

impl Diagnostics {
    /// The maximal number of errors, and of warnings. Further ones are only counted: a generated
    /// profile may repeat one mistake ten thousand times.
    pub const LIMIT: usize = 200;

    /// Adds one, unless the profile acknowledges it.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.allowed.covers(&diagnostic) {
            return;
        }
        let same = |one: &Diagnostic| (one.code, one.span, &one.message) == (diagnostic.code, diagnostic.span, &diagnostic.message);
        if self.found.iter().any(same) {
            return;
        }
        if self.count(diagnostic.severity()) < Self::LIMIT {
            self.found.push(diagnostic);
        } else {
            self.left_out += 1;
        }
    }

    /// Adds all of another collection.
    pub fn extend(&mut self, more: Diagnostics) {
        self.left_out += more.left_out;
        more.found.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// Adds those whose code and place aren't here yet, for mistakes that are found node by node.
    pub fn extend_once(&mut self, more: Diagnostics) {
        self.left_out += more.left_out;
        for diagnostic in more.found {
            let same = |one: &Diagnostic| one.code == diagnostic.code && one.span == diagnostic.span;
            if diagnostic.span.is_none() || !self.found.iter().any(same) {
                self.push(diagnostic);
            }
        }
    }

    /// Adds each.
    pub fn extend_with(&mut self, more: impl IntoIterator<Item = Diagnostic>) {
        more.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// Whether nothing may be generated.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|found| found.severity() == Severity::Error)
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The number of diagnostics beyond [`Diagnostics::LIMIT`].
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// In the order of the source; diagnostics without a place come first.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut all: Vec<_> = self.found.iter().collect();
        all.sort_by_key(|found| found.span);
        all
    }

    /// How many there are of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.found.iter().filter(|found| found.severity() == severity).count()
    }
}

/// The candidate that the user probably meant with `word`, for "did you mean".
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance: insertions, deletions, substitutions, swapped neighbours.
/// Words of more than 64 characters aren't considered.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substituted = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substituted.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
