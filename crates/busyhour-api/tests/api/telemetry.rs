//! Buildings, paths and windows as JSON.

use axum::http::StatusCode;
use busyhour_model::Breach;
use busyhour_store::JudgeWrite;
use serde_json::json;

use crate::support::{Bed, HOSTILE, MASKED, NOW};

#[tokio::test]
async fn the_masked_building_is_first_and_the_unknown_one_is_not_good() {
    let bed = Bed::full();
    let top = bed.items("/api/v1/top").await;
    let names: Vec<&str> = top.iter().map(|item| item["name"].as_str().expect("a name")).collect();
    assert_eq!(names, [MASKED, "Always Bad", HOSTILE]);
    assert_eq!(top[0]["standing"], "masked");
    assert_eq!(top[0]["masking_factor"], 8.0);
    assert_eq!(top[0]["worst_hour_local"], "10:00–11:00");
    assert_eq!(top[0]["worst_hour_bad_ratio"], 0.5);
    assert_eq!(top[0]["average_loss_ratio"], 0.003);
    assert_eq!(top[0]["worst_hour_says"], "2.40 % loss");
    assert_eq!(top[0]["average_says"], "0.30 % loss");
    assert_eq!(top[0]["average_passes"], true);
    assert_eq!((&top[0]["bad_days"], &top[0]["observed_days"]), (&json!(2), &json!(2)));
    assert_eq!(top[0]["simulated"], true);
    assert_eq!(top[1]["standing"], "bad");
    assert_eq!(top[1]["simulated"], false);
    assert_eq!(top[2]["standing"], "unknown");
    assert_eq!(top[2]["unknown_because"], "no agent lives here");
    assert!(top[2]["worst_hour_local"].is_null());
    assert_eq!(bed.items("/api/v1/top?limit=1").await.len(), 1);

    let by_name = bed.items("/api/v1/buildings").await;
    let names: Vec<&str> =
        by_name.iter().map(|item| item["name"].as_str().expect("a name")).collect();
    assert_eq!(names, [HOSTILE, "Always Bad", MASKED]);
    let one = bed.items(&format!("/api/v1/buildings/{}", bed.building(MASKED))).await;
    assert_eq!(one, [top[0].clone()]);
}

#[tokio::test]
async fn a_delay_problem_is_told_in_delay() {
    let bed = Bed::full();
    let mut incidents = bed.control.incidents(false).expect("incidents");
    let id = bed.building("Always Bad");
    let mut incident = incidents.swap_remove(
        incidents.iter().position(|incident| incident.building == id).expect("an incident"),
    );
    let hour = incident.worst_hour.as_mut().expect("an hour");
    (hour.dominant, hour.rtt_us_p90, hour.loss_ppm_p90) = (Some(Breach::Delay), 310_000, 0);
    let write = JudgeWrite { incidents: vec![incident], ..JudgeWrite::default() };
    bed.control.write_judgement(&write, NOW).expect("write");
    let top = bed.items("/api/v1/top").await;
    assert_eq!(top[1]["name"], "Always Bad");
    assert_eq!(top[1]["worst_hour_breach"], "delay");
    assert_eq!(top[1]["worst_hour_says"], "310 ms round trip");
    assert_eq!(top[1]["average_says"], "30.0 ms round trip");
}

#[tokio::test]
async fn subnets_say_when_simulated_agents_live_there() {
    let bed = Bed::full();
    for subnet in bed.items("/api/v1/subnets").await {
        assert_eq!(subnet["simulated"], subnet["building"] == MASKED, "{subnet}");
    }
}

