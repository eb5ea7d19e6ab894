//! What a path's smoke graph tells: slots folded into steps, and what held at the time.

use std::time::Duration;

use busyhour_chart::{Scatter, SmokeSpan, SmokeStep, SpanKind};
use busyhour_model::desk::{Quiet, QuietKind, QuietScope};
use busyhour_model::{
    Building, Context, Incident, IncidentState, LocalDay, Placement, Slot, SlotStart, UtcMicros,
    limits_in_force,
};
use busyhour_store::{Grain, PathRow, SlotDetail, StoreError};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use crate::json::span::Span;
use crate::scoped::Scoped;
use crate::state::zone_of;

/// Shown unless told, and the most at once.
pub(crate) const USUAL: Duration = Duration::from_secs(86_400);
pub(crate) const LONGEST: Duration = Duration::from_secs(31 * 86_400);
/// More steps than this are folded: the picture has some three units for each.
const MAX_STEPS: i64 = 300;
/// How many quarter-hours a step may be, and what it is called then.
const STEPS: [(i64, &str); 5] = [
    (1, "quarter-hours"),
    (4, "hours"),
    (12, "three hours"),
    (24, "six hours"),
    (48, "twelve hours"),
];
/// Windows of a day that are looked through for changes of the path: all, at 15 s each.
const MAX_WINDOWS_A_DAY: usize = 5_760;
/// Changes that are told; one that changes all the time is told by the first of them.
const MAX_CHANGES: usize = 100;

/// Everything that is drawn and said of a path at a time.
pub(crate) struct Told {
    pub(crate) agent: Option<String>,
    pub(crate) building: Option<Building>,
    pub(crate) zone: String,
    /// The first and the last moment on the building's clock.
    pub(crate) from: String,
    pub(crate) until: String,
    pub(crate) steps: Vec<SmokeStep>,
    pub(crate) step_words: &'static str,
    /// Of the round trip, in milliseconds.
    pub(crate) limit: Option<f64>,
    pub(crate) spans: Vec<SmokeSpan>,
    pub(crate) changes: Vec<(usize, String)>,
    /// Address and sentence of the incidents that it is part of and that are not over.
    pub(crate) incidents: Vec<(String, String)>,
}

/// The steps of a span: where they begin, and how long one is.
struct Steps {
    first: SlotStart,
    count: usize,
    quarters: i64,
    words: &'static str,
}

impl Steps {
    fn of(span: Span) -> Self {
        let first = SlotStart::containing(span.from);
        let last = SlotStart::containing(UtcMicros(span.until.0.saturating_sub(1)));
        let slots = last.number() - first.number() + 1;
        let fits = |(quarters, _): &&(i64, &str)| slots <= quarters * MAX_STEPS;
        let &(quarters, words) = STEPS.iter().find(fits).unwrap_or(&STEPS[STEPS.len() - 1]);
        let count = usize::try_from((slots + quarters - 1) / quarters).unwrap_or(0);
        Self { first, count, quarters, words }
    }

    fn start(&self, at: usize) -> SlotStart {
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        self.first.offset(at.saturating_mul(self.quarters))
    }

    fn end(&self) -> SlotStart {
        self.start(self.count)
    }

    /// The step that a slot lies in.
    fn of_slot(&self, slot: SlotStart) -> Option<usize> {
        let at = usize::try_from((slot.number() - self.first.number()).div_euclid(self.quarters));
        at.ok().filter(|at| *at < self.count)
    }
}

/// Reads it all.
pub(crate) fn told(services: &Scoped, path: &PathRow, span: Span) -> Result<Told, StoreError> {
    let agents = services.control.agents()?;
    let agent = agents.iter().find(|agent| agent.id == path.agent);
    let placement = agent.and_then(|agent| agent.placement);
    let buildings = services.control.buildings()?;
    let building = placement
        .and_then(|placement| buildings.into_iter().find(|one| one.id == placement.building));
    let zone = building.as_ref().map_or(TimeZone::UTC, zone_of);
    let (steps, now) = (Steps::of(span), (services.clock)());
    let incidents = services.control.recent_incidents(span.from)?.into_iter();
    let incidents: Vec<Incident> = incidents
        .filter(|incident| incident.members.iter().any(|member| member.path == path.id))
        .collect();
    let mut spans: Vec<SmokeSpan> = Vec::new();
    for incident in incidents.iter().filter(|incident| incident.kind.alerts()) {
        spans.extend(incident_spans(incident, &steps, &zone));
    }
    let quiets = services.desk.quiets(span.from)?;
    let region = building.as_ref().map(|building| building.region.as_str());
    let holds = |quiet: &&Quiet| {
        quiet.kind == QuietKind::Maintenance
            && quiet.from < span.until
            && quiet.scopes.iter().any(|scope| is_for(scope, placement, region))
    };
    spans.extend(quiets.iter().filter(holds).filter_map(|quiet| maintenance(quiet, &steps)));
    let limits = limits_in_force(path.requirement, span.until);
    let open = incidents.iter().filter(|incident| incident.state != IncidentState::Closed);
    let link = |incident: &Incident| {
        (format!("/incidents/{}", incident.number), incident.sentence.clone())
    };
    Ok(Told {
        agent: agent.map(|agent| agent.name.clone()),
        zone: zone.iana_name().unwrap_or("UTC").to_owned(),
        from: clock(span.from, &zone),
        until: clock(span.until, &zone),
        steps: folded(services, path, &steps, (&zone, now))?,
        step_words: steps.words,
        limit: limits.map(|table| f64::from(table.rtt_us) / 1_000.0),
        spans,
        changes: changes(services, path, span, &steps)?,
        incidents: open.map(link).collect(),
        building,
    })
}

