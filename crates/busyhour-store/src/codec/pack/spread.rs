//! The distributions of many windows: what each window counts in each group of values, group by
//! group.
//!
//! Lowest and highest tell the first and the last group, so that only groups between them are written,
//! and those two with one less. One group of each window follows from the number of samples: the one
//! that is fullest over the whole pack, among those that the window may have.

use busyhour_model::Histogram;

use super::super::column;
use super::super::{Decoded, Decoder, Encoder, SMALL_BITS, SMALL_COUNT, bad};
use super::field::{DOWN, Guess, RTT, UP};
use super::table::Table;
use super::{put_guessed, read_guessed};

const WHAT: &str = "distribution of a pack";

/// How many groups there is room for at first.
const GROUPS_ON_AVERAGE: usize = 6;

/// One distribution of many windows, coarsened.
#[derive(Debug)]
pub(super) struct Spread {
    samples: Vec<i64>,
    lowest: Vec<i64>,
    /// The highest above the lowest.
    above: Vec<i64>,
    sums: Vec<i64>,
    /// Where the groups of each window end.
    ends: Vec<usize>,
    /// The occupied groups of all windows, each with its count.
    groups: Vec<(u8, i64)>,
}

impl Spread {
    pub(super) fn with_room(rows: usize) -> Self {
        let column = || Vec::with_capacity(rows);
        Self {
            samples: column(),
            lowest: column(),
            above: column(),
            sums: column(),
            ends: Vec::with_capacity(rows),
            groups: Vec::with_capacity(rows.saturating_mul(GROUPS_ON_AVERAGE)),
        }
    }

    /// Appends the distribution that a row goes on with.
    pub(super) fn push(&mut self, from: &mut Decoder<'_>) -> Decoded<()> {
        let length = from.length()?;
        if length == 0 {
            self.push_totals([0; 4]);
            return Ok(());
        }
        let lowest = from.u32()?;
        let highest = lowest.checked_add(from.u32()?).ok_or(from.error())?;
        let sum = from.uint()?;
        let begins = self.groups.len();
        let (mut bucket, mut samples) = (0u16, 0i64);
        for _ in 0..length {
            let token = from.uint()?;
            let step = u16::try_from(token >> SMALL_BITS).map_err(|_| from.error())?;
            bucket = bucket.checked_add(step).ok_or(from.error())?;
            let mut count = token & SMALL_COUNT;
            if count == SMALL_COUNT {
                count = from.uint()?.checked_add(SMALL_COUNT).ok_or(from.error())?;
            }
            let count = i64::try_from(count).ok().filter(|&n| n > 0).ok_or(from.error())?;
            samples = samples.checked_add(count).ok_or(from.error())?;
            let group = Histogram::group_of_bucket(bucket).ok_or(from.error())?;
            match self.groups.get_mut(begins..).and_then(<[_]>::last_mut) {
                Some((last, n)) if *last == group => *n += count,
                _ => self.groups.push((group, count)),
            }
        }
        let groups = self.groups.get(begins..).unwrap_or_default();
        let ends = (groups.first().map(|g| g.0), groups.last().map(|g| g.0));
        let fits = (Some(Histogram::group_of(lowest)), Some(Histogram::group_of(highest)));
        if ends != fits {
            return Err(from.error());
        }
        self.push_totals([samples, lowest.into(), (highest - lowest).into(), sum.cast_signed()]);
        Ok(())
    }

    fn push_totals(&mut self, [samples, lowest, above, sum]: [i64; 4]) {
        self.samples.push(samples);
        self.lowest.push(lowest);
        self.above.push(above);
        self.sums.push(sum);
        self.ends.push(self.groups.len());
    }

