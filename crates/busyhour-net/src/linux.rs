//! The Linux probe socket.

mod address;
mod batch;
mod control;
mod options;
mod stamps;
mod wait;

use std::collections::VecDeque;
use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use busyhour_model::{Dscp, TimestampMethod};
use nix::libc;
use socket2::Socket;

use crate::{Methods, Received, Sent, SocketError, ports};
use address::RawAddress;
use control::{
    Bound, ControlBuffer, Envelope, Marked, RECEIVE_OCTETS, SendControl, read_received, read_sent,
};

pub use batch::{Inbox, Outbox};
pub use stamps::Stamps;
pub use wait::{Waker, wait};

/// The receive queue asked for by a sender: at 800 bytes of kernel memory a datagram, more than a
/// thousand, which is 2 s of ten sessions. The system may grant less.
const SENDER_QUEUE_BYTES: usize = 1 << 20;
/// The receive queue asked for by a reflector, which hears many senders at once.
const REFLECTOR_QUEUE_BYTES: usize = 4 << 20;
/// Transmit stamps that are kept while the kernel's numbering is begun anew: as many as there are
/// datagrams in a batch, usually. More are lost, and their datagrams have the process's reading only.
const MAX_KEPT_STAMPS: usize = 256;

/// A UDP socket that marks what it sends, tells the marking of what it receives, and has both timed
/// by the kernel. Nothing here blocks; [`wait`] does. One thread sends; receiving and collecting
/// stamps may be done by others.
#[derive(Debug)]
pub struct ProbeSocket {
    socket: Socket,
    local: SocketAddr,
    tos: u8,
    methods: Methods,
    /// Our number for the next datagram, and the one at which the kernel's count began.
    next_id: AtomicU32,
    base_id: AtomicU32,
    /// Stamps that were taken before the kernel's count began anew. Locked for a push or a pop only.
    kept: Mutex<VecDeque<Sent>>,
    kept_len: AtomicUsize,
}

impl ProbeSocket {
    /// Opens a sender's socket at `local`, on the first free of `ports` or, when none is, on any port;
    /// [`Self::local_addr`] tells. Datagrams are marked `dscp`, and their transmit stamps must be
    /// collected with [`Self::try_next_sent`].
    ///
    /// # Errors
    /// When the address cannot be bound or an option that every Linux has is refused.
    pub fn bind(
        local: IpAddr,
        ports: RangeInclusive<u16>,
        dscp: Dscp,
    ) -> Result<Self, SocketError> {
        let mut socket =
            Self::new(ports::open_on_first_free(local, ports)?, dscp, SENDER_QUEUE_BYTES)?;
        socket.stamp_sends();
        Ok(socket)
    }

    /// Opens a reflector's socket at exactly `local` (port 0 for any). Each answer brings its own
    /// marking, and there are no transmit stamps unless [`Self::stamp_sends`] asks for them.
    ///
    /// # Errors
    /// When the address cannot be bound or an option that every Linux has is refused.
    pub fn bind_reflector(local: SocketAddr) -> Result<Self, SocketError> {
        Self::new(ports::open_at(local)?, Dscp::from_tos(0), REFLECTOR_QUEUE_BYTES)
    }

    fn new(socket: Socket, dscp: Dscp, queue_bytes: usize) -> Result<Self, SocketError> {
        let local = ports::local_addr(&socket)?;
        let tos = dscp.to_tos();
        options::receive_metadata(&socket, local, tos)?;
        // Less than asked for is no reason to give up; drops are counted.
        let _ = socket.set_recv_buffer_size(queue_bytes);
        Ok(Self {
            methods: options::stamp_received(&socket),
            socket,
            local,
            tos,
            next_id: AtomicU32::new(0),
            base_id: AtomicU32::new(0),
            kept: Mutex::new(VecDeque::new()),
            kept_len: AtomicUsize::new(0),
        })
    }

    /// Asks for transmit stamps, which then must be collected with [`Self::try_next_sent`]: they wait in
    /// the socket's receive memory, and [`wait`] returns for as long as there are any. Returns how
    /// datagrams are timed from now on.
    pub fn stamp_sends(&mut self) -> Methods {
        if options::stamp_both(&self.socket) {
            let kernel = TimestampMethod::Kernel;
            self.methods = Methods { sent: kernel, received: kernel };
            *self.base_id.get_mut() = *self.next_id.get_mut();
        }
        self.methods
    }

    /// The address and port that are bound.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// How datagrams are timed.
    #[must_use]
    pub const fn methods(&self) -> Methods {
        self.methods
    }

    /// Sends now or not at all, marked with `tos`. Returns the number its transmit stamp will have,
    /// which usually can be collected at once.
    ///
    /// # Errors
    /// When the queue is full or the system cannot send there.
    pub fn try_send_to(&self, bytes: &[u8], to: SocketAddr, tos: u8) -> Result<u32, SocketError> {
        self.send(bytes, to, tos, None)
    }

    /// Sends an answer now or not at all, from the address that `request` was sent to. Returns the
    /// number its transmit stamp will have, if stamps were asked for.
    ///
    /// # Errors
    /// When the queue is full or the system cannot send there.
    pub fn try_reply(&self, bytes: &[u8], request: &Received, tos: u8) -> Result<u32, SocketError> {
        self.send(bytes, request.from, tos, request.to)
    }

