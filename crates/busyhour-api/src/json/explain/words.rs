//! The same in sentences, for a reader who was not there.

use busyhour_model::{Breach, DayVerdict, IncidentState, Judgement, LimitTable};
use busyhour_store::StoredWindow;

use super::{Found, touches};
use crate::json::hours::hour_of;
use crate::smoke::clock;
use crate::text;

/// From this share of bad windows on an hour is bad.
const BAD_HOUR_SHARE: f64 = 0.05;

/// What, when, the window, the hour, the day, the incidents.
pub(super) fn words(found: &Found) -> Vec<String> {
    let mut words = vec![subject(found), when(found), measured(found)];
    words.extend(found.limits.map(|table| {
        format!(
            "The limits ({}): {}; {}, edition of {}.",
            text::plain(table.requirement.as_str()),
            text::limits(table),
            table.source.document,
            table.source.published,
        )
    }));
    words.push(hour(found));
    words.push(day(found));
    words.extend(incidents(found));
    words
}

fn subject(found: &Found) -> String {
    let key = &found.path.key;
    let simulated = if found.simulated { " The agent is a simulated one." } else { "" };
    let building = match &found.building {
        Some(building) => format!(" in {}", building.name),
        None => ", whose building is not known".to_owned(),
    };
    format!(
        "Path {}: {}{building}, {}, to {}, {}.{simulated}",
        found.path.id.0,
        found.agent.as_deref().unwrap_or("an agent that is no longer known"),
        key.link.kind().words(),
        key.target,
        text::plain(key.class.as_str()),
    )
}

fn when(found: &Found) -> String {
    let zone = found.zone.iana_name().unwrap_or("UTC");
    let at = format!("{} ({zone})", clock(found.at, &found.zone));
    let Some(busy) = &found.busy else {
        return format!(
            "{at}: nobody told when people work there, so whether it was a busy hour is unknown."
        );
    };
    if !busy.works {
        return format!("{at}: no working day there, so no busy hour.");
    }
    if busy.is_hidden {
        return format!(
            "{at}: the busy hours there were learned of too few machines to be shown, so whether it was \
             one is not told."
        );
    }
    let from = if busy.learned { "learned from its load" } else { "as configured" };
    let hours = text::spans(&busy.hours);
    let lies = if busy.is_in { "inside" } else { "outside" };
    format!("{at} lies {lies} the building's busy hours ({hours}, {from}).")
}

fn measured(found: &Found) -> String {
    let Some(stored) = &found.window else {
        return "No window was measured within seven and a half minutes of it, or it is not kept any \
                more: unknown, which is not good."
            .to_owned();
    };
    let (judged, window) = (&stored.judged, &stored.judged.window);
    let counts = &window.counts;
    let lost = counts.lost();
    let figure = |us: Option<u32>| us.map_or_else(|| "unknown".to_owned(), text::milliseconds);
    format!(
        "The window of {}: {} packets sent, {lost} lost{}, round trip {} (median), jitter {}: {}.",
        text::utc(judged.placed),
        counts.sent(),
        share(u64::from(lost), u64::from(counts.sent())),
        figure(window.rtt_median_us),
        figure(window.jitter_us()),
        verdict(stored, found.limits),
    )
}

/// ` (4.25 %)`, ` (50 %)`, or nothing of nothing.
fn share(part: u64, whole: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "packets are few")]
    let share = (whole > 0).then(|| part as f64 / whole as f64 * 100.0);
    share.map_or_else(String::new, |share| {
        let words = busyhour_chart::Unit::Percent.words(share);
        format!(" ({})", words.replacen(".00 %", " %", 1).replacen(".0 %", " %", 1))
    })
}

/// What was judged of a window, limit by limit.
fn verdict(stored: &StoredWindow, limits: Option<&LimitTable>) -> String {
    let verdict = &stored.judged.verdict;
    if !verdict.valid {
        return "too little was sent to judge it, so it does not count".to_owned();
    }
    if verdict.failed {
        return "bad, nothing came back".to_owned();
    }
    let Some(table) = limits else { return "no limit is published for it".to_owned() };
    let broken: Vec<String> = Breach::ALL
        .iter()
        .copied()
        .filter(|&breach| verdict.breaks(breach))
        .map(|breach| match breach {
            Breach::Delay => by_delay(stored, table),
            breach => format!("{} (limit {})", breach.as_str(), limit(table, breach)),
        })
        .collect();
    let unknown = [
        ("loss", verdict.loss),
        ("burst", verdict.burst),
        ("delay", verdict.delay),
        ("jitter", verdict.jitter),
    ]
    .into_iter()
    .filter(|(_, judgement)| *judgement == Judgement::Unknown)
    .map(|(name, _)| name)
    .collect::<Vec<_>>()
    .join(" and ");
    let but = if unknown.is_empty() { unknown } else { format!("; of {unknown} it says nothing") };
    match broken.is_empty() {
        true => format!("within the limits{but}"),
        false => format!("bad by {}{but}", broken.join(" and ")),
    }
}

