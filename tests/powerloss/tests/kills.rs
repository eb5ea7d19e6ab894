//! A process that appends is killed at any moment, again and again: what it said was acknowledged is
//! there, once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use busyhour_store::Telemetry as _;
use fastrand::Rng;
use powerloss::expected::Expected;
use powerloss::load::{EPOCH, SMALL, small_block};
use powerloss::{open, scratch, setting};

/// Kills in an ordinary run; `.ci/long` asks for 10 000.
const KILLS: u32 = 200;
/// Kills that one store takes before all of it is looked at.
const AT_ONCE: u32 = 250;

/// How long opening may take before the test gives up; it bounds a hang.
const LIMIT: Duration = Duration::from_secs(120);

/// The last block of each agent.
type Last = [u64; SMALL.len()];

/// From when on the time to a kill counts.
#[derive(Clone, Copy)]
enum Since {
    /// Its start: many are killed while they open the store.
    Start,
    /// Its first word: it appends.
    Word,
}

struct Appender {
    child: Child,
    /// What it says was acknowledged.
    lines: Receiver<Last>,
}

impl Appender {
    fn start(directory: &Path, random: &mut Rng) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_appender"))
            .arg("grow")
            .arg(directory)
            .arg(random.u64(..).to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines() {
                // What was cut in two by the kill was not said.
                let Some(last) = line.ok().and_then(|line| numbers(&line)) else { return };
                let _ = sender.send(last);
            }
        });
        Self { child, lines }
    }

    /// Listens for so long, from its start or from its first word, then kills it. The last that it said,
    /// if it said anything.
    fn kill_after(mut self, time: Duration, since: Since) -> Option<Last> {
        let mut last = match since {
            Since::Start => None,
            Since::Word => Some(self.lines.recv_timeout(LIMIT).expect("it opens the store")),
        };
        let moment = Instant::now() + time;
        loop {
            match self.lines.recv_timeout(moment.saturating_duration_since(Instant::now())) {
                Ok(said) => last = Some(said),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended by itself: {:?}", self.child.wait())
                }
            }
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // What lay in the pipe was said too.
        self.lines.iter().last().or(last)
    }
}

fn numbers(line: &str) -> Option<Last> {
    let numbers: Option<Vec<u64>> = line.split(' ').map(|word| word.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// Looks at all of a store: exactly the blocks up to a last one of each agent, none of those lost
/// that were acknowledged.
fn look(directory: &Path, acknowledged: Last) -> (usize, Last) {
    let store = open(directory).unwrap();
    let mut expected = Expected::default();
    let mut last = [0; SMALL.len()];
    for (at, agent) in SMALL.into_iter().enumerate() {
        let ranges = store.0.received(agent, EPOCH).unwrap();
        last[at] = ranges.last().map_or(0, |range| range.1.0);
        assert!(last[at] >= acknowledged[at], "{last:?} of {acknowledged:?}");
        for number in 1..=last[at] {
            expected.append(&[small_block(agent, number)]);
        }
    }
    assert_eq!(expected.differs(&store.0, &store.1).unwrap(), None);
    (expected.blocks(), last)
}

#[test]
fn what_was_acknowledged_outlives_any_kill() {
    let (kills, seed) = (setting("BUSYHOUR_KILLS", KILLS), setting("BUSYHOUR_SEED", 1));
    let mut random = Rng::with_seed(seed);
    let (mut done, mut silent, mut blocks, mut unsaid) = (0, 0, 0, 0);
    let begun = Instant::now();
    while done < kills {
        // A kill takes nothing from the system's memory, so that syncing to a real disk adds time only.
        let folder = scratch();
        let mut acknowledged = Last::default();
        for _ in 0..AT_ONCE.min(kills - done) {
            let appender = Appender::start(folder.path(), &mut random);
            let time = Duration::from_micros(random.u64(1_000..60_000));
            let since = if random.u8(..4) == 0 { Since::Start } else { Since::Word };
            match appender.kill_after(time, since) {
                Some(last) => {
                    let lost = acknowledged.iter().zip(last).any(|(&before, now)| now < before);
                    assert!(!lost, "{acknowledged:?} were acknowledged, {last:?} are there");
                    acknowledged = last;
                }
                None => silent += 1,
            }
            done += 1;
        }
        let (found, last) = look(folder.path(), acknowledged);
        blocks += found;
        unsaid += u32::from(last != acknowledged);
        println!("{done} kills, {blocks} blocks, {} s", begun.elapsed().as_secs());
    }
    println!("{silent} killed before they could append; {unsaid} ends with blocks not told of");
    assert!(blocks > 0 && silent < kills, "some got to append");
}
