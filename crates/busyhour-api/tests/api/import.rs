//! The building file over the API.

use axum::http::StatusCode;
use serde_json::json;

use crate::support::{Bed, MASKED};

const FILE: &str = "\
10.10.0.0,Floor 1,24,Munich,Contoso,Office,Regional,Munich,80331,DE,BY,EMEA,1,0,0\n\
10.10.1.0,Floor 2,24,Munich,Contoso,Office,Regional,Munich,80331,DE,BY,EMEA,1,0,0\n";

#[tokio::test]
async fn a_file_is_checked_then_put_in_force_and_comes_back() {
    let bed = Bed::empty();
    let dry = json!({ "file": FILE, "dry_run": true });
    let answer = bed.post("/api/v1/buildings/import", &dry).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let answer = answer.json();
    assert_eq!((&answer["imported"], &answer["subnets"]), (&json!(false), &json!(2)));
    assert_eq!((&answer["buildings_added"], &answer["subnets_added"]), (&json!(1), &json!(2)));
    assert!(bed.control.buildings().expect("buildings").is_empty(), "a dry run changes nothing");

    let answer = bed.post("/api/v1/buildings/import", &json!({ "file": FILE })).await.json();
    assert_eq!(answer["imported"], true);
    assert_eq!((&answer["buildings"], &answer["buildings_added"]), (&json!(1), &json!(1)));
    let subnets = bed.items("/api/v1/subnets").await;
    assert_eq!(subnets.len(), 2);
    assert_eq!(subnets[0]["building"], "Munich");
    assert_eq!(bed.items("/api/v1/subnets/missing").await.len(), 0);

    let export = bed.get("/api/v1/buildings/export").await;
    assert!(export.header("content-type").starts_with("text/csv"));
    let fields = |text: &str| -> Vec<Vec<String>> {
        let split = |line: &str| line.split(',').map(|f| f.trim_matches('"').to_owned()).collect();
        text.lines().map(split).collect()
    };
    assert_eq!(fields(&export.body), fields(FILE));
    let again = bed.post("/api/v1/buildings/import", &json!({ "file": export.body })).await.json();
    assert_eq!((&again["subnets_added"], &again["subnets_ended"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn a_dry_run_names_what_would_end() {
    let bed = Bed::empty();
    let other = FILE.replace("Munich,Contoso", "Ulm,Contoso").replace("10.10.", "10.20.");
    let both = FILE.to_owned() + &other;
    bed.post("/api/v1/buildings/import", &json!({ "file": both })).await.json();
    let one = FILE.lines().next().expect("a line");
    let answer =
        bed.post("/api/v1/buildings/import", &json!({ "file": one, "dry_run": true })).await.json();
    assert_eq!((&answer["imported"], &answer["buildings_ended"]), (&json!(false), &json!(1)));
    assert_eq!(answer["ended_buildings"], json!(["Ulm"]));
    let ended = json!(["10.10.1.0/24", "10.20.0.0/24", "10.20.1.0/24"]);
    assert_eq!((&answer["ended_subnets"], &answer["subnets_ended"]), (&ended, &json!(3)));
    assert_eq!(bed.control.subnets().expect("subnets").len(), 4);
}

#[tokio::test]
async fn a_file_alone_takes_nothing_back_that_a_companion_table_told() {
    const COMPANION: &str = "\
BuildingName,TimeZone,BusinessHours,Prefix,EgressPrefix\n\
Munich,Europe/Vienna,Mo-Fr 06:00-14:00,2001:db8::/48,\n\
Munich,,,10.10.1.0/24,198.51.100.0/28\n";
    let bed = Bed::empty();
    let import = "/api/v1/buildings/import";
    let answer = bed.post(import, &json!({ "file": FILE, "companion": COMPANION })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let before = (bed.control.buildings().expect("them"), bed.control.subnets().expect("them"));
    assert_eq!(before.0[0].time_zone.as_deref(), Some("Europe/Vienna"));

    for dry_run in [true, false] {
        let answer = bed.post(import, &json!({ "file": FILE, "dry_run": dry_run })).await;
        answer.problem(StatusCode::UNPROCESSABLE_ENTITY);
        let findings = answer.json()["findings"].as_array().expect("findings").clone();
        let text = serde_json::to_string(&findings).expect("text");
        assert!(text.contains("2001:db8::/48") && text.contains("10.10.1.0/24"), "{text}");
        assert!(findings.iter().all(|finding| finding["severity"] == "error"), "{text}");
        assert!(text.contains("building export --companion"), "{text}");
    }
    // What is exported puts the same in force again.
    let companion = bed.get("/api/v1/buildings/export/companion").await;
    assert!(companion.header("content-type").starts_with("text/csv"));
    let file = bed.get("/api/v1/buildings/export").await.body;
    let answer = bed.post(import, &json!({ "file": file, "companion": companion.body })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let after = (bed.control.buildings().expect("them"), bed.control.subnets().expect("them"));
    assert_eq!(before, after);

    // Without such networks a file alone is enough, and keeps zone and hours.
    let plain = "BuildingName,TimeZone,BusinessHours\nMunich,Europe/Vienna,Mo-Fr 06:00-14:00\n";
    bed.post(import, &json!({ "file": FILE, "companion": plain })).await;
    let answer = bed.post(import, &json!({ "file": FILE })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(bed.control.buildings().expect("buildings"), before.0);
}

#[tokio::test]
async fn a_file_with_errors_changes_nothing_and_says_where_they_are() {
    let bed = Bed::full();
    let bad = FILE.replace("10.10.1.0,Floor 2,24", "10.10.1.0,Floor 2,99");
    for dry_run in [true, false] {
        let body = json!({ "file": bad, "dry_run": dry_run });
        let answer = bed.post("/api/v1/buildings/import", &body).await;
        let detail = answer.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert!(detail.contains("nothing was changed"));
        let finding = &answer.json()["findings"][0];
        assert_eq!((&finding["severity"], &finding["line"]), (&json!("error"), &json!(2)));
        assert!(!finding["remedy"].as_str().expect("a remedy").is_empty());
    }
    let names: Vec<String> =
        bed.control.buildings().expect("buildings").into_iter().map(|b| b.name).collect();
    assert!(names.iter().any(|name| name == MASKED));
    assert_eq!(names.len(), 3);
}
