//! Loss per direction against what nftables on the router really did.

use lab::{AGENT, AGENT_V6, Installation, Network, REFLECTOR, REFLECTOR_V6, sum};
use serde_json::Value;

struct Lab {
    network: Network,
    installation: Installation,
}

fn lab(target: &str) -> Option<Lab> {
    let network = Network::new()?;
    let installation = Installation::start(network.agent(), network.reflector(), target);
    Some(Lab { network, installation })
}

/// Drops by `rule`, then lets the path heal, so that later replies tell every loss's direction.
fn measure_with(lab: &mut Lab, rule: &str) -> Vec<Value> {
    lab.installation.wait_for_windows(1);
    lab.network.nft(&format!("add rule inet lab impair {rule}"));
    lab.installation.wait_for_windows(4);
    lab.network.nft("flush chain inet lab impair");
    lab.installation.wait_for_windows(2);
    lab.installation.finish()
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
    lab.installation.wait_for_windows(1);
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
fn a_cut_path_is_failed_and_never_missing() {
    let Some(mut lab) = lab(&format!("{REFLECTOR}:862")) else { return };
    lab.installation.wait_for_windows(1);
    lab.network.nft("add rule inet lab impair udp dport 862 counter name up_dropped drop");
    let windows = lab.installation.wait_for_windows(4);
    let failed = windows.iter().filter(|window| window["failed"] == true).count();
    assert!(failed >= 2, "windows in which nothing came back are failed: {windows:?}");
    assert!(sum(&windows, "lost_unknown") > 0, "without a later reply no direction is claimed");
    lab.network.nft("flush chain inet lab impair");
    let windows = lab.installation.wait_for_windows(3);
    let healed = windows.last().expect("a window");
    assert_eq!(healed["failed"], false);
}
