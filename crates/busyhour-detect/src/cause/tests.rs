//! What is concluded from which evidence.

use busyhour_model::{Breach, IncidentState, LinkKind};
use jiff::civil::{Date, date};

use super::conclude;
use crate::beside::{Beside, HostLoad, MarkedTraffic, MediaCheck, MediaPath, RadioFacts};
use crate::figures::{Counts, Figures};
use crate::finding::{Cause, Change, Finding, FindingKind, Mechanism, Place, Segment, Siblings};
use crate::fleet::{AgentNo, BuildingNo, SeriesNo, SubnetNo, TargetNo, UpstreamNo};
use crate::quarters::Quarters;
use crate::stage::Stage;

const DAY: Date = date(2025, 3, 10);

fn finding(place: Place, members: &[u32]) -> Finding {
    Finding {
        id: 1,
        kind: FindingKind::RecurringPeak,
        place,
        segment: Segment::Unknown,
        home: BuildingNo(0),
        members: members.iter().map(|&no| SeriesNo(no)).collect(),
        siblings: Siblings { within: 4, suffering: 4, beside: 8, ..Siblings::default() },
        hours: Quarters::between(600, 720),
        state: IncidentState::Open,
        change: Change::Opened,
        changed: DAY,
        merged_into: None,
        stale: false,
        first_bad: DAY,
        last_bad: DAY,
        bad_days: vec![DAY],
        observed_days: vec![DAY],
        opened: Some(DAY),
        closed: None,
        openings: 1,
        severity: 0.3,
        confidence: 0.95,
        cause: Cause::NotKnown,
        cause_confidence: 0.0,
        mechanism: Mechanism::NotKnown,
        evidence: Vec::new(),
        sentence: String::new(),
        paragraph: String::new(),
    }
}

fn figures(by: Breach, peak_rtt_us: u32) -> Figures {
    let mut peak = Counts { valid: 600, bad: 200, sent: 450_000, lost: 2_400, ..Counts::default() };
    peak.bad_by[by as usize] = 200;
    Figures {
        peak,
        peak_rtt_us: Some(peak_rtt_us),
        quiet_rtt_us: Some(20_000),
        peak_jitter_us: Some(35_000),
        quiet_jitter_us: Some(1_000),
        ..Figures::default()
    }
}

#[test]
fn a_region_is_nobodys_network_and_a_target_of_ones_own_is_not_microsofts() {
    let mut stage = Stage::street(2, 1);
    stage.fleet.targets = vec!["edge".to_owned(), "own".to_owned()];
    let lost = figures(Breach::Loss, 32_000);
    let told = |stage: &Stage, place| {
        let found = conclude(&stage.fleet, &finding(place, &ALL), &lost, &Beside::default());
        (found.segment, found.cause)
    };
    let upstream = Place::Upstream(UpstreamNo(0));
    assert_eq!(told(&stage, upstream), (Segment::Provider, Cause::Provider));
    stage.fleet.regions.insert(UpstreamNo(0));
    assert_eq!(told(&stage, upstream), (Segment::Unknown, Cause::NotKnown));
    stage.fleet.microsoft.insert(TargetNo(0));
    assert_eq!(told(&stage, Place::Target(TargetNo(0))).0, Segment::Microsoft);
    assert_eq!(told(&stage, Place::Target(TargetNo(1))).0, Segment::Unknown);
}

/// The cause, the mechanism and the segment of a finding at a place.
fn check(place: Place, members: &[u32], figures: &Figures, beside: &Beside) -> (Cause, Mechanism) {
    let stage = Stage::street(2, 1);
    let found = conclude(&stage.fleet, &finding(place, members), figures, beside);
    (found.cause, found.mechanism)
}

const HOUSE: Place = Place::Building(BuildingNo(0));
const ALL: [u32; 4] = [0, 1, 2, 3];

