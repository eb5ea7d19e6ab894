//! Which configuration runs, and what becomes of the next one, decided without files or clocks.
//!
//! A new configuration lies in its file before it runs, on *trial*; the last one that proved itself stays
//! beside it. It takes that one's place when the trial ended well, and goes when it did not. So
//! whatever stops in between, the next start knows what to run and what to say.

/// Starts during one trial after which it is given up: an agent that ends again and again on a
/// configuration does not stand it.
const MAX_STARTS: u32 = 3;
/// The longest reason, in characters: what a collector tells may be in it.
const MAX_REASON: usize = 256;

/// A configuration on trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trial<C> {
    pub(super) content: C,
    /// How often the agent began while it was on trial.
    pub(super) starts: u32,
}

/// What became of one that does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was never applied.
    Refused,
    /// It was applied, and the agent went back.
    RolledBack,
}

/// Why a configuration does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) revision: u32,
    pub(super) edition: u64,
    pub(super) outcome: Outcome,
    pub(super) reason: String,
}

impl Verdict {
    /// With as much of the reason as is kept and said.
    pub(super) fn new(revision: u32, edition: u64, outcome: Outcome, reason: &str) -> Self {
        Self { revision, edition, outcome, reason: reason.chars().take(MAX_REASON).collect() }
    }
}

/// The files, as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored<C> {
    pub(super) committed: Option<C>,
    pub(super) trial: Option<Trial<C>>,
    pub(super) verdict: Option<Verdict>,
}

impl<C> Default for Stored<C> {
    fn default() -> Self {
        Self { committed: None, trial: None, verdict: None }
    }
}

/// What is to be done with the files; durable before anything else is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act<C> {
    KeepTrial(Trial<C>),
    KeepVerdict(Verdict),
    /// The configuration on trial takes the place of the committed one.
    Promote,
    DropCommitted,
    DropTrial,
    DropVerdict,
}

/// What tells configurations apart.
pub(super) trait Named {
    fn revision(&self) -> u32;
    fn edition(&self) -> u64;
    /// Nothing is asked for: nothing can go wrong with it.
    fn is_empty(&self) -> bool;
}

impl<C: Clone + Named> Stored<C> {
    /// What is to run.
    pub(super) fn runs(&self) -> Option<&C> {
        self.trial.as_ref().map(|trial| &trial.content).or(self.committed.as_ref())
    }

    /// The agent begins: what was being done is done, and a trial begins anew, unless it began too often.
    pub(super) fn started(&self) -> Vec<Act<C>> {
        let Some(trial) = &self.trial else { return Vec::new() };
        let over =
            self.verdict.as_ref().is_some_and(|told| told.edition == trial.content.edition());
        if over {
            // It ended between the two steps of giving it up.
            return vec![Act::DropTrial];
        }
        if trial.content.is_empty() {
            // It ended before it was kept for good, for which it needs no trial.
            return self.proved();
        }
        let starts = trial.starts.saturating_add(1);
        if starts > MAX_STARTS {
            return self.given_up(&format!("the agent began {starts} times while it was on trial"));
        }
        // What is left of one before it would be taken for what became of this one.
        let forget = self.verdict.iter().map(|_| Act::DropVerdict);
        let trial = Trial { content: trial.content.clone(), starts };
        forget.chain([Act::KeepTrial(trial)]).collect()
    }

    /// Whether what the collector tells is something new. What was given up is not tried again, and what
    /// runs already goes on.
    pub(super) fn is_news(&self, told: &C) -> bool {
        let is_told = |known: &C| known.edition() == told.edition();
        let trial = self.trial.as_ref().map(|trial| &trial.content);
        let known = trial.or(self.committed.as_ref());
        let given_up =
            self.verdict.as_ref().is_some_and(|verdict| verdict.edition == told.edition());
        !known.is_some_and(is_told) && !given_up
    }

    /// The collector tells one that may run.
    pub(super) fn told(&self, told: &C) -> Vec<Act<C>> {
        let forget = self.verdict.iter().map(|_| Act::DropVerdict);
        let committed = self.committed.as_ref();
        if self.trial.is_some() && committed.is_some_and(|own| own.edition() == told.edition()) {
            // Back to what proved itself.
            return [Act::DropTrial].into_iter().chain(forget).collect();
        }
        let trial = Act::KeepTrial(Trial { content: told.clone(), starts: 0 });
        let commit = told.is_empty().then_some(Act::Promote);
        [trial].into_iter().chain(forget).chain(commit).collect()
    }

