//! What reflectors tell, and how they differ.

use std::time::Duration;

use busyhour_model::{ClockQuality, Ecn, OneWayDelay};
use busyhour_probe::{PeerProfile, Profile, Rates, ReflectorConfig, SenderConfig, Telemetry};
use busyhour_wire::{Mode, ReflectorPacket, SenderPacket, TimestampFormat};
use testkit::Loss;

use super::harness::{Lost, OnLink, Pair, clean, protected, session};
use super::{continuous, lossy, told};

const BASE: usize = Mode::Unauthenticated.base_len();

fn of_peer(name: &str) -> Pair {
    let peer_profile = PeerProfile::named(name).unwrap();
    let config = SenderConfig { peer_profile, ..session(Profile::audio()) };
    Pair::of(config, ReflectorConfig::default(), [lossy(Loss::Random(0.05)), clean()], 41)
}

#[test]
fn twamp_light_reflectors_are_measured_whatever_the_length_of_their_answers() {
    for length in [41, 44, 60, 117, 400] {
        let mut pair = of_peer("twamp-light");
        pair.rewrite = Box::new(move |packet: &mut OnLink| {
            // No session identifier, and zeros where the request had its padding.
            packet.bytes[14..16].fill(0);
            packet.bytes[BASE..].fill(0);
            packet.bytes.resize(length, 0);
        });
        pair.run_windows(2);
        pair.check_never_false(0);
        for index in 0..2 {
            let seen = &pair.observations[index];
            assert_eq!(told(&pair, index), (pair.lost(index), 0), "{length} octets");
            assert_eq!((seen.rtt_median_us, seen.peer_tlvs), (Some(40_000), Some(false)));
            assert_eq!((seen.dscp.up, seen.ecn.up, seen.seen_source_port), (None, None, None));
        }
        assert_eq!(pair.sender.stats().rejected, 0);
    }
}

#[test]
fn an_answer_without_the_last_three_zeros_is_one_whatever_the_peer_is_called() {
    let mut pair = of_peer("stamp");
    pair.rewrite = Box::new(|packet| packet.bytes.truncate(41));
    pair.run_windows(1);
    assert_eq!(told(&pair, 0), (pair.lost(0), 0));
    assert_eq!(pair.sender.stats().rejected, 0);
}

#[test]
fn requests_to_twamp_light_carry_padding_alone() {
    let mut pair = of_peer("twamp-light");
    pair.run_until(Duration::from_secs(1));
    let now = pair.now();
    let next = pair.sender.poll_deadline().unwrap();
    pair.jump(next);
    let packet = pair.sender.poll_transmit(busyhour_model::ClockPair { monotonic: next, ..now });
    let bytes = packet.unwrap().bytes.to_vec();
    let (_, tail) = SenderPacket::parse(Mode::Unauthenticated, &bytes).unwrap();
    let kinds: Vec<u8> = busyhour_wire::Tlvs::new(tail).map(|tlv| tlv.unwrap().kind).collect();
    assert_eq!((bytes.len(), kinds), (117, vec![busyhour_wire::EXTRA_PADDING]));
}

#[test]
fn each_timestamp_is_read_by_its_own_error_estimate() {
    use TimestampFormat::{Ntp, Ptp};
    for (near, far) in [(Ntp, Ntp), (Ntp, Ptp), (Ptp, Ntp), (Ptp, Ptp)] {
        let config = SenderConfig { timestamp_format: near, ..session(Profile::audio()) };
        let reflector = ReflectorConfig { timestamp_format: far, ..ReflectorConfig::default() };
        let mut pair = Pair::of(config, reflector, [clean(), clean()], 42);
        pair.run_windows(1);
        let seen = &pair.observations[0];
        assert_eq!((seen.rtt.min(), seen.rtt.max()), (40_000, 40_000), "{near:?} {far:?}");
        assert_eq!((seen.up_variation.count(), seen.up_variation.max()), (750, 0));
    }
}

#[test]
fn a_reflector_that_only_repeats_the_z_bit_is_read_by_its_profile() {
    let run = |name: &str| {
        let peer_profile = PeerProfile::named(name).unwrap();
        let timestamp_format = TimestampFormat::Ptp;
        let config = SenderConfig { peer_profile, timestamp_format, ..session(Profile::audio()) };
        let mut pair = Pair::of(config, ReflectorConfig::default(), [clean(), clean()], 43);
        // Its times are NTP's; it says that they are PTP's.
        pair.rewrite = Box::new(|packet| packet.bytes[12] |= 0x40);
        pair.run_windows(1);
        pair.observations.remove(0)
    };
    assert_eq!(run("stamp-ntp").up_variation.count(), 750);
    let wrong = run("stamp");
    assert!(wrong.up_variation.count() < 300, "most fractions are no nanoseconds");
    assert_eq!(wrong.counts.received(), 750);
}

