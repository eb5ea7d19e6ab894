//! The control contract: incidents, outbox.

use busyhour_model::{
    AgentId, BuildingId, Cause, Change, Evidence, FindingKind, Incident, IncidentId,
    IncidentMember, IncidentPlace, IncidentState, LinkKind, Mechanism, PathId, Segment, Siblings,
    SubnetId, TargetName, UtcMicros,
};
use busyhour_store::{
    About, Act, Binding, Control, Delivery, DeliveryOutcome, DeliveryTotals, ErrorKind, Fate,
    Forgotten, IncidentEvent, IncidentNews, JudgeWrite, NewDelivery, Outbox, Purpose,
};
use jiff::civil::date;

use crate::control::{add, agent, by_name, enrolled, import, subnet_ids};
use crate::fixtures::{DAY, Engine, HOUR, MINUTE, NOW, at, building};
use crate::verdicts::{HOME, average, worst_hour};

/// One of a building's link. It was opened so many minutes after [`NOW`] as its number says, if it was.
pub(crate) fn incident(number: u64, state: IncidentState) -> Incident {
    let since = at(NOW, number as i64 * MINUTE);
    let suspected = state == IncidentState::Suspected;
    let closed = state == IncidentState::Closed;
    Incident {
        id: IncidentId::from_u128(number.into()),
        number,
        kind: FindingKind::RecurringPeak,
        place: IncidentPlace::Link(HOME, LinkKind::Wifi),
        segment: Segment::CustomerLan,
        building: HOME,
        members: vec![member(7, HOME), member(8, HOME)],
        siblings: Siblings { within: 2, suffering: 2, beside: 5, ..Siblings::default() },
        hours: vec![(600, 660), (690, 720)],
        state,
        change: Change::Updated,
        changed: date(2026, 9, 21),
        merged_into: None,
        stale: false,
        first_bad: date(2026, 9, 17),
        last_bad: date(2026, 9, 21),
        bad_days: vec![date(2026, 9, 17), date(2026, 9, 18), date(2026, 9, 21)],
        observed_days: vec![date(2026, 9, 17), date(2026, 9, 18), date(2026, 9, 21)],
        opened_on: (!suspected).then_some(date(2026, 9, 18)),
        closed_on: closed.then_some(date(2026, 9, 22)),
        noted: if suspected { since } else { NOW },
        opened: (!suspected).then_some(since),
        closed: closed.then_some(at(NOW, DAY)),
        openings: u32::from(!suspected),
        severity: 0.15,
        confidence: 0.9,
        cause: Cause::Wifi,
        cause_confidence: 0.8,
        mechanism: Mechanism::Radio,
        evidence: vec![Evidence {
            cause: Cause::Wifi,
            weight: 3.4,
            text: "2 of 2 observed paths suffer".to_owned(),
        }],
        worst_hour: Some(worst_hour()),
        worst_on: Some(date(2026, 9, 21)),
        average: Some(average()),
        masked: true,
        masking_factor: None,
        sentence: "Calls break up between 10 and 12.".to_owned(),
        paragraph: "recurring-peak in link: 9 of 60 checks bad.".to_owned(),
        simulated: false,
    }
}

pub(crate) fn member(path: i64, building: BuildingId) -> IncidentMember {
    let subnet = SubnetId::from_u128(building.as_u128() + 1);
    IncidentMember { path: PathId(path), building, subnet }
}

/// Writes one incident and tells an event of it.
pub(crate) fn judge(
    store: &dyn Control,
    incident: &Incident,
    tell: &[IncidentEvent],
    now: UtcMicros,
) {
    let write = JudgeWrite {
        incidents: vec![incident.clone()],
        tell: tell.iter().map(|&event| (incident.id, event)).collect(),
        ..JudgeWrite::default()
    };
    store.write_judgement(&write, now).unwrap();
}

/// Places all that is untold on the channels, and gives what is due.
pub(crate) fn placed(store: &dyn Outbox, channels: &[&str], now: UtcMicros) -> Vec<Delivery> {
    let on = |channel: &&str| NewDelivery {
        channel: (*channel).to_owned(),
        purpose: Purpose::Tell,
        due: now,
    };
    let deliveries: Vec<NewDelivery> = channels.iter().map(on).collect();
    let fate = Fate::On { deliveries, labels: "{}".to_owned() };
    if !channels.is_empty() {
        let untold = store.untold(now, 100).unwrap();
        let fates: Vec<_> = untold.iter().map(|event| (event.event, fate.clone())).collect();
        store.place(&fates).unwrap();
    }
    store.due_deliveries(now, 100, &[]).unwrap()
}

/// What a delivery is about, when it is about an incident.
pub(crate) fn news(delivery: &Delivery) -> &IncidentNews {
    let About::Incident(news) = &delivery.about else { panic!("about no incident") };
    news
}

