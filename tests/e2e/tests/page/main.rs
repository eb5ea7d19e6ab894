//! Every page in a real browser: in light and dark, by keyboard alone, without scripts, at 200 % zoom,
//! and by the rules of accessibility. The pictures of the documents are taken on the way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod keys;
mod pages;
mod walk;

use std::fs;
use std::path::Path;

use e2e::{Browser, Demo, have, program, wait_for};
use pages::{Known, Page, pages};
use serde_json::Value;
use tempfile::TempDir;
use walk::WINDOW;

/// The building whose daily average hides its bad hours.
const MASKED: &str = "Berlin HQ";
const PASSWORD: &str = "only for this test";
/// Pages whose pictures the documents show.
const SHOWN: [(&str, &str, &str); 6] = [
    ("overview", "light", "overview.png"),
    ("overview", "dark", "overview-dark.png"),
    ("buildings-one", "light", "building.png"),
    ("incidents-one", "light", "incident.png"),
    ("paths-one", "light", "path.png"),
    ("matrix", "light", "matrix.png"),
];

/// What stands in the addresses, asked while nobody has to sign in.
fn known(demo: &Demo) -> Known {
    let items = |path: &str| -> Vec<Value> {
        let answer: Value = serde_json::from_slice(&demo.get(path)).unwrap();
        answer["items"].as_array().unwrap().clone()
    };
    let named = |path: &str, name: &str| {
        let found = items(path).into_iter().find(|item| item[name] == MASKED);
        found.unwrap_or_else(|| panic!("nothing of {MASKED} at {path}"))
    };
    let building = named("/api/v1/buildings", "name")["id"].as_str().unwrap().to_owned();
    let subnet = named("/api/v1/subnets", "building")["id"].as_str().unwrap().to_owned();
    let incident = wait_for("the masked building's incident", || demo.open_incident_of(MASKED));
    let paths = items("/api/v1/paths").into_iter();
    let mut paths = paths.filter(|path| path["agent"].as_str().unwrap().contains("berlin"));
    let path = paths.next().expect("a path of the masked building")["id"].to_string();
    Known { building, subnet, incident, path: path.trim_matches('"').to_owned() }
}

/// Makes the first administrator with the keyboard alone, in a browser without scripts.
fn set_up(browser: &mut Browser, demo: &Demo, temporary: &Path) {
    let folder = fs::read_dir(temporary).unwrap().next().expect("the demonstration's folder");
    let log = fs::read_to_string(folder.unwrap().path().join("collector/log")).unwrap();
    let code = log.lines().find_map(|line| line.split_once("the code is ")).expect("a code").1;
    browser.scripts(false);
    browser.open(&format!("{}{}", demo.page(), pages::SET_UP));
    let code = code.trim();
    for (field, said) in [("code", code), ("name", "walker"), ("password", PASSWORD)] {
        tab_to(browser, &format!("#{field}"));
        browser.write(said);
    }
    browser.press("Enter");
    browser
        .wait_until("the overview", "location.pathname === '/' && !!document.querySelector('h1')");
    browser.scripts(true);
}

/// Goes with Tab to what a selector names.
pub(crate) fn tab_to(browser: &mut Browser, selector: &str) {
    for _ in 0..500 {
        browser.press("Tab");
        let there = format!("!!document.activeElement?.matches({selector:?})");
        if browser.evaluate(&there) == true {
            return;
        }
    }
    panic!("Tab does not come to {selector}");
}

fn walk_through(browser: &mut Browser, demo: &Demo, page: &Page, folder: &Path) {
    let (name, url) = (&page.name, format!("{}{}", demo.page(), page.address));
    eprintln!("walking {name}: {}", page.address);
    browser.open(&url);
    let status = "performance.getEntriesByType('navigation')[0].responseStatus";
    let expected = if name == "problem" { 404 } else { 200 };
    assert_eq!(browser.evaluate(status), expected, "{name}: {url}");
    let with_scripts = walk::content(browser);
    for theme in ["light", "dark"] {
        browser.prefer(theme);
        browser.open(&url);
        browser.picture(&folder.join(format!("{name}-{theme}.png")), false);
        browser.picture(&folder.join(format!("{name}-{theme}-whole.png")), true);
        walk::rules(browser, &format!("{name}, {theme}"));
        walk::keyboard(browser, &format!("{name}, {theme}"));
    }
    browser.prefer("light");
    walk::zoomed(browser, name);
    browser.scripts(false);
    browser.open(&url);
    assert_eq!(walk::content(browser), with_scripts, "{name} without scripts");
    walk::keyboard(browser, &format!("{name}, without scripts"));
    browser.scripts(true);
}

#[test]
fn every_page_can_be_read_and_used_by_keyboard_in_both_themes_enlarged_and_without_scripts() {
    if !have("chromium") || !walk::have_rules() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let demo = Demo::start(&temporary, folder.path().join("messages"));
    wait_for("all of the history", || demo.said().contains("all history is loaded").then_some(()));
    let known = known(&demo);
    let pictures = program("busyhour").parent().unwrap().join("pictures");
    fs::create_dir_all(&pictures).unwrap();

    let mut browser = Browser::start(&folder.path().join("profile"));
    browser.resize(WINDOW.0, WINDOW.1, 1.0);
    let first = Page { name: "set-up".to_owned(), address: pages::SET_UP.to_owned() };
    walk_through(&mut browser, &demo, &first, &pictures);
    set_up(&mut browser, &demo, &temporary);
    for page in pages(&known) {
        walk_through(&mut browser, &demo, &page, &pictures);
    }
    keys::save_steps(&mut browser, demo.page());
    keys::go_from_day_to_day(&mut browser, demo.page(), &known);
    keys::go_from_value_to_value(&mut browser, demo.page(), &known);
    keys::dragging_looks_closer(&mut browser, demo.page(), &known);
    keys::news_are_told_and_nothing_moves(&mut browser, demo.page(), &known);
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pictures");
        for (name, theme, file) in SHOWN {
            fs::copy(pictures.join(format!("{name}-{theme}.png")), docs.join(file)).unwrap();
        }
    }
}
