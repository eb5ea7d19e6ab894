use busyhour_model::{ClockPair, PacketCounts};

use super::*;

const PEER: &str = "192.0.2.1:862";

fn observed(sender: &mut Sender, now: Instant) -> PacketCounts {
    sender.finish(now);
    sender.poll_event(now).unwrap().counts
}

fn sender(start: Instant) -> Sender {
    let target = Profile::audio();
    let config = SenderConfig {
        profile: target,
        peer: PEER.parse().unwrap(),
        ssid: 7,
        error_estimate: ErrorEstimate::UNSYNCHRONIZED,
    };
    Sender::new(config, start)
}

#[tokio::test]
async fn what_the_machine_cannot_send_is_an_outage() {
    // From a loopback address there is no way to anywhere else.
    let here = "127.0.0.1".parse().unwrap();
    let socket = ProbeSocket::bind(here, SOURCE_PORTS, Profile::audio().dscp()).unwrap();
    let now = busyhour_net::paired_now();
    let mut sender = sender(now.monotonic);
    for packet in 0..50 {
        let after = Duration::from_millis(20) * packet;
        transmit(&mut sender, &socket, ClockPair { monotonic: now.monotonic + after, ..now });
    }
    let counts = observed(&mut sender, now.monotonic + Duration::from_secs(1));
    assert_eq!((counts.sent(), counts.received(), counts.lost_unknown()), (50, 0, 50));
}

#[test]
fn a_session_goes_on_while_there_is_no_way_at_all_and_takes_another_when_there_is() {
    let peer: SocketAddr = PEER.parse().unwrap();
    let other: SocketAddr = "[2001:db8::1]:862".parse().unwrap();
    let (here, elsewhere) = ("10.0.0.2".parse().unwrap(), "10.9.0.2".parse().unwrap());
    let table = [
        (&[peer][..], Some(here), None, None),
        (&[peer], None, None, None),
        (&[peer, other], None, None, None),
        (&[other], Some(here), None, None),
        (&[peer], Some(elsewhere), None, Some("the route")),
        (&[peer, other], None, Some(elsewhere), Some("the route")),
        (&[other], Some(here), Some(elsewhere), Some("the target's address")),
    ];
    for (peers, to_peer, to_other, expected) in table {
        let local = |to| if to == peer { to_peer } else { to_other };
        assert_eq!(changed(peer, here, peers, local), expected, "{peers:?} {to_peer:?}");
    }
}

#[test]
fn a_window_that_was_over_before_the_clocks_were_disturbed_is_kept() {
    let now = busyhour_net::paired_now();
    let mut sender = sender(now.monotonic);
    while let Some(packet) = sender.poll_transmit(now) {
        let sequence = packet.sequence;
        sender.unreachable(sequence);
    }
    let end = now.monotonic + Duration::from_secs(15);
    sender.finish(end);
    let observation = sender.poll_event(end).unwrap();
    let at = |seconds| Ended::Disturbed(now.monotonic + Duration::from_secs(seconds));
    assert!(is_undisturbed(&observation, &at(15)));
    assert!(!is_undisturbed(&observation, &at(14)));
    assert!(is_undisturbed(&observation, &Ended::Stopped));
}

#[test]
fn no_way_is_an_outage_and_no_name_is_a_gap() {
    let gone = |kind: std::io::ErrorKind| {
        ProbeError::Socket(SocketError::Bind {
            address: PEER.parse().unwrap(),
            source: kind.into(),
        })
    };
    let route = ProbeError::Route(HostError::NoRoute {
        destination: PEER.parse().unwrap(),
        source: std::io::ErrorKind::NetworkUnreachable.into(),
    });
    assert!(route.is_outage() && gone(std::io::ErrorKind::AddrNotAvailable).is_outage());
    assert!(!gone(std::io::ErrorKind::PermissionDenied).is_outage());
    assert!(!ProbeError::Unresolved.is_outage());
    assert_eq!(ProbeError::Unresolved.reason(), GapReason::Unresolved);
    assert_eq!(gone(std::io::ErrorKind::PermissionDenied).reason(), GapReason::NotRunning);
}
