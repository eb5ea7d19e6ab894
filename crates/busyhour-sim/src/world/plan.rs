//! What is asked for: how many buildings, how hard, by which mechanisms, how densely measured.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, date};

use super::truth::{UnknownWord, words};

/// Windows are this long, in seconds.
pub(crate) const WINDOW_SECONDS: u32 = 15;
/// A quarter-hour, in seconds.
const SLOT_SECONDS: u32 = 900;
/// The most buildings that a world may have.
const MAX_BUILDINGS: u32 = 10_000;
/// The most days: a year and a month.
const MAX_DAYS: u32 = 400;
/// The fewest days: an episode needs its onset, its days and what comes after it.
const MIN_DAYS: u32 = 28;

/// How hard the fleet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Hardness {
    /// Episodes are strong, incidents and gaps moderate.
    #[default]
    Normal,
    /// Episodes are weak and pause, incidents are twice as many and some last days, gaps are many.
    Hard,
}

words!(Hardness, "hardness", Normal = "normal", Hard = "hard");

/// Which of the two disjoint sets links, days and faults are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mechanisms {
    /// Those that a detector may be tuned on.
    #[default]
    Tuning,
    /// Those that it is judged by and never tuned on.
    HeldOut,
}

words!(Mechanisms, "set of mechanisms", Tuning = "tuning", HeldOut = "held-out");

/// A plan that no world can be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPlan {
    /// What has to be different, as a sentence's end.
    pub reason: &'static str,
}

impl fmt::Display for InvalidPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl std::error::Error for InvalidPlan {}

/// How much of the time is measured: so many seconds of every so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sampling {
    seconds: u32,
    of_seconds: u32,
}

impl Sampling {
    /// `seconds` of every `of_seconds`: both are whole windows of 15 s, and a quarter-hour holds
    /// a whole number of such periods.
    ///
    /// # Errors
    /// When they are not.
    pub fn new(seconds: u32, of_seconds: u32) -> Result<Self, InvalidPlan> {
        let whole = |value: u32| value > 0 && value.is_multiple_of(WINDOW_SECONDS);
        if !whole(seconds) || !whole(of_seconds) || seconds > of_seconds {
            return Err(InvalidPlan { reason: "sampling is in whole windows of 15 s" });
        }
        if !SLOT_SECONDS.is_multiple_of(of_seconds) {
            return Err(InvalidPlan { reason: "the period of sampling has to divide 900 s" });
        }
        Ok(Self { seconds, of_seconds })
    }

    /// Windows measured in each period.
    pub(crate) const fn windows(self) -> u32 {
        self.seconds / WINDOW_SECONDS
    }

    /// Windows that a period has room for.
    pub(crate) const fn period(self) -> u32 {
        self.of_seconds / WINDOW_SECONDS
    }

    /// Windows in a quarter-hour, 1..=60.
    #[must_use]
    pub const fn windows_a_slot(self) -> u16 {
        (SLOT_SECONDS / self.of_seconds * self.windows()) as u16
    }
}

impl Default for Sampling {
    /// 15 s of every minute.
    fn default() -> Self {
        Self { seconds: 15, of_seconds: 60 }
    }
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.seconds, self.of_seconds)
    }
}

impl FromStr for Sampling {
    type Err = UnknownWord;

    /// Such as `15/60`.
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let unknown = || UnknownWord { what: "sampling", found: text.to_owned() };
        let (seconds, of_seconds) = text.split_once('/').ok_or_else(unknown)?;
        let number = |part: &str| part.trim().parse().map_err(|_| unknown());
        Self::new(number(seconds)?, number(of_seconds)?).map_err(|_| unknown())
    }
}

/// What a world is made from. The same plan gives the same world; sampling and absence change what
/// was seen of it and nothing of what is true.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Where all chance comes from.
    pub seed: u64,
    /// How hard it is.
    pub hardness: Hardness,
    /// Which mechanisms it has.
    pub mechanisms: Mechanisms,
    /// How many buildings, 3..=10 000.
    pub buildings: u32,
    /// The first local day of every building. Public holidays are known for 2025.
    pub first: Date,
    /// How many local days, 28..=400.
    pub days: u32,
    /// How much is measured.
    pub sampling: Sampling,
    /// The share of days on which an agent is switched off, 0..=1, beside all other gaps.
    pub absent_days: f64,
}

impl Plan {
    /// A normal fleet of 30 buildings over twelve weeks that begin on 9 February 2025.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            hardness: Hardness::Normal,
            mechanisms: Mechanisms::Tuning,
            buildings: 30,
            first: date(2025, 2, 9),
            days: 84,
            sampling: Sampling { seconds: 15, of_seconds: 60 },
            absent_days: 0.0,
        }
    }

    /// Checks what the types do not hold.
    pub(crate) fn check(&self) -> Result<(), InvalidPlan> {
        if !(3..=MAX_BUILDINGS).contains(&self.buildings) {
            return Err(InvalidPlan { reason: "there have to be 3 to 10 000 buildings" });
        }
        if !(MIN_DAYS..=MAX_DAYS).contains(&self.days) {
            return Err(InvalidPlan { reason: "there have to be 28 to 400 days" });
        }
        if !(0.0..=1.0).contains(&self.absent_days) {
            return Err(InvalidPlan { reason: "the share of absent days lies between 0 and 1" });
        }
        if !(1971..=2200).contains(&self.first.year()) {
            return Err(InvalidPlan { reason: "the first day lies between 1971 and 2200" });
        }
        Ok(())
    }

    /// The value for normal fleets or the one for hard ones.
    pub(crate) const fn by_hardness<T: Copy>(&self, normal: T, hard: T) -> T {
        match self.hardness {
            Hardness::Normal => normal,
            Hardness::Hard => hard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampling_is_in_whole_windows_of_whole_periods() {
        let slots = |text: &str| text.parse::<Sampling>().map(Sampling::windows_a_slot);
        assert_eq!(slots("15/60"), Ok(15));
        assert_eq!(slots("15/15"), Ok(60));
        assert_eq!(slots("15/300"), Ok(3));
        assert_eq!(slots("15/150"), Ok(6));
        assert_eq!(slots("30/60"), Ok(30));
        for text in ["", "15", "0/60", "20/60", "15/50", "15/105", "60/15", "15/1800", "a/b"] {
            assert!(slots(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_plan_that_makes_no_sense_is_refused() {
        assert!(Plan::new(1).check().is_ok());
        assert!(Plan { buildings: 2, ..Plan::new(1) }.check().is_err());
        assert!(Plan { days: 27, ..Plan::new(1) }.check().is_err());
        assert!(Plan { absent_days: 1.1, ..Plan::new(1) }.check().is_err());
        assert!(Plan { absent_days: f64::NAN, ..Plan::new(1) }.check().is_err());
        assert!(Plan { first: date(1900, 1, 1), ..Plan::new(1) }.check().is_err());
    }
}
