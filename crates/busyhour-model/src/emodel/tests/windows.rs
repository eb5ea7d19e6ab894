//! Estimates of windows.

use crate::{
    AddressFamily, ClockQuality, Direction, Histogram, Link, LinkKind, LossPattern, OneWayDelay,
    PacketCounts, PathKey, Playout, ProfileName, TargetName, TrafficClass, Transport, Window,
    WindowParts,
};
use proptest::prelude::*;

use super::super::*;

const KEPT: ClockQuality = ClockQuality { synchronized: true, error_us: 500 };

fn parts(class: TrafficClass, lost: [u32; 3], rtt_us: u32) -> WindowParts {
    let counts = PacketCounts::new(750, 750, lost, 0, 0).unwrap();
    let mut rtt = Histogram::new();
    rtt.record_n(rtt_us, u64::from(counts.received()));
    let path = PathKey {
        link: Link::new(LinkKind::Wired, "eth0").unwrap(),
        family: AddressFamily::Ipv4,
        target: TargetName::new("reflector:862").unwrap(),
        class,
        profile: ProfileName::new("audio-50").unwrap(),
        transport: Transport::Udp,
    };
    WindowParts {
        rtt_median_us: (counts.received() > 0).then_some(rtt_us),
        rtt,
        playout: Some(Playout { delay_us: 40_000, ..Playout::default() }),
        loss_pattern: LossPattern { runs: counts.lost().min(1), ..LossPattern::default() },
        ..WindowParts::new(path, 50, counts)
    }
}

fn audio(lost: [u32; 3], rtt_us: u32) -> WindowParts {
    parts(TrafficClass::Audio, lost, rtt_us)
}

fn estimated(parts: WindowParts) -> CallEstimate {
    estimate(&Window::new(parts).unwrap(), REFERENCE_CODEC).unwrap()
}

#[test]
fn the_delay_from_mouth_to_ear_is_kept_in_its_parts() {
    let call = estimated(audio([0, 0, 0], 60_000));
    let up = call.up.unwrap();
    let delay = up.inputs.delay;
    assert_eq!((delay.network_us, delay.basis.as_str()), (30_000, "rtt/2"));
    assert_eq!(
        (delay.jitter_buffer_us, delay.packetisation_us, delay.look_ahead_us),
        (40_000, 20_000, 250)
    );
    assert_eq!(delay.total_us(), 90_250);
    let same = Narrowband { bpl: 25.1, ..Narrowband::default().with_delay(90.25) }.rate();
    assert_eq!((up.r, up.impairments.idte), (same.r, same.idte));
    let sum = up.impairments;
    let again = sum.ro - sum.is - sum.idte - sum.idle - sum.idd - sum.ie_eff;
    assert!((again - up.r).abs() < 1e-9);
    assert_eq!((up.mos, up.flags), (mos(same.r), vec![]));
    assert_eq!(call.codec.label, "G.711 with packet loss concealment (reference)");
}

#[test]
fn each_direction_has_its_own_loss_and_the_worse_one_is_the_headline() {
    let playout = Playout { delay_us: 60_000, discarded_down: 30, ..Playout::default() };
    let call = estimated(WindowParts { playout: Some(playout), ..audio([15, 0, 0], 40_000) });
    let (up, down) = (call.up.unwrap(), call.down.unwrap());
    assert_eq!((up.inputs.of, up.inputs.lost, up.inputs.discarded), (750, 15, 0));
    assert_eq!(up.inputs.loss_percent, 2.0);
    // What was lost on the way up never was on the way down.
    assert_eq!((down.inputs.of, down.inputs.lost, down.inputs.discarded), (735, 0, 30));
    assert!((down.inputs.loss_percent - 3000.0 / 735.0).abs() < 1e-12, "discards are losses");
    assert_eq!(up.inputs.delay.jitter_buffer_us, 60_000);
    assert_eq!(call.worse_direction, Some(Direction::Down));
    assert_eq!(call.worse, down);
    assert!(down.r < up.r);
}

