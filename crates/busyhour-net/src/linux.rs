//! The Linux probe socket.

mod message;

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicU32, Ordering};

use busyhour_model::{Dscp, TimestampMethod};
use nix::errno::Errno;
use nix::sys::socket::sockopt::{
    IpRecvTos, Ipv4PacketInfo, Ipv4RecvTtl, Ipv6RecvHopLimit, Ipv6RecvPacketInfo, Ipv6RecvTClass,
    RxqOvfl, Timestamping,
};
use nix::sys::socket::{
    ControlMessage, MsgFlags, SetSockOpt, SockaddrStorage, TimestampingFlag, recvmsg, sendmsg,
    setsockopt,
};
use socket2::Socket;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::{Methods, Received, Sent, SocketError, ports};
use message::{control_buffer, packet_info, read_received, read_sent};

/// The receive queue asked for: at 800 bytes of kernel memory a datagram, more than a thousand, which
/// is 20 s of one session or 20 ms of a thousand. The system may grant less.
const RECEIVE_QUEUE_BYTES: usize = 1 << 20;

/// A UDP socket that marks what it sends, tells the marking of what it receives, and has both timed
/// by the kernel. One task sends; receiving and collecting stamps may be done by others.
#[derive(Debug)]
pub struct ProbeSocket {
    socket: AsyncFd<Socket>,
    local: SocketAddr,
    tos: u8,
    methods: Methods,
    /// Our number for the next datagram, and the one at which the kernel's count began.
    next_id: AtomicU32,
    base_id: AtomicU32,
}

impl ProbeSocket {
    /// Opens a sender's socket at `local`, on the first free of `ports` or, when none is, on any port;
    /// [`Self::local_addr`] tells. Datagrams are marked `dscp`, and their transmit stamps must be
    /// collected with [`Self::next_sent`].
    ///
    /// # Errors
    /// When the address cannot be bound or an option that every Linux has is refused.
    ///
    /// # Panics
    /// Outside a tokio runtime with its I/O driver.
    pub fn bind(
        local: IpAddr,
        ports: RangeInclusive<u16>,
        dscp: Dscp,
    ) -> Result<Self, SocketError> {
        let socket = ports::open_on_first_free(local, ports)?;
        Self::new(socket, dscp, true)
    }

    /// Opens a reflector's socket at exactly `local` (port 0 for any). Each answer brings its own
    /// marking, and there are no transmit stamps.
    ///
    /// # Errors
    /// When the address cannot be bound or an option that every Linux has is refused.
    ///
    /// # Panics
    /// Outside a tokio runtime with its I/O driver.
    pub fn bind_reflector(local: SocketAddr) -> Result<Self, SocketError> {
        Self::new(ports::open_at(local)?, Dscp::from_tos(0), false)
    }

