//! scapy's STAMP layer at either end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use e2e::wait_for;
use serde_json::{Value, json};

use crate::harness::{Reflector, measure_once, scapy};

const COS: u64 = 4;
const HMAC: u64 = 8;
const EF: u64 = 46;
/// The U flag.
const UNRECOGNIZED: u64 = 0x80;
/// The I flag.
const INTEGRITY: u64 = 0x20;

/// A request as `sender.py` takes it.
fn request(seq: u32, tlvs: &Value) -> Value {
    json!({
        "seq": seq, "ssid": 4_711, "z": 0, "scale": 20, "multiplier": 3, "tos": EF << 2,
        "timestamp": "ee6d329f014afa01", "tlvs": tlvs, "key": "",
    })
}

/// What our reflector answers to requests of scapy's.
fn ask(reflector: SocketAddr, requests: &[Value]) -> Option<Vec<Value>> {
    let mut command = scapy("sender.py")?;
    command.args([reflector.ip().to_string(), reflector.port().to_string()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let text = serde_json::to_string(requests).unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the sender ends in order");
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), requests.len());
    Some(answers)
}

fn tlv(answer: &Value, kind: u64) -> &Value {
    let tlvs = answer["tlvs"].as_array().unwrap();
    let tlv = tlvs.iter().find(|tlv| tlv["type"] == kind);
    tlv.unwrap_or_else(|| panic!("no TLV {kind} in {answer}"))
}

fn flags(answer: &Value, kind: u64) -> u64 {
    tlv(answer, kind)["flags"].as_u64().unwrap()
}

#[test]
fn our_reflector_answers_scapys_base_packets_field_by_field() {
    let reflector = Reflector::start();
    let requests = [7, 8, 9].map(|seq| request(seq, &json!([])));
    let Some(answers) = ask(reflector.address, &requests) else { return };
    for (counter, (answer, request)) in answers.iter().zip(&requests).enumerate() {
        assert_eq!(answer["length"], 44, "as long as the request: {answer}");
        assert_eq!(answer["seq"], counter, "a stateful reflector counts from 0");
        assert_eq!(answer["seq_sender"], request["seq"]);
        assert_eq!(answer["ssid"], request["ssid"]);
        assert_eq!(answer["sender_timestamp"], request["timestamp"]);
        for field in ["z", "scale", "multiplier"] {
            assert_eq!(answer["sender_estimate"][field], request[field], "{field} is copied");
        }
        assert_eq!(answer["zeros"], json!([0, 0]));
        assert_eq!(answer["tos"], EF << 2, "marked as the request was");
        assert!(answer["ttl_sender"].as_u64() > Some(0), "loopback's time to live: {answer}");
        assert_eq!(answer["estimate"]["z"], 0, "NTP unless told otherwise");
        assert!(answer["estimate"]["multiplier"].as_u64() > Some(0), "zero is invalid");
        let [received, sent] = ["received", "sent"].map(|field| time(answer, field));
        assert!(0 < received && received <= sent, "{answer}");
    }
}

#[test]
fn our_reflector_clears_u_on_what_it_understands_of_scapys_tlvs_and_only_there() {
    let reflector = Reflector::start();
    let tlvs = json!([
        {"type": COS, "value": "b8000000"},
        {"type": 1, "value": "00".repeat(20)},
        {"type": 200, "value": "0102030405"},
    ]);
    let Some(answers) = ask(reflector.address, &[request(1, &tlvs)]) else { return };
    let answer = &answers[0];
    assert_eq!(answer["length"], 44 + 8 + 24 + 9);
    assert_eq!((flags(answer, COS), flags(answer, 1)), (0, 0));
    assert_eq!(flags(answer, 200), UNRECOGNIZED, "nobody knows this type");
    let value = |at: usize| answer["tlvs"][at]["value"].as_str().unwrap();
    // DSCP1 46 as asked, DSCP2 46 as received, no ECN, nothing refused.
    assert!(value(0).starts_with("bae0"), "{answer}");
    assert_eq!(value(2), "0102030405", "what is not understood comes back as it went");
}

#[test]
fn our_reflector_reads_scapys_ptp_timestamps_by_their_own_error_estimate() {
    let reflector = Reflector::start();
    let mut ptp = request(3, &json!([]));
    ptp["z"] = 1.into();
    let Some(answers) = ask(reflector.address, &[ptp]) else { return };
    let answer = &answers[0];
    assert_eq!(answer["sender_estimate"]["z"], 1, "the sender's format is its own business");
    assert_eq!(answer["estimate"]["z"], 0, "and the reflector's is the reflector's");
    assert_eq!(answer["sender_timestamp"], "ee6d329f014afa01");
}

