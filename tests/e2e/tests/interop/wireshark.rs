//! Wireshark's dissector on captured packets.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use e2e::have;
use tempfile::TempDir;

use crate::harness::{Reflector, Relay, Seen, loopback, measure_once};

/// The numbers that Wireshark reads of a test packet, with the octets of unauthenticated packets that
/// they lie in (RFC 8762 sections 4.2.1 and 4.3.1).
const NUMBERS: [(&str, Range<usize>); 6] = [
    ("twamp.test.seq_number", 0..4),
    ("twamp.test.error_estimate", 12..14),
    ("twamp.test.sender_seq_number", 24..28),
    ("twamp.test.sender_error_estimate", 36..38),
    ("twamp.test.sender_ttl", 40..41),
    ("twamp.test.mbz2", 38..40),
];
/// The moments, likewise.
const MOMENTS: [(&str, Range<usize>); 3] = [
    ("twamp.test.timestamp", 4..12),
    ("twamp.test.receive_timestamp", 16..24),
    ("twamp.test.sender_timestamp", 28..36),
];
/// Tells requests from replies.
const SOURCE_PORT: &str = "udp.srcport";
/// The link type of a capture that holds IP packets and nothing around them.
const RAW_IP: u32 = 101;

/// Writes a capture file (the classic format): requests go to port 862, replies come from there.
fn write_capture(file: &Path, packets: &[Seen]) {
    let mut out = Vec::new();
    for word in [0xa1b2_c3d4, 2 << 16 | 4, 0, 0, 65_535, RAW_IP] {
        out.extend_from_slice(&u32::to_be_bytes(word));
    }
    for (number, packet) in packets.iter().enumerate() {
        let ip = ip_packet(packet);
        let length = u32::try_from(ip.len()).unwrap();
        for word in [1_790_000_000, u32::try_from(number).unwrap(), length, length] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out.extend_from_slice(&ip);
    }
    fs::write(file, out).unwrap();
}

/// An IPv4 packet around a payload, between addresses of the ranges for documentation.
fn ip_packet(packet: &Seen) -> Vec<u8> {
    let (agent, reflector) = ([192, 0, 2, 2], [198, 51, 100, 2]);
    let (from, to) = if packet.request { (agent, reflector) } else { (reflector, agent) };
    let (from_port, to_port): (u16, u16) =
        if packet.request { (50_000, 862) } else { (862, 50_000) };
    let udp_length = u16::try_from(8 + packet.bytes.len()).unwrap();
    let mut ip = vec![0x45, 0xb8];
    ip.extend_from_slice(&(20 + udp_length).to_be_bytes());
    ip.extend_from_slice(&[0, 0, 0x40, 0, 64, 17, 0, 0]);
    ip.extend_from_slice(&from);
    ip.extend_from_slice(&to);
    for word in [from_port, to_port, udp_length, 0] {
        ip.extend_from_slice(&word.to_be_bytes());
    }
    ip.extend_from_slice(&packet.bytes);
    ip
}

/// What Wireshark reads of each packet: each field with its text.
fn dissect(file: &Path) -> Vec<HashMap<&'static str, String>> {
    let fields = NUMBERS.iter().chain(&MOMENTS).map(|(name, _)| *name);
    let fields: Vec<&str> = fields.chain([SOURCE_PORT]).collect();
    let mut command = Command::new("tshark");
    command.args(["-n", "-d", "udp.port==862,twamp.test", "-T", "fields", "-E", "separator=|"]);
    command.args(fields.iter().flat_map(|field| ["-e", field])).arg("-r").arg(file);
    let output = command.env("TZ", "UTC").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line =
        |line: &str| fields.iter().copied().zip(line.split('|').map(str::to_owned)).collect();
    text.lines().map(line).collect()
}

fn number_at(bytes: &[u8], octets: &Range<usize>) -> u64 {
    bytes[octets.clone()].iter().fold(0, |number, &octet| number << 8 | u64::from(octet))
}

