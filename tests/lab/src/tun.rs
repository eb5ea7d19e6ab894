//! A network device whose other side is a file.

#![expect(unsafe_code, reason = "attaching a TUN device is an ioctl that no safe crate here wraps")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;

use crate::Namespace;

/// Opens a TUN device `name` in a namespace: what the namespace sends through the device can be read,
/// one IP packet each time, and what is written arrives there. Reading never blocks. The device goes
/// when the file is closed.
///
/// # Errors
/// When the system refuses it, such as without root.
pub(crate) fn open(namespace: &Namespace, name: &str) -> io::Result<File> {
    namespace.inside(|| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
        let file = options.open("/dev/net/tun")?;
        attach(&file, name)?;
        Ok(file)
    })
}

fn attach(file: &File, name: &str) -> io::Result<()> {
    // SAFETY: an ifreq is plain data, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let octets = name.bytes().take(request.ifr_name.len() - 1);
    for (to, from) in request.ifr_name.iter_mut().zip(octets) {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI;
    request.ifr_ifru.ifru_flags = i16::try_from(flags).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open, and the kernel reads and writes one ifreq, which outlives the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Asks that the calling thread runs before all ordinary ones, so that a busy machine does not delay
/// the wire; true when the system allows it.
pub(crate) fn run_first() -> bool {
    let parameters = libc::sched_param { sched_priority: 10 };
    // SAFETY: the parameters outlive the call; 0 is the calling thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) == 0 }
}
