//! What a path was like, in short, with the figures of its windows packed until somebody asks.

use std::cell::OnceCell;
use std::ops::Range;

use busyhour_model::{Combination, PathId, Slot, SlotGist, SlotStart};

use crate::codec::visit_figures;
use crate::{ErrorKind, StoreError};

/// What the figures of a quarter-hour take, roughly.
const BYTES: usize = 56;

/// Some quarter-hours of one path in short. What each of their windows was like can be asked for.
#[derive(Debug, Default)]
pub struct PathGists {
    /// The quarter-hours, ascending.
    pub gists: Vec<SlotGist>,
    /// Those of which more is known than a partition says.
    whole: Vec<Slot>,
    /// The others.
    packed: Vec<Packed>,
    bytes: Vec<u8>,
}

/// Windows of some quarter-hours of a path's day.
#[derive(Debug)]
struct Packed {
    of: (PathId, i64),
    /// The first quarter-hour, and the last.
    ends: (SlotStart, SlotStart),
    /// Where they lie.
    place: Range<usize>,
    /// What was asked for once is mostly asked for again.
    unpacked: OnceCell<Vec<(SlotStart, Combination, u32)>>,
}

impl PathGists {
    /// Those of slots, ascending.
    #[must_use]
    pub fn of_slots(slots: Vec<Slot>) -> Self {
        let gists = slots.iter().map(SlotGist::of).collect();
        Self { gists, whole: slots, ..Self::default() }
    }

    /// Adds other quarter-hours of the same path.
    pub fn merge(&mut self, mut other: Self) {
        if self.gists.is_empty() {
            *self = other;
            return;
        }
        let in_order = match (self.gists.last(), other.gists.first()) {
            (Some(last), Some(first)) => last.start < first.start,
            _ => true,
        };
        self.gists.append(&mut other.gists);
        if !in_order {
            self.gists.sort_by_key(|gist| gist.start);
        }
        self.whole.append(&mut other.whole);
        let before = self.bytes.len();
        self.bytes.append(&mut other.bytes);
        self.packed.extend(other.packed.into_iter().map(|packed| {
            let Range { start, end } = packed.place;
            Packed { place: start.saturating_add(before)..end.saturating_add(before), ..packed }
        }));
    }

    /// Makes room for so many quarter-hours.
    pub(crate) fn reserve(&mut self, gists: usize) {
        self.gists.reserve(gists);
        self.bytes.reserve(gists.saturating_mul(BYTES));
    }

    /// Adds those of some quarter-hours of a day that are asked for, and the blob with the figures of all
    /// of them.
    pub(crate) fn add_packed(
        &mut self,
        of: (PathId, i64),
        gists: &[SlotGist],
        is_asked_for: impl Fn(SlotStart) -> bool,
        body: &[u8],
    ) {
        let (Some(first), Some(last)) = (gists.first(), gists.last()) else { return };
        self.gists.reserve(gists.len());
        self.gists.extend(gists.iter().filter(|gist| is_asked_for(gist.start)));
        let begins = self.bytes.len();
        self.bytes.extend_from_slice(body);
        let place = begins..self.bytes.len();
        let ends = (first.start, last.start);
        self.packed.push(Packed { of, ends, place, unpacked: OnceCell::new() });
    }

    /// Hands out the combinations of figures of the slots with `from <= start < until`, each with how many
    /// windows of the slot had it.
    ///
    /// # Errors
    /// When what was stored cannot be read back.
    pub fn visit_figures(
        &self,
        (from, until): (SlotStart, SlotStart),
        visit: &mut dyn FnMut(SlotStart, Combination, u32),
    ) -> Result<(), StoreError> {
        let within = |start: SlotStart| from <= start && start < until;
        for slot in self.whole.iter().filter(|slot| within(slot.start)) {
            for &(combination, n) in slot.figures.combinations() {
                visit(slot.start, combination, n);
            }
        }
        let touched = |packed: &&Packed| packed.ends.0 < until && from <= packed.ends.1;
        for packed in self.packed.iter().filter(touched) {
            let all = self.unpack(packed)?;
            for &(start, combination, n) in all.iter().filter(|(start, ..)| within(*start)) {
                visit(start, combination, n);
            }
        }
        Ok(())
    }

    fn unpack<'s>(
        &self,
        packed: &'s Packed,
    ) -> Result<&'s [(SlotStart, Combination, u32)], StoreError> {
        if let Some(known) = packed.unpacked.get() {
            return Ok(known);
        }
        let body = self.bytes.get(packed.place.clone()).unwrap_or_default();
        let mut all = Vec::new();
        let add = |start, combination, n| all.push((start, combination, n));
        visit_figures(body, packed.of.0, packed.of.1, add).map_err(|error| {
            StoreError::new("read figures", ErrorKind::Corrupt).with_source(error)
        })?;
        Ok(packed.unpacked.get_or_init(|| all))
    }
}
