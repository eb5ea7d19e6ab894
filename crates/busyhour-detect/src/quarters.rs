//! A set of local quarter-hours of the day.

/// Quarter-hours in a day by the clock on the wall.
const A_DAY: u32 = 96;
/// Hours overlap when they come within three quarter-hours of each other (±45 min).
const DILATION: u32 = 3;

/// A set of the 96 quarter-hours that a clock on the wall shows in a day. A doubled hour (clocks
/// set back) is one hour here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quarters(u128);

impl Quarters {
    /// Those that begin at these minutes of the day.
    #[must_use]
    pub fn from_minutes(minutes: &[u16]) -> Self {
        Self(minutes.iter().fold(0, |bits, &minute| bits | Self::bit(minute)))
    }

    /// Those from `from` to `until`, in minutes of the day, half open.
    pub fn between(from: u16, until: u16) -> Self {
        let mut set = Self::default();
        for quarter in from / 15..until.div_ceil(15).min(A_DAY as u16) {
            set.insert(quarter * 15);
        }
        set
    }

    /// Those that hold for at least `needed` of `sets`.
    pub fn in_at_least(sets: &[Self], needed: usize) -> Self {
        let held = |quarter: &u32| sets.iter().filter(|s| s.0 >> quarter & 1 == 1).count();
        let bits = (0..A_DAY)
            .filter(|quarter| needed > 0 && held(quarter) >= needed)
            .fold(0, |bits, quarter| bits | 1 << quarter);
        Self(bits)
    }

    /// Adds the one that holds a minute of the day.
    pub fn insert(&mut self, minute: u16) {
        self.0 |= Self::bit(minute);
    }

    /// Adds those of a bin of so many quarter-hours that begins at a minute of the day.
    pub fn insert_bin(&mut self, minute: u16, quarters: u8) {
        for quarter in 0..u16::from(quarters) {
            let at = minute + quarter * 15;
            if at < 24 * 60 {
                self.insert(at);
            }
        }
    }

    /// With 45 minutes more at either side of each.
    pub fn dilated(self) -> Self {
        let grown = (1..=DILATION).fold(self.0, |bits, by| bits | self.0 << by | self.0 >> by);
        Self(grown & ((1 << A_DAY) - 1))
    }

    /// True when both come within 45 minutes of each other.
    pub fn overlaps(self, other: Self) -> bool {
        self.dilated().0 & other.0 != 0
    }

    /// True when it holds the one that a minute of the day lies in.
    #[must_use]
    pub fn contains(self, minute: u16) -> bool {
        self.0 & Self::bit(minute) != 0
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// How alike two sets are: what they share, in hundredths of what either has; 100 of two empty
    /// ones.
    #[must_use]
    pub fn likeness_percent(self, other: Self) -> u32 {
        let either = self.or(other).count();
        (self.and(other).count() * 100).checked_div(either).unwrap_or(100)
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those of either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without the stretches that come near any of `other`.
    pub fn away_from(self, other: Self) -> Self {
        let away = self.stretches().into_iter().filter(|stretch| !stretch.overlaps(other));
        away.fold(Self::default(), Self::or)
    }

    /// The beginnings, in minutes of the day, ascending.
    pub fn minutes(self) -> Vec<u16> {
        (0..A_DAY as u16).filter(|q| self.0 >> q & 1 == 1).map(|q| q * 15).collect()
    }

    /// The stretch with the most quarter-hours (the earliest of equals), as minutes of the day, half
    /// open.
    #[must_use]
    pub fn longest_stretch(self) -> Option<(u16, u16)> {
        // Of equals `max_by_key` takes the last.
        self.stretches().into_iter().rev().max_by_key(|stretch| stretch.0.count_ones())?.span()
    }

    /// What follows each other without a hole, in order, as minutes of the day, half open: exactly these
    /// quarter-hours.
    #[must_use]
    pub fn runs(self) -> Vec<(u16, u16)> {
        let mut runs: Vec<(u16, u16)> = Vec::new();
        for minute in self.minutes() {
            match runs.last_mut() {
                Some((_, until)) if *until == minute => *until = minute + 15,
                _ => runs.push((minute, minute + 15)),
            }
        }
        runs
    }

    /// Those that runs touch, in minutes of the day, half open; what is not within a day is left out.
    #[must_use]
    pub fn of_runs(runs: &[(u16, u16)]) -> Self {
        runs.iter().fold(Self::default(), |all, &(from, until)| all.or(Self::between(from, until)))
    }

    /// The stretches in order, as minutes of the day, half open.
    pub fn spans(self) -> Vec<(u16, u16)> {
        self.stretches().into_iter().filter_map(Self::span).collect()
    }

    /// From the first to after the last, in minutes of the day.
    fn span(self) -> Option<(u16, u16)> {
        let minutes = self.minutes();
        Some((*minutes.first()?, minutes.last()? + 15))
    }

    /// Its parts in order; what comes within 45 minutes of each other is one part.
    pub fn stretches(self) -> Vec<Self> {
        let mut stretches: Vec<Self> = Vec::new();
        for minute in self.minutes() {
            let quarter = Self(Self::bit(minute));
            match stretches.last_mut() {
                Some(last) if last.overlaps(quarter) => *last = last.or(quarter),
                _ => stretches.push(quarter),
            }
        }
        stretches
    }

    fn bit(minute: u16) -> u128 {
        1 << u32::from(minute / 15).min(A_DAY - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_overlap_within_three_quarters() {
        let ten = Quarters::between(600, 660);
        assert!(ten.overlaps(Quarters::between(690, 720)));
        assert!(!ten.overlaps(Quarters::between(705, 720)));
        assert!(Quarters::between(0, 15).dilated().and(Quarters::between(1425, 1440)).is_empty());
        assert_eq!(Quarters::between(1380, 1440).dilated().minutes().last(), Some(&1425));
    }

    #[test]
    fn the_longest_stretch_bridges_small_holes() {
        let set = Quarters::from_minutes(&[480, 600, 615, 660, 840]);
        assert_eq!(set.longest_stretch(), Some((600, 675)));
        let rest = set.away_from(Quarters::between(690, 720));
        assert_eq!(rest, Quarters::from_minutes(&[480, 840]));
        assert_eq!(rest.longest_stretch(), Some((480, 495)));
        assert_eq!(Quarters::default().longest_stretch(), None);
    }

    #[test]
    fn runs_are_exactly_what_they_were_made_of() {
        let set = Quarters::from_minutes(&[0, 480, 495, 525, 1425]);
        assert_eq!(set.runs(), [(0, 15), (480, 510), (525, 540), (1425, 1440)]);
        assert_eq!(Quarters::of_runs(&set.runs()), set);
        assert_eq!(Quarters::of_runs(&[(600, 600), (1430, 9_000)]), Quarters::between(1425, 1440));
        assert!(Quarters::default().runs().is_empty());
    }

    #[test]
    fn a_quarter_counts_when_enough_sets_hold_it() {
        let sets = [Quarters::between(600, 660), Quarters::between(615, 675)];
        assert_eq!(Quarters::in_at_least(&sets, 2), Quarters::between(615, 660));
        assert_eq!(Quarters::in_at_least(&sets, 1), Quarters::between(600, 675));
        assert!(Quarters::in_at_least(&sets, 0).is_empty());
    }
}
