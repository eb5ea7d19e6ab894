use crate::{
    AddressFamily, Breach, BurstLoss, Dscp, DscpSeen, Histogram, Jitter, Judgement, Link, LinkKind,
    PacketCounts, PathKey, ProfileName, RequirementProfile, TargetName, TimestampMethod,
    TrafficClass, Transport, UtcMicros, Window, WindowParts, WindowVerdict, limits_in_force,
};

/// A window of 750 packets with this loss, worst burst, median round trip and jitter.
fn window(lost: u32, burst: Option<(u32, u32)>, rtt_us: u32, jitter_us: u32) -> Window {
    window_of(750, lost, burst, rtt_us, jitter_us)
}

fn window_of(
    sent: u32,
    lost: u32,
    burst: Option<(u32, u32)>,
    rtt_us: u32,
    jitter_us: u32,
) -> Window {
    let counts = PacketCounts::new(750, sent, [lost, 0, 0], 0, 0).unwrap();
    let answered = counts.received() > 0;
    let mut rtt = Histogram::new();
    rtt.record_n(rtt_us, u64::from(counts.received()));
    let jitter = answered.then_some(Jitter { mean_us: jitter_us, max_us: jitter_us });
    Window::new(WindowParts {
        path: PathKey {
            link: Link::new(LinkKind::Wired, "eth0").unwrap(),
            family: AddressFamily::Ipv4,
            target: TargetName::new("reflector:862").unwrap(),
            class: TrafficClass::Audio,
            profile: ProfileName::new("audio-50").unwrap(),
            transport: Transport::Udp,
        },
        counts,
        burst: burst.map(|(lost, of)| BurstLoss::new(lost, of).unwrap()),
        rtt_median_us: answered.then_some(rtt_us),
        rtt,
        up_variation: Histogram::new(),
        down_variation: Histogram::new(),
        up_jitter: jitter,
        down_jitter: None,
        dscp: DscpSeen {
            sent: Dscp::new(46).unwrap(),
            up: None,
            down: None,
            up_changed: 0,
            down_changed: 0,
        },
        sent_by: TimestampMethod::Kernel,
        received_by: TimestampMethod::Kernel,
        source_port: 50_000,
        clock_step_samples: 0,
        receive_queue_drops: 0,
        send_lateness_max_us: 0,
    })
    .unwrap()
}

fn judge(requirement: RequirementProfile, window: &Window) -> WindowVerdict {
    limits_in_force(requirement, UtcMicros(0)).unwrap().judge(window)
}

fn breaches(window: &Window) -> Vec<Breach> {
    let verdict = judge(RequirementProfile::ClientToMicrosoftEdge, window);
    Breach::ALL.iter().copied().filter(|&breach| verdict.breaks(breach)).collect()
}

#[test]
fn each_limit_holds_at_its_edge_and_fails_beyond_it() {
    let calm = Some((1, 10));
    assert_eq!(breaches(&window(7, calm, 100_000, 30_000)), []);
    assert_eq!(breaches(&window(8, calm, 100_000, 30_000)), [Breach::Loss]);
    assert_eq!(breaches(&window(7, calm, 100_001, 30_000)), [Breach::Delay]);
    assert_eq!(breaches(&window(7, calm, 100_000, 30_001)), [Breach::Jitter]);
}

#[test]
fn one_packet_of_ten_is_no_burst_and_two_are() {
    assert_eq!(breaches(&window(2, Some((1, 10)), 10_000, 100)), []);
    assert_eq!(breaches(&window(2, Some((2, 10)), 10_000, 100)), [Breach::Burst]);
    assert_eq!(breaches(&window(2, Some((2, 8)), 10_000, 100)), [Breach::Burst]);
    assert_eq!(breaches(&window(2, Some((2, 20)), 10_000, 100)), []);
}

#[test]
fn a_burst_that_was_not_measured_is_unknown() {
    let verdict = judge(RequirementProfile::ClientToMicrosoftEdge, &window(0, None, 10_000, 100));
    assert_eq!(verdict.burst, Judgement::Unknown);
    assert!(!verdict.bad());
}

