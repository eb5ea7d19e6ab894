//! How sure a difference is, with the day as the unit.
//!
//! Windows of one day share a network, a load and a fault: thousands of them are one observation. What is
//! compared is therefore the share of bad days among observed working days.
//!
//! The interval of a difference of two shares is Newcombe's hybrid score interval (R. G. Newcombe,
//! "Interval estimation for the difference between independent proportions: comparison of eleven methods",
//! Statistics in Medicine 17, 1998, pages 873-890, method 10), made of Wilson's intervals of each. It
//! behaves with five days and with shares of 0 and 1, where the textbook's normal interval has no width.
//! Its level is [`CONFIDENCE`], 99 % and not 95 %: with so few days the nominal level is missed by a little,
//! and days that follow each other are alike, so that they tell less than independent ones. For all
//! numbers of days that reports compare, and whatever the share, less than 2 % of equal months are called
//! different; a test computes that exactly.
//!
//! The trend is the exact conditional form of the Cochran-Armitage test (P. Armitage, "Tests for linear
//! trends in proportions and frequencies", Biometrics 11, 1955, pages 375-386): given how many days were
//! bad in all, every way to spread them over the observed days is equally likely when nothing changes.

/// The level of every interval.
pub const CONFIDENCE: f64 = 0.99;
/// The standard normal quantile of it, two-sided.
const Z: f64 = 2.575_829_303_548_901;
/// Of equal times compared, one in so many is called better or worse by chance, at most.
const CHANCE: usize = 50;
/// Fewer weeks with observed days show no trend.
const LEAST_WEEKS: usize = 4;
/// Fewer observed days show no trend.
const LEAST_TREND_DAYS: u32 = 15;
/// More weeks than this, or more days in one, are no input of ours.
const MOST_WEEKS: usize = 16;
const MOST_DAYS_A_WEEK: u32 = 7;

/// Bad days among observed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Days {
    /// Bad ones, at most `of`.
    pub bad: u32,
    /// Observed working days.
    pub of: u32,
}

impl Days {
    /// The share of bad days, 0..=1; `None` of no days.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        (self.of > 0).then(|| f64::from(self.bad.min(self.of)) / f64::from(self.of))
    }

    /// Wilson's score interval of the share.
    fn wilson(self) -> Option<(f64, f64, f64)> {
        let (share, n) = (self.share()?, f64::from(self.of));
        let shrink = 1.0 + Z * Z / n;
        let middle = (share + Z * Z / (2.0 * n)) / shrink;
        let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt() / shrink;
        Some(((middle - half).max(0.0), share, (middle + half).min(1.0)))
    }
}

/// What a difference says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaning {
    /// Fewer bad days.
    Better,
    /// More bad days.
    Worse,
    /// It may be nothing at all.
    Unclear,
}

impl Leaning {
    /// The word used in JSON, CSV and texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Unclear => "no clear difference",
        }
    }
}

/// How much the share of bad days grew, with its interval; -1..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// The share now less the share before.
    pub difference: f64,
    /// The lower end of its interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Shift {
    /// Better or worse only where the interval excludes nothing at all.
    #[must_use]
    pub fn leaning(&self) -> Leaning {
        if self.low > 0.0 {
            Leaning::Worse
        } else if self.high < 0.0 {
            Leaning::Better
        } else {
            Leaning::Unclear
        }
    }
}

/// Compares the days of two times. `None`, which is unknown, when either has fewer observed days than its
/// `least`.
#[must_use]
pub fn shift(before: Days, now: Days, least: (u32, u32)) -> Option<Shift> {
    if before.of < least.0 || now.of < least.1 {
        return None;
    }
    let (low_before, share_before, high_before) = before.wilson()?;
    let (low_now, share_now, high_now) = now.wilson()?;
    let difference = share_now - share_before;
    let down = (share_now - low_now).hypot(high_before - share_before);
    let up = (high_now - share_now).hypot(share_before - low_before);
    Some(Shift { difference, low: difference - down, high: difference + up })
}

/// How many of `compared` places would be called better or worse by chance alone, in words.
pub(crate) fn by_chance(compared: usize) -> String {
    match compared.div_ceil(CHANCE) {
        0 | 1 => "up to one".to_owned(),
        n => format!("up to {n}"),
    }
}

/// Where the share of bad days goes, week by week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// Bad days become more frequent.
    Increasing,
    /// No trend can be seen.
    Steady,
    /// Bad days become rarer.
    Decreasing,
    /// Too few days were observed.
    Unknown,
}

impl Trend {
    /// The word used in JSON, CSV and texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Increasing => "increasing",
            Self::Steady => "steady",
            Self::Decreasing => "decreasing",
            Self::Unknown => "unknown",
        }
    }
}

/// The trend over weeks, the oldest first; a week without observed days counts as time that went by.
#[must_use]
pub fn trend(weeks: &[Days]) -> Trend {
    let weeks = &weeks[weeks.len().saturating_sub(MOST_WEEKS)..];
    let week = |days: &Days| {
        let of = days.of.min(MOST_DAYS_A_WEEK);
        Days { bad: days.bad.min(of), of }
    };
    let weeks: Vec<Days> = weeks.iter().map(week).collect();
    let observed = weeks.iter().filter(|days| days.of > 0).count();
    let days: u32 = weeks.iter().map(|days| days.of).sum();
    if observed < LEAST_WEEKS || days < LEAST_TREND_DAYS {
        return Trend::Unknown;
    }
    let (at_most, at_least) = tails(&weeks);
    let level = (1.0 - CONFIDENCE) / 2.0;
    if at_least <= level {
        Trend::Increasing
    } else if at_most <= level {
        Trend::Decreasing
    } else {
        Trend::Steady
    }
}

/// How likely the bad days lie as early as they do or earlier, and as late or later, when each spread of
/// them over the observed days is equally likely.
fn tails(weeks: &[Days]) -> (f64, f64) {
    let number = |at: usize, bad: u32| at * bad as usize;
    let bad: usize = weeks.iter().map(|days| days.bad as usize).sum();
    let seen: usize = weeks.iter().enumerate().map(|(at, days)| number(at, days.bad)).sum();
    let most: usize = weeks.iter().enumerate().map(|(at, days)| number(at, days.of)).sum();
    // Ways to spread so many bad days with this sum of their weeks' numbers.
    let mut ways = vec![vec![0.0f64; most + 1]; bad + 1];
    ways[0][0] = 1.0;
    for (at, days) in weeks.iter().enumerate() {
        let mut next = vec![vec![0.0f64; most + 1]; bad + 1];
        for (used, sums) in ways.iter().enumerate() {
            for (sum, &count) in sums.iter().enumerate().filter(|(_, count)| **count > 0.0) {
                for more in 0..=days.of {
                    let (used, sum) = (used + more as usize, sum + number(at, more));
                    if used <= bad && sum <= most {
                        next[used][sum] += count * choose(days.of, more);
                    }
                }
            }
        }
        ways = next;
    }
    let spread = &ways[bad];
    let total: f64 = spread.iter().sum();
    let at_most: f64 = spread[..=seen].iter().sum();
    let at_least: f64 = spread[seen..].iter().sum();
    (at_most / total, at_least / total)
}

/// Ways to take `k` of `n`, both small.
fn choose(n: u32, k: u32) -> f64 {
    (0..k).fold(1.0, |ways, i| ways * f64::from(n - i) / f64::from(i + 1))
}

#[cfg(test)]
mod tests;
