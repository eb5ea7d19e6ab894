use jiff::civil::date;
use jiff::tz::TimeZone;

use super::*;
use crate::incident::tests::incident as suspicion;
use crate::{
    Building, BuildingId, Cause, DaySummary, DayVerdict, Incident, IncidentId, IncidentMember,
    IncidentState, Judgement, PathId, Scope, Segment, SeverityClass, SubnetId, UtcMicros,
    WorstHour,
};

const HOUR: i64 = 3_600_000_000;
const ONE: IncidentId = IncidentId::from_u128(1);

fn remark(text: &str) -> Remark {
    Remark::new(text).unwrap()
}

fn short(text: &str) -> ShortRemark {
    ShortRemark::new(text).unwrap()
}

fn owner(name: &str) -> Owner {
    Owner { name: short(name), contact: None }
}

/// Open, with one path in a subnet of each building; the subnet has the building's number.
fn open_in(buildings: &[u128]) -> Incident {
    let member = |&building: &u128| IncidentMember {
        path: PathId(i64::try_from(building).unwrap()),
        building: BuildingId::from_u128(building),
        subnet: SubnetId::from_u128(building),
    };
    Incident {
        building: BuildingId::from_u128(buildings[0]),
        members: buildings.iter().map(member).collect(),
        state: IncidentState::Open,
        openings: 1,
        cause: Cause::Wifi,
        ..suspicion()
    }
}

fn places() -> Places {
    let building = |(id, region): (u128, &str)| Building {
        id: BuildingId::from_u128(id),
        name: id.to_string(),
        city: String::new(),
        country: String::new(),
        region: region.to_owned(),
        time_zone: None,
        business_hours: None,
        holidays: std::collections::BTreeSet::new(),
    };
    Places::new(&[(1, "EMEA"), (2, "EMEA"), (3, "APAC"), (4, "")].map(building))
}

fn quiet(number: u64, kind: QuietKind, scope: QuietScope, hours: (i64, i64)) -> Quiet {
    Quiet {
        number,
        kind,
        scopes: vec![scope],
        from: UtcMicros(hours.0 * HOUR),
        until: UtcMicros(hours.1 * HOUR),
        reason: remark("the switch is replaced"),
        by: "eva".to_owned(),
        made: UtcMicros(0),
        ended: None,
    }
}

fn silence(number: u64, scope: QuietScope, hours: (i64, i64)) -> Quiet {
    quiet(number, QuietKind::Silence, scope, hours)
}

fn maintenance(number: u64, building: u128, hours: (i64, i64)) -> Quiet {
    let scope = QuietScope::Building(BuildingId::from_u128(building));
    quiet(number, QuietKind::Maintenance, scope, hours)
}

fn overlay_of(quiets: Vec<Quiet>) -> Overlay {
    Overlay::new(&[], Vec::new(), quiets, places())
}

fn acts_of(deeds: Vec<(u128, u32, Deed)>) -> Overlay {
    let act = |(number, (id, openings, deed)): (u64, (u128, u32, Deed))| IncidentAct {
        number,
        incident: IncidentId::from_u128(id),
        openings,
        at: UtcMicros(HOUR),
        by: "eva".to_owned(),
        deed,
    };
    let acts: Vec<IncidentAct> = (1..).zip(deeds).map(act).collect();
    Overlay::new(&acts, Vec::new(), Vec::new(), places())
}

fn merge_into(id: u128) -> Deed {
    let into = IncidentId::from_u128(id);
    Deed::Merge { into, into_number: 9, reason: remark("the same line") }
}

fn at_hour(hour: i64) -> UtcMicros {
    UtcMicros(hour * HOUR)
}

#[test]
fn a_remark_is_one_paragraph_that_does_nothing_but_say_something() {
    assert_eq!(
        Remark::new("  ticket 7, Müller \u{2013} done ").unwrap().as_str(),
        "ticket 7, Müller \u{2013} done"
    );
    assert_eq!(Remark::new(" \t "), Err(InvalidRemark::Empty));
    for letter in ['\n', '\u{1b}', '\0', '\u{85}', '\u{202e}', '\u{2066}', '\u{200f}'] {
        assert_eq!(Remark::new(&format!("a{letter}b")), Err(InvalidRemark::Control(letter)));
    }
    assert!(ShortRemark::new(&"ü".repeat(ShortRemark::MOST)).is_ok(), "characters, not bytes");
    let long = "ü".repeat(ShortRemark::MOST + 1);
    assert_eq!(ShortRemark::new(&long), Err(InvalidRemark::TooLong(ShortRemark::MOST)));
}

