//! The worker: outbox in, messages out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use busyhour_daemon::chain;
use busyhour_model::desk::Overlay;
use busyhour_model::{Building, BuildingId, IncidentId, UtcMicros};
use busyhour_store::{
    About, Control, Delivery, DeliveryOutcome, Desk, Fate, Happened, IncidentEvent, Outbox,
    StoreError, Untold,
};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::again::Again;
use crate::bundle;
use crate::message::BaseUrl;
use crate::plan::{Check, LOOK_AGAIN, Wants, World};
use crate::report::{ReportPlan, Reports};
use crate::sender::{Outcome, People, Pictures, SIMULATED, Sender};
use crate::{Channel, Route};

/// Events and deliveries taken at once, the latter in equal shares of the channels. Incidents are few: a storm of
/// more waits for the next round, and what is held in memory stays small.
const BATCH: usize = 512;
/// Outcomes on their way to the store.
const ON_THE_WAY: usize = 16;

/// How the worker goes about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where people open the page.
    pub base_url: BaseUrl,
    /// How often the outbox is looked at.
    pub poll: Duration,
    /// The ceiling of the first delay after a failure; above zero.
    pub retry_lowest: Duration,
    /// The ceiling of any delay after a failure; not below the first.
    pub retry_highest: Duration,
    /// How long an opening waits before it is told. The agents of one place do not deliver what they kept at the
    /// same moment: what looks like several incidents at first is one, or none, when all of it has come.
    pub settle: Duration,
    /// How old an event may become before it is withheld.
    pub give_up_after: Duration,
    /// Who is told what; without any everything goes to every channel at once.
    pub routes: Vec<Route>,
    /// Reports to be sent.
    pub reports: Vec<ReportPlan>,
}

impl Settings {
    /// Looks every 5 s; an opening waits for 5 minutes; tries again after at most 10 s at first and 30 min at last;
    /// gives up after three days, a long weekend of a broken mail server.
    #[must_use]
    pub const fn new(base_url: BaseUrl) -> Self {
        Self {
            base_url,
            poll: Duration::from_secs(5),
            retry_lowest: Duration::from_secs(10),
            retry_highest: Duration::from_secs(30 * 60),
            settle: Duration::from_secs(5 * 60),
            give_up_after: Duration::from_secs(3 * 24 * 3600),
            routes: Vec::new(),
            reports: Vec::new(),
        }
    }
}

/// What the worker did since the process began.
#[derive(Debug, Default)]
pub struct Counters {
    sent: AtomicU64,
    pub(crate) failed: AtomicU64,
    withheld: AtomicU64,
    store_failures: AtomicU64,
}

/// [`Counters`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CountersSnapshot {
    /// Messages that the other side took.
    pub sent: u64,
    /// Attempts that it did not take.
    pub failed: u64,
    /// Messages withheld or given up, each with its reason in the outbox.
    pub withheld: u64,
    /// Times the outbox could not be read or written.
    pub store_failures: u64,
}

impl Counters {
    /// The counts now.
    #[must_use]
    pub fn snapshot(&self) -> CountersSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CountersSnapshot {
            sent: read(&self.sent),
            failed: read(&self.failed),
            withheld: read(&self.withheld),
            store_failures: read(&self.store_failures),
        }
    }
}

/// What one look at the outbox brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    /// Messages that the other side took.
    pub sent: usize,
    /// Messages that it did not take, to be tried again.
    pub put_off: usize,
    /// Messages withheld.
    pub withheld: usize,
}

/// The parts of the store that are needed to tell people.
#[derive(Clone)]
pub struct Stores {
    /// Buildings and incidents.
    pub control: Arc<dyn Control>,
    /// What people do with incidents.
    pub desk: Arc<dyn Desk>,
    /// What is to be told.
    pub outbox: Arc<dyn Outbox>,
}

/// Places what happened on channels, takes what is due from the outbox and sends it, in one task per channel, so that
/// a dead mail server does not hold up the webhook: while a task goes on, only its own channel waits.
pub struct Notifier {
    stores: Stores,
    channels: HashMap<String, Arc<Channel>>,
    settings: Arc<Settings>,
    pictures: Option<Arc<dyn Pictures>>,
    reports: Option<Arc<dyn Reports>>,
    counters: Arc<Counters>,
    /// Outcomes that the store could not note yet. Not bounded by a constant but by the batch:
    /// nothing more is taken while there are any.
    unnoted: Vec<Outcome>,
    /// The reports that were asked for last.
    asked: HashSet<String>,
    is_registered: bool,
    wants: Wants,
    /// What is under way, and on which channel.
    turns: JoinSet<()>,
    busy: HashMap<Id, String>,
    /// What becomes of it, on its way here.
    became: mpsc::Sender<Outcome>,
    outcomes: mpsc::Receiver<Outcome>,
    /// What was seen to become of it since the last round began.
    round: Round,
}