#[test]
fn a_reflector_that_echoes_tlvs_with_u_set_is_told_to_know_none() {
    let mut pair = of_peer("stamp");
    pair.rewrite = Box::new(|packet| {
        let mut at = BASE;
        while at + 4 <= packet.bytes.len() {
            packet.bytes[at] |= 0x80;
            at += 4 + usize::from(u16::from_be_bytes([packet.bytes[at + 2], packet.bytes[at + 3]]));
        }
    });
    pair.run_windows(1);
    let seen = &pair.observations[0];
    assert_eq!((seen.peer_tlvs, seen.dscp.up, seen.seen_source_port), (Some(false), None, None));
    assert_eq!(told(&pair, 0), (pair.lost(0), 0));
}

#[test]
fn an_integrity_flag_makes_all_tlvs_worthless_and_a_malformed_one_ends_them() {
    let run = |at: usize, flag: u8| {
        let mut pair = Pair::new(Profile::audio(), clean(), clean(), 44);
        pair.rewrite = Box::new(move |packet| packet.bytes[BASE + at] |= flag);
        pair.run_windows(1);
        let seen = pair.observations.remove(0);
        (seen.dscp.up.is_some(), seen.seen_source_port.is_some(), seen.counts.received())
    };
    // Class of Service comes first, Direct Measurement or Location second.
    assert_eq!(run(0, 0), (true, true, 750));
    assert_eq!(run(8, 0x20), (false, false, 750));
    assert_eq!(run(8, 0x40), (true, false, 750));
    assert_eq!(run(0, 0x40), (false, false, 750));
}

#[test]
fn a_follow_up_corrects_when_the_answer_before_really_left() {
    for telemetry in [Telemetry::Full, Telemetry::Marking] {
        let config = SenderConfig { telemetry, ..session(Profile::audio()) };
        let mut pair = Pair::of(config, ReflectorConfig::default(), [clean(), clean()], 45);
        pair.far_queue = Duration::from_millis(3);
        pair.run_windows(1);
        let seen = &pair.observations[0];
        // What lay in the reflector's machine is dwell where it is known, and delay where not.
        let expected = if telemetry == Telemetry::Full { 40_000 } else { 43_000 };
        assert_eq!(seen.rtt_median_us, Some(expected), "{telemetry:?}");
        assert_eq!(seen.rtt.max(), 43_000, "the window's last answer is followed by none");
        let corrected = pair.sender.stats().follow_ups > 700;
        assert_eq!(corrected, telemetry == Telemetry::Full);
    }
}

#[test]
fn what_the_reflector_refuses_is_no_path_loss() {
    for mode in [Mode::Unauthenticated, Mode::Authenticated] {
        let large = Profile::named("audio-50-190").unwrap();
        let (config, keyed) = protected(&session(large), mode);
        let rates = Rates { session: 40, ..Rates::default() };
        let mut pair = Pair::of(config, ReflectorConfig { rates, ..keyed }, [clean(), clean()], 46);
        pair.run_windows(2);
        pair.check_never_false(0);
        for index in 0..2 {
            let seen = &pair.observations[index];
            assert!(pair.dropped(index) > 50, "{}", pair.dropped(index));
            // Nobody knows of what was refused behind the last answer before that came.
            assert_eq!(seen.reflector_drops, pair.dropped(index), "{mode:?}");
            assert_eq!((seen.counts.lost(), seen.burst), (0, None));
            assert_eq!(seen.counts.sent(), 750 - seen.reflector_drops);
        }
    }
}

#[test]
fn what_the_reflector_cannot_send_is_no_path_loss_and_what_is_lost_beside_it_is() {
    let (up, down) = (lossy(Loss::Random(0.03)), lossy(Loss::Random(0.03)));
    let mut pair = Pair::new(Profile::audio(), up, down, 47);
    pair.refuse = Box::new(|sequence| sequence % 29 == 0);
    pair.run_windows(3);
    pair.check_counts();
    pair.check_never_false(0);
    for index in 0..2 {
        let seen = &pair.observations[index];
        let told = told(&pair, index);
        assert_eq!(told, (pair.lost(index), 0), "window {index}");
        assert_eq!(seen.reflector_drops, pair.dropped(index));
        assert!(seen.reflector_drops > 20);
    }
}

