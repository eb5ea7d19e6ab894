//! The outbox: what happened is placed once, sent once, and a channel's health follows from what became of it.

use busyhour_model::desk::{Deed, QuietKind, QuietScope, Remark};
use busyhour_model::{Incident, IncidentState};
use busyhour_store::{
    About, Act, ChannelTest, Control as _, Delivery, DeliveryOutcome, Desk as _, Fate, Happened,
    IncidentEvent, NewDelivery, NewQuiet, OpeningTold, Outbox, Purpose, SqliteControl, Untold,
};

use crate::fixtures::{DAY, Engine, HOUR, NOW, at};
use crate::incidents::{incident, judge, news, placed};

fn register(store: &dyn Outbox, names: &[&str]) {
    let named = names.iter().map(|name| ((*name).to_owned(), "webhook".to_owned()));
    store.register_channels(&named.collect::<Vec<_>>()).unwrap();
}

fn failed(for_good: bool) -> DeliveryOutcome {
    DeliveryOutcome::Retry { at: NOW, error: "it answered 503".to_owned(), for_good }
}

/// The words of what waits to be placed.
fn untold(store: &dyn Outbox, after: i64) -> Vec<String> {
    let say = |event: Untold| match event.happened {
        Happened::Incident { event, .. } => format!("{event:?}"),
        other => format!("{other:?}"),
    };
    store.untold(at(NOW, after), 99).unwrap().into_iter().map(say).collect()
}

fn on(channel: &str, purpose: Purpose, after: i64) -> Fate {
    let deliveries =
        vec![NewDelivery { channel: channel.to_owned(), purpose, due: at(NOW, after) }];
    Fate::On { deliveries, labels: "{\"building\":\"Hafen\"}".to_owned() }
}

/// What every golden database holds.
pub(crate) fn fill(control: &SqliteControl) {
    register(control, &["mail"]);
    control.test_channel("mail", &Act::by_operator(NOW)).unwrap().unwrap();
    assert!(control.ask_report("review:2026-09-21", NOW).unwrap());
}

pub(crate) fn check(control: &SqliteControl) {
    let channels = control.channels().unwrap();
    assert_eq!((channels[0].name.as_str(), channels[0].kind.as_str()), ("mail", "webhook"));
    assert!(!control.ask_report("review:2026-09-21", NOW).unwrap());
}

#[test]
fn an_event_that_waits_is_looked_at_again_and_placed_once() {
    let engine = Engine::new();
    let store = &engine.control;
    judge(store, &incident(1, IncidentState::Open), &[IncidentEvent::Opened], NOW);
    let event = store.untold(NOW, 9).unwrap().remove(0).event;
    store.place(&[(event, Fate::Later(at(NOW, HOUR)))]).unwrap();
    assert_eq!(untold(store, HOUR - 1), [""; 0]);
    assert_eq!(untold(store, HOUR), ["Opened"]);
    // Whoever starts may know other channels.
    register(store, &["mail"]);
    assert_eq!(untold(store, 0), ["Opened"]);
    store.place(&[(event, on("mail", Purpose::Tell, HOUR))]).unwrap();
    // Whoever comes second changes nothing.
    store.place(&[(event, on("hook", Purpose::Tell, 0))]).unwrap();
    store.place(&[(event, Fate::Nobody("too late".to_owned()))]).unwrap();
    assert_eq!(untold(store, DAY), [""; 0]);
    assert_eq!(store.due_deliveries(at(NOW, HOUR - 1), 9, &[]).unwrap(), []);
    let due = store.due_deliveries(at(NOW, HOUR), 9, &[]).unwrap();
    assert_eq!((due.len(), due[0].channel.as_str()), (1, "mail"));
    assert_eq!(news(&due[0]).labels.as_deref(), Some("{\"building\":\"Hafen\"}"));
}

