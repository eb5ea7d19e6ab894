//! Tables in Markdown, as docs/DETECT.md shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use busyhour_sim::score::{Report, Row, Share};
use busyhour_sim::world::Hardness;

use super::{Line, whole};
use crate::aims::{Aim, Scale};

/// Figures that say nothing of a rule that names no places and causes.
const OF_PLACES: [&str; 6] = [
    "place-right-when-sure",
    "place-sure",
    "place-right",
    "cause-named",
    "cause-right",
    "kind-right",
];

/// How much a table of variants tells of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intervals {
    /// Figures alone.
    Left,
    /// Recall with its interval, false alerts with their bound.
    Shown,
}

/// Every figure of each method beside what it ought to be, and what it is made of. A figure that is not
/// what it ought to be is bold.
#[must_use]
pub fn figures(lines: &[Line]) -> String {
    let mut text = String::new();
    for method in methods(lines) {
        let own: Vec<&Line> =
            whole(lines).into_iter().filter(|line| line.method == method).collect();
        let parts: Vec<&Line> = lines
            .iter()
            .filter(|line| line.method == method && line.mechanisms.is_some())
            .collect();
        let _ = writeln!(text, "**{method}**: {}.\n\n{}", amounts(&own), held(&own));
        if parts.len() > own.len() {
            let _ = writeln!(text, "By mechanisms:\n\n{}", by_mechanisms(&parts));
        }
        text.push_str(&breakdown("False alerts by", &own, false_by));
        text.push_str(&breakdown("Episodes found, by place", &own, found_by_place));
        if own.iter().all(|line| line.places) {
            text.push_str(&breakdown("Places right, by confidence", &own, right_by_confidence));
            for line in own {
                let places = line.report.tally.places.iter();
                let places = places.map(|((truth, told), count)| ((*truth, *told), *count));
                text.push_str(&matrix(&format!("Places, {}", line.hardness.as_str()), places));
                let causes = line.report.tally.causes.iter();
                let causes =
                    causes.map(|((truth, told), count)| ((truth.as_str(), told.as_str()), *count));
                text.push_str(&matrix(&format!("Causes, {}", line.hardness.as_str()), causes));
            }
        }
    }
    text
}

/// Methods or variants of one below each other.
#[must_use]
pub fn variants(lines: &[Line], intervals: Intervals) -> String {
    let whole = whole(lines);
    let hardness = hardness(&whole);
    let fleets = hardness.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" / ");
    let places = whole.iter().all(|line| line.places);
    let mut header = vec![
        String::new(),
        format!("recall {fleets}"),
        "false per building-month".to_owned(),
        "days to detect (90 %)".to_owned(),
        "alerts per cause".to_owned(),
    ];
    if places {
        header.extend(["sure", "right when sure"].map(str::to_owned));
    }
    let row = |method: &&str| {
        let own: Vec<&Report> = hardness
            .iter()
            .filter_map(|one| {
                let mut of = whole.iter();
                of.find(|line| line.method == **method && line.hardness == *one)
            })
            .map(|line| &line.report)
            .collect();
        let each = |cell: &dyn Fn(&Report) -> String| {
            own.iter().map(|report| cell(report)).collect::<Vec<_>>().join(" / ")
        };
        let mut cells = vec![
            (*method).to_owned(),
            each(&|report| share(&report.recall, intervals)),
            each(&|report| false_alerts(report, intervals)),
            each(&days),
            each(&|report| {
                report.alerts_per_cause.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
            }),
        ];
        if places {
            cells.push(each(&|report| share(&report.sure, Intervals::Left)));
            cells.push(each(&|report| share(&report.sure_right, intervals)));
        }
        cells
    };
    let methods = methods(lines);
    let rows: Vec<Vec<String>> = methods.iter().map(row).collect();
    let first: Vec<&Line> = whole
        .iter()
        .filter(|line| methods.first() == Some(&line.method.as_str()))
        .copied()
        .collect();
    format!("{}.\n\n{}", amounts(&first), table(&header, &rows))
}

/// The names of methods in the order in which they come first.
fn methods(lines: &[Line]) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let names = lines.iter().map(|line| line.method.as_str());
    names.filter(|name| seen.insert(*name)).collect()
}