#[test]
fn a_limit_finer_than_one_packet_says_nothing_of_one_and_fails_more() {
    let verdict =
        judge(RequirementProfile::SiteEdgeToMicrosoftEdge, &window(1, Some((1, 10)), 10_000, 100));
    assert_eq!((verdict.loss, verdict.burst), (Judgement::Unknown, Judgement::Unknown));
    let half = window(375, Some((10, 10)), 10_000, 100);
    let verdict = judge(RequirementProfile::SiteEdgeToMicrosoftEdge, &half);
    assert!(verdict.breaks(Breach::Loss) && verdict.breaks(Breach::Burst));
    let slow = window(0, None, 60_001, 15_001);
    let verdict = judge(RequirementProfile::SiteEdgeToMicrosoftEdge, &slow);
    assert!(verdict.breaks(Breach::Delay) && verdict.breaks(Breach::Jitter));
}

#[test]
fn a_window_in_which_nothing_came_back_failed_and_is_bad() {
    let silent = window_of(750, 750, None, 0, 0);
    assert!(silent.failed());
    let verdict = judge(RequirementProfile::ClientToMicrosoftEdge, &silent);
    assert!(verdict.bad() && verdict.breaks(Breach::Failed));
}

#[test]
fn a_window_that_sent_too_little_does_not_count() {
    let verdict = judge(
        RequirementProfile::ClientToMicrosoftEdge,
        &window_of(599, 100, Some((5, 10)), 10_000, 100),
    );
    assert!(!verdict.valid && !verdict.bad());
    assert!(
        judge(
            RequirementProfile::ClientToMicrosoftEdge,
            &window_of(600, 100, Some((5, 10)), 10_000, 100)
        )
        .bad()
    );
}

#[test]
fn a_profile_without_limits_gives_no_table() {
    assert!(limits_in_force(RequirementProfile::None, UtcMicros(0)).is_none());
}

mod slots {
    use super::*;
    use crate::{LimitsVersion, Slot, SlotStart};

    fn slot_of(windows: &[Window]) -> Slot {
        let mut slot = Slot::new(SlotStart::from_number(0), LimitsVersion(1));
        for (minute, window) in (0..).zip(windows) {
            let verdict = judge(RequirementProfile::ClientToMicrosoftEdge, window);
            slot.add(UtcMicros::from_secs(60 * minute), window, &verdict);
        }
        slot
    }

    #[test]
    fn a_slot_counts_each_way_of_being_bad() {
        let slot = slot_of(&[
            window(0, Some((0, 10)), 10_000, 100),
            window(20, Some((2, 10)), 10_000, 100),
            window(0, Some((0, 10)), 200_000, 100),
            window_of(100, 0, Some((0, 10)), 10_000, 100),
        ]);
        assert_eq!((slot.valid, slot.invalid, slot.bad), (3, 1, 2));
        assert_eq!(slot.bad_by, [1, 1, 1, 0, 0]);
        assert_eq!((slot.sent, slot.lost()), (2250, 20));
        assert_eq!(slot.loss_ppm.max(), 26_666);
        assert_eq!(slot.worst_burst.map(|worst| worst.burst.lost()), Some(2));
        assert_eq!(slot.rtt_us.count(), 2230);
    }

    #[test]
    fn merging_slots_is_the_same_as_counting_together_in_any_order() {
        let windows: Vec<Window> =
            (0..20).map(|n| window(n % 9, Some((n % 3, 10)), 1_000 * n + 1, 10 * n)).collect();
        let together = slot_of(&windows);
        let (left, right) = windows.split_at(7);
        let mut ab = slot_of(left);
        ab.merge(&slot_of(right));
        let mut ba = slot_of(right);
        ba.merge(&slot_of(left));
        let neutral = |slot: &Slot| Slot { worst_burst: None, ..slot.clone() };
        assert_eq!(neutral(&ab), neutral(&together));
        assert_eq!(neutral(&ba), neutral(&together));
        let share = |slot: &Slot| slot.worst_burst.map(|worst| worst.burst);
        assert_eq!(share(&ab), share(&together));
    }
}
