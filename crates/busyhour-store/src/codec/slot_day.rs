//! The slots of one path and one UTC day, quarter-hours or hours, in four parts: counts, figures, sketches
//! and how windows are spread, each column by column. A part ends with a CRC-32 over its key and content.

mod sketch;
mod spread;

#[cfg(test)]
mod tests;

use std::ops::{DerefMut, Range};

use busyhour_model::{
    BurstLoss, Combination, Figure, Figures, LimitsVersion, PathId, Slot, SlotCounts, SlotGist,
    SlotStart, UtcMicros, WorstLoss,
};

use super::column::{self, Plan, Room};
use super::{Decoded, Decoder, Encoder, bad};

const VERSION: u8 = 2;
/// Quarter-hours of a day of UTC.
pub(crate) const DAY_SLOTS: i64 = 96;
/// The bytes of the checksum.
const CHECKSUM: usize = 4;
/// Of one day, combinations of figures in all its slots: beyond what so many windows could have that
/// one begins every 20 ms.
const MAX_ENTRIES: u64 = 1 << 22;
/// Columns of a combination.
const COLUMNS: usize = Combination::BYTES;
/// Figures of a window.
const FIGURES: usize = Figure::ALL.len();

/// What a blob holds; a part of the checksum.
#[derive(Debug, Clone, Copy)]
enum Part {
    Counts,
    Figures,
    Sketches,
    Spreads,
}

impl Part {
    const fn number(self) -> u8 {
        match self {
            Self::Counts => 1,
            Self::Figures => 2,
            Self::Sketches => 3,
            Self::Spreads => 4,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Counts => "slot counts",
            Self::Figures => "slot figures",
            Self::Sketches => "slot sketches",
            Self::Spreads => "how windows are spread",
        }
    }
}

/// Encodes the counts of slots of `utc_day` (counted from 1970), in ascending order of their starts.
pub(crate) fn encode_counts(path: PathId, utc_day: i64, slots: &[Slot]) -> Vec<u8> {
    let mut out = begin(utc_day, slots);
    let columns = FIELDS.map(|(get, _)| -> Vec<i64> {
        slots.iter().map(|slot| get(&slot.counts).cast_signed()).collect()
    });
    put_columns(&mut out, &columns);
    for extreme in &WORST {
        put_worst(&mut out, slots, extreme);
    }
    seal(out, Part::Counts, path, utc_day)
}

/// Encodes the figures of the same slots.
pub(crate) fn encode_figures(path: PathId, utc_day: i64, slots: &[Slot]) -> Vec<u8> {
    let mut out = begin(utc_day, slots);
    let (mut windows, mut kinds) = (Vec::new(), Vec::new());
    let (mut parts, mut counts) = (<[Vec<i64>; COLUMNS]>::default(), Vec::new());
    let mut rests = <[Vec<i64>; FIGURES]>::default();
    for Slot { figures, .. } in slots {
        let combinations = figures.combinations();
        windows.push(combinations.iter().map(|&(_, n)| i64::from(n)).sum());
        kinds.push(combinations.len() as i64);
        for (combination, _) in combinations {
            for (part, byte) in parts.iter_mut().zip(combination.to_bytes()) {
                part.push(byte.into());
            }
        }
        // The last follows from how many windows there are.
        let told = combinations.len().saturating_sub(1);
        counts.extend(combinations.iter().take(told).map(|&(_, n)| i64::from(n)));
        for ((rest, &sum), middle) in rests.iter_mut().zip(figures.sums()).zip(figures.middles()) {
            rest.push(sum.wrapping_sub(middle).cast_signed());
        }
    }
    put_column(&mut out, &kinds);
    put_column(&mut out, &windows);
    put_column(&mut out, &counts);
    put_columns(&mut out, &parts);
    put_columns(&mut out, &rests);
    seal(out, Part::Figures, path, utc_day)
}

/// Encodes how the windows of the same slots are spread by the figures that days are compared by.
pub(crate) fn encode_spreads(path: PathId, utc_day: i64, slots: &[Slot]) -> Vec<u8> {
    let mut out = begin(utc_day, slots);
    spread::put_all(&mut out, slots);
    seal(out, Part::Spreads, path, utc_day)
}

/// Encodes the sketches of the same slots.
pub(crate) fn encode_sketches(path: PathId, utc_day: i64, slots: &[Slot]) -> Vec<u8> {
    let mut out = begin(utc_day, slots);
    sketch::put_all(&mut out, slots);
    seal(out, Part::Sketches, path, utc_day)
}

