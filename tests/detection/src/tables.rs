//! Tables for people and for documents, and JSON for programs.

pub mod markdown;

use std::fmt::Write as _;
use std::time::Duration;

use busyhour_sim::score::{Report, Share};
use busyhour_sim::world::{Hardness, Mechanisms};
use serde_json::{Value, json};

use crate::aims::{Aim, Scale};
use crate::harness::Facts;

/// One method over the worlds of one kind.
#[derive(Debug, Clone)]
pub struct Line {
    /// How hard the worlds are.
    pub hardness: Hardness,
    /// Which mechanisms they are made of; `None` when those of both sets are taken together.
    pub mechanisms: Option<Mechanisms>,
    /// Which method, or what is special about it.
    pub method: String,
    /// It tells places, causes and confidence.
    pub places: bool,
    /// What it is worth.
    pub report: Report,
    /// How long telling took, all threads together.
    pub took: Duration,
}

impl Line {
    /// Which worlds.
    #[must_use]
    pub fn fleet(&self) -> String {
        let mechanisms = self.mechanisms.map_or("both", Mechanisms::as_str);
        format!("{}, {mechanisms}", self.hardness.as_str())
    }
}

/// Adds, for what was run with both sets of mechanisms, a line of both taken together.
#[must_use]
pub fn with_sums(mut lines: Vec<Line>) -> Vec<Line> {
    let mut sums: Vec<Line> = Vec::new();
    for line in &lines {
        let same = |sum: &&mut Line| sum.hardness == line.hardness && sum.method == line.method;
        let Some(sum) = sums.iter_mut().find(same) else {
            sums.push(line.clone());
            continue;
        };
        let mut tally = sum.report.tally.clone();
        tally.add(&line.report.tally);
        sum.report = Report::of(tally);
        sum.took += line.took;
        sum.mechanisms = None;
    }
    sums.retain(|sum| sum.mechanisms.is_none());
    lines.extend(sums);
    lines
}

/// The lines that hold all there is of a method and a hardness: of both sets of mechanisms taken
/// together where both were run.
#[must_use]
pub fn whole(lines: &[Line]) -> Vec<&Line> {
    let summed = |line: &Line| {
        let same = |sum: &Line| sum.hardness == line.hardness && sum.method == line.method;
        lines.iter().any(|sum| sum.mechanisms.is_none() && same(sum))
    };
    lines.iter().filter(|line| line.mechanisms.is_none() || !summed(line)).collect()
}

/// Every figure of a method.
#[must_use]
pub fn figures(line: &Line) -> String {
    let header = ["", "figure", "95 % bounds", "aim", "held", "counts"].map(str::to_owned);
    let mut rows = vec![header.to_vec()];
    for row in line.report.rows() {
        let aim = Scale::Whole.aim(row.name, line.hardness);
        let held = aim.map_or("", |aim| if aim.holds(&row) { "yes" } else { "NO" });
        rows.push(vec![
            row.what.to_owned(),
            row.figure(),
            row.bounds(),
            aim.map(Aim::shown).unwrap_or_default(),
            held.to_owned(),
            row.counts.clone(),
        ]);
    }
    let mut text = format!("## {} ({})\n\n{}", line.method, line.fleet(), aligned(&rows));
    push_table(&mut text, "False alerts by", &false_by(&line.report));
    push_table(&mut text, "Episodes on", &recall_by_place(&line.report));
    if line.places {
        push_table(&mut text, "Confidence", &reliability(&line.report));
        push_table(&mut text, "True place", &confusion(line.report.tally.places.iter().map(words)));
        push_table(
            &mut text,
            "True cause",
            &confusion(line.report.tally.causes.iter().map(strings)),
        );
    }
    text
}

fn words(((truth, told), count): (&(&'static str, &'static str), &u64)) -> [String; 3] {
    [(*truth).to_owned(), (*told).to_owned(), count.to_string()]
}

fn strings(((truth, told), count): (&(String, String), &u64)) -> [String; 3] {
    [truth.clone(), told.clone(), count.to_string()]
}

