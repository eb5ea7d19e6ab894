//! Waiting.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use busyhour_model::Dscp;
use busyhour_net::{MAX_WAITED, ProbeSocket, Waker, wait};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn pair() -> (ProbeSocket, ProbeSocket) {
    let sender = ProbeSocket::bind(LOCALHOST, 0..=0, Dscp::from_tos(0)).unwrap();
    (sender, ProbeSocket::bind_reflector(SocketAddr::new(LOCALHOST, 0)).unwrap())
}

/// Long enough to be waited for by a test that is about to fail only.
fn late() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(10))
}

#[test]
fn a_wait_ends_after_its_deadline_and_deadlines_keep_their_order() {
    let waker = Waker::new().unwrap();
    let start = Instant::now();
    // Nanoseconds apart, the first of them over already.
    for ns in [0, 1, 999, 1_500, 80_000, 1_000_001] {
        let deadline = start + Duration::from_nanos(ns);
        assert!(wait(&[], &waker, Some(deadline)).unwrap().timed_out());
        assert!(Instant::now() >= deadline, "woken before {ns} ns");
    }
}

#[test]
fn a_socket_with_datagrams_is_told_from_one_without() {
    let (sender, reflector) = pair();
    let waker = Waker::new().unwrap();
    reflector.try_send_to(b"!", sender.local_addr(), 0).unwrap();
    let ready = wait(&[&reflector, &sender], &waker, late()).unwrap();
    assert!(ready.readable(1) && !ready.readable(0));
    assert!(!ready.has_errors(0) && !ready.has_errors(1) && !ready.woken());
    sender.try_recv(&mut [0; 8]).unwrap().unwrap();
    let ready = wait(&[&reflector, &sender], &waker, Some(Instant::now())).unwrap();
    assert!(ready.timed_out());
}

#[test]
fn transmit_stamps_end_waits_until_all_of_them_are_taken() {
    let (sender, reflector) = pair();
    let waker = Waker::new().unwrap();
    for _ in 0..3 {
        sender.try_send_to(b"?", reflector.local_addr(), 0).unwrap();
    }
    let mut taken = 0;
    while taken < 3 {
        let ready = wait(&[&sender], &waker, late()).unwrap();
        assert!(ready.has_errors(0));
        taken += usize::from(sender.try_next_sent().unwrap().is_some());
    }
    assert!(wait(&[&sender], &waker, Some(Instant::now())).unwrap().timed_out());
}

#[test]
fn another_thread_ends_a_wait_without_a_deadline() {
    let (sender, reflector) = pair();
    let waker = Waker::new().unwrap();
    let other = waker.clone();
    let thread = thread::spawn(move || other.wake());
    assert!(wait(&[&sender, &reflector], &waker, None).unwrap().woken());
    thread.join().unwrap();
}

#[test]
fn wakes_before_a_wait_end_that_one_and_no_other() {
    let waker = Waker::new().unwrap();
    waker.wake();
    waker.clone().wake();
    assert!(wait(&[], &waker, None).unwrap().woken());
    assert!(wait(&[], &waker, Some(Instant::now())).unwrap().timed_out());
}

#[test]
fn no_more_sockets_are_waited_for_than_can_be_told_apart() {
    let (sender, _) = pair();
    let waker = Waker::new().unwrap();
    waker.wake();
    let most = vec![&sender; MAX_WAITED];
    assert!(wait(&most, &waker, late()).unwrap().woken());
    sender.try_send_to(b"own", sender.local_addr(), 0).unwrap();
    let ready = wait(&most, &waker, late()).unwrap();
    assert!((0..MAX_WAITED).all(|index| ready.readable(index)));
    assert!(!ready.readable(MAX_WAITED));
    assert!(wait(&vec![&sender; MAX_WAITED + 1], &waker, late()).is_err());
}
