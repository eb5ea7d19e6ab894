//! Datagrams in batches, by nothing but the system's calls: what the bare loops are made of, and
//! what loads them.

#![allow(unsafe_code, reason = "bare loops make the system's calls themselves")]

use std::mem::zeroed;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd as _, RawFd};

/// Datagrams in a batch.
pub(crate) const SIZE: usize = 32;
/// Octets of a datagram.
pub(crate) const OCTETS: usize = 2048;
/// Octets of control messages.
const CONTROL: usize = 256;

/// What came with a datagram.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ancillary {
    /// Nanoseconds of Unix time.
    pub(crate) at_ns: i64,
    /// The TOS octet.
    pub(crate) tos: u8,
    /// The time to live.
    pub(crate) ttl: u8,
    /// Drops of the socket's queue.
    pub(crate) drops: u32,
}

/// Room for a batch.
pub(crate) struct Batch {
    pub(crate) octets: Vec<[u8; OCTETS]>,
    names: Vec<libc::sockaddr_in>,
    controls: Vec<[u64; CONTROL / 8]>,
    iovs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        // SAFETY: these are integers and pointers, for which zero is a value.
        let (name, header, iov) = unsafe { (zeroed(), zeroed(), zeroed()) };
        Self {
            octets: vec![[0; OCTETS]; SIZE],
            names: vec![name; SIZE],
            controls: vec![[0; CONTROL / 8]; SIZE],
            iovs: vec![iov; SIZE],
            headers: vec![header; SIZE],
        }
    }

    /// Points the first `count` headers at their parts.
    fn point(&mut self, count: usize, name: bool, control: usize, len: impl Fn(usize) -> usize) {
        for at in 0..count {
            self.iovs[at].iov_base = self.octets[at].as_mut_ptr().cast();
            self.iovs[at].iov_len = len(at);
            let header = &mut self.headers[at].msg_hdr;
            header.msg_name =
                if name { (&raw mut self.names[at]).cast() } else { std::ptr::null_mut() };
            header.msg_namelen = if name { size_of::<libc::sockaddr_in>() as u32 } else { 0 };
            header.msg_iov = &raw mut self.iovs[at];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[at].as_mut_ptr().cast();
            header.msg_controllen = control;
            header.msg_flags = 0;
        }
    }

    /// Receives what is there; waits for the first when `wait`. How many came.
    pub(crate) fn receive(&mut self, socket: RawFd, wait: bool) -> usize {
        self.point(SIZE, true, CONTROL, |_| OCTETS);
        let flags = if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        // SAFETY: all headers point to parts of this value, each with its length.
        let received = unsafe {
            let none = std::ptr::null_mut();
            libc::recvmmsg(socket, self.headers.as_mut_ptr(), SIZE as u32, flags, none)
        };
        usize::try_from(received).unwrap_or(0)
    }

    /// The length of a received datagram.
    pub(crate) fn len(&self, at: usize) -> usize {
        self.headers[at].msg_len as usize
    }

    /// What came with it.
    pub(crate) fn ancillary(&self, at: usize) -> Ancillary {
        ancillary(&self.headers[at].msg_hdr)
    }

    /// Sends the first `count` datagrams back where they came from, each marked.
    pub(crate) fn answer(
        &mut self,
        socket: RawFd,
        count: usize,
        lens: &[usize],
        tos: &[u8],
    ) -> usize {
        // SAFETY: a control message with one octet fits the room by far.
        let space = unsafe { libc::CMSG_SPACE(1) } as usize;
        self.point(count, true, space, |at| lens[at]);
        for (header, &mark) in self.headers.iter().zip(tos).take(count) {
            // SAFETY: the header points to room for one control message.
            unsafe {
                let control = libc::CMSG_FIRSTHDR(&raw const header.msg_hdr);
                (*control).cmsg_level = libc::IPPROTO_IP;
                (*control).cmsg_type = libc::IP_TOS;
                (*control).cmsg_len = libc::CMSG_LEN(1) as usize;
                *libc::CMSG_DATA(control) = mark;
            }
        }
        self.send_headers(socket, count)
    }

    /// Sends the first `count` datagrams to whom the socket is connected.
    pub(crate) fn send(&mut self, socket: RawFd, count: usize, len: usize) -> usize {
        self.point(count, false, 0, |_| len);
        self.send_headers(socket, count)
    }

    fn send_headers(&mut self, socket: RawFd, count: usize) -> usize {
        // SAFETY: the first `count` headers point to parts of this value.
        let sent = unsafe { libc::sendmmsg(socket, self.headers.as_mut_ptr(), count as u32, 0) };
        usize::try_from(sent).unwrap_or(0)
    }

    /// Takes what waits on the error queue: transmit stamps.
    pub(crate) fn drain_errors(&mut self, socket: RawFd) -> usize {
        let mut taken = 0;
        loop {
            self.point(SIZE, false, CONTROL, |_| 0);
            let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
            // SAFETY: as in `receive`.
            let received = unsafe {
                let none = std::ptr::null_mut();
                libc::recvmmsg(socket, self.headers.as_mut_ptr(), SIZE as u32, flags, none)
            };
            let Ok(count) = usize::try_from(received) else { return taken };
            for at in 0..count {
                std::hint::black_box(self.ancillary(at).at_ns);
            }
            taken += count;
            if count < SIZE {
                return taken;
            }
        }
    }
}

