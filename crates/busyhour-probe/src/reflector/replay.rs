//! Which requests of a session under a key were seen before (RFC 8972 section 6 leaves that to the
//! implementation).

/// How many numbers back a late request may be: a second of the fastest profile, twenty of audio.
const WINDOW: u32 = 1_024;
const WORDS: usize = (WINDOW / u64::BITS) as usize;
/// How far back in its own time a sender may be: what its clock is set back by, and no more.
const MAX_BACK_NS: i64 = 10_000_000_000;

/// When a sender says that it sent a request, in nanoseconds of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SentAt {
    /// A key protects what it says.
    Protected(i64),
    /// Anybody could have changed it on the way.
    Claimed(i64),
    /// It does not say.
    Unknown,
}

impl SentAt {
    pub(super) const fn protected(self) -> Option<i64> {
        match self {
            Self::Protected(ns) => Some(ns),
            Self::Claimed(_) | Self::Unknown => None,
        }
    }

    pub(super) const fn any(self) -> Option<i64> {
        match self {
            Self::Protected(ns) | Self::Claimed(ns) => Some(ns),
            Self::Unknown => None,
        }
    }

    /// Two senders' times differ in their nanoseconds.
    fn digest(self) -> u16 {
        self.any().map_or(0, |ns| (ns ^ ns >> 16 ^ ns >> 32) as u16)
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Not seen before.
    Fresh,
    /// Not seen before, and the sender has begun again.
    Restarted,
    /// Seen before, or too old to tell.
    Replayed,
}

/// A sliding window over sequence numbers, and the sender's time.
#[derive(Debug, Clone)]
pub(super) struct Replay {
    highest: u32,
    /// Bit `i` of all: `highest - i` was seen.
    seen: [u64; WORDS],
    /// By number modulo the window: a digest of when it was sent.
    times: [u16; WINDOW as usize],
    newest_ns: Option<i64>,
    /// Nothing older than the sender's last restart is fresh.
    restarted_ns: Option<i64>,
}

impl Replay {
    /// A session begins with this request.
    pub(super) fn new(sequence: u32, sent: SentAt) -> Self {
        let (seen, times, newest_ns) = ([0; WORDS], [0; WINDOW as usize], sent.protected());
        let mut replay = Self { highest: sequence, seen, times, newest_ns, restarted_ns: None };
        replay.seen[0] = 1;
        replay.remember(sequence, sent);
        replay
    }

    /// Judges a request and remembers it when it is new. Numbers that do not go on are those of a
    /// restarted sender when its time does; where it is not known, after a silence.
    pub(super) fn judge(&mut self, sequence: u32, sent: SentAt, after_silence: bool) -> Freshness {
        let sent_ns = sent.protected();
        if self.is_old(sent_ns) {
            return Freshness::Replayed;
        }
        let ahead = sequence.wrapping_sub(self.highest);
        if self.is_ahead(sequence) {
            self.advance(ahead);
            self.highest = sequence;
        } else if !self.is_new(ahead.wrapping_neg()) {
            let restarted = match (sent_ns, self.newest_ns) {
                (Some(sent), Some(newest)) => sent > newest,
                _ => after_silence,
            };
            if !restarted {
                return Freshness::Replayed;
            }
            *self = Self { restarted_ns: sent_ns, ..Self::new(sequence, sent) };
            return Freshness::Restarted;
        }
        self.newest_ns = self.newest_ns.max(sent_ns);
        self.remember(sequence, sent);
        Freshness::Fresh
    }

    /// Whether this very request was seen within the window, where another sender of the same key may
    /// have the same numbers.
    pub(super) fn has_seen(&self, sequence: u32, sent: SentAt) -> bool {
        let back = self.highest.wrapping_sub(sequence);
        let word = self.seen.get((back / u64::BITS) as usize);
        let time = self.times.get((sequence % WINDOW) as usize);
        word.is_some_and(|word| word >> (back % u64::BITS) & 1 == 1) && time == Some(&sent.digest())
    }

    /// Whether the number follows all that were seen.
    const fn is_ahead(&self, sequence: u32) -> bool {
        let ahead = sequence.wrapping_sub(self.highest);
        ahead != 0 && ahead <= i32::MAX as u32
    }

    fn remember(&mut self, sequence: u32, sent: SentAt) {
        if let Some(time) = self.times.get_mut((sequence % WINDOW) as usize) {
            *time = sent.digest();
        }
    }

    fn is_old(&self, sent_ns: Option<i64>) -> bool {
        let before = |limit: Option<i64>, slack: i64| matches!((sent_ns, limit), (Some(sent), Some(limit)) if sent < limit.saturating_sub(slack));
        before(self.newest_ns, MAX_BACK_NS) || before(self.restarted_ns, 0)
    }

    /// Moves the window up and marks its new end as seen.
    fn advance(&mut self, by: u32) {
        let old = self.seen;
        let (words, bits) = ((by / u64::BITS) as usize, by % u64::BITS);
        for (index, word) in self.seen.iter_mut().enumerate() {
            let at = |back: usize| {
                index.checked_sub(words + back).and_then(|from| old.get(from)).copied().unwrap_or(0)
            };
            // What a shift by a whole word would carry over is the whole of the word below.
            let carried = if bits == 0 { 0 } else { at(1) >> (u64::BITS - bits) };
            *word = at(0) << bits | carried;
        }
        self.seen[0] |= 1;
    }

