use super::*;
use crate::{
    AddressFamily, Histogram, Jitter, Link, LinkKind, PacketCounts, PathKey, ProfileName,
    TargetName, Transport, WindowParts,
};

const MINUTE: i64 = 60_000_000;

fn window(
    class: TrafficClass,
    rate_pps: u32,
    sent: u32,
    lost: [u32; 3],
    rtt_us: u32,
    jitter_us: u32,
) -> Window {
    let counts = PacketCounts::new(sent, sent, lost, 0, 0).unwrap();
    let mut rtt = Histogram::new();
    rtt.record_n(rtt_us, u64::from(counts.received()));
    let answered = counts.received() > 0;
    let jitter = answered.then_some(Jitter { mean_us: jitter_us, max_us: jitter_us });
    let path = PathKey {
        link: Link::new(LinkKind::Wired, "eth0").unwrap(),
        family: AddressFamily::Ipv4,
        target: TargetName::new("reflector:862").unwrap(),
        class,
        profile: ProfileName::new("audio-50").unwrap(),
        transport: Transport::Udp,
    };
    Window::new(WindowParts {
        rtt,
        rtt_median_us: answered.then_some(rtt_us),
        up_jitter: jitter,
        down_jitter: jitter.map(|_| Jitter { mean_us: 100, max_us: 100 }),
        ..WindowParts::new(path, rate_pps, counts)
    })
    .unwrap()
}

fn audio(lost: [u32; 3], rtt_us: u32, jitter_us: u32) -> Window {
    window(TrafficClass::Audio, 50, 750, lost, rtt_us, jitter_us)
}

/// One window a minute from `from` on.
fn streams(from: i64, windows: &[Window]) -> Vec<SyntheticStream> {
    synthetic_streams((0..).zip(windows).map(|(n, window)| (UtcMicros(from + n * MINUTE), window)))
}

fn class_of(name: &str, stream: &SyntheticStream) -> StreamClass {
    Classifier::named(name).unwrap().classify(stream).class
}

/// Up and down, by the current classifier.
fn both(windows: &[Window]) -> [StreamClass; 2] {
    let found = streams(0, windows);
    assert_eq!(found.len(), 2);
    [class_of("cqd-current", &found[0]), class_of("cqd-current", &found[1])]
}

#[test]
fn streams_are_five_minutes_of_utc_in_each_direction() {
    let calm = audio([0, 0, 0], 20_000, 1_000);
    let windows = vec![calm; 7];
    let found = streams(3 * MINUTE, &windows);
    let starts: Vec<_> = found
        .iter()
        .map(|stream| (stream.started.0 / MINUTE, stream.direction, stream.windows))
        .collect();
    assert_eq!(
        starts,
        [
            (0, Direction::Up, 2),
            (0, Direction::Down, 2),
            (5, Direction::Up, 5),
            (5, Direction::Down, 5)
        ]
    );
    let before = streams(-MINUTE, &windows[..1]);
    assert_eq!(before[0].started, UtcMicros(-5 * MINUTE));
    assert_eq!(streams(0, &[]), []);
}

#[test]
fn each_criterion_holds_at_its_edge_and_is_exceeded_beyond_it() {
    use StreamClass::{Good, Poor};
    // 3 750 packets: 375 are a tenth.
    let lost = |n: u32| [n, 0, 0];
    for (windows, expected) in [
        (vec![audio(lost(75), 500_000, 30_000); 5], [Good, Good]),
        (vec![audio(lost(76), 500_000, 30_000); 5], [Poor, Good]),
        (vec![audio([0, 76, 0], 500_000, 30_000); 5], [Good, Poor]),
        (vec![audio(lost(0), 500_001, 30_000); 5], [Poor, Poor]),
        (vec![audio(lost(0), 500_000, 30_001); 5], [Poor, Good]),
    ] {
        assert_eq!(both(&windows), expected);
    }
}

#[test]
fn the_streams_average_decides_and_not_its_worst_window() {
    let mut windows = vec![audio([0, 0, 0], 20_000, 1_000); 4];
    windows.push(audio([300, 0, 0], 1_000_000, 100_000));
    assert_eq!(both(&windows), [StreamClass::Good; 2]);
    let found = streams(0, &windows);
    let mean = (4.0 * 750.0 * 20_000.0 + 450.0 * 1_000_000.0) / 3_450.0;
    assert!((found[0].rtt_mean_us.unwrap() - mean).abs() < 1e-6);
    assert!(found[0].jitter_mean_us.unwrap() < 30_000.0);
    // What was lost on the way up never was on the way down.
    assert_eq!((found[0].packets, found[0].lost), (3_750, 300));
    assert_eq!((found[1].packets, found[1].lost), (3_450, 0));
}

#[test]
fn what_the_client_alone_knows_is_named_and_not_evaluated() {
    let found = streams(0, &vec![audio([0, 0, 0], 20_000, 1_000); 5]);
    let old = Classifier::named("cqd-2018").unwrap().classify(&found[0]);
    let not_evaluated: Vec<_> = old
        .criteria
        .iter()
        .filter(|(_, outcome)| matches!(outcome, CriterionOutcome::NotEvaluated(_)))
        .map(|(criterion, _)| *criterion)
        .collect();
    assert_eq!(
        not_evaluated,
        [StreamCriterion::AudioDegradation, StreamCriterion::ConcealedSamples]
    );
    assert_eq!(old.class, StreamClass::Good);
    assert_eq!(Classifier::named("cqd-current").unwrap().classify(&found[0]).criteria.len(), 3);
    assert!(Classifier::named("cqd-1999").is_none());
}

#[test]
fn losses_of_unknown_direction_decide_only_when_they_cannot_matter() {
    let of = |lost| streams(0, &vec![audio(lost, 20_000, 1_000); 5]);
    let few = of([10, 0, 20]);
    assert_eq!(class_of("cqd-current", &few[0]), StreamClass::Good);
    let many = of([10, 0, 200]);
    assert_eq!(class_of("cqd-current", &many[0]), StreamClass::Unclassified);
    assert_eq!(class_of("cqd-current", &many[1]), StreamClass::Unclassified);
    let known = of([100, 0, 200]);
    assert_eq!(class_of("cqd-current", &known[0]), StreamClass::Poor);
    let slow = streams(0, &vec![audio([10, 0, 200], 600_000, 1_000); 5]);
    assert_eq!(class_of("cqd-current", &slow[0]), StreamClass::Poor, "by the round trip alone");
}

#[test]
fn too_little_is_unclassified_and_never_good() {
    let check = |windows: &[Window], because: &str| {
        for stream in streams(0, windows) {
            let found = Classifier::named("cqd-current").unwrap().classify(&stream);
            assert_eq!(found.class, StreamClass::Unclassified);
            assert_eq!(found.unclassified_because, Some(because));
        }
    };
    let small = |n| window(TrafficClass::Audio, 50, n, [0, 0, 0], 20_000, 1_000);
    check(&[small(500)], "too few packets");
    assert_eq!(both(&[small(501)]), [StreamClass::Good; 2]);
    check(&vec![audio([0, 0, 750], 0, 0); 5], "nothing came back");
    let rare = window(TrafficClass::Audio, 9, 135, [0, 0, 0], 20_000, 1_000);
    check(&vec![rare; 5], "a criterion could not be evaluated");
    let video = window(TrafficClass::Video, 150, 2_250, [0, 0, 0], 20_000, 1_000);
    check(&[video], "the classifier is for audio");
}
