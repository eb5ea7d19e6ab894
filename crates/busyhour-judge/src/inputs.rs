//! What the store knows, arranged as detection wants it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use busyhour_detect::{DayFrame, Member, PathDay, SubnetName};
use busyhour_model::{
    AgentId, Building, BuildingId, BusinessHours, Incident, LocalDay, PathId, Placement, Slot,
    SlotStart, SubnetId, UtcMicros, local_day_span,
};
use busyhour_store::{Control, PathRow, StoreError, Telemetry};
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A path on which an agent was silent for so long while it was heard on others is given up: its
/// target or its link was changed.
const GIVEN_UP: Duration = Duration::from_secs(7 * 24 * 3600);
const SLOTS_A_DAY: i64 = 96;
/// Zones lie between 12 hours behind UTC and 14 hours ahead of it.
const AHEAD_MICROS: i64 = 14 * 3600 * 1_000_000;
const BEHIND_MICROS: i64 = 12 * 3600 * 1_000_000;

/// A building that can be judged: its zone and business hours are known.
pub(crate) struct Site {
    pub(crate) id: BuildingId,
    pub(crate) name: String,
    pub(crate) zone: TimeZone,
    pub(crate) hours: BusinessHours,
    pub(crate) subnets: Vec<SubnetName>,
    pub(crate) members: Vec<Member>,
}

impl Site {
    pub(crate) fn today(&self, now: UtcMicros) -> Date {
        LocalDay::of(SlotStart::containing(now), &self.zone).date
    }
}

/// Buildings, placements and paths at one moment.
pub(crate) struct Inventory {
    pub(crate) sites: BTreeMap<BuildingId, Site>,
    pub(crate) paths: Vec<PathRow>,
    /// Everything that the building file in force names, judged or not.
    buildings: BTreeSet<BuildingId>,
    subnets: BTreeSet<(BuildingId, SubnetId)>,
    placements: BTreeMap<AgentId, Vec<Placement>>,
}

impl Inventory {
    pub(crate) fn load(
        telemetry: &dyn Telemetry,
        control: &dyn Control,
    ) -> Result<Self, StoreError> {
        let buildings = control.buildings()?;
        let in_force = buildings.iter().map(|building| building.id).collect();
        let mut sites: BTreeMap<BuildingId, Site> =
            buildings.into_iter().filter_map(site_of).map(|site| (site.id, site)).collect();
        let mut subnets = BTreeSet::new();
        for subnet in control.subnets()? {
            subnets.insert((subnet.building, subnet.id));
            if let Some(site) = sites.get_mut(&subnet.building) {
                let name = format!("{} ({})", subnet.columns.network_name, subnet.prefix);
                site.subnets.push(SubnetName { subnet: subnet.id, name });
            }
        }
        let simulated: BTreeMap<AgentId, bool> =
            control.agents()?.into_iter().map(|agent| (agent.id, agent.simulated)).collect();
        let mut placements: BTreeMap<AgentId, Vec<Placement>> = BTreeMap::new();
        for placement in control.placements()? {
            let (agent, subnet) = (placement.agent, placement.subnet);
            if let Some(site) = sites.get_mut(&placement.building) {
                let simulated = simulated.get(&agent).copied().unwrap_or(true);
                site.members.push(Member { agent, subnet, simulated });
            }
            placements.entry(placement.agent).or_default().push(placement);
        }
        Ok(Self { sites, paths: telemetry.paths(None)?, buildings: in_force, subnets, placements })
    }

    /// True when nobody can see how an incident goes on: its building or subnet is no longer in the
    /// building file.
    pub(crate) fn lost(&self, incident: &Incident) -> bool {
        let subnet = incident.subnet.map(|subnet| (incident.building, subnet));
        !self.buildings.contains(&incident.building)
            || subnet.is_some_and(|subnet| !self.subnets.contains(&subnet))
    }

    /// The local dates that it is now at the buildings.
    pub(crate) fn todays(&self, now: UtcMicros) -> BTreeSet<Date> {
        self.sites.values().map(|site| site.today(now)).collect()
    }

