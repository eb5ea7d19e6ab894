//! The page: escaped, self-contained, complete without scripts, unknown shown as unknown.

use axum::http::StatusCode;
use busyhour_model::{Breach, LinkKind, Scope};
use busyhour_store::JudgeWrite;
use jiff::civil::date;

use crate::support::{Bed, HOSTILE, MASKED, NOW, day_summary};

/// What a page may never hold under our content security policy, or at all.
pub(crate) fn assert_safe(page: &str) {
    for forbidden in [
        HOSTILE,
        "<script>",
        " style=",
        "<style",
        " onclick",
        " onload",
        "javascript:",
        "href=\"http",
        "src=\"http",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.len() < 290_000, "{} bytes", page.len());
    assert!(page.contains("<html lang=\"en\">"));
    assert!(page.contains("class=\"skip\" href=\"#main\""));
    for tag in ["table", "figure", "section", "details", "svg", "td", "li", "p", "a", "div"] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[tokio::test]
async fn the_overview_shows_the_masked_building_first_and_why() {
    let bed = Bed::full();
    let page = bed.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_safe(&page.body);
    let at = |text: &str| page.body.find(text).unwrap_or_else(|| panic!("{text}: {}", page.body));
    let row = |name: &str| at(&format!("\">{name}</a><br>"));
    assert!(row(MASKED) < row("Always Bad"));
    assert!(row("Always Bad") < row("&#60;script&#62;alert(&#39;x&#39;)&#60;/script&#62;"));
    at("Daily average says fine: 0.30 % loss; worst hour 10:00–11:00: 2.40 % loss");
    at("<strong>8.0 times</strong> the average");
    at("Daily average says bad: 5.00 % loss");
    at("Calls in building 1 break up &#38; crackle from 10:00 to 12:00.");
    at("simulated data");
    at("no agent lives here");
    at("no data");
    at("2 of 2");
    at("98 %");
    at("2026-03-02: bad at a busy hour, hidden by the daily average");
    assert!(at("Calls in building 1") < row(MASKED), "open incidents are on top");
}

#[tokio::test]
async fn a_building_shows_its_week_its_day_and_its_parts() {
    let bed = Bed::full();
    let address = format!("/buildings/{}", bed.building(MASKED));
    let page = bed.get(&format!("{address}?date=2026-03-02")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert_safe(&page.body);
    let has = |text: &str| assert!(page.body.contains(text), "{text}: {}", page.body);
    has("Europe/Berlin");
    has("aria-label=\"Mon 10–11: 50 % bad, n=60\"");
    has("aria-label=\"Wed 10–11: unknown, n=0 of 0\"");
    has("The day: Mon 2026-03-02");
    has("and <strong>the daily average hides it</strong>");
    has("aria-label=\"10:00: median ");
    has("in a bad hour\"");
    // The line is the number that the text says and that was judged.
    has("Daily average 0.30 % loss");
    has("daily average 0.30 %");
    has("the agent was not running for 2.0 h");
    has("four weeks to 2026-03-02");
    has("limit 1.00 %");
    has("href=\"?date=2026-03-01\"");
    has("href=\"?date=2026-03-03\"");
    has("berlin-1");
    has("simulated data");
    assert_eq!(page.body.matches("<details>").count(), 3, "each kind of picture has a table");

    let unseen = bed.get(&format!("{address}?date=2026-03-05")).await.body;
    assert!(unseen.contains("aria-label=\"00:00–24:00: no data\""));
    assert!(!unseen.contains("class=\"median\""));
    let today = bed.get(&format!("{address}?date=2026-03-06")).await.body;
    assert!(!today.contains("next day"), "tomorrow is not known");
    let wifi = bed.get(&format!("{address}?link=wifi")).await.body;
    assert!(wifi.contains("Looking at <strong>wifi only</strong>"));
}

#[tokio::test]
async fn a_building_whose_row_is_its_worst_networks_shows_that_network_and_says_so() {
    let bed = Bed::full();
    let id = bed.building(MASKED);
    let subnets = bed.control.subnets().expect("subnets");
    let subnet = subnets.iter().find(|subnet| subnet.building == id).expect("a subnet").id;
    let mut part = day_summary(id, date(2026, 3, 3), true);
    part.scope = Scope::Subnet(subnet, LinkKind::Wired);
    let mut other = part.clone();
    other.scope = Scope::Subnet(subnet, LinkKind::Wifi);
    let hour = other.worst_hour.as_mut().expect("an hour");
    (hour.dominant, hour.rtt_us_p90, hour.bad) = (Some(Breach::Delay), 310_000, 15);
    let write = JudgeWrite { days: vec![part, other], ..JudgeWrite::default() };
    bed.control.write_judgement(&write, NOW).expect("write");

    let address = format!("/buildings/{id}");
    let page = bed.get(&address).await.body;
    assert_safe(&page);
    let has = |page: &str, text: &str| assert!(page.contains(text), "{text}: {page}");
    has(&page, "Looking at <strong>Berlin HQ floor 1 10.1.1.0/24, wired only</strong>: the");
    has(&page, "The day: Tue 2026-03-03");
    has(&page, "Daily average 0.30 % loss");
    has(&page, "The daily average is the flat line at 0.30 %.");
    // The week ends today, whatever day is shown.
    has(&page, "four weeks to 2026-03-06");
    has(&page, "&#38;whole=yes");
    // Each network has the figures of what is wrong there.
    has(&page, "10:00–11:00: 2.40 % loss, 50 % bad (loss)");
    has(&page, "10:00–11:00: 310 ms round trip, 25 % bad (delay)");

    let whole = bed.get(&format!("{address}?date=2026-03-03&whole=yes")).await.body;
    assert!(!whole.contains("Looking at"), "{whole}");
    has(&whole, "That is the verdict on its worst network, Berlin HQ floor 1, wired");
    // What is drawn has its own average: 60 of 1440 windows lost 4 %.
    assert!(!whole.contains("Daily average 0.30 % loss"));
    has(&whole, "The daily average is the flat line at 0.17 %.");
    has(&whole, "href=\"?date=2026-03-02&#38;whole=yes\"");
}

#[tokio::test]
async fn without_a_date_the_last_bad_day_is_shown() {
    let bed = Bed::full();
    let page = bed.get(&format!("/buildings/{}", bed.building(MASKED))).await.body;
    assert!(page.contains("The day: Tue 2026-03-03"));
}

#[tokio::test]
async fn a_hostile_name_is_only_ever_text() {
    let bed = Bed::full();
    let page = bed.get(&format!("/buildings/{}", bed.building(HOSTILE))).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_safe(&page.body);
    assert!(page.body.contains("&#60;script&#62;") && page.body.contains("&lt;script&gt;"));
    assert!(page.body.contains("No agent lives here"));
    assert!(!page.body.contains("class=\"verdict good\""));
}

#[tokio::test]
async fn a_date_at_the_end_of_the_calendar_is_only_an_empty_day() {
    let bed = Bed::full();
    let address = format!("/buildings/{}", bed.building(MASKED));
    for date in ["-009999-01-01", "0000-02-29", "9999-12-31"] {
        let page = bed.get(&format!("{address}?date={date}")).await;
        assert_eq!(page.status, StatusCode::OK, "{date}");
        assert_safe(&page.body);
        bed.items(&format!("/api/v1{address}/map?date={date}")).await;
    }
    let page = bed.get(&format!("{address}?date=soon")).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.body.contains("date cannot be"));
}

#[tokio::test]
async fn an_empty_collector_says_what_to_do() {
    let page = Bed::empty().get("/").await.body;
    assert_safe(&page);
    assert!(page.contains("busyhour building import FILE"));
}

#[tokio::test]
async fn the_assets_are_small_and_from_here() {
    let bed = Bed::empty();
    let mut size = 0;
    for (address, kind) in [
        ("/assets/page.css", "text/css; charset=utf-8"),
        ("/assets/page.js", "text/javascript; charset=utf-8"),
        ("/assets/icon.svg", "image/svg+xml"),
    ] {
        let asset = bed.get(address).await;
        assert_eq!((asset.status, asset.header("content-type")), (StatusCode::OK, kind));
        assert!(asset.header("cache-control").contains("max-age"));
        assert!(!asset.body.contains("url(") && !asset.body.contains("@import"));
        size += asset.body.len();
    }
    assert!(size < 20_000, "{size} bytes");
    let css = bed.get("/assets/page.css").await.body;
    assert!(css.contains("prefers-color-scheme:dark") && css.contains(":focus-visible"));
}
