//! A sender and a reflector over emulated links.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

#[path = "pair/documentation.rs"]
mod documentation;
#[path = "pair/harness.rs"]
mod harness;
#[path = "pair/laws.rs"]
mod laws;
#[path = "pair/peers.rs"]
mod peers;
#[path = "pair/protection.rs"]
mod protection;
#[path = "pair/settlement.rs"]
mod settlement;
#[path = "pair/windows.rs"]
mod windows;

use std::time::Duration;

use busyhour_model::{Dscp, Jitter, TimestampMethod, Window};
use busyhour_probe::{Profile, Reflector, ReflectorConfig, Rejection, ReplyOutcome};
use harness::{Lost, OnLink, Pair, clean, rewrite_counter};
use testkit::{Impairment, Loss, Order};

fn lossy(loss: Loss) -> Impairment {
    Impairment { loss, ..clean() }
}

fn continuous() -> Profile {
    Profile::audio().continuous()
}

fn told(pair: &Pair, index: usize) -> (Lost, u32) {
    let counts = &pair.observations[index].counts;
    (Lost { up: counts.lost_up(), down: counts.lost_down() }, counts.lost_unknown())
}

#[test]
fn a_clean_path_is_measured_exactly() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 1);
    pair.run_windows(3);
    assert_eq!(pair.observations.len(), 3);
    for (index, seen) in pair.observations.iter().enumerate() {
        let counts = &seen.counts;
        assert_eq!((counts.scheduled(), counts.sent(), counts.received()), (750, 750, 750));
        assert_eq!((counts.reordered(), counts.duplicated()), (0, 0));
        assert_eq!(seen.rtt_median_us, Some(40_000));
        assert_eq!((seen.rtt.min(), seen.rtt.max(), seen.rtt.count()), (40_000, 40_000, 750));
        assert_eq!((seen.up_variation.max(), seen.down_variation.max()), (0, 0));
        assert_eq!(seen.up_jitter, Some(Jitter { mean_us: 0, max_us: 0 }));
        let burst = seen.burst.unwrap();
        assert_eq!((burst.lost(), burst.of()), (0, 10));
        let expedited = Some(Dscp::new(46).unwrap());
        assert_eq!((seen.dscp.up, seen.dscp.down), (expedited, expedited));
        assert_eq!((seen.dscp.up_changed, seen.dscp.down_changed), (0, 0));
        assert_eq!(seen.sent_by, TimestampMethod::Kernel);
        assert_eq!((seen.clock_step_samples, seen.send_lateness_max_us), (0, 0));
        assert_eq!(seen.duration, Duration::from_secs(15));
        let begun = Duration::from_secs(60) * index as u32;
        assert_eq!(seen.started.monotonic, pair.start + begun);
        let wall_ns = harness::START_NS + 137_000_000 + begun.as_nanos() as i64;
        assert_eq!(seen.started.wall_ns, wall_ns);
    }
}

#[test]
fn an_ip_packet_has_the_profiles_size() {
    let profile = Profile::audio();
    assert_eq!(profile.payload_bytes("192.0.2.1".parse().unwrap()), 117);
    assert_eq!(profile.payload_bytes("2001:db8::1".parse().unwrap()), 97);
    let mut pair = Pair::new(profile, clean(), clean(), 1);
    pair.run_until(Duration::from_secs(1));
    assert!(!pair.heard.is_empty());
    assert!(pair.heard.iter().all(|packet| packet.bytes.len() == 117));
}

#[test]
fn an_observation_makes_a_valid_window() {
    use busyhour_model::{
        AddressFamily, Link, LinkKind, PathKey, ProfileName, TargetName, TrafficClass, Transport,
    };
    let mut pair = Pair::new(continuous(), lossy(Loss::Random(0.05)), clean(), 2);
    pair.run_windows(2);
    let path = PathKey {
        link: Link::new(LinkKind::Wired, "eth0").unwrap(),
        family: AddressFamily::Ipv4,
        target: TargetName::new("reflector.example:862").unwrap(),
        class: TrafficClass::Audio,
        profile: ProfileName::new("audio-50").unwrap(),
        transport: Transport::Udp,
    };
    for seen in pair.observations {
        Window::new(seen.into_parts(path.clone(), 50_000)).unwrap();
    }
}

