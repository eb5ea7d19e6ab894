//! The life of a finding, as it is kept, shown and told.

use ipnet::IpNet;
use jiff::civil::Date;

use crate::path::word_enum;
use crate::{
    AgentId, BuildingId, DailyAverage, IncidentId, LinkKind, PathId, SubnetId, TargetName,
    UtcMicros, WorstHour,
};

word_enum!(
    /// What kind of thing a finding is.
    FindingKind, "kind of finding", {
        /// Bad at the same busy hours of most working days.
        RecurringPeak = "recurring-peak",
        /// Bad at the same hours of one weekday.
        WeeklyPattern = "weekly-pattern",
        /// Bad at all hours.
        ConstantFault = "constant-fault",
        /// The quiet round trip moved and stayed: another route.
        LevelShift = "level-shift",
        /// Bad once.
        OneOff = "one-off",
        /// A target failed for those who talk to it.
        TargetFault = "target-fault",
        /// Busy hours are slower than quiet ones, within all limits.
        EarlyWarning = "early-warning",
        /// Slower month by month.
        Drift = "drift",
    }
);

impl FindingKind {
    /// True for what the Quality Champion is told.
    #[must_use]
    pub const fn alerts(self) -> bool {
        matches!(self, Self::RecurringPeak | Self::WeeklyPattern | Self::ConstantFault)
    }
}

word_enum!(
    /// Where an incident is in its life.
    IncidentState, "incident state", {
        /// Bad days were seen, too few to be sure.
        Suspected = "suspected",
        /// It recurs.
        Open = "open",
        /// It has been better lately.
        Recovering = "recovering",
        /// It is over.
        Closed = "closed",
    }
);

word_enum!(
    /// What happened last to a finding that is worth a word.
    Change, "change", {
        /// Seen for the first time, too seldom to be sure.
        Suspected = "suspected",
        /// It recurs.
        Opened = "opened",
        /// Its kind, its place or the class of its severity is another one, or a week went by.
        Updated = "updated",
        /// It has been better lately.
        Recovering = "recovering",
        /// It is over.
        Closed = "closed",
        /// It came back.
        Reopened = "reopened",
        /// Nobody observed it for ten working days.
        Stale = "stale",
        /// It turned out to be part of another.
        Merged = "merged",
        /// Nobody watches it any more, so it was closed: its building or subnet left the building file,
        /// or its agents did. Its sentence says which.
        Gone = "gone",
    }
);

word_enum!(
    /// Whose part of the way it is.
    Segment, "segment", {
        /// Within the building.
        CustomerLan = "customer-lan",
        /// The customer's own wide area network or uplink.
        CustomerWan = "customer-wan",
        /// The provider.
        Provider = "provider",
        /// Microsoft.
        Microsoft = "microsoft",
        /// Not known.
        Unknown = "unknown",
    }
);

word_enum!(
    /// A likely cause, in the categories of the planning guide.
    Cause, "cause", {
        /// A link is full, or sold smaller than it is used.
        Bandwidth = "bandwidth",
        /// The radio.
        Wifi = "wifi",
        /// The VPN or its concentrator.
        Vpn = "vpn",
        /// A firewall or a proxy.
        FirewallOrProxy = "firewall-or-proxy",
        /// Marks are lost, or marked traffic is not preferred.
        Qos = "qos",
        /// The provider, or what lies behind it.
        Provider = "provider",
        /// A subnet, a switch, a cable.
        SubnetOrNetworkDevice = "subnet-or-network-device",
        /// One machine.
        Device = "device",
        /// Who measures: the agent's machine, or the collector.
        CollectorOrAgent = "collector-or-agent",
        /// Not known.
        NotKnown = "not-known",
    }
);

word_enum!(
    /// How packets suffer.
    Mechanism, "mechanism", {
        /// They wait: delay rises with load, and loss with delay.
        Queue = "queue",
        /// They are dropped without waiting.
        Drop = "drop",
        /// They wait irregularly and are lost in bursts, as on the air.
        Radio = "radio",
        /// Nothing comes back.
        Outage = "outage",
        /// The data do not tell.
        NotKnown = "not-known",
    }
);

word_enum!(
    /// How much of its worst hour is bad, in classes.
    SeverityClass, "class of severity", {
        /// Up to 15 %.
        Minor = "minor",
        /// Up to 40 %.
        Major = "major",
        /// Above 40 %.
        Critical = "critical",
    }
);