#[test]
fn an_acknowledgement_belongs_to_one_opening() {
    let seen = || Deed::Acknowledge(remark("the provider has a ticket"));
    let stands = |overlay: &Overlay, incident: &Incident| {
        overlay.standing(incident, at_hour(2)).acknowledged.is_some()
    };
    let incident = open_in(&[1]);
    let overlay = acts_of(vec![(1, 1, seen())]);
    assert!(stands(&overlay, &incident));
    let recovering = Incident { state: IncidentState::Recovering, ..incident.clone() };
    assert!(stands(&overlay, &recovering));
    let closed = Incident { state: IncidentState::Closed, ..incident.clone() };
    assert!(!stands(&overlay, &closed), "it is over");
    assert!(!stands(&overlay, &Incident { openings: 2, ..incident.clone() }), "it came back");
    assert!(!stands(&acts_of(vec![(1, 1, seen()), (1, 1, Deed::Unacknowledge)]), &incident));
    assert!(!stands(&acts_of(vec![(2, 1, seen())]), &incident), "another one was meant");
}

#[test]
fn the_most_particular_owner_counts_and_what_was_said_by_hand_before_all() {
    let row = |cause, region: Option<&str>, name: &str| OwnerRow {
        cause,
        region: region.map(short),
        owner: owner(name),
        at: UtcMicros(0),
        by: "eva".to_owned(),
    };
    let mut rows = vec![
        row(Some(Cause::Wifi), Some("EMEA"), "wifi emea"),
        row(Some(Cause::Wifi), None, "wifi"),
        row(None, Some("EMEA"), "emea"),
        row(None, None, "noc"),
    ];
    let name = |rows: &[OwnerRow], acts: &[IncidentAct], incident: &Incident| {
        let overlay = Overlay::new(acts, rows.to_vec(), Vec::new(), places());
        let standing = overlay.standing(incident, at_hour(1));
        (standing.owner.map(|owner| owner.name.to_string()), standing.owner_by_hand)
    };
    let of = |name: &str| (Some(name.to_owned()), false);
    for expected in ["wifi emea", "wifi", "emea", "noc"] {
        assert_eq!(name(&rows, &[], &open_in(&[1, 2])), of(expected));
        rows.remove(0);
    }
    assert_eq!(name(&rows, &[], &open_in(&[1])), (None, false));
    let regional = [row(Some(Cause::Wifi), Some("EMEA"), "wifi emea"), row(None, None, "noc")];
    assert_eq!(name(&regional, &[], &open_in(&[1, 3])), of("noc"), "it is in two regions");
    assert_eq!(name(&regional, &[], &open_in(&[4])), of("noc"), "nobody told the region");
    let vpn = Incident { cause: Cause::Vpn, ..open_in(&[1]) };
    assert_eq!(name(&regional, &[], &vpn), of("noc"));
    let own = |number, deed| IncidentAct {
        number,
        incident: ONE,
        openings: 1,
        at: UtcMicros(0),
        by: "eva".to_owned(),
        deed,
    };
    let mut acts = vec![own(1, Deed::Own(owner("max")))];
    assert_eq!(name(&regional, &acts, &open_in(&[1])), (Some("max".to_owned()), true));
    acts.push(own(2, Deed::Disown));
    assert_eq!(name(&regional, &acts, &open_in(&[1])), of("wifi emea"));
}

