//! The worker: outbox in, messages out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use busyhour_daemon::{Backoff, chain};
use busyhour_model::UtcMicros;
use busyhour_store::{Control, Delivery, DeliveryOutcome, StoreError};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::Channel;
use crate::message::{BaseUrl, Message};

/// Deliveries taken at once. Incidents are few: a storm of more waits for the next round, and what
/// is held in memory stays small.
const BATCH: usize = 64;
/// The longest error text that is kept in the outbox.
const MAX_ERROR_CHARS: usize = 500;
/// Attempts beyond this do not lengthen the delay any more: the ceiling is reached long before.
const MAX_DOUBLINGS: u32 = 32;

/// How the worker goes about it.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        }
    }
}

/// What the worker did since the process began.
#[derive(Debug, Default)]
pub struct Counters {
    sent: AtomicU64,
    failed: AtomicU64,
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
    /// Messages put off.
    pub put_off: usize,
    /// Messages withheld.
    pub withheld: usize,
}

/// Takes what is due from the outbox and sends it, one task per channel and round, so that a dead
/// mail server does not hold up the webhook.
pub struct Notifier {
    control: Arc<dyn Control>,
    channels: HashMap<String, Arc<Channel>>,
    settings: Settings,
    counters: Arc<Counters>,
    /// Outcomes that the store could not note yet. Not bounded by a constant but by the batch:
    /// nothing more is taken while there are any.
    unnoted: Vec<(i64, DeliveryOutcome)>,
}

impl Notifier {
    /// Puts a worker together; names of channels are expected to be unique.
    #[must_use]
    pub fn new(control: Arc<dyn Control>, channels: Vec<Channel>, settings: Settings) -> Self {
        let channels = channels.into_iter().map(|c| (c.name().to_owned(), Arc::new(c))).collect();
        Self { control, channels, settings, counters: Arc::default(), unnoted: Vec::new() }
    }

    /// The counters, to be shown.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Works until `shutdown`. A message that is under way then is finished, no other is begun.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(self.settings.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Both branches are cancel-safe: a tick stays due, a cancelled token cancelled.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.deliver_due(utc_now(), &shutdown).await {
                tracing::warn!(error = %chain(&error), "outbox is not available");
            }
        }
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
        self.note(now).await?;
        let due = self.due(now).await?;
        let mut round = Round::default();
        let mut by_channel: HashMap<String, Vec<Delivery>> = HashMap::new();
        for delivery in due {
            if let Some(reason) = self.reason_to_withhold(&delivery, now) {
                tracing::warn!(channel = delivery.channel, incident = %delivery.incident.id,
                    reason, "alert withheld");
                round.withheld += 1;
                self.unnoted.push((delivery.id, DeliveryOutcome::Withheld { reason }));
            } else {
                by_channel.entry(delivery.channel.clone()).or_default().push(delivery);
            }
        }
        let mut tasks = JoinSet::new();
        for (name, deliveries) in by_channel {
            let Some(channel) = self.channels.get(&name) else { continue };
            let (channel, settings) = (Arc::clone(channel), self.settings.clone());
            tasks.spawn(send_all(channel, deliveries, settings, now, shutdown.clone()));
        }
        while let Some(outcomes) = tasks.join_next().await {
            for (id, outcome) in outcomes.unwrap_or_default() {
                match outcome {
                    DeliveryOutcome::Sent => round.sent += 1,
                    DeliveryOutcome::Retry { .. } => round.put_off += 1,
                    DeliveryOutcome::Withheld { .. } => round.withheld += 1,
                }
                self.unnoted.push((id, outcome));
            }
        }
        self.count(round);
        self.note(now).await?;
        Ok(round)
    }

    async fn due(&self, now: UtcMicros) -> Result<Vec<Delivery>, StoreError> {
        let mut names: Vec<String> = self.channels.keys().cloned().collect();
        names.sort_unstable();
        self.with_control(move |control| control.due_deliveries(&names, now, BATCH)).await
    }

    /// Writes down what became of earlier attempts, oldest first.
    async fn note(&mut self, now: UtcMicros) -> Result<(), StoreError> {
        while let Some((id, outcome)) = self.unnoted.first().cloned() {
            self.with_control(move |control| control.delivered(id, &outcome, now)).await?;
            self.unnoted.remove(0);
        }
        Ok(())
    }

    /// SQLite waits for the disk, so it is asked off the runtime's threads.
    async fn with_control<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Control) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let control = Arc::clone(&self.control);
        let answer = tokio::task::spawn_blocking(move || ask(control.as_ref())).await;
        let answer = answer.unwrap_or_else(|panicked| {
            Err(StoreError::new("use the outbox", busyhour_store::ErrorKind::Other)
                .with_source(panicked))
        });
        if answer.is_err() {
            self.counters.store_failures.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    fn reason_to_withhold(&self, delivery: &Delivery, now: UtcMicros) -> Option<String> {
        let Some(channel) = self.channels.get(&delivery.channel) else {
            return Some("the channel is no longer configured".to_owned());
        };
        if delivery.incident.simulated && !channel.is_local() {
            return Some("it rests on simulated data, which never leaves this machine".to_owned());
        }
        let too_old = delivery.created.plus(self.settings.give_up_after) < now;
        too_old.then(|| match delivery.attempts {
            0 => "it was too old when the channel could first be used".to_owned(),
            attempts => format!("given up after {attempts} attempts"),
        })
    }

    fn count(&self, round: Round) {
        let add = |counter: &AtomicU64, n: usize| counter.fetch_add(n as u64, Ordering::Relaxed);
        add(&self.counters.sent, round.sent);
        add(&self.counters.failed, round.put_off);
        add(&self.counters.withheld, round.withheld);
    }
}