#[test]
fn an_end_knows_where_its_begin_was_told() {
    let engine = Engine::new();
    let store = &engine.control;
    let (open, over) = (incident(1, IncidentState::Open), incident(1, IncidentState::Closed));
    judge(store, &open, &[IncidentEvent::Opened], NOW);
    let event = store.untold(NOW, 9).unwrap().remove(0).event;
    let new =
        |channel: &str, purpose| NewDelivery { channel: channel.to_owned(), purpose, due: NOW };
    let deliveries = vec![
        new("mail", Purpose::Tell),
        new("digest", Purpose::Digest),
        new("gone", Purpose::Tell),
        new("head", Purpose::Escalate),
    ];
    judge(store, &over, &[IncidentEvent::Closed], NOW);
    let told = |store: &SqliteControl| {
        let untold = store.untold(NOW, 9).unwrap();
        let closed = untold.iter().find_map(|one| match &one.happened {
            Happened::Incident { event: IncidentEvent::Closed, told_on, opening_waits, .. } => {
                Some((one.event, told_on.clone(), *opening_waits))
            }
            _ => None,
        });
        closed.unwrap()
    };
    assert_eq!((told(store).1.len(), told(store).2), (0, true));
    store.place(&[(event, Fate::On { deliveries, labels: String::new() })]).unwrap();
    let due = store.due_deliveries(NOW, 9, &[]).unwrap();
    let id = |name: &str| due.iter().find(|one| one.channel == name).unwrap().id;
    store.delivered(&[id("mail")], &DeliveryOutcome::Sent, NOW).unwrap();
    let withheld = DeliveryOutcome::Withheld { reason: "simulated".to_owned() };
    store.delivered(&[id("gone")], &withheld, NOW).unwrap();
    let (closing, told_on, waits) = told(store);
    let expected = [("digest".to_owned(), Purpose::Digest), ("mail".to_owned(), Purpose::Tell)];
    assert_eq!((told_on.as_slice(), waits), (&expected[..], false));
    // And at the moment of sending.
    let ends = ["mail", "digest", "gone"].map(|name| new(name, Purpose::Tell)).to_vec();
    store.place(&[(closing, Fate::On { deliveries: ends, labels: String::new() })]).unwrap();
    let due = store.due_deliveries(NOW, 9, &[]).unwrap();
    let of = |due: &[Delivery], name: &str| {
        let closed = |one: &&Delivery| news(one).event == IncidentEvent::Closed;
        news(due.iter().filter(closed).find(|one| one.channel == name).unwrap()).opening
    };
    assert_eq!(of(&due, "mail"), OpeningTold::Taken);
    assert_eq!(of(&due, "digest"), OpeningTold::Waits);
    assert_eq!(of(&due, "gone"), OpeningTold::Never);
}

#[test]
fn what_is_one_message_stays_one_after_opening_again() {
    let engine = Engine::new();
    for id in 1..=3 {
        judge(&engine.control, &incident(id, IncidentState::Open), &[IncidentEvent::Opened], NOW);
    }
    let ids: Vec<i64> = placed(&engine.control, &["mail"], NOW).iter().map(|one| one.id).collect();
    engine.control.bundle(&ids[..2]).unwrap();
    engine.control.bundle(&ids[1..]).unwrap();
    let engine = engine.reopen();
    let due = engine.control.due_deliveries(NOW, 9, &[]).unwrap();
    let bundles: Vec<_> = due.iter().map(|one| one.bundle).collect();
    assert_eq!(bundles, [Some(ids[0]), Some(ids[0]), Some(ids[1])]);
    // Put off without an attempt, and with one; together or not at all.
    let store = &engine.control;
    store.delivered(&ids[..2], &DeliveryOutcome::Later(at(NOW, HOUR)), NOW).unwrap();
    assert_eq!(store.due_deliveries(at(NOW, 1), 9, &[]).unwrap().len(), 1);
    let later = store.due_deliveries(at(NOW, HOUR), 9, &[]).unwrap();
    assert!(later.iter().all(|one| one.attempts == 0 && one.placed == NOW));
    // How long it waits is reckoned from the end of what it was held back for.
    store.delivered(&ids[..1], &DeliveryOutcome::Held(at(NOW, DAY)), at(NOW, HOUR)).unwrap();
    let held = store.due_deliveries(at(NOW, DAY), 9, &[]).unwrap();
    let placed: Vec<_> = held.iter().map(|one| (one.attempts, one.placed)).collect();
    assert_eq!(placed, [(0, at(NOW, DAY)), (0, NOW), (0, NOW)]);
}

