//! Paths and their windows: the evidence.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use busyhour_model::{AgentId, Judgement, UtcMicros, limits_in_force};
use busyhour_store::{AgentRow, PathRow, StoredWindow};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::estimate::EstimateFields;
use super::evidence::EvidenceFields;
use super::listing::{Listing, View};
use super::span::{Span, SpanQuery};
use super::{Items, items, parsed, query};
use crate::app::App;
use crate::problem::Problem;
use crate::scoped::{Scoped, ScopedTelemetry};
use crate::text;

/// Windows in one answer without being told.
pub(super) const USUAL_WINDOWS: usize = 1_000;
/// Windows of a path that may be placed at the same moment; there is no reason for two.
const MAX_AT_ONCE: usize = 10_000;
/// The longest time that one question may cover.
const MAX_RANGE: Duration = Duration::from_secs(31 * 86_400);
const DEFAULT_RANGE: Duration = Duration::from_secs(86_400);

/// A path.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PathItem {
    id: i64,
    agent_id: String,
    agent: Option<String>,
    simulated: bool,
    building_id: Option<String>,
    building: Option<String>,
    link: &'static str,
    interface: String,
    family: &'static str,
    target: String,
    class: &'static str,
    profile: String,
    transport: &'static str,
    requirement: &'static str,
    windows_per_slot: u32,
    newest_window_utc: String,
    data_age_s: i64,
    local_prefix: Option<String>,
    resolved: Option<String>,
    reflexive: Option<String>,
}

impl PathItem {
    fn new(
        path: &PathRow,
        agent: Option<&AgentRow>,
        building: Option<&String>,
        now: UtcMicros,
    ) -> Self {
        let (key, context) = (&path.key, &path.context);
        let placement = agent.and_then(|agent| agent.placement);
        Self {
            id: path.id.0,
            agent_id: path.agent.to_string(),
            agent: agent.map(|agent| agent.name.clone()),
            simulated: agent.is_some_and(|agent| agent.simulated),
            building_id: placement.map(|placement| placement.building.to_string()),
            building: building.cloned(),
            link: key.link.kind().as_str(),
            interface: key.link.interface().to_owned(),
            family: key.family.as_str(),
            target: key.target.to_string(),
            class: key.class.as_str(),
            profile: key.profile.to_string(),
            transport: key.transport.as_str(),
            requirement: path.requirement.as_str(),
            windows_per_slot: path.windows_per_slot,
            newest_window_utc: text::utc(path.newest),
            data_age_s: text::age_s(now, path.newest),
            local_prefix: context.local_prefix.map(|prefix| prefix.to_string()),
            resolved: context.resolved.map(|address| address.to_string()),
            reflexive: context.reflexive.map(|address| address.to_string()),
        }
    }
}

/// All paths that were ever measured.
pub(crate) async fn list(app: App) -> Items<PathItem> {
    Ok(items(app.with_store(all).await?))
}

/// The same, for who answers in another form.
pub(crate) fn all(services: &Scoped) -> Result<Vec<PathItem>, Problem> {
    let (control, now) = (&services.control, (services.clock)());
    let paths = services.telemetry.paths(None)?;
    let (agents, buildings) = (control.agents()?, control.buildings()?);
    let agents: HashMap<AgentId, &AgentRow> =
        agents.iter().map(|agent| (agent.id, agent)).collect();
    let names: HashMap<_, _> = buildings.iter().map(|b| (b.id, &b.name)).collect();
    let item = |path: &PathRow| {
        let agent = agents.get(&path.agent).copied();
        let building = agent.and_then(|agent| agent.placement).map(|placement| placement.building);
        PathItem::new(path, agent, building.and_then(|id| names.get(&id).copied()), now)
    };
    Ok(paths.iter().map(item).collect())
}

/// A page of a path's windows: how many, and behind which.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    limit: usize,
    after: Option<Mark>,
}

/// The first window of a page: so many of those that were placed at this moment came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    placed: UtcMicros,
    before: usize,
}

