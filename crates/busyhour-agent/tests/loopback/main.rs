//! Agents, a reflector and a collector on loopback, with real packets and a real stream.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use busyhour_model::{Body, GapReason, LinkKind, TimestampMethod};
use busyhour_wire::{ErrorEstimate, Mode, SenderPacket, TimestampFormat, WireTimestamp};
use support::{Running, agent, collector, config, probing};
use testkit::wait_until;

const BOUND: Duration = Duration::from_secs(60);

fn reflector(folder: &Path) -> (Running, SocketAddr) {
    let text = "[reflector]\nlisten = [\"127.0.0.1:0\"]\n";
    let (running, addresses) = agent(config(folder, text));
    (running, addresses[0])
}

#[test]
fn windows_reach_the_collector_and_the_last_one_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (reflector, target) = reflector(folder.path());
    let (collector, url, stored) = collector();
    let (prober, _) = agent(config(folder.path(), &probing(folder.path(), target, url)));
    wait_until("a session began and clocks were compared", BOUND, || {
        let stored = stored.lock().unwrap();
        (stored.sessions == 1 && stored.clocks > 0).then_some(())
    });
    // Blocks are sealed after some seconds; the windows that are open now come with the farewell.
    wait_until("a block arrived", BOUND, || {
        (!stored.lock().unwrap().blocks.is_empty()).then_some(())
    });
    let before = stored.lock().unwrap().windows().len();
    prober.stop();
    reflector.stop();
    collector.stop();

    let stored = stored.lock().unwrap();
    let windows = stored.windows();
    assert!(before > 0 && windows.len() > before, "{before} {}", windows.len());
    assert!(stored.changed.is_empty());
    let mut answered = 0;
    for (record, window) in &windows {
        assert_eq!(window.path.link.kind(), LinkKind::Loopback);
        assert_eq!(window.path.target.as_str(), target.to_string());
        assert_eq!(record.context.resolved, Some(target));
        assert_eq!(record.context.local_prefix, Some("127.0.0.0/8".parse().unwrap()));
        assert_eq!(record.schedule.0, 1_000_000);
        assert_eq!(window.counts.lost(), 0, "{window:?}");
        assert_eq!(window.dscp.up, window.counts.received().gt(&0).then_some(window.dscp.sent));
        assert_eq!(window.received_by, TimestampMethod::Kernel);
        answered += window.counts.received();
    }
    assert!(answered > 50, "{answered}");
    // Nothing twice: no two windows begin at the same time.
    let mut starts: Vec<i64> = windows.iter().map(|(record, _)| record.stamp.started.0).collect();
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), windows.len());
}

#[test]
fn a_session_that_is_cut_before_the_acknowledgement_delivers_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (reflector, target) = reflector(folder.path());
    let (collector, url, stored) = collector();
    stored.lock().unwrap().cuts = 1;
    let (prober, _) = agent(config(folder.path(), &probing(folder.path(), target, url)));
    wait_until("the agent came back", BOUND, || {
        (stored.lock().unwrap().sessions >= 2).then_some(())
    });
    prober.stop();
    reflector.stop();
    collector.stop();

    let stored = stored.lock().unwrap();
    assert!(stored.changed.is_empty());
    assert!(stored.blocks.len() >= 2, "{:?}", stored.blocks.keys());
    let numbers: Vec<u64> = stored.blocks.keys().map(|key| key.1).collect();
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, expected, "a block is missing");
}

#[test]
fn a_target_that_does_not_answer_is_an_outage_and_not_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (collector, url, stored) = collector();
    let target = silent.local_addr().unwrap();
    let (prober, _) = agent(config(folder.path(), &probing(folder.path(), target, url)));
    wait_until("a failed window arrived", BOUND, || {
        let windows = stored.lock().unwrap().windows();
        windows.iter().any(|(_, window)| window.failed()).then_some(())
    });
    prober.stop();
    collector.stop();
    assert!(stored.lock().unwrap().gaps().is_empty());
}

#[test]
fn a_target_whose_name_does_not_resolve_is_a_gap_and_not_an_outage() {
    let folder = tempfile::tempdir().unwrap();
    let (collector, url, stored) = collector();
    let anywhere = "127.0.0.1:9".parse().unwrap();
    let text = probing(folder.path(), anywhere, url).replace("127.0.0.1:9", "..:9");
    let (prober, _) = agent(config(folder.path(), &text));
    let unresolved = || {
        let mut gaps = stored.lock().unwrap().gaps();
        gaps.retain(|(_, gap)| gap.reason == GapReason::Unresolved);
        gaps.sort_by_key(|(record, _)| record.stamp.started);
        gaps
    };
    let several = || (unresolved().len() >= 2).then_some(());
    wait_until("gaps arrived", BOUND, several);
    prober.stop();
    collector.stop();
    assert!(stored.lock().unwrap().windows().is_empty());
    // Windows of a continuous schedule follow each other, so their gaps do too, and all are counted.
    let gaps = unresolved();
    for pair in gaps.windows(2) {
        assert_eq!(pair[0].0.stamp.ended(), pair[1].0.stamp.started);
    }
    for (record, gap) in &gaps {
        assert_eq!(gap.records, Some(record.stamp.duration_us() / 1_000_000));
        // Without a default route nothing at all is known of the way.
        let route = busyhour_host::default_route();
        let target = gap.path.as_ref().map(|path| path.target.as_str());
        assert_eq!(target, route.map(|_| "..:9"));
    }
}