/// A timestamp as it lies in the answer.
fn time(answer: &Value, field: &str) -> u64 {
    u64::from_str_radix(answer[field].as_str().unwrap(), 16).unwrap()
}

/// A TLV's value as numbers of four octets.
fn words(answer: &Value, kind: u64) -> Vec<u64> {
    let value = tlv(answer, kind)["value"].as_str().unwrap();
    let words = value.as_bytes().chunks(8);
    words.map(|word| u64::from_str_radix(str::from_utf8(word).unwrap(), 16).unwrap()).collect()
}

#[test]
fn our_reflector_fills_in_counters_times_methods_and_ports_that_scapy_asks_for() {
    let (location, information, counters, follow_up) = (2, 3, 5, 7);
    let reflector = Reflector::start();
    let request = |seq: u32| {
        let tlvs = json!([
            {"type": location, "value": "00000000"},
            {"type": information, "value": "00000000"},
            {"type": counters, "value": format!("{:08x}0000000000000000", seq + 1)},
            {"type": follow_up, "value": "00".repeat(16)},
        ]);
        request(seq, &tlvs)
    };
    let Some(answers) = ask(reflector.address, &[request(0), request(1), request(2)]) else {
        return;
    };
    for (at, answer) in answers.iter().enumerate() {
        for kind in [location, information, counters, follow_up] {
            assert_eq!(tlv(answer, kind)["flags"], 0, "{kind} is understood: {answer}");
        }
        let ports = words(answer, location)[0];
        let port = answer["port"].as_u64().unwrap();
        assert_eq!((ports >> 16, ports & 0xffff), (u64::from(reflector.address.port()), port));
        // Software, at the host itself, both when receiving and when sending (RFC 8972 table 9).
        let methods = words(answer, information)[0];
        assert_eq!((methods >> 16 & 0xff, methods & 0xff), (2, 2), "{methods:08x}");
        let count = at as u64 + 1;
        assert_eq!(words(answer, counters), [count, count, count], "sent, received, answered");
        let follow_up = words(answer, follow_up);
        if at == 0 {
            assert_eq!(follow_up[..3], [0, 0, 0], "there is nothing to follow up yet");
            continue;
        }
        let previous = time(&answers[at - 1], "sent");
        let corrected = follow_up[1] << 32 | follow_up[2];
        assert_eq!(follow_up[0], at as u64 - 1, "the number of the answer before");
        assert!(previous <= corrected, "it left after it was written: {previous:x} {corrected:x}");
        assert!(corrected < time(answer, "received"), "and before the next request came");
    }
}

#[test]
fn our_reflector_verifies_and_answers_an_hmac_that_python_made_and_flags_a_wrong_one() {
    let reflector = Reflector::with_key("interop-test-key-2026\n");
    let keyed = |seq, key: &str| {
        let mut request = request(seq, &json!([{"type": COS, "value": "b8000000"}]));
        request["key"] = key.into();
        request
    };
    let requests = [keyed(1, "interop-test-key-2026"), keyed(2, "another key")];
    let Some(answers) = ask(reflector.address, &requests) else { return };
    assert_eq!((flags(&answers[0], COS), flags(&answers[0], HMAC)), (0, 0), "{}", answers[0]);
    assert_eq!(answers[0]["hmac_holds"], true);
    for kind in [COS, HMAC] {
        assert!(flags(&answers[1], kind) & INTEGRITY != 0, "{}", answers[1]);
    }
    assert_eq!(
        tlv(&answers[1], COS)["value"],
        "b8000000",
        "unverified TLVs come back as they went"
    );
}

/// An authenticated request that was captured between two implementations that are not ours; the key is
/// the text `interop-test-key-2026`.
const AUTHENTICATED: &str = "00000000000000000000000000000000ee6d329f014afa010001002a00000000\
    0000000000000000000000000000000000000000000000000000000000000000\
    0000000000000000000000000000000000000000000000000000000000000000\
    62c721b7528f87c402f959b4f565b579";

#[test]
fn our_reflector_answers_the_authenticated_vector_with_an_hmac_that_python_verifies() {
    let reflector = Reflector::with_key("interop-test-key-2026\n");
    let vector = json!({"raw": AUTHENTICATED, "key": "interop-test-key-2026", "tos": 0});
    let Some(answers) = ask(reflector.address, &[vector]) else { return };
    assert_eq!(answers[0]["hmac_holds"], true, "{}", answers[0]);
    let answer = answers[0]["raw"].as_str().unwrap();
    let octets = |range: std::ops::Range<usize>| &answer[2 * range.start..2 * range.end];
    assert_eq!(answer.len(), AUTHENTICATED.len(), "as long as the request");
    assert_eq!(octets(0..4), "00000000", "its own counter");
    assert_eq!(octets(26..28), "002a", "the session identifier");
    assert_eq!(octets(48..52), "00000000", "the sender's number");
    assert_eq!(octets(64..74), "ee6d329f014afa010001", "the sender's time and its estimate");
    for zeros in [4..16, 28..32, 40..48, 52..64, 74..80, 81..96] {
        assert!(octets(zeros.clone()).bytes().all(|digit| digit == b'0'), "{zeros:?} of {answer}");
    }
}