#[test]
fn each_place_has_its_likely_cause() {
    let lost = figures(Breach::Loss, 32_000);
    let none = Beside::default();
    let cause = |place, members: &[u32]| check(place, members, &lost, &none).0;
    assert_eq!(cause(HOUSE, &ALL), Cause::Bandwidth);
    assert_eq!(cause(Place::Upstream(UpstreamNo(0)), &ALL), Cause::Provider);
    assert_eq!(cause(Place::Vpn(UpstreamNo(1)), &[3, 7]), Cause::Vpn);
    assert_eq!(cause(Place::Link(BuildingNo(0), LinkKind::Wifi), &[2, 6]), Cause::Wifi);
    assert_eq!(cause(Place::Subnet(SubnetNo(0), None), &[0, 1]), Cause::SubnetOrNetworkDevice);
    assert_eq!(cause(Place::Subnet(SubnetNo(2), None), &[2]), Cause::Wifi);
    assert_eq!(cause(Place::Unplaced(BuildingNo(0)), &[0]), Cause::NotKnown);
}

#[test]
fn a_place_alone_names_no_cause() {
    let none = Beside::default();
    // Nothing waits: a link that is full, one that is policed and a bad cable all look like this.
    let lost = Figures { peak_jitter_us: Some(4_000), ..figures(Breach::Loss, 20_000) };
    assert_eq!(check(HOUSE, &ALL, &lost, &none).0, Cause::NotKnown);
    // One machine of a subnet, one on the air, one tunnel: it may be the machine.
    let subnet = Place::Subnet(SubnetNo(0), None);
    assert_eq!(check(subnet, &[0], &lost, &none).0, Cause::NotKnown);
    assert_eq!(check(subnet, &[0, 1], &lost, &none).0, Cause::SubnetOrNetworkDevice);
    assert_eq!(check(Place::Subnet(SubnetNo(2), None), &[2], &lost, &none).0, Cause::NotKnown);
    assert_eq!(check(Place::Vpn(UpstreamNo(1)), &[3], &lost, &none).0, Cause::NotKnown);
    // A queue is none of a machine's, irregular delay may be.
    let waits = figures(Breach::Loss, 32_000);
    assert_eq!(check(subnet, &[0], &waits, &none).0, Cause::SubnetOrNetworkDevice);
    assert_eq!(check(subnet, &[0], &figures(Breach::Jitter, 32_000), &none).0, Cause::NotKnown);
}

#[test]
fn of_a_place_that_is_not_sure_nothing_follows() {
    let stage = Stage::street(2, 1);
    let full = figures(Breach::Loss, 32_000);
    let cause = |confidence: f64| {
        let finding = Finding { confidence, ..finding(HOUSE, &ALL) };
        conclude(&stage.fleet, &finding, &full, &Beside::default()).cause
    };
    assert_eq!(cause(0.88), Cause::Bandwidth);
    assert_eq!(cause(0.62), Cause::Bandwidth, "it is likely");
    assert_eq!(cause(0.58), Cause::NotKnown);
}

#[test]
fn a_machine_that_keeps_up_does_not_lose_what_the_wire_to_it_loses() {
    let none = Beside::default();
    let subnet = Place::Subnet(SubnetNo(0), None);
    let lost = |jitter_us| {
        let figures = figures(Breach::Loss, 20_000);
        Figures { peak_jitter_us: Some(jitter_us), ..figures }
    };
    let cause = |figures: &Figures, no: u32| {
        check(Place::Subnet(SubnetNo(no), None), &[no], figures, &none).0
    };
    assert_eq!(cause(&lost(1_200), 0), Cause::SubnetOrNetworkDevice);
    assert_eq!(cause(&lost(3_500), 0), Cause::NotKnown, "what arrives is late as well");
    assert_eq!(cause(&lost(1_200), 2), Cause::NotKnown, "the air loses on time, too");
    assert_eq!(cause(&Figures { peak_jitter_us: None, ..lost(0) }, 0), Cause::NotKnown);
    let stage = Stage::street(2, 1);
    let found = conclude(&stage.fleet, &finding(subnet, &[0]), &lost(1_200), &none);
    let text: Vec<&str> = found.evidence.iter().map(|one| one.text.as_str()).collect();
    let words = "what is not lost comes on time (jitter is 1.2 ms against 1.0 ms): \
                 the machine keeps up";
    assert!(text.contains(&words), "{text:?}");
}