/// The slots of a blob of counts, with nothing but these.
pub(crate) fn decode_counts(
    bytes: &[u8],
    path: PathId,
    utc_day: i64,
    room: &mut Room,
) -> Decoded<Vec<Slot>> {
    let from = &mut unseal(bytes, Part::Counts, path, utc_day)?;
    let none = SlotCounts::new(LimitsVersion(0));
    let mut slots = Vec::new();
    read_starts(from, utc_day, room, |start| slots.push(Slot::of_counts(start, none)))?;
    read_counts(from, &mut slots, room)?;
    for extreme in &WORST {
        read_worst(from, &mut slots, extreme)?;
    }
    from.finish(slots)
}

/// Adds the slots of a blob of counts in short, without how their windows are spread.
pub(crate) fn decode_gists(
    bytes: &[u8],
    path: PathId,
    utc_day: i64,
    room: &mut Room,
    gists: &mut Vec<SlotGist>,
) -> Decoded<()> {
    let from = &mut unseal(bytes, Part::Counts, path, utc_day)?;
    let none = SlotCounts::new(LimitsVersion(0));
    let before = gists.len();
    read_starts(from, utc_day, room, |start| gists.push(SlotGist::of_counts(start, none)))?;
    // The worst losses come behind, and nobody asks for them.
    read_counts(from, gists.get_mut(before..).unwrap_or_default(), room)
}

/// Adds their figures to the slots that [`decode_counts`] gave.
pub(crate) fn decode_figures(
    bytes: &[u8],
    path: PathId,
    utc_day: i64,
    slots: &mut [Slot],
    room: &mut Room,
) -> Decoded<()> {
    let from = &mut unseal(bytes, Part::Figures, path, utc_day)?;
    check_starts(from, utc_day, room, slots.iter().map(|slot| slot.start))?;
    let shares = Shares::read(from, slots.len(), room)?;
    let all = read_combinations(from, &shares, room)?;
    let rests: [Vec<i64>; FIGURES] = columns_in(from, slots.len(), room)?;
    let mut taken = Taken::default();
    for (at, slot) in slots.iter_mut().enumerate() {
        let own = shares.next(&mut taken, at).ok_or(from.error())?;
        let kinds = all.get(own.kinds.clone()).unwrap_or_default();
        let mut combinations = Vec::with_capacity(kinds.len());
        combinations.extend(kinds.iter().copied().zip(own.each()));
        let distances = rests.each_ref().map(|rest| value(rest, at).cast_unsigned());
        slot.figures =
            Figures::from_distances(combinations, distances).map_err(|_| from.error())?;
    }
    room.give(rests);
    shares.leave(room);
    from.finish(())
}

/// Adds to the slots that [`decode_gists`] gave how their windows are spread.
pub(crate) fn decode_spreads(
    bytes: &[u8],
    path: PathId,
    utc_day: i64,
    gists: &mut [SlotGist],
    room: &mut Room,
) -> Decoded<()> {
    let from = &mut unseal(bytes, Part::Spreads, path, utc_day)?;
    check_starts(from, utc_day, room, gists.iter().map(|gist| gist.start))?;
    spread::read_all(from, gists, room)?;
    from.finish(())
}

/// Hands out each combination of figures with how many windows of the slot had it: for totals of very
/// many slots, without making any.
pub(crate) fn visit_figures(
    bytes: &[u8],
    path: PathId,
    utc_day: i64,
    room: &mut Room,
    mut visit: impl FnMut(SlotStart, Combination, u32),
) -> Decoded<()> {
    let from = &mut unseal(bytes, Part::Figures, path, utc_day)?;
    let mut starts = Vec::with_capacity(DAY_SLOTS as usize);
    read_starts(from, utc_day, room, |start| starts.push(start))?;
    let shares = Shares::read(from, starts.len(), room)?;
    let all = read_combinations(from, &shares, room)?;
    let mut taken = Taken::default();
    for (at, &start) in starts.iter().enumerate() {
        let own = shares.next(&mut taken, at).ok_or(from.error())?;
        for (&combination, n) in
            all.get(own.kinds.clone()).unwrap_or_default().iter().zip(own.each())
        {
            visit(start, combination, n);
        }
    }
    shares.leave(room);
    // How their sums differ from the middles comes behind.
    Ok(())
}

