//! CPU and memory of probing.

use std::path::Path;
use std::process::Command;

use e2e::program;
use tempfile::TempDir;

use crate::processes::{Running, cpu_seconds, peer, resident_kb, write};
use crate::{Effort, median};

/// One program that probes.
struct Prober {
    name: &'static str,
    running: Running,
}

/// Starts an agent with these `[[target]]` tables.
fn agent(folder: &Path, name: &'static str, targets: &str) -> Prober {
    let data = folder.join(name.replace(' ', "-"));
    let config = format!("[agent]\ndata_dir = {data:?}\n{targets}");
    let config = write(folder, &format!("{}.toml", name.replace(' ', "-")), &config);
    let mut command = Command::new(program("busyhour-agent"));
    Prober { name, running: Running::start(command.args(["run", "--config"]).arg(config)) }
}

/// Addresses that are all this machine.
fn hosts(count: u8) -> Vec<String> {
    (1..=count).map(|host| format!("127.0.1.{host}")).collect()
}

fn smokeping(hosts: &[String], interval: &str) -> Option<Prober> {
    let mut command = Command::new(peer("prometheus-smokeping-prober")?);
    command.args(["--config.file=", "--privileged", "--web.listen-address=127.0.0.1:0"]);
    command.arg(format!("--ping.interval={interval}")).args(hosts);
    Some(Prober { name: "smokeping_prober", running: Running::start(&mut command) })
}

fn fping(hosts: &[String], period_ms: &str) -> Option<Prober> {
    let mut command = Command::new(peer("fping")?);
    command.args(["-l", "-q", "-i", "1", "-p", period_ms]).args(hosts);
    Some(Prober { name: "fping", running: Running::start(&mut command) })
}

/// Watches several programs at the same time, several times; the median CPU shares in percent.
fn watch(title: &str, effort: &Effort, probers: &[Prober]) -> Vec<(&'static str, f64)> {
    println!("  {title}");
    std::thread::sleep(effort.warm_up);
    let mut shares = vec![Vec::new(); probers.len()];
    for _ in 0..effort.runs {
        let before: Vec<f64> = probers.iter().map(|p| cpu_seconds(p.running.id())).collect();
        let started = std::time::Instant::now();
        std::thread::sleep(effort.slice);
        let seconds = started.elapsed().as_secs_f64();
        for ((prober, before), shares) in probers.iter().zip(before).zip(&mut shares) {
            shares.push((cpu_seconds(prober.running.id()) - before) / seconds * 100.0);
        }
    }
    let figure = |(prober, shares): (&Prober, &Vec<f64>)| {
        let (share, resident) = (median(shares), resident_kb(prober.running.id()));
        println!("    {:<18} {share:>6.2} % of a core {resident:>7} kB resident", prober.name);
        (prober.name, share)
    };
    probers.iter().zip(&shares).map(figure).collect()
}

/// Measures all loads.
pub(crate) fn measure(effort: &Effort) {
    println!(
        "\nProbing, programs of one block side by side; median of {} slices of {:?}",
        effort.runs, effort.slice
    );
    let folder = TempDir::new().expect("a folder");
    // Answers on every loopback address, so that each target is one of its own.
    let data = folder.path().join("far");
    let port = {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket.local_addr().expect("its address").port()
    };
    let config =
        format!("[agent]\ndata_dir = {data:?}\n[reflector]\nlisten = [\"0.0.0.0:{port}\"]\n");
    let config = write(folder.path(), "far.toml", &config);
    let mut command = Command::new(program("busyhour-agent"));
    let _far = Running::start(command.args(["run", "--config"]).arg(config));

    let target =
        |host: &String, rest: &str| format!("[[target]]\nname = \"{host}:{port}\"\n{rest}\n");
    let all = |hosts: &[String], rest: &str| -> String {
        hosts.iter().map(|host| target(host, rest)).collect()
    };

    let many = hosts(100);
    let mut probers =
        vec![agent(folder.path(), "busyhour 100", &all(&many, "profile = \"low-1\""))];
    probers.extend(smokeping(&many, "1s"));
    probers.extend(fping(&many, "1000"));
    watch("100 sessions, 1 packet a second each", effort, &probers);

    let ten = hosts(10);
    let continuous = "profile = \"audio-50\"\nschedule = \"continuous\"";
    let mut probers = vec![agent(folder.path(), "busyhour 10", &all(&ten, continuous))];
    let addresses: Vec<String> = ten.iter().map(|host| format!("{host}:{port}")).collect();
    let mut arguments = vec!["--bare-agent", "50"];
    arguments.extend(addresses.iter().map(String::as_str));
    let (running, _) = Running::own(&arguments);
    probers.push(Prober { name: "bare loop", running });
    probers.extend(smokeping(&ten, "20ms"));
    probers.extend(fping(&ten, "20"));
    let shares = watch("10 sessions, 50 packets a second each", effort, &probers);
    let share = |name: &str| shares.iter().find(|(other, _)| *other == name).map(|(_, s)| *s);
    if let (Some(ours), Some(bare)) = (share("busyhour 10"), share("bare loop")) {
        println!("    CPU, ours to the bare loop: {:.2}", ours / bare);
    }

    let two = hosts(2);
    let duty = agent(folder.path(), "busyhour default", &all(&two, ""));
    let video = "profile = \"video-150\"\nschedule = \"continuous\"";
    let video = agent(folder.path(), "busyhour video", &all(&hosts(1), video));
    watch(
        "the default (audio, 15 s in each minute, two targets); video without pauses",
        effort,
        &[duty, video],
    );
}