#[test]
fn a_part_stands_by_itself_again_when_the_whole_is_over_before_it() {
    let incident = open_in(&[1]);
    let overlay = acts_of(vec![(1, 1, merge_into(2)), (2, 1, merge_into(3))]);
    let root = IncidentId::from_u128(3);
    assert_eq!(overlay.merged(ONE), Some(root), "what it is part of is part of another");
    assert_eq!(overlay.parts_of(root), [ONE, IncidentId::from_u128(2)]);
    assert_eq!(overlay.parts_of(IncidentId::from_u128(2)), [ONE], "though it is a part itself");
    let told = |overlay: &Overlay, incident: &Incident, state| {
        overlay.part_of(incident, |id| (id == root).then_some(state))
    };
    assert_eq!(told(&overlay, &incident, IncidentState::Open), Some(root));
    assert_eq!(told(&overlay, &incident, IncidentState::Closed), None);
    let closed = Incident { state: IncidentState::Closed, ..incident.clone() };
    assert_eq!(told(&overlay, &closed, IncidentState::Closed), Some(root));
    assert_eq!(overlay.part_of(&incident, |_| None), None, "nobody knows it any more");
    let between = |state| {
        overlay
            .part_of(&incident, |id| Some(if id == root { IncidentState::Closed } else { state }))
    };
    assert_eq!(between(IncidentState::Open), Some(IncidentId::from_u128(2)), "the other is over");
    assert_eq!(between(IncidentState::Closed), None);
    let split = acts_of(vec![(1, 1, merge_into(3)), (1, 1, Deed::Split)]);
    assert_eq!(told(&split, &incident, IncidentState::Open), None);
    let circle = acts_of(vec![(1, 1, merge_into(2)), (2, 1, merge_into(1))]);
    assert_ne!(circle.merged(ONE), Some(ONE));
}

#[test]
fn what_is_covered_depends_on_the_scope() {
    let incident = open_in(&[1, 2]);
    let covers = |scope: QuietScope| {
        overlay_of(vec![silence(1, scope, (1, 2))]).cover(&incident, at_hour(1)).is_some()
    };
    let building = |id| QuietScope::Building(BuildingId::from_u128(id));
    assert!(covers(QuietScope::Everything));
    assert!(covers(QuietScope::Region(short("EMEA"))));
    assert!(!covers(QuietScope::Region(short("APAC"))));
    assert!(!covers(building(1)), "the other building has nothing to do with it");
    assert!(!covers(QuietScope::Subnet(SubnetId::from_u128(1))));
    assert!(covers(QuietScope::Incident(ONE)));
    assert!(!covers(QuietScope::Incident(IncidentId::from_u128(2))));
    let within = |id: u128, building| {
        QuietScope::IncidentIn(IncidentId::from_u128(id), BuildingId::from_u128(building))
    };
    assert!(!covers(within(1, 1)), "it is in the other building too");
    let in_both = |id| Quiet {
        scopes: vec![within(id, 1), within(id, 2)],
        ..silence(1, within(id, 1), (1, 2))
    };
    assert!(overlay_of(vec![in_both(1)]).cover(&incident, at_hour(1)).is_some());
    assert!(overlay_of(vec![in_both(2)]).cover(&incident, at_hour(1)).is_none());
    assert!(covers(QuietScope::Cause(Cause::Wifi)));
    assert!(!covers(QuietScope::Cause(Cause::Vpn)));
    let both = Quiet { scopes: vec![building(1), building(2)], ..silence(1, building(1), (1, 2)) };
    assert!(overlay_of(vec![both]).cover(&incident, at_hour(1)).is_some());
    let split = vec![maintenance(1, 1, (1, 3)), maintenance(2, 2, (1, 2))];
    let cover = overlay_of(split).cover(&incident, at_hour(1)).unwrap();
    assert_eq!((cover.until, cover.quiets), (at_hour(2), vec![1, 2]), "until the first one ends");
    let gone = Incident { members: Vec::new(), ..incident };
    let home = overlay_of(vec![silence(1, building(1), (1, 2))]);
    assert!(home.cover(&gone, at_hour(1)).is_some(), "nobody suffers any more");
}

#[test]
fn quiet_times_that_follow_each_other_are_one() {
    let all = QuietScope::Everything;
    let mut quiets = vec![
        silence(1, all.clone(), (1, 3)),
        silence(2, all.clone(), (2, 5)),
        maintenance(3, 1, (5, 6)),
        silence(4, all, (7, 8)),
    ];
    let incident = open_in(&[1]);
    let until = |quiets: &[Quiet], hour| {
        overlay_of(quiets.to_vec()).cover(&incident, at_hour(hour)).map(|cover| cover.until)
    };
    assert_eq!(until(&quiets, 0), None);
    assert_eq!(until(&quiets, 1), Some(at_hour(6)));
    assert_eq!(until(&quiets, 6), None);
    assert_eq!(until(&quiets, 7), Some(at_hour(8)));
    quiets[1].ended = Some((at_hour(4), "max".to_owned()));
    assert_eq!(until(&quiets, 1), Some(at_hour(4)), "it was ended by hand");
    quiets[1].ended = Some((at_hour(0), "max".to_owned()));
    assert_eq!(quiets[1].end(), quiets[1].from, "before it began, it never held");
    assert!(quiets[1].is_over(at_hour(0)) && !quiets[0].is_over(at_hour(0)));
    assert_eq!(until(&quiets, 1), Some(at_hour(3)));
    let kind = |quiets: &[Quiet]| {
        overlay_of(quiets.to_vec()).cover(&incident, at_hour(5)).map(|cover| cover.kind)
    };
    assert_eq!(kind(&quiets), Some(QuietKind::Maintenance));
}