/// Adds their sketches to the slots that [`decode_counts`] gave.
pub(crate) fn decode_sketches(
    bytes: &[u8],
    path: PathId,
    utc_day: i64,
    slots: &mut [Slot],
) -> Decoded<()> {
    let from = &mut unseal(bytes, Part::Sketches, path, utc_day)?;
    let room = &mut Room::default();
    check_starts(from, utc_day, room, slots.iter().map(|slot| slot.start))?;
    sketch::read_all(from, slots)?;
    from.finish(())
}

fn begin(utc_day: i64, slots: &[Slot]) -> Encoder {
    let mut out = Encoder::with_version(VERSION);
    let first = utc_day.wrapping_mul(DAY_SLOTS);
    let places: Vec<i64> =
        slots.iter().map(|slot| slot.start.number().wrapping_sub(first)).collect();
    debug_assert!(places.is_sorted_by(|a, b| a < b), "slots of a day in the order of time");
    out.uint(places.len() as u64);
    put_column(&mut out, &places);
    out
}

fn checksum(content: &[u8], part: Part, path: PathId, utc_day: i64) -> [u8; CHECKSUM] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[part.number()]);
    hasher.update(&path.0.to_le_bytes());
    hasher.update(&utc_day.to_le_bytes());
    hasher.update(content);
    hasher.finalize().to_le_bytes()
}

fn seal(out: Encoder, part: Part, path: PathId, utc_day: i64) -> Vec<u8> {
    let mut bytes = out.into_bytes();
    let checksum = checksum(&bytes, part, path, utc_day);
    bytes.extend_from_slice(&checksum);
    bytes
}

/// Checks a blob.
fn unseal(bytes: &[u8], part: Part, path: PathId, utc_day: i64) -> Decoded<Decoder<'_>> {
    let damaged = bad(part.words());
    let mut from = Decoder::of_version(bytes, VERSION, part.words())?;
    let (content, found) = bytes.split_last_chunk::<CHECKSUM>().ok_or(damaged.clone())?;
    if *found != checksum(content, part, path, utc_day) {
        return Err(damaged);
    }
    from.rest = content.get(1..).ok_or(damaged)?;
    Ok(from)
}

/// Reads which slots a blob is of.
fn read_starts(
    from: &mut Decoder<'_>,
    utc_day: i64,
    room: &mut Room,
    mut each: impl FnMut(SlotStart),
) -> Decoded<()> {
    let count = from.uint()?;
    if count > DAY_SLOTS.cast_unsigned() {
        return Err(from.error());
    }
    let places = column::read_in(from, count as usize, room)?;
    let ascending = places.is_sorted_by(|a, b| a < b);
    if !ascending || places.iter().any(|place| !(0..DAY_SLOTS).contains(place)) {
        return Err(from.error());
    }
    let first = SlotStart::from_number(utc_day.wrapping_mul(DAY_SLOTS));
    places.iter().for_each(|&place| each(first.offset(place)));
    room.give([places]);
    Ok(())
}

/// Checks that a blob is of certain slots.
fn check_starts(
    from: &mut Decoder<'_>,
    utc_day: i64,
    room: &mut Room,
    mut of_slots: impl Iterator<Item = SlotStart>,
) -> Decoded<()> {
    let mut same = true;
    read_starts(from, utc_day, room, |start| same &= of_slots.next() == Some(start))?;
    if same && of_slots.next().is_none() { Ok(()) } else { Err(from.error()) }
}

fn put_column(out: &mut Encoder, values: &[i64]) {
    Plan::of(values).write(out, values);
}

/// Columns of the same length; those of nothing but zeros cost one bit.
fn put_columns(out: &mut Encoder, columns: &[Vec<i64>]) {
    let tells = |column: &Vec<i64>| column.iter().any(|&value| value != 0);
    let told = columns.iter().enumerate().filter(|(_, column)| tells(column));
    out.uint(told.map(|(at, _)| 1u64 << at).sum::<u64>());
    for column in columns.iter().filter(|column| tells(column)) {
        put_column(out, column);
    }
}

/// Reads what [`put_columns`] wrote; a column of zeros is empty.
fn columns<const N: usize>(from: &mut Decoder<'_>, count: usize) -> Decoded<[Vec<i64>; N]> {
    columns_in(from, count, &mut Room::default())
}

