//! Which truth an incident has for its reason. The rules are those of docs/DETECT.md, "Scores".

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::ground::{Ground, later};
use super::told::{Incident, ToldFinding};
use crate::world::{Class, NamedPlace, Truth, TruthKind};

/// Working days after its last truly bad day for which a truth still explains an alert.
const AFTERMATH_WORKING_DAYS: u32 = 5;
/// Hours that come so near each other are the same, in minutes.
const NEAR_MINUTES: u16 = 45;
/// How far back from an alert its reason is looked for among what must not alarm, in days.
const NEGATIVE_DAYS: i64 = 20;

/// Why somebody was alerted for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Something that was put into the fleet, and must not alarm.
    Thing(TruthKind),
    /// An episode elsewhere in the same buildings, or one at other times.
    EpisodeElsewhere,
    /// Nothing that was put into the fleet.
    Nothing,
}

impl Reason {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            // A weak episode, which never has a truly bad day.
            Self::Thing(TruthKind::Episode) => "weak-episode",
            Self::Thing(kind) => kind.as_str(),
            Self::EpisodeElsewhere => "episode-elsewhere",
            Self::Nothing => "nothing",
        }
    }
}

/// The local dates in which a truth explains an alert, both ends included; `None` when it explains
/// none.
pub(super) fn explains_between(ground: &Ground, truth: &Truth) -> Option<(Date, Date)> {
    let last = match truth.kind {
        // One that must never be found has no truly bad day.
        TruthKind::Episode => truth.bad.last()?.date,
        TruthKind::Constant => truth.until,
        _ => return None,
    };
    let first = truth.active.first().copied().unwrap_or(truth.from);
    let until = ground.after_working_days(&truth.buildings, last, AFTERMATH_WORKING_DAYS);
    Some((first, until))
}

/// The local dates in which an alert finds an episode that must or may be found, both ends included.
pub(super) fn found_between(ground: &Ground, truth: &Truth) -> Option<(Date, Date)> {
    let first = truth.bad.first()?.date;
    let last = truth.bad.last()?.date;
    Some((first, ground.after_working_days(&truth.buildings, last, AFTERMATH_WORKING_DAYS)))
}

/// True when what is told lies in the place and the hours of a truth: a series suffers by both, and
/// their hours come within 45 minutes of each other (where both name hours).
pub(super) fn lies_in(told: &ToldFinding, truth: &Truth) -> bool {
    let fits = truth.kind != TruthKind::Constant || told.kind.fits_constant();
    fits && told.members.iter().any(|member| truth.series.binary_search(member).is_ok())
        && near(told.hours.iter(), &truth.hours)
}

/// The same of all that an incident ever was.
pub(super) fn touches(incident: &Incident, truth: &Truth) -> bool {
    truth.series.iter().any(|series| incident.members.contains(series))
        && near(incident.hours.iter(), &truth.hours)
}

/// True when hours come within 45 minutes of each other, or one of both names none.
fn near<'a>(told: impl Iterator<Item = &'a (u16, u16)>, truth: &[(u16, u16)]) -> bool {
    let mut told = told.peekable();
    if told.peek().is_none() || truth.is_empty() {
        return true;
    }
    told.any(|&(from, until)| {
        truth.iter().any(|&(begins, ends)| {
            from < ends.saturating_add(NEAR_MINUTES) && begins < until.saturating_add(NEAR_MINUTES)
        })
    })
}

/// The truth that an incident has for its reason: of those that explain its opening the one that agrees
/// best with all that it said, and the earliest of equals.
pub(super) fn reason<'a>(
    ground: &'a Ground,
    between: &[Option<(Date, Date)>],
    incident: &Incident,
) -> Option<(usize, &'a Truth)> {
    let opened = incident.first.date;
    let explains = |(index, truth): &(usize, &Truth)| {
        let inside = between.get(*index).copied().flatten();
        inside.is_some_and(|(from, until)| (from..=until).contains(&opened))
            && lies_in(&incident.first, truth)
    };
    let candidates = ground.truths.iter().enumerate().filter(explains);
    // Of equals `max_by` takes the last.
    candidates.rev().max_by(|(_, one), (_, other)| {
        agreement(incident, one).total_cmp(&agreement(incident, other))
    })
}

