//! How a YAML 1.1 reader resolves a plain scalar. The node's reader (candiedyaml) is one.

/// A plain scalar that YAML 1.1 reads as something other than its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguous {
    /// `~`, `null` or nothing.
    Null,
    /// `yes`, `off`, `y` and the like.
    Bool,
    /// In base 2, 8, 10, 16 or 60.
    Integer,
    /// Infinity and not-a-number too.
    Float,
    /// `2026-11-23`, with or without a time.
    Date,
    /// `<<`, and the value key `=`.
    Merge,
}

impl Ambiguous {
    /// For a message: "a boolean".
    pub fn what(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Integer => "an integer",
            Self::Float => "a floating-point number",
            Self::Date => "a date",
            Self::Merge => "a merge key",
        }
    }
}

/// What YAML 1.1 (yaml.org/type: bool, int, float, null, timestamp, merge, value) takes plain
/// `text` for; `None` if for text. It is cautious: it has whatever any of the known readers
/// (candiedyaml, PyYAML, yaml.v2) resolves.
pub fn yaml11(text: &str) -> Option<Ambiguous> {
    const BOOLS: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "true", "false"];
    // Nearly every text: no word that means something is as long.
    if text.len() > "infinity".len() && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') {
        return None;
    }
    match text {
        "" | "~" => return Some(Ambiguous::Null),
        "<<" | "=" => return Some(Ambiguous::Merge),
        _ => {}
    }
    if text.eq_ignore_ascii_case("null") {
        return Some(Ambiguous::Null);
    }
    if BOOLS.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Some(Ambiguous::Bool);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if is_integer(unsigned) {
        return Some(Ambiguous::Integer);
    }
    if is_float(unsigned) {
        return Some(Ambiguous::Float);
    }
    is_date(text).then_some(Ambiguous::Date)
}

fn is_integer(text: &str) -> bool {
    let digits = |text: &str, radix| !text.is_empty() && text.chars().all(|c| c == '_' || c.is_digit(radix));
    match text.get(..2) {
        Some("0x" | "0X") => digits(&text[2..], 16),
        Some("0b" | "0B") => digits(&text[2..], 2),
        Some("0o" | "0O") => digits(&text[2..], 8),
        _ => text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || c == '_' || c == ':'),
    }
}

fn is_float(text: &str) -> bool {
    if [".inf", ".nan", "inf", "nan", "infinity"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return true;
    }
    let mut seen_digit = false;
    let mut previous = ' ';
    for c in text.chars() {
        let fits = match c {
            '0'..='9' => {
                seen_digit = true;
                true
            }
            '.' | '_' | ':' => true,
            'e' | 'E' => seen_digit,
            '+' | '-' => matches!(previous, 'e' | 'E'),
            _ => false,
        };
        if !fits {
            return false;
        }
        previous = c;
    }
    seen_digit && text.starts_with(|c: char| c == '.' || c.is_ascii_digit()) && text.matches('.').count() <= 1
}

/// `2026-11-23`, with or without a time after it.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let digits = |part: Option<&str>, len: std::ops::RangeInclusive<usize>| {
        part.is_some_and(|part| len.contains(&part.len()) && part.chars().all(|c| c.is_ascii_digit()))
    };
    digits(parts.next(), 4..=4)
        && digits(parts.next(), 1..=2)
        && parts.next().is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}
