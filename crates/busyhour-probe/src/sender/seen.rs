//! What a window's answers say of markings, hop limits and clocks.

use busyhour_model::{ClockQuality, Dscp, DscpSeen, Ecn, EcnSeen, TtlSeen};
use busyhour_wire::{ErrorEstimate, TimestampInformation};

use super::reply::Told;
use crate::tally::Tally;
use crate::{Datagram, Profile};

/// RPE of a reflector that put on its answer what was wanted: 0b11 in the current draft, 0b01 in an
/// earlier one (draft-ietf-ippm-stamp-cos-ecn).
const ECN_SET: [u8; 2] = [3, 1];

/// What one direction's packets arrived with.
#[derive(Debug, Default)]
struct Marks {
    dscp: Tally,
    dscp_changed: u32,
    ecn: Tally,
    ecn_changed: u32,
    congested: u32,
    ttl: Tally,
    ttl_last: Option<u8>,
    ttl_changes: u32,
}

impl Marks {
    fn dscp(&mut self, seen: Dscp, expected: Option<Dscp>) {
        self.dscp.add(seen.value());
        self.dscp_changed += u32::from(expected.is_some_and(|expected| expected != seen));
    }

    fn ecn(&mut self, seen: Ecn, expected: Option<Ecn>) {
        self.ecn.add(seen.bits());
        self.ecn_changed += u32::from(expected.is_some_and(|expected| expected != seen));
        self.congested += u32::from(seen == Ecn::Ce);
    }

    fn ttl(&mut self, seen: u8) {
        self.ttl.add(seen);
        let before = self.ttl_last.replace(seen);
        self.ttl_changes += u32::from(before.is_some_and(|before| before != seen));
    }

    fn most_dscp(&self) -> Option<Dscp> {
        self.dscp.most().map(|value| Dscp::from_tos(value << 2))
    }

    fn most_ecn(&self) -> Option<Ecn> {
        self.ecn.most().map(Ecn::from_tos)
    }
}

/// Gathered from the first answer to each request of a window.
#[derive(Debug, Default)]
pub(super) struct Seen {
    up: Marks,
    down: Marks,
    far_clock: Option<ClockQuality>,
    pub(super) source_port: Option<u16>,
    /// Whether a TLV was read by the reflector; `None` before the first answer.
    pub(super) tlvs: Option<bool>,
}

impl Seen {
    /// Adds an answer. `sender_ttl` is 0 where the reflector does not tell.
    pub(super) fn add(
        &mut self,
        profile: &Profile,
        told: &Told,
        estimate: ErrorEstimate,
        sender_ttl: u8,
        datagram: &Datagram<'_>,
    ) {
        if let Some(class) = &told.class {
            self.up.dscp(class.received, Some(profile.dscp()));
            self.up.ecn(Ecn::from_tos(class.received_ecn), Some(profile.ecn()));
        }
        if sender_ttl != 0 {
            self.up.ttl(sender_ttl);
        }
        if let Some(tos) = datagram.tos {
            // What an unwilling reflector marked its answers with is not known.
            let honoured = told.class.filter(|class| class.refused == 0);
            self.down.dscp(Dscp::from_tos(tos), honoured.map(|_| profile.dscp()));
            let knows = |class: &busyhour_wire::ClassOfService| {
                profile.ecn() == Ecn::NotEct || ECN_SET.contains(&class.ecn_refused)
            };
            self.down.ecn(Ecn::from_tos(tos), told.class.filter(knows).map(|_| profile.ecn()));
        }
        if let Some(ttl) = datagram.ttl {
            self.down.ttl(ttl);
        }
        self.add_clock(told, estimate);
        self.source_port = told.source_port.or(self.source_port);
        self.tlvs = Some(told.tlvs || self.tlvs == Some(true));
    }

    /// A clock is as good as the worst that was claimed of it within the window.
    fn add_clock(&mut self, told: &Told, estimate: ErrorEstimate) {
        let free_running = told.timestamps.is_some_and(|timestamps| {
            [timestamps.sync_in, timestamps.sync_out]
                .contains(&TimestampInformation::SYNC_FREE_RUNNING)
        });
        let error = estimate.seconds();
        let clock = ClockQuality {
            synchronized: estimate.synchronized() && error.is_some() && !free_running,
            // The cast saturates; what is below a microsecond counts as one.
            error_us: error.map_or(0, |seconds| (seconds * 1e6).ceil() as u32),
        };
        self.far_clock = Some(self.far_clock.map_or(clock, |before| worse(before, clock)));
    }

    pub(super) const fn far_clock(&self) -> Option<ClockQuality> {
        self.far_clock
    }

    pub(super) fn dscp(&self, sent: Dscp) -> DscpSeen {
        DscpSeen {
            sent,
            up: self.up.most_dscp(),
            down: self.down.most_dscp(),
            up_changed: self.up.dscp_changed,
            down_changed: self.down.dscp_changed,
        }
    }

    pub(super) fn ecn(&self, sent: Ecn) -> EcnSeen {
        EcnSeen {
            sent,
            up: self.up.most_ecn(),
            down: self.down.most_ecn(),
            up_changed: self.up.ecn_changed,
            down_changed: self.down.ecn_changed,
            up_ce: self.up.congested,
            down_ce: self.down.congested,
        }
    }

    pub(super) fn ttl(&self) -> TtlSeen {
        TtlSeen {
            up: self.up.ttl.most(),
            down: self.down.ttl.most(),
            up_changes: self.up.ttl_changes,
            down_changes: self.down.ttl_changes,
        }
    }
}

/// The worse of two claims about one clock; an error of which nobody says anything is the worst.
pub(super) fn worse(a: ClockQuality, b: ClockQuality) -> ClockQuality {
    let error_us = match (a.error_us, b.error_us) {
        (0, _) | (_, 0) => 0,
        (a, b) => a.max(b),
    };
    ClockQuality { synchronized: a.synchronized && b.synchronized, error_us }
}
