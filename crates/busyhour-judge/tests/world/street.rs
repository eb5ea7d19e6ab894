//! A street of a few houses that is made by hand: who measures what, and when it is bad.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use busyhour_judge::Judge;
use busyhour_model::{
    AddressFamily, AgentId, BlockNo, BootId, BootMicros, BurstLoss, Context, Epoch, FileBuilding,
    FileSubnet, Histogram, Incident, Link, LinkKind, NetworkColumns, PacketCounts, PathKey,
    ProfileName, Schedule, ScheduleRevision, Stamp, TargetName, TrafficClass, Transport, UtcMicros,
    Window, WindowParts, limits_in_force,
};
use busyhour_store::{
    Act, AgentCertificate, Approval, Binding, BlockRows, Control, Enrolment, Identities as _,
    JudgedWindow, NewAgent, NewToken, Retention, Sighting, SqliteControl, SqliteTelemetry,
    Telemetry, TokenId, TokenPlace, open,
};
use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::live::{REQUIREMENT, noon_after};

/// A Monday. Everybody lives in UTC, and works from eight to six.
pub(crate) const FIRST: Date = date(2025, 2, 10);
/// Windows of a quarter-hour: few, as each of them goes through the store.
pub(crate) const WINDOWS: u32 = 5;
const QUARTER_US: u64 = 15 * 60 * 1_000_000;
const PACKETS: u32 = 750;

/// A machine that measures.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) house: usize,
    pub(crate) link: LinkKind,
    /// The address that its packets are seen from on the Internet.
    pub(crate) seen_from: Option<Ipv4Addr>,
    /// What it measures to.
    pub(crate) targets: Vec<Ipv4Addr>,
}

pub(crate) struct Street {
    _directory: TempDir,
    pub(crate) control: Arc<SqliteControl>,
    telemetry: Arc<SqliteTelemetry>,
    machines: Vec<Machine>,
    blocks: u64,
}

impl Street {
    /// Houses by their regions, with these machines, each in a subnet of its own.
    pub(crate) fn new(regions: &[&str], machines: Vec<Machine>) -> Self {
        let street = Self::without_agents(regions, machines);
        for number in 0..street.machines.len() {
            let agent = NewAgent {
                id: agent_id(number),
                name: format!("machine-{number}"),
                secret_sha256: [0; 32],
                simulated: true,
                binding: Binding::Subnet { prefix: subnet(number).parse().unwrap(), egress: None },
                added: midnight(FIRST),
            };
            street.control.add_agent(&agent, &Act::by_operator(midnight(FIRST))).unwrap();
        }
        street
    }

    /// The same with machines that were let in by tokens for their houses.
    pub(crate) fn enrolled(regions: &[&str], machines: Vec<Machine>) -> Self {
        let street = Self::without_agents(regions, machines);
        let (at, until) = (midnight(FIRST), midnight(FIRST.saturating_add(400.days())));
        let buildings = street.control.buildings().unwrap();
        for (number, machine) in street.machines.iter().enumerate() {
            let named = house(machine.house);
            let building = buildings.iter().find(|one| one.name == named).unwrap().id;
            let (key, secret_sha256) = ([number as u8; 32], [7; 32]);
            let token = TokenId::from_bits(number as u64);
            let place = TokenPlace { building, subnet: None };
            let made = NewToken {
                id: token,
                secret_sha256,
                place,
                peers: None,
                uses: 1,
                approval: Approval::Automatic,
                expires: until,
            };
            street.control.add_token(&made, &Act::by_operator(at)).unwrap();
            let serial = [number as u8; 16];
            let certificate = AgentCertificate { serial, key_sha256: key, from: at, until };
            let agent = agent_id(number);
            let asked = Enrolment { token, secret_sha256, peer: None, agent, certificate, at };
            street.control.enrol(&asked).unwrap().unwrap();
            street.see(number, FIRST, &subnet(number));
        }
        street
    }

    /// A machine is seen with this address at the beginning of a date.
    pub(crate) fn see(&self, number: usize, date: Date, local: &str) {
        let sighting = Sighting {
            at: midnight(date),
            version: String::new(),
            os: String::new(),
            local_prefix: Some(local.parse().unwrap()),
            peer: None,
        };
        self.control.saw_agent(agent_id(number), &sighting).unwrap();
    }

    fn without_agents(regions: &[&str], machines: Vec<Machine>) -> Self {
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
        let act = Act::by_operator(midnight(FIRST));
        control.import_buildings(&building_file(regions, &machines), &act).unwrap();
        Self { _directory: directory, control, telemetry, machines, blocks: 0 }
    }

    /// Delivers a date of all machines. `bad` tells for a machine, a target of its and a minute of the
    /// day how many windows of that quarter-hour lose too much.
    pub(crate) fn deliver(&mut self, date: Date, bad: &dyn Fn(usize, usize, u16) -> u32) {
        self.blocks += 1;
        for number in 0..self.machines.len() {
            let mut windows = Vec::new();
            for target in 0..self.machines[number].targets.len() {
                for quarter in 0..96u16 {
                    let bad = bad(number, target, quarter * 15);
                    let of = |window| self.window(number, target, (date, quarter, window), bad);
                    windows.extend((0..WINDOWS).map(of));
                }
            }
            let rows = BlockRows {
                agent: agent_id(number),
                epoch: Epoch(1),
                block: BlockNo(self.blocks),
                received: noon_after(date),
                schedules: vec![Schedule {
                    revision: ScheduleRevision(1),
                    period_us: QUARTER_US / u64::from(WINDOWS),
                }],
                windows,
                others: Vec::new(),
                quarantined: Vec::new(),
            };
            self.telemetry.append(&[rows]).unwrap();
        }
    }

