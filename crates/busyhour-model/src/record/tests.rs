use super::*;
use crate::{
    AddressFamily, Histogram, Link, LinkKind, PathKey, ProfileName, TargetName, TrafficClass,
    Transport,
};

fn path() -> PathKey {
    PathKey {
        link: Link::new(LinkKind::Wired, "eth0").unwrap(),
        family: AddressFamily::Ipv4,
        target: TargetName::new("reflector:862").unwrap(),
        class: TrafficClass::Audio,
        profile: ProfileName::new("audio-50").unwrap(),
        transport: Transport::Udp,
    }
}

/// 750 packets, four lost up and two down, with evidence at the edge of what the counts allow.
fn parts() -> WindowParts {
    let counts = PacketCounts::new(750, 750, [4, 2, 0], 0, 0).unwrap();
    let mut rtt = Histogram::new();
    rtt.record_n(20_000, 744);
    let clock = ClockQuality { synchronized: true, error_us: 700 };
    WindowParts {
        rtt,
        rtt_median_us: Some(20_000),
        burst: BurstLoss::new(2, 10).ok(),
        worst_15s: BurstLoss::new(9, 750).ok(),
        one_way: Some(OneWayDelay { up_median_us: -3, down_median_us: 9, error_us: 1_400 }),
        reorder: Reorder { up: 750, down: 744, extent_max: 66_000 },
        loss_pattern: LossPattern { runs: 6, bursts: 4, burst_packets: 6, burst_lost: 6 },
        playout: Some(Playout {
            delay_us: 40_000,
            late_up: 744,
            late_down: 744,
            discarded_up: 744,
            discarded_down: 744,
        }),
        ecn: EcnSeen {
            up_changed: 750,
            down_changed: 744,
            up_ce: 750,
            down_ce: 744,
            ..EcnSeen::default()
        },
        ttl: TtlSeen { up_changes: 750, down_changes: 744, ..TtlSeen::default() },
        clock,
        far_clock: Some(clock),
        sequences: 750,
        ..WindowParts::new(path(), 50, counts)
    }
}

/// Checks that the window is refused after this change, and not before.
fn check_refused(why: &str, change: impl FnOnce(&mut WindowParts)) {
    let mut changed = parts();
    Window::new(changed.clone()).unwrap();
    change(&mut changed);
    let error = Window::new(changed).expect_err(why).to_string();
    assert!(error.contains(why), "{why:?}: {error}");
}

#[test]
fn a_rate_is_between_one_and_a_thousand() {
    check_refused("rate_pps", |window| window.rate_pps = 0);
    check_refused("rate_pps", |window| window.rate_pps = 1_001);
}

#[test]
fn the_worst_15_seconds_hold_no_more_than_any_probe_sends() {
    check_refused("worst 15 s", |window| window.worst_15s = BurstLoss::new(1, 66_001).ok());
    assert!(BurstLoss::new(2, 1).is_err());
}

#[test]
fn one_way_delay_needs_two_synchronised_clocks_and_replies() {
    let why = "without two synchronised clocks";
    check_refused(why, |window| window.clock.synchronized = false);
    check_refused(why, |window| window.far_clock = None);
    check_refused(why, |window| window.far_clock = Some(ClockQuality::default()));
    check_refused("without replies", |window| {
        let counts = PacketCounts::new(750, 750, [750, 0, 0], 0, 0).unwrap();
        *window = WindowParts {
            one_way: window.one_way,
            clock: window.clock,
            far_clock: window.far_clock,
            ..WindowParts::new(path(), 50, counts)
        };
    });
}

#[test]
fn no_more_is_out_of_order_than_was_seen() {
    let why = "more packets out of order than seen";
    check_refused(why, |window| window.reorder.up = 751);
    check_refused(why, |window| window.reorder.down = 745);
    let why = "an extent of reordering";
    check_refused(why, |window| window.reorder.extent_max = 66_001);
    check_refused(why, |window| (window.reorder.up, window.reorder.down) = (0, 0));
}

#[test]
fn a_loss_pattern_fits_the_losses() {
    let why = "more than was lost or sent";
    check_refused(why, |window| window.loss_pattern.runs = 7);
    check_refused(why, |window| {
        (window.loss_pattern.burst_lost, window.loss_pattern.burst_packets) = (7, 9);
    });
    check_refused(why, |window| window.loss_pattern.burst_packets = 751);
    let why = "more bursts than losses in them";
    check_refused(why, |window| window.loss_pattern.bursts = 7);
    check_refused(why, |window| window.loss_pattern.burst_lost = 3);
    check_refused(why, |window| window.loss_pattern.burst_packets = 5);
    check_refused("bursts without packets", |window| {
        window.loss_pattern = LossPattern { burst_packets: 3, ..LossPattern::default() };
    });
}

#[test]
fn a_jitter_buffer_discards_what_is_late_and_no_more_than_arrived() {
    let change = |window: &mut WindowParts, change: fn(&mut Playout)| {
        change(window.playout.as_mut().unwrap());
    };
    let why = "more packets late than discarded";
    check_refused(why, |window| change(window, |playout| playout.discarded_up = 743));
    check_refused(why, |window| change(window, |playout| playout.discarded_down = 743));
    let why = "more packets discarded than received";
    check_refused(why, |window| change(window, |playout| playout.discarded_up = 745));
    check_refused(why, |window| change(window, |playout| playout.discarded_down = 745));
}

#[test]
fn marks_and_hop_limits_change_no_oftener_than_packets_are_seen() {
    let why = "more marks or hop limits changed";
    check_refused(why, |window| window.ecn.up_changed = 751);
    check_refused(why, |window| window.ecn.down_changed = 745);
    check_refused(why, |window| window.ecn.up_ce = 751);
    check_refused(why, |window| window.ecn.down_ce = 745);
    check_refused(why, |window| window.ttl.up_changes = 751);
    check_refused(why, |window| window.ttl.down_changes = 745);
}

#[test]
fn each_packet_used_a_number() {
    let why = "fewer or far more numbers used";
    check_refused(why, |window| window.sequences = 749);
    check_refused(why, |window| window.sequences = 66_001);
    Window::new(WindowParts { sequences: 0, ..parts() }).unwrap();
}

#[test]
fn ecn_is_the_two_lowest_bits() {
    for &ecn in Ecn::ALL {
        assert_eq!(Ecn::from_tos(0xb8 | ecn.bits()), ecn);
        assert_eq!(ecn.as_str().parse(), Ok(ecn));
    }
}
