//! The picture of a finding: each value is reachable, what is missing is hatched, nothing
//! overflows.

use std::path::Path;

use busyhour_chart::{
    AverageOf, AverageSaid, BusySource, FindingCell, FindingDay, FindingMap, FindingVerdict, Look,
    MAX_DAYS, Share, Svg, WorstBusyHour,
};
use busyhour_model::DayVerdict;
use jiff::civil::{Date, date};

use crate::{HOSTILE, assert_well_formed};

/// The most that a picture of 15 days may weigh, in bytes, when no hour is like the one before.
const MAX_BYTES: usize = 72_000;
const HOURS: [(u16, u16); 1] = [(570, 780)];

fn cell(quarter: u16, valid: u32, bad: u32) -> FindingCell {
    FindingCell { minute: quarter * 15, minutes: 15, expected: 15, seen: Share { valid, bad } }
}

/// A day with 15 windows in each quarter-hour, of which `bad` are bad.
fn day_of(date: Date, bad: impl Fn(u16) -> u32) -> FindingDay {
    let cells: Vec<_> = (0..96).map(|quarter| cell(quarter, 15, bad(quarter))).collect();
    let sum = |from: usize, until: usize| {
        let part = &cells[from..until];
        Share {
            valid: part.iter().map(|cell| cell.seen.valid).sum(),
            bad: part.iter().map(|cell| cell.seen.bad).sum(),
        }
    };
    let worst = (32..=68).map(|from| (sum(from, from + 4), from)).max_by_key(|(sum, _)| sum.bad);
    let (seen, from) = worst.expect("there are hours");
    let verdict = if seen.bad >= 6 { DayVerdict::PeakBad } else { DayVerdict::Good };
    FindingDay {
        date,
        verdict: FindingVerdict::Judged(verdict),
        busy: vec![(480, 1080)],
        busy_from: BusySource::Learned,
        worst: Some(WorstBusyHour { minute: from as u16 * 15, seen }),
        whole: Some(sum(0, 96)),
        average: Some(AverageSaid { of: AverageOf::Loss, value: 0.31, limit: 1.0 }),
        maintenance: Vec::new(),
        cells,
    }
}

fn good(date: Date) -> FindingDay {
    day_of(date, |_| 0)
}

fn draw(days: &[FindingDay]) -> Svg {
    FindingMap { place: "Building 25", zone: "Europe/Berlin", hours: &HOURS, days }.draw()
}

/// A number below `below` that looks like chance and is the same each time.
fn scatter(day: u32, quarter: u16, below: u32) -> u32 {
    let mixed = (day * 96 + u32::from(quarter)).wrapping_mul(2_654_435_761);
    (mixed ^ mixed >> 15).wrapping_mul(2_246_822_519) / 65_536 % below
}

/// Three weeks with all that can happen in them.
fn example() -> Vec<FindingDay> {
    let mut days: Vec<FindingDay> = Vec::new();
    let mut today = date(2026, 3, 2);
    for number in 0..MAX_DAYS as u32 {
        let grown = number.saturating_sub(5).min(6);
        let mut day = day_of(today, |quarter| {
            let peak: u32 = match quarter {
                38..=40 | 49..=51 => grown,
                41..=48 => grown * (2 + scatter(number, quarter, 2)),
                32..=71 if scatter(number, quarter, 11) == 0 => 1,
                _ => 0,
            };
            if number == 10 { 0 } else { peak.min(15) }
        });
        if number > 4 {
            let value = 0.05 + f64::from(grown) * 0.11;
            day.average = Some(AverageSaid { of: AverageOf::Loss, value, limit: 1.0 });
        }
        days.push(day);
        let next = if number % 5 == 4 { 3 } else { 1 };
        today = today.saturating_add(jiff::Span::new().days(next));
    }
    for quarter in &mut days[3].cells[44..60] {
        quarter.seen = Share::default();
    }
    days[6].verdict = FindingVerdict::Judged(DayVerdict::Missing);
    days[6].cells.iter_mut().skip(30).for_each(|cell| cell.seen = Share::default());
    (days[6].worst, days[6].average) = (None, None);
    days[10].verdict = FindingVerdict::Holiday;
    for day in &mut days[..5] {
        (day.busy, day.busy_from) = (vec![(540, 1020)], BusySource::Configured);
    }
    for day in &mut days[11..] {
        day.busy = vec![(495, 735), (780, 1080)];
    }
    days[14].cells.truncate(70);
    days
}