#[test]
fn a_channel_that_fails_for_an_hour_is_told_once_and_once_when_it_works() {
    let engine = Engine::new();
    let store = &engine.control;
    register(store, &["hook", "mail"]);
    judge(store, &incident(1, IncidentState::Open), &[IncidentEvent::Opened], NOW);
    let id = placed(store, &["hook"], NOW)[0].id;
    for minutes in [0, 30, 59] {
        store.delivered(&[id], &failed(false), at(NOW, minutes * (HOUR / 60))).unwrap();
    }
    let row = store.channels().unwrap().remove(0);
    assert_eq!((row.name.as_str(), row.waiting, row.taken), ("hook", 1, None));
    assert_eq!((row.failing_since, row.error.as_deref()), (Some(NOW), Some("it answered 503")));
    assert_eq!(untold(store, HOUR), [""; 0]);
    for minutes in [60, 61] {
        store.delivered(&[id], &failed(false), at(NOW, minutes * (HOUR / 60))).unwrap();
    }
    let fails = "ChannelFailed { channel: \"hook\", error: \"it answered 503\" }";
    assert_eq!(untold(store, DAY), [fails]);
    store.delivered(&[id], &DeliveryOutcome::Sent, at(NOW, DAY)).unwrap();
    assert_eq!(untold(store, DAY), [fails, "ChannelWorks { channel: \"hook\" }"]);
    let row = store.channels().unwrap().remove(0);
    assert_eq!((row.taken, row.failing_since, row.error), (Some(at(NOW, DAY)), None, None));
    // What is no longer configured is no longer known.
    register(store, &["mail"]);
    assert_eq!(store.channels().unwrap().len(), 1);
}

#[test]
fn a_channel_that_refuses_for_good_is_told_at_once() {
    let engine = Engine::new();
    let store = &engine.control;
    register(store, &["hook"]);
    judge(store, &incident(1, IncidentState::Open), &[IncidentEvent::Opened], NOW);
    let id = placed(store, &["hook"], NOW)[0].id;
    store.delivered(&[id], &failed(true), NOW).unwrap();
    store.delivered(&[id], &failed(true), NOW).unwrap();
    assert_eq!(untold(store, 0).len(), 1);
}

#[test]
fn a_test_is_asked_for_once_and_says_how_it_went() {
    let engine = Engine::new();
    let store = &engine.control;
    register(store, &["mail"]);
    let by = Act::by_operator(NOW);
    assert_eq!(store.test_channel("nobody", &by).unwrap(), None);
    let (first, second) =
        (store.test_channel("mail", &by).unwrap(), store.test_channel("mail", &by).unwrap());
    assert_ne!(first, second);
    let result = |test: Option<i64>| store.channel_test(test.unwrap()).unwrap();
    assert_eq!(result(first), Some(ChannelTest::Waits));
    assert_eq!(store.channel_test(99).unwrap(), None);
    let due = placed(store, &["mail"], NOW);
    assert!(due.iter().all(|one| one.about == About::Test) && due.len() == 2, "{due:?}");
    store.delivered(&[due[0].id], &DeliveryOutcome::Sent, NOW).unwrap();
    let refused = DeliveryOutcome::Withheld { reason: "it answered 403".to_owned() };
    store.delivered(&[due[1].id], &refused, NOW).unwrap();
    assert_eq!(result(first), Some(ChannelTest::Taken));
    assert_eq!(result(second), Some(ChannelTest::Refused("it answered 403".to_owned())));
    let audit = store.audit(NOW, at(NOW, 1), 99).unwrap();
    assert_eq!(audit.iter().filter(|one| one.detail == "mail").count(), 2);
}

