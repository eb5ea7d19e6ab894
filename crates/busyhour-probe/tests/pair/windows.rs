//! What a window says besides its counts: spans, order, pattern, playout.

use std::collections::BTreeMap;
use std::time::Duration;

use busyhour_model::{LossPattern, PacketCounts, Playout, Reorder};
use busyhour_probe::{PROFILES, Profile, ReflectorConfig};
use testkit::{Impairment, Loss, Order};

use super::harness::{Pair, clean, session};
use super::{continuous, lossy, told};

fn span(seen: &busyhour_probe::Observation) -> Option<(u32, u32)> {
    seen.worst_15s.map(|worst| (worst.lost(), worst.of()))
}

/// Loses every answer to what is sent between two moments.
fn cut(pair: &mut Pair, from_ms: u64, until_ms: u64) {
    // Answers come out of the reflector 20 ms after their requests were sent.
    pair.run_until(Duration::from_millis(from_ms + 10));
    pair.down.impairment.loss = Loss::Random(1.0);
    pair.run_until(Duration::from_millis(until_ms + 10));
    pair.down.impairment.loss = Loss::None;
}

#[test]
fn the_worst_15_s_reach_over_the_border_of_windows() {
    let mut pair = Pair::new(continuous(), clean(), clean(), 61);
    cut(&mut pair, 14_800, 15_240);
    pair.run_windows(3);
    let lost: Vec<u32> = pair.observations.iter().map(|seen| seen.counts.lost()).collect();
    let (before, after) = (lost[0], lost[1]);
    assert!(before > 5 && after > 5, "{lost:?}");
    assert_eq!(span(&pair.observations[0]), Some((before, 750)));
    assert_eq!(span(&pair.observations[1]), Some((before + after, 750)));
    // The last one's begin behind the loss, or with its end at the earliest.
    assert!(span(&pair.observations[2]).is_some_and(|(lost, _)| lost <= after));
}

#[test]
fn with_pauses_the_worst_15_s_are_the_window_and_shorter_ones_have_none() {
    let mut pair = Pair::new(Profile::audio(), lossy(Loss::Random(0.02)), clean(), 62);
    pair.run_windows(3);
    for seen in &pair.observations {
        assert_eq!(span(seen), Some((seen.counts.lost(), 750)));
    }
    let short = Duration::from_secs(5);
    let mut pair =
        Pair::new(Profile::audio().with_schedule(short, short).unwrap(), clean(), clean(), 62);
    pair.run_windows(4);
    let spans: Vec<_> = pair.observations.iter().map(span).collect();
    assert_eq!(spans, [None, None, Some((0, 750)), Some((0, 750))]);
}

#[test]
fn a_slow_profile_has_its_15_s_too() {
    let mut pair = Pair::new(Profile::named("low-1").unwrap(), clean(), clean(), 63);
    cut(&mut pair, 6_500, 8_500);
    pair.run_windows(2);
    let seen = &pair.observations[0];
    assert_eq!((seen.rate_pps, seen.counts.scheduled(), seen.counts.lost()), (1, 15, 2));
    assert_eq!((span(seen), seen.burst), (Some((2, 15)), None));
}

#[test]
fn a_profile_sends_its_pattern_and_resolves_its_bursts() {
    for profile in PROFILES {
        let window = Duration::from_secs(15);
        let busy = profile.with_schedule(window, window).unwrap();
        let mut pair = Pair::new(busy, clean(), clean(), 64);
        pair.run_windows(2);
        let seen = &pair.observations[1];
        let sent = profile.rate() * 15;
        assert_eq!((seen.counts.scheduled(), seen.counts.received()), (sent, sent));
        let burst = seen.burst.map(|burst| burst.of());
        let resolves = profile.burst_packets() >= 10;
        assert_eq!(burst.is_some(), resolves, "{}", profile.name());
        assert!(burst.is_none_or(|of| of >= profile.burst_packets() * 4 / 5));
        assert_eq!(seen.send_lateness_max_us, 0);
        assert!(pair.heard.iter().all(|packet| packet.tos == profile.tos()));
    }
}

