//! The demonstration as a newcomer starts it, and its page in a real browser.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::fs;
use std::path::{Path, PathBuf};

use e2e::{Demo, LIMIT, chromium, have, program, wait_for};
use tempfile::TempDir;

/// The building whose daily average hides its bad hours.
const MASKED: &str = "Berlin HQ";

/// Takes a picture of a page; where it lies.
fn picture(profile: &Path, name: &str, url: &str, size: &str, more: &[&str]) -> PathBuf {
    let folder = program("busyhour").parent().unwrap().join("pictures");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(name);
    let (shot, size) =
        (format!("--screenshot={}", file.display()), format!("--window-size={size}"));
    let mut arguments = vec![shot.as_str(), size.as_str()];
    arguments.extend(more);
    arguments.push(url);
    chromium(profile, &arguments);
    assert!(fs::metadata(&file).unwrap().len() > 10_000, "the picture shows something");
    file
}

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
    let url = |path: &str| format!("{}{path}", demo.page());
    let overview = picture(&profile, "overview.png", &url("/"), "1200,1000", &[]);
    let one = picture(&profile, "building.png", &url(&building), "1200,1600", &[]);
    let dark = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"];
    picture(&profile, "overview-dark.png", &url("/"), "1200,1000", &dark);
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pictures");
        fs::create_dir_all(&docs).unwrap();
        fs::copy(&overview, docs.join("overview.png")).unwrap();
        fs::copy(&one, docs.join("building.png")).unwrap();
    }

    assert!(demo.interrupt(), "Ctrl-C ends it in order");
    let left: Vec<_> =
        fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "nothing is left behind: {left:?} (limit {LIMIT:?})");
}
