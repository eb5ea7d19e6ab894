//! The monthly pack laid out.

use busyhour_model::{Breach, DailyAverage, WorstHour};

use super::{BuildingMonth, Fixed, MaskedDay, MonthlyPack, OpenProblem, Provider};
use crate::document::{
    Cell, Column, Row, Table, building_cells, building_columns, count, duration, hours, percent,
    shift_cells, shift_columns, worst_cells, worst_columns,
};
use crate::shift::{Leaning, by_chance};
use crate::streams::{LEAST_STREAMS, PoorStreams, TARGET_INTERNAL};
use crate::tally::{LEAST_OF_MONTH, Tally, Target};

/// The share of windows that may be beyond a requirement: the requirements hold for the 90th percentile.
const TARGET_WINDOWS: f64 = 0.1;

impl MonthlyPack {
    fn totals(&self) -> (Tally, Tally, PoorStreams) {
        let (mut month, mut before) = (Tally::default(), Tally::default());
        let mut streams = PoorStreams::default();
        for building in &self.buildings {
            month.join(&building.month);
            before.join(&building.before);
            streams.join(&building.streams);
        }
        (month, before, streams)
    }

    /// What matters most.
    pub(crate) fn lead(&self) -> Vec<String> {
        let (month, before, streams) = self.totals();
        let count_of = |fits: &dyn Fn(&BuildingMonth) -> bool| {
            self.buildings.iter().filter(|building| fits(building)).count()
        };
        let leans =
            |leaning| move |b: &BuildingMonth| b.shift.map(|s| s.leaning()) == Some(leaning);
        let compared = match before.observed {
            0 => "nothing was observed in the month before".to_owned(),
            _ => format!("{} in the month before", duration(before.degraded_minutes)),
        };
        let degraded = match month.observed {
            0 => "Nothing was observed, so the degraded business time is unknown".to_owned(),
            _ => format!(
                "Degraded business time: {} in {} ({compared})",
                duration(month.degraded_minutes),
                count(self.buildings.len(), "building", "buildings"),
            ),
        };
        let mut lead = vec![
            format!("{degraded}."),
            format!(
                "{} met the target that no busy hour is bad, {} missed it, and of {} too little is \
                 known.",
                count(count_of(&|b| b.target == Target::Met), "building", "buildings"),
                count_of(&|b| b.target == Target::Missed),
                count_of(&|b| b.target == Target::Unknown)
            ),
            match count_of(&|b| b.shift.is_some()) {
                0 => "No building can be compared with the month before: too few days were \
                      observed."
                    .to_owned(),
                compared => format!(
                    "Against the month before {} better and {} worse, of {} compared; by chance \
                     alone it would be {}.",
                    match count_of(&leans(Leaning::Better)) {
                        1 => "1 building is".to_owned(),
                        n => format!("{n} buildings are"),
                    },
                    count_of(&leans(Leaning::Worse)),
                    compared,
                    by_chance(compared)
                ),
            },
            format!(
                "The daily average hides bad hours in {}.",
                count(count_of(&|b| b.month.masked > 0), "building", "buildings")
            ),
            format!(
                "{} at the end of the month; {} closed in it.",
                match self.open.len() {
                    1 => "1 problem was open".to_owned(),
                    n => format!("{n} problems were open"),
                },
                count(self.fixed.len(), "was", "were")
            ),
        ];
        if let Some(share) = streams.share().filter(|_| streams.classified() >= LEAST_STREAMS) {
            lead.push(format!(
                "Synthetic poor streams in business hours: {} of those classified; the published \
                 target of real calls is {}.",
                percent(share),
                percent(TARGET_INTERNAL)
            ));
        }
        let coverage = month.coverage().map_or_else(|| "unknown".to_owned(), percent);
        lead.push(format!("Coverage of busy hours: {coverage}."));
        lead
    }

    pub(crate) fn tables(&self) -> Vec<Table> {
        vec![
            self.quality(),
            self.masked(),
            self.targets(),
            self.open_problems(),
            self.fixed(),
            self.scorecard(),
            self.coverage(),
        ]
    }

