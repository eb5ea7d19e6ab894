//! `busyhour detect` seen from outside: a fleet's tables in, findings out.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime, date};
use jiff::tz::TimeZone;
use serde_json::Value;

/// A Monday.
const FIRST: Date = date(2025, 2, 3);
const DAYS: i64 = 35;
/// Two working weeks, from a Monday to a Friday.
const BAD: (Date, Date) = (date(2025, 2, 17), date(2025, 2, 28));
/// Local minutes of the day.
const BAD_MINUTES: std::ops::Range<i64> = 600..720;
const WORKING_MINUTES: std::ops::Range<i64> = 480..1080;

const BUILDINGS: [(&str, &str, u8); 2] =
    [("North", "Europe/Berlin", 1), ("South", "Europe/Lisbon", 2)];

/// A series, with the place of its building.
struct Series {
    name: String,
    building: usize,
    subnet: String,
}

fn fleet() -> Vec<Series> {
    let series = |building: usize, subnet: u8, agent: u8| Series {
        name: format!("{}-{subnet}{agent}", BUILDINGS[building].0.to_lowercase()),
        building,
        subnet: format!("10.{}.{subnet}.0/24", BUILDINGS[building].2),
    };
    let mut all = Vec::new();
    for building in 0..BUILDINGS.len() {
        all.extend([(1, 1), (1, 2), (2, 1), (2, 2)].map(|(s, a)| series(building, s, a)));
    }
    all
}

/// Pieces of time: seconds since 1970, and the local time of a building.
fn pieces(building: usize, minutes: i64) -> Vec<(i64, DateTime)> {
    let zone = TimeZone::get(BUILDINGS[building].1).unwrap();
    let start = FIRST.to_zoned(TimeZone::UTC).unwrap().timestamp();
    let pieces = 0..DAYS * 1_440 / minutes;
    pieces
        .map(|number| start + (number * minutes).minutes())
        .map(|at| (at.as_second(), at.to_zoned(zone.clone()).datetime()))
        .collect()
}

fn minute(local: DateTime) -> i64 {
    i64::from(local.hour()) * 60 + i64::from(local.minute())
}

fn is_working(local: DateTime) -> bool {
    local.weekday().to_monday_zero_offset() < 5 && WORKING_MINUTES.contains(&minute(local))
}

/// True when calls break: in the first building, on working days, for two hours.
fn is_bad(building: usize, local: DateTime) -> bool {
    building == 0
        && is_working(local)
        && (BAD.0..=BAD.1).contains(&local.date())
        && BAD_MINUTES.contains(&minute(local))
}

fn buildings() -> String {
    let mut table = "NetworkIP,NetworkRange,BuildingName,TimeZone,BusinessHours\n".to_owned();
    for (name, zone, net) in BUILDINGS {
        for subnet in [1, 2] {
            writeln!(table, "10.{net}.{subnet}.0,24,{name},{zone},Mo-Fr 08:00-18:00").unwrap();
        }
    }
    table
}

fn series() -> String {
    let mut table = "series,subnet,link,upstream,near,agent,target\n".to_owned();
    for series in fleet() {
        writeln!(table, "{0},{1},wired,isp-1,,{0},teams", series.name, series.subnet).unwrap();
    }
    table
}

fn load() -> String {
    let mut table = "building,start,load\n".to_owned();
    for (number, (name, ..)) in BUILDINGS.iter().enumerate() {
        for (at, local) in pieces(number, 15) {
            let people = if is_working(local) { 40 } else { 1 };
            writeln!(table, "{name},{at},{people}").unwrap();
        }
    }
    table
}

const SLOTS_HEADER: &str = "series,start,valid,bad,bad_loss,bad_jitter,bad_delay,bad_burst,sent,lost,\
                            rtt_min_ms,rtt_p50_ms,rtt_p95_ms\n";

