//! The present state of the fleet: agents, identities, incidents, and each building's last quarter-hours.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use busyhour_model::{
    AgentId, Breach, BuildingId, Figure, FigureTotals, FindingKind, IncidentState, PathId,
    RequirementProfile, SlotCounts, SlotStart, UtcMicros,
};
use busyhour_store::{AgentRow, Grain, IdentityState, SlotDetail};

use super::Exposition;
use crate::app::App;
use crate::place::is_told;
use crate::problem::Problem;
use crate::scoped::Scoped;

/// The most buildings that are told by name, those with the largest share of bad windows first.
pub(super) const MAX_BUILDINGS: usize = 2_000;
/// The most versions of agents that are told by name; the rest is `other`.
const MAX_VERSIONS: usize = 20;
/// An agent that nothing was heard of for so long is silent: agents seal a block at least every ten minutes.
const SILENT: Duration = Duration::from_secs(15 * 60);
/// Of which windows' figures percentiles are told.
const PERCENTILES: [(&str, f64); 2] = [("50", 0.5), ("90", 0.9)];

/// Whose windows are counted together: those of simulated agents by themselves.
type Of = (BuildingId, bool);

/// The fleet as it is now.
pub(super) struct State {
    /// How many agents there are, by what is heard of them.
    agents: BTreeMap<&'static str, u64>,
    versions: BTreeMap<String, u64>,
    identities: BTreeMap<&'static str, u64>,
    off_site: u64,
    /// Incidents that are not over, by kind, state, and whether they are simulated.
    incidents: BTreeMap<(&'static str, &'static str, bool), u64>,
    buildings: Vec<BuildingNow>,
    left_out: usize,
}

/// A building in the present quarter-hour and the one before.
struct BuildingNow {
    name: String,
    region: String,
    simulated: bool,
    open: u64,
    newest: UtcMicros,
    counts: Counts,
}

/// What its judged paths showed.
#[derive(Default)]
struct Counts {
    valid: u64,
    bad: u64,
    bad_by: [u64; 5],
    figures: Option<FigureTotals>,
}

impl State {
    pub(super) async fn read(app: &App) -> Result<Self, Problem> {
        let identities = app.core().with_services(|services| {
            services.fleet.identities().map_err(crate::json::tokens::fleet_problem)
        });
        let identities = identities.await?;
        let mut state = app.with_store(Self::read_store).await?;
        for identity in identities {
            *state.identities.entry(identity.state.as_str()).or_default() += 1;
            state.off_site += u64::from(identity.off_site);
        }
        Ok(state)
    }

    fn read_store(services: &Scoped) -> Result<Self, Problem> {
        let now = (services.clock)();
        let mut agents = services.control.agents()?;
        agents.retain(|agent| agent.removed.is_none());
        let (mut heard, mut versions) =
            (BTreeMap::from(HEARD.map(|word| (word, 0))), BTreeMap::new());
        for agent in &agents {
            *heard.entry(heard_of(agent, now)).or_default() += 1;
            if let Some(seen) = &agent.sighting {
                *versions.entry(seen.version.clone()).or_default() += 1;
            }
        }
        let mut incidents = BTreeMap::new();
        let mut open: HashMap<BuildingId, u64> = HashMap::new();
        for incident in services.control.incidents(false)? {
            let key = (incident.kind.as_str(), incident.state.as_str(), incident.simulated);
            *incidents.entry(key).or_default() += 1;
            if is_told(&incident) {
                let mut suffering: BTreeSet<BuildingId> =
                    incident.buildings().into_iter().collect();
                suffering.insert(incident.building);
                for building in suffering {
                    *open.entry(building).or_default() += 1;
                }
            }
        }
        let (buildings, left_out) = buildings(services, &agents, &open, now)?;
        Ok(Self {
            agents: heard,
            versions: bounded(versions),
            identities: BTreeMap::from(IDENTITIES.map(|state| (state.as_str(), 0))),
            off_site: 0,
            incidents,
            buildings,
            left_out,
        })
    }