    fn quality(&self) -> Table {
        let mut columns = building_columns().to_vec();
        columns.extend([
            Column::new("agents", "Agents"),
            Column::people("Bad days"),
            Column::programs("bad_days"),
            Column::programs("observed_days"),
            Column::new("target", "Against the target"),
            Column::new("degraded_min", "Degraded business time"),
            Column::new("degraded_before_min", "In the month before"),
        ]);
        columns.extend(shift_columns("Against the month before"));
        columns.extend(worst_columns());
        let row = |building: &BuildingMonth| {
            let (month, before) = (&building.month, &building.before);
            let minutes = |of: &Tally| match of.observed {
                0 => Cell::Unknown,
                _ => Cell::Minutes(of.degraded_minutes),
            };
            let mut row: Row = building_cells(&building.name, building.simulated).to_vec();
            row.extend([
                Cell::Count(building.agents as u64),
                Cell::days(month.bad, month.observed),
                Cell::Count(month.bad.into()),
                Cell::Count(month.observed.into()),
                Cell::text(building.target.as_str()),
                minutes(month),
                minutes(before),
            ]);
            row.extend(shift_cells(building.shift));
            row.extend(worst_cells(building.worst.as_ref(), month.observed > 0));
            row
        };
        Table {
            name: "buildings",
            title: "Minutes of degraded business time",
            caption: "Quarter-hours of bad busy hours, building by building, those with the most \
                      agents first."
                .to_owned(),
            columns,
            rows: self.buildings.iter().map(row).collect(),
            empty: "There are no buildings.",
        }
    }

    fn masked(&self) -> Table {
        let mut columns = building_columns().to_vec();
        columns.extend([
            Column::new("masked_days", "Masked days"),
            Column::programs("bad_days"),
            Column::programs("observed_days"),
            Column::new("date", "Worst of them"),
            Column::new("hour_local", "Busy hour"),
            Column::new("hour_says", "That hour, 90th percentile"),
            Column::new("average_says", "Average of the day"),
            Column::new("masking_factor", "How many times"),
        ]);
        let row = |(building, masked): (&BuildingMonth, MaskedDay)| {
            let start = masked.hour.start_minute;
            let (hour, average) = contrast(&masked.hour, &masked.average);
            let mut row: Row = building_cells(&building.name, building.simulated).to_vec();
            row.extend([
                Cell::Count(building.month.masked.into()),
                Cell::Count(building.month.bad.into()),
                Cell::Count(building.month.observed.into()),
                Cell::Date(masked.date),
                Cell::Text(hours(start, start.saturating_add(60))),
                Cell::Text(hour),
                Cell::Text(average),
                masked.factor.map_or(Cell::Nothing, Cell::Factor),
            ]);
            row
        };
        let mut found: Vec<(&BuildingMonth, MaskedDay)> =
            self.buildings.iter().filter_map(|b| Some((b, b.masked?))).collect();
        found.sort_by_key(|(building, _)| std::cmp::Reverse(building.month.masked));
        Table {
            name: "masked",
            title: "Masked buildings",
            caption:
                "Days on which the plain daily average is within the requirements while a busy \
                      hour is bad."
                    .to_owned(),
            columns,
            rows: found.into_iter().map(row).collect(),
            empty: "On no observed day did the average hide a bad hour.",
        }
    }

    fn targets(&self) -> Table {
        let mut columns = building_columns().to_vec();
        columns.extend([
            Column::new("bad_windows_ratio", "Windows beyond a requirement"),
            Column::new("bad_windows_target_ratio", "Allowed"),
            Column::new("bad_windows_verdict", "Verdict"),
            Column::new("poor_streams_ratio", "Synthetic poor streams"),
            Column::new("poor_streams_target_ratio", "Published target"),
            Column::new("poor_streams_verdict", "Beside it"),
            Column::new("streams", "Streams classified"),
            Column::new("streams_unclassified", "Not classified"),
        ]);
        let row = |building: &BuildingMonth| {
            let (windows, streams) = (building.month.bad_window_share(), &building.streams);
            let known = building.over && building.month.observed >= LEAST_OF_MONTH;
            let enough = known && streams.classified() >= LEAST_STREAMS;
            let mut row: Row = building_cells(&building.name, building.simulated).to_vec();
            row.extend([
                Cell::share(windows),
                Cell::Share(TARGET_WINDOWS),
                against(windows.filter(|_| known), TARGET_WINDOWS),
                Cell::share(streams.share()),
                Cell::Share(TARGET_INTERNAL),
                against(streams.share().filter(|_| enough), TARGET_INTERNAL),
                Cell::Count(streams.classified()),
                Cell::Count(streams.unclassified),
            ]);
            row
        };
        Table {
            name: "targets",
            title: "Requirement breaches and synthetic poor streams",
            caption:
                "Windows of busy hours that break a network requirement, and quarter-hours of \
                      business hours that the dashboard's audio classifier would call poor, beside \
                      the targets. With fewer than ten observed days, or 200 streams, or before the \
                      month is over, the verdict is unknown."
                    .to_owned(),
            columns,
            rows: self.buildings.iter().map(row).collect(),
            empty: "There are no buildings.",
        }
    }

