//! Traffic beside the measured one.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Namespace;

/// A steady stream of UDP packets; it ends when the value goes, and after a minute at the latest.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Nobody needs it longer.
const LIMIT: Duration = Duration::from_secs(60);
/// The payload that makes an IPv4 packet of 145 octets, like those that are measured: a queue that is
/// almost full drops larger packets and still takes smaller ones.
const PAYLOAD: usize = 117;

impl Load {
    /// Sends `rate` packets of 145 octets a second from a namespace to a port where nobody need
    /// listen.
    ///
    /// # Panics
    /// When there is no socket.
    #[must_use]
    pub fn start(from: &Namespace, to: SocketAddr, rate: u32) -> Self {
        let socket = from.inside(|| UdpSocket::bind("0.0.0.0:0").expect("a socket"));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let start = Instant::now();
            let pause = Duration::from_secs(1) / rate;
            let mut due = start;
            while !stopped.load(Ordering::Relaxed) && start.elapsed() < LIMIT {
                // Refused by a port where nobody listens, or lost: all the same to a load.
                let _ = socket.send_to(&[0; PAYLOAD], to);
                due += pause;
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