#[test]
fn a_report_is_asked_for_once() {
    let engine = Engine::new();
    let store = &engine.control;
    assert!(store.ask_report("weekly:2026-09-21", NOW).unwrap());
    assert!(!store.ask_report("weekly:2026-09-21", at(NOW, DAY)).unwrap());
    assert!(store.ask_report("weekly:2026-09-28", at(NOW, DAY)).unwrap());
    assert_eq!(untold(store, DAY).len(), 2);
}

#[test]
fn what_got_worse_during_maintenance_is_an_event_at_its_end() {
    let engine = Engine::new();
    let store = &engine.control;
    let minor = Incident { severity: 0.1, ..incident(1, IncidentState::Open) };
    let same = Incident { severity: 0.1, ..incident(2, IncidentState::Open) };
    judge(store, &minor, &[], NOW);
    judge(store, &same, &[], NOW);
    let quiet = NewQuiet {
        kind: QuietKind::Maintenance,
        scopes: vec![QuietScope::Everything],
        from: NOW,
        until: at(NOW, HOUR),
        reason: Remark::new("new switches").unwrap(),
    };
    store.add_quiet(&quiet, &Act::by_operator(NOW)).unwrap().unwrap();
    assert_eq!(untold(store, 0), [""; 0]);
    judge(store, &Incident { severity: 0.9, ..minor }, &[], at(NOW, 9));
    assert_eq!(untold(store, HOUR - 1), [""; 0]);
    assert_eq!(untold(store, HOUR), ["Worse"]);
    assert_eq!(untold(store, HOUR), ["Worse"], "until it is placed");
}

#[test]
fn what_was_first_told_when_it_was_worse_stands_and_is_told_to_be_over() {
    let engine = Engine::new();
    let store = &engine.control;
    let minor = Incident { severity: 0.1, ..incident(1, IncidentState::Open) };
    judge(store, &minor, &[IncidentEvent::Opened], NOW);
    let opened = store.untold(NOW, 9).unwrap().remove(0).event;
    store.place(&[(opened, Fate::Nobody("no route is for it".to_owned()))]).unwrap();
    let quiet = NewQuiet {
        kind: QuietKind::Maintenance,
        scopes: vec![QuietScope::Everything],
        from: at(NOW, 1),
        until: at(NOW, HOUR),
        reason: Remark::new("new switches").unwrap(),
    };
    store.add_quiet(&quiet, &Act::by_operator(NOW)).unwrap().unwrap();
    assert_eq!(untold(store, 1), [""; 0]);
    judge(store, &Incident { severity: 0.9, ..minor.clone() }, &[], at(NOW, 9));
    let worse = store.untold(at(NOW, HOUR), 9).unwrap().remove(0).event;
    store.place(&[(worse, on("duty", Purpose::Tell, HOUR))]).unwrap();
    let due = store.due_deliveries(at(NOW, HOUR), 9, &[]).unwrap();
    store.delivered(&[due[0].id], &DeliveryOutcome::Sent, at(NOW, HOUR)).unwrap();
    let standing = store.standing_deliveries("duty", 9).unwrap();
    assert_eq!((standing.len(), standing[0].id), (1, due[0].id));
    assert_eq!(news(&standing[0]).labels.as_deref(), Some("{\"building\":\"Hafen\"}"));

    let over = Incident { severity: 0.9, ..incident(1, IncidentState::Closed) };
    judge(store, &over, &[IncidentEvent::Closed], at(NOW, 2 * HOUR));
    let closing = store.untold(at(NOW, 2 * HOUR), 9).unwrap().remove(0);
    let Happened::Incident { told_on, .. } = &closing.happened else { panic!("{closing:?}") };
    assert_eq!(told_on.as_slice(), [("duty".to_owned(), Purpose::Tell)]);
    store.place(&[(closing.event, on("duty", Purpose::Tell, 2 * HOUR))]).unwrap();
    let due = store.due_deliveries(at(NOW, 2 * HOUR), 9, &[]).unwrap();
    assert_eq!((due.len(), news(&due[0]).opening), (1, OpeningTold::Taken));
    assert_eq!(news(&due[0]).labels.as_deref(), Some("{\"building\":\"Hafen\"}"));
    assert!(store.standing_deliveries("duty", 9).unwrap().is_empty());
}

