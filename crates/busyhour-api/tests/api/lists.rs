//! The overview's filters, the page of incidents, and the page of a path.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};

use crate::support::{Bed, HOSTILE, MASKED};

/// The names of the buildings that a page lists, in its order.
fn listed(page: &str) -> Vec<&'static str> {
    let escaped = HOSTILE.replace('<', "&#60;").replace('>', "&#62;").replace('\'', "&#39;");
    let rows = page.split("<tbody>").nth(1).unwrap_or_default();
    let mut found: Vec<(usize, &'static str)> = [(MASKED, MASKED), ("Always Bad", "Always Bad")]
        .into_iter()
        .chain([(escaped.as_str(), HOSTILE)])
        .filter_map(|(text, name)| Some((rows.find(&format!(">{text}</a>"))?, name)))
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, name)| name).collect()
}

async fn page(bed: &Bed, address: &str) -> String {
    let answer = bed.get(address).await;
    assert_eq!(answer.status, StatusCode::OK, "{address}: {}", answer.body);
    answer.body
}

#[tokio::test]
async fn the_overview_is_searched_and_filtered_without_scripts() {
    let bed = Bed::full();
    assert_eq!(listed(&page(&bed, "/").await), [MASKED, "Always Bad", HOSTILE]);
    assert_eq!(listed(&page(&bed, "/?q=berlin").await), [MASKED], "whatever the case");
    assert_eq!(listed(&page(&bed, "/?standing=bad").await), ["Always Bad"]);
    assert_eq!(listed(&page(&bed, "/?standing=unknown&q=script").await), [HOSTILE]);
    assert_eq!(
        listed(&page(&bed, "/?region=R&page=7").await).len(),
        3,
        "beyond the end is the last part"
    );
    let none = page(&bed, "/?q=nowhere").await;
    assert!(
        listed(&none).is_empty() && none.contains("None of 3 buildings is like that"),
        "{none}"
    );
    let tiles = page(&bed, "/?q=berlin").await;
    assert!(
        tiles.contains("<strong>1</strong> Bad at busy hours, hidden"),
        "tiles count all buildings"
    );
    let hostile = page(&bed, "/?q=%22%3E%3Cscript%3E&region=%3Cscript%3E").await;
    assert!(!hostile.contains("<script>"), "what is asked for is escaped");
    assert_eq!(bed.get("/?page=x").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_incidents_are_listed_by_state_kind_and_cause() {
    let bed = Bed::full();
    let all = page(&bed, "/incidents").await;
    assert!(all.contains("1 to 2 of 2") && all.contains("href=\"/incidents/1\""), "{all}");
    assert!(all.contains("simulated data"));
    let berlin = page(&bed, "/incidents?q=berlin").await;
    assert!(berlin.contains("1 to 1 of 1"), "{berlin}");
    for none in ["?state=closed", "?kind=drift", "?cause=wifi&q=tokyo-nothing"] {
        let found = page(&bed, &format!("/incidents{none}")).await;
        assert!(found.contains("No incident is like that"), "{none}");
    }
}

#[tokio::test]
async fn a_path_has_its_smoke_graph_and_the_way_to_its_windows() {
    let bed = Bed::full();
    let id = bed.items("/api/v1/paths").await[0]["id"].to_string();
    let monday = "from=2026-03-01T23:00:00Z&until=2026-03-02T23:00:00Z";
    let page_of_day = page(&bed, &format!("/paths/{id}?{monday}")).await;
    assert!(page_of_day.contains("bh-smoke") && page_of_day.contains("berlin-1"), "{page_of_day}");
    assert!(page_of_day.contains("simulated data"));
    // From ten to twelve, local time, every second window loses 30 of 750.
    assert!(page_of_day.contains("Mon 2026-03-02 10:15: median"), "hover says the local time");
    assert!(
        page_of_day.contains("2.0 % lost; 8 of 15 windows bad")
            || page_of_day.contains("lost; 7 of 15 windows bad")
    );
    assert!(page_of_day.contains("aria-label=\"incident 1:"), "the incident's hours are drawn");
    assert!(page_of_day.contains("format=csv"), "the windows can be had");
    assert!(!page_of_day.contains(": no data\""), "all of Monday was observed");
    let later = page(&bed, &format!("/paths/{id}")).await;
    assert!(later.contains(": no data\""), "the last day was not observed, and is not good");
    let long = format!("/paths/{id}?from=2026-01-01T00:00:00Z&until=2026-03-02T00:00:00Z");
    assert_eq!(bed.get(&long).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(bed.get("/paths/4711").await.status, StatusCode::NOT_FOUND);

    let svg = bed.get(&format!("/paths/{id}/picture.svg?{monday}")).await;
    assert_eq!(svg.header("content-type"), "image/svg+xml");
    assert!(svg.body.starts_with("<?xml") && svg.body.contains("<style>"));
}

#[tokio::test]
async fn pages_are_compressed_for_who_takes_that() {
    let bed = Bed::full();
    let request = Request::get("/incidents")
        .header(header::HOST, "localhost:8080")
        .header(header::ACCEPT_ENCODING, "gzip");
    let answer = bed.raw(request, Body::empty()).await;
    assert_eq!(
        answer.0.get(header::CONTENT_ENCODING).map(|value| value.as_bytes()),
        Some(&b"gzip"[..])
    );
    assert!(answer.1.starts_with(&[0x1f, 0x8b]), "RFC 1952");
    let plain = page(&bed, "/incidents").await;
    assert!(answer.1.len() * 2 < plain.len(), "{} of {}", answer.1.len(), plain.len());
}

#[tokio::test]
async fn the_fleet_tells_who_is_silent_and_what_is_simulated() {
    let bed = Bed::full();
    let fleet = page(&bed, "/fleet").await;
    assert!(fleet.contains("2 agents, 2 of them not heard of for a quarter-hour"), "{fleet}");
    assert!(
        fleet.contains("berlin-1") && fleet.contains("tokyo-1") && fleet.contains("simulated data")
    );
    assert!(fleet.contains("not running for 2.0 h"), "gaps with their reason: {fleet}");
    let sighting = busyhour_store::Sighting {
        at: crate::support::NOW,
        version: HOSTILE.to_owned(),
        os: "linux".to_owned(),
        local_prefix: None,
        peer: None,
    };
    bed.control.saw_agent(busyhour_model::AgentId::from_u128(1), &sighting).expect("note");
    let silent = page(&bed, "/fleet?trouble=silent").await;
    assert!(silent.contains("tokyo-1") && !silent.contains("berlin-1"), "{silent}");
    let found = page(&bed, "/fleet?q=BERLIN").await;
    assert!(found.contains("1 to 1 of 1") && !found.contains("<script>alert"), "{found}");
}
