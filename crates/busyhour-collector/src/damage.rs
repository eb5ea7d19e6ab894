//! Telling of files that were found damaged.

use std::sync::Arc;
use std::time::Duration;

use busyhour_store::Telemetry;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Looking costs nothing; a minute later is early enough for a person.
const INTERVAL: Duration = Duration::from_secs(60);

/// Logs each file once that the store set aside, at first those of earlier runs, until `shutdown`.
pub(crate) async fn run(telemetry: Arc<dyn Telemetry>, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = 0;
    loop {
        // Both branches are cancel-safe: a tick stays due, a cancelled token cancelled.
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let damaged = telemetry.damaged();
        for found in damaged.iter().skip(told) {
            tracing::error!(
                file = %found.file.display(),
                holds = found.holds,
                reason = found.reason,
                "a damaged file was set aside; what it held is not shown, a backup may have it"
            );
        }
        told = damaged.len();
    }
}