/// One window a minute, in slots.
fn slot_rows(minutes: i64) -> Vec<String> {
    let mut rows = Vec::new();
    for series in fleet() {
        for (at, local) in pieces(series.building, minutes) {
            let is_bad = is_bad(series.building, local);
            let (bad, rtt) = if is_bad { (minutes * 2 / 5, 45) } else { (0, 20) };
            let (name, sent, lost) = (&series.name, minutes * 750, bad * 20);
            let tail = format!("{bad},{bad},0,0,0,{sent},{lost},15,{rtt},{}", rtt + 15);
            rows.push(format!("{name},{at},{minutes},{tail}\n"));
        }
    }
    rows
}

fn slots(minutes: i64) -> String {
    SLOTS_HEADER.to_owned() + &slot_rows(minutes).concat()
}

/// Files in a folder that goes with the test.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn whole_fleet(data: &str, rows: &[u8]) -> tempfile::TempDir {
    let (buildings, series, load) = (buildings(), series(), load());
    folder(&[
        ("buildings.csv", buildings.as_bytes()),
        ("series.csv", series.as_bytes()),
        ("load.csv", load.as_bytes()),
        (data, rows),
    ])
}

fn detect(path: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_busyhour"))
        .arg("detect")
        .arg(path)
        .args(arguments)
        .env_remove("COLUMNS")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn findings(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn alerts<'f>(findings: &'f [Value], event: &str) -> Vec<&'f Value> {
    let is = |finding: &&Value| finding["alerts"] == true && finding["event"] == event;
    findings.iter().filter(is).collect()
}

/// The one alert is about the first building, at the hours of its fault.
fn check_alert(findings: &[Value], name: &str) {
    let opened = alerts(findings, "opened");
    let [alert] = opened[..] else { panic!("{name}: {findings:#?}") };
    assert_eq!(alert["kind"], "recurring-peak", "{name}");
    assert_eq!(alert["scope"]["kind"], "building", "{name}: {alert:#}");
    assert_eq!(alert["scope"]["name"], "North", "{name}");
    assert_eq!(alert["buildings"].as_array().unwrap().len(), 1, "{name}");
    assert_eq!(alert["home"], "North", "{name}");
    let opened: Date = alert["opened"].as_str().unwrap().parse().unwrap();
    // Two days much alike are enough; three of five are in any case.
    assert!((date(2025, 2, 18)..=date(2025, 2, 19)).contains(&opened), "{name}: {opened}");
    let hours = alert["hours"].as_array().unwrap();
    assert_eq!(hours.len(), 1, "{name}: {hours:?}");
    let (from, until) = (hours[0][0].as_str().unwrap(), hours[0][1].as_str().unwrap());
    assert!(("09:00"..="10:00").contains(&from), "{name}: {from}");
    assert!(("12:00"..="13:00").contains(&until), "{name}: {until}");
}

#[test]
fn a_peak_that_recurs_is_told_with_its_place_hours_and_days_and_closed_when_it_is_over() {
    let folder = whole_fleet("slots.csv", slots(15).as_bytes());
    let output = detect(folder.path(), &[]);
    let findings = findings(&output);
    check_alert(&findings, "slots");
    let alert = alerts(&findings, "opened")[0];
    assert_eq!(alert["members"].as_array().unwrap().len(), 4);
    assert_eq!(alert["first_bad"], "2025-02-17");
    assert_eq!(alert["days"][0], "2025-02-17");
    assert_eq!(alert["date"], alert["opened"]);
    assert_eq!(alert["closed"], Value::Null);
    let severity = alert["severity"].as_f64().unwrap();
    assert!((0.35..0.45).contains(&severity), "{severity}");
    assert!(alert["confidence"].as_f64().unwrap() > 0.0);
    assert!(alert["sentence"].as_str().unwrap().contains("North"), "{alert:#}");
    let closed = alerts(&findings, "closed");
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0]["id"], alert["id"]);
    assert!(closed[0]["closed"].as_str().unwrap() > "2025-03-01");
    assert!(findings.iter().all(|finding| finding["opened"] != Value::Null), "none is suspected");
    let dates: Vec<&str> = findings.iter().map(|line| line["date"].as_str().unwrap()).collect();
    assert!(dates.is_sorted(), "{dates:?}");
}