/// A window's delay is bad by its round trip, one way, or both.
fn by_delay(stored: &StoredWindow, table: &LimitTable) -> String {
    let window = &stored.judged.window;
    let mut ways = Vec::new();
    if window.rtt_median_us.is_some_and(|rtt| rtt > table.rtt_us) {
        ways.push(format!("delay (limit {})", text::milliseconds(table.rtt_us)));
    }
    if table.judge_one_way(window) == Judgement::Fail {
        ways.push(format!("delay one way (limit {})", text::milliseconds(table.one_way_us)));
    }
    ways.join(" and ")
}

fn limit(table: &LimitTable, breach: Breach) -> String {
    match breach {
        Breach::Loss => text::percent_ppm(table.loss_ppm),
        Breach::Burst => format!("{} in 200 ms", text::percent_ppm(table.burst_ppm)),
        Breach::Delay => text::milliseconds(table.rtt_us),
        Breach::Jitter => text::milliseconds(table.jitter_us),
        Breach::Failed => "none".to_owned(),
    }
}

fn hour(found: &Found) -> String {
    let Some(hour) = &found.hour else {
        return "Nothing that counts was observed in that hour.".to_owned();
    };
    let start = busyhour_model::LocalDay::of(hour_of(hour.start, &found.zone), &found.zone);
    format!(
        "In the hour {} {} of {} windows were bad{}; {} of {} packets were lost{}.",
        text::hour_from(start.minute),
        hour.bad,
        hour.valid,
        share(u64::from(hour.bad), u64::from(hour.valid)),
        hour.lost(),
        hour.sent,
        share(hour.lost(), hour.sent),
    )
}

fn day(found: &Found) -> String {
    let Some(day) = found.day() else {
        return "That day of the path is not judged: it may be too early, too old, or nobody was \
                expected."
            .to_owned();
    };
    if day.verdict == DayVerdict::Missing && day.expected == 0 {
        return "The path's day is not judged: nothing was to be observed on it.".to_owned();
    }
    let said = match day.verdict {
        DayVerdict::Good => "good: no busy hour was bad",
        DayVerdict::PeakBad => "bad at peak",
        DayVerdict::AllDayBad => "bad all day",
        DayVerdict::Missing => "unknown: nobody worked, or too little was observed",
    };
    let worst = day.worst_hour.as_ref().map_or_else(String::new, |worst| {
        let hours = text::hour_from(worst.start_minute);
        format!("; the worst busy hour was {hours} with {} bad of {}", worst.bad, worst.valid)
    });
    let of_hour = found.hour.as_ref();
    let hour_is_bad = of_hour.and_then(|hour| hour.bad_ratio()) >= Some(BAD_HOUR_SHARE);
    let is_more = of_hour.is_some_and(|hour| hour.bad > day.bad);
    let fault = if is_more || hour_is_bad && day.verdict == DayVerdict::Good {
        " Windows outside busy hours, those in which the target itself was at fault, and those that came \
         after the day was judged do not count."
    } else {
        ""
    };
    let masked = if day.masked { " The daily average hides it: it passes." } else { "" };
    format!(
        "The path's day was {said}. {} of {} observed windows of its busy hours were bad ({} were \
         expected){worst}.{masked}{fault}",
        day.bad, day.valid, day.expected,
    )
}

fn incidents(found: &Found) -> Vec<String> {
    if found.incidents.is_empty() {
        return vec!["The path belongs to no incident that was open then or later.".to_owned()];
    }
    let one = |incident: &busyhour_model::Incident| {
        let told = if incident.kind.alerts() { "" } else { ", of which nobody is told" };
        let over = if incident.state == IncidentState::Closed { " by now" } else { "" };
        let named =
            format!("incident {} ({}{over}{told})", incident.number, incident.state.as_str());
        if touches(incident, found.local) {
            return format!("The moment belongs to {named}: {}", incident.sentence);
        }
        let sentence = incident.sentence.as_str();
        let first = sentence.find(". ").map_or(sentence, |end| &sentence[..=end]);
        format!("At other hours or on other days the path belongs to {named}: {first}")
    };
    found.incidents.iter().map(one).collect()
}
