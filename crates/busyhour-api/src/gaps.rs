//! Times for which an agent gave nothing, and why.

use std::time::Duration;

use busyhour_model::{AgentId, Body, GapReason, Record, UtcMicros};
use busyhour_store::{RecordKind, StoreError};

use crate::scoped::ScopedTelemetry;

/// Hours of gaps are told for this long.
pub(crate) const TOLD: Duration = Duration::from_secs(7 * 86_400);
/// The longest stamp: a gap that began this long before may still reach into the time asked for.
const LONGEST: Duration = Duration::from_secs(86_400);
/// The most gaps of one agent that are read of one day: one a minute on thirty paths, and of the agent.
/// Days are read by themselves, so that what is too many of one leaves nothing out of the next.
const MAX_GAPS_A_DAY: usize = 31 * 1_440;
const DAY_US: i64 = 86_400_000_000;
const US_AN_HOUR: f64 = 3.6e9;

/// How long an agent gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Gaps {
    /// By reason, the main one first.
    by_reason: Vec<(GapReason, i64)>,
    /// For whatever reason; what has two at the same time counts once.
    all: i64,
}

impl Gaps {
    /// Those of the last week.
    pub(crate) fn read(
        telemetry: &ScopedTelemetry,
        agent: AgentId,
        now: UtcMicros,
    ) -> Result<Self, StoreError> {
        let from = now.minus(TOLD);
        let mut sums = Sums::new(from, now);
        let mut day = from.minus(LONGEST);
        while day < now {
            let midnight = UtcMicros((day.0.div_euclid(DAY_US) + 1) * DAY_US);
            let next = midnight.min(now);
            let records = telemetry.others(agent, RecordKind::Gap, (day, next), MAX_GAPS_A_DAY)?;
            sums.add(&records);
            day = next;
        }
        Ok(sums.finish())
    }

    /// All of them, in hours.
    pub(crate) fn hours(&self) -> f64 {
        self.all as f64 / US_AN_HOUR
    }

    /// The reason of the longest.
    pub(crate) fn main_reason(&self) -> Option<GapReason> {
        self.by_reason.first().map(|&(reason, _)| reason)
    }

    /// `the machine slept for 12.5 h, paused by the machine's owner for 0.3 h`; nothing when there are
    /// none.
    pub(crate) fn words(&self) -> String {
        let words = |&(reason, sum): &(GapReason, i64)| {
            format!("{} for {:.1} h", reason.words(), sum as f64 / US_AN_HOUR)
        };
        self.by_reason.iter().map(words).collect::<Vec<_>>().join(", ")
    }
}

/// Time that adds up, each moment of it once, when spans come one after the other by their beginnings.
#[derive(Debug, Clone, Copy)]
struct Sum {
    sum: i64,
    /// Until when it is counted.
    counted: UtcMicros,
}

impl Sum {
    fn add(&mut self, begin: UtcMicros, end: UtcMicros) {
        let begin = begin.max(self.counted);
        if end > begin {
            self.sum += end.since(begin);
            self.counted = end;
        }
    }
}

/// What lies in `from..until`. Gaps of several paths at the same time count once for each reason.
struct Sums {
    from: UtcMicros,
    until: UtcMicros,
    by_reason: Vec<(GapReason, Sum)>,
    all: Sum,
}

impl Sums {
    fn new(from: UtcMicros, until: UtcMicros) -> Self {
        Self { from, until, by_reason: Vec::new(), all: Sum { sum: 0, counted: from } }
    }

    /// Records that begin one after the other, and after those that were added before.
    fn add(&mut self, records: &[Record]) {
        for record in records {
            let Body::Gap(gap) = &record.body else { continue };
            let at = match self.by_reason.iter().position(|(reason, _)| *reason == gap.reason) {
                Some(at) => at,
                None => {
                    self.by_reason.push((gap.reason, Sum { sum: 0, counted: self.from }));
                    self.by_reason.len() - 1
                }
            };
            let begin = record.stamp.started;
            let length = Duration::from_micros(record.stamp.duration_us());
            let end = begin.plus(length).min(self.until);
            self.by_reason[at].1.add(begin, end);
            self.all.add(begin, end);
        }
    }

    fn finish(self) -> Gaps {
        let sums = self.by_reason.into_iter().map(|(reason, sum)| (reason, sum.sum));
        let mut by_reason: Vec<(GapReason, i64)> = sums.filter(|&(_, sum)| sum > 0).collect();
        by_reason.sort_by_key(|&(reason, sum)| (std::cmp::Reverse(sum), reason));
        Gaps { by_reason, all: self.all.sum }
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
        let hour = |hour: i64| UtcMicros::from_secs(hour * 3_600);
        let mut sums = Sums::new(hour(10), hour(100));
        sums.add(&records);
        let gaps = sums.finish();
        let expected = "the machine slept for 5.0 h, the agent was not running for 5.0 h, paused by the \
                        machine's owner for 1.0 h";
        assert_eq!(gaps.words(), expected);
        assert_eq!((gaps.hours(), gaps.main_reason()), (11.0, Some(Asleep)));
        assert_eq!(Gaps::default().words(), "");

        // A path rests on battery while the agent is paused; read day by day.
        let mut sums = Sums::new(hour(10), hour(100));
        sums.add(&[gap(Paused, 20, 10)]);
        sums.add(&[gap(Asleep, 25, 10)]);
        let gaps = sums.finish();
        assert!((gaps.hours() - 15.0).abs() < 1e-9, "what has two reasons is one time");
    }
}
