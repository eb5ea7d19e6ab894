//! What is true of a region, from the state of its links before noise, gaps and sampling.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::clock::{LocalClock, Span, weekday_of};
use super::episode::{Episode, Form};
use super::region::Region;
use super::topology::{Owner, TARGETS};
use super::trouble::{Shift, TargetFault, Trouble};
use super::truth::{BadDay, Class, NamedPlace, PlaceKind, Truth, TruthKind};

/// Truths of a region, at most; what gives each its number.
const ROOM: u32 = 10_000;
/// A day is truly bad from this share of bad windows in its worst 60 minutes on.
const TRULY_BAD: f64 = 0.08;
/// Working days within which three truly bad ones make an episode one that has to be found.
const WORKING_DAYS: usize = 5;
/// The same, of one weekday.
const SAME_WEEKDAYS: usize = 4;
/// So many.
const NEEDED: usize = 3;
/// Quarter-hours with this share of the worst one's bad windows are among an episode's hours.
const HOURS_SHARE: f64 = 0.2;
const QUARTER: u16 = 15;

/// All truths of a region, numbered.
pub(crate) fn truths(region: &Region<'_>) -> Vec<Truth> {
    let mut truths: Vec<Truth> = Vec::new();
    truths.extend(region.episodes.iter().map(|episode| episode_truth(region, episode)));
    truths.extend(region.troubles.iter().map(|trouble| trouble_truth(region, trouble)));
    truths.extend(region.routes.shifts.iter().map(|shift| shift_truth(region, shift)));
    let faults = region.target_faults.iter();
    truths.extend(faults.filter_map(|fault| target_truth(region, fault)));
    truths.extend(closure_truths(region));
    truths.extend(region.wrong_clocks());
    for (number, truth) in truths.iter_mut().enumerate() {
        truth.id = region.topology.region * ROOM + number as u32;
    }
    truths
}

fn episode_truth(region: &Region<'_>, episode: &Episode) -> Truth {
    let (span, topology) = (region.span, &region.topology);
    let planned = &topology.links[episode.link];
    let clock = &region.clocks[episode.site];
    let mut bad = Vec::new();
    let mut quarters = [0.0; 96];
    for day in &episode.days {
        let weights = region.weights(episode, day.day);
        let link = &region.links[episode.link];
        let worst_share = episode.worst_hour(link, clock, day, &weights);
        if worst_share >= TRULY_BAD {
            bad.push(BadDay { date: span.date(day.day), worst_share });
        }
        for (minute, share) in episode.shares(link, clock, day, &weights) {
            if let Some(quarter) = quarters.get_mut(usize::from(minute / QUARTER)) {
                *quarter += share;
            }
        }
    }
    let bad_dates: BTreeSet<Date> = bad.iter().map(|day| day.date).collect();
    let working = (0..span.days).filter(|&day| topology.works_on(&planned.sites, day));
    let working: Vec<Date> = working.map(|day| span.date(day)).collect();
    let mechanism = format!("{}/{}", planned.kind.as_str(), episode.form.as_str());
    let class = class_of(&working, &bad_dates);
    let mut truth = truth_of(region, TruthKind::Episode, class, planned.owner, mechanism);
    truth.causes = causes(planned.owner, episode.form);
    truth.hours = hours(&quarters);
    truth.from = span.date(episode.lasts.start);
    truth.until = span.date(episode.lasts.end.saturating_sub(1));
    truth.active = episode.days.iter().map(|day| span.date(day.day)).collect();
    truth.severity = median(bad.iter().map(|day| day.worst_share).collect());
    truth.bad = bad;
    truth
}

/// *Must* when three truly bad days lie within five working days, or three of four same weekdays;
/// *may* when there is any; *never* otherwise.
pub(crate) fn class_of(working: &[Date], bad: &BTreeSet<Date>) -> Class {
    let enough = |days: &[Date]| days.iter().filter(|date| bad.contains(*date)).count() >= NEEDED;
    let within = |days: &[Date], length: usize| {
        if days.len() < length { enough(days) } else { days.windows(length).any(enough) }
    };
    let weekly = (0..7).any(|weekday| {
        let same = working.iter().copied().filter(|date| weekday_of(*date) == weekday);
        within(&same.collect::<Vec<_>>(), SAME_WEEKDAYS)
    });
    if weekly || within(working, WORKING_DAYS) {
        Class::Must
    } else if bad.is_empty() {
        Class::Never
    } else {
        Class::May
    }
}

