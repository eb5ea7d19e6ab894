//! One simulated agent and the records it would have made.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use busyhour_model::{
    AddressFamily, Body, BootId, BootMicros, Context, Gap, GapReason, Link, LinkKind, Load,
    LocalDay, PathKey, ProfileName, Record, Schedule, SlotStart, Stamp, TargetName, TrafficClass,
    Transport, UtcMicros,
};
use fastrand::Rng;
use ipnet::IpNet;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::traffic::{Circumstances, PACKETS, Session, WINDOW_US, WindowSource, load_at};
use crate::truth::{Condition, Truth};

const MINUTE_US: i64 = 60 * 1_000_000;
const DAY_US: i64 = 24 * 60 * MINUTE_US;
const SLOTS_A_DAY: i64 = 96;
/// Between the windows of one agent's paths, so that they do not disturb one another.
const PATH_PHASE_US: i64 = 20 * 1_000_000;
/// An agent that is off half the time runs from noon to midnight.
const HALF_TIME_FROM_MINUTE: u16 = 12 * 60;
/// Bits per second of the simulated links.
const WIRED_SPEED: u64 = 1_000_000_000;
const WIFI_SPEED: u64 = 300_000_000;

/// One simulated agent. Its records are made when asked for, a day of UTC at a time.
#[derive(Debug, Clone)]
pub struct SimAgent {
    /// Its name, unique in the fleet.
    pub name: String,
    /// The name of its building.
    pub building: String,
    /// The prefix of its subnet.
    pub subnet_prefix: IpNet,
    /// The kind of link it measures on.
    pub link: LinkKind,
    /// The paths it measures, one for each target.
    pub paths: Vec<PathKey>,
    time_zone: TimeZone,
    truth: Truth,
    base_rtt_us: u32,
    schedule: Schedule,
    seed: u64,
    boot: BootId,
    first_day: i64,
    until: UtcMicros,
}

pub(crate) struct AgentParts {
    pub(crate) name: String,
    pub(crate) building: String,
    pub(crate) subnet_prefix: IpNet,
    pub(crate) link: LinkKind,
    pub(crate) time_zone: TimeZone,
    pub(crate) truth: Truth,
    pub(crate) base_rtt_us: u32,
    pub(crate) targets: Vec<TargetName>,
    pub(crate) schedule: Schedule,
    pub(crate) seed: u64,
    pub(crate) history: (i64, UtcMicros),
}

impl SimAgent {
    pub(crate) fn new(parts: AgentParts) -> Self {
        let interface = if parts.link == LinkKind::Wifi { "wlan0" } else { "eth0" };
        let link = Link::new(parts.link, interface).expect("the name is written above");
        let profile = ProfileName::new("audio-50").expect("the name is written here");
        let paths = parts.targets.into_iter().map(|target| PathKey {
            link: link.clone(),
            family: AddressFamily::Ipv4,
            target,
            class: TrafficClass::Audio,
            profile: profile.clone(),
            transport: Transport::Udp,
        });
        Self {
            paths: paths.collect(),
            name: parts.name,
            building: parts.building,
            subnet_prefix: parts.subnet_prefix,
            link: parts.link,
            time_zone: parts.time_zone,
            truth: parts.truth,
            base_rtt_us: parts.base_rtt_us,
            schedule: parts.schedule,
            boot: BootId::from_u128(u128::from(parts.seed) << 64 | u128::from(!parts.seed)),
            seed: parts.seed,
            first_day: parts.history.0,
            until: parts.history.1,
        }
    }

    /// What the agent observed on one day of UTC (in days since 1970), in order of time: the
    /// windows of all its paths, and a gap for each time that it was off. Empty outside the
    /// fleet's history.
    #[must_use]
    pub fn day(&self, utc_day: i64) -> Vec<Record> {
        let mut records = Vec::with_capacity(24 * 60 * self.paths.len());
        let mut source = WindowSource::new(Rng::with_seed(self.day_seed(utc_day)));
        let mut off_since: Option<UtcMicros> = None;
        for (started, date, minute) in self.minutes(utc_day) {
            if !self.is_on(minute) {
                off_since.get_or_insert(started);
                continue;
            }
            if let Some(since) = off_since.take() {
                records.extend(self.gap(since, started));
            }
            self.measure(started, date, minute, &mut source, &mut records);
        }
        if let Some(since) = off_since {
            let day_ends = UtcMicros((utc_day + 1).saturating_mul(DAY_US));
            records.extend(self.gap(since, day_ends.min(self.until)));
        }
        records
    }

