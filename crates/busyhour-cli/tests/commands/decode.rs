//! `decode`: octets from every source, explained, and what it ends with.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use crate::{busyhour, check_snapshot, stderr, stdout};

/// A reply with Class of Service and Timestamp Information, exchanged by two other implementations.
const REPLY: &str = "00000001ee6d329dae2f84b90001002aee6d329dae13915f00000000ee6d329dae04bab6\
    000100004000000000040004bae890000003000401020102";
/// A sealed request of the same two, and its key.
const SEALED: &str = "00000000000000000000000000000000ee6d329f014afa010001002a0000000000000000\
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    0000000000000000000000000000000062c721b7528f87c402f959b4f565b579";
const KEY: &str = "interop-test-key-2026\n";

fn capture(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/commands/captures");
    folder.join(name).to_str().unwrap().to_owned()
}

fn items(arguments: &[&str]) -> Vec<Value> {
    let output = busyhour(arguments).args(["-o", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(answer["schema_version"], 1);
    answer["items"].as_array().unwrap().clone()
}

#[test]
fn a_packet_is_told_field_by_field() {
    let output = busyhour(&["decode", REPLY]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    check_snapshot("table-decode", &stdout(&output));
}

#[test]
fn digits_are_taken_as_they_come() {
    let expected = items(&["decode", REPLY]);
    let pairs: Vec<&str> = (0..REPLY.len()).step_by(2).map(|at| &REPLY[at..at + 2]).collect();
    for spelled in [pairs.join(":"), pairs.join(" "), format!("0x{}", pairs.join(" 0X"))] {
        assert_eq!(items(&["decode", &spelled]), expected, "{spelled}");
    }
    let mut arguments = vec!["decode"];
    arguments.extend(&pairs);
    assert_eq!(items(&arguments), expected, "one argument an octet");

    let mut child = busyhour(&["decode", "-", "-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(pairs.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(answer["items"], Value::from(expected.clone()));

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("packet.bin");
    let octets: Vec<u8> = pairs.iter().map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    std::fs::write(&file, octets).unwrap();
    assert_eq!(items(&["decode", "--file", file.to_str().unwrap()]), expected);
}

#[test]
fn a_key_file_verifies_and_its_secret_is_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("session.key");
    std::fs::write(&file, KEY).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let note = |arguments: &[&str]| {
        let items = items(arguments);
        let hmac = items.iter().find(|item| item["field"] == "HMAC").unwrap();
        assert!(!format!("{items:?}").contains("interop"));
        hmac["note"].as_str().unwrap().to_owned()
    };
    assert_eq!(note(&["decode", SEALED]), "not checked: no key");
    let key = file.to_str().unwrap();
    assert_eq!(note(&["decode", SEALED, "--key-file", key]), "verified");
    let digits: String = KEY.trim().bytes().map(|octet| format!("{octet:02x}")).collect();
    std::fs::write(&file, format!("hex:{digits}\n")).unwrap();
    assert_eq!(note(&["decode", SEALED, "--key-file", key]), "verified");
    std::fs::write(&file, "another").unwrap();
    assert_eq!(note(&["decode", SEALED, "--key-file", key]), "does NOT verify with this key");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let output = busyhour(&["decode", SEALED, "--key-file", key]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "a key that others may read is refused");
}

#[test]
fn what_is_told_wins_over_the_guess() {
    let all = |arguments: &[&str], key: &str, expected: &str| {
        for item in items(arguments) {
            assert_eq!(item[key], expected);
        }
    };
    all(&["decode", REPLY], "kind", "reflector");
    all(&["decode", REPLY, "--as", "sender"], "kind", "sender");
    all(&["decode", SEALED], "mode", "authenticated");
    all(&["decode", SEALED, "--mode", "open"], "mode", "open");
    let output = busyhour(&["decode", REPLY, "--as", "stun"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("magic cookie"), "{}", stderr(&output));
}

/// Written by text2pcap and mergecap: a request, a STUN answer, chance from port 53, and TCP; and as
/// pcapng a request over IPv4 and a reply over IPv6.
#[test]
fn a_capture_is_read_whatever_its_format_and_what_is_no_packet_of_ours_is_counted() {
    let pcap = capture("mixed.pcap");
    let packets = |arguments: &[&str]| {
        let mut found: Vec<(u64, String, String)> = Vec::new();
        for item in items(arguments) {
            let text = |key: &str| item[key].as_str().unwrap().to_owned();
            found.push((item["packet"].as_u64().unwrap(), text("kind"), text("from")));
        }
        found.dedup();
        found
    };
    let named = |number: u64, kind: &str, from: &str| (number, kind.to_owned(), from.to_owned());
    let request = named(1, "sender", "192.0.2.1:50000");
    let answer = named(2, "stun", "198.51.100.9:3478");
    assert_eq!(packets(&["decode", "--pcap", &pcap]), [request.clone(), answer]);
    let alone = std::slice::from_ref(&request);
    assert_eq!(packets(&["decode", "--pcap", &pcap, "-n", "1"]), alone);
    assert_eq!(packets(&["decode", "--pcap", &pcap, "--port", "862"]), alone);
    let chance = named(3, "sender", "198.51.100.9:53");
    assert_eq!(packets(&["decode", "--pcap", &pcap, "--port", "53"]), [chance]);
    let output = busyhour(&["decode", "--pcap", &pcap]).output().unwrap();
    assert!(
        stderr(&output).contains("0 beyond the limit, 1 of another kind, 1 other frames"),
        "{}",
        stderr(&output)
    );
    let reply = named(2, "reflector", "[2001:db8::9]:862");
    assert_eq!(packets(&["decode", "--pcap", &capture("mixed.pcapng")]), [request, reply]);
}

#[test]
fn what_a_cut_capture_holds_is_told_before_its_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cut.pcap");
    let whole = std::fs::read(capture("mixed.pcap")).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 10]).unwrap();
    let output = busyhour(&["decode", "--pcap", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("Binding success response"), "{}", stdout(&output));
    assert!(stderr(&output).contains("1 of another kind"), "{}", stderr(&output));
    assert!(stderr(&output).contains("the capture ends within frame 4"), "{}", stderr(&output));
}

#[test]
fn what_cannot_be_decoded_ends_with_1_and_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let written = |name: &str, octets: &[u8]| {
        let file = directory.path().join(name);
        std::fs::write(&file, octets).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let whole = std::fs::read(capture("mixed.pcap")).unwrap();
    let cut = written("cut.pcap", &whole[..60]);
    let empty = written("empty.pcap", &whole[..24]);
    let text = written("text.pcap", b"no capture at all, but long enough");
    let nothing = written("nothing.bin", b"");
    let large = written("large.bin", &[0; 65_536]);
    for (arguments, expected) in [
        (vec!["decode", "0011"], "2 octets are fewer than the 14"),
        (vec!["decode", "--file", &nothing], "0 octets are fewer than the 14"),
        (vec!["decode", "--file", &large], "is it a capture"),
        (vec!["decode", "--file", "/nowhere"], "read the packet /nowhere"),
        (vec!["decode", "--pcap", &cut], "the capture ends within frame 1"),
        (vec!["decode", "--pcap", &empty], "nothing to explain"),
        (vec!["decode", "--pcap", &text], "neither pcap nor pcapng"),
    ] {
        let output = busyhour(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(stdout(&output).is_empty());
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
    }
    for arguments in [
        vec!["decode"],
        vec!["decode", "0"],
        vec!["decode", "xyz1"],
        vec!["decode", REPLY, "--pcap", &cut],
        vec!["decode", REPLY, "--port", "862"],
        vec!["decode", REPLY, "--as", "rtp"],
        vec!["decode", REPLY, "--mode", "sealed"],
    ] {
        let output = busyhour(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
