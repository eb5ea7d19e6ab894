//! Sessions with keys.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use busyhour_model::{BootMicros, ClockPair};
use busyhour_probe::{
    InvalidSession, PROFILES, PeerProfile, Profile, ReflectorConfig, Rejection, ReplyOutcome,
    Security, Sender, SenderConfig, Telemetry,
};
use busyhour_wire::{
    EXTRA_PADDING, HMAC, Key, Mode, SenderPacket, TlvIntegrity, Tlvs, check_tlvs, is_sealed,
};
use testkit::Loss;

use super::harness::{Pair, clean, protected, session};
use super::{lossy, told};

const MODES: [Mode; 2] = [Mode::Unauthenticated, Mode::Authenticated];

fn large() -> Profile {
    Profile::named("audio-50-190").unwrap()
}

#[test]
fn a_protected_session_measures_like_an_open_one() {
    for mode in MODES {
        let (config, reflector) = protected(&session(large()), mode);
        let mut pair = Pair::of(config, reflector, [lossy(Loss::Random(0.05)), clean()], 31);
        pair.run_windows(3);
        pair.check_counts();
        for index in 0..3 {
            let seen = &pair.observations[index];
            assert_eq!(told(&pair, index), (pair.lost(index), 0), "{mode:?}");
            assert_eq!(seen.rtt_median_us, Some(40_000));
            assert_eq!(seen.peer_tlvs, Some(true));
            assert_eq!(seen.dscp.up, Some(large().dscp()));
        }
        let stats = pair.sender.stats();
        assert_eq!((stats.rejected, stats.reflector_restarts), (0, 0));
        assert!(stats.accepted > 2_000);
    }
}

#[test]
fn answers_with_wrong_or_missing_tags_are_refused_and_named() {
    let check = |mode: Mode, change: &dyn Fn(&mut Vec<u8>), expected: Rejection| {
        let (config, reflector) = protected(&session(large()), mode);
        let mut pair = Pair::of(config, reflector, [clean(), clean()], 32);
        pair.run_until(Duration::from_secs(1));
        let mut packet = pair.heard.last().unwrap().clone();
        change(&mut packet.bytes);
        let outcome = pair.hear(&packet);
        assert_eq!(outcome, ReplyOutcome::Rejected(expected), "{mode:?}");
        let stats = pair.sender.stats();
        assert_eq!((stats.rejected, stats.rejected_tags), (1, 1));
    };
    for mode in MODES {
        let base = mode.base_len();
        // The received code point, in a TLV.
        check(mode, &|bytes| bytes[base + 5] ^= 1, Rejection::BadTag);
        check(mode, &|bytes| bytes[3] ^= 1, Rejection::BadTag);
        check(mode, &|bytes| bytes[base] |= 0x20, Rejection::IntegrityFlag);
    }
    // Authenticated packets with TLVs must have the tag, others may have none.
    let strip = |bytes: &mut Vec<u8>| bytes.truncate(Mode::Unauthenticated.base_len());
    check(Mode::Unauthenticated, &strip, Rejection::MissingTag);
    // The reflector's receive time is sealed.
    check(Mode::Authenticated, &|bytes| bytes[35] ^= 1, Rejection::BadTag);
}

#[test]
fn a_reflector_with_another_key_is_no_path_and_says_so() {
    let other = Key::new(b"another key");
    let (config, _) = protected(&session(large()), Mode::Unauthenticated);
    // It answers everybody and flags what it cannot verify.
    let lenient = ReflectorConfig { keys: vec![other], ..ReflectorConfig::default() };
    let mut pair = Pair::of(config, lenient, [clean(), clean()], 33);
    pair.run_windows(1);
    let counts = &pair.observations[0].counts;
    assert_eq!((counts.sent(), counts.received(), counts.lost_unknown()), (750, 0, 750));
    assert_eq!(pair.sender.stats().rejected_tags, pair.sender.stats().rejected);
    let named = ReplyOutcome::Rejected(Rejection::IntegrityFlag);
    assert!(pair.outcomes.iter().all(|outcome| *outcome == named));
}

#[test]
fn what_does_not_fit_or_contradicts_itself_is_no_session() {
    let check = |config: SenderConfig, expected: InvalidSession| {
        assert_eq!(Sender::new(config, Instant::now()).err(), Some(expected));
    };
    let (config, _) = protected(&session(Profile::audio()), Mode::Authenticated);
    check(config, InvalidSession::TooSmall { needed: 140, room: 117 });
    let (config, _) = protected(&session(Profile::audio()), Mode::Unauthenticated);
    let twamp = SenderConfig { peer_profile: PeerProfile::TWAMP_LIGHT, ..config.clone() };
    check(twamp, InvalidSession::TlvsUnknown);
    check(
        SenderConfig { telemetry: Telemetry::Nothing, ..config.clone() },
        InvalidSession::TlvsUnknown,
    );
    check(SenderConfig { ssid: 0, ..config }, InvalidSession::NoIdentifier);
}

/// The first requests of a window, and later ones.
pub(crate) fn requests(config: &SenderConfig) -> Vec<Vec<u8>> {
    let start = Instant::now();
    let Ok(mut sender) = Sender::new(config.clone(), start) else { return Vec::new() };
    let mut requests = Vec::new();
    for _ in 0..8 {
        let monotonic = sender.poll_deadline().unwrap();
        let wall_ns = 1_790_000_000_000_000_000 + (monotonic - start).as_nanos() as i64;
        let now = ClockPair { monotonic, wall_ns, boot: BootMicros(0) };
        requests.push(sender.poll_transmit(now).unwrap().bytes.to_vec());
    }
    requests
}

#[test]
fn every_request_is_well_formed_sealed_and_of_the_profiles_size() {
    let key = Key::new(b"interop-test-key-2026");
    let kinds = [Security::Open, Security::Tlvs(key.clone()), Security::Authenticated(key.clone())];
    let mut seen = 0;
    for (profile, security) in PROFILES.iter().flat_map(|p| kinds.iter().map(move |k| (p, k))) {
        for peer in ["198.51.100.20:862", "[2001:db8::20]:862"] {
            let peer: SocketAddr = peer.parse().unwrap();
            let config = SenderConfig { peer, security: security.clone(), ..session(*profile) };
            let mode = security.mode();
            for packet in requests(&config) {
                seen += 1;
                let (base, tail) = SenderPacket::parse(mode, &packet).unwrap();
                assert_eq!(base.ssid, config.ssid);
                let kinds: Vec<u8> = Tlvs::new(tail).map(|tlv| tlv.unwrap().kind).collect();
                let room = profile.payload_bytes(peer.ip());
                assert!((room - 3..=room).contains(&packet.len()), "{} of {room}", packet.len());
                assert!(packet.len() == room || kinds.last() == Some(&HMAC));
                let tag = kinds.iter().position(|&kind| kind == HMAC);
                assert_eq!(tag.is_some(), !matches!(security, Security::Open));
                let behind = &kinds[tag.map_or(kinds.len(), |tag| tag + 1)..];
                assert!(behind.iter().all(|&kind| kind == EXTRA_PADDING));
                if tag.is_some() {
                    assert_eq!(check_tlvs(mode, &packet, Some(&key)), TlvIntegrity::Valid);
                    assert!(mode == Mode::Unauthenticated || is_sealed(&packet, &key));
                }
            }
        }
    }
    // Of seven profiles four are too small for authenticated packets.
    assert_eq!(seen, 8 * 2 * (7 + 7 + 3));
}
