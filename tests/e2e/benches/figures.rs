//! The figures of `docs/BENCHMARKS.md`, measured on the real programs:
//!
//!     cargo bench --package e2e --bench figures
//!     cargo bench --package e2e --bench figures -- --smoke
//!
//! The smoke run measures for seconds only: it shows that the benchmark works, not what is true.

use std::fs;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::{Collector, Place, Process, program, wait_for};
use serde_json::Value;
use tempfile::TempDir;

/// A STAMP request as the audio profile sends it: 117 bytes of payload, 145 bytes of IPv4.
const REQUEST_BYTES: usize = 117;
/// Requests under way at once while a reflector is loaded.
const IN_FLIGHT: usize = 32;

struct Effort {
    /// How long the agent is watched.
    agent: Duration,
    /// Packets that each reflector answers.
    packets: u64,
    /// Weeks of history.
    weeks: &'static str,
    /// Requests for the map.
    maps: usize,
}

const FULL: Effort =
    Effort { agent: Duration::from_secs(120), packets: 1_000_000, weeks: "4", maps: 100 };
const SMOKE: Effort =
    Effort { agent: Duration::from_secs(3), packets: 20_000, weeks: "1", maps: 5 };

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--echo") {
        return echo();
    }
    let smoke = arguments.iter().any(|argument| argument == "--smoke");
    let effort = if smoke { SMOKE } else { FULL };
    if smoke {
        println!("A smoke run: the figures mean nothing.");
    }
    agent(&effort);
    reflector(&effort);
    collector(&effort);
}

/// CPU seconds that a process has used, and its resident memory in kB.
fn cost(process: u32) -> (f64, u64) {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the process runs");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .expect("the resident memory");
    // Linux reports in hundredths of a second everywhere (USER_HZ).
    ((ticks(11) + ticks(12)) / 100.0, resident)
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).expect("a file");
    file
}

fn data(folder: &Path, name: &str) -> String {
    format!("[agent]\ndata_dir = {:?}\n", folder.join(name).to_str().expect("printable"))
}

fn start_agent(folder: &Path, name: &str, config: &str) -> Process {
    let config = format!("{}{config}", data(folder, name));
    let file = write(folder, &format!("{name}.toml"), &config);
    let mut command = Command::new(program("busyhour-agent"));
    Process::start(command.args(["run", "--config"]).arg(file), folder.join(format!("{name}.log")))
}

/// Starts a reflector; where it listens.
fn start_reflector(folder: &Path) -> (Process, SocketAddr) {
    let reflector = start_agent(folder, "far", "[reflector]\nlisten = [\"127.0.0.1:0\"]\n");
    let address = wait_for("the reflector's address", || {
        let text = fs::read_to_string(folder.join("far/addresses.json")).ok()?;
        let found: Value = serde_json::from_str(&text).ok()?;
        found["reflector"][0].as_str()?.parse().ok()
    });
    (reflector, address)
}

/// Memory and CPU of an agent with two targets, at the default duty and continuously.
fn agent(effort: &Effort) {
    println!("\nAgent, two targets, no collector in reach (everything is spooled)");
    for schedule in ["duty", "continuous"] {
        let folder = TempDir::new().expect("a folder");
        let (_reflector, address) = start_reflector(folder.path());
        let mut config = String::new();
        for host in ["127.0.0.1", "localhost"] {
            let port = address.port();
            config.push_str(&format!(
                "[[target]]\nname = \"{host}:{port}\"\nschedule = {schedule:?}\n"
            ));
        }
        let agent = start_agent(folder.path(), "near", &config);
        wait_for("the agent's spool", || {
            folder.path().join("near/spool.db").exists().then_some(())
        });
        let (before, _) = cost(agent.id());
        let started = Instant::now();
        std::thread::sleep(effort.agent);
        let (after, resident) = cost(agent.id());
        let share = (after - before) / started.elapsed().as_secs_f64() * 100.0;
        println!("  {schedule:<11} {share:>6.2} % of a core   {resident:>6} kB resident");
    }
}

/// Packets per CPU second of the reflector, beside a loop that only receives and sends.
fn reflector(effort: &Effort) {
    println!("\nReflector, {REQUEST_BYTES}-byte requests on loopback");
    let folder = TempDir::new().expect("a folder");
    let (reflector, address) = start_reflector(folder.path());
    let ours = load(reflector.id(), address, effort.packets);
    let mut peer = Command::new(std::env::current_exe().expect("this program"))
        .arg("--echo")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the bare loop starts");
    let address = {
        use std::io::{BufRead as _, BufReader};
        let mut line = String::new();
        let stdout = peer.stdout.take().expect("it was asked for");
        BufReader::new(stdout).read_line(&mut line).expect("its address");
        line.trim().parse().expect("an address")
    };
    let bare = load(peer.id(), address, effort.packets);
    let _ = peer.kill();
    let _ = peer.wait();
    println!("  busyhour    {ours:>9.0} packets per CPU second");
    println!("  bare loop   {bare:>9.0} packets per CPU second (recv_from and send_to, no more)");
    println!("  ratio       {:>9.2}", ours / bare);
}

