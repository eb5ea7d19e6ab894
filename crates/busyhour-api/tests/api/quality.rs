//! Hours, synthetic streams and call estimates of a path.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::Bed;

async fn path_address(bed: &Bed) -> String {
    let paths = bed.items("/api/v1/paths").await;
    format!("/api/v1/paths/{}", paths[0]["id"])
}

/// Monday, 09:00 to 10:00 in UTC: 10:00 to 11:00 in Berlin, when every second window is lossy.
const BAD_HOUR: &str = "from=2026-03-02T09:00:00Z&until=2026-03-02T10:00:00Z";

#[tokio::test]
async fn order_is_judged_by_the_hour_in_the_buildings_time() {
    let bed = Bed::full();
    let address = path_address(&bed).await;
    let hours = bed.items(&format!("{address}/hours?since=2026-02-28T00:00:00Z")).await;
    assert_eq!(hours.len(), 48);
    assert_eq!(hours[0]["started_utc"], "2026-03-01T23:00:00Z");
    assert_eq!(
        (&hours[0]["date_local"], &hours[0]["hour_local"]),
        (&json!("2026-03-02"), &json!(0))
    );
    for (n, hour) in hours.iter().enumerate() {
        let of_day = n % 24;
        assert_eq!(hour["hour_local"], of_day);
        assert_eq!(hour["business"], (8..18).contains(&of_day));
        let (reordered, verdict) = match of_day {
            20 => (60, "fail"),
            21 => (20, "unknown"),
            _ => (0, "pass"),
        };
        assert_eq!((&hour["reordered"], &hour["reorder"]), (&json!(reordered), &json!(verdict)));
        let bad = if matches!(of_day, 10 | 11) { 30 } else { 0 };
        assert_eq!((&hour["valid"], &hour["bad"]), (&json!(60), &json!(bad)));
        assert_eq!(hour["simulated"], true);
    }
    assert_eq!(hours[20]["received"], 45_000);
    assert_eq!(hours[20]["reorder_ratio"], json!(60.0 / 45_000.0));
    assert_eq!(hours[20]["reorder_limit_ratio"], 0.0005);
    assert_eq!(hours[20]["reorder_fail_level"], 0.01);
    assert_eq!(hours[20]["reorder_pass_level"], 0.05);
    let too_long = format!("{address}/hours?from=2026-01-01T00:00:00Z");
    assert!(bed.get(&too_long).await.problem(StatusCode::BAD_REQUEST).contains("31 days"));
}

#[tokio::test]
async fn five_minutes_are_a_synthetic_stream_in_each_direction() {
    let bed = Bed::full();
    let address = path_address(&bed).await;
    let streams = bed.items(&format!("{address}/streams?{BAD_HOUR}")).await;
    assert_eq!(streams.len(), 24);
    for (n, stream) in streams.iter().enumerate() {
        assert_eq!(stream["synthetic"], true, "never called anything else");
        assert_eq!(stream["simulated"], true);
        assert_eq!(
            (&stream["classifier"], &stream["duration_s"]),
            (&json!("cqd-current"), &json!(300))
        );
        assert_eq!(stream["direction"], if n % 2 == 0 { "up" } else { "down" });
        assert_eq!(stream["windows"], 5);
    }
    // Three windows of five lose 30 packets: far from a tenth.
    assert_eq!((&streams[0]["packets"], &streams[0]["lost"]), (&json!(3_750), &json!(90)));
    assert_eq!(streams[0]["loss_ratio"], json!(90.0 / 3_750.0));
    assert_eq!(streams[0]["classification"], "good");
    assert_eq!(
        (&streams[0]["poor_due_to"], &streams[0]["jitter_us_mean"]),
        (&json!([]), &json!(1_500.0))
    );
    // The agent had no jitter down: what is not known is never good.
    assert_eq!(streams[1]["classification"], "unclassified");
    assert_eq!(streams[1]["not_evaluated"], json!(["jitter: not measured"]));
    let old = bed.items(&format!("{address}/streams?{BAD_HOUR}&classifier=cqd-2018")).await;
    let not_evaluated = old[0]["not_evaluated"].as_array().expect("a list");
    assert_eq!(not_evaluated.len(), 2);
    assert!(not_evaluated[1].as_str().expect("words").starts_with("concealed-samples-ratio: "));
}

#[tokio::test]
async fn only_whole_five_minutes_are_streams() {
    let bed = Bed::full();
    let address = path_address(&bed).await;
    let part = "from=2026-03-02T09:01:00Z&until=2026-03-02T09:14:59Z";
    let streams = bed.items(&format!("{address}/streams?{part}")).await;
    let began: Vec<&Value> = streams.iter().map(|stream| &stream["started_utc"]).collect();
    assert_eq!(began, ["2026-03-02T09:05:00Z"; 2]);
    let unknown = format!("{address}/streams?classifier=cqd-1999");
    assert!(bed.get(&unknown).await.problem(StatusCode::BAD_REQUEST).contains("cqd-2018"));
    bed.get("/api/v1/paths/99/streams").await.problem(StatusCode::NOT_FOUND);
    let week = format!("{address}/streams?from=2026-02-20T00:00:00Z");
    assert!(bed.get(&week).await.problem(StatusCode::BAD_REQUEST).contains("7 days"));
}

