//! Windows: what changes with each, and the circumstance that many share.

use busyhour_model::{
    BootId, BootMicros, BurstLoss, Context, Dscp, DscpSeen, Jitter, Judgement, LimitsVersion,
    PacketCounts, PathKey, RequirementProfile, ScheduleRevision, Stamp, TimestampMethod, UtcMicros,
    Window, WindowParts, WindowVerdict,
};

use super::record::{context, put_context};
use super::{Decoded, Decoder, Encoder};
use crate::{JudgedWindow, StoredWindow};

const VERSION: u8 = 1;
const WINDOW: &str = "window";
const CIRCUMSTANCE: &str = "circumstance";

/// What many windows of a path have in common; stored once and named by number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Circumstance {
    boot: BootId,
    schedule: ScheduleRevision,
    context: Context,
    requirement: RequirementProfile,
    limits: LimitsVersion,
    dscp_sent: Dscp,
    sent_by: TimestampMethod,
    received_by: TimestampMethod,
    source_port: u16,
}

pub(crate) fn encode_circumstance(judged: &JudgedWindow) -> Vec<u8> {
    let mut out = Encoder::with_version(VERSION);
    out.fixed(&judged.stamp.boot.to_bytes());
    out.uint(judged.schedule.0);
    put_context(&mut out, &judged.context);
    out.text(judged.requirement.as_str());
    out.uint(judged.limits.0);
    out.byte(judged.window.dscp.sent.value());
    out.text(judged.window.sent_by.as_str());
    out.text(judged.window.received_by.as_str());
    out.uint(judged.window.source_port);
    out.into_bytes()
}

pub(crate) fn decode_circumstance(bytes: &[u8]) -> Decoded<Circumstance> {
    let mut from = Decoder::of_version(bytes, VERSION, CIRCUMSTANCE)?;
    let circumstance = Circumstance {
        boot: BootId::from_u128(u128::from_be_bytes(from.fixed()?)),
        schedule: ScheduleRevision(from.uint()?),
        context: context(&mut from)?,
        requirement: from.word()?,
        limits: LimitsVersion(from.u32()?),
        dscp_sent: dscp(&mut from)?,
        sent_by: from.word()?,
        received_by: from.word()?,
        source_port: from.u16()?,
    };
    from.finish(circumstance)
}

/// Encodes what is not in the path's row, the circumstance or the key.
pub(crate) fn encode_window(judged: &JudgedWindow, received: UtcMicros) -> Vec<u8> {
    let (window, stamp) = (&judged.window, &judged.stamp);
    let mut out = Encoder::with_version(VERSION);
    out.delta(received.0, judged.placed.0);
    out.delta(stamp.started.0, judged.placed.0);
    out.uint(stamp.started_boot.0);
    out.uint(stamp.duration_us());
    put_verdict(&mut out, &judged.verdict);
    put_counts(&mut out, &window.counts);
    out.option(window.burst, |out, burst| {
        out.uint(burst.lost());
        out.uint(burst.of());
    });
    out.histogram(&window.rtt);
    out.option(window.rtt_median_us, |out, median| {
        out.uint(median.saturating_sub(window.rtt.min()));
    });
    out.histogram(&window.up_variation);
    out.histogram(&window.down_variation);
    out.option(window.up_jitter, put_jitter);
    out.option(window.down_jitter, put_jitter);
    out.option(window.dscp.up, |out, dscp| out.byte(dscp.value()));
    out.option(window.dscp.down, |out, dscp| out.byte(dscp.value()));
    out.uint(window.dscp.up_changed);
    out.uint(window.dscp.down_changed);
    out.uint(window.clock_step_samples);
    out.uint(window.receive_queue_drops);
    out.uint(window.send_lateness_max_us);
    out.into_bytes()
}

/// Whether two encodings are of the same window, whenever its block came.
pub(crate) fn same_window(one: &[u8], other: &[u8]) -> bool {
    fn observed(bytes: &[u8]) -> Decoded<&[u8]> {
        let mut from = Decoder::of_version(bytes, VERSION, WINDOW)?;
        from.int()?;
        Ok(from.rest())
    }
    matches!((observed(one), observed(other)), (Ok(one), Ok(other)) if one == other)
}

