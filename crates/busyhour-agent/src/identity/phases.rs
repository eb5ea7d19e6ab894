//! Which of two credentials to use, decided without files or networks.
//!
//! A new credential is a *candidate* until the collector welcomed a session with it; only then does
//! it take the place of the current one. The collector lets the old one go no earlier. So there is a
//! credential that works at every moment, whatever stops in between.

/// Which credential is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The one that worked last.
    Current,
    /// The one that was issued last.
    Candidate,
}

/// What is to be done with the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Act {
    Nothing,
    /// The candidate takes the place of the current one.
    Promote,
    /// The candidate is of no use.
    Discard,
}

/// What is known of the two.
#[derive(Debug, Clone)]
pub(crate) struct Phases<C> {
    current: C,
    candidate: Option<C>,
    /// The collector does not take the candidate; is it the candidate, or is it the collector? The
    /// current one tells.
    doubted: bool,
}

impl<C> Phases<C> {
    /// What a start finds.
    pub(crate) const fn new(current: C, candidate: Option<C>) -> Self {
        Self { current, candidate, doubted: false }
    }

    /// What the next session is to be tried with.
    pub(crate) fn next(&self) -> (Slot, &C) {
        match &self.candidate {
            Some(candidate) if !self.doubted => (Slot::Candidate, candidate),
            Some(_) | None => (Slot::Current, &self.current),
        }
    }

    /// A candidate that lies in its file.
    pub(crate) fn issued(&mut self, candidate: C) {
        self.candidate = Some(candidate);
        self.doubted = false;
    }

    /// A session was welcomed.
    pub(crate) fn welcomed(&mut self, slot: Slot) -> Act {
        match (slot, self.candidate.take()) {
            (Slot::Candidate, Some(candidate)) => {
                self.current = candidate;
                Act::Promote
            }
            (Slot::Current, Some(_)) if self.doubted => {
                self.doubted = false;
                Act::Discard
            }
            // Issued while this session was being opened with the old one.
            (Slot::Current, candidate) => {
                self.candidate = candidate;
                Act::Nothing
            }
            (Slot::Candidate, None) => Act::Nothing,
        }
    }

    /// The collector does not know this credential. Anything else that goes wrong says nothing about
    /// credentials.
    pub(crate) fn refused(&mut self, slot: Slot) {
        self.doubted = slot == Slot::Candidate;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The agent's files.
    #[derive(Debug, Clone, Copy)]
    struct Files {
        current: u32,
        candidate: Option<u32>,
    }

    impl Files {
        fn load(self) -> Phases<u32> {
            Phases::new(self.current, self.candidate)
        }

        fn apply(&mut self, act: Act) {
            match act {
                Act::Nothing => {}
                Act::Promote => self.current = self.candidate.take().unwrap(),
                Act::Discard => self.candidate = None,
            }
        }
    }

    /// A collector: lets go of the old credential when a newer one was used.
    #[derive(Debug)]
    struct Collector {
        oldest: u32,
        newest: u32,
    }

    impl Collector {
        fn session(&mut self, credential: u32) -> bool {
            let known = (self.oldest..=self.newest).contains(&credential);
            if known {
                self.oldest = credential;
            }
            known
        }

        fn renew(&mut self) -> u32 {
            self.newest += 1;
            self.newest
        }
    }

    /// Lives through sessions and renewals and loses its memory before the step of that number, and
    /// every so many steps after it. Gives how often a session was refused in a row at most.
    fn live(first_crash: usize, every: usize) -> usize {
        let mut files = Files { current: 1, candidate: None };
        let mut collector = Collector { oldest: 1, newest: 1 };
        let (mut phases, mut step, mut refusals, mut worst) = (files.load(), 0, 0, 0);
        let crashes = |step: &mut usize| {
            *step += 1;
            *step >= first_crash && (*step - first_crash).is_multiple_of(every)
        };
        for round in 0..40 {
            // Session.
            let (slot, &credential) = phases.next();
            if collector.session(credential) {
                refusals = 0;
                if crashes(&mut step) {
                    phases = files.load();
                    continue;
                }
                let act = phases.welcomed(slot);
                if crashes(&mut step) {
                    phases = files.load();
                    continue;
                }
                files.apply(act);
            } else {
                refusals += 1;
                worst = worst.max(refusals);
                phases.refused(slot);
                continue;
            }
            if round % 3 > 0 {
                continue;
            }
            // Renewal.
            let issued = collector.renew();
            if crashes(&mut step) {
                phases = files.load();
                continue;
            }
            files.candidate = Some(issued);
            if crashes(&mut step) {
                phases = files.load();
                continue;
            }
            phases.issued(issued);
        }
        worst
    }

    #[test]
    fn a_crash_at_any_step_leaves_a_credential_that_works() {
        for first in 0..60 {
            for every in [1, 2, 3, 5, 7, 1000] {
                assert_eq!(live(first, every), 0, "a crash before step {first}, every {every}");
            }
        }
    }

    #[test]
    fn a_candidate_counts_when_a_session_was_welcomed_with_it() {
        let mut phases = Phases::new(1, None);
        assert_eq!(phases.next(), (Slot::Current, &1));
        assert_eq!(phases.welcomed(Slot::Current), Act::Nothing);
        phases.issued(2);
        assert_eq!(phases.next(), (Slot::Candidate, &2));
        assert_eq!(phases.welcomed(Slot::Candidate), Act::Promote);
        assert_eq!(phases.next(), (Slot::Current, &2));
        assert_eq!(phases.welcomed(Slot::Current), Act::Nothing);
    }

    #[test]
    fn a_candidate_that_is_refused_goes_when_the_current_one_is_welcomed() {
        let mut phases = Phases::new(1, Some(2));
        phases.refused(Slot::Candidate);
        assert_eq!(phases.next(), (Slot::Current, &1));
        assert_eq!(phases.welcomed(Slot::Current), Act::Discard);
        assert_eq!(phases.next(), (Slot::Current, &1));
        assert_eq!(phases.welcomed(Slot::Current), Act::Nothing);
    }

    #[test]
    fn while_both_are_refused_both_are_kept_and_tried_by_turns() {
        let mut phases = Phases::new(1, Some(2));
        for _ in 0..3 {
            assert_eq!(phases.next(), (Slot::Candidate, &2));
            phases.refused(Slot::Candidate);
            assert_eq!(phases.next(), (Slot::Current, &1));
            phases.refused(Slot::Current);
        }
        assert_eq!(phases.welcomed(Slot::Candidate), Act::Promote);
    }

    #[test]
    fn a_candidate_that_is_issued_meanwhile_is_not_lost_to_the_session_of_the_current_one() {
        let mut phases = Phases::new(1, None);
        phases.issued(2);
        assert_eq!(phases.welcomed(Slot::Current), Act::Nothing);
        assert_eq!(phases.next(), (Slot::Candidate, &2));
    }
}
