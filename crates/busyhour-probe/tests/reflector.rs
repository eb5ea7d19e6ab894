//! The reflector alone.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use busyhour_model::TimestampMethod;
use busyhour_probe::{Datagram, MAX_REQUEST, Reflector, ReflectorConfig};
use busyhour_wire::{
    BASE_LEN, ErrorEstimate, ReflectorPacket, SenderPacket, TimestampFormat, WireTimestamp,
};

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
    Datagram { bytes, from, at_ns: RECEIVED_NS, method, tos, ttl: Some(61) }
}

fn port(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], port))
}

/// The counter of the answer to a request.
fn counter(reflector: &mut Reflector, from: SocketAddr, ssid: u16, now: Instant) -> u32 {
    let bytes = request(900, ssid, &[]);
    let reply = reflector.handle(&datagram(&bytes, from, None), now).unwrap();
    ReflectorPacket::parse(reply.bytes()).unwrap().0.sequence
}

#[test]
fn an_answer_repeats_the_request_and_adds_its_own() {
    let mut reflector = Reflector::new(ReflectorConfig::default());
    let bytes = request(16, 0xbeef, &[9; 3]);
    let mut reply =
        reflector.handle(&datagram(&bytes, port(1), Some(0xb8)), Instant::now()).unwrap();
    reply.stamp_transmit(RECEIVED_NS + 5_000);
    assert_eq!(reply.to(), port(1));
    assert_eq!(reply.tos(), 0xb8, "without a wish it is marked like the request");
    let (answer, tail) = ReflectorPacket::parse(reply.bytes()).unwrap();
    let asked = SenderPacket::parse(&bytes).unwrap().0;
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
    assert_eq!(reply.bytes()[BASE_LEN..], [0, 4, 0, 4, 46 << 2, 8 << 4 | 1 << 2, 0, 0]);
    // A socket that cannot tell leaves the TLV as one it does not know.
    let reply = reflector.handle(&datagram(&bytes, port(1), None), Instant::now()).unwrap();
    assert_eq!(reply.tos(), 0);
    assert_eq!(reply.bytes()[BASE_LEN..], tlv);
}

#[test]
fn no_answer_is_longer_than_its_request_and_what_is_none_is_counted() {
    let mut reflector = Reflector::new(ReflectorConfig::default());
    let bytes = request(16, 1, &[0; MAX_REQUEST]);
    for len in 0..=bytes.len() {
        let reply = reflector.handle(&datagram(&bytes[..len], port(1), Some(0)), Instant::now());
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
    assert_eq!(counter(&mut reflector, port(1), 1, now), 0);
    assert_eq!(counter(&mut reflector, port(2), 1, now), 0);
    for stranger in 3..100 {
        assert_eq!(counter(&mut reflector, port(stranger), 1, now), 900, "copies the number");
    }
    assert_eq!(counter(&mut reflector, port(1), 1, now), 1);
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
