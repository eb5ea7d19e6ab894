//! Agent and collector killed at random moments under load: what was acknowledged is stored, and
//! stored once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use e2e::{Collector, Place, Process, program, settled, wait_for};
use fastrand::Rng;
use tempfile::TempDir;

/// Kills in an ordinary run, half as many over TLS; `.ci/long` asks for 1 000.
const KILLS: u32 = 16;
/// Windows so short that blocks are always on their way.
const WINDOW: &str = "100ms";
/// One building, which has the loopback network.
const BUILDING: &str = "127.0.0.0,Loopback,8,Here,,,,Berlin,10115,DE,,EMEA,1,0,0\r\n";

/// What agent and collector know each other by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Secret,
    Certificates,
}

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
    fn start(seed: u64, door: Door) -> Self {
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

        let tls = if door == Door::Certificates { "security = \"tls\"\n" } else { "" };
        let collector = Collector::start(&Place::default(), &at("collector"), tls);
        collector.pin_ports();
        let mut config = format!("[agent]\ndata_dir = {:?}\n", data("near"));
        match door {
            Door::Secret => {
                let secret = data("secret");
                done(&collector.busyhour(&["agent", "add", "killed", "--secret-file", &secret]));
                config.push_str(&format!("secret_file = {secret:?}\n"));
                config.push_str(&format!("[collector]\nurl = {:?}\n", collector.ingest));
            }
            Door::Certificates => enrol(&collector, folder.path()),
        }
        config.push_str("[spool]\nseal_after = \"100ms\"\n");
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

    /// Blocks that the collector has.
    fn blocks(&self) -> u64 {
        self.collector.figure("store_blocks_total")
    }
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Makes an agent of the folder `near`.
fn enrol(collector: &Collector, folder: &Path) {
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    std::fs::write(file("buildings.csv"), BUILDING).unwrap();
    done(&collector.busyhour(&["building", "import", &file("buildings.csv")]));
    let token = file("token");
    done(&collector.busyhour(&["token", "create", "--building", "Here", "--token-file", &token]));
    let url = collector.ingest.replace("http://", "https://");
    let enrol = ["enrol", "--collector", &url, "--token-file", &token, "--data-dir", &file("near")];
    done(&Command::new(program("busyhour-agent")).args(enrol).output().unwrap());
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn is_stored_exactly_once(kills: u32, seed: u64, door: Door) {
    println!("{kills} kills, seed {seed}");
    let mut fleet = Fleet::start(seed, door);
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
    assert!(fleet.collector.stop(), "the collector stops in order");
    let ledger = settled(&fleet.at("near"), &fleet.at("collector").join("data"));
    println!("{} blocks with {} windows, each stored once", ledger.blocks, ledger.windows);
}

#[test]
fn what_was_acknowledged_is_stored_exactly_once_whoever_is_killed() {
    let (kills, seed) = (setting("BUSYHOUR_KILLS", KILLS), setting("BUSYHOUR_SEED", 1));
    is_stored_exactly_once(kills, seed, Door::Secret);
}

#[test]
fn so_is_what_was_acknowledged_over_tls_and_certificates_survive_every_kill() {
    let (kills, seed) = (setting("BUSYHOUR_KILLS", KILLS), setting("BUSYHOUR_SEED", 1));
    is_stored_exactly_once(kills.div_ceil(2), seed, Door::Certificates);
}