/// What is due on the channels, as "channel event".
pub(crate) fn due(store: &dyn Outbox, channels: &[&str], now: UtcMicros) -> Vec<(i64, String)> {
    let due = placed(store, channels, now);
    due.iter().map(|d| (d.id, format!("{} {:?}", d.channel, news(d).event))).collect()
}

#[test]
fn incidents_are_read_back_newest_first() {
    let engine = Engine::new();
    let store = &engine.control;
    let open = Incident {
        masking_factor: Some(3.5),
        merged_into: Some(9),
        stale: true,
        simulated: true,
        ..incident(1, IncidentState::Open)
    };
    let closed = incident(2, IncidentState::Closed);
    let recovering = incident(3, IncidentState::Recovering);
    let suspected = Incident {
        members: vec![],
        evidence: vec![],
        worst_hour: None,
        worst_on: None,
        average: None,
        ..incident(4, IncidentState::Suspected)
    };
    for incident in [&open, &closed, &suspected, &recovering] {
        judge(store, incident, &[], NOW);
    }
    let all = [suspected.clone(), recovering.clone(), closed.clone(), open.clone()];
    assert_eq!(store.incidents(true).unwrap(), all);
    let not_closed = [suspected.clone(), recovering.clone(), open.clone()];
    assert_eq!(store.incidents(false).unwrap(), not_closed);
    assert_eq!(store.recent_incidents(at(NOW, DAY)).unwrap(), all);
    assert_eq!(store.recent_incidents(at(NOW, DAY + 1)).unwrap(), not_closed);
    assert_eq!(store.incident(closed.id).unwrap(), Some(closed));
    assert_eq!(store.incident(IncidentId::from_u128(99)).unwrap(), None);
    // Opened again it is the newest, closed it is with those that are over.
    let again = Incident { opened: Some(at(NOW, 2 * DAY)), openings: 2, ..recovering };
    judge(store, &again, &[], NOW);
    assert_eq!(store.incidents(false).unwrap(), [again.clone(), suspected.clone(), open.clone()]);
    let ended = Incident { state: IncidentState::Closed, closed: Some(NOW), ..open };
    judge(store, &ended, &[], NOW);
    assert_eq!(store.incidents(false).unwrap(), [again, suspected]);
}

#[test]
fn a_place_of_every_kind_is_read_back() {
    let engine = Engine::new();
    let store = &engine.control;
    add(store, &agent(5, "hh-5", Binding::Address)).unwrap();
    let subnet = SubnetId::from_u128(4);
    let places = [
        IncidentPlace::Upstream("Nord – transit".to_owned()),
        IncidentPlace::Vpn("gate 1".to_owned()),
        IncidentPlace::Target(TargetName::new("edge:862").unwrap()),
        IncidentPlace::Building(HOME),
        IncidentPlace::Link(HOME, LinkKind::Vpn),
        IncidentPlace::Subnet(subnet, None),
        IncidentPlace::Subnet(subnet, Some(LinkKind::Wired)),
        IncidentPlace::Agent(AgentId::from_u128(5)),
        IncidentPlace::Unplaced(HOME),
    ];
    let incidents: Vec<_> = (1..)
        .zip(places)
        .map(|(number, place)| Incident { place, ..incident(number, IncidentState::Open) })
        .collect();
    let write = JudgeWrite { incidents: incidents.clone(), ..JudgeWrite::default() };
    store.write_judgement(&write, NOW).unwrap();
    let mut read = store.incidents(true).unwrap();
    read.reverse();
    assert_eq!(read, incidents);
}

#[test]
fn a_number_belongs_to_one_incident_for_ever() {
    let engine = Engine::new();
    let store = &engine.control;
    assert_eq!(store.last_incident_number().unwrap(), 0);
    let first = incident(1, IncidentState::Open);
    judge(store, &first, &[], NOW);
    let stolen = Incident { number: 1, ..incident(2, IncidentState::Open) };
    let renumbered = Incident { number: 3, ..first.clone() };
    for wrong in [stolen, renumbered] {
        let write = JudgeWrite {
            incidents: vec![incident(4, IncidentState::Open), wrong],
            ..JudgeWrite::default()
        };
        let refused = store.write_judgement(&write, NOW).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert_eq!(store.incidents(true).unwrap(), std::slice::from_ref(&first), "all or nothing");
    }
    let numbers = |store: &dyn Control| store.last_incident_number().unwrap();
    judge(store, &incident(7, IncidentState::Open), &[], NOW);
    judge(store, &incident(5, IncidentState::Open), &[], NOW);
    assert_eq!(numbers(store), 7);
    // Also when the incident is gone.
    add(store, &agent(1, "hh-1", Binding::Address)).unwrap();
    let paths = [PathId(7), PathId(8)];
    let by = Act::by_operator(NOW);
    store.forget_agent(AgentId::from_u128(1), &paths, &Forgotten::default(), &by).unwrap();
    assert_eq!(store.incidents(true).unwrap(), []);
    assert_eq!(numbers(&engine.reopen().control), 7);
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
        store.delivered(&[*id], &DeliveryOutcome::Sent, NOW).unwrap();
    }
    judge(store, &open, &[IncidentEvent::Opened], at(NOW, 2));
    assert_eq!(due(store, &["mail", "hook"], at(NOW, DAY)), []);
}

