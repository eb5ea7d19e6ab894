//! What the judge remembers from round to round. All of it can be made again from the store, and is
//! after a start and whenever buildings change.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_detect::{
    Beside, Bin, BuildingDay, BusyHours, Finding, History, Ledger, Month, Params, SeriesNo,
    TargetBins, TargetLooks,
};
use busyhour_model::{
    AgentId, BuildingId, DaySummary, IncidentState, Placement, SeriesMonth, SlotStart, UtcMicros,
};
use busyhour_store::{Control, DirtyDay, StoreError, Telemetry};
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::day::{Books, Source, Wanted, has_begun, judge_building_day};
use crate::directory::Directory;
use crate::hours::Hours;
use crate::incidents::{Incidents, finding_of};
use crate::inventory::{Inventory, News, Noons, moved_from};
use crate::targets::{look_at, utc_days};

/// Dates judged in a round, so that the newest are written soon while a backlog loads.
const DATES_A_ROUND: usize = 8;
/// So often the chosen days are judged at most, when targets turn out to have been at fault in them: once
/// more than is needed while no data come meanwhile.
const PASSES: usize = 3;
/// A moved route explains what comes for so long after it was closed: nothing older is remembered.
const CLOSED_DAYS: u64 = 93;
const DAY_SECS: u64 = 24 * 3600;

/// A building's local day.
pub(crate) type Day = (Date, BuildingId);

/// A mark, and the days of buildings that it stands for.
pub(crate) type Marked = (DirtyDay, Vec<Day>);

/// What a round judges, and the marks that it settles.
pub(crate) struct Plan {
    /// By date, the newest last.
    pub(crate) dates: BTreeMap<Date, BTreeSet<BuildingId>>,
    pub(crate) marks: Vec<DirtyDay>,
    /// Marks and days that are left for later rounds.
    pub(crate) waiting: usize,
    /// Days that were judged and are to be again.
    again: BTreeSet<Day>,
}

/// What a round works with.
pub(crate) struct Context<'a> {
    pub(crate) telemetry: &'a dyn Telemetry,
    pub(crate) control: &'a dyn Control,
    pub(crate) inventory: &'a Inventory,
    /// What is other in it than in the round before.
    pub(crate) news: &'a News,
    pub(crate) params: &'a Params,
    pub(crate) now: UtcMicros,
}

/// Everything that is remembered.
pub(crate) struct State {
    fingerprint: u64,
    pub(crate) directory: Directory,
    history: History,
    pub(crate) hours: Hours,
    /// What all series showed of their targets on the dates that rows are kept of.
    looks: TargetLooks,
    pub(crate) faults: TargetBins,
    pub(crate) incidents: Incidents,
    ledger: Ledger,
    placements: BTreeMap<AgentId, Vec<Placement>>,
    /// The dates it was at the buildings in the last round.
    todays: BTreeMap<BuildingId, Date>,
    /// The earliest of them: findings are judged up to this date.
    front: Option<Date>,
    /// Days to judge without a mark.
    wanted: BTreeSet<Day>,
    /// Those of them that have to be read before findings can be judged.
    rebuilding: BTreeSet<Day>,
    /// The last date up to which somebody judged findings before the start; taken when the history is
    /// complete.
    judged_until: Option<Date>,
    /// Rows changed since findings were judged.
    rows_changed: bool,
    /// The newest month of each series that is durable.
    months: BTreeMap<SeriesNo, Date>,
}

impl State {
    /// Begins anew: everything that findings look at is read again in the next rounds.
    pub(crate) fn begin(context: &Context<'_>) -> Result<Self, StoreError> {
        let Context { control, inventory, now, .. } = *context;
        let mut directory = Directory::of(inventory);
        number_paths(&mut directory, inventory, now);
        let closed_from = now.minus(std::time::Duration::from_secs(CLOSED_DAYS * DAY_SECS));
        let incidents = Incidents::of(control.recent_incidents(closed_from)?);
        let findings: Vec<Finding> = incidents
            .all()
            .filter_map(|incident| finding_of(incident, &mut directory, inventory))
            .collect();
        let ledger = Ledger::of(findings, control.last_incident_number()?);
        let mut state = Self {
            fingerprint: inventory.fingerprint(),
            directory,
            history: History::default(),
            hours: Hours::load(control, inventory, now)?,
            looks: TargetLooks::default(),
            faults: TargetBins::default(),
            incidents,
            ledger,
            placements: inventory.placements.clone(),
            todays: inventory.todays(now),
            front: None,
            wanted: BTreeSet::new(),
            rebuilding: BTreeSet::new(),
            judged_until: None,
            rows_changed: false,
            months: BTreeMap::new(),
        };
        state.front = state.todays.values().min().copied();
        state.judged_until = last_judged(control, state.front)?;
        state.load_months(control, inventory)?;
        for (&building, &today) in &state.todays {
            let back = (0..History::DAYS + 1).map(|days| today.saturating_sub(days.days()));
            state.wanted.extend(back.map(|date| (date, building)));
        }
        state.rebuilding.clone_from(&state.wanted);
        Ok(state)
    }

