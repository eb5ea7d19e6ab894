//! What the commands print, ask and end with, seen from outside: the real program against a
//! collector with fixed answers.

#![recursion_limit = "256"]
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod agents;
mod canned;
mod configuration;
mod decode;
mod desk;
mod identity;
mod incidents;
mod loads;
mod operators;
mod quality;
mod reports;
mod sim;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::canned::Canned;

fn busyhour(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_busyhour"));
    command.args(arguments).env_remove("BUSYHOUR_COLLECTOR").env_remove("COLUMNS");
    command.env_remove("BUSYHOUR_TOKEN_FILE").env_remove("BUSYHOUR_CA_FILE");
    command.env_remove("BUSYHOUR_PROFILE");
    // No session of whoever runs the tests is sent anywhere.
    command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

fn ask(collector: &Canned, arguments: &[&str]) -> Output {
    busyhour(arguments).env("BUSYHOUR_COLLECTOR", &collector.url).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Compares with a file beside this one; `UPDATE_SNAPSHOTS=1` writes it instead.
fn check_snapshot(name: &str, found: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/commands/snapshots")
        .join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{name}: run with UPDATE_SNAPSHOTS=1 if this is meant");
}

fn envelope(items: Value) -> Value {
    Value::from_iter([("schema_version", Value::from(1)), ("items", items)])
}

/// Commands whose help is looked at; the first is that of the program.
#[rustfmt::skip]
const HELPED: [&str; 96] = [
    "", "building", "building ls", "building show", "building import", "building history",
    "building export", "subnet ls", "subnet missing", "path ls", "path windows", "path hours",
    "path streams", "path estimates", "top", "agent ls", "agent history", "agent show",
    "agent approve", "agent revoke", "token create", "token ls", "token revoke", "config ls",
    "config show", "config set", "config diff", "config assign", "config unassign",
    "config assignments", "config agents", "config label", "agent add", "agent move",
    "agent remove", "agent forget", "audit ls", "audit verify", "audit export", "login",
    "user first", "user add", "user grant", "api-token create", "incident ls", "incident show",
    "incident acts", "incident note", "incident ack", "incident unack", "incident own",
    "incident merge", "incident split", "owner ls", "owner set", "owner rm", "silence ls",
    "silence add", "silence end", "maintenance ls", "maintenance add", "maintenance end",
    "report daily", "report weekly", "report monthly", "task ls", "task history", "task done",
    "load import", "decode", "detect", "sim generate", "sim score", "subnet show", "path show",
    "target ls", "target show", "channel ls", "channel show", "channel test", "owner show",
    "silence show", "maintenance show", "token show", "user show", "api-token show", "report ls",
    "report show", "task show", "explain", "check", "profile add", "profile ls", "profile use",
    "completions", "man",
];

#[test]
fn help_has_examples() {
    for command in HELPED {
        let arguments: Vec<&str> = command.split_whitespace().collect();
        let name = [&["help"], arguments.as_slice()].concat().join("-");
        let output = busyhour(&arguments).arg("--help").output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output);
        assert!(text.contains("Example") || command == "building", "{name}");
        assert!(!text.contains("\n  role "), "the daemons' roles are not for people");
        check_snapshot(&name, &text);
    }
}

fn top_items() -> Value {
    let building = |name: &str, standing: &str, more: Value| {
        let mut item = json!({
            "id": "00000000-0000-0000-0000-000000000001", "name": name, "standing": standing,
            "bad_hours_local": null, "worst_hour_local": null, "worst_hour_bad_ratio": null,
            "worst_hour_breach": null, "worst_hour_says": null, "average_says": null,
            "worst_hour_loss_ratio_p90": null, "average_loss_ratio": null, "masked": false,
            "masking_factor": null, "bad_days": 0, "observed_days": 5, "coverage_ratio": 0.998,
            "data_age_s": 42, "simulated": true,
        });
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        item
    };
    json!([
        building(
            "Berlin HQ",
            "masked",
            json!({
                "bad_hours_local": "10:00–12:00", "worst_hour_local": "10:15–11:15",
                "worst_hour_breach": "loss", "worst_hour_says": "2.43 % loss",
                "average_says": "0.31 % loss",
                "worst_hour_bad_ratio": 0.412, "worst_hour_loss_ratio_p90": 0.0243,
                "average_loss_ratio": 0.0031, "masked": true, "masking_factor": 7.74, "bad_days": 4,
            })
        ),
        building(
            "São Paulo Centro",
            "bad",
            json!({
                "id": "00000000-0000-0000-0000-000000000002",
                "bad_hours_local": "08:00–18:00", "worst_hour_local": "13:30–14:30",
                "worst_hour_breach": "delay", "worst_hour_says": "310 ms round trip",
                "average_says": "121 ms round trip",
                "worst_hour_bad_ratio": 0.9, "worst_hour_loss_ratio_p90": 0.0,
                "average_loss_ratio": 0.0, "bad_days": 5,
            })
        ),
        building(
            "=cmd|' /C calc'!A0\u{1b}[31m",
            "unknown",
            json!({
                "id": "00000000-0000-0000-0000-000000000003",
                "coverage_ratio": null, "data_age_s": null, "observed_days": 0,
            })
        ),
    ])
}

#[test]
fn a_table_is_for_people() {
    let collector = Canned::start(&[("GET /top", 200, envelope(top_items()))]);
    let output = ask(&collector, &["top", "-n", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    check_snapshot("table-top", &stdout(&output));
    let bare = ask(&collector, &["top", "--no-headers"]);
    assert!(stdout(&bare).starts_with("Berlin HQ"));
    assert!(!stdout(&bare).contains('\u{1b}'), "no colours in a pipe, no foreign escapes");
    let (method, target, _) = collector.asked()[0].clone();
    assert_eq!((method.as_str(), target.as_str()), ("GET", "/api/v1/top?limit=3"));
}

#[test]
fn csv_has_every_field_raw_and_no_formulas() {
    let collector = Canned::start(&[("GET /top", 200, envelope(top_items()))]);
    let output = ask(&collector, &["top", "-o", "csv"]);
    check_snapshot("csv-top", &stdout(&output));
    let text = stdout(&output);
    assert!(text.contains("'=cmd|"), "{text}");
    assert!(text.contains("0.0243"), "{text}");
}

#[test]
fn json_is_the_collectors_answer() {
    let answer = envelope(top_items());
    let collector = Canned::start(&[("GET /top", 200, answer.clone())]);
    let output = ask(&collector, &["-o", "json", "top"]);
    let printed: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(printed, answer);
}

#[test]
fn one_building_is_shown_by_name_or_id() {
    let items = top_items();
    let one = envelope(json!([items[0]]));
    let id = "00000000-0000-0000-0000-000000000001";
    let path = format!("GET /buildings/{id}");
    let collector =
        Canned::start(&[("GET /buildings", 200, envelope(items.clone())), (&path, 200, one)]);
    for name in ["Berlin HQ", "berlin hq", id] {
        let output = ask(&collector, &["building", "show", name]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        check_snapshot("table-building-show", &stdout(&output));
    }
    let twins = json!([
        {"id": "1", "name": "Ulm Sued"}, {"id": "2", "name": "Ulm sued"},
    ]);
    let shown = |id: &str| envelope(json!([{"id": id}]));
    let twin_collector = Canned::start(&[
        ("GET /buildings", 200, envelope(twins)),
        ("GET /buildings/1", 200, shown("1")),
        ("GET /buildings/2", 200, shown("2")),
    ]);
    let output = ask(&twin_collector, &["building", "show", "Ulm sued", "-o", "json"]);
    assert!(stdout(&output).contains("\"2\""), "{}", stdout(&output));
    let output = ask(&twin_collector, &["building", "show", "ulm sued"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("\"Ulm Sued\" or \"Ulm sued\""), "{}", stderr(&output));

    let output = ask(&collector, &["building", "show", "Atlantis"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("busyhour building ls"), "{}", stderr(&output));
}

#[test]
fn missing_subnets_are_a_condition() {
    let missing = json!([{
        "prefix": "10.9.0.0/24", "agent_count": 2, "agents": "a, b",
        "last_seen_utc": "2026-03-05T08:40:00Z",
    }]);
    let collector = Canned::start(&[("GET /subnets/missing", 200, envelope(missing))]);
    let output = ask(&collector, &["subnet", "missing"]);
    assert_eq!(output.status.code(), Some(3));
    check_snapshot("table-subnet-missing", &stdout(&output));
    let none = Canned::start(&[("GET /subnets/missing", 200, envelope(json!([])))]);
    assert_eq!(ask(&none, &["subnet", "missing"]).status.code(), Some(0));
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> String {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_import_prints_findings_and_ends_with_what_they_mean() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "buildings.csv", b"10.0.0.0,...");
    let finding = |severity: &str| {
        json!({"severity": severity, "source": "building file", "line": 4, "column": 3,
            "message": "NetworkRange 33 is not a mask", "remedy": "give 8 to 28"})
    };
    let refused = json!({"type": "about:blank", "title": "Unprocessable Entity", "status": 422,
        "detail": "the building file has errors", "findings": [finding("error")]});
    let collector = Canned::start(&[("POST /buildings/import", 422, refused)]);
    let output = ask(&collector, &["building", "import", &file]);
    assert_eq!(output.status.code(), Some(3));
    check_snapshot("table-findings", &stdout(&output));
    assert!(stderr(&output).contains("nothing was changed"), "{}", stderr(&output));

    let done = json!({"schema_version": 1, "imported": true, "buildings": 2, "subnets": 3,
        "buildings_added": 2, "buildings_renamed": 0, "buildings_ended": 0, "subnets_added": 3,
        "subnets_ended": 0, "findings": [finding("warning")]});
    let collector = Canned::start(&[("POST /buildings/import", 200, done)]);
    let zones = write(directory.path(), "zones.csv", b"BuildingName,TimeZone\n");
    let output =
        ask(&collector, &["building", "import", &file, "--companion", &zones, "--dry-run"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let (_, _, body) = collector.asked()[0].clone();
    assert_eq!(
        body,
        json!({"file": "10.0.0.0,...", "companion": "BuildingName,TimeZone\n", "dry_run": true})
    );
    let output = ask(&collector, &["building", "import", &file]);
    assert!(stderr(&output).contains("buildings in force: 2 (2 new"), "{}", stderr(&output));

    let would = json!({"schema_version": 1, "imported": false, "buildings": 1, "subnets": 1,
        "buildings_added": 0, "buildings_renamed": 0, "buildings_ended": 1, "subnets_added": 0,
        "subnets_ended": 1, "ended_buildings": ["Ulm\u{1b}[2J"], "ended_subnets": ["10.9.0.0/24"],
        "findings": []});
    let collector = Canned::start(&[("POST /buildings/import", 200, would)]);
    let text = stderr(&ask(&collector, &["building", "import", &file, "--dry-run"]));
    assert!(text.contains("nothing was changed"), "{text}");
    assert!(text.contains("buildings: 1 (0 new, 0 renamed, 1 ended)"), "{text}");
    assert!(text.contains("buildings that would end: Ulm\u{fffd}[2J"), "{text}");
    assert!(text.contains("subnets that would end: 10.9.0.0/24"), "{text}");

    let latin = write(directory.path(), "latin.csv", b"S\xe3o Paulo");
    let output = ask(&collector, &["building", "import", &latin]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("UTF-8"), "{}", stderr(&output));
}

#[test]
fn the_building_file_and_its_companion_table_are_printed_as_they_come() {
    let collector = Canned::start(&[
        ("GET /buildings/export", 200, json!("10.0.0.0,A\r\n")),
        ("GET /buildings/export/companion", 200, json!("BuildingName\r\nA\r\n")),
    ]);
    for (arguments, expected) in [
        (vec!["building", "export"], "10.0.0.0,A\r\n"),
        (vec!["building", "export", "--companion"], "BuildingName\r\nA\r\n"),
    ] {
        let output = ask(&collector, &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(stdout(&output), expected);
    }
}

#[test]
fn a_secret_goes_into_a_new_file_of_its_own() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let added = json!({"schema_version": 1, "id": "an-id", "name": "berlin-7",
        "secret_line": "an-id.canary"});
    let collector = Canned::start(&[("POST /agents", 201, added)]);
    let path = directory.path().join("berlin-7.secret");
    let out = path.to_str().unwrap();
    let arguments = ["agent", "add", "berlin-7", "--subnet", "10.20.1.0/24", "--secret-file", out];
    let output = ask(&collector, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "an-id.canary\n");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(stdout(&output), "an-id\n");
    assert!(!(stdout(&output) + &stderr(&output)).contains("canary"));
    let (_, _, body) = collector.asked()[0].clone();
    assert_eq!(body["subnet"], "10.20.1.0/24");

    let again = ask(&collector, &arguments);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "an-id.canary\n", "kept");
    assert_eq!(collector.asked().len(), 1, "nobody is let in without a place for the secret");
}

#[test]
fn a_refused_agent_leaves_no_file_behind() {
    let directory = tempfile::tempdir().unwrap();
    let refusal = json!({"title": "Conflict", "status": 409,
        "detail": "there is an agent named \"berlin-7\" already"});
    let collector = Canned::start(&[("POST /agents", 409, refusal)]);
    let path = directory.path().join("berlin-7.secret");
    let out = path.to_str().unwrap();
    let output = ask(&collector, &["agent", "add", "berlin-7", "--secret-file", out]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("there is an agent named"), "{}", stderr(&output));
    assert!(!path.exists());
}

#[test]
fn windows_are_asked_for_by_time() {
    let collector = Canned::start(&[("GET /paths/12/windows", 200, envelope(json!([])))]);
    let from_until = ["--from", "2026-03-02T09:00:00Z", "--until", "2026-03-02T12:00:00Z"];
    let mut arguments = vec!["path", "windows", "12"];
    arguments.extend(from_until);
    assert_eq!(ask(&collector, &arguments).status.code(), Some(0));
    let output =
        ask(&collector, &["path", "windows", "12", "--since", "2d", "--until", from_until[1]]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let asked: Vec<String> = collector.asked().into_iter().map(|(_, target, _)| target).collect();
    let decoded = |target: &str| target.replace("%3A", ":");
    assert_eq!(
        decoded(&asked[0]),
        "/api/v1/paths/12/windows?from=2026-03-02T09:00:00Z&until=2026-03-02T12:00:00Z&limit=1000"
    );
    assert!(decoded(&asked[1]).contains("from=2026-02-28T09:00:00Z"), "{}", asked[1]);
}

#[test]
fn wide_windows_show_the_evidence() {
    let window = json!({"placed_utc": "2026-03-02T09:00:00Z", "worst_15s_lost": 9,
        "up_one_way_us_median": 8_200, "ecn_up": "ce", "settled": true});
    let collector = Canned::start(&[("GET /paths/12/windows", 200, envelope(json!([window])))]);
    let narrow = stdout(&ask(&collector, &["path", "windows", "12"]));
    let wide = stdout(&ask(&collector, &["path", "windows", "12", "--wide"]));
    for shown in ["WORST 15 S LOST", "ONE WAY UP", "8.2 ms", "ECN UP", "ce", "SETTLED", "yes"] {
        assert!(wide.contains(shown), "{shown} in {wide}");
        assert!(!narrow.contains(shown), "{shown} in {narrow}");
    }
}

#[test]
fn errors_say_what_to_do() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}");
    let not_ours = Canned::start(&[("GET /buildings", 200, json!("<html>"))]);
    let newer = json!({"schema_version": 2, "items": []});
    let newer = Canned::start(&[("GET /buildings", 200, newer)]);
    for (address, expected) in [
        (url.as_str(), "is it running?"),
        ("localhost:8080", "--collector or BUSYHOUR_COLLECTOR"),
        (not_ours.url.as_str(), "does not answer like a collector"),
        (newer.url.as_str(), "schema version 2"),
    ] {
        let output = busyhour(&["--collector", address, "building", "ls"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stdout(&output).is_empty());
        assert!(stderr(&output).contains(expected), "{address}: {}", stderr(&output));
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let collector = Canned::start(&[("GET /top", 200, envelope(top_items()))]);
    for format in ["table", "json", "csv"] {
        let mut child = busyhour(&["top", "-o", format, "--collector", &collector.url])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Closed before the program has even asked.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{format}: {}", stderr(&output));
        assert!(stderr(&output).is_empty(), "{format}: {}", stderr(&output));
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [
        vec!["building", "burn"],
        vec!["top", "-n", "0"],
        vec!["top", "--every", "never"],
        vec!["-o", "xml", "top"],
        vec!["path", "windows", "12", "--since", "yesterday"],
        vec!["agent", "add", "a"],
        vec!["agent", "move", "a"],
        vec!["agent", "move", "a", "--by-address", "--building", "b"],
        vec!["audit", "ls", "--limit", "0"],
    ] {
        assert_eq!(busyhour(&arguments).output().unwrap().status.code(), Some(2), "{arguments:?}");
    }
}
