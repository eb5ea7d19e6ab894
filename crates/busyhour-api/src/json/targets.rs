//! Targets: what is measured, from how many places, and how lately.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use busyhour_model::{AgentId, UtcMicros};
use busyhour_store::{AgentRow, PathRow};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Items, items};
use crate::app::App;
use crate::text;

/// A target, as agents are told to measure it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TargetItem {
    target: String,
    path_count: usize,
    agent_count: usize,
    /// Buildings that these agents are in now.
    building_count: usize,
    classes: Vec<&'static str>,
    profiles: Vec<String>,
    requirements: Vec<&'static str>,
    /// Addresses that its name was last resolved to.
    resolved: Vec<String>,
    newest_window_utc: String,
    data_age_s: i64,
    /// Simulated agents are among those that measure it.
    simulated: bool,
}

impl TargetItem {
    fn new(
        target: String,
        paths: &[&PathRow],
        agents: &HashMap<AgentId, &AgentRow>,
        now: UtcMicros,
    ) -> Self {
        let of: BTreeSet<AgentId> = paths.iter().map(|path| path.agent).collect();
        let rows = || of.iter().filter_map(|agent| agents.get(agent));
        let buildings: BTreeSet<_> = rows()
            .filter_map(|agent| agent.placement)
            .map(|placement| placement.building)
            .collect();
        let newest = paths.iter().map(|path| path.newest).max().unwrap_or(UtcMicros(0));
        let resolved: BTreeSet<String> =
            paths.iter().filter_map(|path| path.context.resolved).map(|a| a.to_string()).collect();
        Self {
            target,
            path_count: paths.len(),
            agent_count: of.len(),
            building_count: buildings.len(),
            classes: distinct(paths.iter().map(|path| path.key.class.as_str())),
            profiles: distinct(paths.iter().map(|path| path.key.profile.to_string())),
            requirements: distinct(paths.iter().map(|path| path.requirement.as_str())),
            resolved: resolved.into_iter().collect(),
            newest_window_utc: text::utc(newest),
            data_age_s: text::age_s(now, newest),
            simulated: rows().any(|agent| agent.simulated),
        }
    }
}

fn distinct<T: Ord>(words: impl Iterator<Item = T>) -> Vec<T> {
    words.collect::<BTreeSet<T>>().into_iter().collect()
}

/// All targets that were ever measured, by name.
pub(crate) async fn list(app: App) -> Items<TargetItem> {
    let found = app
        .with_store(|services| Ok((services.telemetry.paths(None)?, services.control.agents()?)));
    let (paths, agents) = found.await?;
    let agents: HashMap<AgentId, &AgentRow> =
        agents.iter().map(|agent| (agent.id, agent)).collect();
    let mut targets: BTreeMap<String, Vec<&PathRow>> = BTreeMap::new();
    for path in &paths {
        targets.entry(path.key.target.to_string()).or_default().push(path);
    }
    let now = app.now();
    let item =
        |(target, paths): (String, Vec<&PathRow>)| TargetItem::new(target, &paths, &agents, now);
    Ok(items(targets.into_iter().map(item).collect()))
}