#[test]
fn an_opening_in_a_silence_is_told_at_its_end_when_it_is_still_open() {
    let overlay = overlay_of(vec![silence(1, QuietScope::Everything, (1, 5))]);
    let told = |incident: &Incident, opened: i64, now: i64| {
        let opening = Opening { openings: 1, at: at_hour(opened) };
        overlay.opening_told(incident, opening, &TimeZone::UTC, at_hour(now))
    };
    let open = open_in(&[1]);
    assert_eq!(told(&open, 0, 0), Telling::Now);
    assert_eq!(told(&open, 2, 3), Telling::Later { at: at_hour(5), quiets: vec![1] });
    assert_eq!(told(&open, 0, 3), Telling::Later { at: at_hour(5), quiets: vec![1] });
    assert_eq!(told(&open, 2, 5), Telling::Now);
    let closed = Incident { state: IncidentState::Closed, ..open.clone() };
    assert!(matches!(told(&closed, 2, 5), Telling::Never(_)));
    let again = Incident { openings: 2, ..open };
    assert!(matches!(told(&again, 2, 5), Telling::Never(_)), "its next opening has its own news");
    assert_eq!(told(&closed, 0, 6), Telling::Now, "it opened when nobody was to be spared");
}

#[test]
fn an_opening_in_maintenance_is_told_after_a_bad_day_that_follows_it() {
    // From 20 to 22 o'clock of a Monday in Berlin.
    let begin = 1_790_013_600_000_000 / HOUR;
    let overlay = overlay_of(vec![maintenance(1, 1, (begin, begin + 2))]);
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let told = |last_bad, hours: &[(u16, u16)]| {
        let incident = Incident { last_bad, hours: hours.to_vec(), ..open_in(&[1]) };
        let opening = Opening { openings: 1, at: at_hour(begin + 1) };
        overlay.opening_told(&incident, opening, &berlin, at_hour(begin + 4))
    };
    let (monday, tuesday) = (date(2026, 9, 21), date(2026, 9, 22));
    assert_eq!(told(monday, &[(600, 660)]), Telling::AwaitBadDay, "that was before");
    assert_eq!(told(monday, &[(1_320, 1_380)]), Telling::Now, "its hours begin at the end");
    assert_eq!(told(monday, &[(1_319, 1_380)]), Telling::AwaitBadDay);
    assert_eq!(told(tuesday, &[(600, 660)]), Telling::Now);
}

#[test]
fn what_maintenance_broke_and_is_known_later_waits_as_well() {
    // From 20 to 22 o'clock of a Monday in Berlin; the news of it comes a minute, a day after the end.
    let begin = 1_790_013_600_000_000 / HOUR;
    let overlay = overlay_of(vec![maintenance(1, 1, (begin, begin + 2))]);
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let (monday, tuesday) = (date(2026, 9, 21), date(2026, 9, 22));
    let broken = Incident { last_bad: monday, hours: vec![(1_200, 1_260)], ..open_in(&[1]) };
    let told = |incident: &Incident| {
        let told = [60_000_000, 24 * HOUR].map(|late| {
            let at = UtcMicros(at_hour(begin + 2).0 + late);
            overlay.opening_told(incident, Opening { openings: 1, at }, &berlin, at)
        });
        assert_eq!(told[0], told[1]);
        told[0].clone()
    };
    assert_eq!(told(&broken), Telling::AwaitBadDay);
    let closed = Incident { state: IncidentState::Closed, ..broken.clone() };
    assert!(matches!(told(&closed), Telling::Never(_)));
    let hours = |hours: &[(u16, u16)]| Incident { hours: hours.to_vec(), ..broken.clone() };
    assert_eq!(told(&hours(&[(1_199, 1_260)])), Telling::Now, "it was bad before");
    assert_eq!(told(&hours(&[(1_320, 1_380)])), Telling::Now, "it was bad after the end");
    assert_eq!(told(&hours(&[])), Telling::Now, "nobody knows when");
    assert_eq!(told(&Incident { last_bad: tuesday, ..broken.clone() }), Telling::Now);
    let members = open_in(&[1, 2]).members;
    assert_eq!(told(&Incident { members, ..broken }), Telling::Now, "nobody works in the other");
}

