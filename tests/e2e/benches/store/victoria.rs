//! VictoriaMetrics as a process of its own, spoken to over loopback.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::{Process, wait_for};

use crate::cost::folder_bytes;

const PROGRAM: &str = "victoria-metrics";
/// What it may use for caches; it shares the machine.
const MEMORY_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(900);
/// How often it is looked whether it still merges.
const LOOK: Duration = Duration::from_millis(100);

/// A running VictoriaMetrics, ended when it is let go of.
pub(crate) struct Victoria {
    process: Process,
    address: SocketAddr,
    data: PathBuf,
}

/// Whether it is installed; says so when it is not.
pub(crate) fn installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(PROGRAM).is_file());
    if !found {
        println!("  {PROGRAM} is not installed: not measured");
    }
    found
}

impl Victoria {
    /// Starts one with its data in `folder`, on a port that the system picks.
    pub(crate) fn start(folder: &Path) -> Self {
        let data = folder.join("victoria");
        let log = folder.join("victoria.log");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        drop(listener);
        let mut command = Command::new(PROGRAM);
        command
            .arg(format!("-storageDataPath={}", data.display()))
            .arg(format!("-httpListenAddr={address}"))
            .arg(format!("-memory.allowedBytes={MEMORY_BYTES}"))
            .args(["-retentionPeriod=100y", "-loggerLevel=WARN"])
            .args([
                "-search.maxUniqueTimeseries=100000000",
                "-search.maxSamplesPerQuery=10000000000",
            ])
            .args(["-search.maxQueryDuration=10m", "-search.maxPointsPerTimeseries=1000000"]);
        let mut process = Process::start(&mut command, log);
        wait_for("VictoriaMetrics", || {
            assert!(process.runs(), "VictoriaMetrics ended:\n{}", process.log());
            TcpStream::connect(address).ok()
        });
        Self { process, address, data }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// A connection for imports.
    pub(crate) fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        Connection { stream, address: self.address }
    }

    /// Asks something; the body of the answer.
    pub(crate) fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Vec<u8> {
        let form: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let form = form.join("&");
        let mut stream = self.connect().stream;
        // HTTP/1.0: the answer ends with the connection, and comes in one piece.
        let head = format!(
            "POST {path} HTTP/1.0\r\nHost: {}\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
            self.address,
            form.len()
        );
        stream.write_all(head.as_bytes()).expect("it takes requests");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let body = answer.split_off(end + 4);
        let head = String::from_utf8_lossy(&answer).into_owned();
        let fine = head.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
        assert!(fine, "{path}: {head}{}", String::from_utf8_lossy(&body));
        body
    }

    /// Has everything on disk, merged as far as it merges; how many samples there are.
    pub(crate) fn settle(&self) -> u64 {
        self.get("/internal/force_flush", &[]);
        self.get("/internal/force_merge", &[]);
        // The merge goes on in the background, and says in its metrics how far it is.
        let begun = Instant::now();
        while self.merges() {
            assert!(begun.elapsed() < PATIENCE, "it merges for {PATIENCE:?}");
            std::thread::sleep(LOOK);
        }
        let metrics = self.get("/metrics", &[]);
        let metrics = String::from_utf8_lossy(&metrics);
        let rows = metrics.lines().filter(|line| line.starts_with("vm_rows{type=\"storage/"));
        let rows = rows.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        rows.sum::<f64>() as u64
    }

    /// Whether it still puts parts together.
    fn merges(&self) -> bool {
        let metrics = self.get("/metrics", &[]);
        let metrics = String::from_utf8_lossy(&metrics);
        let active = |line: &&str| line.starts_with("vm_active_merges{");
        let active = metrics.lines().filter(active).any(|line| !line.ends_with(" 0"));
        let forced = |line: &&str| line.starts_with("vm_active_force_merges ");
        active || metrics.lines().filter(forced).any(|line| !line.ends_with(" 0"))
    }

    /// Ends it in order; how many bytes it leaves.
    pub(crate) fn stop(self) -> u64 {
        let Self { process, data, .. } = self;
        assert!(process.stop(), "VictoriaMetrics stops in order");
        folder_bytes(&data)
    }
}

/// A connection that stays open.
pub(crate) struct Connection {
    stream: TcpStream,
    address: SocketAddr,
}

impl Connection {
    /// Sends a body and waits until it was taken.
    pub(crate) fn post(&mut self, path: &str, body: &[u8]) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        self.stream.write_all(head.as_bytes()).expect("it takes requests");
        self.stream.write_all(body).expect("it takes bodies");
        let mut answer = [0; 4_096];
        let mut length = 0;
        while !answer[..length].windows(4).any(|four| four == b"\r\n\r\n") {
            let more = self.stream.read(&mut answer[length..]).expect("it answers");
            assert!(more > 0, "it answers whole");
            length += more;
        }
        let text = String::from_utf8_lossy(&answer[..length]);
        assert!(text.starts_with("HTTP/1.1 204"), "{path}: {text}");
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            escaped.push(byte.into());
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
