//! The file's content.

use std::time::Duration;

use busyhour_host::own_usage;
use busyhour_model::{ClockQuality, GapReason, UtcMicros};
use busyhour_net::TimingReport;
use busyhour_proto::v1;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::About;
use crate::clock::Moment;
use crate::config::Accepts;
use crate::pause::Pause;
use crate::prober;
use crate::reflector::ReflectorView;
use crate::session::{LastWindow, SessionState, SessionView};
use crate::spool::SpoolView;
use crate::uplink::View;

/// From when on it is said what is sent in a day: blocks are some minutes apart.
const LONG_ENOUGH: Duration = Duration::from_secs(3600);

/// What the agent did when the file was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Running,
    Stopped,
}

/// Everything that the agent says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) version: String,
    pub(super) pid: u32,
    pub(super) state: State,
    pub(super) written_utc: String,
    pub(super) started_utc: String,
    pub(super) running_s: u64,
    pub(super) agent_id: Option<String>,
    pub(super) collector: Option<String>,
    /// Nothing is measured, because the machine's owner wants it so.
    pub(super) paused: Option<Paused>,
    /// How the agent stands with the collector.
    pub(super) uplink: Option<Uplink>,
    /// What the collector asks for beside the machine's own file.
    #[serde(default)]
    pub(super) asked: Option<Asked>,
    pub(super) spool: Option<Spool>,
    pub(super) link_capacity_bits_per_second: Option<u64>,
    /// What all probes are in a day by their schedules, in each direction.
    pub(super) probe_bytes_per_day: u64,
    pub(super) usage: Option<Usage>,
    pub(super) clock: Clock,
    pub(super) timing: Option<Timing>,
    pub(super) sessions: Vec<Session>,
    pub(super) sockets: Vec<Socket>,
    pub(super) reflectors: Vec<Reflector>,
}

/// A pause.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Paused {
    /// `paused` by the owner, `on-battery` or `metered`.
    #[serde(default = "by_the_owner")]
    pub(super) reason: String,
    pub(super) since_utc: Option<String>,
    /// When it ends by itself.
    pub(super) until_utc: Option<String>,
}

/// What agents that tell no reason rest for.
fn by_the_owner() -> String {
    GapReason::Paused.to_string()
}

impl From<Pause> for Paused {
    fn from(pause: Pause) -> Self {
        Self {
            reason: pause.why.reason().to_string(),
            since_utc: pause.since.map(utc),
            until_utc: pause.until.map(utc),
        }
    }
}

/// What the collector asks to be measured, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// Whether the machine's own file takes targets from it.
    pub(super) accepted: bool,
    /// The revision that runs; null when none does.
    pub(super) revision: Option<u32>,
    /// `committed`, `trial`, `refused`, `rolled-back` or `nothing`: what became of the last that was asked for.
    pub(super) state: String,
    /// The revision of that.
    pub(super) told_revision: Option<u32>,
    /// Why it does not run, where it does not.
    pub(super) reason: Option<String>,
    /// Expedited targets that wait until the collector was heard and told whose turn it is.
    #[serde(default)]
    pub(super) withheld_targets: usize,
}

impl Asked {
    pub(super) fn new(accepts: Accepts, report: &v1::ConfigurationReport, withheld: usize) -> Self {
        use v1::ConfigurationState as Said;
        let state = match report.state() {
            Said::Committed => "committed",
            Said::Trial => "trial",
            Said::Refused => "refused",
            Said::RolledBack => "rolled-back",
            Said::Nothing | Said::Unspecified => "nothing",
        };
        let some = |revision: u32| (revision > 0).then_some(revision);
        Self {
            accepted: accepts != Accepts::Nothing,
            revision: some(report.revision),
            state: state.to_owned(),
            told_revision: some(report.told_revision),
            reason: Some(report.reason.clone()).filter(|reason| !reason.is_empty()),
            withheld_targets: withheld,
        }
    }
}

/// How the agent stands with its collector, and what it has to show for itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Uplink {
    /// `delivering`; `connecting`, `away` and `unreachable`; `waiting`, `revoked`, `quarantined`,
    /// `expired` and `refused`; `stranger` when somebody else answers at the collector's address.
    pub(super) state: String,
    /// Why, in the collector's words or this agent's.
    pub(super) said: Option<String>,
    /// Where the collector has this agent, and until when; of an agent with a certificate.
    pub(super) building: Option<String>,
    pub(super) subnet: Option<String>,
    pub(super) certificate_expires_utc: Option<String>,
    pub(super) certificate_renewed_from_utc: Option<String>,
}

