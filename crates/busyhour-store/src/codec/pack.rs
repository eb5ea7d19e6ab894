//! A pack: windows of one path in the order of time, column by column.
//!
//! A pack is made of rows, as [`encode_window`](super::encode_window) writes them, and gives the same
//! rows back; only that distributions are coarsened. It ends with a checksum over the path's number and
//! all of it, which every reader verifies.

#[doc(hidden)]
pub mod bench;
mod field;
mod fuzz;
mod row;
mod spread;
mod table;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;

use busyhour_model::{PathId, PathKey, UtcMicros};

use super::column::{self, Plan};
use super::window::{Circumstance, decode_circumstance, read_window};
use super::{Decoded, Decoder, Encoder, bad};
use crate::StoredWindow;
use field::{ALWAYS, BEFORE, BEHIND, Field, Guess};
use row::TableRow;
use table::Table;

pub use fuzz::fuzz_pack;

const VERSION: u8 = 1;
const WHAT: &str = "pack of windows";
const CHECKSUM_BYTES: usize = 4;

/// The most windows of a pack: nearly three days of a path that is measured all the time. It bounds
/// what reading a pack takes; whoever fills packs stays far below.
pub(crate) const MAX_PACK_ROWS: usize = 16_384;

/// A window as the journal has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    /// Where it lies in time.
    pub(crate) placed: UtcMicros,
    /// Which of those at that time.
    pub(crate) nth: u32,
    /// As `encode_circumstance` wrote it.
    pub(crate) circumstance: &'a [u8],
    /// As `encode_window` or `encode_settled` wrote it.
    pub(crate) body: &'a [u8],
}

/// The rows of a pack.
#[derive(Debug)]
pub(crate) struct UnpackedRows {
    circumstances: Vec<Vec<u8>>,
    /// All bodies, one after the other.
    bodies: Vec<u8>,
    /// Where it lies, which of those, its circumstance, and where its body ends.
    rows: Vec<(UtcMicros, u32, usize, usize)>,
}

impl UnpackedRows {
    /// The rows, in the order of the pack.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        let mut begins = 0;
        self.rows.iter().map(move |&(placed, nth, circumstance, ends)| {
            let body = self.bodies.get(begins..ends).unwrap_or_default();
            begins = ends;
            let circumstance = self.circumstances.get(circumstance).map_or(&[][..], Vec::as_slice);
            Row { placed, nth, circumstance, body }
        })
    }
}

