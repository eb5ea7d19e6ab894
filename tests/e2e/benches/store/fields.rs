//! A window as plain numbers, for everything it is compared with: one number for each field, and one
//! for each occupied bucket of each histogram.

use busyhour_model::{Ecn, Histogram, Judgement, WindowParts};
use busyhour_store::JudgedWindow;

/// A field by name; `None` where the window does not have it.
pub(crate) type Field = (&'static str, fn(&JudgedWindow) -> Option<i64>);

/// A histogram by name.
pub(crate) type Distribution = (&'static str, fn(&WindowParts) -> &Histogram);

macro_rules! fields {
    ($($name:literal: |$window:ident| $value:expr;)+) => {
        &[$(($name, |$window| $value)),+]
    };
}

/// Every number of a window and its stamp. What is text (the path, its addresses) names the series.
pub(crate) const FIELDS: &[Field] = fields! {
    "started_us": |w| Some(w.stamp.started.0);
    "started_boot_us": |w| Some(w.stamp.started_boot.0 as i64);
    "duration_us": |w| Some(w.stamp.duration_us() as i64);
    "schedule": |w| Some(w.schedule.0 as i64);
    "limits": |w| Some(w.limits.0.into());
    "valid": |w| Some(w.verdict.valid.into());
    "failed": |w| Some(w.verdict.failed.into());
    "loss_judged": |w| judged(w.verdict.loss);
    "burst_judged": |w| judged(w.verdict.burst);
    "delay_judged": |w| judged(w.verdict.delay);
    "jitter_judged": |w| judged(w.verdict.jitter);
    "rate_pps": |w| Some(w.window.rate_pps.into());
    "scheduled": |w| Some(w.window.counts.scheduled().into());
    "sent": |w| Some(w.window.counts.sent().into());
    "lost_up": |w| Some(w.window.counts.lost_up().into());
    "lost_down": |w| Some(w.window.counts.lost_down().into());
    "lost_unknown": |w| Some(w.window.counts.lost_unknown().into());
    "reordered": |w| Some(w.window.counts.reordered().into());
    "duplicated": |w| Some(w.window.counts.duplicated().into());
    "burst_lost": |w| Some(w.window.burst?.lost().into());
    "burst_of": |w| Some(w.window.burst?.of().into());
    "worst_15s_lost": |w| Some(w.window.worst_15s?.lost().into());
    "worst_15s_of": |w| Some(w.window.worst_15s?.of().into());
    "rtt_median_us": |w| Some(w.window.rtt_median_us?.into());
    "one_way_up_us": |w| Some(w.window.one_way?.up_median_us.into());
    "one_way_down_us": |w| Some(w.window.one_way?.down_median_us.into());
    "one_way_error_us": |w| Some(w.window.one_way?.error_us.into());
    "up_jitter_mean_us": |w| Some(w.window.up_jitter?.mean_us.into());
    "up_jitter_max_us": |w| Some(w.window.up_jitter?.max_us.into());
    "down_jitter_mean_us": |w| Some(w.window.down_jitter?.mean_us.into());
    "down_jitter_max_us": |w| Some(w.window.down_jitter?.max_us.into());
    "reorder_up": |w| Some(w.window.reorder.up.into());
    "reorder_down": |w| Some(w.window.reorder.down.into());
    "reorder_extent": |w| Some(w.window.reorder.extent_max.into());
    "loss_runs": |w| Some(w.window.loss_pattern.runs.into());
    "loss_bursts": |w| Some(w.window.loss_pattern.bursts.into());
    "loss_burst_packets": |w| Some(w.window.loss_pattern.burst_packets.into());
    "loss_burst_lost": |w| Some(w.window.loss_pattern.burst_lost.into());
    "playout_delay_us": |w| Some(w.window.playout?.delay_us.into());
    "late_up": |w| Some(w.window.playout?.late_up.into());
    "late_down": |w| Some(w.window.playout?.late_down.into());
    "discarded_up": |w| Some(w.window.playout?.discarded_up.into());
    "discarded_down": |w| Some(w.window.playout?.discarded_down.into());
    "dscp_sent": |w| Some(w.window.dscp.sent.value().into());
    "dscp_up": |w| Some(w.window.dscp.up?.value().into());
    "dscp_down": |w| Some(w.window.dscp.down?.value().into());
    "dscp_up_changed": |w| Some(w.window.dscp.up_changed.into());
    "dscp_down_changed": |w| Some(w.window.dscp.down_changed.into());
    "ecn_sent": |w| Some(w.window.ecn.sent.bits().into());
    "ecn_up": |w| w.window.ecn.up.map(Ecn::bits).map(i64::from);
    "ecn_down": |w| w.window.ecn.down.map(Ecn::bits).map(i64::from);
    "ecn_up_changed": |w| Some(w.window.ecn.up_changed.into());
    "ecn_down_changed": |w| Some(w.window.ecn.down_changed.into());
    "ecn_up_ce": |w| Some(w.window.ecn.up_ce.into());
    "ecn_down_ce": |w| Some(w.window.ecn.down_ce.into());
    "ttl_up": |w| Some(w.window.ttl.up?.into());
    "ttl_down": |w| Some(w.window.ttl.down?.into());
    "ttl_up_changes": |w| Some(w.window.ttl.up_changes.into());
    "ttl_down_changes": |w| Some(w.window.ttl.down_changes.into());
    "sent_by": |w| Some(w.window.sent_by as i64);
    "received_by": |w| Some(w.window.received_by as i64);
    "clock_synchronized": |w| Some(w.window.clock.synchronized.into());
    "clock_error_us": |w| Some(w.window.clock.error_us.into());
    "far_clock_synchronized": |w| Some(w.window.far_clock?.synchronized.into());
    "far_clock_error_us": |w| Some(w.window.far_clock?.error_us.into());
    "source_port": |w| Some(w.window.source_port.into());
    "seen_source_port": |w| Some(w.window.seen_source_port?.into());
    "ssid": |w| Some(w.window.ssid.into());
    "first_sequence": |w| Some(w.window.first_sequence.into());
    "sequences": |w| Some(w.window.sequences.into());
    "peer_tlvs": |w| Some(w.window.peer_tlvs?.into());
    "clock_step_samples": |w| Some(w.window.clock_step_samples.into());
    "implausible_samples": |w| Some(w.window.implausible_samples.into());
    "receive_queue_drops": |w| Some(w.window.receive_queue_drops.into());
    "reflector_drops": |w| Some(w.window.reflector_drops.into());
    "send_lateness_us": |w| Some(w.window.send_lateness_max_us.into());
    "rtt_sum": |w| Some(w.window.rtt.sum() as i64);
    "rtt_min": |w| Some(w.window.rtt.min().into());
    "rtt_max": |w| Some(w.window.rtt.max().into());
    "up_sum": |w| Some(w.window.up_variation.sum() as i64);
    "up_min": |w| Some(w.window.up_variation.min().into());
    "up_max": |w| Some(w.window.up_variation.max().into());
    "down_sum": |w| Some(w.window.down_variation.sum() as i64);
    "down_min": |w| Some(w.window.down_variation.min().into());
    "down_max": |w| Some(w.window.down_variation.max().into());
};

/// Its histograms.
pub(crate) const DISTRIBUTIONS: [Distribution; 3] = [
    ("rtt", |parts| &parts.rtt),
    ("up", |parts| &parts.up_variation),
    ("down", |parts| &parts.down_variation),
];

fn judged(judgement: Judgement) -> Option<i64> {
    match judgement {
        Judgement::Pass => Some(1),
        Judgement::Fail => Some(2),
        Judgement::Unknown => Some(0),
    }
}

/// The lowest value of a bucket and the lowest of the next: 32 buckets an octave, values below 32 by
/// themselves.
pub(crate) fn bounds(bucket: u16) -> (u64, u64) {
    let lowest = |bucket: u64| {
        let (octave, mantissa) = (bucket >> 5, bucket & 31);
        if octave == 0 { mantissa } else { (32 + mantissa) << (octave - 1) }
    };
    (lowest(bucket.into()), lowest(u64::from(bucket) + 1))
}
