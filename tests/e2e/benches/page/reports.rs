//! What the reviews of a large fleet cost: each is worked out of a filled store, in a process of its own, as a mail has it.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use busyhour_model::desk::Overlay;
use busyhour_model::{PathId, UtcMicros};
use busyhour_report::{Period, ReportKind, STREAM_BUDGET, Whole};
use busyhour_store::Telemetry as _;
use jiff::ToSpan as _;
use jiff::civil::Date;
use tempfile::TempDir;

use crate::cost::{Watch, forget_peak, grouped, peak_mb, quantile, resident_mb};
use crate::fleet::{FleetPath, date_of, ids};
use crate::history::{self, RETENTION};
use crate::slots::{DAY, SlotPool};

/// Two months and the rest of a third have verdicts: what the monthly pack compares.
const DAYS: i64 = 93;
const KINDS: [ReportKind; 3] = [ReportKind::Daily, ReportKind::Weekly, ReportKind::Monthly];
const TIMES: usize = 5;

fn now() -> UtcMicros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    UtcMicros(0).plus(since)
}

/// Fills a store, and has each report measured.
pub(crate) fn measure(buildings: usize) {
    let folder = TempDir::new().expect("a folder");
    let watch = Watch::start();
    history::fill(folder.path(), buildings, DAYS);
    let path_days = load_streams(folder.path(), buildings);
    println!(
        "\nReviews of {} buildings; {DAYS} days of verdicts and {} days of paths loaded in {:.0} s",
        grouped(buildings as f64),
        grouped(path_days as f64),
        watch.wall()
    );
    for kind in KINDS {
        let program = std::env::current_exe().expect("this program");
        let mut one = Command::new(program);
        one.arg("--report").arg(kind.as_str()).arg(folder.path());
        assert!(one.status().expect("it starts").success(), "the report is made");
    }
}

/// Quarter-hours of those days of paths that the monthly pack looks at: it takes no more than its budget of a large
/// fleet's.
fn load_streams(folder: &Path, buildings: usize) -> usize {
    let (telemetry, _) = busyhour_store::open(folder, RETENTION).expect("the store opens");
    let period = Period::over_everywhere(ReportKind::Monthly, now());
    let before: Date = period.first().saturating_sub(1.day());
    let days = i64::from((period.last().saturating_add(1.day()) - before).get_days()) + 1;
    let offset = i64::from((before - date_of(0)).get_days());
    let paths = ids(telemetry.paths(None).expect("paths"), buildings);
    let taken = (paths.len() * days as usize).div_ceil(STREAM_BUDGET).max(1);
    // As the report does: no multiple of a week.
    let every = if taken.is_multiple_of(7) { taken + 1 } else { taken };
    let rows = telemetry.paths(None).expect("paths");
    let order: HashMap<PathId, usize> =
        rows.into_iter().enumerate().map(|(number, row)| (row.id, number)).collect();
    let pool = SlotPool::new();
    let mut path_days = 0;
    for (at, &id) in paths.iter().enumerate() {
        let number = order[&id];
        let own = (0..days).filter(|day| (number + *day as usize).is_multiple_of(every));
        let slots: Vec<_> = own
            .map(|day| (id, pool.slots(FleetPath(at), offset + day..offset + day + 1, DAY)))
            .collect();
        path_days += slots.len();
        telemetry.load_slots(&slots).expect("the store takes slots");
    }
    path_days
}

/// Makes one report some times, and says what it cost.
pub(crate) fn one(kind: &str, folder: &Path) {
    let kind = KINDS.into_iter().find(|one| one.as_str() == kind).expect("a kind");
    let (telemetry, control) = busyhour_store::open(folder, RETENTION).expect("the store opens");
    let overlay = Overlay::default();
    let whole = Whole { control: &control, telemetry: &telemetry, overlay: &overlay };
    let period = Period::over_everywhere(kind, now());
    let before = resident_mb(std::process::id());
    forget_peak();
    let (mut wall, mut cpu, mut bytes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..TIMES {
        let watch = Watch::start();
        let report = busyhour_report::render(&whole, period, None, now()).expect("a report");
        wall.push(watch.wall());
        cpu.push(watch.cpu());
        bytes = report.html.len() + report.attachments.iter().map(|a| a.bytes.len()).sum::<usize>();
        if kind == ReportKind::Monthly {
            let classified = report.text.contains("Streams classified: 0;");
            assert!(!classified, "some of every building's streams were looked at");
        }
    }
    let peak = peak_mb(std::process::id());
    println!(
        "  {}: {:.2} s median of {TIMES} ({:.2} s at most), {:.2} CPU s; {:.0} MB at most, {:.0} MB before; {:.0} kB with its tables",
        kind.as_str(),
        quantile(&wall, 0.5),
        quantile(&wall, 1.0),
        quantile(&cpu, 0.5),
        peak,
        before,
        bytes as f64 / 1e3
    );
}
