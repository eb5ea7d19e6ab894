use busyhour_model::desk::{
    Deed, IncidentAct, Owner, Places, Quiet, QuietKind, QuietScope, Remark, ShortRemark,
};
use busyhour_model::{Cause, Change, FindingKind, IncidentPlace, Mechanism, Segment, Siblings};
use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::route::RouteConfig;

/// A Thursday, 09:40 in Berlin.
const NOW: UtcMicros = UtcMicros(1_772_700_000_000_000);
const BERLIN: BuildingId = BuildingId::from_u128(7);
const PARIS: BuildingId = BuildingId::from_u128(8);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const HOUR: Duration = Duration::from_secs(3_600);

fn building(id: BuildingId, name: &str, region: &str) -> Building {
    Building {
        id,
        name: name.to_owned(),
        city: String::new(),
        country: String::new(),
        region: region.to_owned(),
        time_zone: Some("Europe/Berlin".to_owned()),
        business_hours: Some("Mo-Fr 08:00-18:00".parse().unwrap()),
        holidays: BTreeSet::new(),
    }
}

fn incident(id: u128) -> Incident {
    Incident {
        id: IncidentId::from_u128(id),
        number: 1,
        kind: FindingKind::RecurringPeak,
        place: IncidentPlace::Building(BERLIN),
        segment: Segment::CustomerWan,
        building: BERLIN,
        members: Vec::new(),
        siblings: Siblings::default(),
        hours: vec![(600, 720)],
        state: IncidentState::Open,
        change: Change::Opened,
        changed: date(2026, 3, 4),
        merged_into: None,
        stale: false,
        first_bad: date(2026, 2, 26),
        last_bad: date(2026, 3, 4),
        bad_days: Vec::new(),
        observed_days: Vec::new(),
        opened_on: Some(date(2026, 3, 4)),
        closed_on: None,
        noted: NOW,
        opened: Some(NOW),
        closed: None,
        openings: 1,
        severity: 0.31,
        confidence: 0.9,
        cause: Cause::Bandwidth,
        cause_confidence: 0.8,
        mechanism: Mechanism::Queue,
        evidence: Vec::new(),
        worst_hour: None,
        worst_on: None,
        average: None,
        masked: false,
        masking_factor: None,
        sentence: String::new(),
        paragraph: String::new(),
        simulated: false,
    }
}

/// Everything that a decision may rest on, to be changed.
#[derive(Default)]
struct Bed {
    routes: Vec<Route>,
    acts: Vec<IncidentAct>,
    quiets: Vec<Quiet>,
    states: BTreeMap<IncidentId, IncidentState>,
    settle: Duration,
}

const CHANNELS: [&str; 4] = ["noc", "champion", "pager", "head"];

impl Bed {
    fn route(mut self, change: impl FnOnce(&mut RouteConfig)) -> Self {
        let mut config = RouteConfig {
            name: "route".to_owned(),
            buildings: Vec::new(),
            regions: Vec::new(),
            causes: Vec::new(),
            segments: Vec::new(),
            at_least: None,
            channels: vec!["noc".to_owned()],
            when: None,
            digest_at: None,
            digest_zone: None,
            escalate_after: None,
            escalate_to: Vec::new(),
            r#continue: false,
        };
        change(&mut config);
        self.routes.push(Route::build(&config, &CHANNELS).unwrap());
        self
    }

    fn act(mut self, incident: u128, deed: Deed) -> Self {
        self.acts.push(IncidentAct {
            number: self.acts.len() as u64 + 1,
            incident: IncidentId::from_u128(incident),
            openings: 1,
            at: NOW,
            by: "eva".to_owned(),
            deed,
        });
        self
    }

    fn quiet(mut self, kind: QuietKind, from: UtcMicros, until: UtcMicros) -> Self {
        self.quiets.push(Quiet {
            number: 1,
            kind,
            scopes: vec![QuietScope::Everything],
            from,
            until,
            reason: Remark::new("new switches").unwrap(),
            by: "eva".to_owned(),
            made: from,
            ended: None,
        });
        self
    }

