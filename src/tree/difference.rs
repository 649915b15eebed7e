//! How a file differs, for a person to read. Bounded: so many files, so many bytes of each.

use camino::Utf8Path;
use similar::TextDiff;

/// How many differences are kept, and how long one may be.
const KEPT: usize = 20;
const LONGEST: usize = 64 << 10;
/// Larger files are said to differ, without how.
const COMPARED: u64 = 1 << 20;

/// How one file differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub path: String,
    /// A unified diff.
    pub text: String,
}

impl Difference {
    /// `old` is what is there; `None` if nothing is, or nothing that can be compared.
    pub fn between(path: &str, old: Option<Vec<u8>>, new: &[u8]) -> Self {
        let text = match (old.as_deref().map(std::str::from_utf8), std::str::from_utf8(new)) {
            (None, Ok(new)) if new.len() as u64 <= COMPARED => unified(path, "", new),
            (Some(Ok(old)), Ok(new)) if new.len() as u64 <= COMPARED => unified(path, old, new),
            _ => format!("{path} differs\n"),
        };
        Self { path: path.to_owned(), text }
    }
}

fn unified(path: &str, old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let from = if old.is_empty() { "/dev/null".to_owned() } else { format!("a/{path}") };
    let mut text = diff.unified_diff().context_radius(3).header(&from, &format!("b/{path}")).to_string();
    if text.len() > LONGEST {
        let end = text[..LONGEST].rfind('\n').map_or(0, |at| at + 1);
        let more = text[end..].lines().count();
        text.truncate(end);
        text.push_str(&format!("… {more} more lines\n"));
    }
    text
}

/// Keeps the differences of the first paths.
pub fn keep(kept: &mut Vec<Difference>, difference: Difference) {
    let at = kept.partition_point(|one| one.path < difference.path);
    kept.insert(at, difference);
    kept.truncate(KEPT);
}

/// A file's bytes, if it is one that can be compared.
pub fn read_some(path: &Utf8Path) -> Option<Vec<u8>> {
    let there = fs_err::symlink_metadata(path).ok()?;
    (there.is_file() && there.len() <= COMPARED).then(|| fs_err::read(path).ok())?
}