    fn new(socket: Socket, dscp: Dscp, stamp_sent: bool) -> Result<Self, SocketError> {
        let local = ports::local_addr(&socket)?;
        let tos = dscp.to_tos();
        receive_metadata(&socket, local, tos)?;
        let methods = stamp(&socket, stamp_sent);
        let interest = Interest::READABLE | Interest::ERROR;
        // SAFETY: the socket is moved into the `AsyncFd`, which never gives it out again, so its one
        // file descriptor stays open for as long as it is registered.
        let socket = unsafe { AsyncFd::register_with_interest(socket, interest) }
            .map_err(|error| SocketError::Open(error.into()))?;
        let (next_id, base_id) = (AtomicU32::new(0), AtomicU32::new(0));
        Ok(Self { socket, local, tos, methods, next_id, base_id })
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

    /// Sends now or not at all, marked with `tos`. Returns the number its transmit stamp will have.
    ///
    /// # Errors
    /// When the queue is full or the system cannot send there.
    pub fn try_send_to(&self, bytes: &[u8], to: SocketAddr, tos: u8) -> Result<u32, SocketError> {
        self.send(bytes, to, tos, None)
    }

    /// Sends an answer now or not at all, from the address that `request` was sent to.
    ///
    /// # Errors
    /// When the queue is full or the system cannot send there.
    pub fn try_reply(&self, bytes: &[u8], request: &Received, tos: u8) -> Result<(), SocketError> {
        self.send(bytes, request.from, tos, request.to).map(|_| ())
    }

    /// Waits for a datagram. Safe to cancel.
    ///
    /// # Errors
    /// When the socket is broken.
    pub async fn recv(&self, buffer: &mut [u8]) -> Result<Received, SocketError> {
        self.socket
            .async_io(Interest::READABLE, |socket| receive(socket, buffer))
            .await
            .map_err(SocketError::Receive)
    }

    /// A datagram that is here already; `None` when there is none.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn try_recv(&self, buffer: &mut [u8]) -> Result<Option<Received>, SocketError> {
        match receive(self.socket.get_ref(), buffer) {
            Ok(received) => Ok(Some(received)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(SocketError::Receive(error)),
        }
    }

    /// Waits for a transmit stamp. Safe to cancel. Waits for ever on a socket without them.
    ///
    /// # Errors
    /// When the socket is broken.
    pub async fn next_sent(&self) -> Result<Sent, SocketError> {
        let stamp = self
            .socket
            .async_io(Interest::ERROR, |socket| {
                loop {
                    // What else is queued there (nothing that was asked for) is dropped.
                    if let Some(stamp) = take_stamp(socket)? {
                        return Ok(stamp);
                    }
                }
            })
            .await
            .map_err(SocketError::Receive)?;
        let base = self.base_id.load(Ordering::Relaxed);
        Ok(Sent { id: base.wrapping_add(stamp.id), ..stamp })
    }

    fn send(
        &self,
        bytes: &[u8],
        to: SocketAddr,
        tos: u8,
        from: Option<IpAddr>,
    ) -> Result<u32, SocketError> {
        let class = i32::from(tos);
        let marking = match to {
            SocketAddr::V4(_) => ControlMessage::Ipv4Tos(&tos),
            SocketAddr::V6(_) => ControlMessage::Ipv6TClass(&class),
        };
        let info = from.map(packet_info);
        let mut control = [marking; 2];
        let mut used = usize::from(tos != self.tos);
        if let Some(info) = &info {
            control[used] = info.as_control_message();
            used += 1;
        }
        let iov = [IoSlice::new(bytes)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let address = SockaddrStorage::from(to);
        let fd = self.socket.get_ref().as_raw_fd();
        match sendmsg(fd, &iov, &control[..used], flags, Some(&address)) {
            Ok(_) => Ok(self.next_id.fetch_add(1, Ordering::Relaxed)),
            Err(errno) => {
                self.recount();
                Err(SocketError::Send { to, source: errno.into() })
            }
        }
    }

    /// After a failed send it depends on the kernel's version whether it counted the datagram: makes
    /// it count anew.
    fn recount(&self) {
        if self.methods.sent == TimestampMethod::User {
            return;
        }
        let socket = self.socket.get_ref();
        let flags = stamping_flags(true);
        let without = flags - TimestampingFlag::SOF_TIMESTAMPING_OPT_ID;
        let again = setsockopt(socket, Timestamping, &without)
            .and_then(|()| setsockopt(socket, Timestamping, &flags));
        // When even that is refused the stamps are strays, which engines tell by their time.
        if again.is_ok() {
            self.base_id.store(self.next_id.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// Sets the default marking and asks for the marking, time to live, destination and drops.
fn receive_metadata(socket: &Socket, local: SocketAddr, tos: u8) -> Result<(), SocketError> {
    let refused = |option: &'static str| {
        move |errno: Errno| SocketError::Option { option, source: errno.into() }
    };
    let marking = |source| SocketError::Option { option: "the marking", source };
    if local.is_ipv4() {
        socket.set_tos_v4(u32::from(tos)).map_err(marking)?;
        set(socket, IpRecvTos, true).map_err(refused("IP_RECVTOS"))?;
        set(socket, Ipv4RecvTtl, true).map_err(refused("IP_RECVTTL"))?;
        set(socket, Ipv4PacketInfo, true).map_err(refused("IP_PKTINFO"))?;
    } else {
        socket.set_tclass_v6(u32::from(tos)).map_err(marking)?;
        set(socket, Ipv6RecvTClass, true).map_err(refused("IPV6_RECVTCLASS"))?;
        set(socket, Ipv6RecvHopLimit, true).map_err(refused("IPV6_RECVHOPLIMIT"))?;
        set(socket, Ipv6RecvPacketInfo, true).map_err(refused("IPV6_RECVPKTINFO"))?;
    }
    setsockopt(socket, RxqOvfl, &1).map_err(refused("SO_RXQ_OVFL"))?;
    // Less than asked for is no reason to give up; drops are counted.
    let _ = socket.set_recv_buffer_size(RECEIVE_QUEUE_BYTES);
    Ok(())
}

fn set<O: SetSockOpt<Val = bool>>(socket: &Socket, option: O, value: bool) -> Result<(), Errno> {
    setsockopt(socket, option, &value)
}

/// Asks the kernel for stamps: both, else on receiving only, else none.
fn stamp(socket: &Socket, stamp_sent: bool) -> Methods {
    let (user, kernel) = (TimestampMethod::User, TimestampMethod::Kernel);
    if stamp_sent && setsockopt(socket, Timestamping, &stamping_flags(true)).is_ok() {
        return Methods { sent: kernel, received: kernel };
    }
    let received = match setsockopt(socket, Timestamping, &stamping_flags(false)) {
        Ok(()) => kernel,
        Err(_) => user,
    };
    Methods { sent: user, received }
}

fn stamping_flags(stamp_sent: bool) -> TimestampingFlag {
    let received = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE;
    if !stamp_sent {
        return received;
    }
    received
        | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_ID
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY
}

fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<Received> {
    let mut iov = [IoSliceMut::new(buffer)];
    let mut control = control_buffer();
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut iov,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    )?;
    read_received(&message)
}

/// The next entry of the error queue; `None` when it is no transmit stamp.
fn take_stamp(socket: &Socket) -> io::Result<Option<Sent>> {
    let mut control = control_buffer();
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut [],
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_ERRQUEUE,
    )?;
    read_sent(&message)
}