    /// True while the numbers that are remembered stand for what is in the store.
    pub(crate) fn serves(&self, inventory: &Inventory, news: &News) -> bool {
        let same_places = !news.places || self.fingerprint == inventory.fingerprint();
        let same_things = !(news.places || news.gone) || self.directory.holds(inventory);
        same_places && same_things
    }

    /// Follows what went on since the last round: agents that moved, dates that are over.
    pub(crate) fn follow(&mut self, context: &Context<'_>) {
        let Context { inventory, news, now, .. } = *context;
        self.directory.refresh(inventory, news);
        if news.places {
            self.follow_placements(context);
        }
        let todays = inventory.todays(now);
        for (&building, &today) in &todays {
            // A day that is over is judged though nothing came: silence is unknown, and is said.
            if self.todays.get(&building) != Some(&today)
                && let Ok(yesterday) = today.yesterday()
            {
                self.wanted.insert((yesterday, building));
            }
        }
        let front = todays.values().min().copied();
        if let (Some(before), Some(front)) = (self.front, front) {
            // Rows of dates beyond the front were not kept.
            let new = before.tomorrow().ok().into_iter();
            let new = new.flat_map(|first| first.series(1.day())).take_while(|date| *date <= front);
            for date in new.take(usize::try_from(History::DAYS).unwrap_or(0)) {
                self.wanted.extend(todays.keys().map(|&building| (date, building)));
            }
        }
        (self.todays, self.front) = (todays, front);
    }

    fn follow_placements(&mut self, context: &Context<'_>) {
        let Context { inventory, now, .. } = *context;
        if self.placements == inventory.placements {
            return;
        }
        let none = Vec::new();
        let agents: BTreeSet<&AgentId> =
            self.placements.keys().chain(inventory.placements.keys()).collect();
        for agent in agents {
            let before = self.placements.get(agent).unwrap_or(&none);
            let after = inventory.placements.get(agent).unwrap_or(&none);
            let Some(moved) = moved_from(before, after) else { continue };
            for placement in before.iter().chain(after) {
                let Some(site) = inventory.sites.get(&placement.building) else { continue };
                let today = site.today(now);
                let oldest = today.saturating_sub(History::DAYS.days());
                let moved = moved.clamp(UtcMicros(0), now);
                let first = site.date_of(SlotStart::containing(moved)).max(oldest);
                let dates = first.series(1.day()).take_while(|date| *date <= today);
                self.wanted.extend(dates.map(|date| (date, placement.building)));
            }
        }
        self.placements.clone_from(&inventory.placements);
    }

    /// Reads loads that are due and notes the days that are to be judged again for them.
    pub(crate) fn read_loads(
        &mut self,
        context: &Context<'_>,
        marked: &[Marked],
        noons: &mut Noons,
    ) -> Result<(), StoreError> {
        let Context { telemetry, control, inventory, params, now, .. } = *context;
        let late: BTreeSet<Day> = marked.iter().flat_map(|(_, days)| days).copied().collect();
        let mut changed = self.hours.look_for_imported(control, inventory, now)?;
        changed.extend(self.hours.read_loads(telemetry, inventory, &late, noons, now)?);
        let held = self.incidents.held_hours();
        changed.extend(self.hours.catch_up(inventory, &held, params, now));
        changed.retain(|day| self.is_present(day.0));
        self.wanted.extend(changed);
        Ok(())
    }

    /// Chooses the newest dates. A mark is settled when all of its dates are among them.
    pub(crate) fn plan(
        &mut self,
        context: &Context<'_>,
        marked: Vec<Marked>,
        noons: &mut Noons,
    ) -> Result<Plan, StoreError> {
        let of_marks: BTreeSet<Day> = marked.iter().flat_map(|(_, days)| days).copied().collect();
        let dates = self.newest(&of_marks);
        self.look_at_old_days(context, &dates, noons)?;
        let chosen = |(date, _): &Day| dates.contains_key(date);
        let (settled, left): (Vec<_>, Vec<_>) =
            marked.into_iter().partition(|(_, days)| days.iter().all(chosen));
        let later = self.wanted.iter().filter(|day| !chosen(day)).count();
        let marks = settled.into_iter().map(|(mark, _)| mark).collect();
        Ok(Plan { waiting: left.len() + later, dates, marks, again: BTreeSet::new() })
    }