    /// A datagram that is here already; `None` when there is none.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn try_recv(&self, buffer: &mut [u8]) -> Result<Option<Received>, SocketError> {
        none_if_blocking(self.receive(buffer))
    }

    /// A transmit stamp that is here already; `None` when there is none.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn try_next_sent(&self) -> Result<Option<Sent>, SocketError> {
        none_if_blocking(self.take_stamp())
    }

    fn send(
        &self,
        bytes: &[u8],
        to: SocketAddr,
        tos: u8,
        from: Option<IpAddr>,
    ) -> Result<u32, SocketError> {
        let mut control = SendControl::new(to, tos, from);
        let sent = self.send_message(bytes, to, control.needed(self.marked(tos), self.bound()));
        match sent {
            Ok(()) => Ok(self.next_id.fetch_add(1, Ordering::Relaxed)),
            Err(source) => {
                self.recount();
                Err(SocketError::Send { to, source })
            }
        }
    }

    fn send_message(&self, bytes: &[u8], to: SocketAddr, control: &mut [u8]) -> io::Result<()> {
        let (mut name, name_len) = RawAddress::new(to);
        let mut iov =
            libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        // SAFETY: all fields are integers and pointers, for which zero is a value; some systems have
        // private padding that cannot be named.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_name = name.as_mut_ptr();
        header.msg_namelen = name_len;
        header.msg_iov = &raw mut iov;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = control.len() as _;
        retry_interrupted(|| {
            // SAFETY: the descriptor is open as long as the socket lives; the header points to an
            // address, one slice of octets and control messages that all outlive the call, each with
            // its length, and the kernel only reads them.
            unsafe { libc::sendmsg(self.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) }
        })
        .map(|_| ())
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut name = RawAddress::EMPTY;
        let mut control = ControlBuffer::<RECEIVE_OCTETS>::EMPTY;
        let message = self.receive_message(&mut name, buffer, &mut control, libc::MSG_DONTWAIT)?;
        let from = name.read().ok_or_else(|| io::Error::other("a datagram without a sender"))?;
        let control = control.0.get(..message.control_len).unwrap_or_default();
        let (len, flags) = (message.len, message.flags);
        Ok(read_received(&Envelope { from, to: self.only_address(), len, flags, control }))
    }

    /// The next transmit stamp. What else is queued there (nothing that was asked for) is dropped.
    fn take_stamp(&self) -> io::Result<Sent> {
        if self.kept_len.load(Ordering::Relaxed) > 0 {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sent) = kept.pop_front() {
                self.kept_len.store(kept.len(), Ordering::Relaxed);
                return Ok(sent);
            }
        }
        if !self.has_transmit_stamps() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_ERRQUEUE;
        loop {
            let (mut name, mut control) = (RawAddress::EMPTY, ControlBuffer::EMPTY);
            let message = self.receive_message(&mut name, &mut [], &mut control, flags)?;
            let control = control.0.get(..message.control_len).unwrap_or_default();
            if let Some(sent) = read_sent(control) {
                return Ok(self.numbered(sent));
            }
        }
    }

    fn receive_message(
        &self,
        name: &mut RawAddress,
        buffer: &mut [u8],
        control: &mut ControlBuffer<RECEIVE_OCTETS>,
        flags: libc::c_int,
    ) -> io::Result<Message> {
        let mut iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: as in `send_message`.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_name = name.as_mut_ptr();
        header.msg_namelen = RawAddress::CAPACITY;
        header.msg_iov = &raw mut iov;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = RECEIVE_OCTETS as _;
        let len = retry_interrupted(|| {
            // SAFETY: the descriptor is open as long as the socket lives; the header points to an
            // address, one slice of octets and control messages that all outlive the call and are
            // borrowed mutably, each with its capacity, beyond which the kernel does not write.
            unsafe { libc::recvmsg(self.as_raw_fd(), &raw mut header, flags) }
        })?;
        let control_len = header.msg_controllen as _;
        Ok(Message { len, flags: header.msg_flags, control_len })
    }

    /// After a failed send it depends on the kernel's version whether it counted the datagram: makes
    /// it count anew, after what it counted so far was taken.
    fn recount(&self) {
        if !self.has_transmit_stamps() {
            return;
        }
        let mut taken = VecDeque::new();
        while taken.len() < MAX_KEPT_STAMPS {
            let Ok(sent) = self.take_stamp() else { break };
            taken.push_back(sent);
        }
        // When even that is refused the stamps are strays, which engines tell by their time.
        if options::restart_count(&self.socket) {
            self.base_id.store(self.next_id.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        if !taken.is_empty() {
            self.kept_len.store(taken.len(), Ordering::Relaxed);
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = taken;
        }
    }

    /// A stamp with our number instead of the kernel's.
    fn numbered(&self, sent: Sent) -> Sent {
        let base = self.base_id.load(Ordering::Relaxed);
        Sent { id: base.wrapping_add(sent.id), ..sent }
    }

    fn has_transmit_stamps(&self) -> bool {
        self.methods.sent != TimestampMethod::User
    }

    const fn marked(&self, tos: u8) -> Marked {
        if tos == self.tos { Marked::BySocket } else { Marked::ByMessage }
    }

    const fn bound(&self) -> Bound {
        if self.local.ip().is_unspecified() { Bound::ToAny } else { Bound::ToOne }
    }

    /// The local address, if there is only one that datagrams can be sent to.
    const fn only_address(&self) -> Option<IpAddr> {
        match self.bound() {
            Bound::ToOne => Some(self.local.ip()),
            Bound::ToAny => None,
        }
    }
}

impl AsFd for ProbeSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for ProbeSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// What one call received.
struct Message {
    len: usize,
    flags: libc::c_int,
    control_len: usize,
}

fn none_if_blocking<T>(result: io::Result<T>) -> Result<Option<T>, SocketError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(SocketError::Receive(error)),
    }
}

/// Repeats a call that only a signal ended. Returns what it counted.
fn retry_interrupted(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        if let Ok(count) = usize::try_from(call()) {
            return Ok(count);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
