//! A generated region that delivers to a real store, and a judge that looks at it every day at noon.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use busyhour_judge::{Judge, JudgeError, Summary};
use busyhour_model::{
    AddressFamily, AgentId, BlockNo, Body, BootId, BootMicros, BurstLoss, Context, Epoch,
    FileBuilding, FileSubnet, Histogram, Incident, IncidentPlace, Jitter, Link, Load, LocalDay,
    NetworkColumns, PacketCounts, PathKey, ProfileName, Record, RequirementProfile, Schedule,
    ScheduleRevision, SlotStart, Stamp, TargetName, TrafficClass, Transport, UtcMicros, Window,
    WindowParts, limits_in_force,
};
use busyhour_sim::world::{Plan, Reach, RegionRecord, Sampling, SeriesRecord, SlotRecord, World};
use busyhour_store::{
    Act, Binding, BlockRows, Control, JudgedWindow, NewAgent, Retention, SqliteControl,
    SqliteTelemetry, Telemetry, open,
};
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tempfile::TempDir;
use tokio::sync::Notify;

pub(crate) const REQUIREMENT: RequirementProfile = RequirementProfile::ClientToMicrosoftEdge;
/// What all buildings of the region share.
pub(crate) const REGION: &str = "North";
/// The address of all targets beyond the site's edge.
pub(crate) const FAR: &str = "198.51.100.7:862";
/// Windows of a quarter-hour: few, as each of them goes through the store.
const WINDOWS: u32 = 5;
const WINDOW_US: u64 = 15_000_000;
const QUARTER_US: u64 = 15 * 60 * 1_000_000;
const PACKETS: u32 = 750;
/// Bytes that one person moves in a quarter-hour.
const BYTES_A_PERSON: f32 = 9e5;

pub(crate) struct Live {
    _directory: TempDir,
    pub(crate) telemetry: Arc<SqliteTelemetry>,
    pub(crate) control: Arc<SqliteControl>,
    judge: Judge,
    pub(crate) region: RegionRecord,
    pub(crate) first: Date,
    pub(crate) last: Date,
    /// The agents by name, each with the number of its last block.
    agents: BTreeMap<String, (AgentId, u64)>,
    pub(crate) told: usize,
}

impl Live {
    /// The first region of a small world.
    pub(crate) fn new(seed: u64) -> Self {
        let sampling = Sampling::new(15, 900 / WINDOWS).unwrap();
        // A Monday: a week that begins with a day off is nobody's to judge at first.
        let first = jiff::civil::date(2025, 2, 10);
        let plan = Plan { buildings: 3, days: 28, first, sampling, ..Plan::new(seed) };
        let region = World::new(&plan).unwrap().region(0);
        let last = plan.first.saturating_add((i64::from(plan.days) - 1).days());
        Self::of(region, plan.first, last)
    }

    /// The same, where nobody tells of load: the configured hours hold throughout.
    pub(crate) fn without_load(seed: u64) -> Self {
        let mut live = Self::new(seed);
        live.region.buildings.iter_mut().for_each(|building| building.loads.clear());
        live
    }

    /// A region from one date to another.
    pub(crate) fn of(region: RegionRecord, first: Date, last: Date) -> Self {
        let directory = TempDir::new().unwrap();
        let retention = Retention {
            windows_days: 0,
            slots_days: 400,
            hours_days: 400,
            checks_days: 400,
            facts_days: 400,
            loads_days: 400,
            gaps_days: 400,
        };
        let (telemetry, control) = open(directory.path(), retention).unwrap();
        let (telemetry, control) = (Arc::new(telemetry), Arc::new(control));
        let start = noon_after(first.saturating_sub(2.days()));
        control.import_buildings(&building_file(&region), &Act::by_operator(start)).unwrap();
        let mut agents = BTreeMap::new();
        for series in &region.series {
            if agents.contains_key(&series.agent) {
                continue;
            }
            let id = AgentId::from_u128(agents.len() as u128 + 1);
            let agent = NewAgent {
                id,
                name: series.agent.clone(),
                secret_sha256: [0; 32],
                simulated: true,
                binding: Binding::Subnet { prefix: series.subnet, egress: None },
                added: start,
            };
            control.add_agent(&agent, &Act::by_operator(start)).unwrap();
            agents.insert(series.agent.clone(), (id, 0));
        }
        let judge = judge(&telemetry, &control);
        let told = 0;
        Self { _directory: directory, telemetry, control, judge, region, first, last, agents, told }
    }

