//! Loss and code points per direction against what nftables on the router really did.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::path::Path;

use e2e::{Collector, Process, program, wait_for};
use lab::{AGENT, AGENT_V6, Network, REFLECTOR, REFLECTOR_V6};
use serde_json::Value;
use tempfile::TempDir;

/// Counts all packets each way, and drops what the test's own chains say.
const TABLE: &str = "
    add table inet lab
    add counter inet lab up
    add counter inet lab down
    add counter inet lab up_dropped
    add counter inet lab down_dropped
    add chain inet lab forward { type filter hook forward priority 0; policy accept; }
    add chain inet lab impair
    add rule inet lab forward udp dport 862 counter name up
    add rule inet lab forward udp sport 862 counter name down
    add rule inet lab forward jump impair
";

struct Lab {
    network: Network,
    collector: Collector,
    agent: Option<Process>,
    _reflector: Process,
    _folder: TempDir,
}

/// A whole installation: reflector, collector, and an agent that measures in short windows without
/// a pause, so that a test need not wait for a minute to pass.
fn lab(target: &str) -> Option<Lab> {
    let network = Network::new()?;
    network.nft(TABLE);
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let listen = if target.starts_with('[') { "[::]:862" } else { "0.0.0.0:862" };
    let far = at("reflector.toml");
    std::fs::write(&far, agent_config(&at("far"), &format!("[reflector]\nlisten = [{listen:?}]")))
        .unwrap();
    let mut command = network.reflector().command(&program("busyhour-agent"));
    let mut reflector = Process::start(command.args(["run", "--config"]).arg(&far), at("far.log"));
    wait_for("the reflector", || {
        assert!(reflector.runs(), "the reflector ended:\n{}", reflector.log());
        at("far").join("addresses.json").exists().then_some(())
    });

    let collector = Collector::start(&network.agent(), &at("collector"), "");
    let secret = at("secret");
    let added =
        collector.busyhour(&["agent", "add", "lab", "--secret-file", secret.to_str().unwrap()]);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let near = at("agent.toml");
    let sections = format!(
        "secret_file = {:?}\n[spool]\nseal_after = \"200ms\"\n[collector]\nurl = {:?}\n[[target]]\nname = {target:?}\n\
         schedule = \"continuous\"\nwindow = \"2s\"\nperiod = \"2s\"\n",
        secret.to_str().unwrap(),
        collector.ingest
    );
    std::fs::write(&near, agent_config(&at("near"), &sections)).unwrap();
    let mut command = network.agent().command(&program("busyhour-agent"));
    let agent = Process::start(command.args(["run", "--config"]).arg(&near), at("agent.log"));
    Some(Lab { network, collector, agent: Some(agent), _reflector: reflector, _folder: folder })
}

fn agent_config(data: &Path, rest: &str) -> String {
    format!("[agent]\ndata_dir = {:?}\n{rest}", data.to_str().unwrap())
}

impl Lab {
    /// All windows that the collector holds.
    fn windows(&self) -> Vec<Value> {
        let Some(path) = self.collector.items(&["path", "ls"]).first().cloned() else {
            return Vec::new();
        };
        let path = path["id"].as_i64().expect("a path has a number").to_string();
        self.collector.items(&["path", "windows", &path])
    }

    /// Waits until `count` windows more than now are stored.
    fn wait_for_windows(&mut self, count: usize) -> Vec<Value> {
        let enough = self.windows().len() + count;
        wait_for("windows at the collector", || {
            let agent = self.agent.as_mut().expect("the agent runs");
            assert!(agent.runs(), "the agent ended:\n{}", agent.log());
            let windows = self.windows();
            (windows.len() >= enough).then_some(windows)
        })
    }

    /// Stops the agent, which delivers what it still has, and gives all windows.
    fn finish(&mut self) -> Vec<Value> {
        assert!(self.agent.take().expect("the agent runs").stop(), "the agent ends in order");
        self.windows()
    }
}

fn sum(windows: &[Value], field: &str) -> u64 {
    let value =
        |window: &Value| window[field].as_u64().unwrap_or_else(|| panic!("no {field} in {window}"));
    windows.iter().map(value).sum()
}

/// Drops by `rule`, then lets the path heal, so that later replies tell every loss's direction.
fn measure_with(lab: &mut Lab, rule: &str) -> Vec<Value> {
    lab.wait_for_windows(1);
    lab.network.nft(&format!("add rule inet lab impair {rule}"));
    lab.wait_for_windows(4);
    lab.network.nft("flush chain inet lab impair");
    lab.wait_for_windows(2);
    lab.finish()
}

