use super::in_force;
use crate::{
    AddressFamily, AzureRegion, Breach, BurstLoss, ClockQuality, Dscp, DscpSeen, Histogram, Jitter,
    Judgement, LIMITS, LimitTable, LimitsVersion, Link, LinkKind, OneWayDelay, PacketCounts,
    PathKey, ProfileName, RequirementProfile, TargetName, TimestampMethod, TrafficClass, Transport,
    UtcMicros, Window, WindowParts, WindowVerdict, limits_in_force,
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
        burst: burst.map(|(lost, of)| BurstLoss::new(lost, of).unwrap()),
        rtt_median_us: answered.then_some(rtt_us),
        rtt,
        up_jitter: jitter,
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
        ..WindowParts::new(
            PathKey {
                link: Link::new(LinkKind::Wired, "eth0").unwrap(),
                family: AddressFamily::Ipv4,
                target: TargetName::new("reflector:862").unwrap(),
                class: TrafficClass::Audio,
                profile: ProfileName::new("audio-50").unwrap(),
                transport: Transport::Udp,
            },
            50,
            counts,
        )
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

#[test]
fn each_profile_has_a_word_of_its_own_and_one_table_with_its_source() {
    let mut words: Vec<&str> =
        RequirementProfile::ALL.iter().map(|profile| profile.as_str()).collect();
    assert_eq!(words.len(), 3 + 2 * AzureRegion::ALL.len());
    for (word, profile) in words.iter().zip(RequirementProfile::ALL) {
        assert_eq!(word.parse(), Ok(*profile));
    }
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), RequirementProfile::ALL.len());
    assert!("client-to-azure-atlantis".parse::<RequirementProfile>().is_err());
    for profile in RequirementProfile::ALL {
        let tables: Vec<_> = LIMITS.iter().filter(|table| table.requirement == *profile).collect();
        assert_eq!(tables.len(), usize::from(*profile != RequirementProfile::None), "{profile}");
        for table in tables {
            assert_eq!(table.one_way_us * 2, table.rtt_us, "published as half the round trip");
            assert!(!table.source.document.is_empty() && table.source.published.year() >= 2018);
        }
    }
}

#[test]
fn a_region_has_its_own_delay_and_the_edges_other_limits() {
    let table = |word: &str| *limits_in_force(word.parse().unwrap(), UtcMicros(0)).unwrap();
    let edge = table("client-to-microsoft-edge");
    for (word, rtt_ms) in [
        ("client-to-azure-west-europe", 135),
        ("site-edge-to-azure-west-europe", 95),
        ("client-to-azure-brazil-south", 110),
        ("site-edge-to-azure-canada-central", 138),
        ("client-to-azure-west-us-from-hawaii", 156),
    ] {
        assert_eq!(table(word).rtt_us, rtt_ms * 1_000, "{word}");
    }
    let europe = table("client-to-azure-west-europe");
    assert_eq!((europe.loss_ppm, europe.burst_ppm), (edge.loss_ppm, edge.burst_ppm));
    assert_eq!((europe.jitter_us, europe.one_way_us), (edge.jitter_us, 67_500));
    assert_eq!(europe.reorder_ppm, None, "its source says nothing of order");
    for region in AzureRegion::ALL {
        let of = |profile| limits_in_force(profile, UtcMicros(0)).unwrap().rtt_us;
        let client = of(RequirementProfile::ClientToAzure(*region));
        assert_eq!(client, of(RequirementProfile::SiteEdgeToAzure(*region)) + 40_000);
    }
}

