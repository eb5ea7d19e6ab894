//! An agent and its collector at the two ends of a [`Network`], that know each other by certificates.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use e2e::{Collector, Ledger, Process, program, settled, wait_for};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Network, REFLECTOR};

const PORT: u16 = 7443;
/// The building that has the agent's network.
const BUILDING: &str = "192.0.2.0,Lab,24,Here,,,,Berlin,10115,DE,,EMEA,1,0,0\r\n";

/// Where the network is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing passes.
    Both,
    /// What the collector says does not arrive: blocks come, acknowledgements do not.
    FromCollector,
}

/// The two, as the real programs. The agent measures a target that never answers: windows all the same.
pub struct Certified<'a> {
    network: &'a Network,
    collector: Collector,
    agent: Option<Process>,
    folder: TempDir,
}

impl<'a> Certified<'a> {
    /// Starts both and lets the agent in by a token.
    ///
    /// # Panics
    /// When a step fails.
    #[must_use]
    pub fn start(network: &'a Network) -> Self {
        let folder = TempDir::new().expect("a folder");
        let at = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
        let place = network.reflector().place();
        let tls = "security = \"tls\"\n";
        let mut collector = Collector::start(&place, &folder.path().join("collector"), tls);
        assert!(collector.stop(), "the collector stops in order");
        let file = at("collector/collector.toml");
        let config = fs::read_to_string(&file).expect("a configuration");
        let (loopback, listen) =
            ("[ingest]\nlisten = \"127.0.0.1:0\"", format!("{REFLECTOR}:{PORT}"));
        let moved = config.replace(loopback, &format!("[ingest]\nlisten = {listen:?}"));
        fs::write(file, moved).expect("the configuration can be written");
        collector.start_again();

        fs::write(at("buildings.csv"), BUILDING).expect("a file");
        done(&collector.busyhour(&["building", "import", &at("buildings.csv")]));
        let token = at("token");
        let create = ["token", "create", "--building", "Here", "--token-file", &token];
        done(&collector.busyhour(&create));
        let config = format!(
            "[agent]\ndata_dir = {:?}\n[spool]\nseal_after = \"100ms\"\n[link]\n\
             capacity = \"1Gbit/s\"\n[[target]]\nname = \"{REFLECTOR}:9\"\n\
             schedule = \"continuous\"\nwindow = \"200ms\"\nperiod = \"200ms\"\n",
            at("agent")
        );
        fs::write(at("agent.toml"), config).expect("a configuration");
        let url = format!("https://{listen}");
        let mut enrol = network.agent().place().command(&program("busyhour-agent"));
        enrol.args(["enrol", "--collector", &url, "--token-file", &token]);
        done(&enrol.args(["--data-dir", &at("agent")]).output().expect("it runs"));
        let mut both = Self { network, collector, agent: None, folder };
        both.start_agent();
        both
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start_agent(&mut self) {
        let mut command = self.network.agent().place().command(&program("busyhour-agent"));
        command.args(["run", "--config"]).arg(self.at("agent.toml"));
        self.agent = Some(Process::start(&mut command, self.at("agent.log")));
    }

    /// Kills the agent as `kill -9` does, and starts it again.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill_agent(&mut self) {
        self.agent.take().expect("the agent runs").kill();
        self.start_agent();
    }

    /// The same with the collector.
    pub fn kill_collector(&mut self) {
        self.collector.kill();
        self.collector.start_again();
    }

    /// Cuts the network between the two until it is [healed](Self::heal).
    pub fn cut(&self, cut: Cut) {
        self.network.nft(match cut {
            Cut::Both => "add rule inet lab impair drop",
            Cut::FromCollector => "add rule inet lab impair tcp sport 7443 drop",
        });
    }

    /// Undoes all cuts.
    pub fn heal(&self) {
        self.network.nft("flush chain inet lab impair");
    }

    /// Blocks that the collector has.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.network.reflector().inside(|| self.collector.figure("store_blocks_total"))
    }

    /// Waits until the collector has `count` blocks more than now.
    ///
    /// # Panics
    /// When they do not come.
    pub fn wait_for_stored(&self, count: u64) {
        let enough = self.stored() + count;
        wait_for("blocks at the collector", || (self.stored() >= enough).then_some(()));
    }

    /// Waits until the agent says anew that it holds at least so many blocks that nobody acknowledged.
    ///
    /// # Panics
    /// When it never does.
    pub fn wait_for_held(&self, count: u64) {
        self.wait_until_held("blocks that the agent holds", |held| held >= count);
    }

    /// What it said before is no answer: it says so every ten seconds only.
    fn wait_until_held(&self, what: &str, enough: impl Fn(u64) -> bool) {
        let said =
            || fs::metadata(self.at("agent/status.json")).and_then(|file| file.modified()).ok();
        let before = said();
        wait_for(what, || (said() > before && enough(self.held()?)).then_some(()));
    }

    /// Blocks that the agent says it holds.
    fn held(&self) -> Option<u64> {
        let file = fs::read(self.at("agent/status.json")).ok()?;
        serde_json::from_slice::<Value>(&file).ok()?["spool"]["blocks"].as_u64()
    }

    /// Stops both and compares what was sealed with what was stored.
    ///
    /// # Panics
    /// When they do not stop in order, or something is missing or there twice.
    #[must_use]
    pub fn settle(mut self) -> Ledger {
        self.wait_until_held("the backlog to be delivered", |held| held <= 2);
        assert!(self.agent.take().expect("the agent runs").stop(), "the agent stops in order");
        assert!(self.collector.stop(), "the collector stops in order");
        settled(&self.at("agent"), &self.at("collector/data"))
    }
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
