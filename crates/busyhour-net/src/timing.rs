//! How well this machine times datagrams, tried out on its loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use busyhour_model::{Dscp, TimestampMethod};

use crate::clock::wall_ns;
use crate::{Methods, ProbeSocket, SocketError, Waker, wait};

/// How many datagrams are sent, one after the other.
const DATAGRAMS: u32 = 200;
/// The time between them: long enough for the receiving thread to fall asleep, as it does between
/// packets of a call.
const INTERVAL: Duration = Duration::from_millis(1);
/// No longer than this, whatever the machine does; datagrams that are left are not sent.
const LIMIT: Duration = Duration::from_millis(800);
/// A datagram is the moment that its sender read, in nanoseconds.
const OCTETS: usize = 8;

/// How well this machine times datagrams: percentiles of how late the process reads the clock. Where the
/// kernel stamps datagrams this is the error that its stamps spare; elsewhere it is the error that every
/// reading has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimingReport {
    /// How datagrams are timed.
    pub methods: Methods,
    /// How many datagrams came back.
    pub datagrams: u32,
    /// How long after a datagram's receipt the process reads the clock: after the kernel's stamp or, where
    /// there is none, after the sending thread's reading, so that the way through the stack (some
    /// microseconds) is part of it. `None` when nothing came back.
    pub receive_lag_p50: Option<Duration>,
    /// The 99th percentile of the same.
    pub receive_lag_p99: Option<Duration>,
    /// How long after the process's reading the kernel sends a datagram; `None` without transmit stamps.
    pub send_lag_p50: Option<Duration>,
    /// The 99th percentile of the same.
    pub send_lag_p99: Option<Duration>,
    /// How long after its deadline a wait ends.
    pub timer_lag_p50: Option<Duration>,
    /// The 99th percentile of the same.
    pub timer_lag_p99: Option<Duration>,
}

/// Readings of one kind.
#[derive(Debug, Default)]
struct Lags(Vec<Duration>);

impl Lags {
    /// The time from one reading of the wall clock to a later one. A clock that stepped back in between
    /// gives none.
    fn push(&mut self, from_ns: i64, until_ns: i64) {
        if let Ok(ns) = u64::try_from(until_ns.saturating_sub(from_ns)) {
            self.0.push(Duration::from_nanos(ns));
        }
    }

    /// The median and the 99th percentile, by nearest rank.
    fn percentiles(mut self) -> (Option<Duration>, Option<Duration>) {
        self.0.sort_unstable();
        let rank = |percent: usize| (self.0.len() * percent).div_ceil(100).checked_sub(1);
        let at = |percent| rank(percent).and_then(|rank| self.0.get(rank)).copied();
        (at(50), at(99))
    }
}

/// Sends 200 datagrams from one socket of this machine to another, on which a second thread waits.
/// Takes about a quarter of a second, and never more than one.
///
/// # Errors
/// When this machine has no loopback or no second thread.
pub fn probe_timing() -> Result<TimingReport, SocketError> {
    let default = Dscp::from_tos(0);
    let bind = |local: IpAddr| ProbeSocket::bind(local, 0..=0, default);
    let sender = bind(Ipv4Addr::LOCALHOST.into()).or_else(|_| bind(Ipv6Addr::LOCALHOST.into()))?;
    let receiver = ProbeSocket::bind_reflector(SocketAddr::new(sender.local_addr().ip(), 0))?;
    let waker = Waker::new().map_err(SocketError::Open)?;
    let ending = AtomicBool::new(false);
    let until = Instant::now() + LIMIT;
    let methods = Methods { sent: sender.methods().sent, received: receiver.methods().received };
    let (sent, received) = thread::scope(|scope| {
        let (from, other) = (sender.local_addr(), waker.clone());
        let (receiver, ending) = (&receiver, &ending);
        let receiving = thread::Builder::new()
            .name("timing".to_owned())
            .spawn_scoped(scope, move || receive(receiver, from, &other, ending, until))
            .map_err(SocketError::Open)?;
        let sent = send(&sender, receiver.local_addr(), until);
        ending.store(true, Ordering::Release);
        waker.wake();
        let received = receiving.join().unwrap_or_else(|_| Ok(Lags::default()))?;
        Ok((sent?, received))
    })?;
    Ok(report(methods, sent, received))
}

