//! Long lists in parts: which part is asked for, and the addresses of the others.

use crate::guard::percent_encoded;

/// Rows of a part: what a person looks through, and what a page of 300 kB holds.
pub(super) const PART: usize = 100;

/// Where a part stands in its list.
pub(super) struct Paging {
    /// Counts from 1; 0 of an empty list.
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) total: usize,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

impl Paging {
    /// Cuts `rows` to the part that is asked for, counted from 1; beyond the end is the last part.
    /// `address` gives the address of another part.
    pub(super) fn cut<T>(
        rows: &mut Vec<T>,
        asked: Option<usize>,
        address: impl Fn(usize) -> String,
    ) -> Self {
        let total = rows.len();
        let parts = total.div_ceil(PART).max(1);
        let part = asked.unwrap_or(1).clamp(1, parts);
        let skipped = (part - 1) * PART;
        rows.drain(..skipped);
        rows.truncate(PART);
        Self {
            first: skipped + usize::from(!rows.is_empty()),
            last: skipped + rows.len(),
            total,
            before: (part > 1).then(|| address(part - 1)),
            after: (part < parts).then(|| address(part + 1)),
        }
    }
}

/// An address with those parameters that say something.
pub(super) fn address(path: &str, parameters: &[(&str, &str)]) -> String {
    let said = parameters.iter().filter(|(_, value)| !value.is_empty());
    let said: Vec<String> =
        said.map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
    if said.is_empty() { path.to_owned() } else { format!("{path}?{}", said.join("&")) }
}

/// A choice of a filter.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) words: String,
    pub(super) chosen: bool,
}

impl Choice {
    pub(super) fn new(value: &str, words: &str, chosen: &str) -> Self {
        Self { value: value.to_owned(), words: words.to_owned(), chosen: value == chosen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(count: usize, asked: Option<usize>) -> (Vec<usize>, Paging) {
        let mut rows: Vec<usize> = (1..=count).collect();
        let paging =
            Paging::cut(&mut rows, asked, |part| address("/", &[("page", &part.to_string())]));
        (rows, paging)
    }

    #[test]
    fn every_row_is_in_one_part_and_no_part_is_beyond_the_end() {
        let all: Vec<usize> = (1..=3).flat_map(|part| cut(250, Some(part)).0).collect();
        assert_eq!(all, (1..=250).collect::<Vec<_>>());
        let (rows, paging) = cut(250, Some(99));
        assert_eq!((rows.len(), paging.first, paging.last, paging.total), (50, 201, 250, 250));
        assert_eq!((paging.before.as_deref(), paging.after), (Some("/?page=2"), None));
        let (rows, paging) = cut(0, None);
        assert!(rows.is_empty() && paging.before.is_none() && paging.after.is_none());
        assert_eq!((paging.first, paging.last), (0, 0));
        assert_eq!(cut(100, Some(0)).1.after, None);
        assert_eq!(cut(101, None).1.after.as_deref(), Some("/?page=2"));
    }

    #[test]
    fn addresses_say_only_what_was_asked_for() {
        assert_eq!(address("/", &[("q", ""), ("region", "")]), "/");
        let said = address("/", &[("q", "a b&c"), ("region", ""), ("page", "2")]);
        assert_eq!(said, "/?q=a%20b%26c&page=2");
    }
}