/// Reads the control messages of a received datagram.
pub(crate) fn ancillary(header: &libc::msghdr) -> Ancillary {
    let mut found = Ancillary::default();
    // SAFETY: the header was filled by the kernel; its control messages lie in its own buffer, and
    // each is read as what its type says it holds.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while let Some(message) = control.as_ref() {
            let data = libc::CMSG_DATA(message);
            match (message.cmsg_level, message.cmsg_type) {
                (libc::SOL_SOCKET, libc::SO_TIMESTAMPING) => {
                    let stamp: libc::timespec = std::ptr::read_unaligned(data.cast());
                    found.at_ns = stamp.tv_sec * 1_000_000_000 + stamp.tv_nsec;
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    found.drops = std::ptr::read_unaligned(data.cast());
                }
                (libc::IPPROTO_IP, libc::IP_TOS) => found.tos = *data,
                (libc::IPPROTO_IP, libc::IP_TTL) => {
                    found.ttl = std::ptr::read_unaligned(data.cast::<i32>()) as u8;
                }
                _ => {}
            }
            control = libc::CMSG_NXTHDR(header, message);
        }
    }
    found
}

fn set(socket: RawFd, level: i32, option: i32, value: i32) {
    // SAFETY: the value outlives the call, and its length is given.
    let failed = unsafe {
        libc::setsockopt(socket, level, option, (&raw const value).cast(), size_of::<i32>() as u32)
    };
    assert_eq!(failed, 0, "option {option} of level {level}");
}

/// A socket on loopback with the metadata that ours asks for.
pub(crate) fn socket(stamp_sent: bool) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let fd = socket.as_raw_fd();
    set(fd, libc::IPPROTO_IP, libc::IP_RECVTOS, 1);
    set(fd, libc::IPPROTO_IP, libc::IP_RECVTTL, 1);
    set(fd, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1);
    set(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, 4 << 20);
    let mut flags = libc::SOF_TIMESTAMPING_SOFTWARE | libc::SOF_TIMESTAMPING_RX_SOFTWARE;
    if stamp_sent {
        flags |= libc::SOF_TIMESTAMPING_TX_SOFTWARE
            | libc::SOF_TIMESTAMPING_OPT_ID
            | libc::SOF_TIMESTAMPING_OPT_TSONLY;
    }
    set(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, flags as i32);
    socket
}

/// Marks everything that a socket sends.
pub(crate) fn mark(socket: &UdpSocket, tos: u8) {
    set(socket.as_raw_fd(), libc::IPPROTO_IP, libc::IP_TOS, i32::from(tos));
}

/// Waits for the socket until `nanos` from now. True when something came (transmit stamps, too).
pub(crate) fn wait(socket: RawFd, nanos: u64) -> bool {
    let mut poll = libc::pollfd { fd: socket, events: libc::POLLIN, revents: 0 };
    let until = libc::timespec {
        tv_sec: (nanos / 1_000_000_000) as i64,
        tv_nsec: (nanos % 1_000_000_000) as i64,
    };
    // SAFETY: one descriptor, and a time that outlives the call.
    unsafe { libc::ppoll(&raw mut poll, 1, &raw const until, std::ptr::null()) > 0 }
}

/// Sends one datagram.
pub(crate) fn send_one(socket: RawFd, octets: &[u8], to: SocketAddrV4) {
    let name = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: to.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(to.ip().octets()) },
        sin_zero: [0; 8],
    };
    let mut iov =
        libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
    // SAFETY: zero is a value of every field; the address and the octets outlive the call.
    unsafe {
        let mut header: libc::msghdr = zeroed();
        header.msg_name = (&raw const name).cast_mut().cast();
        header.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
        header.msg_iov = &raw mut iov;
        header.msg_iovlen = 1;
        libc::sendmsg(socket, &raw const header, libc::MSG_DONTWAIT);
    }
}

/// Receives one datagram, or one transmit stamp, if there is any.
pub(crate) fn receive_one(
    socket: RawFd,
    octets: &mut [u8],
    flags: i32,
) -> Option<(usize, Ancillary)> {
    let mut control = [0_u64; CONTROL / 8];
    // SAFETY: zero is a value of every field; all parts outlive the call, each with its length.
    unsafe {
        let mut name: libc::sockaddr_in = zeroed();
        let mut iov = libc::iovec { iov_base: octets.as_mut_ptr().cast(), iov_len: octets.len() };
        let mut header: libc::msghdr = zeroed();
        header.msg_name = (&raw mut name).cast();
        header.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
        header.msg_iov = &raw mut iov;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = CONTROL;
        let received = libc::recvmsg(socket, &raw mut header, flags | libc::MSG_DONTWAIT);
        let len = usize::try_from(received).ok()?;
        Some((len, ancillary(&header)))
    }
}