/// A reflector of scapy's with a quirk, and what it says it did.
struct ScapyReflector {
    child: Child,
    address: SocketAddr,
    fates: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl ScapyReflector {
    fn start(arguments: [&str; 4]) -> Option<Self> {
        let mut command: Command = scapy("reflector.py")?;
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let port = u16::try_from(first["port"].as_u64().unwrap()).unwrap();
        let fates = Arc::new(Mutex::new(Vec::new()));
        let known = Arc::clone(&fates);
        let reader = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                known.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Some(Self { child, address, fates, reader: Some(reader) })
    }

    /// How many of the first `requests` it dropped as requests and as answers, once it has told.
    fn dropped(&self, requests: u64) -> [u64; 2] {
        let requests = usize::try_from(requests).unwrap();
        wait_for("the reflector to take all requests", || {
            let fates = self.fates.lock().unwrap();
            let count = |fate| fates[..requests].iter().filter(|&of| of == fate).count() as u64;
            (fates.len() >= requests).then(|| ["dropped_up", "dropped_down"].map(count))
        })
    }
}

impl Drop for ScapyReflector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

/// Measures to a reflector with a quirk that drops every 9th request and every 7th answer. Returns the
/// window, the losses up, down and without a direction in it, and what the reflector dropped.
fn measure(arguments: [&str; 2], peer: &str) -> Option<(Value, [u64; 3], [u64; 2])> {
    let reflector = ScapyReflector::start([arguments[0], arguments[1], "9", "7"])?;
    let window = measure_once(reflector.address, peer);
    let number = |field: &str| window[field].as_u64().unwrap_or_else(|| panic!("{window}"));
    let dropped = reflector.dropped(number("sent"));
    let lost = ["lost_up", "lost_down", "lost_unknown"].map(number);
    println!("{arguments:?}: lost {lost:?}, dropped {dropped:?}, {window}");
    assert_eq!(number("received") + lost.iter().sum::<u64>(), number("sent"));
    assert!(window["rtt_us"]["p50"].is_u64());
    Some((window, lost, dropped))
}

/// Every loss is found, and given its direction; but behind the last answer nobody can tell.
fn check_directions([up, down, unknown]: [u64; 3], dropped: [u64; 2]) {
    assert!(up > 10 && down > 10, "up {up} down {down}");
    assert_eq!(up + down + unknown, dropped[0] + dropped[1], "all losses, and no others");
    assert!(up <= dropped[0] && down <= dropped[1], "no direction is made up");
    assert!(unknown <= 3, "{unknown} losses have no direction");
}

#[test]
fn the_agent_tells_directions_apart_whether_a_reflector_counts_from_zero_or_from_one() {
    for first in ["0", "1", "4294967200"] {
        let Some((window, lost, dropped)) = measure([first, "understood"], "stamp") else { return };
        check_directions(lost, dropped);
        assert_eq!(window["dscp_up"], EF, "{first}: the TLV is read");
        assert_eq!(window["peer_tlvs"], true, "{first}");
    }
}

#[test]
fn the_agent_measures_to_a_reflector_that_takes_its_tlvs_for_padding() {
    let Some((window, lost, dropped)) = measure(["0", "untouched"], "stamp") else { return };
    check_directions(lost, dropped);
    assert!(window["dscp_up"].is_null(), "what nobody wrote is not read: {window}");
    assert_eq!(window["dscp_down"], EF, "the IP header still tells the way back");
    assert_eq!(window["peer_tlvs"], false, "U is still set on all of them");
}

#[test]
fn the_agent_names_no_direction_with_a_stateless_reflector() {
    let Some((_, lost, dropped)) = measure(["copy", "understood"], "stamp") else { return };
    assert!(dropped[0] > 10 && dropped[1] > 10);
    assert_eq!(lost, [0, 0, dropped[0] + dropped[1]]);
}

#[test]
fn the_agent_measures_to_a_twamp_light_reflector_that_answers_base_packets_without_a_session() {
    for (answers, peer) in [("cut", "twamp-light"), ("cut", "stamp"), ("bare", "twamp-light")] {
        let Some((window, lost, dropped)) = measure(["0", answers], peer) else { return };
        check_directions(lost, dropped);
        assert!(window["dscp_up"].is_null() && window["dscp_down"] == EF, "{answers}: {window}");
        assert_eq!(window["peer_tlvs"], false, "{answers}: {window}");
    }
}
