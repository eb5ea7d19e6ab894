//! One round of judging, and the loop that repeats it.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use busyhour_detect::{
    BuildingHistory, INCIDENT_HISTORY_DAYS, IncidentChange, TargetFaults, Told, judge_day,
    judge_incidents, retire_incident, target_faults,
};
use busyhour_model::{
    BuildingId, DaySummary, DayVerdict, IncidentState, PathId, SLOT_MICROS, Scope, UtcMicros,
};
use busyhour_store::{Control, DirtyDay, IncidentEvent, JudgeWrite, StoreError, Telemetry};
use jiff::ToSpan as _;
use jiff::civil::Date;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::inputs::{Inventory, Site};
use crate::status::{JudgeStatus, TargetFault};

/// Dirty marks read in a round: a day of 4 096 paths, and little memory.
const MARKS_A_ROUND: usize = 4096;
/// Dates judged in a round, so that the newest are written soon while a backlog loads.
const DATES_A_ROUND: usize = 8;
/// Dates judged again when a zone, business hours or a placement changed, and at the start: what
/// incidents look at.
const DATES_AGAIN: i32 = 35;
/// The least time between two rounds, however often new data is announced: while a backlog loads,
/// judging takes turns with storing.
const SPACING: Duration = Duration::from_secs(1);

/// A round of judging that did not happen. Nothing of it was written, or all of it was.
#[derive(Debug, Error)]
pub enum JudgeError {
    /// What there is to judge could not be read.
    #[error("read what to judge")]
    Read(#[source] StoreError),
    /// The verdicts could not be written.
    #[error("write verdicts")]
    Write(#[source] StoreError),
    /// The verdicts are durable; the marks of what was judged are not cleared and will be judged
    /// again.
    #[error("clear marks of judged days")]
    Clear(#[source] StoreError),
}

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Local dates that were judged.
    pub dates: usize,
    /// Verdicts that are new or changed.
    pub days_written: usize,
    /// Incidents that are new or changed.
    pub incidents_written: usize,
    /// Events that somebody is to be told.
    pub told: usize,
    /// True when more waits to be judged.
    pub more: bool,
}

/// Judges what the store marks as dirty.
pub struct Judge {
    telemetry: Arc<dyn Telemetry>,
    control: Arc<dyn Control>,
    every: Duration,
    wake: Arc<Notify>,
    status: Arc<JudgeStatus>,
    /// Locked only by the one round that runs at a time.
    again: Mutex<Again>,
}

/// Dates to be judged again without a mark.
#[derive(Default)]
struct Again {
    fingerprint: Option<u64>,
    /// The dates it was at the buildings in the last round.
    todays: BTreeSet<Date>,
    dates: BTreeSet<Date>,
}

/// The dates of a round, and the marks that they settle.
#[derive(Default)]
struct Plan {
    dates: BTreeSet<Date>,
    marks: Vec<DirtyDay>,
    waiting: usize,
}

impl Judge {
    /// Builds a judge that looks for work at an interval, and soon after `wake` is notified.
    #[must_use]
    pub fn new(
        telemetry: Arc<dyn Telemetry>,
        control: Arc<dyn Control>,
        every: Duration,
        wake: Arc<Notify>,
    ) -> Self {
        let (status, again) = (Arc::default(), Mutex::default());
        Self { telemetry, control, every, wake, status, again }
    }

    /// Its counters; they live on when the judge runs.
    #[must_use]
    pub fn status(&self) -> Arc<JudgeStatus> {
        Arc::clone(&self.status)
    }

    /// Judges until `shutdown`. A round that has begun is finished.
    pub async fn run(self, shutdown: CancellationToken) {
        let judge = Arc::new(self);
        let mut ticks = interval(judge.every.max(SPACING));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut spacing = interval(SPACING);
        spacing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut more = false;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                _ = spacing.tick() => {}
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = std::future::ready(()), if more => {}
                () = judge.wake.notified() => {}
                _ = ticks.tick() => {}
            }
            more = round(&judge).await;
        }
    }

    /// Judges one round of what waits, newest first, as of `now`.
    ///
    /// # Errors
    /// When the store cannot be read or written; the same work waits for the next round.
    pub fn judge_once(&self, now: UtcMicros) -> Result<Summary, JudgeError> {
        let result = self.round(now);
        if result.is_err() {
            self.status.failed();
        }
        result
    }

