//! A building file that is uploaded on the page.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use busyhour_model::UtcMicros;
use busyhour_store::AuditAction;

use crate::sign_in::{form_token, get_with, set_up};
use crate::support::{Answer, Bed, HOSTILE};

const FILE: &str = "\
10.10.0.0,Floor 1,24,Munich,Contoso,Office,Regional,Munich,80331,DE,BY,EMEA,1,0,0\n\
10.10.1.0,Floor 2,24,Munich,Contoso,Office,Regional,Munich,80331,DE,BY,EMEA,1,0,0\n";

/// Sends a form with files as a browser does.
async fn send(bed: &Bed, cookie: &str, fields: &[(&str, &str)]) -> Answer {
    let mut body = String::new();
    for (name, value) in fields {
        let file =
            if *name == "file" { "; filename=\"b.csv\"\r\nContent-Type: text/csv" } else { "" };
        body += &format!(
            "--end\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n"
        );
    }
    body += "--end--\r\n";
    let request = Request::post("/buildings/import")
        .header("host", "localhost:8080")
        .header("cookie", cookie)
        .header("content-type", "multipart/form-data; boundary=end");
    bed.send(request, Body::from(body)).await
}

/// The version that a page offers to put in force.
fn offered(answer: &Answer) -> String {
    let (_, rest) =
        answer.body.split_once("name=\"confirmed\" value=\"").expect("it can be confirmed");
    rest.split('"').next().expect("a number").to_owned()
}

fn names(bed: &Bed) -> Vec<String> {
    let buildings = bed.control.buildings().expect("buildings");
    buildings.into_iter().map(|building| building.name).collect()
}

#[tokio::test]
async fn a_file_is_looked_at_first_and_put_in_force_when_somebody_confirms_it() {
    let bed = Bed::empty();
    let cookie = set_up(&bed).await;
    let token = form_token(&bed, &cookie).await;
    let page = get_with(&bed, "/buildings/import", &cookie).await;
    assert!(page.body.contains("type=\"file\""), "{}", page.body);

    let looked = send(&bed, &cookie, &[("token", &token), ("file", FILE)]).await;
    assert_eq!(looked.status, StatusCode::OK, "{}", looked.body);
    for words in
        ["No errors", "Buildings that are new: 1", "<li>Munich</li>", "10.10.1.0/24 (Munich)"]
    {
        assert!(looked.body.contains(words), "{words}: {}", looked.body);
    }
    assert!(names(&bed).is_empty(), "looking changes nothing");

    let version = offered(&looked);
    let confirm = [("token", token.as_str()), ("file", FILE), ("confirmed", version.as_str())];
    let done = send(&bed, &cookie, &confirm).await;
    assert!(done.body.contains("Version 1 is in force"), "{}", done.body);
    assert_eq!(names(&bed), ["Munich"]);
    let audit = bed.control.audit(UtcMicros(0), UtcMicros(i64::MAX), 99).expect("the audit");
    let imported = audit.iter().find(|entry| entry.action == AuditAction::Imported);
    assert_eq!(imported.expect("an entry").by.actor.to_string(), "eva");

    let other = FILE.replace("Floor 2", "Floor 9");
    let ulm = other + &FILE.replace("10.10.", "10.20.").replace("Munich,Contoso", "Ulm,Contoso");
    let looked = send(&bed, &cookie, &[("token", &token), ("file", &ulm)]).await;
    for words in ["<li>Ulm</li>", "Munich: columns of 1 of its subnets", "Subnets that are new: 2"]
    {
        assert!(looked.body.contains(words), "{words}: {}", looked.body);
    }
    let one = FILE.lines().next().expect("a line");
    let looked = send(&bed, &cookie, &[("token", &token), ("file", one)]).await;
    assert!(looked.body.contains("Subnets that end: 1"), "{}", looked.body);

    let renamed = FILE.replace("Munich,Contoso", "Isar,Contoso");
    let looked = send(&bed, &cookie, &[("token", &token), ("file", &renamed)]).await;
    assert!(looked.body.contains("<li>Munich → Isar</li>"), "{}", looked.body);
    for other in ["that are new", "Buildings that change", "that end"] {
        assert!(!looked.body.contains(other), "{other}: {}", looked.body);
    }
}

