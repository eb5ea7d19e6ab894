//! The daily digest laid out.

use super::{DailyDigest, DayOfBuilding, Event, EventKind, SilentBuilding};
use crate::document::{
    Cell, Column, Row, Table, building_cells, building_columns, count, duration, percent,
    worst_cells, worst_columns,
};
use crate::monthly::contrast;

impl DailyDigest {
    /// What matters most.
    pub(crate) fn lead(&self) -> Vec<String> {
        let happened = |kind| self.events.iter().filter(|event| event.kind == kind).count();
        let (all, good) = self.buildings;
        let degraded = match self.all.observed {
            0 => "nothing was observed".to_owned(),
            _ => format!("{} of degraded business time", duration(self.all.degraded_minutes)),
        };
        let closed = match self.closed {
            0 => String::new(),
            n => format!("{n} did not work, "),
        };
        let masked = self.bad.iter().filter(|bad| bad.day.masked > 0).count();
        let coverage = self.all.coverage().map_or_else(|| "unknown".to_owned(), percent);
        vec![
            format!(
                "{} opened, {} recovering, {} closed, {} not observed lately; {} more open from before.",
                count(happened(EventKind::Opened), "incident", "incidents"),
                happened(EventKind::Recovering),
                happened(EventKind::Closed),
                happened(EventKind::Stale),
                self.open_before
            ),
            format!(
                "Of {} {good} had a good day, {} a bad busy hour ({masked} of them hidden by the \
                 daily average), {closed}and of {} too little is known; {degraded}.",
                count(all, "building", "buildings"),
                self.bad.len(),
                all.saturating_sub(good + self.bad.len() + self.closed),
            ),
            format!("Coverage of busy hours: {coverage}."),
        ]
    }

    pub(crate) fn tables(&self) -> Vec<Table> {
        vec![self.event_table(), self.bad_table(), self.silent_table()]
    }

    fn event_table(&self) -> Table {
        let columns = vec![
            Column::new("incident", "Incident"),
            Column::new("event", "What happened"),
            Column::new("place", "Where"),
            Column::new("severity_class", "Severity"),
            Column::new("owner", "Owner"),
            Column::programs("simulated"),
            Column::new("sentence", "What"),
        ];
        let row = |event: &Event| {
            let mark = if event.simulated { " (simulated data)" } else { "" };
            vec![
                Cell::Incident(event.number),
                Cell::text(event.kind.as_str()),
                Cell::Text(format!("{}{mark}", event.place)),
                Cell::text(event.severity.as_str()),
                event.owner.as_ref().map_or_else(|| Cell::text("nobody told"), Cell::text),
                Cell::text(event.simulated.to_string()),
                Cell::text(&event.sentence),
            ]
        };
        Table {
            name: "events",
            title: "What happened to incidents",
            caption: "Opened, recovering, closed or not observed lately on this day.".to_owned(),
            columns,
            rows: self.events.iter().map(row).collect(),
            empty: "Nothing happened to any incident.",
        }
    }

    fn bad_table(&self) -> Table {
        let mut columns = building_columns().to_vec();
        columns.extend([
            Column::new("masked", "Hidden by the average"),
            Column::new("degraded_min", "Degraded time"),
            Column::new("bad_windows_ratio", "Windows beyond a requirement"),
        ]);
        columns.extend(worst_columns());
        columns.extend([
            Column::new("hour_says", "That hour, 90th percentile"),
            Column::new("average_says", "Average of the day"),
            Column::new("coverage_ratio", "Coverage"),
        ]);
        let row = |bad: &DayOfBuilding| {
            let said = bad.worst.zip(bad.average).map(|(worst, average)| {
                let (hour, average) = contrast(&worst.hour, &average);
                (Cell::Text(hour), Cell::Text(average))
            });
            let (hour, average) = said.unwrap_or((Cell::Unknown, Cell::Unknown));
            let mut row: Row = building_cells(&bad.name, bad.simulated).to_vec();
            row.extend([
                Cell::text(if bad.day.masked > 0 { "yes" } else { "no" }),
                Cell::Minutes(bad.day.degraded_minutes),
                Cell::share(bad.day.bad_window_share()),
            ]);
            row.extend(worst_cells(bad.worst.as_ref(), true));
            row.extend([hour, average, Cell::share(bad.day.coverage())]);
            row
        };
        Table {
            name: "bad",
            title: "Worst buildings",
            caption: "Buildings with a bad busy hour on this day, those that the average hides \
                      first, then the worst."
                .to_owned(),
            columns,
            rows: self.bad.iter().map(row).collect(),
            empty: "No observed building had a bad busy hour.",
        }
    }

    fn silent_table(&self) -> Table {
        let mut columns = building_columns().to_vec();
        columns.extend([
            Column::new("because", "Why"),
            Column::new("agents", "Agents"),
            Column::new("silent_agents", "Silent for a day"),
            Column::new("coverage_ratio", "Coverage"),
        ]);
        let row = |silent: &SilentBuilding| {
            let mut row: Row = building_cells(&silent.name, silent.simulated).to_vec();
            row.extend([
                Cell::text(silent.because),
                Cell::Count(silent.agents as u64),
                Cell::Count(silent.silent_agents as u64),
                Cell::share(silent.coverage),
            ]);
            row
        };
        Table {
            name: "unknown",
            title: "Not known",
            caption: "Buildings of which too little was observed, and those with silent agents."
                .to_owned(),
            columns,
            rows: self.silent.iter().map(row).collect(),
            empty: "Every building was observed.",
        }
    }
}

/// How to read the digest.
pub(crate) fn notes() -> Vec<String> {
    vec![
        "A day is judged when it is over by the clock of its building; late data may change it."
            .to_owned(),
        "A bad building has a busy hour that breaks the requirements. Unknown is never good."
            .to_owned(),
    ]
}
