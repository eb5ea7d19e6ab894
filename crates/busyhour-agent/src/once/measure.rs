//! One window, by the same prober as the agent's.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use busyhour_daemon::chain;
use busyhour_host::Route;
use busyhour_model::{AddressFamily, Link, PathKey, Transport, UtcMicros, Window};
use busyhour_probe::{Observation, SenderStats};
use tokio_util::sync::CancellationToken;

use super::progress::{Progress, Seen};
use crate::allow::Allow;
use crate::blocking::blocking;
use crate::config::Target;
use crate::discipline;
use crate::prober::{
    Began, Cause, Event, Finish, OnAddressGone, Order, Prober, ProberThread, Probing, SocketFacts,
};
use crate::resolve::Resolver;
use crate::session::{first_route, sender_config};

/// How long a name may take.
const RESOLVING: Duration = Duration::from_secs(15);
/// From the order to the first packet: for the socket to be opened.
const AHEAD: Duration = Duration::from_millis(50);
/// How often the progress is shown, and looked whether all answers are here.
const LOOK: Duration = Duration::from_millis(100);
/// After the window's end its last packet may still be on its way out.
const LAST_PACKET: Duration = Duration::from_millis(50);
/// An answer that takes longer does not count: after this nothing more is waited for.
const LAST_ANSWER: Duration = Duration::from_millis(2_050);

/// Which of a name's addresses may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Families {
    Any,
    OnlyIpv4,
    OnlyIpv6,
}

impl Families {
    const fn has(self, address: SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::OnlyIpv4 => address.is_ipv4(),
            Self::OnlyIpv6 => address.is_ipv6(),
        }
    }
}

/// What was measured, and how.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) window: Window,
    pub(super) started: UtcMicros,
    pub(super) duration: Duration,
    pub(super) peer: SocketAddr,
    pub(super) route: Route,
    pub(super) socket: SocketFacts,
    pub(super) stats: SenderStats,
    /// Ended early.
    pub(super) interrupted: bool,
}

/// Measures one window, or the part of it before `stop`.
pub(super) async fn measure(
    target: &Target,
    families: Families,
    progress: &Progress,
    stop: &CancellationToken,
) -> anyhow::Result<Measured> {
    // Looking for the way changes nothing, so it may be dropped at any point.
    let (peer, route) = tokio::select! {
        biased;
        () = stop.cancelled() => bail!("interrupted before anything was sent"),
        way = way(target, families) => way?,
    };
    let thread = ProberThread::start()?;
    let prober = thread.prober();
    prober.set_clock(discipline::quality())?;
    let start = Instant::now() + AHEAD;
    let order = Order {
        number: 0,
        local: route.local,
        config: sender_config(target, peer, 0),
        start,
        on_address_gone: OnAddressGone::Fail,
    };
    let mut probing = prober.start(order)?;
    let Some(Event::Began(Began { socket: Some(socket), .. })) = probing.events.recv().await else {
        return Err(over(probing).await);
    };
    let observed = observe(&mut probing, &prober, start + target.window(), progress, stop).await;
    let ended = (&mut probing.ended).await.context("the prober is gone")?;
    drop(prober);
    blocking(move || thread.stop()).await;
    if !matches!(ended.cause, Cause::Told) {
        return Err(cause(&ended.cause));
    }
    let (observation, interrupted) = observed;
    let observation = observation.context("interrupted before anything was sent")?;
    let (started, duration) =
        (UtcMicros(observation.started.wall_ns.div_euclid(1_000)), observation.duration);
    let path = path(target, peer, &route)?;
    let window = Window::new(observation.into_parts(path, socket.local.port()))
        .context("the window contradicts itself")?;
    let stats = ended.stats;
    Ok(Measured { window, started, duration, peer, route, socket, stats, interrupted })
}

/// The address to ask, and how packets leave for it.
async fn way(target: &Target, families: Families) -> anyhow::Result<(SocketAddr, Route)> {
    // Whoever types a target means it.
    let resolver = Resolver::new(Allow::whatever_is_a_machine());
    let resolving = tokio::time::timeout(RESOLVING, resolver.resolve(&target.host)).await;
    let found = match resolving {
        Ok(found) => found.with_context(|| format!("find the addresses of {:?}", target.host))?,
        Err(_) => bail!("no resolver told the addresses of {:?} in time", target.host),
    };
    let mut candidates = found.addresses;
    candidates.retain(|address| families.has(*address));
    candidates.iter_mut().for_each(|address| address.set_port(target.port));
    if candidates.is_empty() {
        bail!("{:?} has no address of this family", target.host);
    }
    blocking(move || first_route(&candidates))
        .await
        .with_context(|| format!("find a way to {:?}", target.name.as_str()))
}

fn path(target: &Target, peer: SocketAddr, route: &Route) -> anyhow::Result<PathKey> {
    let family = if peer.is_ipv4() { AddressFamily::Ipv4 } else { AddressFamily::Ipv6 };
    Ok(PathKey {
        link: Link::new(route.kind, &route.interface).context("name the link")?,
        family,
        target: target.name.clone(),
        class: target.class(),
        profile: target.profile_name.clone(),
        transport: Transport::Udp,
    })
}

/// Follows the session to its end. Returns its first window, and whether it was ended early.
async fn observe(
    probing: &mut Probing,
    prober: &Prober,
    end: Instant,
    progress: &Progress,
    stop: &CancellationToken,
) -> (Option<Observation>, bool) {
    let (mut observation, mut asked, mut interrupted) = (None, false, false);
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // All branches are cancel-safe.
        tokio::select! {
            biased;
            event = probing.events.recv() => match event {
                Some(Event::Window(window)) => observation = observation.or(Some(*window)),
                Some(Event::Began(_) | Event::Missed(_)) => {}
                None => return (observation, interrupted),
            },
            () = stop.cancelled(), if !asked => {
                interrupted = Instant::now() < end;
                asked = true;
                probing.finish(Finish::AfterAnswers);
            }
            _ = look.tick(), if !asked => {
                let seen = seen(prober).await;
                progress.show(end, seen);
                let now = Instant::now();
                if (now >= end + LAST_PACKET && seen.is_complete()) || now >= end + LAST_ANSWER {
                    asked = true;
                    probing.finish(Finish::AfterAnswers);
                }
            }
        }
    }
}

/// What was sent and answered so far; nothing when the prober does not say.
async fn seen(prober: &Prober) -> Seen {
    let Ok(report) = prober.report().await else { return Seen::default() };
    Seen {
        sent: report.sockets.iter().map(|socket| socket.counts.sent).sum(),
        answered: report.sessions.iter().map(|session| session.stats.accepted).sum(),
    }
}

/// Why a session did not begin.
async fn over(mut probing: Probing) -> anyhow::Error {
    match (&mut probing.ended).await {
        Ok(ended) => cause(&ended.cause),
        Err(_) => anyhow::anyhow!("the prober is gone"),
    }
}

fn cause(cause: &Cause) -> anyhow::Error {
    match cause {
        Cause::Told => anyhow::anyhow!("the session ended at once"),
        Cause::Disturbed => anyhow::anyhow!("the machine slept or its clock stepped meanwhile"),
        Cause::Invalid(error) => anyhow::anyhow!("the session cannot be: {error}"),
        Cause::Refused(why) => anyhow::anyhow!("the session cannot begin: {why}"),
        Cause::Unopened(error) => {
            anyhow::anyhow!("the socket cannot be opened: {}", chain(&**error))
        }
        Cause::Broken(error) => anyhow::anyhow!("the socket does not work: {}", chain(&**error)),
    }
}
