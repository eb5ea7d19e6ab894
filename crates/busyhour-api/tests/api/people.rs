//! What people do with incidents: through the API, and by the forms of the page.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use busyhour_model::{Incident, IncidentState};
use busyhour_store::JudgeWrite;
use jiff::ToSpan as _;
use jiff::civil::date;
use serde_json::{Value, json};

use crate::page::assert_safe;
use crate::sign_in::{foreign_tokens, form, get_with, set_up};
use crate::support::{Answer, Bed, CODE, HOSTILE, MASKED, NOW, incident, member, path_summary};

/// Does something, which has to be taken.
async fn done(bed: &Bed, address: &str, body: &Value) -> Value {
    let answer = bed.post(address, body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{address}: {}", answer.body);
    answer.json()
}

async fn one(bed: &Bed, number: u64) -> Value {
    bed.items(&format!("/api/v1/incidents/{number}")).await.remove(0)
}

async fn numbers(bed: &Bed, query: &str) -> Vec<u64> {
    let items = bed.items(&format!("/api/v1/incidents{query}")).await;
    let mut numbers: Vec<u64> = items.iter().filter_map(|item| item["number"].as_u64()).collect();
    numbers.sort_unstable();
    numbers
}

fn write(bed: &Bed, incidents: Vec<Incident>) {
    let write = JudgeWrite { incidents, ..JudgeWrite::default() };
    bed.control.write_judgement(&write, NOW).expect("written");
}

#[tokio::test]
async fn acts_are_told_in_order_and_say_how_an_incident_stands() {
    let bed = Bed::full();
    let at = "/api/v1/incidents/1";
    done(&bed, &format!("{at}/notes"), &json!({ "text": HOSTILE })).await;
    let seen = json!({ "reason": "ticket 7 with the provider" });
    done(&bed, &format!("{at}/acknowledge"), &seen).await;
    let owner = json!({ "name": "WAN team", "contact": "wan@example.com" });
    done(&bed, &format!("{at}/owner"), &owner).await;
    let merged = json!({ "into": "2", "reason": "one line" });
    let act = done(&bed, &format!("{at}/merge"), &merged).await;
    assert_eq!(
        (&act["act"], &act["into"], &act["opening"]),
        (&json!("merge"), &json!(2), &json!(1))
    );
    let acts = bed.items(&format!("{at}/acts")).await;
    let told: Vec<_> = acts.iter().filter_map(|act| act["act"].as_str()).collect();
    assert_eq!(told, ["note", "acknowledge", "own", "merge"]);
    assert_eq!(acts[0]["text"], HOSTILE);
    assert_eq!(acts[0]["by"], "local operator");
    assert_eq!(acts[2]["owner_contact"], "wan@example.com");
    let incident = one(&bed, 1).await;
    for (key, value) in [
        ("acknowledged_by", json!("local operator")),
        ("acknowledged_reason", json!("ticket 7 with the provider")),
        ("acknowledged_utc", json!("2026-03-06T16:00:00Z")),
        ("owner", json!("WAN team")),
        ("owner_contact", json!("wan@example.com")),
        ("owner_by_hand", json!(true)),
        ("part_of", json!(2)),
        ("quiet", Value::Null),
        ("parts", json!([])),
    ] {
        assert_eq!(incident[key], value, "{key}");
    }
    assert_eq!(one(&bed, 2).await["parts"], json!([1]));
    assert_eq!(numbers(&bed, "").await, [2], "people see one");
    assert_eq!(numbers(&bed, "?parts=true").await, [1, 2]);

    for address in ["unacknowledge", "split"] {
        done(&bed, &format!("{at}/{address}"), &json!({})).await;
    }
    assert_eq!(bed.delete(&format!("{at}/owner")).await.status, StatusCode::CREATED);
    let incident = one(&bed, 1).await;
    for key in ["acknowledged_by", "owner", "part_of"] {
        assert_eq!(incident[key], Value::Null, "{key}");
    }
    assert_eq!(bed.items(&format!("{at}/acts")).await.len(), 7);
    let audited = bed.items("/api/v1/audit").await;
    let of_it = audited.iter().filter(|entry| entry["subject"] == "incident 1").count();
    assert_eq!(of_it, 7);
}

#[tokio::test]
async fn what_cannot_be_done_is_told_in_words() {
    let bed = Bed::full();
    let said = async |address: &str, body: Value, status: StatusCode| {
        bed.post(&format!("/api/v1/incidents/{address}"), &body).await.problem(status)
    };
    let (gone, conflict) = (StatusCode::NOT_FOUND, StatusCode::CONFLICT);
    let wrong = StatusCode::UNPROCESSABLE_ENTITY;
    said("9/notes", json!({ "text": "hello" }), gone).await;
    assert!(said("1/notes", json!({ "text": "a\nb" }), wrong).await.contains("control character"));
    assert!(said("1/notes", json!({ "text": " " }), wrong).await.contains("empty"));
    assert!(said("1/notes", json!({ "text": "x".repeat(1_001) }), wrong).await.contains("1000"));
    said("1/notes", json!({ "text": "x", "more": 1 }), wrong).await;
    said("1/unacknowledge", json!({}), conflict).await;
    said("1/split", json!({}), conflict).await;
    let merge = |into: &str| json!({ "into": into, "reason": "one line" });
    assert!(said("1/merge", merge("1"), wrong).await.contains("part of itself"));
    said("1/merge", merge("9"), wrong).await;
    said("1/merge", merge("two"), StatusCode::BAD_REQUEST).await;
    bed.delete("/api/v1/incidents/1/owner").await.problem(conflict);
    assert_eq!(bed.items("/api/v1/incidents/1/acts").await, [] as [Value; 0]);
}

#[tokio::test]
async fn the_table_of_owners_says_whose_an_incident_is() {
    let bed = Bed::full();
    let set = async |row: Value| {
        let answer = bed.post("/api/v1/owners", &row).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    };
    set(json!({ "name": "NOC" })).await;
    assert_eq!(one(&bed, 1).await["owner"], "NOC");
    set(json!({ "cause": "bandwidth", "region": "R", "name": "WAN R", "contact": " " })).await;
    set(json!({ "cause": "wifi", "name": "Wi-Fi team" })).await;
    let incident = one(&bed, 1).await;
    assert_eq!((&incident["owner"], &incident["owner_by_hand"]), (&json!("WAN R"), &json!(false)));
    let owners = bed.items("/api/v1/owners").await;
    let told: Vec<_> = owners.iter().map(|row| (&row["cause"], &row["region"])).collect();
    let (none, wan) = (Value::Null, json!("bandwidth"));
    assert_eq!(told, [(&none, &none), (&wan, &json!("R")), (&json!("wifi"), &none)]);
    assert_eq!(owners[1]["contact"], Value::Null, "a blank is nothing");
    let gone = bed.delete("/api/v1/owners?cause=bandwidth&region=R").await;
    assert_eq!(gone.status, StatusCode::OK);
    assert_eq!(one(&bed, 1).await["owner"], "NOC");
    bed.delete("/api/v1/owners?cause=vpn").await.problem(StatusCode::NOT_FOUND);
    let wrong = bed.post("/api/v1/owners", &json!({ "cause": "ghosts", "name": "x" })).await;
    wrong.problem(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_silence_holds_for_its_time_and_is_told_on_what_it_covers() {
    let bed = Bed::full();
    let silence = json!({
        "buildings": [MASKED], "incidents": ["2"], "causes": ["wifi"], "regions": ["R"],
        "subnets": ["10.1.1.0/24"], "until": "2h", "reason": "we move house",
    });
    let made = done(&bed, "/api/v1/silences", &silence).await;
    assert_eq!((&made["number"], &made["state"]), (&json!(1), &json!("holds")));
    assert_eq!(made["until_utc"], "2026-03-06T18:00:00Z");
    let scope = |scope: &str, subject: &str| json!({ "scope": scope, "subject": subject });
    let scopes = [
        scope("region", "R"),
        scope("building", MASKED),
        scope("subnet", "10.1.1.0/24"),
        scope("incident", "2"),
        scope("cause", "wifi"),
    ];
    assert_eq!(made["scopes"], json!(scopes));
    let incident = one(&bed, 2).await;
    assert_eq!(
        (&incident["quiet"], &incident["quiet_until_utc"]),
        (&json!("silence"), &made["until_utc"])
    );
    assert_eq!(bed.items("/api/v1/silences").await, [made.clone()].map(without_version));
    assert_eq!(bed.items("/api/v1/maintenance").await, [] as [Value; 0]);
    bed.wait(Duration::from_secs(7_200));
    assert_eq!(one(&bed, 2).await["quiet"], Value::Null);
    assert_eq!(bed.items("/api/v1/silences").await, [] as [Value; 0]);
    let over = bed.items("/api/v1/silences?over=true").await;
    assert_eq!(over[0]["state"], "over");
    bed.post("/api/v1/silences/1/end", &json!({})).await.problem(StatusCode::CONFLICT);
}

fn without_version(mut item: Value) -> Value {
    item.as_object_mut().expect("an item").remove("schema_version");
    item
}

#[tokio::test]
async fn maintenance_is_planned_in_a_places_own_time_and_ended_by_hand() {
    let bed = Bed::full();
    let plan = json!({
        "buildings": [MASKED], "from": "2026-03-07T20:00[Europe/Berlin]", "until": "4h",
        "reason": "new switches",
    });
    let made = done(&bed, "/api/v1/maintenance", &plan).await;
    assert_eq!(
        (&made["state"], &made["from_utc"]),
        (&json!("planned"), &json!("2026-03-07T19:00:00Z"))
    );
    assert_eq!(made["until_utc"], "2026-03-07T23:00:00Z");
    assert_eq!(one(&bed, 1).await["quiet"], Value::Null);
    bed.wait(Duration::from_secs(27 * 3_600));
    assert_eq!(one(&bed, 1).await["quiet"], "maintenance");
    let silence = bed.post("/api/v1/silences/1/end", &json!({})).await;
    silence.problem(StatusCode::NOT_FOUND);
    let ended = bed.post("/api/v1/maintenance/1/end", &json!({})).await;
    assert_eq!(ended.status, StatusCode::OK, "{}", ended.body);
    assert_eq!(ended.json()["ended_by"], "local operator");
    assert_eq!(one(&bed, 1).await["quiet"], Value::Null);
}

#[tokio::test]
async fn what_was_called_off_before_it_began_is_over() {
    let bed = Bed::full();
    let plan = json!({ "buildings": [MASKED], "from": "3h", "until": "4h", "reason": "switches" });
    assert_eq!(done(&bed, "/api/v1/maintenance", &plan).await["state"], "planned");
    let ended = bed.post("/api/v1/maintenance/1/end", &json!({})).await;
    assert_eq!(ended.json()["state"], "over", "{}", ended.body);
    assert_eq!(bed.items("/api/v1/maintenance").await, [] as [Value; 0]);
    assert_eq!(bed.items("/api/v1/maintenance?over=true").await.len(), 1);
}

/// Asks as somebody with an API token; writes what is told.
async fn ask(bed: &Bed, token: &str, address: &str, body: Option<&Value>) -> Answer {
    let method = if body.is_some() { "POST" } else { "GET" };
    let request = Request::builder()
        .method(method)
        .uri(address)
        .header("host", "localhost:8080")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"));
    bed.send(request, Body::from(body.map(Value::to_string).unwrap_or_default())).await
}

/// The tokens of eva, an administrator, and of an operator of the building [`MASKED`] and no other.
async fn limited(bed: &Bed) -> [String; 2] {
    let set_up = json!({ "code": CODE, "name": "eva", "password": "correct horse battery" });
    let answer = bed.post("/api/v1/set-up", &set_up).await.json();
    let eva = answer["token"].as_str().expect("a token");
    let of_one = json!({ "name": "bot", "role": "operator", "buildings": [MASKED], "days": 1 });
    let made = ask(bed, eva, "/api/v1/api-tokens", Some(&of_one)).await.json();
    [eva, made["token"].as_str().expect("a token")].map(str::to_owned)
}

#[tokio::test]
async fn who_sees_one_building_silences_an_incident_no_further_than_it_is_now() {
    let bed = Bed::full();
    let [eva, token] = limited(&bed).await;
    let silence = json!({ "incidents": ["1"], "until": "2h", "reason": "lunch" });
    let made = ask(&bed, &token, "/api/v1/silences", Some(&silence)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let scope = json!({ "scope": "incident-in", "subject": format!("1 in {MASKED}") });
    assert_eq!(made.json()["scopes"], json!([scope]));
    let home = bed.building(MASKED);
    let near = Incident {
        members: vec![member(bed.control.as_ref(), 1, home)],
        ..incident(1, home, false)
    };
    write(&bed, vec![near.clone()]);
    let quiet = async || {
        let told = ask(&bed, &eva, "/api/v1/incidents/1", None).await.json();
        told["items"][0]["quiet"].clone()
    };
    assert_eq!(quiet().await, "silence");
    let far = member(bed.control.as_ref(), 2, bed.building("Always Bad"));
    let grown = Incident { members: [near.members.clone(), vec![far]].concat(), ..near };
    write(&bed, vec![grown]);
    assert_eq!(quiet().await, Value::Null, "it is elsewhere too");
}

#[tokio::test]
async fn who_does_not_see_the_whole_is_not_told_what_an_incident_was_merged_into() {
    let bed = Bed::full();
    let merge = json!({ "into": "2", "reason": "the line to Always Bad" });
    done(&bed, "/api/v1/incidents/1/merge", &merge).await;
    let [_, token] = limited(&bed).await;
    let acts = ask(&bed, &token, "/api/v1/incidents/1/acts", None).await;
    assert_eq!(acts.status, StatusCode::OK, "{}", acts.body);
    let act = &acts.json()["items"][0];
    let none = Value::Null;
    assert_eq!((&act["act"], &act["into"], &act["text"]), (&json!("merge"), &none, &none));
    assert!(!acts.body.contains("Always Bad"), "{}", acts.body);
}

#[tokio::test]
async fn a_quiet_time_that_says_nothing_is_refused_with_the_reason() {
    let bed = Bed::full();
    let refused = async |change: Value, status: StatusCode| {
        let mut body = json!({ "everything": true, "until": "2h", "reason": "why" });
        let changed = change.as_object().expect("fields").clone();
        body.as_object_mut().expect("fields").extend(changed);
        bed.post("/api/v1/silences", &body).await.problem(status)
    };
    let wrong = StatusCode::UNPROCESSABLE_ENTITY;
    for until in ["2026-03-06T15:00:00Z", "400d"] {
        assert!(refused(json!({ "until": until }), wrong).await.contains("366 days"));
    }
    let written = refused(json!({ "until": "soon" }), StatusCode::BAD_REQUEST).await;
    assert!(written.contains("[Europe/Berlin]"), "{written}");
    assert!(refused(json!({ "everything": false }), wrong).await.contains("1 to 64"));
    assert!(refused(json!({ "buildings": ["Moon"] }), wrong).await.contains("Moon"));
    assert!(refused(json!({ "subnets": ["10.9.9.0/24"] }), wrong).await.contains("10.9.9.0"));
    refused(json!({ "incidents": ["99"] }), StatusCode::NOT_FOUND).await;
    refused(json!({ "reason": "" }), wrong).await;
    let plan = json!({ "causes": ["wifi"], "until": "2h", "reason": "why" });
    let plan = bed.post("/api/v1/maintenance", &plan).await.problem(wrong);
    assert!(plan.contains("of places"), "{plan}");
    assert_eq!(bed.items("/api/v1/silences?over=true").await, [] as [Value; 0]);
}

/// One that closed on the fourth day of March, with a path that was bad before and is fine since.
fn mended(bed: &Bed) {
    let building = bed.building(MASKED);
    let bad_days = [16, 17, 18, 19].map(|day| date(2026, 2, day)).to_vec();
    let closed = Incident {
        state: IncidentState::Closed,
        closed: Some(NOW),
        closed_on: Some(date(2026, 3, 4)),
        last_bad: date(2026, 2, 19),
        worst_on: Some(date(2026, 2, 19)),
        members: vec![member(bed.control.as_ref(), 1, building)],
        bad_days: bad_days.clone(),
        ..incident(7, building, false)
    };
    // Two days of March are bad in the bed already.
    let mut days: Vec<_> = bad_days.iter().map(|date| path_summary(1, building, *date)).collect();
    for later in 1..=3 {
        let mut day = path_summary(1, building, date(2026, 2, 19) + later.days());
        day.verdict = busyhour_model::DayVerdict::Good;
        day.worst_hour = day.worst_hour.map(|hour| busyhour_model::WorstHour {
            bad: 3,
            loss_ppm_p90: 1_000,
            ..hour
        });
        days.push(day);
    }
    let write = JudgeWrite { incidents: vec![closed], days, ..JudgeWrite::default() };
    bed.control.write_judgement(&write, NOW).expect("written");
}

#[tokio::test]
async fn what_was_mended_shows_before_and_after_and_what_to_do_is_told_by_cause() {
    let bed = Bed::full();
    mended(&bed);
    let incident = one(&bed, 7).await;
    let (before, after) = (&incident["before"], &incident["after"]);
    assert_eq!((&before["days"], &before["bad_ratio"]), (&json!(4), &json!(0.5)));
    assert_eq!((&after["days"], &after["bad_days"]), (&json!(5), &json!(2)));
    assert_eq!((&after["bad_ratio"], &after["loss_ratio_p90"]), (&json!(0.05), &json!(0.001)));
    assert_eq!(incident["remedy_who"], "whoever runs the wide area network");
    assert!(incident["remedy"][0].as_str().expect("a step").contains("the building's link"));
    assert_eq!(one(&bed, 1).await["before"], Value::Null, "it is as bad as before");
    let page = bed.get("/incidents/7").await.body;
    assert_safe(&page);
    for text in
        ["Before and after", "<td>50.0 %</td><td>5.0 %</td>", "4, 4 of them bad", "What to do"]
    {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[tokio::test]
async fn from_the_incident_it_is_one_click_to_the_raw_windows_of_its_worst_day() {
    let bed = Bed::full();
    let page = bed.get("/incidents/1").await.body;
    let (_, rest) = page.split_once("<a href=\"/api/v1/paths/1/windows?").expect("a link");
    let (query, _) = rest.split_once('"').expect("an end");
    let address = format!("/api/v1/paths/1/windows?{}", query.replace("&#38;", "&"));
    assert!(
        address.contains("from=2026-03-02T23:00:00Z")
            && address.contains("until=2026-03-03T23:00:00Z")
    );
    let file = bed.get(&address).await;
    assert_eq!(file.status, StatusCode::OK, "{}", file.body);
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8; header=present");
    let disposition = "attachment; filename=\"windows-of-path-1.csv\"";
    assert_eq!(file.header("content-disposition"), disposition);
    let lines: Vec<_> = file.body.lines().collect();
    assert_eq!(lines.len(), 1 + 24 * 60, "a line of names, and one for each minute");
    assert!(lines[0].starts_with("simulated,placed_utc,started_utc,"), "{}", lines[0]);
    assert!(lines[1].starts_with("true,2026-03-02T23:00:00Z,"), "{}", lines[1]);
    for name in [",rtt_us_p99,", ",lost_up,", ",estimate_mos,"] {
        assert!(lines[0].contains(name), "{name}: {}", lines[0]);
    }
    let wrong = bed.get("/api/v1/paths/1/windows?format=xml").await;
    wrong.problem(StatusCode::BAD_REQUEST);
}

/// Sends the page's form with the token that it has in it.
async fn act(bed: &Bed, cookie: &str, number: u64, fields: &str) -> Answer {
    let page = get_with(bed, &format!("/incidents/{number}"), cookie).await.body;
    assert_safe(&page);
    let (_, rest) = page.split_once("name=\"token\" value=\"").expect("a form");
    let token = rest.split_once('"').expect("a value").0;
    let request = form(&format!("/incidents/{number}/act")).header("cookie", cookie);
    bed.send(request, Body::from(format!("token={token}&{fields}"))).await
}

#[tokio::test]
async fn everything_can_be_done_by_the_forms_of_the_page_without_scripts() {
    let bed = Bed::full();
    let cookie = set_up(&bed).await;
    for fields in [
        "act=note&text=hello%3Cb%3E",
        "act=acknowledge&text=ticket+7",
        "act=own&name=WAN+team&contact=wan%40example.com",
        "act=merge&into=2&text=one+line",
        "act=silence&until=2h&text=lunch",
    ] {
        let answer = act(&bed, &cookie, 1, fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{fields}: {}", answer.body);
        assert_eq!(answer.header("location"), "/incidents/1#people");
    }
    let page = get_with(&bed, "/incidents/1", &cookie).await.body;
    for text in [
        "eva said: hello&#60;b&#62;",
        "Acknowledged by eva at",
        "ticket 7",
        "<strong>WAN team</strong>, wan@example.com (said of this incident)",
        "Somebody made it part of <a href=\"/incidents/2\">incident 2</a>",
        "Nobody is told until <time datetime=\"2026-03-06T18:00:00Z\">",
        "eva made it part of incident 2: one line",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("value=\"silence\""), "it is silent already");
    let whole = get_with(&bed, "/incidents/2", &cookie).await.body;
    assert!(whole.contains("Part of it, by hand: <a href=\"/incidents/1\">incident 1</a>."));
    for fields in ["act=unacknowledge", "act=disown", "act=split"] {
        let answer = act(&bed, &cookie, 1, fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{fields}: {}", answer.body);
    }
    let request = get_with(&bed, "/api/v1/incidents/1", &cookie).await.json();
    for key in ["acknowledged_by", "owner", "part_of"] {
        assert_eq!(request["items"][0][key], Value::Null, "{key}");
    }
}

#[tokio::test]
async fn a_form_that_cannot_be_done_says_why_and_one_from_elsewhere_does_nothing() {
    let bed = Bed::full();
    let cookie = set_up(&bed).await;
    for (fields, status, why) in [
        ("act=note&text=", StatusCode::UNPROCESSABLE_ENTITY, "the text is empty"),
        ("act=split", StatusCode::CONFLICT, "it was not merged by hand"),
        ("act=explode", StatusCode::UNPROCESSABLE_ENTITY, "nobody does that here"),
        ("act=silence&until=soon&text=x", StatusCode::BAD_REQUEST, "such as 2h"),
    ] {
        let answer = act(&bed, &cookie, 1, fields).await;
        assert_eq!(answer.status, status, "{fields}");
        assert!(answer.body.contains(why), "{fields}: {}", answer.body);
        assert_safe(&answer.body);
    }
    for foreign in foreign_tokens(&bed).await {
        let forged = form("/incidents/1/act").header("cookie", cookie.as_str());
        let body = format!("token={foreign}&act=note&text=x");
        let answer = bed.send(forged, Body::from(body)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    let acts = get_with(&bed, "/api/v1/incidents/1/acts", &cookie).await.json();
    assert_eq!(acts["items"], json!([]));
    let nobody = bed.get("/incidents/1").await;
    assert!(!nobody.body.contains("<form"), "who did not sign in has no forms");
}

#[tokio::test]
async fn a_part_is_listed_again_when_the_whole_is_over() {
    let bed = Bed::full();
    let merge = json!({ "into": "2", "reason": "one line" });
    done(&bed, "/api/v1/incidents/1/merge", &merge).await;
    for page in ["/", "/incidents"] {
        let body = bed.get(page).await.body;
        assert!(
            body.contains("/incidents/2\"") && !body.contains("/incidents/1\""),
            "{page}: {body}"
        );
    }
    let building = bed.building("Always Bad");
    let closed = Incident {
        state: IncidentState::Closed,
        closed: Some(NOW),
        closed_on: Some(date(2026, 3, 6)),
        ..incident(2, building, false)
    };
    write(&bed, vec![closed]);
    assert_eq!(numbers(&bed, "").await, [1]);
    assert_eq!(one(&bed, 1).await["part_of"], Value::Null);
    assert!(bed.get("/incidents").await.body.contains("/incidents/1\""));
}
