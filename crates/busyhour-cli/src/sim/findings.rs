//! Findings as JSON lines: one for each transition of an incident, or one for each incident.

use std::collections::HashMap;
use std::io::{BufRead, Read as _};

use anyhow::{Context as _, bail, ensure};
use busyhour_sim::score::{Ground, ToldEvent, ToldFinding, ToldKind};
use busyhour_sim::world::{NamedPlace, PlaceKind};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::truth_file::link;

/// The longest line: an incident of ten thousand series stays below it.
const MAX_LINE_BYTES: u64 = 4 * 1024 * 1024;
/// The most lines: a thousand buildings alerting every day of a year.
const MAX_LINES: usize = 1_000_000;
/// Minutes of a day.
const A_DAY: u16 = 1440;

/// A date in JSON, as 2025-02-09.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Day(pub(super) Date);

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let date = text.parse().map(Self);
        date.map_err(|_| format!("{text:?} is no date such as 2025-02-09"))
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.0.to_string()
    }
}

/// A place in JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RawPlace {
    kind: String,
    name: String,
    #[serde(default)]
    link: Option<String>,
}

impl From<&NamedPlace> for RawPlace {
    fn from(place: &NamedPlace) -> Self {
        Self {
            kind: place.kind.as_str().to_owned(),
            name: place.name.clone(),
            link: place.link.map(|link| link.as_str().to_owned()),
        }
    }
}

impl TryFrom<RawPlace> for NamedPlace {
    type Error = anyhow::Error;

    fn try_from(raw: RawPlace) -> anyhow::Result<Self> {
        let kind: PlaceKind = raw.kind.parse()?;
        Ok(Self { kind, name: raw.name, link: raw.link.as_deref().map(link).transpose()? })
    }
}

/// One line. Whatever else a detector says is not scored.
#[derive(Debug, Deserialize)]
struct RawFinding {
    id: u64,
    /// Without it the line tells of a whole incident, from `opened` to `closed`.
    #[serde(default)]
    event: Option<String>,
    #[serde(default)]
    date: Option<Day>,
    kind: String,
    scope: RawPlace,
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    hours: Vec<(String, String)>,
    #[serde(default)]
    days: Vec<Day>,
    #[serde(default)]
    opened: Option<Day>,
    #[serde(default)]
    closed: Option<Day>,
    #[serde(default)]
    confidence: f64,
    #[serde(default)]
    cause: Option<String>,
}

/// Reads findings about a fleet.
pub(super) fn read(input: &mut impl BufRead, ground: &Ground) -> anyhow::Result<Vec<ToldFinding>> {
    let names = ground.series_by_name();
    let mut told = Vec::new();
    let mut line = String::new();
    for number in 1..=MAX_LINES {
        line.clear();
        let read = input.take(MAX_LINE_BYTES).read_line(&mut line);
        let length = read.with_context(|| format!("read line {number}"))?;
        if length == 0 {
            return Ok(told);
        }
        ensure!(
            line.ends_with('\n') || (length as u64) < MAX_LINE_BYTES,
            "line {number} is longer than {MAX_LINE_BYTES} bytes"
        );
        if !line.trim().is_empty() {
            let words = words(&line, ground, &names);
            told.extend(words.with_context(|| format!("line {number}"))?);
        }
    }
    bail!("there are more than {MAX_LINES} lines")
}

/// The transitions that a line tells of.
fn words(
    line: &str,
    ground: &Ground,
    names: &HashMap<&str, u32>,
) -> anyhow::Result<Vec<ToldFinding>> {
    let raw: RawFinding = serde_json::from_str(line)?;
    let place = NamedPlace::try_from(raw.scope)?;
    let mut members = Vec::with_capacity(raw.members.len());
    for name in &raw.members {
        let number = names.get(name.as_str()).copied();
        members.push(number.with_context(|| {
            format!("no series of this fleet is called {name:?}: are these findings of another?")
        })?);
    }
    // Who names no series means all in the place.
    if members.is_empty() {
        members = ground.within(&place);
    }
    ensure!(!members.is_empty(), "{place} is no place of this fleet");
    let confidence = raw.confidence;
    ensure!((0.0..=1.0).contains(&confidence), "the confidence {confidence} is not from 0 to 1");
    let mut hours = Vec::with_capacity(raw.hours.len());
    for (from, until) in &raw.hours {
        hours.push((minutes(from)?, minutes(until)?));
    }
    let word = |event, date| ToldFinding {
        id: raw.id,
        event,
        date,
        kind: ToldKind::from_word(&raw.kind),
        place: place.clone(),
        members: members.clone(),
        hours: hours.clone(),
        days: raw.days.iter().map(|day| day.0).collect(),
        confidence,
        cause: raw.cause.clone().unwrap_or_default(),
    };
    if let Some(event) = &raw.event {
        return Ok(vec![word(event.parse()?, raw.date.context("`date` is missing")?.0)]);
    }
    // An incident that was only suspected was never told.
    let opened = raw.opened.map(|day| word(ToldEvent::Opened, day.0));
    let closed = raw.closed.map(|day| word(ToldEvent::Closed, day.0));
    Ok(opened.into_iter().chain(closed).collect())
}