    /// Writes the distribution of a window as its row has it.
    pub(super) fn write(&self, row: usize, out: &mut Encoder) {
        let groups = self.of(row);
        out.uint(groups.len() as u64);
        if groups.is_empty() {
            return;
        }
        out.uint(self.lowest(row).cast_unsigned());
        out.uint(self.above(row).cast_unsigned());
        out.uint(self.sum(row).cast_unsigned());
        let mut previous = 0;
        for &(group, count) in groups {
            let bucket = Histogram::bucket_of_group(group).unwrap_or_default();
            let count = count.cast_unsigned();
            let small = count.min(SMALL_COUNT);
            out.uint((u64::from(bucket - previous) << SMALL_BITS) | small);
            if small == SMALL_COUNT {
                out.uint(count - SMALL_COUNT);
            }
            previous = bucket;
        }
    }

    /// The distribution of a window.
    pub(super) fn histogram(&self, row: usize) -> Decoded<Histogram> {
        let groups = self.of(row);
        if groups.is_empty() {
            return Ok(Histogram::new());
        }
        let bucket = |group: u8| Histogram::bucket_of_group(group).unwrap_or_default();
        let buckets = groups.iter().map(|&(group, n)| (bucket(group), n.cast_unsigned())).collect();
        let lowest = u32::try_from(self.lowest(row)).map_err(|_| bad(WHAT))?;
        let above = u32::try_from(self.above(row)).map_err(|_| bad(WHAT))?;
        let highest = lowest.checked_add(above).ok_or(bad(WHAT))?;
        let sum = self.sum(row).cast_unsigned();
        Histogram::from_parts(buckets, sum, lowest, highest).map_err(|_| bad(WHAT))
    }

    fn of(&self, row: usize) -> &[(u8, i64)] {
        let begins = match row.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(0),
            None => 0,
        };
        let ends = self.ends.get(row).copied().unwrap_or(begins);
        self.groups.get(begins..ends).unwrap_or_default()
    }

    pub(super) fn samples(&self, row: usize) -> i64 {
        at(&self.samples, row)
    }

    pub(super) fn lowest(&self, row: usize) -> i64 {
        at(&self.lowest, row)
    }

    /// The highest above the lowest.
    pub(super) fn above(&self, row: usize) -> i64 {
        at(&self.above, row)
    }

    pub(super) fn sum(&self, row: usize) -> i64 {
        at(&self.sums, row)
    }

    /// The mean, rounded down; 0 when empty.
    pub(super) fn mean(&self, row: usize) -> i64 {
        self.sum(row).checked_div(self.samples(row)).unwrap_or(0)
    }

    /// The sum, were each value in the middle of its group.
    pub(super) fn middles(&self, row: usize) -> i64 {
        self.of(row).iter().fold(0, |sum: i64, &(group, count)| {
            let (lowest, width) = Histogram::span_of_group(group).unwrap_or_default();
            let middle = i64::from(lowest) + i64::from(width / 2);
            sum.wrapping_add(middle.wrapping_mul(count))
        })
    }

    /// The windows that have samples.
    fn occupied(&self) -> Vec<usize> {
        (0..self.samples.len()).filter(|&row| self.samples(row) > 0).collect()
    }

    /// The first and the last group of a window that has samples.
    fn range(&self, row: usize) -> Option<(u8, u8)> {
        let lowest = u32::try_from(self.lowest(row)).ok()?;
        let highest = lowest.checked_add(u32::try_from(self.above(row)).ok()?)?;
        Some((Histogram::group_of(lowest), Histogram::group_of(highest)))
    }
}

fn at(column: &[i64], row: usize) -> i64 {
    column.get(row).copied().unwrap_or(0)
}

/// What each of the numbers of a distribution may be guessed from.
struct Guesses {
    above: &'static [Guess],
    sum: &'static [Guess],
}

const fn guesses(which: usize) -> Guesses {
    match which {
        RTT => Guesses {
            above: &[Guess::Nothing, Guess::HigherVariation],
            sum: &[Guess::Variations, Guess::Middles(RTT), Guess::Lowest],
        },
        UP => Guesses { above: &[Guess::Nothing], sum: &[Guess::Middles(UP), Guess::Nothing] },
        _ => Guesses { above: &[Guess::Nothing], sum: &[Guess::Middles(DOWN), Guess::Nothing] },
    }
}

const SAMPLES: &[Guess] = &[Guess::Received, Guess::Nothing];

