//! Our programs on loopback, and what stands between them.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use e2e::{Process, cannot_run, program, wait_for, write_secret};
use serde_json::Value;
use tempfile::TempDir;

/// Debian's interpreter: the one that `python3-scapy` installs for.
const PYTHON: &str = "/usr/bin/python3";

/// One of the scripts beside this file, to be run with scapy; `None`, said loudly, without it.
pub(crate) fn scapy(script: &str) -> Option<Command> {
    let probe = Command::new(PYTHON).args(["-c", "import scapy.contrib.stamp"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        cannot_run("there is no python3-scapy; .ci/packages installs it");
        return None;
    }
    let mut command = Command::new(PYTHON);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    command.arg("-W").arg("ignore").arg(folder.join(script));
    Some(command)
}

/// Starts the agent with a configuration of its own.
fn start_agent(folder: &Path, name: &str, config: &str) -> (Process, PathBuf) {
    let data = folder.join(name);
    let file = folder.join(format!("{name}.toml"));
    let config = format!("[agent]\ndata_dir = {:?}\n{config}", data.to_str().unwrap());
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(program("busyhour-agent"));
    command.args(["run", "--config"]).arg(&file);
    (Process::start(&mut command, folder.join(format!("{name}.log"))), data)
}

/// Our reflector.
pub(crate) struct Reflector {
    _process: Process,
    _folder: TempDir,
    pub(crate) address: SocketAddr,
}

impl Reflector {
    pub(crate) fn start() -> Self {
        Self::start_with(TempDir::new().unwrap(), "")
    }

    /// One that has `key`.
    pub(crate) fn with_key(key: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("key");
        write_secret(&file, key);
        let lines = format!("key_files = [{:?}]\n", file.to_str().unwrap());
        Self::start_with(folder, &lines)
    }

    fn start_with(folder: TempDir, lines: &str) -> Self {
        let config = format!("[reflector]\nlisten = [\"127.0.0.1:0\"]\n{lines}");
        let (mut process, data) = start_agent(folder.path(), "reflector", &config);
        let addresses = wait_for("the reflector's address", || {
            assert!(process.runs(), "the reflector ended:\n{}", process.log());
            let text = std::fs::read_to_string(data.join("addresses.json")).ok()?;
            serde_json::from_str::<Value>(&text).ok()
        });
        let address = addresses["reflector"][0].as_str().unwrap().parse().unwrap();
        Self { _process: process, _folder: folder, address }
    }
}

/// Measures one window of four seconds to a reflector, which `peer` it is said to be; the window.
pub(crate) fn measure_once(reflector: SocketAddr, peer: &str) -> Value {
    let mut command = Command::new(program("busyhour-agent"));
    command.args(["once", "--window", "4s", "--output", "json", "--peer", peer]);
    let output = command.arg(reflector.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A datagram that a relay saw.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) request: bool,
    pub(crate) bytes: Vec<u8>,
}

/// Stands between one sender and a reflector, and keeps what passes.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Relay {
    pub(crate) fn start(reflector: SocketAddr) -> Self {
        let (near, far) = (loopback(), loopback());
        far.connect(reflector).unwrap();
        let address = near.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        // Ends with the test's process: it waits for a sender that may never send again.
        thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok((length, sender)) = near.recv_from(&mut buffer) {
                let keep = |request, bytes: &[u8]| {
                    kept.lock().unwrap().push(Seen { request, bytes: bytes.to_vec() });
                };
                keep(true, &buffer[..length]);
                if far.send(&buffer[..length]).is_err() {
                    return;
                }
                let Ok(length) = far.recv(&mut buffer) else { return };
                keep(false, &buffer[..length]);
                if near.send_to(&buffer[..length], sender).is_err() {
                    return;
                }
            }
        });
        Self { address, seen }
    }

    /// What passed so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

pub(crate) fn loopback() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}
