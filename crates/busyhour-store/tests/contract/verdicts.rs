//! The control contract: verdicts, incidents, outbox.

use busyhour_model::{
    Breach, BuildingId, DailyAverage, DaySummary, DayVerdict, Incident, IncidentId, IncidentState,
    LinkKind, PathId, Scope, SubnetId, UtcMicros, WorstHour,
};
use busyhour_store::{Control, DeliveryOutcome, DeliveryTotals, IncidentEvent, JudgeWrite};
use jiff::civil::{Date, date};

use crate::control::{add, agent, by_name, enrolled, import, subnet_ids};
use crate::fixtures::{AGENT, DAY, Engine, HOUR, MINUTE, NOW, at, building};

fn worst_hour() -> WorstHour {
    WorstHour {
        start_minute: 600,
        valid: 60,
        bad: 9,
        dominant: Some(Breach::Burst),
        loss_ppm: 12_000,
        loss_ppm_p90: 20_000,
        rtt_us_p90: 45_000,
        jitter_us_p90: 9_000,
    }
}

fn average() -> DailyAverage {
    DailyAverage { loss_ppm: 900, rtt_us: 21_000, jitter_us: 3_000, passes: true }
}

pub(crate) const HOME: BuildingId = BuildingId::from_u128(0xb1);

pub(crate) fn day(scope: Scope, date: Date) -> DaySummary {
    DaySummary {
        scope,
        building: HOME,
        date,
        verdict: DayVerdict::PeakBad,
        expected: 600,
        valid: 580,
        bad: 9,
        worst_hour: Some(worst_hour()),
        bad_quarters: vec![600, 615, 645],
        average: Some(average()),
        masked: true,
        masking_factor: Some(22.2),
    }
}

#[test]
fn verdicts_are_read_back_by_date_and_scope() {
    let engine = Engine::new();
    let store = &engine.control;
    let scopes = [
        Scope::Path(PathId(-1)),
        Scope::Path(PathId(3)),
        Scope::Agent(AGENT, LinkKind::Wired),
        Scope::Agent(AGENT, LinkKind::Wifi),
        Scope::Subnet(SubnetId::from_u128(4), LinkKind::Wifi),
        Scope::Building(HOME),
    ];
    let dates = [date(2026, 9, 20), date(2026, 9, 21), date(2026, 9, 22)];
    let mut days: Vec<_> =
        dates.iter().flat_map(|&d| scopes.iter().map(move |&s| day(s, d))).collect();
    days.sort_by_key(|day| (day.date, day.scope));
    days[3] = DaySummary {
        verdict: DayVerdict::Missing,
        worst_hour: None,
        average: None,
        masked: false,
        masking_factor: None,
        bad_quarters: vec![],
        ..days[3].clone()
    };
    let foreign = DaySummary { building: BuildingId::from_u128(0xb2), ..days[17].clone() };
    days[17] = foreign.clone();
    let write = JudgeWrite { days: days.clone(), ..JudgeWrite::default() };
    store.write_judgement(&write, NOW).unwrap();
    let read = |building, from, until| store.days(building, from, until).unwrap();
    assert_eq!(read(None, dates[0], dates[2]), days);
    assert_eq!(read(None, dates[1], dates[1]), &days[6..12]);
    assert_eq!(read(Some(HOME), dates[1], dates[2]), &days[6..17]);
    assert_eq!(read(Some(foreign.building), dates[0], dates[2]), [foreign]);
    assert_eq!(read(None, date(2026, 9, 23), date(2027, 1, 1)), []);
}

#[test]
fn a_new_verdict_replaces_that_of_the_same_scope_and_date() {
    let engine = Engine::new();
    let store = &engine.control;
    let first = day(Scope::Path(PathId(1)), date(2026, 9, 21));
    let other_building = BuildingId::from_u128(0xb9);
    let second = DaySummary { valid: 1, building: other_building, ..first.clone() };
    for verdict in [&first, &second] {
        let write = JudgeWrite { days: vec![verdict.clone()], ..JudgeWrite::default() };
        store.write_judgement(&write, NOW).unwrap();
    }
    assert_eq!(store.days(None, first.date, first.date).unwrap(), [second]);
    assert_eq!(store.days(Some(HOME), first.date, first.date).unwrap(), []);
}

