//! Answers probes on one address.

use std::net::SocketAddr;
use std::time::Duration;

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
}

impl Responder {
    /// Opens the socket.
    pub(crate) fn bind(listen: SocketAddr, clock: Clock) -> Result<Self, SocketError> {
        let socket = ProbeSocket::bind_reflector(listen)?;
        let engine = Reflector::new(ReflectorConfig::default());
        Ok(Self { socket, engine, clock, unsent: 0 })
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
        let mut reported = ReflectorStats::default();
        loop {
            // All branches are cancel-safe.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = report.tick() => self.report(&mut reported),
                received = self.socket.recv(&mut buffer) => {
                    let served = received.and_then(|first| self.serve(first, &mut buffer));
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
    fn serve(&mut self, first: Received, buffer: &mut [u8]) -> Result<(), SocketError> {
        let mut next = Some(first);
        for _ in 0..MAX_IN_A_ROW {
            let Some(received) = next else { break };
            self.answer(&received, &buffer[..received.len.min(buffer.len())]);
            next = self.socket.try_recv(buffer)?;
        }
        match next {
            Some(received) => {
                self.answer(&received, &buffer[..received.len.min(buffer.len())]);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn answer(&mut self, received: &Received, bytes: &[u8]) {
        let request = Datagram {
            bytes,
            from: received.from,
            at_ns: received.at_ns,
            method: received.method,
            tos: received.tos,
            ttl: received.ttl,
        };
        let now = self.clock.now().monotonic;
        let Some(mut reply) = self.engine.handle(&request, now) else { return };
        reply.stamp_transmit(busyhour_net::paired_now().wall_ns);
        if self.socket.try_reply(reply.bytes(), received, reply.tos()).is_err() {
            self.unsent += 1;
        }
    }

    fn report(&self, reported: &mut ReflectorStats) {
        let stats = self.engine.stats();
        if stats != *reported {
            tracing::info!(
                listen = %self.address(),
                answered = stats.answered,
                stateless = stats.stateless,
                dropped_short = stats.dropped_short,
                dropped_oversized = stats.dropped_oversized,
                unsent = self.unsent,
                sessions = self.engine.sessions(),
                "reflector counts"
            );
            *reported = stats;
        }
    }
}
