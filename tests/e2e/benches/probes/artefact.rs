//! How much of a round trip is the prober's own doing: over a link that takes no time, with more
//! work than processors.

use std::path::Path;
use std::process::{Command, Output};

use e2e::program;
use serde_json::Value;
use tempfile::TempDir;

use crate::processes::{Running, busy_loops, peer, write};
use crate::{Effort, median};

const FAR: &str = "192.0.2.2";
const NEAR: &str = "192.0.2.1";

/// Two namespaces that a cable joins; they go with the value.
struct Cable {
    near: String,
    far: String,
}

impl Cable {
    fn new() -> Option<Self> {
        let name = |end: &str| format!("bh-bench-{end}-{}", std::process::id());
        let cable = Self { near: name("near"), far: name("far") };
        for namespace in [&cable.near, &cable.far] {
            if !ip(&["netns", "add", namespace]) {
                println!("  network namespaces cannot be made (root is needed): not measured");
                return None;
            }
            assert!(ip(&["-n", namespace, "link", "set", "lo", "up"]));
        }
        let (near, far) = (cable.near.as_str(), cable.far.as_str());
        assert!(ip(&[
            "-n", near, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", far
        ]));
        for (namespace, address) in [(near, NEAR), (far, FAR)] {
            let prefix = format!("{address}/24");
            assert!(ip(&["-n", namespace, "addr", "add", &prefix, "dev", "eth0"]));
            assert!(ip(&["-n", namespace, "link", "set", "eth0", "up"]));
        }
        Some(cable)
    }

    fn command(namespace: &str, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(program);
        command
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.near]);
        ip(&["netns", "del", &self.far]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).status().expect("ip runs").success()
}

/// Percentiles of round trips, in microseconds.
#[derive(Clone, Copy)]
struct Trips {
    p50: f64,
    p99: f64,
    p999: f64,
}

fn json(output: &Output) -> Option<Value> {
    if !output.status.success() {
        println!("    {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).ok()
}

/// One window of ours, 200 packets a second.
fn ours(cable: &Cable, effort: &Effort) -> Option<Trips> {
    let window = format!("{}s", effort.trips.as_secs());
    let mut command = Cable::command(&cable.near, &program("busyhour-agent"));
    command.args(["once", &format!("{FAR}:8620"), "--profile", "burst-200", "--window", &window]);
    let found = json(&command.args(["-o", "json"]).output().expect("it runs"))?;
    let figure = |name: &str| found["rtt_us"][name].as_f64();
    Some(Trips { p50: figure("p50")?, p99: figure("p99")?, p999: figure("p999")? })
}

/// The same by irtt, which lists every round trip.
fn irtt(cable: &Cable, effort: &Effort, file: &Path) -> Option<Trips> {
    let mut command = Cable::command(&cable.near, file);
    let length = format!("{}s", effort.trips.as_secs());
    command.args(["client", "-i", "5ms", "-d", &length, "-l", "145", "-Q", "-o", "-", FAR]);
    let found = json(&command.output().expect("it runs"))?;
    let trips = found["round_trips"].as_array()?.iter();
    let mut micros: Vec<f64> =
        trips.filter_map(|trip| Some(trip["delay"]["rtt"].as_f64()? / 1e3)).collect();
    micros.sort_by(f64::total_cmp);
    let at = |share: f64| micros.get(((micros.len() - 1) as f64 * share).round() as usize).copied();
    Some(Trips { p50: at(0.5)?, p99: at(0.99)?, p999: at(0.999)? })
}

/// The same by `smokeping_prober`, whose histogram tells the upper end of the bucket.
fn smokeping(cable: &Cable, effort: &Effort, file: &Path) -> Option<Trips> {
    let buckets: Vec<String> =
        (0..44).map(|step| format!("{:.8}", 5e-6 * 1.4_f64.powi(step))).collect();
    let mut command = Cable::command(&cable.near, file);
    command.args(["--config.file=", "--privileged", "--ping.interval=5ms", "--ping.size=117"]);
    command.arg(format!("--buckets={}", buckets.join(","))).arg(FAR);
    let running = Running::start(&mut command);
    std::thread::sleep(effort.trips);
    let script =
        "exec 3<>/dev/tcp/127.0.0.1/9374; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    let mut ask = Cable::command(&cable.near, Path::new("bash"));
    let answer = ask.args(["-c", script]).output().ok()?;
    drop(running);
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let counts: Vec<(f64, f64)> = text
        .lines()
        .filter(|line| line.starts_with("smokeping_response_duration_seconds_bucket"))
        .filter_map(|line| {
            let bound = line.split("le=\"").nth(1)?.split('"').next()?;
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
            Some((bound * 1e6, line.rsplit(' ').next()?.parse().ok()?))
        })
        .collect();
    let all = counts.last()?.1;
    let at = |share: f64| counts.iter().find(|(_, count)| *count >= all * share).map(|c| c.0);
    Some(Trips { p50: at(0.5)?, p99: at(0.99)?, p999: at(0.999)? })
}

/// Measures ours and the peers in turn, several times.
pub(crate) fn measure(effort: &Effort) {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    println!(
        "\nRound trips over a veth pair, 200 a second, {} busy loops on {processors} processors; \
         median of {} runs, in microseconds",
        2 * processors,
        effort.runs
    );
    let Some(cable) = Cable::new() else { return };
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("far");
    let config = format!("[agent]\ndata_dir = {data:?}\n[reflector]\nlisten = [\"{FAR}:8620\"]\n");
    let config = write(folder.path(), "far.toml", &config);
    let mut reflector = Cable::command(&cable.far, &program("busyhour-agent"));
    let _reflector = Running::start(reflector.args(["run", "--config"]).arg(config));
    let irtt_file = peer("irtt");
    let _server = irtt_file.as_ref().map(|file| {
        let mut server = Cable::command(&cable.far, file);
        Running::start(server.args(["server", "-i", "1ms", "-b", &format!("{FAR}:2112")]))
    });
    let smokeping_file = peer("prometheus-smokeping-prober");

    let mut figures: [Vec<Trips>; 3] = Default::default();
    for _ in 0..effort.runs {
        let _busy = busy_loops(2 * processors);
        figures[0].extend(ours(&cable, effort));
        figures[1].extend(irtt_file.as_ref().and_then(|file| irtt(&cable, effort, file)));
        figures[2].extend(smokeping_file.as_ref().and_then(|file| smokeping(&cable, effort, file)));
    }
    println!("    {:<18} {:>9} {:>9} {:>9}", "", "p50", "p99", "p99.9");
    for (name, trips) in ["busyhour", "irtt", "smokeping_prober"].iter().zip(&figures) {
        if trips.is_empty() {
            println!("    {name:<18} nothing measured");
            continue;
        }
        let of = |pick: fn(&Trips) -> f64| median(&trips.iter().map(pick).collect::<Vec<_>>());
        println!(
            "    {name:<18} {:>9.1} {:>9.1} {:>9.1}",
            of(|t| t.p50),
            of(|t| t.p99),
            of(|t| t.p999)
        );
    }
}
