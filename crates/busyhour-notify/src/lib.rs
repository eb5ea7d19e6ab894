//! Tells people and machines of incidents: takes what is due from the store's outbox, sends it on
//! each configured channel (e-mail, Microsoft Teams, Alertmanager, PagerDuty, signed JSON by webhook,
//! files in a folder), and notes what became of
//! it.
//!
//! It refuses to decide what is worth telling (the judge writes the outbox) and to show secrets: no
//! password and no webhook address appears in a log, an error, the outbox or a debug print.
//!
//! Invariants: what a channel is known to have taken is never sent to it again; what it did not
//! take is tried again until it is older than [`Settings::give_up_after`], across restarts, and
//! then withheld with the reason, never dropped; what it can never take is withheld at once, and told on other channels; no
//! channel waits for another; what rests on simulated agents, incidents and reports alike, is
//! only written to files: no server gets it, not even one on this machine, because it may pass it on. What became
//! of a message is noted as it happens, however long other channels take. Between taking and noting there is a gap
//! that nobody can close: a crash inside it sends again, with the same `Message-ID` or `Idempotency-Key`.

mod again;
mod bundle;
mod channel;
mod config;
mod hours;
mod message;
mod plan;
mod report;
mod route;
mod sender;
mod worker;

pub use channel::{Channel, ChannelError};
pub use config::{
    AlertmanagerConfig, ChannelConfig, EmailConfig, FileConfig, PagerDutyConfig, Security,
    TeamsConfig, WebhookConfig,
};
pub use message::{BaseUrl, InvalidBaseUrl, Picture};
pub use report::{InvalidReport, ReportConfig, ReportKind, ReportMail, ReportPlan, Reports};
pub use route::{InvalidRoute, Route, RouteConfig};
pub use sender::Pictures;
pub use worker::{Counters, CountersSnapshot, Notifier, Round, Settings, Stores};