    /// Changes whenever days would be judged differently without a new window: another zone, other
    /// hours, an agent placed elsewhere.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for site in self.sites.values() {
            (site.id, site.zone.iana_name(), site.hours.as_str()).hash(&mut hasher);
        }
        for placement in self.placements.values().flatten() {
            (placement.agent, placement.subnet, placement.building).hash(&mut hasher);
            (placement.from.0, placement.until.map(|until| until.0)).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The local dates, in the zones of the buildings its agent was ever in, that a path's day of
    /// UTC has a part in.
    pub(crate) fn dates(&self, path: PathId, utc_day: i64) -> BTreeSet<Date> {
        let first = SlotStart::from_number(utc_day.saturating_mul(SLOTS_A_DAY));
        let ends = [first, first.offset(SLOTS_A_DAY - 1)];
        let row = self.paths.binary_search_by_key(&path, |row| row.id).ok();
        row.and_then(|at| self.placements.get(&self.paths.get(at)?.agent))
            .into_iter()
            .flatten()
            .filter_map(|placement| self.sites.get(&placement.building))
            .flat_map(|site| ends.map(|slot| LocalDay::of(slot, &site.zone).date))
            .collect()
    }

    /// The slots that a date may lie in, in whatever zone.
    pub(crate) fn slots_of(date: Date) -> Option<(SlotStart, SlotStart)> {
        let (from, until) = local_day_span(date, &TimeZone::UTC)?;
        let from = UtcMicros(from.0.saturating_sub(AHEAD_MICROS));
        let until = until.plus(Duration::from_micros(BEHIND_MICROS.unsigned_abs()));
        Some((SlotStart::containing(from), SlotStart::containing(until)))
    }

    /// Lays out a date in a building.
    pub(crate) fn frame(site: &Site, date: Date, now: UtcMicros) -> Option<DayFrame> {
        DayFrame::new(site.id, date, &site.zone, &site.hours, now)
    }

    /// Which path belonged to which subnet on a date: where the agent was at local noon. Slots from
    /// elsewhere are left out. A silent agent's paths are there, so that its subnet is unknown; what an
    /// agent no longer measures while it goes on with others is not.
    pub(crate) fn placed(&self, date: Date, slots: Vec<(PathId, Slot)>) -> Vec<PlacedPath<'_>> {
        let mut by_path: BTreeMap<PathId, Vec<Slot>> = BTreeMap::new();
        for (path, slot) in slots {
            by_path.entry(path).or_default().push(slot);
        }
        let mut newest: BTreeMap<AgentId, UtcMicros> = BTreeMap::new();
        for row in &self.paths {
            let agent = newest.entry(row.agent).or_insert(row.newest);
            *agent = row.newest.max(*agent);
        }
        let begins = local_day_span(date, &TimeZone::UTC).map(|(from, _)| from);
        let mut placed = Vec::new();
        for row in &self.paths {
            let given_up = row.newest.plus(GIVEN_UP);
            let before = |at: Option<&UtcMicros>| at.is_some_and(|&at| given_up < at);
            if before(begins.as_ref()) && before(newest.get(&row.agent)) {
                continue;
            }
            let Some(placement) = self.placement_at_noon(row.agent, date) else { continue };
            let mut slots = by_path.remove(&row.id).unwrap_or_default();
            slots.retain(|slot| self.was_in(row.agent, placement, slot.start.start()));
            placed.push(PlacedPath { row, placement, slots });
        }
        placed
    }

    fn placement_at_noon(&self, agent: AgentId, date: Date) -> Option<&Placement> {
        self.placements.get(&agent)?.iter().find(|placement| {
            let zone = self.sites.get(&placement.building).map(|site| &site.zone);
            let noon = zone.and_then(|zone| local_day_span(date, zone));
            noon.is_some_and(|(from, until)| {
                holds_at(placement, UtcMicros(from.0 + until.since(from) / 2))
            })
        })
    }

    /// True when the agent was in the same subnet at that moment too.
    fn was_in(&self, agent: AgentId, there: &Placement, at: UtcMicros) -> bool {
        self.placements.get(&agent).is_some_and(|all| {
            all.iter().any(|placement| {
                (placement.subnet, placement.building) == (there.subnet, there.building)
                    && holds_at(placement, at)
            })
        })
    }
}

fn holds_at(placement: &Placement, at: UtcMicros) -> bool {
    placement.from <= at && placement.until.is_none_or(|until| at < until)
}

/// `None` for a building whose zone or hours nobody told, or whose zone is not known here.
fn site_of(building: Building) -> Option<Site> {
    let zone = TimeZone::get(building.time_zone.as_deref()?).ok()?;
    Some(Site {
        id: building.id,
        name: building.name,
        zone,
        hours: building.business_hours?,
        subnets: Vec::new(),
        members: Vec::new(),
    })
}

/// A path on a date, and where it was.
pub(crate) struct PlacedPath<'a> {
    row: &'a PathRow,
    placement: &'a Placement,
    slots: Vec<Slot>,
}

impl PlacedPath<'_> {
    pub(crate) fn day(&self) -> PathDay<'_> {
        PathDay {
            path: self.row.id,
            agent: self.row.agent,
            subnet: self.placement.subnet,
            building: self.placement.building,
            link: self.row.key.link.kind(),
            target: &self.row.key.target,
            requirement: self.row.requirement,
            since: SlotStart::containing(self.row.oldest),
            windows_per_slot: self.row.windows_per_slot,
            slots: &self.slots,
        }
    }
}
