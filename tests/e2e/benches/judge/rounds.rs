//! Judges the fleet, and tells what each part costs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use busyhour_judge::{Judge, Summary};
use busyhour_model::UtcMicros;
use busyhour_store::{Control, SqliteControl, SqliteTelemetry, Telemetry};
use tokio::sync::Notify;

use crate::Effort;
use crate::cost::{Watch, forget_peak, grouped, peak_mb, quantile, resident_mb};
use crate::fleet::{AGENTS, ids, loads, minute, windows};
use crate::load::{append_everywhere, load_days, open};
use crate::slots::Draw;

/// The quarter-hour of UTC in which the last day is judged, and its first minute: a quarter to midnight
/// local time.
const LAST_QUARTER: i64 = 87;
const EVENING: i64 = LAST_QUARTER * 15;
/// Rounds after which judging has to be over.
const MOST_ROUNDS: usize = 1_000;
/// Agents whose loads go into one transaction.
const AT_ONCE: usize = 10;

struct Bench {
    telemetry: Arc<SqliteTelemetry>,
    control: Arc<SqliteControl>,
    judge: Judge,
    agents: usize,
    /// The last block that every agent sent.
    block: u64,
}

/// What judging until nothing waits took.
struct Found {
    sum: Summary,
    rounds: usize,
    cpu: f64,
    wall: f64,
}

/// Judges a store that [`crate::load::fill`] filled.
pub(crate) fn measure(effort: &Effort, folder: &Path) {
    let (telemetry, control) = open(folder);
    let (telemetry, control) = (Arc::new(telemetry), Arc::new(control));
    let judge = a_judge(&telemetry, &control);
    let mut bench =
        Bench { telemetry, control, judge, agents: effort.buildings * AGENTS, block: 100 };
    let (past, last) = (effort.days - 2, effort.days - 1);
    println!("  opened: {:.0} MB resident", resident_mb(std::process::id()));

    let first = bench.judge(minute(past, EVENING + 14));
    print("for the first time", &first);
    let opened = bench.open();
    assert!(opened > 0, "a building breaks on every working day");
    println!("    {opened} of {} incidents are open", bench.incidents());
    bench.judge = a_judge(&bench.telemetry, &bench.control);
    let again = bench.judge(minute(past, EVENING + 14));
    print("after a start", &again);
    assert_eq!(bench.open(), opened, "a start opens and closes nothing");

    bench.load_last_day(effort, last);
    let day = bench.day(last, 0);
    print("one more day", &day);
    assert!(day.sum.days_written > 0, "the last day has verdicts");
    let rounds: Vec<Found> =
        (1..=effort.again).map(|round| bench.day(last, round as i64)).collect();
    let cpu: Vec<f64> = rounds.iter().map(|found| found.cpu).collect();
    let wall: Vec<f64> = rounds.iter().map(|found| found.wall).collect();
    println!(
        "    again, a window later: {:.2} CPU s, {:.2} s (median of {})",
        quantile(&cpu, 0.5),
        quantile(&wall, 0.5),
        rounds.len()
    );
    bench.single(effort, last);
    bench.nothing(effort, last);
    let next = bench.next_morning(last);
    print("the first round of the next date, with the day's load", &next);
    println!("  {:.0} MB resident in the end", resident_mb(std::process::id()));
}

fn a_judge(telemetry: &Arc<SqliteTelemetry>, control: &Arc<SqliteControl>) -> Judge {
    let telemetry: Arc<dyn Telemetry> = telemetry.clone();
    let control: Arc<dyn Control> = control.clone();
    Judge::new(telemetry, control, Duration::from_secs(60), Arc::new(Notify::new()))
}

fn print(what: &str, found: &Found) {
    let Found { sum, rounds, cpu, wall } = found;
    println!(
        "  {what}: {cpu:.2} CPU s, {wall:.2} s, {rounds} rounds; {} verdicts, {} incidents written; \
         {:.0} MB at most",
        grouped(sum.days_written as f64),
        grouped(sum.incidents_written as f64),
        peak_mb(std::process::id())
    );
}

