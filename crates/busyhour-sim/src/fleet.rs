//! The fleet of the demonstration: six buildings, each with its own trouble.

use busyhour_model::{
    LinkKind, LocalDay, Schedule, ScheduleRevision, SlotStart, TargetName, UtcMicros,
};
use ipnet::IpNet;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::agent::{AgentParts, SimAgent};
use crate::truth::{Condition, Truth, is_workday};

/// How many days of UTC the history of a fleet has, the day of its end included.
pub const HISTORY_DAYS: i64 = 28;

/// Business hours of every building of the demonstration.
const BUSINESS_HOURS: &str = "Mo-Fr 08:00-18:00";
/// The targets that every agent talks to: two, so that one at fault can be told apart.
const TARGETS: [&str; 2] = ["edge-1.media.example:862", "edge-2.media.example:862"];

/// A simulated organisation with four weeks of history.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The building file, in the Call Quality Dashboard format.
    pub building_file: String,
    /// The companion table: time zones and business hours.
    pub companion: String,
    /// The buildings, with what is wrong in each.
    pub buildings: Vec<SimBuilding>,
    /// The agents; those of the masked building come first.
    pub agents: Vec<SimAgent>,
    /// The schedule that all windows ran under: one a minute.
    pub schedule: Schedule,
    /// The targets that all agents talk to.
    pub targets: Vec<TargetName>,
    first_day: i64,
    last_day: i64,
}

impl Fleet {
    /// The days of its history, in days of UTC since 1970, newest first. The newest one ends at
    /// the moment that the fleet was built for.
    pub fn days_newest_first(&self) -> impl DoubleEndedIterator<Item = i64> + use<> {
        (self.first_day..=self.last_day).rev()
    }
}

/// A simulated building.
#[derive(Debug, Clone)]
pub struct SimBuilding {
    /// Its name in the building file.
    pub name: String,
    /// Its time zone.
    pub time_zone: TimeZone,
    /// What is wrong in it.
    pub truth: Truth,
}

