//! Probe sockets on this machine's loopback.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use busyhour_model::{Dscp, TimestampMethod};
use busyhour_net::{ProbeSocket, Received, SocketError, paired_now};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);
const ANY_PORT: std::ops::RangeInclusive<u16> = 0..=0;

fn expedited() -> Dscp {
    Dscp::new(46).unwrap()
}

/// The loopback addresses of this machine.
fn loopbacks() -> Vec<IpAddr> {
    let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    match std::net::UdpSocket::bind((v6, 0)) {
        Ok(_) => addresses.push(v6),
        Err(error) => eprintln!("SKIPPED for IPv6: this machine has no ::1 ({error})"),
    }
    addresses
}

async fn receive(socket: &ProbeSocket, buffer: &mut [u8]) -> Received {
    timeout(PATIENCE, socket.recv(buffer)).await.expect("nothing was received").unwrap()
}

#[tokio::test]
async fn a_datagram_arrives_with_its_marking_time_to_live_and_kernel_stamps() {
    for address in loopbacks() {
        let sender = ProbeSocket::bind(address, ANY_PORT, expedited()).unwrap();
        let receiver = ProbeSocket::bind_reflector(SocketAddr::new(address, 0)).unwrap();
        assert_eq!(sender.methods().sent, TimestampMethod::Kernel);
        assert_eq!(receiver.methods().received, TimestampMethod::Kernel);

        let mut last = paired_now().wall_ns;
        for tos in [46 << 2, 0, 34 << 2 | 1] {
            let id = sender.try_send_to(b"request", receiver.local_addr(), tos).unwrap();
            let mut buffer = [0; 64];
            let request = receive(&receiver, &mut buffer).await;
            let sent = timeout(PATIENCE, sender.next_sent()).await.expect("no stamp").unwrap();
            assert_eq!(&buffer[..request.len], b"request");
            assert!(!request.truncated);
            assert_eq!(request.from, sender.local_addr());
            assert_eq!(request.to, Some(address));
            assert_eq!(request.tos, Some(tos), "marking of {address}");
            assert!(request.ttl.is_some_and(|ttl| ttl > 0));
            assert_eq!(request.method, TimestampMethod::Kernel);
            assert_eq!((sent.id, sent.method), (id, TimestampMethod::Kernel));
            let now = paired_now().wall_ns;
            let moments = [last, sent.at_ns, request.at_ns, now];
            assert!(moments.is_sorted(), "out of order: {moments:?}");
            last = now;
        }
    }
}

#[tokio::test]
async fn an_answer_leaves_from_the_address_that_was_asked() {
    let sender = ProbeSocket::bind(Ipv4Addr::LOCALHOST.into(), ANY_PORT, expedited()).unwrap();
    let reflector = ProbeSocket::bind_reflector(([0, 0, 0, 0], 0).into()).unwrap();
    let asked = SocketAddr::from(([127, 0, 0, 77], reflector.local_addr().port()));
    sender.try_send_to(b"?", asked, 0).unwrap();
    let mut buffer = [0; 64];
    let request = receive(&reflector, &mut buffer).await;
    reflector.try_reply(b"!", &request, 34 << 2).unwrap();
    let answer = receive(&sender, &mut buffer).await;
    assert_eq!(answer.from, asked);
    assert_eq!(answer.tos, Some(34 << 2));
}

#[tokio::test]
async fn two_sockets_take_different_ports_of_the_preferred_range() {
    let localhost = IpAddr::from(Ipv4Addr::LOCALHOST);
    // A range that is free now: neighbours of a port the system gave out.
    let free = ProbeSocket::bind(localhost, ANY_PORT, expedited()).unwrap();
    let from = free.local_addr().port().min(65_000);
    let range = from..=from + 20;
    let first = ProbeSocket::bind(localhost, range.clone(), expedited()).unwrap();
    let second = ProbeSocket::bind(localhost, range.clone(), expedited()).unwrap();
    assert_ne!(first.local_addr().port(), second.local_addr().port());
    assert!(range.contains(&first.local_addr().port()));
}