/// How well a truth agrees with what an incident said: the share of its bad days that are the truth's,
/// times the likeness (Jaccard index) of their hours and of their series.
fn agreement(incident: &Incident, truth: &Truth) -> f64 {
    let days = share(shared_days(&incident.days, truth) + 1, incident.days.len() + 1);
    let members: BTreeSet<u32> = incident.last.members.iter().copied().collect();
    let common = truth.series.iter().filter(|series| members.contains(series)).count();
    let series = share(common, members.len() + truth.series.len() - common);
    days * hours_likeness(&incident.hours, &truth.hours) * series
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn shared_days(days: &BTreeSet<Date>, truth: &Truth) -> usize {
    let dates: Vec<Date> = match truth.kind {
        TruthKind::Episode => truth.bad.iter().map(|bad| bad.date).collect(),
        _ => truth.active.clone(),
    };
    days.iter().filter(|day| dates.binary_search(day).is_ok()).count()
}

/// The likeness of hours; 1 where one of both names none.
fn hours_likeness(told: &BTreeSet<(u16, u16)>, truth: &[(u16, u16)]) -> f64 {
    if told.is_empty() || truth.is_empty() {
        return 1.0;
    }
    let holds = |(from, until): &(u16, u16), minute: u16| (*from..*until).contains(&minute);
    let (mut both, mut either) = (0, 0);
    for minute in (0..1440).step_by(15) {
        let one = told.iter().any(|span| holds(span, minute));
        let other = truth.iter().any(|span| holds(span, minute));
        both += usize::from(one && other);
        either += usize::from(one || other);
    }
    // Hours that come near each other without a common one are alike a little.
    share(both + 1, either + 1)
}

/// Why an alert that no truth explains may have been: of what touches its series in the last three
/// weeks, whatever has the most of its bad days; else an episode anywhere in its buildings.
pub(super) fn excuse(ground: &Ground, incident: &Incident) -> Reason {
    let opened = incident.first.date;
    let recent = later(opened, -NEGATIVE_DAYS);
    let here = |truth: &&Truth| {
        truth.from <= opened
            && truth.until >= recent
            && truth.series.iter().any(|series| incident.first.members.contains(series))
            && near(incident.first.hours.iter(), &truth.hours)
    };
    let days: BTreeSet<Date> = incident.first.days.iter().copied().collect();
    let on_days = |truth: &Truth| {
        let of = |day: &&Date| match truth.kind {
            // A route that moved has to do with the days after it, until they are what is usual.
            TruthKind::LevelShift => (truth.from..=later(truth.from, NEGATIVE_DAYS)).contains(*day),
            // Growth never ends: it is a reason where there is no other.
            TruthKind::Growth => false,
            _ => truth.active.binary_search(day).is_ok(),
        };
        days.iter().filter(of).count()
    };
    let explained = |truth: &Truth| truth.class != Class::Never && truth.kind == TruthKind::Episode;
    let nearest = ground
        .truths
        .iter()
        .filter(|truth| !explained(truth))
        .filter(here)
        .map(|truth| (on_days(truth), truth.kind))
        .filter(|(shared, _)| *shared > 0 || days.is_empty())
        .max_by_key(|(shared, kind)| (*shared, std::cmp::Reverse(*kind)));
    if let Some((_, kind)) = nearest {
        return Reason::Thing(kind);
    }
    if ground.truths.iter().filter(here).any(|truth| truth.kind == TruthKind::Growth) {
        return Reason::Thing(TruthKind::Growth);
    }
    let building = |member: &u32| ground.series.get(*member as usize).map(|one| one.building);
    let buildings: BTreeSet<u32> = incident.first.members.iter().filter_map(building).collect();
    let nearby = |truth: &Truth| {
        truth.from <= opened
            && truth.until >= recent
            && truth.buildings.iter().any(|building| buildings.contains(building))
    };
    if ground.truths.iter().any(|truth| explained(truth) && nearby(truth)) {
        return Reason::EpisodeElsewhere;
    }
    Reason::Nothing
}

/// How what is said of a place compares with the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlaceSaid {
    /// Kind and name are right.
    Right,
    /// Another word for the same series: nobody could tell them apart.
    Same,
    /// Another place.
    Wrong,
}

pub(super) fn compare(said: &NamedPlace, truth: &Truth) -> PlaceSaid {
    if *said == truth.place {
        PlaceSaid::Right
    } else if truth.same_as.contains(said) {
        PlaceSaid::Same
    } else {
        PlaceSaid::Wrong
    }
}

/// The last day that anything which may keep an incident open was truly bad; `None` when there is no
/// such end.
pub(super) fn ends(
    ground: &Ground,
    incident: &Incident,
    truth: &Truth,
    patience: i64,
) -> Option<Date> {
    let mut end = last_bad(truth)?;
    loop {
        let keeps = |other: &&Truth| {
            matches!(other.kind, TruthKind::Episode | TruthKind::Constant)
                && last_bad(other).is_some_and(|last| last > end)
                && other.from <= later(end, patience)
                && touches(incident, other)
        };
        let Some(next) = ground.truths.iter().filter(keeps).filter_map(last_bad).max() else {
            return Some(end);
        };
        end = next;
    }
}

fn last_bad(truth: &Truth) -> Option<Date> {
    match truth.kind {
        TruthKind::Constant => Some(truth.until),
        _ => truth.bad.last().map(|bad| bad.date),
    }
}
