//! The tables of `docs/MEASURING.md` say what is so.

use std::net::SocketAddr;

use busyhour_model::Dscp;
use busyhour_probe::{PROFILES, Profile, Security, SenderConfig};
use busyhour_wire::{DIRECT_MEASUREMENT, FOLLOW_UP, Key, LOCATION, TIMESTAMP_INFORMATION, Tlvs};

use super::harness::session;
use super::protection::requests;

const MEASURING: &str = include_str!("../../../../docs/MEASURING.md");

fn is_documented(row: &str) {
    assert!(MEASURING.lines().any(|line| line.starts_with(row)), "not documented: {row}");
}

#[test]
fn every_profile_is_documented_as_it_is() {
    for profile in PROFILES {
        let name = profile.name();
        let row = MEASURING.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{name} is not documented"));
        let ports = profile.ports();
        let (window, period) = (profile.window().as_secs(), profile.period().as_secs());
        let schedule = if window == period {
            "without pauses".to_owned()
        } else {
            format!("{window} s in {period} s")
        };
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let rate = columns[2].split(',').next().unwrap();
        assert_eq!(rate, format!("{}/s", profile.rate()), "{name}");
        assert_eq!(columns[3], format!("{} bytes", profile.ip_packet_bytes()), "{name}");
        let dscp = columns[4].split(' ').next_back().unwrap();
        assert_eq!(dscp, profile.dscp().value().to_string(), "{name}");
        assert_eq!(columns[5], format!("{}–{}", ports.start(), ports.end()), "{name}");
        assert_eq!(columns[6], schedule, "{name}");
    }
}

/// What a session's requests never carry, as the documentation puts it.
fn left_out(profile: Profile, security: &Security, peer: &str) -> String {
    let peer: SocketAddr = peer.parse().unwrap();
    let config = SenderConfig { peer, security: security.clone(), ..session(profile) };
    let requests = requests(&config);
    if requests.is_empty() {
        return "refused".to_owned();
    }
    let base = config.security.mode().base_len();
    let carried: Vec<u8> = requests
        .iter()
        .flat_map(|request| Tlvs::new(&request[base..]).map(|tlv| tlv.unwrap().kind))
        .collect();
    let asked = [
        (DIRECT_MEASUREMENT, "no Direct Measurement"),
        (FOLLOW_UP, "no Follow-Up"),
        (LOCATION, "no Location"),
        (TIMESTAMP_INFORMATION, "no Timestamp Information"),
    ];
    let missing = asked.iter().filter(|(kind, _)| !carried.contains(kind));
    let missing: Vec<&str> = missing.map(|&(_, words)| words).collect();
    if missing.is_empty() { "all".to_owned() } else { missing.join(", ") }
}

#[test]
fn what_has_no_room_in_a_request_is_documented() {
    let key = Key::new(b"interop-test-key-2026");
    let kinds = [
        ("open", Security::Open),
        ("tlvs", Security::Tlvs(key.clone())),
        ("authenticated", Security::Authenticated(key.clone())),
    ];
    let both = |profile, security: &Security| {
        ["198.51.100.20:862", "[2001:db8::20]:862"].map(|peer| left_out(profile, security, peer))
    };
    for profile in PROFILES {
        let bytes = profile.ip_packet_bytes();
        for (name, security) in &kinds {
            let [v4, v6] = both(*profile, security);
            let any = format!("| {bytes} bytes, any | {v4} | {v6} |");
            if !MEASURING.contains(&any) {
                is_documented(&format!("| {bytes} bytes, `{name}` | {v4} | {v6} |"));
            }
        }
    }
    // The smallest packets that have room for everything.
    let authenticated = &kinds[2].1;
    let own = |bytes| {
        let audio = Profile::audio();
        let dscp = Dscp::new(46).unwrap();
        Profile::new(50, bytes, dscp, audio.window(), audio.period()).unwrap()
    };
    assert_eq!(both(own(224), authenticated), ["all", "all"]);
    assert_ne!(both(own(223), authenticated), ["all", "all"]);
    is_documented("has room for everything in authenticated packets from 224 bytes on.");
}
