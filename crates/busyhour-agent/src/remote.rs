//! What the collector wants measured: checked against this machine's own rules, tried, and kept or given
//! up. `docs/FLEET.md` says why it is as it is.
//!
//! A configuration is data. It names targets, profiles and times; it can widen nothing that the machine's
//! own file says: not what may be probed, not how much may be sent.

mod check;
mod folder;
mod health;
mod phases;
mod runner;
mod sessions;

use busyhour_proto::v1;
use tokio::sync::watch;

pub(crate) use runner::Remote;
pub(crate) use sessions::Starter;

/// The uplink's end: what it heard, and what it is to say.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// What the collector told last.
    pub(crate) told: watch::Sender<Option<v1::Configuration>>,
    /// What there is to report; `None` as long as there is nothing.
    pub(crate) report: watch::Receiver<Option<v1::ConfigurationReport>>,
}

/// The other end.
#[derive(Debug)]
pub(crate) struct Ends {
    told: watch::Receiver<Option<v1::Configuration>>,
    report: watch::Sender<Option<v1::ConfigurationReport>>,
}

/// A line between the uplink and who does what it hears.
pub(crate) fn line() -> (Line, Ends) {
    let (tell, told) = watch::channel(None);
    let (publish, report) = watch::channel(None);
    (Line { told: tell, report }, Ends { told, report: publish })
}