fn folded(
    services: &Scoped,
    path: &PathRow,
    steps: &Steps,
    (zone, now): (&TimeZone, UtcMicros),
) -> Result<Vec<SmokeStep>, StoreError> {
    let mut slots: Vec<Option<Slot>> = vec![None; steps.count];
    let span = (steps.first, steps.end());
    let how = (Grain::Quarter, SlotDetail::Sketches);
    services.telemetry.visit_slots(&[path.id], span, how, &mut |_, slot| {
        let Some(step) = steps.of_slot(slot.start).and_then(|at| slots.get_mut(at)) else { return };
        if slot.valid > 0 {
            step.get_or_insert_with(|| Slot::new(slot.start, slot.limits)).merge(slot);
        }
    })?;
    let step = |(at, slot): (usize, &Option<Slot>)| {
        let start = steps.start(at);
        SmokeStep {
            time: clock(start.start(), zone),
            tick: tick(steps, at, zone),
            scatter: slot.as_ref().and_then(scatter),
            loss: slot.as_ref().and_then(|slot| slot.loss_ratio()),
            windows: slot.as_ref().map_or((0, 0), |slot| (slot.valid, slot.bad)),
            passed: start.start() < now,
        }
    };
    Ok(slots.iter().enumerate().map(step).collect())
}

/// Round trips of packets, at most 7 % or 72 µs off.
fn scatter(slot: &Slot) -> Option<Scatter> {
    let of = |q| slot.rtt_us.quantile(q).map(|us| f64::from(us) / 1_000.0);
    Some(Scatter { p5: of(0.05)?, p25: of(0.25)?, p50: of(0.5)?, p75: of(0.75)?, p95: of(0.95)? })
}

/// `Mon 2026-03-02 10:15`.
pub(crate) fn clock(at: UtcMicros, zone: &TimeZone) -> String {
    let local = jiff::Timestamp::from_microsecond(at.0).unwrap_or_default().to_zoned(zone.clone());
    let weekday = match local.weekday() {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    };
    format!("{weekday} {} {:02}:{:02}", local.date(), local.hour(), local.minute())
}

/// The hour where steps are short, the date where they are long, some eight to a picture.
fn tick(steps: &Steps, at: usize, zone: &TimeZone) -> Option<String> {
    let local = LocalDay::of(steps.start(at), zone);
    let before = at.checked_sub(1).map(|before| LocalDay::of(steps.start(before), zone));
    let whole = i64::try_from(steps.count).unwrap_or(i64::MAX).saturating_mul(steps.quarters);
    if whole <= 2 * 96 {
        let every = if whole <= 24 {
            60
        } else if whole <= 96 {
            180
        } else {
            360
        };
        let minute = local.minute;
        return minute
            .is_multiple_of(every)
            .then(|| format!("{:02}:{:02}", minute / 60, minute % 60));
    }
    let every = if whole <= 10 * 96 { 1 } else { 4 };
    let is_new = before.is_none_or(|before| before.date != local.date);
    let day = i64::from(
        jiff::civil::date(1970, 1, 1).until(local.date).map_or(0, |span| span.get_days()),
    );
    (is_new && day % every == 0)
        .then(|| format!("{:02}-{:02}", local.date.month(), local.date.day()))
}

/// The steps of the hours that an incident keeps to, on its bad days.
fn incident_spans(incident: &Incident, steps: &Steps, zone: &TimeZone) -> Vec<SmokeSpan> {
    let is_in = |at: &usize| {
        let quarters = (0..steps.quarters).map(|quarter| steps.start(*at).offset(quarter));
        quarters.into_iter().any(|start| {
            let local = LocalDay::of(start, zone);
            let within = |&(from, until): &(u16, u16)| (from..until).contains(&local.minute);
            incident.bad_days.contains(&local.date) && incident.hours.iter().any(within)
        })
    };
    let name = format!("incident {}: {}", incident.number, incident.sentence);
    let mut spans: Vec<SmokeSpan> = Vec::new();
    for at in (0..steps.count).filter(is_in) {
        match spans.last_mut() {
            Some(last) if last.until == at => last.until += 1,
            _ => spans.push(SmokeSpan {
                kind: SpanKind::Incident,
                from: at,
                until: at + 1,
                name: name.clone(),
            }),
        }
    }
    spans
}

