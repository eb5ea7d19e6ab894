//! Probes one target: paces packets, closes windows, records them.

mod names;
mod phase;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use busyhour_daemon::chain;
use busyhour_host::{HostError, Route, local_address, route_to};
use busyhour_model::{
    AddressFamily, AgentId, Body, BootMicros, Context, GapReason, InvalidPath, InvalidRecord, Link,
    PathKey, ProfileName, Record, Stamp, Transport, UtcMicros, Window,
};
use busyhour_net::{ProbeSocket, Received, SocketError};
use busyhour_probe::{Datagram, InvalidProfile, Observation, Profile, Sender, SenderConfig};
use busyhour_wire::ErrorEstimate;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Moment};
use crate::config::Target;
use crate::gap::{Span, between};
use crate::load::Links;
use crate::resolve::TIMEOUT;
use crate::spool::{Observed, Recorder};

pub(crate) use names::{Addresses, watch_name};

/// The client ports that Microsoft Teams uses for audio (QoS in Teams, port ranges), so that the
/// network treats probes like calls.
const SOURCE_PORTS: RangeInclusive<u16> = 50_000..=50_019;
/// How often a session looks whether it still leaves the machine the same way.
const LOOK: Duration = Duration::from_secs(5);
/// How long a session that ends waits for its last answers: a long way there and back.
const LAST_ANSWERS: Duration = Duration::from_millis(300);
/// Answers are as long as requests; anything longer is none.
const BUFFER: usize = 2048;
/// Answers taken in a row before the next packet gets its turn.
const MAX_IN_A_ROW: usize = 32;
/// Packets a second and bytes, as the profile's name has them; see [`Profile::audio`].
const RATE: u32 = 50;
const IP_PACKET_BYTES: u16 = 145;
const PROFILE: &str = "audio-50";

