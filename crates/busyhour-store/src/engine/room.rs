//! How many windows of a path may lie in one slot.

use std::collections::HashMap;

use busyhour_model::{PathId, SlotStart};

use super::numbers::NumberMap;
use super::{Engine, tallies};
use crate::StoreError;

/// Windows of a path in a slot: one a second. Schedules ask for one in 15 s, so that a path that several
/// sessions measure, or one that two spools deliver, stays far below; and six hours of a path, which are
/// stored and decoded as one, stay within what that is made for.
pub(super) const MAX_WINDOWS_A_SLOT: u32 = 900;

/// How many windows the newest slot of each path got since the store was opened.
#[derive(Debug, Default)]
pub(super) struct NewestSlots(NumberMap<PathId, (SlotStart, u32)>);

impl NewestSlots {
    /// The count of a slot that is a path's newest.
    pub(super) fn count(&mut self, path: PathId, slot: SlotStart) -> &mut u32 {
        let newest = self.0.entry(path).or_insert((slot, 0));
        if newest.0 != slot {
            *newest = (slot, 0);
        }
        &mut newest.1
    }

    pub(super) fn paths(&self) -> usize {
        self.0.len()
    }
}

/// How many windows slots before the newest hold, as far as a transaction asked; agents choose which.
pub(super) type LateSlots = HashMap<(PathId, SlotStart), u32>;

/// The valid windows of a slot, wherever they lie.
pub(super) fn valid_windows(
    engine: &Engine,
    path: PathId,
    slot: SlotStart,
) -> Result<u32, StoreError> {
    let mut valid: u32 = 0;
    tallies::visit(engine, &[path], (slot, slot.offset(1)), &mut |day| {
        for (start, (windows, _)) in (0..).map(|nth| day.first.offset(nth)).zip(day.slots) {
            if start == slot {
                valid = valid.saturating_add(*windows);
            }
        }
    })?;
    Ok(valid)
}
