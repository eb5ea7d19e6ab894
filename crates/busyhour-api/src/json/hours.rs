//! A path hour by hour, in its building's own time: what takes an hour to be judged, as packets out
//! of order do.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use busyhour_model::{
    Building, Judgement, LocalDay, REORDER_FAIL_LEVEL, REORDER_PASS_LEVEL, Slot, SlotStart,
    UtcMicros, limits_in_force,
};
use busyhour_store::PathRow;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use super::span::{Span, SpanQuery};
use super::{Items, items, query};
use crate::app::App;
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::state::zone_of;
use crate::text;

/// Without being told: the last week.
const USUAL: Duration = Duration::from_secs(7 * 86_400);
const LONGEST: Duration = Duration::from_secs(31 * 86_400);
/// Slots read at once: a day.
const SLOTS_AT_ONCE: i64 = 96;
const SLOTS_AN_HOUR: u16 = 4;

/// One hour of a path.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HourItem {
    /// The agent is a simulated one.
    simulated: bool,
    started_utc: String,
    /// The building's own date; UTC while nobody told its time zone.
    date_local: String,
    hour_local: u16,
    /// It begins inside business hours; null while nobody told them.
    business: Option<bool>,
    requirement: &'static str,
    limits_version: u32,
    valid: u32,
    bad: u32,
    bad_ratio: Option<f64>,
    sent: u64,
    received: u64,
    /// Null where too little is sent in a second to say.
    loss_ratio: Option<f64>,
    reordered: u64,
    reorder_ratio: Option<f64>,
    /// Null where no limit is published.
    reorder_limit_ratio: Option<f64>,
    /// `fail` or `pass` where chance does not explain it at the level beside it, else `unknown`.
    reorder: &'static str,
    reorder_fail_level: f64,
    reorder_pass_level: f64,
}

/// The hours of one path, oldest first; hours without windows are left out.
pub(crate) async fn list(
    app: App,
    Path(id): Path<String>,
    span: Result<Query<SpanQuery>, QueryRejection>,
) -> Items<HourItem> {
    let span = Span::new(&id, &query(span)?, app.now(), (USUAL, LONGEST))?;
    let found = app.with_store(move |services| {
        let (path, simulated) = span.find(services)?;
        let building = building_of(services, &path)?;
        let zone = building.as_ref().map_or(TimeZone::UTC, zone_of);
        let hours = hours(services, span, &zone)?;
        let item = |(start, hour): (SlotStart, Slot)| {
            let limits = limits_in_force(path.requirement, start.start());
            let order = limits.map(|table| table.judge_reorder(&hour));
            HourItem {
                simulated,
                reorder: order.unwrap_or(Judgement::Unknown).as_str(),
                reorder_limit_ratio: limits
                    .and_then(|table| table.reorder_ppm)
                    .map(|ppm| f64::from(ppm) / 1e6),
                ..HourItem::new(&path, start, &hour, &zone, building.as_ref())
            }
        };
        Ok(hours.into_iter().map(item).collect())
    });
    Ok(items(found.await?))
}

fn building_of(services: &Scoped, path: &PathRow) -> Result<Option<Building>, Problem> {
    let agents = services.control.agents()?;
    let agent = agents.iter().find(|agent| agent.id == path.agent);
    let Some(placement) = agent.and_then(|agent| agent.placement) else { return Ok(None) };
    let buildings = services.control.buildings()?;
    Ok(buildings.into_iter().find(|building| building.id == placement.building))
}

/// The first quarter-hour of the local hour that a slot lies in.
pub(super) fn hour_of(slot: SlotStart, zone: &TimeZone) -> SlotStart {
    slot.offset(-i64::from(LocalDay::of(slot, zone).minute / 15 % SLOTS_AN_HOUR))
}

/// Merges the slots of each local hour. The hour that comes twice when clocks go back is two.
fn hours(
    services: &Scoped,
    span: Span,
    zone: &TimeZone,
) -> Result<BTreeMap<SlotStart, Slot>, Problem> {
    let mut hours: BTreeMap<SlotStart, Slot> = BTreeMap::new();
    let until = SlotStart::containing(UtcMicros(span.until.0.saturating_sub(1))).offset(1);
    let mut from = SlotStart::containing(span.from);
    while from < until {
        let end = from.offset(SLOTS_AT_ONCE).min(until);
        for (_, slot) in services.telemetry.slots(&[span.path], from, end)? {
            if slot.valid == 0 {
                continue;
            }
            let start = hour_of(slot.start, zone);
            hours.entry(start).or_insert_with(|| Slot::new(start, slot.limits)).merge(&slot);
        }
        from = end;
    }
    Ok(hours)
}

impl HourItem {
    /// Everything but the verdict on order.
    fn new(
        path: &PathRow,
        start: SlotStart,
        hour: &Slot,
        zone: &TimeZone,
        building: Option<&Building>,
    ) -> Self {
        let local = LocalDay::of(start, zone);
        let received = hour.sent.saturating_sub(hour.lost());
        let business = building.and_then(|building| building.business_hours.as_ref());
        #[expect(clippy::cast_precision_loss, reason = "packets of an hour are few")]
        let reorder_ratio = (received > 0).then(|| hour.reordered as f64 / received as f64);
        Self {
            simulated: false,
            started_utc: text::utc(start.start()),
            date_local: local.date.to_string(),
            hour_local: local.minute / 60,
            business: business.map(|hours| hours.contains(local.date.weekday(), local.minute)),
            requirement: path.requirement.as_str(),
            limits_version: hour.limits.0,
            valid: hour.valid,
            bad: hour.bad,
            bad_ratio: hour.bad_ratio(),
            sent: hour.sent,
            received,
            loss_ratio: hour.loss_ratio(),
            reordered: hour.reordered,
            reorder_ratio,
            reorder_limit_ratio: None,
            reorder: Judgement::Unknown.as_str(),
            reorder_fail_level: REORDER_FAIL_LEVEL,
            reorder_pass_level: REORDER_PASS_LEVEL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_those_of_the_zone_and_the_one_that_comes_twice_is_two() {
        let hours = |zone: &str, from: &str, count: i64| {
            let zone = TimeZone::get(zone).unwrap();
            let from: jiff::Timestamp = from.parse().unwrap();
            let first = SlotStart::containing(UtcMicros(from.as_microsecond()));
            let mut hours: Vec<(SlotStart, u16)> = (0..count)
                .map(|n| hour_of(first.offset(n), &zone))
                .map(|start| (start, LocalDay::of(start, &zone).minute))
                .collect();
            hours.dedup();
            hours
                .into_iter()
                .map(|(start, minute)| (text::utc(start.start()), minute / 60))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            hours("Europe/Berlin", "2026-10-24T23:30:00Z", 12),
            [
                ("2026-10-24T23:00:00Z".to_owned(), 1),
                ("2026-10-25T00:00:00Z".to_owned(), 2),
                ("2026-10-25T01:00:00Z".to_owned(), 2),
                ("2026-10-25T02:00:00Z".to_owned(), 3),
            ]
        );
        assert_eq!(
            hours("Asia/Kathmandu", "2026-03-02T00:00:00Z", 5),
            [("2026-03-01T23:15:00Z".to_owned(), 5), ("2026-03-02T00:15:00Z".to_owned(), 6)]
        );
    }
}