#[test]
fn an_incident_that_opens_again_is_told_again() {
    let engine = Engine::new();
    let store = &engine.control;
    let (open, closed) = (incident(1, IncidentState::Open), incident(1, IncidentState::Closed));
    let again = |incident: &Incident| Incident { openings: 2, ..incident.clone() };
    let told = |count: usize| {
        let due = due(store, &["mail"], NOW);
        assert_eq!(due.len(), count, "{due:?}");
    };
    judge(store, &open, &[IncidentEvent::Opened], NOW);
    judge(store, &closed, &[IncidentEvent::Closed], NOW);
    judge(store, &closed, &[IncidentEvent::Closed], NOW);
    told(2);
    judge(store, &again(&open), &[IncidentEvent::Opened], NOW);
    judge(store, &again(&open), &[IncidentEvent::Opened], NOW);
    told(3);
    judge(store, &again(&closed), &[IncidentEvent::Closed], NOW);
    told(4);
}

#[test]
fn a_delivery_says_what_happened_where() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("Hafen", &["10.1.0.0/24"]), building("Elbe", &["10.2.0.0/24"])], NOW);
    let (home, other) = (by_name(store)["Hafen"].id, by_name(store)["Elbe"].id);
    let unknown = BuildingId::from_u128(0x9f << 120);
    let open = Incident {
        place: IncidentPlace::Subnet(subnet_ids(store)["10.1.0.0/24"], None),
        building: home,
        members: vec![member(1, home), member(2, unknown), member(3, other), member(4, home)],
        ..incident(1, IncidentState::Open)
    };
    judge(store, &open, &[IncidentEvent::Opened], at(NOW, 9));
    // One is renamed, the other leaves the file; people knew them by these names.
    import(store, &[building("Speicher", &["10.1.0.0/24"])], at(NOW, HOUR));
    let worse = Incident { severity: 0.9, ..open };
    judge(store, &worse, &[], at(NOW, DAY));
    let due = placed(store, &["mail"], at(NOW, DAY)).remove(0);
    let news = news(&due);
    assert_eq!((due.channel.as_str(), news.event), ("mail", IncidentEvent::Opened));
    assert_eq!((&news.incident, due.created, due.attempts), (&worse, at(NOW, 9), 0));
    assert_eq!(due.placed, at(NOW, DAY));
    assert_eq!(news.building, "Speicher");
    assert_eq!(news.buildings, [&unknown.to_string(), "Elbe", "Speicher"]);
    assert_eq!(news.subnet.as_deref(), Some("net 10.1.0.0/24 (10.1.0.0/24)"));
    assert_eq!((news.agent.as_deref(), news.labels.as_deref()), (None, Some("{}")));
}

#[test]
fn a_delivery_names_the_agent_that_it_is_about() {
    let engine = Engine::new();
    let store = &engine.control;
    add(store, &agent(1, "hh-keller-pc", Binding::Address)).unwrap();
    let place = IncidentPlace::Agent(AgentId::from_u128(1));
    let about = Incident { place, ..incident(1, IncidentState::Open) };
    judge(store, &about, &[IncidentEvent::Opened], NOW);
    let due = placed(store, &["mail"], NOW).remove(0);
    let news = news(&due);
    assert_eq!((news.agent.as_deref(), news.subnet.as_deref()), (Some("hh-keller-pc"), None));
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
    let limited = store.due_deliveries(NOW, 2, &[]).unwrap();
    assert_eq!(limited.iter().map(|d| d.id).collect::<Vec<_>>(), [first[0].0, first[1].0]);
    let retry =
        DeliveryOutcome::Retry { at: at(NOW, HOUR), error: "timeout".to_owned(), for_good: false };
    store.delivered(&[first[0].0], &retry, NOW).unwrap();
    store.delivered(&[first[1].0], &DeliveryOutcome::Sent, NOW).unwrap();
    let withheld = DeliveryOutcome::Withheld { reason: "simulated".to_owned() };
    store.delivered(&[first[2].0], &withheld, NOW).unwrap();
    totals(1, 1, 1);
    assert_eq!(due(store, &["mail"], at(NOW, HOUR - 1)), []);
    let again = store.due_deliveries(at(NOW, HOUR), 9, &[]).unwrap();
    assert_eq!((again.len(), again[0].id, again[0].attempts), (1, first[0].0, 1));
    // What is finished stays finished.
    store.delivered(&[first[1].0], &retry, NOW).unwrap();
    store.delivered(&[first[1].0], &DeliveryOutcome::Sent, NOW).unwrap();
    store.delivered(&[first[2].0], &DeliveryOutcome::Sent, NOW).unwrap();
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
