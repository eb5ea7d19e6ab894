//! The one who looks, and those who listen.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use busyhour_model::{BuildingId, Incident, IncidentState, UtcMicros};
use busyhour_store::AgentRow;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::Services;
use crate::app::Core;
use crate::problem::Problem;
use crate::text;

/// How often the store is looked at while anybody listens.
const LOOK: Duration = Duration::from_secs(5);
/// Who looks goes on for so long after the last one left: a page that is loaded again comes back.
const LINGER: Duration = Duration::from_secs(60);
/// The changes that are kept for those who come back.
const KEPT: usize = 1_000;
/// Those who may listen at once, and how many of them may be the same person or program.
const MOST: usize = 64;
const MOST_OF_ONE: usize = 8;
/// After which to come again when there is no room.
const FULL_WAIT: Duration = Duration::from_secs(30);
/// An agent of which nothing was heard for so long is silent, as it is on the page.
const SILENT_S: i64 = 900;
const REMOVED: &str = "removed";

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) kind: &'static str,
    /// The buildings that it tells of; `None` when it tells of none and is for everybody.
    pub(crate) buildings: Option<Vec<BuildingId>>,
    pub(crate) data: String,
}

/// What there is to see of one thing: another `state` is a change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fact {
    state: String,
    kind: &'static str,
    buildings: Option<Vec<BuildingId>>,
    data: Value,
    /// What is told as `state` of the data when it is not there any more.
    end: Option<&'static str>,
}

impl Fact {
    fn change(&self) -> Change {
        self.told(&self.data)
    }

    fn gone(&self) -> Change {
        let mut data = self.data.clone();
        if let Some(end) = self.end {
            data["state"] = json!(end);
        }
        self.told(&data)
    }

    fn told(&self, data: &Value) -> Change {
        let (kind, buildings) = (self.kind, self.buildings.clone());
        Change { kind, buildings, data: data.to_string() }
    }
}

type Facts = HashMap<String, Fact>;

#[derive(Default)]
struct Inside {
    /// Drawn when the looking begins; numbers of another life mean nothing.
    life: u64,
    runs: bool,
    last: u64,
    kept: VecDeque<(u64, Change)>,
    listeners: HashMap<String, usize>,
}

/// Changes, and those who listen.
#[derive(Clone)]
pub(crate) struct Hub {
    /// Held for a moment, never while waiting.
    inside: Arc<Mutex<Inside>>,
    number: watch::Sender<u64>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { inside: Arc::default(), number: watch::Sender::new(0) }
    }
}

impl Hub {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to listen, and to look when nobody did.
    pub(crate) fn listen(&self, core: &Core, name: &str) -> Result<Listener, Problem> {
        let mut inside = self.inside();
        let all: usize = inside.listeners.values().sum();
        let own = inside.listeners.get(name).copied().unwrap_or(0);
        if all >= MOST || own >= MOST_OF_ONE {
            return Err(Problem::busy("too many listen already", FULL_WAIT));
        }
        if !inside.runs {
            let mut life = [0; 4];
            getrandom::fill(&mut life).map_err(|_| Problem::internal())?;
            inside.life = u64::from(u32::from_be_bytes(life));
            inside.runs = true;
            inside.last = 0;
            inside.kept.clear();
            tokio::spawn(look(self.clone(), core.clone()));
        }
        *inside.listeners.entry(name.to_owned()).or_default() += 1;
        Ok(Listener {
            hub: self.clone(),
            name: name.to_owned(),
            life: inside.life,
            number: inside.last,
            news: self.number.subscribe(),
        })
    }

    fn add(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut inside = self.inside();
        for change in changes {
            inside.last += 1;
            let number = inside.last;
            inside.kept.push_back((number, change));
            if inside.kept.len() > KEPT {
                inside.kept.pop_front();
            }
        }
        self.number.send_replace(inside.last);
    }

