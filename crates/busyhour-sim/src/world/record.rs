//! What a generated region looks like: its buildings, their load, its series with what agents would
//! have delivered of them, and the truth.

use std::collections::BTreeSet;

use busyhour_model::{BusinessHours, LinkKind, SlotStart};
use ipnet::IpNet;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::truth::Truth;

/// Buildings that share an upstream and a VPN concentrator, whole.
#[derive(Debug, Clone)]
pub struct RegionRecord {
    /// Its number in the fleet, from 0.
    pub number: u32,
    /// Its buildings.
    pub buildings: Vec<BuildingRecord>,
    /// Its series.
    pub series: Vec<SeriesRecord>,
    /// What is true of it; series and buildings by their places in the lists above.
    pub truths: Vec<Truth>,
}

/// A building.
#[derive(Debug, Clone)]
pub struct BuildingRecord {
    /// Its name, unique in the fleet.
    pub name: String,
    /// Its city.
    pub city: String,
    /// Its country, two letters.
    pub country: String,
    /// Its zone's name.
    pub zone_name: &'static str,
    /// Its zone.
    pub zone: TimeZone,
    /// Its configured business hours.
    pub hours: BusinessHours,
    /// The holidays that its calendar tells.
    pub holidays: BTreeSet<Date>,
    /// The weekdays on which people truly work, from Monday.
    pub works: [bool; 7],
    /// The dates of such weekdays on which truly nobody worked: holidays, told or not, and closures.
    pub closed: BTreeSet<Date>,
    /// Its load, one for each recorded slot, ascending, in people; gaps are left out.
    pub loads: Vec<(SlotStart, f32)>,
}

/// Whether a series ends at the site's edge or beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// At the site's own edge.
    Near,
    /// Beyond it.
    Far,
}

/// A series: one path of one agent.
#[derive(Debug, Clone)]
pub struct SeriesRecord {
    /// Its name, unique in the fleet.
    pub name: String,
    /// Its building, by its place in [`RegionRecord::buildings`].
    pub building: u32,
    /// Its subnet's prefix, unique in the fleet.
    pub subnet: IpNet,
    /// Its agent's name, unique in the fleet.
    pub agent: String,
    /// The kind of link.
    pub link: LinkKind,
    /// What it talks to.
    pub target: Option<String>,
    /// What it shares with other buildings: the provider; of a VPN series, the concentrator; nothing of
    /// one that ends at the edge.
    pub upstream: Option<String>,
    /// Where it ends.
    pub reach: Reach,
    /// The series to the site's edge of the same agent, by its place in [`RegionRecord::series`].
    pub near: Option<u32>,
    /// What was delivered, ascending by start; a slot of which nothing was delivered is left out.
    pub slots: Vec<SlotRecord>,
}

/// What one series delivered of one quarter-hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRecord {
    /// The quarter-hour.
    pub start: SlotStart,
    /// Packets sent.
    pub sent: u32,
    /// Packets lost.
    pub lost: u32,
    /// The lowest round trip, in microseconds; `None` when nothing came back.
    pub rtt_min_us: Option<u32>,
    /// The median round trip, in microseconds.
    pub rtt_p50_us: Option<u32>,
    /// The 95th percentile of round trips, in microseconds.
    pub rtt_p95_us: Option<u32>,
    /// The median of the windows' jitter, in microseconds.
    pub jitter_p50_us: Option<u32>,
    /// The local date on which it was delivered, when that is a later one.
    pub delivered: Option<Date>,
    /// Windows that should be there.
    pub expected: u16,
    /// Windows that count, at most 60.
    pub valid: u16,
    /// Bad ones among them.
    pub bad: u16,
    /// Bad by loss, burst, delay, jitter, failed: in the order of [`busyhour_model::Breach::ALL`].
    pub bad_by: [u16; 5],
}
