//! A window as JSON: the fields of the collector's API by the same names, with whole distributions.

use busyhour_model::emodel::{CallEstimate, REFERENCE_CODEC, estimate};
use busyhour_model::{Direction, Ecn, Histogram, UtcMicros, Window};
use jiff::Timestamp;
use serde::Serialize;

use super::measure::Measured;
use crate::config::Target;

/// What every estimate is called.
const LABEL: &str = "planning estimate (MOS-CQE)";

/// A distribution in microseconds. Lowest, highest and an RTT's median are exact, the other percentiles
/// at most 1.6 % off.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Spread {
    pub(super) min: u32,
    pub(super) p50: u32,
    pub(super) p90: u32,
    pub(super) p99: u32,
    pub(super) p999: u32,
    pub(super) max: u32,
}

impl Spread {
    /// Nothing of nothing.
    fn of(histogram: &Histogram) -> Option<Self> {
        let at = |share| histogram.quantile(share).unwrap_or(0);
        (!histogram.is_empty()).then(|| Self {
            min: histogram.min(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max(),
        })
    }
}

/// What a call of the reference codec would have been like.
#[derive(Debug, Serialize)]
pub(super) struct CallFigures {
    pub(super) mos: f64,
    pub(super) r: f64,
    /// The direction it is of, the worse one; null where losses of unknown direction are counted in it.
    pub(super) direction: Option<&'static str>,
    pub(super) delay_us: u32,
    /// How the network's part of it was found: `one-way` or `rtt/2`.
    pub(super) delay_basis: &'static str,
    pub(super) loss_ratio: f64,
    pub(super) burst_r: f64,
    pub(super) flags: Vec<&'static str>,
    /// What it is, by which model, of which codec.
    pub(super) label: String,
}

impl CallFigures {
    fn of(call: &CallEstimate) -> Self {
        let worse = &call.worse;
        let (inputs, codec) = (&worse.inputs, call.codec);
        Self {
            mos: worse.mos,
            r: worse.r,
            direction: call.worse_direction.map(Direction::as_str),
            delay_us: inputs.delay.total_us(),
            delay_basis: inputs.delay.basis.as_str(),
            loss_ratio: inputs.loss_percent / 100.0,
            burst_r: inputs.burst_ratio,
            flags: worse.flags.iter().map(|flag| flag.as_str()).collect(),
            label: format!("{LABEL}, {}, {}", codec.scale.model(), codec.label),
        }
    }
}

/// Everything about one window.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    target: String,
    resolved: String,
    local: String,
    link: &'static str,
    interface: String,
    local_prefix: String,
    family: &'static str,
    transport: &'static str,
    class: &'static str,
    profile: String,
    rate_pps: u32,
    packet_bytes: u16,
    peer: &'static str,
    security: &'static str,
    started_utc: String,
    duration_us: u64,
    /// It was ended before its time.
    interrupted: bool,
    scheduled: u32,
    sent: u32,
    received: u32,
    lost_up: u32,
    lost_down: u32,
    lost_unknown: u32,
    loss_ratio: Option<f64>,
    reordered: u32,
    duplicated: u32,
    burst_lost: Option<u32>,
    burst_of: Option<u32>,
    pub(super) rtt_us: Option<Spread>,
    pub(super) up_variation_us: Option<Spread>,
    pub(super) down_variation_us: Option<Spread>,
    up_jitter_us: Option<u32>,
    up_jitter_us_max: Option<u32>,
    down_jitter_us: Option<u32>,
    down_jitter_us_max: Option<u32>,
    up_one_way_us_median: Option<i32>,
    down_one_way_us_median: Option<i32>,
    one_way_error_us: Option<u32>,
    up_reordered: u32,
    down_reordered: u32,
    reorder_extent_max: u32,
    loss_runs: u32,
    loss_bursts: u32,
    loss_burst_packets: u32,
    loss_burst_lost: u32,
    playout_delay_us: Option<u32>,
    up_late: Option<u32>,
    down_late: Option<u32>,
    up_discarded: Option<u32>,
    down_discarded: Option<u32>,
    dscp_sent: u8,
    dscp_up: Option<u8>,
    dscp_down: Option<u8>,
    dscp_up_changed: u32,
    dscp_down_changed: u32,
    ecn_sent: &'static str,
    ecn_up: Option<&'static str>,
    ecn_down: Option<&'static str>,
    ecn_up_changed: u32,
    ecn_down_changed: u32,
    ecn_up_ce: u32,
    ecn_down_ce: u32,
    ttl_up: Option<u8>,
    ttl_down: Option<u8>,
    ttl_up_changes: u32,
    ttl_down_changes: u32,
    #[serde(flatten)]
    how: HowFigures,
    pub(super) estimate: Option<CallFigures>,
}

/// How well it was measured, and what this machine and the reflector did wrong themselves.
#[derive(Debug, Serialize)]
struct HowFigures {
    sent_by: &'static str,
    received_by: &'static str,
    clock_synchronized: bool,
    clock_error_us: u32,
    far_clock_synchronized: Option<bool>,
    far_clock_error_us: Option<u32>,
    source_port: u16,
    /// Whether the port is one of the class; the network may treat others otherwise.
    source_port_preferred: bool,
    seen_source_port: Option<u16>,
    ssid: u16,
    peer_tlvs: Option<bool>,
    send_lateness_max_us: u32,
    receive_queue_drops: u32,
    reflector_drops: u32,
    clock_step_samples: u32,
    implausible_samples: u32,
    rejected: u64,
    rejected_tags: u64,
}

