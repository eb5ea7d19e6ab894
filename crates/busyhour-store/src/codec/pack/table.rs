//! Windows apart into numbers, each kind in a column of its own; from rows and back to them.

use super::super::window::{SETTLED_VERSION, Shape, VERSION};
use super::super::{Decoded, Decoder, Encoder};
use super::Row;
use super::field::{ALWAYS, FIELDS, Field, Guess, Part, ROW, SETTLED};
use super::spread::Spread;

/// The numbers of many windows. A number that a window does not have is 0 in its column.
#[derive(Debug)]
pub(super) struct Table {
    /// How many windows there are.
    pub(super) rows: usize,
    columns: [Vec<i64>; FIELDS],
    /// Variation up and down, and round trips.
    pub(super) spreads: [Spread; 3],
}

const WHAT: &str = "window";

impl Table {
    pub(super) fn with_room(rows: usize) -> Self {
        let columns = std::array::from_fn(|_| Vec::with_capacity(rows));
        let spreads = std::array::from_fn(|_| Spread::with_room(rows));
        Self { rows: 0, columns, spreads }
    }

    /// A table of windows of which nothing is known yet.
    pub(super) fn of_unknown(rows: usize) -> Self {
        Self { rows, ..Self::with_room(0) }
    }

    /// Appends a window as its row is; `circumstance` is its number in the pack.
    pub(super) fn push(&mut self, row: &Row<'_>, circumstance: usize) -> Decoded<()> {
        let is_settled = row.body.first() == Some(&SETTLED_VERSION);
        let (version, settled) = if is_settled { (SETTLED_VERSION, SETTLED) } else { (VERSION, 0) };
        let from = &mut Decoder::of_version(row.body, version, WHAT)?;
        let mut numbers = [0i64; FIELDS];
        let mut put = |field: Field, number: i64| numbers[field as usize] = number;
        put(Field::Placed, row.placed.0);
        put(Field::Nth, row.nth.into());
        put(Field::Circumstance, circumstance as i64);
        if is_settled {
            put(Field::Settled, from.uint()?.cast_signed());
        }
        let mut shape = 0;
        for &(bit, parts) in ROW {
            if bit != ALWAYS && shape & bit == 0 {
                continue;
            }
            for &part in parts {
                match part {
                    Part::Number(field) => put(field, from.uint()?.cast_signed()),
                    Part::Signed(field) => put(field, from.int()?),
                    Part::Byte(field) => put(field, from.byte()?.into()),
                    Part::Received => {
                        let received = from.delta(row.placed.0)?;
                        put(Field::ReceivedMs, received.div_euclid(1_000));
                        put(Field::ReceivedRest, received.rem_euclid(1_000));
                    }
                    Part::Shape => {
                        shape = from.uint()?;
                        if shape & !Shape::ALL != 0 {
                            return Err(from.error());
                        }
                        put(Field::Shape, (shape | settled).cast_signed());
                    }
                    Part::Spread(which) => self.spreads[which].push(from)?,
                }
            }
        }
        from.finish(())?;
        for (column, number) in self.columns.iter_mut().zip(numbers) {
            column.push(number);
        }
        self.rows += 1;
        Ok(())
    }

    /// What the row of a window consists of.
    pub(super) fn parts(&self, row: usize) -> impl Iterator<Item = Part> {
        let shape = self.at(Field::Shape, row).cast_unsigned();
        ROW.iter()
            .filter(move |&&(bit, _)| bit == ALWAYS || shape & bit != 0)
            .flat_map(|&(_, parts)| parts.iter().copied())
    }

    /// How many of a window's packets that were lost with direction unknown were lost up, when that
    /// was settled.
    pub(super) fn settled(&self, row: usize) -> Option<u64> {
        let up = self.at(Field::Settled, row).cast_unsigned();
        self.has(row, SETTLED).then_some(up)
    }

    /// When a window's block came, from where the window lies.
    pub(super) fn received(&self, row: usize) -> i64 {
        let (ms, rest) = (self.at(Field::ReceivedMs, row), self.at(Field::ReceivedRest, row));
        let received = ms.wrapping_mul(1_000).wrapping_add(rest);
        received.wrapping_sub(self.at(Field::Placed, row))
    }

    /// The shape of a window as rows have it.
    pub(super) fn shape(&self, row: usize) -> u64 {
        self.at(Field::Shape, row).cast_unsigned() & !SETTLED
    }