#[test]
fn each_channel_has_its_share_of_what_is_due() {
    let engine = Engine::new();
    let store = &engine.control;
    for id in 1..=9 {
        judge(store, &incident(id, IncidentState::Open), &[IncidentEvent::Opened], NOW);
    }
    assert_eq!(placed(store, &["slow"], NOW).len(), 9);
    judge(store, &incident(10, IncidentState::Open), &[IncidentEvent::Opened], NOW);
    placed(store, &["hook"], NOW);
    let names = |limit, but: &[String]| -> Vec<String> {
        let due = store.due_deliveries(NOW, limit, but).unwrap();
        due.into_iter().map(|one| one.channel).collect()
    };
    assert_eq!(names(4, &[]), ["slow", "slow", "hook"]);
    assert_eq!(names(4, &["slow".to_owned()]), ["hook"]);
}

#[test]
fn who_is_left_is_kept_and_others_count_as_told() {
    let engine = Engine::new();
    let store = &engine.control;
    register(store, &["mail"]);
    let (open, over) = (incident(1, IncidentState::Open), incident(1, IncidentState::Closed));
    judge(store, &open, &[IncidentEvent::Opened], NOW);
    let id = placed(store, &["mail"], NOW)[0].id;
    let left = vec!["b@example.org".to_owned(), "c@example.org".to_owned()];
    let partly =
        DeliveryOutcome::Partly { at: at(NOW, 9), error: "b: 451".to_owned(), left: left.clone() };
    store.delivered(&[id], &partly, NOW).unwrap();
    let engine = engine.reopen();
    let store = &engine.control;
    let due = store.due_deliveries(at(NOW, 9), 9, &[]).unwrap();
    assert_eq!((due[0].left_for.as_slice(), due[0].attempts), (left.as_slice(), 1));
    let row = store.channels().unwrap().remove(0);
    assert_eq!((row.failing_since, row.error.as_deref()), (None, Some("b: 451")));
    // Its end need not wait for them.
    judge(store, &over, &[IncidentEvent::Closed], at(NOW, 9));
    let ends = placed(store, &["mail"], at(NOW, 9));
    let end = ends.iter().find(|one| news(one).event == IncidentEvent::Closed).unwrap();
    assert_eq!(news(end).opening, OpeningTold::Taken);
    // An attempt that reached nobody changes nothing of it; what is finished names nobody.
    store.delivered(&[id], &failed(false), at(NOW, 9)).unwrap();
    assert_eq!(store.due_deliveries(at(NOW, 9), 9, &[]).unwrap()[0].left_for, left);
}

