//! Agent and collector killed at random moments under load: what was acknowledged is stored, and
//! stored once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use busyhour_model::{Epoch, PathId, SlotStart, UtcMicros};
use busyhour_store::{Control as _, Retention, SqliteControl, SqliteTelemetry, Telemetry as _};
use e2e::{Collector, Place, Process, program, wait_for};
use fastrand::Rng;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

/// Kills in an ordinary run; `.ci/long` asks for 1 000.
const KILLS: u32 = 16;
/// Windows so short that blocks are always on their way.
const WINDOW: &str = "100ms";

struct Fleet {
    collector: Collector,
    agent: Option<Process>,
    _reflector: Process,
    rng: Rng,
    folder: TempDir,
}

fn start_agent(config: &Path, log: PathBuf) -> Process {
    let mut command: Command = Place::default().command(&program("busyhour-agent"));
    Process::start(command.args(["run", "--config"]).arg(config), log)
}

impl Fleet {
    fn start(seed: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        let data = |name: &str| at(name).to_str().unwrap().to_owned();
        let listen: Vec<String> = (1..=4).map(|host| format!("127.0.0.{host}:0")).collect();
        let config =
            format!("[agent]\ndata_dir = {:?}\n[reflector]\nlisten = {listen:?}\n", data("far"));
        std::fs::write(at("far.toml"), config).unwrap();
        let reflector = start_agent(&at("far.toml"), at("far.log"));
        let addresses = wait_for("the reflector's addresses", || {
            let text = std::fs::read_to_string(at("far").join("addresses.json")).ok()?;
            serde_json::from_str::<serde_json::Value>(&text).ok()
        });

        let collector = Collector::start(&Place::default(), &at("collector"), "");
        collector.pin_ports();
        let secret = data("secret");
        let added = collector.busyhour(&["agent", "add", "killed", "--secret-file", &secret]);
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let mut config = format!(
            "[agent]\ndata_dir = {:?}\nsecret_file = {secret:?}\n\
             [spool]\nseal_after = \"100ms\"\n[collector]\nurl = {:?}\n",
            data("near"),
            collector.ingest
        );
        for target in addresses["reflector"].as_array().unwrap() {
            config.push_str(&format!(
                "[[target]]\nname = {target}\nschedule = \"continuous\"\nwindow = {WINDOW:?}\n\
                 period = {WINDOW:?}\n"
            ));
        }
        std::fs::write(at("near.toml"), config).unwrap();
        let agent = Some(start_agent(&at("near.toml"), at("near.log")));
        Self { collector, agent, _reflector: reflector, rng: Rng::with_seed(seed), folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lets work happen for a random time, then kills one side, or both, and starts it again;
    /// the collector is sometimes killed while it starts. Tells how many kills that were.
    fn kill_some(&mut self) -> u32 {
        std::thread::sleep(Duration::from_millis(self.rng.u64(20..2_000)));
        let (collector, agent) = [(true, false), (false, true), (true, true)][self.rng.usize(0..3)];
        let mut kills = 0;
        if agent {
            self.agent.take().expect("the agent runs").kill();
            kills += 1;
        }
        if collector {
            self.collector.kill();
            kills += 1;
            if self.rng.u8(0..4) == 0 {
                self.collector.start_and_kill(Duration::from_millis(self.rng.u64(0..60)));
                kills += 1;
            }
            self.collector.start_again();
        }
        if agent {
            self.agent = Some(start_agent(&self.at("near.toml"), self.at("near.log")));
        }
        kills
    }

    /// The spool's epoch, the blocks that the agent has sealed, and those that it still holds; only while
    /// it does not run.
    fn spool(&self) -> (Epoch, u64, u64) {
        let spool = open(&self.at("near").join("spool.db"));
        let epoch: i64 = spool.query_row("SELECT epoch FROM spool", [], |row| row.get(0)).unwrap();
        let newest = one(&spool, "SELECT newest_block FROM spool");
        (Epoch(epoch.cast_unsigned()), newest, one(&spool, "SELECT count(*) FROM block"))
    }

    /// Blocks that the collector has.
    fn blocks(&self) -> u64 {
        self.collector.figure("store_blocks_total")
    }
}

fn open(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn one(database: &Connection, query: &str) -> u64 {
    let value: i64 = database.query_row(query, [], |row| row.get(0)).unwrap();
    u64::try_from(value).unwrap()
}

/// The store of a collector that does not run.
fn store(data: &Path) -> (SqliteTelemetry, SqliteControl) {
    let retention = Retention {
        windows_days: 14,
        slots_days: 400,
        hours_days: 400,
        checks_days: 90,
        facts_days: 90,
        loads_days: 90,
        gaps_days: 90,
    };
    busyhour_store::open(data, retention).unwrap()
}

/// How many windows the slots of all paths count.
fn windows_in_slots(telemetry: &SqliteTelemetry, paths: &[PathId]) -> u64 {
    let (first, last) = (SlotStart::from_number(0), SlotStart::from_number(i64::from(i32::MAX)));
    let slots = telemetry.slots(paths, first, last).unwrap();
    slots.iter().map(|(_, slot)| u64::from(slot.valid) + u64::from(slot.invalid)).sum()
}

/// How many raw windows there are; each once.
fn raw_windows(telemetry: &SqliteTelemetry, paths: &[PathId]) -> u64 {
    let mut found = 0;
    for &path in paths {
        let (from, until) = (UtcMicros(i64::MIN), UtcMicros(i64::MAX));
        let windows = telemetry.windows(path, from, until, usize::MAX).unwrap();
        let begins: HashSet<_> = windows
            .iter()
            .map(|window| (window.judged.stamp.boot, window.judged.stamp.started_boot))
            .collect();
        assert_eq!(begins.len(), windows.len(), "no window lies there twice");
        found += windows.len() as u64;
    }
    found
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn what_was_acknowledged_is_stored_exactly_once_whoever_is_killed() {
    let (kills, seed) = (setting("BUSYHOUR_KILLS", KILLS), setting("BUSYHOUR_SEED", 1));
    println!("{kills} kills, seed {seed}");
    let mut fleet = Fleet::start(seed);
    wait_for("blocks at the collector", || {
        let agent = fleet.agent.as_mut().expect("the agent runs");
        assert!(agent.runs(), "the agent ended:\n{}", agent.log());
        (fleet.blocks() > 2).then_some(())
    });
    let (mut done, mut told) = (0, 0);
    while done < kills {
        done += fleet.kill_some();
        if done / 100 > told {
            told = done / 100;
            println!("{done} kills");
        }
    }

    // A last quiet time, until new blocks have come: the agent is connected and delivers.
    let target = fleet.blocks() + 3;
    wait_for("blocks after the last kill", || (fleet.blocks() >= target).then_some(()));
    assert!(fleet.agent.take().expect("the agent runs").stop(), "the agent stops in order");
    let (epoch, newest, held) = fleet.spool();
    assert_eq!(held, 0, "the agent delivered what it held before it stopped");
    assert!(fleet.collector.stop(), "the collector stops in order");

    let (telemetry, control) = store(&fleet.at("collector").join("data"));
    let agent = control.agents().unwrap()[0].id;
    let received = telemetry.received(agent, epoch).unwrap();
    let [(first, last)] = received[..] else { panic!("gaps among receipts: {received:?}") };
    assert_eq!(last.0 - first.0 + 1, newest, "every sealed block has a receipt");
    let totals = telemetry.totals().unwrap();
    assert_eq!(totals.blocks, newest, "and only one");
    assert_eq!(totals.quarantined, 0, "nothing is quarantined");
    let paths: Vec<PathId> = telemetry.paths(None).unwrap().iter().map(|path| path.id).collect();
    let windows = raw_windows(&telemetry, &paths);
    assert_eq!((totals.windows, windows_in_slots(&telemetry, &paths)), (windows, windows));
    println!("{newest} blocks with {windows} windows, each stored once");
}
