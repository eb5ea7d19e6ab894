//! Words and numbers as people read them. Plain ASCII: a subject of a mail is read everywhere.

use busyhour_model::{Breach, FindingKind, Incident, Segment, UtcMicros, WorstHour};

/// Names are cut here, so that no message grows without bound.
const MAX_NAME_CHARS: usize = 200;
/// Sentences, paragraphs and evidence are cut here.
const MAX_TEXT_CHARS: usize = 8_000;

/// What kind of thing it is, for those who do not know our words for it.
pub(super) const fn kind_words(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::RecurringPeak => "bad at the same hours of most working days",
        FindingKind::WeeklyPattern => "bad at the same hours of one weekday",
        FindingKind::ConstantFault => "bad at all hours",
        FindingKind::LevelShift => "round trips moved and stayed: another route",
        FindingKind::OneOff => "bad once",
        FindingKind::TargetFault => "a target that failed",
        FindingKind::EarlyWarning => "slower at busy hours, within all limits",
        FindingKind::Drift => "slower month by month",
    }
}

pub(super) const fn segment_words(segment: Segment) -> &'static str {
    match segment {
        Segment::CustomerLan => "the network inside the building",
        Segment::CustomerWan => "the customer's own wide area network or uplink",
        Segment::Provider => "the provider's network",
        Segment::Microsoft => "Microsoft's network, or that of whoever runs the target",
        Segment::Unknown => "not known",
    }
}

/// What a report that only knows the day's average would have said.
pub(super) fn average_says(incident: &Incident) -> String {
    let Some(average) = &incident.average else {
        return "not known".to_owned();
    };
    let figures = format!(
        "{} lost, {} round trip, {} jitter",
        percent(average.loss_ppm),
        millis(average.rtt_us),
        millis(average.jitter_us)
    );
    let verdict = match (average.passes, incident.masked) {
        (true, true) => "within the limits, so a daily report calls this day fine",
        (true, false) => "within the limits",
        (false, _) => "beyond the limits",
    };
    let factor = incident.masking_factor.map_or_else(String::new, |factor| {
        let measure = measure_word(incident.worst_hour.as_ref());
        format!(
            "; the 90th percentile of {measure} in the worst hour is {factor:.1} times the daily \
             average"
        )
    });
    format!("{figures}: {verdict}{factor}")
}

/// What the masking factor compares: the measure of the limit that was broken most.
const fn measure_word(hour: Option<&WorstHour>) -> &'static str {
    match hour {
        Some(WorstHour { dominant: Some(Breach::Delay), .. }) => "the round trip",
        Some(WorstHour { dominant: Some(Breach::Jitter), .. }) => "jitter",
        _ => "loss",
    }
}

pub(super) fn worst_hour_words(hour: &WorstHour) -> String {
    let until = hour.start_minute.saturating_add(60) % (24 * 60);
    format!(
        "{}-{}: {} of {} checks bad, {} lost; nine of ten at most {} loss, {} round trip, {} \
         jitter",
        clock(hour.start_minute),
        clock(until),
        hour.bad,
        hour.valid,
        percent(hour.loss_ppm),
        percent(hour.loss_ppm_p90),
        millis(hour.rtt_us_p90),
        millis(hour.jitter_us_p90)
    )
}

/// What calls with the reference codec would have been like, where that could be told.
pub(super) fn estimate_words(hour: &WorstHour) -> Option<String> {
    let rating = f64::from(hour.rating_p10_hundredths?) / 100.0;
    let rounded = rating.round();
    // Never a whole number of another band than the rating is in.
    let digits = if satisfaction(rounded) == satisfaction(rating) { 0 } else { 2 };
    let says = satisfaction(rating);
    Some(format!(
        "one measurement in ten rates R {rating:.digits$} or less, of 93; at that figure {says} (ITU-T G.107, G.109)"
    ))
}

/// What ITU-T G.109, table 1 says of a rating.
fn satisfaction(rating: f64) -> &'static str {
    match rating {
        r if r >= 90.0 => "users are very satisfied",
        r if r >= 80.0 => "users are satisfied; below 80 some are dissatisfied",
        r if r >= 70.0 => "some users are dissatisfied",
        r if r >= 60.0 => "many users are dissatisfied",
        r if r >= 50.0 => "nearly all users are dissatisfied",
        _ => "calls are not advised",
    }
}

/// `1 building`, `12 buildings`.
pub(super) fn buildings(count: usize) -> String {
    if count == 1 { "1 building".to_owned() } else { format!("{count} buildings") }
}

/// `10:00-12:00`.
pub(super) fn span(&(from, until): &(u16, u16)) -> String {
    format!("{}-{}", clock(from), clock(until))
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn percent(ppm: u32) -> String {
    let percent = f64::from(ppm) / 10_000.0;
    if percent < 1.0 { format!("{percent:.2} %") } else { format!("{percent:.1} %") }
}

fn millis(us: u32) -> String {
    let millis = f64::from(us) / 1_000.0;
    if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

pub(crate) fn rfc3339(at: UtcMicros) -> String {
    jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// A name on one line, cut where nobody reads on.
pub(super) fn name(text: &str) -> String {
    one_line(text, MAX_NAME_CHARS)
}

/// A text on one line.
pub(super) fn prose(text: &str) -> String {
    one_line(text, MAX_TEXT_CHARS)
}

/// Names come from files and people: no line breaks in headers, no control characters anywhere,
/// and no characters that turn the reading direction around.
fn one_line(text: &str, chars: usize) -> String {
    let replace = |c: char| {
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns { ' ' } else { c }
    };
    text.chars().take(chars).map(replace).collect()
}
