//! Batches on this machine's loopback.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use busyhour_model::{Dscp, TimestampMethod};
use busyhour_net::{Inbox, Outbox, ProbeSocket, PushError, Received, Stamps, Waker, wait};

const PATIENCE: Duration = Duration::from_secs(10);
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn reflector(address: IpAddr) -> ProbeSocket {
    ProbeSocket::bind_reflector(SocketAddr::new(address, 0)).unwrap()
}

fn sender(address: IpAddr) -> ProbeSocket {
    ProbeSocket::bind(address, 0..=0, Dscp::from_tos(0)).unwrap()
}

/// Receives so many datagrams, by as many batches as it takes.
fn receive(socket: &ProbeSocket, inbox: &mut Inbox, count: usize) -> Vec<(Received, Vec<u8>)> {
    let waker = Waker::new().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut all = Vec::new();
    while all.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} came", all.len());
        wait(&[socket], &waker, Some(deadline)).unwrap();
        let received = socket.recv_batch(inbox).unwrap();
        assert_eq!(received, inbox.len());
        all.extend(inbox.iter().map(|(datagram, bytes)| (datagram, bytes.to_vec())));
    }
    all
}

/// Sends until the kernel stamps what arrives: it begins a moment after the first socket of the machine
/// has asked it to.
fn await_stamps(address: IpAddr, to: &ProbeSocket) {
    let (from, deadline) = (sender(address), Instant::now() + PATIENCE);
    loop {
        from.try_send_to(b"first", to.local_addr(), 0).unwrap();
        let received = receive(to, &mut Inbox::new(1, 16), 1);
        if received.iter().all(|(datagram, _)| datagram.method == TimestampMethod::Kernel) {
            return;
        }
        assert!(Instant::now() < deadline, "the kernel does not stamp");
    }
}

#[test]
fn each_datagram_of_a_batch_has_its_own_octets_marking_and_stamp() {
    for address in [LOCALHOST, Ipv6Addr::LOCALHOST.into()] {
        if std::net::UdpSocket::bind((address, 0)).is_err() {
            eprintln!("SKIPPED for {address}: this machine does not have it");
            continue;
        }
        let (from, to) = (sender(address), reflector(address));
        await_stamps(address, &to);
        let mut outbox = Outbox::new(8, 100);
        let markings = [0, 46 << 2, 34 << 2 | 1, 18 << 2 | 2, 3];
        for (length, tos) in (1..).zip(markings) {
            outbox.push(&vec![tos; length * 20], to.local_addr(), None, tos).unwrap();
        }
        let sent = from.send_batch(&mut outbox);
        assert_eq!((sent.sent, sent.queue_full, sent.refused), (5, 0, 0));
        assert_eq!(outbox.sent_ids(), [0, 1, 2, 3, 4].map(Some));
        // Less room than datagrams, and less than the longest: what does not fit comes with the next
        // batch, and what is too long says so.
        let received = receive(&to, &mut Inbox::new(2, 99), 5);
        for ((length, tos), (datagram, bytes)) in (1..).zip(markings).zip(&received) {
            assert_eq!(*bytes, vec![tos; (length * 20).min(99)]);
            assert_eq!(datagram.truncated, length == 5);
            assert_eq!(datagram.tos, Some(tos));
            assert_eq!((datagram.from, datagram.to), (from.local_addr(), Some(address)));
            assert_eq!(datagram.method, TimestampMethod::Kernel);
            assert!(datagram.ttl.is_some_and(|ttl| ttl > 0));
        }
        assert!(received.is_sorted_by_key(|(datagram, _)| datagram.at_ns));
        assert_eq!(to.recv_batch(&mut Inbox::new(2, 99)).unwrap(), 0);
    }
}

#[test]
fn an_inbox_can_be_used_again_and_for_other_sockets() {
    let (from, to) = (sender(LOCALHOST), reflector(LOCALHOST));
    let any = ProbeSocket::bind_reflector(([0, 0, 0, 0], 0).into()).unwrap();
    let mut inbox = Inbox::new(4, 10);
    for round in 0..3_u8 {
        from.try_send_to(&[round; 10], to.local_addr(), round).unwrap();
        from.try_send_to(&[round; 3], to.local_addr(), 0).unwrap();
        let received = receive(&to, &mut inbox, 2);
        assert_eq!((received[0].0.tos, received[1].0.tos), (Some(round), Some(0)));
        assert_eq!((received[0].1.len(), received[1].1.len()), (10, 3));
        let asked = SocketAddr::from(([127, 0, 0, round + 2], any.local_addr().port()));
        // Its datagrams say more than those of the other socket.
        from.try_send_to(b"?", asked, round).unwrap();
        let (datagram, _) = receive(&any, &mut inbox, 1)[0];
        assert_eq!((datagram.to, datagram.tos), (Some(asked.ip()), Some(round)));
        assert!(datagram.ttl.is_some());
        assert!(inbox.get(1).is_none());
    }
}

#[test]
fn answers_of_one_batch_leave_from_the_addresses_that_were_asked() {
    let from = sender(LOCALHOST);
    let any = ProbeSocket::bind_reflector(([0, 0, 0, 0], 0).into()).unwrap();
    let asked = |last| SocketAddr::from(([127, 0, 0, last], any.local_addr().port()));
    let mut inbox = Inbox::new(4, 10);
    for last in [5, 6, 7] {
        from.try_send_to(&[last], asked(last), 0).unwrap();
    }
    let mut outbox = Outbox::new(4, 10);
    for (request, bytes) in receive(&any, &mut inbox, 3) {
        outbox.push(&bytes, request.from, request.to, 0).unwrap();
    }
    assert_eq!(any.send_batch(&mut outbox).sent, 3);
    for (answer, bytes) in receive(&from, &mut inbox, 3) {
        assert_eq!(answer.from, asked(bytes[0]));
    }
}