    pub(super) fn expose(&self, to: &Exposition) -> Result<(), Problem> {
        let agents =
            to.family("agents", "agents that were let in, by what is heard of them", &["heard"])?;
        for (word, &count) in &self.agents {
            agents.with_label_values(&[*word]).set(count as f64);
        }
        let versions =
            to.family("agent_versions", "agents by the version they said last", &["version"])?;
        for (version, &count) in &self.versions {
            versions.with_label_values(&[version.as_str()]).set(count as f64);
        }
        let identities =
            to.family("identities", "enrolled agents by where their identity stands", &["state"])?;
        for (state, &count) in &self.identities {
            identities.with_label_values(&[*state]).set(count as f64);
        }
        to.gauge(
            "agents_off_site",
            "agents whose addresses contradict their place",
            self.off_site as f64,
        )?;
        let incidents = "incidents that are not over, by kind and state";
        let incidents = to.family("incidents", incidents, &["kind", "state", "simulated"])?;
        for kind in FindingKind::ALL {
            // What is told of is there even when it is nothing, so that a rule has something to look at.
            if kind.alerts() {
                incidents
                    .with_label_values(&[kind.as_str(), IncidentState::Open.as_str(), "false"])
                    .set(0.0);
            }
        }
        for (&(kind, state, simulated), &count) in &self.incidents {
            incidents.with_label_values(&[kind, state, word(simulated)]).set(count as f64);
        }
        let left_out = "buildings that are not told by name, as there are too many";
        to.gauge("buildings_left_out", left_out, self.left_out as f64)?;
        self.expose_buildings(to)
    }

    fn expose_buildings(&self, to: &Exposition) -> Result<(), Problem> {
        let own = ["building", "simulated"];
        let with = |label: &'static str| ["building", "simulated", label];
        let info =
            to.family("building_info", "buildings that are observed now", &with("region"))?;
        let windows = "judged windows of this quarter-hour and the one before";
        let windows = to.family("building_windows", windows, &own)?;
        let bad = to.family("building_bad_windows", "bad ones of these windows", &own)?;
        let broken = "windows that break a limit; one may break several";
        let broken = to.family("building_bad_windows_by_limit", broken, &with("limit"))?;
        let open = "incidents that people are told of and that are not over";
        let open = to.family("building_open_incidents", open, &own)?;
        let newest = "when the newest window began";
        let newest = to.family("building_newest_window_timestamp_seconds", newest, &own)?;
        let figures = [
            ("building_window_loss_ratio", "percentile of the windows' loss", Figure::Loss),
            (
                "building_window_rtt_seconds",
                "percentile of the windows' median round trip",
                Figure::Delay,
            ),
            (
                "building_window_jitter_seconds",
                "percentile of the windows' jitter, the worse direction",
                Figure::Jitter,
            ),
        ];
        let mut families = Vec::with_capacity(figures.len());
        for (name, help, figure) in figures {
            families.push((to.family(name, help, &with("percentile"))?, figure));
        }
        for building in &self.buildings {
            let (name, simulated) = (building.name.as_str(), word(building.simulated));
            info.with_label_values(&[name, simulated, building.region.as_str()]).set(1.0);
            windows.with_label_values(&[name, simulated]).set(building.counts.valid as f64);
            bad.with_label_values(&[name, simulated]).set(building.counts.bad as f64);
            open.with_label_values(&[name, simulated]).set(building.open as f64);
            newest.with_label_values(&[name, simulated]).set(building.newest.0 as f64 / 1e6);
            for (breach, &count) in Breach::ALL.iter().zip(&building.counts.bad_by) {
                broken.with_label_values(&[name, simulated, breach.as_str()]).set(count as f64);
            }
            let Some(totals) = &building.counts.figures else { continue };
            for (family, figure) in &families {
                let marginal = totals.marginal(*figure);
                for (percentile, share) in PERCENTILES {
                    if let Some(value) = marginal.quantile(share) {
                        // Parts per million and microseconds alike.
                        let labels = [name, simulated, percentile];
                        family.with_label_values(&labels).set(f64::from(value) / 1e6);
                    }
                }
            }
        }
        Ok(())
    }
}

const HEARD: [&str; 3] = ["lately", "silent", "never"];
const IDENTITIES: [IdentityState; 4] = [
    IdentityState::Waiting,
    IdentityState::Active,
    IdentityState::Quarantined,
    IdentityState::Revoked,
];

fn heard_of(agent: &AgentRow, now: UtcMicros) -> &'static str {
    match &agent.sighting {
        Some(seen) if seen.at >= now.minus(SILENT) => "lately",
        Some(_) => "silent",
        None => "never",
    }
}