#[test]
fn the_collector_hears_what_a_reflector_received_of_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let (collector, url, stored) = collector();
    let anywhere = "127.0.0.1:9".parse().unwrap();
    let delivering = probing(folder.path(), anywhere, url);
    let (begin, end) = (delivering.find("[link]").unwrap(), delivering.find("[spool]").unwrap());
    let text = format!(
        "{}[reflector]\nlisten = [\"127.0.0.1:0\"]\n{}",
        &delivering[..begin],
        &delivering[end..]
    );
    let (reflector, addresses) = agent(config(folder.path(), &text));
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.set_read_timeout(Some(BOUND)).unwrap();
    for sequence in [0, 1, 4] {
        let sent = WireTimestamp::from_unix_ns(busyhour_net::wall_ns(), TimestampFormat::Ntp);
        let error_estimate = ErrorEstimate::UNSYNCHRONIZED;
        let mut request = Vec::new();
        SenderPacket { sequence, sent, error_estimate, ssid: 4711 }
            .write(Mode::Unauthenticated, &mut request);
        sender.send_to(&request, addresses[0]).unwrap();
        sender.recv(&mut [0; 100]).unwrap();
    }
    let report = wait_until("the report arrived", BOUND, || {
        stored.lock().unwrap().records().into_iter().find_map(|record| match record.body {
            Body::SessionReport(report) => Some(report),
            _ => None,
        })
    });
    reflector.stop();
    collector.stop();
    assert_eq!((report.listen, report.peer), (addresses[0], sender.local_addr().unwrap()));
    assert_eq!((report.ssid, report.received), (4711, 3));
    assert_eq!(report.missing, [(2, 3)]);
}

#[test]
fn both_families_answer_on_the_same_port() {
    let folder = tempfile::tempdir().unwrap();
    if UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED: this machine has no IPv6");
        return;
    }
    let first = agent(config(folder.path(), "[reflector]\nlisten = [\"[::]:0\"]\n"));
    let port = first.1[0].port();
    let text = format!("[reflector]\nlisten = [\"0.0.0.0:{port}\"]\n");
    let second = agent(config(folder.path(), &text));
    for address in [format!("[::1]:{port}"), format!("127.0.0.1:{port}")] {
        let address: SocketAddr = address.parse().unwrap();
        let local = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(local).unwrap();
        socket.set_read_timeout(Some(BOUND)).unwrap();
        for garbage in [0, 1, 43, 3000] {
            socket.send_to(&vec![0xff; garbage], address).unwrap();
        }
        // The smallest test packet (RFC 8762 section 4.2.1): 44 octets.
        socket.send_to(&[0; 44], address).unwrap();
        let mut answer = [0; 100];
        let (length, from) = socket.recv_from(&mut answer).unwrap();
        assert_eq!((length, from), (44, address));
    }
    first.0.stop();
    second.0.stop();
}

/// The agent as a process, with its log.
struct Process {
    child: Child,
    log: std::sync::mpsc::Receiver<String>,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_busyhour-agent"))
            .args(["run", "--config"])
            .arg(folder.join("agent.toml"))
            .stderr(Stdio::piped())
            // Whatever this machine runs on.
            .env("BUSYHOUR__PAUSE__ON_BATTERY", "false")
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tell, log) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, log }
    }

    /// Reads the log up to a line with this text.
    fn wait_for(&self, text: &str) {
        wait_until(text, BOUND, || {
            self.log.try_iter().find(|line| line.contains(text)).map(|_| ())
        });
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

#[test]
fn what_was_committed_survives_a_kill_and_the_time_without_an_agent_is_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let (reflector, target) = reflector(folder.path());
    let (collector, url, stored) = collector();
    std::fs::write(folder.path().join("agent.toml"), probing(folder.path(), target, url)).unwrap();

    let process = Process::start(folder.path());
    process.wait_for("lost_unknown=0");
    process.wait_for("committed");
    process.kill();
    let process = Process::start(folder.path());
    wait_until("the gap arrived", BOUND, || {
        let gaps = stored.lock().unwrap().gaps();
        gaps.iter().any(|(_, gap)| gap.reason == GapReason::NotRunning).then_some(())
    });
    assert_eq!(process.terminate(), Some(0));
    reflector.stop();
    collector.stop();

    let stored = stored.lock().unwrap();
    let (gap, _) = stored.gaps().swap_remove(0);
    let before = |record: &busyhour_model::Record| record.stamp.ended() <= gap.stamp.started;
    let windows = stored.windows();
    assert!(windows.iter().any(|(record, _)| before(record)), "nothing from before the kill");
    assert!(windows.iter().any(|(record, _)| !before(record)), "nothing from after the kill");
}

#[test]
fn a_second_agent_on_the_same_spool_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = silent.local_addr().unwrap();
    let text =
        format!("[agent]\ndata_dir = {:?}\n[[target]]\nname = \"{target}\"\n", folder.path());
    let (first, _) = agent(config(folder.path(), &text));
    let second = Command::new(env!("CARGO_BIN_EXE_busyhour-agent"))
        .args(["run", "--config"])
        .arg(folder.path().join("agent.toml"))
        .output()
        .unwrap();
    assert!(!second.status.success());
    let message = String::from_utf8(second.stderr).unwrap();
    assert!(message.contains("another agent is using"), "{message}");
    first.stop();
}

#[test]
fn the_command_line_explains_itself() {
    let run = |args: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_busyhour-agent")).args(args).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let (ok, help) = run(&["--help"]);
    assert!(ok && help.contains("Examples:") && help.contains("check-config"), "{help}");
    let (ok, shown) = run(&["check-config", "--set", "reflector.listen=[\"127.0.0.1:862\"]"]);
    assert!(ok && shown.contains("listen = [\"127.0.0.1:862\"]"), "{shown}");
    let (ok, refused) = run(&["check-config", "--set", "reflector.lisen=[]"]);
    assert!(!ok && refused.contains("lisen"), "{refused}");
}
