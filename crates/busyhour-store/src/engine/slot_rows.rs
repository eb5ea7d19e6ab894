//! How slots lie in a partition: rows of path-days.

use busyhour_model::{PathId, Slot, SlotGist, SlotStart};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use crate::SlotDetail;
use crate::codec::{
    Room, SLOTS_A_DAY, Tallies, bad, decode_counts, decode_figures, decode_sketches,
    decode_spreads, decode_tallies, encode_counts, encode_figures, encode_sketches, encode_spreads,
    encode_tallies,
};
use crate::sqlite::{PartitionId, unreadable};

/// Days have eight numbers in a week, so that a path's are neighbours and found by arithmetic.
const DAYS_A_PATH: i64 = 8;
const DAY: i64 = SLOTS_A_DAY as i64;
/// Details lie in four parts of a day: a fold writes again only those it adds to.
const PARTS: i64 = 4;

pub(super) const COUNTS: &str =
    "SELECT id, body FROM counts WHERE id >= ?1 AND id < ?2 ORDER BY id";
pub(super) const TALLIES: &str =
    "SELECT id, body FROM tallies WHERE id >= ?1 AND id < ?2 ORDER BY id";
pub(super) const DETAILS: &str = "SELECT figures, sketches FROM details WHERE id = ?1";
pub(super) const FIGURES: &str = "SELECT figures FROM details WHERE id = ?1";
pub(super) const FIGURES_OF_DAYS: &str =
    "SELECT id, figures FROM details WHERE id >= ?1 AND id < ?2 ORDER BY id";
pub(super) const SPREADS: &str =
    "SELECT id, body FROM spreads WHERE id >= ?1 AND id < ?2 ORDER BY id";
pub(super) const COUNTS_OF_DAY: &str = "SELECT body FROM counts WHERE id = ?1";
pub(super) const TALLIES_OF_DAY: &str = "SELECT body FROM tallies WHERE id = ?1";
pub(super) const NEXT: &str = "SELECT id FROM counts WHERE id > ?1 ORDER BY id LIMIT 1";

/// Where one path's day lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowId(pub(super) i64);

impl RowId {
    pub(super) fn of(path: PathId, partition: PartitionId, day: i64) -> Self {
        Self(path.0.saturating_mul(DAYS_A_PATH).saturating_add(day - partition.first_day()))
    }

    /// The rows of a path, and the first after them.
    pub(super) const fn all_of(path: PathId) -> (Self, Self) {
        let first = path.0.saturating_mul(DAYS_A_PATH);
        (Self(first), Self(first.saturating_add(DAYS_A_PATH)))
    }

    pub(super) const fn path(self) -> PathId {
        PathId(self.0.div_euclid(DAYS_A_PATH))
    }

    pub(super) fn day(self, partition: PartitionId) -> i64 {
        partition.first_day() + self.0.rem_euclid(DAYS_A_PATH)
    }

    /// The row of a part's details.
    pub(super) const fn details(self, part: i64) -> i64 {
        self.0.saturating_mul(PARTS).saturating_add(part)
    }

    /// Which part a row of details is of.
    pub(super) const fn part_of_details(id: i64) -> i64 {
        id.rem_euclid(PARTS)
    }

    /// The day that a row of details belongs to.
    pub(super) const fn of_details(id: i64) -> Self {
        Self(id.div_euclid(PARTS))
    }
}

/// Some of the parts of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts(u8);

impl Parts {
    pub(super) const ALL: Self = Self((1 << PARTS) - 1);

    /// The parts that slots lie in.
    pub(super) fn of(slots: impl Iterator<Item = SlotStart>) -> Self {
        Self(slots.fold(0, |parts, start| parts | 1 << part_of(start)))
    }

    /// Those of them that any of some slots lies in.
    pub(super) fn of_those<S: Begins>(self, slots: &[S]) -> Self {
        let held = Self::of(slots.iter().map(Begins::begins));
        Self(self.0 & held.0)
    }