/// Sends the deliveries of one channel in order. After a failure the rest is put off with it: a
/// server that just refused one message is left alone until the delay is over.
async fn send_all(
    channel: Arc<Channel>,
    deliveries: Vec<Delivery>,
    settings: Settings,
    now: UtcMicros,
    shutdown: CancellationToken,
) -> Vec<(i64, DeliveryOutcome)> {
    let mut outcomes = Vec::with_capacity(deliveries.len());
    let mut failure: Option<String> = None;
    for delivery in deliveries {
        if shutdown.is_cancelled() {
            break;
        }
        if failure.is_none() {
            failure = send_one(&channel, &delivery, &settings).await;
        }
        let outcome = match &failure {
            None => DeliveryOutcome::Sent,
            Some(error) => {
                let at = now.plus(retry_delay(&delivery, &settings));
                DeliveryOutcome::Retry { at, error: error.clone() }
            }
        };
        outcomes.push((delivery.id, outcome));
    }
    outcomes
}

/// Sends one message; what went wrong if it was not taken.
async fn send_one(channel: &Channel, delivery: &Delivery, settings: &Settings) -> Option<String> {
    let incident = delivery.incident.id;
    match channel.send(&Message::of(delivery, &settings.base_url)).await {
        Ok(()) => {
            tracing::info!(channel = channel.name(), %incident, event = ?delivery.event, "alert sent");
            None
        }
        Err(error) => {
            let attempt = delivery.attempts.saturating_add(1);
            tracing::warn!(channel = channel.name(), %incident, attempt, %error, "alert not taken");
            Some(error.to_string().chars().take(MAX_ERROR_CHARS).collect())
        }
    }
}

/// The delay grows with the attempts that the outbox remembers, so a restart does not hurry it.
fn retry_delay(delivery: &Delivery, settings: &Settings) -> Duration {
    let seed = delivery.id.cast_unsigned() ^ delivery.created.0.cast_unsigned();
    let Ok(mut backoff) = Backoff::new(settings.retry_lowest, settings.retry_highest, seed) else {
        return settings.retry_highest;
    };
    for _ in 0..delivery.attempts.min(MAX_DOUBLINGS) {
        backoff.next_delay();
    }
    backoff.next_delay()
}

fn utc_now() -> UtcMicros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UtcMicros(0).plus(since)
}
