//! Forgetting what is older than its retention.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use busyhour_daemon::chain;
use busyhour_store::Telemetry;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Retention is counted in days; an hour late is early enough, and each pass stays small.
const INTERVAL: Duration = Duration::from_secs(3_600);

/// Rows that went since the process began.
pub(crate) type Pruned = Arc<AtomicU64>;

/// Prunes at the start and then each hour, until `shutdown`.
pub(crate) async fn run(
    telemetry: Arc<dyn Telemetry>,
    pruned: Pruned,
    shutdown: CancellationToken,
) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Both branches are cancel-safe: a tick stays due, a cancelled token cancelled.
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let telemetry = Arc::clone(&telemetry);
        let pass = tokio::task::spawn_blocking(move || telemetry.prune(crate::run::utc_now()));
        match pass.await {
            Ok(Ok(rows)) => {
                pruned.fetch_add(rows, Ordering::Relaxed);
                if rows > 0 {
                    tracing::info!(rows, "forgot what was too old");
                }
            }
            Ok(Err(error)) => tracing::warn!(error = %chain(&error), "cannot prune"),
            Err(error) => tracing::error!(error = %chain(&error), "pruning did not finish"),
        }
    }
}
