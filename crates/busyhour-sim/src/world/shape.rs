//! How busy a building is over a day: shapes of office days to tune on, and other kinds of day that
//! are held out.

use fastrand::Rng;

use super::draw::{between, chance, one_of};
use super::plan::Mechanisms;

/// The shape of a working day: from a local minute to a load of about 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    /// Two humps with a dip at noon, each `exp(-((h - c)/w)²)`: people come, eat, go.
    Office {
        /// The hour at which the morning is busiest.
        morning: f64,
        /// The hour at which the afternoon is busiest.
        afternoon: f64,
        /// How busy the afternoon is beside the morning.
        tilt: f64,
        /// The width of a hump, in hours.
        width: f64,
    },
    /// Two shifts, and a quieter one at night: a level each, with a peak `exp(-((h - c)/0.4)²)` at each
    /// change, when both are in the building.
    Shifts {
        /// The hour at which the first begins; the next follow after 8 and 16 hours.
        first: f64,
        /// The level of the night.
        night: f64,
    },
    /// Lessons: a level while school lasts, and on top of it, from the bell on, ten minutes in which all
    /// devices talk.
    Bells {
        /// The hour of the first bell.
        first: f64,
        /// Minutes from bell to bell.
        lesson: f64,
        /// How many bells there are.
        lessons: f64,
    },
    /// A shop: it opens, fills slowly, and is fullest in the evening: a ramp with a hump.
    Retail {
        /// The hour at which it opens.
        opens: f64,
        /// The hour at which it closes.
        closes: f64,
        /// The hour at which it is fullest.
        fullest: f64,
    },
}

impl Shape {
    /// A shape of one of the two sets.
    pub(crate) fn draw(rng: &mut Rng, mechanisms: Mechanisms) -> Self {
        match mechanisms {
            Mechanisms::Tuning => Self::Office {
                morning: between(rng, 9.6, 11.2),
                afternoon: between(rng, 14.0, 15.8),
                tilt: between(rng, 0.75, 1.1),
                width: between(rng, 1.5, 2.3),
            },
            Mechanisms::HeldOut => match rng.u8(0..3) {
                0 => Self::Shifts {
                    first: between(rng, 5.75, 6.5),
                    night: if chance(rng, 0.4) { between(rng, 0.15, 0.3) } else { 0.06 },
                },
                1 => Self::Bells {
                    first: between(rng, 7.75, 8.75),
                    lesson: one_of(rng, &[45.0, 50.0, 60.0]).unwrap_or(45.0),
                    lessons: f64::from(rng.u8(7..=9)),
                },
                _ => Self::Retail {
                    opens: between(rng, 9.0, 10.0),
                    closes: between(rng, 20.0, 21.5),
                    fullest: between(rng, 16.5, 18.5),
                },
            },
        }
    }

    /// The load at a local minute of a working day, 0..=1.4.
    pub(crate) fn at(self, minute: f64) -> f64 {
        let hour = minute / 60.0;
        let hump = |centre: f64, width: f64| (-((hour - centre) / width).powi(2)).exp();
        match self {
            Self::Office { morning, afternoon, tilt, width } => {
                hump(morning, width) + tilt * hump(afternoon, width)
            }
            Self::Shifts { first, night } => {
                let level = 0.55 * plateau(hour, first, first + 16.0);
                let changes = [first, first + 8.0, first + 16.0];
                let peaks: f64 = changes.iter().map(|&change| hump(change, 0.4)).sum();
                level.max(night) + 0.4 * peaks
            }
            Self::Bells { first, lesson, lessons } => {
                let last = first + lesson * lessons / 60.0;
                let since = (hour - first) * 60.0;
                let ringing = (0.0..lesson * lessons).contains(&since) && since % lesson < 10.0;
                0.5 * plateau(hour, first, last) + if ringing { 0.4 } else { 0.0 }
            }
            Self::Retail { opens, closes, fullest } => {
                let open = plateau(hour, opens, closes);
                open * (0.3 + 0.65 * hump(fullest, 2.2))
            }
        }
    }

    /// The configured business hours that fit it, without the days.
    pub(crate) fn hours(self) -> (u16, u16) {
        let half_hour = |hour: f64| (hour * 2.0).round() as u16 * 30;
        match self {
            Self::Office { morning, afternoon, .. } => {
                (half_hour(morning - 2.0), half_hour(afternoon + 2.5))
            }
            Self::Shifts { first, .. } => (half_hour(first), half_hour(first + 16.0)),
            Self::Bells { first, lesson, lessons } => {
                (half_hour(first), half_hour(first + lesson * lessons / 60.0))
            }
            Self::Retail { opens, closes, .. } => (half_hour(opens), half_hour(closes)),
        }
    }

    /// The word for it.
    #[cfg(test)]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Office { .. } => "office",
            Self::Shifts { .. } => "shifts",
            Self::Bells { .. } => "bells",
            Self::Retail { .. } => "retail",
        }
    }
}

/// 1 between two hours and 0 outside, with a quarter of an hour to rise and to fall.
fn plateau(hour: f64, from: f64, until: f64) -> f64 {
    let rise = 1.0 / (1.0 + (-(hour - from) / 0.12).exp());
    let fall = 1.0 / (1.0 + ((hour - until) / 0.12).exp());
    rise * fall
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn words(mechanisms: Mechanisms) -> BTreeSet<&'static str> {
        let mut rng = Rng::with_seed(3);
        (0..200).map(|_| Shape::draw(&mut rng, mechanisms).as_str()).collect()
    }

    #[test]
    fn shapes_that_are_held_out_are_not_tuned_on() {
        let (tuning, held_out) = (words(Mechanisms::Tuning), words(Mechanisms::HeldOut));
        assert!(tuning.is_disjoint(&held_out));
        assert_eq!((tuning.len(), held_out.len()), (1, 3));
    }

    #[test]
    fn every_shape_is_busy_by_day_and_quiet_before_dawn() {
        let mut rng = Rng::with_seed(4);
        for mechanisms in [Mechanisms::Tuning, Mechanisms::HeldOut] {
            for _ in 0..300 {
                let shape = Shape::draw(&mut rng, mechanisms);
                let highest = (0..1440).map(|at| shape.at(f64::from(at))).fold(0.0, f64::max);
                assert!((0.7..=1.4).contains(&highest), "{shape:?} {highest}");
                assert!(shape.at(180.0) < 0.4 * highest, "{shape:?}");
                let (from, until) = shape.hours();
                assert!(from < until && until <= 1440, "{shape:?} {from} {until}");
            }
        }
    }
}