    /// The collector tells one that must not run.
    pub(super) fn refused(&self, told: &C, reason: &str) -> Vec<Act<C>> {
        let (revision, edition) = (told.revision(), told.edition());
        vec![Act::KeepVerdict(Verdict::new(revision, edition, Outcome::Refused, reason))]
    }

    /// The collector tells what is no news. When that is what runs, what was given up before is over.
    pub(super) fn confirmed(&self, told: &C) -> Vec<Act<C>> {
        let runs = self.runs().is_some_and(|runs| runs.edition() == told.edition());
        let over = self.verdict.iter().filter(|_| runs && self.trial.is_none());
        over.map(|_| Act::DropVerdict).collect()
    }

    /// The machine's own file does not let the committed one run any more.
    pub(super) fn disallowed(&self, reason: &str) -> Vec<Act<C>> {
        let Some(committed) = &self.committed else { return Vec::new() };
        let (revision, edition) = (committed.revision(), committed.edition());
        let verdict = Verdict::new(revision, edition, Outcome::Refused, reason);
        vec![Act::KeepVerdict(verdict), Act::DropCommitted]
    }

    /// The trial ended well. What was given up before is over.
    pub(super) fn proved(&self) -> Vec<Act<C>> {
        let forget = self.verdict.iter().map(|_| Act::DropVerdict);
        let promote = self.trial.iter().map(|_| Act::Promote);
        forget.chain(promote).filter(|_| self.trial.is_some()).collect()
    }

    /// The trial did not.
    pub(super) fn given_up(&self, reason: &str) -> Vec<Act<C>> {
        let Some(trial) = &self.trial else { return Vec::new() };
        let (revision, edition) = (trial.content.revision(), trial.content.edition());
        let verdict = Verdict::new(revision, edition, Outcome::RolledBack, reason);
        vec![Act::KeepVerdict(verdict), Act::DropTrial]
    }

