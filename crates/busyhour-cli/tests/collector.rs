//! The commands against a real collector, which this same program plays as one of its roles.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::wait_until;

/// Far more than any step takes on a loaded machine.
const BOUND: Duration = Duration::from_secs(60);

struct Collector {
    child: Child,
    url: String,
}

impl Collector {
    fn start(directory: &Path) -> Self {
        Self::start_saying(directory.to_str().unwrap(), Stdio::inherit())
    }

    fn start_saying(directory: &str, stderr: Stdio) -> Self {
        let setting = |text: String| ["--set".to_owned(), text];
        let child = Command::new(env!("CARGO_BIN_EXE_busyhour"))
            .args(["role", "collector", "run", "--stop-with-stdin"])
            .args(setting(format!("collector.data_dir={directory}")))
            .args(setting("ingest.listen=127.0.0.1:0".to_owned()))
            .args(setting("api.listen=127.0.0.1:0".to_owned()))
            .stdin(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut collector = Self { child, url: String::new() };
        let api = wait_until("the collector says where it is", BOUND, || {
            assert_eq!(collector.child.try_wait().unwrap(), None, "the collector ended");
            let text = std::fs::read_to_string(Path::new(directory).join("addresses.json")).ok()?;
            let addresses: Value = serde_json::from_str(&text).unwrap();
            Some(addresses["api"].as_str().unwrap().to_owned())
        });
        collector.url = format!("http://{api}");
        collector
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_busyhour"))
            .args(["--collector", &self.url])
            .args(arguments)
            .output()
            .unwrap()
    }

    fn text(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // Already gone where the test stopped it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const BUILDINGS: &str = "\
10.20.1.0,Lab,24,Bengaluru Tower,,,,Bengaluru,560001,IN,,APAC,1,0,0\r
10.10.16.0,Floor 1,22,Berlin HQ,,,,Berlin,10115,DE,,EMEA,1,0,0\r
";

#[test]
fn every_command_works_against_a_real_collector() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("buildings.csv"), BUILDINGS).unwrap();
    let mut collector = Collector::start(&directory.path().join("data"));

    assert_eq!(collector.text(&["building", "ls", "--no-headers"]), "");
    collector.text(&["building", "import", &at("buildings.csv"), "--dry-run"]);
    assert_eq!(collector.text(&["building", "ls", "--no-headers"]), "");
    collector.text(&["building", "import", &at("buildings.csv")]);
    assert!(collector.text(&["building", "ls"]).contains("Bengaluru Tower"));
    assert!(collector.text(&["building", "show", "berlin hq"]).contains("Europe/Berlin"));
    assert_eq!(collector.text(&["building", "export"]), BUILDINGS);
    assert!(collector.text(&["subnet", "ls"]).contains("10.10.16.0/22"));
    assert!(collector.text(&["top"]).contains("Berlin HQ"));

    let hours = "Berlin HQ,2020-03-02T08:00:00Z,12\nBerlin HQ,2020-03-02T09:00:00Z,40\n";
    std::fs::write(at("calls.csv"), format!("building,start,load\n{hours}")).unwrap();
    collector.text(&["load", "import", &at("calls.csv"), "--dry-run"]);
    collector.text(&["load", "import", &at("calls.csv")]);

    let secret = at("lab-1.secret");
    let add = ["agent", "add", "lab-1", "--building", "Bengaluru Tower", "--secret-file", &secret];
    let id = collector.text(&add);
    let line = std::fs::read_to_string(&secret).unwrap();
    assert!(line.starts_with(&format!("{}.", id.trim())), "the agent's credentials");
    assert!(collector.text(&["agent", "ls", "-o", "csv"]).contains("lab-1"));
    let moved = ["agent", "move", "lab-1", "--building", "Berlin HQ"];
    collector.text(&moved);
    assert!(collector.text(&["agent", "ls"]).contains("10.10.16.0/22"));
    collector.text(&["agent", "forget", "lab-1"]);
    collector.text(&["agent", "remove", id.trim()]);
    assert!(!collector.text(&["agent", "ls"]).contains("lab-1"));
    assert!(collector.text(&["agent", "forget", "lab-1"]).contains("lab-1"));
    collector.text(&["agent", "forget", "lab-1", "--yes"]);
    assert!(!collector.text(&["agent", "ls", "--removed"]).contains("lab-1"));
    assert_eq!(collector.ask(&["agent", "forget", "lab-1"]).status.code(), Some(1));
    let audit = collector.text(&["audit", "ls", "--no-headers"]);
    let actions: Vec<_> = audit.lines().filter_map(|line| line.split_whitespace().nth(3)).collect();
    let settings = "change-settings";
    assert_eq!(
        actions[..4],
        ["forget-agent", "remove-agent", "bind-agent", "add-agent"],
        "{audit}"
    );
    assert_eq!(actions[4..6], ["import-loads", "import"], "{audit}");
    assert!(audit.contains(settings) && !audit.contains("lab-1"), "{audit}");
    assert!(collector.text(&["building", "history"]).contains("local operator"));
    assert_eq!(collector.text(&["building", "export", "--version", "1"]), BUILDINGS);
    assert_eq!(
        collector.text(&["subnet", "ls", "--at", "2020-01-01T00:00:00Z", "--no-headers"]),
        ""
    );
    assert_eq!(collector.text(&["subnet", "missing", "--no-headers"]), "");
    assert_eq!(collector.text(&["path", "ls", "--no-headers"]), "");
    let incidents = ["incident", "ls", "--closed", "--all-kinds", "--no-headers"];
    assert_eq!(collector.text(&incidents), "");
    assert_eq!(collector.ask(&["incident", "show", "1"]).status.code(), Some(1));
    assert_eq!(collector.ask(&["path", "windows", "7"]).status.code(), Some(1));

    drop(collector.child.stdin.take());
    let ended = wait_until("the collector stops", BOUND, || collector.child.try_wait().unwrap());
    assert!(ended.success());
}

/// Reads what a collector says to whoever started it, up to the code, and lets it go on.
fn code_of(collector: &mut Collector) -> String {
    let mut lines = BufReader::new(collector.child.stderr.take().unwrap()).lines();
    let code = lines.find_map(|line| {
        let line = line.unwrap();
        line.split_once("the code is ").map(|(_, code)| code.trim().to_owned())
    });
    std::thread::spawn(move || lines.for_each(drop));
    code.unwrap()
}

#[test]
fn people_sign_in_and_programs_ask_with_tokens() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let put = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
    let mut collector = Collector::start_saying(&at("data"), Stdio::piped());
    put("code", &code_of(&mut collector));
    put("eva.pw", "correct horse battery\n");
    put("vera.pw", "another staple of horses\n");
    put("buildings.csv", BUILDINGS);
    let run = |who: &str, arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_busyhour"))
            .args(["--collector", &collector.url])
            .args(arguments)
            .env("XDG_STATE_HOME", at(who))
            .env_remove("BUSYHOUR_TOKEN_FILE")
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    assert_eq!(run("nobody", &["building", "import", &at("buildings.csv")]).0, 0);
    let (code, _, told) = run(
        "eva",
        &["user", "first", "eva", "--code-file", &at("code"), "--password-file", &at("eva.pw")],
    );
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("signed in as eva (administrator)"), "{told}");
    let (code, _, told) = run("nobody", &["top"]);
    assert!(code == 1 && told.contains("busyhour login"), "{told}");
    assert!(run("eva", &["top"]).1.contains("Berlin HQ"));

    let add = ["user", "add", "vera", "--role", "viewer", "--building", "Berlin HQ"];
    let with_password = ["--password-file", &at("vera.pw")];
    assert_eq!(run("eva", &[&add[..], &with_password[..]].concat()).0, 0);
    let (code, _, told) = run("vera", &["login", "vera", "--password-file", &at("eva.pw")]);
    assert!(code == 1 && told.contains("wrong"), "{told}");
    assert_eq!(run("vera", &[&["login", "vera"][..], &with_password[..]].concat()).0, 0);
    let (_, buildings, _) = run("vera", &["building", "ls", "--no-headers"]);
    assert!(buildings.contains("Berlin HQ") && !buildings.contains("Bengaluru"), "{buildings}");
    let (code, _, told) = run("vera", &["user", "ls"]);
    assert!(code == 1 && told.contains("viewer"), "{told}");
    assert!(run("vera", &["whoami"]).1.contains("vera"));
    assert!(run("eva", &["user", "ls"]).1.contains("Berlin HQ"));

    let token = at("grafana.token");
    let create = ["api-token", "create", "grafana", "--role", "auditor", "--to", &token];
    assert_eq!(run("eva", &create).0, 0);
    let with_token = ["--api-token-file", &token];
    let (code, who, told) = run("nobody", &[&with_token[..], &["whoami"]].concat());
    assert!(code == 0 && who.contains("token grafana"), "{told}");
    let verify = run("nobody", &[&with_token[..], &["audit", "verify", "-o", "json"]].concat());
    assert_eq!(verify.0, 0, "{}", verify.2);
    let chain: Value = serde_json::from_str(&verify.1).unwrap();
    let export = run("nobody", &[&with_token[..], &["audit", "export"]].concat()).1;
    let last: Value = serde_json::from_str(export.lines().last().unwrap()).unwrap();
    assert_eq!(last["link"], chain["items"][0]["head_link"]);
    let (number, link) = (last["number"].to_string(), last["link"].as_str().unwrap().to_owned());
    let kept = ["audit", "verify", "--number", &number, "--link", &link];
    assert_eq!(run("eva", &kept).0, 0);
    let changed = link.replace(&link[..1], "x");
    let kept = ["audit", "verify", "--number", &number, "--link", &changed];
    assert_eq!(run("eva", &kept).0, 3);
    assert_eq!(run("eva", &["api-token", "revoke", "grafana"]).0, 0);
    assert_eq!(run("nobody", &[&with_token[..], &["whoami"]].concat()).0, 1);

    assert_eq!(run("eva", &["user", "rm", "vera"]).0, 0);
    assert_eq!(run("vera", &["whoami"]).0, 1);
    assert_eq!(run("eva", &["logout"]).0, 0);
    assert_eq!(run("eva", &["whoami"]).0, 1);
}