impl Bench {
    /// Judges until nothing waits.
    fn judge(&self, now: UtcMicros) -> Found {
        forget_peak();
        let watch = Watch::start();
        let mut sum = Summary::default();
        for rounds in 1..=MOST_ROUNDS {
            let round = self.judge.judge_once(now).expect("the store answers");
            sum.dates += round.dates;
            sum.days_written += round.days_written;
            sum.incidents_written += round.incidents_written;
            sum.told += round.told;
            if !round.more {
                return Found { sum, rounds, cpu: watch.cpu(), wall: watch.wall() };
            }
        }
        panic!("judging never ends");
    }

    fn incidents(&self) -> usize {
        self.control.incidents(true).expect("incidents").len()
    }

    /// Incidents that are open and that people are told of.
    fn open(&self) -> usize {
        let all = self.control.incidents(false).expect("incidents");
        all.iter().filter(|incident| incident.is_open() && incident.kind.alerts()).count()
    }

    /// Everything of the last day but the windows that are yet to come.
    fn load_last_day(&self, effort: &Effort, day: i64) {
        let watch = Watch::start();
        let paths = ids(self.telemetry.paths(None).expect("paths"), effort.buildings);
        load_days(&self.telemetry, &paths, day..day + 1, LAST_QUARTER);
        for from in (0..self.agents).step_by(AT_ONCE) {
            let some = from..(from + AT_ONCE).min(self.agents);
            let blocks: Vec<_> =
                some.map(|agent| loads(agent, day, effort.load_minutes, 50)).collect();
            self.telemetry.append(&blocks).expect("the store takes loads");
        }
        self.telemetry.fold().expect("the journal is folded");
        println!("  the last day loaded in {:.0} s", watch.wall());
    }

    /// Every path brings the window of a minute of the evening; then the day is judged.
    fn day(&mut self, day: i64, within: i64) -> Found {
        self.block += 1;
        let at = EVENING + within;
        append_everywhere(&self.telemetry, self.agents, (day, at), self.block);
        self.telemetry.fold().expect("the journal is folded");
        self.judge(minute(day, at + 1))
    }

    /// The paths of one building after the other bring a window.
    fn single(&mut self, effort: &Effort, day: i64) {
        let (mut cpu, mut wall) = (Vec::new(), Vec::new());
        let at = EVENING + 13;
        let step = (effort.buildings / effort.single).max(1);
        for building in (0..effort.buildings).step_by(step).take(effort.single) {
            self.block += 1;
            let mut draw = Draw::new(self.block);
            let agents = building * AGENTS..(building + 1) * AGENTS;
            let blocks = windows(&mut draw, agents, (day, at), self.block);
            self.telemetry.append(&blocks).expect("the store takes windows");
            let found = self.judge(minute(day, at + 1));
            cpu.push(found.cpu * 1e3);
            wall.push(found.wall * 1e3);
        }
        println!(
            "  a single building: {:.1} ms of a processor, {:.1} ms median, {:.1} ms p99 of {}",
            quantile(&cpu, 0.5),
            quantile(&wall, 0.5),
            quantile(&wall, 0.99),
            wall.len()
        );
    }

    /// Nothing comes.
    fn nothing(&self, effort: &Effort, day: i64) {
        let (mut cpu, mut wall) = (Vec::new(), Vec::new());
        for _ in 0..effort.idle {
            let found = self.judge(minute(day, EVENING + 14));
            assert_eq!(found.sum, Summary::default(), "there is nothing to judge");
            cpu.push(found.cpu * 1e3);
            wall.push(found.wall * 1e3);
        }
        println!(
            "  nothing new: {:.2} ms of a processor, {:.2} ms, median of {}",
            quantile(&cpu, 0.5),
            quantile(&wall, 0.5),
            wall.len()
        );
    }

    /// Every path brings the first window of the next date.
    fn next_morning(&mut self, day: i64) -> Found {
        self.block += 1;
        append_everywhere(&self.telemetry, self.agents, (day + 1, 240), self.block);
        self.telemetry.fold().expect("the journal is folded");
        self.judge(minute(day + 1, 241))
    }
}
