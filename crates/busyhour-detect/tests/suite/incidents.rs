//! The life of incidents.

use busyhour_detect::{
    BuildingHistory, IncidentChange, Member, SubnetName, Told, judge_incidents, retire_incident,
};
use busyhour_model::{
    AgentId, Breach, DailyAverage, DaySummary, DayVerdict, Incident, IncidentState, LinkKind,
    Scope, SubnetId, UtcMicros, WorstHour,
};
use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday, date};
use proptest::prelude::*;

use crate::support::BUILDING;

const WIRED: LinkKind = LinkKind::Wired;
const WIFI: LinkKind = LinkKind::Wifi;

/// A Friday.
fn friday() -> Date {
    date(2026, 3, 13)
}

fn subnet(id: u128) -> SubnetId {
    SubnetId::from_u128(id)
}

fn day(scope: Scope, date: Date, bad_at: Option<u16>) -> DaySummary {
    let bad = bad_at.is_some();
    let worst_hour = WorstHour {
        start_minute: bad_at.unwrap_or(480),
        valid: 60,
        bad: if bad { 57 } else { 0 },
        dominant: bad.then_some(Breach::Loss),
        loss_ppm: if bad { 22_000 } else { 0 },
        loss_ppm_p90: if bad { 29_000 } else { 0 },
        rtt_us_p90: 21_000,
        jitter_us_p90: 2_000,
    };
    DaySummary {
        scope,
        building: BUILDING,
        date,
        verdict: if bad { DayVerdict::PeakBad } else { DayVerdict::Good },
        expected: 600,
        valid: 590,
        bad: 0,
        worst_hour: Some(worst_hour),
        bad_quarters: bad_at.map_or_else(Vec::new, |at| vec![at, at + 15, at + 30, at + 45]),
        average: Some(DailyAverage {
            loss_ppm: 2_400,
            rtt_us: 20_000,
            jitter_us: 2_000,
            passes: true,
        }),
        masked: bad,
        masking_factor: bad.then_some(29_000.0 / 2_400.0),
    }
}

/// A unit's days, oldest first and one a day up to `until`: `B` bad at 10, `L` bad at 15, `.` good,
/// `?` missing, and weekends are skipped.
fn unit(id: u128, link: LinkKind, until: Date, marks: &str) -> Vec<DaySummary> {
    let mut date = until;
    let mut days = Vec::new();
    for mark in marks.chars().rev() {
        while matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) {
            date = date.yesterday().unwrap();
        }
        let (scope, agent) = (
            Scope::Subnet(subnet(id), link),
            Scope::Agent(AgentId::from_u128(id * 10 + link as u128), link),
        );
        for scope in [scope, agent] {
            match mark {
                'B' => days.push(day(scope, date, Some(600))),
                'L' => days.push(day(scope, date, Some(900))),
                '.' => days.push(day(scope, date, None)),
                _ => {}
            }
        }
        date = date.yesterday().unwrap();
    }
    days
}

fn changes_at(
    days: &[DaySummary],
    incidents: &[Incident],
    today: Date,
    now_secs: i64,
) -> Vec<IncidentChange> {
    let members: Vec<Member> = (1..=3)
        .flat_map(|id| [(id, WIRED), (id, WIFI)])
        .map(|(id, link)| Member {
            agent: AgentId::from_u128(id * 10 + link as u128),
            subnet: subnet(id),
            simulated: id == 3,
        })
        .collect();
    let subnets: Vec<SubnetName> = (1..=3)
        .map(|id| SubnetName { subnet: subnet(id), name: format!("Level {id} (10.0.{id}.0/24)") })
        .collect();
    judge_incidents(&BuildingHistory {
        building: BUILDING,
        name: "Berlin HQ",
        subnets: &subnets,
        members: &members,
        today,
        now: UtcMicros::from_secs(now_secs),
        days,
        incidents,
    })
}

fn changes(days: &[DaySummary], incidents: &[Incident]) -> Vec<IncidentChange> {
    changes_at(days, incidents, friday(), 1_773_400_000)
}

/// What is told for one unit's days without earlier incidents.
fn told(marks: &str) -> Option<Told> {
    let found = changes(&unit(1, WIRED, friday(), marks), &[]);
    assert!(found.len() <= 1);
    found.first().and_then(|change| change.told)
}

fn open(days: &[DaySummary]) -> Incident {
    let found = changes(days, &[]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].told, Some(Told::Opened));
    found[0].incident.clone()
}

