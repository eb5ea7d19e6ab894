//! The reflector alone.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

#[path = "reflector/admission.rs"]
mod admission;
#[path = "reflector/keys.rs"]
mod keys;
#[path = "reflector/reports.rs"]
mod reports;
#[path = "reflector/support.rs"]
mod support;
#[path = "reflector/tlvs.rs"]
mod tlvs;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use busyhour_model::TimestampMethod;
use busyhour_probe::{Datagram, MAX_REQUEST, Reflector, ReflectorConfig};
use busyhour_wire::{
    BASE_LEN, ErrorEstimate, Mode, ReflectorPacket, SenderPacket, TimestampFormat, WireTimestamp,
};
use proptest::prelude::*;

const RECEIVED_NS: i64 = 1_790_000_000_000_000_001;

fn request(sequence: u32, ssid: u16, tail: &[u8]) -> Vec<u8> {
    let packet = SenderPacket {
        sequence,
        sent: WireTimestamp(0x1234_5678_9abc_def0),
        error_estimate: ErrorEstimate::new(true, TimestampFormat::Ptp, 20, 5),
        ssid,
    };
    let mut bytes = packet.to_bytes().to_vec();
    bytes.extend_from_slice(tail);
    bytes
}

fn datagram(bytes: &[u8], from: SocketAddr, tos: Option<u8>) -> Datagram<'_> {
    let method = TimestampMethod::Kernel;
    Datagram { bytes, from, to: None, at_ns: RECEIVED_NS, method, tos, ttl: Some(61) }
}

fn port(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], port))
}

/// The counter of the answer to a request.
fn counter(reflector: &mut Reflector, from: SocketAddr, ssid: u16, now: Instant) -> u32 {
    let bytes = request(900, ssid, &[]);
    let reply = reflector.handle(&datagram(&bytes, from, None), now).unwrap();
    ReflectorPacket::parse(Mode::Unauthenticated, reply.bytes()).unwrap().0.sequence
}

#[test]
fn an_answer_repeats_the_request_and_adds_its_own() {
    let mut reflector = Reflector::new(ReflectorConfig::default());
    let bytes = request(16, 0xbeef, &[9; 3]);
    let mut reply =
        reflector.handle(&datagram(&bytes, port(1), Some(0xb8)), Instant::now()).unwrap();
    reply.finish(RECEIVED_NS + 5_000);
    assert_eq!(reply.to(), port(1));
    assert_eq!(reply.tos(), 0xb8, "without a wish it is marked like the request");
    let (answer, tail) = ReflectorPacket::parse(Mode::Unauthenticated, reply.bytes()).unwrap();
    let asked = SenderPacket::parse(Mode::Unauthenticated, &bytes).unwrap().0;
    assert_eq!((answer.sequence, answer.sender_sequence, answer.ssid), (0, 16, 0xbeef));
    assert_eq!(answer.sender_sent, asked.sent);
    assert_eq!(answer.sender_error_estimate, asked.error_estimate);
    assert_eq!(answer.sender_ttl, 61);
    let format = answer.error_estimate.format();
    assert_eq!(answer.received.to_unix_ns(format), Some(RECEIVED_NS));
    assert_eq!(answer.sent.to_unix_ns(format), Some(RECEIVED_NS + 5_000));
    assert_eq!(tail, [9; 3]);
}

#[test]
fn an_answer_is_marked_as_asked_and_tells_what_arrived() {
    let mut reflector = Reflector::new(ReflectorConfig::default());
    let tlv = [0x80, 4, 0, 4, 46 << 2, 0, 0, 0];
    let bytes = request(16, 1, &tlv);
    let reply = reflector.handle(&datagram(&bytes, port(1), Some(8 << 2 | 1)), Instant::now());
    let reply = reply.unwrap();
    assert_eq!(reply.tos(), 46 << 2);
    assert_eq!(reply.bytes()[BASE_LEN..], [0, 4, 0, 4, 46 << 2, 8 << 4 | 1 << 2, 3 << 4, 0]);
    // A socket that cannot tell leaves the TLV as one it does not know.
    let reply = reflector.handle(&datagram(&bytes, port(1), None), Instant::now()).unwrap();
    assert_eq!(reply.tos(), 0);
    assert_eq!(reply.bytes()[BASE_LEN..], tlv);
}

