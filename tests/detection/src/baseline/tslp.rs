//! After the method of Dhamdhere et al. (SIGCOMM 2018) on lowest round trips: a quarter-hour is elevated
//! 7 ms above the lowest of the last 28 days; a day is congested when at least 4 % of it is, at times
//! of day that were elevated on at least half of the last fourteen days as well, and not all day long.

use crate::lanes::Lane;

/// Above the lowest, in microseconds.
const ELEVATED_US: u32 = 7_000;
/// How far back the lowest is sought, in quarter-hours of UTC.
const LOWEST_SLOTS: usize = 28 * 96;
/// Quarter-hours that make 4 % of a day.
const LEAST_SLOTS: usize = 4;
/// As many are all day long.
const MOST_SLOTS: usize = 48;
/// Days that are looked at for the same time.
const DAYS: usize = 14;
const ENOUGH_DAYS: usize = 7;
const SLOTS_A_DAY: usize = 96;

pub(super) fn fires(lane: &Lane) -> Vec<u16> {
    let elevated = elevated(lane);
    // By local day, the times of day that were elevated.
    let mut days = vec![[false; SLOTS_A_DAY]; lane.grid.dates.len()];
    for (slot, _) in elevated.iter().enumerate().filter(|(_, elevated)| **elevated) {
        let (day, time) = (usize::from(lane.grid.days[slot]), usize::from(lane.grid.of_week[slot]));
        if let Some(day) = days.get_mut(day) {
            day[time % SLOTS_A_DAY] = true;
        }
    }
    let recurs = |day: usize, time: usize| {
        let before = &days[(day + 1).saturating_sub(DAYS)..=day];
        before.iter().filter(|day| day[time]).count() >= ENOUGH_DAYS
    };
    let congested = |(day, times): (usize, &[bool; SLOTS_A_DAY])| {
        let all = times.iter().filter(|elevated| **elevated).count();
        let again = (0..SLOTS_A_DAY).filter(|time| times[*time] && recurs(day, *time)).count();
        (again >= LEAST_SLOTS && all < MOST_SLOTS).then_some(day)
    };
    let days = days.iter().enumerate().filter_map(congested);
    days.filter_map(|day| u16::try_from(day).ok()).collect()
}

/// Which quarter-hours lie above the lowest round trip of the last four weeks.
fn elevated(lane: &Lane) -> Vec<bool> {
    // Candidates for the lowest, ascending in time and in round trip.
    let mut lowest: std::collections::VecDeque<(usize, u32)> = std::collections::VecDeque::new();
    let mut elevated = Vec::with_capacity(lane.slots.len());
    for (number, slot) in lane.slots.iter().enumerate() {
        while lowest.front().is_some_and(|(old, _)| old + LOWEST_SLOTS <= number) {
            lowest.pop_front();
        }
        let Some(rtt) = slot.and_then(|slot| slot.rtt_min_us) else {
            elevated.push(false);
            continue;
        };
        while lowest.back().is_some_and(|(_, higher)| *higher >= rtt) {
            lowest.pop_back();
        }
        lowest.push_back((number, rtt));
        let base = lowest.front().map_or(rtt, |(_, base)| *base);
        elevated.push(rtt - base >= ELEVATED_US);
    }
    elevated
}
