//! Watches over the probing of one target: finds the way, has it probed, records what comes back.

mod board;
mod missing;
mod names;
mod phase;
mod way;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use busyhour_daemon::chain;
use busyhour_host::{default_route, local_address};
use busyhour_model::{
    AddressFamily, AgentId, Body, Context, Fact, GapReason, InvalidRecord, Link, LinkKind, PathKey,
    Record, Stamp, Transport, Window,
};
use busyhour_net::SocketError;
use busyhour_probe::{Observation, SenderConfig};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::blocking::blocking;
use crate::clock::{Clock, Moment};
use crate::config::Target;
use crate::gap::Span;
use crate::load::Links;
use crate::pause::Switch;
use crate::prober::{
    Began, Cause, Ended, Event, Finish, Missed, OnAddressGone, Order, Prober, Probing,
};
use crate::spool::{Observed, Recorder};
use missing::{Missing, instant_of};
use way::{ProbeError, Way, changed, family};

pub(crate) use board::{Board, LastWindow, SessionState, SessionView};
pub(crate) use names::{Addresses, PACE, watch_name};
pub(crate) use way::first_route;

/// How often a session looks whether it still leaves the machine the same way.
const LOOK: Duration = Duration::from_secs(5);
/// A name that did not resolve within this time is a gap; the answer is waited for all the same.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A window that began no longer ago than this may still begin: five packets of 750 are missing then.
const LATEST_BEGINNING: Duration = Duration::from_millis(100);
/// What a fact about the address behind a target's name is called.
const TARGET_ADDRESS: &str = "target-address";

