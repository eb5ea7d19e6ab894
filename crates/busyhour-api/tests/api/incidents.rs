//! Incidents: what is told of them in short and in full, their picture and their page.

use std::time::Duration;

use axum::http::StatusCode;
use busyhour_model::{
    AgentId, FindingKind, Incident, IncidentPlace, IncidentState, PathId, TargetName, WorkingWeek,
};
use busyhour_store::{Act, Binding, JudgeWrite};
use jiff::civil::date;
use serde_json::{Value, json};

use crate::page::assert_safe;
use crate::support::{
    Bed, HOSTILE, MASKED, MONDAY, NOW, append_paths, incident, member, path_summary,
};

impl Bed {
    fn write(&self, incidents: Vec<Incident>) {
        let write = JudgeWrite { incidents, ..JudgeWrite::default() };
        self.control.write_judgement(&write, NOW).expect("write");
    }

    /// What the building suffers from besides, by number.
    fn besides(&self, number: u64, kind: FindingKind, state: IncidentState) -> Incident {
        let building = self.building(MASKED);
        let mut incident = incident(number, building, false);
        (incident.kind, incident.state) = (kind, state);
        incident.members = vec![member(self.control.as_ref(), 1, building)];
        if state == IncidentState::Suspected {
            (incident.opened, incident.opened_on) = (None, None);
        }
        if state == IncidentState::Closed {
            (incident.closed, incident.closed_on) = (Some(NOW), Some(date(2026, 3, 6)));
        }
        incident
    }

    async fn numbers(&self, query: &str) -> Vec<u64> {
        let items = self.items(&format!("/api/v1/incidents{query}")).await;
        let mut numbers: Vec<u64> =
            items.iter().filter_map(|item| item["number"].as_u64()).collect();
        numbers.sort_unstable();
        numbers
    }
}

#[tokio::test]
async fn incidents_are_told_in_short_with_flat_keys() {
    let bed = Bed::full();
    let incidents = bed.items("/api/v1/incidents").await;
    assert_eq!(incidents.len(), 2);
    let masked = incidents.iter().find(|incident| incident["building"] == MASKED);
    let masked = masked.expect("the incident");
    for (key, value) in [
        ("number", json!(1)),
        ("kind", json!("recurring-peak")),
        ("alerts", json!(true)),
        ("state", json!("open")),
        ("change", json!("opened")),
        ("changed_date", json!("2026-03-03")),
        ("place_kind", json!("building")),
        ("place", json!(MASKED)),
        ("link", Value::Null),
        ("segment", json!("customer-wan")),
        ("building_count", json!(1)),
        ("member_count", json!(1)),
        ("first_bad_date", json!("2026-03-02")),
        ("last_bad_date", json!("2026-03-03")),
        ("opened_date", json!("2026-03-03")),
        ("opened_utc", json!("2026-03-06T16:00:00Z")),
        ("closed_utc", Value::Null),
        ("hours_local", json!(["10:00-12:00"])),
        ("bad_days", json!(2)),
        ("observed_days", json!(2)),
        ("severity_ratio", json!(0.5)),
        ("severity_class", json!("critical")),
        ("confidence_ratio", json!(0.95)),
        ("cause", json!("bandwidth")),
        ("cause_confidence_ratio", json!(0.7)),
        ("mechanism", json!("queue")),
        ("worst_hour_local", json!("10:00–11:00")),
        ("masking_factor", json!(8.0)),
        ("masked", json!(true)),
        ("simulated", json!(true)),
    ] {
        assert_eq!(masked[key], value, "{key}");
    }
    assert!(masked["sentence"].as_str().expect("a sentence").contains("break up & crackle"));
    let flat = |value: &Value| match value {
        Value::Object(_) => false,
        Value::Array(items) => items.iter().all(Value::is_string),
        _ => true,
    };
    assert!(masked.as_object().expect("an object").values().all(flat), "{masked}");
}

