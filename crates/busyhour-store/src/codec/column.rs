//! A column: numbers of one meaning, one after the other, in as few bits as one of a few simple
//! codings needs.
//!
//! The numbers themselves are coded, or their differences, or the differences of those; and each of
//! these as one number, as bits above the lowest with exceptions, as a distance from a centre, by
//! magnitude, or as exceptions from what most of them are. What each would cost is computed, and the
//! cheapest is written. How many numbers there are is known to the reader.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::bits::{BitReader, BitWriter};
use super::{Decoded, Decoder, Encoder};

/// A distance of so many steps and more is written in full.
const MAX_STEPS: u32 = 20;
/// How many values tell where the middle of all is.
const ASKED: usize = 17;
/// How many tell roughly.
const FEW: usize = 9;

/// How a column is written, and what that costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    order: Order,
    coding: Coding,
    /// Bits, headers included.
    pub(super) cost: u64,
}

/// What is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Numbers,
    Differences,
    SecondDifferences,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// All are the same.
    Constant { value: i64 },
    /// The low `width` bits of the distance above `base`; what is above them beside, in `high` bits,
    /// for `exceptions` of them.
    Packed { base: i64, width: u32, high: u32, exceptions: u64 },
    /// The distance from `centre`, signed: its part above `low` bits as steps, then those. `whole` bits
    /// where there are too many steps.
    Steps { centre: i64, low: u32, whole: u32 },
    /// The distance above `base`: how many bits it has in `lengths` bits, then all but the first.
    Magnitudes { base: i64, lengths: u32 },
    /// Most are `value`; the distances of the others, signed, in `width` bits beside their places.
    Sparse { value: i64, width: u32, exceptions: u64 },
}

impl Order {
    const fn number(self) -> u8 {
        match self {
            Self::Numbers => 0,
            Self::Differences => 1,
            Self::SecondDifferences => 2,
        }
    }

    const fn seeds(self) -> usize {
        self.number() as usize
    }
}

impl Plan {
    /// The cheapest way to write `values`.
    pub(super) fn of(values: &[i64]) -> Self {
        let numbers = Self::of_numbers(values);
        // Differences of what hardly ever changes cost more.
        if numbers.cost < 64 + values.len() as u64 {
            return numbers;
        }
        match likely_order(values) {
            Order::Numbers => numbers,
            order => numbers.or(Self::of_order(&residuals(values, order), order, values)),
        }
    }

    /// The cheapest way to write `values` that come in no order.
    pub(super) fn of_numbers(values: &[i64]) -> Self {
        Self::of_order(values, Order::Numbers, values)
    }

    fn of_order(residuals: &[i64], order: Order, values: &[i64]) -> Self {
        let (coding, cost) = Coding::of(residuals);
        let seeds = seeds(values, order);
        let cost =
            cost + 8 + seeds.iter().take(order.seeds()).map(|&seed| varint_bits(seed)).sum::<u64>();
        Self { order, coding, cost }
    }

    /// True when all values are the same.
    pub(super) const fn is_constant(&self) -> bool {
        matches!((self.order, self.coding), (Order::Numbers, Coding::Constant { .. }))
    }

    fn or(self, other: Self) -> Self {
        if other.cost < self.cost { other } else { self }
    }

    /// Writes `values`, for which this was made.
    pub(super) fn write(&self, out: &mut Encoder, values: &[i64]) {
        if values.is_empty() {
            return;
        }
        out.byte(self.order.number() | (self.coding.number() << 2));
        for &seed in seeds(values, self.order).iter().take(self.order.seeds()) {
            out.int(seed);
        }
        self.coding.write(out, &residuals(values, self.order));
    }
}

/// Room for columns that was used before: reading very many of them asks for memory but a few times.
#[derive(Debug, Default)]
pub(crate) struct Room(Vec<Vec<i64>>);

impl Room {
    /// Columns that are kept at most: more than are read at the same time.
    const MOST: usize = 32;

    fn take(&mut self) -> Vec<i64> {
        let mut column = self.0.pop().unwrap_or_default();
        column.clear();
        column
    }

    /// Takes back columns that nobody needs any more.
    pub(super) fn give(&mut self, columns: impl IntoIterator<Item = Vec<i64>>) {
        let room = Self::MOST.saturating_sub(self.0.len());
        self.0.extend(columns.into_iter().filter(|column| column.capacity() > 0).take(room));
    }
}