#[test]
fn no_answer_is_longer_than_its_request_and_what_is_none_is_counted() {
    let mut reflector = Reflector::new(ReflectorConfig::default());
    let bytes = request(16, 1, &[0; MAX_REQUEST]);
    let start = Instant::now();
    for len in 0..=bytes.len() {
        let now = start + Duration::from_millis(len as u64);
        let reply = reflector.handle(&datagram(&bytes[..len], port(1), Some(0)), now);
        let expected = (BASE_LEN..=MAX_REQUEST).contains(&len).then_some(len);
        assert_eq!(reply.map(|reply| reply.bytes().len()), expected);
    }
    let stats = reflector.stats();
    assert_eq!((stats.dropped_short, stats.dropped_oversized), (44, 44));
    assert_eq!(stats.answered as usize, MAX_REQUEST - BASE_LEN + 1);
}

#[test]
fn each_session_has_its_own_counter() {
    let mut reflector = Reflector::new(ReflectorConfig::default());
    let now = Instant::now();
    let other: SocketAddr = "[2001:db8::7]:1".parse().unwrap();
    for expected in 0..3 {
        for (from, ssid) in [(port(1), 1), (port(1), 2), (port(2), 1), (other, 1)] {
            assert_eq!(counter(&mut reflector, from, ssid, now), expected, "{from} {ssid}");
        }
    }
    assert_eq!(reflector.sessions(), 4);
}

#[test]
fn a_full_table_answers_without_state_and_keeps_its_sessions() {
    let config = ReflectorConfig { max_sessions: 2, ..ReflectorConfig::default() };
    let mut reflector = Reflector::new(config);
    let now = Instant::now();
    for sequence in 16..18 {
        for from in [port(1), port(2)] {
            let bytes = request(sequence, 1, &[]);
            assert!(reflector.handle(&datagram(&bytes, from, None), now).is_some());
        }
    }
    for stranger in 3..100 {
        assert_eq!(counter(&mut reflector, port(stranger), 1, now), 900, "copies the number");
    }
    assert_eq!(counter(&mut reflector, port(1), 1, now), 2);
    assert_eq!((reflector.sessions(), reflector.stats().stateless), (2, 97));
}

#[test]
fn an_idle_session_is_forgotten_and_makes_room() {
    let config = ReflectorConfig { max_sessions: 1, ..ReflectorConfig::default() };
    let mut reflector = Reflector::new(config);
    let start = Instant::now();
    assert_eq!(counter(&mut reflector, port(1), 1, start), 0);
    let pause = start + Duration::from_secs(240);
    assert_eq!(counter(&mut reflector, port(1), 1, pause), 1, "the longest pause of a profile");
    let later = pause + Duration::from_secs(311);
    assert_eq!(counter(&mut reflector, port(2), 1, later), 0);
    assert_eq!(reflector.stats().sessions_evicted, 1);
}

#[test]
fn a_request_from_port_0_is_dropped_and_counted() {
    let mut reflector = Reflector::new(ReflectorConfig::default());
    let bytes = request(16, 1, &[]);
    assert!(reflector.handle(&datagram(&bytes, port(0), None), Instant::now()).is_none());
    assert_eq!((reflector.stats().dropped_portless, reflector.sessions()), (1, 0));
}

#[test]
fn an_answer_is_not_answered_but_any_padding_of_an_older_sender_is() {
    let mut reflector = Reflector::new(ReflectorConfig::default());
    let now = Instant::now();
    let mut answer = request(16, 1, &[]);
    for dwell in [0, 1, 60, 61, u32::MAX, u32::MAX - 59, u32::MAX - 60] {
        let received = 0x1234_5678_u32.wrapping_sub(dwell);
        answer[16..20].copy_from_slice(&received.to_be_bytes());
        let reply = reflector.handle(&datagram(&answer, port(1), None), now);
        let is_answer = matches!(dwell, 0 | 1 | 60 | u32::MAX) || dwell == u32::MAX - 59;
        assert_eq!(reply.is_none(), is_answer, "sent {dwell} s after it was received");
    }
    assert_eq!(reflector.stats().dropped_answers, 5);
    let answered = reflector.stats().answered;
    for pad in [0x00, 0x5a, 0xff] {
        let mut padded = request(16, 1, &[]);
        padded[14..].fill(pad);
        assert!(reflector.handle(&datagram(&padded, port(1), None), now).is_some(), "{pad:02x}");
    }
    // A sender without a clock is no reflector either.
    assert!(reflector.handle(&datagram(&[0; BASE_LEN], port(1), None), now).is_some());
    assert_eq!(reflector.stats().answered, answered + 4);
}

