//! Laws that hold whatever networks, reflectors and clocks do.

use std::time::Duration;

use busyhour_model::{
    AddressFamily, Link, LinkKind, PathKey, ProfileName, TargetName, TrafficClass, Transport,
    Window,
};
use busyhour_probe::{PROFILES, Profile, ReflectorConfig, Sender};
use busyhour_wire::Mode;
use proptest::prelude::*;
use testkit::{Impairment, Loss, Order};

use super::harness::{self, Pair, clean, protected, rewrite_counter, session};
use super::{continuous, lossy};

fn any_loss() -> impl Strategy<Value = Loss> {
    prop_oneof![
        Just(Loss::None),
        (0.0..0.3f64).prop_map(Loss::Random),
        (0.0..0.1f64, 0.05..0.9f64, 0.3..1.0f64)
            .prop_map(|(enter, leave, lost)| Loss::GilbertElliott { enter, leave, lost }),
    ]
}

fn any_impairment() -> impl Strategy<Value = Impairment> {
    (any_loss(), 0..300u64, 0..120u64, any::<bool>(), prop_oneof![Just(0.0), 0.0..0.1f64]).prop_map(
        |(loss, delay, jitter, free, duplicate)| Impairment {
            loss,
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(jitter),
            order: if free { Order::Free } else { Order::Kept },
            duplicate,
        },
    )
}

/// What kind of session it is.
#[derive(Debug, Clone, Copy)]
struct Kind {
    profile: Profile,
    protection: Option<Mode>,
}

impl Kind {
    fn pair(self, links: [Impairment; 2], seed: u64) -> Pair {
        let config = session(self.profile);
        let Some(mode) = self.protection else {
            return Pair::of(config, ReflectorConfig::default(), links, seed);
        };
        let (config, reflector) = protected(&config, mode);
        Pair::of(config, reflector, links, seed)
    }
}

/// Every profile, continuous or with pauses, open or protected in either mode where it has the room.
/// Windows are short, so that there are borders.
fn any_kind() -> impl Strategy<Value = Kind> {
    let protection = prop_oneof![
        Just(None),
        Just(Some(Mode::Unauthenticated)),
        Just(Some(Mode::Authenticated)),
    ];
    (0..PROFILES.len(), 1..4u32, protection).prop_map(|(at, pause, protection)| {
        let window = Duration::from_secs(5);
        let profile = PROFILES[at].with_schedule(window, window * pause).unwrap();
        let kind = Kind { profile, protection };
        let config = protection.map(|mode| protected(&session(profile), mode).0);
        let fits =
            config.is_none_or(|config| Sender::new(config, std::time::Instant::now()).is_ok());
        if fits { kind } else { Kind { protection: None, ..kind } }
    })
}

/// What happens to a session besides its links.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// The reflector begins anew.
    Restart,
    /// An address translator chooses another port.
    Rebind(u16),
    /// Nobody runs the sender for so many milliseconds.
    HoldUp(u64),
    /// The agent's wall clock jumps by so many milliseconds.
    Step(i64),
}

/// After so many milliseconds.
fn any_event() -> impl Strategy<Value = (u64, Event)> {
    let event = prop_oneof![
        Just(Event::Restart),
        (1_024..u16::MAX).prop_map(Event::Rebind),
        (1..3_000u64).prop_map(Event::HoldUp),
        (-5_000..5_000i64).prop_map(Event::Step),
    ];
    (0..5_000u64, event)
}

/// Where the reflector's counter begins: mostly where it wraps soon.
fn any_counter() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(1), any::<u32>(), u32::MAX - 1_500..u32::MAX]
}

impl Pair {
    /// Lets things happen, and three whole windows after them.
    fn run_through(&mut self, events: Vec<(u64, Event)>) {
        for (after_ms, event) in events {
            let since = self.clock.now().saturating_duration_since(self.start);
            self.run_until(since + Duration::from_millis(after_ms));
            match event {
                Event::Restart => self.restart_reflector(),
                Event::Rebind(port) => self.agent.set_port(port),
                Event::HoldUp(ms) => {
                    let later = self.clock.now() + Duration::from_millis(ms);
                    self.hold_up(later);
                }
                Event::Step(ms) => self.clock.step_wall(ms * 1_000_000),
            }
        }
        let since = self.clock.now().saturating_duration_since(self.start);
        let begun = since.as_nanos() / self.profile.period().as_nanos();
        self.run_windows(begun as u32 + 3);
    }
}

/// What was sent is in the windows: received, lost, or dropped by the reflector.
fn check_conserved(pair: &Pair) {
    for (index, seen) in pair.observations.iter().enumerate() {
        let of_window = pair.truth.values().filter(|truth| truth.window == index as u64);
        let sent = of_window.clone().count() as u32;
        assert_eq!(seen.counts.sent() + seen.reflector_drops, sent, "window {index}");
        assert_eq!(seen.sequences, sent, "window {index}");
        let received = of_window.filter(|truth| truth.answered > 0).count() as u32;
        assert!(seen.counts.received() <= received, "window {index}");
    }
}

