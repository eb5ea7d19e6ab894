//! The worker: outbox in, messages out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use busyhour_daemon::chain;
use busyhour_model::desk::Overlay;
use busyhour_model::{Building, BuildingId, UtcMicros};
use busyhour_store::{
    About, Control, Delivery, DeliveryOutcome, Desk, Fate, Happened, Outbox, StoreError, Untold,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::again::Again;
use crate::bundle;
use crate::message::BaseUrl;
use crate::plan::{Check, LOOK_AGAIN, World};
use crate::report::{ReportPlan, Reports};
use crate::sender::{Outcome, Pictures, SIMULATED, Sender};
use crate::{Channel, Route};

/// Events and deliveries taken at once. Incidents are few: a storm of more waits for the next round, and
/// what is held in memory stays small.
const BATCH: usize = 256;
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
    /// How old an event may become before it is withheld.
    pub give_up_after: Duration,
    /// Who is told what; without any everything goes to every channel at once.
    pub routes: Vec<Route>,
    /// Reports to be sent.
    pub reports: Vec<ReportPlan>,
}

impl Settings {
    /// Looks every 5 s; tries again after at most 10 s at first and 30 min at last; gives up after
    /// three days, a long weekend of a broken mail server.
    #[must_use]
    pub const fn new(base_url: BaseUrl) -> Self {
        Self {
            base_url,
            poll: Duration::from_secs(5),
            retry_lowest: Duration::from_secs(10),
            retry_highest: Duration::from_secs(30 * 60),
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

/// Places what happened on channels, takes what is due from the outbox and sends it, one task per channel and
/// round, so that a dead mail server does not hold up the webhook.
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
}

impl Notifier {
    /// Puts a worker together; names of channels are expected to be unique.
    #[must_use]
    pub fn new(stores: Stores, channels: Vec<Channel>, settings: Settings) -> Self {
        let channels = channels.into_iter().map(|c| (c.name().to_owned(), Arc::new(c))).collect();
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
            // Both branches are cancel-safe: a tick stays due, a cancelled token cancelled.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.deliver_due(utc_now(), &shutdown).await {
                tracing::warn!(error = %chain(&error), "outbox is not available");
            }
        }
        while again.join_next().await.is_some() {}
    }

    /// Looks at the outbox once, at the moment `now`.
    ///
    /// # Errors
    /// When the outbox cannot be read or written. What was sent is remembered and noted by the
    /// next call, before anything else is sent.
    pub async fn deliver_due(
        &mut self,
        now: UtcMicros,
        shutdown: &CancellationToken,
    ) -> Result<Round, StoreError> {
        self.register().await?;
        self.note(now).await?;
        self.ask_reports(now).await?;
        self.place(now).await?;
        let mut round = Round::default();
        let (by_channel, seen) = self.checked(now, &mut round).await?;
        self.note(now).await?;
        let mut turns = Vec::new();
        for (name, deliveries) in by_channel {
            let Some(channel) = self.channels.get(&name).map(Arc::clone) else { continue };
            let people = channel.is_for_people();
            let messages = bundle::messages(deliveries, people);
            self.bundle(&messages, people).await?;
            turns.push((channel, messages));
        }
        let sender = self.sender(seen);
        let (became, mut outcomes) = mpsc::channel(ON_THE_WAY);
        let mut tasks = JoinSet::new();
        for (channel, messages) in turns {
            let (sender, became, shutdown) = (sender.clone(), became.clone(), shutdown.clone());
            tasks.spawn(async move {
                sender.all(&channel, messages, now, &shutdown, &became).await;
            });
        }
        drop(became);
        // What one channel took is noted while another is still being waited for.
        let mut noted = Ok(());
        while let Some(outcome) = outcomes.recv().await {
            self.remember(outcome, &mut round);
            if noted.is_ok() {
                noted = self.note(now).await;
            }
        }
        noted.map(|()| round)
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
        };
        forgetful.map(again).collect()
    }

    /// Counts what became of a message, to be noted.
    fn remember(&mut self, outcome: Outcome, round: &mut Round) {
        let deliveries = outcome.0.len();
        let counted = match &outcome.1 {
            DeliveryOutcome::Sent => Some((&mut round.sent, &self.counters.sent)),
            DeliveryOutcome::Retry { .. } => Some((&mut round.put_off, &self.counters.failed)),
            DeliveryOutcome::Withheld { .. } => {
                Some((&mut round.withheld, &self.counters.withheld))
            }
            DeliveryOutcome::Later(_) | DeliveryOutcome::Held(_) => None,
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
        let fates = self.with_stores(move |stores| {
            let untold = stores.outbox.untold(now, BATCH)?;
            let fates = fates(stores, &settings, &channels, &untold, now)?;
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

    /// What is due by channel, after a last look at each; and which of it somebody said to have seen.
    async fn checked(
        &mut self,
        now: UtcMicros,
        round: &mut Round,
    ) -> Result<(BTreeMap<String, Vec<Delivery>>, HashSet<i64>), StoreError> {
        let settings = Arc::clone(&self.settings);
        let people = self.channels.values().filter(|channel| channel.is_for_people());
        let people: HashSet<String> = people.map(|channel| channel.name().to_owned()).collect();
        let (due, checks, seen) = self
            .with_stores(move |stores| {
                let due = stores.outbox.due_deliveries(now, BATCH)?;
                let (checks, seen) = checks(stores, &settings, &people, &due, now)?;
                Ok((due, checks, seen))
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
                    tracing::warn!(
                        channel = delivery.channel,
                        delivery = delivery.id,
                        reason,
                        "withheld"
                    );
                    DeliveryOutcome::Withheld { reason }
                }
            };
            self.remember((vec![delivery.id], outcome), round);
        }
        Ok((by_channel, seen))
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

    fn sender(&self, seen: HashSet<i64>) -> Sender {
        Sender {
            settings: Arc::clone(&self.settings),
            pictures: self.pictures.clone(),
            reports: self.reports.clone(),
            seen: Arc::new(seen),
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
    channels: &[String],
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
        routes: &settings.routes,
        reports: &settings.reports,
        buildings: &buildings,
        overlay: &overlay,
        states: &states,
        give_up_after: settings.give_up_after,
    };
    Ok(untold.iter().map(|event| (event.event, world.fate(event, now))).collect())
}

/// What to do with what is due, and which of it is about incidents that somebody said to have seen.
fn checks(
    stores: &Stores,
    settings: &Settings,
    people: &HashSet<String>,
    due: &[Delivery],
    now: UtcMicros,
) -> Result<(Vec<Check>, HashSet<i64>), StoreError> {
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
        routes: &settings.routes,
        reports: &settings.reports,
        buildings: &buildings,
        overlay: &overlay,
        states: &states,
        give_up_after: settings.give_up_after,
    };
    let checks = world.checks(due, people, now);
    let acknowledged = |(delivery, incident): (&Delivery, &Option<busyhour_model::Incident>)| {
        let standing = overlay.standing(incident.as_ref()?, now);
        standing.acknowledged.map(|_| delivery.id)
    };
    Ok((checks, due.iter().zip(&incidents).filter_map(acknowledged).collect()))
}

fn by_id(buildings: &[Building]) -> HashMap<BuildingId, &Building> {
    buildings.iter().map(|building| (building.id, building)).collect()
}

pub(crate) fn utc_now() -> UtcMicros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UtcMicros(0).plus(since)
}