/// Reads `count` values.
pub(super) fn read(from: &mut Decoder<'_>, count: usize) -> Decoded<Vec<i64>> {
    read_in(from, count, &mut Room::default())
}

/// Reads `count` values into room that was used before.
pub(super) fn read_in(from: &mut Decoder<'_>, count: usize, room: &mut Room) -> Decoded<Vec<i64>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let mode = from.byte()?;
    let order = match mode & 3 {
        0 => Order::Numbers,
        1 => Order::Differences,
        2 => Order::SecondDifferences,
        _ => return Err(from.error()),
    };
    let mut seeds = [0; 2];
    for seed in seeds.iter_mut().take(order.seeds()) {
        *seed = from.int()?;
    }
    let residuals = count.checked_sub(order.seeds()).ok_or(from.error())?;
    let mut values = room.take();
    values.reserve(count);
    // Room for what is summed up below.
    values.resize(order.seeds(), 0);
    Coding::read(mode >> 2, from, residuals, &mut values)?;
    match order {
        Order::Numbers => {}
        Order::Differences => sum_up(&mut values, seeds[0]),
        Order::SecondDifferences => {
            if let Some(rest) = values.get_mut(1..) {
                sum_up(rest, seeds[1]);
            }
            sum_up(&mut values, seeds[0]);
        }
    }
    Ok(values)
}

/// Turns differences, of which the first is not one, into values beginning with `seed`.
fn sum_up(values: &mut [i64], seed: i64) {
    let mut value = seed;
    if let Some(first) = values.first_mut() {
        *first = 0;
    }
    for slot in values {
        value = value.wrapping_add(*slot);
        *slot = value;
    }
}

/// What is coded of `values`.
fn residuals(values: &[i64], order: Order) -> Cow<'_, [i64]> {
    match order {
        Order::Numbers => values.into(),
        Order::Differences => differences(values).collect(),
        Order::SecondDifferences => second_differences(values).collect(),
    }
}

fn differences(values: &[i64]) -> impl ExactSizeIterator<Item = i64> + Clone {
    values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]))
}

fn second_differences(values: &[i64]) -> impl ExactSizeIterator<Item = i64> + Clone {
    values.windows(3).map(|three| {
        let before = three[1].wrapping_sub(three[0]);
        three[2].wrapping_sub(three[1]).wrapping_sub(before)
    })
}

/// The first value and the first difference.
fn seeds(values: &[i64], order: Order) -> [i64; 2] {
    let at = |n: usize| values.get(n).copied().unwrap_or(0);
    match order {
        Order::Numbers | Order::Differences => [at(0), 0],
        Order::SecondDifferences => [at(0), at(1).wrapping_sub(at(0))],
    }
}

/// Which order is likely to cost the least.
fn likely_order(values: &[i64]) -> Order {
    let numbers = values.iter().copied();
    let costs = [
        (Order::Numbers, rough_bits(numbers)),
        (Order::Differences, rough_bits(differences(values))),
        (Order::SecondDifferences, rough_bits(second_differences(values))),
    ];
    // The first of equals.
    costs.into_iter().min_by_key(|&(_, cost)| cost).map_or(Order::Numbers, |(order, _)| order)
}

/// Roughly the bits of the distances from what is roughly the middle.
fn rough_bits(residuals: impl ExactSizeIterator<Item = i64> + Clone) -> u64 {
    let step = (residuals.len() / FEW).max(1);
    // Fewer count more than once.
    let mut few = [0; FEW];
    for (few, value) in few.iter_mut().zip(residuals.clone().step_by(step).cycle()) {
        *few = value;
    }
    let centre = median_of_few(few);
    let bits = residuals.map(|value| u64::from(length(zigzag(value.wrapping_sub(centre)))));
    bits.sum()
}

/// One of the middle three of nine numbers: the median of the medians of threes.
fn median_of_few([a, b, c, d, e, f, g, h, i]: [i64; FEW]) -> i64 {
    let median = |a: i64, b: i64, c: i64| a.min(b).max(a.max(b).min(c));
    median(median(a, b, c), median(d, e, f), median(g, h, i))
}