impl Notifier {
    /// Puts a worker together; names of channels are expected to be unique.
    #[must_use]
    pub fn new(stores: Stores, channels: Vec<Channel>, settings: Settings) -> Self {
        let named = |wanted: fn(&Channel) -> bool| {
            let names = channels.iter().filter(|channel| wanted(channel));
            names.map(|channel| channel.name().to_owned()).collect()
        };
        let wants = Wants {
            merged: named(Channel::keeps_alerts),
            acknowledged: named(Channel::calls_people),
        };
        let channels = channels.into_iter().map(|c| (c.name().to_owned(), Arc::new(c))).collect();
        let (became, outcomes) = mpsc::channel(ON_THE_WAY);
        Self {
            stores,
            channels,
            settings: Arc::new(settings),
            pictures: None,
            reports: None,
            counters: Arc::default(),
            unnoted: Vec::new(),
            asked: HashSet::new(),
            is_registered: false,
            wants,
            turns: JoinSet::new(),
            busy: HashMap::new(),
            became,
            outcomes,
            round: Round::default(),
        }
    }

    /// Puts pictures into mails.
    #[must_use]
    pub fn with_pictures(mut self, pictures: Arc<dyn Pictures>) -> Self {
        self.pictures = Some(pictures);
        self
    }

    /// Has somebody render the reports that the settings ask for.
    #[must_use]
    pub fn with_reports(mut self, reports: Arc<dyn Reports>) -> Self {
        self.reports = Some(reports);
        self
    }