    /// Writes the row of a window behind what `out` holds.
    pub(super) fn write_row(&self, row: usize, out: &mut Encoder) {
        match self.settled(row) {
            Some(up) => {
                out.byte(SETTLED_VERSION);
                out.uint(up);
            }
            None => out.byte(VERSION),
        }
        for part in self.parts(row) {
            match part {
                Part::Number(field) => out.uint(self.at(field, row).cast_unsigned()),
                Part::Signed(field) => out.int(self.at(field, row)),
                Part::Byte(field) => out.byte(self.at(field, row) as u8),
                Part::Received => out.int(self.received(row)),
                Part::Shape => out.uint(self.shape(row)),
                Part::Spread(which) => self.spreads[which].write(row, out),
            }
        }
    }

    /// A number of a window; 0 where it has none or is not known yet.
    pub(super) fn at(&self, field: Field, row: usize) -> i64 {
        self.columns[field as usize].get(row).copied().unwrap_or(0)
    }

    /// A field of all windows; empty where it is not known yet.
    pub(super) fn column(&self, field: Field) -> &[i64] {
        &self.columns[field as usize]
    }

    /// Gives a field the numbers of all windows.
    pub(super) fn set(&mut self, field: Field, numbers: Vec<i64>) {
        self.columns[field as usize] = numbers;
    }

    /// Gives a field one number; windows before `row` that have none yet have 0.
    pub(super) fn set_one(&mut self, field: Field, row: usize, number: i64) {
        let column = &mut self.columns[field as usize];
        column.resize(row, 0);
        column.push(number);
    }

    /// The bits that the shapes of all windows have, and those that some have.
    pub(super) fn shapes(&self) -> (u64, u64) {
        let shapes = self.columns[Field::Shape as usize].iter().map(|shape| shape.cast_unsigned());
        shapes.fold((u64::MAX, 0), |(all, some), shape| (all & shape, some | shape))
    }

    /// Whether a window has what this bit of its shape stands for.
    pub(super) fn has(&self, row: usize, bit: u64) -> bool {
        bit == ALWAYS || self.at(Field::Shape, row).cast_unsigned() & bit != 0
    }

    /// What a number of a window is guessed to be, from what comes before it in the pack.
    pub(super) fn guess(&self, guess: Guess, row: usize) -> i64 {
        let at = |field: Field| self.at(field, row);
        let [up, down, rtt] = &self.spreads;
        match guess {
            Guess::Nothing => 0,
            Guess::PlacedMs => at(Field::Placed).div_euclid(1_000),
            Guess::Started => at(Field::Placed).wrapping_add(at(Field::Started)),
            Guess::Lost => self.lost(row),
            Guess::Received => at(Field::Sent).wrapping_sub(self.lost(row)),
            Guess::BurstPackets => at(Field::BurstPackets),
            Guess::LateUp => at(Field::LateUp),
            Guess::LateDown => at(Field::LateDown),
            Guess::NextSequence => self.next_sequence(row),
            Guess::RttMean => rtt.mean(row).wrapping_sub(rtt.lowest(row)),
            Guess::UpMean => up.mean(row),
            Guess::DownMean => down.mean(row),
            Guess::MedianLessUp => {
                let median = at(Field::Median).wrapping_add(rtt.lowest(row));
                median.wrapping_sub(at(Field::OneWayUp))
            }
            Guess::BothErrors => at(Field::Clock).wrapping_add(at(Field::FarClock)),
            Guess::UpJitter => at(Field::UpJitter),
            Guess::DownJitter => at(Field::DownJitter),
            Guess::HigherVariation => up.above(row).max(down.above(row)),
            Guess::Middles(which) => self.spreads[which].middles(row),
            Guess::Lowest => rtt.samples(row).wrapping_mul(rtt.lowest(row)),
            Guess::Variations => {
                let lowest = rtt.samples(row).wrapping_mul(rtt.lowest(row));
                lowest.wrapping_add(up.sum(row)).wrapping_add(down.sum(row))
            }
        }
    }

    fn lost(&self, row: usize) -> i64 {
        [Field::LostUp, Field::LostDown, Field::LostUnknown]
            .into_iter()
            .fold(0, |lost, field| lost.wrapping_add(self.at(field, row)))
    }

    fn next_sequence(&self, row: usize) -> i64 {
        let Some(before) = row.checked_sub(1) else { return 0 };
        let told = self.has(before, Shape::SEQUENCES);
        let used = self.at(if told { Field::Sequences } else { Field::Sent }, before);
        let next = self.at(Field::FirstSequence, before).wrapping_add(used);
        // They wrap at 2^32.
        next & i64::from(u32::MAX)
    }
}
