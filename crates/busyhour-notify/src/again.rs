//! Says again what is open to a channel that forgets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use busyhour_model::UtcMicros;
use busyhour_model::desk::Overlay;
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
    /// It is known to take what is said again. What other messages say of the channel is left alone then.
    pub(crate) taken: AtomicBool,
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
        let standing = move |stores: &Stores| {
            let standing = stores.outbox.standing_deliveries(&name, MAX_STANDING)?;
            let overlay = match standing.is_empty() {
                true => Overlay::default(),
                false => stores.desk.overlay(now)?,
            };
            Ok((standing, overlay))
        };
        let (standing, overlay) = ask(&self.stores, &self.counters, standing).await?;
        let messages: Vec<Message> =
            standing.iter().filter_map(|delivery| self.message(delivery, &overlay, now)).collect();
        if messages.is_empty() {
            return Ok(());
        }
        let said = self.channel.say_again(&messages, now).await.map_err(|error| error.to_string());
        if let Err(error) = &said {
            let channel = self.channel.name();
            tracing::warn!(channel, error, "open alerts could not be said again");
            self.counters.failed.fetch_add(1, Ordering::Relaxed);
        }
        let was_taken = self.taken.swap(said.is_ok(), Ordering::Relaxed);
        if said.is_ok() && was_taken {
            return Ok(());
        }
        let name = self.channel.name().to_owned();
        let went = move |stores: &Stores| {
            let said = said.as_ref().copied().map_err(String::as_str);
            stores.outbox.channel_went(&name, said, now)
        };
        ask(&self.stores, &self.counters, went).await
    }

    /// None of what has become simulated since it was told: that leaves this machine no more.
    fn message(&self, delivery: &Delivery, overlay: &Overlay, now: UtcMicros) -> Option<Message> {
        let About::Incident(news) = &delivery.about else { return None };
        let may_go = !news.incident.simulated || self.channel.is_local();
        let owner = overlay.standing(&news.incident, now).owner;
        may_go.then(|| Message::of(delivery, news, owner.as_ref(), &self.settings.base_url, None))
    }
}
