//! Sends what is due on one channel, and says what became of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use busyhour_daemon::Backoff;
use busyhour_model::desk::Owner;
use busyhour_model::{Incident, UtcMicros};
use busyhour_store::{About, Delivery, DeliveryOutcome, IncidentNews};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::channel::{Fault, SendError, Taken};
use crate::message::{Message, Picture};
use crate::report::{ReportPlan, Reports};
use crate::worker::Settings;
use crate::{Channel, bundle};

/// The longest error text that is kept in the outbox.
const MAX_ERROR_CHARS: usize = 500;
/// How long a channel may begin messages before what is due on it is looked at again: much may be over by then.
const SHARE: Duration = Duration::from_secs(30);
/// After so many failures a message may be at fault, and not its channel.
const OFTEN: u32 = 3;
/// When what could not be put into words is tried again.
const RENDER_AGAIN: Duration = Duration::from_secs(5 * 60);
/// For how long it is tried before those whom it is for are told.
const RENDER_PATIENCE: Duration = Duration::from_secs(3_600);
/// Why what is simulated is withheld.
pub(crate) const SIMULATED: &str = "it rests on simulated data, which never leaves this machine";
/// Attempts beyond this do not lengthen the delay any more: the ceiling is reached long before.
const MAX_DOUBLINGS: u32 = 32;

/// Who draws pictures of incidents.
pub trait Pictures: Send + Sync {
    /// The picture of an incident; `None` where there is none, or none can be drawn now: what is told
    /// is complete without. May block.
    fn of(&self, incident: &Incident) -> Option<Picture>;
}

/// What a task that sends needs.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) settings: Arc<Settings>,
    pub(crate) pictures: Option<Arc<dyn Pictures>>,
    pub(crate) reports: Option<Arc<dyn Reports>>,
    pub(crate) people: Arc<People>,
}

/// How what deliveries are about stands with people.
#[derive(Debug, Default)]
pub(crate) struct People {
    /// Deliveries about incidents that somebody said to have seen.
    pub(crate) seen: HashSet<i64>,
    /// Who must act, by delivery, where somebody said so.
    pub(crate) owners: HashMap<i64, Owner>,
}

/// What became of the deliveries of one message.
pub(crate) type Outcome = (Vec<i64>, DeliveryOutcome);

/// Why there is no message to be sent; the channel has no part in it.
enum Unfit {
    /// There never will be one.
    Never(String),
    /// There may be one later.
    NotNow(String),
}

impl Sender {
    /// Sends messages on one channel in order, and says of each what became of it as it happens. After a failure
    /// the rest is put off without an attempt: a server that just refused one message is left alone until the
    /// delay is over.
    pub(crate) async fn all(
        &self,
        channel: &Arc<Channel>,
        messages: Vec<Vec<Delivery>>,
        now: UtcMicros,
        shutdown: &CancellationToken,
        became: &mpsc::Sender<Outcome>,
    ) {
        let begun = Instant::now();
        let mut failures = Failures::default();
        for deliveries in messages {
            let Some(first) = deliveries.first() else { continue };
            if shutdown.is_cancelled() || begun.elapsed() >= SHARE {
                break;
            }
            let (ids, is_test) =
                (deliveries.iter().map(|delivery| delivery.id).collect(), is_test(first));
            let attempts = first.attempts;
            let (outcome, fault) = match &failures.left_alone {
                // Whoever asked for a test wants to know, and can ask again.
                Some((_, error)) if is_test => {
                    (DeliveryOutcome::Withheld { reason: error.clone() }, None)
                }
                Some((at, _)) => (DeliveryOutcome::Later(*at), None),
                None => self.one(channel, deliveries, now).await,
            };
            for outcome in failures.after((ids, outcome), fault, attempts, is_test) {
                if became.send(outcome).await.is_err() {
                    return;
                }
            }
        }
        if let Some(suspect) = failures.suspect {
            // Nobody is there to be told when this fails.
            let _ = became.send(suspect).await;
        }
    }

