//! Busy hours of buildings: by what they were learned, since when they hold, and the load that they
//! are learned from.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use busyhour_detect::{BusyHours, History, LoadDay, Params, Site, learn_busy_hours};
use busyhour_model::{BuildingId, BuildingLoad, LoadSource, UtcMicros, WorkingWeek};
use busyhour_store::{Control, StoreError, Telemetry};
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::incidents::HeldHours;
use crate::inventory::{Inventory, JudgedSite, Noons};
use crate::load::read_load;

/// Busy hours are looked at once a week.
const LEARN_DAYS: i32 = 7;
/// The load of a day that is not over, or of which late records may have come, is read again after
/// this.
const READ_AGAIN: Duration = Duration::from_secs(3600);
/// Days back that an earlier run may have read before they were over.
const RECENT_DAYS: i32 = 2;
/// Loads read in a round, the newest first, and records of which no more are read once so many were: a
/// building's day is some thousand a machine, a microsecond each, and who waits for a verdict waits for
/// them too. The next round follows soon while some are left.
const LOADS_A_ROUND: usize = 64;
const RECORDS_A_ROUND: usize = 65_536;
/// Days of load that are kept in memory and looked for: those that rows are made with.
const DAYS: i32 = History::DAYS;
/// Imported load counts alone, and agents' does not, where so many of the last days have it: the two
/// are in different units and are never mixed.
const IMPORTED_DAYS: usize = 14;
const IMPORTED_OF_DAYS: i32 = 28;

type Loads = BTreeMap<BuildingId, BTreeMap<Date, BuildingLoad>>;

/// Whether data of a day came after everybody looked at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    InTime,
    Late,
}

/// Weeks and loads of all buildings.
#[derive(Default)]
pub(crate) struct Hours {
    /// By the date from which each holds.
    weeks: BTreeMap<BuildingId, BTreeMap<Date, WorkingWeek>>,
    /// What agents told.
    loads: Loads,
    /// What people imported, and when that was looked for last.
    imported: Loads,
    looked_for_imported: Option<UtcMicros>,
    /// When loads were read since the start.
    read: BTreeMap<(Date, BuildingId), UtcMicros>,
    /// Those that nobody ever read, of the dates up to this one of each building.
    unread: BTreeSet<(Date, BuildingId)>,
    looked_for: BTreeMap<BuildingId, Date>,
    /// Buildings all of whose days were looked at since the start, in their order.
    followed: BTreeSet<BuildingId>,
    /// Loads that are due were left for the next round.
    is_behind: bool,
    /// The first date of each building whose load came after hours were learned without it.
    late: BTreeMap<BuildingId, Date>,
    /// From when until when none is due but late ones.
    quiet: Option<(UtcMicros, UtcMicros)>,
    /// What is new and not durable yet.
    unsaved_weeks: BTreeMap<(BuildingId, Date), WorkingWeek>,
    unsaved_loads: BTreeMap<(BuildingId, Date), BuildingLoad>,
}

impl Hours {
    /// What was learned before.
    pub(crate) fn load(
        control: &dyn Control,
        inventory: &Inventory,
        now: UtcMicros,
    ) -> Result<Self, StoreError> {
        let mut hours = Self::default();
        for week in control.working_weeks()? {
            hours.weeks.entry(week.building).or_default().insert(week.looked_on, week);
        }
        (hours.loads, hours.imported) = stored_loads(control, inventory, now)?;
        hours.looked_for_imported = Some(now);
        Ok(hours)
    }

    /// Takes over what people imported since. Gives the days whose load is other than it was.
    pub(crate) fn look_for_imported(
        &mut self,
        control: &dyn Control,
        inventory: &Inventory,
        now: UtcMicros,
    ) -> Result<Vec<(Date, BuildingId)>, StoreError> {
        if self.looked_for_imported.is_some_and(|at| now < at.plus(READ_AGAIN) && at <= now) {
            return Ok(Vec::new());
        }
        let (_, imported) = stored_loads(control, inventory, now)?;
        let mut changed = Vec::new();
        for (&building, loads) in &imported {
            let known = self.imported.get(&building);
            let is_known = |load: &BuildingLoad| {
                known.and_then(|known| known.get(&load.date)).is_some_and(|known| known == load)
            };
            let new = loads.values().filter(|load| !is_known(load));
            changed.extend(new.map(|load| (load.date, building)));
        }
        self.imported = imported;
        self.looked_for_imported = Some(now);
        Ok(changed)
    }