#[test]
fn irregular_times_on_a_wire_at_all_hours_are_the_machines() {
    let stage = Stage::street(2, 1);
    let uneven = Figures { quiet_jitter_us: Some(34_000), ..figures(Breach::Jitter, 20_000) };
    let constant =
        |place, no: u32| Finding { kind: FindingKind::ConstantFault, ..finding(place, &[no]) };
    let cause = |finding: &Finding, figures: &Figures| {
        conclude(&stage.fleet, finding, figures, &Beside::default()).cause
    };
    let subnet = |no: u32| constant(Place::Subnet(SubnetNo(no), None), no);
    assert_eq!(cause(&subnet(0), &uneven), Cause::Device);
    assert_eq!(cause(&constant(Place::Agent(AgentNo(0)), 0), &uneven), Cause::Device);
    assert_ne!(cause(&subnet(2), &uneven), Cause::Device, "over the air they may be the air's");
    let at_peak = finding(Place::Subnet(SubnetNo(0), None), &[0]);
    assert_eq!(cause(&at_peak, &uneven), Cause::NotKnown, "load may do that");
    let mut lossy = uneven.clone();
    lossy.peak.bad_by[Breach::Loss as usize] = 200;
    assert_ne!(cause(&subnet(0), &lossy), Cause::Device, "a machine loses nothing by that");
}

#[test]
fn paths_to_the_edge_tell_inside_from_outside() {
    let stage = Stage::street(2, 1);
    let lost = figures(Breach::Loss, 32_000);
    let of = |near, suffering_near| {
        let subnet = finding(Place::Subnet(SubnetNo(0), None), &[0]);
        let siblings = Siblings { near, suffering_near, ..subnet.siblings };
        let finding = Finding { siblings, ..subnet };
        let found = conclude(&stage.fleet, &finding, &lost, &Beside::default());
        let own = |one: &&crate::finding::Evidence| one.cause == Cause::SubnetOrNetworkDevice;
        found.evidence.iter().filter(own).map(|one| one.weight).sum::<f64>()
    };
    assert!(of(1, 1) > of(0, 0) && of(0, 0) > of(1, 0));
}

#[test]
fn no_more_than_all_marks_are_changed_on_the_way() {
    let stage = Stage::street(2, 1);
    let mut both_ways = figures(Breach::Loss, 32_000);
    both_ways.peak.remarked = both_ways.peak.sent * 2;
    let found = conclude(&stage.fleet, &finding(HOUSE, &ALL), &both_ways, &Beside::default());
    let marks = found.evidence.iter().find(|one| one.cause == Cause::Qos).unwrap();
    assert_eq!(marks.text, "100 % of the packets had their mark changed on the way");
}

#[test]
fn the_mechanism_follows_from_delay_loss_and_silence() {
    let none = Beside::default();
    let mechanism = |figures: &Figures| check(HOUSE, &ALL, figures, &none).1;
    assert_eq!(mechanism(&figures(Breach::Loss, 32_000)), Mechanism::Queue);
    assert_eq!(mechanism(&figures(Breach::Loss, 21_000)), Mechanism::Drop);
    assert_eq!(mechanism(&figures(Breach::Failed, 32_000)), Mechanism::Outage);
    let follows = Figures { delay_with_loss: Some(400), ..figures(Breach::Loss, 23_000) };
    assert_eq!(mechanism(&follows), Mechanism::Queue);
    assert_eq!(mechanism(&figures(Breach::Loss, 23_000)), Mechanism::NotKnown);
    assert_eq!(mechanism(&Figures::default()), Mechanism::NotKnown);
    let on_air =
        check(Place::Subnet(SubnetNo(2), None), &[2], &figures(Breach::Jitter, 40_000), &none);
    assert_eq!(on_air.1, Mechanism::Radio);
}