#[test]
fn loss_of_unknown_direction_leaves_only_the_worst_that_can_have_been() {
    let call = estimated(audio([0, 8, 15], 40_000));
    assert_eq!((call.up, call.down, call.worse_direction), (None, None, None));
    assert_eq!(call.worse.inputs.lost, 23);
    assert!(call.worse.flags.contains(&Flag::LossDirectionUnknown));
    let known = estimated(audio([0, 23, 0], 40_000));
    assert_eq!(call.worse.r, known.worse.r);
}

#[test]
fn bursts_are_compared_with_random_loss() {
    let with_runs = |lost, runs| {
        let counts = PacketCounts::new(100, 100, [lost, 0, 0], 0, 0).unwrap();
        let mut rtt = Histogram::new();
        rtt.record_n(40_000, u64::from(counts.received()));
        let pattern = LossPattern { runs, ..LossPattern::default() };
        estimated(WindowParts { counts, rtt, loss_pattern: pattern, ..audio([0; 3], 40_000) }).worse
    };
    // Fifty arrived, five were lost in a row, forty-five arrived.
    let together = with_runs(5, 1);
    assert!((together.inputs.burst_ratio - 4.75).abs() < 1e-12);
    assert_eq!(together.flags, [Flag::BurstyLossAboveDomain]);
    let apart = with_runs(5, 5);
    assert_eq!(apart.inputs.burst_ratio, 1.0, "0.95 is held at 1");
    assert_eq!(apart.flags, []);
    assert!(together.r < apart.r);
}

#[test]
fn a_one_way_delay_counts_when_both_clocks_are_kept_and_it_says_more_than_half_the_round_trip() {
    let of = |up_median_us, down_median_us, error_us| {
        let one_way = Some(OneWayDelay { up_median_us, down_median_us, error_us });
        let parts = audio([0, 0, 0], 100_000);
        estimated(WindowParts { one_way, clock: KEPT, far_clock: Some(KEPT), ..parts })
    };
    let network = |estimate: Option<Estimate>| {
        let delay = estimate.unwrap().inputs.delay;
        (delay.network_us, delay.basis.as_str())
    };
    let near = of(70_000, 30_000, 1_000);
    assert_eq!(near.worse_direction, Some(Direction::Up));
    assert_eq!(network(near.up), (70_000, "one-way"));
    assert_eq!(network(near.down), (30_000, "one-way"));
    let barely = of(100_900, -900, 1_000);
    assert_eq!(network(barely.down), (0, "one-way"));
    // Clocks that err by more than half, and clocks that err by more than they claim.
    for far in [of(70_000, 30_000, 50_000), of(101_001, -1_001, 1_000)] {
        assert_eq!(network(far.up), (50_000, "rtt/2"));
        assert_eq!(network(far.down), (50_000, "rtt/2"));
    }
}

#[test]
fn what_is_outside_the_models_domain_is_said() {
    let flags = |parts| estimated(parts).worse.flags;
    assert_eq!(flags(audio([0, 0, 0], 879_400)), []);
    assert_eq!(flags(audio([0, 0, 0], 879_502)), [Flag::DelayAboveDomain]);
    let random = |lost| LossPattern { runs: lost, ..LossPattern::default() };
    let lossy = |lost| WindowParts { loss_pattern: random(lost), ..audio([lost, 0, 0], 40_000) };
    assert_eq!(flags(lossy(150)), []);
    assert_eq!(flags(lossy(151)), [Flag::LossAboveDomain]);
    // One run of nine is 1.2 %: only too long.
    assert_eq!(flags(audio([9, 0, 0], 40_000)), [Flag::BurstRatioAboveDomain]);
    let both = WindowParts { loss_pattern: random(4), ..audio([2, 2, 0], 40_000) };
    assert_eq!(flags(both), [Flag::BurstRatioOfRoundTrip]);
    let bare = WindowParts { playout: None, loss_pattern: random(0), ..audio([2, 0, 0], 40_000) };
    assert_eq!(flags(bare), [Flag::BurstRatioAssumed, Flag::JitterBufferAssumed]);
    let playout = Some(Playout { delay_us: 40_000, discarded_up: 3, ..Playout::default() });
    let discarded = WindowParts { playout, ..audio([0, 0, 0], 40_000) };
    assert_eq!(flags(discarded), [Flag::BurstRatioAssumed], "how discards lie is not known");
}