    /// True when nobody listens and the looking ends; who comes later begins it anew.
    fn ends(&self) -> bool {
        let mut inside = self.inside();
        if !inside.listeners.is_empty() {
            return false;
        }
        inside.runs = false;
        true
    }
}

/// One who listens.
pub(crate) struct Listener {
    hub: Hub,
    name: String,
    life: u64,
    /// The last change that it was told, or that was none of its business.
    number: u64,
    news: watch::Receiver<u64>,
}

impl Listener {
    pub(crate) const fn life(&self) -> u64 {
        self.life
    }

    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Goes on behind an earlier change; false when not all since then is known.
    pub(crate) fn go_back(&mut self, number: u64) -> bool {
        let inside = self.hub.inside();
        let oldest = inside.kept.front().map_or(inside.last + 1, |(oldest, _)| *oldest);
        let known = number <= inside.last && number + 1 >= oldest;
        drop(inside);
        if known {
            self.number = number;
        }
        known
    }

    /// What is new; `None` when some of it is not known any more.
    pub(crate) fn take(&mut self) -> Option<Vec<(u64, Change)>> {
        self.news.mark_unchanged();
        let inside = self.hub.inside();
        let oldest = inside.kept.front().map_or(inside.last + 1, |(oldest, _)| *oldest);
        let whole = self.number + 1 >= oldest;
        let seen = self.number;
        self.number = inside.last;
        whole.then(|| inside.kept.iter().filter(|(number, _)| *number > seen).cloned().collect())
    }

    /// Waits for the next change; false when there will be none.
    pub(crate) async fn changed(&mut self) -> bool {
        self.news.changed().await.is_ok()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut inside = self.hub.inside();
        if let Some(count) = inside.listeners.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                inside.listeners.remove(&self.name);
            }
        }
    }
}

