//! Holds what somebody told of a generated fleet against the truth. Names no detector: what is told
//! comes in types of this module's own.
//!
//! The rules are written down in docs/DETECT.md, section *Scores*. Scores of regions, fleets and seeds
//! add up ([`Tally::add`]); figures with their bounds are made of the sum ([`Report::of`]).

mod bounds;
mod detail;
mod explain;
mod ground;
mod report;
mod told;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::world::{Class, Truth, TruthKind};

pub use bounds::{Median, Rate, Share};
pub use detail::{Detail, Mistake};
pub use explain::Reason;
pub use ground::{Ground, GroundBuilding, GroundSeries};
pub use report::{ConfidenceBin, Report, Row};
pub use told::{ToldEvent, ToldFinding, ToldKind};

use self::explain::{PlaceSaid, compare, ends, excuse, explains_between, found_between, lies_in};
use self::ground::later;
use self::told::{Incident, ToldKind as Kind, incidents};

/// An incident that is open so many days after its cause ended is stuck.
const STUCK_DAYS: i64 = 30;
/// Bins of confidence, each a tenth wide.
pub const CONFIDENCE_BINS: usize = 10;

/// Places told with one confidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Placed {
    /// Incidents with a reason.
    pub incidents: u64,
    /// Those whose place is the truth's.
    pub right: u64,
    /// Those among them that name the same series by another word.
    pub by_another_word: u64,
    /// False alerts told with this confidence.
    pub false_alerts: u64,
}

/// Counts of right and wrong. Adds up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Buildings times days.
    pub building_days: u64,
    /// Episodes that must be found, and those that were.
    pub must: u64,
    /// See [`Self::must`].
    pub must_found: u64,
    /// Those of them that an incident found which was open already.
    pub must_carried: u64,
    /// Those of them whose every alert another episode has for itself as well.
    pub must_shared: u64,
    /// Episodes that may be found, and those that were.
    pub may: u64,
    /// See [`Self::may`].
    pub may_found: u64,
    /// Episodes that never have a truly bad day.
    pub weak: u64,
    /// Constant faults, and those that were found.
    pub constant: u64,
    /// See [`Self::constant`].
    pub constant_found: u64,
    /// Musts found, by working days from the first truly bad one.
    pub days_to_detect: BTreeMap<u32, u64>,
    /// Musts and those found, by the kind of their place.
    pub recall_by_place: BTreeMap<&'static str, (u64, u64)>,
    /// Alerts.
    pub alerts: u64,
    /// Alerts that a truth explains.
    pub explained: u64,
    /// Those of them whose kind is the truth's: constant or not.
    pub kind_right: u64,
    /// Truths that are the reason of an alert.
    pub reasons: u64,
    /// Alerts that nothing explains, by what may have been their reason.
    pub false_alerts: BTreeMap<Reason, u64>,
    /// Places told, by confidence in tenths.
    pub placed: [Placed; CONFIDENCE_BINS],
    /// Incidents by kind of place, true and told.
    pub places: BTreeMap<(&'static str, &'static str), u64>,
    /// Incidents whose cause ended long enough before the end to see whether they closed.
    pub ended: u64,
    /// Those of them that were open 30 days later.
    pub stuck: u64,
    /// Those of these that said they were stale.
    pub stuck_stale: u64,
    /// Incidents of episodes by cause, true and told.
    pub causes: BTreeMap<(String, String), u64>,
    /// Incidents of episodes that a cause was named for, and those with a right one.
    pub cause_due: u64,
    /// See [`Self::cause_due`].
    pub cause_named: u64,
    /// See [`Self::cause_due`].
    pub cause_right: u64,
}

impl Tally {
    /// What was told of a fleet (or of a whole region of it), held against what is true of it.
    #[must_use]
    pub fn of(ground: &Ground, told: &[ToldFinding]) -> Self {
        Self::with_details(ground, told).0
    }

