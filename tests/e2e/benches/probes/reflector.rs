//! Packets that a reflector answers for a second of CPU time.

use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::Command;

use e2e::{program, wait_for};
use serde_json::Value;
use tempfile::TempDir;

use crate::load::load;
use crate::processes::{Running, cpu_seconds, peer, write};
use crate::requests::{Form, KEY};
use crate::{Effort, median};

/// Starts our reflector; where it listens.
pub(crate) fn start(folder: &Path, keyed: bool) -> (Running, SocketAddrV4) {
    let data = folder.join("reflector");
    let mut config =
        format!("[agent]\ndata_dir = {data:?}\n[reflector]\nlisten = [\"127.0.0.1:0\"]\n");
    if keyed {
        let key = private(folder, "reflector.key", KEY);
        config.push_str(&format!("key_files = [{key:?}]\nrequire_key = true\n"));
    }
    let config = write(folder, "reflector.toml", &config);
    let mut command = Command::new(program("busyhour-agent"));
    let running = Running::start(command.args(["run", "--config"]).arg(config));
    let address = wait_for("the reflector's address", || {
        let text = fs::read_to_string(data.join("addresses.json")).ok()?;
        let found: Value = serde_json::from_str(&text).ok()?;
        found["reflector"][0].as_str()?.parse().ok()
    });
    (running, address)
}

/// A file that only its owner reads.
fn private(folder: &Path, name: &str, key: &[u8]) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.join(name);
    fs::write(&file, key).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    file.to_str().expect("printable").to_owned()
}

fn bare(form: Form) -> (Running, SocketAddrV4) {
    let keyed = if form.keyed { "keyed" } else { "open" };
    let stamped = if form.follow_up { "stamped" } else { "unstamped" };
    let (running, address) = Running::own(&["--bare-reflector", keyed, stamped]);
    (running, address.parse().expect("an address"))
}

fn stamp_suite(folder: &Path, form: Form) -> Option<(Running, SocketAddrV4)> {
    let file = peer("stamp-suite")?;
    let port = free_port();
    let mut command = Command::new(file);
    command.args(["-i", "-S", "127.0.0.1", "-o", &port.to_string(), "--stateful-reflector"]);
    if form.keyed {
        let hex: String = KEY.iter().map(|octet| format!("{octet:02x}")).collect();
        let key = private(folder, "peer.key", hex.as_bytes());
        command.args(["-A", "A", "--require-hmac", "--verify-tlv-hmac", "--hmac-key-file", &key]);
    }
    let running = Running::start(&mut command);
    let address = SocketAddrV4::new([127, 0, 0, 1].into(), port);
    wait_for("the peer's socket", || {
        let table = fs::read_to_string("/proc/net/udp").ok()?;
        table.contains(&format!("0100007F:{port:04X}")).then_some(())
    });
    Some((running, address))
}

/// A port that was free a moment ago, for a peer that cannot tell which one it took.
fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.local_addr().expect("its address").port()
}

/// Measures ours, the peer and the bare loop, one after the other, several times.
pub(crate) fn measure(effort: &Effort) {
    println!("\nReflector, packets answered for a CPU second; median of {} runs", effort.runs);
    let forms = [
        ("open, 117 octets, CoS + DM + padding", Form { keyed: false, follow_up: false }),
        ("the same with Follow-Up", Form { keyed: false, follow_up: true }),
        ("authenticated, 162 octets, CoS + DM + HMAC", Form { keyed: true, follow_up: false }),
    ];
    for (name, form) in forms {
        println!("  {name}");
        let mut figures: [Vec<f64>; 3] = Default::default();
        for _ in 0..effort.runs {
            let folder = TempDir::new().expect("a folder");
            let mut one = |at: usize, started: Option<(Running, SocketAddrV4)>| {
                let Some((running, address)) = started else { return };
                load(address, form, effort.packets / 10);
                let before = cpu_seconds(running.id());
                load(address, form, effort.packets);
                let spent = cpu_seconds(running.id()) - before;
                figures[at].push(effort.packets as f64 / spent);
            };
            one(0, Some(start(folder.path(), form.keyed)));
            one(1, Some(bare(form)));
            one(2, stamp_suite(folder.path(), form));
        }
        let [ours, bare, peer] = figures.map(|figures| median(&figures));
        println!("    busyhour     {ours:>9.0}");
        println!("    bare loop    {bare:>9.0}   CPU per packet, ours to bare: {:.2}", bare / ours);
        println!(
            "    stamp-suite  {peer:>9.0}   packets per CPU second, ours to its: {:.2}",
            ours / peer
        );
    }
}
