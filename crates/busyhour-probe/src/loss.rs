//! Which direction a packet was lost in, told from a stateful reflector's own counter.
//!
//! A reflector that counts the requests it receives numbers its answers. Between two answers A and B
//! let `missing` requests have no answer, and let the counter have advanced by `unclaimed` more than
//! the answers in between explain. Then `unclaimed` requests arrived and their answers were lost
//! down; the other `missing − unclaimed` were lost up (RFC 8762 section 4: S − R and R − A).
//!
//! A and B must be *cuts*: everything sent before was counted before, everything sent after was
//! counted after. Requests that overtook each other move the counter within a segment only.
//!
//! A reflector of ours also tells how many requests it received and how many answers it sent (RFC 8972
//! section 4.5). What it received and did not count it refused, by its caps; what it counted and did
//! not send found no way out of it. Neither was lost on the path.
//!
//! Two cases cannot be told apart by anybody. A request lost up and, in the same gap, a duplicated one
//! whose second answer was lost look like one packet lost down. And a reflector that began anew looks
//! like one that went on when, before the next answer came, it counted more requests than all that
//! it had told of before: at the beginning of a session, or in a long outage on the way down.

/// Requests that may turn up between two cuts beyond those sent between them, as duplicates or because
/// they were overtaken: two seconds' worth at 50 a second. What is more is a counter that jumped.
const MAX_CROWD: u64 = 100;

/// A place in the life of a reflector's counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    /// How often the counter was seen to begin anew.
    pub(crate) epoch: u32,
    /// The counter, extended beyond its 32 bits.
    pub(crate) counter: i64,
    /// True when the counter equals the request's own number: a stateless reflector copies.
    pub(crate) copied: bool,
}

/// How a reflector's counters of one session stand to its sequence numbers. Both only grow, and wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drops {
    /// Requests received, minus the sequence number: grows by each request that was refused.
    pub(crate) refused: u32,
    /// The sequence number, minus answers sent: grows by each answer that could not be sent.
    pub(crate) unsent: u32,
}

impl Drops {
    /// What was refused and not sent since; `None` when one of both shrank.
    fn since(self, earlier: Self) -> Option<(u64, u64)> {
        let growth = |now: u32, then: u32| u64::try_from(now.wrapping_sub(then) as i32).ok();
        growth(self.refused, earlier.refused).zip(growth(self.unsent, earlier.unsent))
    }
}

/// What is known of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Sent, and no answer counts.
    Missing,
    /// Answered.
    Answered(Mark),
    /// Not part of the arithmetic: never sent, or answered too late (its counter is claimed).
    Void,
}

/// One request in the order of sending.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) fate: Fate,
    /// What the reflector had dropped by then, where its answer tells.
    pub(crate) drops: Option<Drops>,
    /// True when it belongs to the window in question.
    pub(crate) inside: bool,
}

/// The last cut before the entries, and the requests since then that have no answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Anchor {
    pub(crate) mark: Mark,
    pub(crate) drops: Option<Drops>,
    pub(crate) missing: u64,
}

/// The lost packets of one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Attribution {
    pub(crate) up: u32,
    pub(crate) down: u32,
    pub(crate) unknown: u32,
    /// Not lost on the path: the reflector refused the request or could not send the answer.
    pub(crate) dropped: u32,
}

/// An entry that is a cut: its position and counter.
pub(crate) type Cut = (usize, Mark);

/// The entries that are cuts, if everything is counted after `after`.
pub(crate) fn cuts(after: Option<Mark>, entries: &[Entry]) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = Vec::with_capacity(entries.len());
    let mut highest = after;
    for (at, entry) in entries.iter().enumerate() {
        let Fate::Answered(mark) = entry.fate else { continue };
        // What is above something that was sent later is no cut.
        while cuts.pop_if(|&mut (_, cut)| cut >= mark).is_some() {}
        if highest.is_none_or(|highest| mark > highest) {
            highest = Some(mark);
            cuts.push((at, mark));
        }
    }
    cuts
}

/// The requests between two cuts.
#[derive(Debug, Clone, Copy, Default)]
struct Segment {
    from: Option<Mark>,
    drops: Option<Drops>,
    missing: u64,
    inside: u32,
    answered: i64,
}

impl Segment {
    /// True when one answer follows the other and nothing lies between.
    fn is_plain(&self, to: Mark) -> bool {
        let next = |from: Mark| from.epoch == to.epoch && from.counter + 1 == to.counter;
        self.missing == 0 && self.answered == 0 && self.from.is_some_and(next)
    }

    /// Counters up to `to` that no answer explains; `None` when the two cuts are not of one count.
    fn unclaimed(&self, to: Mark, extra: &[Mark]) -> Option<u64> {
        let from = self.from?;
        if from.epoch != to.epoch || (from.copied && to.copied) {
            return None;
        }
        let claimed = extra.iter().filter(|&&mark| from < mark && mark < to).count() as i64;
        let between = to.counter - from.counter - 1 - self.answered - claimed;
        let unclaimed = u64::try_from(between).unwrap_or(0);
        (unclaimed <= self.missing + MAX_CROWD).then_some(unclaimed)
    }