#[test]
fn each_moment_is_judged_by_the_edition_in_force_then() {
    let first = LIMITS[0];
    let second = LimitTable {
        version: LimitsVersion(2),
        in_force_from: UtcMicros::from_secs(1_000),
        loss_ppm: 5_000,
        ..first
    };
    let third = LimitTable { version: LimitsVersion(3), loss_ppm: 2_000, ..second };
    let tables = [second, first, third, LIMITS[1]];
    let at = |at| in_force(&tables, first.requirement, at).map(|table| table.version.0);
    assert_eq!(at(UtcMicros(i64::MIN)), Some(1));
    assert_eq!(at(UtcMicros(999_999_999)), Some(1));
    assert_eq!(at(UtcMicros::from_secs(1_000)), Some(3), "of two at once the higher version");
    let lossy = window(6, Some((1, 10)), 10_000, 100);
    assert_eq!(
        in_force(&tables, first.requirement, UtcMicros(0)).unwrap().judge(&lossy).loss,
        Judgement::Pass
    );
    assert_eq!(second.judge(&lossy).loss, Judgement::Fail);
    assert_eq!(in_force(&tables, RequirementProfile::None, UtcMicros(0)), None);
}

#[test]
fn a_relay_check_never_says_anything_of_loss_bursts_or_jitter() {
    let rated = |rate_pps, lost: u32| {
        let parts = window_of(750, lost, Some((lost.min(10), 10)), 200_000, 90_000).into_parts();
        Window::new(WindowParts { rate_pps, ..parts }).unwrap()
    };
    let verdict = judge(RequirementProfile::ClientToMicrosoftEdge, &rated(9, 400));
    assert_eq!(
        [verdict.loss, verdict.burst, verdict.jitter, verdict.delay],
        [Judgement::Unknown, Judgement::Unknown, Judgement::Unknown, Judgement::Fail]
    );
    let verdict = judge(RequirementProfile::ClientToMicrosoftEdge, &rated(10, 400));
    assert_eq!([verdict.loss, verdict.burst, verdict.jitter], [Judgement::Fail; 3]);
    let silent = window_of(750, 750, None, 0, 0).into_parts();
    let silent = Window::new(WindowParts { rate_pps: 1, ..silent }).unwrap();
    let verdict = judge(RequirementProfile::ClientToMicrosoftEdge, &silent);
    assert!(verdict.breaks(Breach::Failed), "silence is still an outage");
    assert!(!verdict.breaks(Breach::Loss));
}

#[test]
fn a_one_way_delay_is_judged_only_between_synchronised_clocks() {
    let kept = ClockQuality { synchronized: true, error_us: 1_000 };
    let free = ClockQuality { synchronized: false, error_us: 0 };
    let delayed = |up, down, error_us, far| {
        let parts = window(0, Some((0, 10)), 90_000, 100).into_parts();
        let one_way = OneWayDelay { up_median_us: up, down_median_us: down, error_us };
        let one_way = Some(one_way).filter(|_| far == Some(kept));
        Window::new(WindowParts { one_way, clock: kept, far_clock: far, ..parts }).unwrap()
    };
    let table = limits_in_force(RequirementProfile::ClientToMicrosoftEdge, UtcMicros(0)).unwrap();
    for (up, down, error_us, far, expected) in [
        (30_000, 45_000, 5_000, Some(kept), Judgement::Pass),
        (30_000, 45_001, 5_000, Some(kept), Judgement::Unknown),
        (60_000, 30_000, 10_000, Some(kept), Judgement::Unknown),
        (60_001, 30_000, 10_000, Some(kept), Judgement::Fail),
        (-5_000, 95_000, 10_000, Some(kept), Judgement::Fail),
        // Nothing arrives before it is sent: these clocks err by more than they claim.
        (-10_001, 95_000, 10_000, Some(kept), Judgement::Unknown),
        (95_000, -10_001, 10_000, Some(kept), Judgement::Unknown),
        (80_000, 10_000, 0, Some(free), Judgement::Unknown),
        (80_000, 10_000, 0, None, Judgement::Unknown),
    ] {
        let window = delayed(up, down, error_us, far);
        assert_eq!(table.judge_one_way(&window), expected, "{up} {down} {error_us}");
        let expected = if expected == Judgement::Fail { expected } else { Judgement::Pass };
        assert_eq!(table.judge(&window).delay, expected, "by the round trip else");
    }
}

mod slots {
    use super::*;
    use crate::{Figure, Slot, SlotStart};