/// Looks again and again, until nobody listened for a while.
async fn look(hub: Hub, core: Core) {
    let mut interval = tokio::time::interval(LOOK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<Facts> = None;
    let mut alone: Option<Instant> = None;
    loop {
        interval.tick().await;
        if hub.inside().listeners.is_empty() {
            let since = *alone.get_or_insert_with(Instant::now);
            if since.elapsed() >= LINGER && hub.ends() {
                return;
            }
        } else {
            alone = None;
        }
        // A store that does not answer now has said so in the log, and is asked again.
        let Ok(now) = core.with_services(facts).await else { continue };
        if let Some(before) = &before {
            hub.add(changes(before, &now));
        }
        before = Some(now);
    }
}

/// What differs; what is not there any more has ended.
fn changes(before: &Facts, now: &Facts) -> Vec<Change> {
    let mut changed: Vec<(&String, Change)> = Vec::new();
    for (key, fact) in now {
        if before.get(key).is_none_or(|old| old.state != fact.state) {
            changed.push((key, fact.change()));
        }
    }
    for (key, fact) in before {
        if !now.contains_key(key) {
            changed.push((key, fact.gone()));
        }
    }
    changed.sort_by(|a, b| a.0.cmp(b.0));
    changed.into_iter().map(|(_, change)| change).collect()
}

fn facts(services: &Services) -> Result<Facts, Problem> {
    let (control, now) = (&services.control, (services.clock)());
    let mut facts = Facts::new();
    let overlay = services.desk.overlay(now)?;
    for incident in control.incidents(false)? {
        let mut fact = of_incident(&incident);
        let _ = write!(fact.state, "{:?}", overlay.standing(&incident, now)); // Never fails for a String.
        facts.insert(format!("incident {}", incident.id), fact);
    }
    for agent in control.agents()? {
        facts.insert(format!("agent {}", agent.id), of_agent(&agent, now));
    }
    let judged = services.status.figures().into_iter();
    let judged = judged.filter(|figure| figure.name == "judge_verdicts_total");
    let verdicts = Fact {
        state: judged.map(|figure| figure.value.to_string()).collect(),
        kind: "verdicts",
        buildings: None,
        data: json!({ "kind": "verdicts" }),
        end: None,
    };
    facts.insert("verdicts".to_owned(), verdicts);
    Ok(facts)
}

/// What there is to see of an incident that is not closed.
fn of_incident(incident: &Incident) -> Fact {
    let mut buildings = incident.buildings();
    if !buildings.contains(&incident.building) {
        buildings.push(incident.building);
    }
    let words = (incident.state.as_str(), incident.change.as_str(), incident.cause.as_str());
    let sizes = (incident.changed, incident.last_bad, incident.members.len());
    Fact {
        state: format!("{words:?}{sizes:?}{}", incident.sentence),
        kind: "incident",
        data: json!({
            "kind": "incident",
            "id": incident.id.to_string(),
            "number": incident.number,
            "state": incident.state.as_str(),
            "building_ids": buildings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        buildings: Some(buildings),
        // Whether it is over, or went on as part of another.
        end: Some(IncidentState::Closed.as_str()),
    }
}

fn of_agent(agent: &AgentRow, now: UtcMicros) -> Fact {
    let age = agent.sighting.as_ref().map(|seen| text::age_s(now, seen.at));
    let state = match (agent.removed, age) {
        (Some(_), _) => REMOVED,
        (None, None) => "never heard",
        (None, Some(age)) if age > SILENT_S => "silent",
        (None, Some(_)) => "heard",
    };
    let buildings: Vec<BuildingId> =
        agent.placement.iter().map(|placement| placement.building).collect();
    let version = agent.sighting.as_ref().map(|seen| seen.version.as_str());
    Fact {
        state: format!("{state} {version:?} {buildings:?}"),
        kind: "agent",
        data: json!({
            "kind": "agent",
            "id": agent.id.to_string(),
            "state": state,
            "building_ids": buildings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        buildings: Some(buildings),
        end: Some(REMOVED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(state: &str) -> Fact {
        let data = json!({ "state": state });
        Fact { state: state.to_owned(), kind: "agent", buildings: None, data, end: Some("over") }
    }

    fn facts(all: &[(&str, &str)]) -> Facts {
        all.iter().map(|(key, state)| ((*key).to_owned(), fact(state))).collect()
    }

    #[test]
    fn what_is_new_other_or_gone_is_a_change_and_what_is_the_same_is_none() {
        let before = facts(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let now = facts(&[("a", "1"), ("b", "2"), ("d", "1")]);
        let told: Vec<String> = changes(&before, &now).into_iter().map(|c| c.data).collect();
        let expected = ["2", "over", "1"].map(|state| json!({ "state": state }).to_string());
        assert_eq!(told, expected, "of b, c and d");
        assert_eq!(changes(&now, &now), []);
    }

    fn listener(hub: &Hub) -> Listener {
        let number = hub.inside().last;
        *hub.inside().listeners.entry("x".to_owned()).or_default() += 1;
        let news = hub.number.subscribe();
        Listener { hub: hub.clone(), name: "x".to_owned(), life: 1, number, news }
    }

    #[test]
    fn who_comes_back_hears_what_was_missed_as_long_as_it_is_known() {
        let hub = Hub::default();
        let change = || fact("1").change();
        hub.add(vec![change(), change(), change()]);
        let mut back = listener(&hub);
        assert!(back.take().unwrap().is_empty(), "who is new hears what comes");
        assert!(back.go_back(1) && back.take().unwrap().len() == 2);
        assert!(!back.go_back(4), "nobody was there yet");
        hub.add((0..KEPT).map(|_| change()).collect());
        assert!(!back.go_back(1), "too long ago");
        assert_eq!(back.take().unwrap().len(), KEPT);
        hub.add((0..=KEPT).map(|_| change()).collect());
        assert_eq!(back.take(), None, "more was missed than is kept");
        assert!(back.take().unwrap().is_empty());
        drop(back);
        assert!(hub.ends());
    }
}
