//! Server-sent events: what changed is told to whoever may see it, and everything has an end.

use axum::body::{Body, BodyDataStream};
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use busyhour_api::Peer;
use busyhour_model::{Incident, IncidentState};
use busyhour_store::{AccountName, Act, Grant, JudgeWrite, NewApiToken, Reach, Role};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio_stream::StreamExt as _;
use tower::ServiceExt as _;

use crate::sign_in::set_up;
use crate::support::{Bed, MASKED, NOW};

/// Some looks at the store and some heartbeats.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// A stream of events; nothing waits in real time here.
struct Stream {
    body: BodyDataStream,
    text: String,
}

impl Stream {
    async fn open(bed: &Bed, token: Option<&str>, last: Option<&str>) -> Result<Self, StatusCode> {
        let mut request = Request::get("/api/v1/events").header("host", "localhost");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let mut request = request.body(Body::empty()).expect("a request");
        request.extensions_mut().insert(ConnectInfo(Peer(([127, 0, 0, 1], 40_000).into())));
        let response = bed.router.clone().oneshot(request).await.expect("infallible");
        if response.status() != StatusCode::OK {
            return Err(response.status());
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Ok(Self { body: response.into_body().into_data_stream(), text: String::new() })
    }

    /// The next event that is no heartbeat; `None` when the stream ends.
    async fn next(&mut self) -> Option<String> {
        let opened = tokio::time::Instant::now();
        loop {
            let waited = opened.elapsed();
            assert!(waited < PATIENCE, "neither an event nor the end, only heartbeats");
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if !event.starts_with(':') {
                    return Some(event);
                }
                continue;
            }
            let bytes = self.body.next().await?.expect("bytes");
            self.text.push_str(std::str::from_utf8(&bytes).expect("text"));
        }
    }
}

fn line<'a>(event: &'a str, name: &str) -> &'a str {
    let found = event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.map_or("", str::trim)
}

async fn note(bed: &Bed, incident: u64) {
    let body = json!({"reason": "seen"});
    let address = format!("/api/v1/incidents/{incident}/acknowledge");
    assert_eq!(bed.post(&address, &body).await.status, StatusCode::CREATED);
}

pub(crate) fn token(bed: &Bed, name: &str, reach: Reach) -> String {
    let token = format!("bh_{name}");
    let new = NewApiToken {
        token_sha256: Sha256::digest(token.as_bytes()).into(),
        name: AccountName::new(name).expect("a name"),
        grant: Grant::new(Role::Viewer, reach).expect("a grant"),
        expires: NOW.plus(std::time::Duration::from_secs(86_400)),
    };
    bed.accounts.add_api_token(&new, &Act::by_operator(NOW)).expect("added");
    token
}

