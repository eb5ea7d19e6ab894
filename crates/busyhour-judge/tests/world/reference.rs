//! The same slots as the store has them, gone through by the engine alone.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_detect::{
    AgentNo, Bin, BuildingNo, Cell, Finding, Fleet, Params, Reach, Recorded, SeriesInfo, SeriesNo,
    Site, SubnetNo, TargetNo, UpstreamNo, replay,
};
use busyhour_model::{BuildingId, SlotStart};
use busyhour_store::{Control as _, PathRow, Telemetry as _};
use jiff::civil::Date;

use crate::live::{Live, REGION, REQUIREMENT, load_of};

/// What a store holds, as the engine reads fleets.
struct Stored {
    fleet: Fleet,
    dates: (Date, Date),
    cells: Vec<Vec<Cell>>,
    loads: Vec<Vec<(SlotStart, f32)>>,
}

impl Recorded for Stored {
    fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    fn dates(&self) -> (Date, Date) {
        self.dates
    }

    fn cells(&self, series: SeriesNo, from: SlotStart, until: SlotStart, _: Date) -> Vec<Cell> {
        let cells = self.cells[series.0 as usize].iter();
        cells.filter(|cell| (from..until).contains(&cell.start)).copied().collect()
    }

    fn loads(
        &self,
        building: BuildingNo,
        from: SlotStart,
        until: SlotStart,
    ) -> Vec<(SlotStart, f32)> {
        let loads = self.loads[building.0 as usize].iter();
        loads.filter(|(start, _)| (from..until).contains(start)).copied().collect()
    }
}

/// The last word on each finding that was ever opened, and what buildings are called by number.
pub(crate) fn opened(live: &Live) -> (Vec<Finding>, Fleet) {
    let stored = stored(live);
    let mut last: BTreeMap<u64, Finding> = BTreeMap::new();
    replay(&stored, &Params::default(), &mut |_, finding| {
        last.insert(finding.id, finding.clone());
    });
    let opened = last.into_values().filter(|finding| finding.openings > 0).collect();
    (opened, stored.fleet)
}

fn stored(live: &Live) -> Stored {
    let control = &live.control;
    let mut buildings = control.buildings().unwrap();
    buildings.sort_by_key(|building| building.id);
    let mut subnets = control.subnets().unwrap();
    subnets.sort_by_key(|subnet| subnet.id);
    let mut agents = control.agents().unwrap();
    agents.sort_by_key(|agent| agent.id);
    let paths = live.telemetry.paths(None).unwrap();
    let targets: BTreeSet<String> = paths.iter().map(|row| row.key.target.to_string()).collect();
    let targets: Vec<String> = targets.into_iter().collect();
    let number = |at: Option<usize>| u32::try_from(at.unwrap()).unwrap();
    let building_no =
        |id: BuildingId| BuildingNo(number(buildings.iter().position(|one| one.id == id)));
    let info = |row: &PathRow| {
        let agent = agents.iter().position(|one| one.id == row.agent);
        let placement = agents[agent.unwrap()].placement.unwrap();
        let resolved = row.context.resolved.unwrap().ip();
        let mut own = subnets.iter().filter(|one| one.building == placement.building);
        let is_near = own.any(|subnet| subnet.prefix.contains(&resolved));
        let target = row.key.target.to_string();
        SeriesInfo {
            name: String::new(),
            building: building_no(placement.building),
            subnet: SubnetNo(number(subnets.iter().position(|one| one.id == placement.subnet))),
            agent: AgentNo(number(agent)),
            link: row.key.link.kind(),
            target: (!is_near)
                .then(|| TargetNo(number(targets.iter().position(|one| *one == target)))),
            upstream: (!is_near).then_some(UpstreamNo(0)),
            reach: if is_near { Reach::Near } else { Reach::Far },
            near: None,
            requirement: REQUIREMENT,
            simulated: true,
        }
    };
    let mut series: Vec<SeriesInfo> = paths.iter().map(info).collect();
    pair(&mut series);
    let ever = (SlotStart::from_number(i64::MIN), SlotStart::from_number(i64::MAX));
    let cells = paths.iter().map(|row| {
        let slots = live.telemetry.slots(&[row.id], ever.0, ever.1).unwrap();
        slots.iter().map(|(_, slot)| Cell::of(slot)).collect()
    });
    let record = |name: &str| live.region.buildings.iter().find(|one| one.name == name).unwrap();
    let site = |building: &busyhour_model::Building| Site {
        name: building.name.clone(),
        zone: record(&building.name).zone.clone(),
        hours: building.business_hours.clone().unwrap(),
        holidays: building.holidays.clone(),
    };
    let loads = buildings.iter().map(|building| {
        let loads = record(&building.name).loads.iter();
        loads.map(|&(start, people)| (start, load_of(people))).collect()
    });
    Stored {
        cells: cells.collect(),
        loads: loads.collect(),
        dates: (live.first, live.last),
        fleet: Fleet {
            buildings: buildings.iter().map(site).collect(),
            subnets: subnets
                .iter()
                .map(|one| format!("{} ({})", one.columns.network_name, one.prefix))
                .collect(),
            agents: agents.iter().map(|agent| agent.name.clone()).collect(),
            upstreams: vec![REGION.to_owned()],
            regions: BTreeSet::from([UpstreamNo(0)]),
            microsoft: BTreeSet::new(),
            targets,
            series,
            bin: Bin::Quarter,
        },
    }
}

/// Gives far series the one to the edge beside them: of the same agent, or else the only one of the
/// subnet or the building.
fn pair(series: &mut [SeriesInfo]) {
    let near: Vec<(SeriesNo, SeriesInfo)> = (0..)
        .map(SeriesNo)
        .zip(series.iter().cloned())
        .filter(|(_, info)| info.reach == Reach::Near)
        .collect();
    for info in series.iter_mut().filter(|info| info.reach == Reach::Far) {
        let those = |like: &dyn Fn(&SeriesInfo) -> bool| -> Vec<SeriesNo> {
            near.iter().filter(|(_, near)| like(near)).map(|(no, _)| *no).collect()
        };
        let only = |list: Vec<SeriesNo>| if let [one] = list[..] { Some(one) } else { None };
        let own = those(&|near| {
            (near.building, near.agent, near.link) == (info.building, info.agent, info.link)
        });
        info.near = own
            .first()
            .copied()
            .or_else(|| only(those(&|near| (near.subnet, near.link) == (info.subnet, info.link))))
            .or_else(|| only(those(&|near| near.building == info.building)));
    }
}
