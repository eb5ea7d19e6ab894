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
//! One case cannot be told apart by anybody: a request lost up and, in the same gap, a duplicated one
//! whose second answer was lost look like one packet lost down.

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
    /// True when it belongs to the window in question.
    pub(crate) inside: bool,
}

/// The last cut before the entries, and the requests since then that have no answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Anchor {
    pub(crate) mark: Mark,
    pub(crate) missing: u64,
}

/// The lost packets of one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Attribution {
    pub(crate) up: u32,
    pub(crate) down: u32,
    pub(crate) unknown: u32,
}

/// The positions of the entries that are cuts.
pub(crate) fn cuts(after: Option<Mark>, entries: &[Entry]) -> Vec<(usize, Mark)> {
    let mut cuts = Vec::new();
    let mut lowest_behind: Option<Mark> = None;
    for (at, entry) in entries.iter().enumerate().rev() {
        let Fate::Answered(mark) = entry.fate else { continue };
        if lowest_behind.is_none_or(|lowest| mark < lowest) {
            cuts.push((at, mark));
            lowest_behind = Some(mark);
        }
    }
    cuts.reverse();
    // The lowest from behind ascend already; each must also be above everything in front of it.
    let mut highest = after;
    let mut walked = 0;
    cuts.retain(|&(at, mark)| {
        for entry in &entries[walked..at] {
            if let Fate::Answered(mark) = entry.fate {
                highest = highest.max(Some(mark));
            }
        }
        walked = at;
        highest.is_none_or(|highest| mark > highest)
    });
    cuts
}

/// The requests between two cuts.
#[derive(Debug, Clone, Copy, Default)]
struct Segment {
    from: Option<Mark>,
    missing: u64,
    inside: u32,
    answered: i64,
}

impl Segment {
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

    /// Of a segment that reaches beyond the window, only what must lie inside is named.
    fn inside(&self, unclaimed: u64) -> Attribution {
        let (inside, down) = (u64::from(self.inside), unclaimed.min(self.missing));
        let (up, outside) = (self.missing - down, self.missing - inside);
        let up_inside = if down == 0 { inside } else { up.saturating_sub(outside) };
        let down_inside = if up == 0 { inside } else { down.saturating_sub(outside) };
        Attribution {
            up: up_inside as u32,
            down: down_inside as u32,
            unknown: (inside - up_inside - down_inside) as u32,
        }
    }
}

/// Names the direction of every lost packet inside the window. `extra` are counters that second or
/// late answers claimed.
///
/// Where more counters are unclaimed than requests are missing, requests of an earlier segment were
/// overtaken by a cut, or requests were duplicated and the second answers lost. Nobody can tell, so
/// as many packets that look lost up have no direction.
pub(crate) fn attribute(anchor: Option<Anchor>, entries: &[Entry], extra: &[Mark]) -> Attribution {
    let (segments, reach) = segments(anchor, entries);
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
        if at + reach > last_answered {
            // Requests in front of the cut may still turn up, and some here may be from before.
            total.unknown += segment.inside;
            excess += unclaimed;
        } else if unclaimed > segment.missing {
            excess += unclaimed - segment.missing;
            total.unknown += segment.inside;
        } else {
            let found = segment.inside(unclaimed);
            total.up += found.up;
            total.down += found.down;
            total.unknown += found.unknown;
        }
    }
    let doubtful = total.up.min(u32::try_from(excess).unwrap_or(u32::MAX));
    total.up -= doubtful;
    total.unknown += doubtful;
    total
}

/// Splits entries at the cuts; each segment with the place and counter of the cut that ends it. Also
/// tells how far requests were seen to overtake each other.
#[expect(clippy::type_complexity, reason = "a list of pairs that one caller takes apart at once")]
fn segments(
    anchor: Option<Anchor>,
    entries: &[Entry],
) -> (Vec<(Segment, Option<(usize, Mark)>)>, usize) {
    let mut segments = Vec::new();
    let (mut reach, mut begun) = (0, 0);
    let mut segment = Segment {
        from: anchor.map(|anchor| anchor.mark),
        missing: anchor.map_or(0, |anchor| anchor.missing),
        ..Segment::default()
    };
    let mut cuts = cuts(segment.from, entries).into_iter().peekable();
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
                if segment.answered > 0 {
                    reach = reach.max(at - begun);
                }
                segments.push((segment, Some(cut)));
                segment = Segment { from: Some(cut.1), ..Segment::default() };
                begun = at;
            }
        }
    }
    segments.push((segment, None));
    (segments, reach)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries as words: `a7` is answered with counter 7, `x` is missing inside the window, `o`
    /// outside of it, `-` was never sent.
    fn check(words: &str, extra: &[i64], [up, down, unknown]: [u32; 3]) {
        let mark = |counter| Mark { epoch: 0, counter, copied: false };
        let entry = |word: &str| match word.strip_prefix('a') {
            Some(counter) => {
                Entry { fate: Fate::Answered(mark(counter.parse().unwrap())), inside: true }
            }
            None if word == "-" => Entry { fate: Fate::Void, inside: true },
            None => Entry { fate: Fate::Missing, inside: word == "x" },
        };
        let entries: Vec<Entry> = words.split(' ').map(entry).collect();
        let extra: Vec<Mark> = extra.iter().copied().map(mark).collect();
        assert_eq!(attribute(None, &entries, &extra), Attribution { up, down, unknown }, "{words}");
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
            inside: true,
        };
        let lost = Entry { fate: Fate::Missing, inside: true };
        let unknown = Attribution { unknown: 1, ..Attribution::default() };
        let anew = [entry(0, 7, false), lost, entry(1, 0, false)];
        assert_eq!(attribute(None, &anew, &[]), unknown);
        let copies = [entry(0, 16, true), lost, entry(0, 18, true)];
        assert_eq!(attribute(None, &copies, &[]), unknown);
    }
}