/// The words for a cause that are right, the best one first.
fn causes(owner: Owner, form: Form) -> Vec<String> {
    let words: &[&str] = match (owner, form) {
        (Owner::Upstream, _) => &["provider", "bandwidth"],
        (Owner::Vpn, _) => &["vpn"],
        (Owner::Uplink(_), Form::LossyUnderLoad) => &["subnet-or-network-device", "provider"],
        (Owner::Uplink(_), _) => &["bandwidth"],
        (Owner::Access(_), Form::LossyUnderLoad) => &["subnet-or-network-device"],
        (Owner::Access(_), _) => &["subnet-or-network-device", "bandwidth"],
        (Owner::Controller(_) | Owner::Radio(_), _) => &["wifi"],
        (Owner::Machine(_), _) => &["device", "collector-or-agent"],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The stretches of quarter-hours in which most of it happens.
fn hours(quarters: &[f64; 96]) -> Vec<(u16, u16)> {
    let highest = quarters.iter().copied().fold(0.0, f64::max);
    let mut spans: Vec<(u16, u16)> = Vec::new();
    for (quarter, &share) in quarters.iter().enumerate() {
        let minute = quarter as u16 * QUARTER;
        if share <= HOURS_SHARE * highest {
            continue;
        }
        match spans.last_mut() {
            Some((_, until)) if *until == minute => *until += QUARTER,
            _ => spans.push((minute, minute + QUARTER)),
        }
    }
    spans
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) =
        (values.get(values.len().saturating_sub(1) / 2), values.get(values.len() / 2));
    low.zip(high).map_or(0.0, |(low, high)| f64::midpoint(*low, *high))
}

fn trouble_truth(region: &Region<'_>, trouble: &Trouble) -> Truth {
    let clock = &region.clocks[trouble.site];
    let owner = region.topology.links[trouble.link].owner;
    let (class, causes): (Class, &[&str]) = match (trouble.kind, trouble.word) {
        (TruthKind::Constant, "uneven-sender") => {
            (Class::May, &["device", "collector-or-agent", "subnet-or-network-device"])
        }
        (TruthKind::Constant, _) => (Class::May, &["subnet-or-network-device", "device"]),
        _ => (Class::Never, &[]),
    };
    let mut truth = truth_of(region, trouble.kind, class, owner, trouble.word.to_owned());
    truth.causes = causes.iter().map(|word| (*word).to_owned()).collect();
    truth.hours = match trouble.hours {
        Some((from, until)) if from < until => vec![(from, until)],
        Some((from, until)) => vec![(0, until), (from, 24 * 60)],
        None => Vec::new(),
    };
    let dates: BTreeSet<Date> = trouble
        .minutes
        .iter()
        .flat_map(|minutes| dates(region.span, clock, minutes.start, minutes.end))
        .collect();
    set_dates(&mut truth, dates.into_iter().collect());
    truth
}

fn shift_truth(region: &Region<'_>, shift: &Shift) -> Truth {
    let owner = shift.site.map_or(Owner::Upstream, Owner::Uplink);
    let word = if shift.by_us > 0.0 { "longer-route" } else { "shorter-route" };
    let mut truth = truth_of(region, TruthKind::LevelShift, Class::Never, owner, word.to_owned());
    let clock = &region.clocks[shift.site.unwrap_or(0)];
    set_dates(&mut truth, dates(region.span, clock, shift.from, shift.until));
    truth
}

/// A fault of a target that somebody of the region talks to.
fn target_truth(region: &Region<'_>, fault: &TargetFault) -> Option<Truth> {
    let topology = &region.topology;
    let series = topology.series.iter().enumerate();
    let series = series.filter(|(_, series)| series.target == Some(fault.target));
    let series: Vec<u32> = series.map(|(at, _)| at as u32).collect();
    let word = if fault.loss >= 1.0 { "target-down" } else { "target-lossy" };
    let place = NamedPlace::new(PlaceKind::Target, TARGETS[fault.target]);
    if series.is_empty() {
        return None;
    }
    let mut truth = Truth {
        buildings: topology.buildings_of(&series),
        series,
        ..empty(region.span, TruthKind::TargetFault, Class::Never, place, word.to_owned())
    };
    let (from, until) = (fault.minutes.start, fault.minutes.end);
    set_dates(&mut truth, dates(region.span, &region.clocks[0], from, until));
    Some(truth)
}

/// Days that nobody had announced to be free.
fn closure_truths(region: &Region<'_>) -> Vec<Truth> {
    let mut truths = Vec::new();
    for (number, site) in region.topology.sites.iter().enumerate() {
        for &date in &site.calendar.closures {
            let (owner, word) = (Owner::Uplink(number), "closed".to_owned());
            let mut truth = truth_of(region, TruthKind::Closure, Class::Never, owner, word);
            set_dates(&mut truth, vec![date]);
            truths.push(truth);
        }
    }
    truths
}

impl Region<'_> {
    /// Machines whose clocks were wrong.
    fn wrong_clocks(&self) -> Vec<Truth> {
        let mut truths = Vec::new();
        for (number, presence) in self.presences.iter().enumerate() {
            let Some((minutes, ahead)) = &presence.wrong_clock else { continue };
            let agent = &self.topology.agents[number];
            let place = NamedPlace::new(PlaceKind::Agent, agent.name.clone());
            let word = if *ahead > 0 { "clock-ahead" } else { "clock-behind" }.to_owned();
            let mut truth = empty(self.span, TruthKind::ClockError, Class::Never, place, word);
            let series = self.topology.series.iter().enumerate();
            let own =
                series.filter(|(_, series)| series.agent == number && series.target.is_some());
            truth.series = own.map(|(at, _)| at as u32).collect();
            truth.buildings = vec![agent.site as u32];
            let clock = &self.clocks[agent.site];
            set_dates(&mut truth, dates(self.span, clock, minutes.start, minutes.end));
            truths.push(truth);
        }
        truths
    }
}

