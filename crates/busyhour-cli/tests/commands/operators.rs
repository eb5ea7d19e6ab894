//! What an operator watches with: every form of output, one thing of each list, explanations, checks,
//! profiles, and what is generated.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::canned::Canned;
use crate::{ask, busyhour, check_snapshot, envelope, stderr, stdout, top_items};

/// A list that has a `show` which looks the thing up in it: the command, the name, the address, a row.
type Listed = (&'static str, &'static str, &'static str, Value);

fn measured() -> Vec<Listed> {
    vec![
        (
            "subnet",
            "10.1.0.0/24",
            "/subnets",
            json!({
                "id": "a1", "prefix": "10.1.0.0/24", "egress_prefix": null, "building": "Berlin HQ",
                "building_id": "b1", "network": "Floor 1", "city": "Berlin", "country": "DE",
                "region": "EMEA", "inside_corp": true, "express_route": false, "vpn": false,
                "agent_count": 2, "simulated": false,
            }),
        ),
        (
            "target",
            "edge.example.com:862",
            "/targets",
            json!({
                "target": "edge.example.com:862", "path_count": 4, "agent_count": 2,
                "building_count": 1, "classes": ["audio", "video"], "profiles": ["audio-50"],
                "requirements": ["client-to-microsoft-edge"], "resolved": ["192.0.2.1:862"],
                "newest_window_utc": "2026-03-02T09:00:00Z", "data_age_s": 30, "simulated": false,
            }),
        ),
        (
            "path",
            "12",
            "/paths",
            json!({
                "id": 12, "agent": "berlin-7", "agent_id": "c1", "building": null,
                "building_id": null, "link": "wired", "interface": "eth0", "family": "ipv4",
                "transport": "udp", "target": "edge:862", "class": "audio", "profile": "audio-50",
                "requirement": "client-to-microsoft-edge", "windows_per_slot": 15,
                "newest_window_utc": "2026-03-02T09:00:00Z", "data_age_s": 30,
                "local_prefix": null, "resolved": null, "reflexive": null, "simulated": false,
            }),
        ),
    ]
}

fn told() -> Vec<Listed> {
    vec![
        (
            "channel",
            "champion",
            "/channels",
            json!({
                "name": "champion", "kind": "email", "state": "fails", "waiting": 2,
                "taken_utc": null, "failing_since_utc": "2026-03-02T09:00:00Z", "error": "no\u{1b}",
            }),
        ),
        (
            "owner",
            "NOC",
            "/owners",
            json!({
                "cause": "wifi", "region": null, "name": "NOC", "contact": null,
                "since_utc": "2026-03-02T09:00:00Z", "by": "eva",
            }),
        ),
        (
            "silence",
            "3",
            "/silences",
            json!({
                "number": 3, "state": "holds", "scopes": [{"scope": "building", "subject": "Bonn"}],
                "from_utc": "2026-03-02T09:00:00Z", "until_utc": "2026-03-02T11:00:00Z",
                "reason": "a move", "by": "eva", "made_utc": "2026-03-02T09:00:00Z",
                "ended_utc": null, "ended_by": null,
            }),
        ),
        (
            "maintenance",
            "4",
            "/maintenance",
            json!({
                "number": 4, "state": "planned",
                "scopes": [{"scope": "everything", "subject": null}],
                "from_utc": "2026-03-02T09:00:00Z", "until_utc": "2026-03-02T11:00:00Z",
                "reason": "new switches", "by": "eva", "made_utc": "2026-03-02T09:00:00Z",
                "ended_utc": null, "ended_by": null,
            }),
        ),
    ]
}

fn admitted() -> Vec<Listed> {
    vec![
        (
            "token",
            "0a1b2c3d4e",
            "/tokens",
            json!({
                "id": "0a1b2c3d4e", "state": "good", "building": "Bonn", "subnet": null,
                "uses_left": 1, "uses": 1, "approval": "auto", "peers": null,
                "expires_utc": "2026-03-03T09:00:00Z", "created_by": "eva", "refused": 0,
            }),
        ),
        (
            "user",
            "vera",
            "/users",
            json!({
                "name": "vera", "role": "viewer", "buildings": ["Bonn"],
                "added_utc": "2026-03-02T09:00:00Z", "signed_in_utc": null, "issuer": null,
            }),
        ),
        (
            "api-token",
            "grafana",
            "/api-tokens",
            json!({
                "name": "grafana", "role": "viewer", "buildings": null, "made_by": "eva",
                "added_utc": "2026-03-02T09:00:00Z", "expires_utc": "2027-03-02T09:00:00Z",
                "expired": false, "used_utc": null,
            }),
        ),
        (
            "task",
            "quality-review",
            "/tasks",
            json!({
                "task": "quality-review", "cadence": "weekly", "period": "2026-W09",
                "state": "due", "overdue_periods": [], "signed_by": [], "what": "Read the review",
                "helps": "busyhour report weekly",
            }),
        ),
    ]
}

#[test]
fn one_thing_of_every_list_is_shown_in_every_form() {
    let mut golden = String::new();
    for (command, name, address, row) in [measured(), told(), admitted()].concat() {
        let mut other = row.clone();
        for key in ["id", "name", "number", "prefix", "target", "task"] {
            if let Some(value) = other.get_mut(key) {
                *value = if value.is_u64() { json!(99) } else { json!("another") };
            }
        }
        let answer = envelope(json!([other, row]));
        let get = format!("GET {address}");
        let collector = Canned::start(&[(&get, 200, answer)]);
        for form in ["table", "wide", "json", "yaml", "csv"] {
            let output = ask(&collector, &[command, "show", name, "-o", form]);
            assert_eq!(output.status.code(), Some(0), "{command} {form}: {}", stderr(&output));
            assert!(!stdout(&output).contains("another"), "{command} {form}");
            golden.push_str(&format!("# busyhour {command} show {name} -o {form}\n"));
            golden.push_str(&stdout(&output));
            golden.push('\n');
        }
        let json = ask(&collector, &[command, "show", name, "-o", "json"]);
        let printed: Value = serde_json::from_str(&stdout(&json)).unwrap();
        assert_eq!(printed, envelope(json!([row])), "{command}: as the collector tells it");
        let none = ask(&collector, &[command, "show", "0"]);
        assert_eq!(none.status.code(), Some(1), "{command}");
        let told = stderr(&none);
        assert!(told.contains(&format!("`busyhour {command} ls")), "{told}");
    }
    check_snapshot("show-in-every-form", &golden);
}

#[test]
fn every_list_has_every_form() {
    let collector = Canned::start(&[("GET /top", 200, envelope(top_items()))]);
    for form in ["wide", "yaml"] {
        let output = ask(&collector, &["top", "-o", form]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        check_snapshot(&format!("{form}-top"), &stdout(&output));
    }
}

#[test]
fn a_list_is_asked_for_page_by_page() {
    let page = |number: u64, next: Value| json!({"schema_version": 1, "items": [{"name": format!("b{number}")}], "next": next});
    let collector = Canned::start(&[
        ("GET /buildings", 200, page(1, json!("one"))),
        ("GET /buildings?after=one", 200, page(2, json!("two"))),
        ("GET /buildings?after=two", 200, page(3, Value::Null)),
    ]);
    let output = ask(&collector, &["building", "ls", "-o", "json"]);
    let printed: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(printed, envelope(json!([{"name": "b1"}, {"name": "b2"}, {"name": "b3"}])));
    let turning = Canned::start(&[("GET /buildings", 200, page(1, json!("one")))]);
    let output = ask(&turning, &["building", "ls"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("again and again"), "{}", stderr(&output));
}

fn explained() -> Value {
    json!({
        "path_id": 12, "agent": "berlin-7", "building": "Berlin HQ", "building_id": "b1",
        "link": "wired", "target": "edge:862", "class": "audio",
        "requirement": "client-to-microsoft-edge", "simulated": false,
        "at_utc": "2026-03-02T09:15:00Z", "zone": "Europe/Berlin",
        "at_local": "Mon 2026-03-02 10:15", "busy": true,
        "busy_hours_local": ["08:00-12:00", "13:00-17:00"], "busy_hours_from": "learned",
        "working_day": true,
        "limits": {"version": 1, "document": "A document", "published_date": "2019-03-01",
            "loss_ratio": 0.01, "burst_ratio": 0.1, "rtt_us": 100_000, "one_way_us": 50_000,
            "jitter_us": 30_000, "reorder_ratio": 0.0005},
        "window": {"placed_utc": "2026-03-02T09:15:00Z", "sent": 750, "lost_up": 20,
            "lost_down": 10, "lost_unknown": 0, "burst_lost": 3, "burst_of": 10,
            "up_one_way_us_median": 9_000, "down_one_way_us_median": 11_000, "one_way": "pass",
            "rtt_us_median": 20_100, "up_jitter_us": 1_500, "down_jitter_us": null,
            "loss": "fail", "burst": "fail", "delay": "pass", "jitter": "pass"},
        "hour": {"started_utc": "2026-03-02T09:00:00Z", "hours_local": "10:00–11:00", "valid": 60,
            "bad": 30, "bad_ratio": 0.5, "bad_loss": 30, "bad_burst": 12, "bad_delay": 0,
            "bad_jitter": 0, "bad_failed": 0, "sent": 45_000, "lost": 900, "loss_ratio": 0.02},
        "day": {"date_local": "2026-03-02", "verdict": "peak-bad", "expected": 600, "valid": 598,
            "bad": 60, "coverage_ratio": 0.997, "in_bad_hour": true},
        "last_observed_day": {"date_local": "2026-03-02", "verdict": "peak-bad",
            "coverage_ratio": 0.997, "worst_hour_bad_ratio": 0.5},
        "incidents": [{"number": 3, "kind": "recurring-peak", "state": "open", "alerts": true,
            "hours_local": ["10:00-11:00"], "touches": true, "sentence": "Words go missing."}],
        "observed_lately": true, "newest_window_utc": "2026-03-06T15:59:00Z", "data_age_s": 42,
        "words": ["Path 12: berlin-7.", "It lies inside \u{1b}[2Jbusy hours."],
    })
}

#[test]
fn a_moment_is_explained_in_words_and_numbers() {
    let answer = envelope(json!([explained()]));
    let collector = Canned::start(&[("GET /paths/12/explain", 200, answer.clone())]);
    let output = ask(&collector, &["explain", "12", "--at", "2026-03-02T10:15[Europe/Berlin]"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    check_snapshot("table-explain", &stdout(&output));
    let (_, target, _) = &collector.asked()[0];
    let asked = target.replace("%3A", ":");
    assert_eq!(asked, "/api/v1/paths/12/explain?at=2026-03-02T09:15:00Z");
    let json = ask(&collector, &["explain", "12", "-o", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&stdout(&json)).unwrap(), answer);
    let wrong = ask(&collector, &["explain", "12", "--at", "yesterday"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("[Europe/Berlin]"), "{}", stderr(&wrong));
}

/// The exit code and the one line of a check.
fn checked(output: &Output) -> (Option<i32>, String) {
    let text = stdout(output);
    assert_eq!(text.lines().count(), 1, "{text}");
    (output.status.code(), text.trim_end().to_owned())
}

#[test]
fn a_check_ends_as_monitoring_plugins_do() {
    let items = top_items();
    let with = |standing: &str, age: Value| {
        let mut item = items[0].clone();
        item["standing"] = json!(standing);
        item["data_age_s"] = age;
        envelope(json!([item]))
    };
    let one = "GET /buildings/00000000-0000-0000-0000-000000000001";
    for (standing, age, code, word) in [
        ("good", json!(42), 0, "OK"),
        ("bad-lately", json!(42), 1, "WARNING"),
        ("masked", json!(42), 2, "CRITICAL"),
        ("bad", json!(42), 2, "CRITICAL"),
        ("unknown", json!(42), 3, "UNKNOWN"),
        ("good", json!(7_200), 3, "UNKNOWN"),
        ("good", Value::Null, 3, "UNKNOWN"),
    ] {
        let answer = with(standing, age.clone());
        let collector =
            Canned::start(&[("GET /buildings", 200, answer.clone()), (one, 200, answer)]);
        let (found, line) = checked(&ask(&collector, &["check", "Berlin HQ"]));
        assert_eq!(found, Some(code), "{standing} {age}: {line}");
        assert!(line.starts_with(&format!("BUSYHOUR {word} - Berlin HQ: ")), "{line}");
        let (_, figures) = line.split_once(" | ").unwrap();
        assert!(figures.contains("coverage=99.80%;;;0;100"), "{line}");
        let patient = ["check", "Berlin HQ", "--stale-after", "3h"];
        if standing == "good" && age == json!(7_200) {
            assert_eq!(ask(&collector, &patient).status.code(), Some(0));
        }
    }
    let collector = Canned::start(&[
        ("GET /buildings", 200, envelope(items.clone())),
        ("GET /top", 200, envelope(items)),
        ("GET /paths/12/explain", 200, envelope(json!([explained()]))),
    ]);
    let (code, line) = checked(&ask(&collector, &["check", "--fleet"]));
    assert_eq!(code, Some(2), "{line}");
    check_snapshot("check-fleet", &format!("{line}\n"));
    let (code, line) = checked(&ask(&collector, &["check", "--path", "12"]));
    assert_eq!(code, Some(2), "{line}");
    check_snapshot("check-path", &format!("{line}\n"));
}

#[test]
fn what_cannot_be_checked_is_unknown_and_never_ok() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = format!("http://{closed}");
    let refusing = json!({"title": "Forbidden", "status": 403, "detail": "sign in first"});
    let refusing = Canned::start(&[("GET /buildings", 403, refusing)]);
    let none = envelope(json!([]));
    let empty = Canned::start(&[("GET /buildings", 200, none.clone()), ("GET /top", 200, none)]);
    for arguments in [
        vec!["--collector", &closed, "check", "--fleet"],
        vec!["--collector", "no address", "check", "--fleet"],
        vec!["--collector", &refusing.url, "check", "--fleet"],
        vec!["--collector", &empty.url, "check", "--fleet"],
        vec!["--collector", &empty.url, "check", "Atlantis"],
        vec!["--collector", &empty.url, "check", "12"],
        vec!["--collector", &empty.url, "check", "12", "--path", "12"],
        vec!["--collector", &empty.url, "check"],
        vec!["check", "--burn"],
        vec!["--profile", "nobody", "check", "--fleet"],
    ] {
        let output = busyhour(&arguments).output().unwrap();
        let (code, line) = checked(&output);
        assert_eq!(code, Some(3), "{arguments:?}: {line}");
        assert!(line.starts_with("BUSYHOUR UNKNOWN - "), "{arguments:?}: {line}");
    }
    // Others go on to end as they did.
    assert_eq!(busyhour(&["building", "check"]).output().unwrap().status.code(), Some(2));
}

/// A home of its own.
fn at_home(home: &Path, arguments: &[&str]) -> Command {
    let mut command = busyhour(arguments);
    command.env("XDG_CONFIG_HOME", home);
    command
}

#[test]
fn collectors_are_kept_by_name_and_their_tokens_are_never_printed() {
    use std::os::unix::fs::PermissionsExt as _;

    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| at_home(home.path(), arguments).output().unwrap();
    let (first, second) = (
        Canned::start(&[("GET /top", 200, envelope(top_items()))]),
        Canned::start(&[("GET /top", 200, envelope(json!([])))]),
    );
    let token = home.path().join("lab.token");
    std::fs::write(&token, "canary-of-lab\n").unwrap();
    let token = token.to_str().unwrap();
    let added = [
        run(&["profile", "add", "hq", &first.url]),
        run(&["profile", "add", "lab", &second.url, "--token-file", token]),
    ];
    assert!(stderr(&added[0]).contains("hq is in use"), "{}", stderr(&added[0]));
    assert!(stderr(&added[1]).contains("profile use"), "{}", stderr(&added[1]));
    let file = home.path().join("busyhour/profiles.toml");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    for form in ["table", "wide", "json", "yaml", "csv"] {
        let output = run(&["profile", "ls", "-o", form]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(!stdout(&output).contains("canary"), "{form}: {}", stdout(&output));
        assert!(stdout(&output).contains("lab"), "{form}");
    }

    run(&["top", "--once"]);
    run(&["--profile", "lab", "top", "--once"]);
    at_home(home.path(), &["top"]).env("BUSYHOUR_PROFILE", "lab").output().unwrap();
    run(&["top", "--collector", &second.url]);
    at_home(home.path(), &["top"]).env("BUSYHOUR_COLLECTOR", &second.url).output().unwrap();
    at_home(home.path(), &["top", "--profile", "hq"])
        .env("BUSYHOUR_COLLECTOR", &second.url)
        .output()
        .unwrap();
    // What the environment has is for another collector than the one that is named here.
    let production = home.path().join("production.token");
    std::fs::write(&production, "canary-of-production\n").unwrap();
    for profile in ["hq", "lab"] {
        at_home(home.path(), &["top", "--profile", profile])
            .env("BUSYHOUR_TOKEN_FILE", &production)
            .output()
            .unwrap();
    }
    assert_eq!((first.asked().len(), second.asked().len()), (3, 5));
    let bearer = Some("Bearer canary-of-lab".to_owned());
    let of_lab = [bearer.clone(), bearer.clone(), None, None, bearer];
    assert_eq!(second.bearers(), of_lab, "for its own alone");
    assert_eq!(first.bearers(), [None, None, None]);

    run(&["profile", "use", "lab"]);
    run(&["top"]);
    assert_eq!(second.asked().len(), 6);
    run(&["profile", "rm", "lab"]);
    assert!(!std::fs::read_to_string(&file).unwrap().contains("canary"));
    for (arguments, code, told) in [
        (&["--profile", "lab", "top"][..], 1, "`busyhour profile ls`"),
        (&["profile", "use", "lab"], 1, "`busyhour profile ls`"),
        (&["--profile", "hq", "--collector", "http://[::1]:1", "top"], 1, "not both"),
        (&["profile", "add", "../x", "http://[::1]:1"], 1, "profile's name"),
        (&["profile", "add", "x", "localhost"], 1, "is not a collector's address"),
        (&["profile", "use"], 2, "required"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(stderr(&output).contains(told), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_file_of_profiles_that_others_may_read_or_that_is_broken_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("busyhour/profiles.toml");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "current = \"hq\"\n[profile.hq]\ntoken = \"canary\" burn\n").unwrap();
    let mode = |mode: u32| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let output = at_home(home.path(), &["top"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(!stderr(&output).contains("canary"), "{}", stderr(&output));
        stderr(&output)
    };
    assert!(mode(0o644).contains("chmod 600"));
    assert!(mode(0o600).contains("line 3"));
    let elsewhere = at_home(home.path(), &["completions", "bash"]).output().unwrap();
    assert_eq!(elsewhere.status.code(), Some(0), "what asks nobody needs no profile");
}

#[test]
fn completions_are_printed_and_the_manual_is_written() {
    for shell in ["bash", "zsh", "fish"] {
        let output = busyhour(&["completions", shell]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let script = stdout(&output);
        assert!(script.contains("explain") && script.contains("no-headers"), "{shell}");
        let loaded = Command::new(shell).args(["-n", "/dev/stdin"]).stdin(piped(&script)).status();
        // Where the shell is there, it takes the script.
        assert!(loaded.is_err() || loaded.unwrap().success(), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    let output = busyhour(&["man", pages.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let page = std::fs::read_to_string(pages.join("busyhour-check.1")).unwrap();
    assert!(page.starts_with(".ie") || page.contains(".TH"), "{page}");
    assert!(page.contains("CRITICAL") && page.contains("stale"), "{page}");
}

/// A file with a text in it, to be read from its beginning.
fn piped(text: &str) -> std::fs::File {
    use std::io::{Seek as _, Write as _};

    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}