    /// Of a segment that reaches beyond the window, only what must lie inside is named. `unclaimed`
    /// is at most what is missing.
    fn inside(&self, unclaimed: u64, to: Option<Drops>) -> Attribution {
        let since = to.zip(self.drops).and_then(|(to, from)| to.since(from));
        let (refused, unsent) = since.unwrap_or((0, 0));
        let refused = refused.min(self.missing - unclaimed);
        let unsent = unsent.min(unclaimed);
        let outside = self.missing - u64::from(self.inside);
        let named = |total: u64| total.saturating_sub(outside) as u32;
        let up = named(self.missing - unclaimed - refused);
        let down = named(unclaimed - unsent);
        let dropped = named(refused + unsent);
        Attribution { up, down, unknown: self.inside - up - down - dropped, dropped }
    }
}

/// How far requests were seen to overtake each other: the longest way from one cut to the next with
/// answers in between. `cuts` are all there are.
pub(crate) fn reach(entries: &[Entry], cuts: &[Cut]) -> usize {
    let mut begun = 0;
    let mut reach = 0;
    for &(at, _) in cuts {
        let between = entries.get(begun..at).unwrap_or_default();
        if between.iter().any(|entry| matches!(entry.fate, Fate::Answered(_))) {
            reach = reach.max(at + 1 - begun);
        }
        begun = at + 1;
    }
    reach
}

/// Names the direction of every lost packet inside the window. `cuts` are those of the entries that are
/// to be used, `reach` is how far requests overtake each other, and `extra` are counters that second or
/// late answers claimed.
///
/// Where more counters are unclaimed than requests are missing, requests of an earlier segment were
/// overtaken by a cut, or requests were duplicated and the second answers lost. Nobody can tell, so
/// as many packets that look lost up have no direction.
pub(crate) fn attribute(
    anchor: Option<Anchor>,
    entries: &[Entry],
    cuts: &[Cut],
    reach: usize,
    extra: &[Mark],
) -> Attribution {
    let segments = segments(anchor, entries, cuts);
    let answered = |entry: &Entry| matches!(entry.fate, Fate::Answered(_));
    let last_answered = entries.iter().rposition(answered).unwrap_or(0);
    let mut total = Attribution::default();
    let mut excess = 0;
    for (segment, end) in segments {
        let unclaimed = end.and_then(|(_, to)| segment.unclaimed(to, extra));
        let (Some((at, _)), Some(unclaimed)) = (end, unclaimed) else {
            total.unknown += segment.inside;
            continue;
        };
        if segment.drops.is_none() && entries[at].drops.is_some() {
            // The reflector drops, and how much it had dropped before is not known.
            total.unknown += segment.inside;
            continue;
        }
        if at + reach > last_answered {
            // Requests in front of the cut may still turn up, and some here may be from before.
            total.unknown += segment.inside;
            excess += unclaimed;
        } else if unclaimed > segment.missing {
            excess += unclaimed - segment.missing;
            total.unknown += segment.inside;
        } else {
            let found = segment.inside(unclaimed, entries[at].drops);
            total.up += found.up;
            total.down += found.down;
            total.unknown += found.unknown;
            total.dropped += found.dropped;
        }
    }
    let doubtful = total.up.min(u32::try_from(excess).unwrap_or(u32::MAX));
    total.up -= doubtful;
    total.unknown += doubtful;
    total
}