#[test]
fn a_line_has_the_documented_fields() {
    let folder = whole_fleet("slots.csv", slots(15).as_bytes());
    let findings = findings(&detect(folder.path(), &["--summary"]));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let keys: BTreeSet<&str> =
        findings[0].as_object().unwrap().keys().map(String::as_str).collect();
    let documented = include_str!("../../../docs/DETECT.md");
    let (_, section) = documented.split_once("## A foreign fleet").unwrap();
    let (section, _) = section.split_once("## The generator").unwrap();
    for key in &keys {
        assert!(section.contains(&format!("`{key}`")), "{key} is not documented");
    }
    for key in [
        "kind",
        "scope",
        "members",
        "hours",
        "days",
        "opened",
        "closed",
        "severity",
        "confidence",
        "cause",
        "sentence",
    ] {
        assert!(keys.contains(key), "{key}");
    }
    assert_eq!(findings[0]["state"], "closed");
}

#[test]
fn order_repetition_and_packing_of_rows_change_nothing() {
    let rows = slot_rows(15);
    let plain = whole_fleet("slots.csv", (SLOTS_HEADER.to_owned() + &rows.concat()).as_bytes());
    let expected = detect(plain.path(), &["--suspected"]).stdout;
    assert!(!expected.is_empty());
    // 7 919 is a prime, so that this visits each row once.
    let mixed: String = (0..rows.len()).map(|n| rows[n * 7_919 % rows.len()].as_str()).collect();
    let headless = zstd::encode_all(mixed.as_bytes(), 1).unwrap();
    let again = rows.concat() + &mixed;
    for (what, name, bytes) in [
        ("mixed, packed, without names", "slots.csv.zst", headless),
        ("told twice", "slots.csv", (SLOTS_HEADER.to_owned() + &again).into_bytes()),
    ] {
        let folder = whole_fleet(name, &bytes);
        let output = detect(folder.path(), &["--suspected"]);
        assert!(output.stdout == expected, "{what}: {}", text(&output.stderr));
    }
}

#[test]
fn slots_of_other_lengths_and_windows_lead_to_the_same_place() {
    for minutes in [5, 30, 60] {
        let folder = whole_fleet("slots.csv", slots(minutes).as_bytes());
        check_alert(&findings(&detect(folder.path(), &[])), &format!("slots of {minutes} min"));
    }
    let mut windows = "series,start,sent,lost,burst_lost,burst_of,rtt_ms,jitter_ms\n".to_owned();
    for series in fleet() {
        for (at, local) in pieces(series.building, 3) {
            let bad = is_bad(series.building, local) && at / 180 % 5 < 2;
            let (lost, rtt) = if bad { (20, 60) } else { (0, 20) };
            writeln!(windows, "{},{at},750,{lost},0,10,{rtt},3", series.name).unwrap();
        }
    }
    let folder = whole_fleet("windows.csv", windows.as_bytes());
    check_alert(&findings(&detect(folder.path(), &[])), "windows");
}

#[test]
fn delay_alone_is_judged_and_says_what_it_cannot_tell() {
    let mut samples = "time,series,rtt\n".to_owned();
    for series in fleet() {
        for (at, local) in pieces(series.building, 2) {
            let bad = is_bad(series.building, local) && at / 120 % 2 == 0;
            let rtt = if bad { 140.5 } else { 20.5 };
            writeln!(samples, "{at},{},{rtt}", series.name).unwrap();
        }
    }
    let folder = whole_fleet("pings.csv", samples.as_bytes());
    let output = detect(folder.path(), &[]);
    check_alert(&findings(&output), "samples");
    assert!(text(&output.stderr).contains("tells delay alone"), "{}", text(&output.stderr));
}