    /// Sends one message, and says what became of it, and what was at fault when it was not taken.
    async fn one(
        &self,
        channel: &Arc<Channel>,
        deliveries: Vec<Delivery>,
        now: UtcMicros,
    ) -> (DeliveryOutcome, Option<Fault>) {
        let Some(first) = deliveries.first() else { return (DeliveryOutcome::Sent, None) };
        let left = first.left_for.clone();
        let (delivery, count) = (first.id, deliveries.len());
        let (attempt, is_test) = (first.attempts.saturating_add(1), is_test(first));
        let (at, placed) = (now.plus(retry_delay(first, &self.settings)), first.placed);
        let name = channel.name();
        let message = match self.rendered(channel, deliveries).await {
            Ok(message) => message,
            Err(Unfit::NotNow(error)) if !is_test => {
                tracing::warn!(channel = name, delivery, count, error, "not put into words");
                let at = now.plus(RENDER_AGAIN);
                let outcome = match placed.plus(RENDER_PATIENCE) <= now {
                    true => DeliveryOutcome::NotMade { at, error: cut(&error) },
                    false => DeliveryOutcome::Later(at),
                };
                return (outcome, None);
            }
            Err(Unfit::NotNow(reason) | Unfit::Never(reason)) => {
                tracing::warn!(channel = name, delivery, count, reason, "withheld");
                return (DeliveryOutcome::Withheld { reason: cut(&reason) }, None);
            }
        };
        let _turn = channel.turn().await;
        match channel.send(&message, &left, now).await {
            Ok(Taken::Whole) => {
                tracing::info!(channel = name, delivery, count, "told");
                (DeliveryOutcome::Sent, None)
            }
            Ok(Taken::Partly { error, .. } | Taken::But { error }) if is_test => {
                tracing::warn!(channel = name, delivery, error, "the test reached some only");
                let reason = cut(&format!("not everybody got it: {error}"));
                (DeliveryOutcome::Withheld { reason }, None)
            }
            Ok(Taken::Partly { left, error }) => {
                tracing::warn!(channel = name, delivery, count, attempt, error, "told to some");
                (DeliveryOutcome::Partly { at, error: cut(&error), left }, None)
            }
            Ok(Taken::But { error }) => {
                tracing::warn!(channel = name, delivery, count, attempt, error, "never to some");
                (DeliveryOutcome::SentBut { error: cut(&error) }, None)
            }
            Err(error) => {
                tracing::warn!(channel = name, delivery, count, attempt, %error, "not taken");
                (not_taken(&error, at), Some(error.fault))
            }
        }
    }

    /// In a task of its own: what cannot be put into words holds up nothing else.
    async fn rendered(
        &self,
        channel: &Arc<Channel>,
        deliveries: Vec<Delivery>,
    ) -> Result<Message, Unfit> {
        let (sender, channel) = (self.clone(), Arc::clone(channel));
        let mut task = JoinSet::new();
        task.spawn(async move { sender.message(&channel, &deliveries).await });
        match task.join_next().await {
            Some(Ok(message)) => message,
            _ => Err(Unfit::NotNow("putting it into words was cut short".to_owned())),
        }
    }

    async fn message(&self, channel: &Channel, deliveries: &[Delivery]) -> Result<Message, Unfit> {
        let base_url = &self.settings.base_url;
        let news: Vec<(&Delivery, &IncidentNews, bool)> = deliveries
            .iter()
            .filter_map(|delivery| match &delivery.about {
                About::Incident(news) => {
                    Some((delivery, news.as_ref(), self.people.seen.contains(&delivery.id)))
                }
                _ => None,
            })
            .collect();
        if bundle::is_several(deliveries, channel.is_for_people())
            && let Some(message) = Message::of_several(&news, base_url)
        {
            return Ok(message);
        }
        let nothing = || Unfit::Never("there is nothing to send".to_owned());
        let delivery = deliveries.first().ok_or_else(nothing)?;
        Ok(match &delivery.about {
            About::Incident(news) => {
                let picture = self.picture(channel, &news.incident).await;
                let owner = self.people.owners.get(&delivery.id);
                Message::of(delivery, news, owner, base_url, picture)
            }
            About::Test => Message::test(delivery, base_url),
            About::ChannelFailed { channel, error } => {
                Message::of_channel(delivery, channel, Some(error), base_url)
            }
            About::ChannelWorks { channel } => {
                Message::of_channel(delivery, channel, None, base_url)
            }
            About::MessageRefused { channel, error, what } => {
                Message::of_refused(delivery, (channel, error, what), base_url)
            }
            About::NotMade { error, what } => {
                Message::of_not_made(delivery, (error, what), base_url)
            }
            About::Report { name } => self.report(channel, delivery, name).await?,
        })
    }

