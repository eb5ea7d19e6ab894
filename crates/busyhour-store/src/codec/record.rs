//! Checks, facts, loads and gaps, and the context that every record has.

use std::net::{IpAddr, SocketAddr};

use busyhour_model::{
    AddressFamily, Body, BootId, BootMicros, Check, Context, Fact, Gap, Link, LinkKind, Load,
    PathKey, ProfileName, Record, ScheduleRevision, Stamp, TargetName, TrafficClass, Transport,
    UtcMicros,
};
use ipnet::IpNet;

use super::{Decoded, Decoder, Encoder};
use crate::RecordKind;

const VERSION: u8 = 1;

impl RecordKind {
    /// The number of a kind in files; never to be changed.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Check => 1,
            Self::Fact => 2,
            Self::Load => 3,
            Self::Gap => 4,
        }
    }

    pub(crate) const fn of_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Check),
            2 => Some(Self::Fact),
            3 => Some(Self::Load),
            4 => Some(Self::Gap),
            _ => None,
        }
    }
}

pub(crate) fn encode_context(value: &Context) -> Vec<u8> {
    let mut out = Encoder::with_version(VERSION);
    put_context(&mut out, value);
    out.into_bytes()
}

pub(crate) fn decode_context(bytes: &[u8]) -> Decoded<Context> {
    let mut from = Decoder::of_version(bytes, VERSION, "context")?;
    let value = context(&mut from)?;
    from.finish(value)
}

/// Encodes a record that is neither a window nor a session report: all but its beginning, which is
/// in the key. `None` for those two.
pub(crate) fn encode_other(record: &Record) -> Option<(RecordKind, Vec<u8>)> {
    let mut out = Encoder::with_version(VERSION);
    out.uint(record.stamp.started_boot.0);
    out.fixed(&record.stamp.boot.to_bytes());
    out.uint(record.stamp.duration_us());
    out.uint(record.schedule.0);
    put_context(&mut out, &record.context);
    let kind = match &record.body {
        Body::Window(_) | Body::SessionReport(_) => return None,
        Body::Check(check) => {
            put_check(&mut out, check);
            RecordKind::Check
        }
        Body::Fact(fact) => {
            let started = record.stamp.started.0;
            out.text(&fact.kind);
            out.text(&fact.value);
            out.delta(fact.valid_from.0, started);
            out.option(fact.valid_until, |out, until| out.delta(until.0, started));
            RecordKind::Fact
        }
        Body::Load(load) => {
            put_load(&mut out, load);
            RecordKind::Load
        }
        Body::Gap(gap) => {
            out.text(gap.reason.as_str());
            out.option(gap.path.as_ref(), put_path);
            out.option(gap.records, Encoder::uint);
            RecordKind::Gap
        }
    };
    Some((kind, out.into_bytes()))
}

pub(crate) fn decode_other(bytes: &[u8], kind: RecordKind, started: UtcMicros) -> Decoded<Record> {
    let mut from = Decoder::of_version(bytes, VERSION, "record")?;
    let started_boot = BootMicros(from.uint()?);
    let boot = BootId::from_u128(u128::from_be_bytes(from.fixed()?));
    let duration_us = from.uint()?;
    let stamp = Stamp::new(started, started_boot, boot, duration_us).map_err(|_| from.error())?;
    let schedule = ScheduleRevision(from.uint()?);
    let context = context(&mut from)?;
    let body = match kind {
        RecordKind::Check => Body::Check(check(&mut from)?),
        RecordKind::Fact => Body::Fact(Fact {
            kind: from.text()?.to_owned(),
            value: from.text()?.to_owned(),
            valid_from: UtcMicros(from.delta(started.0)?),
            valid_until: from.option(|from| Ok(UtcMicros(from.delta(started.0)?)))?,
        }),
        RecordKind::Load => Body::Load(load(&mut from)?),
        RecordKind::Gap => Body::Gap(Gap {
            reason: from.word()?,
            path: from.option(path)?,
            records: from.option(Decoder::uint)?,
        }),
    };
    from.finish(Record { stamp, schedule, context, body })
}

fn put_check(out: &mut Encoder, check: &Check) {
    out.text(&check.kind);
    out.text(&check.subject);
    out.text(check.outcome.as_str());
    out.uint(check.timings_us.len() as u64);
    for (name, value) in &check.timings_us {
        out.text(name);
        out.uint(*value);
    }
    out.uint(check.evidence.len() as u64);
    for (name, value) in &check.evidence {
        out.text(name);
        out.text(value);
    }
}

