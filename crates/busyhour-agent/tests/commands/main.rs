//! `busyhour-agent once` and `status` as processes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use testkit::wait_until;

const BOUND: Duration = Duration::from_secs(60);

/// Every field of `once -o json`, in order; names are kept, new ones are added here.
const ONCE_FIELDS: &str = include_str!("once-fields.txt");

fn agent() -> Command {
    Command::new(env!("CARGO_BIN_EXE_busyhour-agent"))
}

/// A running agent with a data directory of its own.
struct Running {
    child: Child,
    folder: TempDir,
}

impl Running {
    fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.toml");
        fs::write(&file, format!("[agent]\ndata_dir = {:?}\n{config}", folder.path())).unwrap();
        let mut command = agent();
        command.args(["run", "--config"]).arg(file).stderr(Stdio::null());
        // Whatever this machine runs on.
        command.env("BUSYHOUR__PAUSE__ON_BATTERY", "false");
        Self { child: command.spawn().unwrap(), folder }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it answers probes.
    fn address(&self) -> String {
        let file = self.folder().join("addresses.json");
        let addresses = wait_until("the reflector has an address", BOUND, || json_of(&file));
        addresses["reflector"][0].as_str().unwrap().to_owned()
    }

    /// Its status, once that is as it should be.
    fn status(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let file = self.folder().join("status.json");
        wait_until(what, BOUND, || json_of(&file).filter(&holds))
    }

