//! The benchmark in small, on every change: two fleets of ten buildings over six weeks.
//!
//! The gates are loose, so that only what breaks detection breaks them; what it is truly worth takes
//! 3,000 building-months and stands in docs/DETECT.md.

use busyhour_sim::score::Report;
use busyhour_sim::world::Plan;
use detection::baseline::Baseline;
use detection::harness::{Method, run};

#[test]
fn the_detector_finds_most_episodes_and_seldom_alarms_for_nothing() {
    let plans = [901, 902].map(|seed| Plan { buildings: 10, days: 42, ..Plan::new(seed) });
    let methods = [Method::detector(), Method::Baseline(Baseline::Prometheus)];
    let run = run(&plans, &methods, 2, &|_, _| ()).unwrap();
    let reports: Vec<Report> =
        run.outcomes.iter().map(|outcome| Report::of(outcome.tally.clone())).collect();
    for (method, report) in methods.iter().zip(&reports) {
        for row in report.rows() {
            println!("{} {}: {} ({})", method.name(), row.what, row.figure(), row.counts);
        }
    }
    for detail in &run.outcomes[0].details {
        println!("{}: {}", detail.mistake.as_str(), detail.text);
    }
    let (detector, prometheus) = (&reports[0], &reports[1]);
    assert!(detector.recall.of >= 5, "there is something to find: {:?}", detector.recall);
    assert!(detector.recall.share >= Some(0.7), "{:?}", detector.recall);
    assert!(detector.tally.false_total() <= 2, "{:?}", detector.false_by);
    assert!(detector.alerts_per_cause <= Some(1.5), "{:?}", detector.alerts_per_cause);
    assert!(detector.place_right.share >= Some(0.6), "{:?}", detector.place_right);
    let days = detector.days_to_detect.unwrap();
    assert!(days.median <= 3, "{days:?}");
    // The rule that users have today finds them too, and cries wolf.
    assert!(prometheus.recall.share >= Some(0.7), "{:?}", prometheus.recall);
    assert!(
        prometheus.tally.false_total() > 2 * detector.tally.false_total(),
        "{:?}",
        prometheus.false_by
    );
}
