//! The benchmark in small, on every change: of each fleet two of ten buildings over six weeks.
//!
//! The gates are loose, so that only what breaks detection breaks them; what it is truly worth takes
//! 3,000 building-months and stands in docs/DETECT.md.

#![expect(clippy::unwrap_used, reason = "a run that cannot be made fails the test")]

use busyhour_detect::Params;
use busyhour_sim::score::Report;
use busyhour_sim::world::{Hardness, Mechanisms, Plan};
use detection::aims::Scale;
use detection::baseline::Baseline;
use detection::harness::{Method, run};

/// What each method is worth on two small fleets, one of each set of mechanisms.
fn reports(hardness: Hardness, methods: &[Method]) -> Vec<Report> {
    let plans =
        [(901, Mechanisms::Tuning), (902, Mechanisms::HeldOut)].map(|(seed, mechanisms)| Plan {
            hardness,
            mechanisms,
            buildings: 10,
            days: 42,
            ..Plan::new(seed)
        });
    let run = run(&plans, methods, 2, &|_, _| ()).unwrap();
    for detail in &run.outcomes[0].details {
        println!("{}: {}", detail.mistake.as_str(), detail.text);
    }
    let reports: Vec<Report> =
        run.outcomes.iter().map(|outcome| Report::of(outcome.tally.clone())).collect();
    for (method, report) in methods.iter().zip(&reports) {
        for row in report.rows() {
            println!("{} {}: {} ({})", method.name(), row.what, row.figure(), row.counts);
        }
    }
    reports
}

/// The detector holds the gates; one that tells of every bad day, and one that is deaf to all but the
/// worst, each miss what they are bad at; the rule that users have today finds as much, and cries wolf.
fn check(hardness: Hardness) {
    let jumpy = Params { recurs: 1, of_days: 1, ..Params::default() };
    let deaf = Params { bad_permille: 990, ..Params::default() };
    let methods = [
        Method::detector(),
        Method::variant("jumpy", jumpy),
        Method::variant("deaf", deaf),
        Method::Baseline(Baseline::Prometheus),
    ];
    let reports = reports(hardness, &methods);
    let missed = |at: usize| Scale::Small.missed(&reports[at], hardness).join("; ");
    assert!(reports[0].recall.of >= 5, "there is something to find: {:?}", reports[0].recall);
    assert_eq!(missed(0), "");
    assert!(missed(1).contains("false alerts"), "{}", missed(1));
    assert!(missed(2).contains("recall"), "{}", missed(2));
    let (detector, prometheus) = (&reports[0], &reports[3]);
    assert!(prometheus.recall.share >= Some(0.7), "{:?}", prometheus.recall);
    assert!(
        prometheus.tally.false_total() > 2 * detector.tally.false_total(),
        "{:?}",
        prometheus.false_by
    );
}

#[test]
fn normal_fleets_in_small_hold_their_gates_and_broken_detectors_do_not() {
    check(Hardness::Normal);
}

#[test]
fn hard_fleets_in_small_hold_their_gates_and_broken_detectors_do_not() {
    check(Hardness::Hard);
}
