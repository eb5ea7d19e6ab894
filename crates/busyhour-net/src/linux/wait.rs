//! Waiting for sockets, a deadline and other threads.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr::null;
use std::sync::Arc;
use std::time::Instant;

use nix::libc;

use super::ProbeSocket;
use crate::{MAX_WAITED, Ready};

/// Ends another thread's [`wait`]. Wakes that come before the wait, or several of them, end one wait.
#[derive(Debug, Clone)]
pub struct Waker {
    event: Arc<OwnedFd>,
}

impl Waker {
    /// A waker for one waiting thread; its clones wake the same one.
    ///
    /// # Errors
    /// When the process has no file descriptors left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was opened just now, and nobody else knows of it.
        let event = Arc::new(unsafe { OwnedFd::from_raw_fd(fd) });
        Ok(Self { event })
    }

    /// Wakes the thread that waits or, when none does, lets its next wait return at once.
    pub fn wake(&self) {
        let one = 1_u64.to_ne_bytes();
        // It fails only when the counter is full, and then the thread is woken anyway.
        // SAFETY: the descriptor is open as long as `self` lives, and the octets outlive the call.
        let _ = unsafe { libc::write(self.event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Forgets wakes that were heard.
    fn reset(&self) {
        let mut count = [0; 8];
        // It fails only when there is nothing to forget.
        // SAFETY: the descriptor is open as long as `self` lives, and the octets outlive the call.
        let _ =
            unsafe { libc::read(self.event.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

/// Waits until a socket has something, `waker` is called, or `until` is over (a moment that has passed:
/// not at all; `None`: for ever). The kernel's timer has nanoseconds; it may wake up to the thread's
/// timer slack (50 µs by default) later, and as late as the scheduler likes.
///
/// The sockets are told by their places in `sockets`. A socket that [`Ready::has_errors`] has transmit
/// stamps: unless they are taken with [`ProbeSocket::try_next_sent`] until there are no more, the next
/// wait returns at once. Such a socket is called readable, too, because only receiving tells whether
/// it is broken.
///
/// # Errors
/// When there are more than [`MAX_WAITED`] sockets or the kernel has no memory.
pub fn wait(sockets: &[&ProbeSocket], waker: &Waker, until: Option<Instant>) -> io::Result<Ready> {
    if sockets.len() > MAX_WAITED {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many sockets to wait for"));
    }
    let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut entries = [entry(-1); MAX_WAITED + 1];
    let entries = &mut entries[..=sockets.len()];
    for (place, socket) in entries.iter_mut().zip(sockets) {
        *place = entry(socket.as_raw_fd());
    }
    entries[sockets.len()] = entry(waker.event.as_raw_fd());
    poll(entries, until)?;
    let mut ready = Ready::default();
    for (index, entry) in entries[..sockets.len()].iter().enumerate() {
        if entry.revents != 0 {
            ready.set_readable(index);
        }
        if entry.revents & libc::POLLERR != 0 {
            ready.set_errors(index);
        }
    }
    if entries[sockets.len()].revents != 0 {
        waker.reset();
        ready.set_woken();
    }
    Ok(ready)
}

fn poll(entries: &mut [libc::pollfd], until: Option<Instant>) -> io::Result<()> {
    loop {
        let left = until.map(|until| {
            let left = until.saturating_duration_since(Instant::now());
            libc::timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(libc::time_t::MAX),
                tv_nsec: left.subsec_nanos() as _,
            }
        });
        let timeout = left.as_ref().map_or(null(), |left| &raw const *left);
        // SAFETY: the entries are borrowed mutably and given with their number; the timeout is null or
        // points to a value that outlives the call; the signal mask is null, which leaves it alone.
        let ready = unsafe {
            libc::ppoll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, timeout, null())
        };
        if ready >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