/// Checks the windows against nftables' counters. `settled` says that every loss has a direction.
fn check_against_counters(lab: &Lab, windows: &[Value], settled: bool) {
    let counted = |name| lab.network.counter(name);
    let (up, up_dropped) = (counted("up"), counted("up_dropped"));
    let (down, down_dropped) = (counted("down"), counted("down_dropped"));
    println!("router: up {up}, dropped {up_dropped}; down {down}, dropped {down_dropped}");
    assert_eq!(down, up - up_dropped, "one reply for each request that arrived");
    let summed = |field| sum(windows, field);
    assert_eq!(summed("sent"), up, "sent");
    let lost = [summed("lost_up"), summed("lost_down")];
    let unknown = summed("lost_unknown");
    println!("agent: lost up {}, down {}, unknown {unknown}", lost[0], lost[1]);
    assert_eq!(lost[0] + lost[1] + unknown, up_dropped + down_dropped, "lost");
    assert!(lost[0] <= up_dropped && lost[1] <= down_dropped, "no direction is made up");
    if settled {
        assert_eq!(lost, [up_dropped, down_dropped], "lost per direction");
    }
}

#[test]
fn loss_up_equals_what_the_router_dropped_on_the_way_up() {
    let Some(mut lab) = lab(&format!("{REFLECTOR}:862")) else { return };
    let rule = format!(
        "ip saddr {AGENT} udp dport 862 numgen random mod 100 < 15 counter name up_dropped drop"
    );
    let windows = measure_with(&mut lab, &rule);
    assert!(lab.network.counter("up_dropped") > 20, "the rule dropped something");
    assert_eq!(lab.network.counter("down_dropped"), 0);
    check_against_counters(&lab, &windows, true);
}

#[test]
fn loss_down_equals_what_the_router_dropped_on_the_way_down() {
    let Some(mut lab) = lab(&format!("{REFLECTOR}:862")) else { return };
    let rule = format!(
        "ip daddr {AGENT} udp sport 862 numgen random mod 100 < 15 counter name down_dropped drop"
    );
    let windows = measure_with(&mut lab, &rule);
    assert!(lab.network.counter("down_dropped") > 20, "the rule dropped something");
    assert_eq!(lab.network.counter("up_dropped"), 0);
    check_against_counters(&lab, &windows, true);
}

#[test]
fn loss_in_both_directions_is_told_apart_over_ipv6() {
    let Some(mut lab) = lab(&format!("[{REFLECTOR_V6}]:862")) else { return };
    lab.wait_for_windows(1);
    lab.network.nft(&format!(
        "add rule inet lab impair ip6 saddr {AGENT_V6} udp dport 862 numgen inc mod 9 0 \
         counter name up_dropped drop"
    ));
    let windows = measure_with(
        &mut lab,
        &format!(
            "ip6 daddr {AGENT_V6} udp sport 862 numgen inc mod 7 0 counter name down_dropped drop"
        ),
    );
    assert!(lab.network.counter("up_dropped") > 20 && lab.network.counter("down_dropped") > 20);
    // Only a gap that two windows share and that lost packets in both directions stays open.
    assert!(sum(&windows, "lost_unknown") <= 2 * windows.len() as u64);
    check_against_counters(&lab, &windows, false);
}

#[test]
fn a_rewritten_code_point_shows_in_the_direction_it_was_rewritten_in() {
    let Some(mut lab) = lab(&format!("{REFLECTOR}:862")) else { return };
    let last = |windows: Vec<Value>| windows.last().cloned().expect("a window");
    let clean = last(lab.wait_for_windows(1));
    assert_eq!((clean["dscp_up"].as_u64(), clean["dscp_down"].as_u64()), (Some(46), Some(46)));

    lab.network.nft("add rule inet lab impair udp dport 862 ip dscp ef ip dscp set cs1");
    let up = last(lab.wait_for_windows(3));
    assert_eq!((up["dscp_up"].as_u64(), up["dscp_down"].as_u64()), (Some(8), Some(46)));
    assert!(up["dscp_up_changed"].as_u64() > Some(0));

    lab.network.nft("flush chain inet lab impair");
    lab.network.nft("add rule inet lab impair udp sport 862 ip dscp ef ip dscp set cs0");
    let down = last(lab.wait_for_windows(3));
    assert_eq!((down["dscp_up"].as_u64(), down["dscp_down"].as_u64()), (Some(46), Some(0)));
    assert!(down["dscp_down_changed"].as_u64() > Some(0));
}

#[test]
fn a_cut_path_is_failed_and_never_missing() {
    let Some(mut lab) = lab(&format!("{REFLECTOR}:862")) else { return };
    lab.wait_for_windows(1);
    lab.network.nft("add rule inet lab impair udp dport 862 counter name up_dropped drop");
    let windows = lab.wait_for_windows(4);
    let failed = windows.iter().filter(|window| window["failed"] == true).count();
    assert!(failed >= 2, "windows in which nothing came back are failed: {windows:?}");
    assert!(sum(&windows, "lost_unknown") > 0, "without a later reply no direction is claimed");
    lab.network.nft("flush chain inet lab impair");
    let windows = lab.wait_for_windows(3);
    let healed = windows.last().expect("a window");
    assert_eq!(healed["failed"], false);
}