    /// All dates.
    pub(crate) fn dates(&self) -> impl Iterator<Item = Date> + use<> {
        let last = self.last;
        self.first.series(1.day()).take_while(move |date| *date <= last)
    }

    /// Delivers all dates and judges each at noon of the next, when it is over everywhere.
    pub(crate) fn run(mut self) -> Self {
        for date in self.dates() {
            self.deliver(date);
            self.judge_after(date);
        }
        self
    }

    /// Delivers what all series saw on a date.
    pub(crate) fn deliver(&mut self, date: Date) {
        for series in 0..self.region.series.len() {
            self.deliver_series(series, date, noon_after(date));
        }
        for building in 0..self.region.buildings.len() {
            self.deliver_load(building, date);
        }
    }

    /// Delivers what all series saw on a date before a moment, or from it on; the load with the latter.
    pub(crate) fn deliver_half(&mut self, date: Date, moment: UtcMicros, is_first: bool) {
        let received = if is_first { moment } else { noon_after(date) };
        for series in 0..self.region.series.len() {
            let half = |start: SlotStart| (start.start() < moment) == is_first;
            self.deliver_slots(series, date, received, &half);
        }
        for building in (0..self.region.buildings.len()).filter(|_| !is_first) {
            self.deliver_load(building, date);
        }
    }

    /// Delivers what one series saw on a date of its building.
    pub(crate) fn deliver_series(&mut self, series: usize, date: Date, received: UtcMicros) {
        self.deliver_slots(series, date, received, &|_| true);
    }

    fn deliver_slots(
        &mut self,
        series: usize,
        date: Date,
        received: UtcMicros,
        chosen: &dyn Fn(SlotStart) -> bool,
    ) {
        let series = &self.region.series[series];
        let zone = &self.region.buildings[series.building as usize].zone;
        let (mut any, mut key) = (false, None);
        let mut windows = Vec::new();
        let of_date = |slot: &&SlotRecord| LocalDay::of(slot.start, zone).date == date;
        for slot in series.slots.iter().filter(of_date).filter(|slot| chosen(slot.start)) {
            any = true;
            let path = key.get_or_insert_with(|| path_of(series));
            windows.extend(windows_of(slot, series, path));
        }
        if !any {
            return;
        }
        let agent = series.agent.clone();
        self.append(&agent, received, windows, Vec::new());
    }

    /// Delivers a building's load on a date as that of one of its machines.
    fn deliver_load(&mut self, building: usize, date: Date) {
        let record = &self.region.buildings[building];
        let teller = self.region.series.iter().find(|one| one.building as usize == building);
        let agent = teller.unwrap().agent.clone();
        let loads = record.loads.iter();
        let loads = loads.filter(|(start, _)| LocalDay::of(*start, &record.zone).date == date);
        let others: Vec<Record> =
            loads.map(|&(start, people)| load_record(start, people)).collect();
        if others.is_empty() {
            return;
        }
        self.append(&agent, noon_after(date), Vec::new(), others);
    }

    fn append(
        &mut self,
        agent: &str,
        received: UtcMicros,
        windows: Vec<JudgedWindow>,
        others: Vec<Record>,
    ) {
        let (agent, block) = self.agents.get_mut(agent).unwrap();
        *block += 1;
        let rows = BlockRows {
            agent: *agent,
            epoch: Epoch(1),
            block: BlockNo(*block),
            received,
            schedules: vec![Schedule {
                revision: ScheduleRevision(1),
                period_us: QUARTER_US / u64::from(WINDOWS),
            }],
            windows,
            others,
            quarantined: Vec::new(),
        };
        self.telemetry.append(&[rows]).unwrap();
    }