    /// The same, and every mistake.
    #[must_use]
    pub fn with_details(ground: &Ground, told: &[ToldFinding]) -> (Self, Vec<Detail>) {
        let between: Vec<Option<(Date, Date)>> =
            ground.truths.iter().map(|truth| explains_between(ground, truth)).collect();
        let buildings = u64::try_from(ground.buildings.len()).unwrap_or(u64::MAX);
        let mut tally =
            Self { building_days: buildings * u64::from(ground.days), ..Self::default() };
        let incidents = incidents(told);
        let reasons: Vec<Option<usize>> = incidents
            .iter()
            .map(|incident| explain::reason(ground, &between, incident).map(|(index, _)| index))
            .collect();
        let mut details = Vec::new();
        tally.count_found(ground, told, &incidents, &reasons, &mut details);
        tally.count_alerts(ground, &incidents, &reasons, &mut details);
        (tally, details)
    }

    /// Adds another fleet's.
    pub fn add(&mut self, other: &Self) {
        self.building_days += other.building_days;
        self.must += other.must;
        self.must_found += other.must_found;
        self.must_carried += other.must_carried;
        self.must_shared += other.must_shared;
        self.may += other.may;
        self.may_found += other.may_found;
        self.weak += other.weak;
        self.constant += other.constant;
        self.constant_found += other.constant_found;
        self.alerts += other.alerts;
        self.explained += other.explained;
        self.kind_right += other.kind_right;
        self.reasons += other.reasons;
        self.ended += other.ended;
        self.stuck += other.stuck;
        self.stuck_stale += other.stuck_stale;
        self.cause_due += other.cause_due;
        self.cause_named += other.cause_named;
        self.cause_right += other.cause_right;
        add_counts(&mut self.days_to_detect, &other.days_to_detect);
        add_counts(&mut self.false_alerts, &other.false_alerts);
        add_counts(&mut self.places, &other.places);
        add_counts(&mut self.causes, &other.causes);
        for (place, (must, found)) in &other.recall_by_place {
            let sum = self.recall_by_place.entry(place).or_default();
            *sum = (sum.0 + must, sum.1 + found);
        }
        for (sum, more) in self.placed.iter_mut().zip(&other.placed) {
            sum.incidents += more.incidents;
            sum.right += more.right;
            sum.by_another_word += more.by_another_word;
            sum.false_alerts += more.false_alerts;
        }
    }

    /// Alerts that nothing explains.
    #[must_use]
    pub fn false_total(&self) -> u64 {
        self.false_alerts.values().sum()
    }

    fn count_found(
        &mut self,
        ground: &Ground,
        told: &[ToldFinding],
        incidents: &[Incident],
        reasons: &[Option<usize>],
        details: &mut Vec<Detail>,
    ) {
        for (index, truth) in ground.truths.iter().enumerate() {
            match (truth.kind, truth.class) {
                (TruthKind::Constant, _) => {
                    self.constant += 1;
                    self.constant_found += u64::from(reasons.contains(&Some(index)));
                    continue;
                }
                (TruthKind::Episode, Class::Never) => {
                    self.weak += 1;
                    continue;
                }
                (TruthKind::Episode, _) => {}
                _ => continue,
            }
            let found = Found::of(ground, told, incidents, truth);
            if truth.class == Class::May {
                self.may += 1;
                self.may_found += u64::from(found.is_some());
                continue;
            }
            self.must += 1;
            let place = self.recall_by_place.entry(truth.place.kind.as_str()).or_default();
            place.0 += 1;
            let Some(found) = found else {
                details.push(Detail::missed(truth));
                continue;
            };
            place.1 += 1;
            self.must_found += 1;
            self.must_carried += u64::from(found.carried);
            self.must_shared += u64::from(!reasons.contains(&Some(index)) && !found.carried);
            *self.days_to_detect.entry(found.working_days).or_default() += 1;
        }
    }

    fn count_alerts(
        &mut self,
        ground: &Ground,
        incidents: &[Incident],
        reasons: &[Option<usize>],
        details: &mut Vec<Detail>,
    ) {
        let mut alerted = BTreeSet::new();
        for (incident, reason) in incidents.iter().zip(reasons) {
            self.alerts += 1;
            let bin = bin(incident.last.confidence);
            let Some(truth) = reason.and_then(|index| ground.truths.get(index)) else {
                let reason = excuse(ground, incident);
                *self.false_alerts.entry(reason).or_default() += 1;
                self.placed[bin].false_alerts += 1;
                details.push(Detail::false_alert(incident, reason));
                continue;
            };
            self.explained += 1;
            let constant = truth.kind == TruthKind::Constant;
            let says_constant = incident.last.kind == Kind::ConstantFault;
            self.kind_right += u64::from(constant == says_constant);
            let mut about = |mistake| details.push(Detail::about(mistake, incident, truth));
            if alerted.insert(*reason) {
                self.reasons += 1;
            } else {
                about(Mistake::Again);
            }
            if self.count_place(incident, truth, bin) == PlaceSaid::Wrong {
                about(Mistake::WrongPlace);
            }
            if self.count_stuck(ground, incident, truth) {
                about(Mistake::Stuck);
            }
            if self.count_cause(incident, &truth.causes) {
                about(Mistake::WrongCause);
            }
        }
    }

