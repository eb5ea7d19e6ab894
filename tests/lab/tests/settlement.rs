//! Losses that no answer tells a direction of, because none came any more: the reflector's own reports
//! tell it, against what nftables on the router really did.

use std::time::{Duration, Instant};

use e2e::wait_for;
use lab::{AGENT, Installation, Network, REFLECTOR, Setup, side_by_side, sum};
use serde_json::Value;

/// The number of a session's first request.
const FIRST: u32 = 16;
/// Longer than the agent waits for an answer, and far shorter than its pauses.
const ANSWERED: Duration = Duration::from_millis(2_500);

struct Lab {
    network: Network,
    installation: Installation,
}

/// The router obeys `rules` from the first packet on.
fn lab(rules: &[String], pauses: bool) -> Option<Lab> {
    let network = Network::new()?;
    for rule in rules {
        network.nft(&format!("add rule inet lab impair {rule}"));
    }
    let setup = Setup { reports: true, pauses, ..Setup::default() };
    let target = format!("{REFLECTOR}:862");
    let (near, far) = (network.agent(), network.reflector());
    let installation = Installation::start_with(near, far, &target, setup);
    Some(Lab { network, installation })
}

/// Drops requests with these numbers, which are the first four octets behind the UDP header.
fn drops_requests(numbers: &str) -> String {
    format!("ip saddr {AGENT} udp dport 862 @th,64,32 {numbers} counter name up_dropped drop")
}

/// Drops answers to requests with these numbers, which are 24 octets further on.
fn drops_answers(numbers: &str) -> String {
    format!("ip daddr {AGENT} udp sport 862 @th,256,32 {numbers} counter name down_dropped drop")
}

impl Lab {
    /// All windows, of an agent that stops in its first pause: nothing of them is on its way any more,
    /// and no packet after them tells anything.
    fn finish_in_a_pause(&mut self) -> Vec<Value> {
        let mut newest = (0, Instant::now());
        wait_for("a pause", || {
            let sent = self.network.counter("up");
            if sent != newest.0 {
                newest = (sent, Instant::now());
            }
            (sent > 0 && newest.1.elapsed() > ANSWERED).then_some(())
        });
        self.installation.finish()
    }

    /// Lost up and down by the router's counters, after checking that it saw what the agent sent.
    fn dropped(&self, windows: &[Value]) -> [u64; 2] {
        let counted = |name| self.network.counter(name);
        assert_eq!(sum(windows, "sent"), counted("up"), "sent");
        assert_eq!(counted("down"), counted("up") - counted("up_dropped"), "answered");
        ["up_dropped", "down_dropped"].map(counted)
    }

    /// Waits until reports have settled every loss, and compares with the router's counters.
    fn check_settled(&self) {
        let windows = wait_for("the reflector's report", || {
            let windows = self.installation.windows();
            (sum(&windows, "lost_unknown") == 0).then_some(windows)
        });
        assert!(windows.iter().any(|window| window["settled"] == true), "{windows:?}");
        assert_eq!(losses(&windows), self.dropped(&windows), "lost per direction");
    }
}

fn losses(windows: &[Value]) -> [u64; 2] {
    ["lost_up", "lost_down"].map(|field| sum(windows, field))
}

#[test]
fn a_tail_of_which_no_answer_came_is_told_apart_by_what_the_reflector_received() {
    let (up, down) = (FIRST + 60, FIRST + 50);
    let rules = [
        drops_requests(&format!("{}-{}", up, up + 4)),
        drops_requests(&format!("{}", up + 10)),
        drops_answers(&format!(">= {down}")),
    ];
    let Some(mut lab) = lab(&rules, true) else { return };
    let windows = lab.finish_in_a_pause();
    let [up, down] = lab.dropped(&windows);
    assert_eq!(up, 6);
    assert!(down > 30, "{down}");
    lab.check_settled();
}

#[test]
fn a_tail_that_never_arrived_keeps_no_direction() {
    let rules = [drops_requests(&format!(">= {}", FIRST + 50))];
    let Some(mut lab) = lab(&rules, true) else { return };
    let windows = lab.finish_in_a_pause();
    let [up, down] = lab.dropped(&windows);
    assert!(up > 30 && down == 0, "{up} {down}");
    // The reflector knows nothing of numbers beyond those that it received, nor does anybody else.
    assert_eq!(losses(&windows), [0, 0]);
    assert_eq!(sum(&windows, "lost_unknown"), up);
}

#[test]
fn windows_that_closed_during_a_cut_are_settled_by_the_first_report_after_it() {
    let numbers = format!("{}-{}", FIRST + 150, FIRST + 500);
    side_by_side([drops_requests(&numbers), drops_answers(&numbers)], |cut| {
        let Some(mut lab) = lab(&[cut], false) else { return };
        lab.installation.wait_until("the cut to end", |windows| {
            let failed = windows.iter().rposition(|window| window["failed"] == true);
            failed.is_some_and(|failed| windows.len() > failed + 2)
        });
        lab.installation.finish();
        lab.check_settled();
    });
}
