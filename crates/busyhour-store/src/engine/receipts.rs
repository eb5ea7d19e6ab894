//! Which blocks are durable: in memory, as ranges. The head has them as of the last fold, and the
//! journal's entries name those since.

use std::collections::{BTreeMap, HashMap, HashSet};

use busyhour_model::{AgentId, BlockNo, Epoch};
use rusqlite::{Connection, params};

use crate::sqlite::unreadable;

pub(super) const RECEIPTS: &str = "SELECT agent, epoch, first, last FROM receipts";

/// One spool of one agent.
type Spool = (AgentId, Epoch);

#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// Inclusive ranges by their first block; none touches or overlaps another.
    ranges: HashMap<Spool, BTreeMap<u64, u64>>,
    /// Spools that the head does not have as they are.
    changed: HashSet<Spool>,
}

impl Receipts {
    pub(super) fn load(sql: &Connection) -> rusqlite::Result<Self> {
        let mut receipts = Self::default();
        let mut statement = sql.prepare(RECEIPTS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let agent = AgentId::from_slice(row.get_ref(0)?.as_blob()?).map_err(unreadable)?;
            let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            let spool = (agent, Epoch(number(1)?));
            receipts.ranges.entry(spool).or_default().insert(number(2)?, number(3)?);
        }
        Ok(receipts)
    }

    pub(super) fn has(&self, spool: Spool, BlockNo(block): BlockNo) -> bool {
        let range = self.ranges.get(&spool).and_then(|all| all.range(..=block).next_back());
        range.is_some_and(|(_, &last)| last >= block)
    }

    pub(super) fn add(&mut self, spool: Spool, block: BlockNo) {
        if self.has(spool, block) {
            return;
        }
        let BlockNo(block) = block;
        let ranges = self.ranges.entry(spool).or_default();
        let before = ranges.range(..block).next_back().map(|(&first, &last)| (first, last));
        let first = match before {
            Some((first, last)) if last.checked_add(1) == Some(block) => first,
            _ => block,
        };
        let after = block.checked_add(1).and_then(|next| ranges.remove(&next));
        ranges.insert(first, after.unwrap_or(block));
        self.changed.insert(spool);
    }

    pub(super) fn of(&self, spool: Spool) -> Vec<(BlockNo, BlockNo)> {
        let ranges = self.ranges.get(&spool).into_iter().flatten();
        ranges.map(|(&first, &last)| (BlockNo(first), BlockNo(last))).collect()
    }

    pub(super) fn forget(&mut self, agent: AgentId) {
        self.ranges.retain(|(of, _), _| *of != agent);
        self.changed.retain(|(of, _)| *of != agent);
    }

    /// What the head does not have.
    pub(super) fn changed(&self) -> Vec<(Spool, Vec<(BlockNo, BlockNo)>)> {
        self.changed.iter().map(|&spool| (spool, self.of(spool))).collect()
    }

    /// The head has what [`Self::changed`] gave.
    pub(super) fn stored(&mut self, changed: &[(Spool, Vec<(BlockNo, BlockNo)>)]) {
        for (spool, ranges) in changed {
            if self.of(*spool) == *ranges {
                self.changed.remove(spool);
            }
        }
    }
}

/// Brings the head's receipts of some spools up to date.
pub(super) fn store(
    sql: &Connection,
    changed: &[(Spool, Vec<(BlockNo, BlockNo)>)],
) -> rusqlite::Result<()> {
    let mut delete = sql.prepare_cached("DELETE FROM receipts WHERE agent = ?1 AND epoch = ?2")?;
    let mut put = sql.prepare_cached("INSERT INTO receipts VALUES (?1, ?2, ?3, ?4)")?;
    for ((agent, epoch), ranges) in changed {
        let (agent, epoch) = (agent.to_bytes(), epoch.0.cast_signed());
        delete.execute(params![agent, epoch])?;
        for (first, last) in ranges {
            put.execute(params![agent, epoch, first.0.cast_signed(), last.0.cast_signed()])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPOOL: Spool = (AgentId::from_u128(1), Epoch(2));

    fn ranges(blocks: &[u64]) -> Vec<(u64, u64)> {
        let mut receipts = Receipts::default();
        for &block in blocks {
            receipts.add(SPOOL, BlockNo(block));
            assert!(receipts.has(SPOOL, BlockNo(block)));
        }
        receipts.of(SPOOL).into_iter().map(|(first, last)| (first.0, last.0)).collect()
    }

    #[test]
    fn ranges_that_touch_become_one() {
        assert_eq!(ranges(&[5, 7, 6]), [(5, 7)]);
        assert_eq!(ranges(&[5, 5, 9, 3]), [(3, 3), (5, 5), (9, 9)]);
        assert_eq!(ranges(&[2, 1, 0]), [(0, 2)]);
    }

    #[test]
    fn the_highest_number_does_not_touch_the_lowest() {
        assert_eq!(ranges(&[u64::MAX, 0, u64::MAX - 1]), [(0, 0), (u64::MAX - 1, u64::MAX)]);
    }
}
