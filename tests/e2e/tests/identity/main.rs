//! An agent's life with real processes: let in by a token, delivering over TLS with certificates at
//! both ends, renewed, revoked.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod renewal;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use e2e::{Collector, Place, Process, program, wait_for};
use serde_json::Value;
use tempfile::TempDir;

/// One building, which has the loopback network.
const BUILDING: &str = "127.0.0.0,Loopback,8,Here,,,,Berlin,10115,DE,,EMEA,1,0,0\r\n";

/// Agents come over TLS.
const TLS: &str = "security = \"tls\"\n";
/// Certificates that are over soon.
const SHORT_LIVED: &str = "security = \"tls\"\n[identity]\ncertificate_life = \"10s\"\n";

/// A collector whose agents' port speaks TLS, and a machine that is to become an agent.
struct Bed {
    collector: Collector,
    folder: TempDir,
}

impl Bed {
    fn start(extra: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let collector =
            Collector::start(&Place::default(), &folder.path().join("collector"), extra);
        let file = folder.path().join("buildings.csv");
        std::fs::write(&file, BUILDING).unwrap();
        done(&collector.busyhour(&["building", "import", file.to_str().unwrap()]));
        Self { collector, folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The agents' port, by the scheme that agents use.
    fn url(&self) -> String {
        self.collector.ingest.replace("http://", "https://")
    }

    fn token(&self, name: &str, more: &[&str]) -> PathBuf {
        let file = self.at(name);
        let create =
            ["token", "create", "--building", "Here", "--token-file", file.to_str().unwrap()];
        done(&self.collector.busyhour(&[&create, more].concat()));
        file
    }

    fn enrol(&self, machine: &str, token: &Path) -> Output {
        Command::new(program("busyhour-agent"))
            .args(["enrol", "-o", "json", "--collector", &self.url(), "--token-file"])
            .arg(token)
            .arg("--data-dir")
            .arg(self.at(machine))
            .output()
            .unwrap()
    }

    /// Runs an agent that notes its own load and answers probes: it has something to deliver, and its
    /// blocks are sealed as they come.
    fn run(&self, machine: &str) -> Process {
        self.run_under(Place::default().command(&program("busyhour-agent")), machine)
    }

    /// The same by a command that runs the program that follows it, or is the program.
    fn run_under(&self, mut command: Command, machine: &str) -> Process {
        let (data, config) = (self.at(machine), self.at(&format!("{machine}.toml")));
        let text = format!(
            "[agent]\ndata_dir = {data:?}\n[reflector]\nlisten = [\"127.0.0.1:0\"]\n\
             [spool]\nseal_after = \"100ms\"\n[link]\ncapacity = \"10Gbit/s\"\n\
             [[target]]\nname = \"127.0.0.1:9\"\nschedule = \"continuous\"\nwindow = \"200ms\"\n\
             period = \"200ms\"\n"
        );
        std::fs::write(&config, text).unwrap();
        Process::start(
            command.args(["run", "--config"]).arg(config),
            self.at(&format!("{machine}.log")),
        )
    }

    /// What the machine says of itself.
    fn status(&self, machine: &str) -> Option<Value> {
        let file = std::fs::read(self.at(machine).join("status.json")).ok()?;
        serde_json::from_slice(&file).ok()
    }

    /// What the machine says of the collector, once that is `state`.
    fn uplink(&self, machine: &str, state: &str) -> Value {
        wait_for(&format!("{machine} is {state}"), || {
            let status = self.status(machine)?;
            Some(status["uplink"].clone()).filter(|uplink| uplink["state"] == state)
        })
    }

    /// Windows that the machine has measured since it began, and blocks that nobody took from it.
    fn measured_and_held(&self, machine: &str) -> Option<(u64, u64)> {
        let status = self.status(machine)?;
        Some((status["sessions"][0]["windows"].as_u64()?, status["spool"]["blocks"].as_u64()?))
    }

    fn blocks(&self) -> u64 {
        self.collector.figure("store_blocks_total")
    }

    fn identities(&self) -> Vec<Value> {
        let answer: Value =
            serde_json::from_slice(&self.collector.get("/api/v1/identities")).unwrap();
        answer["items"].as_array().unwrap().clone()
    }
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn said(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_machine_is_let_in_by_a_token_delivers_and_is_revoked() {
    let bed = Bed::start(TLS);
    let token = bed.token("token", &[]);
    let enrolled = bed.enrol("machine", &token);
    done(&enrolled);
    let enrolled: Value = serde_json::from_slice(&enrolled.stdout).unwrap();
    assert_eq!((&enrolled["building"], &enrolled["waiting"]), (&"Here".into(), &false.into()));

    // The token let one in, and lets in no other.
    let refused = said(&bed.enrol("another", &token));
    assert!(refused.contains("refuses"), "{refused}");
    assert!(!bed.at("another/identity/identity.json").exists());
    assert_eq!(bed.identities().len(), 1);

    let agent = bed.run("machine");
    wait_for("blocks over TLS", || (bed.blocks() > 3).then_some(()));
    assert_eq!(bed.uplink("machine", "delivering")["building"], "Here");
    let agents = bed.collector.items(&["agent", "ls"]);
    assert_eq!(
        (&agents[0]["identity"], &agents[0]["id"]),
        (&"active".into(), &enrolled["agent_id"])
    );
    let name = agents[0]["name"].as_str().unwrap();

    done(&bed.collector.busyhour(&["agent", "revoke", name, "--reason", "as a test"]));
    // From here on nothing is acknowledged, so nothing is stored either, however much is sealed.
    let stored = bed.blocks();
    bed.uplink("machine", "revoked");
    // It goes on measuring, and keeps what it measures; the collector takes none of it.
    let (measured, held) = bed.measured_and_held("machine").unwrap();
    wait_for("a revoked agent that measures and keeps", || {
        let now = bed.measured_and_held("machine")?;
        (now.0 >= measured + 5 && now.1 >= held + 5).then_some(())
    });
    assert_eq!(bed.blocks(), stored);
    let shown = bed.collector.items(&["agent", "show", name]);
    assert_eq!(
        (&shown[0]["identity"], &shown[0]["identity_reason"]),
        (&"revoked".into(), &"as a test".into())
    );
    assert!(agent.stop(), "it stops in order, with all that it holds");
    assert_eq!(bed.blocks(), stored);
    // Its key opens nothing any more; a new token makes it another agent.
    let again = bed.token("again", &[]);
    let other = Command::new(program("busyhour-agent"))
        .args(["enrol", "--again", "-o", "json", "--collector", &bed.url(), "--token-file"])
        .arg(&again)
        .arg("--data-dir")
        .arg(bed.at("machine"))
        .output()
        .unwrap();
    done(&other);
    let other: Value = serde_json::from_slice(&other.stdout).unwrap();
    assert_ne!(other["agent_id"], enrolled["agent_id"]);
}

#[test]
fn a_machine_that_is_to_be_approved_delivers_nothing_before() {
    let bed = Bed::start(TLS);
    let token = bed.token("token", &["--approve", "manual"]);
    let enrolled = bed.enrol("machine", &token);
    done(&enrolled);
    let enrolled: Value = serde_json::from_slice(&enrolled.stdout).unwrap();
    assert_eq!(enrolled["waiting"], true);
    let _agent = bed.run("machine");
    bed.uplink("machine", "waiting");
    assert_eq!(bed.blocks(), 0);
    done(&bed.collector.busyhour(&["agent", "approve", "--building", "Here"]));
    bed.uplink("machine", "delivering");
    wait_for("blocks", || (bed.blocks() > 0).then_some(()));
}

#[test]
fn certificates_are_renewed_while_they_hold_and_after_they_are_over() {
    let bed = Bed::start(SHORT_LIVED);
    done(&bed.enrol("machine", &bed.token("token", &[])));
    let expires = || bed.identities()[0]["certificate_expires_utc"].as_str().unwrap().to_owned();
    let first = expires();
    let agent = bed.run("machine");
    wait_for("a renewal while it holds", || (expires() != first).then_some(()));
    assert_eq!(bed.identities()[0]["renewed_late"], false);
    assert!(agent.stop());
    wait_for("the certificate is over", || {
        (bed.identities()[0]["certificate_expired"] == true).then_some(())
    });
    let stored = bed.blocks();
    let _agent = bed.run("machine");
    wait_for("blocks after that", || (bed.blocks() > stored).then_some(()));
    assert_eq!(bed.identities()[0]["renewed_late"], true);
}

#[test]
fn two_machines_with_one_identity_are_both_stopped() {
    let bed = Bed::start(TLS);
    done(&bed.enrol("machine", &bed.token("token", &[])));
    let agent = bed.run("machine");
    wait_for("blocks", || (bed.blocks() > 0).then_some(()));
    assert!(agent.stop());
    // A copy of the folder, as of a disk's image, but with a spool of its own.
    let (from, to) = (bed.at("machine/identity"), bed.at("copy/identity"));
    done(&Command::new("mkdir").arg("-m700").arg(bed.at("copy")).output().unwrap());
    done(&Command::new("cp").arg("-a").args([&from, &to]).output().unwrap());
    let _copy = bed.run("copy");
    bed.uplink("copy", "delivering");
    let _agent = bed.run("machine");
    bed.uplink("machine", "quarantined");
    bed.uplink("copy", "quarantined");
    assert_eq!(bed.identities()[0]["state"], "quarantined");
}