    pub(super) const fn has(self, part: i64) -> bool {
        self.0 & (1 << part) != 0
    }

    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn without(self, part: i64) -> Self {
        Self(self.0 & !(1 << part))
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The first one.
    pub(super) const fn first(self) -> Option<i64> {
        if self.0 == 0 { None } else { Some(self.0.trailing_zeros() as i64) }
    }

    /// The first one, and the first after the last.
    pub(super) const fn ends(self) -> (i64, i64) {
        let until = (u8::BITS - self.0.leading_zeros()) as i64;
        let first = if self.0 == 0 { until } else { self.0.trailing_zeros() as i64 };
        (first, until)
    }

    /// The parts of a day that lie in a span.
    pub(super) fn within(day: i64, (from, until): (SlotStart, SlotStart)) -> Self {
        let touched = |part: &i64| {
            let first = first_of(day).offset(part * DAY / PARTS);
            first < until && first.offset(DAY / PARTS) > from
        };
        Self((0..PARTS).filter(touched).fold(0, |parts, part| parts | 1 << part))
    }
}

const fn part_of(start: SlotStart) -> i64 {
    start.number().rem_euclid(DAY) * PARTS / DAY
}

/// What begins at a quarter-hour.
pub(super) trait Begins {
    fn begins(&self) -> SlotStart;
}

impl Begins for Slot {
    fn begins(&self) -> SlotStart {
        self.start
    }
}

impl Begins for SlotGist {
    fn begins(&self) -> SlotStart {
        self.start
    }
}

/// The slots of a part, among those of a day.
pub(super) fn part_mut<S: Begins>(slots: &mut [S], part: i64) -> &mut [S] {
    let from = slots.partition_point(|slot| part_of(slot.begins()) < part);
    let until = slots.partition_point(|slot| part_of(slot.begins()) <= part);
    &mut slots[from..until]
}

/// Reads path-days of one partition.
pub(super) struct Reader<'s> {
    partition: PartitionId,
    detail: SlotDetail,
    counts: CachedStatement<'s>,
    details: CachedStatement<'s>,
    room: Room,
}

impl<'s> Reader<'s> {
    pub(super) fn new(
        sql: &'s Connection,
        partition: PartitionId,
        detail: SlotDetail,
    ) -> rusqlite::Result<Self> {
        let (counts, details) = (sql.prepare_cached(COUNTS)?, details(sql, detail)?);
        Ok(Self { partition, detail, counts, details, room: Room::default() })
    }

    /// Adds a path's slots of the days that a span touches; those beyond it may lack details.
    pub(super) fn read(
        &mut self,
        path: PathId,
        span: (SlotStart, SlotStart),
        slots: &mut Vec<Slot>,
    ) -> rusqlite::Result<()> {
        let first = day_of(span.0).max(self.partition.first_day());
        let last = day_of(span.1.offset(-1)).min(self.partition.until_day() - 1);
        let (first, end) = (
            RowId::of(path, self.partition, first),
            RowId::of(path, self.partition, last.saturating_add(1)),
        );
        let mut rows = self.counts.query(params![first.0, end.0])?;
        while let Some(row) = rows.next()? {
            let id = RowId(row.get(0)?);
            let day = id.day(self.partition);
            let body = row.get_ref(1)?.as_blob()?;
            let room = &mut self.room;
            let mut found = decode_counts(body, path, day, room).map_err(unreadable)?;
            let (parts, details) = (Parts::within(day, span), &mut self.details);
            put_details((details, self.detail), id, (path, day), parts, &mut found, room)?;
            if slots.is_empty() {
                *slots = found;
            } else {
                slots.append(&mut found);
            }
        }
        Ok(())
    }
}

fn details(sql: &Connection, detail: SlotDetail) -> rusqlite::Result<CachedStatement<'_>> {
    sql.prepare_cached(match detail {
        SlotDetail::Counts | SlotDetail::Figures => FIGURES,
        SlotDetail::Sketches | SlotDetail::All => DETAILS,
    })
}

