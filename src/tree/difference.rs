//! Differences of files, for a person to read. The number of files and the bytes of each are bounded.

use camino::Utf8Path;
use similar::TextDiff;

/// The maximal number of differences, and the maximal length of one in bytes.
const KEPT: usize = 20;
const LONGEST: usize = 64 << 10;
/// Larger files are reported as different, without a diff.
const COMPARED: u64 = 1 << 20;

/// The difference of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The path in the tree.
    pub path: String,
    /// A unified diff.
    pub text: String,
}

impl Difference {
    /// `old` is the existing content; `None` if the file doesn't exist or can't be compared.
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

/// Keeps the differences of the first paths only.
pub(super) fn keep(kept: &mut Vec<Difference>, difference: Difference) {
    let at = kept.partition_point(|one| one.path < difference.path);
    kept.insert(at, difference);
    kept.truncate(KEPT);
}

/// A file's bytes, if it can be compared.
pub(super) fn read_some(path: &Utf8Path) -> Option<Vec<u8>> {
    let there = fs_err::symlink_metadata(path).ok()?;
    (there.is_file() && there.len() <= COMPARED).then(|| fs_err::read(path).ok())?
}
