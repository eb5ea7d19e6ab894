//! How the agent does on a configuration that is on trial. Pure.

use std::time::{Duration, Instant};

/// More of one processor than this, on average, is nothing that probing within its budget takes.
const MAX_CPU_RATIO: f64 = 0.5;
/// Ten times what an agent uses with many targets.
const MAX_RESIDENT_BYTES: u64 = 256 * 1024 * 1024;

/// For so long after its time a trial waits for the collector to be heard.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What a look at the agent shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// The collector takes what it observes.
    pub(super) delivering: bool,
    /// Processor time since it began, where the system tells it.
    pub(super) cpu: Option<Duration>,
    /// Its memory, where the system tells it.
    pub(super) resident_bytes: Option<u64>,
    /// Targets of the trial.
    pub(super) targets: usize,
    /// How many of them wait until it is known whose turn it is.
    pub(super) withheld: usize,
    /// How many of them are probed, or would be if this machine had a way to anywhere.
    pub(super) probed: usize,
    /// The owner has measuring paused.
    pub(super) paused: bool,
}

/// What follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judgement {
    Wait,
    Well,
    Ill(String),
}

/// Watches over one trial.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    from: Instant,
    length: Duration,
    cpu: Option<Duration>,
    /// The collector was heard in the later half: what is sent leaves room for it.
    delivered: bool,
    /// Some target was probed.
    probed: bool,
}

impl Watch {
    pub(super) const fn new(from: Instant, length: Duration, cpu: Option<Duration>) -> Self {
        Self { from, length, cpu, delivered: false, probed: false }
    }

