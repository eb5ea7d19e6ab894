//! Session reports as records.

use std::time::Duration;

use busyhour_model::{Body, BootMicros, Context, InvalidRecord, Record, SessionReport, Stamp};

use crate::clock::Clock;
use crate::config::schedule_of;
use crate::spool::{Observed, Recorder};

/// What reports run under: their own rhythm is the sessions'.
const SCHEDULE: Duration = Duration::from_secs(60);
/// After the last packet of a span the reflector waits at most so long for more.
const SILENCE: Duration = Duration::from_secs(3);
/// No span lasts longer, nor any pause in a session, by a sender's clock that is right.
const LONGEST: Duration = Duration::from_secs(600);

/// Records session reports.
#[derive(Debug, Clone)]
pub(super) struct Reports {
    pub(super) recorder: Recorder,
    pub(super) clock: Clock,
}

impl Reports {
    /// Records a report that was made just now.
    pub(super) fn record(&self, report: SessionReport) {
        match self.stamp(&report) {
            Ok(stamp) => {
                let schedule = schedule_of(SCHEDULE);
                let record = Record {
                    stamp,
                    schedule: schedule.revision,
                    context: Context::default(),
                    body: Body::SessionReport(Box::new(report)),
                };
                self.recorder.record(Observed { record, schedule });
            }
            Err(error) => tracing::error!(%error, "a session report without a time"),
        }
    }

    /// From when its first packet came at the earliest until now.
    fn stamp(&self, report: &SessionReport) -> Result<Stamp, InvalidRecord> {
        let now = self.clock.now();
        let sent_ns = report.last_sent_ns.saturating_sub(report.first_sent_ns);
        let sent = Duration::from_nanos(u64::try_from(sent_ns).unwrap_or(0)).min(LONGEST);
        let length = sent + SILENCE;
        let length_us = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        let boot = BootMicros(now.boot.0.saturating_sub(length_us));
        Stamp::new(now.wall.minus(length), boot, self.clock.boot_id(), length_us)
    }
}
