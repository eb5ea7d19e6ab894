//! A reflector, a collector and an agent, as the real programs.

use std::path::Path;

use e2e::{Collector, Process, program, wait_for};
use serde_json::Value;
use tempfile::TempDir;

use crate::Namespace;
use crate::namespace::Handle;
use crate::tunnel::tunnel;

/// A whole installation: a reflector, and beyond the network a collector and an agent that measures
/// in windows of two seconds without a pause, so that a test need not wait for a minute to pass.
pub struct Installation {
    near: Handle,
    collector: Collector,
    agent: Option<Process>,
    reflector: Process,
    _folder: TempDir,
}

/// What is different from an ordinary installation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setup<'a> {
    /// More lines for the target's configuration.
    pub target: &'a str,
    /// More lines for the reflector's.
    pub reflector: &'a str,
    /// Whether the reflector, too, delivers to the collector: what it received of each session.
    pub reports: bool,
    /// Whether the agent pauses after each window, for longer than it waits for answers.
    pub pauses: bool,
}

impl Installation {
    /// Starts everything; the agent measures to `target`, an address with port 862.
    ///
    /// # Panics
    /// When a program does not start.
    #[must_use]
    pub fn start(near: &Namespace, far: &Namespace, target: &str) -> Self {
        Self::start_with(near, far, target, Setup::default())
    }

    /// The same, as `setup` says.
    ///
    /// # Panics
    /// When a program does not start.
    #[must_use]
    pub fn start_with(near: &Namespace, far: &Namespace, target: &str, setup: Setup<'_>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let collector = Collector::start(&near.place(), &at("collector"), "");
        let listen = if target.starts_with('[') { "[::]:862" } else { "0.0.0.0:862" };
        let delivers = if setup.reports {
            let ingest = collector.ingest.trim_start_matches("http://");
            let address = tunnel(far, near, ingest.parse().expect("an address"));
            uplink(&collector, &at("far-secret"), &format!("http://{address}"))
        } else {
            String::new()
        };
        let lines = format!("{delivers}[reflector]\nlisten = [{listen:?}]\n{}", setup.reflector);
        let config = agent_config(&at("far"), &lines);
        let mut reflector = start_agent(far, &at("reflector.toml"), &config);
        wait_for("the reflector", || {
            assert!(reflector.runs(), "the reflector ended:\n{}", reflector.log());
            at("far").join("addresses.json").exists().then_some(())
        });
        let lines = format!(
            "{}[link]\ncapacity = \"1Gbit/s\"\n[[target]]\nname = {target:?}\n\
             {}window = \"2s\"\n{}",
            uplink(&collector, &at("secret"), &collector.ingest),
            if setup.pauses { "period = \"15s\"\n" } else { "schedule = \"continuous\"\n" },
            setup.target
        );
        let config = agent_config(&at("near"), &lines);
        let agent = Some(start_agent(near, &at("agent.toml"), &config));
        Self { near: near.handle(), collector, agent, reflector, _folder: folder }
    }

    /// All windows that the collector holds, oldest first.
    ///
    /// # Panics
    /// When the collector does not answer.
    #[must_use]
    pub fn windows(&self) -> Vec<Value> {
        // Asked from inside the namespace: a command for each look would take more time than the
        // whole measurement.
        let items = |path: &str| {
            let answer = self.near.inside(|| self.collector.get(path));
            let answer: Value = serde_json::from_slice(&answer).expect("the collector gives JSON");
            answer["items"].as_array().expect("a list").clone()
        };
        let Some(path) = items("/api/v1/paths").first().cloned() else { return Vec::new() };
        items(&format!("/api/v1/paths/{}/windows", path["id"]))
    }

    /// Waits until `count` windows more than now are stored; all windows.
    ///
    /// # Panics
    /// When they do not come, or a program has ended.
    pub fn wait_for_windows(&mut self, count: usize) -> Vec<Value> {
        let enough = self.windows().len() + count;
        self.wait_until("windows at the collector", |windows| windows.len() >= enough)
    }

    /// Waits until the stored windows are as they should be; all windows.
    ///
    /// # Panics
    /// When they never are, or a program has ended.
    pub fn wait_until(&mut self, what: &str, ready: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        wait_for(what, || {
            let agent = self.agent.as_mut().expect("the agent runs");
            assert!(agent.runs(), "the agent ended:\n{}", agent.log());
            assert!(self.reflector.runs(), "the reflector ended:\n{}", self.reflector.log());
            let windows = self.windows();
            ready(&windows).then_some(windows)
        })
    }

    /// Stops the agent, which delivers what it still has; all windows.
    ///
    /// # Panics
    /// When it does not stop in order.
    pub fn finish(&mut self) -> Vec<Value> {
        assert!(self.agent.take().expect("the agent runs").stop(), "the agent ends in order");
        self.windows()
    }
}

/// Lets an agent in by a secret in `file`, and says how it delivers.
fn uplink(collector: &Collector, file: &Path, url: &str) -> String {
    let secret = file.to_str().expect("a printable path");
    let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
    let added = collector.busyhour(&["agent", "add", name, "--secret-file", secret]);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    format!(
        "secret_file = {secret:?}\n[spool]\nseal_after = \"200ms\"\n[collector]\nurl = {url:?}\n"
    )
}

fn start_agent(place: &Namespace, file: &Path, config: &str) -> Process {
    std::fs::write(file, config).expect("a configuration");
    let mut command = place.place().command(&program("busyhour-agent"));
    Process::start(command.args(["run", "--config"]).arg(file), file.with_extension("log"))
}

fn agent_config(data: &Path, rest: &str) -> String {
    format!("[agent]\ndata_dir = {:?}\n{rest}", data.to_str().expect("a printable path"))
}

/// A whole number that a window tells.
///
/// # Panics
/// When it does not.
#[must_use]
pub fn number(window: &Value, field: &str) -> u64 {
    window[field].as_u64().unwrap_or_else(|| panic!("no {field} in {window}"))
}

/// The sum of such numbers.
///
/// # Panics
/// When a window does not tell it.
#[must_use]
pub fn sum(windows: &[Value], field: &str) -> u64 {
    windows.iter().map(|window| number(window, field)).sum()
}
