//! What holds for every picture: well formed, escaped, the same each time; missing is never good.

use busyhour_chart::{
    CELLS, DayCurve, DayMark, DayShape, HourMap, Level, MapCell, Percentiles, Quarter, Svg, Unit,
    cell_name, dated_strip, day_strip,
};
use jiff::civil::date;

#[path = "pictures/finding_map.rs"]
mod finding_map;
#[path = "pictures/smoke.rs"]
mod smoke;

const HOSTILE: &str = "<script>alert('x')</script> & \"Sons\" \u{1}";

/// Checks that tags nest and close, attributes are quoted and nothing is left unescaped.
fn assert_well_formed(svg: &Svg) {
    let mut rest = svg.as_str();
    let mut open: Vec<&str> = Vec::new();
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        assert!(!text.contains('>'), "a stray > in {text:?}");
        rest = &rest[at + 1..];
        let end = rest.find('>').expect("every tag ends");
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes of {tag}");
        assert!(!tag.contains('<'));
        let name = tag.split([' ', '/']).next().expect("split gives at least one part");
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    assert!(rest.is_empty(), "one element and no more");
    assert!(!svg.as_str().contains("<script"));
    assert!(!svg.as_str().contains('\u{1}'));
    assert!(!svg.as_str().contains("style="), "no inline style");
    assert!(!svg.as_str().contains(" id="), "no ids");
    for number in ["NaN", "inf"] {
        assert!(!svg.as_str().contains(number));
    }
}

fn map(cells: &[MapCell; CELLS]) -> Svg {
    let business = "Mo-Fr 08:00-18:00; Sa 09:30-12:00".parse().expect("valid hours");
    HourMap { name: HOSTILE, cells, business: Some(&business) }.draw()
}

fn quarters() -> Vec<Quarter> {
    let quarter = |n: u16| Quarter {
        minute: n * 15,
        percentiles: (!(20..28).contains(&n)).then(|| Percentiles {
            p50: 0.0,
            p90: f64::from(n % 7) / 10.0,
            p99: f64::from(n % 11),
        }),
        business: (32..72).contains(&n),
        bad: (40..48).contains(&n),
        passed: true,
    };
    (0..96).map(quarter).collect()
}

fn curve(quarters: &[Quarter]) -> Svg {
    DayCurve { name: HOSTILE, unit: Unit::Percent, quarters, average: Some(0.3), limit: Some(1.0) }
        .draw()
}

#[test]
fn pictures_are_well_formed_and_escaped_and_the_same_each_time() {
    let mut cells = [MapCell { expected: 240, valid: 240, bad: 0 }; CELLS];
    cells[9].bad = 29;
    cells[10] = MapCell::default();
    let days: Vec<DayMark> = [
        DayShape::Good,
        DayShape::PeakBad,
        DayShape::AllDayBad,
        DayShape::Unknown,
        DayShape::Closed,
    ]
    .into_iter()
    .map(|shape| DayMark { date: date(2026, 3, 2), shape, note: HOSTILE.to_owned() })
    .collect();
    for draw in [
        || map(&[MapCell::default(); CELLS]),
        || curve(&quarters()),
        || curve(&[]),
        || day_strip(HOSTILE, &[]),
    ] {
        assert_well_formed(&draw());
        assert_eq!(draw(), draw());
    }
    assert_well_formed(&map(&cells));
    assert_well_formed(&day_strip("days", &days));
    assert_well_formed(&dated_strip("days", &days));
    assert_well_formed(&dated_strip("days", &[]));
}

#[test]
fn a_strip_that_stands_alone_tells_its_first_and_its_last_date() {
    let mark =
        |day| DayMark { date: date(2026, 3, day), shape: DayShape::Unknown, note: String::new() };
    let days: Vec<DayMark> = (2..=15).map(mark).collect();
    let svg = dated_strip("days", &days).to_string();
    let texts = svg.lines().filter(|line| line.starts_with("<text")).collect::<Vec<_>>();
    let [first, last] = texts[..] else { panic!("two dates: {texts:?}") };
    assert!(first.contains("x=\"1\"") && first.contains(">2026-03-02<"), "{first}");
    assert!(last.contains("\"end\"") && last.contains(">2026-03-15<"), "{last}");
    let png = dated_strip("days", &days).png().expect("a bitmap");
    assert_eq!(png.width, 198);
}

