//! Agents that are connected and have nothing to say.

use std::io::{BufRead as _, BufReader, Write as _, stdin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Effort;
use crate::agent::Stream;
use crate::collector::Collector;
use crate::cost::{cpu_of, resident_mb};

/// Agents that connect at the same time.
const TOGETHER: usize = 100;
/// How long they are looked at, doing nothing.
const LOOK: Duration = Duration::from_secs(10);

/// Measures memory and processor time for each stream.
pub(crate) fn measure(effort: &Effort, smoke: bool) {
    println!(
        "\n{} idle agents, a connection and a stream each, plaintext on loopback",
        effort.idle
    );
    let collector = Collector::start(effort.idle);
    let id = collector.process.id();
    let before = resident_mb(id);
    let begun = Instant::now();
    let mut load = collector.fleet("--idle", smoke);
    let mut line = String::new();
    let stdout = load.stdout.take().expect("it was asked for");
    BufReader::new(stdout).read_line(&mut line).expect("what it found");
    assert_eq!(line.trim(), "connected", "the fleet connects:\n{}", collector.process.log());
    let connected = begun.elapsed();
    let (after, busy) = (resident_mb(id), cpu_of(id));
    std::thread::sleep(if smoke { Duration::from_secs(1) } else { LOOK });
    let busy = cpu_of(id) - busy;
    let each_kb = (after - before) * 1024.0 / effort.idle as f64;
    println!("  memory                {before:>12.0} MB before, {after:.0} MB with them");
    println!("  for each stream       {each_kb:>12.1} kB");
    println!("  connected in          {:>12.1} s", connected.as_secs_f64());
    println!("  processor, doing nothing {busy:>9.2} s in {LOOK:?}");
    let mut stdin = load.stdin.take().expect("it was asked for");
    stdin.write_all(b"enough\n").expect("it listens");
    drop(stdin);
    assert!(load.wait().expect("it ends").success(), "the fleet ends in order");
    drop(collector.stop());
}

/// The fleet, in its own process: connects, says so, and stays until it is told that it is enough.
pub(crate) fn load(effort: &Effort, ingest: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let turns = Arc::new(Semaphore::new(TOGETHER));
        let mut connecting = JoinSet::new();
        for agent in 0..effort.idle {
            let (turns, ingest) = (Arc::clone(&turns), ingest.to_owned());
            connecting.spawn(async move {
                let _turn = turns.acquire().await.expect("it stays open");
                Stream::idle(&ingest, agent).await
            });
        }
        let streams = connecting.join_all().await;
        println!("connected");
        let told = tokio::task::spawn_blocking(|| stdin().read_line(&mut String::new()));
        let _ = told.await;
        drop(streams);
    });
}