impl SeverityClass {
    /// The class of a share of bad windows, 0..=1.
    #[must_use]
    pub fn of(share: f64) -> Self {
        if share > 0.4 {
            Self::Critical
        } else if share > 0.15 {
            Self::Major
        } else {
            Self::Minor
        }
    }
}

/// A number that speaks for or against a cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// What it is about.
    pub cause: Cause,
    /// How much it weighs: above 0 for, below 0 against.
    pub weight: f64,
    /// What was seen, with its figures, for an engineer.
    pub text: String,
}

/// The paths that were observed on a finding's bad days, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Siblings {
    /// Within the place.
    pub within: u32,
    /// Those of them that suffer.
    pub suffering: u32,
    /// Beside the place, on the same way or in the same building.
    pub beside: u32,
    /// Those of them that suffer too.
    pub suffering_beside: u32,
    /// Paths from the place to the building's own edge; from the whole building, where the place is no part
    /// of it.
    pub near: u32,
    /// Those of them that suffer too.
    pub suffering_near: u32,
}

/// Where an incident is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IncidentPlace {
    /// What several buildings share on the way: the prefix of an egress, or, where nobody told that,
    /// the name of a region ([`IncidentPlace::egress`]).
    Upstream(String),
    /// What VPN paths of several buildings share: the concentrator, by name.
    Vpn(String),
    /// A target.
    Target(TargetName),
    /// A building's own link or edge.
    Building(BuildingId),
    /// One kind of link in a building.
    Link(BuildingId, LinkKind),
    /// A subnet; on one kind of link when only that suffers.
    Subnet(SubnetId, Option<LinkKind>),
    /// One agent among others that are fine.
    Agent(AgentId),
    /// Somewhere in a building or beyond it: only one agent sees it.
    Unplaced(BuildingId),
}

impl IncidentPlace {
    /// The word for what kind of place it is.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Upstream(_) => "upstream",
            Self::Vpn(_) => "vpn",
            Self::Target(_) => "target",
            Self::Building(_) => "building",
            Self::Link(..) => "link",
            Self::Subnet(..) => "subnet",
            Self::Agent(_) => "agent",
            Self::Unplaced(_) => "unplaced",
        }
    }

    /// The kind of link it is on, where only one suffers.
    #[must_use]
    pub const fn link(&self) -> Option<LinkKind> {
        match self {
            Self::Link(_, link) => Some(*link),
            Self::Subnet(_, link) => *link,
            _ => None,
        }
    }

    /// The egress of an upstream; `None` where that is only called by its region. What buildings of one
    /// region have in common is not known: their provider, their backup, or nothing.
    #[must_use]
    pub fn egress(&self) -> Option<IpNet> {
        match self {
            Self::Upstream(name) => name.parse().ok(),
            _ => None,
        }
    }

    /// The subnet, where it is one.
    #[must_use]
    pub const fn subnet(&self) -> Option<SubnetId> {
        match self {
            Self::Subnet(subnet, _) => Some(*subnet),
            _ => None,
        }
    }
}

/// One path that suffers, and where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentMember {
    /// The path.
    pub path: PathId,
    /// The building its agent was in.
    pub building: BuildingId,
    /// The subnet its agent was in.
    pub subnet: SubnetId,
}

/// Hours that come so close are one stretch.
const JOINED_MINUTES: u16 = 45;