/// Writes one distribution of all windows.
pub(super) fn put(out: &mut Encoder, table: &Table, which: usize) -> Decoded<()> {
    let spread = &table.spreads[which];
    let all: Vec<usize> = (0..table.rows).collect();
    put_guessed(out, table, &all, SAMPLES, &spread.samples);
    let rows = spread.occupied();
    put_guessed(out, table, &rows, &[Guess::Nothing], &spread.lowest);
    put_guessed(out, table, &rows, guesses(which).above, &spread.above);
    put_groups(out, spread, &rows)?;
    put_guessed(out, table, &rows, guesses(which).sum, &spread.sums);
    Ok(())
}

fn put_groups(out: &mut Encoder, spread: &Spread, rows: &[usize]) -> Decoded<()> {
    let mut totals = [0i64; Histogram::GROUPS];
    for &(group, count) in &spread.groups {
        let total = totals.get_mut(usize::from(group)).ok_or(bad(WHAT))?;
        *total = total.saturating_add(count);
    }
    let total = |group: u8| totals.get(usize::from(group)).copied().unwrap_or(0);
    let mut order: Vec<u8> = (0..Histogram::GROUPS as u8).filter(|&g| total(g) > 0).collect();
    order.sort_by_key(|&group| std::cmp::Reverse(total(group)));
    out.uint(order.len() as u64);
    out.fixed(&order);
    let groups = Groups::of(&order, spread, rows)?;
    let mut columns: Vec<Vec<i64>> = groups.lengths().into_iter().map(Vec::with_capacity).collect();
    for (&row, span) in rows.iter().zip(&groups.spans) {
        let mut counts = spread.of(row).iter().peekable();
        for place in span.first..=span.last {
            let (Some(&group), Some(column)) =
                (groups.ascending.get(place), columns.get_mut(place))
            else {
                return Err(bad(WHAT));
            };
            let count = counts.next_if(|&&(next, _)| next == group).map_or(0, |&(_, count)| count);
            if place != span.derived {
                column.push(count - span.least(place));
            }
        }
    }
    for column in columns {
        column::Plan::of_numbers(&column).write(out, &column);
    }
    Ok(())
}

/// The groups of a pack, and which of them each window may have.
struct Groups {
    ascending: Vec<u8>,
    spans: Vec<Span>,
}

/// The groups that a window may have, by their places among those of the pack.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: usize,
    last: usize,
    /// The group whose count follows from the others: the first in the order of the pack.
    derived: usize,
}

impl Span {
    /// What a group's count is at least: the lowest and the highest are somewhere.
    fn least(self, place: usize) -> i64 {
        i64::from(place == self.first || place == self.last)
    }
}

impl Groups {
    /// `order` has the groups of the pack, the fullest first.
    fn of(order: &[u8], spread: &Spread, rows: &[usize]) -> Decoded<Self> {
        let mut ascending = order.to_vec();
        ascending.sort_unstable();
        let mut places = [None; Histogram::GROUPS];
        for (place, &group) in ascending.iter().enumerate() {
            match places.get_mut(usize::from(group)) {
                Some(free @ None) => *free = Some(place),
                _ => return Err(bad(WHAT)),
            }
        }
        let place = |group: u8| places.get(usize::from(group)).copied().flatten();
        let order: Vec<usize> = order.iter().filter_map(|&group| place(group)).collect();
        let span = |&row: &usize| {
            let (first, last) = spread.range(row)?;
            let (first, last) = (place(first)?, place(last)?);
            let derived = order.iter().copied().find(|place| (first..=last).contains(place))?;
            Some(Span { first, last, derived })
        };
        let spans = rows.iter().map(|row| span(row).ok_or(bad(WHAT))).collect::<Decoded<_>>()?;
        Ok(Self { ascending, spans })
    }

    /// How many windows tell each group's count.
    fn lengths(&self) -> Vec<usize> {
        let mut lengths = vec![0; self.ascending.len()];
        for span in &self.spans {
            for length in lengths.get_mut(span.first..=span.last).unwrap_or_default() {
                *length += 1;
            }
            if let Some(length) = lengths.get_mut(span.derived) {
                *length -= 1;
            }
        }
        lengths
    }
}