    /// The counters, to be shown.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Works until `shutdown`. A message that is under way then is finished, no other is begun.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut again = JoinSet::new();
        for one in self.again() {
            again.spawn(one.run(shutdown.clone()));
        }
        let mut ticks = tokio::time::interval(self.settings.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // All branches are cancel-safe: a tick stays due, a cancelled token cancelled; messages and ends of tasks
            // stay where they are until they are taken.
            let went = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(outcome) = self.outcomes.recv() => {
                    self.remember(outcome);
                    self.note(utc_now()).await
                }
                Some(ended) = self.turns.join_next_with_id() => {
                    self.ended(ended.map(|(id, ())| id));
                    self.note(utc_now()).await
                }
                _ = ticks.tick() => self.begin(utc_now(), &shutdown).await,
            };
            if let Err(error) = went {
                tracing::warn!(error = %chain(&error), "outbox is not available");
            }
        }
        if let Err(error) = self.finish(utc_now).await {
            tracing::warn!(error = %chain(&error), "what was told last could not be noted");
        }
        while again.join_next().await.is_some() {}
    }

    /// Looks at the outbox once, at the moment `now`, and waits for what becomes of what was due.
    ///
    /// # Errors
    /// When the outbox cannot be read or written. What was sent is remembered and noted by the
    /// next call, before anything else is sent.
    pub async fn deliver_due(
        &mut self,
        now: UtcMicros,
        shutdown: &CancellationToken,
    ) -> Result<Round, StoreError> {
        self.round = Round::default();
        self.begin(now, shutdown).await?;
        self.finish(|| now).await.map(|()| self.round)
    }

    /// Begins to send what is due on channels that nothing is under way on.
    async fn begin(
        &mut self,
        now: UtcMicros,
        shutdown: &CancellationToken,
    ) -> Result<(), StoreError> {
        self.register().await?;
        self.note(now).await?;
        self.ask_reports(now).await?;
        self.place(now).await?;
        let (by_channel, people) = self.checked(now).await?;
        self.note(now).await?;
        let mut turns = Vec::new();
        for (name, deliveries) in by_channel {
            let Some(channel) = self.channels.get(&name).map(Arc::clone) else { continue };
            let people = channel.is_for_people();
            let messages = bundle::messages(deliveries, people);
            self.bundle(&messages, people).await?;
            turns.push((channel, messages));
        }
        let sender = self.sender(people);
        for (channel, messages) in turns {
            let (sender, became) = (sender.clone(), self.became.clone());
            let (shutdown, name) = (shutdown.clone(), channel.name().to_owned());
            let task = self.turns.spawn(async move {
                sender.all(&channel, messages, now, &shutdown, &became).await;
            });
            self.busy.insert(task.id(), name);
        }
        Ok(())
    }

    /// Waits for all that is under way. What one channel took is noted while another is still being waited for.
    async fn finish(&mut self, now: impl Fn() -> UtcMicros) -> Result<(), StoreError> {
        let mut noted = Ok(());
        while !self.turns.is_empty() {
            tokio::select! {
                biased;
                Some(outcome) = self.outcomes.recv() => self.remember(outcome),
                Some(ended) = self.turns.join_next_with_id() => {
                    self.ended(ended.map(|(id, ())| id));
                }
            }
            if noted.is_ok() {
                noted = self.note(now()).await;
            }
        }
        noted
    }

    /// A channel may be used again. What its task said is here before its end is.
    fn ended(&mut self, task: Result<Id, JoinError>) {
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.remember(outcome);
        }
        self.busy.remove(&task.unwrap_or_else(|error| error.id()));
    }

    /// Says what is open to the channels that forget, once, at the moment `now`; [`Notifier::run`] does so each
    /// minute, apart from what is due.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    pub async fn say_again(&self, now: UtcMicros) -> Result<(), StoreError> {
        for one in self.again() {
            one.once(now).await?;
        }
        Ok(())
    }

    fn again(&self) -> Vec<Again> {
        let forgetful = self.channels.values().filter(|channel| channel.forgets());
        let again = |channel: &Arc<Channel>| Again {
            stores: self.stores.clone(),
            channel: Arc::clone(channel),
            settings: Arc::clone(&self.settings),
            counters: Arc::clone(&self.counters),
            taken: AtomicBool::new(false),
        };
        forgetful.map(again).collect()
    }

    /// Counts what became of a message, to be noted.
    fn remember(&mut self, outcome: Outcome) {
        let deliveries = outcome.0.len();
        let round = &mut self.round;
        let counted = match &outcome.1 {
            DeliveryOutcome::Sent | DeliveryOutcome::SentBut { .. } => {
                Some((&mut round.sent, &self.counters.sent))
            }
            DeliveryOutcome::Retry { .. }
            | DeliveryOutcome::Partly { .. }
            | DeliveryOutcome::StillLeft { .. } => {
                Some((&mut round.put_off, &self.counters.failed))
            }
            DeliveryOutcome::Withheld { .. }
            | DeliveryOutcome::Refused { .. }
            | DeliveryOutcome::GivenUp { .. } => {
                Some((&mut round.withheld, &self.counters.withheld))
            }
            DeliveryOutcome::NotMade { .. }
            | DeliveryOutcome::Later(_)
            | DeliveryOutcome::Held(_) => None,
        };
        if let Some((count, counter)) = counted {
            *count += deliveries;
            counter.fetch_add(deliveries as u64, Ordering::Relaxed);
        }
        self.unnoted.push(outcome);
    }

    /// Says which channels there are, once.
    async fn register(&mut self) -> Result<(), StoreError> {
        if self.is_registered {
            return Ok(());
        }
        let channels = self.channels.values();
        let mut channels: Vec<(String, String)> = channels
            .map(|channel| (channel.name().to_owned(), channel.kind().to_owned()))
            .collect();
        channels.sort_unstable();
        self.with_stores(move |stores| stores.outbox.register_channels(&channels)).await?;
        self.is_registered = true;
        Ok(())
    }

    /// Asks for reports whose time has come; the store knows which were asked for before.
    async fn ask_reports(&mut self, now: UtcMicros) -> Result<(), StoreError> {
        let due: HashSet<String> =
            self.settings.reports.iter().filter_map(|plan| plan.due(now)).collect();
        for name in due.difference(&self.asked) {
            let name = name.clone();
            self.with_stores(move |stores| stores.outbox.ask_report(&name, now)).await?;
        }
        self.asked = due;
        Ok(())
    }

    /// Decides what becomes of what happened. Without channels it waits.
    async fn place(&self, now: UtcMicros) -> Result<(), StoreError> {
        if self.channels.is_empty() {
            return Ok(());
        }
        let settings = Arc::clone(&self.settings);
        let mut channels: Vec<String> = self.channels.keys().cloned().collect();
        channels.sort_unstable();
        let wants = self.wants.clone();
        let fates = self.with_stores(move |stores| {
            let untold = stores.outbox.untold(now, BATCH)?;
            let fates = fates(stores, &settings, (&channels, &wants), &untold, now)?;
            if !fates.is_empty() {
                stores.outbox.place(&fates)?;
            }
            Ok(fates)
        });
        for (event, fate) in fates.await? {
            if let Fate::Nobody(why) = fate {
                tracing::info!(event, why, "told to nobody");
            }
        }
        Ok(())
    }

    /// What is due by channel, after a last look at each; and how it stands with people.
    async fn checked(
        &mut self,
        now: UtcMicros,
    ) -> Result<(BTreeMap<String, Vec<Delivery>>, People), StoreError> {
        let settings = Arc::clone(&self.settings);
        let people = self.channels.values().filter(|channel| channel.is_for_people());
        let people: HashSet<String> = people.map(|channel| channel.name().to_owned()).collect();
        let busy: Vec<String> = self.busy.values().cloned().collect();
        let (due, checks, people) = self
            .with_stores(move |stores| {
                let due = stores.outbox.due_deliveries(now, BATCH, &busy)?;
                let (checks, people) = checks(stores, &settings, &people, &due, now)?;
                Ok((due, checks, people))
            })
            .await?;
        let mut by_channel: BTreeMap<String, Vec<Delivery>> = BTreeMap::new();
        for (delivery, check) in due.into_iter().zip(checks) {
            let withheld = self.reason_to_withhold(&delivery);
            let outcome = match withheld.map_or(check, Check::Withhold) {
                Check::Send => {
                    by_channel.entry(delivery.channel.clone()).or_default().push(delivery);
                    continue;
                }
                Check::Later(at) => DeliveryOutcome::Held(at),
                Check::Withhold(reason) => {
                    let (channel, delivery) = (&delivery.channel, delivery.id);
                    tracing::warn!(channel, delivery, reason, "withheld");
                    DeliveryOutcome::Withheld { reason }
                }
                Check::GiveUp(why) => {
                    let error = match delivery.left_for.as_slice() {
                        [] => why,
                        left => format!("{} never got it: {why}", left.join(", ")),
                    };
                    let (channel, delivery) = (&delivery.channel, delivery.id);
                    tracing::warn!(channel, delivery, error, "given up");
                    DeliveryOutcome::GivenUp { error }
                }
            };
            self.remember((vec![delivery.id], outcome));
        }
        Ok((by_channel, people))
    }

    /// Writes down what is one message before it is sent, so that it is the same one after a restart.
    async fn bundle(&self, messages: &[Vec<Delivery>], people: bool) -> Result<(), StoreError> {
        for message in messages.iter().filter(|message| bundle::is_several(message, people)) {
            if message.iter().all(|delivery| delivery.bundle.is_some()) {
                continue;
            }
            let ids: Vec<i64> = message.iter().map(|delivery| delivery.id).collect();
            self.with_stores(move |stores| stores.outbox.bundle(&ids)).await?;
        }
        Ok(())
    }

    fn sender(&self, people: People) -> Sender {
        Sender {
            settings: Arc::clone(&self.settings),
            pictures: self.pictures.clone(),
            reports: self.reports.clone(),
            people: Arc::new(people),
        }
    }

    /// Writes down what became of earlier attempts, oldest first.
    async fn note(&mut self, now: UtcMicros) -> Result<(), StoreError> {
        while let Some((ids, outcome)) = self.unnoted.first().cloned() {
            self.with_stores(move |stores| stores.outbox.delivered(&ids, &outcome, now)).await?;
            self.unnoted.remove(0);
        }
        Ok(())
    }

    async fn with_stores<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Stores) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        ask(&self.stores, &self.counters, question).await
    }

    fn reason_to_withhold(&self, delivery: &Delivery) -> Option<String> {
        let Some(channel) = self.channels.get(&delivery.channel) else {
            return Some("the channel is no longer configured".to_owned());
        };
        let About::Incident(news) = &delivery.about else { return None };
        (news.incident.simulated && !channel.is_local()).then(|| SIMULATED.to_owned())
    }
}