#[test]
fn a_message_that_is_refused_for_good_is_told_once_an_hour_and_never_in_circles() {
    let engine = Engine::new();
    let store = &engine.control;
    register(store, &["hook", "mail"]);
    for id in 1..=3 {
        judge(store, &incident(id, IncidentState::Open), &[IncidentEvent::Opened], NOW);
    }
    let ids: Vec<i64> = placed(store, &["hook"], NOW).iter().map(|one| one.id).collect();
    let refused = DeliveryOutcome::Refused { error: "it answered 413".to_owned() };
    store.delivered(&ids[..1], &refused, NOW).unwrap();
    store.delivered(&ids[..1], &refused, NOW).unwrap();
    store.delivered(&ids[1..2], &refused, at(NOW, HOUR - 1)).unwrap();
    let expected = "MessageRefused { channel: \"hook\" }";
    assert_eq!(untold(store, HOUR), [expected]);
    let due = placed(store, &["mail"], at(NOW, HOUR));
    let About::MessageRefused { channel, error, what } = &due.last().unwrap().about else {
        panic!("{due:?}")
    };
    assert_eq!((channel.as_str(), error.as_str()), ("hook", "it answered 413"));
    assert_eq!(what, "incident 1 (opened)");
    let totals = store.delivery_totals().unwrap();
    assert_eq!((totals.withheld, store.channels().unwrap()[0].failing_since), (2, None));
    // That it was refused is refused as well: nobody is told of that.
    store.delivered(&[due.last().unwrap().id], &refused, at(NOW, HOUR)).unwrap();
    assert_eq!(untold(store, HOUR), [""; 0]);
    store.delivered(&ids[2..], &refused, at(NOW, 2 * HOUR)).unwrap();
    assert_eq!(untold(store, 2 * HOUR), [expected]);
}

#[test]
fn a_channel_goes_as_what_is_said_again_does() {
    let engine = Engine::new();
    let store = &engine.control;
    register(store, &["alerts"]);
    store.channel_went("alerts", Err("it answered 500"), NOW).unwrap();
    store.channel_went("nobody", Err("it answered 500"), NOW).unwrap();
    assert_eq!(store.channels().unwrap()[0].failing_since, Some(NOW));
    store.channel_went("alerts", Err("it answered 500"), at(NOW, HOUR)).unwrap();
    let fails = "ChannelFailed { channel: \"alerts\", error: \"it answered 500\" }";
    assert_eq!(untold(store, HOUR), [fails]);
    store.channel_went("alerts", Ok(()), at(NOW, HOUR)).unwrap();
    assert_eq!(untold(store, HOUR), [fails, "ChannelWorks { channel: \"alerts\" }"]);
}

#[test]
fn that_somebody_has_seen_it_is_an_event_each_time() {
    let engine = Engine::new();
    let store = &engine.control;
    let open = incident(1, IncidentState::Open);
    judge(store, &open, &[], NOW);
    let seen = Deed::Acknowledge(Remark::new("ticket 4711").unwrap());
    for deed in [&seen, &Deed::Unacknowledge, &seen] {
        store.act(open.id, deed, &Act::by_operator(NOW)).unwrap().unwrap();
    }
    assert_eq!(untold(store, 0), ["Acknowledged", "Acknowledged"]);
}