    /// A judge that starts.
    pub(crate) fn judge(&self) -> Judge {
        let (telemetry, control) = (self.telemetry.clone(), self.control.clone());
        Judge::new(telemetry, control, Duration::from_secs(60), Arc::new(Notify::new()))
    }

    /// A judge that starts and looks at all there is, at noon after a date.
    pub(crate) fn judge_after(&self, date: Date) {
        let judge = self.judge();
        let ended = (0..50).any(|_| !judge.judge_once(noon_after(date)).unwrap().more);
        assert!(ended, "it never ends");
    }

    /// All incidents, by number.
    pub(crate) fn incidents(&self) -> Vec<Incident> {
        let mut incidents = self.control.incidents(true).unwrap();
        incidents.sort_by_key(|incident| incident.number);
        incidents
    }

    /// The one alert that is open.
    pub(crate) fn alert(&self) -> Incident {
        let mut open = self.incidents();
        open.retain(|one| one.kind.alerts() && one.is_open());
        assert_eq!(open.len(), 1, "{open:?}");
        open.remove(0)
    }

    /// The numbers of the paths of a house.
    pub(crate) fn paths_of(&self, house: usize) -> Vec<busyhour_model::PathId> {
        let is_there = |agent: AgentId| {
            let mut all = self.machines.iter().enumerate();
            all.any(|(number, one)| one.house == house && agent_id(number) == agent)
        };
        let rows = self.telemetry.paths(None).unwrap().into_iter();
        rows.filter(|row| is_there(row.agent)).map(|row| row.id).collect()
    }

    fn window(
        &self,
        number: usize,
        target: usize,
        (date, quarter, window): (Date, u16, u32),
        bad: u32,
    ) -> JudgedWindow {
        let machine = &self.machines[number];
        let address = machine.targets[target];
        let key = PathKey {
            link: Link::new(machine.link, "if0").unwrap(),
            family: AddressFamily::Ipv4,
            target: TargetName::new(format!("{address}:862")).unwrap(),
            class: TrafficClass::Audio,
            profile: ProfileName::new("audio-50").unwrap(),
            transport: Transport::Udp,
        };
        let within =
            u64::from(quarter) * QUARTER_US + u64::from(window) * QUARTER_US / u64::from(WINDOWS);
        let placed = midnight(date).plus(Duration::from_micros(within));
        let window = made(key, window < bad);
        let table = limits_in_force(REQUIREMENT, placed).unwrap();
        JudgedWindow {
            placed,
            stamp: Stamp::new(placed, BootMicros(0), BootId::from_u128(1), 15_000_000).unwrap(),
            schedule: ScheduleRevision(1),
            context: Context {
                local_prefix: Some(subnet(number).parse().unwrap()),
                resolved: Some(SocketAddr::new(IpAddr::V4(address), 862)),
                reflexive: machine.seen_from.map(IpAddr::V4),
            },
            requirement: REQUIREMENT,
            limits: table.version,
            verdict: table.judge(&window),
            window,
        }
    }
}

/// A window that lost twelve packets, or none.
fn made(key: PathKey, is_bad: bool) -> Window {
    let lost = if is_bad { 12 } else { 0 };
    let counts = PacketCounts::new(PACKETS, PACKETS, [0, 0, lost], 0, 0).unwrap();
    let mut parts = WindowParts::new(key, 50, counts);
    parts.burst = Some(BurstLoss::new(lost.min(1), 10).unwrap());
    let mut histogram = Histogram::new();
    histogram.record(20_000);
    (parts.rtt, parts.rtt_median_us) = (histogram, Some(20_000));
    Window::new(parts).unwrap()
}

/// Dates from the first Monday on.
pub(crate) fn dates(count: i64) -> Vec<Date> {
    (0..count).map(|day| FIRST.saturating_add(day.days())).collect()
}

fn midnight(date: Date) -> UtcMicros {
    let zoned = date.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap();
    UtcMicros(zoned.timestamp().as_microsecond())
}

fn agent_id(number: usize) -> AgentId {
    AgentId::from_u128(number as u128 + 1)
}

pub(crate) fn subnet(number: usize) -> String {
    format!("10.0.{number}.0/24")
}

/// The name of a house.
pub(crate) fn house(number: usize) -> String {
    match u8::try_from(number) {
        Ok(letter @ ..26) => format!("House {}", char::from(b'A' + letter)),
        _ => format!("House {number}"),
    }
}

fn building_file(regions: &[&str], machines: &[Machine]) -> Vec<FileBuilding> {
    let building = |(number, region): (usize, &&str)| {
        let own = machines.iter().enumerate().filter(|(_, machine)| machine.house == number);
        let network = |(at, machine): (usize, &Machine)| FileSubnet {
            prefix: subnet(at).parse().unwrap(),
            egress: None,
            columns: NetworkColumns {
                network_name: format!("Net {at}"),
                ownership_type: String::new(),
                building_type: String::new(),
                building_office_type: String::new(),
                city: String::new(),
                zip_code: String::new(),
                country: "DE".to_owned(),
                state: String::new(),
                region: (*region).to_owned(),
                inside_corp: true,
                express_route: false,
                vpn: machine.link == LinkKind::Vpn,
            },
        };
        FileBuilding {
            name: house(number),
            city: String::new(),
            country: "DE".to_owned(),
            region: (*region).to_owned(),
            time_zone: Some("UTC".to_owned()),
            business_hours: Some("Mo-Fr 08:00-18:00".parse().unwrap()),
            holidays: BTreeSet::new(),
            subnets: own.map(network).collect(),
        }
    };
    regions.iter().enumerate().map(building).collect()
}
