//! A machine's owner pauses its agent: nothing is measured, and everybody who looks sees why.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Command, Output};

use e2e::{Collector, Place, Process, program, wait_for};
use serde_json::Value;
use tempfile::TempDir;

/// One building, which has the loopback network.
const BUILDING: &str = "127.0.0.0,Loopback,8,Here,,,,Berlin,10115,DE,,EMEA,1,0,0\r\n";

/// An agent beside a collector, and the far end that it probes.
struct Bed {
    collector: Collector,
    far: UdpSocket,
    folder: TempDir,
}

impl Bed {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let collector = Collector::start(&Place::default(), &folder.path().join("collector"), "");
        let buildings = folder.path().join("buildings.csv");
        std::fs::write(&buildings, BUILDING).unwrap();
        done(&collector.busyhour(&["building", "import", buildings.to_str().unwrap()]));
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        far.set_nonblocking(true).unwrap();
        let bed = Self { collector, far, folder };
        let secret = bed.at("secret");
        let secret = secret.to_str().unwrap();
        done(&bed.collector.busyhour(&["agent", "add", "desk-7", "--secret-file", secret]));
        let config = format!(
            "[agent]\ndata_dir = {:?}\nsecret_file = {secret:?}\n[collector]\nurl = {:?}\n\
             [spool]\nseal_after = \"100ms\"\n[link]\ncapacity = \"10Gbit/s\"\n[[target]]\n\
             name = \"{}\"\nschedule = \"continuous\"\nwindow = \"200ms\"\nperiod = \"200ms\"\n",
            bed.data(),
            bed.collector.ingest,
            bed.far.local_addr().unwrap()
        );
        std::fs::write(bed.at("agent.toml"), config).unwrap();
        bed
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.at("data")
    }

    fn run(&self, log: &str) -> Process {
        let mut command = Command::new(program("busyhour-agent"));
        Process::start(command.args(["run", "--config"]).arg(self.at("agent.toml")), self.at(log))
    }

    fn agent(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program("busyhour-agent"));
        command.args(arguments).arg("--data-dir").arg(self.data()).output().unwrap()
    }

    /// The probes that came since this was asked last.
    fn probes(&self) -> usize {
        let mut packet = [0; 2_000];
        std::iter::from_fn(|| self.far.recv(&mut packet).ok()).count()
    }

    /// The agent's status, once it is one of this process and as it should be.
    fn status(&self, process: &Process, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let file = self.data().join("status.json");
        wait_for(what, || {
            let status: Value = serde_json::from_slice(&std::fs::read(&file).ok()?).ok()?;
            Some(status).filter(|status| status["pid"] == process.id() && holds(status))
        })
    }

    /// Gaps that the collector has, by reason.
    fn paused(&self) -> Vec<Value> {
        let agents = self.collector.items(&["agent", "ls"]);
        let path = format!("/api/v1/agents/{}/gaps", agents[0]["id"].as_str().unwrap());
        let gaps: Value = serde_json::from_slice(&self.collector.get(&path)).unwrap();
        let mut gaps = gaps["items"].as_array().unwrap().clone();
        gaps.retain(|gap| gap["reason"] == "paused");
        gaps
    }
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn text(output: &Output) -> String {
    done(output);
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn page_of(collector: &Collector, building: &str) -> String {
    let buildings = collector.items(&["building", "ls"]);
    let found = buildings.iter().find(|row| row["name"] == building).unwrap();
    let path = format!("/buildings/{}", found["id"].as_str().unwrap());
    String::from_utf8(collector.get(&path)).unwrap()
}

#[test]
fn a_paused_agent_sends_no_probe_through_a_restart_and_the_collector_shows_why() {
    let bed = Bed::start();
    let first = bed.run("first.log");
    wait_for("probes", || (bed.probes() > 0).then_some(()));

    let said = text(&bed.agent(&["pause"]));
    assert!(said.contains("no probe is sent"), "{said}");
    bed.probes();
    let shown = text(&bed.agent(&["status"]));
    assert!(shown.contains("paused") && shown.contains("waiting (paused)"), "{shown}");
    // Killed, so that only what lies on the disk tells the next one.
    first.kill();
    let second = bed.run("second.log");
    let is_paused = |status: &Value| status["sessions"][0]["waiting_for"] == "paused";
    let status = bed.status(&second, "paused after a restart", is_paused);
    assert!(status["paused"]["since_utc"].is_string(), "{status}");
    assert_eq!(bed.probes(), 0, "not one probe since `pause` returned");

    let said = text(&bed.agent(&["resume"]));
    assert!(said.contains("goes on"), "{said}");
    wait_for("probes again", || (bed.probes() > 0).then_some(()));
    assert_eq!(bed.status(&second, "no pause", |s| s["paused"].is_null())["state"], "running");

    // The gap of the whole agent, and the one of its path that counts the windows.
    wait_for("both gaps", || {
        let gaps = bed.paused();
        let of_path = |gap: &&Value| gap["records"].as_u64() > Some(0);
        let whole = |gap: &&Value| gap["target"].is_null() && gap["records"].is_null();
        (gaps.iter().any(|gap| of_path(&gap)) && gaps.iter().any(|gap| whole(&gap))).then_some(())
    });
    let words = "paused by the machine's owner for";
    let shown = &bed.collector.items(&["agent", "show", "desk-7"])[0];
    assert!(shown["gaps_7d"].as_str().unwrap().contains(words), "{shown}");
    wait_for("the building's page says so", || {
        let page = page_of(&bed.collector, "Here").replace("&#39;", "'").replace("&#x27;", "'");
        page.contains(words).then_some(())
    });
    assert!(second.stop());
}

#[test]
fn a_pause_for_a_time_ends_by_itself() {
    let bed = Bed::start();
    let agent = bed.run("agent.log");
    wait_for("probes", || (bed.probes() > 0).then_some(()));
    let said = text(&bed.agent(&["pause", "--for", "2s", "-o", "json"]));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["paused"], &said["running"]), (&true.into(), &true.into()));
    bed.status(&agent, "it goes on", |status| status["paused"].is_null());
    bed.probes();
    wait_for("probes again", || (bed.probes() > 0).then_some(()));
    wait_for("the gap", || (!bed.paused().is_empty()).then_some(()));
    assert!(agent.stop());

    let refused = bed.agent(&["pause", "--for", "soon"]);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("1s to 366d"), "{said}");
    assert!(text(&bed.agent(&["pause"])).contains("no agent runs now"));
    assert!(bed.data().join("pause.json").exists());
    assert!(text(&bed.agent(&["resume"])).contains("not paused any more"));
    std::fs::remove_dir_all(bed.data()).unwrap();
    let nobody = bed.agent(&["pause"]);
    assert!(!nobody.status.success() && !bed.data().exists(), "no folder is made for nobody");
}
