//! Many datagrams by one call.

use std::fmt;
use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::ptr::null_mut;
use std::sync::atomic::Ordering;

use nix::libc;

use super::address::RawAddress;
use super::control::{ControlBuffer, Envelope, RECEIVE_OCTETS, SendControl, read_received};
use super::{ProbeSocket, retry_interrupted};
use crate::{PushError, Received, SentBatch, SocketError};

/// Room for a batch of received datagrams, which is allocated once.
pub struct Inbox {
    octets: usize,
    len: usize,
    /// The local address of the socket that was received from, when it has only one.
    to: Option<IpAddr>,
    // The headers point into the other vectors, which are never resized nor borrowed mutably after that.
    bytes: Vec<u8>,
    names: Vec<RawAddress>,
    controls: Vec<ControlBuffer<RECEIVE_OCTETS>>,
    _slices: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers in the headers and slices lead into vectors that this value owns, whose memory
// does not move with it, and that only its own methods use.
unsafe impl Send for Inbox {}

impl Inbox {
    /// Room for so many datagrams (at least one) of up to so many octets each; longer ones are
    /// truncated, and say so.
    #[must_use]
    pub fn new(messages: usize, octets: usize) -> Self {
        let messages = messages.max(1);
        let mut bytes = vec![0; messages.saturating_mul(octets)];
        let mut names = vec![RawAddress::EMPTY; messages];
        let mut controls = vec![ControlBuffer::EMPTY; messages];
        let mut slices: Vec<_> = (0..messages)
            .map(|index| libc::iovec {
                // Within `bytes`, or at its end when datagrams have no octets.
                iov_base: bytes.as_mut_ptr().wrapping_add(index * octets).cast(),
                iov_len: octets,
            })
            .collect();
        let (first_slice, first_name) = (slices.as_mut_ptr(), names.as_mut_ptr());
        let first_control = controls.as_mut_ptr();
        let headers = (0..messages)
            .map(|index| {
                let mut header = empty_header();
                header.msg_hdr.msg_name = first_name.wrapping_add(index).cast();
                header.msg_hdr.msg_iov = first_slice.wrapping_add(index);
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_control = first_control.wrapping_add(index).cast();
                reset(&mut header);
                header
            })
            .collect();
        Self { octets, len: 0, to: None, bytes, names, controls, _slices: slices, headers }
    }

    /// How many datagrams were received last.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True when nothing was received last.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A datagram that was received last, with its octets; `None` when there are fewer.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<(Received, &[u8])> {
        let header = self.headers.get(..self.len)?.get(index)?;
        let from = self.names.get(index)?.read()?;
        let control_len: usize = header.msg_hdr.msg_controllen as _;
        let control = self.controls.get(index)?.0.get(..control_len)?;
        let len = (header.msg_len as usize).min(self.octets);
        let bytes = self.bytes.get(index * self.octets..)?.get(..len)?;
        let flags = header.msg_hdr.msg_flags;
        Some((read_received(&Envelope { from, to: self.to, len, flags, control }), bytes))
    }