#[test]
fn a_frame_held_up_for_less_than_ten_milliseconds_is_sent_whole() {
    let video = Profile::named("video-150").unwrap();
    for (late_ms, missing) in [(9, 0), (60, 9)] {
        let mut pair = Pair::new(video, clean(), clean(), 65);
        pair.run_until(Duration::from_millis(5_000) - Duration::from_nanos(1));
        let later = pair.start + Duration::from_millis(5_000 + late_ms);
        pair.jump(later);
        pair.run_windows(1);
        let counts = pair.observations[0].counts;
        assert_eq!((counts.scheduled(), counts.sent()), (2_250, 2_250 - missing), "{late_ms} ms");
    }
}

/// RFC 4737 section 3.3 to the letter: a packet whose number is below the one expected is reordered.
/// Each with its window; and the extent by section 4.2.1.
fn reordered(arrivals: &[u32]) -> (BTreeMap<u32, u32>, u32) {
    let (mut found, mut expected, mut extent) = (BTreeMap::new(), 0, 0);
    for (place, &sequence) in arrivals.iter().enumerate() {
        if sequence >= expected {
            expected = sequence + 1;
            continue;
        }
        let earliest = arrivals.iter().position(|&other| other > sequence).unwrap();
        extent = extent.max((place - earliest) as u32);
        *found.entry((sequence - 16) / 750).or_default() += 1;
    }
    (found, extent)
}

#[test]
fn reordering_is_counted_in_its_own_direction_as_rfc_4737_does() {
    let jitter = Duration::from_millis(50);
    let shuffling = Impairment { jitter, order: Order::Free, ..clean() };
    let both = (shuffling, shuffling);
    let links = [(shuffling, clean()), (clean(), shuffling), both, both, both];
    for (seed, (up, down)) in (66..).zip(links) {
        let mut pair = Pair::new(continuous(), up, down, seed);
        pair.run_windows(3);
        let (reached, extent_up) = reordered(&pair.reached);
        // In the order in which answers left, which is the order in which requests came.
        let place: BTreeMap<u32, u32> = pair.reached.iter().copied().zip(0..).collect();
        let places: Vec<u32> = pair.heard.iter().map(|packet| place[&packet.sequence]).collect();
        let (_, extent_down) = reordered(&places.iter().map(|p| p + 16).collect::<Vec<_>>());
        let mut returned: BTreeMap<u32, u32> = BTreeMap::new();
        let mut highest = 0;
        for (packet, &place) in pair.heard.iter().zip(&places) {
            *returned.entry((packet.sequence - 16) / 750).or_default() +=
                u32::from(place < highest);
            highest = highest.max(place);
        }
        let mut told = Reorder::default();
        for (index, seen) in pair.observations.iter().enumerate() {
            let of = |found: &BTreeMap<u32, u32>| found.get(&(index as u32)).copied().unwrap_or(0);
            assert_eq!(seen.reorder.up, of(&reached), "window {index}");
            assert_eq!(seen.reorder.down, of(&returned), "window {index}");
            told.up += seen.reorder.up;
            told.down += seen.reorder.down;
            told.extent_max = told.extent_max.max(seen.reorder.extent_max);
        }
        assert_eq!(told.down > 0, down == shuffling);
        assert_eq!(told.up > 0, up == shuffling);
        assert!(told.extent_max > 0 && told.extent_max <= extent_up.max(extent_down));
    }
}

#[test]
fn a_stateless_reflectors_times_tell_the_direction_of_reordering() {
    let jitter = Duration::from_millis(50);
    let shuffling = Impairment { jitter, order: Order::Free, ..clean() };
    let stateless = ReflectorConfig { stateful: false, ..ReflectorConfig::default() };
    let of = |links| Pair::of(session(continuous()), stateless.clone(), links, 67);
    let mut pair = of([shuffling, clean()]);
    pair.run_windows(1);
    let reorder = pair.observations[0].reorder;
    assert!(reorder.up > 100 && reorder.down == 0, "{reorder:?}");
    let mut pair = of([clean(), shuffling]);
    pair.run_windows(1);
    let reorder = pair.observations[0].reorder;
    assert!(reorder.up == 0 && reorder.down > 100, "{reorder:?}");
}

#[test]
fn runs_and_bursts_of_loss_are_told_apart() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 68);
    cut(&mut pair, 3_000, 3_100);
    cut(&mut pair, 3_200, 3_240);
    cut(&mut pair, 9_000, 9_020);
    pair.run_windows(1);
    let expected = LossPattern { runs: 3, bursts: 1, burst_packets: 12, burst_lost: 7 };
    assert_eq!(pair.observations[0].loss_pattern, expected);
}

