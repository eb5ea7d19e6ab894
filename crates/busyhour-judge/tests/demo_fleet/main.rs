//! The judge over the real store, with simulated histories: each building comes out as designed.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod watched;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use busyhour_judge::{Judge, Summary};
use busyhour_model::{
    AgentId, BlockNo, Body, Building, Change, DaySummary, DayVerdict, Epoch, FileBuilding,
    FileSubnet, Incident, IncidentPlace, IncidentState, LinkKind, NetworkColumns, PacketCounts,
    Record, RequirementProfile, Schedule, Scope, TargetName, UtcMicros, Window, WindowParts,
    limits_in_force,
};
use busyhour_sim::{Condition, Fleet, SimAgent, demo_fleet};
use busyhour_store::{
    Act, Binding, BlockRows, Control, JudgedWindow, NewAgent, Retention, Sighting, SqliteControl,
    SqliteTelemetry, Telemetry, open,
};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Thursday 2026-10-29, 20:00 UTC.
const NOW: UtcMicros = UtcMicros::from_secs(1_793_304_000);
/// The days that are loaded: five business days and a weekend.
const DAYS: usize = 8;

struct Bench {
    _directory: TempDir,
    telemetry: Arc<SqliteTelemetry>,
    control: Arc<SqliteControl>,
    judge: Judge,
    fleet: Fleet,
}

impl Bench {
    fn new() -> Self {
        Self::with(file_of, |agent| Binding::Subnet { prefix: agent.subnet_prefix, egress: None })
    }

    /// One whose first building file and whose agents' bindings are made by `file` and `binding`.
    fn with(file: fn(&Fleet) -> Vec<FileBuilding>, binding: fn(&SimAgent) -> Binding) -> Self {
        Self::of(file, binding, &|_| true)
    }

    /// The same, where some agents call themselves real.
    fn of(
        file: fn(&Fleet) -> Vec<FileBuilding>,
        binding: fn(&SimAgent) -> Binding,
        simulated: &dyn Fn(AgentId) -> bool,
    ) -> Self {
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
        let fleet = demo_fleet(11, NOW);
        control.import_buildings(&file(&fleet), &Act::by_operator(NOW)).unwrap();
        for (id, agent) in (1u128..).zip(&fleet.agents) {
            let agent = NewAgent {
                id: AgentId::from_u128(id),
                name: agent.name.clone(),
                secret_sha256: [0; 32],
                simulated: simulated(AgentId::from_u128(id)),
                binding: binding(agent),
                added: NOW,
            };
            control.add_agent(&agent, &Act::by_operator(NOW)).unwrap();
        }
        let judge = Judge::new(
            telemetry.clone(),
            control.clone(),
            Duration::from_secs(60),
            Arc::new(Notify::new()),
        );
        Self { _directory: directory, telemetry, control, judge, fleet }
    }

    /// Loads the newest days of the agents of a building, one path each and every third minute:
    /// five windows a quarter-hour are enough to judge by.
    fn load(&self, condition: Condition) {
        let building = &self.simulated(condition).name;
        for (id, agent) in (1u128..).zip(&self.fleet.agents) {
            if agent.building == *building {
                self.load_agent(AgentId::from_u128(id), agent);
            }
        }
    }

    fn load_agent(&self, id: AgentId, agent: &SimAgent) {
        for block in 1..=DAYS {
            self.load_block(id, agent, block);
        }
    }

    /// Loads one day, counted from the newest.
    fn load_block(&self, id: AgentId, agent: &SimAgent, block: usize) {
        let day = self.fleet.days_newest_first().nth(block - 1).unwrap();
        let windows = agent.day(day).into_iter().filter_map(|record| judged(record, agent));
        self.append(id, block, windows.collect());
    }

    /// Loads one day as measured towards a target that has been given up since.
    fn load_former_target(&self, id: AgentId, agent: &SimAgent, block: usize) {
        let day = self.fleet.days_newest_first().nth(block - 1).unwrap();
        let windows = agent.day(day).into_iter().filter_map(|record| judged(record, agent));
        let elsewhere = |mut judged: JudgedWindow| {
            let mut parts = judged.window.clone().into_parts();
            parts.path.target = TargetName::new("former").unwrap();
            judged.window = Window::new(parts).unwrap();
            judged
        };
        self.append(id, 100 + block, windows.map(elsewhere).collect());
    }

