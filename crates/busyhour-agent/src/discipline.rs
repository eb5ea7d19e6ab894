//! How well this machine's wall clock is kept, as probes and answers claim it.

use std::time::Duration;

use busyhour_daemon::chain;
use busyhour_model::ClockQuality;
use busyhour_net::{ClockState, clock_state};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the system is asked. What keeps the clock says something new every 16 s to 17 min (the
/// polling of NTP), and in between the system lets the error grow by the second.
const LOOK: Duration = Duration::from_secs(16);

/// How well the clock is kept now. A system that does not say is taken not to keep it.
pub(crate) fn quality() -> ClockQuality {
    let state = clock_state().unwrap_or_else(|error| {
        tracing::debug!(error = %chain(&error), "the system does not say how its clock is kept");
        ClockState::UNKNOWN
    });
    convert(state)
}

fn convert(state: ClockState) -> ClockQuality {
    let known = state.error != Duration::MAX;
    // Rounded up, and never to the zero that stands for "nobody says".
    let micros = state.error.as_nanos().div_ceil(1_000).max(1);
    let error_us = if known { u32::try_from(micros).unwrap_or(u32::MAX) } else { 0 };
    ClockQuality { synchronized: state.synchronized && known, error_us }
}

/// Publishes how well the clock is kept until `stop`.
pub(crate) async fn run(publish: watch::Sender<ClockQuality>, stop: CancellationToken) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Both branches are cancel-safe.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        let now = quality();
        let before = publish.send_replace(now);
        if before.synchronized != now.synchronized {
            let (synchronized, error_us) = (now.synchronized, now.error_us);
            tracing::info!(synchronized, error_us, "the wall clock is kept otherwise than before");
        }
    }
}

/// Tells the prober of every change until `stop`.
pub(crate) async fn tell(
    prober: crate::prober::Prober,
    mut quality: watch::Receiver<ClockQuality>,
    stop: CancellationToken,
) {
    loop {
        let now = *quality.borrow_and_update();
        if prober.set_clock(now).is_err() {
            tracing::debug!("the prober does not hear of the clock; the next change reaches it");
        }
        // Both branches are cancel-safe.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = quality.changed() => if changed.is_err() { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_rounded_up_and_an_unknown_one_is_no_claim() {
        let quality = |synchronized, error| convert(ClockState { synchronized, error });
        let kept = |error_us| ClockQuality { synchronized: true, error_us };
        assert_eq!(quality(true, Duration::from_nanos(1_500_001)), kept(1_501));
        assert_eq!(quality(true, Duration::ZERO), kept(1));
        assert_eq!(quality(true, Duration::from_secs(10_000)), kept(u32::MAX));
        let unknown = ClockQuality { synchronized: false, error_us: 0 };
        assert_eq!(quality(true, Duration::MAX), unknown);
        assert_eq!(convert(ClockState::UNKNOWN), unknown);
        assert!(!quality(false, Duration::from_millis(5)).synchronized);
    }
}