impl Mark {
    fn read(text: &str) -> Option<Self> {
        let (placed, before) = text.strip_prefix('w')?.split_once('.')?;
        let placed = UtcMicros(placed.parse().ok()?);
        let before = before.parse().ok().filter(|before| *before <= MAX_AT_ONCE)?;
        Some(Self { placed, before })
    }
}

impl Page {
    pub(super) fn of(view: &View, usual: usize) -> Result<Self, Problem> {
        Ok(Self { limit: view.limit(usual), after: view.mark(Mark::read)? })
    }

    /// The windows of this page, and where the next one begins.
    pub(super) fn read(
        self,
        telemetry: &ScopedTelemetry,
        span: Span,
    ) -> Result<(Vec<StoredWindow>, Option<String>), Problem> {
        let mark = self.after.filter(|mark| mark.placed >= span.from);
        let mark = mark.unwrap_or(Mark { placed: span.from, before: 0 });
        if mark.placed >= span.until {
            return Ok((Vec::new(), None));
        }
        let limit = self.limit + mark.before + 1;
        let mut windows = telemetry.windows(span.path, mark.placed, span.until, limit)?;
        let same = |window: &StoredWindow| window.judged.placed == mark.placed;
        let before = windows.iter().take_while(|window| same(window)).count().min(mark.before);
        windows.drain(..before);
        let next = windows.get(self.limit).map(|first| {
            let placed = first.judged.placed;
            let page = windows.iter().take(self.limit).rev();
            let before = page.take_while(|window| window.judged.placed == placed).count();
            let earlier = if placed == mark.placed { mark.before } else { 0 };
            format!("w{}.{}", placed.0, before + earlier)
        });
        windows.truncate(self.limit);
        Ok((windows, next))
    }
}

/// Windows of one path, oldest first: the last day unless told.
pub(crate) async fn windows(
    app: App,
    Path(id): Path<String>,
    view: View,
    span: Result<Query<SpanQuery>, QueryRejection>,
) -> Items<WindowItem> {
    let asked = query(span)?;
    let name = format!("windows-of-path-{}", parsed::<i64>("the path's number", &id)?);
    let found = app.with_store(move |services| page_of_windows(services, &id, &asked, &view));
    let (items, next) = found.await?;
    Ok(Listing::page(items, next).named(name))
}

/// The same, for who answers in another form.
pub(crate) fn page_of_windows(
    services: &Scoped,
    id: &str,
    asked: &SpanQuery,
    view: &View,
) -> Result<(Vec<WindowItem>, Option<String>), Problem> {
    let span = Span::new(id, asked, (services.clock)(), (DEFAULT_RANGE, MAX_RANGE))?;
    let page = Page::of(view, USUAL_WINDOWS)?;
    let (_, simulated) = span.find(services)?;
    let (windows, next) = page.read(&services.telemetry, span)?;
    Ok((windows.iter().map(|window| WindowItem::new(window, simulated)).collect(), next))
}

pub(super) fn moment(name: &str, text: Option<&str>) -> Result<Option<UtcMicros>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let moment: Timestamp = text.parse().map_err(|_| {
        let example = "such as 2026-03-02T09:00:00Z";
        Problem::bad_request(format!("{name} must be a moment {example}, not {text:?}"))
    })?;
    Ok(Some(UtcMicros(moment.as_microsecond())))
}

