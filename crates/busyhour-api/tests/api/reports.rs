//! Reports: in every form, of what who asks may see, with figures that follow from what is stored.

use axum::http::StatusCode;
use busyhour_model::{IncidentState, UtcMicros};
use busyhour_store::JudgeWrite;
use jiff::civil::date;
use serde_json::{Value, json};

use crate::support::{Bed, HOSTILE, MASKED, NOW, day_summary, incident};

/// The row of a building in a table of a report.
fn row<'a>(report: &'a Value, table: &str, building: &str) -> &'a Value {
    let tables = report["tables"].as_array().expect("tables");
    let table = tables.iter().find(|found| found["name"] == table).expect("the table");
    let rows = table["rows"].as_array().expect("rows");
    rows.iter().find(|row| row["building"] == building).expect("the building")
}

async fn json(bed: &Bed, address: &str) -> Value {
    let answer = bed.get(address).await;
    assert_eq!(answer.status, StatusCode::OK, "{address}: {}", answer.body);
    let report = answer.json();
    assert_eq!(report["schema_version"], 1);
    report
}

#[tokio::test]
async fn a_weekly_review_follows_from_the_days_that_are_stored() {
    let bed = Bed::full();
    let report = json(&bed, "/api/v1/reports/weekly?date=2026-W10").await;
    assert_eq!(report["period"], "2026-W10");
    assert_eq!(
        (&report["first_date"], &report["last_date"]),
        (&json!("2026-03-02"), &json!("2026-03-08"))
    );
    assert_eq!(report["simulated"], true);
    let stored = bed
        .control
        .days(Some(bed.building(MASKED)), date(2026, 3, 2), date(2026, 3, 8))
        .expect("days");
    let own = stored.iter().filter(|day| matches!(day.scope, busyhour_model::Scope::Building(_)));
    let (mut bad, mut observed, mut quarters, mut valid, mut windows) = (0, 0, 0, 0, 0);
    for day in own {
        bad += u64::from(day.verdict.is_bad());
        observed += u64::from(day.verdict.is_observed());
        quarters += day.bad_quarters.len();
        valid += day.valid;
        windows += day.bad;
    }
    let found = row(&report, "buildings", MASKED);
    assert!(observed > 0 && windows > 0, "the world has something to count");
    assert_eq!(found["bad_days"], bad);
    assert_eq!(found["observed_days"], observed);
    assert_eq!(found["degraded_min"], quarters * 15);
    let ratio = found["bad_windows_ratio"].as_f64().expect("a ratio");
    assert!((ratio - f64::from(windows) / f64::from(valid)).abs() < 1e-6);
    assert_eq!(found["target"], "missed");
    assert_eq!(found["simulated"], true);
    assert_eq!(found["shift"], "unknown", "nothing was observed before");
    assert_eq!(row(&report, "buildings", HOSTILE)["target"], "unknown");
}

#[tokio::test]
async fn a_monthly_pack_classifies_the_slots_that_are_stored() {
    let bed = Bed::full();
    let report = json(&bed, "/api/v1/reports/monthly?date=2026-03").await;
    let found = row(&report, "targets", MASKED);
    // Two local days of windows, 08:00 to 18:00: 40 quarter-hours a day, two directions each. Every second
    // window between 10:00 and 12:00 loses 4 %, which is far from the classifier's 10 %.
    assert_eq!(found["streams"].as_u64().expect("a count"), 2 * 40 * 2);
    assert_eq!(found["poor_streams_ratio"], 0.0);
    assert_eq!(found["poor_streams_verdict"], "unknown", "of two days, and the month is not over");
    assert_eq!(row(&report, "targets", "Always Bad")["poor_streams_ratio"], Value::Null);
    let open = report["tables"].as_array().expect("tables").iter().find(|t| t["name"] == "open");
    let open = open.expect("the table")["rows"].as_array().expect("rows").clone();
    let numbers: Vec<&Value> = open.iter().map(|row| &row["incident"]).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(open[0]["age_days"], 3, "from the 3rd to the 6th, which is today");
}

#[tokio::test]
async fn the_last_period_that_is_over_is_the_usual_one() {
    let bed = Bed::full();
    for (kind, period) in [("daily", "2026-03-05"), ("weekly", "2026-W09"), ("monthly", "2026-02")]
    {
        let report = json(&bed, &format!("/api/v1/reports/{kind}")).await;
        assert_eq!(report["period"], period);
        assert_eq!(report["kind"], kind);
    }
}

