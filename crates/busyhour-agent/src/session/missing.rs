//! Windows without a record, and the gap records that say so.

use std::time::{Duration, Instant};

use busyhour_model::{BootMicros, GapReason, PathKey, UtcMicros};
use tokio_util::sync::CancellationToken;

use super::way::Way;
use super::{Session, pause, phase};
use crate::clock::Moment;
use crate::gap::{Span, between};
use crate::pause::Switch;
use crate::spool::Observed;

/// Windows without a record.
#[derive(Debug)]
pub(super) struct Missing {
    /// Those that should have begun before have one.
    pub(super) from: Moment,
    /// Why there is nothing since.
    pub(super) reason: GapReason,
}

impl Session {
    /// Waits until the next window is over and says that there was none.
    pub(super) async fn skip(
        &self,
        missing: &mut Missing,
        known: Option<&Way>,
        stop: &CancellationToken,
    ) {
        let over = self.window_from(missing.from.wall).plus(self.target.window());
        let left = over.since(self.clock.now().wall);
        pause(Duration::from_micros(u64::try_from(left).unwrap_or(0)), stop).await;
        if !stop.is_cancelled() {
            // Those that are over.
            self.tell_none(missing, known, self.target.window()).await;
        }
    }

    /// Waits for as long as nothing is to be measured, and says that there was nothing: of each reason in
    /// turn, when another one takes its place or it is over.
    pub(super) async fn rest(
        &mut self,
        missing: &mut Missing,
        known: Option<&Way>,
        stop: &CancellationToken,
    ) {
        let why = |switch: &Switch| switch.pause().map(|pause| pause.why);
        while let Some(rests) = why(&self.switch) {
            missing.reason = rests.reason();
            self.board.wait(self.number, missing.reason);
            // Both branches are cancel-safe.
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.switch.no_more(rests) => {}
            }
            self.tell_none(missing, known, Duration::ZERO).await;
        }
        missing.reason = GapReason::NotRunning;
        self.board.wait(self.number, missing.reason);
    }

    /// Says that there was nothing of the windows that began at least so long `ago`.
    async fn tell_none(&self, missing: &mut Missing, known: Option<&Way>, ago: Duration) {
        let guess;
        let path = if let Some(way) = known {
            Some(&way.path)
        } else {
            guess = self.guess_path().await;
            guess.as_ref()
        };
        let now = self.clock.now();
        let first = now.wall.minus(ago).plus(Duration::from_micros(1));
        self.tell_missing(missing, self.window_from(first), &now, path);
    }

    /// Says that there was nothing of the windows that should have begun before the one that begins
    /// at `first`; those that the machine slept through have a gap of their own.
    pub(super) fn tell_missing(
        &self,
        missing: &mut Missing,
        first: UtcMicros,
        now: &Moment,
        path: Option<&PathKey>,
    ) {
        let (from, reason) = (missing.from, missing.reason);
        let earliest = self.window_from(from.wall);
        let schedule = self.target.schedule();
        let undisturbed = between(&from, now).is_empty();
        missing.from = if undisturbed { moved(&from, first.max(from.wall)) } else { *now };
        let windows = u64::try_from(first.since(earliest)).unwrap_or(0) / schedule.period_us.max(1);
        if !undisturbed || windows == 0 {
            return;
        }
        let last = first.minus(self.target.period());
        let started = moved(&from, earliest);
        let span = Span {
            reason,
            started: started.wall,
            started_boot: started.boot,
            length: duration(earliest, last) + self.target.window(),
        };
        for record in span.records(&self.clock, schedule, path, Some(windows)) {
            self.recorder.record(Observed { record, schedule });
        }
    }

    /// The beginning of this session's first window at or after `wall`. The grid lies on the wall
    /// clock, so that it stays where it is through restarts.
    pub(super) fn window_from(&self, wall: UtcMicros) -> UtcMicros {
        let (name, profile) = (self.target.name.as_str(), self.target.profile_name.as_str());
        let slow = self.target.profile.rate() < 10;
        let period = self.target.period();
        let own = || phase::offset(self.agent, name, profile, period, slow);
        phase::next(wall, period, self.target.phase.unwrap_or_else(own))
    }
}

/// A moment near another one, by the wall clock: at `wall`, as long as nothing disturbs the clocks.
fn moved(near: &Moment, wall: UtcMicros) -> Moment {
    let (ahead, behind) = (duration(near.wall, wall), duration(wall, near.wall));
    let monotonic = near.monotonic + ahead;
    let boot_us = near.boot.0.saturating_add_signed(wall.since(near.wall));
    Moment {
        monotonic: monotonic.checked_sub(behind).unwrap_or(monotonic),
        wall,
        boot: BootMicros(boot_us),
    }
}

pub(super) fn instant_of(wall: UtcMicros, now: &Moment) -> Instant {
    moved(now, wall).monotonic
}

/// From one moment to a later one; nothing when it is earlier.
fn duration(from: UtcMicros, until: UtcMicros) -> Duration {
    Duration::from_micros(u64::try_from(until.since(from)).unwrap_or(0))
}
