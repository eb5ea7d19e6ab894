//! Load that people import, over the API.

use axum::http::StatusCode;
use busyhour_model::LoadSource;
use jiff::civil::date;
use serde_json::json;

use crate::support::{Bed, MASKED};

#[tokio::test]
async fn a_load_table_is_checked_then_kept_and_audited() {
    let bed = Bed::full();
    let rows: String =
        (8..18).map(|hour| format!("{MASKED},2026-03-02T{hour:02}:00:00Z,{hour}\n")).collect();
    let file = format!("building,start,load\n{rows}");
    let dates = (date(2026, 3, 1), date(2026, 3, 3));
    let kept = || bed.control.building_loads(None, dates.0, dates.1).expect("loads");

    let dry = json!({ "file": file, "dry_run": true });
    let answer = bed.post("/api/v1/loads/import", &dry).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!((&answer.json()["imported"], &answer.json()["days"]), (&json!(false), &json!(1)));
    assert!(kept().is_empty(), "a dry run changes nothing");

    let answer = bed.post("/api/v1/loads/import", &json!({ "file": file })).await.json();
    assert_eq!((&answer["imported"], &answer["rows"]), (&json!(true), &json!(10)));
    assert_eq!((&answer["buildings"], &answer["days"]), (&json!(1), &json!(1)));
    let [load] = kept().try_into().expect("one day of one building");
    assert_eq!((load.source, load.date), (LoadSource::Imported, date(2026, 3, 2)));
    // Nine in Berlin is eight in UTC; an hour holds for its four quarters.
    assert_eq!(load.quarters[36..40], [Some(8.0); 4]);
    assert_eq!((load.quarters[35], load.quarters[76]), (None, None));
    let audit = bed.items("/api/v1/audit").await;
    assert!(audit.iter().any(|entry| entry["action"] == "import-loads"), "{audit:?}");
}

#[tokio::test]
async fn a_load_table_with_errors_changes_nothing_and_says_where_they_are() {
    let bed = Bed::full();
    let start = "2026-03-02T08:00:00Z";
    let file = format!("building,start,load\n{MASKED},{start},1\nAtlantis,{start},1\n");
    for dry_run in [true, false] {
        let body = json!({ "file": file, "dry_run": dry_run });
        let answer = bed.post("/api/v1/loads/import", &body).await;
        let detail = answer.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert!(detail.contains("nothing was changed"), "{detail}");
        let finding = &answer.json()["findings"][0];
        assert_eq!((&finding["severity"], &finding["line"]), (&json!("error"), &json!(3)));
    }
    let loads = bed.control.building_loads(None, date(2026, 3, 1), date(2026, 3, 3));
    assert!(loads.expect("loads").is_empty());
}