    fn round(&self, now: UtcMicros) -> Result<Summary, JudgeError> {
        let marks = self.telemetry.dirty_days(MARKS_A_ROUND).map_err(JudgeError::Read)?;
        let inventory =
            Inventory::load(&*self.telemetry, &*self.control).map_err(JudgeError::Read)?;
        let plan = self.plan(&inventory, marks, now);
        let mut write = JudgeWrite::default();
        for &date in plan.dates.iter().rev() {
            let days = self.judge_date(&inventory, date, now).map_err(JudgeError::Read)?;
            write.days.extend(days);
        }
        self.judge_incidents(&inventory, now, &mut write).map_err(JudgeError::Read)?;
        if write != JudgeWrite::default() {
            self.control.write_judgement(&write, now).map_err(JudgeError::Write)?;
        }
        self.telemetry.clear_dirty(&plan.marks).map_err(JudgeError::Clear)?;
        let waiting = plan.waiting + self.settle(&plan.dates);
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let (judged, written) = (plan.dates.len(), write.days.len());
        self.status.succeeded(now, count(waiting), count(judged), count(written));
        Ok(Summary {
            dates: judged,
            days_written: written,
            incidents_written: write.incidents.len(),
            told: write.tell.len(),
            more: waiting > 0,
        })
    }

    /// Chooses the newest dates; a mark is settled when all of its dates are among them.
    fn plan(&self, inventory: &Inventory, marks: Vec<DirtyDay>, now: UtcMicros) -> Plan {
        let mut wanted: BTreeSet<Date> = self.dates_again(inventory, now);
        let dated: Vec<(DirtyDay, BTreeSet<Date>)> = marks
            .into_iter()
            .map(|mark| (mark, inventory.dates(mark.path, mark.utc_day)))
            .collect();
        wanted.extend(dated.iter().flat_map(|(_, dates)| dates));
        let dates: BTreeSet<Date> = wanted.into_iter().rev().take(DATES_A_ROUND).collect();
        let (settled, waiting): (Vec<_>, Vec<_>) =
            dated.into_iter().partition(|(_, of_mark)| of_mark.is_subset(&dates));
        let marks = settled.into_iter().map(|(mark, _)| mark).collect();
        Plan { dates, marks, waiting: waiting.len() }
    }

    /// The dates to be judged again because buildings or placements changed, and those that are just
    /// over.
    fn dates_again(&self, inventory: &Inventory, now: UtcMicros) -> BTreeSet<Date> {
        let Ok(mut again) = self.again.lock() else { return BTreeSet::new() };
        let todays = inventory.todays(now);
        let fingerprint = inventory.fingerprint();
        if again.fingerprint != Some(fingerprint) {
            again.fingerprint = Some(fingerprint);
            for &today in &todays {
                let back = (0..DATES_AGAIN).map(|days| today.saturating_sub(days.days()));
                again.dates.extend(back);
            }
        }
        if again.todays != todays {
            // A day that is over is judged though nothing came: silence is unknown, and is said.
            again.dates.extend(todays.iter().filter_map(|today| today.yesterday().ok()));
            again.todays = todays;
        }
        again.dates.clone()
    }

    /// Notes that dates were judged. Returns how many wait to be judged again.
    fn settle(&self, judged: &BTreeSet<Date>) -> usize {
        let Ok(mut again) = self.again.lock() else { return 0 };
        again.dates.retain(|date| !judged.contains(date));
        again.dates.len()
    }

    /// Judges a date in every building. Gives the verdicts that are new or changed.
    fn judge_date(
        &self,
        inventory: &Inventory,
        date: Date,
        now: UtcMicros,
    ) -> Result<Vec<DaySummary>, StoreError> {
        let Some((from, until)) = Inventory::slots_of(date) else { return Ok(Vec::new()) };
        let ids: Vec<PathId> = inventory.paths.iter().map(|row| row.id).collect();
        let slots = self.telemetry.slots(&ids, from, until)?;
        let placed = inventory.placed(date, slots);
        let paths: Vec<_> = placed.iter().map(|path| path.day()).collect();
        let faults = target_faults(&paths);
        self.report_faults(date, &faults);
        let mut known: BTreeMap<Scope, DaySummary> =
            self.control.days(None, date, date)?.into_iter().map(|day| (day.scope, day)).collect();
        let mut changed = Vec::new();
        for site in inventory.sites.values() {
            let Some(frame) = Inventory::frame(site, date, now) else { continue };
            for day in judge_day(&frame, &paths, &faults) {
                let before = known.remove(&day.scope);
                if before.as_ref() != Some(&day) && (before.is_some() || says_something(&day)) {
                    changed.push(day);
                }
            }
        }
        // What was judged before and no longer is: the agent turned out to be elsewhere. Buildings
        // that are no longer in force keep their past.
        let in_force = |day: &DaySummary| inventory.sites.contains_key(&day.building);
        let gone = known.into_values().filter(|day| in_force(day) && says_something(day));
        changed.extend(gone.map(|day| unknown(&day)));
        Ok(changed)
    }