#[test]
fn a_machine_that_is_full_is_the_machine_and_one_that_is_idle_is_not_the_measuring() {
    let lost = figures(Breach::Loss, 20_500);
    let place = Place::Agent(AgentNo(0));
    let with = |busy: f64| Beside {
        hosts: vec![HostLoad { agent: AgentNo(0), date: DAY, busy }],
        ..Beside::default()
    };
    assert_eq!(check(place, &[0], &lost, &with(0.97)).0, Cause::CollectorOrAgent);
    assert_eq!(check(place, &[0], &lost, &with(0.2)).0, Cause::Device);
    let elsewhere = Beside {
        hosts: vec![HostLoad { agent: AgentNo(5), date: DAY, busy: 0.97 }],
        ..Beside::default()
    };
    let same = check(place, &[0], &lost, &Beside::default());
    assert_eq!(check(place, &[0], &lost, &elsewhere), same, "another machine says nothing");
}

#[test]
fn checks_and_marks_outweigh_the_place() {
    let lost = figures(Breach::Loss, 32_000);
    let blocked = |seen| Beside {
        checks: vec![MediaCheck { building: BuildingNo(0), date: DAY, seen }],
        ..Beside::default()
    };
    let unsure = Place::Unplaced(BuildingNo(0));
    assert_eq!(
        check(unsure, &ALL, &lost, &blocked(MediaPath::UdpBlocked)).0,
        Cause::FirewallOrProxy
    );
    assert_eq!(check(HOUSE, &ALL, &lost, &blocked(MediaPath::Open)).0, Cause::Bandwidth);
    let marks = |marked_bad, mark_lost| Beside {
        marks: vec![MarkedTraffic {
            series: SeriesNo(0),
            date: DAY,
            marked_bad,
            unmarked_bad: 0.3,
            mark_lost,
        }],
        ..Beside::default()
    };
    assert_eq!(check(unsure, &ALL, &lost, &marks(0.3, 0.9)).0, Cause::Qos);
    assert_eq!(check(HOUSE, &ALL, &lost, &marks(0.02, 0.0)).0, Cause::Bandwidth);
}

#[test]
fn what_the_adapter_saw_makes_the_air_likelier() {
    let lost = figures(Breach::Burst, 20_500);
    let facts = RadioFacts {
        series: SeriesNo(2),
        date: DAY,
        signal_dbm: Some(-78),
        channel_busy: Some(0.8),
        retries: Some(0.3),
        roams: None,
    };
    let unsure = Place::Unplaced(BuildingNo(0));
    assert_eq!(check(unsure, &[2], &lost, &Beside::default()).0, Cause::NotKnown);
    let seen = Beside { radio: vec![facts], ..Beside::default() };
    assert_eq!(check(unsure, &[2], &lost, &seen).0, Cause::Wifi);
    let on_another_day = RadioFacts { date: date(2025, 3, 11), ..facts };
    let seen = Beside { radio: vec![on_another_day], ..Beside::default() };
    assert_eq!(check(unsure, &[2], &lost, &seen).0, Cause::NotKnown);
}

#[test]
fn evidence_comes_heaviest_first_with_its_figures() {
    let stage = Stage::street(2, 1);
    let lost = figures(Breach::Loss, 32_000);
    let found = conclude(&stage.fleet, &finding(HOUSE, &ALL), &lost, &Beside::default());
    let weights: Vec<f64> = found.evidence.iter().map(|one| one.weight.abs()).collect();
    assert!(weights.is_sorted_by(|a, b| a >= b), "{weights:?}");
    let text: String = found.evidence.iter().map(|one| one.text.as_str()).collect();
    assert!(text.contains("12 ms longer") && text.contains("32 ms against 20 ms"), "{text}");
    assert_eq!(found.segment, Segment::CustomerWan);
    assert!(found.confidence > 0.6);
}
