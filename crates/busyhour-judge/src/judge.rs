//! One round of judging, and the loop that repeats it.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use busyhour_detect::{Finding, Params};
use busyhour_model::{BuildingId, DaySummary, DayVerdict, Incident, Scope, UtcMicros};
use busyhour_store::{Control, DirtyDay, JudgeWrite, StoreError, Telemetry};
use jiff::civil::Date;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::incidents::{Fresh, describe_worst, has_worst_hour, incident_of, retired};
use crate::inventory::{Inventory, Lost, News, Noons};
use crate::state::{Context, Day, Plan, State, date_marks, goes_on};
use crate::status::{JudgeStatus, RoundFigures};
use crate::targets;

/// Dirty marks read in a round: four days of 15,000 paths, in two megabytes.
const MARKS_A_ROUND: usize = 65_536;
/// The least time between the beginnings of two rounds, however often new data is announced: while a
/// backlog loads, judging takes turns with storing.
const SPACING: Duration = Duration::from_secs(1);
/// A round begins no sooner than so many times the last one's duration after that began: judging takes
/// a twentieth of a core at most, and a quarter of one while there is more than a round's work.
const SHARE: u32 = 20;
const SHARE_WHILE_MORE: u32 = 4;

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
    /// Days of buildings whose load is new or changed.
    pub loads_written: usize,
    /// Buildings whose busy hours were looked at, as they are once a week.
    pub weeks_written: usize,
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
    params: Params,
    /// Locked only by the one round that runs at a time.
    memory: Mutex<Memory>,
}