    /// Reads the loads that are due, newest first. Gives the days whose load is other than it was.
    pub(crate) fn read_loads(
        &mut self,
        telemetry: &dyn Telemetry,
        inventory: &Inventory,
        late: &BTreeSet<(Date, BuildingId)>,
        noons: &mut Noons,
        now: UtcMicros,
    ) -> Result<Vec<(Date, BuildingId)>, StoreError> {
        let mut changed = Vec::new();
        let due = self.due(inventory, late, now);
        let mut records = 0;
        self.is_behind = false;
        for (at, (date, building)) in in_turn(due, &self.read).into_iter().enumerate() {
            if at == LOADS_A_ROUND || records >= RECORDS_A_ROUND {
                (self.quiet, self.is_behind) = (None, true);
                break;
            }
            let Some(judged) = inventory.sites.get(&building) else { continue };
            let there = inventory.agents_in(building, date, noons);
            let about = (building, &judged.site);
            let found = read_load(telemetry, inventory, about, date, &there, &mut records)?;
            self.read.insert((date, building), now);
            self.unread.remove(&(date, building));
            if found.is_some_and(|load| self.take(load)) {
                changed.push((date, building));
            }
        }
        Ok(changed)
    }

    /// The loads that are due: late ones are asked about each time, the others when one of them may have
    /// become due.
    fn due(
        &mut self,
        inventory: &Inventory,
        late: &BTreeSet<(Date, BuildingId)>,
        now: UtcMicros,
    ) -> BTreeSet<(Date, BuildingId)> {
        let mut due = BTreeSet::new();
        let is_quiet = |(asked, next): (UtcMicros, UtcMicros)| asked <= now && now < next;
        if !self.quiet.is_some_and(is_quiet) {
            let next = self.look_for_due(inventory, now, &mut due);
            self.quiet = Some((now, next));
        }
        for &(date, building) in late {
            let Some(judged) = inventory.sites.get(&building) else { continue };
            let today = judged.today(now);
            let is_kept = today.saturating_sub((DAYS - 1).days()) <= date && date <= today;
            if is_kept
                && self.due_at((date, building), judged, Told::Late).is_some_and(|at| at <= now)
            {
                due.insert((date, building));
            }
        }
        due
    }

    /// Looks through the days of all buildings; gives the moment from which on others are due, or there
    /// are others.
    fn look_for_due(
        &mut self,
        inventory: &Inventory,
        now: UtcMicros,
        due: &mut BTreeSet<(Date, BuildingId)>,
    ) -> UtcMicros {
        let mut next = now.plus(READ_AGAIN);
        let mut kept: Option<Date> = None;
        for (&building, judged) in &inventory.sites {
            let today = judged.today(now);
            kept = Some(kept.map_or(today, |kept| kept.min(today)));
            if self.looked_for.insert(building, today) != Some(today) {
                // What an earlier run read is whole, but for the last days.
                let days = (0..DAYS).map(|back| (today.saturating_sub(back.days()), building));
                let known = self.loads.get(&building);
                // Before anything was measured nobody told a load either.
                let has_any = |date: Date| {
                    let ends = judged.span(date).map(|(_, ends)| ends);
                    inventory.oldest.is_some_and(|oldest| ends.is_some_and(|ends| oldest < ends))
                };
                let is_unread = |day: &(Date, BuildingId)| {
                    has_any(day.0)
                        && !self.read.contains_key(day)
                        && !known.is_some_and(|loads| loads.contains_key(&day.0))
                };
                self.unread.extend(days.filter(is_unread));
            }
            next = judged.span(today).map_or(next, |(_, ends)| ends.min(next));
            for back in 0..=RECENT_DAYS {
                let day = (today.saturating_sub(back.days()), building);
                match self.due_at(day, judged, Told::InTime) {
                    Some(at) if at <= now => {
                        due.insert(day);
                    }
                    Some(at) => next = at.min(next),
                    None => {}
                }
            }
        }
        if let Some(kept) = kept.map(|today| today.saturating_sub(DAYS.days())) {
            self.read.retain(|(date, _), _| *date >= kept);
            self.unread.retain(|(date, _)| *date >= kept);
            self.loads.values_mut().for_each(|loads| *loads = loads.split_off(&kept));
        }
        due.extend(&self.unread);
        next
    }

