//! Settlement: a reflector's own reports give a direction to losses that no answer told one of.

use std::net::{IpAddr, SocketAddr};

use crate::{Context, SessionReport, Stamp, Window};

/// What became of the packets of a window that were lost with direction unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// Packets that never reached the target.
    pub up: u32,
    /// Packets whose answer never came back.
    pub down: u32,
}

/// Settles the lost packets of unknown direction of a window, all of them or none.
///
/// Reports count when they are of the address that the window's target resolved to, of its session,
/// of its time by the agent's own clock, and all of one address and port, which are those that the
/// target saw as far as the window knows them; and when nothing was refused. Together they have to tell of each
/// number that the window used whether it was received, without contradicting each other, and their
/// count has to be possible with what the window knows already.
#[must_use]
pub fn settle(
    window: &Window,
    stamp: &Stamp,
    context: &Context,
    reports: &[SessionReport],
) -> Option<Settlement> {
    let asked = Asked::of(window, context)?;
    let reports: Vec<&SessionReport> =
        reports.iter().filter(|report| asked.is_about(report, stamp)).collect();
    // Somebody else may use the same identifier, and nobody knows then whose reports these are.
    if reports.windows(2).any(|pair| !is_same(pair[0].peer, pair[1].peer)) {
        return None;
    }
    let missing = missing(window, &reports)?;
    let (counts, unknown) = (&window.counts, window.counts.lost_unknown());
    let up = missing.checked_sub(counts.lost_up())?;
    let down = unknown.checked_sub(up)?;
    Some(Settlement { up, down })
}

/// True when reports may settle the window at all: some of its losses have no direction, and each
/// number that it used stands for a packet that counts.
#[must_use]
pub fn is_unsettled(window: &Window, context: &Context) -> bool {
    Asked::of(window, context).is_some()
}

/// What a window asks of reports.
struct Asked {
    listen: SocketAddr,
    ssid: u16,
    /// The agent's address as the target saw it.
    seen_ip: Option<IpAddr>,
    /// The agent's port as the target saw it.
    seen_port: Option<u16>,
}

impl Asked {
    fn of(window: &Window, context: &Context) -> Option<Self> {
        let counts = &window.counts;
        let exact = window.sequences == counts.sent()
            && window.receive_queue_drops == 0
            && window.reflector_drops == 0;
        if counts.lost_unknown() == 0 || window.ssid == 0 || window.settled || !exact {
            return None;
        }
        Some(Self {
            listen: context.resolved?,
            ssid: window.ssid,
            seen_ip: context.reflexive,
            seen_port: window.seen_source_port,
        })
    }

    fn is_about(&self, report: &SessionReport, stamp: &Stamp) -> bool {
        let nanos = |micros: i64| micros.saturating_mul(1_000);
        report.ssid == self.ssid
            && is_same(report.listen, self.listen)
            && self.seen_ip.is_none_or(|ip| ip.to_canonical() == report.peer.ip().to_canonical())
            && self.seen_port.is_none_or(|port| port == report.peer.port())
            && report.dropped == 0
            && report.last_sent_ns >= nanos(stamp.started.0)
            && report.first_sent_ns <= nanos(stamp.ended().0.saturating_add(1))
    }
}

/// Scope and flow of an IPv6 address differ by who says it.
fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip().to_canonical() == other.ip().to_canonical() && one.port() == other.port()
}

/// How many of the window's numbers did not come; `None` unless all are told of, by all alike.
fn missing(window: &Window, reports: &[&SessionReport]) -> Option<u32> {
    // Whether each number came.
    let mut came: Vec<Option<bool>> = vec![None; usize::try_from(window.sequences).ok()?];
    for report in reports {
        // Where the report begins, counted from the window's first number; numbers wrap.
        let ahead = report.first_sequence.wrapping_sub(window.first_sequence).cast_signed();
        for run in report.runs() {
            let begins = i64::from(ahead) + i64::from(run.offset);
            let ends = begins + i64::from(run.width);
            let at = |place: i64| {
                usize::try_from(place.max(0)).map_or(came.len(), |at| at.min(came.len()))
            };
            let (begins, ends) = (at(begins), at(ends));
            for number in came.get_mut(begins..ends)? {
                if number.replace(run.came).is_some_and(|before| before != run.came) {
                    return None;
                }
            }
        }
    }
    came.into_iter().try_fold(0, |missing, came| Some(missing + u32::from(!came?)))
}

#[cfg(test)]
mod tests;