#[test]
fn one_file_of_a_series_is_enough_with_zone_and_hours() {
    let mut samples = String::new();
    for (at, local) in pieces(0, 2) {
        let rtt = if is_bad(0, local) { 150 } else { 20 };
        writeln!(samples, "North/office/pc-1,{at},{rtt}").unwrap();
    }
    let folder = folder(&[("pings.csv", samples.as_bytes())]);
    let file = folder.path().join("pings.csv");
    let output = detect(&file, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--zone Europe/Berlin"), "{}", text(&output.stderr));
    let located = ["--zone", "Europe/Berlin", "--hours", "Mo-Fr 08:00-18:00"];
    let findings = findings(&detect(&file, &located));
    let opened = alerts(&findings, "opened");
    assert_eq!(opened.len(), 1, "{findings:#?}");
    assert_eq!(opened[0]["scope"]["kind"], "unplaced", "one agent alone gets no guess");
    assert_eq!(opened[0]["scope"]["name"], "North");
    assert_eq!(opened[0]["members"][0], "North/office/pc-1");
}

#[test]
fn a_part_of_the_time_is_judged_and_the_exit_code_tells_what_is_open() {
    let folder = whole_fleet("slots.csv", slots(15).as_bytes());
    let code = |arguments: &[&str]| detect(folder.path(), arguments).status.code();
    assert_eq!(code(&["--until", "2025-02-26", "--exit-code"]), Some(3));
    assert_eq!(code(&["--until", "2025-02-26"]), Some(0));
    assert_eq!(code(&["--exit-code"]), Some(0), "it is closed by the end");
    let before = findings(&detect(folder.path(), &["--until", "2025-02-16"]));
    assert!(alerts(&before, "opened").is_empty(), "{before:#?}");
    let after = findings(&detect(folder.path(), &["--from", "2025-03-01"]));
    assert!(alerts(&after, "opened").is_empty(), "{after:#?}");
    let none = detect(folder.path(), &["--from", "2026-01-01"]);
    assert_eq!(none.status.code(), Some(1), "{}", text(&none.stderr));
}

#[test]
fn tables_and_spreadsheets_are_for_people() {
    let folder = whole_fleet("slots.csv", slots(15).as_bytes());
    let table = detect(folder.path(), &["--summary", "-o", "table"]);
    let table = text(&table.stdout);
    assert!(table.starts_with("DATE"), "{table}");
    assert!(table.contains("building North") && table.contains("recurring-peak"), "{table}");
    let sheet = detect(folder.path(), &["--summary", "-o", "csv"]);
    let sheet = text(&sheet.stdout);
    assert!(sheet.starts_with("date,event,kind,place,"), "{sheet}");
    assert_eq!(sheet.lines().count(), 2, "{sheet}");
}

#[test]
fn what_cannot_be_judged_ends_with_an_error_that_says_what_to_do() {
    let slots = slots(15);
    let check = |files: &[(&str, &[u8])], arguments: &[&str], said: &str| {
        let folder = folder(files);
        let output = detect(folder.path(), arguments);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(said), "{said}: {errors}");
        assert!(output.stdout.is_empty());
    };
    check(&[], &[], "neither slots.csv nor windows.csv");
    check(&[("slots.csv", b"\0\0\0\0")], &[], "zero bytes");
    check(&[("slots.csv", slots.as_bytes())], &["--slot", "7"], "do not divide an hour");
    let packed = zstd::encode_all(slots.as_bytes(), 1).unwrap();
    let cut = &packed[..packed.len() / 2];
    check(&[("slots.csv.zst", cut)], &[], "is the file complete?");
    let missing = detect(Path::new("no such folder"), &[]);
    assert_eq!(missing.status.code(), Some(1));
    let usage = detect(Path::new("."), &["--zone", "Mars/Olympus"]);
    assert_eq!(usage.status.code(), Some(2));
}

/// Compares with a file of the fixture; `UPDATE_SNAPSHOTS=1` writes it instead.
#[test]
fn remarks_say_file_line_column_and_remedy() {
    let messy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/detect/messy");
    let output = detect(&messy, &["--hours", "8-18"]);
    let (remarks, path) = (text(&output.stderr), messy.join("remarks.txt"));
    assert_eq!(output.status.code(), Some(0), "{remarks}");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &remarks).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(remarks, expected, "run with UPDATE_SNAPSHOTS=1 if this is meant");
}
