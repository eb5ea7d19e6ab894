//! The collector's figures about itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use busyhour_api::{Figure, StatusSource};
use busyhour_judge::JudgeStatus;
use busyhour_store::Telemetry;

use crate::prune::Pruned;

/// Figures of the parts that work behind the doors.
pub(crate) struct WorkFigures {
    pub(crate) judge: Arc<JudgeStatus>,
    pub(crate) notify: Arc<busyhour_notify::Counters>,
    pub(crate) pruned: Pruned,
}

/// Where all figures come from.
pub(crate) struct Status {
    started: Instant,
    ingest: Arc<busyhour_ingest::Counters>,
    work: WorkFigures,
    telemetry: Arc<dyn Telemetry>,
}

impl Status {
    pub(crate) fn new(
        ingest: Arc<busyhour_ingest::Counters>,
        work: WorkFigures,
        telemetry: Arc<dyn Telemetry>,
    ) -> Self {
        Self { started: Instant::now(), ingest, work, telemetry }
    }
}

impl StatusSource for Status {
    fn figures(&self) -> Vec<Figure> {
        let ingest = self.ingest.snapshot();
        let (judge, notify) = (&self.work.judge, self.work.notify.snapshot());
        let pruned = self.work.pruned.load(Ordering::Relaxed);
        let damaged = self.telemetry.damaged().len() as u64;
        let faults = judge.target_faults().len() as u64;
        let round_us = u64::try_from(judge.last_round().as_micros()).unwrap_or(u64::MAX);
        let figure = |name: &str, value: u64, help: &'static str| Figure {
            name: name.to_owned(),
            value: i64::try_from(value).unwrap_or(i64::MAX),
            help,
        };
        let open = judge.open_findings().into_iter().map(|(kind, count)| {
            figure(
                &format!("judge_open_{}", kind.as_str().replace('-', "_")),
                count,
                "open findings",
            )
        });
        let mut figures = vec![
            figure("uptime_s", self.started.elapsed().as_secs(), "since the collector began"),
            figure("ingest_sessions_total", ingest.sessions, "sessions that agents opened"),
            figure("ingest_replaced_total", ingest.replaced, "sessions replaced by a newer one"),
            figure("ingest_unauthenticated_total", ingest.unauthenticated, "calls by nobody known"),
            figure("ingest_sent_away_total", ingest.sent_away, "agents asked to come back later"),
            figure("ingest_turns_total", ingest.turns, "turns at delivering backlog"),
            figure(
                "ingest_sightings_dropped_total",
                ingest.sightings_dropped,
                "sightings of agents that were not noted",
            ),
            figure("ingest_refused_total", ingest.refused, "sessions that broke the protocol"),
            figure("ingest_blocks_total", ingest.blocks, "blocks stored"),
            figure("ingest_duplicates_total", ingest.duplicates, "blocks stored already"),
            figure("ingest_records_total", ingest.records, "records stored"),
            figure("ingest_windows_total", ingest.windows, "windows stored"),
            figure("ingest_quarantined_total", ingest.quarantined, "records not placed or read"),
            figure("ingest_store_failures_total", ingest.store_failures, "commits that failed"),
            figure("judge_rounds_total", judge.rounds(), "rounds of judging that ended"),
            figure("judge_waiting_dates", judge.waiting(), "days that wait to be judged"),
            figure("judge_dates_total", judge.judged_days(), "local dates judged"),
            figure("judge_verdicts_total", judge.written_days(), "verdicts written"),
            figure("judge_failures_total", judge.failures(), "rounds of judging that failed"),
            figure("judge_targets_at_fault", faults, "targets at fault within the last day"),
            figure("judge_rebuild_dates", judge.rebuild_waiting(), "dates to read before findings"),
            figure("judge_rows", judge.rows(), "series days that findings are judged by"),
            figure("judge_learned_buildings", judge.learned_buildings(), "with learned busy hours"),
            figure("judge_round_us", round_us, "the last round of judging took so long"),
            figure("notify_sent_total", notify.sent, "alerts that the other side took"),
            figure("notify_failed_total", notify.failed, "attempts to send that failed"),
            figure("notify_withheld_total", notify.withheld, "alerts withheld or given up"),
            figure("notify_store_failures_total", notify.store_failures, "outbox not available"),
            figure("store_damaged_files", damaged, "files found damaged and set aside"),
            figure("pruned_rows_total", pruned, "rows forgotten as too old"),
        ];
        figures.extend(open);
        figures
    }
}
