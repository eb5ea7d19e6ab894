use serde_json::json;

use super::*;

fn item(value: Value) -> Item {
    serde_json::from_value(value).unwrap()
}

fn building(name: &str, standing: &str, age_s: Option<i64>) -> Item {
    item(json!({
        "name": name, "standing": standing, "data_age_s": age_s, "bad_days": 2, "observed_days": 5,
        "coverage_ratio": 0.5, "worst_hour_bad_ratio": 0.412, "sentence": null,
        "unknown_because": null,
    }))
}

#[test]
fn a_building_is_as_it_stands_and_never_ok_where_data_are_old() {
    for (standing, age, expected) in [
        ("good", Some(60), State::Ok),
        ("bad-lately", Some(60), State::Warning),
        ("bad", Some(60), State::Critical),
        ("masked", Some(60), State::Critical),
        ("unknown", Some(60), State::Unknown),
        ("something new", Some(60), State::Unknown),
        ("good", Some(1_801), State::Unknown),
        ("bad", Some(1_801), State::Unknown),
        ("good", None, State::Unknown),
    ] {
        let told = of_building(&building("Ulm", standing, age), 1_800);
        assert_eq!(told.state, expected, "{standing} {age:?}");
    }
}

#[test]
fn the_line_is_as_plugins_write_it() {
    let mut ulm = building("Ulm|x=1\n", "bad-lately", Some(42));
    assert_eq!(
        line(&of_building(&ulm, 1_800)),
        "BUSYHOUR WARNING - Ulm/x=1\u{fffd}: bad-lately, 2 of its last 5 observed business days \
         were bad | bad_windows=41.20%;;;0;100 bad_days=2;;;0;5 coverage=50%;;;0;100 data_age=42s;;;0"
    );
    let sentence = "Ulm|x=1\n: words go missing, since Monday. In the worst hour of it 5 of 6.";
    ulm.insert("sentence".to_owned(), sentence.into());
    let told = line(&of_building(&ulm, 1_800));
    assert!(told.contains(" - Ulm/x=1\u{fffd}: words go missing, since Monday | bad"), "{told}");
    ulm.insert("worst_hour_bad_ratio".to_owned(), Value::Null);
    assert!(line(&of_building(&ulm, 1_800)).contains("| bad_windows=U bad_days=2;"));
}

#[test]
fn a_fleet_is_as_bad_as_its_worst_building_and_an_empty_one_is_unknown() {
    let state = |buildings: &[(&str, Option<i64>)]| {
        let rows: Vec<Item> =
            buildings.iter().map(|(standing, age)| building("Ulm", standing, *age)).collect();
        fleet(&rows, None, 1_800).state
    };
    assert_eq!(state(&[]), State::Unknown);
    assert_eq!(state(&[("good", Some(1))]), State::Ok);
    assert_eq!(state(&[("good", Some(1)), ("good", Some(9_999))]), State::Unknown);
    assert_eq!(state(&[("good", Some(1)), ("unknown", None)]), State::Unknown);
    assert_eq!(state(&[("good", Some(1)), ("good", None)]), State::Unknown, "nobody measures it");
    assert_eq!(state(&[("unknown", None), ("bad-lately", Some(1))]), State::Warning);
    assert_eq!(state(&[("bad-lately", Some(1)), ("masked", Some(1))]), State::Critical);
    let rows = [building("Ulm", "good", Some(1)), building("Bonn", "bad", Some(1))];
    assert_eq!(
        line(&fleet(&rows, Some("Bonn"), 1_800)),
        "BUSYHOUR CRITICAL - 1 bad, 1 good of 2 buildings; look first at Bonn | masked=0;;;0;2 \
         bad=1;;;0;2 bad_lately=0;;;0;2 unknown=0;;;0;2 stale=0;;;0;2 good=1;;;0;2"
    );
}

#[test]
fn a_path_is_as_its_incidents_and_its_last_observed_day() {
    let path = |age: i64, incidents: Value, verdict: Option<&str>| {
        let day = verdict.map(|verdict| {
            json!({"verdict": verdict, "date_local": "2026-03-02", "coverage_ratio": 1.0})
        });
        let item = item(json!({
            "path_id": 12, "agent": "ulm-1", "link": "wired", "target": "edge:862",
            "data_age_s": age, "incidents": incidents, "last_observed_day": day,
            "observed_lately": true,
        }));
        of_path(&item, 1_800).state
    };
    for lately in [json!(false), Value::Null] {
        let day = json!({"verdict": "good", "date_local": "2026-03-02"});
        let silent =
            item(json!({"data_age_s": 1, "last_observed_day": day, "observed_lately": lately}));
        assert_eq!(of_path(&silent, 1_800).state, State::Unknown, "days since then are unknown");
    }
    let incident = |state: &str, alerts: bool| json!([{"number": 3, "state": state, "alerts": alerts, "sentence": "Bad."}]);
    let none = || json!([]);
    assert_eq!(path(1, none(), Some("good")), State::Ok);
    assert_eq!(path(1, none(), Some("peak-bad")), State::Warning);
    assert_eq!(path(1, none(), None), State::Unknown);
    assert_eq!(path(9_999, none(), Some("good")), State::Unknown);
    assert_eq!(path(1, incident("open", true), Some("good")), State::Critical);
    assert_eq!(path(1, incident("recovering", true), Some("good")), State::Warning);
    assert_eq!(path(1, incident("closed", true), Some("good")), State::Ok);
    assert_eq!(path(1, incident("open", false), Some("good")), State::Ok, "nobody is told of it");
}
