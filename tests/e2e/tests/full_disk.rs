//! Disks that fill up under the collector's database and the agent's spool: real file systems of a
//! few megabytes, in mount namespaces of their own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::path::Path;
use std::process::Command;

use e2e::{Collector, Place, Process, cannot_run, program, wait_for};
use tempfile::TempDir;

/// True when a process may have a file system of its own.
fn may_mount() -> bool {
    let tried = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .output();
    let may = tried.is_ok_and(|output| output.status.success());
    if !may {
        cannot_run("file systems cannot be mounted (root is needed)");
    }
    may
}

#[test]
fn a_collector_whose_disk_is_full_acknowledges_nothing_and_recovers_by_itself() {
    if !may_mount() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let place = Place::small_disk(&data, "8m");
    let collector = Collector::start(&place, folder.path(), "");
    let log = folder.path().join("load.log");
    let mut load = Process::start(
        Command::new(program("busyhour"))
            .args(["--collector", &collector.api, "role", "simulate", "--weeks", "1"])
            .args(["--ingest", &collector.ingest]),
        log,
    );
    wait_for("the disk to be full", || {
        (collector.figure("ingest_store_failures_total") > 2).then_some(())
    });
    let stored = collector.figure("store_windows_total");
    assert!(load.runs(), "what is not stored is not acknowledged: the sender waits");
    assert!(collector.busyhour(&["building", "ls"]).status.success(), "queries go on");
    let failures = collector.figure("ingest_store_failures_total");
    wait_for("another attempt", || {
        (collector.figure("ingest_store_failures_total") > failures).then_some(())
    });
    assert_eq!(collector.figure("store_windows_total"), stored, "nothing half-written");

    place.enlarge_disk(collector.id(), "400m");
    assert!(load.ends(), "with room again, everything is acknowledged");
    let windows = collector.figure("store_windows_total");
    assert!(windows > 200_000, "a week of all agents: {windows}");
}

fn agent_config(data: &Path, secret: &Path, collector: &Collector, target: &str) -> String {
    format!(
        "[agent]\ndata_dir = {:?}\nsecret_file = {:?}\n[collector]\nurl = {:?}\n\
         [spool]\nseal_after = \"100ms\"\n[[target]]\nname = {target:?}\n\
         schedule = \"continuous\"\nwindow = \"100ms\"\nperiod = \"100ms\"\n",
        data.to_str().unwrap(),
        secret.to_str().unwrap(),
        collector.ingest,
    )
}

#[test]
fn an_agent_whose_disk_is_full_goes_on_measuring_and_delivers_later() {
    if !may_mount() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut collector = Collector::start(&Place::default(), &at("collector"), "");
    collector.pin_ports();
    let secret = at("secret");
    let added =
        collector.busyhour(&["agent", "add", "full", "--secret-file", secret.to_str().unwrap()]);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    assert!(collector.stop(), "out of reach: the spool fills");

    let data = at("near");
    std::fs::create_dir_all(&data).unwrap();
    let place = Place::small_disk(&data, "256k");
    // A port of this machine that nobody answers on: its windows fail, and are spooled as such.
    let config = agent_config(&data, &secret, &collector, "127.0.0.1:9");
    std::fs::write(at("near.toml"), config).unwrap();
    let mut command = place.command(&program("busyhour-agent"));
    let mut agent =
        Process::start(command.args(["run", "--config"]).arg(at("near.toml")), at("near.log"));
    wait_for("the spool to be full", || {
        assert!(agent.runs(), "the agent ended:\n{}", agent.log());
        agent.log().contains("records wait in memory").then_some(())
    });

    place.enlarge_disk(agent.id(), "64m");
    collector.start_again();
    wait_for("the agent's windows", || {
        assert!(agent.runs(), "the agent ended:\n{}", agent.log());
        (collector.figure("store_windows_total") > 20).then_some(())
    });
    assert!(agent.stop(), "the agent stops in order");
}
