//! Whether the service works, for anybody who asks: answered from what the store said last.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use busyhour_fleet::{Places, neighbourhood};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::NAME;
use crate::app::Core;
use crate::guard::Peer;

/// How long the store's last answer is told, however often it is asked for.
const KEPT: Duration = Duration::from_secs(5);
/// A store that takes longer does not work.
const LOOK_WITHIN: Duration = Duration::from_secs(3);
/// Who takes nothing for so long is gone.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// Who watches at once, shared out by address: each costs a task.
const MAX_WATCHERS: usize = 64;

/// When the store was asked last, and whether it answered.
type Kept = Option<(Instant, bool)>;

/// What is known of the store without asking it each time.
pub(crate) struct Pulse {
    kept: watch::Sender<Kept>,
    looks: AtomicBool,
    watchers: Arc<Places<IpAddr>>,
}

impl Default for Pulse {
    fn default() -> Self {
        let watchers = Places::new(MAX_WATCHERS, usize::MAX);
        Self { kept: watch::Sender::new(None), looks: AtomicBool::new(false), watchers }
    }
}

impl Pulse {
    /// Whether the store answers. It is asked once in [`KEPT`], on behalf of all who want to know.
    async fn works(core: &Core) -> bool {
        let pulse = core.pulse();
        let mut kept = pulse.kept.subscribe();
        let known = *kept.borrow_and_update();
        if let Some((at, works)) = known
            && at.elapsed() < KEPT
        {
            return works;
        }
        if !pulse.looks.swap(true, Ordering::AcqRel) {
            tokio::spawn(look(core.clone()));
        }
        // A look that takes longer than that was told of already.
        let looked = timeout(LOOK_WITHIN * 2, kept.changed()).await;
        matches!(looked, Ok(Ok(()))) && kept.borrow().is_some_and(|(_, works)| works)
    }
}

/// Asks the store, on a thread beside those of requests, however many of these wait. A store that hangs holds
/// this one, and is not asked again before it came back.
async fn look(core: Core) {
    let control = core.control();
    let mut asked = tokio::task::spawn_blocking(move || control.delivery_totals().is_ok());
    let pulse = core.pulse();
    let tell = |works| pulse.kept.send_replace(Some((Instant::now(), works)));
    match timeout(LOOK_WITHIN, &mut asked).await {
        Ok(works) => tell(matches!(works, Ok(true))),
        Err(_) => {
            tell(false);
            let works = asked.await;
            tell(matches!(works, Ok(true)))
        }
    };
    pulse.looks.store(false, Ordering::Release);
}

/// The standard health service, for one who asks.
pub(super) struct Checks {
    core: Core,
    peer: SocketAddr,
}

impl Checks {
    pub(super) const fn new(core: Core, Peer(peer): Peer) -> Self {
        Self { core, peer }
    }
}

fn is_known(service: &str) -> bool {
    service.is_empty() || service == NAME
}

async fn state(core: &Core) -> ServingStatus {
    match Pulse::works(core).await {
        true => ServingStatus::Serving,
        false => ServingStatus::NotServing,
    }
}

fn said(state: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: state.into() }
}

#[tonic::async_trait]
impl Health for Checks {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !is_known(&request.get_ref().service) {
            return Err(Status::not_found("there is no such service"));
        }
        Ok(Response::new(said(state(&self.core).await)))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let pulse = self.core.pulse();
        let Some(place) = pulse.watchers.take(neighbourhood(self.peer.ip())) else {
            return Err(Status::resource_exhausted("too many watch already: ask with Check"));
        };
        let (core, is_known) = (self.core.clone(), is_known(&request.get_ref().service));
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let _place = place;
            let mut ticks = interval(KEPT);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut last = None;
            loop {
                // Both branches are cancel-safe.
                tokio::select! {
                    biased;
                    () = sender.closed() => return,
                    _ = ticks.tick() => {}
                }
                let now = match is_known {
                    true => state(&core).await,
                    false => ServingStatus::ServiceUnknown,
                };
                if last.replace(now) == Some(now) {
                    continue;
                }
                let taken = timeout(TAKEN_WITHIN, sender.send(Ok(said(now)))).await;
                if !matches!(taken, Ok(Ok(()))) {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
