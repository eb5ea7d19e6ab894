//! What Prometheus scrapes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::http::StatusCode;
use busyhour_model::AgentId;
use busyhour_store::Sighting;

use crate::support::{Bed, MASKED, NOW, append_lately};

/// The samples of an answer: name with labels, and value.
fn samples(body: &str) -> BTreeMap<&str, f64> {
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    let sample = |line| {
        let (name, value) = str::rsplit_once(line, ' ').expect("a value");
        (name, value.parse().expect("a number"))
    };
    lines.map(sample).collect()
}

async fn scrape(bed: &Bed) -> String {
    let answer = bed.get("/metrics").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    answer.body
}

#[tokio::test]
async fn every_metric_has_a_prefix_a_type_and_a_sentence() {
    let body = scrape(&Bed::full()).await;
    let told = |kind: &str| -> BTreeSet<&str> {
        let lines = body.lines().filter_map(|line| line.strip_prefix(kind));
        lines.filter_map(|line| line.split(' ').next()).collect()
    };
    let (help, types) = (told("# HELP "), told("# TYPE "));
    assert_eq!(help, types);
    for name in samples(&body).keys() {
        let name = name.split('{').next().expect("a name");
        assert!(name.starts_with("busyhour_"), "{name}");
        assert!(types.contains(name), "{name} has no type");
        for unit in ["_us", "_ms", "_s", "_ppm"] {
            assert!(!name.ends_with(unit), "{name} is not in base units");
        }
    }
    let document = include_str!("../../../../docs/METRICS.md");
    for name in &types {
        let group = name.split('_').take(2).collect::<Vec<_>>().join("_");
        let told = [format!("`{name}`"), format!("`{group}_*`"), format!("`{group}_ins_*`")];
        assert!(
            told.iter().any(|told| document.contains(told)),
            "{name} is not in docs/METRICS.md"
        );
    }
    let counter = "# TYPE busyhour_store_windows_total counter";
    assert!(body.contains(counter), "{body}");
}

#[tokio::test]
async fn what_is_stale_is_absent_and_not_frozen() {
    let bed = Bed::full();
    assert!(!scrape(&bed).await.contains("busyhour_building_"), "the windows are days old");
    append_lately(bed.telemetry.as_ref(), AgentId::from_u128(2), NOW, 10, 4);
    let body = scrape(&bed).await;
    let found = samples(&body);
    let of = |name: &str| {
        found
            .get(format!("busyhour_building_{name}").as_str())
            .copied()
            .unwrap_or_else(|| panic!("{name}: {body}"))
    };
    assert_eq!(of("windows{building=\"Always Bad\",simulated=\"false\"}"), 10.0);
    assert_eq!(of("bad_windows{building=\"Always Bad\",simulated=\"false\"}"), 4.0);
    let by_loss =
        "bad_windows_by_limit{building=\"Always Bad\",limit=\"loss\",simulated=\"false\"}";
    assert_eq!(of(by_loss), 4.0);
    let by_delay =
        "bad_windows_by_limit{building=\"Always Bad\",limit=\"delay\",simulated=\"false\"}";
    assert_eq!(of(by_delay), 0.0);
    assert_eq!(of("open_incidents{building=\"Always Bad\",simulated=\"false\"}"), 1.0);
    let rtt =
        of("window_rtt_seconds{building=\"Always Bad\",percentile=\"50\",simulated=\"false\"}");
    assert!((0.0186..=0.0215).contains(&rtt), "{rtt}");
    assert!(!body.contains(&format!("building=\"{MASKED}\"")), "nothing came of it lately");
    bed.wait(Duration::from_secs(45 * 60));
    assert!(!scrape(&bed).await.contains("busyhour_building_windows{"), "three quarters later");
}

#[tokio::test]
async fn what_is_simulated_says_so() {
    let bed = Bed::full();
    append_lately(bed.telemetry.as_ref(), AgentId::from_u128(1), NOW, 10, 0);
    let body = scrape(&bed).await;
    let name = format!("busyhour_building_windows{{building=\"{MASKED}\",simulated=\"true\"}}");
    assert_eq!(samples(&body).get(name.as_str()), Some(&10.0), "{body}");
    assert!(!body.contains(&format!("{{building=\"{MASKED}\",simulated=\"false\"")));
}

#[tokio::test]
async fn agents_and_incidents_are_counted_by_what_is_known_of_them() {
    let bed = Bed::full();
    let sighting = Sighting {
        at: NOW,
        version: "0.1.0\"}\nforged 1".to_owned(),
        os: "linux".to_owned(),
        local_prefix: None,
        peer: None,
    };
    bed.control.saw_agent(AgentId::from_u128(1), &sighting).expect("note");
    let body = scrape(&bed).await;
    let found = samples(&body);
    assert_eq!(found["busyhour_agents{heard=\"lately\"}"], 1.0);
    assert_eq!(found["busyhour_agents{heard=\"never\"}"], 1.0);
    assert!(!found.contains_key("forged"), "{body}");
    let masked = "busyhour_incidents{kind=\"recurring-peak\",simulated=\"true\",state=\"open\"}";
    let real = "busyhour_incidents{kind=\"recurring-peak\",simulated=\"false\",state=\"open\"}";
    let told = found.get(masked).copied().unwrap_or(0.0) + found[real];
    assert_eq!(told, 2.0, "{body}");
    bed.wait(Duration::from_secs(3_600));
    assert_eq!(samples(&scrape(&bed).await)["busyhour_agents{heard=\"silent\"}"], 1.0);
}
