//! The sketches of a day's slots: how packets' delays are distributed, on the buckets that occur.

use busyhour_model::{Histogram, Slot};

use super::super::bits::{BitReader, BitWriter};
use super::super::column::{self, length, unzigzag, zigzag};
use super::super::{Decoded, Decoder, Encoder};
use super::{columns, put_column, put_columns, value};

/// More buckets than a histogram has.
const MAX_BUCKETS: usize = 1 << 10;
/// A bucket is rare when at most one slot in so many has it.
const RARE_ONE_IN: usize = 3;
/// A distance of so many steps and more is written in full.
const MAX_STEPS: u32 = 20;

type Sketch = (fn(&Slot) -> &Histogram, fn(&mut Slot) -> &mut Histogram);

/// All of them, in the order that they are written in.
const SKETCHES: [Sketch; 3] = [
    (|slot| &slot.rtt_us, |slot| &mut slot.rtt_us),
    (|slot| &slot.up_variation_us, |slot| &mut slot.up_variation_us),
    (|slot| &slot.down_variation_us, |slot| &mut slot.down_variation_us),
];

/// Writes the sketches of all slots.
pub(super) fn put_all(out: &mut Encoder, slots: &[Slot]) {
    // Most packets are in all three.
    let mut counts = vec![0i64; slots.len()];
    for (get, _) in SKETCHES {
        let sketches: Vec<&Histogram> = slots.iter().map(get).collect();
        let more = sketches.iter().zip(&mut counts).map(|(sketch, count)| {
            let before = std::mem::replace(count, sketch.count().cast_signed());
            count.wrapping_sub(before)
        });
        let of = |get: fn(&Histogram) -> u64| -> Vec<i64> {
            sketches.iter().map(|sketch| get(sketch).cast_signed()).collect()
        };
        let columns = [
            more.collect(),
            of(|sketch| sketch.min().into()),
            of(|sketch| sketch.max().into()),
            of(Histogram::sum),
        ];
        put_columns(out, &columns);
        put_buckets(out, &sketches);
    }
}

