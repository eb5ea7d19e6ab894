//! Agents that come back together after an hour.

use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use busyhour_model::UtcMicros;
use busyhour_store::Telemetry as _;
use tokio::task::JoinSet;

use crate::Effort;
use crate::agent::{Found, PATHS, Returning, SEAL};
use crate::collector::{Collector, Papers, now};
use crate::cost::{cpu_of, grouped, own_cpu, peak_mb, quantile, resident_mb};
use crate::fleet::{Fleet, MIX};
use crate::member;
use crate::series::{self, Keep};

/// How often the collector's memory is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Measures how far behind live data are, memory, and how long the backlog takes.
pub(crate) fn measure(effort: &Effort, smoke: bool) {
    println!(
        "\n{} agents with {PATHS} paths come back within {:?} after {} minutes, and go on measuring; \
         TLS 1.3 with certificates on both sides",
        effort.returning, effort.within, effort.away_minutes
    );
    let collector = Collector::start(effort.returning);
    let id = collector.process.id();
    let mut load = collector.fleet("--returning", smoke);
    let mut stdout = BufReader::new(load.stdout.take().expect("it was asked for"));
    let mut enrolled = String::new();
    stdout.read_line(&mut enrolled).expect("what it found");
    print!("{enrolled}");
    let (begun, cpu) = (Instant::now(), cpu_of(id));
    let lines =
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).collect::<Vec<String>>());
    let mut highest = 0_f64;
    while load.try_wait().expect("it can be asked").is_none() {
        highest = highest.max(resident_mb(id));
        std::thread::sleep(LOOK);
    }
    let lines = lines.join().expect("its lines");
    let Some((blocks, windows)) = lines.last().and_then(|line| totals(line)) else {
        panic!("the fleet delivers: {lines:?}\n{}", collector.process.log());
    };
    lines.iter().take(lines.len() - 1).for_each(|line| println!("{line}"));
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_of(id) - cpu);
    println!(
        "  collector             {:>12.2} cores, {:.0} MB at most, {highest:.0} MB when looked at, {:.0} MB at the end",
        cpu / seconds,
        peak_mb(id),
        resident_mb(id)
    );
    let (telemetry, _folder) = collector.stop();
    let stored = telemetry.totals().expect("totals");
    println!(
        "  stored                {:>12} blocks and {} windows; {} were sent",
        grouped(stored.blocks as f64),
        grouped(stored.windows as f64),
        grouped(windows as f64)
    );
    assert_eq!(
        (stored.blocks, stored.windows),
        (blocks, windows),
        "nothing is lost, none is twice"
    );
}

fn totals(line: &str) -> Option<(u64, u64)> {
    let mut words = line.strip_prefix("totals ")?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// The fleet, in its own process.
pub(crate) fn load(effort: &Effort, ingest: &str, papers: Papers) {
    let pool = series::make(&MIX, effort.series, 1, Keep::Windows);
    let from = UtcMicros(now().0 - effort.away_minutes as i64 * 60_000_000);
    let fleet = Arc::new(Fleet::new(pool, effort.returning, PATHS, from));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let (members, took) = runtime.block_on(member::enrol(ingest, papers, effort.returning));
    tell_enrolled(members.len(), took);
    let (begun, cpu) = (Instant::now(), own_cpu());
    let found = runtime.block_on(async {
        let mut agents = JoinSet::new();
        let undrained = Arc::new(AtomicUsize::new(effort.returning));
        for (agent, member) in members.into_iter().enumerate() {
            let part = agent as f64 / effort.returning as f64;
            let comes = effort.within.mul_f64(part);
            let returning = Returning {
                fleet: Arc::clone(&fleet),
                agent,
                member,
                kept: effort.away_minutes * 6,
                first_seal: begun + effort.within + SEAL.mul_f64((part * 7.0).fract()),
                until: begun + effort.within + effort.at_least,
                undrained: Arc::clone(&undrained),
            };
            agents.spawn(async move {
                tokio::time::sleep(comes).await;
                returning.deliver().await
            });
        }
        agents.join_all().await
    });
    print(&found, begun.elapsed().as_secs_f64(), own_cpu() - cpu);
}

/// Says how fast agents were let in.
pub(crate) fn tell_enrolled(agents: usize, took: Duration) {
    let (seconds, rate) = (took.as_secs_f64(), agents as f64 / took.as_secs_f64());
    println!(
        "  enrolled              {:>12} agents in {seconds:.1} s, {rate:.0}/s",
        grouped(agents as f64)
    );
}

fn print(found: &[Found], seconds: f64, cpu: f64) {
    let of = |figure: fn(&Found) -> Duration| -> Vec<f64> {
        found.iter().map(|agent| figure(agent).as_secs_f64()).collect()
    };
    let lags: Vec<f64> =
        found.iter().flat_map(|agent| &agent.lags).map(Duration::as_secs_f64).collect();
    let line = |name: &str, figures: &[f64]| {
        println!(
            "  {name:<21} {:>12.3} s median, {:.3} s p99, {:.3} s at most, of {}",
            quantile(figures, 0.5),
            quantile(figures, 0.99),
            quantile(figures, 1.0),
            grouped(figures.len() as f64)
        );
    };
    line("welcomed after", &of(|agent| agent.welcomed));
    line("live lag", &lags);
    line("backlog drained after", &of(|agent| agent.drained));
    let windows: u64 = found.iter().map(|agent| agent.windows).sum();
    println!(
        "  fleet                 {:>12.2} cores over {seconds:.0} s, {} windows/s",
        cpu / seconds,
        grouped(windows as f64 / seconds)
    );
    println!("totals {} {windows}", found.iter().map(|agent| agent.blocks).sum::<u64>());
}