/// Seconds and nanoseconds of an NTP timestamp as Wireshark prints a moment of the epoch: only the time
/// of day is compared, the date is the same for all.
fn time_of_day(bytes: &[u8], octets: &Range<usize>) -> String {
    let at = number_at(bytes, octets);
    // 1900-01-01 began at midnight, and so did each day since: NTP knows no leap seconds.
    let (seconds, fraction) = ((at >> 32) % 86_400, at & 0xffff_ffff);
    let nanos = (u128::from(fraction) * 1_000_000_000) >> 32;
    format!("{:02}:{:02}:{:02}.{nanos:09}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Lets Wireshark read packets of unauthenticated mode with NTP timestamps, and compares each field.
fn check_dissection(packets: &[Seen]) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("exchange.pcap");
    write_capture(&file, packets);
    let dissected = dissect(&file);
    assert_eq!(dissected.len(), packets.len());
    for (read, packet) in dissected.iter().zip(packets) {
        for (name, octets) in &NUMBERS {
            let text = &read[name];
            let hex = text.strip_prefix("0x").map(|hex| u64::from_str_radix(hex, 16));
            let number = hex.unwrap_or_else(|| text.parse()).unwrap();
            assert_eq!(number, number_at(&packet.bytes, octets), "{name} of {packet:02x?}");
        }
        for (name, octets) in &MOMENTS {
            // Of a request only the first is a time; the others are octets that must be zero.
            if *name == "twamp.test.timestamp" || !packet.request {
                let (found, at) = (&read[name], time_of_day(&packet.bytes, octets));
                assert!(found.contains(&at), "{name} is {found}, not {at}, of {packet:02x?}");
            }
        }
        let reply = read[SOURCE_PORT] == "862";
        assert_eq!(reply, !packet.request, "in the order in which they passed");
    }
}

#[test]
fn wireshark_reads_our_exchanges_as_we_do() {
    if !have("tshark") {
        return;
    }
    let reflector = Reflector::start();
    let relay = Relay::start(reflector.address);
    measure_once(relay.address, "stamp");
    let packets = relay.seen();
    check_dissection(&packets);
    let [request, reply] = [&packets[40], &packets[41]];
    assert!(request.request && !reply.request);
    assert_eq!(request.bytes.len(), 117, "the profile's 145-octet IPv4 packet");
    assert_eq!(reply.bytes.len(), request.bytes.len(), "an answer is as long as its request");
}

#[test]
fn wireshark_reads_the_exchange_vectors_and_our_reflector_answers_their_requests() {
    if !have("tshark") {
        return;
    }
    let packets = VECTORS.map(|(request, text)| Seen { request, bytes: octets(text) });
    check_dissection(&packets);

    let reflector = Reflector::start();
    let socket = loopback();
    for (counter, request) in packets.iter().filter(|packet| packet.request).enumerate() {
        socket.send_to(&request.bytes, reflector.address).unwrap();
        let mut buffer = [0; 4_096];
        let length = socket.recv(&mut buffer).unwrap();
        let (request, reply) = (&request.bytes, &buffer[..length]);
        assert_eq!(length, request.len());
        assert_eq!(number_at(reply, &(0..4)), counter as u64, "its own counter, from 0");
        assert_eq!(reply[14..16], request[14..16], "the session identifier");
        assert_eq!(reply[24..28], request[0..4], "the sender's number");
        assert_eq!(reply[28..38], request[4..14], "the sender's time and its estimate");
        check_dissection(&[Seen { request: false, bytes: reply.to_vec() }]);
    }
}

/// Two exchanges in unauthenticated mode, captured between two implementations that are not ours (one
/// of them counts from 1): requests and replies.
const VECTORS: [(bool, &str); 4] = [
    (
        true,
        "00000000ee6d329d0549d81d0001002a\
         00000000000000000000000000000000000000000000000000000000",
    ),
    (
        false,
        "00000001ee6d329d057629700001002aee6d329d055ecdd1\
         00000000ee6d329d0549d81d0001000040000000",
    ),
    (
        true,
        "00000000ee6d329dae04bab60001002a\
         00000000000000000000000000000000000000000000000000000000\
         80040004b80080008003000400000000",
    ),
    (
        false,
        "00000001ee6d329dae2f84b90001002aee6d329dae13915f\
         00000000ee6d329dae04bab6000100004000000000040004bae890000003000401020102",
    ),
];

fn octets(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2);
    digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}