fn check(from: &mut Decoder<'_>) -> Decoded<Check> {
    let (kind, subject) = (from.text()?.to_owned(), from.text()?.to_owned());
    let outcome = from.word()?;
    let mut timings_us = Vec::new();
    for _ in 0..from.length()? {
        timings_us.push((from.text()?.to_owned(), from.uint()?));
    }
    let mut evidence = Vec::new();
    for _ in 0..from.length()? {
        evidence.push((from.text()?.to_owned(), from.text()?.to_owned()));
    }
    Ok(Check { kind, subject, outcome, timings_us, evidence })
}

fn put_load(out: &mut Encoder, load: &Load) {
    out.text(&load.interface);
    out.uint(load.received_bytes);
    out.uint(load.sent_bytes);
    out.uint(load.received_packets);
    out.uint(load.sent_packets);
    out.option(load.link_bits_per_second, Encoder::uint);
}

fn load(from: &mut Decoder<'_>) -> Decoded<Load> {
    Ok(Load {
        interface: from.text()?.to_owned(),
        received_bytes: from.uint()?,
        sent_bytes: from.uint()?,
        received_packets: from.uint()?,
        sent_packets: from.uint()?,
        link_bits_per_second: from.option(Decoder::uint)?,
    })
}

fn put_path(out: &mut Encoder, path: &PathKey) {
    out.text(path.link.kind().as_str());
    out.text(path.link.interface());
    out.text(path.family.as_str());
    out.text(path.target.as_str());
    out.text(path.class.as_str());
    out.text(path.profile.as_str());
    out.text(path.transport.as_str());
}

fn path(from: &mut Decoder<'_>) -> Decoded<PathKey> {
    let kind: LinkKind = from.word()?;
    let link = Link::new(kind, from.text()?).map_err(|_| from.error())?;
    let family: AddressFamily = from.word()?;
    let target = TargetName::new(from.text()?).map_err(|_| from.error())?;
    let class: TrafficClass = from.word()?;
    let profile = ProfileName::new(from.text()?).map_err(|_| from.error())?;
    let transport: Transport = from.word()?;
    Ok(PathKey { link, family, target, class, profile, transport })
}

pub(super) fn put_context(out: &mut Encoder, context: &Context) {
    out.option(context.local_prefix, |out, prefix| {
        put_address(out, prefix.addr());
        out.byte(prefix.prefix_len());
    });
    out.option(context.resolved, |out, resolved| {
        put_address(out, resolved.ip());
        out.uint(resolved.port());
        if let SocketAddr::V6(v6) = resolved {
            out.uint(v6.flowinfo());
            out.uint(v6.scope_id());
        }
    });
    out.option(context.reflexive, put_address);
}

pub(super) fn context(from: &mut Decoder<'_>) -> Decoded<Context> {
    Ok(Context {
        local_prefix: from.option(|from| {
            let address = address(from)?;
            IpNet::new(address, from.byte()?).map_err(|_| from.error())
        })?,
        resolved: from.option(|from| {
            let (address, port) = (address(from)?, from.u16()?);
            Ok(match address {
                IpAddr::V4(_) => SocketAddr::new(address, port),
                IpAddr::V6(v6) => {
                    std::net::SocketAddrV6::new(v6, port, from.u32()?, from.u32()?).into()
                }
            })
        })?,
        reflexive: from.option(address)?,
    })
}

pub(super) fn put_address(out: &mut Encoder, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            out.byte(4);
            out.fixed(&v4.octets());
        }
        IpAddr::V6(v6) => {
            out.byte(6);
            out.fixed(&v6.octets());
        }
    }
}

pub(super) fn address(from: &mut Decoder<'_>) -> Decoded<IpAddr> {
    match from.byte()? {
        4 => Ok(IpAddr::from(from.fixed::<4>()?)),
        6 => Ok(IpAddr::from(from.fixed::<16>()?)),
        _ => Err(from.error()),
    }
}

/// An address and port as a key: without the scope and flow of IPv6, which differ by who says it.
pub(crate) fn encode_endpoint(endpoint: SocketAddr) -> Vec<u8> {
    let mut out = Encoder::default();
    put_address(&mut out, endpoint.ip().to_canonical());
    out.fixed(&endpoint.port().to_be_bytes());
    out.into_bytes()
}
