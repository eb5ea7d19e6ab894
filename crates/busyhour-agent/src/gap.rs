//! Gaps: times for which there is nothing, and why.

use std::time::Duration;

use busyhour_model::{
    Body, BootMicros, Context, Gap, GapReason, PathKey, Record, Schedule, Stamp, UtcMicros,
};

use crate::clock::{Clock, Moment};

/// A record lasts a day at most.
const PIECE: Duration = Duration::from_secs(24 * 3600);
/// A machine that was off for longer than the collector keeps windows needs no more pieces: of a
/// longer time the last ones are told.
const MAX_PIECES: u32 = 90;
/// Between two looks at the clocks, time asleep shorter than this is scheduling noise.
const LEAST_SLEEP: Duration = Duration::from_secs(2);
/// Wall-clock steps up to this are an ordinary correction.
const LEAST_STEP_US: u64 = 1_000_000;

/// A time for which there is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) reason: GapReason,
    pub(crate) started: UtcMicros,
    pub(crate) started_boot: BootMicros,
    pub(crate) length: Duration,
}

impl Span {
    /// From a moment in the past, of which only the wall time is known, until now.
    pub(crate) fn since(reason: GapReason, started: UtcMicros, now: &Moment) -> Self {
        let length_us = u64::try_from(now.wall.since(started)).unwrap_or(0);
        Self {
            reason,
            started,
            started_boot: BootMicros(now.boot.0.saturating_sub(length_us)),
            length: Duration::from_micros(length_us),
        }
    }

    /// The records that say so: one for each day that it lasts, the last [`MAX_PIECES`] of them.
    pub(crate) fn records(
        &self,
        clock: &Clock,
        schedule: Schedule,
        path: Option<&PathKey>,
        missing: Option<u64>,
    ) -> Vec<Record> {
        let mut records = Vec::new();
        let mut offset = self.length.saturating_sub(PIECE * MAX_PIECES);
        loop {
            let length = (self.length - offset).min(PIECE);
            let started = self.started.plus(offset);
            let boot_us = self.started_boot.0.saturating_add(micros(offset));
            let stamp = Stamp::new(started, BootMicros(boot_us), clock.boot_id(), micros(length));
            if let Ok(stamp) = stamp {
                let records_missing = if records.is_empty() { missing } else { None };
                records.push(Record {
                    stamp,
                    schedule: schedule.revision,
                    context: Context::default(),
                    body: Body::Gap(Gap {
                        reason: self.reason,
                        path: path.cloned(),
                        records: records_missing,
                    }),
                });
            }
            offset += length;
            if offset >= self.length {
                return records;
            }
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What happened between two looks at the clocks: sleep (boot time runs, monotonic time does not)
/// and a step of the wall clock against boot time.
pub(crate) fn between(before: &Moment, after: &Moment) -> Vec<Span> {
    let mut spans = Vec::new();
    let monotonic = after.monotonic.saturating_duration_since(before.monotonic);
    let boot = Duration::from_micros(after.boot.0.saturating_sub(before.boot.0));
    if boot.saturating_sub(monotonic) >= LEAST_SLEEP {
        spans.push(Span {
            reason: GapReason::Asleep,
            started: before.wall,
            started_boot: before.boot,
            length: boot,
        });
    }
    let expected = before.wall.plus(boot);
    let step_us = after.wall.since(expected);
    if step_us.unsigned_abs() > LEAST_STEP_US {
        // Forward: local time that never was. Backward: a moment.
        let forward = u64::try_from(step_us).unwrap_or(0);
        spans.push(Span {
            reason: GapReason::ClockStep,
            started: expected.min(after.wall),
            started_boot: after.boot,
            length: Duration::from_micros(forward),
        });
    }
    spans
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use busyhour_model::BootId;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn after(before: &Moment, monotonic: Duration, boot: Duration, wall: i64) -> Moment {
        Moment {
            monotonic: before.monotonic + monotonic,
            boot: BootMicros(before.boot.0 + micros(boot)),
            wall: UtcMicros(before.wall.0 + wall * 1_000_000),
        }
    }

    fn start() -> Moment {
        Moment {
            monotonic: Instant::now(),
            boot: BootMicros(5_000_000),
            wall: UtcMicros::from_secs(1_800_000_000),
        }
    }

    #[test]
    fn time_that_runs_evenly_leaves_no_gap() {
        let before = start();
        let five = Duration::from_secs(5);
        assert_eq!(between(&before, &after(&before, five, five, 5)), []);
        assert_eq!(between(&before, &after(&before, five, five, 6)), []);
    }

    #[test]
    fn sleep_is_a_gap_and_not_a_clock_step() {
        let before = start();
        let now = after(&before, Duration::from_secs(5), 8 * HOUR, 8 * 3600);
        let [asleep] = between(&before, &now).try_into().unwrap();
        assert_eq!(asleep.reason, GapReason::Asleep);
        assert_eq!((asleep.started, asleep.length), (before.wall, 8 * HOUR));
    }

    #[test]
    fn a_clock_step_is_a_gap_forward_and_a_moment_backward() {
        let before = start();
        let five = Duration::from_secs(5);
        let [forward] = between(&before, &after(&before, five, five, 3605)).try_into().unwrap();
        assert_eq!(forward.reason, GapReason::ClockStep);
        assert_eq!(forward.started, before.wall.plus(five));
        assert_eq!(forward.length, HOUR);
        let back = after(&before, five, five, -3595);
        let [backward] = between(&before, &back).try_into().unwrap();
        assert_eq!((backward.started, backward.length), (back.wall, Duration::ZERO));
    }

    #[test]
    fn a_long_gap_is_told_day_by_day_without_holes() {
        let clock = Clock::with_boot(BootId::from_u128(7));
        let schedule = crate::config::schedule_of(Duration::from_secs(60));
        let now = start();
        let span = Span::since(GapReason::NotRunning, now.wall.minus(60 * HOUR), &now);
        let records = span.records(&clock, schedule, None, Some(3));
        assert_eq!(records.len(), 3);
        for pair in records.windows(2) {
            assert_eq!(pair[0].stamp.ended(), pair[1].stamp.started);
        }
        assert_eq!(records[2].stamp.ended(), now.wall);
        let missing = |record: &Record| match &record.body {
            Body::Gap(gap) => gap.records,
            other => panic!("{other:?}"),
        };
        assert_eq!(records.iter().map(missing).collect::<Vec<_>>(), [Some(3), None, None]);
    }

    #[test]
    fn of_a_gap_of_years_the_last_days_are_told() {
        let clock = Clock::with_boot(BootId::from_u128(7));
        let schedule = crate::config::schedule_of(Duration::from_secs(60));
        let now = start();
        let span = Span::since(GapReason::NotRunning, UtcMicros(0), &now);
        let records = span.records(&clock, schedule, None, None);
        assert_eq!(records.len(), 90);
        assert_eq!(records[0].stamp.started, now.wall.minus(PIECE * 90));
        assert_eq!(records[89].stamp.ended(), now.wall);
    }

    #[test]
    fn a_clock_that_went_back_makes_an_empty_gap() {
        let now = start();
        let span = Span::since(GapReason::NotRunning, now.wall.plus(HOUR), &now);
        assert_eq!(span.length, Duration::ZERO);
    }
}