fn attribute(tag: &str, name: &str) -> String {
    let rest = tag.split_once(&format!("{name}=\"")).expect(name).1;
    rest.split_once('"').expect("quoted").0.to_owned()
}

/// Texts with where they begin and end, when each letter is as wide as its font is high.
fn texts(svg: &Svg) -> Vec<(f64, f64, String)> {
    let mut texts = Vec::new();
    for element in svg.as_str().split("<text").skip(1) {
        let (tag, rest) = element.split_once('>').expect("every tag ends");
        let text = rest.split_once('<').expect("every element ends").0.to_owned();
        let size = if attribute(tag, "class") == "head" { 14.0 } else { 11.0 };
        let x: f64 = attribute(tag, " x").parse().expect("a number");
        let length = text.chars().count() as f64 * size;
        texts.push(match attribute(tag, "text-anchor").as_str() {
            "end" => (x - length, x, text),
            "middle" => (x - length / 2.0, x + length / 2.0, text),
            _ => (x, x + length, text),
        });
    }
    texts
}

fn width(svg: &Svg) -> f64 {
    let (_, rest) = svg.as_str().split_once("viewBox=\"0 0 ").expect("it has a size");
    rest.split_once(' ').expect("and a height").0.parse().expect("a number")
}

#[test]
fn the_picture_is_well_formed_escaped_and_the_same_each_time() {
    let days = example();
    for days in [&days[..], &[]] {
        let map = FindingMap { place: HOSTILE, zone: HOSTILE, hours: &HOURS, days };
        assert_well_formed(&map.draw());
        assert_eq!(map.draw(), map.draw());
    }
    let turned = FindingMap { place: "a\u{202e}b", zone: "UTC", hours: &[], days: &[] }.draw();
    assert!(!turned.as_str().contains('\u{202e}'), "no name turns what stands beside it");
}

#[test]
fn a_picture_of_fifteen_days_stays_small_whatever_they_hold() {
    let ordinary = draw(&example()).as_str().len();
    assert!(ordinary < 35_000, "an ordinary one is smaller: {ordinary} bytes");
    for pattern in [
        // Every quarter-hour has another colour than the one before, or is missing.
        |number: u32, quarter: u16| [0, 1, 3, 9][scatter(number, quarter, 4) as usize],
        |_, quarter| u32::from(quarter % 2) * 15,
        |_, _| 15,
    ] {
        let mut days = example();
        for (number, day) in (0..).zip(&mut days) {
            *day = day_of(day.date, |quarter| pattern(number, quarter));
            day.average =
                Some(AverageSaid { of: AverageOf::RoundTrip, value: 1234.5, limit: 100.0 });
            day.busy = (0..8).map(|n| (n * 150 + number as u16, n * 150 + 75)).collect();
            for cell in day.cells.iter_mut().filter(|cell| cell.minute % 60 == 45) {
                cell.seen = Share::default();
            }
        }
        let bytes = draw(&days).as_str().len();
        assert!(bytes < MAX_BYTES, "{bytes} bytes");
    }
}

#[test]
fn each_quarter_hour_tells_its_share_and_each_hour_its_count() {
    let nine = |quarter: u16| [0, 1, 8, 15].get(usize::from(quarter.wrapping_sub(36))).copied();
    let svg = draw(&[day_of(date(2026, 3, 2), |quarter| nine(quarter).unwrap_or(0))]).to_string();
    assert!(svg.contains("<title>Mon 2 Mar 00:00–09:00, each hour: 0 % bad, n=60</title>"));
    assert!(svg.contains("<title>Mon 2 Mar 09:00: 0, 7, 53, 100 % bad, n=60</title>"));
    assert!(
        draw(&[good(date(2026, 3, 2))])
            .as_str()
            .contains("<title>Mon 2 Mar 00:00–24:00, each hour: 0 % bad, n=60<")
    );

    let mut rare = good(date(2026, 3, 2));
    rare.cells[36].seen = Share { valid: 60_000, bad: 1 };
    assert!(
        draw(&[rare]).as_str().contains("Mon 2 Mar 09:00: &lt;1, 0, 0, 0 % bad"),
        "never nothing"
    );
}

#[test]
fn colours_begin_at_their_shares() {
    for (bad, step) in
        [(0, 0), (19, 0), (20, 1), (49, 1), (50, 2), (149, 2), (150, 3), (399, 3), (400, 4)]
    {
        let mut day = good(date(2026, 3, 2));
        day.cells = vec![cell(40, 1000, bad)];
        let path = format!("<path d=\"M200 8h5\" class=\"heat-{step}\"");
        assert!(draw(&[day]).as_str().contains(&path), "{bad} of 1000");
    }
}

