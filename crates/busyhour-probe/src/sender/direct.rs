//! What the reflector's own counters tell (RFC 8972 section 4.5), and whether to believe them.

use busyhour_wire::DirectMeasurement;

use crate::loss::{Drops, Mark};

/// Follows a reflector's counters from answer to answer. They must be those of this session's test
/// packets, as our own reflector has them; other reflectors count all traffic of an interface.
#[derive(Debug, Default)]
pub(super) struct Counters {
    last: Option<(Mark, DirectMeasurement)>,
    pub(super) foreign: bool,
}

impl Counters {
    /// How the counters stand to the answer's sequence number; `None` where that tells nothing.
    ///
    /// From one answer to a later one a session's counters grow so: at least that one answer was sent, no
    /// more were sent than numbered, and no more were numbered than requests received.
    pub(super) fn read(&mut self, mark: Mark, counts: DirectMeasurement) -> Option<Drops> {
        let DirectMeasurement { reflector_rx, reflector_tx, .. } = counts;
        // A stateless reflector says nothing.
        if self.foreign || (reflector_rx == 0 && reflector_tx == 0) {
            return None;
        }
        let number = mark.counter as u32;
        let drops = Drops {
            refused: reflector_rx.wrapping_sub(number),
            unsent: number.wrapping_sub(reflector_tx),
        };
        if let Some((before, then)) = self.last
            && before.epoch == mark.epoch
        {
            if mark <= before {
                return Some(drops);
            }
            let growth = |now: u32, then: u32| i64::from(now.wrapping_sub(then) as i32);
            let numbered = mark.counter - before.counter;
            let sent = growth(reflector_tx, then.reflector_tx);
            let received = growth(reflector_rx, then.reflector_rx);
            if !(1 <= sent && sent <= numbered && numbered <= received) {
                self.foreign = true;
                return None;
            }
        }
        self.last = Some((mark, counts));
        Some(drops)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers as (sequence number, requests received, answers sent), and whether the last is believed.
    fn check(answers: &[(i64, u32, u32)], expected: Option<(u32, u32)>) {
        let mut counters = Counters::default();
        let mut last = None;
        for &(counter, reflector_rx, reflector_tx) in answers {
            let mark = Mark { epoch: 0, counter, copied: false };
            let counts = DirectMeasurement { sender_tx: 0, reflector_rx, reflector_tx };
            last = counters.read(mark, counts);
        }
        assert_eq!(last.map(|drops| (drops.refused, drops.unsent)), expected, "{answers:?}");
    }

    #[test]
    fn counters_of_a_session_tell_what_was_refused_and_not_sent() {
        check(&[(0, 1, 1)], Some((1, u32::MAX)));
        check(&[(0, 1, 1), (1, 2, 2)], Some((1, u32::MAX)));
        check(&[(0, 1, 1), (1, 5, 2)], Some((4, u32::MAX)));
        check(&[(0, 1, 1), (4, 5, 3)], Some((1, 1)));
        check(&[(7, u32::MAX, u32::MAX), (9, 1, 1)], Some((u32::MAX - 7, 8)));
        check(&[(5, 6, 6), (3, 4, 4)], Some((1, u32::MAX)));
    }

    #[test]
    fn counters_of_something_else_are_never_believed_again() {
        check(&[(0, 100, 90), (1, 300, 250)], None);
        check(&[(0, 100, 90), (1, 100, 91)], None);
        check(&[(0, 100, 90), (1, 100, 91), (2, 101, 92)], None);
        check(&[(0, 1, 1), (1, 2, 1)], None);
        check(&[(0, 0, 0)], None);
    }
}