fn is_for(scope: &QuietScope, placement: Option<Placement>, region: Option<&str>) -> bool {
    match scope {
        QuietScope::Everything => true,
        QuietScope::Building(id) => placement.is_some_and(|placement| placement.building == *id),
        QuietScope::Subnet(id) => placement.is_some_and(|placement| placement.subnet == *id),
        QuietScope::Region(name) => region.is_some_and(|region| region == name.as_str()),
        QuietScope::Incident(_) | QuietScope::IncidentIn(..) | QuietScope::Cause(_) => false,
    }
}

fn maintenance(quiet: &Quiet, steps: &Steps) -> Option<SmokeSpan> {
    if quiet.end() <= quiet.from {
        return None; // Called off before it began.
    }
    let first = steps.of_slot(SlotStart::containing(quiet.from).max(steps.first))?;
    let last = SlotStart::containing(UtcMicros(quiet.end().0.saturating_sub(1)));
    let until = steps.of_slot(last.min(steps.end().offset(-1)))? + 1;
    (first < until).then(|| SmokeSpan {
        kind: SpanKind::Maintenance,
        from: first,
        until,
        name: format!("maintenance {}: {}", quiet.number, quiet.reason),
    })
}

/// Where what is known of a window's circumstances is other than what was known last.
fn changes(
    services: &Scoped,
    path: &PathRow,
    span: Span,
    steps: &Steps,
) -> Result<Vec<(usize, String)>, StoreError> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut known = Context::default();
    let mut from = span.from;
    while from < span.until {
        let until = from.plus(Duration::from_secs(86_400)).min(span.until);
        for window in services.telemetry.windows(path.id, from, until, MAX_WINDOWS_A_DAY)? {
            let placed = window.judged.placed;
            let changed = learn(&mut known, &window.judged.context);
            let at = steps.of_slot(SlotStart::containing(placed));
            if let Some((at, words)) = at.zip(changed) {
                found.push((at, format!("{}: {words}", crate::text::utc(placed))));
            }
        }
        from = until;
    }
    found.truncate(MAX_CHANGES);
    Ok(found)
}

/// Takes over what a window knows; what of it is other than what was known before, in words. A window of
/// which nothing came back knows nothing.
fn learn(known: &mut Context, now: &Context) -> Option<String> {
    fn of<T: Copy + ToString + PartialEq>(
        what: &str,
        known: &mut Option<T>,
        now: Option<T>,
        same: impl Fn(T, T) -> bool,
    ) -> Option<String> {
        let now = now?;
        let before = known.replace(now)?;
        let words = || format!("{what} {} became {}", before.to_string(), now.to_string());
        (!same(before, now)).then(words)
    }
    let words: Vec<String> = [
        of("the target's address", &mut known.resolved, now.resolved, |a, b| a.ip() == b.ip()),
        of("the agent's network", &mut known.local_prefix, now.local_prefix, |a, b| a == b),
        of("the address on the Internet", &mut known.reflexive, now.reflexive, |a, b| a == b),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!words.is_empty()).then(|| words.join("; "))
}

#[cfg(test)]
mod tests {
    use busyhour_model::PathId;

    use super::*;

    fn span(days: i64) -> Span {
        let until = UtcMicros::from_secs(1_772_812_800);
        Span { path: PathId(1), from: UtcMicros(until.0 - days * 86_400_000_000), until }
    }

    #[test]
    fn however_long_it_is_there_are_enough_steps_and_not_too_many() {
        for days in 1..=31 {
            let steps = Steps::of(span(days));
            assert!((40..=MAX_STEPS as usize).contains(&steps.count), "{days}: {}", steps.count);
            assert!(steps.end().start() >= span(days).until);
            assert_eq!(steps.of_slot(steps.first), Some(0));
            assert_eq!(steps.of_slot(steps.end().offset(-1)), Some(steps.count - 1));
            assert_eq!(steps.of_slot(steps.end()), None);
            assert_eq!(steps.of_slot(steps.first.offset(-1)), None);
        }
    }

    #[test]
    fn only_what_is_known_before_and_after_has_changed() {
        let context = |address: Option<&str>| Context {
            resolved: address.map(|address| address.parse().expect("an address")),
            ..Context::default()
        };
        let mut known = Context::default();
        let mut learn = |address| learn(&mut known, &context(address));
        assert_eq!(learn(Some("10.0.0.1:862")), None, "the first time it is known");
        assert_eq!(learn(Some("10.0.0.1:863")), None, "another port is the same way");
        assert_eq!(learn(None), None, "nothing came back");
        let words = "the target's address 10.0.0.1:863 became 10.0.0.2:862";
        assert_eq!(learn(Some("10.0.0.2:862")).as_deref(), Some(words));
    }
}