#[test]
fn however_it_ends_what_somebody_got_counts_as_told() {
    let error = || "given up".to_owned();
    let left = vec!["b@example.org".to_owned()];
    for (ends, telling) in [
        (DeliveryOutcome::Withheld { reason: error() }, 0),
        (DeliveryOutcome::Refused { error: error() }, 1),
        (DeliveryOutcome::GivenUp { error: error() }, 1),
    ] {
        for purpose in [Purpose::Tell, Purpose::Escalate] {
            let engine = Engine::new();
            let store = &engine.control;
            register(store, &["mail"]);
            judge(store, &incident(1, IncidentState::Open), &[IncidentEvent::Opened], NOW);
            let event = store.untold(NOW, 9).unwrap().remove(0).event;
            store.place(&[(event, on("mail", purpose, 0))]).unwrap();
            let id = store.due_deliveries(NOW, 9, &[]).unwrap().remove(0).id;
            let error = || "b: 451".to_owned();
            let partly = DeliveryOutcome::Partly { at: NOW, error: error(), left: left.clone() };
            store.delivered(&[id], &partly, NOW).unwrap();
            judge(store, &incident(1, IncidentState::Closed), &[IncidentEvent::Closed], NOW);
            let told = || {
                let mut untold = store.untold(NOW, 9).unwrap();
                let Happened::Incident { told_on, .. } = untold.remove(0).happened else {
                    panic!("{untold:?}")
                };
                (told_on.len(), untold.len())
            };
            assert_eq!(told(), (1, 0), "{ends:?} {purpose:?}");
            let still = DeliveryOutcome::StillLeft { at: NOW, error: error() };
            store.delivered(&[id], &still, at(NOW, HOUR)).unwrap();
            let due = store.due_deliveries(NOW, 9, &[]).unwrap().remove(0);
            assert_eq!((due.left_for, due.attempts), (left.clone(), 2));
            let row = store.channels().unwrap().remove(0);
            assert_eq!((row.taken, row.failing_since), (Some(NOW), None));
            store.delivered(&[id], &ends, at(NOW, HOUR)).unwrap();
            assert_eq!(store.due_deliveries(NOW, 9, &[]).unwrap(), []);
            let totals = store.delivery_totals().unwrap();
            assert_eq!((totals.sent, totals.withheld), (1, 0), "{ends:?} {purpose:?}");
            assert_eq!(told(), (1, 0), "{ends:?} {purpose:?}");
            assert_eq!(untold(store, HOUR).len(), 1 + telling, "{ends:?} {purpose:?}");
        }
    }
}

#[test]
fn what_is_given_up_is_told_unless_the_channel_is_known_to_fail() {
    let given_up = DeliveryOutcome::GivenUp { error: "given up after 9 attempts".to_owned() };
    for (fails, expected) in [(false, 1), (true, 0)] {
        let engine = Engine::new();
        let store = &engine.control;
        register(store, &["hook"]);
        judge(store, &incident(1, IncidentState::Open), &[IncidentEvent::Opened], NOW);
        let id = placed(store, &["hook"], NOW)[0].id;
        store.delivered(&[id], &failed(fails), NOW).unwrap();
        store.delivered(&[id], &given_up, NOW).unwrap();
        let refused = "MessageRefused { channel: \"hook\" }";
        let told = untold(store, 0).into_iter().filter(|event| event == refused).count();
        assert_eq!(told, expected, "{fails}");
        assert_eq!(store.delivery_totals().unwrap().withheld, 1);
    }
}

#[test]
fn what_cannot_be_put_into_words_is_told_once_and_waits_on() {
    let engine = Engine::new();
    let store = &engine.control;
    register(store, &["mail"]);
    for name in ["daily:2026-09-21", "daily:2026-09-22"] {
        assert!(store.ask_report(name, NOW).unwrap());
    }
    let ids: Vec<i64> = placed(store, &["mail"], NOW).iter().map(|one| one.id).collect();
    let not_made =
        DeliveryOutcome::NotMade { at: at(NOW, 2 * DAY), error: "the disk\nis full".to_owned() };
    for after in [HOUR, 2 * HOUR, 2 * DAY] {
        store.delivered(&ids[..1], &not_made, at(NOW, after)).unwrap();
    }
    let expected = "NotMade { channel: \"mail\" }";
    assert_eq!(untold(store, HOUR), [expected]);
    store.delivered(&ids[1..], &not_made, at(NOW, HOUR)).unwrap();
    assert_eq!(untold(store, HOUR), [expected, expected]);
    let due = placed(store, &["mail"], at(NOW, HOUR));
    let what = |name: &str| About::NotMade {
        error: "the disk is full".to_owned(),
        what: format!("report daily:{name}"),
    };
    assert_eq!([&due[0].about, &due[1].about], [&what("2026-09-21"), &what("2026-09-22")]);
    let again = store.due_deliveries(at(NOW, 2 * DAY), 9, &[]).unwrap();
    assert_eq!((again.len(), again[0].attempts), (4, 0), "nobody was asked");
    let row = store.channels().unwrap().remove(0);
    assert_eq!((row.failing_since, row.error), (None, None));
}
