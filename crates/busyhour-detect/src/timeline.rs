//! How a finding's days went, made of its series' rows alone.

use jiff::ToSpan as _;
use jiff::civil::Date;

use busyhour_model::DayVerdict;

use crate::finding::{Finding, FindingKind, Place};
use crate::fleet::{BuildingNo, Fleet, SeriesNo};
use crate::history::History;
use crate::quarters::Quarters;
use crate::series::SeriesDay;
use crate::suffer::median;
use crate::trigger::first_day;
use crate::union::Union;

/// A finding is over when at most one of the last five observed days touches its hours.
const OVER_DAYS: usize = 5;
const OVER_TOUCHES: usize = 1;
/// And better when none of the last three does.
const BETTER_DAYS: usize = 3;
/// Of a weekly one the last three of its weekday, and the last one.
const OVER_WEEKDAYS: usize = 3;
/// A day is touched when more than a third of the series that observed it are.
const TOUCHED_ONE_IN: usize = 3;
/// A good day counts where half of the finding's hours were seen.
const SEEN_ONE_IN: u32 = 2;
/// Nobody looks any more after so many working days.
const STALE_DAYS: usize = 10;

/// One day of a finding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Day {
    pub(crate) date: Date,
    pub(crate) touched: bool,
    /// The median share of bad windows in the worst hours, of those that are bad at the finding's hours
    /// and not worse at others; `None` of none.
    pub(crate) share: Option<f64>,
}

/// The observed working days of a finding that are still remembered, ascending.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Timeline {
    pub(crate) days: Vec<Day>,
}

/// Local hours of one building as another building's clock shows them on the same date.
pub(crate) fn hours_at(
    fleet: &Fleet,
    hours: Quarters,
    home: BuildingNo,
    other: BuildingNo,
    date: Date,
) -> Quarters {
    let zone = |building: BuildingNo| fleet.site(building).map(|site| &site.zone);
    if home == other || zone(home) == zone(other) {
        return hours;
    }
    let offset = |building: BuildingNo| {
        let (from, _) = busyhour_model::local_day_span(date, zone(building)?)?;
        Some(from.0 / (15 * 60 * 1_000_000))
    };
    match (offset(home), offset(other)) {
        (Some(here), Some(there)) if here != there => {
            let by = (here - there) * 15;
            let moved = |minute: u16| {
                u16::try_from((i64::from(minute) + by).rem_euclid(24 * 60)).unwrap_or(0)
            };
            Quarters::from_minutes(&hours.minutes().into_iter().map(moved).collect::<Vec<_>>())
        }
        _ => hours,
    }
}

/// The local hours of a finding as the clocks of its series' buildings show them.
pub(crate) struct Clocks<'a> {
    fleet: &'a Fleet,
    finding: &'a Finding,
    date: Date,
    /// The buildings that were asked for so far.
    known: Vec<(BuildingNo, Quarters)>,
}

impl<'a> Clocks<'a> {
    pub(crate) const fn of(fleet: &'a Fleet, finding: &'a Finding, date: Date) -> Self {
        Self { fleet, finding, date, known: Vec::new() }
    }

    /// Where a series is; `None` for a number that is none of the fleet's.
    pub(crate) fn hours(&mut self, series: SeriesNo) -> Option<Quarters> {
        let building = self.fleet.info(series)?.building;
        if let Some(&(_, hours)) = self.known.iter().find(|(known, _)| *known == building) {
            return Some(hours);
        }
        let (hours, home) = (self.finding.hours, self.finding.home);
        let there = hours_at(self.fleet, hours, home, building, self.date);
        self.known.push((building, there));
        Some(there)
    }
}

impl Timeline {
    /// Of these series at these hours, from a date on.
    pub(crate) fn of(fleet: &Fleet, history: &History, finding: &Finding, today: Date) -> Self {
        let from = first_day(today).max(finding.first_bad);
        let mut rows: Vec<(&SeriesDay, Quarters)> = Vec::new();
        let mut clocks = Clocks::of(fleet, finding, today);
        for &no in &finding.members {
            let Some(hours) = clocks.hours(no) else { continue };
            rows.extend(history.days(no, from, today).iter().map(|row| (row, hours)));
        }
        rows.sort_by_key(|(row, _)| row.date);
        let sums = sums(history, finding, from, today);
        let all_day = finding.kind == FindingKind::ConstantFault;
        let days = rows.chunk_by(|a, b| a.0.date == b.0.date);
        let of_day = |rows| Some(day(rows, all_day)?.or(&sums, finding.hours));
        Self { days: days.filter_map(of_day).collect() }
    }

    /// The touched days, ascending.
    pub(crate) fn bad_days(&self) -> Vec<Date> {
        self.days.iter().filter(|day| day.touched).map(|day| day.date).collect()
    }