impl Coding {
    const fn number(self) -> u8 {
        match self {
            Self::Constant { .. } => 0,
            Self::Packed { .. } => 1,
            Self::Steps { .. } => 2,
            Self::Magnitudes { .. } => 3,
            Self::Sparse { .. } => 4,
        }
    }

    /// The cheapest coding, and its bits.
    fn of(values: &[i64]) -> (Self, u64) {
        let Some(&first) = values.first() else { return (Self::Constant { value: 0 }, 0) };
        let constant = Self::Constant { value: first };
        let (mut lowest, mut highest) = (first, first);
        for &value in values {
            lowest = lowest.min(value);
            highest = highest.max(value);
        }
        if lowest == highest {
            return (constant, varint_bits(first));
        }
        let count = values.len();
        let sparse = Self::sparse(values);
        if let Self::Sparse { exceptions, .. } = sparse.0
            && exceptions <= count as u64 / 16
        {
            return sparse;
        }
        let lengths = lengths(values, lowest);
        let longest = length(above(highest, lowest));
        let candidates = [
            Self::packed(lowest, &lengths, longest, count),
            Self::magnitudes(lowest, &lengths, longest, count),
            sparse,
            Self::steps(values),
        ];
        let mut best = candidates[0];
        for candidate in candidates {
            if candidate.1 < best.1 {
                best = candidate;
            }
        }
        best
    }

    /// `lengths` tells how many values are so many bits above `base`: at most `longest`.
    fn packed(base: i64, lengths: &Lengths, longest: u32, count: usize) -> (Self, u64) {
        let place = place_bits(count);
        let mut best = (longest, 0, whole_bytes(count as u64 * u64::from(longest)));
        let mut exceptions = 0;
        for width in (0..longest).rev() {
            exceptions += lengths.get(width as usize + 1).copied().unwrap_or(0);
            let high = u64::from(longest - width);
            let beside = uint_bits(exceptions) + whole_bytes(exceptions * (place + high));
            if beside >= best.2 {
                break;
            }
            let cost = whole_bytes(count as u64 * u64::from(width)) + beside;
            if exceptions > 0 && cost < best.2 {
                best = (width, exceptions, cost);
            }
        }
        let (width, exceptions, cost) = best;
        let high = if exceptions == 0 { 0 } else { longest - width };
        (Self::Packed { base, width, high, exceptions }, varint_bits(base) + 16 + cost)
    }

    fn magnitudes(base: i64, lengths: &Lengths, longest: u32, count: usize) -> (Self, u64) {
        let of_length = length(longest.into());
        let mut bits = count as u64 * u64::from(of_length);
        for (more, &n) in (1..).zip(lengths.iter().take(longest as usize + 1).skip(2)) {
            bits += more * n;
        }
        let cost = varint_bits(base) + 8 + whole_bytes(bits);
        (Self::Magnitudes { base, lengths: of_length }, cost)
    }

    fn sparse(values: &[i64]) -> (Self, u64) {
        let value = majority(values);
        let (mut exceptions, mut longest) = (0, 0);
        for &other in values {
            exceptions += u64::from(other != value);
            longest |= zigzag(other.wrapping_sub(value));
        }
        let width = length(longest);
        let each = place_bits(values.len()) + u64::from(width);
        let header = varint_bits(value) + 8 + uint_bits(exceptions);
        (Self::Sparse { value, width, exceptions }, header + whole_bytes(exceptions * each))
    }

    fn steps(values: &[i64]) -> (Self, u64) {
        let centre = middle(values);
        let distances: Vec<u64> =
            values.iter().map(|&value| zigzag(value.wrapping_sub(centre))).collect();
        let (longest, sum) = distances.iter().fold((0, 0u64), |(longest, sum), &distance| {
            (longest | distance, sum.saturating_add(distance))
        });
        let whole = length(longest);
        // The best is near the bits of the mean distance, less where a few are very large.
        let mean = sum / values.len() as u64;
        let highest = length(mean);
        let most = u64::from(MAX_STEPS);
        let cost = |low: u32| -> u64 {
            let each = distances.iter().map(|&distance| {
                let steps = distance >> low;
                if steps < most { steps + 1 + u64::from(low) } else { most + u64::from(whole) }
            });
            each.sum()
        };
        let mut best = (highest.min(63), cost(highest.min(63)));
        for low in (0..best.0).rev() {
            let cost = cost(low);
            if cost >= best.1 {
                break;
            }
            best = (low, cost);
        }
        let (low, cost) = best;
        (Self::Steps { centre, low, whole }, whole_bytes(cost) + varint_bits(centre) + 16)
    }