/// Adds details to the slots of a day, in those parts.
fn put_details(
    (statement, detail): (&mut CachedStatement<'_>, SlotDetail),
    id: RowId,
    (path, day): (PathId, i64),
    parts: Parts,
    slots: &mut [Slot],
    room: &mut Room,
) -> rusqlite::Result<()> {
    if detail == SlotDetail::Counts {
        return Ok(());
    }
    for part in (0..PARTS).filter(|&part| parts.has(part)) {
        let of_part = part_mut(slots, part);
        if of_part.is_empty() {
            continue;
        }
        let mut rows = statement.query([id.details(part)])?;
        let Some(row) = rows.next()? else {
            return Err(unreadable(bad("slots without details")));
        };
        if detail != SlotDetail::Sketches {
            let figures = row.get_ref(0)?.as_blob()?;
            decode_figures(figures, path, day, of_part, room).map_err(unreadable)?;
        }
        if detail != SlotDetail::Figures {
            let sketches = row.get_ref(1)?.as_blob()?;
            decode_sketches(sketches, path, day, of_part).map_err(unreadable)?;
        }
    }
    Ok(())
}

/// Reads the slots of one day, those of some parts with details.
pub(super) fn read_day(
    sql: &Connection,
    id: RowId,
    (path, day): (PathId, i64),
    parts: Parts,
) -> rusqlite::Result<Vec<Slot>> {
    let mut room = Room::default();
    let slots = sql
        .prepare_cached(COUNTS_OF_DAY)?
        .query_row([id.0], |row| {
            decode_counts(row.get_ref(0)?.as_blob()?, path, day, &mut room).map_err(unreadable)
        })
        .optional()?;
    let Some(mut slots) = slots else { return Ok(Vec::new()) };
    let mut details = details(sql, SlotDetail::All)?;
    let what = (&mut details, SlotDetail::All);
    put_details(what, id, (path, day), parts, &mut slots, &mut room)?;
    Ok(slots)
}

/// Writes the slots of one day; details only of some parts, as the others are as they were.
pub(super) fn write_day(
    sql: &Connection,
    id: RowId,
    (path, day): (PathId, i64),
    parts: Parts,
    slots: &[Slot],
) -> rusqlite::Result<()> {
    if slots.is_empty() {
        return Ok(());
    }
    sql.prepare_cached("INSERT OR REPLACE INTO tallies VALUES (?1, ?2)")?
        .execute(params![id.0, encode_tallies(path, day, &tallies_of(slots))])?;
    sql.prepare_cached("INSERT OR REPLACE INTO counts VALUES (?1, ?2, ?3)")?.execute(params![
        id.0,
        slots.len() as i64,
        encode_counts(path, day, slots)
    ])?;
    let mut put = sql.prepare_cached("INSERT OR REPLACE INTO details VALUES (?1, ?2, ?3)")?;
    let mut spread = sql.prepare_cached("INSERT OR REPLACE INTO spreads VALUES (?1, ?2)")?;
    for part in (0..PARTS).filter(|&part| parts.has(part)) {
        let from = slots.partition_point(|slot| part_of(slot.start) < part);
        let until = slots.partition_point(|slot| part_of(slot.start) <= part);
        let Some(of_part) = slots.get(from..until).filter(|some| !some.is_empty()) else {
            continue;
        };
        put.execute(params![
            id.details(part),
            encode_figures(path, day, of_part),
            encode_sketches(path, day, of_part)
        ])?;
        spread.execute(params![id.details(part), encode_spreads(path, day, of_part)])?;
    }
    Ok(())
}

/// Valid and bad windows of each quarter-hour of a day.
pub(super) fn tallies_of(slots: &[Slot]) -> Tallies {
    let mut tallies = [(0, 0); SLOTS_A_DAY];
    for slot in slots {
        let place = usize::try_from(slot.start.number().rem_euclid(DAY)).unwrap_or(0);
        if let Some(tally) = tallies.get_mut(place) {
            *tally = (slot.valid, slot.bad);
        }
    }
    tallies
}

/// Checks that a day's tallies are those of its slots.
pub(super) fn check_tallies(
    sql: &Connection,
    id: RowId,
    (path, day): (PathId, i64),
    slots: &[Slot],
) -> rusqlite::Result<()> {
    let found = sql.prepare_cached(TALLIES_OF_DAY)?.query_row([id.0], |row| {
        decode_tallies(row.get_ref(0)?.as_blob()?, path, day).map_err(unreadable)
    })?;
    if found == tallies_of(slots) {
        Ok(())
    } else {
        Err(unreadable(bad("tallies that are not those of the slots")))
    }
}

/// Checks that how windows are told to be spread on a day follows from its slots.
pub(super) fn check_spreads(
    sql: &Connection,
    id: RowId,
    (path, day): (PathId, i64),
    slots: &[Slot],
) -> rusqlite::Result<()> {
    let expected: Vec<SlotGist> = slots.iter().map(SlotGist::of).collect();
    let mut found: Vec<SlotGist> =
        slots.iter().map(|slot| SlotGist::of_counts(slot.start, slot.counts)).collect();
    let mut statement = sql.prepare_cached(SPREADS)?;
    let mut rows = statement.query(params![id.details(0), id.details(PARTS)])?;
    let mut room = Room::default();
    while let Some(row) = rows.next()? {
        let own = part_mut(&mut found, RowId::part_of_details(row.get(0)?));
        let body = row.get_ref(1)?.as_blob()?;
        decode_spreads(body, path, day, own, &mut room).map_err(unreadable)?;
    }
    if found == expected {
        Ok(())
    } else {
        Err(unreadable(bad("spreads that are not those of the slots")))
    }
}

/// The path-days of a partition, one after the other.
pub(super) fn next_row(sql: &Connection, after: RowId) -> rusqlite::Result<Option<RowId>> {
    sql.prepare_cached(NEXT)?.query_row([after.0], |row| row.get(0).map(RowId)).optional()
}

/// The day of UTC that a slot begins in.
pub(super) const fn day_of(start: SlotStart) -> i64 {
    start.number().div_euclid(DAY)
}

/// The first slot of a day of UTC.
pub(super) const fn first_of(day: i64) -> SlotStart {
    SlotStart::from_number(day.saturating_mul(DAY))
}