pub(crate) fn decode_window(
    bytes: &[u8],
    placed: UtcMicros,
    path: &PathKey,
    circumstance: &Circumstance,
) -> Decoded<StoredWindow> {
    let mut from = Decoder::of_version(bytes, VERSION, WINDOW)?;
    let received = UtcMicros(from.delta(placed.0)?);
    let started = UtcMicros(from.delta(placed.0)?);
    let started_boot = BootMicros(from.uint()?);
    let duration_us = from.uint()?;
    let stamp = Stamp::new(started, started_boot, circumstance.boot, duration_us)
        .map_err(|_| from.error())?;
    let verdict = verdict(&mut from)?;
    let window = window(&mut from, path, circumstance)?;
    let judged = JudgedWindow {
        placed,
        stamp,
        schedule: circumstance.schedule,
        context: circumstance.context.clone(),
        window,
        requirement: circumstance.requirement,
        limits: circumstance.limits,
        verdict,
    };
    from.finish(StoredWindow { judged, received })
}

fn window(from: &mut Decoder<'_>, path: &PathKey, circumstance: &Circumstance) -> Decoded<Window> {
    let counts = counts(from)?;
    let burst = from.option(|from| {
        let (lost, of) = (from.u32()?, from.u32()?);
        BurstLoss::new(lost, of).map_err(|_| from.error())
    })?;
    let rtt = from.histogram()?;
    let rtt_median_us =
        from.option(|from| from.u32()?.checked_add(rtt.min()).ok_or(from.error()))?;
    let parts = WindowParts {
        path: path.clone(),
        counts,
        burst,
        rtt,
        rtt_median_us,
        up_variation: from.histogram()?,
        down_variation: from.histogram()?,
        up_jitter: from.option(jitter)?,
        down_jitter: from.option(jitter)?,
        dscp: DscpSeen {
            sent: circumstance.dscp_sent,
            up: from.option(dscp)?,
            down: from.option(dscp)?,
            up_changed: from.u32()?,
            down_changed: from.u32()?,
        },
        sent_by: circumstance.sent_by,
        received_by: circumstance.received_by,
        source_port: circumstance.source_port,
        clock_step_samples: from.u32()?,
        receive_queue_drops: from.u32()?,
        send_lateness_max_us: from.u32()?,
    };
    Window::new(parts).map_err(|_| from.error())
}

fn put_counts(out: &mut Encoder, counts: &PacketCounts) {
    out.uint(counts.scheduled());
    out.uint(counts.sent());
    out.uint(counts.lost_up());
    out.uint(counts.lost_down());
    out.uint(counts.lost_unknown());
    out.uint(counts.reordered());
    out.uint(counts.duplicated());
}

fn counts(from: &mut Decoder<'_>) -> Decoded<PacketCounts> {
    let (scheduled, sent) = (from.u32()?, from.u32()?);
    let lost = [from.u32()?, from.u32()?, from.u32()?];
    let (reordered, duplicated) = (from.u32()?, from.u32()?);
    PacketCounts::new(scheduled, sent, lost, reordered, duplicated).map_err(|_| from.error())
}

fn put_jitter(out: &mut Encoder, jitter: Jitter) {
    out.uint(jitter.mean_us);
    out.uint(jitter.max_us);
}

fn jitter(from: &mut Decoder<'_>) -> Decoded<Jitter> {
    Ok(Jitter { mean_us: from.u32()?, max_us: from.u32()? })
}

fn dscp(from: &mut Decoder<'_>) -> Decoded<Dscp> {
    Dscp::new(from.byte()?).map_err(|_| from.error())
}

/// Two flags and four judgements of two bits, in two bytes.
fn put_verdict(out: &mut Encoder, verdict: &WindowVerdict) {
    let bits = |judgement| match judgement {
        Judgement::Pass => 0u8,
        Judgement::Fail => 1,
        Judgement::Unknown => 2,
    };
    out.byte(u8::from(verdict.valid) | (u8::from(verdict.failed) << 1));
    out.byte(
        bits(verdict.loss)
            | (bits(verdict.burst) << 2)
            | (bits(verdict.delay) << 4)
            | (bits(verdict.jitter) << 6),
    );
}

fn verdict(from: &mut Decoder<'_>) -> Decoded<WindowVerdict> {
    let (flags, judgements) = (from.byte()?, from.byte()?);
    let judgement = |shift: u8| match (judgements >> shift) & 3 {
        0 => Ok(Judgement::Pass),
        1 => Ok(Judgement::Fail),
        2 => Ok(Judgement::Unknown),
        _ => Err(from.error()),
    };
    if flags > 3 {
        return Err(from.error());
    }
    Ok(WindowVerdict {
        valid: flags & 1 != 0,
        failed: flags & 2 != 0,
        loss: judgement(0)?,
        burst: judgement(2)?,
        delay: judgement(4)?,
        jitter: judgement(6)?,
    })
}