    /// Loads the newest days as if nothing had come back.
    fn load_failing(&self, id: AgentId, agent: &SimAgent) {
        for (block, day) in (1..=DAYS).zip(self.fleet.days_newest_first()) {
            let mut windows: Vec<JudgedWindow> =
                agent.day(day).into_iter().filter_map(|record| judged(record, agent)).collect();
            windows.iter_mut().for_each(fail);
            self.append(id, block, windows);
        }
    }

    fn append(&self, agent: AgentId, block: usize, windows: Vec<JudgedWindow>) {
        let rows = BlockRows {
            agent,
            epoch: Epoch(1),
            block: BlockNo(block as u64),
            received: NOW,
            schedules: vec![Schedule { period_us: 180_000_000, ..self.fleet.schedule }],
            windows,
            others: Vec::new(),
            quarantined: Vec::new(),
        };
        self.telemetry.append(&[rows]).unwrap();
    }

    fn simulated(&self, condition: Condition) -> &busyhour_sim::SimBuilding {
        let found = self.fleet.buildings.iter().find(|b| b.truth.condition == condition);
        found.unwrap()
    }

    fn building(&self, condition: Condition) -> Building {
        let name = &self.simulated(condition).name;
        self.control.buildings().unwrap().into_iter().find(|b| b.name == *name).unwrap()
    }

    /// The agents of a building.
    fn agents(&self, condition: Condition) -> Vec<(AgentId, &SimAgent)> {
        let building = &self.simulated(condition).name;
        let all = (1u128..).map(AgentId::from_u128).zip(&self.fleet.agents);
        all.filter(|(_, agent)| agent.building == *building).collect()
    }

    /// A judge that starts anew and looks at everything again.
    fn restarted(self) -> Self {
        let (telemetry, control) = (self.telemetry.clone(), self.control.clone());
        let judge =
            Judge::new(telemetry, control, Duration::from_secs(60), Arc::new(Notify::new()));
        Self { judge, ..self }
    }

    /// Judges until nothing waits; gives the sums.
    fn judge(&self) -> Summary {
        self.judge_at(NOW)
    }

    fn judge_at(&self, now: UtcMicros) -> Summary {
        let mut sum = Summary::default();
        for _ in 0..50 {
            let round = self.judge.judge_once(now).unwrap();
            sum.dates += round.dates;
            sum.days_written += round.days_written;
            sum.incidents_written += round.incidents_written;
            sum.told += round.told;
            if !round.more {
                return sum;
            }
        }
        panic!("it never ends");
    }

    /// The building's own rows of observed days, oldest first.
    fn days(&self, condition: Condition) -> Vec<DaySummary> {
        let building = self.building(condition).id;
        let (from, until) = (jiff::civil::date(2026, 10, 1), jiff::civil::date(2026, 11, 1));
        let days = self.control.days(Some(building), from, until).unwrap();
        days.into_iter()
            .filter(|day| day.scope == Scope::Building(building) && day.verdict.is_observed())
            .collect()
    }

    /// The alert of a building that was ever opened.
    fn incident(&self, condition: Condition) -> Option<Incident> {
        let building = self.building(condition).id;
        let mut own: Vec<Incident> = self.control.incidents(true).unwrap();
        own.retain(|one| one.building == building && one.kind.alerts() && one.openings > 0);
        assert!(own.len() <= 1, "{own:?}");
        own.pop()
    }
}

fn judged(record: Record, agent: &SimAgent) -> Option<JudgedWindow> {
    let Body::Window(window) = record.body else { return None };
    let minute = record.stamp.started.as_secs() / 60;
    if minute % 3 != 0 || window.path != agent.paths[0] {
        return None;
    }
    let requirement = RequirementProfile::ClientToMicrosoftEdge;
    let table = limits_in_force(requirement, record.stamp.started)?;
    Some(JudgedWindow {
        placed: record.stamp.started,
        stamp: record.stamp,
        schedule: record.schedule,
        context: record.context,
        requirement,
        limits: table.version,
        verdict: table.judge(&window),
        window: *window,
    })
}

/// Nothing comes back.
fn fail(judged: &mut JudgedWindow) {
    let counts = PacketCounts::new(750, 750, [0, 0, 750], 0, 0).unwrap();
    let window = &judged.window;
    let parts = WindowParts::new(window.path.clone(), window.rate_pps, counts);
    judged.window = Window::new(parts).unwrap();
    let table = limits_in_force(judged.requirement, judged.placed).unwrap();
    judged.verdict = table.judge(&judged.window);
}