    fn write(self, out: &mut Encoder, values: &[i64]) {
        match self {
            Self::Constant { value } => out.int(value),
            Self::Packed { base, width, high, exceptions } => {
                out.int(base);
                out.byte(width as u8);
                out.byte(high as u8);
                let mut bits = BitWriter::new(out);
                for &value in values {
                    bits.put(above(value, base), width);
                }
                bits.finish();
                if high > 0 {
                    out.uint(exceptions);
                    let beside = |value| above(value, base).checked_shr(width).unwrap_or(0);
                    put_exceptions(out, values, high, beside);
                }
            }
            Self::Steps { centre, low, whole } => {
                out.int(centre);
                out.byte(low as u8);
                out.byte(whole as u8);
                let mut bits = BitWriter::new(out);
                for &value in values {
                    let distance = zigzag(value.wrapping_sub(centre));
                    let steps = distance >> low;
                    if steps < u64::from(MAX_STEPS) {
                        bits.put((1 << steps) - 1, steps as u32 + 1);
                        bits.put(distance, low);
                    } else {
                        bits.put((1 << MAX_STEPS) - 1, MAX_STEPS);
                        bits.put(distance, whole);
                    }
                }
                bits.finish();
            }
            Self::Magnitudes { base, lengths } => {
                out.int(base);
                out.byte(lengths as u8);
                let mut bits = BitWriter::new(out);
                for &value in values {
                    let distance = above(value, base);
                    bits.put(length(distance).into(), lengths);
                    bits.put(distance, length(distance).saturating_sub(1));
                }
                bits.finish();
            }
            Self::Sparse { value, width, exceptions } => {
                out.int(value);
                out.byte(width as u8);
                out.uint(exceptions);
                put_exceptions(out, values, width, |other| zigzag(other.wrapping_sub(value)));
            }
        }
    }

    /// Appends `count` values.
    fn read(number: u8, from: &mut Decoder<'_>, count: usize, into: &mut Vec<i64>) -> Decoded<()> {
        match number {
            0 => {
                let value = from.int()?;
                into.resize(into.len().saturating_add(count), value);
            }
            1 => read_packed(from, count, into)?,
            2 => read_steps(from, count, into)?,
            3 => read_magnitudes(from, count, into)?,
            4 => {
                let value = from.int()?;
                let width = width(from)?;
                let begins = into.len();
                into.resize(begins.saturating_add(count), value);
                let values = into.get_mut(begins..).unwrap_or_default();
                exceptions(from, width, values, |_, bits| value.wrapping_add(unzigzag(bits)))?;
            }
            _ => return Err(from.error()),
        }
        Ok(())
    }
}

fn read_packed(from: &mut Decoder<'_>, count: usize, into: &mut Vec<i64>) -> Decoded<()> {
    let base = from.int()?;
    let (width, high) = (width(from)?, width(from)?);
    let begins = into.len();
    let mut bits = BitReader::new(from, count, width)?;
    into.extend((0..count).map(|_| base.wrapping_add(bits.next(width).cast_signed())));
    bits.finish()?;
    if high > 0 {
        let values = into.get_mut(begins..).unwrap_or_default();
        exceptions(from, high, values, |value, bits| {
            value.wrapping_add(bits.checked_shl(width).unwrap_or(0).cast_signed())
        })?;
    }
    Ok(())
}

fn read_steps(from: &mut Decoder<'_>, count: usize, into: &mut Vec<i64>) -> Decoded<()> {
    let centre = from.int()?;
    let (low, whole) = (width(from)?, width(from)?);
    let mut bits = BitReader::new(from, count, 1)?;
    for _ in 0..count {
        let steps = bits.ones(MAX_STEPS);
        let distance = if steps < MAX_STEPS {
            u64::from(steps).checked_shl(low).unwrap_or(0) | bits.next(low)
        } else {
            bits.next(whole)
        };
        into.push(centre.wrapping_add(unzigzag(distance)));
    }
    bits.finish()
}

