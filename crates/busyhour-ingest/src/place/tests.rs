use busyhour_model::{
    AddressFamily, BootId, BootMicros, Breach, Context, Dscp, DscpSeen, Fact, Gap, GapReason,
    Histogram, Link, LinkKind, Load, PacketCounts, PathKey, ProfileName, Schedule,
    ScheduleRevision, SessionReport, SessionReportParts, Stamp, TimestampMethod, TrafficClass,
    Transport, WindowParts,
};
use busyhour_proto::{PayloadReader, encode_payload};

use super::*;

const NOW: UtcMicros = UtcMicros::from_secs(1_760_000_000);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn target(name: &str) -> TargetName {
    TargetName::new(name).unwrap()
}

fn placer() -> Placer {
    let edge = (target("edge:3478"), RequirementProfile::SiteEdgeToMicrosoftEdge);
    let none = (target("router:862"), RequirementProfile::None);
    let requirements = Requirements::new([edge, none], RequirementProfile::ClientToMicrosoftEdge);
    Placer { requirements, retention: 400 * DAY }
}

fn record(started: UtcMicros, body: Body) -> Record {
    let stamp = Stamp::new(started, BootMicros(5), BOOT, 15_000_000).unwrap();
    Record { stamp, schedule: ScheduleRevision(1), context: Context::default(), body }
}

fn window(target_name: &str, lost: u32) -> Body {
    slow_window(target_name, lost, 20_000)
}

fn slow_window(target_name: &str, lost: u32, rtt_us: u32) -> Body {
    let mut rtt = Histogram::new();
    rtt.record_n(rtt_us, u64::from(750 - lost));
    let parts = WindowParts {
        rtt_median_us: (lost < 750).then_some(rtt_us),
        rtt,
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
                target: target(target_name),
                class: TrafficClass::Audio,
                profile: ProfileName::new("audio-50").unwrap(),
                transport: Transport::Udp,
            },
            50,
            PacketCounts::new(750, 750, [lost, 0, 0], 0, 0).unwrap(),
        )
    };
    Body::Window(Box::new(Window::new(parts).unwrap()))
}

const BOOT: BootId = BootId::from_u128(7);

fn rows_of(payload: Vec<u8>, offset_us: i64) -> BlockRows {
    let arrived = Arrived {
        agent: AgentId::from_u128(1),
        epoch: Epoch(2),
        block: BlockNo(3),
        payload,
        received: NOW,
        clock: ClockOffset::measured(BOOT, offset_us, 1_000),
    };
    placer().rows(&arrived, &mut PayloadReader::default())
}

fn rows(records: &[Record], offset_us: i64) -> BlockRows {
    let schedule = Schedule { revision: ScheduleRevision(1), period_us: 60_000_000 };
    rows_of(encode_payload(records, &[schedule]), offset_us)
}

