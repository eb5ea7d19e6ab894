//! Answers probes on one address.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use busyhour_daemon::chain;
use busyhour_net::{ProbeSocket, Received, SocketError};
use busyhour_probe::{Datagram, MAX_REQUEST, Reflector, ReflectorConfig, ReflectorStats};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// Requests taken in a row before others get their turn.
const MAX_IN_A_ROW: usize = 32;
/// How often counts are logged, when there is something new.
const REPORT: Duration = Duration::from_secs(3600);
/// How long nothing is said of drops after the first warning.
const FIRST_QUIET: Duration = Duration::from_secs(60);
/// A socket that fails is left alone for so long.
const PAUSE: Duration = Duration::from_secs(1);

/// One listening socket with its engine.
#[derive(Debug)]
pub(crate) struct Responder {
    socket: ProbeSocket,
    engine: Reflector,
    clock: Clock,
    /// Answers that the system did not take.
    unsent: u64,
    /// Datagrams that claim to be from this socket.
    dropped_own: u64,
    drops: QueueDrops,
}

impl Responder {
    /// Opens the socket.
    pub(crate) fn bind(listen: SocketAddr, clock: Clock) -> Result<Self, SocketError> {
        let socket = ProbeSocket::bind_reflector(listen)?;
        let engine = Reflector::new(ReflectorConfig::default());
        let drops = QueueDrops::default();
        Ok(Self { socket, engine, clock, unsent: 0, dropped_own: 0, drops })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr()
    }

    /// Runs until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        // One octet more than any request, so that larger ones are seen as such.
        let mut buffer = vec![0; MAX_REQUEST + 1];
        let mut report = tokio::time::interval(REPORT);
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reported = Counts::default();
        loop {
            // All branches are cancel-safe.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = report.tick() => self.report(&mut reported),
                received = self.socket.recv(&mut buffer) => {
                    let served = received.and_then(|first| self.serve(&first, &mut buffer));
                    if let Err(error) = served {
                        tracing::warn!(error = %chain(&error), "the reflector cannot receive");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
        self.report(&mut reported);
    }

    /// Answers a request and those that wait behind it.
    fn serve(&mut self, first: &Received, buffer: &mut [u8]) -> Result<(), SocketError> {
        // Read once for all: what the engine does with it is coarser than what these few take.
        let now = self.clock.now().monotonic;
        self.answer(first, buffer, now);
        for _ in 1..MAX_IN_A_ROW {
            let Some(next) = self.socket.try_recv(buffer)? else { break };
            self.answer(&next, buffer, now);
        }
        Ok(())
    }

    fn answer(&mut self, received: &Received, buffer: &[u8], now: Instant) {
        if let Some(dropped) = self.drops.take(received.queue_drops, now) {
            tracing::warn!(
                listen = %self.address(),
                dropped,
                "the reflector is too slow: requests were dropped from a full receive queue, which \
                 their senders see as loss on the way here"
            );
        }
        if self.is_own(received) {
            self.dropped_own += 1;
            return;
        }
        let request = Datagram {
            bytes: &buffer[..received.len.min(buffer.len())],
            from: received.from,
            at_ns: received.at_ns,
            method: received.method,
            tos: received.tos,
            ttl: received.ttl,
        };
        let Some(mut reply) = self.engine.handle(&request, now) else { return };
        reply.stamp_transmit(busyhour_net::wall_ns());
        if self.socket.try_reply(reply.bytes(), received, reply.tos()).is_err() {
            self.unsent += 1;
        }
    }

    /// True for a datagram that claims to be from this very socket.
    fn is_own(&self, received: &Received) -> bool {
        let listen = self.address();
        received.from.port() == listen.port()
            && received.from.ip() == received.to.unwrap_or(listen.ip())
    }

    fn report(&self, reported: &mut Counts) {
        let counts = self.counts();
        let stats = &counts.engine;
        if counts != *reported {
            tracing::info!(
                listen = %self.address(),
                answered = stats.answered,
                stateless = stats.stateless,
                dropped_short = stats.dropped_short,
                dropped_oversized = stats.dropped_oversized,
                dropped_portless = stats.dropped_portless,
                dropped_answers = stats.dropped_answers,
                dropped_rate = stats.dropped_rate,
                dropped_own = counts.dropped_own,
                queue_drops = counts.queue_drops,
                unsent = counts.unsent,
                sessions = self.engine.sessions(),
                sessions_displaced = stats.sessions_displaced,
                "reflector counts"
            );
            *reported = counts;
        }
    }

    const fn counts(&self) -> Counts {
        Counts {
            engine: self.engine.stats(),
            unsent: self.unsent,
            dropped_own: self.dropped_own,
            queue_drops: self.drops.count,
        }
    }
}

/// Everything that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    engine: ReflectorStats,
    unsent: u64,
    dropped_own: u64,
    queue_drops: u64,
}

/// Requests that the socket dropped from its full queue, and when to warn of them.
#[derive(Debug, Default)]
struct QueueDrops {
    /// The socket's own count, which wraps.
    seen: u32,
    count: u64,
    warned: u64,
    /// The last warning, and how long there is none after it.
    quiet: Option<(Instant, Duration)>,
}

impl QueueDrops {
    /// Takes the socket's count. Returns the drops to warn of: at once, then after pauses that double
    /// up to the longest; after one without drops at once again.
    fn take(&mut self, total: u32, now: Instant) -> Option<u64> {
        let new = total.wrapping_sub(self.seen);
        if new == 0 {
            return None;
        }
        self.seen = total;
        self.count += u64::from(new);
        let pause = match self.quiet {
            Some((since, pause)) if now < since + pause => return None,
            Some((since, pause)) if now < since + pause + REPORT => (pause * 2).min(REPORT),
            _ => FIRST_QUIET,
        };
        self.quiet = Some((now, pause));
        Some(self.count - std::mem::replace(&mut self.warned, self.count))
    }
}

#[cfg(test)]
mod tests {
    use busyhour_model::BootId;