impl HowFigures {
    fn new(measured: &Measured) -> Self {
        let window = &measured.window;
        Self {
            sent_by: window.sent_by.as_str(),
            received_by: window.received_by.as_str(),
            clock_synchronized: window.clock.synchronized,
            clock_error_us: window.clock.error_us,
            far_clock_synchronized: window.far_clock.map(|clock| clock.synchronized),
            far_clock_error_us: window.far_clock.map(|clock| clock.error_us),
            source_port: window.source_port,
            source_port_preferred: measured.socket.preferred,
            seen_source_port: window.seen_source_port,
            ssid: window.ssid,
            peer_tlvs: window.peer_tlvs,
            send_lateness_max_us: window.send_lateness_max_us,
            receive_queue_drops: window.receive_queue_drops,
            reflector_drops: window.reflector_drops,
            clock_step_samples: window.clock_step_samples,
            implausible_samples: window.implausible_samples,
            rejected: measured.stats.rejected,
            rejected_tags: measured.stats.rejected_tags,
        }
    }
}

impl Figures {
    pub(super) fn new(target: &Target, measured: &Measured) -> Self {
        let window = &measured.window;
        let (counts, route) = (&window.counts, &measured.route);
        let (one_way, playout) = (window.one_way, window.playout);
        let (dscp, ecn, ttl, pattern) =
            (&window.dscp, &window.ecn, &window.ttl, &window.loss_pattern);
        Self {
            target: target.name.to_string(),
            resolved: measured.peer.to_string(),
            local: measured.socket.local.to_string(),
            link: route.kind.as_str(),
            interface: route.interface.clone(),
            local_prefix: route.prefix.to_string(),
            family: window.path.family.as_str(),
            transport: window.path.transport.as_str(),
            class: window.path.class.as_str(),
            profile: target.profile_name.to_string(),
            rate_pps: window.rate_pps,
            packet_bytes: target.profile.ip_packet_bytes(),
            peer: target.peer.name(),
            security: target.security.as_str(),
            started_utc: utc(measured.started),
            duration_us: u64::try_from(measured.duration.as_micros()).unwrap_or(u64::MAX),
            interrupted: measured.interrupted,
            scheduled: counts.scheduled(),
            sent: counts.sent(),
            received: counts.received(),
            lost_up: counts.lost_up(),
            lost_down: counts.lost_down(),
            lost_unknown: counts.lost_unknown(),
            loss_ratio: (counts.sent() > 0)
                .then(|| f64::from(counts.lost()) / f64::from(counts.sent())),
            reordered: counts.reordered(),
            duplicated: counts.duplicated(),
            burst_lost: window.burst.map(|burst| burst.lost()),
            burst_of: window.burst.map(|burst| burst.of()),
            rtt_us: rtt(window),
            up_variation_us: Spread::of(&window.up_variation),
            down_variation_us: Spread::of(&window.down_variation),
            up_jitter_us: window.up_jitter.map(|jitter| jitter.mean_us),
            up_jitter_us_max: window.up_jitter.map(|jitter| jitter.max_us),
            down_jitter_us: window.down_jitter.map(|jitter| jitter.mean_us),
            down_jitter_us_max: window.down_jitter.map(|jitter| jitter.max_us),
            up_one_way_us_median: one_way.map(|delay| delay.up_median_us),
            down_one_way_us_median: one_way.map(|delay| delay.down_median_us),
            one_way_error_us: one_way.map(|delay| delay.error_us),
            up_reordered: window.reorder.up,
            down_reordered: window.reorder.down,
            reorder_extent_max: window.reorder.extent_max,
            loss_runs: pattern.runs,
            loss_bursts: pattern.bursts,
            loss_burst_packets: pattern.burst_packets,
            loss_burst_lost: pattern.burst_lost,
            playout_delay_us: playout.map(|playout| playout.delay_us),
            up_late: playout.map(|playout| playout.late_up),
            down_late: playout.map(|playout| playout.late_down),
            up_discarded: playout.map(|playout| playout.discarded_up),
            down_discarded: playout.map(|playout| playout.discarded_down),
            dscp_sent: dscp.sent.value(),
            dscp_up: dscp.up.map(|dscp| dscp.value()),
            dscp_down: dscp.down.map(|dscp| dscp.value()),
            dscp_up_changed: dscp.up_changed,
            dscp_down_changed: dscp.down_changed,
            ecn_sent: ecn.sent.as_str(),
            ecn_up: ecn.up.map(Ecn::as_str),
            ecn_down: ecn.down.map(Ecn::as_str),
            ecn_up_changed: ecn.up_changed,
            ecn_down_changed: ecn.down_changed,
            ecn_up_ce: ecn.up_ce,
            ecn_down_ce: ecn.down_ce,
            ttl_up: ttl.up,
            ttl_down: ttl.down,
            ttl_up_changes: ttl.up_changes,
            ttl_down_changes: ttl.down_changes,
            how: HowFigures::new(measured),
            estimate: estimate(window, REFERENCE_CODEC).as_ref().map(CallFigures::of),
        }
    }
}

/// With the median as it was, not as its bucket has it.
fn rtt(window: &Window) -> Option<Spread> {
    let spread = Spread::of(&window.rtt)?;
    Some(Spread { p50: window.rtt_median_us.unwrap_or(spread.p50), ..spread })
}

fn utc(moment: UtcMicros) -> String {
    Timestamp::from_microsecond(moment.0).map_or_else(|_| "-".to_owned(), |time| time.to_string())
}
