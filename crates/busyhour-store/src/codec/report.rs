//! Session reports.

use std::net::SocketAddr;

use busyhour_model::{SessionReport, SessionReportParts};

use super::record::{address, put_address};
use super::{Decoded, Decoder, Encoder};

const VERSION: u8 = 1;

pub(crate) fn encode_report(report: &SessionReport) -> Vec<u8> {
    let mut out = Encoder::with_version(VERSION);
    for endpoint in [report.listen, report.peer] {
        put_address(&mut out, endpoint.ip());
        out.uint(endpoint.port());
    }
    out.uint(report.ssid);
    out.uint(report.first_sequence);
    out.uint(report.last_sequence.wrapping_sub(report.first_sequence));
    out.uint(report.received);
    let runs = report.missing_runs();
    out.uint(runs.len() as u64);
    out.all(runs);
    out.flag(report.missing_cut);
    out.int(report.first_sent_ns);
    out.delta(report.last_sent_ns, report.first_sent_ns);
    out.uint(report.dropped);
    out.into_bytes()
}

pub(crate) fn decode_report(bytes: &[u8]) -> Decoded<SessionReport> {
    let from = &mut Decoder::of_version(bytes, VERSION, "session report")?;
    let (listen, peer) = (endpoint(from)?, endpoint(from)?);
    let ssid = from.u16()?;
    let first_sequence = from.u32()?;
    let last_sequence = first_sequence.wrapping_add(from.u32()?);
    let received = from.u32()?;
    let length = from.length()?;
    let runs = (0..length).map(|_| from.u32()).collect::<Decoded<Vec<_>>>()?;
    let missing = SessionReportParts::missing_from_runs(first_sequence, &runs);
    let missing_cut = from.flag()?;
    let first_sent_ns = from.int()?;
    let parts = SessionReportParts {
        listen,
        peer,
        ssid,
        first_sequence,
        last_sequence,
        received,
        missing: missing.map_err(|_| from.error())?,
        missing_cut,
        first_sent_ns,
        last_sent_ns: from.delta(first_sent_ns)?,
        dropped: from.u32()?,
    };
    let report = SessionReport::new(parts).map_err(|_| from.error())?;
    from.finish(report)
}

fn endpoint(from: &mut Decoder<'_>) -> Decoded<SocketAddr> {
    Ok(SocketAddr::new(address(from)?, from.u16()?))
}
