//! A queue that fills up in front of a slow link.

use lab::{Installation, Load, Network, REFLECTOR, number};
use serde_json::Value;

/// The slow link, and what is beside the measured packets: a tenth more than it carries, so that the
/// queue takes some seconds to fill.
const LINK: &str = "500kbit";
const LOAD_PACKETS: u32 = 380;
/// What the queue holds, in time.
const QUEUE: &str = "400ms";

/// Delay that no scheduling makes in a median, and that only a filling queue does.
const GROWN_US: u64 = 50_000;

fn median(window: &Value) -> Option<u64> {
    window["rtt_us_median"].as_u64()
}

#[test]
fn a_queue_that_fills_up_is_seen_as_delay_before_it_is_seen_as_loss() {
    let Some(network) = Network::new() else { return };
    network.slow_down(LINK, QUEUE);
    let target = format!("{REFLECTOR}:862");
    let mut installation = Installation::start(network.agent(), network.reflector(), &target);
    let quiet = installation.wait_for_windows(2);
    let idle = median(quiet.last().expect("a window")).expect("replies");

    let load =
        Load::start(network.agent(), format!("{REFLECTOR}:9").parse().unwrap(), LOAD_PACKETS);
    let lossy = |window: &Value| number(window, "lost_up") > 0;
    installation.wait_until("packets to be lost", |windows| windows.iter().any(lossy));
    drop(load);
    let drained =
        |window: &Value| number(window, "lost_up") == 0 && median(window) < Some(GROWN_US);
    let windows = installation.wait_until("the queue to drain", |windows| {
        windows.iter().skip_while(|window| !lossy(window)).any(drained)
    });

    for window in &windows {
        println!("median {:?} µs, lost up {}", median(window), window["lost_up"]);
        assert_eq!(number(window, "lost_down"), 0, "nothing was slow on the way back: {window}");
    }
    let first_loss = windows.iter().position(lossy).expect("a window with loss");
    let warned = windows[..first_loss].iter().filter_map(median).max().expect("windows before it");
    assert!(warned > idle + GROWN_US, "idle {idle} µs, at most {warned} µs before the first loss");
    // The queue is on the way up, and so is what varies.
    let grown = windows[..=first_loss].iter().filter(|window| median(window) > Some(GROWN_US));
    for window in grown {
        let [up, down] =
            ["up_variation_us_p90", "down_variation_us_p90"].map(|f| number(window, f));
        assert!(up > 3 * down, "the delay varies on the way up: {window}");
    }
}
