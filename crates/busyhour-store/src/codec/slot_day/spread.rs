//! How the windows of a day's slots are spread, by the figures that days are compared by. It follows from
//! their figures, and is kept beside them so that who judges very many slots need not read those.

use busyhour_model::{Figure, FigureBucket, Slot, SlotGist, Spread, SpreadParts};

use super::super::column::Room;
use super::super::{Decoded, Decoder, Encoder};
use super::{columns_in, put_columns, value};

type Place = fn(&mut SlotGist) -> &mut Option<Spread>;

/// All of them, in the order that they are written in.
const SPREADS: [(Figure, Place); 2] =
    [(Figure::Delay, |gist| &mut gist.delay), (Figure::Jitter, |gist| &mut gist.jitter)];
/// Columns of each: buckets, sum, mean.
const COLUMNS: usize = 5;

/// Writes those of all slots. Of most slots every valid window has each figure, and hardly differs from the
/// others: it is what is otherwise that takes room.
pub(super) fn put_all(out: &mut Encoder, slots: &[Slot]) {
    for (figure, _) in SPREADS {
        let known: Vec<Option<SpreadParts>> =
            slots.iter().map(|slot| SpreadParts::of_figure(&slot.figures, figure)).collect();
        let windows = known.iter().map(|known| known.map_or(0, |parts| parts.count));
        let lacking = slots.iter().zip(windows);
        let lacking =
            lacking.map(|(slot, n)| u64::from(slot.valid).wrapping_sub(n).cast_signed()).collect();
        put_columns(out, &[lacking]);
        let mut columns = <[Vec<i64>; COLUMNS]>::default();
        for parts in known.iter().flatten() {
            for (column, value) in columns.iter_mut().zip(values(parts)) {
                column.push(value);
            }
        }
        put_columns(out, &columns);
    }
}

fn values(parts: &SpreadParts) -> [i64; COLUMNS] {
    let number = |bucket: FigureBucket| i64::from(bucket.number());
    let median = number(parts.median);
    [
        median,
        median - number(parts.lowest),
        number(parts.high) - median,
        parts.sum.wrapping_sub(usual_sum(parts.median, parts.count)).cast_signed(),
        i64::from(parts.near_mean) - i64::from(parts.mean()),
    ]
}

/// The sum of so many windows in the middle of a bucket.
fn usual_sum(bucket: FigureBucket, windows: u64) -> u64 {
    u64::from(bucket.middle()).wrapping_mul(windows)
}

/// Reads what [`put_all`] wrote into the same slots, whose counts are there.
pub(super) fn read_all(
    from: &mut Decoder<'_>,
    gists: &mut [SlotGist],
    room: &mut Room,
) -> Decoded<()> {
    for (_, place) in SPREADS {
        let [lacking] = columns_in(from, gists.len(), room)?;
        let windows = |at: usize, gist: &SlotGist| {
            u64::from(gist.valid).wrapping_sub(value(&lacking, at).cast_unsigned())
        };
        let told = (0..).zip(&*gists).filter(|(at, gist)| windows(*at, gist) > 0).count();
        let columns: [Vec<i64>; COLUMNS] = columns_in(from, told, room)?;
        let mut next = 0;
        for (at, gist) in gists.iter_mut().enumerate() {
            let count = windows(at, gist);
            if count > 0 {
                let parts = parts(count, columns.each_ref().map(|column| value(column, next)));
                *place(gist) = Some(parts.ok_or(from.error())?.spread());
                next += 1;
            }
        }
        room.give([lacking]);
        room.give(columns);
    }
    Ok(())
}

fn parts(count: u64, [median, below, above, sum, mean]: [i64; COLUMNS]) -> Option<SpreadParts> {
    let bucket = |number: i64| FigureBucket::from_number(u8::try_from(number).ok()?);
    let median_bucket = bucket(median)?;
    let mut parts = SpreadParts {
        lowest: bucket(median.wrapping_sub(below))?,
        median: median_bucket,
        high: bucket(median.wrapping_add(above))?,
        near_mean: 0,
        sum: usual_sum(median_bucket, count).wrapping_add(sum.cast_unsigned()),
        count,
    };
    parts.near_mean = u32::try_from(i64::from(parts.mean()).wrapping_add(mean)).ok()?;
    Some(parts)
}
