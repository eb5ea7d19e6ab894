//! A router that translates addresses and forgets how.

use std::ops::RangeInclusive;

use e2e::have;
use lab::{Installation, Network, REFLECTOR, number, sum};

/// The agent's packets leave with the router's address and a port of the first range, until the router
/// is told of the second.
const NAT: &str = "
    add table ip nat
    add chain ip nat out { type nat hook postrouting priority srcnat; policy accept; }
    add rule ip nat out udp dport 862 masquerade to :40000-40010
";
const NEW_PORTS: &str = "
    flush chain ip nat out
    add rule ip nat out udp dport 862 masquerade to :41000-41010
";
/// All replies that arrive at the router, whether or not it still knows whose they are.
const ARRIVALS: &str = "
    add counter inet lab arrived
    add chain inet lab arrivals { type filter hook prerouting priority -300; policy accept; }
    add rule inet lab arrivals udp sport 862 counter name arrived
";

#[test]
fn a_new_port_in_the_middle_of_a_session_is_no_loss() {
    let Some(network) = Network::new() else { return };
    if !have("conntrack") {
        return;
    }
    network.nft(NAT);
    network.nft(ARRIVALS);
    let target = format!("{REFLECTOR}:862");
    let mut installation = Installation::start(network.agent(), network.reflector(), &target);
    installation.wait_for_windows(2);
    network.nft(NEW_PORTS);
    network.forget_connections();
    installation.wait_for_windows(3);
    let windows = installation.finish();

    // A reply that was on its way at that very moment found nobody: the router counts it.
    let astray = network.counter("arrived") - network.counter("down");
    let lost: u64 =
        ["lost_up", "lost_down", "lost_unknown"].map(|field| sum(&windows, field)).iter().sum();
    println!("{astray} replies went astray, {lost} packets were lost");
    assert_eq!(sum(&windows, "sent"), network.counter("up"), "sent");
    assert_eq!(lost, astray, "nothing else is lost");
    assert_eq!(sum(&windows, "lost_up"), 0, "every request arrived");
    assert!(windows.iter().all(|window| window["failed"] == false));
    assert!(windows.iter().all(|window| number(window, "received") > 0));
    let seen = |ports: RangeInclusive<u64>| {
        windows.iter().any(|window| ports.contains(&number(window, "seen_source_port")))
    };
    assert!(seen(40_000..=40_010) && seen(41_000..=41_010), "the translation is evidence");
}