/// One-sided loss is named exactly in every window, tails included, because the next window's answers
/// settle them.
#[test]
fn loss_in_one_direction_is_exact_in_every_window() {
    for profile in [Profile::audio(), continuous()] {
        for seed in 0..4 {
            let rough = if seed % 2 == 0 {
                Loss::Random(0.08)
            } else {
                Loss::GilbertElliott { enter: 0.02, leave: 0.2, lost: 0.9 }
            };
            for (up, down) in [(lossy(rough), clean()), (clean(), lossy(rough))] {
                let mut pair = Pair::new(profile, up, down, seed);
                pair.run_windows(6);
                pair.check_counts();
                for index in 0..5 {
                    assert_eq!(told(&pair, index), (pair.lost(index), 0), "window {index}");
                }
            }
        }
    }
}

#[test]
fn loss_in_both_directions_is_exact_where_windows_do_not_share_a_gap() {
    let rough = lossy(Loss::Random(0.05));
    let mut exact = 0;
    for seed in 0..10 {
        let mut pair = Pair::new(Profile::audio(), rough, rough, seed);
        pair.run_windows(4);
        pair.check_counts();
        pair.check_never_false(0);
        exact += (0..3).filter(|&i| told(&pair, i) == (pair.lost(i), 0)).count();
    }
    assert!(exact >= 28, "only {exact} of 30 windows are exact");
}

#[test]
fn an_outage_is_named_when_the_path_recovers() {
    for direction in ["up", "down"] {
        let mut pair = Pair::new(Profile::audio(), clean(), clean(), 1);
        pair.run_until(Duration::from_secs(59));
        let link = if direction == "up" { &mut pair.up } else { &mut pair.down };
        link.impairment.loss = Loss::Random(1.0);
        pair.run_until(Duration::from_secs(179));
        pair.up.impairment.loss = Loss::None;
        pair.down.impairment.loss = Loss::None;
        pair.run_windows(4);
        // The first had closed before anything came back; the second waited for it.
        assert_eq!(told(&pair, 0), (Lost::default(), 0));
        assert_eq!(told(&pair, 1), (Lost::default(), 750), "{direction}");
        assert_eq!(told(&pair, 2), (pair.lost(2), 0), "{direction}");
        assert_eq!(told(&pair, 3), (Lost::default(), 0));
        let seen = &pair.observations[1];
        assert_eq!((seen.rtt_median_us, seen.up_jitter), (None, None));
        assert_eq!(seen.burst.map(|burst| (burst.lost(), burst.of())), Some((10, 10)));
    }
}

#[test]
fn a_reflector_may_count_from_anywhere_and_wrap_around() {
    for first in [1, 77, u32::MAX - 300] {
        let rough = lossy(Loss::Random(0.05));
        let mut pair = Pair::new(Profile::audio(), rough, clean(), 3);
        pair.rewrite = Box::new(move |packet| {
            rewrite_counter(packet, |reply| reply.sequence.wrapping_add(first));
        });
        pair.run_windows(3);
        for index in 1..2 {
            assert_eq!(told(&pair, index), (pair.lost(index), 0), "counting from {first}");
        }
        assert_eq!(pair.sender.stats().reflector_restarts, 0);
    }
}

#[test]
fn a_restarted_reflector_is_no_loss_and_what_is_lost_around_it_has_no_direction() {
    for loss in [Loss::None, Loss::Random(0.3)] {
        let mut pair = Pair::new(continuous(), clean(), clean(), 4);
        pair.run_until(Duration::from_secs(20));
        pair.up.impairment.loss = loss;
        pair.run_until(Duration::from_millis(20_100));
        pair.reflector = Reflector::new(ReflectorConfig::default());
        pair.run_until(Duration::from_millis(20_200));
        pair.up.impairment.loss = Loss::None;
        pair.run_windows(3);
        pair.check_never_false(0);
        assert_eq!(pair.sender.stats().reflector_restarts, 1);
        assert_eq!(told(&pair, 2), (Lost::default(), 0));
    }
}

