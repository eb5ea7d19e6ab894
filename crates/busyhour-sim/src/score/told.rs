//! What somebody told of a fleet: transitions of incidents, and the incidents they make.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::ground::later;
use crate::world::NamedPlace;
use crate::world::words;

/// An incident that opens again within so many days is told again, but it is no new alert.
const REOPENED_DAYS: i64 = 21;

/// What happened to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ToldEvent {
    /// It may become one; told to nobody.
    Suspected,
    /// It began.
    Opened,
    /// It closed before, and is back.
    Reopened,
    /// Something about it changed, or was seen again.
    Updated,
    /// It seems to end.
    Recovering,
    /// Nobody observes it any more.
    Stale,
    /// It ended.
    Closed,
    /// It turned out to be part of another, which goes on.
    Merged,
}

impl ToldEvent {
    /// True when it is open no more.
    const fn ends(self) -> bool {
        matches!(self, Self::Closed | Self::Merged)
    }
}

words!(
    ToldEvent,
    "event of an incident",
    Suspected = "suspected",
    Opened = "opened",
    Reopened = "reopened",
    Updated = "updated",
    Recovering = "recovering",
    Stale = "stale",
    Closed = "closed",
    Merged = "merged",
);

/// What kind of thing was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ToldKind {
    /// Bad at the same busy hours of most working days.
    RecurringPeak,
    /// Bad at the same hours of one weekday.
    WeeklyPattern,
    /// Bad at all hours.
    ConstantFault,
    /// A limit was broken: by a rule that knows no kinds.
    Limit,
    /// Something that alerts nobody.
    Quiet,
}

impl ToldKind {
    /// The kind with this word; a word that is no alert's is quiet.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "recurring-peak" => Self::RecurringPeak,
            "weekly-pattern" => Self::WeeklyPattern,
            "constant-fault" => Self::ConstantFault,
            "limit" => Self::Limit,
            _ => Self::Quiet,
        }
    }

    /// True for what may have a constant fault for its reason.
    pub(super) const fn fits_constant(self) -> bool {
        matches!(self, Self::ConstantFault | Self::Limit)
    }
}

/// One transition of an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct ToldFinding {
    /// Whose: the same for all transitions of one incident.
    pub id: u64,
    /// What happened.
    pub event: ToldEvent,
    /// When it was told: a local date.
    pub date: Date,
    /// What kind of thing it is.
    pub kind: ToldKind,
    /// Where it is said to be.
    pub place: NamedPlace,
    /// The series that suffer, by their place in [`super::Ground::series`].
    pub members: Vec<u32>,
    /// The local minutes of the day it keeps to, half open; empty when it names none.
    pub hours: Vec<(u16, u16)>,
    /// Its bad days.
    pub days: Vec<Date>,
    /// How sure the place is, 0..=1.
    pub confidence: f64,
    /// The word for its likely cause; empty when it names none.
    pub cause: String,
}

/// From when to when an incident was open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spell {
    pub(super) opened: Date,
    /// `None` when it is open at the end.
    pub(super) closed: Option<Date>,
}

impl Spell {
    /// True when it was open at the end of that date.
    pub(super) fn holds(self, date: Date) -> bool {
        self.opened <= date && self.closed.is_none_or(|closed| closed > date)
    }
}

/// An alert and all that was told of it until it closed for good: what came back within three weeks
/// belongs to it, what came back later is another.
#[derive(Debug, Clone)]
pub(super) struct Incident {
    /// As it was opened.
    pub(super) first: ToldFinding,
    /// The last word before it closed.
    pub(super) last: ToldFinding,
    /// When it was open, ascending.
    pub(super) spells: Vec<Spell>,
    /// All members it ever had, ascending.
    pub(super) members: BTreeSet<u32>,
    /// All bad days it ever named.
    pub(super) days: BTreeSet<Date>,
    /// All hours it ever named.
    pub(super) hours: BTreeSet<(u16, u16)>,
    /// Nobody observed it at its end.
    pub(super) stale: bool,
}

impl Incident {
    fn opened(told: &ToldFinding) -> Self {
        let mut incident = Self {
            first: told.clone(),
            last: told.clone(),
            spells: vec![Spell { opened: told.date, closed: None }],
            members: BTreeSet::new(),
            days: BTreeSet::new(),
            hours: BTreeSet::new(),
            stale: false,
        };
        incident.hear(told);
        incident
    }

    fn hear(&mut self, told: &ToldFinding) {
        self.members.extend(&told.members);
        self.days.extend(&told.days);
        self.hours.extend(&told.hours);
        self.stale = told.event == ToldEvent::Stale;
        if !told.event.ends() {
            self.last = told.clone();
        }
    }

    fn closed(&self) -> Option<Date> {
        self.spells.last().and_then(|spell| spell.closed)
    }

    /// True when it was open at the end of that date.
    pub(super) fn is_open(&self, date: Date) -> bool {
        self.spells.iter().any(|spell| spell.holds(date))
    }
}

/// The incidents that transitions make, in the order in which they opened. What alerts nobody is left
/// out, and so is what was never opened.
pub(super) fn incidents(told: &[ToldFinding]) -> Vec<Incident> {
    let mut by_id: BTreeMap<u64, Vec<&ToldFinding>> = BTreeMap::new();
    for one in told.iter().filter(|one| one.kind != ToldKind::Quiet) {
        by_id.entry(one.id).or_default().push(one);
    }
    let mut incidents: Vec<Incident> = by_id.into_values().flat_map(of_one).collect();
    incidents.sort_by_key(|incident| (incident.first.date, incident.first.id));
    incidents
}

/// The incidents of one identity.
fn of_one(mut words: Vec<&ToldFinding>) -> Vec<Incident> {
    // Of one day, what was told first is first: the sort is stable.
    words.sort_by_key(|word| word.date);
    let mut incidents: Vec<Incident> = Vec::new();
    for word in words {
        let opens = matches!(word.event, ToldEvent::Opened | ToldEvent::Reopened);
        let Some(now) = incidents.last_mut() else {
            if opens {
                incidents.push(Incident::opened(word));
            }
            continue;
        };
        match (now.closed(), word.event) {
            (None, event) if event.ends() => {
                if let Some(spell) = now.spells.last_mut() {
                    spell.closed = Some(word.date);
                }
                now.hear(word);
            }
            (None, _) => now.hear(word),
            (Some(closed), _) if opens && word.date <= later(closed, REOPENED_DAYS) => {
                now.spells.push(Spell { opened: word.date, closed: None });
                now.hear(word);
            }
            (Some(_), _) if opens => incidents.push(Incident::opened(word)),
            // Suspicions between two spells are told to nobody.
            (Some(_), _) => {}
        }
    }
    incidents
}