fn hardness(lines: &[&Line]) -> Vec<Hardness> {
    let known = Hardness::ALL.iter().copied();
    known.filter(|one| lines.iter().any(|line| line.hardness == *one)).collect()
}

/// How much the figures rest on.
fn amounts(lines: &[&Line]) -> String {
    let amount = |line: &&Line| {
        let months = grouped(line.report.building_months);
        let musts = grouped(line.report.recall.of as f64);
        format!("{} {months} building-months with {musts} musts", line.fleet())
    };
    lines.iter().map(amount).collect::<Vec<_>>().join("; ")
}

fn held(lines: &[&Line]) -> String {
    let mut header = vec![String::new()];
    for line in lines {
        header.extend([line.hardness.as_str().to_owned(), "aim".to_owned()]);
    }
    let rows = rows_of(lines, &|_| true, &|row, line| {
        let aim = Scale::Whole.aim(row.name, line.hardness);
        vec![cell(row, aim, &row.bounds()), aim.map(Aim::shown).unwrap_or_default()]
    });
    table(&header, &rows)
}

fn by_mechanisms(lines: &[&Line]) -> String {
    let mut header = vec![String::new()];
    header.extend(lines.iter().map(|line| line.fleet()));
    let aimed = |name: &str| Scale::Whole.aim(name, Hardness::Normal).is_some();
    let rows = rows_of(lines, &aimed, &|row, line| {
        vec![cell(row, Scale::Whole.aim(row.name, line.hardness), "")]
    });
    table(&header, &rows)
}

/// The rows of the benchmark's table that are wanted and apply, with one or more cells of each line.
fn rows_of(
    lines: &[&Line],
    wanted: &dyn Fn(&str) -> bool,
    cells: &dyn Fn(&Row, &Line) -> Vec<String>,
) -> Vec<Vec<String>> {
    let places = lines.iter().all(|line| line.places);
    let applies = |name: &str| wanted(name) && (places || !OF_PLACES.contains(&name));
    let figures: Vec<Vec<Row>> = lines.iter().map(|line| line.report.rows()).collect();
    let Some(first) = figures.first() else { return Vec::new() };
    let mut rows = Vec::new();
    for (at, row) in first.iter().enumerate().filter(|(_, row)| applies(row.name)) {
        let mut all = vec![row.what.to_owned()];
        for (line, own) in lines.iter().zip(&figures) {
            all.extend(own.get(at).map(|row| cells(row, line)).unwrap_or_default());
        }
        rows.push(all);
    }
    rows
}

/// A figure with its counts and bounds.
fn cell(row: &Row, aim: Option<Aim>, bounds: &str) -> String {
    let figure = row.figure();
    let missed = aim.is_some_and(|aim| !aim.holds(row));
    let figure = if missed { format!("**{figure}**") } else { figure };
    // What is said in brackets behind the counts is for those who look closer.
    let counts = row.counts.split(" (").next().unwrap_or_default();
    let detail: Vec<&str> = [counts, bounds].into_iter().filter(|part| !part.is_empty()).collect();
    if detail.is_empty() { figure } else { format!("{figure} ({})", detail.join("; ")) }
}