#[test]
fn a_stateless_reflector_tells_no_direction() {
    let rough = lossy(Loss::Random(0.05));
    let mut pair = Pair::new(Profile::audio(), rough, rough, 5);
    pair.rewrite = Box::new(|packet| rewrite_counter(packet, |reply| reply.sender_sequence));
    pair.run_windows(3);
    for index in 0..3 {
        let lost = pair.lost(index);
        assert_eq!(told(&pair, index), (Lost::default(), lost.up + lost.down));
    }
    assert_eq!(pair.sender.stats().reflector_restarts, 0);
}

#[test]
fn a_window_does_not_wait_for_directions_that_a_stateless_reflector_never_tells() {
    let close = |stateful: bool| {
        let reflector = ReflectorConfig { stateful, ..ReflectorConfig::default() };
        let config = harness::session(Profile::audio());
        let mut pair = Pair::of(config, reflector, [clean(), clean()], 5);
        pair.run_until(Duration::from_millis(14_890));
        pair.up.impairment.loss = Loss::Random(1.0);
        pair.run_until(Duration::from_millis(17_100));
        pair.observations.iter().map(|seen| seen.counts.lost_unknown()).collect::<Vec<_>>()
    };
    assert_eq!(close(true), [], "the next window may tell");
    assert_eq!(close(false), [5]);
}

#[test]
fn requests_that_the_network_duplicates_are_no_loss() {
    let duplicating = Impairment { duplicate: 0.2, ..clean() };
    let mut pair = Pair::new(continuous(), duplicating, clean(), 6);
    pair.run_windows(3);
    let duplicated: u32 = pair.observations.iter().map(|o| o.counts.duplicated()).sum();
    let truth = pair.truth.values().filter(|truth| truth.window < 3);
    assert_eq!(duplicated, truth.map(|truth| truth.answered - 1).sum::<u32>());
    assert!(duplicated > 100);
    for index in 0..3 {
        assert_eq!(told(&pair, index), (Lost::default(), 0));
    }
    assert_eq!(pair.sender.stats().reflector_restarts, 0);
}

#[test]
fn more_second_answers_than_are_remembered_are_no_restart() {
    let duplicating = Impairment { duplicate: 0.6, ..clean() };
    let video = Profile::named("video-150").unwrap().continuous();
    let mut pair = Pair::new(video, duplicating, lossy(Loss::Random(0.02)), 6);
    pair.run_windows(2);
    pair.check_counts();
    pair.check_never_false(0);
    assert!(pair.observations[0].counts.duplicated() > 1_100);
    assert_eq!(pair.sender.stats().reflector_restarts, 0);
}

#[test]
fn losing_only_second_answers_is_no_loss() {
    let duplicating = Impairment { duplicate: 0.2, ..clean() };
    let mut pair = Pair::new(continuous(), duplicating, clean(), 7);
    let mut seen = std::collections::BTreeSet::new();
    // An answer to a request that was answered before goes to nowhere.
    pair.rewrite = Box::new(move |packet| {
        if !seen.insert(packet.sequence) {
            packet.bytes.truncate(10);
        }
    });
    pair.run_windows(3);
    for index in 0..3 {
        assert_eq!(told(&pair, index), (Lost::default(), 0));
    }
    assert!(pair.sender.stats().rejected > 100);
}

#[test]
fn reordering_is_counted_and_is_no_loss() {
    let jitter = Duration::from_millis(50);
    let shuffling = Impairment { jitter, order: Order::Free, ..clean() };
    for (up, down) in [(shuffling, clean()), (clean(), shuffling), (shuffling, shuffling)] {
        let mut pair = Pair::new(continuous(), up, down, 8);
        pair.run_windows(3);
        for index in 0..3 {
            assert_eq!(told(&pair, index), (Lost::default(), 0));
            assert!(pair.observations[index].counts.reordered() > 100);
        }
        assert_eq!(pair.sender.stats().reflector_restarts, 0);
    }
}

