//! Agents that are connected and have nothing to say, and some that are revoked.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Write as _, stdin};
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Effort;
use crate::agent::Stream;
use crate::collector::{Collector, Papers, now};
use crate::cost::{cpu_of, quantile, resident_mb};
use crate::member;
use crate::returning::tell_enrolled;

/// Agents that connect at the same time.
const TOGETHER: usize = 100;
/// How long they are looked at, doing nothing.
const LOOK: Duration = Duration::from_secs(10);
/// File descriptors of this program besides those of agents.
const OTHER_FILES: usize = 100;

/// The fleet's process, which is told to go on and says what it found.
struct Load {
    lines: Lines<BufReader<ChildStdout>>,
    stdin: ChildStdin,
}

impl Load {
    fn hear(&mut self, word: &str, log: &dyn Fn() -> String) -> String {
        let line = self.lines.next().and_then(Result::ok).unwrap_or_default();
        let rest = line.strip_prefix(word);
        rest.unwrap_or_else(|| panic!("{word} instead of {line:?}:\n{}", log())).trim().to_owned()
    }

    fn tell(&mut self, word: &str) {
        self.stdin.write_all(format!("{word}\n").as_bytes()).expect("it listens");
    }
}

/// Measures memory and processor time for each stream, and how fast revoked ones end.
pub(crate) fn measure(effort: &Effort, smoke: bool) {
    let agents = effort.idle.min(allowed());
    println!("\n{agents} idle agents, a connection and a stream each, TLS 1.3 with certificates");
    let collector = Collector::start(agents);
    let id = collector.process.id();
    let mut child = collector.fleet("--idle", smoke);
    let stdout = child.stdout.take().expect("it was asked for");
    let stdin = child.stdin.take().expect("it was asked for");
    let mut load = Load { lines: BufReader::new(stdout).lines(), stdin };
    let log = || collector.process.log();
    println!("  enrolled {}", load.hear("  enrolled", &log));
    let (before, begun, cpu) = (resident_mb(id), Instant::now(), cpu_of(id));
    load.tell("connect");
    load.hear("connected", &log);
    let (connected, cpu) = (begun.elapsed(), cpu_of(id) - cpu);
    let (after, busy) = (resident_mb(id), cpu_of(id));
    std::thread::sleep(if smoke { Duration::from_secs(1) } else { LOOK });
    let busy = cpu_of(id) - busy;
    let each_kb = (after - before) * 1024.0 / agents as f64;
    println!("  memory                {before:>12.0} MB before, {after:.0} MB with them");
    println!("  for each stream       {each_kb:>12.1} kB");
    println!(
        "  connected in          {:>12.1} s, {:.2} ms of processor time each",
        connected.as_secs_f64(),
        cpu * 1e3 / agents as f64
    );
    println!("  processor, doing nothing {busy:>9.2} s in {LOOK:?}");
    revoke(effort, &collector, &mut load);
    load.tell("enough");
    assert!(child.wait().expect("it ends").success(), "the fleet ends in order");
    drop(collector.stop());
}

/// As many agents as this process may have connections.
fn allowed() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok());
    soft.map_or(usize::MAX, |files| files.saturating_sub(OTHER_FILES))
}

fn revoke(effort: &Effort, collector: &Collector, load: &mut Load) {
    let log = || collector.process.log();
    let (mut ended, mut answered) = (Vec::new(), Vec::new());
    for _ in 0..effort.revoked {
        let agent = load.hear("agent", &log);
        let begun = now();
        collector.revoke(&agent);
        answered.push(now().since(begun) as f64 / 1e6);
        let line = load.hear("ended", &log);
        let (who, at) = line.split_once(' ').expect("who, and when");
        assert_eq!(who, agent, "whose stream ends");
        ended.push((at.parse::<i64>().expect("a moment") - begun.0) as f64 / 1e6);
        load.tell("next");
    }
    for (name, figures) in [("revoke answered in", &answered), ("its stream ended after", &ended)] {
        println!(
            "  {name:<24} {:>9.3} s median, {:.3} s at most, of {}",
            quantile(figures, 0.5),
            quantile(figures, 1.0),
            figures.len()
        );
    }
}

/// The fleet, in its own process: enrols, connects, says who is to be revoked and when its stream ends,
/// and stays until it is told that it is enough.
pub(crate) fn load(effort: &Effort, ingest: &str, papers: Papers) {
    let agents = effort.idle.min(allowed());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (members, took) = member::enrol(ingest, papers, agents).await;
        tell_enrolled(members.len(), took);
        told().await;
        let turns = Arc::new(Semaphore::new(TOGETHER));
        let mut connecting = JoinSet::new();
        for member in members {
            let turns = Arc::clone(&turns);
            connecting.spawn(async move {
                let _turn = turns.acquire().await.expect("it stays open");
                let stream = Stream::idle(&member).await;
                (member.id, stream)
            });
        }
        let streams = connecting.join_all().await;
        println!("connected");
        let mut resting: HashMap<String, _> = streams
            .into_iter()
            .map(|(id, stream)| {
                (
                    id,
                    tokio::spawn(async move {
                        stream.rest().await;
                        now()
                    }),
                )
            })
            .collect();
        let revoked: Vec<String> = resting.keys().take(effort.revoked).cloned().collect();
        for id in revoked {
            let stream = resting.remove(&id).expect("it is one of them");
            println!("agent {id}");
            let ended = stream.await.expect("it does not panic");
            println!("ended {id} {}", ended.0);
            told().await;
        }
        told().await;
        assert!(resting.values().all(|stream| !stream.is_finished()), "the others stay connected");
    });
}

/// Waits for a word of the other process.
async fn told() {
    let line = tokio::task::spawn_blocking(|| stdin().read_line(&mut String::new()));
    let _ = line.await;
}