    /// The load records of one day of UTC, one a minute while the agent was on.
    #[must_use]
    pub fn load_day(&self, utc_day: i64) -> Vec<Record> {
        let mut rng = Rng::with_seed(!self.day_seed(utc_day));
        self.minutes(utc_day)
            .filter(|&(_, _, minute)| self.is_on(minute))
            .filter_map(|(started, date, minute)| {
                let load = self.load(load_at(date, minute), &mut rng);
                self.record(started, MINUTE_US, Context::default(), Body::Load(load))
            })
            .collect()
    }

    /// The minutes of a day that lie in the history, each with its local date and minute.
    fn minutes(&self, utc_day: i64) -> impl Iterator<Item = (UtcMicros, Date, u16)> + '_ {
        let known = utc_day >= self.first_day;
        let first = SlotStart::from_number(utc_day.saturating_mul(SLOTS_A_DAY));
        (0..if known { SLOTS_A_DAY } else { 0 })
            .map(move |number| first.offset(number))
            .take_while(|slot| slot.start() < self.until)
            .flat_map(|slot| {
                // Zones differ from UTC by whole quarter-hours.
                let local = LocalDay::of(slot, &self.time_zone);
                (0..15u16).map(move |minute| {
                    let started = UtcMicros(slot.start().0 + i64::from(minute) * MINUTE_US);
                    (started, local.date, local.minute + minute)
                })
            })
    }

    fn is_on(&self, minute: u16) -> bool {
        let half_time = self.truth.condition == Condition::WifiOnly && self.link == LinkKind::Wifi;
        !half_time || minute >= HALF_TIME_FROM_MINUTE
    }

    fn measure(
        &self,
        minute_start: UtcMicros,
        date: Date,
        minute: u16,
        source: &mut WindowSource,
        records: &mut Vec<Record>,
    ) {
        let bad = self.truth.is_bad_at(self.subnet_prefix, self.link, date, minute);
        let circumstances = Circumstances {
            base_rtt_us: self.base_rtt_us,
            load: load_at(date, minute),
            wifi: self.link == LinkKind::Wifi,
            trouble: if bad { self.truth.condition } else { Condition::Healthy },
        };
        for (number, path) in (0u8..).zip(&self.paths) {
            let started = UtcMicros(minute_start.0 + i64::from(number) * PATH_PHASE_US);
            // Numbers run on from minute to minute and wrap, as a session's do.
            let windows_before = minute_start.0.div_euclid(MINUTE_US) as u32;
            let session = Session {
                source_port: 50_000 + u16::from(number),
                ssid: 1 + u16::from(number),
                first_sequence: windows_before.wrapping_mul(PACKETS),
            };
            let window = source.window(path.clone(), &session, &circumstances);
            let body = Body::Window(Box::new(window));
            records.extend(self.record(started, WINDOW_US, self.context(number), body));
        }
    }

    /// A record, unless it would end after the history.
    fn record(
        &self,
        started: UtcMicros,
        duration_us: i64,
        context: Context,
        body: Body,
    ) -> Option<Record> {
        let duration = u64::try_from(duration_us).ok()?;
        // Booted the day before the history begins.
        let since_boot = started.0 - (self.first_day - 1) * DAY_US;
        let since_boot = BootMicros(u64::try_from(since_boot).ok()?);
        let stamp = Stamp::new(started, since_boot, self.boot, duration).ok()?;
        let schedule = self.schedule.revision;
        (stamp.ended() <= self.until).then_some(Record { stamp, schedule, context, body })
    }

    fn gap(&self, from: UtcMicros, until: UtcMicros) -> Option<Record> {
        let gap = Gap { reason: GapReason::Asleep, path: None, records: None };
        self.record(from, until.since(from), Context::default(), Body::Gap(gap))
    }

    /// The circumstances of a path: the target's address is from RFC 5737.
    fn context(&self, number: u8) -> Context {
        let address = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 10 + number));
        Context {
            local_prefix: Some(self.subnet_prefix),
            resolved: Some(SocketAddr::new(address, 862)),
            reflexive: None,
        }
    }

    fn load(&self, load: f64, rng: &mut Rng) -> Load {
        let speed = if self.link == LinkKind::Wifi { WIFI_SPEED } else { WIRED_SPEED };
        let packets = (load * (8_000.0 + 4_000.0 * rng.f64())) as u64;
        Load {
            interface: self
                .paths
                .first()
                .map_or_else(String::new, |path| path.link.interface().to_owned()),
            received_bytes: packets * 700,
            sent_bytes: packets * 250,
            received_packets: packets,
            sent_packets: packets * 3 / 4,
            link_bits_per_second: Some(speed),
        }
    }

    fn day_seed(&self, utc_day: i64) -> u64 {
        self.seed ^ (utc_day as u64).wrapping_mul(0xd134_2543_de82_ef95)
    }
}
