//! The acute channel: what burns now, at whatever hour, for those who operate the network.

use crate::params::Params;

/// Counts of one bin: windows that count, and bad ones among them.
pub(crate) type Count = (u32, u32);

/// The bins of one-off incidents, a bit each: stretches of bins that are at least half bad and last
/// half an hour, of which at least one ends an hour that burns its budget too fast, as does the
/// bin itself. `hour` is how many bins make one, `minutes` how long each lasts.
///
/// Several windows in one rule, after Google's SRE workbook, chapter 5: the long one says that it
/// matters, the short one that it is not over.
pub(crate) fn acute_bins(counts: &[Count], hour: usize, minutes: u16, params: &Params) -> u128 {
    let needed = usize::from(params.acute_minutes.div_ceil(minutes.max(1))).max(1);
    let mut bins = 0;
    let mut stretch = Stretch::default();
    for (at, &count) in counts.iter().enumerate().take(128) {
        if !at_least(count, params.acute_percent * 10) {
            stretch = Stretch::default();
            continue;
        }
        stretch.bins |= 1 << at;
        stretch.burns |= burns(counts, at, hour, params);
        if stretch.burns && stretch.bins.count_ones() as usize >= needed {
            bins |= stretch.bins;
        }
    }
    bins
}

/// Bins that follow each other.
#[derive(Debug, Default)]
struct Stretch {
    bins: u128,
    burns: bool,
}

/// True when the budget burns too fast over the hour that ends with a bin, and over that bin.
fn burns(counts: &[Count], at: usize, hour: usize, params: &Params) -> bool {
    let permille = params.budget_permille * params.burn_tenths / 10;
    let first = (at + 1).saturating_sub(hour);
    let over = |part: &[Count]| {
        part.iter().fold((0u32, 0u32), |sum, count| {
            (sum.0.saturating_add(count.0), sum.1.saturating_add(count.1))
        })
    };
    let last = counts.get(at..=at).unwrap_or_default();
    let long = counts.get(first..=at).unwrap_or_default();
    at_least(over(last), permille) && at_least(over(long), permille)
}

/// True when the share of bad windows is at least this, of any at all.
fn at_least((valid, bad): Count, permille: u32) -> bool {
    valid > 0 && u64::from(bad) * 1_000 >= u64::from(valid) * u64::from(permille)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bins(counts: &[Count]) -> u128 {
        acute_bins(counts, 4, 15, &Params::default())
    }

    #[test]
    fn half_an_hour_that_is_half_bad_is_acute() {
        assert_eq!(bins(&[(15, 0), (15, 8), (15, 9), (15, 0)]), 0b0110);
        assert_eq!(bins(&[(15, 0), (15, 15), (15, 7), (15, 15)]), 0, "never for half an hour");
        assert_eq!(bins(&[(15, 0), (15, 8), (0, 0), (15, 9)]), 0, "nobody saw that it went on");
    }

    #[test]
    fn an_hour_long_bin_is_enough_by_itself() {
        assert_eq!(acute_bins(&[(60, 0), (60, 30)], 1, 60, &Params::default()), 0b10);
        assert_eq!(acute_bins(&[(60, 0), (60, 29)], 1, 60, &Params::default()), 0);
    }

    #[test]
    fn little_in_a_well_seen_hour_does_not_burn() {
        // Two bins of one window each, both bad, after an hour with many good ones.
        assert_eq!(bins(&[(60, 0), (60, 0), (1, 1), (1, 1)]), 0);
    }
}
