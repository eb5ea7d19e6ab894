//! The status for people.

use std::time::Duration;

use super::command::Life;
use super::report::{Asked, Paused, Reflector, Session, Spool, Status, Timing, Uplink, Window};
use crate::print::{bits_per_second, columns, millis, percent};

/// Everything, in a few blocks.
pub(super) fn show(status: &Status, life: Life, age: Duration) -> String {
    let mut blocks = vec![headline(status, life, age), columns(about(status))];
    if !status.sessions.is_empty() {
        let titles =
            ["TARGET", "PROFILE", "SENDS", "STATE", "FROM", "WINDOWS", "LOST", "RTT", "LAST"];
        let rows = status.sessions.iter().map(session);
        blocks.push(columns(std::iter::once(titles.map(str::to_owned).to_vec()).chain(rows)));
        blocks.extend(notes(&status.sessions));
    }
    if !status.reflectors.is_empty() {
        let titles =
            ["ANSWERS ON", "TIMED BY", "SESSIONS", "ANSWERED", "NOT ANSWERED", "LOST HERE"];
        let rows = status.reflectors.iter().map(reflector);
        blocks.push(columns(std::iter::once(titles.map(str::to_owned).to_vec()).chain(rows)));
    }
    blocks.join("\n")
}

fn headline(status: &Status, life: Life, age: Duration) -> String {
    let (pid, since) = (status.pid, seconds(age.as_secs()));
    match life {
        Life::Runs => {
            format!("the agent runs (process {pid}), for {} now\n", seconds(status.running_s))
        }
        Life::Stopped => {
            format!("no agent runs: it was stopped {since} ago; this is its last word\n")
        }
        Life::Silent => format!(
            "the agent (process {pid}) has said nothing for {since}: it was killed or stands still; \
             this is its last word\n"
        ),
    }
}

fn about(status: &Status) -> Vec<Vec<String>> {
    let line = |name: &str, text: String| vec![name.to_owned(), text];
    let mut rows = vec![line("version", status.version.clone())];
    rows.extend(status.paused.as_ref().map(|pause| line("paused", paused(pause))));
    rows.push(line("measures", measured(status)));
    match (&status.collector, &status.agent_id) {
        (Some(collector), Some(agent)) => {
            rows.push(line("delivers to", format!("{collector} as {agent}")));
        }
        _ => rows.push(line("delivers to", "nobody".to_owned())),
    }
    rows.extend(status.uplink.iter().flat_map(uplink).map(|(name, text)| line(name, text)));
    rows.extend(status.asked.as_ref().map(|asked| line("is asked for", asked_for(asked))));
    if let Some(spool) = &status.spool {
        if status.collector.is_some() {
            rows.push(line("delivered", delivered(spool)));
        }
        rows.push(line("keeps", kept(spool)));
    }
    let total = status.sessions.iter().map(|session| session.mean_bits_per_second).sum();
    if total > 0 {
        let (mean, day) = (bits_per_second(total), megabytes(status.probe_bytes_per_day));
        let mut text = format!("{mean} on average in each direction, {day} a day");
        if let Some(capacity) = status.link_capacity_bits_per_second {
            text.push_str(&format!(" of a link of {}", bits_per_second(capacity)));
        }
        rows.push(line("sends", text));
    }
    if let Some(usage) = &status.usage {
        let (cpu, ram) = (usage.cpu_ratio * 100.0, usage.resident_bytes as f64 / 1e6);
        rows.push(line("uses", format!("{cpu:.2} % of a processor, {ram:.1} MB of memory")));
    }
    let clock = &status.clock;
    let kept = if clock.synchronized { "synchronised" } else { "not synchronised" };
    let error = match clock.error_us {
        0 => String::new(),
        error_us => format!(", off by at most {}", millis(error_us)),
    };
    rows.push(line("clock", format!("{kept}{error}")));
    rows.extend(status.timing.as_ref().map(|timing| line("timing", timed(timing))));
    rows
}

/// For how long nothing is measured.
fn paused(pause: &Paused) -> String {
    let since = pause.since_utc.as_ref().map(|since| format!("since {since}, "));
    let until = match (pause.until_utc.as_deref(), pause.reason.as_str()) {
        (Some(until), _) => until,
        (None, "on-battery") => "the machine is off its battery (pause.on_battery)",
        (None, "metered") => "the way out is not a metered link any more (pause.on_metered)",
        (None, _) => "`busyhour-agent resume`",
    };
    format!("{}until {until}: no probe is sent", since.unwrap_or_default())
}

