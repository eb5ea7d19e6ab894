//! A building's local day, cut into bins.

use std::sync::Arc;

use busyhour_model::{Breach, LocalDay, SlotStart, local_day_span};
use jiff::civil::Date;

use crate::busy::{BusyHours, LoadDay};
use crate::fleet::{Bin, Site};
use crate::params::Params;
use crate::quarters::Quarters;
use crate::series::Cell;

/// Bins of the longest day that is laid out: 26 hours in quarter-hours (25 where clocks are set back,
/// and one for zones that move by more).
pub(crate) const MOST_BINS: usize = 104;

const SLOT_MICROS: i64 = 15 * 60 * 1_000_000;
const DAY_MICROS: i64 = 96 * SLOT_MICROS;

/// A building's local day on the clock of UTC. Bins begin where UTC's do, and belong to the day that
/// they begin in.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildingDay {
    /// The local date.
    pub date: Date,
    /// The first bin.
    pub first: SlotStart,
    /// The local minute of the day (0..1440) at which each bin begins: of days of 23 and 25 hours
    /// some are missing or there twice.
    pub minutes: Arc<[u16]>,
    /// The busy hours; none on a day on which nobody works.
    pub busy: Quarters,
    /// People work: it is a working weekday, no holiday, and not closed.
    pub working: bool,
    /// How long a bin is.
    pub bin: Bin,
    /// The busy bins, by their number.
    busy_bins: u128,
    /// Its last busy bin is over.
    over: bool,
}

impl BuildingDay {
    /// Lays out a local date. `load` is the day's ([`BusyHours::load_on`]), where it is known: too
    /// little of it and the building was closed. `None` outside the years that the calendar knows.
    #[must_use]
    pub fn new(
        site: &Site,
        date: Date,
        hours: &BusyHours,
        load: Option<f32>,
        bin: Bin,
        params: &Params,
    ) -> Option<Self> {
        let minutes = bins_of(site, date, bin)?;
        let weekday = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0);
        let working = hours.working[weekday]
            && !site.holidays.contains(&date)
            && !is_closed(hours.typical[weekday], load, params);
        let busy = if working { hours.quarters[weekday] } else { Quarters::default() };
        let (first, minutes) = minutes;
        let busy_bins = minutes
            .iter()
            .enumerate()
            .filter(|(_, minute)| busy.contains(**minute))
            .fold(0, |bits, (at, _)| bits | 1 << at);
        Some(Self { date, first, minutes, busy, working, bin, busy_bins, over: true })
    }

    /// The day as it stands at `now`, the first quarter-hour that is not complete yet. Until its last
    /// busy bin is over nobody knows whether it is good or how bad: the rows made of it are missing.
    #[must_use]
    pub fn as_of(mut self, now: SlotStart) -> Self {
        let bins = i64::from(u128::BITS - self.busy_bins.leading_zeros());
        let until = self.first.offset(bins * i64::from(self.bin.quarters()));
        self.over = until.number() <= now.number();
        self
    }

    /// True when its last busy bin is over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// The number of the bin that a slot lies in; `None` when that is of another day.
    #[must_use]
    pub fn bin_of(&self, slot: SlotStart) -> Option<usize> {
        let quarters = usize::try_from(slot.number().checked_sub(self.first.number())?).ok()?;
        let at = match self.bin {
            Bin::Quarter => quarters,
            Bin::Half => quarters / 2,
            Bin::Hour => quarters / 4,
        };
        (at < self.minutes.len()).then_some(at)
    }

    /// The first slot of the day, and the first after it.
    #[must_use]
    pub fn span(&self) -> (SlotStart, SlotStart) {
        let bins = i64::try_from(self.minutes.len()).unwrap_or(0);
        (self.first, self.first.offset(bins * i64::from(self.bin.quarters())))
    }

    /// The busy bins, a bit each.
    pub(crate) const fn busy_bins(&self) -> u128 {
        self.busy_bins
    }

    /// All bins, a bit each.
    pub(crate) fn all_bins(&self) -> u128 {
        (1 << self.minutes.len()) - 1
    }

    /// The quarter-hours of bins, as a clock on the wall shows them.
    pub(crate) fn quarters_of(&self, bins: u128) -> Quarters {
        let mut quarters = Quarters::default();
        let mut left = bins;
        while let Some(&minute) = self.minutes.get(left.trailing_zeros() as usize) {
            quarters.insert_bin(minute, self.bin.quarters());
            left &= left - 1;
        }
        quarters
    }
}