#[tokio::test]
async fn hours_that_lie_close_together_are_told_as_one() {
    let bed = Bed::full();
    let mut broken = bed.besides(1, FindingKind::RecurringPeak, IncidentState::Open);
    broken.hours = vec![(600, 630), (645, 675), (900, 960)];
    bed.write(vec![broken]);
    let one = &bed.items("/api/v1/incidents/1").await[0];
    assert_eq!(one["hours_local"], json!(["10:00-11:15", "15:00-16:00"]));
    let page = bed.get("/incidents/1").await.body;
    assert!(page.contains("<td>10:00–11:15, 15:00–16:00 (Europe/Berlin)</td>"));
    assert!(page.contains("The finding keeps to 10:00–11:15, 15:00–16:00."));
    let building = &bed.items(&format!("/api/v1/buildings/{}", bed.building(MASKED))).await[0];
    assert_eq!(building["bad_hours_local"], "10:00–11:15, 15:00–16:00");
}

#[tokio::test]
async fn closed_ones_and_kinds_that_do_not_alert_are_told_when_asked_for() {
    use FindingKind::{EarlyWarning, RecurringPeak};
    use IncidentState::{Closed, Open, Suspected};
    let bed = Bed::full();
    bed.write(vec![
        bed.besides(3, EarlyWarning, Open),
        bed.besides(4, RecurringPeak, Suspected),
        bed.besides(5, RecurringPeak, Closed),
        bed.besides(6, EarlyWarning, Closed),
    ]);
    for (query, numbers) in [
        ("", &[1, 2, 4][..]),
        ("?kind=alerting", &[1, 2, 4]),
        ("?kind=all", &[1, 2, 3, 4]),
        ("?closed=true", &[1, 2, 4, 5]),
        ("?closed=true&kind=all", &[1, 2, 3, 4, 5, 6]),
    ] {
        assert_eq!(bed.numbers(query).await, numbers, "{query}");
    }
    bed.get("/api/v1/incidents?kind=some").await.problem(StatusCode::BAD_REQUEST);
    let suspected = bed.items("/api/v1/incidents/4").await;
    assert_eq!(suspected[0]["opened_utc"], Value::Null);
}