/// What the collector asks for, and what became of it.
pub(super) fn asked_for(asked: &Asked) -> String {
    let became = became_of(asked);
    match asked.withheld_targets {
        0 => became,
        1 => format!("{became}; 1 target waits until the collector tells whose turn it is"),
        many => format!("{became}; {many} targets wait until the collector tells whose turn it is"),
    }
}

fn became_of(asked: &Asked) -> String {
    let of = |revision: Option<u32>| revision.map(|revision| format!("revision {revision}"));
    let runs = of(asked.revision).unwrap_or_else(|| "nothing of the collector's".to_owned());
    let told = of(asked.told_revision).unwrap_or_else(|| "what was asked for".to_owned());
    let why = asked.reason.as_deref().unwrap_or("it is not said why");
    match asked.state.as_str() {
        "trial" => format!("{runs}, on trial"),
        "refused" => format!("{told}, refused: {why}; {runs} runs"),
        "rolled-back" => format!("{told}, given up: {why}; {runs} runs"),
        _ if !asked.accepted => {
            "nothing, and would take nothing (remote.accept = \"nothing\")".to_owned()
        }
        "committed" if asked.revision.is_some() => runs,
        _ => "nothing beside its own file".to_owned(),
    }
}

/// What is observed of this machine and its network, whatever the targets are.
fn measured(status: &Status) -> String {
    let mut all = Vec::new();
    if !status.sessions.is_empty() {
        all.push("loss, delay and jitter of its own probes to the targets below");
    }
    if status.spool.is_some() {
        all.push("each minute the bytes and packets of the interfaces that they leave on");
        all.push("when it slept or did not run");
    }
    if !status.reflectors.is_empty() {
        all.push("which probes of others it received");
    }
    if all.is_empty() { "nothing".to_owned() } else { all.join("; ") }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// What was sent of it, and what that is in a day.
fn delivered(spool: &Spool) -> String {
    let day = spool.sent_bytes_per_day.map(|bytes| format!(", {} a day", megabytes(bytes)));
    format!("{} since it began{}", megabytes(spool.sent_bytes), day.unwrap_or_default())
}

/// What is kept until the collector has it, where, and what was lost.
fn kept(spool: &Spool) -> String {
    let mut text = match (&spool.failing_since_utc, &spool.failing_for) {
        (Some(since), why) => {
            let (waiting, why) = (spool.waiting_records, why.as_deref().unwrap_or("?"));
            format!("{waiting} records in memory: the disk takes nothing since {since} ({why})")
        }
        (None, _) => format!(
            "{} blocks, {} of {} at most, for the collector",
            spool.blocks,
            megabytes(spool.size_bytes),
            megabytes(spool.max_bytes)
        ),
    };
    if spool.given_up_records > 0 {
        text.push_str(&format!("; {} records were lost", spool.given_up_records));
    }
    text
}

/// How things stand with the collector.
fn uplink(uplink: &Uplink) -> Vec<(&'static str, String)> {
    let place = [uplink.building.as_deref(), uplink.subnet.as_deref()];
    let place: Vec<&str> = place.into_iter().flatten().collect();
    let mut rows = Vec::new();
    if !place.is_empty() {
        rows.push(("enrolled for", place.join(", ")));
    }
    let state = match uplink.state.as_str() {
        "delivering" => "takes what this agent observes",
        "connecting" => "is being connected to",
        "away" => "asked to be left alone for a while",
        "unreachable" => "cannot be reached; what is observed is kept until it can",
        "stranger" => "is not who answers at its address; nothing is sent",
        "waiting" => "waits for somebody to approve this agent",
        "revoked" => "has revoked this agent and takes nothing from it any more",
        "quarantined" => "saw this identity in two places and takes nothing from it",
        "expired" => "did not renew this agent's certificate, which is over",
        _ => "does not know this agent",
    };
    let said = uplink.said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
    rows.push(("the collector", format!("{state}{said}")));
    if let Some(expires) = &uplink.certificate_expires_utc {
        let renewed = uplink.certificate_renewed_from_utc.as_deref().unwrap_or("?");
        rows.push(("certificate", format!("until {expires}, renewed from {renewed} on")));
    }
    rows
}

/// What the process would have erred by; with kernel stamps it does not.
fn timed(timing: &Timing) -> String {
    let lag = |ns: Option<u64>| ns.map_or_else(|| "?".to_owned(), |ns| millis(ns as f64 / 1_000.0));
    let spared = if timing.received_by == "user" { "errs by" } else { "is spared" };
    format!(
        "sent by {}, received by {}, which {spared} {} (p99 {}); timers are {} late (p99 {})",
        timing.sent_by,
        timing.received_by,
        lag(timing.receive_lag_ns_p50),
        lag(timing.receive_lag_ns_p99),
        lag(timing.timer_lag_ns_p50),
        lag(timing.timer_lag_ns_p99)
    )
}

fn session(session: &Session) -> Vec<String> {
    let dash = || "-".to_owned();
    let last = session.last_window.as_ref();
    let state = match &session.waiting_for {
        Some(reason) => format!("{} ({reason})", session.state),
        None => session.state.clone(),
    };
    let every = match (session.window_us, session.period_us) {
        (window, period) if window == period => String::new(),
        (window, period) => format!(", {} in {}", whole_seconds(window), whole_seconds(period)),
    };
    vec![
        session.target.clone(),
        session.profile.clone(),
        format!("{}{every}", bits_per_second(session.mean_bits_per_second)),
        state,
        session.local.clone().unwrap_or_else(dash),
        session.windows.to_string(),
        last.map_or_else(dash, lost),
        last.and_then(|window| window.rtt_us_median).map_or_else(dash, millis),
        last.map_or_else(dash, |window| window.started_utc.clone()),
    ]
}

fn lost(window: &Window) -> String {
    let all = window.sent.saturating_sub(window.received);
    if all == 0 {
        return percent(all, window.sent);
    }
    let Window { lost_up, lost_down, lost_unknown, .. } = window;
    format!("{} ({lost_up} up, {lost_down} down, {lost_unknown} ?)", percent(all, window.sent))
}

/// What somebody should know of sessions that do not go as they should.
fn notes(sessions: &[Session]) -> Option<String> {
    let mut notes = String::new();
    for session in sessions {
        let target = &session.target;
        if session.source_port_preferred == Some(false) {
            notes.push_str(&format!(
                "{target}: the ports of its class are taken; the network may treat this one otherwise\n"
            ));
        }
        if session.received_by.as_deref() == Some("user") {
            notes.push_str(&format!(
                "{target}: packets are timed by the process, not by the kernel\n"
            ));
        }
    }
    (!notes.is_empty()).then_some(notes)
}

fn reflector(reflector: &Reflector) -> Vec<String> {
    let refused = [
        (reflector.dropped_short, "short"),
        (reflector.dropped_oversized, "oversized"),
        (reflector.dropped_portless, "portless"),
        (reflector.dropped_answers, "answers"),
        (reflector.dropped_not_allowed, "not allowed"),
        (reflector.dropped_not_provisioned, "not provisioned"),
        (reflector.dropped_unauthentic, "not authentic"),
        (reflector.dropped_replays, "replays"),
        (reflector.dropped_rate, "too fast"),
        (reflector.dropped_own, "own"),
    ];
    let lost = [(reflector.unsent, "unsent"), (reflector.queue_drops, "queue full")];
    let told = |counts: &[(u64, &str)]| {
        let some = counts.iter().filter(|(count, _)| *count > 0);
        let text: Vec<String> = some.map(|(count, what)| format!("{count} {what}")).collect();
        if text.is_empty() { "0".to_owned() } else { text.join(", ") }
    };
    vec![
        reflector.listen.clone(),
        format!("{} / {}", reflector.sent_by, reflector.received_by),
        reflector.sessions.to_string(),
        reflector.answered.to_string(),
        told(&refused),
        told(&lost),
    ]
}

fn whole_seconds(us: u64) -> String {
    match us % 1_000_000 {
        0 => format!("{} s", us / 1_000_000),
        _ => format!("{} ms", us / 1_000),
    }
}

fn seconds(seconds: u64) -> String {
    match seconds {
        s if s < 120 => format!("{s} s"),
        s if s < 7_200 => format!("{} min", s / 60),
        s if s < 172_800 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}
