//! Configurations with real processes: desired at the collector, elected, applied by agents, shown, and
//! given up where they are not stood.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::path::PathBuf;
use std::process::Output;

use e2e::{Collector, Place, Process, program, wait_for};
use serde_json::Value;
use tempfile::TempDir;

/// Two buildings; agents are bound to their subnets by hand.
const BUILDINGS: &str = "10.1.1.0,Wired,24,Here,,,,Berlin,10115,DE,,EMEA,1,0,0\r\n\
                         10.2.1.0,Wired,24,There,,,,Berlin,10115,DE,,EMEA,1,0,0\r\n";

struct Bed {
    collector: Collector,
    /// Answers probes; belongs to nobody.
    _reflector: Process,
    target: String,
    folder: TempDir,
}

impl Bed {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let collector = Collector::start(&Place::default(), &folder.path().join("collector"), "");
        let file = folder.path().join("buildings.csv");
        std::fs::write(&file, BUILDINGS).unwrap();
        done(&collector.busyhour(&["building", "import", file.to_str().unwrap()]));
        let data = folder.path().join("reflector");
        let config = folder.path().join("reflector.toml");
        let text =
            format!("[agent]\ndata_dir = {data:?}\n[reflector]\nlisten = [\"127.0.0.1:0\"]\n");
        std::fs::write(&config, text).unwrap();
        let mut command = Place::default().command(&program("busyhour-agent"));
        command.args(["run", "--config"]).arg(config);
        let reflector = Process::start(&mut command, folder.path().join("reflector.log"));
        let target = wait_for("the reflector's address", || {
            let text = std::fs::read(data.join("addresses.json")).ok()?;
            let addresses: Value = serde_json::from_slice(&text).ok()?;
            Some(addresses["reflector"][0].as_str()?.to_owned())
        });
        Self { collector, _reflector: reflector, target, folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lets an agent in, in a subnet.
    fn add(&self, name: &str, subnet: &str) {
        let secret = self.at(&format!("{name}.secret"));
        let secret = secret.to_str().unwrap();
        done(&self.collector.busyhour(&[
            "agent",
            "add",
            name,
            "--subnet",
            subnet,
            "--secret-file",
            secret,
        ]));
    }

    /// Runs an agent that was let in. It may probe this machine, and is in a hurry.
    fn run(&self, name: &str, more: &str) -> Process {
        let (data, secret) = (self.at(name), self.at(&format!("{name}.secret")));
        let text = format!(
            "[agent]\ndata_dir = {data:?}\nsecret_file = {secret:?}\n\
             [collector]\nurl = {:?}\n[spool]\nseal_after = \"100ms\"\n\
             [allow]\nspecial = [\"127.0.0.0/8\"]\n{more}",
            self.collector.ingest
        );
        let config = self.at(&format!("{name}.toml"));
        std::fs::write(&config, text).unwrap();
        let mut command = Place::default().command(&program("busyhour-agent"));
        command.args(["run", "--config"]).arg(config);
        Process::start(&mut command, self.at(&format!("{name}.log")))
    }

    /// Makes a revision with short windows to the target, and gives its number.
    fn set(&self, name: &str, target: &str, agents_per_subnet: u32) -> String {
        let file = self.at("configuration.toml");
        let text = format!(
            "[[target]]\nname = {target:?}\nsegment = \"building-to-building\"\nwindow_ms = 200\n\
             period_ms = 1000\nagents_per_subnet = {agents_per_subnet}\n"
        );
        std::fs::write(&file, text).unwrap();
        done(&self.collector.busyhour(&["config", "set", name, file.to_str().unwrap()]));
        self.collector.items(&["config", "ls"])[0]["revision"].to_string()
    }

    /// What an agent is to measure and what it runs.
    fn runs(&self, agent: &str) -> Value {
        let agents = self.collector.items(&["config", "agents"]);
        agents.into_iter().find(|item| item["name"] == agent).unwrap()
    }

    fn wait_until_runs(&self, agent: &str, revision: &str, state: &str) -> Value {
        wait_for(&format!("{agent} runs revision {revision}, {state}"), || {
            let runs = self.runs(agent);
            let there = is(&runs["running_revision"], revision) && runs["state"] == state;
            there.then_some(runs)
        })
    }
}

/// A number, by how it is written.
fn is(value: &Value, revision: &str) -> bool {
    revision.parse::<u64>().is_ok_and(|revision| *value == revision)
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_is_assigned_to_a_building_is_run_by_the_agent_that_is_elected_and_shown() {
    let bed = Bed::start();
    let hurried = "[remote]\ntrial = \"1s\"\n";
    for (name, subnet) in
        [("here-1", "10.1.1.0/24"), ("here-2", "10.1.1.0/24"), ("there-1", "10.2.1.0/24")]
    {
        bed.add(name, subnet);
    }
    let mut agents: Vec<Process> =
        ["here-1", "here-2", "there-1"].into_iter().map(|name| bed.run(name, hurried)).collect();
    wait_for("all three are seen", || {
        let agents = bed.collector.items(&["agent", "ls"]);
        agents.iter().all(|agent| !agent["last_seen_utc"].is_null()).then_some(())
    });

    let revision = bed.set("branches", &bed.target, 1);
    let preview = ["config", "assign", &revision, "--building", "Here", "--dry-run"];
    let changes = wait_for("somebody is elected in the preview", || {
        let output = bed.collector.busyhour(&[&preview[..], &["-o", "json"]].concat());
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let items = answer["items"].as_array().unwrap().clone();
        (items.iter().filter(|item| item["after_targets"] == 1).count() == 1).then_some(items)
    });
    assert!(changes.iter().all(|change| change["name"] != "there-1"), "{changes:?}");
    assert!(bed.collector.items(&["config", "assignments"]).is_empty(), "nothing was changed");

    done(&bed.collector.busyhour(&["config", "assign", &revision, "--building", "Here"]));
    for agent in ["here-1", "here-2"] {
        bed.wait_until_runs(agent, &revision, "committed");
    }
    let elected: Vec<&str> =
        ["here-1", "here-2"].into_iter().filter(|agent| bed.runs(agent)["targets"] == 1).collect();
    assert_eq!(elected.len(), 1, "one of the subnet");
    assert!(bed.runs("there-1")["running_revision"].is_null());

    // It measures, and its records name the revision.
    let paths = wait_for("a path is measured", || {
        let paths = bed.collector.items(&["path", "ls"]);
        (!paths.is_empty()).then_some(paths)
    });
    assert!(paths.iter().all(|path| path["target"] == bed.target.as_str()), "{paths:?}");
    assert!(paths.iter().all(|path| path["requirement"] == "none"), "{paths:?}");
    let shown = bed.collector.busyhour(&["agent", "show", elected[0]]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("building Here") && shown.contains("committed"), "{shown}");

    // It begins again: it is told at once what it ran, and goes on with it.
    let at = ["here-1", "here-2"].iter().position(|name| *name == elected[0]).unwrap();
    agents.remove(at).kill();
    std::fs::remove_file(bed.at(elected[0]).join("status.json")).unwrap();
    let _again = bed.run(elected[0], hurried);
    wait_for("its target is probed again", || {
        let text = std::fs::read(bed.at(elected[0]).join("status.json")).ok()?;
        let status: Value = serde_json::from_slice(&text).ok()?;
        let windows = status["sessions"][0]["windows"].as_u64().unwrap_or(0);
        (windows > 0 && status["asked"]["withheld_targets"] == 0).then_some(())
    });

    // Nothing is desired any more.
    done(&bed.collector.busyhour(&["config", "unassign", "--building", "Here"]));
    bed.wait_until_runs(elected[0], "0", "committed");
}

#[test]
fn what_an_agents_own_file_does_not_allow_is_refused_and_what_ran_before_goes_on() {
    let bed = Bed::start();
    bed.add("here-1", "10.1.1.0/24");
    let _agent = bed.run("here-1", "[remote]\ntrial = \"1s\"\n");
    let good = bed.set("branches", &bed.target, 1);
    done(&bed.collector.busyhour(&["config", "assign", &good, "--everywhere"]));
    bed.wait_until_runs("here-1", &good, "committed");
    let bad = bed.set("branches", "169.254.169.254:80", 1);
    done(&bed.collector.busyhour(&["config", "assign", &bad, "--everywhere"]));
    let refused = wait_for("it is refused and the one before told again", || {
        let runs = bed.runs("here-1");
        let back = is(&runs["told_revision"], &good) && runs["up_to_date"] == true;
        (back && is(&runs["assigned_revision"], &bad)).then_some(runs)
    });
    assert_eq!((refused["running_revision"].to_string(), &refused["targets"]), (good, &1.into()));
    let why = refused["refused_because"].as_str().unwrap();
    assert!(why.contains("169.254.169.254"), "{why}");
    let audit = bed.collector.items(&["audit", "ls"]);
    assert!(audit.iter().any(|entry| entry["action"] == "assign-configuration"), "{audit:?}");
}

#[test]
fn an_agent_that_is_killed_during_a_trial_goes_on_with_it_and_at_last_goes_back() {
    let bed = Bed::start();
    bed.add("here-1", "10.1.1.0/24");
    let agent = bed.run("here-1", "[remote]\ntrial = \"1s\"\n");
    let good = bed.set("branches", &bed.target, 1);
    done(&bed.collector.busyhour(&["config", "assign", &good, "--agent", "here-1"]));
    bed.wait_until_runs("here-1", &good, "committed");
    agent.kill();

    // A trial that takes as long as the test: it ends by no clock.
    let long = "[remote]\ntrial = \"1h\"\n";
    let next = bed.set("branches", &bed.target, 0);
    let mut agent = bed.run("here-1", long);
    done(&bed.collector.busyhour(&["config", "assign", &next, "--agent", "here-1"]));
    bed.wait_until_runs("here-1", &next, "trial");
    for _ in 0..3 {
        let began = |agent: &Process| agent.log().matches("goes on on trial").count();
        let before = began(&agent);
        agent.kill();
        agent = bed.run("here-1", long);
        wait_for("it goes on with the trial", || (began(&agent) > before).then_some(()));
        assert_eq!(bed.runs("here-1")["state"], "trial");
    }
    agent.kill();
    let _agent = bed.run("here-1", long);
    let back = wait_for("it goes back", || {
        let runs = bed.runs("here-1");
        let why = runs["refused_because"].as_str().is_some_and(|why| why.contains("began 4 times"));
        (why && is(&runs["running_revision"], &good)).then_some(runs)
    });
    assert_eq!((back["assigned_revision"].to_string(), &back["targets"]), (next, &1.into()));
}
