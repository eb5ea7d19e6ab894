//! What must hold of every page: rules of accessibility, the keyboard, 200 % zoom, no scripts.

use std::collections::BTreeSet;
use std::fs;

use e2e::{Browser, tools};
use serde_json::Value;

/// The size of a window that most have.
pub(crate) const WINDOW: (u32, u32) = (1280, 1024);
/// Steps of the keyboard beyond the controls before the first is there again.
const SLACK: usize = 4;

/// Everything folded is open, so that all of a page is walked.
const UNFOLD: &str = "document.querySelectorAll('details').forEach((one) => { one.open = true; })";
/// Numbers what the keyboard must reach, in the order of the page; how many there are.
const NUMBER: &str = r#"(() => {
  const asked = "a[href],button,input:not([type=hidden]),select,textarea,summary,[tabindex='0']";
  const all = [...document.querySelectorAll(asked)]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled)
    .filter((one) => !one.closest(".news"));
  window.walked = new Map(all.map((one, at) => [one, at]));
  return all.length;
})()"#;
/// Where the keyboard is: which control, whether that can be seen, and whether the focus can.
const WHERE: &str = r#"(() => {
  const one = document.activeElement;
  if (!one || one === document.body || one.closest(".news")) return null;
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const stroke = one instanceof SVGElement && style.stroke !== "none"
    && parseFloat(style.strokeWidth) >= 2;
  return {
    at: window.walked.get(one) ?? -1,
    ring: ring || stroke,
    seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight
      && box.right > 0 && box.left < innerWidth,
    what: one.outerHTML.slice(0, 160),
  };
})()"#;
/// How far the page is wider than its window, and by what.
const WIDER: &str = r#"(() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return "";
  const inside = (one) => one.closest(".scroll") && !one.classList.contains("scroll");
  const wide = [...document.querySelectorAll("body *")]
    .filter((one) => !inside(one) && one.getBoundingClientRect().right > width + 1);
  return `${document.documentElement.scrollWidth} of ${width}: `
    + wide.slice(-3).map((one) => one.outerHTML.slice(0, 120)).join(" | ");
})()"#;
/// What there is to read and to use.
const CONTENT: &str = r#"JSON.stringify([
  document.querySelector("h1")?.textContent,
  document.querySelectorAll("main a[href]").length,
  document.querySelectorAll("main form").length,
  document.querySelectorAll("main table").length,
  document.querySelectorAll("main svg").length,
])"#;

/// Walks with the keyboard through the page that is open: every control is reached, in the order of the
/// page, where it is can be seen, and nothing holds the focus.
pub(crate) fn keyboard(browser: &mut Browser, page: &str) {
    browser.evaluate(UNFOLD);
    let count = browser.evaluate(NUMBER).as_u64().expect("a number") as usize;
    let mut reached: BTreeSet<u64> = BTreeSet::new();
    let mut before = None;
    for _ in 0..count + SLACK {
        browser.press("Tab");
        let told = browser.evaluate(WHERE);
        if told.is_null() {
            // The end of the page, from where it begins again; or the news, which come when they come.
            if reached.len() == count {
                break;
            }
            continue;
        }
        let at = told["at"].as_u64();
        let at = at.unwrap_or_else(|| panic!("{page}: Tab comes to what is no control: {told}"));
        if reached.len() == count {
            break;
        }
        assert!(before.is_none_or(|before| before < at), "{page}: out of order or held: {told}");
        assert!(told["ring"] == true, "{page}: the focus cannot be seen: {told}");
        assert!(told["seen"] == true, "{page}: what has the focus cannot be seen: {told}");
        reached.insert(at);
        before = Some(at);
    }
    let missed: Vec<u64> = (0..count as u64).filter(|at| !reached.contains(at)).collect();
    let first = missed.first().map(|at| {
        browser.evaluate(&format!("[...window.walked.keys()][{at}].outerHTML.slice(0, 200)"))
    });
    assert!(missed.is_empty(), "{page}: Tab misses {} of {count}: {first:?}", missed.len());
}

/// Rules of accessibility: none is broken in a way that is called serious or critical.
pub(crate) fn rules(browser: &mut Browser, page: &str) {
    browser.evaluate(UNFOLD);
    browser.evaluate(&axe());
    let told = browser.evaluate(
        "axe.run(document, { resultTypes: ['violations'] }).then((told) => told.violations.map((rule) => ({
           rule: rule.id, impact: rule.impact,
           where: rule.nodes.slice(0, 4).map((node) => node.html.slice(0, 200) + ' ' + node.failureSummary),
         })))",
    );
    let broken = told.as_array().expect("a list");
    let grave = |rule: &&Value| {
        ["serious", "critical"].contains(&rule["impact"].as_str().unwrap_or("critical"))
    };
    for rule in broken.iter().filter(|rule| !grave(rule)) {
        eprintln!("{page}: not grave: {rule}");
    }
    let grave: Vec<&Value> = broken.iter().filter(grave).collect();
    assert!(grave.is_empty(), "{page}: {grave:#?}");
}

/// Where the rules lie, when they were fetched.
pub(crate) fn have_rules() -> bool {
    let found = tools().join("axe.min.js").is_file();
    if !found {
        e2e::cannot_run("there is no axe-core; .ci/packages fetches it");
    }
    found
}

fn axe() -> String {
    let axe = fs::read_to_string(tools().join("axe.min.js")).expect("axe-core can be read");
    format!("{axe};undefined")
}

/// At 200 % a page of usual width is read by scrolling down only.
pub(crate) fn zoomed(browser: &mut Browser, page: &str) {
    let (width, height) = WINDOW;
    browser.resize(width / 2, height / 2, 2.0);
    browser.evaluate(UNFOLD);
    let wider = browser.evaluate(WIDER);
    assert!(wider == "", "{page} at 200 % scrolls to the side: {wider}");
    browser.resize(width, height, 1.0);
}

/// What there is to read and to use in the page that is open.
pub(crate) fn content(browser: &mut Browser) -> String {
    browser.evaluate(CONTENT).as_str().expect("a text").to_owned()
}