fn file_of(fleet: &Fleet) -> Vec<FileBuilding> {
    let subnet = |row: &Vec<&str>| FileSubnet {
        prefix: format!("{}/{}", row[0], row[2]).parse().unwrap(),
        egress: None,
        columns: NetworkColumns {
            network_name: row[1].to_owned(),
            ownership_type: row[4].to_owned(),
            building_type: row[5].to_owned(),
            building_office_type: row[6].to_owned(),
            city: row[7].to_owned(),
            zip_code: row[8].to_owned(),
            country: row[9].to_owned(),
            state: row[10].to_owned(),
            region: row[11].to_owned(),
            inside_corp: true,
            express_route: false,
            vpn: false,
        },
    };
    let rows: Vec<Vec<&str>> =
        fleet.building_file.lines().map(|line| line.split(',').collect()).collect();
    fleet
        .buildings
        .iter()
        .map(|building| {
            let own = || rows.iter().filter(|row| row[3] == building.name);
            let first = own().next().unwrap();
            FileBuilding {
                name: building.name.clone(),
                city: first[7].to_owned(),
                country: first[9].to_owned(),
                region: first[11].to_owned(),
                time_zone: building.time_zone.iana_name().map(str::to_owned),
                business_hours: Some("Mo-Fr 08:00-18:00".parse().unwrap()),
                holidays: BTreeSet::new(),
                subnets: own().map(subnet).collect(),
            }
        })
        .collect()
}

#[test]
fn the_masked_building_is_found_told_once_and_judged_without_noise() {
    let bench = Bench::new();
    bench.load(Condition::MaskedPeak);
    assert_eq!(bench.judge().told, 1);
    let days = bench.days(Condition::MaskedPeak);
    assert!(days.len() >= 5, "{days:?}");
    for day in &days {
        assert_eq!(day.verdict, DayVerdict::PeakBad, "{}", day.date);
        assert_eq!(day.bad_quarters, (600..720).step_by(15).collect::<Vec<u16>>());
        assert!(day.masked && day.average.unwrap().passes);
        assert!(day.masking_factor.unwrap() > 5.0, "{:?}", day.masking_factor);
    }
    let incident = bench.incident(Condition::MaskedPeak).unwrap();
    assert_eq!(incident.state, IncidentState::Open);
    let building = bench.building(Condition::MaskedPeak).id;
    assert_eq!(incident.place, IncidentPlace::Building(building));
    assert_eq!(incident.hours, [(600, 720)]);
    assert!(incident.masked && incident.simulated);
    let worst = incident.worst_hour.unwrap();
    assert!(worst.bad * 20 >= worst.valid && (600..720).contains(&worst.start_minute));
    assert!(incident.sentence.contains("between 10:00 and 12:00"), "{}", incident.sentence);

    // Nothing new: nothing is written. The same blocks again: nothing either.
    let nothing = Summary::default();
    assert_eq!(bench.judge(), nothing);
    bench.load(Condition::MaskedPeak);
    assert_eq!(bench.judge(), nothing);
    // A judge that starts anew looks at everything again, and has nothing to say.
    let bench = bench.restarted();
    let summary = bench.judge();
    assert!(summary.dates >= 30);
    assert_eq!((summary.days_written, summary.incidents_written, summary.told), (0, 0, 0));
}

#[test]
fn a_healthy_building_and_a_single_bad_hour_tell_nobody() {
    let bench = Bench::new();
    bench.load(Condition::Healthy);
    bench.load(Condition::SingleBadHour);
    assert_eq!(bench.judge().told, 0);
    let healthy = bench.days(Condition::Healthy);
    assert!(healthy.len() >= 5);
    assert!(healthy.iter().all(|day| day.verdict == DayVerdict::Good), "{healthy:?}");
    let bad: Vec<_> = bench
        .days(Condition::SingleBadHour)
        .into_iter()
        .filter(|day| day.verdict.is_bad())
        .collect();
    assert_eq!(bad.len(), 1, "the one-hour fault is found, and only that");
    let truth = &bench.simulated(Condition::SingleBadHour).truth;
    assert_eq!(Some(bad[0].date), truth.date);
    let start = bad[0].worst_hour.unwrap().start_minute;
    assert!(start.abs_diff(truth.from_minute) <= 15, "{start}");
    assert_eq!(bench.incident(Condition::SingleBadHour), None);
    let suspected = bench.control.incidents(false).unwrap();
    assert!(suspected.iter().all(|one| one.openings == 0 || !one.kind.alerts()), "{suspected:?}");
}