/// Writes the counts of all buckets but of the fullest, which follow from how many there are in all.
/// Each bucket that most slots have is a column. Of the others each slot says which it has.
fn put_buckets(out: &mut Encoder, sketches: &[&Histogram]) {
    let mut columns = by_bucket(sketches);
    let fullest = (0..columns.len()).max_by_key(|&at| columns[at].total);
    out.option(fullest, |out, at| out.uint(columns[at].bucket));
    let Some(fullest) = fullest else { return };
    columns.remove(fullest);
    let (rare, common): (Vec<Column>, Vec<Column>) =
        columns.into_iter().partition(|column| column.slots * RARE_ONE_IN <= sketches.len());
    for part in [&common, &rare] {
        out.uint(part.len() as u64);
        put_column(out, &part.iter().map(|column| column.bucket.into()).collect::<Vec<_>>());
    }
    put_counts(out, &common);
    let (mut kinds, mut gaps, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for slot in 0..sketches.len() {
        let (before, mut next) = (gaps.len(), 0);
        for (place, n) in rare.iter().map(|column| column.counts[slot]).enumerate() {
            if n != 0 {
                gaps.push((place - next) as i64);
                counts.push(n);
                next = place + 1;
            }
        }
        kinds.push((gaps.len() - before) as i64);
    }
    for column in [kinds, gaps, counts] {
        put_column(out, &column);
    }
}

/// Writes each count as its distance from the bucket's mean, by Golomb-Rice coding: what is above so
/// many bits in unary. (R. F. Rice, J. R. Plaunt, 1971.)
fn put_counts(out: &mut Encoder, columns: &[Column]) {
    let codes: Vec<Code> = columns.iter().map(Code::of).collect();
    put_column(out, &codes.iter().map(|code| code.centre).collect::<Vec<_>>());
    put_column(out, &codes.iter().map(|code| code.low.into()).collect::<Vec<_>>());
    let mut bits = BitWriter::new(out);
    for (column, code) in columns.iter().zip(codes) {
        for &n in &column.counts {
            let distance = code.distance(n);
            let steps = distance >> code.low;
            if steps < u64::from(MAX_STEPS) {
                bits.put((1 << steps) - 1, steps as u32 + 1);
                bits.put(distance, code.low);
            } else {
                bits.put((1 << MAX_STEPS) - 1, MAX_STEPS);
                bits.put(distance, u64::BITS);
            }
        }
    }
    bits.finish();
}

/// How the counts of a bucket are written.
#[derive(Debug, Clone, Copy)]
struct Code {
    centre: i64,
    /// Bits that are written as they are, below 64.
    low: u32,
}

impl Code {
    /// The cheapest of the likely ones.
    fn of(column: &Column) -> Self {
        let count = column.counts.len().max(1) as u64;
        let code = Self { centre: (column.total / count).cast_signed(), low: 0 };
        let distances = || column.counts.iter().map(|&n| code.distance(n));
        let sum = distances().fold(0u64, u64::saturating_add);
        let likely = length(sum / count).saturating_sub(1);
        let cost = |low: u32| -> u64 {
            let most = u64::from(MAX_STEPS) + u64::from(u64::BITS);
            let cost = |distance: u64| ((distance >> low) + 1 + u64::from(low)).min(most);
            distances().map(cost).fold(0, u64::saturating_add)
        };
        let lows = likely.saturating_sub(1)..=(likely + 1).min(u64::BITS - 1);
        Self { low: lows.min_by_key(|&low| cost(low)).unwrap_or(0), ..code }
    }

    const fn distance(self, n: i64) -> u64 {
        zigzag(n.wrapping_sub(self.centre))
    }
}

/// A bucket's counts in all slots.
struct Column {
    bucket: u16,
    counts: Vec<i64>,
    /// How many slots have it.
    slots: usize,
    total: u64,
}

/// The columns of all buckets that occur, ascending.
fn by_bucket(sketches: &[&Histogram]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    let mut places = [usize::MAX; MAX_BUCKETS];
    for (slot, sketch) in sketches.iter().enumerate() {
        for &(bucket, n) in sketch.buckets() {
            let place = &mut places[usize::from(bucket) % MAX_BUCKETS];
            if *place == usize::MAX {
                *place = columns.len();
                let counts = vec![0; sketches.len()];
                columns.push(Column { bucket, counts, slots: 0, total: 0 });
            }
            let column = &mut columns[*place];
            column.counts[slot] = n.cast_signed();
            column.slots += 1;
            column.total = column.total.saturating_add(n);
        }
    }
    columns.sort_unstable_by_key(|column| column.bucket);
    columns
}

/// Reads what [`put_all`] wrote into the same slots.
pub(super) fn read_all(from: &mut Decoder<'_>, slots: &mut [Slot]) -> Decoded<()> {
    let mut counts = vec![0i64; slots.len()];
    for (_, get) in SKETCHES {
        let [more, min, max, sum] = columns(from, slots.len())?;
        for (at, count) in counts.iter_mut().enumerate() {
            *count = count.wrapping_add(value(&more, at));
        }
        let buckets = read_buckets(from, &counts)?;
        for (at, (slot, buckets)) in slots.iter_mut().zip(buckets).enumerate() {
            let end = |column: &[i64]| u32::try_from(value(column, at)).map_err(|_| from.error());
            let sum = value(&sum, at).cast_unsigned();
            let sketch = Histogram::from_parts(buckets, sum, end(&min)?, end(&max)?);
            *get(slot) = sketch.map_err(|_| from.error())?;
        }
    }
    Ok(())
}

/// The occupied buckets of each slot, with the fullest of the day in its place. `totals` is how many
/// values each slot has.
fn read_buckets(from: &mut Decoder<'_>, totals: &[i64]) -> Decoded<Vec<Vec<(u16, u64)>>> {
    let Some(fullest) = from.option(Decoder::u16)? else {
        return Ok(vec![Vec::new(); totals.len()]);
    };
    let (common, rare) = (buckets(from)?, buckets(from)?);
    let usual = common.len() + 4;
    let mut found: Vec<Vec<(u16, u64)>> =
        totals.iter().map(|_| Vec::with_capacity(usual)).collect();
    read_common(from, &common, &mut found)?;
    read_rare(from, &rare, &mut found)?;
    for (slot, &total) in found.iter_mut().zip(totals) {
        let mut rest = total.cast_unsigned();
        for &(_, n) in &*slot {
            rest = rest.checked_sub(n).ok_or(from.error())?;
        }
        if rest > 0 {
            slot.push((fullest, rest));
        }
        // Three ascending runs.
        slot.sort_by_key(|&(bucket, _)| bucket);
    }
    Ok(found)
}

fn buckets(from: &mut Decoder<'_>) -> Decoded<Vec<u16>> {
    let count = from.uint()?;
    if count > MAX_BUCKETS as u64 {
        return Err(from.error());
    }
    let buckets = column::read(from, count as usize)?;
    buckets.into_iter().map(|bucket| u16::try_from(bucket).map_err(|_| from.error())).collect()
}

/// Reads the counts of buckets that most slots have, as [`put_counts`] wrote them.
pub(super) fn read_common(
    from: &mut Decoder<'_>,
    common: &[u16],
    found: &mut [Vec<(u16, u64)>],
) -> Decoded<()> {
    let (centres, lows) = (column::read(from, common.len())?, column::read(from, common.len())?);
    if lows.iter().any(|low| !(0..64).contains(low)) {
        return Err(from.error());
    }
    let mut bits = BitReader::new(from, common.len() * found.len(), 1)?;
    for ((&bucket, &centre), &low) in common.iter().zip(&centres).zip(&lows) {
        for slot in &mut *found {
            let steps = bits.ones(MAX_STEPS);
            let distance = if steps < MAX_STEPS {
                (u64::from(steps) << low) | bits.next(low as u32)
            } else {
                bits.next(u64::BITS)
            };
            let n = centre.wrapping_add(unzigzag(distance));
            if n != 0 {
                slot.push((bucket, n.cast_unsigned()));
            }
        }
    }
    bits.finish()
}

fn read_rare(from: &mut Decoder<'_>, rare: &[u16], found: &mut [Vec<(u16, u64)>]) -> Decoded<()> {
    let kinds = column::read(from, found.len())?;
    let mut all = 0usize;
    for &kinds in &kinds {
        let kinds = usize::try_from(kinds).ok().filter(|&kinds| kinds <= rare.len());
        all = all.saturating_add(kinds.ok_or(from.error())?);
    }
    let (gaps, counts) = (column::read(from, all)?, column::read(from, all)?);
    let mut entries = gaps.iter().zip(&counts);
    for (slot, &kinds) in found.iter_mut().zip(&kinds) {
        let mut rest = rare;
        for (&gap, &n) in entries.by_ref().take(usize::try_from(kinds).unwrap_or(0)) {
            let behind = usize::try_from(gap).ok().and_then(|gap| rest.get(gap..));
            let (&bucket, behind) = behind.and_then(<[u16]>::split_first).ok_or(from.error())?;
            slot.push((bucket, n.cast_unsigned()));
            rest = behind;
        }
    }
    Ok(())
}
