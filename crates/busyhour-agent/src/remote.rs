//! What the collector wants measured: checked against this machine's own rules, tried, and kept or given
//! up. `docs/FLEET.md` says why it is as it is.
//!
//! A configuration is data. It names targets, profiles and times; it can widen nothing that the machine's
//! own file says: not what may be probed, not how much may be sent.

mod check;
mod folder;
mod health;
mod lease;
mod phases;
mod runner;
mod sessions;

use busyhour_model::BootMicros;
use busyhour_proto::v1;
use tokio::sync::watch;

pub(crate) use lease::Lease;
pub(crate) use runner::Remote;
pub(crate) use sessions::Starter;

/// A configuration, and the term of the lease in which it was heard.
type Told = Option<(u64, v1::Configuration)>;

/// The uplink's end: what it heard, and what it is to say.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// What the collector told last.
    told: watch::Sender<Told>,
    lease: watch::Sender<Lease>,
    /// What there is to report; `None` as long as there is nothing.
    pub(crate) report: watch::Receiver<Option<v1::ConfigurationReport>>,
}

/// The other end.
#[derive(Debug)]
pub(crate) struct Ends {
    told: watch::Receiver<Told>,
    lease: watch::Receiver<Lease>,
    report: watch::Sender<Option<v1::ConfigurationReport>>,
}

/// A line between the uplink and who does what it hears.
pub(crate) fn line() -> (Line, Ends) {
    let (tell, told) = watch::channel(None);
    let (renew, lease) = watch::channel(Lease::default());
    let (publish, report) = watch::channel(None);
    (Line { told: tell, lease: renew, report }, Ends { told, lease, report: publish })
}

impl Line {
    /// The collector asks for this.
    pub(crate) fn tell(&self, told: v1::Configuration) {
        self.told.send_replace(Some((self.term(), told)));
    }

    /// The collector answered what was sent then.
    pub(crate) fn renew(&self, sent: BootMicros, now: BootMicros) {
        self.lease.send_modify(|lease| lease.renew(sent, now));
    }

    /// The collector refused this agent.
    pub(crate) fn refused(&self) {
        self.lease.send_modify(Lease::end);
    }

    /// Which term it is: in each the collector has to tell anew what is to run.
    pub(crate) fn term(&self) -> u64 {
        self.lease.borrow().term()
    }

    /// False when the collector has not answered for so long that it is somebody else's turn.
    pub(crate) fn is_heard(&self, now: BootMicros) -> bool {
        self.lease.borrow().runs(now)
    }
}