#[test]
fn always_bad_is_bad_all_day_and_not_masked() {
    let bench = Bench::new();
    bench.load(Condition::AlwaysBad);
    assert_eq!(bench.judge().told, 1);
    let days = bench.days(Condition::AlwaysBad);
    assert!(days.iter().all(|day| day.verdict == DayVerdict::AllDayBad && !day.masked));
    let incident = bench.incident(Condition::AlwaysBad).unwrap();
    assert!(incident.sentence.contains("all day"), "{}", incident.sentence);
    assert!(incident.sentence.contains("The daily average fails too"), "{}", incident.sentence);
}

#[test]
fn one_subnet_of_three_is_named() {
    let bench = Bench::new();
    bench.load(Condition::OneSubnet);
    assert_eq!(bench.judge().told, 1);
    let incident = bench.incident(Condition::OneSubnet).unwrap();
    let subnet =
        bench.control.subnets().unwrap().into_iter().find(|s| Some(s.id) == incident.subnet());
    assert_eq!(Some(subnet.unwrap().prefix), bench.simulated(Condition::OneSubnet).truth.subnet);
    assert_eq!(incident.hours, [(780, 900)]);
    assert!(incident.sentence.contains("Atendimento"), "{}", incident.sentence);
    assert!(incident.sentence.contains("1 of 1 paths suffer"), "{}", incident.sentence);
}

#[test]
fn wifi_alone_is_named_though_its_agent_is_off_half_the_time() {
    let bench = Bench::new();
    bench.load(Condition::WifiOnly);
    assert_eq!(bench.judge().told, 1);
    let incident = bench.incident(Condition::WifiOnly).unwrap();
    assert_eq!(incident.link(), Some(LinkKind::Wifi));
    assert_eq!(incident.hours, [(840, 960)]);
    assert!(incident.sentence.contains("on Wi-Fi only"), "{}", incident.sentence);
}

#[test]
fn data_that_comes_agent_by_agent_and_newest_first_tells_once() {
    let bench = Bench::new();
    let building = bench.simulated(Condition::MaskedPeak).name.clone();
    let mut told = 0;
    let mut identities = BTreeSet::new();
    for (id, agent) in (1u128..).zip(&bench.fleet.agents) {
        if agent.building != building {
            continue;
        }
        for block in 1..=DAYS {
            bench.load_block(AgentId::from_u128(id), agent, block);
            told += bench.judge().told;
            identities.extend(bench.incident(Condition::MaskedPeak).map(|incident| incident.id));
        }
    }
    assert_eq!((told, identities.len()), (1, 1));
    let incident = bench.incident(Condition::MaskedPeak).unwrap();
    let building = bench.building(Condition::MaskedPeak).id;
    assert_eq!(incident.place, IncidentPlace::Building(building));
    assert_eq!(incident.first_bad, bench.days(Condition::MaskedPeak)[0].date);
}

#[test]
fn a_zone_that_becomes_known_judges_what_was_there_already() {
    let without_zones = |fleet: &Fleet| {
        let mut file = file_of(fleet);
        file.iter_mut().for_each(|building| building.time_zone = None);
        file
    };
    let bench = Bench::with(without_zones, |agent| Binding::Subnet {
        prefix: agent.subnet_prefix,
        egress: None,
    });
    bench.load(Condition::OneSubnet);
    assert_eq!(bench.judge().days_written, 0, "without a zone nothing is judged");
    bench.control.import_buildings(&file_of(&bench.fleet), &Act::by_operator(NOW)).unwrap();
    assert_eq!(bench.judge().told, 1);
    assert!(bench.incident(Condition::OneSubnet).is_some());
}

#[test]
fn a_target_at_fault_is_reported_and_blames_no_building() {
    let bench = Bench::new();
    for condition in [Condition::Healthy, Condition::SingleBadHour, Condition::OneSubnet] {
        let building = &bench.simulated(condition).name;
        for (id, agent) in (1u128..).zip(&bench.fleet.agents) {
            if agent.building == *building {
                bench.load_failing(AgentId::from_u128(id), agent);
            }
        }
    }
    assert_eq!(bench.judge().told, 0);
    let faults = bench.judge.status().target_faults();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].target, bench.fleet.targets[0]);
    for condition in [Condition::Healthy, Condition::SingleBadHour, Condition::OneSubnet] {
        assert_eq!(bench.days(condition), [], "unknown, neither good nor bad");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_runs_until_it_is_told_to_stop() {
    let Bench { _directory, judge, .. } = Bench::new();
    let status = judge.status();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(judge.run(shutdown.clone()));
    let judged = async {
        while status.last_judged().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), judged).await.unwrap();
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(30), running).await.unwrap().unwrap();
    assert_eq!(status.failures(), 0);
}

