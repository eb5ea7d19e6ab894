//! Times for which an agent gave nothing, and why.

use std::time::Duration;

use busyhour_model::{AgentId, Body, GapReason, Record, UtcMicros};
use busyhour_store::{RecordKind, StoreError};

use crate::scoped::ScopedTelemetry;

/// Hours of gaps are told for this long.
pub(crate) const TOLD: Duration = Duration::from_secs(7 * 86_400);
/// The longest stamp: a gap that began this long before may still reach into the time asked for.
const LONGEST: Duration = Duration::from_secs(86_400);
/// The most gaps of one agent that are read: one a minute for a week.
pub(crate) const MAX_GAPS: usize = 10_080;
const US_AN_HOUR: f64 = 3.6e9;

/// How long an agent gave nothing, by reason, the main one first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Gaps(Vec<(GapReason, i64)>);

impl Gaps {
    /// Those of the last week.
    pub(crate) fn read(
        telemetry: &ScopedTelemetry,
        agent: AgentId,
        now: UtcMicros,
    ) -> Result<Self, StoreError> {
        let from = now.minus(TOLD);
        let reach = from.minus(LONGEST);
        let records = telemetry.others(agent, RecordKind::Gap, (reach, now), MAX_GAPS)?;
        Ok(Self::of(&records, from, now))
    }

    /// Sums what lies in `from..until`. Gaps of several paths at the same time count once for each
    /// reason; `records` begin one after the other.
    fn of(records: &[Record], from: UtcMicros, until: UtcMicros) -> Self {
        // For each reason what it adds up to, and until when it is counted.
        let mut sums: Vec<(GapReason, i64, UtcMicros)> = Vec::new();
        for record in records {
            let Body::Gap(gap) = &record.body else { continue };
            let at = match sums.iter().position(|(reason, ..)| *reason == gap.reason) {
                Some(at) => at,
                None => {
                    sums.push((gap.reason, 0, from));
                    sums.len() - 1
                }
            };
            let (_, sum, counted) = &mut sums[at];
            let begin = record.stamp.started.max(*counted);
            let length = Duration::from_micros(record.stamp.duration_us());
            let end = record.stamp.started.plus(length).min(until);
            if end > begin {
                *sum += end.since(begin);
                *counted = end;
            }
        }
        let mut gaps: Vec<(GapReason, i64)> =
            sums.into_iter().map(|(reason, sum, _)| (reason, sum)).collect();
        gaps.retain(|&(_, sum)| sum > 0);
        gaps.sort_by_key(|&(reason, sum)| (std::cmp::Reverse(sum), reason));
        Self(gaps)
    }

    /// All of them, in hours.
    pub(crate) fn hours(&self) -> f64 {
        self.0.iter().map(|&(_, sum)| sum).sum::<i64>() as f64 / US_AN_HOUR
    }

    /// The reason of the longest.
    pub(crate) fn main_reason(&self) -> Option<GapReason> {
        self.0.first().map(|&(reason, _)| reason)
    }

    /// `the machine slept for 12.5 h, paused by the machine's owner for 0.3 h`; nothing when there are
    /// none.
    pub(crate) fn words(&self) -> String {
        let words = |&(reason, sum): &(GapReason, i64)| {
            format!("{} for {:.1} h", reason.words(), sum as f64 / US_AN_HOUR)
        };
        self.0.iter().map(words).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use busyhour_model::{BootId, BootMicros, Context, Gap, ScheduleRevision, Stamp};

    use super::*;

    fn gap(reason: GapReason, hour: i64, hours: u64) -> Record {
        let started = UtcMicros::from_secs(hour * 3_600);
        let stamp = Stamp::new(started, BootMicros(0), BootId::from_u128(1), hours * 3_600_000_000);
        Record {
            stamp: stamp.expect("at most a day"),
            schedule: ScheduleRevision(1),
            context: Context::default(),
            body: Body::Gap(Gap { reason, path: None, records: None }),
        }
    }

    #[test]
    fn hours_are_summed_by_reason_once_and_only_inside_the_time_asked_for() {
        use GapReason::{Asleep, NotRunning, Paused};
        let records = [
            gap(NotRunning, 5, 10),
            gap(Asleep, 20, 4),
            gap(Asleep, 21, 2),
            gap(Asleep, 23, 2),
            gap(Paused, 8, 1),
            gap(Paused, 99, 5),
        ];
        let gaps =
            Gaps::of(&records, UtcMicros::from_secs(10 * 3_600), UtcMicros::from_secs(100 * 3_600));
        let expected = "the machine slept for 5.0 h, the agent was not running for 5.0 h, paused by the \
                        machine's owner for 1.0 h";
        assert_eq!(gaps.words(), expected);
        assert_eq!((gaps.hours(), gaps.main_reason()), (11.0, Some(Asleep)));
        assert_eq!(Gaps::default().words(), "");
    }
}