#[tokio::test]
async fn a_week_of_streams_is_each_five_minutes_once() {
    let bed = Bed::full();
    let address = path_address(&bed).await;
    let streams = bed
        .items(&format!("{address}/streams?from=2026-03-01T23:00:00Z&until=2026-03-03T23:00:00Z"))
        .await;
    assert_eq!(streams.len(), 2 * 48 * 12);
    let mut began: Vec<&str> =
        streams.iter().map(|stream| stream["started_utc"].as_str().expect("a moment")).collect();
    assert!(began.is_sorted());
    began.dedup();
    assert_eq!(began.len(), 48 * 12);
}

#[tokio::test]
async fn an_estimate_says_what_it_is_and_keeps_its_parts() {
    let bed = Bed::full();
    let address = path_address(&bed).await;
    let estimates = bed.items(&format!("{address}/estimates?{BAD_HOUR}")).await;
    assert_eq!(estimates.len(), 120);
    let (up, down) = (&estimates[0], &estimates[1]);
    assert_eq!(up["label"], "planning estimate (MOS-CQE)");
    assert_eq!((&up["model"], &up["scale"]), (&json!("ITU-T G.107"), &json!("narrowband")));
    assert_eq!(up["codec_label"], "G.711 with packet loss concealment (reference)");
    assert_eq!((&up["direction"], &up["worse"]), (&json!("up"), &json!(true)));
    assert_eq!((&down["direction"], &down["worse"]), (&json!("down"), &json!(false)));
    assert_eq!(
        (&up["lost"], &up["packets"], &up["loss_ratio"]),
        (&json!(30), &json!(750), &json!(0.04))
    );
    assert_eq!((&down["lost"], &down["packets"]), (&json!(0), &json!(720)));
    assert_eq!((&up["delay_network_us"], &up["delay_basis"]), (&json!(10_000), &json!("rtt/2")));
    assert_eq!(up["delay_us"], 10_000 + 40_000 + 20_000 + 250);
    let term = |name: &str| up[name].as_f64().expect("a term");
    let taken = ["term_is", "term_idte", "term_idle", "term_idd", "term_ie_eff"].map(term);
    assert!((term("term_ro") - taken.iter().sum::<f64>() - term("r")).abs() < 1e-9);
    assert!(term("mos") < down["mos"].as_f64().expect("a score"));
    assert_eq!(up["flags"], json!(["burst-ratio-assumed", "jitter-buffer-assumed"]));

    let wide =
        bed.items(&format!("{address}/estimates?{BAD_HOUR}&codec=amr-wb-23.05&limit=1")).await;
    assert_eq!((wide.len(), &wide[0]["scale"]), (2, &json!("wideband")));
    assert_eq!(wide[0]["term_ro"], 129.0);
    let satin = format!("{address}/estimates?codec=satin");
    assert!(bed.get(&satin).await.problem(StatusCode::BAD_REQUEST).contains("g711-plc"));
}

#[tokio::test]
async fn a_window_has_its_estimate_and_its_one_way_verdict_beside_it() {
    let bed = Bed::full();
    let address = path_address(&bed).await;
    let windows = bed.items(&format!("{address}/windows?{BAD_HOUR}")).await;
    let estimates = bed.items(&format!("{address}/estimates?{BAD_HOUR}")).await;
    assert_eq!(windows[0]["estimate_mos"], estimates[0]["mos"]);
    assert_eq!(windows[0]["estimate_r"], estimates[0]["r"]);
    assert_eq!(windows[0]["estimate_direction"], "up");
    assert_eq!(
        windows[0]["estimate_label"],
        "planning estimate (MOS-CQE), ITU-T G.107, G.711 with packet loss concealment (reference)"
    );
    assert_eq!(windows[0]["one_way"], "unknown", "no clock was synchronised");
}

#[tokio::test]
async fn a_path_of_few_packets_gives_no_verdict_on_loss_jitter_order_or_calls() {
    let bed = Bed::sparse();
    let address = path_address(&bed).await;
    let window = &bed.items(&format!("{address}/windows?{BAD_HOUR}")).await[0];
    assert_eq!(window["lost_up"], 30);
    for verdict in ["loss", "burst", "jitter"] {
        assert_eq!(window[verdict], "unknown", "{verdict}");
    }
    assert_eq!(window["delay"], "pass");
    assert_eq!((&window["bad"], &window["estimate_mos"]), (&json!(false), &Value::Null));
    let hours = bed.items(&format!("{address}/hours?from=2026-03-01T23:00:00Z")).await;
    assert_eq!(hours.len(), 48);
    for hour in &hours {
        assert_eq!(hour["reorder"], "unknown");
        assert_eq!(hour["loss_ratio"], Value::Null);
        assert_eq!(hour["business"], Value::Null, "nobody told where the agent is");
    }
    assert_eq!(hours[0]["hour_local"], 23, "UTC then");
    assert_eq!(hours[20]["reordered"], 60);
    for stream in bed.items(&format!("{address}/streams?{BAD_HOUR}")).await {
        assert_eq!(stream["classification"], "unclassified");
    }
    assert!(bed.items(&format!("{address}/estimates?{BAD_HOUR}")).await.is_empty());
}
