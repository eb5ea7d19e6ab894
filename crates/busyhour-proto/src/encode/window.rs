//! Windows to the wire.

use busyhour_model::{
    ClockQuality, EcnSeen, Histogram, Jitter, LossPattern, OneWayDelay, Playout, Reorder, TtlSeen,
    Window,
};

use crate::v1;
use crate::words::Word as _;

pub(super) fn window(window: &Window, path: u32) -> v1::Window {
    let counts = &window.counts;
    v1::Window {
        path,
        scheduled: counts.scheduled(),
        sent: counts.sent(),
        lost_up: counts.lost_up(),
        lost_down: counts.lost_down(),
        lost_unknown: counts.lost_unknown(),
        reordered: counts.reordered(),
        duplicated: counts.duplicated(),
        burst_lost: window.burst.map_or(0, |burst| burst.lost()),
        burst_of: window.burst.map_or(0, |burst| burst.of()),
        rtt: histogram(&window.rtt),
        rtt_median_us: window.rtt_median_us,
        up_variation: histogram(&window.up_variation),
        down_variation: histogram(&window.down_variation),
        up_jitter: window.up_jitter.map(jitter),
        down_jitter: window.down_jitter.map(jitter),
        dscp_sent: window.dscp.sent.value().into(),
        dscp_up: window.dscp.up.map(|dscp| dscp.value().into()),
        dscp_down: window.dscp.down.map(|dscp| dscp.value().into()),
        dscp_up_changed: window.dscp.up_changed,
        dscp_down_changed: window.dscp.down_changed,
        sent_by: window.sent_by.to_wire(),
        received_by: window.received_by.to_wire(),
        source_port: window.source_port.into(),
        clock_step_samples: window.clock_step_samples,
        receive_queue_drops: window.receive_queue_drops,
        send_lateness_max_us: window.send_lateness_max_us,
        rate_pps: window.rate_pps,
        worst_15s_lost: window.worst_15s.map_or(0, |worst| worst.lost()),
        worst_15s_of: window.worst_15s.map_or(0, |worst| worst.of()),
        one_way: window.one_way.map(one_way),
        reorder: said(&window.reorder, reorder),
        loss_pattern: said(&window.loss_pattern, loss_pattern),
        playout: window.playout.map(playout),
        ecn: said(&window.ecn, ecn),
        ttl: said(&window.ttl, ttl),
        clock: said(&window.clock, clock),
        far_clock: window.far_clock.as_ref().map(clock),
        ssid: window.ssid.into(),
        first_sequence: window.first_sequence,
        sequences: window.sequences,
        seen_source_port: window.seen_source_port.map(u32::from),
        peer_tlvs: window.peer_tlvs,
        implausible_samples: window.implausible_samples,
        reflector_drops: window.reflector_drops,
    }
}

fn histogram(histogram: &Histogram) -> Option<v1::Histogram> {
    if histogram.is_empty() {
        return None;
    }
    let mut previous = -1;
    let mut bucket_steps = Vec::with_capacity(histogram.buckets().len());
    let mut counts = Vec::with_capacity(histogram.buckets().len());
    for &(bucket, count) in histogram.buckets() {
        let bucket = i32::from(bucket);
        bucket_steps.push((bucket - previous).unsigned_abs());
        counts.push(count);
        previous = bucket;
    }
    Some(v1::Histogram {
        bucket_steps,
        counts,
        sum: histogram.sum(),
        min: histogram.min(),
        max: histogram.max(),
    })
}

const fn jitter(jitter: Jitter) -> v1::Jitter {
    v1::Jitter { mean_us: jitter.mean_us, max_us: jitter.max_us }
}

/// Nothing is written of what says nothing.
fn said<T: Default + PartialEq, W>(value: &T, write: impl FnOnce(&T) -> W) -> Option<W> {
    (*value != T::default()).then(|| write(value))
}

const fn one_way(delay: OneWayDelay) -> v1::OneWayDelay {
    v1::OneWayDelay {
        up_median_us: delay.up_median_us,
        down_median_us: delay.down_median_us,
        error_us: delay.error_us,
    }
}

const fn reorder(reorder: &Reorder) -> v1::Reorder {
    v1::Reorder { up: reorder.up, down: reorder.down, extent_max: reorder.extent_max }
}

const fn loss_pattern(pattern: &LossPattern) -> v1::LossPattern {
    v1::LossPattern {
        runs: pattern.runs,
        bursts: pattern.bursts,
        burst_packets: pattern.burst_packets,
        burst_lost: pattern.burst_lost,
    }
}

const fn playout(playout: Playout) -> v1::Playout {
    v1::Playout {
        delay_us: playout.delay_us,
        late_up: playout.late_up,
        late_down: playout.late_down,
        discarded_up: playout.discarded_up,
        discarded_down: playout.discarded_down,
    }
}

fn ecn(ecn: &EcnSeen) -> v1::EcnSeen {
    v1::EcnSeen {
        sent: ecn.sent.to_wire(),
        up: ecn.up.map_or(0, |ecn| ecn.to_wire()),
        down: ecn.down.map_or(0, |ecn| ecn.to_wire()),
        up_changed: ecn.up_changed,
        down_changed: ecn.down_changed,
        up_ce: ecn.up_ce,
        down_ce: ecn.down_ce,
    }
}

fn ttl(ttl: &TtlSeen) -> v1::TtlSeen {
    v1::TtlSeen {
        up: ttl.up.map(u32::from),
        down: ttl.down.map(u32::from),
        up_changes: ttl.up_changes,
        down_changes: ttl.down_changes,
    }
}

const fn clock(clock: &ClockQuality) -> v1::ClockQuality {
    v1::ClockQuality { synchronized: clock.synchronized, error_us: clock.error_us }
}