/// Why a session ended.
#[derive(Debug)]
enum Over {
    /// The agent stops.
    Stopped,
    /// Packets now leave another way.
    Changed(&'static str),
    /// The machine's owner wants nothing measured.
    Paused,
    /// The machine slept or its clock stepped.
    Disturbed,
    /// The socket does not work.
    Broken(Arc<SocketError>),
}

/// Has one target probed until told to stop.
#[derive(Debug)]
pub(crate) struct Session {
    /// Its place in the configuration.
    pub(crate) number: usize,
    pub(crate) agent: AgentId,
    pub(crate) target: Target,
    pub(crate) addresses: watch::Receiver<Addresses>,
    pub(crate) clock: Clock,
    pub(crate) links: Links,
    pub(crate) board: Board,
    pub(crate) recorder: Recorder,
    pub(crate) prober: Prober,
    pub(crate) switch: Switch,
    /// Since when there is nothing of it, where another one was ended before.
    pub(crate) since: Option<Moment>,
}

impl Session {
    /// Runs until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut known: Option<Way> = None;
        let mut missing = match self.since {
            Some(from) => Missing { from, reason: GapReason::NotRunning },
            None => Missing { from: self.clock.now(), reason: GapReason::Unresolved },
        };
        self.board.enter(self.number, &self.target);
        loop {
            if self.switch.pause().is_some() {
                self.rest(&mut missing, known.as_ref(), &stop).await;
            }
            // Looking for the way changes nothing, so it may be dropped at any point.
            let found = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                found = self.prepare() => found,
            };
            let begun = self.begin(found, known.as_ref(), &missing).await;
            let (way, probing, began) = match begun {
                Ok(begun) => begun,
                Err(error) => {
                    tracing::warn!(session = self.number, error = %chain(&error), "no way to the target");
                    missing.reason = error.reason();
                    self.board.wait(self.number, missing.reason);
                    self.skip(&mut missing, known.as_ref(), &stop).await;
                    continue;
                }
            };
            self.tell_missing(&mut missing, began.first, &began.at, Some(&way.path));
            self.tell_address(known.as_ref(), &way, &began.at);
            self.board.probe(self.number, way.peer, &way.path.link, &began.began);
            let over = self.probe(&way, probing, &began.began, &stop).await;
            known = Some(way);
            missing = Missing { from: self.clock.now(), reason: GapReason::NotRunning };
            match over {
                Over::Stopped => return,
                Over::Paused => {}
                Over::Changed(what) => {
                    tracing::info!(session = self.number, what, "the context changed");
                }
                Over::Disturbed => {
                    let what = "the clocks";
                    tracing::info!(session = self.number, what, "the context changed");
                }
                Over::Broken(error) => {
                    tracing::warn!(session = self.number, error = %chain(&*error), "probing was interrupted");
                    pause(LOOK, &stop).await;
                }
            }
        }
    }

    /// Finds the way to the target.
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
        self.links.use_interface(self.number, &route.interface);
        let local_prefix = Some(route.prefix);
        let context = Context { local_prefix, resolved: Some(peer), reflexive: None };
        Ok(Way { peer, route, path, context })
    }

    /// Has the next window begin on the way that was found; during an outage of this machine on the
    /// last one that there was, on which then all is lost.
    async fn begin(
        &self,
        found: Result<Way, ProbeError>,
        known: Option<&Way>,
        missing: &Missing,
    ) -> Result<(Way, Probing, Beginning), ProbeError> {
        let way = match (found, known) {
            (Ok(way), _) => way,
            (Err(error), Some(known)) if error.is_outage() => {
                tracing::warn!(session = self.number, error = %chain(&error), "an outage of this machine");
                known.clone()
            }
            (Err(error), _) => return Err(error),
        };
        let at = self.clock.now();
        let latest = at.wall.minus(LATEST_BEGINNING);
        let first = self.window_from(missing.from.wall.max(latest));
        let on_address_gone =
            if known.is_some() { OnAddressGone::LoseAll } else { OnAddressGone::Fail };
        let order = self.order(&way, instant_of(first, &at), on_address_gone);
        let mut probing =
            self.prober.start(order).map_err(|_| ProbeError::Prober("the prober is busy"))?;
        // The first thing that is heard, one way or the other.
        let Some(Event::Began(began)) = probing.events.recv().await else {
            return Err(match (&mut probing.ended).await.map(|ended| ended.cause) {
                Ok(Cause::Unopened(error) | Cause::Broken(error)) => ProbeError::Socket(error),
                Ok(Cause::Refused(why)) => ProbeError::Prober(why),
                Ok(Cause::Invalid(why)) => ProbeError::Session(why),
                Ok(Cause::Told | Cause::Disturbed) => ProbeError::Prober("it ended at once"),
                Err(_) => ProbeError::Prober("the prober is gone"),
            });
        };
        self.tell_beginning(&way, &began);
        Ok((way, probing, Beginning { at, first, began }))
    }

    fn order(&self, way: &Way, start: Instant, on_address_gone: OnAddressGone) -> Order {
        Order {
            number: self.number,
            local: way.route.local,
            config: sender_config(&self.target, way.peer, 0),
            start,
            on_address_gone,
        }
    }

    fn tell_beginning(&self, way: &Way, began: &Began) {
        let path = &way.path;
        let Some(socket) = began.socket else {
            tracing::warn!(session = self.number, "no socket: all packets count as lost");
            return;
        };
        tracing::info!(
            session = self.number,
            link = %path.link.kind(),
            source_port = socket.local.port(),
            sent_by = socket.methods.sent.as_str(),
            received_by = socket.methods.received.as_str(),
            "probing"
        );
        if !socket.preferred {
            let ports = self.target.profile.ports();
            let (first, last) = (ports.start(), ports.end());
            tracing::warn!(
                session = self.number,
                source_port = socket.local.port(),
                first,
                last,
                "all ports of the class are taken; the network may treat this one otherwise"
            );
        }
        tracing::debug!(session = self.number, target = %path.target, peer = %way.peer, prefix = %way.route.prefix, "probing");
    }

    /// Records that the target's name stands for another address now.
    fn tell_address(&self, known: Option<&Way>, way: &Way, now: &Moment) {
        if known.is_none_or(|known| known.peer == way.peer) {
            return;
        }
        let schedule = self.target.schedule();
        let fact = Fact {
            kind: TARGET_ADDRESS.to_owned(),
            value: way.peer.to_string(),
            valid_from: now.wall,
            valid_until: None,
        };
        match self.clock.stamp(now, now) {
            Ok(stamp) => self.recorder.record(Observed {
                record: Record {
                    stamp,
                    schedule: schedule.revision,
                    context: way.context.clone(),
                    body: Body::Fact(fact),
                },
                schedule,
            }),
            Err(error) => {
                tracing::error!(session = self.number, error = %chain(&error), "a fact without a time");
            }
        }
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
            class: self.target.class(),
            profile: self.target.profile_name.clone(),
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

    /// Records what the prober hears until something changes.
    async fn probe(
        &self,
        way: &Way,
        mut probing: Probing,
        began: &Began,
        stop: &CancellationToken,
    ) -> Over {
        let port = began.socket.map_or(0, |socket| socket.local.port());
        let local: Option<IpAddr> = began.socket.map(|socket| socket.local.ip());
        let mut look = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut addresses, mut switch) = (self.addresses.clone(), self.switch.clone());
        addresses.mark_unchanged();
        let mut asked = None;
        loop {
            // All branches are cancel-safe.
            let looks = tokio::select! {
                biased;
                event = probing.events.recv() => match event {
                    Some(Event::Window(observation)) => {
                        self.record(way, port, *observation);
                        false
                    }
                    Some(Event::Missed(missed)) => {
                        self.tell_missed(&missed, &way.path);
                        false
                    }
                    Some(Event::Began(_)) => false,
                    None => break,
                },
                () = stop.cancelled(), if asked.is_none() => {
                    probing.finish(Finish::AfterAnswers);
                    asked = Some(Over::Stopped);
                    false
                }
                () = switch.paused(), if asked.is_none() => {
                    probing.finish(Finish::AfterAnswers);
                    asked = Some(Over::Paused);
                    false
                }
                // Whoever publishes addresses lives as long as the agent runs.
                Ok(()) = addresses.changed(), if asked.is_none() => true,
                _ = look.tick(), if asked.is_none() => true,
            };
            let peers = if looks { self.peers(&addresses.borrow()) } else { continue };
            let leaves = |peer| local_address(peer).ok();
            if let Some(what) = changed(way.peer, local, &peers, leaves) {
                probing.finish(Finish::Now);
                asked = Some(Over::Changed(what));
            }
        }
        let Ok(ended) = (&mut probing.ended).await else {
            // The prober is gone, which ends the agent.
            stop.cancelled().await;
            return Over::Stopped;
        };
        if let Some(missed) = &ended.missed {
            self.tell_missed(missed, &way.path);
        }
        self.over(ended, asked)
    }

    /// Records that there were windows of which nothing is known.
    fn tell_missed(&self, missed: &Missed, path: &PathKey) {
        let (schedule, started) = (self.target.schedule(), Moment::from(missed.started));
        let span = Span {
            reason: GapReason::NotRunning,
            started: started.wall,
            started_boot: started.boot,
            length: missed.length,
        };
        for record in span.records(&self.clock, schedule, Some(path), Some(missed.windows)) {
            self.recorder.record(Observed { record, schedule });
        }
    }

    fn over(&self, ended: Ended, asked: Option<Over>) -> Over {
        let stats = ended.stats;
        tracing::debug!(session = self.number, ?stats, "session ended");
        if ended.windows_dropped > 0 {
            let dropped = ended.windows_dropped;
            tracing::error!(
                session = self.number,
                dropped,
                "windows came faster than they were taken"
            );
        }
        if ended.windows_discarded > 0 {
            let discarded = ended.windows_discarded;
            tracing::debug!(session = self.number, discarded, "windows across a gap are discarded");
        }
        match (ended.cause, asked) {
            (_, Some(Over::Stopped)) => Over::Stopped,
            (Cause::Disturbed, _) => Over::Disturbed,
            (Cause::Unopened(error) | Cause::Broken(error), _) => Over::Broken(error),
            (Cause::Told | Cause::Refused(_) | Cause::Invalid(_), asked) => {
                asked.unwrap_or(Over::Changed("the prober"))
            }
        }
    }

    fn record(&self, way: &Way, port: u16, observation: Observation) {
        match self.window(way, port, observation) {
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
        port: u16,
        observation: Observation,
    ) -> Result<Record, InvalidRecord> {
        let started: Moment = observation.started.into();
        let duration_us = u64::try_from(observation.duration.as_micros()).unwrap_or(u64::MAX);
        let stamp = Stamp::new(started.wall, started.boot, self.clock.boot_id(), duration_us)?;
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
        self.board.window(self.number, started.wall, &window);
        Ok(Record {
            stamp,
            schedule: self.target.schedule().revision,
            context: way.context.clone(),
            body: Body::Window(Box::new(window)),
        })
    }

    /// As much of the path as is known before any packet was sent: it leaves where everything else
    /// does.
    async fn guess_path(&self) -> Option<PathKey> {
        let route = blocking(default_route).await?;
        self.path(route.kind, &route.interface, family(route.local)).ok()
    }
}

/// How a session began.
#[derive(Debug)]
struct Beginning {
    /// When that was decided.
    at: Moment,
    /// When the first window begins, by the wall clock.
    first: busyhour_model::UtcMicros,
    began: Began,
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

/// What the sender of a session is told; its identifier and the clock's quality are the prober's.
pub(crate) fn sender_config(target: &Target, peer: SocketAddr, ssid: u16) -> SenderConfig {
    SenderConfig {
        peer_profile: target.peer,
        security: target.security.to_sender(),
        timestamp_format: target.timestamps.to_wire(),
        ..SenderConfig::new(target.profile, peer, ssid)
    }
}

#[cfg(test)]
mod tests;