/// A loop that answers each datagram with itself: what answering costs at least.
fn echo() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    println!("{}", socket.local_addr().expect("its address"));
    let mut buffer = [0; 2048];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        // A sender that is gone is no reason to stop.
        let _ = socket.send_to(&buffer[..length], from);
    }
}

/// Has a process answer `packets` requests; packets per second of its CPU time.
fn load(process: u32, address: SocketAddr, packets: u64) -> f64 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.connect(address).expect("an address");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let (mut sequence, mut answered) = (0u32, 0u64);
    let mut request = [0u8; REQUEST_BYTES];
    // Error estimate: not synchronised, NTP format, multiplier 1.
    request[12..14].copy_from_slice(&[0, 1]);
    // Class of Service (type 4): DSCP 46 wanted; then Extra Padding (type 1) to the end.
    request[44..52].copy_from_slice(&[0x80, 4, 0, 4, 0xb8, 0, 0, 0]);
    let padding = u16::try_from(REQUEST_BYTES - 56).expect("a small number");
    request[52..54].copy_from_slice(&[0x80, 1]);
    request[54..56].copy_from_slice(&padding.to_be_bytes());
    let mut send = |count: usize| {
        for _ in 0..count {
            request[..4].copy_from_slice(&sequence.to_be_bytes());
            // As many sessions as an address may have: each is answered 2000 times a second at most.
            request[15] = (sequence % 64) as u8;
            sequence += 1;
            socket.send(&request).expect("loopback takes it");
        }
    };
    let (before, _) = cost(process);
    send(IN_FLIGHT);
    let mut buffer = [0; 2048];
    while answered < packets {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                assert_eq!(length, REQUEST_BYTES, "a reply is as long as its request");
                answered += 1;
                send(1);
            }
            // Some were lost in a full queue: put new ones under way.
            Err(_) => send(IN_FLIGHT),
        }
    }
    let (after, _) = cost(process);
    answered as f64 / (after - before)
}

/// Ingest through gRPC, bytes per window, and the four-week map of a building.
fn collector(effort: &Effort) {
    println!("\nCollector, {} week(s) of 30 paths at one window a minute", effort.weeks);
    let folder = TempDir::new().expect("a folder");
    let keep = "[retention]\nwindows = \"60d\"\n";
    let mut collector = Collector::start(&Place::default(), folder.path(), keep);
    let (before, _) = cost(collector.id());
    let started = Instant::now();
    let loaded = Command::new(program("busyhour"))
        .args(["--collector", &collector.api, "role", "simulate", "--weeks", effort.weeks])
        .args(["--ingest", &collector.ingest])
        .output()
        .expect("busyhour runs");
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    let seconds = started.elapsed().as_secs_f64();
    let (after, resident) = cost(collector.id());
    let windows = collector.figure("store_windows_total");
    println!("  windows              {windows:>12}");
    println!(
        "  end to end           {:>12.0} windows/s (the generator on the same cores)",
        windows as f64 / seconds
    );
    println!(
        "  collector            {:>12.0} windows per CPU second (judging included)",
        windows as f64 / (after - before)
    );
    println!("  resident             {resident:>12} kB");

    let buildings = collector.items(&["building", "ls"]);
    let id = buildings
        .iter()
        .find(|building| building["name"] == "Berlin HQ")
        .and_then(|building| building["id"].as_str())
        .expect("the masked building")
        .to_owned();
    let mut times: Vec<Duration> = (0..effort.maps)
        .map(|_| {
            let started = Instant::now();
            black_box(collector.get(&format!("/api/v1/buildings/{id}/map")));
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "  map of a building    {:>12.1?} median, {:.1?} worst of {}",
        times[times.len() / 2],
        times[times.len() - 1],
        times.len()
    );

    assert!(collector.stop(), "the collector stops in order");
    let database = folder.path().join("data/telemetry.db");
    let bytes = fs::metadata(&database).expect("the database").len();
    println!(
        "  telemetry.db         {:>12.1} bytes per window, raw windows, slots and all",
        bytes as f64 / windows as f64
    );
}
