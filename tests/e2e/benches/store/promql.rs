//! The same questions to VictoriaMetrics, as close as its query language comes to them. It is given
//! only what the questions touch.

use std::collections::BTreeMap;
use std::hint::black_box;

use busyhour_model::Histogram;

use crate::cost::{Watch, grouped};
use crate::fleet::Fleet;
use crate::import::{BUILDING_PATHS, Body, Form, Series};
use crate::queries::time;
use crate::slots::{DAY, SlotPool};
use crate::victoria::{Connection, Victoria, installed};
use crate::{Effort, store};

/// Buildings whose round trips it is given.
const BUILDINGS: usize = 4;

/// Loads what is asked for, asks, and prints how long each took.
pub(crate) fn measure(effort: &Effort, fleet: &Fleet, pool: &SlotPool, weeks: i64) {
    println!("  VictoriaMetrics, alone, without its cache of results");
    if !installed() {
        return;
    }
    let folder = store::folder();
    let victoria = Victoria::start(folder.path());
    let watch = Watch::start();
    let samples = load(victoria.connect(), fleet, pool, weeks);
    assert_eq!(victoria.settle(), samples, "every sample is there");
    println!(
        "    {} samples loaded in {:.1} s: round trips of {BUILDINGS} buildings, the last week's \
         counts of all, a day of raw windows of a path",
        grouped(samples as f64),
        watch.wall()
    );
    ask(effort, &victoria, fleet, weeks);
    victoria.stop();
}

/// Gives it what the questions touch; how many samples that is.
fn load(mut connection: Connection, fleet: &Fleet, pool: &SlotPool, weeks: i64) -> u64 {
    let (mut samples, mut body) = (0, Body::new(Form::Native));
    let mut send = |body: &mut Body| {
        let full = std::mem::replace(body, Body::new(Form::Native));
        connection.post(Form::Native.endpoint(), full.bytes());
        samples += full.samples;
    };
    for path in 0..fleet.paths() {
        // Of other paths only the last week is asked for.
        let whole = path < BUILDINGS * BUILDING_PATHS;
        add_slots(&mut body, pool, path, weeks, if whole { Part::Trips } else { Part::Counts });
        if whole {
            add_slots(&mut body, pool, path, weeks, Part::Counts);
        }
        if body.is_full() {
            send(&mut body);
        }
    }
    let from = (weeks * 7 - 1) * 1_440;
    let windows: Vec<_> = (from..from + 1_440).map(|minute| fleet.window(0, minute)).collect();
    body.add(0, &windows);
    send(&mut body);
    samples
}

/// What is told of a slot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The round trips of its packets, bucket by bucket.
    Trips,
    /// How many windows were valid and bad, of the last week.
    Counts,
}

fn add_slots(body: &mut Body, pool: &SlotPool, path: usize, weeks: i64, part: Part) {
    let (_, slots) = pool.weeks(path, busyhour_model::PathId(0), weeks * 7);
    let labels = [("building", (path / BUILDING_PATHS).to_string()), ("path", path.to_string())];
    if part == Part::Counts {
        let (mut valid, mut bad) = (Series::default(), Series::default());
        for slot in slots.iter().skip(((weeks * 7 - 7) * DAY) as usize) {
            let at_ms = slot.start.start().0 / 1_000;
            valid.push(at_ms, slot.counts.valid.into());
            bad.push(at_ms, slot.counts.bad.into());
        }
        body.add_series("slot_valid", &labels, &valid);
        body.add_series("slot_bad", &labels, &bad);
        return;
    }
    let mut buckets: BTreeMap<u16, Series> = BTreeMap::new();
    for slot in &slots {
        for &(bucket, count) in slot.rtt_us.buckets() {
            let series = buckets.entry(bucket).or_default();
            series.push(slot.start.start().0 / 1_000, count as i64);
        }
    }
    for (bucket, series) in &buckets {
        let group = Histogram::group_of_bucket(*bucket).and_then(Histogram::span_of_group);
        let (lowest, width) = group.expect("a slot's buckets stand for groups");
        let [building, path] = labels.clone();
        let range = format!("{lowest}...{}", u64::from(lowest) + u64::from(width));
        body.add_series("slot_rtt_bucket", &[building, path, ("vmrange", range)], series);
    }
}

fn ask(effort: &Effort, victoria: &Victoria, fleet: &Fleet, weeks: i64) {
    let seconds = |minute: i64| (fleet.minute(minute).0 / 1_000_000).to_string();
    let end = weeks * 7 * 1_440;
    let sums = "sum(sum_over_time(slot_rtt_bucket{building=\"B\"}[1h])) by (vmrange)";
    let mut building = 0;
    let mut ranged = |what: &str, query: String| {
        time(what, effort.requests.div_ceil(10), || {
            building = (building + 1) % BUILDINGS;
            let query = query.replace("\"B\"", &format!("\"{building}\""));
            let answer = victoria.get(
                "/api/v1/query_range",
                &[
                    ("query", &query),
                    ("start", &seconds(60)),
                    ("end", &seconds(end)),
                    ("step", "1h"),
                    ("nocache", "1"),
                ],
            );
            assert!(answer.len() > 1_000, "{}", String::from_utf8_lossy(&answer));
            black_box(answer);
        });
    };
    // Quantiles of hours cannot be merged to quantiles of weekdays: the sums can, by the caller.
    ranged("bucket sums of a building's hours", sums.to_owned());
    ranged(
        "its hours' own p50, p90, p99",
        format!("histogram_quantiles(\"phi\", 0.5, 0.9, 0.99, {sums})"),
    );
    let share = "sum(sum_over_time(slot_bad[1h])) by (building) \
                 / sum(sum_over_time(slot_valid[1h])) by (building)";
    let worst = format!("topk(100, max_over_time(({share})[1w:1h]))");
    time("worst 100 buildings, hours of UTC", effort.requests.div_ceil(20), || {
        let answer = victoria
            .get("/api/v1/query", &[("query", &worst), ("time", &seconds(end)), ("nocache", "1")]);
        assert!(answer.len() > 200, "{}", String::from_utf8_lossy(&answer));
        black_box(answer);
    });
    time("raw windows of a path, a day", effort.requests.div_ceil(10), || {
        let matches = "{path=\"0\",__name__=~\"bh_.+\"}";
        let (from, until) = (seconds(end - 1_440), seconds(end));
        let answer = victoria
            .get("/api/v1/export", &[("match[]", matches), ("start", &from), ("end", &until)]);
        assert!(answer.len() > 10_000, "{}", String::from_utf8_lossy(&answer));
        black_box(answer);
    });
}
