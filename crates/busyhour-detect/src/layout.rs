//! Who shares what: series by building, buildings by upstream, VPN series by concentrator.

use busyhour_model::LinkKind;

use crate::fleet::{BuildingNo, Fleet, Reach, SeriesNo, TargetNo, UpstreamNo};

/// Lists of a fleet's series, each ascending.
#[derive(Debug)]
pub(crate) struct Layout {
    of_building: Vec<Vec<SeriesNo>>,
    behind: Vec<Vec<BuildingNo>>,
    tunnels: Vec<Vec<SeriesNo>>,
    to_target: Vec<Vec<SeriesNo>>,
}

impl Layout {
    pub(crate) fn of(fleet: &Fleet) -> Self {
        let mut layout = Self {
            of_building: vec![Vec::new(); fleet.buildings.len()],
            behind: vec![Vec::new(); fleet.upstreams.len()],
            tunnels: vec![Vec::new(); fleet.upstreams.len()],
            to_target: vec![Vec::new(); fleet.targets.len()],
        };
        for (no, info) in (0..).zip(&fleet.series) {
            let series = SeriesNo(no);
            if let Some(list) = layout.of_building.get_mut(info.building.0 as usize) {
                list.push(series);
            }
            if info.reach == Reach::Near {
                continue;
            }
            if let Some(list) = info.target.and_then(|no| layout.to_target.get_mut(no.0 as usize)) {
                list.push(series);
            }
            let Some(upstream) = info.upstream.map(|no| no.0 as usize) else { continue };
            if info.link == LinkKind::Vpn {
                layout.tunnels.get_mut(upstream).into_iter().for_each(|list| list.push(series));
            } else if let Some(list) = layout.behind.get_mut(upstream) {
                list.push(info.building);
            }
        }
        for list in &mut layout.behind {
            list.sort_unstable();
            list.dedup();
        }
        layout
    }

    /// The series of a building, near ones included.
    pub(crate) fn of_building(&self, building: BuildingNo) -> &[SeriesNo] {
        list(&self.of_building, building.0)
    }

    /// The buildings that reach the world through an upstream.
    pub(crate) fn behind(&self, upstream: UpstreamNo) -> &[BuildingNo] {
        list(&self.behind, upstream.0)
    }

    /// The VPN series that end at an upstream.
    pub(crate) fn tunnels(&self, upstream: UpstreamNo) -> &[SeriesNo] {
        list(&self.tunnels, upstream.0)
    }

    /// The series to a target.
    pub(crate) fn to_target(&self, target: TargetNo) -> &[SeriesNo] {
        list(&self.to_target, target.0)
    }
}

fn list<T>(lists: &[Vec<T>], at: u32) -> &[T] {
    lists.get(at as usize).map_or(&[], Vec::as_slice)
}

/// At most `most` of `items`, evenly spread, those that `keep` names always among them.
pub(crate) fn spread<T: Copy>(items: &[T], most: usize, keep: impl Fn(T) -> bool) -> Vec<T> {
    let stride = items.len().div_ceil(most.max(1)).max(1);
    let chosen = |(at, item): &(usize, &T)| at % stride == 0 || keep(**item);
    items.iter().enumerate().filter(chosen).map(|(_, &item)| item).collect()
}