    /// From when on the load of a recent day is to be read (again); `None` when no more can come.
    fn due_at(&self, day: (Date, BuildingId), site: &JudgedSite, told: Told) -> Option<UtcMicros> {
        let Some(&read) = self.read.get(&day) else { return Some(UtcMicros(i64::MIN)) };
        let stale = read.plus(READ_AGAIN);
        let ends = site.span(day.0).map(|(_, ends)| ends).filter(|ends| read < *ends);
        match told {
            Told::Late => Some(ends.map_or(stale, |ends| stale.min(ends))),
            Told::InTime => ends.map(|ends| stale.min(ends)),
        }
    }

    /// Takes a load that was read. True when it is other than it was; what tells of less than before
    /// is of records that have gone.
    fn take(&mut self, load: BuildingLoad) -> bool {
        let told = |load: &BuildingLoad| load.quarters.iter().flatten().count();
        let loads = self.loads.entry(load.building).or_default();
        let less = |known: &BuildingLoad| told(known) > told(&load) || *known == load;
        let known = loads.get(&load.date);
        if known.is_some_and(less) {
            return false;
        }
        let weeks = self.weeks.get(&load.building);
        let learned =
            weeks.and_then(|weeks| weeks.last_key_value()).map(|(looked_on, _)| *looked_on);
        if known.is_none() && learned.is_some_and(|looked_on| load.date < looked_on) {
            let first = self.late.entry(load.building).or_insert(load.date);
            *first = load.date.min(*first);
        }
        self.unsaved_loads.insert((load.building, load.date), load.clone());
        loads.insert(load.date, load);
        true
    }

    /// Looks, for each building whose loads have all been read since the start, at its days in their
    /// order, as if they had been lived: days are judged newest first then, and by what was read so far
    /// hours would be those of no week. Gives the days from the first week on that is new.
    pub(crate) fn catch_up(
        &mut self,
        inventory: &Inventory,
        held: &HeldHours,
        params: &Params,
        now: UtcMicros,
    ) -> Vec<(Date, BuildingId)> {
        let mut changed = self.catch_up_late(inventory, held, params, now);
        let Some(front) = inventory.todays(now).into_values().min() else { return changed };
        if inventory.sites.keys().all(|building| self.followed.contains(building)) {
            return changed;
        }
        let unread: BTreeSet<BuildingId> = self.unread.iter().map(|day| day.1).collect();
        for (&building, judged) in &inventory.sites {
            if unread.contains(&building) || !self.followed.insert(building) {
                continue;
            }
            let newest = |weeks: &BTreeMap<Date, WorkingWeek>| Some(*weeks.last_key_value()?.0);
            let before = self.weeks.get(&building).and_then(newest);
            for date in (0..DAYS).rev().map(|back| front.saturating_sub(back.days())) {
                self.look_at(building, &judged.site, date, held.on(building, date), params);
            }
            let weeks = self.weeks.get(&building).into_iter().flatten();
            let mut looked_on = weeks.map(|(looked_on, _)| *looked_on);
            let first = looked_on.find(|date| before.is_none_or(|before| *date > before));
            let days = first.into_iter().flat_map(|first| first.series(1.day()));
            changed.extend(days.take_while(|date| *date <= front).map(|date| (date, building)));
        }
        changed
    }

