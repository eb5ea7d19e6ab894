//! Series of one building that are counted together: what they share shows in their sum before any
//! of them shows it alone, and on days on which another of them is silent each time.

use std::collections::BTreeMap;

use busyhour_model::LinkKind;

use crate::fleet::{BuildingNo, Fleet, Reach, SeriesNo, SubnetNo};

/// Several series of a building taken as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Union {
    /// The building.
    pub building: BuildingNo,
    /// All series of a subnet on one kind of link; `None` for all of the building's. Tunnels and
    /// series to the edge are in neither.
    pub unit: Option<(LinkKind, SubnetNo)>,
}

impl Union {
    /// The unions of a building, each with its series; only such of two series and more.
    #[must_use]
    pub fn of_building(
        fleet: &Fleet,
        building: BuildingNo,
        series: &[SeriesNo],
    ) -> Vec<(Self, Vec<SeriesNo>)> {
        let mut unions: BTreeMap<Self, Vec<SeriesNo>> = BTreeMap::new();
        for &no in series {
            let Some(info) = fleet.info(no) else { continue };
            if info.reach == Reach::Near || info.link == LinkKind::Vpn {
                continue;
            }
            for unit in [None, Some((info.link, info.subnet))] {
                unions.entry(Self { building, unit }).or_default().push(no);
            }
        }
        let mut unions: Vec<(Self, Vec<SeriesNo>)> =
            unions.into_iter().filter(|(_, series)| series.len() > 1).collect();
        // A building of one unit is that unit.
        if let [(_, all), (_, unit)] = unions.as_slice()
            && all == unit
        {
            unions.pop();
        }
        unions
    }
}
