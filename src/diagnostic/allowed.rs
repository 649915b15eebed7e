//! Warnings that a profile's author has read and means: `# remuda: allow CODE, CODE` behind what it is about, on a line
//! of its own above it, or at the profile's head for what has no place in it.

use super::{Code, Diagnostic, Diagnostics, Severity, SourceId, Span, closest};

/// What comes before the codes, in a comment.
const MARK: &str = "remuda: allow ";

/// The acknowledgements in a profile.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    source: Option<SourceId>,
    /// The first byte of each line.
    lines: Vec<u32>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    code: Code,
    /// Of the code in the comment.
    span: Span,
    /// The line that it is about, from 0; `None` if none follows.
    line: Option<usize>,
    /// Whether it is at the head of the profile, and so also for what has no place.
    is_head: bool,
    is_used: bool,
}

impl Allowed {
    /// Those of a text. A code that can't be acknowledged is pushed to `found`.
    pub(super) fn read(source: SourceId, text: &str, found: &mut Vec<Diagnostic>) -> Self {
        let mut allowed = Self { source: Some(source), ..Self::default() };
        let mut waiting: Vec<(Code, Span)> = Vec::new();
        let (mut at, mut is_head) = (0, true);
        for (number, line) in text.split_inclusive('\n').enumerate() {
            allowed.lines.push(offset(at));
            let (before, codes) = comment(line).unwrap_or((line, ""));
            let is_content = !before.trim().is_empty() && !before.trim_start().starts_with('#') && before.trim() != "---";
            let words = codes.split(',').filter(|word| !word.trim().is_empty());
            waiting.extend(words.filter_map(|word| {
                // A subslice's place in the line.
                let start = at + (word.as_ptr() as usize - line.as_ptr() as usize) + (word.len() - word.trim_start().len());
                let span = Span { source, start: offset(start), end: offset(start + word.trim().len()) };
                known(word.trim(), span, found).map(|code| (code, span))
            }));
            if is_content {
                let entry = |(code, span)| Entry { code, span, line: Some(number), is_head, is_used: false };
                allowed.entries.extend(waiting.drain(..).map(entry));
                is_head = false;
            }
            at += line.len();
        }
        let entry = |(code, span)| Entry { code, span, line: None, is_head: false, is_used: false };
        allowed.entries.extend(waiting.into_iter().map(entry));
        allowed
    }

    /// Whether the diagnostic is acknowledged.
    pub(super) fn covers(&mut self, diagnostic: &Diagnostic) -> bool {
        let Some(source) = self.source.filter(|_| diagnostic.code.may_be_allowed()) else { return false };
        let line = |span: Span| self.lines.partition_point(|first| *first <= span.start) - 1;
        let place = diagnostic.span.map(|span| (span.source, line(span)));
        let is_about = |entry: &Entry| place.map_or(entry.is_head, |(of, line)| of == source && entry.line == Some(line));
        let mut is_covered = false;
        for entry in self.entries.iter_mut().filter(|entry| entry.code == diagnostic.code && is_about(entry)) {
            entry.is_used = true;
            is_covered = true;
        }
        is_covered
    }

    /// A warning for each that nothing needed.
    pub(super) fn unused(&self) -> Vec<Diagnostic> {
        let warning = |entry: &Entry| {
            Diagnostic::new(Code::UnusedAllow, entry.span, format!("there is no `{}` here to acknowledge", entry.code.name()))
                .why("it would silence a later one, which nobody has read")
                .help("remove it, or move it to the line that the warning points to, or above that line")
        };
        self.entries.iter().filter(|entry| !entry.is_used).map(warning).collect()
    }
}

/// Splits a line at a comment that acknowledges: what is before the comment, and the codes.
fn comment(line: &str) -> Option<(&str, &str)> {
    let (at, _) = line.match_indices('#').find(|(at, _)| {
        let is_comment = line[..*at].chars().next_back().is_none_or(char::is_whitespace);
        is_comment && line[at + 1..].trim_start().starts_with(MARK)
    })?;
    Some((&line[..at], line[at + 1..].trim_start().strip_prefix(MARK)?.trim_end()))
}

fn known(word: &str, span: Span, found: &mut Vec<Diagnostic>) -> Option<Code> {
    let names = || Code::all().filter(|code| code.may_be_allowed()).map(Code::name);
    let wrong = |message: String| Diagnostic::new(Code::UnusedAllow, span, message).why("the comment has no effect");
    match Code::find(word) {
        Some(code) if code.may_be_allowed() => return Some(code),
        Some(code) => {
            let what = if code.severity() == Severity::Error { "an error" } else { "a warning of acknowledgements" };
            found.push(
                wrong(format!("`{word}` is {what}, which can't be acknowledged"))
                    .help(format!("mend it: `remuda explain {word}` says how")),
            );
        }
        None => {
            let help = closest(word, names()).map_or_else(
                || "write the code that stands in brackets after `warning`".to_owned(),
                |name| format!("did you mean `{name}`?"),
            );
            found.push(wrong(format!("there is no diagnostic `{word}`")).help(help));
        }
    }
    None
}

/// Texts of 4 GiB are refused before.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Diagnostics {
    /// Takes the acknowledgements of a profile's text: from here on, what they cover isn't kept.
    pub fn allow(&mut self, source: SourceId, text: &str) {
        let mut wrong = Vec::new();
        self.allowed = Allowed::read(source, text, &mut wrong);
        self.extend_with(wrong);
    }

    /// Warns of acknowledgements that covered nothing so far: after all checks.
    pub fn check_allowed(&mut self) {
        self.extend_with(self.allowed.unused());
    }

    /// Takes all diagnostics out, and keeps the acknowledgements for those that come later.
    #[must_use]
    pub fn take(&mut self) -> Self {
        Self { found: std::mem::take(&mut self.found), left_out: std::mem::take(&mut self.left_out), allowed: Allowed::default() }
    }
}
