//! Counts of small values, to name the most frequent one.

/// How often each value was seen. There are few different ones, and at most 256.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Vec<(u8, u32)>);

impl Tally {
    pub(crate) fn add(&mut self, value: u8) {
        match self.0.iter_mut().find(|(seen, _)| *seen == value) {
            Some((_, count)) => *count += 1,
            None => self.0.push((value, 1)),
        }
    }

    /// The most frequent value; of several the one that was seen first.
    pub(crate) fn most(&self) -> Option<u8> {
        let most = self.0.iter().rev().max_by_key(|&&(_, count)| count);
        most.map(|&(value, _)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_value_is_named() {
        let mut tally = Tally::default();
        assert_eq!(tally.most(), None);
        for value in [46, 0, 0, 46, 8] {
            tally.add(value);
        }
        assert_eq!(tally.most(), Some(46), "seen first");
        tally.add(0);
        assert_eq!(tally.most(), Some(0));
    }
}