#[test]
fn counters_of_a_whole_interface_excuse_nothing() {
    let mut pair = of_peer("stamp");
    pair.rewrite = Box::new(|packet| {
        // Direct Measurement is second behind Class of Service, but for the opening requests.
        if packet.bytes[BASE + 8 + 1] == busyhour_wire::DIRECT_MEASUREMENT {
            let counts = packet.sequence * 7;
            packet.bytes[BASE + 16..BASE + 20].copy_from_slice(&(counts * 2).to_be_bytes());
            packet.bytes[BASE + 20..BASE + 24].copy_from_slice(&counts.to_be_bytes());
        }
    });
    pair.run_windows(2);
    for index in 0..2 {
        assert_eq!(told(&pair, index), (pair.lost(index), 0));
        assert_eq!(pair.observations[index].reflector_drops, 0);
    }
}

#[test]
fn ecn_is_told_in_each_direction() {
    let profile = continuous().with_ecn(Ecn::Ect0);
    let run = |up: Option<Ecn>, down: Option<Ecn>| {
        let mut pair = Pair::new(profile, clean(), clean(), 48);
        pair.remark = up.map(|ecn| profile.dscp().to_tos() | ecn.bits());
        pair.rewrite = Box::new(move |packet| {
            packet.tos = down.map_or(packet.tos, |ecn| packet.tos & !3 | ecn.bits());
        });
        pair.run_windows(1);
        pair.observations.remove(0).ecn
    };
    let clean = run(None, None);
    assert_eq!((clean.sent, clean.up, clean.down), (Ecn::Ect0, Some(Ecn::Ect0), Some(Ecn::Ect0)));
    assert_eq!((clean.up_changed, clean.down_changed, clean.up_ce, clean.down_ce), (0, 0, 0, 0));
    let bleached = run(Some(Ecn::NotEct), None);
    assert_eq!((bleached.up, bleached.up_changed, bleached.up_ce), (Some(Ecn::NotEct), 750, 0));
    assert_eq!((bleached.down, bleached.down_changed), (Some(Ecn::Ect0), 0));
    let congested = run(None, Some(Ecn::Ce));
    assert_eq!((congested.up_changed, congested.up_ce), (0, 0));
    assert_eq!((congested.down, congested.down_changed), (Some(Ecn::Ce), 750));
    assert_eq!(congested.down_ce, 750);
}

#[test]
fn either_reading_of_rpe_means_that_the_answer_bears_what_was_wanted() {
    for (rpe, changed) in [(3, 750), (1, 750), (0, 0), (2, 0)] {
        let mut pair = Pair::new(continuous().with_ecn(Ecn::Ect0), clean(), clean(), 49);
        pair.rewrite = Box::new(move |packet| {
            packet.bytes[BASE + 6] = packet.bytes[BASE + 6] & !0x30 | rpe << 4;
            packet.tos &= !3;
        });
        pair.run_windows(1);
        let ecn = pair.observations[0].ecn;
        assert_eq!((ecn.down, ecn.down_changed), (Some(Ecn::NotEct), changed), "RPE {rpe}");
    }
}

#[test]
fn hop_limits_and_their_changes_are_told_in_each_direction() {
    let mut pair = Pair::new(continuous(), clean(), clean(), 50);
    pair.run_until(Duration::from_secs(4));
    pair.ttl = [55, 58];
    pair.run_until(Duration::from_secs(5));
    pair.ttl = [57, 58];
    pair.run_windows(1);
    let ttl = pair.observations[0].ttl;
    assert_eq!((ttl.up, ttl.down), (Some(57), Some(58)));
    assert_eq!((ttl.up_changes, ttl.down_changes), (2, 0));
}