#[tokio::test]
async fn a_taken_range_falls_back_to_any_port_and_says_so() {
    let localhost = IpAddr::from(Ipv4Addr::LOCALHOST);
    let holder = ProbeSocket::bind_reflector(SocketAddr::new(localhost, 0)).unwrap();
    let taken = holder.local_addr();
    let port = taken.port();
    let other = ProbeSocket::bind(localhost, port..=port, expedited()).unwrap();
    assert_ne!(other.local_addr().port(), port);
    assert_ne!(other.local_addr().port(), 0);
    let refused = ProbeSocket::bind_reflector(taken);
    assert!(matches!(refused, Err(SocketError::Bind { address, .. }) if address == taken));
}

#[tokio::test]
async fn a_datagram_longer_than_the_buffer_says_so() {
    let sender = ProbeSocket::bind(Ipv4Addr::LOCALHOST.into(), ANY_PORT, expedited()).unwrap();
    let receiver = ProbeSocket::bind_reflector(([127, 0, 0, 1], 0).into()).unwrap();
    sender.try_send_to(&[7; 100], receiver.local_addr(), 0).unwrap();
    let received = receive(&receiver, &mut [0; 10]).await;
    assert!(received.truncated);
    assert_eq!(received.len, 10);
}

#[tokio::test]
async fn drops_of_a_full_queue_are_counted() {
    let sender = ProbeSocket::bind(Ipv4Addr::LOCALHOST.into(), ANY_PORT, expedited()).unwrap();
    let receiver = ProbeSocket::bind_reflector(([127, 0, 0, 1], 0).into()).unwrap();
    let mut buffer = [0; 2_000];
    let mut sent = 0;
    for _ in 0..20_000 {
        // On a loaded machine the sender's own queue may be full for a moment.
        sent += u32::from(sender.try_send_to(&[0; 1_000], receiver.local_addr(), 0).is_ok());
    }
    let (mut received, mut drops) = (0, 0);
    while drops == 0 {
        // What is received after a drop tells of it.
        sent += u32::from(sender.try_send_to(b"last", receiver.local_addr(), 0).is_ok());
        drops = receive(&receiver, &mut buffer).await.queue_drops;
        received += 1;
    }
    // The kernel may lose some elsewhere, too.
    assert!(drops <= sent - received, "{drops} dropped, {received} of {sent} received");
}

#[tokio::test]
async fn a_send_that_fails_leaves_later_stamps_with_the_right_numbers() {
    let sender = ProbeSocket::bind(Ipv4Addr::LOCALHOST.into(), ANY_PORT, expedited()).unwrap();
    let receiver = ProbeSocket::bind_reflector(([127, 0, 0, 1], 0).into()).unwrap();
    for expected in 0..5 {
        // No route leads from 127.0.0.1 to an address that is documentation's alone.
        let failed = sender.try_send_to(b"x", ([192, 0, 2, 1], 9).into(), 0);
        assert!(matches!(failed, Err(SocketError::Send { .. })));
        let id = sender.try_send_to(b"x", receiver.local_addr(), 0).unwrap();
        assert_eq!(id, expected);
        let sent = timeout(PATIENCE, sender.next_sent()).await.expect("no stamp").unwrap();
        assert_eq!(sent.id, id);
    }
}

#[test]
fn clocks_are_read_together_and_move_on() {
    let (first, second) = (paired_now(), paired_now());
    assert!(second.monotonic >= first.monotonic);
    assert!(second.boot >= first.boot);
    assert!(first.wall_ns > 1_500_000_000_000_000_000);
}

#[cfg(target_os = "linux")]
#[test]
fn a_boot_has_one_identity() {
    assert_eq!(busyhour_net::boot_id().unwrap(), busyhour_net::boot_id().unwrap());
}