#[test]
fn packets_later_than_the_buffer_are_late_in_their_direction() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 69);
    pair.run_until(Duration::from_millis(5_010));
    pair.up.impairment.delay = Duration::from_millis(61);
    pair.run_until(Duration::from_millis(5_110));
    pair.up.impairment.delay = Duration::from_millis(20);
    pair.down.impairment.delay = Duration::from_millis(59);
    pair.run_windows(1);
    let (delay_us, late_up, late_down) = (40_000, 5, 0);
    let expected =
        Playout { delay_us, late_up, late_down, discarded_up: late_up, discarded_down: late_down };
    assert_eq!(pair.observations[0].playout, Some(expected));

    let short = Profile::audio().with_playout_delay(Duration::from_millis(30)).unwrap();
    let mut pair = Pair::new(short, clean(), clean(), 69);
    pair.run_until(Duration::from_millis(5_010));
    pair.down.impairment.delay = Duration::from_millis(59);
    pair.run_until(Duration::from_millis(5_110));
    pair.down.impairment.delay = Duration::from_millis(20);
    pair.run_windows(1);
    let playout = pair.observations[0].playout.unwrap();
    assert_eq!((playout.delay_us, playout.late_up), (30_000, 0));
    assert!((4..=6).contains(&playout.late_down), "{playout:?}");
}

#[test]
fn contradicting_times_are_left_out_and_told() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 70);
    // It claims to have received half of all requests an hour before it answered them.
    pair.rewrite = Box::new(|packet| {
        if packet.sequence % 2 == 0 {
            let seconds = u32::from_be_bytes(packet.bytes[16..20].try_into().unwrap());
            packet.bytes[16..20].copy_from_slice(&(seconds - 3_600).to_be_bytes());
        }
    });
    pair.run_windows(1);
    let seen = &pair.observations[0];
    assert_eq!((seen.implausible_samples, seen.rtt.count()), (375, 375));
    assert_eq!(seen.counts.received(), 750);
}

#[test]
fn a_number_that_was_not_sent_is_used_again() {
    let mut pair = Pair::new(continuous(), clean(), clean(), 71);
    pair.run_until(Duration::from_millis(5_010));
    for _ in 0..3 {
        let next = pair.sender.poll_deadline().unwrap();
        pair.jump(next);
        let now = pair.now();
        let sequence = pair.sender.poll_transmit(now).unwrap().sequence;
        pair.sender.not_sent(sequence);
    }
    pair.run_windows(2);
    let [first, second] = [&pair.observations[0], &pair.observations[1]];
    assert_eq!((first.first_sequence, first.sequences, first.counts.sent()), (16, 747, 747));
    assert_eq!((second.first_sequence, second.sequences), (16 + 747, 750));
    assert_eq!((told(&pair, 0).1, first.ssid), (0, 0xbeef));
}

#[test]
fn a_queue_that_overflowed_at_the_end_of_a_window_is_charged_to_that_window() {
    let mut pair = Pair::new(continuous(), clean(), clean(), 72);
    cut(&mut pair, 14_900, 15_000);
    // The next datagram, an answer to the next window, tells that there were five more.
    pair.sender.handle_queue_drops(5);
    pair.run_windows(3);
    let drops: Vec<_> = pair
        .observations
        .iter()
        .map(|seen| (seen.receive_queue_drops, seen.counts.lost(), seen.counts.sent()))
        .collect();
    assert_eq!(drops, [(5, 0, 745), (0, 0, 750), (0, 0, 750)]);
    pair.sender.handle_queue_drops(7);
    assert_eq!(pair.sender.stats().stray_queue_drops, 2);
}

#[test]
fn a_storm_of_second_answers_is_counted_up_to_what_a_window_can_say() {
    let mut pair = Pair::new(Profile::audio(), clean(), clean(), 73);
    pair.run_until(Duration::from_secs(1));
    let answer = pair.heard.last().unwrap().clone();
    for _ in 0..PacketCounts::MAX + 10 {
        pair.hear(&answer);
    }
    pair.run_windows(1);
    let counts = pair.observations[0].counts;
    assert_eq!((counts.received(), counts.duplicated()), (750, PacketCounts::MAX));
}