    /// Judges at noon after a date, until nothing waits.
    pub(crate) fn judge_after(&mut self, date: Date) -> Summary {
        self.judge_at(noon_after(date))
    }

    pub(crate) fn judge_at(&mut self, now: UtcMicros) -> Summary {
        let mut sum = Summary::default();
        for _ in 0..50 {
            let round = self.judge.judge_once(now).unwrap();
            sum.days_written += round.days_written;
            sum.incidents_written += round.incidents_written;
            sum.told += round.told;
            sum.weeks_written += round.weeks_written;
            if !round.more {
                self.told += sum.told;
                return sum;
            }
        }
        panic!("it never ends");
    }

    /// Judges one round, which may fail.
    pub(crate) fn judge_once_at(&self, now: UtcMicros) -> Result<Summary, JudgeError> {
        self.judge.judge_once(now)
    }

    /// A judge that starts anew.
    pub(crate) fn restarted(self) -> Self {
        let judge = judge(&self.telemetry, &self.control);
        Self { judge, ..self }
    }

    /// All incidents, by number.
    pub(crate) fn incidents(&self) -> Vec<Incident> {
        let mut incidents = self.control.incidents(true).unwrap();
        incidents.sort_by_key(|incident| incident.number);
        incidents
    }

    /// What people call a place.
    pub(crate) fn name_of(&self, place: &IncidentPlace) -> String {
        let building = |id| {
            let all = self.control.buildings().unwrap();
            all.into_iter().find(|one| one.id == id).unwrap().name
        };
        match place {
            IncidentPlace::Upstream(name) | IncidentPlace::Vpn(name) => name.clone(),
            IncidentPlace::Target(name) => name.to_string(),
            IncidentPlace::Building(id)
            | IncidentPlace::Link(id, _)
            | IncidentPlace::Unplaced(id) => building(*id),
            IncidentPlace::Subnet(id, _) => {
                let all = self.control.subnets().unwrap();
                let subnet = all.into_iter().find(|one| one.id == *id).unwrap();
                format!("{} ({})", subnet.columns.network_name, subnet.prefix)
            }
            IncidentPlace::Agent(id) => {
                let all = self.control.agents().unwrap();
                all.into_iter().find(|one| one.id == *id).unwrap().name
            }
        }
    }
}

fn judge(telemetry: &Arc<SqliteTelemetry>, control: &Arc<SqliteControl>) -> Judge {
    let (telemetry, control) = (telemetry.clone(), control.clone());
    Judge::new(telemetry, control, Duration::from_secs(60), Arc::new(Notify::new()))
}