/// Minutes of the day as a clock shows them.
pub(super) fn clock(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// What a clock shows as minutes of the day; midnight at the end of the day is 24:00.
pub(super) fn minutes(clock: &str) -> anyhow::Result<u16> {
    let parse = || {
        let (hours, minutes) = clock.split_once(':')?;
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        let all = hours.checked_mul(60)?.checked_add(minutes)?;
        (minutes < 60 && all <= A_DAY).then_some(all)
    };
    parse().with_context(|| format!("{clock:?} is no time of day such as 09:30"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use busyhour_model::LinkKind;
    use busyhour_sim::score::{GroundBuilding, GroundSeries};
    use busyhour_sim::world::Reach;
    use jiff::civil::date;

    use super::*;

    fn ground() -> Ground {
        let series = |name: &str| GroundSeries {
            name: name.to_owned(),
            building: 0,
            subnet: "10.0.0.0/24".to_owned(),
            agent: "agent".to_owned(),
            link: LinkKind::Wired,
            upstream: None,
            target: None,
            reach: Reach::Far,
        };
        Ground {
            first: date(2025, 2, 9),
            days: 28,
            buildings: vec![GroundBuilding {
                name: "Tower".to_owned(),
                works: [true; 7],
                closed: BTreeSet::new(),
            }],
            series: ["s1", "s2"].map(series).into(),
            truths: Vec::new(),
        }
    }

    fn parse(lines: &str) -> anyhow::Result<Vec<ToldFinding>> {
        read(&mut lines.as_bytes(), &ground())
    }

    const OPENED: &str = r#"{"id":3,"event":"opened","date":"2025-02-20","kind":"recurring-peak",
        "scope":{"kind":"building","name":"Tower","link":null},"members":["s2"],
        "hours":[["09:30","12:00"],["23:00","24:00"]],"days":["2025-02-18"],"confidence":0.93,
        "cause":"bandwidth","sentence":"whatever"}"#;

    fn opened() -> String {
        OPENED.replace('\n', "")
    }

    #[test]
    fn a_line_is_a_transition() {
        let told = parse(&format!("{}\n\n{}", opened(), opened())).unwrap();
        assert_eq!(told.len(), 2);
        let one = &told[0];
        assert_eq!((one.id, one.event, one.date), (3, ToldEvent::Opened, date(2025, 2, 20)));
        assert_eq!(one.kind, ToldKind::RecurringPeak);
        assert_eq!(one.place, NamedPlace::new(PlaceKind::Building, "Tower"));
        assert_eq!((one.members.as_slice(), one.days.len()), ([1].as_slice(), 1));
        assert_eq!(one.hours, [(570, 720), (1380, 1440)]);
        assert_eq!((one.cause.as_str(), one.confidence), ("bandwidth", 0.93));
    }

    #[test]
    fn a_line_without_an_event_is_a_whole_incident() {
        let line = r#"{"id":1,"kind":"limit","scope":{"kind":"subnet","name":"10.0.0.0/24"},
            "opened":"2025-02-20","closed":"2025-02-28"}"#;
        let told = parse(&line.replace('\n', "")).unwrap();
        let events: Vec<_> = told.iter().map(|one| (one.event, one.date)).collect();
        let expected =
            [(ToldEvent::Opened, date(2025, 2, 20)), (ToldEvent::Closed, date(2025, 2, 28))];
        assert_eq!(events, expected);
        assert_eq!(told[0].members, [0, 1]);
    }

    #[test]
    fn a_line_that_cannot_be_understood_is_named_with_what_is_wrong() {
        for (from, to, expected) in [
            ("\"s2\"", "\"s3\"", "no series of this fleet is called \"s3\""),
            ("09:30", "9:75", "\"9:75\" is no time of day"),
            ("24:00", "24:01", "\"24:01\" is no time of day"),
            ("0.93", "1.5", "the confidence 1.5 is not from 0 to 1"),
            ("opened", "begun", "\"begun\" is no event of an incident"),
            ("building", "planet", "\"planet\" is no kind of place"),
            ("\"date\":\"2025-02-20\",", "", "`date` is missing"),
            ("[\"s2\"]", "[],\"x\":\"Tower\"", ""),
            ("2025-02-18", "2025-02-30", "\"2025-02-30\" is no date"),
            ("\"id\":3", "\"id\":-3", "invalid value"),
            ("{", "[", "line 2"),
        ] {
            let line = format!("\n{}", opened().replacen(from, to, 1));
            match parse(&line) {
                Ok(_) => assert_eq!(expected, "", "{to}"),
                Err(error) => {
                    let said = format!("{error:#}");
                    assert!(said.contains("line 2") && said.contains(expected), "{to}: {said}");
                    assert!(!expected.is_empty(), "{to}: {said}");
                }
            }
        }
    }

    #[test]
    fn times_of_day_come_back() {
        for minute in [0, 1, 59, 60, 570, 1439, 1440] {
            assert_eq!(minutes(&clock(minute)).unwrap(), minute);
        }
    }
}
