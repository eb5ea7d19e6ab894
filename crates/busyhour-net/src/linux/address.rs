//! Socket addresses as the kernel lays them out.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use nix::libc;

/// The size of `sockaddr_in6`, the longer of the two.
const OCTETS: usize = 28;
const V4_OCTETS: usize = 16;

/// A `sockaddr_in` or `sockaddr_in6`, written and read octet by octet: ports and IPv4 addresses in
/// network order, the family and an IPv6 scope in the machine's.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(4))]
pub(super) struct RawAddress([u8; OCTETS]);

impl RawAddress {
    pub(super) const EMPTY: Self = Self([0; OCTETS]);
    /// Room for either family.
    pub(super) const CAPACITY: libc::socklen_t = OCTETS as libc::socklen_t;

    /// The address and how many of its octets count.
    pub(super) fn new(address: SocketAddr) -> (Self, libc::socklen_t) {
        let mut raw = Self::EMPTY;
        let bytes = &mut raw.0;
        bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => {
                bytes[..2].copy_from_slice(&family(libc::AF_INET));
                bytes[4..8].copy_from_slice(&v4.ip().octets());
                (raw, V4_OCTETS as libc::socklen_t)
            }
            SocketAddr::V6(v6) => {
                bytes[..2].copy_from_slice(&family(libc::AF_INET6));
                bytes[4..8].copy_from_slice(&v6.flowinfo().to_be_bytes());
                bytes[8..24].copy_from_slice(&v6.ip().octets());
                bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                (raw, Self::CAPACITY)
            }
        }
    }

    /// The address; `None` when it is of no IP family.
    pub(super) fn read(&self) -> Option<SocketAddr> {
        let bytes = &self.0;
        let port = u16::from_be_bytes([bytes[2], bytes[3]]);
        let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let found = [bytes[0], bytes[1]];
        if found == family(libc::AF_INET) {
            return Some(SocketAddrV4::new(Ipv4Addr::from(word(4)), port).into());
        }
        if found != family(libc::AF_INET6) {
            return None;
        }
        let mut octets = [0; 16];
        octets.copy_from_slice(&bytes[8..24]);
        let (flow, scope) = (u32::from_be_bytes(word(4)), u32::from_ne_bytes(word(24)));
        Some(SocketAddrV6::new(Ipv6Addr::from(octets), port, flow, scope).into())
    }

    pub(super) const fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.0.as_mut_ptr().cast()
    }
}

const fn family(family: libc::c_int) -> [u8; 2] {
    (family as libc::sa_family_t).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_laid_out_as_the_system_lays_it_out() {
        for text in ["192.0.2.7:862", "[2001:db8::7]:50000", "[fe80::1%3]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            let (raw, len) = RawAddress::new(address);
            let system = socket2::SockAddr::from(address);
            assert_eq!(len, system.len());
            // SAFETY: the system's form is initialised for as many octets as it says.
            let expected = unsafe {
                std::slice::from_raw_parts(system.as_ptr().cast::<u8>(), system.len() as usize)
            };
            assert_eq!(&raw.0[..len as usize], expected, "{text}");
            assert_eq!(raw.read(), Some(address));
        }
        assert_eq!(RawAddress::EMPTY.read(), None);
    }
}