#[test]
fn what_is_missing_is_hatched_and_never_good() {
    let mut day = good(date(2026, 3, 2));
    for cell in &mut day.cells {
        cell.seen.valid = 0;
    }
    // A fifth of 15 windows are three.
    day.cells[36].seen.valid = 2;
    day.cells[40].seen.valid = 3;
    let svg = draw(std::slice::from_ref(&day)).to_string();
    assert!(svg.contains("<path d=\"M200 8h5\" class=\"heat-0\""), "one cell is good, no more");
    assert_eq!(svg.matches("class=\"heat-").count(), 1);
    let hatching = svg.lines().find(|line| line.contains("class=\"hatch\"")).expect("hatched");
    assert_eq!(hatching.matches('M').count(), 95);
    assert!(svg.contains("09:00: too little data, n=2<"));
    assert!(svg.contains("10:00: 0, –, –, – % bad, n=3<"));
    assert!(svg.contains("11:00–24:00, each hour: no data<"));
    assert!(svg.contains(">no data</text>"), "the legend says what hatching averages");
    assert!(!draw(&[good(date(2026, 3, 2))]).as_str().contains("no data"));

    // What is still to come is no gap.
    day.cells.truncate(36);
    let svg = draw(&[day]).to_string();
    assert!(svg.contains("09:00–24:00, each hour: still to come<"));
}

#[test]
fn longer_cells_fill_their_time_and_count_once() {
    let mut day = good(date(2026, 3, 2));
    day.cells.retain(|cell| cell.minute % 60 == 0);
    for cell in &mut day.cells {
        (cell.minutes, cell.expected, cell.seen.valid) = (60, 60, 60);
    }
    day.cells[9].seen.bad = 30;
    // The clock ends at midnight.
    day.cells.push(FindingCell { minutes: 60, ..cell(95, 60, 60) });
    let svg = draw(&[day]).to_string();
    assert!(svg.contains("<path d=\"M180 8h20\" class=\"heat-4\""));
    assert!(svg.contains("09:00: 50 % bad, n=60<"));
    assert!(svg.contains("<path d=\"M475 12h5\" class=\"heat-4 half\""), "{svg}");
}

#[test]
fn an_hour_that_comes_twice_is_drawn_twice_and_one_that_is_skipped_not_at_all() {
    // Berlin: clocks go back on 25 October, 3:00 to 2:00, and forward on 29 March, 2:00 to 3:00.
    let mut long = good(date(2026, 10, 25));
    long.cells.extend((8..12).map(|quarter| cell(quarter, 15, 15)));
    let svg = draw(&[long]).to_string();
    assert!(svg.contains("<path d=\"M40 4h20\" class=\"heat-0 half\""));
    assert!(svg.contains("<path d=\"M40 12h20\" class=\"heat-4 half\""));
    assert!(svg.contains("<path d=\"M0 8h40m20 0h420\" class=\"heat-0\""));
    assert!(svg.contains("Sun 25 Oct 02:00: 0 % bad, n=60; again: 100 % bad, n=60<"));

    let mut short = good(date(2026, 3, 29));
    short.cells.retain(|cell| !(120..180).contains(&cell.minute));
    let svg = draw(&[short]).to_string();
    assert!(svg.contains("<path d=\"M0 8h40m20 0h420\" class=\"heat-0\""));
    assert!(!svg.contains("class=\"hatch\""), "a skipped hour is not missing");
    assert!(svg.contains("Sun 29 Mar 02:00: the clock skipped it<"));
}

#[test]
fn beside_each_day_stands_its_worst_busy_hour_with_the_whole_day_as_a_tick() {
    let day = day_of(date(2026, 3, 2), |quarter| if (40..44).contains(&quarter) { 6 } else { 0 });
    let svg = draw(&[day]).to_string();
    // 40 % of a scale to 50 % is 88 of 110; 24 of 1440 windows are 1.7 % and 3.7 of 110.
    assert!(svg.contains("width=\"88\" height=\"8\" class=\"cell heat-4\"/>"), "{svg}");
    assert!(svg.contains(">40 %</text>") && svg.contains(">50 %</text>"));
    assert!(svg.contains("d=\"M601.7 73v14\" class=\"tick\""), "{svg}");
    assert!(svg.contains(
        "<title>Mon 2 Mar: bad at a busy hour; worst busy hour 10:00–11:00: 40 % bad, n=60; \
         whole day: 1.7 % bad, n=1440; daily average 0.31 % (loss, limit 1.00 %) passes</title>"
    ));
    assert!(
        svg.contains("class=\"strong\" aria-hidden=\"true\">0.31 % passes</text>"),
        "what an average would have said of a bad day"
    );
    let svg = draw(&[good(date(2026, 3, 2))]).to_string();
    assert!(svg.contains("class=\"faint\" aria-hidden=\"true\">0.31 % passes</text>"));
}