/// Lays out a local date of a building whose `load` is known, or not. A day on which too little went on
/// is no working day, unless the building was cut off: who is cut off moves no bytes either. `far` is
/// asked, when that is in question, for the cells of the building's far series on a day.
#[must_use]
pub fn lay_out(
    site: &Site,
    date: Date,
    hours: &BusyHours,
    load: Option<&LoadDay>,
    far: &mut dyn FnMut(&BuildingDay) -> Vec<Vec<Cell>>,
    bin: Bin,
    params: &Params,
) -> Option<BuildingDay> {
    let load = load.and_then(|load| hours.load_on(load));
    let as_told = BuildingDay::new(site, date, hours, load, bin, params)?;
    if load.is_none() || as_told.working {
        return Some(as_told);
    }
    let open = BuildingDay::new(site, date, hours, None, bin, params)?;
    let cut_off = open.working && is_cut_off(&open, &far(&open));
    Some(if cut_off { open } else { as_told })
}

/// True when a building was cut off rather than closed: on most of its series at least half of the
/// windows in the busy hours of `open`, its day as if it were open, failed. Who is cut off moves no
/// bytes either. `series` are the cells of each, in any order.
#[must_use]
pub fn is_cut_off(open: &BuildingDay, series: &[Vec<Cell>]) -> bool {
    let failed = Breach::Failed as usize;
    let busy =
        |cell: &&Cell| open.bin_of(cell.start).is_some_and(|at| open.busy_bins >> at & 1 == 1);
    let mut seen = 0;
    let mut cut = 0;
    for cells in series {
        let sum = cells.iter().filter(busy).fold((0u64, 0u64), |sum, cell| {
            (sum.0 + u64::from(cell.valid), sum.1 + u64::from(cell.bad_by[failed]))
        });
        seen += usize::from(sum.0 > 0);
        cut += usize::from(sum.0 > 0 && sum.1 * 2 >= sum.0);
    }
    cut > 0 && cut * 2 > seen
}

/// The first bin of a local day, and the local minute of each.
fn bins_of(site: &Site, date: Date, bin: Bin) -> Option<(SlotStart, Arc<[u16]>)> {
    let (from, until) = local_day_span(date, &site.zone)?;
    let step = i64::from(bin.quarters());
    let length = step * SLOT_MICROS;
    let number = from.0.div_euclid(length) + i64::from(from.0.rem_euclid(length) != 0);
    let first = SlotStart::from_number(number * step);
    let starts = (0..MOST_BINS as i64)
        .map(|at| first.offset(at * step))
        .take_while(|slot| slot.start() < until);
    // A day of 24 hours has no change of clocks: its minutes need not be looked up.
    let plain = until.0 - from.0 == DAY_MICROS;
    let minutes = starts.map(|slot| {
        if plain {
            u16::try_from((slot.start().0 - from.0) / 60_000_000).unwrap_or(0)
        } else {
            LocalDay::of(slot, &site.zone).minute
        }
    });
    Some((first, minutes.collect()))
}