fn placed(started: UtcMicros) -> Result<UtcMicros, String> {
    let rows = rows(&[record(started, window("far:862", 0))], 0);
    match (&rows.windows[..], &rows.quarantined[..]) {
        ([window], []) => Ok(window.placed),
        ([], [bad]) => {
            assert_eq!(bad.started, Some(started));
            Err(bad.reason.clone())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn late_is_ordinary_and_what_cannot_be_placed_is_quarantined() {
    let year = 365 * DAY;
    for ordinary in
        [NOW, NOW.minus(HOUR), NOW.minus(30 * DAY), NOW.minus(400 * DAY), NOW.plus(MAX_AHEAD)]
    {
        assert_eq!(placed(ordinary), Ok(ordinary));
    }
    let future = placed(NOW.plus(MAX_AHEAD).plus(Duration::from_micros(1))).unwrap_err();
    assert!(future.contains("ten minutes in the future"), "{future}");
    assert_eq!(placed(NOW.plus(year)), Err(future.clone()));
    assert_eq!(placed(UtcMicros(i64::MAX)), Err(future));
    let past = placed(NOW.minus(400 * DAY).minus(Duration::from_micros(1))).unwrap_err();
    assert!(past.contains("older than what is kept"), "{past}");
    assert_eq!(placed(NOW.minus(2 * year)), Err(past.clone()));
    assert_eq!(placed(UtcMicros(i64::MIN)), Err(past));
}

#[test]
fn the_rule_holds_for_every_kind_of_record() {
    let load = || {
        Body::Load(Load {
            interface: "eth0".to_owned(),
            received_bytes: 1,
            sent_bytes: 2,
            received_packets: 3,
            sent_packets: 4,
            link_bits_per_second: None,
        })
    };
    let gap = || Body::Gap(Gap { reason: GapReason::Asleep, path: None, records: None });
    let records = [
        record(NOW.minus(HOUR), load()),
        record(NOW.plus(HOUR), load()),
        record(NOW.minus(HOUR), gap()),
        record(NOW.minus(500 * DAY), gap()),
        record(NOW, window("far:862", 0)),
    ];
    let rows = rows(&records, 0);
    assert_eq!((rows.windows.len(), rows.others.len(), rows.quarantined.len()), (1, 2, 2));
    assert_eq!(rows.others, [records[0].clone(), records[2].clone()]);
    assert_eq!(rows.schedules.len(), 1);
}

#[test]
fn a_wrong_clock_is_corrected_and_the_stamp_kept() {
    let ahead = NOW.plus(2 * HOUR);
    let fact = Body::Fact(Fact {
        kind: "wifi-band".to_owned(),
        value: "5 GHz".to_owned(),
        valid_from: ahead.minus(HOUR),
        valid_until: Some(ahead),
    });
    let rows = rows(&[record(ahead, window("far:862", 0)), record(ahead, fact)], NOW.since(ahead));
    assert_eq!(rows.windows[0].placed, NOW);
    assert_eq!(rows.windows[0].stamp.started, ahead);
    // Whoever reads the others finds them where the windows lie.
    let [other] = &rows.others[..] else { panic!("{rows:?}") };
    assert_eq!((other.stamp.started, other.stamp.started_boot), (NOW, BootMicros(5)));
    let Body::Fact(fact) = &other.body else { panic!("{other:?}") };
    assert_eq!((fact.valid_from, fact.valid_until), (NOW.minus(HOUR), Some(NOW)));
}

#[test]
fn a_session_report_is_placed_and_the_times_of_the_session_are_kept() {
    let ahead = NOW.plus(2 * HOUR);
    let report = SessionReport::new(SessionReportParts {
        listen: "192.0.2.7:862".parse().unwrap(),
        peer: "198.51.100.4:50003".parse().unwrap(),
        ssid: 7,
        first_sequence: 16,
        last_sequence: 765,
        received: 750,
        missing: Vec::new(),
        missing_cut: false,
        first_sent_ns: NOW.0 * 1_000,
        last_sent_ns: (NOW.0 + 14_980_000) * 1_000,
        dropped: 0,
    });
    let body = Body::SessionReport(Box::new(report.unwrap()));
    let rows = rows(&[record(ahead, body.clone())], NOW.since(ahead));
    let [other] = &rows.others[..] else { panic!("{rows:?}") };
    assert_eq!((other.stamp.started, &other.body), (NOW, &body));
}

#[test]
fn records_of_another_boot_are_left_where_they_are() {
    let behind = NOW.minus(2 * HOUR);
    let mut earlier = record(behind, window("far:862", 0));
    earlier.stamp.boot = BootId::from_u128(6);
    let rows = rows(&[earlier, record(behind, window("far:862", 0))], NOW.since(behind));
    assert_eq!((rows.windows[0].placed, rows.windows[1].placed), (behind, NOW));
}

#[test]
fn only_a_quick_exchange_measures_and_only_a_large_difference_counts() {
    let measured = |offset_us, round_trip_us| {
        ClockOffset::measured(BOOT, offset_us, round_trip_us).map(|clock| clock.offset_us)
    };
    assert_eq!(measured(2_000_000, 2_000_000), Some(0));
    assert_eq!(measured(-2_000_000, 0), Some(0));
    assert_eq!(measured(3_000_000, 0), Some(3_000_000));
    assert_eq!(measured(3_000_000, 2_000_001), None);
    assert_eq!(measured(i64::MIN, 0), Some(i64::MIN));
    let rows = rows(&[record(UtcMicros(i64::MAX), window("far:862", 0))], i64::MAX);
    assert_eq!(rows.quarantined.len(), 1);
}

#[test]
fn windows_are_judged_by_the_requirement_of_their_target() {
    // 80 ms: above 60, below 100. 8 of 750 is above 1 %.
    for (target, lost, rtt_us, bad, version) in [
        ("edge:3478", 0, 80_000, true, 1),
        ("far:862", 0, 80_000, false, 1),
        ("far:862", 7, 20_000, false, 1),
        ("far:862", 8, 20_000, true, 1),
        ("far:862", 750, 20_000, true, 1),
        ("router:862", 750, 20_000, false, 0),
    ] {
        let rows = rows(&[record(NOW, slow_window(target, lost, rtt_us))], 0);
        let judged = &rows.windows[0];
        assert_eq!(judged.verdict.bad(), bad, "{target} {lost}");
        assert_eq!(judged.limits, LimitsVersion(version), "{target}");
        let told = placer().requirements.of(&judged.window.path.target, judged.schedule);
        assert_eq!(judged.requirement, told);
        assert!(judged.verdict.valid);
        assert_eq!(judged.verdict.breaks(Breach::Failed), bad && lost == 750);
    }
}

#[test]
fn a_block_that_nobody_can_read_is_quarantined_whole() {
    for payload in [vec![0xff; 10], vec![0; 600_000]] {
        let rows = rows_of(payload, 0);
        assert_eq!((rows.windows.len(), rows.others.len()), (0, 0));
        let [bad] = &rows.quarantined[..] else { panic!("{rows:?}") };
        assert_eq!(bad.started, None);
        assert!(bad.reason.contains("payload"), "{}", bad.reason);
    }
}

#[test]
fn a_bad_record_is_quarantined_with_its_reason_and_spoils_no_other() {
    let mut payload = encode_payload(&[record(NOW, window("far:862", 0))], &[]);
    payload.extend([0x22, 0x02, 0x08, 0x02]);
    let rows = rows_of(payload, 0);
    assert_eq!(rows.windows.len(), 1);
    let [bad] = &rows.quarantined[..] else { panic!("{rows:?}") };
    assert_eq!(bad.started, Some(UtcMicros(1)));
    assert!(bad.reason.contains("boot"), "{}", bad.reason);
}

#[test]
fn what_agents_seal_is_never_too_large_for_a_collector() {
    let policy = busyhour_delivery::SealPolicy::default();
    assert!(policy.max_records as usize <= busyhour_proto::MAX_BLOCK_RECORDS);
    assert!(policy.max_bytes <= busyhour_proto::MAX_PAYLOAD_BYTES / 2);
}