    pub(super) fn look(&mut self, now: Instant, seen: &Seen) -> Judgement {
        if seen.paused {
            // Nothing is tried meanwhile: the trial begins anew afterwards.
            *self = Self::new(now, self.length, seen.cpu);
            return Judgement::Wait;
        }
        let passed = now.saturating_duration_since(self.from);
        self.probed |= seen.probed > 0;
        self.delivered |= seen.delivering && passed >= self.length / 2;
        if let Some(bytes) = seen.resident_bytes.filter(|bytes| *bytes > MAX_RESIDENT_BYTES) {
            return Judgement::Ill(format!("the agent came to use {bytes} bytes of memory"));
        }
        if passed < self.length {
            return Judgement::Wait;
        }
        let used = self.cpu.zip(seen.cpu).map(|(before, now)| now.saturating_sub(before));
        let ratio = used.map(|used| used.as_secs_f64() / passed.as_secs_f64().max(f64::EPSILON));
        if ratio.is_some_and(|ratio| ratio > MAX_CPU_RATIO) {
            return Judgement::Ill("the agent came to use more than half a processor".to_owned());
        }
        if !self.delivered {
            // Outages come and go, and are what is to be seen: they end no trial by themselves.
            return if passed < self.length + PATIENCE {
                Judgement::Wait
            } else {
                Judgement::Ill("the collector was not reached any more".to_owned())
            };
        }
        if seen.withheld > 0 && !self.probed && passed < self.length + PATIENCE {
            // Nobody has tried yet whether they can be probed.
            return Judgement::Wait;
        }
        if seen.targets > 0 && !self.probed {
            let why = "none of its targets could be probed: no name resolved to what may be probed, or \
                       this machine has no way to send";
            return Judgement::Ill(why.to_owned());
        }
        Judgement::Well
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const WELL: Seen = Seen {
        delivering: true,
        cpu: Some(Duration::from_secs(1)),
        resident_bytes: Some(20_000_000),
        targets: 3,
        withheld: 0,
        probed: 2,
        paused: false,
    };

    /// What becomes of a trial of a minute that looks so after each ten seconds.
    fn check(looks: [Seen; 6]) -> Vec<Judgement> {
        let began = Instant::now();
        let mut watch = Watch::new(began, MINUTE, Some(Duration::ZERO));
        let at = |look: u32| began + MINUTE / 6 * look;
        (1..).zip(looks).map(|(look, seen)| watch.look(at(look), &seen)).collect()
    }

    #[test]
    fn an_agent_that_goes_on_as_before_is_well_when_the_time_is_over() {
        let judged = check([WELL; 6]);
        assert!(judged[..5].iter().all(|judged| *judged == Judgement::Wait));
        assert_eq!(judged[5], Judgement::Well);
    }

    #[test]
    fn an_outage_makes_a_trial_wait_and_who_is_cut_off_for_an_hour_is_ill() {
        let away = Seen { delivering: false, ..WELL };
        assert_eq!(check([away, away, away, WELL, away, away])[5], Judgement::Well);
        let began = Instant::now();
        let mut watch = Watch::new(began, MINUTE, None);
        for (minutes, seen, expected) in [
            (0, WELL, true),
            (1, away, true),
            (30, away, true),
            (60, away, true),
            (61, away, false),
        ] {
            let judged = watch.look(began + MINUTE * minutes, &seen);
            assert_eq!(judged == Judgement::Wait, expected, "{minutes}: {judged:?}");
        }
        let mut watch = Watch::new(began, MINUTE, None);
        assert_eq!(watch.look(began + MINUTE * 2, &away), Judgement::Wait);
        assert_eq!(watch.look(began + MINUTE * 3, &WELL), Judgement::Well);
    }

    #[test]
    fn who_uses_too_much_or_can_probe_nothing_is_ill() {
        let of = |seen: Seen| check([WELL, WELL, WELL, seen, seen, seen])[5].clone();
        let ill = |seen: Seen, word: &str| match of(seen) {
            Judgement::Ill(why) => assert!(why.contains(word), "{why}"),
            other => panic!("{other:?}"),
        };
        ill(Seen { cpu: Some(Duration::from_secs(31)), ..WELL }, "processor");
        ill(Seen { resident_bytes: Some(300_000_000), ..WELL }, "memory");
        let unknown = Seen { cpu: None, resident_bytes: None, ..WELL };
        assert_eq!(of(unknown), Judgement::Well);
    }

    #[test]
    fn what_was_never_probed_is_not_proved_and_a_pause_proves_nothing() {
        let none = Seen { probed: 0, ..WELL };
        match &check([none; 6])[5] {
            Judgement::Ill(why) => assert!(why.contains("could be probed"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(check([none, WELL, none, none, none, none])[5], Judgement::Well);
        assert_eq!(check([Seen { targets: 0, ..none }; 6])[5], Judgement::Well);
        // What is not resolved during an outage may be afterwards.
        let away = Seen { delivering: false, ..none };
        assert_eq!(check([away; 6])[5], Judgement::Wait);

        // Nor is what waits until it is known whose turn it is: not for ever, and not when it was probed.
        let waits = Seen { targets: 1, withheld: 1, ..none };
        assert_eq!(check([waits; 6])[5], Judgement::Wait);
        assert_eq!(check([WELL, waits, waits, waits, waits, waits])[5], Judgement::Well);
        let mut watch = Watch::new(Instant::now(), MINUTE, None);
        let judged = watch.look(Instant::now() + MINUTE * 62, &waits);
        assert!(matches!(judged, Judgement::Ill(_)), "{judged:?}");

        let paused = Seen { paused: true, ..none };
        let began = Instant::now();
        let mut watch = Watch::new(began, MINUTE, Some(Duration::ZERO));
        for (minutes, seen, expected) in [
            (0, WELL, Judgement::Wait),
            (1, paused, Judgement::Wait),
            (500, paused, Judgement::Wait),
            (500, WELL, Judgement::Wait),
            (501, WELL, Judgement::Well),
        ] {
            assert_eq!(watch.look(began + MINUTE * minutes, &seen), expected, "{minutes}");
        }
    }
}