    /// Marks a number within the window; true when it was not marked.
    fn is_new(&mut self, back: u32) -> bool {
        let Some(word) = self.seen.get_mut((back / u64::BITS) as usize) else { return false };
        let bit = 1 << (back % u64::BITS);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const UNKNOWN: SentAt = SentAt::Unknown;

    #[test]
    fn each_number_is_fresh_once_in_any_order_within_the_window() {
        let mut replay = Replay::new(3_000, UNKNOWN);
        for (sequence, fresh) in [
            (3_001, true),
            (4_023, true),
            (3_000, false),
            (3_100, true),
            (3_100, false),
            // Beyond the window nobody can tell.
            (2_999, false),
            (4_024, true),
            (3_000, false),
            (5_047, true),
            (5_046, true),
            (5_046, false),
            (4_024, false),
            (4_025, true),
            (4_023, false),
            (4_100, true),
            (900_000, true),
            (899_999, true),
            (5_047, false),
        ] {
            let told = replay.judge(sequence, UNKNOWN, false);
            let expected = if fresh { Freshness::Fresh } else { Freshness::Replayed };
            assert_eq!(told, expected, "{sequence}");
        }
    }

    #[test]
    fn numbers_wrap_around() {
        let mut replay = Replay::new(u32::MAX - 1, UNKNOWN);
        for sequence in [u32::MAX, 1, 0] {
            assert_eq!(replay.judge(sequence, UNKNOWN, false), Freshness::Fresh, "{sequence}");
            assert_eq!(replay.judge(sequence, UNKNOWN, false), Freshness::Replayed, "{sequence}");
        }
        assert_eq!(replay.judge(u32::MAX - 1, UNKNOWN, false), Freshness::Replayed);
    }

    #[test]
    fn a_sender_that_began_again_later_is_fresh_and_its_former_packets_are_not() {
        let second = |seconds: i64| SentAt::Protected(seconds * 1_000_000_000);
        let mut replay = Replay::new(5_000, second(100));
        assert_eq!(replay.judge(16, second(100), true), Freshness::Replayed, "not later");
        assert_eq!(replay.judge(16, second(101), false), Freshness::Restarted);
        assert_eq!(replay.judge(16, second(101), true), Freshness::Replayed);
        assert_eq!(
            replay.judge(5_001, second(100), true),
            Freshness::Replayed,
            "of the former life"
        );
        assert_eq!(replay.judge(17, second(102), true), Freshness::Fresh);
        assert_eq!(replay.judge(18, second(91), true), Freshness::Replayed, "before it began");
    }

    #[test]
    fn a_sender_whose_time_nobody_protects_began_again_after_a_silence_alone() {
        let mut replay = Replay::new(5_000, UNKNOWN);
        assert_eq!(replay.judge(16, UNKNOWN, false), Freshness::Replayed);
        assert_eq!(replay.judge(16, UNKNOWN, true), Freshness::Restarted);
        assert_eq!(replay.judge(17, UNKNOWN, false), Freshness::Fresh);
    }

    #[test]
    fn another_sender_with_the_same_numbers_is_not_the_same_request() {
        let replay = Replay::new(16, SentAt::Claimed(1_790_000_000_123_456_789));
        assert!(replay.has_seen(16, SentAt::Claimed(1_790_000_000_123_456_789)));
        assert!(!replay.has_seen(16, SentAt::Claimed(1_790_000_000_123_456_788)));
        assert!(!replay.has_seen(15, SentAt::Claimed(1_790_000_000_123_456_789)));
    }

    #[test]
    fn a_clock_may_be_set_back_a_little() {
        let mut replay = Replay::new(1, SentAt::Protected(1_000_000_000_000));
        let set_back = |ns: i64| SentAt::Protected(1_000_000_000_000 - ns);
        assert_eq!(replay.judge(2, set_back(MAX_BACK_NS), true), Freshness::Fresh);
        assert_eq!(replay.judge(3, set_back(MAX_BACK_NS + 1), true), Freshness::Replayed);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 64,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Without times nothing restarts: then no number is ever fresh twice, and every number close
        /// to the newest is fresh the first time.
        #[test]
        fn nothing_is_fresh_twice(
            first in any::<u32>(),
            steps in prop::collection::vec(
                prop_oneof![8 => -1_100i32..300, 1 => -1_000_000i32..1_000_000], 0..400),
        ) {
            let mut replay = Replay::new(first, UNKNOWN);
            let mut seen = HashSet::from([first]);
            for step in steps {
                let before = replay.highest;
                let sequence = before.wrapping_add(step as u32);
                let fresh = replay.judge(sequence, UNKNOWN, false) == Freshness::Fresh;
                prop_assert!(!fresh || seen.insert(sequence) , "{sequence} twice");
                prop_assert!(fresh || step <= 0, "what is ahead is fresh");
                let near = step > -(WINDOW as i32);
                prop_assert!(fresh || !near || seen.contains(&sequence), "{sequence} never seen");
            }
        }
    }
}
