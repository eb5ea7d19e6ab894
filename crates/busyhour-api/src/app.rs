//! What the handlers share, and the table of routes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use busyhour_fleet::{Fleet, Places, Planner};
use busyhour_model::UtcMicros;
use busyhour_store::{Accounts, Act, Control, Desk, Outbox, Telemetry};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::compression::CompressionLayer;

use crate::access::Table;
use crate::events::Hub;
use crate::guard::{Principal, Rejection};
use crate::large::MAX_LARGE;
use crate::problem::Problem;
use crate::query::health::Pulse;
use crate::routes::routes;
use crate::scoped::Scoped;
use crate::serve::Connections;
use crate::signin::SignIn;
use crate::signin::door::Door;
use crate::tls::TlsListener;
use crate::{check_listen, guard};

/// Store calls under way at once; more wait. Each holds a thread and at most a few MiB.
const MAX_STORE_CALLS: usize = 8;
/// Reports that are worked out at the same time: each may read for seconds, and pages must not wait for them.
const MAX_REPORTS: usize = 2;
/// Seconds after which to ask again when more are asked for.
const REPORT_WAIT: Duration = Duration::from_secs(5);
/// The longest body of a write, except an import.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Tells the time; tests give a fixed one.
pub type Clock = Arc<dyn Fn() -> UtcMicros + Send + Sync>;

/// One figure about the collector itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// Its name, which ends in its unit: `ingest_windows_total`, `judge_lag_s`.
    pub name: String,
    /// Its value.
    pub value: i64,
    /// What it means.
    pub help: &'static str,
}

/// Where figures about the collector come from: ingest counters, the judge's lag, and so on.
pub trait StatusSource: Send + Sync {
    /// The figures now; cheap, and never blocks.
    fn figures(&self) -> Vec<Figure>;
}

/// What the API stands on.
#[derive(Clone)]
pub struct Services {
    /// Windows and slots.
    pub telemetry: Arc<dyn Telemetry>,
    /// Inventory, verdicts, incidents.
    pub control: Arc<dyn Control>,
    /// What people do with incidents.
    pub desk: Arc<dyn Desk>,
    /// What is told on which channels.
    pub outbox: Arc<dyn Outbox>,
    /// Users, sessions, API tokens.
    pub accounts: Arc<dyn Accounts>,
    /// Enrolment tokens and the identities of agents.
    pub fleet: Arc<Fleet>,
    /// What agents are to measure.
    pub planner: Arc<Planner>,
    /// Figures about the collector.
    pub status: Arc<dyn StatusSource>,
    /// The wall clock.
    pub clock: Clock,
}

/// What all requests share.
#[derive(Clone)]
pub(crate) struct Core(Arc<Shared>);

struct Shared {
    services: Services,
    store_calls: Arc<Semaphore>,
    reports: Turns,
    table: Table,
    door: Door,
    sign_in: SignIn,
    hub: Hub,
    pulse: Pulse,
    large: Arc<Places<String>>,
    /// There is an administrator; never false again, as the last one cannot go.
    administrator: AtomicBool,
}

/// Turns at what takes long, of which there are few; who finds none is told to come again.
struct Turns(Arc<Semaphore>);

impl Turns {
    fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    fn take(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = Arc::clone(&self.0).try_acquire_owned();
        turn.map_err(|_| Problem::busy("other reports are being worked out", REPORT_WAIT))
    }
}

impl Core {
    pub(crate) fn now(&self) -> UtcMicros {
        (self.0.services.clock)()
    }

    pub(crate) fn table(&self) -> &Table {
        &self.0.table
    }

    pub(crate) fn door(&self) -> &Door {
        &self.0.door
    }

    pub(crate) fn sign_in(&self) -> &SignIn {
        &self.0.sign_in
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// For the health alone, which waits for no turn at the store.
    pub(crate) fn control(&self) -> Arc<dyn Control> {
        Arc::clone(&self.0.services.control)
    }

    /// Places for large answers, by who asks.
    pub(crate) fn large(&self) -> &Arc<Places<String>> {
        &self.0.large
    }

    pub(crate) fn pulse(&self) -> &Pulse {
        &self.0.pulse
    }

    pub(crate) async fn has_administrator(&self) -> Result<bool, Problem> {
        if self.0.administrator.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let found = self.with_services(|services| Ok(services.accounts.has_administrator()?));
        let found = found.await?;
        if found {
            self.0.administrator.store(true, Ordering::Relaxed);
        }
        Ok(found)
    }

    /// Runs store calls on a thread that may block, on all there is: for what knows no reach, as
    /// signing in. Handlers go through [`App::with_store`].
    pub(crate) async fn with_services<T: Send + 'static>(
        &self,
        calls: impl FnOnce(&Services) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = Arc::clone(&self.0.store_calls)
            .acquire_owned()
            .await
            .map_err(|_| Problem::unavailable("the collector is stopping"))?;
        let core = self.clone();
        let calls = move || {
            let _permit = permit;
            calls(&core.0.services)
        };
        tokio::task::spawn_blocking(calls).await.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a request did not finish");
            Err(Problem::internal())
        })
    }
}