    fn with<T>(&self, look: impl FnOnce(&World<'_>) -> T) -> T {
        let buildings = [building(BERLIN, "Berlin HQ", "EMEA"), building(PARIS, "Paris", "SOUTH")];
        let places = Places::new(&buildings);
        let overlay = Overlay::new(&self.acts, Vec::new(), self.quiets.clone(), places);
        let by_id = buildings.iter().map(|building| (building.id, building)).collect();
        let channels = CHANNELS.map(str::to_owned);
        let wants = Wants {
            merged: HashSet::from(["noc".to_owned(), "pager".to_owned()]),
            acknowledged: HashSet::from(["pager".to_owned()]),
        };
        look(&World {
            channels: &channels,
            wants: &wants,
            routes: &self.routes,
            reports: &[],
            buildings: &by_id,
            overlay: &overlay,
            states: &self.states,
            settle: self.settle,
            give_up_after: 3 * DAY,
        })
    }

    fn fate(&self, incident: &Incident, event: IncidentEvent, now: UtcMicros) -> Fate {
        let told_on = vec![("noc".to_owned(), Purpose::Tell)];
        let happened = Happened::Incident {
            event,
            openings: 1,
            incident: Box::new(incident.clone()),
            told_on,
            opening_waits: false,
        };
        let untold = Untold { event: 1, created: NOW, happened };
        self.with(|world| world.fate(&untold, now))
    }

    fn opened(&self, incident: &Incident) -> Fate {
        self.fate(incident, IncidentEvent::Opened, NOW)
    }

    fn check(&self, incident: &Incident, purpose: Purpose, now: UtcMicros) -> Check {
        self.look(incident, now, |one, _| one.purpose = purpose)
    }

    /// What becomes of an event of the incident while the news that it opened waits.
    fn fate_before_its_opening(&self, incident: &Incident, event: IncidentEvent) -> Fate {
        let happened = Happened::Incident {
            event,
            openings: 1,
            incident: Box::new(incident.clone()),
            told_on: Vec::new(),
            opening_waits: true,
        };
        self.with(|world| world.fate(&Untold { event: 1, created: NOW, happened }, NOW))
    }

    /// The last look at the news that an incident opened, or what is made of that.
    fn look(
        &self,
        incident: &Incident,
        now: UtcMicros,
        change: impl FnOnce(&mut Delivery, &mut IncidentNews),
    ) -> Check {
        let mut news = IncidentNews {
            event: IncidentEvent::Opened,
            openings: 1,
            incident: incident.clone(),
            building: String::new(),
            buildings: Vec::new(),
            subnet: None,
            agent: None,
            labels: None,
            opening: OpeningTold::Waits,
        };
        let mut delivery = Delivery {
            id: 1,
            channel: "head".to_owned(),
            purpose: Purpose::Tell,
            bundle: None,
            about: About::Test,
            created: NOW,
            placed: NOW,
            attempts: 0,
            left_for: Vec::new(),
        };
        change(&mut delivery, &mut news);
        delivery.about = About::Incident(Box::new(news));
        self.with(|world| world.check(&delivery, now))
    }
}

/// A fate in short: channel, purpose, and how many seconds from now.
fn short(fate: &Fate) -> Vec<(String, &'static str, i64)> {
    let Fate::On { deliveries, .. } = fate else { panic!("{fate:?}") };
    let one = |new: &NewDelivery| {
        (new.channel.clone(), new.purpose.as_str(), new.due.since(NOW) / 1_000_000)
    };
    deliveries.iter().map(one).collect()
}

fn names(fate: &Fate) -> Vec<String> {
    short(fate).into_iter().map(|(channel, ..)| channel).collect()
}

#[test]
fn without_a_route_everything_goes_to_every_channel_at_once() {
    let fate = Bed::default().opened(&incident(1));
    assert_eq!(names(&fate), CHANNELS);
    assert!(short(&fate).iter().all(|(_, purpose, after)| (*purpose, *after) == ("tell", 0)));
    let Fate::On { labels, .. } = fate else { panic!() };
    let labels = labels_of(&labels).unwrap();
    assert_eq!((labels["building"].as_str(), labels["region"].as_str()), ("Berlin HQ", "EMEA"));
    assert_eq!((labels["severity"].as_str(), labels["cause"].as_str()), ("major", "bandwidth"));
}

#[test]
fn the_first_route_that_fits_counts_unless_it_goes_on() {
    let to = |name: &'static str| move |route: &mut RouteConfig| route.channels = vec![name.into()];
    let bed = Bed::default()
        .route(|route| route.regions = vec!["SOUTH".to_owned()])
        .route(|route| {
            to("champion")(route);
            route.causes = vec!["bandwidth".to_owned()];
            route.r#continue = true;
        })
        .route(|route| {
            to("pager")(route);
            route.at_least = Some("major".to_owned());
        })
        .route(to("head"));
    assert_eq!(names(&bed.opened(&incident(1))), ["champion", "pager"]);
    let minor = Incident { severity: 0.1, cause: Cause::Wifi, ..incident(1) };
    assert_eq!(names(&bed.opened(&minor)), ["head"]);
    let paris = Incident { building: PARIS, ..incident(1) };
    assert_eq!(names(&bed.opened(&paris)), ["noc"]);
    let none = Bed::default().route(|route| route.buildings = vec!["Rome".to_owned()]);
    assert_eq!(none.opened(&incident(1)), Fate::Nobody("no route is for it".to_owned()));
}

#[test]
fn a_route_tells_in_business_hours_in_a_digest_and_escalates() {
    let hours = Bed::default().route(|route| {
        route.when = Some("business-hours".to_owned());
        route.escalate_after = Some("10h".to_owned());
        route.escalate_to = vec!["head".to_owned()];
    });
    // Within business hours it is told at once; ten hours of them are over on Friday at 09:40.
    assert_eq!(
        short(&hours.opened(&incident(1))),
        [("noc".to_owned(), "tell", 0), ("head".to_owned(), "escalate", 24 * 3_600)]
    );
    let night = NOW.plus(12 * HOUR);
    let fate = hours.fate(&incident(1), IncidentEvent::Opened, night);
    // 21:40 on Thursday: on Friday at 08:00, and on Friday at 18:00 it would be ten hours.
    let seconds = |hours: i64, minutes: i64| hours * 3_600 + minutes * 60;
    assert_eq!(short(&fate)[0].2, seconds(22, 20));
    let digest = Bed::default().route(|route| {
        route.when = Some("digest".to_owned());
        route.digest_at = Some("07:30".to_owned());
        route.digest_zone = Some("Europe/Berlin".to_owned());
    });
    let expected = [("noc".to_owned(), "digest", seconds(21, 50))];
    assert_eq!(short(&digest.opened(&incident(1))), expected);
    let over = Incident { state: IncidentState::Closed, ..incident(1) };
    assert_eq!(short(&digest.fate(&over, IncidentEvent::Closed, NOW)), expected);
}

#[test]
fn an_opening_waits_until_the_data_of_its_place_have_come() {
    let settle = Duration::from_secs(300);
    let bed = Bed { settle, ..Bed::default() };
    let opened = |incident: &Incident, now| bed.fate(incident, IncidentEvent::Opened, now);
    let late = NOW.plus(settle);
    assert_eq!(opened(&incident(1), NOW), Fate::Later(late));
    assert_eq!(opened(&incident(1), late.minus(Duration::from_micros(1))), Fate::Later(late));
    assert!(matches!(opened(&incident(1), late), Fate::On { .. }));
    // By then it turned out to be part of another, or nothing.
    let over = Incident { state: IncidentState::Closed, ..incident(1) };
    assert!(matches!(opened(&over, late), Fate::Nobody(_)));
    // Opened again, that opening is told, and not this one, too.
    let again = Incident { openings: 2, ..incident(1) };
    assert!(matches!(opened(&again, late), Fate::Nobody(_)));
}

#[test]
fn what_is_quiet_waits_and_what_is_part_of_another_waits_with_it() {
    let minute = Fate::Later(NOW.plus(LOOK_AGAIN));
    let silent = Bed::default().quiet(QuietKind::Silence, NOW, NOW.plus(DAY));
    assert_eq!(silent.opened(&incident(1)), minute);
    assert_eq!(silent.fate(&incident(1), IncidentEvent::Worse, NOW), minute);
    // What is over at the end of the silence is told to nobody; what is not is told then, however late.
    let later = NOW.plus(5 * DAY);
    let long = Bed::default().quiet(QuietKind::Silence, NOW, later);
    assert_eq!(names(&long.fate(&incident(1), IncidentEvent::Opened, later)).len(), 4);
    let over = Incident { state: IncidentState::Closed, ..incident(1) };
    assert!(matches!(long.fate(&over, IncidentEvent::Opened, later), Fate::Nobody(_)));
    // What waited for a channel alone is not told for the first time after three days.
    let late = Bed::default().fate(&incident(1), IncidentEvent::Opened, later);
    assert!(matches!(late, Fate::Nobody(_)), "{late:?}");

    let merge = Deed::Merge {
        into: IncidentId::from_u128(2),
        into_number: 2,
        reason: Remark::new("the same link").unwrap(),
    };
    let mut merged = Bed::default().act(1, merge);
    merged.states.insert(IncidentId::from_u128(2), IncidentState::Open);
    assert_eq!(merged.opened(&incident(1)), minute);
    assert!(matches!(merged.opened(&over), Fate::Nobody(_)));
    merged.states.insert(IncidentId::from_u128(2), IncidentState::Closed);
    assert_eq!(names(&merged.opened(&incident(1))).len(), 4, "the other is over, this one is not");
}

#[test]
fn an_end_is_told_where_its_begin_was_and_nowhere_else() {
    let over = Incident { state: IncidentState::Closed, ..incident(1) };
    let bed = Bed::default().route(|route| route.channels = vec!["pager".to_owned()]);
    assert_eq!(names(&bed.fate(&over, IncidentEvent::Closed, NOW)), ["noc"]);
}

#[test]
fn who_has_seen_it_is_not_passed_over() {
    let due = NOW.plus(8 * HOUR);
    let escalate = |bed: &Bed, incident: &Incident| bed.check(incident, Purpose::Escalate, due);
    assert_eq!(escalate(&Bed::default(), &incident(1)), Check::Send);
    let seen = Deed::Acknowledge(Remark::new("the provider is called").unwrap());
    let seen = Bed::default().act(1, seen);
    assert_eq!(escalate(&seen, &incident(1)), Check::Withhold("eva has seen it".to_owned()));
    let undone = Bed { acts: seen.acts.clone(), ..Bed::default() }.act(1, Deed::Unacknowledge);
    assert_eq!(escalate(&undone, &incident(1)), Check::Send);
    // An owner or a note is no acknowledgement.
    let owner = Owner { name: ShortRemark::new("WAN team").unwrap(), contact: None };
    assert_eq!(escalate(&Bed::default().act(1, Deed::Own(owner)), &incident(1)), Check::Send);
    let over = Incident { state: IncidentState::Closed, ..incident(1) };
    assert!(matches!(escalate(&Bed::default(), &over), Check::Withhold(_)));
    let again = Incident { openings: 2, ..incident(1) };
    assert!(matches!(escalate(&Bed::default(), &again), Check::Withhold(_)));
    // Who is told in any case is told that it is seen, too.
    assert_eq!(seen.check(&incident(1), Purpose::Tell, due), Check::Send);
    let quiet = Bed::default().quiet(QuietKind::Silence, NOW, due.plus(DAY));
    assert_eq!(quiet.check(&incident(1), Purpose::Digest, due), Check::Later(due.plus(LOOK_AGAIN)));
}

#[test]
fn what_is_quiet_grows_no_older_and_what_waits_for_its_channel_does() {
    // Silenced after it was placed.
    let bed = Bed::default().quiet(QuietKind::Silence, NOW.plus(DAY), NOW.plus(6 * DAY));
    let late = NOW.plus(4 * DAY);
    let plain = |_: &mut Delivery, _: &mut IncidentNews| {};
    assert_eq!(bed.look(&incident(1), late, plain), Check::Later(late.plus(LOOK_AGAIN)));
    let end = NOW.plus(6 * DAY);
    let held = |one: &mut Delivery, _: &mut IncidentNews| one.placed = end;
    assert_eq!(bed.look(&incident(1), end, held), Check::Send);
    let withheld = Bed::default().look(&incident(1), late, plain);
    assert!(matches!(withheld, Check::Withhold(reason) if reason.contains("too old")));
    let tried = |one: &mut Delivery, _: &mut IncidentNews| one.attempts = 40;
    let given_up = bed.look(&incident(1), late, tried);
    assert_eq!(given_up, Check::GiveUp("given up after 40 attempts".to_owned()));
    let begun = |one: &mut Delivery, _: &mut IncidentNews| {
        one.attempts = 1;
        one.placed = late;
    };
    assert_eq!(bed.look(&incident(1), late, begun), Check::Send, "what was begun is finished");
}

#[test]
fn an_end_is_sent_where_its_begin_was_taken_unless_it_came_back() {
    let end = |incident: &Incident, opening| {
        Bed::default().look(incident, NOW, |_, news| {
            news.event = IncidentEvent::Closed;
            news.opening = opening;
        })
    };
    let over = Incident { state: IncidentState::Closed, ..incident(1) };
    assert_eq!(end(&over, OpeningTold::Taken), Check::Send);
    assert_eq!(end(&over, OpeningTold::Waits), Check::Later(NOW.plus(LOOK_AGAIN)));
    assert!(matches!(end(&over, OpeningTold::Never), Check::Withhold(_)));
    let again = Incident { openings: 2, ..incident(1) };
    let twice = Incident { openings: 2, ..over };
    for back in [again, twice] {
        let came_back = Check::Withhold("it came back before that could be told".to_owned());
        assert_eq!(end(&back, OpeningTold::Taken), came_back);
    }
}

#[test]
fn what_is_over_before_its_quiet_time_is_told_to_nobody() {
    let over = Incident { state: IncidentState::Closed, ..incident(1) };
    let bed = Bed::default().quiet(QuietKind::Silence, NOW, NOW.plus(DAY));
    let look = |bed: &Bed, now: UtcMicros, attempts| {
        bed.look(&over, now, |one, _| {
            one.placed = now;
            one.attempts = attempts;
        })
    };
    assert!(matches!(look(&bed, NOW.plus(HOUR), 0), Check::Withhold(_)));
    assert!(matches!(look(&bed, NOW.plus(DAY), 0), Check::Withhold(_)), "it was held until then");
    assert_eq!(look(&bed, NOW.plus(HOUR), 1), Check::Send, "what was begun is finished");
    assert_eq!(look(&Bed::default(), NOW.plus(HOUR), 0), Check::Send);
}

#[test]
fn what_became_part_of_another_waits_with_it() {
    let merge = Deed::Merge {
        into: IncidentId::from_u128(2),
        into_number: 2,
        reason: Remark::new("the same link").unwrap(),
    };
    let mut merged = Bed::default().act(1, merge);
    merged.states.insert(IncidentId::from_u128(2), IncidentState::Open);
    let minute = Check::Later(NOW.plus(LOOK_AGAIN));
    assert_eq!(merged.check(&incident(1), Purpose::Digest, NOW), minute);
    let over = Incident { state: IncidentState::Closed, ..incident(1) };
    assert!(matches!(merged.check(&over, Purpose::Digest, NOW), Check::Withhold(_)));
    merged.states.insert(IncidentId::from_u128(2), IncidentState::Closed);
    assert_eq!(merged.check(&incident(1), Purpose::Digest, NOW), Check::Send);
}

#[test]
fn that_it_goes_on_elsewhere_is_told_to_machines_that_were_told_of_it() {
    let bed = Bed::default();
    let merged = Incident { state: IncidentState::Closed, ..incident(1) };
    let fate = |event| bed.fate(&merged, event, NOW);
    assert_eq!(names(&fate(IncidentEvent::Merged)), ["noc"], "the pager was not told of it");
    let Fate::Nobody(_) = fate(IncidentEvent::Acknowledged) else {
        panic!("the pager was not told")
    };
}

#[test]
fn what_comes_after_an_opening_that_waits_waits_with_it() {
    let waits = |event| Bed::default().fate_before_its_opening(&incident(1), event);
    for event in [IncidentEvent::Closed, IncidentEvent::Merged, IncidentEvent::Acknowledged] {
        assert_eq!(waits(event), Fate::Later(NOW.plus(LOOK_AGAIN)), "{event:?}");
    }
}

#[test]
fn that_somebody_has_seen_it_is_told_as_long_as_it_is_so() {
    let seen = |one: &mut Delivery, news: &mut IncidentNews| {
        one.purpose = Purpose::Tell;
        news.event = IncidentEvent::Acknowledged;
        news.opening = OpeningTold::Taken;
    };
    let reason = || Remark::new("ticket 4711").unwrap();
    let bed = Bed::default().act(1, Deed::Acknowledge(reason()));
    assert_eq!(bed.look(&incident(1), NOW, seen), Check::Send);
    let bed = bed.act(1, Deed::Unacknowledge);
    assert!(matches!(bed.look(&incident(1), NOW, seen), Check::Withhold(_)));
    let over = Incident { state: IncidentState::Closed, ..incident(1) };
    let bed = Bed::default().act(1, Deed::Acknowledge(reason()));
    assert!(matches!(bed.look(&over, NOW, seen), Check::Withhold(_)));
}

#[test]
fn a_channel_that_fails_is_told_on_the_others_and_a_test_on_its_own() {
    let fate = |happened| {
        let untold = Untold { event: 1, created: NOW, happened };
        Bed::default().with(|world| world.fate(&untold, NOW))
    };
    let failed = Happened::ChannelFailed { channel: "noc".to_owned(), error: String::new() };
    assert_eq!(names(&fate(failed)), ["champion", "pager", "head"]);
    let test = Happened::Test { channel: "pager".to_owned() };
    assert_eq!(names(&fate(test)), ["pager"]);
    let not_made = Happened::NotMade { channel: "pager".to_owned() };
    assert_eq!(names(&fate(not_made)), ["pager"]);
    let refused = Happened::MessageRefused { channel: "noc".to_owned() };
    assert_eq!(names(&fate(refused)), ["champion", "pager", "head"]);
    let gone = Happened::Test { channel: "gone".to_owned() };
    assert!(matches!(fate(gone), Fate::Nobody(_)));
}

#[test]
fn a_route_that_contradicts_itself_is_refused_with_the_reason() {
    let check = |change: &dyn Fn(&mut RouteConfig), expected: &str| {
        let text = "name = \"r\"\nchannels = [\"noc\"]";
        let mut config: RouteConfig = RouteConfig {
            name: "r".to_owned(),
            channels: vec!["noc".to_owned()],
            buildings: Vec::new(),
            regions: Vec::new(),
            causes: Vec::new(),
            segments: Vec::new(),
            at_least: None,
            when: None,
            digest_at: None,
            digest_zone: None,
            escalate_after: None,
            escalate_to: Vec::new(),
            r#continue: false,
        };
        change(&mut config);
        let error = Route::build(&config, &CHANNELS).expect_err(text).to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|route| route.channels.clear(), "no channel");
    check(&|route| route.channels = vec!["nobody".to_owned()], "no channel \"nobody\"");
    check(&|route| route.causes = vec!["gremlins".to_owned()], "not a cause");
    check(&|route| route.at_least = Some("bad".to_owned()), "minor, major or critical");
    check(&|route| route.when = Some("digest".to_owned()), "digest_at and digest_zone");
    check(&|route| route.digest_at = Some("07:30".to_owned()), "go with when");
    check(&|route| route.escalate_after = Some("8h".to_owned()), "go together");
    check(
        &|route| {
            route.escalate_after = Some("soon".to_owned());
            route.escalate_to = vec!["head".to_owned()];
        },
        "not a time",
    );
}

proptest! {
    /// Whatever the routes are: each channel is told at most once by itself or in a digest, and escalated to at
    /// most once; nothing is due before now; and no channel that is not there is named.
    #[test]
    fn nobody_is_told_twice(
        routes in prop::collection::vec((0_usize..4, 0_usize..4, 0_u8..3, any::<bool>(), any::<bool>()), 0..6),
        hour in 0_u64..400,
    ) {
        let mut bed = Bed::default();
        for (channel, other, when, escalates, goes_on) in routes {
            bed = bed.route(|route| {
                route.channels = vec![CHANNELS[channel].to_owned(), CHANNELS[other].to_owned()];
                if when == 1 {
                    route.when = Some("business-hours".to_owned());
                } else if when == 2 {
                    route.when = Some("digest".to_owned());
                    route.digest_at = Some("07:30".to_owned());
                    route.digest_zone = Some("Europe/Berlin".to_owned());
                }
                if escalates {
                    route.escalate_after = Some("8h".to_owned());
                    route.escalate_to = vec![CHANNELS[other].to_owned()];
                }
                route.r#continue = goes_on;
            });
        }
        let now = NOW.plus(Duration::from_secs(hour * 3_600));
        let untold = Untold {
            event: 1,
            created: now,
            happened: Happened::Incident {
                event: IncidentEvent::Opened,
                openings: 1,
                incident: Box::new(incident(1)),
                told_on: Vec::new(),
                opening_waits: false,
            },
        };
        let fate = bed.with(|world| world.fate(&untold, now));
        let Fate::On { deliveries, .. } = fate else { panic!("{fate:?}") };
        let mut told = BTreeSet::new();
        for new in deliveries {
            let escalates = new.purpose == Purpose::Escalate;
            prop_assert!(told.insert((new.channel.clone(), escalates)));
            prop_assert!(new.due >= now && CHANNELS.contains(&new.channel.as_str()));
        }
    }
}