#[test]
fn jitter_shows_in_its_own_direction() {
    let jittery = Impairment { jitter: Duration::from_millis(10), ..clean() };
    for (up, down) in [(jittery, clean()), (clean(), jittery)] {
        let mut pair = Pair::new(Profile::audio(), up, down, 9);
        pair.run_windows(1);
        let seen = &pair.observations[0];
        let mut histograms = [&seen.up_variation, &seen.down_variation];
        let mut jitters = [seen.up_jitter.unwrap(), seen.down_jitter.unwrap()];
        if up == clean() {
            histograms.reverse();
            jitters.reverse();
        }
        assert!((9_500..=10_100).contains(&histograms[0].max()), "{:?}", histograms[0].max());
        assert!(histograms[1].max() <= 100, "{:?}", histograms[1].max());
        // The mean difference of two uniform delays is a third of their range.
        assert!((2_800..=3_900).contains(&jitters[0].mean_us), "{:?}", jitters[0]);
        assert!(jitters[0].max_us >= jitters[0].mean_us);
        assert!(jitters[1].max_us <= 10, "{:?}", jitters[1]);
    }
}

#[test]
fn drifting_clocks_do_not_look_like_delay() {
    for drift_ppm in [-120, 80, 200] {
        let jittery = Impairment { jitter: Duration::from_millis(2), ..clean() };
        let mut pair = Pair::new(Profile::audio(), jittery, jittery, 10);
        pair.far = pair.clock.elsewhere(harness::FAR_NS, drift_ppm);
        pair.run_windows(1);
        let seen = &pair.observations[0];
        // 15 s at 200 ppm are 3 ms.
        assert!(seen.up_variation.max() <= 2_150, "{drift_ppm}: {}", seen.up_variation.max());
        assert!(seen.down_variation.max() <= 2_150, "{drift_ppm}: {}", seen.down_variation.max());
    }
}

#[test]
fn a_growing_queue_is_not_taken_for_drift() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 11);
    for step in 1..150 {
        pair.up.impairment.delay = Duration::from_millis(20) + Duration::from_micros(100) * step;
        pair.run_until(Duration::from_millis(100) * step);
    }
    pair.run_windows(1);
    let seen = &pair.observations[0];
    assert!(seen.up_variation.max() >= 14_500, "{}", seen.up_variation.max());
    assert_eq!(seen.down_variation.max(), 0);
}

#[test]
fn a_step_of_our_wall_clock_costs_the_samples_under_it_and_nothing_else() {
    for step_ns in [3_600_000_000_000, -5_000_000_000, 2_000_000] {
        let mut pair = Pair::new(Profile::audio(), clean(), clean(), 12);
        pair.run_until(Duration::from_millis(7_010));
        pair.clock.step_wall(step_ns);
        pair.run_windows(1);
        let seen = &pair.observations[0];
        assert_eq!(seen.counts.received(), 750);
        assert_eq!(seen.clock_step_samples, 2, "two requests were under way");
        assert_eq!(seen.rtt.count(), 748);
        assert_eq!((seen.rtt.min(), seen.rtt.max()), (40_000, 40_000));
        assert_eq!((seen.up_variation.max(), seen.down_variation.max()), (0, 0));
    }
}

#[test]
fn a_step_of_the_reflectors_clock_is_no_delay_variation() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 13);
    pair.run_until(Duration::from_millis(7_010));
    pair.far.step_wall(250_000_000);
    pair.run_windows(1);
    let seen = &pair.observations[0];
    assert_eq!(seen.rtt.count(), 750);
    assert_eq!((seen.up_variation.max(), seen.down_variation.max()), (0, 0));
    assert!(seen.up_jitter.unwrap().max_us <= 10);
}

#[test]
fn a_rewritten_code_point_shows_in_its_direction() {
    let bulk = Some(Dscp::new(8).unwrap());
    let expedited = Some(Dscp::new(46).unwrap());

    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 14);
    pair.remark = Some(8 << 2);
    pair.run_windows(1);
    let dscp = &pair.observations[0].dscp;
    assert_eq!((dscp.up, dscp.up_changed), (bulk, 750));
    assert_eq!((dscp.down, dscp.down_changed), (expedited, 0));

    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 14);
    pair.rewrite = Box::new(|packet| packet.tos = 8 << 2);
    pair.run_windows(1);
    let dscp = &pair.observations[0].dscp;
    assert_eq!((dscp.up, dscp.up_changed), (expedited, 0));
    assert_eq!((dscp.down, dscp.down_changed), (bulk, 750));
}