/// What is kept until the collector has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Spool {
    /// `disk`, or `memory` while the disk takes nothing.
    pub(super) kept_in: String,
    /// Since when the disk takes nothing, and why.
    pub(super) failing_since_utc: Option<String>,
    pub(super) failing_for: Option<String>,
    /// Sealed blocks on the disk, and their caps.
    pub(super) blocks: usize,
    pub(super) size_bytes: u64,
    pub(super) max_bytes: u64,
    pub(super) max_age_s: u64,
    /// Records that wait in memory.
    pub(super) waiting_records: usize,
    /// Records that were lost since the agent began; gaps tell of them.
    pub(super) given_up_records: u64,
    /// Bytes of blocks that were sent to the collector since the agent began, and what that is in a
    /// day once there is enough to tell.
    pub(super) sent_bytes: u64,
    pub(super) sent_bytes_per_day: Option<u64>,
}

impl Spool {
    /// Says what is sent in a day, of an agent that runs for so long.
    pub(super) fn over(mut self, running: Duration) -> Self {
        let enough = running >= LONG_ENOUGH;
        let per_day = self.sent_bytes as f64 / running.as_secs_f64() * 86_400.0;
        self.sent_bytes_per_day = enough.then_some(per_day as u64);
        self
    }
}

impl From<&SpoolView> for Spool {
    fn from(view: &SpoolView) -> Self {
        let failing = view.failing.as_ref();
        Self {
            kept_in: if failing.is_some() { "memory" } else { "disk" }.to_owned(),
            failing_since_utc: failing.map(|failing| utc(failing.since)),
            failing_for: failing.map(|failing| failing.why.clone()),
            blocks: view.blocks,
            size_bytes: view.size_bytes,
            max_bytes: view.max_bytes,
            max_age_s: view.max_age.as_secs(),
            waiting_records: view.waiting,
            given_up_records: view.given_up,
            sent_bytes: view.sent_bytes,
            sent_bytes_per_day: None,
        }
    }
}

/// What the process uses of the machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Usage {
    /// Processor time since it began, in microseconds.
    pub(super) cpu_us: u64,
    /// The share of one processor that this was.
    pub(super) cpu_ratio: f64,
    pub(super) resident_bytes: u64,
}

/// How well the wall clock is kept; an error of 0 is one that nobody knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Clock {
    pub(super) synchronized: bool,
    pub(super) error_us: u32,
}

/// How well this machine times packets, as tried out on its loopback: the error that readings of the
/// process have, and that the kernel's stamps spare where there are any.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Timing {
    pub(super) sent_by: String,
    pub(super) received_by: String,
    pub(super) receive_lag_ns_p50: Option<u64>,
    pub(super) receive_lag_ns_p99: Option<u64>,
    pub(super) send_lag_ns_p50: Option<u64>,
    pub(super) send_lag_ns_p99: Option<u64>,
    pub(super) timer_lag_ns_p50: Option<u64>,
    pub(super) timer_lag_ns_p99: Option<u64>,
}

/// One session: what is sent where, how often and how much.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) target: String,
    /// The revision of the collector's that asks for it; null where the machine's own file does.
    #[serde(default)]
    pub(super) asked_by_revision: Option<u32>,
    pub(super) class: String,
    pub(super) profile: String,
    pub(super) rate_pps: u32,
    pub(super) packet_bytes: u16,
    pub(super) dscp: u8,
    pub(super) window_us: u64,
    pub(super) period_us: u64,
    /// In each direction, over its schedule.
    pub(super) mean_bits_per_second: u64,
    pub(super) peer: String,
    pub(super) security: String,
    /// `probing`, `waiting` or `outage`.
    pub(super) state: String,
    /// What windows are missing for, while it waits.
    pub(super) waiting_for: Option<String>,
    pub(super) resolved: Option<String>,
    pub(super) link: Option<String>,
    pub(super) interface: Option<String>,
    pub(super) local: Option<String>,
    /// The port is one of the class's.
    pub(super) source_port_preferred: Option<bool>,
    pub(super) ssid: Option<u16>,
    pub(super) sent_by: Option<String>,
    pub(super) received_by: Option<String>,
    /// Windows since the agent began.
    pub(super) windows: u64,
    pub(super) last_window: Option<Window>,
}