    fn count_place(&mut self, incident: &Incident, truth: &Truth, bin: usize) -> PlaceSaid {
        let said = compare(&incident.last.place, truth);
        let placed = &mut self.placed[bin];
        placed.incidents += 1;
        placed.right += u64::from(said != PlaceSaid::Wrong);
        placed.by_another_word += u64::from(said == PlaceSaid::Same);
        let kinds = (truth.place.kind.as_str(), incident.last.place.kind.as_str());
        *self.places.entry(kinds).or_default() += 1;
        said
    }

    /// True when it is stuck.
    fn count_stuck(&mut self, ground: &Ground, incident: &Incident, truth: &Truth) -> bool {
        let Some(end) = ends(ground, incident, truth, STUCK_DAYS) else { return false };
        let late = later(end, STUCK_DAYS);
        if late > ground.last() {
            return false;
        }
        let stuck = incident.is_open(late);
        self.ended += 1;
        self.stuck += u64::from(stuck);
        self.stuck_stale += u64::from(stuck && incident.stale);
        stuck
    }

    /// True when a cause was named, and a wrong one.
    fn count_cause(&mut self, incident: &Incident, causes: &[String]) -> bool {
        let Some(best) = causes.first() else { return false };
        let said = incident.last.cause.as_str();
        let named = !matches!(said, "" | "not-known");
        let right = causes.iter().any(|cause| cause == said);
        self.cause_due += 1;
        self.cause_named += u64::from(named);
        self.cause_right += u64::from(right);
        let shown = if said.is_empty() { "not-known" } else { said };
        *self.causes.entry((best.clone(), shown.to_owned())).or_default() += 1;
        named && !right
    }
}

/// How an episode was found.
struct Found {
    /// Working days from its first truly bad day.
    working_days: u32,
    /// By an incident that was open already.
    carried: bool,
}

impl Found {
    /// By the first alert in its time, else by an incident that was open already and counts a bad day
    /// in that time among its own.
    fn of(
        ground: &Ground,
        told: &[ToldFinding],
        incidents: &[Incident],
        truth: &Truth,
    ) -> Option<Self> {
        let (first_bad, until) = found_between(ground, truth)?;
        // What was opened on its first, weaker days found it at once.
        let begins = truth.active.first().map_or(first_bad, |active| (*active).min(first_bad));
        let alerts = |one: &&ToldFinding| {
            matches!(one.event, ToldEvent::Opened | ToldEvent::Reopened)
                && one.kind != Kind::Quiet
                && (begins..=until).contains(&one.date)
                && lies_in(one, truth)
        };
        let since = |date| ground.working_days(&truth.buildings, first_bad, date);
        if let Some(alert) = told.iter().filter(alerts).map(|one| one.date).min() {
            return Some(Self { working_days: since(alert), carried: false });
        }
        let counted = |incident: &Incident| {
            let day = |day: &&Date| (first_bad..=until).contains(*day) && incident.is_open(**day);
            let mut days = incident.days.iter();
            explain::touches(incident, truth).then(|| days.find(day).copied()).flatten()
        };
        let date = incidents.iter().filter_map(counted).min()?;
        Some(Self { working_days: since(date), carried: true })
    }
}

/// The bin of a confidence.
fn bin(confidence: f64) -> usize {
    // A figure that is no number is no confidence; the cast saturates and takes NaN for 0.
    ((confidence * CONFIDENCE_BINS as f64) as usize).min(CONFIDENCE_BINS - 1)
}

fn add_counts<K: Ord + Clone>(sum: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (key, count) in more {
        *sum.entry(key.clone()).or_default() += count;
    }
}
