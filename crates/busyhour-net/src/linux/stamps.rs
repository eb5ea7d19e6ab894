//! Many transmit stamps by one call.

use std::fmt;
use std::mem::zeroed;
use std::os::fd::AsRawFd as _;
use std::ptr::null_mut;
use std::sync::atomic::Ordering;

use nix::libc;

use super::control::{ControlBuffer, RECEIVE_OCTETS, read_sent};
use super::{ProbeSocket, none_if_blocking, retry_interrupted};
use crate::{Sent, SocketError};

/// Room for a batch of transmit stamps, which is allocated once.
pub struct Stamps {
    sent: Vec<Sent>,
    // The headers point into the controls, which are never resized nor borrowed mutably after that.
    controls: Vec<ControlBuffer<RECEIVE_OCTETS>>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers in the headers lead into a vector that this value owns, whose memory does not
// move with it, and that only its own methods use.
unsafe impl Send for Stamps {}

impl Stamps {
    /// Room for so many stamps (at least one).
    #[must_use]
    pub fn new(stamps: usize) -> Self {
        let stamps = stamps.max(1);
        let mut controls = vec![ControlBuffer::EMPTY; stamps];
        let first = controls.as_mut_ptr();
        let headers = (0..stamps)
            .map(|index| {
                // SAFETY: all fields are integers and pointers, for which zero is a value; some systems
                // have private padding that cannot be named.
                let mut header: libc::mmsghdr = unsafe { zeroed() };
                header.msg_hdr.msg_control = first.wrapping_add(index).cast();
                header
            })
            .collect();
        Self { sent: Vec::with_capacity(stamps), controls, headers }
    }

    /// The stamps that were taken last.
    #[must_use]
    pub fn taken(&self) -> &[Sent] {
        &self.sent
    }

    /// True when as many were taken last as there is room for, so that there may be more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.sent.len() == self.headers.len()
    }
}

impl fmt::Debug for Stamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamps").field("sent", &self.sent).finish_non_exhaustive()
    }
}

impl ProbeSocket {
    /// Takes the transmit stamps that are here already, as many as there is room for. What `stamps` held
    /// before is gone. Returns how many there are.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn next_sent_batch(&self, stamps: &mut Stamps) -> Result<usize, SocketError> {
        stamps.sent.clear();
        // What was kept comes first, and one by one: it is seldom there.
        while self.kept_len.load(Ordering::Relaxed) > 0 && !stamps.is_full() {
            let Some(sent) = self.try_next_sent()? else { break };
            stamps.sent.push(sent);
        }
        if !stamps.sent.is_empty() || !self.has_transmit_stamps() {
            return Ok(stamps.sent.len());
        }
        for header in &mut stamps.headers {
            header.msg_hdr.msg_controllen = RECEIVE_OCTETS as _;
        }
        let headers = &mut stamps.headers;
        let received = retry_interrupted(|| {
            // SAFETY: the descriptor is open as long as the socket lives. Each header points to control
            // messages, with their capacity, in a vector that `stamps` owns; they are borrowed mutably
            // for the call with `stamps`. There is no room for addresses and octets, and the header
            // says so.
            let received = unsafe {
                libc::recvmmsg(
                    self.as_raw_fd(),
                    headers.as_mut_ptr(),
                    headers.len() as libc::c_uint,
                    (libc::MSG_DONTWAIT | libc::MSG_ERRQUEUE) as _,
                    null_mut(),
                )
            };
            received as isize
        });
        let received = none_if_blocking(received)?.unwrap_or(0);
        let Stamps { sent, controls, headers } = stamps;
        for (header, control) in headers.iter().zip(controls.iter()).take(received) {
            let len: usize = header.msg_hdr.msg_controllen as _;
            sent.extend(
                read_sent(control.0.get(..len).unwrap_or_default()).map(|s| self.numbered(s)),
            );
        }
        Ok(sent.len())
    }
}
