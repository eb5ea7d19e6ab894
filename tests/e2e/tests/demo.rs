//! The demonstration as a newcomer starts it, and its page in a real browser.

use std::fs;

use e2e::{Demo, LIMIT, chromium, have, wait_for};
use tempfile::TempDir;

/// The building whose daily average hides its bad hours.
const MASKED: &str = "Berlin HQ";

#[test]
fn the_masked_building_comes_first_on_the_page_in_a_real_browser() {
    if !have("chromium") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let demo = Demo::start(&temporary, folder.path().join("messages"));
    assert_eq!(demo.printed().iter().filter(|line| line.contains("--collector")).count(), 4);

    let profile = folder.path().join("profile");
    let dump = |path: &str| {
        let url = format!("{}{path}", demo.page());
        String::from_utf8(chromium(&profile, &["--dump-dom", &url])).unwrap()
    };
    // The browser asks once the collector says that the incident is there.
    let incident = wait_for("the masked building's incident", || demo.open_incident_of(MASKED));
    wait_for("the masked building at the top", || {
        demo.busyhour(&["top", "-n", "1", "--no-headers"]).contains(MASKED).then_some(())
    });
    let said = demo.said();
    assert!(
        !said.contains("week 2 of 2 is loaded"),
        "the newest week is enough, and comes first: {said}"
    );
    let overview = dump("/");
    let position = |text: &str| overview.find(text).unwrap_or(usize::MAX);
    for other in ["Seattle Campus", "London Bridge House", "Bengaluru Tower", "Sydney Quay"] {
        assert!(position(MASKED) < position(other), "{MASKED} comes before {other}");
    }
    assert!(overview.contains("imulated"), "simulated data says so");

    let building = overview
        .split("href=\"")
        .filter_map(|rest| rest.split('"').next())
        .find(|href| href.starts_with("/buildings/"))
        .expect("the overview links to buildings")
        .to_owned();
    let page = dump(&building);
    assert!(page.contains(MASKED) && page.contains("<svg"), "the building page has its pictures");

    let shown = demo.busyhour(&["incident", "show", &incident]);
    assert!(shown.starts_with(MASKED) && shown.contains("Why we think so"), "{shown}");
    let page = dump(&format!("/incidents/{incident}"));
    assert!(page.contains(MASKED) && page.contains("imulated"), "the incident has its page");

    // Windows of real packets on loopback arrive as well.
    wait_for("a window of real packets", || {
        demo.busyhour(&["path", "ls", "-o", "csv"]).contains("127.0.0.1:").then_some(())
    });

    wait_for("all of the history", || demo.said().contains("all history is loaded").then_some(()));

    assert!(demo.interrupt(), "Ctrl-C ends it in order");
    let left: Vec<_> =
        fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "nothing is left behind: {left:?} (limit {LIMIT:?})");
}