/// The life of one finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// The identity; kept while it is updated, closed or opened again.
    pub id: IncidentId,
    /// Its number in this collector's history, from 1; never given twice.
    pub number: u64,
    /// What kind of thing it is.
    pub kind: FindingKind,
    /// Where it is.
    pub place: IncidentPlace,
    /// Whose part of the way that is.
    pub segment: Segment,
    /// The building that it is shown with, and whose local time its hours and dates are in.
    pub building: BuildingId,
    /// The paths that suffer, in order.
    pub members: Vec<IncidentMember>,
    /// Who suffers and who does not, within the place and beside it.
    pub siblings: Siblings,
    /// The local hours it keeps to: minutes of the day, half open, ascending, apart from each other.
    pub hours: Vec<(u16, u16)>,
    /// Where it is in its life.
    pub state: IncidentState,
    /// What happened last that is worth a word.
    pub change: Change,
    /// The local date on which that happened.
    pub changed: Date,
    /// The incident that it is part of, by its number; then it is closed.
    pub merged_into: Option<u64>,
    /// Nobody observed it for ten working days.
    pub stale: bool,
    /// The first local day it was seen on.
    pub first_bad: Date,
    /// The last local day it was seen on.
    pub last_bad: Date,
    /// The bad days of its present spell, ascending; at most the latest [`Self::KEPT_DATES`].
    pub bad_days: Vec<Date>,
    /// The observed working days of its present spell, ascending; as many at most.
    pub observed_days: Vec<Date>,
    /// The local date it was last opened on; `None` while it is suspected.
    pub opened_on: Option<Date>,
    /// The local date it was closed on.
    pub closed_on: Option<Date>,
    /// When it was first noted here, by the collector's clock: suspected or opened.
    pub noted: UtcMicros,
    /// When it was last opened here; `None` while it is suspected.
    pub opened: Option<UtcMicros>,
    /// When it was closed here; `Some` exactly while it is closed.
    pub closed: Option<UtcMicros>,
    /// How often it was opened; 0 while it is suspected. Each opening is told once.
    pub openings: u32,
    /// The median share of bad windows in the worst hour of its bad days, 0..=1.
    pub severity: f64,
    /// How sure the place is, 0..=1.
    pub confidence: f64,
    /// The likely cause.
    pub cause: Cause,
    /// How sure that is, 0..=1.
    pub cause_confidence: f64,
    /// How packets suffer.
    pub mechanism: Mechanism,
    /// What speaks for and against causes, heaviest first.
    pub evidence: Vec<Evidence>,
    /// The worst hour of its last bad day, of the path that suffered most.
    pub worst_hour: Option<WorstHour>,
    /// The date of that hour.
    pub worst_on: Option<Date>,
    /// The plain daily average of that path on that day.
    pub average: Option<DailyAverage>,
    /// The daily average hides it.
    pub masked: bool,
    /// See [`crate::DaySummary::masking_factor`].
    pub masking_factor: Option<f64>,
    /// The sentence for the Quality Champion.
    pub sentence: String,
    /// The paragraph for an engineer.
    pub paragraph: String,
    /// It rests on simulated agents; its alerts never leave the machine.
    pub simulated: bool,
}

impl Incident {
    /// Dates of a kind that an incident keeps, the latest.
    pub const KEPT_DATES: usize = 60;