#[test]
fn three_of_the_last_five_observed_days_open_an_incident() {
    for (marks, opens) in [
        ("BBB", true),
        ("BB", false),
        ("..BBB", true),
        ("B.B.B", true),
        ("BB..B", true),
        ("BBB..", true),
        ("BB...B", false),
        ("BBB...", false),
        ("B?B?B", true),
        ("?????", false),
        (".....", false),
        ("LLBB.", false),
        ("LBLBL", true),
    ] {
        assert_eq!(told(marks) == Some(Told::Opened), opens, "{marks}");
    }
}

#[test]
fn an_incident_says_where_when_and_since_when() {
    let incident = open(&unit(1, WIRED, friday(), "..BBBB"));
    assert_eq!(incident.scope, Scope::Subnet(subnet(1), WIRED));
    assert_eq!((incident.subnet, incident.link), (Some(subnet(1)), None));
    assert_eq!((incident.from_minute, incident.until_minute), (600, 660));
    assert_eq!((incident.first_bad, incident.last_bad), (date(2026, 3, 10), friday()));
    assert_eq!((incident.bad_days, incident.observed_days), (4, 5));
    assert!(incident.masked && !incident.simulated);
}

#[test]
fn judging_again_changes_nothing_and_a_new_bad_day_tells_nothing() {
    let days = unit(1, WIRED, friday(), "..BBB");
    let incident = open(&days);
    assert_eq!(changes(&days, std::slice::from_ref(&incident)), []);
    let more = unit(1, WIRED, date(2026, 3, 16), "..BBBB");
    let found =
        changes_at(&more, std::slice::from_ref(&incident), date(2026, 3, 16), 1_773_700_000);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].told, found[0].incident.id), (None, incident.id));
    assert_eq!(found[0].incident.bad_days, 4);
    assert_eq!(found[0].incident.opened, incident.opened);
}

#[test]
fn it_recovers_and_closes_by_its_own_hours() {
    let incident = open(&unit(1, WIRED, friday(), "..BBB"));
    let after = |marks: &str, days: i64| {
        let today = friday().checked_add(days.days()).unwrap();
        let found = changes_at(
            &unit(1, WIRED, today, marks),
            std::slice::from_ref(&incident),
            today,
            1_773_400_000 + days * 86_400,
        );
        found.first().map(|change| (change.incident.state, change.told))
    };
    let (open, recovering, closed) =
        (IncidentState::Open, IncidentState::Recovering, IncidentState::Closed);
    assert_eq!(after("..BBB..", 4), Some((open, None)));
    assert_eq!(after("..BBB...", 5), Some((recovering, None)));
    assert_eq!(after("..BBB....", 6), Some((closed, Some(Told::Closed))));
    // Trouble at other hours neither keeps it nor is it the same: three days of it are another.
    assert_eq!(after("..BBB..LL", 6), Some((closed, Some(Told::Closed))));
    assert_eq!(after("..BBB????", 6), None, "unknown closes nothing");
}

#[test]
fn what_is_over_when_first_seen_opens_nothing() {
    let days = unit(1, WIRED, date(2026, 3, 2), "BBBBB");
    assert_eq!(changes(&days, &[]), []);
    assert_eq!(told("BBBBB....."), None);
}

#[test]
fn it_keeps_its_identity_when_it_turns_out_to_be_the_buildings() {
    let mut days = unit(1, WIRED, friday(), "..BBB");
    let incident = open(&days);
    days.extend(unit(2, WIRED, friday(), "..BBB"));
    days.extend(unit(2, WIFI, friday(), "..BBB"));
    let found = changes(&days, std::slice::from_ref(&incident));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].told, found[0].incident.id), (None, incident.id));
    assert_eq!(found[0].incident.scope, Scope::Building(BUILDING));
    assert_eq!((found[0].incident.subnet, found[0].incident.link), (None, None));
}

#[test]
fn subnets_incidents_become_one_when_the_building_shares_them() {
    let days: Vec<_> = [
        unit(1, WIRED, friday(), "..BBB"),
        unit(2, WIRED, friday(), "..BBB"),
        unit(3, WIRED, friday(), "....."),
    ]
    .concat();
    let both: Vec<Incident> = changes(&days, &[]).into_iter().map(|c| c.incident).collect();
    assert_eq!(both.len(), 2);
    let shared: Vec<_> = [
        unit(1, WIRED, friday(), "..BBB"),
        unit(2, WIRED, friday(), "..BBB"),
        unit(3, WIRED, friday(), "..BBB"),
    ]
    .concat();
    let found = changes(&shared, &both);
    assert!(found.iter().all(|change| change.told.is_none()));
    let states: Vec<_> = found
        .iter()
        .map(|change| (change.incident.subnet.is_none(), change.incident.state))
        .collect();
    assert_eq!(states, [(true, IncidentState::Open), (false, IncidentState::Closed)]);
}