fn read_magnitudes(from: &mut Decoder<'_>, count: usize, into: &mut Vec<i64>) -> Decoded<()> {
    let base = from.int()?;
    let lengths = width(from)?;
    let mut bits = BitReader::new(from, count, lengths)?;
    for _ in 0..count {
        let length = bits.next(lengths).min(64) as u32;
        let distance = match length {
            0 => 0,
            length => bits.next(length - 1) | (1 << (length - 1)),
        };
        into.push(base.wrapping_add(distance.cast_signed()));
    }
    bits.finish()
}

fn put_exceptions(out: &mut Encoder, values: &[i64], width: u32, rest: impl Fn(i64) -> u64) {
    let places = place_bits(values.len()) as u32;
    let mut bits = BitWriter::new(out);
    for (place, &value) in values.iter().enumerate() {
        let rest = rest(value);
        if rest != 0 {
            bits.put(place as u64, places);
            bits.put(rest, width);
        }
    }
    bits.finish();
}

fn exceptions(
    from: &mut Decoder<'_>,
    width: u32,
    values: &mut [i64],
    apply: impl Fn(i64, u64) -> i64,
) -> Decoded<()> {
    let places = place_bits(values.len()) as u32;
    let count = usize::try_from(from.uint()?).map_err(|_| from.error())?;
    if count > values.len() {
        return Err(from.error());
    }
    let mut bits = BitReader::new(from, count, places + width)?;
    let mut inside = true;
    for _ in 0..count {
        let place = usize::try_from(bits.next(places)).ok();
        let rest = bits.next(width);
        match place.and_then(|place| values.get_mut(place)) {
            Some(value) => *value = apply(*value, rest),
            None => inside = false,
        }
    }
    bits.finish()?;
    if inside { Ok(()) } else { Err(from.error()) }
}

fn width(from: &mut Decoder<'_>) -> Decoded<u32> {
    match from.byte()? {
        width @ 0..=64 => Ok(width.into()),
        _ => Err(from.error()),
    }
}

/// How many values have so many bits.
type Lengths = [u64; 65];

/// How many values are so many bits above `lowest`.
fn lengths(values: &[i64], lowest: i64) -> Lengths {
    let mut lengths = [0; 65];
    for &value in values {
        lengths[length(above(value, lowest)) as usize] += 1;
    }
    lengths
}

/// What more than half of the values are, where there is such a value (R. S. Boyer, J. S. Moore,
/// "MJRTY, a fast majority vote algorithm", 1991).
fn majority(values: &[i64]) -> i64 {
    let (mut leader, mut lead) = (0, 0u32);
    for &value in values {
        if lead == 0 {
            leader = value;
        }
        lead = if value == leader { lead + 1 } else { lead - 1 };
    }
    leader
}

/// The median of up to [`ASKED`] of the values, evenly picked: near the median of all.
fn middle(values: &[i64]) -> i64 {
    let mut asked = [0; ASKED];
    let step = values.len().div_ceil(ASKED).max(1);
    let count = values.len().div_ceil(step);
    for (asked, &value) in asked.iter_mut().zip(values.iter().step_by(step)) {
        *asked = value;
    }
    let asked = asked.get_mut(..count).unwrap_or_default();
    asked.sort_unstable();
    asked.get(count / 2).copied().unwrap_or(0)
}

pub(super) const fn zigzag(value: i64) -> u64 {
    (value.wrapping_shl(1) ^ (value >> 63)).cast_unsigned()
}

pub(super) const fn unzigzag(bits: u64) -> i64 {
    (bits >> 1).cast_signed() ^ -((bits & 1).cast_signed())
}

/// How far a value is above the lowest one.
const fn above(value: i64, lowest: i64) -> u64 {
    value.wrapping_sub(lowest).cast_unsigned()
}

/// The bits of a number, without leading zeros.
pub(super) const fn length(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

/// The bits of a place among `count`.
const fn place_bits(count: usize) -> u64 {
    length((count as u64).saturating_sub(1)) as u64
}

const fn varint_bits(value: i64) -> u64 {
    uint_bits(zigzag(value))
}

const fn uint_bits(value: u64) -> u64 {
    length(value | 1).div_ceil(7) as u64 * 8
}

const fn whole_bytes(bits: u64) -> u64 {
    bits.div_ceil(8) * 8
}