#[test]
fn a_session_faster_than_any_profile_is_slowed_down_and_hinders_no_other() {
    let mut reflector = Reflector::new(ReflectorConfig::default());
    let start = Instant::now();
    let bytes = request(16, 1, &[]);
    let mut answers = 0;
    for micros in (0..10_000_000).step_by(100) {
        let now = start + Duration::from_micros(micros);
        let reply = reflector.handle(&datagram(&bytes, port(1), None), now);
        if let Some(reply) = reply {
            let counter =
                ReflectorPacket::parse(Mode::Unauthenticated, reply.bytes()).unwrap().0.sequence;
            assert_eq!(counter, answers, "what is not answered is not counted");
            answers += 1;
        }
    }
    // One second's worth at once, then at the rate.
    assert!((21_999..=22_001).contains(&answers), "{answers}");
    assert_eq!(reflector.stats().dropped_rate, 100_000 - u64::from(answers));
    let now = start + Duration::from_secs(10);
    assert_eq!(counter(&mut reflector, port(2), 1, now), 0);
}

#[test]
fn what_has_no_session_is_limited_together() {
    let config = ReflectorConfig { max_sessions: 0, ..ReflectorConfig::default() };
    let mut reflector = Reflector::new(config);
    let (bytes, now) = (request(16, 1, &[]), Instant::now());
    for from in 1..=30_000 {
        reflector.handle(&datagram(&bytes, port(from), None), now);
    }
    let stats = reflector.stats();
    assert_eq!((stats.stateless, stats.dropped_rate), (20_000, 10_000));
}

/// What lies between the two reflectors of a loop, and how long each takes.
#[derive(Debug, Clone, Copy)]
struct Loop {
    clocks_ns: [i64; 2],
    travel: Duration,
    dwell: Duration,
}

fn any_loop() -> impl Strategy<Value = Loop> {
    let moment = 0..i64::from(u32::MAX) * 1_000_000_000;
    (moment.clone(), moment, 0..2_000u64, 0..5_000u64).prop_map(|(a, b, travel, dwell)| Loop {
        clocks_ns: [a, b],
        travel: Duration::from_millis(travel),
        dwell: Duration::from_millis(dwell),
    })
}

/// How many answers a first datagram causes; a hundred is "for ever".
fn answers_caused(first: &[u8], between: Loop) -> usize {
    let addresses = [port(862), SocketAddr::from(([198, 51, 100, 20], 862))];
    let mut reflectors = [(); 2].map(|()| Reflector::new(ReflectorConfig::default()));
    let start = Instant::now();
    let (mut elapsed, mut bytes) = (Duration::ZERO, first.to_vec());
    for answers in 0..100 {
        let at = answers % 2;
        let at_ns = between.clocks_ns[at] + elapsed.as_nanos() as i64;
        let seen = Datagram { at_ns, ..datagram(&bytes, addresses[1 - at], Some(0xb8)) };
        let Some(mut reply) = reflectors[at].handle(&seen, start + elapsed) else {
            return answers;
        };
        reply.finish(at_ns + between.dwell.as_nanos() as i64);
        bytes = reply.bytes().to_vec();
        elapsed += between.dwell + between.travel;
    }
    100
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn two_reflectors_set_upon_each_other_fall_silent(
        first in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..120),
            Just(vec![0; 60]),
            (any::<u32>(), any::<u16>()).prop_map(|(sequence, ssid)| request(sequence, ssid, &[])),
        ],
        between in any_loop(),
    ) {
        prop_assert!(answers_caused(&first, between) <= 1);
    }
}