#[tokio::test]
async fn every_form_says_what_it_is() {
    let bed = Bed::full();
    let get = async |form: &str| {
        let answer = bed.get(&format!("/api/v1/reports/weekly?date=2026-W10&format={form}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{form}: {}", answer.body);
        answer
    };
    let page = get("html").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert!(!page.header("content-security-policy").contains("script"));
    assert_eq!(
        page.header("content-disposition"),
        "inline; filename=\"busyhour-weekly-2026-W10.html\""
    );
    assert!(page.body.starts_with("<!doctype html>") && !page.body.contains("<script"));
    let csv = get("csv").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert!(
        csv.header("content-disposition")
            .ends_with("filename=\"busyhour-weekly-2026-W10-buildings.csv\"")
    );
    assert!(csv.body.starts_with("building,simulated,agents,"), "{}", csv.body);
    assert!(get("csv&table=subnets").await.body.starts_with("building,simulated,subnet,"));
    assert!(get("text").await.body.contains("SIMULATED DATA"));
}

#[tokio::test]
async fn what_cannot_be_reported_is_refused_with_its_reason() {
    let bed = Bed::full();
    for (query, says) in [
        ("weekly?date=2026-W54", "2026-W54"),
        ("monthly?date=March", "March"),
        ("daily?format=csv&table=moon", "events, bad, unknown"),
        ("daily?building=somewhere", "building"),
        ("daily?format=pdf", "format"),
    ] {
        let answer = bed.get(&format!("/api/v1/reports/{query}")).await;
        let detail = answer.problem(StatusCode::BAD_REQUEST);
        assert!(detail.contains(says), "{query}: {detail}");
    }
    let nobody = "daily?building=00000000-0000-0000-0000-000000000099";
    bed.get(&format!("/api/v1/reports/{nobody}")).await.problem(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_report_on_one_building_says_nothing_of_others() {
    let bed = Bed::full();
    let id = bed.building(MASKED);
    for kind in ["daily", "weekly", "monthly"] {
        let address = format!("/api/v1/reports/{kind}?date=2026-03-05&building={id}&format=text");
        let report = bed.get(&address).await.body;
        assert!(report.contains(MASKED) && !report.contains("Always Bad"), "{report}");
    }
}

#[tokio::test]
async fn what_was_closed_is_told_with_its_days_before_and_after() {
    let bed = Bed::full();
    let building = bed.building("Always Bad");
    let mut over = incident(9, building, false);
    (over.state, over.closed, over.closed_on) =
        (IncidentState::Closed, Some(NOW), Some(date(2026, 3, 6)));
    over.opened = Some(UtcMicros(NOW.0 - 1));
    let days = (9..=13).map(|day| day_summary(building, date(2026, 3, day), false));
    let write = JudgeWrite { incidents: vec![over], days: days.collect(), ..JudgeWrite::default() };
    bed.control.write_judgement(&write, NOW).expect("write");
    let report = json(&bed, "/api/v1/reports/monthly?date=2026-03").await;
    let tables = report["tables"].as_array().expect("tables");
    let fixed = &tables.iter().find(|t| t["name"] == "fixed").expect("the table")["rows"][0];
    assert_eq!((&fixed["incident"], &fixed["bad_days_before"]), (&json!(9), &json!(2)));
    assert_eq!(fixed["observed_days_before"], 2);
    assert_eq!(fixed["shift"], "unknown", "two days before are too few");
}

#[tokio::test]
async fn the_page_leads_to_the_reports_of_a_building() {
    let bed = Bed::full();
    let page = bed.get("/reports").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("href=\"/api/v1/reports/weekly?date=2026-W09"), "{}", page.body);
    assert!(!page.body.contains("<script>alert"));
    let id = bed.building(MASKED);
    let page = bed.get(&format!("/reports?building={id}")).await.body;
    assert!(
        page.contains(&format!("date=2026-02&#38;building={id}"))
            || page.contains(&format!("date=2026-02&amp;building={id}"))
            || page.contains(&format!("date=2026-02&building={id}")),
        "{page}"
    );
    let page = bed.get("/reports?building=00000000-0000-0000-0000-000000000099").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}