    /// What the files are after it.
    pub(super) fn apply(&mut self, act: Act<C>) {
        match act {
            Act::KeepTrial(trial) => self.trial = Some(trial),
            Act::KeepVerdict(verdict) => self.verdict = Some(verdict),
            Act::Promote => {
                if let Some(trial) = self.trial.take() {
                    self.committed = Some(trial.content);
                }
            }
            Act::DropCommitted => self.committed = None,
            Act::DropTrial => self.trial = None,
            Act::DropVerdict => self.verdict = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Revision and edition.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Content(u32, u64);

    impl Named for Content {
        fn revision(&self) -> u32 {
            self.0
        }

        fn edition(&self) -> u64 {
            self.1
        }

        fn is_empty(&self) -> bool {
            self.1 == EMPTY
        }
    }

    const EMPTY: u64 = 9;
    const GOOD: Content = Content(1, 1);
    const NEXT: Content = Content(2, 2);

    /// What a process sees that may end before each of its steps.
    struct Process {
        files: Stored<Content>,
        left: usize,
    }

    impl Process {
        /// Does these steps, as far as it lives; false when it ended.
        fn all(&mut self, acts: Vec<Act<Content>>) -> bool {
            for act in acts {
                if self.left == 0 {
                    return false;
                }
                self.left -= 1;
                self.files.apply(act);
            }
            true
        }

        /// Begins, is told this, and ends its trial so.
        fn live(&mut self, next: &Content, proves: bool) -> bool {
            let begun = self.files.started();
            if !self.all(begun) {
                return false;
            }
            let news = self.files.is_news(next);
            let told = if news { self.files.told(next) } else { self.files.confirmed(next) };
            if !self.all(told) {
                return false;
            }
            let end = match proves {
                true => self.files.proved(),
                false => self.files.given_up("it was ill"),
            };
            self.all(end)
        }
    }

    /// What the files may be before something is told: what proved itself or nothing, an older trial or
    /// none, what was said of an older one or nothing.
    fn befores() -> impl Iterator<Item = Stored<Content>> {
        let older = || Trial { content: Content(7, 7), starts: 1 };
        let verdict = |edition| Verdict::new(8, edition, Outcome::Refused, "it may not");
        let committed = [None, Some(GOOD)].into_iter();
        let with = move |committed| {
            let trials = [None, Some(older())].into_iter();
            trials.flat_map(move |trial| {
                let verdicts = [None, Some(verdict(8)), Some(verdict(7))].into_iter();
                let trial = move |verdict| Stored { committed, trial: trial.clone(), verdict };
                verdicts.map(trial).collect::<Vec<_>>()
            })
        };
        committed.flat_map(with)
    }

    #[test]
    fn whatever_ends_in_between_one_that_proved_itself_is_there_and_the_next_start_goes_on() {
        for before in befores() {
            for (next, proves) in [(NEXT, true), (NEXT, false), (Content(0, EMPTY), true)] {
                for steps in 0..10 {
                    let mut process = Process { files: before.clone(), left: steps };
                    let lived = process.live(&next, proves);
                    let said = format!("{before:?} {next:?} {proves} {steps}");
                    let committed = process.files.committed;
                    let kept = committed == before.committed;
                    assert!(kept || (proves && committed == Some(next)), "{said}");
                    // The next process lives as long as it likes.
                    process.left = usize::MAX;
                    if !lived {
                        assert!(process.live(&next, proves), "{said}");
                    }
                    let expected = if proves { Some(next) } else { before.committed };
                    assert_eq!(process.files.committed, expected, "{said}");
                    assert_eq!(process.files.trial, None, "{said}");
                    // What is said is of this one, not of one before.
                    let verdict = process.files.verdict.as_ref();
                    let verdict = verdict.map(|verdict| (verdict.edition, verdict.outcome));
                    let expected = (!proves).then_some((next.edition(), Outcome::RolledBack));
                    assert_eq!(verdict, expected, "{said}");
                }
            }
        }
    }

    #[test]
    fn a_reason_is_cut_so_that_it_can_be_kept_and_said() {
        let files = Stored { committed: Some(GOOD), ..Stored::default() };
        for act in files.refused(&NEXT, &"ä".repeat(1_000_000)) {
            let Act::KeepVerdict(verdict) = act else { panic!("{act:?}") };
            assert_eq!(verdict.reason.chars().count(), MAX_REASON);
        }
    }

    #[test]
    fn a_configuration_that_ends_the_agent_again_and_again_is_given_up() {
        let mut files = Stored { committed: Some(GOOD), ..Stored::default() };
        let run = |files: &mut Stored<Content>, acts: Vec<Act<Content>>| {
            acts.into_iter().for_each(|act| files.apply(act));
        };
        let told = files.told(&NEXT);
        run(&mut files, told);
        for _ in 0..3 {
            let begun = files.started();
            run(&mut files, begun);
            assert_eq!(files.runs(), Some(&NEXT));
        }
        let begun = files.started();
        run(&mut files, begun);
        assert_eq!(files.runs(), Some(&GOOD));
        assert!(!files.is_news(&NEXT), "it is not tried again");
        assert!(files.is_news(&Content(3, 3)));
    }

    #[test]
    fn what_runs_or_was_refused_is_no_news_and_what_is_empty_needs_no_trial() {
        let mut files = Stored { committed: Some(GOOD), ..Stored::default() };
        assert!(!files.is_news(&GOOD) && files.is_news(&NEXT));
        for act in files.refused(&NEXT, "it may not") {
            files.apply(act);
        }
        assert!(!files.is_news(&NEXT));
        assert_eq!(files.runs(), Some(&GOOD));
        let empty = Content(0, EMPTY);
        for act in files.told(&empty) {
            files.apply(act);
        }
        let expected = Stored { committed: Some(empty), trial: None, verdict: None };
        assert_eq!(files, expected);
    }

    #[test]
    fn the_collector_may_go_back_during_a_trial() {
        let trial = Some(Trial { content: NEXT, starts: 1 });
        let mut files = Stored { committed: Some(GOOD), trial, verdict: None };
        assert!(files.is_news(&GOOD));
        for act in files.told(&GOOD) {
            files.apply(act);
        }
        assert_eq!((files.runs(), &files.trial, &files.verdict), (Some(&GOOD), &None, &None));
    }
}
