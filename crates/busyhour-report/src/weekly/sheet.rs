//! The weekly review laid out.

use busyhour_chart::day_strip;

use super::{BuildingWeek, SubnetWeek, WeeklyReview};
use crate::document::{
    Cell, Column, Row, Table, building_cells, building_columns, count, percent, shift_cells,
    shift_columns, worst_cells, worst_columns,
};
use crate::shift::{Leaning, Trend, by_chance};
use crate::tally::Target;

/// Buildings that are named in a sentence.
const NAMED: usize = 5;

impl WeeklyReview {
    /// What matters most.
    pub(crate) fn lead(&self) -> Vec<String> {
        let named = |sentence: &str, fits: &dyn Fn(&BuildingWeek) -> bool| {
            let found: Vec<&BuildingWeek> = self.buildings.iter().filter(|b| fits(b)).collect();
            (!found.is_empty()).then(|| {
                let names: Vec<&str> =
                    found.iter().take(NAMED).map(|building| building.name.as_str()).collect();
                let more = found.len() - names.len();
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("{sentence}: {}{more}.", names.join(", "))
            })
        };
        let met = |target| self.buildings.iter().filter(|b| b.target == target).count();
        let mut lead = vec![format!(
            "Of {} {} met the target that no busy hour is bad, {} missed it, and of {} too little \
             is known.",
            count(self.buildings.len(), "building", "buildings"),
            met(Target::Met),
            met(Target::Missed),
            met(Target::Unknown)
        )];
        let leaning = |building: &BuildingWeek| building.shift.map(|shift| shift.leaning());
        lead.extend(named("Worse than in the four weeks before", &|building| {
            leaning(building) == Some(Leaning::Worse)
        }));
        lead.extend(named("Better than in the four weeks before", &|building| {
            leaning(building) == Some(Leaning::Better)
        }));
        let compared = self.buildings.iter().filter(|b| b.shift.is_some()).count();
        let called = |b: &BuildingWeek| leaning(b).is_some_and(|to| to != Leaning::Unclear);
        if self.buildings.iter().any(called) {
            lead.push(format!(
                "Of {} compared with the four weeks before, {} would be called better or worse by \
                 chance alone.",
                count(compared, "building", "buildings"),
                by_chance(compared)
            ));
        }
        lead.extend(named("Bad days become more frequent over eight weeks", &|building| {
            building.trend == Trend::Increasing
        }));
        lead.extend(named("Bad days that the daily average hides", &|building| {
            building.week.masked > 0
        }));
        lead
    }

    pub(crate) fn tables(&self) -> Vec<Table> {
        vec![self.building_table(), self.subnet_table()]
    }

    fn building_table(&self) -> Table {
        let mut columns: Vec<Column> = building_columns().to_vec();
        columns.extend([
            Column::new("agents", "Agents"),
            Column::programs("paths"),
            Column::people("Bad days"),
            Column::programs("bad_days"),
            Column::programs("observed_days"),
            Column::programs("working_days"),
            Column::new("target", "Against the target"),
        ]);
        columns.extend(shift_columns("Against the four weeks before"));
        columns.extend([
            Column::programs("bad_days_before"),
            Column::programs("observed_days_before"),
            Column::new("trend", "Trend over eight weeks"),
            Column::new("degraded_min", "Degraded time"),
            Column::new("bad_windows_ratio", "Windows beyond a requirement"),
        ]);
        columns.extend(worst_columns());
        columns.extend([
            Column::programs("masked_days"),
            Column::new("coverage_ratio", "Coverage"),
            Column::new("incidents", "Incidents"),
            Column::people("Five weeks, day by day"),
        ]);
        Table {
            name: "buildings",
            title: "Buildings, those with the most agents first",
            caption: "Is it within the target, is it better or worse than before, and where does \
                      it go? A bad day has a busy hour that breaks the requirements."
                .to_owned(),
            columns,
            rows: self.buildings.iter().map(building_row).collect(),
            empty: "There are no buildings.",
        }
    }