    fn open_problems(&self) -> Table {
        let columns = vec![
            Column::new("incident", "Incident"),
            Column::new("place", "Where"),
            Column::new("state", "State"),
            Column::new("opened_date", "Opened"),
            Column::new("age_days", "Age in days"),
            Column::new("owner", "Owner"),
            Column::new("cause", "Likely cause"),
            Column::new("severity_class", "Severity"),
            Column::new("bad_days", "Bad days in the month"),
            Column::programs("simulated"),
            Column::new("sentence", "What"),
        ];
        let row = |problem: &OpenProblem| {
            vec![
                Cell::Incident(problem.number),
                place(&problem.place, problem.simulated),
                Cell::Text(state(problem)),
                Cell::Date(problem.opened),
                Cell::Count(problem.age_days.into()),
                problem.owner.as_ref().map_or_else(|| Cell::text("nobody told"), Cell::text),
                Cell::text(problem.cause),
                Cell::text(problem.severity.as_str()),
                Cell::Count(problem.bad_days.into()),
                Cell::text(problem.simulated.to_string()),
                Cell::text(&problem.sentence),
            ]
        };
        Table {
            name: "open",
            title: "Open problems",
            caption: "Incidents that were open at the end of the month, the oldest first."
                .to_owned(),
            columns,
            rows: self.open.iter().map(row).collect(),
            empty: "No incident was open at the end of the month.",
        }
    }

    fn fixed(&self) -> Table {
        let mut columns = vec![
            Column::new("incident", "Incident"),
            Column::new("place", "Where"),
            Column::new("closed_date", "Closed"),
            Column::new("cause", "Likely cause"),
            Column::new("owner", "Owner"),
            Column::people("Bad days before"),
            Column::programs("bad_days_before"),
            Column::programs("observed_days_before"),
            Column::people("Bad days after"),
            Column::programs("bad_days_after"),
            Column::programs("observed_days_after"),
            Column::new("hour_before_bad_ratio", "Median worst hour before"),
            Column::new("hour_after_bad_ratio", "Median worst hour after"),
            Column::programs("simulated"),
        ];
        columns.extend(shift_columns("After against before"));
        let row = |fixed: &Fixed| {
            let mut row = vec![
                Cell::Incident(fixed.number),
                place(&fixed.place, fixed.simulated),
                Cell::Date(fixed.closed),
                Cell::text(fixed.cause),
                fixed.owner.as_ref().map_or_else(|| Cell::text("nobody told"), Cell::text),
                Cell::days(fixed.before.bad, fixed.before.of),
                Cell::Count(fixed.before.bad.into()),
                Cell::Count(fixed.before.of.into()),
                Cell::days(fixed.after.bad, fixed.after.of),
                Cell::Count(fixed.after.bad.into()),
                Cell::Count(fixed.after.of.into()),
                Cell::share(fixed.hour_before),
                Cell::share(fixed.hour_after),
                Cell::text(fixed.simulated.to_string()),
            ];
            row.extend(shift_cells(fixed.shift));
            row
        };
        Table {
            name: "fixed",
            title: "What closed, and how it has been since",
            caption:
                "Incidents that closed in the month: observed days of their place up to the last \
                      bad day and after it. An incident closes only after days that were hardly \
                      ever bad, so the days after are chosen to be good: better says that it is \
                      quiet since, not why, nor that it stays so."
                    .to_owned(),
            columns,
            rows: self.fixed.iter().map(row).collect(),
            empty: "No incident closed in the month.",
        }
    }

    fn scorecard(&self) -> Table {
        let columns = vec![
            Column::new("provider", "Way out"),
            Column::new("buildings", "Buildings"),
            Column::new("observed_days", "Observed days of buildings"),
            Column::new("bad_days", "Bad because of it"),
            Column::new("incidents", "Incidents"),
            Column::new("opened", "Opened"),
            Column::new("closed", "Closed"),
            Column::programs("simulated"),
        ];
        let row = |provider: &Provider| {
            vec![
                place(&provider.name, provider.simulated),
                Cell::Count(provider.buildings as u64),
                Cell::Count(provider.observed_days.into()),
                match provider.observed_days {
                    0 if provider.bad_days == 0 => Cell::Unknown,
                    _ => Cell::Count(provider.bad_days.into()),
                },
                Cell::Count(provider.incidents as u64),
                Cell::Count(provider.opened as u64),
                Cell::Count(provider.closed as u64),
                Cell::text(provider.simulated.to_string()),
            ]
        };
        Table {
            name: "providers",
            title: "Provider scorecard",
            caption: "Public prefixes that the building file tells, and what was to blame on the \
                      way out; those with the most bad days first. A day of a building counts when \
                      the building itself was bad on a bad day of an incident there."
                .to_owned(),
            columns,
            rows: self.providers.iter().map(row).collect(),
            empty: "The building file tells no egress, and no incident lies with a provider.",
        }
    }

