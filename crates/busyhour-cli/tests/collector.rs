//! The commands against a real collector, which this same program plays as one of its roles.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

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
        let setting = |text: String| ["--set".to_owned(), text];
        let child = Command::new(env!("CARGO_BIN_EXE_busyhour"))
            .args(["role", "collector", "run", "--stop-with-stdin"])
            .args(setting(format!("collector.data_dir={}", directory.display())))
            .args(setting("ingest.listen=127.0.0.1:0".to_owned()))
            .args(setting("api.listen=127.0.0.1:0".to_owned()))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut collector = Self { child, url: String::new() };
        let api = wait_until("the collector says where it is", BOUND, || {
            assert_eq!(collector.child.try_wait().unwrap(), None, "the collector ended");
            let text = std::fs::read_to_string(directory.join("addresses.json")).ok()?;
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
