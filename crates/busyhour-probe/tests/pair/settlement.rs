//! What the sender could not tell, told by what the reflector reports of the session.

use std::time::Duration;

use busyhour_model::{
    AddressFamily, BootId, Context, Link, LinkKind, PathKey, ProfileName, SessionReport, Stamp,
    TargetName, TrafficClass, Transport, UtcMicros, Window, settle,
};
use busyhour_probe::{Observation, Profile, ReflectorConfig};
use testkit::{Impairment, Loss};

use crate::harness::{Lost, Pair, TARGET, clean, rewrite_counter, session};

/// A session with a reflector that reports.
fn pair(profile: Profile, up: Impairment, down: Impairment, seed: u64) -> Pair {
    let reflector = ReflectorConfig { reports: true, ..ReflectorConfig::default() };
    Pair::of(session(profile), reflector, [up, down], seed)
}

/// Runs whole windows as a reflector's runner does: it looks for reports now and then.
fn run(pair: &mut Pair, windows: u32) -> Vec<SessionReport> {
    let mut reports = Vec::new();
    let mut look = |pair: &mut Pair| {
        reports.extend(std::iter::from_fn(|| pair.reflector.poll_report(pair.far.now())));
    };
    let seconds = pair.profile.period().as_secs() * u64::from(windows) + 3;
    for second in 0..seconds {
        pair.run_until(Duration::from_secs(second));
        look(pair);
    }
    pair.finish();
    // The session's last silence.
    for _ in 0..10 {
        pair.jump(pair.clock.now() + Duration::from_secs(1));
        look(pair);
    }
    pair.observations.truncate(windows as usize);
    reports
}

fn window(seen: &Observation) -> (Window, Stamp) {
    let path = PathKey {
        link: Link::new(LinkKind::Wired, "eth0").unwrap(),
        family: AddressFamily::Ipv4,
        target: TargetName::new("reflector:862").unwrap(),
        class: TrafficClass::Audio,
        profile: ProfileName::new("audio-50").unwrap(),
        transport: Transport::Udp,
    };
    let started = UtcMicros(seen.started.wall_ns / 1_000);
    let duration_us = u64::try_from(seen.duration.as_micros()).unwrap();
    let stamp = Stamp::new(started, seen.started.boot, BootId::from_u128(1), duration_us).unwrap();
    (Window::new(seen.clone().into_parts(path, 50_000)).unwrap(), stamp)
}

/// Settles every window and checks it against the truth. How many were settled, and how many remain
/// without direction.
fn check_settled(pair: &Pair, reports: &[SessionReport]) -> (usize, usize) {
    let context = Context { resolved: TARGET.parse().ok(), ..Context::default() };
    let (mut settled, mut left) = (0, 0);
    for (index, seen) in pair.observations.iter().enumerate() {
        let (window, stamp) = window(seen);
        if window.counts.lost_unknown() == 0 {
            continue;
        }
        let Some(settlement) = settle(&window, &stamp, &context, reports) else {
            left += 1;
            continue;
        };
        let counts = window.settle(settlement).unwrap().counts;
        let told = Lost { up: counts.lost_up(), down: counts.lost_down() };
        assert_eq!((told, counts.lost_unknown()), (pair.lost(index), 0), "window {index}");
        settled += 1;
    }
    (settled, left)
}

#[test]
fn an_outage_that_outlasts_its_windows_is_settled_in_either_direction() {
    for direction in ["up", "down"] {
        for profile in [Profile::audio(), Profile::audio().continuous()] {
            let mut pair = pair(profile, clean(), clean(), 1);
            let period = profile.period();
            pair.run_until(period - Duration::from_secs(1));
            let link = if direction == "up" { &mut pair.up } else { &mut pair.down };
            link.impairment.loss = Loss::Random(1.0);
            pair.run_until(period * 4 - Duration::from_secs(1));
            pair.up.impairment.loss = Loss::None;
            pair.down.impairment.loss = Loss::None;
            let reports = run(&mut pair, 7);
            let (settled, left) = check_settled(&pair, &reports);
            assert!(settled >= 2 && left == 0, "{direction}: {settled} settled, {left} not");
        }
    }
}

#[test]
fn a_reflector_whose_answers_tell_no_direction_settles_by_its_reports() {
    let rough = Impairment { loss: Loss::Random(0.02), ..clean() };
    let mut pair = pair(Profile::audio(), rough, rough, 5);
    pair.rewrite = Box::new(|packet| rewrite_counter(packet, |reply| reply.sender_sequence));
    let reports = run(&mut pair, 6);
    let (settled, left) = check_settled(&pair, &reports);
    // The first window may begin with a loss, before the reflector knows the session.
    assert!(settled >= 5 && left <= 1, "{settled} settled, {left} not");
}

/// Loss, reordering, duplication and cuts at random: what is settled is right to the packet.
#[test]
fn no_settlement_is_false() {
    let (mut settled, mut left) = (0, 0);
    for seed in 0..24 {
        // Knuth's linear congruential generator, its higher bits.
        let mut state: u64 = seed;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        let mut link = || Impairment {
            loss: Loss::Random(draw(100) as f64 / 1_000.0),
            jitter: Duration::from_millis(draw(60)),
            duplicate: draw(50) as f64 / 1_000.0,
            ..clean()
        };
        let (up, down) = (link(), link());
        let profile = if seed % 2 == 0 { Profile::audio() } else { Profile::audio().continuous() };
        let mut pair = pair(profile, up, down, seed);
        if seed % 3 == 0 {
            pair.rewrite =
                Box::new(|packet| rewrite_counter(packet, |reply| reply.sender_sequence));
        }
        pair.run_until(profile.period() * draw(3) as u32 + Duration::from_secs(1 + draw(13)));
        if seed % 2 == 1 {
            pair.up.impairment.loss = Loss::Random(1.0);
        } else {
            pair.down.impairment.loss = Loss::Random(1.0);
        }
        pair.run_until(profile.period() * 4 + Duration::from_secs(1 + draw(13)));
        pair.up.impairment.loss = up.loss;
        pair.down.impairment.loss = down.loss;
        let reports = run(&mut pair, 8);
        let (more, less) = check_settled(&pair, &reports);
        settled += more;
        left += less;
    }
    assert!(settled >= 40, "{settled} settled, {left} not");
}
