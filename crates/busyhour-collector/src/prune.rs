//! Forgetting what is older than its retention.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use busyhour_daemon::chain;
use busyhour_store::{Control, ControlRetention, StoreError, Telemetry};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Retention is counted in days; an hour late is early enough, and each pass stays small.
const INTERVAL: Duration = Duration::from_secs(3_600);

/// Rows that went since the process began.
pub(crate) type Pruned = Arc<AtomicU64>;

/// Prunes at the start and then each hour, until `shutdown`.
pub(crate) async fn run(
    (telemetry, control): (Arc<dyn Telemetry>, Arc<dyn Control>),
    retention: ControlRetention,
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
        let (telemetry, control) = (Arc::clone(&telemetry), Arc::clone(&control));
        let pass = tokio::task::spawn_blocking(move || {
            once(telemetry.as_ref(), control.as_ref(), &retention)
        });
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

/// One pass over both files; when one cannot be pruned, the other is.
fn once(
    telemetry: &dyn Telemetry,
    control: &dyn Control,
    retention: &ControlRetention,
) -> Result<u64, StoreError> {
    let now = crate::run::utc_now();
    let of_control = control.prune(now, retention);
    let of_telemetry = telemetry.prune(now)?;
    let of_control = of_control?;
    if of_control.lingers {
        tracing::warn!(
            "what was forgotten may still be in control.db-wal, because somebody reads the database; it is \
             tried again in an hour"
        );
    }
    Ok(of_telemetry + of_control.total())
}