/// A truth about an owner's link, without its days.
fn truth_of(
    region: &Region<'_>,
    kind: TruthKind,
    class: Class,
    owner: Owner,
    mechanism: String,
) -> Truth {
    let topology = &region.topology;
    let link = topology.links.iter().position(|link| link.owner == owner);
    let series = link.map_or_else(Vec::new, |link| topology.behind(link));
    let place = topology.place_of(owner);
    Truth {
        same_as: topology.same_as(&place, &series),
        buildings: topology.buildings_of(&series),
        series,
        ..empty(region.span, kind, class, place, mechanism)
    }
}

fn empty(span: Span, kind: TruthKind, class: Class, place: NamedPlace, mechanism: String) -> Truth {
    Truth {
        id: 0,
        kind,
        class,
        place,
        same_as: Vec::new(),
        mechanism,
        causes: Vec::new(),
        series: Vec::new(),
        buildings: Vec::new(),
        hours: Vec::new(),
        from: span.first,
        until: span.first,
        active: Vec::new(),
        bad: Vec::new(),
        severity: 0.0,
    }
}

/// The local dates that some minutes touch, held within the days of the span.
fn dates(span: Span, clock: &LocalClock, from: usize, until: usize) -> Vec<Date> {
    let touched = |day: &usize| {
        let minutes = clock.day(*day);
        minutes.start < until && from < minutes.end
    };
    (0..span.days).filter(touched).map(|day| span.date(day)).collect()
}

/// What ended before the first local day touches none; it is told of that day.
fn set_dates(truth: &mut Truth, dates: Vec<Date>) {
    if let (Some(&from), Some(&until)) = (dates.first(), dates.last()) {
        (truth.from, truth.until) = (from, until);
    }
    truth.active = dates;
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;
    use jiff::civil::date;

    use super::*;

    /// Four weeks of working days from Monday, 3 March 2025.
    fn working() -> Vec<Date> {
        let days = (0..28).map(|day| date(2025, 3, 3).saturating_add(day.days()));
        days.filter(|date| weekday_of(*date) < 5).collect()
    }

    fn class(days_of_march: &[i8]) -> Class {
        let bad = days_of_march.iter().map(|&day| date(2025, 3, day)).collect();
        class_of(&working(), &bad)
    }

    #[test]
    fn three_truly_bad_days_within_five_working_days_have_to_be_found() {
        assert_eq!(class(&[3, 5, 7]), Class::Must);
        // Friday, Monday, Thursday: five working days with a weekend between them.
        assert_eq!(class(&[7, 10, 13]), Class::Must);
        assert_eq!(class(&[7, 10, 14]), Class::May);
    }

    #[test]
    fn three_of_four_same_weekdays_have_to_be_found() {
        assert_eq!(class(&[4, 11, 25]), Class::Must);
        assert_eq!(class(&[4, 12, 25]), Class::May);
    }

    #[test]
    fn what_is_never_truly_bad_is_never_to_be_found() {
        assert_eq!(class(&[]), Class::Never);
        assert_eq!(class(&[3]), Class::May);
    }

    #[test]
    fn a_median_lies_between_the_middle_two() {
        assert!((median(vec![0.4, 0.1, 0.2, 0.3]) - 0.25).abs() < 1e-12);
        assert!((median(vec![0.4, 0.1, 0.2]) - 0.2).abs() < 1e-12);
        assert!(median(Vec::new()).abs() < 1e-12);
    }

    #[test]
    fn hours_are_the_stretches_with_most_of_it() {
        let mut quarters = [0.0; 96];
        quarters[40..44].fill(1.0);
        quarters[44] = 0.1;
        quarters[60] = 0.5;
        assert_eq!(hours(&quarters), [(600, 660), (900, 915)]);
        assert_eq!(hours(&[0.0; 96]), []);
    }
}