/// A window, as it was measured and judged.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WindowItem {
    /// The agent is a simulated one.
    simulated: bool,
    placed_utc: String,
    started_utc: String,
    received_utc: String,
    duration_us: u64,
    schedule: u64,
    requirement: &'static str,
    limits_version: u32,
    valid: bool,
    bad: bool,
    failed: bool,
    loss: &'static str,
    burst: &'static str,
    delay: &'static str,
    jitter: &'static str,
    scheduled: u32,
    sent: u32,
    received: u32,
    lost_up: u32,
    lost_down: u32,
    lost_unknown: u32,
    reordered: u32,
    duplicated: u32,
    burst_lost: Option<u32>,
    burst_of: Option<u32>,
    rtt_us_median: Option<u32>,
    rtt_us_p90: Option<u32>,
    rtt_us_p99: Option<u32>,
    rtt_us_max: Option<u32>,
    up_variation_us_p90: Option<u32>,
    down_variation_us_p90: Option<u32>,
    up_jitter_us: Option<u32>,
    down_jitter_us: Option<u32>,
    dscp_sent: u8,
    dscp_up: Option<u8>,
    dscp_down: Option<u8>,
    dscp_up_changed: u32,
    dscp_down_changed: u32,
    sent_by: &'static str,
    received_by: &'static str,
    source_port: u16,
    clock_step_samples: u32,
    receive_queue_drops: u32,
    send_lateness_max_us: u32,
    /// The one-way delays against their own limit; unknown without synchronised clocks. Where it
    /// fails, `delay` fails as well.
    one_way: &'static str,
    #[serde(flatten)]
    evidence: EvidenceFields,
    #[serde(flatten)]
    estimate: EstimateFields,
    local_prefix: Option<String>,
    resolved: Option<String>,
    reflexive: Option<String>,
}

impl WindowItem {
    pub(crate) fn new(stored: &StoredWindow, simulated: bool) -> Self {
        let (judged, window) = (&stored.judged, &stored.judged.window);
        let (counts, verdict, context) = (&window.counts, &judged.verdict, &judged.context);
        let limits = limits_in_force(judged.requirement, judged.placed);
        let one_way = limits.map_or(Judgement::Unknown, |table| table.judge_one_way(window));
        Self {
            simulated,
            placed_utc: text::utc(judged.placed),
            started_utc: text::utc(judged.stamp.started),
            received_utc: text::utc(stored.received),
            duration_us: judged.stamp.duration_us(),
            schedule: judged.schedule.0,
            requirement: judged.requirement.as_str(),
            limits_version: judged.limits.0,
            valid: verdict.valid,
            bad: verdict.bad(),
            failed: verdict.failed,
            loss: verdict.loss.as_str(),
            burst: verdict.burst.as_str(),
            delay: verdict.delay.as_str(),
            jitter: verdict.jitter.as_str(),
            scheduled: counts.scheduled(),
            sent: counts.sent(),
            received: counts.received(),
            lost_up: counts.lost_up(),
            lost_down: counts.lost_down(),
            lost_unknown: counts.lost_unknown(),
            reordered: counts.reordered(),
            duplicated: counts.duplicated(),
            burst_lost: window.burst.map(|burst| burst.lost()),
            burst_of: window.burst.map(|burst| burst.of()),
            rtt_us_median: window.rtt_median_us,
            rtt_us_p90: window.rtt.quantile(0.9),
            rtt_us_p99: window.rtt.quantile(0.99),
            rtt_us_max: window.rtt.quantile(1.0),
            up_variation_us_p90: window.up_variation.quantile(0.9),
            down_variation_us_p90: window.down_variation.quantile(0.9),
            up_jitter_us: window.up_jitter.map(|jitter| jitter.mean_us),
            down_jitter_us: window.down_jitter.map(|jitter| jitter.mean_us),
            dscp_sent: window.dscp.sent.value(),
            dscp_up: window.dscp.up.map(busyhour_model::Dscp::value),
            dscp_down: window.dscp.down.map(busyhour_model::Dscp::value),
            dscp_up_changed: window.dscp.up_changed,
            dscp_down_changed: window.dscp.down_changed,
            sent_by: window.sent_by.as_str(),
            received_by: window.received_by.as_str(),
            source_port: window.source_port,
            clock_step_samples: window.clock_step_samples,
            receive_queue_drops: window.receive_queue_drops,
            send_lateness_max_us: window.send_lateness_max_us,
            one_way: one_way.as_str(),
            evidence: EvidenceFields::new(window),
            estimate: EstimateFields::new(window),
            local_prefix: context.local_prefix.map(|prefix| prefix.to_string()),
            resolved: context.resolved.map(|address| address.to_string()),
            reflexive: context.reflexive.map(|address| address.to_string()),
        }
    }
}