    #[test]
    fn order_is_judged_over_an_hour_of_slots() {
        let table =
            limits_in_force(RequirementProfile::ClientToMicrosoftEdge, UtcMicros(0)).unwrap();
        let slot = |reordered| {
            let mut slot = slot_of(&[window(0, None, 10_000, 100)]);
            (slot.sent, slot.lost_up, slot.reordered) = (22_500, 11_250, reordered);
            slot
        };
        let mut hour = slot(9);
        assert_eq!(table.judge_reorder(&hour), Judgement::Unknown, "a quarter-hour is too short");
        for _ in 0..3 {
            hour.merge(&slot(9));
        }
        assert_eq!(hour.reordered, 36);
        assert_eq!(table.judge_reorder(&hour), Judgement::Fail);
        hour.reordered = 34;
        assert_eq!(table.judge_reorder(&hour), Judgement::Unknown);
        hour.reordered = 14;
        assert_eq!(table.judge_reorder(&hour), Judgement::Pass);
        let region = "client-to-azure-west-europe".parse().unwrap();
        let region = limits_in_force(region, UtcMicros(0)).unwrap();
        assert_eq!(region.judge_reorder(&hour), Judgement::Unknown, "no limit is published");
        assert_eq!(table.judge_reorder(&slot_of(&[])), Judgement::Unknown);
    }

    fn slot_of(windows: &[Window]) -> Slot {
        let mut slot = Slot::new(SlotStart::from_number(0), LimitsVersion(1));
        for (minute, window) in (0..).zip(windows) {
            let verdict = judge(RequirementProfile::ClientToMicrosoftEdge, window);
            slot.add(UtcMicros::from_secs(60 * minute), window, &verdict);
        }
        slot
    }

    #[test]
    fn windows_too_sparse_for_a_verdict_on_loss_and_jitter_leave_no_figures_of_them() {
        let sparse = |lost| {
            let parts = window(lost, Some((lost.min(10), 10)), 10_000, 90_000).into_parts();
            Window::new(WindowParts { rate_pps: 9, ..parts }).unwrap()
        };
        let mut slot = slot_of(&[sparse(20), sparse(0)]);
        assert!(!slot.is_dense());
        let figures = [Figure::Loss, Figure::Burst, Figure::Jitter, Figure::Rating];
        assert_eq!(figures.map(|figure| slot.figures.count(figure)), [0; 4]);
        assert_eq!(slot.figures.count(Figure::Delay), 2);
        assert_eq!((slot.worst_burst, slot.loss_ratio()), (None, None));
        assert_eq!((slot.valid, slot.sent, slot.lost()), (2, 1_500, 20), "counts stay exact");
        assert_eq!(slot.rtt_us.count(), 1_480);
        assert_eq!(slot.loss_told(), (0, 1_500));
        slot.merge(&slot_of(&[sparse(750), sparse(0)]));
        assert_eq!(slot.loss_told(), (750, 3_000), "an outage is told at any rate");
        slot.reordered = 3_000 - 770;
        let table =
            limits_in_force(RequirementProfile::ClientToMicrosoftEdge, UtcMicros(0)).unwrap();
        assert_eq!(
            table.judge_reorder(&slot),
            Judgement::Unknown,
            "what is sparse cannot overtake"
        );

        let dense = slot_of(&[window(20, None, 10_000, 90_000)]);
        assert!(dense.is_dense());
        assert_eq!([Figure::Loss, Figure::Jitter].map(|f| dense.figures.count(f)), [1, 1]);
        assert_eq!(dense.loss_told(), (20, 750));
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
        assert_eq!(slot.figures.sum(Figure::Loss), 26_667, "rounded up");
        assert_eq!(slot.worst_15s.map(|worst| worst.loss.lost()), Some(20));
        assert_eq!(slot.worst_burst.map(|worst| worst.loss.lost()), Some(2));
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
        // Each half began its minutes anew.
        let neutral = |slot: &Slot| {
            let mut slot = slot.clone();
            (slot.worst_burst, slot.worst_15s) = (None, None);
            slot
        };
        assert_eq!(neutral(&ab), neutral(&together));
        assert_eq!(neutral(&ba), neutral(&together));
        let share = |slot: &Slot| slot.worst_burst.map(|worst| worst.loss);
        assert_eq!(share(&ab), share(&together));
    }
}