#[test]
fn a_reflector_without_tlvs_says_nothing_of_code_points() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 15);
    // It sends the TLVs back as padding, with U still set.
    pair.rewrite = Box::new(|packet| {
        packet.bytes[44] |= 0x80;
        packet.tos = 0;
    });
    pair.run_windows(1);
    let dscp = &pair.observations[0].dscp;
    assert_eq!((dscp.up, dscp.up_changed), (None, 0));
    assert_eq!((dscp.down, dscp.down_changed), (Dscp::new(0).ok(), 0));
}

#[test]
fn the_worst_200_ms_are_found() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 16);
    pair.run_until(Duration::from_millis(5_010));
    pair.down.impairment.loss = Loss::Random(1.0);
    // Answers to what was sent from 5.00 to 5.08 s come out of the reflector in this time.
    pair.run_until(Duration::from_millis(5_110));
    pair.down.impairment.loss = Loss::None;
    pair.run_windows(1);
    let burst = pair.observations[0].burst.unwrap();
    assert_eq!((burst.lost(), burst.of()), (5, 10));
}

#[test]
fn a_slower_profile_measures_no_bursts() {
    let window = Duration::from_secs(10);
    let profile = Profile::new(10, 145, Dscp::new(46).unwrap(), window, window).unwrap();
    let mut pair = Pair::new(profile, clean(), clean(), 17);
    pair.run_windows(2);
    assert_eq!(pair.observations[0].counts.scheduled(), 100);
    assert_eq!(pair.observations[0].burst, None);
}

#[test]
fn an_answer_after_two_seconds_is_late_and_has_no_direction() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 18);
    pair.run_until(Duration::from_millis(5_010));
    pair.down.impairment.delay = Duration::from_millis(2_500);
    pair.down.impairment.order = Order::Free;
    pair.run_until(Duration::from_millis(5_110));
    pair.down.impairment.delay = Duration::from_millis(20);
    pair.run_windows(1);
    assert_eq!(told(&pair, 0), (Lost::default(), 5));
    assert_eq!(pair.sender.stats().late, 5);
}

#[test]
fn a_sender_that_was_held_up_skips_slots_and_sends_no_burst() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 19);
    pair.run_until(Duration::from_millis(5_010));
    let later = pair.clock.now() + Duration::from_millis(1_000);
    pair.jump(later);
    pair.run_windows(1);
    let seen = &pair.observations[0];
    assert_eq!((seen.counts.scheduled(), seen.counts.sent()), (750, 701));
    assert_eq!(seen.counts.lost(), 0);
    assert!((985_000..=995_000).contains(&seen.send_lateness_max_us));
    assert_eq!(seen.burst.map(|burst| burst.lost()), Some(0));
}

#[test]
fn a_sender_that_slept_for_hours_goes_on_with_the_window_that_is_due() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 20);
    pair.run_until(Duration::from_secs(20));
    let later = pair.clock.now() + Duration::from_secs(3 * 3_600);
    pair.jump(later);
    pair.run_until(Duration::from_secs(3 * 3_600 + 121));
    assert_eq!(pair.sender.stats().skipped_windows, 180);
    // The window that was under way when it awoke is there with what was sent of it.
    assert_eq!(pair.observations.len(), 2);
    assert_eq!(pair.observations[1].counts.received(), 750);
}

#[test]
fn what_could_not_be_sent_is_not_lost() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 21);
    pair.run_until(Duration::from_millis(5_010));
    pair.jump(pair.start + Duration::from_millis(5_020));
    let now = pair.now();
    let sequence = pair.sender.poll_transmit(now).unwrap().sequence;
    pair.sender.not_sent(sequence);
    pair.run_windows(1);
    let counts = &pair.observations[0].counts;
    assert_eq!((counts.scheduled(), counts.sent(), counts.received()), (750, 749, 749));
    assert_eq!(told(&pair, 0), (Lost::default(), 0));
}