pub(crate) fn incident(id: u128, state: IncidentState) -> Incident {
    Incident {
        id: IncidentId::from_u128(id),
        scope: Scope::Building(HOME),
        building: HOME,
        subnet: None,
        link: Some(LinkKind::Wifi),
        state,
        opened: at(NOW, id as i64 * MINUTE),
        closed: (state == IncidentState::Closed).then_some(at(NOW, DAY)),
        first_bad: date(2026, 9, 17),
        last_bad: date(2026, 9, 21),
        from_minute: 600,
        until_minute: 720,
        bad_days: 3,
        observed_days: 5,
        worst_hour: Some(worst_hour()),
        average: Some(average()),
        masked: true,
        masking_factor: None,
        sentence: "Calls break up between 10 and 12.".to_owned(),
        simulated: false,
    }
}

/// Writes one incident and tells an event of it.
pub(crate) fn judge(
    store: &dyn Control,
    incident: &Incident,
    tell: &[IncidentEvent],
    now: UtcMicros,
) {
    let write = JudgeWrite {
        days: vec![],
        incidents: vec![incident.clone()],
        tell: tell.iter().map(|&event| (incident.id, event)).collect(),
    };
    store.write_judgement(&write, now).unwrap();
}

/// What is due on the channels, as "channel event".
pub(crate) fn due(store: &dyn Control, channels: &[&str], now: UtcMicros) -> Vec<(i64, String)> {
    let channels: Vec<_> = channels.iter().map(|&channel| channel.to_owned()).collect();
    let due = store.due_deliveries(&channels, now, 100).unwrap();
    due.iter().map(|d| (d.id, format!("{} {:?}", d.channel, d.event))).collect()
}

#[test]
fn incidents_are_read_back_newest_first() {
    let engine = Engine::new();
    let store = &engine.control;
    let open = Incident {
        scope: Scope::Subnet(SubnetId::from_u128(4), LinkKind::Wifi),
        subnet: Some(SubnetId::from_u128(4)),
        masking_factor: Some(3.5),
        simulated: true,
        ..incident(1, IncidentState::Open)
    };
    let closed = incident(2, IncidentState::Closed);
    let recovering = incident(3, IncidentState::Recovering);
    for incident in [&open, &closed, &recovering] {
        judge(store, incident, &[], NOW);
    }
    assert_eq!(store.incidents(true).unwrap(), [recovering.clone(), closed, open.clone()]);
    assert_eq!(store.incidents(false).unwrap(), [recovering.clone(), open.clone()]);
    let ended = Incident { state: IncidentState::Closed, closed: Some(NOW), ..open };
    judge(store, &ended, &[], NOW);
    assert_eq!(store.incidents(false).unwrap(), [recovering]);
}

#[test]
fn an_event_is_told_once_on_each_channel() {
    let engine = Engine::new();
    let store = &engine.control;
    let open = incident(1, IncidentState::Open);
    judge(store, &open, &[IncidentEvent::Opened, IncidentEvent::Opened], NOW);
    judge(store, &open, &[IncidentEvent::Opened], at(NOW, 1));
    assert_eq!(due(store, &[], NOW), [], "without channels events wait");
    let first = due(store, &["mail", "hook"], NOW);
    assert_eq!(first.iter().map(|d| &d.1).collect::<Vec<_>>(), ["mail Opened", "hook Opened"]);
    assert_eq!(due(store, &["mail", "hook", "later"], NOW), first, "until it is known what became");
    for (id, _) in &first {
        store.delivered(*id, &DeliveryOutcome::Sent, NOW).unwrap();
    }
    judge(store, &open, &[IncidentEvent::Opened], at(NOW, 2));
    assert_eq!(due(store, &["mail", "hook"], at(NOW, DAY)), []);
}

#[test]
fn an_incident_that_opens_again_is_told_again() {
    let engine = Engine::new();
    let store = &engine.control;
    let (open, closed) = (incident(1, IncidentState::Open), incident(1, IncidentState::Closed));
    let told = |count: usize| {
        let due = due(store, &["mail"], NOW);
        assert_eq!(due.len(), count, "{due:?}");
    };
    judge(store, &open, &[IncidentEvent::Opened], NOW);
    judge(store, &closed, &[IncidentEvent::Closed], NOW);
    judge(store, &closed, &[IncidentEvent::Closed], NOW);
    told(2);
    judge(store, &open, &[IncidentEvent::Opened], NOW);
    judge(store, &open, &[IncidentEvent::Opened], NOW);
    told(3);
    judge(store, &closed, &[IncidentEvent::Closed], NOW);
    told(4);
    // Opened again without a word between.
    judge(store, &open, &[], NOW);
    judge(store, &closed, &[], NOW);
    judge(store, &open, &[IncidentEvent::Opened], NOW);
    told(5);
}

