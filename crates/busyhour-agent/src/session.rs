//! Probes one target: paces packets, closes windows, records them.

mod names;
mod phase;

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use busyhour_daemon::chain;
use busyhour_host::{HostError, Route, default_route, local_address, route_to};
use busyhour_model::{
    AddressFamily, AgentId, Body, BootMicros, Context, GapReason, InvalidPath, InvalidRecord, Link,
    LinkKind, PathKey, ProfileName, Record, Stamp, Transport, UtcMicros, Window,
};
use busyhour_net::{ProbeSocket, Received, SocketError};
use busyhour_probe::{Datagram, InvalidProfile, Observation, Profile, Sender, SenderConfig};
use busyhour_wire::ErrorEstimate;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::blocking::blocking;
use crate::clock::{Clock, Moment};
use crate::config::Target;
use crate::gap::{Span, between};
use crate::load::Links;
use crate::spool::{Observed, Recorder};

pub(crate) use names::{Addresses, watch_name};

/// The client ports that Microsoft Teams uses for audio (QoS in Teams, port ranges), so that the
/// network treats probes like calls.
const SOURCE_PORTS: RangeInclusive<u16> = 50_000..=50_019;
/// How often a session looks whether it still leaves the machine the same way.
const LOOK: Duration = Duration::from_secs(5);
/// How long a session that ends waits for its last answers: a long way there and back.
const LAST_ANSWERS: Duration = Duration::from_millis(300);
/// A name that did not resolve within this time is a gap; the answer is waited for all the same.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A window that began no longer ago than this may still begin: five packets of 750 are missing then.
const LATEST_BEGINNING: Duration = Duration::from_millis(100);
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
}

impl ProbeError {
    /// True when this machine has no way to the target: an outage wherever there was one before.
    fn is_outage(&self) -> bool {
        match self {
            Self::Route(HostError::NoRoute { .. }) => true,
            Self::Socket(error) => error.is_address_gone(),
            Self::Route(_) | Self::Unresolved | Self::Path(_) => false,
        }
    }

    /// What a window that could not begin is missing for.
    const fn reason(&self) -> GapReason {
        match self {
            Self::Unresolved => GapReason::Unresolved,
            Self::Route(_) | Self::Socket(_) | Self::Path(_) => GapReason::NotRunning,
        }
    }
}