#[test]
fn wifi_is_named_when_the_wired_sibling_is_good() {
    let days: Vec<_> = [
        unit(1, WIRED, friday(), "....."),
        unit(1, WIFI, friday(), "..BBB"),
        unit(2, WIRED, friday(), "....."),
    ]
    .concat();
    let incident = open(&days);
    assert_eq!(incident.scope, Scope::Subnet(subnet(1), WIFI));
    assert_eq!(incident.link, Some(WIFI));
    assert!(incident.sentence.contains("on Wi-Fi only"), "{}", incident.sentence);
}

#[test]
fn what_comes_back_within_three_weeks_is_the_same_incident() {
    let incident = open(&unit(1, WIRED, friday(), "..BBB"));
    let closed_at = |days: i64| UtcMicros::from_secs(1_773_400_000 - days * 86_400);
    let reopened = |days: i64| {
        let mut closed = incident.clone();
        closed.state = IncidentState::Closed;
        closed.closed = Some(closed_at(days));
        let found = changes(&unit(1, WIRED, friday(), "..BBB"), &[closed]);
        assert_eq!((found.len(), found[0].told), (1, Some(Told::Opened)));
        found[0].incident.id == incident.id
    };
    assert!(reopened(20));
    // Judged at the same moment it would derive the same identity; a later one is another.
    let mut closed = incident.clone();
    closed.state = IncidentState::Closed;
    closed.closed = Some(closed_at(22));
    let found = changes_at(&unit(1, WIRED, friday(), "..BBB"), &[closed], friday(), 1_773_400_001);
    assert_ne!(found[0].incident.id, incident.id);
}

#[test]
fn simulated_agents_make_simulated_incidents() {
    assert!(open(&unit(3, WIRED, friday(), "..BBB")).simulated);
}

#[test]
fn the_sentence_is_plain_and_complete() {
    let incident = open(&unit(1, WIRED, friday(), "..BBB"));
    assert_eq!(
        incident.sentence,
        "Berlin HQ, Level 1 (10.0.1.0/24): words go missing in calls between 10:00 and 11:00 local \
         time on workdays, on 3 of the last 5 observed business days, since Wednesday 11 March \
         2026. In the worst hour of Friday 13 March 2026 (10:00–11:00), 57 of 60 checks missed the \
         limits for calls, and one in ten lost 2.9 % of its packets or more. The daily average \
         would have said that all is well: 0.24 % loss; one in ten of the worst hour had 12 times \
         that or more. Only one agent observes it."
    );
}

#[test]
fn weekdays_are_named_when_others_are_spared() {
    // Whole weeks, Monday to Friday.
    for (marks, expected) in [
        ("BBBBBBBBBB", " on workdays,"),
        ("B.B.B.B.B.B.B.B", " on workdays,"),
        ("B.B.BB.B.BB.B.B", " on Mondays, Wednesdays and Fridays,"),
    ] {
        let incident = open(&unit(1, WIRED, friday(), marks));
        assert!(incident.sentence.contains(expected), "{marks}: {}", incident.sentence);
    }
}

#[test]
fn the_sentence_says_when_it_may_be_older_than_the_data() {
    let since = |marks| {
        let incident = open(&unit(1, WIRED, friday(), marks));
        incident.sentence.contains("since at least Wednesday 11 March 2026")
    };
    assert!(since("BBB"));
    assert!(!since(".BBB"));
}

/// The last days of the wired unit 1, each bad in the hours that begin at these minutes; the worst
/// hour is the last one named.
fn bad_in(hours: &[&[u16]]) -> Vec<DaySummary> {
    let mut days = unit(1, WIRED, friday(), &"B".repeat(hours.len()));
    for (of_day, starts) in days.chunks_mut(2).zip(hours.iter().rev()) {
        for day in of_day {
            day.bad_quarters =
                starts.iter().flat_map(|&at| [at, at + 15, at + 30, at + 45]).collect();
            day.bad_quarters.sort_unstable();
            let worst = day.worst_hour.as_mut().unwrap();
            worst.start_minute = *starts.last().unwrap();
        }
    }
    days
}