#[test]
fn what_was_not_heard_or_is_no_voice_is_not_estimated() {
    let none = |parts, codec| estimate(&Window::new(parts).unwrap(), codec).is_none();
    assert!(none(audio([0, 0, 750], 0), REFERENCE_CODEC), "nothing came back");
    assert!(none(parts(TrafficClass::Video, [0; 3], 20_000), REFERENCE_CODEC));
    assert!(none(parts(TrafficClass::Sharing, [0; 3], 20_000), REFERENCE_CODEC));
    assert!(!none(parts(TrafficClass::BestEffort, [0; 3], 20_000), REFERENCE_CODEC));
    let rare = WindowParts { rate_pps: 9, ..audio([0; 3], 20_000) };
    assert!(none(rare, REFERENCE_CODEC));
    let untimed =
        WindowParts { rtt: Histogram::new(), rtt_median_us: None, ..audio([0; 3], 20_000) };
    assert!(none(untimed, REFERENCE_CODEC));
    assert!(none(audio([0; 3], 20_000), Codec::named("opus").unwrap()));
}

#[test]
fn the_wideband_estimate_is_on_its_own_scale() {
    let codec = Codec::named("amr-wb-23.05").unwrap();
    let window = Window::new(audio([15, 0, 0], 40_000)).unwrap();
    let up = estimate(&window, codec).unwrap().up.unwrap();
    let terms = Wideband { ta_ms: 85.0, ie: 8.0, bpl: 4.6, ppl_percent: 2.0 }.rate();
    assert_eq!((up.r, up.mos), (terms.r, terms.mos()));
    assert_eq!(up.impairments.ro, 129.0);
    assert_eq!(
        up.flags,
        [Flag::BurstRatioAboveDomain, Flag::BurstyLossAboveDomain, Flag::UniformLossAssumed]
    );
    assert_eq!((codec.scale.as_str(), codec.scale.model()), ("wideband", "ITU-T G.107.1"));
}

proptest! {
    #[test]
    fn every_window_is_rated_within_the_scale(
        lost in (0u32..250, 0u32..250, 0u32..250),
        discarded in (0u32..250, 0u32..250),
        runs in 0u32..100,
        rtt_us in 0u32..4_000_000,
        delay_us in 0u32..1_000_000,
    ) {
        let base = audio([lost.0, lost.1, lost.2], rtt_us);
        let received = base.counts.received();
        let playout = Playout {
            delay_us,
            discarded_up: discarded.0.min(received),
            discarded_down: discarded.1.min(received),
            ..Playout::default()
        };
        let runs = runs.min(base.counts.lost());
        let pattern = LossPattern { runs, ..LossPattern::default() };
        let window =
            Window::new(WindowParts { playout: Some(playout), loss_pattern: pattern, ..base }).unwrap();
        for codec in CODECS.iter().filter(|codec| codec.figures().is_some()) {
            let Some(call) = estimate(&window, codec) else {
                prop_assert!(window.failed());
                continue;
            };
            prop_assert_eq!(call.up.is_none(), window.counts.lost_unknown() > 0);
            for estimate in [call.up.as_ref(), call.down.as_ref(), Some(&call.worse)].into_iter().flatten() {
                prop_assert!((1.0..=4.5).contains(&estimate.mos));
                prop_assert!(estimate.r.is_finite() && call.worse.r <= estimate.r);
                let inputs = estimate.inputs;
                prop_assert!(inputs.lost + inputs.discarded <= inputs.of);
                prop_assert!((0.0..=100.0).contains(&inputs.loss_percent));
            }
        }
    }
}
