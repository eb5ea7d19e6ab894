//! What the handlers share, and the table of routes.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use busyhour_model::UtcMicros;
use busyhour_store::{Control, Telemetry};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::problem::Problem;
use crate::{check_listen, guard, json, page};

/// Store calls under way at once; more wait. Each holds a thread and at most a few MiB.
const MAX_STORE_CALLS: usize = 8;
/// The longest body of a write, except an import.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// The longest import: a building file and its companion for some 50 000 subnets, or a table of load
/// with some 400 000 rows.
const MAX_IMPORT_BYTES: usize = 16 * 1024 * 1024;

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
    /// Figures about the collector.
    pub status: Arc<dyn StatusSource>,
    /// The wall clock.
    pub clock: Clock,
}

/// The state of all handlers.
#[derive(Clone)]
pub(crate) struct App {
    services: Services,
    store_calls: Arc<Semaphore>,
}

impl App {
    pub(crate) fn now(&self) -> UtcMicros {
        (self.services.clock)()
    }

    /// The collector's own figures.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        self.services.status.figures()
    }

    /// Runs store calls on a thread that may block.
    pub(crate) async fn with_store<T: Send + 'static>(
        &self,
        calls: impl FnOnce(&Services) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = Arc::clone(&self.store_calls)
            .acquire_owned()
            .await
            .map_err(|_| Problem::unavailable("the collector is stopping"))?;
        let services = self.services.clone();
        let calls = move || {
            let _permit = permit;
            calls(&services)
        };
        tokio::task::spawn_blocking(calls).await.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a request did not finish");
            Err(Problem::internal())
        })
    }
}

/// All routes, behind the guard. The server must tell who connects: use [`serve`].
pub fn router(services: Services) -> Router {
    let app = App { services, store_calls: Arc::new(Semaphore::new(MAX_STORE_CALLS)) };
    let import = post(json::inventory::import).layer(DefaultBodyLimit::max(MAX_IMPORT_BYTES));
    let import_loads = post(json::loads::import).layer(DefaultBodyLimit::max(MAX_IMPORT_BYTES));
    let api = Router::new()
        .route("/buildings", get(json::buildings::list))
        .route("/buildings/import", import)
        .route("/buildings/files", get(json::history::files))
        .route("/buildings/export", get(json::inventory::export))
        .route("/buildings/export/companion", get(json::inventory::export_companion))
        .route("/buildings/{id}", get(json::buildings::one))
        .route("/buildings/{id}/map", get(json::buildings::map))
        .route("/loads/import", import_loads)
        .route("/top", get(json::buildings::top))
        .route("/subnets", get(json::inventory::subnets))
        .route("/subnets/missing", get(json::inventory::missing))
        .route("/paths", get(json::paths::list))
        .route("/paths/{id}/windows", get(json::paths::windows))
        .route("/paths/{id}/hours", get(json::hours::list))
        .route("/paths/{id}/streams", get(json::streams::list))
        .route("/paths/{id}/estimates", get(json::estimate::list))
        .route("/agents", get(json::agents::list).post(json::agents::add))
        .route("/agents/{id}", delete(json::forget::forget))
        .route("/agents/{id}/forget", get(json::forget::preview))
        .route("/agents/{id}/remove", post(json::forget::remove))
        .route("/agents/{id}/bind", post(json::agents::bind))
        .route("/agents/{id}/gaps", get(json::agents::gaps))
        .route("/agents/{id}/history", get(json::places::list))
        .route("/audit", get(json::audit::list))
        .route("/incidents", get(json::incidents::list))
        .route("/incidents/{id}", get(json::incidents::one))
        .route("/incidents/{id}/picture.svg", get(json::incidents::picture))
        .route("/status", get(json::status::figures));
    Router::new()
        .route("/", get(page::overview))
        .route("/buildings/{id}", get(page::building))
        .route("/incidents/{id}", get(page::incident))
        .route("/assets/page.css", get(page::style))
        .route("/assets/page.js", get(page::script))
        .route("/assets/icon.svg", get(page::icon))
        .route("/healthz", get(json::status::healthz))
        .nest("/api/v1", api)
        .fallback(async || Problem::not_found("there is nothing at this address"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn(guard::guard))
        .with_state(app)
}

/// Serves until `shutdown` is over, then finishes what is under way.
///
/// # Errors
/// When the listener is not on loopback, or cannot accept any more.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    check_listen(listener.local_addr()?).map_err(std::io::Error::other)?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown).await
}
