//! What is true of a generated fleet, from the noise-free and gap-free state of its links. These
//! words and rules name no detector.

use std::fmt;

use busyhour_model::LinkKind;
use jiff::civil::Date;

/// A word that is none of those known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord {
    /// What it should have been.
    pub what: &'static str,
    /// What it was.
    pub found: String,
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no {}", self.found, self.what)
    }
}

impl std::error::Error for UnknownWord {}

/// Gives an enum its words.
macro_rules! words {
    ($name:ident, $what:literal, $($variant:ident = $word:literal),+ $(,)?) => {
        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it in files.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::world::UnknownWord;

            fn from_str(text: &str) -> Result<Self, $crate::world::UnknownWord> {
                let known = Self::ALL.iter().copied().find(|one| one.as_str() == text);
                known.ok_or_else(|| $crate::world::UnknownWord { what: $what, found: text.to_owned() })
            }
        }
    };
}

pub(crate) use words;

/// What kind of thing was put into the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TruthKind {
    /// Degradation at busy hours on many days: what has to be found.
    Episode,
    /// Bad at all hours.
    Constant,
    /// Bad once, for minutes or for days on end.
    Incident,
    /// Another route: slower or faster from then on, no worse.
    LevelShift,
    /// A copy job at night.
    Backup,
    /// Load that grows and stays harmless.
    Growth,
    /// One meeting of everybody, once.
    Meeting,
    /// A target failed for all who talk to it.
    TargetFault,
    /// Nobody was in the building, and nobody had said so.
    Closure,
    /// A machine's clock was wrong.
    ClockError,
}

words!(
    TruthKind,
    "kind of truth",
    Episode = "episode",
    Constant = "constant",
    Incident = "incident",
    LevelShift = "level-shift",
    Backup = "backup",
    Growth = "growth",
    Meeting = "meeting",
    TargetFault = "target-fault",
    Closure = "closure",
    ClockError = "clock-error",
);

/// Whether it has to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// An episode that has three truly bad days within five working days, or within four same
    /// weekdays.
    Must,
    /// An episode that has a truly bad day; a constant fault.
    May,
    /// Everything else.
    Never,
}

words!(Class, "class of truth", Must = "must", May = "may", Never = "never");

/// What kind of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlaceKind {
    /// What buildings share on the way, VPN aside.
    Upstream,
    /// What their VPN tunnels end at.
    Vpn,
    /// A target.
    Target,
    /// A building's own link or edge.
    Building,
    /// One kind of link in a building.
    Link,
    /// A subnet; on one kind of link when only that suffers.
    Subnet,
    /// An agent's machine.
    Agent,
    /// Somewhere in a building or beyond it. Never true, only told.
    Unplaced,
}

words!(
    PlaceKind,
    "kind of place",
    Upstream = "upstream",
    Vpn = "vpn",
    Target = "target",
    Building = "building",
    Link = "link",
    Subnet = "subnet",
    Agent = "agent",
    Unplaced = "unplaced",
);

/// A place by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamedPlace {
    /// What kind of place.
    pub kind: PlaceKind,
    /// The upstream's, target's, building's or agent's name; a subnet's prefix; of a link its
    /// building's name.
    pub name: String,
    /// The kind of link: always there for a link, optional for a subnet, nowhere else.
    pub link: Option<LinkKind>,
}

impl NamedPlace {
    /// A place that needs no kind of link.
    #[must_use]
    pub fn new(kind: PlaceKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into(), link: None }
    }

    /// A place on one kind of link.
    #[must_use]
    pub fn on(kind: PlaceKind, name: impl Into<String>, link: LinkKind) -> Self {
        Self { kind, name: name.into(), link: Some(link) }
    }
}

impl fmt::Display for NamedPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)?;
        self.link.map_or(Ok(()), |link| write!(f, " on {}", link.as_str()))
    }
}

/// A truly bad day of a place: by link load alone its worst 60 minutes between 06:00 and 21:00 local
/// time have at least 8 % bad windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BadDay {
    /// The local date.
    pub date: Date,
    /// The expected share of bad windows in these 60 minutes, 0..=1.
    pub worst_share: f64,
}

/// One thing that was put into the fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Its number, unique in the fleet.
    pub id: u32,
    /// What kind of thing it is.
    pub kind: TruthKind,
    /// Whether it has to be found.
    pub class: Class,
    /// Where it is.
    pub place: NamedPlace,
    /// Other places behind which the very same series lie, so that nothing which is observed could
    /// tell them from it.
    pub same_as: Vec<NamedPlace>,
    /// How it comes about, in the generator's words: link type and fault form.
    pub mechanism: String,
    /// The words for its cause that are right, the best one first, in the planning guide's categories
    /// (`bandwidth`, `wifi`, ...); empty where there is no cause to name.
    pub causes: Vec<String>,
    /// The series that suffer, by their place in the list of series, ascending.
    pub series: Vec<u32>,
    /// Their buildings, by their place in the list of buildings, ascending.
    pub buildings: Vec<u32>,
    /// The local minutes of the day at which it can be bad, half open; empty for all day.
    pub hours: Vec<(u16, u16)>,
    /// The first local date it touches.
    pub from: Date,
    /// The last local date it touches.
    pub until: Date,
    /// The local dates on which it was active, ascending; for what never stops, `from..=until`.
    pub active: Vec<Date>,
    /// The truly bad days, ascending; only of episodes.
    pub bad: Vec<BadDay>,
    /// The median of [`BadDay::worst_share`]; 0 without truly bad days.
    pub severity: f64,
}

/// How strong the episodes are that have to be found: the quartiles of their [`Truth::severity`];
/// `None` where there is none.
#[must_use]
pub fn severity_quartiles(truths: &[Truth]) -> Option<[f64; 3]> {
    let musts = truths.iter().filter(|truth| truth.class == Class::Must);
    let mut severities: Vec<f64> = musts.map(|truth| truth.severity).collect();
    severities.sort_by(f64::total_cmp);
    let last = severities.len().checked_sub(1)?;
    // The nearest rank of each quarter.
    Some([1, 2, 3].map(|quarter| severities[(last * quarter + 2) / 4]))
}
