//! Says again what is open to a channel that forgets it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use busyhour_model::UtcMicros;
use busyhour_store::{About, Delivery, StoreError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::Channel;
use crate::channel::SAY_AGAIN;
use crate::message::Message;
use crate::worker::{Counters, Settings, Stores, ask, utc_now};

/// Open incidents that are said again; of more the oldest.
const MAX_STANDING: usize = 1_000;

/// One channel that forgets. It has a tick of its own: what is open there stays open however long others take.
pub(crate) struct Again {
    pub(crate) stores: Stores,
    pub(crate) channel: Arc<Channel>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) counters: Arc<Counters>,
}

impl Again {
    /// Says it once a minute until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(SAY_AGAIN);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Both branches are cancel-safe: a tick stays due, a cancelled token cancelled.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.once(utc_now()).await {
                let error = busyhour_daemon::chain(&error).to_string();
                tracing::warn!(error, "what is open could not be read");
            }
        }
    }

    /// Says it once; what is not taken is said the next time.
    pub(crate) async fn once(&self, now: UtcMicros) -> Result<(), StoreError> {
        // Nothing else is sent there between reading what is open and saying it: an end would be undone.
        let _turn = self.channel.turn().await;
        let name = self.channel.name().to_owned();
        let standing =
            move |stores: &Stores| stores.outbox.standing_deliveries(&name, MAX_STANDING);
        let standing = ask(&self.stores, &self.counters, standing).await?;
        let messages: Vec<Message> =
            standing.iter().filter_map(|delivery| self.message(delivery)).collect();
        if messages.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.channel.say_again(&messages, now).await {
            let channel = self.channel.name();
            tracing::warn!(channel, %error, "open alerts could not be said again");
            self.counters.failed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// None of what has become simulated since it was told: that leaves this machine no more.
    fn message(&self, delivery: &Delivery) -> Option<Message> {
        let About::Incident(news) = &delivery.about else { return None };
        let may_go = !news.incident.simulated || self.channel.is_local();
        may_go.then(|| Message::of(delivery, news, &self.settings.base_url, None))
    }
}