/// SQLite waits for the disk, so it is asked off the runtime's threads.
pub(crate) async fn ask<T: Send + 'static>(
    stores: &Stores,
    counters: &Counters,
    question: impl FnOnce(&Stores) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let stores = stores.clone();
    let answer = tokio::task::spawn_blocking(move || question(&stores)).await;
    let answer = answer.unwrap_or_else(|panicked| {
        Err(StoreError::new("use the outbox", busyhour_store::ErrorKind::Other)
            .with_source(panicked))
    });
    if answer.is_err() {
        counters.store_failures.fetch_add(1, Ordering::Relaxed);
    }
    answer
}

/// What becomes of events, with all that decides it read once.
fn fates(
    stores: &Stores,
    settings: &Settings,
    (channels, wants): (&[String], &Wants),
    untold: &[Untold],
    now: UtcMicros,
) -> Result<Vec<(i64, Fate)>, StoreError> {
    let Some(oldest) = untold.iter().map(|event| event.created).min() else {
        return Ok(Vec::new());
    };
    let (buildings, overlay) =
        (stores.control.buildings()?, stores.desk.overlay(oldest.minus(Overlay::LATE))?);
    let buildings = by_id(&buildings);
    let mut states = BTreeMap::new();
    for event in untold {
        let Happened::Incident { incident, .. } = &event.happened else { continue };
        for whole in overlay.wholes(incident.id) {
            states.extend(stores.control.incident(whole)?.map(|found| (whole, found.state)));
        }
    }
    let world = World {
        channels,
        wants,
        routes: &settings.routes,
        reports: &settings.reports,
        buildings: &buildings,
        overlay: &overlay,
        states: &states,
        settle: settings.settle,
        give_up_after: settings.give_up_after,
    };
    let fates = untold.iter().map(|event| (event.event, world.fate(event, now))).collect();
    Ok(at_once_after_openings(untold, fates, now))
}