#[test]
fn a_subnet_that_moves_takes_its_later_days_with_it() {
    let bench = Bench::new();
    let moved = NOW.minus(Duration::from_secs(3 * 24 * 3600));
    let mut file = file_of(&bench.fleet);
    let from = file.iter().position(|b| b.subnets.len() == 3).unwrap();
    let subnet = file[from].subnets.remove(0);
    let to = (from + 1) % file.len();
    file[to].time_zone = file[from].time_zone.clone();
    file[to].subnets.push(subnet.clone());
    bench.control.import_buildings(&file, &Act::by_operator(moved)).unwrap();
    bench.load(Condition::OneSubnet);
    bench.judge();
    let (old, new) = (file[from].name.as_str(), file[to].name.as_str());
    let buildings = bench.control.buildings().unwrap();
    let named = |name: &str| buildings.iter().find(|b| b.name == name).unwrap().id;
    let (since, until) = (jiff::civil::date(2026, 10, 1), jiff::civil::date(2026, 11, 1));
    let bad_days = |name: &str| -> Vec<jiff::civil::Date> {
        let days = bench.control.days(Some(named(name)), since, until).unwrap();
        let own = |day: &&DaySummary| matches!(day.scope, Scope::Subnet(..));
        days.iter().filter(own).filter(|day| day.verdict.is_bad()).map(|day| day.date).collect()
    };
    // Moved on Monday the 26th at 17:00 local time: that day belongs to where it was at noon.
    let dates = |days: &[i8]| -> Vec<jiff::civil::Date> {
        days.iter().map(|&day| jiff::civil::date(2026, 10, day)).collect()
    };
    assert_eq!(bad_days(old), dates(&[22, 23, 26]));
    assert_eq!(bad_days(new), dates(&[27, 28, 29]));
}

const DAY: Duration = Duration::from_secs(24 * 3600);

#[test]
fn a_building_whose_agents_fell_silent_is_unknown() {
    let bench = Bench::new();
    for (id, agent) in bench.agents(Condition::Healthy) {
        // Silent since the evening of Monday the 26th.
        (4..=DAYS).for_each(|block| bench.load_block(id, agent, block));
    }
    bench.judge();
    let building = bench.building(Condition::Healthy).id;
    let verdicts = |from: i8, until: i8, month: i8| -> Vec<(DayVerdict, bool)> {
        let date = |day| jiff::civil::date(2026, month, day);
        let days = bench.control.days(Some(building), date(from), date(until)).unwrap();
        days.iter()
            .filter(|day| day.scope == Scope::Building(building))
            .map(|day| (day.verdict, day.expected > 0))
            .collect()
    };
    assert_eq!(verdicts(23, 23, 10), [(DayVerdict::Good, true)]);
    assert_eq!(verdicts(27, 29, 10), [(DayVerdict::Missing, true); 3]);
    // Two weeks later nothing has come from anybody: each day that is over is unknown, too.
    for days in 1..=14 {
        bench.judge_at(NOW.plus(DAY * days));
    }
    assert_eq!(verdicts(9, 11, 11), [(DayVerdict::Missing, true); 3]);
}

#[test]
fn adding_an_agent_leaves_the_days_before_it_as_they_were() {
    let bench = Bench::new();
    let building = bench.building(Condition::OneSubnet).id;
    let agents = bench.agents(Condition::OneSubnet);
    let ((late, added), rest) = agents.split_last().unwrap();
    assert!(!rest.is_empty());
    for (id, agent) in rest {
        bench.load_agent(*id, agent);
    }
    bench.judge();
    let before = |bench: &Bench| {
        let (from, until) = (jiff::civil::date(2026, 10, 1), jiff::civil::date(2026, 10, 27));
        bench.control.days(Some(building), from, until).unwrap()
    };
    let as_it_was = before(&bench);
    assert!(as_it_was.iter().any(|day| day.verdict == DayVerdict::Good));
    bench.load_block(*late, added, 1);
    let bench = bench.restarted();
    assert!(bench.judge().days_written > 0);
    assert!(before(&bench) == as_it_was);
}