#[test]
fn one_way_delays_need_two_synchronised_clocks() {
    let good = |error_us| ClockQuality { synchronized: true, error_us };
    let run = |near: ClockQuality, far: ClockQuality| {
        let config = SenderConfig { clock: near, ..session(Profile::audio()) };
        let reflector = ReflectorConfig { clock: far, ..ReflectorConfig::default() };
        let mut pair = Pair::of(config, reflector, [clean(), clean()], 51);
        pair.far = pair.clock;
        pair.up.impairment.delay = Duration::from_millis(35);
        pair.run_windows(1);
        pair.observations.remove(0)
    };
    let seen = run(good(400), good(600));
    let one_way = seen.one_way.unwrap();
    let (up_median_us, down_median_us) = (35_000, 20_000);
    // What is written as an error estimate is rounded up.
    assert!((1_000..1_010).contains(&one_way.error_us), "{one_way:?}");
    let error_us = one_way.error_us;
    assert_eq!(one_way, OneWayDelay { up_median_us, down_median_us, error_us });
    assert_eq!(seen.clock, good(400));
    assert!(seen.far_clock.is_some_and(|clock| clock.synchronized));
    let free = ClockQuality { synchronized: false, error_us: 400 };
    assert_eq!(run(free, good(600)).one_way, None);
    assert_eq!(run(good(400), free).one_way, None);
}

#[test]
fn a_clock_that_runs_free_is_not_synchronised_whatever_else_it_claims() {
    let clock = ClockQuality { synchronized: true, error_us: 400 };
    let run = |source: Option<u8>| {
        let config = SenderConfig { clock, ..session(Profile::audio()) };
        let reflector = ReflectorConfig { clock, ..ReflectorConfig::default() };
        let mut pair = Pair::of(config, reflector, [clean(), clean()], 55);
        pair.rewrite = Box::new(move |packet| {
            // Timestamp Information is third in the opening requests.
            if packet.bytes[BASE + 17] == busyhour_wire::TIMESTAMP_INFORMATION {
                packet.bytes[BASE + 20] = source.unwrap_or(packet.bytes[BASE + 20]);
            }
        });
        pair.run_windows(1);
        let seen = pair.observations.remove(0);
        (seen.far_clock.unwrap().synchronized, seen.one_way.is_some())
    };
    assert_eq!(run(None), (true, true));
    assert_eq!(run(Some(5)), (false, false));
}

#[test]
fn a_window_bears_the_worst_that_its_clock_was_worth() {
    let good = ClockQuality { synchronized: true, error_us: 400 };
    let config = SenderConfig { clock: good, ..session(Profile::audio().continuous()) };
    let mut pair = Pair::of(config, ReflectorConfig::default(), [clean(), clean()], 52);
    pair.run_until(Duration::from_secs(5));
    pair.sender.set_clock(ClockQuality { synchronized: false, error_us: 9_000 });
    pair.run_until(Duration::from_secs(6));
    pair.sender.set_clock(good);
    pair.run_windows(2);
    let worst = ClockQuality { synchronized: false, error_us: 9_000 };
    assert_eq!((pair.observations[0].clock, pair.observations[1].clock), (worst, good));
}

#[test]
fn the_error_estimate_on_the_wire_is_that_of_the_clock() {
    let mut pair = Pair::new(continuous(), clean(), clean(), 53);
    let repeated = |pair: &Pair| {
        let bytes = &pair.heard.last().unwrap().bytes;
        ReflectorPacket::parse(Mode::Unauthenticated, bytes).unwrap().0.sender_error_estimate
    };
    pair.run_until(Duration::from_secs(1));
    assert!(!repeated(&pair).synchronized());
    assert_eq!(repeated(&pair).seconds(), Some(1.0));
    pair.sender.set_clock(ClockQuality { synchronized: true, error_us: 250 });
    pair.run_until(Duration::from_secs(2));
    assert!(repeated(&pair).synchronized());
    let seconds = repeated(&pair).seconds().unwrap();
    assert!((250e-6..253e-6).contains(&seconds), "{seconds}");
}

#[test]
fn an_address_translator_shows_in_the_port_and_breaks_nothing_when_it_rebinds() {
    let mut pair = Pair::new(continuous(), lossy(Loss::Random(0.05)), clean(), 54);
    pair.agent = "203.0.113.7:61001".parse().unwrap();
    pair.run_until(Duration::from_millis(20_010));
    pair.agent = "203.0.113.7:61002".parse().unwrap();
    pair.run_windows(4);
    pair.check_counts();
    pair.check_never_false(0);
    let ports: Vec<_> = pair.observations.iter().map(|seen| seen.seen_source_port).collect();
    assert_eq!(ports, [Some(61_001), Some(61_001), Some(61_002), Some(61_002)]);
    let Lost { up, .. } = pair.lost(1);
    let (named, unknown) = told(&pair, 1);
    assert!(named.down == 0 && named.up + unknown == up && unknown <= 3, "{named:?} {unknown}");
}