    /// Drawn off the runtime's threads, and only for who shows it.
    async fn picture(&self, channel: &Channel, incident: &Incident) -> Option<Picture> {
        let pictures = Arc::clone(self.pictures.as_ref().filter(|_| channel.shows_pictures())?);
        let incident = incident.clone();
        tokio::task::spawn_blocking(move || pictures.of(&incident)).await.ok().flatten()
    }

    async fn report(
        &self,
        channel: &Channel,
        delivery: &Delivery,
        name: &str,
    ) -> Result<Message, Unfit> {
        let never = |why: &str| Unfit::Never(why.to_owned());
        let plans: &[ReportPlan] = &self.settings.reports;
        let asked = plans.iter().find_map(|plan| plan.of(name));
        let (kind, today) = asked.ok_or_else(|| never("the report is no longer configured"))?;
        let reports = self.reports.as_ref().ok_or_else(|| never("nobody renders reports"))?;
        let reports = Arc::clone(reports);
        let rendered = tokio::task::spawn_blocking(move || reports.render(kind, today)).await;
        let cut_short = |_| Unfit::NotNow("rendering the report was cut short".to_owned());
        let report = rendered.map_err(cut_short)?.map_err(Unfit::NotNow)?;
        if report.simulated && !channel.is_local() {
            return Err(never(SIMULATED));
        }
        Ok(Message::of_report(delivery, name, report, &self.settings.base_url))
    }
}

/// How the attempts of one turn of a channel went so far.
#[derive(Debug, Default)]
struct Failures {
    count: u32,
    /// The channel is not asked again before that, as it said this.
    left_alone: Option<(UtcMicros, String)>,
    /// What was not taken, by its own fault or the channel's: whether the next is taken tells.
    suspect: Option<Outcome>,
}

impl Failures {
    /// What is known of messages now that this became of the next one, after so many earlier attempts.
    fn after(
        &mut self,
        (ids, outcome): Outcome,
        fault: Option<Fault>,
        attempts: u32,
        is_test: bool,
    ) -> Vec<Outcome> {
        let mut known = Vec::new();
        let DeliveryOutcome::Retry { at, error, .. } = &outcome else {
            let taken = matches!(
                outcome,
                DeliveryOutcome::Sent
                    | DeliveryOutcome::SentBut { .. }
                    | DeliveryOutcome::Partly { .. }
            );
            let suspect = if taken { self.suspect.take() } else { None };
            known.push((ids, outcome));
            // After it, so that the channel shows why.
            if let Some((ids, DeliveryOutcome::Retry { error, .. })) = suspect {
                known.push((ids, DeliveryOutcome::Refused { error }));
            }
            return known;
        };
        self.count += 1;
        let unclear = fault == Some(Fault::Either) && self.count == 1 && !is_test;
        // What failed often may do so by itself: one other message finds that out.
        if !unclear && (self.count > 1 || attempts < OFTEN) {
            self.left_alone = Some((*at, error.clone()));
        }
        if unclear {
            self.suspect = Some((ids, outcome));
            return known;
        }
        known.extend(self.suspect.take());
        let outcome = match outcome {
            DeliveryOutcome::Retry { error, .. } if is_test => {
                DeliveryOutcome::Withheld { reason: error }
            }
            outcome => outcome,
        };
        known.push((ids, outcome));
        known
    }
}

/// What becomes of a message that was not taken.
fn not_taken(error: &SendError, at: UtcMicros) -> DeliveryOutcome {
    let text = cut(&error.to_string());
    match error.fault {
        Fault::Message => DeliveryOutcome::Refused { error: text },
        Fault::Recipients => DeliveryOutcome::StillLeft { at, error: text },
        Fault::Nobody => DeliveryOutcome::Withheld { reason: text },
        Fault::Passing => DeliveryOutcome::Retry { at, error: text, for_good: false },
        Fault::Channel | Fault::Either => {
            DeliveryOutcome::Retry { at, error: text, for_good: true }
        }
    }
}

fn is_test(delivery: &Delivery) -> bool {
    delivery.about == About::Test
}

fn cut(error: &str) -> String {
    error.chars().take(MAX_ERROR_CHARS).collect()
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
