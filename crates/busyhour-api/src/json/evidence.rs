//! What a window says besides its counts and delays, as fields of its item.

use busyhour_model::{ClockQuality, Ecn, Window};
use schemars::JsonSchema;
use serde::Serialize;

/// Order, pattern of loss, playout, marking, hop limits, clocks and session of a window.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EvidenceFields {
    rate_pps: u32,
    worst_15s_lost: Option<u32>,
    worst_15s_of: Option<u32>,
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
    clock_synchronized: bool,
    clock_error_us: u32,
    far_clock_synchronized: Option<bool>,
    far_clock_error_us: Option<u32>,
    seen_source_port: Option<u16>,
    ssid: u16,
    first_sequence: u32,
    sequences: u32,
    peer_tlvs: Option<bool>,
    implausible_samples: u32,
    reflector_drops: u32,
    /// The reflector's own report told the direction of lost packets.
    settled: bool,
}

impl EvidenceFields {
    pub(crate) fn new(window: &Window) -> Self {
        let (worst, one_way, playout) = (window.worst_15s, window.one_way, window.playout);
        let (pattern, ecn, ttl) = (&window.loss_pattern, &window.ecn, &window.ttl);
        let ClockQuality { synchronized, error_us } = window.clock;
        Self {
            rate_pps: window.rate_pps,
            worst_15s_lost: worst.map(|worst| worst.lost()),
            worst_15s_of: worst.map(|worst| worst.of()),
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
            clock_synchronized: synchronized,
            clock_error_us: error_us,
            far_clock_synchronized: window.far_clock.map(|clock| clock.synchronized),
            far_clock_error_us: window.far_clock.map(|clock| clock.error_us),
            seen_source_port: window.seen_source_port,
            ssid: window.ssid,
            first_sequence: window.first_sequence,
            sequences: window.sequences,
            peer_tlvs: window.peer_tlvs,
            implausible_samples: window.implausible_samples,
            reflector_drops: window.reflector_drops,
            settled: window.settled,
        }
    }
}

#[cfg(test)]
mod tests {
    use busyhour_model::{
        AddressFamily, BurstLoss, EcnSeen, Link, LinkKind, LossPattern, OneWayDelay, PacketCounts,
        PathKey, Playout, ProfileName, Reorder, TargetName, TrafficClass, Transport, TtlSeen,
        WindowParts,
    };
    use serde_json::json;

    use super::*;

    fn parts() -> WindowParts {
        let path = PathKey {
            link: Link::new(LinkKind::Wired, "eth0").unwrap(),
            family: AddressFamily::Ipv4,
            target: TargetName::new("reflector:862").unwrap(),
            class: TrafficClass::Audio,
            profile: ProfileName::new("audio-50").unwrap(),
            transport: Transport::Udp,
        };
        let counts = PacketCounts::new(750, 750, [40, 2, 0], 0, 0).unwrap();
        WindowParts::new(path, 51, counts)
    }

    /// Each field has a number of its own, so that none can stand for another.
    #[test]
    fn each_piece_of_evidence_is_in_its_own_field() {
        let clock = |error_us| ClockQuality { synchronized: true, error_us };
        let mut rtt = busyhour_model::Histogram::new();
        rtt.record(7);
        let window = Window::new(WindowParts {
            rtt,
            rtt_median_us: Some(7),
            worst_15s: BurstLoss::new(2, 749).ok(),
            one_way: Some(OneWayDelay { up_median_us: -3, down_median_us: 4, error_us: 5 }),
            reorder: Reorder { up: 6, down: 7, extent_max: 8 },
            loss_pattern: LossPattern { runs: 30, bursts: 9, burst_packets: 11, burst_lost: 10 },
            playout: Some(Playout {
                delay_us: 12,
                late_up: 13,
                late_down: 14,
                discarded_up: 15,
                discarded_down: 16,
            }),
            ecn: EcnSeen {
                sent: Ecn::Ect0,
                up: Some(Ecn::Ce),
                down: Some(Ecn::Ect1),
                up_changed: 17,
                down_changed: 18,
                up_ce: 19,
                down_ce: 20,
            },
            ttl: TtlSeen { up: Some(21), down: Some(22), up_changes: 23, down_changes: 24 },
            clock: clock(25),
            far_clock: Some(clock(26)),
            seen_source_port: Some(27),
            ssid: 28,
            first_sequence: 29,
            sequences: 751,
            peer_tlvs: Some(false),
            implausible_samples: 31,
            reflector_drops: 32,
            settled: true,
            ..parts()
        });
        let shown = serde_json::to_value(EvidenceFields::new(&window.unwrap())).unwrap();
        let expected = json!({
            "rate_pps": 51, "worst_15s_lost": 2, "worst_15s_of": 749,
            "up_one_way_us_median": -3, "down_one_way_us_median": 4, "one_way_error_us": 5,
            "up_reordered": 6, "down_reordered": 7, "reorder_extent_max": 8,
            "loss_runs": 30, "loss_bursts": 9, "loss_burst_packets": 11, "loss_burst_lost": 10,
            "playout_delay_us": 12, "up_late": 13, "down_late": 14,
            "up_discarded": 15, "down_discarded": 16,
            "ecn_sent": "ect0", "ecn_up": "ce", "ecn_down": "ect1",
            "ecn_up_changed": 17, "ecn_down_changed": 18, "ecn_up_ce": 19, "ecn_down_ce": 20,
            "ttl_up": 21, "ttl_down": 22, "ttl_up_changes": 23, "ttl_down_changes": 24,
            "clock_synchronized": true, "clock_error_us": 25,
            "far_clock_synchronized": true, "far_clock_error_us": 26,
            "seen_source_port": 27, "ssid": 28, "first_sequence": 29, "sequences": 751,
            "peer_tlvs": false, "implausible_samples": 31, "reflector_drops": 32,
            "settled": true,
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_was_not_seen_is_null() {
        let shown = serde_json::to_value(EvidenceFields::new(&Window::new(parts()).unwrap()));
        let shown = shown.unwrap();
        for field in [
            "worst_15s_lost",
            "up_one_way_us_median",
            "one_way_error_us",
            "playout_delay_us",
            "up_discarded",
            "ecn_up",
            "ttl_down",
            "far_clock_error_us",
            "seen_source_port",
            "peer_tlvs",
        ] {
            assert!(shown[field].is_null(), "{field}");
        }
    }
}