#[test]
fn the_daily_average_says_what_it_is_of_where_days_differ() {
    let (mut one, other) = (good(date(2026, 3, 2)), good(date(2026, 3, 3)));
    one.average = Some(AverageSaid { of: AverageOf::RoundTrip, value: 120.0, limit: 100.0 });
    let svg = draw(&[one.clone(), other]).to_string();
    assert!(svg.contains(">delay 120 ms fails</text>"));
    assert!(svg.contains(">loss 0.31 % passes</text>"));
    assert!(draw(&[one]).as_str().contains(">delay, limit 100 ms<"));

    let mut none = good(date(2026, 3, 2));
    none.average = None;
    assert!(!draw(&[none]).as_str().contains("daily average"));
}

#[test]
fn busy_hours_are_framed_as_they_are_on_each_day() {
    let frames = |days: &[FindingDay]| -> usize {
        let svg = draw(days);
        let paths = svg.as_str().lines().filter(|line| line.starts_with("<path"));
        let framed = paths.filter(|line| line.contains("class=\"frame"));
        framed.map(|line| line.matches('M').count()).sum()
    };
    let mut days: Vec<_> = (2..7).map(|day| good(date(2026, 3, day))).collect();
    assert_eq!(frames(&days), 1, "neighbours share one");
    days[2].busy = vec![(480, 720), (780, 1080)];
    assert_eq!(frames(&days), 4);
    days[2].verdict = FindingVerdict::Holiday;
    assert_eq!(frames(&days), 2, "nothing is judged on a holiday");
    days[4].date = date(2026, 3, 9);
    assert_eq!(frames(&days), 3, "after a weekend a new one begins");
    days[0].busy_from = BusySource::Configured;
    let svg = draw(&days).to_string();
    assert!(svg.contains("class=\"frame days configured\""));
    assert!(svg.contains(">busy hours, as configured</text>"));
    assert!(svg.contains(">busy hours, learned from load</text>"));
}

#[test]
fn days_without_a_verdict_say_why() {
    let mut days: Vec<_> = (2..5).map(|day| good(date(2026, 3, day))).collect();
    days[0].verdict = FindingVerdict::Holiday;
    days[1].verdict = FindingVerdict::Closed;
    (days[2].verdict, days[2].worst) = (FindingVerdict::Judged(DayVerdict::Missing), None);
    let svg = draw(&days).to_string();
    for words in ["holiday", "closed", "not observed"] {
        assert!(svg.contains(&format!(">{words}</text>")), "{words}");
    }
    assert!(svg.contains("<title>Wed 4 Mar: unknown; no busy hour was observed; whole day"));
    assert_eq!(svg.matches("class=\"row faded\"").count(), 2);
}

#[test]
fn only_the_newest_days_are_shown_and_the_rest_is_said() {
    let days: Vec<_> = (2..22).map(|day| good(date(2026, 3, day))).collect();
    let svg = draw(&days).to_string();
    assert!(!svg.contains("Fri 6 Mar") && svg.contains("Sat 7 Mar") && svg.contains("Sat 21 Mar"));
    assert!(svg.contains(">5 days before these are not shown</text>"));
    assert!(svg.contains("5 days before that are not shown."));
}

#[test]
fn the_description_says_where_when_and_how_often() {
    let svg = draw(&example()).to_string();
    assert!(svg.contains(
        "<desc>From 2026-03-02 to 2026-03-20, local time of Europe/Berlin. The finding keeps to \
         09:30–13:00. Bad on 7 of 13 observed working days; not observed on 1.</desc>"
    ), "{}", &svg[..900]);
}

