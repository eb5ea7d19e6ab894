//! Subnets, the matrix, and the files of pictures.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use crate::support::{Bed, HOSTILE, MASKED};

fn subnet(bed: &Bed, name: &str) -> String {
    let subnets = bed.control.subnets().expect("subnets").into_iter();
    let mut of_it = subnets.filter(|subnet| subnet.building == bed.building(name));
    of_it.next().expect("a subnet").id.to_string()
}

#[tokio::test]
async fn a_subnet_shows_its_days_incidents_agents_and_paths_and_its_building_leads_there() {
    let bed = Bed::full();
    let subnet = subnet(&bed, MASKED);
    let page = bed.get(&format!("/subnets/{subnet}")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    for words in
        ["10.1.1.0/24", MASKED, "berlin-1", "simulated data", "/incidents/1\"", "week.png?"]
    {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    for address in [format!("/buildings/{}", bed.building(MASKED)), "/incidents/1".to_owned()] {
        let from = bed.get(&address).await.body;
        assert!(from.contains(&format!("href=\"/subnets/{subnet}\"")), "{address}");
    }
    let other = bed.get(&format!("/subnets/{}", self::subnet(&bed, "Always Bad"))).await;
    assert!(other.body.contains("tokyo-1") && !other.body.contains("/incidents/1\""));
    let none = bed.get("/subnets/00000000-0000-0000-0000-000000000009").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_matrix_says_how_each_building_s_calls_to_each_target_went() {
    let bed = Bed::full();
    let page = bed.get("/matrix").await.body;
    let (masked, hostile) = (page.find(MASKED), page.find("&#60;script&#62;"));
    assert!(masked < hostile && masked.is_some(), "worst first: {page}");
    assert!(!page.contains(HOSTILE));
    assert!(page.contains("<th scope=\"col\">reflector:862</th>"), "{page}");
    assert!(page.contains("▲") && page.contains("bad at a busy hour"), "{page}");

    let answer = bed.get("/matrix.csv?days=14").await;
    assert!(answer.header("content-type").starts_with("text/csv"));
    let line = answer.body.lines().find(|line| line.contains(MASKED)).expect("a line");
    assert!(line.contains("reflector:862,1,1,bad at a busy hour,2,2,2026-03-0"), "{line}");
    // The days with paths are three and four days ago.
    let lately = bed.get("/matrix.csv?days=1").await.body;
    assert_eq!(lately.lines().count(), 1, "nothing of that day is known: {lately}");
    let nowhere = bed.get("/matrix?region=Nowhere&days=nonsense&page=99").await;
    assert!(nowhere.body.contains("No building is like that"));
}

#[tokio::test]
async fn every_picture_of_a_page_is_a_file_and_its_figures_are_a_table() {
    let bed = Bed::full();
    let building = format!("/buildings/{}", bed.building(MASKED));
    let files = |page: &str| -> Vec<String> {
        let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        links
            .filter(|href| href.contains("/files/"))
            .map(|href| href.replace("&#38;", "&"))
            .collect()
    };
    let mut addresses = Vec::new();
    let network = format!("/subnets/{}", subnet(&bed, MASKED));
    for page in [format!("{building}?date=2026-03-02"), "/incidents/1".to_owned(), network] {
        let found = files(&bed.get(&page).await.body);
        assert!(found.len() >= 3, "{page}: {found:?}");
        addresses.extend(found);
    }
    for address in addresses {
        let request = Request::get(&address).header("host", "localhost:8080");
        let (headers, bytes) = bed.raw(request, Body::empty()).await;
        let kind = headers["content-type"].to_str().expect("a kind");
        let (expected, begin): (_, &[u8]) = match address.split(['?', '.']).nth(1) {
            Some("svg") => ("image/svg+xml", b"<?xml"),
            Some("png") => ("image/png", b"\x89PNG"),
            _ => ("text/csv; charset=utf-8; header=present", b""),
        };
        assert_eq!(kind, expected, "{address}: {}", String::from_utf8_lossy(&bytes));
        assert!(bytes.starts_with(begin) && bytes.len() > 100, "{address}");
    }
    let day = bed.get(&format!("{building}/files/day.csv?date=2026-03-02&whole=yes")).await.body;
    assert!(day.starts_with("local_time,bad_hour,loss_p50,"), "{day}");
    assert_eq!(day.lines().count(), 97, "a line for each quarter-hour, and their names");
    for name in ["week.pdf", "week", "nothing.svg", "day.svg", "loss.csv", "days.pdf"] {
        let answer = bed.get(&format!("{building}/files/{name}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{name}");
    }
}

#[tokio::test]
async fn each_picture_of_the_building_page_leads_to_its_files_and_its_table() {
    let bed = Bed::full();
    let page = bed.get(&format!("/buildings/{}?date=2026-03-02", bed.building(MASKED))).await.body;
    let section = &page[page.find("<main").expect("a page")..];
    let mut figures = 0;
    // What follows a picture, up to the next one.
    for figure in section.split("<figure").skip(1) {
        let after = figure.split_once("</figure>").expect("its end").1;
        for kind in [".svg", ".png", ".csv"] {
            assert!(after.contains(kind), "{kind} after {}", &figure[..200.min(figure.len())]);
        }
        figures += 1;
    }
    assert_eq!(figures, 6, "the incident, the week, two weeks, and three curves");
    // The curves of a day have one table.
    assert_eq!(page.matches("<summary>The same as a table").count(), 3);
    assert!(page.contains("<a href=\"/incidents/1#days\">Day by day as a table</a>"));
}

#[tokio::test]
async fn two_weeks_are_a_file_for_a_building_and_for_each_of_its_networks() {
    let bed = Bed::full();
    let building = format!("/buildings/{}", bed.building(MASKED));
    let network = subnet(&bed, MASKED);
    let first = "date,verdict,hidden_by_average,worst_hour,daily_average,coverage";
    // Nothing was judged of the network, which is not good.
    let unknown = "2026-03-02,unknown,false,,,";
    for (part, monday) in [
        (String::new(), "2026-03-02,bad at a busy hour,true,"),
        (format!("&subnet={network}&link=wired"), unknown),
    ] {
        let file = format!("{building}/files/days.csv?date=2026-03-04{part}");
        let days = bed.get(&file).await.body;
        let lines: Vec<&str> = days.lines().collect();
        assert_eq!((lines.len(), lines[0]), (15, first), "{file}: {days}");
        assert!(lines[1].starts_with("2026-02-19,") && lines[14].starts_with("2026-03-04,"));
        assert!(lines[12].starts_with(monday), "{days}");
        assert_eq!(lines[3], "2026-02-21,unknown,false,,,");
    }
    let elsewhere = subnet(&bed, HOSTILE);
    for (part, status) in [
        (format!("subnet={network}"), StatusCode::BAD_REQUEST),
        ("link=wired".to_owned(), StatusCode::BAD_REQUEST),
        (format!("subnet={elsewhere}&link=wired"), StatusCode::NOT_FOUND),
    ] {
        let answer = bed.get(&format!("{building}/files/days.csv?{part}")).await;
        assert_eq!(answer.status, status, "{part}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_part_of_a_day_can_be_looked_at_closer() {
    let bed = Bed::full();
    let building = format!("/buildings/{}?date=2026-03-02", bed.building(MASKED));
    let marks = |page: &str| page.matches("class=\"hit\"").count();
    let whole = bed.get(&building).await.body;
    let closer = bed.get(&format!("{building}&hours=09:00-12:00")).await.body;
    assert_eq!(marks(&whole), 3 * 96);
    assert_eq!(marks(&closer), 3 * 12, "three curves of twelve quarter-hours");
    assert!(closer.contains("Draw the whole day"));
    for wrong in ["9-12", "12:00-09:00", "09:07-12:00", "00:00-99:00", "x"] {
        let answer = bed.get(&format!("{building}&hours={wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}
