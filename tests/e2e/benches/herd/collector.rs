//! A collector that knows a fleet, and the fleet's process.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use busyhour_model::UtcMicros;
use busyhour_store::{Act, Binding, Control as _, NewAgent, Retention, SqliteTelemetry};
use e2e::{Process, program, wait_for};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::fleet::agent_id;

/// Long enough that nothing is dropped.
const RETENTION: Retention = Retention {
    windows_days: 400,
    slots_days: 400,
    hours_days: 400,
    checks_days: 400,
    facts_days: 400,
    loads_days: 400,
    gaps_days: 400,
};

/// A running collector that lets agents in by number.
pub(crate) struct Collector {
    pub(crate) process: Process,
    /// Where agents deliver.
    pub(crate) ingest: String,
    folder: TempDir,
}

impl Collector {
    /// Starts one that knows `agents` agents.
    pub(crate) fn start(agents: usize) -> Self {
        let folder = match std::env::var_os("BUSYHOUR_BENCH_DIR") {
            Some(place) => TempDir::new_in(place),
            None => TempDir::new(),
        };
        let folder = folder.expect("a folder");
        let data = folder.path().join("data");
        let_in(&data, agents);
        let config = folder.path().join("collector.toml");
        let text = format!(
            "[collector]\ndata_dir = {:?}\n[ingest]\nlisten = \"127.0.0.1:0\"\n\
             [api]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"warn\"\n",
            data.to_str().expect("printable")
        );
        fs::write(&config, text).expect("a configuration");
        let mut command = Command::new(program("busyhour-collector"));
        command.args(["run", "--config"]).arg(config);
        let mut process = Process::start(&mut command, folder.path().join("collector.log"));
        let found = wait_for("the collector's addresses", || {
            assert!(process.runs(), "the collector ended:\n{}", process.log());
            let text = fs::read_to_string(data.join("addresses.json")).ok()?;
            serde_json::from_str::<Value>(&text).ok()
        });
        let ingest = format!("http://{}", found["ingest"].as_str().expect("an address"));
        Self { process, ingest, folder }
    }

    /// Stops it in order; its telemetry, opened again.
    pub(crate) fn stop(self) -> (SqliteTelemetry, TempDir) {
        assert!(self.process.stop(), "the collector stops in order");
        let data = self.folder.path().join("data");
        let (telemetry, _) = busyhour_store::open(&data, RETENTION).expect("the store opens");
        (telemetry, self.folder)
    }

    /// This program as the fleet, which says on a line each what it found.
    pub(crate) fn fleet(&self, part: &str, smoke: bool) -> Child {
        Command::new(std::env::current_exe().expect("this program"))
            .args([part, &self.ingest])
            .args(smoke.then_some("--smoke"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts")
    }
}

fn let_in(data: &Path, agents: usize) {
    let (_telemetry, control) = busyhour_store::open(data, RETENTION).expect("the store opens");
    for agent in 0..agents {
        let new = NewAgent {
            id: agent_id(agent),
            name: format!("agent-{agent}"),
            secret_sha256: Sha256::digest(secret(agent).as_bytes()).into(),
            simulated: false,
            binding: Binding::Address,
            added: now(),
        };
        control.add_agent(&new, &Act::by_operator(now())).expect("a new agent");
    }
}

pub(crate) fn secret(agent: usize) -> String {
    format!("secret-of-agent-{agent:08}-of-the-benchmark")
}

pub(crate) fn now() -> UtcMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    UtcMicros(since.as_micros() as i64)
}
