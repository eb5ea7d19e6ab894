//! A network on one machine: an agent, a router and a reflector, each in a network namespace of its
//! own, with nftables on the router as the judge of what really happened.
//!
//! Addresses are of the ranges for documentation (RFC 5737, RFC 3849); nothing leaves the
//! namespaces.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use e2e::{Place, cannot_run, have};
use serde_json::Value;

/// The agent's address.
pub const AGENT: &str = "192.0.2.2";
/// The reflector's address.
pub const REFLECTOR: &str = "198.51.100.2";
/// The agent's IPv6 address.
pub const AGENT_V6: &str = "2001:db8:1::2";
/// The reflector's IPv6 address.
pub const REFLECTOR_V6: &str = "2001:db8:2::2";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The three namespaces; they go when the value does.
pub struct Network {
    agent: String,
    router: String,
    reflector: String,
}

impl Network {
    /// Makes the namespaces and joins them; `None`, said loudly, where that is not allowed.
    ///
    /// # Panics
    /// In CI, where it must be allowed; or when a step fails.
    #[must_use]
    pub fn new() -> Option<Self> {
        if !have("ip") || !have("nft") {
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = |role: &str| format!("bh-{role}-{}-{number}", std::process::id());
        let network = Self { agent: name("agent"), router: name("router"), reflector: name("far") };
        for namespace in [&network.agent, &network.router, &network.reflector] {
            if !run("ip", &["netns", "add", namespace]) {
                cannot_run("network namespaces cannot be made (root is needed)");
                return None;
            }
            must("ip", &["-n", namespace, "link", "set", "lo", "up"]);
        }
        network.join(&network.agent, "near", "192.0.2", "2001:db8:1:");
        network.join(&network.reflector, "far", "198.51.100", "2001:db8:2:");
        network.on_router(&["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        network.on_router(&["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"]);
        Some(network)
    }

    /// Joins a namespace to the router: `.2` here, `.1` there.
    fn join(&self, namespace: &str, device: &str, v4: &str, v6: &str) {
        let (router, peer) = (self.router.as_str(), format!("to-{device}"));
        must(
            "ip",
            &[
                "-n", namespace, "link", "add", "eth0", "type", "veth", "peer", "name", &peer,
                "netns", router,
            ],
        );
        // Neighbours know each other from the start: a packet that waits for an address to be
        // resolved, or is lost to that, is no part of any test.
        let station = |host: u8| format!("02:00:00:00:{:02x}:{host:02x}", device.len());
        for (namespace, device, host) in [(namespace, "eth0", 2), (router, peer.as_str(), 1)] {
            must("ip", &["-n", namespace, "link", "set", device, "address", &station(host)]);
            let address = |family: &str, prefix: String| {
                let add = ["-n", namespace, family, "addr", "add", &prefix, "dev", device];
                let mut add = add.to_vec();
                if family == "-6" {
                    add.push("nodad");
                }
                must("ip", &add);
            };
            address("-4", format!("{v4}.{host}/24"));
            address("-6", format!("{v6}:{host}/64"));
            must("ip", &["-n", namespace, "link", "set", device, "up"]);
            let other = 3 - host;
            for address in [format!("{v4}.{other}"), format!("{v6}:{other}")] {
                let neighbour = ["lladdr", &station(other), "dev", device, "nud", "permanent"];
                let add = ["-n", namespace, "neigh", "add", &address];
                must("ip", &[&add[..], &neighbour[..]].concat());
            }
        }
        let (gateway, gateway_v6) = (format!("{v4}.1"), format!("{v6}:1"));
        must("ip", &["-n", namespace, "route", "add", "default", "via", &gateway]);
        must("ip", &["-n", namespace, "-6", "route", "add", "default", "via", &gateway_v6]);
    }

    /// Where the agent and its collector run.
    #[must_use]
    pub fn agent(&self) -> Place {
        Place::namespace(&self.agent)
    }

    /// Where the reflector runs.
    #[must_use]
    pub fn reflector(&self) -> Place {
        Place::namespace(&self.reflector)
    }

    fn on_router(&self, command: &[&str]) {
        let mut all = vec!["netns", "exec", &self.router];
        all.extend(command);
        must("ip", &all);
    }

    /// Loads nftables statements on the router.
    ///
    /// # Panics
    /// When they are refused.
    pub fn nft(&self, statements: &str) {
        for statement in statements.split('\n').map(str::trim).filter(|line| !line.is_empty()) {
            self.on_router(&["nft", statement]);
        }
    }

    /// Packets that a named nftables counter of table `inet lab` has seen.
    ///
    /// # Panics
    /// When there is no such counter.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        let output = Command::new("ip")
            .args(["netns", "exec", &self.router, "nft", "-j", "list", "counter", "inet", "lab"])
            .arg(name)
            .output()
            .expect("nft runs");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("nft prints JSON");
        let objects = answer["nftables"].as_array().expect("a list");
        objects
            .iter()
            .find_map(|object| object["counter"]["packets"].as_u64())
            .unwrap_or_else(|| panic!("no counter {name} in {answer}"))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.agent, &self.router, &self.reflector] {
            run("ip", &["netns", "del", namespace]);
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output().expect("the program runs");
    if !output.status.success() {
        eprintln!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

fn must(program: &str, arguments: &[&str]) {
    assert!(run(program, arguments), "{program} {arguments:?}");
}
