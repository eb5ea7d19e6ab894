//! Waiting by whatever the system has: kqueue, completion ports, poll.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use polling::{Event, Events, Poller};

use super::ProbeSocket;
use crate::{MAX_WAITED, Ready};

/// Ends another thread's [`wait`]. Wakes that come before the wait, or several of them, end one wait.
#[derive(Debug, Clone)]
pub struct Waker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    poller: Poller,
    /// Set before the poller is told, so that a wait that ends for something else hears of it, too.
    called: AtomicBool,
}

impl Waker {
    /// A waker for one waiting thread; its clones wake the same one.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> io::Result<Self> {
        let shared = Shared { poller: Poller::new()?, called: AtomicBool::new(false) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Wakes the thread that waits or, when none does, lets its next wait return at once.
    pub fn wake(&self) {
        self.shared.called.store(true, Ordering::Release);
        // It fails only when the poller is broken, and then waiting fails, too.
        let _ = self.shared.poller.notify();
    }
}

/// Waits until a socket can be read, `waker` is called, or `until` is over (a moment that has passed:
/// not at all; `None`: for ever). Some systems' timers have milliseconds only, and are late by as many
/// as sixteen; some end a wait for nothing.
///
/// The sockets are told by their places in `sockets`.
///
/// # Errors
/// When there are more than [`MAX_WAITED`] sockets or the system refuses.
pub fn wait(sockets: &[&ProbeSocket], waker: &Waker, until: Option<Instant>) -> io::Result<Ready> {
    if sockets.len() > MAX_WAITED {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many sockets to wait for"));
    }
    let poller = &waker.shared.poller;
    let mut events = Events::new();
    let mut watched = 0;
    let mut waited = Ok(0);
    for (index, socket) in sockets.iter().enumerate() {
        // SAFETY: the socket is borrowed for the whole call, and is not watched any more at its end.
        waited = unsafe { poller.add(&socket.socket, Event::readable(index)) }.map(|()| 0);
        if waited.is_err() {
            break;
        }
        watched += 1;
    }
    if waited.is_ok() {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        waited = poller.wait(&mut events, left);
    }
    for socket in &sockets[..watched] {
        // It was added above; a socket that the system forgot is not watched either.
        let _ = poller.delete(&socket.socket);
    }
    waited?;
    let mut ready = Ready::default();
    for event in events.iter() {
        ready.set_readable(event.key);
    }
    if waker.shared.called.swap(false, Ordering::Acquire) {
        ready.set_woken();
    }
    Ok(ready)
}