/// What a handler stands on: who asks, and the store as they see it.
pub(crate) struct App {
    core: Core,
    principal: Principal,
    /// Those of the server that was asked.
    connections: Option<Arc<Connections>>,
}

impl FromRequestParts<Core> for App {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, core: &Core) -> Result<Self, Rejection> {
        let principal = Principal::from_request_parts(parts, core).await?;
        let connections = parts.extensions.get().cloned();
        Ok(Self { core: core.clone(), principal, connections })
    }
}

impl App {
    pub(crate) fn now(&self) -> UtcMicros {
        self.core.now()
    }

    pub(crate) const fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What who asks does now, for the audit.
    pub(crate) fn act(&self) -> Act {
        self.principal.act(self.now())
    }

    /// The collector's own figures.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let mut figures = self.core.0.services.status.figures();
        figures.extend(self.core.0.sign_in.figures());
        figures.extend(self.connections.iter().flat_map(|connections| connections.figures()));
        figures
    }

    /// As [`Self::with_store`], for a report. The turn lasts until the report is worked out, even when nobody
    /// waits for it any more.
    pub(crate) async fn with_report<T: Send + 'static>(
        &self,
        calls: impl FnOnce(&Scoped) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = self.core.0.reports.take()?;
        let calls = move |services: &Scoped| {
            let _turn = turn;
            calls(services)
        };
        self.with_store(calls).await
    }

    /// Runs store calls on a thread that may block, on what who asks may see.
    pub(crate) async fn with_store<T: Send + 'static>(
        &self,
        calls: impl FnOnce(&Scoped) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let principal = self.principal.clone();
        let calls = move |services: &Services| calls(&Scoped::new(services, principal)?);
        self.core.with_services(calls).await
    }
}

/// The method and the address of every route, as it is matched: `/api/v1/buildings/{id}`.
#[must_use]
pub fn route_list() -> Vec<(String, String)> {
    let (_, table) = routes().finish();
    let mut list: Vec<(String, String)> = table
        .iter()
        .flat_map(|(path, rows)| rows.iter().map(|(method, _)| (method.to_string(), path.clone())))
        .collect();
    list.sort();
    list
}

/// All routes, behind the guard. The server must tell who connects: use [`serve`].
pub fn router(services: Services, door: Door) -> Router {
    let (routes, table) = routes().finish();
    let core = Core(Arc::new(Shared {
        services,
        store_calls: Arc::new(Semaphore::new(MAX_STORE_CALLS)),
        reports: Turns::new(MAX_REPORTS),
        table,
        door,
        sign_in: SignIn::default(),
        hub: Hub::default(),
        pulse: Pulse::default(),
        large: Places::new(MAX_LARGE, usize::MAX),
        administrator: AtomicBool::new(false),
    }));
    routes
        .fallback(async || Problem::not_found("there is nothing at this address"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn_with_state(core.clone(), guard::guard))
        .layer(CompressionLayer::new())
        .with_state(core)
}

/// Serves without TLS until `shutdown` is over, then finishes what is under way.
///
/// # Errors
/// When the listener is not on loopback, or cannot accept any more.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    check_listen(listener.local_addr()?).map_err(std::io::Error::other)?;
    crate::serve::run(listener, router, Arc::default(), shutdown).await
}

/// Serves over TLS until `shutdown` is over, then finishes what is under way.
///
/// # Errors
/// When the server fails.
pub async fn serve_tls(
    listener: TlsListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let connections = listener.connections();
    crate::serve::run(listener, router, connections, shutdown).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn who_finds_no_turn_at_reports_is_told_to_come_again() {
        let turns = Turns::new(MAX_REPORTS);
        let mut taken: Vec<_> = (0..MAX_REPORTS).map(|_| turns.take().unwrap()).collect();
        let problem = turns.take().unwrap_err();
        assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(problem.retry_after(), Some(REPORT_WAIT.as_secs()));
        taken.pop();
        assert!(turns.take().is_ok(), "a report is done");
    }
}