/// Why a window could not begin.
#[derive(Debug, Error)]
enum ProbeError {
    #[error("the target's name has not resolved so far")]
    Unresolved,
    #[error("no address of the target can be reached")]
    Route(#[source] HostError),
    #[error("the probe's socket cannot be opened")]
    Socket(#[source] SocketError),
    #[error("the way to the target cannot be named")]
    Path(#[source] InvalidPath),
    #[error("looking at the machine was interrupted")]
    Look,
}

/// Why a session ended.
#[derive(Debug)]
enum Ended {
    /// The agent stops.
    Stopped,
    /// The machine slept, its clock stepped, or packets now leave another way.
    Changed(&'static str),
    /// The socket does not work.
    Broken(SocketError),
}

/// The way to the target for as long as it stays the same.
#[derive(Debug)]
struct Way {
    peer: SocketAddr,
    route: Route,
    path: PathKey,
    context: Context,
    socket: ProbeSocket,
}

/// Probes one target until told to stop.
#[derive(Debug)]
pub(crate) struct Session {
    /// Its place in the configuration.
    pub(crate) number: usize,
    pub(crate) agent: AgentId,
    pub(crate) target: Target,
    pub(crate) addresses: watch::Receiver<Addresses>,
    pub(crate) clock: Clock,
    pub(crate) links: Links,
    pub(crate) recorder: Recorder,
}

impl Session {
    /// A session's profile.
    pub(crate) fn profile(target: &Target) -> Result<Profile, InvalidProfile> {
        Profile::new(RATE, IP_PACKET_BYTES, target.class.dscp(), target.window, target.period)
    }

    /// Runs until `stop`.
    pub(crate) async fn run(mut self, profile: Profile, stop: CancellationToken) {
        let mut known: Option<PathKey> = None;
        loop {
            // Looking for the way changes nothing, so it may be dropped at any point.
            let way = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                way = self.prepare() => way,
            };
            match way {
                Ok(way) => {
                    known = Some(way.path.clone());
                    match self.probe(&way, profile, &stop).await {
                        Ended::Stopped => return,
                        Ended::Changed(what) => {
                            tracing::info!(session = self.number, what, "the context changed");
                        }
                        Ended::Broken(error) => {
                            self.interrupted(&error);
                            pause(LOOK, &stop).await;
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(session = self.number, error = %chain(&error), "a window is skipped");
                    self.skip(known.as_ref(), &stop).await;
                }
            }
        }
    }

    fn interrupted(&self, error: &SocketError) {
        tracing::warn!(session = self.number, error = %chain(error), "probing was interrupted");
    }

    /// Finds the way to the target and opens a socket on it.
    async fn prepare(&mut self) -> Result<Way, ProbeError> {
        let known = self.addresses.wait_for(|addresses| !addresses.is_empty());
        let candidates = match tokio::time::timeout(TIMEOUT, known).await {
            Ok(Ok(addresses)) => addresses.clone(),
            Ok(Err(_)) | Err(_) => return Err(ProbeError::Unresolved),
        };
        let look = tokio::task::spawn_blocking(move || first_route(&candidates));
        let (peer, route) = look.await.map_err(|_| ProbeError::Look)?.map_err(ProbeError::Route)?;
        let link = Link::new(route.kind, route.interface.as_str()).map_err(ProbeError::Path)?;
        let path = PathKey {
            link,
            family: if peer.is_ipv4() { AddressFamily::Ipv4 } else { AddressFamily::Ipv6 },
            target: self.target.name.clone(),
            class: self.target.class,
            profile: ProfileName::new(PROFILE).map_err(ProbeError::Path)?,
            transport: Transport::Udp,
        };
        let socket = ProbeSocket::bind(route.local, SOURCE_PORTS, self.target.class.dscp())
            .map_err(ProbeError::Socket)?;
        self.links.use_interface(self.number, &route.interface);
        let local_prefix = Some(route.prefix);
        let context = Context { local_prefix, resolved: Some(peer), reflexive: None };
        let methods = socket.methods();
        tracing::info!(
            session = self.number,
            link = %path.link.kind(),
            source_port = socket.local_addr().port(),
            sent_by = methods.sent.as_str(),
            received_by = methods.received.as_str(),
            "probing"
        );
        tracing::debug!(session = self.number, target = %path.target, %peer, prefix = %route.prefix, "probing");
        Ok(Way { peer, route, path, context, socket })
    }

    /// Probes along one way until something changes.
    async fn probe(&mut self, way: &Way, profile: Profile, stop: &CancellationToken) -> Ended {
        let begun = self.clock.now();
        let start = begun.monotonic + self.until_window(&begun);
        let config = SenderConfig {
            profile,
            peer: way.peer,
            ssid: fastrand::u16(1..),
            error_estimate: ErrorEstimate::UNSYNCHRONIZED,
        };
        let mut sender = Sender::new(config, start);
        let mut buffer = [0; BUFFER];
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked = begun;
        let ended = loop {
            let now = busyhour_net::paired_now();
            transmit(&mut sender, &way.socket, now);
            while let Some(observation) = sender.poll_event(now.monotonic) {
                self.record(way, observation);
            }
            let Some(deadline) = sender.poll_deadline() else { break Ended::Stopped };
            // All branches are cancel-safe.
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ended::Stopped,
                received = way.socket.recv(&mut buffer) => {
                    let taken = received.and_then(|first| {
                        receive(&mut sender, &way.socket, first, &mut buffer)
                    });
                    if let Err(error) = taken {
                        break Ended::Broken(error);
                    }
                }
                stamp = way.socket.next_sent() => match stamp {
                    Ok(sent) => sender.handle_stamp(sent.id, sent.at_ns, sent.method),
                    Err(error) => break Ended::Broken(error),
                },
                _ = look.tick() => {
                    let now = self.clock.now();
                    if let Some(what) = self.changed(way, &looked, &now) {
                        break Ended::Changed(what);
                    }
                    looked = now;
                }
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
        };
        if matches!(ended, Ended::Stopped) {
            await_last_answers(&mut sender, &way.socket, &mut buffer).await;
        }
        let now = self.clock.now().monotonic;
        sender.finish(now);
        while let Some(observation) = sender.poll_event(now) {
            self.record(way, observation);
        }
        let stats = sender.stats();
        tracing::debug!(session = self.number, ?stats, "session ended");
        ended
    }

    /// What is not as it was when the session looked last.
    fn changed(&self, way: &Way, looked: &Moment, now: &Moment) -> Option<&'static str> {
        if !between(looked, now).is_empty() {
            return Some("the clocks");
        }
        if !self.addresses.borrow().contains(&way.peer) {
            return Some("the target's address");
        }
        let local = local_address(way.peer);
        (!local.is_ok_and(|local| local == way.route.local)).then_some("the route")
    }

    /// Records a window. One in which the machine slept or its clock stepped says nothing about the
    /// network: the gap record tells of it.
    fn record(&self, way: &Way, observation: Observation) {
        let started: Moment = observation.started.into();
        if !between(&started, &self.clock.now()).is_empty() {
            tracing::debug!(session = self.number, "a window across a gap is discarded");
            return;
        }
        match self.window(way, &started, observation) {
            Ok(record) => {
                let schedule = self.target.schedule();
                self.recorder.record(Observed { record, schedule });
            }
            Err(error) => {
                tracing::error!(session = self.number, error = %chain(&error), "a window contradicts itself");
            }
        }
    }

    fn window(
        &self,
        way: &Way,
        started: &Moment,
        observation: Observation,
    ) -> Result<Record, InvalidRecord> {
        let duration_us = u64::try_from(observation.duration.as_micros()).unwrap_or(u64::MAX);
        let stamp = Stamp::new(started.wall, started.boot, self.clock.boot_id(), duration_us)?;
        let port = way.socket.local_addr().port();
        let window = Window::new(observation.into_parts(way.path.clone(), port))?;
        tracing::debug!(
            session = self.number,
            sent = window.counts.sent(),
            lost_up = window.counts.lost_up(),
            lost_down = window.counts.lost_down(),
            lost_unknown = window.counts.lost_unknown(),
            rtt_median_us = window.rtt_median_us,
            "window"
        );
        Ok(Record {
            stamp,
            schedule: self.target.schedule().revision,
            context: way.context.clone(),
            body: Body::Window(Box::new(window)),
        })
    }

    /// Waits until the next window is over and says that there was none.
    async fn skip(&self, path: Option<&PathKey>, stop: &CancellationToken) {
        let now = self.clock.now();
        let until_start = self.until_window(&now);
        pause(until_start + self.target.window, stop).await;
        if stop.is_cancelled() {
            return;
        }
        let after = self.clock.now();
        if !between(&now, &after).is_empty() {
            return;
        }
        let start_us = u64::try_from(until_start.as_micros()).unwrap_or(0);
        let span = Span {
            reason: GapReason::Unresolved,
            started: UtcMicros(now.wall.plus(until_start).0),
            started_boot: BootMicros(now.boot.0.saturating_add(start_us)),
            length: self.target.window,
        };
        let schedule = self.target.schedule();
        for record in span.records(&self.clock, schedule, path, Some(1)) {
            self.recorder.record(Observed { record, schedule });
        }
    }

    /// From now to the beginning of this session's next window. The grid lies on the wall clock, so
    /// that it stays where it is through restarts.
    fn until_window(&self, now: &Moment) -> Duration {
        let name = self.target.name.as_str();
        let offset = phase::offset(self.agent, name, self.target.class, self.target.period);
        phase::until_next(now.wall, self.target.period, offset)
    }
}

/// Waits, but not for longer than until `stop`.
async fn pause(length: Duration, stop: &CancellationToken) {
    // Both branches are cancel-safe.
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = tokio::time::sleep(length) => {}
    }
}

/// Sends what is due.
fn transmit(sender: &mut Sender, socket: &ProbeSocket, now: busyhour_model::ClockPair) {
    while let Some(packet) = sender.poll_transmit(now) {
        let sequence = packet.sequence;
        match socket.try_send_to(packet.bytes, packet.to, packet.tos) {
            Ok(id) => sender.sent(sequence, Some(id)),
            // Counted by the sender as scheduled and not sent.
            Err(_) => sender.not_sent(sequence),
        }
    }
}

/// Receives what is still on its way when nothing more is sent, so that a packet sent at the very
/// end counts as what it is.
async fn await_last_answers(sender: &mut Sender, socket: &ProbeSocket, buffer: &mut [u8]) {
    let answers = async {
        while sender.awaits_answer() {
            let received = socket.recv(buffer).await;
            if received.and_then(|first| receive(sender, socket, first, buffer)).is_err() {
                return;
            }
        }
    };
    // What has not come by then does not count, either way.
    let _ = tokio::time::timeout(LAST_ANSWERS, answers).await;
}

/// Takes an answer and those that wait behind it.
fn receive(
    sender: &mut Sender,
    socket: &ProbeSocket,
    first: Received,
    buffer: &mut [u8],
) -> Result<(), SocketError> {
    let mut received = first;
    for _ in 0..MAX_IN_A_ROW {
        sender.handle_queue_drops(received.queue_drops);
        let datagram = Datagram {
            bytes: &buffer[..received.len.min(buffer.len())],
            from: received.from,
            at_ns: received.at_ns,
            method: received.method,
            tos: received.tos,
            ttl: received.ttl,
        };
        // What became of it is in the sender's counts.
        let _ = sender.handle_reply(&datagram, busyhour_net::paired_now());
        match socket.try_recv(buffer)? {
            Some(next) => received = next,
            None => return Ok(()),
        }
    }
    Ok(())
}

/// The first address that there is a route to.
fn first_route(candidates: &[SocketAddr]) -> Result<(SocketAddr, Route), HostError> {
    let mut failed = None;
    for &peer in candidates {
        match route_to(peer) {
            Ok(route) => return Ok((peer, route)),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or(HostError::Interfaces(std::io::ErrorKind::NotFound.into())))
}
