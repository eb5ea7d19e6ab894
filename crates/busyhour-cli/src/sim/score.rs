//! Shows what findings are worth.

use std::fs::File;
use std::io::{BufReader, IsTerminal as _, stdin};
use std::path::Path;

use anyhow::{Context as _, bail};
use busyhour_sim::score::{Report, Row, Share, Tally};
use serde_json::{Value, json};

use super::{ScoreArgs, findings, truth_file};
use crate::args::Format;
use crate::client::{Envelope, Item};
use crate::output::{Column, Printer};

const FIGURES: &[Column] =
    &[("what", "figure"), ("shown", ""), ("bounds", "95 % bounds"), ("counts", "counts")];
const REASONS: &[Column] = &[("false_alerts_by", "false alerts by"), ("count", "alerts")];
const RELIABILITY: &[Column] = &[
    ("confidence", "confidence"),
    ("incidents", "incidents"),
    ("right", "right"),
    ("shown", "share"),
    ("bounds", "95 % bounds"),
    ("false_alerts", "false alerts"),
];
const PLACES: &[Column] = &[("true_place", "true place"), ("told", "told"), ("count", "incidents")];
const CAUSES: &[Column] = &[("true_cause", "true cause"), ("told", "told"), ("count", "incidents")];
const RECALL: &[Column] = &[
    ("episodes_on", "episodes on"),
    ("found", "found"),
    ("of", "of"),
    ("shown", "share"),
    ("bounds", "95 % bounds"),
];

pub(super) fn run(printer: &Printer, format: Format, args: &ScoreArgs) -> anyhow::Result<()> {
    let ground = truth_file::read(&args.folder)?;
    let told = if args.findings == Path::new("-") {
        if stdin().is_terminal() {
            bail!("- reads findings from standard input: pipe the output of `busyhour detect` in");
        }
        findings::read(&mut stdin().lock(), &ground).context("standard input")?
    } else {
        let shown = args.findings.display();
        let file = File::open(&args.findings).with_context(|| format!("open {shown}"))?;
        findings::read(&mut BufReader::new(file), &ground).with_context(|| format!("{shown}"))?
    };
    print(printer, format, &Report::of(Tally::of(&ground, &told)))
}

/// The figures first; people and JSON get the tables behind them as well.
fn print(printer: &Printer, format: Format, report: &Report) -> anyhow::Result<()> {
    let details = details(report);
    let mut figures = Envelope::new(report.rows().iter().map(figure).collect());
    if matches!(format, Format::Json | Format::Yaml) {
        for (name, _, items) in details {
            figures.rest.insert(name.to_owned(), json!(items));
        }
        figures.rest.insert("building_months".to_owned(), json!(report.building_months));
    } else if printer.is_table() {
        printer.rows(&figures, FIGURES)?;
        for (_, columns, items) in details.into_iter().filter(|(_, _, items)| !items.is_empty()) {
            println!();
            printer.rows(&Envelope::new(items), columns)?;
        }
        return Ok(());
    }
    printer.rows(&figures, FIGURES)
}

fn figure(row: &Row) -> Item {
    item(json!({
        "name": row.name,
        "what": row.what,
        "shown": row.figure(),
        "bounds": row.bounds(),
        "counts": row.counts,
        "value": row.value,
        "low": row.low,
        "high": row.high,
    }))
}

type Details = Vec<(&'static str, &'static [Column], Vec<Item>)>;

fn details(report: &Report) -> Details {
    let shown = |share: &Share| share.share.map_or_else(|| "-".to_owned(), |s| format!("{s:.3}"));
    let bounds = |share: &Share| format!("{:.3} to {:.3}", share.low, share.high);
    let reasons = report.false_by.iter();
    let reasons = reasons
        .map(|(reason, count)| json!({ "false_alerts_by": reason.as_str(), "count": count }));
    let bins =
        report.reliability.iter().filter(|bin| bin.placed.incidents + bin.placed.false_alerts > 0);
    let bins = bins.map(|bin| {
        json!({
            "confidence": format!("{:.1} to {:.1}", bin.from, bin.from + 0.1),
            "incidents": bin.placed.incidents,
            "right": bin.placed.right,
            "shown": shown(&bin.right),
            "bounds": bounds(&bin.right),
            "false_alerts": bin.placed.false_alerts,
        })
    });
    let recall = report.recall_by_place.iter().map(|(place, share)| {
        json!({
            "episodes_on": place,
            "found": share.hits,
            "of": share.of,
            "shown": shown(share),
            "bounds": bounds(share),
        })
    });
    let places = report.tally.places.iter();
    let places = places
        .map(|((place, told), count)| json!({ "true_place": place, "told": told, "count": count }));
    let causes = report.tally.causes.iter();
    let causes = causes
        .map(|((cause, told), count)| json!({ "true_cause": cause, "told": told, "count": count }));
    vec![
        ("false_alerts_by", REASONS, reasons.map(item).collect()),
        ("recall_by_place", RECALL, recall.map(item).collect()),
        ("reliability", RELIABILITY, bins.map(item).collect()),
        ("places", PLACES, places.map(item).collect()),
        ("causes", CAUSES, causes.map(item).collect()),
    ]
}

fn item(value: Value) -> Item {
    match value {
        Value::Object(item) => item,
        _ => Item::new(),
    }
}