    fn terminate(&mut self) {
        signal("-TERM", &self.child);
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(name: &str, child: &Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

fn json_of(file: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

fn reflector() -> Running {
    Running::start("[reflector]\nlisten = [\"127.0.0.1:0\"]\n")
}

fn once(arguments: &[&str]) -> Output {
    agent().arg("once").args(arguments).output().unwrap()
}

fn status(folder: &Path, arguments: &[&str]) -> Output {
    agent().args(["status", "--data-dir"]).arg(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Names of fields, with those of objects within behind a dot.
fn fields(of: &Value, before: &str, into: &mut Vec<String>) {
    for (name, value) in of.as_object().unwrap() {
        into.push(format!("{before}{name}"));
        if value.is_object() {
            fields(value, &format!("{before}{name}."), into);
        }
    }
}

#[test]
fn once_prints_one_window_as_json_and_nothing_else() {
    let reflector = reflector();
    let done = once(&[&reflector.address(), "--window", "400ms", "-o", "json"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(done.stderr.is_empty(), "{done:?}");
    let window: Value = serde_json::from_slice(&done.stdout).unwrap();
    let mut found = Vec::new();
    fields(&window, "", &mut found);
    found.sort_unstable();
    assert_eq!(found, ONCE_FIELDS.lines().collect::<Vec<_>>());
    let figure = |name: &str| window[name].as_u64().unwrap();
    let lost = figure("lost_up") + figure("lost_down") + figure("lost_unknown");
    // A machine that holds up the sender makes it skip packets, never lose them.
    assert_eq!(figure("received") + lost, figure("sent"));
    assert!(figure("sent") > 0 && figure("sent") <= figure("scheduled"), "{window}");
    assert_eq!((figure("scheduled"), figure("rate_pps")), (20, 50));
    assert_eq!((figure("dscp_sent"), figure("dscp_up"), figure("dscp_down")), (46, 46, 46));
    assert_eq!(
        (window["profile"].as_str(), window["link"].as_str()),
        (Some("audio-50"), Some("loopback"))
    );
    assert_eq!(
        (window["peer_tlvs"].as_bool(), window["interrupted"].as_bool()),
        (Some(true), Some(false))
    );
    let trip = |name: &str| window["rtt_us"][name].as_u64().unwrap();
    let trips = ["min", "p50", "p90", "p99", "p999", "max"].map(trip);
    assert!(trips.is_sorted(), "{trips:?}");
}

#[test]
fn once_measures_every_profile_and_tells_people_everything() {
    let reflector = reflector();
    for (arguments, expected) in [
        (&["--class", "video"][..], "video-150: 150 packets/s of 1200 bytes"),
        (&["--class", "sharing"], "sharing-150: 150 packets/s of 1200 bytes"),
        (&["--profile", "burst-200", "--ecn", "ect0"], "ECN (sent ect0)"),
        (&["--peer", "twamp-light"], "twamp-light, open"),
    ] {
        let address = reflector.address();
        let all = [&[address.as_str(), "--window", "200ms"], arguments].concat();
        let done = once(&all);
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        let shown = text(&done.stdout);
        for part in [expected, "lost", "p99.9", "jitter", "timed by", "own clock", "hop limit"] {
            assert!(shown.contains(part), "{part:?} is not in {shown}");
        }
    }
}

#[test]
fn once_authenticates_itself_with_a_key() {
    let keys = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let file = keys.path().join(name);
        fs::write(&file, format!("{name}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (right, wrong) = (key("right"), key("wrong"));
    let reflector = Running::start(&format!(
        "[reflector]\nlisten = [\"127.0.0.1:0\"]\nkey_files = [{right:?}]\nrequire_key = true\n"
    ));
    let address = reflector.address();
    let with = |file: &str, security: &str, profile: &str| {
        let more = ["--key-file", file, "--security", security, "--profile", profile];
        once(&[&[address.as_str(), "--window", "100ms"], &more[..]].concat()).status.code()
    };
    assert_eq!(with(&right, "authenticated", "audio-50-190"), Some(0));
    assert_eq!(with(&right, "tlvs", "audio-50"), Some(0));
    assert_eq!(with(&wrong, "tlvs", "audio-50"), Some(3));
    assert_eq!(once(&[&address, "--window", "100ms"]).status.code(), Some(3));
    let refused = once(&[&address, "--key-file", &right, "--security", "authenticated"]);
    assert_eq!(refused.status.code(), Some(1));
    let why = format!("{}{}", text(&refused.stdout), text(&refused.stderr));
    assert!(why.contains("larger packets"), "{why}");
}

#[test]
fn once_tells_silence_from_errors_and_from_a_wrong_command_line() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let done = once(&[&address, "--window", "100ms"]);
    assert_eq!(done.status.code(), Some(3));
    assert!(text(&done.stdout).contains("nothing came back"), "{done:?}");
    let done = once(&[&address, "--window", "100ms", "-o", "json"]);
    assert_eq!(done.status.code(), Some(3));
    let window: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&window["rtt_us"], &window["lost_unknown"]), (&Value::Null, &window["sent"]));

    for (arguments, expected, part) in [
        (&["..", "--window", "100ms"][..], 1, "find the addresses"),
        (&["127.0.0.1", "-6"], 1, "no address of this family"),
        (&["127.0.0.1", "--window", "2h"], 1, "from 100ms to 60s"),
        (&["127.0.0.1", "--class", "fax"], 2, "possible values: audio, video"),
        (&[], 2, "HOST"),
    ] {
        let refused = once(arguments);
        assert_eq!(refused.status.code(), Some(expected), "{refused:?}");
        assert!(refused.stdout.is_empty() && text(&refused.stderr).contains(part), "{refused:?}");
    }
}

#[test]
fn once_prints_what_there_is_when_it_is_interrupted() {
    let far = UdpSocket::bind("127.0.0.1:0").unwrap();
    far.set_read_timeout(Some(BOUND)).unwrap();
    let address = far.local_addr().unwrap().to_string();
    let mut command = agent();
    command.args(["once", &address, "--window", "60s", "-o", "json"]);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut request = [0; 2_000];
    let (length, from) = far.recv_from(&mut request).unwrap();
    // Loss of everything is one end; here something comes back.
    far.send_to(&answer(&request[..length]), from).unwrap();
    far.recv_from(&mut request).unwrap();
    signal("-INT", &child);
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let window: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(window["interrupted"], Value::Bool(true));
    assert_eq!(window["received"], Value::from(1));
}

/// What a reflector without extensions answers (RFC 8762 section 4.3): its own number and times, and
/// the request's behind them.
fn answer(request: &[u8]) -> Vec<u8> {
    let mut answer = request.to_vec();
    answer[16..24].copy_from_slice(&request[4..12]);
    answer[24..40].copy_from_slice(&[&request[..14], &[0, 0]].concat());
    answer[40] = 64;
    answer
}

#[test]
fn status_says_what_a_running_agent_sends_where() {
    let reflector = reflector();
    let address = reflector.address();
    let mut prober = Running::start(&format!(
        "[[target]]\nname = \"{address}\"\nschedule = \"continuous\"\nwindow = \"200ms\"\n"
    ));
    let told = prober.status("a window is told of", |status| {
        status["sessions"][0]["last_window"]["received"].as_u64() > Some(0)
            && status["timing"].is_object()
    });
    let (session, socket) = (&told["sessions"][0], &told["sockets"][0]);
    assert_eq!(session["state"], Value::from("probing"));
    assert_eq!(session["mean_bits_per_second"], Value::from(58_000));
    assert_eq!(session["local"], socket["local"]);
    assert!(socket["sent"].as_u64() > Some(0) && socket["received"].as_u64() > Some(0));

    let shown = status(prober.folder(), &[]);
    assert_eq!(shown.status.code(), Some(0), "{shown:?}");
    let shown = text(&shown.stdout);
    for part in ["the agent runs", &address, "audio-50", "58.0 kbit/s", "probing", "delivers to"] {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
    let config = prober.folder().join("agent.toml");
    let by_config =
        agent().args(["status", "-o", "json", "--config"]).arg(config).output().unwrap();
    let by_config: Value = serde_json::from_slice(&by_config.stdout).unwrap();
    assert_eq!(by_config["running"], Value::Bool(true));

    prober.terminate();
    let shown = status(prober.folder(), &["-o", "json"]);
    assert_eq!(shown.status.code(), Some(1));
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(
        (&shown["running"], &shown["state"]),
        (&Value::Bool(false), &Value::from("stopped"))
    );
}

#[test]
fn status_of_an_agent_that_answers_counts_its_answers() {
    let reflector = reflector();
    let measured = once(&[&reflector.address(), "--window", "200ms"]);
    assert_eq!(measured.status.code(), Some(0));
    let told = reflector.status("answers are told of", |status| {
        status["reflectors"][0]["answered"].as_u64() > Some(0)
    });
    assert_eq!(told["reflectors"][0]["listen"], Value::from(reflector.address()));
    assert_eq!(told["sessions"], Value::Array(Vec::new()));
}

#[test]
fn status_says_when_there_is_no_agent_or_one_that_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let none = status(folder.path(), &["-o", "json"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(none.stdout.is_empty() && text(&none.stderr).contains("no agent has run"), "{none:?}");

    let killed = reflector();
    let file = killed.folder().join("status.json");
    let mut told = killed.status("something is told", |_| true);
    drop(killed);
    told["written_utc"] = Value::from("2026-01-01T00:00:00Z");
    let file = folder.path().join(file.file_name().unwrap());
    fs::write(file, told.to_string()).unwrap();
    let stale = status(folder.path(), &[]);
    assert_eq!(stale.status.code(), Some(1));
    assert!(text(&stale.stdout).contains("has said nothing for"), "{stale:?}");
}