/// Noon of UTC on the next day: a date is over everywhere, and the next one has begun.
pub(crate) fn noon_after(date: Date) -> UtcMicros {
    let next = date.tomorrow().unwrap().at(12, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap();
    UtcMicros(next.timestamp().as_microsecond())
}

/// The building file of a region.
pub(crate) fn building_file(region: &RegionRecord) -> Vec<FileBuilding> {
    let building = |(number, record): (u32, &busyhour_sim::world::BuildingRecord)| {
        let own = region.series.iter().filter(|series| series.building == number);
        let mut prefixes: Vec<_> = own.map(|series| series.subnet).collect();
        prefixes.sort();
        prefixes.dedup();
        let subnet = |prefix: &_| FileSubnet {
            prefix: *prefix,
            egress: None,
            columns: NetworkColumns {
                network_name: "Net".to_owned(),
                ownership_type: String::new(),
                building_type: String::new(),
                building_office_type: String::new(),
                city: record.city.clone(),
                zip_code: String::new(),
                country: record.country.clone(),
                state: String::new(),
                region: REGION.to_owned(),
                inside_corp: true,
                express_route: false,
                vpn: false,
            },
        };
        FileBuilding {
            name: record.name.clone(),
            city: record.city.clone(),
            country: record.country.clone(),
            region: REGION.to_owned(),
            time_zone: Some(record.zone_name.to_owned()),
            business_hours: Some(record.hours.clone()),
            holidays: std::collections::BTreeSet::new(),
            subnets: prefixes.iter().map(subnet).collect(),
        }
    };
    (0..).zip(&region.buildings).map(building).collect()
}

fn path_of(series: &SeriesRecord) -> PathKey {
    let target = series.target.clone().unwrap_or_else(|| format!("edge-of-{}", series.agent));
    PathKey {
        link: Link::new(series.link, "if0").unwrap(),
        family: AddressFamily::Ipv4,
        target: TargetName::new(target).unwrap(),
        class: TrafficClass::Audio,
        profile: ProfileName::new("audio-50").unwrap(),
        transport: Transport::Udp,
    }
}

/// Windows with the counts of a quarter-hour.
fn windows_of<'a>(
    slot: &'a SlotRecord,
    series: &'a SeriesRecord,
    path: &'a PathKey,
) -> impl Iterator<Item = JudgedWindow> + 'a {
    let far = FAR.parse().unwrap();
    let near = std::net::SocketAddr::new(series.subnet.addr(), 862);
    let context = Context {
        local_prefix: Some(series.subnet),
        resolved: Some(if series.reach == Reach::Near { near } else { far }),
        reflexive: None,
    };
    (0..u32::from(slot.valid)).map(move |number| {
        let every = QUARTER_US / u64::from(WINDOWS);
        let placed = slot.start.start().plus(Duration::from_micros(every * u64::from(number)));
        let window = window_of(slot, number, path.clone());
        let table = limits_in_force(REQUIREMENT, placed).unwrap();
        JudgedWindow {
            placed,
            stamp: Stamp::new(placed, BootMicros(0), BootId::from_u128(1), WINDOW_US).unwrap(),
            schedule: ScheduleRevision(1),
            context: context.clone(),
            requirement: REQUIREMENT,
            limits: table.version,
            verdict: table.judge(&window),
            window,
        }
    })
}

/// The first windows of a quarter-hour are the bad ones, each in the ways that the counts say.
fn window_of(slot: &SlotRecord, number: u32, path: PathKey) -> Window {
    let [loss, burst, delay, jitter, failed] = slot.bad_by.map(|bad| number < u32::from(bad));
    let lost = match (failed, loss, burst) {
        (true, ..) => PACKETS,
        (_, true, _) => 12,
        (_, _, true) => 5,
        _ => 0,
    };
    let counts = PacketCounts::new(PACKETS, PACKETS, [0, 0, lost], 0, 0).unwrap();
    let mut parts = WindowParts::new(path, 50, counts);
    parts.burst = Some(BurstLoss::new(if burst { 5 } else { lost.min(1) }, 10).unwrap());
    if lost < PACKETS {
        let rtt = slot.rtt_p50_us.unwrap_or(20_000);
        let rtt = if delay { rtt.max(120_000) } else { rtt.min(99_000) };
        let mut histogram = Histogram::new();
        histogram.record(rtt);
        parts.rtt_median_us = Some(rtt);
        parts.rtt = histogram;
        let seen = slot.jitter_p50_us.unwrap_or(2_000);
        let mean_us = if jitter { seen.max(45_000) } else { seen.min(29_000) };
        parts.up_jitter = Some(Jitter { mean_us, max_us: mean_us });
    }
    Window::new(parts).unwrap()
}

/// What a machine tells of a quarter-hour in which so many people work.
fn load_record(start: SlotStart, people: f32) -> Record {
    let load = Load {
        interface: "if0".to_owned(),
        received_bytes: bytes_of(people),
        sent_bytes: 0,
        received_packets: 0,
        sent_packets: 0,
        link_bits_per_second: None,
    };
    Record {
        stamp: Stamp::new(start.start(), BootMicros(0), BootId::from_u128(1), QUARTER_US).unwrap(),
        schedule: ScheduleRevision(1),
        context: Context::default(),
        body: Body::Load(load),
    }
}

fn bytes_of(people: f32) -> u64 {
    (people * BYTES_A_PERSON) as u64
}

/// The load that the judge makes of it, in bytes a second.
pub(crate) fn load_of(people: f32) -> f32 {
    (bytes_of(people) as f64 * 1e6 / QUARTER_US as f64) as f32
}
