//! What scripts add: keys that save steps, values by arrow keys, dragging, and news.

use e2e::Browser;

use crate::pages::Known;
use crate::tab_to;

/// The keys that are told at the foot of each page.
pub(crate) fn save_steps(browser: &mut Browser, page: &str) {
    browser.open(page);
    browser.press("?");
    let told = "document.activeElement.closest('#keys')?.open === true";
    assert!(browser.evaluate(told) == true, "? tells the keys");
    browser.open(page);
    browser.press("/");
    assert!(browser.evaluate("document.activeElement.matches('input[type=search]')") == true);
    // In a field a letter is a letter.
    browser.write("g");
    browser.press("i");
    assert!(browser.evaluate("document.activeElement.value") == "gi");
    browser.press("Enter");
    browser.wait_until("the search", "location.search.includes('q=gi')");

    browser.open(page);
    let first = "document.querySelector('main .incidents a, main tbody th a').getAttribute('href')";
    let first = browser.evaluate(first).as_str().expect("a link").to_owned();
    for key in ["j", "j", "k"] {
        browser.press(key);
    }
    let there = browser.evaluate("document.activeElement.getAttribute('href')");
    assert_eq!(there, first.as_str(), "down, down, up is the first");
    browser.press("Enter");
    browser.wait_until("what is opened", &format!("location.pathname === {first:?}"));
    for (letter, address) in [("m", "/matrix"), ("i", "/incidents"), ("o", "/")] {
        browser.wait_until("the page", "document.readyState === 'complete'");
        browser.press("g");
        browser.press(letter);
        browser.wait_until(address, &format!("location.pathname === {address:?}"));
    }
}

/// The day before, and after; what has no page after does nothing.
pub(crate) fn go_from_day_to_day(browser: &mut Browser, page: &str, known: &Known) {
    browser.open(&format!("{page}/buildings/{}?date=2026-03-02&whole=yes", known.building));
    for (letter, date) in [("p", "2026-03-01"), ("p", "2026-02-28"), ("n", "2026-03-01")] {
        browser.press(letter);
        let there = format!("location.search === '?date={date}&whole=yes'");
        browser.wait_until(date, &there);
        browser.wait_until("the page", "document.readyState === 'complete'");
    }
    browser.open(&format!("{page}/account"));
    browser.press("n");
    assert_eq!(browser.evaluate("location.pathname"), "/account", "nothing comes after it");
}

/// The arrows go through the values of a picture, and each is read out under it.
pub(crate) fn go_from_value_to_value(browser: &mut Browser, page: &str, known: &Known) {
    browser.open(&format!("{page}/buildings/{}", known.building));
    tab_to(browser, "svg.bh-map [role=img]");
    for (key, next) in [("ArrowRight", 1), ("ArrowDown", 25), ("ArrowUp", 1), ("ArrowLeft", 0)] {
        browser.press(key);
        let told = browser.evaluate(&format!(
            "(() => {{ const mark = document.querySelectorAll('svg.bh-map [role=img]')[{next}];
               const name = mark.getAttribute('aria-label') ?? mark.querySelector('title').textContent;
               const said = mark.closest('figure').querySelector('.readout').textContent;
               return document.activeElement === mark && said === name; }})()"
        ));
        assert!(told == true, "{key} goes to value {next} and says it");
    }
}

/// Drags over a part of what a selector names: the shares of its width, in the middle of its height.
fn drag(browser: &mut Browser, selector: &str, (from, until): (f64, f64)) {
    let place = browser.evaluate(&format!(
        "(() => {{ const one = document.querySelector({selector:?});
           one.scrollIntoView({{ block: 'center' }});
           const box = one.getBoundingClientRect();
           return [box.left, box.width, box.top + box.height / 2]; }})()"
    ));
    let [left, width, y] = [0, 1, 2].map(|at| place[at].as_f64().expect("a number"));
    browser.drag((left + from * width, y), (left + until * width, y));
}

/// Dragging across a picture is an address of its own.
pub(crate) fn dragging_looks_closer(browser: &mut Browser, page: &str, known: &Known) {
    browser.open(&format!("{page}/buildings/{}", known.building));
    drag(browser, "figure[data-from-minute] svg", (0.4, 0.6));
    browser.wait_until("some hours", "/hours=\\d\\d%3A\\d\\d-/.test(location.search)");
    browser.open(&format!("{page}/paths/{}", known.path));
    drag(browser, "figure[data-from-s] svg", (0.4, 0.6));
    browser.wait_until("some of the time", "location.search.includes('from=')");
    let day = format!("/buildings/{}", known.building);
    for address in [format!("/incidents/{}", known.incident), day.clone()] {
        browser.open(&format!("{page}{address}"));
        drag(browser, "figure[data-home] g.row", (0.2, 0.4));
        let there = format!("location.pathname === {day:?} && location.search.includes('hours=')");
        browser.wait_until("the day in the building", &there);
    }
}

/// When something changes it is said at the edge, and what is read stays where it is.
pub(crate) fn news_are_told_and_nothing_moves(browser: &mut Browser, page: &str, known: &Known) {
    browser.open(&format!("{page}/incidents/{}", known.incident));
    browser.evaluate("scrollTo(0, 300)");
    let seen =
        "JSON.stringify([scrollY, document.querySelector('main').getBoundingClientRect().height,
                document.querySelector('main').textContent])";
    let before = browser.evaluate(seen);
    // The demonstration goes on measuring, and the judge looks again and again.
    browser.wait_until("news", "!document.querySelector('.news').hidden");
    assert_eq!(browser.evaluate(seen), before, "nothing moved");
}
