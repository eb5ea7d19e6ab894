//! Until when the agent may send the expedited traffic that its collector asked for. Pure.
//!
//! Whoever is not heard for a while is another's stand-in from then on: the collector gives its calls to
//! somebody else, and nobody tells who is cut off. So the agent itself lets go of them first, and takes them up
//! again only when the collector has told it to since: until then nobody knows who has them.

use std::collections::BTreeSet;

use busyhour_model::{BootMicros, EXPEDITED_LEASE};

/// The collector's word that this agent is known to be there, as the uplink hears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Lease {
    /// How often it was lost, which it is in the beginning.
    term: u64,
    /// When that was sent which the collector answered last: it heard this agent no earlier.
    from: Option<BootMicros>,
}

impl Lease {
    /// The collector answered what was sent then.
    pub(crate) fn renew(&mut self, sent: BootMicros, now: BootMicros) {
        if !self.runs(now) {
            self.term += 1;
        }
        self.from = self.from.max(Some(sent));
    }

    /// The collector takes nothing more from this agent, and gives its calls to others at once.
    pub(crate) fn end(&mut self) {
        self.from = None;
    }

    /// By a clock that goes on while the machine sleeps.
    pub(crate) fn runs(&self, now: BootMicros) -> bool {
        let length = u64::try_from(EXPEDITED_LEASE.as_micros()).unwrap_or(u64::MAX);
        self.from.is_some_and(|from| now.0.saturating_sub(from.0) < length)
    }

    /// Which of its terms this is: what was told in another one is not known to hold.
    pub(crate) const fn term(&self) -> u64 {
        self.term
    }
}

/// The configurations that the collector told during one term.
#[derive(Debug, Default)]
pub(super) struct Grants {
    term: u64,
    editions: BTreeSet<u64>,
}

impl Grants {
    /// The collector told this one. Those that the agent has no more are forgotten.
    pub(super) fn told(&mut self, term: u64, edition: u64, is_known: impl Fn(u64) -> bool) {
        if term > self.term {
            (self.term, self.editions) = (term, BTreeSet::new());
        }
        if term == self.term {
            self.editions.insert(edition);
        }
        self.editions.retain(|known| *known == edition || is_known(*known));
    }

    /// Whether the expedited traffic of this one may be sent.
    pub(super) fn holds(&self, edition: u64, lease: &Lease, now: BootMicros) -> bool {
        lease.runs(now) && lease.term == self.term && self.editions.contains(&edition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(second: u64) -> BootMicros {
        BootMicros(second * 1_000_000)
    }

    /// A lease and what was told, with a renewal every minute from second 100 to 400.
    fn begun() -> (Lease, Grants) {
        let (mut lease, mut grants) = (Lease::default(), Grants::default());
        assert!(!lease.runs(at(100)));
        for second in (100..=400).step_by(60) {
            lease.renew(at(second), at(second + 1));
        }
        grants.told(lease.term(), 7, |_| true);
        (lease, grants)
    }

    #[test]
    fn who_does_not_hear_of_the_collector_lets_go_of_its_calls() {
        let (lease, grants) = begun();
        let last = 400 + EXPEDITED_LEASE.as_secs();
        for (second, expected) in [(401, true), (last - 1, true), (last, false), (last * 9, false)]
        {
            assert_eq!(grants.holds(7, &lease, at(second)), expected, "{second}");
        }
    }

    #[test]
    fn it_takes_them_up_again_when_it_is_told_to_and_not_by_itself() {
        let (mut lease, mut grants) = begun();
        let later = 400 + EXPEDITED_LEASE.as_secs();
        // What was told before, and comes late, is of before.
        let before = lease.term();
        lease.renew(at(later), at(later + 1));
        grants.told(before, 8, |_| true);
        for edition in [7, 8] {
            assert!(!grants.holds(edition, &lease, at(later + 2)), "{edition}");
        }
        grants.told(lease.term(), 8, |_| true);
        assert!(grants.holds(8, &lease, at(later + 2)));
        // It goes back to what it ran before, which was told to nobody since.
        assert!(!grants.holds(7, &lease, at(later + 2)));
    }

    #[test]
    fn who_is_refused_lets_go_at_once() {
        let (mut lease, mut grants) = begun();
        lease.end();
        assert!(!grants.holds(7, &lease, at(402)));
        lease.renew(at(403), at(404));
        assert!(!grants.holds(7, &lease, at(405)));
        grants.told(lease.term(), 7, |_| true);
        assert!(grants.holds(7, &lease, at(405)));
    }

    #[test]
    fn an_answer_counts_from_when_it_was_asked_for() {
        let (mut lease, mut grants) = begun();
        let length = EXPEDITED_LEASE.as_secs();
        lease.renew(at(460), at(460 + length));
        grants.told(lease.term(), 7, |_| true);
        assert!(!grants.holds(7, &lease, at(460 + length)));
        // Nor does one that comes late take anything back.
        lease.renew(at(2_000), at(2_001));
        lease.renew(at(520), at(2_002));
        assert!(lease.runs(at(2_000 + length - 1)));
    }

    #[test]
    fn an_agent_that_begins_sends_nothing_before_it_is_told_and_goes_back_to_what_it_was_told() {
        let (mut lease, mut grants) = (Lease::default(), Grants::default());
        assert!(!grants.holds(7, &lease, at(1)));
        lease.renew(at(1), at(2));
        assert!(!grants.holds(7, &lease, at(3)));
        grants.told(lease.term(), 7, |_| true);
        grants.told(lease.term(), 8, |known| known == 7);
        assert!(grants.holds(7, &lease, at(4)) && grants.holds(8, &lease, at(4)));
        grants.told(lease.term(), 9, |known| known == 8);
        assert_eq!(grants.editions, BTreeSet::from([8, 9]));
    }
}
