//! Renewal under `kill -9`: a real agent is killed before each system call by which a renewal changes
//! its files, and comes back each time with a certificate that the real collector takes.
//!
//! Which calls these are is recorded first, of an agent that nobody kills: a call that is added to the
//! code is tried without being named here.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use e2e::{Process, have, program, wait_for};
use serde_json::Value;

use super::{Bed, done};

/// Every call by which a file comes, changes or goes; those with a question mark are not on each machine.
const CALLS: &str = "openat,write,fsync,?fdatasync,?rename,?renameat,?renameat2,?unlink,?unlinkat";
/// Long enough for all to be enrolled, and due for renewal together while all still hold.
const COLLECTOR: &str = "security = \"tls\"\n[identity]\ncertificate_life = \"60s\"\n";
/// One machine for each point, and one that is watched.
const MACHINES: usize = 20;

/// A call that changes the identity, by its name and the file that it is about: of two the one that is
/// renamed, and nothing for the folder itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Point {
    call: String,
    file: String,
}

impl Point {
    /// Reads a line of strace's, which shows the paths of descriptors.
    fn read(line: &str, folder: &str) -> Option<Self> {
        let call = line.split_whitespace().nth(1)?.split('(').next()?;
        let rest = line.split_once(folder)?.1.trim_start_matches('/');
        let file = rest.split(['"', '>']).next()?;
        let reads = call == "openat" && !file.is_empty() && !line.contains("O_CREAT");
        (!reads).then(|| Self { call: call.to_owned(), file: file.to_owned() })
    }
}

/// Runs the agent under strace, which is nobody's parent here: the process is the agent's own.
fn traced(bed: &Bed, machine: &str, options: &[&str]) -> Process {
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-qq", "-e", "signal=none", "-o"]);
    command.arg(bed.at(&format!("{machine}.trace"))).args(options);
    command.arg(program("busyhour-agent"));
    bed.run_under(command, machine)
}

fn identity(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("identity.json")).unwrap()).unwrap()
}

/// Waits until each of these certificates has to be renewed.
fn wait_until_due(folders: &[impl AsRef<Path>]) {
    let due = |folder: &Path| {
        let identity = identity(folder);
        let (from, until) = (&identity["received_us"], &identity["valid_until_us"]);
        let (from, until) = (from.as_i64().unwrap(), until.as_i64().unwrap());
        from + (until - from) / 10 * 6
    };
    let all = folders.iter().map(|folder| due(folder.as_ref())).max().unwrap();
    wait_for("certificates to be due for renewal", || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        (i64::try_from(now).unwrap() > all).then_some(())
    });
}

/// Waits until a renewal is done with: a new certificate took the place of the one before.
fn wait_until_renewed(folder: &Path, before: &Value) {
    wait_for("a renewal to be done with", || {
        let changed = identity(folder)["certificates_pem"] != before["certificates_pem"];
        (changed && !folder.join("candidate.json").exists()).then_some(())
    });
}

/// The calls by which a renewal changes the identity, each once, in their order.
fn points(trace: &str, folder: &Path) -> Vec<Point> {
    let folder = folder.to_str().unwrap();
    let mut points = Vec::new();
    for point in trace.lines().filter_map(|line| Point::read(line, folder)) {
        if !points.contains(&point) {
            points.push(point);
        }
    }
    points
}

#[test]
fn an_agent_that_is_killed_at_any_point_of_a_renewal_comes_back_with_a_working_certificate() {
    if !have("strace") {
        return;
    }
    let bed = Bed::start(COLLECTOR);
    let token = bed.token("token", &["--uses", &MACHINES.to_string()]);
    let machines: Vec<String> = (0..MACHINES).map(|at| format!("machine-{at}")).collect();
    for machine in &machines {
        done(&bed.enrol(machine, &token));
    }
    let folder = |machine: &str| bed.at(machine).join("identity");
    wait_until_due(&machines.iter().map(|machine| folder(machine)).collect::<Vec<_>>());

    // What a renewal does when nobody is in its way. An agent that starts when it is due renews before
    // anything else, so that each call is made once.
    let (watched, others) = machines.split_first().unwrap();
    let before = identity(&folder(watched));
    let agent = traced(&bed, watched, &["-y", "-e", &format!("trace={CALLS}")]);
    wait_until_renewed(&folder(watched), &before);
    agent.kill();
    let trace = std::fs::read_to_string(bed.at(&format!("{watched}.trace"))).unwrap();
    let points = points(&trace, &folder(watched));
    for (call, file) in [("openat", "candidate.part"), ("write", "nonce.part"), ("fsync", "")] {
        let point = Point { call: call.to_owned(), file: file.to_owned() };
        assert!(points.contains(&point), "{point:?} is not among {points:#?}");
    }
    assert!(points.len() <= others.len(), "more machines are needed: {points:#?}");

    // One machine is killed at each, one after the other: the collector renews few of an address at a time.
    for (point, machine) in points.iter().zip(others) {
        println!("killed before {} of {:?}", point.call, point.file);
        let before = identity(&folder(machine));
        let path = folder(machine).join(&point.file);
        let path = path.to_str().unwrap().trim_end_matches('/');
        let (trace, inject) =
            (format!("trace={}", point.call), format!("inject={}:signal=KILL", point.call));
        let agent = traced(&bed, machine, &["-P", path, "-e", &trace, "-e", &inject]);
        assert!(!agent.ends(), "{machine} was not killed before {point:?}");
        // The new certificate takes its place when a session was welcomed with it.
        let agent = bed.run(machine);
        wait_until_renewed(&folder(machine), &before);
        agent.kill();
    }
    for identity in bed.identities() {
        assert_eq!(identity["state"], "active", "{identity}");
    }
}