struct Plan {
    name: &'static str,
    zone: &'static str,
    /// City, postal code, country, state, region.
    place: [&'static str; 5],
    condition: Condition,
    /// Round-trip time to the targets when nothing else is on the way, in microseconds.
    base_rtt_us: u32,
    subnets: &'static [PlannedSubnet],
}

struct PlannedSubnet {
    prefix: &'static str,
    name: &'static str,
    links: &'static [LinkKind],
}

const fn subnet(
    prefix: &'static str,
    name: &'static str,
    links: &'static [LinkKind],
) -> PlannedSubnet {
    PlannedSubnet { prefix, name, links }
}

const WIRED: &[LinkKind] = &[LinkKind::Wired];
const WIFI: &[LinkKind] = &[LinkKind::Wifi];
const BOTH: &[LinkKind] = &[LinkKind::Wired, LinkKind::Wifi];

const PLANS: &[Plan] = &[
    Plan {
        name: "Berlin HQ",
        zone: "Europe/Berlin",
        place: ["Berlin", "10117", "DE", "", "EMEA"],
        condition: Condition::MaskedPeak,
        base_rtt_us: 21_000,
        subnets: &[
            subnet("10.10.16.0/22", "Floors 1-3", WIRED),
            subnet("10.10.32.0/22", "Floors 4-6", BOTH),
        ],
    },
    Plan {
        name: "Seattle Campus",
        zone: "America/Los_Angeles",
        place: ["Seattle", "98101", "US", "WA", "AMER"],
        condition: Condition::Healthy,
        base_rtt_us: 9_000,
        subnets: &[
            subnet("10.20.0.0/21", "North wing", WIRED),
            subnet("10.20.8.0/21", "South wing Wi-Fi", WIFI),
        ],
    },
    Plan {
        name: "London Bridge House",
        zone: "Europe/London",
        place: ["London", "SE1 9RA", "GB", "", "EMEA"],
        condition: Condition::SingleBadHour,
        base_rtt_us: 14_000,
        subnets: &[
            subnet("10.30.4.0/23", "Level 2", WIRED),
            subnet("10.30.6.0/23", "Level 3", WIRED),
        ],
    },
    Plan {
        name: "Bengaluru Tower",
        zone: "Asia/Kolkata",
        place: ["Bengaluru", "560001", "IN", "KA", "APAC"],
        condition: Condition::AlwaysBad,
        base_rtt_us: 34_000,
        subnets: &[
            subnet("10.40.64.0/20", "Tower A", WIRED),
            subnet("10.40.80.0/20", "Tower B Wi-Fi", WIFI),
        ],
    },
    Plan {
        name: "São Paulo Centro",
        zone: "America/Sao_Paulo",
        place: ["São Paulo", "01010-000", "BR", "SP", "AMER"],
        condition: Condition::OneSubnet,
        base_rtt_us: 26_000,
        subnets: &[
            subnet("172.20.16.0/22", "Atendimento", WIRED),
            subnet("172.20.20.0/22", "Financeiro", WIRED),
            subnet("172.20.24.0/22", "Diretoria", WIRED),
        ],
    },
    Plan {
        name: "Sydney Quay",
        zone: "Australia/Sydney",
        place: ["Sydney", "2000", "AU", "NSW", "APAC"],
        condition: Condition::WifiOnly,
        base_rtt_us: 18_000,
        subnets: &[
            subnet("192.168.120.0/24", "Level 12", BOTH),
            subnet("192.168.121.0/24", "Level 13", WIRED),
        ],
    },
];

/// Builds the fleet of the demonstration: six buildings in as many time zones, 15 agents, 30 paths
/// and four weeks of history that end at `now`.
#[must_use]
pub fn demo_fleet(seed: u64, now: UtcMicros) -> Fleet {
    let targets: Vec<TargetName> = TARGETS.iter().map(|name| target(name)).collect();
    let schedule = Schedule { revision: ScheduleRevision(1), period_us: 60_000_000 };
    let last_day = now.0.div_euclid(24 * 3600 * 1_000_000);
    let first_day = last_day - HISTORY_DAYS + 1;
    let mut fleet = Fleet {
        building_file: String::new(),
        companion: "BuildingName,TimeZone,BusinessHours\r\n".to_owned(),
        buildings: Vec::new(),
        agents: Vec::new(),
        schedule,
        targets,
        first_day,
        last_day,
    };
    for plan in PLANS {
        fleet.add_building(plan, seed, now);
    }
    fleet
}

impl Fleet {
    fn add_building(&mut self, plan: &Plan, seed: u64, now: UtcMicros) {
        let time_zone = TimeZone::get(plan.zone).expect("the zone is in the bundled database");
        let truth = truth_of(plan, &time_zone, now);
        for planned in plan.subnets {
            let prefix = prefix(planned.prefix);
            self.building_file.push_str(&building_row(plan, planned));
            for &link in planned.links {
                let number = self.agents.len() as u64;
                self.agents.push(SimAgent::new(AgentParts {
                    name: agent_name(plan, planned, link),
                    building: plan.name.to_owned(),
                    subnet_prefix: prefix,
                    link,
                    time_zone: time_zone.clone(),
                    truth: truth.clone(),
                    base_rtt_us: plan.base_rtt_us,
                    targets: self.targets.clone(),
                    schedule: self.schedule,
                    seed: seed ^ (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                    history: (self.first_day, now),
                }));
            }
        }
        self.companion.push_str(&format!("{},{},{BUSINESS_HOURS}\r\n", plan.name, plan.zone));
        self.buildings.push(SimBuilding { name: plan.name.to_owned(), time_zone, truth });
    }
}

fn truth_of(plan: &Plan, zone: &TimeZone, now: UtcMicros) -> Truth {
    let truth = |from_minute, until_minute| Truth {
        condition: plan.condition,
        from_minute,
        until_minute,
        date: None,
        subnet: None,
        link: None,
    };
    let first = plan.subnets.first().map(|planned| prefix(planned.prefix));
    match plan.condition {
        Condition::Healthy => truth(0, 0),
        Condition::MaskedPeak => truth(10 * 60, 12 * 60),
        Condition::SingleBadHour => {
            let today = LocalDay::of(SlotStart::containing(now), zone).date;
            Truth { date: Some(workday_before(today)), ..truth(13 * 60 + 40, 14 * 60 + 40) }
        }
        Condition::AlwaysBad => truth(0, 24 * 60),
        Condition::OneSubnet => Truth { subnet: first, ..truth(13 * 60, 15 * 60) },
        Condition::WifiOnly => {
            Truth { subnet: first, link: Some(LinkKind::Wifi), ..truth(14 * 60, 16 * 60) }
        }
    }
}

/// The last whole workday before `today`.
fn workday_before(today: Date) -> Date {
    let mut date = today;
    loop {
        date = date.saturating_sub(1.day());
        if is_workday(date) {
            return date;
        }
    }
}

/// One row of the building file: NetworkIP, NetworkName, NetworkRange, BuildingName,
/// OwnershipType, BuildingType, BuildingOfficeType, City, ZipCode, Country, State, Region,
/// InsideCorp, ExpressRoute, VPN.
fn building_row(plan: &Plan, planned: &PlannedSubnet) -> String {
    let net = prefix(planned.prefix);
    let [city, zip, country, state, region] = plan.place;
    format!(
        "{},{},{},{},Fabrikam,Office,Mixed,{city},{zip},{country},{state},{region},1,0,0\r\n",
        net.network(),
        planned.name,
        net.prefix_len(),
        plan.name,
    )
}

/// Such as `sim-berlin-10.10.16.0-wired`.
fn agent_name(plan: &Plan, planned: &PlannedSubnet, link: LinkKind) -> String {
    let city = plan.name.split(' ').next().unwrap_or(plan.name).to_lowercase().replace('ã', "a");
    format!("sim-{city}-{}-{link}", prefix(planned.prefix).network())
}

fn prefix(text: &str) -> IpNet {
    text.parse().expect("the prefix is written in this file")
}

fn target(text: &str) -> TargetName {
    TargetName::new(text).expect("the name is written in this file")
}
