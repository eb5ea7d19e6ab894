//! Sends what is due on one channel, and says what became of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use busyhour_daemon::Backoff;
use busyhour_model::{Incident, UtcMicros};
use busyhour_store::{About, Delivery, DeliveryOutcome, IncidentNews};
use tokio_util::sync::CancellationToken;

use crate::channel::SendError;
use crate::message::{Message, Picture};
use crate::report::{ReportPlan, Reports};
use crate::worker::Settings;
use crate::{Channel, bundle};

/// The longest error text that is kept in the outbox.
const MAX_ERROR_CHARS: usize = 500;
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
    /// Deliveries about incidents that somebody said to have seen.
    pub(crate) seen: Arc<HashSet<i64>>,
}

/// What became of the deliveries of one message.
pub(crate) type Outcome = (Vec<i64>, DeliveryOutcome);

impl Sender {
    /// Sends messages on one channel in order. After a failure the rest is put off with it: a server that
    /// just refused one message is left alone until the delay is over.
    pub(crate) async fn all(
        &self,
        channel: &Channel,
        messages: Vec<Vec<Delivery>>,
        now: UtcMicros,
        shutdown: &CancellationToken,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(messages.len());
        let mut failure: Option<(String, bool)> = None;
        for deliveries in messages {
            let Some(first) = deliveries.first() else { continue };
            if shutdown.is_cancelled() {
                break;
            }
            if failure.is_none() {
                failure = self.one(channel, &deliveries, now).await;
            }
            let outcome = match &failure {
                None => DeliveryOutcome::Sent,
                // Whoever asked for a test wants to know, and can ask again.
                Some((error, _)) if first.about == About::Test => {
                    DeliveryOutcome::Withheld { reason: error.clone() }
                }
                Some((error, for_good)) => {
                    let at = now.plus(retry_delay(first, &self.settings));
                    DeliveryOutcome::Retry { at, error: error.clone(), for_good: *for_good }
                }
            };
            outcomes.push((deliveries.iter().map(|delivery| delivery.id).collect(), outcome));
        }
        outcomes
    }

    /// Sends one message; what went wrong if it was not taken, and whether that is for good.
    async fn one(
        &self,
        channel: &Channel,
        deliveries: &[Delivery],
        now: UtcMicros,
    ) -> Option<(String, bool)> {
        let first = deliveries.first()?;
        let sent = match self.message(channel, deliveries).await {
            Ok(message) => channel.send(&message, now).await,
            Err(error) => Err(SendError::passing(error)),
        };
        let (channel, count) = (channel.name(), deliveries.len());
        let Err(error) = sent else {
            tracing::info!(channel, delivery = first.id, count, "told");
            return None;
        };
        let attempt = first.attempts.saturating_add(1);
        tracing::warn!(channel, delivery = first.id, count, attempt, %error, "not taken");
        Some((error.to_string().chars().take(MAX_ERROR_CHARS).collect(), error.for_good))
    }

    async fn message(&self, channel: &Channel, deliveries: &[Delivery]) -> Result<Message, String> {
        let base_url = &self.settings.base_url;
        let news: Vec<(&Delivery, &IncidentNews, bool)> = deliveries
            .iter()
            .filter_map(|delivery| match &delivery.about {
                About::Incident(news) => {
                    Some((delivery, news.as_ref(), self.seen.contains(&delivery.id)))
                }
                _ => None,
            })
            .collect();
        if bundle::is_several(deliveries)
            && let Some(message) = Message::of_several(&news, base_url)
        {
            return Ok(message);
        }
        let delivery = deliveries.first().ok_or("there is nothing to send")?;
        Ok(match &delivery.about {
            About::Incident(news) => {
                let picture = self.picture(channel, &news.incident).await;
                Message::of(delivery, news, base_url, picture)
            }
            About::Test => Message::test(delivery, base_url),
            About::ChannelFailed { channel, error } => {
                Message::of_channel(delivery, channel, Some(error), base_url)
            }
            About::ChannelWorks { channel } => {
                Message::of_channel(delivery, channel, None, base_url)
            }
            About::Report { name } => self.report(delivery, name).await?,
        })
    }

    /// Drawn off the runtime's threads, and only for who shows it.
    async fn picture(&self, channel: &Channel, incident: &Incident) -> Option<Picture> {
        let pictures = Arc::clone(self.pictures.as_ref().filter(|_| channel.shows_pictures())?);
        let incident = incident.clone();
        tokio::task::spawn_blocking(move || pictures.of(&incident)).await.ok().flatten()
    }

    async fn report(&self, delivery: &Delivery, name: &str) -> Result<Message, String> {
        let plans: &[ReportPlan] = &self.settings.reports;
        let asked = plans.iter().find_map(|plan| plan.of(name));
        let (kind, today) = asked.ok_or("the report is no longer configured")?;
        let reports = Arc::clone(self.reports.as_ref().ok_or("nobody renders reports")?);
        let rendered = tokio::task::spawn_blocking(move || reports.render(kind, today)).await;
        let report = rendered.map_err(|_| "rendering the report was cut short".to_owned())??;
        Ok(Message::of_report(delivery, name, report, &self.settings.base_url))
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