const fn word(simulated: bool) -> &'static str {
    if simulated { "true" } else { "false" }
}

/// The most frequent versions; what agents say is not to grow without end.
fn bounded(versions: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut versions: Vec<(String, u64)> = versions.into_iter().collect();
    versions.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let rest = versions.split_off(versions.len().min(MAX_VERSIONS));
    let mut bounded: BTreeMap<String, u64> = versions.into_iter().collect();
    let other: u64 = rest.iter().map(|(_, count)| count).sum();
    if other > 0 {
        *bounded.entry("other".to_owned()).or_default() += other;
    }
    bounded
}

/// The buildings of which a window came lately, and how many are left out. What is stale is not there.
fn buildings(
    services: &Scoped,
    agents: &[AgentRow],
    open: &HashMap<BuildingId, u64>,
    now: UtcMicros,
) -> Result<(Vec<BuildingNow>, usize), Problem> {
    let this = SlotStart::containing(now);
    let span = (this.offset(-1), this.offset(1));
    let of_agent: HashMap<AgentId, Of> = agents
        .iter()
        .filter_map(|agent| Some((agent.id, (agent.placement?.building, agent.simulated))))
        .collect();
    let mut of_path: HashMap<PathId, Of> = HashMap::new();
    let mut newest: HashMap<Of, UtcMicros> = HashMap::new();
    for path in services.telemetry.paths(None)? {
        let Some(&of) = of_agent.get(&path.agent) else { continue };
        if path.newest >= span.0.start() && path.newest <= now {
            let known = newest.entry(of).or_insert(path.newest);
            *known = path.newest.max(*known);
            if path.requirement != RequirementProfile::None {
                of_path.insert(path.id, of);
            }
        }
    }
    let counts = counts(services, &of_path, span)?;
    let mut found: Vec<BuildingNow> = Vec::new();
    let (mut newest, mut counts) = (newest, counts);
    for building in services.control.buildings()? {
        for simulated in [false, true] {
            let of = (building.id, simulated);
            let Some(newest) = newest.remove(&of) else { continue };
            found.push(BuildingNow {
                name: building.name.clone(),
                region: building.region.clone(),
                simulated,
                open: open.get(&building.id).copied().unwrap_or(0),
                newest,
                counts: counts.remove(&of).unwrap_or_default(),
            });
        }
    }
    let share = |one: &BuildingNow| one.counts.bad as f64 / one.counts.valid.max(1) as f64;
    found.sort_by(|a, b| share(b).total_cmp(&share(a)).then_with(|| a.name.cmp(&b.name)));
    let left_out = found.len().saturating_sub(MAX_BUILDINGS);
    found.truncate(MAX_BUILDINGS);
    Ok((found, left_out))
}

fn counts(
    services: &Scoped,
    of_path: &HashMap<PathId, Of>,
    span: (SlotStart, SlotStart),
) -> Result<HashMap<Of, Counts>, Problem> {
    let ids: Vec<PathId> = of_path.keys().copied().collect();
    let mut counts: HashMap<Of, Counts> = HashMap::new();
    let how = (Grain::Quarter, SlotDetail::Figures);
    services.telemetry.visit_slots(&ids, span, how, &mut |path, slot| {
        let Some(of) = of_path.get(&path) else { return };
        let counts = counts.entry(*of).or_default();
        counts.add(&slot.counts);
        counts.figures.get_or_insert_with(FigureTotals::new).add(&slot.figures);
    })?;
    Ok(counts)
}

impl Counts {
    fn add(&mut self, counts: &SlotCounts) {
        self.valid += u64::from(counts.valid);
        self.bad += u64::from(counts.bad);
        for (sum, breach) in self.bad_by.iter_mut().zip(Breach::ALL) {
            *sum += u64::from(counts.bad_by(*breach));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_agents_call_their_version_does_not_grow_without_end() {
        let many: BTreeMap<String, u64> =
            (0..50_u64).map(|n| (format!("0.{n:02}"), n + 1)).collect();
        let all: u64 = many.values().sum();
        let bounded = bounded(many);
        assert_eq!(bounded.len(), MAX_VERSIONS + 1);
        assert_eq!(bounded.values().sum::<u64>(), all);
        assert_eq!(bounded.get("0.49"), Some(&50), "the most frequent one is told");
        assert!(bounded.contains_key("other") && !bounded.contains_key("0.00"));
    }
}