/// Methods and variants side by side.
#[must_use]
pub fn side_by_side(lines: &[Line]) -> String {
    let header = [
        "fleet",
        "method",
        "recall",
        "",
        "false per building-month",
        "bound",
        "days to detect",
        "90 %",
        "right alerts",
        "alerts per cause",
        "sure",
        "right when sure",
        "stuck",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for line in lines {
        let report = &line.report;
        let days = report.days_to_detect;
        let only_places = |text: String| if line.places { text } else { "-".to_owned() };
        rows.push(vec![
            line.fleet(),
            line.method.clone(),
            shown(&report.recall),
            format!("{:.3} to {:.3}", report.recall.low, report.recall.high),
            report.false_alerts.rate.map_or_else(String::new, |rate| format!("{rate:.4}")),
            format!("{:.4}", report.false_alerts.bound),
            days.map_or_else(String::new, |days| days.median.to_string()),
            days.map_or_else(String::new, |days| days.p90.to_string()),
            shown(&report.precision),
            report.alerts_per_cause.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            only_places(shown(&report.sure)),
            only_places(shown(&report.sure_right)),
            shown(&report.stuck),
        ]);
    }
    let mut text = aligned(&rows);
    if let Some(line) = lines.first() {
        let months = line.report.building_months;
        let _ =
            write!(text, "\n{months:.0} building-months and {} episodes", line.report.recall.of);
        let _ = writeln!(text, " in the first line");
    }
    text
}

/// What the worlds were like.
#[must_use]
pub fn facts(fleet: &str, facts: &Facts) -> String {
    let quantile = |share: f64| {
        let last = facts.severities.len().saturating_sub(1);
        // Nearest rank; the share is below 1.
        let rank = (share * last as f64).round() as usize;
        facts.severities.get(rank).map_or_else(|| "-".to_owned(), |one| format!("{one:.2}"))
    };
    let seconds = facts.took.as_secs_f64();
    let each = |count: u64| seconds * 1e9 / count.max(1) as f64;
    format!(
        "{fleet}: {} buildings, {} series, {} windows in {} quarter-hours; {} episodes with a truly bad \
         day, severity at 10, 25, 50 and 75 %: {} {} {} {}; {seconds:.1} s, {:.0} ns a window, {:.0} ns \
         a quarter-hour",
        facts.buildings,
        facts.series,
        facts.windows,
        facts.slots,
        facts.severities.len(),
        quantile(0.10),
        quantile(0.25),
        quantile(0.50),
        quantile(0.75),
        each(facts.windows),
        each(facts.slots),
    )
}

/// All that the tables show, and more.
#[must_use]
pub fn json(lines: &[Line]) -> Value {
    lines.iter().map(line_json).collect()
}

fn line_json(line: &Line) -> Value {
    let report = &line.report;
    let figures: serde_json::Map<String, Value> = report
        .rows()
        .iter()
        .map(|row| {
            let aim = Scale::Whole.aim(row.name, line.hardness);
            let held = aim.map(|aim| aim.holds(row));
            let figure = json!({
                "value": row.value, "low": row.low, "high": row.high,
                "counts": row.counts, "held": held,
            });
            (row.name.to_owned(), figure)
        })
        .collect();
    let false_by: Vec<Value> = report
        .false_by
        .iter()
        .map(|(reason, count)| json!({ "reason": reason.as_str(), "alerts": count }))
        .collect();
    let bins: Vec<Value> = report
        .reliability
        .iter()
        .map(|bin| {
            json!({
                "from": bin.from, "incidents": bin.placed.incidents, "right": bin.placed.right,
                "low": bin.right.low, "high": bin.right.high,
                "false_alerts": bin.placed.false_alerts,
            })
        })
        .collect();
    let causes: Vec<Value> = report
        .tally
        .causes
        .iter()
        .map(|((truth, told), count)| json!({ "true": truth, "told": told, "incidents": count }))
        .collect();
    json!({
        "fleet": line.fleet(),
        "method": line.method,
        "building_months": report.building_months,
        "figures": figures,
        "false_by": false_by,
        "reliability": bins,
        "causes": causes,
        "seconds": line.took.as_secs_f64(),
    })
}

fn false_by(report: &Report) -> Vec<Vec<String>> {
    let row = |(reason, count): &(busyhour_sim::score::Reason, u64)| {
        vec![reason.as_str().to_owned(), count.to_string()]
    };
    report.false_by.iter().map(row).collect()
}

fn recall_by_place(report: &Report) -> Vec<Vec<String>> {
    let row = |(place, share): &(&'static str, Share)| {
        vec![
            (*place).to_owned(),
            shown(share),
            format!("{} of {}", share.hits, share.of),
            format!("{:.3} to {:.3}", share.low, share.high),
        ]
    };
    report.recall_by_place.iter().map(row).collect()
}

fn reliability(report: &Report) -> Vec<Vec<String>> {
    let told =
        report.reliability.iter().filter(|bin| bin.placed.incidents + bin.placed.false_alerts > 0);
    told.map(|bin| {
        vec![
            format!("{:.1} to {:.1}", bin.from, bin.from + 0.1),
            shown(&bin.right),
            format!("{} of {}", bin.right.hits, bin.right.of),
            format!("{:.3} to {:.3}", bin.right.low, bin.right.high),
            format!("{} false", bin.placed.false_alerts),
        ]
    })
    .collect()
}

fn confusion(rows: impl Iterator<Item = [String; 3]>) -> Vec<Vec<String>> {
    rows.map(|row| row.to_vec()).collect()
}

fn push_table(text: &mut String, title: &str, rows: &[Vec<String>]) {
    if !rows.is_empty() {
        let _ = write!(text, "\n{title}\n{}", aligned(rows));
    }
}

fn shown(share: &Share) -> String {
    share.share.map_or_else(|| "-".to_owned(), |share| format!("{share:.3}"))
}

/// Columns one below the other, two blanks between.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use busyhour_sim::score::Tally;

    use super::*;

    fn line(tally: Tally) -> Line {
        Line {
            hardness: Hardness::Hard,
            mechanisms: Some(Mechanisms::Tuning),
            method: "detector".to_owned(),
            places: true,
            report: Report::of(tally),
            took: Duration::ZERO,
        }
    }

    fn good() -> Tally {
        Tally {
            building_days: 90_000,
            must: 500,
            must_found: 490,
            days_to_detect: [(1, 200), (2, 200), (5, 90)].into(),
            alerts: 540,
            explained: 500,
            reasons: 450,
            false_alerts: [(busyhour_sim::score::Reason::Nothing, 40)].into(),
            ..Tally::default()
        }
    }

    #[test]
    fn both_sets_of_mechanisms_are_told_apart_and_together() {
        let held_out = Line { mechanisms: Some(Mechanisms::HeldOut), ..line(good()) };
        let rule = Line { method: "prometheus".to_owned(), ..line(good()) };
        let lines = with_sums(vec![line(good()), held_out, rule]);
        let fleets: Vec<String> = lines.iter().map(Line::fleet).collect();
        assert_eq!(fleets, ["hard, tuning", "hard, held-out", "hard, tuning", "hard, both"]);
        assert_eq!(lines[3].report.tally.must, 1000);
        // What was run with one set alone is whole by itself.
        let whole: Vec<&str> = whole(&lines).iter().map(|line| line.method.as_str()).collect();
        assert_eq!(whole, ["prometheus", "detector"]);
    }

    #[test]
    fn tables_name_every_figure_and_align_their_columns() {
        let text = figures(&line(good()));
        let row = text.lines().find(|line| line.starts_with("recall of episodes")).unwrap();
        assert!(
            row.contains("0.980") && row.contains("at least 0.96") && row.contains("yes"),
            "{row}"
        );
        let text = side_by_side(&[line(good()), line(Tally::default())]);
        let columns: Vec<Option<usize>> = text
            .lines()
            .take(3)
            .map(|line| line.find("detector").or(line.find("method")))
            .collect();
        assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    }

    #[test]
    fn json_holds_each_figure_by_its_name() {
        let value = json(&[line(good())]);
        assert_eq!(value[0]["figures"]["recall"]["value"], 0.98);
        assert_eq!(value[0]["figures"]["recall"]["held"], true);
        assert_eq!(value[0]["false_by"][0]["alerts"], 40);
    }
}
