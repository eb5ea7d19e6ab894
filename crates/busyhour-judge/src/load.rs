//! A building's load on a local day, of what its machines told of their own traffic.

use std::collections::BTreeMap;

use busyhour_detect::{Bin, BuildingDay, BusyHours, Params, Site};
use busyhour_model::{
    Body, BuildingId, BuildingLoad, Load, LoadSource, Placement, SlotStart, Stamp,
};
use busyhour_store::{RecordKind, StoreError, Telemetry};
use jiff::civil::Date;

use crate::inventory::Inventory;

/// Quarter-hours of the clock on the wall.
const A_DAY: usize = 96;
/// Records of one agent that are read for a day: eight interfaces that tell each minute of 25 hours.
const MOST_RECORDS: usize = 12_000;
/// A quarter-hour says something when a third of it was told, in microseconds.
const LEAST_TOLD_US: u64 = 5 * 60 * 1_000_000;
/// From so many machines on their median stands for the building; of fewer the mean does, as the
/// middle one of two is one machine's own day.
const MEDIAN_OF: usize = 3;

/// Bytes and microseconds that were told of them.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    bytes: u64,
    us: u64,
}

impl Told {
    /// Bytes a second where enough was told.
    fn rate(self) -> Option<f32> {
        (self.us >= LEAST_TOLD_US).then(|| (self.bytes as f64 * 1e6 / self.us as f64) as f32)
    }
}

/// Reads the load of a building's local day as far as it was told, and adds to `records` how many were
/// read. `there` are the agents that were in it at noon. `None` where nobody told anything.
pub(crate) fn read_load(
    telemetry: &dyn Telemetry,
    inventory: &Inventory,
    (building, site): (BuildingId, &Site),
    date: Date,
    there: &[&Placement],
    records: &mut usize,
) -> Result<Option<BuildingLoad>, StoreError> {
    let hours = BusyHours::configured(site);
    let day = BuildingDay::new(site, date, &hours, None, Bin::Quarter, &Params::default());
    let Some(day) = day else { return Ok(None) };
    let mut rates: Vec<Vec<f32>> = vec![Vec::new(); A_DAY];
    let mut machines = 0;
    for placement in there {
        let own = rates_of(telemetry, inventory, &day, placement, records)?;
        let mut any = false;
        for (rates, rate) in rates.iter_mut().zip(own) {
            rates.extend(rate);
            any |= rate.is_some();
        }
        machines += u32::from(any);
    }
    if machines == 0 {
        return Ok(None);
    }
    let mut quarters = [None; A_DAY];
    for (quarter, rates) in quarters.iter_mut().zip(&mut rates) {
        *quarter = typical(rates);
    }
    Ok(Some(BuildingLoad { building, date, source: LoadSource::Agents, machines, quarters }))
}

/// What one agent's busiest interface moved in each quarter-hour while it was there. Interfaces are
/// not added up: what a tunnel moves its adapter moves as well.
fn rates_of(
    telemetry: &dyn Telemetry,
    inventory: &Inventory,
    day: &BuildingDay,
    placement: &Placement,
    read: &mut usize,
) -> Result<[Option<f32>; A_DAY], StoreError> {
    let (from, until) = day.span();
    let span = (from.start(), until.start());
    let (kind, most) = (RecordKind::Load, MOST_RECORDS);
    let records = telemetry.others(placement.agent, kind, span.0, span.1, most)?;
    *read = read.saturating_add(records.len());
    let mut interfaces: BTreeMap<String, [Told; A_DAY]> = BTreeMap::new();
    for record in records {
        let Body::Load(load) = record.body else { continue };
        let started = record.stamp.started;
        if !inventory.was_in(placement, started) {
            continue;
        }
        let bin = day.bin_of(SlotStart::containing(started));
        let minute = bin.and_then(|bin| day.minutes.get(bin));
        let Some(quarter) = minute.map(|minute| usize::from(minute / 15)) else { continue };
        let of_interface =
            interfaces.entry(load.interface.clone()).or_insert_with(|| [Told::default(); A_DAY]);
        if let Some(told) = of_interface.get_mut(quarter) {
            add(told, &record.stamp, &load);
        }
    }
    let mut rates = [None; A_DAY];
    for told in interfaces.values() {
        for (rate, told) in rates.iter_mut().zip(told) {
            *rate = match (*rate, told.rate()) {
                (Some(a), Some(b)) => Some(f32::max(a, b)),
                (a, b) => a.or(b),
            };
        }
    }
    Ok(rates)
}

const fn add(told: &mut Told, stamp: &Stamp, load: &Load) {
    let both = load.received_bytes.saturating_add(load.sent_bytes);
    told.bytes = told.bytes.saturating_add(both);
    told.us = told.us.saturating_add(stamp.duration_us());
}

/// The median of many, the mean of few.
fn typical(rates: &mut [f32]) -> Option<f32> {
    if rates.is_empty() {
        return None;
    }
    if rates.len() < MEDIAN_OF {
        return Some(rates.iter().sum::<f32>() / rates.len() as f32);
    }
    rates.sort_by(f32::total_cmp);
    let middle = rates.len() / 2;
    let upper = rates.get(middle).copied()?;
    if rates.len() % 2 == 1 {
        return Some(upper);
    }
    rates.get(middle - 1).map(|lower| f32::midpoint(*lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_loud_machine_of_many_is_not_the_building() {
        assert_eq!(typical(&mut []), None);
        assert_eq!(typical(&mut [4.0]), Some(4.0));
        assert_eq!(typical(&mut [4.0, 8.0]), Some(6.0));
        assert_eq!(typical(&mut [1e9, 2.0, 1.0]), Some(2.0));
        assert_eq!(typical(&mut [1e9, 2.0, 1.0, 4.0]), Some(3.0));
    }

    #[test]
    fn a_quarter_hour_that_was_hardly_told_says_nothing() {
        assert_eq!(Told { bytes: 1_000, us: LEAST_TOLD_US - 1 }.rate(), None);
        assert_eq!(Told { bytes: 3_000, us: LEAST_TOLD_US }.rate(), Some(10.0));
    }
}
