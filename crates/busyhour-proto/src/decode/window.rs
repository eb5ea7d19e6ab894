//! Windows from the wire.

use busyhour_model::{
    BurstLoss, ClockQuality, Dscp, DscpSeen, EcnSeen, Histogram, Jitter, LossPattern, OneWayDelay,
    PacketCounts, PathKey, Playout, Reorder, TtlSeen, Window, WindowParts,
};

use super::{RecordError, range};
use crate::v1;
use crate::words::Word;

pub(super) fn window(wire: v1::Window, path: PathKey) -> Result<Window, RecordError> {
    let lost = [wire.lost_up, wire.lost_down, wire.lost_unknown];
    let counts =
        PacketCounts::new(wire.scheduled, wire.sent, lost, wire.reordered, wire.duplicated)?;
    let parts = WindowParts {
        path,
        rate_pps: wire.rate_pps,
        counts,
        burst: stretch(wire.burst_lost, wire.burst_of)?,
        worst_15s: stretch(wire.worst_15s_lost, wire.worst_15s_of)?,
        rtt: histogram("rtt", wire.rtt)?,
        rtt_median_us: wire.rtt_median_us,
        one_way: wire.one_way.map(one_way),
        up_variation: histogram("up_variation", wire.up_variation)?,
        down_variation: histogram("down_variation", wire.down_variation)?,
        up_jitter: wire.up_jitter.map(jitter),
        down_jitter: wire.down_jitter.map(jitter),
        reorder: wire.reorder.map(reorder).unwrap_or_default(),
        loss_pattern: wire.loss_pattern.map(loss_pattern).unwrap_or_default(),
        playout: wire.playout.map(playout),
        dscp: DscpSeen {
            sent: dscp(wire.dscp_sent)?,
            up: wire.dscp_up.map(dscp).transpose()?,
            down: wire.dscp_down.map(dscp).transpose()?,
            up_changed: wire.dscp_up_changed,
            down_changed: wire.dscp_down_changed,
        },
        ecn: wire.ecn.map(ecn).transpose()?.unwrap_or_default(),
        ttl: wire.ttl.map(ttl).transpose()?.unwrap_or_default(),
        sent_by: Word::from_wire(wire.sent_by)?,
        received_by: Word::from_wire(wire.received_by)?,
        clock: wire.clock.map(clock).unwrap_or_default(),
        far_clock: wire.far_clock.map(clock),
        source_port: small("source_port", wire.source_port)?,
        seen_source_port: wire
            .seen_source_port
            .map(|p| small("seen_source_port", p))
            .transpose()?,
        ssid: small("ssid", wire.ssid)?,
        first_sequence: wire.first_sequence,
        sequences: wire.sequences,
        peer_tlvs: wire.peer_tlvs,
        clock_step_samples: wire.clock_step_samples,
        implausible_samples: wire.implausible_samples,
        receive_queue_drops: wire.receive_queue_drops,
        reflector_drops: wire.reflector_drops,
        send_lateness_max_us: wire.send_lateness_max_us,
        // Only the collector settles.
        settled: false,
    };
    Ok(Window::new(parts)?)
}

/// Of nothing, nothing: where a stretch cannot be measured both numbers are 0.
fn stretch(lost: u32, of: u32) -> Result<Option<BurstLoss>, RecordError> {
    if (lost, of) == (0, 0) {
        return Ok(None);
    }
    Ok(Some(BurstLoss::new(lost, of)?))
}

fn histogram(field: &'static str, wire: Option<v1::Histogram>) -> Result<Histogram, RecordError> {
    let Some(wire) = wire else { return Ok(Histogram::new()) };
    if wire.bucket_steps.len() != wire.counts.len() {
        let found = format!("{} buckets, {} counts", wire.bucket_steps.len(), wire.counts.len());
        return Err(range(field, &found));
    }
    let mut next: u32 = 0;
    let mut buckets = Vec::with_capacity(wire.counts.len());
    for (&step, &count) in wire.bucket_steps.iter().zip(&wire.counts) {
        next = next.checked_add(step).ok_or_else(|| range(field, "bucket beyond the last"))?;
        // A step of 0 repeats the bucket (or lies before the first): the histogram refuses that.
        let bucket = next.checked_sub(1).ok_or_else(|| range(field, "bucket before the first"))?;
        let bucket = u16::try_from(bucket).map_err(|_| range(field, "bucket beyond the last"))?;
        buckets.push((bucket, count));
    }
    Histogram::from_parts(buckets, wire.sum, wire.min, wire.max)
        .map_err(|source| RecordError::Histogram { field, source })
}

const fn jitter(wire: v1::Jitter) -> Jitter {
    Jitter { mean_us: wire.mean_us, max_us: wire.max_us }
}

fn dscp(value: u32) -> Result<Dscp, RecordError> {
    Ok(Dscp::new(small("dscp", value)?)?)
}

/// A number that has fewer bits than the wire gives it.
fn small<T: TryFrom<u32>>(field: &'static str, value: u32) -> Result<T, RecordError> {
    T::try_from(value).map_err(|_| range(field, &value.to_string()))
}

const fn one_way(wire: v1::OneWayDelay) -> OneWayDelay {
    OneWayDelay {
        up_median_us: wire.up_median_us,
        down_median_us: wire.down_median_us,
        error_us: wire.error_us,
    }
}

const fn reorder(wire: v1::Reorder) -> Reorder {
    Reorder { up: wire.up, down: wire.down, extent_max: wire.extent_max }
}

const fn loss_pattern(wire: v1::LossPattern) -> LossPattern {
    LossPattern {
        runs: wire.runs,
        bursts: wire.bursts,
        burst_packets: wire.burst_packets,
        burst_lost: wire.burst_lost,
    }
}

const fn playout(wire: v1::Playout) -> Playout {
    Playout {
        delay_us: wire.delay_us,
        late_up: wire.late_up,
        late_down: wire.late_down,
        discarded_up: wire.discarded_up,
        discarded_down: wire.discarded_down,
    }
}

fn ecn(wire: v1::EcnSeen) -> Result<EcnSeen, RecordError> {
    // The zero of the wire: not said.
    let seen = |number: i32| (number != 0).then(|| Word::from_wire(number)).transpose();
    Ok(EcnSeen {
        sent: seen(wire.sent)?.unwrap_or_default(),
        up: seen(wire.up)?,
        down: seen(wire.down)?,
        up_changed: wire.up_changed,
        down_changed: wire.down_changed,
        up_ce: wire.up_ce,
        down_ce: wire.down_ce,
    })
}

fn ttl(wire: v1::TtlSeen) -> Result<TtlSeen, RecordError> {
    let seen = |value: Option<u32>| value.map(|value| small("ttl", value)).transpose();
    Ok(TtlSeen {
        up: seen(wire.up)?,
        down: seen(wire.down)?,
        up_changes: wire.up_changes,
        down_changes: wire.down_changes,
    })
}

const fn clock(wire: v1::ClockQuality) -> ClockQuality {
    ClockQuality { synchronized: wire.synchronized, error_us: wire.error_us }
}