/// Two looks at the store are over.
async fn looked() {
    tokio::time::sleep(std::time::Duration::from_secs(11)).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_an_incident_is_told_and_who_comes_back_hears_what_was_missed() {
    let bed = Bed::full();
    let mut stream = Stream::open(&bed, None, None).await.expect("open");
    let ready = stream.next().await.expect("it begins");
    assert_eq!(line(&ready, "event"), "ready");
    assert!(!line(&ready, "retry").is_empty());
    looked().await;
    note(&bed, 1).await;
    let told = stream.next().await.expect("an event");
    assert_eq!(line(&told, "event"), "incident", "{told}");
    let data: serde_json::Value = serde_json::from_str(line(&told, "data")).expect("JSON");
    assert_eq!(data["number"], 1);
    assert_eq!(data["building_ids"], json!([bed.building(MASKED).to_string()]));
    let last = line(&told, "id").to_owned();
    drop(stream);

    note(&bed, 2).await;
    looked().await;
    let mut back = Stream::open(&bed, None, Some(&last)).await.expect("open");
    assert_eq!(line(&back.next().await.expect("it begins"), "event"), "back");
    let missed = back.next().await.expect("what was missed");
    assert!(line(&missed, "data").contains("\"number\":2"), "{missed}");
    drop(back);
    for stranger in ["ffffffff-1", "nonsense", "1-99999999999999999999"] {
        let mut stream = Stream::open(&bed, None, Some(stranger)).await.expect("open");
        let kind = stream.next().await.expect("it begins");
        assert!(["reset", "ready"].contains(&line(&kind, "event")), "{stranger}: {kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_limited_to_buildings_hears_of_these_alone_and_nothing_once_the_token_is_revoked() {
    let bed = Bed::full();
    let own = token(&bed, "own", Reach::only(vec![bed.building("Always Bad")]));
    let all = token(&bed, "all", Reach::All);
    let mut limited = Stream::open(&bed, Some(&own), None).await.expect("open");
    let mut whole = Stream::open(&bed, Some(&all), None).await.expect("open");
    assert!(limited.next().await.is_some() && whole.next().await.is_some());
    looked().await;
    note(&bed, 1).await;
    looked().await;
    note(&bed, 2).await;
    for number in [1, 2] {
        let event = whole.next().await.expect("an event");
        assert!(line(&event, "data").contains(&format!("\"number\":{number}")), "{event}");
    }
    let event = limited.next().await.expect("an event");
    assert!(line(&event, "data").contains("\"number\":2"), "the other is not theirs: {event}");

    let tokens = bed.accounts.api_tokens().expect("tokens");
    let number = tokens.iter().find(|token| token.name.as_str() == "own").expect("it").number;
    bed.accounts.revoke_api_token(number, &Act::by_operator(NOW)).expect("revoked");
    assert_eq!(limited.next().await, None, "the stream ends with the next heartbeat");
}

/// Writes an incident as it is after something happened to it.
fn becomes(bed: &Bed, number: u64, change: impl FnOnce(&mut Incident)) {
    let all = bed.control.incidents(true).expect("incidents");
    let mut incident =
        all.into_iter().find(|incident| incident.number == number).expect("the incident");
    change(&mut incident);
    let write = JudgeWrite { incidents: vec![incident], ..JudgeWrite::default() };
    bed.control.write_judgement(&write, NOW).expect("written");
}

#[tokio::test(start_paused = true)]
async fn an_incident_that_closes_or_becomes_part_of_another_is_told_as_closed() {
    let bed = Bed::full();
    let mut stream = Stream::open(&bed, None, None).await.expect("open");
    stream.next().await.expect("it begins");
    looked().await;
    becomes(&bed, 1, |incident| incident.state = IncidentState::Recovering);
    let mut states = Vec::new();
    for change in [None, Some(None), Some(Some(1))] {
        if let Some(merged_into) = change {
            let number = if merged_into.is_some() { 2 } else { 1 };
            becomes(&bed, number, |incident| {
                (incident.state, incident.merged_into) = (IncidentState::Closed, merged_into);
                incident.closed = Some(NOW);
            });
        }
        let told = stream.next().await.expect("an event");
        let data: serde_json::Value = serde_json::from_str(line(&told, "data")).expect("JSON");
        states.push((data["number"].clone(), data["state"].clone()));
        looked().await;
    }
    let expected = [(1, "recovering"), (1, "closed"), (2, "closed")];
    assert_eq!(states, expected.map(|(number, state)| (json!(number), json!(state))));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_left_open_does_not_keep_its_session_alive() {
    let bed = Bed::full();
    let cookie = set_up(&bed).await;
    let (_, session) = cookie.split_once('=').expect("a cookie");
    let mut stream = Stream::open(&bed, Some(session), None).await.expect("open");
    assert!(stream.next().await.is_some());
    let hour = std::time::Duration::from_secs(3_600);
    bed.wait(hour);
    looked().await;
    looked().await;
    let whoami = Request::get("/api/v1/buildings").header("host", "localhost");
    let with = whoami.header("cookie", cookie.as_str());
    // Nobody asked for two hours, whatever was listened to.
    bed.wait(hour + hour / 30);
    assert_eq!(stream.next().await, None, "it ends with the session");
    assert_eq!(bed.send(with, Body::empty()).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn listeners_are_bounded_and_who_leaves_makes_room() {
    let bed = Bed::full();
    let mut streams = Vec::new();
    for n in 0..8 {
        let mut stream = Stream::open(&bed, None, None).await.expect("open");
        assert!(stream.next().await.is_some(), "{n}");
        streams.push(stream);
    }
    let refused = Stream::open(&bed, None, None).await.err();
    assert_eq!(refused, Some(StatusCode::SERVICE_UNAVAILABLE));
    let other = token(&bed, "other", Reach::All);
    assert!(Stream::open(&bed, Some(&other), None).await.is_ok(), "somebody else has room");
    streams.pop();
    looked().await;
    assert!(Stream::open(&bed, None, None).await.is_ok(), "one left");
}