/// Why a session ended.
#[derive(Debug)]
enum Ended {
    /// The agent stops.
    Stopped,
    /// Packets now leave another way.
    Changed(&'static str),
    /// The machine slept or its clock stepped, at some point after this one.
    Disturbed(Instant),
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
        let mut known: Option<Way> = None;
        let mut missing = Missing { from: self.clock.now(), reason: GapReason::Unresolved };
        loop {
            // Looking for the way changes nothing, so it may be dropped at any point.
            let way = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                way = self.prepare() => way,
            };
            match way {
                Ok(way) => known = Some(way),
                Err(error) => {
                    let outage = known.is_some() && error.is_outage();
                    tracing::warn!(session = self.number, error = %chain(&error), outage, "no way to the target");
                    if !outage {
                        missing.reason = error.reason();
                        self.skip(&mut missing, known.as_ref(), &stop).await;
                        continue;
                    }
                }
            }
            // During an outage of this machine the way is the last one, on which all is lost.
            let Some(way) = &known else { continue };
            let begun = self.clock.now();
            let latest = begun.wall.minus(LATEST_BEGINNING);
            let first = self.window_from(missing.from.wall.max(latest));
            self.tell_missing(&mut missing, first, &begun, Some(&way.path));
            let start = instant_of(first, &begun);
            let ended = self.probe(way, profile, start, &stop).await;
            missing = Missing { from: self.clock.now(), reason: GapReason::NotRunning };
            match ended {
                Ended::Stopped => return,
                Ended::Changed(what) => {
                    tracing::info!(session = self.number, what, "the context changed");
                }
                Ended::Disturbed(_) => {
                    tracing::info!(
                        session = self.number,
                        what = "the clocks",
                        "the context changed"
                    );
                }
                Ended::Broken(error) => {
                    tracing::warn!(session = self.number, error = %chain(&error), "probing was interrupted");
                    pause(LOOK, &stop).await;
                }
            }
        }
    }

    /// Finds the way to the target and opens a socket on it.
    async fn prepare(&mut self) -> Result<Way, ProbeError> {
        let known = self.addresses.wait_for(|addresses| !addresses.is_empty());
        let addresses = match tokio::time::timeout(TIMEOUT, known).await {
            Ok(Ok(addresses)) => addresses.clone(),
            Ok(Err(_)) | Err(_) => return Err(ProbeError::Unresolved),
        };
        let candidates = self.peers(&addresses);
        let (peer, route) =
            blocking(move || first_route(&candidates)).await.map_err(ProbeError::Route)?;
        let path = self.path(route.kind, &route.interface, family(peer.ip()))?;
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

    /// The path over a link.
    fn path(
        &self,
        kind: LinkKind,
        interface: &str,
        family: AddressFamily,
    ) -> Result<PathKey, ProbeError> {
        Ok(PathKey {
            link: Link::new(kind, interface).map_err(ProbeError::Path)?,
            family,
            target: self.target.name.clone(),
            class: self.target.class,
            profile: ProfileName::new(PROFILE).map_err(ProbeError::Path)?,
            transport: Transport::Udp,
        })
    }

    /// The host's addresses with the target's port.
    fn peers(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let peer = |mut address: SocketAddr| {
            address.set_port(self.target.port);
            address
        };
        addresses.iter().copied().map(peer).collect()
    }

    /// Probes along one way until something changes; the first window begins at `start`.
    async fn probe(
        &self,
        way: &Way,
        profile: Profile,
        start: Instant,
        stop: &CancellationToken,
    ) -> Ended {
        let config = SenderConfig {
            profile,
            peer: way.peer,
            ssid: fastrand::u16(1..),
            error_estimate: ErrorEstimate::UNSYNCHRONIZED,
        };
        let mut sender = Sender::new(config, start);
        let mut buffer = [0; BUFFER];
        let mut look = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked = self.clock.now();
        let ended = loop {
            let now = busyhour_net::paired_now();
            if !between(&looked, &now.into()).is_empty() {
                break Ended::Disturbed(looked.monotonic);
            }
            looked = now.into();
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
                    let peers = self.peers(&self.addresses.borrow());
                    let local = |peer| local_address(peer).ok();
                    if let Some(what) = changed(way.peer, way.route.local, &peers, local) {
                        break Ended::Changed(what);
                    }
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
            if is_undisturbed(&observation, &ended) {
                self.record(way, observation);
            } else {
                tracing::debug!(session = self.number, "a window across a gap is discarded");
            }
        }
        let stats = sender.stats();
        tracing::debug!(session = self.number, ?stats, "session ended");
        ended
    }

    fn record(&self, way: &Way, observation: Observation) {
        match self.window(way, observation) {
            Ok(record) => {
                let schedule = self.target.schedule();
                self.recorder.record(Observed { record, schedule });
            }
            Err(error) => {
                tracing::error!(session = self.number, error = %chain(&error), "a window contradicts itself");
            }
        }
    }

    fn window(&self, way: &Way, observation: Observation) -> Result<Record, InvalidRecord> {
        let started: Moment = observation.started.into();
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
    async fn skip(&self, missing: &mut Missing, known: Option<&Way>, stop: &CancellationToken) {
        let over = self.window_from(missing.from.wall).plus(self.target.window);
        let left = over.since(self.clock.now().wall);
        pause(Duration::from_micros(u64::try_from(left).unwrap_or(0)), stop).await;
        if stop.is_cancelled() {
            return;
        }
        let guess;
        let path = if let Some(way) = known {
            Some(&way.path)
        } else {
            guess = self.guess_path().await;
            guess.as_ref()
        };
        let now = self.clock.now();
        // The first window that is not over.
        let first = now.wall.minus(self.target.window).plus(Duration::from_micros(1));
        self.tell_missing(missing, self.window_from(first), &now, path);
    }

    /// As much of the path as is known before any packet was sent: it leaves where everything else
    /// does.
    async fn guess_path(&self) -> Option<PathKey> {
        let route = blocking(default_route).await?;
        self.path(route.kind, &route.interface, family(route.local)).ok()
    }

    /// Says that there was nothing of the windows that should have begun before the one that begins
    /// at `first`; those that the machine slept through have a gap of their own.
    fn tell_missing(
        &self,
        missing: &mut Missing,
        first: UtcMicros,
        now: &Moment,
        path: Option<&PathKey>,
    ) {
        let (from, reason) = (missing.from, missing.reason);
        let earliest = self.window_from(from.wall);
        let schedule = self.target.schedule();
        let undisturbed = between(&from, now).is_empty();
        missing.from = if undisturbed { moved(&from, first.max(from.wall)) } else { *now };
        let windows = u64::try_from(first.since(earliest)).unwrap_or(0) / schedule.period_us.max(1);
        if !undisturbed || windows == 0 {
            return;
        }
        let last = first.minus(self.target.period);
        let started = moved(&from, earliest);
        let span = Span {
            reason,
            started: started.wall,
            started_boot: started.boot,
            length: duration(earliest, last) + self.target.window,
        };
        for record in span.records(&self.clock, schedule, path, Some(windows)) {
            self.recorder.record(Observed { record, schedule });
        }
    }

    /// The beginning of this session's first window at or after `wall`. The grid lies on the wall
    /// clock, so that it stays where it is through restarts.
    fn window_from(&self, wall: UtcMicros) -> UtcMicros {
        let name = self.target.name.as_str();
        let offset = phase::offset(self.agent, name, self.target.class, self.target.period);
        phase::next(wall, self.target.period, offset)
    }
}

/// Windows without a record.
#[derive(Debug)]
struct Missing {
    /// Those that should have begun before have one.
    from: Moment,
    /// Why there is nothing since.
    reason: GapReason,
}

/// A moment near another one, by the wall clock: at `wall`, as long as nothing disturbs the clocks.
fn moved(near: &Moment, wall: UtcMicros) -> Moment {
    let (ahead, behind) = (duration(near.wall, wall), duration(wall, near.wall));
    let monotonic = near.monotonic + ahead;
    let boot_us = near.boot.0.saturating_add_signed(wall.since(near.wall));
    Moment {
        monotonic: monotonic.checked_sub(behind).unwrap_or(monotonic),
        wall,
        boot: BootMicros(boot_us),
    }
}

fn instant_of(wall: UtcMicros, now: &Moment) -> Instant {
    moved(now, wall).monotonic
}

/// From one moment to a later one; nothing when it is earlier.
fn duration(from: UtcMicros, until: UtcMicros) -> Duration {
    Duration::from_micros(u64::try_from(until.since(from)).unwrap_or(0))
}

const fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Ipv4 } else { AddressFamily::Ipv6 }
}