/// The same in room that was used before.
fn columns_in<const N: usize>(
    from: &mut Decoder<'_>,
    count: usize,
    room: &mut Room,
) -> Decoded<[Vec<i64>; N]> {
    let told = from.uint()?;
    let mut columns = [const { Vec::new() }; N];
    for (at, column) in columns.iter_mut().enumerate() {
        if told & (1 << at) != 0 {
            *column = column::read_in(from, count, room)?;
        }
    }
    if told >> N == 0 { Ok(columns) } else { Err(from.error()) }
}

/// A value of a column, of which one of nothing but zeros is empty.
fn value(column: &[i64], at: usize) -> i64 {
    column.get(at).copied().unwrap_or(0)
}

/// How a column of counts is taken out and put in; `None` when it cannot be that count.
type Field = (fn(&SlotCounts) -> u64, fn(&mut SlotCounts, u64) -> Option<()>);

macro_rules! field {
    ($width:ty, $of:ident => $place:expr) => {
        (
            |$of| u64::from($place),
            |$of, value| {
                $place = <$width>::try_from(value).ok()?;
                Some(())
            },
        )
    };
}

/// What the columns of counts are, in their order.
const FIELDS: [Field; 19] = [
    field!(u32, of => of.limits.0),
    field!(u32, of => of.expected),
    field!(u32, of => of.valid),
    field!(u32, of => of.invalid),
    // Of most paths all valid windows are dense: it is the rest that is written.
    (
        |of| u64::from(of.valid.wrapping_sub(of.dense)),
        |of, sparse| {
            of.dense = sparse.try_into().ok()?;
            Some(())
        },
    ),
    field!(u32, of => of.bad),
    field!(u32, of => of.bad_by[0]),
    field!(u32, of => of.bad_by[1]),
    field!(u32, of => of.bad_by[2]),
    field!(u32, of => of.bad_by[3]),
    field!(u32, of => of.bad_by[4]),
    field!(u64, of => of.sent),
    field!(u64, of => of.lost_up),
    field!(u64, of => of.lost_down),
    field!(u64, of => of.lost_unknown),
    field!(u64, of => of.reordered),
    field!(u64, of => of.duplicated),
    field!(u64, of => of.dscp_up_changed),
    field!(u64, of => of.dscp_down_changed),
];

/// The worst loss within some time.
struct Extreme {
    get: fn(&SlotCounts) -> Option<WorstLoss>,
    set: fn(&mut SlotCounts, Option<WorstLoss>),
    /// The moment that its window is written from.
    near: fn(SlotStart, &SlotCounts) -> UtcMicros,
}

/// The extremes, in the order that they are written in.
const WORST: [Extreme; 2] = [
    Extreme {
        get: |of| of.worst_burst,
        set: |of, worst| of.worst_burst = worst,
        near: |start, _| start.start(),
    },
    Extreme {
        get: |of| of.worst_15s,
        set: |of, worst| of.worst_15s = worst,
        // Mostly the window of the worst burst.
        near: |start, of| of.worst_burst.map_or(start.start(), |worst| worst.window),
    },
];

fn put_worst(out: &mut Encoder, slots: &[Slot], Extreme { get, near, .. }: &Extreme) {
    let held = slots.iter().map(|slot| get(&slot.counts).is_some().into()).collect();
    put_columns(out, &[held]);
    let mut columns = <[Vec<i64>; 3]>::default();
    for (slot, worst) in slots.iter().filter_map(|slot| Some((slot, get(&slot.counts)?))) {
        let [lost, of, window] = &mut columns;
        lost.push(worst.loss.lost().into());
        of.push(worst.loss.of().into());
        window.push(worst.window.0.wrapping_sub(near(slot.start, &slot.counts).0));
    }
    put_columns(out, &columns);
}

fn read_counts<S: DerefMut<Target = SlotCounts>>(
    from: &mut Decoder<'_>,
    slots: &mut [S],
    room: &mut Room,
) -> Decoded<()> {
    let columns: [Vec<i64>; FIELDS.len()] = columns_in(from, slots.len(), room)?;
    for (column, (_, set)) in columns.iter().zip(FIELDS) {
        // What is empty stays at zero.
        for (slot, value) in slots.iter_mut().zip(column) {
            set(slot, value.cast_unsigned()).ok_or(from.error())?;
        }
    }
    room.give(columns);
    for counts in slots.iter_mut().map(|slot| &mut **slot) {
        counts.dense = counts.valid.wrapping_sub(counts.dense);
    }
    Ok(())
}