#[tokio::test]
async fn the_map_is_in_the_buildings_own_hours_and_silence_is_unknown() {
    let bed = Bed::full();
    let address = format!("/api/v1/buildings/{}/map", bed.building(MASKED));
    let cells = bed.items(&format!("{address}?date=2026-03-03")).await;
    assert_eq!(cells.len(), 168);
    for (hour, cell) in cells.iter().enumerate() {
        let (day, hour_of_day) = (hour / 24, hour % 24);
        assert_eq!(cell["hour_local"], hour_of_day);
        assert_eq!(cell["business"], day < 5 && (8..18).contains(&hour_of_day));
        let (valid, bad, level) = match (day, hour_of_day) {
            (0 | 1, 10 | 11) => (60, 30, "bad"),
            (0 | 1, _) => (60, 0, "good"),
            _ => (0, 0, "unknown"),
        };
        assert_eq!(cell["valid_windows"], valid, "cell {hour}");
        assert_eq!(cell["bad_windows"], bad, "cell {hour}");
        assert_eq!(cell["level"], level, "cell {hour}");
        assert_eq!(cell["simulated"], true);
    }
    // By Friday the agent has been silent for three days: those hours should exist and do not.
    let cells = bed.items(&address).await;
    assert_eq!(
        (&cells[58]["weekday"], &cells[58]["expected_windows"]),
        (&json!("Wed"), &json!(60))
    );
    assert_eq!(cells[58]["level"], "unknown");

    let other = bed.items(&format!("{address}?link=wifi")).await;
    assert!(other.iter().all(|cell| cell["level"] == "unknown"), "it has no Wi-Fi path");
    for bad in ["date=yesterday", "subnet=7", "link=token-ring"] {
        bed.get(&format!("{address}?{bad}")).await.problem(StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn windows_are_given_whole_and_within_bounds() {
    let bed = Bed::full();
    let paths = bed.items("/api/v1/paths").await;
    assert_eq!(paths.len(), 1);
    assert_eq!(paths[0]["agent"], "berlin-1");
    assert_eq!(paths[0]["building"], MASKED);
    assert_eq!(paths[0]["link"], "wired");
    assert_eq!(paths[0]["simulated"], true);
    let address = format!("/api/v1/paths/{}/windows", paths[0]["id"]);
    let hour = "from=2026-03-02T09:00:00Z&until=2026-03-02T10:00:00Z";
    let windows = bed.items(&format!("{address}?{hour}")).await;
    assert_eq!(windows.len(), 60);
    assert_eq!(windows[0]["simulated"], true);
    assert_eq!(windows[0]["placed_utc"], "2026-03-02T09:00:00Z");
    assert_eq!((&windows[0]["bad"], &windows[0]["loss"]), (&json!(true), &json!("fail")));
    assert_eq!((&windows[0]["sent"], &windows[0]["lost_up"]), (&json!(750), &json!(30)));
    assert_eq!(windows[1]["bad"], false);
    assert_eq!(windows[1]["dscp_up"], 46);
    assert_eq!(bed.items(&format!("{address}?{hour}&limit=7")).await.len(), 7);
    assert_eq!(bed.items(&address).await.len(), 0, "the last day has none");
    for (query, status) in [
        ("from=2026-01-01T00:00:00Z&until=2026-03-02T10:00:00Z", StatusCode::BAD_REQUEST),
        ("from=2026-03-02T10:00:00Z&until=2026-03-02T10:00:00Z", StatusCode::BAD_REQUEST),
        ("from=monday", StatusCode::BAD_REQUEST),
        ("limit=-1", StatusCode::BAD_REQUEST),
    ] {
        bed.get(&format!("{address}?{query}")).await.problem(status);
    }
    bed.get("/api/v1/paths/99/windows").await.problem(StatusCode::NOT_FOUND);
    bed.get("/api/v1/paths/first/windows").await.problem(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_collectors_own_figures_are_told() {
    let bed = Bed::full();
    let figures = bed.items("/api/v1/status").await;
    let value = |name: &str| {
        let found = figures.iter().find(|figure| figure["name"] == name);
        found.unwrap_or_else(|| panic!("{name}"))["value"].as_i64()
    };
    assert_eq!(value("store_windows_total"), Some(2 * 24 * 60));
    assert_eq!(value("store_slots"), Some(0), "the journal holds them yet");
    assert_eq!(value("judge_lag_s"), Some(7));
    // From Tuesday 23:59 to Friday 17:00.
    assert_eq!(value("newest_window_age_s"), Some(65 * 3_600 + 60));
    assert_eq!(bed.get("/healthz").await.json()["status"], "ok");
}