    /// The datagrams that were received last, with their octets.
    pub fn iter(&self) -> impl Iterator<Item = (Received, &[u8])> {
        (0..self.len).filter_map(|index| self.get(index))
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Datagrams to be sent together, in room that is allocated once.
pub struct Outbox {
    octets: usize,
    len: usize,
    // The headers point into the other vectors, which are never resized.
    bytes: Vec<u8>,
    names: Vec<RawAddress>,
    addresses: Vec<SocketAddr>,
    controls: Vec<(SendControl, u8)>,
    slices: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    sent_ids: Vec<Option<u32>>,
}

// SAFETY: the pointers in the headers and slices lead into vectors that this value owns, whose memory
// does not move with it, and that only its own methods use.
unsafe impl Send for Outbox {}

impl Outbox {
    /// Room for so many datagrams (at least one) of up to so many octets each.
    #[must_use]
    pub fn new(messages: usize, octets: usize) -> Self {
        let messages = messages.max(1);
        Self {
            octets,
            len: 0,
            bytes: vec![0; messages.saturating_mul(octets)],
            names: vec![RawAddress::EMPTY; messages],
            addresses: vec![SocketAddr::from(([0; 4], 0)); messages],
            controls: vec![(SendControl::EMPTY, 0); messages],
            slices: vec![libc::iovec { iov_base: null_mut(), iov_len: 0 }; messages],
            headers: vec![empty_header(); messages],
            sent_ids: Vec::with_capacity(messages),
        }
    }

    /// Adds a datagram to `to` marked with `tos`, from the local address `from` or, without one, from
    /// the one that the system picks.
    ///
    /// # Errors
    /// When the batch is full or the datagram too long; the batch is as before.
    pub fn push(
        &mut self,
        bytes: &[u8],
        to: SocketAddr,
        from: Option<IpAddr>,
        tos: u8,
    ) -> Result<(), PushError> {
        let index = self.len;
        if index == self.headers.len() {
            return Err(PushError::Full);
        }
        if bytes.len() > self.octets {
            return Err(PushError::TooLong);
        }
        let start = index * self.octets;
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        let (name, name_len) = RawAddress::new(to);
        self.names[index] = name;
        self.headers[index].msg_hdr.msg_namelen = name_len;
        self.addresses[index] = to;
        self.controls[index] = (SendControl::new(to, tos, from), tos);
        self.slices[index].iov_len = bytes.len();
        self.len += 1;
        Ok(())
    }

    /// How many datagrams wait to be sent.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True when nothing waits to be sent.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// True when nothing more can be added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len == self.headers.len()
    }

    /// The numbers that the transmit stamps of the batch sent last will have, in the order of its
    /// datagrams; `None` for one that was not sent.
    #[must_use]
    pub fn sent_ids(&self) -> &[Option<u32>] {
        &self.sent_ids
    }

    /// Points the headers to what was pushed.
    fn address_headers(&mut self, socket: &ProbeSocket) {
        let bytes = self.bytes.as_mut_ptr();
        for index in 0..self.len {
            self.slices[index].iov_base = bytes.wrapping_add(index * self.octets).cast();
        }
        let (slices, names) = (self.slices.as_mut_ptr(), self.names.as_mut_ptr());
        for (index, header) in self.headers[..self.len].iter_mut().enumerate() {
            let (control, tos) = &mut self.controls[index];
            let control = control.needed(socket.marked(*tos), socket.bound());
            let header = &mut header.msg_hdr;
            header.msg_name = names.wrapping_add(index).cast();
            header.msg_iov = slices.wrapping_add(index);
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = control.len() as _;
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("len", &self.len).finish_non_exhaustive()
    }
}

impl ProbeSocket {
    /// Receives the datagrams that are here already, as many as there is room for. What `inbox` held
    /// before is gone. Returns how many there are.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn recv_batch(&self, inbox: &mut Inbox) -> Result<usize, SocketError> {
        for header in &mut inbox.headers[..inbox.len] {
            reset(header);
        }
        inbox.len = 0;
        inbox.to = self.only_address();
        let headers = &mut inbox.headers;
        let received = retry_interrupted(|| {
            // SAFETY: the descriptor is open as long as the socket lives. Each header points to an
            // address, one slice of octets and control messages, each with its capacity, in vectors
            // that `inbox` owns; they are borrowed mutably for the call with `inbox`.
            let received = unsafe {
                libc::recvmmsg(
                    self.as_raw_fd(),
                    headers.as_mut_ptr(),
                    headers.len() as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                    null_mut(),
                )
            };
            received as isize
        });
        match received {
            Ok(count) => inbox.len = count.min(inbox.headers.len()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(SocketError::Receive(error)),
        }
        Ok(inbox.len)
    }

    /// Sends what was pushed now or not at all, and empties `outbox`. A datagram that the system cannot
    /// send is left out; a full queue ends the batch. [`Outbox::sent_ids`] tells which were sent.
    pub fn send_batch(&self, outbox: &mut Outbox) -> SentBatch {
        outbox.address_headers(self);
        outbox.sent_ids.clear();
        let mut batch = SentBatch::default();
        let mut from = 0;
        while from < outbox.len {
            let rest = &mut outbox.headers[from..outbox.len];
            let error = match self.send_headers(rest) {
                Ok(count) if count > 0 => {
                    let count = count.min(outbox.len - from);
                    let step = u32::try_from(count).unwrap_or(u32::MAX);
                    let first = self.next_id.fetch_add(step, Ordering::Relaxed);
                    outbox.sent_ids.extend((0..step).map(|n| Some(first.wrapping_add(n))));
                    batch.sent += count;
                    from += count;
                    continue;
                }
                Ok(_) => io::ErrorKind::WouldBlock.into(),
                Err(error) => error,
            };
            self.recount();
            let error = SocketError::Send { to: outbox.addresses[from], source: error };
            let left_out = batch.leave_out(error, outbox.len - from);
            outbox.sent_ids.extend(std::iter::repeat_n(None, left_out));
            from += left_out;
        }
        outbox.len = 0;
        batch
    }

    fn send_headers(&self, headers: &mut [libc::mmsghdr]) -> io::Result<usize> {
        retry_interrupted(|| {
            // SAFETY: the descriptor is open as long as the socket lives. The headers were addressed
            // for this call: each points to an address, one slice of octets and control messages, each
            // with its length, in vectors that outlive the call and that the kernel only reads.
            let sent = unsafe {
                libc::sendmmsg(
                    self.as_raw_fd(),
                    headers.as_mut_ptr(),
                    headers.len() as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                )
            };
            sent as isize
        })
    }
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: all fields are integers and pointers, for which zero is a value; some systems have
    // private padding that cannot be named.
    unsafe { zeroed() }
}

/// Gives a header its capacities back, which a call replaced by what it wrote.
fn reset(header: &mut libc::mmsghdr) {
    header.msg_hdr.msg_namelen = RawAddress::CAPACITY;
    header.msg_hdr.msg_controllen = RECEIVE_OCTETS as _;
    header.msg_hdr.msg_flags = 0;
    header.msg_len = 0;
}