#[test]
fn what_is_closed_is_not_quiet() {
    let overlay = overlay_of(vec![silence(1, QuietScope::Everything, (1, 2))]);
    let quiet =
        |state| overlay.standing(&Incident { state, ..open_in(&[1]) }, at_hour(1)).quiet.is_some();
    assert!(quiet(IncidentState::Open) && quiet(IncidentState::Suspected));
    assert!(!quiet(IncidentState::Closed));
}

#[test]
fn only_a_higher_class_is_worse() {
    let incident = |severity| Incident { severity, ..open_in(&[1]) };
    assert!(got_worse(SeverityClass::Minor, &incident(0.2)));
    assert!(!got_worse(SeverityClass::Major, &incident(0.39)));
    assert!(!got_worse(SeverityClass::Critical, &incident(0.1)));
    let closed = Incident { state: IncidentState::Closed, ..incident(0.9) };
    assert!(!got_worse(SeverityClass::Minor, &closed), "what is over is not worse");
}

/// A path's day whose worst hour had so many bad windows of 60.
fn path_day(path: i64, day: i8, bad: u32) -> DaySummary {
    let hour = WorstHour {
        start_minute: 600,
        valid: 60,
        bad,
        dominant: None,
        bad_by: [0; 5],
        loss_ppm: 0,
        loss_ppm_p90: bad * 1_000,
        rtt_us_p90: bad * 10,
        jitter_us_p90: bad,
        reordered: 0,
        replies: 0,
        order: Judgement::Pass,
        rating_p10_hundredths: None,
    };
    DaySummary {
        scope: Scope::Path(PathId(path)),
        building: BuildingId::from_u128(1),
        date: date(2026, 9, day),
        verdict: if bad > 6 { DayVerdict::PeakBad } else { DayVerdict::Good },
        limits: None,
        expected: 60,
        valid: 60,
        bad,
        worst_hour: Some(hour),
        bad_quarters: Vec::new(),
        average: None,
        masked: false,
        masking_factor: None,
    }
}

#[test]
fn before_and_after_are_the_worst_paths_of_the_bad_days_and_of_those_that_followed() {
    let bad_days = [1, 2, 3].map(|day| date(2026, 9, day)).to_vec();
    let closed = Incident { state: IncidentState::Closed, bad_days, ..open_in(&[1, 2]) };
    let mut days: Vec<DaySummary> = [(1, 30), (2, 36), (3, 24), (4, 3), (5, 0), (6, 9)]
        .map(|(day, bad)| path_day(1, day, bad))
        .to_vec();
    days.extend([(1, 42), (4, 6), (5, 6)].map(|(day, bad)| path_day(2, day, bad)));
    days.push(path_day(9, 2, 60));
    let missing = DaySummary { verdict: DayVerdict::Missing, ..path_day(1, 7, 60) };
    days.push(missing);
    let Proof { before, after } = Proof::new(&closed, &days).unwrap();
    assert_eq!((before.days, before.bad_days, before.bad_share), (3, 3, 0.6));
    assert_eq!((before.loss_ppm, before.rtt_us, before.jitter_us), (36_000, 360, 36));
    assert_eq!((after.days, after.bad_days, after.bad_share), (3, 1, 0.1));
    assert_eq!(Proof::new(&open_in(&[1]), &days), None, "it is not better");
    days.retain(|day| day.date != date(2026, 9, 6));
    assert_eq!(Proof::new(&closed, &days), None, "two days prove nothing");
}

#[test]
fn there_is_something_to_do_about_every_cause_on_every_part_of_the_way() {
    for &cause in Cause::ALL {
        for &segment in Segment::ALL {
            let Remedy { who, steps } = remedy(cause, segment);
            assert!(!who.is_empty() && steps.len() > 1, "{cause} {segment}");
            assert!(steps.iter().all(|step| step.ends_with('.')), "{cause} {segment}");
        }
    }
    assert_ne!(
        remedy(Cause::NotKnown, Segment::Microsoft),
        remedy(Cause::NotKnown, Segment::Unknown)
    );
}