/// Reads one distribution of all windows into the table.
pub(super) fn read(from: &mut Decoder<'_>, table: &mut Table, which: usize) -> Decoded<()> {
    let all: Vec<usize> = (0..table.rows).collect();
    table.spreads[which].samples = read_numbers(from, table, &all, SAMPLES)?;
    if table.spreads[which].samples.iter().any(|&samples| samples < 0) {
        return Err(from.error());
    }
    let rows = table.spreads[which].occupied();
    table.spreads[which].lowest = read_numbers(from, table, &rows, &[Guess::Nothing])?;
    table.spreads[which].above = read_numbers(from, table, &rows, guesses(which).above)?;
    read_groups(from, &mut table.spreads[which], &rows)?;
    table.spreads[which].sums = read_numbers(from, table, &rows, guesses(which).sum)?;
    Ok(())
}

/// Reads a number of the windows `rows`; the others have 0.
fn read_numbers(
    from: &mut Decoder<'_>,
    table: &Table,
    rows: &[usize],
    guesses: &[Guess],
) -> Decoded<Vec<i64>> {
    let (guess, mut off) = read_guessed(from, rows.len(), guesses)?;
    if rows.len() == table.rows {
        if guess != Guess::Nothing {
            for (row, number) in off.iter_mut().enumerate() {
                *number = table.guess(guess, row).wrapping_add(*number);
            }
        }
        return Ok(off);
    }
    let mut numbers = vec![0; table.rows];
    for (&row, off) in rows.iter().zip(off) {
        if let Some(number) = numbers.get_mut(row) {
            *number = table.guess(guess, row).wrapping_add(off);
        }
    }
    Ok(numbers)
}

fn read_groups(from: &mut Decoder<'_>, spread: &mut Spread, rows: &[usize]) -> Decoded<()> {
    let length = from.length()?;
    if length > Histogram::GROUPS {
        return Err(from.error());
    }
    let order = (0..length).map(|_| from.byte()).collect::<Decoded<Vec<u8>>>()?;
    let groups = Groups::of(&order, spread, rows)?;
    let mut columns = Vec::with_capacity(length);
    for (&group, length) in groups.ascending.iter().zip(groups.lengths()) {
        columns.push((group, column::read(from, length)?.into_iter()));
    }
    spread.ends = vec![0; spread.samples.len()];
    spread.groups.reserve(rows.len().saturating_mul(GROUPS_ON_AVERAGE));
    let mut counts: Vec<(u8, i64)> = Vec::with_capacity(length);
    for (&row, &span) in rows.iter().zip(&groups.spans) {
        counts.clear();
        take_counts(&mut columns, span, spread.samples(row), &mut counts)?;
        spread.groups.extend(counts.iter().filter(|&&(_, count)| count > 0));
        if let Some(end) = spread.ends.get_mut(row) {
            *end = spread.groups.len();
        }
    }
    // A window without samples ends where the one before it does.
    let mut end = 0;
    for slot in &mut spread.ends {
        end = end.max(*slot);
        *slot = end;
    }
    Ok(())
}

/// Takes the counts of a window off the columns of the groups that it may have.
fn take_counts(
    columns: &mut [(u8, std::vec::IntoIter<i64>)],
    span: Span,
    samples: i64,
    counts: &mut Vec<(u8, i64)>,
) -> Decoded<()> {
    let columns = columns.get_mut(span.first..=span.last).ok_or(bad(WHAT))?;
    let mut left = samples;
    for (place, (group, column)) in (span.first..).zip(columns) {
        let mut count = 0;
        if place != span.derived {
            count = column.next().unwrap_or(0).wrapping_add(span.least(place));
            left =
                left.checked_sub(count).filter(|_| count >= span.least(place)).ok_or(bad(WHAT))?;
        }
        counts.push((*group, count));
    }
    let derived =
        counts.get_mut(span.derived - span.first).filter(|_| left >= span.least(span.derived));
    derived.ok_or(bad(WHAT))?.1 = left;
    Ok(())
}