    /// Looks once more, in their order, at the days of buildings whose loads came after hours had been
    /// learned without them: as if they had been there in time. Waits until all that is due was read and a
    /// building is followed, and while an incident holds its hours. Gives the days that other hours may hold on.
    /// Until then the first of these loads is not durable: whoever starts meanwhile reads it again, late again.
    fn catch_up_late(
        &mut self,
        inventory: &Inventory,
        held: &HeldHours,
        params: &Params,
        now: UtcMicros,
    ) -> Vec<(Date, BuildingId)> {
        let mut changed = Vec::new();
        if self.late.is_empty() || self.is_behind {
            return changed;
        }
        let Some(front) = inventory.todays(now).into_values().min() else { return changed };
        let waits = |one: &BuildingId| held.now(*one) || !self.followed.contains(one);
        let (wait, ready): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.late).into_iter().partition(|(one, _)| waits(one));
        self.late = wait;
        for (building, first) in ready {
            let Some(judged) = inventory.sites.get(&building) else { continue };
            let held = |date| held.on(building, date);
            let days = self.look_again(building, &judged.site, (first, front), &held, params);
            changed.extend(days.map(|date| (date, building)));
        }
        changed
    }

    /// Forgets the weeks after a date and looks at all days since again, up to another one: hours that an
    /// incident held then stay as they were. Gives the days that follow the first.
    fn look_again(
        &mut self,
        building: BuildingId,
        site: &Site,
        (first, front): (Date, Date),
        held: &dyn Fn(Date) -> bool,
        params: &Params,
    ) -> impl Iterator<Item = Date> + use<> {
        let first = first.max(front.saturating_sub((DAYS - 1).days()));
        let days = first.series(1.day()).skip(1).take_while(move |date| *date <= front);
        let weeks = self.weeks.entry(building).or_default();
        // What is durable of a date is to be what is learned on it now.
        let looked_on: BTreeSet<Date> =
            weeks.split_off(&first.saturating_add(1.day())).into_keys().collect();
        self.unsaved_weeks.retain(|(of, date), _| *of != building || *date <= first);
        for date in days.clone() {
            if looked_on.contains(&date) {
                self.learn(building, site, date, held(date), params);
            } else {
                self.look_at(building, site, date, held(date), params);
            }
        }
        days
    }

    /// Looks at a building's busy hours when a week has gone since that was done last, from the first
    /// day on of which any load is known; and at once when it is another one's load that counts from
    /// now on. `date` is a local day that rows are made of; its own load does not count. Nothing is
    /// looked at before [`Self::catch_up`] has.
    pub(crate) fn look_at(
        &mut self,
        building: BuildingId,
        site: &Site,
        date: Date,
        frozen: bool,
        params: &Params,
    ) {
        if !self.followed.contains(&building) {
            return;
        }
        let source = self.source_on(building, date);
        let last = self.weeks.get(&building).and_then(|weeks| weeks.last_key_value());
        let is_other = last.is_some_and(|(_, week)| week.source != source);
        let is_due = last.is_none_or(|(&looked_on, _)| {
            date >= looked_on.saturating_add(LEARN_DAYS.days()) || (is_other && date >= looked_on)
        });
        if is_due {
            self.learn(building, site, date, frozen, params);
        }
    }

    /// Learns a building's busy hours on a date.
    fn learn(
        &mut self,
        building: BuildingId,
        site: &Site,
        date: Date,
        frozen: bool,
        params: &Params,
    ) {
        let source = self.source_on(building, date);
        let last = self.weeks.get(&building).and_then(|weeks| weeks.last_key_value());
        let is_other = last.is_some_and(|(_, week)| week.source != source);
        let Some(known) = self.loads_of(source, building) else { return };
        if known.range(..=date).next().is_none() {
            return;
        }
        let before = self.on(building, site, date);
        let before = if is_other { before.without_figures() } else { before };
        let loads: Vec<LoadDay> = known.values().map(load_day).collect();
        let first = date.saturating_sub(params.load_days.days());
        let machines = machines_of(known.range(first..date).map(|(_, load)| load.machines));
        let learned = learn_busy_hours(site, date, &loads, Some(&before), frozen, params);
        let week = learned.week(building, date, (source, machines));
        self.unsaved_weeks.insert((building, date), week.clone());
        let weeks = self.weeks.entry(building).or_default();
        weeks.insert(date, week);
        // Rows of all kept dates can be made again, and nothing older is.
        let oldest = date.saturating_sub((DAYS + LEARN_DAYS).days());
        let first = weeks.range(..=oldest).next_back().map(|(date, _)| *date);
        if let Some(first) = first {
            *weeks = weeks.split_off(&first);
        }
    }

    /// The busy hours that hold on a date: the last ones learned by then, else the configured ones.
    pub(crate) fn on(&self, building: BuildingId, site: &Site, date: Date) -> BusyHours {
        let configured = BusyHours::configured(site);
        let Some(week) = self.week_on(building, date) else { return configured };
        let mut hours = BusyHours::of_week(week);
        if !week.learned {
            // The hours are those of the building file in force.
            (hours.quarters, hours.working) = (configured.quarters, configured.working);
        }
        hours
    }

    /// The load of a building's day, where it was told by whom the week in force was learned from: a day
    /// of one's calls is held against no week of the other's bytes.
    pub(crate) fn load_on(&self, building: BuildingId, date: Date) -> Option<LoadDay> {
        let source = self.week_on(building, date)?.source;
        self.loads_of(source, building)?.get(&date).map(load_day)
    }

    fn week_on(&self, building: BuildingId, date: Date) -> Option<&WorkingWeek> {
        let (_, week) = self.weeks.get(&building)?.range(..=date).next_back()?;
        Some(week)
    }

    /// Whose load counts for a building around a date.
    fn source_on(&self, building: BuildingId, date: Date) -> LoadSource {
        let first = date.saturating_sub(IMPORTED_OF_DAYS.days());
        let imported = self.imported.get(&building);
        if imported.is_some_and(|loads| loads.range(first..=date).count() >= IMPORTED_DAYS) {
            LoadSource::Imported
        } else {
            LoadSource::Agents
        }
    }

    fn loads_of(
        &self,
        source: LoadSource,
        building: BuildingId,
    ) -> Option<&BTreeMap<Date, BuildingLoad>> {
        match source {
            LoadSource::Agents => self.loads.get(&building),
            LoadSource::Imported => self.imported.get(&building),
        }
    }

    /// What is to be made durable.
    pub(crate) fn unsaved(&self) -> (Vec<BuildingLoad>, Vec<WorkingWeek>) {
        let loads = self.unsaved_loads.iter().filter(|(day, _)| !self.waits_to_count(day));
        let loads = loads.map(|(_, load)| load.clone()).collect();
        (loads, self.unsaved_weeks.values().cloned().collect())
    }

    /// Whether a load is the first of a building that came late, with which hours are still to be learned: whoever
    /// starts meanwhile finds it late again, and looks at all days since.
    fn waits_to_count(&self, &(building, date): &(BuildingId, Date)) -> bool {
        self.late.get(&building) == Some(&date)
    }

    /// Notes that [`Self::unsaved`] is durable.
    pub(crate) fn saved(&mut self) {
        let mut unsaved = std::mem::take(&mut self.unsaved_loads);
        unsaved.retain(|day, _| self.waits_to_count(day));
        self.unsaved_loads = unsaved;
        self.unsaved_weeks.clear();
    }

    /// True while loads that are due wait for the next round.
    pub(crate) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Buildings whose hours were learned.
    pub(crate) fn learned(&self) -> usize {
        let last = self.weeks.values().filter_map(|weeks| weeks.last_key_value());
        last.filter(|(_, week)| week.learned).count()
    }
}

