//! The machine owner's switch: while `pause.json` lies in the data directory nothing is measured.
//!
//! Whoever may write there owns the switch: `busyhour-agent pause` and `resume` write and remove the
//! file, the agent only looks at it, so that it is honoured after a restart and nothing here can undo
//! it. A file that cannot be understood is somebody's wish all the same. The collector is told by gap
//! records; answering others' probes and delivering what was observed before go on.
//!
//! A machine that runs on its battery, or reaches the world over a metered link, is left alone in the
//! same way, unless its configuration says otherwise.

mod command;
mod file;
mod keeper;
mod machine;

use busyhour_model::{GapReason, UtcMicros};
use tokio::sync::watch;

pub(crate) use command::{pause, resume};
pub(crate) use file::read;
pub(crate) use keeper::Keeper;
pub(crate) use machine::wants as machine_wants;

/// Who or what wants nothing measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The machine's owner, by the file.
    Owner,
    /// The machine runs on its battery.
    Battery,
    /// The machine's way out is paid for by use.
    Metered,
}

impl Why {
    /// What the collector is told.
    pub(crate) const fn reason(self) -> GapReason {
        match self {
            Self::Owner => GapReason::Paused,
            Self::Battery => GapReason::OnBattery,
            Self::Metered => GapReason::Metered,
        }
    }
}

/// For how long nothing is to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) why: Why,
    /// Since when, as far as the file tells.
    pub(crate) since: Option<UtcMicros>,
    /// Until when; `None` until it is resumed.
    pub(crate) until: Option<UtcMicros>,
}

impl Pause {
    /// Of the machine's, which lasts until it is otherwise.
    pub(crate) const fn of_machine(why: Why, since: UtcMicros) -> Self {
        Self { why, since: Some(since), until: None }
    }

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

    /// Waits until there is no pause for this reason: none at all, or for another one. Safe to drop.
    pub(crate) async fn no_more(&mut self, why: Why) {
        self.wait_for(|pause| pause.is_none_or(|pause| pause.why != why)).await;
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