#[test]
fn a_delivery_says_what_happened_where() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("Hafen", &["10.1.0.0/24"])], NOW);
    let open = Incident {
        building: by_name(store)["Hafen"].id,
        subnet: Some(subnet_ids(store)["10.1.0.0/24"]),
        ..incident(1, IncidentState::Open)
    };
    judge(store, &open, &[IncidentEvent::Opened], at(NOW, 9));
    let renamed = [building("Speicher", &["10.1.0.0/24"])];
    import(store, &renamed, at(NOW, HOUR));
    let worse = Incident { bad_days: 5, ..open };
    judge(store, &worse, &[], at(NOW, DAY));
    let due = store.due_deliveries(&["mail".to_owned()], at(NOW, DAY), 10).unwrap().remove(0);
    assert_eq!((due.channel.as_str(), due.event), ("mail", IncidentEvent::Opened));
    assert_eq!((due.incident, due.created, due.attempts), (worse, at(NOW, 9), 0));
    assert_eq!(due.building, "Speicher");
    assert_eq!(due.subnet.as_deref(), Some("net 10.1.0.0/24 (10.1.0.0/24)"));
}

#[test]
fn what_failed_is_tried_again_when_its_time_has_come() {
    let engine = Engine::new();
    let store = &engine.control;
    for id in 1..=3 {
        judge(store, &incident(id, IncidentState::Open), &[IncidentEvent::Opened], NOW);
    }
    let totals = |pending, sent, withheld| {
        assert_eq!(store.delivery_totals().unwrap(), DeliveryTotals { pending, sent, withheld });
    };
    totals(3, 0, 0);
    let first = due(store, &["mail"], NOW);
    assert!(first.is_sorted() && first.len() == 3, "oldest first");
    let limited = store.due_deliveries(&["mail".to_owned()], NOW, 2).unwrap();
    assert_eq!(limited.iter().map(|d| d.id).collect::<Vec<_>>(), [first[0].0, first[1].0]);
    let retry = DeliveryOutcome::Retry { at: at(NOW, HOUR), error: "timeout".to_owned() };
    store.delivered(first[0].0, &retry, NOW).unwrap();
    store.delivered(first[1].0, &DeliveryOutcome::Sent, NOW).unwrap();
    let withheld = DeliveryOutcome::Withheld { reason: "simulated".to_owned() };
    store.delivered(first[2].0, &withheld, NOW).unwrap();
    totals(1, 1, 1);
    assert_eq!(due(store, &["mail"], at(NOW, HOUR - 1)), []);
    let again = store.due_deliveries(&["mail".to_owned()], at(NOW, HOUR), 9).unwrap();
    assert_eq!((again.len(), again[0].id, again[0].attempts), (1, first[0].0, 1));
    // What is finished stays finished.
    store.delivered(first[1].0, &retry, NOW).unwrap();
    store.delivered(first[1].0, &DeliveryOutcome::Sent, NOW).unwrap();
    store.delivered(first[2].0, &DeliveryOutcome::Sent, NOW).unwrap();
    totals(1, 1, 1);
}

#[test]
fn everything_is_there_after_opening_again() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("Hafen", &["10.1.0.0/24"])], NOW);
    add(store, &agent(1, "hh-1", enrolled("10.1.0.0/24", None))).unwrap();
    judge(store, &incident(1, IncidentState::Open), &[IncidentEvent::Opened], NOW);
    let contents = |store: &dyn Control| {
        (
            store.buildings().unwrap(),
            store.subnets().unwrap(),
            store.agents().unwrap(),
            store.placements().unwrap(),
            store.incidents(true).unwrap(),
        )
    };
    let before = contents(store);
    assert_eq!(before.3.len(), 1);
    let engine = engine.reopen();
    assert_eq!(contents(&engine.control), before);
    assert_eq!(due(&engine.control, &["mail"], NOW).len(), 1);
}