/// The last window of a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Window {
    pub(super) started_utc: String,
    pub(super) sent: u32,
    pub(super) received: u32,
    pub(super) lost_up: u32,
    pub(super) lost_down: u32,
    pub(super) lost_unknown: u32,
    pub(super) rtt_us_median: Option<u32>,
    pub(super) send_lateness_max_us: u32,
    pub(super) receive_queue_drops: u32,
}

/// A socket that sessions share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Socket {
    pub(super) local: String,
    pub(super) class: String,
    pub(super) source_port_preferred: bool,
    pub(super) sessions: usize,
    pub(super) sent_by: String,
    pub(super) received_by: String,
    pub(super) sent: u64,
    pub(super) queue_full: u64,
    pub(super) unreachable: u64,
    pub(super) received: u64,
    pub(super) stray: u64,
    pub(super) queue_drops: u64,
    pub(super) stray_stamps: u64,
}

/// A reflector.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Reflector {
    pub(super) listen: String,
    pub(super) sent_by: String,
    pub(super) received_by: String,
    pub(super) sessions: usize,
    pub(super) answered: u64,
    pub(super) stateless: u64,
    pub(super) short: u64,
    pub(super) tlvs_refused: u64,
    pub(super) unsent: u64,
    pub(super) dropped_short: u64,
    pub(super) dropped_oversized: u64,
    pub(super) dropped_portless: u64,
    pub(super) dropped_answers: u64,
    pub(super) dropped_not_allowed: u64,
    pub(super) dropped_not_provisioned: u64,
    pub(super) dropped_unauthentic: u64,
    pub(super) dropped_replays: u64,
    pub(super) dropped_rate: u64,
    pub(super) dropped_own: u64,
    pub(super) queue_drops: u64,
    pub(super) sessions_begun: u64,
    pub(super) sessions_evicted: u64,
    pub(super) sessions_displaced: u64,
    pub(super) reports: u64,
    pub(super) reports_dropped: u64,
}

impl Status {
    /// With nothing of sessions, sockets and reflectors yet.
    pub(super) fn new(state: State, about: &About, now: &Moment, quality: ClockQuality) -> Self {
        let running = now.monotonic.saturating_duration_since(about.started.monotonic);
        let ClockQuality { synchronized, error_us } = quality;
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            state,
            written_utc: utc(now.wall),
            started_utc: utc(about.started.wall),
            running_s: running.as_secs(),
            agent_id: about.agent.clone(),
            collector: about.collector.clone(),
            paused: None,
            uplink: None,
            asked: None,
            spool: None,
            link_capacity_bits_per_second: about.link_capacity,
            probe_bytes_per_day: 0,
            usage: usage(running),
            clock: Clock { synchronized, error_us },
            timing: None,
            sessions: Vec::new(),
            sockets: Vec::new(),
            reflectors: Vec::new(),
        }
    }
}

/// What the process uses; `None` where the system does not tell.
fn usage(running: Duration) -> Option<Usage> {
    let usage = own_usage().ok()?;
    Some(Usage {
        cpu_us: micros(usage.cpu),
        cpu_ratio: usage.cpu.as_secs_f64() / running.as_secs_f64().max(1.0),
        resident_bytes: usage.resident_bytes,
    })
}