    /// True while it is open or recovering: what people were told of and is not over.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, IncidentState::Open | IncidentState::Recovering)
    }

    /// The subnet, where its place is one.
    #[must_use]
    pub const fn subnet(&self) -> Option<SubnetId> {
        self.place.subnet()
    }

    /// The kind of link, when only one kind suffers.
    #[must_use]
    pub const fn link(&self) -> Option<LinkKind> {
        self.place.link()
    }

    /// When it was last opened or, while it never was, noted: what lists of incidents go by.
    #[must_use]
    pub fn since(&self) -> UtcMicros {
        self.opened.unwrap_or(self.noted)
    }

    /// The hours as people read them: what is up to 45 minutes apart is one stretch.
    #[must_use]
    pub fn hours_joined(&self) -> Vec<(u16, u16)> {
        let mut joined: Vec<(u16, u16)> = Vec::new();
        for &(start, end) in &self.hours {
            match joined.last_mut() {
                Some((_, until)) if start <= until.saturating_add(JOINED_MINUTES) => *until = end,
                _ => joined.push((start, end)),
            }
        }
        joined
    }

    /// The buildings that suffer, in order.
    #[must_use]
    pub fn buildings(&self) -> Vec<BuildingId> {
        let mut all: Vec<BuildingId> = self.members.iter().map(|member| member.building).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::civil::date;

    use super::*;

    /// A suspicion, noted at 5.
    pub(crate) fn incident() -> Incident {
        let day = date(2026, 9, 21);
        Incident {
            id: IncidentId::from_u128(1),
            number: 1,
            kind: FindingKind::RecurringPeak,
            place: IncidentPlace::Building(BuildingId::from_u128(1)),
            segment: Segment::Unknown,
            building: BuildingId::from_u128(1),
            members: Vec::new(),
            siblings: Siblings::default(),
            hours: Vec::new(),
            state: IncidentState::Suspected,
            change: Change::Suspected,
            changed: day,
            merged_into: None,
            stale: false,
            first_bad: day,
            last_bad: day,
            bad_days: vec![day],
            observed_days: vec![day],
            opened_on: None,
            closed_on: None,
            noted: UtcMicros(5),
            opened: None,
            closed: None,
            openings: 0,
            severity: 0.1,
            confidence: 0.5,
            cause: Cause::NotKnown,
            cause_confidence: 1.0,
            mechanism: Mechanism::NotKnown,
            evidence: Vec::new(),
            worst_hour: None,
            worst_on: None,
            average: None,
            masked: false,
            masking_factor: None,
            sentence: String::new(),
            paragraph: String::new(),
            simulated: false,
        }
    }

    #[test]
    fn only_what_is_bad_again_and_again_alerts() {
        let alerting: Vec<_> = FindingKind::ALL.iter().filter(|kind| kind.alerts()).collect();
        assert_eq!(
            alerting.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
            ["recurring-peak", "weekly-pattern", "constant-fault",]
        );
    }

    #[test]
    fn a_class_of_severity_holds_its_upper_edge() {
        for (share, class) in [
            (0.0, SeverityClass::Minor),
            (0.15, SeverityClass::Minor),
            (0.16, SeverityClass::Major),
            (0.4, SeverityClass::Major),
            (0.41, SeverityClass::Critical),
            (1.0, SeverityClass::Critical),
        ] {
            assert_eq!(SeverityClass::of(share), class, "{share}");
        }
    }

    #[test]
    fn a_place_knows_its_link_and_its_subnet() {
        let (building, subnet) = (BuildingId::from_u128(1), SubnetId::from_u128(2));
        for (place, link, within) in [
            (IncidentPlace::Building(building), None, None),
            (IncidentPlace::Link(building, LinkKind::Wifi), Some(LinkKind::Wifi), None),
            (IncidentPlace::Subnet(subnet, None), None, Some(subnet)),
            (IncidentPlace::Subnet(subnet, Some(LinkKind::Vpn)), Some(LinkKind::Vpn), Some(subnet)),
            (IncidentPlace::Upstream("transit 7".to_owned()), None, None),
        ] {
            assert_eq!((place.link(), place.subnet()), (link, within), "{place:?}");
        }
    }

    #[test]
    fn hours_that_come_close_are_read_as_one_stretch() {
        for (hours, joined) in [
            (&[][..], &[][..]),
            (&[(600, 630)], &[(600, 630)]),
            (&[(600, 630), (675, 690), (720, 735)], &[(600, 735)]),
            (&[(600, 630), (690, 705)], &[(600, 630), (690, 705)]),
            (&[(0, 15), (1_425, 1_440)], &[(0, 15), (1_425, 1_440)]),
        ] {
            let incident = Incident { hours: hours.to_vec(), ..incident() };
            assert_eq!(incident.hours_joined(), joined, "{hours:?}");
        }
    }

    #[test]
    fn a_list_goes_by_when_it_was_opened_or_else_noted() {
        let noted = incident();
        let opened = Incident { opened: Some(UtcMicros(9)), ..noted.clone() };
        assert_eq!((noted.since(), opened.since()), (UtcMicros(5), UtcMicros(9)));
    }

    #[test]
    fn buildings_are_told_once_and_in_order() {
        let member = |path: i64, building: u128| IncidentMember {
            path: PathId(path),
            building: BuildingId::from_u128(building),
            subnet: SubnetId::from_u128(0),
        };
        let members = vec![member(1, 2), member(2, 1), member(3, 2)];
        let incident = Incident { members, ..incident() };
        assert_eq!(incident.buildings(), [1, 2].map(BuildingId::from_u128));
    }

    #[test]
    fn what_recovers_is_still_open() {
        let open = |state| Incident { state, ..incident() }.is_open();
        let all: Vec<_> = IncidentState::ALL.iter().map(|&state| open(state)).collect();
        assert_eq!(all, [false, true, true, false]);
    }

    #[test]
    fn words_are_read_back_as_what_they_stand_for() {
        fn check<T: Copy + PartialEq + std::fmt::Debug>(
            all: &[T],
            word: impl Fn(T) -> &'static str,
            read: impl Fn(&str) -> Option<T>,
        ) {
            for &value in all {
                assert_eq!(read(word(value)), Some(value));
            }
        }
        check(FindingKind::ALL, FindingKind::as_str, |word| word.parse().ok());
        check(IncidentState::ALL, IncidentState::as_str, |word| word.parse().ok());
        check(Change::ALL, Change::as_str, |word| word.parse().ok());
        check(Segment::ALL, Segment::as_str, |word| word.parse().ok());
        check(Cause::ALL, Cause::as_str, |word| word.parse().ok());
        check(Mechanism::ALL, Mechanism::as_str, |word| word.parse().ok());
        check(SeverityClass::ALL, SeverityClass::as_str, |word| word.parse().ok());
    }
}