    use super::*;

    #[test]
    fn queue_drops_are_counted_and_warned_of_ever_more_seldom() {
        let mut drops = QueueDrops::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(drops.take(0, at(0)), None);
        assert_eq!(drops.take(3, at(1)), Some(3));
        assert_eq!(drops.take(3, at(2)), None);
        assert_eq!(drops.take(5, at(60)), None, "quiet for a minute");
        assert_eq!(drops.take(6, at(61)), Some(3));
        let warnings = (62..100_000).filter(|&s| drops.take(s as u32, at(s)).is_some()).count();
        assert!((25..40).contains(&warnings), "{warnings} warnings in a bad day");
        assert_eq!(drops.count, 99_999);
        assert_eq!(drops.take(100_000, at(120_000)).map(|new| new > 0), Some(true));
        assert_eq!(drops.take(100_001, at(120_060)), Some(1), "the pauses are short again");
        assert_eq!(drops.take(2, at(200_000)), Some((1 << 32) - 99_999), "the count wraps");
    }

    #[tokio::test]
    async fn a_datagram_from_the_socket_itself_is_dropped_and_others_are_answered() {
        let boot: BootId = "6f1ed002-ab5e-4c0e-9d2c-0d9b8e4c3a10".parse().unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut responder = Responder::bind(listen, Clock::with_boot(boot)).unwrap();
        let mut buffer = vec![0; MAX_REQUEST + 1];
        responder.socket.try_send_to(&[0; 44], responder.address(), 0).unwrap();
        let own = responder.socket.recv(&mut buffer).await.unwrap();
        responder.serve(&own, &mut buffer).unwrap();
        assert_eq!((responder.dropped_own, responder.counts().engine.answered), (1, 0));

        let other = std::net::UdpSocket::bind(listen).unwrap();
        other.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        other.send_to(&[0; 44], responder.address()).unwrap();
        let request = responder.socket.recv(&mut buffer).await.unwrap();
        responder.serve(&request, &mut buffer).unwrap();
        assert_eq!(other.recv(&mut buffer).unwrap(), 44);
        assert_eq!(responder.counts().engine.answered, 1);
    }
}