#[test]
fn hours_within_45_minutes_of_each_other_overlap_and_no_others() {
    let hours = |starts: &[u16]| {
        let starts: Vec<[u16; 1]> = starts.iter().map(|&at| [at]).collect();
        let days: Vec<&[u16]> = starts.iter().map(|at| &at[..]).collect();
        let found = changes(&bad_in(&days), &[]);
        found.first().map(|c| (c.incident.from_minute, c.incident.until_minute))
    };
    assert_eq!(hours(&[600, 600, 600]), Some((600, 660)));
    assert_eq!(hours(&[600, 615, 630]), Some((615, 675)), "bad on two of the days");
    // Ends at ten, begins at half past eleven: nothing was bad between.
    assert_eq!(hours(&[540, 540, 690]), None);
    // The gap between them is half an hour.
    assert_eq!(hours(&[540, 540, 630]), Some((585, 600)));
    assert_eq!(hours(&[540, 540, 645]), None);
}

#[test]
fn two_stretches_are_both_named() {
    let incident = open(&bad_in(&[&[600, 840], &[600, 840], &[600, 840]]));
    assert_eq!((incident.from_minute, incident.until_minute), (600, 660));
    assert_eq!(incident.worst_hour.unwrap().start_minute, 840);
    let named = "between 10:00 and 11:00 and between 14:00 and 15:00 local time on workdays,";
    assert!(incident.sentence.contains(named), "{}", incident.sentence);
}

#[test]
fn the_worst_hour_named_is_one_of_its_own_hours() {
    // On Friday it was worst at 14:00, which happened only once.
    let days = bad_in(&[&[600], &[600], &[600, 840]]);
    let incident = open(&days);
    assert_eq!((incident.from_minute, incident.until_minute), (600, 660));
    assert_eq!(incident.last_bad, friday());
    assert_eq!(incident.worst_hour.unwrap().start_minute, 600);
    let named = "In the worst hour of Thursday 12 March 2026 (10:00–11:00)";
    assert!(incident.sentence.contains(named), "{}", incident.sentence);
    // Where every day was worst elsewhere none is named.
    let incident = open(&bad_in(&[&[600, 900], &[600, 780], &[600, 1020]]));
    assert_eq!((incident.worst_hour, incident.masking_factor), (None, None));
    assert!(!incident.sentence.contains("worst hour"), "{}", incident.sentence);
}

#[test]
fn what_rests_on_an_agent_nobody_knows_is_simulated() {
    let days = unit(1, WIRED, friday(), "..BBB");
    let names = [SubnetName { subnet: subnet(1), name: "Level 1".to_owned() }];
    let simulated = |members: &[(u128, u128, bool)]| {
        let members: Vec<Member> = members
            .iter()
            .map(|&(agent, at, simulated)| Member {
                agent: AgentId::from_u128(agent),
                subnet: subnet(at),
                simulated,
            })
            .collect();
        let found = judge_incidents(&BuildingHistory {
            building: BUILDING,
            name: "Berlin HQ",
            subnets: &names,
            members: &members,
            today: friday(),
            now: UtcMicros::from_secs(1_773_400_000),
            days: &days,
            incidents: &[],
        });
        found[0].incident.simulated
    };
    let agent = 10 + WIRED as u128;
    assert!(!simulated(&[(agent, 1, false)]));
    assert!(simulated(&[(agent, 1, true)]));
    assert!(!simulated(&[(agent, 1, false), (99, 2, true)]), "another subnet's");
    // It is elsewhere now, and was here then.
    assert!(simulated(&[(agent, 1, true), (agent, 2, true)]));
    // Nobody says that it was here: any of the building's may be meant.
    assert!(simulated(&[(agent, 2, true)]));
    assert!(simulated(&[(agent, 2, false), (99, 2, true)]));
    assert!(!simulated(&[(agent, 2, false)]));
    assert!(simulated(&[]) && simulated(&[(99, 1, false)]));
}

#[test]
fn what_left_the_building_file_is_closed_and_stays_so() {
    let days = unit(1, WIRED, friday(), "..BBB");
    let change = retire_incident(&open(&days), UtcMicros::from_secs(1_773_400_001));
    assert_eq!((change.told, change.incident.state), (Some(Told::Closed), IncidentState::Closed));
    let history = BuildingHistory {
        building: BUILDING,
        name: "Berlin HQ",
        subnets: &[],
        members: &[],
        today: friday(),
        now: UtcMicros::from_secs(1_773_400_002),
        days: &days,
        incidents: &[change.incident],
    };
    assert_eq!(judge_incidents(&history), []);
}