/// Loads that are due in the order in which they are read: the newest dates first, and of one date those that
/// were read longest ago, or never, so that nobody waits for ever where not all can be read in an hour.
fn in_turn(
    due: BTreeSet<(Date, BuildingId)>,
    read: &BTreeMap<(Date, BuildingId), UtcMicros>,
) -> Vec<(Date, BuildingId)> {
    let mut due: Vec<(Date, BuildingId)> = due.into_iter().collect();
    due.sort_by_key(|day| (Reverse(day.0), read.get(day).copied()));
    due
}

/// The loads of the dates that rows are made of: those that agents told, and those that people
/// imported.
fn stored_loads(
    control: &dyn Control,
    inventory: &Inventory,
    now: UtcMicros,
) -> Result<(Loads, Loads), StoreError> {
    let (mut told, mut imported) = (Loads::new(), Loads::new());
    let todays = inventory.todays(now);
    let (Some(&first), Some(&last)) = (todays.values().min(), todays.values().max()) else {
        return Ok((told, imported));
    };
    for load in control.building_loads(None, first.saturating_sub(DAYS.days()), last)? {
        let loads = match load.source {
            LoadSource::Agents => &mut told,
            LoadSource::Imported => &mut imported,
        };
        loads.entry(load.building).or_default().insert(load.date, load);
    }
    Ok((told, imported))
}

/// So many machines told on half of the days, or more did; 0 of none.
fn machines_of(days: impl Iterator<Item = u32>) -> u32 {
    let mut machines: Vec<u32> = days.collect();
    machines.sort_unstable();
    let middle = machines.len().saturating_sub(1) / 2;
    machines.get(middle).copied().unwrap_or(0)
}

fn load_day(load: &BuildingLoad) -> LoadDay {
    LoadDay { date: load.date, load: load.quarters }
}

#[cfg(test)]
mod tests;