    /// The newest dates of the days that wait, with their buildings.
    fn newest(&self, of_marks: &BTreeSet<Day>) -> BTreeMap<Date, BTreeSet<BuildingId>> {
        let mut dates: BTreeMap<Date, BTreeSet<BuildingId>> = BTreeMap::new();
        for &(date, building) in self.wanted.iter().chain(of_marks) {
            dates.entry(date).or_default().insert(building);
        }
        while dates.len() > DATES_A_ROUND {
            dates.pop_first();
        }
        dates
    }

    /// Looks at targets on dates that nothing is remembered of any more: over all paths, as one
    /// building's cells say nothing of them.
    fn look_at_old_days(
        &mut self,
        context: &Context<'_>,
        dates: &BTreeMap<Date, BTreeSet<BuildingId>>,
        noons: &mut Noons,
    ) -> Result<(), StoreError> {
        let Context { telemetry, inventory, now, .. } = *context;
        let old = dates.iter().filter(|(date, _)| !self.is_present(**date));
        let days = days_of(old, inventory, now);
        let Self { directory, faults, .. } = self;
        days.into_iter()
            .try_for_each(|day| look_at(day, telemetry, directory, inventory, faults, noons))
    }

    /// The days of buildings, of those that findings look at, that quarter-hours lie in.
    fn days_around(&self, starts: &BTreeSet<SlotStart>, context: &Context<'_>) -> BTreeSet<Day> {
        let Context { inventory, now, .. } = *context;
        let mut days = BTreeSet::new();
        for (&building, site) in &inventory.sites {
            let dates: BTreeSet<Date> = starts.iter().map(|&start| site.date_of(start)).collect();
            let judged = dates
                .into_iter()
                .filter(|&date| has_begun(site, date, now) && self.is_present(date));
            days.extend(judged.map(|date| (date, building)));
        }
        days
    }

    /// True for dates that findings look at, and newer ones.
    fn is_present(&self, date: Date) -> bool {
        self.front.is_some_and(|front| date >= front.saturating_sub((History::DAYS - 1).days()))
    }

