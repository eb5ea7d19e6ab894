//! Probe sockets on this machine's loopback.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use busyhour_model::{Dscp, TimestampMethod};
use busyhour_net::{ProbeSocket, Received, Sent, SocketError, Waker, paired_now, wait};

const PATIENCE: Duration = Duration::from_secs(10);
const ANY_PORT: std::ops::RangeInclusive<u16> = 0..=0;
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn expedited() -> Dscp {
    Dscp::new(46).unwrap()
}

/// The loopback addresses of this machine.
fn loopbacks() -> Vec<IpAddr> {
    let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let mut addresses = vec![LOCALHOST];
    match std::net::UdpSocket::bind((v6, 0)) {
        Ok(_) => addresses.push(v6),
        Err(error) => eprintln!("SKIPPED for IPv6: this machine has no ::1 ({error})"),
    }
    addresses
}

fn pair(address: IpAddr) -> (ProbeSocket, ProbeSocket) {
    let sender = ProbeSocket::bind(address, ANY_PORT, expedited()).unwrap();
    (sender, ProbeSocket::bind_reflector(SocketAddr::new(address, 0)).unwrap())
}

/// Waits for what `take` takes.
fn until<T>(socket: &ProbeSocket, mut take: impl FnMut() -> Option<T>) -> T {
    let waker = Waker::new().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(taken) = take() {
            return taken;
        }
        assert!(Instant::now() < deadline, "nothing came");
        wait(&[socket], &waker, Some(deadline)).unwrap();
    }
}

fn receive(socket: &ProbeSocket, buffer: &mut [u8]) -> Received {
    until(socket, || socket.try_recv(buffer).unwrap())
}

fn next_sent(socket: &ProbeSocket) -> Sent {
    until(socket, || socket.try_next_sent().unwrap())
}

/// Sends until the kernel stamps what arrives: it begins a moment after the first socket of the machine
/// has asked it to.
fn await_stamps(sender: &ProbeSocket, receiver: &ProbeSocket) {
    let (mut buffer, deadline) = ([0; 64], Instant::now() + PATIENCE);
    loop {
        sender.try_send_to(b"first", receiver.local_addr(), 0).unwrap();
        let received = receive(receiver, &mut buffer);
        next_sent(sender);
        if received.method == TimestampMethod::Kernel {
            return;
        }
        assert!(Instant::now() < deadline, "the kernel does not stamp");
    }
}