#[test]
fn a_datagram_that_is_refused_does_not_hold_up_its_batch() {
    let (from, to) = (sender(LOCALHOST), reflector(LOCALHOST));
    let mut outbox = Outbox::new(5, 10);
    // No route leads from 127.0.0.1 to an address that is documentation's alone.
    let unreachable = SocketAddr::from(([192, 0, 2, 1], 9));
    for (number, &refused) in (0..).zip(&[true, false, true, false, false]) {
        let to = if refused { unreachable } else { to.local_addr() };
        outbox.push(&[number], to, None, 0).unwrap();
    }
    let sent = from.send_batch(&mut outbox);
    assert_eq!((sent.sent, sent.queue_full, sent.refused), (3, 0, 2));
    let error = sent.first_error.unwrap();
    assert!(!error.is_queue_full() && error.to_string().contains("192.0.2.1"));
    assert_eq!(outbox.sent_ids(), [None, Some(0), None, Some(1), Some(2)]);
    let numbers: Vec<_> = receive(&to, &mut Inbox::new(8, 10), 3);
    assert_eq!(numbers.iter().map(|(_, bytes)| bytes[0]).collect::<Vec<_>>(), [1, 3, 4]);
    // The stamps have the numbers that were told, although failures came between.
    let mut ids = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while ids.len() < 3 {
        assert!(Instant::now() < deadline, "{ids:?}");
        ids.extend(from.try_next_sent().unwrap().map(|sent| sent.id));
    }
    assert_eq!(ids, [0, 1, 2]);
    assert!(outbox.is_empty());
    assert_eq!(from.send_batch(&mut outbox).sent, 0);
    assert!(outbox.sent_ids().is_empty());
}

#[test]
fn the_stamps_of_a_batch_are_taken_together_and_in_order() {
    let (from, to) = (sender(LOCALHOST), reflector(LOCALHOST));
    let mut outbox = Outbox::new(8, 10);
    let mut stamps = Stamps::new(3);
    for round in 0..3 {
        for _ in 0..5 {
            outbox.push(b"?", to.local_addr(), None, 0).unwrap();
        }
        // What was sent before a failure is taken all the same.
        outbox.push(b"?", ([192, 0, 2, 1], 9).into(), None, 0).unwrap();
        assert_eq!(from.send_batch(&mut outbox).sent, 5);
        let expected: Vec<u32> = outbox.sent_ids().iter().flatten().copied().collect();
        assert_eq!(expected, (round * 5..round * 5 + 5).collect::<Vec<_>>());
        let mut taken = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while taken.len() < 5 {
            assert!(Instant::now() < deadline, "{taken:?}");
            let count = from.next_sent_batch(&mut stamps).unwrap();
            assert_eq!((count, count == 3), (stamps.taken().len(), stamps.is_full()));
            taken.extend_from_slice(stamps.taken());
        }
        assert_eq!(taken.iter().map(|sent| sent.id).collect::<Vec<_>>(), expected);
        assert!(taken.is_sorted_by_key(|sent| sent.at_ns));
        assert_eq!(from.next_sent_batch(&mut stamps).unwrap(), 0);
    }
    assert_eq!(to.next_sent_batch(&mut stamps).unwrap(), 0, "nobody asked for its stamps");
}

#[test]
fn stamps_of_a_batch_after_a_failure_have_the_numbers_that_were_told() {
    let (from, to) = (sender(LOCALHOST), reflector(LOCALHOST));
    assert_eq!(from.try_send_to(b"?", to.local_addr(), 0).unwrap(), 0);
    assert!(from.try_send_to(b"?", ([192, 0, 2, 1], 9).into(), 0).is_err());
    let deadline = Instant::now() + PATIENCE;
    while from.try_next_sent().unwrap().is_none() {
        assert!(Instant::now() < deadline, "no stamp");
    }
    let mut outbox = Outbox::new(8, 10);
    for _ in 0..5 {
        outbox.push(b"?", to.local_addr(), None, 0).unwrap();
    }
    assert_eq!(from.send_batch(&mut outbox).sent, 5);
    let (mut stamps, mut ids) = (Stamps::new(3), Vec::new());
    while ids.len() < 5 {
        assert!(Instant::now() < deadline, "{ids:?}");
        from.next_sent_batch(&mut stamps).unwrap();
        ids.extend(stamps.taken().iter().map(|sent| sent.id));
    }
    assert_eq!(ids, [1, 2, 3, 4, 5]);
}

#[test]
fn an_outbox_takes_no_more_than_it_has_room_for() {
    let to = SocketAddr::from((LOCALHOST, 9));
    let mut outbox = Outbox::new(1, 4);
    assert_eq!(outbox.push(b"12345", to, None, 0), Err(PushError::TooLong));
    assert!(outbox.is_empty());
    outbox.push(b"1234", to, None, 0).unwrap();
    assert!(outbox.is_full());
    assert_eq!(outbox.push(b"1", to, None, 0), Err(PushError::Full));
    assert_eq!(outbox.len(), 1);
}