/// Every number in a text.
fn numbers(text: &str) -> Vec<f64> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter_map(|part| part.trim_matches('.').parse().ok())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_number_in_the_sentence_is_in_the_data(
        breach in prop::sample::select(vec![Breach::Loss, Breach::Delay, Breach::Jitter, Breach::Burst]),
        bad in 6u32..60, p90 in 10_000u32..400_000, mean in 100u32..9_000, passes in any::<bool>(),
    ) {
        let mut days = unit(1, WIRED, friday(), "..BBB");
        for day in days.iter_mut().filter(|day| day.verdict.is_bad()) {
            let worst = day.worst_hour.as_mut().unwrap();
            *worst = WorstHour {
                bad, dominant: Some(breach), loss_ppm_p90: p90, rtt_us_p90: p90, jitter_us_p90: p90, ..*worst
            };
            day.average = Some(DailyAverage { loss_ppm: mean, rtt_us: mean, jitter_us: mean, passes });
            day.masked = passes;
            day.masking_factor = passes.then(|| f64::from(p90) / f64::from(mean));
        }
        let incident = open(&days);
        let text = incident.sentence.split_once("): ").unwrap().1;
        let factor = f64::from(p90) / f64::from(mean);
        let scale = |value: u32| match breach {
            Breach::Loss | Breach::Burst | Breach::Failed => f64::from(value) / 10_000.0,
            Breach::Delay | Breach::Jitter => f64::from(value) / 1_000.0,
        };
        let exact = [10.0, 11.0, 0.0, 3.0, 5.0, 2026.0, 13.0, 60.0, f64::from(bad)];
        let about = [factor, scale(p90), scale(mean)];
        for number in numbers(text) {
            let known = exact.contains(&number)
                || about.iter().any(|value| (number - value).abs() <= value * 0.06 + 0.005);
            prop_assert!(known, "{number} in {text}");
        }
        prop_assert_eq!(text.contains("all is well"), passes);
    }

    #[test]
    fn no_hour_is_named_at_which_nothing_was_bad(
        starts in proptest::collection::vec((36u16..64, 36u16..64), 3..6),
    ) {
        let starts: Vec<[u16; 2]> = starts.into_iter().map(|(a, b)| [a * 15, b * 15]).collect();
        let days: Vec<&[u16]> = starts.iter().map(|of_day| &of_day[..]).collect();
        let days = bad_in(&days);
        let was_bad = |minute: u16| days.iter().any(|day| day.bad_quarters.contains(&minute));
        for change in changes(&days, &[]) {
            let Incident { from_minute, until_minute, worst_hour, .. } = change.incident;
            prop_assert!(was_bad(from_minute) && was_bad(until_minute - 15));
            // A stretch bridges half an hour at most.
            for at in (from_minute..until_minute - 30).step_by(15) {
                prop_assert!((at..=at + 30).step_by(15).any(was_bad));
            }
            prop_assert!(worst_hour.is_none_or(|worst| (0..60).step_by(15).any(|by| was_bad(worst.start_minute + by))));
        }
    }

    #[test]
    fn missing_days_never_open_or_close(
        marks in proptest::collection::vec(prop::sample::select(vec!['B', 'L', '.']), 1..8),
        holes in proptest::collection::vec(0usize..8, 0..4),
    ) {
        let plain: String = marks.iter().collect();
        let mut holed = marks.clone();
        for hole in holes {
            // Not after the last observed day: what is current is told by the calendar.
            holed.insert(hole % marks.len(), '?');
        }
        let holed: String = holed.into_iter().collect();
        let outcome = |marks: &str| {
            let days = unit(1, WIRED, friday(), marks);
            let opened = changes(&days, &[]).first().and_then(|change| change.told);
            let known = open(&unit(1, WIRED, friday(), "BBB"));
            let later = changes_at(&days, &[known], friday(), 1_773_500_000);
            let closed = later.iter().any(|change| change.told == Some(Told::Closed));
            (opened, closed)
        };
        prop_assert_eq!(outcome(&plain), outcome(&holed));
    }

    #[test]
    fn the_order_of_days_is_irrelevant(
        marks in proptest::collection::vec(prop::sample::select(vec!['B', 'L', '.', '?']), 1..12),
        seed in any::<u64>(),
    ) {
        let marks: String = marks.into_iter().collect();
        let days = unit(1, WIRED, friday(), &marks);
        let mut shuffled = days.clone();
        shuffled.sort_by_key(|day| (day.date.day() as u64 + 31).wrapping_mul(seed | 1));
        prop_assert_eq!(changes(&days, &[]), changes(&shuffled, &[]));
    }
}