#[tokio::test]
async fn one_incident_is_told_with_all_it_rests_on() {
    let bed = Bed::full();
    let by_number = bed.items("/api/v1/incidents/1").await;
    let id = by_number[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(bed.items(&format!("/api/v1/incidents/{id}")).await, by_number);
    let one = &by_number[0];
    assert_eq!(one["explanation"], "Incident 1: 30 of 60 windows were bad.");
    assert_eq!(one["bad_dates"], json!(["2026-03-02", "2026-03-03"]));
    assert_eq!(one["observed_dates"], json!(["2026-03-02", "2026-03-03"]));
    assert_eq!(one["buildings"], json!([MASKED]));
    let evidence = json!([
        { "cause": "bandwidth", "weight": 2.0, "text": "delay rises before loss" },
        { "cause": "wifi", "weight": -1.5, "text": "wired suffers too" },
    ]);
    assert_eq!(one["evidence"], evidence);
    assert_eq!((&one["siblings"]["within"], &one["siblings"]["suffering"]), (&json!(4), &json!(3)));
    let member = &one["members"][0];
    assert_eq!((&member["path_id"], &member["agent"]), (&json!(1), &json!("berlin-1")));
    assert_eq!((&member["building"], &member["subnet"]), (&json!(MASKED), &json!("10.1.1.0/24")));
    assert_eq!((&member["link"], &member["target"]), (&json!("wired"), &json!("reflector:862")));

    for (address, status) in [
        ("/api/v1/incidents/99", StatusCode::NOT_FOUND),
        ("/api/v1/incidents/00000000-0000-0000-0000-000000000063", StatusCode::NOT_FOUND),
        ("/api/v1/incidents/first", StatusCode::BAD_REQUEST),
        ("/api/v1/incidents/99/picture.svg", StatusCode::NOT_FOUND),
    ] {
        bed.get(address).await.problem(status);
    }
    assert_eq!(bed.get("/incidents/99").await.status, StatusCode::NOT_FOUND);
    assert_eq!(bed.get("/incidents/first").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_no_longer_known_is_told_by_its_identity_or_not_at_all() {
    let bed = Bed::full();
    let mut gone = bed.besides(3, FindingKind::RecurringPeak, IncidentState::Closed);
    gone.building = busyhour_model::BuildingId::from_u128(77);
    gone.place = IncidentPlace::Building(gone.building);
    gone.members[0].building = gone.building;
    gone.members[0].path = PathId(77);
    bed.write(vec![gone]);
    let one = &bed.items("/api/v1/incidents/3").await[0];
    assert_eq!((&one["place"], &one["building"]), (&Value::Null, &Value::Null));
    assert_eq!(one["buildings"], json!(["00000000-0000-0000-0000-00000000004d"]));
    assert_eq!(one["members"][0]["agent"], Value::Null);
    let page = bed.get("/incidents/3").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_safe(&page.body);
    assert!(page.body.contains("a building that is no longer in force: recurring peak"));
    assert!(page.body.contains("There is no picture: its building is no longer"));
    let picture = bed.get("/api/v1/incidents/3/picture.svg").await;
    assert!(picture.problem(StatusCode::NOT_FOUND).contains("no longer in the building file"));
}

#[tokio::test]
async fn the_picture_shows_what_is_in_the_store_and_what_is_not() {
    let bed = Bed::full();
    let mut long = bed.besides(3, FindingKind::RecurringPeak, IncidentState::Open);
    // Wednesday was not observed, Thursday was good.
    long.observed_days = [2, 3, 5].map(|day| date(2026, 3, day)).to_vec();
    bed.write(vec![long]);
    let picture = bed.get("/api/v1/incidents/3/picture.svg").await;
    assert_eq!(picture.status, StatusCode::OK, "{}", picture.body);
    assert_eq!(picture.header("content-type"), "image/svg+xml");
    let policy = picture.header("content-security-policy");
    assert!(policy.contains("script-src 'none'"), "{policy}");
    let has = |text: &str| assert!(picture.body.contains(text), "{text}: {}", picture.body);
    has("<?xml version=");
    has("From 2026-03-02 to 2026-03-05");
    has("local time of Europe/Berlin");
    has("The finding keeps to 10:00–12:00.");
    has("Bad on 2 of 3 observed working days; not observed on 1.");
    // A window a minute, every second one bad from 10:00 to 12:00 in Berlin.
    has("Mon 2 Mar 10:00–12:00, each hour: 53, 47, 53, 47 % bad, n=60");
    has("Mon 2 Mar 00:00–10:00, each hour: 0 % bad, n=60");
    has("Mon 2 Mar: bad at a busy hour; worst busy hour 10:00–11:00: 50 % bad, n=60; whole day: \
         4.2 % bad, n=1440; daily average 0.30 % (loss, limit 1.00 %) passes");
    has("Wed 4 Mar 00:00–24:00, each hour: no data");
    has("Wed 4 Mar: unknown; no busy hour was observed");
    has("Thu 5 Mar: good; no busy hour was observed");
    has("busy hours, as configured");
    assert!(!picture.body.contains("Sun 1 Mar"), "nobody works on Sundays");
}

#[tokio::test]
async fn the_picture_frames_the_hours_that_were_in_force_on_each_day() {
    let bed = Bed::full();
    let address = format!("/buildings/{}", bed.building(MASKED));
    let frame = |page: &str| -> String {
        let (before, _) = page.split_once("class=\"frame\"").expect("a frame");
        before.rsplit_once("<rect").expect("a rectangle").1.to_owned()
    };
    let configured = frame(&bed.get(&address).await.body);
    let week = WorkingWeek {
        building: bed.building(MASKED),
        looked_on: date(2026, 3, 3),
        hours: std::array::from_fn(|_| vec![(540, 660)]),
        working: [true, true, true, true, true, false, false],
        typical: [None; 7],
        learned: true,
        source: busyhour_model::LoadSource::Agents,
        machines: 9,
        pending: None,
    };
    let write = JudgeWrite { weeks: vec![week], ..JudgeWrite::default() };
    bed.control.write_judgement(&write, NOW).expect("write");
    let picture = bed.get("/api/v1/incidents/1/picture.svg").await.body;
    assert!(picture.contains("busy hours, learned from load"), "on Tuesday: {picture}");
    assert!(picture.contains("busy hours, as configured"), "on Monday: {picture}");
    let page = bed.get("/incidents/1").await.body;
    assert!(page.contains("<td>08:00–18:00</td>") && page.contains("<td>09:00–11:00</td>"));
    let page = bed.get(&address).await.body;
    assert!(page.contains("busy hours, learned from load: Mo-Su 09:00-11:00"), "{page}");
    assert_ne!(frame(&page), configured, "the map frames what is judged");
}

#[tokio::test]
async fn the_bars_are_those_of_the_path_that_was_worst_on_the_day() {
    let bed = Bed::full();
    let building = bed.building(MASKED);
    let mut worse = path_summary(2, building, date(2026, 3, 3));
    worse.worst_hour.as_mut().expect("an hour").bad = 45;
    let mut foreign = path_summary(3, building, date(2026, 3, 2));
    foreign.worst_hour.as_mut().expect("an hour").bad = 60;
    let mut incident = bed.besides(1, FindingKind::RecurringPeak, IncidentState::Open);
    incident.members.push(member(bed.control.as_ref(), 2, building));
    let write = JudgeWrite {
        days: vec![worse, foreign],
        incidents: vec![incident],
        ..JudgeWrite::default()
    };
    bed.control.write_judgement(&write, NOW).expect("write");
    let picture = bed.get("/api/v1/incidents/1/picture.svg").await.body;
    let has = |text: &str| assert!(picture.contains(text), "{text}: {picture}");
    has("Tue 3 Mar: bad at a busy hour; worst busy hour 10:00–11:00: 75 % bad, n=60");
    has("Mon 2 Mar: bad at a busy hour; worst busy hour 10:00–11:00: 50 % bad, n=60");
}

#[tokio::test]
async fn a_picture_of_very_many_paths_says_what_it_leaves_out() {
    let bed = Bed::full();
    append_paths(bed.telemetry.as_ref(), AgentId::from_u128(1), 69);
    let building = bed.building(MASKED);
    let mut incident = bed.besides(1, FindingKind::RecurringPeak, IncidentState::Open);
    incident.members = (1..=70).map(|path| member(bed.control.as_ref(), path, building)).collect();
    bed.write(vec![incident]);
    for address in ["/incidents/1".to_owned(), format!("/buildings/{building}")] {
        let page = bed.get(&address).await.body;
        assert_safe(&page);
        assert!(page.contains("out 6 paths: there are too many") || page.contains("without 6 of"));
        // The path that is worst is among those that are drawn.
        assert!(page.contains(
            "Mon 2 Mar: bad at a busy hour; worst busy hour 10:00–11:00: 50 % bad, n=60; whole \
             day: 4.2 % bad, n=1440"
        ));
    }
    let page = bed.get("/incidents/1").await.body;
    assert_eq!(
        bed.items("/api/v1/incidents/1").await[0]["members"].as_array().map(Vec::len),
        Some(70)
    );
    assert!(page.contains("The paths that suffer (70)"));
}

#[tokio::test]
async fn paths_are_missed_from_their_first_window_on() {
    let bed = Bed::full();
    append_paths(bed.telemetry.as_ref(), AgentId::from_u128(1), 6);
    let building = bed.building(MASKED);
    let mut incident = bed.besides(1, FindingKind::RecurringPeak, IncidentState::Open);
    incident.members = (1..=7).map(|path| member(bed.control.as_ref(), path, building)).collect();
    bed.write(vec![incident]);
    let picture = bed.get("/api/v1/incidents/1/picture.svg").await.body;
    let has = |text: &str| assert!(picture.contains(text), "{text}: {picture}");
    has("Mon 2 Mar 00:00–09:00, each hour: 0 % bad, n=60");
    // Six more have one window then and none after it.
    has("Mon 2 Mar 09:00: 0, –, –, – % bad, n=66");
    has("Mon 2 Mar 10:00–24:00, each hour: too little data, n=60");
}

#[tokio::test]
async fn what_an_agent_measures_elsewhere_is_not_in_the_picture() {
    let bed = Bed::full();
    let tokyo = Binding::Subnet { prefix: "10.2.1.0/24".parse().expect("a prefix"), egress: None };
    let tuesday = MONDAY.plus(Duration::from_secs(86_400));
    let moved = bed.control.bind_agent(AgentId::from_u128(1), tokyo, &Act::by_operator(tuesday));
    moved.expect("bind");
    let picture = bed.get("/api/v1/incidents/1/picture.svg").await.body;
    let has = |text: &str| assert!(picture.contains(text), "{text}: {picture}");
    has("Mon 2 Mar 00:00–10:00, each hour: 0 % bad, n=60");
    has("Tue 3 Mar 00:00–24:00, each hour: no data");
}

#[tokio::test]
async fn findings_within_the_limits_have_no_picture_and_say_why() {
    let bed = Bed::full();
    for (number, kind) in
        (3..).zip([FindingKind::EarlyWarning, FindingKind::LevelShift, FindingKind::Drift])
    {
        bed.write(vec![bed.besides(number, kind, IncidentState::Open)]);
        let picture = bed.get(&format!("/api/v1/incidents/{number}/picture.svg")).await;
        assert!(picture.problem(StatusCode::NOT_FOUND).contains("within all limits"));
        let page = bed.get(&format!("/incidents/{number}")).await.body;
        assert_safe(&page);
        assert!(page.contains("There is no picture: a finding of this kind is within all limits"));
        assert!(page.contains("nobody is told of this kind"));
    }
}

#[tokio::test]
async fn the_page_of_an_incident_shows_its_sentence_its_picture_and_why() {
    let bed = Bed::full();
    let page = bed.get("/incidents/1").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert_safe(&page.body);
    let at = |text: &str| page.body.find(text).unwrap_or_else(|| panic!("{text}: {}", page.body));
    let sentence = at("Calls in building 1 break up &#38; crackle from 10:00 to 12:00.");
    let picture = at("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"bh bh-finding\"");
    let paragraph = at("Incident 1: 30 of 60 windows were bad.");
    assert!(sentence < picture && picture < paragraph);
    at("<h1>Berlin HQ: recurring peak <span class=\"tag\">simulated data</span></h1>");
    at("◆ hidden by the daily average");
    at("<td>open since 2026-03-03</td>");
    at("<td>building, sure (95 %)</td>");
    at("<td>customer wan</td>");
    at("<td>10:00–12:00 (Europe/Berlin)</td>");
    at("<td>2 of 2 observed working days, from 2026-03-02 to 2026-03-03</td>");
    at("<td>critical: 50 % of windows bad");
    at("<td>10:00–11:00 on 2026-03-03: 2.40 % loss</td>");
    at("<td>0.30 % loss, which passes; the worst hour is 8.0 times as much</td>");
    at("<td>bandwidth, likely (70 %)</td>");
    at("<th scope=\"row\">bandwidth</th><td>for</td><td>2.0</td><td>delay rises before loss</td>");
    at("<th scope=\"row\">wifi</th><td>against</td><td>1.5</td><td>wired suffers too</td>");
    at("3 of 4 paths in the place suffer; 0 of 1 to the building&#39;s own edge.");
    at(">berlin-1</a></th>");
    at("href=\"/api/v1/incidents/1/picture.svg\"");
    at(&format!("href=\"/buildings/{}\"", bed.building(MASKED)));
    // The picture as a table.
    at("<td>bad at a busy hour</td><td>08:00–18:00</td><td>10:00–11:00</td><td>50.0 % of 60</td>\
        <td>4.2 % of 1440</td><td>0.30 % loss, passes</td>");
}

#[tokio::test]
async fn a_building_shows_its_incidents_and_apart_from_them_what_else_was_noticed() {
    let bed = Bed::full();
    let address = format!("/buildings/{}", bed.building(MASKED));
    let page = bed.get(&address).await.body;
    assert!(!page.contains("Also noticed"));
    bed.write(vec![
        bed.besides(3, FindingKind::EarlyWarning, IncidentState::Open),
        bed.besides(4, FindingKind::RecurringPeak, IncidentState::Suspected),
        bed.besides(5, FindingKind::RecurringPeak, IncidentState::Closed),
        bed.besides(6, FindingKind::ConstantFault, IncidentState::Recovering),
    ]);
    let page = bed.get(&address).await.body;
    assert_safe(&page);
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    let incident = at("<a href=\"/incidents/1\">Berlin HQ: recurring peak</a>");
    let noticed = at("<h2 id=\"noticed\">Also noticed</h2>");
    assert!(incident < at("class=\"bh bh-finding\"") && at("bh-finding") < at("Why we think so"));
    at("<td>against</td>");
    assert!(incident < noticed);
    assert!(at("<a href=\"/incidents/6\">Berlin HQ: constant fault</a>") < noticed);
    assert!(noticed < at("<a href=\"/incidents/3\">Berlin HQ: early warning</a>"));
    assert!(noticed < at("<a href=\"/incidents/4\">Berlin HQ: recurring peak</a>"));
    at("suspected since 2026-03-02");
    assert!(!page.contains("/incidents/5"), "what is over is not shown");
    assert_eq!(page.matches("class=\"bh bh-finding\"").count(), 1, "one picture, of the worst");
}

#[tokio::test]
async fn an_incident_of_several_buildings_is_shown_with_each_and_once_on_the_overview() {
    let bed = Bed::full();
    let (berlin, tokyo) = (bed.building(MASKED), bed.building("Always Bad"));
    let mut upstream = bed.besides(1, FindingKind::RecurringPeak, IncidentState::Open);
    upstream.place = IncidentPlace::Upstream("region west".to_owned());
    upstream.members.push(member(bed.control.as_ref(), 2, tokyo));
    bed.write(vec![upstream]);
    let overview = bed.get("/").await.body;
    assert_safe(&overview);
    let line = "<a href=\"/incidents/1\">several buildings in region west</a>";
    assert_eq!(overview.matches(line).count(), 1);
    assert_eq!(overview.matches("class=\"incident\"").count(), 2);
    for building in [berlin, tokyo] {
        let page = bed.get(&format!("/buildings/{building}")).await.body;
        assert_safe(&page);
        assert!(
            page.contains("<a href=\"/incidents/1\">several buildings in region west: recurring")
        );
    }
    let one = &bed.items("/api/v1/incidents/1").await[0];
    assert_eq!((&one["place_kind"], &one["place"]), (&json!("upstream"), &json!("region west")));
    assert_eq!((&one["building_count"], &one["building"]), (&json!(2), &json!(MASKED)));
    let page = bed.get("/incidents/1").await.body;
    assert!(page.contains(&format!("href=\"/buildings/{tokyo}\">Always Bad</a>")));
}

#[tokio::test]
async fn hostile_texts_are_only_ever_text() {
    let bed = Bed::full();
    let hostile = || HOSTILE.to_owned();
    let building = bed.building(HOSTILE);
    let places = [
        IncidentPlace::Upstream(hostile()),
        IncidentPlace::Vpn(hostile()),
        IncidentPlace::Target(TargetName::new("x\"onload='y'<b>").expect("a target")),
        IncidentPlace::Building(building),
    ];
    for (number, place) in (3..).zip(places) {
        let mut incident = incident(number, building, true);
        incident.place = place;
        incident.members = vec![member(bed.control.as_ref(), 1, building)];
        (incident.sentence, incident.paragraph) = (hostile(), hostile());
        incident.evidence[0].text = hostile();
        bed.write(vec![incident]);
        for address in
            ["/".to_owned(), format!("/incidents/{number}"), format!("/buildings/{building}")]
        {
            let page = bed.get(&address).await;
            assert_eq!(page.status, StatusCode::OK, "{address}: {}", page.body);
            assert_safe(&page.body);
            assert!(page.body.contains("&#60;script&#62;"), "{address}");
        }
        let picture = bed.get(&format!("/api/v1/incidents/{number}/picture.svg")).await;
        assert_eq!(picture.status, StatusCode::OK);
        assert!(!picture.body.contains("<script") && !picture.body.contains("onload='"));
    }
}

#[tokio::test]
async fn what_was_noticed_besides_is_only_ever_text() {
    let bed = Bed::full();
    let mut noticed = bed.besides(3, FindingKind::EarlyWarning, IncidentState::Open);
    noticed.sentence = HOSTILE.to_owned();
    bed.write(vec![noticed]);
    let page = bed.get(&format!("/buildings/{}", bed.building(MASKED))).await.body;
    assert_safe(&page);
    assert!(page.contains("&#60;script&#62;"));
}

#[tokio::test]
async fn an_incident_at_the_end_of_the_calendar_is_only_an_empty_one() {
    let bed = Bed::full();
    for (number, date) in (3..).zip([jiff::civil::Date::MIN, jiff::civil::Date::MAX]) {
        let mut odd = bed.besides(number, FindingKind::RecurringPeak, IncidentState::Open);
        (odd.first_bad, odd.last_bad) = (date, date);
        (odd.bad_days, odd.observed_days) = (vec![date], Vec::new());
        (odd.noted, odd.hours) = (MONDAY, Vec::new());
        bed.write(vec![odd]);
        let page = bed.get(&format!("/incidents/{number}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        assert_safe(&page.body);
    }
}