fn check_windows(pair: &Pair) {
    let path = PathKey {
        link: Link::new(LinkKind::Wired, "eth0").unwrap(),
        family: AddressFamily::Ipv4,
        target: TargetName::new("reflector.example:862").unwrap(),
        class: TrafficClass::Audio,
        profile: ProfileName::new("audio-50").unwrap(),
        transport: Transport::Udp,
    };
    for seen in &pair.observations {
        Window::new(seen.clone().into_parts(path.clone(), 50_000)).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn counts_add_up_whatever_the_network_does(
        up in any_impairment(),
        down in any_impairment(),
        seed in any::<u64>(),
        kind in any_kind(),
        events in prop::collection::vec(any_event(), 0..4),
    ) {
        let mut pair = kind.pair([up, down], seed);
        pair.run_through(events);
        pair.check_counts();
        check_conserved(&pair);
        check_windows(&pair);
    }

    #[test]
    fn no_direction_is_named_falsely_where_requests_are_not_duplicated(
        mut up in any_impairment(),
        down in any_impairment(),
        seed in any::<u64>(),
        kind in any_kind(),
        events in prop::collection::vec(any_event(), 0..3),
        first_counter in any_counter(),
    ) {
        up.duplicate = 0.0;
        let mut pair = kind.pair([up, down], seed);
        if kind.protection.is_none() {
            pair.rewrite = Box::new(move |packet| {
                rewrite_counter(packet, |reply| reply.sequence.wrapping_add(first_counter));
            });
        }
        pair.run_through(events);
        pair.check_counts();
        prop_assume!(pair.restarts_show());
        // A request that overtakes further than any that was seen to can still be misread.
        let slack = if up.order == Order::Free { 3 } else { 0 };
        pair.check_never_false(slack);
    }

    /// With one cause of loss at a time nothing is given to another, and where answers come often
    /// enough everything has its name.
    #[test]
    fn each_cause_alone_is_named_exactly(
        loss in any_loss(),
        cause in 0..3usize,
        seed in any::<u64>(),
        kind in any_kind(),
    ) {
        let links = match cause {
            0 => [lossy(loss), clean()],
            1 => [clean(), lossy(loss)],
            _ => [clean(), clean()],
        };
        let mut pair = kind.pair(links, seed);
        if cause == 2 {
            pair.refuse = Box::new(move |sequence| (u64::from(sequence) ^ seed) % 11 == 0);
        }
        pair.run_windows(3);
        for index in 0..3 {
            let (seen, lost) = (&pair.observations[index], pair.lost(index));
            let counts = &seen.counts;
            let told = [counts.lost_up(), counts.lost_down(), seen.reflector_drops];
            let really = [lost.up, lost.down, pair.dropped(index)];
            let other = told.iter().zip(really).any(|(&told, really)| told > really);
            prop_assert!(!other, "told {told:?}, really {really:?}");
            let total = told.iter().sum::<u32>() + counts.lost_unknown();
            prop_assert_eq!(total, really.iter().sum::<u32>());
            // The very first answers have nothing before them to compare with.
            let often = kind.profile.rate() >= 50 && !matches!(loss, Loss::GilbertElliott { .. });
            prop_assert!(index == 0 || !often || told == really, "told {told:?}, really {really:?}");
        }
    }

    #[test]
    fn what_our_own_queue_dropped_leaves_the_counts_and_never_more(
        down in any_loss(),
        seed in any::<u64>(),
        drops in prop::collection::vec((0..15_000u64, 1..30u32), 1..6),
    ) {
        let mut pair = Pair::new(continuous(), clean(), lossy(down), seed);
        let mut drops = drops;
        drops.sort_unstable();
        let mut total = 0;
        for (at_ms, more) in drops {
            pair.run_until(Duration::from_millis(at_ms));
            total += more;
            pair.sender.handle_queue_drops(total);
        }
        pair.run_windows(2);
        pair.check_counts();
        let (seen, lost) = (&pair.observations[0], pair.lost(0));
        let excused = total.min(lost.up + lost.down);
        prop_assert_eq!(seen.receive_queue_drops, total);
        prop_assert_eq!(seen.counts.sent(), 750 - excused);
        prop_assert_eq!(seen.counts.lost(), lost.down - excused);
    }

    #[test]
    fn garbage_and_replays_never_count_as_received(
        seed in any::<u64>(),
        garbage in prop::collection::vec(
            (any::<prop::sample::Index>(), 0..120usize, any::<u8>(), 0..120usize), 1..60,
        ),
    ) {
        let mut pair = Pair::new(continuous(), lossy(Loss::Random(0.1)), clean(), seed);
        pair.run_until(Duration::from_secs(3));
        let before = pair.sender.stats().accepted;
        for (which, at, flip, cut) in garbage {
            let mut packet = pair.heard[which.index(pair.heard.len())].clone();
            if let Some(octet) = packet.bytes.get_mut(at) {
                *octet ^= flip;
            }
            packet.bytes.truncate(117 - cut.min(117));
            pair.hear(&packet);
            let request = harness::datagram(&packet, harness::AGENT, 0);
            let reply = pair.reflector.handle(&request, pair.far.now());
            prop_assert!(reply.is_none() || packet.bytes.len() >= 44);
        }
        prop_assert_eq!(pair.sender.stats().accepted, before);
        pair.run_windows(2);
        pair.check_counts();
        prop_assert_eq!(pair.observations[0].counts.lost(), pair.lost(0).up + pair.lost(0).down);
    }
}