#[test]
fn a_simulated_agent_that_moved_is_still_simulated() {
    let bench = Bench::with(file_of, |_| Binding::Address);
    let saw = |id, prefix, at| {
        let sighting = Sighting {
            at,
            version: String::new(),
            os: String::new(),
            local_prefix: Some(prefix),
            peer: None,
        };
        bench.control.saw_agent(id, &sighting).unwrap();
    };
    let agents = bench.agents(Condition::OneSubnet);
    agents.iter().for_each(|(id, agent)| saw(*id, agent.subnet_prefix, NOW.minus(DAY * 20)));
    bench.load(Condition::OneSubnet);
    let bad = bench.simulated(Condition::OneSubnet).truth.subnet.unwrap();
    let elsewhere = agents.iter().find(|(_, agent)| agent.subnet_prefix != bad).unwrap().1;
    for (id, _) in agents.iter().filter(|(_, agent)| agent.subnet_prefix == bad) {
        saw(*id, elsewhere.subnet_prefix, NOW.minus(Duration::from_secs(60)));
    }
    assert_eq!(bench.judge().told, 1);
    assert!(bench.incident(Condition::OneSubnet).unwrap().simulated);
}

#[test]
fn an_incident_whose_subnet_left_the_building_file_is_closed() {
    let bench = Bench::new();
    bench.load(Condition::OneSubnet);
    assert_eq!(bench.judge().told, 1);
    let bad = bench.simulated(Condition::OneSubnet).truth.subnet.unwrap();
    let mut file = file_of(&bench.fleet);
    file.iter_mut().for_each(|building| building.subnets.retain(|subnet| subnet.prefix != bad));
    let later = NOW.plus(Duration::from_secs(60));
    bench.control.import_buildings(&file, &Act::by_operator(later)).unwrap();
    assert_eq!(bench.judge_at(later).told, 1);
    let incident = bench.incident(Condition::OneSubnet).unwrap();
    assert_eq!((incident.state, incident.change), (IncidentState::Closed, Change::Gone));
    assert!(incident.sentence.ends_with("no longer watched."), "{}", incident.sentence);
    assert_eq!(bench.judge_at(later), Summary::default());
}

#[test]
fn subnets_whose_agents_are_long_gone_leave_the_building_unknown() {
    let bench = Bench::new();
    let bad = bench.simulated(Condition::OneSubnet).truth.subnet.unwrap();
    let agents = bench.agents(Condition::OneSubnet);
    let (live, gone): (Vec<_>, Vec<_>) =
        agents.into_iter().partition(|(_, agent)| agent.subnet_prefix != bad);
    let ((id, agent), more_gone) = live.split_first().unwrap();
    bench.load_agent(*id, agent);
    for (id, agent) in gone.iter().chain(more_gone) {
        bench.load_block(*id, agent, DAYS + 4);
    }
    bench.judge();
    let building = bench.building(Condition::OneSubnet).id;
    let date = jiff::civil::date(2026, 10, 28);
    let days = bench.control.days(Some(building), date, date).unwrap();
    let of = |scope| days.iter().find(|day| day.scope == scope).unwrap().verdict;
    assert_eq!(of(Scope::Agent(*id, LinkKind::Wired)), DayVerdict::Good);
    // One subnet of three is too little to call the building good.
    assert_eq!(of(Scope::Building(building)), DayVerdict::Missing);
}

#[test]
fn a_target_that_was_given_up_is_expected_no_longer() {
    let bench = Bench::new();
    let building = bench.building(Condition::Healthy).id;
    let agents = bench.agents(Condition::Healthy);
    for (id, agent) in &agents {
        bench.load_agent(*id, agent);
        bench.load_former_target(*id, agent, DAYS + 4);
    }
    bench.judge();
    let expected = |day| {
        let date = jiff::civil::date(2026, 10, day);
        let days = bench.control.days(Some(building), date, date).unwrap();
        let own = days.into_iter().find(|day| day.scope == Scope::Building(building)).unwrap();
        (own.verdict, own.expected as usize / agents.len())
    };
    assert_eq!(expected(22), (DayVerdict::Good, 400), "it may come back");
    assert_eq!(expected(28), (DayVerdict::Good, 200));
}