    fn subnet_table(&self) -> Table {
        let mut columns: Vec<Column> = building_columns().to_vec();
        columns.extend([
            Column::new("subnet", "Subnet"),
            Column::new("link", "Link"),
            Column::new("agents", "Agents"),
            Column::people("Bad days"),
            Column::programs("bad_days"),
            Column::programs("observed_days"),
            Column::new("bad_days_alone", "Bad while the rest was fine"),
            Column::new("degraded_min", "Degraded time"),
            Column::new("bad_windows_ratio", "Windows beyond a requirement"),
        ]);
        columns.extend(worst_columns());
        columns.push(Column::new("coverage_ratio", "Coverage"));
        Table {
            name: "subnets",
            title: "Subnets that exceed the limits",
            caption: "Which subnets exceed, even where the rest of the building is fine? On how \
                      many of its bad days no other subnet of the building was bad is told beside \
                      them."
                .to_owned(),
            columns,
            rows: self.subnets.iter().map(subnet_row).collect(),
            empty: "No observed subnet had a bad day.",
        }
    }
}

fn building_row(building: &BuildingWeek) -> Row {
    let (week, before) = (&building.week, &building.before);
    let known = week.observed > 0;
    let figure = |cell: Cell| if known { cell } else { Cell::Unknown };
    let incidents: Vec<String> =
        building.incidents.iter().map(|number| format!("#{number}")).collect();
    let mut row: Row = building_cells(&building.name, building.simulated).to_vec();
    row.extend([
        Cell::Count(building.agents as u64),
        Cell::Count(building.paths.into()),
        Cell::days(week.bad, week.observed),
        Cell::Count(week.bad.into()),
        Cell::Count(week.observed.into()),
        Cell::Count(week.working.into()),
        Cell::text(building.target.as_str()),
    ]);
    row.extend(shift_cells(building.shift));
    row.extend([
        Cell::Count(before.bad.into()),
        Cell::Count(before.observed.into()),
        Cell::text(building.trend.as_str()),
        figure(Cell::Minutes(week.degraded_minutes)),
        Cell::share(week.bad_window_share()),
    ]);
    row.extend(worst_cells(building.worst.as_ref(), known));
    row.extend([
        Cell::Count(week.masked.into()),
        Cell::share(week.coverage()),
        if incidents.is_empty() { Cell::Nothing } else { Cell::Text(incidents.join(", ")) },
        Cell::Picture(day_strip(&format!("Days of {}", building.name), &building.strip)),
    ]);
    row
}

fn subnet_row(subnet: &SubnetWeek) -> Row {
    let week = &subnet.week;
    let mut row: Row = building_cells(&subnet.building_name, subnet.simulated).to_vec();
    row.extend([
        Cell::text(subnet.name.clone()),
        Cell::text(subnet.link.words()),
        Cell::Count(subnet.agents as u64),
        Cell::days(week.bad, week.observed),
        Cell::Count(week.bad.into()),
        Cell::Count(week.observed.into()),
        Cell::Count(subnet.alone.into()),
        Cell::Minutes(week.degraded_minutes),
        Cell::share(week.bad_window_share()),
    ]);
    row.extend(worst_cells(subnet.worst.as_ref(), true));
    row.push(Cell::share(week.coverage()));
    row
}

/// How to read the review.
pub(crate) fn notes() -> Vec<String> {
    vec![
        "The target: no busy hour of an observed working day is bad. It is met by at least three \
         observed days without a bad one, when the week is over; one bad day misses it. Else it \
         is unknown, which is never good."
            .to_owned(),
        format!(
            "Better and worse: the share of bad days in the week less that of the four weeks \
             before, in points of a hundred, with its interval at {}. It is called better or worse \
             only when the interval excludes nothing at all; it takes three observed days in the \
             week and ten before. Of buildings that did not change, up to one in fifty is called so \
             by chance.",
            percent(crate::shift::CONFIDENCE)
        ),
        "Trend: the exact Cochran-Armitage test over eight weeks, at 1 %; steady says that no trend \
         can be seen."
            .to_owned(),
    ]
}
