//! Notes when the machine slept, its wall clock stepped, or the process was stopped.

use std::time::Duration;

use busyhour_model::GapReason;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Moment};
use crate::config::schedule_of;
use crate::gap::{Span, between};
use crate::spool::{Observed, Recorder};

/// How often the clocks are compared.
const LOOK: Duration = Duration::from_secs(5);
/// The process was stopped when it looks this late: nothing was probed in between.
const STOPPED: Duration = Duration::from_secs(15);
/// What gaps of the whole agent run under: the load record's minute.
const MINUTE: Duration = Duration::from_secs(60);

/// Runs until `stop`.
pub(crate) async fn run(clock: Clock, recorder: Recorder, stop: CancellationToken) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let schedule = schedule_of(MINUTE);
    let mut before = clock.now();
    loop {
        // Both branches are cancel-safe.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        let now = clock.now();
        for span in absences(&before, &now) {
            let (reason, length) = (span.reason.as_str(), span.length);
            tracing::info!(reason, ?length, "a gap in this machine's time");
            for record in span.records(&clock, schedule, None, None) {
                recorder.record(Observed { record, schedule });
            }
        }
        before = now;
    }
}

/// The times between two looks in which nothing was probed.
fn absences(before: &Moment, now: &Moment) -> Vec<Span> {
    let mut spans = between(before, now);
    let elapsed = now.monotonic.saturating_duration_since(before.monotonic);
    if spans.is_empty() && elapsed >= STOPPED {
        spans.push(Span::since(GapReason::NotRunning, before.wall, now));
    }
    spans
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use busyhour_model::{BootMicros, UtcMicros};

    use super::*;

    #[test]
    fn a_process_that_was_stopped_was_not_running() {
        let start = Instant::now();
        let at = |seconds: u64| Moment {
            monotonic: start + Duration::from_secs(seconds),
            wall: UtcMicros::from_secs(1_800_000_000 + seconds.cast_signed()),
            boot: BootMicros((1000 + seconds) * 1_000_000),
        };
        assert_eq!(absences(&at(0), &at(6)), []);
        let [stopped] = absences(&at(0), &at(100)).try_into().unwrap();
        assert_eq!(stopped.reason, GapReason::NotRunning);
        assert_eq!((stopped.started, stopped.length), (at(0).wall, Duration::from_secs(100)));
    }
}