/// Packs rows, which are in the order of time, of one path: at most [`MAX_PACK_ROWS`].
///
/// The moment when a block came takes the least when it is a whole millisecond
/// ([`to_the_millisecond`]).
///
/// # Errors
/// When a row cannot be read, or there are too many.
pub(crate) fn encode_pack(path: PathId, rows: &[Row<'_>]) -> Decoded<Vec<u8>> {
    if rows.len() > MAX_PACK_ROWS {
        return Err(bad(WHAT));
    }
    let mut table = Table::with_room(rows.len());
    let mut circumstances: Vec<&[u8]> = Vec::new();
    let mut numbers: HashMap<&[u8], usize> = HashMap::new();
    let mut before: (&[u8], usize) = (&[], 0);
    for row in rows {
        // Most windows have the circumstance of the one before.
        if circumstances.is_empty() || before.0 != row.circumstance {
            let number = *numbers.entry(row.circumstance).or_insert_with(|| {
                circumstances.push(row.circumstance);
                circumstances.len() - 1
            });
            before = (row.circumstance, number);
        }
        table.push(row, before.1)?;
    }
    let mut out = Encoder::with_version(VERSION);
    out.uint(rows.len() as u64);
    put_fields(&mut out, &table, BEFORE);
    out.uint(circumstances.len() as u64);
    for circumstance in circumstances {
        out.uint(circumstance.len() as u64);
        out.fixed(circumstance);
    }
    for which in 0..table.spreads.len() {
        spread::put(&mut out, &table, which)?;
    }
    put_fields(&mut out, &table, BEHIND);
    let mut bytes = out.into_bytes();
    let checksum = checksum(path, &bytes);
    bytes.extend_from_slice(&checksum);
    Ok(bytes)
}

/// The rows of a pack, in the order of time.
///
/// # Errors
/// When it is damaged, or of another path.
pub(crate) fn unpack_rows(bytes: &[u8], path: PathId) -> Decoded<UnpackedRows> {
    let (table, circumstances) = read_pack(bytes, path)?;
    let mut out = Encoder::default();
    let mut rows = Vec::with_capacity(table.rows);
    for row in 0..table.rows {
        table.write_row(row, &mut out);
        let (placed, nth, circumstance) = key_of(&table, row, circumstances.len())?;
        rows.push((placed, nth, circumstance, out.bytes.len()));
    }
    let circumstances = circumstances.into_iter().map(<[u8]>::to_vec).collect();
    Ok(UnpackedRows { circumstances, bodies: out.into_bytes(), rows })
}

/// The windows of a pack that lie at or after `from` and before `until`, in the order of time.
///
/// # Errors
/// When it is damaged, or of another path.
pub(crate) fn decode_pack(
    bytes: &[u8],
    path: PathId,
    key: &PathKey,
    from: UtcMicros,
    until: UtcMicros,
) -> Decoded<Vec<StoredWindow>> {
    let (table, circumstances) = read_pack(bytes, path)?;
    let mut decoded: Vec<Option<Circumstance>> = vec![None; circumstances.len()];
    let mut windows = Vec::with_capacity(table.rows);
    let (mut shape, mut parts) = (None, Vec::new());
    for row in 0..table.rows {
        let (placed, _, circumstance) = key_of(&table, row, circumstances.len())?;
        if placed < from || placed >= until {
            continue;
        }
        let (Some(shared), Some(bytes)) =
            (decoded.get_mut(circumstance), circumstances.get(circumstance))
        else {
            return Err(bad(WHAT));
        };
        let shared = match shared {
            Some(shared) => shared,
            None => shared.insert(decode_circumstance(bytes)?),
        };
        // Most windows have the shape of the one before.
        if shape.replace(table.shape(row)) != shape {
            parts = table.parts(row).collect();
        }
        let settled_up = table.settled(row).map(u32::try_from).transpose();
        let settled_up = settled_up.map_err(|_| bad(WHAT))?;
        let mut numbers = TableRow::new(&table, row, &parts);
        windows.push(read_window(&mut numbers, settled_up, placed, key, shared)?);
    }
    Ok(windows)
}

/// Where the windows of a pack lie and which of those at that time each is, in the order of time.
///
/// # Errors
/// When it is damaged, or of another path.
pub(crate) fn pack_times(bytes: &[u8], path: PathId) -> Decoded<Vec<(UtcMicros, u32)>> {
    let (mut from, rows) = begin(bytes, path)?;
    let placed = column::read(&mut from, rows)?;
    let nth = column::read(&mut from, rows)?;
    let nth = nth.into_iter().map(|nth| u32::try_from(nth).map_err(|_| bad(WHAT)));
    placed.into_iter().zip(nth).map(|(placed, nth)| Ok((UtcMicros(placed), nth?))).collect()
}

/// The moment when a block came, as packs keep it for the least: a whole millisecond, rounded down.
pub(crate) const fn to_the_millisecond(received: UtcMicros) -> UtcMicros {
    UtcMicros(received.0.saturating_sub(received.0.rem_euclid(1_000)))
}

/// Checks sum and version, and reads how many windows there are.
fn begin(bytes: &[u8], path: PathId) -> Decoded<(Decoder<'_>, usize)> {
    let (content, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(bad(WHAT))?;
    // Another layout says so, whatever its checksum is.
    let mut from = Decoder::of_version(content, VERSION, WHAT)?;
    if checksum(path, content) != *sum {
        return Err(bad(WHAT));
    }
    let rows = usize::try_from(from.uint()?).map_err(|_| from.error())?;
    if rows > MAX_PACK_ROWS { Err(from.error()) } else { Ok((from, rows)) }
}

fn checksum(path: PathId, content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&path.0.to_le_bytes());
    sum.update(content);
    sum.finalize().to_le_bytes()
}

fn read_pack(bytes: &[u8], path: PathId) -> Decoded<(Table, Vec<&[u8]>)> {
    read_parts(bytes, path, |_, _| ())
}

/// The bytes of each part of a pack.
fn sizes(bytes: &[u8], path: PathId) -> Decoded<Vec<(String, usize)>> {
    let mut sizes = Vec::new();
    let mut before = bytes.len();
    read_parts(bytes, path, |part, left| {
        let left = left + CHECKSUM_BYTES;
        sizes.push((format!("{part:?}"), before - left));
        before = left;
    })?;
    sizes.push(("checksum".to_owned(), before));
    Ok(sizes)
}

/// Reads a pack; `done` is told of each part, and how many bytes come behind it.
fn read_parts(
    bytes: &[u8],
    path: PathId,
    mut done: impl FnMut(&dyn std::fmt::Debug, usize),
) -> Decoded<(Table, Vec<&[u8]>)> {
    let (mut from, rows) = begin(bytes, path)?;
    let from = &mut from;
    let mut table = Table::of_unknown(rows);
    read_fields(from, &mut table, BEFORE, &mut done)?;
    let length = from.length()?;
    let mut circumstances = Vec::with_capacity(length);
    for _ in 0..length {
        circumstances.push(from.slice()?);
    }
    done(&"circumstances", from.rest().len());
    for which in 0..table.spreads.len() {
        spread::read(from, &mut table, which)?;
        done(&["variation up", "variation down", "round trips"].get(which), from.rest().len());
    }
    read_fields(from, &mut table, BEHIND, &mut done)?;
    from.finish((table, circumstances))
}

/// Where a window lies, which of those at that time it is, and its circumstance.
fn key_of(table: &Table, row: usize, circumstances: usize) -> Decoded<(UtcMicros, u32, usize)> {
    let nth = u32::try_from(table.at(Field::Nth, row)).map_err(|_| bad(WHAT))?;
    let circumstance =
        usize::try_from(table.at(Field::Circumstance, row)).map_err(|_| bad(WHAT))?;
    if circumstance >= circumstances {
        return Err(bad(WHAT));
    }
    Ok((UtcMicros(table.at(Field::Placed, row)), nth, circumstance))
}

fn put_fields(out: &mut Encoder, table: &Table, fields: &[(Field, u64, &[Guess])]) {
    let all: Vec<usize> = (0..table.rows).collect();
    let (of_all, of_some) = table.shapes();
    for &(field, bit, guesses) in fields {
        if bit == ALWAYS || of_all & bit != 0 {
            put_guessed(out, table, &all, guesses, table.column(field));
        } else if of_some & bit != 0 {
            let rows: Vec<usize> = (0..table.rows).filter(|&row| table.has(row, bit)).collect();
            put_guessed(out, table, &rows, guesses, table.column(field));
        }
    }
}

fn read_fields(
    from: &mut Decoder<'_>,
    table: &mut Table,
    fields: &[(Field, u64, &[Guess])],
    done: &mut impl FnMut(&dyn std::fmt::Debug, usize),
) -> Decoded<()> {
    let mut shapes = table.shapes();
    for &(field, bit, guesses) in fields {
        if bit == ALWAYS || shapes.0 & bit != 0 {
            let (guess, mut numbers) = read_guessed(from, table.rows, guesses)?;
            match guess {
                Guess::Nothing => {}
                // Guessed from numbers of the same field.
                Guess::NextSequence => {
                    for (row, number) in numbers.iter_mut().enumerate() {
                        *number = table.guess(guess, row).wrapping_add(*number);
                        table.set_one(field, row, *number);
                    }
                }
                _ => {
                    for (row, number) in numbers.iter_mut().enumerate() {
                        *number = table.guess(guess, row).wrapping_add(*number);
                    }
                }
            }
            table.set(field, numbers);
            if field == Field::Shape {
                shapes = table.shapes();
            }
        } else if shapes.1 & bit != 0 {
            let rows: Vec<usize> = (0..table.rows).filter(|&row| table.has(row, bit)).collect();
            let (guess, numbers) = read_guessed(from, rows.len(), guesses)?;
            for (&row, off) in rows.iter().zip(numbers) {
                table.set_one(field, row, table.guess(guess, row).wrapping_add(off));
            }
        }
        done(&field, from.rest().len());
    }
    Ok(())
}

/// Writes a number of the windows `rows` as how far the best of the guesses is off; `numbers` are of all
/// windows.
fn put_guessed(
    out: &mut Encoder,
    table: &Table,
    rows: &[usize],
    guesses: &[Guess],
    numbers: &[i64],
) {
    if rows.is_empty() {
        return;
    }
    let some: Vec<i64>;
    let numbers = if rows.len() == numbers.len() {
        numbers
    } else {
        some = rows.iter().filter_map(|&row| numbers.get(row).copied()).collect();
        &some
    };
    let mut best: Option<(Plan, u8, Cow<'_, [i64]>)> = None;
    for (choice, &guess) in (0u8..).zip(guesses) {
        let off: Cow<'_, [i64]> = if guess == Guess::Nothing {
            numbers.into()
        } else {
            let off =
                |(&number, &row): (&i64, &usize)| number.wrapping_sub(table.guess(guess, row));
            numbers.iter().zip(rows).map(off).collect()
        };
        let plan = Plan::of(&off);
        if best.as_ref().is_none_or(|(best, ..)| plan.cost < best.cost) {
            best = Some((plan, choice, off));
        }
        if plan.is_constant() {
            break;
        }
    }
    if let Some((plan, choice, off)) = best {
        if guesses.len() > 1 {
            out.byte(choice);
        }
        plan.write(out, &off);
    }
}

/// Reads a number of `count` windows: what it is guessed to be, and how far off that is for each.
fn read_guessed(
    from: &mut Decoder<'_>,
    count: usize,
    guesses: &[Guess],
) -> Decoded<(Guess, Vec<i64>)> {
    let choice = if guesses.len() > 1 && count > 0 { from.byte()? } else { 0 };
    let guess = *guesses.get(usize::from(choice)).ok_or(from.error())?;
    Ok((guess, column::read(from, count)?))
}