#[test]
fn what_finds_no_way_out_of_the_machine_is_lost_with_direction_unknown() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 21);
    pair.run_until(Duration::from_millis(5_010));
    for _ in 0..50 {
        let next = pair.sender.poll_deadline().unwrap();
        pair.jump(next);
        let now = pair.now();
        let sequence = pair.sender.poll_transmit(now).unwrap().sequence;
        pair.sender.unreachable(sequence);
    }
    pair.run_windows(1);
    let counts = &pair.observations[0].counts;
    assert_eq!((counts.scheduled(), counts.sent(), counts.received()), (750, 750, 700));
    assert_eq!(told(&pair, 0), (Lost::default(), 50));
}

#[test]
fn a_local_outage_is_a_failed_window_even_when_the_session_ends_in_it() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 21);
    let begun = pair.start;
    pair.jump(begun);
    for _ in 0..100 {
        let now = pair.now();
        let sequence = pair.sender.poll_transmit(now).unwrap().sequence;
        pair.sender.unreachable(sequence);
        let next = pair.sender.poll_deadline().unwrap();
        pair.jump(next);
    }
    pair.finish();
    let counts = &pair.observations[0].counts;
    assert_eq!((counts.sent(), counts.received(), counts.lost_unknown()), (100, 0, 100));
}

#[test]
fn ending_a_session_cuts_its_window_and_loses_nothing_that_is_under_way() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 22);
    pair.run_until(Duration::from_millis(5_010));
    pair.finish();
    let seen = &pair.observations[0];
    assert_eq!(seen.duration, Duration::from_millis(5_010));
    assert_eq!((seen.counts.scheduled(), seen.counts.lost()), (251, 0));
    assert_eq!(seen.counts.sent(), 249, "two requests were under way");
    let now = pair.now();
    assert!(pair.sender.poll_transmit(now).is_none());
}

#[test]
fn what_our_own_queue_dropped_is_no_path_loss() {
    let mut pair = Pair::new(Profile::audio(), clean(), lossy(Loss::Random(0.02)), 23);
    pair.run_until(Duration::from_secs(14));
    let lost = pair.lost(0).down;
    assert!(lost > 3);
    pair.sender.handle_queue_drops(3);
    pair.sender.handle_queue_drops(3);
    pair.run_windows(2);
    let (seen, lost) = (&pair.observations[0], pair.lost(0).down);
    assert_eq!((seen.receive_queue_drops, seen.counts.lost_down()), (3, lost - 3));
    assert_eq!((seen.counts.sent(), seen.burst), (747, None));
}

#[test]
fn answers_that_are_not_ours_are_refused_and_named() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 24);
    pair.run_until(Duration::from_secs(1));
    let good = pair.heard.last().unwrap().clone();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet.bytes);
        packet
    };
    let cases: [(OnLink, ReplyOutcome); 5] = [
        (with(&|b| b.truncate(40)), ReplyOutcome::Rejected(Rejection::Truncated)),
        (with(&|b| b[15] ^= 1), ReplyOutcome::Rejected(Rejection::ForeignSession)),
        (with(&|b| b[24] ^= 1), ReplyOutcome::Rejected(Rejection::UnknownSequence)),
        (with(&|b| b[35] ^= 1), ReplyOutcome::Rejected(Rejection::ForeignTimestamp)),
        (good.clone(), ReplyOutcome::Duplicate),
    ];
    for (packet, expected) in cases {
        assert_eq!(pair.hear(&packet), expected);
    }
    let now = pair.now();
    let foreign = harness::datagram(&good, "203.0.113.9:862", now.wall_ns);
    let outcome = pair.sender.handle_reply(&foreign, now);
    assert_eq!(outcome, ReplyOutcome::Rejected(Rejection::ForeignAddress));
    assert_eq!(pair.sender.stats().rejected, 5);
    pair.run_windows(1);
    let counts = &pair.observations[0].counts;
    assert_eq!((counts.received(), counts.duplicated()), (750, 1));
}