/// What is remembered from round to round.
#[derive(Default)]
struct Memory {
    /// `None` before the first round.
    inventory: Option<Inventory>,
    /// `None` before the first round, and after one that broke off.
    state: Option<State>,
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
        let (status, memory, params) = (Arc::default(), Mutex::default(), Params::default());
        Self { telemetry, control, every, wake, status, params, memory }
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
        let mut next = tokio::time::Instant::now();
        let mut more = false;
        loop {
            // Not an interval: how long to wait follows from how long the last round took.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = sleep_until(next) => {}
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = std::future::ready(()), if more => {}
                () = judge.wake.notified() => {}
                _ = ticks.tick() => {}
            }
            let begun = Instant::now();
            more = round(&judge).await;
            let took = begun.elapsed();
            judge.status.took(took);
            let begun = tokio::time::Instant::from_std(begun);
            next = begun.checked_add(spacing(took, more)).unwrap_or(begun);
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
        // Before the inventory: a path has its row before it has a mark.
        let marks = self.telemetry.dirty_days(MARKS_A_ROUND).map_err(JudgeError::Read)?;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let Memory { inventory, state: held } = &mut *memory;
        let (telemetry, control) = (&*self.telemetry, &*self.control);
        let (inventory, news) = match inventory {
            Some(known) => {
                let news = known.follow(telemetry, control).map_err(JudgeError::Read)?;
                (&*known, news)
            }
            None => {
                let read = Inventory::load(telemetry, control).map_err(JudgeError::Read)?;
                (&*inventory.insert(read), News::default())
            }
        };
        let params = &self.params;
        let context = Context { telemetry, control, inventory, news: &news, params, now };
        let known = held.take().filter(|state| state.serves(inventory, &news));
        let mut state = match known {
            Some(state) => state,
            None => State::begin(&context).map_err(JudgeError::Read)?,
        };
        let result = self.work(&mut state, &context, &marks);
        // In a round that broke off findings may have moved on that nobody wrote down.
        if matches!(result, Ok(_) | Err(JudgeError::Clear(_))) {
            *held = Some(state);
        }
        result
    }

    fn work(
        &self,
        state: &mut State,
        context: &Context<'_>,
        marks: &[DirtyDay],
    ) -> Result<Summary, JudgeError> {
        let mut write = JudgeWrite::default();
        let plan = self.decide(state, context, marks, &mut write).map_err(JudgeError::Read)?;
        (write.loads, write.weeks) = state.hours.unsaved();
        write.months = state.new_months();
        if write != JudgeWrite::default() {
            self.control.write_judgement(&write, context.now).map_err(JudgeError::Write)?;
        }
        state.incidents.saved(&write.incidents);
        state.settle(&plan, &write.months);
        self.telemetry.clear_dirty(&plan.marks).map_err(JudgeError::Clear)?;
        self.say(state, context, &plan, &write);
        Ok(Summary {
            dates: plan.dates.len(),
            days_written: write.days.len(),
            incidents_written: write.incidents.len(),
            told: write.tell.len(),
            loads_written: write.loads.len(),
            weeks_written: write.weeks.len(),
            more: plan.waiting > 0 || state.hours.is_behind(),
        })
    }

    /// Reads and judges what the round is about; writes nothing.
    fn decide(
        &self,
        state: &mut State,
        context: &Context<'_>,
        marks: &[DirtyDay],
        write: &mut JudgeWrite,
    ) -> Result<Plan, StoreError> {
        let mut noons = Noons::default();
        state.follow(context);
        let marked = date_marks(marks, context, &mut noons);
        state.read_loads(context, &marked, &mut noons)?;
        let mut plan = state.plan(context, marked, &mut noons)?;
        let mut news: BTreeMap<Day, Vec<DaySummary>> = BTreeMap::new();
        state.judge_days(context, &mut plan, &mut noons, &mut |(date, building), judged| {
            news.insert((date, building), self.news(building, date, judged)?);
            Ok(())
        })?;
        write.days = news.into_values().flatten().collect();
        self.retire_lost(state, context, write);
        let findings = state.judge_findings(context, &plan);
        self.note_findings(state, &findings, context, write)?;
        Ok(plan)
    }

    /// Those of a building's verdicts that are new or changed. What was judged before and no longer is
    /// becomes unknown: the agent turned out to be elsewhere.
    fn news(
        &self,
        building: BuildingId,
        date: Date,
        judged: Vec<DaySummary>,
    ) -> Result<Vec<DaySummary>, StoreError> {
        let known = self.control.days(Some(building), date, date)?;
        let mut known: BTreeMap<Scope, DaySummary> =
            known.into_iter().map(|day| (day.scope, day)).collect();
        let mut changed = Vec::new();
        for day in judged {
            let before = known.remove(&day.scope);
            if before.as_ref() != Some(&day) && (before.is_some() || says_something(&day)) {
                changed.push(day);
            }
        }
        let gone = known.into_values().filter(says_something);
        changed.extend(gone.map(|day| unknown(&day)));
        Ok(changed)
    }

    /// Closes what nobody can see go on.
    fn retire_lost(&self, state: &mut State, context: &Context<'_>, write: &mut JudgeWrite) {
        let Context { inventory, now, .. } = *context;
        let why = |incident: &Incident| {
            let stray = || state.is_stray(incident.number, incident.building);
            inventory.lost(incident).or_else(|| stray().then_some(Lost::Paths))
        };
        let all = state.incidents.all().filter(|incident| goes_on(incident.state));
        let lost: Vec<Incident> = all
            .filter_map(|incident| Some(retired(incident, why(incident)?, inventory, now)))
            .collect();
        for incident in lost {
            state.retire(incident.number);
            state.incidents.note(write, incident);
        }
    }

    /// Notes incidents of findings that are other than they were, and those whose worst hour may be
    /// another one by this round's verdicts.
    fn note_findings(
        &self,
        state: &State,
        findings: &[Finding],
        context: &Context<'_>,
        write: &mut JudgeWrite,
    ) -> Result<(), StoreError> {
        let changed: BTreeMap<u64, &Finding> = findings.iter().map(|one| (one.id, one)).collect();
        let days = std::mem::take(&mut write.days);
        let fresh = Fresh::of(&days);
        let touched = state.incidents.all().filter(|incident| {
            let is_fresh = |building| fresh.has((incident.last_bad, building));
            goes_on(incident.state)
                && !days.is_empty()
                && incident.buildings().into_iter().any(is_fresh)
        });
        let retired: BTreeSet<u64> = write.incidents.iter().map(|one| one.number).collect();
        let mut numbers: BTreeSet<u64> = touched.map(|incident| incident.number).collect();
        numbers.extend(changed.keys());
        for number in numbers.difference(&retired) {
            let before = state.incidents.get(*number);
            let incident = match changed.get(number) {
                Some(finding) => incident_of(finding, &state.directory, before, context.now),
                None => before.cloned(),
            };
            let Some(mut incident) = incident else { continue };
            if has_worst_hour(incident.kind) {
                let Context { inventory, control, .. } = *context;
                describe_worst(&mut incident, inventory, control, &fresh)?;
            }
            state.incidents.note(write, incident);
        }
        write.days = days;
        Ok(())
    }

    /// Says what a round did, to the log and the status page.
    fn say(&self, state: &State, context: &Context<'_>, plan: &Plan, write: &JudgeWrite) {
        let faults = targets::present(&state.directory, &state.faults, context.now);
        let targets: Vec<String> = faults.iter().map(|fault| fault.target.to_string()).collect();
        if self.status.keep_faults(faults) {
            tracing::warn!(?targets, "targets fail for most agents; no building is blamed");
        }
        self.status.succeeded(RoundFigures {
            at: context.now,
            waiting: plan.waiting,
            judged: plan.dates.len(),
            written: write.days.len(),
            rebuild_waiting: state.rebuild_waiting(),
            rows: state.rows(),
            learned: state.hours.learned(),
            findings: state.incidents.open_by_kind(),
        });
    }
}

/// The least time from the beginning of a round that took so long to that of the next.
fn spacing(took: Duration, more: bool) -> Duration {
    let share = if more { SHARE_WHILE_MORE } else { SHARE };
    took.saturating_mul(share).max(SPACING)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judging_takes_a_twentieth_of_a_core_and_a_quarter_while_it_lags() {
        let seconds = Duration::from_secs;
        assert_eq!(spacing(seconds(3), false), seconds(60));
        assert_eq!(spacing(seconds(3), true), seconds(12));
        assert_eq!(spacing(Duration::from_millis(1), false), SPACING);
        assert_eq!(spacing(Duration::MAX, false), Duration::MAX);
    }
}
