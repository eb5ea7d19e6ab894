use std::time::Duration;

use super::*;
use crate::PushError;

const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn pair() -> (ProbeSocket, ProbeSocket) {
    let sender = ProbeSocket::bind(LOCALHOST, 0..=0, Dscp::new(46).unwrap()).unwrap();
    let reflector = ProbeSocket::bind_reflector(SocketAddr::new(LOCALHOST, 0)).unwrap();
    (sender, reflector)
}

fn soon() -> Option<std::time::Instant> {
    Some(std::time::Instant::now() + Duration::from_secs(10))
}

/// Waits until the socket has something.
fn until_readable(socket: &ProbeSocket) {
    let waker = Waker::new().unwrap();
    assert!(wait(&[socket], &waker, soon()).unwrap().readable(0), "nothing was received");
}

#[test]
fn a_datagram_is_answered_and_timed_by_the_process() {
    let (sender, reflector) = pair();
    assert!(reflector.try_recv(&mut [0; 8]).unwrap().is_none());
    assert_eq!(sender.try_send_to(b"?", reflector.local_addr(), 0).unwrap(), 0);
    until_readable(&reflector);
    let mut buffer = [0; 8];
    let request = reflector.try_recv(&mut buffer).unwrap().unwrap();
    assert_eq!((request.len, request.from), (1, sender.local_addr()));
    assert_eq!(request.method, reflector.methods().received);
    assert!(!request.truncated);
    reflector.try_reply(b"!", &request, 0).unwrap();
    until_readable(&sender);
    let answer = sender.try_recv(&mut buffer).unwrap().unwrap();
    assert_eq!(&buffer[..answer.len], b"!");
    assert!(answer.at_ns >= request.at_ns);
    assert_eq!(sender.try_next_sent().unwrap(), None);
    let mut stamps = Stamps::new(4);
    assert_eq!(sender.next_sent_batch(&mut stamps).unwrap(), 0);
    assert!(stamps.taken().is_empty() && !stamps.is_full());
}

#[test]
fn a_datagram_that_fills_the_buffer_may_be_cut_and_says_so() {
    let (sender, reflector) = pair();
    sender.try_send_to(&[7; 100], reflector.local_addr(), 0).unwrap();
    until_readable(&reflector);
    let received = reflector.try_recv(&mut [0; 10]).unwrap().unwrap();
    assert_eq!((received.len, received.truncated), (10, true));
}

#[test]
fn a_batch_is_sent_around_a_datagram_that_is_refused() {
    let (sender, reflector) = pair();
    let mut outbox = Outbox::new(3, 4);
    outbox.push(b"a", reflector.local_addr(), None, 0).unwrap();
    outbox.push(b"b", ([192, 0, 2, 1], 9).into(), None, 0).unwrap();
    assert_eq!(outbox.push(b"long!", sender.local_addr(), None, 0), Err(PushError::TooLong));
    outbox.push(b"cc", reflector.local_addr(), None, 0).unwrap();
    assert_eq!(outbox.push(b"d", sender.local_addr(), None, 0), Err(PushError::Full));
    let batch = sender.send_batch(&mut outbox);
    assert_eq!((batch.sent, batch.queue_full, batch.refused), (2, 0, 1));
    assert!(batch.first_error.is_some());
    assert_eq!(outbox.sent_ids(), [Some(0), None, Some(1)]);
    assert!(outbox.is_empty());

    let mut inbox = Inbox::new(1, 8);
    for expected in [&b"a"[..], b"cc"] {
        until_readable(&reflector);
        assert_eq!(reflector.recv_batch(&mut inbox).unwrap(), 1, "there is room for one");
        assert_eq!(inbox.get(0).unwrap().1, expected);
        assert!(inbox.get(1).is_none());
    }
    assert_eq!(reflector.recv_batch(&mut inbox).unwrap(), 0);
    assert!(inbox.get(0).is_none());
}

#[test]
fn a_wait_ends_by_a_wake_a_socket_or_its_deadline() {
    let (sender, reflector) = pair();
    let waker = Waker::new().unwrap();
    let past = Some(std::time::Instant::now());
    assert!(wait(&[&sender, &reflector], &waker, past).unwrap().timed_out());
    let other = waker.clone();
    let thread = std::thread::spawn(move || other.wake());
    assert!(wait(&[&sender, &reflector], &waker, None).unwrap().woken());
    thread.join().unwrap();
    // Another thread's call is heard even when a socket has something at the same moment.
    sender.try_send_to(b"?", reflector.local_addr(), 0).unwrap();
    waker.wake();
    let ready = loop {
        let ready = wait(&[&sender, &reflector], &waker, soon()).unwrap();
        if !ready.timed_out() {
            break ready;
        }
    };
    assert!(ready.woken());
    let ready = wait(&[&sender, &reflector], &waker, soon()).unwrap();
    assert!(ready.readable(1) && !ready.readable(0) && !ready.woken());
}
