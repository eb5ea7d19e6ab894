//! Looks at the switch, tells everybody who measures, and records the gap.

use std::path::PathBuf;
use std::time::Duration;

use busyhour_model::GapReason;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{Pause, read};
use crate::blocking::blocking;
use crate::clock::{Clock, Moment};
use crate::config::schedule_of;
use crate::gap::Span;
use crate::spool::{Observed, Recorder};

/// How often the file is looked at: how late a wish is honoured.
const LOOK: Duration = Duration::from_secs(1);
/// How often the collector is told of a pause that lasts: as often as of the machine's load, and what
/// gaps of the whole agent run under.
const MINUTE: Duration = Duration::from_secs(60);

/// Runs beside everything that measures.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) folder: PathBuf,
    pub(crate) clock: Clock,
    /// Of an agent that keeps what it observes.
    pub(crate) recorder: Option<Recorder>,
    /// Holds what was found before anything began.
    pub(crate) publish: watch::Sender<Option<Pause>>,
}

impl Keeper {
    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut untold: Option<Moment> = None;
        loop {
            // Both branches are cancel-safe.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = look.tick() => {}
            }
            let folder = self.folder.clone();
            let found = blocking(move || read(&folder)).await;
            let now = self.clock.now();
            let pause = found.filter(|pause| !pause.is_over(now.wall));
            self.turn(pause);
            untold = self.tell(untold, pause.is_some(), now);
        }
        self.tell(untold, false, self.clock.now());
    }

    /// Tells of another wish than before.
    fn turn(&self, pause: Option<Pause>) {
        let turned = self.publish.send_if_modified(|known| {
            let other = *known != pause;
            *known = pause;
            other
        });
        match (turned, pause) {
            (true, Some(_)) => tracing::info!("measuring is paused by the machine's owner"),
            (true, None) => tracing::info!("measuring goes on"),
            (false, _) => {}
        }
    }

    /// Records the pause since `untold` when it is over, or has lasted long enough to be told of. Since
    /// when there is one to be told of then.
    fn tell(&self, untold: Option<Moment>, paused: bool, now: Moment) -> Option<Moment> {
        let Some(from) = untold else { return paused.then_some(now) };
        let length = now.monotonic.saturating_duration_since(from.monotonic);
        if paused && length < MINUTE {
            return Some(from);
        }
        let schedule = schedule_of(MINUTE);
        let length = Duration::from_micros(now.boot.0.saturating_sub(from.boot.0));
        let span =
            Span { reason: GapReason::Paused, started: from.wall, started_boot: from.boot, length };
        if let Some(recorder) = &self.recorder {
            for record in span.records(&self.clock, schedule, None, None) {
                recorder.record(Observed { record, schedule });
            }
        }
        paused.then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use busyhour_model::{Body, BootId, BootMicros, UtcMicros};

    use super::*;

    #[test]
    fn a_pause_is_told_of_every_minute_and_at_its_end_without_holes() {
        let (recorder, mut collected) = Recorder::collecting();
        let keeper = Keeper {
            folder: PathBuf::new(),
            clock: Clock::with_boot(BootId::from_u128(7)),
            recorder: Some(recorder),
            publish: watch::channel(None).0,
        };
        let begun = Instant::now();
        let at = |second: u64| Moment {
            monotonic: begun + Duration::from_secs(second),
            wall: UtcMicros::from_secs(1_800_000_000 + second.cast_signed()),
            boot: BootMicros((500 + second) * 1_000_000),
        };
        let mut untold = keeper.tell(None, false, at(0));
        for second in 1..=150 {
            untold = keeper.tell(untold, (10..145).contains(&second), at(second));
        }
        assert_eq!(untold, None);
        let mut told = Vec::new();
        for observed in collected() {
            let Body::Gap(gap) = observed.record.body else { panic!("a gap") };
            assert_eq!((gap.reason, gap.path), (GapReason::Paused, None));
            let stamp = observed.record.stamp;
            told.push((stamp.started.since(at(0).wall), stamp.duration_us()));
        }
        let seconds = [(10, 60), (70, 60), (130, 15)];
        assert_eq!(told, seconds.map(|(from, length)| (from * 1_000_000, length * 1_000_000)));
    }
}