    /// The median share of the touched days' worst hours; `None` where that is of no day.
    pub(crate) fn severity(&self) -> Option<f64> {
        let touched = self.days.iter().filter(|day| day.touched);
        median(&mut touched.filter_map(|day| day.share).collect::<Vec<f64>>())
    }

    /// True when it is over; of a weekly pattern its weekdays count alone.
    pub(crate) fn is_over(&self, weekly: bool) -> bool {
        let (days, needed) = self.looked_at(weekly, OVER_DAYS, OVER_WEEKDAYS);
        let touched = days.iter().filter(|day| day.touched).count();
        let last = days.first().is_some_and(|day| day.touched);
        days.len() >= needed && touched <= OVER_TOUCHES && !last
    }

    /// True when it has been better lately.
    pub(crate) fn is_better(&self, weekly: bool) -> bool {
        let (days, needed) = self.looked_at(weekly, BETTER_DAYS, 1);
        days.len() >= needed && days.iter().all(|day| !day.touched)
    }

    /// The last days, latest first, and how many are wanted.
    fn looked_at(&self, weekly: bool, days: usize, weekdays: usize) -> (Vec<Day>, usize) {
        let bad = self.bad_days();
        let same = |day: &&Day| bad.iter().any(|date| date.weekday() == day.date.weekday());
        let needed = if weekly { weekdays } else { days };
        let last = self.days.iter().rev().filter(|day| !weekly || same(day));
        (last.take(needed).copied().collect(), needed)
    }

    /// The last observed day.
    pub(crate) fn last_seen(&self) -> Option<Date> {
        self.days.last().map(|day| day.date)
    }
}

impl Day {
    /// With what its series say in their sum, which may be more than any of them says alone.
    fn or(mut self, sums: &[&SeriesDay], hours: Quarters) -> Self {
        let bad = |row: &&&SeriesDay| {
            row.date == self.date && row.verdict.is_bad() && row.bad_quarters().overlaps(hours)
        };
        for row in sums.iter().filter(bad) {
            self.touched = true;
            let shares = [self.share, row.share_at(hours)].into_iter().flatten();
            self.share = shares.max_by(f64::total_cmp);
        }
        self
    }
}

/// The sums that speak for a finding: its building's where more than a subnet suffers, its subnet's
/// where that does.
fn sums<'a>(
    history: &'a History,
    finding: &Finding,
    from: Date,
    until: Date,
) -> Vec<&'a SeriesDay> {
    let speaks = |union: &Union| match (finding.place, union.unit) {
        (Place::Building(_) | Place::Upstream(_) | Place::Link(..), None) => true,
        (Place::Subnet(subnet, _), Some((_, own))) => subnet == own,
        _ => false,
    };
    let unions = history.unions_of(finding.home).filter(speaks);
    unions.flat_map(|union| history.union_days(union, from, until)).collect()
}

/// What the series that observed a day say; `None` when none did.
fn day(rows: &[(&SeriesDay, Quarters)], all_day: bool) -> Option<Day> {
    let (mut observed, mut touching) = (0, 0);
    let mut shares = Vec::new();
    for &(row, hours) in rows {
        let seen = row.seen_quarters.and(hours).count() * SEEN_ONE_IN >= hours.count();
        match row.verdict {
            DayVerdict::Missing => continue,
            DayVerdict::Good if !seen && !all_day => continue,
            DayVerdict::Good => {}
            DayVerdict::PeakBad | DayVerdict::AllDayBad if row.bad_quarters().overlaps(hours) => {
                touching += 1;
                shares.extend(row.share_at(hours));
            }
            DayVerdict::PeakBad | DayVerdict::AllDayBad if !seen && !all_day => continue,
            DayVerdict::PeakBad | DayVerdict::AllDayBad => {}
        }
        observed += 1;
    }
    let touched = touching > 0 && touching * TOUCHED_ONE_IN > observed;
    let share = median(&mut shares);
    let date = rows.first()?.0.date;
    (observed > 0).then_some(Day { date, touched, share })
}

/// True when ten working days have passed since a finding was last observed, by its building's
/// calendar.
pub(crate) fn is_stale(fleet: &Fleet, finding: &Finding, last_seen: Date, today: Date) -> bool {
    let Some(site) = fleet.site(finding.home) else { return false };
    let works =
        |date: &Date| site.hours.is_business_day(date.weekday()) && !site.holidays.contains(date);
    // No more dates than are needed, however long ago it was.
    let first = today.saturating_sub(60.days()).max(last_seen.saturating_add(1.day()));
    let since = first.series(1.day()).take_while(|date| *date <= today);
    since.filter(works).count() >= STALE_DAYS
}
