//! What goes wrong in the field: each is a clear error or a counted drop, and the rest goes on.

use std::process::Command;

use e2e::{Collector, Place, Process, program, wait_for, write_secret};
use tempfile::TempDir;

#[test]
fn a_second_collector_on_the_same_data_is_refused_and_the_first_lives() {
    let folder = TempDir::new().unwrap();
    let collector = Collector::start(&Place::default(), folder.path(), "");
    let second = Command::new(program("busyhour-collector"))
        .args(["run", "--config"])
        .arg(folder.path().join("collector.toml"))
        .output()
        .unwrap();
    assert!(!second.status.success());
    let error = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(error.contains("another collector"), "{error}");
    assert!(collector.busyhour(&["building", "ls"]).status.success(), "the first still answers");
}

#[test]
fn plaintext_is_refused_off_loopback_with_a_sentence() {
    let refuse = |name: &str, config: &str| {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, config).unwrap();
        let output =
            Command::new(program(name)).args(["check-config", "--config"]).arg(&file).output();
        let output = output.unwrap();
        assert!(!output.status.success(), "{config}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let plaintext = "[ingest]\nlisten = \"0.0.0.0:7443\"\nsecurity = \"plaintext\"\n";
    let error = refuse("busyhour-collector", plaintext);
    assert!(error.contains("loopback"), "{error}");
    let error = refuse("busyhour-collector", "[ingest]\nlisten = \"0.0.0.0:7443\"\n");
    assert!(error.contains("ingest.names"), "{error}");
    let error = refuse("busyhour-collector", "[api]\nlisten = \"0.0.0.0:8080\"\n");
    assert!(error.contains("loopback"), "{error}");
    let error = refuse("busyhour-agent", "[collector]\nurl = \"http://192.0.2.1:7443\"\n");
    assert!(error.contains("loopback"), "{error}");
}

#[test]
fn an_agent_that_nobody_let_in_is_refused_and_goes_on() {
    let folder = TempDir::new().unwrap();
    let collector = Collector::start(&Place::default(), &folder.path().join("collector"), "");
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let stranger = format!("{}.{}\n", "01234567-89ab-cdef-0123-456789abcdef", "a".repeat(52));
    write_secret(at("secret").as_ref(), &stranger);
    let config = format!(
        "[agent]\ndata_dir = {:?}\nsecret_file = {:?}\n[collector]\nurl = {:?}\n",
        at("data"),
        at("secret"),
        collector.ingest
    );
    std::fs::write(at("agent.toml"), config).unwrap();
    let mut command = Command::new(program("busyhour-agent"));
    let mut agent =
        Process::start(command.args(["run", "--config", &at("agent.toml")]), at("log").into());
    wait_for("the refusal in the agent's log", || {
        agent.log().contains("not known to this collector").then_some(())
    });
    assert!(agent.runs(), "the agent goes on");
    assert!(agent.stop(), "and stops in order");
    assert!(collector.items(&["agent", "ls"]).is_empty());
}

#[test]
fn a_bad_building_file_changes_nothing_and_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let collector = Collector::start(&Place::default(), folder.path(), "");
    let good = folder.path().join("good.csv");
    std::fs::write(&good, include_str!("building.csv")).unwrap();
    let import = |file: &std::path::Path| {
        collector.busyhour(&["building", "import", file.to_str().unwrap()])
    };
    assert_eq!(import(&good).status.code(), Some(0));
    let before = collector.busyhour(&["building", "export"]).stdout;

    let bad = folder.path().join("bad.csv");
    std::fs::write(&bad, include_str!("building.csv").replace(",26,", ",33,")).unwrap();
    let output = import(&bad);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("NetworkRange"), "{text}");
    assert_eq!(collector.busyhour(&["building", "export"]).stdout, before);
    assert_eq!(
        String::from_utf8(before).unwrap().trim_end(),
        include_str!("building.csv").trim_end(),
        "the export gives the format back"
    );
}
