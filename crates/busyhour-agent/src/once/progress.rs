//! What a person sees while a window is measured.

use std::io::IsTerminal as _;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::config::Target;

/// What was sent and answered so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) sent: u64,
    pub(super) answered: u64,
}

impl Seen {
    /// True when nothing more is to come.
    pub(super) const fn is_complete(self) -> bool {
        self.sent > 0 && self.answered >= self.sent
    }
}

/// A line on standard error that changes, if that is a terminal; otherwise nothing.
#[derive(Debug)]
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    pub(super) fn on_terminal(target: &Target) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let millis = u64::try_from(target.window().as_millis()).unwrap_or(u64::MAX);
        // Indicatif draws on standard error.
        let bar = ProgressBar::new(millis);
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(target.name.to_string());
        Self(Some(bar))
    }

    /// Shows how far it is from the window's `end`.
    pub(super) fn show(&self, end: Instant, seen: Seen) {
        let Some(bar) = &self.0 else { return };
        let left = end.saturating_duration_since(Instant::now());
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        bar.set_position(bar.length().unwrap_or(0).saturating_sub(left_ms));
        let Seen { sent, answered } = seen;
        let seconds = left_ms.div_ceil(1_000);
        bar.set_message(format!("{answered} of {sent} came back, {seconds} s left"));
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