#[tokio::test]
async fn of_two_who_confirm_the_same_version_at_once_one_is_asked_again() {
    let bed = Bed::empty();
    let cookie = set_up(&bed).await;
    let token = form_token(&bed, &cookie).await;
    let mut before = 0;
    for round in 0..8 {
        let [one, other] = ["Ulm", "Bonn"]
            .map(|name| FILE.replace("Munich,Contoso", &format!("{name} {round},Contoso")));
        let version = (before + 1).to_string();
        let put = async |file: &str| {
            let fields = [("token", token.as_str()), ("file", file), ("confirmed", &version)];
            send(&bed, &cookie, &fields).await
        };
        let answers = tokio::join!(put(&one), put(&other));
        let done = [answers.0, answers.1];
        let count = done.iter().filter(|answer| answer.body.contains("is in force.")).count();
        assert_eq!(count, 1, "{round}");
        let again = done.iter().find(|answer| answer.status == StatusCode::UNPROCESSABLE_ENTITY);
        let again = again.expect("the other one is asked again");
        assert!(again.body.contains("Somebody else changed the buildings meanwhile"));
        before += 1;
        assert_eq!(offered(again), (before + 1).to_string());
    }
}

#[tokio::test]
async fn what_is_short_enough_to_be_looked_at_is_short_enough_to_be_confirmed() {
    let bed = Bed::empty();
    let cookie = set_up(&bed).await;
    let token = form_token(&bed, &cookie).await;
    // Nearly 4 MiB with many lines, as the browser sends it first, and as it sends it back.
    let long = format!("{FILE}{}", "\n".repeat((4 << 20) - FILE.len() - 1));
    let looked = send(&bed, &cookie, &[("token", &token), ("file", &long)]).await;
    assert_eq!(looked.status, StatusCode::OK, "{:.300}", looked.body);
    let version = offered(&looked);
    let back = long.replace('\n', "\r\n");
    let confirm = [("token", token.as_str()), ("file", &back), ("confirmed", &version)];
    let done = send(&bed, &cookie, &confirm).await;
    assert!(done.body.contains("Version 1 is in force"), "{:.300}", done.body);
    let too_long = long + "\n\n";
    let refused = send(&bed, &cookie, &[("token", &token), ("file", &too_long)]).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(refused.body.contains("busyhour building import"), "{:.300}", refused.body);
}

#[tokio::test]
async fn what_is_wrong_is_told_by_line_and_nothing_of_it_can_be_confirmed() {
    let bed = Bed::empty();
    let cookie = set_up(&bed).await;
    let token = form_token(&bed, &cookie).await;
    let wrong = FILE.replace("10.10.1.0", "10.10.300.0").replace("Floor 1", HOSTILE);
    for confirmed in ["", "1"] {
        let fields = [("token", token.as_str()), ("file", &wrong), ("confirmed", confirmed)];
        let answer = send(&bed, &cookie, &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.body.contains("1 error:") && answer.body.contains("<td>2</td>"));
        assert!(!answer.body.contains("name=\"confirmed\"") && !answer.body.contains(HOSTILE));
        assert!(names(&bed).is_empty());
    }
}

#[tokio::test]
async fn what_was_confirmed_is_what_was_shown() {
    let bed = Bed::empty();
    let cookie = set_up(&bed).await;
    let token = form_token(&bed, &cookie).await;
    let put = |version: &str, file: &str| {
        let fields = [
            ("token", token.clone()),
            ("file", file.to_owned()),
            ("confirmed", version.to_owned()),
        ];
        let (bed, cookie) = (&bed, &cookie);
        async move {
            let fields: Vec<(&str, &str)> =
                fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            send(bed, cookie, &fields).await
        }
    };
    let looked = put("", FILE).await;
    let version = offered(&looked);
    let ulm = FILE.replace("Munich,Contoso", "Ulm,Contoso");
    assert_eq!(put(&version, &ulm).await.status, StatusCode::OK);
    let late = put(&version, FILE).await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", late.body);
    assert!(late.body.contains("Somebody else changed the buildings meanwhile"));
    assert_eq!(names(&bed), ["Ulm"]);
}

#[tokio::test]
async fn a_form_without_the_session_s_token_a_foreign_one_and_one_that_is_too_long_are_refused() {
    let bed = Bed::empty();
    let cookie = set_up(&bed).await;
    let token = form_token(&bed, &cookie).await;
    let forged = send(&bed, &cookie, &[("token", "guessed"), ("file", FILE)]).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let long = "x".repeat(9 << 20);
    let long = send(&bed, &cookie, &[("token", &token), ("file", &long)]).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    let foreign = Request::post("/buildings/import")
        .header("host", "localhost:8080")
        .header("cookie", cookie.as_str())
        .header("origin", "http://evil.example")
        .header("content-type", "multipart/form-data; boundary=end");
    let foreign = bed.send(foreign, Body::from("--end--\r\n")).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    assert!(names(&bed).is_empty());
}