fn read_worst(
    from: &mut Decoder<'_>,
    slots: &mut [Slot],
    Extreme { set, near, .. }: &Extreme,
) -> Decoded<()> {
    let [held] = columns(from, slots.len())?;
    if held.iter().any(|held| !(0..=1).contains(held)) {
        return Err(from.error());
    }
    let holding = held.iter().filter(|&&held| held == 1).count();
    let [lost, of, window] = columns(from, holding)?;
    let holding = slots.iter_mut().zip(&held).filter(|(_, held)| **held == 1);
    for (at, (slot, _)) in holding.enumerate() {
        let count = |column: &[i64]| u32::try_from(value(column, at)).map_err(|_| from.error());
        let loss = BurstLoss::new(count(&lost)?, count(&of)?).map_err(|_| from.error())?;
        let window = near(slot.start, &slot.counts).0.wrapping_add(value(&window, at));
        set(&mut slot.counts, Some(WorstLoss { loss, window: UtcMicros(window) }));
    }
    Ok(())
}

/// How many combinations each slot has, and how many windows had each.
struct Shares {
    kinds: Vec<i64>,
    windows: Vec<i64>,
    /// Of all combinations of a slot but the last, which follows.
    counts: Vec<i64>,
    /// Combinations of all slots.
    all: usize,
}

/// Combinations and counts of the slots before.
#[derive(Default)]
struct Taken {
    kinds: usize,
    counts: usize,
}

/// Those of one slot.
struct Own<'s> {
    /// The places of its combinations among all.
    kinds: Range<usize>,
    counts: &'s [i64],
    last: u32,
}

impl Own<'_> {
    /// How many windows had each combination.
    fn each(&self) -> impl Iterator<Item = u32> + Clone + '_ {
        // Counts were found to fit.
        self.counts.iter().map(|&n| n as u32).chain(std::iter::once(self.last))
    }
}

impl Shares {
    fn read(from: &mut Decoder<'_>, slots: usize, room: &mut Room) -> Decoded<Self> {
        let kinds = column::read_in(from, slots, room)?;
        let (mut all, mut told) = (0u64, 0u64);
        for &kinds in &kinds {
            let kinds = u64::try_from(kinds).map_err(|_| from.error())?;
            all = all.saturating_add(kinds);
            told = told.saturating_add(kinds.saturating_sub(1));
        }
        if all > MAX_ENTRIES {
            return Err(from.error());
        }
        let windows = column::read_in(from, slots, room)?;
        let counts = column::read_in(from, told as usize, room)?;
        Ok(Self { kinds, windows, counts, all: all as usize })
    }

    /// Gives back the room it took.
    fn leave(self, room: &mut Room) {
        room.give([self.kinds, self.windows, self.counts]);
    }

    /// Those of a slot, the next one; `None` when they do not add up.
    fn next(&self, taken: &mut Taken, slot: usize) -> Option<Own<'_>> {
        let kinds = usize::try_from(value(&self.kinds, slot)).ok()?;
        let (first, told) = (taken.kinds, taken.counts);
        taken.kinds = first.saturating_add(kinds);
        taken.counts = told.saturating_add(kinds.saturating_sub(1));
        let counts = self.counts.get(told..taken.counts)?;
        let mut rest = value(&self.windows, slot);
        for &count in counts {
            u32::try_from(count).ok()?;
            rest = rest.checked_sub(count)?;
        }
        let last = u32::try_from(rest).ok()?;
        Some(Own { kinds: first..taken.kinds, counts, last })
    }
}

fn read_combinations(
    from: &mut Decoder<'_>,
    shares: &Shares,
    room: &mut Room,
) -> Decoded<Vec<Combination>> {
    let parts: [Vec<i64>; COLUMNS] = columns_in(from, shares.all, room)?;
    let all = combinations(&parts, shares.all).ok_or(from.error())?;
    room.give(parts);
    Ok(all)
}

/// So many combinations of their columns, of which one of nothing but zeros is empty; `None` when there is
/// no such combination.
fn combinations(parts: &[Vec<i64>; COLUMNS], count: usize) -> Option<Vec<Combination>> {
    let mut all = vec![[0u8; COLUMNS]; count];
    let mut beyond = 0;
    for (at, part) in parts.iter().enumerate() {
        for (bytes, &value) in all.iter_mut().zip(part) {
            bytes[at] = value as u8;
            beyond |= value & !0xff;
        }
    }
    if beyond != 0 {
        return None;
    }
    all.into_iter().map(Combination::from_bytes).collect()
}