#[test]
fn absurd_values_do_not_break_a_curve() {
    let mut odd = quarters();
    for (quarter, value) in odd.iter_mut().zip([f64::NAN, f64::INFINITY, -3.0, 1e300, 1e-300]) {
        quarter.percentiles = Some(Percentiles { p50: value, p90: value, p99: value });
    }
    let svg = DayCurve {
        name: "odd",
        unit: Unit::Milliseconds,
        quarters: &odd,
        average: None,
        limit: None,
    };
    let text = svg.draw().to_string();
    assert!(!text.contains("M-"), "everything stays inside");
    assert!(!text.contains("d=\"MNaN"));
}

#[test]
fn a_cell_tells_its_hour_share_and_count() {
    let mut cells = [MapCell { expected: 240, valid: 240, bad: 0 }; CELLS];
    cells[9].bad = 29;
    let svg = map(&cells).to_string();
    assert!(svg.contains("aria-label=\"Mon 09–10: 12 % bad, n=240\""));
    assert!(svg.contains(">12</text>"), "a bad cell shows its number, not only a colour");
    assert!(svg.contains("aria-label=\"Sun 23–24: 0.0 % bad, n=240\""));
    assert_eq!(cell_name(CELLS - 1), "Sun 23–24");
}

#[test]
fn levels_follow_the_share_of_bad_windows() {
    for (expected, valid, bad, level) in [
        (240, 0, 0, Level::Unknown),
        (240, 11, 0, Level::Unknown),
        (240, 47, 40, Level::Unknown),
        (240, 48, 0, Level::Good),
        (0, 12, 0, Level::Good),
        (100, 100, 1, Level::Good),
        (100, 100, 2, Level::Some),
        (100, 100, 5, Level::Bad),
        (100, 100, 100, Level::Bad),
    ] {
        assert_eq!(MapCell { expected, valid, bad }.level(), level, "{valid} of {expected}, {bad}");
    }
}

#[test]
fn what_is_missing_is_hatched_and_never_good() {
    let svg = map(&[MapCell { expected: 240, valid: 3, bad: 0 }; CELLS]).to_string();
    assert_eq!(svg.matches("class=\"cell good\"").count(), 1, "only in the legend");
    assert_eq!(svg.matches("class=\"cell unknown\"").count(), CELLS + 1);
    assert_eq!(svg.matches("class=\"hatch\"").count(), CELLS + 1);
    assert!(svg.contains("Mon 00–01: unknown, n=3 of 240"));

    let svg = curve(&quarters()).to_string();
    assert!(svg.contains("aria-label=\"05:00–07:00: no data\""));
    assert_eq!(svg.matches("class=\"median\"").count(), 2, "the line is broken at the gap");

    let mut today = quarters();
    for quarter in &mut today[20..] {
        (quarter.percentiles, quarter.passed) = (None, false);
    }
    assert!(!curve(&today).as_str().contains("no data\""), "what is to come is no gap");
}

#[test]
fn the_average_and_the_limit_are_drawn_flat_and_said_in_words() {
    let svg = curve(&quarters()).to_string();
    assert!(svg.contains("class=\"average\" role=\"img\" aria-label=\"daily average 0.30 %\""));
    assert!(svg.contains(">limit 1.00 %</text>"));
    assert_eq!(svg.matches("in a bad hour\"").count(), 8);
}

#[test]
fn days_differ_in_shape_and_not_only_in_colour() {
    let shapes = [
        DayShape::Good,
        DayShape::PeakBad,
        DayShape::AllDayBad,
        DayShape::Unknown,
        DayShape::Closed,
    ];
    let mut outlines: Vec<String> = shapes
        .map(|shape| {
            let day = DayMark { date: date(2026, 3, 2), shape, note: String::new() };
            let svg = day_strip("days", &[day]).to_string();
            assert!(svg.contains(&format!("2026-03-02: {}", shape.words())));
            svg.lines().nth(1).unwrap().split(" class=").next().unwrap().to_owned()
        })
        .to_vec();
    outlines.sort();
    outlines.dedup();
    assert_eq!(outlines.len(), shapes.len());
}
