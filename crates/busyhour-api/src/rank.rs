//! Which building must be looked at first.

use std::cmp::Ordering;

/// How a building stands, worst first.
///
/// What the daily average hides comes before what everybody sees already: nobody else will say so.
/// Unknown is not good and comes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// An open incident that the daily average hides.
    Hidden,
    /// An open incident.
    Open,
    /// A bad busy hour lately: an incident that recovers, or a bad day that has not come back.
    Lately,
    /// Not observed well enough to say.
    Unknown,
    /// No bad busy hour on the last observed business days.
    Good,
}

impl Standing {
    /// The word in JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hidden => "masked",
            Self::Open => "bad",
            Self::Lately => "bad-lately",
            Self::Unknown => "unknown",
            Self::Good => "good",
        }
    }

    /// The words on the page.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Hidden => "Bad at busy hours, hidden by the daily average",
            Self::Open => "Bad",
            Self::Lately => "A bad busy hour lately",
            Self::Unknown => "Unknown",
            Self::Good => "Good",
        }
    }
}

/// What buildings are ranked by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rank<'a> {
    pub(crate) standing: Standing,
    /// The daily average hides its bad hours.
    pub(crate) masked: bool,
    /// The whole building is bad, not a part of it.
    pub(crate) whole: bool,
    /// Share of bad windows in the worst hour, 0..=1.
    pub(crate) bad_share: f64,
    /// Bad days among the last observed business days.
    pub(crate) bad_days: u32,
    pub(crate) observed_days: u32,
    pub(crate) name: &'a str,
}

/// Worst first: by standing; among equals what the average hides, then whole buildings before
/// parts of one; then by how bad the worst hour is times how often it comes back; then by name, so
/// that the order never wavers.
pub(crate) fn worst_first(a: &Rank<'_>, b: &Rank<'_>) -> Ordering {
    let weight = |rank: &Rank<'_>| {
        rank.bad_share * f64::from(rank.bad_days) / f64::from(rank.observed_days.max(1))
    };
    a.standing
        .cmp(&b.standing)
        .then(b.masked.cmp(&a.masked))
        .then(b.whole.cmp(&a.whole))
        .then(weight(b).total_cmp(&weight(a)))
        .then(a.name.cmp(b.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(
        name: &str,
        standing: Standing,
        masked: bool,
        bad_share: f64,
        bad_days: u32,
    ) -> Rank<'_> {
        Rank { standing, masked, whole: true, bad_share, bad_days, observed_days: 5, name }
    }

    #[test]
    fn what_the_average_hides_comes_first_and_good_last() {
        let mut ranks = [
            rank("good", Standing::Good, false, 0.0, 0),
            rank("unknown", Standing::Unknown, false, 0.0, 0),
            rank("single hour", Standing::Lately, false, 0.9, 1),
            rank("single masked hour", Standing::Lately, true, 0.2, 1),
            rank("always bad", Standing::Open, false, 1.0, 5),
            rank("masked", Standing::Hidden, true, 0.3, 5),
            rank("masked worse", Standing::Hidden, true, 0.6, 3),
            rank("a masked", Standing::Hidden, true, 0.3, 5),
        ];
        ranks.sort_by(worst_first);
        let names = ranks.map(|rank| rank.name);
        let expected = [
            "masked worse",
            "a masked",
            "masked",
            "always bad",
            "single masked hour",
            "single hour",
            "unknown",
            "good",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_whole_building_comes_before_a_part_of_one() {
        let whole = rank("whole", Standing::Hidden, true, 0.3, 3);
        let part = Rank { whole: false, ..rank("a part", Standing::Hidden, true, 1.0, 5) };
        assert_eq!(worst_first(&whole, &part), Ordering::Less);
        let open = rank("open", Standing::Open, false, 1.0, 5);
        assert_eq!(worst_first(&part, &open), Ordering::Less);
    }

    #[test]
    fn recurrence_weighs_as_much_as_depth() {
        let often = rank("often", Standing::Open, false, 0.2, 5);
        let deep = rank("deep", Standing::Open, false, 0.3, 3);
        assert_eq!(worst_first(&often, &deep), Ordering::Less);
    }
}
