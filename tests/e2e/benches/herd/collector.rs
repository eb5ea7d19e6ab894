//! A collector that lets a fleet in by tokens, and the fleet's process.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use busyhour_model::UtcMicros;
use busyhour_store::{Retention, SqliteTelemetry};
use e2e::{Process, program, wait_for};
use serde_json::Value;
use tempfile::TempDir;

/// Where all agents are.
const BUILDING: &str = "127.0.0.0,Loopback,8,Herd,,,,Berlin,10115,DE,,EMEA,1,0,0\r\n";
/// As many as one token lets in.
const USES: usize = 1_000;
/// File descriptors that the collector may have open, if the system lets it: an agent has one.
const FILES: u32 = 65_536;
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

/// A running collector whose agents' port speaks TLS with certificates on both sides.
pub(crate) struct Collector {
    pub(crate) process: Process,
    /// Where agents deliver.
    pub(crate) ingest: String,
    api: String,
    folder: TempDir,
}

impl Collector {
    /// Starts one with tokens for `agents` agents.
    pub(crate) fn start(agents: usize) -> Self {
        let folder = match std::env::var_os("BUSYHOUR_BENCH_DIR") {
            Some(place) => TempDir::new_in(place),
            None => TempDir::new(),
        };
        let folder = folder.expect("a folder");
        let data = folder.path().join("data");
        let config = folder.path().join("collector.toml");
        let text = format!(
            "[collector]\ndata_dir = {:?}\n[ingest]\nlisten = \"127.0.0.1:0\"\nsecurity = \"tls\"\n\
             [api]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"warn\"\n",
            data.to_str().expect("printable")
        );
        fs::write(&config, text).expect("a configuration");
        // As a service manager would: what the system's limit allows.
        let limited =
            format!("ulimit -n {FILES} 2>/dev/null || ulimit -n \"$(ulimit -Hn)\"; exec \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &limited, "sh"]).arg(program("busyhour-collector"));
        command.args(["run", "--config"]).arg(config);
        let mut process = Process::start(&mut command, folder.path().join("collector.log"));
        let found = wait_for("the collector's addresses", || {
            assert!(process.runs(), "the collector ended:\n{}", process.log());
            let text = fs::read_to_string(data.join("addresses.json")).ok()?;
            serde_json::from_str::<Value>(&text).ok()
        });
        let address = |of: &str| found[of].as_str().expect("an address").to_owned();
        let collector = Self { process, ingest: address("ingest"), api: address("api"), folder };
        let buildings = collector.at("buildings.csv");
        fs::write(&buildings, BUILDING).expect("a building file");
        collector.busyhour(&["building", "import", buildings.to_str().expect("printable")]);
        for first in (0..agents).step_by(USES) {
            let token = collector.at(&format!("token-{}", first / USES));
            let (uses, file) = (USES.to_string(), token.to_str().expect("printable"));
            let create = ["token", "create", "--building", "Herd", "--uses", &uses];
            collector.busyhour(&[&create[..], &["--token-file", file]].concat());
        }
        collector
    }

    /// Where tokens and the authority lie.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn busyhour(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program("busyhour"));
        command.args(["--collector", &format!("http://{}", self.api)]).args(arguments);
        let output = command.output().expect("busyhour runs");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        output
    }

    /// Revokes an agent; returns when the collector has answered.
    pub(crate) fn revoke(&self, agent: &str) {
        let mut stream = TcpStream::connect(&self.api).expect("the collector listens");
        let (api, body) = (&self.api, "{\"reason\":\"as a benchmark\"}");
        let request = format!(
            "POST /api/v1/identities/{agent}/revoke HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("it takes requests");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
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
            .arg(self.folder())
            .args(smoke.then_some("--smoke"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts")
    }
}

/// The token that lets an agent in, and the authority that proves the collector, as the fleet's process
/// finds them in the collector's folder.
pub(crate) struct Papers {
    pub(crate) tokens: Vec<(String, String)>,
    pub(crate) authority: String,
}

impl Papers {
    pub(crate) fn read(folder: &Path) -> Self {
        let token = |number: usize| {
            let text = fs::read_to_string(folder.join(format!("token-{number}"))).ok()?;
            let mut parts = text.trim().split('.').skip(1).map(str::to_owned);
            Some((parts.next()?, parts.next()?))
        };
        let file = folder.join("data/identity/authority.pem");
        let text = fs::read_to_string(file).expect("the authority");
        let begins = text.find("-----BEGIN CERTIFICATE").expect("a certificate");
        let tokens = (0..).map_while(token).collect();
        Self { tokens, authority: text[begins..].to_owned() }
    }

    /// Of the agent with this number.
    pub(crate) fn token_of(&self, agent: usize) -> &(String, String) {
        &self.tokens[agent / USES]
    }
}

pub(crate) fn now() -> UtcMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    UtcMicros(since.as_micros() as i64)
}
