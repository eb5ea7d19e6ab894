//! UDP datagrams out of pcap and pcapng files.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};

/// A block must fit: 256 KiB is the largest that the usual tools write, a jumbo frame far less.
const BUFFER: usize = 1 << 20;
/// Interfaces of a pcapng file that are known; of more no datagrams are read.
const MAX_INTERFACES: usize = 1_024;
const NANOS: u64 = 1_000_000_000;

/// Where and when a datagram was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// The frame's number in the file, from 1.
    pub(super) number: u64,
    /// Nanoseconds of Unix time, where the file tells.
    pub(super) at_ns: Option<u64>,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
}

impl Frame {
    /// When, in UTC.
    pub(super) fn time(&self) -> String {
        self.at_ns
            .and_then(|ns| jiff::Timestamp::from_nanosecond(i128::from(ns)).ok())
            .map_or_else(|| "-".to_owned(), |at| at.to_string())
    }
}

/// One frame of a file.
#[derive(Debug)]
pub(super) enum Captured<'a> {
    /// A whole UDP datagram.
    Datagram(Frame, &'a [u8]),
    /// Another protocol, a fragment, cut off, or a link that is not known here.
    Other,
}

/// How an interface's frames are to be read.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link: Linktype,
    ticks_per_second: u64,
    offset_s: i64,
}

/// Reads a file from its beginning to its end and hands out each frame.
pub(super) fn read(
    file: impl Read + Send,
    mut each: impl FnMut(Captured<'_>),
) -> anyhow::Result<()> {
    let mut reader = create_reader(BUFFER, file).map_err(describe)?;
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut number = 0;
    loop {
        match reader.next() {
            Ok((used, block)) => {
                if let Some((interface, ticks, data)) = frame(&block, &mut interfaces) {
                    number += 1;
                    let at_ns = interface.and_then(|interface| nanos(&interface, ticks));
                    let found = interface.and_then(|interface| datagram(interface.link, data));
                    each(match found {
                        Some((from, to, payload)) => {
                            Captured::Datagram(Frame { number, at_ns, from, to }, payload)
                        }
                        None => Captured::Other,
                    });
                }
                reader.consume(used);
            }
            Err(PcapError::Eof) => return Ok(()),
            Err(PcapError::Incomplete(_)) => {
                if reader.reader_exhausted() || reader.refill().is_err() {
                    return Err(cut(number));
                }
            }
            Err(PcapError::UnexpectedEof) => return Err(cut(number)),
            Err(error) => return Err(describe(error)),
        }
    }
}

fn cut(frames: u64) -> anyhow::Error {
    anyhow::anyhow!("the capture ends within frame {}", frames + 1)
}

fn describe(error: PcapError<&[u8]>) -> anyhow::Error {
    match error {
        PcapError::Eof => anyhow::anyhow!("the file is empty"),
        PcapError::HeaderNotRecognized | PcapError::Incomplete(_) => {
            anyhow::anyhow!("it is neither pcap nor pcapng")
        }
        other => anyhow::anyhow!("it is damaged: {other}"),
    }
}

type Found<'a> = (Option<Interface>, u64, &'a [u8]);

/// The frame in a block, with its time in ticks of its interface; other blocks are remembered or
/// passed over.
fn frame<'a>(block: &PcapBlockOwned<'a>, interfaces: &mut Vec<Interface>) -> Option<Found<'a>> {
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            let ticks_per_second = if header.is_nanosecond_precision() { NANOS } else { 1_000_000 };
            interfaces.push(Interface { link: header.network, ticks_per_second, offset_s: 0 });
            None
        }
        PcapBlockOwned::Legacy(packet) => {
            let interface = interfaces.first().copied();
            let second = interface.map_or(0, |interface| interface.ticks_per_second);
            let ticks = u64::from(packet.ts_sec) * second + u64::from(packet.ts_usec);
            Some((interface, ticks, packet.data))
        }
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            interfaces.clear();
            None
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(described)) => {
            if interfaces.len() < MAX_INTERFACES {
                interfaces.push(Interface {
                    link: described.linktype,
                    ticks_per_second: described.ts_resolution().unwrap_or(0),
                    offset_s: described.ts_offset(),
                });
            }
            None
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
            let interface = interfaces.get(packet.if_id as usize).copied();
            let data = packet.data.get(..packet.caplen as usize).unwrap_or(packet.data);
            let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
            Some((interface, ticks, data))
        }
        PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
            let interface =
                interfaces.first().map(|&first| Interface { ticks_per_second: 0, ..first });
            Some((interface, 0, packet.data))
        }
        PcapBlockOwned::NG(_) => None,
    }
}

fn nanos(interface: &Interface, ticks: u64) -> Option<u64> {
    let per_second = interface.ticks_per_second;
    let seconds = ticks.checked_div(per_second)?.checked_add_signed(interface.offset_s)?;
    let rest = u128::from(ticks % per_second) * u128::from(NANOS) / u128::from(per_second);
    seconds.checked_mul(NANOS)?.checked_add(u64::try_from(rest).ok()?)
}

fn datagram(link: Linktype, frame: &[u8]) -> Option<(SocketAddr, SocketAddr, &[u8])> {
    /// The family in front of a loopback frame; IP tells its own version.
    const NULL_HEADER: usize = 4;
    const SLL2_HEADER: usize = 20;
    const SLL2: Linktype = Linktype(276);
    let sliced = match link {
        Linktype::ETHERNET => SlicedPacket::from_ethernet(frame),
        Linktype::LINUX_SLL => SlicedPacket::from_linux_sll(frame),
        Linktype::NULL | Linktype::LOOP => SlicedPacket::from_ip(frame.get(NULL_HEADER..)?),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 => SlicedPacket::from_ip(frame),
        SLL2 => SlicedPacket::from_ip(frame.get(SLL2_HEADER..)?),
        _ => return None,
    };
    let sliced = sliced.ok()?;
    if sliced.is_ip_payload_fragmented() {
        return None;
    }
    let (from, to): (IpAddr, IpAddr) = match sliced.net? {
        NetSlice::Ipv4(ip) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        NetSlice::Ipv6(ip) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        NetSlice::Arp(_) => return None,
    };
    let Some(TransportSlice::Udp(udp)) = sliced.transport else { return None };
    let from = SocketAddr::new(from, udp.source_port());
    let to = SocketAddr::new(to, udp.destination_port());
    Some((from, to, udp.payload()))
}