fn report(methods: Methods, (send_lags, timer_lags): (Lags, Lags), received: Lags) -> TimingReport {
    let datagrams = u32::try_from(received.0.len()).unwrap_or(u32::MAX);
    let (receive_lag_p50, receive_lag_p99) = received.percentiles();
    let (send_lag_p50, send_lag_p99) = send_lags.percentiles();
    let (timer_lag_p50, timer_lag_p99) = timer_lags.percentiles();
    TimingReport {
        methods,
        datagrams,
        receive_lag_p50,
        receive_lag_p99,
        send_lag_p50,
        send_lag_p99,
        timer_lag_p50,
        timer_lag_p99,
    }
}

/// Sends on deadlines, each datagram with the moment that the process believes to send it. Returns the
/// lags of sending and of the timer.
fn send(socket: &ProbeSocket, to: SocketAddr, until: Instant) -> Result<(Lags, Lags), SocketError> {
    // Of its own: nobody ends these waits.
    let waker = Waker::new().map_err(SocketError::Open)?;
    let (mut send_lags, mut timer_lags) = (Lags::default(), Lags::default());
    let start = Instant::now();
    for number in 1..=DATAGRAMS {
        let deadline = start + INTERVAL * number;
        if deadline >= until {
            break;
        }
        while Instant::now() < deadline {
            wait(&[], &waker, Some(deadline)).map_err(SocketError::Receive)?;
        }
        timer_lags.0.push(deadline.elapsed());
        let read_ns = wall_ns();
        let id = match socket.try_send_to(&read_ns.to_be_bytes(), to, 0) {
            Ok(id) => id,
            Err(error) if error.is_queue_full() => continue,
            Err(error) => return Err(error),
        };
        while let Some(sent) = socket.try_next_sent()? {
            if sent.id == id {
                send_lags.push(read_ns, sent.at_ns);
            }
        }
    }
    Ok((send_lags, timer_lags))
}

/// Receives until the sender has ended. Returns the lags of receiving.
fn receive(
    socket: &ProbeSocket,
    from: SocketAddr,
    waker: &Waker,
    ending: &AtomicBool,
    until: Instant,
) -> Result<Lags, SocketError> {
    let mut lags = Lags::default();
    let mut buffer = [0; OCTETS];
    loop {
        // Read before the queue is emptied, so that what was sent before is in it.
        let last = ending.load(Ordering::Acquire) || Instant::now() >= until;
        // More than were sent come from elsewhere.
        for _ in 0..=DATAGRAMS {
            let Some(received) = socket.try_recv(&mut buffer)? else { break };
            let read_ns = wall_ns();
            if received.from != from {
                continue;
            }
            match received.method {
                TimestampMethod::User => lags.push(i64::from_be_bytes(buffer), read_ns),
                TimestampMethod::Kernel | TimestampMethod::Hardware => {
                    lags.push(received.at_ns, read_ns);
                }
            }
        }
        if last {
            return Ok(lags);
        }
        wait(&[socket], waker, Some(until)).map_err(SocketError::Receive)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lags(range: std::ops::RangeInclusive<u64>) -> Lags {
        Lags(range.rev().map(Duration::from_micros).collect())
    }

    #[test]
    fn percentiles_are_readings_that_were_made() {
        let us = |us| Some(Duration::from_micros(us));
        assert_eq!(lags(1..=200).percentiles(), (us(100), us(198)));
        assert_eq!(lags(1..=1).percentiles(), (us(1), us(1)));
        assert_eq!(Lags::default().percentiles(), (None, None));
        let mut stepped = Lags::default();
        stepped.push(5, 4);
        assert_eq!(stepped.percentiles(), (None, None));
    }

    #[test]
    fn without_kernel_stamps_the_report_still_says_how_late_readings_are() {
        let methods = Methods { sent: TimestampMethod::User, received: TimestampMethod::User };
        let report = report(methods, (Lags::default(), lags(1..=100)), lags(1..=10));
        assert_eq!(report.datagrams, 10);
        assert_eq!(report.receive_lag_p99, Some(Duration::from_micros(10)));
        assert_eq!(report.timer_lag_p50, Some(Duration::from_micros(50)));
        assert_eq!((report.send_lag_p50, report.send_lag_p99), (None, None));
    }

    #[test]
    fn this_machine_times_its_datagrams() {
        let report = probe_timing().unwrap();
        assert!(report.datagrams > 0);
        assert!(report.receive_lag_p50.is_some() && report.timer_lag_p50.is_some());
        assert!(report.receive_lag_p50 <= report.receive_lag_p99);
        assert!(report.timer_lag_p50 <= report.timer_lag_p99);
        let kernel = report.methods.sent == TimestampMethod::Kernel;
        assert_eq!(report.send_lag_p50.is_some(), kernel);
    }
}