fn utc(moment: UtcMicros) -> String {
    Timestamp::from_microsecond(moment.0).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl From<&View> for Uplink {
    fn from(view: &View) -> Self {
        let certificate = view.certificate.as_ref();
        let named = |name: &String| (!name.is_empty()).then(|| name.clone());
        Self {
            state: view.standing.as_str().to_owned(),
            said: view.said.clone(),
            building: certificate.and_then(|certificate| named(&certificate.building)),
            subnet: certificate.and_then(|certificate| named(&certificate.subnet)),
            certificate_expires_utc: certificate.map(|certificate| utc(certificate.expires)),
            certificate_renewed_from_utc: certificate
                .map(|certificate| utc(certificate.renewed_from)),
        }
    }
}

impl From<&TimingReport> for Timing {
    fn from(report: &TimingReport) -> Self {
        let nanos = |lag: Option<Duration>| {
            lag.map(|lag| u64::try_from(lag.as_nanos()).unwrap_or(u64::MAX))
        };
        Self {
            sent_by: report.methods.sent.as_str().to_owned(),
            received_by: report.methods.received.as_str().to_owned(),
            receive_lag_ns_p50: nanos(report.receive_lag_p50),
            receive_lag_ns_p99: nanos(report.receive_lag_p99),
            send_lag_ns_p50: nanos(report.send_lag_p50),
            send_lag_ns_p99: nanos(report.send_lag_p99),
            timer_lag_ns_p50: nanos(report.timer_lag_p50),
            timer_lag_ns_p99: nanos(report.timer_lag_p99),
        }
    }
}

impl From<&SessionView> for Session {
    fn from(view: &SessionView) -> Self {
        let (target, profile) = (&view.target, &view.target.profile);
        let (way, socket) = (view.way.as_ref(), view.way.as_ref().and_then(|way| way.socket));
        let (state, waiting_for) = match view.state {
            SessionState::Waiting(reason) => ("waiting", Some(reason.as_str().to_owned())),
            SessionState::Probing => ("probing", None),
            SessionState::Outage => ("outage", None),
        };
        Self {
            target: target.name.to_string(),
            asked_by_revision: target.schedule().revision.configuration(),
            class: target.class().as_str().to_owned(),
            profile: target.profile_name.to_string(),
            rate_pps: profile.rate(),
            packet_bytes: profile.ip_packet_bytes(),
            dscp: profile.dscp().value(),
            window_us: micros(target.window()),
            period_us: micros(target.period()),
            mean_bits_per_second: profile.mean_bits_per_second(),
            peer: target.peer.name().to_owned(),
            security: target.security.as_str().to_owned(),
            state: state.to_owned(),
            waiting_for,
            resolved: way.map(|way| way.peer.to_string()),
            link: way.map(|way| way.link.kind().as_str().to_owned()),
            interface: way.map(|way| way.link.interface().to_owned()),
            local: socket.map(|socket| socket.local.to_string()),
            source_port_preferred: socket.map(|socket| socket.preferred),
            ssid: way.map(|way| way.ssid),
            sent_by: socket.map(|socket| socket.methods.sent.as_str().to_owned()),
            received_by: socket.map(|socket| socket.methods.received.as_str().to_owned()),
            windows: view.windows,
            last_window: view.last.as_ref().map(Into::into),
        }
    }
}

impl From<&LastWindow> for Window {
    fn from(last: &LastWindow) -> Self {
        Self {
            started_utc: utc(last.started),
            sent: last.sent,
            received: last.received,
            lost_up: last.lost_up,
            lost_down: last.lost_down,
            lost_unknown: last.lost_unknown,
            rtt_us_median: last.rtt_median_us,
            send_lateness_max_us: last.send_lateness_max_us,
            receive_queue_drops: last.receive_queue_drops,
        }
    }
}

impl From<&prober::SocketReport> for Socket {
    fn from(report: &prober::SocketReport) -> Self {
        let (facts, counts) = (&report.facts, &report.counts);
        Self {
            local: facts.local.to_string(),
            class: facts.class.as_str().to_owned(),
            source_port_preferred: facts.preferred,
            sessions: report.sessions,
            sent_by: facts.methods.sent.as_str().to_owned(),
            received_by: facts.methods.received.as_str().to_owned(),
            sent: counts.sent,
            queue_full: counts.queue_full,
            unreachable: counts.unreachable,
            received: counts.received,
            stray: counts.stray,
            queue_drops: counts.queue_drops,
            stray_stamps: counts.stray_stamps,
        }
    }
}

impl From<&ReflectorView> for Reflector {
    fn from(view: &ReflectorView) -> Self {
        let (methods, counts) = view.now();
        let stats = &counts.engine;
        Self {
            listen: view.listen.to_string(),
            sent_by: methods.sent.as_str().to_owned(),
            received_by: methods.received.as_str().to_owned(),
            sessions: counts.sessions,
            answered: stats.answered,
            stateless: stats.stateless,
            short: stats.short,
            tlvs_refused: stats.tlvs_refused,
            unsent: stats.unsent,
            dropped_short: stats.dropped_short,
            dropped_oversized: stats.dropped_oversized,
            dropped_portless: stats.dropped_portless,
            dropped_answers: stats.dropped_answers,
            dropped_not_allowed: stats.dropped_not_allowed,
            dropped_not_provisioned: stats.dropped_not_provisioned,
            dropped_unauthentic: stats.dropped_unauthentic,
            dropped_replays: stats.dropped_replays,
            dropped_rate: stats.dropped_rate,
            dropped_own: counts.dropped_own,
            queue_drops: counts.queue_drops,
            sessions_begun: stats.sessions_begun,
            sessions_evicted: stats.sessions_evicted,
            sessions_displaced: stats.sessions_displaced,
            reports: stats.reports,
            reports_dropped: stats.reports_dropped,
        }
    }
}
