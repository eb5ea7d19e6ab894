//! Messages of each sort, to try a template on.

use busyhour_model::desk::Owner;
use busyhour_model::{
    Breach, BuildingId, Cause, Change, DailyAverage, Evidence, FindingKind, Incident, IncidentId,
    IncidentMember, IncidentPlace, IncidentState, Judgement, Mechanism, PathId, Segment, Siblings,
    SubnetId, UtcMicros, WorstHour,
};
use busyhour_store::{About, Delivery, IncidentEvent, IncidentNews, OpeningTold, Purpose};
use jiff::civil::{Date, date};

use super::{BaseUrl, Message};
use crate::report::ReportMail;

/// 2026-03-05T08:40:00Z.
const AT: UtcMicros = UtcMicros::from_secs(1_772_700_000);
const BUILDING: BuildingId = BuildingId::from_u128(7);

/// Fields that are `null` where a message has none of them are so in some of these.
pub(crate) fn samples() -> Vec<Message> {
    let base_url = BaseUrl("https://busyhour.example.org".to_owned());
    let owner = |contact| Some(Owner { name: "Network team".parse().ok()?, contact });
    let of = |event, incident, owner: Option<Owner>| {
        let news = news(event, incident);
        Message::of(&delivery(&news), &news, owner.as_ref(), &base_url, None)
    };
    let news = |event, incident| of(event, incident, owner(None));
    let bare = Incident {
        worst_hour: None,
        worst_on: None,
        average: None,
        masking_factor: None,
        evidence: Vec::new(),
        ..incident(IncidentState::Open)
    };
    let vague = Incident {
        place: IncidentPlace::Upstream("transit 7".to_owned()),
        worst_hour: Some(WorstHour { dominant: None, rating_p10_hundredths: None, ..worst_hour() }),
        masked: false,
        masking_factor: None,
        ..incident(IncidentState::Open)
    };
    let about = delivery(&self::news(IncidentEvent::Opened, incident(IncidentState::Open)));
    let report = ReportMail {
        subject: "Quality Experience Review".to_owned(),
        html: String::new(),
        text: String::new(),
        attachments: Vec::new(),
        simulated: false,
    };
    vec![
        of(
            IncidentEvent::Opened,
            incident(IncidentState::Open),
            owner("noc@example.org".parse().ok()),
        ),
        of(IncidentEvent::Opened, bare, None),
        news(IncidentEvent::Worse, vague),
        news(IncidentEvent::Closed, incident(IncidentState::Closed)),
        news(IncidentEvent::Merged, incident(IncidentState::Closed)),
        Message::test(&about, &base_url),
        Message::of_channel(&about, "champion", Some("it answered 503"), &base_url),
        Message::of_channel(&about, "champion", None, &base_url),
        Message::of_refused(
            &about,
            ("champion", "it answered 413", "incident 12 (opened)"),
            &base_url,
        ),
        Message::of_not_made(&about, ("the disk is full", "report review:2026-03-02"), &base_url),
        Message::of_report(&about, "review:2026-03-02", report, &base_url),
    ]
}

fn delivery(news: &IncidentNews) -> Delivery {
    Delivery {
        id: 1,
        channel: "tickets".to_owned(),
        purpose: Purpose::Tell,
        bundle: None,
        about: About::Incident(Box::new(news.clone())),
        created: AT,
        placed: AT,
        attempts: 0,
        left_for: Vec::new(),
    }
}

fn news(event: IncidentEvent, incident: Incident) -> IncidentNews {
    IncidentNews {
        event,
        openings: incident.openings,
        incident,
        building: "Berlin HQ".to_owned(),
        buildings: vec!["Berlin HQ".to_owned()],
        subnet: None,
        agent: None,
        labels: None,
        opening: OpeningTold::Taken,
    }
}

fn incident(state: IncidentState) -> Incident {
    let first: Date = date(2026, 2, 26);
    let last = date(2026, 3, 4);
    let member =
        IncidentMember { path: PathId(3), building: BUILDING, subnet: SubnetId::from_u128(3) };
    let over = state == IncidentState::Closed;
    Incident {
        id: IncidentId::from_u128(42),
        number: 12,
        kind: FindingKind::RecurringPeak,
        place: IncidentPlace::Building(BUILDING),
        segment: Segment::CustomerWan,
        building: BUILDING,
        members: vec![member],
        siblings: Siblings { within: 4, suffering: 4, beside: 6, ..Siblings::default() },
        hours: vec![(600, 720)],
        state,
        change: if over { Change::Closed } else { Change::Opened },
        changed: last,
        merged_into: None,
        stale: false,
        first_bad: first,
        last_bad: last,
        bad_days: vec![first, date(2026, 3, 2), last],
        observed_days: vec![first, date(2026, 3, 2), date(2026, 3, 3), last],
        opened_on: Some(last),
        closed_on: over.then_some(last),
        noted: AT,
        opened: Some(AT),
        closed: over.then_some(AT),
        openings: 1,
        severity: 0.31,
        confidence: 0.95,
        cause: Cause::Bandwidth,
        cause_confidence: 0.7,
        mechanism: Mechanism::Queue,
        evidence: vec![Evidence {
            cause: Cause::Bandwidth,
            weight: 2.1,
            text: "round trips rise with load".to_owned(),
        }],
        worst_hour: Some(worst_hour()),
        worst_on: Some(last),
        average: Some(DailyAverage {
            loss_ppm: 3_100,
            rtt_us: 41_200,
            jitter_us: 4_000,
            passes: true,
        }),
        masked: true,
        masking_factor: Some(7.7),
        sentence: "Calls in Berlin HQ break up every workday from 10 to 12.".to_owned(),
        paragraph: "37 of 120 checks bad.".to_owned(),
        simulated: false,
    }
}

fn worst_hour() -> WorstHour {
    WorstHour {
        start_minute: 615,
        valid: 120,
        bad: 37,
        dominant: Some(Breach::Loss),
        bad_by: [37, 0, 0, 0, 0],
        loss_ppm: 18_000,
        loss_ppm_p90: 24_000,
        rtt_us_p90: 84_000,
        jitter_us_p90: 9_400,
        reordered: 0,
        replies: 88_000,
        order: Judgement::Pass,
        rating_p10_hundredths: Some(6_800),
    }
}