/// Splits entries at the cuts; each segment with the cut that ends it. Those that nothing is missing or
/// unclaimed in are left out.
fn segments(
    anchor: Option<Anchor>,
    entries: &[Entry],
    cuts: &[Cut],
) -> Vec<(Segment, Option<Cut>)> {
    let mut segments = Vec::new();
    let mut segment = Segment {
        from: anchor.map(|anchor| anchor.mark),
        drops: anchor.and_then(|anchor| anchor.drops),
        missing: anchor.map_or(0, |anchor| anchor.missing),
        ..Segment::default()
    };
    let mut cuts = cuts.iter().copied().peekable();
    for (at, entry) in entries.iter().enumerate() {
        match entry.fate {
            Fate::Void => {}
            Fate::Missing => {
                segment.missing += 1;
                segment.inside += u32::from(entry.inside);
            }
            Fate::Answered(_) => {
                let Some(cut) = cuts.next_if(|&(cut, _)| cut == at) else {
                    segment.answered += 1;
                    continue;
                };
                if !segment.is_plain(cut.1) {
                    segments.push((segment, Some(cut)));
                }
                let (from, drops) = (Some(cut.1), entry.drops);
                segment = Segment { from, drops, ..Segment::default() };
            }
        }
    }
    segments.push((segment, None));
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries as words: `a7` is answered with counter 7, `x` is missing inside the window, `o`
    /// outside of it, `-` was never sent.
    fn check(words: &str, extra: &[i64], [up, down, unknown]: [u32; 3]) {
        let extra: Vec<Mark> = extra.iter().copied().map(mark).collect();
        let expected = Attribution { up, down, unknown, dropped: 0 };
        assert_eq!(told(&entries(words), &extra), expected, "{words}");
    }

    /// The same with answers like `a7/2/1` that tell of requests refused and answers not sent so far:
    /// up, down, unknown, dropped.
    fn check_drops(words: &str, [up, down, unknown, dropped]: [u32; 4]) {
        let expected = Attribution { up, down, unknown, dropped };
        assert_eq!(told(&entries(words), &[]), expected, "{words}");
    }

    fn told(entries: &[Entry], extra: &[Mark]) -> Attribution {
        let cuts = cuts(None, entries);
        attribute(None, entries, &cuts, reach(entries, &cuts), extra)
    }

    const fn mark(counter: i64) -> Mark {
        Mark { epoch: 0, counter, copied: false }
    }

    fn entries(words: &str) -> Vec<Entry> {
        let entry = |word: &str| match word.strip_prefix('a') {
            Some(answer) => {
                let mut numbers = answer.split('/').map(|number| number.parse::<u32>().unwrap());
                let fate = Fate::Answered(mark(numbers.next().unwrap().into()));
                let drops = numbers.next().zip(numbers.next());
                let drops = drops.map(|(refused, unsent)| Drops { refused, unsent });
                Entry { fate, drops, inside: true }
            }
            None if word == "-" => Entry { fate: Fate::Void, drops: None, inside: true },
            None => Entry { fate: Fate::Missing, drops: None, inside: word == "x" },
        };
        words.split(' ').map(entry).collect()
    }

    #[test]
    fn what_the_reflector_dropped_was_not_lost_on_the_path() {
        check_drops("a0/5/3 x a1/6/3", [0, 0, 0, 1]);
        check_drops("a0/5/3 x a2/5/4", [0, 0, 0, 1]);
        check_drops("a0/0/0 x x x x a3/1/1", [1, 1, 0, 2]);
        check_drops("a0/0/0 x a1", [1, 0, 0, 0]);
        check_drops("a0 x a1/7/7", [0, 0, 1, 0]);
        // Counters that shrink or tell of more than is missing are about something else.
        check_drops("a0/5/3 x a1/4/3", [1, 0, 0, 0]);
        check_drops("a0/4294967295/0 x x a1/0/0", [1, 0, 0, 1]);
        // Of a gap that two windows share only what must lie inside is named.
        check_drops("a0/0/0 o x a1/1/0", [0, 0, 1, 0]);
        check_drops("a0/0/0 o x a1/2/0", [0, 0, 0, 1]);
    }

    #[test]
    fn gaps_of_the_counter_tell_the_direction() {
        check("a0 x a1", &[], [1, 0, 0]);
        check("a0 x a2", &[], [0, 1, 0]);
        check("a5 x x x a7", &[], [2, 1, 0]);
        check("a0 - x a1", &[], [1, 0, 0]);
        check("a0 x x a1 x a3", &[], [2, 1, 0]);
    }

    #[test]
    fn what_no_later_answer_settles_has_no_direction() {
        check("a0 x", &[], [0, 0, 1]);
        check("x a0 a1", &[], [0, 0, 1]);
        check("x x", &[], [0, 0, 2]);
    }

    #[test]
    fn of_a_gap_that_two_windows_share_only_the_certain_is_named() {
        check("a0 o x a1", &[], [1, 0, 0]);
        check("a0 o x a3", &[], [0, 1, 0]);
        check("a0 o x a2", &[], [0, 0, 1]);
        check("a0 o x x a2", &[], [1, 0, 1]);
    }

    #[test]
    fn a_counter_that_a_second_answer_explains_is_no_loss() {
        check("a0 x a2", &[1], [1, 0, 0]);
        check("a0 a2", &[1], [0, 0, 0]);
    }

    #[test]
    fn overtaking_is_no_loss_and_what_it_hides_has_no_direction() {
        check("a1 a0 a2", &[], [0, 0, 0]);
        check("a0 x a1 a3", &[], [0, 0, 1]);
        check("a0 x a3 a4", &[], [0, 0, 1]);
        check("a0 x a900 a901", &[], [0, 0, 1]);
    }

    #[test]
    fn a_counter_that_began_anew_or_copies_has_no_direction() {
        let entry = |epoch, counter, copied| Entry {
            fate: Fate::Answered(Mark { epoch, counter, copied }),
            drops: None,
            inside: true,
        };
        let lost = Entry { fate: Fate::Missing, drops: None, inside: true };
        let unknown = Attribution { unknown: 1, ..Attribution::default() };
        let anew = [entry(0, 7, false), lost, entry(1, 0, false)];
        assert_eq!(told(&anew, &[]), unknown);
        let copies = [entry(0, 16, true), lost, entry(0, 18, true)];
        assert_eq!(told(&copies, &[]), unknown);
    }
}