    fn report_faults(&self, date: Date, faults: &TargetFaults) {
        let faults: Vec<TargetFault> = faults
            .iter()
            .filter_map(|(target, slots)| {
                let slots: Vec<_> = slots.collect();
                Some(TargetFault {
                    target: target.clone(),
                    from: slots.first()?.start(),
                    until: UtcMicros(slots.last()?.start().0.saturating_add(SLOT_MICROS)),
                    quarter_hours: u32::try_from(slots.len()).unwrap_or(u32::MAX),
                })
            })
            .collect();
        let targets: Vec<String> = faults.iter().map(|fault| fault.target.to_string()).collect();
        if self.status.keep_faults(date, faults) {
            tracing::warn!(?targets, %date, "targets fail for most agents; no building is blamed");
        }
    }

    /// Moves the incidents on of every building that has new verdicts, and closes those whose place
    /// is no longer in the building file.
    fn judge_incidents(
        &self,
        inventory: &Inventory,
        now: UtcMicros,
        write: &mut JudgeWrite,
    ) -> Result<(), StoreError> {
        let touched: BTreeSet<BuildingId> = write.days.iter().map(|day| day.building).collect();
        let (open, closed): (Vec<_>, Vec<_>) = self
            .control
            .incidents(!touched.is_empty())?
            .into_iter()
            .partition(|incident| incident.state != IncidentState::Closed);
        let (lost, open): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|incident| inventory.lost(incident));
        note(write, lost.iter().map(|incident| retire_incident(incident, now)));
        let incidents = [open, closed].concat();
        for site in touched.iter().filter_map(|building| inventory.sites.get(building)) {
            let today = site.today(now);
            let days = self.history(site, today, &write.days)?;
            let own: Vec<_> =
                incidents.iter().filter(|incident| incident.building == site.id).cloned().collect();
            let changes = judge_incidents(&BuildingHistory {
                building: site.id,
                name: &site.name,
                subnets: &site.subnets,
                members: &site.members,
                today,
                now,
                days: &days,
                incidents: &own,
            });
            note(write, changes);
        }
        Ok(())
    }

    /// A building's recent verdicts, with those of this round over those of the store.
    fn history(
        &self,
        site: &Site,
        today: Date,
        fresh: &[DaySummary],
    ) -> Result<Vec<DaySummary>, StoreError> {
        let from = today.saturating_sub((INCIDENT_HISTORY_DAYS - 1).days());
        let mut days: BTreeMap<(Date, Scope), DaySummary> = BTreeMap::new();
        let stored = self.control.days(Some(site.id), from, today)?;
        let fresh = fresh.iter().filter(|day| day.building == site.id).cloned();
        for day in stored.into_iter().chain(fresh) {
            if matches!(day.scope, Scope::Agent(..) | Scope::Subnet(..)) {
                days.insert((day.date, day.scope), day);
            }
        }
        Ok(days.into_values().collect())
    }
}

/// Notes incidents that changed, and what is to be told of them.
fn note(write: &mut JudgeWrite, changes: impl IntoIterator<Item = IncidentChange>) {
    for change in changes {
        let event = change.told.map(|told| match told {
            Told::Opened => IncidentEvent::Opened,
            Told::Closed => IncidentEvent::Closed,
        });
        write.tell.extend(event.map(|event| (change.incident.id, event)));
        write.incidents.push(change.incident);
    }
}

/// Runs a round off the loop. True when more waits.
async fn round(judge: &Arc<Judge>) -> bool {
    let worker = Arc::clone(judge);
    match tokio::task::spawn_blocking(move || worker.judge_once(wall_clock())).await {
        Ok(Ok(summary)) => return summary.more,
        Ok(Err(error)) => {
            tracing::error!(error = &error as &dyn Error, "judging failed; it is tried again");
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn Error, "judging stopped in the middle");
        }
    }
    false
}

/// True when a verdict says more than that nothing was observed or should have been. That something
/// should have been says much: its silence is unknown, where no row at all would let what was good
/// before stand.
fn says_something(day: &DaySummary) -> bool {
    day.verdict.is_observed() || day.expected > 0 || day.valid > 0 || day.average.is_some()
}

/// The same scope and date, with nothing known.
fn unknown(day: &DaySummary) -> DaySummary {
    DaySummary {
        verdict: DayVerdict::Missing,
        expected: 0,
        valid: 0,
        bad: 0,
        worst_hour: None,
        bad_quarters: Vec::new(),
        average: None,
        masked: false,
        masking_factor: None,
        ..day.clone()
    }
}

fn wall_clock() -> UtcMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMicros::default().plus(since)
}
