//! A real Prometheus scrapes the demonstration's collector, and the shipped rules and dashboards name only what is there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use e2e::{Demo, Process, have, wait_for};
use serde_json::Value;
use tempfile::TempDir;

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(file)
}

fn promtool(arguments: &[&str], folder: &Path, input: &str) -> Output {
    let mut tool = Command::new("promtool")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    tool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    tool.wait_with_output().unwrap()
}

/// The words of an expression that are names of ours.
fn names(expression: &str) -> BTreeSet<String> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expression.split(|c| !part(c));
    words.filter(|word| word.starts_with("busyhour_")).map(str::to_owned).collect()
}

#[test]
fn the_alert_rules_fire_when_they_should_and_only_then() {
    if !have("promtool") {
        return;
    }
    for arguments in
        [&["check", "rules", "busyhour.rules.yml"], &["test", "rules", "busyhour.rules.test.yml"]]
    {
        let output = promtool(arguments, &deploy("prometheus"), "");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn a_real_prometheus_scrapes_what_the_rules_and_the_dashboards_ask_for() {
    if !have("prometheus") || !have("promtool") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let demo = Demo::start(&temporary, folder.path().join("messages"));
    let address = demo.page().strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
    let scrape = || String::from_utf8(demo.get("/metrics")).unwrap();
    let body = wait_for("a building that is observed now", || {
        Some(scrape()).filter(|body| body.contains("busyhour_building_window_rtt_seconds{"))
    });
    let output = promtool(&["check", "metrics"], folder.path(), &body);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "promtool has nothing to remark");

    let told: BTreeSet<String> = body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned))
        .collect();
    let rules = fs::read_to_string(deploy("prometheus/busyhour.rules.yml")).unwrap();
    let mut asked = names(&rules);
    for board in ["grafana/buildings.json", "grafana/collector.json"] {
        let board: Value =
            serde_json::from_str(&fs::read_to_string(deploy(board)).unwrap()).unwrap();
        let targets = board["panels"].as_array().unwrap().iter();
        let targets = targets.flat_map(|panel| panel["targets"].as_array().unwrap());
        asked.extend(targets.flat_map(|target| names(target["expr"].as_str().unwrap())));
    }
    assert!(asked.len() > 20, "{asked:?}");
    let missing: Vec<_> = asked.difference(&told).collect();
    assert!(missing.is_empty(), "asked for and not told: {missing:?}");

    let listen = folder.path().join("prometheus.yml");
    fs::write(
        &listen,
        format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: busyhour\n    static_configs: [{{targets: [\"{address}\"]}}]\n"
        ),
    )
    .unwrap();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", listen.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("tsdb").display()))
        .args(["--web.listen-address=127.0.0.1:0", "--log.format=json"]);
    let prometheus = Process::start(&mut command, folder.path().join("prometheus.log"));
    let web = wait_for("prometheus to listen", || {
        let log = prometheus.log();
        let line = log.lines().find(|line| line.contains("Listening on"))?;
        let value: Value = serde_json::from_str(line).ok()?;
        Some(value["address"].as_str()?.to_owned())
    });
    let ask = |expression: &str| {
        let database = format!("http://{web}");
        let output = promtool(&["query", "instant", &database, expression], folder.path(), "");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let up =
        wait_for("a scrape that succeeded", || Some(ask("up")).filter(|up| up.contains("=> 1")));
    assert!(up.contains(&address), "{up}");
    let said = ask("count(busyhour_building_windows)");
    assert!(said.contains("=>"), "a building's windows are in its database: {said}");
}