/// Which way packets leave now, if it is not by `local` to `peer`. A machine that has no way at all
/// has no other way either: what it sends is lost, and that is what there is to record.
fn changed(
    peer: SocketAddr,
    local: IpAddr,
    peers: &[SocketAddr],
    local_address: impl Fn(SocketAddr) -> Option<IpAddr>,
) -> Option<&'static str> {
    if !peers.iter().any(|&peer| local_address(peer).is_some()) {
        return None;
    }
    if !peers.contains(&peer) {
        return Some("the target's address");
    }
    (local_address(peer) != Some(local)).then_some("the route")
}

/// True when neither sleep nor a step of the clock came before the window's end. Another window says
/// nothing about the network: the gap record tells of it.
fn is_undisturbed(observation: &Observation, ended: &Ended) -> bool {
    let end = observation.started.monotonic + observation.duration;
    !matches!(ended, Ended::Disturbed(after) if end > *after)
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
            Err(error) if error.is_queue_full() => sender.not_sent(sequence),
            Err(_) => sender.unreachable(sequence),
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
    let mut left = MAX_IN_A_ROW;
    loop {
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
        left -= 1;
        // What is not taken now stays in the socket's queue.
        if left == 0 {
            return Ok(());
        }
        match socket.try_recv(buffer)? {
            Some(next) => received = next,
            None => return Ok(()),
        }
    }
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

#[cfg(test)]
mod tests;