/// True when so little went on that nobody can have been there.
fn is_closed(typical: Option<f32>, load: Option<f32>, params: &Params) -> bool {
    match (typical, load) {
        (Some(typical), Some(load)) => load * 100.0 < typical * params.working_percent as f32,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;

    fn site(zone: &str) -> Site {
        Site {
            name: "Hamburg".to_owned(),
            zone: TimeZone::get(zone).unwrap(),
            hours: "Mo-Fr 08:00-18:00".parse().unwrap(),
            holidays: [date(2026, 5, 1)].into(),
        }
    }

    fn day(zone: &str, date: Date, bin: Bin) -> BuildingDay {
        let site = site(zone);
        let hours = BusyHours::configured(&site);
        BuildingDay::new(&site, date, &hours, None, bin, &Params::default()).unwrap()
    }

    #[test]
    fn days_of_23_24_and_25_hours_have_their_bins() {
        let bins = |date, bin| day("Europe/Berlin", date, bin).minutes.len();
        assert_eq!(bins(date(2026, 3, 29), Bin::Quarter), 92);
        assert_eq!(bins(date(2026, 3, 30), Bin::Quarter), 96);
        assert_eq!(bins(date(2026, 10, 25), Bin::Quarter), 100);
        assert_eq!(bins(date(2026, 10, 25), Bin::Half), 50);
        assert_eq!(bins(date(2026, 3, 29), Bin::Hour), 23);
        let long = day("Europe/Berlin", date(2026, 10, 25), Bin::Hour);
        assert_eq!(long.minutes.iter().filter(|&&minute| minute == 120).count(), 2);
    }

    #[test]
    fn bins_begin_where_those_of_utc_do() {
        let kathmandu = day("Asia/Kathmandu", date(2026, 3, 30), Bin::Hour);
        assert_eq!((kathmandu.minutes[0], kathmandu.minutes.len()), (45, 24));
        assert_eq!(kathmandu.first.number() % 4, 0);
        let next = day("Asia/Kathmandu", date(2026, 3, 31), Bin::Hour);
        assert_eq!(kathmandu.span().1, next.first, "every bin is of one day");
        assert_eq!(kathmandu.bin_of(kathmandu.first.offset(7)), Some(1));
        assert_eq!(kathmandu.bin_of(kathmandu.first.offset(-1)), None);
        assert_eq!(kathmandu.bin_of(next.first), None);
    }

    #[test]
    fn nobody_works_on_holidays_weekends_and_closed_days() {
        let busy = |date| day("Europe/Berlin", date, Bin::Quarter).busy;
        assert_eq!(busy(date(2026, 4, 30)), Quarters::between(480, 1080));
        assert!(busy(date(2026, 5, 1)).is_empty(), "a holiday");
        assert!(busy(date(2026, 5, 2)).is_empty(), "a Saturday");

        let site = site("Europe/Berlin");
        let mut hours = BusyHours::configured(&site);
        hours.typical = [Some(100.0); 7];
        let working = |load| {
            let date = date(2026, 4, 30);
            let params = Params::default();
            BuildingDay::new(&site, date, &hours, load, Bin::Quarter, &params).unwrap().working
        };
        assert!(!working(Some(39.0)));
        assert!(working(Some(40.0)));
        assert!(working(None), "no load is no sign of anything");
    }

    #[test]
    fn a_day_is_over_with_its_last_busy_bin() {
        let monday = day("Europe/Berlin", date(2026, 3, 30), Bin::Quarter);
        assert!(monday.is_over(), "unless somebody says otherwise");
        // Busy until six in the evening.
        let at = |quarters| monday.clone().as_of(monday.first.offset(quarters)).is_over();
        assert!(!at(-4) && !at(48) && !at(71));
        assert!(at(72) && at(96) && at(200));
        let saturday = day("Europe/Berlin", date(2026, 5, 2), Bin::Hour);
        assert!(saturday.clone().as_of(saturday.first).is_over(), "nothing is waited for");
    }

    #[test]
    fn a_quiet_day_is_closed_unless_everybody_was_cut_off() {
        let site = site("Europe/Berlin");
        let date = date(2026, 4, 30);
        let mut hours = BusyHours::configured(&site);
        hours.typical = [Some(100.0); 7];
        let lay_out = |load: Option<f32>, failed: u32| {
            let load = load.map(|load| {
                let mut day = LoadDay::new(date);
                day.load = [Some(load); 96];
                day
            });
            let mut asked = false;
            let mut far = |day: &BuildingDay| {
                asked = true;
                let cell = |at| {
                    let mut cell = Cell::new(day.first.offset(at));
                    (cell.valid, cell.bad) = (15, failed);
                    cell.bad_by[Breach::Failed as usize] = failed;
                    cell
                };
                vec![(0..96).map(cell).collect()]
            };
            let params = Params::default();
            let load = load.as_ref();
            let day = lay_out(&site, date, &hours, load, &mut far, Bin::Quarter, &params);
            (day.unwrap().working, asked)
        };
        assert_eq!(lay_out(Some(10.0), 0), (false, true), "closed");
        assert_eq!(lay_out(Some(10.0), 15), (true, true), "cut off");
        assert_eq!(lay_out(Some(90.0), 15), (true, false));
        assert_eq!(lay_out(None, 15), (true, false), "no load is no sign of anything");
    }

    #[test]
    fn a_building_without_a_link_is_not_a_closed_one() {
        let open = day("Europe/Berlin", date(2026, 4, 30), Bin::Quarter);
        let series = |failed: u32, hours: std::ops::Range<usize>| -> Vec<Cell> {
            let bins = (0i64..)
                .zip(open.minutes.iter())
                .filter(|(_, minute)| hours.contains(&usize::from(**minute / 60)));
            bins.map(|(at, _)| {
                let mut cell = Cell::new(open.first.offset(at));
                (cell.valid, cell.bad) = (15, failed);
                cell.bad_by[Breach::Failed as usize] = failed;
                cell
            })
            .collect()
        };
        let (cut, fine) = (series(8, 0..24), series(7, 0..24));
        assert!(is_cut_off(&open, std::slice::from_ref(&cut)));
        assert!(!is_cut_off(&open, std::slice::from_ref(&fine)));
        assert!(is_cut_off(&open, &[cut.clone(), cut.clone(), fine.clone()]));
        assert!(!is_cut_off(&open, &[cut, fine]), "half of them are not most");
        assert!(!is_cut_off(&open, &[series(15, 0..8)]), "at night only");
        assert!(!is_cut_off(&open, &[Vec::new()]), "nobody measured");
    }
}