    /// Judges the chosen days, and tells all verdicts of each; of a day that is judged again, as targets
    /// turned out to have been at fault in it or not, once more.
    pub(crate) fn judge_days(
        &mut self,
        context: &Context<'_>,
        plan: &mut Plan,
        noons: &mut Noons,
        found: &mut dyn FnMut(Day, Vec<DaySummary>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let frozen = self.incidents.frozen();
        let mut dates = plan.dates.clone();
        for _ in 0..PASSES {
            // Ascending, as busy hours are learned.
            for (&date, buildings) in &dates {
                self.judge_date(context, (date, buildings), &frozen, noons, found)?;
            }
            let Self { directory, looks, faults, .. } = self;
            let others = looks.ask(&directory.fleet, faults);
            if others.is_empty() {
                return Ok(());
            }
            dates = self.take_more(plan, self.days_around(&others, context));
        }
        plan.again = dates
            .into_iter()
            .flat_map(|(date, all)| all.into_iter().map(move |one| (date, one)))
            .collect();
        plan.waiting += plan.again.len();
        Ok(())
    }

    /// Adds days to a plan; of a date that is new to it all that wait.
    fn take_more(
        &self,
        plan: &mut Plan,
        days: BTreeSet<Day>,
    ) -> BTreeMap<Date, BTreeSet<BuildingId>> {
        let mut more: BTreeMap<Date, BTreeSet<BuildingId>> = BTreeMap::new();
        for (date, building) in days {
            more.entry(date).or_default().insert(building);
        }
        for (date, buildings) in &mut more {
            if !plan.dates.contains_key(date) {
                let waiting = self.wanted.iter().filter(|(waiting, _)| waiting == date);
                buildings.extend(waiting.map(|(_, building)| *building));
            }
            plan.dates.entry(*date).or_default().extend(buildings.iter().copied());
        }
        more
    }

    fn judge_date(
        &mut self,
        context: &Context<'_>,
        (date, buildings): (Date, &BTreeSet<BuildingId>),
        frozen: &BTreeSet<BuildingId>,
        noons: &mut Noons,
        found: &mut dyn FnMut(Day, Vec<DaySummary>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Context { telemetry, inventory, params, now, .. } = *context;
        let source = Source { telemetry, inventory, params, now };
        let placed = inventory.placed(date, buildings, noons);
        let is_present = self.is_present(date);
        let keeps_rows = is_present && self.front.is_some_and(|front| date <= front);
        for &building in buildings {
            let Self { directory, history, hours, looks, faults, .. } = self;
            let mut books = Books { directory, history, hours, looks, faults };
            let wanted = Wanted {
                building,
                date,
                placed: placed.get(&building).map_or(&[], Vec::as_slice),
                frozen: frozen.contains(&building),
                is_present,
                keeps_rows,
            };
            let days = judge_building_day(&source, &mut books, &wanted)?;
            self.rows_changed |= keeps_rows;
            found((date, building), days)?;
        }
        Ok(())
    }

    /// Judges findings when everything that they look at was read; gives those that are other than
    /// they were.
    pub(crate) fn judge_findings(&mut self, context: &Context<'_>, plan: &Plan) -> Vec<Finding> {
        let chosen = |(date, _): &Day| plan.dates.contains_key(date);
        let Some(front) = self.front else { return Vec::new() };
        if !self.rebuilding.iter().all(chosen) || !self.rows_changed {
            return Vec::new();
        }
        if let Some(until) = self.judged_until.take() {
            self.ledger.were_judged(&self.history, until);
        }
        let oldest = front.saturating_sub((History::DAYS + 1).days());
        if let Some((from, _)) = busyhour_model::local_day_span(oldest, &jiff::tz::TimeZone::UTC) {
            self.faults.forget_before(SlotStart::containing(from));
            self.looks.forget_before(SlotStart::containing(from));
        }
        self.directory.pair_near();
        let Self { directory, history, faults, ledger, .. } = self;
        let beside = |date| beside_of(date, directory, faults, context.params);
        let fleet = &directory.fleet;
        let changed = ledger.judge(fleet, history, front, context.params, &beside);
        self.rows_changed = false;
        changed
    }

    /// Closes a finding that nobody can see go on.
    pub(crate) fn retire(&mut self, number: u64) {
        if let Some(front) = self.front {
            let _ = self.ledger.retire(number, front);
        }
    }

    /// True when an incident that should be known to the engine is not: its place is no more.
    pub(crate) fn is_stray(&self, number: u64, building: BuildingId) -> bool {
        self.directory.building_no(building).is_some() && self.ledger.finding(number).is_none()
    }

    /// What the months that are over were like, where that is not durable yet.
    pub(crate) fn new_months(&self) -> Vec<SeriesMonth> {
        let all = (0..self.directory.fleet.series.len()).filter_map(|at| u32::try_from(at).ok());
        all.map(SeriesNo)
            .flat_map(|no| {
                let saved = self.months.get(&no);
                let months = self.history.months(no).iter();
                let new =
                    months.filter(move |month| saved.is_none_or(|saved| *saved < month.first));
                new.filter_map(move |month| self.month(no, month))
            })
            .collect()
    }

    fn month(&self, no: SeriesNo, month: &Month) -> Option<SeriesMonth> {
        let key = self.directory.key(no)?;
        Some(SeriesMonth {
            path: key.path,
            building: self.directory.building_id(key.building)?,
            subnet: self.directory.subnet_id(key.subnet)?,
            first: month.first,
            quiet_us: month.quiet_us,
            busy_us: month.busy_us,
        })
    }

    fn load_months(
        &mut self,
        control: &dyn Control,
        inventory: &Inventory,
    ) -> Result<(), StoreError> {
        for month in control.months()? {
            let Some(row) = inventory.path(month.path) else { continue };
            let (subnet, building) = (month.subnet, month.building);
            let from = UtcMicros::default();
            let there = Placement { agent: row.agent, subnet, building, from, until: None };
            let Some(no) = self.directory.series_of(row, &there, inventory) else { continue };
            let SeriesMonth { first, quiet_us, busy_us, .. } = month;
            self.history.insert_month(no, Month { first, quiet_us, busy_us });
            let newest = self.months.entry(no).or_insert(first);
            *newest = first.max(*newest);
        }
        Ok(())
    }

    /// Notes that a round's work is durable.
    pub(crate) fn settle(&mut self, plan: &Plan, months: &[SeriesMonth]) {
        self.wanted.retain(|(date, _)| !plan.dates.contains_key(date));
        self.wanted.extend(&plan.again);
        self.rebuilding.retain(|(date, _)| !plan.dates.contains_key(date));
        self.hours.saved();
        if !months.is_empty() {
            for at in 0..self.directory.fleet.series.len() {
                let Ok(no) = u32::try_from(at).map(SeriesNo) else { continue };
                if let Some(month) = self.history.months(no).last() {
                    self.months.insert(no, month.first);
                }
            }
        }
        let Self { incidents, ledger, .. } = self;
        incidents.retain(|number| ledger.finding(number).is_some());
    }

    /// Dates that have to be read before findings are judged again.
    pub(crate) fn rebuild_waiting(&self) -> usize {
        let dates: BTreeSet<Date> = self.rebuilding.iter().map(|(date, _)| *date).collect();
        dates.len()
    }

    pub(crate) fn rows(&self) -> usize {
        self.history.rows()
    }
}

/// Tells which days of buildings, of those that have begun, marks stand for.
pub(crate) fn date_marks(
    marks: &[DirtyDay],
    context: &Context<'_>,
    noons: &mut Noons,
) -> Vec<Marked> {
    let Context { inventory, now, .. } = *context;
    let begun = |&(date, building): &Day| {
        inventory.sites.get(&building).is_some_and(|site| has_begun(site, date, now))
    };
    let days = |mark: &DirtyDay| {
        let mut days = inventory.dates(mark.path, mark.utc_day, noons);
        days.retain(begun);
        (*mark, days)
    };
    marks.iter().map(days).collect()
}

/// Gives all paths numbers in their order: those that come later come after them, too. Where an agent
/// was for less than a day its series come when a day of theirs is judged.
fn number_paths(directory: &mut Directory, inventory: &Inventory, now: UtcMicros) {
    let kept = u64::from(History::DAYS.unsigned_abs()) * DAY_SECS;
    let oldest = now.minus(std::time::Duration::from_secs(kept));
    let stayed = |placement: &&Placement| {
        placement.until.is_none_or(|until| {
            let lasted = until.since(placement.from);
            until >= oldest && lasted.unsigned_abs() >= DAY_SECS * 1_000_000
        })
    };
    for row in &inventory.paths {
        let placements = inventory.placements.get(&row.agent).into_iter().flatten();
        for placement in placements.filter(stayed) {
            let _ = directory.series_of(row, placement, inventory);
        }
    }
}

/// The date up to which an earlier run has judged findings for sure: the one before the newest that it
/// wrote verdicts of. `None` when it wrote none.
fn last_judged(control: &dyn Control, front: Option<Date>) -> Result<Option<Date>, StoreError> {
    let Some(front) = front else { return Ok(None) };
    for back in 0..History::DAYS {
        let date = front.saturating_sub(back.days());
        if !control.days(None, date, date)?.is_empty() {
            return Ok(date.yesterday().ok());
        }
    }
    Ok(None)
}

/// The days of UTC, as far as they have begun, that dates touch at their buildings.
fn days_of<'a>(
    dates: impl Iterator<Item = (&'a Date, &'a BTreeSet<BuildingId>)>,
    inventory: &Inventory,
    now: UtcMicros,
) -> BTreeSet<i64> {
    let mut days = BTreeSet::new();
    for (&date, buildings) in dates {
        for site in buildings.iter().filter_map(|building| inventory.sites.get(building)) {
            let Some((from, until)) = site.span(date) else { continue };
            let until = until.min(UtcMicros(now.0.saturating_add(1)));
            if from < until {
                let last = SlotStart::containing(UtcMicros(until.0 - 1)).offset(1);
                days.extend(utc_days(SlotStart::containing(from), last));
            }
        }
    }
    days
}

/// What is known of a date beside the counts: the targets that were at fault.
fn beside_of(date: Date, directory: &Directory, faults: &TargetBins, params: &Params) -> Beside {
    if faults.is_empty() {
        return Beside::default();
    }
    let fleet = &directory.fleet;
    let lay_out = |site| {
        let hours = BusyHours::configured(site);
        BuildingDay::new(site, date, &hours, None, Bin::Quarter, params)
    };
    let days: Vec<Option<BuildingDay>> = fleet.buildings.iter().map(lay_out).collect();
    let targets = faults.on_day(fleet, |no| days.get(no.0 as usize)?.as_ref());
    Beside { targets, ..Beside::default() }
}

/// True for an incident that is not over.
pub(crate) fn goes_on(state: IncidentState) -> bool {
    state != IncidentState::Closed
}
