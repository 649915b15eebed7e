//! Names with a range: `worker-[0001-1000]` stands for a thousand names.

use crate::profile::is_label;

/// The maximal number of nodes in a cluster.
pub(crate) const NODES: usize = 131_072;

/// A node's name as declared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pattern<'a> {
    prefix: &'a str,
    suffix: &'a str,
    /// The first and last number, and their minimal number of digits; `None` for a single name.
    range: Option<(usize, usize, usize)>,
}

impl<'a> Pattern<'a> {
    /// Reads a name; `Err` says what is wrong with it.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let Some((prefix, rest)) = text.split_once('[') else {
            is_label(text, 63)?;
            return Ok(Self { prefix: text, suffix: "", range: None });
        };
        let (range, suffix) = rest.split_once(']').ok_or_else(|| format!("`{text}` has no closing bracket"))?;
        let (first, last) = range.split_once('-').ok_or_else(|| format!("`[{range}]` has no dash"))?;
        let digits = |text: &str| !text.is_empty() && text.len() <= 6 && text.chars().all(|c| c.is_ascii_digit());
        if !digits(first) || !digits(last) {
            return Err(format!("`[{range}]` is not a range of numbers of up to six digits"));
        }
        if first.len() != last.len() && (first.starts_with('0') || last.starts_with('0')) {
            return Err(format!("the ends of `[{range}]` have different numbers of digits"));
        }
        let (low, high): (usize, usize) = (first.parse().unwrap_or(0), last.parse().unwrap_or(0));
        if low > high {
            return Err(format!("`[{range}]` counts down"));
        }
        if high - low >= NODES {
            return Err(format!("`[{range}]` has more than {NODES} names"));
        }
        let pattern = Self { prefix, suffix, range: Some((low, high, first.len())) };
        is_label(&pattern.name(pattern.len() - 1), 63)?;
        Ok(pattern)
    }

    pub(crate) fn len(&self) -> usize {
        self.range.map_or(1, |(low, high, _)| high - low + 1)
    }

    pub(crate) fn name(&self, index: usize) -> String {
        match self.range {
            None => self.prefix.to_owned(),
            Some((low, _, digits)) => format!("{}{:0digits$}{}", self.prefix, low + index, self.suffix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_range_counts_up_with_its_digits() {
        let pattern = Pattern::parse("worker-[0098-0101]-a").unwrap();
        let names: Vec<_> = (0..pattern.len()).map(|index| pattern.name(index)).collect();
        assert_eq!(names, ["worker-0098-a", "worker-0099-a", "worker-0100-a", "worker-0101-a"]);
        assert_eq!(Pattern::parse("n[8-11]").unwrap().name(3), "n11");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in ["", "A", "a_b", "a-", "n[1-", "n[1]", "n[2-1]", "n[01-1]", "n[a-b]", "n[0-99999999]", "n[1-2][3-4]", "[1-2]-"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