    fn coverage(&self) -> Table {
        let mut columns = building_columns().to_vec();
        columns.extend([
            Column::new("agents", "Agents"),
            Column::new("working_days", "Working days"),
            Column::new("observed_days", "Observed"),
            Column::new("coverage_ratio", "Windows of busy hours"),
        ]);
        let row = |building: &BuildingMonth| {
            let mut row: Row = building_cells(&building.name, building.simulated).to_vec();
            row.extend([
                Cell::Count(building.agents as u64),
                Cell::Count(building.month.working.into()),
                Cell::Count(building.month.observed.into()),
                Cell::share(building.month.coverage()),
            ]);
            row
        };
        let mut worst: Vec<&BuildingMonth> = self.buildings.iter().collect();
        let share = |building: &BuildingMonth| building.month.coverage().unwrap_or(0.0);
        worst.sort_by(|a, b| share(a).total_cmp(&share(b)));
        Table {
            name: "coverage",
            title: "Coverage",
            caption: "How much of what should have been observed was; the least first.".to_owned(),
            columns,
            rows: worst.into_iter().map(row).collect(),
            empty: "There are no buildings.",
        }
    }

    /// How to read the pack.
    pub(crate) fn notes(&self) -> Vec<String> {
        let every = match self.streams_every {
            0 | 1 => "All quarter-hours that are kept were classified.".to_owned(),
            every => format!(
                "There are too many: of each path every {every}th day was classified, spread evenly."
            ),
        };
        vec![
            "The target: no busy hour of an observed working day is bad. It is met by at least ten \
             observed days without a bad one, when the month is over; one bad day misses it. Unknown \
             is never good."
                .to_owned(),
            format!(
                "Better and worse: a difference in the share of bad days whose interval at {} \
                 excludes nothing at all, with ten observed days in each month; of what closed, \
                 three before and five after. Of buildings that did not change, up to one in fifty \
                 is called so by chance.",
                percent(crate::shift::CONFIDENCE)
            ),
            "Windows beyond a requirement: the published requirements hold for the 90th percentile \
             of samples, so one window in ten may be beyond."
                .to_owned(),
            format!(
                "Synthetic poor streams are no streams of calls: the dashboard's audio classifier \
                 applied to what probes met in a quarter-hour, each direction by itself. They stand \
                 beside the published target of real calls and do not say that it was met. {every}"
            ),
            "Degraded business time of a building counts a quarter-hour once, whichever of its \
             subnets is bad in it; that of the fleet adds up the buildings."
                .to_owned(),
        ]
    }
}

fn against(share: Option<f64>, target: f64) -> Cell {
    Cell::text(match share {
        None => "unknown",
        Some(share) if share > target => "above",
        Some(_) => "within",
    })
}

fn place(name: &str, simulated: bool) -> Cell {
    Cell::Text(if simulated { format!("{name} (simulated data)") } else { name.to_owned() })
}

fn state(problem: &OpenProblem) -> String {
    let stale = if problem.stale { ", not observed lately" } else { "" };
    let masked = if problem.masked { ", hidden by the average" } else { "" };
    format!("{}{stale}{masked}", problem.state.as_str())
}

/// The worst hour's 90th percentile and the day's average, of what is most wrong in that hour.
pub(crate) fn contrast(hour: &WorstHour, average: &DailyAverage) -> (String, String) {
    let ms = |us: u32| format!("{:.1} ms", f64::from(us) / 1_000.0);
    let loss = |ppm: u32| percent(f64::from(ppm) / 1e6);
    match hour.dominant {
        Some(Breach::Delay) => (
            format!("{} round trip", ms(hour.rtt_us_p90)),
            format!("{} round trip", ms(average.rtt_us)),
        ),
        Some(Breach::Jitter) => (
            format!("{} jitter", ms(hour.jitter_us_p90)),
            format!("{} jitter", ms(average.jitter_us)),
        ),
        Some(Breach::Loss | Breach::Burst | Breach::Failed) | None => (
            format!("{} loss", loss(hour.loss_ppm_p90)),
            format!("{} loss", loss(average.loss_ppm)),
        ),
    }
}
