//! What the wire reads of a packet that it carries. Read here by hand, and not by the product's own
//! codec, so that the two can disagree.

use crate::Direction;

/// The port of reflectors.
const PORT: u16 = 862;
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;

/// The numbers in a test packet (RFC 8762 sections 4.2 and 4.3, RFC 8972 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProbePacket {
    pub(crate) direction: Direction,
    pub(crate) ssid: u16,
    /// The packet's own number.
    pub(crate) sequence: u32,
    /// The request's number: in a reply the one that is answered.
    pub(crate) request: u32,
}

impl ProbePacket {
    /// Reads an IP packet; `None` when it is no test packet.
    pub(crate) fn read(packet: &[u8]) -> Option<Self> {
        let (protocol, header) = match packet.first()? >> 4 {
            4 => (*packet.get(9)?, usize::from(packet.first()? & 15) * 4),
            6 => (*packet.get(6)?, 40),
            _ => return None,
        };
        let udp = packet.get(header..)?;
        let (from, to) = (u16_at(udp, 0)?, u16_at(udp, 2)?);
        let direction = match (protocol, from, to) {
            (UDP, _, PORT) => Direction::Up,
            (UDP, PORT, _) => Direction::Down,
            _ => return None,
        };
        let test = udp.get(UDP_HEADER..)?;
        // The time lies there in unauthenticated mode; in authenticated mode it must be zero.
        let authenticated = test.get(4..16)?.iter().all(|&octet| octet == 0);
        let (ssid, request) = if authenticated { (26, 48) } else { (14, 24) };
        let sequence = u32_at(test, 0)?;
        Some(Self {
            direction,
            ssid: u16_at(test, ssid)?,
            sequence,
            request: match direction {
                Direction::Up => sequence,
                Direction::Down => u32_at(test, request)?,
            },
        })
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(from: u16, to: u16, test: &[u8]) -> Vec<u8> {
        [&from.to_be_bytes()[..], &to.to_be_bytes(), &[0; 4], test].concat()
    }

    fn test_packet(ssid_at: usize, request_at: usize, time: u8) -> Vec<u8> {
        let mut test = vec![0; 112];
        test[3] = 7;
        test[5] = time;
        test[ssid_at + 1] = 42;
        test[request_at + 3] = 9;
        test
    }

    #[test]
    fn requests_and_replies_of_both_families_and_modes_are_read() {
        let v4 = |udp: &[u8]| [&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17][..], &[0; 10], udp].concat();
        let v6 = |udp: &[u8]| [&[0x60, 0, 0, 0, 0, 0, 17, 64][..], &[0; 32], udp].concat();
        let (open, authenticated) = (test_packet(14, 24, 1), test_packet(26, 48, 0));
        for test in [open, authenticated] {
            let request =
                ProbePacket { direction: Direction::Up, ssid: 42, sequence: 7, request: 7 };
            let reply = ProbePacket { direction: Direction::Down, request: 9, ..request };
            for ip in [v4, v6] as [fn(&[u8]) -> Vec<u8>; 2] {
                assert_eq!(ProbePacket::read(&ip(&udp(50_000, PORT, &test))), Some(request));
                assert_eq!(ProbePacket::read(&ip(&udp(PORT, 50_000, &test))), Some(reply));
                assert_eq!(ProbePacket::read(&ip(&udp(53, 53, &test))), None);
                for end in 0..70 {
                    let cut = &ip(&udp(50_000, PORT, &test))[..end.min(20 + 8 + 10)];
                    assert_eq!(ProbePacket::read(cut), None);
                }
            }
        }
    }
}
