//! What a replay adds to judging: learned hours, late rows, memory.

use jiff::civil::{Date, date};

use super::{Recorded, replay};
use crate::finding::{Change, Finding};
use crate::fleet::{BuildingNo, Fleet, SeriesNo};
use crate::series::Cell;
use crate::stage::{FIRST, Stage, params, working_days};
use busyhour_model::SlotStart;

/// A stage with load, and of which a day arrives late.
struct Late {
    stage: Stage,
    /// What is missing until the second date.
    late: Option<(Date, Date)>,
    /// The building's busy hours, as its load tells.
    load: Option<(u16, u16)>,
}

fn date_of(slot: SlotStart) -> Date {
    let days = slot.number().div_euclid(96);
    date(1970, 1, 1).saturating_add(jiff::ToSpan::days(days))
}

impl Recorded for Late {
    fn fleet(&self) -> &Fleet {
        &self.stage.fleet
    }

    fn dates(&self) -> (Date, Date) {
        self.stage.dates()
    }

    fn cells(&self, no: SeriesNo, from: SlotStart, until: SlotStart, known_on: Date) -> Vec<Cell> {
        let mut cells = self.stage.cells(no, from, until, known_on);
        if let Some((day, arrives)) = self.late {
            cells.retain(|cell| date_of(cell.start) != day || known_on >= arrives);
        }
        cells
    }

    fn loads(&self, _: BuildingNo, from: SlotStart, until: SlotStart) -> Vec<(SlotStart, f32)> {
        let Some((begins, ends)) = self.load else { return Vec::new() };
        let works = |slot: SlotStart| {
            let minute = u16::try_from(slot.number().rem_euclid(96) * 15).unwrap();
            let weekday = date_of(slot).weekday().to_monday_zero_offset() < 5;
            weekday && (begins..ends).contains(&minute)
        };
        (from.number()..until.number())
            .map(SlotStart::from_number)
            .map(|slot| (slot, if works(slot) { 40.0 } else { 1.0 }))
            .collect()
    }

    fn late(&self, today: Date) -> Vec<(SeriesNo, Date)> {
        let arrived = self.late.filter(|(_, arrives)| *arrives == today);
        arrived.map_or_else(Vec::new, |(day, _)| {
            (0..self.stage.fleet.series.len() as u32).map(|no| (SeriesNo(no), day)).collect()
        })
    }
}

fn told(recorded: &Late) -> Vec<(Date, Finding)> {
    let mut told = Vec::new();
    replay(recorded, &params(), &mut |date, one| told.push((date, one.clone())));
    told
}

#[test]
fn a_day_that_arrives_late_counts_from_then_on() {
    let bad = working_days(date(2025, 3, 10), 4);
    let mut stage = Stage::street(2, 14);
    stage.trouble(&[0, 1, 2, 3], &bad);
    let opened = |late| {
        let mut stage = Stage::street(2, 14);
        stage.trouble(&[0, 1, 2, 3], &bad);
        let told = told(&Late { stage, late, load: None });
        told.iter().find(|(_, one)| one.change == Change::Opened).map(|(date, _)| *date)
    };
    assert_eq!(opened(None), Some(bad[2]));
    // The second day arrives on the fourth: three days are known on the fourth either way.
    assert_eq!(opened(Some((bad[1], bad[3]))), Some(bad[3]));
    // It arrives on the third: nothing is lost.
    assert_eq!(opened(Some((bad[1], bad[2]))), Some(bad[2]));
}

#[test]
fn hours_that_nobody_configured_are_learned_from_load() {
    let story = |load| {
        let mut stage = Stage::street(2, 56);
        // In the evening, when the configured hours say that nobody is there.
        stage.trouble(&[0, 1, 2, 3], &working_days(date(2025, 4, 21), 4)).hours = (1140, 1260);
        let told = told(&Late { stage, late: None, load });
        told.iter().filter(|(_, one)| one.change == Change::Opened && one.kind.alerts()).count()
    };
    assert_eq!(story(Some((720, 1320))), 1);
    assert_eq!(story(None), 0);
}

#[test]
fn numbers_of_findings_are_never_used_twice() {
    let mut stage = Stage::street(2, 112);
    // Months apart, so that what was before is forgotten in between.
    for first in [date(2025, 3, 10), date(2025, 5, 5), date(2025, 6, 16)] {
        stage.trouble(&[0, 1, 2, 3], &working_days(first, 1));
    }
    let told = told(&Late { stage, late: None, load: None });
    let begun: Vec<u64> = told
        .iter()
        .filter(|(_, one)| one.change == Change::Suspected)
        .map(|(_, one)| one.id)
        .collect();
    assert_eq!(begun, [1, 2, 3]);
}

#[test]
fn the_same_records_tell_the_same() {
    let mut stage = Stage::street(3, 21);
    stage.trouble(&[0, 1, 2, 3], &working_days(FIRST, 8));
    stage.trouble(&[6], &working_days(FIRST, 8));
    assert_eq!(stage.told(), stage.told());
}
