use busyhour_model::BootMicros;

use super::*;
use crate::{Datagram, Reflector, ReflectorConfig};

const WALL_NS: i64 = 1_790_000_000_000_000_000;

/// Five windows of which every seventh request and every eleventh answer is lost, with numbers that
/// begin at `first`: what was lost up and down of the windows in the middle, told and really.
fn run(first: u32) -> ([u32; 3], [u32; 2]) {
    let window = Duration::from_secs(2);
    let profile = Profile::audio().with_schedule(window, window).unwrap();
    let peer = "198.51.100.20:862".parse().unwrap();
    let start = Instant::now();
    let mut sender = Sender::new(SenderConfig::new(profile, peer, 7), start).unwrap();
    sender.next_sequence = first;
    let mut reflector = Reflector::new(ReflectorConfig::default());
    let (mut told, mut really) = ([0; 3], [0; 2]);
    for slot in 0..500_u32 {
        let at_ns = i64::from(slot) * 20_000_000;
        let monotonic = start + Duration::from_nanos(at_ns as u64);
        let now = ClockPair { monotonic, wall_ns: WALL_NS + at_ns, boot: BootMicros(0) };
        let request = sender.poll_transmit(now).unwrap().bytes.to_vec();
        let in_the_middle = (100..300).contains(&slot);
        let datagram = |bytes| Datagram {
            bytes,
            from: "192.0.2.10:50000".parse().unwrap(),
            to: None,
            at_ns: now.wall_ns,
            method: TimestampMethod::Kernel,
            tos: None,
            ttl: None,
        };
        if slot % 7 == 3 {
            really[0] += u32::from(in_the_middle);
            continue;
        }
        let mut reply = reflector.handle(&datagram(&request), monotonic).unwrap();
        reply.finish(now.wall_ns);
        if slot % 11 == 5 {
            really[1] += u32::from(in_the_middle);
            continue;
        }
        let answer = reply.bytes().to_vec();
        let answer = Datagram { from: peer, ..datagram(&answer) };
        assert_eq!(sender.handle_reply(&answer, now), ReplyOutcome::Accepted, "slot {slot}");
        while let Some(seen) = sender.poll_event(monotonic) {
            if seen.started.monotonic > start && seen.started.monotonic < start + window * 3 {
                let counts = &seen.counts;
                told[0] += counts.lost_up();
                told[1] += counts.lost_down();
                told[2] += counts.lost_unknown();
            }
        }
    }
    (told, really)
}

#[test]
fn numbers_wrap_around_without_a_trace() {
    let straight = run(FIRST_SEQUENCE);
    let ([up, down, unknown], really) = straight;
    assert_eq!(([up, down], unknown), (really, 0));
    assert!(up > 20 && down > 10);
    for before in [1, 30, 150, 250, 499] {
        assert_eq!(run(0_u32.wrapping_sub(before)), straight, "wraps after {before} packets");
    }
}
