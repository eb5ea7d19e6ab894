//! Busy hours of buildings: by what they were learned, since when they hold, and the load that they
//! are learned from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use busyhour_detect::{BusyHours, History, LoadDay, Params, Site, learn_busy_hours};
use busyhour_model::{BuildingId, BuildingLoad, LoadSource, UtcMicros, WorkingWeek};
use busyhour_store::{Control, StoreError, Telemetry};
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::inventory::{Inventory, JudgedSite, Noons};
use crate::load::read_load;

/// Busy hours are looked at once a week.
const LEARN_DAYS: i32 = 7;
/// The load of a day that is not over, or of which late records may have come, is read again after
/// this.
const READ_AGAIN: Duration = Duration::from_secs(3600);
/// Days back that an earlier run may have read before they were over.
const RECENT_DAYS: i32 = 2;
/// Loads read in a round, the newest first: a building's day is some thousand records a machine.
const LOADS_A_ROUND: usize = 64;
/// Days of load that are kept in memory and looked for: those that rows are made with.
const DAYS: i32 = History::DAYS;
/// Imported load counts alone, and agents' does not, where so many of the last days have it: the two
/// are in different units and are never mixed.
const IMPORTED_DAYS: usize = 14;
const IMPORTED_OF_DAYS: i32 = 28;

type Loads = BTreeMap<BuildingId, BTreeMap<Date, BuildingLoad>>;

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
        let mut due: Vec<(Date, BuildingId)> = Vec::new();
        for (&building, judged) in &inventory.sites {
            let today = judged.today(now);
            let dates = (0..DAYS).map(|back| today.saturating_sub(back.days()));
            due.extend(dates.map(|date| (date, building)).filter(|day| {
                let is_late = late.contains(day);
                self.is_due(*day, judged, is_late, now)
            }));
        }
        due.sort_unstable_by(|a, b| b.cmp(a));
        let mut changed = Vec::new();
        for &(date, building) in due.iter().take(LOADS_A_ROUND) {
            let Some(judged) = inventory.sites.get(&building) else { continue };
            let there = inventory.agents_in(building, date, noons);
            let about = (building, &judged.site);
            let found = read_load(telemetry, inventory, about, date, &there)?;
            self.read.insert((date, building), now);
            if found.is_some_and(|load| self.take(load)) {
                changed.push((date, building));
            }
        }
        let kept =
            inventory.todays(now).values().min().map(|date| date.saturating_sub(DAYS.days()));
        if let Some(kept) = kept {
            self.read.retain(|(date, _), _| *date >= kept);
            self.loads.values_mut().for_each(|loads| *loads = loads.split_off(&kept));
        }
        Ok(changed)
    }

    fn is_due(
        &self,
        day: (Date, BuildingId),
        site: &JudgedSite,
        is_late: bool,
        now: UtcMicros,
    ) -> bool {
        let is_recent = day.0 >= site.today(now).saturating_sub(RECENT_DAYS.days());
        let Some(&read) = self.read.get(&day) else {
            // What an earlier run read is whole, but for the last days.
            let known = self.loads.get(&day.1).is_some_and(|loads| loads.contains_key(&day.0));
            return !known || is_late || is_recent;
        };
        if !is_late && !is_recent {
            return false;
        }
        let ends = site.span(day.0).map_or(now, |(_, until)| until);
        let is_stale = read.plus(READ_AGAIN) <= now;
        (is_stale && (is_late || ends > now)) || (read < ends && ends <= now)
    }

    /// Takes a load that was read. True when it is other than it was; what tells of less than before
    /// is of records that have gone.
    fn take(&mut self, load: BuildingLoad) -> bool {
        let told = |load: &BuildingLoad| load.quarters.iter().flatten().count();
        let loads = self.loads.entry(load.building).or_default();
        let less = |known: &BuildingLoad| told(known) > told(&load) || *known == load;
        if loads.get(&load.date).is_some_and(less) {
            return false;
        }
        self.unsaved_loads.insert((load.building, load.date), load.clone());
        loads.insert(load.date, load);
        true
    }

    /// Looks at a building's busy hours when a week has gone since that was done last, from the first
    /// day on of which any load is known. `date` is a local day that rows are made of; its own load does
    /// not count.
    pub(crate) fn look_at(
        &mut self,
        building: BuildingId,
        site: &Site,
        date: Date,
        frozen: bool,
        params: &Params,
    ) {
        let last = self.weeks.get(&building).and_then(|weeks| weeks.last_key_value());
        let last = last.map(|(looked_on, _)| *looked_on);
        if last.is_some_and(|last| date < last.saturating_add(LEARN_DAYS.days())) {
            return;
        }
        let known = self.loads_for(building, date);
        if known.is_none_or(|loads| loads.range(..=date).next().is_none()) {
            return;
        }
        let before = self.on(building, site, date);
        let loads: Vec<LoadDay> = self
            .loads_for(building, date)
            .into_iter()
            .flat_map(BTreeMap::values)
            .map(load_day)
            .collect();
        let learned = learn_busy_hours(site, date, &loads, Some(&before), frozen, params);
        let week = learned.week(building, date);
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
        let weeks = self.weeks.get(&building);
        let Some((_, week)) = weeks.and_then(|weeks| weeks.range(..=date).next_back()) else {
            return configured;
        };
        let mut hours = BusyHours::of_week(week);
        if !week.learned {
            // The hours are those of the building file in force.
            (hours.quarters, hours.working) = (configured.quarters, configured.working);
        }
        hours
    }

    /// The load of a building's day, where anybody told it.
    pub(crate) fn load_on(&self, building: BuildingId, date: Date) -> Option<LoadDay> {
        self.loads_for(building, date)?.get(&date).map(load_day)
    }

    /// The loads that count for a building around a date.
    fn loads_for(&self, building: BuildingId, date: Date) -> Option<&BTreeMap<Date, BuildingLoad>> {
        let imported = self.imported.get(&building);
        let first = date.saturating_sub(IMPORTED_OF_DAYS.days());
        let enough = |loads: &&BTreeMap<Date, BuildingLoad>| {
            loads.range(first..=date).count() >= IMPORTED_DAYS
        };
        imported.filter(enough).or_else(|| self.loads.get(&building))
    }

    /// What is to be made durable.
    pub(crate) fn unsaved(&self) -> (Vec<BuildingLoad>, Vec<WorkingWeek>) {
        let loads = self.unsaved_loads.values().cloned().collect();
        (loads, self.unsaved_weeks.values().cloned().collect())
    }

    /// Notes that [`Self::unsaved`] is durable.
    pub(crate) fn saved(&mut self) {
        self.unsaved_loads.clear();
        self.unsaved_weeks.clear();
    }

    /// Buildings whose hours were learned.
    pub(crate) fn learned(&self) -> usize {
        let last = self.weeks.values().filter_map(|weeks| weeks.last_key_value());
        last.filter(|(_, week)| week.learned).count()
    }
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

fn load_day(load: &BuildingLoad) -> LoadDay {
    LoadDay { date: load.date, load: load.quarters }
}
