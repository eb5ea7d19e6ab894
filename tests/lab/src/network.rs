//! An agent, a router and a reflector, each in a namespace of its own and joined by virtual Ethernet.
//! What the router does to packets, and how many it saw, is nftables' business.

use e2e::have;

use crate::Namespace;

/// Counts all probe packets each way, and does to them what the test's own chain says.
const TABLE: &str = "
    add table inet lab
    add counter inet lab up
    add counter inet lab down
    add counter inet lab up_dropped
    add counter inet lab down_dropped
    add chain inet lab forward { type filter hook forward priority 0; policy accept; }
    add chain inet lab impair
    add rule inet lab forward udp dport 862 counter name up
    add rule inet lab forward udp sport 862 counter name down
    add rule inet lab forward jump impair
";

/// The three namespaces; they go when the value does.
#[derive(Debug)]
pub struct Network {
    agent: Namespace,
    router: Namespace,
    reflector: Namespace,
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
        let network = Self {
            agent: Namespace::new("agent")?,
            router: Namespace::new("router")?,
            reflector: Namespace::new("far")?,
        };
        network.join(&network.agent, "near", "192.0.2", "2001:db8:1:");
        network.join(&network.reflector, "far", "198.51.100", "2001:db8:2:");
        network.router.command(&["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        network.router.command(&["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"]);
        network.nft(TABLE);
        Some(network)
    }

    /// Joins a namespace to the router: `.2` here, `.1` there.
    fn join(&self, namespace: &Namespace, device: &str, v4: &str, v6: &str) {
        let peer = format!("to-{device}");
        let router = self.router.name();
        let pair = ["type", "veth", "peer", "name", &peer, "netns", router];
        namespace.ip(&[&["link", "add", "eth0"], &pair[..]].concat());
        // Neighbours know each other from the start: a packet that waits for an address to be
        // resolved, or is lost to that, is no part of any test.
        let station = |host: u8| format!("02:00:00:00:{:02x}:{host:02x}", device.len());
        for (place, device, host) in [(namespace, "eth0", 2), (&self.router, peer.as_str(), 1)] {
            place.ip(&["link", "set", device, "address", &station(host)]);
            place.ip(&["addr", "add", &format!("{v4}.{host}/24"), "dev", device]);
            place.ip(&["-6", "addr", "add", &format!("{v6}:{host}/64"), "dev", device, "nodad"]);
            place.ip(&["link", "set", device, "up"]);
            let other = 3 - host;
            for address in [format!("{v4}.{other}"), format!("{v6}:{other}")] {
                let neighbour = ["lladdr", &station(other), "dev", device, "nud", "permanent"];
                place.ip(&[&["neigh", "add", &address], &neighbour[..]].concat());
            }
        }
        namespace.ip(&["route", "add", "default", "via", &format!("{v4}.1")]);
        namespace.ip(&["-6", "route", "add", "default", "via", &format!("{v6}:1")]);
    }

    /// Where the agent and its collector run.
    #[must_use]
    pub const fn agent(&self) -> &Namespace {
        &self.agent
    }

    /// Where the reflector runs.
    #[must_use]
    pub const fn reflector(&self) -> &Namespace {
        &self.reflector
    }

    /// Loads nftables statements, one in each line, on the router. Table `inet lab` is there already:
    /// its counters `up` and `down` see each probe packet, then chain `impair` does.
    ///
    /// # Panics
    /// When they are refused.
    pub fn nft(&self, statements: &str) {
        for statement in statements.split('\n').map(str::trim).filter(|line| !line.is_empty()) {
            self.router.command(&["nft", statement]);
        }
    }

    /// Packets that a named nftables counter of table `inet lab` has seen.
    ///
    /// # Panics
    /// When there is no such counter.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        let answer = self.router.json(&["nft", "-j", "list", "counter", "inet", "lab", name]);
        let objects = answer["nftables"].as_array().expect("a list");
        objects
            .iter()
            .find_map(|object| object["counter"]["packets"].as_u64())
            .unwrap_or_else(|| panic!("no counter {name} in {answer}"))
    }

    /// Makes the router's link to the reflector a slow one: `rate` such as `2mbit`, and a queue that
    /// holds what takes `queue`, such as `300ms`, to send. What comes then is dropped.
    ///
    /// # Panics
    /// When it is refused.
    pub fn slow_down(&self, rate: &str, queue: &str) {
        let shape = ["tbf", "rate", rate, "burst", "2kb", "latency", queue];
        let device = ["tc", "qdisc", "add", "dev", "to-far", "root"];
        self.router.command(&[&device[..], &shape[..]].concat());
    }

    /// Forgets all connections that the router translates addresses of, as a restart does.
    ///
    /// # Panics
    /// When it cannot be done.
    pub fn forget_connections(&self) {
        self.router.command(&["conntrack", "--flush"]);
    }
}