/// A small table of what a figure is made of: by name, a cell for each line.
fn breakdown(title: &str, lines: &[&Line], of: fn(&Report) -> Vec<(String, String)>) -> String {
    let mut names: Vec<String> = Vec::new();
    let cells: Vec<BTreeMap<String, String>> = lines
        .iter()
        .map(|line| {
            let own = of(&line.report);
            for (name, _) in &own {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            own.into_iter().collect()
        })
        .collect();
    if names.is_empty() {
        return String::new();
    }
    let mut header = vec![title.to_owned()];
    header.extend(lines.iter().map(|line| line.hardness.as_str().to_owned()));
    let row = |name: &String| {
        let own = cells.iter().map(|cells| cells.get(name).cloned().unwrap_or_default());
        std::iter::once(name.clone()).chain(own).collect()
    };
    let rows: Vec<Vec<String>> = names.iter().map(row).collect();
    format!("{}\n", table(&header, &rows))
}

fn false_by(report: &Report) -> Vec<(String, String)> {
    let row = |(reason, count): &(busyhour_sim::score::Reason, u64)| {
        (reason.as_str().to_owned(), count.to_string())
    };
    report.false_by.iter().map(row).collect()
}

fn found_by_place(report: &Report) -> Vec<(String, String)> {
    let row = |(place, found): &(&'static str, Share)| ((*place).to_owned(), counted(found));
    report.recall_by_place.iter().map(row).collect()
}

/// From the lowest confidence up; with false alerts that were told with it.
fn right_by_confidence(report: &Report) -> Vec<(String, String)> {
    let bins = report.reliability.iter();
    bins.map(|bin| {
        let name = format!("{:.1} to {:.1}", bin.from, bin.from + 0.1);
        let told = if bin.right.of == 0 { "-".to_owned() } else { counted(&bin.right) };
        let cell = match bin.placed.false_alerts {
            0 => told,
            alerts => format!("{told}, {alerts} false"),
        };
        (name, cell)
    })
    .collect()
}

/// A share with its counts and its interval.
fn counted(share: &Share) -> String {
    let figure = share.share.map_or_else(|| "-".to_owned(), |one| format!("{one:.3}"));
    format!("{figure} ({} of {}; {:.3} to {:.3})", share.hits, share.of, share.low, share.high)
}

/// What was true by row, what was told by column.
fn matrix<'a>(title: &str, counts: impl Iterator<Item = ((&'a str, &'a str), u64)>) -> String {
    let counts: BTreeMap<(&str, &str), u64> = counts.collect();
    if counts.is_empty() {
        return String::new();
    }
    let told: BTreeSet<&str> = counts.keys().map(|(_, told)| *told).collect();
    let truths: BTreeSet<&str> = counts.keys().map(|(truth, _)| *truth).collect();
    let mut header = vec![format!("{title}: true \\ told")];
    header.extend(told.iter().map(|told| (*told).to_owned()));
    let row = |truth: &&str| {
        let cells = told
            .iter()
            .map(|told| counts.get(&(*truth, *told)).map_or_else(String::new, ToString::to_string));
        std::iter::once((*truth).to_owned()).chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = truths.iter().map(row).collect();
    format!("{}\n", table(&header, &rows))
}

fn share(share: &Share, intervals: Intervals) -> String {
    let Some(figure) = share.share else { return "-".to_owned() };
    match intervals {
        Intervals::Left => brief(figure),
        Intervals::Shown => {
            format!("{} ({} to {})", brief(figure), brief(share.low), brief(share.high))
        }
    }
}

fn false_alerts(report: &Report, intervals: Intervals) -> String {
    let Some(rate) = report.false_alerts.rate else { return "-".to_owned() };
    match intervals {
        Intervals::Left => brief(rate),
        Intervals::Shown => {
            format!("{} (at most {})", brief(rate), brief(report.false_alerts.bound))
        }
    }
}

fn days(report: &Report) -> String {
    let days = report.days_to_detect;
    days.map_or_else(|| "-".to_owned(), |days| format!("{} ({})", days.median, days.p90))
}

/// Three decimals, without the nought before the point.
fn brief(figure: f64) -> String {
    let text = format!("{figure:.3}");
    text.strip_prefix('0').map_or_else(|| text.clone(), str::to_owned)
}

/// A whole number with its thousands apart: `3,024`.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let mut text = line(header);
    let _ = writeln!(text, "|{}", "---|".repeat(header.len()));
    rows.iter().for_each(|row| text.push_str(&line(row)));
    text
}

fn line(cells: &[String]) -> String {
    let mut text = String::from("|");
    for cell in cells {
        let _ = if cell.is_empty() { write!(text, " |") } else { write!(text, " {cell} |") };
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use busyhour_sim::score::{Placed, Reason, Tally};
    use busyhour_sim::world::Mechanisms;

    use super::super::with_sums;
    use super::*;

    fn of(hardness: Hardness, mechanisms: Mechanisms, tally: Tally) -> Line {
        Line {
            hardness,
            mechanisms: Some(mechanisms),
            method: "detector".to_owned(),
            places: true,
            report: Report::of(tally),
            took: Duration::ZERO,
        }
    }

    fn tally(false_alerts: u64) -> Tally {
        let mut placed = [Placed::default(); busyhour_sim::score::CONFIDENCE_BINS];
        placed[9] = Placed { incidents: 300, right: 297, ..Placed::default() };
        placed[4] = Placed { incidents: 10, right: 4, by_another_word: 1, false_alerts: 2 };
        Tally {
            building_days: 45_000,
            must: 500,
            must_found: 490,
            recall_by_place: [("subnet", (500, 490))].into(),
            days_to_detect: [(1, 300), (2, 190)].into(),
            alerts: 340,
            explained: 310,
            reasons: 300,
            false_alerts: [(Reason::Nothing, false_alerts)].into(),
            placed,
            places: [(("subnet", "agent"), 13), (("subnet", "subnet"), 297)].into(),
            causes: [(("wifi".to_owned(), "not-known".to_owned()), 3)].into(),
            ..Tally::default()
        }
    }

    fn both() -> Vec<Line> {
        with_sums(vec![
            of(Hardness::Normal, Mechanisms::Tuning, tally(10)),
            of(Hardness::Normal, Mechanisms::HeldOut, tally(50)),
            of(Hardness::Hard, Mechanisms::Tuning, tally(1)),
            of(Hardness::Hard, Mechanisms::HeldOut, tally(2)),
        ])
    }

    fn row<'a>(text: &'a str, begin: &str) -> &'a str {
        text.lines()
            .find(|line| line.starts_with(begin))
            .unwrap_or_else(|| panic!("{begin}: {text}"))
    }

    #[test]
    fn the_table_of_a_report_sums_the_mechanisms_and_shows_them_apart_too() {
        let text = figures(&both());
        assert!(text.contains("normal, both 3,000 building-months with 1,000 musts"), "{text}");
        // 60 in 3,000 are too many, 3 are not; the figure that is missed is bold.
        let row_of = row(&text, "| false alerts per building-month | **0.0200** (60 in 3000");
        assert!(
            row_of.contains("| 0.0010 (3 in 3000 building-months; at most 0.0026) |"),
            "{row_of}"
        );
        let apart = text.lines().filter(|line| line.starts_with("| false alerts per building"));
        assert_eq!(apart.count(), 2, "{text}");
        let parts = row(&text, "| | normal, tuning").to_owned();
        assert_eq!(
            parts,
            "| | normal, tuning | normal, held-out | hard, tuning | hard, held-out |"
        );
    }

    #[test]
    fn confidence_is_told_with_counts_intervals_and_false_alerts() {
        let text = figures(&both());
        let sure = row(&text, "| 0.9 to 1.0 |");
        assert!(sure.contains("0.990 (594 of 600; 0.978 to 0.996)"), "{sure}");
        let unsure = row(&text, "| 0.4 to 0.5 |");
        assert!(unsure.contains("0.400 (8 of 20; 0.191 to 0.639), 4 false"), "{unsure}");
        assert_eq!(row(&text, "| 0.1 to 0.2 |"), "| 0.1 to 0.2 | - | - |");
    }

    #[test]
    fn what_is_true_and_what_was_told_stand_in_a_matrix() {
        let text = figures(&both());
        assert!(text.contains(
            "| Places, hard: true \\ told | agent | subnet |\n|---|---|---|\n| subnet | 26 | 594 |"
        ));
    }

    #[test]
    fn variants_stand_below_each_other_with_both_fleets_in_a_cell() {
        let text = variants(&both(), Intervals::Left);
        assert_eq!(
            row(&text, "| detector"),
            "| detector | .980 / .980 | .020 / .001 | 1 (2) / 1 (2) | 1.03 / 1.03 | .968 / .968 | .990 / .990 |"
        );
        let text = variants(&both(), Intervals::Shown);
        assert!(row(&text, "| detector").contains(".980 (.969 to .988)"), "{text}");
        // A rule without places has no column of them.
        let rule = Line { places: false, ..both().remove(0) };
        assert!(!variants(&[rule], Intervals::Left).contains("sure"));
    }
}
