//! The machine owner's switch: while `pause.json` lies in the data directory nothing is measured.
//!
//! Whoever may write there owns the switch: `busyhour-agent pause` and `resume` write and remove the
//! file, the agent only looks at it, so that it is honoured after a restart and nothing here can undo
//! it. A file that cannot be understood is somebody's wish all the same. The collector is told by gap
//! records; answering others' probes and delivering what was observed before go on.

mod command;
mod file;
mod keeper;

use busyhour_model::UtcMicros;
use tokio::sync::watch;

pub(crate) use command::{pause, resume};
pub(crate) use file::read;
pub(crate) use keeper::Keeper;

/// What the owner wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pause {
    /// Since when, as far as the file tells.
    pub(crate) since: Option<UtcMicros>,
    /// Until when; `None` until it is resumed.
    pub(crate) until: Option<UtcMicros>,
}

impl Pause {
    /// True when its time is over.
    pub(crate) fn is_over(&self, now: UtcMicros) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// Tells whether measuring is paused; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Switch(watch::Receiver<Option<Pause>>);

impl Switch {
    pub(crate) const fn new(pause: watch::Receiver<Option<Pause>>) -> Self {
        Self(pause)
    }

    /// A switch that nobody turns.
    #[cfg(test)]
    pub(crate) fn on() -> Self {
        Self(watch::channel(None).1)
    }

    /// The pause, while there is one.
    pub(crate) fn pause(&self) -> Option<Pause> {
        *self.0.borrow()
    }

    /// True when there is a pause now, or was one since this was asked last.
    pub(crate) fn was_paused(&mut self) -> bool {
        let changed = self.0.has_changed().unwrap_or(false);
        self.0.borrow_and_update().is_some() || changed
    }

    /// Waits until the switch is turned, either way. Safe to drop.
    pub(crate) async fn turned(&mut self) {
        if self.0.changed().await.is_err() {
            // Whoever turns it ends with the agent.
            std::future::pending::<()>().await;
        }
    }

    /// Waits for a pause. Safe to drop.
    pub(crate) async fn paused(&mut self) {
        self.wait_for(Option::is_some).await;
    }

    /// Waits until there is no pause, most often not at all. Safe to drop.
    pub(crate) async fn resumed(&mut self) {
        self.wait_for(Option::is_none).await;
    }

    async fn wait_for(&mut self, holds: impl FnMut(&Option<Pause>) -> bool) {
        if self.0.wait_for(holds).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
