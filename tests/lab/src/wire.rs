//! A wire between two namespaces that is a thread of the test.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use e2e::{cannot_run, have};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use testkit::{Impairment, Netem};

use crate::probe_packet::ProbePacket;
use crate::tap::Tap;
use crate::{AGENT, AGENT_V6, Namespace, REFLECTOR, REFLECTOR_V6, Truth, tun};

/// The largest packet that is carried: the device's MTU.
const MTU: usize = 1_500;
/// A test does not carry more; it bounds what a runaway sender takes of memory.
const MAX_PACKETS: u64 = 200_000;

/// A way through a wire or a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Agent to reflector.
    Up,
    /// Reflector to agent.
    Down,
}

/// Two namespaces, joined by a wire that impairs test packets (UDP to or from port 862) and carries
/// everything else as it is. All go when the value does.
#[derive(Debug)]
pub struct Wire {
    agent: Namespace,
    reflector: Namespace,
    shared: Arc<Mutex<Shared>>,
    /// Closed to end the thread.
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Debug)]
struct Shared {
    up: Netem<Vec<u8>>,
    down: Netem<Vec<u8>>,
    truth: Truth,
    carried: u64,
}

impl Shared {
    fn link(&mut self, direction: Direction) -> &mut Netem<Vec<u8>> {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }
}

impl Wire {
    /// Joins two new namespaces by a wire that does to packets what `up` and `down` say; `None`, said
    /// loudly, where that is not allowed. The same `seed` gives the same random numbers.
    ///
    /// # Panics
    /// In CI, where it must be allowed; or when a step fails.
    #[must_use]
    pub fn new(up: Impairment, down: Impairment, seed: u64) -> Option<Self> {
        if !have("ip") {
            return None;
        }
        let (agent, reflector) = (Namespace::new("agent")?, Namespace::new("far")?);
        let ends = [
            (&agent, [AGENT, AGENT_V6], [REFLECTOR, REFLECTOR_V6]),
            (&reflector, [REFLECTOR, REFLECTOR_V6], [AGENT, AGENT_V6]),
        ];
        let (mut devices, mut taps) = (Vec::new(), Vec::new());
        for (namespace, own, other) in ends {
            let device = tun::open(namespace, "wire0");
            let Ok(device) = device else {
                cannot_run(&format!("a TUN device cannot be made: {device:?}"));
                return None;
            };
            let tap = Tap::open(namespace);
            let Ok(tap) = tap else {
                cannot_run(&format!("what passes cannot be listened to: {tap:?}"));
                return None;
            };
            devices.push(device);
            taps.push(tap);
            let [v4, v6] = own;
            namespace.ip(&["link", "set", "wire0", "up"]);
            namespace.ip(&["addr", "add", v4, "peer", other[0], "dev", "wire0"]);
            namespace.ip(&["-6", "addr", "add", v6, "peer", other[1], "dev", "wire0", "nodad"]);
        }
        let links = (Netem::new(up, seed), Netem::new(down, seed.wrapping_add(1)));
        let shared = Shared { up: links.0, down: links.1, truth: Truth::default(), carried: 0 };
        let shared = Arc::new(Mutex::new(shared));
        let (stopped, stop) = io::pipe().expect("a pipe");
        let far = devices.pop().expect("two devices");
        let near = devices.pop().expect("two devices");
        let carrier = Carrier { near, far, taps, stopped, shared: Arc::clone(&shared) };
        let thread = Builder::new().name("wire".to_owned()).spawn(move || carrier.run());
        let thread = Some(thread.expect("a thread starts"));
        Some(Self { agent, reflector, shared, stop: Some(stop), thread })
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

    /// Changes what is done to packets that go in from now on.
    ///
    /// # Panics
    /// When the wire's thread has ended.
    pub fn impair(&self, direction: Direction, impairment: Impairment) {
        self.lock().link(direction).impairment = impairment;
    }

    /// What was done so far.
    ///
    /// # Panics
    /// When the wire's thread has ended.
    #[must_use]
    pub fn truth(&self) -> Truth {
        let thread = self.thread.as_ref().expect("the wire was not stopped");
        assert!(!thread.is_finished(), "the wire has broken");
        self.lock().truth.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("the wire's thread works")
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(matches!(ended, Some(Ok(Ok(())))), "the wire has broken: {ended:?}");
        }
    }
}

/// What the thread works with.
struct Carrier {
    near: File,
    far: File,
    /// What the kernel sees pass at either end.
    taps: Vec<Tap>,
    stopped: PipeReader,
    shared: Arc<Mutex<Shared>>,
}

impl Carrier {
    fn run(self) -> io::Result<()> {
        if !tun::run_first() {
            eprintln!("the wire has no precedence: a busy machine makes its delays longer");
        }
        let mut direct = VecDeque::new();
        let mut next = None;
        loop {
            let mut files = [
                PollFd::new(self.near.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.far.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.stopped.as_fd(), PollFlags::POLLIN),
            ];
            let until = |at: Instant| TimeSpec::from(at.saturating_duration_since(Instant::now()));
            match ppoll(&mut files, next.map(until), None) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            if files[2].any().unwrap_or(true) {
                return Ok(());
            }
            let mut shared = self.shared.lock().map_err(|_| io::Error::other("poisoned"))?;
            self.take(&self.near, &mut shared, &mut direct)?;
            self.deliver_direct(&self.far, &mut direct)?;
            self.take(&self.far, &mut shared, &mut direct)?;
            self.deliver_direct(&self.near, &mut direct)?;
            // What went in is noted before any of it comes out.
            self.note(&mut shared.truth)?;
            let up = self.deliver(Direction::Up, &mut shared)?;
            let down = self.deliver(Direction::Down, &mut shared)?;
            self.note(&mut shared.truth)?;
            next = [up, down].into_iter().flatten().min();
        }
    }

    /// Notes what passed at either end since it was last looked at.
    fn note(&self, truth: &mut Truth) -> io::Result<()> {
        for tap in &self.taps {
            while let Some(seen) = tap.next()? {
                if seen.outgoing {
                    truth.enter(&seen.packet, seen.at);
                } else if !truth.leave(&seen.packet, seen.at) {
                    return Err(io::Error::other(format!("{seen:?} never went in")));
                }
            }
        }
        Ok(())
    }

    /// Takes all packets that wait at one end.
    fn take(
        &self,
        mut end: &File,
        shared: &mut Shared,
        direct: &mut VecDeque<Vec<u8>>,
    ) -> io::Result<()> {
        let mut buffer = [0; MTU];
        loop {
            let length = match end.read(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let now = Instant::now();
            let bytes = buffer[..length].to_vec();
            let Some(packet) = ProbePacket::read(&bytes) else {
                direct.push_back(bytes);
                continue;
            };
            shared.carried += 1;
            if shared.carried > MAX_PACKETS {
                return Err(io::Error::other("more packets than any test sends"));
            }
            shared.link(packet.direction).send(now, bytes);
        }
    }

    fn deliver_direct(&self, mut end: &File, direct: &mut VecDeque<Vec<u8>>) -> io::Result<()> {
        while let Some(bytes) = direct.pop_front() {
            end.write_all(&bytes)?;
        }
        Ok(())
    }

    /// Delivers what has come out by now; when the next comes out.
    fn deliver(&self, direction: Direction, shared: &mut Shared) -> io::Result<Option<Instant>> {
        let mut end = match direction {
            Direction::Up => &self.far,
            Direction::Down => &self.near,
        };
        while let Some(bytes) = shared.link(direction).poll(Instant::now()) {
            end.write_all(&bytes)?;
        }
        Ok(shared.link(direction).deadline())
    }
}