/// What waited for an opening that waits no more is looked at in the next round.
fn at_once_after_openings(
    untold: &[Untold],
    mut fates: Vec<(i64, Fate)>,
    now: UtcMicros,
) -> Vec<(i64, Fate)> {
    let of = |event: &Untold| match &event.happened {
        Happened::Incident { event, openings, incident, opening_waits, .. } => {
            let opens = *event == IncidentEvent::Opened;
            Some(((incident.id, *openings), opens, *opening_waits))
        }
        _ => None,
    };
    let settled: HashSet<(IncidentId, u32)> = untold
        .iter()
        .zip(&fates)
        .filter(|(_, (_, fate))| !matches!(fate, Fate::Later(_)))
        .filter_map(|(event, _)| of(event))
        .filter_map(|(opening, opens, _)| opens.then_some(opening))
        .collect();
    for (event, (_, fate)) in untold.iter().zip(&mut fates) {
        let Some((opening, false, true)) = of(event) else { continue };
        if matches!(fate, Fate::Later(_)) && settled.contains(&opening) {
            *fate = Fate::Later(now);
        }
    }
    fates
}

/// What to do with what is due, and how it stands with people.
fn checks(
    stores: &Stores,
    settings: &Settings,
    people: &HashSet<String>,
    due: &[Delivery],
    now: UtcMicros,
) -> Result<(Vec<Check>, People), StoreError> {
    // Quiet times that held something back count after their end, too.
    let placed = due.iter().map(|delivery| delivery.placed.minus(LOOK_AGAIN));
    let from = placed.min().map_or(now, |placed| placed.min(now));
    let news = |delivery: &Delivery| match &delivery.about {
        About::Incident(news) => Some(news.incident.clone()),
        _ => None,
    };
    let incidents: Vec<_> = due.iter().map(news).collect();
    let (buildings, overlay) = match incidents.iter().flatten().next() {
        None => (Vec::new(), Overlay::default()),
        Some(_) => (stores.control.buildings()?, stores.desk.overlay(from)?),
    };
    let buildings = by_id(&buildings);
    let mut states = BTreeMap::new();
    for whole in incidents.iter().flatten().flat_map(|incident| overlay.wholes(incident.id)) {
        states.extend(stores.control.incident(whole)?.map(|found| (whole, found.state)));
    }
    let world = World {
        channels: &[],
        wants: &Wants::default(),
        routes: &settings.routes,
        reports: &settings.reports,
        buildings: &buildings,
        overlay: &overlay,
        states: &states,
        settle: settings.settle,
        give_up_after: settings.give_up_after,
    };
    let checks = world.checks(due, people, now);
    let mut people = People::default();
    for (delivery, incident) in due.iter().zip(&incidents) {
        let Some(incident) = incident else { continue };
        let standing = overlay.standing(incident, now);
        if standing.acknowledged.is_some() {
            people.seen.insert(delivery.id);
        }
        people.owners.extend(standing.owner.map(|owner| (delivery.id, owner)));
    }
    Ok((checks, people))
}

fn by_id(buildings: &[Building]) -> HashMap<BuildingId, &Building> {
    buildings.iter().map(|building| (building.id, building)).collect()
}

pub(crate) fn utc_now() -> UtcMicros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UtcMicros(0).plus(since)
}