#[test]
fn a_datagram_arrives_with_its_marking_time_to_live_and_kernel_stamps() {
    for address in loopbacks() {
        let (sender, receiver) = pair(address);
        assert_eq!(sender.methods().sent, TimestampMethod::Kernel);
        assert_eq!(receiver.methods().received, TimestampMethod::Kernel);
        await_stamps(&sender, &receiver);

        let mut last = paired_now().wall_ns;
        // The two lowest bits are the ECN field's: all of its values arrive.
        for tos in [46 << 2, 0, 34 << 2 | 1, 2, 18 << 2 | 3] {
            let id = sender.try_send_to(b"request", receiver.local_addr(), tos).unwrap();
            let mut buffer = [0; 64];
            let request = receive(&receiver, &mut buffer);
            let sent = next_sent(&sender);
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

#[test]
fn an_answer_leaves_from_the_address_that_was_asked() {
    let sender = ProbeSocket::bind(LOCALHOST, ANY_PORT, expedited()).unwrap();
    let reflector = ProbeSocket::bind_reflector(([0, 0, 0, 0], 0).into()).unwrap();
    let asked = SocketAddr::from(([127, 0, 0, 77], reflector.local_addr().port()));
    sender.try_send_to(b"?", asked, 0).unwrap();
    let mut buffer = [0; 64];
    let request = receive(&reflector, &mut buffer);
    assert_eq!(request.to, Some(asked.ip()));
    reflector.try_reply(b"!", &request, 34 << 2).unwrap();
    let answer = receive(&sender, &mut buffer);
    assert_eq!(answer.from, asked);
    assert_eq!(answer.tos, Some(34 << 2));
}

#[test]
fn a_reflector_on_every_ipv6_address_answers_from_the_one_that_was_asked() {
    if loopbacks().len() < 2 {
        return;
    }
    let (sender, reflector) = (
        ProbeSocket::bind(Ipv6Addr::LOCALHOST.into(), ANY_PORT, expedited()).unwrap(),
        ProbeSocket::bind_reflector((Ipv6Addr::UNSPECIFIED, 0).into()).unwrap(),
    );
    let asked = SocketAddr::from((Ipv6Addr::LOCALHOST, reflector.local_addr().port()));
    sender.try_send_to(b"?", asked, 0).unwrap();
    let mut buffer = [0; 64];
    let request = receive(&reflector, &mut buffer);
    assert_eq!((request.to, request.tos), (Some(asked.ip()), Some(0)));
    reflector.try_reply(b"!", &request, 34 << 2).unwrap();
    let answer = receive(&sender, &mut buffer);
    assert_eq!((answer.from, answer.tos), (asked, Some(34 << 2)));
}

#[test]
fn two_sockets_take_different_ports_of_the_preferred_range() {
    // A range that is free now: neighbours of a port the system gave out.
    let free = ProbeSocket::bind(LOCALHOST, ANY_PORT, expedited()).unwrap();
    let from = free.local_addr().port().min(65_000);
    let range = from..=from + 20;
    let first = ProbeSocket::bind(LOCALHOST, range.clone(), expedited()).unwrap();
    let second = ProbeSocket::bind(LOCALHOST, range.clone(), expedited()).unwrap();
    assert_ne!(first.local_addr().port(), second.local_addr().port());
    assert!(range.contains(&first.local_addr().port()));
}

#[test]
fn a_taken_range_falls_back_to_any_port_and_says_so() {
    let holder = ProbeSocket::bind_reflector(SocketAddr::new(LOCALHOST, 0)).unwrap();
    let taken = holder.local_addr();
    let port = taken.port();
    let other = ProbeSocket::bind(LOCALHOST, port..=port, expedited()).unwrap();
    assert_ne!(other.local_addr().port(), port);
    assert_ne!(other.local_addr().port(), 0);
    let refused = ProbeSocket::bind_reflector(taken);
    assert!(matches!(refused, Err(SocketError::Bind { address, .. }) if address == taken));
}

#[test]
fn a_datagram_longer_than_the_buffer_says_so() {
    let (sender, receiver) = pair(LOCALHOST);
    sender.try_send_to(&[7; 100], receiver.local_addr(), 0).unwrap();
    let received = receive(&receiver, &mut [0; 10]);
    assert!(received.truncated);
    assert_eq!(received.len, 10);
}

#[test]
fn drops_of_a_full_queue_are_counted() {
    let (sender, receiver) = pair(LOCALHOST);
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
        drops = receive(&receiver, &mut buffer).queue_drops;
        received += 1;
    }
    // The kernel may lose some elsewhere, too.
    assert!(drops <= sent - received, "{drops} dropped, {received} of {sent} received");
}

#[test]
fn a_send_that_fails_leaves_stamps_with_the_right_numbers() {
    let (sender, receiver) = pair(LOCALHOST);
    let mut expected = Vec::new();
    for number in 0..5 {
        // No route leads from 127.0.0.1 to an address that is documentation's alone.
        let failed = sender.try_send_to(b"x", ([192, 0, 2, 1], 9).into(), 0);
        assert!(matches!(&failed, Err(error @ SocketError::Send { .. }) if !error.is_queue_full()));
        let id = sender.try_send_to(b"x", receiver.local_addr(), 0).unwrap();
        assert_eq!(id, number);
        expected.push(id);
    }
    // None was taken until now, so each but the last was overtaken by a failure.
    let stamps: Vec<_> = expected.iter().map(|_| next_sent(&sender)).collect();
    assert_eq!(stamps.iter().map(|sent| sent.id).collect::<Vec<_>>(), expected);
    assert!(stamps.is_sorted_by_key(|sent| sent.at_ns), "{stamps:?}");
    assert_eq!(sender.try_next_sent().unwrap(), None);
}

#[test]
fn a_reflector_has_transmit_stamps_when_it_asks_for_them() {
    let (sender, mut reflector) = pair(LOCALHOST);
    reflector.try_send_to(b"0", sender.local_addr(), 0).unwrap();
    assert_eq!(reflector.methods().sent, TimestampMethod::User);
    assert_eq!(reflector.try_next_sent().unwrap(), None);
    assert_eq!(reflector.stamp_sends().sent, TimestampMethod::Kernel);
    let id = reflector.try_send_to(b"1", sender.local_addr(), 0).unwrap();
    assert_eq!(next_sent(&reflector).id, id);
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
