use busyhour_model::{
    AgentId, Breach, Cause, Change, DailyAverage, Judgement, LinkKind, Mechanism, Segment,
    WorstHour,
};
use jiff::civil::date as on;
use proptest::prelude::*;

use super::*;
use crate::codec::tests::check_cuts;

prop_compose! {
    fn member()(
        path in prop_oneof![any::<i64>(), 0i64..20],
        (building, subnet) in prop_oneof![any::<(u128, u128)>(), (0u128..3, 0u128..3)],
    ) -> IncidentMember {
        IncidentMember {
            path: PathId(path),
            building: BuildingId::from_u128(building),
            subnet: SubnetId::from_u128(subnet),
        }
    }
}

/// One that has everything, each figure another.
fn full() -> Incident {
    Incident {
        id: IncidentId::from_u128(7),
        number: 1 << 40,
        kind: FindingKind::WeeklyPattern,
        place: IncidentPlace::Link(BuildingId::from_u128(1), LinkKind::Wifi),
        segment: Segment::CustomerWan,
        building: BuildingId::from_u128(2),
        members: Vec::new(),
        siblings: Siblings {
            within: 6,
            suffering: 5,
            beside: 4,
            suffering_beside: 3,
            near: 2,
            suffering_near: 1,
        },
        hours: vec![(540, 660), (1_425, 1_440)],
        state: IncidentState::Recovering,
        change: Change::Reopened,
        changed: on(2026, 10, 1),
        merged_into: Some(u64::MAX),
        stale: true,
        first_bad: on(1999, 12, 31),
        last_bad: on(2026, 9, 30),
        bad_days: vec![on(2026, 9, 28), on(2026, 9, 30)],
        observed_days: vec![on(2026, 9, 28), on(2026, 9, 29), on(2026, 9, 30)],
        opened_on: Some(on(2026, 9, 29)),
        closed_on: Some(on(2026, 10, 2)),
        noted: UtcMicros(-1),
        opened: Some(UtcMicros(2)),
        closed: Some(UtcMicros(3)),
        openings: 4,
        severity: 0.25,
        confidence: 0.9,
        cause: Cause::Bandwidth,
        cause_confidence: 0.75,
        mechanism: Mechanism::Queue,
        evidence: vec![
            Evidence { cause: Cause::Bandwidth, weight: 3.2, text: "9 of 9 suffer".to_owned() },
            Evidence { cause: Cause::Wifi, weight: -0.3, text: String::new() },
        ],
        worst_hour: Some(WorstHour {
            start_minute: 600,
            valid: 60,
            bad: 59,
            dominant: Some(Breach::Jitter),
            bad_by: [1, 2, 3, 4, 5],
            loss_ppm: 11,
            loss_ppm_p90: 12,
            rtt_us_p90: 13,
            jitter_us_p90: 14,
            reordered: 15,
            replies: u64::MAX,
            order: Judgement::Fail,
            rating_p10_hundredths: Some(-300),
        }),
        worst_on: Some(on(2026, 9, 30)),
        average: Some(DailyAverage { loss_ppm: 21, rtt_us: 22, jitter_us: 23, passes: true }),
        masked: true,
        masking_factor: Some(22.25),
        sentence: "Grün – between 09:00 and 11:00".to_owned(),
        paragraph: "every number".to_owned(),
        simulated: true,
    }
}

/// One of which as little as possible is known.
fn bare() -> Incident {
    Incident {
        siblings: Siblings::default(),
        hours: Vec::new(),
        merged_into: None,
        stale: false,
        bad_days: Vec::new(),
        observed_days: Vec::new(),
        opened_on: None,
        closed_on: None,
        evidence: Vec::new(),
        worst_hour: None,
        worst_on: None,
        average: None,
        masked: false,
        masking_factor: None,
        sentence: String::new(),
        paragraph: String::new(),
        simulated: false,
        place: IncidentPlace::Agent(AgentId::from_u128(3)),
        ..full()
    }
}

fn columns(incident: &Incident) -> IncidentColumns {
    IncidentColumns {
        id: incident.id,
        number: incident.number,
        kind: incident.kind,
        state: incident.state,
        building: incident.building,
        place: incident.place.clone(),
        noted: incident.noted,
        opened: incident.opened,
        closed: incident.closed,
        openings: incident.openings,
    }
}

fn decode(bytes: &[u8], incident: &Incident) -> Decoded<Incident> {
    decode_incident(bytes, columns(incident), incident.members.clone())
}

#[test]
fn an_incident_survives_exactly_and_not_cut() {
    for incident in [full(), bare()] {
        let bytes = encode_incident(&incident);
        assert_eq!(decode(&bytes, &incident).as_ref(), Ok(&incident));
        check_cuts(&bytes, |bytes| decode(bytes, &incident));
    }
}

/// The members of an upstream's incident are thousands, in some hundred buildings.
#[test]
fn a_member_costs_few_bytes() {
    let member = |n: u32| IncidentMember {
        path: PathId(i64::from(n) * 3),
        building: BuildingId::from_u128((u128::from(n) / 50) << 64),
        subnet: SubnetId::from_u128((u128::from(n) / 25) << 64),
    };
    let members: Vec<_> = (0..5_000).map(member).collect();
    let bytes = encode_members(&members).len();
    assert!(bytes < 5_000 * 5, "{bytes} bytes");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn members_survive_exactly_and_not_cut(members in prop::collection::vec(member(), 0..20)) {
        let bytes = encode_members(&members);
        prop_assert_eq!(decode_members(&bytes), Ok(members));
        check_cuts(&bytes, decode_members);
    }

    #[test]
    fn a_changed_byte_of_an_incident_does_no_harm(at: usize, to: u8) {
        let incident = full();
        let mut bytes = encode_incident(&incident);
        let at = at % bytes.len();
        bytes[at] = to;
        let _ = decode(&bytes, &incident);
    }

    #[test]
    fn random_bytes_of_an_incident_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [&[1], bytes.as_slice()].concat();
        let _ = (decode(&bytes, &bare()), decode_members(&bytes));
    }
}