#[test]
fn no_text_leaves_the_picture_or_touches_its_neighbour() {
    let days = example();
    let (name, hours) = ("W".repeat(300), [(0, 15); 40]);
    let map = FindingMap { place: &name, zone: &name, hours: &hours, days: &days };
    let svg = map.draw();
    // What comes from outside is cut, and clipped by an element of its own for letters of any
    // width.
    let right = width(&svg);
    let mut areas = Vec::new();
    for line in svg.as_str().lines().filter(|line| line.contains("WW") && line.contains("<text")) {
        let frame = line.strip_prefix("<svg ").expect("clipped");
        let number = |name: &str| -> f64 { attribute(frame, name).parse().expect("a number") };
        let (from, room) = (number("x"), number("width"));
        assert!(line.contains('…') && line.matches('W').count() as f64 * 11.0 <= room, "{line}");
        areas.push((from, from + room));
    }
    areas.sort_by(|a, b| a.0.total_cmp(&b.0));
    let [place, zone] = areas[..] else { panic!("name and zone: {areas:?}") };
    assert!(0.0 <= place.0 && place.1 <= zone.0 && zone.1 <= right, "{areas:?} of {right}");
    // Ordinary letters are hardly wider than 0.62 of their height.
    for (from, until, text) in texts(&svg) {
        let narrow = from + (until - from) * 0.62;
        assert!(narrow <= right || text.contains("WW"), "{text} ends at {narrow} of {right}");
    }
}

#[test]
fn absurd_values_do_not_break_the_picture() {
    let mut day = good(date(2026, 3, 2));
    day.cells = vec![cell(4000, u32::MAX, u32::MAX), cell(3, 1, u32::MAX), cell(3, 1, 1)];
    day.cells.extend([FindingCell { minutes: u16::MAX, ..cell(3, 1, 1) }; 1000]);
    day.busy = vec![(u16::MAX, 0), (0, u16::MAX), (500, 500)];
    day.worst = Some(WorstBusyHour { minute: u16::MAX, seen: Share { valid: 1, bad: u32::MAX } });
    day.whole = Some(Share { valid: 0, bad: 9 });
    day.average =
        Some(AverageSaid { of: AverageOf::Jitter, value: f64::NAN, limit: f64::INFINITY });
    let hours = [(u16::MAX, 0), (1430, u16::MAX)];
    let svg = FindingMap { place: "", zone: "", hours: &hours, days: &[day.clone(), day] }.draw();
    let text = svg.as_str();
    assert_well_formed(&svg);
    assert!(text.contains("The finding keeps to 23:50–24:00."), "the rest cannot be");
    assert!(!text.contains("M-") && !text.contains("=\"-"), "{text}");
}

#[test]
fn the_picture_in_the_documents_is_the_one_that_is_drawn() {
    let svg = draw(&example());
    let drawn = svg.standalone(Look::AsTheReader);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pictures/finding.svg");
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        std::fs::write(&file, &drawn).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap();
    assert_eq!(kept, drawn, "UPDATE_PICTURES=1 keeps the new one");
    let light = svg.standalone(Look::Light);
    assert!(light.contains("<style>") && !light.contains("var("), "for those without variables");
}

#[test]
fn a_picture_as_png_has_two_pixels_for_a_unit_and_letters_of_its_own() {
    let days = example();
    let map = |place| FindingMap { place, zone: "Europe/Berlin", hours: &[], days: &days };
    let png = map("Berlin HQ").draw().png().unwrap();
    assert!(png.bytes.starts_with(b"\x89PNG\r\n\x1a\n"));
    let pixels = |at: usize| u32::from_be_bytes(png.bytes[at..at + 4].try_into().unwrap());
    let (width, height) = (pixels(16), pixels(20));
    assert_eq!(width, 2 * png.width);
    assert!(height > 400 && width > height, "{width} x {height}");
    assert!(png.bytes.len() < 300_000, "{}", png.bytes.len());
    // Different letters are different pixels.
    assert_ne!(map("Berlin HX").draw().png().unwrap(), png);
}

#[test]
fn maintenance_is_a_band_in_its_row_with_words_and_a_sign_in_the_legend() {
    let date = date(2026, 3, 2);
    let without = draw(&[good(date)]);
    assert!(!without.as_str().contains("maintenance") && !without.as_str().contains("\"work\""));
    let worked = FindingDay { maintenance: vec![(20 * 60, 22 * 60)], ..good(date) };
    let with = draw(&[worked]);
    assert!(with.as_str().contains("maintenance 20:00–22:00"), "whoever hears it knows");
    // 102 + 480 * 20 / 24 units from the left, two hours wide.
    let band = r#"<rect x="502" y="84" width="40" height="4" class="work"/>"#;
    assert!(with.as_str().contains(band), "{}", with.as_str());
    assert_eq!(with.as_str().matches("class=\"work\"").count(), 2, "the band and its sign");
}
